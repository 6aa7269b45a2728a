"""Readings of the last minutes before now, for values that are a state and not a sum."""

import polars as pl
from polars import DataFrame as Frame

from pipelines.engine.measures import in_windows


def recent(frame: Frame, windows: Frame, minutes: int) -> Frame:
    """The readings of the last `minutes` before each window's `as_of`, that instant left out.

    Shape: the frame's columns and `window`. The KPI's lookback must be as long.
    """
    spans = windows.select("window", start=pl.col("as_of") - pl.duration(minutes=minutes), end="as_of")
    looked = in_windows(frame, spans.select(pl.col("start").alias("window"), "end"))
    return looked.rename({"window": "start"}).join(spans, on="start").drop("start", "end")
