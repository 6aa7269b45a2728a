"""Permitted units and conversions between them (pint)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pint

OWN = (
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
)
# Known without a look into pint, whose start takes over half a second: what most towns use needs nothing else.
COMMON = frozenset({
    "percent", "dimensionless", "degC", "degree", "A", "V", "W", "kW", "kWh", "kVA", "kvar", "W/m^2", "kWh/m^3", "m",
    "km", "m/s", "km/h", "mm", "L", "L/s", "m^3", "m^3/h", "m^3/day", "t", "L/day/person", "mg/L", "ug/m^3", "mg/m^3",
    "dBA", "NTU", "MPN", "pH_unit", "metre_head", "hour/day", "day", "hour", "minute", "second", "person", "vehicle",
    "vehicle/hour", "vehicle/km", "trip", "request", "customer", "interruption", "index_point", "rating",
})  # fmt: skip
EXACT = {
    ("L/s", "m^3/h"): 3.6, ("m/s", "km/h"): 3.6, ("L", "m^3"): 0.001, ("km", "m"): 1000.0, ("W", "kW"): 0.001,
    ("mg/m^3", "ug/m^3"): 1000.0, ("minute", "second"): 60.0, ("hour", "second"): 3600.0,
}  # fmt: skip
ALIASES = {
    "%": "percent", "°C": "degC", "C": "degC", "m³": "m^3", "m3": "m^3", "m³/h": "m^3/h", "m3/h": "m^3/h",
    "L/s": "L/s", "l/s": "L/s", "µg/m³": "ug/m^3", "ug/m3": "ug/m^3", "µg/m3": "ug/m^3", "μg/m³": "ug/m^3",
    "mg/m3": "mg/m^3", "mg/m³": "mg/m^3", "mg/l": "mg/L", "dB(A)": "dBA", "kWh/day": "kWh", "m head": "metre_head",
    "mps": "m/s", "kph": "km/h", "kmh": "km/h", "mph": "mile/hour", "count": "dimensionless", "1": "dimensionless",
    "": "dimensionless", "pH": "pH_unit", "MPN/100mL": "MPN", "min": "minute", "h": "hour", "s": "second",
    "lpcd": "L/day/person", "h/day": "hour/day", "vehicle/h": "vehicle/hour", "L/person/day": "L/day/person",
}  # fmt: skip

GAS_CONSTANT = 8.314462618
ATMOSPHERE_KPA = 101.325


class UnitError(ValueError):
    """A unit is unknown or does not measure the same thing; the text says what would be accepted."""


@cache
def _registry() -> pint.UnitRegistry:
    import pint

    registry: pint.UnitRegistry = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    for definition in OWN:
        registry.define(definition)
    return registry


def require_unit(text: str) -> None:
    """Nothing when somebody knows this unit.

    Raises UnitError when nobody does.
    """
    if _named(text) not in COMMON:
        parse_unit(text)


def _named(text: str) -> str:
    return ALIASES.get(text.strip(), text.strip())


@cache
def parse_unit(text: str) -> pint.Unit:
    """The pint unit that this text names.

    Raises UnitError when nobody knows it.
    """
    try:
        return _registry().Unit(_named(text))
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
    pair = _named(from_unit), _named(to_unit)
    if pair in EXACT or (pair[0] == pair[1] and pair[0] in COMMON):
        return EXACT.get(pair, 1.0), 0.0
    source, target, registry = parse_unit(from_unit), parse_unit(to_unit), _registry()
    if (
        molar_mass is not None
        and source.is_compatible_with(registry.dimensionless)
        and target.is_compatible_with("g/m^3")
    ):
        litres_per_mol = GAS_CONSTANT * (273.15 + temperature_c) / ATMOSPHERE_KPA
        grams_per_m3 = (
            registry.Quantity(1.0, source).to("dimensionless").magnitude * molar_mass / litres_per_mol * 1000.0
        )
        return float(f"{registry.Quantity(grams_per_m3, 'g/m^3').to(target).magnitude:.12g}"), 0.0
    if not source.is_compatible_with(target):
        raise UnitError(f"{from_unit} cannot be turned into {to_unit}: they do not measure the same thing")
    zero = registry.Quantity(0.0, source).to(target).magnitude
    one = registry.Quantity(1.0, source).to(target).magnitude
    return float(f"{one - zero:.12g}"), float(f"{zero:.12g}")
