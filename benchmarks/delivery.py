"""`python -m benchmarks.delivery`: a thousand alarms at once, told by two channels, 20 kills.

Prints the ledger (rung, told, lost, told twice) and, of a run that nobody kills, how long each message took from the
look that found its alarm to the channel that has it, against the two seconds that a town may wait.
"""

import statistics
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from pipelines.engine.state_delivery import read_newest
from tests.scenarios.outbox import alarms, desk, hooked, killed

ALARMS, KILLS, LIMIT_S, ROUNDS = 1_000, 20, 2.0, 3


def main() -> None:
    """Kill, count, then time."""
    with tempfile.TemporaryDirectory(prefix="townboard-delivery-") as folder, hooked() as (address, keys):
        done = killed(Path(folder), address, ALARMS, KILLS, seed=7)
        ledger(Path(folder), keys, done)
    waits = [wait for _ in range(ROUNDS) for wait in timed()]
    share = statistics.quantiles(waits, n=100)
    print(
        f"\n{ALARMS:,} alarms at once, nobody kills: taken after p50 {share[49]:.2f} s, p99 {share[98]:.2f} s "
        f"= {share[98] / LIMIT_S:.2f} of the {LIMIT_S:.0f} s they may take ({ROUNDS} rounds)"
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


if __name__ == "__main__":
    main()
