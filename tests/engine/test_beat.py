"""A beat computes only what can have changed: what it leaves is what computing it again from the store gives."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.calendar import extent
from pipelines.engine.line import Line
from pipelines.engine.timed import FAR
from pipelines.engine.works import LONG_AGO, LONGEST_REST, Work
from tests.engine import small_town
from tests.engine.small_town import NOON, csv_of, send

SENSORS = ("D1.in", "P1.p", "P2.p", "T1.level", "T1.out")
HEAD = "service_request_id,status,service_name,service_code,agency_responsible,requested_datetime,closed_at,ward,state"
MINUTE = timedelta(minutes=1)
# (seconds until it comes, kind, which sensor or request, minutes ago, value or minutes until it was closed)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 30, 400, 4000]),
        st.sampled_from(["reading", "request", "nothing"]),
        st.integers(0, 4),
        st.integers(0, 3000),
        st.integers(1, 9),
    ),
    min_size=4,
    max_size=10,
)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    town = small_town.open_line(small_town.make(tmp_path_factory.mktemp("beats") / "town"), NOON)
    rows = [(sensor, NOON - 15 * n * MINUTE, 3 + n % 7) for sensor in SENSORS for n in range(200)]
    send(town, "network", csv_of(rows), NOON)
    small_town.beat(town, NOON)
    yield town
    town.close()


def land(line: Line, kind: str, which: int, ago: int, number: int, now: datetime) -> None:
    at = now - ago * MINUTE
    if kind == "reading":
        send(line, "network", csv_of([(SENSORS[which], at, number)]), now)
    elif kind == "request":
        closed = min(at + number * 60 * MINUTE, now)
        row = f"R{which},closed,No water,WATER,Water works,{at.isoformat()},{closed.isoformat()},W1,closed"
        send(line, "book", f"{HEAD}\n{row}\n".encode(), now)


def shown(work: Work) -> dict[tuple[datetime, str], tuple[object, ...]]:
    """What the function gave, and the value where the data carry one; coverage moves with the feeds between looks."""
    columns = ["window", "area", "numerator", "denominator", "value"]
    rounded = work.current.select(pl.col(columns[:2]), pl.col(columns[2:]).round_sig_figs(9))
    return {(window, area): tuple(rest) for window, area, *rest in rounded.iter_rows()}


@settings(max_examples=12)
@given(steps=STEPS)
def test_what_a_beat_does_not_compute_is_what_computing_it_would_give(
    line: Line, steps: list[tuple[int, str, int, int, int]]
) -> None:
    works, now = line.kpis.works, extent(line.store.rows("arrivals")["received_at"])[1] + MINUTE
    looked: dict[str, datetime] = {}
    for seconds, kind, which, ago, number in steps:
        now += timedelta(seconds=seconds)
        land(line, kind, which, ago, number, now)
        before = {key: work.looks for key, work in works.items()}
        line.kpis.evaluate(line.drain_touched(), now)
        looked |= {key: now for key, work in works.items() if work.looks > before[key]}
    # Those that rest for a while are seen to as well.
    now, before = now + LONGEST_REST, {key: work.looks for key, work in works.items()}
    line.kpis.evaluate({}, now)
    looked |= {key: now for key, work in works.items() if work.looks > before[key]}
    left = {key: shown(works[key]) for key in looked}
    line.inputs.use(line.series.numbers)
    for at in sorted(set(looked.values())):
        for key, work in works.items():
            work.fresh, work.next_at, work.rests_until = looked.get(key) == at, FAR, LONG_AGO
        line.kpis.evaluate({}, at)
        for key in (key for key in looked if looked[key] == at):
            assert shown(works[key]) == left[key], key
    for work in works.values():
        work.next_at = LONG_AGO
    assert not line.kpis.faults
