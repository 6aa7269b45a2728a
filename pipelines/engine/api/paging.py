"""Pages of an extract: an opaque cursor says where the next page begins."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
import polars as pl

from pipelines.engine.asking import Misasked
from pipelines.engine.spans import Extract

FURTHEST = 10**12
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True)
class Place:
    """Where a page begins: after `skip` rows from the instant `at` on (from the beginning, when it is None)."""

    at: datetime | None = None
    skip: int = 0

    def cursor(self) -> str:
        """The place as text that means nothing to others."""
        microseconds = (self.at - EPOCH) // MICROSECOND if self.at else None
        raw = orjson.dumps([microseconds, self.skip])
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def place_of(cursor: str | None) -> Place:
    """The place that a cursor names.

    Raises Misasked.
    """
    if not cursor:
        return Place()
    try:
        at, skip = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(skip, int) or not 0 <= skip < FURTHEST:
            raise ValueError("skip")
        return Place(EPOCH + at * MICROSECOND if at is not None else None, skip)
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise Misasked(
            "`cursor` is none of ours. Take `next` of the page before, unchanged, or leave it out to begin anew."
        ) from error


def page(wanted: Extract, place: Place, limit: int) -> tuple[pl.DataFrame, Place | None]:
    """At most `limit` rows from this place on, and where the next page begins."""
    found, height, skip = [wanted.empty()], 0, place.skip
    for frame in wanted.frames(place.at if wanted.seekable else None):
        rest = frame.slice(skip)
        skip = max(0, skip - frame.height)
        found.append(rest)
        height += rest.height
        if height > limit:
            break
    rows = pl.concat(found)
    if rows.height <= limit:
        return rows, None
    rows = rows.head(limit)
    return rows, _after(wanted, place, rows)


def _after(wanted: Extract, place: Place, rows: pl.DataFrame) -> Place:
    if not wanted.seekable or wanted.time is None:
        return Place(None, place.skip + rows.height)
    last = rows[wanted.time][-1]
    given = int((rows[wanted.time] == last).sum())
    return Place(last, given + (place.skip if last == place.at else 0))
