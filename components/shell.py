"""What stands around every page: navigation, clock, data as of, live badge, theme, and the not-live banner."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from dash import dcc, html, page_container

from components import glass, news_page, visitor, wording
from components.props import props
from components.tongue import _, current, offered
from pipelines.engine.model import Domain

URGENT = ("critical", "high")


def standing(state: Mapping[str, Any], domain: Domain) -> str:
    """The domain's state: the worst of its headline KPIs for the town; an active urgent alarm counts as a breach."""
    return _standing(state, domain)[0]


def standing_words(state: Mapping[str, Any], domain: Domain) -> str:
    """The state in words, with why when no headline KPI says it: "Breach: 2 alarms"; assets/paint.js says the same."""
    status, alarms = _standing(state, domain)
    word = wording.state(status)
    return _("{state}: {why}", state=word, why=wording.count(alarms, "alarm")) if alarms else word


def _standing(state: Mapping[str, Any], domain: Domain) -> tuple[str, int]:
    """The state, and of how many alarms alone it comes."""
    rows = [state["kpis"].get(f"{k.id}|town") for k in domain.kpis if k.headline]
    figures = wording.worst(row["status"] for row in rows if row and row["status"] != "context")
    active = [a["priority"] for a in state["alarms"] if a["domain"] == domain.name and a["active"]]
    urgent = sum(priority in URGENT for priority in active)
    called, alarms = ("breach", urgent) if urgent else ("watch", len(active))
    alone = alarms > 0 and wording.SEVERITY.index(called) < wording.SEVERITY.index(figures)
    return (called, alarms) if alone else (figures, 0)


def standing_chip(state: Mapping[str, Any], domain: Domain) -> html.Span:
    """The state as shape and words beside a domain's name; kept current by the page's script."""
    look = {"data-state": standing(state, domain), "data-standing": domain.name, "data-headlines": _headlines(domain)}
    return html.Span(standing_words(state, domain), className="chip", **props(look))


def navigation(state: Mapping[str, Any], query: Mapping[str, Any] | None = None) -> list[html.A]:
    """A link per page; domains come from the town, so a further one appears by itself."""
    domains = glass.town().domains
    first = [_link("", _("Overview"), query), _link("alarms", _("Alarms"), query, nav="away")]
    if visitor.current().actor.may("operate") and glass.town().filing.table is not None:
        first.append(_link("cases", _("Requests"), query, nav="away"))
    middle = [_service(state, d, query) for d in domains]
    last = [
        _link("feeds", _("Feeds"), query),
        _link("exports", _("Exports"), query),
        _link("council", _("Council"), query, nav="away"),
        _link("public", _("Residents"), query, nav="away"),
    ]
    return [*first, *middle, *last]


def _headlines(domain: Domain) -> str:
    return " ".join(k.id for k in domain.kpis if k.headline)


def _service(state: Mapping[str, Any], domain: Domain, query: Mapping[str, Any] | None) -> html.A:
    """A domain's link of the menu, with its state as a shape and, for whoever hears it, in words."""
    status, words = standing(state, domain), standing_words(state, domain)
    mark = html.Span(className="mark-only", title=words, **props({"data-state": status}))
    heard = html.Span(f", {words.lower()}", className="visually-hidden", **props({"data-f": "word"}))
    link = _link(domain.name, _(domain.title), query)
    link.children += [mark, heard]
    for name, value in {"data-standing": domain.name, "data-headlines": _headlines(domain)}.items():
        setattr(link, name, value)
    return link


def _link(path: str, title: str, query: Mapping[str, Any] | None, *, nav: str = "keep") -> html.A:
    """A link of the menu; `nav`: how the page's script follows it (see assets/page.js)."""
    return html.A(
        [html.Span(title)], href=glass.href(path, **(query or {})), className="nav-item", **props({"data-nav": nav})
    )


def header(state: Mapping[str, Any]) -> html.Header:
    """Town, data as of, clock, live badge and theme switch."""
    town = glass.town()
    return html.Header(
        [
            html.A(town.name, href=glass.href(""), className="town", **props({"data-nav": "keep"})),
            html.Span(_("Demonstration town"), className="demo", hidden=not state["town"].get("demo")),
            html.Span([_("Data as of"), " ", html.B(built(state), **props({"data-f": "built"}))], className="as-of"),
            clock(),
            badge(),
            languages(),
            news_page.link(),
            *_person(),
            html.Button(
                _("Theme"),
                className="btn btn-sm btn-quiet needs-script",
                id="shell-theme",
                type="button",
                title=_("Change between light and dark"),
            ),
        ],
        className="top",
    )


def badge() -> html.Span:
    """Whether the figures are live; kept current by the page's script."""
    look = {"data-mode": "wait", "data-room": _("Connecting"), "id": "shell-live"}
    return html.Span(_("Connecting"), className="live", role="status", **props(look))


def clock() -> html.Span:
    """The town's time, with what the page's scripts need to know of the town."""
    town = glass.town()
    given = {
        "id": "shell-clock", "data-zone": town.zone, "data-wards": _wards(),
        "data-units": orjson.dumps({name: wording.unit(name) for name in wording.UNITS}).decode(),
    }  # fmt: skip
    return html.Span(
        [
            html.B(_seconds(datetime.now(UTC).isoformat(), town.zone), **props({"data-f": "now"})),
            f" {wording.zone_name(town.zone)}",
        ],
        className="clock",
        title=town.zone,
        **props(given),
    )


def built(state: Mapping[str, Any]) -> str:
    """When the figures were put together, on the town's clock."""
    return _seconds(state["built_at"], glass.town().zone)


def _person() -> list[Any]:
    """Who is signed in, with the way out; or the way in."""
    actor = visitor.current().actor
    if actor.kind == "visitor":
        return [html.A(_("Sign in"), href=glass.href("signin"), className="btn btn-sm btn-quiet", id="shell-person")]
    out = html.Button(_("Sign out"), type="submit", className="btn btn-sm btn-quiet", name="form_token",
                      value=visitor.current().form_token)  # fmt: skip
    name = [html.B(actor.name), html.Span(f" · {_(actor.role or '')}", className="role")]
    own = {"href": glass.href("account"), "title": _("Your account: password and sessions"), "id": "shell-person"}
    return [
        html.A(name, className="person", **props(own)),
        html.Form(out, method="post", action=glass.href("signout"), className="sign-out"),
    ]


def languages() -> html.Details | None:
    """The languages to choose from, each named in itself; nothing where there is only one."""
    here, every = current(), offered()
    if len(every) < 2:
        return None
    items = [
        html.Li(
            html.A(
                tongue.name,
                href=f"?lang={tongue.code}",
                lang=tongue.code,
                dir=tongue.direction,
                **props({"data-nav": "lang", **({"aria-current": "true"} if tongue == here else {})}),
            )
        )
        for tongue in every
    ]
    label = html.Summary([html.Span(_("Language"), className="visually-hidden"), html.Span(here.name)])
    return html.Details([label, html.Ul(items)], className="languages", id="shell-languages")


def _wards() -> str:
    wards = glass.town().wards()
    return orjson.dumps(dict(zip(wards["ward"].to_list(), wards["name"].to_list(), strict=True))).decode()


def _seconds(at: str | None, zone: str) -> str:
    instant = wording.moment(at)
    return current().digits(f"{instant.astimezone(ZoneInfo(zone)):%H:%M:%S}") if instant else _("nothing yet")


def frame(state: Mapping[str, Any], content: Any, query: Mapping[str, Any] | None = None) -> html.Div:
    """The whole screen around a page's content."""
    links = navigation(state, query)
    return html.Div(
        [
            html.A(_("Skip to the content"), href="#content", className="skip"),
            header(state),
            html.Div(className="not-live", id="shell-banner", role="alert", hidden=True),
            html.Nav(
                [
                    html.Details(
                        [html.Summary(_("Menu")), html.Div(links, className="nav-items")], className="nav-phone"
                    ),
                    html.Div(links, className="nav-wide"),
                ],
                className="side",
                **props({"aria-label": _("Pages")}),
            ),
            html.Main(content, id="content", className="content", tabIndex=-1),
        ],
        className="shell",
    )


def layout() -> html.Div:
    """The Dash layout: the frame with an empty place for the page."""
    return frame(glass.state(), [page_container, dcc.Store(id="shell-quiet")])
