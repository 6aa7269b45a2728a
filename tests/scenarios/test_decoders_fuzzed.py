"""A few hundred of the mutated payloads of `make torture`: none breaks a decoder, every byte is accounted for."""

from pathlib import Path

from tests.torture import fuzz

SEEDS = 200


def test_nearly_right_payloads_break_nothing_and_refused_ones_are_kept_byte_for_byte(tmp_path: Path) -> None:
    town = fuzz.Fuzz(tmp_path / "town")
    try:
        with fuzz.quiet():
            faults = [words for seed in range(SEEDS) for words in town.try_seed(seed)]
    finally:
        town.close()
    assert not faults, "\n".join([*faults, "replay: .venv/bin/python -m tests.torture fuzz --seed N"])
    assert town.outcomes["read"] > 40
    assert town.outcomes["refused as a whole"] > 40
