"""Every KPI vector of the catalogue through the product's own formulas; `--vectors FILE` runs another file."""

import json
import math
from collections.abc import Callable
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import VECTORS

MODULES = ("transport", "water", "energy", "pollution", "grievances", "alarms", "composites")


def adapters() -> dict[str, Callable[[dict[str, Any]], Any]]:
    found: dict[str, Callable[[dict[str, Any]], Any]] = {}
    for name in MODULES:
        if (Path(__file__).parent / "vectors" / f"{name}.py").is_file():
            found |= import_module(f"tests.vectors.{name}").ADAPTERS
    return found


ADAPTERS = adapters()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vector" in metafunc.fixturenames:
        path = metafunc.config.stash[VECTORS]
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        vectors = [json.loads(line) for line in lines if line.strip()]
        metafunc.parametrize("vector", vectors, ids=[v["id"] for v in vectors])


def same(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and same(found[key], expected[key], tolerance) for key in expected
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(same(f, e, tolerance) for f, e in zip(found, expected, strict=True))
    if expected is None or isinstance(expected, (bool, str)):
        return found == expected or (
            expected is None and isinstance(found, dict) and all(v is None for v in found.values())
        )
    if found is None or isinstance(found, (bool, str, date, datetime)):
        return False
    return math.isclose(float(found), float(expected), rel_tol=0, abs_tol=max(float(tolerance), 1e-12))


def test_vector_is_reproduced_by_the_products_formula(vector: dict[str, Any]) -> None:
    if vector["kpi"] not in ADAPTERS:
        pytest.skip(f"no domain declares {vector['kpi']} yet")
    found = ADAPTERS[vector["kpi"]](vector["inputs"])
    assert same(found, vector["expected"], vector.get("tolerance", 0)), f"expected {vector['expected']}, found {found}"


@pytest.mark.parametrize(
    ("found", "expected", "tolerance"),
    [
        (1.0, 1.1, 0.05),
        (None, 0.0, 1),
        (0.0, None, 0),
        ({"a": 1}, {"a": 2}, 0),
        ({}, {"a": None}, 0),
        (True, 1, 0),
        ([1], [1, 2], 0),
    ],
)
def test_comparison_notices_a_difference(found: Any, expected: Any, tolerance: float) -> None:
    assert not same(found, expected, tolerance)
