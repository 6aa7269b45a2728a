"""Readings in which nothing is odd, checked by looking up integers: nearly all that ever come."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.decode.plain_columns import coded
from pipelines.engine.model import INSTANT
from pipelines.engine.tables import GOOD, MISSING

Numbers = NDArray[np.float64]
Places = NDArray[np.int32]
# A reading that passed names its sensor by its place in the register.
SENSOR = "_sensor"


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

    def places_of(self, sensors: pl.Series) -> Places | None:
        """The places of these sensors, each name looked up once; None when one is null or not in the register."""
        named = coded(sensors)
        if named is None:
            return None
        found = list(map(self.places.get, named[0]))
        return None if None in found else np.array(found, np.int32)[named[1]]

    def in_unit(self, place: NDArray[Any], given: Numbers) -> Numbers:
        """Values in the unit of their quantity."""
        factor, offset = self.factor[place], self.offset[place]
        exact = (factor == 1.0) & (offset == 0.0)
        return given if exact.all() else np.where(exact, given, given * factor + offset)


def all_good(frame: pl.DataFrame, bounds: Bounds, earliest: datetime, latest: datetime) -> pl.DataFrame | None:
    """The readings as validation gives them when all are good; None when one is odd in any way.

    It leaves the thread pool alone, which the KPIs of a beat may keep busy: nobody who waits to be answered waits for
    them. Shape: SENSOR, observed_at, value, quality.
    """
    kinds = {"sensor": pl.String(), "observed_at": INSTANT, "value": pl.Float64()}
    unit = "unit" in frame.columns and frame["unit"].null_count() < frame.height
    if unit or not frame.height or any(frame.schema.get(name) != kind for name, kind in kinds.items()):
        return None
    place, at = bounds.places_of(frame["sensor"]), frame["observed_at"]
    if place is None or at.null_count() or not earliest <= at.min() <= at.max() <= latest:  # type: ignore[operator]
        return None
    missing = frame["value"].is_null()
    value = bounds.in_unit(place, frame["value"].to_numpy())
    fits = (value >= bounds.low[place]) & (value <= bounds.high[place]) & np.isfinite(value)
    if not (fits | missing.to_numpy()).all():
        return None
    values = pl.Series("value", value)
    return pl.DataFrame([
        pl.Series(SENSOR, place), at, values.set(missing, None) if missing.any() else values,
        pl.Series("quality", np.where(missing.to_numpy(), MISSING, GOOD).astype(np.uint8)),
    ])  # fmt: skip
