"""Ward borders: which ward a point lies in."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

EMPTY: Mapping[str, Any] = {"type": "FeatureCollection", "features": []}
# Around 110 m: a stretch of a street, not a house. What is finer is personal.
STREET_DECIMALS = 3
AREAS = ("Polygon", "MultiPolygon")


class Wards:
    """The ward shapes of a town: GeoJSON of those that can be used, and a spatial index over their polygons.

    `faults` names shapes that could not be used as they are, in words: they stop nothing.
    """

    def __init__(self, collection: Mapping[str, Any], known: set[str] | None = None) -> None:
        self.faults: list[str] = []
        features, shapes, ids = [], [], []
        for position, feature in enumerate((collection or EMPTY)["features"], 1):
            ward = str((feature.get("properties") or {}).get("ward", ""))
            if known is not None and ward not in known:
                self.faults.append(
                    f"shape {position} of wards.geojson has the ward `{ward}`, which is not in wards.csv"
                )
                continue
            usable = self._usable(ward, feature)
            if usable is not None:
                polygon, mended = usable
                features.append(mended)
                shapes.append(polygon)
                ids.append(ward)
        self.collection: Mapping[str, Any] = {**(collection or EMPTY), "features": features}
        self.ids = np.array(ids, dtype=object)
        self._tree = shapely.STRtree(shapes)

    def _usable(self, ward: str, feature: Mapping[str, Any]) -> tuple[BaseGeometry, Mapping[str, Any]] | None:
        """The polygon of a ward and its feature, mended where it had to be; None when it encloses nothing."""
        try:
            polygon = shape(feature["geometry"])
            whole = polygon if polygon.is_valid else _areas(shapely.make_valid(polygon))
        except (ValueError, LookupError, TypeError, AttributeError, ShapelyError) as error:
            self._leave_out(ward, f"is not readable as GeoJSON ({error or type(error).__name__})")
            return None
        if whole.is_empty or whole.geom_type not in AREAS:
            kind = "empty" if polygon.is_empty else f"a {polygon.geom_type} that encloses nothing"
            self._leave_out(ward, f"is {kind}")
            return None
        if whole is polygon:
            return polygon, feature
        self.faults.append(f"the border of ward {ward} crosses itself; it was mended for looking up places")
        return whole, {**feature, "geometry": mapping(whole)}

    def _leave_out(self, ward: str, what: str) -> None:
        self.faults.append(
            f"the border of ward {ward} {what}; the ward is not on the map and no place is found in it by its "
            "coordinates. Export its border again as GeoJSON (WGS 84)"
        )

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


def _areas(mended: BaseGeometry) -> BaseGeometry:
    """The polygons of a mended shape, without the lines and points into which some of it fell."""
    parts = [part for part in getattr(mended, "geoms", [mended]) if part.geom_type in AREAS]
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)
