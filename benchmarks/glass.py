"""Sensor to glass: from the send of a reading over HTTP until its value is in a viewer's event, on a running board.

One board (`app.py serve`, line and web), one process that sends, one that watches, all on this machine.
"""

import argparse
import asyncio
import http.client
import json
import math
import multiprocessing
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pipelines
from benchmarks.machine import cpu_s, free_port, quantile
from pipelines.demo.prepare import prepare
from pipelines.engine import flow, registers, settings
from pipelines.engine.line import Line

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 1.0
POSTS_A_SECOND = 10
SENDERS = 4
# The inflows of the five metered areas carry the marks: values that end in .5, above anything that flows there.
MARKED = ("D1-FLOW", "D2-FLOW", "D3-FLOW", "D4-FLOW", "D5-FLOW")
FIRST_MARK = 1000
MARK = re.compile(rb'"inflow_m3_h":\[(\d{4})\.5,')
# The viewers are there before the sender has started, and stay until the last mark has had time to come.
AROUND_S = 8.0


@dataclass(frozen=True)
class Load:
    """What is sent and watched in a round."""

    port: int
    seconds: float
    readings_a_second: int
    viewers: int
    usual: tuple[tuple[str, float], ...]
    first_mark: int
    processes: dict[str, int]


@dataclass(frozen=True)
class Sent:
    """What the sender saw: when each mark left, how long answers took, readings accepted a second and CPU shares."""

    marks: dict[int, float]
    answers_s: list[float]
    accepted: float
    cpu: dict[str, float]


def send(load: Load) -> Sent:
    """Push at the given rate, however long the answers take; every other push carries a mark."""
    size, posts = load.readings_a_second // POSTS_A_SECOND, int(load.seconds * POSTS_A_SECOND)
    marks: dict[int, float] = {}
    chance, begin = random.Random(load.first_mark), time.monotonic() + 0.2
    pool = ThreadPoolExecutor(SENDERS)

    def push(number: int) -> tuple[float, int]:
        # Not in step with the beat of the board: each push leaves at a moment of its own within its tenth of a second.
        time.sleep(max(0.0, begin + (number + chance.random()) / POSTS_A_SECOND - time.monotonic()))
        now = datetime.now(UTC).isoformat()
        rows = [load.usual[(number * size + n) % len(load.usual)] for n in range(size)]
        if number % 2 == 0:
            mark = load.first_mark + number // 2
            rows[0] = (MARKED[mark % len(MARKED)], mark + 0.5)
            marks[mark] = time.monotonic()
        body = json.dumps({"readings": [{"sensor": s, "observed_at": now, "value": v} for s, v in rows]})
        began = time.monotonic()
        accepted = post(load.port, body)
        return time.monotonic() - began, accepted

    before = {name: cpu_s(pid) for name, pid in load.processes.items()}
    answers = list(pool.map(push, range(posts)))
    lasted = time.monotonic() - begin
    cpu = {name: (cpu_s(pid) - before[name]) / lasted for name, pid in load.processes.items()}
    return Sent(marks, [seconds for seconds, _ in answers], sum(rows for _, rows in answers) / lasted, cpu)


def post(port: int, body: str) -> int:
    """How many readings of a push were accepted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/api/v1/readings", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = answer.read()
    finally:
        connection.close()
    return int(json.loads(told)["accepted"]) if answer.status == http.client.OK else 0


async def view(port: int, seen: dict[int, float], until: float) -> None:
    """One viewer: hold the stream as a browser does (gzip) and note when each mark came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    unzip = zlib.decompressobj(31)
    while time.monotonic() < until:
        chunk = await reader.readexactly(int(await reader.readline(), 16) + 2)
        now = time.monotonic()
        for mark in MARK.findall(unzip.decompress(chunk[:-2])):
            seen.setdefault(int(mark), now)
    writer.close()


def watch(load: Load) -> tuple[list[dict[int, float]], float]:
    """All viewers for the length of a round: what each saw when, and the CPU seconds it took them."""
    seen: list[dict[int, float]] = [{} for _ in range(load.viewers)]
    until = time.monotonic() + load.seconds + AROUND_S

    async def all_of_them() -> None:
        await asyncio.gather(*(view(load.port, one, until) for one in seen))

    asyncio.run(all_of_them())
    return seen, time.process_time()


def measure(load: Load) -> dict[str, float]:
    """One round: latencies over every mark and viewer, in seconds; a mark that a viewer never saw counts as endless."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(2) as pool:
        watching = pool.apply_async(watch, (load,))
        time.sleep(2)
        sent = pool.apply_async(send, (load,)).get()
        seen, viewers_s = watching.get()
    late = sorted(one.get(mark, math.inf) - at for one in seen for mark, at in sent.marks.items())
    return {
        "p50": quantile(late, 0.5),
        "p99": quantile(late, 0.99),
        "worst": late[-1],
        "accepted/s": sent.accepted,
        "answer p50": quantile(sorted(sent.answers_s), 0.5),
        "answer p99": quantile(sorted(sent.answers_s), 0.99),
        **{f"CPU of {name}": share for name, share in sent.cpu.items()},
        "CPU of viewers": viewers_s / (load.seconds + AROUND_S),
    }


def town(folder: Path) -> tuple[tuple[str, float], ...]:
    """The demo town without its simulator, with its KPIs computed; what each of its sensors usually says."""
    prepare(folder, "http://127.0.0.1:9", datetime.now(UTC), 1, 7)
    file = folder / "town.toml"
    polled = {name for name, feed in tomllib.loads(file.read_text("utf-8"))["feeds"].items() if feed["from"] == "poll"}
    head, *feeds = file.read_text("utf-8").split("\n[feeds.")
    file.write_text("\n[feeds.".join([head, *(f for f in feeds if f.partition("]")[0] not in polled)]), "utf-8")
    loaded = settings.load(folder, pipelines.available)
    line = Line(loaded, registers.load(loaded), datetime.now(UTC))
    flow.beat(line, datetime.now(UTC))
    usual = line.latest.drop_nulls("value").filter(~line.latest["sensor"].is_in(MARKED)).sort("sensor")
    line.close()
    return tuple(usual.select("sensor", "value").iter_rows())


def serve(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """The board, ready to be asked."""
    board = subprocess.Popen([sys.executable, ROOT / "app.py", "--town", folder, "serve", "--port", str(port)])
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.client.OK:
                return board
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the board did not become ready within a minute")


def processes(board: subprocess.Popen[bytes]) -> dict[str, int]:
    """Name -> process id of the line, the web process and the one behind it."""
    found: dict[str, int] = {}
    for pid in Path(f"/proc/{board.pid}/task/{board.pid}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        found |= {name: int(pid) for name in ("line", "web", "pages") if name in words}
    return found


def main() -> None:
    """Prepare, serve, measure round by round, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.glass")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a round (default: %(default)s)")
    parser.add_argument("--readings", type=int, default=2000, help="readings a second (default: %(default)s)")
    parser.add_argument("--viewers", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="townboard-glass-") as place:
        usual, port = town(Path(place) / "town"), free_port()
        board = serve(Path(place) / "town", port)
        try:
            time.sleep(5)
            loads = [
                Load(
                    port,
                    given.seconds,
                    given.readings,
                    given.viewers,
                    usual,
                    FIRST_MARK * (number + 1),
                    processes(board),
                )
                for number in range(given.rounds)
            ]
            report([measure(load) for load in loads], given)
        finally:
            board.send_signal(signal.SIGTERM)
            board.wait(15)


def report(rounds: list[dict[str, float]], given: argparse.Namespace) -> None:
    """Medians of the rounds with their spread; the last line says how the limit was kept."""
    print(
        f"\nsensor to glass: {given.readings:,} readings/s over HTTP, {given.viewers} viewers, "
        f"{os.cpu_count()} cores; medians of {given.rounds} rounds of {given.seconds:g} s"
    )
    for name in rounds[0]:
        values = [one[name] for one in rounds]
        form = ",.0f" if name == "accepted/s" else ".0%" if name.startswith("CPU") else ".3f"
        middle, low, high = (format(x, form) for x in (statistics.median(values), min(values), max(values)))
        print(f"  {name:<16}{middle:>8}   {low} to {high}")
    p99 = statistics.median(one["p99"] for one in rounds)
    print(f"p99 is {p99 / LIMIT_S:.2f} of the second that it may take (times in s, CPU in shares of one core)")


if __name__ == "__main__":
    main()
