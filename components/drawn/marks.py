"""Marks on the town's map, over its wards and the lines of the ground; no tiles, prints."""

import math
from html import escape
from typing import Any

import orjson
import polars as pl

from components import glass, wording
from components.address import ward_names
from components.drawn.sheet import column, figure, short, spoken, state_of
from components.town_map import MARKS, Plane, ground
from pipelines.engine.gallery import Shown
from pipelines.engine.picture import Marks

LOOKS = {"watch": "late", "breach": "alarm", "late": "late", "stale": "stale", "no data": "no data"}
LEAST, MOST = 1.1, 4.2


def draw(form: Marks, shown: Shown) -> str:
    """The map; nothing where neither wards nor marks are placed."""
    rows = shown.rows.drop_nulls([form.lat, form.lon])
    below = shown.ground if shown.ground is not None else pl.DataFrame()
    placed = [*zip(rows[form.lon], rows[form.lat], strict=True)]
    if below.height:
        placed += [*zip(below["lon"], below["lat"], strict=True)]
    plane, wards = ground(orjson.dumps(glass.town().ward_shapes()), tuple(placed) if not _shaped() else ())
    if plane is None:
        return ""
    towns = "".join(f'<path class="d-ward" fill-rule="evenodd" d="{path}"/>' for _ward, path, _x, _y in wards)
    most = max([float(value or 0) for value in rows[form.size]], default=0.0) if form.size else 0.0
    ranked = sorted(rows.iter_rows(named=True), key=lambda row: (_urgent(row), -_amount(form, row)))
    names = "".join(_name(ward, x, y) for ward, _path, x, y in wards)
    marks = "".join(_mark(form, shown, row, plane, most=most) for row in ranked)
    size = f"0 0 {plane.width:.0f} {plane.height:.0f}"
    return f'<svg class="d-map" viewBox="{size}" aria-hidden="true">{towns}{_lines(below, plane)}{names}{marks}</svg>'


def _name(ward: str, x: float, y: float) -> str:
    """The name of a ward, faint, below what is drawn."""
    known = ward_names().get(ward, ward)
    return f'<text class="d-place" x="{x}" y="{y}" text-anchor="middle">{escape(short(known, 14), quote=False)}</text>'


def _shaped() -> bool:
    return bool(glass.town().ward_shapes().get("features"))


def _urgent(row: dict[str, Any]) -> int:
    return {"breach": 2, "watch": 1}.get(state_of(row), 0)


def _amount(form: Marks, row: dict[str, Any]) -> float:
    return float(row[form.size] or 0) if form.size else 0.0


def _lines(below: pl.DataFrame, plane: Plane) -> str:
    if below.is_empty():
        return ""
    paths = []
    for (_line,), points in below.group_by("line", maintain_order=True):
        at = [plane(lon, lat) for lon, lat in zip(points["lon"], points["lat"], strict=True)]
        paths.append(f'<path class="d-way" d="M{"L".join(f"{x} {y}" for x, y in at)}"/>')
    return "".join(paths)


def _mark(form: Marks, shown: Shown, row: dict[str, Any], plane: Plane, *, most: float) -> str:
    x, y = plane(row[form.lon], row[form.lat])
    amount = _amount(form, row)
    # The area of a mark tells the amount.
    scale = LEAST + (MOST - LEAST) * math.sqrt(amount / most) if most else 2.2
    told = [short(row[form.label], 64)]
    told += [figure(row[form.size], column(shown, form.size))] if form.size else []
    told += [spoken(str(row[form.note]))] if form.note and row[form.note] else []
    state = state_of(row)
    look = LOOKS.get(state, "good")
    words = escape(", ".join([*told, wording.state(state).lower()] if state != "context" else told))
    text = ""
    if form.size and amount:
        digits = wording.number(row[form.size], 0)
        text = f'<text class="d-count" y="{7 + 8 * scale:.0f}" dy=".9em" text-anchor="middle">{digits}</text>'
    kind = f'data-look="{look}" data-state="{state}"'
    return (
        f'<g class="d-mark" {kind} transform="translate({x} {y})"><title>{words}</title>'
        f'<path transform="scale({scale:.2f})" d="{MARKS[look]}"/>{text}</g>'
    )
