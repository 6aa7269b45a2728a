"""town.duckdb: what an analyst sees with plain DuckDB, in a process of his own, while the line runs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.engine import analysts, compaction
from pipelines.engine.errors import StoreError
from pipelines.engine.line import Line
from pipelines.engine.tables import ENGINE_TABLES
from tests.conftest import ROOT
from tests.engine.small_town import NOON, ZONE, abandon, copied, csv_of, make, open_line, readings, send

PLAIN = """import duckdb, json, sys
with duckdb.connect(sys.argv[1], read_only=True) as db:
    db.execute("SET TimeZone='UTC'")
    print(json.dumps(db.execute(sys.argv[2]).fetchall(), default=str))
"""


def asked(town: Path, question: str) -> list[list[object]]:
    """What plain DuckDB answers in another process, from another folder."""
    file = str(town / "store" / analysts.NAME)
    told = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN, file, question], capture_output=True, text=True, cwd="/", check=False
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def build(line: Line) -> None:
    """What the compaction child does."""
    compaction.compact(line.settings.store, line.store.tables.values(), ZONE)
    analysts.build(line.settings.store, line.store.tables.values(), line.registers, NOON)
    line.adopt(NOON)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    opened = open_line(make(tmp_path_factory.mktemp("analysts") / "it's a town"), NOON, frozenset())
    rows = [("P2.p", NOON - timedelta(hours=12 * n), 10.0 + n) for n in range(6)]
    send(opened, "network", csv_of([*rows, ("nobody", NOON, 1.0)]), NOON)
    send(opened, "book", (ROOT / "data" / "samples" / "grievances" / "complaint_book.csv").read_bytes(), NOON)
    build(opened)
    yield opened
    opened.close()


def test_readings_carry_the_sensors_place(line: Line) -> None:
    rows = asked(
        line.settings.folder,
        "SELECT sensor, quantity, asset_name, ward, ward_name, epoch_us(observed_at), value FROM readings ORDER BY observed_at",
    )
    assert [row[:5] for row in rows] == [["P2.p", "pressure_m", "High Street", "W2", "South"]] * 6
    assert [(row[0], row[5], row[6]) for row in rows] == [
        (sensor, round(at.timestamp() * 1e6), value) for sensor, at, value in readings(line)
    ]


def test_rollups_add_up_to_the_readings(line: Line) -> None:
    (row,) = asked(
        line.settings.folder, "SELECT sum(n)::INT, min(min), max(max), any_value(ward_name) FROM readings_daily"
    )
    assert row == [6, 10.0, 15.0, "South"]


def test_every_table_is_a_view_also_without_rows_and_without_personal_columns(line: Line) -> None:
    town = line.settings.folder
    expected = {name: line.store.rows(name).height for name in line.store.tables}
    counts = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM \"{name}\"" for name in expected)
    assert {str(name): rows for name, rows in asked(town, counts)} == expected
    described = asked(town, "SELECT column_name FROM (DESCRIBE quarantine)")
    names = {name for (name,) in described}
    assert {"feed", "reason", "received_at"} <= names
    assert "original" not in names


def test_analyst_who_has_it_open_neither_disturbs_the_line_nor_is_disturbed(line: Line) -> None:
    file = line.settings.store / analysts.NAME
    with duckdb.connect(str(file), read_only=True) as held:
        before = held.execute("SELECT count(*) FROM readings").fetchall()
        send(line, "network", csv_of([("P2.p", NOON - timedelta(minutes=7), 3.0)]), NOON)
        build(line)
        assert held.execute("SELECT count(*) FROM readings").fetchall() == before
    assert asked(line.settings.folder, "SELECT count(*) FROM readings") == [[before[0][0] + 1]]
    assert asked(line.settings.folder, "SELECT journal_up_to FROM about") == [[line.store.manifest.applied_seq]]


def test_file_that_cannot_be_made_leaves_the_one_before(tmp_path: Path, line: Line) -> None:
    town = copied(line.settings.folder, tmp_path / "town")
    other = open_line(town, NOON, frozenset())
    build(other)
    before = (town / "store" / analysts.NAME).read_bytes()
    (town / "store" / next(iter(other.store.manifest.files()))).unlink()
    with pytest.raises(StoreError, match="the one before is kept"):
        analysts.build(town / "store", other.store.tables.values(), other.registers, NOON)
    assert (town / "store" / analysts.NAME).read_bytes() == before
    abandon(other)


def test_compaction_makes_it_anew_and_succeeds_when_the_registers_are_being_edited(tmp_path: Path, line: Line) -> None:
    town = copied(line.settings.folder, tmp_path / "town")
    (town / "store" / analysts.NAME).unlink()
    command = [sys.executable, "app.py", "--town", str(town), "compact"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    assert asked(town, "SELECT count(*) > 5 FROM readings") == [[True]]
    (town / "reference" / "sensors.csv").write_text("sensor,asset\n")
    told = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (told.returncode, "town.duckdb stays as it was" in told.stderr) == (0, True), told.stderr


def test_store_without_anything_has_it_too(tmp_path: Path) -> None:
    other = open_line(make(tmp_path / "town"), NOON, frozenset())
    analysts.build(other.settings.store, (*ENGINE_TABLES,), other.registers, NOON)
    assert asked(tmp_path / "town", "SELECT (SELECT count(*) FROM readings), (SELECT count(*) FROM sensors)") == [
        [0, 5]
    ]
    other.close()
