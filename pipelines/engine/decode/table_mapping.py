"""The words of a feed's mapping and what may stand behind them; docs/mappings.md explains them to the clerk."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from pipelines.engine.decode.clock import EPOCHS, format_fault, seconds, zone_known
from pipelines.engine.decode.figures import THOUSANDS
from pipelines.engine.decode.table_sheet import columns_in
from pipelines.engine.decode.text import ENCODINGS
from pipelines.engine.model import KINDS
from pipelines.engine.units import UnitError, require_unit

Rule = tuple[Callable[[Any], bool], str]

FORMATS = ("csv", "xlsx", "json", "ndjson", "parquet")
ENGINE_KEYS = ("format", "table", "zone", "feed", "kinds", "fields", "known", "dated")
KINDS_OF_READINGS = {"sensor": "text", "observed_at": "instant", "value": "number", "unit": "text"}


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**6


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < abs(value) < 1e15


def _words(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(word, (str, int, float)) for word in value)


def _texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(_text(item) for item in value)


def _letter(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1 and value.isprintable() and not value.isalnum()


def _one_of(*choices: str) -> Rule:
    return (lambda value: isinstance(value, str) and value in choices), f"one of {', '.join(map(repr, choices))}"


def _hours(value: Any) -> bool:
    if not _text(value) or "%H" not in value:
        return False
    try:
        heading = datetime(2024, 1, 1, 13).strftime(value)  # noqa: DTZ001 only its text is used
        return datetime.strptime(heading, value).hour == 13  # noqa: DTZ007
    except ValueError:
        return False


TEXT: Rule = (_text, 'text, for example "Date"')
COUNT: Rule = (_count, "a whole number, 0 or more")
NUMBER: Rule = (_number, "a number other than 0")
FLAG: Rule = ((lambda value: isinstance(value, bool)), "true or false")
ANY_TEXT: Rule = ((lambda value: isinstance(value, (str, int, float))), "a text or a number")
TABLE: Rule = ((lambda value: isinstance(value, Mapping) and bool(value)), "a table, as in { a = 1 }")

SHEET_KEYS: dict[str, Rule] = {
    "max_mb": ((lambda value: _number(value) and value > 0), "a number of megabytes above 0"),
    "missing": (_words, 'a list of words, for example ["NA", "-200"]'),
    "decimal": _one_of(".", ","),
    "thousands": _one_of(*THOUSANDS),
}
GRID_KEYS: dict[str, Rule] = {"header": FLAG, "skip_before": COUNT, "skip_after": COUNT}
FORMAT_KEYS: dict[str, dict[str, Rule]] = {
    "csv": GRID_KEYS
    | {
        "delimiter": (
            lambda value: value == "\t" or _letter(value),
            'one character, for example ";" or "\\t"',
        ),
        "quote": ((lambda value: value == "" or _letter(value)), 'one character, or "" for none'),
        "encoding": _one_of(*ENCODINGS),
        "comment": TEXT,
    },
    "xlsx": GRID_KEYS | {"sheet": TEXT},
    "json": {"records": TEXT},
    "ndjson": {},
    "parquet": {},
}
READING_KEYS: dict[str, Rule] = {
    "time": ((lambda value: _text(value) or isinstance(value, Mapping)), 'a column\'s name or { column = "...", ... }'),
    "labels": _one_of("start", "end"),
    "interval": ((lambda value: _text(value) and bool(seconds(value))), "a length such as 15 min, 1 h or 1 day"),
    "sensor": (_text, 'text such as "{meter}" or "{City}:{column}"'),
    "unit": (_text, 'a unit such as "kW", or "{Unit}" for a column'),
    "factor": NUMBER,
    "value": TEXT,
    "values": (
        (lambda value: _texts(value) or (isinstance(value, Mapping) and bool(value))),
        "a list or table of columns",
    ),
    "hours": (_hours, 'the form of the headings of the hours, for example "%H:%M"'),
}
TIME_KEYS: dict[str, Rule] = {
    "column": TEXT,
    "columns": (_texts, "a list of columns' names"),
    "format": (_text, 'a form such as "%d/%m/%Y %H:%M"'),
    "epoch": _one_of(*EPOCHS),
    "zone": ((lambda value: _text(value) and zone_known(value)), 'a zone such as "Europe/Rome" or "+01:00"'),
}
VALUE_KEYS: dict[str, Rule] = {"sensor": TEXT, "unit": TEXT, "factor": NUMBER}
COLUMN_KEYS: dict[str, Rule] = TIME_KEYS | {
    "value": ANY_TEXT,
    "map": TABLE,
    "default": ANY_TEXT,
    "factor": NUMBER,
    "kind": _one_of(*KINDS),
    "optional": FLAG,
}


def check_mapping(mapping: Mapping[str, Any], columns: Mapping[str, str]) -> list[str]:
    """Sentences on what is wrong with a mapping, none when it can be used.

    `columns`: canonical name -> kind of the target table.
    """
    return faults(mapping, columns)


def faults(mapping: Mapping[str, Any], columns: Mapping[str, str] | None) -> list[str]:
    """The same when the table's columns may be unknown (None): then every canonical name passes."""
    form = mapping.get("format")
    if form not in FORMATS:
        return [f"format = {form!r} has no mapping. A mapping belongs to one of {', '.join(FORMATS)}."]
    zone = mapping.get("zone")
    found = [] if not zone or (_text(zone) and zone_known(zone)) else [_not_a_zone(zone)]
    readings = mapping.get("table", "readings") == "readings"
    shape = READING_KEYS if readings else {"columns": TABLE}
    found += against(mapping, SHEET_KEYS | FORMAT_KEYS[form] | shape, "mapping", ENGINE_KEYS)
    if mapping.get("thousands") and mapping["thousands"] == mapping.get("decimal", "."):
        found.append(f"mapping: decimal and thousands are both {mapping['thousands']!r}. They must differ.")
    if found:
        return found
    return _readings(mapping) if readings else _events(mapping, columns)


def _not_a_zone(zone: Any) -> str:
    return f'zone = {zone!r} is no time zone. Write one such as "Europe/Rome", "Asia/Kolkata" or "+05:30".'


def against(found: Mapping[str, Any], allowed: Mapping[str, Rule], where: str, more: Iterable[str] = ()) -> list[str]:
    """Sentences on unknown keys and values of the wrong kind."""
    words = []
    for key, value in found.items():
        if key in allowed:
            holds, kind = allowed[key]
            if not holds(value):
                words.append(f"{where}: {key} = {value!r} is not possible. Write {kind}.")
        elif key not in more:
            words.append(f"{where}: {key!r} is not known here. Allowed: {', '.join(sorted(allowed))}.")
    return words


def time_faults(rule: Any, where: str) -> list[str]:
    """Sentences on what is wrong with a time: a column's name, or a table of TIME_KEYS."""
    if isinstance(rule, str):
        return []
    words = against(rule, TIME_KEYS, where)
    return words or [*_source(rule, where), *_form(rule, where)]


def _source(rule: Mapping[str, Any], where: str, *also: str) -> list[str]:
    """Exactly one way to say where a value comes from."""
    ways = ("column", "columns", *also)
    given = [way for way in ways if way in rule]
    return [] if len(given) == 1 else [f"{where}: write exactly one of {', '.join(ways)}."]


def _form(rule: Mapping[str, Any], where: str) -> list[str]:
    if "format" in rule and "epoch" in rule:
        return [f"{where}: a time has either a format or an epoch."]
    fault = format_fault(rule["format"]) if "format" in rule else None
    return [f"{where}: format = {rule['format']!r} cannot be used: {fault}."] if fault else []


def _readings(mapping: Mapping[str, Any]) -> list[str]:
    words = time_faults(mapping.get("time", "observed_at"), "mapping.time")
    shapes = [key for key in ("value", "values", "hours") if key in mapping]
    if len(shapes) > 1:
        words.append(f"mapping: {' and '.join(shapes)} exclude each other. Write one of value, values, hours.")
    if mapping.get("labels") == "end" and "interval" not in mapping:
        words.append('mapping: labels = "end" needs the length that the label ends, for example interval = "1 h".')
    if "{column}" in mapping.get("sensor", "") and "values" not in mapping:
        words.append("mapping.sensor: {column} stands for a heading listed under values; this mapping has no values.")
    words += unit_faults(mapping.get("unit"), "mapping.unit")
    values = mapping.get("values")
    for name, detail in values.items() if isinstance(values, Mapping) else ():
        where = f"mapping.values.{name}"
        if isinstance(detail, Mapping):
            words += against(detail, VALUE_KEYS, where) or unit_faults(detail.get("unit"), where)
        elif not _text(detail):
            words.append(f'{where} = {detail!r} is not possible. Write a sensor or {{ sensor = "...", unit = "..." }}.')
    return words


def unit_faults(unit: str | None, where: str) -> list[str]:
    """A sentence when nobody knows this unit; one with columns in braces is known only when rows come."""
    if unit is None or columns_in(unit):
        return []
    try:
        require_unit(unit)
    except UnitError as error:
        return [f"{where}: {error}."]
    return []


def _events(mapping: Mapping[str, Any], columns: Mapping[str, str] | None) -> list[str]:
    words = []
    for name, rule in mapping.get("columns", {}).items():
        where = f"mapping.columns.{name}"
        if columns is not None and name not in columns:
            words.append(f"{where}: the table {mapping.get('table')} has no such column. It has {', '.join(columns)}.")
        elif isinstance(rule, Mapping):
            words += against(rule, COLUMN_KEYS, where) or [*_source(rule, where, "value"), *_form(rule, where)]
            words += _worded(rule, where)
        elif not _text(rule):
            words.append(f'{where} = {rule!r} is not possible. Write a column\'s name or {{ column = "...", ... }}.')
    return words


def _worded(rule: Mapping[str, Any], where: str) -> list[str]:
    words = rule.get("map", {})
    if isinstance(words, Mapping) and not all(isinstance(word, (str, int, float)) for word in words.values()):
        return [f'{where}: map turns words into words, for example map = {{ "Closed" = "closed" }}.']
    return []
