"""`python -m benchmarks.delivery`: a thousand alarms at once, told by two channels, 20 kills.

Prints the ledger (rung, told, lost, told twice) and, of runs that nobody kills, how long each message took to the
channel that has it, against the two seconds that a town may wait: from the look that finds its alarm, and, with the
jobs of a running line, from the beat in which a thousand of 10,000 conditions ring.
"""

import statistics
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks import alarms as conditions
from pipelines.engine.alarms.watch import Alarms
from pipelines.engine.delivery import jobs
from pipelines.engine.schedule import Schedule
from pipelines.engine.state import State
from pipelines.engine.state_delivery import read_newest
from tests.scenarios.outbox import alarms, desk, hooked, killed

ALARMS, KILLS, LIMIT_S, ROUNDS = 1_000, 20, 2.0, 3
# Each alarm is a message of its own, by two channels: what is critical waits for nobody, also in a flood.
TELLS = """
[water.alarms.pressure_low]
priority = "critical"
[delivery.channels.sms]
kind = "sms_spool"
[delivery.channels.hook]
kind = "webhook"
url = "{hook}"
[delivery.receivers.room]
to = ["sms:+91", "hook:"]
[delivery.route]
receiver = "room"
group_by = ["asset"]
group_wait = "0 s"
"""


def main() -> None:
    """Kill, count, then time."""
    with tempfile.TemporaryDirectory(prefix="townboard-delivery-") as folder, hooked() as (address, keys):
        done = killed(Path(folder), address, ALARMS, KILLS, seed=7)
        ledger(Path(folder), keys, done)
    for words, measured in (("look", timed), ("beat in which they ring", detected)):
        waits = [wait for _ in range(ROUNDS) for wait in measured()]
        share = statistics.quantiles(waits, n=100)
        print(
            f"{ALARMS:,} alarms at once, {len(waits):,} messages, taken after the {words}: p50 {share[49]:.2f} s, p99 "
            f"{share[98]:.2f} s = {share[98] / LIMIT_S:.2f} of the {LIMIT_S:.0f} s they may take ({ROUNDS} rounds)"
        )


def ledger(folder: Path, keys: list[str], done: int) -> None:
    """What became of every message."""
    letters = read_newest(folder / "state.sqlite", 10 * ALARMS)
    names = {path.stem for path in (folder / "spool").glob("*.sms")}
    for channel, got in (("sms", names), ("hook", set(keys))):
        due = {letter.id for letter in letters if letter.channel == channel}
        again = sum(count - 1 for count in Counter(keys).values()) if channel == "hook" else 0
        print(
            f"{channel}: {done} kills, {ALARMS:,} alarms, {len(got):,} messages, {ALARMS - len(got & due)} lost, "
            f"{len(got - due)} told twice; {again} handed over again under the same key"
        )


def timed() -> list[float]:
    """Seconds from the look to each channel's yes, in one process."""
    with tempfile.TemporaryDirectory(prefix="townboard-delivery-") as folder, hooked() as (address, _):
        delivery = desk(Path(folder), address)
        began = datetime.now(UTC)
        delivery.look(alarms(ALARMS), began)
        while delivery.send(lambda: datetime.now(UTC)):
            time.sleep(0)
        delivery.close()
        letters = read_newest(Path(folder) / "state.sqlite", 10 * ALARMS)
    return [(letter.sent_at - began).total_seconds() for letter in letters if letter.sent_at]


def detected() -> list[float]:
    """Seconds from the beat that finds the alarms to each channel's yes, by the jobs of a running line."""
    with tempfile.TemporaryDirectory(prefix="townboard-delivery-") as made, hooked() as (address, _):
        folder, rng = Path(made), np.random.default_rng(3)
        found, registered = conditions.town(folder / "town", TELLS.format(hook=address))
        kpis: Any = SimpleNamespace(works={kpi.id: SimpleNamespace(current=conditions.EMPTY) for kpi in found.kpis})
        state = State(folder / "state.sqlite")
        watch = Alarms(found, registered, state, clock())
        line: Any = SimpleNamespace(alarms=watch, troubles={}, settings=found, registers=registered, state=state)
        desk = jobs.delivery(line)
        assert desk is not None

        def soon(job: str) -> None:
            schedule.soon(job)

        schedule = Schedule(jobs.jobs(desk, line, clock, soon), state, clock)
        schedule.start()
        for back in (timedelta(seconds=30), timedelta(0)):
            now = clock()
            watch.watch(conditions.samples(rng, now - back, ALARMS), kpis, {}, now)
        while len(letters := read_newest(state.path, 10 * ALARMS)) < 2 * ALARMS or any(one.open for one in letters):
            time.sleep(0.5)
        schedule.stop()
        desk.close()
        state.close()
    return [(letter.sent_at - now).total_seconds() for letter in letters if letter.sent_at]


def clock() -> datetime:
    """Now."""
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
