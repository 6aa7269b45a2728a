"""`python -m pipelines.demo.prepare`: writes the demo town and lands its thirty days of history, in a process that then ends."""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pipelines
from pipelines.demo.history import Payload, history
from pipelines.demo.town import write_town
from pipelines.engine import registers, settings
from pipelines.engine.flow import RawMessage, beat, take
from pipelines.engine.line import Line
from pipelines.engine.settings import Settings
from pipelines.engine.service import command

WIDTH = 32
BATCH_BYTES = 3 << 20
COMPACT_EVERY = 12


def prepare(folder: Path, base_url: str, now: datetime, days: int, seed: int) -> None:
    """A new town with its history stored, compacted and computed."""
    write_town(folder, now=now, base_url=base_url, seed=seed)
    town = settings.load(folder, pipelines.available)
    began = time.perf_counter()
    line = Line(town, registers.load(town), now)
    say(f"Nadipur, an invented town of {line.registers.population:,} people: writing {days} days of its history ...")
    rows = 0
    for number, messages in enumerate(batches(history(now, days, seed), town, now)):
        rows += sum(receipt.stored for receipt in take(line, messages, now))
        progress(f"{rows:,} rows")
        if number % COMPACT_EVERY == COMPACT_EVERY - 1:
            compact(line, now)
    progress(f"{rows:,} rows in {time.perf_counter() - began:.0f} s")
    print(flush=True)
    compact(line, now)
    compute(line, now)
    line.close()


def batches(payloads: Iterable[Payload], town: Settings, now: datetime) -> Iterator[list[RawMessage]]:
    """The payloads as messages, some megabytes at a time."""
    batch: list[RawMessage] = []
    size = 0
    for feed, payload, form in payloads:
        batch.append(RawMessage(replace(town.feeds[feed], format=form), payload, now, backfill=True))
        size += len(payload)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def compact(line: Line, now: datetime) -> None:
    """Move what has landed into Parquet, in a process whose memory ends with it, and let go of it."""
    subprocess.run(command(line.settings.folder, "compact"), check=True)
    line.adopt(now)


def compute(line: Line, now: datetime) -> None:
    """Every KPI over every window of the history."""
    beat(line, now, budget_s=2.0)
    while not line.kpis.settled:
        done = sum(not work.due for work in line.kpis.works.values())
        progress(f"computing KPIs: {done} of {len(line.kpis.works)}")
        beat(line, now, budget_s=2.0)
    progress(f"computed {len(line.kpis.works)} KPIs over every day of it")
    print(flush=True)


def say(words: str) -> None:
    """One sentence for whoever started the demo."""
    print(words, flush=True)


def progress(words: str) -> None:
    """The same line again, on a terminal; silence elsewhere."""
    if sys.stdout.isatty():
        print(f"\r  {words:<{WIDTH * 2}}", end="", flush=True)


def main() -> None:
    """Read the command line and prepare."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.demo.prepare")
    parser.add_argument("--town", type=Path, required=True)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--now", type=datetime.fromisoformat, default=None)
    given = parser.parse_args()
    prepare(given.town, given.base_url, given.now or datetime.now(UTC), given.days, given.seed)


if __name__ == "__main__":
    main()
