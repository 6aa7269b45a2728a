"""What was known at an instant: the board as its minutes tell it, and the values published until then."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.asking import Misasked
from pipelines.engine.calendar import earliest, latest
from pipelines.engine.minutes import GONE, WHOLE_EVERY
from pipelines.engine.model import Kpi

if TYPE_CHECKING:
    from pipelines.engine.town import Town

MICROSECOND = timedelta(microseconds=1)
# The minutes are whole within a day; where the line stood still, the last of them stand.
REACH = WHOLE_EVERY + timedelta(hours=1)
FURTHER = (REACH, timedelta(days=40), None)
TIMES = ("window_start", "window_end", "as_of", "said_at")


def until(rows: pl.DataFrame, column: str, at: datetime | None) -> pl.DataFrame:
    """The rows whose instant in this column had come by `at`; all of them when it is None."""
    return rows if at is None else rows.filter(pl.col(column) <= at)


def newest(revisions: pl.DataFrame, at: datetime | None = None) -> pl.DataFrame:
    """The last revision of each window and area that was published by `at`, oldest window first."""
    rows = until(revisions, "computed_at", at).sort("revision")
    keys = [name for name in ("kpi", "window", "area") if name in rows.columns]
    return rows.unique(keys, keep="last").sort("window", *(key for key in keys if key != "window"))


def noted(town: "Town", at: datetime) -> pl.DataFrame:
    """What the board said at an instant: the newest of its minutes for each KPI and area.

    Shape: tables.KPI_BOARD and received_at.
    Raises Misasked when nothing had been noted by then.
    """
    for reach in FURTHER:
        rows = town.rows("kpi_board", at - reach if reach else None, at + MICROSECOND)
        last = latest(rows["said_at"])
        if last is not None:
            rows = rows if reach == REACH else town.rows("kpi_board", last - REACH, at + MICROSECOND)
            return _newest_noted(rows)
    first = earliest(town.rows("kpi_board", limit=1)["said_at"])
    since = f"The board is on record since {first:%Y-%m-%dT%H:%M:%SZ}." if first else "The board was never on record."
    raise Misasked(f"Nothing is known of {at:%Y-%m-%dT%H:%M:%SZ}. {since} Ask for a later time.", 404)


def _newest_noted(rows: pl.DataFrame) -> pl.DataFrame:
    """The newest row of each KPI and area since the board was last noted whole; those gone since are left out."""
    whole = latest(rows.filter("whole")["said_at"])
    rows = rows if whole is None else rows.filter(pl.col("said_at") >= whole)
    last = rows.sort("said_at").unique(["kpi", "area"], keep="last")
    return last.filter(pl.col("status") != GONE).sort("kpi", "area")


def board(town: "Town", at: datetime) -> dict[str, dict[str, Any]]:
    """The KPIs of the board as they stood at an instant, in the shape that a snapshot has them, with `said_at`.

    Raises Misasked when nothing had been noted by then.
    """
    kpis = {kpi.id: kpi for kpi in town.settings.kpis}
    rows = noted(town, at).rename({"window": "window_start", "end": "window_end"}).drop("received_at", "whole")
    return {
        f"{row['kpi']}|{row['area']}": _as_on_the_board(town, kpis[row["kpi"]], row)
        for row in rows.iter_rows(named=True)
        if row["kpi"] in kpis
    }


def _as_on_the_board(town: "Town", kpi: Kpi, row: Mapping[str, Any]) -> dict[str, Any]:
    level, _, name = row["area"].partition(":")
    declared: dict[str, Any] = {
        "domain": town.settings.domain_of(kpi.id), "unit": kpi.unit, "decimals": kpi.decimals, "better": kpi.better,
        "ward": name if level == "ward" else None, "every_s": None, "last_week": None, "spark": [], "corrected": None,
    }  # fmt: skip
    return {**row, **declared, **{name: row[name].isoformat() if row[name] else None for name in TIMES}}
