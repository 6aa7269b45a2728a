"""The Parquet files at rest: sorted, small, durable before they are named; readings as multiples of their resolution.

A reading's value stands as `units` (a whole number) and `scale` (1, 10, 100, ...): value = units / scale, exactly, as
any engine computes it. Values that are no multiple of a decimal step keep their column `value`.
"""

import json
import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

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
    value = readings["value"]
    # NumPy divides as IEEE 754 says; Polars multiplies by 1 / scale, which is another number now and then.
    numbers = value.fill_null(0.0).to_numpy()
    fits = {str(scale): pl.Series(_fits(numbers, scale)) | value.is_null() for scale in SCALES}
    marked = readings.with_columns(**fits).with_columns(pl.col(name).all().over("series") for name in fits)
    steps = [pl.when(pl.col(name)).then(pl.lit(scale)) for name, scale in zip(fits, SCALES, strict=True)]
    given = marked.select(pl.when(pl.col("value").is_not_null()).then(pl.coalesce(steps)).alias("scale"))["scale"]
    exact = given.is_not_null()
    whole = np.rint(np.where(exact.to_numpy(), numbers, 0.0) * given.fill_null(0.0).to_numpy())
    return readings.with_columns(
        value=value.set(exact, None),
        units=pl.Series(whole).cast(pl.Int64).set(~exact, None),
        scale=given,
    )


def _fits(values: NDArray[np.float64], scale: float) -> NDArray[np.bool_]:
    """Which values are exactly a whole number of steps; a zero with a sign is none."""
    with np.errstate(over="ignore", invalid="ignore"):
        units = np.rint(values * scale)
        whole: NDArray[np.bool_] = (units / scale == values) & (np.abs(units) < MOST_UNITS)
    return whole & ~((values == 0) & np.signbit(values))


def read(path: Path) -> pl.DataFrame:
    """The rows of a file as they were handed to `write`.

    Raises polars' errors when the file is damaged.
    """
    found = pl.read_parquet(path)
    if "units" not in found.columns:
        return found
    columns = [name for name in found.columns if name not in UNITS]
    units, scale = found["units"].fill_null(0).to_numpy(), found["scale"].fill_null(1.0).to_numpy()
    values = pl.Series(units / scale).set(found["units"].is_null(), None)
    return found.with_columns(value=found["value"].zip_with(found["units"].is_null(), values)).select(columns)
