"""The recorded files, read by mappings as a clerk writes them; counts are those of the data's own manifest."""

import gzip
import math
import tomllib
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from pipelines.engine.decode.table_file import check_mapping
from tests.engine.decode.table_payloads import of_feed

HERE = Path(__file__).parent
RECORDED = HERE.parents[3] / "shared" / "data"
FEEDS = tomllib.loads((HERE / "samples" / "recorded.toml").read_text())["feeds"]
KINDS = {
    "readings": {"sensor": "text", "observed_at": "instant", "value": "number", "unit": "text"},
    "outages": dict.fromkeys(("outage", "step", "ward", "started_at", "restored_at", "customers", "cause", "planned"), "text"),
    "service_requests": dict.fromkeys(
        ("service_request_id", "requested_datetime", "closed_at", "expected_datetime", "service_name", "description", "address", "agency_responsible", "status", "channel", "lat", "lon"),
        "text",
    ),
}  # fmt: skip

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded data are not here")


@cache
def decoded(feed, path):
    return of_feed(FEEDS[feed], (RECORDED / path).read_bytes())


def table(feed, path):
    return decoded(feed, path).tables[FEEDS[feed]["table"]]


def nulls(frame, sensor):
    return frame.filter(pl.col("sensor") == sensor)["value"].null_count()


@pytest.mark.parametrize("name", FEEDS)
def test_mapping_of_a_recorded_file_is_sound(name):
    feed = FEEDS[name]
    engine = {"feed": name, "zone": feed.get("zone"), "format": feed["format"], "table": feed["table"]}
    assert check_mapping({**engine, **feed["mapping"]}, KINDS[feed["table"]]) == []


@pytest.mark.parametrize(
    ("feed", "path", "count"),
    [
        ("uci_air", "air/AirQualityUCI_italy_hourly_2004_2005.csv.gz", 9357 * 5),
        ("valencia", "air/valencia_es_avda_francia_hourly_2019_2022.csv.gz", 35064 * 6),
        ("beijing", "air/beijing_prsa_changping_hourly_2013_2017.csv.gz", 35064 * 6),
        ("beijing", "air/beijing_prsa_shunyi_hourly_2013_2017.csv.gz", 35064 * 6),
        ("beijing", "air/beijing_prsa_tiantan_hourly_2013_2017.csv.gz", 35064 * 6),
        ("cpcb", "air/india_cpcb_city_day_13cities.csv.gz", 11614 * 8),
        ("bwdf", "water/bwdf_Inflow_Data_1.xlsx", 13679 * 10),
        ("household", "water/household_hourly_water_2016_daiad.csv", 181 * 24),
        ("battledim", "water/battledim_2019_leak_p257_SIMULATED.parquet", 105120),
        ("bareilly", "energy/ceew_bareilly_daily_kwh_23meters.csv.gz", 13304),
        ("transformer", "energy/ETTh1_transformer_hourly_2016_2018.csv.gz", 17420),
        ("sceaux", "energy/uci_household_power_sceaux_1min_2007_02_04.csv.gz", 128160 * 2),
        ("victoria", "energy/vic_electricity_halfhourly_2012_2014.csv.gz", 52608),
        ("us_outages", "energy/us_major_power_outages_2000_2011.csv.gz", 917),
        ("speed", "traffic/mndot_speed_6005.csv", 2500),
        ("counts", "traffic/clackamas_or_signal_detector_counts_15min.parquet", 54824),
        ("nyc_311", "grievances/nyc_311_portal_export_animals_2010_2025.csv.gz", 5895),
        ("newport", "grievances/newport_ri_seeclickfix_issues_20170903.json.gz", 1031),
    ],
)
def test_recorded_file_is_read_whole(feed, path, count):
    found = decoded(feed, path)
    assert found.refused == ()
    assert found.rows == count


def test_decimal_commas_and_codes_for_missing_of_the_italian_station():
    frame = table("uci_air", "air/AirQualityUCI_italy_hourly_2004_2005.csv.gz")
    assert frame.row(0) == ("uci:CO(GT)", datetime(2004, 3, 10, 17, tzinfo=UTC), 2.6, "mg/m^3", 2)
    assert (nulls(frame, "uci:CO(GT)"), nulls(frame, "uci:no2"), nulls(frame, "uci:T")) == (1683, 1642, 366)
    assert frame["value"].min() > -10


def test_italian_station_under_a_zone_with_summer_time_shows_that_its_clock_has_none():
    feed = {**FEEDS["uci_air"], "zone": "Europe/Rome"}
    found = of_feed(feed, (RECORDED / "air/AirQualityUCI_italy_hourly_2004_2005.csv.gz").read_bytes())
    assert [one.original[:19] for one in found.refused] == [b"28/03/2004;02.00.00", b"27/03/2005;02.00.00"]


def test_gaps_of_the_air_stations_stay_rows_without_a_value():
    beijing = table("beijing", "air/beijing_prsa_tiantan_hourly_2013_2017.csv.gz")
    assert (nulls(beijing, "Tiantan:PM2.5"), nulls(beijing, "Tiantan:CO")) == (677, 1126)
    assert beijing["observed_at"][0] == datetime(2013, 2, 28, 16, tzinfo=UTC)
    valencia = table("valencia", "air/valencia_es_avda_francia_hourly_2019_2022.csv.gz")
    assert (nulls(valencia, "valencia:co"), nulls(valencia, "valencia:pm25")) == (3124, 1881)
    cpcb = table("cpcb", "air/india_cpcb_city_day_13cities.csv.gz")
    assert cpcb.filter(pl.col("sensor").str.ends_with(":AQI"))["value"].null_count() == 1751


def test_inflow_runs_hour_by_hour_through_three_clock_changes():
    frame = table("bwdf", "water/bwdf_Inflow_Data_1.xlsx").filter(pl.col("sensor") == "dma-c:inflow")
    steps = frame["observed_at"].diff().drop_nulls().dt.total_minutes()
    assert frame.height == 13679
    assert set(steps) == {60}
    assert frame["observed_at"][0] == datetime(2020, 12, 31, 23, tzinfo=UTC)
    assert frame["observed_at"][-1] == datetime(2022, 7, 24, 21, tzinfo=UTC)
    assert frame["value"].null_count() == 92
    assert (
        table("bwdf", "water/bwdf_Inflow_Data_1.xlsx").filter(pl.col("sensor") == "dma-f:inflow")["value"].null_count()
        == 1879
    )


def test_inflow_values_are_the_cells_of_the_workbook():
    with closing(openpyxl.load_workbook(RECORDED / "water/bwdf_Inflow_Data_1.xlsx", read_only=True)) as book:
        cells = [row[6] for row in book["InflowData"].iter_rows(min_row=2, values_only=True) if row[0]]
    found = table("bwdf", "water/bwdf_Inflow_Data_1.xlsx").filter(pl.col("sensor") == "dma-f:inflow")["value"].to_list()
    assert found == [cell if isinstance(cell, (int, float)) else None for cell in cells]


def test_daily_litres_of_the_household_are_kept():
    frame = table("household", "water/household_hourly_water_2016_daiad.csv")
    daily = frame.group_by(pl.col("observed_at").dt.convert_time_zone("Europe/Madrid").dt.date()).agg(
        pl.col("value").sum()
    )
    assert (daily.height, daily["value"].max(), math.floor(daily["value"].median())) == (181, 278, 132)


def test_outages_skip_their_units_row_and_join_date_and_time():
    frame = table("us_outages", "energy/us_major_power_outages_2000_2011.csv.gz")
    first = frame.row(0, named=True)
    assert (first["_row"], first["outage"], first["customers"]) == (3, "1", "70000")
    assert first["started_at"] == datetime(2011, 7, 1, 22, tzinfo=UTC)
    assert frame["customers"].null_count() == 184


def test_service_requests_of_new_york_keep_their_am_and_pm():
    path = "grievances/nyc_311_portal_export_animals_2010_2025.csv.gz"
    frame = table("nyc_311", path)
    first = frame.row(0, named=True)
    assert first["requested_datetime"] == datetime(2020, 2, 17, 17, 19, tzinfo=UTC)
    assert frame.filter(pl.col("status") == "closed").height == 2462
    assert frame["expected_datetime"].count() == 2793
    assert frame["lat"].null_count() == 57
    assert (frame["closed_at"] < frame["requested_datetime"]).sum() == 2
    whole = gzip.decompress((RECORDED / path).read_bytes())
    assert decoded("nyc_311", path).original(2) == whole.split(b"\n")[1]


def test_issues_of_newport_keep_their_nested_fields():
    frame = table("newport", "grievances/newport_ri_seeclickfix_issues_20170903.json.gz")
    assert (frame["closed_at"].null_count(), frame["service_name"].null_count()) == (70, 60)
    assert frame["requested_datetime"].min().year == 2009
    assert frame["service_request_id"][0] == "3672116"
    assert frame["lon"].is_between(-72, -71).all()


def test_detector_counts_name_their_sensors_after_two_columns():
    frame = table("counts", "traffic/clackamas_or_signal_detector_counts_15min.parquet")
    assert frame["sensor"].n_unique() == 22
    assert frame.row(0)[:3] == ("85-22", datetime(2024, 4, 18, 7, 15, tzinfo=UTC), 2.0)
