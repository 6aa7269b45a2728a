"""History is whole, lands without a refusal, joins the live town without a step, and is made fast."""

import csv
import importlib
import io
import json
import time
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.demo.calendar import iso
from pipelines.demo.due import Pace, readings
from pipelines.demo.feeds import FEEDS, blocks
from pipelines.demo.history import history
from pipelines.demo.incidents import World
from pipelines.demo.town import write_town
from pipelines.engine import registers, settings
from pipelines.engine.decode import decoder

DOMAINS = ("transport", "water", "energy", "pollution", "grievances")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, now: datetime) -> Path:
    folder = tmp_path_factory.mktemp("nadipur")
    write_town(folder, now=now, base_url="http://127.0.0.1:8099")
    return folder


@pytest.fixture(scope="module")
def town(folder: Path) -> settings.Settings:
    return settings.load(
        folder, lambda: {name: importlib.import_module(f"pipelines.{name}").DOMAIN for name in DOMAINS}
    )


@pytest.fixture(scope="module")
def two_days(now: datetime) -> list[tuple[str, bytes, str]]:
    return list(history(now, days=2))


def landed(payloads: list[tuple[str, bytes, str]]) -> dict[tuple[str, str], float]:
    """Sensor and instant -> value, of the CSV and JSON readings."""
    found = {}
    for feed, payload, form in payloads:
        if form == "csv" and FEEDS[feed].get("table", "readings") == "readings" and payload.startswith(b"sensor"):
            for sensor, at, value, *_ in list(csv.reader(io.StringIO(payload.decode())))[1:]:
                found[sensor, at] = float(value)
        elif feed == "traffic":
            found.update({(r["sensor"], r["observed_at"]): r["value"] for r in json.loads(payload)["measurements"]})
    return found


def test_town_that_is_written_passes_the_engines_own_checks(town: settings.Settings) -> None:
    registered = registers.load(town)
    assert town.demo
    assert set(FEEDS) <= set(town.feeds)
    assert len(registered.sensors) == sum(len(block.series) for block in blocks(7))


@pytest.mark.parametrize(
    ("today", "month"),
    [
        # Bills are settled thirty days after the end of their month: October's of 2026 on the first of December.
        ("2026-11-30", "2026-09-01"),
        ("2026-12-01", "2026-10-01"),
        ("2026-03-01", "2025-12-01"),
        ("2026-03-03", "2026-01-01"),
        ("2026-01-01", "2025-11-01"),
    ],
)
def test_inflow_is_known_from_the_newest_month_whose_bills_are_settled(today: str, month: str) -> None:
    noon = datetime.fromisoformat(f"{today}T12:00:00+05:30")
    feed, payload, _ = next(p for p in history(noon) if p[0] == "water_telemetry")
    assert (feed, payload.split(b"\n")[1].split(b",")[1]) == (
        "water_telemetry",
        iso(datetime.fromisoformat(f"{month}T00:00:00+05:30").timestamp()).encode(),
    )


def test_inflow_of_settled_bills_joins_the_history_without_a_gap(two_days, now: datetime) -> None:
    telemetry = pl.concat(pl.read_csv(payload) for feed, payload, _ in two_days if feed == "water_telemetry")
    came = set(telemetry.filter(pl.col("sensor") == "D3-FLOW")["observed_at"])
    begin = datetime.fromisoformat("2026-09-01T00:00:00+05:30").timestamp()
    assert came >= {iso(t) for t in np.arange(begin, now.timestamp() - 60.0, 60.0).tolist()}


def test_every_payload_of_history_decodes_without_a_refusal(town, two_days, now: datetime) -> None:
    rows: dict[str, int] = defaultdict(int)
    sensors = set(registers.load(town).sensors["sensor"])
    for feed_name, payload, form in two_days:
        feed = town.feeds[feed_name]
        assert form == feed.format
        mapping = {**feed.mapping, "format": form, "table": feed.table, "zone": feed.zone, "feed": feed_name}
        decoded = decoder(form)(payload, mapping, now)
        assert decoded.refused == (), feed_name
        if "readings" in decoded.tables:
            assert set(decoded.tables["readings"]["sensor"]) <= sensors, feed_name
        for table, frame in decoded.tables.items():
            rows[table] += frame.height
    assert rows["readings"] > 150_000
    assert rows["passages"] > 15_000
    assert rows["service_requests"] > 70
    assert {"water_bills", "energy_accounts", "effluent_samples", "gtfs_trips", "street_light_nights"} <= rows.keys()


def test_history_begins_with_the_timetable_and_ends_by_now(two_days, now: datetime) -> None:
    assert two_days[0][0] == "bus_timetable"
    newest = max(at for _, at in landed(two_days))
    assert newest <= now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert newest >= (now - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_live_value_at_an_instant_of_history_is_the_same(two_days, troubled: World, start: float) -> None:
    """`troubled` is the live world: its incidents begin only after `start`."""
    known, compared = landed(two_days), 0
    for block in blocks(7):
        t = start - (start + 19_800) % block.every_s - block.every_s * 2.0
        which = np.arange(len(block.series))
        for sensor, at, value in readings(troubled, block, (which, np.full(len(which), t))):
            if (sensor, iso(at)) in known:
                assert value == pytest.approx(known[sensor, iso(at)], abs=1e-9), sensor
                compared += 1
    assert compared > 2000


def test_every_block_goes_on_without_a_step_from_history_to_live(calm: World, troubled: World, start: float) -> None:
    """Up to the first incident, half a minute after the start, calm and live are the same curve."""
    t = np.array([start - 1.0, start, start + 1.0, start + 29.0])
    for block in (b for b in blocks(7) if not b.interval):
        assert (block.at(calm, t) == block.at(troubled, t)).all(), block.name


def test_interval_readings_come_once_each_and_only_after_their_interval(start: float) -> None:
    block = next(b for b in blocks(7) if b.name == "energies")
    pace = Pace(7, block)
    sent = []
    for second in range(1, 1801):
        which, labels = pace.due(start + second - 1, start + second)
        sent += [(series, label) for series, label in zip(which.tolist(), labels.tolist(), strict=True)]
        assert (labels + block.every_s <= start + second).all()
    assert len(sent) == len(set(sent)) == 2 * len(block.series)


def test_something_moves_in_every_five_seconds(start: float) -> None:
    paces = [Pace(7, block) for block in blocks(7)]
    for step in range(0, 600, 5):
        assert any(len(pace.due(start + step, start + step + 5)[0]) for pace in paces)


def test_history_of_one_seed_is_the_same_twice_and_of_another_is_not(now: datetime) -> None:
    one, two = (list(history(now, days=0)) for _ in range(2))
    assert one == two
    assert one != list(history(now, days=0, seed=8))


@pytest.mark.slow
def test_thirty_days_are_some_million_readings_and_take_little_time(now: datetime, capsys) -> None:
    begun, count = time.process_time(), 0
    for feed, payload, form in history(now):
        if FEEDS[feed].get("table", "readings") == "readings" and payload.startswith(b"sensor"):
            count += payload.count(b"\n") - 1
        elif form == "json":
            count += payload.count(b'"observed_at"')
    took = time.process_time() - begun
    with capsys.disabled():
        print(f"\n30 days of history: {count:,} readings in {took:.1f} s of CPU")
    assert 1_800_000 < count < 3_600_000
    assert took < 40.0
