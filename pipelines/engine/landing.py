"""Durable frames on their way into the hot tables: many small ones go together, when somebody asks."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from pipelines.engine.calendar import extent
from pipelines.engine.journal import Entry
from pipelines.engine.model import Table
from pipelines.engine.tables import RECEIVED, alike, shaped, stamped

# So many frames, and about so many rows, are put into the tables at once.
MOST_FRAMES, MOST_ROWS = 500, 1_000_000
Frames = Sequence[tuple[int, Sequence[Entry]]]


def in_memory(most: str) -> duckdb.DuckDBPyConnection:
    """A database that takes at most so much memory, and gives back what it does not need."""
    config: dict[str, Any] = {
        # Whoever bounds the threads of Polars (POLARS_MAX_THREADS) means the whole process.
        "threads": str(min(2, pl.thread_pool_size())),
        "memory_limit": most,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "preserve_insertion_order": "false",
        # Else what was let go is given back only when somebody asks again.
        "allocator_background_threads": "true",
    }
    return duckdb.connect(":memory:", config=config)


def packed(cursor: duckdb.DuckDBPyConnection) -> None:
    """Have all tables compressed, and the room of deleted rows let go.

    Whoever writes meanwhile waits: some milliseconds, a quarter of a second the first time after a start.
    """
    # While somebody's transaction is in the way it is left to the next call.
    with suppress(duckdb.TransactionException):
        cursor.execute("CHECKPOINT")


class Landing:
    """Holds frames until they are put into the tables: each transaction costs milliseconds, whatever is in it.

    Whoever adds waits for nobody who is putting: a sender waits for that.
    """

    def __init__(self, tables: Mapping[str, Table], put: Callable[[Frames], None]) -> None:
        """`put` is told of frames that were held and are in the tables now, before they are let go."""
        self._tables, self._told = tables, put
        self._adding, self._putting = threading.Lock(), threading.RLock()
        self._frames: list[tuple[int, Sequence[Entry]]] = []
        self._going: Frames = ()
        self._rows = 0

    @property
    def waits(self) -> bool:
        """Whether anything is not in the tables yet."""
        return bool(self._frames or self._going)

    @property
    def is_full(self) -> bool:
        """Whether no more should be held."""
        return len(self._frames) >= MOST_FRAMES or self._rows >= MOST_ROWS

    def add(self, seq: int, entries: Sequence[Entry]) -> None:
        """Hold one frame more."""
        with self._adding:
            self._frames.append((seq, entries))
            self._rows += sum(entry.rows.height for entry in entries)

    def settle(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Put what is held into the tables; when that fails it is still held."""
        with self._putting:
            with self._adding:
                self._going, rows = self._frames, self._rows
                self._frames, self._rows = [], 0
            try:
                if self._going:
                    self._put(cursor, self._going)
                    self._told(self._going)
            except BaseException:
                with self._adding:
                    self._frames, self._rows = [*self._going, *self._frames], self._rows + rows
                raise
            finally:
                self._going = ()

    def held(self, name: str, low: datetime, high: datetime) -> list[pl.DataFrame]:
        """The rows of a table in [low, high] that may not be in the tables yet, frame by frame."""
        table = self._tables[name]
        with self._adding:
            frames = [*self._going, *self._frames]
        found = [entry.rows for _, entries in frames for entry in entries if entry.table == name]
        return [rows for rows in found if rows.height and _meets(rows[str(table.time)], low, high)]

    @contextmanager
    def settled(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """All that was held is in the tables, and nothing more comes there meanwhile."""
        with self._putting:
            self.settle(cursor)
            yield

    def put(self, cursor: duckdb.DuckDBPyConnection, frames: Frames, held: int) -> None:
        """Put frames as the journal has them into the tables: rows of those up to `held` may be there already."""
        self._put(cursor, frames, held)

    def _put(self, cursor: duckdb.DuckDBPyConnection, frames: Frames, held: int = 0) -> None:
        """Put the rows of frames into the tables, in order, all at once."""
        gathered: dict[str, list[tuple[int, Entry]]] = {}
        for seq, entries in frames:
            for entry in entries:
                if entry.table in self._tables:
                    gathered.setdefault(entry.table, []).append((seq, entry))
        cursor.execute("BEGIN")
        try:
            for name, found in gathered.items():
                corrects = any(seq <= held or e.facts.get("corrects") for seq, e in found)
                _insert(cursor, self._tables[name], found, corrects=corrects)
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise


def _insert(
    cursor: duckdb.DuckDBPyConnection, table: Table, found: Sequence[tuple[int, Entry]], *, corrects: bool
) -> None:
    target = f'"hot_{table.name}"'
    if table.replaces:
        cursor.execute(f"DELETE FROM {target}")
        found = found[-1:]
    rows = pl.concat([_stamped(entry, table, seq) for seq, entry in found])
    if corrects:
        rows = rows.unique(table.key, keep="last", maintain_order=True)
    cursor.register("incoming", rows)
    if corrects and not table.replaces:
        same = " AND ".join(f't."{key}" = i."{key}"' for key in table.key)
        cursor.execute(f"DELETE FROM {target} t USING incoming i WHERE {same}")
    cursor.execute(f"INSERT INTO {target} SELECT * FROM incoming")
    cursor.unregister("incoming")


def _meets(instants: pl.Series, low: datetime, high: datetime) -> bool:
    first, last = extent(instants)
    return first <= high and last >= low


def _stamped(entry: Entry, table: Table, seq: int) -> pl.DataFrame:
    """The rows of an entry as the hot table holds them."""
    rows = shaped(stamped(entry.rows, entry.facts), table)
    columns = [rows[name] for name in (*(c.name for c in table.columns), RECEIVED)]
    return pl.DataFrame([*columns, alike("_seq", seq, pl.Int64(), rows.height)])
