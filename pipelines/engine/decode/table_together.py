"""Many small JSON messages of one feed as one sheet: what each of them says is what it would say alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from pipelines.engine.decode.base import ROW, Part, Refused
from pipelines.engine.decode.table_fields import Beside, Plan
from pipelines.engine.decode.table_json import flat_record, found_records, headings_of
from pipelines.engine.decode.table_sheet import Sheet

# A larger message is worth its own sheet.
MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class Group:
    """Messages with the same fields in them: their places among the parts, and where the rows of each begin."""

    members: tuple[int, ...]
    starts: tuple[int, ...]
    sheet: Sheet


@dataclass(frozen=True)
class _Message:
    place: int
    records: list[Any]
    flat: list[dict[str, str | None]]
    beside: Mapping[str, str]


def sheets(parts: Sequence[Part], mapping: Mapping[str, Any], plan: Plan) -> list[Group]:
    """The messages that can be read together, by the fields they have; the others are left to be read alone."""
    alike: dict[tuple[str, ...], list[_Message]] = {}
    for place, (payload, beside) in enumerate(parts):
        records = _records(payload, mapping)
        if records:
            flat = [flat_record(record) for record in records]
            names = (*headings_of(flat), "", *beside)
            alike.setdefault(names, []).append(_Message(place, records, flat, beside))
    groups = (_group(messages, plan) for messages in alike.values() if len(messages) > 1)
    return [group for group in groups if group is not None]


def _records(payload: bytes, mapping: Mapping[str, Any]) -> list[Any] | None:
    if len(payload) > MOST_BYTES:
        return None
    try:
        records = found_records(orjson.loads(payload), mapping.get("records", ""))
    except (ValueError, Refused):
        return None
    return records if all(isinstance(record, (dict, list)) for record in records) else None


def _group(messages: list[_Message], plan: Plan) -> Group | None:
    offered = Beside(plan, tuple(messages[0].beside))
    try:
        wanted = offered.pick(headings_of(messages[0].flat))
    except Refused:
        return None
    flat = [record for message in messages for record in message.flat]
    records = [record for message in messages for record in message.records]
    starts, apart = [0], []
    for number, message in enumerate(messages):
        apart += [number] * len(message.flat)
        starts.append(starts[-1] + len(message.flat))
    cells = {name: pl.Series([record.get(name) for record in flat], dtype=pl.String) for name in wanted}
    beside = {
        name: pl.Series([messages[number].beside[name] for number in apart], dtype=pl.String) for name in offered.taken
    }
    frame = pl.DataFrame({ROW: pl.Series(range(1, len(flat) + 1), dtype=pl.UInt32), **cells, **beside})
    sheet = Sheet(
        frame, lambda row: orjson.dumps(records[row - 1]), "record", apart=pl.Series(apart, dtype=pl.UInt32),
        counted=lambda row: row - starts[apart[row - 1]],
    )  # fmt: skip
    return Group(tuple(message.place for message in messages), tuple(starts[:-1]), sheet)
