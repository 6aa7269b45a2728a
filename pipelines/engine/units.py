"""Permitted units and conversions between them (pint)."""

from functools import cache

import pint

REGISTRY: pint.UnitRegistry = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
for definition in (
    "percent_of = 0.01 = pct",
    "person = [person]",
    "vehicle = [vehicle]",
    "trip = [trip]",
    "request = [request]",
    "customer = [customer]",
    "interruption = [interruption]",
    "alarm_count = [alarm_count]",
    "index_point = [index_point]",
    "dBA = [sound_level]",
    "NTU = [turbidity]",
    "metre_head = [pressure_head] = mH2O_head",
    "kvar = [reactive_power]",
    "kvarh = kvar * hour",
    "kVA = [apparent_power]",
    "rating = [rating]",
    "pH_unit = [acidity]",
    "MPN = [organism]",
    "parts_per_billion = 1e-9 = ppb",
):
    REGISTRY.define(definition)

ALIASES = {
    "%": "percent", "°C": "degC", "C": "degC", "m³": "m^3", "m3": "m^3", "m³/h": "m^3/h", "m3/h": "m^3/h",
    "L/s": "L/s", "l/s": "L/s", "µg/m³": "ug/m^3", "ug/m3": "ug/m^3", "µg/m3": "ug/m^3", "μg/m³": "ug/m^3",
    "mg/m3": "mg/m^3", "mg/m³": "mg/m^3", "mg/l": "mg/L", "dB(A)": "dBA", "kWh/day": "kWh", "m head": "metre_head",
    "mps": "m/s", "kph": "km/h", "kmh": "km/h", "mph": "mile/hour", "count": "dimensionless", "1": "dimensionless",
    "": "dimensionless", "pH": "pH_unit", "MPN/100mL": "MPN", "min": "minute", "h": "hour", "s": "second",
    "lpcd": "L/day/person",
}  # fmt: skip

GAS_CONSTANT = 8.314462618
ATMOSPHERE_KPA = 101.325


class UnitError(ValueError):
    """A unit is unknown or does not measure the same thing; the text says what would be accepted."""


@cache
def parse_unit(text: str) -> pint.Unit:
    """The pint unit that this text names.

    Raises UnitError when nobody knows it.
    """
    name = ALIASES.get(text.strip(), text.strip())
    try:
        return REGISTRY.Unit(name)
    except Exception as error:
        raise UnitError(f"the unit {text!r} is not known; write it like m^3/h, kW, ug/m^3, percent or degC") from error


@cache
def conversion(
    from_unit: str, to_unit: str, molar_mass: float | None = None, temperature_c: float = 25.0
) -> tuple[float, float]:
    """Factor and offset so that value * factor + offset turns from_unit into to_unit.

    A gas with a `molar_mass` (g/mol) may come as a share of volume (ppb, ppm): it becomes a mass per volume at
    `temperature_c` and 101.325 kPa (catalogue PO-11; India and the US use 25 C, the EU 20 C).
    Raises UnitError when they do not measure the same thing.
    """
    source, target = parse_unit(from_unit), parse_unit(to_unit)
    if (
        molar_mass is not None
        and source.is_compatible_with(REGISTRY.dimensionless)
        and target.is_compatible_with("g/m^3")
    ):
        litres_per_mol = GAS_CONSTANT * (273.15 + temperature_c) / ATMOSPHERE_KPA
        grams_per_m3 = (
            REGISTRY.Quantity(1.0, source).to("dimensionless").magnitude * molar_mass / litres_per_mol * 1000.0
        )
        return float(f"{REGISTRY.Quantity(grams_per_m3, 'g/m^3').to(target).magnitude:.12g}"), 0.0
    if not source.is_compatible_with(target):
        raise UnitError(f"{from_unit} cannot be turned into {to_unit}: they do not measure the same thing")
    zero = REGISTRY.Quantity(0.0, source).to(target).magnitude
    one = REGISTRY.Quantity(1.0, source).to(target).magnitude
    return float(f"{one - zero:.12g}"), float(f"{zero:.12g}")
