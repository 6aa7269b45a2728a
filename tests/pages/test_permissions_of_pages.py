"""The permission matrix of the pages: every address of the board and every callback of Dash, by everybody who may come."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components.outer import Outer
from components.web import build
from pipelines.engine.people import accounts, sessions
from pipelines.engine.people.roles import ROLES
from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.glass.serve import plain_api
from tests.pages.conftest import Board
from tests.pages.people import Client, at
from tests.pages.test_kept_and_behind import asked_by_menu

PICTURE = "pictures/water/balance"
COMERS = ("visitor", *ROLES, "expired", "disabled", "limited")
# o = shown or done, > = sent on to sign in or back, 1 = sign in (401), 3 = may not (403), 2 = asked wrongly (422), and
# only of those who may ask at all, 4 = there is none, 5 = not sent to (405). Visitors are shown what is public on a page; that is tested with each page.
#                                 vis vie cou ope cle adm exp dis lim
MATRIX = {
    ("GET", "signin"):            " o   o   o   o   o   o   o   o   o",
    ("POST", "signin"):           " 3   3   3   3   3   3   3   3   3",  # without a name and password, whoever it is
    ("GET", "signin/code"):       " o   o   o   o   o   o   o   o   o",
    ("POST", "signin/code"):      " 3   3   3   3   3   3   3   3   3",  # without a code
    ("GET", "signout"):           " >   >   >   >   >   >   >   >   >",
    ("GET", "account"):           " >   o   o   o   o   o   >   >   o",
    ("POST", "account"):          " >   3   3   3   3   3   >   >   3",  # with a wrong password
    ("GET", "account/end"):       " >   >   >   >   >   >   >   >   >",
    ("POST", "account/end"):      " >   2   2   2   2   2   >   >   2",  # of a session that is none
    ("GET", "signin/second"):     " >   >   >   >   >   >   >   >   >",
    ("POST", "signin/second"):    " >   2   2   2   2   2   >   >   2",  # of a second factor that is none
    ("GET", "signin/openid"):     " 4   4   4   4   4   4   4   4   4",  # where the town has none
    ("POST", "signin/openid"):    " 5   5   5   5   5   5   5   5   5",
    ("GET", "signin/openid/back"): " 4  4   4   4   4   4   4   4   4",
    ("POST", "signin/openid/back"): " 5  5   5   5   5   5   5   5   5",
    ("GET", "account/second"):    " >   o   o   o   o   o   >   >   o",
    ("POST", "account/second"):   " >   2   2   2   2   2   >   >   2",
    ("GET", "accounts"):          " o   o   o   o   o   o   o   o   o",
    ("POST", "accounts"):         " 1   3   3   3   3   2   1   1   3",  # something that is none
    ("GET", "tokens"):            " o   o   o   o   o   o   o   o   o",
    ("POST", "tokens"):           " 1   3   3   3   2   2   1   1   3",  # something that is none
    ("GET", "account/audit.csv"): " 1   3   3   3   3   o   1   1   3",
    ("POST", "account/audit.csv"): " >   >   >   >   >   >   >   >   >",
    ("GET", "alarms"):            " o   o   o   o   o   o   o   o   o",
    ("POST", "alarms"):           " 1   3   3   >   >   >   1   1   >",
    ("GET", "alarms.csv"):        " o   o   o   o   o   o   o   o   o",
    ("POST", "alarms.csv"):       " 5   5   5   5   5   5   5   5   5",
    ("GET", "shift"):             " o   o   o   o   o   o   o   o   o",
    ("POST", "shift"):            " 1   3   3   >   >   >   1   1   3",
    ("GET", "news"):              " o   o   o   o   o   o   o   o   o",
    ("POST", "news"):             " 1   3   3   3   3   >   1   1   3",
    ("GET", "rules"):             " o   o   o   o   o   o   o   o   o",
    ("POST", "rules"):            " 1   3   3   2   2   2   1   1   3",  # of a rule without anything in it
    ("GET", "messages"):          " o   o   o   o   o   o   o   o   o",
    ("POST", "messages"):         " 1   3   3   2   2   2   1   1   3",  # of a channel that is none
    ("GET", "messages.csv"):      " 1   3   3   o   o   o   1   1   3",
    ("POST", "messages.csv"):     " 5   5   5   5   5   5   5   5   5",
    ("GET", "alarms/who"):        " 1   o   o   o   o   o   1   1   o",
    ("POST", "alarms/who"):       " 5   5   5   5   5   5   5   5   5",
    ("GET", "wall"):              " o   o   o   o   o   o   o   o   o",
    ("POST", "wall"):             " 5   5   5   5   5   5   5   5   5",
    ("GET", "wall/shift"):        " o   o   o   o   o   o   o   o   o",
    ("POST", "wall/shift"):       " 5   5   5   5   5   5   5   5   5",
    ("GET", "council"):           " o   o   o   o   o   o   o   o   o",
    ("POST", "council"):          " 5   5   5   5   5   5   5   5   5",
    ("GET", "council/report"):    " >   >   >   >   >   >   >   >   >",  # to the last month that is over
    ("POST", "council/report"):   " 5   5   5   5   5   5   5   5   5",
    ("GET", "exports/views"):     " >   >   >   >   >   >   >   >   >",  # to the page itself
    ("POST", "exports/views"):    " 1   2   2   2   2   2   1   1   2",  # without a name
    ("GET", "shift/report"):      " 1   >   >   >   >   >   1   1   1",
    ("POST", "shift/report"):     " 5   5   5   5   5   5   5   5   5",
    ("GET", "public"):            " o   o   o   o   o   o   o   o   o",
    ("POST", "public"):           " 5   5   5   5   5   5   5   5   5",
    ("GET", "public/data"):       " o   o   o   o   o   o   o   o   o",
    ("POST", "public/data"):      " 5   5   5   5   5   5   5   5   5",
    ("GET", "public/request"):    " o   o   o   o   o   o   o   o   o",
    ("POST", "public/request"):   " 5   5   5   5   5   5   5   5   5",
    ("GET", "public/file"):       " o   o   o   o   o   o   o   o   o",
    ("POST", "public/file"):      " 2   2   2   2   2   2   2   2   2",  # in a town that takes no requests
    ("GET", "public/filed"):      " o   o   o   o   o   o   o   o   o",
    ("POST", "public/filed"):     " 5   5   5   5   5   5   5   5   5",
    ("GET", "cases"):             " o   o   o   o   o   o   o   o   o",
    ("POST", "cases"):            " 5   5   5   5   5   5   5   5   5",
    ("GET", "cases/new"):         " o   o   o   o   o   o   o   o   o",
    ("POST", "cases/new"):        " 1   3   3   2   2   2   1   1   2",  # without a word of what it is about
    ("GET", "cases/case"):        " o   o   o   4   4   4   o   o   4",  # of no number
    ("POST", "cases/case"):       " 1   3   3   2   2   2   1   1   2",
    ("GET", "cases/picture"):     " 1   3   3   4   4   4   1   1   4",
    ("POST", "cases/picture"):    " 5   5   5   5   5   5   5   5   5",
    ("GET", PICTURE):             " o   o   o   o   o   o   o   o   o",
    ("POST", PICTURE):            " 5   5   5   5   5   5   5   5   5",
    ("POST", "signout"):          " >   >   >   >   >   >   >   >   >",
}  # fmt: skip
STATUS = {"o": 200, ">": 303, "1": 401, "2": 422, "3": 403, "4": 404, "5": 405}
GIVEN = {"do": "comment", "id": "a1", "comment.comment": "x", "which": "0" * 12, "words": "x"}
# Callbacks of Dash that were looked at: all of them read what every visitor may see. A further one is to be looked at,
# and asks Town with `visitor.current().actor` when it changes anything or shows what is not public.
CALLBACKS_THAT_READ = {
    "_pages_dummy.children",
    ".._pages_content.children..._pages_store.data..",
    "..assets-table.children...assets-ask.data..",
    "..exports-preview.children...exports-ward.disabled...exports-from.disabled...exports-to.disabled..",
}


def secrets(door: Doorstep) -> dict[str, str]:
    """A session for each comer; two of them are over."""
    door.now = datetime.now(UTC)
    found = {"visitor": ""}
    for name in ROLES:
        found[name] = door.add(name, name)
    found["disabled"] = door.add("disabled", "admin")
    accounts.disable(door.path, "disabled", door.now, by="test")
    accounts.add(door.path, "expired", "admin", door.now - timedelta(days=1), by="test")
    found["expired"] = sessions.secret()
    key, long_ago = accounts.digest(found["expired"]), door.now - sessions.IDLE
    sessions.begin(door.path, key, "expired", long_ago, agent="", peer="")
    # An operator of one ward.
    code = accounts.add(door.path, "limited", "operator", door.now, by="test", wards=["W01"])
    found["limited"] = door.redeem(code)
    return found


def test_every_address_answers_every_comer_as_the_table_says(town: FakeTown, door: Doorstep, monkeypatch: Any) -> None:
    from pipelines.engine.people import patience

    # All of them come from one address here.
    monkeypatch.setattr(patience, "MOST_WRONG", 1_000)
    came = secrets(door)

    async def does(client: Client) -> dict[tuple[str, str], list[int]]:
        found = {}
        for method, path in MATRIX:
            answers = []
            for name in COMERS:
                visit = door.visit(came[name])
                headers = {"cookie": f"{door.porter.cookie}={came[name]}", "x-form-token": visit.form_token}
                data = GIVEN if method == "POST" else None
                answers.append((await client.request(method, f"/{path}", data=data, headers=headers)).status_code)
            found[method, path] = answers
        return found

    expected = {asked: [STATUS[mark] for mark in marks.split()] for asked, marks in MATRIX.items()}
    assert at(town, door, does) == expected


def test_table_names_every_plain_address_with_both_ways_to_ask(town: FakeTown) -> None:
    outer: Outer = build(town, plain_api)  # type: ignore[arg-type]
    # All pictures go by one way; one of them stands for them.
    known = {path for path in outer.plain if not path.startswith("pictures/")} | {PICTURE}
    assert {path for _, path in MATRIX} == known
    assert {(method, path) for path in known for method in ("GET", "POST")} == set(MATRIX)


# What each comer sees who posts a callback by hand: p = what is public, g = also what is guarded.
#                         vis vie cou ope cle adm exp dis lim
SEEN = {
    "the page Feeds":     " p   g   g   g   g   g   p   p   p",  # rows set aside belong to no ward
    "a guarded table":    " p   g   g   g   g   g   p   p   p",
    "a table of all":     " g   g   g   g   g   g   g   g   g",
    "assets":             " g   g   g   g   g   g   g   g   g",
    "another page":       " g   g   g   g   g   g   g   g   g",
}  # fmt: skip
GUARDED_TEXT = {"the page Feeds": "4,300 % is above", "a guarded table": "billed_m3", "a table of all": "billed_m3",
                "assets": "WA-0003", "another page": "Pressure"}  # fmt: skip


def called(output: str, inputs: dict[str, Any], state: dict[str, Any] | None = None) -> dict[str, Any]:
    """A callback as somebody posts it by hand."""
    parts = [one.split(".") for one in output.strip(".").split("...")]
    return {
        "output": output, "outputs": [{"id": id, "property": name} for id, name in parts],
        "inputs": [{"id": id, "property": name, "value": value} for (id, name), value in listed(inputs)],
        "state": [{"id": id, "property": name, "value": value} for (id, name), value in listed(state or {})],
        "changedPropIds": [next(iter(inputs))],
    }  # fmt: skip


def listed(given: dict[str, Any]) -> list[tuple[list[str], Any]]:
    return [(name.split("."), value) for name, value in given.items()]


def calls() -> dict[str, dict[str, Any]]:
    preview = next(one for one in CALLBACKS_THAT_READ if "exports" in one)
    picked = {"exports-ward.value": "all", "exports-from.value": "2026-11-01", "exports-to.value": "2026-11-20"}
    table = called(preview, {"exports-table.value": "water_bills", **picked, "exports-format.value": "csv"})
    assets = called(
        next(one for one in CALLBACKS_THAT_READ if "assets" in one),
        {"assets-search.value": "WA-0003", "assets-kind.value": "all", "assets-state.value": "all",
         "assets-size.value": "25", "assets-previous.n_clicks": None, "assets-next.n_clicks": None},
        {"assets-ask.data": {"sort": "name", "falling": False, "page": 0}, "assets-domain.data": "water"},
    )  # fmt: skip
    assets["inputs"].append([])
    pages = {"the page Feeds": asked_by_menu("/feeds"), "another page": asked_by_menu("/water")}
    return {**pages, "a guarded table": table, "a table of all": table, "assets": assets}


@pytest.mark.parametrize("what", SEEN)
def test_callback_posted_by_hand_shows_every_comer_what_the_table_says(
    town: FakeTown, door: Doorstep, what: str
) -> None:
    came, asked = secrets(door), calls()[what]
    if what == "a guarded table":
        town.domains = tuple(
            replace(one, tables=tuple(replace(table, guarded=True) for table in one.tables)) for one in town.domains
        )

    async def does(client: Client) -> str:
        found = []
        for name in COMERS:
            headers = {"cookie": f"{door.porter.cookie}={came[name]}"}
            told = await client.post("/_dash-update-component", json=asked, headers=headers)
            assert told.status_code == 200, (name, told.text[:300])
            found.append("g" if GUARDED_TEXT[what] in told.text else "p")
        return " ".join(found)

    assert at(town, door, does).split() == SEEN[what].split()


CROOKED = (
    b"", b"{", b"[]", b"null", b"{}", b'{"output": "x.y"}', b'{"output": 5, "inputs": {}}', b"[" * 4_000,
    b'{"output": "exports-preview.children", "inputs": []}', b'\xff\xfe{"output"',
    b'{"output": ".._pages_content.children..._pages_store.data..", "inputs": [{"id": "__proto__"}]}',
)  # fmt: skip


def test_crooked_callbacks_tell_nothing_of_the_inside_and_the_service_goes_on(
    town: FakeTown, door: Doorstep, caplog: pytest.LogCaptureFixture
) -> None:
    async def does(client: Client) -> list[tuple[int, str]]:
        found = []
        for body in CROOKED:
            kind = {"content-type": "application/json"}
            told = await client.post("/_dash-update-component", content=body, headers=kind)
            found.append((told.status_code, told.text))
        assert (await client.get("/water")).status_code == 200
        return found

    for body, (status, text) in zip(CROOKED, at(town, door, does), strict=True):
        assert 400 <= status < 600, body
        assert "Traceback" not in text and "site-packages" not in text and "/components/" not in text, body


def test_every_callback_of_dash_was_looked_at(town: FakeTown) -> None:
    async def known() -> set[str]:
        board = Board(town)
        async with board:
            return set(board.app.dash.callback_map)

    assert asyncio.run(known()) == CALLBACKS_THAT_READ
