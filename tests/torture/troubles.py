"""What can happen to a town that is served: each trouble is one method; `all_of_them` says how often each comes."""

import math
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pipelines.engine import manifest
from tests.engine.broker import Broker
from tests.engine.small_town import ZONE as ZONE_NAME
from tests.torture import damage
from tests.torture.disk import Disk
from tests.torture.ledger import Ledger, stored_in
from tests.torture.outages import PROMISED_S, Outages
from tests.torture.serving import Serving, until
from tests.torture.wall_clock import WallClock

ZONE = ZoneInfo(ZONE_NAME)
# What a compaction takes until one was seen to end.
COMPACTION_S = 2.0


@dataclass(kw_only=True)
class Around:
    """What surrounds the town and can fail; None where it is not under torture here."""

    disk: Disk | None = None
    clock: WallClock | None = None
    broker: Broker | None = None


class Troubles:
    """All that the torture does to one town, and how many processes it has killed."""

    def __init__(self, serving: Serving, around: Around, ledger: Ledger, chance: random.Random) -> None:
        self.serving, self.ledger, self.chance = serving, ledger, chance
        self.disk, self.clock, self.broker = around.disk, around.clock, around.broker
        self.outages = Outages({"line": serving.line_serves, "web": serving.web_serves}, ledger)
        self.kills = 0
        self._compaction: subprocess.Popen | None = None
        self._begun = self._kill_at = 0.0
        self._compaction_s = COMPACTION_S

    def all_of_them(self) -> dict[Callable[[], None], int]:
        """Every trouble that can be made here, with its weight."""
        found = {self.kill_line: 9, self.kill_web: 6, self.kill_compaction: 12, self.cut_power: 3}
        if self.broker:
            found[self.restart_broker] = 1
        if self.disk:
            rough = (self.fill_disk, self.read_only, self.garble_state, self.spoil_manifest)
            found |= dict.fromkeys(rough, 1)
        if self.clock:
            found[self.turn_clock] = 1
        return found

    def begin(self) -> None:
        """Start the town and wait until it serves."""
        self.serving.start()
        self.struck("first start", 30)
        self.outages.start()
        self.outages.steady()

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

    def see_to_compaction(self) -> None:
        """Kill the compaction that runs when its time has come, or take note of its end."""
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
        self.struck(after, promised)

    def struck(self, why: str, promised: float = PROMISED_S) -> None:
        """Both processes are kept from their work until now."""
        for name in ("line", "web"):
            self.outages.struck(name, why, promised)

    def garble_state(self) -> None:
        """The power is cut, and what people and alarms are remembered by has rotten meanwhile."""
        self._cut()
        damage.garble(self.serving.folder / "store" / "state.sqlite", self.chance)
        self.ledger.count("state.sqlite damaged")
        self._start("state.sqlite was damaged")

    def spoil_manifest(self) -> None:
        """The power is cut, and the manifest is lost or half-written."""
        self._cut()
        kind = damage.spoil_manifest(self.serving.folder / "store", self.chance)
        self.ledger.count(f"manifest {kind}")
        self._start("a manifest was spoiled")

    def spoil_parquet(self) -> list[str]:
        """The last act: a Parquet file rots; it must be named and the rest must serve. Gives what is wrong."""
        store = self.serving.folder / "store"
        before, _, _ = stored_in(self.serving.folder)
        days = manifest.read(store).parts.get("readings", {})
        if not days:
            return ["nothing was compacted, so no Parquet file could be damaged"]
        day, part = self.chance.choice(sorted(days.items()))
        damage.garble(store / part.file, self.chance)
        self._start("a damaged Parquet file")
        self.outages.steady()
        self.serving.stop()
        after, twice, _ = stored_in(self.serving.folder)
        gone = before.keys() - after.keys()
        self.ledger.excused |= gone
        self.ledger.count("Parquet files damaged")
        lost = [key for key in gone if str(key[1].astimezone(ZONE).date()) != day]
        words = [f"{len(lost)} rows of other days are gone with the file of {day}"] * bool(lost)
        words += [f"{twice} rows stand twice beside a damaged file"] * bool(twice)
        named = not gone or part.file in self.serving.doctor()
        return words if named else [*words, f"the doctor does not name {part.file}, whose rows are gone"]

    def restart_broker(self) -> None:
        """The broker is stopped, away for a moment, and comes back with what it held for the town."""
        assert self.broker
        self.broker.stop()
        time.sleep(self.chance.uniform(0.2, 2))
        self.broker.start()
        self.ledger.count("broker restarts")

    def fill_disk(self) -> None:
        """No byte is free for some seconds; then there is room again."""
        assert self.disk
        self.outages.steady()
        with self.disk.full() as could:
            self.ledger.count("disk full" if could else "disk full: not permitted here")
            time.sleep(self.chance.uniform(1, 3))
        self.struck("a full disk")

    def read_only(self) -> None:
        """The power is cut, and the disk comes back read-only for some seconds, as after a file system's error."""
        assert self.disk
        self._cut()
        with self.disk.read_only() as could:
            self.ledger.count("disk read-only" if could else "disk read-only: not permitted here")
            self.serving.start()
            time.sleep(self.chance.uniform(3, 6))
        # The supervisor tries again after pauses that have become longer.
        self.struck("a read-only disk", 15)

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

    def finish(self) -> None:
        """Let the compaction end that runs, and wait until all serve."""
        self._kill_at = math.inf
        while self._compaction is not None:
            self.see_to_compaction()
            time.sleep(0.1)
        self.outages.steady()

    def close(self) -> None:
        """Leave no process, no broker and no disk behind."""
        self.outages.end()
        if self._compaction is not None:
            self._compaction.kill()
        self.serving.close()
        if self.broker:
            self.broker.stop()
        if self.disk:
            self.disk.close()
