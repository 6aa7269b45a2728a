"""What the demo's tests share: a fixed moment, worlds with and without incidents, and short spells of time."""

from datetime import UTC, datetime

import numpy as np
import pytest

from pipelines.demo.incidents import World, timeline

# A Monday morning, 09:00 in Nadipur.
NOW = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
SEED = 7


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def start() -> float:
    return NOW.timestamp()


@pytest.fixture(scope="session")
def calm() -> World:
    return World(SEED)


@pytest.fixture(scope="session")
def troubled() -> World:
    return World(SEED, timeline(NOW.timestamp(), SEED))


@pytest.fixture(scope="session")
def day(start: float) -> np.ndarray:
    """A day before `now`, minute by minute."""
    return np.arange(start - 86_400.0, start + 1.0, 60.0)
