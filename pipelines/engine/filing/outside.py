"""Requests as everybody may see them, in the words of Open311 GeoReport v2, and the questions that may be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines.engine.filing.report import coarse
from pipelines.engine.filing.vault import Case
from pipelines.engine.people.scrubbing import scrubbed

MOST = 1000
EXTENDED = (
    "ward", "state", "channel", "closed_at", "first_response_at", "reopened_at", "reopen_count", "duplicate_of",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which requests somebody asks for; numbers go before everything else."""

    numbers: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    page: int = 1
    size: int = MOST
    extended: bool = False

    @property
    def skip(self) -> int:
        """How many come before the page."""
        return (self.page - 1) * self.size

    def condition(self) -> tuple[str, dict[str, Any]]:
        """The same in SQL, with its parameters."""
        columns = {"service_request_id": self.numbers, "service_code": self.codes, "status": self.statuses}
        wanted = {name: list(values) for name, values in columns.items() if values}
        return " AND ".join(f'"{name}" IN (SELECT unnest(${name}))' for name in wanted), wanted


def request(row: Mapping[str, Any], wards: Mapping[str, str | None], *, extended: bool) -> dict[str, Any]:
    """One request for everybody: its place by ward and stretch of street, without a word of who wrote it."""
    told = {
        "service_request_id": row["service_request_id"], "status": row["status"],
        "status_notes": scrubbed(row["status_notes"]) if row["status_notes"] else None,
        "service_name": row["service_name"], "service_code": row["service_code"], "description": None,
        "agency_responsible": row["agency_responsible"], "service_notice": None,
        "requested_datetime": w3c(row["requested_datetime"]), "updated_datetime": w3c(row["updated_datetime"]),
        "expected_datetime": w3c(row["expected_datetime"]), "address": wards.get(row["ward"]) or row["ward"],
        "address_id": None, "zipcode": None, "lat": coarse(row["lat"]), "long": coarse(row["lon"]), "media_url": None,
    }  # fmt: skip
    if extended:
        told["extended_attributes"] = {name: _told(row[name]) for name in EXTENDED if row[name] is not None}
    return told


def of_numbers(rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The condition for the vault's cases of these rows."""
    numbers = [row["service_request_id"] for row in rows]
    return f"number IN ({', '.join('?' * len(numbers))})", numbers


def add_personal(told: Sequence[dict[str, Any]], rows: Sequence[Mapping[str, Any]], held: Sequence[Case]) -> None:
    """What was written and just where it is, for those who may see it: from the vault, or from the feed it came by."""
    known = {case.number: case.personal for case in held}
    for one, row in zip(told, rows, strict=True):
        own = known.get(row["service_request_id"], {})
        one["description"] = own.get("description", row["description"])
        one["address"] = own.get("place", row["address"]) or one["address"]
        one["lat"], one["long"] = own.get("lat", row["lat"]), own.get("lon", row["lon"])
        one["media_url"] = own.get("media_url", row["media_url"])


def w3c(at: datetime | None) -> str | None:
    """An instant in the W3C's form, in whole seconds of UTC."""
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _told(value: Any) -> Any:
    return w3c(value) if isinstance(value, datetime) else value
