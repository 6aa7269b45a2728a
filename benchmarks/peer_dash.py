"""The same 20 values and 6 charts as an ordinary Dash app: an Interval and server callbacks, as its guide has it."""

import argparse
import math
import time

import dash_bootstrap_components as dbc
import plotly.graph_objects as go
import uvicorn
from dash import Dash, Input, Output, dcc, html
from dash.backends._fastapi import FastAPIDashServer
from fastapi import FastAPI

VALUES, CHARTS, POINTS, EVERY_S = 20, 6, 300, 2.0


def value(number: int, at: float) -> float:
    """What the card of this number says at an instant."""
    return round(100 + 10 * math.sin(at / 60 + number), 2)


def figure(number: int) -> go.Figure:
    """A chart of the last ten minutes."""
    now = time.time()
    x = [now - EVERY_S * (POINTS - point) for point in range(POINTS)]
    return go.Figure(go.Scatter(x=x, y=[value(number, at) for at in x]), layout={"title": f"Chart {number}"})


def build() -> Dash:
    """The app, on the same server as Townboard's pages."""
    # Else every page tries for a WebSocket that nothing here uses.
    FastAPIDashServer.websocket_capability = False
    app = Dash(
        "ordinary",
        server=FastAPI(docs_url=None, redoc_url=None, openapi_url=None),  # type: ignore[arg-type]
        external_stylesheets=[],
    )
    cards = [dbc.Card([html.Small(f"Value {n}"), html.H4("-", id=f"value-{n}")], body=True) for n in range(VALUES)]
    charts = [dcc.Graph(id=f"chart-{n}") for n in range(CHARTS)]
    app.layout = dbc.Container(
        [html.H1("Board"), dcc.Interval("beat", EVERY_S * 1000), html.Div(cards), html.Div(charts)]
    )

    @app.callback([Output(f"value-{n}", "children") for n in range(VALUES)], Input("beat", "n_intervals"))
    async def values(_beat: int | None) -> list[str]:
        return [f"{value(n, time.time()):.2f}" for n in range(VALUES)]

    for number in range(CHARTS):

        @app.callback(Output(f"chart-{number}", "figure"), Input("beat", "n_intervals"))
        async def chart(_beat: int | None, number: int = number) -> go.Figure:
            return figure(number)

    return app


def main() -> None:
    """Serve it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_dash")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(build().server, port=given.port, log_level="warning", access_log=False, timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
