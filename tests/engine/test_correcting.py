"""Which changes of published values people are told: beyond the tolerance, in the state, or to unknown; after the delay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.engine.correcting import Correcting, grace, tolerance
from pipelines.engine.journal import Entry
from pipelines.engine.model import Kpi, every
from pipelines.engine.store import Store
from pipelines.engine.tables import KPI_CORRECTIONS, KPI_VALUES

DAY = datetime(2026, 3, 9, tzinfo=UTC)
END = DAY + timedelta(days=1)


def share(readings: pl.DataFrame) -> pl.DataFrame:
    """Rows of a made-up KPI."""
    return readings


def kpi(**more: Any) -> Kpi:
    """A made-up KPI with a target of at least 70."""
    given = {"function": share, "catalogue": "X", "title": "Share", "plain": "p", "formula": "f", "standard": "s",
             "unit": "percent", "window": every("day"), "levels": ("town",), "better": "higher", "target": 70.0}  # fmt: skip
    return Kpi(**{**given, **more})


class Book:
    """A store that takes one revision after the other, with what each told."""

    def __init__(self, declared: Kpi, every_s: float | None = 900.0) -> None:
        self.store = Store(Path("nowhere"), (KPI_VALUES, KPI_CORRECTIONS))
        self.correcting = Correcting(self.store, [declared], {declared.id: every_s})
        self.seq = 0

    def publish(self, value: float | None, hours_after: float) -> list[dict[str, Any]]:
        """The notices of a value that is published so many hours after the end of its window."""
        self.seq += 1
        row = {
            "kpi": "share", "area": "town", "window": DAY, "end": END, "revision": self.seq, "value": value,
            "reason": None if value is not None else "no_data", "computed_at": END + timedelta(hours=hours_after),
        }  # fmt: skip
        rows = pl.DataFrame([row], schema=KPI_VALUES.schema)
        told = self.correcting.notices(rows)
        entries = [Entry("kpi_values", rows), Entry("kpi_corrections", told)]
        self.store.land(self.seq, [entry for entry in entries if entry.rows.height])
        return told.to_dicts()


def test_a_change_beyond_the_tolerance_is_told_with_what_was_said_before() -> None:
    book = Book(kpi())
    assert book.publish(81.2, 0.1) == []
    (notice,) = book.publish(78.0, 30)
    assert (notice["before"], notice["after"], notice["said_at"], notice["corrected_at"], notice["revision"]) == (
        81.2, 78.0, END + timedelta(hours=0.1), END + timedelta(hours=30), 2,
    )  # fmt: skip


def test_a_change_within_the_tolerance_is_not_told() -> None:
    book = Book(kpi())
    book.publish(81.2, 0.1)
    assert book.publish(80.5, 30) == []


def test_small_changes_that_add_up_are_told() -> None:
    book = Book(kpi())
    book.publish(81.2, 0.1)
    assert book.publish(80.6, 30) == []
    (notice,) = book.publish(80.0, 31)
    assert (notice["before"], notice["after"]) == (81.2, 80.0)
    assert book.publish(79.5, 32) == []


def test_a_change_of_the_state_is_told_however_small() -> None:
    book = Book(kpi())
    book.publish(70.0, 0.1)
    (notice,) = book.publish(69.9, 30)
    assert (notice["before_status"], notice["after_status"]) == ("good", "watch")


def test_data_within_its_ordinary_delay_completes_a_value_and_corrects_none() -> None:
    book = Book(kpi(), every_s=3600.0)
    book.publish(81.2, 0.1)
    assert book.publish(60.0, 1.5) == []
    (notice,) = book.publish(50.0, 1.6)
    assert notice["before"] == 60.0


def test_a_value_that_becomes_unknown_is_told_and_so_is_its_return() -> None:
    book = Book(kpi())
    book.publish(81.2, 0.1)
    (gone,) = book.publish(None, 30)
    assert (gone["after"], gone["after_status"], gone["reason"]) == (None, "no data", "no_data")
    (back,) = book.publish(81.2, 40)
    assert (back["before"], back["after"]) == (None, 81.2)


def test_a_value_that_was_unknown_and_becomes_known_corrects_nothing_and_is_held_from_then_on() -> None:
    book = Book(kpi())
    book.publish(None, 0.1)
    assert book.publish(81.2, 30) == []
    (notice,) = book.publish(60.0, 40)
    assert notice["before"] == 81.2


def test_a_first_value_is_no_correction() -> None:
    assert Book(kpi()).publish(10.0, 900) == []


@pytest.mark.parametrize(
    ("declared", "value", "allowed"),
    [(kpi(), 500.0, 5.0), (kpi(), 0.4, 0.1), (kpi(decimals=0), 20.0, 1.0), (kpi(tolerance=2.5), 500.0, 2.5)],
)
def test_the_tolerance_is_a_hundredth_at_least_what_can_be_seen_unless_declared(
    declared: Kpi, value: float, allowed: float
) -> None:
    assert tolerance(declared, value) == pytest.approx(allowed)


def test_a_kpi_that_settles_late_is_not_corrected_before() -> None:
    assert grace(kpi(settles=timedelta(days=3)), 900.0) == timedelta(days=3)
    assert grace(kpi(), None) == timedelta(0)
