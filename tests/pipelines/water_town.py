"""A hand-made water town: three district metered areas in two wards, and the frames that KPI functions are handed."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.model import INSTANT
from pipelines.water.tables import DMAS, TANKS

ROME = "Europe/Rome"
ASSETS = pl.DataFrame(
    [
        ("D1", "dma", "W1", None),
        ("D2", "dma", "W1", None),
        ("D3", "dma", "W2", None),
        ("P1", "pressure_point", "W1", "D1"),
        ("P2", "pressure_point", "W1", "D2"),
        ("P3", "pressure_point", "W2", "D3"),
        ("P4", "pressure_point", "W2", "D3"),
        ("T1", "tank", "W1", None),
        ("T2", "tank", "W2", None),
    ],
    schema=["asset", "kind", "ward", "parent"],
    orient="row",
).with_columns(domain=pl.lit("water"), name="asset", lat=pl.lit(0.0), lon=pl.lit(0.0))


def dmas(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The reference, columns not written empty."""
    return pl.DataFrame(rows, schema=DMAS.schema)


def tanks(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The reference."""
    return pl.DataFrame(rows, schema=TANKS.schema)


def sensors(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    """The register from (sensor, asset, quantity, every_s)."""
    frame = pl.DataFrame(
        list(rows),
        schema={"sensor": pl.String, "asset": pl.String, "quantity": pl.String, "every_s": pl.Float64},
        orient="row",
    )
    return frame.join(ASSETS.select("asset", "kind", "ward"), on="asset", how="left", maintain_order="left")


def at(text: str, zone: str = "UTC") -> datetime:
    """The instant that a clock in this zone shows."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))


def windows(*spans: tuple[str, str], zone: str = "UTC", as_of: str | None = None) -> pl.DataFrame:
    """Windows from local start and end; `as_of` cuts them short."""
    rows = [(at(start, zone), at(end, zone)) for start, end in spans]
    frame = pl.DataFrame(rows, schema={"window": INSTANT, "end": INSTANT}, orient="row")
    now = pl.lit(at(as_of, zone)).cast(INSTANT) if as_of else pl.col("end")
    return frame.with_columns(as_of=pl.min_horizontal("end", now))


def readings(*rows: tuple[str, str, datetime, float | None]) -> pl.DataFrame:
    """Readings from (sensor, asset, observed_at, value)."""
    schema = {"sensor": pl.String, "asset": pl.String, "observed_at": INSTANT, "value": pl.Float64}
    frame = pl.DataFrame(list(rows), schema=schema, orient="row")
    return frame.join(ASSETS.select("asset", "kind", "ward"), on="asset", how="left", maintain_order="left")


def series(
    sensor: str, asset: str, start: datetime, minutes: int, values: list[float | None]
) -> list[tuple[str, str, datetime, float | None]]:
    """Readings of one sensor at a steady pace."""
    return [(sensor, asset, start + timedelta(minutes=minutes * i), value) for i, value in enumerate(values)]


def rolled(*rows: tuple[str, str, datetime, int, float, float]) -> pl.DataFrame:
    """A rollup from (sensor, asset, start, n, expected, sum)."""
    schema = {
        "sensor": pl.String,
        "asset": pl.String,
        "observed_at": INSTANT,
        "n": pl.Int64,
        "expected": pl.Float64,
        "sum": pl.Float64,
    }
    frame = pl.DataFrame(list(rows), schema=schema, orient="row")
    return frame.join(ASSETS.select("asset", "kind", "ward"), on="asset", how="left", maintain_order="left")


def values(frame: pl.DataFrame, scale: float = 1.0) -> dict[tuple[str, str], float | None]:
    """(start as text, area) -> value, the way the engine divides."""
    if "value" not in frame.columns:
        quotient = pl.col("numerator") / pl.col("denominator") * scale
        frame = frame.with_columns(value=pl.when(pl.col("denominator") != 0).then(quotient))
    keys = zip(frame["window"].dt.strftime("%m-%dT%H:%M"), frame["area"], strict=True)
    return dict(zip(keys, frame["value"], strict=True))
