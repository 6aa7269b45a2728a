"""The alarm console as a browser without scripts uses it: what is shown, what is done, by whom, and what is refused."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from components import console_view, glass
from components.console_view import ConsoleView
from pipelines.engine.alarms import desk
from pipelines.engine.alarms.desk import Deed
from pipelines.engine.alarms.lifecycle import Event
from pipelines.engine.alarms.record import Alarm
from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.pages.people import Client, at, token_in


@pytest.fixture
def operator(town: FakeTown, door: Doorstep) -> Any:
    """Somebody signed in as asha, an operator; gives a way to do things at the board as her."""
    door.now = datetime.now(UTC)
    secret = door.add("asha", "operator")
    door.add("ravi", "operator")

    def does(work: Any, **more: Any) -> Any:
        async def signed_in(client: Client) -> Any:
            client.cookies.set(door.porter.cookie, secret)
            client.headers["x-form-token"] = door.visit(secret).form_token
            return await work(client)

        return at(town, door, signed_in, **more)

    return does


def listed(page: str) -> list[str]:
    return re.findall(r'<li class="c-row" data-alarm="([^"]+)"', page)


def states(town: FakeTown) -> dict[str, str]:
    return {row["id"]: row["state"] for row in town.alarms.shown()}


def refresh(town: FakeTown) -> None:
    town.beat((town.board().seq if town.board() else 0) + 1)  # type: ignore[union-attr]


# what is shown --------------------------------------------------------------------------------------------------------


def test_who_did_what_is_asked_for_by_those_with_a_role_alone(town: FakeTown, door: Doorstep, operator: Any) -> None:
    async def does(client: Client) -> tuple[httpx.Response, httpx.Response]:
        return await client.get("/alarms/who"), await client.get("/alarms?show=all&alarm=a1")

    desk.do(town.alarms.book, "a1", Deed("acknowledge", "asha", owner="ravi"), datetime.now(UTC))
    refresh(town)
    who, page = operator(does)
    assert who.json()["a1"] == {"acknowledged_by": "asha", "owner": "ravi"}
    assert "acknowledged, ravi sees to it" in page.text and "data-who" in page.text
    closed, visited = at(town, door, does)
    # A head holds rules of style, and "dasharray" a name.
    shown = visited.text.partition("</head>")[2]
    assert closed.status_code == 401 and shown and not any(name in shown for name in ("ravi", "asha"))


def test_visitor_sees_the_list_and_no_form_names_or_history(town: FakeTown, door: Doorstep) -> None:
    async def does(client: Client) -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        return (
            await client.get("/alarms?alarm=a1"), await client.get("/alarms?show=history"), await client.get("/alarms.csv?show=history"),
        )  # fmt: skip

    page, history, rows = at(town, door, does)
    assert listed(page.text) == ["a1", "a2", "a3", "a4"]
    assert 'id="act"' not in page.text and 'href="/signin?next=' in page.text
    assert "shown to those who sign in" in page.text
    assert "to see who did what" in history.text and "rang" not in history.text
    assert rows.status_code == 401 and "sign in" in rows.text


def test_row_says_priority_place_since_value_against_limit_state_and_what_to_do(town: FakeTown, door: Doorstep) -> None:
    async def does(client: Client) -> str:
        return (await client.get("/alarms")).text

    page = at(town, door, does)
    row = re.search(r'<li class="c-row" data-alarm="a1".*?</li>', page, re.S)
    assert row
    words = " ".join(re.sub(r"<[^>]+>", " ", row[0]).split())
    assert words.startswith("Critical Pressure below the minimum Pressure point 3 , Brickfields since ")
    assert "3.20 m of head, limit 7 not acknowledged Check pump 2 at the Mill Lane station" in words


VIEWS = {
    "": ["a1", "a2", "a3", "a4"],
    "show=unacknowledged": ["a1", "a2", "a3", "a4"],
    "show=all": ["a1", "a2", "a3", "a4", "a5", "a6"],
    "show=aside": ["a5"],
    "show=mine": [],
    "priority=high": ["a2"],
    "domain=water": ["a1"],
    "ward=W12&priority=critical": ["a1"],
    "q=PRESSURE+point": ["a1"],
    "q=brickf": ["a1"],
    "q=nothing": [],
    "show=nonsense&priority=none&ward=W99&domain=x": ["a1", "a2", "a3", "a4"],
}


def test_view_in_the_address_decides_what_is_shown_and_the_csv_holds_exactly_that(
    town: FakeTown, door: Doorstep
) -> None:
    now, book = datetime.now(UTC), town.alarms.book
    for id in ("a5", "a6"):
        town.alarms.ring(
            Alarm(id=id, rule="r", title="Tank low", domain="energy", priority="low", area="town", since=now)
        )
    book.happen("a5", Event.SHELVE, now, who="ravi", until=now + timedelta(hours=1), by="ravi", reason="x")
    book.happen("a6", Event.ACKNOWLEDGE, now, who="ravi")
    book.happen("a6", Event.RETURN, now, who="process", returned_at=now)
    refresh(town)

    async def does(client: Client) -> list[tuple[str, str]]:
        return [((await client.get(f"/alarms?{q}")).text, (await client.get(f"/alarms.csv?{q}")).text) for q in VIEWS]

    for (query, expected), (page, text) in zip(VIEWS.items(), at(town, door, does), strict=True):
        rows = list(csv.DictReader(io.StringIO(text)))
        assert listed(page) == [row["id"] for row in rows] == expected, query
        assert ('data-f="console-empty" hidden' in page) == bool(expected), query


def test_link_to_the_csv_carries_the_view(town: FakeTown, operator: Any) -> None:
    async def does(client: Client) -> str:
        return (await client.get("/town/alarms?show=all&priority=high&q=x&alarm=a1")).text

    assert 'href="/town/alarms.csv?show=all&amp;priority=high&amp;q=x"' in operator(does, prefix="/town/")


def test_opened_alarm_tells_cause_consequences_and_what_happened(town: FakeTown, operator: Any) -> None:
    now = datetime.now(UTC)
    cause = Alarm(id="p1", rule="r", title="Feeder down", domain="energy", priority="high", area="town", since=now)
    town.alarms.ring(cause)
    for n in (1, 2):
        down = Alarm(
            id=f"d{n}", rule="r", title=f"Pump {n} stopped", domain="water", priority="medium", area="town", since=now
        )
        town.alarms.book.rise(down, now, who="process", aside=(Event.SUPPRESS, "suppression", "explained", "p1"))
    town.alarms.keep()
    refresh(town)

    async def does(client: Client) -> tuple[str, str]:
        return (await client.get("/alarms?alarm=p1")).text, (await client.get("/alarms?show=aside&alarm=d1")).text

    opened, explained = operator(does)
    assert "It explains 2 alarms" in opened and "Pump 1 stopped" in opened and "Pump 2 stopped" in opened
    assert re.search(r"Likely cause</h3><p><a [^>]+>Feeder down", explained)
    assert "suppressed</b> by suppression" in explained


def test_words_that_people_typed_cannot_become_markup(town: FakeTown, operator: Any) -> None:
    evil = '<img src=x onerror="alert(1)">'

    async def does(client: Client) -> str:
        await client.post("/alarms", data={"do": "comment", "id": "a1", "comment.comment": evil})
        refresh(town)
        return (await client.get("/alarms?alarm=a1&q=" + evil)).text + (await client.get("/alarms?show=history")).text

    page = operator(does)
    assert "<img src=x" not in page and "&lt;img src=x" in page


def test_shelving_that_ends_within_a_quarter_of_an_hour_is_announced(town: FakeTown) -> None:
    glass.bind(town, "/")  # type: ignore[arg-type]
    now = datetime.now(UTC)
    town.alarms.book.happen(
        "a1", Event.SHELVE, now, who="asha", until=now + timedelta(minutes=16), by="asha", reason="x"
    )
    town.alarms.book.happen(
        "a2", Event.SHELVE, now, who="asha", until=now + timedelta(minutes=14), by="asha", reason="x"
    )
    shown = town.alarms.shown()
    assert [a["id"] for a in console_view.ending(shown, now)] == ["a2"]
    assert [a["id"] for a in console_view.ending(shown, now + timedelta(minutes=2))] == ["a2", "a1"]


# what is done ---------------------------------------------------------------------------------------------------------


def test_one_or_many_are_acknowledged_with_owner_review_and_name(town: FakeTown, operator: Any) -> None:
    async def does(client: Client) -> tuple[httpx.Response, str]:
        token = token_in((await client.get("/alarms?ward=W12")).text)
        del client.headers["x-form-token"]
        given = {"form_token": token, "do": "acknowledge", "id": ["a1", "a2"], "view": "ward=W12&priority=critical",
                 "acknowledge.owner": "ravi", "acknowledge.review_at": "60", "acknowledge.comment": "crew is on its way"}  # fmt: skip
        answer = await client.post("/alarms", data=given)
        refresh(town)
        return answer, (await client.get(answer.headers["location"])).text

    answer, page = operator(does)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/alarms?priority=critical&ward=W12&did=acknowledge&n=2"
    assert "Acknowledged 2 alarms." in page and "acknowledged, ravi sees to it" in page
    for id in ("a1", "a2"):
        alarm = town.alarms.book.alarms[id]
        assert (alarm.acknowledged_by, alarm.owner, alarm.comment) == ("asha", "ravi", "crew is on its way")
        assert alarm.review_at and timedelta(minutes=59) < alarm.review_at - datetime.now(UTC) <= timedelta(hours=1)
    assert states(town)["a3"] == "unacknowledged"


@pytest.mark.parametrize(
    ("given", "state", "words"),
    [
        ({"do": "shelve", "shelve.reason": "pump is changed", "shelve.until": "240"}, "shelved", "Shelved 1 alarm."),
        ({"do": "assign", "assign.owner": "ravi"}, "unacknowledged", "Assigned 1 alarm."),
        ({"do": "comment", "comment.comment": "seen"}, "unacknowledged", "Commented on 1 alarm."),
        ({"do": "out-of-service", "out-of-service.reason": "maintenance"}, "out_of_service", "Taken out of service: 1 alarm."),
    ],
)  # fmt: skip
def test_action_is_done_in_the_name_of_whoever_is_signed_in(
    town: FakeTown, operator: Any, given: dict[str, str], state: str, words: str
) -> None:
    async def does(client: Client) -> dict[str, Any]:
        answer = await client.post("/alarms", data={"id": "a1", **given}, headers={"accept": "application/json"})
        return {"status": answer.status_code, **answer.json()}

    assert operator(does) == {"status": 200, "words": words, "refused": False}
    assert states(town)["a1"] == state
    assert town.alarms._kept.log[-1].who == "asha"


def test_put_aside_comes_back_by_hand(town: FakeTown, operator: Any) -> None:
    async def does(client: Client) -> list[int]:
        found = []
        for given in (
            {"do": "shelve", "shelve.reason": "x", "shelve.until": "15"}, {"do": "unshelve"},
            {"do": "out-of-service", "out-of-service.reason": "x"}, {"do": "return-to-service"},
        ):  # fmt: skip
            found.append((await client.post("/alarms", data={"id": "a1", **given})).status_code)
        return found

    assert operator(does) == [303] * 4
    assert states(town)["a1"] == "unacknowledged"


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"do": "shelve", "shelve.until": "60", "id": "a1"}, 422, "`reason` is missing"),
        ({"do": "shelve", "shelve.reason": "because", "shelve.until": "soon", "id": "a1"}, 422, "is no time"),
        ({"do": "acknowledge"}, 422, "No alarm is chosen"),
        ({"do": "explode", "id": "a1"}, 422, "action is unknown"),
        ({"do": "unshelve", "id": "a1"}, 409, "Pressure below the minimum. The alarm is not acknowledged"),
        ({"do": "acknowledge", "id": "gone"}, 409, "There is no alarm `gone`"),
        ({"do": "acknowledge", "id": ["a1", "gone", "gone too"]}, 200, "Acknowledged 1 alarm. Refused: gone."),
    ],
)  # fmt: skip
def test_refusal_is_said_in_words_and_what_was_typed_stays(
    town: FakeTown, operator: Any, given: dict[str, Any], status: int, words: str
) -> None:
    async def does(client: Client) -> httpx.Response:
        return await client.post("/alarms", data=given)

    answer = operator(does)
    assert answer.status_code == status
    assert words in answer.text
    if given.get("shelve.reason"):
        assert 'value="because"' in answer.text
    if given.get("id") == "a1":
        assert re.search(r'value="a1"[^>]* checked', answer.text)


def test_line_that_is_away_is_said_and_nothing_is_pretended(town: FakeTown, operator: Any) -> None:
    async def away(*_: Any) -> Any:
        raise httpx.ConnectError("no socket")

    town.alarms.act = away  # type: ignore[method-assign]

    async def does(client: Client) -> httpx.Response:
        return await client.post("/alarms", data={"do": "acknowledge", "id": "a1"})

    answer = operator(does)
    assert answer.status_code == 503 and "nothing was done" in answer.text


# who may --------------------------------------------------------------------------------------------------------------

# The answer to an acknowledgement by form, and whether the page offers it.
MAY = {"visitor": (401, False), "viewer": (403, False), "council": (403, False), "operator": (303, True),
       "clerk": (303, True), "admin": (303, True)}  # fmt: skip


@pytest.mark.parametrize("role", MAY)
def test_acting_is_for_those_whose_role_reaches(town: FakeTown, door: Doorstep, role: str) -> None:
    door.now = datetime.now(UTC)
    secret = door.add("asha", role) if role != "visitor" else ""

    async def does(client: Client) -> tuple[int, bool]:
        client.cookies.set(door.porter.cookie, secret)
        offered = 'id="act"' in (await client.get("/alarms")).text
        given = {"do": "acknowledge", "id": "a1", "form_token": door.visit(secret).form_token}
        return (await client.post("/alarms", data=given)).status_code, offered

    assert at(town, door, does) == MAY[role]
    assert states(town)["a1"] == ("acknowledged" if MAY[role][0] == 303 else "unacknowledged")


def test_nothing_is_done_for_another_site_or_without_the_token(town: FakeTown, operator: Any) -> None:
    async def does(client: Client) -> list[int]:
        given = {"do": "acknowledge", "id": "a1"}
        foreign = await client.post("/alarms", data=given, headers={"origin": "https://evil.example"})
        bare = await client.post("/alarms", data=given, headers={"x-form-token": ""})
        return [foreign.status_code, bare.status_code]

    assert operator(does) == [403, 403]
    assert states(town)["a1"] == "unacknowledged"


def test_words_of_an_action_just_done_cannot_be_written_into_the_address(town: FakeTown, door: Doorstep) -> None:
    async def does(client: Client) -> list[str]:
        return [
            (await client.get(f"/alarms?{query}")).text for query in ("did=call+me&n=1", "did=shelve&n=x", "did=shelve")
        ]

    for page in at(town, door, does):
        assert 'id="told" hidden' in page


def test_address_of_a_view_reads_back_as_itself() -> None:
    view = ConsoleView(show="aside", q="a&b=c", alarm="tank_low|T1.level")
    town = FakeTown(water_points=3)
    glass.bind(town, "/")  # type: ignore[arg-type]
    assert ConsoleView.read(view.href.partition("?")[2]) == view
