"""A figure as people see it: so many decimals, half away from zero, the same at every exit."""

from decimal import ROUND_HALF_UP, Decimal


def shown(value: float, decimals: int) -> Decimal:
    """The value with so many decimals, rounded half away from zero."""
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
