"""The real processes under mixed load, killed and cut off at random moments; at the end the books must agree."""

import math
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.torture import damage, town
from tests.torture.disk import Disk
from tests.torture.ledger import Ledger, adds_up, held_against
from tests.torture.outages import PROMISED_S, Outages
from tests.torture.senders import Dropper, Sender, senders
from tests.torture.serving import Serving, until
from tests.torture.wall_clock import WallClock

TOWN = """[town]
name = "Testville"
timezone = "Asia/Kolkata"
domains = ["water"]
beat_s = 1

[feeds.network]
use = "water.network_readings"
every = "1 min"
"""
# What a compaction takes until one was seen to end.
COMPACTION_S = 2.0
HISTORY = timedelta(days=3)


class Torture:
    """One town, its senders, and one seed that decides what happens to them and when."""

    def __init__(self, place: Path, seed: int, *, rough: bool) -> None:
        """`rough`: also what needs an own disk or a false clock, and takes longer."""
        self.chance, self.ledger = random.Random(seed), Ledger()
        self.disk = Disk(place / "town") if rough else None
        self.clock = WallClock(place) if rough else None
        folder = town.make(place / "town" / "town", TOWN)
        self.serving = Serving(folder, place, self.clock.environment if self.clock else None)
        begin = datetime.now(UTC).replace(microsecond=0) - HISTORY
        drop = self.serving.settings.drop / "network"
        drop.mkdir(parents=True)
        self.senders: list[Sender] = senders(self.serving.url, drop, begin, self.ledger, self._own_chance)
        self.outages = Outages({"line": self.serving.line_serves, "web": self.serving.web_serves}, self.ledger)
        self.kills = 0
        self._compaction: subprocess.Popen | None = None
        self._begun = self._kill_at = 0.0
        self._compaction_s = COMPACTION_S
        self._actions: list[tuple[Callable[[], None], int]] = [
            (self.kill_line, 9), (self.kill_web, 6), (self.kill_compaction, 12), (self.cut_power, 3),
        ]  # fmt: skip
        if rough:
            self._actions += [(self.fill_disk, 1), (self.read_only, 1), (self.turn_clock, 1), (self.garble_state, 1)]

    def _own_chance(self) -> random.Random:
        return random.Random(self.chance.random())

    def run(self, seconds: float, kills: int) -> list[str]:
        """Torture until there were so many kills, or the time is over; gives what is wrong in the end."""
        self.serving.start()
        self._struck("first start", 30)
        self.outages.start()
        self.outages.steady()
        for sender in self.senders:
            sender.start()
        end = time.monotonic() + seconds
        works, weights = zip(*self._actions, strict=True)
        # Everything once, in some order; then what chance brings.
        first = self.chance.sample(works, len(works))
        while time.monotonic() < end and (first or self.kills < kills):
            time.sleep(self.chance.uniform(0.1, 1.5))
            work = first.pop() if first else self.chance.choices(works, weights)[0]
            work()
            self._compacting()
            self._look()
        self.ledger.count("kinds of trouble not reached in the time", len(first))
        return self._end()

    def kill_line(self) -> None:
        """SIGKILL the line."""
        self._kill("line")

    def kill_web(self) -> None:
        """SIGKILL the web process."""
        self._kill("web")

    def _kill(self, name: str) -> None:
        if not self.outages.away(name) and self.serving.kill(name):
            self.outages.struck(name, "a kill")
            self.kills += 1
            self.ledger.count(f"kills of the {name}")

    def kill_compaction(self) -> None:
        """Begin a compaction that is killed somewhere on its way; few are let go."""
        if self._compaction is None:
            self._compaction, self._begun = self.serving.run("compact"), time.monotonic()
            spared = self.chance.random() < 0.15 or not self.ledger.events["compactions that ended"]
            self._kill_at = self._begun + (60.0 if spared else self.chance.uniform(0.3, 1.1) * self._compaction_s)

    def _compacting(self) -> None:
        """See to the compaction that runs."""
        if self._compaction is None:
            return
        status = self._compaction.poll()
        if status is None and time.monotonic() >= self._kill_at:
            self._compaction.kill()
            self._compaction.wait(10)
            self.kills += 1
            self.ledger.count("kills of the compaction")
        elif status is None:
            return
        elif status:
            self.ledger.complain(f"a compaction ended with {status}")
        else:
            self.ledger.count("compactions that ended")
            self._compaction_s = time.monotonic() - self._begun
        self._compaction = None

    def cut_power(self) -> None:
        """SIGKILL everything at once, leave what a power cut leaves, and start again."""
        self._cut()
        store = self.serving.folder / "store"
        if self.chance.random() < 0.7:
            self.ledger.count(f"tails {damage.tear(store / 'journal', self.chance)}")
        if self.chance.random() < 0.5:
            damage.leftovers(store, self.chance)
            self.ledger.count("leftovers of a compaction")
        self._start("a power cut")

    def _cut(self) -> None:
        if self._compaction is not None:
            self._compaction.kill()
            self._compaction.wait(10)
            self._compaction = None
            self.kills += 1
        self.kills += self.serving.cut()
        self.ledger.count("power cuts")

    def _start(self, after: str, promised: float = PROMISED_S) -> None:
        self.serving.start()
        self._struck(after, promised)

    def _struck(self, why: str, promised: float = PROMISED_S) -> None:
        for name in ("line", "web"):
            self.outages.struck(name, why, promised)

    def garble_state(self) -> None:
        """The power is cut, and what people and alarms are remembered by has rotten meanwhile."""
        self._cut()
        damage.garble(self.serving.folder / "store" / "state.sqlite", self.chance)
        self.ledger.count("state.sqlite damaged")
        self._start("state.sqlite was damaged")

    def fill_disk(self) -> None:
        """No byte is free for some seconds; then there is room again."""
        assert self.disk
        self.outages.steady()
        with self.disk.full() as could:
            self.ledger.count("disk full" if could else "disk full: not permitted here")
            time.sleep(self.chance.uniform(1, 3))
        self._struck("a full disk")

    def read_only(self) -> None:
        """The power is cut, and the disk comes back read-only for some seconds, as after a file system's error."""
        assert self.disk
        self._cut()
        with self.disk.read_only() as could:
            self.ledger.count("disk read-only" if could else "disk read-only: not permitted here")
            self.serving.start()
            time.sleep(self.chance.uniform(3, 6))
        # The supervisor tries again after pauses that have become longer.
        self._struck("a read-only disk", 15)

    def turn_clock(self) -> None:
        """The wall clock jumps forward or back, and some time later to where it belongs."""
        assert self.clock
        self.outages.steady()
        self.clock.jump(self.chance.choice([-7200, -600, -60, 60, 600, 7200]))
        self.ledger.count("clock jumps" if self.clock.can_jump else "clock jumps: no C compiler here", 2)
        self._beats("the clock jumped")
        self.clock.jump(0)
        self._beats("the clock jumped back")

    def _beats(self, when: str) -> None:
        """The board goes on: a line that only answers, and computes no more, does not serve."""
        before = self.serving.beats()
        took = until(lambda: self.serving.beats() not in (None, before), 30)
        if took is None:
            self.ledger.complain(f"no beat for half a minute after {when}")
        else:
            self.ledger.took("beat after a clock jump", took)

    def _look(self) -> None:
        """The ledger that is shown adds up at any moment."""
        counted = self.serving.metrics()
        if counted is not None:
            self.ledger.count("looks at /metrics")
            if not adds_up(counted):
                self.ledger.complain(f"/metrics does not add up: {counted}")

    def _end(self) -> list[str]:
        """Let the senders finish, wait until all is on the board, stop, and compare the books."""
        for sender in self.senders:
            sender.ending.set()
        for sender in self.senders:
            sender.join(30)
        self._kill_at = math.inf
        while self._compaction is not None:
            self._compacting()
            time.sleep(0.1)
        self.outages.steady()
        droppers = [sender for sender in self.senders if isinstance(sender, Dropper)]
        if until(lambda: not any(d.look() or d.waiting for d in droppers)) is None:
            self.ledger.complain(f"files were never taken: {[sorted(d.waiting) for d in droppers]}")
        counted = self._settled()
        if counted is None or self.serving.stop() != 0:
            return [*self.ledger.complaints, "the town could not be read or stopped in the end"]
        self.counted = counted
        return held_against(self.ledger, self.serving.folder, counted)

    def _settled(self) -> dict[str, float] | None:
        """What /metrics shows once it shows the same for three seconds."""
        seen, since = None, time.monotonic()
        while time.monotonic() - since < 3:
            found = self.serving.metrics()
            if found != seen or found is None:
                seen, since = found, since if found is None else time.monotonic()
            time.sleep(0.2)
        return seen

    def told(self) -> str:
        """The ledger, for people."""
        ledger, counted = self.ledger, getattr(self, "counted", {})
        lines = [
            f"sent {len(ledger.sent)} rows, acknowledged {len(ledger.kept)}, excused {len(ledger.excused)}; on /metrics: "
            + ", ".join(f"{name} {number:.0f}" for name, number in counted.items()),
            f"SIGKILLs {self.kills}; " + ", ".join(f"{what} {n}" for what, n in sorted(ledger.events.items())),
            "slowest until serving again: " + ", ".join(f"{k} {s:.1f} s" for k, s in sorted(ledger.slowest.items())),
        ]
        return "\n".join(lines)

    def close(self) -> None:
        """Leave no process and no disk behind."""
        for sender in self.senders:
            sender.ending.set()
        self.outages.end()
        if self._compaction is not None:
            self._compaction.kill()
        self.serving.close()
        if self.disk:
            self.disk.close()


@contextmanager
def tortured(seed: int, *, rough: bool) -> Iterator[Torture]:
    """A torture in a temporary folder that is gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="townboard-torture-"))
    torture = Torture(place, seed, rough=rough)
    try:
        yield torture
    finally:
        torture.close()
        if os.environ.get("TORTURE_KEEP"):
            print(f"kept: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
