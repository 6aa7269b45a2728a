"""Named rules and country packs: what is shipped is whole, what a town chooses is in force, mistakes are told in words."""

from pathlib import Path

import pytest

from pipelines import available
from pipelines.engine import registers, settings
from pipelines.engine.errors import SettingsError
from pipelines.engine.settings.rules import PACKS, Rule, rules_of
from tests.engine import small_town

RULES = [
    (domain, rule) for domain in available().values() for own in rules_of(domain).values() for rule in own.values()
]
TOML = '[town]\nname = "T"\ntimezone = "Asia/Kolkata"\ndomains = ["transport", "water", "energy", "pollution"]\n'


def load(folder: Path, more: str = "", town: str = "") -> settings.Settings:
    (folder / "town.toml").write_text(TOML + town + more, "utf-8")
    return settings.load(folder, available)


@pytest.mark.parametrize(("domain", "rule"), RULES, ids=[f"{rule.kpi}: {rule.name}" for _, rule in RULES])
def test_shipped_rule_names_what_its_kpi_has(domain: object, rule: Rule) -> None:
    kpi = next(k for k in domain.kpis if k.id == rule.kpi)  # type: ignore[attr-defined]
    assert rule.values and rule.source and rule.dated
    for key, value in rule.values.items():
        if key in settings.KPI_KEYS:
            assert isinstance(value, float)
        else:
            assert type(value) in (type(kpi.tunables[key]), float), key


@pytest.mark.parametrize("domain", available().values(), ids=list(available()))
def test_pack_chooses_at_most_one_rule_of_a_kpi(domain: object) -> None:
    for kpi, own in rules_of(domain).items():  # type: ignore[arg-type]
        for pack in PACKS:
            assert len([rule for rule in own.values() if pack in rule.packs]) <= 1, (kpi, pack)


def test_pack_of_india_is_what_the_declarations_say(tmp_path: Path) -> None:
    found = load(tmp_path)
    declared = {kpi.id: kpi for domain in available().values() for kpi in domain.kpis}
    for kpi in found.kpis:
        assert (kpi.target, kpi.watch) == (declared[kpi.id].target, declared[kpi.id].watch), kpi.id
        for key, value in found.tuning.get(kpi.id, {}).items():
            assert value == kpi.tunables[key], (kpi.id, key)


def test_pack_changes_limits_gas_temperature_and_years(tmp_path: Path) -> None:
    india, metric, us = (load(tmp_path, town=f'pack = "{pack}"\n') for pack in PACKS)
    assert (india.gas_temperature_c, metric.gas_temperature_c, us.gas_temperature_c) == (25, 20, 25)
    assert metric.tuning["chlorine_compliance"] == {"low_mg_l": 0.2, "high_mg_l": 5.0}
    assert us.tuning["noise_lden"] == {"scheme": "US Ldn"}
    steps = [next(k.window.step for k in town.kpis if k.id == "cost_recovery") for town in (india, metric, us)]
    assert steps == ["fiscal_year", "year", "year"]


def test_named_rule_is_in_force_and_the_towns_own_figure_goes_before_it(tmp_path: Path) -> None:
    more = '[transport.kpis.on_time_performance]\nrule = "UK DfT BUS09"\nearly_s = 30\ntarget = 85\n'
    found = load(tmp_path, more)
    assert found.tuning["on_time_performance"] == {"early_s": 30.0, "late_s": 359.0}
    assert found.rules["on_time_performance"].source.startswith("UK Department for Transport")
    assert next(k.target for k in found.kpis if k.id == "on_time_performance") == 85


def test_unknown_rule_and_pack_are_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, '[transport.kpis.on_time_performance]\nrule = "BUS9"\n', 'pack = "france"\n')
    words = "\n".join(refused.value.mistakes)
    assert "choose one of india, metric, us" in words
    assert 'Known for on_time_performance are: "TCQSM 3rd ed.", "TCQSM 2nd ed.", "UK DfT BUS09"' in words


def test_towns_own_limits_replace_the_shipped_table(tmp_path: Path) -> None:
    folder = small_town.make(tmp_path / "town")
    shipped = registers.load(small_town.read(folder)).references["drinking_water"]
    assert shipped.filter(parameter="turbidity_ntu")["acceptable_high"].item() == 1
    own = "parameter,acceptable_low,acceptable_high,source\nturbidity_ntu,,0.3,Our own plant\n"
    (folder / "reference" / "drinking_water.csv").write_text(own, "utf-8")
    found = registers.load(small_town.read(folder)).references["drinking_water"]
    assert found.select("parameter", "acceptable_high", "source").rows() == [("turbidity_ntu", 0.3, "Our own plant")]
    (folder / "reference" / "drinking_water.csv").write_text(own.replace("turbidity_ntu", "mud"), "utf-8")
    with pytest.raises(SettingsError, match="turbidity_ntu"):
        registers.load(small_town.read(folder))


def test_consent_that_no_set_has_is_named_by_line(tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    (tmp_path / "town.toml").write_text(TOML, "utf-8")
    (reference / "wards.csv").write_text("ward\nW1\n", "utf-8")
    (reference / "assets.csv").write_text("asset,domain,kind,ward\nE1,pollution,sewage_plant,W1\n", "utf-8")
    (reference / "effluent_plants.csv").write_text("asset,consent\nE1,board_2031\n", "utf-8")
    with pytest.raises(SettingsError) as refused:
        registers.load(settings.load(tmp_path, available))
    assert any("effluent_plants.csv, line 2" in one and "board_2031" in one for one in refused.value.mistakes)
    sets = "consent,parameter,at_most,source\nboard_2031,bod_mg_l,15,Consent of 2031\n"
    (reference / "effluent.csv").write_text(sets, "utf-8")
    assert registers.load(settings.load(tmp_path, available)).references["effluent"].height == 1
