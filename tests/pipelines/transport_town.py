"""A hand-made bus town: one route with a bus every ten minutes, and the frames that KPI functions are handed."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.model import INSTANT
from pipelines.transport import DOMAIN

ZONE = "Asia/Kolkata"
DAY = date(2025, 11, 3)
TABLES = {table.name: table for table in DOMAIN.tables}


def frame(table: str, *rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of a declared table, columns not written empty."""
    return pl.DataFrame(list(rows), schema=TABLES[table].schema)


def at(clock: str, day: date = DAY, zone: str = ZONE) -> datetime:
    """The instant of HH:MM or HH:MM:SS on the town's clock."""
    hours, minutes, *seconds = (int(part) for part in clock.split(":"))
    return datetime(day.year, day.month, day.day, hours, minutes, *seconds, tzinfo=ZoneInfo(zone))


def windows(start: datetime, length: timedelta, count: int = 1, now: datetime | None = None) -> pl.DataFrame:
    """`count` windows end to end; as_of is the earlier of end and now."""
    starts = [start + length * i for i in range(count)]
    rows = {"window": starts, "end": [s + length for s in starts]}
    rows["as_of"] = [min(end, now or end) for end in rows["end"]]
    return pl.DataFrame(rows).cast(INSTANT)


def day_window(now: datetime | None = None, day: date = DAY, zone: str = ZONE) -> pl.DataFrame:
    """The local day."""
    after = day + timedelta(days=1)
    rows = {"window": [at("00:00", day, zone)], "end": [at("00:00", after, zone)]}
    rows["as_of"] = [min(rows["end"][0], now) if now else rows["end"][0]]
    return pl.DataFrame(rows).cast(INSTANT)


def timetable(
    starts: dict[str, int], *, stops: int = 3, leg_s: int = 240, days: tuple[date, ...] = (DAY,), route: str = "1"
) -> dict[str, pl.DataFrame]:
    """A timetable: trip -> start in seconds of the day; the first and the last stop are timing points."""
    calls = [
        {"trip": trip, "stop_sequence": n + 1, "stop": f"S{n + 1}", "arrival_s": s + n * leg_s, "departure_s": s + n * leg_s,
         "timepoint": n in (0, stops - 1)}
        for trip, s in starts.items() for n in range(stops)
    ]  # fmt: skip
    return {
        "gtfs_trips": frame(
            "gtfs_trips", *({"trip": t, "route": route, "service": "WK", "direction": 0} for t in starts)
        ),
        "gtfs_stop_times": frame("gtfs_stop_times", *calls),
        "gtfs_service_days": frame("gtfs_service_days", *({"service_date": d, "service": "WK"} for d in days)),
        "gtfs_frequencies": frame("gtfs_frequencies"),
    }


def passage(trip: str, sequence: int, left: datetime, *, day: date = DAY, **more: Any) -> dict[str, Any]:
    """An observed passage by route 1."""
    row = {"service_date": day, "trip": trip, "start_time": "", "relationship": "SCHEDULED", "call": str(sequence),
           "stop_sequence": sequence, "stop": f"S{sequence}", "basis": "update", "observed_at": left, "arrived_at": left,
           "departed_at": left, "route": "1", "direction": 0}  # fmt: skip
    return row | more


def update(
    trip: str, seen: datetime, relationship: str = "SCHEDULED", *, stamped: bool = True, day: date = DAY
) -> dict[str, Any]:
    """A trip update."""
    return {"service_date": day, "trip": trip, "start_time": "", "relationship": relationship, "slot": seen,
            "observed_at": seen, "stamped": stamped}  # fmt: skip


def sighting(trip: str, seen: datetime, day: date = DAY) -> dict[str, Any]:
    """A vehicle seen on a trip."""
    return {"service_date": day, "trip": trip, "start_time": "", "slot": seen, "observed_at": seen}


def row(result: pl.DataFrame, area: str = "town") -> dict[str, Any]:
    """The one row of an area."""
    return result.filter(pl.col("area") == area).row(0, named=True)
