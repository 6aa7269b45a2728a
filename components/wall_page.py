"""The wall: a column for each domain, a map that turns, what nobody has acknowledged, feeds, who is on shift."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components import first_paint, glass, kpi_tile, plain, shell, wording
from components.address import View, ward_names
from components.alarm_list import against, place
from components.domain_page import by_ward, headlines, mapped
from components.freshness import feed_strip, feeds_in_a_sentence
from components.town_map import markup
from pipelines.engine.alarms.lifecycle import WAITS_FOR_A_PERSON
from pipelines.engine.model import PRIORITIES, Domain, Kpi
from pipelines.engine.people.roles import ITSELF

MOST_ALARMS = 5
MOST_WARDS = 4
OFF = ("breach", "watch")
State = Mapping[str, Any]


def page() -> bytes:
    """The whole page."""
    body = plain.content("wall.html", **_view(glass.state()))
    return plain.bare("Wall", body, extra=("plain/chime.js", "plain/wall.js"), styles=("plain/wall.css",))


def closed(words: str) -> bytes:
    """What a screen shows that may not look."""
    return plain.bare("Wall", plain.content("wall_closed.html", words=words), styles=("plain/wall.css",))


def _view(state: State) -> dict[str, Any]:
    domains, names = glass.town().domains, ward_names()
    waiting = unacknowledged(state)
    return {
        "state": state,
        "columns": [_column(state, domain, names) for domain in domains],
        "maps": [turn for domain in domains if (turn := _turn(state, domain, names))],
        "alarms": [_alarm(alarm) for alarm in waiting[:MOST_ALARMS]],
        "waiting": wording.count(len(waiting), "alarm"),
        "feeds": Markup(first_paint.to_html(feed_strip(state, troubled_only=True))),
        "feeds_sentence": feeds_in_a_sentence(state),
        "shift": on_shift(),
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
        return "Nobody took over a shift"
    return f"On shift: {handed.to}, since {wording.clock(handed.at, town.zone)}"


# columns --------------------------------------------------------------------------------------------------------------


def _column(state: State, domain: Domain, names: Mapping[str, str]) -> dict[str, Any]:
    shown = worst_first(state, headlines(domain))
    return {
        "name": domain.name,
        "title": domain.title,
        "status": shell.standing(state, domain),
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
        "title": kpi.title,
        "status": row["status"],
        "value": wording.number(row["value"], int(row["decimals"])),
        "unit": wording.unit(kpi.unit),
        "aim": wording.aim(row),
        "when": wording.when_short(row, zone),
        "why": "" if row["value"] is not None else wording.reason(row).split(";")[0],
        "spark": Markup(kpi_tile.line_of(row, kpi)),
        "sentence": wording.sentence(kpi.title, row, zone),
    }


def worst_ward(state: State, kpis: Sequence[str], names: Mapping[str, str]) -> str:
    """The ward with most of these KPIs in breach (then on watch), in words; assets/plain/wall.js says the same."""
    if not kpis:
        return "Not known by ward"
    found = {ward: [_status(state, kpi, ward) for kpi in kpis] for ward in names}
    if not any(status in ("good", *OFF) for statuses in found.values() for status in statuses):
        return "No ward has figures yet"
    counts = {ward: tuple(statuses.count(status) for status in OFF) for ward, statuses in found.items()}
    most = max(counts.values())
    if not any(most):
        return "No ward misses a target"
    alike = [names[ward] for ward, own in counts.items() if own == most]
    amount, word = (most[0], "in breach") if most[0] else (most[1], "on watch")
    if len(alike) == 1:
        return f"{alike[0]}: {amount} {word}"
    return f"{alike[0]} +{len(alike) - 1}: {amount} {word}"


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
        "unit": wording.unit(kpi.unit),
        "title": f"{domain.title}: {kpi.title}",
        "map": Markup(markup(state, kpi.id, domain.name, ward=None)),
        "wards": troubled(state, kpi, names),
    }


def troubled(state: State, kpi: Kpi, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """The wards that miss their target, worst first, each with its state; then what else there is to say."""
    rows = {ward: state["kpis"].get(f"{kpi.id}|ward:{ward}") or {} for ward in names}
    sign = 1 if kpi.better == "higher" else -1
    off = sorted(
        (ward for ward, row in rows.items() if row.get("status") in OFF),
        key=lambda ward: (OFF.index(rows[ward]["status"]), sign * rows[ward]["value"], names[ward]),
    )
    unit = wording.unit(kpi.unit)
    told = [
        (rows[w]["status"], f"{names[w]} {wording.number(rows[w]['value'], kpi.decimals)} {unit}".strip()) for w in off
    ]
    unknown = sum(row.get("value") is None for row in rows.values())
    if len(off) > MOST_WARDS:
        told[MOST_WARDS:] = [("", f"and {len(off) - MOST_WARDS} more")]
    if unknown:
        told.append(("no data", f"{wording.count(unknown, 'ward')} without figures"))
    return told or [("", "No ward misses its target")]


# alarms ---------------------------------------------------------------------------------------------------------------


def unacknowledged(state: State) -> list[Mapping[str, Any]]:
    """The alarms that wait for a person, most urgent first, the oldest first within a priority."""
    waiting = [alarm for alarm in state["alarms"] if alarm["state"] in WAITS_FOR_A_PERSON]
    return sorted(waiting, key=lambda alarm: (PRIORITIES.index(alarm["priority"]), alarm["since"], alarm["id"]))


def _alarm(alarm: Mapping[str, Any]) -> dict[str, Any]:
    where = ", ".join(filter(None, [alarm.get("asset_name") or alarm.get("asset"), place(alarm)]))
    return {**alarm, "where": where, "against": against(alarm), "age": wording.age_of(alarm["since"])}
