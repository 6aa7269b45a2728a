"""One consistent backup of a town while it runs, and the town made of it again."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from pipelines.engine import archive, disk, layout, state_file
from pipelines.engine import manifest as manifests
from pipelines.engine.archive import ABOUT, ENDINGS, FORM, PART, SUMS, Archive
from pipelines.engine.errors import StoreError
from pipelines.engine.filing import beside, vault
from pipelines.engine.journal import segments, sync_folder

LAST = "_backup"
# The compaction and the line replace files while they are being gathered; it does not happen many times in a row.
ATTEMPTS = 10
# What must be left on the disk when the archive is written: the line works on the same one, perhaps.
SPARE_BYTES = 128 << 20


def make(town: Path, target: Path, now: datetime) -> Archive:
    """Write the town into an archive, and remember that it was done.

    Raises StoreError: no town here, no room, another backup at work, the disk refuses.
    """
    if not target.name.endswith(ENDINGS):
        raise StoreError(
            f"{target.name}: call an archive like town-{now:%Y-%m-%d}.tar, or .tar.zst when it shall be smaller."
        )
    if not (town / "town.toml").is_file():
        raise StoreError(f"{town} holds no town.toml, so there is no town to back up. Name its folder with --town.")
    if not target.parent.is_dir():
        raise StoreError(f"the folder {target.parent} does not exist. Make it, or put in the disk that holds it.")
    try:
        with _staging(town, target) as staging:
            _gather(town, staging, now)
            _check_room(staging, target)
            made = archive.write(staging, target)
    except OSError as error:
        raise StoreError(f"the backup was not written: {disk.in_words(error)} ({target}).") from error
    about = {"at": now.isoformat(), "file": str(target.resolve()), "files": made.files, "bytes": made.size}
    state_file.keep_cursor(town / "store" / "state.sqlite", LAST, about)
    return made


@contextmanager
def _staging(town: Path, target: Path) -> Iterator[Path]:
    """A folder to gather in, for one backup at a time; what a killed one left is cleared away.

    On the disk of the store, where links cost nothing; where that is full or read-only, at the target, by copying.
    """
    store = town / "store"
    roomy = store.is_dir() and os.access(store, os.W_OK) and disk.room(store)[0] > SPARE_BYTES
    base = store if roomy else target.parent
    staging = base / "backup.new"
    with (base / "backup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError("another backup of this town is being written; wait until it has ended.") from error
        shutil.rmtree(staging, ignore_errors=True)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if not roomy:
                (base / "backup.lock").unlink(missing_ok=True)


def _gather(town: Path, staging: Path, now: datetime) -> None:
    """Put everything that makes the town into the staging folder.

    In the order in which things pass from one place to the next: a dropped file that is taken in meanwhile is in the
    archive as a file, as rows, or as both, which a restored town recognises; never as neither.
    """
    for path in _own_files(town):
        with suppress(FileNotFoundError):
            _copied(path, staging / path.relative_to(town))
    manifest = _gather_store(town / "store", staging / "store")
    rows = {table: sum(part.rows for part in parts.values()) for table, parts in manifest.parts.items()}
    about = {
        "format": FORM, "made_at": now.isoformat(), "manifest": manifest.rev, "applied_seq": manifest.applied_seq,
        "compacted_rows": rows,
    }  # fmt: skip
    (staging / ABOUT).write_text(json.dumps(about, indent=1), "utf-8")


def _own_files(town: Path) -> list[Path]:
    """Settings, registers and whatever else the town keeps beside them, and dropped files that are not taken in yet."""
    found = []
    for path in sorted(town.rglob("*")):
        inside = path.relative_to(town).parts
        unread = inside[0] != "drop" or len(inside) == 3
        packed = path.name.endswith((*ENDINGS, PART))
        if inside[0] not in ("store", ABOUT, SUMS) and unread and not packed and path.is_file():
            found.append(path)
    return found


def _gather_store(store: Path, staging: Path) -> manifests.Manifest:
    """What the manifest names, the journal behind it, and the state, all of one moment or of moments that agree."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        before = segments(store / "journal")
        # The state remembers how far the journal was computed, so it must be the older of the two.
        if (store / "state.sqlite").is_file():
            state_file.copy(store / "state.sqlite", staging / "state.sqlite")
        if (store / layout.NAME).is_file():
            _copied(store / layout.NAME, staging / layout.NAME)
        try:
            manifest = manifests.read(store)
            if manifest.rev:
                manifests.write(staging, manifest)
            for name in sorted(manifest.files()):
                _linked(store / name, staging / name)
            _gather_journal(store / "journal", staging / "journal")
            _gather_vault(store, staging)
        except FileNotFoundError:
            continue
        if segments(store / "journal")[: len(before)] == before:
            return manifest
    missing = [name for name in manifests.read(store).files() if not (store / name).is_file()]
    words = f"{missing[0]} is missing from the store: python app.py doctor" if missing else "try again in a minute"
    raise StoreError(f"the store could not be gathered in {ATTEMPTS} attempts; {words}.")


def _gather_journal(journal: Path, staging: Path) -> None:
    """Sealed segments never change; the last one grows, and is copied as far as it is now."""
    staging.mkdir()
    present = segments(journal)
    for path in present[:-1]:
        _linked(path, staging / path.name)
    for path in present[-1:]:
        _copied(path, staging / path.name)


def _gather_vault(store: Path, staging: Path) -> None:
    """What is personal of filed requests, after the journal: a request that is in the vault alone lands once more."""
    if vault.path_of(store).is_file():
        state_file.copy(vault.path_of(store), vault.path_of(staging))
        vault.path_of(staging).chmod(0o600)
        for path in vault.folder_of(store).iterdir():
            # What is forgotten meanwhile is not missed.
            with suppress(FileNotFoundError):
                _linked(path, vault.folder_of(staging) / path.name)


def _linked(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        # Some file systems (FAT, network shares) have no links.
        shutil.copyfile(source, target)


def _copied(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _check_room(staging: Path, target: Path) -> None:
    needed = sum(path.stat().st_size for path in archive.files(staging)) + SPARE_BYTES
    free, _ = disk.room(target.parent)
    if free < needed:
        raise StoreError(
            f"{target.parent} has {free / 1e6:,.0f} MB free, but the archive may need {needed / 1e6:,.0f} MB. Delete "
            "older backups there, or use a larger disk."
        )


def restore(file: Path, town: Path) -> Archive:
    """Make the town of an archive in a new or empty folder. Killed at any moment, it can be begun again.

    Raises StoreError: the folder is not empty, the archive is damaged or of a newer version, the disk refuses.
    """
    coming = town / "restoring"
    if coming.is_dir() and not (town / "town.toml").exists():
        # A restore was interrupted: all that is here is its own, for it began in an empty folder.
        for path in town.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if town.exists() and any(town.iterdir()):
        raise StoreError(
            f"{town} is not empty. A backup is restored into a new or empty folder, for example: "
            f"python app.py --town {town}-restored restore {file}"
        )
    try:
        coming.mkdir(parents=True)
        made = archive.read(file, coming)
        layout.readable(coming / "store")
        (coming / ABOUT).unlink()
        vault.shut(coming / "store")
        beside.forget_again(file, coming / "store")
        _move_in(coming, town)
    except StoreError:
        shutil.rmtree(coming, ignore_errors=True)
        raise
    except OSError as error:
        raise StoreError(
            f"the backup was not restored: {disk.in_words(error)} ({town}). Then give the same command again."
        ) from error
    return made


def _move_in(coming: Path, town: Path) -> None:
    """The settings last: a folder without town.toml is no town yet."""
    for path in sorted(coming.iterdir(), key=lambda path: path.name == "town.toml"):
        if path.name == "town.toml":
            sync_folder(town)
        path.rename(town / path.name)
    coming.rmdir()
    sync_folder(town)
