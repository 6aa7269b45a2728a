"""`app.py token`: tokens made, listed and revoked by hand."""

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from pipelines.engine import tokens
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.people.desk import at_the_machine
from pipelines.engine.settings import Settings, duration

# A screen on a wall is looked at for years by nobody who would remember its token.
WALL_GOOD_FOR = timedelta(days=365)
HEADINGS = ("name", "scopes", "feeds", "made", "until", "last used", "state")


def add(
    settings: Settings, name: str, scopes: Sequence[str], feeds: Sequence[str], expires: str | None, now: datetime
) -> int:
    """Make a token. The secret alone goes to standard output, so that a script can take it; the words beside it.

    Raises Misasked.
    """
    for feed in feeds:
        one_of("feed", feed, settings.feeds)
    pushed = [feed.name for feed in settings.feeds.values() if feed.origin in ("http_push", "filing")]
    idle = [feed for feed in feeds if feed not in pushed]
    if idle and "ingest" in scopes:
        raise Misasked(
            f"Nobody pushes to the feed {idle[0]}: it comes from {settings.feeds[idle[0]].origin}. "
            f"Pushed by HTTP are {', '.join(pushed)}."
        )
    try:
        until = now + duration(expires) if expires else now + WALL_GOOD_FOR if tokens.WALL in scopes else None
    except (ValueError, OverflowError) as error:
        raise Misasked(f"--expires: {error}.") from error
    by = at_the_machine()
    secret = tokens.add(tokens.path_of(settings.store), name, scopes, now, feeds=feeds, expires_at=until, by=by)
    told = f"for {', '.join(feeds)}" if feeds else "for every feed"
    ends = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "until it is revoked"
    print(f"The token `{name}` ({', '.join(scopes)}; {told}; {ends}) is shown this once:", file=sys.stderr)
    print(secret, flush=True)
    if tokens.WALL in scopes:
        print("Open this on the screen, once: http://TOWNBOARD/wall?token=TOKEN", file=sys.stderr)
    else:
        print("Send it as the header  Authorization: Bearer TOKEN", file=sys.stderr)
    return 0


def show(settings: Settings, now: datetime) -> int:
    """Print every token that was ever made."""
    rows = [_row(token, now) for token in tokens.listed(tokens.path_of(settings.store))]
    if not rows:
        print("No token was made yet. Make one: python app.py token add NAME --scope ingest --feed FEED")
        return 0
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    for row in (HEADINGS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def revoke(settings: Settings, name: str, now: datetime) -> int:
    """End a token.

    Raises Misasked when there is none of this name.
    """
    tokens.revoke(tokens.path_of(settings.store), name, now, by=at_the_machine())
    print(f"The token `{name}` is revoked; whoever still sends it is refused within {tokens.FRESH_S:g} s.")
    return 0


def _row(token: tokens.Token, now: datetime) -> tuple[str, ...]:
    made, until, used = (_day(at) for at in (token.created_at, token.expires_at, token.used_at))
    feeds = ", ".join(token.feeds) or "every"
    return token.name, ", ".join(token.scopes), feeds, made, until or "no end", used or "never", token.state(now)


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z" if at else ""
