"""A few hundred of the mutated payloads and files of `make torture`: none breaks a parser, every byte is accounted for."""

from pathlib import Path

from pipelines.engine.decode import formats
from tests.torture import clerk, fuzz

SEEDS = 200


def test_nearly_right_payloads_break_nothing_and_refused_ones_are_kept_byte_for_byte(tmp_path: Path) -> None:
    town = fuzz.Fuzz(tmp_path / "town")
    try:
        unfuzzed = set(formats()) - {case.feed.format for case in town.cases}
        assert not unfuzzed, f"no payload of these formats is mutated: {', '.join(sorted(unfuzzed))}"
        with fuzz.quiet():
            faults = [words for seed in range(SEEDS) for words in town.try_seed(seed)]
    finally:
        town.close()
    assert not faults, "\n".join([*faults, "replay: .venv/bin/python -m tests.torture fuzz --seed N"])
    assert town.outcomes["read"] > 40
    assert town.outcomes["refused as a whole"] > 40


def test_nearly_right_settings_and_registers_are_refused_in_words_or_read(tmp_path: Path) -> None:
    desk = clerk.Clerk(tmp_path / "town")
    faults = [words for seed in range(SEEDS) for words in desk.try_seed(seed)]
    assert not faults, "\n".join([*faults, "replay: .venv/bin/python -m tests.torture clerk --seed N"])
    assert desk.read > 20
    assert desk.refused > 40
