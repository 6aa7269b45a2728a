"""The transport formulas as the test vectors ask for them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import zip_longest
from typing import Any

import polars as pl

from pipelines.engine.decode.gtfs_static import seconds_of
from pipelines.engine.measures import ratio, share
from pipelines.transport import formulas as f

Inputs = Mapping[str, Any]
LIMIT_S = {"alerts": 600.0}


def _worked(frame: pl.DataFrame | None = None, **columns: pl.Expr) -> dict[str, Any]:
    """One row of named expressions, over a frame where they aggregate."""
    return (frame if frame is not None else pl.DataFrame({"_": [0]})).select(**columns).row(0, named=True)


def _series(name: str, values: Sequence[float | None]) -> pl.DataFrame:
    return pl.DataFrame({name: values}, schema={name: pl.Float64})


def _pairs(inputs: Inputs) -> pl.DataFrame:
    """Headways and scheduled headways side by side; the shorter list ends in nulls."""
    rows = list(zip_longest(inputs["headways_min"], inputs["scheduled_min"]))
    return pl.DataFrame(rows, schema={"headway": pl.Float64, "scheduled": pl.Float64}, orient="row")


def _number(inputs: Inputs, key: str, default: float | None = None) -> pl.Expr:
    return pl.lit(inputs.get(key, default), pl.Float64)


def _percent(part: pl.Expr, whole: pl.Expr) -> float | None:
    return _worked(share=100 * ratio(part, whole))["share"]


def _percent_true(frame: pl.DataFrame, condition: pl.Expr) -> float | None:
    parts = frame.select(**share(condition))
    return parts.select(100 * ratio(pl.col("numerator"), pl.col("denominator"))).item()


def on_time(inputs: Inputs) -> Any:
    early, late = inputs.get("early_s", 60), inputs.get("late_s", 300)
    if "deviation_s" in inputs:
        return _percent_true(_series("d", inputs["deviation_s"]), f.on_time(pl.col("d"), early, late))
    actual = inputs.get("actual")
    instant = datetime.fromisoformat(actual).astimezone(UTC) if actual else None
    frame = pl.DataFrame(
        {"day": [date.fromisoformat(inputs["service_date"])], "time": [inputs["scheduled"]], "actual": [instant]},
        schema_overrides={"actual": pl.Datetime("us", "UTC")},
    )
    due = f.scheduled_at(pl.col("day"), seconds_of(pl.col("time")), inputs["timezone"])
    deviation = f.deviation_s(pl.col("actual"), due)
    return _worked(frame, deviation_s=deviation, on_time=f.on_time(deviation, early, late))


def adherence(inputs: Inputs) -> Any:
    return _worked(_pairs(inputs), cvh=f.headway_cv(pl.col("headway"), pl.col("scheduled"), inputs.get("ddof", 1)))[
        "cvh"
    ]


def excess_wait(inputs: Inputs) -> Any:
    return _worked(_pairs(inputs), **f.excess_wait(pl.col("headway"), pl.col("scheduled")))


def delivered(inputs: Inputs) -> Any:
    if "scheduled_km" in inputs:
        return _percent(_number(inputs, "operated_km"), _number(inputs, "scheduled_km"))
    scheduled = _number(inputs, "scheduled_trips")
    ran = f.delivered(scheduled, _number(inputs, "canceled_trips", 0), _number(inputs, "not_observed_trips", 0))
    return _percent(ran, scheduled)


def bunching(inputs: Inputs) -> Any:
    pairs, headway, scheduled = _pairs(inputs), pl.col("headway"), pl.col("scheduled")
    return {
        "bunched_pct": _percent_true(pairs, f.bunched(headway, scheduled, inputs.get("bunch_ratio", 0.25))),
        "gap_pct": _percent_true(pairs, f.long_gap(headway, scheduled, inputs.get("gap_ratio", 2.0))),
    }


def _instants(stamps: Sequence[float | None]) -> pl.Series:
    """Unix seconds as instants; 0 and null are no time."""
    return pl.Series("at", [datetime.fromtimestamp(s, UTC) if s else None for s in stamps], pl.Datetime("us", "UTC"))


def freshness(inputs: Inputs) -> Any:
    limit = inputs.get("limit_s", LIMIT_S.get(inputs.get("kind", ""), 90.0))
    if "ages_s" in inputs:
        return _percent_true(_series("age", inputs["ages_s"]), f.fresh(pl.col("age"), limit))
    if "polls" in inputs:
        invalid = _percent(_number(inputs, "invalid_responses", 0), _number(inputs, "polls"))
        return {"invalid_pct": invalid, "ok": None if invalid is None else invalid < inputs.get("limit_pct", 1.0)}
    now = pl.lit(_instants([inputs["now"]]))
    header = _instants([inputs.get("header_timestamp")]).to_frame()
    said = _worked(header, feed_age_s=f.age_s(now, pl.col("at")), clock_skew=f.skewed(now, pl.col("at")))
    vehicles = _instants(inputs.get("vehicle_timestamps", [])).to_frame()
    ages = vehicles.select(age=f.age_s(now.first(), pl.col("at")))
    said["fresh_pct"] = _percent_true(ages, f.fresh(pl.col("age"), limit))
    return said | {"max_age_s": ages["age"].max()}


def coverage(inputs: Inputs) -> Any:
    if "active_scheduled_trips" in inputs:
        return _percent(_number(inputs, "trips_with_fresh_realtime"), _number(inputs, "active_scheduled_trips"))
    return _percent(_number(inputs, "canceled_trips_flagged_in_feed_or_alert"), _number(inputs, "canceled_trips"))


def volume(inputs: Inputs) -> Any:
    worked = _worked(_series("count", inputs["counts_15min"]), **f.hour_of_counts(pl.col("count")))
    return {"volume_vph": worked["volume"], "phf": worked["phf"]}


def speed(inputs: Inputs) -> Any:
    if "speeds_kmh" in inputs:
        speeds = _series("v", inputs["speeds_kmh"])
        parts = f.space_mean(pl.col("v"))
        space = ratio(parts["numerator"], parts["denominator"])
        return _worked(speeds, time_mean=f.moving(pl.col("v")).mean(), space_mean=space)
    if "occupancy_pct" in inputs:
        lengths = (_number(inputs, "vehicle_length_m", 4.5), _number(inputs, "detector_length_m", 2.0))
        return _worked(k=f.density_from_occupancy(_number(inputs, "occupancy_pct"), *lengths))["k"]
    return _worked(k=f.density_from_flow(_number(inputs, "flow_vph"), _number(inputs, "space_mean_speed_kmh")))["k"]


def reliability(inputs: Inputs) -> Any:
    times = _series("t", inputs["travel_times_min"])
    return _worked(times, **f.travel_time_reliability(pl.col("t"), _number(inputs, "free_flow_min")))


def congested(inputs: Inputs) -> Any:
    slow = f.congested(pl.col("v"), _number(inputs, "free_flow_kmh"), inputs.get("threshold", 0.9))
    return _percent_true(_series("v", inputs["speeds_kmh"]), slow)


def safety(inputs: Inputs) -> Any:
    if "population" in inputs:
        deaths = _number(inputs, "deaths_30day", inputs.get("deaths"))
        return _worked(rate=100_000 * ratio(deaths, _number(inputs, "population")))["rate"]
    return _percent(_number(inputs, "deaths", inputs.get("deaths_30day")), _number(inputs, "crashes"))


ADAPTERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "TR-01": on_time,
    "TR-02": adherence,
    "TR-03": excess_wait,
    "TR-04": delivered,
    "TR-05": bunching,
    "TR-06": freshness,
    "TR-07": coverage,
    "TR-08": volume,
    "TR-09": speed,
    "TR-10": reliability,
    "TR-11": congested,
    "TR-12": safety,
}
