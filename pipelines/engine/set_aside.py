"""What was set aside, for people: the newest rows, how many there are, and what of them may be personal."""

from collections.abc import Mapping

import polars as pl

from pipelines.engine.calendar import earliest
from pipelines.engine.decode.table_mapping import FORMATS as MAPPED
from pipelines.engine.settings import Settings
from pipelines.engine.store import Store

MOST_LETTERS = 2000
# So many rows are taken in once more by one call.
MOST_REPLAYED = 10_000


def newest(
    store: Store, wanted: Mapping[str, str | None], limit: int, state: str, *, hidden: pl.Expr | None
) -> pl.DataFrame:
    """The newest quarantined rows that wait, or have healed, or all; `wanted` names what they agree in.

    Shape: as Town.quarantine gives it. What a row said, and what quotes it, is withheld where `hidden` is true.
    """
    params = {name: value for name, value in wanted.items() if value}
    conditions = [f"{name} = ${name}" for name in params]
    found = store.rows("quarantine", where=" AND ".join(conditions), params=params, columns=["id", "at"])
    shown = _judged(found, _replays(store))
    shown = (shown if state == "all" else shown.filter(state=state)).tail(limit)
    where = " AND ".join([*conditions, "id IN (SELECT unnest($ids))"])
    params_of_rows = {**params, "ids": shown["id"].to_list()}
    rows = store.rows("quarantine", earliest(shown["at"]), None, where, params_of_rows).reverse()
    text = [bytes(raw or b"")[:MOST_LETTERS].decode("utf-8", "replace") for raw in rows["original"]]
    rows = rows.drop("received_at").rename({"at": "received_at", "table_name": "table"})
    rows = rows.with_columns(original=pl.Series(text, dtype=pl.String)).with_columns(
        withheld=pl.lit(value=False) if hidden is None else hidden
    )
    # The reason in words quotes what the row said.
    told = [pl.when(~pl.col("withheld")).then(name).alias(name) for name in ("original", "detail")]
    rows = rows.with_columns(told)
    return rows.join(shown.drop("at"), on="id", maintain_order="left").select(
        "id", "feed", "received_at", "table", "row", "reason", "detail", "original", "withheld", "format", "state",
        "replayed_at", "refused_again",
    )  # fmt: skip


def counts(store: Store) -> pl.DataFrame:
    """feed, reason, rows (that wait), healed, newest: how many rows were set aside for which reason."""
    rows = _judged(store.rows("quarantine", columns=["id", "feed", "reason", "at"]), _replays(store))
    state = pl.col("state")
    counted = rows.group_by("feed", "reason").agg(
        rows=(state == "waiting").sum(), healed=(state == "healed").sum(), newest=pl.col("at").max()
    )
    return counted.sort("rows", "feed", "reason", descending=[True, False, False])


def _replays(store: Store) -> pl.DataFrame:
    return store.rows("quarantine_replays", columns=["id", "at", "outcome", "reason"])


def _judged(rows: pl.DataFrame, replays: pl.DataFrame) -> pl.DataFrame:
    """Quarantined rows with `state`, `replayed_at` and `refused_again`, as their last replay left them."""
    last = replays.rename({"at": "replayed_at", "reason": "refused_again"})
    state = pl.when(pl.col("outcome").eq_missing("healed")).then(pl.lit("healed")).otherwise(pl.lit("waiting"))
    return rows.join(last, on="id", how="left", maintain_order="left").with_columns(state=state).drop("outcome")


def personal(settings: Settings) -> pl.Expr:
    """Whether personal data may stand in what a quarantined row said, by its table, feed, format and row."""
    own = [table for domain in settings.domains for table in domain.tables]
    tables = {table.name for table in own if any(column.personal for column in table.columns)}
    domains = {domain.name for domain in settings.domains if tables & {table.name for table in domain.tables}}
    open_feeds = [name for name, declared in settings.feeds.items() if not domains & set(declared.domains)]
    harmless = {"readings", *(table.name for table in own)} - tables
    # A payload that could not be read may hold anything that its feed brings, whatever table it was meant for.
    unread = pl.col("table").is_null() | (pl.col("format").is_in(MAPPED).fill_null(value=False) & (pl.col("row") == 0))
    shown = pl.when(unread).then(pl.col("feed").is_in(open_feeds)).otherwise(pl.col("table").is_in(list(harmless)))
    return ~shown
