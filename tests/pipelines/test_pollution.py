"""Noise, WHO guidelines, data capture, effluent, greenhouse gas, and what the domain declares."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.engine.decode.base import decoder
from pipelines.pollution import DOMAIN
from pipelines.pollution.effluent import effluent_compliance
from pipelines.pollution.emissions import ghg_emissions
from pipelines.pollution.formulas import ppb_from_ug_per_m3, ug_per_m3
from pipelines.pollution.goals import data_capture, who_annual_ratio, who_exceedance_days
from pipelines.pollution.limit_tables import FOLDER
from pipelines.pollution.noise import noise_compliance_day, noise_compliance_night, noise_lden, noise_leq
from pipelines.pollution.tables import EFFLUENT, NOISE_LIMITS
from tests.shipped import shipped

ROOT = Path(__file__).parents[2]
INSTANT = pl.Datetime("us", "UTC")
INDIA, ROME = "Asia/Kolkata", "Europe/Rome"
MIDNIGHT = datetime(2025, 1, 10, 18, 30, tzinfo=UTC)  # 11 January 00:00 in Kolkata
READINGS = {
    "sensor": pl.String,
    "asset": pl.String,
    "kind": pl.String,
    "ward": pl.String,
    "observed_at": INSTANT,
    "value": pl.Float64,
}
ROLLUP = {
    **{k: READINGS[k] for k in ("sensor", "asset", "kind", "ward", "observed_at")},
    "n": pl.Int64,
    "expected": pl.Int64,
    "sum": pl.Float64,
}
NO_ROLLUPS = pl.DataFrame(schema=ROLLUP)
ASSETS = pl.DataFrame({"asset": ["P1", "P2"], "ward": ["W1", "W2"]})
NOISE, SETS = shipped(NOISE_LIMITS), shipped(EFFLUENT)


def register(sites: dict[str, str], every_s: int = 3600, quantity: str = "noise_dba") -> pl.DataFrame:
    made = [(f"{asset}-s", asset, "noise_site", ward, quantity, "dBA", every_s) for asset, ward in sites.items()]
    return pl.DataFrame(made, schema=["sensor", "asset", "kind", "ward", "quantity", "unit", "every_s"], orient="row")


def sound(
    levels: dict[str, list[float | None]], start: datetime = MIDNIGHT, step: int = 3600, ward: str = "W1"
) -> pl.DataFrame:
    made = [
        (f"{asset}-s", asset, "noise_site", ward, start + timedelta(seconds=step * place), level)
        for asset, values in levels.items()
        for place, level in enumerate(values)
        if level is not None
    ]
    return pl.DataFrame(made, schema=READINGS, orient="row")


def window(start: datetime, hours: float) -> pl.DataFrame:
    end = start + timedelta(hours=hours)
    return pl.DataFrame(
        {"window": [start], "end": [end], "as_of": [end]}, schema=dict.fromkeys(["window", "end", "as_of"], INSTANT)
    )


def at(frame: pl.DataFrame, area: str, column: str = "value") -> object:
    return frame.filter(pl.col("area") == area)[column].to_list()[0]


def share(frame: pl.DataFrame, area: str) -> tuple[object, object]:
    return at(frame, area, "numerator"), at(frame, area, "denominator")


def test_noise_leq_is_an_energy_mean_and_the_town_its_loudest_site() -> None:
    levels = sound({"N1": [60, 60, 60, 70], "N2": [50, 50, 50, 50]}, step=900)
    found = noise_leq(levels, register({"N1": "W1", "N2": "W1"}, every_s=900), window(MIDNIGHT, 1))
    assert at(found, "asset:N1") == pytest.approx(65.118834, abs=1e-5)
    assert at(found, "town") == pytest.approx(65.118834, abs=1e-5)
    assert (at(found, "town", "n"), at(found, "town", "n_expected")) == (8, 8)


def test_noise_leq_is_unknown_under_75_percent_of_the_hour() -> None:
    found = noise_leq(
        sound({"N1": [60, 60, None, None]}, step=900), register({"N1": "W1"}, every_s=900), window(MIDNIGHT, 1)
    )
    assert (at(found, "town"), at(found, "town", "reason")) == (None, "insufficient_data")


def day_of(day: float, evening: float, night: float) -> list[float | None]:
    return [night if hour < 7 or hour >= 23 else evening if hour >= 19 else day for hour in range(24)]


def test_noise_lden_weighs_evening_and_night() -> None:
    found = noise_lden(sound({"N1": day_of(65, 60, 55)}), register({"N1": "W1"}), window(MIDNIGHT, 24), INDIA)
    assert at(found, "asset:N1") == pytest.approx(65.0)


def test_noise_lden_is_unknown_when_the_night_is_missing() -> None:
    found = noise_lden(sound({"N1": [None] * 7 + [60.0] * 17}), register({"N1": "W1"}), window(MIDNIGHT, 24), INDIA)
    assert at(found, "town") is None


def test_noise_lden_takes_both_hours_of_a_25_hour_day() -> None:
    start = datetime(2024, 10, 26, 22, tzinfo=UTC)  # 27 October 00:00 in Rome; 02 h comes twice
    night = [50.0, 50, 50, 90, 50, 50, 50, 50]  # the second 02-03 h is loud; 00-07 h has eight hours
    levels = night + [60.0] * 12 + [60.0] * 4 + [50.0]
    found = noise_lden(sound({"N1": levels}, start), register({"N1": "W1"}), window(start, 25), ROME)
    night_energy = (8 * 10**5 + 10**9) / 9
    expected = 10 * math.log10((12 * 10**6 + 4 * 10**6.5 + 8 * 10 * night_energy) / 24)
    assert len(levels) == 25
    assert at(found, "town") == pytest.approx(expected)


SITES = pl.DataFrame({"asset": ["N1", "N2", "N3"], "zone_class": ["residential", "silence", "commercial"]})
WARDS = {"N1": "W1", "N2": "W1", "N3": "W1"}


def test_noise_compliance_day_counts_a_level_at_the_limit_as_kept() -> None:
    loud_night = [80.0] * 6
    levels = {
        "N1": loud_night + [55.0] * 16 + [80.0] * 2,
        "N2": loud_night + [50.1] * 18,
        "N3": loud_night + [60.0] * 11,
    }
    found = noise_compliance_day(sound(levels), SITES, NOISE, register(WARDS), window(MIDNIGHT, 24), INDIA)
    # N3 has 11 of 16 hours: not judged
    assert share(found, "town") == (1, 2)
    assert share(found, "asset:N1") == (1, 1)
    assert share(found, "asset:N2") == (0, 1)
    assert at(found, "asset:N2", "detail") == "50.1 of 50.0 dB(A)"
    assert (at(found, "asset:N3", "denominator"), at(found, "asset:N3", "reason")) == (0, "insufficient_data")
    assert at(found, "town", "n_expected") == 3


def test_noise_compliance_night_belongs_to_the_date_of_its_22_h() -> None:
    start = MIDNIGHT - timedelta(hours=6)  # 10 January 18:00; the window ends on the 12th at 00:00
    night = [40.0] * 8
    levels = {"N1": [90.0] * 4 + night + [90.0] * 18, "N2": [30.0] * 4 + [40.0] * 7 + [50.0] + [30.0] * 18}
    found = noise_compliance_night(sound(levels, start), SITES, NOISE, register(WARDS), window(start, 30), INDIA)
    assert share(found, "asset:N1") == (1, 1)
    assert share(found, "asset:N2") == (0, 1)  # 43.3 dB(A) of 40
    assert at(found, "asset:N2", "detail") == "43.3 of 40.0 dB(A)"
    assert share(found, "town") == (1, 2)


def test_noise_kpis_are_empty_or_unknown_without_readings() -> None:
    none, sensors, span = sound({}), register(WARDS), window(MIDNIGHT, 24)
    assert noise_leq(none, sensors, span).height == 0
    assert noise_lden(none, sensors, span, INDIA).height == 0
    found = noise_compliance_day(none, SITES, NOISE, sensors, span, INDIA)
    assert (share(found, "town"), at(found, "town", "reason")) == ((0, 0), "insufficient_data")


def daily(levels: dict[str, list[float | None]], n: int = 96) -> pl.DataFrame:
    made = [
        (f"{asset}-s", asset, "air_station", "W1", MIDNIGHT + timedelta(days=place), n, 96, level * n)
        for asset, values in levels.items()
        for place, level in enumerate(values)
        if level is not None
    ]
    return pl.DataFrame(made, schema=ROLLUP, orient="row")


def test_who_exceedance_is_strictly_above_and_names_the_pollutant() -> None:
    pm25 = daily({"A1": [14.9, 15.0, 15.1, 40, 8, None], "A2": [1, 1, 1, 1, 1, 1]})
    no2 = daily({"A1": [26, 25, 1, 1, 1, 1]})
    found = who_exceedance_days(pm25, NO_ROLLUPS, no2, NO_ROLLUPS, NO_ROLLUPS, window(MIDNIGHT, 24 * 6))
    assert (at(found, "asset:A1"), at(found, "asset:A1", "detail")) == (2, "PM2.5")
    assert at(found, "asset:A2") == 0
    assert at(found, "town") == 2


def test_who_exceedance_leaves_out_days_under_75_percent() -> None:
    thin = daily({"A1": [90.0]}, n=71)
    assert who_exceedance_days(thin, *[NO_ROLLUPS] * 4, window(MIDNIGHT, 24)).height == 0


def test_who_annual_ratio_is_the_highest_of_the_pollutants() -> None:
    no2, pm25 = daily({"A1": [22.0, 24.0]}), daily({"A1": [5.0, 6.0]})
    found = who_annual_ratio(pm25, NO_ROLLUPS, no2, window(MIDNIGHT, 48))
    assert share(found, "town") == (pytest.approx(23.0), 10.0)
    assert at(found, "town", "detail") == "NO2"
    short = who_annual_ratio(pm25, NO_ROLLUPS, no2, window(MIDNIGHT, 24 * 10))
    assert (at(short, "town", "numerator"), at(short, "town", "reason")) == (None, "insufficient_data")


def test_data_capture_counts_sensors_that_never_spoke() -> None:
    sensors = register({"A1": "W1", "A2": "W1"}, quantity="pm25_ug_m3")
    hours = [
        ("A1-s", "A1", "air_station", "W1", MIDNIGHT + timedelta(hours=h), 4 if h < 17 else 2, 4, 1.0)
        for h in range(24)
    ]
    frame = pl.DataFrame(hours, schema=ROLLUP, orient="row")
    found = data_capture(frame, *[NO_ROLLUPS] * 8, sensors, window(MIDNIGHT, 24))
    assert share(found, "asset:A1") == (17, 24)
    assert share(found, "asset:A2") == (0, 24)
    assert share(found, "town") == share(found, "ward:W1") == (17, 48)


def samples(*made: tuple) -> pl.DataFrame:
    names = DOMAIN.tables[0].schema
    rows = [
        dict.fromkeys(names) | {"plant": plant, "sampled_at": MIDNIGHT + timedelta(hours=h), **results}
        for plant, h, results in made
    ]
    return pl.DataFrame(rows, schema=names)


PLANTS = pl.DataFrame({"asset": ["P1", "P2"], "consent": ["moefcc_2017_other", "ngt_2019"]})


def test_effluent_compliance_follows_each_plants_consent_and_waits_for_bod() -> None:
    good = {"ph": 7.4, "bod_mg_l": 28.0, "tss_mg_l": 96.0, "faecal_coliform_mpn": 900.0}
    made = samples(
        ("P1", 1, good),
        ("P1", 2, {**good, "faecal_coliform_mpn": 1000.0}),  # the limit reads below 1000
        ("P1", 3, {**good, "bod_mg_l": None}),  # pending
        ("P2", 4, {**good, "cod_mg_l": 120.0}),
    )
    found = effluent_compliance(made, PLANTS, SETS, ASSETS, window(MIDNIGHT, 24 * 31))
    assert share(found, "asset:P1") == (1, 2)
    assert share(found, "asset:P2") == (0, 1)
    assert share(found, "town") == (1, 3)
    assert at(found, "asset:P2", "detail") == "bod_mg_l, cod_mg_l, faecal_coliform_mpn, tss_mg_l"
    assert (share(found, "ward:W1"), share(found, "ward:W2")) == ((1, 2), (0, 1))


def test_effluent_compliance_fails_at_once_when_another_parameter_fails() -> None:
    found = effluent_compliance(samples(("P2", 1, {"ph": 9.4})), PLANTS, SETS, ASSETS, window(MIDNIGHT, 24))
    assert share(found, "town") == (0, 1)


def test_effluent_compliance_has_no_value_while_all_are_pending_and_no_row_without_samples() -> None:
    found = effluent_compliance(samples(("P1", 1, {"ph": 7.0})), PLANTS, SETS, ASSETS, window(MIDNIGHT, 24))
    assert (share(found, "town"), at(found, "town", "reason")) == ((0, 0), "insufficient_data")
    assert effluent_compliance(samples(), PLANTS, SETS, ASSETS, window(MIDNIGHT, 24)).height == 0


def test_ghg_emissions_add_up_services_in_tonnes() -> None:
    schema = DOMAIN.tables[1].schema
    made = [
        ("street_light", "grid_kwh", MIDNIGHT, 10000.0),
        ("sewage", "ch4_kg", MIDNIGHT, 100.0),
        ("sewage", "n2o_kg", MIDNIGHT, 2.0),
    ]
    activities = pl.DataFrame(made, schema=schema, orient="row")
    found = ghg_emissions(activities, window(MIDNIGHT, 24 * 31), grid_kg_per_kwh=0.727)
    assert at(found, "service:street_light") == pytest.approx(7.27)
    assert at(found, "service:sewage") == pytest.approx(3.33)
    assert at(found, "town") == pytest.approx(10.60)
    assert at(ghg_emissions(activities, window(MIDNIGHT, 24 * 31), gwp="AR6"), "service:sewage") == pytest.approx(
        2.7 + 0.546
    )


def test_gas_conversion_follows_the_molar_volume() -> None:
    assert ug_per_m3(50, 46.0055) == pytest.approx(50 * 46.0055 / 24.465, rel=1e-4)
    assert ug_per_m3(50, 46.0055, 20) == pytest.approx(50 * 46.0055 / 24.055, rel=1e-4)
    assert ppb_from_ug_per_m3(ug_per_m3(37.5, 47.9982), 47.9982) == pytest.approx(37.5)


@pytest.mark.parametrize("source", DOMAIN.sources, ids=lambda source: source.name)
def test_sample_of_every_source_decodes_without_a_refusal(source) -> None:
    payload = (ROOT / "data/samples" / source.sample).read_bytes()
    mapping = {"table": "readings", **source.mapping, "format": source.format, "zone": INDIA, "feed": source.name}
    decoded = decoder(source.format)(payload, mapping, MIDNIGHT)
    assert not decoded.refused
    assert decoded.rows == payload.count(b"\n") - 1


def test_every_limit_row_names_its_source() -> None:
    for file in FOLDER.glob("*.csv"):
        for row in pl.read_csv(file).iter_rows(named=True):
            assert row["source"], f"{file.name}: {row}"
