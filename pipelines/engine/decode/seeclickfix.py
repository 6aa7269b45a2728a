"""SeeClickFix API v2 issues, nested as the service sends them or with flattened keys as exports have them."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.engine.decode.base import Decoded, Refused
from pipelines.engine.decode.service_requests import (
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
STATUS = {"open": "open", "acknowledged": "open", "closed": "closed", "archived": "closed"}


def decode(payload: bytes, mapping: Mapping[str, Any], received_at: datetime) -> Decoded:
    """The issues of one answer, or of a file packed with gzip, as service requests.

    Raises Refused when the payload is not JSON or holds no issues.
    """
    payload = unpack(payload, mapping.get("max_mb", MAX_MB))
    items = _issues(json_document(payload))
    return decoded(items, partial(_row, zone=zone_of(mapping)), JsonOriginals(payload, items, "issues"))


def _issues(document: Any) -> list[Any]:
    if isinstance(document, dict):
        document = [document] if "id" in document and "issues" not in document else document.get("issues")
    if not isinstance(document, list):
        raise Refused(
            "not_seeclickfix", "This is no SeeClickFix list of issues. Check the address and key of the feed."
        )
    return document


def _row(item: Any, zone: ZoneInfo | None) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise Unreadable("type", "This item is no issue but a bare value.")
    cells = Cells(item, zone)
    lat, lon = _position(cells)
    reported = cells.required("status").lower()
    if reported not in STATUS:
        raise Unreadable("status", f"status is {reported[:40]!r}. SeeClickFix knows {', '.join(STATUS)}.")
    cells.required("created_at")
    return {
        "service_request_id": cells.required("id"),
        "status": STATUS[reported],
        "service_name": cells.text("request_type.title"),
        "service_code": cells.text("request_type.id"),
        "agency_responsible": cells.text("request_type.organization"),
        "description": cells.text("description") or cells.text("summary"),
        "requested_datetime": cells.stamp("created_at"),
        "updated_datetime": cells.stamp("updated_at"),
        "address": cells.text("address"),
        "lat": lat,
        "lon": lon,
        "media_url": cells.text("media.image_full"),
    } | _history(cells, reported)


def _history(cells: Cells, reported: str) -> dict[str, Any]:
    """What happened to the issue. Its `rating` counts supporters and is no satisfaction, so it is left out."""
    acknowledged, closed = cells.stamp("acknowledged_at"), cells.stamp("closed_at")
    reopened = cells.stamp("reopened_at")
    answers = [at for at in (acknowledged, closed) if at is not None]
    state = "closed" if STATUS[reported] == "closed" else "reopened" if reopened else "received"
    return {
        "state": "acknowledged" if state == "received" and reported == "acknowledged" else state,
        "closed_at": closed,
        "first_response_at": min(answers, default=None),
        "reopened_at": reopened,
        "reopen_count": int(reopened is not None),
    }


def _position(cells: Cells) -> tuple[float | None, float | None]:
    """The issue's own lat and lng, else its GeoJSON point (longitude first)."""
    lat, lon = cells.position("lat", "lng")
    point = cells.raw("point.coordinates")
    if lat is None and isinstance(point, list) and len(point) == 2:
        return Cells({"lat": point[1], "lng": point[0]}, cells.zone).position("lat", "lng")
    return lat, lon
