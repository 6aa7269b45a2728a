"""The grievance KPIs in plain Python, written from the catalogue."""

import math
import statistics
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from tests.oracles.agreement import Dirty
from tests.oracles.dirt import square
from tests.oracles.plain import DAY, HOUR, TICK, Row, Rows, Span, areas, divided, latest, local, percentile, shared

Values = dict[str, float | None]
ALL = ("town", "ward", "service", "department")
CHANNELS = ("town", "ward", "channel")
CHANGE_OF_LIMIT = "2024-08-23"


def requests(dirty: Dirty) -> Rows:
    """The newest state of each request; of states of the same time the one that came last."""
    return dirty.kept("requests", lambda: _requests(dirty))


def _requests(dirty: Dirty) -> Rows:
    states = sorted(enumerate(dirty.rows("service_requests")), key=lambda one: (one[1]["updated_datetime"], one[0]))
    found = latest((row for _, row in states), "service_request_id")
    for row in found:
        row["ward"] = row["ward"] or square(row["lat"], row["lon"])
        row["service"], row["department"] = row["service_code"] or row["service_name"], row["agency_responsible"]
        row["settled"] = row["closed_at"] if row["status"] == "closed" else None
    return found


def office(dirty: Dirty) -> Rows:
    """Those that count for or against the office."""
    return dirty.kept("office", lambda: [row for row in requests(dirty) if _counts(row)])


def _counts(row: Row) -> bool:
    gone = row["state"] in ("duplicate", "withdrawn") or row["duplicate_of"] is not None
    return not gone and not (row["status"] == "closed" and row["closed_at"] is None)


def came(dirty: Dirty, span: Span) -> Rows:
    return [row for row in office(dirty) if span.holds(row["requested_datetime"])]


def settled(dirty: Dirty, span: Span) -> Rows:
    return [row for row in office(dirty) if span.holds(row["settled"])]


def share(rows: Iterable[Row], levels: tuple[str, ...], judge: Callable[[Row], bool | None]) -> Values:
    return {area: shared(judge(row) for row in own) for area, own in areas(rows, levels).items()}


def days(row: Row) -> float:
    return (row["settled"] - row["requested_datetime"]) / DAY


def due(dirty: Dirty, row: Row, *, paused: bool = True) -> datetime | None:
    limits = {one["service_code"]: one["limit_h"] for one in dirty.register("services")}
    promised = row["expected_datetime"]
    if promised is None and limits.get(row["service_code"]):
        promised = row["requested_datetime"] + limits[row["service_code"]] * HOUR
    pause = (row["paused_h"] or 0) * HOUR if paused else timedelta(0)
    return None if promised is None else promised + pause


def in_time(dirty: Dirty, span: Span, *, paused: bool) -> Values:
    def judge(row: Row) -> bool | None:
        by, done = due(dirty, row, paused=paused), row["settled"]
        if done is not None and done <= span.as_of:
            return done <= by
        return False if by < span.as_of else None

    rows = [row for row in office(dirty) if span.holds(due(dirty, row, paused=paused))]
    return share(rows, ALL, judge)


def taken(dirty: Dirty, span: Span, part: float) -> Values:
    parts = areas(settled(dirty, span), ("town", "ward", "service"))
    return {area: percentile(map(days, own), part) for area, own in parts.items()}


def survival(rows: Rows, as_of: datetime) -> float | None:
    cohort = []
    for row in rows:
        over = row["settled"] is not None and row["settled"] <= as_of
        cohort.append((((row["settled"] if over else as_of) - row["requested_datetime"]) / DAY, over))
    alive = 1.0
    for day in sorted({day for day, over in cohort if over}):
        at_risk = sum(other >= day for other, _ in cohort)
        alive *= 1 - sum(other == day and over for other, over in cohort) / at_risk
        if alive <= 0.5 + 1e-9:
            return day
    return None


def km_median_days(dirty: Dirty, span: Span) -> Values:
    parts = areas(came(dirty, span), ("town", "ward", "service"))
    return {area: survival(own, span.as_of) for area, own in parts.items()}


def reopen_rate(dirty: Dirty, span: Span) -> Values:
    def again(row: Row) -> bool:
        return row["reopened_at"] is not None and row["reopened_at"] - row["closed_at"] <= 30 * DAY

    ended = [
        row for row in office(dirty)
        if span.holds(row["closed_at"])
        and (row["status"] == "closed" or (row["reopened_at"] and row["reopened_at"] >= row["closed_at"]))
    ]  # fmt: skip
    return share(ended, ("town", "ward", "department"), again)


def cpgrams_compliance(dirty: Dirty, span: Span) -> Values:
    def within(row: Row) -> bool:
        received = local(row["requested_datetime"], dirty.zone).date().isoformat()
        return days(row) <= (21 if received >= CHANGE_OF_LIMIT else 30)

    rows = [row for row in settled(dirty, span) if row["appealed_at"] is None or row["appeal_closed_at"] is not None]
    return share(rows, ("town", "department"), within)


def appeals_in_time(dirty: Dirty, span: Span) -> Values:
    rows = [row for row in office(dirty) if span.holds(row["appeal_closed_at"])]
    return share(rows, ("town", "department"), lambda row: row["appeal_closed_at"] - row["appealed_at"] <= 30 * DAY)


def redressal_within_24h(dirty: Dirty, span: Span) -> Values:
    marked = {one["service_code"] for one in dirty.register("services") if one["within_24h"] == "yes"}

    def judge(row: Row) -> bool | None:
        if row["settled"] is not None:
            return row["settled"] - row["requested_datetime"] <= DAY
        return _missed(row, span, 24)

    return share(
        [row for row in came(dirty, span) if row["service_code"] in marked], ("town", "ward", "service"), judge
    )


def _missed(row: Row, span: Span, hours: float) -> bool | None:
    """False when it is too late by now, null while it may still come; a complete window leaves nothing open."""
    complete = span.as_of >= span.end
    return False if complete or span.as_of - row["requested_datetime"] > hours * HOUR else None


# --- the pile


def spells(row: Row) -> list[tuple[datetime, datetime | None]]:
    """When it was open: [begun, ended)."""
    back = row["status"] == "open" and row["closed_at"] and row["reopened_at"] and row["reopened_at"] > row["closed_at"]
    if back:
        return [(row["requested_datetime"], row["closed_at"]), (row["reopened_at"], row["settled"])]
    return [(row["requested_datetime"], row["settled"])]


def is_open(row: Row, at: datetime) -> bool:
    return any(begun <= at and (ended is None or ended > at) for begun, ended in spells(row))


def end_of(span: Span) -> datetime:
    return min(span.as_of, span.end - TICK)


def everywhere(dirty: Dirty, levels: tuple[str, ...], rows: Rows | None = None) -> dict[str, Rows]:
    """Every area that there is, also those without a row; before the first request nothing is known."""
    known = areas(office(dirty) if rows is None else rows, levels)
    return {f"ward:{one['ward']}": [] for one in dirty.register("wards")} | known


def counted(dirty: Dirty, span: Span, judge: Callable[[Row], bool]) -> Values:
    if end_of(span) < min(row["requested_datetime"] for row in office(dirty)):
        return {}
    return {area: float(sum(map(judge, own))) for area, own in everywhere(dirty, ALL).items()}


def backlog(dirty: Dirty, span: Span) -> Values:
    at = end_of(span)
    found = counted(dirty, span, lambda row: is_open(row, at))
    ages = [(at - row["requested_datetime"]) / DAY for row in office(dirty) if is_open(row, at)]
    bounds = {"le7": (-1, 7), "d8_21": (7, 21), "d22_30": (21, 30), "gt30": (30, math.inf)}
    by_age = {f"age:{name}": float(sum(low < age <= high for age in ages)) for name, (low, high) in bounds.items()}
    return {**found, **(by_age if found else {})}


def backlog_over_30_days(dirty: Dirty, span: Span) -> Values:
    at = end_of(span)
    return counted(dirty, span, lambda row: is_open(row, at) and at - row["requested_datetime"] > 30 * DAY)


def overdue(dirty: Dirty, span: Span) -> Values:
    at = end_of(span)

    def late(row: Row) -> bool:
        by = due(dirty, row)
        return by is not None and by < at and is_open(row, at)

    return counted(dirty, span, late)


def backlog_median_age_days(dirty: Dirty, span: Span) -> Values:
    at = end_of(span)
    parts = areas([row for row in office(dirty) if is_open(row, at)], ("town", "ward", "department"))
    return {a: statistics.median((at - r["requested_datetime"]) / DAY for r in own) for a, own in parts.items()}


def moved(dirty: Dirty, span: Span) -> dict[str, tuple[int, int, int]]:
    """Open at the start, received and closed, of every area."""
    if end_of(span) < min(row["requested_datetime"] for row in office(dirty)):
        return {}
    found = {}
    for area, own in everywhere(dirty, ("town", "ward", "department")).items():
        closings = sum(span.holds(ended) for row in own for _, ended in spells(row))
        opening = sum(is_open(row, span.start - TICK) for row in own)
        found[area] = (opening, sum(span.holds(row["requested_datetime"]) for row in own), closings)
    return found


def clearance_rate(dirty: Dirty, span: Span) -> Values:
    return {area: divided(closed, received) for area, (_, received, closed) in moved(dirty, span).items()}


def disposal_rate(dirty: Dirty, span: Span) -> Values:
    return {area: divided(closed, opened + received) for area, (opened, received, closed) in moved(dirty, span).items()}


# --- the people


def requests_received(dirty: Dirty, span: Span) -> Values:
    if end_of(span) < min(row["requested_datetime"] for row in requests(dirty)):
        return {}
    parts = everywhere(dirty, ("town", "ward", "service"), requests(dirty))
    return {area: float(sum(span.holds(row["requested_datetime"]) for row in own)) for area, own in parts.items()}


def answer_h(row: Row) -> float | None:
    answered = row["first_response_at"]
    return (
        None
        if answered is None or answered < row["requested_datetime"]
        else (answered - row["requested_datetime"]) / HOUR
    )


def answers(dirty: Dirty, span: Span, part: float) -> Values:
    parts = areas(came(dirty, span), CHANNELS)
    return {a: percentile([h for h in map(answer_h, own) if h is not None], part) for a, own in parts.items()}


def first_response_within_target(dirty: Dirty, span: Span) -> Values:
    def judge(row: Row) -> bool | None:
        hours = answer_h(row)
        return hours <= 24 if hours is not None else _missed(row, span, 24)

    return share(came(dirty, span), CHANNELS, judge)


def no_response_share(dirty: Dirty, span: Span) -> Values:
    return share(came(dirty, span), CHANNELS, lambda row: answer_h(row) is None)


def metres(a: Row, b: Row) -> float:
    (p, q), (r, s) = ((math.radians(x["lat"]), math.radians(x["lon"])) for x in (a, b))
    h = math.sin((r - p) / 2) ** 2 + math.cos(p) * math.cos(r) * math.sin((s - q) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(h))


def repeated(dirty: Dirty) -> set[str]:
    """Requests that repeat an earlier one: every pair tried."""
    placed = [row for row in requests(dirty) if row["lat"] is not None and row["service"]]
    found = set()
    for later in placed:
        for earlier in placed:
            apart = later["requested_datetime"] - earlier["requested_datetime"]
            first = apart > timedelta(0) or (not apart and earlier["service_request_id"] < later["service_request_id"])
            still = earlier["settled"] is None or earlier["settled"] > later["requested_datetime"]
            same = earlier["service"] == later["service"] and apart <= 3 * DAY
            if first and still and same and metres(earlier, later) <= 100:
                found.add(later["service_request_id"])
    return found


def duplicate_share(dirty: Dirty, span: Span) -> Values:
    repeats = dirty.kept("repeats", lambda: repeated(dirty))

    def judge(row: Row) -> bool:
        return row["state"] == "duplicate" or row["duplicate_of"] is not None or row["service_request_id"] in repeats

    rows = [row for row in requests(dirty) if span.holds(row["requested_datetime"])]
    return share(rows, ("town", "ward", "service"), judge)


def marks(dirty: Dirty, span: Span) -> dict[str, list[int]]:
    parts = areas(settled(dirty, span), ("town", "ward", "department"))
    return {area: [row["rating"] for row in own if row["rating"] is not None] for area, own in parts.items()}


def satisfaction(dirty: Dirty, span: Span) -> Values:
    return {area: shared(mark >= 4 for mark in own) for area, own in marks(dirty, span).items()}


def mean_rating(dirty: Dirty, span: Span) -> Values:
    return {area: divided(sum(own), len(own)) for area, own in marks(dirty, span).items()}


def rating_response_rate(dirty: Dirty, span: Span) -> Values:
    return share(settled(dirty, span), ("town", "ward", "department"), lambda row: row["rating"] is not None)


def complaints_per_1000(dirty: Dirty, span: Span) -> Values:
    people = {f"ward:{one['ward']}": one["population"] for one in dirty.register("wards")}
    people["town"] = sum(people.values())
    received = requests_received(dirty, span)
    return {area: divided(received[area], number) for area, number in people.items() if number >= 1000 and received}


def ward_complaint_ratio(dirty: Dirty, span: Span) -> Values:
    rates = [rate for area, rate in complaints_per_1000(dirty, span).items() if area != "town"]
    return {"town": divided(max(rates), min(rates))} if rates else {}


def open311_gaps(dirty: Dirty, span: Span) -> Values:
    def gap(row: Row) -> bool:
        nowhere = row["address"] is None and (row["lat"] is None or row["lon"] is None)
        endless = row["status"] == "closed" and row["closed_at"] is None
        return row["service_code"] is None or row["service_name"] is None or nowhere or endless

    rows = [row for row in requests(dirty) if span.holds(row["requested_datetime"])]
    return {area: float(sum(map(gap, own))) for area, own in areas(rows, ("town", "department")).items()}


ORACLES: dict[str, Callable[[Dirty, Span], Values]] = {
    "sla_compliance": lambda dirty, span: in_time(dirty, span, paused=True),
    "sla_compliance_gross": lambda dirty, span: in_time(dirty, span, paused=False),
    "median_days_to_resolve": lambda dirty, span: taken(dirty, span, 0.5),
    "p90_days_to_resolve": lambda dirty, span: taken(dirty, span, 0.9),
    "km_median_days": km_median_days,
    "reopen_rate": reopen_rate,
    "cpgrams_compliance": cpgrams_compliance,
    "appeals_in_time": appeals_in_time,
    "redressal_within_24h": redressal_within_24h,
    "backlog": backlog,
    "backlog_over_30_days": backlog_over_30_days,
    "overdue": overdue,
    "backlog_median_age_days": backlog_median_age_days,
    "clearance_rate": clearance_rate,
    "disposal_rate": disposal_rate,
    "requests_received": requests_received,
    "median_first_response": lambda dirty, span: answers(dirty, span, 0.5),
    "p90_first_response": lambda dirty, span: answers(dirty, span, 0.9),
    "first_response_within_target": first_response_within_target,
    "no_response_share": no_response_share,
    "duplicate_share": duplicate_share,
    "satisfaction": satisfaction,
    "mean_rating": mean_rating,
    "rating_response_rate": rating_response_rate,
    "complaints_per_1000": complaints_per_1000,
    "ward_complaint_ratio": ward_complaint_ratio,
    "open311_gaps": open311_gaps,
}
