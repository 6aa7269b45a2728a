"""Pictures of water: where it goes, how full the tanks are, what flows at night, who gets how much and how good."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.model import Column
from pipelines.engine.picture import Amount, Bars, Drawn, Flow, Lines, Matrix, Picture, Said, say, within
from pipelines.water.balance import audited
from pipelines.water.readings import by_served_area, midday
from pipelines.water.supply import KPIS as SUPPLY
from pipelines.water.tanks import KPIS as TANKS

Frame = pl.DataFrame
INPUT, AUTHORISED, LOSSES = "System input", "Authorised consumption", "Water losses"
BILLED, FREE, PAPER, REAL = "Billed", "Unbilled, given free", "Apparent losses", "Real losses"
REVENUE, NRW = "Revenue water", "Non-revenue water"
FULL_PCT = 100.0


def month_of(now: datetime, zone: str) -> Frame:
    """The running month of the town as one window."""
    first = now.astimezone(ZoneInfo(zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    following = (first + timedelta(days=32)).replace(day=1)
    edges = [at.replace(tzinfo=ZoneInfo(zone)) for at in (first, following)]
    utc = pl.Datetime("us", "UTC")
    row = {"window": [edges[0]], "end": [edges[1]], "as_of": [now]}
    return pl.DataFrame(row, schema=dict.fromkeys(row, utc))


def water_balance(water_audits: Frame, assets: Frame, area: str, now: datetime, zone: str) -> Drawn:
    """Where the water of twelve audited months went: the IWA balance as flows."""
    months = audited(water_audits, assets, month_of(now, zone), zone)
    billed = pl.sum_horizontal(pl.col("billed_metered_m3", "billed_unmetered_m3").fill_null(0))
    parts = months.with_columns(billed=billed, given=pl.col("authorised") - billed)
    names = ("system_input_m3", "authorised", "water_losses", "billed", "given", "apparent", "real", "nrw")
    sums = by_served_area(parts, assets, names).filter(pl.col("area") == area).select(pl.col(names).sum())
    amount = dict(zip(names, sums.row(0), strict=True)) if months.height else dict.fromkeys(names, 0.0)
    flows = (
        (INPUT, AUTHORISED, "authorised"), (INPUT, LOSSES, "water_losses"), (AUTHORISED, BILLED, "billed"),
        (AUTHORISED, FREE, "given"), (LOSSES, PAPER, "apparent"), (LOSSES, REAL, "real"), (BILLED, REVENUE, "billed"),
        (FREE, NRW, "given"), (PAPER, NRW, "apparent"), (REAL, NRW, "real"),
    )  # fmt: skip
    wrong = amount["water_losses"] < 0 or amount["real"] < 0
    whole = amount["system_input_m3"]
    rows = [
        {"from": source, "to": target, "volume_m3": amount[name], "share_pct": 100 * amount[name] / whole}
        for source, target, name in flows
        if whole and not wrong
    ]
    schema = {"from": pl.String, "to": pl.String, "volume_m3": pl.Float64, "share_pct": pl.Float64}
    told = _balance_said(amount, months["month"].n_unique(), wrong=wrong)
    # The newest audited month speaks for the time up to its end.
    ended = months.select(midday(pl.col("month").dt.month_end(), zone).max()).item()
    return Drawn(pl.DataFrame(rows, schema=schema), told, min(ended, now) if ended else None)


def _balance_said(amount: dict[str, float], months: int, *, wrong: bool) -> tuple[Said, ...]:
    whole = amount["system_input_m3"]
    if not whole:
        return (say("No month of the last twelve has been audited: the balance is unknown."),)
    if wrong:
        return (say("More water was billed than came in: check the bulk meters before the balance is believed."),)
    nrw = Amount(100 * amount["nrw"] / whole, "percent")
    put_in = Amount(whole, "m^3", 0)
    return (
        say("Of {input} put in over {months} audited months, {nrw} earned nothing (non-revenue water).",
            input=put_in, months=months, nrw=nrw),
        say("{real} leaked away and {paper} was lost on paper.", real=Amount(100 * amount["real"] / whole, "percent"),
            paper=Amount(100 * amount["apparent"] / whole, "percent")),
    )  # fmt: skip


def tank_levels(board: Frame, tank_level_m: Frame, tanks: Frame, assets: Frame, area: str = "town") -> Drawn:
    """Every tank with its level in per cent of full, and the hours left at the last hour's net outflow."""
    last = tank_level_m.sort("observed_at").group_by("asset").agg(
        level_m=pl.col("value").last(), observed_at=pl.col("observed_at").last()
    )  # fmt: skip
    hours = board.filter(kpi=TANKS[0].id, level="asset").select(
        asset="key", hours_left="value", state="state", coverage="coverage",
        why=pl.when(pl.col("value").is_null()).then(pl.coalesce("detail", "reason")),
    )  # fmt: skip
    known = tanks.select("asset", "full_level_m").join(assets.select("asset", "name", "ward"), on="asset")
    rows = known.join(last, on="asset", how="left").join(hours, on="asset", how="left")
    full = 100 * pl.col("level_m") / pl.col("full_level_m")
    rows = rows.with_columns(full_pct=full, why=pl.col("why"))
    rows = within(rows, area).sort("hours_left", "full_pct", nulls_last=True)
    return Drawn(rows, _tanks_said(rows), rows["observed_at"].min(), rows["coverage"].mean())  # type: ignore[arg-type]


def _tanks_said(rows: Frame) -> tuple[Said, ...]:
    if rows.is_empty():
        return (say("No tank of the register tanks.csv stands here."),)
    running = rows.drop_nulls("hours_left")
    unknown = rows["level_m"].null_count()
    told = []
    if running.height:
        first = running.row(0, named=True)
        left = Amount(first["hours_left"], "hour")
        told.append(
            say("{tank} runs out first, in {left} at the outflow of the last hour.", tank=first["name"], left=left)
        )
    else:
        told.append(say("No tank is running down: all that report are filling or standing still."))
    if unknown:
        told.append(say("{n} of {all} tanks sent no level in the last hour.", n=unknown, all=rows.height))
    return tuple(told)


def night_flow(history: Frame, steps: Frame, dmas: Frame, assets: Frame, area: str, zone: str) -> Drawn:
    """The lowest hour of each night per district metered area, with the steps of its level that stayed."""
    named = assets.filter(kind="dma").select(pl.format("asset:{}", "asset").alias("area"), "asset", "name", "ward")
    usual = dmas.select("asset", "baseline_night_m3_h")
    here = named if area == "town" else named.filter(ward=area.removeprefix("ward:"))
    nights = history.sort("window").join(here, on="area").join(usual, on="asset", how="left")
    up = pl.col("after") > pl.col("before")
    came = steps.select("area", night="came", step=pl.when(up).then(pl.lit("step up")).otherwise(pl.lit("step down")))
    rows = nights.with_columns(night=pl.col("window").dt.convert_time_zone(zone).dt.date())
    rows = rows.join(came.unique(["area", "night"]), on=["area", "night"], how="left").sort("name", "night")
    rows = rows.select(
        "name", "ward", "night", "step", at="window", flow_m3_h="value", usual_m3_h="baseline_night_m3_h"
    )
    return Drawn(rows, _night_said(rows), nights["computed_at"].max())  # type: ignore[arg-type]


def _night_said(rows: Frame) -> tuple[Said, ...]:
    if rows.is_empty():
        return (say("No night has been judged yet: it takes one whole night with readings of every inlet."),)
    newest = rows.drop_nulls("flow_m3_h").sort("night").group_by("name").last()
    over = newest.with_columns(share=pl.col("flow_m3_h") / pl.col("usual_m3_h")).sort(
        "share", descending=True, nulls_last=True
    )
    stepped = rows.drop_nulls("step")
    told = []
    if over.height and over["share"][0] is not None:
        told.append(say("{area} flows most against its usual: {share} in its last judged night.", area=over["name"][0],
                        share=Amount(100 * over["share"][0], "percent", 0)))  # fmt: skip
    if stepped.height:
        last = stepped.sort("night").row(-1, named=True)
        told.append(say("The level changed and stayed in {n} areas, last in {area} on {night}.",
                        n=stepped["name"].n_unique(), area=last["name"], night=last["night"]))  # fmt: skip
    else:
        told.append(say("No level of a night flow has changed and stayed."))
    return tuple(told)


def _by_ward(board: Frame, wards: Frame, kpi: str) -> Frame:
    """The KPI of every ward of the register, unknown where the board has none."""
    found = board.filter(kpi=kpi, level="ward").select(
        "value", "target", "state", "coverage", "as_of", "window", ward="key",
        why=pl.when(pl.col("value").is_null()).then(pl.col("reason")),
    )  # fmt: skip
    return wards.select("ward", "name").join(found, on="ward", how="left", maintain_order="left")


def supply_hours(board: Frame, wards: Frame, zone: str, area: str = "town") -> Drawn:
    """Hours of supply per ward in the newest day that is judged, against the target."""
    rows = _by_ward(board, wards, "supply_continuity").rename({"value": "hours", "target": "target_h"})
    day = pl.col("window").dt.convert_time_zone(zone).dt.date()
    rows = within(rows, area).with_columns(day=day).sort("hours", nulls_last=True)
    known = rows.drop_nulls("hours")
    told = [say("Hours of supply are not known for any ward yet.")]
    if known.height:
        short = known.filter(pl.col("hours") < pl.col("target_h"))
        least = known.row(0, named=True)
        words = {"n": short.height, "all": known.height, "ward": least["name"], "day": least["day"]}
        told = [
            say(
                "{n} of {all} wards got less than promised; {ward} had water for {hours} on {day}.",
                hours=Amount(least["hours"], "hour"),
                **words,
            )
        ]
    told += _missing(rows.height - known.height)
    return Drawn(rows, tuple(told), known["as_of"].min(), known["coverage"].mean())  # type: ignore[arg-type]


def _missing(wards: int) -> list[Said]:
    return [say("Of {n} wards it is unknown.", n=wards)] if wards else []


JUDGED = {"pressure_compliance": "Enough pressure", "chlorine_compliance": "Chlorine within limits"}


def water_compliance(board: Frame, wards: Frame, area: str = "town") -> Drawn:
    """Share of today's readings with enough pressure and with chlorine within limits, per ward."""
    parts = [_by_ward(board, wards, kpi).with_columns(test=pl.lit(title)) for kpi, title in JUDGED.items()]
    rows = pl.concat(parts).rename({"value": "share_pct", "target": "target_pct"}).sort("ward", maintain_order=True)
    rows, wards = within(rows, area), within(wards, area)
    known = rows.drop_nulls("share_pct")
    told = []
    for title in JUDGED.values():
        of_it = known.filter(test=title)
        if of_it.height:
            told.append(say("{test}: {n} of {all} wards meet the target.", test=title,
                            n=of_it.filter(state="good").height, all=of_it.height))  # fmt: skip
        else:
            told.append(say("{test}: unknown, no ward has sent enough readings today.", test=title))
        if 0 < of_it.height < wards.height:
            rest = wards.height - of_it.height
            told.append(say("The other {n} have no instrument, or too few of its readings came.", n=rest))
    return Drawn(rows, tuple(told), known["as_of"].min(), known["coverage"].mean())  # type: ignore[arg-type]


NAME, WARD = Column(name="name", meaning="Name"), Column(name="ward", meaning="Ward")
WHY = Column(name="why", meaning="Why it is unknown")

PICTURES = (
    Picture(
        function=water_balance,
        title="From the source to the bill",
        plain="Twelve audited months of the water balance: what was billed, and what was lost on the way.",
        source="IWA best-practice balance; AWWA M36",
        form=Flow(source="from", target="to", value="volume_m3"),
        words=(INPUT, AUTHORISED, LOSSES, BILLED, FREE, PAPER, REAL, REVENUE, NRW),
        columns=(
            Column(name="from", meaning="From"),
            Column(name="to", meaning="To"),
            Column(name="volume_m3", kind="number", unit="m^3", meaning="Volume"),
            Column(name="share_pct", kind="number", unit="percent", meaning="Share of the system input"),
        ),
        span=timedelta(days=430),
        every=timedelta(minutes=10),
    ),
    Picture(
        function=tank_levels,
        title="Tanks",
        plain="How full each tank is, and for how many hours it lasts at the outflow of the last hour.",
        source=TANKS[0].standard,
        form=Bars(label="name", value="full_pct", more="hours_left", note="why", full=FULL_PCT),
        words=("filling",),
        columns=(
            Column(name="asset", meaning="Tank"),
            NAME,
            WARD,
            Column(name="level_m", kind="number", unit="m", meaning="Level"),
            Column(name="full_pct", kind="number", unit="percent", meaning="Of full"),
            Column(name="hours_left", kind="number", unit="hour", meaning="Hours left"),
            WHY,
            Column(name="observed_at", kind="instant", meaning="Read at"),
        ),
        span=timedelta(hours=1),
        every=None,
    ),
    Picture(
        function=supply_hours,
        title="Hours of supply",
        plain="For how many hours the wards had water with enough pressure.",
        source=SUPPLY[1].standard,
        form=Bars(label="name", value="hours", limit="target_h", note="why", full=24.0),
        columns=(
            WARD,
            NAME,
            Column(name="hours", kind="number", unit="hour", meaning="Hours of supply"),
            Column(name="target_h", kind="number", unit="hour", meaning="Promised"),
            Column(name="day", kind="day", meaning="Day"),
            WHY,
        ),
        every=None,
    ),
    Picture(
        function=night_flow,
        title="Night flow",
        plain="The lowest hour of each night per area: what flows then is mostly leaks; a step that stays is new.",
        source="BABE; UKWIR 99/WM/08/21",
        form=Lines(lane="name", at="at", value="flow_m3_h", limit="usual_m3_h", mark="step"),
        words=("step up", "step down"),
        columns=(
            NAME,
            WARD,
            Column(name="night", kind="day", meaning="Night"),
            Column(name="at", kind="instant", meaning="Day begins"),
            Column(name="flow_m3_h", kind="number", unit="m^3/h", meaning="Lowest hour"),
            Column(name="usual_m3_h", kind="number", unit="m^3/h", meaning="Usual"),
            Column(name="step", meaning="Step"),
        ),
        span=timedelta(days=30),
        longest=timedelta(days=365),
        every=timedelta(minutes=10),
        history=("minimum_night_flow",),
        most=2000,
    ),
    Picture(
        function=water_compliance,
        title="Pressure and chlorine",
        plain="Share of today's readings within their limits, ward by ward.",
        source="CPHEEO manual on water supply; IS 10500:2012 Table 2",
        form=Matrix(row="name", column="test", value="share_pct", note="why"),
        words=tuple(JUDGED.values()),
        columns=(
            WARD,
            NAME,
            Column(name="test", meaning="Test"),
            Column(name="share_pct", kind="number", unit="percent", meaning="Within limits"),
            Column(name="target_pct", kind="number", unit="percent", meaning="Target"),
            WHY,
        ),
        every=None,
    ),
)
