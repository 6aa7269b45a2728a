"""Devices and people who send: each keeps its rows until they are acknowledged, over a link that comes and goes."""

import csv
import gzip
import io
import json
import random
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests.engine import small_town
from tests.torture import town
from tests.torture.ledger import Ledger
from tests.torture.town import Row

STEP = timedelta(seconds=60)
FORMS = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}
ANSWERED = (200, 422)


class Sender(threading.Thread):
    """One device with some sensors. `begin`: the instant of its first reading."""

    def __init__(self, name: str, ledger: Ledger, chance: random.Random) -> None:
        super().__init__(name=name, daemon=True)
        self.ledger, self.chance = ledger, chance
        self.ending = threading.Event()
        self.link = httpx.Client(trust_env=False)

    def run(self) -> None:
        """Send until told to end; whatever is not acknowledged by then is finished first."""
        with self.link:
            while not self.ending.is_set():
                self.turn()
                # The link comes and goes; what was measured meanwhile comes in one burst.
                self.ending.wait(self.chance.choice([0.1, 0.2, 0.2, 0.4, 2.0]))

    def turn(self) -> None:
        """Send once."""
        raise NotImplementedError


class Meter:
    """The rows of some sensors, each instant once, in order."""

    def __init__(self, sensors: Sequence[str], begin: datetime) -> None:
        self._sensors, self._begin, self._number = sensors, begin, 0

    def next(self, count: int) -> list[Row]:
        """So many rows that were never given before."""
        rows = []
        for _ in range(count):
            place, turn = self._number % len(self._sensors), self._number // len(self._sensors)
            rows.append((self._sensors[place], self._begin + turn * STEP, (turn * 7 + place * 3) % 79 / 8))
            self._number += 1
        return rows


class Pusher(Sender):
    """Pushes rows over HTTP in one of three forms, and again until it is told that they are safe."""

    def __init__(self, form: str, meter: Meter, url: str, ledger: Ledger, chance: random.Random) -> None:
        super().__init__(f"http {form}", ledger, chance)
        self._form, self._meter, self._url = form, meter, f"{url}/api/v1/readings"

    def turn(self) -> None:
        """One batch until it is acknowledged; sometimes once more, as after a lost answer."""
        rows = self._meter.next(self.chance.choice([1, 3, 20, 120]))
        self.ledger.sending(rows)
        while not self._sent(rows):
            if self.ending.wait(0.3):
                return
        if self.chance.random() < 0.1:
            self.ledger.count("sent twice on purpose", len(rows))
            self._sent(rows)

    def _sent(self, rows: Sequence[Row]) -> bool:
        head = {"Content-Type": FORMS[self._form]}
        body = written(self._form, rows)
        if self.chance.random() < 0.3:
            head["Content-Encoding"], body = "gzip", gzip.compress(body)
        # An impatient device hangs up before it hears that its rows are safe, and sends them again.
        patience = 0.03 if self.chance.random() < 0.03 else 10
        answer = posted(self.link, self._url, body, head, patience)
        if answer is None or answer.status_code != httpx.codes.OK:
            self.ledger.count("pushes not acknowledged")
            return False
        told = answer.json()
        if told["accepted"] + told["duplicate"] != len(rows):
            self.ledger.complain(f"{len(rows)} good rows were answered with {told}")
        self.ledger.acknowledged(rows, self.name)
        return True


class Poisoner(Sender):
    """Pushes what no town can use, and remembers the bytes that must be found in quarantine."""

    def __init__(self, url: str, ledger: Ledger, chance: random.Random) -> None:
        super().__init__("poison", ledger, chance)
        self._url = f"{url}/api/v1/readings"

    def turn(self) -> None:
        """One bad payload until somebody has looked at it."""
        bad = town.poison(self.chance, datetime.now(UTC))
        form = "csv" if bad.feed == "network" else "json"
        answer = None
        while answer is None or answer.status_code not in ANSWERED:
            answer = posted(self.link, self._url, bad.body, {"Content-Type": FORMS[form]}, 10)
            if self.ending.wait(0.5):
                break
        if answer is not None and answer.status_code in ANSWERED:
            self.ledger.set_aside(bad.refused)


class Dropper(Sender):
    """Drops whole files; one is acknowledged when it has been moved to done/."""

    def __init__(self, meter: Meter, folder: Path, ledger: Ledger, chance: random.Random) -> None:
        super().__init__("drop folder", ledger, chance)
        self._meter, self._folder, self._number = meter, folder, 0
        self.waiting: dict[str, list[Row]] = {}
        self._unfinished: list[Row] = []

    def turn(self) -> None:
        """Drop a file beside those that wait, and look which have been taken."""
        if len(self.waiting) < 6:
            self._unfinished = self._unfinished or self._meter.next(self.chance.choice([10, 100, 400]))
            try:
                self._drop(self._unfinished)
            except OSError:
                self.ledger.count("files that could not be dropped")
            else:
                self._unfinished = []
        self.look()
        self.ending.wait(1.0)

    def _drop(self, rows: list[Row]) -> None:
        """A whole file, written beside and renamed."""
        name = f"file{self._number + 1:05d}.csv"
        beside = self._folder / f"{name}.part"
        beside.write_bytes(small_town.csv_of(rows))
        self.ledger.sending(rows)
        self.waiting[name] = rows
        beside.rename(self._folder / name)
        self._number += 1

    def look(self) -> None:
        """Take note of the files that have been moved away."""
        for name in [name for name in self.waiting if (self._folder / "done" / name).exists()]:
            self.ledger.acknowledged(self.waiting.pop(name), self.name)


def written(form: str, rows: Sequence[Row]) -> bytes:
    """Rows as a body of this form."""
    if form == "csv":
        text = io.StringIO()
        csv.writer(text).writerows([("sensor", "observed_at", "value"), *((s, at.isoformat(), v) for s, at, v in rows)])
        return text.getvalue().encode()
    if form == "ndjson":
        return "\n".join(json.dumps(town.said(row)) for row in rows).encode()
    return town.pushed(rows).body


def posted(link: httpx.Client, url: str, body: bytes, head: dict[str, str], patience: float) -> httpx.Response | None:
    """The answer, or None when there was none."""
    try:
        return link.post(url, content=body, headers=head, timeout=patience)
    except httpx.HTTPError:
        return None
