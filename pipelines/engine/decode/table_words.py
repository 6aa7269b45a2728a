"""What the clerk reads about a cell that could not be read."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.engine.decode.clock import Clock


def no_number(raw: str, column: pl.Expr, mapping: Mapping[str, Any]) -> pl.Expr:
    """Words for a cell that should hold a number."""
    advice = "Correct it at the sender; if it means that nothing was measured, list it under missing in the mapping."
    comma = 'If the comma is a decimal comma, write decimal = "," into the feed\'s mapping.'
    pointed = mapping.get("decimal", ".") == "." and not mapping.get("thousands")
    hint = (
        pl.when(pl.col(raw).str.contains(r"^-?\d+,\d+$") & pl.lit(pointed))
        .then(pl.lit(comma))
        .otherwise(pl.lit(advice))
    )
    return pl.format('"{}" in the column {} is no number. {}', pl.col(raw).str.slice(0, 80), column, hint)


def unreadable_time(clock: Clock, text: str) -> pl.Expr:
    """Words for a cell that should hold a time."""
    words = pl.format(
        'the time "{}" cannot be read. It should look like {}.', pl.col(text).str.slice(0, 80), pl.lit(clock.example)
    )
    return pl.coalesce(words, pl.lit(f"the time is empty (column {' and '.join(clock.columns)})."))


def displaced_time(clock: Clock, text: str, reason: str) -> pl.Expr:
    """Words for a clock reading that is no instant: it names no zone, or the clocks went forward over it."""
    nowhere = pl.format(
        'the time "{}" names no zone. Write the zone of the device\'s clock into the feed, as zone = "Europe/Rome".',
        pl.col(text),
    )
    skipped = pl.format(
        'the time "{}" does not exist in {}: the clocks went forward over it. If the device keeps winter time '
        'all year, write its offset as the zone, for example zone = "+01:00".',
        pl.col(text),
        pl.lit(clock.zone or ""),
    )
    return pl.when(pl.col(reason) == "naive_time").then(nowhere).otherwise(skipped)
