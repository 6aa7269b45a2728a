"""Town: all that a page or an API call may ask. A reader: it holds no lock and may run many times over."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from pipelines.engine import clocks, complaints, definitions, dictionary, set_aside
from pipelines.engine import registers as registry
from pipelines.engine.alarms.room import AlarmRoom
from pipelines.engine.alarms.rule_desk import RuleDesk
from pipelines.engine.complaints import Event, Standing
from pipelines.engine.delivery.room import PostRoom
from pipelines.engine.depot import Depot
from pipelines.engine.devices import as_shown
from pipelines.engine.filing.room import FilingRoom
from pipelines.engine.gallery import Gallery
from pipelines.engine.inputs import Inputs
from pipelines.engine.judge import age_states
from pipelines.engine.known import newest
from pipelines.engine.line_client import LineClient, run_folder
from pipelines.engine.manifest import Part
from pipelines.engine.model import Domain, Kpi, Table
from pipelines.engine.people.giving import given_away
from pipelines.engine.people.porter import Porter
from pipelines.engine.people.roles import VISITOR, Actor
from pipelines.engine.people.saved_views import SavedViews
from pipelines.engine.people.shift import ShiftLog
from pipelines.engine.people.wall_door import WallDoor
from pipelines.engine.pinning import Pinning
from pipelines.engine.settings import Settings
from pipelines.engine.snapshot import Board, Snapshot
from pipelines.engine.state_file import RUN_COLUMNS, read_runs
from pipelines.engine.store import Store
from pipelines.engine.summaries import Summaries, of_areas, of_sensors
from pipelines.engine.tables import ENGINE_TABLES
from pipelines.engine.tokens import path_of
from pipelines.engine.usual import Expectations

# How old what a reader sees of the journal may be before it looks again.
FOLLOW_S = 0.5
OK = 200
LATELY = timedelta(days=3)
PUBLIC_ENGINE_TABLES = (
    "arrivals", "quarantine", "kpi_values", "kpi_board", "kpi_corrections", "series", "meter_events",
    "device_reports", "edge_states", "sensor_clocks",
)  # fmt: skip


class Town:
    """A bound, read-only handle on one town, safe to use from several threads."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        """Raises SettingsError when the registers hold mistakes, StoreError when the store cannot be read."""
        self.settings, self.now = settings, clock
        # How many screens hold the stream of this process; the web process tells.
        self.viewers: Callable[[], int] = lambda: 0
        self.registers = registry.load(settings)
        self.line = LineClient(settings)
        self.porter = Porter(path_of(settings.store), self.line, clock, settings.access)
        self.shift = ShiftLog(path_of(settings.store), self.line)
        self.views = SavedViews(path_of(settings.store), self.line)
        self.wall_door = WallDoor(settings, self.line, clock)
        self.alarms = AlarmRoom(self)
        self.rules = RuleDesk(self)
        self.post = PostRoom(settings, self.line, self.registers)
        self._board = Board(run_folder(settings) / "board")
        own = (table for domain in settings.domains for table in domain.tables)
        self._store = Store(settings.store, (*ENGINE_TABLES, *own))
        self._inputs = Inputs(self._store, self.registers, settings.zone)
        self.expectations = Expectations(self)
        self.pictures = Gallery(self, lambda: (self._follow(), self._inputs.dimension))
        self.depot = Depot(run_folder(settings) / "exports", clock)
        self._pinning = Pinning(self.depot, self._newest)
        self.pinned = self._pinning.held
        self.filing = FilingRoom(self, self._follow)
        self._followed = 0.0
        self._following = threading.Lock()
        self._opened = False

    @property
    def name(self) -> str:
        """The town's name."""
        return self.settings.name

    @property
    def zone(self) -> str:
        """The town's time zone."""
        return self.settings.zone

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of the pages."""
        return self.settings.languages

    @property
    def domains(self) -> tuple[Domain, ...]:
        """The domains that are on, as declared and tuned."""
        return self.settings.domains

    def domain(self, name: str) -> Domain:
        """The domain of this name.

        Raises KeyError.
        """
        return {domain.name: domain for domain in self.domains}[name]

    def kpi(self, kpi: str) -> Kpi:
        """The declaration of a KPI as tuned.

        Raises KeyError.
        """
        return {declared.id: declared for declared in self.settings.kpis}[kpi]

    def table(self, name: str) -> Table:
        """The declaration of a table.

        Raises KeyError.
        """
        return self._store.tables[name]

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that people may ask for."""
        own = tuple(table for domain in self.domains for table in domain.tables)
        return own + tuple(table for table in ENGINE_TABLES if table.name in PUBLIC_ENGINE_TABLES)

    @cached_property
    def definitions(self) -> str:
        """The version of all definitions as tuned; it changes when a formula, a limit, a unit or a column does."""
        return definitions.version(self.settings, self.tables)

    def board(self) -> Snapshot | None:
        """The newest published snapshot."""
        return self._board.look()

    # registers -----------------------------------------------------------------------------------------------------

    def wards(self) -> pl.DataFrame:
        """ward, name, population, households."""
        return self.registers.wards

    def assets(self, domain: str | None = None) -> pl.DataFrame:
        """asset, domain, kind, name, ward, lat, lon, parent."""
        assets = self.registers.assets
        return assets.filter(pl.col("domain") == domain) if domain else assets

    def sensors(self, domain: str | None = None) -> pl.DataFrame:
        """sensor, asset, quantity, unit, low, high, every_s, kind, ward, domain, parent."""
        sensors = self.registers.sensors.drop("factor", "offset")
        return sensors.filter(pl.col("domain") == domain) if domain else sensors

    def ward_shapes(self) -> Mapping[str, Any]:
        """GeoJSON FeatureCollection of the wards, property `ward`."""
        return self.registers.shapes.collection

    # the store -----------------------------------------------------------------------------------------------------

    def _follow(self) -> Store:
        """The store, brought up to what the line has written; while this thread pins a moment, as it stood then."""
        return self._pinning.store or self._newest()

    def _newest(self) -> Store:
        with self._following:
            if not self._opened:
                self.settings.store.joinpath("journal").mkdir(parents=True, exist_ok=True)
                self._store.open()
                self._renumber()
                self._opened = True
            elif time.monotonic() - self._followed > FOLLOW_S:
                arrived = self._store.catch_up()
                if any(entry.table == "series" for _, entries in arrived for entry in entries):
                    self._renumber()
            else:
                return self._store
            self._followed = time.monotonic()
        return self._store

    def _renumber(self) -> None:
        self._inputs.use(
            dict(
                self._store.rows("series", columns=["sensor", "series", "registered_at"])
                .drop("registered_at")
                .iter_rows()
            )
        )

    def history(
        self,
        kpi: str,
        areas: Sequence[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        as_known_at: datetime | None = None,
    ) -> pl.DataFrame:
        """The newest published value per window and area, oldest first; of those published by `as_known_at`.

        Shape: window, end, area, value, numerator, denominator, n, n_expected, coverage, reason, detail, revision,
        computed_at.
        """
        return newest(self.revisions(kpi, areas, start, end), as_known_at)

    def revisions(
        self, kpi: str, areas: Sequence[str] | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        """Every published revision, in the same shape as `history`."""
        where = "kpi = $kpi"
        params: dict[str, Any] = {"kpi": kpi}
        if areas is not None:
            where, params = f"{where} AND area IN (SELECT unnest($areas))", {**params, "areas": list(areas)}
        return self._follow().rows("kpi_values", start, end, where, params).drop("kpi", "received_at")

    def town_values(
        self, kpis: Sequence[str], start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        """The newest published values of the whole town that are known: kpi, window, value."""
        where, params = "area = 'town' AND kpi IN (SELECT unnest($kpis))", {"kpis": list(kpis)}
        columns = ["kpi", "window", "value", "revision"]
        rows = self._follow().rows("kpi_values", start, end, where, params, columns=columns)
        last = rows.sort("revision").unique(["kpi", "window"], keep="last").drop_nulls("value")
        return last.select("kpi", "window", "value").sort("kpi", "window")

    def corrections(self, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Corrections of published values that were told in [since, until), oldest first.

        Shape: tables.KPI_CORRECTIONS.
        """
        return self._follow().rows("kpi_corrections", since, until).drop("received_at")

    def readings(self, sensors: Sequence[str], start: datetime, end: datetime) -> pl.DataFrame:
        """sensor, observed_at, value, quality, received_at; oldest first."""
        store = self._follow()
        wanted = self._inputs.dimension.filter(pl.col("sensor").is_in(list(sensors))).select("series", "sensor")
        rows = store.rows(
            "readings", start, end, "series IN (SELECT unnest($ids))", {"ids": wanted["series"].to_list()}
        )
        named = rows.join(wanted, on="series").sort("observed_at", "sensor")
        return named.select("sensor", "observed_at", "value", "quality", "received_at")

    def summary(self, sensors: Sequence[str], start: datetime, end: datetime, step: str) -> pl.DataFrame:
        """Good readings summed up by whole steps of the town's calendar (summaries.STEPS), from rollups.

        Shape: sensor, window, value (mean), lowest, highest, last, n; steps without good readings have no row.
        """
        store = self._follow()
        wanted = self._inputs.dimension.filter(pl.col("sensor").is_in(list(sensors))).select("series", "sensor")
        rows = Summaries(store, self.zone).by_series(wanted["series"].to_list(), start, end, step)
        return of_sensors(rows, wanted)

    def by_area(self, quantity: str, start: datetime, end: datetime, *, step: str, wards: bool) -> pl.DataFrame:
        """Good readings of a quantity summed up by whole steps and ward, or for the town whole, from rollups.

        Shape: window, area, value (mean of all readings), lowest, highest, n, sensors.
        """
        store, places = self._follow(), self._places(quantity)
        rows = Summaries(store, self.zone).by_area(places, start, end, step=step, wards=wards)
        return of_areas(rows, wards=wards)

    def percentiles(
        self, quantity: str, start: datetime, end: datetime, shares: Sequence[float]
    ) -> list[float | None]:  # fmt: skip
        """Exact percentiles of all good readings of a quantity in whole local days."""
        store = self._follow()
        return Summaries(store, self.zone).percentiles(self._places(quantity), start, end, shares)

    def parts(self, table: str) -> list[Part]:
        """The Parquet files of a table."""
        return list(self._follow().manifest.parts.get(table, {}).values())

    def rolled_since(self) -> datetime | None:
        """From when on there are rollups; they stay when the readings they are made of are let go."""
        return min((part.low for part in self.parts("roll_hourly") if part.low), default=None)

    def _places(self, quantity: str) -> pl.DataFrame:
        return self._inputs.dimension.filter(pl.col("quantity") == quantity).select("series", "quantity", "ward")

    def latest(self, domain: str | None = None) -> pl.DataFrame:
        """The newest reading of each sensor in the last three days.

        Shape: sensor, asset, ward, quantity, unit, observed_at, value, state.
        """
        now = self.now()
        last = self._follow().standing(now - LATELY).filter(pl.col("observed_at") >= now - LATELY)
        joined = last.join(self._inputs.dimension, on="series")
        joined = joined.join(self.sensors(domain).select("sensor"), on="sensor", how="semi") if domain else joined
        units = {q.name: q.unit for q in self.registers.quantities.values()}
        age_s = (pl.lit(now, joined.schema["observed_at"]) - pl.col("observed_at")).dt.total_microseconds() / 1e6
        return joined.with_columns(
            unit=pl.col("quantity").replace_strict(units, default=None, return_dtype=pl.String),
            state=age_states(age_s, pl.col("every_s")),
        ).select("sensor", "asset", "ward", "quantity", "unit", "observed_at", "value", "state")

    def rows(
        self,
        table: str,
        start: datetime | None = None,
        end: datetime | None = None,
        ward: str | None = None,
        limit: int | None = None,
        *,
        actor: Actor = VISITOR,
    ) -> pl.DataFrame:
        """Rows of a table, oldest first, without its personal columns, free text scrubbed; received_at: when each came.

        Raises KeyError when there is no such table, Forbidden when it is guarded and the actor may not read it.
        """
        declared = self.table(table)
        if declared.guarded:
            actor.check_everywhere("read")
        open_columns = [column.name for column in declared.columns if not column.personal]
        where, params = "", {}
        if ward is not None and "ward" in open_columns:
            where, params = "ward = $ward", {"ward": ward}
        rows = self._follow().rows(table, start, end, where, params, limit=limit)
        return given_away(rows.select(*open_columns, "received_at"), declared)

    def quarantine(
        self,
        feed: str | None = None,
        reason: str | None = None,
        limit: int = 200,
        state: str = "waiting",
        *,
        actor: Actor,
    ) -> pl.DataFrame:
        """The newest quarantined rows that wait, or have healed, or all.

        Shape: id, feed, received_at, table, row, reason, detail, original (text as far as readable), withheld, format,
        state, replayed_at, refused_again (the reason of the last replay). What a row said is withheld from those who
        may not operate where personal data may stand in it.
        Raises Forbidden.
        """
        actor.check_everywhere("read")
        store, hidden = self._follow(), None if actor.may("operate") else set_aside.personal(self.settings)
        return set_aside.newest(store, {"feed": feed, "reason": reason}, limit, state, hidden=hidden)

    def quarantine_counts(self) -> pl.DataFrame:
        """feed, reason, rows (that wait), healed, newest: how many rows were set aside for which reason."""
        return set_aside.counts(self._follow())

    def original(self, id: str, actor: Actor) -> tuple[str, bytes] | None:
        """Feed and bytes of a quarantined row as they came, personal data included; None when there is no such row.

        Raises Forbidden.
        """
        actor.check_everywhere("operate")
        rows = self._follow().rows("quarantine", where="id = $id", params={"id": id}, columns=["feed", "original"])
        return (rows["feed"][0], bytes(rows["original"][0] or b"")) if rows.height else None

    async def replay(self, wish: Mapping[str, Any], actor: Actor) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Have quarantined rows taken in once more; status, answer and headers of the line.

        Raises Forbidden, and httpx.TransportError when the line does not run.
        """
        actor.check_everywhere("operate")
        answer = await self.line.replay(wish)
        if answer[0] == OK:
            await self.line.people("note", {"who": actor.signature, "did": "rows replayed", "facts": dict(wish)})
        return answer

    def devices(self, actor: Actor) -> pl.DataFrame:
        """How the devices do that were heard within a day or are offline (see devices.as_shown).

        Raises Forbidden.
        """
        actor.check_everywhere("read")
        return as_shown(self._follow(), self.now())

    def clocks(self, actor: Actor) -> pl.DataFrame:
        """The sensors whose clock is off (see clocks.as_shown).

        Raises Forbidden.
        """
        actor.check("read")
        sensors = self.registers.sensors
        own = sensors if actor.wards is None else sensors.filter(pl.col("ward").is_in(list(actor.wards)))
        return clocks.as_shown(self._follow(), own)

    def runs(self, limit: int = 200) -> pl.DataFrame:
        """Runs of scheduled jobs, newest first: job, started_at, ended_at, rows, outcome, words."""
        rows = read_runs(self.settings.store / "state.sqlite", limit)
        return pl.DataFrame(rows, schema=RUN_COLUMNS, orient="row", strict=False)

    def complaint(self, number: str) -> Standing | None:
        """Where the complaint of this number stands; None when there is none."""
        return complaints.standing(self._follow(), self.tables, number)

    def complaint_course(self, number: str) -> list[Event]:
        """What is known to have happened to the complaint of this number, oldest first; nothing personal."""
        return complaints.course(self._follow(), self.tables, number)

    def dictionary(self) -> pl.DataFrame:
        """The data dictionary: table, column, kind, unit, meaning, source (the domain, or the engine)."""
        return dictionary.of(self)
