"""Colours and type, once: as CSS variables for the page and as a template for charts. Grey is normal, colour is not."""

from typing import Any

PALETTE = {
    "light": {
        "ground": "#e9ebed",
        "surface": "#f7f8f9",
        "raised": "#ffffff",
        "sunken": "#dfe3e6",
        "ward": "#dfe3e6",
        "line": "#c9cfd5",
        "mark": "#7d8790",
        "ink": "#1b2127",
        "ink-2": "#48525c",
        "accent": "#21507f",
        "series": "#33414f",
        "breach": "#b3201b",
        "breach-bg": "#fbe3e1",
        "watch": "#8a5200",
        "watch-bg": "#fcebc8",
        "low": "#4b4f94",
        "low-bg": "#e6e7f6",
        "on-colour": "#ffffff",
    },
    "dark": {
        "ground": "#14181c",
        "surface": "#1c2227",
        "raised": "#242b31",
        "sunken": "#0f1316",
        "ward": "#2f383f",
        "line": "#353f48",
        "mark": "#7b8791",
        "ink": "#e6eaed",
        "ink-2": "#a8b3bd",
        "accent": "#93bde6",
        "series": "#c3ccd4",
        "breach": "#ff8d84",
        "breach-bg": "#4a1d1a",
        "watch": "#f3c057",
        "watch-bg": "#43330d",
        "low": "#b5b8f5",
        "low-bg": "#2b2d52",
        "on-colour": "#14181c",
    },
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif"


def css() -> str:
    """The palette as CSS variables for both themes; Bootstrap's own variables follow it."""
    blocks = []
    for name, colours in PALETTE.items():
        variables = ";".join(f"--{key}:{value}" for key, value in colours.items())
        selector = ":root" if name == "light" else '[data-bs-theme="dark"]'
        blocks.append(f"{selector}{{{variables};color-scheme:{name};{_bootstrap(colours)}}}")
    return "".join(blocks) + f":root{{--font:{FONT}}}"


def bare_css() -> str:
    """The palette alone, light or dark as the device is, for pages without a script."""
    light, dark = (";".join(f"--{key}:{value}" for key, value in PALETTE[name].items()) for name in ("light", "dark"))
    return f":root{{{light};color-scheme:light}}@media (prefers-color-scheme:dark){{:root{{{dark};color-scheme:dark}}}}"


def _bootstrap(colours: dict[str, str]) -> str:
    return (
        f"--bs-body-bg:{colours['ground']};--bs-body-color:{colours['ink']};--bs-border-color:{colours['line']};"
        f"--bs-link-color:{colours['accent']};--bs-secondary-color:{colours['ink-2']};--bs-tertiary-bg:{colours['surface']}"
    )


def chart_layout() -> dict[str, Any]:
    """The layout that every chart starts from, in colours that serve on both grounds."""
    axis = {"gridcolor": "rgba(125,135,144,.18)", "linecolor": "rgba(125,135,144,.6)", "zeroline": False, "ticks": ""}
    return {
        "autosize": True,
        "margin": {"l": 40, "r": 12, "t": 10, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": "#7d8790"},
        "xaxis": {**axis, "type": "date", "showgrid": False, "fixedrange": True, "tickangle": 0},
        "yaxis": {**axis, "fixedrange": True},
        "showlegend": False,
        "hovermode": "x unified",
        "uirevision": "keep",
        "dragmode": False,
    }


CHART_CONFIG: dict[str, Any] = {"displayModeBar": False, "responsive": False, "displaylogo": False}
SERIES = "#6b86a3"
TARGET = "#8a6d3b"
BAND = "rgba(125,135,144,.20)"
