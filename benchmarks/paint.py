"""First paint in Chromium, cold and warm, on slow lines, beside an ordinary Dash app; and 200 cold visitors at once.

The board (`app.py serve`) of the demo town without its simulator; the ordinary app is benchmarks/peer_dash.py. Times
are in seconds from the start of the navigation, taken in the page of a phone whose processor is slowed four times:

- figures: the first figure in view is painted (in the page, and after the first contentful paint);
- picture: the chart that is gone to stands as the server drew it, with its axes; the reader goes there at once;
- chart: the same chart is drawn by Plotly and answers a pointer;
- ready: the board's scripts have taken the page over.

`shift` is the layout shift of the whole load, with nobody scrolling, which must be none.
"""

import argparse
import asyncio
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.glass import serve, town
from benchmarks.machine import free_port
from benchmarks.viewers import answering

CHROMIUM = "/usr/bin/chromium"
# Kilobit a second, latency in milliseconds, how many times slower the processor.
LINES = {"400 kbit/s": (400, 400, 4), "1.6 Mbit/s": (1600, 150, 4), "no limit": (None, 0, 1)}
DOMAINS = ("/water", "/energy", "/transport", "/pollution", "/grievances")
PAGES = ("/", *DOMAINS, "/alarms", "/feeds", "/council", "/wall", "/public")
QUICK = ("/", "/water", "/alarms", "/public")
TIMES = ("paint", "figures", "picture", "chart", "ready")
FIGURE_S, CHARTS_S, WARM_S, PUBLIC_S, STORM_S, SHIFT, VISITORS = 1.0, 8.0, 3.0, 1.0, 2.0, 0.01, 200
PATIENCE_S = 45.0
Line = tuple[int | None, int, int]
WATCH = Path(__file__).with_name("paint_watch.js").read_text("utf-8")


@dataclass(frozen=True)
class Load:
    """One load of a page; what it has none of is None, what did not come in time is infinite."""

    times: dict[str, float | None]
    bytes: int
    requests: int
    shift: float


def load(context: BrowserContext, url: str, line: Line, watch: str = WATCH) -> Load:
    """Open a page over such a line and wait until all of it is there."""
    page, sizes = context.new_page(), []
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    slowed(wire, line)
    page.add_init_script(watch)
    page.goto(url, wait_until="commit")
    until, seen = time.monotonic() + PATIENCE_S, {}
    while not seen.get("done") and time.monotonic() < until:
        page.wait_for_timeout(150)
        seen = page.evaluate("window.__seen || {}")
    page.close()
    return Load(times(seen), sum(sizes), sum(size > 0 for size in sizes), float(seen.get("shift", 0.0)))


def slowed(wire: Any, line: Line) -> None:
    """The line and the processor of a phone."""
    rate, latency_ms, slower = line
    if rate is not None:
        through = rate * 1000 / 8
        wire.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": latency_ms, "downloadThroughput": through, "uploadThroughput": through},
        )
    wire.send("Emulation.setCPUThrottlingRate", {"rate": slower})


def times(seen: dict[str, Any]) -> dict[str, float | None]:
    """Seconds until each thing stood."""
    has_chart, found = bool(seen.get("charts")), {}
    for name in TIMES:
        missing = float("inf") if has_chart or name not in ("picture", "chart") else None
        found[name] = seen[name] / 1000 if name in seen else missing
    return found


def visits(browser: Browser, url: str, line: Line, rounds: int) -> tuple[list[Load], list[Load]]:
    """Cold and warm loads."""
    cold, warm = [], []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 390, "height": 844}, bypass_csp=True)
        cold.append(load(context, url, line))
        warm.append(load(context, url, line))
        context.close()
    return cold, warm


def still(browser: Browser, url: str) -> float:
    """The layout shift of a cold load that nobody touches."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, bypass_csp=True)
    shift = load(context, url, LINES["1.6 Mbit/s"], f"window.__stays = true;{WATCH}").shift
    context.close()
    return shift


def middle(loads: Sequence[Load], what: str) -> float | None:
    """The median of one time; None where the page has no such thing."""
    values = [value for one in loads if (value := one.times[what]) is not None]
    return statistics.median(values) if values else None


def cell(loads: Sequence[Load], what: str) -> str:
    """The median with its spread where there were several loads."""
    median = middle(loads, what)
    values = [value for one in loads if (value := one.times[what]) is not None]
    if median is None:
        return "-"
    return f"{median:.2f}" + (f" ({min(values):.2f}-{max(values):.2f})" if len(values) > 1 else "")


def row(name: str, when: str, loads: Sequence[Load]) -> str:
    """One line of the report."""
    size = statistics.median(one.bytes for one in loads) / 1000
    asked = statistics.median(one.requests for one in loads)
    cells = "".join(f"{cell(loads, what):>19}" for what in TIMES)
    return f"  {name:<14}{when:<5}{cells}{size:>8,.0f} kB{asked:>5.0f}"


def judged(name: str, line: str, cold: Sequence[Load], warm: Sequence[Load]) -> list[str]:
    """What of a page is over its limit on this line, in words."""
    said = []
    if line == "400 kbit/s":
        said += over(f"{name} figures, cold", middle(cold, "figures"), PUBLIC_S if name == "/public" else FIGURE_S)
    if line == "1.6 Mbit/s":
        said += over(f"{name} chart, cold", middle(cold, "chart"), CHARTS_S)
        said += over(f"{name} chart, warm", middle(warm, "chart"), WARM_S)
    if name == "/public":
        said += over(f"{name} whole, cold, {line}", middle(cold, "ready"), PUBLIC_S)
    return said


def over(what: str, found: float | None, limit: float) -> list[str]:
    """A sentence where a time is over its limit."""
    return [f"{what}: {found:.2f} s, limit {limit:g} s"] if found is not None and found >= limit else []


async def storm(url: str) -> tuple[float, int]:
    """So many visitors at once, each with the page and all that it names; seconds until the last has all, and bytes."""
    parts = urlsplit(url)
    head = f"Host: {parts.netloc}\r\nAccept-Encoding: gzip\r\nAccept-Language: en\r\n\r\n"
    named = _named(url)

    async def visit() -> int:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 24)
        size = 0
        for path in named:
            writer.write(f"GET {path} HTTP/1.1\r\n{head}".encode())
            size += await _answer(reader)
        writer.close()
        return size

    began = time.monotonic()
    sizes = await asyncio.gather(*(visit() for _ in range(VISITORS)))
    return time.monotonic() - began, sum(sizes)


def _named(url: str) -> list[str]:
    """What a browser asks for with this page: itself, what it names, and what Dash's scripts ask first."""
    with urlopen(url) as page:
        text = page.read().decode()
    names = dict.fromkeys(re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css)[^"]*)"', text))
    return [urlsplit(url).path, *names, "/_dash-layout", "/_dash-dependencies"]


async def _answer(reader: asyncio.StreamReader) -> int:
    """Take one whole answer; gives its bytes."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ConnectionError(head.split(b"\r\n")[0])
    found, size = re.search(rb"(?i)content-length: (\d+)", head), len(head)
    if found:
        return size + len(await reader.readexactly(int(found[1])))
    while length := int(await reader.readline(), 16):
        size += len(await reader.readexactly(length + 2))
    await reader.readline()
    return size


@contextmanager
def both() -> Iterator[tuple[str, str]]:
    """The addresses of the board and of the ordinary app."""
    with tempfile.TemporaryDirectory(prefix="townboard-paint-") as place:
        ours, theirs = free_port(), free_port()
        folder = Path(place) / "town"
        town(folder)
        with (folder / "town.toml").open("a") as settings:
            settings.write("\n[access]\nrequests_per_minute = 1000000\n")
        started: list[subprocess.Popen[bytes]] = []
        try:
            started.append(serve(folder, ours))
            started.append(answering(["-m", "benchmarks.peer_dash", "--port", str(theirs)], theirs))
            time.sleep(3)
            yield f"http://127.0.0.1:{ours}", f"http://127.0.0.1:{theirs}"
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
            for process in started:
                process.wait(15)


def paints(given: argparse.Namespace, ours: str, theirs: str) -> list[str]:
    """Every page over every line, the ordinary app last; gives what is over its limit."""
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in given.lines:
            print(f"{name}\n  {'':<19}" + "".join(f"{what:>19}" for what in TIMES) + f"{'bytes':>11}{'asked':>5}")
            for path in given.pages:
                cold, warm = visits(browser, ours + path, LINES[name], given.rounds)
                print(row(path, "cold", cold), row(path, "warm", warm), sep="\n", flush=True)
                faults += judged(path, name, cold, warm)
            if not given.no_peer:
                cold, warm = visits(browser, f"{theirs}/", LINES[name], 1)
                print(row("ordinary Dash", "cold", cold), row("ordinary Dash", "warm", warm), sep="\n", flush=True)
        for path in given.pages if not given.no_shift else ():
            shift = still(browser, ours + path)
            print(f"  {path:<14}layout shift {shift:.4f}", flush=True)
            faults += [f"{path}: layout shift {shift:.4f}, limit {SHIFT}"] if shift > SHIFT else []
        browser.close()
    return faults


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paint")
    parser.add_argument("--pages", nargs="+", default=list(PAGES))
    parser.add_argument("--lines", nargs="+", default=["400 kbit/s", "1.6 Mbit/s"], choices=list(LINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help=f"one round of {', '.join(QUICK)}, without the crowd")
    parser.add_argument("--no-peer", action="store_true", help="without the ordinary app")
    parser.add_argument("--no-storm", action="store_true", help="without the crowd")
    parser.add_argument("--no-shift", action="store_true", help="without a look at the layout shift")
    given = parser.parse_args()
    if given.quick:
        given.pages, given.rounds, given.no_storm = list(QUICK), 1, True
    return given


def main() -> None:
    """Every page over every line, then the crowd, then what is over its limit."""
    given = arguments()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; medians of {given.rounds} (smallest-largest), seconds"
    )
    with both() as (ours, theirs):
        faults = paints(given, ours, theirs)
        for name, url in (("board", f"{ours}/"), ("ordinary Dash", f"{theirs}/")) if not given.no_storm else ():
            lasted, size = asyncio.run(storm(url))
            print(f"  {VISITORS} cold visitors at once, {name}: {lasted:.2f} s, {size / VISITORS / 1000:,.0f} kB each")
            faults += over(f"{VISITORS} visitors", lasted, STORM_S) if name == "board" else []
    print(
        f"limits: figures {FIGURE_S:g} s at 400 kbit/s, charts {CHARTS_S:g} s cold, {WARM_S:g} s warm at 1.6 Mbit/s, "
        f"/public {PUBLIC_S:g} s whole, layout shift {SHIFT}, the crowd {STORM_S:g} s"
    )
    print("all within their limits" if not faults else "over: " + "; ".join(faults))


if __name__ == "__main__":
    main()
