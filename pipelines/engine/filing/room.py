"""Filing from outside the line: what may be asked for, what is filed and, with the right, what is personal in it."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import polars as pl

from pipelines.engine.asking import Misasked
from pipelines.engine.filing import nearby, numbers, outside, pictures, vault
from pipelines.engine.filing.faults import FAULTS, Faulty
from pipelines.engine.filing.gate import Gate
from pipelines.engine.filing.nearby import Alike
from pipelines.engine.filing.outside import Asked
from pipelines.engine.filing.report import Report, checked, filed_table, offered
from pipelines.engine.filing.vault import Case, Picture
from pipelines.engine.model import Table
from pipelines.engine.people.roles import VISITOR, Actor
from pipelines.engine.store import Store

if TYPE_CHECKING:
    from pipelines.engine.town import Town

NO_LINE = "The line does not run at the moment, so nothing was filed. Try again in a few minutes; nothing is lost."
# Pictures are drawn anew one after the other: each takes a second of a core and some hundred megabytes.
DRAWN_AT_ONCE = 1


class FilingRoom:
    """The filing of one town, for one web process."""

    def __init__(self, town: "Town", store: Callable[[], Store]) -> None:
        self._town, self._store = town, store
        self.table: Table | None = filed_table({t.name: t for domain in town.domains for t in domain.tables})
        self.gate = Gate(town.settings.filing.per_hour, town.now)
        self._drawing = asyncio.Semaphore(DRAWN_AT_ONCE)
        self._known_secret: bytes | None = None

    @property
    def is_open(self) -> bool:
        """Whether residents may file here."""
        return self.table is not None and self._town.settings.filing.open and bool(self.services())

    def services(self) -> dict[str, dict[str, Any]]:
        """Service code -> its row of the town's list; empty where the town has none."""
        return offered(self._town.registers, self.table) if self.table is not None else {}

    @property
    def states(self) -> tuple[str, ...]:
        """The states of the office."""
        return tuple(self.table.filing.states) if self.table is not None and self.table.filing is not None else ()

    def _secret(self) -> bytes:
        """The town's secret.

        Raises Misasked before a line has run.
        """
        if self._known_secret is None:
            self._known_secret = vault.read_secret(self._town.settings.store)
        if self._known_secret is None:
            raise Misasked(NO_LINE, 503)
        return self._known_secret

    def new_key(self) -> str:
        """The key of a form that is handed out now.

        Raises Misasked before a line has run.
        """
        return numbers.issue(self._secret(), self._town.now())

    def check_form(self, key: str, trap: str, peer: str) -> None:
        """Nothing, when a form that anybody may post comes from a person.

        Raises Faulty: closed, filled in by a program, too fast, too late, too often from this address.
        """
        if not self.is_open:
            raise Faulty("form", "closed")
        if trap:
            raise Faulty("form", "trap")
        read, now = numbers.read(self._secret(), key), self._town.now()
        if read.outdated(now):
            raise Faulty("form", "outdated")
        if read.hurried(now):
            raise Faulty("form", "hurried")
        self.gate.check(peer)

    def check(self, report: Report) -> Report:
        """The report with its ward and position filled in.

        Raises Faulty.
        """
        if self.table is None:
            raise Faulty("form", "closed")
        return checked(report, self._town.registers, self.table, self._town.now())

    def alike(self, report: Report) -> Alike | None:
        """Who else has reported the same close by within a week.

        Raises StoreError.
        """
        wanted = nearby.sought(report.service, report.ward, report.lat, report.lon)
        if wanted is None:
            return None
        rows = self._rows(*wanted, start=self._town.now() - nearby.LATELY)
        return nearby.alike(rows, report.lat, report.lon)

    def _rows(
        self, where: str, params: Mapping[str, Any], start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        """Rows with all their columns, also those that are personal: nobody outside gets them as they are."""
        assert self.table is not None
        return self._store().rows(self.table.name, start, end, where, params)

    async def file(self, report: Report, *, key: str = "", files: Sequence[bytes] = (), by: str = "") -> dict[str, Any]:
        """File a report; `number` is what it is followed by, `again` that this key has filed it before.

        Raises Faulty, and Misasked when it could not be made durable (503, 429): nothing was filed then.
        """
        sound = self.check(report)
        async with self._drawing:
            drawn = await asyncio.to_thread(pictures.redrawn, files) if files else []
        coded = [(kind, b64encode(body).decode()) for kind, body in drawn]
        return await self._told("file", report=sound.telling(), key=key, pictures=coded, by=by)

    async def enter(self, report: Report, actor: Actor, *, key: str, files: Sequence[bytes] = ()) -> dict[str, Any]:
        """File what somebody said at the counter, by phone or on paper.

        Raises Forbidden, and as `file`.
        """
        actor.check("operate")
        return await self.file(report, key=key, files=files, by=actor.signature)

    async def change(self, number: str, actor: Actor, *, state: str, notes: str, agency: str) -> None:
        """Bring a request to another state of the office, with the words that everybody may read.

        Raises Forbidden, Faulty, Misasked.
        """
        actor.check("operate")
        found = await asyncio.to_thread(vault.case, self._town.settings.store, number) if actor.wards else None
        if found is not None and not _in_reach(found, actor):
            actor.check_everywhere("operate")
        await self._told("change", number=number, state=state, notes=notes, agency=agency, who=actor.signature)

    async def erase(self, number: str, actor: Actor) -> None:
        """Have what is personal of a request forgotten.

        Raises Forbidden, Faulty, Misasked.
        """
        actor.check("settings")
        await self._told("erase", number=number, who=actor.signature)

    async def _told(self, deed: str, **facts: Any) -> dict[str, Any]:
        if self.table is None:
            raise Faulty("form", "closed")
        try:
            status, told, _ = await self._town.line.filing(deed, facts)
        except (httpx.TransportError, ValueError) as error:
            raise Misasked(NO_LINE, 503) from error
        if (told.get("field"), told.get("fault")) in FAULTS:
            raise Faulty(told["field"], told["fault"])
        if status != httpx.codes.OK:
            raise Misasked(str(told.get("detail", NO_LINE)), status)
        return told

    def requests(self, asked: Asked, actor: Actor = VISITOR) -> tuple[list[dict[str, Any]], bool]:
        """Requests as Open311 tells them, the newest first, and whether more follow; personal only with the right.

        Raises StoreError.
        """
        where, params = asked.condition()
        rows = self._rows(where, params, asked.start, asked.end)
        rows = rows.sort("requested_datetime", "service_request_id", descending=[True, False])
        page = rows.slice(asked.skip, asked.size).to_dicts()
        names = dict(self._town.wards().select("ward", "name").iter_rows())
        told = [outside.request(row, names, extended=asked.extended) for row in page]
        if actor.may("operate"):
            held = vault.cases(self._town.settings.store, *outside.of_numbers(page), limit=len(page))
            outside.add_personal(told, page, [one for one in held if _in_reach(one, actor)])
        return told, rows.height > asked.skip + asked.size

    # what is personal: only with the right

    def cases(self, actor: Actor, *, open_only: bool = True) -> list[Case]:
        """Requests that were filed here, the newest first; of the actor's wards.

        Raises Forbidden, StoreError.
        """
        actor.check("operate")
        found = vault.cases(self._town.settings.store, "closed_at IS NULL" if open_only else "1")
        return [one for one in found if _in_reach(one, actor)]

    def case(self, number: str, actor: Actor) -> tuple[Case, dict[str, Any]] | None:
        """A request that was filed here with its newest row; None when there is none of this number for the actor.

        Raises Forbidden, StoreError.
        """
        actor.check("operate")
        found = self._held(number, actor)
        rows = self._rows('"service_request_id" = $number', {"number": number}) if found else None
        return (found, rows.row(0, named=True)) if found and rows is not None and rows.height else None

    async def note_look(self, number: str, actor: Actor) -> None:
        """Put on record that somebody looks at what is personal of a request, where there is such a one."""
        known = numbers.tidy(number) or number.strip()
        found = await asyncio.to_thread(self._held, known, actor) if actor.may("operate") else None
        if found is not None:
            with suppress(httpx.TransportError):
                facts = {"who": actor.signature, "did": "request: read", "facts": {"number": known}}
                await self._town.line.people("note", facts)

    def _held(self, number: str, actor: Actor) -> Case | None:
        """A request of the vault, when it lies in the actor's wards."""
        found = vault.case(self._town.settings.store, number)
        return found if found is not None and _in_reach(found, actor) else None

    def picture(self, number: str, file: str, actor: Actor) -> tuple[Picture, Path] | None:
        """A request's attachment; None when it has none of this name.

        Raises Forbidden, StoreError.
        """
        actor.check("operate")
        found = self._held(number, actor)
        picture = next((one for one in found.pictures if one.file == file), None) if found else None
        path = vault.folder_of(self._town.settings.store) / file
        return (picture, path) if picture is not None and path.is_file() else None


def _in_reach(case: Case, actor: Actor) -> bool:
    """Whether a request lies in the actor's wards."""
    return actor.in_reach(case.row.get("ward"))
