"""What a KPI's value is worth: too little data makes it unknown; of a count only that there was nothing must be shown."""

from datetime import UTC, datetime

import polars as pl
import pytest

from pipelines.engine.completing import VALUE, complete

START = datetime(2026, 3, 10, tzinfo=UTC)
EXTRA = {"kpi": pl.String(), "_coverage": pl.Float64(), "_as_of": VALUE["as_of"], "_n": pl.Int64(), "_n_expected": pl.Int64(), "_as_of_area": VALUE["as_of"]}  # fmt: skip


def judged(value: float, coverage: float | None, *, counts: bool) -> tuple[float | None, str | None]:
    row = {"kpi": "k", "window": START, "end": START, "area": "town", "value": value, "_coverage": coverage}
    rows = pl.DataFrame([row], schema={**VALUE, **EXTRA})
    rule = {"scale": 1.0, "floor": 0.0, "min_coverage": 0.9, "counts": counts, "of_people": False}
    judging = pl.DataFrame([{"kpi": "k", **rule}])
    found = complete(rows, judging).row(0, named=True)
    return found["value"], found["reason"]


UNKNOWN = (None, "insufficient_data")


@pytest.mark.parametrize(
    ("value", "coverage", "as_count", "as_measure"),
    [
        (0.0, 1.0, (0.0, None), (0.0, None)),
        (0.0, 0.9, (0.0, None), (0.0, None)),
        (0.0, 0.89, UNKNOWN, UNKNOWN),
        (0.0, 0.0, UNKNOWN, UNKNOWN),
        (0.0, None, UNKNOWN, (0.0, None)),
        (3.0, 0.1, (3.0, None), UNKNOWN),
        (3.0, None, (3.0, None), (3.0, None)),
    ],
)
def test_zero_of_a_count_is_known_only_where_the_feed_was_there(
    value: float, coverage: float | None, as_count: tuple, as_measure: tuple
) -> None:
    assert judged(value, coverage, counts=True) == as_count
    assert judged(value, coverage, counts=False) == as_measure


@pytest.mark.parametrize(("of_people", "numerator"), [(True, None), (False, 3.0)])
def test_of_few_cases_of_people_not_even_the_numerator_is_told(of_people: bool, numerator: float | None) -> None:
    row = {"kpi": "k", "window": START, "end": START, "area": "town", "numerator": 3.0, "denominator": 5.0}
    rule = {"kpi": "k", "scale": 100.0, "floor": 20.0, "min_coverage": 0.0, "counts": False, "of_people": of_people}
    found = complete(pl.DataFrame([row], schema={**VALUE, **EXTRA}), pl.DataFrame([rule])).row(0, named=True)
    assert (found["value"], found["numerator"], found["denominator"]) == (None, numerator, 5.0)
