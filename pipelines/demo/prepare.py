"""`python -m pipelines.demo.prepare`: writes the demo town and lands its thirty days of history, then ends."""

import argparse
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pipelines
from pipelines.demo.history import Payload, history
from pipelines.demo.town import write_town
from pipelines.engine import registers, settings
from pipelines.engine.flow import RawMessage, take
from pipelines.engine.line import Line
from pipelines.engine.settings import Settings
from pipelines.engine.supervise import command

WIDTH = 32
BATCH_BYTES = 3 << 20
COMPACT_EVERY = 12
AHEAD = 24


def prepare(folder: Path, base_url: str, now: datetime, days: int, seed: int) -> None:
    """A new town with its history stored and compacted; its KPIs are computed when the line runs."""
    write_town(folder, now=now, base_url=base_url, seed=seed)
    town = settings.load(folder, pipelines.available)
    began = time.perf_counter()
    line = Line(town, registers.load(town), now)
    say(f"Nadipur, an invented town of {line.registers.population:,} people: writing {days} days of its history ...")
    rows, compacting = 0, None
    for number, messages in enumerate(batches(payloads(now, days, seed), town, now), 1):
        rows += sum(receipt.stored for receipt in take(line, messages, now))
        progress(f"{rows:,} rows")
        if number % COMPACT_EVERY == 0:
            finish(compacting, line, now)
            compacting = subprocess.Popen(command(folder, "compact"))
    finish(compacting, line, now)
    finish(subprocess.Popen(command(folder, "compact")), line, now)
    line.leave_for_later(now - timedelta(days=days))
    line.close()
    progress(f"{rows:,} rows in {time.perf_counter() - began:.0f} s. The trends fill in while you look.")
    print(flush=True)


def payloads(now: datetime, days: int, seed: int) -> Iterator[Payload]:
    """The history, invented by a process of its own while this one lands it."""
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue(maxsize=AHEAD)
    writer = spawn.Process(target=_invent, args=(queue, now, days, seed), daemon=True)
    writer.start()
    while (payload := queue.get()) is not None:
        yield payload
    writer.join()
    if writer.exitcode:
        raise RuntimeError("the history could not be invented")


def _invent(queue: "multiprocessing.Queue[Payload | None]", now: datetime, days: int, seed: int) -> None:
    try:
        for payload in history(now, days, seed):
            queue.put(payload)
    finally:
        queue.put(None)


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


def finish(compacting: subprocess.Popen | None, line: Line, now: datetime) -> None:
    """Wait for a compaction that runs beside and let go of what it has moved into Parquet."""
    if compacting is not None:
        if compacting.wait():
            raise RuntimeError("the compaction failed; its words stand above")
        line.adopt(now)


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
