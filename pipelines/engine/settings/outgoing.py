"""[exports.NAME] and [reports.NAME] of town.toml: what is written out by itself, how often, where to, and for whom."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.engine.model import Table
from pipelines.engine.settings.document import Document, choice

EXPORT_KEYS = ("table", "period", "format", "ward", "to", "keep", "tell")
REPORT_KEYS = ("kind", "languages", "wards", "to", "keep", "tell")
PERIODS = ("day", "week", "month")
FORMATS = ("csv", "parquet", "xlsx", "json", "ndjson")
# Which period each report is of.
REPORTS: Mapping[str, str] = {"council": "month", "operations": "day"}
KEPT = {"day": 31, "week": 26, "month": 24}
NAME = re.compile(r"[a-z0-9_]+\Z")
REGISTERS = ("readings", "kpis", "wards", "assets", "sensors")


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One export or report that is written each period; `tell` names the receiver who gets it by mail."""

    name: str
    kind: str
    period: str
    to: Path
    keep: int
    tell: str = ""
    table: str = ""
    form: str = "csv"
    ward: str = ""
    languages: tuple[str, ...] = ()
    wards: bool = False


def read_outgoing(
    document: Document, raw: Mapping[str, Any], town: Path, *, tables: Iterable[Table], receivers: Collection[str],
    languages: tuple[str, ...],
) -> tuple[Outgoing, ...]:  # fmt: skip
    """What [exports] and [reports] declare."""
    reading = _Reading(document, town, receivers)
    known = {*REGISTERS, *(table.name for table in tables)}
    exports = [reading.export(name, one, known) for name, one in reading.sections(raw, "exports")]
    reports = [reading.report(name, one, languages) for name, one in reading.sections(raw, "reports")]
    return (*exports, *reports)


class _Reading:
    """Reads one section after the other; what is wrong goes to the document."""

    def __init__(self, document: Document, town: Path, receivers: Collection[str]) -> None:
        self._document, self._town, self._receivers = document, town, receivers

    def sections(self, raw: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
        found = raw.get(key, {})
        for name in found:
            if not NAME.match(name):
                words = f"`{name}` becomes part of file names: only small letters, digits and _ are possible."
                self._document.wrong(f"{key}.{name}", None, words)
        return [(name, one) for name, one in found.items() if NAME.match(name)]

    def export(self, name: str, raw: Mapping[str, Any], tables: Collection[str]) -> Outgoing:
        section = f"exports.{name}"
        self._only(section, raw, EXPORT_KEYS)
        table = raw.get("table")
        if table not in tables:
            self._document.unknown(section, str(table), tables, at="table")
        period = choice(self._document, section, raw, "period", PERIODS, PERIODS[0])
        form = choice(self._document, section, raw, "format", FORMATS, FORMATS[0])
        common = self._common(section, raw, period)
        return Outgoing(
            name=name, kind="export", table=str(table), form=form, ward=str(raw.get("ward", "")), **common
        )  # fmt: skip

    def report(self, name: str, raw: Mapping[str, Any], spoken: tuple[str, ...]) -> Outgoing:
        section = f"reports.{name}"
        self._only(section, raw, REPORT_KEYS)
        kind = choice(self._document, section, raw, "kind", tuple(REPORTS), "council")
        wanted = raw.get("languages", list(spoken))
        if not wanted or not set(wanted) <= set(spoken):
            self._document.wrong(
                section, "languages", f"`languages = {wanted!r}`: choose among those of [town]: {', '.join(spoken)}."
            )
            wanted = list(spoken)
        common = self._common(section, raw, REPORTS[kind])
        wards = raw.get("wards", False)
        return Outgoing(name=name, kind=kind, languages=tuple(wanted), wards=wards, **common)

    def _common(self, section: str, raw: Mapping[str, Any], period: str) -> dict[str, Any]:
        to, keep, tell = raw.get("to"), raw.get("keep", KEPT[period]), raw.get("tell", "")
        if to is None or not to.strip():
            self._document.wrong(section, "to", 'name a folder, for example `to = "/srv/townboard/reports"`.')
            to = "."
        if not isinstance(keep, int) or isinstance(keep, bool) or keep < 1:
            self._document.wrong(section, "keep", f"`keep = {keep!r}` must be a whole number above 0.")
            keep = KEPT[period]
        if tell and tell not in self._receivers:
            self._document.unknown(section, tell, self._receivers, at="tell")
        return {"period": period, "to": self._town / to, "keep": keep, "tell": tell}

    def _only(self, section: str, raw: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
        for key in set(raw) - set(allowed):
            self._document.unknown(section, key, allowed)
