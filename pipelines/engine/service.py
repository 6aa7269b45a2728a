"""The line as a process: sources, schedule, beat, compaction and the local socket around one Line."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.engine import flow, outgoing, upkeep
from pipelines.engine.cores import beside_polars
from pipelines.engine.decode import plain_columns
from pipelines.engine.delivery import jobs as deliveries
from pipelines.engine.errors import SourceDown
from pipelines.engine.filing import jobs as filings
from pipelines.engine.filing.desk import Desk
from pipelines.engine.flow import RawMessage, Receipt
from pipelines.engine.intake import Busy, Intake
from pipelines.engine.line import Line
from pipelines.engine.local import LocalServer
from pipelines.engine.schedule import Job, Schedule
from pipelines.engine.settings import Feed
from pipelines.engine.settings.filing import FEED
from pipelines.engine.sources.drop_folder import DropFolder
from pipelines.engine.sources.mqtt import brokers
from pipelines.engine.sources.poll import Poll
from pipelines.engine.sources.replay import Replay
from pipelines.engine.supervise import beside

log = logging.getLogger("townboard")
LOOK_EVERY = timedelta(seconds=2)
# How often readings that landed go on the board between two beats: they are on the glass within a second.
REFRESH_EVERY = timedelta(seconds=0.4)
COMPACT_EVERY = timedelta(minutes=30)
PATIENCE_S = 120.0
# Seconds of a beat for KPIs: what is due beyond it waits for the next, so that the board never waits for a back-fill.
BEAT_BUDGET_S = 0.15
CATCH_UP_S = 0.6
LONGEST_COMPACTION_S = 3600.0


class Service:
    """Runs one line until it is told to stop. `compact` is the command of the compaction child."""

    def __init__(self, line: Line, clock: Callable[[], datetime], compact: list[str]) -> None:
        self.line, self._clock, self._compact = line, clock, compact
        self.intake = Intake(line, clock)
        self._delivery = deliveries.delivery(line)
        self._desk = Desk(self.intake, clock) if FEED in line.settings.feeds else None
        self.local = LocalServer(line.settings, self.intake, clock, self._delivery, self._desk)
        self._brokers = brokers(line, self.intake, clock)
        self._polls: list[Poll] = []
        self.schedule = Schedule(self._jobs(), line.state, clock)
        line.publisher.jobs = self.schedule.shown
        self._stopping = threading.Event()

    def run(self) -> None:
        """Start everything and wait for SIGTERM or SIGINT."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: self._stopping.set())
        # The board of the life before is on the screens at once, with its age; KPIs follow with the first beat.
        flow.beat(self.line, self._clock(), 0.0)
        plain_columns.ready()
        self.intake.start()
        self.local.start()
        self.schedule.start()
        for broker in self._brokers:
            broker.start()
        log.info("the line of %s runs", self.line.settings.name)
        self._stopping.wait()
        self.schedule.stop()
        self.local.stop()
        for broker in self._brokers:
            broker.stop()
        self.intake.stop()
        if self._delivery is not None:
            self._delivery.close()
        self.line.close()
        for poll in self._polls:
            poll.close()

    def _jobs(self) -> list[Job]:
        settings = self.line.settings
        jobs = [
            Job(
                "beat", timedelta(seconds=settings.beat_s), "compute KPIs, watch alarms, publish the board", self._beat
            ),
            Job("board", REFRESH_EVERY, "put the newest readings on the board between two beats", self._refresh),
            Job(
                "compaction",
                COMPACT_EVERY,
                "move the journal into sorted Parquet",
                self._compaction,
                timedelta(minutes=5),
            ),
            *upkeep.jobs(self.line, self._clock),
            *outgoing.jobs(self.line, self._clock, self._delivery),
        ]
        if self._desk is not None:
            jobs += filings.jobs(self._desk, self.line, self._clock)
        if self._delivery is not None:
            jobs += deliveries.jobs(self._delivery, self.line, self._clock, self._soon)
        folders = [DropFolder(f, settings.drop / f.name) for f in settings.feeds.values() if f.origin == "drop_folder"]
        if folders:
            jobs.append(Job("drop folders", LOOK_EVERY, "take in files that were dropped", self._looking(folders)))
        for feed in settings.feeds.values():
            if feed.origin == "poll":
                poll = Poll(feed, self.line.state.cursor(feed.name))
                self._polls.append(poll)
                jobs.append(Job(f"poll {feed.name}", feed.every, f"ask for {feed.title}", self._polling(poll)))
            elif feed.origin == "replay":
                files = sorted(settings.folder.glob(feed.files or f"replay/{feed.name}/*"))
                replay = Replay(files, self._clock(), feed.speed)
                jobs.append(
                    Job(
                        f"replay {feed.name}",
                        timedelta(seconds=1),
                        f"replay {feed.title}",
                        self._replaying(feed, replay),
                    )
                )
        return jobs

    def _soon(self, job: str) -> None:
        self.schedule.soon(job)

    def _beat(self) -> int | None:
        # Whoever sends comes first: what a flood has left to compute is caught up with when it is over.
        budget_s = CATCH_UP_S if self.line.kpis.behind and not self.intake.is_pressed else BEAT_BUDGET_S
        began = time.perf_counter()
        with beside_polars():
            flow.beat(self.line, self._clock(), budget_s)
        self.line.last_beat_s = time.perf_counter() - began
        self.line.beats, self.line.beat_s = self.line.beats + 1, self.line.beat_s + self.line.last_beat_s
        return None

    def _refresh(self) -> int | None:
        self.line.publisher.refresh(self._clock())
        return None

    def _polling(self, poll: Poll) -> Callable[[], int | None]:
        def work() -> int | None:
            now = self._clock()
            if poll.waits(now):
                return None
            before = poll.cursor
            try:
                payload = poll.fetch(now, self._clock)
            except SourceDown as down:
                self.line.failed(poll.feed, self._clock(), str(down))
                raise
            if payload is None:
                if not poll.feed.momentary:
                    self.line.unchanged(poll.feed, self._clock())
                return None
            try:
                receipt = self._submit(RawMessage(poll.feed, payload, self._clock()))
            except BaseException:
                # It was not kept: the server must not be told that we have it.
                poll.cursor = before
                raise
            if receipt.refused_words is None:
                self.line.state.keep_cursor(poll.feed.name, poll.cursor)
            else:
                poll.cursor = {}
            return receipt.decoded

        return work

    def _looking(self, folders: list[DropFolder]) -> Callable[[], int | None]:
        def work() -> int | None:
            found = [(folder, path) for folder in folders for path in folder.look(self._clock())]
            rows = [self._take_file(folder, path) for folder, path in found]
            return sum(rows) if rows else None

        return work

    def _take_file(self, folder: DropFolder, path: Path) -> int:
        """Land one whole file; it is moved away only after its rows are durable."""
        try:
            words, payload = folder.too_large(path), b""
            if not words:
                payload = path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            # One file that cannot be opened must not keep those behind it waiting.
            words = f"{path.name} cannot be opened ({error.strerror}). Check who may read it, then put it here again."
        if words:
            folder.refuse(path, words)
            self.line.failed(folder.feed, self._clock(), words)
            return 0
        receipt = self._submit(RawMessage(folder.feed, payload, self._clock()))
        folder.done(path, receipt)
        return receipt.decoded

    def _replaying(self, feed: Feed, replay: Replay) -> Callable[[], int | None]:
        def work() -> int | None:
            rows = 0
            for _, payload in replay.due(self._clock()):
                rows += self._submit(RawMessage(feed, payload, self._clock(), backfill=True)).decoded
            return rows or None

        return work

    def _submit(self, message: RawMessage) -> Receipt:
        try:
            return self.intake.submit(message).result(PATIENCE_S)
        except Busy as busy:
            raise SourceDown(str(busy)) from busy

    def _compaction(self) -> int | None:
        """Run the compaction in a niced child: it may use memory and time that the line must not."""
        before = self.line.store.manifest.applied_seq
        done = beside(self._compact, LONGEST_COMPACTION_S)
        if done.returncode:
            raise RuntimeError(f"the compaction ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        self.line.adopt(self._clock())
        return self.line.store.manifest.applied_seq - before
