"""A declared picture on a page: title, sentence, drawing, how old and how complete, its rows as a table and a file."""

import logging
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from html import escape
from typing import Any

from dash import html

from components import glass, visitor, wording
from components.address import View
from components.drawing import Drawing
from components.drawn.form import drawing, key, room
from components.drawn.sheet import decimals_of, spoken
from components.first_paint import to_html
from components.fold import fold
from components.kpi_tile import chip, csv_link
from components.lately import Lately
from components.props import props
from components.tongue import _, current, n_
from pipelines.engine.gallery import Shown
from pipelines.engine.model import Column, Domain
from pipelines.engine.people.roles import Forbidden
from pipelines.engine.picture import STATE, Amount, Fact, Picture, Said

# The first ones, which a phone shows as well; it folds the others.
UNFOLDED = 2
# So many rows stand in the table of a page; the file has all of them.
MOST_ROWS = 40
KEPT_S, MOST_KEPT = 600.0, 240
# A picture that is made with each snapshot is asked for again after so long, not with every beat.
SOONEST_S = 10
PATTERNS = (
    '<svg class="d-patterns" aria-hidden="true" width="0" height="0"><defs>'
    '<pattern id="d-breach" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" class="d-breach-low"/><rect width="3.4" height="6" class="d-breach-high"/></pattern>'
    '<pattern id="d-breach-soft" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" class="d-breach-low"/><rect width="1.1" height="6" class="d-breach-high"/></pattern>'
    '<pattern id="d-watch" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" class="d-watch-low"/><circle cx="3" cy="3" r="1.7" class="d-watch-high"/></pattern>'
    '<pattern id="d-stale" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<rect width="6" height="6" class="d-stale-low"/><rect width="1.6" height="6" class="d-stale-high"/></pattern>'
    "</defs></svg>"
)
log = logging.getLogger("townboard")
_kept: Lately[str] = Lately(KEPT_S, MOST_KEPT)


def pictures(domain: Domain, view: View) -> html.Div | None:
    """The pictures of a domain, as the visitor may see them; nothing where it declares none."""
    if not domain.pictures:
        return None
    panels = [_panel(domain, picture, view) for picture in domain.pictures]
    first = html.Div([Drawing(PATTERNS, "d-patterns"), *panels[:UNFOLDED]], className="pictures")
    rest = html.Div(panels[UNFOLDED:], className="pictures")
    return html.Div([first, fold(_("Further pictures"), rest)] if panels[UNFOLDED:] else first)


def _panel(domain: Domain, picture: Picture, view: View) -> html.Section:
    every = max(SOONEST_S, int(picture.every.total_seconds()) if picture.every else 0)
    ward, days = view.ward if picture.by_ward else None, view.days if picture.longest else None
    data = {
        "data-picture": glass.href(f"pictures/{domain.name}/{picture.id}", ward=ward, days=days), "data-every": every,
        "data-file": picture.id,
    }  # fmt: skip
    try:
        actor = visitor.current().actor
        shown = glass.town().pictures.show(domain.name, picture.id, ward=ward, days=days, actor=actor)
        inside, wide = markup(domain, shown, view), room(shown)
    except Forbidden as refused:
        inside, wide = _closed(picture, refused), "narrow"
    except Exception:
        # One that fails leaves the others and the rest of the page as they are.
        log.exception("the picture %s of %s could not be made", picture.id, domain.name)
        inside, wide = _failed(picture), "narrow"
    return html.Section(
        Drawing(inside, "picture-in"), className=f"panel picture {wide}", id=f"picture-{picture.id}", **props(data)
    )


def _closed(picture: Picture, refused: Forbidden) -> str:
    """The place of a picture that this visitor may not see: what it would show, and what to do."""
    way = "" if refused.known else f' <a href="{escape(glass.href("signin"))}">{escape(_("Sign in"))}</a>'
    words = _("Only people of the town's offices see this.")
    return f'{_head(picture)}<p class="d-empty">{escape(words)}{way}</p>'


def _failed(picture: Picture) -> str:
    words = _("This could not be drawn. The rest of the page is not touched by it; tell whoever looks after Townboard.")
    return f'{_head(picture)}<p class="d-empty" data-part="drawn">{escape(words)}</p>'


def markup(domain: Domain, shown: Shown, view: View) -> str:
    """Everything inside the panel; made once for each language, ward and span as long as nothing changes."""
    about = (
        glass.binding(),
        domain.name,
        shown.picture.id,
        view.ward,
        view.days,
        shown.seq,
        shown.made_at,
        current().code,
    )
    return _kept.of(about, lambda: _markup(domain, shown, view))


def _markup(domain: Domain, shown: Shown, view: View) -> str:
    sentence = told(shown)
    drawn = drawing(shown)
    name = escape(f"{_(shown.picture.title)}. {sentence}")
    # A wide diagram may be scrolled on a phone, also by keyboard.
    box = f'<div class="drawn" data-part="drawn" role="img" aria-label="{name}" tabindex="0">{drawn}</div>'
    empty = f'<p class="d-empty" data-part="drawn">{escape(_("There is nothing to draw."))}</p>'
    return (
        f'{_head(shown.picture)}<p class="d-said" data-part="said">{escape(sentence)}</p>{box if drawn else empty}'
        f'<div data-part="key">{key(shown) if drawn else ""}</div>'
        f'<p class="d-facts sub" data-part="facts">{_facts(shown)}</p>'
        f'<details class="explain d-table"><summary>{escape(_("As a table"))}</summary>'
        f'<div class="table-wrap" data-part="table" tabindex="0">{_table(shown, domain)}</div></details>'
        f"{_foot(domain, shown, view)}"
    )


def _head(picture: Picture) -> str:
    source = to_html(html.Span(picture.source, lang="en", dir="ltr"))
    return (
        f'<div class="d-head-box"><h2>{escape(_(picture.title))}</h2><p class="sub">{escape(_(picture.plain))}</p>'
        f'<p class="d-source sub" hidden>{source}</p></div>'
    )


def told(shown: Shown) -> str:
    """What the numbers say, in sentences, and what was kept back."""
    words = [sentence(one) for one in shown.said]
    if shown.hidden:
        least = wording.number(shown.picture.floor.least if shown.picture.floor else 0, 0)
        few = n_("{n} line has", "{n} lines have", shown.hidden)
        words.append(_("{lines} fewer than {least} cases, too few to tell a share.", lines=few, least=least))
    if shown.left_off:
        words.append(n_("{n} further row is not drawn.", "{n} further rows are not drawn.", shown.left_off))
    return " ".join(words)


def sentence(one: Said) -> str:
    """A sentence in the reader's language, its values written as people read them."""
    values = {name: fact(value) for name, value in one.values.items()}
    if one.many is None:
        return _(one.words).format_map(values)
    number = one.values["n"]
    del values["n"]
    return n_(one.words, one.many, number if isinstance(number, int) else 0, **values)


def fact(value: Fact) -> str:
    """A value as it stands in a sentence."""
    if value is None:
        return _("unknown")
    return next(write(value) for kind, write in WRITERS if isinstance(value, kind))


# In this order: an instant is a day too, and an amount is a tuple of its own.
WRITERS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (Amount, lambda one: wording.with_unit(one.value, one.decimals, one.unit)),
    (str, spoken),
    (datetime, lambda at: wording.clock(at, glass.town().zone)),
    (date, lambda day: current().day(day, "MMMd")),
    (timedelta, lambda length: wording.age(length.total_seconds())),
    (bool, lambda yes: _("yes") if yes else _("no")),
    (int, lambda n: wording.number(n, 0)),
    (float, lambda n: wording.number(n, 1)),
)


def _facts(shown: Shown) -> str:
    """How old and how complete it is."""
    parts = []
    if shown.as_of:
        age = f'<span data-age="{shown.as_of.isoformat()}">{escape(wording.age_of(shown.as_of, shown.made_at))}</span>'
        clock = escape(wording.clock(shown.as_of, glass.town().zone, shown.made_at))
        parts.append(_("as of {clock}, {age} old", clock=clock, age=age))
    if shown.coverage is not None:
        parts.append(escape(wording.coverage(shown.coverage)))
    return " · ".join(parts)


def _foot(domain: Domain, shown: Shown, view: View) -> str:
    asked = {"ward": view.ward if shown.picture.by_ward else None, "days": view.days if shown.picture.longest else None}
    address = glass.href(f"api/v1/pictures/{domain.name}/{shown.picture.id}", format="csv", **asked)
    link = to_html(csv_link(address, _(shown.picture.title)))
    words = _("Download picture")
    name = escape(f"{words}: {_(shown.picture.title)}")
    looks = 'type="button" class="as-link needs-script" data-save'
    save = f'<button {looks} aria-label="{name}">{escape(words)}</button>'
    return f'<div class="panel-foot d-foot">{link}{save}</div>'


def _table(shown: Shown, domain: Domain) -> str:
    columns = shown.picture.columns
    rated = STATE in shown.rows.columns
    names = [_heading(one) for one in columns] + ([_("State")] if rated else [])
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    links = _links(domain)
    body = "".join(
        f"<tr>{_cells(row, columns, links)}{_state(row[STATE]) if rated else ''}</tr>"
        for row in shown.rows.head(MOST_ROWS).iter_rows(named=True)
    )
    rest = shown.rows.height - MOST_ROWS
    more = n_("{n} more row is in the CSV.", "{n} more rows are in the CSV.", rest) if rest > 0 else ""
    caption = f'<p class="sub">{escape(more)}</p>' if more else ""
    return f'<table class="table table-quiet raw"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{caption}'


def _heading(declared: Column) -> str:
    unit = wording.unit(declared.unit or "")
    return f"{_(declared.meaning)} ({unit})" if unit else _(declared.meaning)


def _links(domain: Domain) -> dict[str, str]:
    """Columns whose values have a page of their own."""
    numbers = {table.complaints.number: "request/" for table in domain.tables if table.complaints}
    return {"asset": "asset/", **numbers}


def _cells(row: dict[str, Any], columns: Sequence[Column], links: dict[str, str]) -> str:
    return "".join(_cell(row[one.name], one, links.get(one.name)) for one in columns)


def _cell(value: Any, declared: Column, link: str | None) -> str:
    if declared.kind in ("number", "integer"):
        return f'<td class="num">{escape(wording.number(value, decimals_of(declared, value)))}</td>'
    words = wording.DASH if value is None else fact(value)
    if link and value is not None:
        return f'<td><a data-nav="keep" href="{escape(glass.href(f"{link}{value}"))}">{escape(words)}</a></td>'
    return f"<td>{escape(words)}</td>"


def _state(state: str | None) -> str:
    return f"<td>{to_html(chip(state or 'no data'))}</td>"
