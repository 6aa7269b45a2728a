"""The Parquet files at rest: sorted, small, durable before they are named; readings as multiples of their resolution.

A reading's value stands as `units` (a whole number) and `scale` (1, 10, 100, ...): value = units / scale, exactly, as
any engine computes it. Values that are no multiple of a decimal step keep their column `value`.
"""

import json
import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from pipelines.engine import manifest as manifests
from pipelines.engine.calendar import earliest, latest
from pipelines.engine.journal import sync_folder
from pipelines.engine.manifest import Part
from pipelines.engine.model import INSTANT, Table

ROW_GROUP = 122_880
ZSTD_LEVEL = 6
SCALES = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
# Whole numbers beyond this are not all exact in a float.
MOST_UNITS = 2**53
UNITS = {"units": pl.Int64(), "scale": pl.Float64()}


@dataclass(frozen=True)
class Pass:
    """The compaction pass that writes: its revision, and the last frame applied before it and by it."""

    rev: int
    before: int
    applied: int


def write(folder: Path, name: str, frame: pl.DataFrame, table: Table | None, done: Pass) -> Part:
    """Write one Parquet file beside, make it durable and rename it into place. Rollups have no table."""
    part = _described(name, frame, table)
    about = {"rows": part.rows, "low": _text(part.low), "high": _text(part.high), **vars(done)}
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    _write(scaled(frame) if table is not None and table.name == "readings" else frame, beside, about)
    with beside.open("rb+") as file:
        raw = file.read()
        os.fsync(file.fileno())
    beside.rename(path)
    sync_folder(path.parent)
    return replace(part, size=len(raw), crc=zlib.crc32(raw))


def _write(frame: pl.DataFrame, path: Path, about: dict[str, object]) -> None:
    rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    delta = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) or name == "units"]
    pq.write_table(
        rows.replace_schema_metadata({manifests.ABOUT: json.dumps(about)}),
        path,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        row_group_size=ROW_GROUP,
        use_dictionary=[column for column in frame.columns if column not in delta],
        column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
    )


def _described(name: str, frame: pl.DataFrame, table: Table | None) -> Part:
    at = (table.time if table else "observed_at") or ""
    if not at:
        return Part(name, frame.height, None, None)
    instants = frame[at].cast(INSTANT) if frame.schema[at] == pl.Date else frame[at]
    return Part(name, frame.height, earliest(instants), latest(instants))


def _text(at: object) -> str | None:
    return str(at) if at is not None else None


def scaled(readings: pl.DataFrame) -> pl.DataFrame:
    """Readings with `units` and `scale` in place of `value`, for each series the coarsest step that is exact."""
    value = pl.col("value")
    fits = [_fits(value, scale).all().over("series").alias(str(scale)) for scale in SCALES]
    steps = [pl.when(pl.col(str(scale))).then(pl.lit(scale)) for scale in SCALES]
    marked = readings.with_columns(fits).with_columns(scale=pl.coalesce(steps))
    exact = pl.col("scale").is_not_null()
    units = (value * pl.col("scale")).round().cast(pl.Int64)
    return marked.with_columns(
        units=pl.when(exact).then(units),
        value=pl.when(~exact).then(value),
        scale=pl.when(value.is_not_null()).then("scale"),
    ).drop(map(str, SCALES))


def _fits(value: pl.Expr, scale: float) -> pl.Expr:
    """Whether a value is exactly a whole number of steps; a zero with a sign, and no number at all, are none."""
    units = (value * scale).round()
    same = (units / scale == value) & (units.abs() < MOST_UNITS) & ~((value == 0) & (1 / value < 0))
    return same.fill_null(value=True)


def read(path: Path) -> pl.DataFrame:
    """The rows of a file as they were handed to `write`.

    Raises polars' errors when the file is damaged.
    """
    found = pl.read_parquet(path)
    if "units" not in found.columns:
        return found
    columns = [name for name in found.columns if name not in UNITS]
    return found.with_columns(value=pl.coalesce("value", pl.col("units") / pl.col("scale"))).select(columns)
