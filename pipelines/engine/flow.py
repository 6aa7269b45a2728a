"""THE LINE: one batch from wire to snapshot. `run` is these steps and nothing else."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine import validate
from pipelines.engine.calendar import earliest, extent, latest
from pipelines.engine.decode import Decoded, Refused, decoder
from pipelines.engine.disk import in_words
from pipelines.engine.journal import Entry
from pipelines.engine.model import INSTANT, Table
from pipelines.engine.settings import Feed
from pipelines.engine.snapshot import Snapshot
from pipelines.engine.sorting import CORRECTS, DUPLICATE
from pipelines.engine.tables import ARRIVALS, CORRECTIONS

if TYPE_CHECKING:
    from pipelines.engine.line import Line

log = logging.getLogger("townboard")
MESSAGE = "_message"


@dataclass(frozen=True)
class RawMessage:
    """One payload as it came over the wire."""

    feed: Feed
    payload: bytes
    received_at: datetime
    backfill: bool = False


@dataclass(frozen=True)
class Receipt:
    """What became of one payload: decoded = stored + duplicate + quarantined. `reasons`: row, reason, detail."""

    decoded: int = 0
    stored: int = 0
    duplicate: int = 0
    corrected: int = 0
    quarantined: int = 0
    refused_words: str | None = None
    reasons: tuple[tuple[int, str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Opened:
    """A message decoded and validated: good rows by table, quarantine rows, and its place in time."""

    message: RawMessage
    decoded: int
    good: dict[str, pl.DataFrame]
    refused: pl.DataFrame
    observed_at: datetime
    words: str | None = None


def run(line: "Line", messages: Sequence[RawMessage], now: datetime) -> Snapshot:
    """Bring a batch from wire to glass: open, keep, evaluate, watch, publish."""
    take(line, messages, now)
    return beat(line, now)


def take(line: "Line", messages: Sequence[RawMessage], now: datetime) -> list[Receipt]:
    """Steps 1 to 4: decode, validate, journal, land. When this returns, the senders may be told.

    Raises OSError when nothing could be made durable: nothing may be acknowledged then.
    """
    if not messages:
        return []
    opened = [open_message(line, message) for message in messages]
    whole = any(line.store.tables[name].replaces for one in opened for name in one.good if name in line.store.tables)
    if whole and len(opened) > 1:
        return [receipt for one in opened for receipt in _keep(line, [one], now)]
    return _keep(line, opened, now)


def beat(line: "Line", now: datetime, budget_s: float = math.inf) -> Snapshot:
    """Steps 5 to 7: judge readings, evaluate KPIs over touched windows, watch for alarms, publish one snapshot.

    `budget_s` bounds the time for KPIs; those that did not fit keep their last value until the next beat.
    """
    line.judge(now, budget_s)
    published = line.kpis.evaluate(line.drain_touched(), now, budget_s)
    if published.height:
        try:
            keep_values(line, published, now)
        except OSError as error:
            # A disk that refuses must not darken the board: the values are computed and kept again later.
            log.warning("the KPI values of this beat were not kept: %s", in_words(error))
            line.kpis.undo()
        except BaseException:
            line.kpis.undo()
            raise
    line.alarms.watch(line.drain_samples(), line.kpis, line.feed_states(now), now)
    snapshot = line.publisher.publish(now)
    line.settle(now)
    return snapshot


def open_message(line: "Line", message: RawMessage) -> Opened:
    """Decode and validate one payload; what cannot be read at all becomes one quarantine row with its bytes."""
    feed, received_at = message.feed, message.received_at
    try:
        decoded, checked = _readable(line, message)
    except Refused as refusal:
        row = validate.refusal(feed.name, received_at, refusal.reason, refusal.detail, message.payload)
        return Opened(message, 1, {}, row, received_at, refusal.detail)
    good = dict(checked.good)
    line.known.learn(good)
    observed_at = _observed_at(decoded, good, message, line)
    return Opened(message, decoded.rows, good, checked.refused, observed_at)


def _readable(line: "Line", message: RawMessage) -> tuple[Decoded, validate.Checked]:
    """A payload decoded and checked; whatever goes wrong with one payload must not touch the others of its batch."""
    feed = message.feed
    try:
        decoded = _decode(line, message)
        tables = {name: table for name, table in line.store.tables.items() if name in line.open_tables}
        tolerance_s = line.settings.future_tolerance_s
        return decoded, validate.check(decoded, feed, tables, line.registers, message.received_at, tolerance_s)
    except Refused:
        raise
    except Exception as error:
        log.exception("feed %s: the payload broke the %s decoder", feed.name, feed.format)
        raise Refused(
            "unreadable",
            f"the payload could not be read as {feed.format} ({type(error).__name__}). It is kept as it came.",
        ) from error


def _decode(line: "Line", message: RawMessage) -> Decoded:
    feed = message.feed
    about = {**feed.mapping, "format": feed.format, "table": feed.table, "zone": feed.zone, "feed": feed.name}
    about["known"] = line.known
    if feed.table in line.open_tables:
        about["kinds"] = {column.name: column.kind for column in line.store.tables[feed.table].columns}
    return decoder(feed.format)(message.payload, about, message.received_at)


def _observed_at(decoded: Decoded, good: dict[str, pl.DataFrame], message: RawMessage, line: "Line") -> datetime:
    """The payload's own clock when it has one; for a back-fill the newest row; else when it came."""
    if decoded.observed_at is not None:
        return min(decoded.observed_at, message.received_at)
    if message.backfill:
        newest = [last for frame, at in _timed(good, line) if (last := latest(frame[at])) is not None]
        if newest:
            return min(max(newest), message.received_at)
    return message.received_at


def _timed(good: dict[str, pl.DataFrame], line: "Line") -> list[tuple[pl.DataFrame, str]]:
    """Frames that have a time column of instants, with its name."""
    found = []
    for name, frame in good.items():
        at = "observed_at" if name == "readings" else line.store.tables[name].time
        if at and isinstance(frame.schema[at], pl.Datetime):
            found.append((frame, at))
    return found


def _keep(line: "Line", opened: Sequence[Opened], now: datetime) -> list[Receipt]:
    """Sort out what is new, make it durable in one frame, make it visible."""
    with line.writing:
        return _keep_alone(line, opened, now)


def _keep_alone(line: "Line", opened: Sequence[Opened], now: datetime) -> list[Receipt]:
    entries: list[Entry] = []
    counts = [{"stored": 0, "duplicate": 0, "corrected": 0} for _ in opened]
    facts = {"received_s": now.timestamp()}
    for name in sorted({name for one in opened for name in one.good}):
        rows = pl.concat(
            [one.good[name].with_columns(pl.lit(i).alias(MESSAGE)) for i, one in enumerate(opened) if name in one.good]
        )
        if name == "readings":
            rows, registered = line.series.number(rows, now)
            if registered.height:
                entries.append(Entry("series", registered, facts))
        entries += _sorted_entries(line, name, rows, counts, facts, now)
    quarantined = line.store.unknown("quarantine", pl.concat([one.refused for one in opened]))
    if quarantined.height:
        entries.append(Entry("quarantine", quarantined, facts))
    receipts = [_receipt(one, count) for one, count in zip(opened, counts, strict=True)]
    entries.append(Entry("arrivals", line.arrivals(opened, receipts), facts))
    seq = line.journal.append(entries)
    line.store.land(seq, entries)
    line.landed(entries)
    return receipts


def _sorted_entries(
    line: "Line", name: str, rows: pl.DataFrame, counts: list[dict[str, int]], facts: dict[str, float], now: datetime
) -> list[Entry]:
    """The journal entries of one table's rows in a batch; counts are added up per message."""
    found = line.store.sort(name, rows.drop(MESSAGE))
    tally = rows.select(MESSAGE).with_columns(outcome=found.outcome).group_by(MESSAGE, "outcome").len()
    for message, outcome, number in tally.iter_rows():
        counts[message]["duplicate" if outcome == DUPLICATE else "stored"] += number
        counts[message]["corrected"] += number if outcome == CORRECTS else 0
    if found.keep.is_empty():
        return []
    replaced = [edge.timestamp() for edge in edges(line.store.tables[name], found.superseded, line.settings.zone)]
    entries = [
        Entry(name, found.keep, {**facts, "corrects": found.corrects, **({"replaced_s": replaced} if replaced else {})})
    ]
    if found.superseded.height and not line.store.tables[name].running:
        entries.append(Entry("corrections", _corrections(line, name, found.superseded, now), facts))
    return entries


def edges(table: Table, rows: pl.DataFrame, zone: str) -> list[datetime]:
    """The first and last instant of each time column of some rows; a day reaches from local midnight to the next."""
    found: list[datetime] = []
    for name in table.instants:
        if rows[name].null_count() == rows.height:
            continue
        low, high = extent(rows[name].cast(INSTANT))
        if isinstance(rows.schema[name], pl.Datetime):
            found += [low, high]
        else:
            start, end = (datetime.combine(at.date(), time(), ZoneInfo(zone)).astimezone(UTC) for at in (low, high))
            found += [start, end + timedelta(days=1)]
    return found


def _corrections(line: "Line", name: str, superseded: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """What the rows said before, as rows of the table corrections."""
    key = [pl.col(column).cast(pl.String) for column in line.store.tables[name].key]
    place = pl.int_range(pl.len()).cast(pl.Int64)
    return superseded.select(
        table_name=pl.lit(name),
        row_key=pl.concat_str(key, separator="|"),
        at=pl.lit(now).dt.cast_time_unit("us") + pl.duration(microseconds=place),
        before=pl.struct(superseded.columns).struct.json_encode(),
    ).cast(CORRECTIONS.schema)


def _receipt(one: Opened, count: dict[str, int]) -> Receipt:
    reasons = tuple(one.refused.select("row", "reason", "detail").iter_rows())
    return Receipt(
        decoded=one.decoded, quarantined=one.refused.height, refused_words=one.words, reasons=reasons, **count
    )


def arrival_rows(opened: Sequence[Opened], receipts: Sequence[Receipt], seq: int, line: "Line") -> pl.DataFrame:
    """The rows of the table arrivals for a batch: what came, what it covers, what became of it."""
    rows = []
    for number, (one, receipt) in enumerate(zip(opened, receipts, strict=True)):
        feed = one.message.feed
        covers_from = one.observed_at - feed.every
        if not feed.momentary:
            oldest = [first for frame, at in _timed(one.good, line) if (first := earliest(frame[at])) is not None]
            covers_from = min([covers_from, *oldest])
        outcome = "refused" if one.words else "landed"
        rows.append((
            f"{seq}.{number}", feed.name, one.observed_at, covers_from, outcome, one.words, len(one.message.payload),
            receipt.decoded, receipt.stored, receipt.duplicate, receipt.corrected, receipt.quarantined,
        ))  # fmt: skip
    return pl.DataFrame(rows, schema=ARRIVALS.schema, orient="row")


def empty_arrival(feed: Feed, at: datetime, outcome: str, words: str | None, seq: int) -> pl.DataFrame:
    """The arrival row of a call that gave no payload: failed (time-out, error), or landed where nothing has changed."""
    covers_from = at - feed.every if outcome == "landed" else at
    row = (f"{seq}.0", feed.name, at, covers_from, outcome, words, 0, 0, 0, 0, 0, 0)
    return pl.DataFrame([row], schema=ARRIVALS.schema, orient="row")


def keep_values(line: "Line", published: pl.DataFrame, now: datetime) -> None:
    """Make newly published KPI values durable and visible."""
    entry = Entry("kpi_values", published, {"received_s": now.timestamp()})
    with line.writing:
        seq = line.journal.append([entry])
        line.store.land(seq, [entry])
    line.publisher.published(published)
