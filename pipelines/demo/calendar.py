"""The town's clock and its year: hour of the day, weekday, season, festivals. Asia/Kolkata has no summer time."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pipelines.demo.chance import Floats

ZONE = "Asia/Kolkata"
OFFSET_S = 19_800
DAY_S = 86_400
EPOCH = date(1970, 1, 1)

# Fixed-date days on which the town lives differently; movable feasts are put on typical dates.
FESTIVALS = {
    (1, 1),
    (1, 14),
    (1, 26),
    (3, 14),
    (4, 14),
    (8, 15),
    (9, 7),
    (10, 2),
    (10, 20),
    (11, 1),
    (11, 12),
    (12, 25),
}


def day_number(t: Floats | float) -> NDArray[np.int64]:
    """Local days since 1970-01-01."""
    return np.floor((np.asarray(t, dtype=np.float64) + OFFSET_S) / DAY_S).astype(np.int64)


def day_start(number: int) -> float:
    """Local midnight of this day as seconds since 1970 UTC."""
    return number * float(DAY_S) - OFFSET_S


def day_date(number: int) -> date:
    """The date of this local day."""
    return EPOCH + timedelta(days=int(number))


def hour_of_day(t: Floats | float) -> Floats:
    """Local hour with fraction, 0 to 24."""
    return np.mod(np.asarray(t, dtype=np.float64) + OFFSET_S, DAY_S) / 3600.0


def weekday(number: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """0 = Monday to 6 = Sunday."""
    return np.mod(np.asarray(number) + 3, 7)


def is_festival(number: int) -> bool:
    """Whether the town celebrates on this day."""
    day = day_date(number)
    return (day.month, day.day) in FESTIVALS


def festive(t: Floats) -> Floats:
    """1 on festival days, else 0."""
    days = day_number(t)
    wanted = [number for number in range(int(days.min()), int(days.max()) + 1) if is_festival(number)]
    return np.isin(days, np.array(wanted, dtype=np.int64)).astype(np.float64)


def rest_day(t: Floats) -> Floats:
    """1 on Sundays and festivals, 0.5 on Saturdays, else 0; eased over the two hours around midnight."""
    return 0.5 * (_rest(t - 3600.0) + _rest(t + 3600.0))


def _rest(t: Floats) -> Floats:
    days = weekday(day_number(t))
    return np.maximum(np.where(days == 6, 1.0, np.where(days == 5, 0.5, 0.0)), festive(t))


def year_angle(t: Floats) -> Floats:
    """Position in the year, 0 to 2 pi from 1 January."""
    return np.mod(np.asarray(t, dtype=np.float64), 365.2425 * DAY_S) / (365.2425 * DAY_S) * 2.0 * np.pi


def warmth(t: Floats) -> Floats:
    """Season from -1 (early January) to 1 (late May)."""
    return np.cos(year_angle(t) - 2.0 * np.pi * 140.0 / 365.0)


def ambient_c(t: Floats) -> Floats:
    """Air temperature of the town without weather, degrees Celsius."""
    return 26.0 + 7.0 * warmth(t) + 5.5 * np.cos((hour_of_day(t) - 15.0) / 24.0 * 2.0 * np.pi)


def bump(hour: Floats, centre: float, width: float) -> Floats:
    """A bell of height 1 around `centre` o'clock on the 24-hour circle."""
    distance = np.mod(hour - centre + 12.0, 24.0) - 12.0
    return np.exp(-0.5 * (distance / width) ** 2)


def iso(t: float) -> str:
    """The instant as RFC 3339 in UTC."""
    return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
