"""All that is known about one KPI value: formula, inputs, revisions, rows left out, where its rows can be read."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import polars as pl

from pipelines.engine import known
from pipelines.engine.asking import Misasked
from pipelines.engine.calendar import length
from pipelines.engine.correcting import tolerance
from pipelines.engine.equity import interval
from pipelines.engine.judge import standing
from pipelines.engine.left_out import readings_left_out, set_aside
from pipelines.engine.model import Kpi, Window
from pipelines.engine.rows_behind import rows_behind

if TYPE_CHECKING:
    from pipelines.engine.town import Town

VALUE = ("value", "numerator", "denominator", "n", "n_expected", "coverage", "reason", "detail")
REVISION = ("revision", *VALUE, "computed_at")
TOLD = ("corrected_at", "before", "after", "before_status", "after_status", "reason", "said_at", "revision")
NO_OWNER = "nobody is named: write `owner` into [{domain}] or [{domain}.kpis.{kpi}] of town.toml"


def explanation(
    town: "Town", kpi: Kpi, area: str, window_end: datetime | None = None, as_known_at: datetime | None = None
) -> dict[str, Any]:
    """The explanation of a KPI's value in an area, for the current window or one that ended at `window_end`.

    `as_known_at`: of the value that was said then. The rows behind it are told as they are known today.
    Raises Misasked when nothing is known of that area or window.
    """
    published = known.until(_published(town, kpi, area, window_end, as_known_at), "computed_at", as_known_at)
    settled = window_end is not None and as_known_at is not None and published.height > 0
    current = None if settled else _on_the_board(town, kpi, area, as_known_at)
    if window_end is not None and (current is None or current["end"] != window_end):
        current = None
        if published.is_empty():
            raise Misasked(_unknown_window(kpi, area, window_end, as_known_at), 404)
    value = current or _of_history(published, kpi) or _nothing(kpi, area)
    revisions = published.filter(pl.col("window") == value["window"]) if value["window"] else published.clear()
    body = {
        "kpi": kpi.id, **_declared(town, kpi), "area": area, "as_known_at": as_known_at,
        "window_start": value.pop("window"), "window_end": value.pop("end"), **value,
        "interval": _interval(kpi, value),
        "tolerance": None if value["value"] is None else tolerance(kpi, value["value"]),
        "revisions": revisions.sort("revision").select(REVISION).to_dicts(),
    }  # fmt: skip
    body["corrections"] = _corrections(town, body, as_known_at)
    body["inputs"] = rows_behind(town, kpi, body)
    expected, used = body["n_expected"], body["n"]
    body["not_arrived"] = max(0, expected - used) if expected is not None and used is not None else None
    body["readings_left_out"] = readings_left_out(town, kpi, body)
    body["rows_set_aside"] = set_aside(town, body)
    body["wards"] = "wards" if "ward" in kpi.levels else None
    body["history"] = f"history?{urlencode({'area': area})}"
    return body


def _interval(kpi: Kpi, value: Mapping[str, Any]) -> dict[str, Any] | None:
    """Between which ends chance alone may have moved a value that is told, at 95 %; None where nothing tells."""
    ends, method = interval(value, kpi.scale, ()) if value["value"] is not None else (None, None)
    return {"low": ends[0], "high": ends[1], "method": method} if ends else None


def _unknown_window(kpi: Kpi, area: str, end: datetime, at: datetime | None) -> str:
    by_then = f" by {at.isoformat()}" if at else ""
    return (
        f"No value of {kpi.id} was published for {area} and a window that ends at {end.isoformat()}{by_then}. "
        f"/api/v1/kpis/{kpi.id}/history?area={area} lists the windows there are."
    )


def _declared(town: "Town", kpi: Kpi) -> dict[str, Any]:
    tuning: Mapping[str, Any] = town.settings.tuning.get(kpi.id, {})
    domain, rule = town.settings.domain_of(kpi.id), town.settings.rules.get(kpi.id)
    return {
        "domain": domain, "catalogue": kpi.catalogue, "title": kpi.title, "plain": kpi.plain,
        "formula": kpi.formula, "standard": kpi.standard, "unit": kpi.unit, "scale": kpi.scale,
        "decimals": kpi.decimals, "window": spoken_window(kpi.window), "target": kpi.target, "watch": kpi.watch,
        "better": kpi.better, "min_coverage": kpi.min_coverage, "floor": kpi.floor,
        "rule": rule and {"name": rule.name, "source": rule.source, "dated": rule.dated},
        "owner": kpi.owner or None, "owner_words": kpi.owner or NO_OWNER.format(domain=domain, kpi=kpi.id),
        "tunables": [
            {"name": n, "value": _plain(now), "default": _plain(default), "tuned": now != default}
            for n, default in kpi.tunables.items()
            for now in (tuning.get(n, default),)
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


def _published(
    town: "Town", kpi: Kpi, area: str, window_end: datetime | None, as_known_at: datetime | None
) -> pl.DataFrame:
    """Revisions of this area: of the window that ended then, or of the newest ones."""
    reach = length(kpi.window) * 2 + timedelta(days=2)
    around = window_end or as_known_at or town.now()
    try:
        start, end = around - reach - (kpi.settles or timedelta(0)), around + reach
    except OverflowError as error:
        raise Misasked("`window_end` lies outside of the calendar. Take one from the history of this KPI.") from error
    rows = town.revisions(kpi.id, [area], start, end)
    return rows.filter(pl.col("end") == window_end) if window_end else rows


def _on_the_board(town: "Town", kpi: Kpi, area: str, as_known_at: datetime | None) -> dict[str, Any] | None:
    """The value that the board shows, or showed at an instant."""
    if as_known_at is not None:
        row, said_at = known.board(town, as_known_at).get(f"{kpi.id}|{area}"), None
    else:
        snapshot = town.board()
        row = snapshot.state["kpis"].get(f"{kpi.id}|{area}") if snapshot else None
        said_at = snapshot.state["built_at"] if snapshot else None
    if row is None:
        return None
    names = {"window": "window_start", "end": "window_end", "as_of": "as_of", "said_at": "said_at"}
    told = {"said_at": said_at, **row}
    times = {name: datetime.fromisoformat(told[shown]) if told[shown] else None for name, shown in names.items()}
    return {**times, "status": row["status"], **{name: row[name] for name in VALUE}}


def _of_history(published: pl.DataFrame, kpi: Kpi) -> dict[str, Any] | None:
    if published.is_empty():
        return None
    row = published.sort("window", "revision").row(-1, named=True)
    told = {"as_of": None, "said_at": row["computed_at"], "status": standing(kpi, row["value"])}
    return {**told, **{name: row[name] for name in ("window", "end", *VALUE)}}


def _nothing(kpi: Kpi, area: str) -> dict[str, Any]:
    level = area.partition(":")[0]
    reason = "no data in this window yet"
    if level not in kpi.levels:
        reason = f"this KPI is given for {', '.join(kpi.levels)}, not for {level}"
    empty = dict.fromkeys(("window", "end", "as_of", "said_at", *VALUE))
    return {**empty, "status": "no data", "reason": reason}


def _corrections(town: "Town", body: Mapping[str, Any], as_known_at: datetime | None) -> list[dict[str, Any]]:
    """Corrections of this value that people were told since it was first published."""
    if body["window_end"] is None:
        return []
    rows = known.until(town.corrections(body["window_end"]), "corrected_at", as_known_at)
    ours = rows.filter(kpi=body["kpi"], area=body["area"], window=body["window_start"])
    return ours.select(TOLD).to_dicts()
