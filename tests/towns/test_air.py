"""Air as recorded in Italy, Valencia, Beijing and thirteen Indian cities: missing codes, clocks, units, days above the WHO level."""

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines.engine.town import Town
from pipelines.pollution.formulas import category

from .recording import at, folder_of, opened

# WHO global air quality guidelines 2021, table 0.1: 24-hour levels in ug/m3, CO in mg/m3.
WHO = {"PM2.5": 15, "PM10": 45, "NO2": 25, "SO2": 40, "CO": 4}
CET = timezone(timedelta(hours=1))
Measured = tuple[str, datetime, float]


def lines(recorded: Path, name: str, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a packed file."""
    text = gzip.decompress((recorded / "air" / name).read_bytes()).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def daily_means(measured: Iterable[Measured], zone: ZoneInfo) -> dict[tuple[str, date], float]:
    """(pollutant, local day) -> mean, of days with 18 of 24 hours."""
    days = defaultdict(list)
    for pollutant, when, value in measured:
        days[pollutant, when.astimezone(zone).date()].append(value)
    return {key: sum(values) / len(values) for key, values in days.items() if len(values) >= 18}


def days_above(means: dict[tuple[str, date], float], year: int) -> tuple[int, float]:
    """Days above the WHO level of the pollutant with most of them, and the share of days that are known."""
    ours = {key: mean for key, mean in means.items() if key[1].year == year and key[0] in WHO}
    measured = {pollutant for pollutant, _ in ours}
    above = [sum(round(m, 6) > WHO[p] for (p, _), m in ours.items() if p == pollutant) for pollutant in measured]
    return max(above), len(ours) / (len(measured) * (366 if year % 4 == 0 else 365))


def published_days(town: Town, area: str) -> dict[int, float | None]:
    """Year -> the published days above the WHO level."""
    history = town.history("who_exceedance_days", [area])
    local = ZoneInfo(town.zone)
    return {start.astimezone(local).year: value for start, value in history.select("window", "value").iter_rows()}


# Italy ---------------------------------------------------------------------------------------------------------------

ITALIAN = "AirQualityUCI_italy_hourly_2004_2005.csv.gz"


@pytest.fixture(scope="module")
def italian(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Thirteen months of the station at the road."""
    folder = folder_of("italian_station", tmp_path_factory.mktemp("italian"))
    with opened(folder, at("2005-04-05T00:00"), ["who_exceedance_days", "data_capture", "us_aqi"]) as town:
        (receipt,) = town.land("station", (recorded / "air" / ITALIAN).read_bytes())
        assert (receipt.decoded, receipt.stored, receipt.quarantined) == (2 * 9357, 2 * 9357, 0)
        town.evaluate()
        yield town.town


def italian_readings(recorded: Path) -> list[tuple[str, datetime, float | None]]:
    """Pollutant, instant and value (null: the code -200) of every row that has a date."""
    found = []
    for row in lines(recorded, ITALIAN, ";"):
        if row["Date"]:
            when = datetime.strptime(f"{row['Date']} {row['Time']}", "%d/%m/%Y %H.%M.%S").replace(tzinfo=CET)
            for pollutant in ("CO", "NO2"):
                value = float(row[f"{pollutant}(GT)"].replace(",", "."))
                found.append((pollutant, when, None if value == -200 else value))
    return found


def test_italian_missing_codes_are_missing_and_the_rest_are_readings(italian: Town, recorded: Path):
    expected = italian_readings(recorded)
    for pollutant, sensor, missing in (("CO", "road:co", 1683), ("NO2", "road:no2", 1642)):
        rows = italian.readings([sensor], at("2004-01-01T00:00"), at("2006-01-01T00:00"))
        values = {when: value for name, when, value in expected if name == pollutant}
        assert rows["value"].null_count() == missing == sum(value is None for value in values.values())
        assert dict(rows.select("observed_at", "value").iter_rows()) == values


def test_italian_days_above_the_who_level_equal_the_file(italian: Town, recorded: Path):
    good = [row for row in italian_readings(recorded) if row[2] is not None]
    days, known = days_above(daily_means(good, ZoneInfo("Europe/Rome")), 2004)
    assert known > 0.5
    assert published_days(italian, "town") == {2004: days}
    assert days > 200


def test_italian_data_capture_equals_the_hours_with_a_value(italian: Town, recorded: Path):
    hours = defaultdict(int)
    for _, when, value in italian_readings(recorded):
        hours[when.astimezone(ZoneInfo("Europe/Rome")).date()] += value is not None
    history = italian.history("data_capture", ["town"])
    ours = {
        w.astimezone(ZoneInfo("Europe/Rome")).date(): int(n)
        for w, n in history.select("window", "numerator").iter_rows()
    }
    assert ours == dict(hours)
    length = dict(zip(ours, history["denominator"], strict=True))
    assert (length[date(2004, 3, 28)], length[date(2004, 3, 29)], length[date(2004, 10, 31)]) == (46, 48, 50)


def test_every_hour_of_a_long_back_fill_is_published_once(italian: Town, recorded: Path):
    # Every window of 24 hours that holds a reading, however few, has one row: 9,357 hours need 30 batches.
    revisions = italian.revisions("us_aqi", ["town"])
    assert revisions["window"].is_unique().all()
    stamps = [when for _, when, value in italian_readings(recorded) if value is not None]
    hours = {end for when in stamps for end in (when + timedelta(hours=h) for h in range(1, 25))}
    assert set(revisions["end"]) == {end.astimezone(UTC) for end in hours if end <= at("2005-04-05T00:00")}


# Valencia ------------------------------------------------------------------------------------------------------------


def test_valencias_days_above_the_who_level_equal_the_file(recorded: Path, tmp_path: Path):
    file = "valencia_es_avda_francia_hourly_2019_2022.csv.gz"
    with opened(folder_of("valencia", tmp_path), at("2023-01-02T00:00"), ["who_exceedance_days"]) as town:
        (receipt,) = town.land("station", (recorded / "air" / file).read_bytes())
        assert (receipt.stored, receipt.quarantined) == (6 * 35064, 0)
        town.evaluate()
        ours = published_days(town.town, "asset:avda_francia")
    names = {"pm2.5": "PM2.5", "pm10": "PM10", "no2": "NO2", "so2": "SO2", "co": "CO"}
    measured = [
        (name, datetime.fromisoformat(row["datetime"]).replace(tzinfo=CET), float(row[column]))
        for row in lines(recorded, file)
        for column, name in names.items()
        if row[column]
    ]
    means = daily_means(measured, ZoneInfo("Europe/Madrid"))
    assert ours == {year: days_above(means, year)[0] for year in (2019, 2020, 2021, 2022)}


# Beijing -------------------------------------------------------------------------------------------------------------

STATIONS = ("changping", "shunyi", "tiantan")


@pytest.fixture(scope="module")
def beijing(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The year 2014 of the three stations."""
    with opened(
        folder_of("beijing", tmp_path_factory.mktemp("beijing")), at("2015-01-02T00:00"), ["who_exceedance_days"]
    ) as town:
        for station in STATIONS:
            packed = (recorded / f"air/beijing_prsa_{station}_hourly_2013_2017.csv.gz").read_bytes()
            head, *rest = gzip.decompress(packed).splitlines(keepends=True)
            year = b"".join([head, *(line for line in rest if line.split(b",")[1] == b"2014")])
            (receipt,) = town.land("stations", year)
            assert (receipt.stored, receipt.quarantined) == (6 * 8760, 0)
        town.evaluate()
        yield town.town


def beijing_2014(recorded: Path, station: str) -> list[Measured]:
    """What the file says of 2014, CO in mg/m3."""
    zone = ZoneInfo("Asia/Shanghai")
    return [
        (
            name,
            datetime(2014, int(row["month"]), int(row["day"]), int(row["hour"]), tzinfo=zone),
            float(row[name]) / (1000 if name == "CO" else 1),
        )
        for row in lines(recorded, f"beijing_prsa_{station}_hourly_2013_2017.csv.gz")
        if row["year"] == "2014"
        for name in ("PM2.5", "PM10", "SO2", "NO2", "CO", "O3")
        if row[name] != "NA"
    ]


@pytest.mark.parametrize("station", STATIONS)
def test_beijings_days_above_the_who_level_equal_the_file(beijing: Town, recorded: Path, station: str):
    means = daily_means(beijing_2014(recorded, station), ZoneInfo("Asia/Shanghai"))
    assert published_days(beijing, f"asset:{station.title()}") == {2014: days_above(means, 2014)[0]}


def test_beijings_carbon_monoxide_is_turned_from_micrograms(beijing: Town, recorded: Path):
    rows = beijing.readings(["Tiantan:CO"], at("2013-12-31T16:00"), at("2014-12-31T16:00"))
    expected = {when.astimezone(UTC): value for name, when, value in beijing_2014(recorded, "tiantan") if name == "CO"}
    ours = {when: value for when, value in rows.select("observed_at", "value").iter_rows() if value is not None}
    assert ours == pytest.approx(expected)


# India ---------------------------------------------------------------------------------------------------------------

INDIAN = "india_cpcb_city_day_13cities.csv.gz"


@pytest.fixture(scope="module")
def india(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Daily values of thirteen cities."""
    folder = folder_of("indian_cities", tmp_path_factory.mktemp("india"))
    with opened(folder, at("2020-07-02T00:00"), ["who_exceedance_days"]) as town:
        (receipt,) = town.land("city_days", (recorded / "air" / INDIAN).read_bytes())
        assert (receipt.decoded, receipt.stored) == (8 * 11614, 8 * 11614)
        town.evaluate()
        yield town.town


def test_the_category_of_the_published_index_is_the_published_bucket_in_every_row(india: Town, recorded: Path):
    published = [(r["City"], r["Date"], r["AQI"], r["AQI_Bucket"]) for r in lines(recorded, INDIAN) if r["AQI"]]
    sensors = sorted({f"{city}:AQI" for city, *_ in published})
    rows = india.readings(sensors, at("2014-12-31T00:00"), at("2020-07-02T00:00")).drop_nulls("value")
    judged = rows.with_columns(
        day=pl.col("observed_at").dt.convert_time_zone("Asia/Kolkata").dt.strftime("%d-%m-%Y"),
        band=category(pl.col("value")),
    )
    ours = {(s.removesuffix(":AQI"), day): band for s, day, band in judged.select("sensor", "day", "band").iter_rows()}
    assert ours == {(city, day): bucket for city, day, _, bucket in published}
    assert len(ours) == 9863


def test_indian_cities_days_above_the_who_level_equal_the_file(india: Town, recorded: Path):
    means = defaultdict(dict)
    for row in lines(recorded, INDIAN):
        day = datetime.strptime(row["Date"], "%d-%m-%Y").replace(tzinfo=UTC).date()
        means[row["City"]].update({(name, day): float(row[name]) for name in WHO if row[name]})
    for city, known in means.items():
        expected = {}
        for year in {day.year for _, day in known} - {2020}:
            days, share = days_above(known, year)
            expected[year] = days if share >= 0.5 else None
        assert published_days(india, f"asset:{city.lower()}") == expected
