"""Hashing that costs nothing, so that what is tested is not the hash."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from pipelines.engine.people import passwords
from tests.engine.people.doorstep import Doorstep


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def door(tmp_path: Path, quick: None) -> Iterator[Doorstep]:
    made = Doorstep(tmp_path)
    yield made
    made.close()
