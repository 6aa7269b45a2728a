"""What stands on the newest board, as frames: KPIs, alarms, feeds, assets."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from pipelines.engine import composites, known
from pipelines.engine.alarms.lifecycle import State
from pipelines.engine.api.problems import NotNow
from pipelines.engine.equity import interval
from pipelines.engine.model import INSTANT, KINDS, Column
from pipelines.engine.people.roles import Actor
from pipelines.engine.registers import ASSETS
from pipelines.engine.spans import Extract, of_frame
from pipelines.engine.town import Town

Rows = Iterable[Mapping[str, Any]]
STATUSES = ("good", "watch", "breach", "stale", "no data", "context")
ALARM_STATES = tuple(str(state) for state in State)
# What people ask for most: that which calls or waits for its reset, and that which is back to normal.
ALARM_GROUPS = ("active", "returned")
FEED_STATES = ("live", "late", "silent", "failing", "waiting")


def _columns(*described: tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(name=name, kind=kind, meaning=meaning) for name, kind, meaning in described)


KPI_COLUMNS = _columns(
    ("kpi", "text", "KPI id."),
    ("area", "text", "town, ward:<id>, asset:<id> or another level."),
    ("value", "number", "Its value; empty = unknown, see reason."),
    ("unit", "text", "Unit of value and target."),
    ("target", "number", "What the town aims at."),
    ("status", "text", "good, watch, breach, stale, no data or context (neither good nor bad)."),
    ("window_start", "instant", "Start of the time it is about."),
    ("window_end", "instant", "End of that time."),
    ("as_of", "instant", "Age of the newest data in it."),
    ("coverage", "number", "Share of the expected data that came, 0 to 1."),
    ("numerator", "number", "Upper part of the ratio."),
    ("denominator", "number", "Lower part of the ratio."),
    ("n", "integer", "Observations used."),
    ("n_expected", "integer", "Observations expected."),
    ("low", "number", "Lower end of the 95 % interval, for shares (Wilson) and rates (Byar) of counted things."),
    ("high", "number", "Upper end of that interval."),
    ("reason", "text", "Why there is no value, in words."),
    ("detail", "text", "A word that belongs to the value, such as the deciding pollutant."),
    ("domain", "text", "Domain."),
    ("ward", "text", "Ward, for areas that are wards."),
    ("better", "text", "higher, lower or context."),
    ("decimals", "integer", "Decimals that make sense."),
    ("said_at", "instant", "When the board said so; of a time past, since when."),
)
ALARM_COLUMNS = _columns(
    ("id", "text", "Id of the alarm."),
    ("rule", "text", "Rule that raised it."),
    ("title", "text", "What is the matter."),
    ("domain", "text", "Domain."),
    ("priority", "text", "critical, high, medium or low."),
    ("state", "text", f"State by ISA-18.2: {', '.join(ALARM_STATES)}."),
    ("active", "flag", "Whether it stands on the list and calls: unacknowledged, acknowledged or latched."),
    ("condition", "flag", "Whether its condition is true, whatever its state."),
    ("state_since", "instant", "Since when it is in this state."),
    ("since", "instant", "Since when."),
    ("returned_at", "instant", "When it returned to normal."),
    ("area", "text", "Where: town, ward:<id> or asset:<id>."),
    ("ward", "text", "Ward."),
    ("asset", "text", "Asset."),
    ("asset_name", "text", "Its name."),
    ("value", "number", "The value that raised it."),
    ("limit", "number", "The limit it is beyond."),
    ("unit", "text", "Unit of value and limit."),
    ("decimals", "integer", "Decimals that they are written with; empty: as many as their size asks for."),
    ("instruction", "text", "What the operator does."),
    ("acknowledged_by", "text", "Who acknowledged it; names and words of people are told to those with a role only."),
    ("acknowledged_at", "instant", "When."),
    ("owner", "text", "Who sees to it."),
    ("review_at", "instant", "When it calls again if it still stands."),
    ("until", "instant", "When its shelving or time out of service ends."),
    ("by", "text", "Who put it aside."),
    ("reason", "text", "Why it is aside."),
    ("cause", "text", "Id of the alarm that explains it."),
    ("cause_title", "text", "Its title."),
    ("consequences", "integer", "How many alarms it explains."),
    ("consequences_priority", "text", "The most urgent priority among those."),
    ("comment", "text", "The newest comment."),
    ("done_at", "instant", "When somebody last did something to it."),
)
FEED_COLUMNS = _columns(
    ("feed", "text", "Feed."),
    ("title", "text", "What comes by it."),
    ("domains", "text", "Domains it serves."),
    ("state", "text", "live, late, silent, failing or waiting (nothing ever came)."),
    ("words", "text", "The state in a sentence."),
    ("last_arrival", "instant", "When the last payload landed."),
    ("every_s", "number", "Expected interval, in seconds."),
    ("completeness", "number", "Share of the expected payloads of 24 hours that came."),
    ("sensors", "integer", "Sensors that should come by it."),
    ("sensors_reporting", "integer", "Those that report in time."),
    ("sensors_silent", "integer", "Those that say nothing."),
    (
        "sensors_excused",
        "integer",
        "Those that say nothing for a known reason: out of service, power cut, gateway down.",
    ),
    ("clocks_off", "integer", "Sensors whose clock is ahead, behind or drifting: see the table sensor_clocks."),
    ("payloads", "integer", "Payloads so far."),
    ("decoded", "integer", "Rows so far: stored + duplicate + quarantined."),
    ("stored", "integer", "Rows kept (corrections included)."),
    ("duplicate", "integer", "Rows that were known already."),
    ("corrected", "integer", "Rows kept that correct an older one."),
    ("quarantined", "integer", "Rows set aside with a reason."),
    ("strip", "number", "Completeness of each of the last 24 hours, oldest first."),
)
FEED_LISTS = {"domains": pl.List(pl.String), "strip": pl.List(pl.Float64)}
ASSET_COLUMNS = (
    *ASSETS.columns,
    *_columns(
        ("state", "text", "good, late, stale or no data: age of its newest readings; empty when not on the board."),
        ("alarm", "text", "Priority of its worst active alarm."),
        ("latest", "text", "Newest reading of each quantity."),
    ),
)
LATEST = pl.List(pl.Struct({"quantity": pl.String, "value": pl.Float64, "observed_at": pl.String, "state": pl.String}))


def state(town: Town) -> Mapping[str, Any]:
    """The newest published state.

    Raises NotNow when none was ever published.
    """
    snapshot = town.board()
    if snapshot is None:
        raise NotNow("The board was never published: the line has not run in this town. Start it: python app.py serve")
    return snapshot.state


def kpis(town: Town, as_known_at: datetime | None = None, **wanted: str | None) -> Extract:
    """The value of every KPI and area, with how sure it is: the current one, or what the board said at an instant.

    After the current ones the composites, which are made anew from them.
    """
    board: Mapping[str, Any] = (
        state(town) if as_known_at is None else {"kpis": known.board(town, as_known_at), "built_at": None}
    )
    scales = {kpi.id: kpi.scale for kpi in town.settings.kpis}
    rows = [{"said_at": board["built_at"], **row} for row in board["kpis"].values()]
    chosen = [_sure(row, scales.get(row["kpi"], 1.0)) for row in _matching(rows, wanted)]
    made = composites.rows(town, board) if as_known_at is None else []
    return _listed("kpis", [*chosen, *_matching(made, wanted)], KPI_COLUMNS)


def _sure(row: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """The row with its interval, where the value is a share or a rate of counted things."""
    ends, _ = interval(row, scale, ()) if row["value"] is not None else (None, None)
    return {**row, "low": ends[0] if ends else None, "high": ends[1] if ends else None}


def alarms(town: Town, actor: Actor, is_now: str | None, **wanted: str | None) -> Extract:
    """The alarm list as somebody may see it; `is_now` is one of ALARM_STATES or ALARM_GROUPS."""
    rows = town.alarms.told(actor, _matching(state(town)["alarms"], wanted))
    return listed_alarms(row for row in rows if is_now is None or _in(row, is_now))


def listed_alarms(rows: Rows) -> Extract:
    """These alarms of the board, as rows that can be taken along."""
    return _listed("alarms", rows, ALARM_COLUMNS)


def _in(row: Mapping[str, Any], state: str) -> bool:
    if state == "active":
        return bool(row["active"])
    if state == "returned":
        return row["state"] in (State.NORMAL, State.RETURNED)
    return bool(row["state"] == state)


def feeds(town: Town, domain: str | None, is_now: str | None) -> Extract:
    """Every feed and how it does."""
    rows = _matching(state(town)["feeds"].values(), {"state": is_now})
    rows = [row for row in rows if domain is None or domain in row["domains"]]
    return _listed("feeds", rows, FEED_COLUMNS, FEED_LISTS)


def assets(town: Town, domain: str | None, ward: str | None, kind: str | None) -> Extract:
    """The register of assets with what the board knows of them."""
    snapshot = town.board()
    known = snapshot.state["assets"] if snapshot else {}
    rows = []
    for row in town.assets(domain).iter_rows(named=True):
        if (ward is None or row["ward"] == ward) and (kind is None or row["kind"] == kind):
            shown = known.get(row["asset"], {})
            rows.append({**row, "state": shown.get("state"), "alarm": shown.get("alarm"), "latest": _latest(shown)})
    return _listed("assets", rows, ASSET_COLUMNS, {"latest": LATEST})


def _latest(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"quantity": quantity, "value": value, "observed_at": at.replace("+00:00", "Z"), "state": age}
        for quantity, (value, at, age) in shown.get("latest", {}).items()
    ]


def _matching(rows: Rows, wanted: Mapping[str, str | None]) -> list[Mapping[str, Any]]:
    asked = {name: value for name, value in wanted.items() if value is not None}
    return [row for row in rows if all(row.get(name) == value for name, value in asked.items())]


def _listed(
    name: str, rows: Rows, columns: tuple[Column, ...], nested: Mapping[str, pl.DataType] | None = None
) -> Extract:
    kinds = {column.name: (nested or {}).get(column.name, KINDS[column.kind]) for column in columns}
    read: dict[str, list[Any]] = {column: [] for column in kinds}
    for row in rows:
        for column, kind in kinds.items():
            cell = row.get(column)
            read[column].append(datetime.fromisoformat(cell) if cell is not None and kind == INSTANT else cell)
    series = [pl.Series(column, cells, kinds[column], strict=False) for column, cells in read.items()]
    return of_frame(name, pl.DataFrame(series), columns, nested)
