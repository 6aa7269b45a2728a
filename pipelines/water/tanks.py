"""Tanks: how long the water in them lasts."""

from datetime import timedelta

import polars as pl

from pipelines.engine.measures import KEYS, in_windows
from pipelines.engine.model import Draw, Kpi, every
from pipelines.water.formulas import autonomy, usable_m3
from pipelines.water.readings import due, once, relabelled

HOUR = timedelta(hours=1)
LEVEL_LASTS = timedelta(minutes=15)
SPELL = "5m"


def _hours(windows: pl.DataFrame) -> pl.DataFrame:
    """The hour up to the end of each window, labelled by the window."""
    return windows.with_columns(labelled="window", window=pl.col("end") - HOUR)


def _last_hour(readings: pl.DataFrame, hours: pl.DataFrame) -> pl.DataFrame:
    """The readings of the hour up to the end of each window, once each."""
    return relabelled(in_windows(once(readings), hours), hours)


def _mean_flow(flow_m3_h: pl.DataFrame, hours: pl.DataFrame, name: str) -> pl.DataFrame:
    """Mean flow of the last hour per window and tank, the tank's pipes added up.

    The hour's mean is that of its spells of five minutes: a meter that has begun to report every few seconds tells
    no more of the hour than before.
    """
    pipe = ["window", "asset", "sensor"]
    spell = pl.col("observed_at").dt.truncate(SPELL)
    spells = _last_hour(flow_m3_h, hours).group_by(*pipe, spell).agg(pl.col("value").mean())
    pipes = spells.group_by(pipe).agg(pl.col("value").mean())
    return pipes.group_by("window", "asset").agg(pl.col("value").sum().alias(name))


def _tank_levels(tank_level_m: pl.DataFrame, tanks: pl.DataFrame, last_hours: pl.DataFrame) -> pl.DataFrame:
    """Usable water and the outflow that the fall of the level tells, per window and tank; `stale` for an old level."""
    levels = _last_hour(tank_level_m, last_hours).sort("observed_at")
    first, last = pl.col("value").first(), pl.col("value").last()
    hours = (pl.col("observed_at").last() - pl.col("observed_at").first()).dt.total_seconds() / 3600
    seen = levels.group_by("window", "asset").agg(
        level=last, fall=first - last, hours=hours, at=pl.col("observed_at").last(), n=pl.len().cast(pl.Int64)
    )
    sized = seen.join(tanks.drop_nulls("diameter_m"), on="asset")
    floor_m = pl.col("dead_level_m").fill_null(0)
    volume = usable_m3(pl.col("diameter_m"), pl.col("fall").abs(), pl.lit(0.0)) * pl.col("fall").sign()
    return sized.with_columns(
        stale=pl.col("at") < pl.col("window") - LEVEL_LASTS,
        usable=usable_m3(pl.col("diameter_m"), pl.col("level"), floor_m),
        fall_m3_h=pl.when(pl.col("hours") > 0).then(volume / pl.col("hours")),
    )


def tank_autonomy(
    tank_level_m: pl.DataFrame,
    tank_outflow_m3_h: pl.DataFrame,
    tank_inflow_m3_h: pl.DataFrame,
    tanks: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
) -> pl.DataFrame:
    """Hours until a tank is down to its dead level at the last hour's net outflow, per window and tank.

    The net outflow is metered outflow less metered inflow, means of the last hour; where one of them is not
    metered, the fall of the level. A level from before the quarter of an hour ahead of the window is stale.
    The town is the tank that runs out first, named in `detail`.
    """
    hours = _hours(windows)
    outflow = _mean_flow(tank_outflow_m3_h, hours, "outflow")
    inflow = _mean_flow(tank_inflow_m3_h, hours, "inflow")
    levels = _tank_levels(tank_level_m, tanks, hours)
    joined = levels.join(outflow, on=["window", "asset"], how="left").join(inflow, on=["window", "asset"], how="left")
    net = pl.coalesce(pl.col("outflow") - pl.col("inflow"), "fall_m3_h")
    known = joined.with_columns(net=net).filter(pl.col("net").is_not_null())
    fresh, filling = ~pl.col("stale"), pl.col("net") <= 0
    rows = known.select(
        "window",
        "n",
        area=pl.format("asset:{}", "asset"),
        **autonomy(pl.col("usable"), pl.when(fresh).then(pl.col("net"))),
        reason=pl.when(~fresh).then(pl.lit("stale")).when(filling).then(pl.lit("not_applicable")),
        detail=pl.when(fresh & filling).then(pl.lit("filling")),
        tank="asset",
    )
    owed = relabelled(due(sensors, assets, hours, "tank_level_m", ("asset",)), hours)
    counted = rows.join(owed, on=KEYS, how="left")
    return pl.concat([counted.drop("tank"), _first_to_run_out(counted)])


def _first_to_run_out(rows: pl.DataFrame) -> pl.DataFrame:
    """Of each window the tank with the fewest hours left, as the town; tanks that fill come last."""
    hours = pl.col("numerator") / pl.col("denominator")
    worst = rows.sort(hours, nulls_last=True).unique("window", keep="first", maintain_order=True)
    named = pl.when(pl.col("reason").is_null()).then(pl.col("tank")).otherwise("detail")
    return worst.with_columns(area=pl.lit("town"), detail=named).select(rows.drop("tank").columns)


KPIS = (
    Kpi(
        function=tank_autonomy,
        runs_down=Draw(("tank_outflow_m3_h",), ("tank_inflow_m3_h",)),
        catalogue="WA-10",
        title="Hours left in tanks",
        plain="Hours until the first tank is empty if things go on as in the last hour.",
        formula="volume above the dead level / (mean outflow - mean inflow of the last hour)",
        standard="Convention: 8 h",
        unit="hour",
        window=every("quarter_hour"),
        levels=("town", "asset"),
        better="higher",
        target=8,
        watch=4,
        lookback=HOUR,
        headline=True,
    ),
)
