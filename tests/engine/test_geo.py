"""Wards from places: holes, parts, borders that cross themselves; and two real towns' wards."""

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.engine.geo import Wards

SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
HOLE = [[1, 1], [3, 1], [3, 3], [1, 3], [1, 1]]
FAR = [[10, 10], [11, 10], [11, 11], [10, 11], [10, 10]]


def shapes(**wards: tuple[str, Any]) -> dict[str, Any]:
    features = [
        {
            "type": "Feature",
            "properties": {"ward": ward},
            "geometry": kind and {"type": kind, "coordinates": coordinates},
        }
        for ward, (kind, coordinates) in wards.items()
    ]
    return {"type": "FeatureCollection", "features": features}


def at(wards: Wards, *points: tuple[float | None, float | None]) -> list[str | None]:
    """The wards of (longitude, latitude) pairs."""
    lon, lat = zip(*points, strict=True)
    return wards.locate(pl.Series(lat, dtype=pl.Float64), pl.Series(lon, dtype=pl.Float64)).to_list()


def test_hole_belongs_to_nobody_and_a_part_apart_to_its_ward() -> None:
    wards = Wards(shapes(A=("Polygon", [SQUARE, HOLE]), B=("MultiPolygon", [[HOLE[:3] + [HOLE[0]]], [FAR]])))
    assert at(wards, (0.5, 0.5), (1.2, 2.5), (2.5, 1.2), (10.5, 10.5), (20, 20), (None, 1)) == [
        "A", None, "B", "B", None, None,
    ]  # fmt: skip
    assert wards.faults == []


def test_border_that_crosses_itself_is_mended_told_and_stops_nothing() -> None:
    bow_tie = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
    wards = Wards(shapes(A=("Polygon", [bow_tie]), B=("Polygon", [FAR])))
    assert at(wards, (0.2, 1.0), (1.8, 1.0), (1.0, 0.2), (10.5, 10.5)) == ["A", "A", None, "B"]
    assert wards.faults == ["the border of ward A crosses itself; it was mended for looking up places"]


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (None, "is not readable as GeoJSON"),
        (("Blob", []), "is not readable as GeoJSON"),
        (("Polygon", [[[0, 0], [1, 1]]]), "is not readable as GeoJSON"),
        (("Polygon", [["a", "b"]]), "is not readable as GeoJSON"),
        (("Polygon", []), "is empty"),
        (("MultiPolygon", []), "is empty"),
        (("Point", [1, 1]), "is a Point that encloses nothing"),
        (("Polygon", [[[0, 0], [1, 0], [0, 0], [0, 0]]]), "is a Polygon that encloses nothing"),
    ],
)
def test_ward_without_a_usable_border_is_named_and_the_others_serve(geometry: Any, words: str) -> None:
    collection = shapes(A=geometry or (None, None), B=("Polygon", [FAR]))
    wards = Wards(collection)
    assert at(wards, (10.5, 10.5), (0.5, 0.5)) == ["B", None]
    assert [feature["properties"]["ward"] for feature in wards.collection["features"]] == ["B"]
    (fault,) = wards.faults
    assert fault.startswith(f"the border of ward A {words}")
    assert "Export its border again" in fault


def test_shape_without_properties_is_of_no_known_ward() -> None:
    feature = {"type": "Feature", "properties": None, "geometry": {"type": "Polygon", "coordinates": [FAR]}}
    wards = Wards({"type": "FeatureCollection", "features": [feature]}, {"A"})
    assert wards.faults == ["shape 1 of wards.geojson has the ward ``, which is not in wards.csv"]


def crossings(lon: float, lat: float, ring: list[list[float]]) -> int:
    """How often a ray to the east crosses a ring: odd inside, even outside."""
    count = 0
    for (x1, y1, *_), (x2, y2, *_) in pairwise(ring):
        if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) / (y2 - y1) * (x2 - x1):
            count += 1
    return count


@pytest.mark.parametrize("town", ["Bodh_Gaya_Wards", "Kishangarh_Wards"])
def test_wards_of_a_real_town_are_found_as_rays_find_them(recorded: Path, town: str) -> None:
    collection = json.loads((recorded / "boundaries" / f"{town}.geojson").read_text("utf-8"))
    for feature in collection["features"]:
        feature["properties"]["ward"] = str(feature["properties"]["Ward_No"])
    rings = [(f["properties"]["ward"], f["geometry"]["coordinates"]) for f in collection["features"]]
    edges = [point for _, own in rings for ring in own for point in ring]
    low = [min(point[axis] for point in edges) for axis in (0, 1)]
    high = [max(point[axis] for point in edges) for axis in (0, 1)]
    dice = random.Random(4)
    points = [(dice.uniform(low[0], high[0]), dice.uniform(low[1], high[1])) for _ in range(400)]
    wards = Wards(collection)
    told = 0
    for (lon, lat), found in zip(points, at(wards, *points), strict=True):
        inside = {ward for ward, own in rings if sum(crossings(lon, lat, ring) for ring in own) % 2}
        assert (found in inside) if inside else found is None, (lon, lat, found, inside)
        told += found is not None
    assert told > 100
