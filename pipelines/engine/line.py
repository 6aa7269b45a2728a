"""The line of one town: everything that the steps of the flow work on, opened and closed together."""

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from pipelines.engine import flow, layout
from pipelines.engine.alarms.watch import Alarms
from pipelines.engine.calendar import floor
from pipelines.engine.changes import Changes
from pipelines.engine.clocks import Clocks
from pipelines.engine.correcting import Correcting
from pipelines.engine.device_tables import DEVICE_TABLES
from pipelines.engine.devices import recall
from pipelines.engine.disk import BALLAST_BYTES
from pipelines.engine.feeds import Feeds, of_tables
from pipelines.engine.inputs import Inputs
from pipelines.engine.journal import Entry, Journal, Tail, number, segments
from pipelines.engine.kpis import Kpis
from pipelines.engine.line_client import run_folder
from pipelines.engine.manifest import mended
from pipelines.engine.manifest import read as read_manifest
from pipelines.engine.minutes import Minutes
from pipelines.engine.newest import NewestReadings
from pipelines.engine.opening import Opened
from pipelines.engine.plain_readings import SENSOR
from pipelines.engine.publisher import Publisher
from pipelines.engine.quality.assessor import Assessor
from pipelines.engine.quality.meters import Books, Meters
from pipelines.engine.quality.silence import Silence, down_now
from pipelines.engine.quality.waiting import Due
from pipelines.engine.registers import Registers
from pipelines.engine.series import SeriesBook
from pipelines.engine.settings import Feed, Settings
from pipelines.engine.sorting import spans_of
from pipelines.engine.state import State
from pipelines.engine.store import Store
from pipelines.engine.tables import ENGINE_TABLES
from pipelines.engine.works import Span

log = logging.getLogger("townboard")
HOT = timedelta(days=2)
KPI_CURSOR = "_kpis"
CARRIERS = "_carriers"
# Seconds of a beat for judging readings by their neighbours; the rest waits for the next beat.
JUDGE_BUDGET_S = 0.1
# Readings older than this ring no alarm after a restart.
WATCHED = timedelta(days=1)


class Line:
    """The only writer of a town. Opening it repairs what a power cut left and takes up where it was."""

    def __init__(self, settings: Settings, registers: Registers, now: datetime) -> None:
        """Open the store.

        Raises StoreError when another line writes here or the store is damaged beyond what can be cut off.
        """
        self.settings, self.registers = settings, registers
        self.writing = threading.RLock()
        run_folder(settings).mkdir(parents=True, exist_ok=True)
        self.board_path = run_folder(settings) / "board"
        # What ails the town besides its disk: name of the alarm -> words, kept by those who notice.
        self.troubles: dict[str, str] = {}
        # How many beats there were, the seconds that all of them took, and the last.
        self.beats, self.beat_s, self.last_beat_s = 0, 0.0, 0.0
        self._open_store(now)
        self._appoint(now)
        cursor = self.state.cursor(KPI_CURSOR)
        self._seen_seq = self._done_seq = int(cursor.get("seq", 0))
        self._draining_seq, self._beat_at = 0, now
        self._resume(now)
        if "at" in cursor:
            # The windows that ran then and those that ended since have nobody else who remembers them.
            self.kpis.wake(datetime.fromisoformat(cursor["at"]), now)
        self.publisher = Publisher(self, now)
        self.correcting = Correcting(self.store, settings.kpis, self.publisher.every)
        self.minutes = Minutes()

    def _open_store(self, now: datetime) -> None:
        """Journal, tables and state as the last life left them, mended where it was cut off."""
        settings = self.settings
        layout.require(settings.store)
        applied = mended(settings.store).applied_seq
        self.journal = Journal(settings.store / "journal", at_least=applied, ballast_bytes=BALLAST_BYTES)
        self.open_tables = {table.name for domain in settings.domains for table in domain.tables}
        self.open_tables |= {table.name for table in DEVICE_TABLES}
        tables = (*ENGINE_TABLES, *(table for domain in settings.domains for table in domain.tables))
        self.store = Store(settings.store, tables, floor(now - HOT, "day", settings.zone))
        self.store.open()
        self.state = State(settings.store / "state.sqlite")
        if self.state.words:
            self.state.keep_run("start", now, now, 0, "mended", self.state.words)
        self.known = recall(self.store, now)
        self.newest = NewestReadings(self.store.latest(), self.writing)
        self.series = SeriesBook(self.store, self.registers.bounds.places)

    def _appoint(self, now: datetime) -> None:
        """Those who judge, count, compute and watch."""
        settings, registers, store = self.settings, self.registers, self.store
        self.inputs = Inputs(store, registers, settings.zone)
        self.quality, self.meters = Assessor(store, registers), Meters(store, registers)
        self._numbered = -1
        self.tell_numbers()
        self.alarms = Alarms(settings, registers, self.state, now)
        self.feeds = Feeds(settings.feeds, store)
        self.feeds.restore(now)
        self.silence = Silence(registers, settings.feeds, self.state.cursor(CARRIERS), now)
        self.clocks = Clocks(store)
        self.kpis = Kpis(settings, self.inputs, of_tables(settings.feeds.values()), self.feeds.covered)
        self.changes = Changes(settings.zone)

    def tell_numbers(self) -> None:
        """Have those who go by series know the sensors that were numbered since: when they are asked, not as each
        comes, for it costs them a look at the whole register.
        """
        with self.writing:
            numbers = self.series.numbers
            if self._numbered != len(numbers):
                for one in (self.inputs, self.quality, self.meters):
                    one.use(numbers)
                self._numbered = len(numbers)

    def _resume(self, now: datetime) -> None:
        """Take up the KPI windows that were touched but not yet computed when the process ended."""
        journal = self.settings.store / "journal"
        after = max([self._done_seq, *(number(path) - 1 for path in segments(journal)[:1])])
        for seq, entries in Tail(journal, after).poll():
            self._touch(entries, seq)
            for entry in entries:
                if entry.table == "readings" and not entry.facts.get("judged"):
                    rows = entry.rows.filter(pl.col("observed_at") > now - WATCHED)
                    self.newest.add(rows, corrects=True)
            self._seen_seq = seq

    @property
    def latest(self) -> pl.DataFrame:
        """The newest reading of every sensor that has one.

        Shape: sensor, asset, kind, ward, quantity, every_s, observed_at, value.
        """
        self.tell_numbers()
        return self.newest.rows().join(self.inputs.dimension, on="series", how="inner")

    def drain_samples(self) -> pl.DataFrame:
        """The readings that landed since the last call and the newest of every sensor, in the columns of `latest`."""
        self.tell_numbers()
        return self.newest.drain().join(self.inputs.dimension, on="series", how="inner")

    def feed_states(self, now: datetime) -> dict[str, dict]:
        """Every feed as the snapshot shows it."""
        counted = {name: self.silence.counted(name, row) for name, row in self.feeds.shown(now).items()}
        return {name: self.clocks.counted(name, row) for name, row in counted.items()}

    def listen(self, now: datetime) -> pl.DataFrame:
        """What the silence of sensors says of each asset (shape: quality.silence.by_asset)."""
        if self.silence.learned:
            self.state.keep_cursor(CARRIERS, self.silence.carriers)
        newest = self.latest.select("sensor", last_at="observed_at")
        states, ringing = self.feeds.shown(now), self.alarms.silent_assets
        return self.silence.look(newest, states, lambda: down_now(self.store, now), ringing, now)

    def drain_touched(self) -> dict[str, Span]:
        """What changed since the last call: table or quantity -> span of time."""
        with self.writing:
            self.tell_numbers()
            taken = self.changes.taken()
            self._draining_seq = self._seen_seq
        return taken.spans(self.inputs.dimension.select("series", "quantity"))

    def arrivals(self, opened: Sequence[Opened], receipts: Mapping[int, flow.Receipt]) -> pl.DataFrame:
        """Arrival rows for a batch; whose readings came by which feed is noted."""
        for one in opened:
            if "readings" in one.good:
                self.silence.heard(one.feed.name, one.good["readings"][SENSOR].to_numpy())
        return flow.arrival_rows(opened, receipts, self.journal.seq + 1, self)

    def landed(self, entries: Sequence[Entry]) -> None:
        """Take note of what a durable frame changed."""
        for entry in entries:
            if entry.table == "arrivals":
                self.feeds.count(entry.rows)
            elif entry.table == "series":
                self.series.keep(entry.rows)
            elif entry.table == "readings" and not entry.facts.get("judged"):
                self.newest.add(entry.rows, corrects=bool(entry.facts.get("corrects")))
        self._touch(entries, self.journal.seq)
        self._seen_seq = self.journal.seq

    def failed(self, feed: Feed, at: datetime, words: str) -> None:
        """Put on record that a feed gave nothing usable."""
        self._note(feed, at, "failed", words)

    def unchanged(self, feed: Feed, at: datetime) -> None:
        """Put on record that a feed answered that nothing has changed since its last payload."""
        self._note(feed, at, "landed", None)

    def _note(self, feed: Feed, at: datetime, outcome: str, words: str | None) -> None:
        with self.writing:
            row = flow.empty_arrival(feed, at, outcome, words, self.journal.seq + 1)
            entry = Entry("arrivals", row, {"received_s": at.timestamp()})
            seq = self.journal.append([entry])
            self.store.land(seq, [entry])
            self.landed([entry])

    def judge(self, now: datetime, budget_s: float = math.inf, *, all_due: bool = False) -> None:
        """Settle what readings are worth by their neighbours and what registers say was used, and keep it."""
        with self.writing:
            self.tell_numbers()
            for one in (self.quality, self.meters):
                one.set_apart()
        self.quality.sort_in()
        self.meters.sort_in()
        with self.writing:
            self.tell_numbers()
            taken, metered = (waiting.take(now, all_due=all_due) for waiting in (self.quality, self.meters))
        try:
            verdict = self.quality.judge(taken, now, budget_s if all_due else min(budget_s, JUDGE_BUDGET_S))
            books = self.meters.judge(metered)
            with self.writing:
                self.tell_numbers()
                self._keep_judged(self.quality.confirm(verdict), self.meters.confirm(books), now)
        except OSError as error:
            # A disk that refuses must not darken the board: the verdicts are found and kept again later.
            log.warning("the verdicts on readings of this beat were not kept: %s", error)
            self._leave_due(taken, metered)
        except BaseException:
            self._leave_due(taken, metered)
            raise

    def _leave_due(self, taken: dict[int, Due], metered: dict[int, Due]) -> None:
        with self.writing:
            self.quality.undo(taken)
            self.meters.undo(metered)

    def _keep_judged(self, rows: pl.DataFrame, books: Books, now: datetime) -> None:
        facts = {"received_s": now.timestamp(), "corrects": True}
        used, registered = self.series.number(self.series.placed(books.used), now)
        entries = [
            Entry("series", registered, facts),
            Entry("readings", rows, {**facts, "judged": True}),
            Entry("readings", used, facts),
            Entry("meter_events", books.events, facts),
        ]
        if entries := [entry for entry in entries if entry.rows.height]:
            seq = self.journal.append(entries)
            self.store.land(seq, entries)
            self.landed(entries)

    def _touch(self, entries: Sequence[Entry], seq: int) -> None:
        for entry in entries:
            if entry.rows.is_empty():
                continue
            if entry.table == "readings":
                spans = spans_of(entry.rows)
                self.changes.readings(spans)
                if not entry.facts.get("judged"):
                    # Since it came, whoever was killed meanwhile: else a line that dies often would never judge.
                    since = datetime.fromtimestamp(entry.facts["received_s"], UTC)
                    self.quality.touch(spans, seq, since)
                    self.meters.touch(spans, seq, since)
            elif entry.table in self.open_tables or entry.table == "arrivals":
                self.changes.rows(self.store.tables[entry.table], entry)
                self.alarms.land(entry.table, entry.rows)

    def settle(self, now: datetime | None = None) -> None:
        """Remember that every window touched so far has been computed, so that a restart need not look again."""
        self._beat_at = now or self._beat_at
        done = self.meters.settled_before(self.quality.settled_before(self._draining_seq))
        if self.kpis.settled and done > self._done_seq:
            self._done_seq = done
            self.state.keep_cursor(KPI_CURSOR, {"seq": self._done_seq, "at": self._beat_at.isoformat()})

    def leave_for_later(self, since: datetime) -> None:
        """Leave the KPI windows since then to whoever opens the line next: what landed is on disk, but not computed."""
        self._done_seq = self.journal.seq
        self.state.keep_cursor(KPI_CURSOR, {"seq": self._done_seq, "at": since.isoformat()})

    def adopt(self, now: datetime) -> None:
        """Take over what the compaction has written and drop the journal segments that nobody needs any more."""
        with self.writing:
            before = self.store.manifest.applied_seq
            current = read_manifest(self.settings.store)
            if current.rev != self.store.manifest.rev:
                self.store.adopt(current, floor(now - HOT, "day", self.settings.zone))
        # Readers get one compaction's time to follow before the frames they may still tail go.
        self.journal.drop_before(min(before, self._done_seq))

    def close(self) -> None:
        """Let go of the store; everything acknowledged is on disk already."""
        with self.writing:
            self.settle()
            self.state.close()
            self.journal.close()
