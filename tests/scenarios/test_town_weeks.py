"""A few of the 500 town-weeks of `make torture`: cuts, losses, repeats, late and poisoned batches change nothing."""

from pathlib import Path

import pytest

from tests.torture import seeds, week

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> week.Outcome:
    found = week.undisturbed(tmp_path_factory.mktemp("calm") / "town")
    assert len(found.readings) == 7 * 12 * len(week.town.SENSORS)
    assert len(found.requests) == 42
    assert len(found.kpis) > 15
    return found


@pytest.mark.parametrize("seed", [5, 7, 8, 14])
def test_disturbed_week_ends_as_the_undisturbed_one(tmp_path: Path, calm: week.Outcome, seed: int) -> None:
    words, told = week.disturbed(tmp_path / "town", seed, calm)
    assert not words, seeds.told(seed, words)
    assert told.cuts or told.refusals


def test_lost_rows_a_changed_value_and_a_vanished_poison_are_noticed(calm: week.Outcome) -> None:
    told = week.Ledger(poisoned={b"poison"})
    robbed = week.replace(calm, readings=calm.readings[:5] + calm.readings[6:])
    key = next(iter(calm.history))
    wrong = week.replace(calm, history={**calm.history, key: (-1.0, None)})
    assert [words.partition(":")[0] for words in week.differences(robbed, calm, week.Ledger())] == ["readings"]
    assert week.differences(wrong, calm, week.Ledger())[0].startswith(f"history of {key}")
    assert week.differences(calm, calm, told)[0].startswith("quarantine: 1 missing")
    assert week.differences(calm, calm, week.Ledger()) == []
