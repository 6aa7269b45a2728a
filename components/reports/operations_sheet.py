"""The daily operations sheet: what rang and stands, incidents, what was noted, how feeds did, and what is unknown."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from components import glass, said, wording
from components.address import ward_names
from components.happened import spoken
from components.reports.period import Period, board
from components.tongue import _, current
from components.tongue import said as translated
from pipelines.engine.errors import StoreError
from pipelines.engine.model import PRIORITIES, Column
from pipelines.engine.people.roles import ITSELF
from pipelines.engine.people.scrubbing import scrubbed

MOST_ROWS = 40
COUNTS = ("decoded", "stored", "duplicate", "quarantined")
COLUMNS = (
    Column(name="feed", meaning="Feed."),
    Column(name="day", meaning="Day of the town's calendar."),
    Column(name="payloads", kind="integer", meaning="Payloads that came."),
    *(Column(name=name, kind="integer", meaning=f"Rows: {name}.") for name in COUNTS),
)


def sheet(period: Period, _ward: str) -> dict[str, Any]:
    """Everything that stands on the paper, in the current language."""
    town, state = glass.town(), board(period)
    past = town.alarms.history(ITSELF, None, period.start, period.until)
    rang = past.filter(pl.col("annunciated"))
    open_now = [alarm for alarm in glass.state()["alarms"] if alarm["active"]]
    return {
        "kind": "operations", "title": _("Operations sheet"), "town": town.name, "period": period.spoken(),
        "running": "" if period.is_over else _("The day is not over: what is known so far."),
        "heads": {
            "alarms": _("Alarms"), "open": _("Standing now"), "incidents": _("Incidents"), "notes": _("Shift log"),
            "feeds": _("Feeds"), "unknown": _("What is unknown"),
        },
        "counts": [{"name": _(name.capitalize()), "n": wording.number(rang.filter(priority=name).height, 0)}
                   for name in PRIORITIES],
        "rang": _rang(rang), "open": [_open(alarm) for alarm in open_now[:MOST_ROWS]],
        "incidents": _incidents(period), "notes": _notes(period), "feeds": _feeds(period),
        "feed_heads": [
            _("Feed"), _("Payloads"), _("Rows read"), _("Stored"), _("Duplicates"), _("Set aside"), _("State now")
        ],
        "unknown": _unknown(state), "none": _("None."), "foot": _foot(),
        "more": _more(rang.height - MOST_ROWS),
    }  # fmt: skip


def _more(left: int) -> str:
    return _("And {n} more, all in the alarm history.", n=wording.number(left, 0)) if left > 0 else ""


def _rang(rang: pl.DataFrame) -> list[dict[str, str]]:
    """What called somebody, oldest first."""
    zone = glass.town().zone
    return [
        {"clock": wording.clock(row["noted_at"], zone, row["noted_at"]), "title": row["title"],
         "place": row["place"] or "", "priority": _(str(row["priority"] or "").capitalize())}
        for row in spoken(rang.head(MOST_ROWS))
    ]  # fmt: skip


def _open(alarm: Mapping[str, Any]) -> dict[str, str]:
    since = wording.clock(alarm.get("since"), glass.town().zone)
    return {
        "clock": since, "title": translated(alarm["title"]), "place": alarm.get("asset_name") or "",
        "priority": _(str(alarm["priority"]).capitalize()),
    }  # fmt: skip


def _incidents(period: Period) -> list[dict[str, str]]:
    names, zone = ward_names(), glass.town().zone
    found = []
    for one in glass.town().alarms.incidents(ITSELF, period.start, period.until):
        ended = wording.clock(one["ended_at"], zone, one["started_at"]) if one["ended_at"] else _("not over yet")
        counted = [
            wording.count(len(one["alarms"]) + len(one["consequences"]), "alarm"),
            wording.count(len(one["complaints"]), "complaint"),
        ]
        found.append({
            "title": translated(one["title"]), "where": ", ".join(names.get(ward, ward) for ward in one["wards"]),
            "clock": f"{wording.clock(one['started_at'], zone, one['started_at'])} – {ended}",
            "counted": _(", ").join(counted),
        })  # fmt: skip
    return found


def _notes(period: Period) -> list[dict[str, str]]:
    """What was noted and who took over; numbers and addresses that stood in it are left out."""
    zone = glass.town().zone
    try:
        known = glass.town().shift.said(ITSELF, period.start)
    except StoreError:
        return []
    return [
        {"clock": wording.clock(one.at, zone, one.at), "who": one.who, "words": scrubbed(one.words),
         "to": _("handed over to {name}", name=one.to) if one.to else ""}
        for one in known if one.at < period.until
    ]  # fmt: skip


def _feeds(period: Period) -> list[list[str]]:
    rows = {row["feed"]: row for row in arrived(period).iter_rows(named=True)}
    found = []
    for name, feed in sorted(glass.state()["feeds"].items()):
        row = rows.get(name)
        counts = [wording.number(row[one] if row else 0, 0) for one in ("payloads", *COUNTS)]
        found.append([translated(feed["title"]), *counts, wording.state(feed["state"])])
    return found


def arrived(period: Period) -> pl.DataFrame:
    """What came by each feed in the period: feed, payloads and the rows of each outcome."""
    rows = glass.town().rows("arrivals", period.start, period.until)
    return (
        rows.group_by("feed").agg(payloads=pl.len().cast(pl.Int64), **{n: pl.col(n).sum() for n in COUNTS}).sort("feed")
    )


def _unknown(state: Mapping[str, Any] | None) -> list[str]:
    """Headline figures of the town that nobody knew when the day was over, each with its reason."""
    if state is None:
        return [_("What the board said when the day was over is not on record.")]
    told = []
    for domain in glass.town().domains:
        for kpi in domain.kpis:
            row = state["kpis"].get(f"{kpi.id}|town")
            if kpi.headline and (row is None or row["value"] is None):
                told.append(_("{title}: {reason}.", title=_(kpi.title), reason=wording.reason(row or {})))
    return told


def _foot() -> str:
    now, zone = glass.town().now(), glass.town().zone
    made = f"{said.day(now, zone)} {current().digits(wording.clock(now, zone, now))}"
    return _("Made {made} {zone}. For the control room: names of people stand in it.", made=made,
             zone=wording.zone_name(zone, now))  # fmt: skip


def figures(period: Period, _ward: str) -> pl.DataFrame:
    """What came by each feed, as rows (COLUMNS)."""
    return arrived(period).select("feed", pl.lit(period.label).alias("day"), "payloads", *COUNTS)
