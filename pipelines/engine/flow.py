"""THE LINE: one batch from wire to snapshot. `run` is these steps and nothing else."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pipelines.engine.calendar import earliest
from pipelines.engine.changes import edges
from pipelines.engine.disk import in_words, troubles
from pipelines.engine.journal import Entry
from pipelines.engine.opening import MESSAGE, Opened, RawMessage, open_all, timed
from pipelines.engine.settings import Feed
from pipelines.engine.snapshot import Snapshot
from pipelines.engine.sorting import CORRECTS, DUPLICATE, NEW
from pipelines.engine.tables import ARRIVALS, CORRECTIONS, QUARANTINE, shaped

if TYPE_CHECKING:
    from pipelines.engine.line import Line

log = logging.getLogger("townboard")
__all__ = ("Opened", "RawMessage", "Receipt", "beat", "keep", "keep_all", "open_all", "run", "take")
COUNTED = ("decoded", "stored", "duplicate", "corrected", "quarantined")
# By place of the message in its batch: how many rows were NEW, CORRECTS and DUPLICATE.
Counts = dict[int, list[int]]
OUTCOMES = len((NEW, CORRECTS, DUPLICATE))
Told = Callable[[Mapping[int, "Receipt"]], None]


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


def run(line: "Line", messages: Sequence[RawMessage], now: datetime) -> Snapshot:
    """Bring a batch from wire to glass: open, keep, evaluate, watch, publish."""
    take(line, messages, now)
    return beat(line, now)


def take(line: "Line", messages: Sequence[RawMessage], now: datetime, told: Told = lambda _: None) -> list[Receipt]:
    """Steps 1 to 4: decode, validate, journal, land. When this returns, the senders may be told.

    `told` is called before that, as soon as rows are durable, with what became of which message.
    Raises OSError when nothing could be made durable: nothing may be acknowledged then.
    """
    return keep_all(line, open_all(line, messages), now, told) if messages else []


def keep_all(line: "Line", opened: Sequence[Opened], now: datetime, told: Told = lambda _: None) -> list[Receipt]:
    """Steps 3 and 4 for what was opened; `told` and the receipts as `take` has them."""
    whole = any(line.store.tables[name].replaces for one in opened for name in one.good if name in line.store.tables)
    batches = [[one] for one in opened] if whole else [opened]
    receipts: dict[int, Receipt] = {}
    for batch in batches:
        receipts |= keep(line, batch, now, told)
    return [receipts[place] for place in sorted(receipts)]


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
    own = {name: words for name, words in line.troubles.items() if words}
    line.alarms.mind(own | troubles(line.settings.store, line.journal.refused, line.store.damaged), now)
    line.alarms.hear(line.listen(now), now)
    line.alarms.watch(line.drain_samples(), line.kpis, line.feed_states(now), now)
    snapshot = line.publisher.publish(now)
    note_board(line, now)
    line.settle(now)
    return snapshot


def keep(line: "Line", opened: Sequence[Opened], now: datetime, told: Told = lambda _: None) -> dict[int, Receipt]:
    """Sort out what is new, make it durable in one frame, make it visible; the receipts by their messages' places."""
    with line.writing:
        return _keep_alone(line, opened, now, told)


def _keep_alone(line: "Line", opened: Sequence[Opened], now: datetime, told: Told) -> dict[int, Receipt]:
    entries: list[Entry] = []
    counts: Counts = {place: [0, 0, 0] for one in opened for place in one.places}
    facts = {"received_s": now.timestamp()}
    for name in sorted({name for one in opened for name in one.good}):
        frames = [one.good[name] for one in opened if name in one.good]
        rows = pl.concat(frames) if len(frames) > 1 else frames[0]
        if name == "readings":
            rows, registered = line.series.number(rows, now)
            if registered.height:
                entries.append(Entry("series", registered, facts))
        entries += _sorted_entries(line, name, rows, counts, facts, now)
    refused = _refused(opened)
    if refused.height:
        quarantined = line.store.unknown("quarantine", shaped(refused, QUARANTINE).select(list(QUARANTINE.schema)))
        if quarantined.height:
            entries.append(Entry("quarantine", quarantined, facts))
    receipts = _receipts(opened, counts, refused)
    entries.append(Entry("arrivals", line.arrivals(opened, receipts), facts))
    seq = line.journal.append(entries)
    told(receipts)
    line.store.land(seq, entries)
    line.landed(entries)
    return receipts


def _refused(opened: Sequence[Opened]) -> pl.DataFrame:
    """The quarantine rows of a batch."""
    found = [one.refused for one in opened if one.refused.height]
    return pl.concat(found, how="diagonal") if found else opened[0].refused


def _sorted_entries(
    line: "Line", name: str, rows: pl.DataFrame, counts: Counts, facts: dict[str, float], now: datetime
) -> list[Entry]:
    """The journal entries of one table's rows in a batch; counts are added up per message."""
    found = line.store.sort(name, pl.DataFrame([column for column in rows if column.name != MESSAGE]))
    tally = np.bincount(rows[MESSAGE].to_numpy() * OUTCOMES + found.outcome.to_numpy())
    for which in tally.nonzero()[0].tolist():
        place, outcome = divmod(which, OUTCOMES)
        counts[place][outcome] += int(tally[which])
    if found.keep.is_empty():
        return []
    replaced = [edge.timestamp() for edge in edges(line.store.tables[name], found.superseded, line.settings.zone)]
    entries = [
        Entry(name, found.keep, {**facts, "corrects": found.corrects, **({"replaced_s": replaced} if replaced else {})})
    ]
    if found.superseded.height and not line.store.tables[name].running:
        entries.append(Entry("corrections", _corrections(line, name, found.superseded, now), facts))
    return entries


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


def _receipts(opened: Sequence[Opened], counts: Counts, refused: pl.DataFrame) -> dict[int, Receipt]:
    """What became of each message, by its place in the batch."""
    reasons: dict[int, list[tuple[int, str, str]]] = {}
    for place, *reason in refused[[MESSAGE, "row", "reason", "detail"]].iter_rows():
        reasons.setdefault(place, []).append(tuple(reason))
    receipts = {}
    for one in opened:
        for place, decoded in zip(one.places, one.decoded, strict=True):
            count, why = counts[place], tuple(reasons.get(place, ()))
            receipts[place] = Receipt(
                decoded, count[NEW] + count[CORRECTS], count[DUPLICATE], count[CORRECTS], len(why), one.words, why
            )
    return receipts


def arrival_rows(opened: Sequence[Opened], receipts: Mapping[int, Receipt], seq: int, line: "Line") -> pl.DataFrame:
    """The rows of the table arrivals for a batch: what came, what it covers, what became of it."""
    rows = []
    for number, one in enumerate(opened):
        feed, own = one.feed, [receipts[place] for place in one.places]
        covers_from = one.observed_at - feed.every
        if not feed.momentary:
            oldest = [first for frame, at in timed(one.good, line) if (first := earliest(frame[at])) is not None]
            covers_from = min([covers_from, *oldest])
        sums = (sum(getattr(receipt, name) for receipt in own) for name in COUNTED)
        outcome = "refused" if one.words else "landed"
        rows.append((f"{seq}.{number}", feed.name, one.observed_at, covers_from, outcome, one.words, one.size, *sums))
    return pl.DataFrame(rows, schema=ARRIVALS.schema, orient="row")


def empty_arrival(feed: Feed, at: datetime, outcome: str, words: str | None, seq: int) -> pl.DataFrame:
    """The arrival row of a call that gave no payload: failed (time-out, error), or landed where nothing has changed."""
    covers_from = at - feed.every if outcome == "landed" else at
    row = (f"{seq}.0", feed.name, at, covers_from, outcome, words, 0, 0, 0, 0, 0, 0)
    return pl.DataFrame([row], schema=ARRIVALS.schema, orient="row")


def keep_values(line: "Line", published: pl.DataFrame, now: datetime) -> None:
    """Make newly published KPI values durable and visible, and in the same frame which of them correct others."""
    facts = {"received_s": now.timestamp()}
    notices = line.correcting.notices(published)
    entries = [Entry("kpi_values", published, facts)]
    if notices.height:
        entries.append(Entry("kpi_corrections", notices, facts))
    with line.writing:
        seq = line.journal.append(entries)
        line.store.land(seq, entries)
    line.publisher.published(published, notices)


def note_board(line: "Line", now: datetime) -> None:
    """Put on record what the board says, so that anybody can ask later what was known at a time."""
    board = line.publisher.kpis
    rows = line.minutes.due(board, now)
    try:
        if rows.height:
            entry = Entry("kpi_board", rows, {"received_s": now.timestamp()})
            with line.writing:
                seq = line.journal.append([entry])
                line.store.land(seq, [entry])
    except OSError as error:
        # A disk that refuses must not darken the board: it is put on record by a later beat.
        log.warning("what the board says was not put on record: %s", in_words(error))
        return
    line.minutes.noted(board, rows, now)
