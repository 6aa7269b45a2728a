"""`app.py import` as a clerk gives it, once for every format, with recorded files."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from pipelines import available
from pipelines.engine import settings
from pipelines.engine.town import Town

from .recording import command, folder_of

pytestmark = pytest.mark.slow
# What closes last of the recorded issues; the newest week keeps the back-fill short.
LATE_AUGUST = datetime(2017, 8, 24, tzinfo=UTC).timestamp() * 1000


def as_recorded(path: str) -> Callable[[Path, Path], Path]:
    """The recorded file itself."""
    return lambda recorded, _: recorded / path


def issues(recorded: Path) -> list[dict]:
    """Newport's issues of the last week."""
    packed = (recorded / "grievances/newport_ri_seeclickfix_issues_20170903.json.gz").read_bytes()
    return [issue for issue in json.loads(gzip.decompress(packed)) if issue["created_at"] >= LATE_AUGUST]


def last_week(recorded: Path, target: Path) -> Path:
    """Those issues, packed as they were."""
    file = target / "issues.json.gz"
    file.write_bytes(gzip.compress(json.dumps(issues(recorded)).encode()))
    return file


def last_week_as_lines(recorded: Path, target: Path) -> Path:
    """Those issues, one a line."""
    file = target / "issues.ndjson"
    file.write_text("".join(json.dumps(issue) + "\n" for issue in issues(recorded)))
    return file


def december(recorded: Path) -> list[dict]:
    """Chicago's requests of December 2014."""
    requests = json.loads((recorded / "grievances/chicago_open311_georeport_v2_2014.json").read_bytes())
    return [request for request in requests if request["requested_datetime"] >= "2014-11"]


def requests_json(recorded: Path, target: Path) -> Path:
    """Those requests as the server answered."""
    file = target / "requests.json"
    file.write_text(json.dumps(december(recorded)))
    return file


def requests_xml(recorded: Path, target: Path) -> Path:
    """The same requests in the standard's other form."""
    root = ElementTree.Element("service_requests")
    for request in december(recorded):
        item = ElementTree.SubElement(root, "request")
        for name, value in request.items():
            if isinstance(value, str | int | float):
                ElementTree.SubElement(item, name).text = str(value)
    file = target / "requests.xml"
    ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    return file


CASES = {
    "csv": ("twin_cities", "speed", as_recorded("traffic/mndot_speed_6005.csv"), "readings", 2500),
    "csv_gz": ("bareilly", "meters", as_recorded("energy/ceew_bareilly_daily_kwh_23meters.csv.gz"), "readings", 13304),
    "xlsx": ("inflow_areas", "inflow", as_recorded("water/bwdf_Inflow_Data_1.xlsx"), "readings", 136790),
    "parquet": (
        "clackamas", "detectors", as_recorded("traffic/clackamas_or_signal_detector_counts_15min.parquet"), "readings", 54824,
    ),
    "json": ("newport", "export", last_week, "service_requests", None),
    "ndjson": ("newport", "export_lines", last_week_as_lines, "service_requests", None),
    "seeclickfix": ("newport", "issues", last_week, "service_requests", None),
    "open311_json": ("chicago", "open311", requests_json, "service_requests", None),
    "open311_xml": ("chicago", "open311_xml", requests_xml, "service_requests", None),
    "gtfs_static": ("redding", "timetable", as_recorded("transit/redding_ca/raba.zip"), "gtfs_trips", 282),
    "gtfs_realtime": (
        "redding", "buses", as_recorded("transit/redding_ca/raba-vehicle-positions.pb"), "vehicle_positions", 22,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_import_takes_in_a_recorded_file_and_again_changes_nothing(recorded: Path, tmp_path: Path, case: str):
    name, feed, made, table, rows = CASES[case]
    if rows is None:
        rows = len(issues(recorded) if name == "newport" else december(recorded))
    folder, file = folder_of(name, tmp_path), made(recorded, tmp_path)
    first = command(folder, "import", feed, file)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("1 file: ") and first.stdout.endswith(" 0 known already, 0 set aside.\n")
    town = Town(settings.load(folder, available), lambda: datetime(2030, 1, 1, tzinfo=UTC))
    stored = (
        town.readings(town.registers.sensors["sensor"].to_list(), datetime(2000, 1, 1, tzinfo=UTC), town.now())
        if table == "readings"
        else town.rows(table)
    )
    assert stored.height == rows > 0
    second = command(folder, "import", feed, file)
    assert second.returncode == 0
    assert " 0 taken in, " in second.stdout and second.stdout.endswith(" 0 set aside.\n")


def test_import_says_which_rows_were_set_aside_and_why(recorded: Path, tmp_path: Path):
    packed = (recorded / "energy/us_major_power_outages_2000_2011.csv.gz").read_bytes()
    head, units, *rows = gzip.decompress(packed).splitlines(keepends=True)
    without_start = [row for row in rows if row.split(b",")[10] == b"NA"]
    year = [row for row in rows if row.split(b",")[2] == b"2011" and row not in without_start]
    file = tmp_path / "outages.csv"
    file.write_bytes(b"".join([head, units, *year, *without_start]))
    done = command(folder_of("us_outages", tmp_path), "import", "outages", file)
    count = f"{len(year) + 9} rows read, {len(year)} taken in, 0 known already, 9 set aside.\n"
    assert done.stdout.endswith(f"1 file: {count}")
    assert done.stdout.count("column started_at is empty") == len(without_start) == 9


def test_import_of_years_ago_counts_no_zeros_for_the_years_since(recorded: Path, tmp_path: Path):
    folder = folder_of("newport", tmp_path)
    command(folder, "import", "issues", last_week(recorded, tmp_path))
    town = Town(settings.load(folder, available), lambda: datetime(2030, 1, 1, tzinfo=UTC))
    hours = town.history("requests_received", ["town"])
    assert hours["value"].sum() == len(issues(recorded))
    assert hours["end"].max() < datetime(2017, 9, 4, tzinfo=UTC)


def test_import_of_an_unknown_feed_names_those_that_there_are(tmp_path: Path):
    done = command(folder_of("newport", tmp_path), "import", "isues", tmp_path)
    assert done.returncode == 1
    assert "There is no feed `isues` in town.toml. Known are: " in done.stderr
    assert "export, export_lines, filing, issues" in done.stderr


def test_towns_name_only_what_their_files_need():
    # No code and no recorded data: a town is a folder of settings and registers.
    towns = [path.parent for path in Path(__file__).parent.glob("*/town.toml")]
    assert len(towns) == 16
    files = [path for town in towns for path in town.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".toml", ".csv"}
    assert {path.name for path in files if path.suffix == ".csv"} <= {
        "wards.csv", "assets.csv", "sensors.csv", "dmas.csv", "feeders.csv", "road_links.csv",
    }  # fmt: skip
    assert pl.read_csv(towns[0].parent / "bareilly/reference/sensors.csv").height == 23
