"""`python -m benchmarks.beat`: beats with thirteen domains' worth of KPIs and 10,000 readings before each, by phase.

Thirteen domains' worth: the catalogue names 86 KPIs in thirteen domains; the five declared domains have more functions
than that. Prints medians and spread of beats as the line runs them (two seconds apart, the KPIs within their budget)
against the 200 ms that a beat may take, how old the oldest look at a KPI then is, and of beats in which every KPI is
computed at once, whatever it costs.
"""

import argparse
import math
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
from pipelines.engine.line import Line
from pipelines.engine.local import pushed
from pipelines.engine.service import BEAT_BUDGET_S
from pipelines.engine.works import LONG_AGO

LIMIT_MS = 200.0
CATALOGUE = 86
READINGS = 10_000
ROUNDS = 7
BEATS = 45
BEAT = timedelta(seconds=2)
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
    """Print the phases of beats as the line runs them, and of beats in which every KPI is computed."""
    works = line.kpis.works
    print(
        f"{len(works)} KPIs of {len(line.settings.domains)} domains (the catalogue: {CATALOGUE} in thirteen), "
        f"{READINGS:,} readings landed before each beat; ms: median, then lowest to highest"
    )
    now, running = NOW, []
    for _ in range(BEATS):
        now += BEAT
        running.append(_beat(line, now, BEAT_BUDGET_S))
    behind = max(
        (now - (work.next_at - work.pace) - work.pace).total_seconds() for work in works.values() if work.fresh
    )
    _phases(f"{BEATS} beats two seconds apart, KPIs within {BEAT_BUDGET_S * 1000:.0f} ms", running)
    print(f"  the KPI that waited longest was due {behind:.0f} s ago")
    forced = []
    for _ in range(ROUNDS):
        now += timedelta(seconds=30)
        for work in works.values():
            work.next_at, work.fresh = LONG_AGO, True
        forced.append(_beat(line, now, math.inf))
    _phases(f"{ROUNDS} beats with every KPI computed at once", forced)
    for label, rounds in (("two seconds apart", running), ("every KPI at once", forced)):
        whole = statistics.median(one["kpis"] + one["alarms"] + one["snapshot"] for one in rounds)
        print(f"a beat, {label}: {whole:.0f} ms = {whole / LIMIT_MS:.2f} of the {LIMIT_MS:.0f} ms it may take")


def _phases(label: str, rounds: list[dict[str, float]]) -> None:
    print(f"\n{label}")
    for phase in rounds[0]:
        values = [one[phase] for one in rounds]
        print(f"  {phase:<28}{statistics.median(values):8.1f}   {min(values):7.1f} to {max(values):7.1f}")


def _beat(line: Line, now: datetime, budget_s: float) -> dict[str, float]:
    phases: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        began = time.perf_counter()
        result = work()
        phases[name] = (time.perf_counter() - began) * 1000
        return result

    message = RawMessage(pushed(line.settings.feeds["push"], "json", "readings"), readings(line, now), now)
    (receipt,) = timed("10,000 readings to durable", lambda: flow.take(line, [message], now))  # type: ignore[misc]
    assert receipt.stored == READINGS, receipt
    published: pl.DataFrame = timed("kpis", lambda: line.kpis.evaluate(line.drain_touched(), now, budget_s))  # type: ignore[assignment]
    if published.height:
        flow.keep_values(line, published, now)
    timed("alarms", lambda: line.alarms.watch(line.drain_samples(), line.kpis, line.feed_states(now), now))
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
