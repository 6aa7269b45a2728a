"""Viewers on one stream: from publish to received by all of them, beside the same page in Dash and in Streamlit.

A board of 20 values and 6 charts that changes every two seconds. Townboard's web process, or the ordinary app, on this
machine with the load generator beside it. A viewer of the stream has what the browser's script has: it takes its bytes
and unpacks them. A viewer of the ordinary app asks what the browser asks at each tick, over one connection.
"""

import argparse
import asyncio
import math
import multiprocessing
import os
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from benchmarks.glass import town
from benchmarks.machine import cpu_s, free_port, quantile
from benchmarks.peer_dash import CHARTS, EVERY_S, VALUES, value
from pipelines.engine.snapshot import GZIP_STREAM_HEAD, Snapshot

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 1.0
# The board that was shown before, the one that is now, and when.
Came = tuple[int, int, float]
SEQ = re.compile(rb"id: (\d+)\n")
ACCESS = "\n[access]\nrequests_per_minute = 1000000\n"
# How long viewers have to be all there, and the last beat to come.
AROUND_S = 2.0
LINE = 60
OUTPUTS = (
    ".." + "...".join(f"value-{n}.children" for n in range(VALUES)) + "..",
    *(f"chart-{n}.figure" for n in range(CHARTS)),
)  # fmt: skip


@dataclass
class Seen:
    """What one set of viewers saw: seconds from publish to received, bytes, processor time of the server."""

    late: list[float] = field(default_factory=list)
    bytes: int = 0
    cpu_s: float = 0.0
    updates: int = 0
    refused: int = 0

    @property
    def p99(self) -> float:
        """The seconds that 99 of 100 updates did not exceed; one that never came counts as endless."""
        return quantile(sorted(self.late), 0.99) if self.late else math.inf


def state(seq: int) -> dict[str, Any]:
    """The board of one beat: every value another one, six of them with a line of their last values."""
    at = time.time()
    kpis = {
        f"value_{n}|town": {
            "kpi": f"value_{n}", "area": "town", "value": value(n, at), "unit": "pct", "status": "good",
            "as_of": datetime.now(UTC).isoformat(),
            "spark": [value(n, at - EVERY_S * p) for p in range(LINE if n < CHARTS else 0)],
        }
        for n in range(VALUES)
    }  # fmt: skip
    empty: dict[str, Any] = {"feeds": {}, "assets": {}, "alarms": [], "jobs": [], "ledger": {}, "town": {}}
    return {**empty, "seq": seq, "built_at": datetime.now(UTC).isoformat(), "build": "benchmark", "kpis": kpis}


@dataclass
class Viewer:
    """One stream: what is not read to its end yet, and the number of the board that it shows."""

    waits: bytes = b""
    begun: bool = False
    shown: int = 0


class Watching:
    """Thousands of streams on one selector."""

    def __init__(self, port: int, viewers: int) -> None:
        self.selector, self.came = selectors.EpollSelector(), []
        self.bytes = self.refused = 0
        self.known: dict[bytes, int] = {}
        for _ in range(viewers):
            sock = socket.create_connection(("127.0.0.1", port), timeout=30)
            sock.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n")
            sock.setblocking(False)
            self.selector.register(sock, selectors.EVENT_READ, Viewer())

    def watch(self, until: float) -> None:
        """Take what comes; `came` then tells who had which board when."""
        while (left := until - time.monotonic()) > 0:
            for key, _ in self.selector.select(min(left, 0.5)):
                self._take(key.fileobj, key.data)

    def _take(self, sock: Any, viewer: Viewer) -> None:
        try:
            got = sock.recv(1 << 18)
        except BlockingIOError:
            return
        if not got:
            self.selector.unregister(sock)
            self.refused += 1
            return
        self.bytes += len(got)
        viewer.waits += got
        if not viewer.begun:
            head, found, rest = viewer.waits.partition(b"\r\n\r\n")
            if not found:
                return
            viewer.begun, viewer.waits = True, rest
            self.refused += b" 200 " not in head.split(b"\r\n")[0]
        self._chunks(viewer, time.monotonic())

    def _chunks(self, viewer: Viewer, now: float) -> None:
        while True:
            size, found, rest = viewer.waits.partition(b"\r\n")
            length = int(size, 16) if found else 0
            if not found or len(rest) < length + 2:
                return
            chunk, viewer.waits = rest[:length], rest[length + 2 :]
            if chunk not in self.known:
                # Each event refers to nothing before it, so a few bytes tell all viewers' copies of it.
                raw = zlib.decompressobj(-15).decompress(chunk.removeprefix(GZIP_STREAM_HEAD))
                numbers = SEQ.findall(raw)
                self.known[chunk] = int(numbers[-1]) if numbers else 0
            seq = self.known[chunk]
            if seq > viewer.shown:
                self.came.append((viewer.shown, seq, now))
                viewer.shown = seq


def stream_viewers(
    port: int, viewers: int, seconds: float, ready: Any
) -> tuple[list[tuple[int, int, float]], int, int]:
    """The load generator, in a process of its own: (shown before, now shown, when), bytes, refused."""
    watching = Watching(port, viewers)
    watching.watch(time.monotonic() + AROUND_S)
    watching.bytes, _ = 0, ready.set()
    watching.watch(time.monotonic() + seconds + AROUND_S)
    return watching.came, watching.bytes, watching.refused


def townboard(port: int, pid: int, board: Path, viewers: int, beats: int, first: int) -> Seen:
    """One round of the stream."""
    spawn = multiprocessing.get_context("spawn")
    before, published = state(first), {}
    Snapshot.build(before).write(board)
    with spawn.Manager() as manager, spawn.Pool(1) as pool:
        ready = manager.Event()
        watching = pool.apply_async(stream_viewers, (port, viewers, beats * EVERY_S, ready))
        if not ready.wait(90):
            watching.get(1)
        began = cpu_s(pid)
        for beat in range(1, beats + 1):
            after = state(first + beat)
            snapshot, published[first + beat] = Snapshot.build(after, before), time.monotonic()
            snapshot.write(board)
            before = after
            time.sleep(EVERY_S)
        spent = cpu_s(pid) - began
        came, size, refused = watching.get(60)
    late = [at - published[seq] for was, now, at in came for seq in range(max(was, first) + 1, now + 1)]
    missing = viewers * beats - len(late)
    return Seen(late + [math.inf] * missing, size, spent, viewers * beats, refused)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """One request of a tick; gives the bytes of its answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: (\d+)", head)
    if found is None or b" 200 " not in head.split(b"\r\n")[0]:
        raise ConnectionError(head[:80])
    length = int(found[1])
    await reader.readexactly(length)
    return len(head) + length


def _requests() -> list[bytes]:
    """What the browser posts at a tick: one call for the values, one for each chart."""
    made = []
    for output in OUTPUTS:
        many = output.startswith("..")
        parts = [name.split(".") for name in (output.strip(".").split("...") if many else [output])]
        outputs = [{"id": id, "property": name} for id, name in parts]
        tick = {"id": "beat", "property": "n_intervals", "value": 1}
        body = orjson.dumps({
            "output": output, "outputs": outputs if many else outputs[0], "inputs": [tick],
            "changedPropIds": ["beat.n_intervals"],
        })  # fmt: skip
        head = "POST /_dash-update-component HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        made.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


def polling_viewers(port: int, viewers: int, seconds: float) -> tuple[list[float], int]:
    """Viewers of the ordinary app: seconds from each tick until all is there, and bytes. Beats that a viewer is too
    late for count as endless."""
    late: list[float] = []
    size, requests = 0, _requests()

    async def view(number: int, begin: float) -> None:
        nonlocal size
        due = begin + number / viewers * EVERY_S
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
            while due < begin + seconds:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                for request in requests:
                    size += await _ask(reader, writer, request)
                late.append(time.monotonic() - due)
                due += EVERY_S
            writer.close()

    async def all_of_them() -> None:
        begin = time.monotonic() + 1.0
        views = [asyncio.create_task(view(number, begin)) for number in range(viewers)]
        await asyncio.wait(views, timeout=seconds + 6)
        for one in views:
            one.cancel()

    asyncio.run(all_of_them())
    return late + [math.inf] * (viewers * int(seconds / EVERY_S) - len(late)), size


def ordinary(port: int, pid: int, viewers: int, beats: int) -> Seen:
    """One round of the ordinary app."""
    began = cpu_s(pid)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        late, size = pool.apply(polling_viewers, (port, viewers, beats * EVERY_S))
    return Seen(late, size, cpu_s(pid) - began, max(1, sum(map(math.isfinite, late))))


def streamlit(python: str, port: int, pid: int, viewers: int, beats: int) -> Seen:
    """One round of Streamlit; its viewers are run by its own Python."""
    began, seconds = cpu_s(pid), beats * EVERY_S
    command = [python, "benchmarks/peer_streamlit.py", str(port), str(viewers), str(seconds)]
    told = orjson.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    late = told["late"] + [math.inf] * (viewers * beats - len(told["late"]))
    return Seen(late, told["bytes"], cpu_s(pid) - began, max(1, len(told["late"])))


def answering(command: list[str], port: int, python: str = sys.executable) -> subprocess.Popen[bytes]:
    """The process, once it takes connections."""
    process = subprocess.Popen([python, *command], cwd=ROOT)
    for _ in range(300):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            time.sleep(0.5)
            return process
        time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"{command[0]} did not begin to answer within half a minute")


def most(ladder: Mapping[int, Seen]) -> int:
    """The most viewers whose p99 stayed under the limit."""
    return max((viewers for viewers, seen in ladder.items() if seen.p99 < LIMIT_S), default=0)


def row(name: str, viewers: int, seen: Seen) -> str:
    """One line of the report."""
    return (
        f"  {name:<12}{viewers:>7,}{seen.p99:>9.2f}{statistics.median(seen.late):>9.2f}"
        f"{1e3 * seen.cpu_s / seen.updates:>12.3f}{seen.bytes / seen.updates:>12,.0f}"
        + (f"   {seen.refused} refused" if seen.refused else "")
    )


def main() -> None:
    """All of them, and what lies between them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.viewers")
    parser.add_argument("--viewers", type=int, nargs="+", default=[8000], help="on the stream (default: 8000)")
    parser.add_argument("--polling", type=int, nargs="*", default=[50, 100, 150], help="of the ordinary app")
    parser.add_argument("--streamlit", metavar="PYTHON", help="a Python that has Streamlit (peer_streamlit.py)")
    parser.add_argument("--rerunning", type=int, nargs="*", default=[2, 5, 10], help="viewers of Streamlit")
    parser.add_argument("--beats", type=int, default=4, help="of two seconds each (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; {VALUES} values, {CHARTS} charts, {EVERY_S:g} s")
    print(f"  {'':<12}{'viewers':>7}{'p99 s':>9}{'p50 s':>9}{'CPU ms':>12}{'bytes':>12}   of an update", flush=True)
    conclude(ours(given), beside(given))


def ours(given: argparse.Namespace) -> dict[int, Seen]:
    """Townboard's web process with so many viewers, round by round; of several rounds the worst."""
    streamed: dict[int, Seen] = {}
    with tempfile.TemporaryDirectory(prefix="townboard-viewers-") as place:
        folder, port = Path(place) / "town", free_port()
        town(folder)
        with (folder / "town.toml").open("a") as settings:
            settings.write(ACCESS)
        board = folder / "store" / "run" / "board"
        web = answering(["app.py", "--town", str(folder), "web", "--port", str(port)], port)
        try:
            for number, viewers in enumerate(one for one in given.viewers for _ in range(given.rounds)):
                seen = townboard(port, web.pid, board, viewers, given.beats, int(time.time() * 10) + 1000 * number)
                streamed[viewers] = max(seen, streamed.get(viewers, seen), key=lambda one: one.p99)
                print(row("Townboard", viewers, seen), flush=True)
        finally:
            web.send_signal(signal.SIGTERM)
            web.wait(15)
    return streamed


def beside(given: argparse.Namespace) -> dict[str, dict[int, Seen]]:
    """The peers that are installed."""
    port, own = free_port(), free_port()
    app = answering(["-m", "benchmarks.peer_dash", "--port", str(port)], port)
    peers = {"Dash": ladder("Dash", app, given.polling, lambda pid, n: ordinary(port, pid, n, given.beats))}
    if not (given.streamlit and Path(given.streamlit).exists()):
        print("Streamlit is not measured: it is not installed (benchmarks/peer_streamlit.py tells how).")
        return peers
    command = ["-m", "streamlit", "run", "benchmarks/peer_streamlit.py", "--server.port", str(own)]
    quiet = ["--server.headless", "true", "--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none"]
    app = answering([*command, *quiet], own, given.streamlit)
    # Its first viewer has it read its libraries.
    streamlit(given.streamlit, own, app.pid, 1, 1)
    look = partial(streamlit, given.streamlit, own, beats=given.beats)
    return peers | {"Streamlit": ladder("Streamlit", app, given.rerunning, look)}


def ladder(
    name: str, app: subprocess.Popen[bytes], viewers: list[int], look: Callable[[int, int], Seen]
) -> dict[int, Seen]:
    """A peer with more and more viewers, until it does not keep up."""
    seen: dict[int, Seen] = {}
    try:
        for number in viewers:
            seen[number] = look(app.pid, number)
            print(row(name, number, seen[number]), flush=True)
            if seen[number].p99 > LIMIT_S:
                break
    finally:
        app.send_signal(signal.SIGTERM)
        app.wait(15)
    return seen


def conclude(streamed: Mapping[int, Seen], peers: Mapping[str, Mapping[int, Seen]]) -> None:
    """The ratios, and whether the aim was reached."""
    ours = streamed[max(streamed)]
    for name, rungs in peers.items():
        # By as many viewers as it keeps up with, else by the fewest.
        theirs = rungs[most(rungs) or min(rungs)]
        print(
            f"viewers under {LIMIT_S:g} s: {most(streamed):,} against {most(rungs):,} of {name}; an update takes "
            f"{ours.cpu_s / ours.updates / (theirs.cpu_s / theirs.updates):.4f} of its processor time and "
            f"{ours.bytes / ours.updates / (theirs.bytes / theirs.updates):.3f} of its bytes"
        )
    print(f"p99 of {max(streamed):,} viewers is {ours.p99 / LIMIT_S:.2f} of the second that it may take")


if __name__ == "__main__":
    main()
