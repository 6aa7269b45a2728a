"""A town made of hand-written frames, with the same questions and answers as the real Town; for tests of the glass only."""

import math
import random
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from pipelines.engine.clocks import SHOWN_CLOCKS
from pipelines.engine.devices import SHOWN_DEVICES
from pipelines.engine.filing.room import FilingRoom
from pipelines.engine.gallery import Gallery
from pipelines.engine.model import Domain, Kpi
from pipelines.engine.people.porter import Porter
from pipelines.engine.people.roles import VISITOR, Actor
from pipelines.engine.people.saved_views import SavedViews
from pipelines.engine.people.shift import ShiftLog
from pipelines.engine.people.wall_door import WallDoor
from pipelines.engine.settings.filing import FilingPlan
from pipelines.engine.snapshot import Snapshot
from pipelines.engine.tables import KPI_CORRECTIONS
from pipelines.engine.usual import Usual
from tests.glass.fake_domains import FIVE
from tests.glass.fake_room import FakeRoom
from tests.glass.fake_rules import furnish

INSTANT = pl.Datetime("us", "UTC")
STARTED = datetime.now(UTC).replace(microsecond=0)
WARD_NAMES = (
    "Bazaar",
    "Riverside",
    "Station Road",
    "Old Fort",
    "Mill Lane",
    "College",
    "Temple Hill",
    "Canal East",
    "Canal West",
    "Lakeshore",
    "New Colony",
    "Brickfields",
)
KINDS = {
    "transport": "traffic_counter",
    "water": "pressure_point",
    "energy": "transformer",
    "pollution": "air_station",
    "grievances": "",
    "waste": "bin",
}
STATUS = {
    "on_time_performance": "breach",
    "supply_per_head": "watch",
    "peak_loading": "good",
    "supply_hours": "stale",
    "pm25_daily": "no data",
    "mean_speed": "context",
}


def _usual(sensor: str, start: datetime, end: datetime) -> Usual:
    """A band of ten about fifty, to the end of what was asked for."""
    hours = [start + timedelta(hours=number) for number in range(int((end - start) / timedelta(hours=1)))]
    rows = pl.DataFrame({"observed_at": hours, "low": 45.0, "high": 55.0}, schema_overrides={"observed_at": INSTANT})
    return Usual(rows, "The band is what past weeks make usual at this hour.", True)


class FakeTown:
    """Twelve wards, a few hundred assets (water: thousands), a board that moves when told to."""

    name, zone, languages = "Nadipur", "Asia/Kolkata", ["en", "hi", "ur"]
    flood = ""

    def __init__(self, domains: tuple[Domain, ...] = FIVE, water_points: int = 2600) -> None:
        self.domains = domains
        self.settings = SimpleNamespace(
            store=Path("no-store-here"), feeds={}, backup=None, open_wall=True, filing=FilingPlan()
        )
        self.registers = SimpleNamespace(references={})
        self.expectations = SimpleNamespace(
            of_sensor=_usual, of_kpi=lambda kpi, area, start, end: _usual("", start, end)
        )
        self.now = lambda: datetime.now(UTC)
        # What stands here never moves while it is read.
        self.pinned = lambda: nullcontext(0)
        # Nobody has an account here, unless a test puts a porter of its own at the door.
        self.porter = Porter(Path("no-store-here/state.sqlite"), None, self.now)  # type: ignore[arg-type]
        self.wall_door = WallDoor(self.settings, None, self.now)  # type: ignore[arg-type]
        self._wards = pl.DataFrame(
            {
                "ward": [f"W{i:02}" for i in range(1, 13)],
                "name": list(WARD_NAMES),
                "population": [4000 + 300 * i for i in range(12)],
                "households": [900] * 12,
            }
        )
        self._assets = self._register(water_points)
        self.alarms = FakeRoom(self.now)
        # Nobody files anything here: that is for towns with a line.
        self.filing = FilingRoom(self, None)  # type: ignore[arg-type]
        self.shift = ShiftLog(Path("no-store-here/state.sqlite"), None)  # type: ignore[arg-type]
        self.views = SavedViews(Path("no-store-here/state.sqlite"), None)  # type: ignore[arg-type]
        if any(domain.name == "water" for domain in domains):
            self.alarms.begin(self._assets)
        furnish(self, [kpi for domain in domains for kpi in domain.kpis])
        self.heard = pl.DataFrame(schema=SHOWN_DEVICES)
        self.off = pl.DataFrame(schema=SHOWN_CLOCKS)
        self.requests: dict[str, Any] = {}
        self.pinned = lambda: nullcontext(0)
        self._snapshot: Snapshot | None = None
        self.pictures = Gallery(self, lambda: (None, None))  # type: ignore[arg-type, return-value]

    # what tests do to it

    def publish(self, state: dict[str, Any]) -> None:
        before = self._snapshot.state if self._snapshot else None
        self._snapshot = Snapshot.build(state, before)

    def beat(self, seq: int, statuses: dict[str, str] | None = None, **values: float | None) -> dict[str, Any]:
        """Publish a state in which these KPIs have these values and states for the town."""
        state = self.state_at(seq)
        for kpi, status in (statuses or {}).items():
            state["kpis"][f"{kpi}|town"]["status"] = status
        for kpi, value in values.items():
            row = state["kpis"][f"{kpi}|town"]
            state["kpis"][f"{kpi}|town"] = {**row, "value": value, "reason": "no_data" if value is None else None}
        self.publish(state)
        return state

    # the questions of the real Town

    @property
    def tables(self) -> tuple[Any, ...]:
        return tuple(t for d in self.domains for t in d.tables)

    def domain(self, name: str) -> Domain:
        return next(d for d in self.domains if d.name == name)

    def board(self) -> Snapshot | None:
        return self._snapshot

    def wards(self) -> pl.DataFrame:
        return self._wards

    def assets(self, domain: str | None = None) -> pl.DataFrame:
        return self._assets if domain is None else self._assets.filter(pl.col("domain") == domain)

    def sensors(self, domain: str | None = None) -> pl.DataFrame:
        units = {d.name: d.quantities[0] for d in self.domains}
        return self.assets(domain).select(
            pl.format("{}.1", "asset").alias("sensor"), "asset", "kind", "ward",
            quantity=pl.col("domain").replace_strict({k: q.name for k, q in units.items()}),
            unit=pl.col("domain").replace_strict({k: q.unit for k, q in units.items()}),
            every_s=pl.lit(300), low=pl.lit(None, pl.Float64), high=pl.lit(90.0),
        )  # fmt: skip

    def ward_shapes(self) -> dict[str, Any]:
        features = []
        for index in range(12):
            column, line = index % 4, index // 4
            ring = [
                _corner(column + dx, line + dy)
                for dx, dy in ((0, 0), (0.5, 0), (1, 0), (1, 0.5), (1, 1), (0.5, 1), (0, 1), (0, 0.5), (0, 0))
            ]
            features.append(
                {
                    "type": "Feature",
                    "properties": {"ward": f"W{index + 1:02}"},
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                }
            )
        return {"type": "FeatureCollection", "features": features}

    def history(self, kpi: str, areas: list[str] | None, start: datetime | None, end: datetime | None) -> pl.DataFrame:
        declared = self._kpi(kpi)
        step = {"hour": timedelta(hours=1), "day": timedelta(days=1), "month": timedelta(days=30)}[declared.window.step]
        last = STARTED.replace(minute=0, second=0)
        starts = [last - step * i for i in range(400) if start is None or last - step * i >= start][::-1]
        if kpi == "pm25_daily":
            starts = []
        base = (declared.target or 50) * 0.95
        values = [None if i % 37 == 11 else base * (1 + 0.12 * math.sin(i / 3.8)) for i in range(len(starts))]
        n = len(starts)
        return pl.DataFrame(
            {"window": starts, "end": [s + step for s in starts], "area": [(areas or ["town"])[0]] * n, "value": values, "numerator": values, "denominator": [1.0] * n,
             "n": [12] * n, "n_expected": [12] * n, "coverage": [1.0] * n, "reason": [None] * n, "revision": [1] * n},
            schema={"window": INSTANT, "end": INSTANT, "area": pl.String, "value": pl.Float64, "numerator": pl.Float64, "denominator": pl.Float64, "n": pl.Int64, "n_expected": pl.Int64, "coverage": pl.Float64, "reason": pl.String, "revision": pl.Int64},
        )  # fmt: skip

    def parts(self, table: str) -> list[Any]:
        return []

    def corrections(self, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        return pl.DataFrame(schema=KPI_CORRECTIONS.schema)

    def summary(self, sensors: list[str], start: datetime, end: datetime, step: str) -> pl.DataFrame:
        rows = self.readings(sensors, start, end).rename({"observed_at": "window"})
        lowest, highest = {"lowest": pl.col("value") - 5}, {"highest": pl.col("value") + 5}
        return rows.with_columns(**lowest, **highest).select("sensor", "window", "value", "lowest", "highest")

    def readings(self, sensors: list[str], start: datetime | None, end: datetime | None) -> pl.DataFrame:
        at = [STARTED - timedelta(minutes=5 * i) for i in range(300)][::-1]
        frames = [
            pl.DataFrame(
                {
                    "sensor": [s] * 300,
                    "observed_at": at,
                    "value": [50 + 20 * math.sin(i / 30) for i in range(300)],
                    "quality": ["good"] * 300,
                    "received_at": at,
                },
                schema_overrides={"observed_at": INSTANT, "received_at": INSTANT},
            )
            for s in sensors
        ]
        return (
            pl.concat(frames)
            if frames
            else pl.DataFrame(
                schema={
                    "sensor": pl.String,
                    "observed_at": INSTANT,
                    "value": pl.Float64,
                    "quality": pl.String,
                    "received_at": INSTANT,
                }
            )
        )

    def latest(self, domain: str | None = None) -> pl.DataFrame:
        sensors = self.sensors(domain).with_row_index("i")
        age = pl.duration(seconds=(pl.col("i") % 290))
        state = (
            pl.when(pl.col("i") % 23 == 7)
            .then(pl.lit("stale"))
            .when(pl.col("i") % 17 == 3)
            .then(pl.lit("late"))
            .otherwise(pl.lit("good"))
        )
        return sensors.select(
            "sensor",
            "asset",
            "ward",
            "quantity",
            "unit",
            observed_at=pl.lit(STARTED, INSTANT) - age,
            value=(20 + pl.col("i") % 60).cast(pl.Float64),
            state=state,
        )

    def rows(
        self,
        table: str,
        start: datetime | None = None,
        end: datetime | None = None,
        ward: str | None = None,
        limit: int | None = None,
        *,
        actor: Actor = VISITOR,
    ) -> pl.DataFrame:
        n = 0 if ward == "W12" else 40
        return pl.DataFrame(
            {
                "dma": [f"DMA{i:02}" for i in range(n)],
                "period_start": [STARTED] * n,
                "billed_m3": [1000.5 + i for i in range(n)],
                "received_at": [STARTED] * n,
            },
            schema_overrides={"period_start": INSTANT, "received_at": INSTANT},
        )

    def quarantine(
        self, feed: str | None = None, reason: str | None = None, limit: int = 200, *, actor: Actor
    ) -> pl.DataFrame:
        actor.check_everywhere("read")
        n = 0 if feed == "bus_positions" else 14
        return pl.DataFrame(
            {"id": list(range(n)), "feed": ["scada"] * n, "received_at": [STARTED - timedelta(minutes=i) for i in range(n)], "table": ["readings"] * n, "row": list(range(n)),
             "reason": ["out_of_range", "unknown_sensor"][:1] * n, "detail": ["4,300 % is above the possible 110 %. Check whether the meter now reports litres."] * n,
             "withheld": [False] * n, "original": ['P-17,2026-11-23T08:30:00+05:30,"4300",<b>pct</b>'] * n},
            schema_overrides={"received_at": INSTANT},
        )  # fmt: skip

    def quarantine_counts(self) -> pl.DataFrame:
        return pl.DataFrame({"feed": ["scada"], "reason": ["out_of_range"], "rows": [14], "newest": [STARTED]})

    def devices(self, actor: Actor) -> pl.DataFrame:
        actor.check_everywhere("read")
        return self.heard

    def clocks(self, actor: Actor) -> pl.DataFrame:
        actor.check("read")
        return self.off

    def runs(self, limit: int = 50) -> pl.DataFrame:
        jobs = ["compute_kpis", "compaction", "backup"]
        began = [STARTED - timedelta(seconds=20 * i) for i in range(3)]
        return pl.DataFrame(
            {
                "job": jobs,
                "started_at": began,
                "ended_at": [b + timedelta(milliseconds=240) for b in began],
                "rows": [1200, 88_000, None],
                "outcome": ["done", "done", "failed"],
                "words": ["", "2 days rewritten", "The disk for backups is not mounted; nothing was written."],
                "next_at": [STARTED + timedelta(minutes=5)] * 3,
            },
            schema_overrides={"started_at": INSTANT, "ended_at": INSTANT, "next_at": INSTANT},
        )

    def complaint(self, number: str) -> Any:
        return self.requests.get(number)

    def dictionary(self) -> pl.DataFrame:
        rows = [
            ("readings", "sensor", "text", None, "which sensor", "every feed of readings"),
            ("readings", "value", "number", None, "what it read", "every feed of readings"),
        ]
        rows += [
            (t.name, c.name, c.kind, c.unit, c.meaning, d.title)
            for d in self.domains
            for t in d.tables
            for c in t.columns
        ]
        return pl.DataFrame(rows, schema=["table", "column", "kind", "unit", "meaning", "source"], orient="row")

    # how it is made up

    def _kpi(self, name: str) -> Kpi:
        return next(k for d in self.domains for k in d.kpis if k.id == name)

    def _register(self, water_points: int) -> pl.DataFrame:
        dice, rows = random.Random(4), []
        for domain in self.domains:
            kind = KINDS.get(domain.name, "")
            for index in range(water_points if domain.name == "water" else 14 if kind else 0):
                column, line = dice.uniform(0.1, 3.9), dice.uniform(0.1, 2.9)
                lon, lat = _corner(column, line)
                ward = f"W{int(line) * 4 + int(column) + 1:02}"
                rows.append(
                    (
                        f"{domain.name[:2].upper()}-{index + 1:04}",
                        domain.name,
                        kind,
                        f"{kind.replace('_', ' ').capitalize()} {index + 1}",
                        ward,
                        lat,
                        lon,
                        None,
                    )
                )
        return pl.DataFrame(
            rows,
            schema={
                "asset": pl.String,
                "domain": pl.String,
                "kind": pl.String,
                "name": pl.String,
                "ward": pl.String,
                "lat": pl.Float64,
                "lon": pl.Float64,
                "parent": pl.String,
            },
            orient="row",
        )

    def state_at(self, seq: int, built_at: datetime | None = None) -> dict[str, Any]:
        """A whole state, the same for the same number but for the time."""
        now = built_at or datetime.now(UTC)
        kpis = {}
        for domain in self.domains:
            for kpi in domain.kpis:
                for place in ["town", *(f"ward:{w}" for w in self._wards["ward"])]:
                    kpis[f"{kpi.id}|{place}"] = _row(kpi, domain.name, place, now)
        feeds = {name: _feed(name, title, domains, state, now) for name, title, domains, state in FEEDS}
        return {
            "seq": seq, "built_at": now.isoformat(), "build": "test", "town": {"name": self.name, "timezone": self.zone, "population": 70_000, "languages": ["en"], "demo": True},
            "kpis": kpis, "feeds": feeds, "assets": self._asset_states(), "alarms": self.alarms.shown(), "alarm_summary": {"words": self.flood}, "jobs": [],
            "ledger": {"decoded": 1_204_410, "stored": 1_203_000, "duplicate": 1_396, "quarantined": 14},
        }  # fmt: skip

    def _asset_states(self) -> dict[str, Any]:
        shown = self._assets.group_by("domain", maintain_order=True).head(14)
        states = ["good"] * 9 + ["late", "stale", "no data", "good", "good"]
        return {
            r["asset"]: {
                "ward": r["ward"],
                "kind": r["kind"],
                "domain": r["domain"],
                "name": r["name"],
                "lat": r["lat"],
                "lon": r["lon"],
                "state": states[i % 14],
                "latest": {},
                "alarm": "critical" if r["asset"] == "WA-0003" else None,
            }
            for i, r in enumerate(shown.iter_rows(named=True))
        }


FEEDS = (("bus_positions", "Bus positions", ["transport"], "live"), ("scada", "Water telemetry", ["water"], "late"), ("smart_meters", "Electricity meters", ["energy"], "live"),
         ("air_stations", "Air stations", ["pollution"], "silent"), ("open311", "Grievance desk", ["grievances"], "live"), ("bills", "Water bills", ["water"], "waiting"))  # fmt: skip


def _corner(column: float, line: float) -> list[float]:
    """A corner of the made-up wards, bent so that they look like land."""
    x = column + 0.14 * math.sin(line * 2.1 + column) + 0.04 * math.cos(7 * line)
    y = line + 0.12 * math.cos(column * 1.7 + line) + 0.05 * math.sin(5 * column)
    return [84.98 + x * 0.011, 24.70 - y * 0.010]


def _row(kpi: Kpi, domain: str, place: str, now: datetime) -> dict[str, Any]:
    dice = random.Random(f"{kpi.id}{place}")
    status = (
        STATUS.get(kpi.id, "good") if place == "town" else dice.choice(["good"] * 5 + ["watch", "breach", "no data"])
    )
    base = kpi.target if kpi.target else 34.0
    side = {"breach": 0.87, "watch": 0.97}.get(status, 1.03)
    value = (
        None
        if status == "no data"
        else base * (side if kpi.better != "lower" else 2 - side) * (1 + dice.uniform(-0.02, 0.02))
    )
    end = (now - timedelta(hours=6) if status == "stale" else now).replace(minute=0, second=0, microsecond=0)
    spark = [base * (1 + 0.1 * math.sin(i / 3) + dice.uniform(-0.03, 0.03)) if i != 7 else None for i in range(30)]
    return {
        "kpi": kpi.id, "domain": domain, "area": place, "ward": place.removeprefix("ward:") if place != "town" else None, "value": value, "unit": kpi.unit, "decimals": kpi.decimals,
        "target": kpi.target, "better": kpi.better, "status": "context" if kpi.better == "context" else status, "reason": "no_data" if value is None else None,
        "window_start": (end - timedelta(hours=1)).isoformat(), "window_end": end.isoformat(), "as_of": end.isoformat(), "coverage": 0.94, "numerator": 1880.0, "denominator": 2000.0,
        "n": 1880, "n_expected": 2000, "detail": None, "last_week": None if value is None else value * 0.96, **({"spark": spark} if place == "town" else {}),
    }  # fmt: skip


def _feed(name: str, title: str, domains: list[str], state: str, now: datetime) -> dict[str, Any]:
    seconds = {"live": 12, "late": 190, "silent": 840, "waiting": 0}[state]
    words = {
        "live": "Arriving as expected.",
        "late": "Water telemetry has sent nothing for 3 minutes; it should every minute.",
        "silent": "Air stations has sent nothing for 14 minutes (it should every minute). Call the operator; nothing needs restarting here.",
        "waiting": "Nothing has come yet; the first file is expected on the first of the month.",
    }[state]
    strip = [1.0] * 15 + [0.8, 0.4, None, 0.0, 0.9, 1.0, 1.0, 0.99, 1.0 if state == "live" else 0.2]
    return {"feed": name, "title": title, "domains": domains, "state": state, "words": words, "last_arrival": (now - timedelta(seconds=seconds)).isoformat() if seconds else None,
            "every_s": 60, "completeness": 0.94, "strip": strip, "decoded": 200_735, "stored": 200_500, "duplicate": 232, "corrected": 5, "quarantined": 3, "payloads": 3400}  # fmt: skip
