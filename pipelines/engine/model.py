"""The vocabulary: what a domain may declare. Everything is frozen and checked when it is imported."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl

# The rest of the vocabulary has files of its own and is had from here.
from pipelines.engine.alarm_rule import PRIORITIES as PRIORITIES  # noqa: PLC0414
from pipelines.engine.alarm_rule import AlarmRule as AlarmRule  # noqa: PLC0414
from pipelines.engine.complaining import GEOREPORT, OFFICE
from pipelines.engine.complaining import Complaints as Complaints  # noqa: PLC0414
from pipelines.engine.complaining import Filing as Filing  # noqa: PLC0414
from pipelines.engine.declaring import DeclarationError as DeclarationError  # noqa: PLC0414
from pipelines.engine.declaring import require
from pipelines.engine.picture import Picture, check
from pipelines.engine.units import require_unit
from pipelines.engine.window import Window as Window  # noqa: PLC0414
from pipelines.engine.window import every as every  # noqa: PLC0414
from pipelines.engine.window import rolling as rolling  # noqa: PLC0414

INSTANT = pl.Datetime("us", "UTC")
KINDS: dict[str, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "flag": pl.Boolean(),
    "instant": INSTANT,
    "day": pl.Date(),
    "bytes": pl.Binary(),
    "series": pl.Int32(),
    "code": pl.UInt8(),
}
ENGINE_TABLES = ("windows", "wards", "assets", "sensors", "arrivals", "zone")
GRAINS = ("hourly", "daily")
SIGNALS = ("flow", "level", "pressure", "temperature", "analyser")
# How long rows are kept, by class of table, unless a town says otherwise; None = for ever.
RETENTION: Mapping[str, timedelta | None] = {
    "readings": timedelta(days=731),
    "rollups": None,
    "events": None,
    "values": None,
    "register": None,
    # A year, and the months in which its books are closed.
    "arrivals": timedelta(days=400),
    "devices": timedelta(days=400),
    "corrections": timedelta(days=731),
    "board": timedelta(days=731),
    "quarantine": timedelta(days=90),
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table: its kind, unit, permitted range or choices, and what it means.

    `kind` is a key of KINDS. `personal` columns never leave by a public exit. `free` text was written by people and
    leaves without phone numbers, mail addresses and numbers of papers.
    """

    name: str
    kind: str = "text"
    meaning: str
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    personal: bool = False
    free: bool = False

    def __post_init__(self) -> None:
        require(not self.free or self.kind == "text", f"column {self.name}: only text is free")
        require(self.kind in KINDS, f"column {self.name}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        require(self.name.isidentifier(), f"column {self.name!r}: a name is letters, digits and _")
        if self.unit:
            require_unit(self.unit)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A condition that every row of a table must meet; a row for which it is false is quarantined with these words."""

    name: str
    words: str
    holds: pl.Expr


class Downs(NamedTuple):
    """The columns of a table that say which asset is down from when to when (empty = until now)."""

    asset: str
    start: str
    end: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """An event table: rows identified by `key`, placed in time by `time`; a row with the same key corrects the older.

    `located` tables have `lat`, `lon` and `ward`; a missing ward is found by point in polygon.
    `replaces` tables are whole data sets (a timetable): each arrival replaces the one before; `time` may be None.
    `version` names a column that grows with each state of a row: an older state that arrives late changes nothing.
    `running` tables hold states that are meant to change (a prediction): their older states are not kept.
    `judged` names a column that the engine settles later on: a row that differs in it alone says nothing new.
    `downs`: rows of this table tell which assets are without service, and when.
    `complaints`: its rows are what residents report; they join the incidents they are about. `filing`: and how they
    file them here.
    `daily` tables are kept in a file for each local day, the others in one for each month.
    `retention` is the class that says how long its rows are kept: a key of RETENTION.
    `guarded` rows are for those who may read what is not public.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    time: str | None
    checks: tuple[Check, ...] = ()
    located: bool = False
    replaces: bool = False
    version: str | None = None
    running: bool = False
    judged: str | None = None
    downs: Downs | None = None
    complaints: Complaints | None = None
    filing: Filing | None = None
    daily: bool = False
    retention: str = "events"
    guarded: bool = False

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        require(len(set(names)) == len(names), f"table {self.name}: a column is declared twice")
        require(set(self.key) <= set(names), f"table {self.name}: key {self.key} names an unknown column")
        require(self.version is None or self.version in names, f"table {self.name}: version names an unknown column")
        require(self.judged is None or self.judged in names, f"table {self.name}: judged names an unknown column")
        require(self.downs is None or set(self.downs) <= set(names), f"table {self.name}: downs names unknown columns")
        require(self.retention in RETENTION, f"table {self.name}: retention is one of {', '.join(RETENTION)}")
        require(self.replaces or self.time in names, f"table {self.name}: time {self.time!r} is no column")
        require(self.filing is None or {*GEOREPORT, *OFFICE} <= set(names), f"table {self.name}: filing lacks columns")
        if self.located:
            require({"lat", "lon", "ward"} <= set(names), f"table {self.name}: located needs lat, lon and ward")

    @property
    def schema(self) -> pl.Schema:
        """Column name -> Polars type, in declared order."""
        return pl.Schema({column.name: KINDS[column.kind] for column in self.columns})

    @property
    def instants(self) -> tuple[str, ...]:
        """Names of the columns that are instants or days."""
        return tuple(c.name for c in self.columns if c.kind in ("instant", "day"))


class Refers(NamedTuple):
    """A column, and the reference and column in which its values must stand."""

    column: str
    reference: str
    there: str


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A table that a clerk edits: `reference/<name>.csv` in the town's folder, read whole at start.

    `shipped` is the file that stands in while the town has none of its own: a table of limits with source and date.
    `refers` names columns that hold what stands in a column of another reference.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    optional: bool = True
    shipped: Path | None = None
    refers: tuple[Refers, ...] = ()

    @property
    def schema(self) -> pl.Schema:
        """Column name -> Polars type, in declared order."""
        return pl.Schema({column.name: KINDS[column.kind] for column in self.columns})


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What a sensor measures. Readings of it are kept in `unit`; outside low..high is physically impossible.

    A gas names its `molar_mass` (g/mol), so that a station may report it in ppb.
    Suspect is a change by more than `most_per_hour`, a single value further than `spike` from its neighbours, and the
    same value for `stuck_after` or longer, unless it is `rests_at`. None: nothing physical says so; not looked for.
    A `counter` is a register that only grows, up to its `modulus`.
    `signal` is the kind of signal whose usual deadband and delays its alarms have: a key of SIGNALS; the deadband is a
    share of `span`, what a usual instrument measures (what is possible reaches further), or of a sensor's own range.
    A `habitual` one follows the hours of the day and the days of the week: it may be told what is usual.
    """

    name: str
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    molar_mass: float | None = None
    most_per_hour: float | None = None
    spike: float | None = None
    stuck_after: timedelta | None = None
    rests_at: float | None = 0.0
    counter: bool = False
    modulus: float | None = None
    signal: str | None = None
    span: float | None = None
    habitual: bool = False

    def __post_init__(self) -> None:
        require_unit(self.unit)
        require(self.signal in (None, *SIGNALS), f"quantity {self.name}: signal is one of {', '.join(SIGNALS)}")
        require(self.counter or self.modulus is None, f"quantity {self.name}: only a counter has a modulus")
        require(self.name.isidentifier(), f"quantity {self.name!r}: a name is letters, digits and _")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A feed that the domain knows how to read: format, mapping and pace; the town says where it comes from.

    `sample` names a file under data/samples/ that the mapping must decode without a refusal.
    """

    name: str
    format: str
    every: timedelta
    meaning: str
    mapping: Mapping[str, Any] = field(default_factory=dict)
    sample: str | None = None


@cache
def _parameters(function: Callable[..., pl.DataFrame]) -> tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]:
    """Names of what a KPI function reads, and its tunable parameters with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    reads = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    return reads, tuple((p.name, p.default) for p in parameters if p.kind is p.KEYWORD_ONLY)


class Draw(NamedTuple):
    """What empties a store and what fills it: quantities of its asset's sensors, in the unit of its stock an hour."""

    empties: tuple[str, ...]
    fills: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Kpi:
    """A declared KPI: a pure function and all that people need to know to believe its value.

    The function's name is the KPI's id; its positional parameters name what it reads; its keyword-only
    parameters with defaults are what a town may tune. See docs/adding-a-kpi.md for the contract.
    `counts`: it counts events, so whatever came counts, and only that there were none must be covered by
    `min_coverage`. `hears`: the tables that feeds were declared for whose arrivals it is handed; none: all.
    `habitual`: it follows the hours of the day or the days of the week, so it may be told what is usual.
    `grows`: while a window runs its value can only grow, so it is compared with what it was after the same time.
    `level_shifts`: a step of its level that stays means something, as a leak does. `runs_down`: it is a stock over a
    draw, so by the usual draw of the hours to come it can be told when the stock is used up.
    A published value that changes by more than `tolerance` (in the KPI's unit) is a correction that people are told.
    `owner` answers for the value; towns name theirs.
    """

    function: Callable[..., pl.DataFrame]
    catalogue: str
    title: str
    plain: str
    formula: str
    standard: str
    unit: str
    window: Window
    levels: tuple[str, ...]
    better: Literal["higher", "lower", "context"]
    target: float | None = None
    watch: float | None = None
    scale: float = 1.0
    decimals: int = 1
    lookback: timedelta | None = timedelta(0)
    settles: timedelta | None = None
    min_coverage: float = 0.75
    counts: bool = False
    hears: tuple[str, ...] = ()
    floor: float = 0
    tolerance: float | None = None
    owner: str = ""
    headline: bool = False
    habitual: bool = False
    grows: bool = False
    level_shifts: bool = False
    runs_down: Draw | None = None

    def __post_init__(self) -> None:
        where = f"KPI {self.id}"
        require(self.better == "context" or self.target is not None, f"{where}: a target is needed to judge it")
        require("town" in self.levels or self.levels, f"{where}: no levels")
        require(not self.counts or self.better == "context", f"{where}: thin counts cannot reach a target")
        require((self.function.__doc__ or "").strip(), f"{where}: the function has no docstring")
        require(self.inputs, f"{where}: it reads nothing")
        require(not self.hears or "arrivals" in self.inputs, f"{where}: it hears feeds and reads no arrivals")
        steady = self.window.kind == "calendar" and self.window.step in ("quarter_hour", "hour", "day")
        require(steady or not self.habitual, f"{where}: only windows of a day or less repeat")
        daily = self.window == Window("calendar", "day")
        require(daily or not self.level_shifts, f"{where}: steps of a level are sought from day to day")

    @property
    def id(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tables that the function reads, in order."""
        return _parameters(self.function)[0]

    @property
    def tunables(self) -> dict[str, Any]:
        """Keyword-only parameters and their defaults."""
        return dict(_parameters(self.function)[1])


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One service of the town, whole: what arrives, what is computed, what is watched, what is drawn.

    `rules` is a CSV of named ways to judge its KPIs where sources disagree or countries differ (settings/rules.py).
    """

    name: str
    title: str
    meaning: str
    quantities: tuple[Quantity, ...] = ()
    tables: tuple[Table, ...] = ()
    references: tuple[Reference, ...] = ()
    sources: tuple[Source, ...] = ()
    kpis: tuple[Kpi, ...] = ()
    alarms: tuple[AlarmRule, ...] = ()
    pictures: tuple[Picture, ...] = ()
    rules: Path | None = None

    def __post_init__(self) -> None:
        readable = set(ENGINE_TABLES)
        readable |= {q.name for q in self.quantities}
        readable |= {f"{q.name}_{grain}" for q in self.quantities for grain in GRAINS}
        readable |= {t.name for t in self.tables} | {r.name for r in self.references}
        for kpi in self.kpis:
            unknown = set(kpi.inputs) - readable
            require(not unknown, f"KPI {kpi.id} reads {sorted(unknown)}; the domain {self.name} has {sorted(readable)}")
            unheard = set(kpi.hears) - {t.name for t in self.tables}
            require(not unheard, f"KPI {kpi.id} hears the feeds of {sorted(unheard)}, which are no tables here")
        check(self.pictures, readable, {k.id for k in self.kpis}, self.name)
        columns = {table.name: {column.name for column in table.columns} for table in self.tables}
        watchable = {q.name for q in self.quantities} | {k.id for k in self.kpis}
        for rule in self.alarms:
            known = rule.watches in watchable and not rule.column
            require(
                known or {rule.column, rule.thing} <= columns.get(rule.watches, set()),
                f"alarm {rule.name} watches {rule.watches!r} {rule.column}: no quantity, KPI or column of a table",
            )
        for kind, names in (
            ("KPI", [k.id for k in self.kpis]),
            ("table", [t.name for t in self.tables]),
            ("alarm", [a.name for a in self.alarms]),
            ("source", [s.name for s in self.sources]),
            ("picture", [p.id for p in self.pictures]),
        ):
            require(len(set(names)) == len(names), f"domain {self.name}: a {kind} is declared twice")
