"""The minutes of the board: what it said of each KPI and area, noted when the figure or state had changed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.figures import shown
from pipelines.engine.tables import KPI_BOARD

# The town's figures change with every look; wards and assets are many, and a quarter of an hour of them is enough.
TOWN_EVERY, AREAS_EVERY = timedelta(minutes=1), timedelta(minutes=15)
# All of it is noted anew this often, so that nobody has to look further back.
WHOLE_EVERY = timedelta(hours=24)
TOWN, GONE = "|town", "gone"
SAME_NAMES = (
    "value",
    "numerator",
    "denominator",
    "n",
    "n_expected",
    "coverage",
    "reason",
    "detail",
    "status",
    "target",
)
TIMES = {"window": "window_start", "end": "window_end", "as_of": "as_of"}
Row = Mapping[str, Any]
Told = tuple[Any, ...]


class Minutes:
    """Holds the board against what was noted last; `due` gives what is to be noted, `noted` says that it is durable."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}
        self._town_at: datetime | None = None
        self._areas_at: datetime | None = None
        self._whole_at: datetime | None = None

    def due(self, board: Mapping[str, Row], now: datetime) -> pl.DataFrame:
        """The rows of a board that are to be noted at this instant.

        Shape: tables.KPI_BOARD.
        """
        if not _over(self._town_at, TOWN_EVERY, now):
            return pl.DataFrame(schema=KPI_BOARD.schema)
        every = _over(self._areas_at, AREAS_EVERY, now)
        whole = every and _over(self._whole_at, WHOLE_EVERY, now)
        known = {} if whole else self._told
        rows = [
            _noted(row, now, whole=whole)
            for key, row in board.items()
            if (every or row["area"] == "town") and known.get(key) != told(row)
        ]
        rows += [_gone(key, now) for key in known if key not in board and (every or key.endswith(TOWN))]
        return pl.DataFrame(rows, schema=KPI_BOARD.schema, orient="row")

    def noted(self, board: Mapping[str, Row], rows: pl.DataFrame, now: datetime) -> None:
        """What `due` gave is durable: the same is not noted again."""
        if not _over(self._town_at, TOWN_EVERY, now):
            return
        if rows["whole"].any():
            self._told, self._whole_at = {}, now
        for key in (f"{kpi}|{area}" for kpi, area in rows.select("kpi", "area").iter_rows()):
            if key in board:
                self._told[key] = told(board[key])
            else:
                del self._told[key]
        self._areas_at = now if _over(self._areas_at, AREAS_EVERY, now) else self._areas_at
        self._town_at = now


def _over(last: datetime | None, every: timedelta, now: datetime) -> bool:
    """Whether a full minute (or quarter of an hour) has begun since; a clock that was set back begins anew."""
    return (
        last is None
        or now < last
        or now.timestamp() // every.total_seconds() > (last.timestamp() // every.total_seconds())
    )


def told(row: Row) -> Told:
    """What a person reads off a tile: figure, state, window, reason, detail."""
    value = row["value"]
    figure = None if value is None else shown(value, int(row["decimals"]))
    return figure, row["status"], row["window_start"], row["window_end"], row["reason"], row["detail"]


def _gone(key: str, now: datetime) -> tuple[Any, ...]:
    kpi, _, area = key.partition("|")
    told = {"kpi": kpi, "area": area, "said_at": now, "status": GONE, "whole": False}
    return tuple(told.get(name) for name in KPI_BOARD.schema)


def _noted(row: Row, now: datetime, *, whole: bool) -> tuple[Any, ...]:
    times = {name: datetime.fromisoformat(row[at]) if row[at] else None for name, at in TIMES.items()}
    values = {name: row[name] for name in SAME_NAMES}
    noted = {"kpi": row["kpi"], "area": row["area"], "said_at": now, "whole": whole, **times, **values}
    return tuple(noted[name] for name in KPI_BOARD.schema)
