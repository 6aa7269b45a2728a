"""Filing by a form without a script, in three languages; what the office sees of it; nothing typed is ever lost."""

import asyncio
import html
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components import glass, uploads
from pipelines.engine.filing import gate, vault
from pipelines.engine.people import accounts, audit, sessions
from pipelines.engine.tokens import path_of
from tests.engine.filing import filing_town
from tests.engine.filing.filing_town import NOW, PERSONAL, PRIVATE, FilingTown, photo
from tests.pages.conftest import Board

Client = httpx.AsyncClient
TYPED = {"service": "leak", "ward": "W1", **PERSONAL}
MOST_BYTES = 60_000


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilingTown]:
    folder = filing_town.make(tmp_path_factory.mktemp("pages") / "town", '\n[filing]\ncontact = "Room 4"\n')
    toml = folder / "town.toml"
    told = toml.read_text("utf-8").replace("domains =", 'languages = ["en", "hi", "ur"]\ndomains =', 1)
    toml.write_text(told, "utf-8")
    with filing_town.opened(folder) as found:
        board = Board(found.town)  # type: ignore[arg-type]
        found.board = found.ask.wait_for(board.__aenter__())
        yield found
        found.ask.wait_for(board.__aexit__())


@pytest.fixture
def filing(opened: FilingTown) -> FilingTown:
    opened.clock["now"] = NOW
    opened.town.filing.gate = gate.Gate(30, opened.town.now)
    return opened


def visit(filing: FilingTown, does: Callable[[Client], Awaitable[Any]], role: str = "") -> Any:
    """What somebody finds at the board of the town; with a role, somebody who is signed in."""
    glass.bind(filing.town, "/")
    client = filing.board
    client.cookies.clear()
    client.headers["origin"] = "http://board"
    if role:
        client.cookies[filing.town.porter.cookie] = signed_in(filing, role)
    return filing.ask.wait_for(does(client))


def signed_in(filing: FilingTown, role: str) -> str:
    """The secret of a session of somebody with this role."""
    path, secret = path_of(filing.line.settings.store), sessions.secret()
    if role not in accounts.listed(path):
        accounts.add(path, role, role, NOW, by="test")
        with sessions.changing(path) as db:
            accounts._keep(db, accounts._found(db, role), valid_from=(NOW - timedelta(days=1)).isoformat())
    sessions.begin(path, accounts.digest(secret), role, NOW, agent="", peer="")
    filing.town.porter.visitors.look_again()
    return secret


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, page
    return html.unescape(found[1])


async def form(client: Client, filing: FilingTown, path: str = "/public/file") -> dict[str, str]:
    """A form as it was handed out, five seconds ago."""
    page = (await client.get(path)).text
    filing.later(timedelta(seconds=5))
    return {"key": hidden(page, "key")}


def words(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def value(page: str, name: str) -> str:
    """What stands in a field of a page."""
    if name == "description":
        return html.unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.S)[1])  # type: ignore[index]
    if name in ("service", "ward"):
        listed = re.search(rf'<select[^>]*name="{name}"(.*?)</select>', page, re.S)
        chosen = re.search(r'<option value="([^"]*)" selected', listed[1]) if listed else None
        return chosen[1] if chosen else ""
    return html.unescape(re.search(rf'<input[^>]*name="{name}"[^>]*?value="([^"]*)"', page)[1])  # type: ignore[index]


def case_at(filing: FilingTown, place: str) -> vault.Case:
    """The case whose number stands in an address."""
    number = re.search(r"=([-A-Z0-9]{14})", place)
    found = vault.case(filing.line.settings.store, number[1]) if number else None
    assert found is not None
    return found


# residents


def test_a_form_is_filed_and_its_number_followed_without_a_script(filing: FilingTown) -> None:
    async def does(client: Client) -> list[Any]:
        given = await form(client, filing)
        sent = await client.post(
            "/public/file", data={**TYPED, **given, "join": "apart"}, files={"picture": ("x.png", photo("PNG"))}
        )
        told = await client.get(sent.headers["location"])
        filing.look()
        number = re.search(r"number=([-A-Z0-9]+)", sent.headers["location"])[1]  # type: ignore[index]
        return [
            sent,
            told,
            await client.get("/public/request", params={"number": number.lower().replace("-", "")}),
            number,
        ]

    sent, told, stands, number = visit(filing, does)
    assert sent.status_code == 303 and told.status_code == 200 and number in told.text
    assert f"Request {number} (Water leak, North) was received on" in words(stands.text)
    case = case_at(filing, sent.headers["location"])
    assert case.number == number and case.personal == PERSONAL and [one.kind for one in case.pictures] == ["image/jpeg"]
    for page in (told, stands):
        assert not [text for text in PRIVATE if text in page.text]
        assert page.headers["cache-control"] == "no-store" and "<script" not in page.text


@pytest.mark.parametrize(
    ("code", "said"), [("en", "What is it about?"), ("hi", "किस बारे में है?"), ("ur", "کس بارے میں ہے؟")]
)
def test_the_form_is_small_and_whole_in_each_language(filing: FilingTown, code: str, said: str) -> None:
    async def does(client: Client) -> Any:
        first = await client.get("/public/file", params={"lang": code})
        wrong = await client.post(
            "/public/file", data={"key": hidden(first.text, "key"), "service": "leak"}, params={"lang": code}
        )
        return first, wrong

    first, wrong = visit(filing, does)
    assert first.status_code == 200 and said in first.text and len(first.content) < MOST_BYTES
    assert wrong.status_code == 422 and "<script" not in first.text and "style=" not in first.text
    assert ('dir="rtl"' in first.text) == (code == "ur")
    assert ("came back very fast" in wrong.text) == (code == "en")


WRONG = {
    "service": ({"service": ""}, "Choose what it is about."), "place": ({"place": "", "ward": ""}, "Say where it is"),
    "description": ({"description": " "}, "Say in a few words"), "phone": ({"phone": "123"}, "phone number cannot be right"),
    "email": ({"email": "asha"}, "mail address cannot be right"), "ward": ({"ward": "W9"}, "This ward is not on the list"),
    "place ": ({"place": "at 40.1, 40.1"}, "outside the town"),
}  # fmt: skip


def test_what_is_wrong_is_named_and_nothing_typed_is_lost(filing: FilingTown) -> None:
    async def does(client: Client) -> dict[str, httpx.Response]:
        given = await form(client, filing)
        return {
            name: await client.post("/public/file", data={**TYPED, **given, "join": "apart", **wrong})
            for name, (wrong, _) in WRONG.items()
        }

    before = len(vault.cases(filing.line.settings.store))
    for name, answer in visit(filing, does).items():
        wrong, said = WRONG[name]
        assert answer.status_code == 422 and said in words(answer.text), name
        field = name.strip()
        assert f'href="#{field}"' in answer.text
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true" aria-describedby="trouble"', answer.text), name
        expected = {**TYPED, **wrong, "description": wrong.get("description", TYPED["description"]).strip()}
        expected["ward"] = "" if expected["ward"] == "W9" else expected["ward"]
        assert {one: value(answer.text, one) for one in expected} == expected
    assert len(vault.cases(filing.line.settings.store)) == before


def test_a_form_posted_twice_is_filed_once(filing: FilingTown) -> None:
    async def does(client: Client) -> list[str]:
        given = await form(client, filing)
        sent = [await client.post("/public/file", data={**TYPED, **given, "join": "apart"}) for _ in range(3)]
        return [one.headers["location"] for one in sent]

    before = len(vault.cases(filing.line.settings.store))
    assert len(set(visit(filing, does))) == 1 and len(vault.cases(filing.line.settings.store)) == before + 1


def test_programs_are_stopped_and_people_are_told_what_to_do(filing: FilingTown) -> None:
    async def does(client: Client) -> list[httpx.Response]:
        page = await client.get("/public/file")
        key = {"key": hidden(page.text, "key")}
        hurried = await client.post("/public/file", data={**TYPED, **key})
        filing.later(timedelta(seconds=10))
        trapped = await client.post("/public/file", data={**TYPED, **key, "website": "http://spam.example"})
        foreign = await client.post("/public/file", data={**TYPED, **key}, headers={"origin": "http://evil.example"})
        filing.later(timedelta(hours=13))
        late = await client.post("/public/file", data={**TYPED, **key})
        forged = await client.post("/public/file", data={**TYPED, "key": "1.2.3"})
        filing.later(timedelta(seconds=10))
        again = await client.post("/public/file", data={**TYPED, "key": hidden(late.text, "key"), "join": "apart"})
        return [hurried, trapped, foreign, late, forged, again]

    hurried, trapped, foreign, late, forged, again = visit(filing, does)
    assert [one.status_code for one in (hurried, trapped, foreign, late, forged, again)] == [
        422,
        422,
        403,
        422,
        422,
        303,
    ]
    said = ("came back very fast", "must stay empty", "another site", "open for too long", "open for too long")
    for answer, expected in zip((hurried, trapped, foreign, late, forged), said, strict=True):
        assert expected in words(answer.text)
    assert value(late.text, "description") == PERSONAL["description"]


def test_one_address_may_file_so_often_an_hour_and_no_address_is_kept(filing: FilingTown) -> None:
    filing.town.filing.gate = gate.Gate(2, filing.town.now)

    async def does(client: Client) -> list[int]:
        found = []
        for hours in (0, 0, 0, 1):
            filing.later(timedelta(hours=hours))
            given = await form(client, filing)
            found.append((await client.post("/public/file", data={**TYPED, **given, "join": "apart"})).status_code)
        return found

    assert visit(filing, does) == [303, 303, 429, 303]
    assert not [key for key in filing.town.filing.gate._seen if b"127.0.0.1" in key]


def test_addresses_of_one_household_are_one() -> None:
    assert gate.network("2001:db8:1:2:3::4") == gate.network("2001:db8:1:2:ffff::1") != gate.network("2001:db8:1:3::4")
    assert gate.network("::ffff:10.0.0.1") == gate.network("10.0.0.1") == "10.0.0.1"
    assert gate.network("fe80::1%eth0") and gate.network("testclient") == "testclient"


def test_whoever_reports_the_same_is_asked_whether_to_join(filing: FilingTown) -> None:
    here = {**TYPED, "service": "lamp", "ward": "", "place": "by the well 0.8, 0.8"}

    async def does(client: Client) -> list[Any]:
        first = await client.post("/public/file", data={**here, **(await form(client, filing))})
        filing.look()
        given = await form(client, filing)
        asked = await client.post("/public/file", data={**here, **given}, files={"picture": ("a.jpg", photo())})
        number = re.search(r'name="join" value="([-A-Z0-9]+)"', asked.text)[1]  # type: ignore[index]
        joined = await client.post("/public/file", data={**here, **given, "join": number})
        filing.look()
        followed = await client.get("/public/request", params={"number": joined.headers["location"].partition("=")[2]})
        return [first, asked, number, joined, followed]

    first, asked, number, joined, followed = visit(filing, does)
    assert first.headers["location"].endswith(number) and joined.headers["location"] != first.headers["location"]
    assert asked.status_code == 200 and "1 person reported this within 200 m this week." in words(asked.text)
    assert "Files have to be chosen once more." in words(asked.text) and value(asked.text, "place") == here["place"]
    assert "was joined to another one" in words(followed.text) and f"Request {number} (Street lamp, North)" in words(
        followed.text
    )


def test_a_town_that_is_closed_to_residents_says_whom_to_call(
    filing: FilingTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(filing.town.filing), "is_open", False)

    async def does(client: Client) -> list[httpx.Response]:
        return [
            await client.get("/public/file"),
            await client.post("/public/file", data=TYPED),
            await client.get("/public"),
        ]

    shown, refused, public = visit(filing, does)
    assert "Requests are not taken here." in words(shown.text) and "Room 4" in shown.text and "<form" not in shown.text
    assert refused.status_code == 422 and "/public/file" not in public.text


def test_a_form_that_does_not_come_is_given_up(filing: FilingTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PATIENCE_S", 0.05)

    async def trickle() -> Any:
        yield b"service="
        await asyncio.sleep(5)

    async def does(client: Client) -> list[int]:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        slow = await client.post("/public/file", content=trickle(), headers=kind)
        huge = await client.post("/public/file", content=b"x" * (17 << 20), headers=kind)
        return [slow.status_code, huge.status_code, uploads.ROOM.held]

    assert visit(filing, does) == [408, 413, 0]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(sorted([*TYPED, "key", "join", "website"])), st.text()), min_size=1, max_size=12)
)
def test_whatever_is_typed_is_answered_with_a_page(opened: FilingTown, fields: list[tuple[str, str]]) -> None:
    async def does(client: Client) -> httpx.Response:
        return await client.post("/public/file", data=dict(fields))

    opened.clock["now"] = NOW
    answer = visit(opened, does)
    assert answer.status_code == 422 and "<h1>" in answer.text


# the office


def test_what_comes_by_phone_is_entered_and_the_number_told(filing: FilingTown) -> None:
    entered = {**TYPED, "channel": "phone", "received": "2026-03-10T09:30"}

    async def does(client: Client) -> list[Any]:
        page = await client.get("/cases/new")
        own = {"form_token": hidden(page.text, "form_token"), "key": hidden(page.text, "key")}
        lost = await client.post("/cases/new", data={**entered, **own, "received": "yesterday"})
        sent = await client.post(
            "/cases/new", data={**entered, **own}, files={"picture": ("s.pdf", b"%PDF-1.4 broken")}
        )
        sent = await client.post("/cases/new", data={**entered, **own}) if sent.status_code != 303 else sent
        told = await client.get(sent.headers["location"])
        return [page, lost, sent, told, await client.post("/cases/new", data=entered)]

    page, lost, sent, told, unsigned = visit(filing, does, "operator")
    assert page.text.count("autofocus") == 1 and 'value="counter"' in page.text
    assert (
        lost.status_code == 422 and value(lost.text, "name") == PERSONAL["name"] and "day and time" in words(lost.text)
    )
    case = case_at(filing, sent.headers["location"])
    assert sent.status_code == 303 and case.number in told.text and 'value="phone" required checked' in told.text
    assert (case.entered_by, case.row["channel"], case.row["requested_datetime"]) == (
        "operator",
        "phone",
        "2026-03-10T04:00:00+00:00",
    )
    assert unsigned.status_code == 403


def test_the_office_sees_changes_and_erases_a_request(filing: FilingTown) -> None:
    number = filing.file(key="office case", files=(photo(),))
    filing.look()

    async def does(client: Client) -> list[httpx.Response]:
        listed = await client.get("/cases")
        page = await client.get("/cases/case", params={"number": number})
        own = {"form_token": hidden(page.text, "form_token")}
        place = f"/cases/case?number={number}"
        picture = await client.get(html.unescape(re.search(r'href="(/cases/picture[^"]+)"', page.text)[1]))  # type: ignore[index]
        leaking = await client.post(
            place, data={**own, "do": "change", "state": "acknowledged", "notes": "call 98765 43210"}
        )
        changed = await client.post(
            place, data={**own, "do": "change", "state": "acknowledged", "notes": "Seen", "agency": "Water"}
        )
        filing.look()
        public = await client.get("/public/request", params={"number": number})
        unsure = await client.post(place, data={**own, "do": "erase"})
        erased = await client.post(place, data={**own, "do": "erase", "sure": "yes"})
        return [
            listed,
            page,
            picture,
            leaking,
            changed,
            public,
            unsure,
            erased,
            await client.get(erased.headers["location"]),
        ]

    listed, page, picture, leaking, changed, public, unsure, erased, after = visit(filing, does, "clerk")
    assert number in listed.text and not [text for text in PRIVATE if text in listed.text]
    assert all(text in html.unescape(page.text) for text in PERSONAL.values()) and "0.51237, 0.49876" in page.text
    assert picture.headers["content-type"] == "image/jpeg" and b"blue gate" not in picture.content
    assert "sandbox" in picture.headers["content-security-policy"] and picture.headers["cache-control"] == "no-store"
    assert (
        leaking.status_code == 422
        and "The answer is public" in words(leaking.text)
        and "call 98765 43210" in leaking.text
    )
    assert changed.status_code == 303 and "The office answers: Seen" in words(public.text)
    assert unsure.status_code == 422 and erased.status_code == 303
    assert "erased on" in words(after.text) and not [text for text in PRIVATE if text in html.unescape(after.text)]
    log = audit.entries(path_of(filing.line.settings.store))
    did = [entry.did for entry in log if number in entry.facts and entry.who == "clerk"]
    assert set(did) == {"request: read", "request: changed", "request: personal data erased"}


def test_an_operator_sees_no_way_to_erase_and_a_viewer_sees_nothing(filing: FilingTown) -> None:
    number = filing.file(key="roles case")
    filing.look()

    async def does(client: Client) -> httpx.Response:
        return await client.get("/cases/case", params={"number": number})

    seen = {role: visit(filing, does, role).text for role in ("", "viewer", "council", "operator", "clerk")}
    assert [role for role, page in seen.items() if "Asha Verma" in page] == ["operator", "clerk"]
    assert [role for role, page in seen.items() if 'value="erase"' in page] == ["clerk"]


def test_nothing_personal_is_logged(filing: FilingTown, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level(0)

    async def does(client: Client) -> None:
        given = await form(client, filing)
        await client.post(
            "/public/file", data={**TYPED, **given, "join": "apart"}, files={"picture": ("x", b"\xff\xd8\xffbroken")}
        )
        await client.post("/public/file", data={**TYPED, **given, "join": "apart"})

    visit(filing, does)
    said = caplog.text + "".join(capfd.readouterr())
    assert not [text for text in PRIVATE if text in said]
