"""The town's own sign-in: there and back against a provider that runs, its lies refused, passwords when it is down."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from pipelines.engine.people import accounts, audit
from pipelines.engine.people.openid import name_of, role_of
from pipelines.engine.people.plan import Access, OpenId
from tests.engine.people.doorstep import PASSWORD, Doorstep
from tests.engine.people.provider import SECRET, Provider, provider
from tests.glass.fake_town import FakeTown
from tests.pages.people import Client, at

ROLES = {"water office": "operator", "council": "council", "it": "admin"}


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider() as made:
        yield made


@pytest.fixture
def there(running: Provider, door: Doorstep) -> Provider:
    """A provider that tells the truth, and a board that knows it."""
    running.person = {"sub": "s-1", "preferred_username": "asha", "groups": ["water office"]}
    running.lies, running.algorithm, running.signs_with = {}, "RS256", running.key
    door.porter.access = Access(openid=plan(running.issuer))
    return running


def plan(issuer: str) -> OpenId:
    return OpenId(
        issuer=issuer, client_id="townboard", client_secret=SECRET, title="Town login",
        back="http://board/signin/openid/back", roles=ROLES,
    )  # fmt: skip


async def to_there(client: Client) -> str:
    """The address at which the provider sends somebody back."""
    gone = await client.get("/signin/openid", params={"next": "/water?ward=W03"})
    assert gone.status_code == 303
    async with httpx.AsyncClient() as browser:
        return str((await browser.get(gone.headers["location"])).headers["location"])


async def there_and_back(client: Client) -> httpx.Response:
    return await client.get(await to_there(client))


def test_person_comes_in_by_the_town_s_own_sign_in_with_the_role_of_their_group(
    town: FakeTown, door: Doorstep, there: Provider
) -> None:
    async def does(client: Client) -> None:
        assert "Sign in with Town login" in (await client.get("/signin")).text
        gone = await client.get("/signin/openid")
        asked = parse_qs(urlsplit(gone.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"] and len(asked["state"][0]) >= 43 and asked["nonce"]
        assert "HttpOnly" in gone.headers["set-cookie"] and SECRET not in gone.headers["location"]
        back = await there_and_back(client)
        assert (back.status_code, back.headers["location"]) == (303, "/water?ward=W03")
        assert '<b>asha</b><span class="role"> · operator' in (await client.get("/")).text
        there.person["groups"] = ["council", "it"]
        await there_and_back(client)
        assert '<b>asha</b><span class="role"> · admin' in (await client.get("/")).text

    at(town, door, does)
    did = [(entry.who, entry.did) for entry in audit.entries(door.path)]
    assert did[:2] == [("sign-in of the town", "account added"), ("asha", "signed in")]
    assert ("sign-in of the town", "role changed") in did
    assert accounts.listed(door.path)["asha"].password is None


# What the provider says wrongly in the identity that it signs.
LIES: dict[str, dict[str, Any]] = {
    "another's nonce": {"nonce": "x"}, "another board": {"aud": "other"}, "another provider": {"iss": "https://x.example"},
    "over": {"exp": int(time.time()) - 3_600}, "no end": {"exp": None}, "several boards, none named": {"aud": ["other", "townboard"]},
}  # fmt: skip


@pytest.mark.parametrize("lie", [*LIES, "another's key", "not signed", "no group", "no name"])
def test_identity_that_does_not_fit_lets_nobody_in(town: FakeTown, door: Doorstep, there: Provider, lie: str) -> None:
    there.lies = LIES.get(lie, {})
    there.algorithm = "none" if lie == "not signed" else "RS256"
    if lie == "another's key":
        from cryptography.hazmat.primitives.asymmetric import rsa

        there.signs_with = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if lie == "no group":
        there.person["groups"] = ["strangers"]
    if lie == "no name":
        there.person["preferred_username"] = "<script>"

    async def does(client: Client) -> tuple[int, str]:
        answer = await there_and_back(client)
        assert door.porter.cookie not in client.cookies
        return answer.status_code, answer.text

    status, page = at(town, door, does)
    assert status == (422 if lie == "no name" else 403)
    assert "<script>" not in page.replace("<script>(function", "").replace("<script src", "")
    assert accounts.listed(door.path) == {}


@pytest.mark.parametrize("spoil", ["state", "no cookie", "another's cookie", "no code"])
def test_answer_that_nobody_asked_for_lets_nobody_in(
    town: FakeTown, door: Doorstep, there: Provider, spoil: str
) -> None:
    async def does(client: Client) -> int:
        back = await to_there(client)
        if spoil == "state":
            back = back.replace("state=", "state=x")
        if spoil == "no code":
            back = back.replace("code=", "error=")
        if spoil == "no cookie":
            client.cookies.clear()
        if spoil == "another's cookie":
            await client.get("/signin/openid")
        return (await client.get(back)).status_code

    assert at(town, door, does) == 403
    assert accounts.listed(door.path) == {}


def test_code_that_came_back_once_opens_nothing_again(town: FakeTown, door: Doorstep, there: Provider) -> None:
    async def does(client: Client) -> list[int]:
        back = await to_there(client)
        kept = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        first = await client.get(back)
        client.cookies.clear()
        again = await client.get(back, headers={"cookie": kept})
        return [first.status_code, again.status_code]

    assert at(town, door, does) == [303, 403]


def test_name_with_a_password_here_is_never_taken_over(town: FakeTown, door: Doorstep, there: Provider) -> None:
    door.add("asha", "admin")

    async def does(client: Client) -> str:
        answer = await there_and_back(client)
        assert answer.status_code == 403
        return answer.text

    assert "never takes it over" in at(town, door, does)


def test_disabled_account_stays_out_whatever_the_provider_says(town: FakeTown, door: Doorstep, there: Provider) -> None:
    async def does(client: Client) -> int:
        await there_and_back(client)
        accounts.disable(door.path, "asha", door.now, by="boss")
        return (await there_and_back(client)).status_code

    assert at(town, door, does) == 422


def test_keys_that_were_turned_are_asked_for_again(town: FakeTown, door: Doorstep, there: Provider) -> None:
    async def does(client: Client) -> list[int]:
        first = await there_and_back(client)
        there.turn_keys()
        return [first.status_code, (await there_and_back(client)).status_code]

    before = there.asked_for_keys
    assert at(town, door, does) == [303, 303]
    assert there.asked_for_keys == before + 2


def test_passwords_open_the_board_while_the_provider_is_down(town: FakeTown, door: Doorstep) -> None:
    door.add("asha", "operator")
    door.porter.access = Access(openid=plan("http://127.0.0.1:9"))

    async def does(client: Client) -> None:
        down = await client.get("/signin/openid")
        assert down.status_code == 503 and "does not answer at the moment" in down.text
        done = await client.post("/signin", data={"name": "asha", "password": PASSWORD})
        assert done.status_code == 303
        assert "<b>asha</b>" in (await client.get("/")).text

    at(town, door, does)


@pytest.mark.parametrize(
    ("claims", "name"),
    [({"preferred_username": "Asha"}, "asha"), ({"preferred_username": "a.rao@town.example"}, "a.rao"),
     ({"email": "ravi@town.example"}, "ravi")],
)  # fmt: skip
def test_name_is_taken_without_its_domain(claims: dict[str, str], name: str) -> None:
    assert name_of(plan("https://login.example"), claims) == name


@pytest.mark.parametrize(
    ("groups", "role"), [("council", "council"), (["council", "water office"], "operator"), ([3, "it"], "admin")]
)
def test_of_several_groups_the_one_that_may_most_counts(groups: Any, role: str) -> None:
    assert role_of(plan("https://login.example"), {"groups": groups}) == role
    other = replace(plan("https://login.example"), role_claim="role")
    assert role_of(other, {"role": groups}) == role
