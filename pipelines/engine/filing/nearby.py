"""Whether others have reported the same close by: how many, and which request to join."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

WITHIN_M, LATELY = 200.0, timedelta(days=7)
EARTH_RADIUS_M = 6_371_008.8
SPAN_DEGREES = 0.01


@dataclass(frozen=True)
class Alike:
    """How many people have reported the same, near a position or (`by_ward`) in a ward; the oldest open one of them."""

    people: int
    number: str
    since: datetime
    by_ward: bool


def sought(service: str, ward: str, lat: float | None, lon: float | None) -> tuple[str, dict[str, Any]] | None:
    """The condition, in SQL with parameters, for what may be alike; None where nothing says where it is."""
    if lat is not None and lon is not None:
        near = "abs(lat - $lat) < $span AND abs(lon - $lon) < $wide"
        wide = SPAN_DEGREES / max(math.cos(math.radians(lat)), 0.01)
        place: dict[str, Any] = {"lat": lat, "lon": lon, "span": SPAN_DEGREES, "wide": wide}
    elif ward:
        near, place = "ward = $ward", {"ward": ward}
    else:
        return None
    return f"service_code = $service AND {near}", {"service": service, **place}


def alike(rows: pl.DataFrame, lat: float | None, lon: float | None) -> Alike | None:
    """What of the rows of the last days is the same matter; None when nobody has reported it, or all is settled."""
    found = rows.to_dicts()
    by_ward = lat is None or lon is None
    if lat is not None and lon is not None:
        found = [row for row in found if metres((row["lat"], row["lon"]), (lat, lon)) <= WITHIN_M]
    opened = [row for row in found if row["status"] == "open" and row["duplicate_of"] is None]
    if not opened:
        return None
    first = min(opened, key=lambda row: row["requested_datetime"])
    return Alike(_people(found, first), first["service_request_id"], first["requested_datetime"], by_ward)


def _people(found: Sequence[Mapping[str, Any]], first: Mapping[str, Any]) -> int:
    """Everybody who reported it: open ones, and those that were joined to an open one."""
    numbers = {row["service_request_id"] for row in found if row["status"] == "open"} | {first["service_request_id"]}
    return sum(row["status"] == "open" or row["duplicate_of"] in numbers for row in found)


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """How far two positions (latitude, longitude) lie apart, over the ground."""
    (lat1, lon1), (lat2, lon2) = (tuple(map(math.radians, each)) for each in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))
