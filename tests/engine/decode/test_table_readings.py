import pytest

from pipelines.engine.decode.base import Refused
from tests.engine.decode.table_payloads import read, reasons, rows


def units(decoded):
    return decoded.tables["readings"]["unit"].to_list()


def test_unit_comes_from_a_column_a_constant_or_nowhere():
    text = "sensor,observed_at,value,unit\nA,2024-03-01,1,L/s\nB,2024-03-01,2,\n"
    assert units(read(text)) == ["L/s", None]
    assert units(read(text, unit="m^3/h")) == ["m^3/h", "m^3/h"]
    assert "unit" not in read(text, value="value").tables["readings"].columns


def test_sensor_is_built_from_columns_and_text():
    text = "site,channel,observed_at,value\nN,2,2024-03-01,1\n,2,2024-03-01,1\n"
    decoded = read(text, sensor="{site}-{channel}:flow")
    assert rows(decoded) == [("N-2:flow", "2024-03-01T00:00", 1.0)]
    assert reasons(decoded) == [(3, "missing_sensor")]


def test_codes_for_missing_keep_the_row_with_no_value():
    text = "sensor;observed_at;value\nA;2024-03-01;-200\nA;2024-03-02;-200,0\nA;2024-03-03;#N/A\nA;2024-03-04;\nA;2024-03-05;-20\n"
    decoded = read(text, decimal=",", missing=["-200", "#N/A"])
    assert [value for _, _, value in rows(decoded)] == [None, None, None, None, -20.0]
    assert decoded.refused == ()


def test_numeric_code_for_missing_leaves_names_and_times_alone():
    text = "sensor,day,hour,value\n0,2024-03-01,0,0\n"
    decoded = read(text, missing=[0], time={"columns": ["day", "hour"], "format": "%Y-%m-%d %H"})
    assert rows(decoded) == [("0", "2024-03-01T00:00", None)]


@pytest.mark.parametrize("cell", ["x", "nan", "inf", "1e999", "12 %", "1,5", "--1"])
def test_cell_that_is_no_number_is_set_aside(cell):
    decoded = read(f"sensor;observed_at;value\nA;2024-03-01;{cell}\nA;2024-03-02;−1.5e1\n")
    assert [value for _, _, value in rows(decoded)] == [-15.0]
    assert reasons(decoded) == [(2, "unreadable_number")]
    assert cell in decoded.refused[0].detail


WIDE = "Date;PM2.5;NO2;note\n2024-03-01;10,5;x;ok\n2024-03-02;;40;ok\n"


def test_wide_table_gives_a_reading_per_cell_and_refuses_single_cells():
    values = {
        "PM2.5": {"sensor": "north-pm25", "unit": "ug/m^3"},
        "NO2": {"sensor": "north-no2", "unit": "ppb", "factor": 2},
    }
    decoded = read(WIDE, time="Date", decimal=",", values=values)
    assert rows(decoded) == [
        ("north-pm25", "2024-03-01T00:00", 10.5),
        ("north-pm25", "2024-03-02T00:00", None),
        ("north-no2", "2024-03-02T00:00", 80.0),
    ]
    assert units(decoded) == ["ug/m^3", "ug/m^3", "ppb"]
    assert reasons(decoded) == [(2, "unreadable_number")]
    assert decoded.refused[0].original == b"2024-03-01;10,5;x;ok"
    assert decoded.rows == 4


def test_wide_table_by_group_names_sensors_after_group_and_heading():
    text = "City,Date,PM2.5,NO2\nAizawl,2024-03-01,1,2\nTalcher,2024-03-01,3,4\n"
    decoded = read(text, time="Date", sensor="{City}:{column}", values=["PM2.5", "NO2"])
    assert [(name, value) for name, _, value in rows(decoded)] == [
        ("Aizawl:PM2.5", 1.0), ("Aizawl:NO2", 2.0), ("Talcher:PM2.5", 3.0), ("Talcher:NO2", 4.0),
    ]  # fmt: skip


def test_wide_table_by_pattern_takes_every_column_that_fits():
    text = "Date,DMA A (L/s),DMA B (L/s),rain\n2024-03-01,1,2,3\n"
    decoded = read(text, time="Date", sensor="in {column}", values=["DMA * (L/s)"])
    assert [name for name, _, _ in rows(decoded)] == ["in DMA A (L/s)", "in DMA B (L/s)"]


def test_wide_line_without_a_time_is_one_refusal():
    decoded = read(WIDE.replace("2024-03-01", "?"), time="Date", decimal=",", values=["PM2.5", "NO2"])
    assert reasons(decoded) == [(2, "unreadable_time")]


HOURS = "ID,Date," + ",".join(f"{hour:02}:00" for hour in range(24))


def test_columns_of_hours_are_placed_in_the_day():
    text = f"{HOURS}\nM1,2024-03-30 00:00:00," + ",".join(map(str, range(24)))
    decoded = read(text, zone="Europe/Rome", time="Date", sensor="{ID}", hours="%H:%M", unit="L")
    found = rows(decoded)
    assert len(found) == 24
    assert found[0] == ("M1", "2024-03-29T23:00", 0.0)
    assert found[23] == ("M1", "2024-03-30T22:00", 23.0)


def test_columns_of_hours_follow_the_clock_changes():
    spring = f"{HOURS}\nM1,2024-03-31," + ",".join(map(str, range(24)))
    decoded = read(spring, zone="Europe/Rome", time="Date", sensor="{ID}", hours="%H:%M")
    assert len(rows(decoded)) == 23
    assert reasons(decoded) == [(2, "nonexistent_time")]
    empty_hour = spring.replace(",1,2,3,", ",1,,3,")
    decoded = read(empty_hour, zone="Europe/Rome", time="Date", sensor="{ID}", hours="%H:%M")
    assert (len(rows(decoded)), decoded.refused) == (23, ())


def test_columns_of_hours_may_end_at_24():
    text = (
        "d;id;"
        + ";".join(f"H{hour:02}" for hour in range(1, 25))
        + "\n2024-03-01;M;"
        + ";".join(map(str, range(1, 25)))
    )
    decoded = read(text, time="d", sensor="{id}", hours="H%H", labels="end", interval="1 h")
    assert rows(decoded)[0] == ("M", "2024-03-01T00:00", 1.0)
    assert rows(decoded)[-1] == ("M", "2024-03-01T23:00", 24.0)


def test_hours_that_no_heading_fits_are_a_missing_column():
    with pytest.raises(Refused, match=r"13:00"):
        read("Date,sensor,a\n2024-03-01,M,1\n", time="Date", hours="%H:%M")


def test_headings_that_the_decoder_uses_itself_are_ordinary_columns():
    text = "_row,naive,text,reason,line,observed_at,value,sensor\na,b,c,d,e,2024-03-01,1,f\n"
    decoded = read(text, sensor="{naive}{text}{reason}{line}{sensor}", values=["value"])
    assert rows(decoded) == [("bcdef", "2024-03-01T00:00", 1.0)]
    assert decoded.tables["readings"]["_row"].to_list() == [2]
    assert rows(read('[{"_row": 9, "sensor": "A", "observed_at": "2024-03-01", "value": 1}]', "json"))[0][0] == "A"
