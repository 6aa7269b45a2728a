"""An extract as an HTTP answer: at once, by the depot, paged, or as its manifest; nothing is cut silently."""

import base64
import hashlib
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
from pipelines.engine.api.standing import Standing, Told, Unsatisfiable, beyond, part
from pipelines.engine.depot import Making
from pipelines.engine.errors import StoreError
from pipelines.engine.export_manifest import facts, stamped
from pipelines.engine.exports import Counted, into_depot
from pipelines.engine.forms import BOM, MEDIA, WRITERS, streamed
from pipelines.engine.people.roles import Actor
from pipelines.engine.spans import Extract, of_frame
from pipelines.engine.town import Town

# Answers of at most so many rows carry their number and length in the head; longer ones are streamed.
AT_ONCE = 20_000
BLOCK = 256 << 10
MARK = '"export-'
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True)
class Wish:
    """How somebody wants rows: the form, a page or everything. `key` names the rows in JSON; `owner` alone may
    fetch a large one again (empty: whoever knows its name)."""

    request: Request
    form: str
    key: str = "rows"
    bom: bool = False
    limit: int | None = None
    cursor: str | None = None
    manifest: bool = False
    owner: str = ""

    @property
    def town(self) -> Town:
        """The town that is asked."""
        return self.request.app.state.town

    def of(self, key: str) -> "Wish":
        """The same for rows of this name."""
        return replace(self, key=key)

    def by(self, actor: Actor) -> "Wish":
        """The same, for this actor alone: a large export may be fetched again by nobody else."""
        return replace(self, owner=actor.signature)


def give(wanted: Extract, wish: Wish) -> Response:
    """The answer to a wish.

    Raises Misasked when the cursor is none of ours.
    """
    wanted = stamped(wanted, wish.town)
    if wish.form == "manifest":
        return manifest(wanted)
    if wish.limit is not None or wish.cursor is not None:
        rows, following = page(wanted, place_of(wish.cursor), wish.limit or AT_ONCE // 2)
        part = of_frame(wanted.name, rows, wanted.columns, wanted.nested)
        return _at_once(part, [rows] if rows.height else [], wish, following.cursor() if following else None)
    if wish.manifest:
        return Told(_in_depot(wanted, wish))
    if (before := _before(wish)) is not None:
        return Standing(before, wish.request, _headers(wanted, wish))
    return _whole(wanted, wish)


def _whole(wanted: Extract, wish: Wish) -> Response:
    """All rows: at once when they are few, else by the depot, else (when it has no room) in passing."""
    frames = wanted.frames()
    first, ended = _ahead(frames)
    if ended:
        return _at_once(wanted, first, wish)
    if not wish.request.scope.get("only_head") and wish.town.depot.has_room(wanted):
        return Standing(_in_depot(wanted, wish), wish.request, _headers(wanted, wish))
    return _in_passing(wanted, itertools.chain(first, _told(frames)), wish)


def _before(wish: Wish) -> Making | None:
    """The export whose rest a client asks for, when it still stands."""
    mark = wish.request.headers.get("if-range", "")
    found = wish.town.depot.find(mark[len(MARK) : -1]) if mark.startswith(MARK) else None
    return found if found and found.asked == _asked(wish) and found.owner in ("", wish.owner) else None


def _in_depot(wanted: Extract, wish: Wish) -> Making:
    work = into_depot(wish.town, wish.form, wish.key, bom=wish.bom)
    return wish.town.depot.make(wanted, wish.form, work, asked=_asked(wish), owner=wish.owner)


def _asked(wish: Wish) -> str:
    query = [(name, value) for name, value in wish.request.query_params.multi_items() if name != "manifest"]
    return f"{wish.request.url.path}?{urlencode(sorted(query))}"


def _headers(wanted: Extract, wish: Wish) -> dict[str, str]:
    known = {"X-Definitions": str(wanted.about["definitions"])} if "definitions" in wanted.about else {}
    return {**HEADERS, **known, "Content-Disposition": _disposition(wanted, wish.form)}


def _at_once(wanted: Extract, frames: list[pl.DataFrame], wish: Wish, following: str | None = None) -> Response:
    """An answer that is whole before its first byte leaves: its number of rows and hash stand in the head."""
    rows, body = _bytes(wanted, frames, wish, following)
    digest = hashlib.sha256(body).digest()
    tag = f'"{digest.hex()[:32]}"'
    proof = {"X-Row-Count": str(rows), "ETag": tag, "Accept-Ranges": "bytes", "Repr-Digest": _repr_digest(digest)}
    headers = {**_headers(wanted, wish), **_links(wish, following), **proof}
    if wish.request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    try:
        wants = part(wish.request, tag, len(body))
    except Unsatisfiable:
        return beyond(len(body))
    if wants is None:
        return Response(body, headers=headers, media_type=MEDIA[wish.form])
    headers |= wants.headers(len(body))
    return Response(body[wants.start : wants.end], 206, headers, MEDIA[wish.form])


def _bytes(wanted: Extract, frames: list[pl.DataFrame], wish: Wish, following: str | None) -> tuple[int, bytes]:
    if wish.form in WRITERS:
        with tempfile.TemporaryDirectory(prefix="townboard-export-") as folder:
            path = Path(folder) / "rows"
            return WRITERS[wish.form](wanted, frames, path), path.read_bytes()
    pieces = streamed(wanted, frames, wish.form, key=wish.key, following=following)
    mark = BOM if wish.bom and wish.form == "csv" else b""
    return sum(frame.height for frame in frames), mark + b"".join(pieces)


def _repr_digest(digest: bytes) -> str:
    """RFC 9530."""
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


def _in_passing(wanted: Extract, frames: Iterator[pl.DataFrame], wish: Wish) -> Response:
    """More than can be kept: it leaves as it is read, and cannot be gone on with."""
    headers = {**_headers(wanted, wish), "Accept-Ranges": "none"}
    if wish.form in WRITERS:
        return _file(wanted, frames, wish.form, headers)
    pieces = streamed(wanted, frames, wish.form, key=wish.key)
    if wish.bom and wish.form == "csv":
        pieces = itertools.chain([BOM], pieces)
    return StreamingResponse(pieces, headers=headers, media_type=MEDIA[wish.form])


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
    body = {**facts(wanted), "rows": counted.rows, "first": first, "last": last}
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
