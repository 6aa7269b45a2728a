"""No secret that somebody sends, right or wrong, stands in a log or in the audit log."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from pipelines.engine.people import accounts, audit, second_factor
from pipelines.engine.people.plan import Access
from tests.engine.people.doorstep import PASSWORD, Doorstep
from tests.engine.people.test_second_factor import now_code
from tests.glass.fake_town import FakeTown
from tests.pages.people import Client, at, token_in

WRONG = "the wrong password that somebody types"
NEW = "mango kettle orbit lantern"
TOKEN = "townboard_" + "w" * 43


def test_planted_secrets_stand_in_no_log(
    town: FakeTown, door: Doorstep, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    # What the tests' own client says of its requests is none of the board's.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.ERROR)
    door.porter.access = Access(second_factor_from="operator")
    code = accounts.add(door.path, "asha", "operator", door.now, by="console")
    planted = {PASSWORD, WRONG, NEW, TOKEN, code, accounts.plain(code)}

    async def does(client: Client) -> None:
        await client.post("/signin", data={"name": WRONG, "password": WRONG})
        await client.post("/signin/code", data={"code": "WRONG-" + code[6:], "password": WRONG, "again": WRONG})
        await client.get("/signin/code", params={"code": code})
        await client.get("/wall", params={"token": TOKEN})
        await client.post("/signin/code", data={"code": code, "password": PASSWORD, "again": PASSWORD})
        planted.add(client.cookies[door.porter.cookie])
        page = (await client.get("/signin/second")).text
        planted.add(token_in(page))
        sent: dict[str, Any] = {"form_token": token_in(page)}
        await client.post("/signin/second", data={**sent, "do": "begin"})
        factor = second_factor.of(door.path, "asha")
        assert factor is not None
        planted.add(factor.secret)
        for typed in ("987654", now_code(door)):
            planted.add(typed)
            done = await client.post("/signin/second", data={**sent, "do": "confirm", "code": typed})
        planted.update(part for part in done.text.split("<code>")[1].split("</code>")[0].split("-"))
        planted.add(client.cookies[door.porter.cookie])
        door.later(timedelta(seconds=30))
        page = (await client.get("/account")).text
        for old in (WRONG, PASSWORD):
            given = {"form_token": token_in(page), "old": old, "password": NEW, "again": NEW}
            await client.post("/account", data=given)
        planted.add(client.cookies[door.porter.cookie])
        await client.post("/signin", content=b"password=" + WRONG.encode() * 20_000)
        await client.post("/_dash-update-component", content=f'{{"output": "{WRONG}"}}')
        await client.get("/nowhere", params={"token": TOKEN})

    at(town, door, does)
    told = caplog.text + "".join(repr(record.args) for record in caplog.records)
    assert "a wrong password" in told
    kept = repr(audit.entries(door.path))
    for secret in planted:
        assert secret not in told and secret not in kept


def test_page_that_fails_logs_no_word_of_what_was_sent(
    town: FakeTown, door: Doorstep, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components import console

    door.add("asha", "operator")

    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(console, "page", broken)

    async def does(client: Client) -> tuple[int, str]:
        client.cookies.set(door.porter.cookie, "c" * 43)
        told = await client.get("/alarms", params={"q": TOKEN})
        return told.status_code, told.text

    status, page = at(town, door, does)
    assert status == 500 and "Traceback" not in page
    assert TOKEN not in caplog.text and "c" * 43 not in caplog.text
