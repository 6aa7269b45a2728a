"""What Open311 and SeeClickFix have in common: the cells of a service request, its frame and the bytes it came in."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import polars as pl

from pipelines.engine.decode.base import ROW, Decoded, Refusal, Refused, RowOriginals
from pipelines.engine.model import INSTANT

TABLE = "service_requests"
STATUSES = ("open", "closed")
SETTLED_STATES = ("closed", "rejected")
LEAVING_STATES = ("duplicate", "withdrawn")
OPEN_STATES = ("received", "acknowledged", "assigned", "in_progress", "on_hold", "reopened")
STATES = OPEN_STATES + SETTLED_STATES + LEAVING_STATES
SCHEMA: dict[str, pl.DataType] = {
    "service_request_id": pl.String(),
    "status": pl.String(),
    "status_notes": pl.String(),
    "service_name": pl.String(),
    "service_code": pl.String(),
    "description": pl.String(),
    "agency_responsible": pl.String(),
    "requested_datetime": INSTANT,
    "updated_datetime": INSTANT,
    "expected_datetime": INSTANT,
    "address": pl.String(),
    "lat": pl.Float64(),
    "lon": pl.Float64(),
    "ward": pl.String(),
    "media_url": pl.String(),
    "state": pl.String(),
    "closed_at": INSTANT,
    "first_response_at": INSTANT,
    "reopened_at": INSTANT,
    "reopen_count": pl.Int64(),
    "duplicate_of": pl.String(),
    "rating": pl.Int64(),
    "channel": pl.String(),
    "paused_h": pl.Float64(),
    "appealed_at": INSTANT,
    "appeal_closed_at": INSTANT,
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RIGHT_TIME = "Write it like 2025-03-01T09:30:00+05:30."
SEPARATORS = ", \t\r\n"


class Unreadable(Exception):
    """One item cannot become a row: a short reason and words for the clerk; becomes a Refusal."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason
        self.words = words


class Cells:
    """The cells of one item, read by name; a dotted name is found flattened (`a.b`) or nested.

    Raises Unreadable when a cell is filled but cannot be what its reader asks for.
    """

    def __init__(self, item: Any, zone: ZoneInfo | None) -> None:
        self.item: Mapping[str, Any] = item if isinstance(item, Mapping) else {}
        self.zone = zone

    def raw(self, name: str) -> Any:
        """What stands under this name, None when nothing does."""
        if name in self.item or "." not in name:
            return self.item.get(name)
        outer, inner = name.split(".", 1)
        return Cells(self.item.get(outer), self.zone).raw(inner)

    def text(self, name: str) -> str | None:
        """The cell as text; empty is None; 18124.0 is "18124"."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, str):
            return value.strip() or None
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, (int, float)):
            return str(value).lower()
        raise Unreadable("type", f"{name} holds a list or an object. It must be text.")

    def required(self, name: str) -> str:
        """The cell as text, which must be there."""
        value = self.text(name)
        if value is None:
            raise Unreadable("missing", f"{name} is missing. Every request needs it: ask the sender to fill it.")
        return value

    def number(self, name: str) -> float | None:
        """The cell as a finite number, also when it came as text."""
        written = self.text(name)
        if written is None:
            return None
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise Unreadable("number", f"{name} is {written[:40]!r}. It must be a number.")
        return value

    def whole(self, name: str) -> int | None:
        """The cell as a whole number."""
        value = self.number(name)
        if value is not None and (not value.is_integer() or abs(value) > 1e9):
            raise Unreadable("number", f"{name} is {value:g}. It must be a whole number.")
        return None if value is None else int(value)

    def position(self, lat: str, lon: str) -> tuple[float | None, float | None]:
        """Latitude and longitude; (None, None) when one lacks or both are 0, which is how apps say "unknown"."""
        north, east = self.number(lat), self.number(lon)
        if north is None or east is None or north == east == 0:
            return None, None
        return north, east

    def instant(self, name: str) -> datetime | None:
        """The cell as a UTC instant, written as RFC 3339."""
        written = self.text(name)
        try:
            return None if written is None else self._utc(name, datetime.fromisoformat(written))
        except (ValueError, OverflowError) as error:
            raise Unreadable("datetime", f"{name} is {str(written)[:40]!r}. {RIGHT_TIME}") from error

    def stamp(self, name: str) -> datetime | None:
        """The cell as a UTC instant, written as RFC 3339 or as a number of milliseconds since 1970."""
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return self.instant(name)
        try:
            return EPOCH + timedelta(milliseconds=value)
        except (ValueError, OverflowError) as error:
            raise Unreadable("datetime", f"{name} is {value!r}. {RIGHT_TIME}") from error

    def _utc(self, name: str, instant: datetime) -> datetime:
        if instant.tzinfo is None and self.zone is None:
            raise Unreadable("zone", f"{name} names no time zone. Ask the sender for one, or give the feed a `zone`.")
        aware = instant.replace(tzinfo=self.zone) if instant.tzinfo is None else instant
        return aware.astimezone(UTC)


class JsonOriginals:
    """The bytes of each item of a JSON list as they stood in the payload, found only when somebody asks."""

    def __init__(self, payload: bytes, items: Sequence[Any], key: str) -> None:
        self.payload, self.items, self.key = payload, items, key

    def __call__(self, row: int) -> bytes:
        """The item's bytes; written anew when its place in the payload is not certain."""
        if row < len(self.slices) and orjson.loads(self.slices[row]) == self.items[row]:
            return self.slices[row]
        return orjson.dumps(self.items[row])

    @cached_property
    def slices(self) -> list[bytes]:
        text = self.payload.decode("utf-8", errors="replace")
        named = 0 if text.lstrip("\ufeff \t\r\n").startswith("[") else text.find(f'"{self.key}"')
        found: list[bytes] = []
        position = text.find("[", max(named, 0)) + 1
        reader = json.JSONDecoder()
        while position and len(found) < len(self.items):
            while position < len(text) and text[position] in SEPARATORS:
                position += 1
            try:
                _, end = reader.raw_decode(text, position)
            except (ValueError, RecursionError):
                break
            found.append(text[position:end].encode())
            position = end
        return found


def json_document(payload: bytes) -> Any:
    """The parsed JSON.

    Raises Refused when it is not JSON.
    """
    try:
        return orjson.loads(payload.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        begin = payload[:60].decode("utf-8", errors="replace")
        found = f"The answer is not JSON ({error.msg}, line {error.lineno}); it begins with {begin!r}."
        raise Refused("not_json", f"{found} Check the address of the feed.") from error


def zone_of(mapping: Mapping[str, Any]) -> ZoneInfo | None:
    """The zone in which the feed writes times that name none; None when the feed declares no zone.

    Raises Refused when the name is unknown.
    """
    name = mapping.get("zone")
    try:
        return ZoneInfo(name) if name else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused("zone", f"The feed's zone is {name!r}. Write it like Asia/Kolkata.") from error


def decoded(items: Sequence[Any], read: Callable[[Any], dict[str, Any]], original: RowOriginals) -> Decoded:
    """Every item that `read` understands as a row, the others as refusals with their bytes."""
    rows: list[dict[str, Any]] = []
    refused: list[Refusal] = []
    for number, item in enumerate(items):
        try:
            rows.append({**read(item), ROW: number})
        except Unreadable as bad:
            refused.append(Refusal(number, bad.reason, bad.words, original(number), TABLE))
    frame = pl.DataFrame(rows, schema={**SCHEMA, ROW: pl.UInt32()}, orient="row")
    return Decoded({TABLE: frame}, tuple(refused), original=original)
