"""The system's own state in Prometheus' text form; all row counters come from one board, so the books balance."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from pipelines.engine import manifest
from pipelines.engine.api import metrics_upkeep as upkeep
from pipelines.engine.api.board import ALARM_STATES, FEED_STATES, STATUSES
from pipelines.engine.api.exposing import Sample, family
from pipelines.engine.api.health import age_s
from pipelines.engine.ledger import COUNTERS, unaccounted
from pipelines.engine.line_client import told
from pipelines.engine.model import PRIORITIES
from pipelines.engine.town import Town
from pipelines.engine.version import BUILD, VERSION

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
# What a counter of the ledger is called here.
WORDS = {name: "received" if name == "decoded" else name for name in COUNTERS}
IDENTITY = "received = stored + duplicate + quarantined; corrected is a part of stored"


def routes(town: Town) -> APIRouter:
    """/metrics."""
    router = APIRouter()
    content = {"text/plain": {"schema": {"type": "string"}}}

    @router.get(
        "/metrics", summary="Prometheus exposition", response_class=PlainTextResponse,
        responses={200: {"description": "Prometheus text format.", "content": content}},
    )  # fmt: skip
    def metrics() -> Response:
        return Response("".join(exposition(town)), headers={"Cache-Control": "no-store"}, media_type=MEDIA)

    return router


def exposition(town: Town) -> Iterator[str]:
    """The lines of the exposition, family by family."""
    snapshot = town.board()
    yield family("build_info", "gauge", "Which build answers.", [({"version": VERSION, "build": BUILD}, 1)])
    yield family("snapshot_present", "gauge", "1 when a board was ever published.", [({}, float(snapshot is not None))])
    if snapshot is not None:
        state, now = snapshot.state, town.now()
        yield family(
            "snapshot_age_seconds", "gauge", "Age of the newest board.", [({}, round(age_s(town, snapshot), 3))]
        )
        yield family("snapshot_seq", "gauge", "Number of the newest board.", [({}, snapshot.seq)])
        yield from _of_feeds(state["feeds"], now)
        yield from _ledger(state["ledger"])
        yield from _of_alarms(state["alarms"])
        statuses = Counter(row["status"] for row in state["kpis"].values())
        yield family(
            "kpis", "gauge", "KPI values by status.", [({"status": name}, statuses[name]) for name in STATUSES]
        )
        yield from upkeep.of_jobs(state["jobs"])
        yield from upkeep.of_kpis(state["kpis"], now)
    yield from _of_line(told(town.settings))
    yield from _of_store(town)
    yield from upkeep.of_layout(town)
    yield from upkeep.of_backups(town)
    yield from upkeep.of_messages(town)
    yield from upkeep.of_people(town)
    yield from upkeep.of_processes()


def _of_feeds(feeds: Mapping[str, Mapping[str, Any]], now: datetime) -> Iterator[str]:
    rows = [
        ({"feed": name, "outcome": word}, feed[counter])
        for name, feed in feeds.items()
        for counter, word in WORDS.items()
    ]
    yield family("rows_total", "counter", f"Rows by feed and outcome: {IDENTITY}.", rows)
    payloads = [({"feed": name}, feed["payloads"]) for name, feed in feeds.items()]
    yield family("payloads_total", "counter", "Payloads by feed.", payloads)
    ages = [
        ({"feed": name}, round((now - datetime.fromisoformat(feed["last_arrival"])).total_seconds(), 3))
        for name, feed in feeds.items()
        if feed["last_arrival"]
    ]
    yield family("feed_last_arrival_age_seconds", "gauge", "Time since the last payload that landed.", ages)
    expected = [({"feed": name}, feed["every_s"]) for name, feed in feeds.items()]
    yield family("feed_expected_interval_seconds", "gauge", "How often the feed should come.", expected)
    states = [
        ({"feed": name, "state": word}, float(feed["state"] == word))
        for name, feed in feeds.items()
        for word in FEED_STATES
    ]
    yield family("feed_state", "gauge", "1 for the state that the feed is in.", states)


def _ledger(ledger: Mapping[str, int]) -> Iterator[str]:
    sums = [({"outcome": word}, ledger[counter]) for counter, word in WORDS.items()]
    yield family("ledger_rows_total", "counter", f"Rows of all feeds by outcome: {IDENTITY}.", sums)
    lost = "Rows received and neither stored, duplicate nor quarantined: always 0."
    yield family("ledger_unaccounted_rows", "gauge", lost, [({}, unaccounted(ledger))])


def _of_alarms(alarms: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    found = Counter((alarm["priority"], alarm["state"]) for alarm in alarms)
    calling = Counter(alarm["priority"] for alarm in alarms if alarm["active"])
    active = [({"priority": priority}, calling[priority]) for priority in PRIORITIES]
    yield family("alarms_active", "gauge", "Active alarms by priority.", active)
    every = [({"priority": p, "state": s}, found[p, s]) for p in PRIORITIES for s in ALARM_STATES]
    yield family("alarms", "gauge", "Alarms on the list by priority and state.", every)


def _of_line(line: Mapping[str, Any] | None) -> Iterator[str]:
    """What the line says of itself at this moment."""
    yield family("line_up", "gauge", "1 when the line answers.", [({}, float(line is not None))])
    if line is not None:
        yield family("journal_seq", "gauge", "Newest durable frame of the journal.", [({}, line["seq"])])
        yield family("queue_messages", "gauge", "Messages that wait to be written.", [({}, line["waiting"])])
        yield family("queue_bytes", "gauge", "Bytes that wait to be written.", [({}, line["waiting_bytes"])])
        trouble: list[Sample] = [({}, float(bool(line["trouble"])))]
        yield from upkeep.of_beats(line)
        yield family("disk_refusing", "gauge", "1 when the last batch could not be written.", trouble)


def _of_store(town: Town) -> Iterator[str]:
    store = town.settings.store
    compacted = manifest.read(store)
    yield family(
        "journal_compacted_seq", "gauge", "Newest journal frame that Parquet holds.", [({}, compacted.applied_seq)]
    )
    waiting = sum(file.stat().st_size for file in store.glob("journal/*") if file.is_file())
    yield family("journal_bytes", "gauge", "Size of the journal on disk.", [({}, waiting)])
    rows = [({"table": table}, sum(part.rows for part in parts.values())) for table, parts in compacted.parts.items()]
    yield family("parquet_rows", "gauge", "Rows in Parquet by table or rollup.", rows)
    if store.exists():
        yield family(
            "store_free_bytes", "gauge", "Free space where the store lies.", [({}, shutil.disk_usage(store).free)]
        )
