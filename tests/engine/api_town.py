"""A small town with rows of every sort, and somebody who asks its API without a network."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from pipelines.engine import api, compaction, flow, tokens
from pipelines.engine.filing.desk import Desk
from pipelines.engine.flow import RawMessage
from pipelines.engine.intake import Intake
from pipelines.engine.line import Line
from pipelines.engine.line_client import alive
from pipelines.engine.local import LocalServer, pushed
from pipelines.engine.settings.filing import FEED
from pipelines.engine.town import Town
from tests.engine import small_town

NOW = small_town.NOON
DAY = timedelta(days=1)
TOML = (
    small_town.TOWN
    + """
[feeds.scada]
from = "http_push"
format = "csv"
table = "readings"
every = "15 min"
zone = "Asia/Kolkata"

[feeds.scada.mapping]
sensor = "P1.p"
value = "metres"
time = "when"

[water.kpis.pressure_compliance]
minimum_m = 12
"""
)
# What a resident wrote, and what a spreadsheet would run.
SECRET = "my neighbour Mr Rao"
FORMULA = '=HYPERLINK(A1,"gift")'
REQUESTS = [
    ("R1", FORMULA, "W1", NOW - 3 * DAY),
    ("R2", "+91 water", "W2", NOW - 2 * DAY),
    ("R3", 'says "wet", twice\nand again', "W2", NOW - DAY),
]
BILLS = [("D1", "2026-02-01", "2026-02-28", 900.5), ("D1", "2026-03-01", "2026-03-31", 1000.0)]


class Asker:
    """Asks an app in this process. One event loop for all questions, as a web process has."""

    def __init__(self, app: Any, headers: Mapping[str, str] | None = None) -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)

    def __call__(self, method: str, address: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, address, **more))

    def get(self, address: str, **query: Any) -> httpx.Response:
        """What GET answers."""
        return self("GET", address, params=query)

    def wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine of the same loop gives."""
        return self._runner.run(work)

    def close(self, *towns: Town) -> None:
        """End the connections of these towns to their lines, and the loop."""
        for town in towns:
            self._runner.run(town.line.close())
        self._runner.close()


def readings() -> list[tuple[str, datetime, float]]:
    """Two days of quarter hours for two pressure points; the first half is sent before the compaction, the rest after."""
    times = [NOW - 2 * DAY + timedelta(minutes=15 * i) for i in range(193)]
    return [
        (sensor, at, 8.0 + i % 7 + shift)
        for i, at in enumerate(times)
        for sensor, shift in (("P1.p", 0.0), ("P2.p", 0.5))
    ]


def sent(line: Line, table: str, rows: list[dict[str, Any]], now: datetime = NOW) -> flow.Receipt:
    """Rows of a table pushed as JSON."""
    import orjson

    key = "readings" if table == "readings" else "rows"
    message = RawMessage(pushed(line.settings.feeds["push"], "json", table), orjson.dumps({key: rows}), now)
    return flow.take(line, [message], now)[0]


def filled(folder: Path) -> Line:
    """The line of a town with readings on both sides of a compaction, one correction, requests, bills, and refused rows."""
    line = small_town.open_line(folder, NOW)
    rows = readings()
    small_town.send(line, "network", small_town.csv_of(rows[:200]), NOW)
    sent(line, "service_requests", [request(*row) for row in REQUESTS])
    compaction.compact(line.settings.store, line.store.tables.values(), line.settings.zone)
    line.adopt(NOW)
    small_town.send(line, "network", small_town.csv_of(rows[200:]), NOW)
    small_town.send(line, "network", small_town.csv_of([("P1.p", rows[0][1], 99.0), ("nobody", NOW, 1.0)]), NOW)
    sent(
        line,
        "water_bills",
        [dict(zip(("dma", "period_start", "period_end", "billed_m3"), row, strict=True)) for row in BILLS],
    )
    sent(line, "service_requests", [{**request("R9", "no place", "W1", NOW), "state": "lost", "description": SECRET}])
    small_town.beat(line, NOW)
    return line


def request(number: str, notes: str, ward: str, at: datetime) -> dict[str, Any]:
    """A service request as a push sends it."""
    return {
        "service_request_id": number, "status": "open", "status_notes": notes, "service_name": "Leak", "service_code": "leak",
        "description": SECRET, "address": SECRET, "requested_datetime": at.isoformat(), "ward": ward, "state": "received",
    }  # fmt: skip


@contextmanager
def asked(
    folder: Path, clock: Callable[[], datetime] = lambda: NOW, *, known: bool = True
) -> Iterator[tuple[Asker, Town]]:
    """Somebody who asks the API of the town in this folder; `known`: with a token that may read and send rows."""
    town = Town(small_town.read(folder), clock)
    headers = {"Authorization": f"Bearer {reader(town)}"} if known else None
    asker = Asker(api.build(town), headers)
    yield asker, town
    asker.close(town)


def reader(town: Town) -> str:
    """The secret of a new token that may read and send rows."""
    name = f"reader {secrets.token_hex(4)}"
    return tokens.add(tokens.path_of(town.settings.store), name, ["read", "ingest"], NOW)


@contextmanager
def answering(line: Line, clock: Callable[[], datetime] = lambda: NOW) -> Iterator[Desk | None]:
    """The line answers at its local socket, as its process does; its filing desk."""
    intake = Intake(line, clock)
    desk = Desk(intake, clock) if FEED in line.settings.feeds else None
    local = LocalServer(line.settings, intake, clock, desk=desk)
    intake.start()
    local.start()
    patience = threading.Event()
    while not alive(line.settings):
        patience.wait(0.02)
    yield desk
    local.stop()
    intake.stop()
