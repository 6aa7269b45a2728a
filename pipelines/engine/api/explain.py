"""All that is known about one KPI value: formula, inputs, revisions, rows left out, links to the rows."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import polars as pl
from fastapi import Response

from pipelines.engine.api.answers import answer
from pipelines.engine.asking import Misasked
from pipelines.engine.calendar import length
from pipelines.engine.feeds import of_tables
from pipelines.engine.judge import judge
from pipelines.engine.model import GRAINS, Kpi, Window
from pipelines.engine.town import Town

VALUE = ("value", "numerator", "denominator", "n", "n_expected", "coverage", "reason", "detail")
REVISION = ("revision", *VALUE, "computed_at")
REGISTERS = ("windows", "zone", "wards", "assets", "sensors", "arrivals")
# Rows set aside are counted for windows up to this long; a longer one names the address that lists them.
LONGEST_COUNTED = timedelta(days=32)


def explained(town: Town, kpi: Kpi, area: str, window_end: datetime | None) -> Response:
    """The explanation of a KPI's value in an area, for the current window or one that ended at `window_end`.

    Raises Misasked when nothing is known of that area or window.
    """
    published = _published(town, kpi, area, window_end)
    current = _current(town, kpi, area)
    if window_end is not None and (current is None or current["end"] != window_end):
        current = None
        if published.is_empty():
            raise Misasked(
                f"No value of {kpi.id} was published for {area} and a window that ends at {window_end.isoformat()}. "
                f"/api/v1/kpis/{kpi.id}/history?area={area} lists the windows there are.", 404
            )  # fmt: skip
    value = current or _of_history(published, kpi, town) or _nothing(kpi, area)
    revisions = published.filter(pl.col("window") == value["window"]) if value["window"] else published.clear()
    body = {
        "kpi": kpi.id, **_declared(town, kpi), "area": area,
        "window_start": value.pop("window"), "window_end": value.pop("end"), **value,
        "revisions": revisions.sort("revision").select(REVISION).to_dicts(),
    }  # fmt: skip
    body["inputs"] = _inputs(town, kpi, body)
    body["rows_set_aside"] = _set_aside(town, body)
    body["wards"] = "wards" if "ward" in kpi.levels else None
    body["history"] = f"history?{urlencode({'area': area})}"
    return answer(body)


def _declared(town: Town, kpi: Kpi) -> dict[str, Any]:
    tuning: Mapping[str, Any] = town.settings.tuning.get(kpi.id, {})
    return {
        "domain": town.settings.domain_of(kpi.id), "catalogue": kpi.catalogue, "title": kpi.title, "plain": kpi.plain,
        "formula": kpi.formula, "standard": kpi.standard, "unit": kpi.unit, "scale": kpi.scale,
        "window": spoken_window(kpi.window), "target": kpi.target, "watch": kpi.watch, "better": kpi.better,
        "min_coverage": kpi.min_coverage, "floor": kpi.floor,
        "tunables": [
            {"name": n, "value": _plain(tuning.get(n, default)), "default": _plain(default), "tuned": n in tuning}
            for n, default in kpi.tunables.items()
        ],
    }  # fmt: skip


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def spoken_window(window: Window) -> str:
    """Over which time a KPI is computed, in words."""
    step = window.step.replace("_", " ")
    if window.kind == "calendar":
        return f"each {step} of the town's calendar"
    return f"the {window.hours} hours before each full {step}"


def _published(town: Town, kpi: Kpi, area: str, window_end: datetime | None) -> pl.DataFrame:
    """Revisions of this area: of the window that ended then, or of the newest ones."""
    reach = length(kpi.window) * 2 + timedelta(days=2)
    around = window_end or town.now()
    try:
        start, end = around - reach - (kpi.settles or timedelta(0)), around + reach
    except OverflowError as error:
        raise Misasked("`window_end` lies outside of the calendar. Take one from the history of this KPI.") from error
    rows = town.revisions(kpi.id, [area], start, end)
    return rows.filter(pl.col("end") == window_end) if window_end else rows


def _current(town: Town, kpi: Kpi, area: str) -> dict[str, Any] | None:
    snapshot = town.board()
    row = snapshot.state["kpis"].get(f"{kpi.id}|{area}") if snapshot else None
    if row is None:
        return None
    names = {"window": "window_start", "end": "window_end", "as_of": "as_of"}
    times = {name: datetime.fromisoformat(row[shown]) if row[shown] else None for name, shown in names.items()}
    return {**times, "status": row["status"], **{name: row[name] for name in VALUE}}


def _of_history(published: pl.DataFrame, kpi: Kpi, town: Town) -> dict[str, Any] | None:
    if published.is_empty():
        return None
    row = published.sort("window", "revision").row(-1, named=True)
    status = judge(kpi, row["value"], None, None, town.now())
    return {"as_of": None, "status": status, **{name: row[name] for name in ("window", "end", *VALUE)}}


def _nothing(kpi: Kpi, area: str) -> dict[str, Any]:
    level = area.partition(":")[0]
    reason = "no data in this window yet"
    if level not in kpi.levels:
        reason = f"this KPI is given for {', '.join(kpi.levels)}, not for {level}"
    empty = dict.fromkeys(("window", "end", "as_of", *VALUE))
    return {**empty, "status": "no data", "reason": reason}


def _inputs(town: Town, kpi: Kpi, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the function reads, which feeds fill it, and where its rows can be read."""
    domain = town.domain(body["domain"])
    filled = of_tables(town.settings.feeds.values())
    quantities, tables = {q.name for q in domain.quantities}, {t.name: t for t in domain.tables}
    measuring = {name for name in filled.get("readings", ()) if domain.name in town.settings.feeds[name].domains}
    asked = _asked(kpi, body)
    found = []
    for name in kpi.inputs:
        base, _, grain = name.rpartition("_")
        quantity = base if grain in GRAINS and base in quantities else name
        if quantity in quantities:
            query = {"quantity": quantity, **asked, **_ward(body["area"])}
            found.append(_input(name, "quantity", measuring, f"../../readings?{urlencode(query)}"))
        elif name in tables:
            place = asked if tables[name].time else {}
            found.append(_input(name, "table", filled.get(name, ()), f"../../tables/{name}?{urlencode(place)}"))
        elif name not in REGISTERS or name in ("wards", "assets", "sensors", "arrivals"):
            found.append(_input(name, "register" if name != "arrivals" else "table", (), f"../../tables/{name}"))
    return found


def _ward(area: str) -> dict[str, str]:
    return {"ward": area.removeprefix("ward:")} if area.startswith("ward:") else {}


def _input(name: str, kind: str, feeds: Any, rows: str) -> dict[str, Any]:
    return {"name": name, "kind": kind, "feeds": sorted(feeds), "rows": rows.rstrip("?")}


def _asked(kpi: Kpi, body: Mapping[str, Any]) -> dict[str, str]:
    start, end = body["window_start"], body["window_end"]
    if start is None or end is None:
        return {}
    first = {} if kpi.lookback is None else {"from": (start - kpi.lookback).strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {**first, "to": end.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _set_aside(town: Town, body: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of these feeds that came in this window and could not be taken in."""
    feeds = sorted({feed for source in body["inputs"] for feed in source["feeds"]})
    start, end = body["window_start"], body["window_end"]
    links = [f"../../quarantine?{urlencode({'feed': feed})}" for feed in feeds]
    if start is None or end is None or end - start > LONGEST_COUNTED:
        return {"counted": False, "by_reason": [], "rows": links}
    rows = town.rows("quarantine", start, end).filter(pl.col("feed").is_in(feeds))
    counts = rows.group_by("feed", "reason").agg(rows=pl.len()).sort("feed", "reason")
    return {"counted": True, "by_reason": counts.to_dicts(), "rows": links}
