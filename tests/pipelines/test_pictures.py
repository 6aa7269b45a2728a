"""What pictures draw: rows by hand, the KPIs' own values at the end, and sentences that say what is unknown."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from pipelines.energy import pictures as energy
from pipelines.energy.reliability import saidi, saifi
from pipelines.engine.model import INSTANT
from pipelines.engine.picture import Drawn
from pipelines.engine.sights import BOARD
from pipelines.grievances import pictures as grievances
from pipelines.grievances.backlog import backlog
from pipelines.grievances.tables import SERVICE_REQUESTS
from pipelines.pollution import pictures as pollution
from pipelines.pollution.limit_tables import NOISE_PERIODS
from pipelines.pollution.tables import EFFLUENT_SAMPLES, NOISE_LIMITS
from pipelines.transport import pictures as transport
from pipelines.water import pictures as water
from pipelines.water.tables import WATER_AUDITS
from tests.pipelines import transport_town, water_town
from tests.pipelines.test_energy_reliability import ASSETS as FEEDER_ASSETS
from tests.pipelines.test_energy_reliability import FEEDERS, WHOLE, outages
from tests.pipelines.transport_town import at, frame, passage
from tests.shipped import shipped

KOLKATA = "Asia/Kolkata"
NO_BOARD = pl.DataFrame(schema=BOARD)
NO_FEED = pl.DataFrame(schema={"feed": pl.String, "table": pl.String, "state": pl.String, "last_arrival": INSTANT})


def board(*rows: dict[str, Any]) -> pl.DataFrame:
    """KPIs as they stand, what is not written empty."""
    split = [{"level": row["area"].partition(":")[0], "key": row["area"].partition(":")[2]} | row for row in rows]
    return pl.DataFrame(split, schema=BOARD)


def said(drawn: Drawn) -> str:
    return " ".join((one.many if one.many and one.values["n"] != 1 else one.words) for one in drawn.said)


# water ---------------------------------------------------------------------------------------------------------------


def test_the_balance_divides_what_came_in_as_the_iwa_does() -> None:
    audit = {"dma": "D1", "month": date(2026, 1, 1), "system_input_m3": 1000.0, "billed_metered_m3": 600.0,
             "billed_unmetered_m3": 100.0, "unbilled_metered_m3": 20.0, "unbilled_unmetered_m3": 30.0,
             "unauthorised_m3": 50.0, "data_errors_m3": 10.0, "under_registration_pct": 0.0}  # fmt: skip
    audits = pl.DataFrame([audit], schema=WATER_AUDITS.schema)
    drawn = water.water_balance(audits, water_town.ASSETS, "town", datetime(2026, 2, 10, tzinfo=UTC), water_town.ROME)
    flows = {(a, b): v for a, b, v in drawn.rows.select("from", "to", "volume_m3").iter_rows()}
    # 1000 in; 750 authorised of which 700 billed; 250 lost, 60 of it on paper; non-revenue 50 + 60 + 190.
    assert flows["System input", "Authorised consumption"] == 750
    assert flows["Water losses", "Apparent losses"] == 60 and flows["Water losses", "Real losses"] == 190
    assert sum(v for (_, b), v in flows.items() if b == "Non-revenue water") == 300
    assert flows["Billed", "Revenue water"] == 700
    assert drawn.said[0].values["nrw"].value == pytest.approx(30.0)  # type: ignore[union-attr]


def test_a_balance_that_bills_more_than_came_in_is_not_drawn() -> None:
    audits = pl.DataFrame(
        [{"dma": "D1", "month": date(2026, 1, 1), "system_input_m3": 100.0, "billed_metered_m3": 120.0}],
        schema=WATER_AUDITS.schema,
    )
    drawn = water.water_balance(audits, water_town.ASSETS, "town", datetime(2026, 2, 10, tzinfo=UTC), water_town.ROME)
    assert drawn.rows.is_empty() and "check the bulk meters" in said(drawn)


def test_a_tank_without_a_level_is_counted_as_unknown_and_the_first_to_run_out_is_named() -> None:
    tanks = water_town.tanks([{"asset": "T1", "full_level_m": 4.0}, {"asset": "T2", "full_level_m": 4.0}])
    level = pl.DataFrame({"asset": ["T1"], "observed_at": [datetime(2026, 1, 1, tzinfo=UTC)], "value": [1.0]})
    stands = board({"kpi": "tank_autonomy", "area": "asset:T1", "value": 3.5, "state": "breach"})
    drawn = water.tank_levels(stands, level, tanks, water_town.ASSETS)
    assert drawn.rows.select("asset", "full_pct", "hours_left", "state").rows() == [
        ("T1", 25.0, 3.5, "breach"),
        ("T2", None, None, None),
    ]
    assert [one.values for one in drawn.said][1] == {"n": 1, "all": 2}


def test_what_is_said_of_a_chosen_ward_is_said_of_its_rows_alone() -> None:
    tanks = water_town.tanks([{"asset": "T1", "full_level_m": 4.0}, {"asset": "T2", "full_level_m": 4.0}])
    level = pl.DataFrame({"asset": ["T1"], "observed_at": [datetime(2026, 1, 1, tzinfo=UTC)], "value": [1.0]})
    stands = board({"kpi": "tank_autonomy", "area": "asset:T1", "value": 3.5, "state": "breach"})
    drawn = water.tank_levels(stands, level, tanks, water_town.ASSETS, "ward:W2")
    assert drawn.rows["asset"].to_list() == ["T2"]
    assert [one.values for one in drawn.said] == [{}, {"n": 1, "all": 1}]
    assert "No tank of the register" in said(water.tank_levels(stands, level, tanks, water_town.ASSETS, "ward:W9"))


# energy --------------------------------------------------------------------------------------------------------------

NOW = datetime(2025, 3, 12, 15, 0, tzinfo=UTC)
CUTS = [
    {"started_at": datetime(2025, 3, 2, 8, tzinfo=UTC), "restored_at": datetime(2025, 3, 2, 9, tzinfo=UTC), "customers": 300},
    # Over midnight, one of four minutes, one that still lasts since yesterday.
    {"started_at": datetime(2025, 3, 5, 22, tzinfo=UTC), "restored_at": datetime(2025, 3, 6, 2, tzinfo=UTC), "customers": 100},
    {"started_at": datetime(2025, 3, 6, 12, tzinfo=UTC), "restored_at": datetime(2025, 3, 6, 12, 4, tzinfo=UTC), "customers": 900},
    {"started_at": datetime(2025, 3, 11, 20, tzinfo=UTC), "restored_at": None, "customers": 50},
]  # fmt: skip


def test_the_month_adds_up_to_the_very_index_of_the_month() -> None:
    rows = outages(*CUTS)
    drawn = energy.reliability_month(rows, FEEDERS, WHOLE, FEEDER_ASSETS, NO_BOARD, "town", NOW, "Europe/Rome")
    month = pl.DataFrame(
        {"window": [datetime(2025, 2, 28, 23, tzinfo=UTC)], "end": [datetime(2025, 3, 31, 22, tzinfo=UTC)], "as_of": [NOW]}
    ).cast(INSTANT)  # fmt: skip
    for title, index in ((energy.SAIDI, saidi), (energy.SAIFI, saifi)):
        whole = index(rows, FEEDERS, WHOLE, FEEDER_ASSETS, month).filter(area="town").row(0, named=True)
        course = drawn.rows.filter(index=title)["value"]
        assert course[-1] == pytest.approx(whole["numerator"] / whole["denominator"])
        assert course.is_sorted()
    # 300 x 60 + 100 x 240 + 50 x 19 h of 2,000 customers.
    assert drawn.rows.filter(index=energy.SAIDI)["value"][-1] == pytest.approx((18_000 + 24_000 + 50 * 19 * 60) / 2000)


def test_only_outages_that_last_are_on_the_map_amid_their_customers() -> None:
    assets = pl.DataFrame(
        {"asset": ["F1", "X1", "X2", "X3"], "kind": ["feeder", *["transformer"] * 3], "name": ["Feeder 1", "a", "b", "c"],
         "ward": ["W1", "W2", "W2", "W1"], "parent": [None, "F1", "F1", "F1"], "lat": [0.0, 1.0, 3.0, 9.0], "lon": [0.0, 2.0, 4.0, 9.0]}
    )  # fmt: skip
    wards = pl.DataFrame(
        {"ward": ["W1", "W2"], "name": ["One", "Two"], "population": [400, 900], "households": [100, 300]}
    )
    rows = outages(
        CUTS[0], {**CUTS[3], "ward": "W2"}, {**CUTS[3], "ward": "W2", "outage": "O1", "step": 2, "customers": 10}
    )
    drawn = energy.outages_now(rows, wards, assets, NO_BOARD, NOW)
    shown = drawn.rows.select("name", "ward", "customers", "people", "lat", "lon", "state").rows()
    # Sixty homes of three, between the two transformers of the ward.
    assert shown == [("Feeder 1", "W2", 60, 180, 2.0, 3.0, "breach")]


def test_whether_anybody_is_out_is_unknown_until_a_list_has_come() -> None:
    nobody = energy.outages_now(outages().clear(), pl.DataFrame(schema={"ward": pl.String, "name": pl.String, "population": pl.Int64, "households": pl.Int64}),
                                FEEDER_ASSETS.with_columns(name="asset", lat=pl.lit(None, pl.Float64), lon=pl.lit(None, pl.Float64)), NO_BOARD, NOW)  # fmt: skip
    assert "unknown" in said(nobody)


# transport -----------------------------------------------------------------------------------------------------------


def positions(*rows: dict[str, Any]) -> pl.DataFrame:
    fixed = {"service_date": transport_town.DAY, "trip": "T1", "route": "1", "stamped": True, "lat": 23.0, "lon": 77.0}
    return frame("vehicle_positions", *(fixed | row for row in rows))


def buses(vehicles: pl.DataFrame, delays: dict[str, float], now: datetime) -> Drawn:
    told = [
        transport_town.update(trip, now - timedelta(seconds=20)) | {"delay_s": late} for trip, late in delays.items()
    ]
    return transport.vehicles_now(
        vehicles, frame("trip_updates", *told), frame("gtfs_routes", {"route": "1", "route_name": "10"}),
        frame("gtfs_trips", {"trip": "T1", "route": "1", "service": "WK", "shape": "a"}),
        frame("gtfs_shapes", *({"shape": "a", "sequence": n, "lat": 23.0, "lon": 77.0 + n / 100} for n in range(300))),
        NO_FEED, now,
    )  # fmt: skip


def test_a_bus_is_late_from_five_minutes_and_stale_from_ninety_seconds_on() -> None:
    now = at("08:00").astimezone(UTC)
    drawn = buses(
        positions(
            {"vehicle": "A", "trip": "T1", "observed_at": now - timedelta(seconds=90)},
            {"vehicle": "B", "trip": "T2", "observed_at": now - timedelta(seconds=91)},
            {"vehicle": "C", "trip": "T3", "observed_at": now},
            {"vehicle": "D", "trip": None, "observed_at": now},
        ),
        {"T1": 300.0, "T3": 301.0},
        now,
    )
    assert drawn.rows.select("vehicle", "route", "punctual", "state").rows() == [
        ("A", "10", "on time", "good"), ("B", "10", "delay unknown", "stale"), ("C", "10", "late", "watch"),
    ]  # fmt: skip
    assert drawn.said[0].values == {"n": 3, "late": 1}
    assert drawn.ground is not None and drawn.ground.height <= transport.MOST_POINTS + 1


def test_without_a_bus_the_last_arrival_is_told() -> None:
    now = at("03:00").astimezone(UTC)
    came = pl.DataFrame(
        [("p", "vehicle_positions", "live", now - timedelta(hours=4))], schema=NO_FEED.schema, orient="row"
    )
    none = transport.vehicles_now(
        positions().clear(), frame("trip_updates"), frame("gtfs_routes"), frame("gtfs_trips"), frame("gtfs_shapes"), came, now
    )  # fmt: skip
    assert none.said[0].values["at"] == now - timedelta(hours=4)


def test_a_bus_close_behind_another_is_bunched_and_the_hole_after_it_is_seen() -> None:
    plan = transport_town.timetable({f"T{n}": 28800 + n * 600 for n in range(6)})
    # Due every ten minutes from 08:00; the third comes two minutes after the second, the fourth 25 after that.
    left = ["08:00", "08:10", "08:12", "08:37", "08:40"]
    # Buses at the next stop meanwhile: the feed was not silent.
    further = [passage("T1", 2, at("08:20")), passage("T2", 2, at("08:29"))]
    passages = frame("passages", *(passage(f"T{n}", 1, at(clock)) for n, clock in enumerate(left)), *further)
    empty = (frame("gtfs_routes", {"route": "1", "route_name": "10"}), frame("gtfs_stops"))
    drawn = transport.headway_strip(
        passages, empty[0], plan["gtfs_trips"], empty[1], plan["gtfs_stop_times"], plan["gtfs_service_days"],
        plan["gtfs_frequencies"], at("07:00"), at("09:00"), transport_town.ZONE,
    )  # fmt: skip
    assert drawn.rows["headway_min"].to_list() == [10.0, 2.0, 25.0, 3.0]
    assert drawn.rows["state"].to_list() == ["good", "breach", "watch", "good"]


# pollution -----------------------------------------------------------------------------------------------------------


def hourly(
    values: dict[datetime, float | None], area: str, target: float | None = 100.0, hours: int = 1
) -> pl.DataFrame:
    rows = [
        {"kpi": "k", "area": area, "window": start, "end": start + timedelta(hours=hours), "value": value, "target": target,
         "state": "good", "detail": None, "computed_at": start + timedelta(hours=hours)}
        for start, value in values.items()
    ]  # fmt: skip
    return pl.DataFrame(
        rows, schema_overrides={"window": INSTANT, "end": INSTANT, "computed_at": INSTANT, "detail": pl.String}
    )


def test_noise_of_a_zone_is_the_energy_mean_and_is_held_against_the_limit_of_the_hour() -> None:
    # 23:00 in Kolkata on two nights, 50 and 60 dB(A): 10 lg((10^5 + 10^6) / 2), over the 45 of a residential night.
    night = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)
    history = hourly({night: 50.0, night + timedelta(days=1): 60.0, night + timedelta(hours=12): 52.0}, "asset:N1")
    sites = pl.DataFrame({"asset": ["N1"], "zone_class": ["Residential "]})
    drawn = pollution.noise_zones(history, sites, shipped(NOISE_LIMITS), NOISE_PERIODS, night, KOLKATA)
    found = {row["hour"]: row for row in drawn.rows.to_dicts()}
    assert found["23"]["level_dba"] == pytest.approx(10 * math.log10((10**5 + 10**6) / 2))
    assert (found["23"]["limit_dba"], found["23"]["state"]) == (45.0, "breach")
    assert (found["11"]["limit_dba"], found["11"]["state"]) == (55.0, "good")


def test_a_day_of_the_calendar_is_the_window_that_ends_at_its_midnight() -> None:
    # Windows of 24 hours that end at 23:00, at midnight and at 01:00 in Kolkata.
    midnight = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
    course = hourly({midnight + timedelta(hours=n - 24): 80.0 + n for n in (-1, 0, 1)}, "town", hours=24)
    drawn = pollution.air_calendar(course, midnight - timedelta(days=3), KOLKATA)
    assert drawn.rows.select("day", "index").rows() == [(date(2026, 3, 1), 80.0)]


def test_hours_over_are_those_above_the_target_of_the_hours_known() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    values = {now - timedelta(hours=n): v for n, v in ((1, 101.0), (2, 100.0), (3, None), (30, 300.0))}
    assets = pl.DataFrame(
        {"asset": ["A1", "A2"], "kind": ["air_station"] * 2, "name": ["One", "Two"], "ward": ["W1", None]}
    )
    drawn = pollution.hours_over(hourly(values, "asset:A1"), assets, now - timedelta(days=1), now)
    assert drawn.rows.select("asset", "hours", "known", "share_pct", "state").rows() == [
        ("A1", 1, 2, 50.0, "watch"), ("A2", None, None, None, "no data"),
    ]  # fmt: skip


def test_a_result_above_what_the_consent_allows_breaks_its_limit_and_the_newest_of_each_counts() -> None:
    first, later = (datetime(2026, 3, day, tzinfo=UTC) for day in (1, 8))
    samples = pl.DataFrame(
        [{"plant": "P1", "sampled_at": first, "bod_mg_l": 35.0, "ph": 7.0}, {"plant": "P1", "sampled_at": later, "bod_mg_l": None, "ph": 9.5}],
        schema=EFFLUENT_SAMPLES.schema,
    )  # fmt: skip
    consent = [("own", "bod_mg_l", None, 30.0, True), ("own", "ph", 6.5, 9.0, None)]
    names = ["consent", "parameter", "at_least", "at_most", "below_only"]
    limits = pl.DataFrame(consent, schema=names, orient="row")
    plants = pl.DataFrame({"asset": ["P1"], "consent": ["own"]})
    drawn = pollution.effluent_now(
        samples, plants, limits, pl.DataFrame({"asset": ["P1"], "name": ["East"], "ward": ["W1"]})
    )
    found = {row["tested"]: (row["result"], row["state"], row["sampled_at"]) for row in drawn.rows.to_dicts()}
    assert found == {"BOD": (35.0, "breach", first), "pH": (9.5, "breach", later)}
    assert drawn.rows["share_pct"].to_list() == pytest.approx([100 * 35 / 30, 100 * 9.5 / 9])


# grievances ----------------------------------------------------------------------------------------------------------

TODAY = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)
WARDS = pl.DataFrame({"ward": ["W1", "W2"], "name": ["One", "Two"], "population": [2000, 3000]})


def requests(*rows: dict[str, Any]) -> pl.DataFrame:
    fixed = {"status": "open", "ward": "W1", "service_code": "WTR", "updated_datetime": TODAY}
    numbered = [{"service_request_id": f"R{n}", **fixed, **row} for n, row in enumerate(rows)]
    return pl.DataFrame(numbered, schema=SERVICE_REQUESTS.schema)


def came(days: float, closed: float | None = None, **more: Any) -> dict[str, Any]:
    done = {} if closed is None else {"status": "closed", "closed_at": TODAY - timedelta(days=closed)}
    return {"requested_datetime": TODAY - timedelta(days=days), **done, **more}


FILED = requests(
    came(40), came(20, closed=10), came(2, closed=0.1), came(1), came(0.1, first_response_at=TODAY), came(3, duplicate_of="R0"),
    came(5, closed=1, reopen_count=1),
)  # fmt: skip


def test_the_pile_of_today_is_the_backlog_of_the_board() -> None:
    drawn = grievances.in_and_out(FILED, WARDS, "town", TODAY, KOLKATA)
    today = pl.DataFrame(
        {
            "window": [datetime(2026, 3, 9, 18, 30, tzinfo=UTC)],
            "end": [datetime(2026, 3, 10, 18, 30, tzinfo=UTC)],
            "as_of": [TODAY],
        }
    ).cast(INSTANT)
    stands = backlog(FILED, WARDS, today).filter(area="town")["value"][0]
    per_day = {
        title: drawn.rows.filter(what=title)["requests"].to_list()
        for title in (grievances.RECEIVED, grievances.CLOSED, grievances.OPEN)
    }
    assert per_day[grievances.OPEN][-1] == stands == 3
    assert sum(per_day[grievances.RECEIVED]) == 5 and sum(per_day[grievances.CLOSED]) == 3
    assert len(per_day[grievances.OPEN]) == grievances.DAYS


def test_each_stage_of_the_funnel_is_part_of_the_one_before() -> None:
    drawn = grievances.how_far(FILED, "town", TODAY)
    # Of the last thirty days: five counted, one open and answered, one open and not, three settled, one came back.
    assert drawn.rows["requests"].to_list() == [5, 4, 3, 2]
    assert grievances.how_far(FILED, "ward:W2", TODAY).rows.is_empty()


def test_a_ward_is_placed_only_amid_enough_requests() -> None:
    many = requests(
        *(came(n, lat=23.0 + n / 100, lon=77.0) for n in range(20)),
        *(came(n, ward="W2", lat=1.0, lon=1.0) for n in range(19)),
    )
    drawn = grievances.open_by_ward(many, NO_BOARD, WARDS)
    places = dict(drawn.rows.select("ward", "lat").iter_rows())
    assert places["W1"] == pytest.approx(23.095) and places["W2"] is None


def test_the_oldest_open_requests_come_first_and_nothing_personal_with_them() -> None:
    services = pl.DataFrame({"service_code": ["WTR"], "service_name": ["Water"], "limit_h": [48.0]})
    drawn = grievances.oldest_open(FILED, services, "town", TODAY)
    assert drawn.rows["service_request_id"].to_list() == ["R0", "R3", "R4"]
    assert drawn.rows["past_due"].to_list() == [True, False, False]
    shown = next(picture for picture in grievances.PICTURES if picture.id == "oldest_open")
    personal = {column.name for column in SERVICE_REQUESTS.columns if column.personal}
    assert shown.guarded and not personal & set(shown.names)
