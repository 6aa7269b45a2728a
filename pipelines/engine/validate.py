"""Rows to keep, rows to quarantine, and a reason in words for each."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.decode import Decoded
from pipelines.engine.decode.base import ROW
from pipelines.engine.model import INSTANT, KINDS, Table
from pipelines.engine.plain_readings import SENSOR, all_good
from pipelines.engine.registers import Registers
from pipelines.engine.settings import Feed
from pipelines.engine.tables import GOOD, MISSING, REFUSED
from pipelines.engine.units import UnitError, conversion

CLOCK_NOT_SET = datetime(2000, 1, 1, tzinfo=UTC)
REASON, DETAIL = "_reason", "_detail"
NOTHING_REFUSED = pl.DataFrame(schema=REFUSED)
Fault = tuple[pl.Expr, str, pl.Expr]


@dataclass(frozen=True)
class Checked:
    """One payload after validation: good rows by table in declared columns, and quarantine rows.

    Shape: readings have SENSOR (a place in the register) instead of `series`; the quarantine frame tables.REFUSED.
    `rows` gives the place in the payload of each good row.
    """

    good: Mapping[str, pl.DataFrame]
    refused: pl.DataFrame
    rows: Mapping[str, pl.Series]


def check(
    decoded: Decoded,
    feed: Feed,
    tables: Mapping[str, Table],
    registers: Registers,
    received_at: datetime,
    tolerance_s: float,
) -> Checked:
    """Sort a decoded payload into rows to keep and rows to set aside; every row ends in exactly one of both."""
    latest = received_at + timedelta(seconds=tolerance_s)
    good: dict[str, pl.DataFrame] = {}
    rows: dict[str, pl.Series] = {}
    refused = [_decoder_refusals(decoded, feed, received_at)]
    for name, frame in decoded.tables.items():
        plain = all_good(frame, registers.bounds, CLOCK_NOT_SET, latest) if name == "readings" else None
        if plain is not None:
            good[name], rows[name] = plain, frame[ROW]
            continue
        if name == "readings":
            read, faults = _readings(frame, registers, latest)
            columns = [SENSOR, "observed_at", "value", "quality"]
        elif name in tables:
            read, faults = _rows(frame, tables[name], registers, latest)
            columns = [c.name for c in tables[name].columns]
        else:
            read, faults = frame, [_foreign(name)]
            columns = []
        kept, bad = _parted(read, faults)
        if kept.height:
            good[name], rows[name] = kept.select(columns), kept[ROW]
        refused.append(_quarantine(bad, name, decoded, feed, received_at))
    return Checked(good, pl.concat(refused) if len(refused) > 1 else refused[0], rows)


def quarantine_id(feed: str, row: int, reason: str, original: bytes) -> str:
    """The same row refused for the same reason by the same feed is one row of the quarantine."""
    return hashlib.blake2b(b"%s|%d|%s|" % (feed.encode(), row, reason.encode()) + original, digest_size=12).hexdigest()


def refusal(feed: str, received_at: datetime, reason: str, detail: str, payload: bytes) -> pl.DataFrame:
    """The quarantine row of a payload that could not be read at all."""
    row = (quarantine_id(feed, 0, reason, payload), feed, received_at, None, 0, reason, detail, payload, None)
    return pl.DataFrame([row], schema=REFUSED, orient="row")


def _decoder_refusals(decoded: Decoded, feed: Feed, received_at: datetime) -> pl.DataFrame:
    if not decoded.refused:
        return NOTHING_REFUSED
    rows = [
        (
            quarantine_id(feed.name, r.row, r.reason, r.original), feed.name, received_at, r.table or None, r.row,
            r.reason, r.detail, r.original, None,
        )
        for r in decoded.refused
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=REFUSED, orient="row")


def _quarantine(marked: pl.DataFrame, table: str, decoded: Decoded, feed: Feed, received_at: datetime) -> pl.DataFrame:
    rows = []
    for row, reason, detail in marked.select(ROW, REASON, DETAIL).iter_rows():
        original = decoded.original(row)
        rows.append(
            (
                quarantine_id(feed.name, row, reason, original),
                feed.name,
                received_at,
                table,
                row,
                reason,
                detail,
                original,
                None,
            )
        )
    return pl.DataFrame(rows, schema=REFUSED, orient="row")


def _parted(frame: pl.DataFrame, faults: list[Fault]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows without a fault, and those that have one with their first as `_reason` and `_detail`.

    The words are made for the second alone: to spell them out for rows that are kept costs more than all the checks.
    """
    flags = [f"_fault_{place}" for place in range(len(faults))]
    found = frame.with_columns(
        when.fill_null(value=False).alias(flag) for flag, (when, _, _) in zip(flags, faults, strict=True)
    )
    faulty = found.select(pl.any_horizontal(pl.lit(value=False), *flags).alias("_"))["_"]
    reasons = [pl.when(flag).then(pl.lit(reason)) for flag, (_, reason, _) in zip(flags, faults, strict=True)]
    details = [pl.when(flag).then(words) for flag, (_, _, words) in zip(flags, faults, strict=True)]
    nothing = pl.lit(None, pl.String)
    bad = found.filter(faulty).with_columns(
        pl.coalesce(*reasons, nothing).alias(REASON), pl.coalesce(*details, nothing).alias(DETAIL)
    )
    return frame.filter(~faulty) if bad.height else frame, bad


def _clock_faults(column: str, latest: datetime) -> list[Fault]:
    at = pl.col(column)
    shown = at.dt.strftime("%Y-%m-%d %H:%M:%S UTC")
    future = "the time {} lies in the future. Check the clock of the device or the time zone of the feed."
    ancient = "the time {} lies before 2000: the clock of the device was never set. Set it or let it fetch the time."
    return [
        (at.is_null(), "no_time", pl.lit("the row has no time. Every row needs the moment it was measured.")),
        (at > latest, "from_the_future", pl.format(future, shown)),
        (at < CLOCK_NOT_SET, "clock_not_set", pl.format(ancient, shown)),
    ]


def _readings(frame: pl.DataFrame, registers: Registers, latest: datetime) -> tuple[pl.DataFrame, list[Fault]]:
    """Readings beside what the register says of their sensors, in the quantity's unit; and what may be wrong."""
    if "unit" not in frame.columns:
        frame = frame.with_columns(unit=pl.lit(None, pl.String))
    known = registers.sensors.select("sensor", "quantity", "factor", "offset", "low", "high")
    known = known.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).alias(SENSOR))
    frame = frame.with_columns(
        pl.col("sensor").cast(pl.String), _given="value", value=pl.col("value").cast(pl.Float64, strict=False)
    ).join(known, on="sensor", how="left", maintain_order="left")
    frame = _convert(frame, registers)
    value, low, high = pl.col("value"), pl.col("low"), pl.col("high")
    number = value.round(6).cast(pl.String)
    unit = pl.col("quantity").replace_strict(
        {q.name: q.unit for q in registers.quantities.values()}, default="", return_dtype=pl.String
    )
    beyond = "{} {} is {} the possible {} {}. Check the sensor and the unit it reports in."
    unknown = "the sensor `{}` is not in sensors.csv. Add it there, then replay this row."
    no_fit = pl.format(
        "the unit `{}` does not fit: {} is kept in {}.", pl.col("unit").fill_null(""), pl.col("quantity"), unit
    )
    given = pl.col("_given").cast(pl.String)
    unreadable = pl.col("_given").is_not_null() & value.is_null() & ~pl.col("_bad_unit")
    unusable = pl.format("`{}` is not a number that can be used.", given)
    faults: list[Fault] = [
        (pl.col("sensor").is_null(), "no_sensor", pl.lit("the row names no sensor.")),
        (pl.col("quantity").is_null(), "unknown_sensor", pl.format(unknown, "sensor")),
        *_clock_faults("observed_at", latest),
        (unreadable, "unreadable_number", pl.format("`{}` is not a number.", given)),
        (value.is_nan() | value.is_infinite(), "unreadable_number", unusable),
        (pl.col("_bad_unit"), "unit", no_fit),
        (value > high, "out_of_range", pl.format(beyond, number, unit, pl.lit("above"), high.cast(pl.String), unit)),
        (value < low, "out_of_range", pl.format(beyond, number, unit, pl.lit("below"), low.cast(pl.String), unit)),
    ]  # fmt: skip
    quality = pl.when(value.is_null()).then(MISSING).otherwise(GOOD).cast(pl.UInt8)
    return frame.with_columns(quality=quality, observed_at=pl.col("observed_at").cast(INSTANT)), faults


def _convert(frame: pl.DataFrame, registers: Registers) -> pl.DataFrame:
    """Values in the unit of their quantity; `_bad_unit` where the unit measures something else."""
    if frame["unit"].null_count() == frame.height:
        frame = frame.with_columns(_bad_unit=pl.lit(value=False))
        return _in_unit(frame, pl.col("factor"), pl.col("offset"))
    pairs = frame.select("quantity", "unit").unique().drop_nulls()
    rows: list[tuple[str, str, float | None, float | None, bool]] = []
    for name, unit in pairs.iter_rows():
        try:
            quantity = registers.quantities[name]
            rows.append(
                (name, unit, *conversion(unit, quantity.unit, quantity.molar_mass, registers.gas_temperature_c), False)
            )
        except UnitError:
            rows.append((name, unit, None, None, True))
    table = pl.DataFrame(
        rows,
        schema={
            "quantity": pl.String,
            "unit": pl.String,
            "_factor": pl.Float64,
            "_offset": pl.Float64,
            "_bad_unit": pl.Boolean,
        },
        orient="row",
    )
    frame = frame.join(table, on=["quantity", "unit"], how="left", maintain_order="left")
    frame = frame.with_columns(_bad_unit=pl.col("_bad_unit").fill_null(value=False))
    return _in_unit(frame, pl.coalesce("_factor", "factor"), pl.coalesce("_offset", "offset"))


def _in_unit(frame: pl.DataFrame, factor: pl.Expr, offset: pl.Expr) -> pl.DataFrame:
    exact = (factor == 1.0) & (offset == 0.0)
    return frame.with_columns(value=pl.when(exact).then("value").otherwise(pl.col("value") * factor + offset))


def _rows(
    frame: pl.DataFrame, table: Table, registers: Registers, latest: datetime
) -> tuple[pl.DataFrame, list[Fault]]:
    """Rows in the table's columns and kinds, and what may be wrong with them."""
    faults: list[Fault] = []
    casts: dict[str, Any] = {}
    for column in table.columns:
        kind = KINDS[column.kind]
        name = column.name
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, kind).alias(name))
        elif frame.schema[name] != kind:
            before = pl.col(f"_as_text_{name}")
            frame = frame.with_columns(pl.col(name).cast(pl.String, strict=False).alias(f"_as_text_{name}"))
            casts[name] = _cast(name, frame.schema[name], kind)
            words = pl.format(f"column {name}: `{{}}` is no {_WORDS.get(column.kind, column.kind)}.", before)
            faults.append((before.is_not_null() & pl.col(name).is_null(), f"unreadable_{column.kind}", words))
    frame = frame.with_columns(**casts)
    if table.located:
        frame = registers.shapes.place(frame)
    for column in table.columns:
        value = pl.col(column.name)
        if column.required or column.name == table.time or column.name in table.key:
            faults.append((value.is_null(), "missing", pl.lit(f"column {column.name} is empty. {column.meaning}")))
        if column.choices:
            allowed = ", ".join(column.choices)
            words = pl.format(f"column {column.name}: `{{}}` is none of {allowed}.", value)
            faults.append((~value.is_in(column.choices), "not_allowed", words))
        if column.low is not None:
            words = pl.format(
                f"column {column.name}: {{}} is below the possible {column.low:g}.", value.cast(pl.String)
            )
            faults.append((value < column.low, "out_of_range", words))
        if column.high is not None:
            words = pl.format(
                f"column {column.name}: {{}} is above the possible {column.high:g}.", value.cast(pl.String)
            )
            faults.append((value > column.high, "out_of_range", words))
    if table.time and KINDS[next(c.kind for c in table.columns if c.name == table.time)] == INSTANT:
        faults += _clock_faults(table.time, latest)
    faults += [(~rule.holds, rule.name, pl.lit(rule.words)) for rule in table.checks]
    return frame, faults


_WORDS = {"integer": "whole number", "number": "number", "flag": "yes or no", "instant": "point in time", "day": "date"}


def _cast(name: str, found: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    if isinstance(found, pl.String) and isinstance(wanted, pl.Boolean):
        return (
            pl.col(name)
            .str.to_lowercase()
            .replace_strict(
                {"true": True, "yes": True, "1": True, "y": True, "false": False, "no": False, "0": False, "n": False},
                default=None,
                return_dtype=pl.Boolean,
            )
        )
    if isinstance(found, pl.String) and isinstance(wanted, pl.Datetime):
        return pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if isinstance(found, pl.String) and isinstance(wanted, pl.Date):
        return pl.col(name).str.to_date(strict=False)
    if isinstance(found, pl.String) and isinstance(wanted, pl.Int64):
        return pl.col(name).str.strip_chars().cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
    return pl.col(name).cast(wanted, strict=False)


def _foreign(name: str) -> Fault:
    """What is wrong with every row for a table of a domain that is switched off."""
    words = f"the table {name} belongs to a domain that is not switched on in town.toml."
    return pl.lit(value=True), "domain_off", pl.lit(words)
