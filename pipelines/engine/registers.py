"""The registers a clerk edits: wards, assets, sensors and the domains' reference tables, read from CSV and checked."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from shapely.errors import ShapelyError

from pipelines.engine.errors import SettingsError
from pipelines.engine.geo import Wards
from pipelines.engine.model import Column, Quantity, Reference
from pipelines.engine.settings import Settings, duration, shown_path
from pipelines.engine.units import UnitError, conversion

WARDS = Reference(
    name="wards",
    meaning="The wards of the town and how many people live in them.",
    key=("ward",),
    columns=(
        Column(name="ward", meaning="Ward id.", required=True),
        Column(name="name", meaning="Name of the ward."),
        Column(name="population", kind="number", unit="person", low=0, meaning="Residents."),
        Column(name="households", kind="number", low=0, meaning="Households."),
    ),
)
ASSETS = Reference(
    name="assets",
    meaning="Everything that has sensors or can be in trouble: tanks, feeders, stations, meters.",
    key=("asset",),
    columns=(
        Column(name="asset", meaning="Asset id.", required=True),
        Column(name="domain", meaning="Domain that looks after it.", required=True),
        Column(name="kind", meaning="What it is: tank, feeder, air_station ...", required=True),
        Column(name="name", meaning="Name that people use."),
        Column(name="ward", meaning="Ward it stands in."),
        Column(name="lat", kind="number", unit="degree", low=-90, high=90, meaning="Latitude, WGS 84."),
        Column(name="lon", kind="number", unit="degree", low=-180, high=180, meaning="Longitude, WGS 84."),
        Column(name="parent", meaning="Asset it belongs to or is fed from."),
    ),
)
SENSORS = Reference(
    name="sensors",
    meaning="Every sensor that is expected to report, what it measures, and how often.",
    key=("sensor",),
    columns=(
        Column(name="sensor", meaning="Sensor id as the feed names it.", required=True),
        Column(name="asset", meaning="Asset it sits on.", required=True),
        Column(name="quantity", meaning="What it measures.", required=True),
        Column(name="unit", meaning="Unit it reports in, when the feed does not say.", required=True),
        Column(name="every", meaning='Expected interval, for example "5 min".', required=True),
        Column(name="low", kind="number", meaning="Lowest possible value, in the quantity's unit."),
        Column(name="high", kind="number", meaning="Highest possible value, in the quantity's unit."),
    ),
)
ENGINE_REFERENCES = (WARDS, ASSETS, SENSORS)


@dataclass(frozen=True)
class Registers:
    """The town's registers as frames, and its ward shapes.

    Shape: wards, assets as declared; sensors with asset, kind, ward, domain, every_s and the factor and offset
    that turn its own unit into the quantity's; references by name.
    """

    wards: pl.DataFrame
    assets: pl.DataFrame
    sensors: pl.DataFrame
    references: Mapping[str, pl.DataFrame]
    shapes: Wards
    quantities: Mapping[str, Quantity]
    gas_temperature_c: float = 25.0

    @property
    def population(self) -> int:
        """Residents of all wards."""
        return int(self.wards["population"].sum() or 0)


def load(settings: Settings) -> Registers:
    """The registers in the town's reference folder.

    Raises SettingsError naming each mistake by file and line.
    """
    mistakes: list[str] = []
    folder = settings.folder / "reference"
    quantities = {q.name: q for d in settings.domains for q in d.quantities}
    declared = [r for d in settings.domains for r in d.references]
    lines: dict[str, list[int]] = {r.name: [] for r in (*ENGINE_REFERENCES, *declared)}
    frames = {
        r.name: _read(folder / f"{r.name}.csv", r, mistakes, lines[r.name]) for r in (*ENGINE_REFERENCES, *declared)
    }
    wards, assets, sensors = frames["wards"], frames["assets"], frames["sensors"]
    of_assets, of_sensors = (folder / "assets.csv", lines["assets"]), (folder / "sensors.csv", lines["sensors"])
    _refers(*of_assets, assets["ward"], set(wards["ward"]), "wards.csv", mistakes)
    _refers(*of_assets, assets["domain"], {d.name for d in settings.domains}, "town.toml [town] domains", mistakes)
    _refers(*of_sensors, sensors["asset"], set(assets["asset"]), "assets.csv", mistakes)
    _refers(*of_sensors, sensors["quantity"], set(quantities), "the domains that are on", mistakes)
    sensors = _sensors(*of_sensors, sensors, assets, quantities, settings.gas_temperature_c, mistakes)
    shapes = _shapes(folder / "wards.geojson", wards, mistakes)
    if mistakes:
        raise SettingsError(mistakes)
    own = {r.name: frames[r.name] for r in declared}
    return Registers(wards, _placed(assets, shapes), sensors, own, shapes, quantities, settings.gas_temperature_c)


def _read(path: Path, reference: Reference, mistakes: list[str], lines: list[int]) -> pl.DataFrame:
    """The rows of one register; `lines` receives the line of the file that each stands on."""
    empty = pl.DataFrame(schema=reference.schema)
    if not path.is_file():
        if not reference.optional:
            mistakes.append(f"{shown_path(path)} is missing. It holds {reference.meaning.lower()}")
        return empty
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        mistakes.append(f"{shown_path(path)} is not saved as UTF-8. In the spreadsheet choose 'CSV UTF-8' when saving.")
        return empty
    rows = list(
        csv.reader(
            io.StringIO(text),
            delimiter=";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ",",
        )
    )
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [c.name for c in reference.columns if c.required and c.name not in header]
    if missing:
        mistakes.append(
            f"{shown_path(path)}, line 1: the column {', '.join(missing)} is missing. "
            f"Found: {', '.join(header) or 'nothing'}."
        )
        return empty
    shown = shown_path(path)
    read: dict[str, list[Any]] = {column.name: [] for column in reference.columns}
    seen: dict[tuple[Any, ...], int] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if any(cell.strip() for cell in row[len(header) :]):
            mistakes.append(
                f"{shown}, line {number}: more cells than the {len(header)} columns. "
                "A text with a comma in it must stand in quotes."
            )
            continue
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        values = {c.name: _cell(shown, number, c, cells.get(c.name, ""), mistakes) for c in reference.columns}
        key = tuple(values[name] for name in reference.key)
        if key in seen:
            mistakes.append(
                f"{shown}, line {number}: {', '.join(map(str, key))} stands already on line {seen[key]}. Keep one."
            )
            continue
        seen[key] = number
        lines.append(number)
        for name, value in values.items():
            read[name].append(value)
    return pl.DataFrame(read, schema=reference.schema)


def _cell(shown: str, line: int, column: Column, text: str, mistakes: list[str]) -> Any:
    where = f"{shown}, line {line}, column {column.name}"
    if not text:
        if column.required:
            mistakes.append(f"{where}: nothing is written here. {column.meaning}")
        return None
    if column.choices and text not in column.choices:
        mistakes.append(f"{where}: `{text}` is none of {', '.join(column.choices)}.")
        return None
    if column.kind not in ("number", "integer"):
        return _PARSERS.get(column.kind, str)(text)
    try:
        value = float(text.replace(",", "."))
        if not math.isfinite(value):
            raise ValueError(text)
    except ValueError:
        mistakes.append(f"{where}: `{text}` is not a number. Write it without a unit, for example 12.5.")
        return None
    if (column.low is not None and value < column.low) or (column.high is not None and value > column.high):
        mistakes.append(f"{where}: {text} is outside the possible {column.low} to {column.high}.")
        return None
    return int(value) if column.kind == "integer" else value


_PARSERS: dict[str, Callable[[str], Any]] = {"flag": lambda text: text.lower() in ("1", "true", "yes", "y")}


def _refers(
    path: Path, lines: list[int], column: pl.Series, allowed: set[Any], where: str, mistakes: list[str]
) -> None:
    for line, value in zip(lines, column, strict=True):
        if value is not None and value not in allowed:
            mistakes.append(
                f"{shown_path(path)}, line {line}, column {column.name}: `{value}` is not in {where}. "
                "Add it there or mend it here."
            )


def _sensors(
    path: Path,
    lines: list[int],
    frame: pl.DataFrame,
    assets: pl.DataFrame,
    quantities: Mapping[str, Quantity],
    gas_temperature_c: float,
    mistakes: list[str],
) -> pl.DataFrame:
    seconds, factors, offsets = [], [], []
    for line, row in zip(lines, frame.iter_rows(named=True), strict=True):
        every, factor, offset = 3600.0, 1.0, 0.0
        try:
            every = duration(row["every"]).total_seconds()
        except ValueError as error:
            mistakes.append(f"{shown_path(path)}, line {line}, column every: {error}.")
        if row["low"] is not None and row["high"] is not None and row["low"] > row["high"]:
            mistakes.append(
                f"{shown_path(path)}, line {line}: low {row['low']:g} is above high {row['high']:g}. Exchange them."
            )
        quantity = quantities.get(row["quantity"])
        if quantity and row["unit"]:
            try:
                factor, offset = conversion(row["unit"], quantity.unit, quantity.molar_mass, gas_temperature_c)
            except UnitError as error:
                mistakes.append(f"{shown_path(path)}, line {line}, column unit: {error}.")
        seconds.append(every)
        factors.append(factor)
        offsets.append(offset)
    places = assets.select("asset", "kind", "ward", "domain", "parent")
    limits = pl.DataFrame(
        {
            "quantity": list(quantities),
            "possible_low": [q.low for q in quantities.values()],
            "possible_high": [q.high for q in quantities.values()],
        },
        schema={"quantity": pl.String, "possible_low": pl.Float64, "possible_high": pl.Float64},
    )
    return (
        frame.drop("every")
        .with_columns(
            every_s=pl.Series(seconds, dtype=pl.Float64),
            factor=pl.Series(factors, dtype=pl.Float64),
            offset=pl.Series(offsets, dtype=pl.Float64),
        )
        .join(places, on="asset", how="left")
        .join(limits, on="quantity", how="left")
        .with_columns(low=pl.coalesce("low", "possible_low"), high=pl.coalesce("high", "possible_high"))
        .drop("possible_low", "possible_high")
    )


def _shapes(path: Path, wards: pl.DataFrame, mistakes: list[str]) -> Wards:
    if not path.is_file():
        return Wards({})
    try:
        collection = json.loads(path.read_text("utf-8-sig"))
        return Wards(collection, set(wards["ward"]))
    except (ValueError, LookupError, TypeError, AttributeError, ShapelyError) as error:
        mistakes.append(
            f"{shown_path(path)} is not readable as GeoJSON: {error}. "
            "Export the ward borders again as GeoJSON (WGS 84)."
        )
        return Wards({})


def _placed(assets: pl.DataFrame, shapes: Wards) -> pl.DataFrame:
    """Assets with the ward found from their coordinates where none is written."""
    return shapes.place(assets)
