"""A page that is opened by the menu: what Dash's router asks for and answers, with JSON written ten times as fast.

Dash 4.4.1 hands every piece of a page to plotly's encoder, which tries ten things on each; orjson asks a piece what it
is once. A test holds both answers against each other.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from dash.development.base_component import Component
from plotly.basedatatypes import BaseFigure, BasePlotlyType

OUTPUT = ".._pages_content.children..._pages_store.data.."
LOCATION = "_pages_location"
HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


def asked(body: bytes) -> tuple[str, str] | None:
    """Path and query of the page that a body asks for; None where it asks for something else."""
    try:
        told = orjson.loads(body)
        if told["output"] != OUTPUT:
            return None
        given: Mapping[str, Any] = {
            one["property"]: one.get("value") for one in told["inputs"] if one["id"] == LOCATION
        }
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    path, search = given.get("pathname"), given.get("search") or ""
    return (path, search.removeprefix("?")) if isinstance(path, str) and isinstance(search, str) else None


def answer(content: Any, title: str) -> bytes:
    """The answer of the router: the page, and the title of its window."""
    response = {"_pages_content": {"children": content}, "_pages_store": {"data": {"title": title}}}
    return orjson.dumps({"multi": True, "response": response}, default=_plain, option=OPTIONS)


OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def _plain(piece: Any) -> Any:
    if isinstance(piece, Component | BasePlotlyType | BaseFigure):
        return piece.to_plotly_json()
    raise TypeError(f"{type(piece).__name__} cannot be written into a page")
