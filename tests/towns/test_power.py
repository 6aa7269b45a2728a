"""Electricity as recorded in Bareilly, at a transformer, in a house at Sceaux and in the outage list of the United States."""

import csv
import gzip
import io
import math
import statistics
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines.engine import coverage
from pipelines.engine.calendar import windows
from pipelines.engine.model import every
from pipelines.engine.people.roles import ITSELF

from .recording import at, folder_of, opened

CET = timezone(timedelta(hours=1))


def lines(recorded: Path, name: str) -> list[dict[str, str]]:
    """The rows of a packed file."""
    text = gzip.decompress((recorded / "energy" / name).read_bytes()).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_bareillys_missing_meter_days_are_what_coverage_lacks(recorded: Path, tmp_path: Path):
    file, zone, now = "ceew_bareilly_daily_kwh_23meters.csv.gz", ZoneInfo("Asia/Kolkata"), at("2021-11-01T00:00")
    days = defaultdict(set)
    for row in lines(recorded, file):
        days[row["meter"]].add(date.fromisoformat(row["Date"]))
    spans = {meter.lower(): (min(known), (max(known) - min(known)).days + 1) for meter, known in days.items()}
    with opened(folder_of("bareilly", tmp_path), now, []) as town:
        (receipt,) = town.land("meters", (recorded / "energy" / file).read_bytes())
        assert (receipt.decoded, receipt.stored) == (13304, 13304)
        town.line.tell_numbers()
        inputs = town.line.inputs
        grid = windows(every("day"), at("2019-05-29T18:30"), now, now, "Asia/Kolkata").filter(pl.col("end") <= now)
        readings = inputs.get("consumer_energy_kwh", at("2019-05-29T18:30"), now)
        counted = coverage.of_readings(readings, coverage.places(inputs.dimension), grid)
    expected = came = 0
    for window, area, n, due in counted.select("window", "area", "n", "n_expected").iter_rows():
        first, length = spans.get(area.removeprefix("asset:"), (date.max, 0))
        if 0 <= (window.astimezone(zone).date() - first).days < length:
            came, expected = came + n, expected + due
    assert (expected, expected - came) == (15055, 1751)
    assert expected == sum(length for _, length in spans.values())


def test_negative_loads_of_the_transformer_are_loads(recorded: Path, tmp_path: Path):
    file, zone = "ETTh1_transformer_hourly_2016_2018.csv.gz", ZoneInfo("Asia/Shanghai")
    with opened(folder_of("transformer_station", tmp_path), at("2018-06-28T00:00"), ["load_factor"]) as town:
        (receipt,) = town.land("telemetry", (recorded / "energy" / file).read_bytes())
        assert (receipt.stored, receipt.quarantined) == (2 * 17420, 0)
        town.evaluate()
        kept = town.town.readings(["F1:energy"], at("2016-06-30T00:00"), at("2018-06-28T00:00"))
        history = town.town.history("load_factor", ["asset:F1"])
    assert kept.filter(pl.col("value") < 0).height == 5001
    loads = defaultdict(list)
    for row in lines(recorded, file):
        loads[datetime.fromisoformat(row["date"]).replace(tzinfo=zone).date()].append(float(row["MULL"]))
    # No value on a day of which a quarter is missing (the last one), nor where power flowed back all day: no peak.
    expected = {
        day: sum(hours) / len(hours) / max(hours) for day, hours in loads.items() if len(hours) >= 18 and max(hours) > 0
    }
    shown = history.filter(pl.col("value").is_not_null())
    ours = {when.astimezone(zone).date(): value for when, value in shown.select("window", "value").iter_rows()}
    assert ours == pytest.approx(expected)
    assert len(expected) == 668


def _copied(rows: list[dict[str, str]]) -> set[str]:
    """The minutes in whose run of an hour or more every column repeats the day before."""
    day, found, run = 1440, set(), []
    for before, row in zip(rows, rows[day:], strict=False):
        same = row["Voltage"] and all(row[name] == before[name] for name in row if name != "date_time")
        run = [*run, row["date_time"]] if same else []
        if len(run) >= 60:
            found |= set(run)
            run = run[-60:]
    return found


def test_voltage_within_limits_at_sceaux_equals_the_ten_minute_means(recorded: Path, tmp_path: Path):
    file, zone = "uci_household_power_sceaux_1min_2007_02_04.csv.gz", ZoneInfo("Europe/Paris")
    with opened(folder_of("sceaux", tmp_path), at("2007-05-08T00:00"), ["voltage_compliance"]) as town:
        (receipt,) = town.land("house", (recorded / "energy" / file).read_bytes())
        assert (receipt.stored, receipt.quarantined) == (128160, 0)
        town.evaluate()
        weeks = town.town.history("voltage_compliance", ["asset:house"])
    means = defaultdict(list)
    rows = list(lines(recorded, file))
    copied = _copied(rows)
    # What MANIFEST.md tells: from 28 April on the logger sent the day before once more.
    assert min(copied).startswith("2007-04-28")
    for row in rows:
        if row["Voltage"] and row["date_time"] not in copied:
            when = datetime.fromisoformat(row["date_time"]).replace(tzinfo=CET)
            means[when.replace(minute=when.minute // 10 * 10)].append(float(row["Voltage"]))
    good, all_ = defaultdict(int), defaultdict(int)
    for when, volts in means.items():
        day = when.astimezone(zone).date()
        monday = day - timedelta(days=day.weekday())
        all_[monday] += 1
        good[monday] += 0.96 * 230 <= sum(volts) / len(volts) <= 1.04 * 230
    ours = {
        w.astimezone(zone).date(): (n, d) for w, n, d in weeks.select("window", "numerator", "denominator").iter_rows()
    }
    assert ours == {monday: (good[monday], count) for monday, count in all_.items()}
    assert any(good[monday] < count for monday, count in all_.items())


def test_indices_of_2008_equal_the_list_of_outages(recorded: Path, tmp_path: Path):
    file = "us_major_power_outages_2000_2011.csv.gz"
    indices = ["saifi_year", "saidi_year", "caidi_year"]
    folder = folder_of("us_outages", tmp_path)
    with opened(folder, at("2012-01-10T00:00"), indices) as town:
        (receipt,) = town.land("outages", (recorded / "energy" / file).read_bytes())
        rows = lines(recorded, file)[1:]
        without_start = sum(row["OUTAGE.START.DATE"] == "NA" for row in rows)
        assert (receipt.decoded, receipt.quarantined) == (917, without_start)
        assert set(town.town.quarantine(actor=ITSELF)["reason"]) == {"missing"}
        town.evaluate()
        year = at("2008-01-01T06:00")
        values = {i: town.town.history(i, start=year, end=year + timedelta(days=1)) for i in indices}
    served = dict(csv.reader((folder / "reference/feeders.csv").read_text().splitlines()))
    interrupted, minutes = interruptions(rows, 2008)
    areas = {f"asset:{state}": (interrupted[state], minutes[state], int(served[state])) for state in interrupted}
    total = sum(int(n) for state, n in served.items() if state != "asset")
    areas["town"] = (sum(interrupted.values()), sum(minutes.values()), total)
    shown = {i: dict(frame.select("area", "value").iter_rows()) for i, frame in values.items()}
    for area, (customers, lost, base) in areas.items():
        assert shown["saifi_year"][area] == pytest.approx(customers / base)
        assert shown["saidi_year"][area] == pytest.approx(lost / base)
        assert shown["caidi_year"][area] == pytest.approx(lost / customers)
    assert len(areas) > 15


def interruptions(rows: list[dict[str, str]], year: int) -> tuple[dict[str, int], dict[str, float]]:
    """Customers interrupted for more than five minutes and their minutes, by state; unrestored ones to the year's end."""
    zone = ZoneInfo("America/Chicago")

    def instant(row: dict[str, str], which: str) -> datetime | None:
        day, clock = row[f"OUTAGE.{which}.DATE"], row[f"OUTAGE.{which}.TIME"]
        if "NA" in (day, clock):
            return None
        return datetime.fromisoformat(f"{day[:10]} {clock}").replace(tzinfo=zone).astimezone(UTC)

    customers, minutes = defaultdict(int), defaultdict(float)
    for row in rows:
        started, restored = instant(row, "START"), instant(row, "RESTORATION")
        if started is None or started.astimezone(zone).year != year or row["CUSTOMERS.AFFECTED"] == "NA":
            continue
        until = restored or datetime(year + 1, 1, 1, tzinfo=zone).astimezone(UTC)
        lasted = (until - started).total_seconds() / 60
        if lasted > 5:
            customers[row["POSTAL.CODE"]] += int(row["CUSTOMERS.AFFECTED"])
            minutes[row["POSTAL.CODE"]] += lasted * int(row["CUSTOMERS.AFFECTED"])
    return {state: n for state, n in customers.items() if n}, minutes


def lost_by_day(rows: list[dict[str, str]], served: float) -> dict[date, float]:
    """Minutes without power per customer of the town, by the day on which outages that are over began."""
    by_day: dict[date, float] = defaultdict(float)
    for row in rows:
        started, restored = (moment_of(row, which) for which in ("START", "RESTORATION"))
        if started is None or restored is None or row["CUSTOMERS.AFFECTED"] == "NA":
            continue
        lasted = (restored - started).total_seconds() / 60
        if lasted > 5:
            by_day[started.astimezone(CHICAGO).date()] += lasted * int(row["CUSTOMERS.AFFECTED"]) / served
    return by_day


def moment_of(row: dict[str, str], which: str) -> datetime | None:
    day, clock = row[f"OUTAGE.{which}.DATE"], row[f"OUTAGE.{which}.TIME"]
    if "NA" in (day, clock):
        return None
    return datetime.fromisoformat(f"{day[:10]} {clock}").replace(tzinfo=CHICAGO).astimezone(UTC)


CHICAGO = ZoneInfo("America/Chicago")


def test_storm_days_of_2010_and_what_is_left_without_them_equal_the_list(recorded: Path, tmp_path: Path):
    file = "us_major_power_outages_2000_2011.csv.gz"
    folder = folder_of("us_outages", tmp_path)
    with opened(folder, at("2012-01-10T00:00"), ["saidi", "saidi_without_major_events", "t_med"]) as town:
        town.land("outages", (recorded / "energy" / file).read_bytes())
        town.evaluate()
        start, end = (datetime(year, 1, 1, tzinfo=CHICAGO).astimezone(UTC) for year in (2010, 2011))
        found = {
            kpi: {
                window.astimezone(CHICAGO).month: value
                for window, value in town.town.history(kpi, ["town"], start, end).select("window", "value").iter_rows()
            }
            for kpi in ("saidi", "saidi_without_major_events", "t_med")
        }
    rows = lines(recorded, file)[1:]
    served = sum(int(n) for state, n in csv.reader((folder / "reference/feeders.csv").read_text().splitlines()[1:]))
    by_day = lost_by_day(rows, served)
    logs = [math.log(lost) for day, lost in by_day.items() if 2005 <= day.year < 2010 and lost > 0]
    t_med = math.exp(statistics.fmean(logs) + 2.5 * statistics.stdev(logs))
    assert found["t_med"][1] == pytest.approx(t_med)
    unended = {
        started.astimezone(CHICAGO).month
        for row in rows
        if (started := moment_of(row, "START")) is not None and moment_of(row, "RESTORATION") is None
        and started.astimezone(CHICAGO).year == 2010
    }  # fmt: skip
    months = set(range(1, 13)) - unended
    for month in months:
        days = [lost for day, lost in by_day.items() if (day.year, day.month) == (2010, month)]
        assert found["saidi"].get(month, 0.0) == pytest.approx(sum(days)), month
        calm = sum(lost for lost in days if lost <= t_med)
        assert found["saidi_without_major_events"].get(month, 0.0) == pytest.approx(calm), month
    assert len(months) > 6
