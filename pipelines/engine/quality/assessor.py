"""Judges readings by their neighbours: what has landed makes spans due, and the verdict is that of the whole series."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf

import polars as pl

from pipelines.engine.model import INSTANT
from pipelines.engine.quality import checks
from pipelines.engine.quality.checks import DAY_US
from pipelines.engine.quality.waiting import PATIENCE, Due, Waiting
from pipelines.engine.registers import Registers
from pipelines.engine.store import Store
from pipelines.engine.tables import ESTIMATED

# A gap of more than three intervals is the unknown: no rule reaches over it.
GAP_INTERVALS = 3
# A copied block is looked for in so many intervals, at least an hour; series slower than this repeat days by chance.
BLOCK_INTERVALS, SHORTEST_BLOCK_S, SLOWEST_S = 16, 3600.0, 7200.0
# About so many rows are read and judged at once.
MOST_ROWS = 100_000
COLUMNS = ["series", "observed_at", "value", "quality", "_received_at"]
REGION = pl.Schema(
    {"series": pl.Int32(), "low": pl.Int64(), "high": pl.Int64(), "reach": pl.Int64(), "every": pl.Float64()}
)


class Assessor(Waiting):
    """Knows what is due and judges it. The verdict on a row is a function of the stored series alone, so the order,
    the doubling and the delay of what comes change nothing in the end.
    """

    def __init__(self, store: Store, registers: Registers) -> None:
        self._store, self._registers = store, registers
        super().__init__()
        self._limits = pl.DataFrame(schema=checks.LIMITS)
        self._every: dict[int, float] = {}
        self._block: dict[int, int] = {}

    def use(self, numbers: Mapping[str, int]) -> None:
        """Take the current numbering of sensors."""
        self._limits, every = limits(self._registers, numbers)
        series = self._limits["series"]
        self._pace = {s: min(timedelta(seconds=e), PATIENCE) for s, e in zip(series, every, strict=True)}
        self._every = {s: e * 1e6 for s, e in zip(series, every, strict=True)}
        self._reach = dict(zip(series, checks.reach(self._limits), strict=True))
        self._block = dict(zip(series, self._limits["block"], strict=True))

    def judge(self, taken: dict[int, Due], now: datetime, budget_s: float = inf) -> "Verdict":
        """Judge what was taken up, within about a budget of seconds; what did not fit is left."""
        began, left = time.perf_counter(), dict(taken)
        frames: list[pl.DataFrame] = []
        for chunk in self._chunks(taken, int(now.timestamp() * 1e6)):
            if frames and time.perf_counter() - began >= budget_s:
                break
            frames.append(self._judged(chunk))
            for series in chunk["series"].unique():
                del left[series]
        return Verdict(frames, taken, left)

    def confirm(self, verdict: "Verdict") -> pl.DataFrame:
        """The rows to be written (shape: WRITTEN). What was touched while it was judged is left out and stays due."""
        again = self.again(verdict.taken)
        self.undo({**verdict.left, **{series: verdict.taken[series] for series in again}})
        rows = pl.concat([pl.DataFrame(schema=WRITTEN), *verdict.frames])
        return rows.filter(~pl.col("series").is_in(again))

    def _chunks(self, ready: Mapping[int, Due], now: int) -> Iterator[pl.DataFrame]:
        """The regions to be judged, those of a time together, in portions of moderate size (shape: REGION)."""
        rows = [region for series, due in ready.items() for region in self._regions(series, due, now)]
        regions = pl.DataFrame(rows, schema=REGION, orient="row").sort("low", "series")
        size = 2 * (pl.col("high") - pl.col("low") + 2 * pl.col("reach")) / pl.col("every")
        portion = (size.cum_sum() / MOST_ROWS).floor()
        whole = regions.with_columns(_portion=portion).with_columns(pl.col("_portion").min().over("series"))
        for _, part in whole.group_by("_portion", maintain_order=True):
            yield part.select(list(REGION))

    def _regions(self, series: int, due: Due, now: int) -> Iterator[tuple[int, int, int, int, float]]:
        """Where touched rows can have changed the verdict: around them, and a day later if that has come."""
        reach, block, every = self._reach[series], self._block[series], self._every[series]
        for low, high in due.spans:
            yield series, low - reach, high + reach, reach, every
            if block and low + DAY_US - block <= now:
                yield series, low + DAY_US - block, high + DAY_US + block, reach, every

    def _judged(self, regions: pl.DataFrame) -> pl.DataFrame:
        """The rows of some regions whose quality must change (shape: WRITTEN)."""
        measured = pl.col("value").is_not_null() & (pl.col("quality") != ESTIMATED)
        rows = self._neighbourhood(regions).filter(measured).sort("series", "observed_at")
        found = rows.with_columns(_code=checks.codes(rows.select("series", "observed_at", "value"), self._limits))
        changed = found.filter(pl.col("_code") != pl.col("quality"))
        at = pl.col("observed_at").dt.epoch("us")
        inside = changed.join(regions, on="series").filter((at >= pl.col("low")) & (at <= pl.col("high")))
        keys = inside.select("series", "observed_at").unique()
        kept = changed.join(keys, on=["series", "observed_at"], how="semi")
        return kept.with_columns(quality=pl.col("_code")).select(COLUMNS).cast(WRITTEN)

    def _neighbourhood(self, regions: pl.DataFrame) -> pl.DataFrame:
        """The rows that bear on the verdict: around the regions, and around them a day before."""
        low, high = pl.col("low") - pl.col("reach"), pl.col("high") + pl.col("reach")
        near = regions.select("series", low=low, high=high)
        before = near.with_columns(pl.col("low") - DAY_US, pl.col("high") - DAY_US)
        parts = [self._read(part) for part in _together(pl.concat([near, before]))]
        return pl.concat(parts)

    def _read(self, spans: pl.DataFrame) -> pl.DataFrame:
        start, end = _instant(spans["low"].min()), _instant(spans["high"].max()) + timedelta(microseconds=1)
        ids = spans["series"].unique().to_list()
        rows = self._store.rows(
            "readings", start, end, "series IN (SELECT unnest($ids))", {"ids": ids}, columns=COLUMNS
        )
        return rows.cast(WRITTEN)


@dataclass(frozen=True)
class Verdict:
    """What was judged: the rows whose quality changes, what was due of each series, and what of it is left."""

    frames: list[pl.DataFrame]
    taken: dict[int, Due]
    left: dict[int, Due]


WRITTEN = pl.Schema(
    {
        "series": pl.Int32(),
        "observed_at": INSTANT,
        "value": pl.Float64(),
        "quality": pl.UInt8(),
        "_received_at": INSTANT,
    }
)


def limits(registers: Registers, numbers: Mapping[str, int]) -> tuple[pl.DataFrame, pl.Series]:
    """The limits of every numbered sensor, and the seconds between its readings.

    Shape: checks.LIMITS.
    """
    named = pl.DataFrame(
        {"sensor": list(numbers), "series": list(numbers.values())}, schema={"sensor": pl.String, "series": pl.Int32}
    )
    quantities = pl.DataFrame(
        [
            (q.name, q.most_per_hour, q.spike, q.stuck_after and q.stuck_after.total_seconds(), q.rests_at)
            for q in registers.quantities.values()
            if not q.counter
        ],
        schema=dict.fromkeys(("quantity", "rate", "spike", "stuck_s", "rest"), pl.Float64) | {"quantity": pl.String},
        orient="row",
    )
    sensors = registers.sensors.join(named, on="sensor").join(quantities, on="quantity")
    gap_s, every_s = GAP_INTERVALS * pl.col("every_s"), pl.col("every_s")
    block_s = pl.max_horizontal(BLOCK_INTERVALS * every_s, SHORTEST_BLOCK_S)
    stuck_s = pl.max_horizontal(pl.coalesce("stuck_after_s", "stuck_s"), 2 * gap_s)
    found = sensors.select(
        "series",
        gap=_us(gap_s),
        rate="rate",
        spike="spike",
        stuck=_us(pl.when(pl.coalesce("stuck_after_s", "stuck_s").is_not_null()).then(stuck_s)),
        rest="rest",
        block=_us(pl.when(every_s <= SLOWEST_S).then(block_s).otherwise(0.0)),
    )
    return found.cast(checks.LIMITS), sensors["every_s"]


def _us(seconds: pl.Expr) -> pl.Expr:
    return (seconds * 1e6).cast(pl.Int64)


def _together(spans: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Spans in groups that overlap in time, so that each group is one read."""
    ordered = spans.sort("low")
    apart = (pl.col("low") > pl.col("high").cum_max().shift()).fill_null(value=False)
    yield from ordered.with_columns(_g=apart.cum_sum()).partition_by("_g", include_key=False)


def _instant(us: object) -> datetime:
    assert isinstance(us, int)
    return datetime.fromtimestamp(us // 1_000_000, UTC) + timedelta(microseconds=us % 1_000_000)
