"""The council's sentences: promises kept, wards that miss them, one ward against all; each made by rule from rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components import glass, kpi_tile, said, wording
from components.domain_page import headlines
from components.said import KEPT, MISSED, UNTOLD
from pipelines.engine.composites import gap_of, sides, told
from pipelines.engine.model import Domain, Kpi

State = Mapping[str, Any]
Names = Mapping[str, str]
MOST_NAMED = 3
ALL_KEPT = "{title}: all {wards} wards keep the target of {aim}."
SOME_MISS = "{title}: {kept} of {wards} wards keep the target of {aim}; missed in {named}."
SOME_UNTOLD = "{title}: {kept} of {wards} wards keep the target of {aim}; {untold} cannot be told."
MISS_AND_UNTOLD = (
    "{title}: {kept} of {wards} wards keep the target of {aim}; missed in {named}; {untold} cannot be told."
)
NONE_TOLD = "{title}: it cannot be told whether any ward keeps the target of {aim}, for none has a figure to judge."
PROMISES = "Of {all} targets: {kept} kept, {missed} missed, {untold} that cannot be told for want of figures."
PROMISES_TOLD = "Of {all} targets: {kept} kept, {missed} missed."
APART = (
    "{title}: {mine} in {ward}, {town} in the whole town. Best is {best} with {best_figure}, worst {worst} with "
    "{worst_figure}."
)
ALIKE = "{title}: {mine} in {ward}, {town} in the whole town. No ward differs from the others by more than chance."
UNSURE = "{title}: {mine} in {ward}, {town} in the whole town. How sure the wards' figures are is not known: no order."
WARDS_APART = "{title}: best is {best} with {best_figure}, worst {worst} with {worst_figure}."
NOT_COMPARED = "{title}: not known in {ward}: {reason}. The whole town has {town}."


def judged(domain: Domain) -> list[Kpi]:
    """The headline KPIs of a domain that have a target."""
    return [kpi for kpi in headlines(domain) if said.judged(kpi)]


def promises(state: State, domains: Sequence[Domain], area: str) -> list[dict[str, Any]]:
    """Every target with whether it is kept, those that are missed first."""
    town, rows = glass.town(), []
    for domain in domains:
        for kpi in judged(domain):
            shown = kpi_tile.area_for(kpi, area)
            row = kpi_tile.row_of(state, kpi, shown)
            rows.append({
                "domain": domain, "kpi": kpi, "row": row, "area": shown, "promise": said.promise(row),
                "figure": said.figure(kpi, row, shown), "time": said.time_of(row, town.zone, town.now()),
            })  # fmt: skip
    return sorted(rows, key=lambda one: (MISSED, UNTOLD, KEPT).index(one["promise"]))


def in_short(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many of the targets are kept, in a sentence."""
    found = [one["promise"] for one in rows]
    words = {name: found.count(name) for name in (KEPT, MISSED)}
    if UNTOLD in found:
        return PROMISES.format(all=len(found), untold=found.count(UNTOLD), **words)
    return PROMISES_TOLD.format(all=len(found), **words)


def wards_that_keep(state: State, kpi: Kpi, names: Names) -> str:
    """In how many wards the target is kept, and which miss it."""
    rows = {ward: kpi_tile.row_of(state, kpi, f"ward:{ward}") for ward in names}
    found = {ward: said.promise(row) for ward, row in rows.items()}
    kept, untold = (list(found.values()).count(name) for name in (KEPT, UNTOLD))
    missed = sorted((ward for ward in names if found[ward] == MISSED), key=lambda ward: _badness(kpi, rows[ward]))
    first = next(iter(rows.values()), None)
    aim = f"{wording.aim(first)} {wording.unit(kpi.unit)}".strip() if first else ""
    words = {"title": kpi.title, "kept": kept, "wards": len(names), "aim": aim, "untold": untold,
             "named": _named([names[ward] for ward in missed])}  # fmt: skip
    if untold == len(names):
        return NONE_TOLD.format(**words)
    if missed:
        return (MISS_AND_UNTOLD if untold else SOME_MISS).format(**words)
    return (SOME_UNTOLD if untold else ALL_KEPT).format(**words)


def _badness(kpi: Kpi, row: Mapping[str, Any]) -> float:
    value = float(row["value"])
    return value if kpi.better == "higher" else -value


def _named(names: Sequence[str]) -> str:
    """Some names in a row: "Canal East, Old Fort and 3 more"."""
    if len(names) > MOST_NAMED + 1:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def compared(state: State, kpi: Kpi, names: Names, ward: str) -> Markup | None:
    """A ward against the town, the best and the worst; without a ward only these. None where nothing can be said.

    Best and worst are named only where wards differ by more than chance.
    """
    found = sides(glass.town(), state, kpi)
    gap, sure = gap_of(kpi, found), told(found)
    ends = {}
    if gap.worst and gap.best:
        ends = {"best": names[gap.best], "best_figure": _figure(state, kpi, f"ward:{gap.best}"),
                "worst": names[gap.worst], "worst_figure": _figure(state, kpi, f"ward:{gap.worst}")}  # fmt: skip
    if not ward:
        return Markup(WARDS_APART).format(title=kpi.title, **ends) if sure == "apart" and ends else None
    row = kpi_tile.row_of(state, kpi, f"ward:{ward}")
    words = {"title": kpi.title, "ward": names[ward], "town": _figure(state, kpi, "town")}
    if row["value"] is None:
        return Markup(NOT_COMPARED).format(reason=wording.reason(row), **words)
    words["mine"] = _figure(state, kpi, f"ward:{ward}")
    if sure == "apart" and ends:
        return Markup(APART).format(**words, **ends)
    return Markup(ALIKE if sure == "alike" else UNSURE).format(**words)


def _figure(state: State, kpi: Kpi, area: str) -> Markup:
    row = kpi_tile.row_of(state, kpi, area)
    if row["value"] is None:
        return Markup("{figure} (not known)").format(figure=said.figure(kpi, row, area))
    return said.figure(kpi, row, area)
