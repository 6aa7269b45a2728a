"""What every decoder gives and how the engine finds one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any, Protocol

import polars as pl

ROW = "_row"


class Refused(Exception):
    """The whole payload cannot be read; the text tells the clerk where, what was found and what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Refusal:
    """One row that could not be read: its position in the payload, a short reason, words, its bytes as they came."""

    row: int
    reason: str
    detail: str
    original: bytes
    table: str = ""


class RowOriginals(Protocol):
    """Gives the bytes of one row as they came, for the quarantine."""

    def __call__(self, row: int) -> bytes: ...


@dataclass(frozen=True)
class Decoded:
    """What one payload holds.

    `tables`: table name -> frame with canonical column names plus `_row` (UInt32, position in the payload).
    `readings` frames have sensor, observed_at (UTC), value (number, null = measured but unusable) and optionally unit.
    Columns may still be of text kind where the file had text; validation casts them and refuses what does not fit.
    `refused`: rows that no frame could hold. `observed_at`: the payload's own clock, where it has one.
    """

    tables: Mapping[str, pl.DataFrame]
    refused: tuple[Refusal, ...] = ()
    observed_at: datetime | None = None
    original: RowOriginals = field(default=lambda row: b"")

    @property
    def rows(self) -> int:
        """How many rows were decoded or refused."""
        return sum(frame.height for frame in self.tables.values()) + len(self.refused)


# A payload and what came beside it: the parts of its topic by name.
Part = tuple[bytes, Mapping[str, str]]


@dataclass(frozen=True)
class Together:
    """Payloads of one feed decoded as one: their places among those given, and the rows before the first of each."""

    decoded: Decoded
    members: tuple[int, ...]
    starts: tuple[int, ...]


Decoder = Callable[[bytes, Mapping[str, Any], datetime], Decoded]
TogetherDecoder = Callable[[Sequence[Part], Mapping[str, Any]], list[Together]]

FORMATS = {
    "csv": "table_file",
    "xlsx": "table_file",
    "json": "table_file",
    "ndjson": "table_file",
    "parquet": "table_file",
    "gtfs_static": "gtfs_static",
    "gtfs_realtime": "gtfs_realtime",
    "open311_json": "open311",
    "open311_xml": "open311",
    "seeclickfix": "seeclickfix",
    "chirpstack": "chirpstack",
    "things_stack": "things_stack",
    "sparkplug": "sparkplug",
}


def formats() -> tuple[str, ...]:
    """Names of the formats a feed may have."""
    return tuple(FORMATS)


def decoder(name: str) -> Decoder:
    """The decoder of a format: decode(payload, mapping, received_at) -> Decoded, raising only Refused.

    `mapping` is the feed's mapping from town.toml with "format", "table", "zone", "feed" and "fields" always present;
    "fields" is what came beside the payload: the parts of its topic by name.
    """
    module = import_module(f"pipelines.engine.decode.{FORMATS[name]}")
    return module.decode


@cache
def together(name: str) -> TogetherDecoder | None:
    """The decoder of a format for many small payloads at once, where its module has one.

    It gives the payloads that can be read so with what each would have given alone; those that it leaves out are
    decoded alone.
    """
    module = import_module(f"pipelines.engine.decode.{FORMATS[name]}")
    found: TogetherDecoder | None = getattr(module, "TOGETHER", {}).get(name)
    return found


def fills(name: str, table: str) -> tuple[str, ...]:
    """The tables that payloads of a format fill: those its module names in FILLS, else the one that the feed names."""
    module = import_module(f"pipelines.engine.decode.{FORMATS[name]}")
    return getattr(module, "FILLS", (table,))
