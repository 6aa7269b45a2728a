"""Liveness, readiness, and metrics that add up."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, Asker, asked, filled

SAMPLE = re.compile(r'townboard_[a-z_]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)*\})? -?[0-9.e+-]+\Z')
clock = {"now": NOW}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    folder = small_town.make(
        tmp_path_factory.mktemp("api") / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    )
    line = filled(folder)
    with asked(folder, lambda: clock["now"]) as (asker, _):
        yield asker
    line.close()


def samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(SAMPLE.match(line) for line in lines), [line for line in lines if not SAMPLE.match(line)]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_every_decoded_row_is_stored_duplicate_or_quarantined(ask: Asker) -> None:
    found = samples(ask.get("/metrics").text)
    for feed in ("network", "push", "bills", "book", "scada"):
        rows = {
            outcome: found.get(f'townboard_rows_total{{feed="{feed}",outcome="{outcome}"}}', 0)
            for outcome in ("received", "stored", "duplicate", "quarantined")
        }
        assert rows["received"] == rows["stored"] + rows["duplicate"] + rows["quarantined"]
    # 386 readings, one correction and one of an unknown sensor came by the network; the latter was set aside.
    assert found['townboard_rows_total{feed="network",outcome="received"}'] == 388
    assert found['townboard_rows_total{feed="network",outcome="corrected"}'] == 1
    assert found['townboard_rows_total{feed="network",outcome="quarantined"}'] == 1


def test_metrics_name_ages_alarms_store_and_build(ask: Asker) -> None:
    answer = ask.get("/metrics")
    found = samples(answer.text)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert found["townboard_snapshot_age_seconds"] == 0
    assert found['townboard_feed_last_arrival_age_seconds{feed="network"}'] == 0
    assert {f'townboard_alarms_active{{priority="{p}"}}' for p in ("critical", "high", "medium", "low")} <= set(found)
    assert found['townboard_parquet_rows{table="readings"}'] == 200
    assert any(name.startswith("townboard_build_info{") for name in found)
    types = re.findall(r"# TYPE (\S+) (\S+)", answer.text)
    assert len(types) == len({name for name, _ in types})
    assert {name.partition("{")[0] for name in found} <= {name for name, _ in types}


def test_ready_while_the_board_is_fresh_and_not_after(ask: Asker) -> None:
    assert ask.get("/readyz").json()["ready"] is True
    clock["now"] = NOW + timedelta(seconds=95)
    answer = ask.get("/readyz")
    old = samples(ask.get("/metrics").text)["townboard_snapshot_age_seconds"]
    clock["now"] = NOW
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert "95 seconds ago" in answer.json()["detail"]
    assert "app.py serve" in answer.json()["detail"]
    assert old == 95


def test_alive_says_which_build(ask: Asker) -> None:
    assert ask.get("/healthz").json()["alive"] is True
