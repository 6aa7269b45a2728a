"""The tables of grievances: service requests in Open311's words, and the services that people may ask for."""

from datetime import timedelta

import polars as pl

from pipelines.engine.decode.service_requests import OPEN_STATES, STATES, STATUSES
from pipelines.engine.model import Check, Column, Complaints, Filing, Reference, Source, Table


def _not_before(later: str, earlier: str) -> pl.Expr:
    return (pl.col(later) >= pl.col(earlier)).fill_null(True)


SERVICE_REQUESTS = Table(
    name="service_requests",
    meaning="What people asked the town to put right, one row per request, newest version.",
    key=("service_request_id",),
    time="requested_datetime",
    version="updated_datetime",
    complaints=Complaints(
        "service_request_id",
        ("service_name", "service_code"),
        "requested_datetime",
        "ward",
        "status",
        "expected_datetime",
        "closed_at",
        "duplicate_of",
        "status_notes",
    ),
    filing=Filing(
        services="services",
        states={state: "open" if state in OPEN_STATES else "closed" for state in STATES},
        first="received",
        joined="duplicate",
        again="reopened",
    ),
    located=True,
    columns=(
        Column(name="service_request_id", meaning="The request's number", required=True),
        Column(name="status", meaning="open or closed, nothing else", required=True, choices=STATUSES),
        Column(name="status_notes", meaning="Why it has this status, in the office's words", free=True),
        Column(name="service_name", meaning="What was asked for, in words"),
        Column(name="service_code", meaning="What was asked for, as a code"),
        Column(name="description", meaning="What the resident wrote", personal=True),
        Column(name="agency_responsible", meaning="Department in charge"),
        Column(name="requested_datetime", kind="instant", meaning="When it was received", required=True),
        Column(name="updated_datetime", kind="instant", meaning="When it was last changed"),
        Column(name="expected_datetime", kind="instant", meaning="When it is promised to be settled"),
        Column(name="address", meaning="Where, in words", personal=True),
        Column(name="lat", kind="number", meaning="Latitude", low=-90, high=90, personal=True),
        Column(name="lon", kind="number", meaning="Longitude (Open311: long)", low=-180, high=180, personal=True),
        Column(name="ward", meaning="Ward it lies in"),
        Column(name="media_url", meaning="Address of a picture", personal=True),
        Column(name="state", meaning="Where the office stands with it", choices=STATES),
        Column(name="closed_at", kind="instant", meaning="When it was last closed"),
        Column(name="first_response_at", kind="instant", meaning="When a person first answered"),
        Column(name="reopened_at", kind="instant", meaning="When it was last reopened"),
        Column(name="reopen_count", kind="integer", meaning="How often it was reopened", low=0),
        Column(name="duplicate_of", meaning="Number of the request that it repeats"),
        Column(name="rating", kind="integer", meaning="What the resident gives the result, 1 to 5", low=1, high=5),
        Column(name="channel", meaning="How it came: phone, web, app, counter"),
        Column(name="paused_h", kind="number", unit="h", meaning="Hours spent waiting for the resident", low=0),
        Column(name="appealed_at", kind="instant", meaning="When the resident appealed"),
        Column(name="appeal_closed_at", kind="instant", meaning="When the appeal was decided"),
    ),
    checks=(
        Check(
            name="closed_before_requested",
            words="closed before it was requested",
            holds=_not_before("closed_at", "requested_datetime"),
        ),
        Check(
            name="expected_before_requested",
            words="promised for a time before it was requested",
            holds=_not_before("expected_datetime", "requested_datetime"),
        ),
    ),
)

SERVICES = Reference(
    name="services",
    meaning="What people may ask for (Open311's service list), and how soon the town promises it.",
    key=("service_code",),
    columns=(
        Column(name="service_code", meaning="The code that requests carry", required=True),
        Column(name="service_name", meaning="Its name", required=True),
        Column(name="group", meaning="What it belongs to, for example Water"),
        Column(name="description", meaning="What it covers, for residents"),
        Column(name="limit_h", kind="number", unit="h", meaning="Hours promised where a request names no date", low=0),
        Column(
            name="within_24h", kind="flag", meaning="yes for water, sewer and waste: counted in redressal within 24 h"
        ),
    ),
)

OPEN311_JSON = Source(
    name="open311_json",
    format="open311_json",
    every=timedelta(minutes=5),
    meaning="Service requests of an Open311 GeoReport v2 server, in JSON",
    sample="grievances/open311_requests.json",
)
OPEN311_XML = Source(
    name="open311_xml",
    format="open311_xml",
    every=timedelta(minutes=5),
    meaning="Service requests of an Open311 GeoReport v2 server, in XML",
    sample="grievances/open311_requests.xml",
)
SEECLICKFIX = Source(
    name="seeclickfix",
    format="seeclickfix",
    every=timedelta(minutes=15),
    meaning="Issues of SeeClickFix (API v2)",
    sample="grievances/seeclickfix_issues.json",
)
COMPLAINT_BOOK = Source(
    name="complaint_book",
    format="csv",
    every=timedelta(days=1),
    meaning="The counter's complaint book: a CSV file with the columns of service_requests",
    mapping={"table": "service_requests"},
    sample="grievances/complaint_book.csv",
)
