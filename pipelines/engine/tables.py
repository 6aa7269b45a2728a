"""The engine's own tables: readings and what is kept about them, in the same form as a domain's tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from pipelines.engine.device_tables import DEVICE_TABLES, SENSOR_CLOCKS
from pipelines.engine.model import INSTANT, Column, Table

RECEIVED = "_received_at"
GOOD, MISSING, ESTIMATED = 0, 1, 2
RATE, SPIKE, STUCK, REPLAYED = 10, 11, 12, 13
# From this code on a reading is suspect: it is kept and shown, and left out of what is computed from good readings.
SUSPECT = 10
QUALITY = {
    GOOD: "good",
    MISSING: "the feed's own missing-value code",
    ESTIMATED: "estimated: a meter's consumption spread over a gap",
    RATE: "suspect: it changed faster than the quantity can",
    SPIKE: "suspect: a single value far from its neighbours",
    STUCK: "suspect: the same value for longer than is plausible",
    REPLAYED: "suspect: a copy of the day before",
}
QUALITY_MEANING = "; ".join(f"{code} {words}" for code, words in QUALITY.items()) + "."

READINGS = Table(
    name="readings",
    retention="readings",
    daily=True,
    meaning="Every measured value: one row per sensor and instant.",
    key=("series", "observed_at"),
    time="observed_at",
    judged="quality",
    columns=(
        Column(
            name="series", kind="series", meaning="Small number of the sensor; table series names it.", required=True
        ),
        Column(name="observed_at", kind="instant", meaning="When the device measured.", required=True),
        Column(name="value", kind="number", meaning="The value in the quantity's unit; empty = measured but unusable."),
        Column(name="quality", kind="code", meaning=QUALITY_MEANING, required=True),
    ),
)
SERIES = Table(
    name="series",
    retention="register",
    meaning="Which sensor a series number stands for.",
    key=("sensor",),
    time="registered_at",
    columns=(
        Column(name="sensor", meaning="Sensor id.", required=True),
        Column(name="series", kind="series", meaning="Its number.", required=True),
        Column(name="registered_at", kind="instant", meaning="When it was first seen.", required=True),
    ),
)
ARRIVALS = Table(
    name="arrivals",
    retention="arrivals",
    meaning="Every payload that came, small ones that were written together as one, and what became of their rows: "
    "decoded = stored + duplicate + quarantined.",
    key=("arrival",),
    time="observed_at",
    columns=(
        Column(name="arrival", meaning="Id of the arrival.", required=True),
        Column(name="feed", meaning="Feed.", required=True),
        Column(
            name="observed_at", kind="instant", meaning="The payload's own clock, else when it came.", required=True
        ),
        Column(
            name="covers_from", kind="instant", meaning="From when on this payload tells what happened.", required=True
        ),
        Column(
            name="outcome", meaning="landed, refused or failed.", choices=("landed", "refused", "failed"), required=True
        ),
        Column(name="words", meaning="What happened, in words, when it did not land."),
        Column(name="bytes", kind="integer", meaning="Size of the payload."),
        Column(name="decoded", kind="integer", meaning="Rows in it."),
        Column(name="stored", kind="integer", meaning="Rows kept (corrections included)."),
        Column(name="duplicate", kind="integer", meaning="Rows that were known already."),
        Column(name="corrected", kind="integer", meaning="Rows kept that correct an older one."),
        Column(name="quarantined", kind="integer", meaning="Rows set aside with a reason."),
    ),
)
QUARANTINE = Table(
    name="quarantine",
    retention="quarantine",
    guarded=True,
    meaning="Every row that could not be taken in, with its reason and its bytes as they came.",
    key=("id",),
    time="at",
    columns=(
        Column(name="id", meaning="Id of the quarantined row.", required=True),
        Column(name="feed", meaning="Feed it came by.", required=True),
        Column(name="at", kind="instant", meaning="When it came.", required=True),
        Column(name="table_name", meaning="Table it was meant for."),
        Column(name="row", kind="integer", meaning="Its place in the payload (line of a file)."),
        Column(name="reason", meaning="Short reason.", required=True),
        Column(name="detail", meaning="The reason in words.", free=True),
        Column(name="original", kind="bytes", meaning="The row as it came.", personal=True),
        Column(name="fields", meaning="What came beside it, such as the parts of its MQTT topic, as JSON."),
        Column(name="format", meaning="How it was read: csv, json ...; empty = as its feed is read."),
        Column(name="encoding", meaning="Encoding of the text file that it stood in."),
        Column(name="context", meaning="What it cannot be read without: its file's line of headings.", personal=True),
    ),
)
# A refused row before anybody says how its payload was read.
REFUSED = pl.Schema({column.name: QUARANTINE.schema[column.name] for column in QUARANTINE.columns[:-3]})
QUARANTINE_REPLAYS = Table(
    name="quarantine_replays",
    retention="quarantine",
    guarded=True,
    meaning="What became of a quarantined row when it was last taken in once more; the row itself is never deleted.",
    key=("id",),
    time="at",
    columns=(
        Column(name="id", meaning="Id of the quarantined row.", required=True),
        Column(name="at", kind="instant", meaning="When it was replayed last.", required=True),
        Column(name="feed", meaning="Feed it came by.", required=True),
        Column(name="outcome", meaning="healed or refused.", choices=("healed", "refused"), required=True),
        Column(name="reason", meaning="Short reason why it was refused again."),
        Column(name="detail", meaning="That reason in words.", free=True),
    ),
)
CORRECTIONS = Table(
    name="corrections",
    retention="corrections",
    guarded=True,
    meaning="What a row said before it was corrected.",
    key=("table_name", "row_key", "at"),
    time="at",
    columns=(
        Column(name="table_name", meaning="Table.", required=True),
        Column(name="row_key", meaning="Key of the row.", required=True),
        Column(name="at", kind="instant", meaning="When the correction came.", required=True),
        Column(name="before", meaning="The row before, as JSON.", personal=True),
    ),
)
KPI_VALUES = Table(
    name="kpi_values",
    retention="values",
    meaning="Every published value of a KPI for a closed window, with its revisions.",
    key=("kpi", "area", "window", "revision"),
    time="window",
    columns=(
        Column(name="kpi", meaning="KPI id.", required=True),
        Column(name="area", meaning="town, ward:<id>, asset:<id> or another level.", required=True),
        Column(name="window", kind="instant", meaning="Start of the window.", required=True),
        Column(name="end", kind="instant", meaning="End of the window.", required=True),
        Column(
            name="revision", kind="integer", meaning="1 when first published; higher after late data.", required=True
        ),
        Column(name="value", kind="number", meaning="The value; empty = unknown, see reason."),
        Column(name="numerator", kind="number", meaning="Upper part of the ratio."),
        Column(name="denominator", kind="number", meaning="Lower part of the ratio."),
        Column(name="n", kind="integer", meaning="Observations used."),
        Column(name="n_expected", kind="integer", meaning="Observations expected."),
        Column(name="coverage", kind="number", meaning="Share of what was expected that came."),
        Column(name="reason", meaning="Why there is no value."),
        Column(name="detail", meaning="A word that belongs to the value, such as the deciding pollutant."),
        Column(name="computed_at", kind="instant", meaning="When it was computed.", required=True),
    ),
)

KPI_BOARD = Table(
    name="kpi_board",
    retention="board",
    daily=True,
    meaning="What the board showed: each KPI and area when its figure, state, window or reason had changed; the town "
    "every minute, other areas every quarter of an hour.",
    key=("kpi", "area", "said_at"),
    time="said_at",
    columns=(
        Column(name="kpi", meaning="KPI id.", required=True),
        Column(name="area", meaning="town, ward:<id>, asset:<id> or another level.", required=True),
        Column(name="said_at", kind="instant", meaning="When the board showed it.", required=True),
        Column(name="window", kind="instant", meaning="Start of the window."),
        Column(name="end", kind="instant", meaning="End of the window."),
        Column(name="value", kind="number", meaning="The value; empty = unknown, see reason."),
        Column(name="numerator", kind="number", meaning="Upper part of the ratio."),
        Column(name="denominator", kind="number", meaning="Lower part of the ratio."),
        Column(name="n", kind="integer", meaning="Observations used."),
        Column(name="n_expected", kind="integer", meaning="Observations expected."),
        Column(name="coverage", kind="number", meaning="Share of what was expected that came."),
        Column(name="reason", meaning="Why there was no value, in words."),
        Column(name="detail", meaning="A word that belongs to the value, such as the deciding pollutant."),
        Column(
            name="status",
            meaning="good, watch, breach, stale, no data or context; gone: it is on the board no more.",
            required=True,
        ),
        Column(name="target", kind="number", meaning="What the town aimed at then."),
        Column(name="as_of", kind="instant", meaning="Age of the newest data in it."),
        Column(name="whole", kind="flag", meaning="The whole board is noted: nothing noted before counts any more."),
    ),
)
KPI_CORRECTIONS = Table(
    name="kpi_corrections",
    retention="values",
    meaning="Published values of closed windows that were corrected by more than their tolerance, or in their state.",
    key=("kpi", "area", "window", "revision"),
    time="corrected_at",
    columns=(
        Column(name="corrected_at", kind="instant", meaning="When the corrected value was published.", required=True),
        Column(name="kpi", meaning="KPI id.", required=True),
        Column(name="area", meaning="town, ward:<id>, asset:<id> or another level.", required=True),
        Column(name="window", kind="instant", meaning="Start of the window.", required=True),
        Column(name="end", kind="instant", meaning="End of the window.", required=True),
        Column(name="before", kind="number", meaning="The value that was said before."),
        Column(name="after", kind="number", meaning="The corrected value; empty = now unknown, see reason."),
        Column(name="before_status", meaning="Its state then.", required=True),
        Column(name="after_status", meaning="Its state now.", required=True),
        Column(name="reason", meaning="Why there is no value any more."),
        Column(name="said_at", kind="instant", meaning="When the value before was published.", required=True),
        Column(name="revision", kind="integer", meaning="Revision of the corrected value.", required=True),
        Column(name="tolerance", kind="number", meaning="Up to this change, nothing would have been told."),
    ),
)

METER_EVENTS = Table(
    name="meter_events",
    retention="readings",
    meaning="What happened to the registers of meters: begun anew, rolled over, exchanged, one reading dropped out.",
    key=("series", "at"),
    time="at",
    columns=(
        Column(name="series", kind="series", meaning="Number of the register's sensor.", required=True),
        Column(name="at", kind="instant", meaning="The first reading after it.", required=True),
        Column(
            name="event",
            meaning="reset, rollover, swap, dropout; withdrawn where a late reading has explained it.",
            choices=("reset", "rollover", "swap", "dropout", "withdrawn"),
            required=True,
        ),
        Column(name="before", kind="number", meaning="What the register said before."),
        Column(name="after", kind="number", meaning="What it said then."),
    ),
)


def shaped(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Rows written by an earlier version with the columns that the table has gained since, empty."""
    gained = [pl.lit(None, kind).alias(name) for name, kind in table.schema.items() if name not in rows.columns]
    return rows.with_columns(gained) if gained else rows


def stamped(rows: pl.DataFrame, facts: Mapping[str, Any]) -> pl.DataFrame:
    """The rows of a frame with when each was received: with the frame, unless the row says that it came before."""
    if RECEIVED in rows.columns:
        return rows
    received = datetime.fromtimestamp(facts.get("received_s", 0.0), UTC)
    return rows.hstack([alike(RECEIVED, received, INSTANT, rows.height)])


def alike(name: str, cell: Any, kind: pl.DataType, height: int) -> pl.Series:
    """A column that says the same in every row, made without a query: one for each of many small frames."""
    return pl.Series(name, [cell], kind).new_from_index(0, height)


ENGINE_TABLES = (
    READINGS, SERIES, ARRIVALS, QUARANTINE, QUARANTINE_REPLAYS, CORRECTIONS, KPI_VALUES, KPI_BOARD, KPI_CORRECTIONS,
    METER_EVENTS, *DEVICE_TABLES, SENSOR_CLOCKS,
)  # fmt: skip
