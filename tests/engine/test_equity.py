"""Wards side by side: intervals against published examples, tiers, gap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine import equity
from pipelines.engine.equity import Side, compared, fair, interval, ward_gap


@pytest.mark.parametrize(
    ("numerator", "denominator", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, Table I, method 3 (Wilson without correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_newcombes(numerator: int, denominator: int, low: float, high: float) -> None:
    assert equity.wilson(numerator, denominator) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    # Exact Poisson limits (chi-square / 2); Byar's approximation keeps within 1 % of them from ten events on.
    [(10, 4.795, 18.390), (25, 16.179, 36.905), (100, 81.364, 121.627)],
)
def test_byar_interval_is_near_the_exact_one(count: int, low: float, high: float) -> None:
    assert equity.byar(count) == pytest.approx((low, high), rel=0.01)


def test_no_events_leave_an_upper_end() -> None:
    low, high = equity.byar(0)
    assert low == 0.0
    assert high == pytest.approx(3.689, rel=0.1)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_narrows_with_more(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = equity.wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    wider = equity.wilson(k * 4, n * 4)
    assert wider[1] - wider[0] <= high - low


def test_method_follows_what_the_value_is() -> None:
    share = {"value": 50.0, "numerator": 5.0, "denominator": 10.0, "n": 10}
    rate = {"value": 5.0, "numerator": 20.0, "denominator": 4000.0, "n": 20}
    mean = {"value": 7.0, "numerator": 70.0, "denominator": 9.5, "n": 3}
    ends, method = interval(share, 100.0, ())
    assert ends is not None and method == equity.SHARE_METHOD
    assert ends == pytest.approx((23.659, 76.341), abs=0.001)
    ends, method = interval(rate, 1000.0, ())
    assert ends is not None and method == equity.COUNT_METHOD
    assert ends == pytest.approx((3.0536, 7.7222), abs=0.01)
    assert interval(mean, 1.0, [6, 7, 8, None, 7]) == (None, None)
    ends, method = interval(mean, 1.0, [5, 6, 7, 8, 9])
    assert method == equity.SWING_METHOD
    assert ends == pytest.approx((7 - 3.0990, 7 + 3.0990), abs=0.001)


def test_tier_begins_where_intervals_part_and_hidden_wards_have_none() -> None:
    sides = [
        Side("A", 10, 5, 15), Side("B", 14, 9, 19), Side("C", 40, 30, 50), Side("D", 90, None, None),
        Side("E", 1, 0, 2, hidden="under 1000 residents"), Side("F", None),
    ]  # fmt: skip
    found = [(side.ward, side.tier) for side in compared(sides, "higher")]
    assert found == [("A", 1), ("B", 1), ("C", 2), ("D", None), ("E", None), ("F", None)]
    assert [side.ward for side in compared(sides, "lower")] == ["C", "A", "B", "D", "E", "F"]


def test_gap_leaves_out_wards_without_a_value_and_weighs_by_residents() -> None:
    gap = ward_gap({"A": 90, "B": None, "C": 60}, {"A": 3000, "B": 9000, "C": 1000}, "higher")
    assert (gap.gap, gap.worst, gap.best, gap.wards, gap.town) == (30, "C", "A", 2, pytest.approx(82.5))
    assert gap.ratio == pytest.approx(2 / 3)
    assert fair(gap.ratio, "higher") is False
    assert ward_gap({"A": None}, {}, "lower") == equity.Gap(None, None, None, None, None, 0)
    assert ward_gap({"A": 0.0, "B": 3.0}, {}, "lower").ratio is None
    assert ward_gap({"A": 0.0, "B": 0.0}, {}, "lower").ratio == 1.0


def test_four_fifths_rule_is_turned_over_where_lower_is_better() -> None:
    assert [fair(ratio, "lower") for ratio in (1.0, 1.25, 1.26)] == [True, True, False]
    assert [fair(ratio, "higher") for ratio in (0.8, 0.79, None)] == [True, False, None]
    assert fair(0.5, "context") is None
