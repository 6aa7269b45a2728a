"""The web process: Dash for pages, the live wire and the files around it, the API beside it, one address for all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dash
import numpy  # noqa: F401  plotly imports it lazily and two threads may race for it
from dash import Dash
from dash.backends._fastapi import FastAPIDashServer
from fastapi import FastAPI

from components import glass, shell
from components.asgi import App
from components.behind import Behind
from components.outer import Outer
from components.security import EARLY_SCRIPT, THEME_SCRIPT, WITHOUT_SCRIPT
from components.settled import named, settled
from components.static import PLOTLY_URL, plotly_tag

if TYPE_CHECKING:
    from pipelines.engine.town import Town

ROOT = Path(__file__).resolve().parent.parent
INDEX = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
{%%metas%%}<title>{%%title%%}</title><link rel="icon" type="image/svg+xml" href="%(prefix)sassets/icon.svg?m=%(icon)s">
<script>%(theme)s</script><script>%(early)s</script><!--tongue--><!--sheets-->{%%css%%}<!--/sheets-->
<meta name="townboard-plotly" content="%(plotly)s">
<noscript><meta http-equiv="refresh" content="30">
<style>%(without)s</style></noscript>
</head>
<body><div id="first"><!--first--></div>{%%app_entry%%}
<footer><!--words-->{%%config%%}{%%scripts%%}{%%renderer%%}</footer></body>
</html>"""

# Dash names its table on every page; React needs what the polyfills bring only in browsers that know no modules.
UNUSED = re.compile(r'<script src="[^"]*/dash_table/[^"]*"></script>')
OF_OLD = re.compile(r'<script src=(?="[^"]*/polyfill@)')


class AsyncDash(Dash):
    """Dash whose page layouts are async: FastAPI awaits them by itself, asgiref is only needed under Flask."""

    @property
    def _use_async(self) -> bool:
        return True

    @_use_async.setter
    def _use_async(self, value: bool) -> None:
        """What Dash finds out about asgiref changes nothing here."""

    def interpolate_index(self, **parts: Any) -> str:  # type: ignore[override]
        """The page around the app, without the scripts that no browser of today and no page of ours runs."""
        scripts = UNUSED.sub("", parts["scripts"])
        parts["scripts"] = OF_OLD.sub("<script nomodule src=", scripts)
        return str(super().interpolate_index(**parts))  # type: ignore[no-untyped-call]


def build(town: Town, api: App, prefix: str = "/", behind: Behind | None = None) -> Outer:
    """The web application of this town: pages, live wire and API under one prefix.

    `behind`: the process of the same application that makes what takes time for a crowd.
    """
    prefix = f"/{prefix.strip('/')}/" if prefix.strip("/") else "/"
    glass.bind(town, prefix)
    return Outer(_dash(town, prefix), api, prefix, behind)


def _dash(town: Town, prefix: str) -> Dash:
    FastAPIDashServer.websocket_capability = False  # Dash 4.4.1 opens a socket per viewer even when nothing uses it
    dash.page_registry.clear()
    app = AsyncDash(
        "townboard",
        server=FastAPI(docs_url=None, redoc_url=None, openapi_url=None),  # type: ignore[arg-type]
        use_pages=True,
        pages_folder=str(ROOT / "pages"),
        assets_folder=str(ROOT / "assets"),
        assets_ignore=r"(.*\.mjs|first\.css)$",
        assets_path_ignore=["vendor", "plain"],
        url_base_pathname=prefix if prefix != "/" else None,
        index_string=_index(prefix),
        update_title=None,  # type: ignore[arg-type]
        suppress_callback_exceptions=True,
        title=town.name,
    )
    app.layout = lambda: settled(shell.layout(), named(app.callback_map))
    return app


def _index(prefix: str) -> str:
    icon = int((ROOT / "assets" / "icon.svg").stat().st_mtime)
    plotly = f"{prefix}{PLOTLY_URL}?m={plotly_tag()}"
    told = {"theme": THEME_SCRIPT, "early": EARLY_SCRIPT, "without": WITHOUT_SCRIPT}
    return INDEX % {**told, "prefix": prefix, "plotly": plotly, "icon": icon}
