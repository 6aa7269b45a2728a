"""Ward borders: which ward a point lies in."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import shapely
from shapely.geometry import shape


class Wards:
    """The ward shapes of a town: GeoJSON as it came, and a spatial index over its polygons.

    `faults` names polygons that could not be used as they are, in words.
    """

    def __init__(self, collection: Mapping[str, Any], known: set[str] | None = None) -> None:
        self.collection: Mapping[str, Any] = collection or {"type": "FeatureCollection", "features": []}
        self.faults: list[str] = []
        shapes, ids = [], []
        for position, feature in enumerate(self.collection["features"], 1):
            ward = str(feature.get("properties", {}).get("ward", ""))
            if known is not None and ward not in known:
                self.faults.append(
                    f"shape {position} of wards.geojson has the ward `{ward}`, which is not in wards.csv"
                )
                continue
            polygon = shape(feature["geometry"])
            if not polygon.is_valid:
                self.faults.append(f"the border of ward {ward} crosses itself; it was mended for looking up places")
                polygon = shapely.make_valid(polygon)
            shapes.append(polygon)
            ids.append(ward)
        self.ids = np.array(ids, dtype=object)
        self._tree = shapely.STRtree(shapes)

    def locate(self, lat: pl.Series, lon: pl.Series) -> pl.Series:
        """The ward of each point, null where it lies in none. A point on a border belongs to the first ward listed."""
        found = np.full(len(lat), None, dtype=object)
        usable = (lat.is_not_null() & lon.is_not_null()).to_numpy()
        if len(self.ids) and usable.any():
            points = shapely.points(lon.filter(pl.Series(usable)).to_numpy(), lat.filter(pl.Series(usable)).to_numpy())
            at, which = self._tree.query(points, predicate="intersects")
            order = np.lexsort((which, at))[::-1]
            positions = np.flatnonzero(usable)
            found[positions[at[order]]] = self.ids[which[order]]
        return pl.Series("ward", found.tolist(), dtype=pl.String)

    def place(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with missing wards filled from `lat` and `lon`."""
        if not len(self.ids) or frame.is_empty() or not frame["ward"].is_null().any():
            return frame
        return frame.with_columns(ward=pl.coalesce("ward", self.locate(frame["lat"], frame["lon"])))
