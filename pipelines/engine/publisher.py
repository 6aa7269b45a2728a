"""Puts together what every screen shows: KPIs, feeds, assets, alarms, jobs, ledger; numbered and built once."""

import math
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.calendar import LENGTHS
from pipelines.engine.judge import age_state, judge
from pipelines.engine.ledger import total
from pipelines.engine.model import Kpi
from pipelines.engine.snapshot import Board, Snapshot
from pipelines.engine.trail import Trail
from pipelines.engine.version import BUILD
from pipelines.engine.works import Work

if TYPE_CHECKING:
    from pipelines.engine.line import Line

REBUILD = timedelta(seconds=15)
# Readings go on the board between two beats only while beats come: KPIs that stand still must not look alive.
BEATS_COME = timedelta(seconds=10)
# Kinds with more members than this (household meters) are not sent to every screen.
MOST_OF_A_KIND = 300
# So long a corrected value says so on its tile.
TOLD_FOR = timedelta(days=7)
REASONS = {
    "no_data": "no data in this window yet",
    "insufficient_data": "too little data arrived to say",
    "stale": "the data behind it is too old",
    "not_applicable": "does not apply here now",
}


class Publisher:
    """Builds snapshots for one line."""

    def __init__(self, line: "Line", now: datetime) -> None:
        self._line = line
        self._seq = 0
        self._state: dict[str, Any] | None = None
        self._turn = threading.Lock()
        self._shown_seq = 0
        self._alarms_version = 0
        self._beat_at = datetime.min.replace(tzinfo=UTC)
        self._worst: dict[str, str] = {}
        self.jobs: Callable[[], list[dict[str, Any]]] = list
        self._areas = self._expected_areas()
        self.every = {work.kpi.id: self._interval(work) for work in line.kpis.works.values()}
        self._built: dict[str, tuple[int, datetime, list[tuple[str, dict[str, Any]]]]] = {}
        self._shown_assets = self._streamed_assets()
        self._trail = Trail([work.kpi for work in line.kpis.works.values()], line.settings.zone)
        self._trail.load(line.store, now)
        self._corrected: dict[str, dict[str, Any]] = {}
        self._correct(line.store.rows("kpi_corrections", now - TOLD_FOR))
        self._before = self._published_before()

    def publish(self, now: datetime) -> Snapshot:
        """The snapshot of this instant, put on the board for every reader."""
        with self._turn:
            snapshot = self.build(now)
            snapshot.write(self._line.board_path)
        return snapshot

    def refresh(self, now: datetime) -> Snapshot | None:
        """Between two beats: the newest readings and feeds on the board, and what people did to alarms.

        None when nothing has landed or was done since the board was last written, or when no beat has come for a while.
        """
        with self._turn:
            acted = self._line.alarms.book.version != self._alarms_version
            landed = self._line.journal.seq != self._shown_seq
            if self._state is None or not (acted or landed) or now - self._beat_at > BEATS_COME:
                return None
            alarms = self._alarms(now) if acted else {}
            snapshot = self._snapshot({**self._state, **alarms, **self._readings(now)}, now)
            snapshot.write(self._line.board_path)
        return snapshot

    def build(self, now: datetime) -> Snapshot:
        """The snapshot of this instant."""
        line, settings = self._line, self._line.settings
        self._beat_at = now
        self._trail.follow(line.store, now)
        state = {
            "build": BUILD,
            "town": {
                "name": settings.name,
                "timezone": settings.zone,
                "population": line.registers.population,
                "languages": list(settings.languages),
                "demo": settings.demo,
            },
            "kpis": {key: row for work in line.kpis.works.values() for key, row in self._rows(work, now)},
            "jobs": self.jobs(),
            **self._alarms(now),
            **self._readings(now),
        }
        return self._snapshot(state, now)

    def _alarms(self, now: datetime) -> dict[str, Any]:
        """The parts of the board that change with what happens to alarms."""
        alarms = self._line.alarms
        self._alarms_version, self._worst = alarms.book.version, alarms.worst_by_asset()
        return {"alarms": alarms.listed(), "alarm_summary": alarms.summary(now)}

    def _readings(self, now: datetime) -> dict[str, Any]:
        """The parts of the board that change with every batch that lands."""
        line = self._line
        self._shown_seq = line.journal.seq
        feeds = line.feed_states(now)
        return {"feeds": feeds, "assets": self._assets(now), "ledger": total(feeds.values())}

    def _snapshot(self, parts: Mapping[str, Any], now: datetime) -> Snapshot:
        self._seq = max(self._seq + 1, int(now.timestamp() * 10))
        state = {**parts, "seq": self._seq, "built_at": now.isoformat()}
        snapshot = Snapshot.build(state, self._state)
        self._state = state
        return snapshot

    @property
    def kpis(self) -> Mapping[str, dict[str, Any]]:
        """The KPIs as they stand on the board, by "kpi|area"."""
        return self._state["kpis"] if self._state else {}

    def published(self, values: pl.DataFrame, notices: pl.DataFrame) -> None:
        """Remember newly published values for sparklines and last week's comparison, and what was corrected."""
        self._trail.add(values)
        self._correct(notices)

    def _correct(self, notices: pl.DataFrame) -> None:
        for row in notices.sort("corrected_at").iter_rows(named=True):
            self._corrected[f"{row['kpi']}|{row['area']}"] = {
                "at": _iso(row["corrected_at"]), "window_start": _iso(row["window"]), "window_end": _iso(row["end"]),
                "before": _rounded(row["before"]), "after": _rounded(row["after"]),
            }  # fmt: skip

    def _correction(self, key: str, now: datetime) -> dict[str, Any] | None:
        """The last correction of a KPI and area, for as long as its tile tells it."""
        last = self._corrected.get(key)
        return last if last and now - datetime.fromisoformat(last["at"]) <= TOLD_FOR else None

    def _expected_areas(self) -> dict[str, list[str]]:
        registers, areas = self._line.registers, {}
        for work in self._line.kpis.works.values():
            expected = ["town"] if "town" in work.kpi.levels else []
            if "ward" in work.kpi.levels:
                expected += [f"ward:{ward}" for ward in registers.wards["ward"]]
            areas[work.kpi.id] = expected
        return areas

    def _streamed_assets(self) -> pl.DataFrame:
        assets = self._line.registers.assets
        few = assets.group_by("kind").len().filter(pl.col("len") <= MOST_OF_A_KIND)["kind"]
        return assets.filter(pl.col("kind").is_in(few.implode()))

    def _rows(self, work: Work, now: datetime) -> list[tuple[str, dict[str, Any]]]:
        """The rows of one KPI; built again when it was computed, or when time may have made them stale."""
        if not work.looks and work.kpi.id in self._before:
            return [(key, self._aged(work, row, now)) for key, row in self._before[work.kpi.id]]
        known = self._built.get(work.kpi.id)
        if known is None or known[0] != work.looks or now - known[1] > REBUILD:
            known = self._built[work.kpi.id] = (work.looks, now, self._built_rows(work, now))
        return known[2]

    def _published_before(self) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        """The rows of the last board of an earlier life: shown, with their age, until a KPI is computed again."""
        last = Board(self._line.board_path).look()
        rows: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for key, row in (last.state["kpis"] if last else {}).items():
            rows.setdefault(row["kpi"], []).append((key, row))
        return rows

    def _aged(self, work: Work, row: dict[str, Any], now: datetime) -> dict[str, Any]:
        as_of = datetime.fromisoformat(row["as_of"]) if row["as_of"] else None
        return {**row, "status": judge(work.kpi, row["value"], as_of, row["every_s"], now)}

    def _built_rows(self, work: Work, now: datetime) -> list[tuple[str, dict[str, Any]]]:
        kpi = work.kpi
        found = {row["area"]: row for row in work.current.iter_rows(named=True)}
        frame = next(iter(found.values()), None)
        empty = {"reason": "no_data", **({"window": frame["window"], "end": frame["end"]} if frame else {})}
        declared = {
            "kpi": kpi.id, "domain": work.domain, "unit": kpi.unit, "decimals": kpi.decimals,
            "target": kpi.target, "better": kpi.better, "every_s": self.every[kpi.id],
        }  # fmt: skip
        rows = []
        for area in dict.fromkeys([*self._areas[kpi.id], *found]):
            shown = self._shown(work, area, found.get(area, empty), now)
            rows.append((f"{kpi.id}|{area}", {**declared, **shown}))
        return rows

    def _shown(self, work: Work, area: str, row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """What the board says of one area, besides what is declared of the KPI."""
        kpi, get = work.kpi, row.get
        value, as_of, window, end = get("value"), get("as_of"), get("window"), get("end")
        before = self._trail.last_week(kpi.id, area, window, running=end is not None and end > now)
        return {
            "area": area,
            "ward": area.partition(":")[2] if area.startswith("ward:") else None,
            "value": _rounded(value),
            "status": judge(kpi, value, as_of, self.every[kpi.id], now),
            "reason": self._why(kpi, row) if value is None else None,
            "window_start": _iso(window),
            "window_end": _iso(end),
            "as_of": _iso(as_of),
            "coverage": _rounded(get("coverage")),
            "numerator": _rounded(get("numerator")),
            "denominator": _rounded(get("denominator")),
            "n": get("n"),
            "n_expected": get("n_expected"),
            "detail": get("detail"),
            "last_week": _rounded(before.value),
            "last_week_whole": before.whole,
            "spark": [_rounded(value) for value in self._trail.spark(kpi.id)] if area == "town" else [],
            "corrected": self._correction(f"{kpi.id}|{area}", now),
        }

    def _why(self, kpi: Kpi, row: Mapping[str, Any]) -> str | None:
        """Why there is no value, in words."""
        reason, coverage = row.get("reason"), row.get("coverage")
        if reason == "insufficient_data" and coverage is not None and coverage < kpi.min_coverage:
            return f"only {coverage:.0%} of what is expected has arrived; {kpi.min_coverage:.0%} is needed"
        if reason == "insufficient_data" and (row.get("denominator") or math.inf) < kpi.floor:
            return f"only {row['denominator']:g} so far; nothing is said of fewer than {kpi.floor:g}"
        return self._line.kpis.faults.get(kpi.id) or REASONS.get(reason or "", reason)

    def _interval(self, work: Work) -> float | None:
        """Seconds in which new data for this KPI is expected."""
        feeds = [self._line.settings.feeds[name].every.total_seconds() for name in work.feeds]
        first = work.kpi.inputs[0]
        quantity = first.removesuffix("_hourly").removesuffix("_daily")
        own = self._line.registers.sensors.filter(pl.col("quantity") == quantity)["every_s"]
        step = LENGTHS[work.kpi.window.step].total_seconds() if work.kpi.settles is not None else 0.0
        fastest = own.quantile(0.5, "linear") if own.len() else (min(feeds) if feeds else None)
        # Below a minute a missed call says nothing yet.
        return max(fastest, step, 60.0) if fastest is not None else None

    def _assets(self, now: datetime) -> dict[str, dict[str, Any]]:
        latest: dict[str, dict[str, list[Any]]] = {}
        for asset, quantity, every_s, at, value in (
            self._line.latest.filter(pl.col("asset").is_in(self._shown_assets["asset"].implode()))
            .select("asset", "quantity", "every_s", "observed_at", "value")
            .iter_rows()
        ):
            latest.setdefault(asset, {})[quantity] = [_rounded(value), at.isoformat(), age_state(now - at, every_s)]
        rows = {}
        for row in self._shown_assets.iter_rows(named=True):
            name = row.pop("asset")
            values = latest.get(name, {})
            states = [value[2] for value in values.values()]
            del row["parent"], row["depends_on"]
            row["state"] = max(states, key=STATES.index) if states else "no data"
            rows[name] = {**row, "latest": values, "alarm": self._worst.get(name)}
        return rows


STATES = ("good", "late", "stale")


def _rounded(value: float | None) -> float | None:
    return float(f"{value:.10g}") if value is not None else None


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
