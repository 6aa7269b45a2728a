"""The standards' transport formulas, from Polars expressions to Polars expressions."""

import polars as pl

from pipelines.engine.measures import percentile, ratio


def noon_minus_12h(service_date: pl.Expr, zone: str) -> pl.Expr:
    """The instant from which the service day's times count: local midnight, except on days when the clock changes.

    Source: GTFS Schedule reference, field type Time.
    """
    noon = service_date.cast(pl.Datetime("us")).dt.offset_by("12h")
    return noon.dt.replace_time_zone(zone).dt.convert_time_zone("UTC") - pl.duration(hours=12)


def scheduled_at(service_date: pl.Expr, seconds: pl.Expr, zone: str) -> pl.Expr:
    """The instant of a scheduled time of the service day."""
    return noon_minus_12h(service_date, zone) + pl.duration(seconds=seconds)


def deviation_s(actual: pl.Expr, scheduled: pl.Expr) -> pl.Expr:
    """Actual minus scheduled, seconds; late is positive."""
    return (actual - scheduled).dt.total_microseconds() / 1e6


def on_time(deviation: pl.Expr, early_s: float, late_s: float) -> pl.Expr:
    """Whether a deviation lies in the window, both ends inclusive; null where nothing was observed.

    Source: TCQSM 3rd ed. ch. 5.
    """
    return (deviation >= -early_s) & (deviation <= late_s)


def headway_cv(actual: pl.Expr, scheduled: pl.Expr, ddof: int = 1) -> pl.Expr:
    """Standard deviation of headway deviations over the mean scheduled headway (cvh); 0 is perfectly even.

    Source: TCQSM 2nd ed. Exhibit 3-30.
    """
    both = actual.is_not_null() & scheduled.is_not_null()
    return ratio((actual - scheduled).std(ddof=ddof), scheduled.filter(both).mean())


def average_wait(headways: pl.Expr) -> pl.Expr:
    """Mean wait of passengers who come at random: sum of squares over twice the sum of headways."""
    return ratio((headways**2).sum(), 2 * headways.sum())


def excess_wait(actual: pl.Expr, scheduled: pl.Expr) -> dict[str, pl.Expr]:
    """Actual, scheduled and excess waiting time, in the headways' unit.

    Source: TfL Quality of Service Indicators.
    """
    awt, swt = average_wait(actual), average_wait(scheduled)
    return {"AWT": awt, "SWT": swt, "EWT": awt - swt}


def bunched(headway: pl.Expr, scheduled: pl.Expr, bunch_ratio: float) -> pl.Expr:
    """Whether a bus follows closer than this share of its scheduled headway; two scheduled together are not bunched."""
    return headway < bunch_ratio * scheduled


def long_gap(headway: pl.Expr, scheduled: pl.Expr, gap_ratio: float) -> pl.Expr:
    """Whether the gap exceeds this multiple of the scheduled headway.

    Source: TfL "long gaps" (2.0).
    """
    return (headway > gap_ratio * scheduled) & (scheduled > 0)


def delivered(scheduled: pl.Expr, canceled: pl.Expr, not_observed: pl.Expr) -> pl.Expr:
    """Trips that ran: scheduled less cancelled less not observed."""
    return scheduled - canceled - not_observed


def age_s(now: pl.Expr, stamp: pl.Expr) -> pl.Expr:
    """Age in seconds of a stamp; one from the future (clock skew) has age 0, a missing one has none."""
    return deviation_s(now, stamp).clip(lower_bound=0)


def skewed(now: pl.Expr, stamp: pl.Expr) -> pl.Expr:
    """Whether the stamp lies in the future."""
    return stamp > now


def fresh(age: pl.Expr, limit_s: float) -> pl.Expr:
    """Whether an age is within the limit, inclusive; an unknown age is not fresh.

    Source: GTFS Realtime Best Practices, Feed Publishing.
    """
    return (age <= limit_s).fill_null(False)


def hour_of_counts(counts: pl.Expr) -> dict[str, pl.Expr]:
    """Hourly volume (vehicles/h) and peak-hour factor of four quarter-hour counts; null unless all four are there.

    Source: HCM.
    """
    volume = pl.when((counts.count() == 4) & (counts.len() == 4)).then(counts.sum())
    return {"volume": volume, "phf": ratio(volume, 4 * counts.max())}


def moving(speeds: pl.Expr) -> pl.Expr:
    """The speeds without zeros, which break the harmonic mean."""
    return speeds.filter(speeds > 0)


def space_mean(speeds: pl.Expr) -> dict[str, pl.Expr]:
    """Numerator and denominator of the harmonic mean of spot speeds."""
    return {"numerator": moving(speeds).count().cast(pl.Float64), "denominator": (1 / moving(speeds)).sum()}


def density_from_occupancy(occupancy_pct: pl.Expr, vehicle_m: pl.Expr, detector_m: pl.Expr) -> pl.Expr:
    """Vehicles per km and lane from the share of time the detector is covered."""
    return ratio(10 * occupancy_pct, vehicle_m + detector_m)


def density_from_flow(flow_per_h: pl.Expr, speed_km_h: pl.Expr) -> pl.Expr:
    """Vehicles per km: flow over space-mean speed."""
    return ratio(flow_per_h, speed_km_h)


def travel_time_reliability(times: pl.Expr, free_flow: pl.Expr) -> dict[str, pl.Expr]:
    """Travel time, planning time and buffer index.

    Source: FHWA travel time reliability (95th percentile over the mean, not the median).
    """
    p95, mean = percentile(times, 0.95), times.mean()
    return {"TTI": ratio(mean, free_flow), "PTI": ratio(p95, free_flow), "BI": ratio(p95 - mean, mean)}


def congested(speed: pl.Expr, free_flow: pl.Expr, threshold: float) -> pl.Expr:
    """Whether the speed is under this share of free flow."""
    return speed < threshold * free_flow
