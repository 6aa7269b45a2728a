"""The books balance at every moment, also while rows are counted, and after a restart."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.ledger import COUNTERS, OUTCOMES, added, total, unaccounted
from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, answering, asked
from tests.engine.small_town import csv_of, send
from tests.engine.test_api_metrics import samples

ARRIVAL = st.builds(
    lambda stored, duplicate, quarantined, share: {
        "decoded": stored + duplicate + quarantined, "stored": stored, "duplicate": duplicate,
        "corrected": stored * share // 4, "quarantined": quarantined,
    },
    *[st.integers(0, 10**6)] * 3, st.integers(0, 4),
)  # fmt: skip
NOTHING = dict.fromkeys((*COUNTERS, "payloads"), 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_town.make(tmp_path / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]'))


@given(feeds=st.lists(st.lists(ARRIVAL, max_size=5), max_size=4))
def test_sums_of_balanced_arrivals_balance(feeds: list[list[dict[str, int]]]) -> None:
    every = []
    for arrivals in feeds:
        counts = dict(NOTHING)
        for arrival in arrivals:
            before = dict(counts)
            assert added(counts, arrival)["payloads"] == counts["payloads"] + 1
            assert counts == before
            counts = added(counts, arrival)
        every.append(counts)
        assert unaccounted(counts) == 0
    sums = total(every)
    assert unaccounted(sums) == 0
    assert sums["decoded"] == sum(arrival["decoded"] for arrivals in feeds for arrival in arrivals)


def test_rows_that_are_missing_are_counted() -> None:
    assert unaccounted({"decoded": 10, "stored": 4, "duplicate": 3, "quarantined": 1}) == 2


def test_books_balance_at_every_moment_while_rows_are_counted(folder: Path) -> None:
    line = small_town.open_line(folder, NOW, frozenset())
    torn, end = [], threading.Event()

    def look() -> None:
        while not end.is_set():
            shown = line.feeds.shown(NOW)
            torn.extend(feed for feed in shown.values() if unaccounted(feed))
            torn.extend([line.feeds.ledger()] if unaccounted(line.feeds.ledger()) else [])

    looking = threading.Thread(target=look)
    looking.start()
    send(line, "network", csv_of([("P1.p", NOW, 5.0), ("nobody", NOW, 1.0)]), NOW)
    arrival = line.store.rows("arrivals").drop("received_at")
    for _ in range(200):
        line.feeds.count(arrival)
    end.set()
    looking.join()
    assert torn == []
    assert line.feeds.states["network"].counts["decoded"] == 2 * 201
    line.close()


def test_metrics_page_and_store_agree_and_survive_a_restart(folder: Path) -> None:
    line = small_town.open_line(folder, NOW, frozenset())
    rows = [("P1.p", NOW, 5.0), ("P1.p", NOW, 5.0), ("P2.p", NOW, 6.0), ("nobody", NOW, 1.0)]
    send(line, "network", csv_of(rows), NOW)
    send(line, "network", b"\x00\x01", NOW)
    small_town.beat(line, NOW)
    expected = {"received": 5, "stored": 2, "duplicate": 1, "quarantined": 2}

    def told() -> dict[str, float]:
        with asked(folder) as (ask, town):
            found = samples(ask.get("/metrics").text)
            board = town.board()
            assert board is not None
            page = board.state["feeds"]["network"]
            assert {name: page["decoded" if name == "received" else name] for name in expected} == expected
            return found

    with answering(line):
        found = told()
        assert (found["townboard_line_up"], found["townboard_queue_messages"]) == (1, 0)
        assert found["townboard_journal_seq"] == line.journal.seq
        assert found["townboard_disk_refusing"] == 0
    for name, number in expected.items():
        assert found[f'townboard_rows_total{{feed="network",outcome="{name}"}}'] == number
        assert found[f'townboard_ledger_rows_total{{outcome="{name}"}}'] == number
    assert found["townboard_ledger_unaccounted_rows"] == 0
    small_town.abandon(line)
    again = small_town.open_line(folder, NOW, frozenset())
    small_town.beat(again, NOW)
    after = told()
    assert after["townboard_line_up"] == 0
    assert {name: after[f'townboard_ledger_rows_total{{outcome="{name}"}}'] for name in expected} == expected
    assert sum(again.feeds.ledger()[name] for name in OUTCOMES) == 5
    again.close()
