"""A request as somebody files it, checked: what is wrong with each field, and what becomes public and what does not."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.filing.faults import Faulty
from pipelines.engine.geo import STREET_DECIMALS
from pipelines.engine.model import Table
from pipelines.engine.registers import Registers

LONGEST = {"place": 200, "description": 4000, "name": 100, "media_url": 500}
CHANNELS = ("counter", "phone", "paper")
MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
# As map programs copy a position: "26.5912, 74.8563".
POSITION = re.compile(r"([-+]?\d{1,3}\.\d+)\s*[,; ]\s*([-+]?\d{1,3}\.\d+)")
# Clocks of people who write down what came by phone may differ by this much.
LEEWAY = timedelta(minutes=5)
PERSONAL = ("description", "place", "lat", "lon", "name", "phone", "email", "media_url")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What somebody reports; an empty text is nothing."""

    service: str
    ward: str = ""
    place: str = ""
    lat: float | None = None
    lon: float | None = None
    description: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    media_url: str = ""
    channel: str = "web"
    received_at: datetime | None = None
    joins: str = ""

    def telling(self) -> dict[str, Any]:
        """The report as JSON can carry it."""
        return {**asdict(self), "received_at": self.received_at.isoformat() if self.received_at else None}

    @staticmethod
    def told(facts: Mapping[str, Any]) -> "Report":
        """The report that was told."""
        at = facts["received_at"]
        return Report(**{**facts, "received_at": datetime.fromisoformat(at) if at else None})

    @property
    def personal(self) -> dict[str, Any]:
        """What goes into the vault and nowhere else."""
        return {name: value for name in PERSONAL if (value := getattr(self, name)) not in ("", None)}


def checked(report: Report, registers: Registers, table: Table, now: datetime) -> Report:
    """The report with its ward and position filled in where its words tell them.

    Raises Faulty: the first field that is not as it must be.
    """
    services = offered(registers, table)
    if not report.service:
        raise Faulty("service", "missing")
    if report.service not in services:
        raise Faulty("service", "unknown")
    for name, most in LONGEST.items():
        if len(getattr(report, name)) > most:
            raise Faulty(name, "too_long")
    if report.email and not (MAIL.fullmatch(report.email) and len(report.email) <= 200):
        raise Faulty("email", "form")
    if report.phone and not 6 <= sum(letter.isdigit() for letter in report.phone[:60]) <= 15:
        raise Faulty("phone", "form")
    if report.received_at is not None and report.received_at > now + LEEWAY:
        raise Faulty("received", "future")
    return _placed(_positioned(report), registers)


def _positioned(report: Report) -> Report:
    """The report with the position that its words name, where it has none."""
    match = POSITION.search(report.place)
    if match and report.lat is None:
        report = replace(report, lat=float(match[1]), lon=float(match[2]))
    if (report.lat is None) != (report.lon is None):
        raise Faulty("place", "position")
    if report.lat is not None and report.lon is not None and not (abs(report.lat) <= 90 and abs(report.lon) <= 180):
        raise Faulty("place", "position")
    return report


def _placed(report: Report, registers: Registers) -> Report:
    wards = set(registers.wards["ward"].to_list())
    if report.ward and report.ward not in wards:
        raise Faulty("ward", "unknown")
    if report.lat is None:
        if not report.ward and not report.place:
            raise Faulty("place", "missing")
        return report
    lies_in = registers.shapes.locate(pl.Series([report.lat]), pl.Series([report.lon]))[0]
    if lies_in is None and len(registers.shapes.ids):
        raise Faulty("place", "outside")
    return replace(report, ward=lies_in or report.ward)


def offered(registers: Registers, table: Table) -> dict[str, dict[str, Any]]:
    """Service code -> its row of the town's list, in the list's order."""
    assert table.filing is not None
    rows = registers.references[table.filing.services].iter_rows(named=True)
    return {row["service_code"]: row for row in rows}


def coarse(at: float | None) -> float | None:
    """A latitude or longitude as it may be told to everybody."""
    return None if at is None else round(at, STREET_DECIMALS)


def row_of(report: Report, number: str, service: Mapping[str, Any], table: Table, now: datetime) -> dict[str, Any]:
    """The row of the table that a report becomes; nothing in it is personal."""
    filing = table.filing
    assert filing is not None
    # Whole seconds, as Open311 tells them: whoever reads them there has the very same version.
    now = now.replace(microsecond=0)
    asked_at = min(report.received_at or now, now).replace(microsecond=0)
    promised = asked_at + timedelta(hours=service["limit_h"]) if service["limit_h"] is not None else None
    state = filing.joined if report.joins else filing.first
    status = filing.states[state]
    return {
        "service_request_id": number, "status": status, "state": state, "service_code": service["service_code"],
        "service_name": service["service_name"], "requested_datetime": asked_at.isoformat(),
        "updated_datetime": now.isoformat(), "expected_datetime": promised and promised.isoformat(),
        "ward": report.ward or None, "lat": coarse(report.lat), "lon": coarse(report.lon), "channel": report.channel,
        "duplicate_of": report.joins or None, "closed_at": now.isoformat() if status == "closed" else None,
    }  # fmt: skip


def filed_table(tables: Mapping[str, Table]) -> Table | None:
    """The table that people file rows of; None where the town has no such domain."""
    return next((table for table in tables.values() if table.filing is not None), None)


def in_words(state: str) -> str:
    """What a state of the office is called."""
    return state.replace("_", " ").capitalize()
