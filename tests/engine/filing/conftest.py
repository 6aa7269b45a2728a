"""Tokens that were made a moment ago are known at once."""

import pytest

from pipelines.engine import tokens


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "FRESH_S", -1.0)
