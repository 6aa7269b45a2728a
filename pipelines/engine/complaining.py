"""What a domain says of a table of complaints: which column says what, and how people file rows of it here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# What Open311 clients read and write, by its own words (`long` is `lon` here); behind it what the office adds.
GEOREPORT = (
    "service_request_id", "status", "status_notes", "service_name", "service_code", "description", "agency_responsible",
    "requested_datetime", "updated_datetime", "expected_datetime", "address", "lat", "lon", "media_url",
)  # fmt: skip
OFFICE = ("ward", "state", "closed_at", "first_response_at", "reopened_at", "reopen_count", "duplicate_of", "channel")
OFFERED = ("service_code", "service_name", "group", "description", "limit_h")


class Complaints(NamedTuple):
    """The columns of a table of complaints: number, what about (words and code), when, where, and how it stands.

    `status` is open or closed; `promised` and `ended` say until when it is to be settled, and when it was. `joins`
    holds the number of the complaint that this one repeats, `notes` the office's answer, where the table has them.
    """

    number: str
    about: tuple[str, ...]
    at: str
    ward: str
    status: str
    promised: str
    ended: str
    joins: str = ""
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class Filing:
    """How people file rows of a table with the town itself; the table has the columns of GEOREPORT and OFFICE.

    `services` names the reference of what may be asked for, with the columns of OFFERED. `states` are the office's
    own, each with the status that it stands for outside; of them, `first` is what was just filed has, `joined` what
    repeats another, `again` what was closed and came back.
    """

    services: str
    states: Mapping[str, str] = field(default_factory=dict)
    first: str
    joined: str
    again: str
