"""A million rows taken along: how fast, and by how much the process that gives them grows.

`python -m benchmarks.exports [ROWS]`. Each form is made by a process of its own from a compacted town. The limit: for a
million rows a process grows by no more than for a tenth of them, but for 64 MB.
"""

import argparse
import multiprocessing
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from pipelines.engine import compaction
from pipelines.engine.exports import export_file
from pipelines.engine.forms import FORMS
from pipelines.engine.town import Town
from tests.engine import small_town

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SENSORS = 400
MOST_GROWTH_MB = 64


def filled(folder: Path, rows: int) -> None:
    """A town with so many quarter-hourly readings of pressures, compacted."""
    small_town.make(folder)
    reference = folder / "reference"
    names = [f"Q{number}" for number in range(SENSORS)]
    assets = "".join(f"{name},water,pressure_point,{name},W1,0.5,0.5,D1\n" for name in names)
    (reference / "assets.csv").write_text(small_town.ASSETS + assets, "utf-8")
    sensors = "".join(f"{name}.p,{name},pressure_m,metre_head,15 min,,\n" for name in names)
    (reference / "sensors.csv").write_text(small_town.SENSORS + sensors, "utf-8")
    line = small_town.open_line(folder, NOW, frozenset())
    for first in range(0, rows, 40 * SENSORS):
        steps = np.repeat(np.arange(first, min(first + 40 * SENSORS, rows)) // SENSORS, 1)
        at = [NOW - timedelta(minutes=15 * int(rows // SENSORS - step)) for step in steps]
        values = (10 + (np.arange(len(at)) % 97) / 10).tolist()
        chunk = [
            (f"{names[n % SENSORS]}.p", when, value) for n, (when, value) in enumerate(zip(at, values, strict=True))
        ]
        small_town.send(line, "network", small_town.csv_of(chunk), NOW)
    compaction.compact(line.settings.store, line.store.tables.values(), line.settings.zone)
    line.close()


def made(
    folder: Path, form: str, start: str | None, told: "multiprocessing.Queue[tuple[int, float, float, float]]"
) -> None:
    """One export in this process: rows, seconds, megabytes of the file, and by how many megabytes the process grew."""
    town = Town(small_town.read(folder), lambda: NOW)
    export_file(town, "wards", None, None, None, form, folder / f"first.{form}")
    before, began = _peak_mb(), time.perf_counter()
    rows = export_file(town, "readings", start, None, None, form, folder / f"rows.{form}")
    seconds = time.perf_counter() - began
    told.put((rows, seconds, (folder / f"rows.{form}").stat().st_size / 1e6, _peak_mb() - before))


def _peak_mb() -> float:
    """The most memory that this process ever held: what its parent held before is not counted, as getrusage does."""
    status = Path("/proc/self/status").read_text("utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def in_own_process(folder: Path, form: str, start: str | None) -> tuple[int, float, float, float]:
    """The same in a process that has done nothing else."""
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[tuple[int, float, float, float]] = context.Queue()
    child = context.Process(target=made, args=(folder, form, start, told))
    child.start()
    found = told.get(timeout=600)
    child.join()
    return found


def main() -> None:
    """Print a line a form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=FORMS)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="townboard-exports-"))
    try:
        filled(folder / "town", options.rows)
        tenth = f"{NOW - timedelta(minutes=15 * options.rows // SENSORS // 10):%Y-%m-%dT%H:%M:%SZ}"
        for form in options.forms:
            few = in_own_process(folder / "town", form, tenth)
            rows, seconds, size, grown = in_own_process(folder / "town", form, None)
            within = f"{'within' if grown - few[3] <= MOST_GROWTH_MB else 'ABOVE'} {MOST_GROWTH_MB} MB"
            print(
                f"{form:8} {rows:>9,} rows in {seconds:5.1f} s ({rows / seconds:>9,.0f} a second), {size:6.1f} MB; the "
                f"process grows by {grown:4.0f} MB, for {few[0]:,} rows by {few[3]:.0f} MB: {within}",
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
