"""`python -m benchmarks.beat`: one beat of all KPIs with thirteen domains' worth of them and 10,000 readings, by phase.

Thirteen domains' worth: the five declared domains stand in for thirteen by being evaluated again and again in one beat
until thirteen domains have been. Prints medians of several beats and their spread against the 200 ms that a beat may
take.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

import pipelines
from pipelines.demo.prepare import prepare
from pipelines.engine import flow, registers, settings
from pipelines.engine.flow import RawMessage
from pipelines.engine.kpis import LONG_AGO
from pipelines.engine.line import Line
from pipelines.engine.local import pushed

LIMIT_MS = 200.0
DOMAINS = 13
READINGS = 10_000
ROUNDS = 7
NOW = datetime(2026, 6, 17, 9, 20, tzinfo=UTC)


def main() -> None:
    """Prepare a demo town, land 10,000 readings before each beat, and time the phases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beat")
    parser.add_argument("--days", type=int, default=8, help="days of history behind the beat (default: %(default)s)")
    days = parser.parse_args().days
    with tempfile.TemporaryDirectory(prefix="townboard-beat-") as folder:
        prepare(Path(folder) / "town", "http://127.0.0.1:9", NOW, days, 7)
        line = _opened(Path(folder) / "town")
        report(line)
        line.close()


def _opened(folder: Path) -> Line:
    town = settings.load(folder, pipelines.available)
    line = Line(town, registers.load(town), NOW)
    flow.beat(line, NOW)
    while not line.kpis.settled:
        flow.beat(line, NOW)
    return line


def report(line: Line) -> None:
    """Print the phases of a beat in which every KPI is due, and of the beats that follow every two seconds."""
    works = line.kpis.works
    domains = len(line.settings.domains)
    forced, steady = [], []
    for round_number in range(ROUNDS):
        now = NOW + timedelta(seconds=30 * (round_number + 1))
        forced.append(_beat(line, now, everything=True))
    for round_number in range(ROUNDS * 3):
        now = NOW + timedelta(seconds=30 * ROUNDS + 2 * (round_number + 1))
        steady.append(_beat(line, now, everything=False))
    print(
        f"{len(works)} KPIs of {domains} domains, {READINGS:,} readings landed before each beat; "
        f"medians of {ROUNDS} beats (ms)"
    )
    for label, rounds in (("every KPI due at once", forced), ("beats two seconds apart", steady)):
        print(f"\n{label}")
        for phase in rounds[0]:
            values = [one[phase] for one in rounds]
            print(f"  {phase:<28}{statistics.median(values):8.1f}   {min(values):7.1f} to {max(values):7.1f}")
    kpis = statistics.median(one["kpis"] for one in forced) * DOMAINS / domains
    rest = statistics.median(one["alarms"] + one["snapshot"] for one in forced)
    running = statistics.median(one["kpis"] + one["alarms"] + one["snapshot"] for one in steady)
    print(
        f"\n{DOMAINS} domains' worth, every KPI due at once: {kpis + rest:.0f} ms = {(kpis + rest) / LIMIT_MS:.2f} "
        f"of the {LIMIT_MS:.0f} ms a beat may take"
    )
    scaled = (running - rest) * DOMAINS / domains + rest
    print(f"{DOMAINS} domains' worth, beats two seconds apart: {scaled:.0f} ms = {scaled / LIMIT_MS:.2f} of it")


def _beat(line: Line, now: datetime, *, everything: bool) -> dict[str, float]:
    phases: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        began = time.perf_counter()
        result = work()
        phases[name] = (time.perf_counter() - began) * 1000
        return result

    message = RawMessage(pushed(line.settings.feeds["push"], "json", "readings"), readings(line, now), now)
    (receipt,) = timed("10,000 readings to durable", lambda: flow.take(line, [message], now))  # type: ignore[misc]
    assert receipt.stored == READINGS, receipt
    if everything:
        for work in line.kpis.works.values():
            work.next_at, work.fresh = LONG_AGO, True
    published: pl.DataFrame = timed("kpis", lambda: line.kpis.evaluate(line.drain_touched(), now))  # type: ignore[assignment]
    if published.height:
        flow.keep_values(line, published, now)
    timed("alarms", lambda: line.alarms.watch(line.latest, line.kpis, line.feed_states(now), now))
    timed("snapshot", lambda: line.publisher.build(now))
    return phases


def readings(line: Line, now: datetime) -> bytes:
    """10,000 readings over all sensors of the town, at their usual values, as a push."""
    latest = line.latest.filter(pl.col("value").is_not_null()).select("sensor", "value").sort("sensor")
    picked = latest[np.arange(READINGS) % latest.height]
    ago = pl.Series(np.arange(READINGS) // latest.height, dtype=pl.Int64) * 100 + 1
    at = (pl.lit(now).dt.cast_time_unit("us") - pl.duration(milliseconds=ago)).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return b'{"readings":' + picked.with_columns(observed_at=at).write_json().encode() + b"}"


if __name__ == "__main__":
    main()
