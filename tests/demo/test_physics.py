"""Water, power and sun obey their balances, calm and in trouble."""

import itertools

import numpy as np
import pytest

from pipelines.demo import air, meters, microgrid, outages, power, tanks, water
from pipelines.demo.calendar import day_number, day_start
from pipelines.demo.demand import DMAS, burst, inflow_m3_h
from pipelines.demo.feeds import blocks
from pipelines.demo.incidents import SCRIPTS, Incident, World
from pipelines.engine.alarms.rules import limit_of
from pipelines.water.alarms import ALARMS
from pipelines.water.tables import QUANTITIES


@pytest.mark.parametrize("world", ["calm", "troubled"])
def test_tank_level_follows_from_what_flows_in_and_out(world: str, request, start: float) -> None:
    simulated = request.getfixturevalue(world)
    t = np.arange(start - 6 * 3600.0, start + 8 * 3600.0, 15.0)
    for tank in tanks.TANKS:
        inflow, outflow, level = tanks.state(simulated, tank, t)
        net = inflow - outflow
        volume = np.sum((net[1:] + net[:-1]) / 2.0 * 15.0 / 3600.0)
        turnover = np.sum(outflow) * 15.0 / 3600.0
        area = np.pi * tank.diameter_m**2 / 4.0
        assert abs(area * (level[-1] - level[0]) - volume) < 0.002 * turnover
        assert level.min() > tank.dead_level_m
        assert level.max() < tank.full_level_m
        assert inflow.min() > -0.01


def test_tank_level_has_no_step_at_midnight(calm: World, start: float) -> None:
    midnight = day_start(int(day_number(start)))
    levels = tanks.levels(calm, np.array([midnight - 1.0, midnight + 1.0]))
    assert np.abs(levels[:, 1] - levels[:, 0]).max() < 0.002


def test_tank_feeds_exactly_what_its_areas_draw(calm: World, day) -> None:
    out = sum(tanks.state(calm, tank, day)[1] for tank in tanks.TANKS)
    drawn = sum(inflow_m3_h(calm, dma, day) for dma in DMAS)
    assert np.abs(out - drawn).max() < 0.6


def test_non_revenue_water_is_between_20_and_35_percent_in_each_area_and_28_in_the_town(
    calm: World, start: float
) -> None:
    hours = np.arange(day_start(int(day_number(start)) - 7), day_start(int(day_number(start))), 3600.0)
    metered = meters.litres(calm, hours).sum(axis=1) / 1000.0
    fleet = meters.fleet(7)
    fine = np.arange(hours[0], hours[-1] + 3600.0, 300.0)
    lost, entered = 0.0, 0.0
    for number, dma in enumerate(DMAS):
        inflow = inflow_m3_h(calm, dma, fine).mean() * len(hours)
        share = 1.0 - metered[fleet.dmas == number].sum() / inflow
        assert 0.20 < share < 0.35, dma.asset
        lost, entered = lost + share * inflow, entered + inflow
    assert lost / entered == pytest.approx(0.28, abs=0.03)


@pytest.mark.parametrize("target", next(script.targets for script in SCRIPTS if script.kind == "burst_main"))
def test_burst_main_rings_pressure_low_at_every_hour_and_a_calm_day_never_does(
    target: str, calm: World, start: float
) -> None:
    rule = next(alarm for alarm in ALARMS if alarm.name == "pressure_low")
    limit = limit_of(rule, next(quantity for quantity in QUANTITIES if quantity.name == rule.watches))
    point = [s.asset for s in water.PRESSURE].index(f"P-{target.partition(':')[2]}")
    (pressures,) = (block for block in water.BLOCKS if block.name == "pressure")
    for hour in range(0, 72, 2):
        begin = start + hour * 3600.0
        burst_main = World(7, (Incident("burst_main", target, begin, begin + 960.0, 60.0, 300.0),))
        at = begin + np.arange(60.0, 960.0, pressures.live_s)
        assert pressures.at(burst_main, at)[point].max() < limit.low, hour
        assert pressures.at(calm, at)[point].min() > limit.low + limit.deadband, hour


def test_burst_main_raises_inflow_lowers_pressure_in_its_ward_and_heals(troubled: World, calm: World) -> None:
    incident = troubled.of_kind("burst_main")[0]
    area, ward = incident.target.split(":")
    dma = next(d for d in DMAS if d.asset == area)
    middle, after = np.array([(incident.start + incident.end) / 2.0]), np.array([incident.over + 1.0])
    assert inflow_m3_h(troubled, dma, middle)[0] > 1.4 * inflow_m3_h(calm, dma, middle)[0]
    block = next(b for b in blocks(7) if b.name == "pressure")
    row = [s.asset for s in block.series].index(f"P-{ward}")
    assert block.at(calm, middle)[row, 0] - block.at(troubled, middle)[row, 0] > 8.0
    assert burst(troubled, dma, after)[0] == 0.0


def test_feeder_trip_takes_power_and_stops_the_pump_until_it_is_restored(troubled: World) -> None:
    incident = troubled.of_kind("feeder_trip")[0]
    t = np.array([incident.start - 5.0, incident.start + 30.0, incident.end + 30.0])
    series = [s.sensor for s in power.FEEDER_SERIES]
    kw = power.BLOCKS[0].at(troubled, t)[series.index(f"{incident.target}-KW")]
    assert kw[0] > 50.0
    assert kw[1] == 0.0
    assert kw[2] > 50.0
    tank = next(x for x in tanks.TANKS if x.feeder == incident.target)
    assert tanks.state(troubled, tank, t)[0][1] == pytest.approx(0.0, abs=0.5)


def test_outage_rows_are_open_while_out_and_closed_after(troubled: World) -> None:
    incident = troubled.of_kind("feeder_trip")[0]
    customers = next(f.customers for f in outages.FEEDERS if f.asset == incident.target)

    def trip(now: float) -> list[dict[str, object]]:
        return [
            r
            for r in outages.rows(troubled, incident.start - 1, incident.start + 1, now)
            if str(r["outage"]).startswith("TRIP")
        ]

    assert [row["restored_at"] for row in trip(incident.start + 5)] == [None, None]
    assert sum(row["restored_at"] is None for row in trip(incident.end - 5)) == 1
    assert all(row["restored_at"] for row in trip(incident.end + 5))
    assert sum(int(str(row["customers"])) for row in trip(incident.end)) == customers


def test_feeder_energy_exceeds_its_transformers_by_about_five_percent(calm: World, start: float) -> None:
    t = np.arange(start - 86_400.0 * 3, start, 900.0)
    energy = next(b for b in blocks(7) if b.name == "energies").at(calm, t).sum(axis=1)
    for number in range(6):
        entered, delivered = energy[number], energy[6 + 3 * number : 9 + 3 * number].sum()
        assert 0.03 < (entered - delivered) / entered < 0.08


@pytest.mark.parametrize("world", ["calm", "troubled"])
def test_microgrid_balance_closes_within_two_percent_and_charge_integrates(world: str, request, start: float) -> None:
    simulated = request.getfixturevalue(world)
    t = np.arange(start - 20 * 3600.0, start + 20 * 3600.0, 60.0)
    values = dict(
        zip((s.sensor.split(".")[1] for s in microgrid.SERIES), microgrid.BLOCKS[0].at(simulated, t), strict=True)
    )
    supplied = values["solar"] + values["grid_import"] - values["grid_export"] + values["battery"] + values["diesel"]
    assert np.abs(supplied - values["load"]).max() < 0.02 * values["load"].min()
    assert values["soc"].min() >= 20.0 - 1e-6
    assert values["soc"].max() <= 100.0 + 1e-6
    flow = values["battery"][:-1]
    stored = -np.where(flow > 0, flow / 0.95, flow * 0.96) / 60.0 / 1500.0 * 100.0
    assert np.abs(np.diff(values["soc"]) - stored).max() < 0.01


def test_sun_shines_by_day_only(calm: World) -> None:
    noon = day_start(20_780) + 12.2 * 3600.0
    assert microgrid.irradiance_w_m2(7, np.array([noon]))[0] > 100.0
    assert microgrid.irradiance_w_m2(7, np.array([noon + 43_200.0]))[0] == 0.0


def test_winter_air_is_worse_than_monsoon_air_and_the_industrial_ward_is_worst(calm: World) -> None:
    def pm25(month_day: int) -> np.ndarray:
        t = np.arange(day_start(month_day), day_start(month_day + 10), 3600.0)
        return air.BLOCKS[0].at(calm, t).reshape(4, 7, -1)[:, 0].mean(axis=1)

    december, august = pm25(20_790), pm25(20_668)
    assert (december > 1.8 * august).all()
    assert december.argmax() == [s.ward for s in air.STATIONS].index("W03")


@pytest.mark.parametrize("block", [b.name for b in blocks(7)])
def test_values_are_finite_and_within_the_register_on_any_day(block: str, calm: World, start: float) -> None:
    one = next(b for b in blocks(7) if b.name == block)
    t = np.floor((start - np.arange(0, 300) * 86_400.0 * 1.2) / one.every_s)[::-1] * one.every_s
    values = one.at(calm, t)
    assert values.shape == (len(one.series), len(t))
    assert np.isfinite(values).all()
    for row, series in zip(values, one.series, strict=True):
        assert series.low is None or row.min() >= series.low
        assert series.high is None or row.max() <= series.high


def test_incidents_begin_within_two_minutes_last_ten_to_twenty_five_and_come_back(
    troubled: World, start: float
) -> None:
    for script in SCRIPTS:
        acts = troubled.of_kind(script.kind)
        assert 30.0 <= acts[0].start - start <= 120.0
        assert all(600.0 <= act.end - act.start <= 1500.0 for act in acts)
        assert len(acts) > 20
        assert all(later.start > earlier.over for earlier, later in itertools.pairwise(acts))
    assert len({script.first_s for script in SCRIPTS}) == len(SCRIPTS)
