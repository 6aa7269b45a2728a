"""SAIFI, SAIDI, CAIDI, ASAI, MAIFI and major event days against the catalogue, hand calculation and recorded outages."""

import csv
import gzip
import inspect
import math
import os
import statistics
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines.energy.major_events import saidi_without_major_events, t_med
from pipelines.energy.reliability import asai, caidi, maifi, of_the_year, saidi, saifi
from pipelines.energy.services import customers_without_power
from pipelines.energy.tables import OUTAGES
from pipelines.engine.model import INSTANT

ROME = "Europe/Rome"
ASSETS = pl.DataFrame(
    {"asset": ["F1", "F2"], "kind": ["feeder", "feeder"], "ward": ["W1", "W2"], "parent": [None, None]},
    schema_overrides={"parent": pl.String},
)
WHOLE = pl.DataFrame(schema={"asset": pl.String, "ward": pl.String, "customers_served": pl.Int64})
FEEDERS = pl.DataFrame({"asset": ["F1", "F2"], "customers_served": [1500, 500]})
DAY = datetime(2025, 3, 10, 12, tzinfo=UTC)


def windows(*spans: tuple[datetime, datetime], now: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> pl.DataFrame:
    rows = [(start, end, min(end, now)) for start, end in spans]
    return pl.DataFrame(rows, schema={"window": INSTANT, "end": INSTANT, "as_of": INSTANT}, orient="row")


def month(year: int, number: int, zone: str = ROME) -> tuple[datetime, datetime]:
    first = datetime(year, number, 1, tzinfo=ZoneInfo(zone))
    return first.astimezone(UTC), datetime(year + number // 12, number % 12 + 1, 1, tzinfo=ZoneInfo(zone)).astimezone(
        UTC
    )


def outages(*rows: dict) -> pl.DataFrame:
    complete = [
        {
            "outage": f"O{place}",
            "step": 1,
            "feeder": "F1",
            "ward": None,
            "restored_at": None,
            "planned": None,
            "cause": None,
        }
        | row
        for place, row in enumerate(rows)
    ]
    return pl.DataFrame(complete, schema=OUTAGES.schema | {"received_at": INSTANT})


def cut(customers: int | None, minutes: float | None, **more: object) -> dict:
    start = more.setdefault("started_at", DAY)
    restored = None if minutes is None else start + timedelta(minutes=minutes)
    return {"customers": customers, "restored_at": restored} | more


def values(frame: pl.DataFrame) -> dict[str, float | None]:
    return {
        row["area"]: row["numerator"] / row["denominator"] if row["denominator"] else None for row in frame.to_dicts()
    }


def by_month(frame: pl.DataFrame, area: str = "town") -> list[float]:
    rows = frame.filter(pl.col("area") == area).sort("window")
    return [row["numerator"] / row["denominator"] for row in rows.to_dicts()]


MARCH = windows(month(2025, 3))
SAMPLE_FEEDER = [
    (200, 8.17), (400, 0.5), (600, 71.3), (25, 30.3), (2000, 1.0), (90, 267.2), (700, 120.0), (1500, 10.0), (100, 40.0),
]  # fmt: skip


def test_indices_agree_with_the_sample_feeder_of_ieee_1366() -> None:
    events = outages(*(cut(customers, minutes) for customers, minutes in SAMPLE_FEEDER))
    year = windows((datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)))
    found = {
        index.__name__: values(index(events, FEEDERS, WHOLE, ASSETS, year))["town"]
        for index in (saifi, saidi, caidi, asai, maifi)
    }
    assert found == {
        "saifi": pytest.approx(1.6075),
        "saidi": pytest.approx(86.10975, abs=1e-4),
        "caidi": pytest.approx(53.5675, abs=1e-4),
        "asai": pytest.approx(0.999836, abs=1e-6),
        "maifi": pytest.approx(1.2),
    }


def test_an_interruption_of_exactly_five_minutes_is_momentary() -> None:
    events = outages(cut(100, 5), cut(200, 5.001))
    assert values(saifi(events, FEEDERS, WHOLE, ASSETS, MARCH))["town"] == 200 / 2000
    assert values(maifi(events, FEEDERS, WHOLE, ASSETS, MARCH))["town"] == 100 / 2000


def test_a_town_may_count_from_another_number_of_minutes() -> None:
    events = outages(cut(100, 2))
    assert values(saifi(events, FEEDERS, WHOLE, ASSETS, MARCH, sustained_min=1))["town"] == 100 / 2000


def test_stepwise_restoration_is_one_interruption_per_customer() -> None:
    events = outages(cut(600, 30, outage="O1", step=1), cut(400, 90, outage="O1", step=2))
    feeders = pl.DataFrame({"asset": ["F1"], "customers_served": [10000]})
    found = [values(index(events, feeders, WHOLE, ASSETS, MARCH))["town"] for index in (saifi, saidi, caidi)]
    assert found == [0.1, 5.4, 54.0]


def test_planned_outages_count_unless_the_town_leaves_them_out() -> None:
    events = outages(cut(100, 60, planned=True), cut(100, 60, planned=False), cut(100, 60, planned=None))
    assert values(saifi(events, FEEDERS, WHOLE, ASSETS, MARCH))["town"] == 300 / 2000
    assert values(saifi(events, FEEDERS, WHOLE, ASSETS, MARCH, include_planned=False))["town"] == 200 / 2000


def test_an_outage_that_lasts_runs_up_to_now() -> None:
    now = DAY + timedelta(minutes=42)
    events = outages(cut(500, None))
    running = windows(month(2025, 3), now=now)
    assert values(saidi(events, FEEDERS, WHOLE, ASSETS, running))["town"] == 500 * 42 / 2000
    assert values(customers_without_power_value(events, running))["asset:F1"] == 500


def customers_without_power_value(events: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    rows = customers_without_power(events, FEEDERS, WHOLE, ASSETS, spans)
    return rows.select("window", "area", numerator="value", denominator=pl.lit(1.0))


def test_an_outage_younger_than_five_minutes_is_neither_sustained_nor_momentary() -> None:
    young = windows(month(2025, 3), now=DAY + timedelta(minutes=3))
    events = outages(cut(500, None))
    assert values(saifi(events, FEEDERS, WHOLE, ASSETS, young))["town"] == 0
    assert values(maifi(events, FEEDERS, WHOLE, ASSETS, young))["town"] == 0


def test_an_announced_outage_counts_only_as_far_as_it_has_happened() -> None:
    half = windows(month(2025, 3), now=DAY + timedelta(minutes=30))
    events = outages(cut(100, 60, planned=True), cut(900, 60, planned=True, started_at=DAY + timedelta(days=2)))
    assert values(saidi(events, FEEDERS, WHOLE, ASSETS, half))["town"] == 100 * 30 / 2000


def test_minutes_are_booked_in_the_month_in_which_the_outage_began() -> None:
    start = datetime(2025, 3, 31, 23, tzinfo=ZoneInfo(ROME))
    events = outages(cut(200, 180, started_at=start.astimezone(UTC)))
    both = windows(month(2025, 3), month(2025, 4))
    assert by_month(saidi(events, FEEDERS, WHOLE, ASSETS, both)) == [200 * 180 / 2000, 0]


def test_wards_and_feeders_add_up_to_the_town() -> None:
    events = outages(
        cut(300, 60), cut(100, 20, feeder="F2"), cut(50, 30, feeder="F2", ward="W1"), cut(70, 2, feeder="F2")
    )
    for index in (saifi, saidi, caidi, asai, maifi):
        rows = index(events, FEEDERS, WHOLE, ASSETS, MARCH)
        town = rows.filter(pl.col("area") == "town").row(0, named=True)
        for level in ("ward:", "asset:"):
            sums = rows.filter(pl.col("area").str.starts_with(level)).select(pl.col("numerator", "denominator").sum())
            assert sums.row(0) == pytest.approx((town["numerator"], town["denominator"]))
    assert values(saifi(events, FEEDERS, WHOLE, ASSETS, MARCH)) == {
        "town": 450 / 2000, "ward:W1": 350 / 1500, "ward:W2": 100 / 500, "asset:F1": 300 / 1500, "asset:F2": 150 / 500,
    }  # fmt: skip


def test_a_feeder_that_serves_several_wards_counts_in_each() -> None:
    """F1 has 900 of its 1500 customers in W1 and 600 in W3; F2 stands in W2 and is not split."""
    split = pl.DataFrame({"asset": ["F1", "F1"], "ward": ["W1", "W3"], "customers_served": [900, 600]})
    events = outages(cut(300, 60, ward="W1"), cut(60, 60, ward="W3"), cut(50, 60, feeder="F2"))
    assert values(saifi(events, FEEDERS, split, ASSETS, MARCH)) == {
        "town": 410 / 2000, "ward:W1": 300 / 900, "ward:W2": 50 / 500, "ward:W3": 60 / 600,
        "asset:F1": 360 / 1500, "asset:F2": 50 / 500,
    }  # fmt: skip


def test_a_month_without_outages_is_zero_and_has_no_caidi() -> None:
    nothing = outages()
    assert values(saidi(nothing, FEEDERS, WHOLE, ASSETS, MARCH)) == dict.fromkeys(
        ["town", "ward:W1", "ward:W2", "asset:F1", "asset:F2"], 0
    )
    without = caidi(nothing, FEEDERS, WHOLE, ASSETS, MARCH)
    assert without["denominator"].to_list() == [0] * 5
    assert set(without["reason"]) == {"not_applicable"}
    assert values(asai(nothing, FEEDERS, WHOLE, ASSETS, MARCH))["town"] == 1


def test_nothing_is_said_when_nobody_is_registered() -> None:
    assert saidi(outages(cut(10, 60)), FEEDERS.clear(), WHOLE, ASSETS, MARCH).is_empty()


def test_an_outage_with_unknown_customers_counts_nowhere() -> None:
    assert values(saifi(outages(cut(None, 60)), FEEDERS, WHOLE, ASSETS, MARCH))["town"] == 0


def test_demanded_hours_follow_the_clock_change() -> None:
    found = asai(outages(), FEEDERS, WHOLE, ASSETS, windows(month(2025, 3), month(2025, 10))).filter(
        pl.col("area") == "town"
    )
    assert found.sort("window")["denominator"].to_list() == [2000 * 743, 2000 * 745]


def test_one_call_for_many_months_equals_a_call_per_month() -> None:
    starts = [datetime(2025, number, 20, 22, 30, tzinfo=UTC) for number in range(1, 13) for _ in range(3)]
    events = outages(*(cut(10 + place, 7 * place, started_at=start) for place, start in enumerate(starts)))
    spans = [month(2025, number) for number in range(1, 13)]
    together = saidi(events, FEEDERS, WHOLE, ASSETS, windows(*spans)).sort("window", "area")
    apart = pl.concat(saidi(events, FEEDERS, WHOLE, ASSETS, windows(span)) for span in spans).sort("window", "area")
    assert together.equals(apart)


def test_the_index_of_the_year_is_the_same_function_under_its_own_id() -> None:
    yearly = of_the_year(saidi)
    assert yearly.__name__ == "saidi_year"
    events = outages(cut(100, 60))
    assert values(yearly(events, FEEDERS, WHOLE, ASSETS, MARCH)) == values(saidi(events, FEEDERS, WHOLE, ASSETS, MARCH))
    assert inspect.signature(yearly) == inspect.signature(saidi)


def test_customers_without_power_counts_those_still_out() -> None:
    rows = outages(cut(600, 30, outage="O1"), cut(400, 90, outage="O1", step=2), cut(50, None, feeder="F2"))
    at = windows((DAY + timedelta(minutes=30), DAY + timedelta(minutes=45)))
    found = dict(customers_without_power(rows, FEEDERS, WHOLE, ASSETS, at).select("area", "value").iter_rows())
    assert found == {"town": 450, "ward:W1": 400, "ward:W2": 50, "asset:F1": 400, "asset:F2": 50}


YEAR_BEFORE = [0.5, 1.2, 0.8, 2.0, 1.5, 0.3, 4.0]


def history() -> list[dict]:
    """Days of 2024 with the daily SAIDI of catalogue vector EN-02#3: 600 of 6000 customers, ten times as long."""
    return [
        cut(600, saidi_of_day * 10, started_at=datetime(2024, 5, 1 + day, 9, tzinfo=UTC))
        for day, saidi_of_day in enumerate(YEAR_BEFORE)
    ]


SIX_THOUSAND = pl.DataFrame({"asset": ["F1", "F2"], "customers_served": [5000, 1000]})


def test_t_med_is_that_of_the_years_before() -> None:
    """Events of 5 minutes or less are momentary, so this counts from 1 minute on."""
    year = windows((datetime(2024, 12, 31, 23, tzinfo=UTC), datetime(2025, 12, 31, 23, tzinfo=UTC)))
    row = t_med(outages(*history()), SIX_THOUSAND, ASSETS, year, ROME, sustained_min=1).row(0, named=True)
    assert row["value"] == pytest.approx(9.507451, abs=1e-5)
    assert (row["n"], row["detail"], row["reason"]) == (7, "provisional", None)


def test_t_med_is_unknown_in_the_first_year() -> None:
    year = windows((datetime(2023, 12, 31, 23, tzinfo=UTC), datetime(2024, 12, 31, 23, tzinfo=UTC)))
    row = t_med(outages(*history()), SIX_THOUSAND, ASSETS, year, ROME, sustained_min=1).row(0, named=True)
    assert (row["value"], row["reason"]) == (None, "insufficient_data")


def test_major_event_days_are_left_out_and_counted() -> None:
    """Daily SAIDI 0.4, 9.6 and 30 as in catalogue vector EN-02#4: the last two are above 9.507451."""
    days = [(0.4, 3), (9.6, 4), (30.0, 5)]
    events = [cut(600, minutes * 10, started_at=datetime(2025, 3, day, 9, tzinfo=UTC)) for minutes, day in days]
    rows = saidi_without_major_events(
        outages(*history(), *events), SIX_THOUSAND, WHOLE, ASSETS, MARCH, ROME, sustained_min=1
    )
    found = values(rows)
    assert found["town"] == pytest.approx(0.4)
    assert found["ward:W1"] == pytest.approx(0.4 * 6000 / 5000)
    assert found["ward:W2"] == 0
    assert rows["detail"].unique().to_list() == ["2 major event days, T_MED provisional"]


def test_a_storm_counts_on_the_local_day_it_began() -> None:
    """Two cuts on either side of local midnight are two days of 6 minutes, not one of 12."""
    midnight = datetime(2025, 3, 10, tzinfo=ZoneInfo(ROME)).astimezone(UTC)
    events = [cut(600, 60, started_at=midnight + timedelta(minutes=shift)) for shift in (-10, 10)]
    rows = saidi_without_major_events(
        outages(*history(), *events), SIX_THOUSAND, WHOLE, ASSETS, MARCH, ROME, sustained_min=1
    )
    assert values(rows)["town"] == pytest.approx(12)


def test_without_history_no_day_can_be_called_major() -> None:
    rows = saidi_without_major_events(outages(cut(100, 60)), FEEDERS, WHOLE, ASSETS, MARCH, ROME)
    assert set(rows["reason"]) == {"insufficient_data"}
    assert rows["numerator"].null_count() == rows.height


RECORDED = Path(os.environ.get("TOWNBOARD_SHARED", Path(__file__).parents[3] / "shared")) / (
    "data/energy/us_major_power_outages_2000_2011.csv.gz"
)


@cache
def recorded() -> list[dict]:
    """Outages with a known start and duration; `state` stands for the feeder, `served` is the state's customers."""
    with gzip.open(RECORDED, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["variables"] != "Units"]
    known = [row for row in rows if not {row["OUTAGE.START.DATE"], row["OUTAGE.DURATION"]} & {"", "NA"}]
    return [
        {
            "outage": row["OBS"],
            "state": row["POSTAL.CODE"],
            "served": int(float(row["TOTAL.CUSTOMERS"])),
            "start": datetime.fromisoformat(f"{row['OUTAGE.START.DATE'][:10]}T{row['OUTAGE.START.TIME']}").replace(
                tzinfo=UTC
            ),
            "minutes": float(row["OUTAGE.DURATION"]),
            "customers": None if row["CUSTOMERS.AFFECTED"] in ("", "NA") else int(float(row["CUSTOMERS.AFFECTED"])),
        }
        for row in known
    ]


def registers() -> tuple[pl.DataFrame, pl.DataFrame]:
    """A feeder per state with the customers of its first row, each in a ward of its own."""
    served: dict[str, int] = {}
    for row in recorded():
        served.setdefault(row["state"], row["served"])
    feeders = pl.DataFrame({"asset": list(served), "customers_served": list(served.values())})
    return feeders, feeders.select("asset", kind=pl.lit("feeder"), ward="asset", parent=pl.lit(None, dtype=pl.String))


def recorded_events() -> pl.DataFrame:
    return outages(
        *(
            cut(r["customers"], r["minutes"], started_at=r["start"], outage=r["outage"], feeder=r["state"])
            for r in recorded()
        )
    )


def by_hand(area: str) -> dict[int, tuple[float, float, float]]:
    """Year -> customers interrupted, their minutes, momentary interruptions; area is a state or `town`."""
    sums: dict[int, list[float]] = {year: [0.0, 0.0, 0.0] for year in range(2000, 2012)}
    for row in recorded():
        if row["customers"] is not None and area in ("town", row["state"]):
            year = sums[row["start"].year]
            if row["minutes"] > 5:
                year[0] += row["customers"]
                year[1] += row["customers"] * row["minutes"]
            else:
                year[2] += row["customers"]
    return {year: (found[0], found[1], found[2]) for year, found in sums.items()}


absent = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded outages are not here")


@absent
@pytest.mark.parametrize("state", ["town", "WA", "TX", "MI"])
def test_indices_of_recorded_outages_equal_plain_arithmetic(state: str) -> None:
    feeders, assets = registers()
    years = range(2000, 2012)
    spans = windows(*((datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)) for year in years))
    area = "town" if state == "town" else f"asset:{state}"
    known = dict(feeders.iter_rows())
    served = sum(known.values()) if state == "town" else known[state]
    sums, events = by_hand(state), recorded_events()
    assert len(recorded()) > 850
    for place, index in enumerate((saifi, saidi, maifi)):
        found = by_month(index(events, feeders, WHOLE, assets, spans), area)
        assert found == pytest.approx([sums[year][place] / served for year in years], rel=1e-12)
    whole = windows((datetime(2000, 1, 1, tzinfo=UTC), datetime(2012, 1, 1, tzinfo=UTC)))
    restored = sum(year[1] for year in sums.values()) / sum(year[0] for year in sums.values())
    assert by_month(caidi(events, feeders, WHOLE, assets, whole), area) == pytest.approx([restored], rel=1e-12)


@absent
def test_t_med_of_recorded_outages_equals_plain_arithmetic() -> None:
    feeders, assets = registers()
    served = feeders["customers_served"].sum()
    daily: dict[object, float] = defaultdict(float)
    for row in recorded():
        if row["customers"] is not None and row["minutes"] > 5 and 2006 <= row["start"].year <= 2010:
            daily[row["start"].date()] += row["customers"] * row["minutes"] / served
    logarithms = [math.log(minutes) for minutes in daily.values() if minutes > 0]
    expected = math.exp(statistics.mean(logarithms) + 2.5 * statistics.stdev(logarithms))
    year = windows((datetime(2011, 1, 1, tzinfo=UTC), datetime(2012, 1, 1, tzinfo=UTC)))
    row = t_med(recorded_events(), feeders, assets, year, "UTC").row(0, named=True)
    assert row["value"] == pytest.approx(expected, rel=1e-12)
    assert (row["n"], row["detail"]) == (len(logarithms), "settled")
