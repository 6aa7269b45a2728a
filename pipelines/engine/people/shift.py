"""The shift log: notes and hand-overs of whoever watches, kept as entries of the audit log."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from pipelines.engine.asking import Misasked
from pipelines.engine.people import audit
from pipelines.engine.people.roles import Actor

if TYPE_CHECKING:
    from pipelines.engine.line_client import LineClient

NOTE, HANDED_OVER = "shift note", "shift handed over"
LONGEST = 2_000
# A hand-over longer ago than this begins no shift any more.
FORGOTTEN = timedelta(days=7)


@dataclass(frozen=True)
class Said:
    """A note, or a hand-over to somebody."""

    at: datetime
    who: str
    words: str
    to: str = ""


class ShiftLog:
    """The shift log of a town, from outside the line."""

    def __init__(self, path: Path, line: "LineClient") -> None:
        self._path, self._line = path, line

    def said(self, actor: Actor, since: datetime) -> Sequence[Said]:
        """Notes and hand-overs from then on, oldest first.

        Raises Forbidden, StoreError.
        """
        actor.check_everywhere("read")
        found = []
        for entry in audit.entries(self._path, did=(NOTE, HANDED_OVER), since=since):
            facts = json.loads(entry.facts)
            found.append(Said(datetime.fromisoformat(entry.at), entry.who, facts["words"], facts.get("to", "")))
        return found

    def begun(self, actor: Actor, now: datetime) -> Said | None:
        """The last hand-over, which began the shift that runs; None when there was none for long.

        Raises Forbidden, StoreError.
        """
        handed = [one for one in self.said(actor, now - FORGOTTEN) if one.to]
        return handed[-1] if handed else None

    async def note(self, actor: Actor, words: str, to: str = "") -> None:
        """Write a note down, or (with `to`) hand the shift over.

        Raises Forbidden; Misasked when there are no words, too many, or when the line does not run.
        """
        actor.check_everywhere("operate")
        words, to = words.strip(), to.strip()
        if not words and not to:
            raise Misasked("Write what is to be noted.")
        if len(words) > LONGEST:
            raise Misasked(f"A note has at most {LONGEST} characters; this one has {len(words)}.")
        did = HANDED_OVER if to else NOTE
        facts = {"who": actor.signature, "did": did, "facts": {"words": words, **({"to": to} if to else {})}}
        try:
            status, told = await self._line.people("note", facts)
        except (httpx.TransportError, ValueError) as error:
            raise Misasked("The line does not run at the moment; nothing was noted. Try again soon.", 503) from error
        if status != httpx.codes.OK:
            raise Misasked(str(told.get("detail", "Nothing was noted. Try again soon.")), status)
