"""The shift log: what rang, what is open, aside and stale, notes and hand-overs, for those who sign in."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from pipelines.engine.alarms.lifecycle import Event
from pipelines.engine.alarms.record import Alarm
from pipelines.engine.people import audit
from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.pages.people import Client, at


def as_person(town: FakeTown, door: Doorstep, work: Any, role: str = "operator") -> Any:
    door.now = datetime.now(UTC)
    secret = door.add("asha", role)
    door.add("ravi", "operator")

    async def does(client: Client) -> Any:
        client.cookies.set(door.porter.cookie, secret)
        client.headers["x-form-token"] = door.visit(secret).form_token
        return await work(client)

    return at(town, door, does)


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.split('class="page shift"')[1]).split())


def test_visitor_is_asked_to_sign_in_and_sees_nobody(town: FakeTown, door: Doorstep) -> None:
    async def does(client: Client) -> tuple[str, int]:
        given = {"do": "note", "words": "x"}
        return (await client.get("/shift")).text, (await client.post("/shift", data=given)).status_code

    page, status = at(town, door, does)
    assert "to see what happened" in page and "Pressure below" not in page
    assert status == 401


def test_sheet_says_what_rang_and_who_answered_what_is_open_aside_and_stale(town: FakeTown, door: Doorstep) -> None:
    now = datetime.now(UTC)
    book = town.alarms.book
    book.happen("a1", Event.ACKNOWLEDGE, now + timedelta(minutes=3), who="ravi", acknowledged_by="ravi", owner="ravi")
    book.happen("a2", Event.SHELVE, now, who="ravi", until=now + timedelta(hours=1), by="ravi", reason="oil is changed")
    town.alarms.ring(
        Alarm(id="x|ward:W03", rule="x", title="Gone", domain="water", priority="low", area="ward:W03", since=now)
    )
    del book.alarms["x|ward:W03"]
    town.alarms.keep()
    town.beat(1001)

    async def does(client: Client) -> str:
        return (await client.get("/shift")).text

    told = words(as_person(town, door, does))
    opened, rest = told.split("Put aside: 1")
    aside, rest = rest.split("Stale:")
    stale, rang = rest.split("Rang: 5")
    assert "Open: 3" in opened and "acknowledged, ravi sees to it" in opened
    assert "shelved until" in aside and "by ravi – oil is changed" in aside
    assert "1 critical, 1 high, 1 medium, 2 low" in rang
    assert re.search(r"Pressure below the minimum , Pressure point 3 · ravi after (2|3) min", rang)
    assert "PM2.5 above the hourly warning level , Air station 2 · not acknowledged in this time" in rang
    assert re.search(r"Low\s+X , Old Fort|Low X , Station Road", rang)
    assert stale.count("ago") or "silent" in stale.lower() or "late" in stale.lower()


def test_note_and_hand_over_are_kept_by_name_in_the_audit_log_and_begin_the_next_shift(
    town: FakeTown, door: Doorstep
) -> None:
    async def does(client: Client) -> list[Any]:
        note = await client.post("/shift", data={"do": "note", "words": "crew is at <b>pump 2</b>"})
        first = (await client.get("/shift")).text
        door.now += timedelta(seconds=5)
        hand = await client.post("/shift?hours=", data={"do": "handover", "words": "watch tank 3", "to": "ravi"})
        return [
            note,
            first,
            hand,
            (await client.get(hand.headers["location"])).text,
            (await client.get("/shift?hours=24")).text,
        ]

    note, first, hand, after, day = as_person(town, door, does)
    assert (note.status_code, note.headers["location"]) == (303, "/shift?did=note")
    assert "asha : crew is at &lt;b&gt;pump 2&lt;/b&gt;" in words(first)
    assert hand.status_code == 303
    assert "handed over to ravi by asha" in words(after) and "watch tank 3" in words(after)
    assert "crew is at" not in after and "crew is at" in day
    log = audit.entries(door.path, did=("shift note", "shift handed over"))
    assert [(entry.who, entry.did) for entry in log] == [("asha", "shift note"), ("asha", "shift handed over")]
    assert audit.tampering(audit.entries(door.path)) == ""


@pytest.mark.parametrize(
    ("role", "given", "status", "told"),
    [
        ("operator", {"do": "note", "words": "  "}, 422, "Write what is to be noted"),
        ("operator", {"do": "note", "words": "x" * 2001}, 422, "at most 2000 characters"),
        ("operator", {"do": "handover", "words": "kept words"}, 422, "Name who takes over"),
        ("viewer", {"do": "note", "words": "x"}, 403, "has the role viewer"),
    ],
)
def test_refusal_is_said_and_what_was_typed_stays(
    town: FakeTown, door: Doorstep, role: str, given: dict[str, str], status: int, told: str
) -> None:
    async def does(client: Client) -> httpx.Response:
        return await client.post("/shift", data=given)

    answer = as_person(town, door, does, role)
    assert answer.status_code == status and told in answer.text
    assert ("kept words" in answer.text) == (given["words"] == "kept words")
    assert not audit.entries(door.path, did=("shift note",))


def test_measures_of_the_alarm_system_stand_against_their_aims(town: FakeTown, door: Doorstep) -> None:
    # 16 more alarms within one ten-minute span of the last thirty days (the four of the town beside them).
    now = datetime.now(UTC)
    for n in range(16):
        town.alarms.ring(
            Alarm(id=f"p{n}", rule="r", title="Low", domain="water", priority="low", area="town", since=now)
        )
    town.beat(1001)

    async def does(client: Client) -> str:
        return (await client.get("/shift?hours=24")).text

    told = words(as_person(town, door, does))
    # 20 alarms over 24 h and over 720 h: 20 / 144 = 0.14 and 20 / 4320 = 0.005 in ten minutes.
    assert "Alarms in ten minutes, for each operator 0.14 (acceptable) 0.00 (acceptable) about 1, at most 2" in told
    assert re.search(r"Most in ten minutes (\d+) \1 Aim missed at most 10", told)
    # 17 low, 1 medium, 2 high and critical of 20: 85, 5 and 10 %: medium is ten points off its aim.
    assert "Low / medium / high, in percent 85 / 5 / 10 85 / 5 / 10 Aim missed 80 / 15 / 5" in told
    assert "Standing for more than a day 0 now fewer than 5" in told
    assert "1 time (5 %): Low" in told


def test_incidents_of_the_shift_are_listed_with_alarms_and_complaints(town: FakeTown, door: Doorstep) -> None:
    started = datetime.now(UTC) - timedelta(minutes=30)
    town.alarms.gathered.append(
        {"id": "a1@x", "title": "Pressure below the minimum", "domain": "water", "wards": ["W12"], "started_at": started,
         "ended_at": None, "alarms": ["a1"], "consequences": ["a2"], "complaints": ["R7", "R8"],
         "timeline": [{"at": started, "what": "complaint", "who": "resident", "words": "Complaint R7: no water"}],
         "answer": "Little or no water comes in Brickfields since 08:00."}
    )  # fmt: skip

    async def does(client: Client) -> tuple[str, ...]:
        pages = ("/shift", "/alarms?show=incidents&ward=W12", "/alarms?alarm=a2", "/alarms.csv?show=incidents&ward=W12")
        return tuple([(await client.get(page)).text for page in pages])

    sheet, gathered, opened, rows = as_person(town, door, does)
    assert "Incidents: 1" in words(sheet) and "2 alarms, 2 complaints · lasts" in words(sheet)
    for page in (gathered, opened):
        assert "Little or no water comes in Brickfields" in page
    (row,) = csv.DictReader(io.StringIO(rows))
    assert (row["id"], row["alarms"], row["consequences"], row["complaints"]) == ("a1@x", "1", "1", "2")
    assert "Complaint R7: no water" in gathered and "1 incident shown" in gathered


def test_incidents_are_not_for_visitors(town: FakeTown, door: Doorstep) -> None:
    async def does(client: Client) -> str:
        return (await client.get("/alarms?show=incidents")).text

    assert "to see who did what" in at(town, door, does)
