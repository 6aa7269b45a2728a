"""Pictures of energy: who is without power, how the month adds up, what is full, where a microgrid's power goes."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.energy.microgrids import LEVELS
from pipelines.energy.reliability import interruption_rows, saidi, saifi
from pipelines.engine.measures import by_area
from pipelines.engine.model import INSTANT, Column
from pipelines.engine.picture import Amount, Bars, Drawn, Flow, Lines, Marks, Picture, Said, say, say_n, within

Frame = pl.DataFrame
SAIDI, SAIFI = "Minutes without power per customer (SAIDI)", "Interruptions per customer (SAIFI)"
FEEDERS, TRANSFORMERS = "Feeders: all their transformers together", "Fullest transformers"
MOST_TRANSFORMERS = 10
SOLAR, DIESEL, GRID, DISCHARGE = "Solar", "Diesel", "From the grid", "Battery gives"
LOAD, CHARGE, EXPORT, BUS = "Consumers", "Battery takes", "To the grid", "Microgrid"
# Power below this, in kW, is what meters show of nothing.
NOTHING_KW = 0.05


def outages_now(outages: Frame, wards: Frame, assets: Frame, board: Frame, now: datetime, area: str = "town") -> Drawn:
    """Outages that have begun and are not restored: where, how many customers and about how many people."""
    at = pl.lit(now, INSTANT)
    still = pl.col("restored_at").is_null() | (pl.col("restored_at") > at)
    rows = interruption_rows(outages, assets, include_planned=True).filter((pl.col("started_at") <= at) & still)
    parts = rows.group_by("outage", "asset", "ward").agg(
        customers=pl.col("customers").sum(), since=pl.col("started_at").min(), back_at=pl.col("restored_at").max(),
        planned=pl.col("planned").first().fill_null(False), cause=pl.col("cause").drop_nulls().first(),
    )  # fmt: skip
    homes = wards.select("ward", ward_name="name", household=pl.col("population") / pl.col("households"))
    named = assets.select("asset", "name")
    found = parts.join(_places(assets), on=["asset", "ward"], how="left").join(named, on="asset", how="left")
    found = found.join(homes, on="ward", how="left")
    people = (pl.col("customers") * pl.col("household")).round(0).cast(pl.Int64)
    state = pl.when("planned").then(pl.lit("watch")).otherwise(pl.lit("breach"))
    found = within(found.with_columns(people=people, state=state), area).sort("customers", descending=True)
    stands = board.filter(kpi="customers_without_power", area=area)
    as_of = stands["as_of"].max()
    return Drawn(found, _outages_said(found, stands), as_of, stands["coverage"].max())  # type: ignore[arg-type]


def _places(assets: Frame) -> Frame:
    """Where the customers of a feeder are in a ward: amid what hangs on it there, else where the feeder stands."""
    hung = assets.drop_nulls(["lat", "lon", "parent"]).select(asset="parent", ward="ward", lat="lat", lon="lon")
    stand = assets.drop_nulls(["lat", "lon"]).select("asset", home_lat="lat", home_lon="lon")
    amid = hung.group_by("asset", "ward").agg(pl.col("lat", "lon").mean())
    every = stand.join(assets.select("ward").unique().drop_nulls(), how="cross")
    placed = every.join(amid, on=["asset", "ward"], how="left")
    return placed.select("asset", "ward", lat=pl.coalesce("lat", "home_lat"), lon=pl.coalesce("lon", "home_lon"))


def _outages_said(rows: Frame, stands: Frame) -> tuple[Said, ...]:
    known = stands.drop_nulls("value")
    if rows.is_empty() and known.is_empty():
        return (say("Whether anybody is without power is unknown: no list of outages has come."),)
    if rows.is_empty():
        return (say("Nobody is known to be without power."),)
    first = rows.sort("since").row(0, named=True)
    numbers = {name: int(rows[name].sum()) for name in ("customers", "people")}
    told = [say_n("{customers} customers, about {people} people, are without power in {n} outage.",
                  "{customers} customers, about {people} people, are without power in {n} outages.",
                  rows["outage"].n_unique(), **numbers)]  # fmt: skip
    told.append(say("The longest has lasted since {since}.", since=first["since"]))
    if rows["lat"].null_count():
        told.append(say("{n} of them cannot be placed on the map.", n=rows["lat"].null_count()))
    return tuple(told)


def reliability_month(
    outages: Frame,
    feeders: Frame,
    feeder_wards: Frame,
    assets: Frame,
    board: Frame,
    area: str,
    now: datetime,
    zone: str,
) -> Drawn:
    """SAIDI and SAIFI of the running month as they have added up day by day, against the month's target."""
    days = _days(now, zone)
    parts = []
    for title, index in ((SAIDI, saidi), (SAIFI, saifi)):
        daily = index(outages, feeders, feeder_wards, assets, days).filter(pl.col("area") == area).sort("window")
        stands = board.filter(kpi=index.__name__, area=area)
        target, newest = stands["target"].max(), stands["value"].max()
        added = pl.col("numerator").cum_sum() / pl.col("denominator")
        # Today's is what the board says, also in the seconds until it looks again.
        today = pl.col("window") == pl.col("window").max()
        added = pl.when(today).then(pl.coalesce(pl.lit(newest, pl.Float64), added)).otherwise(added)
        parts.append(daily.select(index=pl.lit(title), at="window", value=added, target=pl.lit(target, pl.Float64)))
    rows = pl.concat(parts).with_columns(day=pl.col("at").dt.convert_time_zone(zone).dt.date())
    # Drawn at the end of each day, which it holds; today's at this very instant.
    rows = rows.join(days.select(at="window", until=pl.min_horizontal("end", pl.lit(now, INSTANT))), on="at")
    stands = board.filter(pl.col("kpi").is_in(["saidi", "saifi"]) & (pl.col("area") == area))
    as_of = stands["as_of"].max()
    return Drawn(rows, _month_said(stands), as_of, stands["coverage"].min())  # type: ignore[arg-type]


def _days(now: datetime, zone: str) -> Frame:
    """The days of the running month until today, each judged by what is known now."""
    here = now.astimezone(ZoneInfo(zone))
    first = here.replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    edges = [(first + timedelta(days=n)).replace(tzinfo=ZoneInfo(zone)) for n in range(here.day + 1)]
    rows = {"window": edges[:-1], "end": edges[1:], "as_of": [now] * here.day}
    return pl.DataFrame(rows, schema=dict.fromkeys(rows, INSTANT))


def _month_said(stands: Frame) -> tuple[Said, ...]:
    told = []
    for kpi, unit, decimals in (("saidi", "minute", 1), ("saifi", "", 2)):
        row = next(stands.filter(kpi=kpi).drop_nulls("value").iter_rows(named=True), None)
        if row is None:
            continue
        words = {"value": Amount(row["value"], unit, decimals), "target": Amount(row["target"], unit, decimals)}
        over = row["target"] is not None and row["value"] > row["target"]
        if kpi == "saidi":
            told.append(
                say("This month the average customer was without power for {value}; the target is {target}.", **words)
            )
        elif over:
            told.append(
                say("Interruptions are over the month's target: {value} per customer instead of {target}.", **words)
            )
        else:
            told.append(say("Interruptions are within the month's target: {value} per customer of {target}.", **words))
    return tuple(told) or (say("How the month stands is unknown: no list of outages has come."),)


def network_loading(board: Frame, assets: Frame, area: str = "town") -> Drawn:
    """How full the feeders' transformers are together, and the fullest transformers by themselves."""
    stands = board.filter(kpi="transformer_loading", level="asset").select(
        "value", "target", "state", "numerator", "denominator", "coverage", "as_of", asset="key",
        why=pl.when(pl.col("value").is_null()).then("reason"),
    )  # fmt: skip
    own = assets.filter(kind="transformer").select("asset", "name", "ward", "parent")
    each = own.join(stands, on="asset", how="left")
    summed = each.drop_nulls("value").group_by(asset="parent").agg(
        kva=pl.col("numerator").sum(), rated_kva=pl.col("denominator").sum(), target=pl.col("target").first(),
        n=pl.len().cast(pl.Int64),
    )  # fmt: skip
    feeders = summed.join(assets.select("asset", "name", "ward"), on="asset", how="left").with_columns(
        group=pl.lit(FEEDERS), loading_pct=100 * pl.col("kva") / pl.col("rated_kva")
    )
    over = pl.when(pl.col("loading_pct") <= pl.col("target")).then(pl.lit("good")).otherwise(pl.lit("watch"))
    feeders = feeders.with_columns(state=over).sort("loading_pct", descending=True)
    feeders, each = within(feeders, area), within(each, area)
    fullest = each.sort("value", descending=True, nulls_last=True).head(MOST_TRANSFORMERS).with_columns(
        group=pl.lit(TRANSFORMERS), loading_pct="value", kva="numerator", rated_kva="denominator"
    )  # fmt: skip
    columns = ["group", "asset", "name", "ward", "loading_pct", "kva", "rated_kva", "target", "state", "why"]
    rows = pl.concat(
        [part.select(c for c in columns if c in part.columns) for part in (feeders, fullest)], how="diagonal"
    )
    known = each.drop_nulls("value")
    said = _loading_said(each, known)
    return Drawn(rows.rename({"target": "target_pct"}), said, known["as_of"].min(), known["coverage"].mean())  # type: ignore[arg-type]


def _loading_said(each: Frame, known: Frame) -> tuple[Said, ...]:
    if known.is_empty():
        return (
            say("How full the transformers are is unknown: none has sent its power in the last quarter of an hour."),
        )
    fullest = known.sort("value", descending=True).row(0, named=True)
    over = known.filter(pl.col("value") > pl.col("target")).height
    told = [say("The fullest transformer is {name} with {loading}.", name=fullest["name"],
                loading=Amount(fullest["value"], "percent"))]  # fmt: skip
    told.append(say("{n} of {all} are above their target.", n=over, all=known.height))
    if each.height > known.height:
        told.append(say("{n} sent nothing in the last quarter of an hour.", n=each.height - known.height))
    return tuple(told)


def microgrid_flow(
    solar_power_kw: Frame, battery_power_kw: Frame, diesel_power_kw: Frame, grid_import_kw: Frame,
    grid_export_kw: Frame, load_power_kw: Frame, battery_soc_pct: Frame, board: Frame, area: str,
) -> Drawn:  # fmt: skip
    """Where the microgrids' power came from and went to, means of the last quarter of an hour."""
    solar, battery, diesel, bought, sold, load = (
        _mean(frame, area)
        for frame in (solar_power_kw, battery_power_kw, diesel_power_kw, grid_import_kw, grid_export_kw, load_power_kw)
    )
    gives, takes = (None, None) if battery is None else (max(battery, 0.0), max(-battery, 0.0))
    flows = (
        (SOLAR, BUS, solar), (DISCHARGE, BUS, gives), (GRID, BUS, bought), (DIESEL, BUS, diesel),
        (BUS, LOAD, load), (BUS, CHARGE, takes), (BUS, EXPORT, sold),
    )  # fmt: skip
    shown = [
        {"from": source, "to": target, "power_kw": power, "state": "watch" if source == DIESEL else "good"}
        for source, target, power in flows
        if power is not None and power > NOTHING_KW
    ]
    schema = {"from": pl.String, "to": pl.String, "power_kw": pl.Float64, "state": pl.String}
    rows = pl.DataFrame(shown, schema=schema)
    charge = by_area(battery_soc_pct.sort("observed_at").group_by("asset", "ward").last(), LEVELS).filter(
        pl.col("area") == area
    )
    lasts = board.filter(kpi="battery_autonomy", area=area)
    newest = pl.concat([frame["observed_at"] for frame in (load_power_kw, solar_power_kw)]).max()
    said = _flow_said(load, solar, charge["value"].mean(), lasts)  # type: ignore[arg-type]
    return Drawn(rows, said, newest)  # type: ignore[arg-type]


def _mean(readings: Frame, area: str) -> float | None:
    """The sites' mean power added up; None where none has sent any."""
    sites = readings.group_by("asset", "ward").agg(pl.col("value").mean())
    here = by_area(sites, LEVELS).filter(pl.col("area") == area)
    return float(here["value"].sum()) if here.height else None


def _flow_said(load: float | None, solar: float | None, charge: float | None, lasts: Frame) -> tuple[Said, ...]:
    if load is None:
        return (say("What the microgrids carry is unknown: none has sent its load in the last quarter of an hour."),)
    told = [
        say("The consumers draw {load}; the sun gives {solar}.", load=Amount(load, "kW"), solar=Amount(solar, "kW"))
    ]
    hours = next(iter(lasts.drop_nulls("value")["value"]), None)
    if charge is None:
        told.append(say("How full the battery is, is unknown."))
    elif hours is None:
        told.append(
            say(
                "The battery is at {charge}; for how long it would last is unknown.",
                charge=Amount(charge, "percent", 0),
            )
        )
    else:
        told.append(say("The battery is at {charge} and alone would carry them for {hours}.",
                        charge=Amount(charge, "percent", 0), hours=Amount(hours, "hour")))  # fmt: skip
    return tuple(told)


WARD, NAME = Column(name="ward", meaning="Ward"), Column(name="name", meaning="Name")

PICTURES = (
    Picture(
        function=outages_now,
        title="Without power now",
        plain="Outages that last, each where its customers are; people are estimated by the size of households.",
        source="IEEE Std 1366, clause 3, as a state",
        form=Marks(lat="lat", lon="lon", label="name", size="customers", note="cause"),
        columns=(
            Column(name="outage", meaning="Outage"),
            Column(name="asset", meaning="Feeder"),
            NAME,
            WARD,
            Column(name="customers", kind="integer", unit="customer", meaning="Customers"),
            Column(name="people", kind="integer", unit="person", meaning="About so many people"),
            Column(name="since", kind="instant", meaning="Since"),
            Column(name="back_at", kind="instant", meaning="Announced back"),
            Column(name="planned", kind="flag", meaning="Planned"),
            Column(name="cause", meaning="Cause"),
            Column(name="lat", kind="number", unit="degree", meaning="Latitude"),
            Column(name="lon", kind="number", unit="degree", meaning="Longitude"),
        ),
        # An outage that began so long ago and still lasts is a mistake in the list.
        span=timedelta(days=60),
        every=None,
    ),
    Picture(
        function=reliability_month,
        title="The month so far",
        plain="How minutes without power and interruptions have added up since the first, against the month's target.",
        source="IEEE Std 1366, clause 3",
        form=Lines(lane="index", at="until", value="value", limit="target"),
        columns=(
            Column(name="index", meaning="Index"),
            Column(name="day", kind="day", meaning="Day"),
            Column(name="until", kind="instant", meaning="Until"),
            Column(name="value", kind="number", meaning="Since the first"),
            Column(name="target", kind="number", meaning="Target of the month"),
        ),
        words=(SAIDI, SAIFI),
        span=timedelta(days=32),
        every=timedelta(seconds=20),
    ),
    Picture(
        function=network_loading,
        title="How full the network is",
        plain="Power through the transformers of the rated one; of a feeder, all its transformers together.",
        source="IEC 60076-7 and IS 6600",
        form=Bars(label="name", value="loading_pct", limit="target_pct", group="group", note="why"),
        columns=(
            Column(name="group", meaning="Of what"),
            Column(name="asset", meaning="Asset"),
            NAME,
            WARD,
            Column(name="loading_pct", kind="number", unit="percent", meaning="Loading"),
            Column(name="kva", kind="number", unit="kVA", meaning="Apparent power"),
            Column(name="rated_kva", kind="number", unit="kVA", meaning="Rated"),
            Column(name="target_pct", kind="number", unit="percent", meaning="Target"),
            Column(name="why", meaning="Why it is unknown"),
        ),
        words=(FEEDERS, TRANSFORMERS),
        every=None,
    ),
    Picture(
        function=microgrid_flow,
        title="Power in the microgrids",
        plain="Where the power comes from and where it goes, mean of the last quarter of an hour.",
        source="IEA-PVPS usage",
        form=Flow(source="from", target="to", value="power_kw"),
        columns=(
            Column(name="from", meaning="From"),
            Column(name="to", meaning="To"),
            Column(name="power_kw", kind="number", unit="kW", meaning="Power"),
        ),
        words=(SOLAR, DIESEL, GRID, DISCHARGE, LOAD, CHARGE, EXPORT, BUS),
        span=timedelta(minutes=15),
        every=timedelta(seconds=10),
    ),
)
