"""Short ways to write a mapping and decode a payload in the tests of declared tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipelines.engine.decode.base import Decoded
from pipelines.engine.decode.table_file import decode

RECEIVED = datetime(2024, 7, 1, 6, 0, tzinfo=UTC)


def read(
    payload: bytes | str, form: str = "csv", zone: str | None = "Etc/UTC", table: str = "readings", **mapping: Any
) -> Decoded:
    """What the payload holds under this mapping."""
    body = payload.encode() if isinstance(payload, str) else payload
    return decode(body, {"format": form, "table": table, "zone": zone, "feed": "test", **mapping}, RECEIVED)


def of_feed(feed: Mapping[str, Any], payload: bytes) -> Decoded:
    """What the payload holds under a feed of a town.toml."""
    engine = {"feed": "test", "zone": feed.get("zone"), "format": feed["format"], "table": feed["table"]}
    return decode(payload, {**engine, **feed["mapping"]}, RECEIVED)


def rows(decoded: Decoded) -> list[tuple[Any, ...]]:
    """(sensor, observed_at in ISO, value) of every reading."""
    frame = decoded.tables["readings"]
    return [(s, at.isoformat()[:16], v) for s, at, v in frame.select("sensor", "observed_at", "value").iter_rows()]


def reasons(decoded: Decoded) -> list[tuple[int, str]]:
    """(row, reason) of every refusal."""
    return [(one.row, one.reason) for one in decoded.refused]
