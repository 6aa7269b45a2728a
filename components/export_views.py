"""Views of exports: what an address chooses, the link to it, and those that somebody keeps under a name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from components import glass, plain, visitor
from components.asgi import App, Receive, Scope, Send, answer, query
from components.forms import read_own, redirect
from components.props import props
from components.tongue import _, said
from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError
from pipelines.engine.people.roles import Forbidden

FIELDS = ("table", "ward", "start", "end", "last", "form")
LONGEST_LAST = 3660


@dataclass(frozen=True)
class Choice:
    """What is chosen on the page: days are ISO text; a view that ends today travels as its last so many days."""

    table: str
    ward: str
    start: str
    end: str
    form: str

    @classmethod
    def read(cls, query: Mapping[str, Any], usual: "Choice", today: date) -> "Choice":
        """The choice of an address; what it does not name is as usual."""
        start, end = str(query.get("start") or usual.start), str(query.get("end") or usual.end)
        last = str(query.get("last") or "")
        if last.isdecimal() and 1 <= int(last) <= LONGEST_LAST:
            start, end = (today - timedelta(days=int(last) - 1)).isoformat(), today.isoformat()
        named = {name: str(query.get(name) or getattr(usual, name)) for name in ("table", "ward", "form")}
        return cls(start=start, end=end, **named)

    def query(self, today: date) -> dict[str, str]:
        """The same as an address has it."""
        kept = {name: value for name, value in asdict(self).items() if value and value != "all"}
        try:
            if date.fromisoformat(self.end) == today:
                days = (today - date.fromisoformat(self.start)).days + 1
                kept = {name: value for name, value in kept.items() if name not in ("start", "end")}
                kept["last"] = str(days)
        except ValueError:
            return kept
        return kept


class ExportViews:
    """Where a view is kept and let go."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {"exports/views": plain.by_method(self._home, self._sent)}

    async def _home(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, send, 303, b"", redirect(glass.href("exports")))

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            form = await read_own(scope, receive)
            wanted = query(scope)
            choice = {name: wanted[name] for name in FIELDS if wanted.get(name)}
            views, actor = glass.town().views, visitor.current().actor
            if wanted.get("do") == "let_go":
                await views.let_go(actor, wanted.get("name", ""))
            else:
                await views.keep(actor, form.one("name"), choice)
        except (Misasked, Forbidden) as error:
            status = error.status if isinstance(error, Misasked) else 403
            words = said(error.words).encode()
            return await answer(scope, send, status, words, [(b"content-type", b"text/plain; charset=utf-8")])
        return await answer(scope, send, 303, b"", redirect(glass.href("exports", **choice)))


def kept() -> html.Section | None:
    """The views that whoever looks keeps; None for visitors, and while there are none."""
    actor, town = visitor.current().actor, glass.town()
    try:
        views = town.views.of(actor)
    except StoreError:
        return None
    if not views:
        return None
    items = [
        html.Li([html.A(name, href=glass.href("exports", **choice)), " ", _letting_go(name)])
        for name, choice in views.items()
    ]
    return html.Section([html.H2(_("My views")), html.Ul(items, className="nearby")], className="panel")


def keeping(choice: Choice, today: date) -> html.Div:
    """The link to a view, and for whoever is signed in the form that keeps it."""
    chosen = choice.query(today)
    link = html.A(_("Link to this view"), href=glass.href("exports", **chosen), className="csv")
    if visitor.current().session is None:
        return html.Div(link, className="panel-foot")
    name = dbc.Input(
        type="text", name="name", maxLength=60, required=True, size="sm", placeholder=_("Name of the view"),
        id="exports-view-name",
    )  # fmt: skip
    return html.Div([link, _form("keep", chosen, [name, _button(_("Keep this view"))])], className="panel-foot")


def _letting_go(name: str) -> html.Form:
    label = _("Let the view {name} go", name=name)
    return _form("let_go", {"name": name}, [_button("×", title=label, **props({"aria-label": label}))])


def _button(words: str, **more: Any) -> html.Button:
    """A button that carries the token of this very session."""
    token = visitor.current().form_token
    return html.Button(words, type="submit", className="btn btn-sm btn-quiet", name="form_token", value=token, **more)


def _form(does: str, choice: Mapping[str, str], fields: list[Any]) -> html.Form:
    """A form that works without scripts: what is chosen stands in its address."""
    action = glass.href("exports/views", do=does, **choice)
    return html.Form(fields, method="post", action=action, className="inline-form")
