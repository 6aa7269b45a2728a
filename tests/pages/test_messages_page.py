"""Messages on the glass: who is on duty, what became of each message, a test of a channel, and all of it as CSV."""

import csv
import io
from typing import Any

import httpx
import pytest

from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.pages.people import Client, at
from tests.pages.test_rules_page import as_person


def get(address: str) -> Any:
    async def does(client: Client) -> httpx.Response:
        return await client.get(address)

    return does


def test_page_tells_who_is_on_duty_and_what_became_of_each_message(town: FakeTown, door: Doorstep) -> None:
    text = as_person(town, door, get("/messages")).text
    assert "<b>operator</b>: Asha Rao" in text
    assert "sent one</b> · control_room, sms +911 · sent " in text
    assert "waits after 1 try, next at" in text and "given up after 1 try: the channel sms does not answer" in text


@pytest.mark.parametrize(("show", "found"), [("", 3), ("sent", 1), ("waiting", 1), ("failed", 1), ("other", 3)])
def test_csv_holds_the_rows_of_the_view(town: FakeTown, door: Doorstep, show: str, found: int) -> None:
    answer = as_person(town, door, get(f"/messages.csv?show={show}"))
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == found
    assert show in ("", "other") or [row["subject"] for row in rows] == [
        f"Nadipur: {'lost' if show == 'failed' else show} one"
    ]


@pytest.mark.parametrize(
    ("given", "status", "words", "sent"),
    [
        (
            {"channel": "sms", "address": "+91555"},
            200,
            "The channel sms has taken a test message.",
            [("sms", "+91555")],
        ),
        ({"channel": "sms", "address": " "}, 422, "Say to which number", []),
        ({"channel": "chat"}, 503, "the channel chat does not answer", [("chat", "")]),
        ({"channel": "fax"}, 422, "This channel is unknown", []),
    ],
)
def test_test_button_says_what_happened(
    town: FakeTown, door: Doorstep, given: dict[str, str], status: int, words: str, sent: list[tuple[str, str]]
) -> None:
    async def does(client: Client) -> httpx.Response:
        return await client.post("/messages", data=given, follow_redirects=True)

    answer = as_person(town, door, does)
    assert (answer.status_code, town.line.tests) == (status, sent)
    assert words in answer.text


def test_address_cannot_put_words_on_the_page(town: FakeTown, door: Doorstep) -> None:
    assert "taken a test" not in as_person(town, door, get("/messages?tested=call+this+number")).text


def test_who_only_looks_sees_no_number(town: FakeTown, door: Doorstep) -> None:
    assert "to see who was told" in at(town, door, get("/messages")).text
    shown = as_person(town, door, get("/messages"), "viewer").text
    assert "are for operators" in shown and "+911" not in shown
