"""Corrections that people are told: published values that late data changed by more than their tolerance."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from pipelines.engine.calendar import extent
from pipelines.engine.figures import shown
from pipelines.engine.judge import LATE_INTERVALS, standing
from pipelines.engine.model import Kpi
from pipelines.engine.store import Store
from pipelines.engine.tables import KPI_CORRECTIONS

# Without a declared tolerance, a hundredth of what was said, and at least what can be seen in the figure.
SHARE = 0.01
MICROSECOND = timedelta(microseconds=1)
Key = tuple[str, str, datetime]


class Said(NamedTuple):
    """A value that was published, and when."""

    value: float | None
    at: datetime
    told: bool = False


class Correcting:
    """Holds newly published revisions against what was said before of the same windows.

    What comes within the ordinary delay of a KPI's data completes a value; only what comes later corrects it.
    """

    def __init__(self, store: Store, kpis: Iterable[Kpi], every_s: Mapping[str, float | None]) -> None:
        self._store = store
        self._kpis = {kpi.id: kpi for kpi in kpis}
        self._grace = {name: grace(kpi, every_s.get(name)) for name, kpi in self._kpis.items()}

    def notices(self, published: pl.DataFrame) -> pl.DataFrame:
        """The corrections among newly published values.

        Shape: tables.KPI_CORRECTIONS; published is tables.KPI_VALUES.
        """
        patience = pl.col("kpi").replace_strict(self._grace, default=None, return_dtype=pl.Duration("us"))
        late = published.filter((pl.col("revision") > 1) & (pl.col("computed_at") > pl.col("end") + patience))
        if late.is_empty():
            return pl.DataFrame(schema=KPI_CORRECTIONS.schema)
        said = self._said(late)
        rows = [self._notice(row, said[row["kpi"], row["area"], row["window"]]) for row in late.iter_rows(named=True)]
        return pl.DataFrame([row for row in rows if row], schema=KPI_CORRECTIONS.schema, orient="row")

    def _said(self, late: pl.DataFrame) -> dict[Key, Said]:
        """What people hold for true of each window: the value last told as corrected, else the one that settled."""
        first, last = extent(late["window"])
        which = {"kpis": late["kpi"].unique().to_list()}
        keys = late.select("kpi", "area", "window").unique()
        before = self._store.rows("kpi_values", first, last + MICROSECOND, "kpi IN (SELECT unnest($kpis))", which)
        held: dict[Key, Said] = {}
        ordered = before.join(keys, on=["kpi", "area", "window"], how="semi").sort("revision")
        names: tuple[str, ...] = ("kpi", "area", "window", "end", "value", "computed_at")
        for kpi, area, window, end, value, at in ordered.select(names).iter_rows():
            known = held.get((kpi, area, window))
            if known is None or known.value is None or at <= end + self._grace[kpi]:
                held[kpi, area, window] = Said(value, at)
        told = self._store.rows("kpi_corrections", None, None, "kpi IN (SELECT unnest($kpis))", which)
        names = ("kpi", "area", "window", "after", "corrected_at")
        for kpi, area, window, value, at in told.sort("revision").select(names).iter_rows():
            if (kpi, area, window) in held:
                held[kpi, area, window] = Said(value, at, told=True)
        return held

    def _notice(self, row: Mapping[str, Any], said: Said) -> tuple[Any, ...] | None:
        """The row of a notice; None where nothing was said yet, or the change is within the tolerance."""
        kpi, after = self._kpis[row["kpi"]], row["value"]
        if said.value is None and not said.told:
            return None
        allowed = None if said.value is None else tolerance(kpi, said.value)
        states = (standing(kpi, said.value), standing(kpi, after))
        if states[0] == states[1] and _near(said.value, after, allowed):
            return None
        return (
            row["computed_at"], kpi.id, row["area"], row["window"], row["end"], said.value, after, *states,
            row["reason"], said.at, row["revision"], allowed,
        )  # fmt: skip


def _near(before: float | None, after: float | None, allowed: float | None) -> bool:
    if before is None or after is None or allowed is None:
        return before is after
    return abs(after - before) <= allowed


def grace(kpi: Kpi, every_s: float | None) -> timedelta:
    """How long after its window has ended a value may still be completed without being a correction."""
    return max(timedelta(seconds=(every_s or 0.0) * LATE_INTERVALS), kpi.settles or timedelta(0))


def tolerance(kpi: Kpi, value: float) -> float:
    """By how much a value may change before people are told, in the KPI's unit."""
    if kpi.tolerance is not None:
        return kpi.tolerance
    seen = float(shown(10.0**-kpi.decimals, kpi.decimals))
    return max(abs(value) * SHARE, seen)
