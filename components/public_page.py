"""What residents read: today in a ward in plain words, where a complaint stands, and the open data with its words."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from components import dressing, glass, kpi_tile, plain, said, wording
from components.address import ward_names
from components.domain_page import headlines
from components.tongue import _, current, offered
from pipelines.engine.complaints import Standing
from pipelines.engine.errors import StoreError
from pipelines.engine.model import Domain

KPIS = "kpis"
# Figures older than this are told to be old before anything else.
OLD = timedelta(minutes=10)


def known_ward(asked: str) -> str:
    """The ward that was asked for, empty for the whole town or when nobody knows it."""
    return asked if asked in ward_names() else ""


def known_table(asked: str) -> str:
    """The table whose columns were asked for, empty for the list of all."""
    return asked if asked == KPIS or asked in _tables() else ""


def written(template: str, title: str, **more: Any) -> bytes:
    """A whole page with its style in it, so that nothing else has to be fetched."""
    head = {
        "title": f"{title} · {glass.town().name}", "style": Markup(dressing.bare_sheet(current())),
        "lang": current().code,
        "dir": current().direction, "languages": offered(),
    }  # fmt: skip
    return plain.content(template, **head, **more).encode()


# today in my ward -----------------------------------------------------------------------------------------------------


def ward_page(ward: str) -> bytes:
    """Today in a ward, or in the whole town."""
    state, names, town = glass.state(), ward_names(), glass.town()
    built = wording.moment(state["built_at"])
    old = built is None or town.now() - built > OLD
    return written(
        "public.html", _("Today in {place}", place=names.get(ward, town.name)),
        place=names.get(ward, town.name), ward=ward, names=names, state=state, old=old, files=town.filing.is_open,
        built=wording.clock(built, town.zone, town.now()) if built else "",
        parts=[_part(state, domain, ward) for domain in town.domains],
    )  # fmt: skip


def _part(state: Any, domain: Domain, ward: str) -> dict[str, Any]:
    area = f"ward:{ward}" if ward else "town"
    zone, now, lines = glass.town().zone, glass.town().now(), []
    for kpi in headlines(domain):
        shown = kpi_tile.area_for(kpi, area)
        row = kpi_tile.row_of(state, kpi, shown)
        lines.append({
            "said": said.sentence(kpi, row, shown, now),
            "status": row["status"],
            "plain": _(kpi.plain),
            "time": said.time_of(row, zone, now) if row["value"] is not None else "",
            "whole": shown != area,
        })  # fmt: skip
    return {"title": _(domain.title), "lines": lines}


# where a complaint stands ---------------------------------------------------------------------------------------------


def request_page(number: str) -> tuple[int, bytes]:
    """Status and page for a request's number."""
    status, words = 200, ""
    if number.strip():
        try:
            status, words = _answer(number.strip())
        except StoreError:
            status, words = 503, _("The requests cannot be read at the moment. Try again in a minute.")
    return status, written("public_request.html", _("Where a request stands"), number=number.strip()[:64], words=words)


def _answer(number: str) -> tuple[int, str]:
    found = glass.town().complaint(number)
    if found is None:
        return 404, (
            _(
                "There is no request with the number {number}. Write it as it stands on your receipt. "
                "A new request may take a few minutes to appear here.",
                number=number[:64],
            )
        )
    if found.joins and (first := glass.town().complaint(found.joins)) is not None:
        joined = _("Request {number} was joined to another one. Of that one:", number=found.number)
        return 200, f"{joined} {told(first, glass.town().now())}"
    return 200, told(found, glass.town().now())


def told(found: Standing, now: datetime) -> str:
    """Where a request stands, in words, with the office's answer; its place by ward only."""
    words = _stands(found, now)
    return f"{words} {_('The office answers: {words}', words=found.notes)}" if found.notes else words


def _stands(found: Standing, now: datetime) -> str:
    zone = glass.town().zone
    place = ward_names().get(found.ward, found.ward) if found.ward else ""
    about = ", ".join(filter(None, (found.about or _("no matter named"), place)))
    words = _("Request {number} ({about}) was received on {day}.").format(
        number=found.number, about=about, day=said.day(found.received_at, zone)
    )
    if found.status != "closed":
        words = f"{words} {_('It is open.')}"
    elif found.ended_at:
        words = f"{words} {_('It was closed on {day}.', day=said.day(found.ended_at, zone))}"
    else:
        words = f"{words} {_('It was closed.')}"
    if found.status == "closed" or found.promised_at is None:
        return words
    day = said.day(found.promised_at, zone)
    if found.promised_at < now:
        return _("{words} It was promised to be settled by {day}; that day is past.", words=words, day=day)
    return _("{words} It is promised to be settled by {day}.", words=words, day=day)


# open data ------------------------------------------------------------------------------------------------------------


def _tables() -> dict[str, str]:
    """Tables that everybody may take away, with what they hold."""
    return {table.name: table.meaning for table in glass.town().tables if not table.guarded}


def data_page(table: str) -> bytes:
    """The list of what may be taken away, or the words of one table."""
    rows: Sequence[dict[str, Any]] = []
    if table and table != KPIS:
        every = glass.town().dictionary()
        rows = every.filter(every["table"] == table).to_dicts()
    kpis = [(d, d.kpis) for d in glass.town().domains] if table == KPIS else []
    return written("public_data.html", _("Open data"), table=table, tables=_tables(), rows=rows, kpis=kpis, KPIS=KPIS)
