"""Pages that only say something: nothing at this address, and this page could not be drawn."""

import logging

from dash import html

from components import glass
from components.props import props
from components.tongue import N_, _

log = logging.getLogger(__name__)


def missing(what: str = N_("There is no page at this address.")) -> html.Div:
    """Nothing here: what was looked for and where to go."""
    return html.Div(
        [
            html.H1(_("Not found")),
            html.P(_(what)),
            html.P(_("Choose a page from the menu, or begin anew:")),
            html.P(html.A(_("Go to the overview"), href=glass.href(""), **props({"data-nav": "keep"}))),
        ],
        className="page missing",
    )


def failed(error: Exception) -> html.Div:
    """A page that could not be drawn: the reason goes to the log, people get words."""
    log.error("a page could not be drawn", exc_info=error)
    return html.Div(
        [
            html.H1(_("This page could not be drawn")),
            html.P(_("The figures themselves are not lost: the line keeps working and other pages may open.")),
            html.P(
                [
                    _("Load the page again. If it stays like this, tell whoever runs the server: the log tells why."),
                    " ",
                    html.A(_("Go to the overview"), href=glass.href("")),
                ]
            ),
        ],
        className="page failed",
    )
