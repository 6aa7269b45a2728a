"""Thirty days of history, and what settled water bills need, as payloads in the feeds' own formats."""

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import polars as pl

from pipelines.demo import ledgers, microgrid, outages, people, realtime, samples, timetable
from pipelines.demo.blocks import Block
from pipelines.demo.calendar import DAY_S, day_number, day_start, iso
from pipelines.demo.chance import Floats
from pipelines.demo.feeds import HEADINGS, PLAIN, aligned, as_sites, blocks, lateness, rows_csv
from pipelines.demo.incidents import World
from pipelines.demo.running import forget

Payload = tuple[str, bytes, str]
# Water bills are settled a month after the month they are for; what was put into the network then has to be known.
BILLS_SETTLE_DAYS = 30
DAYS_A_PAYLOAD = 10


def history(now: datetime, days: int = 30, seed: int = 7) -> Iterator[Payload]:
    """Feed, payload and format of everything that arrived in the `days` before `now`; timetable first, then by day."""
    world, end = World(seed), now.timestamp()
    yield "bus_timetable", timetable.gtfs_zip(seed, end), "gtfs_static"
    for name, made in ledgers.MONTHLY.items():
        yield name, rows_csv(made(seed, end)), "csv"
    yield from _inflow_since_the_last_bills(world, end, days)
    for payload in people.history(world, end, days):
        yield "complaints", payload, "open311_json"
    for day in range(int(day_number(end)) - days, int(day_number(end)) + 1):
        yield from _day(world, day, end)
        forget(world, day - 1)


def _inflow_since_the_last_bills(world: World, now: float, days: int) -> Iterator[Payload]:
    """What entered the metered areas from the start of the newest month whose bills are settled up to the history."""
    today = int(day_number(now))
    begin = max(first for first, after in ledgers.months(now) if after + BILLS_SETTLE_DAYS <= today)
    (inflow,) = (block for block in blocks(world.seed) if block.name == "inflow")
    for first in range(begin, today - days, DAYS_A_PAYLOAD):
        until = min(first + DAYS_A_PAYLOAD, today - days)
        yield inflow.feed, *_written(inflow.feed, _frame(world, inflow, day_start(first), day_start(until), now))


def _day(world: World, day: int, now: float) -> Iterator[Payload]:
    start, end = day_start(day), min(day_start(day + 1), now)
    frames: dict[str, list[pl.DataFrame]] = {}
    for block in blocks(world.seed):
        if block.feed == "microgrid":
            t = aligned(start, end, block.every_s)
            if len(t):
                yield block.feed, as_sites(microgrid.ASSET, t.tolist(), block.at(world, t)), "json"
        else:
            frames.setdefault(block.feed, []).append(_frame(world, block, start, end, now))
    for feed, parts in frames.items():
        frame = pl.concat(parts)
        if frame.height:
            yield feed, *_written(feed, frame)
    for message in realtime.past_spans(world, start, end):
        yield "bus_trips", message, "gtfs_realtime"
    yield from _written_down(world.seed, day, now)
    # The utility exports the last week every day, so that its silence can be told from a week without cuts.
    cuts = outages.rows(world, start - 6 * DAY_S, end, now)
    if cuts:
        yield "outages", rows_csv(cuts), "csv"


def _written_down(seed: int, day: int, now: float) -> Iterator[Payload]:
    """The day's samples and reports that are due by now."""
    for name, made in samples.DAILY.items():
        if samples.due_at(name, day) <= now and (rows := made(seed, day)):
            yield name, rows_csv(rows), "csv"


def _frame(world: World, block: Block, start: float, end: float, now: float) -> pl.DataFrame:
    """Readings of a block, in order of time: only what has been sent by now."""
    t = aligned(start, end, block.every_s)
    values = block.at(world, t)
    sent = np.ones(values.shape, dtype=bool)
    if block.interval:
        sent = t[None, :] + block.every_s + lateness(world.seed, block)[:, None] <= now
    names = pl.Series("sensor", [s.sensor for s in block.series])
    units = pl.Series("unit", [s.unit for s in block.series])
    times = pl.Series("observed_at", [iso(x) for x in t.tolist()])
    column, row = np.nonzero(sent.T)
    picked = {
        "sensor": names.gather(row),
        "observed_at": times.gather(column),
        "value": _values(values, row, column),
        "unit": units.gather(row),
    }
    return pl.DataFrame(picked)


def _values(values: Floats, row: np.ndarray, column: np.ndarray) -> Floats:
    picked: Floats = values[row, column]
    return picked


def _written(feed: str, frame: pl.DataFrame) -> tuple[bytes, str]:
    if feed == "traffic":
        rows = frame.select("sensor", "observed_at", "value").write_json()
        return b'{"measurements":' + rows.encode() + b"}", "json"
    headings = HEADINGS.get(feed, PLAIN)
    chosen = frame.select(*PLAIN, "unit")[:, : len(headings)]
    chosen.columns = list(headings)
    return chosen.write_csv().encode(), "csv"
