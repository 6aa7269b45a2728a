"""Rules as a sentence with gaps: tried on the past before they are set, refused above the budget, ended by name."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.pages.people import Client, at

RULE = {
    "name": "Low at the mill", "tell": "water_crew", "watches": "pressure_m", "ward": "", "asset": "WA-0003",
    "side": "above", "limit": "60", "minutes": "0", "priority": "high", "instruction": "Open the second valve.",
}  # fmt: skip
SENTENCE = "Tell water_crew when `pressure at a point` in Pressure point 3 is above 60 metre_head."


def as_person(town: FakeTown, door: Doorstep, work: Any, role: str = "operator") -> Any:
    door.now = datetime.now(UTC)
    secret = door.add("asha", role)

    async def does(client: Client) -> Any:
        client.cookies.set(door.porter.cookie, secret)
        client.headers["x-form-token"] = door.visit(secret).form_token
        return await work(client)

    return at(town, door, does)


async def post(client: Client, do: str, **more: str) -> httpx.Response:
    return await client.post("/rules", data={**RULE, "do": do, **more})


def tried_in(page: str) -> str:
    found = re.search(r'name="tried" value="(\w+)"', page)
    assert found, "nothing was tried"
    return found[1]


def test_rule_is_tried_first_then_set_listed_with_its_sentence_and_ended(town: FakeTown, door: Doorstep) -> None:
    async def does(client: Client) -> list[httpx.Response]:
        first = await post(client, "try")
        second = await post(client, "set", tried=tried_in(first.text))
        listed = await client.get(second.headers["location"])
        kept = dict(town.line.rules)
        ended = await client.post("/rules", data={"do": "end", "id": "own_low_at_the_mill"})
        return [first, second, listed, kept, ended, await client.get(ended.headers["location"])]

    first, second, listed, kept, ended, last = as_person(town, door, does)
    # Made-up readings 50 + 20 sin(i / 30) for i below 300 are above 60 from i = 16 and again from i = 205 on.
    assert SENTENCE in first.text and "It would have rung 2 times in the last 30 days" in first.text
    assert "Set this rule" in first.text and not second.text
    assert second.status_code == 303 and "Set here: 1" in listed.text and SENTENCE in listed.text
    assert "Set by asha." in listed.text
    assert kept["own_low_at_the_mill"]["area"] == "asset:WA-0003"
    assert ended.status_code == 303 and "The rule has ended" in last.text and "Set here: none" in last.text


def test_rule_that_changed_since_it_was_tried_is_shown_again_and_not_set(town: FakeTown, door: Doorstep) -> None:
    async def does(client: Client) -> httpx.Response:
        first = await post(client, "try")
        return await post(client, "set", tried=tried_in(first.text), limit="55")

    answer = as_person(town, door, does)
    assert answer.status_code == 409 and "was changed since it was tried" in answer.text
    assert "is above 55 metre_head." in answer.text and not town.line.rules


def test_rule_above_the_budget_is_refused_until_a_reason_is_given(
    town: FakeTown, door: Doorstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.engine.alarms.backtest.BUDGET_A_DAY", 0.01)

    async def does(client: Client) -> list[httpx.Response]:
        tried = tried_in((await post(client, "try")).text)
        return [await post(client, "set", tried=tried), await post(client, "set", tried=tried, reason="the hospital")]

    refused, done = as_person(town, door, does)
    assert refused.status_code == 409 and "above its budget" in refused.text and 'name="reason"' in refused.text
    assert done.status_code == 303 and town.line.rules["own_low_at_the_mill"]["reason"] == "the hospital"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"limit": "high"}, "`limit` must be a number"),
        ({"watches": ""}, "`watches` must be a text"),
        ({"asset": "WA-9"}, "is no asset here"),
        ({"tell": "nobody"}, "is no receiver here"),
    ],
)
def test_mistake_is_said_without_json_and_what_was_typed_stays(
    town: FakeTown, door: Doorstep, given: dict[str, str], words: str
) -> None:
    answer = as_person(town, door, lambda client: post(client, "try", **given))
    assert answer.status_code == 422 and words in answer.text
    assert "For example {" not in answer.text.split('id="told"')[1][:400]
    assert "Low at the mill" in answer.text and "Open the second valve." in answer.text


def test_viewer_sees_the_rules_and_no_form_and_a_visitor_is_asked_to_sign_in(town: FakeTown, door: Doorstep) -> None:
    async def look(client: Client) -> str:
        return (await client.get("/rules")).text

    assert "to see the alarm rules" in at(town, door, look)
    shown = as_person(town, door, look, "viewer")
    assert "Set here: none" in shown and "setting rules needs an operator" in shown and "A new rule" not in shown
