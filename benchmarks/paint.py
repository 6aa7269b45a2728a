"""First paint in Chromium, cold and warm, on slow lines, beside an ordinary Dash app; and 200 cold visitors at once.

The board (`app.py serve`) of the demo town without its simulator; the ordinary app is benchmarks/peer_dash.py. Times
are in seconds from the start of the navigation, taken in the page: first paint, the first figure, all charts in view.
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
PAGES = ("/", "/water", "/energy", "/transport", "/pollution", "/grievances")
FIGURE_S, CHARTS_S, WARM_S, PUBLIC_S, STORM_S, VISITORS = 1.0, 8.0, 3.0, 1.0, 2.0, 200
PATIENCE_S = 45.0
# Notes in the page when the first figure stands and when every chart in view is drawn. Figures of the ordinary app
# replace a dash; those of the board come with the page.
WATCH = """(() => {
  const seen = (window.__seen = {});
  const inView = (box) => box.top < innerHeight && box.bottom > 0 && box.width > 0;
  const look = () => {
    const now = performance.now();
    const value = document.querySelector('[data-f="value"], #value-0') || document.querySelector('main');
    if (!seen.figure && value && /[0-9]/.test(value.textContent)) seen.figure = now;
    const charts = [...document.querySelectorAll('.dash-graph, .chart-wait, .js-plotly-plot')]
      .filter((box) => inView(box.getBoundingClientRect()));
    const all = document.querySelectorAll('.dash-graph, .chart-wait');
    const drawn = (box) => box.querySelector('.main-svg') || box.closest('.js-plotly-plot')?.querySelector('.main-svg');
    if (!seen.charts && all.length && charts.every(drawn) && [...all].some(drawn)) seen.charts = now;
    if (!all.length && document.readyState === 'complete') seen.none = true;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""


@dataclass(frozen=True)
class Load:
    """One load of a page; `charts` is None where it has none."""

    paint: float
    figure: float
    charts: float | None
    bytes: int


def load(context: BrowserContext, url: str, line: tuple[int | None, int, int]) -> Load:
    """Open a page over such a line and wait until all of it is there."""
    rate, latency_ms, slower = line
    page = context.new_page()
    size = 0

    def finished(event: dict[str, Any]) -> None:
        nonlocal size
        size += int(event["encodedDataLength"])

    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.loadingFinished", finished)
    if rate is not None:
        through = rate * 1000 / 8
        wire.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": latency_ms, "downloadThroughput": through, "uploadThroughput": through},
        )
    wire.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    page.add_init_script(WATCH)
    page.goto(url, wait_until="commit")
    until = time.monotonic() + PATIENCE_S
    seen: dict[str, Any] = {}
    while time.monotonic() < until and not ("figure" in seen and ("charts" in seen or "none" in seen)):
        page.wait_for_timeout(100)
        seen = page.evaluate("window.__seen || {}")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null")
    page.close()
    never = float("inf")
    charts = None if "none" in seen and "charts" not in seen else seen.get("charts", never) / 1000
    return Load((painted or never) / 1000, seen.get("figure", never) / 1000, charts, size)


def visits(browser: Browser, url: str, line: tuple[int | None, int, int], rounds: int) -> tuple[list[Load], list[Load]]:
    """Cold and warm loads."""
    cold, warm = [], []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 390, "height": 844}, bypass_csp=True)
        cold.append(load(context, url, line))
        warm.append(load(context, url, line))
        context.close()
    return cold, warm


def middle(loads: Sequence[Load], what: str) -> str:
    """The median of one time, with its spread where there were several loads."""
    values = [getattr(one, what) for one in loads if getattr(one, what) is not None]
    if not values:
        return "-"
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{statistics.median(values):.2f}{spread}"


def row(name: str, line: str, when: str, loads: Sequence[Load]) -> str:
    """One line of the report."""
    size = statistics.median(one.bytes for one in loads) / 1000
    times = "".join(f"{middle(loads, what):>22}" for what in ("paint", "figure", "charts"))
    return f"  {name:<16}{line:<12}{when:<6}{times}{size:>9,.0f} kB"


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


def main() -> None:
    """Every page over every line, then the crowd."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paint")
    parser.add_argument("--pages", nargs="+", default=list(PAGES))
    parser.add_argument("--lines", nargs="+", default=list(LINES), choices=list(LINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="without the ordinary app")
    parser.add_argument("--no-storm", action="store_true", help="without the crowd")
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; medians of {given.rounds}, smallest to largest")
    print(f"  {'':<34}{'first paint':>22}{'figures':>22}{'charts':>22}{'bytes':>12}")
    with both() as (ours, theirs):
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name in given.lines:
                for path in [*given.pages, "/public"]:
                    told(path, name, *visits(browser, ours + path, LINES[name], given.rounds))
                if not given.no_peer:
                    told("ordinary Dash", name, *visits(browser, f"{theirs}/", LINES[name], 1))
            browser.close()
        for name, url in (("board", f"{ours}/"), ("ordinary Dash", f"{theirs}/")) if not given.no_storm else ():
            lasted, size = asyncio.run(storm(url))
            each = size / VISITORS / 1000
            print(f"  {VISITORS} cold visitors at once, {name}: {lasted:.2f} s, {each:,.0f} kB each")
    print(
        f"limits: figures {FIGURE_S:g} s at 400 kbit/s, charts {CHARTS_S:g} s at 1.6 Mbit/s, warm {WARM_S:g} s, "
        f"/public {PUBLIC_S:g} s, the crowd {STORM_S:g} s"
    )


def told(page: str, line: str, cold: Sequence[Load], warm: Sequence[Load]) -> None:
    """Print both kinds of visit."""
    print(row(page, line, "cold", cold), flush=True)
    print(row(page, line, "warm", warm), flush=True)


if __name__ == "__main__":
    main()
