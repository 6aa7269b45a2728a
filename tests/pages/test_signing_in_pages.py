"""The pages of signing in, as a browser without scripts uses them, and as somebody who means harm does."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from pipelines.engine.people import accounts, audit
from tests.engine.people.doorstep import PASSWORD, Doorstep
from tests.glass.fake_town import FakeTown
from tests.pages.people import Client, at, token_in


async def signed_in(client: Client, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    return await client.post("signin", data={"name": name, "password": password, **more})


@pytest.mark.parametrize("prefix", ["/", "/town/"])
def test_person_signs_in_is_named_on_every_page_and_signs_out(town: FakeTown, door: Doorstep, prefix: str) -> None:
    door.add("asha", "operator")

    async def does(client: Client) -> None:
        client.base_url = httpx.URL(f"http://board{prefix}")
        assert f'href="{prefix}signin"' in (await client.get("")).text
        asked = await client.get("signin", headers={"referer": f"http://board{prefix}water?ward=W03"})
        assert asked.headers["cache-control"] == "no-store"
        place = re.search(r'name="next" value="([^"]+)"', asked.text)
        assert place and place[1] == f"{prefix}water?ward=W03"
        answer = await signed_in(client, "asha", next=place[1])
        assert (answer.status_code, answer.headers["location"]) == (303, f"{prefix}water?ward=W03")
        cookie = answer.headers["set-cookie"]
        assert re.fullmatch(
            rf"townboard-[0-9a-f]{{8}}=[\w-]{{43}}; Path={prefix}; Max-Age=43200; HttpOnly; SameSite=Lax", cookie
        )
        page = await client.get("water")
        assert (
            '<b>asha</b><span class="role"> · operator' in page.text
            and page.headers["cache-control"] == "private, no-cache"
        )
        layout = await client.get("_dash-layout")
        assert "asha" in layout.text and "Sign out" in layout.text
        answer = await client.post("signout", data={"form_token": token_in(page.text)})
        assert (answer.status_code, answer.headers["location"]) == (303, prefix)
        assert "Max-Age=0" in answer.headers["set-cookie"]
        client.cookies.set(*cookie.split(";")[0].split("="))
        assert "<b>asha</b>" not in (await client.get("water")).text

    at(town, door, does, prefix)


@pytest.mark.parametrize("demo", [True, False])
def test_sign_in_of_a_demonstration_town_alone_says_where_its_address_is(
    town: FakeTown, door: Doorstep, demo: bool
) -> None:
    state = town.state_at(1001)
    town.publish({**state, "town": {**state["town"], "demo": demo}})

    async def does(client: Client) -> list[str]:
        return [(await client.get(path)).text for path in ("signin", "signin/code", "signin?lang=hi", "signin?lang=ur")]

    words = ("the terminal in which it was started",) * 2 + ("टर्मिनल", "ٹرمینل")
    for page, word in zip(at(town, door, does), words, strict=True):
        assert (word in page) is demo


def test_page_with_a_name_on_it_is_never_shown_to_others(town: FakeTown, door: Doorstep) -> None:
    asha, ravi = door.add("asha", "operator"), door.add("ravi", "viewer")

    async def does(client: Client) -> list[str]:
        found = []
        for secret in ("", asha, ravi, ""):
            headers = {"cookie": f"x=y; {door.porter.cookie}={secret}"} if secret else {}
            # A head holds rules of style, and "dasharray" a name.
            found.append((await client.get("/water", headers=headers)).text.partition("</head>")[2])
        return found

    none, first, second, again = at(town, door, does)
    assert "asha" in first and "ravi" in second
    for page in (none, again, second):
        assert "asha" not in page
    for page in (none, again, first):
        assert "ravi" not in page


def test_cookie_is_for_https_alone_when_the_board_is(town: FakeTown, door: Doorstep) -> None:
    door.add("asha", "viewer")

    async def does(client: Client) -> str:
        client.base_url = httpx.URL("https://board/")
        client.headers["origin"] = "https://board"
        return (await signed_in(client, "asha")).headers["set-cookie"]

    assert at(town, door, does).endswith("; Secure")


def test_wrong_password_is_told_on_the_form_which_keeps_the_name_and_not_the_password(
    town: FakeTown, door: Doorstep
) -> None:
    door.add("asha", "viewer")

    async def does(client: Client) -> list[httpx.Response]:
        return [await signed_in(client, '"><script>x' if n == 9 else "asha", "guess guess") for n in range(10)]

    answers = at(town, door, does)
    assert [answer.status_code for answer in answers] == [403] * 5 + [429] * 4 + [403]
    assert 'value="asha"' in answers[0].text and "guess" not in answers[0].text
    assert "do not belong together" in answers[0].text and "set-cookie" not in answers[0].headers
    assert answers[5].headers["retry-after"] == "60"
    assert "<script>x" not in answers[9].text


@pytest.mark.parametrize(
    "place", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\r\nset-cookie: a=b", "", "evil"]
)  # fmt: skip
def test_sign_in_leads_nowhere_else(town: FakeTown, door: Doorstep, place: str) -> None:
    door.add("asha", "viewer")

    async def does(client: Client) -> str:
        return (await signed_in(client, "asha", next=place)).headers["location"]

    assert at(town, door, does) == "/"


def test_new_person_chooses_a_password_with_the_code(town: FakeTown, door: Doorstep) -> None:
    code = accounts.add(door.path, "asha", "operator", door.now, by="console")

    async def does(client: Client) -> None:
        assert "One-time code" in (await client.get("/signin")).text
        wrong = await client.post("/signin/code", data={"code": "AAAAA"})
        assert wrong.status_code == 403 and "used already" in wrong.text
        step = await client.post("/signin/code", data={"code": code.lower()})
        assert step.status_code == 200 and "For the account asha, role operator" in step.text
        given = {"code": code, "password": PASSWORD}
        unlike = await client.post("/signin/code", data={**given, "again": "something else"})
        assert unlike.status_code == 422 and "not the same" in unlike.text and PASSWORD not in unlike.text
        weak = await client.post("/signin/code", data={"code": code, "password": "short", "again": "short"})
        assert weak.status_code == 422 and "12 to 128" in weak.text
        done = await client.post("/signin/code", data={**given, "again": PASSWORD})
        assert done.status_code == 303
        assert "<b>asha</b>" in (await client.get("/")).text

    at(town, door, does)


def test_first_admin_chooses_name_and_password(town: FakeTown, door: Doorstep) -> None:
    code = accounts.first(door.path, door.now) or ""

    async def does(client: Client) -> None:
        step = await client.post("/signin/code", data={"code": code})
        assert "It is an admin" in step.text
        done = await client.post(
            "/signin/code", data={"code": code, "name": "boss", "password": PASSWORD, "again": PASSWORD}
        )
        assert done.status_code == 303
        assert '<b>boss</b><span class="role"> · admin' in (await client.get("/")).text

    at(town, door, does)


def test_code_in_a_link_enters_only_when_somebody_presses_the_button(town: FakeTown, door: Doorstep) -> None:
    code = accounts.add(door.path, "operator", "operator", door.now, by="demo", enters=True)

    async def does(client: Client) -> None:
        page = await client.get(f"/signin/code?code={code}")
        assert f'value="{code}"' in page.text
        assert accounts.codes(door.path)
        assert (await client.post("/signin/code", data={"code": code})).status_code == 303
        assert "<b>operator</b>" in (await client.get("/")).text

    at(town, door, does)


def test_account_lists_sessions_ends_one_and_changes_the_password(town: FakeTown, door: Doorstep) -> None:
    old = door.add("asha", "operator")
    door.later(timedelta(minutes=1))
    door.add("ravi", "viewer")

    async def does(client: Client) -> None:
        assert (await client.get("/account")).headers["location"] == "/signin?next=%2Faccount"
        await signed_in(client, "asha")
        page = (await client.get("/account")).text
        assert page.count("· here") == 1 and page.count(">End</button>") == 1 and "ravi" not in page
        token = token_in(page)
        which = re.findall(r'name="which" value="([0-9a-f]{12})"', page)
        ended = await client.post("/account/end", data={"form_token": token, "name": "asha", "which": which[0]})
        assert ended.headers["location"] == "/account?did=ended"
        assert door.visit(old).session is None
        new = {"password": "mango kettle orbit lantern", "again": "mango kettle orbit lantern"}
        for wrong in ({"old": "guess", **new}, {"old": PASSWORD, **new, "again": "mango"}):
            assert (await client.post("/account", data={"form_token": token, **wrong})).status_code in (403, 422)
        done = await client.post("/account", data={"form_token": token, "old": PASSWORD, **new})
        assert done.headers["location"] == "/account?did=password"
        assert "other sessions have ended" in (await client.get(done.headers["location"])).text

    at(town, door, does)


# harm -----------------------------------------------------------------------------------------------------------------

STATE_CHANGES = ["/signin", "/signin/code", "/signout", "/account", "/account/end", "/_dash-update-component"]


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://board", "sec-fetch-site": "cross-site"},
     {"origin": "http://board", "sec-fetch-site": "same-site"}, {"origin": "http://board:81"},
     {"origin": "", "referer": "https://evil.example/x"}],
)  # fmt: skip
def test_nothing_changes_for_a_page_of_another_site(town: FakeTown, door: Doorstep, headers: dict[str, str]) -> None:
    secret = door.add("asha", "admin")
    given = {"form_token": door.visit(secret).form_token, "name": "asha", "password": PASSWORD, "old": PASSWORD,
             "again": PASSWORD, "which": "others"}  # fmt: skip

    async def does(client: Client) -> list[int]:
        cookies = {"cookie": f"{door.porter.cookie}={secret}"}
        return [
            (await client.post(path, data=given, headers={**headers, **cookies})).status_code for path in STATE_CHANGES
        ]

    before = len(audit.entries(door.path))
    assert at(town, door, does) == [403] * len(STATE_CHANGES)
    assert len(audit.entries(door.path)) == before
    assert door.visit(secret).session is not None


@pytest.mark.parametrize("token", ["", "x", "another's"])
def test_nothing_changes_without_the_token_of_this_very_session(town: FakeTown, door: Doorstep, token: str) -> None:
    secret, other = door.add("asha", "admin"), door.add("ravi", "admin")
    sent = door.visit(other).form_token if token == "another's" else token
    given = {"form_token": sent, "old": PASSWORD, "password": "mango kettle orbit lantern",
             "again": "mango kettle orbit lantern", "which": "others"}  # fmt: skip

    async def does(client: Client) -> list[httpx.Response]:
        client.cookies.set(door.porter.cookie, secret)
        return [await client.post(path, data=given) for path in ("/signout", "/account", "/account/end")]

    before = len(audit.entries(door.path))
    for answer in at(town, door, does):
        assert answer.status_code == 403 and "Load it again" in answer.text
    assert len(audit.entries(door.path)) == before and door.visit(secret).session is not None


def test_planted_session_is_not_the_one_that_is_signed_in(town: FakeTown, door: Doorstep) -> None:
    door.add("asha", "viewer")

    async def does(client: Client) -> str:
        client.cookies.set(door.porter.cookie, "A" * 43)
        return (await signed_in(client, "asha")).headers["set-cookie"]

    assert "A" * 43 not in at(town, door, does)


def test_large_odd_and_broken_forms_are_refused_in_words(town: FakeTown, door: Doorstep) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}

    async def does(client: Client) -> list[int]:
        return [
            (await client.post("/signin", content=b"name=" + b"x" * 300_000, headers=form)).status_code,
            (await client.post("/signin", content=b"&".join([b"a=1"] * 4000), headers=form)).status_code,
            (await client.post("/signin", content=b"name=%ff\xff", headers=form)).status_code,
            (await client.post("/signin", json={"name": "asha"})).status_code,
            (await client.request("DELETE", "/signin")).status_code,
        ]

    assert at(town, door, does) == [413, 400, 400, 415, 405]


def test_form_that_trickles_in_is_given_up(town: FakeTown, door: Doorstep, monkeypatch: pytest.MonkeyPatch) -> None:
    from components import forms

    monkeypatch.setattr(forms, "PATIENCE_S", 0.05)
    never = asyncio.Event

    async def trickle() -> Any:
        yield b"name="
        await never().wait()

    async def does(client: Client) -> int:
        form = {"content-type": "application/x-www-form-urlencoded"}
        return (await client.post("/signin", content=trickle(), headers=form)).status_code

    assert at(town, door, does) == 408


def test_plain_pages_let_no_script_in_and_name_nothing_outside(town: FakeTown, door: Doorstep) -> None:
    secret = door.add("asha", "admin")

    async def does(client: Client) -> list[httpx.Response]:
        cookies = {"cookie": f"{door.porter.cookie}={secret}"}
        return [await client.get(path, headers=cookies) for path in ("/signin", "/signin/code", "/account")]

    for answer in at(town, door, does):
        assert answer.status_code == 200
        scripts = answer.headers["content-security-policy"].split("script-src")[1].split(";")[0]
        assert "unsafe" not in scripts and "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert re.findall(r'(?:src|href|action)="(?:https?:)?//[^"]+"', answer.text) == []
        assert re.findall(r"\son\w+=", answer.text) == []


def test_no_path_leads_out_of_the_assets(town: FakeTown, door: Doorstep) -> None:
    paths = [
        "/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/..%2fapp.py", "/assets/plain/..%2f..%2fapp.py",
        "/assets/plain/%2e%2e/%2e%2e/requirements.txt", "/assets//etc/passwd", "/assets/%2fetc%2fpasswd",
        "/_dash-component-suites/dash/../../app.py", "/../state.sqlite", "/assets/..\\app.py",
    ]  # fmt: skip

    async def does(client: Client) -> list[tuple[int, str]]:
        answers = [await client.get(httpx.URL(f"http://board{path}")) for path in paths]
        return [(answer.status_code, answer.text) for answer in answers]

    for path, (status, text) in zip(paths, at(town, door, does), strict=True):
        assert status == 404, path
        assert "argparse" not in text and "argon2-cffi==" not in text and "root:" not in text, path
