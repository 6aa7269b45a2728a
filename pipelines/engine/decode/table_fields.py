"""What came beside a payload, such as the parts of its MQTT topic, as columns of its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import polars as pl

from pipelines.engine.decode.table_sheet import Sheet


class Plan(Protocol):
    """What a mapping says about a sheet."""

    @property
    def named(self) -> set[str]:
        """The columns that the mapping names, or takes without being told."""

    def pick(self, headings: Sequence[str]) -> list[str]:
        """The columns to read; raises Refused when one that the mapping needs is missing."""


class Beside:
    """Fields offered to a plan beside the payload's own columns; where both have a name, the field counts."""

    def __init__(self, plan: Plan, fields: Sequence[str]) -> None:
        named = plan.named if fields else set()
        self._plan, self._offered = plan, [name for name in fields if name in named]
        self.taken: list[str] = []

    def pick(self, headings: Sequence[str]) -> list[str]:
        """The columns to read from the payload itself.

        Raises Refused when one that the mapping needs is nowhere.
        """
        own = [name for name in headings if name not in self._offered]
        found = self._plan.pick([*own, *self._offered])
        self.taken = [name for name in found if name in self._offered]
        return [name for name in found if name not in self._offered]

    def onto(self, sheet: Sheet, fields: Mapping[str, str]) -> Sheet:
        """The sheet with the same fields in every row."""
        added = [pl.lit(fields[name], dtype=pl.String).alias(name) for name in self.taken]
        return replace(sheet, frame=sheet.frame.with_columns(added)) if added else sheet
