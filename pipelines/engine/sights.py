"""What the functions of pictures are handed: the board, published values, tables, readings, rollups and registers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.geo import STREET_DECIMALS
from pipelines.engine.judge import standing
from pipelines.engine.model import GRAINS, INSTANT, Domain
from pipelines.engine.picture import Picture
from pipelines.engine.rollups import usable
from pipelines.engine.snapshot import State
from pipelines.engine.store import Store
from pipelines.engine.summaries import Summaries

if TYPE_CHECKING:
    from pipelines.engine.town import Town

STEPS = {"hourly": ("hour", 3600.0), "daily": ("day", 86400.0)}
BOARD = pl.Schema(
    {
        "kpi": pl.String(), "area": pl.String(), "level": pl.String(), "key": pl.String(), "value": pl.Float64(),
        "target": pl.Float64(), "state": pl.String(), "numerator": pl.Float64(), "denominator": pl.Float64(),
        "n": pl.Int64(), "coverage": pl.Float64(), "reason": pl.String(), "detail": pl.String(), "as_of": INSTANT,
        "window": INSTANT, "end": INSTANT,
    }
)  # fmt: skip
FEEDS = pl.Schema({"feed": pl.String(), "table": pl.String(), "state": pl.String(), "last_arrival": INSTANT})
POSITION = ("lat", "lon")
PLACED = ["sensor", "asset", "kind", "ward"]


@dataclass(frozen=True)
class Sight:
    """One look at a town: the state that stands, from when to when, and for which area.

    `kept` gives a frame that was read a moment ago, else reads it.
    """

    town: "Town"
    store: Store
    dimension: pl.DataFrame
    domain: Domain
    state: State
    start: datetime
    now: datetime
    area: str
    kept: Callable[[str, Callable[[], pl.DataFrame]], pl.DataFrame]

    def given(self, picture: Picture) -> dict[str, Any]:
        """Everything that a picture's function asks for."""
        return {name: self._one(name, picture) for name in picture.inputs}

    def _one(self, name: str, picture: Picture) -> Any:
        plain = {"now": self.now, "start": self.start, "zone": self.town.zone, "area": self.area}
        made: dict[str, Callable[[], pl.DataFrame]] = {
            "board": lambda: self.board,
            "feeds": lambda: self.feeds,
            "history": lambda: self._history(picture.history, None),
            "course": lambda: self._history(picture.history, [self.area]),
            "steps": lambda: self._steps(picture.history),
        }
        if name in plain:
            return plain[name]
        return made[name]() if name in made else self._table(name)

    @cached_property
    def board(self) -> pl.DataFrame:
        """The KPIs of the domain as they stand (shape: BOARD)."""
        own = {kpi.id for kpi in self.domain.kpis}
        rows = [_flat(row) for row in self.state["kpis"].values() if row["kpi"] in own]
        return pl.DataFrame(rows, schema=BOARD)

    @cached_property
    def feeds(self) -> pl.DataFrame:
        """The feeds of the domain: what they fill, how they do, when something last came (shape: FEEDS)."""
        known = self.town.settings.feeds
        rows = [
            {
                "feed": name, "table": known[name].table, "state": feed["state"],
                "last_arrival": _instant(feed.get("last_arrival")),
            }
            for name, feed in self.state["feeds"].items()
            if name in known and self.domain.name in feed["domains"]
        ]  # fmt: skip
        return pl.DataFrame(rows, schema=FEEDS)

    def _history(self, kpis: tuple[str, ...], areas: list[str] | None) -> pl.DataFrame:
        """The newest published values of these KPIs since `start`: kpi, target, state, and as Town.history."""
        found = []
        for kpi in map(self.town.kpi, kpis):
            rows = self.town.history(kpi.id, areas, self.start, self.now)
            states = [standing(kpi, value) for value in rows["value"]]
            target = pl.lit(kpi.target, pl.Float64).alias("target")
            found.append(
                rows.select(pl.lit(kpi.id).alias("kpi"), target, pl.Series("state", states, pl.String), pl.all())
            )
        return pl.concat(found)

    def _steps(self, kpis: tuple[str, ...]) -> pl.DataFrame:
        """The steps of the level of these KPIs that stayed: kpi, area, came, found, before, after."""
        tell = self.town.expectations.shifts
        found = [tell(self.town.kpi(kpi), None, self.now).rename({"series": "area"}) for kpi in kpis]
        return pl.concat(
            [rows.select(pl.lit(kpi).alias("kpi"), pl.all()) for kpi, rows in zip(kpis, found, strict=True)]
        )

    def _table(self, name: str) -> pl.DataFrame:
        registers = self.town.registers
        whole = {"wards": registers.wards, "assets": registers.assets, "sensors": registers.sensors}
        whole |= registers.references
        if name in whole:
            return whole[name]
        quantity, _, grain = name.rpartition("_")
        if grain in GRAINS and quantity in registers.quantities:
            return self._rollup(quantity, grain)
        if name in registers.quantities:
            return self._readings(name)
        return self._rows(name)

    def _rows(self, name: str) -> pl.DataFrame:
        """Rows of a table without its personal columns; whole where it is replaced as a whole.

        A personal position is given as far as everybody may know it: to a stretch of street.
        """
        table = self.town.table(name)
        columns = [column.name for column in table.columns if not column.personal or column.name in POSITION]
        if table.replaces or table.time is None:
            return self.kept(name, lambda: self.store.rows(name, columns=columns))
        rows = self.store.rows(name, self.start, self.now, columns=columns)
        personal = [column.name for column in table.columns if column.personal and column.name in POSITION]
        return rows.with_columns(pl.col(personal).round(STREET_DECIMALS))

    def _series(self, quantity: str) -> pl.DataFrame:
        return self.dimension.filter(pl.col("quantity") == quantity)

    def _readings(self, quantity: str) -> pl.DataFrame:
        """Good readings of a quantity with the sensor's place, in order of time."""
        places = self._series(quantity)
        rows = usable(self.store.rolled.readings(places["series"].to_list(), self.start, self.now))
        placed = rows.join(places, on="series").select(*PLACED, "observed_at", "value")
        return placed.sort("observed_at", "sensor")

    def _rollup(self, quantity: str, grain: str) -> pl.DataFrame:
        """Rollups of a quantity as KPI functions read them, in order of time."""
        places, (step, seconds) = self._series(quantity), STEPS[grain]
        rows = Summaries(self.store, self.town.zone).by_series(places["series"].to_list(), self.start, self.now, step)
        placed = rows.join(places, on="series").with_columns(expected=seconds / pl.col("every_s"))
        return placed.select(*PLACED, "observed_at", "n", "expected", "sum", "min", "max", "last").sort(
            "observed_at", "sensor"
        )


def _flat(row: State) -> dict[str, Any]:
    level, _, key = row["area"].partition(":")
    instants = {"as_of": row["as_of"], "window": row["window_start"], "end": row["window_end"]}
    return {
        "kpi": row["kpi"], "area": row["area"], "level": level, "key": key, "state": row["status"],
        **{name: row.get(name) for name in ("target", "n", "coverage", "reason", "detail")},
        **{name: _number(row.get(name)) for name in ("value", "numerator", "denominator")},
        **{name: _instant(at) for name, at in instants.items()},
    }  # fmt: skip


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
