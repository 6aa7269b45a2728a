"""Nothing at this address."""

from typing import Any

import dash
from dash import html

from components.tongue import _
from components.words_page import missing


async def layout(**query: Any) -> html.Div:
    """Words and a way back."""
    return missing()


dash.register_page("pages.not_found_404", path="/404", title=lambda **_asked: _("Not found"), layout=layout)
