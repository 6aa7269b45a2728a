"""A diagram of flows: how much goes from where to where, as bands as wide as what they carry (Sankey)."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.drawn.sheet import Row, Sheet, column, figure, short, spoken, state_of
from pipelines.engine.gallery import Shown
from pipelines.engine.picture import Flow

HIGH, APART, TOP = 210.0, 38.0, 30.0
THICK = 10.0
# A flow of nothing is still seen to be there.
LEAST = 1.5


@dataclass
class Node:
    """A place that things come from or go to."""

    name: str
    layer: int
    amount: float
    y: float = 0.0
    sent: float = 0.0
    got: float = 0.0
    state: str = "context"


def draw(form: Flow, shown: Shown) -> str:
    """Sources at the start, ends at the end of the line."""
    rows = [row for row in shown.rows.iter_rows(named=True) if row[form.value] is not None and row[form.value] >= 0]
    total = sum(row[form.value] for row in rows)
    if not rows or total <= 0:
        return ""
    nodes = _nodes(form, rows)
    layers = max(node.layer for node in nodes.values()) + 1
    widest = max(sum(n.amount for n in nodes.values() if n.layer == layer) for layer in range(layers))
    scale = HIGH / widest
    height = max(_placed(nodes, layer, scale) for layer in range(layers))
    bands = "".join(_band(form, nodes, row, layers=layers, scale=scale) for row in rows)
    blocks = "".join(
        f'<rect class="d-node" data-state="{node.state}" x="{_x(node, layers):.1f}" y="{node.y:.1f}" width="{THICK}" '
        f'height="{max(node.amount * scale, LEAST):.1f}"/>'
        for node in nodes.values()
    )
    sheet = Sheet()
    sheet.stretched(0, height, bands + blocks)
    declared = column(shown, form.value)
    for node in nodes.values():
        last = layers > 1 and node.layer == layers - 1
        place, anchor = (100.0, "end") if last else (_x(node, layers) / 10, "start")
        sheet.text(place, node.y - 17, short(node.name, 30), "d-label", anchor=anchor)
        sheet.text(place, node.y - 4, figure(node.amount, declared), "d-value", anchor=anchor)
    return sheet.svg(height)


def _nodes(form: Flow, rows: Sequence[Row]) -> dict[str, Node]:
    """Every place with its layer, one beyond the farthest it is fed from, and the more of what it gets and gives."""
    names = dict.fromkeys(name for row in rows for name in (row[form.source], row[form.target]))
    layers = dict.fromkeys(names, 0)
    for _ in names:
        for row in rows:
            layers[row[form.target]] = max(layers[row[form.target]], min(layers[row[form.source]] + 1, len(names)))
    nodes = {}
    for name in names:
        gets = sum(row[form.value] for row in rows if row[form.target] == name)
        gives = sum(row[form.value] for row in rows if row[form.source] == name)
        state = next((state_of(row) for row in rows if row[form.target] == name), "context")
        nodes[name] = Node(name, layers[name], max(gets, gives), state=state)
    return nodes


def _placed(nodes: dict[str, Node], layer: int, scale: float) -> float:
    """Put the places of a layer one below the other; how far down they reach."""
    y = TOP + 4
    for node in nodes.values():
        if node.layer == layer:
            node.y = y
            y += max(node.amount * scale, LEAST) + APART
    return y - APART + 6


def _x(node: Node, layers: int) -> float:
    return 0.0 if layers == 1 else (1000 - THICK) * node.layer / (layers - 1)


def _band(form: Flow, nodes: dict[str, Node], row: Row, *, layers: int, scale: float) -> str:
    source, target, wide = nodes[row[form.source]], nodes[row[form.target]], max(row[form.value] * scale, LEAST)
    x1, x2 = _x(source, layers) + THICK, _x(target, layers)
    y1, y2 = source.y + source.sent + wide / 2, target.y + target.got + wide / 2
    source.sent += row[form.value] * scale
    target.got += row[form.value] * scale
    middle = (x1 + x2) / 2
    top, back = f"C{middle:.1f} {y1 - wide / 2:.1f} {middle:.1f} {y2 - wide / 2:.1f}", y2 + wide / 2
    path = (
        f"M{x1:.1f} {y1 - wide / 2:.1f}{top} {x2:.1f} {y2 - wide / 2:.1f}V{back:.1f}"
        f"C{middle:.1f} {back:.1f} {middle:.1f} {y1 + wide / 2:.1f} {x1:.1f} {y1 + wide / 2:.1f}Z"
    )
    words = f"{spoken(source.name)} → {spoken(target.name)}"
    return f'<path class="d-band" data-state="{state_of(row)}" d="{path}"><title>{words}</title></path>'
