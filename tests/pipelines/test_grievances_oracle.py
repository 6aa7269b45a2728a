"""Grievance KPIs against plain Python written from the catalogue, on generated requests with all their faults."""

import math
import random
import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from pipelines.grievances import backlog, people, settling
from pipelines.grievances.tables import SERVICE_REQUESTS, SERVICES

DAY = timedelta(days=1)
T0 = datetime(2024, 7, 1, tzinfo=UTC)
WARDS = pl.DataFrame(
    {"ward": ["W1", "W2", "W3"], "name": [""] * 3, "population": [2000, 4000, 1500], "households": [1] * 3}
)
SERVICES_CSV = pl.DataFrame([{"service_code": "B", "service_name": "b", "limit_h": 60.0}], schema=SERVICES.schema)
Row = dict[str, Any]


def generated(seed: int, count: int = 300) -> list[Row]:
    dice = random.Random(seed)
    return [_request(dice, number) for number in range(count)]


def _request(dice: random.Random, number: int) -> Row:
    asked = T0 + timedelta(minutes=dice.randrange(100 * 1440))
    row: Row = dict.fromkeys(SERVICE_REQUESTS.schema)
    row |= {
        "service_request_id": str(number),
        "status": "open",
        "requested_datetime": asked,
        "service_code": dice.choice(["A", "B", "C", None]),
        "ward": dice.choice(["W1", "W2", "W3", None]),
        "agency_responsible": dice.choice(["Roads", "Water", None]),
        "expected_datetime": dice.choice([None, asked, asked + dice.randrange(1, 30) * DAY]),
        "state": dice.choice([None, None, "received", "duplicate", "withdrawn", "on_hold"]),
        "duplicate_of": dice.choice([None] * 9 + ["1"]),
        "paused_h": dice.choice([None, 0.0, 24.0, 100.5]),
        "first_response_at": dice.choice([None, asked + timedelta(hours=dice.expovariate(1 / 24)), asked - DAY]),
        "channel": dice.choice(["web", "phone", None]),
        "lat": dice.choice([None, 0.0, 17.385 + dice.random() * 0.004]),
        "lon": dice.choice([None, 0.0, 78.486 + dice.random() * 0.004]),
    }
    closed = asked + timedelta(days=dice.expovariate(1 / 15))
    kind = dice.random()
    if kind < 0.6:
        row |= {"status": "closed", "closed_at": closed, "rating": dice.choice([None, 1, 2, 3, 4, 5])}
    elif kind < 0.65:
        row |= {"status": "closed"}
    elif kind < 0.75:
        row |= {"closed_at": closed, "reopened_at": closed + dice.randrange(0, 45) * DAY}
    elif kind < 0.8:
        row |= {"status": "closed", "closed_at": closed, "reopened_at": asked + (closed - asked) / 2}
    return row


def counts_for_office(row: Row) -> bool:
    gone = row["state"] in ("duplicate", "withdrawn") or row["duplicate_of"] is not None
    return not gone and not (row["status"] == "closed" and row["closed_at"] is None)


def settled(row: Row) -> datetime | None:
    return row["closed_at"] if row["status"] == "closed" else None


def due(row: Row) -> datetime | None:
    base = row["expected_datetime"]
    if base is None and row["service_code"] == "B":
        base = row["requested_datetime"] + timedelta(hours=60)
    return None if base is None else base + timedelta(hours=row["paused_h"] or 0)


def is_open(row: Row, at: datetime) -> bool:
    """Open just before `at`, a window's end."""
    if row["requested_datetime"] >= at:
        return False
    closed, back = row["closed_at"], row["reopened_at"]
    if row["status"] == "closed":
        return closed >= at
    if closed is None or back is None or back <= closed:
        return True
    return closed >= at or back < at


def percentile(values: list[float], share: float) -> float | None:
    values, place = sorted(values), share * (len(values) - 1)
    if not values:
        return None
    low = values[math.floor(place)]
    return low + (values[math.ceil(place)] - low) * (place - math.floor(place))


def days(delta: timedelta) -> float:
    return delta / DAY


def sla(rows: list[Row], start: datetime, end: datetime) -> float | None:
    dues = [r for r in rows if due(r) and start <= due(r) < end]
    met = [r for r in dues if settled(r) and settled(r) <= due(r)]
    return len(met) / len(dues) if dues else None


def taken(rows: list[Row], start: datetime, end: datetime) -> list[float]:
    return [days(settled(r) - r["requested_datetime"]) for r in rows if settled(r) and start <= settled(r) < end]


def kaplan_meier(rows: list[Row], start: datetime, end: datetime) -> float | None:
    cohort = []
    for row in (r for r in rows if start <= r["requested_datetime"] < end):
        over = settled(row) is not None and settled(row) <= end
        cohort.append((days((settled(row) if over else end) - row["requested_datetime"]), over))
    survival = 1.0
    for time in sorted({t for t, over in cohort if over}):
        at_risk = sum(t >= time for t, _ in cohort)
        survival *= 1 - sum(t == time and over for t, over in cohort) / at_risk
        if survival <= 0.5 + 1e-9:
            return time
    return None


def reopened(rows: list[Row], start: datetime, end: datetime) -> float | None:
    back = [
        r
        for r in rows
        if r["closed_at"] and (r["status"] == "closed" or (r["reopened_at"] and r["reopened_at"] >= r["closed_at"]))
    ]
    back = [r for r in back if start <= r["closed_at"] < end]
    again = [r for r in back if r["reopened_at"] and r["reopened_at"] - r["closed_at"] <= 30 * DAY]
    return len(again) / len(back) if back else None


def cpgrams(rows: list[Row], start: datetime, end: datetime) -> float | None:
    done = [r for r in rows if settled(r) and start <= settled(r) < end]
    india = timedelta(hours=5.5)
    limits = [21 if (r["requested_datetime"] + india).date().isoformat() >= "2024-08-23" else 30 for r in done]
    within = [days(settled(r) - r["requested_datetime"]) <= limit for r, limit in zip(done, limits, strict=True)]
    return sum(within) / len(done) if done else None


def received(rows: list[Row], start: datetime, end: datetime) -> list[Row]:
    return [r for r in rows if start <= r["requested_datetime"] < end]


def redressed(rows: list[Row], start: datetime, end: datetime) -> float | None:
    came = received(rows, start, end)
    return (
        sum(bool(settled(r)) and settled(r) - r["requested_datetime"] <= DAY for r in came) / len(came)
        if came
        else None
    )


def answers(rows: list[Row], start: datetime, end: datetime) -> list[float]:
    waits = [
        (r["first_response_at"] - r["requested_datetime"]) / timedelta(hours=1)
        for r in received(rows, start, end)
        if r["first_response_at"]
    ]
    return [wait for wait in waits if wait >= 0]


def answered_in_a_day(rows: list[Row], start: datetime, end: datetime) -> float | None:
    came = received(rows, start, end)
    return sum(wait <= 24 for wait in answers(rows, start, end)) / len(came) if came else None


def clearance(rows: list[Row], start: datetime, end: datetime) -> float | None:
    closings = [
        r for r in rows
        if r["closed_at"] and start <= r["closed_at"] < end
        and (r["status"] == "closed" or (r["reopened_at"] and r["reopened_at"] > r["closed_at"]))
    ]  # fmt: skip
    came = received(rows, start, end)
    return len(closings) / len(came) if came else None


def content(rows: list[Row], start: datetime, end: datetime) -> float | None:
    marks = [r["rating"] for r in rows if r["rating"] and settled(r) and start <= settled(r) < end]
    return sum(m >= 4 for m in marks) / len(marks) if marks else None


def still_open(rows: list[Row], start: datetime, end: datetime) -> list[Row]:
    return [r for r in rows if is_open(r, end)]


def ages(rows: list[Row], start: datetime, end: datetime) -> list[float]:
    return [days(end - timedelta(microseconds=1) - r["requested_datetime"]) for r in still_open(rows, start, end)]


def late(rows: list[Row], start: datetime, end: datetime) -> int:
    return sum(1 for r in still_open(rows, start, end) if due(r) and due(r) < end - timedelta(microseconds=1))


Oracle = Callable[[list[Row], datetime, datetime], Any]
CASES: list[tuple[Callable[..., pl.DataFrame], Oracle]] = [
    (settling.sla_compliance, sla),
    (settling.median_days_to_resolve, lambda *a: percentile(taken(*a), 0.5)),
    (settling.p90_days_to_resolve, lambda *a: percentile(taken(*a), 0.9)),
    (settling.km_median_days, kaplan_meier),
    (settling.reopen_rate, reopened),
    (settling.cpgrams_compliance, cpgrams),
    (settling.redressal_within_24h, redressed),
    (backlog.backlog, lambda *a: len(still_open(*a))),
    (backlog.backlog_over_30_days, lambda *a: sum(age > 30 for age in ages(*a))),
    (backlog.backlog_median_age_days, lambda *a: statistics.median(ages(*a)) if ages(*a) else None),
    (backlog.overdue, late),
    (backlog.clearance_rate, clearance),
    (people.median_first_response, lambda *a: percentile(answers(*a), 0.5)),
    (people.p90_first_response, lambda *a: percentile(answers(*a), 0.9)),
    (people.first_response_within_target, answered_in_a_day),
    (people.satisfaction, content),
]


def computed(function: Callable[..., pl.DataFrame], table: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    have = {
        "service_requests": table,
        "services": SERVICES_CSV,
        "wards": WARDS,
        "windows": spans,
        "zone": "Asia/Kolkata",
    }
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    out = function(*[have[name] for name in names])
    if "value" not in out.columns:
        share = pl.when(pl.col("denominator") > 0).then(pl.col("numerator") / pl.col("denominator"))
        out = out.with_columns(value=share)
    return out


def spans_of(lengths: list[tuple[int, int]]) -> pl.DataFrame:
    kind = pl.Datetime("us", "UTC")
    rows = [(T0 + a * DAY, T0 + b * DAY, T0 + b * DAY) for a, b in lengths]
    return pl.DataFrame(rows, schema={"window": kind, "end": kind, "as_of": kind}, orient="row")


@pytest.mark.parametrize(
    "lengths",
    [[(10, 40)], [(n, n + 7) for n in range(3, 120, 7)], [(n, n + 20) for n in range(5, 60, 3)]],
    ids=["one", "many", "overlapping"],
)
@pytest.mark.parametrize(("function", "oracle"), CASES, ids=[f.__name__ for f, _ in CASES])
def test_kpi_agrees_with_plain_python(function, oracle, lengths):
    rows = generated(seed=len(lengths))
    spans = spans_of(lengths)
    table = pl.DataFrame(rows, schema=SERVICE_REQUESTS.schema)
    found = {(r["window"], r["area"]): r["value"] for r in computed(function, table, spans).to_dicts()}
    office = [r for r in rows if counts_for_office(r)]
    parts = {"town": office} | {f"ward:{w}": [r for r in office if r["ward"] == w] for w in ("W1", "W2", "W3")}
    if function is settling.cpgrams_compliance:
        parts = {"town": office} | {
            f"department:{d}": [r for r in office if r["agency_responsible"] == d] for d in ("Roads", "Water")
        }
    if function is settling.reopen_rate or function is backlog.clearance_rate:
        parts |= {f"department:{d}": [r for r in office if r["agency_responsible"] == d] for d in ("Roads", "Water")}
    told = 0
    for start, end, _ in spans.iter_rows():
        for area, members in parts.items():
            expected = oracle(members, start, end)
            told += expected is not None
            assert found.get((start, area)) == (None if expected is None else pytest.approx(expected, abs=1e-9)), (
                start,
                area,
            )
    assert told, "the oracle had nothing to say"


def metres(a: Row, b: Row) -> float:
    (p, q), (r, s) = ((math.radians(x["lat"]), math.radians(x["lon"])) for x in (a, b))
    h = math.sin((r - p) / 2) ** 2 + math.cos(p) * math.cos(r) * math.sin((s - q) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(h))


def test_duplicate_share_agrees_with_every_pair_tried():
    rows = generated(seed=5, count=600)
    rows = [
        r | {"requested_datetime": T0 + (r["requested_datetime"] - T0) / 10, "closed_at": None, "status": "open"}
        if i % 2
        else r
        for i, r in enumerate(rows)
    ]
    placed = [
        r
        for r in rows
        if r["lat"] is not None and r["lon"] is not None and (r["lat"] or r["lon"]) and r["service_code"]
    ]
    found = {r["service_request_id"] for r in rows if r["state"] == "duplicate" or r["duplicate_of"]}
    marked = len(found)
    for later in placed:
        for earlier in placed:
            apart = later["requested_datetime"] - earlier["requested_datetime"]
            before = apart > timedelta(0) or (not apart and earlier["service_request_id"] < later["service_request_id"])
            open_then = settled(earlier) is None or settled(earlier) > later["requested_datetime"]
            same = earlier["service_code"] == later["service_code"] and apart <= 3 * DAY
            if before and same and open_then and metres(earlier, later) <= 100:
                found.add(later["service_request_id"])
    out = computed(people.duplicate_share, pl.DataFrame(rows, schema=SERVICE_REQUESTS.schema), spans_of([(-1, 200)]))
    assert out.filter(pl.col("area") == "town").select("numerator", "denominator").row(0) == (len(found), len(rows))
    assert len(found) > marked + 20


@pytest.mark.parametrize(
    "function",
    [
        settling.sla_compliance,
        settling.redressal_within_24h,
        people.satisfaction,
        backlog.clearance_rate,
        backlog.disposal_rate,
    ],
)
def test_wards_add_up_to_the_town_as_ratio_of_sums(function):
    rows = [r | {"ward": r["ward"] or "W1"} for r in generated(seed=9)]
    out = computed(function, pl.DataFrame(rows, schema=SERVICE_REQUESTS.schema), spans_of([(20, 50), (50, 80)]))
    sums = pl.col("numerator", "denominator").sum()
    wards = out.filter(pl.col("area").str.starts_with("ward:")).group_by("window").agg(sums).sort("window")
    assert wards.rows() == out.filter(pl.col("area") == "town").select(wards.columns).sort("window").rows()
    assert wards["denominator"].sum() > 0


def test_backlog_of_the_wards_and_of_the_ages_adds_up_to_the_town():
    rows = [r | {"ward": r["ward"] or "W1"} for r in generated(seed=11)]
    out = computed(
        backlog.backlog, pl.DataFrame(rows, schema=SERVICE_REQUESTS.schema), spans_of([(n, n + 1) for n in range(120)])
    )
    level = (
        out.with_columns(level=pl.col("area").str.split(":").list.first())
        .group_by("window", "level")
        .agg(pl.col("value").sum())
    )
    sums = level.pivot("level", index="window", values="value")
    assert sums.filter((pl.col("ward") != pl.col("town")) | (pl.col("age") != pl.col("town"))).height == 0
    assert sums["town"].max() > 20


def test_loads_balance_from_window_to_window():
    table = pl.DataFrame(generated(seed=13), schema=SERVICE_REQUESTS.schema)
    spans = spans_of([(n, n + 10) for n in range(0, 120, 10)])
    moved = backlog.loads(table, WARDS, spans).sort("area", "window")
    left = computed(backlog.backlog, table, spans).join(moved, on=["window", "area"])
    assert left.filter(pl.col("value") != pl.col("closing")).height == 0
    chained = moved.with_columns(before=pl.col("closing").shift(1).over("area")).filter(
        pl.col("before") != pl.col("opening")
    )
    assert chained.height == 0
    assert left.height > 40
