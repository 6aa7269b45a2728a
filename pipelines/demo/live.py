"""The live town: every second, whatever is due is sent the way its feed sends it."""

import signal
import threading
import time
from pathlib import Path

from pipelines.demo import ledgers, outages, samples
from pipelines.demo.blocks import Block
from pipelines.demo.broker import TOPICS
from pipelines.demo.calendar import DAY_S, day_number, day_start
from pipelines.demo.due import Pace, missed, readings
from pipelines.demo.feeds import FEEDS, Reading, as_csv, blocks, rows_csv
from pipelines.demo.incidents import World, timeline
from pipelines.demo.misbehaviour import Gremlin, half, schedule, with_decimal_commas
from pipelines.demo.running import forget
from pipelines.demo.sending import Publisher, Pusher, drop
from pipelines.demo.server import Town, serve

TICK_S = 1.0
# How long readings are gathered before they leave together.
GATHER_S = {
    "water_telemetry": 3.0,
    "power_telemetry": 3.0,
    "water_meters": 45.0,
    "air_stations": 15.0,
    "noise_sites": 20.0,
}
CATCH_UP_S = 600.0
HALF_AGAIN_S = 45.0
# The utility's export comes every quarter of an hour, and at once when something happens.
OUTAGES_S, OUTAGES_BACK_S = 900, 7 * DAY_S


class Live:
    """The simulator's state: what was sent last, what is being gathered, what waits to be sent once more."""

    def __init__(
        self, town: Path, app: str, world: World, gremlin: Gremlin, start: float, *, since: float, speed: float
    ) -> None:
        self.town, self.world, self.gremlin, self.last = town, world, gremlin, start
        self.pusher = Pusher(app)
        self.senders: dict[str, Pusher | Publisher] = {
            feed: self.pusher for feed, told in FEEDS.items() if told["from"] == "http_push"
        }
        self.paces = [Pace(world.seed, b, speed) for b in blocks(world.seed) if b.feed in GATHER_S]
        self.units = {s.sensor: s.unit for p in self.paces for s in p.block.series}
        self.gathered: dict[str, list[Reading]] = {feed: [] for feed in GATHER_S}
        self.leaves = dict.fromkeys(GATHER_S, start)
        self.later: list[tuple[float, str, bytes]] = []
        for pace in self.paces:
            self.gathered[pace.block.feed] += missed(world, pace.block, pace, since, start)
        self._written_down(min(since, start - OUTAGES_S), start)

    def tick(self, now: float) -> None:
        """Send what became due since the last tick."""
        for pace in self.paces:
            which, at = pace.due(self.last, now)
            if len(which):
                self.gathered[pace.block.feed] += self._fresh(pace.block, which, at)
        for feed, pause in GATHER_S.items():
            if (
                now - self.leaves[feed] >= pause
                and self.gathered[feed]
                and not self.gremlin.raging("late_batch", feed, now)
            ):
                self.leaves[feed] = now
                batch, self.gathered[feed] = self.gathered[feed], []
                self._send(feed, batch, now)
        self._written_down(self.last, now)
        self._once_more(now)
        if int(day_number(now)) != int(day_number(self.last)):
            forget(self.world, int(day_number(now)) - 1)
        self.last = now

    def _fresh(self, block: Block, which, at) -> list[Reading]:  # type: ignore[no-untyped-def]
        return list(readings(self.world, block, (which, at)))

    def _send(self, feed: str, batch: list[Reading], now: float) -> None:
        batch = self.gremlin.garbled(feed, batch, now)
        if not batch:
            return
        if feed in self.senders:
            self.senders[feed].push(feed, batch)
            if self.gremlin.raging("duplicate_batch", feed, now):
                self.senders[feed].push(feed, batch)
            return
        payload = as_csv(feed, batch, self.units)
        if self.gremlin.raging("half_file", feed, now):
            self.later.append((now + HALF_AGAIN_S, feed, payload))
            payload = half(payload)
        elif self.gremlin.raging("decimal_commas", feed, now):
            payload = with_decimal_commas(payload)
        drop(self.town, feed, payload, now)

    def _once_more(self, now: float) -> None:
        """After half a file the sender notices and writes the whole one."""
        for entry in [entry for entry in self.later if entry[0] <= now]:
            self.later.remove(entry)
            drop(self.town, entry[1], entry[2], now)

    def _written_down(self, since: float, now: float) -> None:
        """Power cuts when they begin or end; the day's samples, reports and bills when they are due."""
        cuts = outages.rows(self.world, now - OUTAGES_BACK_S, now + TICK_S, now)
        if cuts and (outages.changes(self.world, since, now) or now // OUTAGES_S > since // OUTAGES_S):
            drop(self.town, "outages", rows_csv(cuts), now)
        for day in (int(day_number(now)) - 1, int(day_number(now))):
            for name, made in samples.DAILY.items():
                if since < samples.due_at(name, day) <= now and (rows := made(self.world.seed, day)):
                    drop(self.town, name, rows_csv(rows), now)
            if since < day_start(day) + 6.0 * 3600.0 <= now:
                drop(self.town, "water_bills", rows_csv(ledgers.MONTHLY["water_bills"](self.world.seed, now)), now)


def run(
    town: Path,
    app: str,
    port: int,
    *,
    seed: int = 7,
    speed: float = 1.0,
    since: float | None = None,
    broker: int | None = None,
) -> None:
    """Simulate until SIGTERM or SIGINT; history ended at `since`, or shortly before now."""
    start = float(int(time.time()))
    world = World(seed, timeline(start, seed, speed))
    gremlin = Gremlin(schedule(start, seed))
    server = serve(Town(world, gremlin), "127.0.0.1", port)
    live = Live(town, app, world, gremlin, start, since=since or start - CATCH_UP_S, speed=speed)
    if broker:
        live.senders |= dict.fromkeys(TOPICS, Publisher(broker))
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    while not stop.wait(TICK_S - time.time() % TICK_S):
        live.tick(float(int(time.time())))
    server.shutdown()
