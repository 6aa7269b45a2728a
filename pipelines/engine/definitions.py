"""The version of a town's definitions: it changes when a formula, a tuning, a unit or a column does, and only then."""

import hashlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import orjson

from pipelines.engine.model import Column, Kpi, Reference, Table
from pipelines.engine.settings import Settings

# Words about a figure may be put better without the figure becoming another one.
WORDS_ONLY = ("plain", "owner", "headline", "title")


def version(settings: Settings, tables: Iterable[Table | Reference]) -> str:
    """Ten digits that stand for all definitions of this town as tuned."""
    found = {
        "kpis": [_told(kpi) for kpi in settings.kpis],
        "tuning": {kpi: _plain(values) for kpi, values in settings.tuning.items()},
        "tables": [[table.name, [_column(column) for column in table.columns]] for table in tables],
        "pack": settings.pack,
        "zone": settings.zone,
    }
    return hashlib.sha256(orjson.dumps(found, option=orjson.OPT_SORT_KEYS)).hexdigest()[:10]


def _told(kpi: Kpi) -> dict[str, str]:
    """A KPI by its declaration, with the text of its function instead of where that lies in memory."""
    told = {one.name: repr(getattr(kpi, one.name)) for one in fields(kpi) if one.name not in WORDS_ONLY}
    return {**told, "function": _source(kpi.function), "tunables": repr(_plain(kpi.tunables))}


def _source(function: Any) -> str:
    return inspect.getsource(inspect.unwrap(function))


def _plain(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in sorted(values.items())}


def _column(column: Column) -> list[str]:
    return [column.name, column.kind, column.unit or "", column.meaning]
