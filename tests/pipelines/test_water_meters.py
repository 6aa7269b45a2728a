"""Meters that report, and what they cost in time."""

from datetime import timedelta
from time import perf_counter

import polars as pl
import pytest

from pipelines.water.meters import meter_interval_success, meter_read_success
from pipelines.water.network import pressure_compliance
from tests.pipelines.water_town import ASSETS, ROME, at, dmas, rolled, sensors, values, windows

DAY = windows(("2026-01-10", "2026-01-11"))
START = at("2026-01-10")


def town(meters: dict[str, int], prefix: str = "M") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Assets and sensors of so many hourly meters in each district metered area."""
    homes = [(f"{prefix}{dma}-{i}", dma) for dma, count in meters.items() for i in range(count)]
    wards = dict(ASSETS.select("asset", "ward").rows())
    new = pl.DataFrame(
        [(meter, "water_meter", wards[dma], dma) for meter, dma in homes],
        schema=["asset", "kind", "ward", "parent"],
        orient="row",
    )
    register = new.select(
        sensor="asset",
        asset="asset",
        kind="kind",
        ward="ward",
        quantity=pl.lit("consumption_l"),
        every_s=pl.lit(3600.0),
    )
    return pl.concat([ASSETS, new], how="diagonal"), register


def reads(register: pl.DataFrame, counts: list[int], start=START) -> pl.DataFrame:
    """A day's rollup in which the first meters sent so many reads each."""
    heard = register.head(len(counts)).with_columns(n=pl.Series(counts, dtype=pl.Int64), observed_at=pl.lit(start))
    return heard.with_columns(
        pl.col("observed_at").cast(pl.Datetime("us", "UTC")), expected=pl.lit(24.0), sum=pl.lit(1.0)
    )


def test_meter_read_success_counts_meters_due_from_the_register():
    assets, register = town({"D1": 60, "D3": 40})
    # the 60 meters of D1 and 39 of D3 reported at least once
    found = values(meter_read_success(reads(register, [24] * 98 + [1]), assets, register, DAY), 100)
    assert found["01-10T00:00", "town"] == pytest.approx(99.0)
    assert found["01-10T00:00", "ward:W1"] == 100.0
    assert found["01-10T00:00", "asset:D3"] == pytest.approx(97.5)


def test_meter_interval_success_is_valid_reads_over_reads_due():
    # WA-12#2: 100 meters, 24 reads each, 2,316 valid: 96.5 %
    assets, register = town({"D1": 100})
    found = meter_interval_success(reads(register, [24] * 96 + [12, 0, 0, 0]), assets, register, DAY)
    assert values(found, 100)["01-10T00:00", "town"] == pytest.approx(96.5)


def test_meter_success_counts_a_meter_once_when_its_reads_came_twice():
    assets, register = town({"D1": 2})
    twice = pl.concat([reads(register, [12]), reads(register, [12])])
    assert values(meter_read_success(twice, assets, register, DAY), 100)["01-10T00:00", "town"] == 50.0
    assert values(meter_interval_success(twice, assets, register, DAY), 100)["01-10T00:00", "town"] == 25.0


@pytest.mark.parametrize(
    ("start", "end", "length"), [("2026-03-29", "2026-03-30", 23), ("2026-10-25", "2026-10-26", 25)]
)
def test_meter_interval_success_owes_as_many_reads_as_the_day_has_hours(start: str, end: str, length: int):
    assets, register = town({"D1": 1})
    found = meter_interval_success(
        reads(register, [length], at(start, ROME)), assets, register, windows((start, end), zone=ROME)
    )
    assert found.filter(area="town").select("numerator", "denominator").row(0) == (length, length)


def test_meter_read_success_is_silent_when_no_meter_was_heard():
    assets, register = town({"D1": 2})
    assert meter_read_success(reads(register, []), assets, register, DAY).is_empty()
    assert meter_read_success(rolled(), ASSETS, sensors(), DAY).is_empty()


def best_of_three(call) -> float:
    def timed() -> float:
        began = perf_counter()
        call()
        return perf_counter() - began

    return min(timed() for _ in range(3))


def test_a_month_of_2000_meters_and_a_day_of_48000_pressures_are_quick():
    assets, register = town({"D1": 1000, "D2": 500, "D3": 500})
    starts = [START + timedelta(days=d) for d in range(31)]
    days = pl.DataFrame(
        {"window": starts, "end": [s + timedelta(days=1) for s in starts]},
        schema_overrides=dict.fromkeys(("window", "end"), pl.Datetime("us", "UTC")),
    )
    days = days.with_columns(as_of="end")
    month = pl.concat([reads(register, [24] * 2000, s) for s in starts])
    assert best_of_three(lambda: meter_read_success(month, assets, register, days)) < 0.5
    assert best_of_three(lambda: meter_read_success(month.filter(observed_at=START), assets, register, DAY)) < 0.25
    hours = pl.DataFrame({"observed_at": [START + timedelta(hours=h) for h in range(24)]}).cast(
        pl.Datetime("us", "UTC")
    )
    pressure_sensors = register.with_columns(quantity=pl.lit("pressure_m"))
    rows = register.join(hours, how="cross").with_columns(value=pl.lit(9.0))
    assert rows.height == 48_000
    assert best_of_three(lambda: pressure_compliance(rows, dmas([]), assets, pressure_sensors, DAY)) < 0.25
