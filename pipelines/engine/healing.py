"""Quarantined rows taken in once more, by their feed's present mapping; what passes lands and is marked as healed."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import polars as pl

from pipelines.engine import flow
from pipelines.engine.decode.rejoin import JOINED, ONLY_WHOLE, is_whole, rejoined
from pipelines.engine.decode.table_mapping import FORMATS as MAPPED
from pipelines.engine.journal import Entry
from pipelines.engine.line import Line
from pipelines.engine.opening import MESSAGE, Opened, RawMessage, open_all
from pipelines.engine.plain_readings import SENSOR
from pipelines.engine.pushes import pushed
from pipelines.engine.set_aside import MOST_REPLAYED
from pipelines.engine.settings import Feed
from pipelines.engine.store import Store
from pipelines.engine.tables import QUARANTINE_REPLAYS

# Rows of one payload that are read together: what arrives meanwhile waits no longer than these take.
MOST_TOGETHER = 1_000
ABOUT = ("id", "at", "feed", "table_name", "row", "reason", "format", "encoding", "context", "fields")
# Rows that agree in these came in one payload.
OF_ONE_PAYLOAD = ("feed", "at", "table_name", "format", "encoding", "context", "fields", "whole")
INSTANT_AFTER = timedelta(microseconds=1)
Fault = tuple[str, str]
FEED_GONE = ("feed_gone", "its feed is no longer in town.toml. Name it there again, then replay the row.")
ONLY_AS_A_WHOLE = (
    "only_whole", "some rows of such a file would replace all the others. Have the whole file sent again."
)  # fmt: skip
OVERTAKEN = ("overtaken", "a newer one has been taken in since; this one would undo it. Nothing is to be done.")
NO_ORIGINAL = ("no_original", "the bytes of this row alone are not kept. Have its payload sent again.")


@dataclass(frozen=True)
class Wish:
    """Which quarantined rows to take in once more: those that wait and agree with all that is named."""

    feed: str | None = None
    reason: str | None = None
    since: datetime | None = None
    most: int = MOST_REPLAYED

    def told(self) -> dict[str, Any]:
        """The wish as JSON can carry it."""
        return {**asdict(self), "since": self.since.isoformat() if self.since else None}

    @staticmethod
    def of(told: Mapping[str, Any]) -> "Wish":
        """The wish that was told."""
        since = told.get("since")
        return Wish(**{**told, "since": datetime.fromisoformat(since) if since else None})


@dataclass(frozen=True)
class Outcome:
    """What became of quarantined rows: tried = healed + refused (by reason); `left` were not tried this time.

    `stored` and `duplicate` count the rows that came out of those healed; one line can hold many readings.
    """

    tried: int = 0
    healed: int = 0
    stored: int = 0
    duplicate: int = 0
    left: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.tried + other.tried, self.healed + other.healed, self.stored + other.stored,
            self.duplicate + other.duplicate, self.left + other.left,
            dict(Counter(self.refused) + Counter(other.refused)),
        )  # fmt: skip


def heal(line: Line, wish: Wish, clock: Callable[[], datetime]) -> Outcome:
    """Take in the rows of a wish once more, the oldest first. Doing it again changes nothing that has healed.

    Raises OSError when the disk refuses: what was healed before stays so, the rest waits as it did.
    """
    waiting = waiting_rows(line.store, wish)
    total = Outcome(left=max(0, waiting.height - wish.most))
    for part in _parts(line, waiting.head(wish.most)):
        total += _heal(line, part, clock())
    return total


def waiting_rows(store: Store, wish: Wish) -> pl.DataFrame:
    """Quarantined rows that have not healed, without their originals.

    Shape: the columns of ABOUT; first those that were not tried for longest, of these the oldest.
    """
    params = {name: value for name, value in (("feed", wish.feed), ("reason", wish.reason)) if value is not None}
    where = " AND ".join(f"{name} = ${name}" for name in params)
    rows = store.rows("quarantine", wish.since, None, where, params, columns=ABOUT)
    tried = store.rows("quarantine_replays", columns=["id", "at", "outcome"]).rename({"at": "tried_at"})
    found = rows.join(tried, on="id", how="left", maintain_order="left").filter(pl.col("outcome").ne_missing("healed"))
    return found.sort("tried_at", "at", nulls_last=False, maintain_order=True).select(ABOUT)


def _parts(line: Line, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows in portions that are read together: of one payload, and alike."""
    if rows.is_empty():
        return
    whole = [is_whole(_form(line, row), row["row"], row["table_name"]) for row in rows.iter_rows(named=True)]
    for part in rows.with_columns(whole=pl.Series(whole)).partition_by(OF_ONE_PAYLOAD, maintain_order=True):
        about = part.row(0, named=True)
        together = MOST_TOGETHER if _form(line, about) in JOINED and not about["whole"] else 1
        for first in range(0, part.height, together):
            yield part.slice(first, together)


def _form(line: Line, row: Mapping[str, Any]) -> str:
    feed = line.settings.feeds.get(row["feed"])
    return str(row["format"] or (feed.format if feed else ""))


def _heal(line: Line, part: pl.DataFrame, now: datetime) -> Outcome:
    """One portion: rows that pass are made durable, then what became of each is."""
    receipt, faults = _taken(line, part, now)
    _mark(line, part, faults, now)
    refused = Counter(reason for reason, _ in faults.values())
    return Outcome(
        part.height, part.height - len(faults), receipt.stored, receipt.duplicate, 0, dict(refused)
    )  # fmt: skip


def _taken(line: Line, part: pl.DataFrame, now: datetime) -> tuple[flow.Receipt, dict[str, Fault]]:
    """What landed of a portion, and why each row that did not pass was refused (by its id)."""
    about, ids = part.row(0, named=True), part["id"].to_list()
    feed, form = line.settings.feeds.get(about["feed"]), _form(line, about)
    if feed is None or (form in ONLY_WHOLE and not about["whole"]):
        return flow.Receipt(), dict.fromkeys(ids, FEED_GONE if feed is None else ONLY_AS_A_WHOLE)
    originals = _originals(line.store, about["at"], ids)
    if not all(originals):
        return flow.Receipt(), dict.fromkeys(ids, NO_ORIGINAL)
    message, places = _message(feed, form, about, originals)
    (opened,) = open_all(line, [message])
    if opened.words is not None:
        return flow.Receipt(), dict.fromkeys(ids, (opened.refused["reason"][0], opened.words))
    if _overtaken(line, opened, about):
        return flow.Receipt(), dict.fromkeys(ids, OVERTAKEN)
    faults = {} if about["whole"] else _faults(opened, ids, places)
    return _kept(line, opened, about, now), faults


def _originals(store: Store, at: datetime, ids: list[str]) -> list[bytes]:
    """The bytes of these rows of one moment, in this order."""
    where = "id IN (SELECT unnest($ids))"
    rows = store.rows("quarantine", at, at + INSTANT_AFTER, where, {"ids": ids}, columns=["id", "original"])
    found = {name: bytes(raw or b"") for name, raw in rows.iter_rows()}
    return [found.get(name, b"") for name in ids]


def _message(
    feed: Feed, form: str, about: Mapping[str, Any], originals: list[bytes]
) -> tuple[RawMessage, tuple[int, ...]]:
    """The rows as a payload of their feed as it is declared today, and the number that each will have in it.

    It came when they first came: a clock that was wrong then does not become right by waiting.
    """
    if feed.origin == "http_push" and form in MAPPED and about["table_name"]:
        feed = pushed(feed, form, about["table_name"])
    fields = orjson.loads(about["fields"]) if about["fields"] else {}
    if about["whole"]:
        return RawMessage(feed, originals[0], about["at"], backfill=True, fields=fields), (0,)
    joined = rejoined(form, originals, feed.mapping, about["encoding"], about["context"])
    places = joined.places if form in JOINED else (about["row"],)
    feed = replace(feed, format=joined.form, mapping=joined.mapping)
    return RawMessage(feed, joined.payload, about["at"], backfill=True, fields=fields), places


def _faults(opened: Opened, ids: list[str], places: tuple[int, ...]) -> dict[str, Fault]:
    """Why rows were refused again. A line that holds several readings heals when none of them is."""
    found = {row: (reason, words) for row, reason, words in opened.refused.select("row", "reason", "detail").rows()}
    return {name: found[place] for name, place in zip(ids, places, strict=True) if place in found}


def _overtaken(line: Line, opened: Opened, about: Mapping[str, Any]) -> bool:
    """Whether a whole data set is older than one that the feed has brought since."""
    if not any(line.store.tables[name].replaces for name in opened.good if name in line.store.tables):
        return False
    where = "feed = $feed AND outcome = 'landed' AND decoded > 0"
    came = line.store.rows("arrivals", about["at"], None, where, {"feed": about["feed"]})
    return bool((came["received_at"] > about["at"]).any())


def _kept(line: Line, opened: Opened, about: Mapping[str, Any], now: datetime) -> flow.Receipt:
    """Land the rows that passed, as an arrival of their own with a balance of its own.

    Of single rows those refused again are no part of it: they were counted as set aside when they came. Of a payload
    that could not be read before they are: nobody has seen them yet.
    """
    good, known = {}, 0
    for name, rows in opened.good.items():
        good[name] = _not_overtaken(line, name, rows, about["at"])
        known += rows.height - good[name].height
    good = {name: rows for name, rows in good.items() if rows.height}
    refused = opened.refused if about["whole"] else opened.refused.clear()
    if not good and refused.is_empty():
        return flow.Receipt(duplicate=known)
    decoded = sum(rows.height for rows in good.values()) + refused.height
    landing = replace(
        opened, messages=(_by_present_name(line, opened),), decoded=(decoded,), good=good, refused=refused
    )  # fmt: skip
    receipt = flow.keep(line, [landing], now)[opened.places[0]]
    return replace(receipt, duplicate=receipt.duplicate + known)


def _by_present_name(line: Line, opened: Opened) -> RawMessage:
    """The message under its feed as declared: how its rows were put together does not concern the books."""
    return replace(opened.messages[0], feed=line.settings.feeds[opened.feed.name])


def _not_overtaken(line: Line, name: str, rows: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """The rows of which nothing newer has come since: a replay must not undo a correction."""
    table, keyed = line.store.tables[name], rows.drop(MESSAGE)
    if table.replaces:
        return rows
    if name == "readings":
        keyed = keyed.with_columns(line.series.at(rows[SENSOR]))
    keys = list(table.key)
    newer = line.store.received(name, keyed.select(keys).drop_nulls()).filter(pl.col("received_at") > at)
    late = keyed.select(keys).join(newer.with_columns(_newer=True), on=keys, how="left", maintain_order="left")
    return rows.filter(late["_newer"].is_null())


def _mark(line: Line, part: pl.DataFrame, faults: Mapping[str, Fault], now: datetime) -> None:
    """Make durable what became of each row."""
    rows = []
    for name, feed in part.select("id", "feed").iter_rows():
        reason, words = faults.get(name, (None, None))
        rows.append((name, now, feed, "refused" if reason else "healed", reason, words))
    frame = pl.DataFrame(rows, schema=QUARANTINE_REPLAYS.schema, orient="row")
    entry = Entry(QUARANTINE_REPLAYS.name, frame, {"received_s": now.timestamp(), "corrects": True})
    with line.writing:
        seq = line.journal.append([entry])
        line.store.land(seq, [entry])
        line.landed([entry])
