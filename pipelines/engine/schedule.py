"""Scheduled jobs as one table: what, how often, why; each run recorded. The only module that knows APScheduler."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from pipelines.engine.errors import SourceDown
from pipelines.engine.state import State

log = logging.getLogger("townboard")
# Jobs that run every few seconds are recorded when they did something, or failed; the others always.
QUIET_JOBS = timedelta(seconds=10)
# A channel that does not answer keeps a thread waiting; the beat must find one all the same.
MOST_AT_ONCE = 16
# How long a stop waits for jobs that run; all has to be over within five seconds.
PATIENCE_S = 2.0
# How often it is looked whether the clock was set, and by how much a job may be late before it was.
LOOK_AT_CLOCK_S = 1.0
LENIENCE = timedelta(seconds=2)


@dataclass(frozen=True)
class Job:
    """One scheduled job. `work` gives the number of rows it moved, or None when there was nothing to do."""

    name: str
    every: timedelta
    why: str
    work: Callable[[], int | None]
    first_after: timedelta = timedelta(0)


class Watchful(BackgroundScheduler):
    """A scheduler that never sleeps for long: how long to sleep was reckoned by a clock that may be set meanwhile."""

    def __init__(self, look: Callable[[], None], **settings: Any) -> None:
        super().__init__(**settings)
        self._look = look

    def _process_jobs(self) -> float:
        self._look()
        until_next: float | None = super()._process_jobs()
        return LOOK_AT_CLOCK_S if until_next is None else min(until_next, LOOK_AT_CLOCK_S)


class Schedule:
    """Runs jobs: missed runs become one, never two of one job at once, every run on record."""

    def __init__(self, jobs: list[Job], state: State, clock: Callable[[], datetime]) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._state, self._clock = state, clock
        self._last: dict[str, dict] = {}
        self._running, self._ending = 0, False
        self._idle = threading.Condition()
        self._scheduler = Watchful(
            self.follow_clock,
            executors={"default": ThreadPoolExecutor(MOST_AT_ONCE)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        for job in jobs:
            self._scheduler.add_job(
                self._run,
                "interval",
                args=[job],
                id=job.name,
                name=job.why,
                seconds=job.every.total_seconds(),
                next_run_time=clock() + job.first_after,
            )

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """End: nothing begins any more, and what runs is given a moment to finish its work on the store."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        with self._idle:
            self._ending = True
            self._idle.wait_for(lambda: not self._running, PATIENCE_S)

    def soon(self, name: str) -> None:
        """Let a job run now instead of when its interval is over; while it runs, it goes on as it would have."""
        if self._scheduler.running and not self._ending:
            self._scheduler.modify_job(name, next_run_time=self._clock())

    def follow_clock(self) -> None:
        """Let no job wait longer than its interval: a clock set back by an hour must not stop the town for an hour."""
        now = self._clock()
        for due in self._scheduler.get_jobs():
            job = self._jobs[due.id]
            if due.next_run_time and due.next_run_time > now + max(job.every, job.first_after) + LENIENCE:
                due.modify(next_run_time=now + job.every)

    def shown(self) -> list[dict]:
        """Each job with its last run and its next, for the snapshot."""
        rows = []
        for job in self._scheduler.get_jobs():
            last = self._last.get(job.id, {})
            at = job.next_run_time
            rows.append({
                "job": job.id, "why": job.name, "started_at": last.get("started_at"), "ended_at": last.get("ended_at"),
                "rows": last.get("rows"), "outcome": last.get("outcome", "waiting"), "words": last.get("words", ""),
                "next_at": at.isoformat() if at else None,
            })  # fmt: skip
        return rows

    def _run(self, job: Job) -> None:
        with self._idle:
            if self._ending:
                return
            self._running += 1
        try:
            self._recorded(job)
        except Exception:
            # What outlives the patience finds the store closed; its work is done again after the start.
            if not self._ending:
                raise
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _recorded(self, job: Job) -> None:
        started = self._clock()
        rows: int | None = 0
        outcome, words = "done", ""
        try:
            rows = job.work()
        except SourceDown as down:
            outcome, words = "failed", str(down)
        except Exception as error:
            if self._ending:
                raise
            log.exception("job %s failed", job.name)
            outcome, words = "failed", f"{type(error).__name__}: {error}"
        if rows is None:
            outcome = "nothing to do"
        ended = self._clock()
        self._last[job.name] = {
            "started_at": started.isoformat(), "ended_at": ended.isoformat(),
            "rows": rows, "outcome": outcome, "words": words,
        }  # fmt: skip
        if job.every > QUIET_JOBS or outcome == "failed" or rows:
            self._state.keep_run(job.name, started, ended, rows or 0, outcome, words)
