"""What every test may use."""

import os
import sys
from pathlib import Path

import hypothesis
import pytest

# As the processes of the app run (see app.py); read by Polars when it is first imported.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
# Grouping a thousand rows takes a quarter of the time when they are not dealt out to workers first.
os.environ.setdefault("POLARS_NO_PARTITION", "1")
# The same examples in every run: a red test is a change, never chance. `HYPOTHESIS_PROFILE=search` looks for new ones.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHARED = ROOT.parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--vectors", action="store", default=None, help="file of KPI test vectors (JSON lines)")
    parser.addoption("--approve", action="store_true", help="keep the layout of pages that tests compare with")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[VECTORS] = Path(config.getoption("--vectors") or SHARED / "kpis" / "vectors.jsonl")


VECTORS = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded feeds; skips where it is absent (a user's clone has none)."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the recorded feeds are not here")
    return folder


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End here: threads of closed servers still hold DuckDB cursors, and its binding would print pages about them."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(config.stash.get(STATUS, 0)))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


STATUS = pytest.StashKey[int]()
