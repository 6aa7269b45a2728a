"""The real processes under mixed load, killed and cut off at random moments; at the end the books must agree."""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from tests.engine.broker import RADIO
from tests.torture import mqtt, town
from tests.torture.disk import Disk
from tests.torture.ledger import Ledger, adds_up, held_against
from tests.torture.senders import FORMS, Dropper, Meter, Poisoner, Pusher, Sender
from tests.torture.serving import Serving, until
from tests.torture.troubles import Around, Troubles
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
# Long enough that no sensor comes near the present: a row from the future is refused, as it must be.
HISTORY = timedelta(days=20)


class Torture:
    """One town, its senders, and one seed that decides what happens to them and when."""

    def __init__(self, place: Path, seed: int, *, rough: bool) -> None:
        """`rough`: also what needs an own disk or a false clock, and takes longer."""
        self.chance, self.ledger, self.rough = random.Random(seed), Ledger(), rough
        self.broker = mqtt.broker(place / "broker")
        around = Around(broker=self.broker)
        if rough:
            around.disk, around.clock = Disk(place / "town"), WallClock(place)
        text = TOWN + (RADIO.format(port=self.broker.port) if self.broker else "")
        folder = town.make(place / "town" / "town", text)
        self.serving = Serving(folder, place, around.clock.environment if around.clock else None)
        self.senders = list(self._senders(datetime.now(UTC).replace(microsecond=0) - HISTORY))
        self.troubles = Troubles(self.serving, around, self.ledger, self._own_chance())
        self.counted: dict[str, float] = {}

    def _senders(self, begin: datetime) -> Iterator[Sender]:
        """Three over HTTP, one by files, one by radio, one with poison; each sensor belongs to one of them."""
        *online, filed, spoken = (Meter(town.SENSORS[place::5], begin) for place in range(5))
        for form, meter in zip(FORMS, online, strict=True):
            yield Pusher(form, meter, self.serving.url, self.ledger, self._own_chance())
        drop = self.serving.settings.drop / "network"
        drop.mkdir(parents=True)
        yield Dropper(filed, drop, self.ledger, self._own_chance())
        yield Poisoner(self.serving.url, self.ledger, self._own_chance())
        if self.broker is None:
            self.ledger.count("no Mosquitto on this machine: nothing came by MQTT")
        else:
            heard = partial(self.serving.payloads, mqtt.FEED)
            yield mqtt.Radio(spoken, self.broker, lambda: heard() > 0, self.ledger, self._own_chance())

    def _own_chance(self) -> random.Random:
        return random.Random(self.chance.random())

    def run(self, seconds: float, kills: int) -> list[str]:
        """Torture until there were so many kills, or the time is over; gives what is wrong in the end."""
        self.troubles.begin()
        for sender in self.senders:
            sender.start()
        end = time.monotonic() + seconds
        weighed = self.troubles.all_of_them()
        # Everything once, in some order; then what chance brings.
        first = self.chance.sample(list(weighed), len(weighed))
        while time.monotonic() < end and (first or self.troubles.kills < kills):
            time.sleep(self.chance.uniform(0.1, 1.5))
            trouble = first.pop() if first else self.chance.choices(list(weighed), list(weighed.values()))[0]
            trouble()
            self.troubles.see_to_compaction()
            self._look()
        self.ledger.count("kinds of trouble not reached in the time", len(first))
        return self._end()

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
        self.troubles.finish()
        droppers = [sender for sender in self.senders if isinstance(sender, Dropper)]
        if until(lambda: not any(d.look() or d.waiting for d in droppers)) is None:
            self.ledger.complain(f"files were never taken: {[sorted(d.waiting) for d in droppers]}")
        until(self._delivered)
        counted = self._settled()
        if counted is None or self.serving.stop() != 0:
            return [*self.ledger.complaints, "the town could not be read or stopped in the end"]
        self.counted = counted
        words = held_against(self.ledger, self.serving.folder, counted)
        return words if words or not self.rough else self.troubles.spoil_parquet()

    def _delivered(self) -> bool:
        """Whether all that was acknowledged, also by the broker alone, is counted as stored."""
        counted = self.serving.metrics()
        return counted is not None and counted["stored"] >= len(self.ledger.kept)

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
        ledger, counted = self.ledger, self.counted
        lines = [
            f"sent {len(ledger.sent)} rows, acknowledged {len(ledger.kept)}, excused {len(ledger.excused)}; on /metrics: "
            + ", ".join(f"{name} {number:.0f}" for name, number in counted.items()),
            f"SIGKILLs {self.troubles.kills}; " + ", ".join(f"{what} {n}" for what, n in sorted(ledger.events.items())),
            f"until serving again: {ledger.told_away()}",
            "slowest: " + ", ".join(f"{k} {s:.1f} s" for k, s in sorted(ledger.slowest.items())),
        ]
        return "\n".join(lines)

    def close(self) -> None:
        """Leave nothing behind."""
        for sender in self.senders:
            sender.ending.set()
        self.troubles.close()


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
