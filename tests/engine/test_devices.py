"""Device health: counted frames, restarts and who is offline; and messages of devices through the line, with restarts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine import compaction, flow
from pipelines.engine.device_tables import DEVICE_REPORTS, EDGE_STATES
from pipelines.engine.devices import as_shown, health, offline
from pipelines.engine.flow import RawMessage, Receipt
from pipelines.engine.healing import Wish, heal
from pipelines.engine.line import Line
from tests.engine import small_town
from tests.engine.decode import test_chirpstack, test_sparkplug

NOON = small_town.NOON
FEEDS = """
[feeds.lora]
from = "http_push"
format = "chirpstack"
every = "15 min"
[feeds.lora.mapping.values]
distance = { sensor = "P1.p", unit = "metre_head", factor = 0.01 }
level = "T1.level"

[feeds.plant]
from = "http_push"
format = "sparkplug"
every = "1 min"
[feeds.plant.mapping.values]
"tank/level" = "T1.level"
"""


def reports(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of device_reports; a minute apart unless they say otherwise."""
    whole = [
        {"device": "d", "event": "up", "observed_at": NOON + timedelta(minutes=i), "report": str(i), "session": "s"}
        | row
        for i, row in enumerate(rows)
    ]
    return pl.DataFrame(whole, schema=DEVICE_REPORTS.schema)


def counted(rows: list[dict[str, Any]]) -> dict[str, Any]:
    (row,) = health(reports(rows)).iter_rows(named=True)
    return {name: row[name] for name in ("frames", "lost", "repeated", "resets", "sessions")}


def test_gaps_in_the_frame_counter_are_lost_frames() -> None:
    assert counted([{"frame_counter": n} for n in (5, 6, 9, 9, 10)]) == {
        "frames": 5, "lost": 2, "repeated": 1, "resets": 0, "sessions": 1,
    }  # fmt: skip


def test_a_counter_that_goes_back_within_its_session_is_a_reset_and_not_a_loss() -> None:
    assert counted([{"frame_counter": n} for n in (500, 501, 0, 1)]) == {
        "frames": 4, "lost": 0, "repeated": 0, "resets": 1, "sessions": 1,
    }  # fmt: skip


def test_a_new_session_may_begin_anywhere() -> None:
    rows = [{"frame_counter": n, "session": s} for n, s in ((500, "a"), (501, "a"), (0, "b"), (2, "b"))]
    assert counted(rows) == {"frames": 4, "lost": 1, "repeated": 0, "resets": 0, "sessions": 2}


def test_sequence_numbers_of_sparkplug_wrap_at_256_and_begin_anew_with_a_birth() -> None:
    rows = [{"frame_counter": n, "counter_wraps": 256, "event": "NDATA"} for n in (254, 255, 0, 3)]
    rows.append({"frame_counter": 0, "counter_wraps": 256, "event": "NBIRTH"})
    rows.append({"frame_counter": 1, "counter_wraps": 256, "event": "NDATA"})
    assert counted(rows) == {"frames": 6, "lost": 2, "repeated": 0, "resets": 0, "sessions": 2}


def test_the_newest_known_figures_stand_in_the_health() -> None:
    rows = [
        {"frame_counter": 1, "battery_pct": 80.0, "rssi_dbm": -100.0, "gateways": 2},
        {"event": "status", "battery_pct": 79.0},
        {"frame_counter": 2, "rssi_dbm": -110.0, "gateways": 1},
    ]
    (row,) = health(reports(rows)).iter_rows(named=True)
    assert (row["battery_pct"], row["rssi_dbm"], row["gateways"], row["frames"]) == (79.0, -110.0, 1, 2)
    assert row["last_seen_at"] == NOON + timedelta(minutes=2)


def test_no_reports_are_no_devices() -> None:
    assert health(reports([])).height == 0


@given(st.sets(st.integers(0, 60), min_size=1), st.randoms(use_true_random=False))
def test_what_is_missing_between_the_first_and_the_last_frame_is_lost_in_any_order(kept: set[int], chance: Any) -> None:
    rows = [{"frame_counter": n, "observed_at": NOON + timedelta(minutes=n)} for n in kept]
    chance.shuffle(rows)
    told = counted(rows)
    assert (told["frames"], told["lost"]) == (len(kept), max(kept) - min(kept) + 1 - len(kept))


def states(*rows: tuple[str, str, int]) -> pl.DataFrame:
    whole = [{"edge": edge, "state": state, "observed_at": NOON + timedelta(minutes=at)} for edge, state, at in rows]
    return pl.DataFrame(whole, schema=EDGE_STATES.schema)


def test_a_device_is_offline_with_its_node_and_until_it_is_born_again() -> None:
    born = [("g/n", "online", 0), ("g/n/d", "online", 0), ("g/n/e", "online", 0)]
    assert offline(states(*born)).height == 0
    assert offline(states(*born, ("g/n/d", "offline", 5)))["edge"].to_list() == ["g/n/d"]
    gone = states(*born, ("g/n", "offline", 7))
    assert dict(offline(gone).iter_rows()) == dict.fromkeys(("g/n", "g/n/d", "g/n/e"), NOON + timedelta(minutes=7))
    back = states(*born, ("g/n", "offline", 7), ("g/n", "online", 8), ("g/n/d", "online", 9))
    assert offline(back)["edge"].to_list() == ["g/n/e"]
    assert offline(states()).height == 0


# through the line ----------------------------------------------------------------------------------------------------


@pytest.fixture
def town(tmp_path: Path) -> Path:
    domains = '["water", "grievances"]'
    return small_town.make(tmp_path / "town", small_town.TOWN.format(zone=small_town.ZONE, domains=domains) + FEEDS)


@pytest.fixture
def line(town: Path) -> Iterator[Line]:
    opened = small_town.open_line(town, NOON)
    yield opened
    opened.close()


def told(line: Line, feed: str, body: bytes, now: datetime = NOON, **fields: str) -> Receipt:
    """One message with the parts of its topic through steps 1 to 4."""
    (receipt,) = flow.take(line, [RawMessage(line.settings.feeds[feed], body, now, fields=fields)], now)
    return receipt


def uplink(**parts: Any) -> bytes:
    return orjson.dumps(test_chirpstack.changed(**parts))


def plant(at: datetime, seq: int, *metrics: Any) -> bytes:
    return test_sparkplug.payload(at, seq, *metrics)


def level(value: float) -> Any:
    return test_sparkplug.metric(alias=7, float_value=value)


def test_an_uplink_lands_as_readings_and_device_health(line: Line) -> None:
    receipt = told(line, "lora", uplink())
    assert (receipt.decoded, receipt.stored, receipt.quarantined) == (2, 2, 0)
    assert small_town.readings(line) == [("P1.p", test_chirpstack.HEARD, 5.94)]
    (row,) = line.store.rows("device_reports").iter_rows(named=True)
    assert (row["device"], row["feed"], row["frame_counter"]) == (test_chirpstack.DEVICE, "lora", 4711)
    again = told(line, "lora", uplink())
    assert (again.stored, again.duplicate) == (0, 2)


def test_one_uplink_delivered_at_two_times_is_one_reading_also_after_a_restart(town: Path) -> None:
    first = small_town.open_line(town, NOON)
    told(first, "lora", uplink())
    small_town.abandon(first)
    second = small_town.open_line(town, NOON + timedelta(minutes=1))
    late = uplink(time="2026-03-10T06:29:00+00:00")
    receipt = told(second, "lora", late)
    assert (receipt.stored, receipt.duplicate) == (0, 2)
    assert small_town.readings(second) == [("P1.p", test_chirpstack.HEARD, 5.94)]
    second.close()


def test_two_deliveries_in_one_batch_are_one_reading(line: Line) -> None:
    feed = line.settings.feeds["lora"]
    both = [RawMessage(feed, uplink(), NOON), RawMessage(feed, uplink(time="2026-03-10T06:20:00+00:00"), NOON)]
    receipts = flow.take(line, both, NOON)
    assert [(one.stored, one.duplicate) for one in receipts] == [(2, 0), (0, 2)]


def test_an_uplink_without_a_codec_is_in_quarantine_byte_for_byte_and_its_device_was_heard(line: Line) -> None:
    body = uplink(object=...)
    receipt = told(line, "lora", body)
    assert (receipt.stored, receipt.quarantined) == (1, 1)
    (row,) = line.store.rows("quarantine").iter_rows(named=True)
    assert (row["reason"], row["original"]) == ("no_decoded_object", body)
    assert line.store.rows("device_reports").height == 1


def test_aliases_are_known_after_a_restart_and_after_compaction(town: Path) -> None:
    first = small_town.open_line(town, NOON)
    place = {"group": "water", "node": "plant1"}
    told(first, "plant", test_sparkplug.birth(), type="NBIRTH", **place)
    compaction.compact(first.settings.store, first.store.tables.values(), first.settings.zone)
    small_town.abandon(first)
    later = NOON + timedelta(days=40)
    second = small_town.open_line(town, later)
    receipt = told(second, "plant", plant(later, 1, level(3.25)), later, type="NDATA", **place)
    assert (receipt.stored, receipt.quarantined) == (2, 0)
    assert small_town.readings(second)[-1] == ("T1.level", later, 3.25)
    second.close()


def test_a_birth_and_its_data_may_come_in_one_batch(line: Line) -> None:
    feed, place = line.settings.feeds["plant"], {"group": "water", "node": "plant1"}
    data = plant(test_sparkplug.BORN + timedelta(minutes=1), 1, level(3.25))
    batch = [
        RawMessage(feed, test_sparkplug.birth(), NOON, fields={**place, "type": "NBIRTH"}),
        RawMessage(feed, data, NOON, fields={**place, "type": "NDATA"}),
    ]
    assert [one.quarantined for one in flow.take(line, batch, NOON)] == [0, 0]
    assert [value for _, _, value in small_town.readings(line)] == [2.5, 3.25]


def test_a_node_that_dies_is_offline_and_back_with_its_next_birth(line: Line) -> None:
    place = {"group": "water", "node": "plant1"}
    will = test_sparkplug.payload(
        test_sparkplug.BORN, None, test_sparkplug.metric("bdSeq", kind=test_sparkplug.tahu.Int64, long_value=4)
    )
    told(line, "plant", test_sparkplug.birth(), type="NBIRTH", **place)
    told(line, "plant", will, NOON + timedelta(minutes=1), type="NDEATH", **place)
    down = offline(line.store.rows("edge_states"))
    assert down.rows() == [("water/plant1", NOON + timedelta(minutes=1))]
    back = test_sparkplug.birth(test_sparkplug.BORN + timedelta(hours=1), bd_seq=5)
    told(line, "plant", back, NOON + timedelta(minutes=2), type="NBIRTH", **place)
    assert offline(line.store.rows("edge_states")).height == 0


def test_a_report_from_the_future_is_set_aside_and_not_remembered(line: Line) -> None:
    receipt = told(line, "lora", uplink(time="2031-01-01T00:00:00Z"))
    assert (receipt.stored, receipt.quarantined) == (0, 2)
    assert told(line, "lora", uplink()).stored == 2
    assert small_town.readings(line) == [("P1.p", datetime(2026, 3, 10, 6, 14, 5, 120331, tzinfo=UTC), 5.94)]


def test_data_in_quarantine_are_healed_after_their_birth(line: Line) -> None:
    place = {"group": "water", "node": "plant1"}
    sent = plant(test_sparkplug.BORN, 1, level(3.25))
    assert told(line, "plant", sent, type="NDATA", **place).quarantined == 1
    told(line, "plant", test_sparkplug.birth(test_sparkplug.BORN + timedelta(minutes=1)), type="NBIRTH", **place)
    outcome = heal(line, Wish(feed="plant", reason="unknown_alias"), lambda: NOON)
    assert (outcome.tried, outcome.healed) == (1, 1)
    assert ("T1.level", test_sparkplug.BORN, 3.25) in small_town.readings(line)


def mixed() -> list[tuple[str, bytes, dict[str, str]]]:
    """Messages of two feeds as a reconnect brings them: good, doubled, without a codec, broken, under unknown aliases."""
    place = {"group": "water", "node": "plant1"}
    lora = [
        uplink(
            deduplicationId=str(i // 2),
            fCnt=i // 2,
            time=f"2026-03-10T06:{i:02}:00Z",
            object={"distance": 500 + i // 2},
        )
        for i in range(12)
    ]
    lora += [uplink(object=...), b"{", uplink(deduplicationId="x", object={"level": "?", "distance": -9e9})]
    data = [plant(test_sparkplug.BORN + timedelta(seconds=i), i, level(i / 4)) for i in range(1, 7)]
    odd = plant(test_sparkplug.BORN, 6, test_sparkplug.metric(alias=99, float_value=1.0))
    steps = [("plant", body, {**place, "type": "NDATA"}) for body in [*data, odd, b"\xff"]]
    steps.append(
        (
            "plant",
            test_sparkplug.birth(test_sparkplug.BORN + timedelta(minutes=1), bd_seq=5),
            {**place, "type": "NBIRTH"},
        )
    )
    late = plant(test_sparkplug.BORN + timedelta(minutes=2), 1, level(9.0))
    steps.append(("plant", late, {**place, "type": "NDATA"}))
    return [*(("lora", body, {}) for body in lora), *steps]


def kept(line: Line) -> dict[str, Any]:
    """All that landed."""
    own = {"device_reports": list(DEVICE_REPORTS.schema), "edge_states": list(EDGE_STATES.schema)}
    own["quarantine"] = ["id", "feed", "row", "reason", "detail", "original", "fields"]
    tables = {name: sorted(line.store.rows(name, columns=columns).rows(), key=str) for name, columns in own.items()}
    return {"readings": small_town.readings(line)} | tables


def test_messages_read_together_say_what_they_say_alone(tmp_path: Path) -> None:
    text = small_town.TOWN.format(zone=small_town.ZONE, domains='["water", "grievances"]') + FEEDS
    found, counts = [], []
    for name, size in (("alone", 1), ("together", 64)):
        line = small_town.open_line(small_town.make(tmp_path / name, text), NOON)
        told(line, "plant", test_sparkplug.birth(), type="NBIRTH", group="water", node="plant1")
        messages = [RawMessage(line.settings.feeds[feed], body, NOON, fields=fields) for feed, body, fields in mixed()]
        receipts = [one for i in range(0, len(messages), size) for one in flow.take(line, messages[i : i + size], NOON)]
        counts.append([(one.decoded, one.stored + one.duplicate, one.quarantined) for one in receipts])
        found.append(kept(line))
        line.close()
    assert counts[0] == counts[1]
    assert found[0] == found[1]
    # Six uplinks delivered twice each are six readings; six of Sparkplug, and two births with one each.
    assert [len([row for row in found[0]["readings"] if row[0] == name]) for name in ("P1.p", "T1.level")] == [6, 9]


def test_the_town_shows_who_was_heard_and_who_is_offline(line: Line) -> None:
    place = {"group": "water", "node": "plant1"}
    told(line, "lora", uplink())
    told(line, "plant", test_sparkplug.birth(), type="NBIRTH", **place)
    told(line, "plant", test_sparkplug.payload(test_sparkplug.BORN, None), type="NDEATH", **place)
    shown = {row["device"]: row for row in as_shown(line.store, NOON).iter_rows(named=True)}
    assert set(shown) == {test_chirpstack.DEVICE, "water/plant1"}
    assert shown["water/plant1"]["offline_since"] == NOON
    assert (shown[test_chirpstack.DEVICE]["battery_pct"], shown[test_chirpstack.DEVICE]["offline_since"]) == (
        84.0,
        None,
    )
    assert as_shown(line.store, NOON + timedelta(days=2))["device"].to_list() == ["water/plant1"]
