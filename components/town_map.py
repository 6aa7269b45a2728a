"""The town drawn by ourselves: wards from its GeoJSON, assets as marks; no tiles, no glyphs, no WebGL, prints."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any

import orjson
from shapely.geometry import shape

from components import glass, wording
from components.drawing import Drawing
from components.map_words import alarms_in, sentence, ward_key, ward_status
from components.props import props
from components.tongue import _

WIDTH = 1000.0
MARGIN = 24.0
TALLEST = 1250.0
MARKS = {
    "good": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "late": "M0-8L8 0L0 8L-8 0Z",
    "stale": "M-7-7L7 7M7-7L-7 7",
    "no data": "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0",
    "alarm": "M0-15L14 10H-14Z",
}
HATCHES = (
    '<defs><pattern id="hatch-breach" width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="9" height="9" class="p-breach-bg"/><path d="M0 0V9" class="p-breach"/></pattern>'
    '<pattern id="hatch-watch" width="14" height="14" patternUnits="userSpaceOnUse">'
    '<rect width="14" height="14" class="p-watch-bg"/><circle cx="7" cy="7" r="2.4" class="p-watch"/></pattern>'
    '<pattern id="hatch-stale" width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<rect width="9" height="9" class="p-stale-bg"/><path d="M0 0V9" class="p-stale"/></pattern></defs>'
)

Project = Any


class Plane:
    """Longitude and latitude to points of the drawing, true to shape at the town's latitude."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        self.west, self.north = min(xs), max(ys)
        self.squeeze = math.cos(math.radians((min(ys) + max(ys)) / 2)) or 1.0
        wide = max((max(xs) - self.west) * self.squeeze, 1e-6)
        tall = max(self.north - min(ys), 1e-6)
        self.scale = min((WIDTH - 2 * MARGIN) / wide, (TALLEST - 2 * MARGIN) / tall)
        self.width = wide * self.scale + 2 * MARGIN
        self.height = tall * self.scale + 2 * MARGIN

    def __call__(self, lon: float, lat: float) -> tuple[float, float]:
        x = MARGIN + (lon - self.west) * self.squeeze * self.scale
        return round(x, 1), round(MARGIN + (self.north - lat) * self.scale, 1)


def _rings(geometry: Mapping[str, Any]) -> list[list[list[float]]]:
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return [ring for polygon in parts for ring in polygon]


@lru_cache(maxsize=8)
def ground(
    shapes: bytes, extra: tuple[tuple[float, float], ...]
) -> tuple[Plane | None, tuple[tuple[str, str, float, float], ...]]:
    """The plane, and per ward its id, its path and where its name stands; parsed once per set of shapes."""
    features = [f for f in orjson.loads(shapes).get("features", []) if f.get("geometry")]
    points = [(p[0], p[1]) for f in features for ring in _rings(f["geometry"]) for p in ring] or list(extra)
    if len(points) < 2:
        return None, ()
    plane, wards = Plane(points), []
    for feature in features:
        path = "".join(
            "M" + "L".join(f"{x} {y}" for x, y in (plane(p[0], p[1]) for p in ring)) + "Z"
            for ring in _rings(feature["geometry"])
        )
        middle = shape(feature["geometry"]).representative_point()
        wards.append((str(feature["properties"]["ward"]), path, *plane(middle.x, middle.y)))
    return plane, tuple(wards)


def town_map(
    state: Mapping[str, Any], kpi: str | None = None, domain: str | None = None, *, ward: str | None = None
) -> Drawing:
    """The map: wards by the state of a KPI, or by their alarms when none is given; assets by their state."""
    return Drawing(
        markup(state, kpi, domain, ward=ward),
        "map",
        **props({"data-map": kpi or "", "data-domain": domain or "", "data-f": "map"}),
    )


def markup(state: Mapping[str, Any], kpi: str | None, domain: str | None, *, ward: str | None) -> str:
    """The map's SVG; a sentence instead when the town has neither ward shapes nor placed assets."""
    town = glass.town()
    assets = _placed(state, domain)
    extra = tuple((a["lon"], a["lat"]) for _, a in assets)
    plane, wards = ground(orjson.dumps(town.ward_shapes()), extra)
    if plane is None:
        words = _("There is no map yet: put the ward shapes into reference/wards.geojson.")
        return f'<p class="empty">{escape(words)}</p>'
    names = dict(zip(*(town.wards()[c].to_list() for c in ("ward", "name")), strict=True))
    parts = [_ward(w, names.get(w[0], w[0]), state, kpi, chosen=w[0] == ward) for w in wards]
    labels = [_label(w, names.get(w[0], w[0]), state, kpi) for w in wards]
    ranked = sorted(assets, key=lambda pair: _urgent(pair[1]))
    calm = [_mark(key, asset, plane) for key, asset in ranked if not asset.get("alarm")]
    alarms = [_mark(key, asset, plane) for key, asset in ranked if asset.get("alarm")]
    body = [
        HATCHES,
        _group("wards", parts),
        _group("marks", calm),
        _group("labels", labels, hidden=True),
        _group("marks", alarms),
    ]
    size = f"0 0 {plane.width:.0f} {plane.height:.0f}"
    name = escape(sentence(state, kpi, [ward[0] for ward in wards]))
    return f'<svg viewBox="{size}" role="group" aria-label="{name}">{"".join(body)}</svg>'


def _group(name: str, parts: Iterable[str], *, hidden: bool = False) -> str:
    silent = ' aria-hidden="true"' if hidden else ""
    return f'<g class="{name}"{silent}>{"".join(parts)}</g>'


def _placed(state: Mapping[str, Any], domain: str | None) -> list[tuple[str, Mapping[str, Any]]]:
    return [
        (key, a)
        for key, a in state["assets"].items()
        if a.get("lat") is not None and a.get("lon") is not None and (not domain or a["domain"] == domain)
    ]


def _urgent(asset: Mapping[str, Any]) -> int:
    return 2 if asset.get("alarm") else 0 if asset.get("state") == "good" else 1


def _ward(
    ward: tuple[str, str, float, float], name: str, state: Mapping[str, Any], kpi: str | None, *, chosen: bool
) -> str:
    key, path, _, _ = ward
    status = ward_status(state, kpi, key)
    words = escape(f"{name}: {_ward_words(state, kpi, key, status)}")
    data = f'data-ward="{escape(key)}" data-name="{escape(name)}" data-state="{status}" data-nav="ward"'
    look = "ward chosen" if chosen else "ward"
    return (
        f'<a class="{look}" {data} href="?ward={escape(key)}" tabindex="0" aria-label="{words}">'
        f'<title>{words}</title><path fill-rule="evenodd" d="{path}"/></a>'
    )


def _ward_words(state: Mapping[str, Any], kpi: str | None, ward: str, status: str) -> str:
    if kpi:
        row = state["kpis"].get(ward_key(kpi, ward))
        value = (
            wording.with_unit(row["value"], row["decimals"], row["unit"])
            if row and row["value"] is not None
            else _("no value")
        )
        return f"{value}, {wording.state(status).lower()}"
    return wording.count(alarms_in(state, ward), "active alarm")


def _label(ward: tuple[str, str, float, float], name: str, state: Mapping[str, Any], kpi: str | None) -> str:
    key, _, x, y = ward
    row = state["kpis"].get(ward_key(kpi, key)) if kpi else None
    value = wording.number(row["value"], row["decimals"]) if row else wording.DASH if kpi else ""
    lower = (
        f'<tspan class="map-value" x="{x}" dy="1.1em" data-ward-value="{escape(key)}">{value}</tspan>' if kpi else ""
    )
    top = y - (6 if kpi else -6)
    return f'<text x="{x}" y="{top}"><tspan class="map-name">{escape(_short(name, key))}</tspan>{lower}</text>'


def _short(name: str, key: str) -> str:
    return name if len(name) <= 14 else key


def _mark(key: str, asset: Mapping[str, Any], plane: Plane) -> str:
    x, y = plane(asset["lon"], asset["lat"])
    look = "alarm" if asset.get("alarm") else asset.get("state") or "no data"
    words = f"{asset['name']}, {wording.state(asset.get('state') or 'no data').lower()}"
    words += _(", {priority} alarm", priority=_(asset["alarm"])) if asset.get("alarm") else ""
    data = f'data-asset="{escape(key)}" data-name="{escape(asset["name"])}" data-look="{look}"'
    data += f' data-priority="{escape(asset.get("alarm") or "")}" data-nav=""'
    link = escape(glass.href(f"asset/{key}"))
    return (
        f'<a class="mark" href="{link}" {data} transform="translate({x} {y})" aria-label="{escape(words)}">'
        f"<title>{escape(words)}</title>"
        f'<circle r="16" class="touch"/><path d="{MARKS.get(look, MARKS["good"])}"/></a>'
    )
