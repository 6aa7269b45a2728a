"""One dirty town through the real line, and its KPIs by three ways: the product, plain Python, and DuckDB's SQL."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl

from pipelines import available
from pipelines.engine import calendar, flow, registers, settings
from pipelines.engine.flow import RawMessage
from pipelines.engine.journal import Entry
from pipelines.engine.line import Line
from pipelines.engine.local import pushed
from pipelines.engine.model import INSTANT, Kpi
from pipelines.engine.tables import ARRIVALS
from tests.oracles.plain import Row, Rows, Span

Values = dict[tuple[datetime, str], float | None]
Plain = Callable[["Dirty", Span], Mapping[str, float | None]]
# Windows that overlap much (24 hours ending every hour) are looked at here and there.
MOST_WINDOWS = 40


@dataclass
class Dirty:
    """A town's registers as CSV and GeoJSON, and its rows by table in the order in which they came, batch by batch.

    A batch is one push: what a later one says of the same key replaces what an earlier one said.
    """

    domain: str
    zone: str
    start: datetime
    end: datetime
    registers: dict[str, str]
    batches: list[tuple[str, Rows]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def rows(self, table: str) -> Rows:
        """Every row of a table, in the order in which they came."""
        return [row for name, batch in self.batches if name == table for row in batch]

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once."""
        if name not in self.facts:
            self.facts[name] = make()
        return self.facts[name]

    def register(self, name: str) -> Rows:
        """A register read from its CSV: numbers as numbers, empty as null."""
        lines = self.registers[f"{name}.csv"].strip().splitlines()
        head = lines[0].split(",")
        return [dict(zip(head, map(_cell, line.split(",")), strict=True)) for line in lines[1:]]


def _cell(text: str) -> Any:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def opened(dirty: Dirty, folder: Path) -> Line:
    """The line of the dirty town, with all its batches landed."""
    reference = folder / "reference"
    reference.mkdir(parents=True)
    toml = f'[town]\nname = "Dirty"\ntimezone = "{dirty.zone}"\ndomains = ["{dirty.domain}"]\n'
    (folder / "town.toml").write_text(toml + dirty.facts.get("toml", ""), "utf-8")
    for name, text in dirty.registers.items():
        (reference / name).write_text(text, "utf-8")
    found = settings.load(folder, available)
    line = Line(found, registers.load(found), dirty.start)
    for table, rows in dirty.batches:
        (_note if table == "arrivals" else _push)(line, table, rows, dirty.end)
    line.kpis.inputs.forget(line.drain_touched())
    return line


def _push(line: Line, table: str, rows: Rows, now: datetime) -> None:
    key = "readings" if table == "readings" else "rows"
    body = orjson.dumps({key: [_open(row) for row in rows]})
    receipt = flow.take(line, [RawMessage(pushed(line.settings.feeds["push"], "json", table), body, now)], now)[0]
    assert not receipt.quarantined, (table, receipt.reasons[:3])
    assert receipt.refused_words is None, (table, receipt.refused_words)


def _note(line: Line, table: str, rows: Rows, now: datetime) -> None:
    """Arrivals as the line notes them, each with the time at which it came."""
    blank = dict.fromkeys(ARRIVALS.schema)
    entries = [
        Entry(
            table,
            pl.DataFrame([{**blank, **_open(row), "covers_from": row["observed_at"]}], schema=ARRIVALS.schema),
            {"received_s": row["_received"].timestamp()},
        )
        for row in sorted(rows, key=lambda row: row["_received"])
    ]
    with line.writing:
        line.store.land(line.journal.append(entries), entries)


def _open(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("_")}


def windows_of(kpi: Kpi, dirty: Dirty) -> pl.DataFrame:
    """The windows of the KPI over the town's days, the last one still running."""
    grid = calendar.windows(kpi.window, dirty.start, dirty.end, dirty.end, dirty.zone)
    step = max(1, grid.height // MOST_WINDOWS)
    return pl.concat([grid.gather_every(step), grid.tail(1)]).unique().sort("window")


def by_product(line: Line, kpi: Kpi, dirty: Dirty, grid: pl.DataFrame) -> Values:
    """What the declared function gives through the engine's own inputs, divided as the engine divides."""
    low, high = grid["window"].min(), grid["end"].max()
    start = low - kpi.lookback if kpi.lookback is not None else None
    given = {"windows": grid, "zone": dirty.zone}
    given |= {name: line.kpis.inputs.get(name, start, high) for name in kpi.inputs if name not in given}
    if kpi.hears:
        heard = [feed.name for feed in line.settings.feeds.values() if feed.table in kpi.hears]
        given["arrivals"] = given["arrivals"].filter(pl.col("feed").is_in(heard))
    called = kpi.function(**{name: given[name] for name in kpi.inputs})
    blank = [
        pl.lit(None, pl.Float64).alias(n) for n in ("value", "numerator", "denominator") if n not in called.columns
    ]
    rows = called.with_columns(*blank).with_columns(
        value=pl.coalesce(
            "value", pl.when(pl.col("denominator") != 0).then(pl.col("numerator") / pl.col("denominator"))
        )
    )
    if "reason" in rows.columns:
        rows = rows.with_columns(value=pl.when(pl.col("reason").is_null()).then(pl.col("value")))
    assert not rows.select("window", "area").is_duplicated().any(), "the product gives an area twice"
    return {(w, area): value for w, area, value in rows.select("window", "area", "value").iter_rows()}


def by_plain_python(oracle: Plain, dirty: Dirty, grid: pl.DataFrame) -> Values:
    return {
        (start, area): value
        for start, end, as_of in grid.select("window", "end", "as_of").iter_rows()
        for area, value in oracle(dirty, Span(start, end, as_of)).items()
    }


def database(dirty: Dirty, views: str, schemas: Mapping[str, Mapping[str, Any]]) -> duckdb.DuckDBPyConnection:
    """DuckDB over the rows as they came: a table for each, with `came` (their order), and the domain's views."""
    con = duckdb.connect(config={"threads": "1"})
    con.execute("SET TimeZone='UTC'")
    for table, schema in schemas.items():
        rows = (
            dirty.rows(table) if not table.startswith("register_") else dirty.register(table.removeprefix("register_"))
        )
        frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=dict(schema))
        con.register("incoming", frame.with_row_index("came").to_arrow())
        con.execute(f"CREATE TABLE {table} AS SELECT * FROM incoming")
        con.unregister("incoming")
    con.execute(f"CREATE MACRO zone() AS '{dirty.zone}'")
    con.execute("CREATE MACRO here(moment) AS timezone(zone(), moment)")
    con.execute(views)
    return con


def by_sql(con: duckdb.DuckDBPyConnection, query: str, grid: pl.DataFrame) -> Values:
    """What the query gives: window_start, area, value; `w` holds the windows."""
    con.register("grid", grid.rename({"window": "start", "end": "stop"}).to_arrow())
    con.execute("CREATE OR REPLACE TEMP TABLE w AS SELECT * FROM grid")
    con.unregister("grid")
    found = con.sql(query).pl()
    start, area, value = found.columns
    rows = found.select(pl.col(start).cast(INSTANT), area, pl.col(value).cast(pl.Float64))
    assert not rows.select(start, area).is_duplicated().any(), "the query gives an area twice"
    return {(w, a): v for w, a, v in rows.iter_rows()}


def differences(found: Mapping[str, Values], levels: tuple[str, ...]) -> list[str]:
    """Where the three do not agree, in words; an area that one of them does not name is unknown there."""
    wrong = []
    keys = {key for values in found.values() for key in values if key[1].partition(":")[0] in levels}
    for key in sorted(keys):
        values = {name: own.get(key) for name, own in found.items()}
        if not _same(list(values.values())):
            wrong.append(f"{key[0]:%Y-%m-%d %H:%M} {key[1]}: {values}")
    return wrong


def _same(values: list[float | None]) -> bool:
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return True
    return len(known) == len(values) and all(math.isclose(v, known[0], rel_tol=1e-9, abs_tol=1e-9) for v in known)


def told(values: Values, levels: tuple[str, ...]) -> int:
    """How many values are known."""
    return sum(v is not None for (_, area), v in values.items() if area.partition(":")[0] in levels)


def row_of(rows: Rows, **wanted: Any) -> Row | None:
    """The row with these cells."""
    return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)
