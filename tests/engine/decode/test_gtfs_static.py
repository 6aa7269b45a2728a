"""The GTFS timetable decoder: what it reads, what it tolerates, what it refuses."""

import io
import zipfile
from datetime import UTC, date, datetime

import polars as pl
import pytest

from pipelines.engine.decode.base import Refused
from pipelines.engine.decode.gtfs_static import decode, seconds_of

NOW = datetime(2025, 11, 3, tzinfo=UTC)
FILES = {
    "routes.txt": "route_id,route_short_name,route_long_name,route_type,route_color\n007,7,Long,3,00ff00\n9,,Ring,3,\n",
    "trips.txt": "route_id,service_id,trip_id\n007,WK,T1\n",
    "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\n01,First,0.0,0.0\n02,Second,0.0,0.01\n",
    "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\nT1,24:10:00,24:10:30,01,1\nT1,24:20:00,,02,2\n",
    "calendar_dates.txt": "service_id,date,exception_type\nWK,20251103,1\n",
}


def packed(**changes: str | None) -> bytes:
    """A zip of FILES, with files changed, added or (None) left out."""
    files = FILES | {f"{name}.txt": text for name, text in changes.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            if text is not None:
                archive.writestr(name, text.encode() if isinstance(text, str) else text)
    return out.getvalue()


def table(name: str, mapping=None, **changes) -> list[dict]:
    return decode(packed(**changes), mapping or {}, NOW).tables[name].drop("_row").to_dicts()


def test_ids_stay_text_and_names_fall_back():
    assert table("gtfs_routes") == [
        {"route": "007", "route_name": "7", "long_name": "Long", "route_type": 3, "color": "#00FF00"},
        {"route": "9", "route_name": "Ring", "long_name": "Ring", "route_type": 3, "color": None},
    ]


def test_times_pass_24_h_and_one_time_serves_for_both():
    calls = table("gtfs_stop_times")
    assert [(c["arrival_s"], c["departure_s"]) for c in calls] == [(87000, 87030), (87600, 87600)]


def test_an_empty_timepoint_means_exact():
    text = "trip_id,stop_id,stop_sequence,arrival_time,departure_time,timepoint\nT1,01,1,8:00:00,8:00:00,\nT1,02,2,08:05:00,08:05:00,0\n"
    assert [c["timepoint"] for c in table("gtfs_stop_times", stop_times=text)] == [True, False]


def test_a_byte_order_mark_and_windows_line_ends_are_tolerated():
    text = "\ufeff" + FILES["routes.txt"].replace("\n", "\r\n")
    assert table("gtfs_routes", routes=text)[0]["route"] == "007"


def test_optional_files_may_be_missing_and_give_empty_tables():
    tables = decode(packed(), {}, NOW).tables
    assert tables["gtfs_frequencies"].is_empty()
    assert tables["gtfs_shapes"].is_empty()
    assert set(tables) == {
        f"gtfs_{n}" for n in ["routes", "trips", "stops", "stop_times", "service_days", "frequencies", "shapes"]
    }


def test_files_in_a_folder_of_the_zip_are_found():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(f"export/{name}", text)
    assert decode(out.getvalue(), {}, NOW).tables["gtfs_routes"].height == 2


def test_calendar_and_exceptions_are_expanded_to_days():
    week = "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\nWK,1,0,1,0,0,0,0,20251103,20251110\n"
    changes = "service_id,date,exception_type\nWK,20251105,2\nWK,20251109,1\n"
    days = table("gtfs_service_days", calendar=week, calendar_dates=changes)
    # Mondays 3 and 10, Wednesday 5 taken out, Sunday 9 put in.
    assert sorted(d["service_date"] for d in days) == [date(2025, 11, 3), date(2025, 11, 9), date(2025, 11, 10)]


def test_a_calendar_without_exceptions_is_enough():
    week = "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\nWK,1,1,1,1,1,1,1,20251103,20251104\n"
    assert len(table("gtfs_service_days", calendar=week, calendar_dates=None)) == 2


def test_frequencies_are_read():
    text = "trip_id,start_time,end_time,headway_secs,exact_times\nT1,06:00:00,25:00:00,600,\n"
    assert table("gtfs_frequencies", frequencies=text) == [
        {"trip": "T1", "start_s": 21600, "end_s": 90000, "headway_s": 600, "exact_times": 0}
    ]


@pytest.mark.parametrize(("unit", "distance"), [("m", 1112), ("km", 1.112), ("foot", 3648), ("mile", 0.691)])
def test_the_unit_of_distances_is_found_from_the_stops(unit, distance):
    # The two stops lie 0.01 degrees of longitude apart on the equator: 1.112 km.
    text = f"trip_id,stop_id,stop_sequence,arrival_time,shape_dist_traveled\nT1,01,1,08:00:00,0\nT1,02,2,08:05:00,{distance}\n"
    assert table("gtfs_stop_times", stop_times=text)[1]["distance_km"] == pytest.approx(1.112, rel=0.01)


def test_a_town_may_say_the_unit_of_distances():
    text = "trip_id,stop_id,stop_sequence,arrival_time,shape_dist_traveled\nT1,01,1,08:00:00,5\n"
    assert table("gtfs_stop_times", {"distance_unit": "mile"}, stop_times=text)[0]["distance_km"] == pytest.approx(
        8.04672
    )


def test_an_unreadable_row_is_set_aside_with_its_line_and_the_others_are_kept():
    text = (
        FILES["stop_times.txt"] + "T1,half past,09:00:00,01,3\nT1,09:00:00,09:00:00,01,\n\nT1,10:00:00,10:00:00,01,5\n"
    )
    decoded = decode(packed(stop_times=text), {}, NOW)
    assert decoded.tables["gtfs_stop_times"]["stop_sequence"].to_list() == [1, 2, 5]
    first, second = decoded.refused
    assert first.detail.startswith("stop_times.txt, line 4: arrival_time is `half past`; it must be a time such as")
    assert first.original == b"T1,half past,09:00:00,01,3"
    assert second.detail.startswith("stop_times.txt, line 5: stop_sequence is empty")
    assert decoded.original(first.row) == first.original


def test_every_row_knows_the_line_it_came_from():
    decoded = decode(packed(), {}, NOW)
    row = decoded.tables["gtfs_stop_times"]["_row"][1]
    assert decoded.original(row) == b"T1,24:20:00,,02,2"


@pytest.mark.parametrize("text", ["24:60:00", "eight", "-1:00:00", "8", "08:00:00.5"])
def test_what_is_no_time_is_null(text):
    assert pl.DataFrame({"t": [text]}).select(seconds_of(pl.col("t"))).item() is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_a_zip"),
        (b"<html>Log in</html>", "not_a_zip"),
        (packed()[:200], "damaged_zip"),
        (packed(stop_times=None), "missing_file"),
        (packed(trips="trip_id,route_id\nT1,007\n"), "missing_column"),
        (packed(trips=""), "missing_column"),
        (packed(calendar_dates=None), "no_calendar"),
    ],
)
def test_a_payload_that_is_no_timetable_is_refused_whole(payload, reason):
    with pytest.raises(Refused) as refusal:
        decode(payload, {}, NOW)
    assert refusal.value.reason == reason
    assert refusal.value.detail.endswith(".")


def test_a_file_without_a_name_in_the_zip_is_passed_over():
    # A name that begins with a zero byte is read as none at all.
    named = packed(Xname="nothing")
    assert named.count(b"Xname.txt") == 2
    assert (
        decode(named.replace(b"Xname.txt", b"\0name.txt"), {}, NOW).tables.keys()
        == decode(packed(), {}, NOW).tables.keys()
    )


def test_a_zip_bomb_is_refused_before_it_is_unpacked():
    bomb = packed(shapes="0" * 3_000_000)
    assert len(bomb) < 10_000
    with pytest.raises(Refused) as refusal:
        decode(bomb, {"max_unpacked_mb": 2}, NOW)
    assert refusal.value.reason == "too_large"


def test_a_broken_byte_in_the_zip_is_refused():
    payload = bytearray(packed(shapes="x" * 5000))
    middle = payload.find(b"stop_times.txt") + 20
    payload[middle] ^= 0xFF
    with pytest.raises(Refused) as refusal:
        decode(bytes(payload), {}, NOW)
    assert refusal.value.reason == "damaged_zip"
