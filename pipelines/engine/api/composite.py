"""What the API tells of KPIs over KPIs: the wards side by side, the gap between them, the town's score."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import polars as pl
from fastapi import Response

from pipelines.engine import composites
from pipelines.engine.api.answers import answer
from pipelines.engine.api.board import state
from pipelines.engine.asking import Misasked, Span, one_of
from pipelines.engine.calendar import after, floor
from pipelines.engine.composites import COMPOSITES, SCORE_SPANS, TOWN_SCORE, WARD_EQUITY_GAP, Composite
from pipelines.engine.equity import fair
from pipelines.engine.model import Column, Kpi
from pipelines.engine.spans import Extract, of_frame
from pipelines.engine.town import Town

IDS = tuple(one.id for one in COMPOSITES)
WORDS = {
    "apart": "wards of different tiers differ by more than chance; those of one tier are alike",
    "alike": "no ward differs from the others by more than chance",
    "unsure": "nothing tells yet how sure these values are: no order is meant",
}
HISTORY_COLUMNS = (
    Column(name="window", kind="instant", meaning="Start of the window."),
    Column(name="end", kind="instant", meaning="Its end."),
    Column(name="area", meaning="kpi:<id> for the gap between wards, town for the score."),
    Column(name="value", kind="number", meaning="Its value; empty = unknown."),
    Column(name="numerator", kind="number", meaning="Value of the worst ward; sum of the scores."),
    Column(name="denominator", kind="number", meaning="Value of the best ward; number of scores."),
    Column(name="n", kind="integer", meaning="Wards or KPIs in it."),
)


def wards(town: Town, kpi: Kpi) -> Response:
    """The wards side by side for one KPI, with intervals, tiers and the gap.

    Raises Misasked when the KPI is not known by ward.
    """
    return answer(_wards(town, kpi))


def _wards(town: Town, kpi: Kpi) -> dict[str, Any]:
    if not composites.by_ward(kpi):
        known = ", ".join(k.id for k in town.settings.kpis if composites.by_ward(k))
        raise Misasked(f"{kpi.id} is given for {', '.join(kpi.levels)}, not by ward. Known by ward are: {known}.", 404)
    sides = composites.sides(town, state(town), kpi)
    gap = composites.gap_of(kpi, sides)
    return {
        "kpi": kpi.id, "unit": kpi.unit, "better": kpi.better, **asdict(gap), "fair": fair(gap.ratio, kpi.better),
        "told": composites.told(sides), "words": WORDS[composites.told(sides)],
        "wards": [asdict(side) for side in sides],
    }  # fmt: skip


def explained(town: Town, composite: str, area: str) -> Response:
    """All that is known about a composite: formula, members, what was left out and why.

    Raises Misasked when the area is none of its own.
    """
    declared = next(one for one in COMPOSITES if one.id == composite)
    body = {"kpi": declared.id, **_declared(declared), "area": area, "revisions": [], "tunables": []}
    if declared is WARD_EQUITY_GAP:
        found = _wards(town, _member(town, area))
        inputs = [{"name": found["kpi"], "kind": "kpi", "rows": f"../{found['kpi']}/wards"}]
        return answer({**body, "value": found["gap"], "comparison": found, "inputs": inputs})
    return answer({**body, **_score(town)})


def _declared(declared: Composite) -> dict[str, Any]:
    names = ("catalogue", "title", "plain", "formula", "standard", "unit", "better", "target")
    return {name: getattr(declared, name) for name in names}


def _member(town: Town, area: str) -> Kpi:
    known = [kpi.id for kpi in town.settings.kpis if composites.by_ward(kpi)]
    name = one_of("area of this KPI", area, [f"kpi:{kpi}" for kpi in known], 404)
    return town.kpi(str(name).removeprefix("kpi:"))


def _score(town: Town) -> dict[str, Any]:
    """The score now and over the spans, with every KPI's part in it."""
    members = composites.judgeable(town)
    past = composites.town_past(town, members, town.now() - composites.LONGEST)
    now = composites.scores(town, composites.board_values(state(town)), past)
    spans = {
        name: composites.summary(composites.scores(town, composites.span_values(past, town.now() - reach), past))
        for name, reach in SCORE_SPANS.items()
    }
    inputs = [{"name": kpi.id, "kind": "kpi", "rows": f"../{kpi.id}/history?area=town"} for kpi in members]
    found = composites.summary(now)
    return {
        **found, "spans": spans, "members": [asdict(one) for one in now if one.score is not None],
        "left_out": [{"kpi": one.kpi, "reason": one.reason} for one in now if one.score is None], "inputs": inputs,
    }  # fmt: skip


def history(town: Town, composite: str, areas: list[str] | None, asked: Span) -> Extract:
    """The values that a composite had, from the newest published values of its members.

    Raises Misasked when an area is none of its own.
    """
    if composite == TOWN_SCORE.id:
        return of_frame(composite, _score_days(town, asked.start, asked.end), HISTORY_COLUMNS)
    if not areas:
        raise Misasked(f"Name the KPI: area=kpi:<id>, for example area=kpi:{_some(town)}.")
    frames = [composites.gap_history(town, _member(town, area), asked.start, asked.end) for area in areas]
    return of_frame(composite, pl.concat(frames), HISTORY_COLUMNS)


def _some(town: Town) -> str:
    return next((kpi.id for kpi in town.settings.kpis if composites.by_ward(kpi)), "none is known by ward")


def _score_days(town: Town, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """The score of each local day: the means of the values whose windows began in it."""
    last = end or town.now()
    first = floor(start or last - composites.LONGEST, "day", town.zone)
    past = composites.town_past(town, composites.judgeable(town), first - composites.LONGEST, last)
    found: list[tuple[Any, ...]] = []
    while first < last:
        closed = after(first, "day", town.zone)
        before = {kpi: [(at, v) for at, v in own if at < closed] for kpi, own in past.items()}
        told = composites.summary(composites.scores(town, composites.span_values(before, first), before))
        found.append((first, closed, "town", told["value"], told["numerator"], told["denominator"], told["n"]))
        first = closed
    return pl.DataFrame(found, schema=composites.GAP_HISTORY, orient="row")
