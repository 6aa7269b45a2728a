"""What was erased stays erased: on the disk, after a start, a compaction, a backup, a restore of an older one."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.engine import backup, compaction
from pipelines.engine.doctor_store import look_at_store
from pipelines.engine.errors import StoreError
from pipelines.engine.filing import beside, vault
from pipelines.engine.filing.faults import Faulty
from pipelines.engine.people import audit
from pipelines.engine.people.roles import person
from pipelines.engine.tokens import path_of
from tests.engine import small_town
from tests.engine.filing import filing_town
from tests.engine.filing.filing_town import NOW, OFFICE, PRIVATE, FilingTown, photo

CLERK = person("mira", "clerk")


@pytest.fixture
def filing(tmp_path: Path) -> Iterator[FilingTown]:
    (tmp_path / "disk").mkdir()
    folder = filing_town.make(tmp_path / "town", '\n[filing]\nkeep = "30 d"\n[backup]\nto = "../disk"\n')
    with filing_town.opened(folder) as found:
        yield found


def erase(filing: FilingTown, number: str) -> None:
    filing.ask.wait_for(filing.town.filing.erase(number, CLERK))


def told_in(folder: Path) -> set[str]:
    """What is personal and stands in any file below a folder."""
    bodies = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return {text for text in PRIVATE for body in bodies if text.encode() in body}


def test_the_erased_is_gone_from_the_disk_and_on_record(filing: FilingTown) -> None:
    number, other = filing.file(files=(photo(), photo("PNG"))), filing.file(name="Someone Else")
    store = filing.line.settings.store
    assert told_in(store) == set(PRIVATE) and len(list(vault.folder_of(store).iterdir())) == 2
    erase(filing, number)
    erase(filing, other)
    assert told_in(store) == set() and list(vault.folder_of(store).iterdir()) == []
    kept = vault.case(store, number)
    assert kept is not None and (kept.personal, kept.pictures, kept.erased) == ({}, (), (NOW.isoformat(), "mira"))
    log = audit.entries(path_of(store))
    assert [(entry.who, entry.did) for entry in log if number in entry.facts] == [
        ("mira", "request: personal data erased")
    ]
    filing.look()
    told = filing.town.complaint(number)
    assert told is not None and told.status == "open"
    with pytest.raises(Faulty, match="No request"):
        erase(filing, "nobody")


def test_the_erased_stays_erased_after_replay_compaction_and_posting_again(filing: FilingTown) -> None:
    number = filing.file(key="k1")
    erase(filing, number)
    store = filing.line.settings.store
    assert filing.file(key="k1") == number
    filing.ask.wait_for(filing.town.filing.change(number, OFFICE, state="closed", notes="Mended", agency=""))
    compaction.compact(store, filing.line.store.tables.values(), filing.line.settings.zone)
    filing.line.adopt(NOW)
    replayed = small_town.copied(filing.line.settings.folder, store.parent.parent / "replayed")
    with filing_town.opened(replayed) as again:
        assert again.line.store.rows("service_requests")["status"].to_list() == ["closed"]
        assert told_in(again.line.settings.store) == set()


def test_what_was_set_aside_as_damaged_goes_with_an_erasure(filing: FilingTown) -> None:
    number, store = filing.file(), filing.line.settings.store
    (store / "private.damaged-1.sqlite").write_bytes(b"Asha Verma")
    erase(filing, number)
    assert told_in(store) == set()


def test_a_restored_copy_from_before_forgets_again(filing: FilingTown, tmp_path: Path) -> None:
    number, other = filing.file(files=(photo(),)), filing.file(name="Ravi Kumar", files=(photo(),))
    folder, disk = filing.line.settings.folder, tmp_path / "disk"
    made = backup.make(folder, disk / "town-2026-03-10-0630Z.tar", NOW)
    erase(filing, number)
    restored = tmp_path / "restored"
    backup.restore(made.file, restored)
    store = restored / "store"
    forgotten, kept = vault.case(store, number), vault.case(store, other)
    assert forgotten is not None and forgotten.personal == {} and forgotten.erased == (NOW.isoformat(), "mira")
    assert kept is not None and kept.personal["name"] == "Ravi Kumar" and len(kept.pictures) == 1
    assert {path.name for path in vault.folder_of(store).iterdir()} == {kept.pictures[0].file}
    assert vault.path_of(store).stat().st_mode & 0o077 == 0
    assert not told_in(store) & {"Asha Verma"}
    with filing_town.opened(restored) as again:
        assert again.line.store.rows("service_requests").height == 2


def test_a_list_of_the_erased_that_cannot_be_read_stops_the_restore(filing: FilingTown, tmp_path: Path) -> None:
    filing.file()
    made = backup.make(filing.line.settings.folder, tmp_path / "disk" / "town.tar", NOW)
    (tmp_path / "disk" / beside.BESIDE).write_text("[1, 2")
    with pytest.raises(StoreError, match=r"erased\.json tells what was erased"):
        backup.restore(made.file, tmp_path / "restored")
    assert not list((tmp_path / "restored").iterdir())


def test_a_disk_that_is_away_stops_no_erasure(filing: FilingTown, tmp_path: Path) -> None:
    number = filing.file()
    (tmp_path / "disk").rmdir()
    erase(filing, number)
    (tmp_path / "disk").mkdir()
    assert filing.desk.age() is None
    assert number in (tmp_path / "disk" / beside.BESIDE).read_text()


class Elsewhere:
    """Another computer that copies are sent to."""

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self.away = True

    def put(self, file: Path) -> None:
        if self.away:
            raise StoreError("the second place is away")
        self.told.append(file.read_bytes())


def test_the_second_place_of_copies_is_told_once_it_is_reached(
    filing: FilingTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(filing, filing.file())
    elsewhere = Elsewhere()
    monkeypatch.setattr(beside, "place_of", lambda address, key: elsewhere)
    plan = filing.line.settings.backup
    assert plan is not None
    sent_to = replace(plan, second="sftp://other.example/copies")
    with pytest.raises(StoreError, match="away"):
        beside.send(sent_to, filing.line.state)
    elsewhere.away = False
    for _ in range(3):
        beside.send(sent_to, filing.line.state)
    erase(filing, filing.file())
    beside.send(sent_to, filing.line.state)
    assert len(elsewhere.told) == 2 and len(elsewhere.told[0]) < len(elsewhere.told[1])


def test_a_second_folder_of_copies_holds_what_was_erased(filing: FilingTown, tmp_path: Path) -> None:
    number = filing.file()
    erase(filing, number)
    plan = filing.line.settings.backup
    assert plan is not None
    with pytest.raises(StoreError, match="Is the disk in"):
        beside.send(replace(plan, second=str(tmp_path / "stick")), filing.line.state)
    (tmp_path / "stick").mkdir()
    beside.send(replace(plan, second=str(tmp_path / "stick")), filing.line.state)
    assert number in (tmp_path / "stick" / beside.BESIDE).read_text()


def test_personal_data_ages_out_so_long_after_closing(filing: FilingTown) -> None:
    closed, left_open, back = filing.file(), filing.file(), filing.file()
    for number, state in ((closed, "closed"), (back, "closed"), (back, "reopened")):
        filing.ask.wait_for(filing.town.filing.change(number, OFFICE, state=state, notes="", agency=""))
    filing.later(timedelta(days=29))
    assert filing.desk.age() is None
    filing.later(timedelta(days=2))
    assert filing.desk.age() == 1
    store = filing.line.settings.store
    told = {number: vault.case(store, number) for number in (closed, left_open, back)}
    assert {number for number, case in told.items() if case and case.personal} == {left_open, back}
    assert told[closed] is not None and told[closed].erased == ((NOW + timedelta(days=31)).isoformat(), "Townboard")


def test_a_picture_that_a_crash_left_without_a_case_is_swept(filing: FilingTown) -> None:
    number, store = filing.file(files=(photo(),)), filing.line.settings.store
    orphan = vault.folder_of(store) / "orphan"
    orphan.write_bytes(b"x")
    vault.sweep(store, filing.clock["now"])
    assert orphan.exists()
    filing.clock["now"] = filing.clock["now"].fromtimestamp(
        orphan.stat().st_mtime + 7200, tz=filing.clock["now"].tzinfo
    )
    filing.desk.age()
    kept = vault.case(store, number)
    assert kept is not None and [path.name for path in vault.folder_of(store).iterdir()] == [kept.pictures[0].file]


def test_a_vault_that_cannot_be_read_is_set_aside_and_begun_anew(filing: FilingTown) -> None:
    number, store = filing.file(), filing.line.settings.store
    for suffix in ("-wal", "-shm"):
        Path(f"{vault.path_of(store)}{suffix}").unlink(missing_ok=True)
    vault.path_of(store).write_bytes(b"SQLite format 3\x00" + b"\xff" * 9000)
    assert len(vault.prepare(store)) == vault.SECRET_BYTES
    assert vault.cases(store) == [] and (store / "private.damaged-1.sqlite").exists()
    filing.look()
    assert filing.town.complaint(number) is not None


def test_the_doctor_says_whether_the_vault_is_whole_and_closed(filing: FilingTown) -> None:
    def said() -> tuple[str, str]:
        return next((found.level.name, found.words) for found in look_at_store(store) if found.thing == "Requests")

    filing.file(files=(photo(),))
    store = filing.line.settings.store
    assert said()[0] == "SOUND"
    vault.folder_of(store).chmod(0o755)
    level, words = said()
    assert level == "LOOK" and "chmod -R go-rwx" in words
    vault.shut(store)
    with vault.path_of(store).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    assert said()[0] == "MEND"
