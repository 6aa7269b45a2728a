"""Polling a real local server: what it may answer, and what the clerk is told."""

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine.errors import SourceDown
from pipelines.engine.intake import Busy
from pipelines.engine.service import Service
from pipelines.engine.settings import Feed
from pipelines.engine.sources.poll import LONGEST_PAUSE, Poll
from tests.engine import small_town
from tests.engine.small_town import NOON, beat, csv_of, make, readings

T0 = datetime(2026, 3, 10, tzinfo=UTC)
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A server that answers as it is told and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = plain(200, b"")
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                try:
                    outer.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/feed"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.release.set()
        self.http.shutdown()
        self.http.server_close()


def plain(status: int, body: bytes, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def feed_of(server: Server, **changed: Any) -> Feed:
    values = {"name": "f", "title": "Feed", "origin": "poll", "format": "csv", "table": "readings", "zone": "UTC"}
    return Feed(**{**values, "every": timedelta(seconds=30), "url": server.url, "timeout_s": 5.0, **changed})  # type: ignore[arg-type]


def still() -> datetime:
    return T0


def down(poll: Poll, clock: Callable[[], datetime] = still) -> str:
    with pytest.raises(SourceDown) as caught:
        poll.fetch(T0, clock)
    return str(caught.value)


def test_payload_is_fetched_and_its_marks_are_sent_back(server: Server) -> None:
    server.answer = plain(200, b"a,b\n", ETag='"v1"', Last_Modified="Tue, 10 Mar 2026 00:00:00 GMT")
    poll = Poll(feed_of(server, headers={"X-Key": "secret"}), {})
    assert poll.fetch(T0, still) == b"a,b\n"
    server.answer = plain(304, b"")
    assert poll.fetch(T0, still) is None
    path, headers = server.asked[1]
    assert (path, headers["if-none-match"], headers["if-modified-since"]) == (
        "/feed",
        '"v1"',
        "Tue, 10 Mar 2026 00:00:00 GMT",
    )
    assert (headers["x-key"], headers["user-agent"]) == ("secret", "Townboard")
    assert poll.failures == 0
    poll.close()


@pytest.mark.parametrize("status", [500, 404, 403, 204])
def test_other_answer_than_data_is_told_in_words(server: Server, status: int) -> None:
    server.answer = plain(status, b"" if status == 204 else b"<html>Sorry</html>")
    poll = Poll(feed_of(server), {})
    words = down(poll)
    assert f"answered {status}" in words
    assert words.startswith(f"127.0.0.1:{server.http.server_address[1]} answered")
    poll.close()


def test_server_that_does_not_answer_is_left_after_the_time_out(server: Server) -> None:
    server.answer = lambda request: server.release.wait(10) and None
    poll = Poll(feed_of(server, timeout_s=0.2), {})
    assert "did not answer within 0.2 seconds" in down(poll)
    poll.close()


@pytest.mark.parametrize("port", ["", "1", "none"])
def test_words_never_hold_the_address_whose_query_may_be_a_key(server: Server, port: str) -> None:
    server.answer = plain(500, b"")
    place = f"127.0.0.1:{port or server.http.server_address[1]}"
    poll = Poll(feed_of(server, url=f"http://someone:pass@{place}/feed?key=secret"), {})
    words = down(poll)
    assert not any(part in words for part in ("someone", "pass", "/feed", "key", "secret"))
    poll.close()


def test_nobody_at_the_address_is_told_in_words(server: Server) -> None:
    poll = Poll(feed_of(server, url="http://127.0.0.1:1/feed"), {})
    assert "cannot be reached" in down(poll)
    poll.close()


def chunks(server: Server, size: int, count: int | None) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        sent = 0
        while (count is None or sent < count) and not server.release.is_set():
            request.wfile.write(b"x" * size)
            request.wfile.flush()
            sent += 1
        server.release.wait(10)

    return answer


def test_endless_body_is_cut_at_the_size_the_feed_allows(server: Server) -> None:
    server.answer = chunks(server, 50_000, None)
    poll = Poll(feed_of(server, max_mb=0.3), {})
    words = down(poll)
    assert "more than 0.3 MB" in words
    assert "max_mb" in words
    poll.close()


def test_body_that_trickles_in_is_left_when_its_time_is_over(server: Server) -> None:
    server.answer = chunks(server, 10, 1)
    poll = Poll(feed_of(server, timeout_s=3.0), {})
    moments = iter([T0, T0 + timedelta(seconds=9.1)])
    assert "still sending after 9 seconds" in down(poll, lambda: next(moments))
    poll.close()


def test_garbled_compression_is_told_in_words(server: Server) -> None:
    server.answer = plain(200, b"no gzip at all", Content_Encoding="gzip")
    poll = Poll(feed_of(server), {})
    assert "cannot be reached" in down(poll)
    poll.close()


def test_pauses_double_with_jitter_and_end_with_a_success(server: Server) -> None:
    server.answer = plain(500, b"")
    poll = Poll(feed_of(server), {}, random.Random(1))
    pauses = []
    for _ in range(12):
        down(poll)
        assert poll.not_before is not None
        pauses.append((poll.not_before - T0).total_seconds())
        assert poll.waits(poll.not_before - timedelta(microseconds=1))
        assert not poll.waits(poll.not_before)
    for number, pause in enumerate(pauses):
        full = min(30 * 2 ** min(number, 6), LONGEST_PAUSE.total_seconds())
        assert full / 2 <= pause <= full
    assert len(set(pauses)) == 12
    server.answer = plain(200, b"")
    poll.fetch(T0, still)
    assert (poll.failures, poll.waits(T0)) == (0, False)
    poll.close()


def test_address_may_ask_for_what_came_since(server: Server) -> None:
    poll = Poll(feed_of(server, url=server.url + "?start_date={since}"), {})
    poll.fetch(T0, still)
    assert server.asked[0][0] == "/feed?start_date=2025-12-10T00:00:00Z"
    poll.close()


# the line's own use of it ------------------------------------------------------------------------------------------


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def polled(server: Server, tmp_path: Path) -> Iterator[tuple[Service, Callable[[], int | None], Clock]]:
    text = small_town.TOWN.format(zone="UTC", domains='["water", "grievances"]').replace(
        'from = "drop_folder"', f'from = "poll"\nurl = "{server.url}"\nevery = "1 min"'
    )
    clock = Clock()
    line = small_town.open_line(make(tmp_path / "town", text), NOON, frozenset({"pressure_compliance"}))
    service = Service(line, clock, [])
    service.intake.start()
    work = service.schedule._jobs["poll network"].work

    def booked() -> int | None:
        # A payload is answered for when it is durable; the line books it before it lets go of the lock.
        rows = work()
        with service.line.writing:
            return rows

    yield service, booked, clock
    service.intake.stop()
    for poll in service._polls:
        poll.close()
    line.close()


def test_html_instead_of_data_is_set_aside_and_shown_as_failing(server: Server, polled: Any) -> None:
    service, work, clock = polled
    server.answer = plain(200, b"<html><body>Please log in</body></html>", ETag='"page"')
    work()
    state = service.line.feeds.states["network"]
    assert (state.state(clock.now), state.counts["quarantined"]) == ("failing", 1)
    assert "last attempt failed" in state.words(clock.now)
    kept = service.line.store.rows("quarantine")
    assert bytes(kept["original"][0]) == b"<html><body>Please log in</body></html>"
    # The page's mark is not kept: the same address must be asked in full again.
    server.answer = plain(200, csv_of([("P1.p", NOON, 20.0)]))
    work()
    assert "if-none-match" not in server.asked[-1][1]
    assert readings(service.line) == [("P1.p", NOON, 20.0)]
    assert state.state(clock.now) == "live"


def test_unchanged_answer_keeps_the_feed_alive(server: Server, polled: Any) -> None:
    service, work, clock = polled
    server.answer = plain(200, csv_of([("P1.p", NOON, 20.0)]), ETag='"v1"')
    work()
    server.answer = plain(304, b"")
    for _ in range(20):
        clock.now += timedelta(minutes=1)
        work()
    state = service.line.feeds.states["network"]
    assert state.state(clock.now) == "live"
    assert state.counts["stored"] == 1


def test_payload_that_was_not_kept_is_asked_for_again(
    server: Server, polled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, work, _ = polled
    server.answer = plain(200, csv_of([("P1.p", NOON, 20.0)]), ETag='"v1"')

    def busy(_: object) -> None:
        raise Busy("too much is waiting")

    with monkeypatch.context() as broken:
        broken.setattr(service.intake, "submit", busy)
        with pytest.raises(SourceDown, match="too much"):
            work()
    work()
    assert "if-none-match" not in server.asked[-1][1]
    assert readings(service.line) == [("P1.p", NOON, 20.0)]


def test_failing_feed_is_on_record_and_waits_before_it_is_asked_again(server: Server, polled: Any) -> None:
    service, work, clock = polled
    server.answer = plain(500, b"")
    with pytest.raises(SourceDown):
        work()
    assert work() is None
    assert len(server.asked) == 1
    arrivals = service.line.store.rows("arrivals")
    assert arrivals.select("outcome", "rows" if "rows" in arrivals.columns else "decoded").rows() == [("failed", 0)]
    assert "answered 500" in arrivals["words"][0]
    clock.now += timedelta(minutes=2)
    with pytest.raises(SourceDown):
        work()
    board = beat(service.line, clock.now)
    assert board["feeds"]["network"]["state"] == "failing"
    assert "answered 500" in board["feeds"]["network"]["words"]


def test_feed_settings_reach_the_poll(server: Server) -> None:
    feed = replace(feed_of(server), timeout_s=7.0)
    poll = Poll(feed, {"etag": '"x"'})
    assert poll._client.timeout.read == 7.0
    poll.fetch(T0, still)
    assert server.asked[0][1]["if-none-match"] == '"x"'
    poll.close()
