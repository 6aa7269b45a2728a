"""`python -m benchmarks.beat`: beats with thirteen domains' worth of KPIs and 10,000 readings before each, by phase.

Thirteen domains' worth: the catalogue names 86 KPIs in thirteen domains; the declared domains have more functions than
that. After each beat every KPI stands computed whose inputs changed or whose clock ticked; those of a day or more rest
for some seconds in between. Timed beside it: none resting, and every KPI computed from the beginning, changed or not.
Prints medians and spread against the 200 ms that a beat may take, how often the line's own budget would have left a
KPI waiting, and what a longer history costs a beat.
"""

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

import pipelines
from pipelines.demo.prepare import prepare
from pipelines.engine import flow, registers, settings
from pipelines.engine.cores import beside_polars
from pipelines.engine.flow import RawMessage
from pipelines.engine.garbage import keep_what_the_start_made
from pipelines.engine.line import Line
from pipelines.engine.local import pushed
from pipelines.engine.service import BEAT_BUDGET_S
from pipelines.engine.supervise import MEMORY
from pipelines.engine.works import LONG_AGO

LIMIT_MS = 200.0
CATALOGUE = 86
READINGS = 10_000
# The first beats build what later ones have at hand: expressions, old rollups that are kept.
WARMING, BEATS = 8, 15
FORCED = 7
BEAT = timedelta(seconds=2)
NOW = datetime(2026, 6, 17, 9, 20, tzinfo=UTC)
LANDING, WHOLE, CPU = "10,000 readings to durable", "the whole beat", "of it processor time"
COMPUTED, WAITING = "KPIs computed", "KPIs left waiting"
Round = dict[str, float]


def main() -> None:
    """Prepare a demo town for each length of history, land 10,000 readings before each beat, and time the phases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beat")
    parser.add_argument(
        "--days", type=int, nargs="+", default=[8, 40], help="days of history behind the beats (default: 8 40)"
    )
    days = parser.parse_args().days
    if not MEMORY.keys() <= os.environ.keys():
        # As the line is started; allocators read it once, at their own start.
        again = [sys.executable, "-m", "benchmarks.beat", *sys.argv[1:]]
        os.execve(sys.executable, again, MEMORY | os.environ)
    whole = {}
    for length in days:
        with tempfile.TemporaryDirectory(prefix="townboard-beat-") as folder:
            prepare(Path(folder) / "town", "http://127.0.0.1:9", NOW, length, 7)
            line = _opened(Path(folder) / "town")
            print(f"\n{length} days of history; load of the machine {os.getloadavg()[0]:.1f}")
            whole[length] = report(line)
            line.close()
    shortest = min(days)
    for length in sorted(set(days) - {shortest}):
        ratio = whole[length] / whole[shortest]
        print(f"\na beat with {length} days behind it costs {ratio:.2f} times one with {shortest} (processor time)")


def _opened(folder: Path) -> Line:
    town = settings.load(folder, pipelines.available)
    line = Line(town, registers.load(town), NOW)
    flow.beat(line, NOW)
    while not line.kpis.settled:
        flow.beat(line, NOW)
    # As app.py runs the line.
    keep_what_the_start_made()
    return line


def report(line: Line) -> float:
    """Print the phases of beats; the processor time of one, in ms."""
    works = list(line.kpis.works.values())
    print(
        f"{len(works)} KPIs of {len(line.settings.domains)} domains (the catalogue: {CATALOGUE} in thirteen), "
        f"{READINGS:,} readings landed before each beat; ms: median, then lowest to highest"
    )
    phases: Round = {}
    for label, owner, name in (
        ("judging of readings", line, "judge"),
        ("kpis", line.kpis, "evaluate"),
        ("alarms", line.alarms, "watch"),
        ("snapshot", line.publisher, "publish"),
    ):
        setattr(owner, name, partial(_timed, phases, label, getattr(owner, name)))
    now = NOW + BEAT
    for _ in range(WARMING):
        now += BEAT
        _beat(line, phases, now, math.inf)
    touched = []
    for _ in range(BEATS):
        now += BEAT
        touched.append(_beat(line, phases, now, math.inf))
    _show(f"{BEATS} beats two seconds apart: every KPI whose inputs changed or whose clock ticked", touched)
    restless = []
    for _ in range(BEATS):
        now += BEAT
        for work in works:
            work.rests_until = LONG_AGO
        restless.append(_beat(line, phases, now, math.inf))
    _show(f"{BEATS} beats of the same with none resting: all KPIs stand as of this beat", restless)
    budgeted = []
    for _ in range(BEATS):
        now += BEAT
        budgeted.append(_beat(line, phases, now, BEAT_BUDGET_S))
    _show(f"{BEATS} beats with the line's budget of {BEAT_BUDGET_S * 1000:.0f} ms for KPIs", budgeted)
    forced = []
    for _ in range(FORCED):
        now += timedelta(seconds=30)
        for work in works:
            work.next_at, work.fresh = LONG_AGO, True
        forced.append(_beat(line, phases, now, math.inf))
    _show(f"{FORCED} beats with every KPI computed, changed or not", forced)
    return statistics.median(one[CPU] for one in touched)


def _show(label: str, rounds: list[Round]) -> None:
    print(f"\n{label}")
    for phase in rounds[0]:
        values = [one[phase] for one in rounds]
        print(f"  {phase:<28}{statistics.median(values):8.1f}   {min(values):7.1f} to {max(values):7.1f}")
    whole = statistics.median(one[WHOLE] for one in rounds)
    print(f"  = {whole / LIMIT_MS:.2f} of the {LIMIT_MS:.0f} ms that a beat may take")


def _timed(phases: Round, label: str, work: Callable[..., object], *given: object) -> object:
    began = time.perf_counter()
    try:
        return work(*given)
    finally:
        phases[label] = (time.perf_counter() - began) * 1000


def _beat(line: Line, phases: Round, now: datetime, budget_s: float) -> Round:
    """One beat of the line as it runs, with what each phase took."""
    message = RawMessage(pushed(line.settings.feeds["push"], "json", "readings"), readings(line, now), now)
    (receipt,) = _timed(phases, LANDING, flow.take, line, [message], now)  # type: ignore[misc]
    assert receipt.stored == READINGS, receipt
    looks = sum(work.looks for work in line.kpis.works.values())
    spent = time.process_time()
    # As the line runs it.
    with beside_polars():
        _timed(phases, WHOLE, flow.beat, line, now, budget_s)
    phases[CPU] = (time.process_time() - spent) * 1000
    phases[COMPUTED] = sum(work.looks for work in line.kpis.works.values()) - looks
    phases[WAITING] = sum(work.wants(now) for work in line.kpis.works.values())
    return dict(phases)


def readings(line: Line, now: datetime) -> bytes:
    """10,000 readings over all sensors of the town, at their usual values, as a push."""
    latest = line.latest.filter(pl.col("value").is_not_null()).select("sensor", "value").sort("sensor")
    picked = latest[np.arange(READINGS) % latest.height]
    ago = pl.Series(np.arange(READINGS) // latest.height, dtype=pl.Int64) * 100 + 1
    at = (pl.lit(now).dt.cast_time_unit("us") - pl.duration(milliseconds=ago)).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return b'{"readings":' + picked.with_columns(observed_at=at).write_json().encode() + b"}"


if __name__ == "__main__":
    main()
