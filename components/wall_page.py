"""The wall: a column for each domain, a map that turns, what nobody has acknowledged, feeds, who is on shift."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components import dressing, first_paint, glass, kpi_tile, plain, shell, wording
from components.address import View, ward_names
from components.alarm_list import against, place
from components.domain_page import by_ward, headlines, mapped
from components.freshness import feed_strip, feeds_in_a_sentence
from components.tongue import _, current, n_, said
from components.town_map import markup
from pipelines.engine.alarms.lifecycle import WAITS_FOR_A_PERSON
from pipelines.engine.model import PRIORITIES, Domain, Kpi
from pipelines.engine.people.roles import ITSELF

MOST_ALARMS = 5
MOST_WARDS = 4
SHORT = 5
OFF = ("breach", "watch")
State = Mapping[str, Any]


def page() -> bytes:
    """The whole page."""
    body = plain.content("wall.html", **_view(glass.state()))
    return plain.bare(_("Wall"), body, extra=("plain/chime.js", "plain/wall.js"), style=dressing.rules(dressing.WALL))


def closed(words: str) -> bytes:
    """What a screen shows that may not look."""
    return plain.bare(_("Wall"), plain.content("wall_closed.html", words=words), style=dressing.rules(dressing.WALL))


def _view(state: State) -> dict[str, Any]:
    domains, names = glass.town().domains, ward_names()
    waiting = unacknowledged(state)
    return {
        "state": state,
        "columns": [_column(state, domain, names) for domain in domains],
        "maps": [turn for domain in domains if (turn := _turn(state, domain, names))],
        "alarms": [_alarm(alarm) for alarm in waiting[:MOST_ALARMS]],
        "waiting": waiting_words(len(waiting)),
        "flood": said(state.get("alarm_summary", {}).get("words")),
        "feeds": Markup(first_paint.to_html(feed_strip(state, troubled_only=True))),
        "feeds_sentence": feeds_in_a_sentence(state),
        "shift": on_shift(),
        "badge": Markup(first_paint.to_html(shell.badge())),
        "clock": Markup(first_paint.to_html(shell.clock())),
        "built": shell.built(state),
    }


def on_shift() -> str:
    """Who took the shift over last, in words.

    Raises StoreError.
    """
    town = glass.town()
    handed = town.shift.begun(ITSELF, town.now())
    if handed is None:
        return _("Nobody took over a shift")
    clock = wording.clock(handed.at, town.zone)
    return _("On shift: {name}, since {clock}", name=current().apart(str(handed.to)), clock=clock)


def waiting_words(n: int) -> str:
    """How many alarms nobody has acknowledged, as a heading; assets/plain/wall.js says the same."""
    if not n:
        return _("No alarm waits")
    return n_("{n} alarm not acknowledged", "{n} alarms not acknowledged", n)


# columns --------------------------------------------------------------------------------------------------------------


def _column(state: State, domain: Domain, names: Mapping[str, str]) -> dict[str, Any]:
    shown = worst_first(state, headlines(domain))
    return {
        "name": domain.name,
        "title": _(domain.title),
        "status": shell.standing(state, domain),
        "standing": shell.standing_words(state, domain),
        "headlines": " ".join(kpi.id for kpi in domain.kpis if kpi.headline),
        "tiles": [_tile(state, kpi) for kpi in shown],
        "wards": " ".join(kpi.id for kpi in headlines(domain) if "ward" in kpi.levels),
        "worst": worst_ward(state, [kpi.id for kpi in headlines(domain) if "ward" in kpi.levels], names),
    }


def worst_first(state: State, kpis: Sequence[Kpi]) -> list[Kpi]:
    """The KPIs by how much they need people, as the page's script keeps them."""

    def rank(kpi: Kpi) -> int:
        return wording.SEVERITY.index(kpi_tile.row_of(state, kpi, "town")["status"])

    return sorted(kpis, key=rank)


def _tile(state: State, kpi: Kpi) -> dict[str, Any]:
    row, zone = kpi_tile.row_of(state, kpi, "town"), glass.town().zone
    return {
        "live": kpi_tile.live(kpi, row, "town"),
        "title": _(kpi.title),
        "status": row["status"],
        "value": wording.number(row["value"], int(row["decimals"])),
        "unit": wording.unit(kpi.unit),
        "aim": wording.aim(row),
        "old": wording.age_of(row["as_of"]) if row["as_of"] else "",
        "why": "" if row["value"] is not None else wording.reason(row).split(";")[0],
        "spark": Markup(kpi_tile.line_of(row, kpi)),
        "sentence": wording.sentence(_(kpi.title), row, zone),
    }


def worst_ward(state: State, kpis: Sequence[str], names: Mapping[str, str]) -> str:
    """The ward with most of these KPIs in breach (then on watch), in words; assets/plain/wall.js says the same."""
    if not kpis:
        return _("Not known by ward")
    found = {ward: [_status(state, kpi, ward) for kpi in kpis] for ward in names}
    if not any(status in ("good", *OFF) for statuses in found.values() for status in statuses):
        return _("No ward has figures yet")
    counts = {ward: tuple(statuses.count(status) for status in OFF) for ward, statuses in found.items()}
    most = max(counts.values())
    if not any(most):
        return _("No ward misses a target")
    alike = [names[ward] for ward, own in counts.items() if own == most]
    worst = alike[0] if len(alike) == 1 else f"{alike[0]} +{wording.number(len(alike) - 1, 0)}"
    words = {"ward": current().apart(worst)}
    if most[0]:
        return n_("{ward}: {n} in breach", "{ward}: {n} in breach", most[0], **words)
    return n_("{ward}: {n} on watch", "{ward}: {n} on watch", most[1], **words)


def _status(state: State, kpi: str, ward: str) -> str:
    return str((state["kpis"].get(f"{kpi}|ward:{ward}") or {}).get("status", "no data"))


# the map that turns ---------------------------------------------------------------------------------------------------


def _turn(state: State, domain: Domain, names: Mapping[str, str]) -> dict[str, Any] | None:
    """One side of the map; none for a domain that has nothing by ward."""
    kpi = mapped(domain, View(), state) if by_ward(domain) else None
    if kpi is None:
        return None
    return {
        "kpi": kpi.id,
        "domain": domain.name,
        "better": kpi.better,
        "decimals": kpi.decimals,
        "unit": _short_unit(kpi),
        "title": f"{_(domain.title)}: {_(kpi.title)}",
        "map": Markup(markup(state, kpi.id, domain.name, ward=None)),
        "wards": troubled(state, kpi, names),
    }


def _short_unit(kpi: Kpi) -> str:
    """The unit where it leaves room for the ward's name; the tile above tells it in any case."""
    unit = wording.unit(kpi.unit)
    return unit if len(unit) <= SHORT else ""


def troubled(state: State, kpi: Kpi, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """The wards that miss their target, worst first, each with its state; then what else there is to say."""
    rows = {ward: state["kpis"].get(f"{kpi.id}|ward:{ward}") or {} for ward in names}
    sign = 1 if kpi.better == "higher" else -1
    off = sorted(
        (ward for ward, row in rows.items() if row.get("status") in OFF),
        key=lambda ward: (OFF.index(rows[ward]["status"]), sign * rows[ward]["value"], names[ward]),
    )
    unit = _short_unit(kpi)
    apart = current().apart
    figures = {w: f"{wording.number(rows[w]['value'], kpi.decimals)} {unit}".strip() for w in off}
    told = [(str(rows[w]["status"]), f"{apart(names[w])} {apart(figures[w])}") for w in off]
    unknown = sum(row.get("value") is None for row in rows.values())
    if len(off) > MOST_WARDS:
        told[MOST_WARDS:] = [("", _("and {n} more", n=wording.number(len(off) - MOST_WARDS, 0)))]
    if unknown:
        told.append(("no data", n_("{n} without figures", "{n} without figures", unknown)))
    return told or [("", _("No ward misses its target"))]


# alarms ---------------------------------------------------------------------------------------------------------------


def unacknowledged(state: State) -> list[Mapping[str, Any]]:
    """The alarms that wait for a person, most urgent first, the oldest first within a priority."""
    waiting = [alarm for alarm in state["alarms"] if alarm["state"] in WAITS_FOR_A_PERSON]
    return sorted(waiting, key=lambda alarm: (PRIORITIES.index(alarm["priority"]), alarm["since"], alarm["id"]))


def _alarm(alarm: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **alarm, "title": said(alarm["title"]), "where": where(alarm), "against": against(alarm),
        "age": wording.age_of(alarm["since"]),
    }  # fmt: skip


def where(alarm: Mapping[str, Any]) -> str:
    """Where an alarm rings: its asset and its ward."""
    return _(", ").join(filter(None, [alarm.get("asset_name") or alarm.get("asset"), place(alarm)]))
