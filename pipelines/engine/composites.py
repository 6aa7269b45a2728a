"""KPIs made of published KPI values: the gap between wards (CO-01) and the town's score (CO-02).

Nothing of them is stored: they follow from the board and the published values, so a correction corrects them too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from pipelines.engine.calendar import length
from pipelines.engine.equity import MIN_RESIDENTS, Gap, Side, compared, fair, interval, ward_gap
from pipelines.engine.model import INSTANT, Kpi
from pipelines.engine.town_score import CAP, DIRECTIONS, Scored, mean_score, scored

if TYPE_CHECKING:
    from pipelines.engine.town import Town

Row = Mapping[str, Any]
Values = Mapping[str, Sequence[tuple[datetime, float]]]
# So many windows back tell how much a ward swings by itself.
SWING_WINDOWS = 13
SCORE_SPANS = {"week": timedelta(days=7), "month": timedelta(days=30), "quarter": timedelta(days=90)}
LONGEST = max(SCORE_SPANS.values())
GAP_HISTORY = pl.Schema(
    {
        "window": INSTANT, "end": INSTANT, "area": pl.String(), "value": pl.Float64(), "numerator": pl.Float64(),
        "denominator": pl.Float64(), "n": pl.Int64(),
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Composite:
    """A KPI over KPIs: what people need to know to believe its value."""

    id: str
    catalogue: str
    title: str
    plain: str
    formula: str
    standard: str
    unit: str
    better: Literal["higher", "lower"]
    target: float


WARD_EQUITY_GAP = Composite(
    id="ward_equity_gap",
    catalogue="CO-01",
    title="Gap between wards",
    plain="How far the worst ward is behind the best, for each KPI that is known by ward.",
    formula="best - worst (percentages in points); ratio = worst / best, numerator and denominator; wards under "
    f"{MIN_RESIDENTS} residents are left out. Fair while the ratio is at least 0.8 (lower is better: at most 1.25).",
    standard="ISO 37120 and SDG 11 disaggregation; four-fifths rule (convention)",
    unit="as the KPI",
    better="lower",
    target=0.8,
)
TOWN_SCORE = Composite(
    id="town_score",
    catalogue="CO-02",
    title="Town score",
    plain="One number for the town: 1 means on target, above 1 better.",
    formula="Mean of the KPIs' scores: value / target (higher is better) or target / value (lower is better), each "
    f"rounded up to two decimals and at most {CAP:g}; the mean rounded up. The raw mean, neither rounded nor capped, "
    "stands in `detail`. A target of 0 gives way to mean + deviation of over 90 published values.",
    standard="City of Boston, CityScore Toolkit",
    unit="1",
    better="higher",
    target=1.0,
)
COMPOSITES = (WARD_EQUITY_GAP, TOWN_SCORE)


def by_ward(kpi: Kpi) -> bool:
    """Whether the KPI is known by ward."""
    return "ward" in kpi.levels


def rows(town: "Town", state: Row) -> list[dict[str, Any]]:
    """The composites as they stand on the board: rows like those of KPIs."""
    gaps = [_gap_row(town, state, kpi) for kpi in town.settings.kpis if by_ward(kpi)]
    return [*gaps, _score_row(town, state)]


def sides(town: "Town", state: Row, kpi: Kpi, *, past: bool = True) -> list[Side]:
    """The wards of the board for one KPI, grouped into tiers from the worst.

    `past`: look up how much a ward swings where nothing else tells how sure its value is.
    """
    wards = {ward: (number or 0.0) for ward, number in town.wards().select("ward", "population").iter_rows()}
    found = {ward: state["kpis"].get(f"{kpi.id}|ward:{ward}") or {} for ward in wards}
    known = [row for row in found.values() if row.get("value") is not None]
    unsure = past and any(interval(row, kpi.scale, ())[0] is None for row in known)
    swings = _swings(town, kpi, wards) if unsure else {}
    made = [_side(kpi, ward, found[ward], people, swings.get(ward, ())) for ward, people in wards.items()]
    return compared(made, kpi.better)


def _side(kpi: Kpi, ward: str, row: Row, people: float, past: Iterable[float | None]) -> Side:
    value = row.get("value")
    if value is None:
        return Side(ward, None, population=people, hidden=row.get("reason") or "no value")
    ends, method = interval(row, kpi.scale, past)
    low, high = ends or (None, None)
    hidden = f"under {MIN_RESIDENTS} residents" if 0 < people < MIN_RESIDENTS else None
    return Side(ward, value, low, high, method, row.get("n"), people, hidden)


def _swings(town: "Town", kpi: Kpi, wards: Iterable[str]) -> dict[str, list[float]]:
    """The earlier published values of each ward."""
    since = town.now() - length(kpi.window) * SWING_WINDOWS - (kpi.settles or timedelta(0))
    past = town.history(kpi.id, [f"ward:{ward}" for ward in wards], since, None).drop_nulls("value")
    return {
        str(area).removeprefix("ward:"): part["value"].to_list()
        for (area,), part in past.partition_by("area", as_dict=True).items()
    }


def gap_of(kpi: Kpi, wards: Iterable[Side]) -> Gap:
    """The equity gap of the wards that may be compared."""
    shown = [side for side in wards if side.hidden is None]
    return ward_gap({s.ward: s.value for s in shown}, {s.ward: s.population for s in shown}, kpi.better)


def told(wards: Sequence[Side]) -> Literal["apart", "alike", "unsure"]:
    """Whether some wards differ by more than chance, none does, or nothing tells: fewer than two are sure."""
    tiers = [side.tier for side in wards if side.tier is not None]
    if len(tiers) < 2:
        return "unsure"
    return "apart" if len(set(tiers)) > 1 else "alike"


def _gap_row(town: "Town", state: Row, kpi: Kpi) -> dict[str, Any]:
    wards = sides(town, state, kpi, past=False)
    gap = gap_of(kpi, wards)
    values = {side.ward: side.value for side in wards}
    known = [side.ward for side in wards if side.value is not None]
    like: Row = state["kpis"][f"{kpi.id}|ward:{known[0]}"] if known else {}
    judged = fair(gap.ratio, kpi.better)
    status = "no data" if gap.gap is None else {True: "good", False: "breach", None: "context"}[judged]
    words = f"worst {gap.worst}, best {gap.best}, ratio {gap.ratio:.3f}" if gap.ratio is not None else None
    return {
        "kpi": WARD_EQUITY_GAP.id, "domain": town.settings.domain_of(kpi.id), "area": f"kpi:{kpi.id}", "ward": None,
        "value": gap.gap, "unit": kpi.unit, "target": None, "better": "lower", "decimals": kpi.decimals,
        "status": status, "numerator": values.get(gap.worst or ""), "denominator": values.get(gap.best or ""),
        "n": gap.wards, "n_expected": len(wards), "coverage": gap.wards / len(wards) if wards else None,
        "reason": None if gap.gap is not None else "no ward has a value", "detail": words,
        **{name: like.get(name) for name in ("window_start", "window_end", "as_of")},
    }  # fmt: skip


def judgeable(town: "Town") -> list[Kpi]:
    """The KPIs that have a direction and stand for the town."""
    return [k for k in town.settings.kpis if k.better in DIRECTIONS and k.target is not None and "town" in k.levels]


def scores(town: "Town", values: Mapping[str, float | None], past: Values) -> list[Scored]:
    """Every judgeable KPI with its score; `past` are published values of the town, for targets of history."""
    return [
        scored(
            k.id, values.get(k.id), k.target, DIRECTIONS[k.better],
            [value for _, value in past.get(k.id, ())] if not k.target else (),
        )
        for k in judgeable(town)
    ]  # fmt: skip


def without_ratio(town: "Town") -> Values:
    """The values of ninety days of the KPIs whose target is 0, from which their targets of history come."""
    return town_past(town, [kpi for kpi in judgeable(town) if not kpi.target], town.now() - LONGEST)


def board_values(state: Row) -> dict[str, float | None]:
    """The town's values that stand now: neither stale nor under their data capture."""
    return {
        row["kpi"]: row["value"]
        for row in state["kpis"].values()
        if row["area"] == "town" and row["status"] not in ("stale", "no data")
    }


def span_values(past: Values, since: datetime) -> dict[str, float | None]:
    """The mean of each KPI's published values since an instant; the score is that of the mean."""
    means: dict[str, float | None] = {}
    for kpi, published in past.items():
        own = [value for at, value in published if at >= since]
        means[kpi] = sum(own) / len(own) if own else None
    return means


def town_past(town: "Town", kpis: Iterable[Kpi], since: datetime, until: datetime | None = None) -> Values:
    """Published values of the town by KPI since an instant, each with the start of its window."""
    newest = town.town_values([kpi.id for kpi in kpis], since, until)
    return {
        str(kpi): list(part.select("window", "value").iter_rows())
        for (kpi,), part in newest.partition_by("kpi", as_dict=True).items()
    }


def summary(members: Sequence[Scored]) -> dict[str, Any]:
    """The score of the town from those of its KPIs, with the raw one beside it."""
    known = [one for one in members if one.score is not None]
    raw = [one.raw for one in known if one.raw is not None]
    measured = sum(one.value is not None for one in members)
    return {
        "value": mean_score(one.score for one in known),
        "raw": sum(raw) / len(raw) if raw else None,
        "numerator": sum(one.score for one in known if one.score is not None) if known else None,
        "denominator": float(len(known)) if known else None,
        "n": len(known),
        "n_expected": len(members),
        "measured": measured,
    }


def _score_row(town: "Town", state: Row) -> dict[str, Any]:
    values = board_values(state)
    found = summary(scores(town, values, without_ratio(town)))
    value, raw = found["value"], found.pop("raw")
    status = "no data" if value is None else "good" if value >= 1 else "watch" if value >= 0.9 else "breach"
    found.pop("measured")
    return {
        "kpi": TOWN_SCORE.id, "domain": None, "area": "town", "ward": None, **found,
        "unit": TOWN_SCORE.unit, "target": TOWN_SCORE.target, "better": TOWN_SCORE.better, "decimals": 2,
        "status": status, "window_start": None, "window_end": None, "as_of": state["built_at"],
        "coverage": found["n"] / found["n_expected"] if found["n_expected"] else None,
        "reason": None if value is not None else "no KPI with a target has a value",
        "detail": None if raw is None else f"raw {raw:.4f}: neither rounded up nor capped at {CAP:g}",
    }  # fmt: skip


def gap_history(town: "Town", kpi: Kpi, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """The gap of every published window. Shape: window, end, area, value, numerator (worst), denominator (best), n."""
    people = dict(town.wards().select("ward", "population").iter_rows())
    large = [ward for ward, number in people.items() if not 0 < (number or 0) < MIN_RESIDENTS]
    past = town.history(kpi.id, [f"ward:{ward}" for ward in large], start, end)
    found = []
    for (window, closed), part in past.partition_by("window", "end", as_dict=True, maintain_order=True).items():
        values = {area.removeprefix("ward:"): value for area, value in part.select("area", "value").iter_rows()}
        gap = ward_gap(values, people, kpi.better)
        ends = (values.get(gap.worst or ""), values.get(gap.best or ""))
        found.append((window, closed, f"kpi:{kpi.id}", gap.gap, *ends, gap.wards))
    return pl.DataFrame(found, schema=GAP_HISTORY, orient="row").sort("window")
