"""How the API refuses: in words that say what to do, as problem details, and never with a fault of its own."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine.asking import Misasked, instant, one_of, span
from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, Asker, asked, filled


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    folder = small_town.make(
        tmp_path_factory.mktemp("api") / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    )
    line = filled(folder)
    with asked(folder) as (asker, _):
        yield asker
    line.close()


def detail(answer: Any, status: int) -> str:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"], body["type"]) == (status, status, "about:blank")
    assert body["title"]
    return body["detail"]


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/api/v1/kpis/presure_compliance/history", 404, "Did you mean `pressure_compliance`"),
        ("/api/v1/kpis/presure_compliance/explain", 404, "pressure_compliance"),
        ("/api/v1/tables/watr_bills", 404, "`water_bills`"),
        ("/api/v1/tables/corrections", 404, "is no table here"),
        ("/api/v1/nowhere", 404, "/openapi.json"),
        ("/nowhere", 404, "There is nothing at /nowhere"),
        ("/api/v1/readings?from=yesterday", 422, "from=2026-11-23T00:00:00Z"),
        ("/api/v1/readings?from=2026-03-10T00:00:00", 422, "names no time zone"),
        ("/api/v1/readings?from=2026-02-30T00:00:00Z", 422, "no instant of the calendar"),
        ("/api/v1/readings?from=2026-03-10T00:00:00Z&to=2026-03-09T00:00:00Z", 422, "must lie before"),
        ("/api/v1/readings?sensor=P1.q", 422, "`P1.p`"),
        ("/api/v1/readings?ward=W7", 422, "W1, W2"),
        ("/api/v1/readings?format=docx", 422, "'csv'"),
        ("/api/v1/readings?form=2026-03-10T00:00:00Z", 422, "`from`"),
        ("/api/v1/readings?limit=0", 422, "limit"),
        ("/api/v1/readings?limit=many", 422, "limit"),
        ("/api/v1/readings?cursor=abc", 422, "`next` of the page before"),
        ("/api/v1/tables/arrivals?ward=W1", 422, "name no ward"),
        ("/api/v1/kpis?domain=watr", 422, "`water`"),
        ("/api/v1/kpis?status=fine", 422, "breach"),
        ("/api/v1/alarms?priority=urgent", 422, "critical, high, medium, low"),
        ("/api/v1/quarantine?feed=netwrk", 422, "`network`"),
        ("/api/v1/kpis/backlog/history?area=north", 422, "ward:<id>"),
        ("/api/v1/kpis/backlog/explain?window_end=2020-01-01T00:00:00Z", 404, "history"),
    ],
)
def test_a_refusal_says_what_to_do(ask: Asker, address: str, status: int, words: str) -> None:
    assert words in detail(ask("GET", address), status)


def test_a_wrong_method_names_the_possible_ones(ask: Asker) -> None:
    answer = ask("DELETE", "/api/v1/readings")
    assert "GET, HEAD, POST" in detail(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_a_town_whose_line_never_ran_says_so(tmp_path: Any) -> None:
    folder = small_town.make(
        tmp_path / "town",
        TOML.format(zone=small_town.ZONE, domains='["water"]').replace(
            '[feeds.book]\nuse = "grievances.complaint_book"\nevery = "1 h"\n', ""
        ),
    )
    with asked(folder) as (asker, _):
        answer = asker.get("/api/v1/kpis")
        assert "app.py serve" in detail(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert asker.get("/api/v1/readings").text == "sensor,observed_at,value,quality,received_at\r\n"
        assert asker.get("/api/v1/assets").json()["count"] == 4


ODD = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", "null", "-1", "1e309", "9" * 40, "%00", "\x00", "'; DROP TABLE hot_readings; --", "../../etc/passwd", "town", "W1", "json",
                     "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "0000-00-00T00:00:00Z", "2026-03-10T24:00:00Z", "2026-03-10T06:30:60Z",
                     "WzAsMF0", "W251bGwsLTFd", "WzFlMzAwLDBd", "WzkyMjMzNzIwMzY4NTQ3NzU4MDcsMV0", "asset:", ":", "ward:W1", "P1.p,,P2.p", "10000"]),
    st.integers().map(str),
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
)  # fmt: skip
NAMES = ["from", "to", "ward", "domain", "format", "limit", "cursor", "bom", "sensor", "asset", "quantity", "area", "step", "window_end",
         "status", "state", "priority", "feed", "reason", "kind", "job", "outcome", "table", "kpi"]  # fmt: skip
PATHS = [
    "kpis",
    "kpis/{}/history",
    "kpis/{}/explain",
    "readings",
    "tables",
    "tables/{}",
    "assets",
    "alarms",
    "feeds",
    "quarantine",
    "runs",
]
KNOWN = st.sampled_from(
    [
        "pressure_compliance",
        "backlog",
        "readings",
        "service_requests",
        "water_bills",
        "sensors",
        "quarantine",
        "arrivals",
    ]
)


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(path=st.sampled_from(PATHS), inner=KNOWN | ODD, query=st.dictionaries(st.sampled_from(NAMES), ODD, max_size=3))
def test_odd_parameters_are_answered_or_refused(ask: Asker, path: str, inner: str, query: dict[str, str]) -> None:
    spelled = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    answer = ask("GET", f"/api/v1/{path.format(quote(inner, safe=''))}?{spelled}")
    assert answer.status_code in (200, 404, 422, 307), answer.text
    if answer.status_code in (404, 422):
        assert detail(answer, answer.status_code)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(
    path=st.sampled_from(["readings", "tables/service_requests", "tables/sensors", "quarantine"]),
    name=st.sampled_from(NAMES),
    value=ODD,
)
def test_one_odd_parameter_alone_is_answered_or_refused(ask: Asker, path: str, name: str, value: str) -> None:
    answer = ask("GET", f"/api/v1/{path}?{name}={quote(value, safe='')}")
    assert answer.status_code in (200, 422), answer.text


def test_an_instant_is_read_in_every_form_of_rfc_3339() -> None:
    for text in (
        "2026-03-10T06:30:00Z",
        "2026-03-10t06:30:00z",
        "2026-03-10T12:00:00+05:30",
        "2026-03-10T12:00:00 05:30",
        "2026-03-10 06:30:00.000Z",
    ):
        assert instant(text, "from") == NOW


def test_an_empty_span_has_no_edges() -> None:
    assert (span(None, "").start, span("", None).end) == (None, None)


def test_a_name_is_refused_with_near_ones_and_a_bounded_list() -> None:
    with pytest.raises(Misasked) as caught:
        one_of("asset", "tank17", [f"tank{n}" for n in range(100) if n != 17])
    assert caught.value.status == 422
    assert caught.value.words.startswith("`tank17` is no asset here. Did you mean `tank")
    assert caught.value.words.endswith("and 59 more.")
