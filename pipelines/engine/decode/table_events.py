"""A sheet -> rows of an event table: each canonical column from one of the file's, from several, or a constant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from pipelines.engine.decode.base import ROW, Refusal
from pipelines.engine.decode.clock import clock_of, clock_readings, instants
from pipelines.engine.decode.figures import Figures, words_only
from pipelines.engine.decode.table_sheet import Sheet, as_text, columns_in, filled, require, tidy, without_words
from pipelines.engine.decode.table_words import displaced_time, no_number, unreadable_time

OTHERWISE = "*"
TIME_KEYS = {"format", "epoch", "zone"}


@dataclass(frozen=True)
class EventsPlan:
    """What a mapping says about an event table; `lenient` for records that leave out fields they have no value for."""

    mapping: Mapping[str, Any]
    lenient: bool = False

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """Canonical name -> kind, as the engine handed it over."""
        return self.mapping.get("kinds") or {}

    def rules(self, headings: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Canonical name -> rule; without `columns` in the mapping, the headings that are canonical names."""
        declared = self.mapping.get("columns")
        if declared is None:
            names = [name for name in headings if name != ROW and name.isidentifier()]
            declared = {name: name for name in names if not self.kinds or name in self.kinds}
        return {name: {"column": rule} if isinstance(rule, str) else dict(rule) for name, rule in declared.items()}

    @property
    def expected(self) -> list[str]:
        """The headings that the mapping names, for telling the delimiter."""
        rules = self.rules(()) or {name: {"column": name} for name in self.kinds}
        return [name for rule in rules.values() for name in _sources(rule)]

    @property
    def named(self) -> set[str]:
        """The columns that the mapping names, or takes without being told."""
        return set(self.expected)

    def pick(self, headings: Sequence[str]) -> list[str]:
        """The columns to read.

        Raises Refused when one that the mapping needs is missing.
        """
        rules = self.rules(headings)
        if not rules:
            require(list(self.kinds) or ["a column with a canonical name"], headings)
        every = [name for rule in rules.values() for name in _sources(rule)]
        found = [name for name in every if name in headings]
        spared = [name for rule in rules.values() if rule.get("optional") for name in _sources(rule)]
        if not (self.lenient and (found or not every)):
            require([name for name in every if name not in spared], headings)
        return list(dict.fromkeys(found))

    def kind(self, name: str, rule: Mapping[str, Any]) -> str:
        """The kind of a canonical column."""
        known = rule.get("kind") or self.kinds.get(name)
        return known or ("instant" if TIME_KEYS & set(rule) else "number" if "factor" in rule else "text")


def _sources(rule: Mapping[str, Any]) -> list[str]:
    if "value" in rule:
        return columns_in(str(rule["value"]))
    return [tidy(name) for name in rule.get("columns") or [rule["column"]]]


def read_events(sheet: Sheet, plan: EventsPlan) -> tuple[pl.DataFrame, tuple[Refusal, ...]]:
    """The table's rows under canonical names plus `_row`, and the rows that are none."""
    frame = without_words(sheet.frame, words_only(plan.mapping.get("missing", ())))
    rules = plan.rules(frame.columns)
    absent = {name for rule in rules.values() for name in _sources(rule)} - set(frame.columns)
    frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in sorted(absent))
    columns, faults = [frame[ROW]], []
    for name, rule in rules.items():
        values, fault = _column(frame, name, rule, plan, sheet.dated)
        columns.append(values.alias(name))
        if fault is not None and fault["reason"].is_not_null().any():
            faults.append(fault)
    table = pl.DataFrame(columns)
    if not faults:
        return table, ()
    first = pl.DataFrame(
        {ROW: frame[ROW]}
        | {f"reason{i}": fault["reason"] for i, fault in enumerate(faults)}
        | {f"detail{i}": fault["detail"] for i, fault in enumerate(faults)}
    ).select(ROW, reason=pl.coalesce("^reason.*$"), detail=pl.coalesce("^detail.*$"))
    bad = first["reason"].is_not_null()
    return table.filter(~bad), sheet.set_aside(first.filter(bad))


def _column(
    frame: pl.DataFrame, name: str, rule: Mapping[str, Any], plan: EventsPlan, dated: bool
) -> tuple[pl.Series, pl.DataFrame | None]:
    """One canonical column, and per row `reason` and `detail` where it cannot be read."""
    kind = plan.kind(name, rule)
    if kind in ("instant", "day") and "value" not in rule and not {"map", "default"} & set(rule):
        return _time(frame, rule, plan, kind, dated)
    cells = _worded(_cells(frame, rule), rule)
    if kind in ("instant", "day"):
        there = {**rule, "column": "cell", "columns": None}
        return _time(pl.DataFrame({"cell": cells}), there, plan, kind, dated)
    if kind in ("number", "integer"):
        return _number(cells, name, rule, plan, kind)
    return as_text(cells), None


def _cells(frame: pl.DataFrame, rule: Mapping[str, Any]) -> pl.Series:
    if "value" in rule:
        return filled(frame, str(rule["value"]))
    names = _sources(rule)
    if len(names) == 1:
        return frame[names[0]]
    texts = pl.DataFrame([as_text(frame[name]) for name in names])
    return texts.select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True).replace("", None)).to_series()


def _worded(cells: pl.Series, rule: Mapping[str, Any]) -> pl.Series:
    """The cells after the mapping's `map` (other words stay, unless it has "*") and `default` (for empty cells)."""
    words = rule.get("map")
    if words:
        known = {str(word): str(meant) for word, meant in words.items() if word != OTHERWISE}
        texts = as_text(cells)
        other = pl.lit(str(words[OTHERWISE])) if OTHERWISE in words else pl.col("cell")
        meant = pl.col("cell").replace_strict(known, default=other, return_dtype=pl.String)
        cells = pl.DataFrame({"cell": texts}).select(pl.when(pl.col("cell").is_not_null()).then(meant)).to_series()
    if "default" in rule:
        cells = as_text(cells).fill_null(str(rule["default"]))
    return cells


def _time(
    frame: pl.DataFrame, rule: Mapping[str, Any], plan: EventsPlan, kind: str, dated: bool
) -> tuple[pl.Series, pl.DataFrame]:
    clock = clock_of(rule, plan.mapping.get("zone"))
    read = clock_readings(frame, clock, dated)
    at, reason = instants(read, clock.zone)
    if kind == "day":
        day = _local_day(read, clock.zone)
        at, reason = day, pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
    fault = read.with_columns(reason=reason).with_columns(
        reason=pl.when(pl.col("text").is_not_null() & pl.col("naive").is_null())
        .then(pl.lit("unreadable_time"))
        .otherwise("reason")
    )
    unread = pl.when(pl.col("reason") == "unreadable_time").then(unreadable_time(clock, "text"))
    words = unread.when(pl.col("reason").is_not_null()).then(displaced_time(clock, "text", "reason"))
    return at, fault.select("reason", detail=words)


def _local_day(read: pl.DataFrame, zone: str | None) -> pl.Series:
    """The date that was written; a time with its own offset gives the date on the zone's clock."""
    local = pl.col("naive")
    if zone and "/" in zone:
        there = pl.col("naive").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
        local = pl.when("fixed").then(there).otherwise("naive")
    return read.select(local.dt.date().alias("day")).to_series()


def _number(
    cells: pl.Series, name: str, rule: Mapping[str, Any], plan: EventsPlan, kind: str
) -> tuple[pl.Series, pl.DataFrame]:
    values, faulty = Figures.of(plan.mapping).numbers(cells)
    values = values * rule.get("factor", 1.0)
    if kind == "integer":
        faulty = faulty | (values != values.round()).fill_null(False)
        values = _whole(cells, values, rule)
    source = " and ".join(_sources(rule)) or name
    words = no_number("raw", pl.lit(source), plan.mapping)
    frame = pl.DataFrame({"raw": as_text(cells), "faulty": faulty})
    reason = pl.when("faulty").then(pl.lit("unreadable_number"))
    return values, frame.select(reason=reason, detail=pl.when("faulty").then(words))


def _whole(cells: pl.Series, values: pl.Series, rule: Mapping[str, Any]) -> pl.Series:
    """Whole numbers in full: a float would lose the last digits of a long identifier."""
    rounded = values.cast(pl.Int64, strict=False)
    exact = cells.cast(pl.Int64, strict=False)
    if "factor" in rule:
        return rounded
    both = pl.DataFrame({"exact": exact, "rounded": rounded})
    return both.select(
        pl.when(pl.col("rounded").abs() < 2**53).then("rounded").otherwise("exact").alias("n")
    ).to_series()
