"""The command `report`: a report of a period, in the languages and for the wards asked for, as PDF and CSV."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from components import glass
from components.address import ward_names
from components.catalogues import codes
from components.reports import council_pack, operations_sheet
from components.reports.paper import pdf
from components.reports.period import Period, asked
from components.tongue import Tongue, speak
from pipelines.engine import forms
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.model import Column
from pipelines.engine.settings.outgoing import REPORTS
from pipelines.engine.spans import of_frame
from pipelines.engine.town import Town


@dataclass(frozen=True)
class Report:
    """One kind of report: what stands on its paper, and its figures as rows of these columns."""

    says: Callable[[Period, str], dict[str, Any]]
    figures: Callable[[Period, str], pl.DataFrame]
    columns: tuple[Column, ...]


KINDS: Mapping[str, Report] = {
    "council": Report(council_pack.pack, council_pack.figures, council_pack.COLUMNS),
    "operations": Report(operations_sheet.sheet, operations_sheet.figures, operations_sheet.COLUMNS),
}


@dataclass(frozen=True)
class Wanted:
    """What somebody wants on paper: `label` names the period (None: the last that is over)."""

    kind: str
    label: str | None = None
    languages: Sequence[str] = ()
    ward: str | None = None
    wards: bool = False


def command(town: Town, options: Mapping[str, Any]) -> str:
    """What was written, in a sentence.

    Raises Misasked.
    """
    wanted = Wanted(options["kind"], options["of"], options["language"], options["ward"], wards=options["wards"])
    files = write(town, wanted, options["output"])
    return f"{len(files)} files written: {', '.join(file.name for file in files)}."


def write(town: Town, wanted: Wanted, output: Path) -> list[Path]:
    """The files of a report: `output` itself, or beside it one for each ward and language, and a CSV for each place.

    Raises Misasked in words for the person at the command line.
    """
    one_of("report", wanted.kind, KINDS)
    one_of("ward", wanted.ward, town.wards()["ward"])
    if not output.parent.is_dir():
        raise Misasked(f"There is no folder {output.parent}. Make it, or write to another place.")
    glass.bind(town, "/")
    languages = wanted.languages or town.languages
    for code in languages:
        one_of("language", code, codes())
    period = asked(REPORTS[wanted.kind], wanted.label, town.now(), town.zone)
    report, places = KINDS[wanted.kind], [wanted.ward or "", *(ward_names() if wanted.wards else ())]
    written = []
    for place in places:
        stem = output.with_name("_".join(filter(None, [output.stem, place])))
        written.append(_kept(stem.with_name(f"{stem.name}.csv"), table(report, period, place)))
        for code in languages:
            name = "_".join(filter(None, [stem.name, code if len(languages) > 1 else ""]))
            written.append(
                _kept(stem.with_name(f"{name}{output.suffix}"), paper(wanted.kind, period, place, Tongue(code)))
            )
    return written


def paper(kind: str, period: Period, ward: str, tongue: Tongue) -> bytes:
    """The PDF of a report of the bound town."""
    speak(tongue)
    return pdf(kind, KINDS[kind].says(period, ward), tongue, period.until)


def table(report: Report, period: Period, ward: str) -> bytes:
    """The figures of a report as CSV, with the mark that spreadsheets need."""
    rows = of_frame("figures", report.figures(period, ward), report.columns)
    return forms.BOM + b"".join(forms.streamed(rows, rows.frames(), "csv"))


def _kept(path: Path, content: bytes) -> Path:
    """The file, which appears whole or not at all."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(content)
    beside.replace(path)
    return path
