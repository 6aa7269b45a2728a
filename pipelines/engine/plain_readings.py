"""Readings in which nothing is odd, checked by looking up integers: nearly all that ever come."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.model import INSTANT
from pipelines.engine.tables import GOOD, MISSING

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """What the register says of each sensor, by its place: what turns its unit into the quantity's, and the range."""

    places: Mapping[str, int]
    factor: Numbers
    offset: Numbers
    low: Numbers
    high: Numbers

    @classmethod
    def of(cls, sensors: pl.DataFrame) -> "Bounds":
        """Shape: sensor, factor, offset, low, high."""
        low, high = sensors["low"].fill_null(-np.inf), sensors["high"].fill_null(np.inf)
        places = {sensor: place for place, sensor in enumerate(sensors["sensor"])}
        return cls(places, sensors["factor"].to_numpy(), sensors["offset"].to_numpy(), low.to_numpy(), high.to_numpy())

    def in_unit(self, place: NDArray[Any], given: Numbers) -> Numbers:
        """Values in the unit of their quantity."""
        factor, offset = self.factor[place], self.offset[place]
        exact = (factor == 1.0) & (offset == 0.0)
        return given if exact.all() else np.where(exact, given, given * factor + offset)


def all_good(frame: pl.DataFrame, bounds: Bounds, earliest: datetime, latest: datetime) -> pl.DataFrame | None:
    """The readings as validation gives them when all are good; None when one is odd in any way.

    It leaves the thread pool alone, which the KPIs of a beat may keep busy: nobody who waits to be answered waits for
    them. Shape: sensor, observed_at, value, quality.
    """
    kinds = {"sensor": pl.String(), "observed_at": INSTANT, "value": pl.Float64()}
    unit = "unit" in frame.columns and frame["unit"].null_count() < frame.height
    if unit or not frame.height or any(frame.schema.get(name) != kind for name, kind in kinds.items()):
        return None
    places = list(map(bounds.places.get, frame["sensor"].to_list()))
    at = frame["observed_at"]
    if None in places or at.null_count() or not earliest <= at.min() <= at.max() <= latest:  # type: ignore[operator]
        return None
    place, missing = np.array(places), frame["value"].is_null()
    value = bounds.in_unit(place, frame["value"].to_numpy())
    fits = (value >= bounds.low[place]) & (value <= bounds.high[place]) & np.isfinite(value)
    if not (fits | missing.to_numpy()).all():
        return None
    values = pl.Series("value", value)
    return pl.DataFrame([
        frame["sensor"], at, values.set(missing, None) if missing.any() else values,
        pl.Series("quality", np.where(missing.to_numpy(), MISSING, GOOD).astype(np.uint8)),
    ])  # fmt: skip
