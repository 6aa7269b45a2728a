"""A figure as people see it: so many decimals, half away from zero, the same at every exit."""

from decimal import ROUND_HALF_UP, Decimal

# Units whose own name nobody says.
SPOKEN = {"percent": "%", "dimensionless": "", "metre_head": "m of head"}


def digits(value: float) -> int:
    """Decimals that a reading of this size is written with; KPIs name their own."""
    return 0 if abs(value) >= 100 or float(value).is_integer() else 2 if abs(value) < 10 else 1


def spoken(value: float, decimals: int | None, unit: str) -> str:
    """The value and its unit in letters that a text message has: 1,234 m3/h, 94.2 %."""
    exact = shown(value, digits(value) if decimals is None else decimals)
    figure = f"{abs(exact) if exact == 0 else exact:,}"
    return f"{figure} {SPOKEN.get(unit, unit).replace('_', ' ').replace('^', '')}".strip()


def shown(value: float, decimals: int) -> Decimal:
    """The value with so many decimals, rounded half away from zero."""
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
