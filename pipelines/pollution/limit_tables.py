"""The limit tables in limits/*.csv as they are shipped, and what a table says, whichever stands in the town's folder.

Concentrations are whole millionths, so that no edge is blurred.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

FOLDER = Path(__file__).parent / "limits"
MILLION = 1_000_000
NUMBERS = (
    "truncate_to", "low", "high", "index_low", "index_high", "up_to", "level", "at_most",
    "from_hour", "to_hour", "penalty_db", "value", "molar_mass_g_mol",
)  # fmt: skip
# Every row of a table: what is looked up in it is worked out once for one content.
Content = tuple[tuple[Any, ...], ...]
# A town has few tables, and the same ones at every beat.
_READ: dict[tuple[int, tuple[str, ...]], tuple[pl.DataFrame, Content]] = {}


def shipped(name: str) -> pl.DataFrame:
    """The limit table of this name as it is shipped."""
    found = pl.read_csv(FOLDER / f"{name}.csv", infer_schema=False)
    return found.with_columns(pl.col(column).cast(pl.Float64) for column in NUMBERS if column in found.columns)


US_AQI = shipped("us_aqi")
INDIA_NAQI, INDIA_NAQI_SEVERE = shipped("india_naqi"), shipped("india_naqi_severe")
EUROPEAN_AQI = shipped("european_aqi")
WHO_GUIDELINES = shipped("who_guidelines")
NOISE_PERIODS = shipped("noise_periods")
GREENHOUSE_FACTORS = shipped("greenhouse_gas")


def content(table: pl.DataFrame, *columns: str) -> Content:
    """These columns of a table; null where it has no such column."""
    known = _READ.get((id(table), columns))
    # A table that is kept here keeps its id.
    if known is None:
        chosen = [pl.col(name) if name in table.columns else pl.lit(None).alias(name) for name in columns]
        known = _READ[id(table), columns] = (table, tuple(table.select(chosen).iter_rows()))
    return known[1]


def whole_millionths(number: str | float) -> int:
    """A decimal number of a table as a whole number of millionths, exactly."""
    return int(Decimal(str(number)) * MILLION)


@dataclass(frozen=True)
class Segment:
    """One straight piece of an index: concentrations low..high (millionths) give index_low..index_high."""

    low: int
    high: int
    index_low: int
    index_high: int
    truncate_to: int


@dataclass(frozen=True, eq=False)
class Index:
    """An air index: its pieces by pollutant and averaging time, lowest first. One content is one index, so it keys."""

    pieces: Mapping[tuple[str, str], tuple[Segment, ...]]

    def of(self, pollutant: str, averaging: str) -> tuple[Segment, ...]:
        """The pieces of a pollutant; none where the table does not judge it."""
        return self.pieces.get((pollutant, averaging), ())


def index(breakpoints: pl.DataFrame) -> Index:
    """The air index that a table of breakpoints says."""
    names = ("pollutant", "averaging", "low", "high", "index_low", "index_high", "truncate_to")
    return _index(content(breakpoints, *names))


@cache
def _index(rows: Content) -> Index:
    found: dict[tuple[str, str], list[Segment]] = {}
    for pollutant, averaging, low, high, index_low, index_high, step in rows:
        ends = (whole_millionths(low), whole_millionths(high), int(index_low), int(index_high))
        piece = Segment(*ends, 1 if step is None else whole_millionths(step))
        found.setdefault((pollutant, averaging), []).append(piece)
    return Index({key: tuple(sorted(pieces, key=lambda piece: piece.low)) for key, pieces in found.items()})


def india_index(variant: str, breakpoints: pl.DataFrame, severe: pl.DataFrame) -> Index:
    """The Indian index with the upper end of the severe band that this source takes.

    Raises ValueError: a source that the table of severe bands does not have.
    """
    return _india_index(variant, index(breakpoints), content(severe, "pollutant", "variant", "up_to"))


@cache
def _india_index(variant: str, whole: Index, severe: Content) -> Index:
    own = {pollutant: whole_millionths(up_to) for pollutant, source, up_to in severe if source == variant}
    if not own:
        known = ", ".join(dict.fromkeys(source for _, source, _ in severe))
        raise ValueError(f"the severe band is known of {known}, not of {variant}")
    return Index({
        key: (*pieces[:-1], replace(pieces[-1], high=own.get(key[0], pieces[-1].high)))
        for key, pieces in whole.pieces.items()
    })  # fmt: skip


def european_bands(table: pl.DataFrame = EUROPEAN_AQI) -> dict[str, tuple[int, ...]]:
    """The upper ends (ug/m3, inclusive) of the European levels by pollutant, without the last: it has none."""
    return _european_bands(content(table, "pollutant", "up_to"))


@cache
def _european_bands(rows: Content) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for pollutant, up_to in rows:
        if up_to is not None:
            found[pollutant] = (*found.get(pollutant, ()), int(up_to))
    return found


@cache
def bands(scheme: str) -> tuple[tuple[int, str], ...]:
    """Highest index (inclusive) and name of each band of a shipped index, best first."""
    highest: dict[str, int] = {}
    for row in shipped(scheme).iter_rows(named=True):
        top = int(row["level"] if scheme == "european_aqi" else row["index_high"])
        highest[row["band"]] = max(top, highest.get(row["band"], 0))
    return tuple(sorted((top, band) for band, top in highest.items()))


def who_goals(pollutant: str, averaging: str, table: pl.DataFrame = WHO_GUIDELINES) -> tuple[tuple[str, int], ...]:
    """The WHO guideline and interim targets (millionths), strictest first: AQG, IT-4, IT-3, IT-2, IT-1."""
    return _who_goals(pollutant, averaging, content(table, "pollutant", "averaging", "goal", "at_most"))


@cache
def _who_goals(pollutant: str, averaging: str, rows: Content) -> tuple[tuple[str, int], ...]:
    found = [
        (goal, whole_millionths(most)) for name, time, goal, most in rows if (name, time) == (pollutant, averaging)
    ]
    return tuple(sorted(found, key=lambda pair: pair[1]))


@dataclass(frozen=True)
class Period:
    """A part of the day on the town's clock, from one hour to another (over midnight when from > to)."""

    name: str
    from_hour: int
    to_hour: int
    penalty_db: float

    @property
    def hours(self) -> int:
        """How long it lasts on an ordinary day."""
        return (self.to_hour - self.from_hour) % 24


def periods(scheme: str, table: pl.DataFrame = NOISE_PERIODS) -> tuple[Period, ...]:
    """The parts of the day in a scheme: `EU Lden`, `US Ldn` or `India`."""
    return _periods(scheme, content(table, "scheme", "period", "from_hour", "to_hour", "penalty_db"))


@cache
def _periods(scheme: str, rows: Content) -> tuple[Period, ...]:
    found = tuple(
        Period(name, int(start), int(end), decibels) for own, name, start, end, decibels in rows if own == scheme
    )
    if not found:
        known = ", ".join(dict.fromkeys(row[0] for row in rows))
        raise ValueError(f"parts of the day are known of {known or 'no scheme'}, not of {scheme}")
    return found


@cache
def molar_mass(pollutant: str) -> float:
    """Grams in a mole of this gas."""
    return {gas: float(mass) for gas, mass in content(shipped("gases"), "pollutant", "molar_mass_g_mol")}[pollutant]


def greenhouse_factors(set_name: str, table: pl.DataFrame = GREENHOUSE_FACTORS) -> dict[str, float]:
    """Kilograms of CO2e per unit of each item in one published set of factors."""
    return {item: value for own, item, value in content(table, "set", "item", "value") if own == set_name}
