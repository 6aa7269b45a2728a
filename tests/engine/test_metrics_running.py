"""/metrics as Prometheus reads it; the dashboard and the alert rules ask only for what is there."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.engine import backup, layout, own_processes
from pipelines.engine.own_processes import Process
from tests.conftest import ROOT
from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, Asker, answering, asked, filled

RUNNING = ROOT / "docs" / "running"
DELIVERY = """
[backup]
to = "stick"
every = "1 d"
[delivery.channels.sms]
kind = "sms_spool"
folder = "sms"
[delivery.receivers.room]
to = ["sms:+911234567890"]
[delivery.route]
receiver = "room"
"""
NAME = re.compile(r"townboard_[a-z_]+")
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What a town with rows, alarms, a backup and a channel tells."""
    folder = tmp_path_factory.mktemp("metrics") / "town"
    small_town.make(folder, TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]') + DELIVERY)
    line = filled(folder)
    (folder / "stick").mkdir()
    backup.make(folder, folder / "stick" / "town-2026-03-10-0330Z.tar.zst", NOW - timedelta(hours=3))
    with answering(line), asked(folder, lambda: NOW) as (ask, _):
        yield told(ask)
    line.close()


def told(ask: Asker) -> str:
    return str(ask.get("/metrics").text)


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample as Prometheus' own parser reads it."""
    found = {}
    for one in text_string_to_metric_families(text):
        assert one.documentation and one.type in ("gauge", "counter"), one.name
        for sample in one.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


def test_exposition_is_read_by_prometheus_own_parser_and_names_follow_its_rules(text: str) -> None:
    found = samples(text)
    assert len(found) > 100
    families = {one.name: one.type for one in text_string_to_metric_families(text)}
    for line in (line for line in text.splitlines() if line.startswith("# TYPE")):
        name, kind = line.split()[2:]
        assert name.endswith("_total") == (kind == "counter"), name
        assert re.fullmatch(r"townboard_[a-z]+(_[a-z]+)*", name)
    assert "townboard_rows" in families


@needs_promtool
def test_exposition_passes_promtool_without_a_word(text: str) -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_the_clerk_must_know_is_told(text: str) -> None:
    found = samples(text)
    assert found["townboard_backup_age_seconds", (("place", "first"),)] == 3 * 3600
    assert found["townboard_backup_interval_seconds", ()] == 86400
    assert found["townboard_backup_size_bytes", (("place", "first"),)] > 1000
    assert found["townboard_store_layout", ()] == layout.LAYOUT
    assert found["townboard_sessions_open", ()] == 0
    assert found["townboard_viewers", ()] == 0
    assert found["townboard_messages", (("channel", "sms"), ("outcome", "waiting"))] == 0
    assert found["townboard_beats_total", ()] >= 0
    assert any(name == "townboard_kpi_data_age_seconds" for name, _ in found)
    memory = [value for (name, _), value in found.items() if name == "townboard_process_resident_memory_bytes"]
    assert memory and all(value > 10e6 for value in memory)
    received, *parts = [
        found["townboard_ledger_rows_total", (("outcome", word),)]
        for word in ("received", "stored", "duplicate", "quarantined")
    ]
    assert received == sum(parts) > 0


def expressions(node: Any) -> Iterator[str]:
    """Every query in a dashboard or a file of rules."""
    if isinstance(node, dict):
        yield from (node[key] for key in ("expr",) if isinstance(node.get(key), str))
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from expressions(one)


def test_dashboard_and_rules_ask_only_for_what_is_told(text: str) -> None:
    yaml = pytest.importorskip("yaml")
    dashboard = json.loads((RUNNING / "grafana" / "townboard.json").read_text())
    rules = yaml.safe_load((RUNNING / "prometheus" / "townboard.rules.yml").read_text())
    known = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    asked_for = {name for expr in (*expressions(dashboard), *expressions(rules)) for name in NAME.findall(expr)}
    assert len(asked_for) > 20
    assert asked_for - known == set()
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places) == len(set(places))


@needs_promtool
def test_alert_rules_ring_when_they_should_and_the_queries_of_the_dashboard_can_be_read(tmp_path: Path) -> None:
    folder = RUNNING / "prometheus"
    subprocess.run(
        ["promtool", "test", "rules", "townboard.rules.test.yml"], cwd=folder, check=True, capture_output=True
    )
    subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=folder, check=True, capture_output=True)
    dashboard = json.loads((RUNNING / "grafana" / "townboard.json").read_text())
    rules = [{"record": f"q{n}", "expr": expr} for n, expr in enumerate(expressions(dashboard))]
    (tmp_path / "q.yml").write_text(json.dumps({"groups": [{"name": "q", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", tmp_path / "q.yml"], check=True, capture_output=True)


def test_processes_of_a_supervisor_are_told_apart_by_their_command(tmp_path: Path) -> None:
    def process(pid: int, parent: int, words: str, resident: int, ticks: int) -> None:
        folder = tmp_path / str(pid)
        (folder / "task" / str(pid)).mkdir(parents=True)
        (folder / "cmdline").write_bytes(words.replace(" ", "\0").encode() + b"\0")
        rest = ["S", str(parent), *["0"] * 9, str(ticks), str(ticks), *["0"] * 8, str(resident)]
        (folder / "stat").write_text(f"{pid} (python (x)) {' '.join(rest)}")
        (folder / "task" / str(pid) / "children").write_text("")

    process(10, 1, "python app.py --town x serve --port 80", 1000, 100)
    process(11, 10, "python app.py --town x line", 2000, 200)
    process(12, 10, "python app.py --town x web --port 80", 3000, 300)
    process(13, 10, "mosquitto -c x", 9000, 900)
    (tmp_path / "10" / "task" / "10" / "children").write_text("11 12 13 ")
    page, tick = own_processes.PAGE, own_processes.TICK_S
    expected = [Process("serve", 1000 * page, 200 * tick), Process("line", 2000 * page, 400 * tick),
                Process("web", 3000 * page, 600 * tick)]  # fmt: skip
    assert own_processes.processes(tmp_path, own=12) == expected
    assert own_processes.processes(tmp_path, own=99) == []
