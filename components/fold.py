"""Parts of a page that a phone shows folded."""

from typing import Any

from dash import html

from components.props import props


def fold(title: str, panel: Any) -> html.Details:
    """The page's script folds it on a phone; a desk leaves it open."""
    return html.Details(
        [html.Summary(html.H2(title)), panel], open=True, className="fold", **props({"data-fold": "phone"})
    )
