"""What the API gives: lists, exports, pages, explanations; against rows sent through the real line."""

import asyncio
import csv
import io
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import openpyxl
import polars as pl
import pytest

from pipelines.engine import api, depot, spans
from pipelines.engine.api import answers
from pipelines.engine.people.roles import person
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import BILLS, DAY, FORMULA, NOW, REQUESTS, SECRET, TOML, Asker, asked, filled, readings


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Asker, Town]]:
    folder = small_town.make(
        tmp_path_factory.mktemp("api") / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    )
    line = filled(folder)
    with asked(folder) as found:
        yield found
    line.close()


@pytest.fixture(scope="module")
def ask(both: tuple[Asker, Town]) -> Asker:
    return both[0]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def expected() -> dict[tuple[str, str], float]:
    """The readings as they must stand: the first one of P1.p corrected."""
    rows = {(sensor, at.strftime("%Y-%m-%dT%H:%M:%SZ")): value for sensor, at, value in readings()}
    rows["P1.p", readings()[0][1].strftime("%Y-%m-%dT%H:%M:%SZ")] = 99.0
    return rows


def test_readings_as_csv_are_all_rows_once_in_order_across_the_compaction(ask: Asker) -> None:
    answer = ask.get("/api/v1/readings")
    rows = rows_of(answer.text)
    assert answer.headers["content-type"].startswith("text/csv")
    assert {(row["sensor"], row["observed_at"]): float(row["value"]) for row in rows} == expected()
    assert len(rows) == len(expected()) == int(answer.headers["x-row-count"])
    keys = [(row["observed_at"], row["sensor"]) for row in rows]
    assert keys == sorted(keys)


def test_csv_lines_end_as_rfc_4180_says_and_the_mark_comes_when_asked(ask: Asker) -> None:
    plain = ask.get("/api/v1/readings", sensor="P1.p", **{"from": "2026-03-10T06:00:00Z"}).content
    assert plain.startswith(b"sensor,observed_at,value,quality,received_at\r\n")
    assert plain.count(b"\n") == plain.count(b"\r\n") == 4
    assert ask.get("/api/v1/readings", bom="1").content.startswith(b"\xef\xbb\xbfsensor,")


def test_a_span_is_closed_on_the_left_and_open_on_the_right(ask: Asker) -> None:
    rows = rows_of(
        ask.get(
            "/api/v1/readings",
            sensor="P2.p",
            **{"from": "2026-03-10T05:30:00+00:00", "to": "2026-03-10T11:45:00+05:30"},
        ).text
    )
    assert [row["observed_at"] for row in rows] == [f"2026-03-10T{time}:00Z" for time in ("05:30", "05:45", "06:00")]


def test_an_offset_whose_plus_was_not_escaped_is_understood(ask: Asker) -> None:
    answer = ask("GET", "/api/v1/readings?sensor=P2.p&from=2026-03-10T11:30:00+05:30")
    assert [row["observed_at"] for row in rows_of(answer.text)] == [
        "2026-03-10T06:00:00Z",
        "2026-03-10T06:15:00Z",
        "2026-03-10T06:30:00Z",
    ]


@pytest.mark.parametrize("query", [{"sensor": "P1.p"}, {"asset": "P1"}, {"ward": "W1", "quantity": "pressure_m"}])
def test_readings_are_chosen_by_sensor_asset_ward_and_quantity(ask: Asker, query: dict[str, str]) -> None:
    assert {row["sensor"] for row in rows_of(ask.get("/api/v1/readings", **query).text)} == {"P1.p"}


@pytest.mark.parametrize("limit", [1, 7, 193, 385, 386, 1000])
def test_pages_put_together_are_the_whole(ask: Asker, limit: int) -> None:
    whole = ask.get("/api/v1/readings", format="json").json()
    rows, cursor, pages = [], None, 0
    while pages < 400:
        query = {"format": "json", "limit": limit, **({"cursor": cursor} if cursor else {})}
        answer = ask.get("/api/v1/readings", **query)
        page = answer.json()
        assert page["count"] == len(page["readings"]) <= limit
        assert (page["next"] is None) == ("link" not in answer.headers)
        rows += page["readings"]
        cursor, pages = page["next"], pages + 1
        if cursor is None:
            break
    assert rows == whole["readings"]
    assert pages == -(-386 // limit)


def test_pages_of_csv_are_linked(ask: Asker) -> None:
    first = ask.get("/api/v1/kpis", format="csv", limit=5)
    following = first.headers["link"].partition("<")[2].partition(">")[0]
    assert first.headers["link"].endswith('; rel="next"')
    second = ask("GET", f"/api/v1/kpis{following}")
    assert len(rows_of(second.text)) == 5
    assert rows_of(second.text)[0] != rows_of(first.text)[0]


def test_every_form_holds_the_same_rows(ask: Asker) -> None:
    given = {
        form: ask.get("/api/v1/tables/service_requests", format=form)
        for form in ("csv", "json", "ndjson", "parquet", "xlsx")
    }
    wanted = [(number, at.strftime("%Y-%m-%dT%H:%M:%SZ")) for number, _, _, at in REQUESTS]
    found = {
        "csv": [(row["service_request_id"], row["requested_datetime"]) for row in rows_of(given["csv"].text)],
        "json": [(row["service_request_id"], row["requested_datetime"]) for row in given["json"].json()["rows"]],
        "ndjson": [
            (row["service_request_id"], row["requested_datetime"])
            for row in pl.read_ndjson(given["ndjson"].content).iter_rows(named=True)
        ],
        "parquet": [
            (row["service_request_id"], row["requested_datetime"].strftime("%Y-%m-%dT%H:%M:%SZ"))
            for row in pl.read_parquet(given["parquet"].content).iter_rows(named=True)
        ],
    }
    assert found == dict.fromkeys(found, wanted)
    head, *cells = openpyxl.load_workbook(io.BytesIO(given["xlsx"].content)).active.iter_rows(values_only=True)
    rows = [dict(zip(head, line, strict=True)) for line in cells]
    assert [(row["service_request_id"], row["requested_datetime"]) for row in rows] == [
        (n, at.replace(tzinfo=None)) for n, _, _, at in REQUESTS
    ]
    assert {answer.headers["x-row-count"] for answer in given.values()} == {"3"}


def test_a_formula_is_text_in_csv_and_excel_and_itself_elsewhere(ask: Asker) -> None:
    rows = rows_of(ask.get("/api/v1/tables/service_requests").text)
    assert [row["status_notes"] for row in rows] == ["'" + FORMULA, "'+91 water", REQUESTS[2][1]]
    book = openpyxl.load_workbook(io.BytesIO(ask.get("/api/v1/tables/service_requests", format="xlsx").content))
    head, *lines = book.active.iter_rows()
    place = [cell.value for cell in head].index("status_notes")
    assert [(line[place].value, line[place].data_type) for line in lines] == [
        (notes, "s") for notes in ("'" + FORMULA, "'+91 water", REQUESTS[2][1])
    ]
    assert ask.get("/api/v1/tables/service_requests", format="json").json()["rows"][0]["status_notes"] == FORMULA


def test_negative_numbers_stay_numbers(ask: Asker) -> None:
    low = next(row for row in rows_of(ask.get("/api/v1/tables/sensors").text) if row["sensor"] == "P1.p")["low"]
    assert float(low) < 0


@pytest.mark.parametrize("form", ["csv", "json", "ndjson", "xlsx", "parquet"])
def test_personal_columns_leave_by_no_address(both: tuple[Asker, Town], form: str) -> None:
    ask, town = both
    assert SECRET in " ".join(town.quarantine(actor=person("asha", "operator"))["original"])
    for address in (
        "tables/service_requests",
        "quarantine",
        "tables/quarantine",
        "tables/corrections",
        "tables/kpi_values",
        "tables",
    ):
        answer = ask.get(f"/api/v1/{address}", format=form)
        text = answer.content if form in ("csv", "json", "ndjson") else _unpacked(answer.content, form)
        assert SECRET.encode() not in text
        if address == "tables/service_requests":
            assert b"R1" in text
            assert b"description" not in text
            assert b"address" not in text


def _unpacked(content: bytes, form: str) -> bytes:
    try:
        if form == "parquet":
            return str(pl.read_parquet(content).rows(named=True)).encode()
        return "".join(str(row) for row in openpyxl.load_workbook(io.BytesIO(content)).active.values).encode()
    except Exception:
        assert content.startswith(b"{")
        return content


def test_the_quarantine_says_what_a_row_was_unless_it_may_be_personal(ask: Asker) -> None:
    rows = {row["reason"]: row for row in ask.get("/api/v1/quarantine").json()["quarantine"]}
    assert rows["unknown_sensor"]["original"].startswith("nobody,")
    assert rows["unknown_sensor"]["withheld"] is False
    personal = next(row for row in rows.values() if row["table"] == "service_requests")
    assert (personal["original"], personal["withheld"]) == (None, True)
    assert [row["reason"] for row in ask.get("/api/v1/quarantine", feed="network").json()["quarantine"]] == [
        "unknown_sensor"
    ]


def test_a_table_is_chosen_by_ward(ask: Asker) -> None:
    rows = rows_of(ask.get("/api/v1/tables/service_requests", ward="W2").text)
    assert [row["service_request_id"] for row in rows] == ["R2", "R3"]


def test_a_table_of_days_follows_the_calendar_of_the_town(ask: Asker) -> None:
    march = {"from": "2026-02-28T18:30:00Z", "to": "2026-03-31T18:30:00Z"}
    rows = rows_of(ask.get("/api/v1/tables/water_bills", **march).text)
    assert [(row["period_start"], float(row["billed_m3"])) for row in rows] == [(BILLS[1][1], BILLS[1][3])]
    late = rows_of(
        ask.get(
            "/api/v1/tables/water_bills", **{"from": "2026-02-01T00:00:00+05:30", "to": "2026-03-01T00:00:00+05:30"}
        ).text
    )
    assert [row["period_start"] for row in late] == [BILLS[0][1]]
    assert len(rows_of(ask.get("/api/v1/tables/water_bills").text)) == 2


def test_the_manifest_counts_what_the_export_gives(ask: Asker) -> None:
    answer = ask.get("/api/v1/readings", format="manifest", sensor="P1.p").json()
    assert (answer["rows"], answer["first"], answer["last"]) == (193, "2026-03-08T06:30:00Z", "2026-03-10T06:30:00Z")
    assert [column["column"] for column in answer["columns"]] == [
        "sensor",
        "observed_at",
        "value",
        "quality",
        "received_at",
    ]


def test_kpis_now_name_the_promised_columns_first(ask: Asker) -> None:
    promised = "kpi,area,value,unit,target,status,window_start,window_end,as_of,coverage,numerator,denominator,n"
    answer = ask.get("/api/v1/kpis", format="csv", domain="water")
    assert answer.text.startswith(promised)
    rows = {(row["kpi"], row["area"]): row for row in rows_of(answer.text)}
    today = rows["pressure_compliance", "town"]
    # From 00:00 to 12:00 in Kolkata two points gave 49 readings each; at least 10 m is what the area's register asks for.
    values = [value for _, at, value in readings() if at >= NOW - timedelta(hours=12)]
    share = 100 * sum(value >= 10 for value in values) / len(values)
    assert float(today["value"]) == pytest.approx(share, abs=1e-6)
    assert {row["domain"] for row in rows.values()} == {"water"}


@pytest.mark.parametrize(
    ("query", "wanted"), [({"ward": "W1"}, {"ward:W1"}), ({"area": "town", "status": "no data"}, {"town"})]
)
def test_kpis_are_filtered(ask: Asker, query: dict[str, str], wanted: set[str]) -> None:
    assert {row["area"] for row in ask.get("/api/v1/kpis", **query).json()["kpis"]} == wanted


def test_the_history_of_a_kpi_is_its_published_values(ask: Asker) -> None:
    answer = ask.get("/api/v1/kpis/pressure_compliance/history", area="town", format="json").json()
    ended = [row for row in answer["history"] if row["value"] is not None]
    day = [value for _, at, value in readings() if NOW - timedelta(hours=36) <= at < NOW - timedelta(hours=12)]
    (yesterday,) = ended
    assert (yesterday["window"], yesterday["end"]) == ("2026-03-08T18:30:00Z", "2026-03-09T18:30:00Z")
    assert yesterday["value"] == pytest.approx(100 * sum(value >= 10 for value in day) / len(day))
    by_month = ask.get("/api/v1/kpis/pressure_compliance/history", area="town", step="month", format="json").json()[
        "history"
    ]
    (march,) = by_month
    assert (march["window"], march["last"], march["known"]) == ("2026-02-28T18:30:00Z", yesterday["value"], 1)


def test_the_mean_of_a_step_is_unknown_when_too_few_of_its_windows_are_known(ask: Asker) -> None:
    query = {"area": "town", "step": "month", "format": "json"}
    (march,) = ask.get("/api/v1/kpis/pressure_compliance/history", **query).json()["history"]
    assert march["known"] < 0.75 * march["windows"]
    assert (march["value"], march["reason"]) == (None, "insufficient_data")


def test_an_explanation_names_formula_tuning_revisions_and_rows(ask: Asker) -> None:
    answer = ask.get(
        "/api/v1/kpis/pressure_compliance/explain", area="ward:W2", window_end="2026-03-09T18:30:00Z"
    ).json()
    assert answer["catalogue"] == "WA-07"
    assert {"name": "minimum_m", "value": 12.0, "default": 7.0, "tuned": True} in answer["tunables"]
    assert [revision["revision"] for revision in answer["revisions"]] == [1]
    assert (answer["n"], answer["n_expected"], answer["denominator"]) == (96, 96, 96.0)
    # Wilson's ends are the shares from which what was seen lies 1.96 of their own standard errors away.
    seen = answer["numerator"] / 96
    for end in (answer["interval"]["low"] / 100, answer["interval"]["high"] / 100):
        assert abs(seen - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / 96), abs=1e-6)
    assert answer["interval"]["method"] == "Wilson 95 % interval of a share"
    rows = next(source for source in answer["inputs"] if source["name"] == "pressure_m")["rows"]
    assert rows.startswith("../../readings?")
    given = rows_of(ask("GET", "/api/v1/" + rows.removeprefix("../../")).text)
    assert {row["sensor"] for row in given} == {"P2.p"}
    assert len(given) == 96


def test_an_explanation_of_now_counts_the_rows_set_aside(ask: Asker) -> None:
    answer = ask.get("/api/v1/kpis/pressure_compliance/explain").json()
    assert (answer["area"], answer["window_end"]) == ("town", "2026-03-10T18:30:00Z")
    assert {"feed": "network", "reason": "unknown_sensor", "rows": 1} in answer["rows_set_aside"]["by_reason"]


def test_assets_feeds_runs_and_the_dictionary_are_lists(ask: Asker) -> None:
    assets = {row["asset"]: row for row in ask.get("/api/v1/assets", domain="water").json()["assets"]}
    newest = next(value for sensor, at, value in readings() if sensor == "P1.p" and at == NOW)
    assert assets["P1"]["latest"] == [
        {"quantity": "pressure_m", "value": newest, "observed_at": "2026-03-10T06:30:00Z", "state": "good"}
    ]
    assert set(assets) == {"D1", "P1", "P2", "T1"}
    feeds = {row["feed"]: row for row in ask.get("/api/v1/feeds").json()["feeds"]}
    assert feeds["network"]["decoded"] == 388
    assert feeds["network"]["stored"] + feeds["network"]["duplicate"] + feeds["network"]["quarantined"] == 388
    assert len(feeds["network"]["strip"]) == 24
    dictionary = ask.get("/api/v1/tables", table="service_requests").json()["tables"]
    assert {"table", "column", "type", "unit", "meaning", "source"} == set(dictionary[0])
    assert "description" not in {row["column"] for row in dictionary}
    assert ask.get("/api/v1/runs").json() == {"runs": [], "count": 0, "next": None}
    assert ask.get("/api/v1/alarms").json()["next"] is None


def test_every_table_of_the_dictionary_can_be_taken_away(ask: Asker) -> None:
    for table in {row["table"] for row in ask.get("/api/v1/tables").json()["tables"]}:
        assert ask.get(f"/api/v1/tables/{table}").status_code == 200, table


@pytest.mark.parametrize(
    "address",
    ["/api/v1/readings", "/api/v1/kpis", "/healthz", "/readyz", "/metrics", "/openapi.json", "/api/v1/tables/assets"],
)
def test_head_answers_like_get_without_a_body(ask: Asker, address: str) -> None:
    head, get = ask("HEAD", address), ask("GET", address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    # What is measured of the system itself is longer or shorter by a digit from one moment to the next.
    apart = 100 if address == "/metrics" else 0
    assert abs(int(head.headers["content-length"]) - int(get.headers["content-length"])) <= apart


def test_a_file_is_named_after_table_ward_and_span(ask: Asker) -> None:
    answer = ask.get(
        "/api/v1/tables/service_requests", ward="W2", **{"from": (NOW - 9 * DAY).isoformat(), "to": NOW.isoformat()}
    )
    assert (
        answer.headers["content-disposition"]
        == 'attachment; filename="service_requests_ward-W2_20260301T063000Z_20260310T063000Z.csv"'
    )


def test_a_long_export_is_streamed_whole_and_head_does_not_read_it(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "AT_ONCE", 20)
    monkeypatch.setattr(spans, "MANY_ROWS", 30)
    monkeypatch.setattr(spans, "FEW_ROWS", 10)
    answer = ask.get("/api/v1/readings")
    rows = rows_of(answer.text)
    assert {(row["sensor"], row["observed_at"]): float(row["value"]) for row in rows} == expected()
    assert len(rows) == 386
    head = ask("HEAD", "/api/v1/readings")
    assert (head.status_code, head.content) == (200, b"")


def test_an_export_that_fails_midway_breaks_off_for_all_to_see(
    both: tuple[Asker, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, town = both
    monkeypatch.setattr(answers, "AT_ONCE", 20)
    monkeypatch.setattr(depot, "MOST_ROWS", -1)
    monkeypatch.setattr(spans, "FEW_ROWS", 10)
    whole, calls = town.readings, []

    def failing(sensors: list[str], low: datetime, high: datetime) -> pl.DataFrame:
        calls.append(low)
        if high is None:
            raise OSError(5, "the disk is gone")
        return whole(sensors, low, high)

    monkeypatch.setattr(town, "readings", failing)
    said: list[dict[str, Any]] = []
    with pytest.raises(RuntimeError) as caught:
        asyncio.run(_bare(api.build(town), "/api/v1/readings", said))
    assert "the disk is gone" in str(caught.value.__cause__)
    assert len(calls) > 2
    assert said[0]["status"] == 200
    assert all(message.get("more_body") for message in said[1:])


async def _bare(app: Any, path: str, said: list[dict[str, Any]]) -> None:
    """Ask as a server does; what the app says is noted."""

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
    }
    await app(
        {**scope, "http_version": "1.1", "scheme": "http", "raw_path": path.encode(), "root_path": ""}, receive, send
    )


def test_gap_between_wards_is_that_of_the_listed_ward_values(ask: Asker) -> None:
    listed = ask.get("/api/v1/kpis", kpi="pressure_compliance").json()["kpis"]
    wards = {row["ward"]: row["value"] for row in listed if row["ward"]}
    gap = ask.get("/api/v1/kpis", kpi="ward_equity_gap", area="kpi:pressure_compliance").json()["kpis"]
    assert len(gap) == 1
    assert set(wards) == {"W1", "W2"} and None not in wards.values()
    assert gap[0]["value"] == pytest.approx(max(wards.values()) - min(wards.values()))
    assert (gap[0]["numerator"], gap[0]["denominator"]) == (min(wards.values()), max(wards.values()))
    compared = ask.get("/api/v1/kpis/pressure_compliance/wards").json()
    assert compared["gap"] == gap[0]["value"]
    # 1000 and 3000 residents
    assert compared["town"] == pytest.approx((wards["W1"] + 3 * wards["W2"]) / 4)
    assert {side["method"] for side in compared["wards"]} == {"Wilson 95 % interval of a share"}
    told = ask.get("/api/v1/kpis/ward_equity_gap/explain", area="kpi:pressure_compliance").json()
    assert told["value"] == gap[0]["value"] and told["catalogue"] == "CO-01"
    assert told["comparison"]["wards"] == compared["wards"]


def test_every_kpi_by_ward_has_its_gap_and_others_are_refused(both: tuple[Asker, Town]) -> None:
    ask, town = both
    areas = {row["area"] for row in ask.get("/api/v1/kpis", kpi="ward_equity_gap").json()["kpis"]}
    assert areas == {f"kpi:{kpi.id}" for kpi in town.settings.kpis if "ward" in kpi.levels}
    refused = ask.get("/api/v1/kpis/cpgrams_compliance/wards")
    assert refused.status_code == 404
    assert "not by ward" in refused.json()["detail"]


def test_history_of_a_gap_follows_the_published_ward_values(both: tuple[Asker, Town]) -> None:
    ask, town = both
    rows = ask.get("/api/v1/kpis/ward_equity_gap/history", area="kpi:pressure_compliance", format="json").json()[
        "history"
    ]
    past = town.history("pressure_compliance", ["ward:W1", "ward:W2"])
    for row in rows:
        window = datetime.fromisoformat(row["window"])
        values = past.filter(pl.col("window") == window)["value"].drop_nulls().to_list()
        assert row["value"] == (pytest.approx(max(values) - min(values)) if values else None)
    assert any(row["value"] is not None for row in rows)
    assert ask.get("/api/v1/kpis/ward_equity_gap/history").status_code == 422


def test_town_score_is_the_mean_of_its_members_and_says_what_it_left_out(both: tuple[Asker, Town]) -> None:
    ask, town = both
    told = ask.get("/api/v1/kpis/town_score/explain").json()
    row = ask.get("/api/v1/kpis", kpi="town_score").json()["kpis"][0]
    assert row["value"] == told["value"] and row["n"] == len(told["members"]) > 0
    declared = {kpi.id: kpi for kpi in town.settings.kpis}
    for member in told["members"]:
        kpi = declared[member["kpi"]]
        up = member["value"] / member["target"] if kpi.better == "higher" else member["target"] / member["value"]
        assert member["raw"] == pytest.approx(up)
        assert member["score"] == pytest.approx(min(1.25, up), abs=0.01) and member["score"] >= min(1.25, up) - 1e-9
    mean = sum(member["score"] for member in told["members"]) / len(told["members"])
    assert mean - 1e-9 <= told["value"] < mean + 0.01
    assert {one["kpi"] for one in told["left_out"]} | {one["kpi"] for one in told["members"]} == {
        kpi.id for kpi in town.settings.kpis if kpi.better != "context" and "town" in kpi.levels
    }
    days = ask.get("/api/v1/kpis/town_score/history", format="json", **{"from": "2026-03-08T00:00:00Z"}).json()[
        "history"
    ]
    assert days and days[-1]["end"] > "2026-03-10"


def test_interval_stands_beside_a_share_of_few(ask: Asker) -> None:
    rows = ask.get("/api/v1/kpis", kpi="pressure_compliance", area="ward:W1").json()["kpis"]
    assert rows[0]["low"] <= rows[0]["value"] <= rows[0]["high"]
