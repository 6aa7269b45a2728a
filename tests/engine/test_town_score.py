"""The town's score: direction, cap, rounding up, targets of history."""

import math
import statistics

import pytest

from pipelines.engine import town_score
from pipelines.engine.town_score import mean_score, score, scored, target_of_history


def test_score_is_of_target_in_the_kpis_direction_and_rounded_up() -> None:
    assert score(72, 80, "up") == 0.9
    assert score(50, 60, "down") == 1.2
    assert score(70.4, 80, "up") == 0.88
    assert score(70.41, 80, "up") == 0.89
    # 0.07 x 100 is 7.000000000000001 in binary: no reason to round up.
    assert score(7, 100, "up") == 0.07


def test_score_is_capped_only_when_asked() -> None:
    assert score(281, 100, "up") == 2.81
    assert score(281, 100, "up", town_score.CAP) == 1.25


def test_mean_leaves_out_what_has_no_score() -> None:
    assert mean_score([0.9, None, 0.98, 1.25]) == 1.05
    assert mean_score([None]) is None


def test_target_of_history_needs_more_than_ninety_values() -> None:
    values = [float(10 + i % 7) for i in range(91)]
    mean, spread = statistics.fmean(values), statistics.pstdev(values)
    assert target_of_history(values[:90], "down") is None
    assert target_of_history(values, "down") == pytest.approx(mean + spread)
    assert target_of_history(values, "up") == pytest.approx(abs(mean - spread))


def test_target_of_zero_gives_way_to_history_and_a_value_of_zero_is_left_out() -> None:
    past = [2.0, 4.0] * 46
    told = scored("overdue", 3.0, 0, "down", past)
    assert told.from_history and told.target == pytest.approx(4.0)
    assert told.score == pytest.approx(town_score.CAP)
    assert told.raw == pytest.approx(4 / 3)
    assert scored("overdue", 3.0, 0, "down", past[:10]).reason is not None
    none = scored("overdue", 0.0, 5.0, "down", ())
    assert none.score is None and none.reason == "a value of 0 is in no ratio"
    assert scored("x", None, 5.0, "up", ()).reason == "no value"
    assert math.isclose(scored("x", 10.0, 5.0, "up", ()).raw or 0, 2.0)
