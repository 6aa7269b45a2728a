"""A page of which React is handed only what a callback needs; all else comes as markup that the browser reads itself.

A domain's page is some two thousand components, of which a dozen take part in a callback. React and Dash's renderer
spend a second of a slow phone on building the rest one by one, only to leave it alone: the board's scripts write new
figures straight into the page.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dash.development.base_component import Component

from components.drawing import Drawing
from components.first_paint import VOID, to_html

HTML = "dash_html_components"
# What belongs to Dash, not to the element.
NOT_OF_THE_ELEMENT = {"children", "key", "n_clicks", "n_clicks_timestamp"}


def named(callbacks: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The ids that an app's callbacks read or write, from its map of callbacks."""
    return frozenset(_ids(callbacks))


def _ids(callbacks: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for outputs, callback in callbacks.items():
        yield from (one.rpartition(".")[0] for one in outputs.strip(".").split("..."))
        yield from (str(one["id"]) for kind in ("inputs", "state") for one in callback.get(kind, ()))


def settled(node: Any, needed: Collection[str]) -> Any:
    """The same page with its largest parts that nothing of Dash takes part in as one piece of markup each."""
    return _markup(node) if _rests(node, needed) else _opened(node, needed)


def _opened(node: Any, needed: Collection[str]) -> Any:
    """A part that Dash needs, with what rests in it as markup."""
    if isinstance(node, list | tuple):
        return [settled(one, needed) for one in node]
    children = getattr(node, "children", None)
    if children is not None:
        node.children = settled(children, needed)
    return node


def _rests(node: Any, needed: Collection[str]) -> bool:
    """Whether no callback knows anything of this part."""
    if isinstance(node, list | tuple):
        return all(_rests(one, needed) for one in node)
    if not isinstance(node, Component):
        return True
    if node._namespace != HTML:
        return isinstance(node, Drawing)
    name = getattr(node, "id", None)
    known = isinstance(name, dict) or name in needed or str(name).startswith("_pages")
    return not known and _rests(getattr(node, "children", None), needed)


def _markup(node: Any) -> Any:
    """A part that rests: its outermost element with all that stands in it as markup."""
    if isinstance(node, list | tuple):
        return [_markup(one) for one in node]
    tag = node._type.lower() if isinstance(node, Component) else ""
    if not tag or tag in VOID or isinstance(node, Drawing):
        return node
    own = {name: value for name, value in node.to_plotly_json()["props"].items() if name not in NOT_OF_THE_ELEMENT}
    return Drawing(to_html(getattr(node, "children", None)), tag=tag, attributes=own)
