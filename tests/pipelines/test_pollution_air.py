"""The air indexes against hand calculation, published rows, and a plain-Python oracle that shares no code with them."""

import gzip
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from pipelines.engine.model import Reference
from pipelines.pollution.air import european_aqi, india_naqi, nowcast_aqi, nowcast_pm25, us_aqi
from pipelines.pollution.formulas import category, millionths, us_ozone, us_sub_index, us_sulphur_dioxide
from pipelines.pollution.limit_references import EUROPEAN_AQI_BANDS, LIMITS, US_AQI_BREAKPOINTS
from pipelines.pollution.limit_tables import MILLION
from tests.shipped import shipped

INSTANT = pl.Datetime("us", "UTC")
START = datetime(2025, 1, 10, 18, 30, tzinfo=UTC)  # midnight in Kolkata
ROLLUP = {
    "sensor": pl.String, "asset": pl.String, "kind": pl.String, "ward": pl.String, "observed_at": INSTANT,
    "n": pl.Int64, "expected": pl.Int64, "sum": pl.Float64,
}  # fmt: skip
NO_ROWS = pl.DataFrame(schema=ROLLUP)
PUBLISHED = Path(__file__).parents[3] / "shared/data/air/india_cpcb_city_day_13cities.csv.gz"


def hourly(series: dict[str, list[float | None]], ward: str = "W1", n: int = 4, expected: int = 4) -> pl.DataFrame:
    """Rollups with these hourly means per station; None leaves the hour out."""
    rows = [
        (f"{asset}-x", asset, "air_station", ward, START + timedelta(hours=hour), n, expected, value * n)
        for asset, values in series.items()
        for hour, value in enumerate(values)
        if value is not None
    ]
    return pl.DataFrame(rows, schema=ROLLUP, orient="row")


def windows(count: int, hours: int, first: datetime = START) -> pl.DataFrame:
    starts = [first + timedelta(hours=place) for place in range(count)]
    ends = [start + timedelta(hours=hours) for start in starts]
    return pl.DataFrame(
        {"window": starts, "end": ends, "as_of": ends}, schema=dict.fromkeys(["window", "end", "as_of"], INSTANT)
    )


def value(frame: pl.DataFrame, area: str = "town", column: str = "value") -> object:
    return frame.filter(pl.col("area") == area)[column].to_list()[0]


def day(level: float) -> pl.DataFrame:
    return hourly({"A1": [level] * 24})


def index(pollutant: str, averaging: str, concentration: float) -> int | None:
    frame = pl.DataFrame({"c": [concentration]})
    return frame.select(us_sub_index(pollutant, averaging, millionths(pl.col("c")))).item()


@pytest.mark.parametrize(
    ("pollutant", "averaging", "concentration", "expected"),
    [
        ("PM2.5", "24h", 9.09, 50),  # truncated to 9.0; rounding would give 51
        ("PM2.5", "24h", 9.1, 51),
        ("PM2.5", "24h", 0.1 + 0.2, 2),  # 50/9 x 0.3 = 1.67
        ("PM2.5", "24h", 35.49, 100),
        ("PM2.5", "24h", 325.4, 500),
        ("PM2.5", "24h", 999.0, 500),
        ("PM2.5", "24h", -0.2, 0),
        ("PM10", "24h", 154.99, 100),
        ("O3", "8h", 78.53333, 126),  # exactly 125.5: half up
        ("O3", "8h", 201.0, None),
        ("O3", "1h", 124.9, None),
        ("O3", "1h", 125.0, 101),
        ("CO", "8h", 8.4, 90),
        ("SO2", "1h", 304.9, 200),
        ("SO2", "1h", 305.0, None),
        ("SO2", "24h", 604.0, 300),
    ],
)  # fmt: skip
def test_us_sub_index_truncates_then_rounds_half_up(
    pollutant: str, averaging: str, concentration: float, expected: int | None
) -> None:
    assert index(pollutant, averaging, concentration) == expected


def test_us_ozone_takes_the_higher_of_8_hours_and_1_hour() -> None:
    frame = pl.DataFrame({"eight": [60, 60, 250, None], "one": [70, 150, 250, 405]}).with_columns(pl.all() * MILLION)
    # 8 h 60 ppb: 51 + 49 x 5/15 = 67; 1 h 150: 101 + 49 x 25/39 = 132; 250: 201 + 99 x 45/199 = 223; 405: 301
    assert frame.select(us_ozone(pl.col("eight"), pl.col("one"))).to_series().to_list() == [67, 132, 223, 301]


def test_us_sulphur_dioxide_uses_the_day_from_305_ppb() -> None:
    frame = pl.DataFrame({"one": [304, 400, 400, 400], "day": [310, 604, 90, None]}).with_columns(pl.all() * MILLION)
    found = frame.select(us_sulphur_dioxide(pl.col("one"), pl.col("day"))).to_series().to_list()
    assert found == [200, 300, 200, None]


def test_us_aqi_says_beyond_the_aqi_above_500() -> None:
    found = us_aqi(day(330.0), day(100.0), NO_ROWS, NO_ROWS, NO_ROWS, NO_ROWS, windows(1, 24))
    assert (value(found), value(found, column="detail")) == (500, "PM2.5, beyond the AQI")


def test_us_aqi_reads_gases_in_ug_m3_at_25_degrees() -> None:
    # 100 ppb NO2 = 100 x 46.0055 / 24.465 = 188.05 ug/m3 -> 100; 101 ppb = 189.93 -> 101
    assert value(us_aqi(*[NO_ROWS] * 5, day(188.2), windows(1, 24))) == 100
    assert value(us_aqi(*[NO_ROWS] * 5, day(189.95), windows(1, 24))) == 101


def test_us_aqi_needs_18_hours() -> None:
    for hours, expected in ((18, 71), (17, None)):
        found = us_aqi(hourly({"A1": [20.0] * hours}), *[NO_ROWS] * 5, windows(1, 24))
        assert (value(found), value(found, column="reason")) == (expected, None if expected else "insufficient_data")


def test_category_puts_an_edge_into_the_better_band() -> None:
    frame = pl.DataFrame({"i": [0, 50, 51, 100, 101, 200, 201, 300, 301, 400, 401, 900, None]})
    assert frame.select(category(pl.col("i"))).to_series().to_list() == [
        "Good", "Good", "Satisfactory", "Satisfactory", "Moderate", "Moderate", "Poor", "Poor",
        "Very Poor", "Very Poor", "Severe", "Severe", None,
    ]  # fmt: skip
    us = frame.select(category(pl.col("i"), "us_aqi")).to_series().to_list()
    assert us[4:8] == ["Unhealthy for Sensitive Groups", "Unhealthy", "Very Unhealthy", "Very Unhealthy"]


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the recorded CPCB data are not on this machine")
def test_category_agrees_with_every_published_indian_bucket() -> None:
    days = pl.read_csv(gzip.decompress(PUBLISHED.read_bytes())).filter(pl.col("AQI").is_not_null())
    named = days.with_columns(name=category(pl.col("AQI").cast(pl.Float64)))
    assert days.height == 9863
    assert named.filter(pl.col("name") != pl.col("AQI_Bucket")).height == 0


def test_india_naqi_takes_the_mean_of_stations_and_the_pollutant_of_the_worst() -> None:
    pm25 = hourly({"A1": [85.0] * 24, "A2": [30.0] * 24})
    pm10 = hourly({"A1": [180.0] * 24, "A2": [40.0] * 24})
    no2 = hourly({"A1": [45.0] * 24, "A2": [10.0] * 24})
    found = india_naqi(pm25, pm10, no2, *[NO_ROWS] * 5, windows(1, 24))
    # A1: 100 + 100 x 25/30 = 183.3; A2: 50; mean (183 + 50) / 2 = 116.5, half up
    assert [value(found, area) for area in ("asset:A1", "asset:A2", "town", "ward:W1")] == [183, 50, 117, 117]
    assert value(found, column="detail") == "PM2.5"
    assert (value(found, column="n"), value(found, column="n_expected")) == (144, 144)


def test_india_naqi_is_unknown_without_particles_or_three_pollutants_or_16_hours() -> None:
    gas, short = day(45.0), hourly({"A1": [85.0] * 15})
    for frames in ([NO_ROWS, NO_ROWS, gas, gas, day(1.2)], [day(85.0), NO_ROWS, gas], [short, NO_ROWS, gas, gas]):
        found = india_naqi(*frames, *[NO_ROWS] * (8 - len(frames)), windows(1, 24))
        assert (value(found), value(found, column="reason")) == (None, "insufficient_data")


def test_india_naqi_uses_the_one_hour_ozone_once_8_hours_exceed_208() -> None:
    ozone = hourly({"A1": [50.0] * 16 + [200.0] * 7 + [400.0]})
    found = india_naqi(day(85.0), NO_ROWS, day(45.0), ozone, *[NO_ROWS] * 4, windows(1, 24))
    # 8 h: (7 x 200 + 400) / 8 = 225 > 208, so 400 of one hour: 300 + 100 x 192/540 = 335.6
    assert (value(found), value(found, column="detail")) == (336, "O3")


def test_an_hour_with_under_75_percent_of_its_readings_does_not_count() -> None:
    thin = hourly({"A1": [85.0] * 24}, n=8, expected=12)
    assert us_aqi(thin, *[NO_ROWS] * 5, windows(1, 24)).height == 0


def test_small_negative_hours_are_zero_and_large_ones_missing() -> None:
    found = nowcast_pm25(hourly({"A1": [-0.5] * 12}), windows(1, 12))
    assert value(found) == 0
    assert value(nowcast_pm25(hourly({"A1": [-10.5] * 12}), windows(1, 12))) is None


def test_nowcast_gives_the_published_example_and_its_index() -> None:
    latest_first = [13, 16, 10, 21, 74, 64, 53, 82, 90, 75, 80, 50]
    frame = hourly({"A1": [float(level) for level in reversed(latest_first)]})
    assert value(nowcast_pm25(frame, windows(1, 12))) == pytest.approx(17.413919, abs=1e-6)
    assert value(nowcast_aqi(frame, NO_ROWS, windows(1, 12))) == 66


def test_nowcast_needs_two_of_the_latest_three_hours() -> None:
    steady: list[float | None] = [20.0] * 12
    assert value(nowcast_pm25(hourly({"A1": [*steady[:11], None]}), windows(1, 12))) == pytest.approx(20)
    assert value(nowcast_pm25(hourly({"A1": [*steady[:9], None, None, 20.0]}), windows(1, 12))) is None


def test_european_level_rounds_to_whole_numbers_and_names_the_pollutant() -> None:
    one = {"PM2.5": 5.4, "NO2": 60.5}
    found = european_aqi(
        hourly({"A1": [one["PM2.5"]]}), NO_ROWS, hourly({"A1": [one["NO2"]]}), NO_ROWS, NO_ROWS, windows(1, 1)
    )
    assert (value(found), value(found, column="detail")) == (4, "NO2")
    assert value(european_aqi(hourly({"A1": [5.4]}), *[NO_ROWS] * 4, windows(1, 1))) == 1
    assert value(european_aqi(hourly({"A1": [5.5]}), *[NO_ROWS] * 4, windows(1, 1))) == 2


def test_indexes_give_no_rows_without_readings() -> None:
    wanted = windows(2, 24)
    for found in (
        us_aqi(*[NO_ROWS] * 6, wanted),
        india_naqi(*[NO_ROWS] * 8, wanted),
        european_aqi(*[NO_ROWS] * 5, windows(2, 1)),
        nowcast_pm25(NO_ROWS, windows(2, 12)),
        nowcast_aqi(NO_ROWS, NO_ROWS, windows(2, 12)),
    ):
        assert found.height == 0
        assert {"window", "area", "value", "detail"} <= set(found.columns)


# The oracle: lists, Decimal and Fraction; breakpoints typed in here.

INDIA = {
    "PM2.5": [0, 30, 60, 90, 120, 250, 380],
    "PM10": [0, 50, 100, 250, 350, 430, 510],
    "NO2": [0, 40, 80, 180, 280, 400, 520],
    "O3": [0, 50, 100, 168, 208, 748, 1288],
    "CO": [0, 1, 2, 10, 17, 34, 51],
    "SO2": [0, 40, 80, 380, 800, 1600, 2400],
    "NH3": [0, 200, 400, 800, 1200, 1800, 2400],
    "Pb": [0, Fraction(1, 2), 1, 2, 3, Fraction(7, 2), 4],
}
INDIA_INDEX = [0, 50, 100, 200, 300, 400, 500]
US_PM25 = [(0, 90, 0, 50), (91, 354, 51, 100), (355, 554, 101, 150), (555, 1254, 151, 200), (1255, 2254, 201, 300), (2255, 3254, 301, 500)]  # fmt: skip
US_PM10 = [(0, 54, 0, 50), (55, 154, 51, 100), (155, 254, 101, 150), (255, 354, 151, 200), (355, 424, 201, 300), (425, 604, 301, 500)]  # fmt: skip


def half_up(number: Fraction) -> int:
    return (2 * number.numerator + number.denominator) // (2 * number.denominator)


def mean(values: Iterable[Decimal]) -> Fraction:
    listed = [Fraction(value) for value in values]
    return sum(listed, Fraction(0)) / len(listed)


def india_of(pollutant: str, level: Fraction) -> int:
    ends = INDIA[pollutant]
    for place in range(6):
        if level <= ends[place + 1]:
            slope = Fraction(INDIA_INDEX[place + 1] - INDIA_INDEX[place]) / Fraction(ends[place + 1] - ends[place])
            return half_up(slope * (level - ends[place]) + INDIA_INDEX[place])
    return 500


def best_eight(span: list[Decimal | None]) -> Fraction | None:
    runs = [[value for value in span[at : at + 8] if value is not None] for at in range(len(span) - 7)]
    means = [mean(run) for run in runs if len(run) >= 6]
    return max(means) if means else None


def india_oracle(data: dict[str, list[Decimal | None]]) -> int | None:
    found = {}
    for pollutant, span in data.items():
        valid = [value for value in span if value is not None]
        level = best_eight(span) if pollutant in ("O3", "CO") else mean(valid) if len(valid) >= 16 else None
        if pollutant == "O3" and level is not None and level > 208 and len(valid) >= 16:
            level = Fraction(max(valid))
        if level is not None:
            found[pollutant] = india_of(pollutant, level)
    return max(found.values()) if len(found) >= 3 and {"PM2.5", "PM10"} & set(found) else None


def us_of(table: list[tuple[int, int, int, int]], level: Fraction, step: int) -> int:
    cut = int((Decimal(level.numerator) / Decimal(level.denominator) * step).to_integral_value(ROUND_FLOOR))
    for low, high, index_low, index_high in table:
        if cut <= high:
            exact = Decimal(index_high - index_low) * (cut - low) / Decimal(high - low) + index_low
            return int(exact.to_integral_value(ROUND_HALF_UP))
    return 500


def us_oracle(pm25: list[Decimal | None], pm10: list[Decimal | None]) -> int | None:
    found = []
    for span, table, step in ((pm25, US_PM25, 10), (pm10, US_PM10, 1)):
        valid = [value for value in span if value is not None]
        if len(valid) >= 18:
            found.append(us_of(table, mean(valid), step))
    return max(found) if found else None


def nowcast_oracle(latest_first: list[float | None]) -> float | None:
    if sum(value is not None for value in latest_first[:3]) < 2:
        return None
    valid = [(place, value) for place, value in enumerate(latest_first) if value is not None]
    high, low = max(value for _, value in valid), min(value for _, value in valid)
    weight = max(low / high, 0.5) if high else 1.0
    return sum(weight**place * value for place, value in valid) / sum(weight**place for place, _ in valid)


def random_hours(rng: random.Random, high: float, hours: int, gaps: float) -> list[Decimal | None]:
    top = high * rng.random()
    return [None if rng.random() < gaps else Decimal(str(round(rng.uniform(0, top), 1))) for _ in range(hours)]


@pytest.mark.parametrize("seed", range(6))
def test_indexes_equal_the_oracle_on_random_air_with_gaps(seed: int) -> None:
    rng = random.Random(seed)
    tops = {"PM2.5": 400, "PM10": 700, "NO2": 500, "O3": 900, "CO": 40, "SO2": 1200, "NH3": 1500, "Pb": 4}
    gaps = (0.02, 0.2, 0.32)[seed % 3]
    stations = ("A1", "A2", "A3")
    air = {p: {a: random_hours(rng, top, 60, gaps) for a in stations} for p, top in tops.items()}
    frames = {p: hourly({a: [None if v is None else float(v) for v in vs] for a, vs in air[p].items()}) for p in air}
    count = 37
    india = india_naqi(*frames.values(), windows(count, 24)).filter(pl.col("area").str.starts_with("asset:"))
    us = us_aqi(frames["PM2.5"], frames["PM10"], *[NO_ROWS] * 4, windows(count, 24))
    now = nowcast_pm25(frames["PM2.5"], windows(count, 12))
    checked = 0
    for place in range(count):
        at = START + timedelta(hours=place)
        for asset in stations:
            spans = {p: air[p][asset][place : place + 24] for p in air}
            here = (pl.col("window") == at) & (pl.col("area") == f"asset:{asset}")
            assert india.filter(here)["value"].to_list() == [india_oracle(spans)]
            assert us.filter(here)["value"].to_list() == [us_oracle(spans["PM2.5"], spans["PM10"])]
            twelve = [None if v is None else float(v) for v in reversed(air["PM2.5"][asset][place : place + 12])]
            assert now.filter(here)["value"].to_list() == [pytest.approx(nowcast_oracle(twelve), abs=1e-5)]
            checked += india.filter(here)["value"].is_not_null().sum()
    assert checked > 20


def test_one_window_gives_the_same_as_many_at_once() -> None:
    rng = random.Random(7)
    frames = [hourly({"A1": [float(v or 0) for v in random_hours(rng, 200, 60, 0)]}) for _ in range(8)]
    many = india_naqi(*frames, windows(30, 24)).sort("window", "area")
    single = [india_naqi(*frames, windows(1, 24, START + timedelta(hours=at))) for at in range(30)]
    assert pl.concat(single).sort("window", "area").equals(many)


def test_indexes_go_by_the_tables_that_a_town_has_replaced() -> None:
    eased = shipped(US_AQI_BREAKPOINTS).with_columns(pl.col("index_low", "index_high") + 1000)
    plain = us_aqi(day(20.0), *[NO_ROWS] * 5, windows(1, 24))
    assert value(us_aqi(day(20.0), *[NO_ROWS] * 5, windows(1, 24), eased)) == value(plain) + 1000
    bands = shipped(EUROPEAN_AQI_BANDS).with_columns(pl.col("up_to") * 2)
    frame = hourly({"A1": [9.0]})
    assert value(european_aqi(frame, *[NO_ROWS] * 4, windows(1, 1))) == 2
    assert value(european_aqi(frame, *[NO_ROWS] * 4, windows(1, 1), bands)) == 1


def test_pollutant_that_a_towns_table_does_not_judge_has_no_index() -> None:
    gases = shipped(US_AQI_BREAKPOINTS).filter(pl.col("pollutant") != "PM2.5")
    found = us_aqi(day(330.0), day(100.0), *[NO_ROWS] * 4, windows(1, 24), gases)
    assert found["detail"].to_list() == ["PM10"] * found.height
    assert value(found) == value(us_aqi(NO_ROWS, day(100.0), *[NO_ROWS] * 4, windows(1, 24)))


@pytest.mark.parametrize("reference", LIMITS, ids=lambda reference: reference.name)
def test_shipped_table_is_read_as_a_towns_own_would_be(reference: Reference) -> None:
    assert reference.shipped is not None
    own = shipped(reference)
    assert own.height == pl.read_csv(reference.shipped).height
    assert own["source"].null_count() == own["date"].null_count() == 0
