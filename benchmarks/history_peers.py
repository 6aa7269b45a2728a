"""The systems of the history benchmark: how each takes a day of readings, and how it is asked the same questions."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import polars as pl

from benchmarks.history_readings import QUANTITY, ZONE, sensor, town
from benchmarks.ingest_peers import InfluxDb, Peer, PostgreSql, VictoriaMetrics
from benchmarks.ingest_readings import Batch
from pipelines import available
from pipelines.engine import compaction, manifest, registers, rollups, settings
from pipelines.engine.journal import Entry, Journal
from pipelines.engine.tables import ENGINE_TABLES, READINGS, SERIES
from pipelines.engine.town import Town

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
MONTH, YEAR = timedelta(days=31), timedelta(days=365)
ROWS_A_CALL = 50_000
# So many days are in the journal when it is compacted.
DAYS_A_PASS = 8


class Asked(ABC):
    """A system that holds the readings and is asked seven questions about the time before `end`; all give rows."""

    name: ClassVar[str]

    @abstractmethod
    def load(self, days: Iterator[pl.DataFrame]) -> None:
        """Take the readings, day by day, and come to rest."""

    @abstractmethod
    def bytes_at_rest(self) -> int:
        """Bytes on disk."""

    @abstractmethod
    def close(self) -> None:
        """End it."""

    @abstractmethod
    def day(self, number: int) -> Any:
        """Readings of one sensor over the last day."""

    @abstractmethod
    def month(self, number: int) -> Any:
        """Mean and extremes of one sensor by hour, over a month."""

    @abstractmethod
    def year(self, number: int) -> Any:
        """Mean and extremes of one sensor by day, over a year."""

    @abstractmethod
    def now_and_before(self) -> Any:
        """The town's mean of the last hour, and of the same hour one to four weeks before."""

    @abstractmethod
    def ranking(self) -> Any:
        """The mean of each ward over the last whole month."""

    @abstractmethod
    def latest(self) -> Any:
        """The newest reading of every sensor."""

    @abstractmethod
    def percentiles(self) -> Any:
        """Five percentiles of all readings of the last whole month."""


class Ours(Asked):
    """Townboard: the functions that pages and API call."""

    name = "Townboard"

    def __init__(self, folder: Path, sensors: int, end: datetime, month: tuple[datetime, datetime]) -> None:
        self.folder, self.sensors, self.end, self.whole = folder / "town", sensors, end, month
        town(self.folder, sensors)
        self.settings = settings.load(self.folder, available)

    def load(self, days: Iterator[pl.DataFrame]) -> None:
        """Frames of the journal, compacted as the line has it done; the last hour stays in the journal."""
        journal = Journal(self.settings.store / "journal")
        facts = {"received_s": self.end.timestamp()}
        for number, rows in enumerate(days):
            if number == 0:
                journal.append([Entry("series", _numbers(rows), facts)])
            readings = rows.select("series", "observed_at", "value", quality=pl.lit(0, pl.UInt8)).cast(READINGS.schema)
            recent = pl.col("observed_at") >= self.end - HOUR
            if readings["observed_at"][-1] >= self.end - HOUR:
                journal.append([Entry("readings", readings.filter(~recent), facts)])
                self._compact(journal)
                readings = readings.filter(recent)
            journal.append([Entry("readings", readings, facts)])
            if number % DAYS_A_PASS == DAYS_A_PASS - 1 and readings["observed_at"][-1] < self.end - HOUR:
                self._compact(journal)
        journal.close()
        self.town = Town(self.settings, lambda: self.end)

    def _compact(self, journal: Journal) -> None:
        known = registers.load(self.settings)
        done = compaction.compact(self.settings.store, ENGINE_TABLES, ZONE, sensors=known.sensors)
        journal.drop_before(done.applied_seq)
        compaction.sweep(self.settings.store, datetime.now(UTC) + DAY)

    def bytes_at_rest(self) -> int:
        """Readings and their rollups."""
        return sum(self.parts().values())

    def parts(self) -> dict[str, int]:
        """Bytes of readings and of each rollup."""
        parts = manifest.read(self.settings.store).parts
        return {
            name: sum((self.settings.store / part.file).stat().st_size for part in parts.get(name, {}).values())
            for name in ("readings", *rollups.NAMES)
        }

    def close(self) -> None:
        """Nothing runs."""

    def day(self, number: int) -> Any:
        """As the asset page."""
        return self.town.readings([sensor(number)], self.end - DAY, self.end)

    def month(self, number: int) -> Any:
        """As `/api/v1/readings?step=hour`."""
        return self.town.summary([sensor(number)], self.end - MONTH, self.end, "hour")

    def year(self, number: int) -> Any:
        """As `/api/v1/readings?step=day`."""
        return self.town.summary([sensor(number)], self.end - YEAR, self.end, "day")

    def now_and_before(self) -> Any:
        """As `/api/v1/readings?by=town&step=hour`: all hours of the four weeks, and of these the five."""
        hours = self.town.by_area(QUANTITY, self.end - HOUR - 4 * WEEK, self.end, step="hour", wards=False)
        return hours.filter(pl.col("window").is_in([self.end - HOUR - week * WEEK for week in range(5)]))

    def ranking(self) -> Any:
        """As `/api/v1/readings?by=ward&step=month`."""
        return self.town.by_area(QUANTITY, *self.whole, step="month", wards=True)

    def latest(self) -> Any:
        """As the asset tables."""
        return self.town.latest()

    def percentiles(self) -> Any:
        """As `/api/v1/quantities/.../percentiles`."""
        return self.town.percentiles(QUANTITY, *self.whole, SHARES)


def _numbers(rows: pl.DataFrame) -> pl.DataFrame:
    known = rows.select("sensor", "series", registered_at="observed_at").unique("sensor", maintain_order=True)
    return known.select(list(SERIES.schema)).cast(SERIES.schema)


class Other(Asked):
    """A database of the ingest benchmark, loaded with lines or CSV."""

    peer: ClassVar[type[Peer]]

    def __init__(self, folder: Path, sensors: int, end: datetime, month: tuple[datetime, datetime]) -> None:
        (folder / self.name).mkdir()
        self.system = self.peer(folder / self.name)
        self.sensors, self.end, self.whole = sensors, end, month
        self.system.start()

    def load(self, days: Iterator[pl.DataFrame]) -> None:
        """Line protocol with sensor and ward as tags."""
        line = pl.format("r,sensor={},ward={} v={} {}", "sensor", "ward", "value", pl.col("observed_at").dt.epoch("s"))
        for rows in days:
            for first in range(0, rows.height, ROWS_A_CALL):
                part = rows.slice(first, ROWS_A_CALL)
                self.system.send(Batch(part.height, b"", "\n".join(part.select(line=line)["line"]).encode(), 0))
        self.system.settle()

    def bytes_at_rest(self) -> int:
        """As in the ingest benchmark."""
        return self.system.bytes_at_rest()

    def close(self) -> None:
        """Stop the server."""
        self.system.stop()


def _s(at: datetime) -> int:
    return round(at.timestamp())


class Influx(Other):
    """InfluxQL over HTTP."""

    name, peer = "InfluxDB", InfluxDb

    def _ask(self, what: str, start: datetime, end: datetime, rest: str = "", where: str = "") -> Any:
        query = f"SELECT {what} FROM r WHERE {where}time >= {_s(start)}s AND time < {_s(end)}s {rest}"
        status, told = self.system.ask("GET", f"/query?db=b&q={quote(query)}")
        found = json.loads(told)["results"][0]
        assert status == 200 and found.get("series"), told[:300]
        return found["series"]

    def _one(self, number: int) -> str:
        return f"sensor = '{sensor(number)}' AND "

    def day(self, number: int) -> Any:
        """Points."""
        return self._ask("v", self.end - DAY, self.end, where=self._one(number))

    def month(self, number: int) -> Any:
        """By time(1h)."""
        return self._ask("mean(v),min(v),max(v)", self.end - MONTH, self.end, "GROUP BY time(1h)", self._one(number))

    def year(self, number: int) -> Any:
        """By time(1d)."""
        return self._ask("mean(v),min(v),max(v)", self.end - YEAR, self.end, "GROUP BY time(1d)", self._one(number))

    def now_and_before(self) -> Any:
        """Five questions."""
        return [self._ask("mean(v)", self.end - HOUR - week * WEEK, self.end - week * WEEK) for week in range(5)]

    def ranking(self) -> Any:
        """By the tag."""
        return self._ask("mean(v)", *self.whole, "GROUP BY ward")

    def latest(self) -> Any:
        """last()."""
        return self._ask("last(v)", self.end - 3 * DAY, self.end, "GROUP BY sensor")

    def percentiles(self) -> Any:
        """percentile()."""
        return self._ask(", ".join(f"percentile(v, {share * 100})" for share in SHARES), *self.whole)


class Victoria(Other):
    """MetricsQL over HTTP."""

    name, peer = "VictoriaMetrics", VictoriaMetrics

    def _ask(self, path: str, **query: object) -> Any:
        text = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        status, told = self.system.ask("GET", f"/api/v1/{path}?{text}&nocache=1")
        found = json.loads(told)["data"]["result"] if status == 200 else []
        assert found, told[:300]
        return found

    def _range(self, query: str, span: timedelta, step: timedelta) -> Any:
        ends = {"start": _s(self.end - span + step) - 1, "end": _s(self.end) - 1}
        return self._ask("query_range", query=query, step=f"{step.total_seconds():.0f}s", **ends)

    def _summed(self, number: int, span: timedelta, step: timedelta) -> Any:
        which = f'r_v{{sensor="{sensor(number)}"}}[{step.total_seconds():.0f}s]'
        return [self._range(f"{what}_over_time({which})", span, step) for what in ("avg", "min", "max")]

    def day(self, number: int) -> Any:
        """Raw samples."""
        return self._ask("query", query=f'r_v{{sensor="{sensor(number)}"}}[1d]', time=_s(self.end) - 1)

    def month(self, number: int) -> Any:
        """avg, min and max over time."""
        return self._summed(number, MONTH, HOUR)

    def year(self, number: int) -> Any:
        """avg, min and max over time."""
        return self._summed(number, YEAR, DAY)

    def now_and_before(self) -> Any:
        """Five questions."""
        ends = [_s(self.end - week * WEEK) - 1 for week in range(5)]
        return [self._ask("query", query="avg(avg_over_time(r_v[1h]))", time=at) for at in ends]

    def ranking(self) -> Any:
        """Mean of the sensors' means: each has as many readings."""
        span = round((self.whole[1] - self.whole[0]).total_seconds())
        return self._ask("query", query=f"avg(avg_over_time(r_v[{span}s])) by (ward)", time=_s(self.whole[1]) - 1)

    def latest(self) -> Any:
        """An instant query."""
        return self._ask("query", query="last_over_time(r_v[3d])", time=_s(self.end) - 1)

    def percentiles(self) -> Any:
        """From its own histograms: approximate."""
        span = round((self.whole[1] - self.whole[0]).total_seconds())
        counted = f"sum(histogram_over_time(r_v[{span}s])) by (vmrange)"
        shares = ", ".join(str(share) for share in SHARES)
        return self._ask("query", query=f'histogram_quantiles("q", {shares}, {counted})', time=_s(self.whole[1]) - 1)


class Postgres(Other):
    """SQL by psql; the key (sensor, at), a block range index on the time, wards beside."""

    name, peer = "PostgreSQL", PostgreSql

    def load(self, days: Iterator[pl.DataFrame]) -> None:
        """COPY, then the indexes, as one fills a history."""
        say = self.system._say  # type: ignore[attr-defined]
        say("DROP TABLE readings;\nCREATE TABLE readings (sensor text, at timestamptz, value float8);\n")
        say("CREATE TABLE sensors (sensor text PRIMARY KEY, ward text);\n")
        for number, rows in enumerate(days):
            if number == 0:
                known = rows.select("sensor", "ward").unique("sensor").write_csv(include_header=False)
                say(f"COPY sensors FROM STDIN (FORMAT csv);\n{known}\\.\n")
            at = pl.col("observed_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
            text = rows.select("sensor", at, "value").write_csv(include_header=False)
            say(f"COPY readings FROM STDIN (FORMAT csv);\n{text}\\.\n")
        say("ALTER TABLE readings ADD PRIMARY KEY (sensor, at);\nCREATE INDEX ON readings USING brin (at);\n")
        say("VACUUM ANALYZE readings;\nANALYZE sensors;\nSET jit = off;\n")
        self.system.settle()

    def _ask(self, query: str) -> Any:
        found = self.system._say(f"{query};\n")  # type: ignore[attr-defined]
        assert found, query
        return found

    def _summed(self, number: int, step: str, span: timedelta) -> Any:
        within = f"sensor = '{sensor(number)}' AND {self._span(self.end - span, self.end)}"
        columns = f"date_trunc('{step}', at, '{ZONE}') AS step, avg(value), min(value), max(value)"
        return self._ask(f"SELECT {columns} FROM readings WHERE {within} GROUP BY step ORDER BY step")

    def _span(self, start: datetime, end: datetime) -> str:
        return f"at >= '{start.isoformat()}' AND at < '{end.isoformat()}'"

    def day(self, number: int) -> Any:
        """By the key."""
        within = f"sensor = '{sensor(number)}' AND {self._span(self.end - DAY, self.end)}"
        return self._ask(f"SELECT at, value FROM readings WHERE {within} ORDER BY at")

    def month(self, number: int) -> Any:
        """By the key."""
        return self._summed(number, "hour", MONTH)

    def year(self, number: int) -> Any:
        """By the key."""
        return self._summed(number, "day", YEAR)

    def now_and_before(self) -> Any:
        """Five questions."""
        spans = [self._span(self.end - HOUR - week * WEEK, self.end - week * WEEK) for week in range(5)]
        return [self._ask(f"SELECT avg(value) FROM readings WHERE {span}") for span in spans]

    def ranking(self) -> Any:
        """A join."""
        within = self._span(*self.whole)
        return self._ask(
            f"SELECT ward, avg(value) FROM readings JOIN sensors USING (sensor) WHERE {within} GROUP BY ward"
        )

    def latest(self) -> Any:
        """One look into the key for each sensor."""
        newest = "SELECT at, value FROM readings r WHERE r.sensor = s.sensor ORDER BY at DESC LIMIT 1"
        return self._ask(f"SELECT s.sensor, n.at, n.value FROM sensors s CROSS JOIN LATERAL ({newest}) n")

    def percentiles(self) -> Any:
        """percentile_cont()."""
        shares = ",".join(str(share) for share in SHARES)
        which = f"percentile_cont(ARRAY[{shares}]) WITHIN GROUP (ORDER BY value)"
        return self._ask(f"SELECT {which} FROM readings WHERE {self._span(*self.whole)}")


SYSTEMS: Sequence[type[Ours] | type[Other]] = (Ours, Influx, Victoria, Postgres)
QUESTIONS: Mapping[str, str] = {
    "day": "one sensor, a day",
    "month": "one sensor, a month by hour",
    "year": "one sensor, a year by day",
    "now_and_before": "town, this hour against four weeks",
    "ranking": "wards, a month",
    "latest": "latest of all sensors",
    "percentiles": "percentiles of a month",
}
