"""The pages of the second factor, of accounts and of tokens, as a browser without scripts uses them."""

import re
from datetime import timedelta

import httpx
import pytest

from pipelines.engine import tokens
from pipelines.engine.people import accounts, second_factor
from pipelines.engine.people.plan import Access
from tests.engine.people.doorstep import PASSWORD, Doorstep
from tests.engine.people.test_second_factor import now_code
from tests.glass.fake_town import FakeTown
from tests.pages.people import Client, at, token_in


async def sent(client: Client, address: str, page: str, **fields: object) -> httpx.Response:
    return await client.post(address, data={"form_token": token_in(page), **fields})


def codes_in(page: str) -> list[str]:
    return re.findall(r"<li><code>(\w{5}-\w{5})</code></li>", page)


def test_operator_is_led_through_the_second_factor_and_comes_back_where_it_wanted_to_be(
    town: FakeTown, door: Doorstep
) -> None:
    door.porter.access = Access(second_factor_from="operator")
    code = accounts.add(door.path, "asha", "operator", door.now, by="console")

    async def does(client: Client) -> None:
        given = {"code": code, "password": PASSWORD, "again": PASSWORD, "next": "/water"}
        half = await client.post("/signin/code", data=given)
        assert half.headers["location"] == "/signin/second?next=%2Fwater"
        step = await client.get(half.headers["location"])
        assert "needs a second factor in this town" in step.text and "<b>asha</b>" not in step.text
        for path in ("/account", "/alarms/who", "/messages.csv", "/account/second"):
            assert (await client.get(path)).status_code in (303, 401)
        begun = await sent(client, "/signin/second", step.text, do="begin", next="/water")
        shown = (await client.get(begun.headers["location"])).text
        factor = second_factor.of(door.path, "asha")
        assert factor is not None and factor.secret in shown.replace(" ", "") and "<svg" in shown
        wrong = await sent(client, "/signin/second", shown, do="confirm", code="12", next="/water")
        assert wrong.status_code == 403 and "This code is not right" in wrong.text
        old = client.cookies[door.porter.cookie]
        done = await sent(client, "/signin/second", shown, do="confirm", code=now_code(door), next="/water")
        assert len(codes_in(done.text)) == 10 and 'href="/water"' in done.text
        assert client.cookies[door.porter.cookie] != old
        assert "<b>asha</b>" in (await client.get("/water")).text
        door.later(timedelta(seconds=30))
        await client.post("/signin", data={"name": "asha", "password": PASSWORD})
        step = await client.get("/signin/second")
        by_recovery = await sent(client, "/signin/second", step.text, do="code", code=codes_in(done.text)[0])
        assert by_recovery.headers["location"] == "/account/second?left=9"
        page = (await client.get(by_recovery.headers["location"])).text
        assert "9 are left" in page and "Take it away" not in page

    at(town, door, does)


def test_half_a_session_of_one_browser_is_no_use_to_a_form_of_another(town: FakeTown, door: Doorstep) -> None:
    door.porter.access = Access(second_factor_from="viewer")
    half, other = door.add("asha", "viewer"), door.add("ravi", "viewer")

    async def does(client: Client) -> list[int]:
        client.cookies.set(door.porter.cookie, half)
        tokens_sent = ("", "x", door.visit(other).form_token)
        asked = [await client.post("/signin/second", data={"do": "begin", "form_token": one}) for one in tokens_sent]
        return [answer.status_code for answer in asked]

    assert at(town, door, does) == [403] * 3
    assert second_factor.of(door.path, "asha") is None


def test_admin_makes_limits_and_ends_an_account_on_the_page(town: FakeTown, door: Doorstep) -> None:
    secret = door.add("boss", "admin")

    async def does(client: Client) -> None:
        client.cookies.set(door.porter.cookie, secret)
        page = (await client.get("/accounts")).text
        ward = re.findall(r'name="ward" value="(\w+)"', page)[0]
        made = await sent(client, "/accounts", page, do="add", name="Asha", role="operator", ward=ward)
        code = re.search(r"<code>([A-Z2-9-]{23})</code>", made.text)
        assert code and "One-time code for asha" in made.text
        asha = door.redeem(code[1])
        assert door.visit(asha).actor.wards == {ward}
        door.later(timedelta(minutes=1))
        given = await sent(client, "/accounts", page, do="role", name="asha", role="council")
        assert given.headers["location"] == "/accounts?did=role"
        assert door.visit(asha).session is None
        refused = await sent(client, "/accounts", page, do="disable", name="boss")
        assert refused.status_code == 409 and "your own account" in refused.text
        unknown = await sent(client, "/accounts", page, do="wards", name="asha", ward="W99")
        assert unknown.status_code == 422
        await sent(client, "/accounts", page, do="disable", name="asha")
        assert accounts.listed(door.path)["asha"].state == "disabled"
        assert code[1] not in (await client.get("/accounts")).text

    at(town, door, does)


@pytest.mark.parametrize(("role", "status"), [("operator", 403), ("clerk", 200), ("admin", 200)])
def test_clerk_makes_and_revokes_a_token_on_the_page(town: FakeTown, door: Doorstep, role: str, status: int) -> None:
    secret = door.add("asha", role)

    async def does(client: Client) -> None:
        client.cookies.set(door.porter.cookie, secret)
        page = (await client.get("/account")).text
        made = await sent(client, "/tokens", page, do="make", name="lobby", scope="wall", days="365")
        assert made.status_code == status
        if status != 200:
            return
        shown = re.search(r"<code>(townboard_[\w-]+)</code>", made.text)
        assert shown is not None
        (kept,) = tokens.listed(door.path)
        assert kept.scopes == ("wall",) and kept.expires_at == door.now + timedelta(days=365)
        assert shown[1].encode() not in door.path.read_bytes()
        for wrong in ({"scope": "admin"}, {"scope": "wall", "days": "9999"}, {"scope": "wall", "name": "<b>"}):
            answer = await sent(client, "/tokens", page, **{"do": "make", "name": "x", "days": "30", **wrong})
            assert answer.status_code == 422
        again = (await client.get("/tokens")).text
        assert "lobby" in again and shown[1] not in again
        await sent(client, "/tokens", page, do="revoke", name="lobby")
        assert tokens.listed(door.path)[0].revoked_at is not None

    at(town, door, does)
    assert [token.name for token in tokens.listed(door.path)] == (["lobby"] if status == 200 else [])


def test_admin_reads_on_the_page_which_entry_of_the_log_was_changed(town: FakeTown, door: Doorstep) -> None:
    import sqlite3

    secret = door.add("boss", "admin")

    async def does(client: Client) -> list[str]:
        client.cookies.set(door.porter.cookie, secret)
        sound = (await client.get("/account")).text
        with sqlite3.connect(door.path) as db:
            db.execute("UPDATE audit SET who = 'nobody' WHERE seq = 2")
        return [sound, (await client.get("/account")).text]

    sound, changed = at(town, door, does)
    assert "entries fits the one before; the last hash is" in sound
    assert (
        "Entry 2 of the audit log was changed after it was written" in changed and "nobody: password chosen" in changed
    )
