"""Over which time a KPI is computed."""

from dataclasses import dataclass
from typing import Literal

Step = Literal["quarter_hour", "hour", "day", "week", "month", "year", "fiscal_year"]


@dataclass(frozen=True)
class Window:
    """Over which time a KPI is computed.

    kind "calendar": step is quarter_hour, hour, day, week, month, year or fiscal_year (from 1 April) of the town's
    calendar, end to end.
    kind "rolling": `hours` long, ending at each full `step` ("hour" or "day"), so windows overlap.
    """

    kind: Literal["calendar", "rolling"]
    step: Step
    hours: int = 0


def every(step: Step) -> Window:
    """The calendar window of this step."""
    return Window("calendar", step)


def rolling(hours: int, step: Literal["hour", "day"] = "hour") -> Window:
    """Windows of `hours`, one ending at each full step."""
    return Window("rolling", step, hours)
