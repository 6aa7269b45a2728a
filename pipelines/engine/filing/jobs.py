"""Jobs of filing: what was kept long enough is forgotten, and that nobody filed anything is said."""

from collections.abc import Callable
from datetime import datetime, timedelta

from pipelines.engine.errors import SourceDown, StoreError
from pipelines.engine.filing.desk import Desk
from pipelines.engine.intake import Busy
from pipelines.engine.line import Line
from pipelines.engine.schedule import Job
from pipelines.engine.settings.filing import FEED, SOLE_EVERY

HOUR, SOON = timedelta(hours=1), timedelta(seconds=1)


def jobs(desk: Desk, line: Line, clock: Callable[[], datetime]) -> list[Job]:
    """The jobs of a town that takes requests."""

    def look_after() -> int | None:
        try:
            return desk.resume() + (desk.age() or 0) or None
        except (StoreError, OSError, Busy) as error:
            raise SourceDown(str(error)) from error

    def nothing_filed() -> int | None:
        line.unchanged(line.settings.feeds[FEED], clock())
        return None

    found = [
        Job("requests", HOUR, "forget what is personal of requests closed long enough ago", look_after, SOON),
    ]  # fmt: skip
    if line.settings.feeds[FEED].every == SOLE_EVERY:
        # No other feed brings requests: that none came is known here, or the counts of a quiet day would be unknown.
        found.append(Job("quiet hours", SOLE_EVERY, "say that nobody has filed anything since", nothing_filed))
    return found
