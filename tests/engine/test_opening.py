"""Many small messages opened as one: each gets what it would have got alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import flow, opening
from pipelines.engine.flow import RawMessage
from pipelines.engine.line import Line
from pipelines.engine.opening import MESSAGE, Opened, open_all
from pipelines.engine.plain_readings import SENSOR
from tests.engine import small_town
from tests.engine.small_town import NOON, make, readings

MAPPING = {"sensor": "{asset}.{what}", "time": {"column": "t", "zone": "Europe/Rome"}, "value": "v"}
AT = (NOON - timedelta(hours=1)).isoformat()


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    opened = small_town.open_line(make(tmp_path_factory.mktemp("opening") / "town"), NOON, frozenset())
    yield opened
    opened.close()


def message(line: Line, payload: Any, asset: str = "P1", what: str = "p", seconds: int = 0) -> RawMessage:
    feed = replace(line.settings.feeds["network"], format="json", mapping=MAPPING)
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    fields = {"topic": f"town/{asset}/{what}", "asset": asset, "what": what}
    return RawMessage(feed, body, NOON + timedelta(seconds=seconds), fields=fields)


def apart(opened: list[Opened], count: int) -> list[tuple[Any, ...]]:
    """What became of each message: its rows, what was set aside of it, how many it held, words."""
    found: list[tuple[Any, ...]] = []
    for place in range(count):
        (one,) = [one for one in opened if place in one.places]
        good = {name: rows.filter(pl.col(MESSAGE) == place).drop(MESSAGE).rows() for name, rows in one.good.items()}
        refused = one.refused.filter(pl.col(MESSAGE) == place).drop(MESSAGE).sort("row", "reason").rows(named=True)
        held = one.decoded[one.places.index(place)]
        found.append(({name: rows for name, rows in good.items() if rows}, refused, held, one.words))
    return found


def test_messages_with_the_same_fields_are_decoded_once(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    alone: list[str] = []
    monkeypatch.setattr(opening, "decoder", alone.append)
    (one,) = open_all(line, [message(line, {"t": AT, "v": float(n)}, ("P1", "P2")[n % 2]) for n in range(300)])
    assert (alone, len(one.places), one.good["readings"].height) == ([], 300, 300)
    sensors = line.registers.sensors["sensor"]
    assert set(sensors.gather(one.good["readings"][SENSOR])) == {"P1.p", "P2.p"}


def test_each_message_gets_its_own_receipt_and_a_broken_one_harms_no_other(line: Line) -> None:
    sent = [
        message(line, {"t": AT, "v": 21.5}),
        message(line, b'{"t": "2026-03-', "P1"),
        message(line, {"t": AT, "v": 11}, "P9"),
        message(line, [{"t": AT, "v": 14.0}, {"t": AT, "v": "high"}], "P2"),
        message(line, {"t": AT, "v": 21.5}),
    ]
    receipts = flow.take(line, sent, NOON)
    counted = [(r.decoded, r.stored, r.duplicate, r.quarantined) for r in receipts]
    assert counted == [(1, 1, 0, 0), (1, 0, 0, 1), (1, 0, 0, 1), (2, 1, 0, 1), (1, 0, 1, 0)]
    assert receipts[1].refused_words is not None
    assert "breaks off" in receipts[1].refused_words
    assert receipts[2].reasons[0][:2] == (1, "unknown_sensor")
    assert receipts[3].reasons[0][:2] == (2, "unreadable_number")
    assert receipts[3].reasons[0][2].startswith("record 2:")
    assert [row for row in readings(line) if row[0] == "P1.p"] == [("P1.p", NOON - timedelta(hours=1), 21.5)]
    kept = {row["reason"]: row for row in line.store.rows("quarantine").iter_rows(named=True)}
    assert kept["not_this_format"]["original"] == b'{"t": "2026-03-'
    assert orjson.loads(kept["unknown_sensor"]["fields"]) == {"topic": "town/P9/p", "asset": "P9", "what": "p"}
    (arrival,) = {row["feed"] for row in line.store.rows("arrivals").iter_rows(named=True)}
    assert arrival == "network"
    assert {name: line.feeds.ledger()[name] for name in ("decoded", "stored", "duplicate", "quarantined")} == {
        "decoded": 6, "stored": 2, "duplicate": 1, "quarantined": 3,
    }  # fmt: skip


# The night of 25 October 2026 has the hour from 2 to 3 twice in Rome: what a row means depends on those before it.
TIMES = st.sampled_from([AT, "2026-10-25T02:30:00", "2026-10-25 02:10:00", "2026-03-10T00:00:00", "soon", None])
RECORD = st.fixed_dictionaries(
    {"t": TIMES, "v": st.one_of(st.floats(0, 50), st.none(), st.sampled_from(["12", "n/a", True]))},
    optional={"extra": st.integers(0, 9)},
)
PAYLOAD = st.one_of(
    RECORD, st.lists(RECORD, max_size=3), st.just({"t": AT}), st.just(7), st.sampled_from([b"", b"{", b"\xff\xfe{"])
)
SENT = st.lists(
    st.tuples(PAYLOAD, st.sampled_from(["P1", "P2", "P9", ""]), st.integers(0, 40)), min_size=2, max_size=12
)


@settings(max_examples=40)
@given(sent=SENT)
def test_messages_opened_together_say_what_each_says_alone(line: Line, sent: list[tuple[Any, str, int]]) -> None:
    messages = [message(line, payload, asset, seconds=seconds) for payload, asset, seconds in sent]
    alone = [apart(open_all(line, [one]), 1)[0] for one in messages]
    # A clock that runs ahead is judged by the newest message of the batch; these times are far from that edge.
    assert apart(open_all(line, messages), len(messages)) == alone
