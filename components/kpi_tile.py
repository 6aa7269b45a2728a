"""One KPI on screen: tile, table row, and the answer to "how is this computed?"."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from components import glass, wording
from components.drawing import Drawing, bars, spark
from components.first_paint import FIRST
from components.props import props
from components.tongue import N_, _
from pipelines.engine.model import Kpi

Row = Mapping[str, Any]
TABLE_COLUMNS = ("kpi", "value", "state", "target", "before", "as-of", "arrived")
NO_LINE = N_("too few earlier values for a line")
NO_LINE_WARD = N_("the line is drawn for the whole town only")


def row_of(state: Mapping[str, Any], kpi: Kpi, area: str) -> dict[str, Any]:
    """The KPI's row for this area; one without a value when the line has published none."""
    blank: dict[str, Any] = {
        "value": None,
        "unit": kpi.unit,
        "decimals": kpi.decimals,
        "target": kpi.target,
        "better": kpi.better,
        "status": "no data",
        "reason": "no_data",
        "as_of": None,
        "coverage": None,
        "spark": [],
    }
    return {**blank, **(state["kpis"].get(f"{kpi.id}|{area}") or {})}


def area_for(kpi: Kpi, area: str) -> str:
    """The chosen area where the KPI knows its level, the town where it does not."""
    return area if area.partition(":")[0] in kpi.levels else "town"


def chip(status: str, **data: object) -> html.Span:
    """A state as shape and word."""
    return html.Span(
        wording.state(status), className="chip", **props({"data-state": status, "data-f": "state", **data})
    )


def csv_link(address: str, what: str, text: str = N_("Download CSV")) -> html.A:
    """The link under every table and chart that downloads exactly what it shows."""
    name = _(text)
    return html.A(name, href=address, className="csv", download="", **props({"aria-label": f"{name}: {what}"}))


def tiles(state: Mapping[str, Any], kpis: Sequence[Kpi], area: str, wards: Mapping[str, str]) -> html.Section:
    """The headline tiles in as many columns as fit, so that no row is left with a lone one where it can be helped."""
    n = max(1, len(kpis))
    columns = {"--wide": n if n <= 8 else 6, "--desk": n if n <= 5 else 3 if n in (6, 9) else 4}
    return html.Section(
        [tile(state, kpi, area, wards) for kpi in kpis],
        className="tiles headline",
        style=columns,
        **props({"aria-label": _("Headline KPIs"), FIRST: "yes"}),
    )


def tile(
    state: Mapping[str, Any],
    kpi: Kpi,
    area: str = "town",
    wards: Mapping[str, str] | None = None,
    *,
    link: bool = True,
) -> html.Article:
    """The KPI's tile: value, unit, target, state, trend, age, completeness, sparkline and explanation."""
    shown = area_for(kpi, area)
    row, zone = row_of(state, kpi, shown), glass.town().zone
    where = wording.area(shown, wards) if area != "town" else None
    return html.Article(
        [
            chip(row["status"]),
            html.H3(_(kpi.title)),
            html.Div([_value(row), html.Span(wording.unit(kpi.unit), className="unit")], className="figure"),
            _aim(row, kpi),
            html.P(wording.trend(row), className="trend", **props({"data-f": "trend"})),
            Drawing(line_of(row, kpi), "spark", **props({"data-f": "spark"})),
            _freshness(state, row, zone, where),
            explain(kpi, row, shown) if link else None,
        ],
        className="tile",
        **live(kpi, row, shown),
        **props({"aria-label": wording.sentence(_(kpi.title), row, zone)}),
    )


def line_of(row: Row, kpi: Kpi) -> str:
    """The sparkline, bars for the few values of months and years; the reason in words when there is none."""
    values = list(row.get("spark") or [])
    if len([v for v in values if v is not None]) < 2:
        return f'<p class="no-line">{_(NO_LINE_WARD if row.get("ward") else NO_LINE)}</p>'
    return bars(values, row.get("target")) if wording.month_long(kpi) else spark(values, row.get("target"))


def _aim(row: Row, kpi: Kpi) -> html.P:
    arrow, spoken = {"higher": ("↑", _("higher is better")), "lower": ("↓", _("lower is better"))}.get(
        kpi.better, ("", "")
    )
    mark = html.Span(arrow, title=spoken, className="arrow", role="img", **props({"aria-label": spoken}))
    return html.P([mark if arrow else None, wording.target(row)], className="aim")


def _value(row: Row) -> html.Span:
    return html.Span(
        wording.number(row["value"], int(row["decimals"])), className="value", **props({"data-f": "value"})
    )


def live(kpi: Kpi, row: Row, area: str) -> Any:
    """What the page's script needs to know to keep this KPI current."""
    return {
        "data-kpi": f"{kpi.id}|{area}",
        "data-state": row["status"],
        "data-every": wording.interval_s(kpi),
        "data-title": _(kpi.title),
        "data-unit": wording.unit(kpi.unit),
        "data-bars": "yes" if wording.month_long(kpi) else "",
    }


def _freshness(state: Mapping[str, Any], row: Row, zone: str, area: str | None = None) -> html.Div:
    return html.Div(
        [
            html.Span(wording.why(row, state), className="why", **props({"data-f": "why"})),
            when(row, zone),
            html.Span(wording.completeness(row), **props({"data-f": "coverage"})),
            html.Span(wording.corrected(row, zone), className="corrected", **props({"data-f": "corrected"})),
            html.Span(area, className="area") if area else None,
        ],
        className="fresh",
    )


def when(row: Row, zone: str) -> html.Span:
    """The time that the value speaks for; kept current by the page's script."""
    return html.Span(wording.when(row, zone), className="when", **props({"data-f": "when"}))


def in_english(text: str) -> html.Span:
    """A formula, a citation or a column's meaning: kept in the words of its source, and marked so."""
    return html.Span(text, lang="en", dir="ltr")


def explain(kpi: Kpi, row: Row, area: str, summary: str = N_("How is this computed?")) -> html.Details:
    """Formula in words, its standard, the inputs of this very value and their export."""
    pairs: list[tuple[str, Any]] = [
        (_("In plain words"), _(kpi.plain)),
        (_("Formula"), in_english(kpi.formula)),
        (_("Standard"), in_english(kpi.standard)),
        (_("Window"), wording.window(kpi)),
        (_("Window of this value"), _window(row)),
        (_("Numerator / denominator"), _fraction(row)),
        (_("Readings used"), _used(row)),
        (_("Answers for it"), kpi.owner or _("nobody is named in town.toml")),
        (_("Catalogue"), kpi.catalogue),
    ]
    terms = [part for name, text in pairs for part in (html.Dt(name), html.Dd(text))]
    whole = html.A(
        _("What was left out, corrections, and the rows behind it"),
        href=glass.href(f"kpi/{kpi.id}", area=area),
        className="whole",
        **props({"data-nav": "keep"}),
    )
    link = glass.href(f"api/v1/kpis/{kpi.id}/history", area=area, format="csv")
    return html.Details(
        [html.Summary(_(summary)), html.Dl(terms), whole, csv_link(link, _("history of {title}", title=_(kpi.title)))],
        className="explain",
    )


def _window(row: Row) -> html.Span:
    zone = glass.town().zone
    text = _(
        "{start} to {end}",
        start=wording.clock(row.get("window_start"), zone),
        end=wording.clock(row.get("window_end"), zone),
    )
    return html.Span(text if row.get("window_start") else wording.DASH, **props({"data-f": "window"}))


def _fraction(row: Row) -> html.Span:
    return html.Span(fraction_words(row), **props({"data-f": "fraction"}))


def fraction_words(row: Row) -> str:
    """Numerator and denominator of a value: "94.00 / 100.00"."""
    if row.get("denominator") is None:
        return _("the formula is no ratio, or there was nothing to divide by")
    return f"{wording.number(row.get('numerator'), 2)} / {wording.number(row['denominator'], 2)}"


def _used(row: Row) -> html.Span:
    return html.Span(used_words(row), **props({"data-f": "used"}))


def used_words(row: Row) -> str:
    """How many observations a value rests on, of how many that were expected."""
    n, expected = row.get("n"), row.get("n_expected")
    if n is None:
        return wording.DASH
    if not expected:
        return wording.number(n, 0)
    return _(
        "{n} of {expected} expected; {missing} did not arrive or were set aside",
        n=wording.number(n, 0),
        expected=wording.number(expected, 0),
        missing=wording.number(max(0, expected - n), 0),
    )


def table(state: Mapping[str, Any], kpis: Sequence[Kpi], area: str) -> html.Div:
    """Further KPIs as a compact table, one a row."""
    head = [_("KPI"), _("Value"), _("State"), _("Target"), _("Against last week"), _("For or as of"), _("Completeness")]
    body = [_table_row(state, kpi, area_for(kpi, area)) for kpi in kpis]
    return html.Div(
        html.Table(
            [html.Thead(html.Tr([html.Th(text, scope="col") for text in head])), html.Tbody(body)],
            className="table table-quiet kpi-table",
        ),
        className="table-wrap",
    )


def _arrived(share: float | None) -> str:
    return wording.DASH if share is None else wording.coverage(share)


def _table_row(state: Mapping[str, Any], kpi: Kpi, area: str) -> html.Tr:
    row, zone = row_of(state, kpi, area), glass.town().zone
    why = wording.why(row, state)
    value: list[Any] = [_value(row), " ", html.Span(wording.unit(kpi.unit), className="unit")]
    cells = [
        html.Td([html.Span(_(kpi.title), className="name"), explain(kpi, row, area, N_("How?"))]),
        html.Td(
            [html.Span(value, className="nowrap"), html.Small(why, className="why", **props({"data-f": "why"}))],
            className="num",
        ),
        html.Td(chip(row["status"])),
        html.Td(wording.aim(row) or wording.target(row)),
        html.Td(wording.trend(row), **props({"data-f": "trend"})),
        html.Td(when(row, zone)),
        html.Td(_arrived(row.get("coverage")), **props({"data-f": "coverage"})),
    ]
    labels = ["", _("Value"), _("State"), _("Target"), _("Last week"), _("As of"), _("Completeness")]
    for cell, label, column in zip(cells, labels, TABLE_COLUMNS, strict=True):
        setattr(cell, "data-label", label)
        setattr(cell, "data-col", column)
    return html.Tr(cells, **live(kpi, row, area))
