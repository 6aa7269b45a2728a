"""Quarantined rows -> a payload that holds only them, so that their feed's decoder can read them once more."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

from google.transit import gtfs_realtime_pb2 as gtfs

from pipelines.engine.decode.open311 import xml_head
from pipelines.engine.decode.table_csv import head_of
from pipelines.engine.decode.table_file import plan_of
from pipelines.engine.decode.table_mapping import FORMAT_KEYS, FORMATS
from pipelines.engine.decode.text import MAX_MB, unpack

ENCODINGS_OF_TWO_BYTES = ("utf-16", "utf-16-le", "utf-16-be")
# Formats whose rows are counted from 0; elsewhere row 0 is the whole payload.
FROM_ZERO = ("gtfs_realtime", "open311_json", "open311_xml", "seeclickfix")
JOINED = (*FORMATS, *FROM_ZERO)
# A table of these is one whole data set: some of its rows alone would replace it.
ONLY_WHOLE = ("gtfs_static",)


@dataclass(frozen=True)
class Rejoined:
    """A payload, how it is to be read, and the number that the decoder will give to each row of it."""

    payload: bytes
    form: str
    places: tuple[int, ...]
    mapping: Mapping[str, Any] = field(default_factory=dict)


def is_whole(form: str, row: int | None, table: str | None) -> bool:
    """Whether a quarantined row is a payload as it came, of which nothing could be read."""
    return table is None or (row == 0 and form not in FROM_ZERO)


def context_of(payload: bytes, mapping: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Encoding and context of a payload whose rows cannot be read without them; of others nothing.

    The context is the line of headings of a text file, the time in the header of a GTFS-Realtime message, the
    namespaces of a list in XML. Raises Refused when the payload is no such file.
    """
    find = CONTEXTS.get(mapping["format"])
    return find(payload, mapping) if find else (None, None)


def _headings(payload: bytes, mapping: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return head_of(unpack(payload, mapping.get("max_mb", MAX_MB)), mapping, plan_of(mapping).expected)


def _clock(payload: bytes, _: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """What has no time of its own in a message has that of its header."""
    header = gtfs.FeedMessage.FromString(payload).header
    return None, str(header.timestamp) if header.HasField("timestamp") else None


def _namespaces(payload: bytes, mapping: Mapping[str, Any]) -> tuple[str | None, str | None]:
    head = xml_head(unpack(payload, mapping.get("max_mb", MAX_MB)))
    spaces = (f"{name}={quoteattr(value)}" for name, value in head.namespaces.items())
    return head.encoding, " ".join(spaces) or None


CONTEXTS: Mapping[str, Callable[[bytes, Mapping[str, Any]], tuple[str | None, str | None]]] = {
    "csv": _headings, "gtfs_realtime": _clock, "open311_xml": _namespaces,
}  # fmt: skip


def rejoined(
    form: str, originals: Sequence[bytes], mapping: Mapping[str, Any], encoding: str | None, context: str | None
) -> Rejoined:
    """Rows of one payload together; of formats that cannot be put together, the first row alone.

    `encoding` and `context` are those of their payload, as `context_of` gave them.
    """
    if form == "csv":
        return _csv(originals, mapping, encoding or "utf-8", context)
    if form in ("xlsx", "parquet"):
        # Cells of spreadsheets and Parquet files are kept as JSON, their dates as ISO text.
        plain = {key: value for key, value in mapping.items() if key not in FORMAT_KEYS[form]}
        return Rejoined(_list(originals), "json", _counted(originals, 1), {**plain, "dated": True})
    if form in WITH_CONTEXT:
        payload = WITH_CONTEXT[form](originals, encoding or "utf-8", context)
        return Rejoined(payload, form, _counted(originals, 0), mapping)
    if form not in JOINS:
        return Rejoined(originals[0], form, (0,), mapping)
    mapping = {key: value for key, value in mapping.items() if key != "records"}
    return Rejoined(JOINS[form](originals), form, _counted(originals, 0 if form in FROM_ZERO else 1), mapping)


def _counted(originals: Sequence[bytes], first: int) -> tuple[int, ...]:
    return tuple(range(first, first + len(originals)))


def _list(originals: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(originals) + b"]"


def _requests(originals: Sequence[bytes], encoding: str, namespaces: str | None) -> bytes:
    """The requests as UTF-8, each under the namespaces that its list declared."""
    opening = f"<service_requests {namespaces}>" if namespaces else "<service_requests>"
    return "".join([opening, *(raw.decode(encoding) for raw in originals), "</service_requests>"]).encode()


def _message(originals: Sequence[bytes], _: str, clock: str | None) -> bytes:
    message = gtfs.FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    if clock is not None:
        message.header.timestamp = int(clock)
    for original in originals:
        message.entity.append(gtfs.FeedEntity.FromString(original))
    return bytes(message.SerializePartialToString())


JOINS: Mapping[str, Callable[[Sequence[bytes]], bytes]] = {
    "json": _list,
    "ndjson": b"\n".join,
    "open311_json": _list,
    "seeclickfix": _list,
}
WITH_CONTEXT: Mapping[str, Callable[[Sequence[bytes], str, str | None], bytes]] = {
    "open311_xml": _requests,
    "gtfs_realtime": _message,
}


def _csv(originals: Sequence[bytes], mapping: Mapping[str, Any], encoding: str, heading: str | None) -> Rejoined:
    """The line of headings, where the mapping wants one, and the records below it, as UTF-8."""
    given = mapping.get("encoding", "auto")
    codec = encoding if given == "auto" or given in ENCODINGS_OF_TWO_BYTES else given
    errors = "replace" if codec in ENCODINGS_OF_TWO_BYTES else "surrogateescape"
    records = [original.decode(codec, errors) for original in originals]
    above = [heading] if heading is not None and mapping.get("header", True) else []
    line, places = 1 + sum(_lines(text) for text in above), []
    for record in records:
        places.append(line)
        line += _lines(record)
    text = "\n".join([*above, *records])
    read_so = {**mapping, "encoding": "utf-8", "skip_before": 0, "skip_after": 0}
    return Rejoined(text.encode("utf-8", "surrogateescape"), "csv", tuple(places), read_so)


def _lines(record: str) -> int:
    return record.count("\n") + 1
