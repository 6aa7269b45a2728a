"""Pictures of grievances: what comes in and goes out, how old the pile is, how far requests get, where, and in time."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.model import INSTANT, Column
from pipelines.engine.picture import Amount, Bars, Drawn, Funnel, Lines, Marks, Picture, Said, say, say_n, within
from pipelines.grievances.backlog import loads
from pipelines.grievances.cases import counted
from pipelines.grievances.formulas import days_between, pause
from pipelines.grievances.settling import promised

Frame = pl.DataFrame
# How far back rows are read: an open request that is older than this has been forgotten by everybody.
MEMORY = timedelta(days=760)
DAYS, FUNNEL_DAYS = 30, 30
RECEIVED, CLOSED, OPEN = "Received in the day", "Closed in the day", "Open at the end of the day"
AGES = {
    "age:le7": "up to 7 days",
    "age:d8_21": "8 to 21 days",
    "age:d22_30": "22 to 30 days",
    "age:gt30": "over 30 days",
}
CAME, ANSWERED, SETTLED, STAYED = "Received", "Answered by a person", "Settled", "Settled and not come back"
SERVICES, WARDS = "Services", "Wards"
# A ward is placed amid its requests only where these are too many to point at anybody's door.
LEAST_TO_PLACE = 20
OLDEST = 20


def in_and_out(service_requests: Frame, wards: Frame, area: str, now: datetime, zone: str) -> Drawn:
    """Requests received and closed on each of the last days, and how many were open when it ended."""
    days = _days(now, zone)
    moved = loads(service_requests, wards, days).filter(pl.col("area") == area).sort("window")
    names = {"received": RECEIVED, "closed": CLOSED, "closing": OPEN}
    parts = [
        moved.select(what=pl.lit(title), at="window", requests=pl.col(name).round(0).cast(pl.Int64))
        for name, title in names.items()
    ]
    rows = pl.concat(parts).with_columns(day=pl.col("at").dt.convert_time_zone(zone).dt.date())
    return Drawn(rows, _moved_said(moved), service_requests["updated_datetime"].max())  # type: ignore[arg-type]


def _days(now: datetime, zone: str) -> Frame:
    """The last days and today, so far."""
    here = now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    edges = [(here + timedelta(days=n)).replace(tzinfo=ZoneInfo(zone)) for n in range(1 - DAYS, 2)]
    rows = {"window": edges[:-1], "end": edges[1:], "as_of": [min(end, now) for end in edges[1:]]}
    return pl.DataFrame(rows, schema=dict.fromkeys(rows, INSTANT))


def _moved_said(moved: Frame) -> tuple[Said, ...]:
    if moved.is_empty():
        return (say("No request has ever come: there is nothing to count."),)
    came, went, left = (int(moved[name].sum()) for name in ("received", "closed", "reopened"))
    told = [say("In {days} days {came} requests came and {went} were closed; {open} are open.", days=moved.height,
                came=came, went=went, open=int(moved["closing"][-1]))]  # fmt: skip
    told.append(say("The pile is growing.") if went < came + left else say("The office keeps up with what comes in."))
    return tuple(told)


def backlog_by_age(board: Frame) -> Drawn:
    """Open requests of the town by their age."""
    ages = pl.DataFrame({"area": list(AGES), "age": list(AGES.values())})
    stands = board.filter(kpi="backlog", level="age").select(
        "area", "as_of", "coverage", requests=pl.col("value").cast(pl.Int64)
    )
    state = pl.when(pl.col("area") == "age:gt30").then(pl.lit("watch")).otherwise(pl.lit("context"))
    rows = ages.join(stands, on="area", how="left", maintain_order="left").with_columns(
        state=pl.when(pl.col("requests") > 0).then(state).otherwise(pl.lit("context"))
    )
    known = rows.drop_nulls("requests")
    told = (say("How old the open requests are is unknown: none has ever come."),)
    if known.height:
        old = known.filter(area="age:gt30")["requests"].sum()
        told = (
            say("Of {n} open requests {old} are older than 30 days.", n=int(known["requests"].sum()), old=int(old)),
        )
    return Drawn(rows, told, known["as_of"].min(), known["coverage"].mean())  # type: ignore[arg-type]


def how_far(service_requests: Frame, area: str, now: datetime) -> Drawn:
    """How far the requests of the last days got: answered, settled, and settled for good."""
    since = pl.lit(now - timedelta(days=FUNNEL_DAYS), INSTANT)
    recent = counted(service_requests).filter(pl.col("requested_datetime") >= since)
    recent = recent if area == "town" else recent.filter(ward=area.removeprefix("ward:"))
    settled = pl.col("settled_at").is_not_null()
    answered = pl.col("first_response_at").is_not_null() | settled
    back = pl.col("reopen_count").fill_null(0) > 0
    numbers = recent.select(pl.len(), answered.sum(), settled.sum().alias("s"), (settled & ~back).sum().alias("k")).row(
        0
    )
    rows = pl.DataFrame(
        {
            "stage": [CAME, ANSWERED, SETTLED, STAYED],
            "requests": [int(n) for n in numbers],
            "share_pct": [100 * n / numbers[0] if numbers[0] else None for n in numbers],
        },
        schema={"stage": pl.String, "requests": pl.Int64, "share_pct": pl.Float64},
    )
    shown = rows if numbers[0] else rows.clear()
    return Drawn(shown, _far_said(numbers), recent["updated_datetime"].max())  # type: ignore[arg-type]


def _far_said(numbers: tuple[int, ...]) -> tuple[Said, ...]:
    came, answered, settled, _stayed = numbers
    if not came:
        return (say("No request came in the last {n} days.", n=FUNNEL_DAYS),)
    return (
        say("Of {came} requests of the last {days} days nobody has answered {silent} yet; {settled} are settled.",
            came=came, days=FUNNEL_DAYS, silent=came - answered, settled=settled),
    )  # fmt: skip


def open_by_ward(service_requests: Frame, board: Frame, wards: Frame, area: str = "town") -> Drawn:
    """Open requests and those past their promised date by ward, drawn amid the ward's requests of a year."""
    placed = (
        service_requests.drop_nulls(["lat", "lon", "ward"])
        .group_by("ward")
        .agg(pl.col("lat", "lon").mean(), n=pl.len())
    )
    amid = placed.filter(pl.col("n") >= LEAST_TO_PLACE).drop("n")
    stands = board.filter(kpi="backlog", level="ward").select(
        "as_of", "coverage", ward="key", open=pl.col("value").cast(pl.Int64)
    )
    late = board.filter(kpi="overdue", level="ward").select("state", ward="key", overdue=pl.col("value").cast(pl.Int64))
    rows = wards.select("ward", "name")
    for part in (stands, late, amid):
        rows = rows.join(part, on="ward", how="left", maintain_order="left")
    rows = within(rows, area).sort("open", descending=True, nulls_last=True)
    known = rows.drop_nulls("open")
    told = [say("How many requests are open is unknown for every ward.")]
    if known.height:
        most = known.row(0, named=True)
        told = [say("Most are open in {ward}: {n}, of which {late} are past their promised date.", ward=most["name"],
                    n=most["open"], late=most["overdue"])]  # fmt: skip
    bare = rows["lat"].null_count()
    if known.height and bare:
        told.append(say_n("{n} ward is not drawn: too few of its requests name a place.",
                          "{n} wards are not drawn: too few of their requests name a place.", bare))  # fmt: skip
    return Drawn(rows, tuple(told), known["as_of"].min(), known["coverage"].mean())  # type: ignore[arg-type]


def in_time(board: Frame, services: Frame, wards: Frame) -> Drawn:
    """Share settled by the promised date this month, by service and by ward; shares of few cases are not told."""
    known = board.filter(kpi="sla_compliance").select(
        "level", "key", "target", "state", "n", "coverage", "as_of", share_pct="value",
        why=pl.when(pl.col("value").is_null()).then("reason"),
    )  # fmt: skip
    called = services.select(key="service_code", service="service_name")
    by_service = known.filter(level="service").join(called, on="key", how="left")
    by_service = by_service.with_columns(group=pl.lit(SERVICES), name=pl.coalesce("service", "key"))
    by_ward = known.filter(level="ward").join(wards.select(key="ward", name="name"), on="key", how="left")
    by_ward = by_ward.with_columns(group=pl.lit(WARDS), name=pl.coalesce("name", "key"))
    columns = ["group", "name", "share_pct", "target", "n", "why", "state", "coverage", "as_of"]
    parts = [part.sort("share_pct", nulls_last=True).select(columns) for part in (by_service, by_ward)]
    rows = pl.concat(parts).rename({"target": "target_pct"})
    seen = rows.drop_nulls("share_pct")
    town = board.filter(kpi="sla_compliance", area="town").drop_nulls("value")
    return Drawn(rows, _time_said(rows, seen, town), seen["as_of"].min(), seen["coverage"].mean())  # type: ignore[arg-type]


def _time_said(rows: Frame, seen: Frame, town: Frame) -> tuple[Said, ...]:
    told = [say("The town's share is unknown: fewer than 20 requests have come due this month.")]
    if town.height:
        share, target = (Amount(town[name][0], "percent") for name in ("value", "target"))
        told = [say("{share} of the requests due this month were settled in time; the target is {target}.", share=share,
                    target=target)]  # fmt: skip
    of_services = seen.filter(group=SERVICES)
    if of_services.height:
        worst = of_services.row(0, named=True)
        told.append(say("Least in time is {service}, with {share}.", service=worst["name"],
                        share=Amount(worst["share_pct"], "percent")))  # fmt: skip
    if rows.height > seen.height:
        told.append(
            say("{n} of {all} shares are not told: too few cases.", n=rows.height - seen.height, all=rows.height)
        )
    return tuple(told)


def oldest_open(service_requests: Frame, services: Frame, area: str, now: datetime) -> Drawn:
    """The requests that have been open longest, with what was promised."""
    at = pl.lit(now, INSTANT)
    still = promised(service_requests, services, pause(pl.col("paused_h"))).filter(pl.col("settled_at").is_null())
    still = still if area == "town" else still.filter(ward=area.removeprefix("ward:"))
    late = (pl.col("due_at") < at).fill_null(False)
    rows = still.with_columns(
        about=pl.coalesce("service_name", "service_code"),
        age_days=days_between(pl.col("requested_datetime"), at),
        past_due=late,
        state=pl.when(late).then(pl.lit("watch")).otherwise(pl.lit("context")),
    ).sort("requested_datetime")
    told = (say("No request is open here."),)
    if rows.height:
        age = Amount(rows["age_days"][0], "day", 0)
        told = (say("{n} are open, {late} of them past their promised date; the oldest for {age}.", n=rows.height,
                    late=int(rows["past_due"].sum()), age=age),)  # fmt: skip
    return Drawn(rows.head(OLDEST), told, service_requests["updated_datetime"].max())  # type: ignore[arg-type]


REQUESTS = Column(name="requests", kind="integer", meaning="Requests")
WARD, NAME = Column(name="ward", meaning="Ward"), Column(name="name", meaning="Name")
SHARE = Column(name="share_pct", kind="number", unit="percent", meaning="Share")

PICTURES = (
    Picture(
        function=in_and_out,
        title="What comes in and what is settled",
        plain="Requests received and closed day by day, and the pile that is left; today only so far.",
        source="CPGRAMS monthly report: opening, received, disposed, closing",
        form=Lines(lane="what", at="at", value="requests"),
        columns=(
            Column(name="what", meaning="What"),
            Column(name="day", kind="day", meaning="Day"),
            Column(name="at", kind="instant", meaning="Day begins"),
            REQUESTS,
        ),
        words=(RECEIVED, CLOSED, OPEN),
        span=MEMORY,
        every=timedelta(seconds=60),
    ),
    Picture(
        function=how_far,
        title="How far requests get",
        plain="Of the requests of the last thirty days: answered, settled, and settled for good.",
        source="311 practice",
        form=Funnel(stage="stage", value="requests"),
        columns=(Column(name="stage", meaning="Stage"), REQUESTS, SHARE),
        words=(CAME, ANSWERED, SETTLED, STAYED),
        span=MEMORY,
        every=timedelta(seconds=60),
    ),
    Picture(
        function=backlog_by_age,
        title="How old the pile is",
        plain="Open requests of the whole town by the time since they came.",
        source="CPGRAMS monthly report",
        form=Bars(label="age", value="requests"),
        columns=(Column(name="age", meaning="Age"), REQUESTS),
        words=tuple(AGES.values()),
        every=None,
    ),
    Picture(
        function=open_by_ward,
        title="Where requests are open",
        plain="Open requests by ward; no place of a single request is drawn.",
        source="CPGRAMS monthly report; Open311 expected_datetime",
        form=Marks(lat="lat", lon="lon", label="name", size="open"),
        columns=(
            WARD,
            NAME,
            Column(name="open", kind="integer", meaning="Open"),
            Column(name="overdue", kind="integer", meaning="Past the promised date"),
            Column(name="lat", kind="number", unit="degree", meaning="Latitude"),
            Column(name="lon", kind="number", unit="degree", meaning="Longitude"),
        ),
        span=timedelta(days=366),
        every=timedelta(seconds=60),
    ),
    Picture(
        function=in_time,
        title="Settled in time",
        plain="Share settled by the promised date, of the requests due this month.",
        source="Open311 expected_datetime, SLB redressal",
        form=Bars(label="name", value="share_pct", limit="target_pct", group="group", note="why", full=100.0),
        columns=(
            Column(name="group", meaning="Of what"),
            NAME,
            SHARE,
            Column(name="target_pct", kind="number", unit="percent", meaning="Target"),
            Column(name="n", kind="integer", meaning="Cases"),
            Column(name="why", meaning="Why it is unknown"),
        ),
        words=(SERVICES, WARDS),
        every=None,
    ),
    Picture(
        function=oldest_open,
        title="Open for longest",
        plain="The requests that have waited longest; each has a page with its history.",
        source="Open311 requested_datetime, expected_datetime",
        form=Bars(label="service_request_id", value="age_days", note="about"),
        columns=(
            Column(name="service_request_id", meaning="Number"),
            Column(name="about", meaning="About"),
            WARD,
            Column(name="department", meaning="Department"),
            Column(name="requested_datetime", kind="instant", meaning="Received"),
            Column(name="due_at", kind="instant", meaning="Promised"),
            Column(name="past_due", kind="flag", meaning="Past due"),
            Column(name="age_days", kind="number", unit="day", meaning="Open for"),
        ),
        span=MEMORY,
        every=timedelta(seconds=60),
        guarded=True,
    ),
)
