"""What a beat costs a page in Chromium: main-thread time without and with charts redrawn, and tasks that take too long.

The web process serves the demo town's board, which is published anew every second: with as many figures changed as the
largest beats of the running demo change, and with a new point in every chart in view. Beside it the ordinary Dash app
of benchmarks/peer_dash.py, which shows 20 values and 6 charts. Times are of the whole main thread (tasks of scripts,
style, layout and painting), less what the page's clock takes in the same time without a beat.
"""

import argparse
import os
import random
import signal
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.glass import town
from benchmarks.machine import free_port, quantile
from benchmarks.peer_dash import EVERY_S as PEER_S
from benchmarks.viewers import ACCESS, answering
from pipelines.engine.snapshot import Board, Snapshot

CHROMIUM = "/usr/bin/chromium"
PAGES = ("/", "/water", "/transport", "/wall")
PLAIN_MS, LONG_MS, EVERY_S, CHANGED = 10.0, 50.0, 1.0, 250
LONG_TASKS = """window.__long = [];
new PerformanceObserver((list) => window.__long.push(...list.getEntries().map((task) => task.duration)))
  .observe({type: 'longtask'});"""
CHARTS_IN_VIEW = """[...document.querySelectorAll('[data-chart]')].filter((box) => {
  const place = box.getBoundingClientRect();
  return box.querySelector('.js-plotly-plot') && place.width > 0 && place.bottom > 0 && place.top < innerHeight;
}).map((box) => box.dataset.chart)"""


class Town:
    """The published board, with other figures at every beat."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "store" / "run" / "board"
        last = Board(self._path).look()
        if last is None:
            raise RuntimeError("the town has no board")
        self._state: dict[str, Any] = last.state
        self._chance = random.Random(7)

    def quiet(self) -> None:
        """No beat."""

    def beat(self, *charts: str) -> None:
        """Publish other values; the figures of these charts have come to their next window."""
        now = datetime.now(UTC)
        kpis = dict(self._state["kpis"])
        for key in self._chance.sample(sorted(kpis), min(CHANGED, len(kpis))):
            kpis[key] = self._moved(kpis[key], now) if key not in charts else kpis[key]
        for key in charts:
            kpis[key] = _next_window(self._moved(kpis[key], now))
        state = {**self._state, "kpis": kpis, "built_at": now.isoformat(), "seq": self._state["seq"] + 1}
        Snapshot.build(state, self._state).write(self._path)
        self._state = state

    def _moved(self, row: dict[str, Any], now: datetime) -> dict[str, Any]:
        if row["value"] is None:
            return row
        value = round(row["value"] * self._chance.uniform(0.98, 1.02), 6)
        spark = [*row["spark"][1:], row["value"]] if row["spark"] else []
        return {**row, "value": value, "as_of": now.isoformat(), "spark": spark}


def _next_window(row: dict[str, Any]) -> dict[str, Any]:
    start, end = (datetime.fromisoformat(row[name]) for name in ("window_start", "window_end"))
    step = max(end - start, timedelta(minutes=15))
    return {**row, "window_start": (start + step).isoformat(), "window_end": (end + step).isoformat()}


@dataclass(frozen=True)
class Seen:
    """Milliseconds of main thread in each stretch of time, and the long tasks in all of them."""

    busy_ms: list[float]
    long_ms: list[float]

    def above(self, quiet: "Seen") -> list[float]:
        """What a beat takes beyond the same time without one."""
        idle = statistics.median(quiet.busy_ms)
        return [max(0.0, busy - idle) for busy in self.busy_ms]


class Watched:
    """A page that stands, with its main thread under watch."""

    def __init__(self, browser: Browser, url: str, ready: str) -> None:
        self.page: Page = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
        self.page.add_init_script(LONG_TASKS)
        self._wire = self.page.context.new_cdp_session(self.page)
        # Time that the thread worked, whoever else had the processor meanwhile.
        self._wire.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.goto(url)
        self.page.wait_for_selector(ready, state="attached", timeout=60_000)
        self.page.wait_for_timeout(6000)

    def during(self, act: Callable[[], None], times: int, seconds: float) -> Seen:
        """So many stretches of time, each begun with an act."""
        self.page.evaluate("() => { __long = []; }")
        busy = []
        for _ in range(times):
            before = self._busy_s()
            act()
            self.page.wait_for_timeout(seconds * 1000)
            busy.append(1000 * (self._busy_s() - before))
        return Seen(busy, self.page.evaluate("__long"))

    def _busy_s(self) -> float:
        told = self._wire.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in told if one["name"] == "TaskDuration"))


def ours(page: Watched, board: Town, beats: int) -> tuple[Seen, Seen, Seen, int]:
    """Quiet, beats without a chart, beats with a new point in every chart in view, and how many charts those are."""
    quiet = page.during(board.quiet, max(5, beats // 2), EVERY_S)
    plain = page.during(board.beat, beats, EVERY_S)
    page.page.evaluate("document.querySelector('[data-chart]')?.scrollIntoView()")
    page.page.wait_for_timeout(3000)
    charts = page.page.evaluate(CHARTS_IN_VIEW)
    drawn = page.during(lambda: board.beat(*charts), beats, EVERY_S) if charts else Seen([], [])
    return quiet, plain, drawn, len(charts)


def figure(values: Sequence[float]) -> str:
    """Median, and what nine of ten do not exceed."""
    if not values:
        return f"{'-':>18}"
    return f"{statistics.median(values):>8.1f} ({quantile(sorted(values), 0.9):>6.1f})"


def told(name: str, seen: tuple[Seen, Seen, Seen, int]) -> str:
    """One line of the report."""
    quiet, plain, drawn, charts = seen
    long = [*quiet.long_ms, *plain.long_ms, *drawn.long_ms]
    return (
        f"  {name:<12}{figure(quiet.busy_ms)}{figure(plain.above(quiet))}{figure(drawn.above(quiet))}{charts:>8}"
        f"{len(long):>8}{max(long, default=0.0):>8.0f}"
    )


def main() -> None:
    """Every page, then the ordinary app."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page_beat")
    parser.add_argument("--pages", nargs="+", default=list(PAGES))
    parser.add_argument("--beats", type=int, default=30, help="of each kind and page (default: %(default)s)")
    parser.add_argument("--no-peer", action="store_true", help="without the ordinary app")
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; ms of main thread, median (nine of ten)")
    print(f"  {'':<12}{'a quiet second':>17}{'beat':>17}{'beat with charts':>17}{'charts':>8}{'long':>8}{'worst':>8}")
    with tempfile.TemporaryDirectory(prefix="townboard-page-") as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = board_pages(browser, Path(place) / "town", given)
        theirs = None if given.no_peer else peer(browser, given.beats)
        browser.close()
    conclude(found, theirs)


def board_pages(browser: Browser, folder: Path, given: argparse.Namespace) -> dict[str, tuple[Seen, Seen, Seen, int]]:
    """Every page of the board."""
    found = {}
    town(folder)
    settings, port = folder / "town.toml", free_port()
    settings.write_text(settings.read_text("utf-8") + ACCESS, "utf-8")
    web = answering(["app.py", "--town", str(folder), "web", "--port", str(port)], port)
    try:
        board = Town(folder)
        for path in given.pages:
            board.beat()
            page = Watched(browser, f"http://127.0.0.1:{port}{path}", ".live[data-mode=live]")
            found[path] = ours(page, board, given.beats)
            page.page.context.close()
            print(told(path, found[path]), flush=True)
    finally:
        web.send_signal(signal.SIGTERM)
        web.wait(15)
    return found


def peer(browser: Browser, beats: int) -> Seen:
    """The ordinary app, which redraws all at every beat."""
    port = free_port()
    app = answering(["-m", "benchmarks.peer_dash", "--port", str(port)], port)
    try:
        page = Watched(browser, f"http://127.0.0.1:{port}/", ".js-plotly-plot .main-svg")
        seen = page.during(lambda: None, max(5, beats // 2), PEER_S)
        page.page.context.close()
    finally:
        app.send_signal(signal.SIGTERM)
        app.wait(15)
    print(
        f"  {'Dash':<12}{figure([]):>17}{figure([]):>17}{figure(seen.busy_ms)}{6:>8}{len(seen.long_ms):>8}"
        f"{max(seen.long_ms, default=0.0):>8.0f}"
    )
    return seen


def conclude(found: dict[str, tuple[Seen, Seen, Seen, int]], theirs: Seen | None) -> None:
    """The ratios, and what of the aims was reached."""
    plain = max(statistics.median(seen[1].above(seen[0])) for seen in found.values())
    long = sum(len(part.long_ms) for seen in found.values() for part in seen[:3])
    if theirs:
        dash = statistics.median(theirs.busy_ms)
        for path, (_, beat, drawn, charts) in found.items():
            shares = [("a beat", beat), (f"a beat with {charts} charts", drawn)]
            # Of neither is taken off what its page does in a second without a beat.
            words = " and ".join(
                f"{what} {statistics.median(one.busy_ms) / dash:.3f}" for what, one in shares if one.busy_ms
            )
            print(f"{path}: {words} of a beat of the ordinary app, the second around it counted on both sides")
    print(f"a beat without a chart: {plain:.1f} ms at most (limit {PLAIN_MS:g}); long tasks: {long} (limit none)")


if __name__ == "__main__":
    main()
