"""What was erased, told beside the copies of the town, so that a copy that is restored forgets it again."""

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from pipelines.engine.errors import StoreError
from pipelines.engine.filing import vault
from pipelines.engine.second_place import Folder, place_of
from pipelines.engine.settings.keeping import BackupPlan
from pipelines.engine.state import State

BESIDE, SENT = "erased.json", "_erased"


def tell_erased(folder: Path, gone: Mapping[str, tuple[str, str]]) -> None:
    """Write the erased numbers beside the copies of the town; where that disk is away it is done with the next run."""
    if not gone:
        return
    body = orjson.dumps({number: list(about) for number, about in gone.items()}, option=orjson.OPT_INDENT_2)
    with suppress(OSError):
        fresh = folder / f"{BESIDE}.new"
        fresh.write_bytes(body)
        fresh.replace(folder / BESIDE)


def send(plan: BackupPlan, state: State) -> None:
    """Bring the list to the second place of the copies too, where it is not there as it is now.

    Raises StoreError when that place cannot be reached; it is tried again with the next run.
    """
    file = plan.to / BESIDE
    if plan.second is None or not file.is_file():
        return
    about = {"place": plan.second, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    if state.cursor(SENT) == about:
        return
    place = place_of(plan.second, plan.key_file)
    if isinstance(place, Folder):
        _copied(file, place.folder)
    else:
        place.put(file)
    state.keep_cursor(SENT, about)


def _copied(file: Path, folder: Path) -> None:
    try:
        fresh = folder / f"{BESIDE}.new"
        shutil.copyfile(file, fresh)
        fresh.replace(folder / BESIDE)
    except OSError as error:
        raise StoreError(
            f"what was erased could not be told in {folder} ({error.strerror}). Is the disk in?"
        ) from error


def forget_again(archive: Path, store: Path) -> int:
    """After a restore: forget what was erased since the archive was made, as the file beside it tells; how many.

    Raises StoreError when that file is there and cannot be read: nobody may look at what came back before it is.
    """
    beside = archive.parent / BESIDE
    if not beside.is_file() or not vault.path_of(store).exists():
        return 0
    try:
        gone = {number: (at, who) for number, (at, who) in orjson.loads(beside.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise StoreError(f"{beside} tells what was erased since, and cannot be read ({error}).") from error
    return vault.erase(store, gone)
