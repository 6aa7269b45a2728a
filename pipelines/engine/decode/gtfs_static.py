"""A GTFS timetable (zip of text files) as the gtfs_* tables: one row per route, trip, stop, call and service day."""

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from pipelines.engine.decode.base import ROW, Decoded, Refusal, Refused
from pipelines.engine.units import UnitError, conversion

MAX_UNPACKED_MB = 512
MAX_SERVICE_YEARS = 5
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EARTH_KM = 6371.0
# shape_dist_traveled has no unit in the standard; these are the ones that publishers use.
DISTANCE_KM = {"m": 0.001, "km": 1.0, "foot": 0.0003048, "mile": 1.609344}


@dataclass(frozen=True)
class Field:
    """How one column of a GTFS file becomes one of ours."""

    source: str
    kind: str = "text"
    required: bool = False


@dataclass(frozen=True)
class File:
    """One file of the zip: its fields by our names; a required file must be there."""

    name: str
    fields: Mapping[str, Field]
    required: bool = False


FILES = {
    "gtfs_routes": File(
        "routes.txt",
        {
            "route": Field("route_id", required=True),
            "short_name": Field("route_short_name"),
            "long_name": Field("route_long_name"),
            "route_type": Field("route_type", "integer"),
            "color": Field("route_color"),
        },
        required=True,
    ),
    "gtfs_trips": File(
        "trips.txt",
        {
            "trip": Field("trip_id", required=True),
            "route": Field("route_id", required=True),
            "service": Field("service_id", required=True),
            "direction": Field("direction_id", "integer"),
            "headsign": Field("trip_headsign"),
            "shape": Field("shape_id"),
            "block": Field("block_id"),
        },
        required=True,
    ),
    "gtfs_stops": File(
        "stops.txt",
        {
            "stop": Field("stop_id", required=True),
            "stop_name": Field("stop_name"),
            "lat": Field("stop_lat", "number"),
            "lon": Field("stop_lon", "number"),
        },
        required=True,
    ),
    "gtfs_stop_times": File(
        "stop_times.txt",
        {
            "trip": Field("trip_id", required=True),
            "stop_sequence": Field("stop_sequence", "integer", True),
            "stop": Field("stop_id"),
            "arrival_s": Field("arrival_time", "time"),
            "departure_s": Field("departure_time", "time"),
            "timepoint": Field("timepoint", "integer"),
            "distance": Field("shape_dist_traveled", "number"),
        },
        required=True,
    ),
    "calendar": File(
        "calendar.txt",
        {
            "service": Field("service_id", required=True),
            "first": Field("start_date", "day", True),
            "last": Field("end_date", "day", True),
            **{day: Field(day, "integer", True) for day in WEEKDAYS},
        },
    ),
    "calendar_dates": File(
        "calendar_dates.txt",
        {
            "service": Field("service_id", required=True),
            "service_date": Field("date", "day", True),
            "exception": Field("exception_type", "integer", True),
        },
    ),
    "gtfs_frequencies": File(
        "frequencies.txt",
        {
            "trip": Field("trip_id", required=True),
            "start_s": Field("start_time", "time", True),
            "end_s": Field("end_time", "time", True),
            "headway_s": Field("headway_secs", "integer", True),
            "exact_times": Field("exact_times", "integer"),
        },
    ),
    "gtfs_shapes": File(
        "shapes.txt",
        {
            "shape": Field("shape_id", required=True),
            "sequence": Field("shape_pt_sequence", "integer", True),
            "lat": Field("shape_pt_lat", "number", True),
            "lon": Field("shape_pt_lon", "number", True),
        },
    ),
}
# The two calendar files become one table.
FILLS = (*(table for table in FILES if table.startswith("gtfs_")), "gtfs_service_days")


def seconds_of(time: pl.Expr) -> pl.Expr:
    """Seconds after "noon minus 12 h" of the service day from H:MM:SS text, which may exceed 24:00:00; else null.

    Source: GTFS Schedule reference, field type Time.
    """
    parts = time.str.extract_groups(r"^(?<h>\d{1,3}):(?<m>[0-5]\d)(?::(?<s>[0-5]\d))?$")
    hours, minutes = parts.struct.field("h").cast(pl.Int64), parts.struct.field("m").cast(pl.Int64)
    return hours * 3600 + minutes * 60 + parts.struct.field("s").cast(pl.Int64).fill_null(0)


READ: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "text": lambda text: text,
    "integer": lambda text: text.cast(pl.Int64, strict=False),
    "number": lambda text: text.cast(pl.Float64, strict=False),
    "time": seconds_of,
    "day": lambda text: text.str.to_date("%Y%m%d", strict=False),
}
ALLOWED = {
    "text": "an id",
    "integer": "a whole number",
    "number": "a number",
    "time": "a time such as 07:45:00",
    "day": "a date such as 20260131",
}


@dataclass
class _Reading:
    """One zip while it is read: its files, where each file's rows begin, and what was refused."""

    files: dict[str, bytes]
    bases: list[tuple[int, str]]
    refused: list[Refusal]
    next_row: int = 0

    def original(self, row: int) -> bytes:
        """The line of the file that this row came from."""
        base, name = max(entry for entry in self.bases if entry[0] <= row)
        lines = self.files.get(name, b"").splitlines()
        position = row - base + 1
        return lines[position] if position < len(lines) else b""


def decode(payload: bytes, mapping: Mapping[str, Any], received_at: datetime) -> Decoded:
    """The timetable in a GTFS zip, as gtfs_routes, _trips, _stops, _stop_times, _service_days, _frequencies, _shapes.

    `mapping` may hold `distance_unit` (of shape_dist_traveled, else found out) and `max_unpacked_mb`.
    Raises Refused when it is no zip, a required file or column is missing, or it unpacks to too much.
    """
    reading = _Reading(_unpacked(payload, float(mapping.get("max_unpacked_mb", MAX_UNPACKED_MB))), [], [])
    read = {table: _table(reading, table, file) for table, file in FILES.items()}
    calendar, exceptions = read.pop("calendar"), read.pop("calendar_dates")
    if calendar.is_empty() and exceptions.is_empty():
        raise Refused(
            "no_calendar",
            "The timetable has no calendar.txt and no calendar_dates.txt: nobody knows on which "
            "days a trip runs. Ask the operator for the whole GTFS file.",
        )
    read["gtfs_routes"] = _named_routes(read["gtfs_routes"])
    read["gtfs_stop_times"] = _timed(read["gtfs_stop_times"], read["gtfs_stops"], mapping)
    read["gtfs_frequencies"] = read["gtfs_frequencies"].with_columns(pl.col("exact_times").fill_null(0))
    read["gtfs_service_days"] = _service_days(calendar, exceptions)
    return Decoded(tables=read, refused=tuple(reading.refused), original=reading.original)


def _unpacked(payload: bytes, max_mb: float) -> dict[str, bytes]:
    wanted = {file.name for file in FILES.values()}
    if not payload.startswith(b"PK"):
        raise Refused(
            "not_a_zip",
            f"This is no zip file; it begins with {payload[:40]!r}. A GTFS timetable is one zip "
            "file of text files. If this is a web page, the address has changed or asks for a password.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            named = {info.filename.rsplit("/", 1)[-1].lower(): info for info in archive.infolist()}
            members = {name: info for name, info in named.items() if name in wanted}
            size = sum(info.file_size for info in members.values())
            if size > max_mb * 1e6:
                raise Refused(
                    "too_large",
                    f"The zip would unpack to {size / 1e6:,.0f} MB, more than the permitted "
                    f"{max_mb:,.0f} MB. If it is really your timetable, raise `max_unpacked_mb`.",
                )
            return {name: archive.read(info) for name, info in members.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise Refused(
            "damaged_zip", f"The zip file is damaged or was cut off on the way ({error}). Fetch it again."
        ) from error


def _text(name: str, data: bytes) -> pl.DataFrame:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        frame = pl.read_csv(io.BytesIO(text.encode()), infer_schema=False, truncate_ragged_lines=True)
    except pl.exceptions.PolarsError as error:
        if not text.strip():
            return pl.DataFrame()
        raise Refused(
            "unreadable_file",
            f"{name} cannot be read as a table: {str(error).splitlines()[0]}. "
            "Ask the operator to export the timetable again.",
        ) from error
    frame = frame.rename({column: column.strip().strip('"') for column in frame.columns})
    return frame.with_columns(pl.all().str.strip_chars()).with_columns(pl.all().replace("", None))


def _table(reading: _Reading, table: str, file: File) -> pl.DataFrame:
    """The readable rows of one file under our names; the others are noted as refused."""
    data = reading.files.get(file.name)
    if data is None and file.required:
        raise Refused(
            "missing_file",
            f"The zip holds no {file.name}, which every GTFS timetable must have. "
            f"It holds: {', '.join(sorted(reading.files)) or 'none of the GTFS files'}.",
        )
    raw = pl.DataFrame() if data is None else _text(file.name, data)
    missing = [f.source for f in file.fields.values() if f.required and f.source not in raw.columns]
    if missing and data is not None and (file.required or raw.width):
        raise Refused(
            "missing_column",
            f"{file.name} has no column {', '.join(missing)}. Its columns are: {', '.join(raw.columns) or 'none'}.",
        )
    base = reading.next_row
    reading.bases.append((base, file.name))
    absent = [pl.lit(None, pl.String).alias(f.source) for f in file.fields.values() if f.source not in raw.columns]
    raw = (
        raw.with_columns(absent)
        if raw.width
        else pl.DataFrame(schema={f.source: pl.String for f in file.fields.values()})
    )
    reading.next_row += raw.height
    read = raw.select(*(READ[f.kind](pl.col(f.source)).alias(name) for name, f in file.fields.items()))
    why = pl.concat([read.rename(lambda name: f"={name}"), raw], how="horizontal").select(_why(file).alias("why"))
    blank = raw.select(blank=pl.all_horizontal(pl.all().is_null()))["blank"]
    rows = read.with_columns(why["why"]).with_row_index(ROW, base).filter(~blank)
    _note(reading, table, file, rows.filter(pl.col("why").is_not_null()))
    return rows.filter(pl.col("why").is_null()).drop("why").select(*file.fields, pl.col(ROW).cast(pl.UInt32))


def _why(file: File) -> pl.Expr:
    """Why a row cannot be used, in words, or null when it can."""
    reasons = []
    for name, field in file.fields.items():
        shown = pl.format(
            "{} is `{}`; it must be {}", pl.lit(field.source), pl.col(field.source), pl.lit(ALLOWED[field.kind])
        )
        reasons.append(pl.when(pl.col(field.source).is_not_null() & pl.col(f"={name}").is_null()).then(shown))
        if field.required:
            reasons.append(pl.when(pl.col(field.source).is_null()).then(pl.lit(f"{field.source} is empty")))
    return pl.coalesce(reasons)


def _note(reading: _Reading, table: str, file: File, bad: pl.DataFrame) -> None:
    base = reading.bases[-1][0]
    lines = reading.files[file.name].splitlines() if bad.height else []
    for row, why in bad.select(ROW, "why").iter_rows():
        line = row - base + 1
        original = lines[line] if line < len(lines) else b""
        words = f"{file.name}, line {line + 1}: {why}. The row was set aside, the others were taken in."
        reading.refused.append(Refusal(row, "unreadable_row", words, original, table))


def _named_routes(routes: pl.DataFrame) -> pl.DataFrame:
    color = pl.when(pl.col("color").str.contains(r"^[0-9A-Fa-f]{6}$")).then(
        pl.lit("#") + pl.col("color").str.to_uppercase()
    )
    return routes.select(
        "route",
        route_name=pl.coalesce("short_name", "long_name", "route"),
        long_name="long_name",
        route_type="route_type",
        color=color,
        _row=ROW,
    )


def _timed(calls: pl.DataFrame, stops: pl.DataFrame, mapping: Mapping[str, Any]) -> pl.DataFrame:
    """The calls with both times where either is known, `timepoint` (empty means exact, by the standard), km."""
    calls = calls.with_columns(
        arrival_s=pl.coalesce("arrival_s", "departure_s"),
        departure_s=pl.coalesce("departure_s", "arrival_s"),
        timepoint=pl.col("timepoint").fill_null(1) == 1,
    )
    return calls.with_columns(distance_km=pl.col("distance") * _km_per_unit(calls, stops, mapping)).drop("distance")


def _km_per_unit(calls: pl.DataFrame, stops: pl.DataFrame, mapping: Mapping[str, Any]) -> float:
    """Kilometres in one unit of shape_dist_traveled: as the town says, else the unit nearest to the stops."""
    if unit := mapping.get("distance_unit"):
        try:
            return conversion(str(unit), "km")[0]
        except UnitError as error:
            raise Refused("bad_setting", f"`distance_unit = {unit!r}`: {error}") from error
    sample = calls.filter(pl.col("distance").is_not_null()).filter(
        pl.col("trip").is_in(calls["trip"].unique().sort().head(200).implode())
    )
    located = sample.join(stops.select("stop", "lat", "lon"), on="stop").sort("trip", "stop_sequence")
    lat, lon = pl.col("lat").radians(), pl.col("lon").radians()
    north = lat.diff().over("trip")
    east = lon.diff().over("trip") * lat.cos()
    straight = ((north**2 + east**2).sqrt() * EARTH_KM).sum()
    trips = located.group_by("trip").agg(straight=straight, along=pl.col("distance").max() - pl.col("distance").min())
    along, direct = float(trips["along"].sum() or 0), float(trips["straight"].sum() or 0)
    if not along or not direct:
        return DISTANCE_KM["m"]
    km = direct / along
    return min(DISTANCE_KM.values(), key=lambda unit: max(unit / km, km / unit))


def _service_days(calendar: pl.DataFrame, exceptions: pl.DataFrame) -> pl.DataFrame:
    """One row per service and day on which it runs: the weekly calendar, plus added and less removed days."""
    longest = pl.duration(days=366 * MAX_SERVICE_YEARS)
    spans = calendar.filter(pl.col("last") >= pl.col("first")).with_columns(
        last=pl.min_horizontal("last", pl.col("first") + longest)
    )
    weekly = spans.with_columns(service_date=pl.date_ranges("first", "last")).explode("service_date")
    runs = pl.any_horizontal(
        (pl.col(day) == 1) & (pl.col("service_date").dt.weekday() == n) for n, day in enumerate(WEEKDAYS, 1)
    )
    weekly = weekly.filter(runs).select("service_date", "service", ROW)
    changes = exceptions.select("service_date", "service", ROW, "exception")
    removed = changes.filter(pl.col("exception") == 2)
    added = changes.filter(pl.col("exception") == 1).drop("exception")
    days = pl.concat([weekly.join(removed, on=["service_date", "service"], how="anti"), added])
    return days.unique(["service_date", "service"], keep="last", maintain_order=True)
