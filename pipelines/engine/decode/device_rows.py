"""What messages of devices say, as plain rows; those of one message or of many of one feed become frames at once."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipelines.engine.decode.base import ROW, Decoded, Part, Refusal, Refused, Together
from pipelines.engine.decode.device_mapping import DevicePlan

INSTANT = pl.Datetime("us", "UTC")
READINGS = {"sensor": pl.String(), "observed_at": INSTANT, "value": pl.Float64(), "unit": pl.String(), ROW: pl.UInt32()}
REPORTS = {
    "device": pl.String(), "observed_at": INSTANT, "event": pl.String(), "report": pl.String(), "feed": pl.String(),
    "session": pl.String(), "frame_counter": pl.Int64(), "counter_wraps": pl.Int64(), "gateways": pl.Int64(),
    "rssi_dbm": pl.Float64(), "snr_db": pl.Float64(), "spreading_factor": pl.Int64(), "battery_pct": pl.Float64(),
    "words": pl.String(), ROW: pl.UInt32(),
}  # fmt: skip
STATES = {
    "edge": pl.String(), "observed_at": INSTANT, "state": pl.String(), "feed": pl.String(), "bd_seq": pl.Int64(),
    "born_at": INSTANT, "metrics": pl.String(), ROW: pl.UInt32(),
}  # fmt: skip
SCHEMAS = {"readings": READINGS, "device_reports": REPORTS, "edge_states": STATES}
# The row of what is said of the message as a whole; its values follow.
WHOLE = 1


@dataclass
class Said:
    """The rows of one message by table, each a mapping of columns, and what could not be read of it.

    `size`: how many rows the message has at most; its values are counted from WHOLE + 1 on.
    """

    rows: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    size: int = WHOLE

    def add(self, table: str, row: Mapping[str, Any], place: int = WHOLE) -> None:
        """One row more."""
        self.rows.setdefault(table, []).append({**row, ROW: place})
        self.size = max(self.size, place)

    def refuse(self, reason: str, detail: str, payload: bytes, place: int = WHOLE) -> None:
        """One row less: the message is kept in quarantine as it came."""
        self.refused.append(Refusal(place, reason, detail, payload, "readings"))
        self.size = max(self.size, place)

    @property
    def report(self) -> tuple[Any, ...]:
        """What tells its report about the device from every other; empty without one."""
        return tuple((row["device"], row["event"], row["report"]) for row in self.rows.get("device_reports", ()))


# A payload, what a decoder is told, the feed's plan -> what it says; None when it can only be read alone.
Say = Callable[[bytes, Mapping[str, Any], DevicePlan], Said | None]


def alone(said: Said, payload: bytes) -> Decoded:
    """One message."""
    return Decoded(_frames([said], [0]), tuple(said.refused), None, lambda row: payload)


def together(say: Say, parts: Sequence[Part], mapping: Mapping[str, Any]) -> list[Together]:
    """Messages of one feed read as one.

    What is refused as a whole is left to be read alone, and so is a report that stands among the others already:
    alone it finds the time by which it is known.
    """
    plan = DevicePlan(mapping)
    said: list[Said] = []
    members, starts, heard = [], [], set()
    end = 0
    for place, (payload, beside) in enumerate(parts):
        try:
            one = say(payload, {**mapping, "fields": beside}, plan)
        except Refused:
            continue
        if one is None or one.report in heard:
            continue
        heard.add(one.report)
        said.append(one)
        members.append(place)
        starts.append(end)
        end += one.size
    if len(said) < 2:
        return []
    refused = [
        Refusal(start + lost.row, lost.reason, lost.detail, lost.original, lost.table)
        for one, start in zip(said, starts, strict=True)
        for lost in one.refused
    ]
    decoded = Decoded(
        _frames(said, starts), tuple(refused), None, lambda row: parts[members[bisect_left(starts, row) - 1]][0]
    )
    return [Together(decoded, tuple(members), tuple(starts))]


def _frames(said: Iterable[Said], starts: Iterable[int]) -> dict[str, pl.DataFrame]:
    cells: dict[str, list[tuple[Any, ...]]] = {}
    for one, start in zip(said, starts, strict=True):
        for table, rows in one.rows.items():
            names = list(SCHEMAS[table])[:-1]
            cells.setdefault(table, []).extend((*map(row.get, names), start + row[ROW]) for row in rows)
    return {table: pl.DataFrame(rows, schema=SCHEMAS[table], orient="row") for table, rows in cells.items()}
