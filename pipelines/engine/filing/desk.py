"""The line's side of filing: a request is durable in the vault and the journal before anybody is told its number."""

import threading
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from pipelines.engine.filing import beside, numbers, vault
from pipelines.engine.filing.faults import Faulty
from pipelines.engine.filing.report import Report, checked, filed_table, offered, row_of
from pipelines.engine.flow import RawMessage, Receipt
from pipelines.engine.intake import Intake
from pipelines.engine.people.audit import noted
from pipelines.engine.people.scrubbing import tells
from pipelines.engine.settings.filing import FEED
from pipelines.engine.tokens import path_of

PATIENCE_S = 60.0
# Rows of one request must be told apart by their version.
NEXT = timedelta(seconds=1)
LONGEST_NOTES, LONGEST_AGENCY = 500, 100
ITSELF = "Townboard"


class Desk:
    """One per line; one request at a time, so that a number is given once."""

    def __init__(self, intake: Intake, clock: Callable[[], datetime]) -> None:
        self._intake, self._clock, self._turn = intake, clock, threading.Lock()
        line = intake.line
        table = filed_table(line.store.tables)
        assert table is not None and table.filing is not None
        self.table, self.filing = table, table.filing
        self._store, self._registers = line.settings.store, line.registers
        self._feed = line.settings.feeds[FEED]
        self._kept_secret: bytes | None = None

    @property
    def _secret(self) -> bytes:
        """The town's secret; the vault is made when it is first asked for: a disk that refuses stops no start."""
        if self._kept_secret is None:
            self._kept_secret = vault.prepare(self._store)
        return self._kept_secret

    def do(self, deed: str, facts: Mapping[str, Any]) -> Any:
        """What a deed of the web process gives, once it is durable.

        Raises Misasked in words for the person, StoreError and OSError when the disk refuses, Busy.
        """
        deeds: Mapping[str, Callable[..., Any]] = {"file": self._file, "change": self._change, "erase": self._erase}
        with self._turn:
            return deeds[deed](**facts)

    def _file(self, report: Mapping[str, Any], key: str, pictures: list[tuple[str, str]], by: str) -> dict[str, Any]:
        """The number of a request; the same, and nothing new, when its key was used before.

        Shape: pictures are media type and bytes in base 64.
        """
        now = self._clock()
        number = numbers.number(self._secret, key or numbers.fresh())
        known = vault.case(self._store, number)
        if known is not None and known.landed:
            return {"number": number, "again": True}
        if known is None:
            sound = checked(Report.told(report), self._registers, self.table, now)
            if sound.joins and not self._is_open(sound.joins):
                raise Faulty("join", "unknown")
            service = offered(self._registers, self.table)[sound.service]
            row = row_of(sound, number, service, self.table, now)
            bodies = [(kind, b64decode(body)) for kind, body in pictures]
            vault.put(self._store, number, now, row, personal=sound.personal, pictures=bodies, entered_by=by)
        else:
            row = dict(known.row)
        self._land(number, row)
        if by:
            noted(path_of(self._store), now, by, "request: entered", {"number": number, "channel": row["channel"]})
        return {"number": number, "again": False}

    def _land(self, number: str, row: Mapping[str, Any]) -> None:
        """Bring a new request's row through the line; what cannot be is taken out of the vault again."""
        try:
            self._through(row)
        except BaseException:
            vault.withdraw(self._store, number)
            raise
        vault.landed(self._store, number, _closed_at(row))

    def _through(self, row: Mapping[str, Any]) -> Receipt:
        payload = orjson.dumps({"rows": [row]})
        receipt = self._intake.submit(RawMessage(self._feed, payload, self._clock())).result(PATIENCE_S)
        if receipt.refused_words or receipt.quarantined:
            why = receipt.refused_words or "; ".join(detail for _, _, detail in receipt.reasons)
            raise OSError(5, f"the row was set aside: {why}")
        return receipt

    def resume(self) -> int:
        """Make the vault where there is none, and land what a crash left in it alone; how many there were."""
        with self._turn:
            left = vault.cases(self._store, "landed = 0") if self._secret else []
            for one in left:
                self._through(one.row)
                vault.landed(self._store, one.number, _closed_at(one.row))
        return len(left)

    def _row(self, number: str) -> dict[str, Any] | None:
        """The newest version of a request's row."""
        where = '"service_request_id" = $number'
        rows = self._intake.line.store.rows(self.table.name, where=where, params={"number": number})
        return rows.row(0, named=True) if rows.height else None

    def _is_open(self, number: str) -> bool:
        row = self._row(number)
        return row is not None and row["status"] == "open"

    def _change(self, number: str, state: str, notes: str, agency: str, who: str) -> dict[str, Any]:
        """A request brought to another state of the office, with the words that everybody may read."""
        known, before = vault.case(self._store, number), self._row(number)
        if known is None or before is None:
            raise Faulty("number", "unknown")
        if state not in self.filing.states:
            raise Faulty("state", "unknown")
        if len(notes) > LONGEST_NOTES or len(agency) > LONGEST_AGENCY:
            raise Faulty("notes", "too_long")
        if tells(notes) or tells(agency):
            raise Faulty("notes", "personal")
        now = self._clock().replace(microsecond=0)
        now = max(now, before["updated_datetime"] + NEXT) if before["updated_datetime"] else now
        after = {**before, **self._moved(before, state, now), "status_notes": notes or None}
        after["agency_responsible"] = agency or None
        sent = {name: _written(value) for name, value in after.items() if name != "received_at"}
        self._through(sent)
        vault.landed(self._store, number, now if after["status"] == "closed" else None)
        noted(path_of(self._store), now, who, "request: changed", {"number": number, "state": state})
        return {"number": number}

    def _moved(self, before: Mapping[str, Any], state: str, now: datetime) -> dict[str, Any]:
        """What changes in a row with its state: its status, and when it was answered, closed or reopened."""
        status = self.filing.states[state]
        back = before["status"] == "closed" and status == "open"
        moved = {"state": self.filing.again if back else state, "status": status, "updated_datetime": now}
        if state != self.filing.first and before["first_response_at"] is None:
            moved["first_response_at"] = now
        if status == "closed" and before["status"] == "open":
            moved["closed_at"] = now
        if back:
            moved |= {"reopened_at": now, "reopen_count": (before["reopen_count"] or 0) + 1}
        return moved

    def _erase(self, number: str, who: str) -> dict[str, Any]:
        """What is personal of a request forgotten at once."""
        if vault.case(self._store, number) is None:
            raise Faulty("number", "unknown")
        now = self._clock()
        forgotten = vault.erase(self._store, {number: (now.isoformat(), who)})
        noted(path_of(self._store), now, who, "request: personal data erased", {"number": number})
        self.share_erased()
        return {"number": number, "erased": forgotten}

    def age(self) -> int | None:
        """Forget what was kept long enough; how many requests forgot something.

        Raises StoreError, also when the second place of copies cannot be told what was erased.
        """
        now, keep = self._clock(), self._intake.line.settings.filing.keep
        old = vault.aged(self._store, now - keep)
        vault.erase(self._store, dict.fromkeys(old, (now.isoformat(), ITSELF)))
        if old:
            noted(path_of(self._store), now, ITSELF, "request: personal data aged out", {"numbers": old})
        vault.sweep(self._store, now)
        self.share_erased()
        line = self._intake.line
        if line.settings.backup is not None:
            beside.send(line.settings.backup, line.state)
        return len(old) or None

    def share_erased(self) -> None:
        """Write beside the copies of the town what was erased since, so that restoring one forgets it again."""
        plan = self._intake.line.settings.backup
        if plan is not None:
            beside.tell_erased(plan.to, vault.erased(self._store))


def _closed_at(row: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(row["closed_at"]) if row["status"] == "closed" else None


def _written(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
