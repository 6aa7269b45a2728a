"""`app.py requeue`: quarantined rows taken in once more by hand, by the running line or one opened for it."""

import sys
from collections.abc import Callable
from datetime import datetime

from pipelines.engine import asking, registers
from pipelines.engine.backfill import evaluate_all
from pipelines.engine.healing import Outcome, Wish, heal
from pipelines.engine.line import Line
from pipelines.engine.local import replayed
from pipelines.engine.settings import Settings

EVERY_ROW = 10**9


def requeue(
    settings: Settings, feed: str | None, reason: str | None, since: str | None, clock: Callable[[], datetime]
) -> int:
    """Take in all rows that wait and fit, and print what became of them. Doing it again changes nothing.

    Raises Misasked when there is no such feed or `since` is no instant.
    """
    asking.one_of("feed", feed, settings.feeds)
    wish = Wish(feed, reason, asking.instant(since, "since") if since else None, most=EVERY_ROW)
    try:
        print(told(_all(settings, wish, clock)))
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)
        return 1
    return 0


def told(outcome: Outcome) -> str:
    """What became of the rows, in words."""
    lines = [
        f"{outcome.tried} rows tried, {outcome.healed} healed: {outcome.stored} taken in, "
        f"{outcome.duplicate} known already."
    ]
    lines += [f"  still refused: {number} {reason}" for reason, number in sorted(outcome.refused.items())]
    if outcome.left:
        lines.append(f"  {outcome.left} more wait.")
    return "\n".join(lines)


def _all(settings: Settings, wish: Wish, clock: Callable[[], datetime]) -> Outcome:
    outcome = replayed(settings, wish)
    if outcome is not None:
        return outcome
    line = Line(settings, registers.load(settings), clock())
    try:
        outcome = heal(line, wish, clock)
        evaluate_all(line, clock)
    finally:
        line.close()
    return outcome
