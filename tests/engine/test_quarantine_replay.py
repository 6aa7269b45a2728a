"""Quarantined rows taken in once more: what was mended lands once, the rest waits, nothing is deleted or undone."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine import compaction, flow, tokens
from pipelines.engine import town as reading
from pipelines.engine.asking import Misasked
from pipelines.engine.decode.rejoin import context_of, rejoined
from pipelines.engine.flow import RawMessage
from pipelines.engine.healing import Outcome, Wish, heal, waiting_rows
from pipelines.engine.line import Line
from pipelines.engine.local import replayed
from pipelines.engine.people.roles import ITSELF
from pipelines.engine.requeue import requeue, told
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import NOW, SECRET, TOML, answering, asked, request, sent
from tests.engine.decode.test_gtfs_static import packed

DOMAINS = '["water", "grievances"]'
LATER = NOW + timedelta(hours=2)
EXTRA = "P9.p,P2,pressure_m,metre_head,15 min,,\n"
HOUR = timedelta(hours=1)


def make(tmp_path: Path) -> Path:
    return small_town.make(tmp_path / "town", TOML.format(zone=small_town.ZONE, domains=DOMAINS))


@contextmanager
def opened(folder: Path, at: Any = NOW) -> Iterator[Line]:
    line = small_town.open_line(folder, at, frozenset())
    try:
        yield line
    finally:
        line.close()


def again(folder: Path, wish: Wish | None = None) -> Outcome:
    """A replay by a line that was started after something was mended."""
    with opened(folder, LATER) as line:
        return heal(line, wish or Wish(), lambda: LATER)


def values(folder: Path) -> list[tuple[str, Any, float | None]]:
    with opened(folder, LATER) as line:
        return small_town.readings(line)


def mend(folder: Path, old: str, new: str) -> None:
    path = folder / "town.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def register(folder: Path) -> None:
    path = folder / "reference" / "sensors.csv"
    path.write_text(path.read_text("utf-8") + EXTRA, "utf-8")


def balanced(line: Line) -> bool:
    ledger = line.feeds.ledger()
    return bool(ledger["decoded"] == ledger["stored"] + ledger["duplicate"] + ledger["quarantined"])


# formats ------------------------------------------------------------------------------------------------------------

ROWS = [("P9.p", NOW - HOUR * n, 10.0 + n) for n in range(1, 4)]


def as_json(rows: list[tuple[str, Any, float]]) -> bytes:
    return orjson.dumps({"readings": [{"sensor": s, "observed_at": at.isoformat(), "value": v} for s, at, v in rows]})


def as_ndjson(rows: list[tuple[str, Any, float]]) -> bytes:
    return b"".join(
        orjson.dumps({"sensor": s, "observed_at": at.isoformat(), "value": v}) + b"\r\n" for s, at, v in rows
    )


def as_xlsx(rows: list[tuple[str, Any, float]]) -> bytes:
    body = io.BytesIO()
    with xlsxwriter.Workbook(body) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(
            [("sensor", "observed_at", "value"), *((s, at.isoformat(), v) for s, at, v in rows)]
        ):
            sheet.write_row(number, 0, row)
    return body.getvalue()


def as_parquet(rows: list[tuple[str, Any, float]]) -> bytes:
    body = io.BytesIO()
    pl.DataFrame(rows, schema=["sensor", "observed_at", "value"], orient="row").write_parquet(body)
    return body.getvalue()


def of_semicolons(rows: list[tuple[str, Any, float]]) -> bytes:
    lines = [f'"{s}";{at.isoformat()};{v};"a note\nof two lines"' for s, at, v in rows]
    return "\r\n".join(["exported by the works", "sensor;observed_at;value;Bemerkung für später", *lines]).encode(
        "cp1252"
    )


@pytest.mark.parametrize(
    ("form", "write", "mapping"),
    [
        ("csv", small_town.csv_of, ""),
        ("csv", of_semicolons, "skip_before = 1"),
        ("json", as_json, 'records = "readings"'),
        ("ndjson", as_ndjson, ""),
        ("xlsx", as_xlsx, ""),
        ("parquet", as_parquet, ""),
    ],
)
def test_rows_of_an_unknown_sensor_heal_when_it_is_registered(
    tmp_path: Path, form: str, write: Callable[[Any], bytes], mapping: str
) -> None:
    folder = make(tmp_path)
    mend(folder, 'use = "water.network_readings"\nfrom = "drop_folder"',
         f'from = "drop_folder"\nformat = "{form}"\ntable = "readings"\nevery = "1 h"\n[feeds.network.mapping]\n{mapping}')  # fmt: skip
    with opened(folder) as line:
        rows = [*ROWS[:2], ("P1.p", NOW - HOUR, 7.0), ROWS[2]]
        receipt = small_town.send(line, "network", write(rows), NOW)
        assert (receipt.stored, receipt.quarantined) == (1, 3)
        assert heal(line, Wish(), lambda: NOW) == Outcome(tried=3, refused={"unknown_sensor": 3})
    register(folder)
    assert again(folder) == Outcome(tried=3, healed=3, stored=3)
    assert values(folder) == sorted([("P1.p", NOW - HOUR, 7.0), *ROWS])
    assert again(folder) == Outcome()


def test_decimal_commas_heal_when_the_mapping_is_mended(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        body = b'when,metres\n2026-03-10 11:45:00,"14,25"\n2026-03-10 11:30:00,13\n'
        receipt = flow.take(line, [RawMessage(line.settings.feeds["scada"], body, NOW)], NOW)[0]
        assert (receipt.stored, receipt.quarantined) == (1, 1)
    mend(folder, 'value = "metres"', 'value = "metres"\ndecimal = ","')
    assert again(folder).healed == 1
    assert [value for _, _, value in values(folder)] == [13.0, 14.25]


def test_payload_that_could_not_be_read_heals_as_an_arrival_of_its_own(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        body = b"when,meters\n2026-03-10 11:45:00,14.25\n2026-03-10 11:30:00,-999\n2026-03-10 11:15:00,12\n"
        receipt = flow.take(line, [RawMessage(line.settings.feeds["scada"], body, NOW)], NOW)[0]
        assert receipt.refused_words is not None
        before = line.feeds.ledger()
        assert (before["decoded"], before["quarantined"]) == (1, 1)
    mend(folder, 'value = "metres"', 'value = "meters"')
    path = folder / "reference" / "sensors.csv"
    path.write_text(
        path.read_text("utf-8").replace(
            "P1.p,P1,pressure_m,metre_head,15 min,,", "P1.p,P1,pressure_m,metre_head,15 min,0,100"
        )
    )
    with opened(folder, LATER) as line:
        assert heal(line, Wish(feed="scada"), lambda: LATER) == Outcome(tried=1, healed=1, stored=2)
        after = line.feeds.ledger()
        # Its three rows are counted as what they are: two taken in, one set aside that nobody had seen before.
        assert (after["decoded"], after["stored"], after["quarantined"]) == (1 + 3, 2, 1 + 1)
        assert balanced(line)
        left = waiting_rows(line.store, Wish())
        assert left.select("reason", "row", "at").rows() == [("out_of_range", 3, NOW)]


def test_pushed_payload_is_replayed_into_the_table_that_its_sender_chose(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        bill = {"dma": "D1", "period_start": "2026-02-01", "period_end": "2026-02-28", "billed_m3": "many"}
        assert sent(line, "water_bills", [bill]).quarantined == 1
        bad = {**request("R9", "no place", "W1", NOW), "state": "lost"}
        assert sent(line, "service_requests", [bad, request("R1", "", "W1", NOW - HOUR)]).quarantined == 1
        outcome = heal(line, Wish(), lambda: LATER)
    assert outcome == Outcome(tried=2, refused={"not_allowed": 1, "unreadable_number": 1})


# what heals and what does not ----------------------------------------------------------------------------------------


def test_what_still_does_not_pass_waits_with_its_reason_of_today(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        rows = [("P9.p", NOW - HOUR, 5.0), ("P9.p", NOW - 2 * HOUR, 5000.0), ("P8.p", NOW - HOUR, 5.0)]
        small_town.send(line, "network", small_town.csv_of(rows), NOW)
    path = folder / "reference" / "sensors.csv"
    path.write_text(path.read_text("utf-8") + EXTRA.replace(",,\n", ",0,100\n"), "utf-8")
    assert again(folder) == Outcome(
        tried=3, healed=1, stored=1, refused={"out_of_range": 1, "unknown_sensor": 1}
    )  # fmt: skip
    town = Town(small_town.read(folder), lambda: LATER)
    waiting = town.quarantine(actor=ITSELF)
    assert sorted(waiting.select("reason", "refused_again").rows()) == [
        ("unknown_sensor", "out_of_range"), ("unknown_sensor", "unknown_sensor"),
    ]  # fmt: skip
    assert town.quarantine_counts().select("reason", "rows", "healed").rows() == [("unknown_sensor", 2, 1)]
    assert town.quarantine(state="healed", actor=ITSELF)["replayed_at"].to_list() == [LATER]
    assert town.quarantine(state="all", actor=ITSELF).height == 3


def test_healed_rows_are_an_arrival_with_its_own_balance(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        small_town.send(line, "network", small_town.csv_of([*ROWS, ("P1.p", NOW, 3.0), ("P8.p", NOW, 1.0)]), NOW)
        before = line.feeds.ledger()
        assert (before["decoded"], before["stored"], before["quarantined"]) == (5, 1, 4)
    register(folder)
    with opened(folder, LATER) as line:
        heal(line, Wish(), lambda: LATER)
        after = line.feeds.ledger()
        assert (after["decoded"], after["stored"], after["quarantined"]) == (8, 4, 4)
        assert balanced(line)
        heal(line, Wish(), lambda: LATER)
        assert line.feeds.ledger() == after
        newest = line.store.rows("arrivals").sort("received_at").row(-1, named=True)
        # It covers the time of its rows, not the time of the replay: the feed was silent since.
        assert (newest["observed_at"], newest["bytes"] > 0) == (NOW - HOUR, True)
    with opened(folder, LATER) as line:
        assert line.feeds.ledger() == after


def test_correction_that_came_since_is_not_undone(tmp_path: Path) -> None:
    folder = make(tmp_path)
    at = NOW - HOUR
    with opened(folder) as line:
        small_town.send(line, "network", small_town.csv_of([("T1.level", at, 2.0)]), NOW - HOUR)
        small_town.send(
            line, "network", small_town.csv_of([("T1.level", at, 12.0), ("T1.level", at - HOUR, 11.0)]), NOW
        )
        small_town.send(line, "network", small_town.csv_of([("T1.level", at - HOUR, 4.0)]), NOW + HOUR)
        assert waiting_rows(line.store, Wish()).height == 2
    path = folder / "reference" / "sensors.csv"
    path.write_text(path.read_text("utf-8").replace("15 min,0,10", "15 min,0,20"), "utf-8")
    # The first came after the value that stands and corrects it; since the second, its sender has corrected it himself.
    assert again(folder) == Outcome(tried=2, healed=2, stored=1, duplicate=1)
    assert values(folder) == [("T1.level", at - HOUR, 4.0), ("T1.level", at, 12.0)]


def test_row_of_the_future_does_not_heal_by_waiting(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        small_town.send(line, "network", small_town.csv_of([("P1.p", NOW + HOUR, 5.0)]), NOW)
    assert again(folder) == Outcome(tried=1, refused={"from_the_future": 1})


def test_only_what_is_wished_is_tried(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        small_town.send(line, "network", small_town.csv_of([ROWS[0], ("P1.p", NOW, 1e9)]), NOW - HOUR)
        small_town.send(line, "network", small_town.csv_of(ROWS[1:]), NOW)
        sent(line, "readings", [{"sensor": "P9.p", "observed_at": NOW.isoformat(), "value": 1}])

        def tried(**wish: Any) -> int:
            return heal(line, Wish(**wish), lambda: LATER).tried

        assert tried(feed="push") == 1
        assert tried(reason="unknown_sensor") == 4
        assert tried(since=NOW) == 3
        assert tried(feed="network", reason="unknown_sensor", since=NOW) == 2
        assert tried(feed="nobody") == 0


def test_those_that_were_not_tried_for_longest_come_first(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        rows = [(f"X{n}", NOW - HOUR, 1.0) for n in range(5)]
        small_town.send(line, "network", small_town.csv_of(rows), NOW)
        outcome = heal(line, Wish(most=2), lambda: LATER)
        assert (outcome.tried, outcome.left) == (2, 3)
        heal(line, Wish(most=2), lambda: LATER + HOUR)
        heal(line, Wish(most=1), lambda: LATER + 2 * HOUR)
        assert line.store.rows("quarantine_replays").height == 5


def test_one_poisoned_row_keeps_none_of_its_file_from_healing(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        body = b'sensor,observed_at,value,unit\nP9.p,2026-03-10T05:00:00Z,1,\n"P9.p,2026-03-10T05:15:00Z,2,\nP9.p,\xff\xfe,3,\nP9.p,2026-03-10T05:30:00Z,4,\n'
        assert small_town.send(line, "network", body, NOW).quarantined == 4
    register(folder)
    outcome = again(folder)
    assert (outcome.tried, outcome.healed, outcome.stored) == (4, 2, 2)
    assert [value for _, _, value in values(folder)] == [1.0, 4.0]


def test_power_cut_between_landing_and_mark_makes_no_row_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        small_town.send(line, "network", small_town.csv_of(ROWS), NOW)
    register(folder)
    with monkeypatch.context() as cut:
        cut.setattr("pipelines.engine.healing._mark", lambda *_: (_ for _ in ()).throw(OSError(5, "cut")))
        with pytest.raises(OSError, match="cut"):
            again(folder)
    assert again(folder) == Outcome(tried=3, healed=3, duplicate=3)
    assert values(folder) == sorted(ROWS)


def test_marks_outlive_compaction(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        small_town.send(line, "network", small_town.csv_of(ROWS), NOW)
        heal(line, Wish(), lambda: NOW)
        compaction.compact(line.settings.store, line.store.tables.values(), line.settings.zone)
        line.adopt(NOW)
    register(folder)
    assert again(folder) == Outcome(tried=3, healed=3, stored=3)
    with opened(folder, LATER) as line:
        compaction.compact(line.settings.store, line.store.tables.values(), line.settings.zone)
        line.adopt(LATER)
        assert waiting_rows(line.store, Wish()).is_empty()
    assert again(folder) == Outcome()


def test_feed_that_is_gone_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        body = b"when,metres\nyesterday,14.25\n"
        flow.take(line, [RawMessage(line.settings.feeds["scada"], body, NOW)], NOW)
    text = (folder / "town.toml").read_text("utf-8")
    start, end = text.index("[feeds.scada]"), text.index("[water.kpis")
    (folder / "town.toml").write_text(text[:start] + text[end:], "utf-8")
    assert again(folder) == Outcome(tried=1, refused={"feed_gone": 1})


def test_whole_data_set_is_replayed_as_a_whole_and_never_over_a_newer_one(tmp_path: Path) -> None:
    text = TOML.format(zone=small_town.ZONE, domains='["water", "grievances", "transport"]')
    folder = small_town.make(tmp_path / "town", f'{text}\n[feeds.timetable]\nuse = "transport.gtfs_static"\n')
    stops = "stop_id,stop_name,stop_lat,stop_lon\n01,Old,0.5,0.5\n02,Far,0.5,500\n"
    older = packed(stops=stops)
    with opened(folder) as line:
        feed = line.settings.feeds["timetable"]
        named = replace(feed, format="csv", table="gtfs_stops")
        assert flow.take(line, [RawMessage(named, older, NOW - HOUR)], NOW - HOUR)[0].refused_words
        assert heal(line, Wish(), lambda: NOW).healed == 1
        assert line.store.rows("gtfs_stops")["stop_name"].to_list() == ["Old"]
        assert flow.take(line, [RawMessage(named, older + b" ", NOW - HOUR)], NOW - HOUR)[0].refused_words
        newer = packed(stops=stops.replace("Old", "New"))
        assert flow.take(line, [RawMessage(feed, newer, NOW)], NOW)[0].stored > 0
        # What waits now: the older file, overtaken; and the bad line, which alone would replace the whole.
        assert heal(line, Wish(), lambda: LATER).refused == {"overtaken": 1, "only_whole": 1}
        assert line.store.rows("gtfs_stops")["stop_name"].to_list() == ["New"]


# at the edges --------------------------------------------------------------------------------------------------------


def test_running_line_replays_for_others_and_one_call_at_a_time(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        small_town.send(line, "network", small_town.csv_of(ROWS), NOW)
        with answering(line):
            assert replayed(line.settings, Wish(feed="network")) == Outcome(tried=3, refused={"unknown_sensor": 3})
        assert replayed(line.settings, Wish()) is None


def test_command_tells_what_became_of_the_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        small_town.send(line, "network", small_town.csv_of([*ROWS, ("P8.p", NOW, 1.0)]), NOW)
    register(folder)
    assert requeue(small_town.read(folder), "network", None, "2026-01-01T00:00:00Z", lambda: LATER) == 0
    assert capsys.readouterr().out == (
        "4 rows tried, 3 healed: 3 taken in, 0 known already.\n  still refused: 1 unknown_sensor\n"
    )
    with pytest.raises(Misasked, match="`network`"):
        requeue(small_town.read(folder), "netwrk", None, None, lambda: LATER)
    assert told(Outcome(tried=2, left=7)).endswith("7 more wait.")


def test_clerk_finds_counts_fetches_and_replays_rows_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "FRESH_S", -1.0)
    monkeypatch.setattr(reading, "FOLLOW_S", -1.0)
    folder = make(tmp_path)
    with opened(folder) as line:
        small_town.send(line, "network", small_town.csv_of(ROWS), NOW)
        sent(line, "service_requests", [{**request("R9", "", "W1", NOW), "state": "lost", "description": SECRET}])
        path = tokens.path_of(line.settings.store)
        secret = tokens.add(path, "clerk", ["operate"], NOW)
        narrow = tokens.add(path, "water", ["operate"], NOW, feeds=["network"])
    register(folder)
    with opened(folder, LATER) as line, answering(line), asked(folder, lambda: LATER) as (ask, town):
        clerk, water = ({"Authorization": f"Bearer {one}"} for one in (secret, narrow))
        counts = ask.get("/api/v1/quarantine/counts").json()["counts"]
        assert {(row["feed"], row["reason"], row["rows"]) for row in counts} == {
            ("network", "unknown_sensor", 3), ("push", "not_allowed", 1),
        }  # fmt: skip
        rows = ask.get("/api/v1/quarantine", feed="push").json()["quarantine"]
        assert (rows[0]["withheld"], rows[0]["original"]) == (True, None)
        address = f"/api/v1/quarantine/{rows[0]['id']}/original"
        assert ask("GET", address, headers=water).status_code == 403
        whole = ask("GET", address, headers=clerk)
        assert orjson.loads(whole.content)["description"] == SECRET
        assert whole.headers["content-disposition"].startswith("attachment")
        assert whole.headers["cache-control"] == "no-store"
        assert ask("GET", "/api/v1/quarantine/none/original", headers=clerk).status_code == 404

        def replay(body: Any, headers: dict[str, str] = clerk) -> Any:
            return ask("POST", "/api/v1/quarantine/replay", json=body, headers=headers)

        assert "Name one of them" in replay({}, water).json()["detail"]
        assert replay({"feed": "push"}, water).status_code == 403
        assert replay({"feed": "network", "limit": 1}, water).json() == {
            "tried": 1, "healed": 1, "stored": 1, "duplicate": 0, "left": 2, "refused": {},
        }  # fmt: skip
        told = replay({}).json()
        assert (told["tried"], told["healed"], told["refused"]) == (3, 2, {"not_allowed": 1})
        for wrong, words in (
            ([], "JSON object"), ({"fed": "x"}, "`feed`"), ({"feed": "netwrk"}, "`network`"), ({"feed": 7}, "text"),
            ({"since": "yesterday"}, "since=2026"), ({"limit": 0}, "limit"), ({"limit": True}, "limit"),
        ):  # fmt: skip
            answer = replay(wrong)
            assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
            assert words in answer.json()["detail"]
        assert town.quarantine_counts().filter(feed="network")["healed"].to_list() == [3]
        assert [row["state"] for row in ask.get("/api/v1/quarantine", state="healed").json()["quarantine"]] == [
            "healed"
        ] * 3
    with asked(folder) as (ask, _):
        answer = ask("POST", "/api/v1/quarantine/replay", json={}, headers=clerk)
        assert (answer.status_code, "app.py serve" in answer.json()["detail"]) == (503, True)


def test_payload_meant_for_an_open_table_is_withheld_when_its_feed_may_bring_anything(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with opened(folder) as line:
        # Service requests sent to the address of the bills by mistake: the payload as a whole is refused.
        body = orjson.dumps({"requests": [request("R1", "", "W1", NOW)]})
        from pipelines.engine.pushes import pushed

        message = RawMessage(pushed(line.settings.feeds["push"], "json", "water_bills"), body, NOW)
        assert flow.take(line, [message], NOW)[0].refused_words
    with asked(folder) as (ask, _):
        (row,) = ask.get("/api/v1/quarantine").json()["quarantine"]
        assert (row["table"], row["withheld"], row["original"]) == ("water_bills", True, None)


# the rows alone ------------------------------------------------------------------------------------------------------

CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), min_size=1, max_size=8
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.tuples(CELL, st.integers(-999, 999)), min_size=1, max_size=8), chosen=st.data())
def test_rows_of_a_csv_read_alone_as_they_read_in_their_file(rows: list[tuple[str, int]], chosen: Any) -> None:
    from pipelines.engine.decode.table_file import decode

    body = io.StringIO()
    import csv

    writer = csv.writer(body, delimiter=";")
    writer.writerow(("name", "observed_at", "value", "unit"))
    for place, (name, value) in enumerate(rows):
        writer.writerow((name, f"2026-03-10T05:{place:02d}:00Z", value, ""))
    payload = body.getvalue().encode()
    mapping = {"format": "csv", "table": "readings", "zone": "", "feed": "f", "sensor": "{name}"}
    whole = decode(payload, mapping, NOW)
    frame = whole.tables["readings"]
    if frame.is_empty():
        return
    some = chosen.draw(st.lists(st.sampled_from(frame["_row"].to_list()), min_size=1, unique=True))
    encoding, heading = context_of(payload, mapping)
    joined = rejoined("csv", [whole.original(row) for row in some], mapping, encoding, heading)
    alone = decode(joined.payload, {**joined.mapping, "format": joined.form}, NOW).tables["readings"]
    columns = ["sensor", "observed_at", "value"]
    expected = pl.concat([frame.filter(pl.col("_row") == row) for row in some])
    assert alone.select(columns).rows() == expected.select(columns).rows()
    assert alone["_row"].to_list() == list(joined.places)
