"""The Things Stack v3: what becomes a reading, what becomes device health, what is refused."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.decode import decoder
from pipelines.engine.decode.base import Decoded, Refused
from pipelines.engine.decode.known import Known
from tests.engine.decode.test_chirpstack import JSON, health, safe, sound, values

SAMPLES = Path(__file__).parents[3] / "data" / "samples" / "devices"
UPLINK = (SAMPLES / "things_stack_uplink.json").read_bytes()
# The network server's time, to the microsecond.
HEARD = datetime(2026, 3, 10, 6, 14, 5, 234172, tzinfo=UTC)
CAME = datetime(2026, 3, 10, 6, 14, 6, tzinfo=UTC)
DEVICE = "70b3d5499a2c0042"


def read(payload: bytes | dict[str, Any], known: Known | None = None, **mapping: Any) -> Decoded:
    own = {"format": "things_stack", "table": "readings", "zone": "Asia/Kolkata", "feed": "meters", "fields": {}}
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return decoder("things_stack")(body, {**own, "known": known, **mapping}, CAME)


def changed(**parts: Any) -> dict[str, Any]:
    """The sample with other parts of its uplink."""
    found: dict[str, Any] = orjson.loads(UPLINK)
    message = {**found["uplink_message"], **parts}
    return {**found, "uplink_message": {name: part for name, part in message.items() if part is not ...}}


def message(name: str, **body: Any) -> dict[str, Any]:
    """A message of another kind."""
    found = orjson.loads(UPLINK)
    return {"end_device_ids": found["end_device_ids"], "received_at": found["received_at"], name: body}


def test_every_number_of_the_decoded_payload_is_a_reading_at_the_network_servers_time() -> None:
    found = read(UPLINK)
    assert values(found) == {f"{DEVICE}.volume_m3": 1204.75, f"{DEVICE}.leak": 1.0, f"{DEVICE}.voltage": 3.6}
    assert found.tables["readings"]["observed_at"].unique().to_list() == [HEARD]


def test_device_health_names_the_best_gateway_and_the_servers_battery() -> None:
    assert health(read(UPLINK)) == {
        "device": DEVICE, "observed_at": HEARD, "event": "up", "report": "AZnExampleSessionKey==:311", "feed": "meters",
        "session": "AZnExampleSessionKey==", "frame_counter": 311, "gateways": 2, "rssi_dbm": -97.0, "snr_db": 7.75,
        "spreading_factor": 7, "battery_pct": 91.5, "_row": 1,
    }  # fmt: skip


def test_mapping_names_sensors_words_and_the_devices_clock() -> None:
    found = read(
        UPLINK,
        sensor="{device_name}.{column}",
        time={"column": "clock", "format": "%d/%m/%Y %H:%M"},
        values={"volume_m3": {"unit": "m^3"}, "valve": {"map": {"closed": 0, "open": 1}}},
    )
    assert values(found) == {"meter-mill-lane.volume_m3": 1204.75, "meter-mill-lane.valve": 0.0}
    # 11:40 on a clock in Asia/Kolkata (+05:30).
    assert found.tables["readings"]["observed_at"].to_list() == [datetime(2026, 3, 10, 6, 10, tzinfo=UTC)] * 2
    assert health(found)["observed_at"] == HEARD


def test_an_uplink_that_comes_again_within_a_minute_is_the_same_and_later_another() -> None:
    known = Known()
    first = read(UPLINK, known)
    known.learn(first.tables)
    again = read(changed(received_at="2026-03-10T06:14:35.5Z"), known)
    assert again.tables["readings"].equals(first.tables["readings"])
    restarted = read(changed(received_at="2026-03-10T06:44:05Z"), known)
    assert health(restarted)["observed_at"] == datetime(2026, 3, 10, 6, 44, 5, tzinfo=UTC)


def test_a_counter_of_zero_is_left_out_by_the_server() -> None:
    assert health(read(changed(f_cnt=...)))["frame_counter"] == 0
    assert health(read(changed(f_cnt="many"))).get("frame_counter") is None


def test_raw_bytes_without_a_codec_keep_the_health_and_say_what_to_do() -> None:
    found = read(changed(decoded_payload=...))
    assert (values(found), health(found)["frame_counter"]) == ({}, 311)
    assert [(one.reason, one.original != b"") for one in found.refused] == [("no_decoded_object", True)]
    assert read(changed(decoded_payload=..., frm_payload=...)).refused == ()


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("join_accept", "join"), ("downlink_ack", "ack"), ("downlink_nack", "nack"), ("downlink_sent", "sent"),
        ("downlink_queued", "queued"), ("location_solved", "location"), ("service_data", "service_data"),
        ("uplink_normalized", "normalized"), ("downlink_failed", "failed"),
        ("downlink_queue_invalidated", "queue_invalidated"),
    ],
)  # fmt: skip
def test_other_messages_are_device_health_and_never_an_error(name: str, event: str) -> None:
    found = read(message(name, session_key_id="s", received_at="2026-03-10T06:00:00Z", decoded_payload={"a": 1}))
    assert (health(found)["event"], values(found), found.refused) == (event, {}, ())


def test_a_failed_downlink_says_why() -> None:
    found = read(message("downlink_failed", error={"message_format": "no gateway in reach"}))
    assert health(found)["words"] == "no gateway in reach"


def test_a_simulated_uplink_is_heard_but_measures_nothing() -> None:
    found = read({**orjson.loads(UPLINK), "simulated": True})
    assert (values(found), health(found)["event"], found.refused) == ({}, "simulated", ())


@pytest.mark.parametrize(
    ("payload", "reason", "words"),
    [
        (b"\x0a\x14", "not_this_format", "not Protobuf"),
        (b"7", "not_this_format", "a number"),
        (b"{}", "not_this_format", "end_device_ids"),
        (b'{"end_device_ids":{"device_id":"a"},"received_at":"2026-03-10T06:00:00Z"}', "not_this_format", "none of"),
        (b'{"end_device_ids":{"device_id":"a"},"uplink_message":{}}', "no_time", "received_at"),
    ],
)
def test_what_is_no_message_is_refused_in_words(payload: bytes, reason: str, words: str) -> None:
    with pytest.raises(Refused) as refusal:
        read(payload)
    assert (refusal.value.reason, words in refusal.value.detail) == (reason, True)


def test_a_device_without_an_eui_goes_by_its_id() -> None:
    found = orjson.loads(UPLINK)
    del found["end_device_ids"]["dev_eui"]
    assert set(values(read(found))) == {f"meter-mill-lane.{name}" for name in ("volume_m3", "leak", "voltage")}


def test_every_recorded_uplink_keeps_its_health_and_says_that_nothing_was_decoded(recorded: Path) -> None:
    paths = sorted((recorded / "iot" / "lorawan_vendor_examples").glob("*__ThingsStack*.json"))
    assert len(paths) > 40
    for path in paths:
        body = orjson.loads(path.read_bytes())
        found = read(path.read_bytes())
        told = health(found)
        assert [one.reason for one in found.refused] == ["no_decoded_object"], path.name
        assert told["frame_counter"] == body["uplink_message"]["f_cnt"]
        assert told["rssi_dbm"] in [one["rssi"] for one in body["uplink_message"]["rx_metadata"]]
        assert told["observed_at"].isoformat()[:19] == body["uplink_message"]["received_at"][:19]
    # One gateway that is heard directly and by way of the packet broker is one gateway.
    both = next(path for path in paths if path.name.startswith("Milesight_CT101-CT103__ThingsStackIndustries"))
    assert health(read(both.read_bytes()))["gateways"] == 1


NAMES = st.sampled_from([*orjson.loads(UPLINK)["uplink_message"], "confirmed", "error"])


@given(
    parts=st.dictionaries(NAMES, JSON, max_size=5),
    top=st.dictionaries(st.sampled_from([*orjson.loads(UPLINK), "simulated"]), JSON, max_size=2),
)
def test_any_message_is_read_or_refused(parts: dict[str, Any], top: dict[str, Any]) -> None:
    body = {**changed(**parts), **top}
    try:
        sound(read(orjson.dumps(body) if safe(body) else b"{"))
    except Refused as refusal:
        assert refusal.detail


@given(payload=st.binary(max_size=200), cut=st.integers(0, len(UPLINK)))
def test_damaged_bytes_are_read_or_refused(payload: bytes, cut: int) -> None:
    for damaged in (payload, UPLINK[:cut] + payload, UPLINK[:cut] + payload + UPLINK[cut + len(payload) :]):
        try:
            sound(read(damaged))
        except Refused as refusal:
            assert refusal.detail
