"""Where things are: twelve irregular wards on both banks of the Nadi, and places within them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import cos, pi, radians, sin
from typing import Any

from pipelines.demo.chance import stream, uniform

Point = tuple[float, float]

LAT, LON = 22.312, 76.848
WIDTH_M, HEIGHT_M = 5200.0, 4300.0
STEPS = 48
RIVER_CURVE = 2
# Height of each east-west curve (0 = north edge) and how much of the town's width it spans.
CURVES = ((0.00, 0.62), (0.27, 0.94), (0.53, 1.00), (0.77, 0.90), (1.00, 0.58))
# Where the wards of each row meet, in 48ths of the row.
ROWS = ((0, 17, 31, 48), (0, 13, 24, 37, 48), (0, 15, 33, 48), (0, 26, 48))


@dataclass(frozen=True)
class Ward:
    """A ward of the town and its outline (longitude, latitude), closed."""

    ward: str
    name: str
    population: int
    character: str
    row: int
    west: int
    east: int
    outline: tuple[Point, ...]

    @property
    def households(self) -> int:
        """Households at the town's mean of 4.6 persons."""
        return round(self.population / 4.6)


# name, population, character; in the order of the rows above, west to east.
_WARDS = (
    ("Vidya Vihar", 4820, "residential"),
    ("Kila Pahar", 3960, "residential"),
    ("Udyog Nagar", 3310, "industrial"),
    ("Shanti Nagar", 5870, "residential"),
    ("Purana Bazaar", 6940, "commercial"),
    ("Gandhi Chowk", 6120, "commercial"),
    ("Station Road", 5240, "residential"),
    ("Ghat Mohalla", 4410, "residential"),
    ("Nadi Par", 5630, "residential"),
    ("Aspatal Marg", 4270, "silence"),
    ("Naya Basti", 6080, "residential"),
    ("Krishi Upaj", 3350, "commercial"),
)


def _jitter(seed: int, name: str, position: int) -> float:
    return float(uniform(stream(seed, f"geography {name}"), position)) * 2.0 - 1.0


def _metres(seed: int, curve: int, step: int) -> Point:
    """A vertex of an east-west curve in metres east and south of the town's north-west corner."""
    height, span = CURVES[curve]
    share = step / STEPS
    meander = 150.0 if curve == RIVER_CURVE else 55.0
    phase = _jitter(seed, "phase", curve) * pi
    south = height * HEIGHT_M + meander * sin(2.2 * pi * share + phase) + 26.0 * _jitter(seed, f"south {curve}", step)
    east = WIDTH_M * (0.5 + (share - 0.5) * span) + 14.0 * _jitter(seed, f"east {curve}", step)
    if curve in (0, len(CURVES) - 1):
        south += (1 if curve else -1) * 180.0 * sin(pi * share)
    return east, south


def _to_degrees(point: Point) -> Point:
    """Longitude and latitude of a point in metres."""
    east, south = point
    lat = LAT + (HEIGHT_M / 2 - south) / 111_320.0
    lon = LON + (east - WIDTH_M / 2) / (111_320.0 * cos(radians(LAT)))
    return round(lon, 6), round(lat, 6)


def _border(seed: int, row: int, step: int) -> list[Point]:
    """The inner vertices of the border between two wards of a row, north to south."""
    (x0, y0), (x1, y1) = _metres(seed, row, step), _metres(seed, row + 1, step)
    shares = [k / 8 for k in range(1, 8)]
    name = f"border {row} {step}"
    return [
        (x0 + (x1 - x0) * s + 60.0 * sin(pi * s) * _jitter(seed, name, k), y0 + (y1 - y0) * s)
        for k, s in enumerate(shares)
    ]


def _outline(seed: int, row: int, west: int, east: int) -> tuple[Point, ...]:
    ring = [_metres(seed, row, step) for step in range(west, east + 1)]
    ring += _border(seed, row, east)
    ring += [_metres(seed, row + 1, step) for step in range(east, west - 1, -1)]
    ring += reversed(_border(seed, row, west))
    return tuple(_to_degrees(point) for point in [*ring, ring[0]])


@cache
def wards(seed: int) -> tuple[Ward, ...]:
    """The twelve wards, north-west to south-east."""
    places = [(r, w, e) for r, cuts in enumerate(ROWS) for w, e in itertools.pairwise(cuts)]
    return tuple(
        Ward(f"W{n:02d}", name, population, character, row, west, east, _outline(seed, row, west, east))
        for n, ((name, population, character), (row, west, east)) in enumerate(zip(_WARDS, places, strict=True), 1)
    )


def ward_named(seed: int, ward: str) -> Ward:
    """The ward with this id."""
    return next(w for w in wards(seed) if w.ward == ward)


def spot(seed: int, across: float, down: float) -> Point:
    """Longitude and latitude of a place on the town's grid: `across` 0..1 from west, `down` 0..4 in rows from north."""
    row = min(int(down), len(CURVES) - 2)
    step = across * STEPS
    left = min(int(step), STEPS - 1)

    def on_curve(curve: int) -> Point:
        (x0, y0), (x1, y1) = _metres(seed, curve, left), _metres(seed, curve, left + 1)
        return x0 + (x1 - x0) * (step - left), y0 + (y1 - y0) * (step - left)

    (x0, y0), (x1, y1) = on_curve(row), on_curve(row + 1)
    return _to_degrees((x0 + (x1 - x0) * (down - row), y0 + (y1 - y0) * (down - row)))


def contains(outline: tuple[Point, ...], lon: float, lat: float) -> bool:
    """Whether the point lies inside the ring (even-odd rule)."""
    inside = False
    for (x0, y0), (x1, y1) in itertools.pairwise(outline):
        if (y0 > lat) != (y1 > lat) and lon < (x1 - x0) * (lat - y0) / (y1 - y0) + x0:
            inside = not inside
    return inside


def point_in(seed: int, ward: str, name: str, number: int = 0) -> Point:
    """A place inside the ward (longitude, latitude), fixed by name and number."""
    area = ward_named(seed, ward)
    of = stream(seed, f"place {ward} {name}")
    for attempt in range(40):
        at = number * 100 + attempt * 2
        across = (area.west + (area.east - area.west) * (0.05 + 0.9 * float(uniform(of, at)))) / STEPS
        lon, lat = spot(seed, across, area.row + 0.05 + 0.9 * float(uniform(of, at + 1)))
        if contains(area.outline, lon, lat):
            return lon, lat
    return spot(seed, (area.west + area.east) / 2 / STEPS, area.row + 0.5)


def ward_at(seed: int, lon: float, lat: float) -> str:
    """The ward that holds the point, or the empty text outside the town."""
    return next((w.ward for w in wards(seed) if contains(w.outline, lon, lat)), "")


def _features(seed: int) -> Iterator[dict[str, Any]]:
    for area in wards(seed):
        shape = {"type": "Polygon", "coordinates": [[list(p) for p in reversed(area.outline)]]}
        yield {"type": "Feature", "properties": {"ward": area.ward, "name": area.name}, "geometry": shape}


def geojson(seed: int) -> dict[str, Any]:
    """The wards as a GeoJSON feature collection (RFC 7946: outer rings run counter-clockwise)."""
    return {"type": "FeatureCollection", "features": list(_features(seed))}
