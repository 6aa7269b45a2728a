"""`python -m benchmarks.history`: a year of quarter hours, asked seven questions, here and in three databases.

By default 250 sensors over a year (9 million readings), which every system takes within minutes; `--sensors 20000` is
the whole town (700 million; hours for the databases, so with `--only Townboard`). The same rows go to each system,
then the same questions warm: p50 and p99 in ms, ratios to ours, bytes on disk, and what an export of a year holds in
memory against one of a month. What is not installed is named as absent (Debian: influxdb, victoria-metrics,
postgresql).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.history_peers import QUESTIONS, SYSTEMS, Asked, Other, Ours
from benchmarks.history_readings import BEGIN, ZONE, days, end
from benchmarks.machine import quantile

LIMIT_MS = 50.0
ROUNDS = 60
# A question that takes long is asked less often, but at least three times.
PATIENCE_S = 6.0
FEWEST = 3
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Found:
    """What one system did: seconds to load, bytes a reading, question -> ordered milliseconds.

    `cpu`: the same of the processor in this process, which tells on a busy machine what ours would take on a quiet one.
    """

    load_s: float
    bytes_each: float
    waits: dict[str, list[float]]
    cpu: dict[str, list[float]]


def main() -> None:
    """Every system that is there, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history")
    parser.add_argument("--sensors", type=int, default=250, help="(default: %(default)s; the whole town: 20000)")
    parser.add_argument("--days", type=int, default=366, help="(default: %(default)s)")
    parser.add_argument("--only", nargs="*", help="only these systems")
    parser.add_argument("--without-exports", action="store_true", help="do not write CSV of a month and of all")
    given = parser.parse_args()
    found: dict[str, Found] = {}
    for system in SYSTEMS:
        if given.only and system.name not in given.only:
            continue
        if issubclass(system, Other) and (missing := system.peer.missing()):
            print(f"{system.name}: absent ({missing})")
            continue
        with tempfile.TemporaryDirectory(prefix="townboard-history-", dir=os.environ.get("BENCH_FOLDER")) as folder:
            if os.geteuid() == 0:
                Path(folder).chmod(0o755)
            asked = system(Path(folder), given.sensors, end(given.days), _last_month(end(given.days)))
            try:
                found[system.name] = _measured(asked, given.sensors, given.days)
                if isinstance(asked, Ours) and not given.without_exports:
                    _exports(asked)
            finally:
                asked.close()
    report(found, given.sensors * given.days * 96)


def _last_month(now: datetime) -> tuple[datetime, datetime]:
    """The last whole month of the town's calendar; all there is when that is none."""
    after = now.astimezone(ZoneInfo(ZONE)).replace(day=1, hour=0, minute=0)
    first = (after - timedelta(days=1)).replace(day=1)
    return (max(first.astimezone(UTC), BEGIN), after.astimezone(UTC)) if after > BEGIN else (BEGIN, now)


def _measured(asked: Asked, sensors: int, count: int) -> Found:
    began = time.perf_counter()
    asked.load(days(sensors, count))
    load_s = time.perf_counter() - began
    print(f"{asked.name}: loaded in {load_s:.0f} s", flush=True)
    taken = {name: _waits(asked, name, sensors) for name in QUESTIONS}
    waits, cpu = ({name: times[kind] for name, times in taken.items()} for kind in (0, 1))
    each = asked.bytes_at_rest() / (sensors * count * 96)
    print(f"{asked.name}: asked in {time.perf_counter() - began - load_s:.0f} s", flush=True)
    if isinstance(asked, Ours):
        parts = {name: f"{size / (sensors * count * 96):.2f}" for name, size in asked.parts().items()}
        print(f"  bytes a reading: {', '.join(f'{name} {size}' for name, size in parts.items())}")
    return Found(load_s, each, waits, cpu)


def _waits(asked: Asked, name: str, sensors: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each answer, and of our processor for it, in order; the first, cold one is not among them."""
    waits, spent = list[float](), list[float]()
    began, number = time.perf_counter(), 0
    while number <= ROUNDS and (number <= FEWEST or time.perf_counter() - began < PATIENCE_S):
        which = [number * 7919 % sensors] if name in ("day", "month", "year") else []
        at, cpu = time.perf_counter(), time.process_time()
        answer = getattr(asked, name)(*which)
        waits.append((time.perf_counter() - at) * 1e3)
        spent.append((time.process_time() - cpu) * 1e3)
        assert len(answer), f"{asked.name} has no answer to {name}"
        number += 1
    return sorted(waits[1:]), sorted(spent[1:])


def _exports(ours: Ours) -> None:
    for words, span in (("a month", timedelta(days=31)), ("the whole time", timedelta(days=4000))):
        rows, lasted, peak = _export(ours, ours.end - span)
        print(f"  export of {words} as CSV: {rows:,} rows at {rows / lasted:,.0f} a second, peak {peak:.0f} MB")


def _export(ours: Ours, start: datetime) -> tuple[int, float, float]:
    """Rows, seconds and the peak of memory (MB) of `app.py export`, in a process of its own."""
    target = ours.folder.parent / "rows.csv"
    command = [sys.executable, str(ROOT / "app.py"), "--town", str(ours.folder), "export", "readings"]
    command += ["--from", start.isoformat(), "--to", ours.end.isoformat(), "-o", str(target)]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, f"the export ended with {status}"
    child.returncode = 0
    lasted = time.perf_counter() - began
    with target.open("rb") as file:
        rows = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1
    target.unlink()
    return rows, lasted, usage.ru_maxrss / 1024


def report(found: dict[str, Found], readings: int) -> None:
    """Bytes and times, ours against the limit, and the others as multiples of ours."""
    print(f"\n{readings:,} readings; {os.cpu_count()} cores. ms: p50 / p99; in brackets p50 as a multiple of ours.")
    ours = found.get(Ours.name)
    for name, one in found.items():
        print(f"\n{name}: {one.bytes_each:.2f} bytes a reading, loaded at {readings / one.load_s:,.0f} readings/s")
        for question, words in QUESTIONS.items():
            p50, p99 = (quantile(one.waits[question], share) for share in (0.5, 0.99))
            against = f"({p50 / quantile(ours.waits[question], 0.5):.1f})" if ours and name != Ours.name else ""
            if name == Ours.name:
                own = [quantile(one.cpu[question], share) for share in (0.5, 0.99)]
                against = f"processor {own[0]:.1f} / {own[1]:.1f}"
            late = f"  over {LIMIT_MS:.0f} ms" if name == Ours.name and p99 > LIMIT_MS else ""
            times = f"{p50:9.1f} /{p99:9.1f}   {against}{late}"
            print(f"  {words:<36}{times}  of {len(one.waits[question])}")


if __name__ == "__main__":
    main()
