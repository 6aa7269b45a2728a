"""Redding, California, on a Sunday: most routes do not run, and that is not a feed that is down."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from google.transit import gtfs_realtime_pb2

from pipelines.engine import flow

from .recording import Recording, at, folder_of, opened

SUNDAY = at("2025-06-08T21:08:30")
FOLDER = "transit/redding_ca"


@pytest.fixture(scope="module")
def redding(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """The town 25 seconds after the recorded messages."""
    folder = folder_of("redding", tmp_path_factory.mktemp("redding"))
    with opened(folder, SUNDAY, ["on_time_performance", "fresh_vehicles"]) as town:
        town.land("timetable", (recorded / FOLDER / "raba.zip").read_bytes())
        town.land("trips", (recorded / FOLDER / "raba-trip-updates.pb").read_bytes())
        town.land("buses", (recorded / FOLDER / "raba-vehicle-positions.pb").read_bytes())
        flow.beat(town.line, SUNDAY)
        yield town


def table(recorded: Path, name: str) -> list[dict[str, str]]:
    """A file of the timetable."""
    with zipfile.ZipFile(recorded / FOLDER / "raba.zip") as packed:
        return list(csv.DictReader(io.StringIO(packed.read(name).decode("utf-8-sig"))))


def idle_routes(recorded: Path) -> set[str]:
    """The routes without a trip on that Sunday or, past midnight, on the Saturday before."""
    running = set()
    for day, weekday in (("20250607", "saturday"), ("20250608", "sunday")):
        services = {
            row["service_id"]
            for row in table(recorded, "calendar.txt")
            if row[weekday] == "1" and row["start_date"] <= day <= row["end_date"]
        }
        for row in table(recorded, "calendar_dates.txt"):
            if row["date"] == day:
                (services.add if row["exception_type"] == "1" else services.discard)(row["service_id"])
        late = {row["trip_id"] for row in table(recorded, "stop_times.txt") if row["departure_time"] >= "24"}
        running |= {
            row["route_id"]
            for row in table(recorded, "trips.txt")
            if row["service_id"] in services and (day == "20250608" or row["trip_id"] in late)
        }
    return {row["route_id"] for row in table(recorded, "trips.txt")} - running


def test_routes_that_do_not_run_on_sunday_say_no_service(redding: Recording, recorded: Path):
    current = redding.line.kpis.works["on_time_performance"].current
    said = {
        area.removeprefix("route:")
        for area, reason, detail in current.select("area", "reason", "detail").iter_rows()
        if (reason, detail) == ("not_applicable", "no service")
    }
    assert said == idle_routes(recorded)
    assert len(said) > 5
    # the one route that runs marks no timing point: nothing is judged, but it is not called idle
    runs = current.filter(area="route:24")
    assert (runs["reason"].item(), runs["detail"].item()) == ("no_data", "nothing to judge yet")


def test_the_feeds_are_live_meanwhile_and_silent_only_when_nothing_comes(redding: Recording):
    states = {name: feed["state"] for name, feed in redding.line.feed_states(SUNDAY).items()}
    assert (states["trips"], states["buses"]) == ("live", "live")
    assert not [alarm for alarm in redding.line.alarms.listed() if alarm["rule"] == "feed_silent"]
    later = SUNDAY + timedelta(minutes=5)
    flow.beat(redding.line, later)
    silent = {alarm["area"] for alarm in redding.line.alarms.listed() if alarm["rule"] == "feed_silent"}
    assert silent == {"feed:trips", "feed:buses"}


def test_parked_vehicles_are_kept_and_counted_apart(redding: Recording, recorded: Path):
    message = gtfs_realtime_pb2.FeedMessage()
    message.ParseFromString((recorded / FOLDER / "raba-vehicle-positions.pb").read_bytes())
    parked = sum(not entity.vehicle.trip.trip_id for entity in message.entity)
    rows = redding.town.rows("vehicle_positions")
    assert (rows.height, rows["trip"].null_count()) == (len(message.entity), parked) == (22, 21)
