"""Every declared KPI on dirty rows: the product, plain Python and DuckDB's SQL give the same values."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines import available
from pipelines.engine.model import Kpi
from tests.oracles import agreement

# A domain that comes without oracles fails here.
DOMAINS = tuple(sorted(available()))
KPIS = [(name, kpi) for name in DOMAINS for kpi in available()[name].kpis]


def of(domain: str, part: str) -> Any:
    """The module of a domain's oracles: grievances, grievances_sql, grievances_data."""
    return import_module(f"tests.oracles.{domain}{part}")


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    opened: dict[str, Any] = {}
    folder = tmp_path_factory.mktemp("dirty")

    def town(domain: str) -> Any:
        if domain not in opened:
            dirty = of(domain, "_data").made()
            sql = of(domain, "_sql")
            line = agreement.opened(dirty, Path(folder) / domain)
            opened[domain] = (dirty, line, agreement.database(dirty, sql.VIEWS, sql.SCHEMAS))
        return opened[domain]

    yield town
    for _, line, con in opened.values():
        con.close()
        line.close()


@pytest.mark.parametrize(("domain", "kpi"), KPIS, ids=[kpi.id for _, kpi in KPIS])
def test_kpi_is_the_same_by_three_ways_on_dirty_rows(towns: Any, domain: str, kpi: Kpi) -> None:
    dirty, line, con = towns(domain)
    grid = agreement.windows_of(kpi, dirty)
    found = {
        "product": agreement.by_product(line, kpi, dirty, grid),
        "python": agreement.by_plain_python(of(domain, "").ORACLES[kpi.id], dirty, grid),
        "sql": agreement.by_sql(con, of(domain, "_sql").QUERIES[kpi.id], grid),
    }
    wrong = agreement.differences(found, kpi.levels)
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:8])
    assert agreement.told(found["product"], kpi.levels), "nothing was told: the town is too small"


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_declared_kpi_has_both_oracles(domain: str) -> None:
    declared = {kpi.id for kpi in available()[domain].kpis}
    assert set(of(domain, "").ORACLES) == declared
    assert set(of(domain, "_sql").QUERIES) == declared


@pytest.mark.parametrize("domain", DOMAINS)
@settings(max_examples=1, phases=[Phase.generate])
@given(seed=st.integers(100, 10**6))
def test_other_dirt_makes_no_difference(tmp_path_factory: pytest.TempPathFactory, domain: str, seed: int) -> None:
    dirty, sql = of(domain, "_data").made(seed), of(domain, "_sql")
    line = agreement.opened(dirty, tmp_path_factory.mktemp("seed") / domain)
    con = agreement.database(dirty, sql.VIEWS, sql.SCHEMAS)
    for kpi in available()[domain].kpis:
        grid = agreement.windows_of(kpi, dirty).gather_every(5)
        found = {
            "product": agreement.by_product(line, kpi, dirty, grid),
            "python": agreement.by_plain_python(of(domain, "").ORACLES[kpi.id], dirty, grid),
            "sql": agreement.by_sql(con, sql.QUERIES[kpi.id], grid),
        }
        wrong = agreement.differences(found, kpi.levels)
        assert not wrong, f"{kpi.id}, seed {seed}: " + "\n".join(wrong[:3])
    con.close()
    line.close()
