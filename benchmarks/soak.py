"""Screens that nobody touches for a day, in Chromium, on the demo town: what leaks, and whether they ever say that they
are live when they are not.

Every so often the page's heap (garbage collected first), nodes, listeners and the memory of every process are noted.
Once an hour the line stands still for a while, then the web process: the pages must say so, and heal.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.machine import family, free_port, share
from benchmarks.soaked import Ledger, Look, Screen, falsely_live, row
from pipelines.engine.snapshot import Board

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
PAGES = ("/wall", "/water")
LOOK_S, EVERY_MIN = 2.0, 2.0
# The line is missed after half a minute, the web process after ten seconds; both heal within a minute.
STANDSTILLS = (("line", 45.0), ("web", 20.0))
FIRST_STANDSTILL_MIN, HEALS_S = 25.0, 60.0
# Longer than anybody may hold this process; a page that does not answer then has stopped.
PATIENCE_S = 300
NAMES = {"line": "line", "web": "web", "pages": "pages", "compact": "compact", "demo": "supervisor"}
LONG_TASKS = """window.__long = {n: 0, most: 0};
new PerformanceObserver((list) => list.getEntries().forEach((task) => {
  window.__long.n += 1;
  window.__long.most = Math.max(window.__long.most, task.duration);
})).observe({type: 'longtask'});"""
PROBE = """() => {
  const badge = document.querySelector('.live'), dead = document.documentElement.classList.contains('is-not-live');
  const built = Date.parse(window.townboard?.state?.built_at) / 1000 || 0;
  return {live: badge?.dataset.mode === 'live' && !dead, built, since: performance.timeOrigin};
}"""


@dataclass
class Open:
    """One page that stays open."""

    path: str
    page: Page
    wire: Any
    live: bool = False
    since: float = 0.0
    suspected: int = 0
    busy_s: float = 0.0
    crashed: list[str] = field(default_factory=list)

    def screen(self) -> Screen:
        """Its figures now."""
        for _ in range(2):
            self.wire.send("HeapProfiler.collectGarbage")
        told = {one["name"]: one["value"] for one in self.wire.send("Performance.getMetrics")["metrics"]}
        long = self.page.evaluate(
            "(() => { const seen = window.__long; window.__long = {n: 0, most: 0}; return seen; })()"
        )
        busy_s, self.busy_s = told["TaskDuration"] - self.busy_s, told["TaskDuration"]
        return Screen(
            told["JSHeapUsedSize"] / 1e6, int(told["Nodes"]), int(told["JSEventListeners"]), busy_s, long["n"],
            long["most"],
        )  # fmt: skip


class Soak:
    """Pages and processes under watch."""

    def __init__(self, board: Path, pages: list[Open]) -> None:
        self.ledger, self._pages, self._board = Ledger(), pages, Board(board)
        self._began = self._seen_at = time.monotonic()
        self._absences, self.goes_on = 0, True
        signal.signal(signal.SIGALRM, self._stuck)
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, self._end)

    def _end(self, *_: object) -> None:
        self.goes_on = False

    def _stuck(self, *_: object) -> None:
        raise TimeoutError(f"a page did not answer for {PATIENCE_S} s")

    @property
    def minute(self) -> float:
        """Minutes since the start."""
        return (time.monotonic() - self._began) / 60

    def watch(self, seconds: float) -> None:
        """Look again and again whether what the pages say of themselves is true."""
        until = time.monotonic() + seconds
        while self.goes_on and time.monotonic() < until:
            signal.alarm(PATIENCE_S)
            # Whoever stood still himself cannot tell who else did.
            awake = time.monotonic() - self._seen_at < 3 * LOOK_S
            self._absences += not awake
            self._seen_at = time.monotonic()
            newest = self._board.look()
            for one in self._pages:
                self._judge(one, newest.built_us / 1e6 if newest else 0.0, awake=awake)
            self._pages[0].page.wait_for_timeout(1000 * LOOK_S)

    def _judge(self, one: Open, newest: float, *, awake: bool) -> None:
        told = one.page.evaluate(PROBE)
        one.live = told["live"]
        if one.since and told["since"] != one.since:
            self._say(f"{one.path} was loaded again")
        one.since = told["since"]
        why = falsely_live(told["built"], newest, time.time()) if one.live and awake else None
        one.suspected = one.suspected + 1 if why else 0
        # Its own clock ticks once a second, and a look may come just before.
        if one.suspected == 2:
            self._wrong(f"{one.path} {why}")
        while one.crashed:
            self._wrong(f"{one.path}: {one.crashed.pop()}")

    def look(self) -> None:
        """One line of the ledger."""
        screens = {one.path: one.screen() for one in self._pages}
        self.ledger.looks.append(Look(self.minute, screens, processes()))
        print(row(self.ledger.looks[-1]), flush=True)

    def stand_still(self, name: str, seconds: float) -> None:
        """Stop a process for a while: every page has to say so by then, and to heal afterwards."""
        pids = [pid for pid in family(os.getpid()) if name_of(pid) == name]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self._seen_at, before = time.monotonic(), self._absences
        try:
            self.watch(seconds)
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        still = [one.path for one in self._pages if one.live]
        # When all stood still meanwhile, whoever set it going again set this process going too.
        if still and self._absences == before:
            self._wrong(f"{', '.join(still)} said Live although the {name} had stood still for {seconds:.0f} s")
        self._heal(name)

    def _heal(self, name: str) -> None:
        began = time.monotonic()
        while not all(one.live for one in self._pages) and time.monotonic() - began < HEALS_S:
            self.watch(LOOK_S)
        took = time.monotonic() - began
        self._say(f"the {name} stood still and came back; all pages live again after {took:.0f} s")
        if not all(one.live for one in self._pages):
            self._wrong(f"{HEALS_S:.0f} s after the {name} had come back not every page was live")

    def _wrong(self, words: str) -> None:
        self.ledger.wrong.append(f"{words} (minute {self.minute:.1f})")
        self._say(f"WRONG: {words}")

    def _say(self, words: str) -> None:
        print(f"{self.minute:7.1f} min  {words}", flush=True)


def name_of(pid: int) -> str:
    """What a process of this run is."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return ""
    if any("chromium" in word for word in words[:1]):
        return "browser"
    if any(word.endswith("app.py") for word in words):
        return next((name for word, name in NAMES.items() if word in words), "")
    return "simulator" if "pipelines.demo" in words else "broker" if "mosquitto" in words[0] else ""


def processes() -> dict[str, float]:
    """MB of every process of the town and of the browser, by name."""
    found: dict[str, float] = {}
    for pid in family(os.getpid()):
        if name := name_of(pid):
            found[name] = found.get(name, 0.0) + share(pid) / 1e6
    return found


@contextmanager
def demo(port: int) -> Iterator[Path]:
    """A demo town that runs; gives its folder."""
    with tempfile.TemporaryDirectory(prefix="townboard-soak-") as place:
        folder = Path(place) / "town"
        command = [sys.executable, str(ROOT / "app.py"), "--town", str(folder), "demo", "--port", str(port)]
        town = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield folder
        finally:
            town.send_signal(signal.SIGTERM)
            town.wait(60)


def open_page(browser: Browser, address: str, path: str, patience_s: float = 300.0) -> Open:
    """A page in a process of its own, once it is live."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    page = context.new_page()
    page.add_init_script(LONG_TASKS)
    wire = context.new_cdp_session(page)
    # Time that the thread worked, whoever else had the processor meanwhile.
    wire.send("Performance.enable", {"timeDomain": "threadTicks"})
    until = time.monotonic() + patience_s
    while True:
        try:
            page.goto(address + path)
            page.wait_for_selector(".live[data-mode=live]", timeout=30_000)
            break
        except Exception:
            if time.monotonic() > until:
                raise
            page.wait_for_timeout(1000)
    opened = Open(path, page, wire)
    page.on("pageerror", lambda error: opened.crashed.append(f"an error in the page: {error}"))
    page.on("crash", lambda _: opened.crashed.append("the page crashed"))
    return opened


def run(soak: Soak, minutes: float, every_min: float, hourly: float) -> None:
    """All of it."""
    still_at, look_at = FIRST_STANDSTILL_MIN, 0.0
    while soak.goes_on and soak.minute < minutes:
        if soak.minute >= look_at:
            soak.look()
            look_at += every_min
        if hourly and soak.minute >= still_at:
            still_at += hourly
            for name, seconds in STANDSTILLS:
                soak.stand_still(name, seconds)
        soak.watch(LOOK_S)
    soak.look()


def main() -> None:
    """Start the town, open the pages, watch, judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="how long (default: a day)")
    parser.add_argument("--every", type=float, default=EVERY_MIN, help="minutes between looks (default: %(default)g)")
    parser.add_argument("--still-every", type=float, default=60.0, help="minutes between standstills, 0 for none")
    parser.add_argument("--pages", nargs="+", default=list(PAGES))
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    port = given.port or free_port()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; {given.minutes:g} minutes of {given.pages}", flush=True
    )
    with demo(port) as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        address = f"http://127.0.0.1:{port}"
        soak = Soak(folder / "store" / "run" / "board", [open_page(browser, address, path) for path in given.pages])
        run(soak, given.minutes, given.every, given.still_every)
        signal.alarm(0)
        browser.close()
    conclude(soak.ledger)


def conclude(ledger: Ledger) -> None:
    """What was found; the exit status tells it too."""
    faults = ledger.faults()
    print(
        "\n".join(f"RED: {words}" for words in faults)
        or "nothing leaked, and no page said that it is live when it was not"
    )
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
