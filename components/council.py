"""The council's page: sentences first, then the figures behind them; for a phone in a meeting, and for paper."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from components import council_months, council_said, first_paint, glass, kpi_tile, plain, said, shell
from components.address import View, ward_names
from components.asgi import App, Receive, Scope, Send, query
from components.domain_page import headlines, mapped
from components.lately import Lately
from components.tongue import _, current
from components.ward_bars import ward_bars
from pipelines.engine.model import Domain

FRESH_S, MOST_KEPT = 20.0, 100


class Council:
    """The page for council members; what it says is worked out once for all who look at it at the same time."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {"council": plain.read_only(self._council)}
        self._kept: Lately[Markup] = Lately(FRESH_S, MOST_KEPT)

    async def _council(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = query(scope).get("ward", "")
        ward = asked if asked in ward_names() else ""
        body = await asyncio.to_thread(self._kept.of, (ward, current().code), lambda: content(ward))
        whole = await asyncio.to_thread(
            plain.document, _("Council"), body, kept={"ward": ward}, extra=("plain/council.js",)
        )
        return await plain.give(scope, send, whole)


def content(ward: str) -> Markup:
    """What the page says of the town, or of one ward against it."""
    state, names, town = glass.state(), ward_names(), glass.town()
    area, now = f"ward:{ward}" if ward else "town", town.now()
    rows = council_said.promises(state, town.domains, area)
    return plain.content(
        "council.html", state=state, names=names, ward=ward, place=names.get(ward, town.name),
        built=shell.built(state), short=council_said.in_short(rows), rows=rows,
        parts=[_part(state, domain, names, ward) for domain in town.domains],
        months=[line for domain in town.domains for line in _months(domain, area, now)],
        bars=[Markup(first_paint.to_html(_bars(state, domain, names, ward))) for domain in town.domains],
        heads=_heads(now),
    )  # fmt: skip


def _part(state: Any, domain: Domain, names: Mapping[str, str], ward: str) -> dict[str, Any]:
    """A domain in sentences: the wards that miss their targets, and how the chosen one stands."""
    local = [kpi for kpi in council_said.judged(domain) if "ward" in kpi.levels]
    whole = [kpi for kpi in council_said.judged(domain) if "ward" not in kpi.levels]
    against = [words for kpi in local if (words := council_said.compared(state, kpi, names, ward))]
    return {
        "title": _(domain.title),
        "name": domain.name,
        "status": shell.standing(state, domain),
        "standing": shell.standing_words(state, domain),
        "wards": [council_said.wards_that_keep(state, kpi, names) for kpi in local]
        + [said.sentence(kpi, kpi_tile.row_of(state, kpi, "town"), "town", glass.town().now()) for kpi in whole],
        "against": against,
    }


def _bars(state: Any, domain: Domain, names: Mapping[str, str], ward: str) -> Any:
    kpi = mapped(domain, View(), state)
    return ward_bars(state, kpi, names, ward or None) if kpi else None


def _heads(now: datetime) -> Sequence[str]:
    this, last, ago = (council_months.Month(start, None) for start in council_months.starts(now, glass.town().zone))
    return _("{month}, so far", month=council_months.name(this)), council_months.name(last), council_months.name(ago)


def _months(domain: Domain, area: str, now: datetime) -> list[dict[str, Any]]:
    lines = []
    for kpi in headlines(domain):
        shown = kpi_tile.area_for(kpi, area)
        found = council_months.of(kpi, shown, now)
        if found is None:
            continue
        this, last, ago = found
        lines.append({
            "title": _(kpi.title), "whole": area != "town" and shown == "town",
            "cells": [council_months.shown(kpi, month) for month in found],
            "against": ["", council_months.difference(kpi, this, last), council_months.difference(kpi, this, ago)],
        })  # fmt: skip
    return lines
