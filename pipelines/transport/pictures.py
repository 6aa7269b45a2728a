"""Pictures of transport: where the buses are and how late, how evenly they come, who is on time, how roads flow."""

from datetime import datetime, timedelta

import polars as pl

from pipelines.engine.measures import in_windows
from pipelines.engine.model import Column
from pipelines.engine.picture import Amount, Bars, Drawn, Marks, Picture, Said, Strip, say, say_n, within
from pipelines.transport.formulas import age_s, bunched, fresh, long_gap, on_time
from pipelines.transport.observed import headways
from pipelines.transport.roads import on_links
from pipelines.transport.schedule import timetable

Frame = pl.DataFrame
UTC = pl.Datetime("us", "UTC")
# The limits of the KPIs: on time from a minute early to five late, fresh for 90 s, bunched, and a long gap.
EARLY_S, LATE_S, FRESH_S, BUNCHED, GAP = 60.0, 300.0, 90.0, 0.25, 2.0
MOST_POINTS, MOST_LANES, MOST_STOPS = 120, 16, 10
LATE, EARLY, PUNCTUAL, UNKNOWN = "late", "early", "on time", "delay unknown"
CLUMP, HOLE = "bunched: under a quarter of the promised gap", "long gap: over twice the promised one"
ROUTES, STOPS = "Routes", "Stops furthest from their target"


def vehicles_now(
    vehicle_positions: Frame, trip_updates: Frame, gtfs_routes: Frame, gtfs_trips: Frame, gtfs_shapes: Frame,
    feeds: Frame, now: datetime,
) -> Drawn:  # fmt: skip
    """The newest place of every bus on a trip, with the delay that its trip has, on the lines of its route."""
    on_trip = vehicle_positions.filter(pl.col("trip").is_not_null() & pl.col("lat").is_not_null())
    newest = on_trip.sort("observed_at").unique("vehicle", keep="last", maintain_order=True)
    told = trip_updates.drop_nulls("delay_s").sort("observed_at").unique(["service_date", "trip"], keep="last")
    rows = newest.join(told.select("service_date", "trip", "delay_s"), on=["service_date", "trip"], how="left")
    rows = rows.join(gtfs_routes.select("route", "route_name"), on="route", how="left")
    punctual = on_time(pl.col("delay_s"), EARLY_S, LATE_S)
    is_fresh = fresh(pl.when("stamped").then(age_s(pl.lit(now, UTC), pl.col("observed_at"))), FRESH_S)
    off = pl.when(pl.col("delay_s") > 0).then(pl.lit(LATE)).otherwise(pl.lit(EARLY))
    known = pl.when(punctual).then(pl.lit(PUNCTUAL)).otherwise(off)
    how = pl.when(pl.col("delay_s").is_null()).then(pl.lit(UNKNOWN)).otherwise(known)
    state = pl.when(~is_fresh).then(pl.lit("stale")).when(punctual.fill_null(True)).then(pl.lit("good"))
    rows = rows.select(
        "vehicle", "lat", "lon", "observed_at", route=pl.coalesce("route_name", "route"),
        delay_min=pl.col("delay_s") / 60, punctual=how, state=state.otherwise(pl.lit("watch")),
    ).sort("route", "vehicle")  # fmt: skip
    ways = _ways(gtfs_trips, gtfs_shapes)
    return Drawn(rows, _vehicles_said(rows, feeds), rows["observed_at"].max(), ground=ways)  # type: ignore[arg-type]


def _ways(gtfs_trips: Frame, gtfs_shapes: Frame) -> Frame:
    """The line that most trips of each route follow, in few enough points."""
    used = (
        gtfs_trips.drop_nulls("shape").group_by("route", "shape").len().sort("len", "shape", descending=[True, False])
    )
    lines = used.unique("route", keep="first", maintain_order=True).select(line="route", shape="shape")
    points = gtfs_shapes.join(lines, on="shape").sort("line", "sequence")
    every = (pl.len().over("line").cast(pl.Int64) + MOST_POINTS - 1) // MOST_POINTS
    last = pl.col("sequence") == pl.col("sequence").max().over("line")
    return points.filter((pl.int_range(pl.len()).over("line") % every == 0) | last).select("line", "lat", "lon")


def _vehicles_said(rows: Frame, feeds: Frame) -> tuple[Said, ...]:
    if rows.is_empty():
        came = feeds.filter(table="vehicle_positions")["last_arrival"].max()
        if came is None:
            return (say("No vehicle has ever reported: no feed of positions has brought anything yet."),)
        return (say("No bus is on a trip, or none has reported its place: the feed last brought something at {at}.",
                    at=came),)  # type: ignore[arg-type]  # fmt: skip
    late, stale = rows.filter(punctual=LATE), rows.filter(state="stale").height
    told = [
        say_n("{n} bus is on the road; more than five minutes late: {late}.",
              "{n} buses are on the road; more than five minutes late: {late}.", rows.height, late=late.height)
    ]  # fmt: skip
    if late.height:
        worst = late.sort("delay_min").row(-1, named=True)
        told.append(say("{vehicle} on route {route} is {delay} late.", vehicle=worst["vehicle"], route=worst["route"],
                        delay=Amount(worst["delay_min"], "minute", 0)))  # fmt: skip
    if stale:
        told.append(say_n("{n} has sent no place for a minute and a half.",
                          "{n} have sent no place for a minute and a half.", stale))  # fmt: skip
    return tuple(told)


def headway_strip(
    passages: Frame, gtfs_routes: Frame, gtfs_trips: Frame, gtfs_stops: Frame, gtfs_stop_times: Frame,
    gtfs_service_days: Frame, gtfs_frequencies: Frame, start: datetime, now: datetime, zone: str,
) -> Drawn:  # fmt: skip
    """When the buses of each route and direction passed its busiest stop, and which came in a clump or after a hole."""
    window = pl.DataFrame(
        {"window": [start], "end": [now], "as_of": [now]}, schema=dict.fromkeys(("window", "end", "as_of"), UTC)
    )
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, window, zone)
    found = in_windows(headways(passages, plan), window)
    line = ["route", "towards"]
    busiest = found.group_by(*line, "stop").len().sort("len", "stop", descending=[True, False])
    places = busiest.unique(line, keep="first", maintain_order=True).sort("len", descending=True).head(MOST_LANES)
    rows = found.join(places, on=[*line, "stop"], how="semi")
    rows = rows.join(gtfs_routes.select("route", "route_name"), on="route", how="left")
    rows = rows.join(gtfs_stops.select("stop", "stop_name"), on="stop", how="left")
    signs = gtfs_trips.drop_nulls("headsign").select("trip", "headsign")
    rows = rows.join(signs, on="trip", how="left")
    close = bunched(pl.col("headway_min"), pl.col("scheduled_min"), BUNCHED).fill_null(False)
    hole = long_gap(pl.col("headway_min"), pl.col("scheduled_min"), GAP).fill_null(False)
    rows = rows.with_columns(
        name=pl.coalesce("route_name", "route"),
        at_stop=pl.coalesce("stop_name", "stop"),
        note=pl.when(close).then(pl.lit(CLUMP)).when(hole).then(pl.lit(HOLE)),
        state=pl.when(close).then(pl.lit("breach")).when(hole).then(pl.lit("watch")).otherwise(pl.lit("good")),
    )
    to = pl.col("headsign").drop_nulls().mode().first().over(line)
    lane = pl.concat_str(
        [pl.col("name"), pl.lit(" → "), to.fill_null(pl.col("towards")), pl.lit(" · "), pl.col("at_stop")]
    )
    rows = rows.with_columns(lane=lane).sort("name", "towards", "observed_at")
    return Drawn(rows, _strip_said(rows, now - start), rows["observed_at"].max())  # type: ignore[arg-type]


def _strip_said(rows: Frame, span: timedelta) -> tuple[Said, ...]:
    if rows.is_empty():
        return (say("No two buses of a route have passed the same stop in the last {span}.", span=span),)
    clumps, holes = rows.filter(state="breach"), rows.filter(state="watch").height
    lanes = rows["lane"].n_unique()
    if not clumps.height and not holes:
        return (say("In the last {span} the buses of all {n} lines came evenly.", span=span, n=lanes),)
    told = [say("In the last {span} {clumps} buses came bunched and {holes} after a long gap, on {n} lines.", span=span,
                clumps=clumps.height, holes=holes, n=lanes)]  # fmt: skip
    if clumps.height:
        worst = clumps.group_by("name").len().sort("len", "name", descending=[True, False]).row(0)
        told.append(say("Most bunching is on route {route}.", route=worst[0]))
    return tuple(told)


def on_time_share(board: Frame, gtfs_routes: Frame, gtfs_stops: Frame) -> Drawn:
    """Share of today's passages on time, by route, and at the stops that are furthest from the target."""
    known = board.filter(kpi="on_time_performance").select(
        "level", "key", "target", "state", "n", "coverage", "as_of", share_pct="value",
        why=pl.when(pl.col("value").is_null()).then(pl.coalesce("detail", "reason")),
    )  # fmt: skip
    called = gtfs_routes.select(
        key="route", route_name=pl.concat_str("route_name", "long_name", separator=" · ", ignore_nulls=True)
    )
    routes = known.filter(level="route").join(called, on="key", how="left")
    stops = known.filter(level="stop").join(
        gtfs_stops.select("stop", "stop_name"), left_on="key", right_on="stop", how="left"
    )
    columns = ["group", "name", "share_pct", "target_pct", "n", "why", "state", "coverage", "as_of"]
    by_route = routes.with_columns(group=pl.lit(ROUTES), name=pl.coalesce("route_name", "key")).sort("name")
    by_stop = stops.drop_nulls("share_pct").sort("share_pct").head(MOST_STOPS)
    by_stop = by_stop.with_columns(group=pl.lit(STOPS), name=pl.coalesce("stop_name", "key"))
    rows = pl.concat([part.rename({"target": "target_pct"}).select(columns) for part in (by_route, by_stop)])
    seen = rows.drop_nulls("share_pct")
    return Drawn(rows, _on_time_said(by_route, by_stop), seen["as_of"].min(), seen["coverage"].mean())  # type: ignore[arg-type]


def _on_time_said(routes: Frame, stops: Frame) -> tuple[Said, ...]:
    known = routes.drop_nulls("share_pct")
    if known.is_empty():
        return (say("Nothing is known of punctuality yet today: no passage of a timing point was seen."),)
    good = known.filter(state="good").height
    told = [say("{n} of {all} routes meet the target today.", n=good, all=known.height)]
    if stops.height:
        worst = stops.row(0, named=True)
        told.append(say("Least punctual is the stop {stop}, with {share} on time.", stop=worst["name"],
                        share=Amount(worst["share_pct"], "percent")))  # fmt: skip
    if routes.height > known.height:
        rest = routes.height - known.height
        told.append(say_n("Of {n} route it is unknown.", "Of {n} routes it is unknown.", rest))
    return tuple(told)


def traffic_now(board: Frame, traffic_speed_km_h: Frame, road_links: Frame, assets: Frame, area: str = "town") -> Drawn:
    """Speed of the newest reading per road, and its speed when the road is empty."""
    speeds = on_links(traffic_speed_km_h, assets, road_links).sort("observed_at").group_by("asset").agg(
        speed_km_h=pl.col("value").last(), observed_at=pl.col("observed_at").last()
    )  # fmt: skip
    state = board.filter(kpi="speed_of_free_flow", level="asset").select("state", asset="key")
    rows = road_links.select("asset", "free_flow_km_h").join(assets.select("asset", "name", "ward"), on="asset")
    for part in (speeds, state):
        rows = rows.join(part, on="asset", how="left")
    rows = within(rows, area).sort(pl.col("speed_km_h") / pl.col("free_flow_km_h"), nulls_last=True)
    return Drawn(rows, _traffic_said(rows), rows["observed_at"].min())  # type: ignore[arg-type]


def traffic_volumes(board: Frame, assets: Frame, area: str = "town") -> Drawn:
    """Vehicles of the newest hour at each counter."""
    known = board.filter(kpi="traffic_volume", level="asset").select(
        "coverage", "as_of", "window", "end", asset="key", vehicles_h="value",
        why=pl.when(pl.col("value").is_null()).then("reason"),
    )  # fmt: skip
    rows = known.join(assets.select("asset", "name", "ward"), on="asset", how="left")
    rows = within(rows, area).sort("vehicles_h", descending=True, nulls_last=True)
    seen = rows.drop_nulls("vehicles_h")
    told = [say("No counter has brought a whole hour yet.")]
    if seen.height:
        busy = seen.row(0, named=True)
        words = {"road": busy["name"], "count": Amount(busy["vehicles_h"], "vehicle/h", 0)}
        told = [say("Busiest is {road} with {count} in the hour from {start}.", start=busy["window"], **words)]
        if seen.height < rows.height:
            rest = rows.height - seen.height
            told.append(say_n("Of {n} counter it is unknown.", "Of {n} counters it is unknown.", rest))
    return Drawn(rows, tuple(told), seen["as_of"].min(), seen["coverage"].mean())  # type: ignore[arg-type]


def _traffic_said(rows: Frame) -> tuple[Said, ...]:
    known = rows.drop_nulls("speed_km_h")
    if known.is_empty():
        return (say("No road has sent a speed in the last hour."),)
    slow = known.row(0, named=True)
    speed, free = (Amount(slow[name], "km/h", 0) for name in ("speed_km_h", "free_flow_km_h"))
    words = {"road": slow["name"], "speed": speed, "free": free}
    told = [say("Slowest against the empty road is {road}: {speed} instead of {free}.", **words)]
    if known.height < rows.height:
        told.append(
            say("{n} of {all} roads sent no speed in the last hour.", n=rows.height - known.height, all=rows.height)
        )
    return tuple(told)


NAME = Column(name="name", meaning="Name")
ROUTE = Column(name="route", meaning="Route")
OBSERVED = Column(name="observed_at", kind="instant", meaning="Seen at")

PICTURES = (
    Picture(
        function=vehicles_now,
        title="Buses now",
        plain="Where each bus on a trip was last seen, and whether it is late.",
        source="GTFS-Realtime vehicle positions and trip updates; on time as TR-01",
        form=Marks(lat="lat", lon="lon", label="vehicle", note="punctual"),
        columns=(
            Column(name="vehicle", meaning="Vehicle"),
            ROUTE,
            Column(name="delay_min", kind="number", unit="minute", meaning="Delay"),
            Column(name="punctual", meaning="Punctuality"),
            Column(name="lat", kind="number", unit="degree", meaning="Latitude"),
            Column(name="lon", kind="number", unit="degree", meaning="Longitude"),
            OBSERVED,
        ),
        words=(LATE, EARLY, PUNCTUAL, UNKNOWN),
        span=timedelta(minutes=15),
        every=timedelta(seconds=10),
    ),
    Picture(
        function=traffic_now,
        title="Speed on the roads",
        plain="How fast the roads flow, against their speed when they are empty.",
        source="FHWA; HCM",
        form=Bars(label="name", value="speed_km_h", limit="free_flow_km_h"),
        columns=(
            Column(name="asset", meaning="Road"),
            NAME,
            Column(name="ward", meaning="Ward"),
            Column(name="speed_km_h", kind="number", unit="km/h", meaning="Speed"),
            Column(name="free_flow_km_h", kind="number", unit="km/h", meaning="Empty road"),
            OBSERVED,
        ),
        span=timedelta(hours=1),
        every=timedelta(seconds=15),
    ),
    Picture(
        function=on_time_share,
        title="On time, by route and stop",
        plain="Of today's passages, how many were neither more than a minute early nor more than five late.",
        source="TCQSM 3rd ed. ch. 5",
        form=Bars(label="name", value="share_pct", limit="target_pct", group="group", note="why", full=100.0),
        columns=(
            Column(name="group", meaning="Of what"),
            NAME,
            Column(name="share_pct", kind="number", unit="percent", meaning="On time"),
            Column(name="target_pct", kind="number", unit="percent", meaning="Target"),
            Column(name="n", kind="integer", meaning="Passages"),
            Column(name="why", meaning="Why it is unknown"),
        ),
        words=(ROUTES, STOPS),
        every=None,
    ),
    Picture(
        function=traffic_volumes,
        title="Traffic counted",
        plain="How many vehicles passed each counter in its newest whole hour.",
        source="HCM",
        form=Bars(label="name", value="vehicles_h", note="why"),
        columns=(
            Column(name="asset", meaning="Counter"),
            NAME,
            Column(name="ward", meaning="Ward"),
            Column(name="vehicles_h", kind="number", unit="vehicle/h", meaning="Vehicles in the hour"),
            Column(name="window", kind="instant", meaning="From"),
            Column(name="end", kind="instant", meaning="Until"),
            Column(name="why", meaning="Why it is unknown"),
        ),
        every=None,
    ),
    Picture(
        function=headway_strip,
        title="Headways",
        plain="Each tick is a bus at the busiest stop of its route: what comes in a clump leaves a hole behind it.",
        source="TR-05; TfL long gaps; a clump is under a quarter of the scheduled headway",
        form=Strip(lane="lane", at="observed_at", note="note"),
        columns=(
            Column(name="lane", meaning="Route and stop"),
            Column(name="observed_at", kind="instant", meaning="Passed at"),
            Column(name="headway_min", kind="number", unit="minute", meaning="Gap to the bus before"),
            Column(name="scheduled_min", kind="number", unit="minute", meaning="Promised gap"),
            Column(name="note", meaning="What was wrong"),
        ),
        words=(CLUMP, HOLE),
        span=timedelta(hours=3),
        longest=timedelta(hours=24),
        most=1200,
    ),
)
