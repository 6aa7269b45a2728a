"""People on a running board: 200 browse and export while devices push; pages, answers and memory against limits.

One board (`app.py serve`, line and web), one process of people, one of devices, all on this machine. A person holds the
stream of the page, opens a page every ten seconds or so (a third by its address, the rest by the menu, as the page's
scripts do it) and every twentieth time takes a table along. Every page was opened once before by somebody alone (or
none was, `--cold`); then the crowd comes, and then rounds without and with exports take turns.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import httpx

from benchmarks import glass
from benchmarks.machine import cpu_s, free_port, memory, quantile

PAGE_S, ANSWER_S, MEMORY_BYTES = 0.5, 0.05, 1.5e9
PUSHES_A_SECOND, SENDERS = 20, 4
PAGES = (
    "/", "/water", "/energy", "/transport", "/pollution", "/grievances", "/feeds", "/exports", "/public", "/council",
    "/alarms", "/water?ward=W03", "/kpi/supply_per_head", "/?ward=W02",
)  # fmt: skip
MENU = ("/", "/water", "/energy", "/transport", "/pollution", "/grievances", "/feeds", "/exports")
# What is taken along: path, its query, how many days back.
EXPORTS = (
    ("readings", "format=csv&ward=W01", 7), ("readings", "format=parquet", 1), ("readings", "format=xlsx&ward=W02", 1),
    ("tables/service_requests", "format=csv", 30), ("tables/service_requests", "format=xlsx", 30),
    ("tables/kpi_values", "format=csv", 30), ("kpis", "format=csv", 0), ("assets", "format=csv", 0),
)  # fmt: skip
# The two parts of a visit that the scripts of a page ask for by themselves.
DASH = ("/_dash-layout", "/_dash-dependencies")
ROUTER = "_pages_content"
SETTLED_S, LOOKED_AT_S = 4.0, 60.0
COMES_S, GIVE_WAY, LOOK_S = 14.0, 15, 4.0


@dataclass
class Crowd:
    """What people do in a round, and what of it they saw: seconds by kind of request, failures, bytes taken along."""

    port: int
    people: int
    seconds: float
    pause_s: float
    exporting: float
    seen: dict[str, list[float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    exported: int = 0


def crowd(wanted: Crowd) -> Crowd:
    """All people for the length of a round; at home they have computers of their own, so here they give way."""
    os.nice(GIVE_WAY)
    asyncio.run(_all(wanted))
    return wanted


async def _all(wanted: Crowd) -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=wanted.people)
    base = f"http://127.0.0.1:{wanted.port}"
    async with httpx.AsyncClient(base_url=base, limits=limits, timeout=60, headers={"Origin": base}) as client:
        callback = await _router(client)
        until = time.monotonic() + wanted.seconds
        streams = [asyncio.create_task(_hold(wanted.port)) for _ in range(wanted.people)]
        await asyncio.gather(*(_person(client, wanted, callback, number, until) for number in range(wanted.people)))
        for stream in streams:
            stream.cancel()


async def _router(client: httpx.AsyncClient) -> dict[str, Any]:
    """The callback by which the menu changes pages, as the app declares it."""
    declared = (await client.get("/_dash-dependencies")).json()
    return next(one for one in declared if ROUTER in one["output"])


async def _hold(port: int) -> None:
    """The stream of one page, read and thrown away."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n")
    with suppress(asyncio.CancelledError):
        while await reader.read(1 << 16):
            pass
    writer.close()


async def _person(
    client: httpx.AsyncClient, wanted: Crowd, callback: dict[str, Any], number: int, until: float
) -> None:
    chance = random.Random(number)
    await asyncio.sleep(chance.random() * wanted.pause_s)
    while time.monotonic() < until:
        what = chance.random()
        if what < wanted.exporting:
            await _export(client, wanted, chance)
        elif what < 0.33:
            await _visit(client, wanted, chance)
        else:
            await _follow(client, wanted, callback, chance.choice(MENU))
        await asyncio.sleep(min(chance.expovariate(1 / wanted.pause_s), max(0.0, until - time.monotonic())))


async def _visit(client: httpx.AsyncClient, wanted: Crowd, chance: random.Random) -> None:
    """A page by its address, and what its scripts ask for then."""
    path = chance.choice(PAGES)
    await _timed(wanted, "page", client.build_request("GET", path), client)
    if path.split("?")[0] in MENU:
        await asyncio.gather(*(_timed(wanted, "scripts", client.build_request("GET", one), client) for one in DASH))


async def _follow(client: httpx.AsyncClient, wanted: Crowd, callback: dict[str, Any], path: str) -> None:
    """A page by the menu: the content alone is asked for."""
    values = {"pathname": path, "search": ""}
    outputs = [
        {"id": one.rsplit(".", 1)[0], "property": one.rsplit(".", 1)[1]}
        for one in callback["output"].strip(".").split("...")
    ]
    inputs = [{**one, "value": values.get(one["property"], "")} for one in callback["inputs"]]
    body = {
        "output": callback["output"], "outputs": outputs, "inputs": inputs, "state": [],
        "changedPropIds": ["_pages_location.pathname"],
    }  # fmt: skip
    await _timed(wanted, "menu", client.build_request("POST", "/_dash-update-component", json=body), client)


async def _export(client: httpx.AsyncClient, wanted: Crowd, chance: random.Random) -> None:
    path, query, days = chance.choice(EXPORTS)
    since = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    span = f"&from={since}" if days else ""
    wanted.exported += await _timed(
        wanted, "export", client.build_request("GET", f"/api/v1/{path}?{query}{span}"), client
    )


async def _timed(wanted: Crowd, kind: str, request: httpx.Request, client: httpx.AsyncClient) -> int:
    """The bytes of an answer; its time and its failure are noted."""
    began, size = time.monotonic(), 0
    try:
        answer = await client.send(request, stream=True)
        async for chunk in answer.aiter_raw():
            size += len(chunk)
        await answer.aclose()
        if answer.status_code != 200:
            wanted.failed.append(f"{answer.status_code} {request.url.path}?{request.url.query.decode()}")
    except httpx.HTTPError as error:
        wanted.failed.append(f"{type(error).__name__} {request.url.path}")
    wanted.seen.setdefault(kind, []).append(time.monotonic() - began)
    return size


@dataclass(frozen=True)
class Devices:
    """What devices push in a round."""

    port: int
    seconds: float
    readings_a_second: int
    usual: tuple[tuple[str, float], ...]
    seed: int


def push(wanted: Devices) -> tuple[list[float], float]:
    """How long each answer took, and how many readings were taken in a second; a push leaves when it is due."""
    size, pushes = wanted.readings_a_second // PUSHES_A_SECOND, int(wanted.seconds * PUSHES_A_SECOND)
    chance, begin, kept = random.Random(wanted.seed), time.monotonic() + 0.2, threading.local()

    def one(number: int) -> tuple[float, int]:
        time.sleep(max(0.0, begin + (number + chance.random()) / PUSHES_A_SECOND - time.monotonic()))
        now = datetime.now(UTC).isoformat()
        rows = [wanted.usual[(number * size + n) % len(wanted.usual)] for n in range(size)]
        body = json.dumps({"readings": [{"sensor": s, "observed_at": now, "value": v} for s, v in rows]})
        if not hasattr(kept, "connection"):
            kept.connection = http.client.HTTPConnection("127.0.0.1", wanted.port, timeout=30)
        began = time.monotonic()
        kept.connection.request("POST", "/api/v1/readings", body, {"Content-Type": "application/json"})
        answer = kept.connection.getresponse()
        told = json.loads(answer.read())
        return time.monotonic() - began, int(told["accepted"]) if answer.status == http.client.OK else 0

    with ThreadPoolExecutor(SENDERS) as pool:
        answers = list(pool.map(one, range(pushes)))
    lasted = time.monotonic() - begin
    return [seconds for seconds, _ in answers], sum(rows for _, rows in answers) / lasted


@dataclass
class Round:
    """What was seen in one round, or in several of one kind: times in seconds, peaks of memory, shares of a core."""

    answers: list[float]
    seen: dict[str, list[float]]
    failed: list[str]
    accepted: list[float]
    exported: int
    peak: int
    cpu: dict[str, list[float]]

    def beside(self, other: "Round") -> "Round":
        """Both in one."""
        kinds, names = self.seen.keys() | other.seen.keys(), self.cpu.keys() | other.cpu.keys()
        return Round(
            self.answers + other.answers, {kind: self.seen.get(kind, []) + other.seen.get(kind, []) for kind in kinds},
            self.failed + other.failed, self.accepted + other.accepted, self.exported + other.exported,
            max(self.peak, other.peak), {name: self.cpu.get(name, []) + other.cpu.get(name, []) for name in names},
        )  # fmt: skip

    @property
    def answer_p99(self) -> float:
        """Seconds within which 99 of 100 pushes of devices were answered."""
        return quantile(sorted(self.answers), 0.99)

    def told(self) -> dict[str, float]:
        """What is printed of it."""
        answers = sorted(self.answers)
        found = {"accepted/s": sum(self.accepted) / len(self.accepted), "answer p50": quantile(answers, 0.5)}
        found |= {"answer p95": quantile(answers, 0.95), "answer p99": self.answer_p99, "answer worst": answers[-1]}
        for kind, times in sorted(self.seen.items()):
            ordered = sorted(times)
            found |= {f"{kind} number": float(len(times)), f"{kind} p50": quantile(ordered, 0.5)}
            found |= {f"{kind} p95": quantile(ordered, 0.95), f"{kind} worst": ordered[-1]}
        found |= {"all pages p95": self.page_p95, "failed": float(len(self.failed))}
        found |= {"exported MB": self.exported / 1e6, "memory MB": self.peak / 1e6}
        return found | {f"CPU of {name}": sum(shares) / len(shares) for name, shares in sorted(self.cpu.items())}

    @property
    def page_p95(self) -> float:
        """Seconds within which 95 of 100 pages came, by their address or by the menu."""
        return quantile(sorted([*self.seen.get("page", []), *self.seen.get("menu", [])]), 0.95)


def measure(people: Crowd, devices: Devices, board: subprocess.Popen[bytes]) -> Round:
    """One round."""
    pids = glass.processes(board)
    spawn, peaks = multiprocessing.get_context("spawn"), [0]
    with spawn.Pool(2) as pool:
        before, began = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
        browsing, pushing = pool.apply_async(crowd, (people,)), pool.apply_async(push, (devices,))
        while not (browsing.ready() and pushing.ready()):
            # Asking for it holds the processes up, so seldom.
            if time.monotonic() - began > LOOK_S * len(peaks):
                peaks.append(memory(board.pid))
            time.sleep(0.1)
        seen, (answers, accepted) = browsing.get(), pushing.get()
        lasted = time.monotonic() - began
    shares = {name: [(cpu_s(pid) - before[name]) / lasted] for name, pid in pids.items()}
    return Round(answers, seen.seen, seen.failed, [accepted], seen.exported, max(peaks), shares)


def prepared(folder: Path) -> tuple[tuple[str, float], ...]:
    """The town, and what each of its sensors usually says."""
    kept = folder.with_name(f"{folder.name}.usual.json")
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(glass.town(folder)))
    return tuple((sensor, value) for sensor, value in json.loads(kept.read_text()))


def looked_at(port: int) -> None:
    """Every page was opened before: a board that has run for a while, not one that was started this minute."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LOOKED_AT_S) as client:
        for path in dict.fromkeys((*PAGES, *MENU)):
            client.get(path)


def main() -> None:
    """Prepare, serve, measure: the crowd as it comes, then pairs of rounds without and with exports; print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.people")
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a round (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=3, help="rounds without and with exports (default: %(default)s)")
    parser.add_argument("--readings", type=int, default=2000, help="readings a second (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=10.0, help="seconds between two pages of a person")
    parser.add_argument("--exporting", type=float, default=0.05, help="share of steps that are exports")
    parser.add_argument("--cold", action="store_true", help="nobody has opened a page before the crowd comes")
    parser.add_argument("--town", type=Path, help="a folder in which the town is made once, and used again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="townboard-people-") as place:
        folder, port = given.town or Path(place) / "town", free_port()
        usual = prepared(folder)
        board = glass.serve(folder, port)

        def round(number: int, seconds: float, share: float) -> Round:
            people = Crowd(port, given.people, seconds, given.pause, share)
            return measure(people, Devices(port, seconds, given.readings, usual, number), board)

        try:
            time.sleep(SETTLED_S)
            if not given.cold:
                looked_at(port)
            report("the crowd comes", round(0, COMES_S, 0.0), given)
            shares = [0.0, given.exporting] * given.pairs
            rounds = [round(number, given.seconds, share) for number, share in enumerate(shares, start=1)]
        finally:
            board.send_signal(signal.SIGTERM)
            board.wait(15)
    if rounds:
        browsing, exporting = reduce(Round.beside, rounds[::2]), reduce(Round.beside, rounds[1::2])
        report("nobody exports", browsing, given)
        report(f"{given.exporting:.0%} of all steps are exports", exporting, given)
        added = [f"{1000 * (b.answer_p99 - a.answer_p99):+.0f}" for a, b in zip(rounds[::2], rounds[1::2], strict=True)]
        whole = 1000 * (exporting.answer_p99 - browsing.answer_p99)
        print(f"\nexports add to acknowledgement p99, pair by pair: {', '.join(added)}; all together {whole:+.0f} ms")


def report(what: str, found: Round, given: argparse.Namespace) -> None:
    """The rounds of one kind, with how their limits were kept."""
    print(
        f"\n{what}: {given.people} people, a page each {given.pause:g} s; {given.readings:,} readings/s; "
        f"{os.cpu_count()} cores, {len(found.accepted)} rounds"
    )
    for name, value in found.told().items():
        form = ".0%" if name.startswith("CPU") else ".3f" if name.split()[-1][0] in "pw" else ",.0f"
        print(f"  {name:<16}{format(value, form):>9}")
    for words in sorted(set(found.failed))[:10]:
        print(f"  failed: {words} ({found.failed.count(words)} times)")
    print(
        f"page p95 is {found.page_p95 / PAGE_S:.2f}, acknowledgement p99 {found.answer_p99 / ANSWER_S:.2f}, "
        f"memory {found.peak / MEMORY_BYTES:.2f} of what they may be",
        flush=True,
    )


if __name__ == "__main__":
    main()
