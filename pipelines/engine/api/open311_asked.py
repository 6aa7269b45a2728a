"""What an Open311 client asks for or files, read from its parameters and fields."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pipelines.engine.asking import Misasked, maybe_instant
from pipelines.engine.filing.faults import Faulty
from pipelines.engine.filing.outside import MOST, Asked
from pipelines.engine.filing.posted import Posted
from pipelines.engine.filing.report import Report
from pipelines.engine.town import Town

SPAN = timedelta(days=90)
# Polls ask from the moment 90 days ago by their own clock.
LEEWAY = timedelta(minutes=10)
STATUSES = ("open", "closed")
CHANNEL = "app"
MOST_PAGES = 100_000


def asked(given: Mapping[str, str], now: datetime) -> Asked:
    """Which requests these parameters ask for: without dates the last 90 days, never more at once.

    Raises Misasked (400).
    """
    numbers = _several(given["service_request_id"])
    if numbers:
        return Asked(numbers=numbers, extended=given["extensions"] == "true")
    start, end = _span(_instant(given, "start_date"), _instant(given, "end_date"), now)
    statuses = _several(given["status"])
    if not set(statuses) <= set(STATUSES):
        raise Misasked("status is open, closed, or both with a comma between them.", 400)
    return Asked(
        codes=_several(given["service_code"]), statuses=statuses, start=start, end=end,
        page=_count(given, "page", 1, MOST_PAGES), size=_count(given, "page_size", MOST, MOST),
        extended=given["extensions"] == "true",
    )  # fmt: skip


def _span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    if start is None:
        return (end or now) - SPAN, (end or now + LEEWAY) + timedelta(seconds=1)
    end = start + SPAN + LEEWAY if end is None else end
    if not timedelta(0) <= end - start <= SPAN + LEEWAY:
        raise Misasked(
            "start_date must lie before end_date, by at most 90 days. Ask for one span after the other.", 400
        )
    return start, end + timedelta(seconds=1)


def _instant(given: Mapping[str, str], name: str) -> datetime | None:
    try:
        return maybe_instant(given[name], name)
    except Misasked as mistake:
        raise Misasked(mistake.words, 400) from mistake


def _several(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())[:MOST]


def _count(given: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = given[name]
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most and len(text) < 9):
        raise Misasked(f"{name} is a whole number from 1 to {most}.", 400)
    return int(text)


def reported(sent: Posted, town: Town) -> Report:
    """What a client files.

    Raises Misasked: 400 for what is missing or cannot be read, 404 for what is not known.
    """
    own = town.settings.filing.jurisdiction
    if own and sent.one("jurisdiction_id") not in ("", own):
        raise Misasked(f"jurisdiction_id was not found. Here is {own}.", 404)
    code = sent.one("service_code")
    if not code:
        raise Misasked("service_code was not provided.", 400)
    if code not in town.filing.services():
        raise Misasked(f"service_code {code[:80]} was not found. All stand in the list of services.", 404)
    return Report(
        service=code, ward=sent.one("attribute[ward]") or sent.one("attribute[ward][]"),
        place=sent.one("address_string"), lat=_degrees(sent, "lat"), lon=_degrees(sent, "long"),
        description=sent.one("description"), name=f"{sent.one('first_name')} {sent.one('last_name')}".strip(),
        phone=sent.one("phone"), email=sent.one("email"), media_url=sent.one("media_url"), channel=CHANNEL,
    )  # fmt: skip


def _degrees(sent: Posted, name: str) -> float | None:
    text = sent.one(name)
    try:
        return float(text) if text else None
    except ValueError as error:
        raise Faulty("place", "position") from error
