"""Open311 GeoReport v2 documents as bytes: XML as the specification writes it, JSON by the same structure."""

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

import orjson

DECLARED = '<?xml version="1.0" encoding="utf-8"?>\n'
MEDIA = {"xml": "text/xml; charset=utf-8", "json": "application/json; charset=utf-8"}
# What one of the things in a list is called.
ONE_OF = {
    "services": "service", "service_requests": "request", "errors": "error", "attributes": "attribute",
    "values": "value", "endpoints": "endpoint", "formats": "format",
}  # fmt: skip
# XML has no way to write these.
UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def written(root: str, document: Any, form: str) -> bytes:
    """The document; in JSON without its outermost name."""
    return orjson.dumps(document) if form == "json" else (DECLARED + _element(root, document)).encode()


def _element(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        inner = "".join(_element(key, part) for key, part in value.items())
    elif isinstance(value, list):
        inner = "".join(_element(ONE_OF[name], part) for part in value)
    else:
        inner = _text(value)
    return f"<{name}>{inner}</{name}>" if inner else f"<{name}/>"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return escape(UNWRITABLE.sub("", str(value)))
