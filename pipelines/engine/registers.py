"""The registers a clerk edits: wards, assets, sensors and the domains' reference tables, read from CSV and checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from shapely.errors import ShapelyError

from pipelines.engine import register_csv, reliance
from pipelines.engine.delivery import rota
from pipelines.engine.errors import SettingsError
from pipelines.engine.geo import Wards
from pipelines.engine.model import Column, Quantity, Reference
from pipelines.engine.plain_readings import Bounds
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
        Column(
            name="depends_on", meaning="Assets without which it cannot report (feeder, gateway), spaces between them."
        ),
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
        Column(name="feed", meaning="Feed that brings it; learned from what comes where empty."),
        Column(name="silent_after", meaning="How long it may say nothing; three intervals and the feed's where empty."),
        Column(name="stuck_after", meaning="How long it may repeat a value; as its quantity where empty."),
        Column(name="register", meaning="Counter that this sensor is computed from: what its register says was used."),
        Column(
            name="modulus", kind="number", low=0, meaning="A counter's: the value at which it begins again at zero."
        ),
    ),
)
OUT_OF_SERVICE = Reference(
    name="out_of_service",
    meaning="Sensors and assets of which nothing is expected for a while: maintenance, removal, a known fault.",
    key=("thing", "from"),
    columns=(
        Column(
            name="thing", meaning="Sensor id or asset id; of an asset, everything that belongs to it.", required=True
        ),
        Column(
            name="from",
            kind="instant",
            meaning="Since when, on the town's clock, for example 2026-03-10 08:00.",
            required=True,
        ),
        Column(name="to", kind="instant", meaning="Until when; empty = until further notice."),
        Column(name="reason", meaning="Why, in words."),
    ),
)
HOLIDAYS = Reference(
    name="holidays",
    meaning="Days on which the town goes as on a Sunday: what is usual is told from Sundays and holidays.",
    key=("day",),
    columns=(
        Column(name="day", kind="day", meaning="The day, for example 2026-11-08.", required=True),
        Column(name="name", meaning="Name of the holiday."),
    ),
)
ENGINE_REFERENCES = (WARDS, ASSETS, SENSORS, OUT_OF_SERVICE, HOLIDAYS)
# Who is called and how: nobody's business outside the control room, so no exit lists them.
OF_PEOPLE = (rota.ROTA, rota.CONTACTS)


# every_s, factor, offset, silent_after_s, stuck_after_s
Intervals = tuple[float, float, float, float | None, float | None]


@dataclass(frozen=True)
class Registers:
    """The town's registers as frames, and its ward shapes.

    Shape: wards, assets as declared; sensors with asset, kind, ward, domain, every_s, silent_after_s, stuck_after_s
    and the factor and offset that turn its own unit into the quantity's; references by name, out_of_service and
    holidays among them; relies has asset, on and firmly: what an asset belongs to or depends on, however far up.
    """

    wards: pl.DataFrame
    assets: pl.DataFrame
    sensors: pl.DataFrame
    references: Mapping[str, pl.DataFrame]
    shapes: Wards
    quantities: Mapping[str, Quantity]
    relies: pl.DataFrame
    rota: rota.Rota
    gas_temperature_c: float = 25.0

    @cached_property
    def bounds(self) -> Bounds:
        """What validation looks up for each sensor."""
        return Bounds.of(self.sensors)

    @property
    def population(self) -> int:
        """Residents of all wards."""
        return int(self.wards["population"].sum() or 0)


def _place(folder: Path, reference: Reference) -> Path:
    """The town's own file of a register, else the one that Townboard ships."""
    own = folder / f"{reference.name}.csv"
    return reference.shipped if reference.shipped is not None and not own.is_file() else own


def load(settings: Settings) -> Registers:
    """The registers in the town's reference folder.

    Raises SettingsError naming each mistake by file and line.
    """
    mistakes: list[str] = []
    folder = settings.folder / "reference"
    quantities = {q.name: q for d in settings.domains for q in d.quantities}
    declared = [r for d in settings.domains for r in d.references]
    lines: dict[str, list[int]] = {r.name: [] for r in (*ENGINE_REFERENCES, *OF_PEOPLE, *declared)}
    frames = {
        r.name: register_csv.read(_place(folder, r), r, settings.zone, mistakes, lines[r.name])
        for r in (*ENGINE_REFERENCES, *OF_PEOPLE, *declared)
    }
    wards, assets, sensors = frames["wards"], frames["assets"], frames["sensors"]
    of_assets, of_sensors = (folder / "assets.csv", lines["assets"]), (folder / "sensors.csv", lines["sensors"])
    _refers(*of_assets, assets["ward"], set(wards["ward"]), "wards.csv", mistakes)
    _refers(*of_assets, assets["domain"], {d.name for d in settings.domains}, "town.toml [town] domains", mistakes)
    _refers(*of_sensors, sensors["asset"], set(assets["asset"]), "assets.csv", mistakes)
    _refers(*of_sensors, sensors["quantity"], set(quantities), "the domains that are on", mistakes)
    _refers(*of_sensors, sensors["register"], _counters(sensors, quantities), "the counters of sensors.csv", mistakes)
    _refers(*of_sensors, sensors["feed"], set(settings.feeds), "town.toml [feeds]", mistakes)
    of_absent, things = (folder / "out_of_service.csv", lines["out_of_service"]), frames["out_of_service"]["thing"]
    _refers(*of_absent, things, {*assets["asset"], *sensors["sensor"]}, "assets.csv or sensors.csv", mistakes)
    for one in declared:
        for column, other, there in one.refers:
            place = (_place(folder, one), lines[one.name])
            _refers(*place, frames[one.name][column], set(frames[other][there]), f"{other}.csv", mistakes)
    relies = reliance.relies(assets)
    _refers(*of_assets, assets["depends_on"], reliance.known(assets), "assets.csv", mistakes)
    sensors = _sensors(*of_sensors, sensors, assets, quantities, settings.gas_temperature_c, mistakes)
    shapes = _shapes(folder / "wards.geojson", wards, mistakes)
    channels = settings.delivery.channels if settings.delivery else {}
    duty = rota.read(frames, settings.zone, tuple(channels), mistakes)
    if mistakes:
        raise SettingsError(mistakes)
    own = {r.name: frames[r.name] for r in (OUT_OF_SERVICE, HOLIDAYS, *declared)}
    return Registers(
        wards, _placed(assets, shapes), sensors, own, shapes, quantities, relies, duty,
        settings.gas_temperature_c,
    )  # fmt: skip


def _counters(sensors: pl.DataFrame, quantities: Mapping[str, Quantity]) -> set[str]:
    """The sensors that show a register."""
    counting = [quantity.name for quantity in quantities.values() if quantity.counter]
    return set(sensors.filter(pl.col("quantity").is_in(counting))["sensor"])


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
    own: list[Intervals] = []
    for line, row in zip(lines, frame.iter_rows(named=True), strict=True):
        found, wrong = _judged(row, quantities.get(row["quantity"]), gas_temperature_c)
        mistakes += [f"{shown_path(path)}, line {line}{words}" for words in wrong]
        own.append(found)
    places = assets.select("asset", "kind", "ward", "domain", "parent")
    limits = pl.DataFrame(
        {
            "quantity": list(quantities),
            "possible_low": [q.low for q in quantities.values()],
            "possible_high": [q.high for q in quantities.values()],
        },
        schema={"quantity": pl.String, "possible_low": pl.Float64, "possible_high": pl.Float64},
    )
    found_columns = dict.fromkeys(("every_s", "factor", "offset", "silent_after_s", "stuck_after_s"), pl.Float64)
    units = pl.DataFrame(own, schema=found_columns, orient="row")
    return (
        pl.concat([frame.drop("every", "silent_after", "stuck_after"), units], how="horizontal")
        .join(places, on="asset", how="left")
        .join(limits, on="quantity", how="left")
        .with_columns(low=pl.coalesce("low", "possible_low"), high=pl.coalesce("high", "possible_high"))
        .drop("possible_low", "possible_high")
    )


def _judged(row: Mapping[str, Any], quantity: Quantity | None, gas_temperature_c: float) -> tuple[Intervals, list[str]]:
    """Seconds between readings, factor and offset into the quantity's unit, seconds until silent and until stuck; what
    is wrong with them, in words."""
    factor, offset = 1.0, 0.0
    wrong: list[str] = []
    every, silent, stuck = (_seconds(name, row[name], wrong) for name in ("every", "silent_after", "stuck_after"))
    if row["low"] is not None and row["high"] is not None and row["low"] > row["high"]:
        wrong.append(f": low {row['low']:g} is above high {row['high']:g}. Exchange them.")
    if quantity and row["unit"]:
        try:
            factor, offset = conversion(row["unit"], quantity.unit, quantity.molar_mass, gas_temperature_c)
        except UnitError as error:
            wrong.append(f", column unit: {error}.")
    return (every or 3600.0, factor, offset, silent, stuck), wrong


def _seconds(name: str, text: str | None, wrong: list[str]) -> float | None:
    if text is None:
        return None
    try:
        return duration(text).total_seconds()
    except ValueError as error:
        wrong.append(f", column {name}: {error}.")
        return None


def _shapes(path: Path, wards: pl.DataFrame, mistakes: list[str]) -> Wards:
    if not path.is_file():
        return Wards({})
    try:
        collection = json.loads(path.read_text("utf-8-sig"))
        return Wards(collection, set(wards["ward"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ShapelyError) as error:
        mistakes.append(
            f"{shown_path(path)} is not readable as GeoJSON: {error}. "
            "Export the ward borders again as GeoJSON (WGS 84)."
        )
        return Wards({})


def _placed(assets: pl.DataFrame, shapes: Wards) -> pl.DataFrame:
    """Assets with the ward found from their coordinates where none is written."""
    return shapes.place(assets)
