"""The parameters that many addresses share, and the refusal of those that an address does not know."""

from typing import Annotated, Any, Literal

from fastapi import Query, Request

from pipelines.engine.asking import one_of

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


def only_known(request: Request) -> None:
    """Refuse parameters that this address does not know: a mistyped `form` would silently give everything.

    Raises Misasked.
    """
    known = sorted(field.alias for field in request.scope["route"].dependant.query_params)
    for name in request.query_params:
        one_of("parameter", name, known)
