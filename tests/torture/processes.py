"""The real processes under mixed load, killed and cut off at random moments; at the end the books must agree."""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.torture import damage, town
from tests.torture.disk import Disk
from tests.torture.ledger import Ledger, adds_up, held_against
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
# Restart to serving: what is promised.
PROMISED_S = 5.0
# How long a compaction of such a town may take until it is killed.
COMPACTION_S = 1.5
HISTORY = timedelta(days=3)


class Torture:
    """One town, its senders, and one seed that decides what happens to them and when."""

    def __init__(self, place: Path, seed: int, *, rough: bool) -> None:
        """`rough`: also what needs an own disk or a false clock, and takes longer."""
        self.chance, self.ledger = random.Random(seed), Ledger()
        self.disk = Disk(place / "town") if rough else None
        self.clock = WallClock(place / "clock") if rough else None
        self.serving = Serving(town.make(place / "town" / "town", TOWN), self.clock.environment if self.clock else None)
        begin = datetime.now(UTC).replace(microsecond=0) - HISTORY
        drop = self.serving.settings.drop / "network"
        drop.mkdir(parents=True)
        self.senders: list[Sender] = senders(self.serving.url, drop, begin, self.ledger, self._own_chance)
        self.kills = 0
        self._actions: list[tuple[Callable[[], None], int]] = [
            (self.kill_line, 8), (self.kill_web, 5), (self.kill_compaction, 9), (self.cut_power, 4),
        ]  # fmt: skip
        if rough:
            self._actions += [(self.fill_disk, 1), (self.read_only, 1), (self.turn_clock, 1)]

    def _own_chance(self) -> random.Random:
        return random.Random(self.chance.random())

    def run(self, seconds: float, kills: int) -> list[str]:
        """Torture until there were so many kills, or the time is over; gives what is wrong in the end."""
        self.serving.start()
        self._back("first start", 30)
        for sender in self.senders:
            sender.start()
        end = time.monotonic() + seconds
        works, weights = zip(*self._actions, strict=True)
        while time.monotonic() < end and self.kills < kills:
            time.sleep(self.chance.uniform(0.1, 1.2))
            (work,) = self.chance.choices(works, weights)
            work()
            self._look()
        return self._end()

    def kill_line(self) -> None:
        """SIGKILL the line."""
        if self.serving.kill("line"):
            self._killed("line")
            self._back("line")

    def kill_web(self) -> None:
        """SIGKILL the web process."""
        if self.serving.kill("web"):
            self._killed("web")
            self._back("web")

    def kill_compaction(self) -> None:
        """SIGKILL a compaction somewhere on its way, or let it end."""
        child = self.serving.run("compact")
        time.sleep(self.chance.uniform(0.2, 1.0) * COMPACTION_S)
        if child.poll() is None and self.chance.random() < 0.9:
            child.kill()
            self._killed("compaction")
        elif child.wait(60):
            self.ledger.complain(f"a compaction ended with {child.returncode}")
        else:
            self.ledger.count("compactions that ended")
        child.wait(60)

    def cut_power(self) -> None:
        """SIGKILL everything at once, leave what a power cut leaves, and start again."""
        died = self.serving.cut()
        self.kills += died
        self.ledger.count("power cuts")
        store = self.serving.folder / "store"
        if self.chance.random() < 0.7:
            self.ledger.count(f"tails {damage.tear(store / 'journal', self.chance)}")
        if self.chance.random() < 0.5:
            damage.leftovers(store, self.chance)
            self.ledger.count("leftovers of a compaction")
        self.serving.start()
        self._back("power cut")

    def fill_disk(self) -> None:
        """No byte is free for some seconds; then there is room again."""
        assert self.disk
        with self.disk.full():
            self.ledger.count("disk full")
            time.sleep(self.chance.uniform(1, 3))
        self._back("disk full")

    def read_only(self) -> None:
        """The power is cut, and the disk comes back read-only for some seconds, as after a file system's error."""
        assert self.disk
        self.kills += self.serving.cut()
        self.serving.start()
        with self.disk.read_only() as could:
            self.ledger.count("disk read-only" if could else "disk read-only: not permitted here")
            time.sleep(self.chance.uniform(1, 3))
        self._back("disk read-only", 30)

    def turn_clock(self) -> None:
        """The wall clock jumps forward or back, and some time later to where it belongs."""
        assert self.clock
        self.clock.jump(self.chance.choice([-7200, -600, -60, 60, 600, 7200]))
        self.ledger.count("clock jumps", 2)
        time.sleep(self.chance.uniform(2, 4))
        self._back("clock jump")
        self.clock.jump(0)

    def _killed(self, what: str) -> None:
        self.kills += 1
        self.ledger.count(f"kills of the {what}")

    def _back(self, after: str, promised: float = PROMISED_S) -> None:
        """Wait until both processes serve again; slower than promised is written down."""
        took = until(lambda: self.serving.line_serves() and self.serving.web_serves())
        if took is None:
            self.ledger.complain(f"not serving again within a minute after: {after}; a hand would be needed")
            self.serving.cut()
            self.serving.start()
            return
        self.ledger.took(after, took)
        if took > promised:
            self.ledger.count(f"restarts slower than {promised:g} s")

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
