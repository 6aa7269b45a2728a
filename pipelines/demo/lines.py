"""The bus network: nine lines along invented roads, their stops, and how often they run."""

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from math import atan2, ceil, cos, degrees, hypot, radians

from pipelines.demo.geography import LAT, Point, spot, ward_at, ward_named

SPEED_M_S = 4.6
SPACING_M = 430.0
SHARED_M = 170.0
SERVICES = ("weekday", "saturday", "sunday")


@dataclass(frozen=True)
class Route:
    """A line as planned: its way over the town's grid, minutes between buses per service, first and last hour."""

    line: str
    name: str
    color: str
    way: tuple[Point, ...]
    headways: tuple[int, int, int]
    first_h: float
    last_h: float


ROUTES = (
    Route(
        "1",
        "Station - Bazaar - Aspatal",
        "C62828",
        ((0.93, 1.5), (0.75, 1.55), (0.62, 1.45), (0.42, 1.5), (0.45, 2.0), (0.55, 2.5), (0.78, 2.45), (0.92, 2.7)),
        (9, 10, 12),
        4.5,
        25.5,
    ),
    Route(
        "2",
        "Vidya Vihar - Gandhi Chowk - Krishi Upaj",
        "1565C0",
        ((0.1, 0.4), (0.3, 0.8), (0.5, 1.2), (0.62, 1.6), (0.62, 2.2), (0.7, 3.2), (0.82, 3.6)),
        (20, 30, 40),
        5.5,
        22.5,
    ),
    Route(
        "3",
        "Kila Pahar - Bazaar - Naya Basti",
        "2E7D32",
        ((0.5, 0.15), (0.48, 0.8), (0.4, 1.4), (0.42, 2.1), (0.35, 2.8), (0.22, 3.7)),
        (15, 20, 20),
        4.5,
        25.5,
    ),
    Route(
        "4",
        "Udyog Nagar - Station - Ghat",
        "EF6C00",
        ((0.9, 0.3), (0.85, 1.0), (0.88, 1.5), (0.6, 1.6), (0.38, 1.7), (0.3, 2.1), (0.1, 2.5)),
        (20, 30, 40),
        5.5,
        22.5,
    ),
    Route(
        "5",
        "Shanti Nagar - Bazaar - Station",
        "6A1B9A",
        ((0.04, 1.3), (0.2, 1.6), (0.38, 1.4), (0.6, 1.75), (0.8, 1.3), (0.95, 1.7)),
        (30, 30, 40),
        5.5,
        22.5,
    ),
    Route(
        "6",
        "Ghat - Nadi Par - Krishi Upaj",
        "00838F",
        ((0.06, 2.3), (0.3, 2.4), (0.5, 2.7), (0.68, 2.9), (0.72, 3.4), (0.92, 3.3)),
        (30, 30, 40),
        5.5,
        22.5,
    ),
    Route(
        "7",
        "Vidya Vihar - Kila Pahar - Udyog Nagar",
        "4E342E",
        ((0.06, 0.7), (0.25, 0.5), (0.5, 0.45), (0.7, 0.6), (0.85, 0.3), (0.96, 0.8)),
        (30, 30, 40),
        5.5,
        22.5,
    ),
    Route(
        "8",
        "Station - Aspatal - Naya Basti",
        "AD1457",
        ((0.93, 1.4), (0.86, 2.0), (0.85, 2.6), (0.65, 3.1), (0.45, 3.3), (0.15, 3.4)),
        (30, 30, 40),
        5.5,
        22.5,
    ),
    Route(
        "9",
        "Shanti Nagar - Ghat - Naya Basti",
        "37474F",
        ((0.12, 1.1), (0.14, 1.7), (0.2, 2.1), (0.12, 2.6), (0.25, 3.0), (0.4, 3.7)),
        (30, 30, 40),
        5.5,
        22.5,
    ),
)


@dataclass(frozen=True)
class Stop:
    """A bus stop, used in both directions."""

    stop: str
    name: str
    lon: float
    lat: float


@dataclass(frozen=True)
class Line:
    """A line as built: vertices with metres from the start, stops with metres and seconds from the start."""

    route: Route
    path: tuple[Point, ...]
    path_m: tuple[float, ...]
    stops: tuple[Stop, ...]
    stops_m: tuple[float, ...]

    @property
    def running_s(self) -> int:
        """Scheduled seconds from end to end, whole minutes."""
        return 60 * round(self.path_m[-1] / SPEED_M_S / 60.0)

    def vehicles(self, service: int) -> int:
        """Buses that the line needs, with at least three minutes at each end."""
        return ceil(2.0 * (self.running_s / 60.0 + 3.0) / self.route.headways[service])

    def layover_s(self, service: int) -> int:
        """Seconds that a bus waits at each end, so that a round trip is a whole number of headways."""
        return round(self.vehicles(service) * self.route.headways[service] * 30.0 - self.running_s)

    def offsets(self, direction: int) -> list[int]:
        """Scheduled seconds from the start of a trip at each stop, in the order of travel."""
        along = [m / self.path_m[-1] * self.running_s for m in self.stops_m]
        return [round(s) for s in along] if direction == 0 else [round(self.running_s - s) for s in reversed(along)]

    def calls(self, direction: int) -> tuple[Stop, ...]:
        """The stops in the order of travel."""
        return self.stops if direction == 0 else self.stops[::-1]


def metres(a: Point, b: Point) -> float:
    """Distance between two points of the town."""
    return hypot((b[0] - a[0]) * cos(radians(LAT)), b[1] - a[1]) * 111_320.0


def _path(seed: int, route: Route) -> tuple[Point, ...]:
    """The way with a vertex about every 80 m, bending with the town's grid."""
    points: list[Point] = []
    for (x0, y0), (x1, y1) in zip(route.way, route.way[1:], strict=False):
        parts = max(4, round(metres(spot(seed, x0, y0), spot(seed, x1, y1)) / 80.0))
        points += [spot(seed, x0 + (x1 - x0) * k / parts, y0 + (y1 - y0) * k / parts) for k in range(parts)]
    return (*points, spot(seed, *route.way[-1]))


def along(path: tuple[Point, ...], path_m: tuple[float, ...], m: float) -> tuple[float, float, float]:
    """Longitude, latitude and bearing (degrees east of north) at `m` metres along the path."""
    k = min(max(bisect_right(path_m, m) - 1, 0), len(path) - 2)
    (x0, y0), (x1, y1) = path[k], path[k + 1]
    share = min(max((m - path_m[k]) / max(path_m[k + 1] - path_m[k], 0.1), 0.0), 1.0)
    bearing = degrees(atan2((x1 - x0) * cos(radians(LAT)), y1 - y0)) % 360.0
    return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share, bearing


def _stop_at(seed: int, known: list[Stop], names: dict[str, int], point: Point) -> Stop:
    """The stop that is there already, or a new one named after its ward."""
    for stop in known:
        if metres(point, (stop.lon, stop.lat)) < SHARED_M:
            return stop
    ward = ward_at(seed, *point)
    place = ward_named(seed, ward).name if ward else "Nadipur"
    names[place] = names.get(place, 0) + 1
    stop = Stop(f"S{len(known) + 1:03d}", f"{place} {names[place]}", round(point[0], 6), round(point[1], 6))
    known.append(stop)
    return stop


@lru_cache(maxsize=4)
def network(seed: int) -> tuple[Line, ...]:
    """All lines with their stops; lines that meet share a stop."""
    known: list[Stop] = []
    names: dict[str, int] = {}
    lines = []
    for route in ROUTES:
        path = _path(seed, route)
        path_m = [0.0]
        for a, b in itertools.pairwise(path):
            path_m.append(path_m[-1] + metres(a, b))
        count = max(6, round(path_m[-1] / SPACING_M))
        calls: dict[Stop, float] = {}
        for k in range(count + 1):
            m = path_m[-1] * k / count
            lon, lat, _ = along(path, tuple(path_m), m)
            calls.setdefault(_stop_at(seed, known, names, (lon, lat)), m)
        lines.append(Line(route, path, tuple(path_m), tuple(calls), tuple(calls.values())))
    return tuple(lines)


def stops(seed: int) -> list[Stop]:
    """Every stop of the town once, by id."""
    return sorted({stop for line in network(seed) for stop in line.stops}, key=lambda s: s.stop)


def departures(line: Line, service: int) -> list[int]:
    """Scheduled departures from the first terminus, seconds after noon less 12 h."""
    headway = line.route.headways[service]
    late = 1.0 if service == 2 and line.route.first_h > 5 else 0.0
    first, last = round((line.route.first_h + late) * 60), round((line.route.last_h - late) * 60)
    return [60 * minute for minute in range(first, last + 1, headway)]
