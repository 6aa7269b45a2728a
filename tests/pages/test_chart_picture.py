"""A chart as the server draws it: where its lines lie, and that its axes are those that Plotly is given."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import chart_axes
from components.chart_picture import picture
from components.trend import Band, bar_figure, line_figure

DAY = [f"2026-03-10T{hour:02d}:00:00" for hour in range(24)]


def path_of(drawn: str, look: str) -> str:
    found = re.search(rf'class="{look}"[^>]* d="([^"]*)"', drawn)
    assert found, look
    return found[1]


def test_line_lies_where_its_values_are_and_breaks_where_one_is_missing() -> None:
    values = [float(hour) for hour in range(24)]
    values[5] = None  # type: ignore[call-overload]
    figure = line_figure(DAY, values, {"target": 12.0})
    (low, high), (first, last) = figure["layout"]["yaxis"]["range"], figure["layout"]["xaxis"]["range"]
    assert first < DAY[0] and DAY[-1] < last
    drawn = picture(figure)
    path = path_of(drawn, "ch-line")
    points = [tuple(map(float, point.split())) for point in re.findall(r"[ML]([\d. ]+)", path)]
    assert len(points) == 23 and path.count("M") == 2
    # One hundredth of the day on both sides: midnight at 1/102 of the width, 23:00 at 101/102.
    assert points[0][0] == pytest.approx(1000 / 102, abs=0.1)
    assert points[-1][0] == pytest.approx(101000 / 102, abs=0.1)
    assert points[-1][1] == pytest.approx(200 * (high - 23) / (high - low), abs=0.1)
    assert path_of(drawn, "ch-limit").startswith(f"M0 {200 * (high - 12) / (high - low):.1f}H")


def test_names_of_a_picture_are_the_ticks_that_plotly_is_given() -> None:
    figure = line_figure(DAY, [1.0] * 12 + [5.0] * 12, {"target": 4.0})
    drawn = picture(figure)
    for axis, look in (("xaxis", "ch-x"), ("yaxis", "ch-y")):
        told = figure["layout"][axis]
        assert told["tickmode"] == "array" and not told["autorange"]
        assert re.findall(rf'class="{look}"[^>]*>([^<]*)<', drawn) == told["ticktext"]
    assert figure["layout"]["xaxis"]["ticktext"][:2] == ["10 Mar", "06:00"]
    assert figure["layout"]["yaxis"]["ticktext"] == ["1", "2", "3", "4", "5"]


def test_bars_stand_on_zero_and_are_as_high_as_their_values() -> None:
    months = ["2026-08-01T00:00:00", "2026-09-01T00:00:00", "2026-10-01T00:00:00"]
    figure = bar_figure(months, [10.0, None, 20.0], {}, "month")
    high = figure["layout"]["yaxis"]["range"][1]
    bars = re.findall(r"M[\d.-]+ ([\d.]+)V([\d.]+)h", path_of(picture(figure), "ch-bars"))
    assert [float(ground) for ground, _top in bars] == [200.0, 200.0]
    assert [200 - float(top) for _ground, top in bars] == pytest.approx([200 * 10 / high, 200 * 20 / high], abs=0.1)


def test_band_is_closed_from_low_to_high() -> None:
    band = Band(DAY[:3], [1.0, 1.0, 1.0], [2.0, 3.0, 2.0], "usual")
    outline = path_of(picture(line_figure(DAY[:3], [1.5, 1.5, 1.5], {}, band)), "ch-band")
    assert outline.count("L") == 5 and outline.endswith("Z")


def test_names_of_two_limits_keep_apart_and_off_the_names_of_the_time() -> None:
    figure = line_figure(DAY, [float(50 * hour) for hour in range(24)], {"target": 8.0, "alarm": 4.0})
    target, alarm = figure["layout"]["annotations"]
    assert (alarm["yanchor"], alarm["yshift"]) == ("bottom", 0)
    assert target["yanchor"] == "bottom" and target["yshift"] > 25


@given(st.lists(st.floats(-1e7, 1e7), min_size=1, max_size=20))
def test_upright_axis_holds_all_values_and_a_few_round_ticks(values: list[float]) -> None:
    axis = chart_axes.upright(values)
    low, high = axis["range"]
    assert low <= min(values) and max(values) <= high
    assert 1 <= len(axis["tickvals"]) <= 6
    assert all(low - 1e-6 * abs(low) <= at <= high + 1e-6 * abs(high) for at in axis["tickvals"])
    assert len(set(axis["ticktext"])) == len(axis["ticktext"])
