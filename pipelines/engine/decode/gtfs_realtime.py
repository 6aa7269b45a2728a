"""A GTFS-Realtime message (protobuf) as vehicle positions, trip updates, observed passages, sightings and alerts.

The rules that this file keeps:

- A field that is not set is unknown, never its default: no 1970, no position at 0/0. A vehicle at 0/0 is kept with
  an empty position, because it still shows that its trip runs.
- A vehicle or trip without a timestamp of its own gets the time of the message and `stamped` = false: its age is
  unknown.
- A passage is kept when it has happened: a stop time that is not after the clock of the message (`basis` = update),
  or a vehicle that says it stands at the stop (`stopped_at`). Many feeds drop a stop the moment it is passed and so
  only ever predict. For those a town may set `passage_within_s`: a prediction at most so many seconds ahead then
  counts, marked `estimate`, and every later message corrects it. Caveat: a bus that is held just before a stop and
  then drops out of the feed is counted at its predicted time, and a bus that never came as having left its first
  stop. In one feed sampled every 30 s, 95 of 100 passages were last predicted at most 52 s ahead: 60 s finds nearly
  all of them.
- A stop time with a delay but no time cannot be placed without the timetable and gives no passage.
- A descriptor without start_date gets the local day of the message's clock less three hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from google.protobuf.message import DecodeError
from google.transit import gtfs_realtime_pb2 as gtfs

from pipelines.engine.decode.base import ROW, Decoded, Refusal, Refused
from pipelines.engine.decode.gtfs_realtime_rows import CALL, SCHEMAS, enum_name, given, instant, or_none, slot, text

FILLS = tuple(SCHEMAS)
NIGHT = timedelta(hours=3)
STOP_TIME = gtfs.TripUpdate.StopTimeUpdate
NOT_RUNNING = ("CANCELED", "DELETED")


@dataclass
class _Reading:
    """One message while it is read: its clock, the town's zone and settings, the rows so far."""

    clock: float
    zone: ZoneInfo
    within_s: float
    language: str | None
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {table: [] for table in SCHEMAS})
    refused: list[Refusal] = field(default_factory=list)

    def stamp(self, thing: Any) -> tuple[float, bool]:
        """The thing's own time and true; the message's and false where it has none."""
        return (float(thing.timestamp), True) if given(thing, "timestamp") else (self.clock, False)


def decode(payload: bytes, mapping: Mapping[str, Any], received_at: datetime) -> Decoded:
    """All that one FeedMessage says; `observed_at` is the time in its header.

    `mapping` may hold `passage_within_s` (see above, default 0) and `language` (of the alerts' words).
    Raises Refused when the payload is no whole FeedMessage.
    """
    message = _message(payload)
    header = float(message.header.timestamp) if given(message.header, "timestamp") else None
    received = received_at.timestamp()
    reading = _Reading(
        clock=min(header or received, received),
        zone=ZoneInfo(mapping.get("zone", "UTC")),
        within_s=float(mapping.get("passage_within_s", 0)),
        language=mapping.get("language"),
    )
    for row, entity in enumerate(message.entity):
        _entity(reading, row, entity)
    tables = {
        table: pl.DataFrame(rows, schema={**SCHEMAS[table], ROW: pl.UInt32()})
        for table, rows in reading.rows.items()
        if rows
    }
    return Decoded(
        tables=tables,
        refused=tuple(reading.refused),
        observed_at=instant(header),
        original=lambda row: message.entity[row].SerializePartialToString(),
    )


def _message(payload: bytes) -> gtfs.FeedMessage:
    if not payload:
        raise Refused("empty", "The feed answered with nothing at all. The operator's server works, but sends no data.")
    message = gtfs.FeedMessage()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise Refused("not_gtfs_realtime", _why_not(payload)) from error
    if not message.HasField("header"):
        raise Refused("no_header", "The message has no header, which every GTFS-Realtime message must have.")
    return message


def _why_not(payload: bytes) -> str:
    if payload.lstrip()[:1] in (b"<", b"{", b"["):
        shown = payload[:60].decode("utf-8", "replace")
        return (
            f"This is a web page or a text, not a GTFS-Realtime message; it begins with {shown!r}. "
            "The address may have changed, ask for a key, or need the protobuf form."
        )
    return (
        f"The message of {len(payload):,} bytes is damaged or was cut off on the way: it is no whole GTFS-Realtime "
        "message. The next one is fetched as usual."
    )


def _entity(reading: _Reading, row: int, entity: gtfs.FeedEntity) -> None:
    if entity.HasField("is_deleted") and entity.is_deleted:
        return
    if entity.HasField("vehicle"):
        _vehicle(reading, row, entity)
    if entity.HasField("trip_update"):
        _trip_update(reading, row, entity)
    if entity.HasField("alert"):
        _alert(reading, row, entity)


def _call(reading: _Reading, trip: gtfs.TripDescriptor) -> dict[str, Any]:
    """Which run of which trip, the columns of CALL; `start_time` is a key and so empty, not null, where unknown."""
    start_time = text(trip.start_time).strip() if trip.HasField("start_time") else ""
    return {
        "service_date": _day(reading, trip),
        "trip": or_none(trip, "trip_id"),
        "start_time": start_time.rjust(8, "0") if start_time else "",
        "route": or_none(trip, "route_id"),
        "direction": or_none(trip, "direction_id"),
        "relationship": enum_name(trip, "schedule_relationship") or "SCHEDULED",
    }


def _day(reading: _Reading, trip: gtfs.TripDescriptor) -> date:
    if trip.HasField("start_date"):
        digits = text(trip.start_date).strip().replace("-", "")
        try:
            return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
        except ValueError:
            pass
    return (datetime.fromtimestamp(reading.clock, reading.zone) - NIGHT).date()


def _vehicle_id(descriptor: gtfs.VehicleDescriptor) -> str | None:
    return next((text(v) for v in (descriptor.id, descriptor.label, descriptor.license_plate) if v), None)


def _vehicle(reading: _Reading, row: int, entity: gtfs.FeedEntity) -> None:
    """A row of vehicle_positions; with a trip and a stamp also a sighting, and a passage where it stands at a stop."""
    seen, at = entity.vehicle, entity.vehicle.position
    seconds, stamped = reading.stamp(seen)
    call = _call(reading, seen.trip) if seen.HasField("trip") and seen.trip.trip_id else dict.fromkeys(CALL)
    vehicle = _vehicle_id(seen.vehicle) or text(entity.id)
    known = seen.HasField("position") and (at.latitude, at.longitude) != (0.0, 0.0)
    common = {**call, "vehicle": vehicle, "observed_at": instant(seconds), ROW: row}
    stop = {"stop": or_none(seen, "stop_id"), "stop_sequence": or_none(seen, "current_stop_sequence")}
    status = enum_name(seen, "current_status")
    reading.rows["vehicle_positions"].append(
        {
            **common,
            **stop,
            "stamped": stamped,
            "label": or_none(seen.vehicle, "label"),
            "status": status,
            "lat": at.latitude if known else None,
            "lon": at.longitude if known else None,
            "bearing": or_none(at, "bearing"),
            "congestion": enum_name(seen, "congestion_level"),
            "speed_km_h": at.speed * 3.6 if at.HasField("speed") else None,
            "odometer_km": at.odometer / 1000 if at.HasField("odometer") else None,
            "occupancy": enum_name(seen, "occupancy_status"),
            "occupancy_pct": or_none(seen, "occupancy_percentage"),
        }
    )
    if not stamped or call["trip"] is None:
        return
    reading.rows["trip_sightings"].append({**common, "slot": slot(seconds)})
    if status == "STOPPED_AT" and (name := _call_name(stop)) and call["relationship"] not in NOT_RUNNING:
        reading.rows["passages"].append(
            {
                **common,
                **stop,
                "call": name,
                "basis": "stopped_at",
                "arrived_at": None,
                "departed_at": instant(seconds),
            }
        )


def _call_name(stop: Mapping[str, Any]) -> str | None:
    """Which call of the trip: its stop_sequence, or its stop where the feed gives none."""
    return str(stop["stop_sequence"]) if stop["stop_sequence"] is not None else stop["stop"]


def _trip_update(reading: _Reading, row: int, entity: gtfs.FeedEntity) -> None:
    """A row of trip_updates, and one of passages per stop time that has happened."""
    update = entity.trip_update
    if not update.trip.trip_id:
        words = f"Entity {text(entity.id)} is a trip update without a trip_id; nobody can say which bus it means."
        reading.refused.append(Refusal(row, "no_trip_id", words, entity.SerializePartialToString(), "trip_updates"))
        return
    seconds, stamped = reading.stamp(update)
    call = _call(reading, update.trip)
    common = {**call, "vehicle": _vehicle_id(update.vehicle), ROW: row}
    ahead = next((s for s in update.stop_time_update if (_time(s) or 0) > reading.clock), None)
    reading.rows["trip_updates"].append(
        {
            **common,
            "slot": slot(seconds),
            "observed_at": instant(seconds),
            "stamped": stamped,
            "delay_s": _delay(update, ahead),
            "stop": or_none(ahead, "stop_id") if ahead else None,
            "stop_sequence": or_none(ahead, "stop_sequence") if ahead else None,
        }
    )
    if call["relationship"] not in NOT_RUNNING:
        reading.rows["passages"] += [
            {**common, **passed} for s in update.stop_time_update if (passed := _passed(reading, s))
        ]


def _time(stop_time: Any) -> float | None:
    """When the bus leaves, or where it only arrives, when it arrives."""
    for event in (stop_time.departure, stop_time.arrival):
        if given(event, "time"):
            return float(event.time)
    return None


def _delay(update: gtfs.TripUpdate, ahead: Any) -> float | None:
    """The trip's delay: as given for the trip, else at the next stop, else at the last stop it tells of."""
    if update.HasField("delay"):
        return float(update.delay)
    for stop_time in filter(None, (ahead, *reversed(update.stop_time_update))):
        for event in (stop_time.departure, stop_time.arrival):
            if event.HasField("delay"):
                return float(event.delay)
    return None


def _passed(reading: _Reading, stop_time: Any) -> dict[str, Any] | None:
    """What is known of a call that has happened; null for one that has not, or is skipped or without data."""
    seconds = _time(stop_time)
    if seconds is None or seconds > reading.clock + reading.within_s:
        return None
    if stop_time.schedule_relationship not in (STOP_TIME.SCHEDULED, STOP_TIME.UNSCHEDULED):
        return None
    stop = {"stop": or_none(stop_time, "stop_id"), "stop_sequence": or_none(stop_time, "stop_sequence")}
    if (name := _call_name(stop)) is None:
        return None
    delays = [float(e.delay) for e in (stop_time.departure, stop_time.arrival) if e.HasField("delay")]
    return {
        **stop,
        "call": name,
        "basis": "update" if seconds <= reading.clock else "estimate",
        "observed_at": instant(seconds),
        "arrived_at": instant(stop_time.arrival.time),
        "departed_at": instant(stop_time.departure.time),
        "delay_s": delays[0] if delays else None,
    }


def _words(reading: _Reading, thing: Any, name: str) -> str | None:
    """The text in the wanted language, else the first."""
    translations = list(getattr(thing, name).translation)
    wanted = [t for t in translations if reading.language and text(t.language).startswith(reading.language)]
    return next((text(t.text) for t in wanted + translations), None)


def _alert(reading: _Reading, row: int, entity: gtfs.FeedEntity) -> None:
    """One row of service_alerts per period and per route, trip or stop that it names."""
    alert = entity.alert
    said = {
        "alert": text(entity.id),
        "observed_at": instant(reading.clock),
        "cause": enum_name(alert, "cause"),
        "effect": enum_name(alert, "effect"),
        "severity": enum_name(alert, "severity_level"),
        ROW: row,
        "header": _words(reading, alert, "header_text"),
        "description": _words(reading, alert, "description_text"),
        "url": _words(reading, alert, "url"),
    }
    periods = [{"starts_at": instant(p.start), "ends_at": instant(p.end)} for p in alert.active_period]
    parts = [(p, who) for p in periods or [{}] for who in alert.informed_entity or [gtfs.EntitySelector()]]
    for part, (period, who) in enumerate(parts):
        has_trip = who.HasField("trip")
        reading.rows["service_alerts"].append(
            {
                **said,
                **period,
                "part": part,
                "stop": or_none(who, "stop_id"),
                "route": or_none(who, "route_id") or (or_none(who.trip, "route_id") if has_trip else None),
                "trip": or_none(who.trip, "trip_id") if has_trip else None,
                "service_date": _day(reading, who.trip) if has_trip and who.trip.start_date else None,
            }
        )
