"""Steps 1 and 2 of the line: payloads decoded and validated, the small ones of one feed together."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl

from pipelines.engine import validate
from pipelines.engine.calendar import latest
from pipelines.engine.decode import Decoded, Refused, Together, decoder, together
from pipelines.engine.decode.rejoin import context_of
from pipelines.engine.decode.table_mapping import FORMATS as MAPPED
from pipelines.engine.settings import Feed

if TYPE_CHECKING:
    from pipelines.engine.line import Line

log = logging.getLogger("townboard")
MESSAGE = "_message"
PLACE = pl.Int32()


@dataclass(frozen=True)
class RawMessage:
    """One payload as it came over the wire; `fields` is what came beside it, such as the parts of its topic by name."""

    feed: Feed
    payload: bytes
    received_at: datetime
    backfill: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Opened:
    """Messages of one feed decoded and validated together.

    `places`: where each stands in its batch; `decoded`: how many rows each held. Shape: `good` (by table) and
    `refused` (quarantine rows) have the column MESSAGE, the place of the row's message.
    """

    messages: tuple[RawMessage, ...]
    places: tuple[int, ...]
    decoded: tuple[int, ...]
    good: dict[str, pl.DataFrame]
    refused: pl.DataFrame
    observed_at: datetime
    words: str | None = None

    @property
    def feed(self) -> Feed:
        """The feed of all of them."""
        return self.messages[0].feed

    @property
    def size(self) -> int:
        """Bytes of all payloads."""
        return sum(len(message.payload) for message in self.messages)


def open_all(line: "Line", messages: Sequence[RawMessage]) -> list[Opened]:
    """A batch decoded and validated, in the order in which its feeds first come."""
    opened: list[Opened] = []
    for places in _by_feed(messages).values():
        found = _open_together(line, messages, places) if len(places) > 1 else []
        done = {place for one in found for place in one.places}
        opened += [*found, *(_open_one(line, messages[place], place) for place in places if place not in done)]
    return sorted(opened, key=lambda one: one.places[0])


def _by_feed(messages: Sequence[RawMessage]) -> dict[tuple[str, str, str, bool], list[int]]:
    """The places of messages that are read in the same way."""
    alike: dict[tuple[str, str, str, bool], list[int]] = {}
    for place, message in enumerate(messages):
        feed = message.feed
        alike.setdefault((feed.name, feed.format, feed.table, message.backfill), []).append(place)
    return alike


def _open_one(line: "Line", message: RawMessage, place: int) -> Opened:
    """Decode and validate one payload; what cannot be read at all becomes one quarantine row with its bytes."""
    feed, received_at = message.feed, message.received_at
    try:
        decoded, checked = _readable(line, message)
    except Refused as refusal:
        row = validate.refusal(feed.name, received_at, refusal.reason, refusal.detail, message.payload)
        refused = _whole(_beside(_marked(row, place), message.fields), feed)
        return Opened((message,), (place,), (1,), {}, refused, received_at, refusal.detail)
    line.known.learn(checked.good)
    good = {name: _marked(rows, place) for name, rows in checked.good.items()}
    observed_at = _observed_at(decoded, good, message, line)
    refused = _readable_again(line, _beside(_marked(checked.refused, place), message.fields), message)
    return Opened((message,), (place,), (decoded.rows,), good, refused, observed_at)


def _marked(rows: pl.DataFrame, place: int) -> pl.DataFrame:
    return rows.hstack([pl.Series(MESSAGE, [place], dtype=PLACE).new_from_index(0, rows.height)])


def _beside(refused: pl.DataFrame, fields: Mapping[str, str]) -> pl.DataFrame:
    """Quarantine rows with what came beside their payload, so that they can be replayed."""
    if not fields or refused.is_empty():
        return refused
    return refused.with_columns(fields=pl.lit(orjson.dumps(dict(fields)).decode()))


def _whole(refused: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """A refused payload with what its sender may have chosen: the format and, where one fills any table, the table."""
    table = pl.lit(feed.table) if feed.format in MAPPED else pl.col("table_name")
    return refused.with_columns(table_name=table, format=pl.lit(feed.format))


def _readable_again(line: "Line", refused: pl.DataFrame, message: RawMessage) -> pl.DataFrame:
    """Refused rows with what they cannot be read without, for the day they are taken in once more."""
    if refused.is_empty():
        return refused
    text, (encoding, context) = pl.String(), (None, None)
    try:
        encoding, context = context_of(message.payload, _about(line, message.feed, message.fields))
    except Exception:
        # Its rows are set aside all the same; only their replay will want the file itself.
        log.exception("feed %s: the line of headings of a payload cannot be told", message.feed.name)
    return refused.with_columns(
        format=pl.lit(message.feed.format), encoding=pl.lit(encoding, text), context=pl.lit(context, text)
    )


def _readable(line: "Line", message: RawMessage) -> tuple[Decoded, validate.Checked]:
    """A payload decoded and checked; whatever goes wrong with one payload must not touch the others of its batch."""
    feed = message.feed
    try:
        about = _about(line, feed, message.fields)
        decoded = decoder(feed.format)(message.payload, about, message.received_at)
        return decoded, _checked(line, decoded, feed, message.received_at)
    except Refused:
        raise
    except Exception as error:
        log.exception("feed %s: the payload broke the %s decoder", feed.name, feed.format)
        raise Refused(
            "unreadable",
            f"the payload could not be read as {feed.format} ({type(error).__name__}). It is kept as it came.",
        ) from error


def _about(line: "Line", feed: Feed, fields: Mapping[str, str]) -> dict[str, Any]:
    """What a decoder is told: the feed's mapping and what the engine adds to it."""
    own = {"format": feed.format, "table": feed.table, "zone": feed.zone, "feed": feed.name, "fields": fields}
    about = {**feed.mapping, **own}
    about["known"] = line.known
    if feed.table in line.open_tables:
        about["kinds"] = {column.name: column.kind for column in line.store.tables[feed.table].columns}
    return about


def _checked(line: "Line", decoded: Decoded, feed: Feed, received_at: datetime) -> validate.Checked:
    tables = {name: table for name, table in line.store.tables.items() if name in line.open_tables}
    return validate.check(decoded, feed, tables, line.registers, received_at, line.settings.future_tolerance_s)


def _open_together(line: "Line", messages: Sequence[RawMessage], places: Sequence[int]) -> list[Opened]:
    """Those of one feed's messages that can be opened as one, with what became of each; the others are left."""
    first = messages[places[0]]
    feed = first.feed
    read = together(feed.format)
    if read is None or first.backfill or (feed.table in line.store.tables and line.store.tables[feed.table].replaces):
        return []
    parts = [(messages[place].payload, messages[place].fields) for place in places]
    try:
        return [
            _opened(line, [messages[places[i]] for i in one.members], [places[i] for i in one.members], one)
            for one in read(parts, _about(line, feed, {}))
        ]
    except Exception:
        log.exception("feed %s: its messages cannot be read together; each is read alone", feed.name)
        return []


def _opened(line: "Line", messages: Sequence[RawMessage], places: Sequence[int], read: Together) -> Opened:
    """What one decoding of several messages gave, each row with the place of its message."""
    received_at = max(message.received_at for message in messages)
    checked = _checked(line, read.decoded, messages[0].feed, received_at)
    line.known.learn(checked.good)
    starts = np.asarray(read.starts)
    at = pl.Series(places, dtype=PLACE)

    def owner(rows: pl.Series) -> Any:
        return np.searchsorted(starts, rows.to_numpy(), side="left") - 1

    good = {
        name: rows.with_columns(at.gather(owner(checked.rows[name])).alias(MESSAGE))
        for name, rows in checked.good.items()
    }
    refused = _given_back(checked.refused, messages, places, owner(checked.refused["row"]), read.starts)
    decoded = np.bincount(
        np.concatenate([owner(rows["_row"]) for rows in read.decoded.tables.values()] + [
            owner(pl.Series([one.row for one in read.decoded.refused], dtype=pl.Int64))
        ]), minlength=len(messages),
    )  # fmt: skip
    return Opened(tuple(messages), tuple(places), tuple(decoded.tolist()), good, refused, received_at)


def _given_back(
    refused: pl.DataFrame, messages: Sequence[RawMessage], places: Sequence[int], owners: Any, starts: Sequence[int]
) -> pl.DataFrame:
    """Quarantine rows as each message alone would have given them: its own count of rows, its own moment."""
    if refused.is_empty():
        return refused.with_columns(pl.lit(0, PLACE).alias(MESSAGE))
    rows = []
    for row, owner in zip(refused.iter_rows(named=True), owners.tolist(), strict=True):
        message, number = messages[owner], row["row"] - starts[owner]
        own = {
            "id": validate.quarantine_id(row["feed"], number, row["reason"], row["original"]),
            "at": message.received_at, "row": number, MESSAGE: places[owner],
        }  # fmt: skip
        beside = {"fields": orjson.dumps(dict(message.fields)).decode()} if message.fields else {}
        rows.append({**row, **own, **beside})
    text = pl.lit(None, pl.String)
    given = pl.DataFrame(rows, schema={**refused.schema, MESSAGE: PLACE})
    return given.with_columns(format=pl.lit(messages[0].feed.format), encoding=text, context=text)


def _observed_at(decoded: Decoded, good: dict[str, pl.DataFrame], message: RawMessage, line: "Line") -> datetime:
    """The payload's own clock when it has one; for a back-fill the newest row; else when it came."""
    if decoded.observed_at is not None:
        return min(decoded.observed_at, message.received_at)
    if message.backfill:
        newest = [last for frame, at in timed(good, line) if (last := latest(frame[at])) is not None]
        if newest:
            return min(max(newest), message.received_at)
    return message.received_at


def timed(good: Mapping[str, pl.DataFrame], line: "Line") -> list[tuple[pl.DataFrame, str]]:
    """Frames that have a time column of instants, with its name."""
    found = []
    for name, frame in good.items():
        at = "observed_at" if name == "readings" else line.store.tables[name].time
        if at and isinstance(frame.schema[at], pl.Datetime):
            found.append((frame, at))
    return found
