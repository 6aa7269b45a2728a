"""An incident through the real line and web processes: seen, acknowledged on a phone, ignored and escalated, on record."""

import csv
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.engine.people.doorstep import PASSWORD, Doorstep
from tests.scenarios.test_processes import TOWN, Running, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TOWN_THAT_TELLS = (
    TOWN
    + """
[water.alarms.pressure_low]
on_delay = "1 s"

[delivery.channels.sms]
kind = "sms_spool"
[delivery.receivers.control_room]
roles = ["operator"]
[delivery.receivers.engineer]
to = ["sms:+91777"]
[delivery.route]
receiver = "control_room"
group_wait = "1 s"
group_by = ["domain", "ward"]
[delivery.ladders.urgent]
matchers = ['alarm="pressure_low"']
steps = ["18 s: engineer"]
"""
)
# The phones of the one on duty and of the engineer above.
ON_DUTY, ENGINEER = "To: 91111", "To: 91777"


def furnish(folder: Path) -> None:
    reference, store = folder / "reference", folder / "store"
    (reference / "rota.csv").write_text("role,person,days,from,to\noperator,Asha Rao,mon-sun,,\n", "utf-8")
    (reference / "contacts.csv").write_text("person,channel,address\nAsha Rao,sms,+91111\n", "utf-8")
    store.mkdir()
    door = Doorstep(store)
    door.now = datetime.now(UTC)
    door.add("asha", "operator")
    door.close()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("incident") / "town", TOWN_THAT_TELLS, furnish)
    try:
        running.ready()
        yield running
    finally:
        running.close()


def falls(town: Running, sensor: str) -> None:
    """The pressure falls and stays low for two seconds."""
    now = datetime.now(UTC)
    assert town.push_to_line([(sensor, now - timedelta(seconds=age), 2.0) for age in (3, 2, 1)])


def spooled(town: Running, *words: str) -> list[str]:
    """The text messages in the spool folder that say all of these."""
    texts = [path.read_text("utf-8") for path in (town.folder / "drop" / "sms").glob("*.sms")]
    return [text for text in texts if all(word in text for word in words)]


def signed_in(chromium: Any, town: Running) -> Any:
    """A phone of somebody who has signed in and looks at the alarms."""
    page = chromium.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{town.url}/signin?next=/alarms")
    page.fill("[name=name]", "asha")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
    return page


def rows_of(page: Any, town: Running, path: str) -> list[dict[str, str]]:
    answer = page.request.get(town.url + path)
    assert answer.status == 200, answer.text()
    return list(csv.DictReader(io.StringIO(answer.text())))


def test_incident_is_seen_acknowledged_ignored_escalated_and_stands_in_log_and_exports(
    chromium: Any, town: Running
) -> None:
    began = time.monotonic()
    phone, desk = signed_in(chromium, town), chromium.new_context(viewport={"width": 1366, "height": 768}).new_page()
    desk.goto(f"{town.url}/")
    desk.wait_for_selector(".live[data-mode=live]", timeout=20_000)

    falls(town, "P1.p")
    desk.wait_for_selector('[data-alarm="pressure_low|P1.p"]:has-text("Mill Lane")', timeout=10_000)
    row = '.c-row[data-alarm="pressure_low|P1.p"]'
    phone.wait_for_selector(row, timeout=10_000)
    phone.click(f"{row} .c-pick")
    phone.click("#console-ack")
    phone.wait_for_selector(f"{row}[data-state=acknowledged]", timeout=10_000)

    falls(town, "P2.p")
    desk.wait_for_selector('[data-alarm="pressure_low|P2.p"]:has-text("High Street")', timeout=10_000)
    until(lambda: spooled(town, ON_DUTY, "High Street"), 10, "the one on duty is told")
    until(lambda: spooled(town, ENGINEER, "NOT ACKNOWLEDGED", "High Street"), 40, "the engineer is told")
    assert spooled(town, ON_DUTY, "Mill Lane") and not spooled(town, ENGINEER, "Mill Lane")

    phone.goto(f"{town.url}/shift")
    rang = phone.locator("section", has_text="Rang:").inner_text()
    lines = {name: next(line for line in rang.split("\n") if name in line) for name in ("Mill Lane", "High Street")}
    assert "asha after" in lines["Mill Lane"] and "not acknowledged" in lines["High Street"]
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    done = {(one["alarm"], one["event"], one["who"]) for one in rows_of(phone, town, "/alarms.csv?show=history")}
    assert {(f"pressure_low|{point}.p", "rise", "process") for point in ("P1", "P2")} <= done
    assert {one for one in done if one[1] == "acknowledge"} == {("pressure_low|P1.p", "acknowledge", "asha")}
    states = {one["id"]: one["state"] for one in rows_of(phone, town, "/api/v1/alarms?format=csv")}
    assert states["pressure_low|P1.p"] == "acknowledged" and states["pressure_low|P2.p"] == "unacknowledged"
    sent = {one["receiver"] for one in rows_of(phone, town, "/messages.csv?show=sent")}
    assert sent == {"control_room", "engineer"}
    assert time.monotonic() - began < 60
    phone.context.close()
    desk.context.close()
