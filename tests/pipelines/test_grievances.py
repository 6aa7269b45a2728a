"""Grievance KPIs on small hand-made tables; expected values are worked out by hand or stand in the catalogue."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.engine.decode.base import decoder
from pipelines.engine.decode.service_requests import SCHEMA
from pipelines.engine.model import Kpi
from pipelines.grievances import DOMAIN, backlog, people, settling
from pipelines.grievances.tables import SERVICE_REQUESTS, SERVICES

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
WARDS = pl.DataFrame(
    {"ward": ["W1", "W2", "W3"], "name": ["", "", ""], "population": [2000, 4000, 400], "households": [1, 1, 1]}
)
NO_SERVICES = pl.DataFrame(schema=SERVICES.schema)


def day(number: float) -> datetime:
    """Midnight UTC of a day of January 2025 (32 is the first of February)."""
    return datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number - 1)


def requests(*rows: dict[str, Any]) -> pl.DataFrame:
    """Requests from short notes: asked, due, closed as days of January; everything else by its own name."""
    full = []
    for number, row in enumerate(rows):
        own = {k: v for k, v in row.items() if k not in ("asked", "due", "closed")}
        cells = {
            "service_request_id": f"r{number}",
            "status": "closed" if row.get("closed") else "open",
            "requested_datetime": day(row["asked"]),
            "expected_datetime": day(row["due"]) if row.get("due") else None,
            "closed_at": day(row["closed"]) if row.get("closed") else None,
            "service_code": "A",
        }
        full.append(cells | own)
    return pl.DataFrame(full, schema=SERVICE_REQUESTS.schema)


def windows(*spans: tuple[float, float], as_of: float | None = None) -> pl.DataFrame:
    rows = [(day(start), day(end), min(day(end), day(as_of or 1000))) for start, end in spans]
    kind = pl.Datetime("us", "UTC")
    return pl.DataFrame(rows, schema={"window": kind, "end": kind, "as_of": kind}, orient="row")


JANUARY = windows((1, 32))


def town(frame: pl.DataFrame, area: str = "town") -> dict[str, Any]:
    """The only row of the area."""
    found = frame.filter(pl.col("area") == area).to_dicts()
    assert len(found) == 1, found
    return found[0]


def fraction(frame: pl.DataFrame, area: str = "town") -> tuple[float, float]:
    row = town(frame, area)
    return row["numerator"], row["denominator"]


def inputs(kpi: Kpi, table: pl.DataFrame, spans: pl.DataFrame) -> list[Any]:
    have = {
        "service_requests": table,
        "services": NO_SERVICES,
        "wards": WARDS,
        "windows": spans,
        "zone": "Asia/Kolkata",
    }
    return [have[name] for name in kpi.inputs]


@pytest.mark.parametrize("kpi", DOMAIN.kpis, ids=lambda kpi: kpi.id)
def test_every_kpi_gives_no_rows_when_nothing_ever_came(kpi):
    assert kpi.function(*inputs(kpi, requests(), windows((1, 2), (2, 3)))).height == 0


@pytest.mark.parametrize("kpi", DOMAIN.kpis, ids=lambda kpi: kpi.id)
def test_every_kpi_gives_unique_rows_on_declared_levels(kpi):
    table = requests(
        {"asked": 1, "due": 2, "closed": 1.5, "ward": "W1", "rating": 5, "agency_responsible": "D", "channel": "web",
         "first_response_at": day(1.25), "appealed_at": day(1.6), "appeal_closed_at": day(1.9)},
        {"asked": 1.5, "due": 1.7, "ward": "W2"},
    )  # fmt: skip
    out = kpi.function(*inputs(kpi, table, windows((1, 2), (2, 3))))
    assert {"window", "area"} <= set(out.columns)
    assert out.select("window", "area").is_unique().all()
    assert set(out["area"].str.split(":").list.first()) <= set(kpi.levels)
    assert {"numerator", "denominator"} <= set(out.columns) or "value" in out.columns
    assert out.filter(pl.col("area") == "town").height


def test_the_decoders_columns_are_the_tables():
    assert SERVICE_REQUESTS.schema == SCHEMA


@pytest.mark.parametrize("source", DOMAIN.sources, ids=lambda source: source.name)
def test_every_sample_decodes_without_a_refusal(source):
    kinds = {column.name: column.kind for column in SERVICE_REQUESTS.columns}
    feed = {"format": source.format, "table": "service_requests", "zone": None, "feed": source.name, "kinds": kinds}
    decoded = decoder(source.format)((SAMPLES / source.sample).read_bytes(), {**feed, **source.mapping}, day(1))
    rows = decoded.tables["service_requests"]
    assert decoded.refused == ()
    assert rows.height > 1
    assert set(rows["status"]) == {"open", "closed"}


def test_checks_catch_what_ends_before_it_begins():
    table = requests(
        {"asked": 5, "closed": 4}, {"asked": 5, "due": 4}, {"asked": 5, "due": 5, "closed": 5}, {"asked": 5}
    )
    held = {
        check.words: table.select(check.holds.alias("holds"))["holds"].to_list() for check in SERVICE_REQUESTS.checks
    }
    assert held == {
        "closed before it was requested": [False, True, True, True],
        "promised for a time before it was requested": [True, False, True, True],
    }


def test_sla_compliance_counts_overdue_as_misses_and_the_due_instant_as_in_time():
    # GR-01#1 of the catalogue: 50 % of 4 due
    table = requests(
        {"asked": 1, "due": 3, "closed": 2.5}, {"asked": 1, "due": 3, "closed": 3}, {"asked": 1, "due": 3, "closed": 4},
        {"asked": 1, "due": 3}, {"asked": 5, "due": 9},
    )  # fmt: skip
    assert fraction(settling.sla_compliance(table, NO_SERVICES, windows((1, 32), as_of=6))) == (2, 4)


def test_sla_compliance_stops_the_clock_and_the_gross_form_does_not():
    # GR-01#3: 26 days with 6 paused against 21
    table = requests({"asked": 1, "due": 22, "closed": 27, "paused_h": 144.0})
    assert fraction(settling.sla_compliance(table, NO_SERVICES, JANUARY)) == (1, 1)
    assert fraction(settling.sla_compliance_gross(table, NO_SERVICES, JANUARY)) == (0, 1)


def test_sla_compliance_leaves_out_duplicates_withdrawn_and_closings_without_a_time():
    table = requests(
        {"asked": 1, "due": 3, "closed": 2, "state": "duplicate"}, {"asked": 1, "due": 3, "duplicate_of": "r9"},
        {"asked": 1, "due": 3, "state": "withdrawn"}, {"asked": 1, "due": 3, "status": "closed"},
        {"asked": 1, "due": 3, "closed": 4, "state": "rejected"},
    )  # fmt: skip
    assert fraction(settling.sla_compliance(table, NO_SERVICES, JANUARY)) == (0, 1)


def test_sla_compliance_uses_the_services_limit_where_no_date_was_promised():
    services = pl.DataFrame([{"service_code": "A", "service_name": "a", "limit_h": 48.0}], schema=SERVICES.schema)
    table = requests(
        {"asked": 1, "closed": 3}, {"asked": 1, "closed": 3.1}, {"asked": 1, "closed": 1.1, "service_code": "B"}
    )
    assert fraction(settling.sla_compliance(table, services, JANUARY)) == (1, 2)


def test_sla_compliance_of_a_finished_month_does_not_see_later_closings_as_in_time():
    table = requests({"asked": 1, "due": 31, "closed": 40})
    assert fraction(settling.sla_compliance(table, NO_SERVICES, JANUARY)) == (0, 1)


def test_days_to_resolve_are_type_7_percentiles_of_those_closed_in_the_window():
    # GR-02#1: 1..10 days give 5.5 and 9.1
    table = requests(*({"asked": 1, "closed": 1 + days} for days in range(1, 11)), {"asked": 1, "closed": 40})
    assert town(settling.median_days_to_resolve(table, JANUARY))["value"] == pytest.approx(5.5)
    assert town(settling.p90_days_to_resolve(table, JANUARY))["value"] == pytest.approx(9.1)


def test_km_median_counts_open_requests_as_censored():
    # GR-02#3: closed at 1, 2, 4; censored at 3 and 5: 4 days. The censored are those open at the window's end.
    table = requests(
        {"asked": 1, "closed": 2}, {"asked": 1, "closed": 3}, {"asked": 3}, {"asked": 1, "closed": 5}, {"asked": 1},
    )  # fmt: skip
    row = town(settling.km_median_days(table, windows((1, 6))))
    assert (row["value"], row["n"], row["reason"]) == (4, 5, None)


def test_km_median_is_insufficient_while_less_than_half_is_settled():
    row = town(settling.km_median_days(requests({"asked": 1, "closed": 2}, {"asked": 1}, {"asked": 1}), JANUARY))
    assert (row["value"], row["reason"]) == (None, "insufficient_data")


def test_reopen_rate_counts_requests_that_came_back_within_30_days():
    table = requests(
        {"asked": 1, "closed": 2},
        {"asked": 1, "closed": 2, "status": "open", "reopened_at": day(32)},
        {"asked": 1, "closed": 2, "status": "open", "reopened_at": day(32.1)},
        {"asked": 1, "closed": 9, "reopened_at": day(5), "reopen_count": 3},
        {"asked": 1, "closed": 3, "status": "open"},
    )
    assert fraction(settling.reopen_rate(table, JANUARY)) == (2, 4)


def test_cpgrams_compliance_takes_the_limit_of_the_local_day_of_receipt():
    last, first = (
        datetime(2024, 8, 22, 18, tzinfo=UTC),
        datetime(2024, 8, 22, 19, tzinfo=UTC),
    )  # 23:30 and 00:30 in India
    table = requests({"asked": 1, "closed": 1}, {"asked": 1, "closed": 1}, {"asked": 1, "closed": 1}).with_columns(
        requested_datetime=pl.Series([last, first, first], dtype=pl.Datetime("us", "UTC")),
        closed_at=pl.Series([last + timedelta(days=30), first + timedelta(days=30), first + timedelta(days=21)], dtype=pl.Datetime("us", "UTC")),
    )  # fmt: skip
    spans = windows((-200, 1))
    assert fraction(settling.cpgrams_compliance(table, spans, "Asia/Kolkata")) == (2, 3)
    waiting = table.with_columns(appealed_at=pl.col("closed_at"))
    assert settling.cpgrams_compliance(waiting, spans, "Asia/Kolkata").height == 0


def test_appeals_in_time_allows_thirty_days():
    # GR-09#3: 12, 30 and 31 days
    table = requests(
        *({"asked": -40, "closed": -20, "appealed_at": day(0), "appeal_closed_at": day(d)} for d in (12, 30, 31))
    )
    assert fraction(settling.appeals_in_time(table, JANUARY)) == (2, 3)


def test_redressal_within_24h_waits_for_the_young_and_counts_only_marked_services():
    table = requests(
        {"asked": 1, "closed": 2}, {"asked": 1, "closed": 2.1}, {"asked": 3}, {"asked": 9.5},
        {"asked": 1, "closed": 1.1, "service_code": "TREE"},
    )  # fmt: skip
    services = pl.DataFrame([{"service_code": "A", "service_name": "a", "within_24h": True}], schema=SERVICES.schema)
    running = windows((1, 32), as_of=10)
    assert fraction(settling.redressal_within_24h(table, services, running)) == (1, 3)
    assert fraction(settling.redressal_within_24h(table, NO_SERVICES, running)) == (2, 4)
    assert fraction(settling.redressal_within_24h(table, services, JANUARY)) == (1, 4)


def test_backlog_falls_into_the_buckets_of_age():
    # GR-03#1: ages 1, 7, 30 and 40 days
    table = requests(*({"asked": 41 - age} for age in (1, 7, 30, 40)), {"asked": 1, "closed": 41})
    now = windows((41, 42), as_of=41)
    out = backlog.backlog(table, WARDS, now)
    ages = {name: town(out, f"age:{name}")["value"] for name in ("le7", "d8_21", "d22_30", "gt30")}
    assert (town(out)["value"], ages) == (4, {"le7": 2, "d8_21": 0, "d22_30": 1, "gt30": 1})
    assert town(backlog.backlog_over_30_days(table, WARDS, now))["value"] == 1
    assert town(backlog.backlog_median_age_days(table, now))["value"] == pytest.approx(18.5)
    assert town(out, "ward:W3")["value"] == 0


def test_backlog_follows_a_request_that_came_back():
    table = requests({"asked": 1, "closed": 3, "status": "open", "reopened_at": day(5)})
    spans = windows((1, 2), (2, 3), (3, 4), (4, 5), (5, 6))
    out = backlog.backlog(table, WARDS, spans).filter(pl.col("area") == "town").sort("window")
    assert out["value"].to_list() == [1, 1, 0, 0, 1]


def test_backlog_says_nothing_about_days_before_the_first_request():
    out = backlog.backlog(requests({"asked": 5}), WARDS, windows((1, 2), (5, 6)))
    assert out["window"].unique().to_list() == [day(5)]


def test_overdue_begins_after_the_due_instant():
    table = requests(
        {"asked": 1, "due": 3}, {"asked": 1, "due": 3.5}, {"asked": 1}, {"asked": 1, "due": 2, "paused_h": 72.0}
    )
    now = windows((3, 4), as_of=3)
    assert town(backlog.overdue(table, NO_SERVICES, WARDS, now))["value"] == 0
    later = windows((3, 4), as_of=3.2)
    assert town(backlog.overdue(table, NO_SERVICES, WARDS, later))["value"] == 1


def test_clearance_and_disposal_balance_with_the_backlog():
    table = requests(
        {"asked": 1, "closed": 12, "ward": "W1"}, {"asked": 2, "ward": "W1"}, {"asked": 11, "closed": 13, "ward": "W2"},
        {"asked": 12, "ward": "W2"}, {"asked": 3, "closed": 5, "status": "open", "reopened_at": day(14), "ward": "W2"},
    )  # fmt: skip
    spans = windows((10, 20))
    assert fraction(backlog.clearance_rate(table, WARDS, spans)) == (2, 2)
    assert fraction(backlog.disposal_rate(table, WARDS, spans)) == (2, 4)
    row = town(backlog.loads(table, WARDS, spans))
    assert (row["opening"], row["received"], row["closed"], row["reopened"], row["closing"]) == (2, 2, 2, 1, 3)
    assert town(backlog.backlog(table, WARDS, spans))["value"] == 3
    assert fraction(backlog.clearance_rate(table, WARDS, spans), "ward:W3") == (0, 0)


def test_first_response_leaves_out_the_silent_but_counts_them_once_late():
    # GR-05#1: 0.5, 2, 4, 26 hours and none: median 3 h, 20 % without an answer
    table = requests(*({"asked": 1, "first_response_at": day(1 + h / 24)} for h in (0.5, 2, 4, 26)), {"asked": 1})
    early = windows((1, 8), as_of=1.5)
    assert town(people.median_first_response(table, early))["value"] == pytest.approx(3)
    assert fraction(people.no_response_share(table, early)) == (1, 5)
    assert fraction(people.first_response_within_target(table, early)) == (3, 4)
    assert fraction(people.first_response_within_target(table, windows((1, 8), as_of=3))) == (3, 5)


def test_duplicate_share_finds_repeats_by_place_time_and_matter():
    here, near, far = (17.385, 78.4867), (17.3852, 78.4871), (17.3862, 78.4867)  # 48 m (GR-06#2) and 133 m away
    rows = [
        ({}, here, 1), ({}, near, 1.2), ({"service_code": "B"}, near, 1.3), ({}, far, 1.4), ({}, near, 9),
        ({"duplicate_of": "x"}, (None, None), 2), ({}, (0.0, 0.0), 3), ({}, (0.0, 0.0), 3.1),
    ]  # fmt: skip
    table = requests(*({"asked": at, "lat": lat, "lon": lon, **own} for own, (lat, lon), at in rows))
    assert fraction(people.duplicate_share(table, JANUARY)) == (2, 8)
    closed = table.with_columns(status=pl.lit("closed"), closed_at=pl.col("requested_datetime"))
    assert fraction(people.duplicate_share(closed, JANUARY)) == (1, 8)


def test_satisfaction_is_the_share_of_fours_and_fives():
    # GR-07#1: 62.5 % of 8, mean 3.5
    table = requests(*({"asked": 1, "closed": 2, "rating": rating} for rating in (5, 4, 4, 3, 2, 1, 5, 4, None)))
    assert fraction(people.satisfaction(table, JANUARY)) == (5, 8)
    assert fraction(people.mean_rating(table, JANUARY)) == (28, 8)
    assert fraction(people.rating_response_rate(table, JANUARY)) == (8, 9)
    assert next(k for k in DOMAIN.kpis if k.id == "satisfaction").floor == 30


def test_complaints_per_1000_hides_small_wards_and_keeps_them_in_the_town():
    table = requests(*({"asked": 1, "ward": ward} for ward in ["W1"] * 10 + ["W2"] * 4 + ["W3"] * 3 + [None]))
    out = people.complaints_per_1000(table, WARDS, JANUARY)
    assert fraction(out, "ward:W1") == (10, 2000)
    assert fraction(out, "ward:W3") == (None, None)
    assert town(out, "ward:W3")["reason"] == "insufficient_data"
    assert fraction(out) == (18, 6400)
    assert town(people.ward_complaint_ratio(table, WARDS, JANUARY))["value"] == pytest.approx(5)


def test_requests_received_shows_a_wave_in_its_ward_and_zero_elsewhere():
    table = requests(*({"asked": 1 + minute / 1440, "ward": "W2"} for minute in range(12)))
    hour = windows((1, 1 + 1 / 24), (1 + 1 / 24, 1 + 2 / 24))
    out = people.requests_received(table, WARDS, hour).sort("window")
    assert out.filter(pl.col("area") == "ward:W2")["value"].to_list() == [12, 0]
    assert out.filter(pl.col("area") == "ward:W1")["value"].to_list() == [0, 0]
    rule = next(a for a in DOMAIN.alarms if a.watches == "requests_received")
    assert rule.level == "ward" and rule.above < 12


def test_open311_gaps_counts_requests_and_not_gaps():
    whole = {"asked": 1, "service_name": "a", "address": "Mill Road"}
    table = requests(
        whole,
        whole | {"service_code": None, "address": None},
        whole | {"status": "closed"},
        whole | {"address": None, "lat": 1.0, "lon": 1.0},
    )
    assert town(people.open311_gaps(table, windows((1, 2))))["value"] == 2


def test_shares_of_few_cases_are_not_told() -> None:
    # Catalogue, rule 11: 20 events, 30 responses, 1000 residents.
    floors = {kpi.id: kpi.floor for kpi in DOMAIN.kpis if kpi.unit == "percent"}
    assert floors.pop("satisfaction") == 30
    assert set(floors.values()) == {20}
