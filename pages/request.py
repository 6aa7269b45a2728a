"""One request of a resident, at an address of its own."""

import asyncio
from typing import Any

import dash
from dash import html

from components import glass
from components.request_page import request_page
from components.tongue import _
from components.words_page import failed


async def layout(number: str = "", **query: Any) -> html.Div:
    """The page of the request whose number the address names."""
    try:
        return await asyncio.to_thread(request_page, number)
    except Exception as error:
        return failed(error)


def _title(number: str = "") -> str:
    return f"{_('Request {number}', number=number)} · {glass.town().name}"


dash.register_page(
    "pages.request",
    path_template="/request/<number>",
    path="/request/none",
    name="Request",
    title=_title,
    layout=layout,
)
