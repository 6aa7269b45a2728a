"""The mapping of a feed of devices' messages: which numbers become readings, of which sensor, in which unit."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl

from pipelines.engine.decode.base import Refused
from pipelines.engine.decode.clock import Clock, clock_of, clock_readings, instants
from pipelines.engine.decode.table_mapping import (
    COLUMN_KEYS,
    ENGINE_KEYS,
    READING_KEYS,
    SHEET_KEYS,
    TEXT,
    VALUE_KEYS,
    against,
    time_faults,
    unit_faults,
)  # fmt: skip
from pipelines.engine.decode.table_sheet import BRACES, tidy

FORMATS = ("chirpstack", "things_stack", "sparkplug")
SENSORS = {
    "chirpstack": "{device}.{column}", "things_stack": "{device}.{column}", "sparkplug": "{edge}/{column}",
}  # fmt: skip
KEYS = {
    **{name: READING_KEYS[name] for name in ("sensor", "unit", "factor", "time", "values")},
    "missing": SHEET_KEYS["missing"],
    "battery": TEXT,
}
DETAIL_KEYS = VALUE_KEYS | {"map": COLUMN_KEYS["map"]}
# A LoRaWAN frame has at most 242 bytes and a machine a few hundred tags: more is no device's message.
MOST_VALUES = 10_000
DEPTH = 12
UNIT = "unit"


@dataclass(frozen=True)
class Wanted:
    """One number to read: the sensor's name before its braces are filled, its unit, and what its words stand for.

    `named`: the mapping names this very field, so that text in it is meant.
    """

    sensor: str
    unit: str | None
    factor: float
    words: Mapping[str, float]
    named: bool


@dataclass(frozen=True)
class DevicePlan:
    """What a mapping says about messages of devices; without `values`, every number is a reading."""

    mapping: Mapping[str, Any]

    @property
    def battery(self) -> str:
        """The field that holds the battery's charge in percent."""
        return str(self.mapping.get("battery", "battery"))

    @cached_property
    def clock(self) -> Clock | None:
        """Where the device writes its own time, if the mapping says that it does."""
        rule = self.mapping.get("time")
        return clock_of(rule, self.mapping.get("zone")) if rule else None

    def wanted(self, path: str) -> Wanted | None:
        """How the field of this path is read; None when it is none of the mapping's."""
        if not self._listed:
            return None if path == self.battery else self._one({}, named=False)
        if path in self._listed:
            return self._one(self._listed[path], named=True)
        for pattern, detail in self._patterns:
            if pattern.fullmatch(path):
                return self._one(detail, named="map" in detail)
        return None

    @cached_property
    def _listed(self) -> dict[str, Mapping[str, Any]]:
        values = self.mapping.get("values") or {}
        details = values if isinstance(values, Mapping) else {name: {} for name in values}
        return {
            tidy(name): {"sensor": detail} if isinstance(detail, str) else detail for name, detail in details.items()
        }

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], Mapping[str, Any]]]:
        return [
            (re.compile(".*".join(re.escape(part) for part in name.split("*"))), detail)
            for name, detail in self._listed.items()
            if "*" in name
        ]

    def _one(self, detail: Mapping[str, Any], *, named: bool) -> Wanted:
        own = {**self.mapping, **detail}
        sensor = own.get("sensor", SENSORS[self.mapping["format"]])
        return Wanted(sensor, own.get(UNIT), own.get("factor", 1.0), detail.get("map", {}), named)

    def number(self, value: Any, wanted: Wanted) -> float | None:
        """The value as a number, None where it says "missing".

        Raises ValueError when the mapping names the field and it is neither.
        """
        missing = self.mapping.get("missing", ())
        if value is None or value in missing or str(value) in missing:
            return None
        if _word(value) in wanted.words:
            return float(wanted.words[_word(value)])
        if isinstance(value, str) and "_" in value:
            raise ValueError(value)
        number = float(value) * wanted.factor
        if not math.isfinite(number):
            raise ValueError(value)
        return number

    def own_time(self, values: Mapping[str, Any]) -> datetime | None:
        """When the device says that it measured; None when the mapping or this message has no such time.

        Raises Refused when it cannot be read.
        """
        if self.clock is None or any(values.get(name) is None for name in self.clock.columns):
            return None
        cells = pl.DataFrame({name: [_word(values[name])] for name in self.clock.columns})
        read = clock_readings(cells, self.clock)
        at: datetime | None = instants(read, self.clock.zone)[0][0]
        if at is None:
            found = " ".join(cells.row(0))[:60]
            raise Refused(
                "unreadable_time",
                f"The device's own time {found!r} (under {', '.join(self.clock.columns)}) cannot be read; it should "
                f"look like {self.clock.example}. Correct `time` in the feed's mapping, or the device's clock.",
            )
        return at


def filled(template: str, fields: Mapping[str, str]) -> str | None:
    """The text with its braces filled in; None where one of them is unknown."""
    if any(not fields.get(name) for name in BRACES.findall(template)):
        return None
    return BRACES.sub(lambda found: fields[found[1]], template)


def fields_of(document: Any, before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Path and value of every plain value in nested objects and lists; nothing deeper than DEPTH is read."""
    if depth > DEPTH:
        return
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        path = tidy(f"{before}{key}")
        if isinstance(value, (dict, list)):
            yield from fields_of(value, f"{path}.", depth + 1)
        else:
            yield path, value


def reads_as_number(value: Any) -> bool:
    """Whether this is a number or yes and no."""
    return isinstance(value, (bool, int, float))


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def check_devices(mapping: Mapping[str, Any]) -> list[str]:
    """Sentences on what is wrong with the mapping of such a feed, none when it can be used."""
    words = against(mapping, KEYS, "mapping", ENGINE_KEYS)
    if words:
        return words
    words = time_faults(mapping["time"], "mapping.time") if "time" in mapping else []
    words += unit_faults(mapping.get(UNIT), "mapping.unit")
    values = mapping.get("values")
    for name, detail in values.items() if isinstance(values, Mapping) else ():
        where = f"mapping.values.{name}"
        if isinstance(detail, Mapping):
            words += against(detail, DETAIL_KEYS, where) or unit_faults(detail.get(UNIT), where)
            words += _words_of(detail.get("map", {}), where)
        elif not (isinstance(detail, str) and detail.strip()):
            words.append(f'{where} = {detail!r} is not possible. Write a sensor or {{ sensor = "...", unit = "..." }}.')
    return words


def _words_of(words: Any, where: str) -> list[str]:
    if isinstance(words, Mapping) and not all(reads_as_number(number) for number in words.values()):
        return [f"{where}: map turns words into numbers, for example map = {{ open = 1, closed = 0 }}."]
    return []
