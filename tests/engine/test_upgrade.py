"""Stores of every earlier layout, written by the versions of then (tests/layouts), open equal; a cut changes nothing."""

import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.engine import (
    archive,
    backup,
    cold,
    journal,
    layout,
    manifest,
    registers,
    state_alarms,
    state_file,
    upgrade,
    upkeep_desk,
)
from pipelines.engine.calendar import local_day
from pipelines.engine.errors import StoreError
from pipelines.engine.layout import LAYOUT, Stand
from pipelines.engine.people import sealing, second_factor
from pipelines.engine.upgrade import Work
from pipelines.engine.version import VERSION
from tests.engine.small_town import open_line, read
from tests.engine.small_town import readings as stored
from tests.layouts import scene
from tests.layouts.make import HERE, WRITERS

KPIS = frozenset({"pressure_compliance"})
LATER = scene.LATER + timedelta(hours=1)
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def unpacked(number: int, folder: Path) -> Path:
    """The town that the version of then has left."""
    folder.mkdir()
    subprocess.run(["tar", "-xf", HERE / f"{number}.tar.xz", "-C", folder], check=True)
    if number == 6:
        # Somebody has a second factor: what layout 7 is about, and what 6 without a number is recognised by.
        facts = {"secret": SECRET, "confirmed_at": LATER.isoformat(), "step": 7, "recovery": ["ab", "cd"]}
        with state_file.changing(folder / "store" / "state.sqlite") as db:
            db.execute("REPLACE INTO factors VALUES (?, ?)", ["asha", state_file.sealed(facts)])
    return folder


def work_on(town: Path) -> Work:
    found = read(town)
    own = [table for domain in found.domains for table in domain.tables]
    return Work(found.store, upgrade.every_table(own), found.zone, registers.load(found).sensors)


def forward(town: Path) -> list[str]:
    """Brought forward; what was said."""
    said: list[str] = []
    upgrade.forward(town, work_on(town), LATER, said.append)
    return said


def sent() -> list[tuple[str, datetime, float]]:
    """Every reading that the scene has sent, corrected where it was corrected."""
    rows = {(s, at): v for day in (3, 2, 1, 0) for s, at, v in scene.readings(day)}
    rows[scene.readings(1)[0][:2]] = 99.5
    rows |= {("P2.p", at): scene.TOO_HIGH for at in (scene.NOON, scene.LATER)}
    return sorted((s, at, v) for (s, at), v in rows.items())


@pytest.mark.parametrize("number", WRITERS)
def test_store_of_an_earlier_layout_opens_equal_after_the_upgrade(number: int, tmp_path: Path) -> None:
    town = unpacked(number, tmp_path / "town")
    found = layout.read(town / "store")
    assert found is not None and found.layout == number
    said = forward(town)
    assert json.loads((town / "store" / "layout.json").read_text())["layout"] == LAYOUT
    assert [words for words in said if words.startswith("Layout")] == [
        f"Layout {step.to}: {step.words} ..." for step in upgrade.STEPS if step.to > number
    ]
    line = open_line(town, LATER, KPIS)
    try:
        assert stored(line) == sent()
        complaints = line.store.rows("service_requests").sort("service_request_id")
        assert complaints["service_request_id"].to_list() == ["SR1", "SR2", "SR3"]
        assert line.state.cursor("book") == scene.CURSOR
        assert line.store.rows("quarantine")["reason"].to_list() == ["unknown_sensor"]
        assert line.store.rows("kpi_values").filter(kpi="pressure_compliance").height
        alarms = line.state.alarms()["pressure_high|P2.p"]["alarm"]
        assert (alarms["rule"], alarms["value"]) == ("pressure_high", 60.0)
    finally:
        line.close()
    (risen,) = state_alarms.read(town / "store" / "state.sqlite", alarm="pressure_high|P2.p")
    assert (risen.event, risen.after, risen.annunciated, risen.facts["value"]) == ("rise", "unacknowledged", True, 60.0)
    assert risen.at == scene.LATER


@pytest.mark.parametrize("number", [1, 3])
def test_files_after_an_upgrade_are_those_that_this_version_writes(number: int, tmp_path: Path) -> None:
    town = unpacked(number, tmp_path / "town")
    forward(town)
    store = town / "store"
    now = manifest.read(store)
    assert manifest.damaged(store, now, 1 << 30) == {}
    assert all(part.size > 0 for parts in now.parts.values() for part in parts.values())
    for part in now.parts["readings"].values():
        assert {"units", "scale"} <= set(pl.read_parquet_schema(store / part.file))
    # The sums of the hours, by an independent count over the rows of the readings.
    rows = pl.concat([cold.read(store / part.file) for part in now.parts["readings"].values()])
    hours = pl.concat([pl.read_parquet(store / part.file) for part in now.parts["roll_hourly"].values()])
    assert "sum_squares" not in hours.columns
    assert (hours["n"].sum(), round(hours["sum"].sum(), 6)) == (rows.height, round(rows["value"].sum(), 6))
    assert set(now.parts["roll_daily"]) == set(now.parts["roll_wards"]) == {"2026-03"}
    days = pl.read_parquet(store / now.parts["roll_daily"]["2026-03"].file)
    assert days.height == 3 * rows.select(local_day("observed_at", "Asia/Kolkata")).n_unique()


def test_secrets_of_second_factors_are_sealed_and_leave_nothing_in_the_file(tmp_path: Path) -> None:
    town = unpacked(6, tmp_path / "town")
    state, secret = town / "store" / "state.sqlite", SECRET
    assert any(secret.encode() in path.read_bytes() for path in state.parent.glob("state.sqlite*"))
    forward(town)
    assert all(secret.encode() not in path.read_bytes() for path in state.parent.glob("state.sqlite*"))
    found = second_factor.of(state, "asha")
    assert found is not None
    assert (found.secret, found.confirmed_at, found.step, found.recovery) == (secret, LATER, 7, ("ab", "cd"))


def test_key_of_second_factors_is_in_no_backup(tmp_path: Path) -> None:
    town = unpacked(6, tmp_path / "town")
    forward(town)
    key = sealing.key_path(town / "store" / "state.sqlite")
    sealing.seal(town / "store" / "state.sqlite", "asha", "GEZDGNBV")
    made = backup.make(town, tmp_path / "town.tar", LATER)
    assert key.is_file() and made.files > 3
    listed = subprocess.run(["tar", "-tf", made.file], capture_output=True, text=True, check=True).stdout
    assert "state.sqlite" in listed and sealing.NAME not in listed


class Cut(BaseException):
    """Stands for SIGKILL."""


def cut_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """The process dies when it makes something durable for the n-th time; whether it came to that."""
    count = 0
    real = journal.sync_folder

    def dying(folder: Path) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise Cut
        real(folder)

    for module in (layout, manifest, cold, archive):
        monkeypatch.setattr(module, "sync_folder", dying)
    return lambda: count >= number


def test_upgrade_that_is_cut_off_anywhere_is_taken_up_again_with_the_first_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward(unpacked(1, tmp_path / "whole"))
    whole = open_line(tmp_path / "whole", LATER, KPIS)
    expected = stored(whole)
    whole.close()
    cuts = 0
    while True:
        town = unpacked(1, tmp_path / f"cut-{cuts}")
        with monkeypatch.context() as patch:
            came = cut_at(cuts + 1, patch)
            with suppress(Cut):
                forward(town)
            if not came():
                break
        forward(town)
        line = open_line(town, LATER, KPIS)
        assert stored(line) == expected
        line.close()
        assert len(list((town / upgrade.FOLDER).glob("*.tar.zst"))) == 1
        cuts += 7
    assert cuts >= 20


def test_backup_from_before_holds_the_store_as_it_was(tmp_path: Path) -> None:
    town = unpacked(2, tmp_path / "town")
    before = (town / "store" / "manifest.json").read_bytes()
    forward(town)
    (copy,) = (town / upgrade.FOLDER).iterdir()
    archive.read(copy, tmp_path / "copy")
    assert (tmp_path / "copy" / "store" / "manifest.json").read_bytes() != before
    old = manifest.read(tmp_path / "copy" / "store")
    assert old.applied_seq == 4
    assert {part.file for part in old.parts["readings"].values()} == {
        f"cold/readings/2026-03-0{day}.1.parquet" for day in (7, 8, 9)
    }


def contents(town: Path) -> dict[Path, bytes]:
    """Every file of a town; what SQLite makes for its readers is none."""
    return {path: path.read_bytes() for path in archive.files(town) if not path.name.endswith(("-shm", "-wal"))}


def test_check_says_what_an_upgrade_would_do_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town = unpacked(4, tmp_path / "town")
    before = contents(town)
    assert upkeep_desk.upgrade_check(read(town)) == 0
    told = capsys.readouterr().out
    assert f"is of layout 4, Townboard {VERSION} writes layout {LAYOUT}" in told
    assert [line.split(":")[0].strip() for line in told.splitlines()[2:]] == ["layout 5", "layout 6", "layout 7"]
    assert contents(town) == before
    layout.write(town / "store", Stand(LAYOUT + 1, "9.0.0"))
    assert upkeep_desk.upgrade_check(read(town)) == 1
    assert "newer Townboard" in capsys.readouterr().err


def test_store_of_a_newer_layout_is_refused_in_words_and_left_alone(tmp_path: Path) -> None:
    town = unpacked(6, tmp_path / "town")
    layout.write(town / "store", Stand(LAYOUT + 1, "9.0.0"))
    before = {path: path.read_bytes() for path in archive.files(town)}
    words = rf"written by a newer Townboard, 9\.0\.0 \(layout {LAYOUT + 1}.*Install that version again"
    with pytest.raises(StoreError, match=words):
        forward(town)
    with pytest.raises(StoreError, match=words):
        open_line(town, LATER, KPIS)
    assert {path: path.read_bytes() for path in archive.files(town)} == before


def test_store_of_an_older_layout_is_not_written_before_it_was_brought_forward(tmp_path: Path) -> None:
    town = unpacked(6, tmp_path / "town")
    layout.write(town / "store", Stand(LAYOUT - 1))
    with pytest.raises(StoreError, match=r"app\.py upgrade"):
        open_line(town, LATER, KPIS)


def test_backup_carries_the_number_and_one_of_a_newer_layout_is_not_restored(tmp_path: Path) -> None:
    town = unpacked(6, tmp_path / "town")
    layout.write(town / "store", Stand(LAYOUT))
    made = backup.make(town, tmp_path / "now.tar", LATER)
    backup.restore(made.file, tmp_path / "again")
    assert layout.read(tmp_path / "again" / "store") == Stand(LAYOUT)
    layout.write(town / "store", Stand(LAYOUT + 1, "9.0.0"))
    made = backup.make(town, tmp_path / "newer.tar", LATER)
    with pytest.raises(StoreError, match=r"newer Townboard, 9\.0\.0"):
        backup.restore(made.file, tmp_path / "no")
    assert list((tmp_path / "no").iterdir()) == []


def test_nothing_is_brought_forward_while_a_line_writes(tmp_path: Path) -> None:
    town = unpacked(3, tmp_path / "town")
    with journal.held(town / "store" / "journal"), pytest.raises(StoreError, match="already written by another"):
        forward(town)
    assert not (town / upgrade.FOLDER).exists()


def test_upgrade_without_room_for_a_backup_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = unpacked(3, tmp_path / "town")
    monkeypatch.setattr("pipelines.engine.disk.room", lambda folder: (1 << 20, 1 << 30))
    with pytest.raises(StoreError, match=r"there is no backup.*upgrade --keep FOLDER"):
        forward(town)
    found = layout.read(town / "store")
    assert found is not None and found.layout == 3


def test_new_town_gets_the_newest_number(tmp_path: Path) -> None:
    town = unpacked(6, tmp_path / "town")
    for path in sorted((town / "store").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert forward(town) == []
    assert layout.read(town / "store") == Stand(LAYOUT)
