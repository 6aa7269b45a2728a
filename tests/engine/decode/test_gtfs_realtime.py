"""The GTFS-Realtime decoder, on messages built with Google's own bindings."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from google.transit import gtfs_realtime_pb2 as gtfs
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.decode.base import Decoded, Refused
from pipelines.engine.decode.gtfs_realtime import decode

CLOCK = 1760000000
AT = datetime.fromtimestamp(CLOCK, UTC)
NOW = AT + timedelta(seconds=2)


def message(*fills: Callable[[Any], None], clock: int | None = CLOCK) -> bytes:
    """A whole message with one entity per fill."""
    feed = gtfs.FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    if clock is not None:
        feed.header.timestamp = clock
    for number, fill in enumerate(fills):
        entity = feed.entity.add()
        entity.id = f"e{number}"
        fill(entity)
    return feed.SerializeToString()


def read(*fills: Callable[[Any], None], clock: int | None = CLOCK, **mapping: Any) -> Decoded:
    return decode(message(*fills, clock=clock), {"zone": "Asia/Kolkata", **mapping}, NOW)


def bus(age: int | None = 10, lat: float | None = 25.5, lon: float = 85.0, trip: str | None = "T1", **more: Any):
    def fill(entity: Any) -> None:
        vehicle = entity.vehicle
        vehicle.vehicle.id = "B1"
        if lat is not None:
            vehicle.position.latitude, vehicle.position.longitude = lat, lon
        if age is not None:
            vehicle.timestamp = CLOCK - age
        if trip:
            vehicle.trip.trip_id, vehicle.trip.start_date = trip, "20251009"
        for name, value in more.items():
            setattr(vehicle, name, value)

    return fill


def trip_update(
    *stops: dict[str, Any], start_date: str | None = "20251009", relationship: int | None = None, stamp: int | None = 5
):
    """stops: sequence, and any of stop, left, arrives, delay, skipped; times are seconds before (-) or after the clock."""

    def fill(entity: Any) -> None:
        update = entity.trip_update
        update.trip.trip_id, update.trip.route_id = "T1", "19A"
        if start_date:
            update.trip.start_date = start_date
        if relationship is not None:
            update.trip.schedule_relationship = relationship
        if stamp is not None:
            update.timestamp = CLOCK - stamp
        for stop in stops:
            told = update.stop_time_update.add()
            if "sequence" in stop:
                told.stop_sequence = stop["sequence"]
            if "stop" in stop:
                told.stop_id = stop["stop"]
            if "left" in stop:
                told.departure.time = CLOCK + stop["left"]
            if "arrives" in stop:
                told.arrival.time = CLOCK + stop["arrives"]
            if "delay" in stop:
                told.departure.delay = stop["delay"]
            if stop.get("skipped"):
                told.schedule_relationship = gtfs.TripUpdate.StopTimeUpdate.SKIPPED

    return fill


def rows(decoded: Decoded, table: str) -> list[dict[str, Any]]:
    return decoded.tables[table].to_dicts() if table in decoded.tables else []


def test_a_position_is_read_in_our_units():
    def fill(entity: Any) -> None:
        bus()(entity)
        entity.vehicle.position.speed = 10.0
        entity.vehicle.position.odometer = 5500.0

    (row,) = rows(read(fill), "vehicle_positions")
    assert (row["vehicle"], row["trip"], row["service_date"]) == ("B1", "T1", date(2025, 10, 9))
    assert (row["speed_km_h"], row["odometer_km"], row["lat"]) == (36.0, 5.5, 25.5)
    assert (row["observed_at"], row["stamped"]) == (AT - timedelta(seconds=10), True)


@pytest.mark.parametrize("lat", [0.0, None])
def test_a_vehicle_at_zero_or_nowhere_is_kept_with_an_empty_position(lat):
    (row,) = rows(read(bus(lat=lat, lon=0.0)), "vehicle_positions")
    assert (row["lat"], row["lon"], row["trip"]) == (None, None, "T1")


def test_a_vehicle_on_the_equator_keeps_its_position():
    (row,) = rows(read(bus(lat=0.0, lon=32.5)), "vehicle_positions")
    assert (row["lat"], row["lon"]) == (0.0, 32.5)


@pytest.mark.parametrize("age", [None, CLOCK])
def test_a_vehicle_without_a_time_is_of_unknown_age_and_never_of_1970(age):
    decoded = read(bus(age=age))
    (row,) = rows(decoded, "vehicle_positions")
    assert (row["observed_at"], row["stamped"]) == (AT, False)
    assert rows(decoded, "trip_sightings") == []


def test_a_parked_vehicle_without_a_trip_is_normal():
    decoded = read(bus(trip=None))
    assert rows(decoded, "vehicle_positions")[0]["trip"] is None
    assert (rows(decoded, "trip_sightings"), decoded.refused) == ([], ())


def test_a_vehicle_on_a_trip_is_sighted_in_its_quarter_of_an_hour():
    (row,) = rows(read(bus()), "trip_sightings")
    # 1760000000 is 08:53:20 UTC.
    assert row["slot"] == datetime(2025, 10, 9, 8, 45, tzinfo=UTC)


def test_a_vehicle_standing_at_a_stop_is_a_passage():
    (row,) = rows(
        read(bus(current_status=gtfs.VehiclePosition.STOPPED_AT, current_stop_sequence=4, stop_id="S4")), "passages"
    )
    assert (row["call"], row["stop"], row["basis"], row["arrived_at"]) == ("4", "S4", "stopped_at", None)
    assert row["departed_at"] == AT - timedelta(seconds=10)


def test_a_vehicle_that_names_a_stop_without_a_status_is_on_its_way_to_it():
    assert rows(read(bus(current_stop_sequence=4)), "passages") == []


def test_only_past_stop_times_are_passages():
    decoded = read(trip_update({"sequence": 1, "left": -60}, {"sequence": 2, "left": 0}, {"sequence": 3, "left": 1}))
    assert [(p["call"], p["basis"]) for p in rows(decoded, "passages")] == [("1", "update"), ("2", "update")]


def test_a_bus_that_has_arrived_and_not_left_has_not_passed():
    assert rows(read(trip_update({"sequence": 1, "arrives": -30, "left": 30})), "passages") == []


def test_a_stop_that_only_arrives_counts_by_arrival():
    (row,) = rows(read(trip_update({"sequence": 9, "arrives": -30})), "passages")
    assert (row["observed_at"], row["departed_at"]) == (AT - timedelta(seconds=30), None)


def test_near_predictions_count_only_when_the_town_says_so_and_are_marked():
    stops = ({"sequence": 1, "left": -5}, {"sequence": 2, "left": 60}, {"sequence": 3, "left": 61})
    decoded = read(trip_update(*stops), passage_within_s=60)
    assert [(p["call"], p["basis"]) for p in rows(decoded, "passages")] == [("1", "update"), ("2", "estimate")]


@pytest.mark.parametrize("stop", [{"sequence": 1, "left": -5, "skipped": True}, {"sequence": 1, "delay": 60}])
def test_skipped_stops_and_delays_without_a_time_are_no_passages(stop):
    assert rows(read(trip_update(stop)), "passages") == []


def test_a_cancelled_trip_passes_nowhere():
    decoded = read(trip_update({"sequence": 1, "left": -5}, relationship=gtfs.TripDescriptor.CANCELED))
    assert rows(decoded, "passages") == []
    assert rows(decoded, "trip_updates")[0]["relationship"] == "CANCELED"


def test_a_stop_without_a_sequence_is_named_by_its_id():
    (row,) = rows(read(trip_update({"stop": "S7", "left": -5})), "passages")
    assert (row["call"], row["stop_sequence"]) == ("S7", None)


def test_the_delay_is_that_of_the_next_stop():
    stops = ({"sequence": 1, "left": -60, "delay": 30}, {"sequence": 2, "left": 60, "delay": 95, "stop": "S2"})
    (row,) = rows(read(trip_update(*stops)), "trip_updates")
    assert (row["delay_s"], row["stop"], row["route"]) == (95.0, "S2", "19A")


def test_a_trip_without_a_date_gets_the_local_day_which_ends_at_three():
    # 20:00 UTC is 01:30 of the next day in Kolkata: still the service day before.
    late = int(datetime(2025, 10, 9, 20, 0, tzinfo=UTC).timestamp())
    decoded = decode(
        message(trip_update(start_date=None), clock=late),
        {"zone": "Asia/Kolkata"},
        datetime(2025, 10, 9, 20, 1, tzinfo=UTC),
    )
    assert rows(decoded, "trip_updates")[0]["service_date"] == date(2025, 10, 9)


def test_a_trip_update_without_a_trip_is_set_aside():
    def fill(entity: Any) -> None:
        entity.trip_update.trip.route_id = "1"

    decoded = read(fill, bus())
    assert (decoded.refused[0].reason, decoded.refused[0].row) == ("no_trip_id", 0)


def test_a_trip_update_without_even_the_message_of_a_trip_is_set_aside_with_its_bytes():
    # GTFS-Realtime requires `trip`; protobuf reads the message all the same, and refuses to write it.
    found = gtfs.FeedMessage.FromString(message(bus()))
    found.entity.add(id="torn").trip_update.timestamp = 5
    decoded = decode(found.SerializePartialToString(), {}, NOW)
    (refused,) = decoded.refused
    assert (refused.reason, gtfs.FeedEntity.FromString(refused.original).id) == ("no_trip_id", "torn")
    assert len(rows(decoded, "vehicle_positions")) == 1


def test_an_alert_has_a_row_per_period_and_thing_named():
    def fill(entity: Any) -> None:
        alert = entity.alert
        alert.effect = gtfs.Alert.NO_SERVICE
        alert.active_period.add().start = CLOCK
        alert.informed_entity.add().route_id = "1"
        alert.informed_entity.add().trip.trip_id = "T1"
        for language, text in (("en", "Closed"), ("hi", "बंद")):
            words = alert.header_text.translation.add()
            words.language, words.text = language, text

    found = rows(read(fill, language="hi"), "service_alerts")
    assert [(a["part"], a["route"], a["trip"]) for a in found] == [(0, "1", None), (1, None, "T1")]
    assert {(a["header"], a["effect"], a["starts_at"], a["ends_at"]) for a in found} == {("बंद", "NO_SERVICE", AT, None)}


def test_one_message_may_hold_everything():
    decoded = read(bus(), trip_update({"sequence": 1, "left": -5}))
    assert set(decoded.tables) == {"vehicle_positions", "trip_sightings", "trip_updates", "passages"}
    assert decoded.observed_at == AT
    assert gtfs.FeedEntity.FromString(decoded.original(1)).trip_update.trip.trip_id == "T1"


def test_a_message_from_the_future_has_not_seen_more_than_we_have():
    decoded = decode(message(trip_update({"sequence": 1, "left": 30}), clock=CLOCK + 60), {"zone": "UTC"}, NOW)
    assert (rows(decoded, "passages"), decoded.observed_at) == ([], AT + timedelta(seconds=60))


def test_a_quiet_night_is_an_empty_message_not_a_fault():
    decoded = read()
    assert (decoded.rows, decoded.observed_at) == (0, AT)


def test_a_header_without_a_time_has_no_clock():
    assert read(bus(), clock=None).observed_at is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"\n<html><body>Log in</body></html>", "not_gtfs_realtime"),
        (b'{"entity": []}', "not_gtfs_realtime"),
        (message(bus())[:-3], "not_gtfs_realtime"),
    ],
)
def test_what_is_no_message_is_refused_in_words(payload, reason):
    with pytest.raises(Refused) as refusal:
        decode(payload, {}, NOW)
    assert refusal.value.reason == reason
    assert "Traceback" not in refusal.value.detail


def test_a_message_whose_first_bytes_look_like_a_page_is_read():
    # A header of 60 bytes begins with a line feed and "<", as a web page may.
    feed = gtfs.FeedMessage()
    feed.header.gtfs_realtime_version = "2" * 58
    payload = feed.SerializeToString()
    assert payload[:2] == b"\n<"
    assert decode(payload, {}, NOW).rows == 0


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(payload):
    try:
        decode(payload, {}, NOW)
    except Refused as refusal:
        assert refusal.detail


def test_text_that_is_no_utf_8_is_kept_with_a_mark_and_costs_no_other_entity():
    body = message(bus(trip="Rue"), bus(trip="T2")).replace(b"Rue", b"R\xfce")
    trips = [row["trip"] for row in rows(decode(body, {"zone": "Asia/Kolkata"}, NOW), "vehicle_positions")]
    assert trips == ["R\N{REPLACEMENT CHARACTER}e", "T2"]
