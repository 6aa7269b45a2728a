"""A Dash layout as plain HTML: what a phone shows before any script has arrived, and all there is without scripts."""

import json
from html import escape
from typing import Any

from dash.development.base_component import Component
from markupsafe import Markup

VOID = {"br", "hr", "img", "input", "meta", "link"}
NAMES = {
    "className": "class",
    "htmlFor": "for",
    "tabIndex": "tabindex",
    "colSpan": "colspan",
    "rowSpan": "rowspan",
    "dateTime": "datetime",
    "autoComplete": "autocomplete",
    "lang": "lang",
    "dir": "dir",
}
PLAIN = {
    "href",
    "title",
    "role",
    "target",
    "download",
    "type",
    "name",
    "value",
    "placeholder",
    "min",
    "max",
    "src",
    "alt",
    "scope",
    "method",
    "action",
    "rel",
    "id",
}
FLAGS = {"open", "hidden", "selected", "disabled", "checked"}
OTHER_TAGS = {"Link": "a", "Select": "select", "Input": "input", "Button": "button", "Table": "table"}
BOOTSTRAP_CLASS = {"Select": "form-select", "Input": "form-control", "Button": "btn", "Table": "table"}
# The element that bears this is the last that the window shows first; behind it stands what names the other rules.
FIRST, REST = "data-first", "<!--rest-->"
UNSEEN = {"Location", "Store", "Interval"}


def to_html(node: Any) -> str:
    """The node and all below it as HTML; ids are kept only for anchors."""
    if node is None or isinstance(node, bool):
        return ""
    if isinstance(node, list | tuple):
        return "".join(map(to_html, node))
    if isinstance(node, Markup):
        return str(node)
    if not isinstance(node, Component):
        return escape(str(node), quote=False)
    return _component(node)


def _component(node: Component) -> str:
    name, namespace = node._type, node._namespace
    if name in UNSEEN:
        return ""
    if name == "Drawing":
        tag = getattr(node, "tag", "div")
        return f"<{tag}{_attributes(node)}>{getattr(node, 'markup', '')}</{tag}>"
    if name == "Select" and namespace == "dash_bootstrap_components":
        return f"<select{_attributes(node)}>{_options(node)}</select>"
    tag = OTHER_TAGS.get(name, name.lower())
    if tag in VOID:
        return f"<{tag}{_attributes(node)}>"
    rest = REST if hasattr(node, FIRST) else ""
    return f"<{tag}{_attributes(node)}>{to_html(getattr(node, 'children', None))}</{tag}>{rest}"


def _options(node: Component) -> str:
    chosen = str(getattr(node, "value", "") or "")
    rows = getattr(node, "options", None) or []
    return "".join(_option(str(row["value"]), str(row["label"]), chosen) for row in rows)


def _option(value: str, label: str, chosen: str) -> str:
    return f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(label)}</option>'


def _attributes(node: Component) -> str:
    props = dict(vars(node))
    props |= props.pop("attributes", {})
    extra = BOOTSTRAP_CLASS.get(node._type, "") if node._namespace == "dash_bootstrap_components" else ""
    if extra:
        props["className"] = f"{extra} {props.get('className', '')}".strip()
    return "".join(_attribute(key, value) for key, value in sorted(props.items()))


def _attribute(key: str, value: Any) -> str:
    if value is None or (isinstance(value, dict) and key != "style"):
        return ""
    if key in FLAGS:
        return f" {key}" if value else ""
    if key == "style":
        text = ";".join(f"{_kebab(name)}:{part}" for name, part in value.items())
        return f' style="{escape(text)}"'
    if key == "label":
        return f' aria-label="{escape(str(value))}"'
    if key in NAMES or key in PLAIN or key.startswith(("data-", "aria-")):
        text = json.dumps(value) if isinstance(value, list) else str(value)
        return f' {NAMES.get(key, key)}="{escape(text)}"'
    return ""


def _kebab(name: str) -> str:
    return name if name.startswith("--") else "".join(f"-{c.lower()}" if c.isupper() else c for c in name)
