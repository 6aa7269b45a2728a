"""Voltage, feeders and transformers against the catalogue and hand calculation."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pipelines.energy.feeders import feeder_loss, load_factor, power_factor
from pipelines.energy.transformers import overload_hours, peak_loading, transformer_loading
from pipelines.energy.voltage import voltage_compliance
from pipelines.engine.model import INSTANT

START = datetime(2025, 3, 3, tzinfo=UTC)
READING = {
    "sensor": pl.String,
    "asset": pl.String,
    "kind": pl.String,
    "ward": pl.String,
    "observed_at": INSTANT,
    "value": pl.Float64,
}
ROLLUP = {name: kind for name, kind in READING.items() if name != "value"} | dict.fromkeys(
    ["n", "expected", "sum", "min", "max", "last"], pl.Float64
)
ASSETS = pl.DataFrame(
    {
        "asset": ["F1", "F2", "T1", "T2", "T3", "V1"],
        "kind": ["feeder", "feeder", "transformer", "transformer", "transformer", "voltage_point"],
        "ward": ["W1", "W2", "W1", "W1", "W2", "W1"],
        "parent": [None, None, "F1", "F1", "F2", "T1"],
    }
)
WARDS = dict(ASSETS.select("asset", "ward").iter_rows())
TRANSFORMERS = pl.DataFrame(
    {
        "asset": ["T1", "T2", "T3"],
        "rated_kva": [100.0, 200.0, 100.0],
        "declared_v": [230.0, 230.0, None],
        "tolerance_pct": [6.0, None, None],
    }
)


def days(count: int = 1, hours: float = 24) -> pl.DataFrame:
    spans = [(START + timedelta(hours=hours * n), START + timedelta(hours=hours * (n + 1))) for n in range(count)]
    rows = [(start, end, end) for start, end in spans]
    return pl.DataFrame(rows, schema={"window": INSTANT, "end": INSTANT, "as_of": INSTANT}, orient="row")


def readings(values: dict[str, list[float]], every_min: int, start: datetime = START) -> pl.DataFrame:
    """Sensor `<asset>.<name>` -> its values, one every so many minutes."""
    rows = [
        (
            sensor,
            sensor.split(".")[0],
            None,
            WARDS[sensor.split(".")[0]],
            start + timedelta(minutes=every_min * place),
            value,
        )
        for sensor, series in values.items()
        for place, value in enumerate(series)
    ]
    return pl.DataFrame(rows, schema=READING, orient="row")


def hourly(means: dict[str, list[float | None]], n: int = 4, expected: int = 4) -> pl.DataFrame:
    """Rollup of `n` equal readings an hour per asset; a None is an hour without a row."""
    rows = [
        (
            asset,
            asset,
            None,
            WARDS[asset],
            START + timedelta(hours=place),
            n,
            expected,
            n * value,
            value,
            value,
            value,
        )
        for asset, series in means.items()
        for place, value in enumerate(series)
        if value is not None
    ]
    return pl.DataFrame(rows, schema=ROLLUP, orient="row")


def sensors(quantity: str, every_s: dict[str, int]) -> pl.DataFrame:
    """Register of sensors `<asset>` or `<asset>.<name>` with their pace."""
    places = {sensor: sensor.split(".")[0] for sensor in every_s}
    rows = [(sensor, places[sensor], WARDS[places[sensor]], quantity, every) for sensor, every in every_s.items()]
    columns = {"sensor": pl.String, "asset": pl.String, "ward": pl.String, "quantity": pl.String, "every_s": pl.Int64}
    return pl.DataFrame(rows, schema=columns, orient="row")


def values(frame: pl.DataFrame) -> dict[str, float | None]:
    if "value" in frame.columns:
        return dict(frame.select("area", "value").iter_rows())
    return {
        row["area"]: row["numerator"] / row["denominator"]
        if row["denominator"] and row["numerator"] is not None
        else None
        for row in frame.to_dicts()
    }


def compliance(volts: pl.DataFrame, **tuning: float) -> pl.DataFrame:
    return voltage_compliance(volts, sensors("voltage_v", {}), TRANSFORMERS, ASSETS, days(), **tuning)


def test_voltage_limits_are_inclusive_to_the_decimal() -> None:
    """Catalogue vector EN-03#4: T1 declares 230 V +-6 %."""
    found = values(compliance(readings({"T1.r": [216.1, 216.2, 230, 243.8, 243.9]}, 10)))
    assert found == {"town": 0.6, "ward:W1": 0.6, "asset:T1": 0.6}


def test_the_worst_phase_decides() -> None:
    volts = readings({"T1.r": [230, 230, 230, 230], "T1.y": [230, 215, 230, 230], "T1.b": [230, 230, 244, 230]}, 10)
    assert values(compliance(volts))["asset:T1"] == 0.5


def test_intervals_with_an_outage_in_them_are_left_out() -> None:
    """The second interval holds one reading of 0 V: its mean of 138 V is no bad voltage but half an outage."""
    volts = readings({"T1.r": [230, 230, 230, 230, 230, 230, 230, 0, 230, 0], "T2.r": [0, 0]}, 2)
    row = compliance(volts).filter(pl.col("area") == "town").row(0, named=True)
    assert (row["numerator"], row["denominator"]) == (1, 1)


def test_voltage_is_judged_by_the_mean_of_ten_minutes() -> None:
    assert values(compliance(readings({"T1.r": [214, 218, 217]}, 3)))["asset:T1"] == 1


def test_a_sensor_that_sends_every_ten_minutes_sends_means() -> None:
    """The same answer by the short way: of three phases over two intervals one is low in the second."""
    volts = readings({"T1.r": [230, 230], "T1.y": [230, 215], "T1.b": [230, 230]}, 10)
    register = sensors("voltage_v", {"T1.r": 600, "T1.y": 600, "T1.b": 300})
    for registered in (register, register.clear()):
        assert values(voltage_compliance(volts, registered, TRANSFORMERS, ASSETS, days()))["asset:T1"] == 0.5


def test_limits_come_from_the_own_row_the_parent_or_the_town() -> None:
    volts = readings({"V1.r": [215], "T2.r": [215], "T3.r": [215]}, 10)
    assert values(compliance(volts)) == {
        "town": 2 / 3, "ward:W1": 0.5, "ward:W2": 1, "asset:V1": 0, "asset:T2": 1, "asset:T3": 1,
    }  # fmt: skip
    assert values(compliance(volts, declared_v=240.0))["asset:T3"] == 0


@pytest.mark.parametrize(
    ("bad", "word"),
    [([200] * 40, "meets EN 50160"), ([200] * 51, "does not meet EN 50160"), ([190], "does not meet EN 50160")],
)
def test_a_week_meets_en_50160_with_95_per_cent_in_the_band_and_all_in_the_wide_one(
    bad: list[float], word: str
) -> None:
    """Catalogue vector EN-03#1 has 40 of 1008 intervals outside +-10 %; 51 are more than 5 %; 190 V is below -15 %."""
    volts = readings({"T2.r": bad + [230.0] * (1008 - len(bad))}, 10)
    week = voltage_compliance(volts, sensors("voltage_v", {}), TRANSFORMERS, ASSETS, days(1, 7 * 24))
    assert week.filter(pl.col("area") == "asset:T2")["detail"].item() == word
    assert values(week)["asset:T2"] == (1008 - len(bad)) / 1008


def test_voltage_without_readings_says_nothing() -> None:
    assert compliance(readings({}, 10)).is_empty()


def loss(
    transformers: pl.DataFrame, feeders: pl.DataFrame | None = None, exported: pl.DataFrame | None = None
) -> pl.DataFrame:
    feeders = hourly({"F1": [125.0] * 24}) if feeders is None else feeders
    exported = hourly({}) if exported is None else exported
    return feeder_loss(feeders, exported, transformers, ASSETS, days())


def test_feeder_loss_is_what_did_not_come_out_at_the_transformers() -> None:
    """12,000 sent and 11,232 delivered are 6.4 %, as in catalogue vector EN-05#1."""
    delivered = hourly({"T1": [50.0] * 24, "T2": [67.0] * 24})
    rows = loss(delivered)
    assert values(rows) == {area: pytest.approx(0.064) for area in ("town", "ward:W1", "asset:F1")}
    assert rows["detail"].unique().to_list() == ["100 % metered"]


def test_energy_passed_on_is_not_lost() -> None:
    """Of 12,500 sent 500 went to another feeder and 11,700 were delivered: catalogue vector EN-05#2."""
    feeders, passed = hourly({"F1": [3125.0]}), hourly({"F1": [125.0]})
    delivered = hourly({"T1": [2925.0], "T2": [0.0]})
    assert values(loss(delivered, feeders, passed))["asset:F1"] == pytest.approx(0.025)


def test_feeder_loss_is_not_shown_when_meters_are_missing() -> None:
    rows = loss(hourly({"T1": [50.0] * 24, "T2": [67.0] * 19}))
    assert rows["reason"].unique().to_list() == ["insufficient_data"]
    assert rows["numerator"].null_count() == rows.height
    assert rows["detail"].unique().to_list() == ["90 % metered"], "(24 + 19) / 48 is 89.6 %"


def test_feeder_loss_counts_only_hours_that_the_feeder_meter_saw() -> None:
    feeders = hourly({"F1": [125.0] * 12 + [None] * 12})
    assert values(loss(hourly({"T1": [50.0] * 24, "T2": [67.0] * 24}), feeders))["asset:F1"] == pytest.approx(0.064)


def test_town_loss_is_the_ratio_of_sums() -> None:
    rows = loss(hourly({"T1": [50.0], "T2": [50.0], "T3": [90.0]}), hourly({"F1": [125.0], "F2": [100.0]}))
    assert values(rows) == {
        "town": pytest.approx(35 / 225), "ward:W1": 0.2, "ward:W2": 0.1, "asset:F1": 0.2, "asset:F2": 0.1,
    }  # fmt: skip


def test_feeder_loss_without_readings_says_nothing() -> None:
    assert loss(hourly({}), hourly({})).is_empty()


QUARTERS = {"F1": 900, "F2": 900}


def test_load_factor_is_mean_over_peak() -> None:
    """Loads of catalogue vector EN-06#2 as energies of quarter hours."""
    energy = readings({"F1": [load / 4 for load in (20, 20, 40, 60, 80, 20)]}, 15)
    row = load_factor(energy, sensors("feeder_energy_kwh", {"F1": 900}), days()).filter(pl.col("area") == "asset:F1")
    assert (row["numerator"].item(), row["denominator"].item()) == (40, 80)


def test_the_towns_peak_is_that_of_all_feeders_together() -> None:
    energy = readings({"F1": [10, 30], "F2": [30, 10]}, 15)
    found = values(load_factor(energy, sensors("feeder_energy_kwh", QUARTERS), days()))
    assert found == {"town": 1, "ward:W1": 20 / 30, "ward:W2": 20 / 30, "asset:F1": 20 / 30, "asset:F2": 20 / 30}


def test_an_interval_that_a_feeder_missed_does_not_count_for_the_town() -> None:
    energy = readings({"F1": [10, 10, 10], "F2": [10, 10]}, 15)
    found = values(load_factor(energy, sensors("feeder_energy_kwh", QUARTERS), days()))
    assert found["town"] == 1


def test_meters_of_different_pace_are_brought_to_one_interval() -> None:
    """F1 reads every quarter, F2 every half hour: half hours of 40 and 20, and of 20 and 20 kWh."""
    energy = pl.concat([readings({"F1": [40, 0, 10, 10]}, 15), readings({"F2": [20, 20]}, 30)])
    found = values(load_factor(energy, sensors("feeder_energy_kwh", {"F1": 900, "F2": 1800}), days()))
    assert found["asset:F1"] == 30 / 40
    assert found["town"] == 50 / 60


def test_load_factor_without_readings_says_nothing() -> None:
    assert load_factor(readings({}, 15), sensors("feeder_energy_kwh", QUARTERS), days()).is_empty()


def test_power_factor_does_not_net_lag_and_lead() -> None:
    """800 kWh and 600 kvarh, half of them leading: 0.8 as in catalogue vector EN-07#1."""
    found = values(power_factor(hourly({"F1": [400.0, 400.0]}), hourly({"F1": [300.0, -300.0]}), days()))
    assert found == {"town": 0.8, "ward:W1": 0.8, "asset:F1": 0.8}


def test_power_factor_leaves_out_hours_of_export_and_hours_half_measured() -> None:
    found = power_factor(hourly({"F1": [400.0, -900.0, 400.0]}), hourly({"F1": [300.0, 300.0]}), days())
    assert values(found)["asset:F1"] == 0.8


def loading(kw: dict, kvar: dict, amperes: dict | None = None, windows: pl.DataFrame | None = None) -> pl.DataFrame:
    frames = [readings(series, 5) for series in (kw, kvar, amperes or {})]
    return transformer_loading(*frames, TRANSFORMERS, days(1, 0.25) if windows is None else windows)


def test_loading_is_apparent_power_of_rated_power() -> None:
    """Catalogue vector EN-08#1 on T1; T2 at half load; the town is the sum of both."""
    rows = loading({"T1.p": [60, 80], "T2.p": [80]}, {"T1.q": [35, 35], "T2.q": [60]})
    first = 78.262379
    assert values(rows) == {
        "asset:T1": pytest.approx(first / 100),
        "asset:T2": 0.5,
        "ward:W1": pytest.approx((first + 100) / 300),
        "town": pytest.approx((first + 100) / 300),
    }
    assert rows.filter(pl.col("area") == "town")["detail"].item() == "T1"


def test_loading_comes_from_currents_where_there_is_no_power_meter() -> None:
    """Catalogue vector EN-08#2 with 433 V between the lines, which is 250 V to neutral."""
    declared = TRANSFORMERS.with_columns(declared_v=pl.lit(433 / 3**0.5))
    amperes = readings({"T1.r": [131], "T1.y": [118], "T1.b": [120]}, 5)
    nothing = readings({}, 5)
    rows = transformer_loading(nothing, nothing, amperes, declared, days(1, 0.25))
    assert values(rows)["asset:T1"] * 100 == pytest.approx(92.246, abs=0.02)


def test_loading_without_reactive_power_is_not_known() -> None:
    assert loading({"T1.p": [60]}, {}).is_empty()


def test_loading_looks_back_at_the_beginning_of_a_quarter_hour() -> None:
    """One minute into the quarter hour of 01:00 the readings of 00:50 and 00:55 are there; 00:40 is too old."""
    now = START + timedelta(minutes=61)
    quarter = pl.DataFrame(
        [(START + timedelta(minutes=60), START + timedelta(minutes=75), now)],
        schema={"window": INSTANT, "end": INSTANT, "as_of": INSTANT},
        orient="row",
    )
    active, reactive = [0.0] * 12, [0.0] * 12
    active[8], active[10], active[11] = 500, 60, 80
    row = loading({"T1.p": active}, {"T1.q": reactive}, windows=quarter).filter(pl.col("area") == "asset:T1")
    assert (row["numerator"].item(), row["n"].item()) == (70, 2)


def test_overload_hours_are_strictly_above_the_limit() -> None:
    """Catalogue vector EN-08#3 on T1 (rated 100 kVA, no reactive power); T2 has none."""
    active = hourly({"T1": [60.0, 80, 101, 120, 99, 100], "T2": [150.0] * 6})
    reactive = hourly({"T1": [0.0] * 6, "T2": [0.0] * 6})
    hours = values(overload_hours(active, reactive, TRANSFORMERS, days()))
    assert hours == {"asset:T1": 2, "asset:T2": 0, "ward:W1": 2, "town": 2}
    peaks = peak_loading(active, reactive, TRANSFORMERS, days())
    assert values(peaks) == {"asset:T1": 120, "asset:T2": 75, "ward:W1": 120, "town": 120}
    assert peaks.filter(pl.col("area") == "town")["detail"].item() == "T1"


def test_many_windows_in_one_call_equal_a_call_per_window() -> None:
    """Five days of readings with a pattern that differs by day, for every KPI that reads raw readings."""
    steps = 5 * 144
    volts = readings(
        {"T1.r": [200 + place % 47 for place in range(steps)], "T2.r": [210 + place % 31 for place in range(steps)]}, 10
    )
    energy = readings(
        {"F1": [5 + place % 37 for place in range(480)], "F2": [3 + place % 41 for place in range(480)]}, 15
    )
    register = sensors("feeder_energy_kwh", QUARTERS)
    spans = days(5)
    for compute in (
        lambda windows: voltage_compliance(volts, sensors("voltage_v", {}), TRANSFORMERS, ASSETS, windows),
        lambda windows: load_factor(energy, register, windows),
    ):
        together = compute(spans).sort("window", "area")
        apart = pl.concat(compute(spans[place]) for place in range(5)).sort("window", "area")
        assert together["numerator"].to_list() == pytest.approx(apart["numerator"].to_list())
        assert together.drop("numerator").equals(apart.drop("numerator"))
        assert together.height == 5 * compute(spans[0]).height
