"""The store: newest rows of every table, from hot rows in DuckDB and sorted Parquet; the only module with SQL."""

import copy
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.engine import manifest as manifests
from pipelines.engine import sql
from pipelines.engine.calendar import extent
from pipelines.engine.journal import Entry, Tail, Withdrawn
from pipelines.engine.landing import MOST_FRAMES, Landing, in_memory, packed
from pipelines.engine.manifest import Manifest, Part
from pipelines.engine.model import INSTANT, Table
from pipelines.engine.past import Past
from pipelines.engine.rolled import Rolled
from pipelines.engine.sorting import Sorting, sort_rows, sort_whole
from pipelines.engine.standing import Standing

log = logging.getLogger("townboard")
# So much Parquet is held against its checksums at the start: a second's work, years of a town.
READ_THROUGH = 512 << 20
# So many rows lie in the tables of a reader as they came, before it packs them.
MOST_LOOSE = 20_000
BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)


class Store:
    """All tables of a town as one process sees them.

    `hot` holds the frames that are not compacted yet and, from `hot_since` on, everything; older rows are read
    from Parquet. A reader (the web process) passes no `hot_since` and calls `catch_up`; the writer calls `land`.
    """

    def __init__(
        self, folder: Path, tables: Iterable[Table], hot_since: datetime | None = None, memory: str = "256MB"
    ) -> None:
        self.folder = folder
        self.tables: Mapping[str, Table] = {table.name: table for table in tables}
        self.hot_since = hot_since
        self.manifest, self.seq = Manifest(), 0
        self._local = threading.local()
        self._db = in_memory(memory)
        # Parquet files left out because they are damaged: file -> what is wrong with it, in words.
        self.damaged: dict[str, str] = {}
        self._tail: Tail | None = None
        self._mark: tuple[int, int, int] | None = None
        self._standing: Standing | None = None
        self.rolled = Rolled(self)
        self._adopting, self._loose = False, 0
        self._lock = threading.RLock()
        self._past = Past()
        self._landing = Landing(self.tables, self._past.put)
        # In one transaction: each alone costs about a millisecond, whenever a store is opened.
        self._db.execute("BEGIN")
        for table in self.tables.values():
            columns = ", ".join(f'"{c.name}" {sql.TYPES[c.kind]}' for c in table.columns)
            self._db.execute(f'CREATE TABLE "hot_{table.name}" ({columns}, _received_at TIMESTAMPTZ, _seq BIGINT)')
        self._db.execute("COMMIT")

    def open(self) -> None:
        """Read the manifest, the recent Parquet and the journal's tail.

        Raises StoreError when the manifest is unreadable, Rot when the journal is damaged.
        """
        self.manifest = self._sound(manifests.read(self.folder))
        self.seq = self.manifest.applied_seq
        for table in self.tables.values():
            parts = self._parts(table, since=None if table.replaces else self.hot_since, hot=True)
            if parts:
                names, old = sql.names(table), sql.parquet(self.folder, parts, table)
                since = "" if table.replaces else f"WHERE {sql.at(table)} >= '{self.hot_since}'"
                self._cursor().execute(
                    f'INSERT INTO "hot_{table.name}" SELECT {names}, _received_at, 0 FROM {old} {since}'
                )
        self._tail = Tail(self.folder / "journal", self.manifest.applied_seq)
        self.catch_up()

    def _sound(self, current: Manifest) -> Manifest:
        """The manifest without its damaged files: they are named, and the rest serves."""
        self.damaged = manifests.damaged(self.folder, current, READ_THROUGH)
        for words in self.damaged.values():
            log.error("%s; its rows are missing until it is restored from a backup", words)
        return current.without(set(self.damaged))

    def catch_up(self) -> list[tuple[int, list[Entry]]]:
        """Land the frames that another process (or an earlier life of this one) appended; gives them back."""
        assert self._tail is not None
        mark = manifests.mark(self.folder)
        if mark is None or mark != self._mark:
            current, self._mark = manifests.read(self.folder), mark
            if current.rev != self.manifest.rev:
                self.adopt(current)
        try:
            arrived = self._tail.poll()
        except Withdrawn:
            return self._begin_again()
        for first in range(0, len(arrived), MOST_FRAMES):
            part = arrived[first : first + MOST_FRAMES]
            with self._lock:
                self._landing.put(self._cursor(), part, self.manifest.held_seq)
                for seq, entries in part:
                    self._learn(entries)
                    self._loose += sum(entry.rows.height for entry in entries)
                    self.seq = seq
        if self._loose > MOST_LOOSE and self.hot_since is None:
            self.pack()
        return arrived

    def _begin_again(self) -> list[tuple[int, list[Entry]]]:
        """Read everything anew: a frame that is here was never durable and is gone from the journal."""
        with self._lock:
            for name in self.tables:
                self._cursor().execute(f'DELETE FROM "hot_{name}"')
        self._tail = self._standing = None
        self.open()
        return [(self.seq, [Entry("series", self.rows("series"))])] if "series" in self.tables else []

    def adopt(self, manifest: Manifest, hot_since: datetime | None = None) -> None:
        """Switch to a newer manifest and let go of hot rows that it holds."""
        with self._lock:
            self._adopting = True
            try:
                with self._landing.settled(self._cursor()):
                    self._switch(manifest, hot_since)
            finally:
                self._adopting = False

    def _switch(self, manifest: Manifest, hot_since: datetime | None) -> None:
        self.hot_since = hot_since or self.hot_since
        self.manifest = manifest.without(set(self.damaged))
        cursor = self._cursor()
        for table in self.tables.values():
            if not table.replaces:
                old = f"AND {sql.at(table)} < '{self.hot_since}'" if self.hot_since else ""
                cursor.execute(f'DELETE FROM "hot_{table.name}" WHERE _seq <= {manifest.applied_seq} {old}')
            elif self.hot_since is None:
                self._reload(table)
        if self._tail and self._tail.seq < manifest.applied_seq:
            self._tail = Tail(self.folder / "journal", manifest.applied_seq)
            self.seq = manifest.applied_seq
        self._loose += MOST_LOOSE

    def pack(self) -> None:
        """Hold the hot rows in less room."""
        packed(self._cursor())
        self._loose = 0

    def whole(self, ask: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """The answer to a question over hot rows and Parquet, asked again when rows moved between them meanwhile."""
        while True:
            before = self.manifest
            found = ask()
            if before is self.manifest and not self._adopting:
                return found
            with self._lock:
                pass

    def pinned(self, folder: Path) -> "Store":
        """All as it stands now, for this thread, whatever lands or is compacted later; `folder` holds what it needs."""
        view, cursor = copy.copy(self), self._db.cursor()
        with self._lock:
            # DuckDB fixes what a transaction sees with its first question.
            for words in ("BEGIN", "SET TimeZone='UTC'", "SELECT count(*) FROM hot_readings"):
                cursor.execute(words).fetchall()
            view.manifest, view.seq = self.manifest, self.seq
            view.folder = manifests.held(self.folder, self.manifest, folder)
        view._landing, view._local = Landing(self.tables, self._past.put), threading.local()
        view._local.cursor = cursor
        return view

    def _reload(self, table: Table) -> None:
        """A whole-set table in a reader: take the compacted set unless a newer one is hot already."""
        cursor = self._cursor()
        newer = cursor.execute(
            f'SELECT count(*) FROM "hot_{table.name}" WHERE _seq > {self.manifest.applied_seq}'
        ).fetchall()
        parts = self._parts(table, since=None, hot=True)
        if not newer[0][0] and parts:
            names, compacted = sql.names(table), sql.parquet(self.folder, parts, table)
            cursor.execute(f'DELETE FROM "hot_{table.name}"')
            cursor.execute(f'INSERT INTO "hot_{table.name}" SELECT {names}, _received_at, 0 FROM {compacted}')

    def land(self, seq: int, entries: Sequence[Entry]) -> None:
        """Make the rows of one durable frame visible to whoever asks next."""
        with self._lock:
            self._landing.add(seq, entries)
            self._learn(entries)
            self.seq = seq
        if self._landing.is_full:
            self._landing.settle(self._cursor())

    def _learn(self, entries: Sequence[Entry]) -> None:
        self._past.learn(entries)
        for entry in entries:
            if entry.table == "readings" and self._standing is not None:
                self._standing.learn(entry.rows)

    def sort(self, name: str, frame: pl.DataFrame) -> Sorting:
        """Hold a batch (declared columns, in order of arrival) against what is known."""
        table = self.tables[name]
        if table.replaces:
            return sort_whole(table, self.rows(name).select(frame.columns).cast(table.schema), frame)
        if name == "readings" and self.hot_since is not None:
            if not self._past.begun:
                latest = self.latest().cast({"series": pl.Int32, "observed_at": INSTANT})
                self._past.begin(self._cold_until(), latest)
            fresh = self._past.is_new(frame)
            if fresh.all():
                # As nearly always: not even a filter, which would wait for the pool of the KPIs.
                return sort_rows(table, frame.clear(), frame)
            rest = frame.filter(~fresh)
            known = self._past.states(table, rest, self._landing)
            return sort_rows(table, self._known(table, rest) if known is None else known, frame)
        return sort_rows(table, self._known(table, frame), frame)

    def _cold_until(self) -> datetime:
        """Past this instant every reading is hot."""
        assert self.hot_since is not None
        edges = [part.high or self.hot_since for part in self._parts(self.tables["readings"])]
        return min(max(edges, default=BEFORE_ALL), self.hot_since)

    def unknown(self, name: str, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of the frame whose key is not in the store, once each."""
        table = self.tables[name]
        if frame.is_empty():
            return frame
        fresh = frame.unique(table.key, keep="first", maintain_order=True)
        return fresh.join(self._known(table, fresh), on=list(table.key), how="anti", maintain_order="left")

    def received(self, name: str, keys: pl.DataFrame) -> pl.DataFrame:
        """When the newest rows of these keys came: the key's columns and received_at."""
        table = self.tables[name]
        return self._found(table, keys).select(*table.key, "received_at")

    def _known(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        """The newest rows of the keys in the frame."""
        return self._found(table, frame).select(c.name for c in table.columns)

    def _found(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        """The same with received_at."""
        keys = frame.select(table.key).unique()
        cursor = self._asked()
        cursor.register("keys", keys)
        low = high = None
        bounds = ""
        if table.time in table.key and frame.height:
            low, high = extent(frame[table.time].cast(INSTANT))
            bounds = f" WHERE {sql.at(table)} BETWEEN '{low}' AND '{high}'"
        using = ", ".join(f'"{name}"' for name in table.key)
        names = ", ".join([*(f'h."{c.name}"' for c in table.columns), "h._received_at AS received_at"])
        hot = cursor.sql(f'SELECT {names} FROM "hot_{table.name}" h JOIN keys USING ({using}){bounds}').pl()
        parts = self._parts(table, low, high)
        if parts:
            old = cursor.sql(
                f"SELECT {names} FROM {sql.parquet(self.folder, parts, table)} h JOIN keys USING ({using})"
            ).pl()
            hot = pl.concat([hot, old.join(hot, on=list(table.key), how="anti")])
        cursor.unregister("keys")
        return hot.cast(table.schema)

    def rows(
        self,
        name: str,
        start: datetime | None = None,
        end: datetime | None = None,
        where: str = "",
        params: Mapping[str, Any] | None = None,
        *,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame:
        """The newest rows of a table whose time lies in [start, end), in order of time.

        Shape: the declared columns and received_at, or `columns`.
        `where` is a condition in SQL over the columns with $named `params`: never put a value into it as text.
        """
        table = self.tables[name]
        chosen = ", ".join(f'"{c}"' for c in columns) if columns else f"{sql.names(table)}, _received_at AS received_at"
        order = f'ORDER BY "{table.time}"' if table.time else ""
        cut = f"LIMIT {int(limit)}" if limit is not None else ""

        def ask() -> pl.DataFrame:
            source = self.source(name, start, end, where)
            return self.ask(f"SELECT {chosen} FROM ({source}) {order} {cut}", params)

        return self.whole(ask)

    def source(self, name: str, start: datetime | None, end: datetime | None, where: str = "") -> str:
        """The newest rows of a table in [start, end) as a source in SQL: its columns and _received_at."""
        table = self.tables[name]
        condition = " AND ".join(filter(None, [f"({where})" if where else "", *sql.span(table, start, end)])) or "TRUE"
        sources = [f'SELECT {sql.names(table)}, _received_at FROM "hot_{name}" WHERE {condition}']
        parts = [] if table.replaces else self._parts(table, start, end)
        if parts:
            since = f" AND {sql.at(table)} < '{self.hot_since}'" if self.hot_since else ""
            sources.append(
                f"SELECT {sql.names(table)}, _received_at FROM {sql.parquet(self.folder, parts, table)} c "
                f"WHERE ({condition}){since} AND {sql.not_hot(table)}"
            )
        return " UNION ALL ".join(sources)

    def ask(
        self, query: str, params: Mapping[str, Any] | None = None, frames: Mapping[str, pl.DataFrame] | None = None
    ) -> pl.DataFrame:
        """The answer to a statement in SQL that may name these frames."""
        cursor = self._asked()
        for name, frame in (frames or {}).items():
            cursor.register(name, frame)
        try:
            return cursor.sql(query, params=dict(params or {})).pl()
        finally:
            for name in frames or {}:
                cursor.unregister(name)

    def hot_keys_before(self, name: str, instant: datetime) -> pl.DataFrame:
        """Series and instants of late hot rows that lie before `instant` (their rollups on disk are out of date)."""
        at = self.tables[name].time
        late = f'SELECT series, "{at}" FROM "hot_{name}" WHERE "{at}" < $instant'
        return self._asked().sql(late, params={"instant": instant}).pl()

    def latest(self) -> pl.DataFrame:
        """The newest hot reading of every series: series, observed_at, value."""
        newest = "series, max(observed_at) AS observed_at, arg_max_null(value, observed_at) AS value"
        return self._asked().sql(f"SELECT {newest} FROM hot_readings GROUP BY series").pl()

    def standing(self, since: datetime) -> pl.DataFrame:
        """The newest reading of every series, sought once from `since` on and kept up by what lands.

        Shape: series, observed_at, value.
        """
        with self._lock:
            if self._standing is None:
                newest = "series, max(observed_at) AS observed_at, arg_max_null(value, observed_at) AS value"
                source = self.source("readings", since, None)
                self._standing = Standing(self.ask(f"SELECT {newest} FROM ({source}) GROUP BY series"))
            return self._standing.rows()

    def sums(self, name: str, columns: Sequence[str], by: str) -> pl.DataFrame:
        """Sums of number columns over all rows, by one column."""
        chosen = ", ".join(f'CAST(sum("{c}") AS BIGINT) AS "{c}"' for c in columns)
        source = self._ever(name, ", ".join(f'"{c}"' for c in (by, *columns)))
        return self._asked().sql(f'SELECT "{by}", count(*) AS payloads, {chosen} FROM ({source}) GROUP BY "{by}"').pl()

    def covered_spans(self) -> pl.DataFrame:
        """The spans that landed arrivals cover, overlapping ones joined: feed, low, high."""
        source = self._ever("arrivals", "feed, covers_from AS low, observed_at AS high, outcome")
        return self._asked().sql(sql.joined_spans(source)).pl()

    def _ever(self, name: str, columns: str) -> str:
        """These columns of all rows, hot and compacted, as a source in SQL."""
        table = self.tables[name]
        source, parts = f'SELECT {columns} FROM "hot_{name}"', self._parts(table, None, None)
        if parts:
            since = f"{sql.at(table)} < '{self.hot_since}'" if self.hot_since else "TRUE"
            # Rows that nobody corrects stand in one place only, unless a lost manifest was made again.
            once = f" AND {sql.not_hot(table)}" if self.manifest.doubtful else ""
            source += f" UNION ALL SELECT {columns} FROM {sql.parquet(self.folder, parts, table)} c WHERE {since}{once}"
        return source

    def _asked(self) -> duckdb.DuckDBPyConnection:
        """A cursor for a question: all that has landed is in the tables."""
        if self._landing.waits:
            self._landing.settle(self._cursor())
        return self._cursor()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._db.cursor()
            cursor.execute("SET TimeZone='UTC'")
        return cursor

    def _parts(
        self,
        table: Table,
        low: datetime | None = None,
        high: datetime | None = None,
        *,
        since: datetime | None = None,
        hot: bool = False,
    ) -> list[Part]:
        """Parquet files of a table that may hold rows of [low, high] older than hot_since; with `hot`, those newer."""
        found = []
        for part in self.manifest.parts.get(table.name, {}).values():
            if hot:
                wanted = table.replaces or (since is not None and part.high is not None and part.high >= since)
            else:
                before = self.hot_since is None or part.low is None or part.low < self.hot_since
                wanted = before and part.meets(low, high)
            if wanted:
                found.append(part)
        return found
