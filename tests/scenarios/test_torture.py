"""The short form of `make torture`: some kills of every process under load, power cuts with torn tails, one minute."""

import pytest

from tests.torture.processes import tortured

# The kills cut the connections of the devices, which live in this process; some of their sockets are collected late.
pytestmark = [pytest.mark.slow]
SEED, KILLS, SECONDS = 3, 12, 40.0


def test_nothing_acknowledged_is_lost_or_doubled_when_processes_are_killed_under_load() -> None:
    with tortured(SEED, rough=False) as torture:
        words = torture.run(SECONDS, KILLS)
        replay = f"replay: .venv/bin/python -m tests.torture processes --seed {SEED}"
        assert not words, "\n".join([*words, torture.told(), replay])
        assert torture.troubles.kills >= 5
        assert len(torture.ledger.kept) > 100
        assert torture.ledger.poison
