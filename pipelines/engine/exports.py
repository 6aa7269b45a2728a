"""Exports to files for the command line: the same rows and columns as the HTTP API."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pipelines.engine.asking import Misasked, maybe_instant, one_of, span
from pipelines.engine.extracts import Extract, extract
from pipelines.engine.forms import FORMS, WRITERS, streamed
from pipelines.engine.people.roles import ITSELF

if TYPE_CHECKING:
    from pipelines.engine.town import Town

__all__ = ["Misasked", "export_file", "write"]


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
    """Write a table (or `readings`, `kpis`, `arrivals`, `quarantine`) to a file; gives the number of rows.

    The file appears whole or not at all: it is written beside and renamed.
    Raises Misasked with words for the person at the command line.
    """
    one_of("format", form, FORMS)
    at = maybe_instant(as_known_at, "as-known-at")
    return write(extract(town, table, span(start, end), ward, at, actor=ITSELF), form, output)


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


class Counted:
    """Frames that pass through, with the number of rows that have passed."""

    def __init__(self, frames: Iterable[pl.DataFrame]) -> None:
        self._frames, self.rows = frames, 0

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for frame in self._frames:
            self.rows += frame.height
            yield frame
