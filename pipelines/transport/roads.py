"""KPIs of road traffic: volume, speed, density, travel time, congestion."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, lasting, local, ratio, share, shared
from pipelines.transport.formulas import (
    congested,
    density_from_flow,
    density_from_occupancy,
    hour_of_counts,
    moving,
    space_mean,
    travel_time_reliability,
)

BINS = 4
NEEDED = 30
LEVELS = ["town", "asset"]


def on_links(readings: pl.DataFrame, assets: pl.DataFrame, road_links: pl.DataFrame) -> pl.DataFrame:
    """The readings with their road link's columns; `asset` is the link, also of a counter's sensor."""
    found = readings.rename({"asset": "_from"}).join(_links_of(assets, road_links), on="_from")
    return found[[*readings.columns, *(name for name in road_links.columns if name != "asset")]]


@lasting
def _links_of(assets: pl.DataFrame, road_links: pl.DataFrame) -> pl.DataFrame:
    """Which link is meant by each asset (`_from`) that readings may come from, with the link's columns."""
    links = road_links["asset"].implode()
    above = assets.filter(~pl.col("asset").is_in(links)).select(_from="asset", asset=pl.coalesce("parent", "asset"))
    return pl.concat([above, road_links.select("asset", _from="asset")[above.columns]]).join(road_links, on="asset")


def traffic_volume(traffic_count: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Vehicles counted in the hour, per counter and over all; null unless every quarter-hour of each counter came.

    Source: HCM.
    """
    expected = sensors.filter(pl.col("quantity") == "traffic_count").select("sensor", "asset", "ward")
    hours = windows.select("window").join(expected, how="cross")
    counts = in_windows(traffic_count.select("sensor", "observed_at", "value"), windows)
    one = counts.group_by("window", "sensor").agg(
        volume=hour_of_counts(pl.col("value"))["volume"], bins=pl.col("value").count()
    )
    rows = hours.join(one, on=["window", "sensor"], how="left").with_columns(pl.col("bins").fill_null(0))
    whole = pl.col("volume").null_count() == 0
    result = (
        by_area(rows, [*LEVELS, "ward"])
        .group_by(KEYS)
        .agg(
            value=pl.when(whole).then(pl.col("volume").sum().cast(pl.Float64)),
            n=pl.col("bins").sum().cast(pl.Int64),
            n_expected=(pl.len() * BINS).cast(pl.Int64),
        )
    )
    return result.with_columns(_short(pl.col("n") > 0))


def _short(any_data: pl.Expr) -> pl.Expr:
    reason = pl.when(any_data).then(pl.lit("insufficient_data")).otherwise(pl.lit("no_data"))
    return pl.when(pl.col("value").is_null()).then(reason).alias("reason")


def peak_hour_factor(traffic_count: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Volume of the busiest four quarter-hours in a row, over four times their largest; `detail` is when they began.

    Source: HCM.
    """
    bins = (
        in_windows(traffic_count, windows)
        .group_by("window", "asset", "observed_at")
        .agg(pl.col("value").sum(), whole=pl.col("value").null_count() == 0)
    )
    ordered = bins.filter("whole").sort("window", "asset", "observed_at")
    key = ["window", "asset"]
    hours = ordered.with_columns(
        volume=pl.col("value").rolling_sum(BINS).over(key),
        largest=pl.col("value").rolling_max(BINS).over(key),
        began=pl.col("observed_at").shift(BINS - 1).over(key),
    )
    whole = pl.col("observed_at") - pl.col("began") == pl.duration(minutes=45)
    peak = (
        hours.filter(whole).sort(*key, "volume", "began", descending=[False, False, False, True]).group_by(key).last()
    )
    counted = bins.group_by(key).agg(n=pl.len().cast(pl.Int64))
    rows = peak.join(counted, on=key).with_columns(
        numerator=pl.col("volume").cast(pl.Float64),
        denominator=(BINS * pl.col("largest")).cast(pl.Float64),
        detail=local(pl.col("began"), zone).dt.strftime("%H:%M"),
    )
    return by_area(rows, ["asset"]).select(*KEYS, "numerator", "denominator", "n", "detail")


def space_mean_speed(
    traffic_speed_km_h: pl.DataFrame, assets: pl.DataFrame, road_links: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Harmonic mean of the speeds, per link and over all links; readings of 0 are left out and counted in `detail`.

    Source: traffic-flow fundamentals; HCM.
    """
    rows = in_windows(on_links(traffic_speed_km_h, assets, road_links), windows)
    standing = (pl.col("value") == 0).sum()
    return (
        by_area(rows, LEVELS)
        .group_by(KEYS)
        .agg(
            **space_mean(pl.col("value")),
            n=moving(pl.col("value")).count().cast(pl.Int64),
            detail=pl.when(standing > 0).then(pl.format("{} readings of 0 km/h left out", standing)),
        )
    )


def speed_of_free_flow(
    traffic_speed_km_h: pl.DataFrame, assets: pl.DataFrame, road_links: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Space-mean speed as a share of the link's speed on the empty road; the town weights links by length.

    Over several links: their free-flow time against their time at the present speed.
    Source: TR-09 against the link's free-flow speed.
    """
    rows = in_windows(on_links(traffic_speed_km_h, assets, road_links), windows)
    links = rows.group_by("window", "asset", "free_flow_km_h", "length_km").agg(
        speed=ratio(space_mean(pl.col("value"))["numerator"], space_mean(pl.col("value"))["denominator"]),
        n=moving(pl.col("value")).count().cast(pl.Int64),
    )
    known = links.filter(pl.col("speed").is_not_null())
    length = pl.col("length_km").fill_null(1.0)
    return (
        by_area(known, LEVELS)
        .group_by(KEYS)
        .agg(
            numerator=(length / pl.col("free_flow_km_h")).sum(),
            denominator=(length / pl.col("speed")).sum(),
            n=pl.col("n").sum(),
        )
    )


def traffic_density(
    traffic_occupancy_pct: pl.DataFrame,
    traffic_count: pl.DataFrame,
    traffic_speed_km_h: pl.DataFrame,
    assets: pl.DataFrame,
    road_links: pl.DataFrame,
    windows: pl.DataFrame,
    *,
    vehicle_length_m: float = 4.5,
    detector_length_m: float = 2.0,
) -> pl.DataFrame:
    """Vehicles per km of lane from occupancy; on links without occupancy, from flow and space-mean speed.

    Source: traffic-flow fundamentals, k = 10 occ / (Lv + Ld) and k = q / v.
    """
    lengths = (
        pl.col("vehicle_length_m").fill_null(vehicle_length_m),
        pl.col("detector_length_m").fill_null(detector_length_m),
    )
    occupied = in_windows(on_links(traffic_occupancy_pct, assets, road_links), windows)
    direct = (
        occupied.with_columns(k=density_from_occupancy(pl.col("value"), *lengths))
        .group_by("window", "asset")
        .agg(value=pl.col("k").mean(), n=pl.col("k").count().cast(pl.Int64), detail=pl.lit("from occupancy"))
    )
    counts = in_windows(on_links(traffic_count, assets, road_links), windows)
    flows = counts.group_by("window", "asset").agg(flow=pl.col("value").sum() / pl.col("observed_at").n_unique() * BINS)
    speeds = (
        in_windows(on_links(traffic_speed_km_h, assets, road_links), windows)
        .group_by("window", "asset")
        .agg(speed=ratio(*space_mean(pl.col("value")).values()), n=moving(pl.col("value")).count().cast(pl.Int64))
    )
    derived = flows.join(speeds, on=["window", "asset"]).select(
        "window",
        "asset",
        value=density_from_flow(pl.col("flow"), pl.col("speed")),
        n="n",
        detail=pl.lit("from flow and speed"),
    )
    links = pl.concat([direct, derived.join(direct, on=["window", "asset"], how="anti")])
    return by_area(links.filter(pl.col("value").is_not_null()), ["asset"]).select(*KEYS, "value", "n", "detail")


@shared
def _peak_times(
    travel_time_s: pl.DataFrame,
    assets: pl.DataFrame,
    road_links: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    peak_hours: str,
) -> pl.DataFrame:
    """Travel times of the peak hours with `free_flow_s`, the link's time on the empty road."""
    hours = [int(hour) for hour in peak_hours.split()]
    rows = travel_time_s.filter(local(pl.col("observed_at"), zone).dt.hour().is_in(hours))
    rows = on_links(in_windows(rows, windows), assets, road_links)
    return rows.with_columns(free_flow_s=3600 * ratio(pl.col("length_km"), pl.col("free_flow_km_h")))


PEAK_HOURS = "7 8 16 17 18"


def travel_time_index(
    travel_time_s: pl.DataFrame,
    assets: pl.DataFrame,
    road_links: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    peak_hours: str = PEAK_HOURS,
) -> pl.DataFrame:
    """Mean travel time in the peak hours over that on the empty road; the town weights links by free-flow time.

    Null with under 30 travel times on a link.
    Source: FHWA travel time reliability; U4SSC EC: I: T: 5A.
    """
    return _reliability(_peak_times(travel_time_s, assets, road_links, windows, zone, peak_hours), "TTI")


def planning_time_index(
    travel_time_s: pl.DataFrame,
    assets: pl.DataFrame,
    road_links: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    peak_hours: str = PEAK_HOURS,
) -> pl.DataFrame:
    """Travel time that 19 of 20 drives keep in the peak hours, over that on the empty road.

    Weights and floor as travel_time_index.

    Source: FHWA travel time reliability.
    """
    return _reliability(_peak_times(travel_time_s, assets, road_links, windows, zone, peak_hours), "PTI")


def buffer_index(
    travel_time_s: pl.DataFrame,
    assets: pl.DataFrame,
    road_links: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    peak_hours: str = PEAK_HOURS,
) -> pl.DataFrame:
    """Time to add to the mean to be on time 19 times out of 20, over the mean; weights and floor as travel_time_index.

    Source: FHWA travel time reliability.
    """
    return _reliability(_peak_times(travel_time_s, assets, road_links, windows, zone, peak_hours), "BI")


def _reliability(rows: pl.DataFrame, index: str) -> pl.DataFrame:
    """The index per link and, weighted by free-flow time, of all links that have enough travel times."""
    links = rows.group_by("window", "asset").agg(
        index=travel_time_reliability(pl.col("value"), pl.col("free_flow_s").first())[index],
        weight=pl.col("free_flow_s").first(),
        n=pl.col("value").count().cast(pl.Int64),
    )
    enough = (pl.col("n") >= NEEDED) & pl.col("index").is_not_null()
    weight = pl.col("weight").filter(enough).sum()
    result = (
        by_area(links, LEVELS)
        .group_by(KEYS)
        .agg(
            numerator=(pl.col("index") * pl.col("weight")).filter(enough).sum(), denominator=weight, n=pl.col("n").sum()
        )
    )
    return result.with_columns(reason=pl.when(pl.col("denominator") == 0).then(pl.lit("insufficient_data")))


def congested_time(
    traffic_speed_km_h: pl.DataFrame,
    assets: pl.DataFrame,
    road_links: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    threshold: float = 0.9,
    first_hour: float = 6.0,
    last_hour: float = 22.0,
) -> pl.DataFrame:
    """Share of intervals between first_hour and last_hour with a speed under threshold times free flow.

    Source: FHWA urban congestion report, congested hours.
    """
    hour = local(pl.col("observed_at"), zone).dt.hour()
    rows = traffic_speed_km_h.filter((hour >= first_hour) & (hour < last_hour))
    rows = on_links(in_windows(rows, windows), assets, road_links)
    slow = congested(pl.col("value"), pl.col("free_flow_km_h"), threshold)
    return by_area(rows, LEVELS).group_by(KEYS).agg(**share(slow))
