"""What may be taken away: tables, registers, readings and KPI values, each as an Extract."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine import manifest
from pipelines.engine.asking import Misasked, Span, one_of
from pipelines.engine.known import newest, until
from pipelines.engine.model import Column, Table
from pipelines.engine.people import audit
from pipelines.engine.people.roles import VISITOR, Actor
from pipelines.engine.registers import ENGINE_REFERENCES
from pipelines.engine.spans import ALWAYS, Extract, Read, of_frame
from pipelines.engine.tables import KPI_CORRECTIONS, KPI_VALUES, QUALITY_MEANING

if TYPE_CHECKING:
    from pipelines.engine.town import Town

RECEIVED = Column(name="received_at", kind="instant", meaning="When Townboard received the row.")
READING_COLUMNS = (
    Column(name="sensor", meaning="Sensor id."),
    Column(name="observed_at", kind="instant", meaning="When the device measured."),
    Column(name="value", kind="number", meaning="The value in its quantity's unit; empty = unusable."),
    Column(name="quality", kind="code", meaning=QUALITY_MEANING),
    RECEIVED,
)
VALUE_ORDER = ("window", "end", "area", "value", "numerator", "denominator", "n", "n_expected", "coverage", "reason")
VALUE_COLUMNS = tuple(
    next(column for column in KPI_VALUES.columns if column.name == name)
    for name in (*VALUE_ORDER, "detail", "revision", "computed_at")
)

# What is published, and the column that says when.
PUBLISHED = {
    "kpis": "computed_at",
    "kpi_values": "computed_at",
    "kpi_board": "said_at",
    "kpi_corrections": "corrected_at",
}


def names(town: "Town") -> list[str]:
    """Names of everything that may be taken away as a table."""
    own = [table.name for table in town.tables]
    registers = [reference.name for reference in (*ENGINE_REFERENCES, *(r for d in town.domains for r in d.references))]
    return ["readings", *own, *registers]


def names_for(town: "Town", actor: Actor) -> list[str]:
    """Names of everything that this actor may take away as a table."""
    guarded = {table.name for table in town.tables if table.guarded}
    return [name for name in names(town) if name not in guarded or actor.may_everywhere("read")]


def extract(
    town: "Town",
    name: str,
    span: Span,
    ward: str | None = None,
    as_known_at: datetime | None = None,
    *,
    actor: Actor = VISITOR,
) -> Extract:
    """The rows of a table, a register, or `readings`, `kpis` (newest values), `quarantine` and `audit`.

    `as_known_at`: of KPI values and corrections, those that had been published by then.
    Raises Misasked: no such table (404), no such ward, a table that knows no ward or no publishing; Forbidden: not for
    this actor.
    """
    if as_known_at is not None and name not in PUBLISHED:
        told = ", ".join(sorted(PUBLISHED))
        raise Misasked(f"`as_known_at` is known of {told}; the rows of {name} name when each came (received_at).")
    if name == "audit":
        return audit_log(town, span, actor)
    one_of("ward", ward, town.wards()["ward"])
    if name == "readings":
        sensors = town.sensors()
        chosen = sensors.filter(pl.col("ward") == ward) if ward else sensors
        return readings(town, chosen["sensor"].to_list(), span, ward)
    if name == "kpis":
        return _values(town, span, ward, as_known_at)
    if name == "quarantine":
        _no_ward(name, ward)
        return quarantine(town, actor=actor)
    one_of("table", name, [*names(town), "kpis"], 404)
    declared = {table.name: table for table in town.tables}
    if name not in declared:
        return _of_register(town, name, ward)
    if declared[name].guarded:
        actor.check_everywhere("read")
    found = _of_table(town, declared[name], span, ward, actor=actor)
    read, stamp = found.read, PUBLISHED.get(name, "")
    return found if as_known_at is None else replace(found, read=lambda *edge: until(read(*edge), stamp, as_known_at))


def readings(town: "Town", sensors: Sequence[str], span: Span, ward: str | None = None) -> Extract:
    """Readings of these sensors."""
    return Extract(
        name="readings",
        columns=READING_COLUMNS,
        read=lambda low, high: town.readings(sensors, low, high),  # type: ignore[arg-type]
        time="observed_at",
        order=("sensor",),
        span=span,
        ward=ward,
        earliest=lambda: earliest_of(town, "readings", "observed_at"),
        weigh=_weighed(town, "readings", len(sensors) / max(1, town.sensors().height)),
        now=town.now,
        pin=town.pinned,
    )


def history(
    town: "Town", kpi: str, areas: Sequence[str] | None, span: Span, as_known_at: datetime | None = None
) -> Extract:
    """The newest value of a KPI per window and area, of those published by `as_known_at`."""
    return Extract(
        name=kpi,
        columns=VALUE_COLUMNS,
        read=lambda low, high: town.history(kpi, areas, low, high, as_known_at=as_known_at),
        time="window",
        order=("area",),
        span=span,
        earliest=lambda: earliest_of(town, "kpi_values", "window"),
        now=town.now,
        pin=town.pinned,
    )


def corrections(
    town: "Town", span: Span, *, domain: str | None, as_known_at: datetime | None = None, **wanted: str | None
) -> Extract:
    """Corrections of published values; `wanted` names columns and what they are to hold."""
    known = {k.id for d in town.domains if domain is None or d.name == domain for k in d.kpis}

    def read(low: datetime | None, high: datetime | None) -> pl.DataFrame:
        rows = until(town.corrections(low, high), "corrected_at", as_known_at)
        rows = rows.filter(pl.col("kpi").is_in(known))
        for column, value in wanted.items():
            rows = rows.filter(pl.col(column) == value) if value is not None else rows
        return rows

    return Extract(
        name="corrections",
        columns=KPI_CORRECTIONS.columns,
        read=read,
        time="corrected_at",
        order=("kpi", "area", "window", "revision"),
        span=span,
        earliest=lambda: earliest_of(town, "kpi_corrections", "corrected_at"),
        now=town.now,
        pin=town.pinned,
    )


def _values(town: "Town", span: Span, ward: str | None, as_known_at: datetime | None) -> Extract:
    """The newest value of every KPI per window and area, of those published by `as_known_at`."""

    def read(low: datetime | None, high: datetime | None) -> pl.DataFrame:
        rows = town.rows("kpi_values", low, high)
        rows = rows.filter(pl.col("area") == f"ward:{ward}") if ward else rows
        return newest(rows, as_known_at)

    return Extract(
        name="kpis",
        columns=KPI_VALUES.columns,
        read=read,
        time="window",
        order=("kpi", "area"),
        weigh=_weighed(town, "kpi_values"),
        span=span,
        ward=ward,
        earliest=lambda: earliest_of(town, "kpi_values", "window"),
        now=town.now,
        pin=town.pinned,
    )


def _of_table(town: "Town", table: Table, span: Span, ward: str | None, *, actor: Actor) -> Extract:
    columns = (*(column for column in table.columns if not column.personal), RECEIVED)
    if "ward" not in {column.name for column in columns}:
        _no_ward(table.name, ward)
    read: Read = lambda low, high: town.rows(table.name, low, high, ward, actor=actor)  # noqa: E731
    if table.time is not None and table.schema[table.time] == pl.Date():
        read = _by_day(read, table.time, town.zone)
    return Extract(
        name=table.name,
        columns=columns,
        read=read,
        time=table.time,
        order=table.key,
        span=span if table.time else ALWAYS,
        ward=ward,
        earliest=lambda: earliest_of(town, table.name, table.time or "", actor),
        weigh=_weighed(town, table.name),
        now=town.now,
        pin=town.pinned,
    )


def _of_register(town: "Town", name: str, ward: str | None) -> Extract:
    declared = next(r for r in (*ENGINE_REFERENCES, *(r for d in town.domains for r in d.references)) if r.name == name)
    frames = {"wards": town.wards, "assets": town.assets, "sensors": town.sensors}
    frame = frames[name]() if name in frames else town.registers.references[name]
    columns = tuple(column for column in declared.columns if not column.personal and column.name in frame.columns)
    if name == "sensors":
        columns += SENSOR_MORE
    if ward and "ward" not in {column.name for column in columns}:
        _no_ward(name, ward)
    rows = frame.filter(pl.col("ward") == ward) if ward else frame
    return of_frame(name, rows, columns)


SENSOR_MORE = (
    Column(name="every_s", kind="number", unit="s", meaning="Expected interval."),
    Column(name="ward", meaning="Ward of its asset."),
)


def quarantine(
    town: "Town", feed: str | None = None, reason: str | None = None, state: str = "waiting", *, actor: Actor
) -> Extract:
    """Rows that were set aside, newest first, as the actor may see them.

    Raises Forbidden.
    """
    counts = town.quarantine_counts()
    total = int(counts["rows"].sum() or 0) + int(counts["healed"].sum() or 0)
    rows = town.quarantine(feed, reason, max(total, 1), state, actor=actor)
    return of_frame("quarantine", rows, QUARANTINE_COLUMNS)


def audit_log(town: "Town", span: Span, actor: Actor) -> Extract:
    """What people did, oldest first.

    Raises Forbidden, StoreError.
    """
    rows = audit.frame(town.porter.audit_log(actor))
    at = pl.col("at").str.to_datetime(time_zone="UTC")
    rows = rows.filter(at >= span.start) if span.start else rows
    rows = rows.filter(at < span.end) if span.end else rows
    return of_frame("audit", rows, audit.COLUMNS)


QUARANTINE_COLUMNS = (
    Column(name="id", meaning="Id of the quarantined row."),
    Column(name="feed", meaning="Feed it came by."),
    Column(name="received_at", kind="instant", meaning="When it came."),
    Column(name="table", meaning="Table it was meant for."),
    Column(name="row", kind="integer", meaning="Its place in the payload (line of a file)."),
    Column(name="reason", meaning="Short reason."),
    Column(name="detail", meaning="The reason in words, where nothing personal can stand in the row."),
    Column(name="original", meaning="What the row said, where nothing personal can stand in it."),
    Column(
        name="withheld", kind="flag", meaning="Whether both are left out because personal data may stand in the row."
    ),
    Column(name="state", meaning="waiting, or healed by a replay."),
    Column(name="replayed_at", kind="instant", meaning="When it was last taken in once more."),
    Column(name="refused_again", meaning="Short reason why that replay refused it."),
)


def _no_ward(name: str, ward: str | None) -> None:
    if ward is not None:
        raise Misasked(
            f"The rows of {name} name no ward, so none can be chosen by it. Leave `ward` out to get them all."
        )


def _by_day(read: Read, column: str, zone: str) -> Read:
    """Reading of a table whose time is a day: a day belongs to the span in which it begins in the town's time zone."""

    def days(low: datetime | None, high: datetime | None) -> pl.DataFrame:
        rows = read(low and _noon(_first_day(low, zone), -1), high and _noon(_first_day(high, zone), 1))
        rows = rows.filter(pl.col(column) >= _first_day(low, zone)) if low else rows
        return rows.filter(pl.col(column) < _first_day(high, zone)) if high else rows

    return days


def _first_day(at: datetime, zone: str) -> date:
    """The first calendar day of the town that begins at or after this instant."""
    local = at.astimezone(ZoneInfo(zone))
    return local.date() if local.time() == time() else local.date() + timedelta(days=1)


def _noon(day: date, days: int) -> datetime:
    """An instant surely in the day so many days away, in every time zone and however the store compares days."""
    return datetime.combine(day + timedelta(days=days), time(12), UTC)


def earliest_of(town: "Town", table: str, column: str, actor: Actor = VISITOR) -> datetime | None:
    """An instant before which next to nothing lies: where the compacted files begin, else the first row."""
    parts = manifest.read(town.settings.store).parts.get(table, {}).values()
    lows = [part.low for part in parts if part.low is not None]
    if lows:
        return min(lows)
    first = town.rows(table, limit=1, actor=actor)
    if first.is_empty():
        return None
    at = first[column][0]
    return at if isinstance(at, datetime) else datetime.combine(at, time(), UTC) - timedelta(days=1)


def _weighed(town: "Town", table: str, share: float = 1.0) -> Callable[[datetime, datetime], float]:
    """How many rows of a table a span holds, as if the rows of each file lay evenly in it; of these a share."""
    parts = [part for part in town.parts(table) if part.low and part.high]

    def weigh(low: datetime, high: datetime) -> float:
        return share * sum(part.within(low, high) for part in parts)

    return weigh
