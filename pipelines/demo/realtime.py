"""The bus operator's GTFS-Realtime feeds as protobuf: positions, trip updates with past stop times, alerts."""

from collections.abc import Iterator

import numpy as np
from google.transit import gtfs_realtime_pb2 as gtfs

from pipelines.demo.calendar import DAY_S, day_number
from pipelines.demo.incidents import World
from pipelines.demo.lines import along
from pipelines.demo.running import Leg, around, day_of

SPAN_S = 21600.0
SLOT_S = 900
CANCELED = gtfs.TripDescriptor.CANCELED


def _message(t: float) -> gtfs.FeedMessage:
    message = gtfs.FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = int(t)
    return message


def _describe(trip: gtfs.TripDescriptor, leg: Leg) -> None:
    trip.trip_id, trip.start_date = leg.trip, leg.date
    trip.route_id, trip.direction_id = leg.line.route.line, leg.direction
    if leg.cancelled:
        trip.schedule_relationship = CANCELED


def _place(leg: Leg, t: float) -> tuple[float, float, float, float, int]:
    """Longitude, latitude, bearing, metres per second and position of the next stop."""
    line = leg.line
    marks = line.stops_m if leg.direction == 0 else [line.path_m[-1] - m for m in reversed(line.stops_m)]
    m = float(np.interp(t, leg.actual, marks))
    coming = min(int(np.searchsorted(leg.actual, t, side="right")), len(marks) - 1)
    lap = float(leg.actual[coming] - leg.actual[coming - 1]) if coming else 1.0
    speed = (marks[coming] - marks[coming - 1]) / max(lap, 1.0) if coming else 0.0
    lon, lat, bearing = along(line.path, line.path_m, m if leg.direction == 0 else line.path_m[-1] - m)
    return lon, lat, bearing if leg.direction == 0 else (bearing + 180.0) % 360.0, speed, coming


def _seen(message: gtfs.FeedMessage, leg: Leg, t: float, entity_id: str) -> None:
    """A vehicle on its trip."""
    entity = message.entity.add()
    entity.id = entity_id
    seen = entity.vehicle
    _describe(seen.trip, leg)
    seen.vehicle.id = seen.vehicle.label = leg.vehicle
    lon, lat, bearing, speed, coming = _place(leg, t)
    seen.position.latitude, seen.position.longitude, seen.position.bearing, seen.position.speed = (
        lat,
        lon,
        bearing,
        speed,
    )
    seen.current_stop_sequence, seen.stop_id = coming + 1, leg.line.calls(leg.direction)[coming].stop
    seen.current_status = gtfs.VehiclePosition.IN_TRANSIT_TO
    seen.timestamp = int(t)


def positions(world: World, t: float) -> bytes:
    """Where every bus is: on its trip, or waiting at the terminus without one."""
    message = _message(t)
    waiting: dict[str, Leg] = {}
    driving: set[str] = set()
    for leg in around(world, t, 1800.0, 0.0):
        if leg.cancelled:
            continue
        if leg.actual[0] <= t <= leg.actual[-1]:
            driving.add(leg.vehicle)
            _seen(message, leg, t - len(driving) % 7, leg.vehicle)
        elif leg.actual[-1] < t and (leg.vehicle not in waiting or waiting[leg.vehicle].actual[-1] < leg.actual[-1]):
            waiting[leg.vehicle] = leg
    for vehicle, leg in waiting.items():
        if vehicle not in driving:
            _parked(message, leg, t)
    return message.SerializeToString()


def _parked(message: gtfs.FeedMessage, leg: Leg, t: float) -> None:
    entity = message.entity.add()
    entity.id = leg.vehicle
    last = leg.line.calls(leg.direction)[-1]
    entity.vehicle.vehicle.id = entity.vehicle.vehicle.label = leg.vehicle
    entity.vehicle.position.latitude, entity.vehicle.position.longitude = last.lat, last.lon
    entity.vehicle.position.speed = 0.0
    entity.vehicle.timestamp = int(t)


def _update(message: gtfs.FeedMessage, leg: Leg, t: float, entity_id: str) -> gtfs.TripUpdate:
    entity = message.entity.add()
    entity.id = entity_id
    _describe(entity.trip_update.trip, leg)
    entity.trip_update.vehicle.id = leg.vehicle
    entity.trip_update.timestamp = int(t)
    return entity.trip_update


def _calls(update: gtfs.TripUpdate, leg: Leg, times: list[int], *, first: int, last: int) -> None:
    """Stop time updates of the stops first <= k < last."""
    calls, planned = leg.line.calls(leg.direction), leg.scheduled.tolist()
    final = len(calls) - 1
    for k in range(first, last):
        call = update.stop_time_update.add(stop_sequence=k + 1, stop_id=calls[k].stop)
        event = call.arrival if k == final else call.departure
        event.time = times[k]
        event.delay = times[k] - planned[k]


def trip_updates(world: World, t: float) -> bytes:
    """Every trip that runs or soon will: its past stop times as observed, the coming ones with its present delay."""
    message = _message(t)
    for leg in around(world, t, 600.0, 1500.0):
        update = _update(message, leg, t, f"{leg.date}-{leg.trip}")
        if leg.cancelled:
            continue
        passed = int(np.searchsorted(leg.actual, t, side="right"))
        times, planned = leg.actual.tolist(), leg.scheduled.tolist()
        delay = leg.delay_at(t)
        for k in range(passed, len(times)):
            times[k] = max(planned[k] + delay, int(t) + 1 + 20 * (k - passed))
        _calls(update, leg, times, first=0, last=len(times))
    return message.SerializeToString()


def past_spans(world: World, start: float, end: float) -> Iterator[bytes]:
    """One message per six hours of service: stop times passed, per trip and quarter of an hour, and sightings."""
    began = float(start // SPAN_S * SPAN_S)
    while began < end:
        over = min(began + SPAN_S, end)
        message = _message(over)
        for leg in around(world, began + SPAN_S / 2, SPAN_S / 2, SPAN_S / 2):
            if leg.cancelled:
                if began <= leg.scheduled[0] < began + SPAN_S:
                    _update(message, leg, began + 1.0, f"{leg.date}-{leg.trip}")
            else:
                _past_leg(message, leg, max(began, start), over)
        if message.entity:
            yield message.SerializeToString()
        began += SPAN_S


def _past_leg(message: gtfs.FeedMessage, leg: Leg, start: float, end: float) -> None:
    """The trip's quarters of an hour within start <= t < end."""
    if leg.actual[-1] < start or leg.actual[0] >= end:
        return
    times = leg.actual.tolist()
    slot = start // SLOT_S * SLOT_S
    while slot < end:
        first, last = (int(k) for k in np.searchsorted(leg.actual, (max(slot, start), min(slot + SLOT_S, end))))
        if last > first:
            name = f"{leg.date}-{leg.trip}-{int(slot) % DAY_S // SLOT_S}"
            _calls(_update(message, leg, times[last - 1], name), leg, times, first=first, last=last)
            _seen(message, leg, float(times[last - 1]), f"{name}-v")
        slot += SLOT_S


def alerts(world: World, t: float) -> bytes:
    """What passengers are told: standing road works, cancelled trips, and irregular service while buses bunch."""
    message = _message(t)
    works = message.entity.add(id="works-bazaar")
    works.alert.active_period.add(start=int(t // DAY_S - 3) * DAY_S)
    works.alert.informed_entity.add(route_id="5")
    _say(
        works.alert,
        gtfs.Alert.CONSTRUCTION,
        gtfs.Alert.DETOUR,
        "Line 5: detour",
        "Road works in Bazaar Road; buses may be some minutes late.",
    )
    for incident in world.of_kind("bunching"):
        if incident.start + 240.0 <= t <= incident.over:
            entity = message.entity.add(id=f"irregular-{incident.target}-{int(incident.start)}")
            entity.alert.active_period.add(start=int(incident.start), end=int(incident.over))
            entity.alert.informed_entity.add(route_id=incident.target)
            words = "Buses run unevenly after a hold-up on the Nadi bridge."
            _say(
                entity.alert,
                gtfs.Alert.OTHER_CAUSE,
                gtfs.Alert.SIGNIFICANT_DELAYS,
                f"Line {incident.target}: irregular service",
                words,
            )
    for leg in (
        leg for leg in day_of(world, int(day_number(t))) if leg.cancelled and abs(leg.scheduled[0] - t) < 7200.0
    ):
        entity = message.entity.add(id=f"cancelled-{leg.date}-{leg.trip}")
        entity.alert.active_period.add(start=int(leg.scheduled[0]) - 7200, end=int(leg.scheduled[-1]))
        _describe(entity.alert.informed_entity.add().trip, leg)
        _say(
            entity.alert,
            gtfs.Alert.TECHNICAL_PROBLEM,
            gtfs.Alert.NO_SERVICE,
            f"Line {leg.line.route.line}: a trip is cancelled",
            "The bus is in the workshop.",
        )
    return message.SerializeToString()


def _say(alert: gtfs.Alert, cause: int, effect: int, header: str, text: str) -> None:
    alert.cause, alert.effect = cause, effect  # type: ignore[assignment]
    alert.header_text.translation.add(text=header, language="en")
    alert.description_text.translation.add(text=text, language="en")
