"""/openapi.json is true: every answer of a bounded fuzz is one that it describes."""

import gc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import schemathesis.specs.openapi.checks as conforms
from hypothesis import HealthCheck, given, settings

from pipelines.engine import api, tokens
from pipelines.engine.alarms.desk import FIELDS
from pipelines.engine.town import Town
from tests.engine import api_town, small_town
from tests.engine.api_town import NOW, TOML, Asker, filled


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = small_town.make(
        tmp_path_factory.mktemp("api") / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    )
    line = filled(folder)
    with api_town.answering(line):
        town = Town(small_town.read(folder), lambda: NOW)
        made = api.build(town)
        made.state.store = line.settings.store
        yield made
        # Each request of schemathesis had a loop of its own; what it left open nobody can close any more.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            town.line._client = None
            gc.collect()
    line.close()


# Examples of each operation; 40 seconds are for all of them together.
KNOWN_TRIES, OTHER_TRIES = 8, 3
# What is open to all says 401 to a wrong token only.
OPEN_TO_NOBODY = {401}
# What this town does not publish, and what is told only of what somebody names.
NEEDING = ("/cap/feed.xml", "/api/v1/expected")
PROMISED = {
    "/api/v1/kpis": {"get"},
    "/api/v1/kpis/{kpi}/history": {"get"},
    "/api/v1/kpis/{kpi}/explain": {"get"},
    "/api/v1/kpis/{kpi}/wards": {"get"},
    "/api/v1/corrections": {"get"},
    "/api/v1/readings": {"get", "post"},
    "/api/v1/quantities/{quantity}/percentiles": {"get"},
    "/api/v1/expected": {"get"},
    "/api/v1/expected/scores": {"get"},
    "/api/v1/kpis/{kpi}/steps": {"get"},
    "/api/v1/kpis/{kpi}/projection": {"get"},
    "/api/v1/tables": {"get"},
    "/api/v1/tables/{table}": {"get", "post"},
    "/api/v1/exports/{export}": {"get"},
    "/api/v1/exports/{export}/manifest": {"get"},
    "/api/v1/assets": {"get"},
    "/api/v1/alarms": {"get"},
    "/api/v1/alarms/history": {"get"},
    "/api/v1/rules": {"get", "post"},
    "/api/v1/rules/backtest": {"post"},
    "/api/v1/rules/{id}": {"delete"},
    "/api/v1/alarms/incidents": {"get"},
    "/api/v1/alarms/performance": {"get"},
    "/api/v1/alarms/{id}/history": {"get"},
    **{f"/api/v1/alarms/{action}": {"post"} for action in FIELDS},
    **{f"/api/v1/alarms/{{id}}/{action}": {"post"} for action in FIELDS},
    "/api/v1/feeds": {"get"},
    "/api/v1/feeds/{feed}": {"post"},
    "/api/v1/quarantine": {"get"},
    "/api/v1/quarantine/counts": {"get"},
    "/api/v1/quarantine/{id}/original": {"get"},
    "/api/v1/quarantine/replay": {"post"},
    "/api/v1/audit": {"get"},
    "/api/v1/audit/check": {"get"},
    "/api/v1/deliveries": {"get"},
    "/api/v1/deliveries/test": {"post"},
    "/cap/feed.xml": {"get"},
    "/cap/{identifier}.xml": {"get"},
    "/api/v1/runs": {"get"},
    "/api/v1/pictures": {"get"},
    "/api/v1/pictures/{domain}/{picture}": {"get"},
    "/api/v1/snapshot": {"get"},
    "/api/v1/stream": {"get"},
    "/open311/discovery.{format}": {"get"},
    "/open311/v2/discovery.{format}": {"get"},
    "/open311/v2/services.{format}": {"get"},
    "/open311/v2/services/{service_code}.{format}": {"get"},
    "/open311/v2/requests.{format}": {"get", "post"},
    "/open311/v2/requests/{service_request_id}.{format}": {"get"},
    "/open311/v2/tokens/{token}.{format}": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
}


def test_the_description_names_every_promised_address(app: Any) -> None:
    asker = Asker(app)
    document = asker.get("/openapi.json").json()
    asker.close()
    assert document["openapi"].startswith("3.1")
    assert {path: set(methods) & PROMISED.get(path, set()) for path, methods in document["paths"].items()} == PROMISED
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            for status, response in operation["responses"].items():
                if (
                    path.startswith("/api/v1/")
                    and status in ("404", "413", "415", "422", "429", "503")
                    and path not in api.openapi.WIRE
                ):
                    assert set(response["content"]) == {"application/problem+json"}


# Nothing of what is asked for stops anything: a request that schemathesis makes up is answered in words.
REFUSED_ALWAYS = {401, 408, 413, 415, 422, 429}


@pytest.fixture(scope="module")
def known(app: Any) -> dict[str, str]:
    """What somebody sends who may all."""
    secret = tokens.add(tokens.path_of(app.state.store), "fuzz", ["admin"], NOW)
    return {"Authorization": f"Bearer {secret}"}


def asked_for() -> list[tuple[str, str, bool]]:
    """Every operation of the description, by somebody known and by nobody."""
    found = [
        (path, method.upper(), known)
        for path, methods in PROMISED.items()
        for method in methods
        for known in (True, False)
        if path not in api.openapi.WIRE
    ]
    return sorted(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # schemathesis asks through a test client whose deprecations are its own
@pytest.mark.parametrize(("path", "method", "by_known"), asked_for())
def test_a_fuzz_meets_only_described_answers(
    app: Any, known: dict[str, str], path: str, method: str, by_known: bool
) -> None:
    """By who may all, and (a few) by nobody: no fault of the server, no answer that is not described."""
    checks = [
        schemathesis.checks.not_a_server_error,
        conforms.status_code_conformance,
        conforms.content_type_conformance,
        conforms.response_schema_conformance,
    ]
    operation = schemathesis.openapi.from_asgi("/openapi.json", app)[path][method]
    statuses: set[int] = set()

    @settings(
        max_examples=KNOWN_TRIES if by_known else OTHER_TRIES, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def fuzz(case: Any) -> None:
        sent = known if by_known else {}
        statuses.add(case.call_and_validate(checks=checks, headers=sent).status_code)

    fuzz()
    guarded = bool(operation.definition.raw.get("security"))
    expected = {200, 404, 409, *REFUSED_ALWAYS} - ({401} if by_known else set())
    # GeoReport v2 calls 400 what cannot be read, and 403 who has no key to file with.
    expected |= {400, 403} if path.startswith("/open311/v2/requests") else set()
    assert statuses <= ({401, 422, 429} if guarded and not by_known else expected | OPEN_TO_NOBODY)
    # Something was given, and not refused alone.
    assert 200 in statuses or not by_known or method != "GET" or "{" in path or path in NEEDING
