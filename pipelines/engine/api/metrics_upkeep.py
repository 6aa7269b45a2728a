"""What /metrics tells besides the board: jobs, ages of KPIs, messages, people, processes, backups and the store."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pipelines.engine import backup, copies, layout, state_delivery, state_file
from pipelines.engine.api.exposing import Sample, family
from pipelines.engine.errors import StoreError
from pipelines.engine.own_processes import processes
from pipelines.engine.people import sessions
from pipelines.engine.town import Town

# Messages of the last days are counted; older ones stand in the API.
MOST_MESSAGES = 5_000
OUTCOMES = ("sent", "waiting", "given_up")
NEVER = -1.0


def of_jobs(jobs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How the last run of each scheduled job went."""
    done = [job for job in jobs if job.get("ended_at")]
    failed: list[Sample] = [({"job": job["job"]}, float(job.get("outcome") == "failed")) for job in jobs]
    yield family("job_failed", "gauge", "1 when the last run of the job failed.", failed)
    took = [({"job": job["job"]}, _seconds(job["started_at"], job["ended_at"])) for job in done]
    yield family("job_last_duration_seconds", "gauge", "How long the last run of the job took.", took)
    ended = [({"job": job["job"]}, datetime.fromisoformat(job["ended_at"]).timestamp()) for job in done]
    yield family("job_last_end_timestamp_seconds", "gauge", "When the last run of the job ended.", ended)


def of_kpis(kpis: Mapping[str, Mapping[str, Any]], now: datetime) -> Iterator[str]:
    """How old the newest data in each KPI of the town is."""
    ages: list[Sample] = [
        ({"kpi": row["kpi"]}, round((now - datetime.fromisoformat(row["as_of"])).total_seconds(), 3))
        for row in kpis.values()
        if row.get("area") == "town" and row.get("as_of")
    ]
    yield family("kpi_data_age_seconds", "gauge", "Age of the newest data in the KPI of the town.", ages)


def of_beats(line: Mapping[str, Any]) -> Iterator[str]:
    """How many beats the line has made and how long they took; KPIs that wait for a later one."""
    beats = line.get("beats") or {}
    if beats:
        yield family("beats_total", "counter", "Beats of the line since its start.", [({}, beats["number"])])
        spent: list[Sample] = [({}, round(beats["seconds"], 6))]
        yield family("beat_seconds_total", "counter", "Seconds that all beats since the start took.", spent)
        last: list[Sample] = [({}, round(beats["last"], 6))]
        yield family("beat_last_duration_seconds", "gauge", "Seconds that the last beat took.", last)
        waiting: list[Sample] = [({}, beats["waiting"])]
        yield family("kpis_waiting", "gauge", "KPIs whose computing waits for a later beat.", waiting)


def of_people(town: Town) -> Iterator[str]:
    """Who is signed in, and how many screens hold the stream of this process."""
    path, now = town.settings.store / "state.sqlite", town.now()
    try:
        open_now: list[Sample] = [({}, sum(one.open(now) for one in sessions.listed(path)))]
    except StoreError:
        open_now = []
    yield family("sessions_open", "gauge", "Sessions of people that are signed in.", open_now)
    yield family("viewers", "gauge", "Screens that hold the live stream of this process.", [({}, town.viewers())])


def of_messages(town: Town) -> Iterator[str]:
    """What became of messages about alarms."""
    if town.settings.delivery is None:
        return
    letters = state_delivery.read_newest(town.settings.store / "state.sqlite", MOST_MESSAGES)
    found = Counter((one.channel, "waiting" if one.open else "sent" if one.sent_at else "given_up") for one in letters)
    channels = sorted({*town.settings.delivery.channels, *(one.channel for one in letters)})
    rows = [({"channel": channel, "outcome": word}, found[channel, word]) for channel in channels for word in OUTCOMES]
    yield family("messages", "gauge", "Messages about alarms on record, by channel and outcome.", rows)


def of_processes() -> Iterator[str]:
    """Memory and processor time of the town's processes."""
    found = processes()
    memory: list[Sample] = [({"process": one.name}, one.resident) for one in found]
    yield family("process_resident_memory_bytes", "gauge", "Resident memory of a process of the town.", memory)
    used: list[Sample] = [({"process": one.name}, round(one.cpu_s, 2)) for one in found]
    yield family("process_cpu_seconds_total", "counter", "Processor time of a process of the town.", used)


def of_backups(town: Town) -> Iterator[str]:
    """How old the last verified copy in each place is; -1 where there never was one."""
    path, plan = town.settings.store / "state.sqlite", town.settings.backup
    places = {"first": backup.LAST} | ({"second": copies.SECOND} if plan and plan.second else {})
    known = {place: state_file.read_cursor(path, cursor) for place, cursor in places.items()}
    ages: list[Sample] = [
        ({"place": place}, _seconds(last["at"], town.now().isoformat()) if last else NEVER)
        for place, last in known.items()
    ]
    yield family("backup_age_seconds", "gauge", "Age of the last verified backup; -1 = there never was one.", ages)
    sizes: list[Sample] = [({"place": place}, last.get("bytes")) for place, last in known.items() if last]
    yield family("backup_size_bytes", "gauge", "Size of the last verified backup.", sizes)
    planned: list[Sample] = [({}, plan.every.total_seconds() if plan else None)]
    yield family("backup_interval_seconds", "gauge", "How often a backup is planned; absent without a plan.", planned)


def of_layout(town: Town) -> Iterator[str]:
    """The layout of the store."""
    try:
        stand = layout.read(town.settings.store)
    except StoreError:
        stand = None
    yield family("store_layout", "gauge", "Number of the store's layout.", [({}, stand.layout if stand else None)])


def _seconds(start: str, end: str) -> float:
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)
