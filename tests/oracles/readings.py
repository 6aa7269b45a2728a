"""Readings as the oracles see them: the last word on each sensor and instant, nulls left out, with the sensor's place."""

import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.model import INSTANT
from tests.oracles.agreement import Dirty
from tests.oracles.dirt import paced, soiled
from tests.oracles.plain import Rows, grouped, latest, local, total

EVERY = {"10 s": 10.0, "1 min": 60.0, "5 min": 300.0, "10 min": 600.0, "15 min": 900.0, "30 min": 1800.0, "1 h": 3600.0}
SCHEMAS: dict[str, dict[str, Any]] = {
    "readings": {"sensor": pl.String, "observed_at": INSTANT, "value": pl.Float64},
    "register_sensors": {"sensor": pl.String, "asset": pl.String, "quantity": pl.String, "every": pl.String},
    "register_assets": {"asset": pl.String, "kind": pl.String, "ward": pl.String, "parent": pl.String},
    "register_wards": {"ward": pl.String, "population": pl.Float64, "households": pl.Float64},
}
VIEWS = f"""
CREATE VIEW assets AS SELECT * FROM register_assets;
CREATE VIEW sensors AS SELECT s.*, a.ward, a.kind, a.parent,
  CASE every {" ".join(f"WHEN '{text}' THEN {seconds}" for text, seconds in EVERY.items())} END AS every_s
  FROM register_sensors s JOIN assets a USING (asset);
CREATE VIEW good AS SELECT r.observed_at, r.value, s.* FROM
  (SELECT * FROM readings QUALIFY row_number() OVER (PARTITION BY sensor, observed_at ORDER BY came DESC) = 1) r
  JOIN sensors s USING (sensor) WHERE value IS NOT NULL;
CREATE VIEW hourly AS SELECT sensor, asset, ward, kind, parent, quantity, 3600 / every_s AS expected,
  timezone(zone(), date_trunc('hour', here(observed_at))) AS observed_at, count(*) AS n, sum(value) AS total
  FROM good GROUP BY sensor, asset, ward, kind, parent, quantity, every_s, date_trunc('hour', here(observed_at));
CREATE VIEW daily AS SELECT sensor, asset, ward, kind, parent, quantity, 86400 / every_s AS expected,
  timezone(zone(), date_trunc('day', here(observed_at))) AS observed_at, count(*) AS n, sum(value) AS total
  FROM good GROUP BY sensor, asset, ward, kind, parent, quantity, every_s, date_trunc('day', here(observed_at));
CREATE MACRO places(ward, more, other) AS list_filter(['town', 'ward:' || ward, more, other], lambda a: a IS NOT NULL);
CREATE MACRO three(ward, asset) AS list_filter(['town', 'ward:' || ward, 'asset:' || asset], lambda a: a IS NOT NULL);
"""


def sensors(dirty: Dirty) -> Rows:
    """The register with every_s, ward, kind and parent of the asset."""
    return dirty.kept("sensors", lambda: _sensors(dirty))


def _sensors(dirty: Dirty) -> Rows:
    places = {one["asset"]: one for one in dirty.register("assets")}
    return [
        {**{k: places[s["asset"]][k] for k in ("ward", "kind", "parent")}, **s, "every_s": EVERY[s["every"]]}
        for s in dirty.register("sensors")
    ]


def good(dirty: Dirty, *quantities: str) -> Rows:
    """The readings of some quantities, in order of time."""
    return [row for name in quantities for row in _by_quantity(dirty).get(name, [])]


def _by_quantity(dirty: Dirty) -> dict[Any, Rows]:
    return dirty.kept("by_quantity", lambda: _placed(dirty))


def _placed(dirty: Dirty) -> dict[Any, Rows]:
    place = {one["sensor"]: one for one in sensors(dirty)}
    rows = latest(dirty.rows("readings"), "sensor", "observed_at")
    known = [{**place[row["sensor"]], **row} for row in rows if row["value"] is not None]
    return grouped(sorted(known, key=lambda row: row["observed_at"]), "quantity")


def hourly(dirty: Dirty, quantity: str) -> Rows:
    """Rolled up by sensor and local hour: n, sum, expected."""
    return dirty.kept(f"hourly {quantity}", lambda: _rolled(dirty, quantity, day=False))


def daily(dirty: Dirty, quantity: str) -> Rows:
    """Rolled up by sensor and local day."""
    return dirty.kept(f"daily {quantity}", lambda: _rolled(dirty, quantity, day=True))


def _rolled(dirty: Dirty, quantity: str, *, day: bool) -> Rows:
    steps: dict[tuple[str, datetime], Rows] = {}
    for row in good(dirty, quantity):
        clock = local(row["observed_at"], dirty.zone)
        start = clock.replace(hour=0, fold=0) if day else clock
        start = start.replace(minute=0, second=0, microsecond=0)
        steps.setdefault((row["sensor"], start), []).append(row)
    seconds = 86400 if day else 3600
    return [
        {
            **own[0], "observed_at": start.astimezone(own[0]["observed_at"].tzinfo), "n": len(own),
            "sum": total(own, "value"), "expected": seconds / own[0]["every_s"],
        }
        for (_, start), own in steps.items()
    ]  # fmt: skip


Level = Callable[[datetime], float]


def filled(dirty: Dirty, dice: random.Random, levels: dict[str, Level], perfect: Iterable[str] = ()) -> None:
    """Readings of these sensors, or sensors of these quantities, pushed dirty; `perfect` sensors lack nothing."""
    rows: Rows = []
    whole = set(perfect)
    for one in sensors(dirty):
        level = levels.get(one["sensor"], levels.get(one["quantity"]))
        if level is None:
            continue
        every = timedelta(seconds=one["every_s"])
        lost, null = (0.0, 0.0) if one["sensor"] in whole else (0.05, 0.03)
        kept = paced(
            one["sensor"], dirty.start, dirty.end, every, level, dice, lost=lost, null=null,
            gaps=one["sensor"] not in whole,
        )  # fmt: skip
        rows += kept
    for table, batch in soiled("readings", rows, dice, _corrected):
        dirty.batches += [(table, batch[i : i + 20_000]) for i in range(0, len(batch), 20_000)]


def wave(dice: random.Random, low: float, high: float) -> Level:
    """A level that swings over the day, with noise."""

    def value(at: datetime) -> float:
        part = (at.hour * 60 + at.minute) / 1440
        return round(low + (high - low) * (abs(part - 0.5) * 2 * 0.7 + dice.random() * 0.3), 3)

    return value


def _corrected(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "value": None if row["value"] is None else row["value"] + 0.7}
