"""The limit tables in limits/*.csv, read once; concentrations as whole millionths so that no edge is blurred."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "limits"
MILLION = 1_000_000


def rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of one limit table as text."""
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def whole_millionths(text: str) -> int:
    """A decimal number of a table as a whole number of millionths, exactly."""
    return int(Decimal(text) * MILLION)


@dataclass(frozen=True)
class Segment:
    """One straight piece of an index: concentrations low..high (millionths) give index_low..index_high."""

    low: int
    high: int
    index_low: int
    index_high: int
    truncate_to: int


Segments = dict[tuple[str, str], tuple[Segment, ...]]


@cache
def segments(index: str) -> Segments:
    """The pieces of `us_aqi` or `india_naqi` by pollutant and averaging time, lowest first."""
    found: dict[tuple[str, str], list[Segment]] = {}
    for row in rows(index):
        piece = Segment(
            whole_millionths(row["low"]),
            whole_millionths(row["high"]),
            int(row["index_low"]),
            int(row["index_high"]),
            whole_millionths(row.get("truncate_to") or "0.000001"),
        )
        found.setdefault((row["pollutant"], row["averaging"]), []).append(piece)
    return {key: tuple(pieces) for key, pieces in found.items()}


@cache
def severe_pieces(variant: str) -> Segments:
    """The pieces of `india_naqi` with the upper end of the severe band that this source takes."""
    own = {
        row["pollutant"]: whole_millionths(row["up_to"])
        for row in rows("india_naqi_severe")
        if row["variant"] == variant
    }
    if not own:
        known = ", ".join(dict.fromkeys(row["variant"] for row in rows("india_naqi_severe")))
        raise ValueError(f"the severe band is known of {known}, not of {variant}")
    return {
        key: (*pieces[:-1], replace(pieces[-1], high=own.get(key[0], pieces[-1].high)))
        for key, pieces in segments("india_naqi").items()
    }


@cache
def european_bands() -> dict[str, tuple[int, ...]]:
    """The upper ends (ug/m3, inclusive) of the European levels 1 to 5 by pollutant; above the last is level 6."""
    found: dict[str, tuple[int, ...]] = {}
    for row in rows("european_aqi"):
        if row["up_to"]:
            found[row["pollutant"]] = (*found.get(row["pollutant"], ()), int(row["up_to"]))
    return found


@cache
def bands(index: str) -> tuple[tuple[int, str], ...]:
    """Highest index (inclusive) and name of each band of an index, best first."""
    highest: dict[str, int] = {}
    for row in rows(index):
        top = int(row["level"] if index == "european_aqi" else row["index_high"])
        highest[row["band"]] = max(top, highest.get(row["band"], 0))
    return tuple(sorted((top, band) for band, top in highest.items()))


@cache
def who_goals(pollutant: str, averaging: str) -> tuple[tuple[str, int], ...]:
    """The WHO guideline and interim targets (millionths), strictest first: AQG, IT-4, IT-3, IT-2, IT-1."""
    found = [(row["goal"], row) for row in rows("who_guidelines")]
    wanted = [(g, r) for g, r in found if (r["pollutant"], r["averaging"]) == (pollutant, averaging)]
    return tuple(sorted(((g, whole_millionths(r["at_most"])) for g, r in wanted), key=lambda pair: pair[1]))


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


@cache
def noise_periods(scheme: str) -> tuple[Period, ...]:
    """The parts of the day in a scheme: `EU Lden`, `US Ldn` or `India`."""
    return tuple(
        Period(row["period"], int(row["from_hour"]), int(row["to_hour"]), float(row["penalty_db"]))
        for row in rows("noise_periods")
        if row["scheme"] == scheme
    )


@cache
def molar_mass(pollutant: str) -> float:
    """Grams in a mole of this gas."""
    return {row["pollutant"]: float(row["molar_mass_g_mol"]) for row in rows("gases")}[pollutant]


@cache
def greenhouse_factors(set_name: str) -> dict[str, float]:
    """Kilograms of CO2e per unit of each item in one published set of factors."""
    return {row["item"]: float(row["value"]) for row in rows("greenhouse_gas") if row["set"] == set_name}
