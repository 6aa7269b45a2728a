"""Webhooks: POST /api/v1/feeds/{feed} takes a message in the feed's own format and answers when it is on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.engine.journal import Tail
from pipelines.engine.line import Line
from tests.engine import small_town
from tests.engine.api_town import NOW, Asker, answering, asked
from tests.engine.decode import test_chirpstack, test_things_stack
from tests.engine.test_devices import FEEDS

JSON = {"content-type": "application/json"}
METERS = """
[feeds.meters]
from = "http_push"
format = "things_stack"
every = "1 h"
[feeds.meters.mapping.values]
volume_m3 = "D1.in"

[feeds.table]
from = "http_push"
format = "csv"
table = "readings"
every = "1 h"
"""


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    text = small_town.TOWN.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    opened = small_town.open_line(small_town.make(tmp_path / "town", text + FEEDS + METERS), NOW)
    yield opened
    opened.close()


@pytest.fixture
def ask(line: Line) -> Iterator[Asker]:
    with answering(line), asked(line.settings.folder) as (asker, _):
        yield asker


def test_a_chirpstack_webhook_is_durable_when_it_is_answered(ask: Asker, line: Line) -> None:
    answer = ask("POST", "/api/v1/feeds/lora", params={"event": "up"}, content=test_chirpstack.UPLINK, headers=JSON)
    assert (answer.status_code, answer.json()["accepted"], answer.json()["quarantined"]) == (200, 2, 0)
    on_disk = {entry.table for _, entries in Tail(line.settings.store / "journal", 0).poll() for entry in entries}
    assert {"readings", "device_reports"} <= on_disk
    again = ask("POST", "/api/v1/feeds/lora", content=test_chirpstack.UPLINK, headers=JSON).json()
    assert (again["accepted"], again["duplicate"]) == (0, 2)
    told = ask.get("/api/v1/tables/device_reports", format="json").json()["rows"]
    assert [(row["device"], row["battery_pct"]) for row in told] == [(test_chirpstack.DEVICE, 84.0)]


def test_every_other_event_of_chirpstack_is_answered_with_200(ask: Asker) -> None:
    for body in test_chirpstack.EVENTS:
        assert ask("POST", "/api/v1/feeds/lora?event=any", content=body, headers=JSON).status_code == 200


def test_a_things_stack_webhook_goes_to_its_own_feed(ask: Asker) -> None:
    answer = ask("POST", "/api/v1/feeds/meters", content=test_things_stack.UPLINK, headers=JSON)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    wrong = ask("POST", "/api/v1/feeds/meters", content=test_chirpstack.UPLINK, headers=JSON)
    assert (wrong.status_code, "end_device_ids" in wrong.json()["detail"]) == (422, True)


def test_a_feed_of_files_takes_them_here_whatever_the_content_type_says(ask: Asker) -> None:
    body = small_town.csv_of([("P1.p", NOW, 11.5)])
    assert ask("POST", "/api/v1/feeds/table", content=body, headers=JSON).json()["accepted"] == 1


def test_feeds_that_are_none_or_not_pushed_are_404_with_those_that_are(ask: Asker) -> None:
    for name in ("nobody", "network"):
        answer = ask("POST", f"/api/v1/feeds/{name}", content=b"{}", headers=JSON)
        assert (answer.status_code, "lora, meters" in answer.json()["detail"]) == (404, True)
