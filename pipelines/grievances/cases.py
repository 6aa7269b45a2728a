"""Service requests made ready for counting: who counts, when each was settled, during which spans it was open."""

from collections.abc import Sequence

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, share, shared
from pipelines.grievances.formulas import TICK, leaves

LEVELS = ("town", "ward", "service", "department")


@shared
def named(service_requests: pl.DataFrame) -> pl.DataFrame:
    """All requests with `service` (its code, else its name), `department`, and `settled_at` (null while open)."""
    return service_requests.with_columns(
        service=pl.coalesce("service_code", "service_name"),
        department=pl.col("agency_responsible"),
        settled_at=pl.when(pl.col("status") == "closed").then(pl.col("closed_at")),
        leaves=leaves(pl.col("state"), pl.col("duplicate_of")),
    )


@shared
def counted(service_requests: pl.DataFrame) -> pl.DataFrame:
    """The requests that tell about the office: no duplicates, none withdrawn, none closed at an unknown time."""
    unknown = (pl.col("status") == "closed") & pl.col("closed_at").is_null()
    return named(service_requests).filter(~pl.col("leaves") & ~unknown)


def spans(requests: pl.DataFrame) -> pl.DataFrame:
    """The spans during which each request was open: `start`, `end` (null = still), with the request's own columns.

    A request that was closed and came back has two; of one closed again only the last closing is known, so one.
    """
    back = (pl.col("status") == "open") & (pl.col("reopened_at") > pl.col("closed_at")).fill_null(False)
    first_end = pl.when(back).then(pl.col("closed_at")).otherwise(pl.col("settled_at"))
    first = requests.with_columns(start=pl.col("requested_datetime"), end=first_end)
    second = requests.filter(back).with_columns(start=pl.col("reopened_at"), end=pl.col("settled_at"))
    return pl.concat([first, second])


def judged(rows: pl.DataFrame, windows: pl.DataFrame, at: str) -> pl.DataFrame:
    """The rows in their windows, with each window's `as_of` and `undecided` (it still runs)."""
    ends = windows.select("window", "as_of", undecided=pl.col("as_of") < pl.col("end"))
    return in_windows(rows, windows, at).join(ends, on="window")


def shares(rows: pl.DataFrame, condition: pl.Expr, levels: Sequence[str] = LEVELS) -> pl.DataFrame:
    """Share of rows for which the condition holds, per window and area."""
    return by_area(rows.with_columns(holds=condition), levels).group_by(KEYS).agg(**share(pl.col("holds")))


def instants(requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """The last instant (`at`) of each window so far, from the first request on: before it nothing is known.

    A complete window ends a moment before its `end`, which belongs to the next one.
    """
    first = requests["requested_datetime"].min()
    last = windows.select("window", at=pl.min_horizontal("as_of", pl.col("end") - TICK))
    return last.filter(pl.col("at") >= first) if first is not None else last.clear()


def touching(spans: pl.DataFrame, instants: pl.DataFrame) -> pl.DataFrame:
    """The spans that can hold one of the instants: neither over before the first nor begun after the last."""
    if instants.is_empty():
        return spans.clear()
    first, last = instants["at"].min(), instants["at"].max()
    return spans.filter((pl.col("start") <= last) & (pl.col("end").is_null() | (pl.col("end") > first)))


def grid(instants: pl.DataFrame, requests: pl.DataFrame, wards: pl.DataFrame, levels: Sequence[str]) -> pl.DataFrame:
    """Every window with the town, all wards and every area that ever had a request, so that none shows as 0."""
    areas = {"town"} | {f"ward:{ward}" for ward in wards["ward"]}
    for level in levels:
        if level != "town":
            areas |= {f"{level}:{name}" for name in requests[level].unique().drop_nulls()}
    return instants.join(pl.DataFrame({"area": sorted(areas)}), how="cross")


@shared
def counts(
    rows: pl.DataFrame, at: str, windows: pl.DataFrame, wards: pl.DataFrame, levels: Sequence[str]
) -> pl.DataFrame:
    """How many rows fall into each window, per area, 0 for the town and for wards without any."""
    placed = by_area(in_windows(rows, windows, at), levels).group_by(KEYS).agg(count=pl.len().cast(pl.Int64))
    return (
        grid(instants(rows, windows), rows, wards, levels)
        .join(placed, on=KEYS, how="left")
        .with_columns(pl.col("count").fill_null(0))
    )
