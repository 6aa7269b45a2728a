"""Alarms are told of once each, whenever the process that tells of them is killed."""

from pathlib import Path

import pytest

from pipelines.engine.state_delivery import read_newest
from tests.scenarios.outbox import hooked, killed

pytestmark = pytest.mark.slow


def test_every_alarm_is_told_once_by_every_channel_whatever_is_killed(tmp_path: Path) -> None:
    with hooked() as (address, keys):
        assert killed(tmp_path, address, 60, 4, seed=3) == 4
    names = [path.stem for path in (tmp_path / "spool").glob("*.sms")]
    letters = read_newest(tmp_path / "state.sqlite", 1_000)
    assert len(letters) == 120 and not any(letter.open for letter in letters)
    assert sorted(names) == sorted(letter.id for letter in letters if letter.channel == "sms")
    assert set(keys) == {letter.id for letter in letters if letter.channel == "hook"}
