"""One KPI value whole, at an address of its own."""

import asyncio
from typing import Any

import dash
from dash import html

from components import glass
from components.kpi_page import kpi_page
from components.words_page import failed


async def layout(kpi: str = "", **query: Any) -> html.Div:
    """The page of the KPI that the address names."""
    try:
        return await asyncio.to_thread(kpi_page, kpi, query)
    except Exception as error:
        return failed(error)


dash.register_page(
    "pages.kpi",
    path_template="/kpi/<kpi>",
    path="/kpi/none",
    name="KPI",
    title=lambda kpi="": f"{kpi.replace('_', ' ')} · {glass.town().name}",
    layout=layout,
)
