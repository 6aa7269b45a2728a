"""Exports to files: for the command line, for the schedule, and for the depot of large ones."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import polars as pl

from pipelines.engine.asking import Misasked, maybe_instant, one_of, span
from pipelines.engine.depot import Counting, Making, Write
from pipelines.engine.export_manifest import facts, stamped
from pipelines.engine.extracts import extract
from pipelines.engine.forms import BOM, FORMS, WRITERS, streamed
from pipelines.engine.people.roles import AT_THE_MACHINE
from pipelines.engine.spans import Extract

if TYPE_CHECKING:
    from pipelines.engine.town import Town

__all__ = ["MANIFEST", "Misasked", "export_file", "into_depot", "write"]
# What the name of a manifest adds to the file that it tells of.
MANIFEST = ".manifest.json"


def export_file(
    town: "Town",
    table: str,
    start: str | None,
    end: str | None,
    ward: str | None,
    form: str,
    output: Path,
    as_known_at: str | None = None,
) -> int:
    """Write a table (or `readings`, `kpis`, `arrivals`, `quarantine`, `audit`) to a file; gives the number of rows.

    The file appears whole or not at all: it is written beside and renamed; so does its manifest, after it.
    Raises Misasked with words for the person at the command line.
    """
    one_of("format", form, FORMS)
    at = maybe_instant(as_known_at, "as-known-at")
    wanted = extract(town, table, span(start, end), ward, at, actor=AT_THE_MACHINE)
    with wanted.pin() as seq:
        wanted = stamped(wanted, town, seq)
        rows = write(wanted, form, output)
    kept = {**facts(wanted), "format": form, "file": output.name, "rows": rows}
    about = {**kept, "bytes": output.stat().st_size, "sha256": _digest(output)}
    beside = output.with_name(f".{output.name}{MANIFEST}")
    beside.write_bytes(orjson.dumps(about, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2) + b"\n")
    beside.replace(output.with_name(output.name + MANIFEST))
    return rows


def write(wanted: Extract, form: str, output: Path) -> int:
    """Write an extract to a file."""
    if not output.parent.is_dir():
        raise Misasked(f"There is no folder {output.parent}. Make it, or write to another place.")
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        beside = Path(folder) / output.name
        if form in WRITERS:
            rows = WRITERS[form](wanted, wanted.frames(), beside)
        else:
            rows = _write_stream(wanted, form, beside)
        beside.chmod(0o644)
        beside.replace(output)
    return rows


def _write_stream(wanted: Extract, form: str, path: Path) -> int:
    counted = Counted(wanted.frames())
    with path.open("wb") as file:
        file.writelines(streamed(wanted, counted, form))
    return counted.rows


def into_depot(town: "Town", form: str, key: str = "rows", *, bom: bool = False) -> Write:
    """How an extract is written into the depot: all of one moment, its rows counted as they pass."""
    begin = [BOM] if bom and form == "csv" else []

    def work(making: Making, wanted: Extract) -> None:
        with wanted.pin() as seq:
            wanted = stamped(wanted, town, seq)
            making.facts = {**facts(wanted), "format": form}
            frames = Counted(wanted.frames(), making.passed)
            if form in WRITERS:
                WRITERS[form](wanted, frames, making.path)
                making.size, making.facts["sha256"] = making.path.stat().st_size, _digest(making.path)
                return
            with making.path.open("wb") as file:
                counting = Counting(file, making)
                counting.writelines(begin)
                counting.writelines(streamed(wanted, frames, form, key=key))
            making.facts["sha256"] = counting.digest

    return work


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Counted:
    """Frames that pass through, with the number of rows that have passed; `told` is told of it each time."""

    def __init__(self, frames: Iterable[pl.DataFrame], told: Callable[[int], None] = lambda rows: None) -> None:
        self._frames, self._told, self.rows = frames, told, 0

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for frame in self._frames:
            self.rows += frame.height
            self._told(self.rows)
            yield frame
