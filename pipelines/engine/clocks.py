"""The clocks of devices: looked at now and then, what has changed is kept, those that are off are counted and shown."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.device_tables import SENSOR_CLOCKS
from pipelines.engine.feeds import spoken
from pipelines.engine.journal import Entry
from pipelines.engine.model import INSTANT
from pipelines.engine.quality.clocks import BUCKET, KEPT, LAGS, RIGHT, SMALLEST_S, judged, lags
from pipelines.engine.store import Store
from pipelines.engine.tables import RECEIVED

if TYPE_CHECKING:
    from pipelines.engine.line import Line

COLUMNS = ["series", "observed_at", RECEIVED]
SHOWN_CLOCKS = pl.Schema({**SENSOR_CLOCKS.schema, "asset": pl.String(), "words": pl.String()})


class Clocks:
    """Knows the shortest delays of the past days; a week's are read again, span by span, when a line has started."""

    def __init__(self, store: Store) -> None:
        self._lags = pl.DataFrame(schema=LAGS)
        self._read_to: datetime | None = None
        self._newest = newest(store)
        self._off = _by_feed(self._newest)

    def look(self, line: "Line", now: datetime) -> int | None:
        """Judge every clock, and make durable what has changed; how many have.

        Raises OSError when the disk refuses: it is found again with the next look.
        """
        self._read(line.store, now)
        found = judged(self._lags, _about(line), now)
        names = {number: sensor for sensor, number in line.series.numbers.items()}
        sensor = pl.col("series").replace_strict(names, default=None, return_dtype=pl.String)
        feed = pl.col("sensor").replace_strict(dict(line.silence.carriers), default=None, return_dtype=pl.String)
        rows = found.with_columns(sensor=sensor, judged_at=pl.lit(now, INSTANT)).with_columns(feed=feed)
        changed = _changed(rows.select(list(SENSOR_CLOCKS.schema)).cast(SENSOR_CLOCKS.schema), self._newest)
        if changed.is_empty():
            return None
        entry = Entry(SENSOR_CLOCKS.name, changed, {"received_s": now.timestamp()})
        with line.writing:
            seq = line.journal.append([entry])
            line.store.land(seq, [entry])
            line.landed([entry])
        self._newest = pl.concat([self._newest, changed]).unique("sensor", keep="last", maintain_order=True)
        self._off = _by_feed(self._newest)
        return changed.height

    def counted(self, feed: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """A feed's row of the snapshot with how many of its sensors have a clock that is off."""
        off = self._off.get(feed, 0)
        words = f"{row['words']} {spoken_off(off)}." if off else row["words"]
        return {**row, "clocks_off": off, "words": words}

    def _read(self, store: Store, now: datetime) -> None:
        """Bring the shortest delays up to now: what may have changed since the last look is read again."""
        edge = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=now.hour % (BUCKET.seconds // 3600))
        start = edge - KEPT if self._read_to is None else min(edge, self._read_to) - BUCKET
        parts = [self._lags.filter((pl.col("bucket") < start) & (pl.col("bucket") > edge - KEPT))]
        while start < now + BUCKET:
            parts.append(lags(store.rows("readings", start, start + BUCKET, columns=COLUMNS)))
            start += BUCKET
        self._lags, self._read_to = pl.concat(parts), edge


def newest(store: Store) -> pl.DataFrame:
    """The newest verdict on each sensor's clock (the columns of the table sensor_clocks)."""
    rows = store.rows(SENSOR_CLOCKS.name, columns=list(SENSOR_CLOCKS.schema)).cast(SENSOR_CLOCKS.schema)
    return rows.sort("judged_at").unique("sensor", keep="last", maintain_order=True)


def as_shown(store: Store, sensors: pl.DataFrame) -> pl.DataFrame:
    """The clocks that are off, the worst first.

    Shape: SHOWN_CLOCKS.
    """
    off = newest(store).filter(pl.col("state") != RIGHT)
    found = off.join(sensors.select("sensor", "asset"), on="sensor", how="inner")
    told = pl.Series("words", [in_words(row) for row in found.iter_rows(named=True)], dtype=pl.String)
    worst = pl.max_horizontal(pl.col("error_s").abs(), pl.col("drift_s_per_day").abs() * 30)
    return found.with_columns(told).sort(worst, descending=True, nulls_last=True).select(list(SHOWN_CLOCKS))


def in_words(row: Mapping[str, Any]) -> str:
    """What is wrong with a clock, in a phrase: `12 minutes behind, and loses 40 seconds a day`."""
    error, drift = row["error_s"], row["drift_s_per_day"]
    parts = []
    if error is not None and abs(error) >= SMALLEST_S / 2:
        parts.append(f"{spoken(timedelta(seconds=abs(error)))} {'ahead' if error > 0 else 'behind'}")
    if drift is not None:
        parts.append(f"{'gains' if drift > 0 else 'loses'} {spoken(timedelta(seconds=abs(drift)))} a day")
    return " and ".join(parts) or str(row["state"])


def spoken_off(number: int) -> str:
    """How many clocks are off, as a sentence without its end."""
    return "The clock of 1 sensor is off" if number == 1 else f"The clocks of {number} sensors are off"


def _about(line: "Line") -> pl.DataFrame:
    """series, feed and pace_s of every sensor: its own interval, or its feed's where that is slower."""
    numbers = pl.DataFrame(
        {"sensor": list(line.series.numbers), "series": list(line.series.numbers.values())},
        schema={"sensor": pl.String, "series": pl.Int32},
    )
    every = {name: feed.every.total_seconds() if feed.declared else 0.0 for name, feed in line.settings.feeds.items()}
    feed = pl.col("sensor").replace_strict(dict(line.silence.carriers), default=None, return_dtype=pl.String)
    pace = pl.col("feed").replace_strict(every, default=0.0, return_dtype=pl.Float64)
    placed = line.registers.sensors.join(numbers, on="sensor").select("series", "sensor", "every_s")
    named = placed.with_columns(feed=feed)
    return named.select("series", "feed", pace_s=pl.max_horizontal("every_s", pace))


def _by_feed(verdicts: pl.DataFrame) -> dict[str, int]:
    off = verdicts.filter((pl.col("state") != RIGHT) & pl.col("feed").is_not_null())
    return dict(off.group_by("feed").len().iter_rows())


def _changed(rows: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """What is worth a row: another state, or an error that has moved by a fifth and by more than is ever said."""
    known = before.select("sensor", _state="state", _error="error_s")
    joined = rows.join(known, on="sensor", how="left", maintain_order="left")
    moved = (pl.col("error_s") - pl.col("_error")).abs()
    far = (moved > SMALLEST_S) & (moved > pl.col("_error").abs() / 5)
    off = pl.col("state") != RIGHT
    fresh = pl.col("_state").is_null() & off
    other = pl.col("_state").is_not_null() & (pl.col("state") != pl.col("_state"))
    worse = off & far.fill_null(value=False)
    return joined.filter(pl.col("sensor").is_not_null() & (fresh | other | worse)).select(rows.columns)
