"""What the doctor finds in the store: manifest, Parquet files, journal, state, and what was set aside."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pipelines.engine import manifest as manifests
from pipelines.engine import state_file
from pipelines.engine.errors import StoreError
from pipelines.engine.filing import vault
from pipelines.engine.journal import frames, number, segments
from pipelines.engine.manifest import Manifest

EVERYTHING = 1 << 62


class Level(Enum):
    """How grave a finding is; only what has to be mended makes an installation unsound."""

    SOUND = 0
    LOOK = 1
    MEND = 2


SOUND = Level.SOUND


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it stands and, where something is wrong, what to do."""

    level: Level
    thing: str
    words: str


def look_at_store(store: Path) -> Iterator[Finding]:
    """Every file that holds rows, read from its first to its last byte."""
    try:
        manifest = manifests.read(store)
    except StoreError as error:
        yield Finding(Level.MEND, "Store", str(error))
        return
    yield from _files(store, manifest)
    yield from _aside(store)
    yield from _journal(store / "journal", manifest)
    yield from _state(store / "state.sqlite")
    yield from _vault(store)


def _files(store: Path, manifest: Manifest) -> Iterator[Finding]:
    damaged = manifests.damaged(store, manifest, EVERYTHING)
    for words in damaged.values():
        yield Finding(
            Level.MEND,
            "Store",
            f"{words}. Its rows are missing, all others are there. Take it from the last backup "
            f"(tar -xf BACKUP -C {store.parent} FILE); the disk may be failing.",
        )
    if not damaged:
        parts = [part for partitions in manifest.parts.values() for part in partitions.values()]
        yield Finding(
            SOUND, "Store", f"all {len(parts)} files are as they were written ({sum(p.rows for p in parts):,} rows)."
        )
    live = manifest.files()
    spare = [
        path for path in [*store.glob("cold/*/*"), *store.glob("roll/*/*")] if str(path.relative_to(store)) not in live
    ]
    if spare:
        size = sum(path.stat().st_size for path in spare if path.exists()) / 1e6
        yield Finding(
            SOUND, "Store", f"{len(spare)} files ({size:,.1f} MB) are not needed any more and go by themselves."
        )


def _aside(store: Path) -> Iterator[Finding]:
    """What was damaged and taken out of use; it lies there until somebody has looked at it."""
    rows = sorted(path for path in store.glob("damaged/**/*") if path.is_file())
    if rows:
        yield Finding(
            Level.MEND,
            "Store",
            f"{len(rows)} damaged file{'s were' if len(rows) > 1 else ' was'} set aside, the first is {rows[0]}. Its "
            "rows are missing from the board. Restore the last backup into a new folder, or send those days again; "
            f"then delete {store / 'damaged'}.",
        )
    for path in sorted(store.glob("state.damaged-*.sqlite")):
        yield Finding(
            Level.LOOK,
            "State",
            f"{path.name} was damaged, set aside and made anew; no reading was in it. Delete it when the disk is well.",
        )


def _journal(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """Frame after frame, from the first that the Parquet files do not hold."""
    present, size, last = segments(folder), 0, manifest.applied_seq
    if present and number(present[0]) > manifest.applied_seq + 1:
        yield Finding(
            Level.MEND,
            "Journal",
            f"rows between {manifest.applied_seq} and {number(present[0])} are missing. Restore the last backup: "
            "python app.py --town NEWFOLDER restore FILE",
        )
    for place, path in enumerate(present):
        following = present[place + 1] if place + 1 < len(present) else None
        raw, end = _read(path), 0
        for offset, seq, _ in frames(raw):
            end, last = offset, seq or last
        size += len(raw)
        if following is not None and end < len(raw) and number(following) > last + 1:
            yield Finding(
                Level.MEND,
                "Journal",
                f"{path.name} is damaged after {end:,} bytes: the disk changed what was written. Restore the last "
                "backup into a new folder: python app.py --town NEWFOLDER restore FILE",
            )
            return
    yield Finding(
        SOUND, "Journal", f"all {len(present)} files can be read ({size / 1e6:,.1f} MB, up to row group {last})."
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        # The line has let go of it while we looked: it is compacted.
        return b""


def _state(path: Path) -> Iterator[Finding]:
    if not path.is_file():
        yield Finding(SOUND, "State", "there is none yet; the first start makes it.")
        return
    wrong = state_file.faults(path)
    if wrong:
        yield Finding(
            Level.MEND,
            "State",
            f"{path.name} is damaged ({wrong[0]}). Start the town again: that sets the file aside and makes a new one.",
        )
    else:
        yield Finding(SOUND, "State", f"{path.name} is whole.")


def _vault(store: Path) -> Iterator[Finding]:
    """What is personal of filed requests: whole, and for the user who runs the town alone."""
    path = vault.path_of(store)
    if not path.is_file():
        return
    if wrong := state_file.faults(path):
        yield Finding(
            Level.MEND, "Requests", f"{path.name} is damaged ({wrong[0]}): names and words of requests may be lost. "
            "Restore the last backup into a new folder, or start again: numbers and dates stand in the journal.",
        )  # fmt: skip
    elif ajar := [one for one in (path, vault.folder_of(store)) if one.exists() and one.stat().st_mode & 0o077]:
        yield Finding(
            Level.LOOK, "Requests", f"{ajar[0].name} can be read by others on this computer, and holds names and phone "
            f"numbers: chmod -R go-rwx {ajar[0]}",
        )  # fmt: skip
    else:
        yield Finding(SOUND, "Requests", f"{path.name} is whole, and nobody else can read it.")
