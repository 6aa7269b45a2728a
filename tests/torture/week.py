"""A town-week on an injected clock through the real line: whatever happens to it, the town ends up the same."""

import math
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from unittest import mock

from pipelines import available
from pipelines.engine import compaction, flow, manifest
from pipelines.engine.flow import RawMessage
from pipelines.engine.journal import segments
from pipelines.engine.line import Line
from pipelines.engine.local import pushed
from pipelines.engine.quality.waiting import PATIENCE
from pipelines.engine.settings import Feed
from pipelines.engine.store import Store
from pipelines.engine.tables import ENGINE_TABLES
from tests.engine import small_town
from tests.torture import damage, town
from tests.torture.town import DAY, MONDAY, STEPS, Payload

END = MONDAY + STEPS * DAY + timedelta(hours=1)
# So many KPIs does a disturbed week compute, drawn by its seed; the undisturbed one computes all that have values.
AT_ONCE = 2
NARROW = timedelta(minutes=2)
# What comes last comes early enough to have been judged by the end.
LAST = END - NARROW - PATIENCE

# Sensor, instant, value, quality.
Stored = tuple[str, datetime, float | None, int]


class Cut(BaseException):
    """The power fails here: not an Exception, so that nothing on the way can tidy up behind it."""


@dataclass(frozen=True)
class Outcome:
    """All that must not depend on what happened: rows, history of every KPI, the board, and what was set aside."""

    readings: list[Stored]
    requests: list[tuple[object, ...]]
    history: dict[tuple[str, ...], tuple[object, ...]]
    board: dict[tuple[str, ...], tuple[object, ...]]
    quarantined: frozenset[bytes]
    ledger: dict[str, int]

    @property
    def kpis(self) -> list[str]:
        """The KPIs that have a value."""
        return sorted(
            {kpi for kpi, *_ in self.history} | {kpi for (kpi, _), (value, *_) in self.board.items() if value}
        )

    def only(self, kpis: frozenset[str]) -> "Outcome":
        """The same with these KPIs alone."""
        history, board = ({k: v for k, v in part.items() if k[0] in kpis} for part in (self.history, self.board))
        return replace(self, history=history, board=board)


@dataclass
class Ledger:
    """What happened in one week."""

    sent: int = 0
    cuts: int = 0
    tails: int = 0
    refusals: int = 0
    compactions: int = 0
    poisoned: set[bytes] = field(default_factory=set)


def calm() -> list[list[Payload]]:
    """The week as it should be: what comes in each day."""
    return [
        [
            town.filed(town.measured(step, town.FILED)),
            town.pushed(town.measured(step, town.PUSHED)),
            town.book(town.complaints(step)),
        ]
        for step in range(STEPS)
    ]


def stormy(chance: random.Random) -> list[list[Payload]]:
    """The same week on a bad link: cut in pieces, late, lost and sent again, twice, out of order, among poison."""
    steps: list[list[Payload]] = [[] for _ in range(STEPS + 1)]
    for step in range(STEPS):
        rows = town.measured(step, town.SENSORS)
        chance.shuffle(rows)
        pieces = [town.book(town.complaints(step))]
        while rows:
            size = chance.choice([9, 90, 144])
            pieces.append(chance.choice([town.filed, town.pushed])(rows[:size]))
            rows = rows[size:]
        for piece in pieces:
            delay = chance.choice([0, 0, 0, 0, 1, 2, STEPS])
            arrives = [min(STEPS, step + delay)]
            if chance.random() < 0.2:
                arrives.append(chance.randint(arrives[0], STEPS))
            for at in arrives:
                steps[at].append(piece)
        if chance.random() < 0.7:
            steps[step].append(town.poison(chance, MONDAY + (step + 1) * DAY))
        chance.shuffle(steps[step])
    chance.shuffle(steps[STEPS])
    return steps


class Week:
    """One week of one town: sends, beats, is cut off, opens again and sends again what nobody has acknowledged."""

    def __init__(self, folder: Path, chance: random.Random, kpis: frozenset[str]) -> None:
        self.folder, self.chance, self.kpis = town.make(folder), chance, kpis
        self.told = Ledger()
        self.line = self._open(MONDAY)

    def _open(self, now: datetime) -> Line:
        return small_town.open_line(self.folder, now, self.kpis)

    def run(self, steps: Sequence[Sequence[Payload]], *, disturbed: bool) -> Outcome:
        """Bring a week through the line; what stands at its end."""
        for step, payloads in enumerate(steps):
            now = min(LAST, MONDAY + (step + 1) * DAY) + disturbed * self.chance.uniform(-1, 1) * NARROW
            size = self.chance.choice([2, 5, 9]) if disturbed else len(payloads)
            for first in range(0, len(payloads), size):
                self._delivered(payloads[first : first + size], now, disturbed=disturbed)
            if not disturbed or self.chance.random() < 0.3:
                self._survived(lambda now=now: flow.beat(self.line, now), now, disturbed and self.chance.random() < 0.2)
            if disturbed and self.chance.random() < 0.3:
                self._compact(now)
        return self._outcome()

    def _delivered(self, payloads: Sequence[Payload], now: datetime, *, disturbed: bool) -> None:
        """Send until it is acknowledged, and sometimes once more because the acknowledgement was lost."""
        for payload in payloads:
            self.told.poisoned.update(payload.refused)
        messages = [RawMessage(self._feed(payload.feed), payload.body, now) for payload in payloads]
        self.told.sent += len(messages)
        cut = disturbed and self.chance.random() < 0.12
        acknowledged = self._survived(lambda: flow.take(self.line, messages, now), now, cut)
        if not acknowledged or (disturbed and self.chance.random() < 0.05):
            self._delivered(payloads, now, disturbed=False)

    def _feed(self, name: str) -> Feed:
        feed = self.line.settings.feeds[name]
        return pushed(feed, "json", "readings") if name == "push" else feed

    def _survived(self, work: Callable[[], object], now: datetime, cut: bool) -> bool:
        """Whether the work was done; the power may fail, or the disk refuse, at the next frame that is written."""
        if not cut:
            work()
            return True
        kind = self.chance.choice(["before", "half", "after", "refused"])
        try:
            with failing_append(self.line, kind, self.chance):
                work()
        except OSError:
            self.told.refusals += 1
            return False
        except Cut:
            self._cut(now)
            return False
        return True

    def _cut(self, now: datetime) -> None:
        """The power is gone: everything in memory with it; then it comes back."""
        self.told.cuts += 1
        small_town.abandon(self.line)
        if self.chance.random() < 0.5:
            self.told.tails += 1
            damage.tear(self.folder / "store" / "journal", self.chance)
        if self.chance.random() < 0.3:
            damage.leftovers(self.folder / "store", self.chance)
        self.line = self._open(now)

    def _compact(self, now: datetime) -> None:
        """A compaction by the child; it, or the whole town, may be cut off just before or after it publishes."""
        self.told.compactions += 1
        settings = self.line.settings
        tables = (*ENGINE_TABLES, *(table for domain in settings.domains for table in domain.tables))
        kind = self.chance.choice(["done", "done", "before", "after"])
        try:
            with failing_publish(kind):
                compaction.compact(settings.store, tables, settings.zone, self.chance.choice([4 << 10, 24 << 20]))
        except Cut:
            if self.chance.random() < 0.5:
                self._cut(now)
        if self.chance.random() < 0.7:
            self.line.adopt(now)

    def _outcome(self) -> Outcome:
        """What stands at the end, in memory and as another process reads it from the disk."""
        line, state = self.line, small_town.beat(self.line, END)
        assert not line.kpis.faults, line.kpis.faults
        board = {tuple(key.split("|")): (row["value"], row["n"], row["reason"]) for key, row in state["kpis"].items()}
        requests = line.store.rows("service_requests").drop("received_at").sort("service_request_id").rows()
        quarantined = frozenset(line.store.rows("quarantine", columns=["original"])["original"].to_list())
        names = {number: sensor for sensor, number in line.series.numbers.items()}
        found = stored(line.store, names)
        other = Store(line.settings.store, ENGINE_TABLES)
        other.open()
        assert found == stored(other, names), "another process reads other rows"
        outcome = Outcome(found, requests, small_town.history(line), board, quarantined, line.feeds.ledger())
        line.close()
        shutil.rmtree(self.folder)
        return outcome


def stored(store: Store, names: Mapping[int, str]) -> list[Stored]:
    """Every reading that a process finds in the store."""
    rows = store.rows("readings", columns=["series", "observed_at", "value", "quality"])
    return sorted((names[series], at, value, quality) for series, at, value, quality in rows.iter_rows())


@contextmanager
def failing_append(line: Line, kind: str, chance: random.Random) -> Iterator[None]:
    """The next frame is not written, or by half, or whole but nobody hears of it, or refused by the disk."""
    real, journal = line.journal.append, line.journal.folder

    def append(entries: Sequence[object]) -> int:
        if kind == "refused":
            raise OSError(28, "no space left on device")
        if kind != "before":
            before = segments(journal)[-1]
            good = before.stat().st_size
            real(entries)
            last = segments(journal)[-1]
            if kind == "half":
                damage.unfinish(last, good if last == before else 0, chance)
        raise Cut

    with mock.patch.object(line.journal, "append", append):
        yield


@contextmanager
def failing_publish(kind: str) -> Iterator[None]:
    """The power fails just before, or just after, a compaction publishes its manifest."""
    real = manifest.write

    def write(store: Path, published: manifest.Manifest) -> None:
        if kind != "before":
            real(store, published)
        if kind != "done":
            raise Cut

    with mock.patch.object(compaction.manifests, "write", write):
        yield


def differences(found: Outcome, calm: Outcome, told: Ledger) -> list[str]:
    """In words, how a disturbed week ended otherwise than the calm one; nothing when all is as it must be."""
    words = []
    for name in ("readings", "requests"):
        mine, theirs = getattr(found, name), getattr(calm, name)
        if mine != theirs:
            lost, other = [r for r in theirs if r not in mine], [r for r in mine if r not in theirs]
            doubled = len(mine) - len(set(mine))
            words.append(f"{name}: {len(lost)} lost {lost[:3]}, {len(other)} others {other[:3]}, {doubled} twice")
    for name in ("history", "board"):
        mine, theirs = getattr(found, name), getattr(calm, name)
        odd = [k for k in mine.keys() | theirs.keys() if not same(mine.get(k), theirs.get(k))]
        words += [f"{name} of {k}: {mine.get(k)}, undisturbed {theirs.get(k)}" for k in sorted(odd, key=str)[:5]]
    missing = told.poisoned - found.quarantined
    if missing or found.quarantined != told.poisoned:
        extra = found.quarantined - told.poisoned
        words.append(f"quarantine: {len(missing)} missing {sorted(missing)[:2]}, {len(extra)} more {sorted(extra)[:2]}")
    counts = found.ledger
    if counts["decoded"] != counts["stored"] + counts["duplicate"] + counts["quarantined"]:
        words.append(f"the ledger does not add up: {counts}")
    return words


def same(mine: object, theirs: object) -> bool:
    """Equal, numbers to 1e-9."""
    if isinstance(mine, tuple) and isinstance(theirs, tuple):
        return len(mine) == len(theirs) and all(map(same, mine, theirs))
    if isinstance(mine, float) and isinstance(theirs, float):
        return math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-9)
    return mine == theirs


def undisturbed(folder: Path) -> Outcome:
    """The calm week's end: what every other one is held against."""
    known = available()
    kpis = frozenset(kpi.id for name in ("water", "grievances") for kpi in known[name].kpis)
    return Week(folder, random.Random(0), kpis).run(calm(), disturbed=False)


def disturbed(folder: Path, seed: int, calm: Outcome) -> tuple[list[str], Ledger]:
    """How the week of a seed ended otherwise than the calm one (nothing, as it must be), and what happened in it."""
    chance = random.Random(seed)
    week = Week(folder, chance, frozenset(chance.sample(calm.kpis, AT_ONCE)))
    return differences(week.run(stormy(chance), disturbed=True), calm.only(week.kpis), week.told), week.told
