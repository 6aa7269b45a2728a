"""A picture of every form, of rows written by hand, for tests of the glass only; their numbers mean nothing."""

from datetime import UTC, date, datetime, timedelta

import polars as pl

from pipelines.engine.model import Column
from pipelines.engine.picture import (
    Amount,
    Bars,
    Calendar,
    Drawn,
    Flow,
    Funnel,
    Lines,
    Marks,
    Matrix,
    Picture,
    Strip,
    say,
    say_n,
)  # fmt: skip

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
STATES = ["good", "watch", "breach", "stale", "no data", "context"]
TEXT = {name: Column(name=name, meaning=name.capitalize()) for name in ("name", "group", "note", "from", "to", "hour")}
NUMBER = {
    "value": Column(name="value", kind="number", unit="percent", meaning="Value"),
    "limit": Column(name="limit", kind="number", unit="percent", meaning="Target"),
    "cases": Column(name="cases", kind="integer", meaning="Cases"),
    "lat": Column(name="lat", kind="number", unit="degree", meaning="Latitude"),
    "lon": Column(name="lon", kind="number", unit="degree", meaning="Longitude"),
}
AT = Column(name="at", kind="instant", meaning="When")
DAY = Column(name="day", kind="day", meaning="Day")


def levels(board: pl.DataFrame) -> Drawn:
    """Six bars, one of each state; the first is the board's newest figure."""
    known = board.drop_nulls("value").sort("kpi", "area")
    first = float(known["value"][0]) if known.height else None
    rows = pl.DataFrame(
        {"name": [f"Tank <{n}>" for n in range(6)], "value": [first, 80.0, 30.0, 55.0, None, 20.0], "limit": [60.0] * 6,
         "group": ["Old"] * 3 + ["New"] * 3, "note": [None, None, "filling", None, "no_data", None], "state": STATES}
    )  # fmt: skip
    return Drawn(rows, (say("{n} tanks; the first is at {first}.", n=6, first=Amount(first, "percent")),), BEGAN, 0.5)


def nights(start: datetime) -> Drawn:
    """Two lanes of thirty nights with a step in one."""
    days = [BEGAN + timedelta(days=n) for n in range(30)]
    rows = [
        {"name": name, "at": at, "value": 20.0 + n % 5 + (15.0 if lane and n > 20 else 0.0), "limit": 22.0,
         "note": "step up" if lane and n == 21 else None}
        for lane, name in enumerate(("North", "South")) for n, at in enumerate(days) if n != 7
    ]  # fmt: skip
    return Drawn(pl.DataFrame(rows), (say_n("{n} area.", "{n} areas.", 2),), start)


def passages(now: datetime) -> Drawn:
    """Ticks in three lanes, some in a clump."""
    rows = [
        {"name": f"Line {lane}", "at": BEGAN + timedelta(minutes=10 * n - (8 if n % 4 == 0 else 0)),
         "note": "bunched" if n % 4 == 0 else None, "state": "breach" if n % 4 == 0 else "good"}
        for lane in range(3) for n in range(12)
    ]  # fmt: skip
    return Drawn(pl.DataFrame(rows), (say("In the last {span} it was even.", span=timedelta(hours=2)),), now)


def balance() -> Drawn:
    """Where a hundred go."""
    flows = [("Source", "Used", 70.0), ("Source", "Lost", 30.0), ("Used", "Billed", 65.0), ("Used", "Free", 5.0)]
    rows = pl.DataFrame(flows, schema={"from": pl.String, "to": pl.String, "value": pl.Float64}, orient="row")
    return Drawn(rows, (say("Of all that came in {lost} was lost.", lost=Amount(30.0, "percent")),))


def season() -> Drawn:
    """Forty days, some above."""
    days = [date(2026, 1, 20) + timedelta(days=n) for n in range(40)]
    rows = pl.DataFrame({"day": days, "value": [60.0 + 7 * (n % 13) for n in range(40)]})
    over = pl.when(pl.col("value") > 130).then(pl.lit("breach")).when(pl.col("value") > 100).then(pl.lit("watch"))
    return Drawn(rows.with_columns(state=over.otherwise(pl.lit("good"))), (say("The worst was {day}.", day=days[12]),))


def hours() -> Drawn:
    """Two zones, eight hours."""
    rows = [
        {"name": zone, "hour": f"{hour:02}", "value": 40.0 + hour, "cases": hour, "state": "breach" if hour > 5 else "good"}
        for zone in ("quiet", "loud") for hour in range(8)
    ]  # fmt: skip
    return Drawn(pl.DataFrame(rows), (say("Two zones."),))


def stages() -> Drawn:
    """How far they got."""
    rows = pl.DataFrame({"name": ["Received", "Answered", "Settled"], "cases": [100, 80, 30]})
    return Drawn(rows, (say("{n} of {all} are settled.", n=30, all=100),))


def places() -> Drawn:
    """Marks of every state over a line."""
    rows = pl.DataFrame(
        {"name": [f"Bus {n}" for n in range(6)], "lat": [23.01 + n * 0.01 for n in range(6)],
         "lon": [77.02 + n * 0.01 for n in range(6)], "cases": [n * 10 for n in range(6)], "state": STATES}
    )  # fmt: skip
    ground = pl.DataFrame({"line": ["1"] * 3, "lat": [23.0, 23.03, 23.06], "lon": [77.0, 77.03, 77.08]})
    return Drawn(rows, (say("Six are on the road."),), BEGAN, ground=ground)


def nothing() -> Drawn:
    """No row at all."""
    return Drawn(
        pl.DataFrame(schema={"name": pl.String, "value": pl.Float64}), (say("Nothing came since {at}.", at=BEGAN),)
    )


def secret() -> Drawn:
    """For the offices."""
    return Drawn(pl.DataFrame({"name": ["R1"], "value": [1.0]}), (say("One is open."),))


def broken() -> Drawn:
    """Fails."""
    raise ValueError("no such table")


def _picture(function: object, form: object, *columns: Column, **more: object) -> Picture:
    title = function.__name__.capitalize()  # type: ignore[attr-defined]
    words = {"title": title, "plain": f"What {title.lower()} show.", "source": "IWA <balance>", "every": None}
    return Picture(function=function, form=form, columns=columns, **{**words, **more})  # type: ignore[arg-type]


BY_FORM = (
    _picture(balance, Flow(source="from", target="to", value="value"), TEXT["from"], TEXT["to"], NUMBER["value"]),
    _picture(levels, Bars(label="name", value="value", limit="limit", group="group", note="note"),
             *(TEXT[name] for name in ("name", "group", "note")), NUMBER["value"], NUMBER["limit"]),
    _picture(nights, Lines(lane="name", at="at", value="value", limit="limit", mark="note"),
             TEXT["name"], AT, NUMBER["value"], NUMBER["limit"], TEXT["note"], longest=timedelta(days=30)),
    _picture(season, Calendar(day="day", value="value"), DAY, NUMBER["value"]),
    _picture(hours, Matrix(row="name", column="hour", value="value"), TEXT["name"], TEXT["hour"], NUMBER["value"], NUMBER["cases"]),
    _picture(stages, Funnel(stage="name", value="cases"), TEXT["name"], NUMBER["cases"]),
    _picture(places, Marks(lat="lat", lon="lon", label="name", size="cases"), TEXT["name"], NUMBER["lat"], NUMBER["lon"], NUMBER["cases"]),
    _picture(passages, Strip(lane="name", at="at", note="note"), TEXT["name"], AT, TEXT["note"]),
)  # fmt: skip
AWKWARD = (
    _picture(nothing, Bars(label="name", value="value"), TEXT["name"], NUMBER["value"]),
    _picture(secret, Bars(label="name", value="value"), TEXT["name"], NUMBER["value"], guarded=True),
    _picture(broken, Bars(label="name", value="value"), TEXT["name"], NUMBER["value"]),
)  # fmt: skip
