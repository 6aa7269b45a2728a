"""Road traffic as recorded at one junction in Clackamas and one detector of the Twin Cities."""

import csv
import itertools
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from .recording import at, folder_of, opened

KM_H = 1.609344  # of one mile an hour


def test_hourly_volumes_of_every_detector_equal_the_file(recorded: Path, tmp_path: Path):
    file = recorded / "traffic/clackamas_or_signal_detector_counts_15min.parquet"
    zone = ZoneInfo("America/Los_Angeles")
    with opened(folder_of("clackamas", tmp_path), at("2024-05-14T08:00"), ["traffic_volume"]) as town:
        (receipt,) = town.land("detectors", file.read_bytes())
        assert (receipt.stored, receipt.quarantined) == (54824, 0)
        town.evaluate()
        history = town.town.history("traffic_volume")
    counts = defaultdict(list)
    for when, _, detector, total in pl.read_parquet(file).iter_rows():
        counts[detector, when.replace(minute=0, tzinfo=zone).astimezone(UTC)].append(total)
    ours = {(area, hour): value for area, hour, value in history.select("area", "window", "value").iter_rows()}
    detectors = {detector for detector, _ in counts}
    assert len(detectors) == 22
    hours = {hour for _, hour in counts}
    short = 0
    for hour in hours:
        volumes = [sum(counts[d, hour]) if len(counts[d, hour]) == 4 else None for d in detectors]
        short += None in volumes
        assert [ours[f"asset:85-{d}", hour] for d in detectors] == volumes
        assert ours["town", hour] == (None if None in volumes else sum(volumes))
    assert 0 < short < len(hours) / 10


def test_speeds_with_gaps_equal_the_file_and_gaps_stay_gaps(recorded: Path, tmp_path: Path):
    zone, hours = ZoneInfo("America/Chicago"), defaultdict(list)
    file = recorded / "traffic/mndot_speed_6005.csv"
    with opened(folder_of("twin_cities", tmp_path), at("2015-09-18T05:00"), ["space_mean_speed"]) as town:
        (receipt,) = town.land("speed", file.read_bytes())
        assert (receipt.stored, receipt.quarantined) == (2500, 0)
        town.evaluate()
        history = town.town.history("space_mean_speed", ["asset:6005"])
    for row in csv.DictReader(file.read_text().splitlines()):
        when = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=zone).astimezone(UTC)
        hours[when.replace(minute=0, second=0)].append(float(row["value"]) * KM_H)
    shown = history.filter(pl.col("denominator") > 0)
    ours = {h: n / d for h, n, d in shown.select("window", "numerator", "denominator").iter_rows()}
    assert ours == pytest.approx({hour: len(v) / sum(1 / speed for speed in v) for hour, v in hours.items()})
    thin = {hour for hour, speeds in hours.items() if len(speeds) < 0.75 * 12}
    assert set(history.filter(reason="insufficient_data")["window"]) == thin
    ordered = sorted(hours)
    gaps = [(a, b) for a, b in itertools.pairwise(ordered) if b - a > timedelta(hours=1)]
    assert gaps
    assert not any(low < hour < high for hour in shown["window"] for low, high in gaps)
