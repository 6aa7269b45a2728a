"""Sparkplug B: births name the metrics, data come by alias, deaths take a node offline. Messages are written with the
protobuf definition of another package (esio-spb-builder, from Eclipse Tahu's), not with our own.
"""

import gzip
import math
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl
import pytest
from esio_spb_builder.core import sparkplug_b_pb2 as tahu
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.decode import decoder
from pipelines.engine.decode.base import Decoded, Refused
from pipelines.engine.decode.known import Known

CAME = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)
BORN = datetime(2026, 3, 10, 6, 0, tzinfo=UTC)
NODE = {"group": "water", "node": "plant1"}
DEVICE = {**NODE, "device": "pump3"}


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def metric(name: str = "", alias: int | None = None, kind: int = 0, **more: Any) -> Any:
    found = tahu.Payload.Metric(**more)
    if name:
        found.name = name
    if alias is not None:
        found.alias = alias
    if kind:
        found.datatype = kind
    return found


def payload(at: datetime, seq: int | None, *metrics: Any) -> bytes:
    found = tahu.Payload(timestamp=ms(at), metrics=metrics)
    if seq is not None:
        found.seq = seq
    return found.SerializeToString()


def birth(at: datetime = BORN, bd_seq: int = 4, level_alias: int = 7) -> bytes:
    return payload(
        at, 0,
        metric("bdSeq", kind=tahu.Int64, long_value=bd_seq),
        metric("Node Control/Rebirth", kind=tahu.Boolean, boolean_value=False),
        metric("tank/level", level_alias, tahu.Float, float_value=2.5, timestamp=ms(at)),
        metric("temperature", 8, tahu.Int16, int_value=2**32 - 5),
        metric("mode", 9, tahu.String, string_value="auto"),
        metric("running", 10, tahu.Boolean, boolean_value=True),
    )  # fmt: skip


def read(
    body: bytes, kind: str, known: Known | None = None, place: Mapping[str, str] = NODE, **mapping: Any
) -> Decoded:
    own = {"format": "sparkplug", "table": "readings", "zone": "UTC", "feed": "plant"}
    about = {**own, "known": known, "fields": {**place, "type": kind}, **mapping}
    return decoder("sparkplug")(body, about, CAME)


def taken(known: Known, body: bytes, kind: str, place: Mapping[str, str] = NODE, **mapping: Any) -> Decoded:
    """Read and remembered, as the line does with what it lands."""
    found = read(body, kind, known, place, **mapping)
    known.learn(found.tables)
    return found


def values(found: Decoded) -> dict[str, Any]:
    frame = found.tables.get("readings")
    return {} if frame is None else dict(frame.select("sensor", "value").iter_rows())


def times(found: Decoded) -> dict[str, datetime]:
    return dict(found.tables["readings"].select("sensor", "observed_at").iter_rows())


def state(found: Decoded) -> dict[str, Any]:
    (row,) = found.tables["edge_states"].iter_rows(named=True)
    return row


@pytest.fixture
def known() -> Known:
    """What the line knows after the births of a node and of its device."""
    memory = Known()
    taken(memory, birth(), "NBIRTH")
    taken(memory, payload(BORN, 1, metric("flow", 7, tahu.Double, double_value=1.5)), "DBIRTH", DEVICE)
    return memory


def test_a_birth_is_measured_values_and_the_names_of_its_metrics() -> None:
    found = read(birth(), "NBIRTH")
    assert values(found) == {
        "water/plant1/tank/level": 2.5,
        "water/plant1/temperature": -5.0,
        "water/plant1/running": 1.0,
    }
    assert set(times(found).values()) == {BORN}
    told = state(found)
    assert (told["edge"], told["state"], told["bd_seq"], told["born_at"]) == ("water/plant1", "online", 4, BORN)
    assert told["observed_at"] == CAME
    assert [7, "tank/level", tahu.Float] in orjson.loads(told["metrics"])


def test_data_by_alias_take_name_and_type_from_the_birth(known: Known) -> None:
    at = BORN + timedelta(minutes=1)
    sent = payload(at, 2, metric(alias=7, float_value=2.75), metric(alias=8, int_value=2**16 - 12))
    assert values(read(sent, "NDATA", known)) == {"water/plant1/tank/level": 2.75, "water/plant1/temperature": -12.0}
    of_device = payload(at, 3, metric(alias=7, double_value=9.5, timestamp=ms(at) - 250))
    assert times(read(of_device, "DDATA", known, DEVICE)) == {
        "water/plant1/pump3/flow": at - timedelta(milliseconds=250)
    }


def test_an_alias_that_no_birth_named_is_set_aside_and_read_after_the_birth() -> None:
    memory = Known()
    at = BORN + timedelta(minutes=1)
    sent = payload(at, 2, metric(alias=7, float_value=2.75), metric("named", kind=tahu.Float, float_value=1.0))
    found = taken(memory, sent, "NDATA")
    assert values(found) == {"water/plant1/named": 1.0}
    assert [(one.reason, one.original) for one in found.refused] == [("unknown_alias", sent)]
    assert "Rebirth" in found.refused[0].detail
    assert found.tables["device_reports"]["frame_counter"].to_list() == [2]
    taken(memory, birth(at + timedelta(minutes=5)), "NBIRTH")
    assert values(read(sent, "NDATA", memory))["water/plant1/tank/level"] == 2.75


def test_data_are_read_by_the_birth_of_their_own_time(known: Known) -> None:
    """A node that restarts may number its metrics anew; what it sent before comes late."""
    later = BORN + timedelta(hours=1)
    taken(known, payload(later, 0, metric("pressure", 7, tahu.Float, float_value=1.0)), "NBIRTH")
    before = payload(BORN + timedelta(minutes=2), 5, metric(alias=7, float_value=3.0))
    after = payload(later + timedelta(minutes=2), 1, metric(alias=7, float_value=4.0))
    assert values(read(before, "NDATA", known)) == {"water/plant1/tank/level": 3.0}
    assert values(read(after, "NDATA", known)) == {"water/plant1/pressure": 4.0}


def test_a_device_must_be_born_again_after_its_node(known: Known) -> None:
    later = BORN + timedelta(hours=1)
    taken(known, birth(later, bd_seq=5), "NBIRTH")
    sent = payload(later + timedelta(seconds=1), 1, metric(alias=7, double_value=9.5))
    assert [one.reason for one in read(sent, "DDATA", known, DEVICE).refused] == ["unknown_alias"]
    taken(known, payload(later, 1, metric("flow", 7, tahu.Double, double_value=1.5)), "DBIRTH", DEVICE)
    assert values(read(sent, "DDATA", known, DEVICE)) == {"water/plant1/pump3/flow": 9.5}


def test_null_is_missing_history_keeps_its_time_and_passing_values_are_not_kept(known: Known) -> None:
    at, old = BORN + timedelta(minutes=9), BORN + timedelta(minutes=1)
    sent = payload(
        at, 2, metric(alias=7, is_null=True), metric(alias=8, int_value=3, is_historical=True, timestamp=ms(old)),
        metric(alias=10, boolean_value=False, is_transient=True),
    )  # fmt: skip
    found = read(sent, "NDATA", known)
    assert values(found) == {"water/plant1/tank/level": None, "water/plant1/temperature": 3.0}
    assert times(found)["water/plant1/temperature"] == old


@pytest.mark.parametrize(
    ("kind", "more", "value"),
    [
        (tahu.Int8, {"int_value": 2**32 - 128}, -128.0),
        (tahu.Int8, {"int_value": 127}, 127.0),
        (tahu.Int32, {"int_value": 2**31}, -(2.0**31)),
        (tahu.Int64, {"long_value": 2**64 - 1}, -1.0),
        (tahu.UInt8, {"int_value": 255}, 255.0),
        (tahu.UInt32, {"long_value": 2**32 - 1}, 2.0**32 - 1),
        (tahu.UInt64, {"long_value": 2**40}, 2.0**40),
        (tahu.Float, {"float_value": 0.5}, 0.5),
        (tahu.Double, {"double_value": 0.1}, 0.1),
        (tahu.Boolean, {"boolean_value": True}, 1.0),
        (tahu.Float, {"float_value": math.nan}, None),
    ],
)
def test_data_types_are_read_as_the_specification_says(kind: int, more: dict[str, Any], value: float | None) -> None:
    assert values(read(payload(BORN, 1, metric("a", kind=kind, **more)), "NDATA")) == {"water/plant1/a": value}


def test_texts_are_read_only_where_the_mapping_says_what_they_mean(known: Known) -> None:
    sent = payload(BORN, 2, metric(alias=9, string_value="manual"), metric("x", kind=tahu.Text, string_value="7"))
    assert values(read(sent, "NDATA", known)) == {}
    found = read(sent, "NDATA", known, values={"mode": {"sensor": "{node}.auto", "map": {"auto": 1, "manual": 0}}})
    assert values(found) == {"plant1.auto": 0.0}
    odd = read(sent, "NDATA", known, values={"mode": {"map": {"auto": 1}}})
    assert [one.reason for one in odd.refused] == ["unreadable_number"]


def test_mapping_gives_sensor_and_unit_and_a_name_that_cannot_be_filled_is_set_aside(known: Known) -> None:
    sent = payload(BORN, 2, metric(alias=7, float_value=1.5), metric(alias=8, int_value=4))
    found = read(sent, "NDATA", known, values={"tank/*": {"sensor": "T1.{column}", "unit": "m", "factor": 2}})
    assert found.tables["readings"].select("sensor", "value", "unit").rows() == [("T1.tank/level", 3.0, "m")]
    nameless = read(sent, "NDATA", known, values=["temperature"], sensor="{device}.t")
    assert [one.reason for one in nameless.refused] == ["missing_sensor"]


def test_a_template_gives_the_metrics_inside_it() -> None:
    inside = tahu.Payload.Template(metrics=[metric("level", kind=tahu.Float, float_value=1.25)], template_ref="tank")
    shape = tahu.Payload.Template(metrics=[metric("level", kind=tahu.Float, float_value=0.0)], is_definition=True)
    sent = payload(
        BORN, 0, metric("T1", kind=tahu.Template, template_value=inside), metric("tank", kind=tahu.Template, template_value=shape)
    )  # fmt: skip
    assert values(read(sent, "NBIRTH")) == {"water/plant1/T1/level": 1.25}


def test_other_kinds_of_metrics_are_passed_over() -> None:
    sets = tahu.Payload.DataSet(num_of_columns=1, columns=["a"], types=[tahu.Int32])
    sent = payload(
        BORN, 0, metric("set", kind=tahu.DataSet, dataset_value=sets), metric("file", kind=tahu.File, bytes_value=b"x"),
        metric("array", kind=tahu.Int8Array, bytes_value=b"\x01"), metric("nothing"),
    )  # fmt: skip
    assert values(read(sent, "NDATA")) == {}


@pytest.mark.parametrize("packed", [gzip.compress, zlib.compress, lambda body: zlib.compress(body, wbits=-15)])
def test_a_compressed_payload_is_unpacked(packed: Any) -> None:
    inner = payload(BORN, 3, metric("a", kind=tahu.Float, float_value=0.5))
    outer = tahu.Payload(timestamp=ms(BORN), uuid="SPBV1.0_COMPRESSED", body=packed(inner)).SerializeToString()
    assert values(read(outer, "NDATA")) == {"water/plant1/a": 0.5}


@pytest.mark.parametrize(
    "body", [b"", b"nothing", gzip.compress(b"x", mtime=0)[:-4], zlib.compress(b"\x00" * (20 << 20))]
)
def test_a_broken_or_endless_compressed_payload_is_refused(body: bytes) -> None:
    outer = tahu.Payload(timestamp=ms(BORN), uuid="SPBV1.0_COMPRESSED", body=body).SerializeToString()
    with pytest.raises(Refused) as refusal:
        read(outer, "NDATA")
    assert refusal.value.reason in ("damaged", "not_this_format")


def test_a_death_counts_only_for_the_birth_that_it_belongs_to(known: Known) -> None:
    will = payload(BORN - timedelta(days=9), None, metric("bdSeq", kind=tahu.Int64, long_value=4))
    stale = payload(BORN - timedelta(days=9), None, metric("bdSeq", kind=tahu.Int64, long_value=3))
    assert read(stale, "NDEATH", known).tables == {}
    told = state(taken(known, will, "NDEATH"))
    # The will was written when the node connected: what counts is when it came.
    assert (told["edge"], told["state"], told["observed_at"]) == ("water/plant1", "offline", CAME)
    assert read(will, "NDEATH", known).tables == {}
    taken(known, birth(BORN + timedelta(minutes=3), bd_seq=5), "NBIRTH")
    assert read(will, "NDEATH", known).tables == {}


def test_a_device_that_says_goodbye_is_offline_and_its_number_is_counted(known: Known) -> None:
    found = taken(known, payload(BORN + timedelta(minutes=1), 9), "DDEATH", DEVICE)
    assert (state(found)["edge"], state(found)["state"]) == ("water/plant1/pump3", "offline")
    assert found.tables["device_reports"]["frame_counter"].to_list() == [9]


def test_sequence_numbers_stand_in_the_report_of_the_node(known: Known) -> None:
    sent = payload(BORN + timedelta(minutes=1), 255, metric(alias=7, double_value=1.0))
    (row,) = read(sent, "DDATA", known, DEVICE).tables["device_reports"].iter_rows(named=True)
    assert (row["device"], row["event"], row["session"], row["frame_counter"], row["counter_wraps"]) == (
        "water/plant1", "DDATA", "4", 255, 256,
    )  # fmt: skip


def test_the_same_message_again_gives_the_same_rows(known: Known) -> None:
    again = read(birth(), "NBIRTH", known)
    assert state(again)["observed_at"] == CAME
    assert again.tables["readings"].equals(read(birth(), "NBIRTH").tables["readings"])


@pytest.mark.parametrize("kind", ["NCMD", "DCMD", "STATE"])
def test_what_is_said_to_nodes_is_no_reading(kind: str) -> None:
    place = DEVICE if kind == "DCMD" else NODE
    assert read(b'{"online":true}' if kind == "STATE" else birth(), kind, None, place).rows == 0
    assert decoder("sparkplug")(b"{}", {"fields": {"group": "STATE", "type": "scada1"}}, CAME).rows == 0


@pytest.mark.parametrize(
    "fields",
    [{}, {"group": "g", "node": "n", "type": "NOISE"}, {"group": "g", "node": "n", "type": "DDATA"}, {**DEVICE, "type": "NDATA"}],
)  # fmt: skip
def test_a_message_without_its_topic_is_refused_in_words(fields: dict[str, str]) -> None:
    with pytest.raises(Refused) as refusal:
        read(birth(), "", None, {}, fields=fields)
    assert (refusal.value.reason, "spBv1.0" in refusal.value.detail) == ("no_topic", True)


def test_the_whole_topic_tells_as_much_as_its_named_parts(known: Known) -> None:
    sent = payload(BORN, 2, metric(alias=7, double_value=1.0))
    told = read(sent, "", known, {}, fields={"topic": "spBv1.0/water/DDATA/plant1/pump3"})
    assert values(told) == {"water/plant1/pump3/flow": 1.0}
    of_node = read(birth(), "", None, {}, fields={"topic": "spBv1.0/water/NBIRTH/plant1"}, values=["tank/level"])
    assert values(of_node) == {"water/plant1/tank/level": 2.5}
    with pytest.raises(Refused):
        read(sent, "", known, {}, fields={"topic": "town/spBv1.0/water/DDATA/plant1/pump3"})


KINDS = st.sampled_from(["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"])


def read_or_refused(body: bytes, kind: str, memory: Known, **mapping: Any) -> None:
    try:
        found = taken(memory, body, kind, DEVICE if kind.startswith("D") else NODE, **mapping)
    except Refused as refusal:
        assert refusal.detail
        return
    for frame in found.tables.values():
        assert frame.height
        assert frame.schema["observed_at"] == pl.Datetime("us", "UTC")
    assert all(value is None or math.isfinite(value) for value in values(found).values())


@given(body=st.binary(max_size=120), kind=KINDS)
def test_any_bytes_are_read_or_refused(body: bytes, kind: str) -> None:
    read_or_refused(body, kind, Known())


@given(place=st.integers(0, len(birth()) - 1), byte=st.integers(0, 255), kind=KINDS, cut=st.integers(0, len(birth())))
def test_damaged_messages_are_read_or_refused(place: int, byte: int, kind: str, cut: int) -> None:
    damaged = bytearray(birth())
    damaged[place] = byte
    memory = Known()
    for body in (bytes(damaged), birth()[:cut], birth()[cut:]):
        read_or_refused(body, kind, memory, values={"*": {"factor": 1e300, "map": {"auto": 1}}})


METRICS = st.builds(
    metric,
    name=st.text(max_size=4),
    alias=st.none() | st.integers(0, 2**64 - 1),
    kind=st.integers(0, 40),
    timestamp=st.integers(0, 2**64 - 1),
    is_null=st.booleans(),
    int_value=st.integers(0, 2**32 - 1),
)


@given(
    at=st.integers(0, 2**64 - 1), seq=st.integers(0, 2**64 - 1), metrics=st.lists(METRICS, max_size=6), kind=KINDS,
    more=st.lists(METRICS, max_size=3),
)  # fmt: skip
def test_any_message_of_the_format_is_read_or_refused(
    at: int, seq: int, metrics: list[Any], kind: str, more: list[Any]
) -> None:
    memory = Known()
    for kinds, listed in (("NBIRTH", more), (kind, metrics), ("NDATA", more)):
        read_or_refused(tahu.Payload(timestamp=at, seq=seq, metrics=listed).SerializeToString(), kinds, memory)


def test_templates_within_templates_end() -> None:
    inner = metric("x", kind=tahu.Float, float_value=1.0)
    for _ in range(40):
        inner = metric("t", kind=tahu.Template, template_value=tahu.Payload.Template(metrics=[inner]))
    assert values(read(payload(BORN, 1, inner), "NDATA")) == {}


def inside(count: int) -> Any:
    return metric("t", template_value=tahu.Payload.Template(metrics=[metric("a")] * count))


@pytest.mark.parametrize(
    "metrics",
    [
        [metric("a")] * 10_001,
        [inside(10_001)],
        [inside(6_000), inside(6_000)],
        [metric("a", kind=tahu.String, string_value="x" * (2 << 20))],
    ],
)
def test_too_many_metrics_are_refused(metrics: list[Any]) -> None:
    with pytest.raises(Refused) as refusal:
        read(payload(BORN, 1, *metrics), "NDATA")
    assert refusal.value.reason == "too_large"
