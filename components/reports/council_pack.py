"""The monthly council pack of a town or a ward: sentences, targets, months, wards, corrections, and what is unknown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from components import council_months, council_said, glass, kpi_tile, said, shell, wording
from components.address import View, ward_names
from components.domain_page import headlines, mapped
from components.reports import drawn
from components.reports.period import Period, board
from components.tongue import N_, _, current
from components.ward_bars import ordered
from pipelines.engine.composites import sides
from pipelines.engine.model import Column, Domain, Kpi
from pipelines.engine.stepped import by_step

State = Mapping[str, Any]
MOST_CORRECTIONS = 25
PROMISES = {"kept": N_("Kept"), "missed": N_("Missed"), "unknown": N_("Cannot be told")}
COLUMNS = (
    Column(name="kpi", meaning="KPI id."),
    Column(name="domain", meaning="Domain."),
    Column(name="area", meaning="town or ward:<id>."),
    Column(name="month", meaning="Month of the town's calendar."),
    Column(name="unit", meaning="Unit of the values."),
    Column(name="value", kind="number", meaning="Mean of the values published in the month; empty = too few known."),
    Column(name="last_month", kind="number", meaning="The same of the month before."),
    Column(name="year_ago", kind="number", meaning="The same of this month a year before."),
    Column(name="at_the_end", kind="number", meaning="What the board said when the month was over."),
    Column(name="target", kind="number", meaning="Target in force."),
    Column(name="promise", meaning="kept, missed or unknown, by what the board said when the month was over."),
    Column(name="coverage", kind="number", meaning="Mean share of what was expected that arrived, 0 to 1."),
    Column(name="corrections", kind="integer", meaning="Published values of it that were corrected in the month."),
)


def pack(period: Period, ward: str) -> dict[str, Any]:
    """Everything that stands on the paper, in the current language."""
    town, names = glass.town(), ward_names()
    state, area = board(period), f"ward:{ward}" if ward else "town"
    lines = [line for domain in town.domains for line in _lines(domain, area, period)]
    fixed = corrections(period, area)
    return {
        "kind": "council", "title": _("Council pack"), "town": town.name, "place": names.get(ward, ""),
        "period": period.spoken(), "running": "" if period.is_over else _("The month is not over: figures so far."),
        **_said(state, area, ward, names),
        "heads": {
            "short": _("In short"), "targets": _("Targets kept and missed"), "months": _("The month against others"),
            "wards": _("Wards side by side"), "days": _("Day by day"), "corrections": _("Corrected in this month"),
            "against": _("{ward} against the town", ward=names[ward]) if ward else _("Best and worst wards"),
        },
        "months": _months(lines, period), "days": [day for line in lines if (day := _days(line, period))],
        "bars": [bars for domain in town.domains if state and (bars := _bars(state, domain, names, ward))],
        "corrections": _corrections(fixed, names), "none_corrected": _("No published value was corrected."),
        "foot": _foot(),
    }  # fmt: skip


def _said(state: State | None, area: str, ward: str, names: Mapping[str, str]) -> dict[str, Any]:
    """The sentences, by the rules of the council's page, over the board at the end of the period."""
    if state is None:
        unsaid = _("What the board said when the month was over is not on record; the months below are.")
        return {"short": unsaid, "parts": [], "against": [], "promises": []}
    domains = glass.town().domains
    rows = council_said.promises(state, domains, area)
    local = [kpi for domain in domains for kpi in council_said.judged(domain) if "ward" in kpi.levels]
    found = [words for kpi in local if (words := council_said.compared(state, kpi, names, ward))]
    return {
        "short": council_said.in_short(rows),
        "parts": [_part(state, domain, names) for domain in domains],
        "against": [words.striptags() for words in found],
        "promises": [_promise(one) for one in rows],
    }


def _part(state: State, domain: Domain, names: Mapping[str, str]) -> dict[str, Any]:
    told = [
        council_said.wards_that_keep(state, kpi, names)
        if "ward" in kpi.levels
        else said.sentence(kpi, kpi_tile.row_of(state, kpi, "town"), "town", glass.town().now()).striptags()
        for kpi in council_said.judged(domain)
    ]
    status = shell.standing(state, domain)
    return {"title": _(domain.title), "state": wording.state(status), "status": status, "said": told}


def _promise(one: Mapping[str, Any]) -> dict[str, str]:
    row = one["row"]
    why = f" ({wording.reason(row)})" if row["value"] is None else ""
    return {
        "title": _(one["kpi"].title), "domain": _(one["domain"].title), "promise": _(PROMISES[one["promise"]]),
        "status": one["promise"], "figure": one["figure"].striptags() + why, "aim": wording.aim(row),
        "where": wording.area(one["area"], ward_names()),
    }  # fmt: skip


# months and days


def _lines(domain: Domain, area: str, period: Period) -> list[dict[str, Any]]:
    """The headline KPIs of a domain with their published values in the month, and in those it is held against."""
    known = [kpi for kpi in headlines(domain) if kpi.window.step not in council_months.YEARLY]
    found = []
    for kpi in known:
        shown = kpi_tile.area_for(kpi, area)
        found.append(_line(kpi, domain, shown, _read(kpi, period, [shown])))
    return found


Months = Mapping[str, tuple[datetime, datetime, pl.DataFrame]]


def _read(kpi: Kpi, period: Period, areas: Sequence[str] | None) -> Months:
    """Begin, end and published values of the month, of the one before, and of the same a year ago."""
    this, last, ago = council_months.starts(period.start, glass.town().zone)
    spans = {"this": (this, period.until), "last": (last, this), "ago": (ago, council_months.after(ago))}
    return {name: (*span, glass.town().history(kpi.id, areas, *span)) for name, span in spans.items()}


def _line(kpi: Kpi, domain: Domain, area: str, months: Months) -> dict[str, Any]:
    own = {name: (start, end, rows.filter(area=area)) for name, (start, end, rows) in months.items()}
    told = {name: council_months.judged(kpi, rows, start, end) for name, (start, end, rows) in own.items()}
    return {"kpi": kpi, "domain": domain, "area": area, "rows": own["this"][2], **told}


def _months(lines: Sequence[Mapping[str, Any]], period: Period) -> dict[str, Any]:
    if not lines:
        return {"heads": [], "rows": []}
    heads = [council_months.name(lines[0][which]) for which in ("this", "last", "ago")]
    return {"heads": [_("Figure"), *heads, _("Share that arrived")], "rows": [_month_row(line) for line in lines]}


def _month_row(line: Mapping[str, Any]) -> dict[str, Any]:
    kpi, this = line["kpi"], line["this"]
    cells = [{"figure": council_months.shown(kpi, this), "against": ""}]
    cells += [
        {"figure": council_months.shown(kpi, line[which]), "against": council_months.difference(kpi, this, line[which])}
        for which in ("last", "ago")
    ]
    arrived = _share(_coverage(line["rows"]))
    return {
        "title": _(kpi.title),
        "where": wording.area(line["area"], ward_names()),
        "cells": cells,
        "arrived": arrived,
    }


def _coverage(rows: pl.DataFrame) -> float | None:
    mean = rows["coverage"].mean()
    return float(mean) if isinstance(mean, float) else None


def _share(share: float | None) -> str:
    return wording.DASH if share is None else f"{wording.number(int(100 * share), 0)} %"


def _days(line: Mapping[str, Any], period: Period) -> dict[str, Any] | None:
    """The KPI day by day; None where a month has too few points for a line."""
    kpi, zone = line["kpi"], glass.town().zone
    steps = by_step(line["rows"], "day", kpi.min_coverage, zone) if line["rows"].height else pl.DataFrame()
    if steps.height < 3:
        return None
    every = pl.datetime_range(period.start, period.until, "1d", time_zone=zone, closed="left", eager=True)
    known = dict(steps.select("window", "value").iter_rows())
    values = [known.get(at) for at in every.dt.convert_time_zone("UTC")]
    if all(value is None for value in values):
        return None
    aim = kpi.target if kpi.better != "context" else None
    low, high = drawn.bounds(values, aim)
    return {
        "title": _(kpi.title), "svg": drawn.line(values, aim), "unit": wording.unit(kpi.unit),
        "low": wording.number(low, kpi.decimals), "high": wording.number(high, kpi.decimals),
        "alt": _("{title}: from {low} to {high} {unit}", title=_(kpi.title), unit=wording.unit(kpi.unit),
                 low=wording.number(low, kpi.decimals), high=wording.number(high, kpi.decimals)),
    }  # fmt: skip


# wards


def _bars(state: State, domain: Domain, names: Mapping[str, str], ward: str) -> dict[str, Any] | None:
    kpi = mapped(domain, View(), state)
    if kpi is None:
        return None
    found = ordered(sides(glass.town(), state, kpi))
    values = [abs(side.value) for _begins, side in found if side.value is not None]
    if not values:
        return None
    top = max([*values, abs(kpi.target or 0), 1e-9]) * 1.08
    rows = [
        {"name": names.get(side.ward, side.ward), "chosen": side.ward == ward, "begins": begins,
         "share": 0.0 if side.value is None else abs(side.value) / top,
         "value": wording.number(side.value, kpi.decimals),
         "state": wording.state(kpi_tile.row_of(state, kpi, f"ward:{side.ward}")["status"])}
        for begins, side in found
    ]  # fmt: skip
    aim = abs(kpi.target) / top if kpi.target is not None and kpi.better != "context" else None
    return {"title": _(kpi.title), "unit": wording.unit(kpi.unit), "rows": rows, "aim": aim}


# corrections


def corrections(period: Period, area: str) -> pl.DataFrame:
    """The corrections that were told in the period, of the town or of one ward, newest first."""
    rows = glass.town().corrections(period.start, period.until)
    wanted = pl.col("area") == area if area != "town" else pl.col("area").str.contains("^(town|ward:)")
    return rows.filter(wanted).reverse()


def _corrections(rows: pl.DataFrame, names: Mapping[str, str]) -> dict[str, Any]:
    kpis = {kpi.id: kpi for domain in glass.town().domains for kpi in domain.kpis}
    known = rows.filter(pl.col("kpi").is_in(list(kpis)))
    told = [_corrected(row, kpis[row["kpi"]], names) for row in known.head(MOST_CORRECTIONS).iter_rows(named=True)]
    left = known.height - len(told)
    return {
        "said": told,
        "more": _("And {n} more; the list stands in the export of corrections.", n=wording.number(left, 0))
        if left
        else "",
    }


def _corrected(row: Mapping[str, Any], kpi: Kpi, names: Mapping[str, str]) -> str:
    before, after = (
        _("unknown") if row[name] is None else wording.with_unit(row[name], kpi.decimals, kpi.unit)
        for name in ("before", "after")
    )
    when = wording.span(row["window"], row["end"], glass.town().zone)
    where = wording.area(row["area"], names)
    return _(
        "{title}, {where}, {when}: {after}, was {before}.", title=_(kpi.title), where=where, when=when, after=after,
        before=before,
    )  # fmt: skip


def _foot() -> str:
    now, zone = glass.town().now(), glass.town().zone
    made = f"{said.day(now, zone)} {current().digits(wording.clock(now, zone, now))}"
    return _("Made {made} {zone}, definitions {version}.", made=made, zone=wording.zone_name(zone, now),
             version=glass.town().definitions)  # fmt: skip


# the same figures as rows


def figures(period: Period, ward: str) -> pl.DataFrame:
    """The figures of the pack as rows (COLUMNS): of the town and every ward, or of one ward."""
    areas = [f"ward:{ward}"] if ward else ["town", *(f"ward:{name}" for name in ward_names())]
    state, rows = board(period) or glass.EMPTY, []
    fixed = glass.town().corrections(period.start, period.until)
    for domain in glass.town().domains:
        for kpi in headlines(domain):
            own = [area for area in areas if kpi_tile.area_for(kpi, area) == area]
            if own and kpi.window.step not in council_months.YEARLY:
                months = _read(kpi, period, own)
                rows += [_figure(_line(kpi, domain, area, months), state, fixed, period.label) for area in own]
    return pl.DataFrame(rows, schema={column.name: KIND[column.kind] for column in COLUMNS}, orient="row")


KIND = {"text": pl.String(), "number": pl.Float64(), "integer": pl.Int64()}


def _figure(line: Mapping[str, Any], state: State, fixed: pl.DataFrame, label: str) -> list[Any]:
    kpi, row = line["kpi"], kpi_tile.row_of(state, line["kpi"], line["area"])
    promise = said.promise(row) if said.judged(kpi) else None
    corrected = fixed.filter(kpi=kpi.id, area=line["area"]).height
    months = [line[which].value for which in ("this", "last", "ago")]
    return [
        kpi.id, line["domain"].name, line["area"], label, kpi.unit, *months, row["value"], kpi.target, promise,
        _coverage(line["rows"]), corrected,
    ]  # fmt: skip
