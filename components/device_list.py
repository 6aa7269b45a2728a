"""Devices as people see them: when each was last heard, what was lost, its battery, its link, its clock."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from dash import html

from components import glass, visitor, wording
from components.kpi_tile import csv_link
from components.props import props
from components.tongue import N_, _

MOST_LINES = 50
NOTHING = pl.DataFrame()
CLOCK_HEAD = (N_("Sensor"), N_("At"), N_("Clock"), N_("Since"))
HEAD = (N_("Device"), N_("Last heard"), N_("Frames"), N_("Lost"), N_("Restarts"), N_("Battery"), N_("Signal"))


def devices() -> list[Any]:
    """Heading and table of the devices heard in a day or offline, the worst first; nothing where there are none.

    Nor for visitors: which devices hang where, and how weak their links are, is for those who look after them.
    """
    actor = visitor.current().actor
    found = glass.town().devices(actor) if actor.may_everywhere("read") else NOTHING
    if found.is_empty():
        return []
    ranked = found.with_columns(share=_share()).sort(
        pl.col("offline_since").is_null(), pl.col("battery_pct").fill_null(100) >= 20, -pl.col("share"), "device"
    )
    top = html.Thead(html.Tr([html.Th(text, scope="col") for text in map(_, HEAD)]))
    body = html.Tbody([_line(row) for row in ranked.head(MOST_LINES).iter_rows(named=True)])
    shown = " " + _("The first {n} are shown.", n=MOST_LINES) if found.height > MOST_LINES else ""
    words = _("{devices}: offline, low on battery and lossy ones first.", devices=wording.count(found.height, "device"))
    link = csv_link(glass.href("api/v1/tables/device_reports", format="csv"), _("messages of devices"))
    table = html.Div(html.Table([top, body], className="table table-quiet"), className="table-wrap")
    foot = html.Div(link, className="panel-foot")
    return [
        html.H2(_("Devices"), className="section"),
        html.Section([html.P(words + shown, className="sub"), table, foot], className="panel"),
    ]


def clocks() -> list[Any]:
    """Heading and table of the sensors whose clock is off, the worst first; nothing for visitors."""
    actor = visitor.current().actor
    found = glass.town().clocks(actor) if actor.may("read") else NOTHING
    if found.is_empty():
        return []
    top = html.Thead(html.Tr([html.Th(text, scope="col") for text in map(_, CLOCK_HEAD)]))
    body = html.Tbody([_clock_line(row) for row in found.head(MOST_LINES).iter_rows(named=True)])
    shown = " " + _("The first {n} are shown.", n=MOST_LINES) if found.height > MOST_LINES else ""
    words = _(
        "{sensors} whose clock is off, told from how long readings take to come. "
        "Their times are kept as they were sent: set the clocks, or let them fetch the time.",
        sensors=wording.count(found.height, "sensor"),
    )
    link = csv_link(glass.href("api/v1/tables/sensor_clocks", format="csv"), _("what was found of clocks"))
    table = html.Div(html.Table([top, body], className="table table-quiet"), className="table-wrap")
    foot = html.Div(link, className="panel-foot")
    return [
        html.H2(_("Device clocks"), className="section"),
        html.Section([html.P(words + shown, className="sub"), table, foot], className="panel"),
    ]


def _clock_line(row: Mapping[str, Any]) -> html.Tr:
    cells = (row["sensor"], row["asset"], row["words"], wording.clock(row["judged_at"], glass.town().zone))
    return html.Tr(
        [html.Td(text, **props({"data-label": _(name)})) for name, text in zip(CLOCK_HEAD, cells, strict=True)]
    )


def _share() -> pl.Expr:
    """The share of a device's frames that was lost."""
    return (pl.col("lost") / (pl.col("frames") + pl.col("lost"))).fill_nan(0.0).fill_null(0.0)


def _line(row: Mapping[str, Any]) -> html.Tr:
    heard = _("{age} ago", age=wording.age_of(row["last_seen_at"], glass.town().now())) if row["last_seen_at"] else ""
    if row["offline_since"]:
        heard = _("offline since {clock}", clock=wording.clock(row["offline_since"], glass.town().zone))
    battery = "" if row["battery_pct"] is None else f"{wording.number(row['battery_pct'], 0)} %"
    cells = (
        row["device"],
        heard,
        "" if row["frames"] is None else wording.number(row["frames"], 0),
        f"{row['lost']:,} ({100 * row['share']:.0f} %)" if row["lost"] else "",
        str(row["resets"] or ""),
        battery,
        _signal(row),
    )
    return html.Tr([html.Td(text, **props({"data-label": _(name)})) for name, text in zip(HEAD, cells, strict=True)])


def _signal(row: Mapping[str, Any]) -> str:
    if row["rssi_dbm"] is None:
        return ""
    gateways = wording.count(row["gateways"], "gateway")
    return _("{n} dBm at the best of {gateways}", n=wording.number(row["rssi_dbm"], 0), gateways=gateways)
