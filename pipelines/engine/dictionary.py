"""The data dictionary of a town: every column that may be taken away, with its unit and meaning."""

from typing import TYPE_CHECKING

import polars as pl

from pipelines.engine.model import Reference, Table
from pipelines.engine.registers import ENGINE_REFERENCES
from pipelines.engine.tables import QUALITY_MEANING

if TYPE_CHECKING:
    from pipelines.engine.town import Town


def of(town: "Town") -> pl.DataFrame:
    """The data dictionary: table, column, kind, unit, meaning, source (the domain, or the engine)."""
    own = {table.name for domain in town.domains for table in domain.tables}
    found = [("readings", *entry, "engine") for entry in (
        ("sensor", "text", None, "Sensor id."),
        ("observed_at", "instant", None, "When the device measured."),
        ("value", "number", "the sensor's quantity", "The measured value; empty = measured but unusable."),
        ("quality", "code", None, QUALITY_MEANING),
        ("received_at", "instant", None, "When Townboard received it."),
    )]  # fmt: skip
    owners: list[tuple[str, Table | Reference]] = []
    for domain in town.domains:
        owners += [(domain.name, table) for table in domain.tables]
        owners += [(domain.name, reference) for reference in domain.references]
    owners += [("engine", table) for table in town.tables if table.name not in own]
    owners += [("engine", reference) for reference in ENGINE_REFERENCES]
    for owner, things in owners:
        found += [
            (things.name, column.name, column.kind, column.unit, column.meaning, owner)
            for column in things.columns
            if not column.personal
        ]
    names = ("table", "column", "kind", "unit", "meaning", "source")
    return pl.DataFrame(found, schema=dict.fromkeys(names, pl.String), orient="row")
