"""What was erased, told beside the copies of the town, so that a copy that is restored forgets it again."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from pipelines.engine.errors import StoreError
from pipelines.engine.filing import vault

BESIDE = "erased.json"


def tell_erased(folder: Path, gone: Mapping[str, tuple[str, str]]) -> None:
    """Write the erased numbers beside the copies of the town; where that disk is away it is done with the next run."""
    body = orjson.dumps({number: list(about) for number, about in gone.items()}, option=orjson.OPT_INDENT_2)
    with suppress(OSError):
        fresh = folder / f"{BESIDE}.new"
        fresh.write_bytes(body)
        fresh.replace(folder / BESIDE)


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
