"""ChirpStack v4 events: what becomes a reading, what becomes device health, what is refused."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.engine.decode import decoder
from pipelines.engine.decode.base import Decoded, Refused
from pipelines.engine.decode.device_mapping import check_devices
from pipelines.engine.decode.known import Known

SAMPLES = Path(__file__).parents[3] / "data" / "samples" / "devices"
UPLINK = (SAMPLES / "chirpstack_uplink.json").read_bytes()
EVENTS = (SAMPLES / "chirpstack_events.ndjson").read_bytes().splitlines()
HEARD = datetime(2026, 3, 10, 6, 14, 5, 120331, tzinfo=UTC)
CAME = datetime(2026, 3, 10, 6, 14, 6, tzinfo=UTC)
DEVICE = "70b3d5499a2c0001"


def read(payload: bytes | dict[str, Any], known: Known | None = None, **mapping: Any) -> Decoded:
    own = {"format": "chirpstack", "table": "readings", "zone": "Asia/Kolkata", "feed": "bins", "fields": {}}
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return decoder("chirpstack")(body, {**own, "known": known, **mapping}, CAME)


def changed(**parts: Any) -> dict[str, Any]:
    found: dict[str, Any] = {**orjson.loads(UPLINK), **parts}
    return {name: part for name, part in found.items() if part is not ...}


def values(decoded: Decoded) -> dict[str, Any]:
    frame = decoded.tables.get("readings")
    return {} if frame is None else dict(frame.select("sensor", "value").iter_rows())


def health(decoded: Decoded) -> dict[str, Any]:
    (row,) = decoded.tables["device_reports"].iter_rows(named=True)
    return {name: value for name, value in row.items() if value is not None}


def test_every_number_of_the_decoded_object_is_a_reading_under_its_path() -> None:
    found = read(UPLINK)
    assert values(found) == {
        f"{DEVICE}.distance": 594.0,
        f"{DEVICE}.lid_open": 0.0,
        f"{DEVICE}.temperature.inside": 21.5,
        f"{DEVICE}.temperature.steps.0": 21.0,
        f"{DEVICE}.temperature.steps.1": 22.0,
    }
    assert found.tables["readings"]["observed_at"].unique().to_list() == [HEARD]
    assert found.refused == ()


def test_device_health_names_the_best_gateway_and_the_battery() -> None:
    assert health(read(UPLINK)) == {
        "device": DEVICE, "observed_at": HEARD, "event": "up", "report": "0c6a6f54-2f0e-4a52-9d0b-6d4f7a3a9a11",
        "feed": "bins", "session": "01ab23cd", "frame_counter": 4711, "gateways": 2, "rssi_dbm": -101.0, "snr_db": 6.25,
        "spreading_factor": 9, "battery_pct": 84.0, "_row": 1,
    }  # fmt: skip


def test_mapping_chooses_fields_and_names_sensors_by_tag() -> None:
    found = read(
        UPLINK,
        sensor="{tags.asset}.{column}",
        values={
            "distance": {"sensor": "{tags.asset}.level", "unit": "mm", "factor": 0.5},
            "fill": {"unit": "percent"},
            "position": {"map": {"normal": 0, "tilt": 1}},
            "temperature.*": "{device_name}:{column}",
            "absent": "x",
        },
    )
    assert values(found) == {
        "BIN7.level": 297.0,
        "BIN7.fill": 13.25,
        "BIN7.position": 1.0,
        "bin-market-square:temperature.inside": 21.5,
        "bin-market-square:temperature.steps.0": 21.0,
        "bin-market-square:temperature.steps.1": 22.0,
    }
    units = dict(found.tables["readings"].select("sensor", "unit").iter_rows())
    assert (units["BIN7.level"], units["BIN7.fill"], units["BIN7.position"]) == ("mm", "percent", None)


def test_parts_of_the_topic_may_stand_in_a_sensors_name() -> None:
    assert values(
        read(UPLINK, fields={"ward": "W3", "event": "up"}, values=["distance"], sensor="{ward}.{column}")
    ) == {"W3.distance": 594.0}


def test_a_word_that_the_mapping_does_not_know_is_set_aside_alone() -> None:
    found = read(UPLINK, values={"position": {"map": {"normal": 0}}, "distance": "d"})
    assert values(found) == {"d": 594.0}
    assert [(one.reason, one.original) for one in found.refused] == [("unreadable_number", UPLINK)]
    assert "'tilt'" in found.refused[0].detail


def test_a_name_that_cannot_be_filled_in_is_set_aside_with_what_there_is() -> None:
    found = read(UPLINK, values=["distance"], sensor="{tags.street}.{column}")
    assert (values(found), [one.reason for one in found.refused]) == ({}, ["missing_sensor"])
    assert "tags.asset" in found.refused[0].detail


def test_codes_for_missing_are_measured_but_unusable() -> None:
    assert values(read(changed(object={"distance": -1, "level": "NA"}), missing=[-1, "NA"], values=["distance", "level"])) == {
        f"{DEVICE}.distance": None, f"{DEVICE}.level": None,
    }  # fmt: skip


def test_devices_own_time_counts_when_the_mapping_says_so() -> None:
    uplink = changed(object={"at": 1773121200, "flow": 2.5})
    found = read(uplink, time={"column": "at", "epoch": "s"}, values=["flow"])
    assert found.tables["readings"]["observed_at"].to_list() == [datetime(2026, 3, 10, 5, 40, tzinfo=UTC)]
    assert health(found)["observed_at"] == HEARD
    without = read(changed(object={"flow": 2.5}), time={"column": "at", "epoch": "s"})
    assert without.tables["readings"]["observed_at"].to_list() == [HEARD]
    with pytest.raises(Refused) as refusal:
        read(changed(object={"at": "noon", "flow": 2.5}), time="at")
    assert refusal.value.reason == "unreadable_time"


def test_an_uplink_heard_twice_at_different_times_is_one_reading() -> None:
    known = Known()
    first = read(UPLINK, known)
    known.learn(first.tables)
    later = changed(time="2026-03-10T07:20:00+00:00", rxInfo=[{"gatewayId": "b", "rssi": -60, "snr": 9}])
    second = read(later, known)
    assert second.tables["readings"].equals(first.tables["readings"])
    assert health(second)["observed_at"] == HEARD
    assert read(later).tables["readings"]["observed_at"][0] == datetime(2026, 3, 10, 7, 20, tzinfo=UTC)


def test_raw_bytes_without_a_codec_keep_the_health_and_say_what_to_do() -> None:
    for found in (read(changed(object=...)), read(changed(object={}))):
        assert (values(found), health(found)["frame_counter"]) == ({}, 4711)
        assert [(one.reason, one.original != b"") for one in found.refused] == [("no_decoded_object", True)]
        assert "codec" in found.refused[0].detail
    assert read(changed(object=..., data="")).refused == ()


def test_other_events_are_device_health_and_never_an_error() -> None:
    told = [health(read(line)) for line in EVENTS]
    assert [row["event"] for row in told] == [
        "join", "status", "status", "log", "ack", "txack", "location", "integration",
    ]  # fmt: skip
    assert [row.get("battery_pct") for row in told[1:3]] == [84.65, None]
    assert told[3]["words"] == "ERROR UPLINK_CODEC TypeError: cannot read property"
    assert told[0]["session"] == "01ab23cd"
    assert all(values(read(line)) == {} for line in EVENTS)


def test_the_kind_of_event_comes_from_the_topic_when_it_says_so() -> None:
    assert health(read(EVENTS[0], fields={"event": "join"}))["event"] == "join"
    assert health(read(EVENTS[0], fields={"event": "nonsense"}))["event"] == "join"


@pytest.mark.parametrize(
    ("payload", "reason", "words"),
    [
        (b"", "empty", "is empty"),
        (b"{", "not_this_format", "not Protobuf"),
        (b"[]", "not_this_format", "a list"),
        (b"null", "not_this_format", "null"),
        (b"{}", "not_this_format", "deviceInfo.devEui"),
        (b'{"applicationID":"1","devEUI":"MTIz"}', "not_this_format", "ChirpStack 3"),
        (orjson.dumps(changed(time=...)), "no_time", "`time`"),
        (orjson.dumps(changed(time="2026-03-10T06:14:05")), "no_time", "`time`"),
        (b'{"deviceInfo":{"devEui":"1"},"time":"2026-03-10T06:14:05Z"}', "not_this_format", "none of up, join"),
        (orjson.dumps(changed(object={str(i): i for i in range(10_001)})), "too_large", "10000"),
    ],
)
def test_what_is_no_event_is_refused_in_words(payload: bytes, reason: str, words: str) -> None:
    with pytest.raises(Refused) as refusal:
        read(payload)
    assert (refusal.value.reason, words in refusal.value.detail) == (reason, True)


@pytest.mark.parametrize(
    ("battery", "percent"), [(84.0, 84.0), (0, 0.0), (3.6, None), (255, None), (True, None), ("84", None), (-1, None)]
)
def test_only_whole_numbers_to_100_are_a_battery_in_percent(battery: Any, percent: float | None) -> None:
    assert health(read(changed(object={"battery": battery}))).get("battery_pct") == percent


def test_the_mapping_names_the_batterys_field() -> None:
    found = read(changed(object={"bat": 55, "battery": 3.6}), battery="bat")
    assert (health(found)["battery_pct"], values(found)) == (55.0, {f"{DEVICE}.battery": 3.6})


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (
            {"sensors": "x"},
            "'sensors' is not known here. Allowed: battery, factor, missing, sensor, time, unit, values",
        ),
        ({"values": {"a": 5}}, "Write a sensor or"),
        ({"values": {"a": {"unit": "??"}}}, "mapping.values.a: the unit"),
        ({"values": {"a": {"map": {"open": "yes"}}}}, "map turns words into numbers"),
        ({"time": {"column": "a", "epoch": "min"}}, "'s', 'ms', 'us'"),
        ({"factor": 0}, "a number other than 0"),
    ],
)
def test_mistake_in_a_mapping_is_named(mapping: dict[str, Any], words: str) -> None:
    assert words in " ".join(check_devices({"format": "chirpstack", **mapping}))


def test_a_sound_mapping_raises_no_words() -> None:
    values = {"a": "x", "b.*": {"sensor": "{device}", "unit": "mm", "factor": 2, "map": {"open": 1, "shut": False}}}
    assert (
        check_devices({"format": "chirpstack", "values": values, "time": "at", "battery": "b", "missing": [-1]}) == []
    )


def test_every_recorded_event_is_read_or_refused_for_a_reason(recorded: Path) -> None:
    jena = sorted((recorded / "iot" / "jena_chirpstack_v4").glob("*.json"))
    counts = {path.name: len(values(read(path.read_bytes()))) for path in jena}
    # Counted by hand: numbers and yes/no in each file's `object`, without the battery in percent.
    assert counts == {
        "up_example1.json": 8, "up_example2.json": 12, "up_example3.json": 1, "up_example6.json": 4,
    }  # fmt: skip
    assert health(read(jena[2].read_bytes()))["battery_pct"] == 69.0
    assert health(read(jena[0].read_bytes()))["rssi_dbm"] == -116.0
    vendors = sorted((recorded / "iot" / "lorawan_vendor_examples").glob("*__ChirpStack__*.json"))
    outcomes = {path.name: outcome(path.read_bytes()) for path in vendors}
    # These examples have the raw bytes only; five of Decentlab are of ChirpStack 3.
    older = {name for name, found in outcomes.items() if found == "not_this_format"}
    assert older == {
        *(f"Decentlab_DL-PM__ChirpStack__payload_0{i}.json" for i in (3, 4, 5)),
        *(f"Decentlab_DL-ZN1__ChirpStack__payload_0{i}.json" for i in (2, 3)),
    }
    assert {found for name, found in outcomes.items() if name not in older} == {"no_decoded_object"}
    assert len(vendors) > 20


def outcome(payload: bytes) -> str:
    try:
        found = read(payload)
    except Refused as refusal:
        return refusal.reason
    assert health(found)["device"]
    return ",".join(one.reason for one in found.refused)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from([*orjson.loads(UPLINK), "margin", "code", "location", "batteryLevel", "queueItemId"])


def sound(decoded: Decoded) -> None:
    """What every answer must be: rows in their columns, numbers that are finite or missing, instants in UTC."""
    for name, frame in decoded.tables.items():
        assert frame.height
        assert "_row" in frame.columns, name
        assert frame.schema["observed_at"] == pl.Datetime("us", "UTC")
    for value in values(decoded).values():
        assert value is None or math.isfinite(value)


@given(parts=st.dictionaries(NAMES, JSON, max_size=5), mapped=st.booleans())
@example(parts={"rxInfo": [1, None, {"rssi": "x"}]}, mapped=False)
@example(parts={"object": {"a": 1e308}}, mapped=True)
def test_any_event_is_read_or_refused(parts: dict[str, Any], mapped: bool) -> None:
    body = orjson.dumps(changed(**parts), option=orjson.OPT_NON_STR_KEYS) if safe(parts) else b"{"
    mapping = {"values": {"*": {"factor": 1e9}}, "time": "at", "unit": "{port}"} if mapped else {}
    try:
        sound(read(body, **mapping))
    except Refused as refusal:
        assert refusal.detail


def safe(parts: Any) -> bool:
    try:
        orjson.dumps(parts)
    except (TypeError, ValueError):
        return False
    return True


@given(cut=st.integers(0, len(UPLINK)), place=st.integers(0, len(UPLINK) - 1), byte=st.integers(0, 255))
def test_damaged_bytes_are_read_or_refused(cut: int, place: int, byte: int) -> None:
    damaged = bytearray(UPLINK)
    damaged[place] = byte
    for payload in (bytes(damaged), UPLINK[:cut], UPLINK[cut:]):
        try:
            sound(read(payload))
        except Refused as refusal:
            assert refusal.detail


@pytest.mark.parametrize("depth", [11, 100, 5_000, 1_000_000])
def test_deep_nesting_ends(depth: int) -> None:
    payload = orjson.dumps(changed(object=...))[:-1] + b',"object":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    try:
        found = values(read(payload))
    except Refused as refusal:
        assert refusal.reason in ("not_this_format", "too_large")
    else:
        assert list(found) == ([f"{DEVICE}." + ".".join("a" * depth)] if depth <= 12 else [])


def test_gzip_that_unpacks_to_very_much_is_refused() -> None:
    import gzip

    bomb = gzip.compress(b" " * (5 << 20))
    with pytest.raises(Refused) as refusal:
        read(bomb)
    assert refusal.value.reason == "too_large"
    assert values(read(gzip.compress(UPLINK)))


def test_a_counter_or_radio_figure_that_is_none_is_left_out() -> None:
    odd = health(read(changed(fCnt="4711", rxInfo=[{"rssi": "loud"}], txInfo={"modulation": []})))
    assert {"frame_counter", "rssi_dbm", "snr_db", "spreading_factor"} & set(odd) == set()
    assert timedelta(0) == HEARD - odd["observed_at"]
