"""The power network: eighteen transformers on six feeders, with losses, reactive power, voltage and oil temperature."""

from dataclasses import dataclass

import numpy as np

from pipelines.demo import outages
from pipelines.demo.blocks import Asset, Block, Series
from pipelines.demo.calendar import ambient_c, bump, hour_of_day, rest_day, warmth
from pipelines.demo.chance import Floats, normal, stream, streams, wander
from pipelines.demo.geography import point_in, ward_named
from pipelines.demo.incidents import World
from pipelines.demo.outages import FEEDERS, Feeder

DECLARED_V = 230.0
# Share of what the transformers deliver that is lost on the way: a constant part and one that grows with the load.
LOSS_FIXED, LOSS_LOAD = 0.031, 0.047
QUARTER_S = 900


@dataclass(frozen=True)
class Transformer:
    """A distribution transformer and how fully it is used at the evening peak."""

    asset: str
    feeder: Feeder
    ward: str
    rated_kva: int
    used: float


_RATED = (400, 315, 250, 630, 500, 500, 630, 630, 500, 400, 315, 315, 400, 315, 250, 630, 400, 500)
_USED = (0.66, 0.72, 0.58, 0.74, 0.61, 0.69, 0.78, 0.83, 0.64, 0.71, 0.88, 0.60, 0.67, 0.75, 0.56, 0.72, 0.97, 0.63)
TRANSFORMERS = tuple(
    Transformer(
        f"DT{n + 1:02d}",
        FEEDERS[n // 3],
        FEEDERS[n // 3].wards[n % 3 % len(FEEDERS[n // 3].wards)],
        _RATED[n],
        _USED[n],
    )
    for n in range(18)
)
VOLTAGE_AT = ("DT02", "DT08", "DT11", "DT17")


def load_shape(kind: str, t: Floats) -> Floats:
    """Load as a share of the usual peak, by kind of customers."""
    hour, rest, hot = hour_of_day(t), rest_day(t), np.abs(warmth(t))
    home = (
        0.36 + 0.22 * bump(hour, 7.2, 1.4) + 0.56 * bump(hour, 20.2, 2.3) + 0.13 * bump(hour, 14.0, 3.0) * (0.5 + hot)
    )
    shops = 0.22 + (0.62 - 0.22 * rest) * bump(hour, 14.5, 4.2) + 0.32 * bump(hour, 19.4, 1.7)
    works = 0.34 + (0.6 - 0.42 * rest) * bump(hour, 11.5, 3.4) + (0.3 - 0.2 * rest) * bump(hour, 17.0, 2.4)
    return {"residential": home, "commercial": shops, "industrial": works, "mixed": 0.6 * home + 0.4 * shops}[kind]


def transformer_kw(world: World, t: Floats) -> Floats:
    """Active power out of each transformer, one row each, in order."""
    rows = []
    for feeder in FEEDERS:
        live = 1.0 - outages.share_out(world, feeder, t)
        shape = load_shape(feeder.load, t) * live
        for each in (x for x in TRANSFORMERS if x.feeder == feeder):
            chance = 1.0 + 0.07 * wander(stream(world.seed, f"load {each.asset}"), t, 2700.0)
            rows.append(each.rated_kva * each.used * 1.08 * shape * chance)
    return np.stack(rows)


def tangent(t: Floats) -> Floats:
    """Reactive per active power: more by day, when motors run."""
    return 0.29 + 0.13 * bump(hour_of_day(t), 13.0, 4.0)


def feeder_kw(transformers: Floats) -> Floats:
    """Power at each feeder head: what its three transformers deliver and the loss on the way."""
    delivered = transformers.reshape(len(FEEDERS), 3, -1).sum(axis=1)
    rated = np.array([[sum(x.rated_kva for x in TRANSFORMERS if x.feeder == f)] for f in FEEDERS])
    return delivered * (1.0 + LOSS_FIXED + LOSS_LOAD * delivered / rated)


def _feeders(world: World, t: Floats) -> Floats:
    power = feeder_kw(transformer_kw(world, t))
    return np.concatenate([power, power * (tangent(t) + 0.03)])


def _transformers(world: World, t: Floats) -> Floats:
    power = transformer_kw(world, t)
    used = power / np.array([[x.rated_kva] for x in TRANSFORMERS])
    slow = np.mean([transformer_kw(world, t - lag) for lag in (1800.0, 5400.0)], axis=0) / np.array(
        [[x.rated_kva] for x in TRANSFORMERS]
    )
    oil = ambient_c(t) + 11.0 + 42.0 * (0.3 * used + 0.7 * slow) ** 1.6
    return np.concatenate([power, power * tangent(t), oil])


def _energies(world: World, t: Floats) -> Floats:
    """Energy of the quarter-hours that begin at `t`: feeders, then transformers, from the same three samples."""
    parts = [transformer_kw(world, t + offset) for offset in (150.0, 450.0, 750.0)]
    delivered = np.mean(parts, axis=0) / 4.0
    entered = np.mean([feeder_kw(part) for part in parts], axis=0) / 4.0
    return np.concatenate([entered, delivered])


def _voltages(world: World, t: Floats) -> Floats:
    power = transformer_kw(world, t)
    of = streams(world.seed, [s.sensor for s in VOLTAGE])
    rows = []
    for each in (x for x in TRANSFORMERS if x.asset in VOLTAGE_AT):
        used = power[TRANSFORMERS.index(each)] / each.rated_kva
        dead = outages.share_out(world, each.feeder, t) > 0.99
        for phase in range(3):
            volts = 240.0 - (18.0 + 2.6 * phase) * used * (0.75 + each.used / 2.0)
            rows.append(np.where(dead, 0.0, volts))
    found = np.stack(rows)
    return found + np.where(
        found > 0.0, 1.1 * wander(of, t, 1200.0) + 0.25 * normal(of, np.floor(t).astype(np.int64)), 0.0
    )


FEEDER_SERIES = tuple(Series(f"{f.asset}-KW", f.asset, "feeder_power_kw", "kW") for f in FEEDERS) + tuple(
    Series(f"{f.asset}-KVAR", f.asset, "feeder_reactive_kvar", "kvar") for f in FEEDERS
)
TRANSFORMER_SERIES = tuple(
    Series(f"{x.asset}-{short}", x.asset, quantity, unit)
    for short, quantity, unit in (
        ("KW", "transformer_power_kw", "kW"),
        ("KVAR", "transformer_reactive_kvar", "kvar"),
        ("OIL", "oil_temperature_c", "degC"),
    )
    for x in TRANSFORMERS
)
ENERGY_SERIES = tuple(Series(f"{f.asset}-KWH", f.asset, "feeder_energy_kwh", "kWh") for f in FEEDERS) + tuple(
    Series(f"{x.asset}-KWH", x.asset, "transformer_energy_kwh", "kWh") for x in TRANSFORMERS
)
VOLTAGE = tuple(Series(f"V-{d}-L{p}", f"V-{d}", "voltage_v", "V") for d in VOLTAGE_AT for p in (1, 2, 3))
BLOCKS = (
    Block("feeders", "power_telemetry", 300, 15, FEEDER_SERIES, _feeders),
    Block("transformers", "power_telemetry", 900, 60, TRANSFORMER_SERIES, _transformers),
    Block("energies", "power_telemetry", QUARTER_S, QUARTER_S, ENERGY_SERIES, _energies, interval=True),
    Block("voltages", "power_telemetry", 600, 60, VOLTAGE, _voltages),
)


def assets(seed: int) -> list[Asset]:
    """Feeders, transformers and voltage points."""
    found = []
    for feeder in FEEDERS:
        lon, lat = point_in(seed, feeder.wards[0], feeder.asset)
        found.append(Asset(feeder.asset, "energy", "feeder", f"{feeder.name} feeder", feeder.wards[0], lat, lon))
    for each in TRANSFORMERS:
        lon, lat = point_in(seed, each.ward, each.asset)
        name = f"Transformer {each.asset[2:]} {ward_named(seed, each.ward).name}"
        found.append(Asset(each.asset, "energy", "transformer", name, each.ward, lat, lon, each.feeder.asset))
        if each.asset in VOLTAGE_AT:
            point = Asset(
                f"V-{each.asset}", "energy", "voltage_point", f"Voltage at {name}", each.ward, lat, lon, each.asset
            )
            found.append(point)
    return found


def references() -> dict[str, list[dict[str, object]]]:
    """Rows of reference/feeders.csv and reference/transformers.csv."""
    feeders: list[dict[str, object]] = [{"asset": f.asset, "customers_served": f.customers} for f in FEEDERS]
    transformers: list[dict[str, object]] = [
        {"asset": x.asset, "rated_kva": x.rated_kva, "declared_v": DECLARED_V, "tolerance_pct": 6.0}
        for x in TRANSFORMERS
    ]
    return {"feeders": feeders, "transformers": transformers}
