"""Units: what is permitted, how values are converted, and what is refused."""

import pytest

from pipelines.engine.units import COMMON, EXACT, UnitError, conversion, parse_unit, require_unit


@pytest.mark.parametrize(
    ("given", "kept", "factor", "offset"),
    [
        ("L/s", "m^3/h", 3.6, 0.0),
        ("l/s", "m³/h", 3.6, 0.0),
        ("mph", "km/h", 1.609344, 0.0),
        ("MW", "kW", 1000.0, 0.0),
        ("mg/m^3", "ug/m^3", 1000.0, 0.0),
        ("degF", "degC", 5 / 9, -160 / 9),
        ("%", "dimensionless", 0.01, 0.0),
    ],
)
def test_conversion_turns_one_unit_into_another(given: str, kept: str, factor: float, offset: float) -> None:
    assert conversion(given, kept) == pytest.approx((factor, offset), rel=1e-9)


def test_conversion_of_a_gas_follows_the_catalogue_at_25_and_20_degrees() -> None:
    # PO-11: 50 ppb NO2 at 25 C are 94.04 ug/m3; molar volume 24.465 L at 25 C, 24.055 L at 20 C.
    at_25, _ = conversion("ppb", "ug/m^3", 46.0055)
    at_20, _ = conversion("ppb", "ug/m^3", 46.0055, 20.0)
    assert 50 * at_25 == pytest.approx(94.04, abs=0.02)
    assert at_20 / at_25 == pytest.approx(24.465 / 24.055, rel=1e-4)


def test_conversion_of_carbon_monoxide_in_ppm_gives_milligrams() -> None:
    # 1 ppm CO = 28.0101 / 24.465 mg/m3.
    assert conversion("ppm", "mg/m^3", 28.0101)[0] == pytest.approx(28.0101 / 24.465, rel=1e-4)


def test_conversion_of_ppb_is_refused_where_no_gas_is_named() -> None:
    with pytest.raises(UnitError, match="do not measure the same thing"):
        conversion("ppb", "ug/m^3")


def test_unknown_unit_is_refused_with_examples() -> None:
    with pytest.raises(UnitError, match="write it like"):
        parse_unit("furlongs per fortnightish")


@pytest.mark.parametrize("unit", sorted(COMMON))
def test_what_is_known_without_pint_is_known_to_pint_too(unit: str) -> None:
    assert parse_unit(unit).is_compatible_with(parse_unit(unit))
    assert conversion(unit, f" {unit} ") == (1.0, 0.0)


@pytest.mark.parametrize("pair", sorted(EXACT))
def test_factors_known_without_pint_are_those_of_pint(pair: tuple[str, str]) -> None:
    source, target = map(parse_unit, pair)
    assert (1.0 * source).to(target).magnitude == pytest.approx(EXACT[pair], rel=1e-12)


def test_a_unit_that_nobody_knows_is_refused_in_a_declaration() -> None:
    with pytest.raises(UnitError, match="is not known"):
        require_unit("furlongs per fortnightish")
