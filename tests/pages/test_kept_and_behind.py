"""A crowd: pages that are kept, JSON that is written fast, and the process behind that makes what takes time."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dash_bootstrap_components as dbc
import httpx
import orjson
import pytest
import uvicorn
from dash import dcc, html

from components import menu
from components.asgi import Answer
from components.behind import CROWD, SAID_EVERY_S, WITHIN_S, Behind, Crowd
from components.drawing import Drawing
from components.first_paint import REST, to_html
from components.kept_pages import LONGEST_S, KeptPages
from components.lately import Lately
from pipelines.engine.line_client import private_socket
from tests.glass.fake_town import FakeTown
from tests.pages.conftest import Board

PATHS = (
    "/",
    "/transport",
    "/water",
    "/energy",
    "/pollution",
    "/grievances",
    "/feeds",
    "/exports",
    "/asset/WA-0003",
    "/no",
)


KINDS = {"dash_html_components": html, "dash_core_components": dcc, "dash_bootstrap_components": dbc}


def asked_by_menu(path: str, search: str = "") -> dict[str, Any]:
    """What a page's script posts when somebody follows the menu."""
    place = {"id": "_pages_location"}
    return {
        "output": menu.OUTPUT,
        "outputs": [{"id": "_pages_content", "property": "children"}, {"id": "_pages_store", "property": "data"}],
        "inputs": [{**place, "property": "pathname", "value": path}, {**place, "property": "search", "value": search}],
        "state": [], "changedPropIds": ["_pages_location.pathname"],
    }  # fmt: skip


def built(told: Any) -> Any:
    """What Dash's renderer makes of a piece of an answer."""
    if isinstance(told, list):
        return [built(one) for one in told]
    if not isinstance(told, dict):
        return told
    given = {name: built(value) if name == "children" else value for name, value in told["props"].items()}
    made = Drawing if told["type"] == "Drawing" else getattr(KINDS[told["namespace"]], told["type"])
    return made(**given)


def timeless(told: Any) -> str:
    """What the browser shows, without instants and ages: between two questions a second may end."""
    content = told["response"].pop("_pages_content")["children"]
    text = orjson.dumps(told).decode() + to_html(built(content)).replace(REST, "")
    return re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+|\b\d+ (s|min)\b|\d\d:\d\d:\d\d", "#", text)


# written fast --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", ["", "?ward=W1"])
def test_page_by_the_menu_is_what_dash_would_answer(town: FakeTown, search: str) -> None:
    async def both(client: httpx.AsyncClient, dash: httpx.AsyncClient, path: str) -> tuple[Any, Any]:
        ours, theirs = [
            await asked.post("/_dash-update-component", json=asked_by_menu(path, search)) for asked in (client, dash)
        ]
        assert (ours.status_code, theirs.status_code) == (200, 200), path
        assert ours.headers["content-type"].startswith("application/json")
        assert "content-security-policy" in ours.headers
        return timeless(ours.json()), timeless(theirs.json())

    async def run() -> None:
        board = Board(town)
        # Straight at Dash, past everything of ours.
        transport = httpx.ASGITransport(app=board.app.inner)  # type: ignore[arg-type]
        async with board as client, httpx.AsyncClient(transport=transport, base_url="http://board") as dash:
            for path in PATHS:
                ours, theirs = await both(client, dash, path)
                assert ours == theirs, path

    asyncio.run(run())


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"output": 3}', b'{"output": "x.children", "inputs": []}'])
def test_anything_else_that_is_posted_is_left_to_dash(body: bytes) -> None:
    assert menu.asked(body) is None


def test_what_is_no_piece_of_a_page_is_refused_rather_than_written() -> None:
    with pytest.raises(orjson.JSONEncodeError):
        menu.answer([object()], "x")


# kept ----------------------------------------------------------------------------------------------------------------


class Maker:
    """Makes pages that carry their number, and takes as long as it is told on a clock of its own."""

    def __init__(self) -> None:
        self.now, self.made, self.takes = 100.0, 0, 1.0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        await self.go.wait()
        self.now += self.takes
        return number


def kept(test: Callable[[KeptPages[int], Maker], Awaitable[None]]) -> None:
    async def run() -> None:
        maker = Maker()
        await test(KeptPages(lambda: maker.now), maker)

    asyncio.run(run())


def test_page_of_the_same_board_is_made_once() -> None:
    async def test(pages: KeptPages[int], make: Maker) -> None:
        assert [await pages.of("/", 7, make), await pages.of("/", 7, make)] == [1, 1]

    kept(test)


def test_page_is_fresh_for_whoever_asks_alone() -> None:
    async def test(pages: KeptPages[int], make: Maker) -> None:
        assert await pages.of("/", 7, make) == 1
        # It took a second, so it rests for two.
        make.now += 2.1
        assert await pages.of("/", 8, make) == 2

    kept(test)


def test_crowd_gets_the_kept_page_while_making_rests_but_none_that_is_old() -> None:
    async def test(pages: KeptPages[int], make: Maker) -> None:
        assert await pages.of("/", 7, make) == 1
        make.now += 1.9
        assert await pages.of("/", 8, make) == 1
        make.takes = 60.0
        assert await pages.of("/water", 8, make) == 2
        make.takes = 0.0
        make.now += LONGEST_S
        assert await pages.of("/", 8, make) == 3

    kept(test)


def test_many_who_ask_at_the_same_time_cost_one_making_even_when_the_first_goes_away() -> None:
    async def test(pages: KeptPages[int], make: Maker) -> None:
        make.go.clear()
        waiting = [asyncio.create_task(pages.of("/", 7, make)) for _ in range(50)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        make.go.set()
        assert await asyncio.gather(*waiting[1:]) == [1] * 49
        assert make.made == 1

    kept(test)


def test_page_that_could_not_be_made_is_tried_again() -> None:
    async def test(pages: KeptPages[int], make: Maker) -> None:
        async def fails() -> int:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await pages.of("/", 7, fails)
        assert await pages.of("/", 7, make) == 1

    kept(test)


def test_answer_that_many_threads_want_is_worked_out_by_one() -> None:
    lately: Lately[int] = Lately(60.0, 10)
    count = 0

    def work() -> int:
        nonlocal count
        count += 1
        return count

    async def run() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(lately.of, "x", work) for _ in range(20)))

    assert asyncio.run(run()) == [1] * 20


# behind --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(app: Any, path: Path) -> AsyncIterator[None]:
    """An application on a socket, as the process behind serves it."""
    config = uvicorn.Config(app, forwarded_allow_ips="*", log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve([private_socket(path)]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def scope_of(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"days=7",
        "scheme": "https", "client": ("192.0.2.7", 4711),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip


def behind_at(socket: Path) -> Behind:
    return Behind(socket, Crowd(socket.with_name("crowd")))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says who asks for what, in pieces."""
    body = (await receive())["body"]
    told = {"path": scope["path"], "query": scope["query_string"].decode(), "peer": scope["client"][0],
            "scheme": scope["scheme"], "body": body.decode(),
            "cookie": dict(scope["headers"]).get(b"cookie", b"").decode()}  # fmt: skip
    await send({"type": "http.response.start", "status": 418, "headers": [(b"x-kind", b"echo")]})
    for piece in (orjson.dumps(told), b"\n", b"end"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def test_request_is_answered_behind_with_who_asked_and_nobody_can_claim_to_be_another(tmp_path: Path) -> None:
    async def run() -> tuple[Answer | None, list[Any]]:
        behind, sent = behind_at(tmp_path / "pages.sock"), []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            await asyncio.Event().wait()

        async with served(echo, tmp_path / "pages.sock"):
            assert oct((tmp_path / "pages.sock").stat().st_mode & 0o777) == "0o600"
            forged = scope_of("/water", cookie="a=b", x_forwarded_for="203.0.113.1", connection="close")
            whole = await behind.whole({**forged, "method": "POST"}, b"body")
            assert await behind.serve(forged, receive, send)
            await behind.close()
        return whole, sent

    whole, sent = asyncio.run(run())
    assert whole is not None and whole.status == 418
    told = orjson.loads(whole.body.split(b"\n")[0])
    assert told == {"path": "/water", "query": "days=7", "peer": "192.0.2.7", "scheme": "https", "body": "body",
                    "cookie": "a=b"}  # fmt: skip
    assert sent[0]["status"] == 418 and (b"x-kind", b"echo") in sent[0]["headers"]
    assert b"".join(message["body"] for message in sent[1:]).endswith(b"\nend")
    assert "transfer-encoding" not in {name.decode() for name, _ in sent[0]["headers"]}


def test_cookie_that_one_visitor_is_given_goes_with_nobody_elses_question(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def sets(scope: Any, receive: Any, send: Any) -> None:
        heard.append(dict(scope["headers"]).get(b"cookie", b""))
        headers = [(b"set-cookie", b"townboard_lang=ur; Path=/")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> Answer | None:
        behind = behind_at(tmp_path / "pages.sock")
        async with served(sets, tmp_path / "pages.sock"):
            first = await behind.whole(scope_of("/water"), b"")
            await behind.whole(scope_of("/water"), b"")
            await behind.whole(scope_of("/water", cookie="townboard_lang=hi"), b"")
            await behind.close()
        return first

    first = asyncio.run(run())
    assert first is not None and first.header(b"set-cookie") == b"townboard_lang=ur; Path=/"
    assert heard == [b"", b"", b"townboard_lang=hi"]


def test_nobody_behind_means_that_the_process_answers_itself(town: FakeTown, tmp_path: Path) -> None:
    async def run() -> list[httpx.Response]:
        board = Board(town)
        board.app.behind = behind_at(tmp_path / "absent.sock")
        async with board as client:
            menu_asked = client.post("/_dash-update-component", json=asked_by_menu("/water"))
            return [await client.get("/water"), await menu_asked, await client.get("/council")]

    for answer in asyncio.run(run()):
        assert answer.status_code == 200


def test_pages_made_behind_are_kept_here_and_head_has_no_body(town: FakeTown, tmp_path: Path) -> None:
    asked: list[str] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        asked.append(f"{scope['method']} {scope['path']}")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<h1>made behind</h1>"})

    async def run() -> list[httpx.Response]:
        board = Board(town)
        board.app.behind = behind_at(tmp_path / "pages.sock")
        async with served(page, tmp_path / "pages.sock"), board as client:
            found = [await client.head("/water"), await client.get("/water"), await client.get("/water")]
            await board.app.behind.close()
        return found

    head, *pages = asyncio.run(run())
    assert (head.content, head.headers["content-length"]) == (b"", "20")
    assert [answer.text for answer in pages] == ["<h1>made behind</h1>"] * 2
    assert asked == ["GET /water"]


def test_crowd_is_told_once_so_many_ask_within_so_long_and_again_while_it_lasts(tmp_path: Path) -> None:
    mark, now = tmp_path / "crowd", [100.0]
    crowd = Crowd(mark, lambda: now[0])

    def come(people: int, within_s: float) -> bool:
        """Whether the mark was touched meanwhile."""
        mark.unlink(missing_ok=True)
        for _ in range(people):
            now[0] += within_s / people
            crowd.one_more()
        return mark.exists()

    assert not come(CROWD - 1, 1.0)
    assert not come(3, 3 * WITHIN_S)
    assert come(CROWD, WITHIN_S / 2)
    assert not come(10, 1.0)
    assert come(CROWD, SAID_EVERY_S)


def test_crowd_is_told_of_on_a_disk_that_takes_nothing_by_nobody(tmp_path: Path) -> None:
    crowd = Crowd(tmp_path / "absent" / "crowd", lambda: 5.0)
    for _ in range(2 * CROWD):
        crowd.one_more()
    assert not (tmp_path / "absent").exists()
