"""What somebody asks for, read from text: instants, names, spans; each refusal says what can be asked instead."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?P<offset>[Zz]|[+-]\d\d:\d\d)?\Z")
# A + in an address that nobody escaped arrives as a space.
LOST_PLUS = re.compile(r" (\d\d:\d\d)\Z")
MOST_LISTED = 40
# No row lies outside of these years; beyond them calendars and databases run out of numbers.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Misasked(ValueError):
    """What was asked for cannot be given; the sentence says why and what can. `status` is what HTTP calls it."""

    def __init__(self, words: str, status: int = 422) -> None:
        super().__init__(words)
        self.words, self.status = words, status


@dataclass(frozen=True)
class Span:
    """A span of time, closed on the left, open on the right; None is without end."""

    start: datetime | None = None
    end: datetime | None = None


def instant(text: str, name: str) -> datetime:
    """The instant that an RFC 3339 text names, as UTC.

    Raises Misasked: no such form, no time zone, or no such day.
    """
    text = LOST_PLUS.sub(r"+\1", text.strip())
    match = RFC_3339.match(text)
    if not match:
        raise Misasked(f"`{name}={_short(text)}` is no time. Write it like {name}=2026-11-23T00:00:00Z (RFC 3339).")
    if not match["offset"]:
        raise Misasked(
            f"`{name}={text}` names no time zone. Write {name}={text}Z for UTC, or add an offset such as +05:30 "
            "(in an address: %2B05:30)."
        )
    try:
        return min(max(datetime.fromisoformat(text.upper()), EARLIEST), LATEST).astimezone(UTC)
    except ValueError as error:
        example = f"for example {name}=2026-11-23T00:00:00Z"
        raise Misasked(f"`{name}={text}` is no instant of the calendar ({error}); {example}.") from error


def maybe_instant(text: str | None, name: str) -> datetime | None:
    """The instant that a text names; None when nothing was asked for.

    Raises Misasked.
    """
    return instant(text, name) if text else None


def span(start: str | None, end: str | None) -> Span:
    """The span between two texts, either of which may be missing.

    Raises Misasked: also when it is empty or runs backwards.
    """
    asked = Span(instant(start, "from") if start else None, instant(end, "to") if end else None)
    if asked.start and asked.end and asked.start >= asked.end:
        raise Misasked(f"`from` ({start}) must lie before `to` ({end}): rows from `from` on and before `to` are given.")
    return asked


def one_of(name: str, value: str | None, allowed: Iterable[str], status: int = 422) -> str | None:
    """The value when it is allowed (None stays None).

    Raises Misasked with near matches and the list.
    """
    names = list(allowed)
    if value is None or value in names:
        return value
    near = difflib.get_close_matches(value, names, 3, 0.5)
    hint = f" Did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else ""
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    listed = ", ".join(names[:MOST_LISTED]) + more
    raise Misasked(f"`{_short(value)}` is no {name} here.{hint} Known are: {listed or 'none'}.", status)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
