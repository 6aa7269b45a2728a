"""Pictures of pollution: the air now and day by day, hours over the target, noise by zone, treated sewage."""

from datetime import datetime, timedelta

import polars as pl

from pipelines.engine.measures import local
from pipelines.engine.model import INSTANT, Column
from pipelines.engine.picture import Amount, Bars, Calendar, Drawn, Matrix, Picture, Said, say, say_n, within
from pipelines.pollution.effluent import PARAMETERS, within_limits
from pipelines.pollution.limit_tables import periods
from pipelines.pollution.noise import in_period, is_quiet_enough, sound_energy, sound_level

Frame = pl.DataFrame
INDEX, NOISE = "india_naqi", "noise_leq"
TESTED = {
    "ph": "pH", "bod_mg_l": "BOD", "cod_mg_l": "COD", "tss_mg_l": "Suspended solids", "total_nitrogen_mg_l": "Nitrogen",
    "total_phosphorus_mg_l": "Phosphorus", "faecal_coliform_mpn": "Faecal coliforms",
}  # fmt: skip
ZONES = ("industrial", "commercial", "residential", "silence")


def air_index(board: Frame, assets: Frame, area: str = "town") -> Drawn:
    """The air quality index at each station, with the pollutant that decides it."""
    known = board.filter(kpi=INDEX, level="asset").select(
        "target", "state", "coverage", "as_of", asset="key", index="value", decides="detail",
        why=pl.when(pl.col("value").is_null()).then("reason"),
    )  # fmt: skip
    stations = assets.filter(kind="air_station").select("asset", "name", "ward")
    rows = stations.join(known, on="asset", how="left").with_columns(note=pl.coalesce("why", "decides"))
    rows = within(rows, area).sort("index", descending=True, nulls_last=True)
    seen = rows.drop_nulls("index")
    town = board.filter(kpi=INDEX, area="town").drop_nulls("value")
    said = _air_said(rows, seen, town)
    return Drawn(rows, said, seen["as_of"].min(), seen["coverage"].mean())  # type: ignore[arg-type]


def _air_said(rows: Frame, seen: Frame, town: Frame) -> tuple[Said, ...]:
    if seen.is_empty():
        return (say("The index is unknown: no station has sent enough valid hours in the last day."),)
    worst = seen.row(0, named=True)
    told = [say("The air is worst at {station}: {index}, decided by {pollutant}.", station=worst["name"],
                index=int(worst["index"]), pollutant=worst["decides"])]  # fmt: skip
    if town.height:
        told.append(say("The town stands at {index}; up to {target} is the target.", index=int(town["value"][0]),
                        target=int(town["target"][0])))  # fmt: skip
    if rows.height > seen.height:
        rest = rows.height - seen.height
        told.append(say_n("Of {n} station it is unknown.", "Of {n} stations it is unknown.", rest))
    return tuple(told)


def hours_over(history: Frame, assets: Frame, start: datetime, now: datetime, area: str = "town") -> Drawn:
    """For how many hours the index of the last 24 hours stood above its target, per station, of the hours known."""
    ended = history.filter((pl.col("end") > pl.lit(start, INSTANT)) & (pl.col("end") <= pl.lit(now, INSTANT)))
    over = (pl.col("value") > pl.col("target")).sum().cast(pl.Int64)
    counted = ended.group_by("area").agg(
        hours=over, known=pl.col("value").count().cast(pl.Int64), newest=pl.col("end").max()
    )
    named = assets.filter(kind="air_station").select(
        pl.format("asset:{}", "asset").alias("area"), "asset", "name", "ward"
    )
    rows = named.join(counted, on="area", how="left")
    share = pl.when(pl.col("known") > 0).then(100 * pl.col("hours") / pl.col("known"))
    judged = pl.when(pl.col("hours") > 0).then(pl.lit("watch")).otherwise(pl.lit("good"))
    state = pl.when(pl.col("known").fill_null(0) == 0).then(pl.lit("no data")).otherwise(judged)
    rows = within(rows, area).with_columns(share_pct=share, state=state).sort("hours", descending=True, nulls_last=True)
    expected = int((now - start) / timedelta(hours=1)) * max(1, rows.height)
    coverage = min(1.0, (rows["known"].sum() or 0) / expected)
    return Drawn(rows, _over_said(rows, now - start), rows["newest"].max(), coverage)  # type: ignore[arg-type]


def _over_said(rows: Frame, span: timedelta) -> tuple[Said, ...]:
    known = rows.filter(pl.col("known").fill_null(0) > 0)
    if known.is_empty():
        return (say("No hour of the last {span} has a published index.", span=span),)
    worst = known.row(0, named=True)
    if not worst["hours"]:
        return (say("In the last {span} no station was above the target.", span=span),)
    share = Amount(worst["share_pct"], "percent", 0)
    return (
        say_n("{station} was above the target for {n} hour of the last {span}, {share} of those known.",
              "{station} was above the target for {n} hours of the last {span}, {share} of those known.",
              worst["hours"], station=worst["name"], share=share, span=span),
    )  # fmt: skip


def air_calendar(course: Frame, start: datetime, zone: str) -> Drawn:
    """The index of each whole day, that of the 24 hours which end at midnight, for the town or the chosen ward."""
    clock = local(pl.col("end"), zone)
    days = course.filter((clock.dt.hour() == 0) & (clock.dt.minute() == 0)).sort("end")
    day = (local(pl.col("end"), zone) - pl.duration(hours=12)).dt.date()
    rows = days.with_columns(day=day).rename({"value": "index", "detail": "decides"})
    rows = rows.filter(pl.col("day") >= start.date())
    known = rows.drop_nulls("index")
    coverage = known.height / rows.height if rows.height else None
    return Drawn(rows, _days_said(rows, known), rows["computed_at"].max(), coverage)  # type: ignore[arg-type]


def _days_said(rows: Frame, known: Frame) -> tuple[Said, ...]:
    if known.is_empty():
        return (say("No whole day has an index yet here: it needs a station, and 16 valid hours of its day."),)
    over = known.filter(pl.col("index") > pl.col("target")).height
    worst = known.sort("index").row(-1, named=True)
    told = [say("{over} of {all} days were above the target; the worst was {day} with {index}.", over=over,
                all=known.height, day=worst["day"], index=int(worst["index"]))]  # fmt: skip
    if rows.height > known.height:
        rest = rows.height - known.height
        told.append(
            say_n("{n} day is unknown: too few valid hours.", "{n} days are unknown: too few valid hours.", rest)
        )
    return tuple(told)


def noise_zones(
    history: Frame, noise_sites: Frame, noise_limits: Frame, noise_periods: Frame, now: datetime, zone: str
) -> Drawn:
    """The level of each hour of the day by class of zone, energy mean of the days looked at, against its limit."""
    classes = pl.col("zone_class").str.to_lowercase().str.strip_chars()
    sites = noise_sites.select(pl.format("asset:{}", "asset").alias("area"), classes)
    limits = noise_limits.select(classes, "day_dba", "night_dba")
    known = history.drop_nulls("value").join(sites, on="area").join(limits, on="zone_class")
    hours = known.with_columns(hour=local(pl.col("window"), zone).dt.hour())
    day = next(part for part in periods("India", noise_periods) if part.name == "day")
    mean = hours.group_by("zone_class", "hour").agg(
        level_dba=sound_level(sound_energy(pl.col("value")).mean()), n=pl.len().cast(pl.Int64),
        day_dba=pl.col("day_dba").first(), night_dba=pl.col("night_dba").first(),
    )  # fmt: skip
    limit = pl.when(in_period(pl.col("hour"), day)).then("day_dba").otherwise("night_dba")
    rows = mean.with_columns(limit_dba=limit)
    quiet = is_quiet_enough(pl.col("level_dba"), pl.col("limit_dba"))
    rows = rows.with_columns(
        state=pl.when(quiet).then(pl.lit("good")).otherwise(pl.lit("breach")),
        hour=pl.col("hour").cast(pl.String).str.zfill(2),
    ).sort("zone_class", "hour")
    newest = known["end"].max()
    return Drawn(rows, _noise_said(rows), newest)  # type: ignore[arg-type]


def _noise_said(rows: Frame) -> tuple[Said, ...]:
    if rows.is_empty():
        return (say("No site with a class of zone has a published hour yet (reference/noise_sites.csv)."),)
    loud = rows.filter(state="breach")
    if loud.is_empty():
        return (say("Every zone keeps its limit at every hour of the day, on the mean of these days."),)
    by_zone = loud.group_by("zone_class").len().sort("len", "zone_class", descending=[True, False])
    worst = by_zone.row(0)
    top = loud.with_columns(over=pl.col("level_dba") - pl.col("limit_dba")).sort("over").row(-1, named=True)
    return (
        say_n("The {zone} zone is over its limit in {n} hour of the day.",
              "The {zone} zone is over its limit in {n} hours of the day.", worst[1], zone=worst[0]),
        say("Furthest over is the {zone} zone at {hour} h, by {over}.", zone=top["zone_class"], hour=int(top["hour"]),
            over=Amount(top["over"], "dBA")),
    )  # fmt: skip


def effluent_now(
    effluent_samples: Frame, effluent_plants: Frame, effluent: Frame, assets: Frame, area: str = "town"
) -> Drawn:
    """The newest result of each parameter at every plant, as a share of the highest that its consent allows."""
    plants = effluent_plants.select("consent", plant="asset").join(
        assets.select("name", "ward", plant="asset"), on="plant"
    )
    long = effluent_samples.select(
        "plant", "sampled_at", *(pl.col(name).cast(pl.Float64) for name in PARAMETERS)
    ).unpivot(index=["plant", "sampled_at"], variable_name="parameter", value_name="result")
    newest = long.drop_nulls("result").sort("sampled_at").unique(["plant", "parameter"], keep="last")
    rows = newest.join(plants, on="plant").join(effluent, on=["consent", "parameter"])
    below_only = pl.col("below_only").fill_null(False)
    rows = within(rows, area)
    ok = within_limits(pl.col("result"), pl.col("at_least"), pl.col("at_most"), below_only)
    rows = rows.with_columns(
        share_pct=100 * pl.col("result") / pl.col("at_most"),
        limit_pct=pl.lit(100.0),
        tested=pl.col("parameter").replace_strict(TESTED, default=pl.col("parameter")),
        state=pl.when(ok).then(pl.lit("good")).otherwise(pl.lit("breach")),
    ).sort("name", "parameter")
    return Drawn(rows, _effluent_said(rows), rows["sampled_at"].min())  # type: ignore[arg-type]


def _effluent_said(rows: Frame) -> tuple[Said, ...]:
    if rows.is_empty():
        return (say("No sample of treated sewage has come in the last three months."),)
    over = rows.filter(state="breach")
    if over.is_empty():
        return (say("The newest results of {n} plants keep every limit of their consent.", n=rows["plant"].n_unique()),)
    worst = over.sort("share_pct").row(-1, named=True)
    words = {"plant": worst["name"], "parameter": worst["tested"]}
    return (
        say_n("{n} of the newest results breaks its limit: {parameter} at {plant}.",
              "{n} of the newest results break their limits, furthest {parameter} at {plant}.", over.height, **words),
    )  # fmt: skip


NAME, WARD = Column(name="name", meaning="Name"), Column(name="ward", meaning="Ward")
STATION = Column(name="asset", meaning="Station")
CPCB = "CPCB National Air Quality Index, October 2014"

PICTURES = (
    Picture(
        function=air_index,
        title="The air at each station",
        plain="The Indian air quality index of the last 24 hours, and the pollutant that decides it.",
        source=CPCB,
        form=Bars(label="name", value="index", limit="target", note="note"),
        columns=(
            STATION,
            NAME,
            WARD,
            Column(name="index", kind="number", meaning="Index"),
            Column(name="target", kind="number", meaning="Target"),
            Column(name="decides", meaning="Decided by"),
            Column(name="note", meaning="Note"),
        ),
        every=None,
    ),
    Picture(
        function=hours_over,
        title="Hours over the target",
        plain="How long the index stood above its target, of the hours that are known.",
        source=CPCB,
        form=Bars(label="name", value="hours", more="share_pct"),
        columns=(
            STATION,
            NAME,
            WARD,
            Column(name="hours", kind="integer", unit="hour", meaning="Hours over"),
            Column(name="known", kind="integer", unit="hour", meaning="Hours known"),
            Column(name="share_pct", kind="number", unit="percent", meaning="Share"),
        ),
        span=timedelta(days=7),
        longest=timedelta(days=30),
        every=timedelta(minutes=5),
        history=(INDEX,),
    ),
    Picture(
        function=air_calendar,
        title="The air day by day",
        plain="The index of each whole day: plain is within the target, framed above it, hatched far above.",
        source=CPCB,
        form=Calendar(day="day", value="index", note="decides"),
        columns=(
            Column(name="day", kind="day", meaning="Day"),
            Column(name="index", kind="number", meaning="Index"),
            Column(name="target", kind="number", meaning="Target"),
            Column(name="decides", meaning="Decided by"),
        ),
        span=timedelta(days=112),
        longest=timedelta(days=366),
        every=timedelta(minutes=10),
        history=(INDEX,),
    ),
    Picture(
        function=noise_zones,
        title="Noise by zone and hour",
        plain="How loud each class of zone is at each hour; hatched is over the limit of its zone by day or night.",
        source="ISO 1996-1; Noise Pollution (Regulation and Control) Rules 2000",
        form=Matrix(row="zone_class", column="hour", value="level_dba"),
        columns=(
            Column(name="zone_class", meaning="Zone"),
            Column(name="hour", meaning="Hour of the day"),
            Column(name="level_dba", kind="number", unit="dBA", meaning="Level"),
            Column(name="limit_dba", kind="number", unit="dBA", meaning="Limit"),
            Column(name="n", kind="integer", meaning="Hours measured"),
        ),
        words=ZONES,
        span=timedelta(days=7),
        longest=timedelta(days=30),
        every=timedelta(minutes=5),
        history=(NOISE,),
    ),
    Picture(
        function=effluent_now,
        title="Treated sewage",
        plain="The newest laboratory results of each plant, as a share of the highest value that its consent allows.",
        source="The limits that the plant's consent names (reference effluent)",
        form=Bars(label="tested", value="share_pct", limit="limit_pct", group="name"),
        columns=(
            NAME,
            WARD,
            Column(name="tested", meaning="Tested"),
            Column(name="result", kind="number", meaning="Result"),
            Column(name="at_least", kind="number", meaning="At least"),
            Column(name="at_most", kind="number", meaning="At most"),
            Column(name="share_pct", kind="number", unit="percent", meaning="Of the highest allowed"),
            Column(name="limit_pct", kind="number", unit="percent", meaning="Limit"),
            Column(name="sampled_at", kind="instant", meaning="Sampled"),
        ),
        words=tuple(TESTED.values()),
        span=timedelta(days=92),
        every=timedelta(minutes=5),
    ),
)
