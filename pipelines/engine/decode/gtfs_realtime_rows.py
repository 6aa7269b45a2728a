"""The columns that a GTFS-Realtime message becomes, and how its optional fields are read."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

SLOT_S = 900
INSTANT = pl.Datetime("us", "UTC")
CALL = {
    "service_date": pl.Date(),
    "trip": pl.String(),
    "start_time": pl.String(),
    "route": pl.String(),
    "direction": pl.Int64(),
    "relationship": pl.String(),
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "vehicle_positions": {
        "vehicle": pl.String(),
        "observed_at": INSTANT,
        "stamped": pl.Boolean(),
        "label": pl.String(),
        "lat": pl.Float64(),
        "lon": pl.Float64(),
        "bearing": pl.Float64(),
        "speed_km_h": pl.Float64(),
        "odometer_km": pl.Float64(),
        "stop": pl.String(),
        "stop_sequence": pl.Int64(),
        "status": pl.String(),
        "congestion": pl.String(),
        "occupancy": pl.String(),
        "occupancy_pct": pl.Float64(),
        **CALL,
    },
    "trip_updates": {
        **CALL,
        "slot": INSTANT,
        "observed_at": INSTANT,
        "stamped": pl.Boolean(),
        "vehicle": pl.String(),
        "delay_s": pl.Float64(),
        "stop": pl.String(),
        "stop_sequence": pl.Int64(),
    },
    "passages": {
        **CALL,
        "call": pl.String(),
        "stop_sequence": pl.Int64(),
        "stop": pl.String(),
        "basis": pl.String(),
        "observed_at": INSTANT,
        "arrived_at": INSTANT,
        "departed_at": INSTANT,
        "delay_s": pl.Float64(),
        "vehicle": pl.String(),
    },
    "trip_sightings": {**CALL, "slot": INSTANT, "observed_at": INSTANT, "vehicle": pl.String()},
    "service_alerts": {
        "alert": pl.String(),
        "part": pl.Int64(),
        "observed_at": INSTANT,
        "starts_at": INSTANT,
        "ends_at": INSTANT,
        "cause": pl.String(),
        "effect": pl.String(),
        "severity": pl.String(),
        "route": pl.String(),
        "trip": pl.String(),
        "service_date": pl.Date(),
        "stop": pl.String(),
        "header": pl.String(),
        "description": pl.String(),
        "url": pl.String(),
    },
}


def given(thing: Any, name: str) -> bool:
    """Whether a number is set; publishers also write 0 for unknown times."""
    return thing.HasField(name) and getattr(thing, name) > 0


def instant(seconds: float | None) -> datetime | None:
    """The instant; null when there is none or no calendar can hold it."""
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def slot(seconds: float) -> datetime | None:
    """The begin of the quarter of an hour that holds this time."""
    return instant(seconds - seconds % SLOT_S)


def text(value: str | bytes) -> str:
    """The text; what is no UTF-8, which the bindings give as bytes, with a mark for each letter that cannot be read."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def or_none(thing: Any, name: str) -> Any:
    """The field's value, null where it is not set or empty text."""
    value = getattr(thing, name) if thing.HasField(name) else None
    value = text(value) if isinstance(value, bytes) else value
    return None if value == "" else value


def enum_name(thing: Any, field: str) -> str | None:
    """The name of an enum value that is set; its number where the standard has no name for it."""
    if not thing.HasField(field):
        return None
    number = getattr(thing, field)
    value = thing.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return value.name if value else str(number)
