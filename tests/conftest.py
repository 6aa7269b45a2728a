"""What every test may use."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHARED = ROOT.parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--vectors", action="store", default=None, help="file of KPI test vectors (JSON lines)")


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
