"""Open311 GeoReport v2 service requests, in JSON or XML, with the extensions that cities add."""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.parsers import expat
from zoneinfo import ZoneInfo

from defusedxml import ElementTree

from pipelines.engine.decode.base import Decoded, Refused
from pipelines.engine.decode.service_requests import (
    LEAVING_STATES,
    OPEN_STATES,
    SETTLED_STATES,
    STATUSES,
    TABLE,
    Cells,
    JsonOriginals,
    Unreadable,
    decoded,
    json_document,
    zone_of,
)
from pipelines.engine.decode.text import MAX_MB, unpack

FILLS = (TABLE,)
LISTS = ("service_requests", "requests")
QUERY_SPAN = timedelta(days=90)
MAX_RESULTS = 1000
AUTOMATIC_NOTES = ("submitted", "opened", "acknowledged")


def decode(payload: bytes, mapping: Mapping[str, Any], received_at: datetime) -> Decoded:
    """The requests of one GET requests answer, or of a file packed with gzip.

    Raises Refused when the payload is neither JSON nor XML as the format says, or is the server's error message.
    """
    payload = unpack(payload, mapping.get("max_mb", MAX_MB))
    if mapping.get("format") == "open311_xml":
        root = _root(payload)
        elements = [root] if _name(root) == "request" else [e for e in root if _name(e) == "request"]
        items: Sequence[Any] = [_item(element) for element in elements]
        _refuse_errors([_item(e) for e in root] if _name(root) == "errors" else [], _name(root) in (*LISTS, "request"))
        return decoded(items, partial(_row, zone=zone_of(mapping)), XmlOriginals(payload))
    items, key = _json_items(json_document(payload))
    return decoded(items, partial(_row, zone=zone_of(mapping)), JsonOriginals(payload, items, key))


def query_span(start: datetime | None, end: datetime | None) -> timedelta:
    """How long a GET requests query may reach: from start to end, 90 days where one is not given, never more.

    Source: Open311 GeoReport v2, GET service requests.
    """
    return QUERY_SPAN if start is None or end is None else min(end - start, QUERY_SPAN)


def _json_items(document: Any) -> tuple[list[Any], str]:
    key = next((k for k in LISTS if isinstance(document, dict) and isinstance(document.get(k), list)), "")
    if isinstance(document, dict):
        document = document[key] if key else [document]
        _refuse_errors(document, bool(key) or "service_request_id" in document[0])
    elif isinstance(document, list):
        _refuse_errors(document, True)
    else:
        _refuse_errors([], False)
    return document, key


def _refuse_errors(items: Sequence[Any], looks_right: bool) -> None:
    """Tell the server's own error message, or something else altogether, from a list of requests."""
    errors = [i for i in items if isinstance(i, Mapping) and "code" in i and "service_request_id" not in i]
    if errors and len(errors) == len(items):
        words = "; ".join(f"{e['code']} {e.get('description', '')}".strip() for e in errors)
        raise Refused(
            "server_error", f"The server answered with an error: {words[:300]}. Check the feed's address and key."
        )
    if not looks_right:
        raise Refused("not_open311", "This is no Open311 list of service requests. Check the address of the feed.")


def _row(item: Any, zone: ZoneInfo | None) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise Unreadable("type", "This item is no service request but a bare value.")
    cells, extra = Cells(item, zone), Cells(item.get("extended_attributes"), zone)
    lat, lon = cells.position("lat", "long")
    plain = (
        "status_notes",
        "service_name",
        "service_code",
        "description",
        "agency_responsible",
        "address",
        "media_url",
    )
    instants = ("updated_datetime", "expected_datetime")
    extras = ("first_response_at", "reopened_at", "appealed_at", "appeal_closed_at")
    row: dict[str, Any] = {
        "service_request_id": cells.required("service_request_id"),
        "status": _status(cells.required("status")),
        "requested_datetime": _requested(cells),
        **{name: cells.text(name) for name in plain},
        **{name: cells.instant(name) for name in instants},
        **{name: extra.instant(name) for name in extras},
        "lat": lat,
        "lon": lon,
        "ward": extra.text("ward"),
        "channel": extra.text("channel"),
        "reopen_count": extra.whole("reopen_count"),
        "rating": extra.whole("rating"),
        "paused_h": extra.number("paused_h"),
        "duplicate_of": extra.text("duplicate_of"),
    }
    return row | _history(row, extra, _notes(item.get("notes"), zone))


def _status(status: str) -> str:
    if status not in STATUSES:
        allowed = 'Open311 allows exactly "open" or "closed" in small letters; finer states go to status_notes.'
        raise Unreadable("status", f"status is {status[:40]!r}. {allowed}")
    return status


def _requested(cells: Cells) -> datetime:
    cells.required("requested_datetime")
    requested = cells.instant("requested_datetime")
    assert requested is not None  # `required` has just seen it
    return requested


def _notes(notes: Any, zone: ZoneInfo | None) -> list[tuple[datetime, str]]:
    """Time and type of every note that can be read; notes are an extension, so a bad one costs nothing."""
    found = []
    for note in notes if isinstance(notes, list) else []:
        cells = Cells(note, zone)
        try:
            at, kind = cells.instant("datetime"), cells.text("type")
        except Unreadable:
            continue
        if at is not None and kind is not None:
            found.append((at, kind))
    return sorted(found)


def _history(row: dict[str, Any], extra: Cells, notes: list[tuple[datetime, str]]) -> dict[str, Any]:
    """What happened to the request, from extended attributes, else its notes, else its two Open311 dates."""
    closings = [at for at, kind in notes if kind == "closed"]
    reopenings = [at for at, kind in notes if kind == "reopened"]
    answers = [at for at, kind in notes if kind not in AUTOMATIC_NOTES and at >= row["requested_datetime"]]
    closed = row["status"] == "closed"
    closed_at = extra.instant("closed_at") or (
        closings[-1] if closings else row["updated_datetime"] if closed else None
    )
    first_response = row["first_response_at"] or (answers[0] if answers else None)
    duplicate = row["duplicate_of"] is not None or extra.text("duplicate") == "true"
    return {
        "closed_at": closed_at,
        "first_response_at": first_response,
        "reopened_at": row["reopened_at"] or (reopenings[-1] if reopenings else None),
        "reopen_count": len(reopenings) if row["reopen_count"] is None and notes else row["reopen_count"],
        "duplicate_of": row["duplicate_of"] or (extra.text("parent_service_request_id") if duplicate else None),
        "state": _state(extra.text("state"), closed, duplicate, first_response is not None),
    }


def _state(given: str | None, closed: bool, duplicate: bool, answered: bool) -> str:
    """The sender's own state where it agrees with the status, else what the status and the notes tell."""
    allowed = LEAVING_STATES + (SETTLED_STATES if closed else OPEN_STATES)
    if given in allowed:
        return given
    if duplicate:
        return "duplicate"
    return "closed" if closed else "in_progress" if answered else "received"


def _name(element: Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def _root(payload: bytes) -> Element:
    """The root of the XML; a document type is refused, because entities can blow a small file up to gigabytes."""
    try:
        root: Element = ElementTree.fromstring(payload, forbid_dtd=True)
    except ParseError as error:
        raise Refused("not_xml", f"The answer is not XML ({error}). Check the address of the feed.") from error
    except (ValueError, LookupError) as error:
        words = (
            "The XML declares a document type, entities or an unknown encoding, which a list of requests never needs."
        )
        raise Refused("unsafe_xml", words) from error
    return root


def _item(element: Element) -> dict[str, Any]:
    """The request as JSON would have it: text, `extended_attributes` as an object, `notes` as a list of objects."""
    item: dict[str, Any] = {}
    for child in element:
        name = _name(child)
        if name == "notes":
            item[name] = [{_name(cell): cell.text for cell in note} for note in child]
        else:
            item[name] = {_name(cell): cell.text for cell in child} if len(child) else child.text
    return item


@dataclass(frozen=True)
class XmlHead:
    """What stands around the requests of a list and is needed to read one alone."""

    encoding: str
    namespaces: Mapping[str, str]


def xml_head(payload: bytes) -> XmlHead:
    """The encoding and the namespaces that the root of an XML payload declares."""
    declared: list[str] = [name for mark, name in UTF16.items() if payload.startswith(mark)]
    spaces: dict[str, str] = {}
    parser = expat.ParserCreate()

    def begin(_: str, attributes: dict[str, str]) -> None:
        parser.StartElementHandler = None
        spaces.update((name, value) for name, value in attributes.items() if name.split(":")[0] == "xmlns")

    parser.XmlDeclHandler = lambda _version, encoding, _alone: declared.append(encoding or "utf-8")
    parser.StartElementHandler = begin
    parser.Parse(payload, True)
    return XmlHead(next(iter(declared), "utf-8"), spaces)


UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class XmlOriginals:
    """The bytes of each <request> as they stood in the payload, found only when somebody asks."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.spans: list[tuple[int, int]] | None = None

    def __call__(self, row: int) -> bytes:
        """From the item's start tag to its end tag."""
        if self.spans is None:
            self.spans = self._find()
        start, end = self.spans[row]
        return self.payload[start:end]

    def _find(self) -> list[tuple[int, int]]:
        parser = expat.ParserCreate()
        # In UTF-16 with the lower byte first, the other half of the last character stands behind it.
        width = 2 if self.payload.startswith(codecs.BOM_UTF16_LE) else 1
        spans: list[tuple[int, int]] = []
        path: list[tuple[str, int]] = []

        def begin(name: str, _: Any) -> None:
            path.append((name.rsplit(":", 1)[-1], parser.CurrentByteIndex))

        def finish(_: str) -> None:
            name, start = path.pop()
            if name == "request" and len(path) <= 1:
                spans.append((start, self.payload.find(b">", parser.CurrentByteIndex) + width))

        parser.StartElementHandler, parser.EndElementHandler = begin, finish
        parser.Parse(self.payload, True)
        return sorted(spans)
