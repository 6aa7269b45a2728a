"""Kingston, Ontario: its timetable and 72 TripUpdates, replayed on an injected clock with the holes between the runs."""

import csv
import io
import itertools
import tarfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas
import polars as pl
import pytest
from google.transit import gtfs_realtime_pb2

from pipelines.engine import flow
from pipelines.engine.flow import RawMessage
from pipelines.engine.sources.replay import Replay, recorded_at
from pipelines.engine.town import Town

from .recording import at, folder_of, opened

pytestmark = pytest.mark.slow
ZONE = ZoneInfo("America/Toronto")
WITHIN_S = 60
NIGHT = timedelta(hours=3)
DAY = at("2026-01-15T05:00")


@pytest.fixture(scope="module")
def files(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The recorded messages, unpacked."""
    target = tmp_path_factory.mktemp("kingston_recorded")
    with tarfile.open(recorded / "transit/kingston_on/tripupdates_20260115_pb.tar.xz") as packed:
        # Python before 3.11.4 knows no filters.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(target)
    return sorted(target.rglob("*.pb"), key=recorded_at)


@pytest.fixture(scope="module")
def kingston(recorded: Path, files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The whole recording taken in afterwards, each message with the time at which it was received."""
    folder = folder_of("kingston", tmp_path_factory.mktemp("kingston"))
    with opened(folder, at("2026-01-16T06:00"), ["on_time_performance"]) as town:
        town.land("timetable", (recorded / "transit/kingston_on/gtfs.zip").read_bytes())
        feed = town.settings.feeds["trip_updates"]
        messages = [RawMessage(feed, path.read_bytes(), recorded_at(path), backfill=True) for path in files]
        flow.take(town.line, messages, town.clock.at)
        town.evaluate()
        yield town.town


@dataclass
class Replayed:
    """The end of a replay, and what was seen on the way: (time, state of the feed, its alarm)."""

    town: Town
    seen: list[tuple[datetime, str, str | None]]
    strip: list[float | None]


@pytest.fixture(scope="module")
def replayed(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    """The recording at its own pace: the line beats every 30 seconds, in the holes every 90."""
    first = recorded_at(files[0])
    with opened(folder_of("kingston", tmp_path_factory.mktemp("replayed")), first, ["feed_age"]) as town:
        feed, replay, seen = town.settings.feeds["trip_updates"], Replay(files, first), []
        while not replay.over:
            now = town.clock.at
            batch = [RawMessage(feed, payload, when) for when, payload in replay.due(now)]
            if batch:
                flow.take(town.line, batch, now)
            flow.beat(town.line, now)
            alarms = {alarm["rule"]: alarm["state"] for alarm in town.line.alarms.listed()}
            seen.append((now, town.line.feed_states(now)["trip_updates"]["state"], alarms.get("feed_silent")))
            town.clock.at += timedelta(seconds=30) if batch else timedelta(seconds=90)
        strip = town.line.feed_states(town.clock.at)["trip_updates"]["strip"]
        town.clock.at = at("2026-01-16T00:00")
        town.evaluate()
        yield Replayed(town.town, seen, strip)


def messages(files: list[Path]) -> Iterator[tuple[int, gtfs_realtime_pb2.FeedMessage]]:
    """(received, message) of every file."""
    for path in files:
        message = gtfs_realtime_pb2.FeedMessage()
        message.ParseFromString(path.read_bytes())
        yield int(recorded_at(path).timestamp()), message


def table(recorded: Path, name: str) -> list[dict[str, str]]:
    """A file of the timetable."""
    with zipfile.ZipFile(recorded / "transit/kingston_on/gtfs.zip") as packed:
        return list(csv.DictReader(io.StringIO(packed.read(name).decode("utf-8-sig"))))


def seconds(text: str) -> int | None:
    """Seconds of a GTFS time."""
    hours, minutes, rest = text.split(":") if text else (None, 0, 0)
    return int(hours) * 3600 + int(minutes) * 60 + int(rest) if hours is not None else None


def day_of(trip: gtfs_realtime_pb2.TripDescriptor, clock: int) -> date:
    """The service day that the feed names, else that of the message."""
    if trip.start_date:
        return datetime.strptime(trip.start_date, "%Y%m%d").replace(tzinfo=ZONE).date()
    return (datetime.fromtimestamp(clock, ZONE) - NIGHT).date()


def passages(files: list[Path]) -> dict[tuple, tuple[int, int, str]]:
    """(day, trip, stop_sequence) -> (arrival, departure, relationship) by the newest message, a past time before a prediction."""
    found: dict[str, dict[tuple, tuple[int, int, str]]] = {"past": {}, "predicted": {}}
    for received, message in messages(files):
        clock = min(message.header.timestamp or received, received)
        for entity in message.entity:
            update = entity.trip_update
            if not entity.HasField("trip_update") or not update.trip.trip_id or update.trip.schedule_relationship == 3:
                continue
            for stop in update.stop_time_update:
                when = stop.departure.time or stop.arrival.time
                if not when or when > clock + WITHIN_S or stop.schedule_relationship != 0:
                    continue
                key = (day_of(update.trip, clock), update.trip.trip_id, stop.stop_sequence)
                kind = "past" if when <= clock else "predicted"
                found[kind][key] = (stop.arrival.time, stop.departure.time, update.trip.schedule_relationship)
    return found["predicted"] | found["past"]


def punctuality(recorded: Path, files: list[Path]) -> tuple[Counter, Counter, int]:
    """Passages on time and passages judged, by route, and passages of trips that the timetable lacks."""
    routes = {row["trip_id"]: (row["route_id"], row["service_id"]) for row in table(recorded, "trips.txt")}
    runs = {(r["service_id"], r["date"]) for r in table(recorded, "calendar_dates.txt") if r["exception_type"] == "1"}
    calls = defaultdict(dict)
    for row in table(recorded, "stop_times.txt"):
        calls[row["trip_id"]][int(row["stop_sequence"])] = row
    # As the standard says, timing points are judged where the timetable marks any; a blank mark means exact times.
    points = any(row["timepoint"] == "1" for trip in calls.values() for row in trip.values())
    good, all_, foreign = Counter(), Counter(), 0
    for (day, trip, sequence), (arrival, departure, relationship) in passages(files).items():
        if trip not in routes:
            foreign += 1
            continue
        route, service = routes[trip]
        call = calls[trip].get(sequence)
        if relationship != 0 or call is None or (service, f"{day:%Y%m%d}") not in runs:
            continue
        if points and call["timepoint"] == "0":
            continue
        last = sequence == max(calls[trip])
        due_s = seconds(call["arrival_time" if last else "departure_time"])
        actual = arrival if last else departure or arrival
        if not actual or due_s is None:
            continue
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZONE)
        late = actual - (noon.timestamp() - 43200 + due_s)
        all_[route] += 1
        good[route] += -60 <= late <= 300
    return good, all_, foreign


def test_punctuality_by_route_equals_the_bindings_and_csv(kingston: Town, recorded: Path, files: list[Path]):
    good, all_, _ = punctuality(recorded, files)
    history = kingston.history("on_time_performance", start=DAY, end=DAY + timedelta(days=1))
    judged = history.filter(pl.col("area").str.starts_with("route:") & (pl.col("denominator") > 0))
    ours = {
        a.removeprefix("route:"): (n, d) for a, n, d in judged.select("area", "numerator", "denominator").iter_rows()
    }
    assert ours == {route: (good[route], count) for route, count in all_.items()}
    assert len(ours) > 15
    assert history.filter(area="town")["value"].item() == pytest.approx(100 * good.total() / all_.total())


def test_punctuality_by_route_equals_the_one_that_pandas_makes(kingston: Town, recorded: Path, files: list[Path]):
    with zipfile.ZipFile(recorded / "transit/kingston_on/gtfs.zip") as packed:
        names = ("trips", "stop_times", "calendar_dates")
        trips, times, dates = (pandas.read_csv(packed.open(f"{name}.txt"), dtype=str) for name in names)
    seen = pandas.DataFrame(
        [(f"{day:%Y%m%d}", trip, str(sequence), *rest) for (day, trip, sequence), rest in passages(files).items()],
        columns=["date", "trip_id", "stop_sequence", "arrival", "departure", "relationship"],
    )
    times["last"] = times.groupby("trip_id")["stop_sequence"].transform(
        lambda own: own.astype(int) == own.astype(int).max()
    )
    if (times["timepoint"] == "1").any():
        times = times[times["timepoint"].fillna("1") != "0"]
    runs = dates[dates["exception_type"] == "1"][["service_id", "date"]]
    calls = seen[seen["relationship"] == 0].merge(trips, on="trip_id").merge(runs, on=["service_id", "date"])
    calls = calls.merge(times, on=["trip_id", "stop_sequence"])
    due = calls["departure_time"].where(~calls["last"], calls["arrival_time"])
    left = calls["departure"].where(calls["departure"] > 0, calls["arrival"])
    actual = left.where(~calls["last"], calls["arrival"])
    noon = pandas.to_datetime(calls["date"] + " 12:00").dt.tz_localize(ZONE.key)
    midnight = (noon - pandas.Timestamp(0, tz="UTC")) // pandas.Timedelta(seconds=1) - 43_200
    late = actual - midnight - pandas.to_timedelta(due).dt.total_seconds()
    judged = calls.assign(ok=late.between(-60, 300))[(actual > 0) & due.notna()]
    shares = judged.groupby("route_id")["ok"].mean()
    history = kingston.history("on_time_performance", start=DAY, end=DAY + timedelta(days=1))
    ours = dict(
        history.filter(pl.col("denominator") > 0).select("area", pl.col("numerator") / pl.col("denominator")).rows()
    )
    assert ours["town"] == pytest.approx(judged["ok"].mean())
    assert {route: ours[f"route:{route}"] for route in shares.index} == pytest.approx(shares.to_dict())
    assert len(shares) > 15


def test_a_day_of_which_an_hour_was_recorded_says_so(kingston: Town):
    town = kingston.history("on_time_performance", ["town"], DAY, DAY + timedelta(days=1))
    assert 0.01 < town["coverage"].item() < 0.1
    assert town["n"].item() == town["denominator"].item()


def test_the_timetable_of_the_week_does_not_cover_the_silence_of_the_live_feed(kingston: Town, files: list[Path]):
    idle = kingston.history("on_time_performance", start=DAY, end=DAY + timedelta(days=1)).filter(
        reason="not_applicable"
    )
    spans = [(message.header.timestamp - 30, message.header.timestamp) for _, message in messages(files)]
    spans.append((spans[-1][1], spans[-1][1] + 30))  # nothing is missing until the next message is due
    covered = {second for low, high in spans for second in range(low, high)}
    assert idle["coverage"].to_list() == pytest.approx([len(covered) / 86400] * idle.height, rel=1e-6)
    assert idle.height > 0


def test_trips_that_the_timetable_lacks_are_kept_and_counted(kingston: Town, recorded: Path, files: list[Path]):
    known = {row["trip_id"] for row in table(recorded, "trips.txt")}
    said = {
        (day_of(entity.trip_update.trip, message.header.timestamp), entity.trip_update.trip.trip_id)
        for _, message in messages(files)
        for entity in message.entity
    }
    ours = kingston.rows("trip_updates").select("service_date", "trip").unique()
    foreign = ours.join(kingston.rows("gtfs_trips"), on="trip", how="anti")
    assert ours.height == len(said)
    assert foreign.height == sum(trip not in known for _, trip in said) > 20
    unknown = punctuality(recorded, files)[2]
    passed = kingston.rows("passages").unique(["service_date", "trip", "call"])
    assert passed.join(kingston.rows("gtfs_trips"), on="trip", how="anti").height == unknown > 0


def test_every_hole_between_the_runs_raises_the_feed_alarm_and_clears(replayed: Replayed, files: list[Path]):
    received = [recorded_at(path) for path in files]
    holes = [(a, b) for a, b in itertools.pairwise(received) if b - a > timedelta(minutes=5)]
    assert len(holes) == 3
    for began, ended in holes:
        hole = {(state, alarm) for when, state, alarm in replayed.seen if began + timedelta(minutes=5) < when < ended}
        assert hole == {("silent", "unacknowledged")}
        assert next(rest for when, *rest in replayed.seen if when >= ended) == ["live", "returned_unacknowledged"]
    assert replayed.seen[0][1:] == ("live", None)


def test_the_strip_of_hours_shows_the_holes(replayed: Replayed, files: list[Path]):
    spans = [(message.header.timestamp - 30, message.header.timestamp) for _, message in messages(files)]
    covered = {second for low, high in spans for second in range(low, high)}
    start = int(at("2026-01-15T16:00").timestamp())
    shares = [sum(start + hour * 3600 + second in covered for second in range(3600)) / 3600 for hour in range(5)]
    assert shares[2:4] == [0, 0]
    assert replayed.strip[-6:-1] == pytest.approx(shares, abs=0.002)


def test_the_age_of_the_feed_at_the_end_of_each_hour_is_that_of_the_newest_header(
    replayed: Replayed, files: list[Path]
):
    stamps = [(received, message.header.timestamp) for received, message in messages(files)]
    hours = replayed.town.history("feed_age", ["town"])
    assert hours.height >= 7
    for end, value in hours.select("end", "value").iter_rows():
        newest = max(stamp for received, stamp in stamps if received <= end.timestamp())
        assert value == end.timestamp() - newest
