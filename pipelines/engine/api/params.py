"""The parameters that many addresses share, and the refusal of those that an address does not know."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant

from pipelines.engine.api.answers import Wish
from pipelines.engine.asking import Span, one_of, span

MOST_ROWS = 10_000
Form = Literal["csv", "json", "ndjson", "parquet", "xlsx"]
ManifestForm = Literal["csv", "json", "ndjson", "parquet", "xlsx", "manifest"]
FORMAT = "How the rows are written. Without `limit` all rows are given, whatever the format."
INSTANT: Any = {"format": "date-time"}

Start = Annotated[
    str | None,
    Query(alias="from", description="First instant, RFC 3339 with zone or offset.", json_schema_extra=INSTANT),
]
End = Annotated[
    str | None, Query(alias="to", description="First instant no longer wanted, RFC 3339.", json_schema_extra=INSTANT)
]
Ward = Annotated[str | None, Query(description="A ward of the register.")]
DomainName = Annotated[str | None, Query(alias="domain", description="A domain that is on.")]
Limit = Annotated[
    int | None, Query(ge=1, le=MOST_ROWS, description="Rows a page; the answer then names the next page.")
]
Cursor = Annotated[str | None, Query(description="Where a page begins: `next` of the page before, unchanged.")]
AsKnownAt = Annotated[
    str | None,
    Query(
        description="What was said at this instant, RFC 3339: of closed windows exactly; of the board, as its minutes "
        "tell it (the town every minute, other areas every quarter of an hour).",
        json_schema_extra=INSTANT,
    ),
]
Bom = Annotated[Literal["0", "1"], Query(description="1: CSV begins with a byte order mark, for spreadsheets.")]
Proof = Annotated[
    Literal["0", "1"],
    Query(
        alias="manifest",
        description="1: make the export and give its manifest (rows, hash, moment, definitions, where it stands).",
    ),
]
CsvFirst = Annotated[ManifestForm, Query(alias="format", description=f"{FORMAT} manifest: columns and number of rows.")]


async def whole(request: Request, form: CsvFirst = "csv", bom: Bom = "0", proof: Proof = "0") -> Wish:
    """How all rows of an answer are wanted."""
    return Wish(request, form, bom=bom == "1", manifest=proof == "1")


async def paged(asked: Annotated[Wish, Depends(whole)], limit: Limit = None, cursor: Cursor = None) -> Wish:
    """How the rows of an answer are wanted, or a page of them."""
    return replace(asked, limit=limit, cursor=cursor)


async def times(start: Start = None, end: End = None) -> Span:
    """The span asked for."""
    return span(start, end)


Whole = Annotated[Wish, Depends(whole)]
Paged = Annotated[Wish, Depends(paged)]
Times = Annotated[Span, Depends(times)]


def only_known(request: Request) -> None:
    """Refuse parameters that this address does not know: a mistyped `form` would silently give everything.

    Raises Misasked.
    """
    known = sorted(set(_named(request.scope["route"].dependant)))
    for name in request.query_params:
        one_of("parameter", name, known)


def _named(dependant: Dependant) -> Iterator[str]:
    """The query parameters of an address, with those of what it depends on."""
    yield from (field.alias for field in dependant.query_params)
    for part in dependant.dependencies:
        yield from _named(part)
