"""The clocks of a town's devices: found by the job, kept when they change, counted by feed, in the doctor's words."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipelines import available
from pipelines.engine import doctor, line_client
from pipelines.engine.clocks import as_shown, in_words
from pipelines.engine.line import Line
from pipelines.engine.people.roles import ITSELF
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.small_town import NOON, beat, csv_of, send

EVERY = timedelta(hours=2)
TEXT = (
    small_town.TOWN.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    + '[feeds.radio]\nuse = "water.network_readings"\nfrom = "http_push"\nevery = "15 min"\n'
)


def days(line: Line, until: datetime, **off: float) -> None:
    """Two days of readings that come within seconds; `off` gives by how many seconds the clock of a sensor is wrong."""
    at = until - timedelta(days=2)
    while at <= until:
        rows = [
            (sensor, at + timedelta(seconds=off.get(sensor.split(".")[0], 0.0)), 3.0 + at.minute / 60)
            for sensor in ("P1.p", "P2.p", "D1.in", "T1.level", "T1.out")
        ]
        send(line, "radio", csv_of(rows), at + timedelta(seconds=2))
        at += EVERY


def test_clock_that_is_off_is_kept_counted_shown_and_found_right_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_town.make(tmp_path / "town", TEXT)
    line = small_town.open_line(folder, NOON, frozenset())
    days(line, NOON, P1=-7200.0)
    assert line.clocks.look(line, NOON) == 1
    assert line.clocks.look(line, NOON + EVERY) is None, "nothing has changed"
    feed = beat(line, NOON + EVERY)["feeds"]["radio"]
    assert feed["clocks_off"] == 1
    assert feed["words"].endswith("The clock of 1 sensor is off.")
    # A reading keeps the time that its device gave it.
    assert {at.minute for sensor, at, _ in small_town.readings(line) if sensor == "P1.p"} == {30}

    town = Town(line.settings, lambda: NOON + EVERY)
    (shown,) = town.clocks(ITSELF).to_dicts()
    assert (shown["sensor"], shown["asset"], shown["feed"], shown["state"]) == ("P1.p", "P1", "radio", "behind")
    assert shown["error_s"] == pytest.approx(-7200.0, abs=5)
    assert shown["words"] == "2 hours behind"
    monkeypatch.setattr(line_client, "alive", lambda _: True)
    found = {one.thing: one for one in doctor.examine(folder, NOON + EVERY, available, lambda: True)}
    assert "The clock of 1 sensor is off." in found["Device clocks"].words
    assert found["Device clocks"].level is doctor.Level.LOOK
    line.close()

    later = NOON + timedelta(days=5)
    line = small_town.open_line(folder, later, frozenset())
    assert line.clocks.counted("radio", {"words": "x"})["clocks_off"] == 1, "a start remembers"
    days(line, later)
    assert line.clocks.look(line, later) == 1
    assert as_shown(line.store, line.registers.sensors).is_empty()
    assert line.clocks.counted("radio", {"words": "x"}) == {"words": "x", "clocks_off": 0}
    line.close()


@pytest.mark.parametrize(
    ("error", "drift", "words"),
    [
        (-720.0, None, "12 minutes behind"),
        (200.0, None, "3 minutes ahead"),
        (None, -40.0, "loses 40 seconds a day"),
        (-7200.0, 90.0, "2 hours behind and gains 90 seconds a day"),
        (None, None, "ahead"),
    ],
)
def test_clock_in_words(error: float | None, drift: float | None, words: str) -> None:
    assert in_words({"error_s": error, "drift_s_per_day": drift, "state": "ahead"}) == words
