"""The message of Sparkplug B payloads (Eclipse Sparkplug 3.0, 6.4.1), built from a table of its fields."""

import math
import zlib
from datetime import UTC, datetime
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from pipelines.engine.decode.base import Refused
from pipelines.engine.decode.text import unpack

# A birth of 10,000 metrics has some 600 kB; parsed, a payload can take a hundred times its size.
MAX_MB = 2
COMPRESSED = "SPBV1.0_COMPRESSED"
PACKAGE = "townboard.sparkplug_b"
KIND = descriptor_pb2.FieldDescriptorProto
# Only what is read: protobuf passes over the rest (data sets, properties, files).
MESSAGES: dict[str, tuple[tuple[str, int, int | str], ...]] = {
    "Payload": (
        ("timestamp", 1, KIND.TYPE_UINT64), ("metrics", 2, "Metric"), ("seq", 3, KIND.TYPE_UINT64),
        ("uuid", 4, KIND.TYPE_BYTES), ("body", 5, KIND.TYPE_BYTES),
    ),
    "Metric": (
        ("name", 1, KIND.TYPE_BYTES), ("alias", 2, KIND.TYPE_UINT64), ("timestamp", 3, KIND.TYPE_UINT64),
        ("datatype", 4, KIND.TYPE_UINT32), ("is_historical", 5, KIND.TYPE_BOOL), ("is_transient", 6, KIND.TYPE_BOOL),
        ("is_null", 7, KIND.TYPE_BOOL), ("int_value", 10, KIND.TYPE_UINT32), ("long_value", 11, KIND.TYPE_UINT64),
        ("float_value", 12, KIND.TYPE_FLOAT), ("double_value", 13, KIND.TYPE_DOUBLE),
        ("boolean_value", 14, KIND.TYPE_BOOL), ("string_value", 15, KIND.TYPE_BYTES),
        ("template_value", 18, "Template"),
    ),
    "Template": (("metrics", 2, "Metric"), ("is_definition", 5, KIND.TYPE_BOOL)),
}  # fmt: skip
REPEATED = {"metrics"}
LAST_MS = 7_258_118_400_000  # 2200-01-01
INT8, INT16, INT32, INT64 = 1, 2, 3, 4
BOOLEAN = 11
BITS = {INT8: 8, INT16: 16, INT32: 32, INT64: 64}


def _payload_class() -> Any:
    """Texts are declared as bytes, so that one broken letter does not cost the whole message."""
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b.proto", package=PACKAGE, syntax="proto2")
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            label = KIND.LABEL_REPEATED if name in REPEATED else KIND.LABEL_OPTIONAL
            if isinstance(kind, str):
                kinds = {"type": KIND.TYPE_MESSAGE, "type_name": f".{PACKAGE}.{kind}"}
            else:
                kinds = {"type": kind}
            described.field.add(name=name, number=number, label=label, **kinds)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Payload"))


Payload = _payload_class()


def parsed(payload: bytes) -> Any:
    """The Sparkplug B payload, unpacked where the node compresses.

    Raises Refused when it is none.
    """
    found = _read(payload)
    if found.uuid.decode("utf-8", "replace") == COMPRESSED:
        found = _read(_inflated(found.body))
    return found


def _read(payload: bytes) -> Any:
    if len(payload) > MAX_MB << 20:
        raise Refused("too_large", f"The message is larger than {MAX_MB} MB. Let the node send fewer metrics at once.")
    try:
        return Payload.FromString(payload)
    except DecodeError as error:
        words = "This is no Sparkplug B payload (protobuf), or it breaks off. Check the feed's format and its topics."
        raise Refused("not_this_format", words) from error


def _inflated(body: bytes) -> bytes:
    """The body unpacked: gzip, or deflate with or without its header (the two algorithms of the specification)."""
    if body[:2] == b"\x1f\x8b":
        return unpack(body, MAX_MB)
    for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        member = zlib.decompressobj(window)
        try:
            found = member.decompress(body, MAX_MB << 20)
        except zlib.error:
            continue
        if member.eof:
            return found
    raise Refused("damaged", f"The compressed payload is damaged or larger than {MAX_MB} MB unpacked.")


def value_of(metric: Any, kind: int) -> Any:
    """The metric's value: a number, yes or no, text, or None for null; `...` for what no reading can hold.

    Negative whole numbers travel as unsigned ones of their size (6.4.16).
    """
    if metric.is_null:
        return None
    if metric.HasField("boolean_value"):
        return metric.boolean_value
    for name in ("int_value", "long_value"):
        if metric.HasField(name):
            return _signed(getattr(metric, name), kind)
    for name in ("float_value", "double_value"):
        if metric.HasField(name):
            number = getattr(metric, name)
            return number if math.isfinite(number) else None
    return text_of(metric.string_value) if metric.HasField("string_value") else ...


def _signed(number: int, kind: int) -> int | bool:
    if kind == BOOLEAN:
        return bool(number)
    if kind not in BITS:
        return number
    number &= (1 << BITS[kind]) - 1
    return number - (1 << BITS[kind]) if number >> (BITS[kind] - 1) else number


def text_of(raw: bytes) -> str:
    """A short text; letters that cannot be read are marked."""
    return raw.decode("utf-8", "replace")[:500]


def instant_of(ms: int) -> datetime | None:
    """An instant, None where it was left out or cannot be one."""
    return datetime.fromtimestamp(ms / 1000, UTC) if 0 < ms < LAST_MS else None
