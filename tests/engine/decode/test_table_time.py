from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.engine.decode.table_payloads import read, reasons, rows


def series(times, zone="Europe/Rome", sensors=None, **mapping):
    names = sensors or ["S"] * len(times)
    lines = [f"{name};{time};{i}" for i, (name, time) in enumerate(zip(names, times, strict=True))]
    return read("\n".join(["sensor;observed_at;value", *lines]), zone=zone, **mapping)


def when(decoded):
    return [at for _, at, _ in rows(decoded)]


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2024-03-01T08:00:00Z", "2024-03-01T08:00"),
        ("2024-03-01 08:00:00.250+02:00", "2024-03-01T06:00"),
        ("2024-03-01T08:00-0330", "2024-03-01T11:30"),
        ("20240301T080000Z", "2024-03-01T08:00"),
        ("2024-03-01T08:00", "2024-03-01T02:30"),
        ("2024-03-01", "2024-02-29T18:30"),
        ("2024-03-01 24:00", "2024-03-01T18:30"),
    ],
)
def test_iso_8601_is_read_with_or_without_an_offset(written, instant):
    assert when(series([written], zone="Asia/Kolkata")) == [instant]


@pytest.mark.parametrize(
    ("written", "form", "instant"),
    [
        ("1/3/2024 5:07", "%d/%m/%Y %H:%M", "2024-03-01T05:07"),
        ("03/01/2024 12:05:00 AM", "%m/%d/%Y %I:%M:%S %p", "2024-03-01T00:05"),
        ("01.03.24 24:00", "%d.%m.%y %H:%M", "2024-03-02T00:00"),
        ("1 Mar 2024", "%d %b %Y", "2024-03-01T00:00"),
        ("2024-03-01 06:00:00 +0100", "%Y-%m-%d %H:%M:%S %z", "2024-03-01T05:00"),
        ("01/03/2024 07:30:15.5", "%d/%m/%Y %H:%M:%S.%f", "2024-03-01T07:30"),
    ],
)
def test_declared_format_is_read(written, form, instant):
    assert when(series([written], zone="Etc/UTC", time={"column": "observed_at", "format": form})) == [instant]


@pytest.mark.parametrize(
    ("unit", "written"),
    [("s", "1709280000"), ("ms", "1709280000000"), ("us", "1709280000000000"), ("s", "1709280000.0")],
)
def test_epoch_is_read_in_its_unit(unit, written):
    decoded = series([written], zone=None, time={"column": "observed_at", "epoch": unit})
    assert decoded.tables["readings"]["observed_at"].to_list() == [datetime(2024, 3, 1, 8, tzinfo=UTC)]


def test_several_columns_are_joined():
    text = "y,m,d,h,sensor,value\n2024,3,1,0,A,1\n2024,11,30,23,A,2\n2024,3,1,24,A,3\n2024,13,1,2,A,4\n"
    decoded = read(text, zone="+08:00", time={"columns": ["y", "m", "d", "h"], "format": "%Y %m %d %H"})
    assert when(decoded) == ["2024-02-29T16:00", "2024-11-30T15:00", "2024-03-01T16:00"]
    assert reasons(decoded) == [(5, "unreadable_time")]


def test_naive_time_without_a_zone_is_refused_with_the_remedy():
    decoded = series(["2024-03-01T08:00", "2024-03-01T08:00Z"], zone=None)
    assert when(decoded) == ["2024-03-01T08:00"]
    assert reasons(decoded) == [(2, "naive_time")]
    assert "zone =" in decoded.refused[0].detail


@pytest.mark.parametrize(
    "written", ["", "31/02/2024", "yesterday", "0024-01-01T00:00Z", "2024-01-01 24:30", "2024-01-01T10:61"]
)
def test_time_that_is_none_is_refused_with_its_line(written):
    decoded = series(["2024-03-01T08:00", written])
    assert reasons(decoded) == [(3, "unreadable_time")]
    assert decoded.refused[0].original == f"S;{written};1".encode()


def test_hour_that_spring_leaves_out_is_refused():
    decoded = series(["2024-03-31 01:00", "2024-03-31 02:00", "2024-03-31 03:00"])
    assert when(decoded) == ["2024-03-31T00:00", "2024-03-31T01:00"]
    assert reasons(decoded) == [(3, "nonexistent_time")]
    assert "clocks went forward" in decoded.refused[0].detail


def test_hour_that_autumn_gives_twice_is_resolved_by_the_order_in_the_file():
    times = ["01:00", "01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
    decoded = series([f"2024-10-27 {time}" for time in times])
    assert when(decoded) == [
        f"2024-10-{day}" for day in ("26T23:00", "26T23:30", "27T00:00", "27T00:30", "27T01:00", "27T01:30", "27T02:00")
    ]


def test_repeated_hour_is_resolved_for_each_sensor_by_itself():
    times = [t for t in ("01:00", "02:00", "02:00", "03:00") for _ in "AB"]
    decoded = series([f"2024-10-27 {t}" for t in times], sensors=["A", "B"] * 4)
    assert [(s, at[-5:]) for s, at, _ in rows(decoded)][2:6] == [
        ("A", "00:00"),
        ("B", "00:00"),
        ("A", "01:00"),
        ("B", "01:00"),
    ]


def test_single_row_in_the_repeated_hour_lies_before_the_change():
    assert when(series(["2024-10-27 02:15"])) == ["2024-10-27T00:15"]
    assert when(series(["2024-10-27 02:45", "2024-10-27 02:15"])) == ["2024-10-27T00:45", "2024-10-27T00:15"]


def test_clock_that_jumps_back_marks_the_second_pass_even_when_no_reading_repeats():
    times = ["01:33", "02:03", "02:48", "02:04", "02:49", "03:04"]
    assert [at[-5:] for at in when(series([f"2024-10-27 {t}" for t in times]))] == [
        "23:33",
        "00:03",
        "00:48",
        "01:04",
        "01:49",
        "02:04",
    ]


def test_file_that_runs_from_new_to_old_is_read_from_its_end():
    times = ["03:00", "02:30", "02:00", "02:30", "02:00", "01:30"]
    assert [at[-5:] for at in when(series([f"2024-10-27 {t}" for t in times]))] == [
        "02:00",
        "01:30",
        "01:00",
        "00:30",
        "00:00",
        "23:30",
    ]


@pytest.mark.parametrize(
    "zone", ["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo"]
)
def test_every_half_hour_of_a_year_comes_back_from_local_time(zone):
    start = datetime(2018, 1, 1, tzinfo=UTC)
    instants = [start + timedelta(minutes=30 * i) for i in range(2 * 24 * 365)]
    local = [at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") for at in instants]
    assert when(series(local, zone=zone)) == [at.isoformat()[:16] for at in instants]


def test_day_begins_late_where_the_clocks_change_at_midnight():
    # Brazil's clocks went from 2018-11-03 23:59 to 2018-11-04 01:00 (-02:00), which is 03:00 UTC.
    assert when(series(["2018-11-04"], zone="America/Sao_Paulo")) == ["2018-11-04T03:00"]
    assert reasons(series(["2018-11-04 00:00"], zone="America/Sao_Paulo")) == [(2, "nonexistent_time")]


def test_hour_ending_labels_are_moved_to_the_start_over_a_clock_change():
    decoded = series(["2024-03-31 03:00", "2024-03-31 04:00"], labels="end", interval="1 h")
    assert when(decoded) == ["2024-03-31T00:00", "2024-03-31T01:00"]


def test_hour_that_ends_at_midnight_belongs_to_the_day_before_in_every_zone():
    for zone, start in (("Asia/Kathmandu", "17:15"), ("Asia/Kolkata", "17:30"), ("Australia/Adelaide", "12:30")):
        decoded = series(["2024-03-31 00:00"], labels="end", interval="1 h", zone=zone)
        assert when(decoded) == [f"2024-03-30T{start}"], zone


def test_day_ending_labels_are_moved_by_a_day_of_the_calendar():
    # 31 March 2024 has 23 hours in Rome: the day that ends at 22:00 UTC began at 23:00 UTC.
    assert when(series(["2024-04-01"], labels="end", interval="1 day")) == ["2024-03-30T23:00"]


def test_winter_time_all_year_is_a_fixed_offset():
    assert when(series(["2024-03-31 02:00", "2024-07-01 02:00"], zone="+01:00")) == [
        "2024-03-31T01:00",
        "2024-07-01T01:00",
    ]
    assert when(series(["2024-07-01 02:00"], zone="-03:30")) == ["2024-07-01T05:30"]
