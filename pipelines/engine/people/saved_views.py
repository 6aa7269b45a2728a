"""Views of exports that people keep under a name, as entries of the audit log: what was kept, and what was let go."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from pipelines.engine.asking import Misasked
from pipelines.engine.people import audit
from pipelines.engine.people.roles import Actor

if TYPE_CHECKING:
    from pipelines.engine.line_client import LineClient

KEPT, LET_GO = "export view kept", "export view let go"
LONGEST, MOST = 60, 40


class SavedViews:
    """The views of each person, from outside the line."""

    def __init__(self, path: Path, line: "LineClient") -> None:
        self._path, self._line = path, line

    def of(self, actor: Actor) -> dict[str, dict[str, str]]:
        """Name -> what the view chooses, in the order of their names; none for visitors.

        Raises StoreError.
        """
        found: dict[str, dict[str, str]] = {}
        for entry in audit.entries(self._path, did=(KEPT, LET_GO)) if actor.kind == "person" else ():
            facts = json.loads(entry.facts)
            if entry.who == actor.signature and entry.did == KEPT:
                found[facts["name"]] = facts["choice"]
            elif entry.who == actor.signature:
                found.pop(facts["name"], None)
        return dict(sorted(found.items()))

    async def keep(self, actor: Actor, name: str, choice: Mapping[str, str]) -> None:
        """Keep a view under a name; one of this name is replaced.

        Raises Forbidden; Misasked when it has no name, there are too many, or the line does not run.
        """
        actor.check("read")
        name = " ".join(name.split())
        if not name or len(name) > LONGEST:
            raise Misasked(f"Give the view a name of at most {LONGEST} characters.")
        known = self.of(actor)
        if name not in known and len(known) >= MOST:
            raise Misasked(f"You keep {MOST} views already. Let one go first.")
        await self._note(actor, KEPT, {"name": name, "choice": dict(choice)})

    async def let_go(self, actor: Actor, name: str) -> None:
        """Let a view go.

        Raises Forbidden; Misasked when there is none of this name, or the line does not run.
        """
        actor.check("read")
        if name not in self.of(actor):
            raise Misasked("There is no such view any more.", 404)
        await self._note(actor, LET_GO, {"name": name})

    async def _note(self, actor: Actor, did: str, facts: Mapping[str, Any]) -> None:
        try:
            status, _ = await self._line.people("note", {"who": actor.signature, "did": did, "facts": dict(facts)})
        except (httpx.TransportError, ValueError) as error:
            raise Misasked("The line does not run at the moment; nothing was kept. Try again soon.", 503) from error
        if status != httpx.codes.OK:
            raise Misasked("Nothing was kept. Try again soon.", status)
