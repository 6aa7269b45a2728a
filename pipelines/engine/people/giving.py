"""Rows as they may be given away: what people wrote without what tells who they are."""

import polars as pl

from pipelines.engine.model import Table
from pipelines.engine.people.scrubbing import scrubbed


def given_away(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The rows with every free column of their table scrubbed; the same text is looked at once."""
    free = [column.name for column in table.columns if column.free and column.name in rows.columns]
    return rows.with_columns(_scrubbed(rows[name]) for name in free) if free and rows.height else rows


def _scrubbed(column: pl.Series) -> pl.Series:
    known = {text: scrubbed(text) for text in column.unique() if text is not None}
    return column.replace(known) if known else column
