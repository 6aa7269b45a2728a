"""An extract as an HTTP answer: whole, streamed, paged, or as its manifest; nothing is cut silently."""

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import polars as pl
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from pipelines.engine.api.paging import page, place_of
from pipelines.engine.errors import StoreError
from pipelines.engine.exports import Counted
from pipelines.engine.extracts import Extract, of_frame
from pipelines.engine.forms import BOM, MEDIA, WRITERS, streamed

# Answers of at most so many rows carry their number and length in the head; longer ones are streamed.
AT_ONCE = 20_000
BLOCK = 256 << 10
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True)
class Wish:
    """How somebody wants rows: the form, a page or everything. `key` names the rows in JSON."""

    request: Request
    form: str
    key: str = "rows"
    bom: bool = False
    limit: int | None = None
    cursor: str | None = None

    def of(self, key: str) -> "Wish":
        """The same for rows of this name."""
        return replace(self, key=key)


def give(wanted: Extract, wish: Wish) -> Response:
    """The answer to a wish.

    Raises Misasked when the cursor is none of ours.
    """
    if wish.form == "manifest":
        return manifest(wanted)
    if wish.limit is None and wish.cursor is None:
        return _given(wanted, wanted.frames(), wish)
    rows, following = page(wanted, place_of(wish.cursor), wish.limit or AT_ONCE // 2)
    part = of_frame(wanted.name, rows, wanted.columns, wanted.nested)
    return _given(part, iter([rows] if rows.height else []), wish, following.cursor() if following else None)


def _given(wanted: Extract, frames: Iterator[pl.DataFrame], wish: Wish, following: str | None = None) -> Response:
    headers = {**HEADERS, "Content-Disposition": _disposition(wanted, wish.form), **_links(wish, following)}
    if wish.form in WRITERS:
        return _file(wanted, frames, wish.form, headers)
    first, ended = _ahead(frames)
    pieces = streamed(wanted, itertools.chain(first, _told(frames)), wish.form, key=wish.key, following=following)
    if wish.bom and wish.form == "csv":
        pieces = itertools.chain([BOM], pieces)
    if not ended:
        return StreamingResponse(pieces, headers=headers, media_type=MEDIA[wish.form])
    headers["X-Row-Count"] = str(sum(frame.height for frame in first))
    return Response(b"".join(pieces), headers=headers, media_type=MEDIA[wish.form])


def _told(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The frames; a disk that fails is told as such: Starlette takes an OSError for a client that went away."""
    try:
        yield from frames
    except OSError as error:
        raise StoreError(f"an export broke off, its reader sees an incomplete answer: {error}") from error


def _ahead(frames: Iterator[pl.DataFrame]) -> tuple[list[pl.DataFrame], bool]:
    """The first frames, and whether these are all: what fails, fails before an answer has begun."""
    first, rows = [], 0
    for frame in frames:
        first.append(frame)
        rows += frame.height
        if rows > AT_ONCE:
            return first, False
    return first, True


def _file(wanted: Extract, frames: Iterator[pl.DataFrame], form: str, headers: dict[str, str]) -> Response:
    """A form that can only be written as a whole file; it is gone from disk before its first byte leaves."""
    with tempfile.TemporaryDirectory(prefix="townboard-export-") as folder:
        path = Path(folder) / "rows"
        rows = WRITERS[form](wanted, frames, path)
        file, size = path.open("rb"), path.stat().st_size

    def blocks() -> Iterator[bytes]:
        with file:
            while block := file.read(BLOCK):
                yield block

    headers = {**headers, "X-Row-Count": str(rows), "Content-Length": str(size)}
    return StreamingResponse(blocks(), headers=headers, media_type=MEDIA[form])


def manifest(wanted: Extract) -> Response:
    """What an export holds: its columns, span, and number of rows, counted by reading them."""
    counted, first, last = Counted(wanted.frames()), None, None
    for frame in counted:
        if wanted.time:
            first, last = first or frame[wanted.time][0], frame[wanted.time][-1]
    body = {
        "table": wanted.name,
        "from": wanted.span.start,
        "to": wanted.span.end,
        "ward": wanted.ward,
        "rows": counted.rows,
        "first": first,
        "last": last,
        "columns": [{"column": c.name, "type": c.kind, "unit": c.unit, "meaning": c.meaning} for c in wanted.columns],
    }
    return answer(body)


def answer(body: Any) -> Response:
    """A JSON answer; instants in UTC end in Z."""
    return Response(orjson.dumps(body, option=orjson.OPT_UTC_Z), headers=HEADERS, media_type=MEDIA["json"])


def _links(wish: Wish, following: str | None) -> dict[str, str]:
    if following is None:
        return {}
    query = [(name, value) for name, value in wish.request.query_params.multi_items() if name != "cursor"]
    return {"Link": f'<?{urlencode([*query, ("cursor", following)])}>; rel="next"'}


def _disposition(wanted: Extract, form: str) -> str:
    edges = [f"{_stamp(edge)}" for edge in (wanted.span.start, wanted.span.end) if edge]
    place = [f"ward-{wanted.ward}"] if wanted.ward else []
    name = "_".join([wanted.name, *place, *edges]) + f".{form}"
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in name)
    return f'{"inline" if form == "json" else "attachment"}; filename="{safe}"'


def _stamp(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%SZ")
