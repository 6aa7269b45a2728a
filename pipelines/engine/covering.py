"""What has come of what was expected, for the windows of many KPIs at once: by readings, or by the feeds' arrivals."""

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from pipelines.engine import coverage
from pipelines.engine.calendar import extent
from pipelines.engine.completing import BY_AREA
from pipelines.engine.coverage import PART
from pipelines.engine.covered import Covered
from pipelines.engine.inputs import Inputs
from pipelines.engine.model import INSTANT
from pipelines.engine.timed import between
from pipelines.engine.works import Work, stem

WINDOWS = pl.Schema({PART: pl.Int32(), "window": INSTANT, "end": INSTANT, "_coverage": pl.Float64(), "_as_of": INSTANT})
Pair = tuple[Work, pl.DataFrame]
Source = str | frozenset[str]
Asked = tuple[int, Source, pl.DataFrame]


class Covering:
    """Counts each source of each grid of windows once, however many KPIs share it."""

    def __init__(self, inputs: Inputs, covered: Covered, quantities: Collection[str]) -> None:
        self._inputs, self._covered, self._quantities = inputs, covered, quantities

    def of(self, pairs: Sequence[Pair]) -> tuple[list[int], pl.DataFrame, pl.DataFrame]:
        """The number of the part that each pair belongs to, the windows of all parts, and counts by area.

        Shape: WINDOWS; completing.BY_AREA.
        """
        numbers: dict[tuple[object, ...], int] = {}
        parts: list[int] = []
        asked: list[Asked] = []
        for work, grid in pairs:
            source = self._source(work)
            key = (source, grid["window"][0], grid["end"][-1], grid.height)
            if key not in numbers:
                asked.append((len(numbers), source, grid))
            parts.append(numbers.setdefault(key, len(numbers)))
        return parts, self._windows(asked), self._counted(asked)

    def _source(self, work: Work) -> Source:
        """The input that tells what came: readings of a quantity by name, else all feeds."""
        first = work.kpi.inputs[0]
        return first if stem(first) in self._quantities else work.feeds

    def _windows(self, asked: Sequence[Asked]) -> pl.DataFrame:
        """The windows of the parts with the share that their feeds cover; null where readings are counted instead."""
        rows: list[tuple[object, ...]] = []
        for part, source, grid in asked:
            spans = zip(grid["window"].to_list(), grid["end"].to_list(), strict=True)
            if isinstance(source, str) or not source:
                rows += ((part, start, end, None, None) for start, end in spans)
            else:
                shares = zip(*self._covered.shares(source, grid), strict=True)
                rows += ((part, *span, *share) for span, share in zip(spans, shares, strict=True))
        return pl.DataFrame(rows, schema=WINDOWS, orient="row")

    def _counted(self, asked: Sequence[Asked]) -> pl.DataFrame:
        """Readings that came and were expected, by part, window and area."""
        by_readings = [(part, source, grid) for part, source, grid in asked if isinstance(source, str)]
        if not by_readings:
            return pl.DataFrame(schema=BY_AREA)
        counts, single = [], []
        for part, source, grid in by_readings:
            (low, _), (_, high) = extent(grid["window"]), extent(grid["end"])
            rows = self._inputs.get(source, low, high)
            if grid.height == 1:
                single.append((part, low, between(rows, low, high)))
            else:
                counts.append(coverage.came(rows, grid, part))
        counts.append(coverage.came_at_once(single))
        found = coverage.of_parts(pl.concat(counts), *self._inputs.places, _asked(by_readings))
        return found.rename({"n": "_n", "n_expected": "_n_expected", "as_of": "_as_of_area"})


def _asked(by_readings: Sequence[tuple[int, str, pl.DataFrame]]) -> pl.DataFrame:
    """The windows of the parts, each with its quantity (shape: PART, quantity, window, as_of)."""
    which = np.repeat(np.arange(len(by_readings)), [grid.height for _, _, grid in by_readings])
    parts = pl.Series(PART, [part for part, _, _ in by_readings], pl.Int32)
    quantities = pl.Series("quantity", [stem(source) for _, source, _ in by_readings])
    windows = pl.concat([grid[["window", "as_of"]] for _, _, grid in by_readings])
    return windows.with_columns(parts.gather(which), quantities.gather(which))
