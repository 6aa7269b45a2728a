"""Exports and reports that are written by themselves: each whole period once, told of by mail, kept so many."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiosmtpd.controller import Controller

import app
from pipelines.engine import outgoing
from pipelines.engine.calendar import last_whole
from pipelines.engine.delivery import jobs as deliveries
from pipelines.engine.errors import SourceDown
from pipelines.engine.outgoing import Writing
from pipelines.engine.settings import Outgoing
from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, filled
from tests.engine.broker import free_port

DAY = timedelta(days=1)
MAIL = """
[exports.daily]
table = "readings"
format = "csv"
ward = "W1"
to = "../out"
keep = 2
tell = "office"

[delivery.channels.mail]
kind = "apprise"
url = "mailto://127.0.0.1:{port}?from=board@nadipur.example&to={{address}}&mode=insecure&format=text"

[delivery.receivers.office]
to = ["mail:office@nadipur.example"]
"""


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("day", (2026, 3, 8), (2026, 3, 9)),
        ("week", (2026, 3, 1), (2026, 3, 8)),
        ("month", (2026, 1, 31), (2026, 2, 28)),
    ],
)
def test_period_is_the_last_one_that_is_over_in_the_town(
    period: str, start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    """Tuesday 10 March 2026, noon in India: days begin at 18:30 UTC the day before."""
    found = last_whole(period, NOW, "Asia/Kolkata")
    assert found == tuple(datetime(*day, 18, 30, tzinfo=UTC) for day in (start, end))


def test_day_of_23_hours_is_whole() -> None:
    start, end = last_whole("day", datetime(2026, 3, 30, 12, tzinfo=UTC), "Europe/Rome")
    assert end - start == timedelta(hours=23)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Any]:
    text = TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]') + MAIL.format(port=free_port())
    opened = filled(small_town.make(tmp_path / "town", text))
    yield opened
    opened.close()


class Box:
    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(envelope)
        return "250 taken"


def test_export_of_yesterday_is_written_once_with_its_manifest_and_mailed(line: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (plan,) = line.settings.outgoing
    desk = deliveries.delivery(line)
    assert desk is not None

    def run(arguments: Sequence[str]) -> None:
        assert app.main(["--town", str(line.settings.folder), *arguments]) == 0

    # The command line reads the wall clock; what lies in the files does not depend on it.
    writing = Writing(line, plan, desk, run)
    assert writing.due(NOW) == 2
    assert writing.due(NOW + timedelta(hours=1)) is None
    file, manifest = sorted((tmp_path / "out").iterdir())
    assert (file.name, manifest.name) == ("daily_2026-03-09.csv", "daily_2026-03-09.csv.manifest.json")
    rows = pl.read_csv(file)
    assert set(rows["sensor"]) == {"P1.p"}
    assert (rows["observed_at"].min(), rows["observed_at"].max()) == ("2026-03-08T18:30:00Z", "2026-03-09T18:15:00Z")
    told = json.loads(manifest.read_text("utf-8"))
    assert (told["rows"], told["ward"], told["bytes"]) == (rows.height, "W1", file.stat().st_size)
    box = Box()
    port = int(line.settings.delivery.channels["mail"].url.split("?")[0].rpartition(":")[2])
    control = Controller(box, hostname="127.0.0.1", port=port)
    control.start()
    try:
        assert desk.send(lambda: NOW) == 1
    finally:
        control.stop()
        desk.close()
    parts = list(message_from_bytes(box.mails[0].content).walk())
    attached = [part for part in parts if part.get_filename() == file.name]
    assert [part.get_payload(decode=True) for part in attached] == [file.read_bytes()]
    assert not [part for part in parts if str(part.get_filename()).endswith(".json")]


def test_the_oldest_periods_go_and_what_is_somebody_elses_stays(line: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "daily_notes.txt").write_text("mine")
    plan = Outgoing(name="daily", kind="export", period="day", to=out, keep=2, table="readings")

    def run(arguments: Sequence[str]) -> None:
        Path(arguments[-1]).write_text("rows")

    for days in range(5):
        assert Writing(line, plan, None, run).due(NOW + days * DAY) == 1
    assert sorted(path.name for path in out.iterdir()) == [
        "daily_2026-03-12.csv", "daily_2026-03-13.csv", "daily_notes.txt"
    ]  # fmt: skip


def test_absent_folder_and_failed_child_are_told_and_tried_again(line: Any, tmp_path: Path) -> None:
    (plan,) = line.settings.outgoing
    with pytest.raises(SourceDown, match="Make the folder"):
        Writing(line, plan, None, lambda arguments: None).due(NOW)
    (tmp_path / "out").mkdir()

    def broken(arguments: Sequence[str]) -> None:
        raise SourceDown("there is no ward `W9`")

    with pytest.raises(SourceDown, match="W9"):
        Writing(line, plan, None, broken).due(NOW)
    assert Writing(line, plan, None, lambda arguments: Path(arguments[-1]).touch()).due(NOW) == 1


def test_every_declared_one_is_a_job_with_its_own_words(line: Any) -> None:
    (job,) = outgoing.jobs(line, lambda: NOW, None)
    assert job.name == "export daily"
    assert job.why.startswith("write readings of each day to ")


def test_large_files_are_named_and_not_attached(line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(outgoing, "MOST_ATTACHED", 3)
    handed: list[Any] = []

    class Desk:
        def hand_out(self, receiver: str, message: Any, files: Sequence[str], now: datetime) -> None:
            handed.append((receiver, message.body, files))

    (plan,) = line.settings.outgoing
    Writing(line, plan, Desk(), lambda arguments: Path(arguments[-1]).write_text("rows") and None).due(NOW)  # type: ignore[arg-type]
    ((receiver, body, files),) = handed
    assert (receiver, files) == ("office", [])
    assert "daily_2026-03-09.csv" in body and "too large for a mail" in body
