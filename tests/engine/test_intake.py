"""The intake, the local socket and the schedule: who is answered when, and that nobody is forgotten."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine import flow, intake, line_client, service
from pipelines.engine.errors import SourceDown
from pipelines.engine.flow import RawMessage
from pipelines.engine.intake import Busy, Intake
from pipelines.engine.line import Line
from pipelines.engine.line_client import LineClient, alive, socket_path
from pipelines.engine.local import LocalServer, hand_over
from pipelines.engine.schedule import Job, Schedule
from pipelines.engine.service import Service
from pipelines.engine.state import State
from tests.engine import small_town
from tests.engine.small_town import NOON, csv_of, make, readings

KPIS = frozenset({"pressure_compliance"})


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    opened = small_town.open_line(make(tmp_path / "town"), NOON, KPIS)
    yield opened
    opened.close()


def message(line: Line, number: int) -> RawMessage:
    return RawMessage(
        line.settings.feeds["network"], csv_of([("P1.p", NOON - timedelta(minutes=number), float(number % 50))]), NOON
    )


def now() -> datetime:
    return NOON


def test_everyone_of_a_batch_gets_the_receipt_of_his_own_rows(line: Line) -> None:
    queue = Intake(line, now)
    futures = [queue.submit(message(line, n // 2)) for n in range(20)]
    queue.start()
    receipts = [future.result(30) for future in futures]
    queue.stop()
    assert sum(r.stored for r in receipts) == 10
    assert sum(r.duplicate for r in receipts) == 10
    assert all(r.decoded == 1 for r in receipts)
    assert len(readings(line)) == 10


def test_batch_of_waiting_messages_is_one_frame(line: Line) -> None:
    queue = Intake(line, now)
    futures = [queue.submit(message(line, n)) for n in range(30)]
    before = line.journal.seq
    queue.start()
    wait(futures, 30)
    queue.stop()
    assert line.journal.seq == before + 1


def test_messages_of_several_senders_that_come_within_the_window_are_one_frame(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WINDOW_S", 1.0)
    queue = Intake(line, now)
    first = [queue.submit(message(line, n)) for n in range(2)]
    queue.start()
    wait(first, 30)
    before, later = line.journal.seq, []
    for number in range(2, 6):
        later.append(queue.submit(message(line, number)))
        threading.Event().wait(0.02)
    wait(later, 30)
    assert [future.result(0).stored for future in later] == [1] * 4
    assert line.journal.seq == before + 1
    assert queue._pause == 0
    queue.stop()


def test_sender_that_is_alone_and_waits_for_each_answer_is_not_kept_waiting(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WINDOW_S", 60.0)
    queue = Intake(line, now)
    queue.start()
    for number in range(5):
        assert queue.submit(message(line, number)).result(30).stored == 1
    queue.stop()


def test_senders_that_all_wait_for_their_answers_are_kept_waiting_once(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WINDOW_S", 0.05)
    queue = Intake(line, now)
    for burst in range(3):
        futures = [queue.submit(message(line, 10 * burst + n)) for n in range(4)]
        if burst == 0:
            queue.start()
        wait(futures, 30)
    assert intake.PAUSE - 2 <= queue._pause <= intake.PAUSE
    queue.stop()


def test_batch_that_fills_a_page_does_not_wait_for_more(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WINDOW_S", 60.0)
    rows = [("P1.p", NOON - timedelta(minutes=n), float(n % 50)) for n in range(200)]
    large = RawMessage(line.settings.feeds["network"], csv_of(rows), NOON)
    assert len(large.payload) > intake.PAGE_BYTES
    queue = Intake(line, now)
    queue._pause = 0
    queue.start()
    assert queue.submit(large).result(30).stored == 200
    queue.stop()


def test_a_large_payload_is_opened_while_the_one_before_is_kept_and_is_kept_after_it(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "LARGE_BYTES", 1)
    opened, kept, go_on = threading.Semaphore(0), list[int](), threading.Event()
    open_all, keep_all = flow.open_all, flow.keep_all

    def opening(line: Line, messages: Any) -> Any:
        found = open_all(line, messages)
        opened.release()
        return found

    def keeping(line: Line, found: Any, *more: Any) -> Any:
        kept.append(found[0].size)
        assert go_on.wait(30)
        return keep_all(line, found, *more)

    monkeypatch.setattr(flow, "open_all", opening)
    monkeypatch.setattr(flow, "keep_all", keeping)
    queue = Intake(line, now)
    queue.start()
    first = queue.submit(message(line, 1))
    assert opened.acquire(timeout=30)
    second = queue.submit(RawMessage(line.settings.feeds["network"], csv_of([("P2.p", NOON, 20.0)] * 2), NOON))
    assert opened.acquire(timeout=30), "the second is opened although the first is not kept yet"
    assert len(kept) == 1
    go_on.set()
    assert (first.result(30).stored, second.result(30).stored) == (1, 1)
    assert kept == sorted(kept)
    queue.stop()


def test_while_a_flood_is_taken_in_a_beat_keeps_to_its_usual_time(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = list[float]()
    monkeypatch.setattr(type(line.kpis), "behind", property(lambda _: True))
    monkeypatch.setattr(flow, "beat", lambda line, now, budget_s: budgets.append(budget_s))
    running = Service(line, now, [])
    running._beat()
    running.intake.submit(RawMessage(line.settings.feeds["network"], b"x" * intake.LARGE_BYTES, NOON))
    running._beat()
    assert budgets == [service.CATCH_UP_S, service.BEAT_BUDGET_S]


def test_a_batch_that_cannot_be_opened_is_refused_and_the_next_is_taken(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, open_all, failed = Intake(line, now), flow.open_all, list[int]()

    def opening(line: Line, messages: Any) -> Any:
        if not failed:
            failed.append(len(messages))
            raise MemoryError("not enough")
        return open_all(line, messages)

    monkeypatch.setattr(flow, "open_all", opening)
    queue.start()
    first = queue.submit(message(line, 1))
    with pytest.raises(MemoryError):
        first.result(30)
    assert queue.submit(message(line, 2)).result(30).stored == 1
    assert queue.shown()["waiting_bytes"] == 0
    queue.stop()


def test_sender_is_told_busy_when_too_many_wait_and_may_come_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_WAITING", 3)
    queue = Intake(line, now)
    futures = [queue.submit(message(line, n)) for n in range(3)]
    with pytest.raises(Busy, match="send it again"):
        queue.submit(message(line, 3))
    queue.start()
    wait(futures, 30)
    assert queue.submit(message(line, 3)).result(30).stored == 1
    queue.stop()


def test_bytes_that_wait_are_bounded_too(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(message(line, 1).payload)
    monkeypatch.setattr(intake, "MOST_WAITING_BYTES", int(size * 2.5))
    queue = Intake(line, now)
    futures = [queue.submit(message(line, n)) for n in range(2)]
    with pytest.raises(Busy):
        queue.submit(message(line, 2))
    queue.start()
    wait(futures, 30)
    assert queue.submit(message(line, 2)).result(30).stored == 1
    queue.stop()


def test_client_that_goes_away_harms_nobody_else(line: Line) -> None:
    queue = Intake(line, now)
    gone, staying = queue.submit(message(line, 1)), queue.submit(message(line, 2))
    gone.cancel()
    queue.start()
    assert staying.result(30).stored == 1
    assert queue.submit(message(line, 3)).result(30).stored == 1
    queue.stop()


def test_senders_get_the_error_when_nothing_was_kept_and_the_next_batch_goes_on(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Intake(line, now)

    def full(*_: object) -> int:
        raise OSError(28, "no space left")

    with monkeypatch.context() as broken:
        broken.setattr("pipelines.engine.journal.os.write", full)
        futures = [queue.submit(message(line, n)) for n in range(3)]
        queue.start()
        for future in futures:
            with pytest.raises(OSError, match="no space"):
                future.result(30)
    assert queue.submit(message(line, 1)).result(30).stored == 1
    assert queue._bytes == 0
    queue.stop()


def test_stopping_finishes_what_waits_and_takes_nothing_more(line: Line) -> None:
    queue = Intake(line, now)
    futures = [queue.submit(message(line, n)) for n in range(5)]
    queue.start()
    queue.stop()
    assert [future.result(0).stored for future in futures] == [1] * 5
    with pytest.raises(Busy, match="being stopped"):
        queue.submit(message(line, 9))


# the local socket --------------------------------------------------------------------------------------------------


@pytest.fixture
def served(line: Line) -> Iterator[Line]:
    queue = Intake(line, now)
    queue.start()
    server = LocalServer(line.settings, queue, now)
    server.start()
    until(lambda: alive(line.settings))
    yield line
    server.stop()
    queue.stop()


def until(holds: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for what another thread does; fails when it does not come about."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        threading.Event().wait(0.01)


def ask(line: Line, *arguments: Any) -> tuple[int, dict[str, Any], Any]:
    async def call() -> Any:
        client = LineClient(line.settings)
        try:
            return await client.take(*arguments)
        finally:
            await client.close()

    return asyncio.run(call())


def test_web_process_hands_a_payload_over_and_gets_the_receipt(served: Line) -> None:
    status, answer, _ = ask(served, "network", message(served, 1).payload)
    assert (status, answer["stored"], answer["quarantined"]) == (200, 1, 0)
    body = b'{"readings":[{"sensor":"P1.p","observed_at":"2026-03-10T05:00:00Z","value":7},{"sensor":"x","observed_at":"2026-03-10T05:00:00Z","value":7}]}'
    status, answer, _ = ask(served, "push", body, "json", "readings")
    assert (status, answer["stored"], answer["quarantined"]) == (200, 1, 1)
    assert answer["reasons"][0][1] == "unknown_sensor"


def test_unknown_feed_is_answered_with_those_that_exist(served: Line) -> None:
    status, answer, _ = ask(served, "netwrok", b"")
    assert status == 404
    assert "network" in answer["detail"]


def test_full_queue_is_answered_with_when_to_come_again(served: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Intake, "submit", lambda *_: (_ for _ in ()).throw(Busy("too much is waiting")))
    status, answer, headers = ask(served, "network", b"x")
    assert (status, answer["detail"], headers["Retry-After"]) == (429, "too much is waiting", "2")


def test_refusing_disk_is_answered_with_nothing_was_stored(served: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.engine.journal.os.write", full)
    status, answer, headers = ask(served, "network", message(served, 1).payload)
    assert status == 503
    assert "nothing was stored" in answer["detail"]
    assert "Retry-After" in headers


def test_back_fill_is_handed_to_a_line_that_runs(served: Line) -> None:
    receipt = hand_over(served.settings, "network", message(served, 5).payload)
    assert receipt is not None
    assert receipt.stored == 1


def test_nobody_answers_when_no_line_runs(line: Line) -> None:
    assert not alive(line.settings)
    assert hand_over(line.settings, "network", b"") is None


def test_socket_of_a_deep_town_lies_where_its_path_is_short_enough(tmp_path: Path) -> None:
    deep = make(tmp_path / ("a" * 60) / ("b" * 60) / "town")
    path = socket_path(small_town.read(deep))
    assert len(str(path)) <= line_client.LONGEST_PATH
    assert path == socket_path(small_town.read(deep))


# the schedule ------------------------------------------------------------------------------------------------------


def clock() -> datetime:
    return datetime.now(UTC)  # APScheduler itself lives on the wall clock


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def test_job_never_runs_twice_at_once_and_missed_runs_become_one(state: State) -> None:
    at_once, most, runs, release = 0, 0, 0, threading.Event()

    def slow() -> int:
        nonlocal at_once, most, runs
        at_once, runs = at_once + 1, runs + 1
        most = max(most, at_once)
        if runs == 1:
            release.wait(10)
        at_once -= 1
        return 1

    schedule = Schedule([Job("slow", timedelta(seconds=0.05), "test", slow)], state, clock)
    schedule.start()
    until(lambda: runs == 1)
    threading.Event().wait(0.5)
    assert runs == 1
    release.set()
    until(lambda: runs >= 3)
    schedule.stop()
    assert most == 1
    assert runs < 12


@pytest.mark.parametrize(
    ("work", "outcome", "words"),
    [
        (lambda: 7, "done", ""),
        (lambda: None, "nothing to do", ""),
        (lambda: (_ for _ in ()).throw(SourceDown("the feed answered 500")), "failed", "the feed answered 500"),
        (lambda: (_ for _ in ()).throw(ValueError("x")), "failed", "ValueError: x"),
    ],
)
def test_every_run_is_on_record_with_its_outcome(
    state: State, work: Callable[[], int | None], outcome: str, words: str
) -> None:
    job = Job("hourly", timedelta(hours=1), "why", work)
    schedule = Schedule([job], state, now)
    schedule._run(job)
    (run,) = state.runs()
    assert (run["job"], run["outcome"], run["words"], run["started_at"]) == ("hourly", outcome, words, NOON.isoformat())
    assert run["rows"] == (7 if outcome == "done" else 0)


def test_quick_jobs_are_recorded_when_they_did_something_or_failed(state: State) -> None:
    given: list[int | None] = [None, 3, 0]
    job = Job("look", timedelta(seconds=2), "why", lambda: given.pop(0))
    schedule = Schedule([job], state, now)
    for _ in range(3):
        schedule._run(job)
    assert [run["rows"] for run in state.runs()] == [3]


def test_stop_waits_for_the_job_that_runs_and_lets_none_begin(state: State) -> None:
    begun, finished = threading.Event(), []

    def work() -> int:
        begun.set()
        threading.Event().wait(0.3)
        finished.append(1)
        return 1

    schedule = Schedule([Job("work", timedelta(hours=1), "test", work)], state, clock)
    schedule.start()
    assert begun.wait(10)
    schedule.stop()
    assert finished == [1]
    schedule._run(Job("late", timedelta(hours=1), "test", work))
    assert finished == [1]


def test_job_that_is_called_runs_now_and_again_in_its_interval(state: State) -> None:
    ran = threading.Event()
    hour = timedelta(hours=1)
    schedule = Schedule([Job("work", hour, "test", ran.set, hour)], state, clock)
    schedule.soon("work")
    assert not ran.is_set()
    schedule.start()
    schedule.soon("work")
    assert ran.wait(10)
    (row,) = schedule.shown()
    assert datetime.fromisoformat(row["next_at"]) - clock() > timedelta(minutes=59)
    schedule.stop()


def test_job_that_outlives_the_stop_brings_no_traceback(
    state: State, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipelines.engine.schedule.PATIENCE_S", 0.05)
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> int:
        begun.set()
        go_on.wait(10)
        raise ValueError("the store is closed")

    schedule = Schedule([], state, clock)

    def run() -> None:
        schedule._run(Job("work", timedelta(hours=1), "test", work))
        ended.set()

    threading.Thread(target=run).start()
    assert begun.wait(10)
    schedule.stop()
    go_on.set()
    assert ended.wait(10)
    assert "store is closed" not in caplog.text


def test_shown_jobs_say_why_and_when_next(state: State) -> None:
    schedule = Schedule([Job("a", timedelta(hours=1), "because", lambda: 1, timedelta(minutes=5))], state, clock)
    schedule.start()
    (row,) = schedule.shown()
    schedule.stop()
    assert (row["job"], row["why"], row["outcome"]) == ("a", "because", "waiting")
    assert datetime.fromisoformat(row["next_at"]) > clock() + timedelta(minutes=4)


def test_no_job_waits_longer_than_its_interval_when_the_clock_is_set_back(state: State) -> None:
    set_by = timedelta(0)
    every = timedelta(hours=1)
    schedule = Schedule([Job("hourly", every, "why", lambda: 1, every)], state, lambda: clock() + set_by)
    schedule.start()

    def due() -> datetime:
        return datetime.fromisoformat(schedule.shown()[0]["next_at"])

    planned = due()
    schedule.follow_clock()
    assert due() == planned
    set_by = timedelta(minutes=20)
    schedule.follow_clock()
    assert due() == planned
    set_by = timedelta(minutes=-50)
    schedule.follow_clock()
    assert abs(due() - (clock() + set_by + every)) < timedelta(seconds=5)
    schedule.stop()


def test_job_runs_on_when_its_next_run_lies_an_hour_ahead_by_a_clock_that_was_set_back(state: State) -> None:
    ran = threading.Event()
    schedule = Schedule([Job("often", timedelta(milliseconds=50), "why", ran.set, timedelta(0))], state, clock)
    schedule.start()
    assert ran.wait(10)
    schedule._scheduler.get_job("often").modify(next_run_time=clock() + timedelta(hours=1))
    ran.clear()
    assert ran.wait(10)
    schedule.stop()


def test_flow_keeps_its_receipts_when_the_beat_runs_beside_it(line: Line) -> None:
    stop, faults = threading.Event(), []

    def beats() -> None:
        while not stop.is_set():
            try:
                flow.beat(line, NOON)
            except Exception as error:
                faults.append(error)

    beating = threading.Thread(target=beats)
    beating.start()
    try:
        for n in range(60):
            sensor = ("P1.p", "P2.p", "D1.in", "T1.level", "T1.out")[n % 5]
            row = csv_of([(sensor, NOON - timedelta(minutes=n), 5.0)])
            assert flow.take(line, [RawMessage(line.settings.feeds["network"], row, NOON)], NOON)[0].stored == 1
    finally:
        stop.set()
        beating.join()
    assert not faults
    assert not line.kpis.faults
    assert len(readings(line)) == 60
