"""THE LINE as a whole: whatever the order, the splitting, the dirt or the kill, the same rows give the same town."""

import random
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine import compaction, flow, validate
from pipelines.engine.flow import RawMessage
from pipelines.engine.line import Line
from pipelines.engine.tables import ENGINE_TABLES
from tests.engine import small_town as town
from tests.engine.small_town import NOON, abandon, beat, csv_of, history, make, readings, send

BOUNDED = settings(
    max_examples=4,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SENSORS = ("D1.in", "P1.p", "P2.p", "T1.level", "T1.out")
END = NOON
# One of each kind: rollups, raw readings, a state at the end of a window, spans that overlap, hours, weeks and months.
KPIS = frozenset({
    "supply_per_head", "pressure_compliance", "tank_autonomy", "minimum_night_flow", "backlog", "km_median_days",
    "requests_received", "median_first_response", "sla_compliance",
})  # fmt: skip
Payload = tuple[str, bytes]


def open_line(folder: Path, now: datetime) -> Line:
    return town.open_line(folder, now, KPIS)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


def fresh(place: Path) -> Path:
    """An empty town; those of the examples before are taken away."""
    for old in place.iterdir():
        shutil.rmtree(old)
    return make(place / "town")


def rows(days: int = 2) -> list[tuple[str, datetime, float]]:
    """Readings of all sensors up to END, every quarter of an hour."""
    found = []
    for place, sensor in enumerate(SENSORS):
        for n in range(days * 96):
            at = END - timedelta(minutes=15 * n + 5)
            found.append((sensor, at, round(3 + place + (n * 7 % 11) / 10, 2)))
    return found


def complaints() -> list[str]:
    """Rows of the complaint book, each request once."""
    found = []
    for n in range(24):
        asked = END - timedelta(hours=3 * n + 1)
        closed = (asked + timedelta(hours=n % 30)) if n % 3 else None
        closed = closed if closed and closed < END else None
        state = "closed" if closed else "open"
        found.append(
            f"R{n},{state},No water,WATER,Water works,{asked.isoformat()},{closed.isoformat() if closed else ''},W{n % 2 + 1},{'closed' if closed else 'received'}"
        )
    return found


HEAD = "service_request_id,status,service_name,service_code,agency_responsible,requested_datetime,closed_at,ward,state"


def book(lines: list[str]) -> bytes:
    return "\n".join([HEAD, *lines, ""]).encode()


def payloads(chance: random.Random, *, shuffled: bool) -> list[Payload]:
    """All rows cut into payloads; shuffled: in any order, of any size, some twice."""
    measured, asked = rows(), complaints()
    if not shuffled:
        measured.sort(key=lambda row: row[1])
        return [("network", csv_of(measured)), ("book", book(asked))]
    chance.shuffle(measured)
    chance.shuffle(asked)
    found: list[Payload] = []
    while measured:
        size = chance.choice([1, 90, 300, 500])
        found.append(("network", csv_of(measured[:size])))
        measured = measured[size:]
    while asked:
        size = chance.choice([2, 8, 20])
        found.append(("book", book(asked[:size])))
        asked = asked[size:]
    found += chance.sample(found, len(found) // 3)
    chance.shuffle(found)
    return found


def run_all(line: Line, sent: list[Payload], now: datetime) -> None:
    for feed, payload in sent:
        flow.run(line, [RawMessage(line.settings.feeds[feed], payload, now)], now)


def outcome(line: Line, now: datetime) -> tuple[object, ...]:
    """Everything that must not depend on how the rows came: rows, history and the board's values."""
    state = beat(line, now)
    board = {key: (row["value"], row["n"], row["reason"]) for key, row in state["kpis"].items()}
    requests = line.store.rows("service_requests").drop("received_at").sort("service_request_id").rows()
    assert not line.kpis.faults
    return readings(line), requests, history(line), board


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    line = open_line(make(tmp_path_factory.mktemp("undisturbed") / "town"), END)
    run_all(line, payloads(random.Random(0), shuffled=False), END)
    found = outcome(line, END)
    line.close()
    assert len(found[0]) == 5 * 192
    assert len(found[2]) > 30
    return found


def differing(found: tuple[object, ...], expected: tuple[object, ...]) -> list[object]:
    """What differs, for a message that can be read."""
    parts = []
    for mine, theirs in zip(found, expected, strict=True):
        if isinstance(mine, dict) and isinstance(theirs, dict):
            keys = [k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k)]
            parts.append([(k, mine.get(k), theirs.get(k)) for k in keys[:8]])
        else:
            parts.append([row for row in mine if row not in theirs][:8] if mine != theirs else [])
    return parts


@BOUNDED
@given(seed=st.integers(0, 10_000))
def test_order_splitting_and_repetition_change_nothing(place: Path, undisturbed: tuple[object, ...], seed: int) -> None:
    line = open_line(fresh(place), END)
    run_all(line, payloads(random.Random(seed), shuffled=True), END)
    found = outcome(line, END)
    ledger = line.feeds.ledger()
    line.close()
    assert differing(found, undisturbed) == [[], [], [], []]
    assert ledger["stored"] == 5 * 192 + 24
    assert ledger["decoded"] == ledger["stored"] + ledger["duplicate"]


@BOUNDED
@given(seed=st.integers(0, 10_000))
def test_kills_and_compactions_at_any_moment_change_nothing(
    place: Path, undisturbed: tuple[object, ...], seed: int
) -> None:
    chance = random.Random(seed)
    folder = fresh(place)
    line = open_line(folder, END)
    for number, (feed, payload) in enumerate(payloads(chance, shuffled=True)):
        send(line, feed, payload, END)
        if chance.random() < 0.3:
            flow.beat(line, END)
        if chance.random() < 0.1:
            tables = (*ENGINE_TABLES, *(table for domain in line.settings.domains for table in domain.tables))
            compaction.compact(line.settings.store, tables, line.settings.zone)
            if chance.random() < 0.5:
                line.adopt(END)
        if chance.random() < 0.15:
            copy = town.copied(folder, place / f"copy{number}")
            abandon(line)
            folder = copy
            line = open_line(folder, END)
    found = outcome(line, END)
    ledger = line.feeds.ledger()
    line.close()
    assert differing(found, undisturbed) == [[], [], [], []]
    assert ledger["decoded"] == ledger["stored"] + ledger["duplicate"] + ledger["quarantined"]
    assert ledger["stored"] == 5 * 192 + 24


def test_windows_that_ended_while_nothing_ran_are_published_after_the_restart(place: Path) -> None:
    def day_by_day(folder: Path, kills: set[int]) -> dict:
        line, start = open_line(folder, END - timedelta(days=4)), END - timedelta(days=4)
        measured = sorted(rows(4), key=lambda row: row[1])
        for step in range(16):
            now = start + timedelta(hours=6 * (step + 1))
            due = [row for row in measured if now - timedelta(hours=6) <= row[1] < now]
            if step in kills:
                abandon(line)
                line = open_line(folder, now)
            send(line, "network", csv_of(due), now)
            if step + 1 not in kills:
                beat(line, now)
        found = history(line)
        line.close()
        return found

    expected = day_by_day(make(place / "calm"), set())
    assert day_by_day(make(place / "killed"), {2, 5, 6, 7, 11, 15}) == expected
    assert len(expected) > 20


def test_running_window_is_not_forgotten_when_the_process_ends_before_it_does(place: Path) -> None:
    folder = make(place / "town")
    line = open_line(folder, END)
    send(line, "network", csv_of(rows(1)), END)
    beat(line, END)
    before = history(line)
    abandon(line)
    line = open_line(folder, END + timedelta(days=1))
    beat(line, END + timedelta(days=1))
    today = {key for key in history(line) if key[2] == END.replace(hour=18, minute=30) - timedelta(days=1)}
    line.close()
    assert today
    assert not today & set(before)


def test_late_rows_heal_the_history_to_what_an_orderly_run_publishes(place: Path) -> None:
    measured = sorted(rows(4), key=lambda row: row[1])
    late = [
        row
        for n, row in enumerate(measured)
        if n % 9 == 4 or END - timedelta(hours=60) < row[1] < END - timedelta(hours=40)
    ]
    prompt = [row for row in measured if row not in late]

    def published(folder: Path, first: list, second: list) -> tuple[dict, int]:
        line = open_line(folder, END - timedelta(days=4))
        for hour in range(8, 97, 8):
            now = END - timedelta(days=4) + timedelta(hours=hour)
            due = [row for row in first if now - timedelta(hours=8) <= row[1] < now]
            send(line, "network", csv_of(due), now)
            beat(line, now)
        if second:
            send(line, "network", csv_of(second), END)
        beat(line, END)
        revisions = line.store.rows("kpi_values")["revision"].max()
        found = history(line)
        line.close()
        return found, revisions

    orderly, _ = published(make(place / "orderly"), measured, [])
    healed, revisions = published(make(place / "late"), prompt, late)
    assert healed == orderly
    assert revisions > 1


def test_value_corrected_away_becomes_unknown_in_the_history(place: Path) -> None:
    line = open_line(make(place / "town"), END)
    yesterday = [("P1.p", END - timedelta(hours=35) + timedelta(minutes=15 * n), 12.0) for n in range(90)]
    send(line, "network", csv_of(yesterday), END)
    beat(line, END)
    was = {key for key in history(line) if key[:2] == ("pressure_compliance", "ward:W1")}
    assert was
    assert send(line, "network", csv_of([(sensor, at, "") for sensor, at, _ in yesterday]), END).corrected == 90
    beat(line, END)
    rows = line.store.rows("kpi_values").sort("revision")
    line.close()
    for _, area, window in was:
        last = rows.filter(kpi="pressure_compliance", area=area, window=window).row(-1, named=True)
        assert (last["value"], last["reason"], last["revision"]) == (None, "no_data", 2)


DIRT = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.lists(
        st.tuples(
            st.sampled_from(["D1.in", "P1.p", "nobody", "", "T1.level", "ü"]),
            st.sampled_from(["2026-03-10T05:00:00Z", "2026-03-10T05:15:00Z", "soon", "", "1970-01-01T00:00:00Z", "2031-01-01T00:00:00Z", "2026-02-30T00:00:00Z"]),
            st.sampled_from(["1", "2", "-9999", "1e400", "nan", "", "1,5", "x", "99999999", "0x10"]),
            st.sampled_from(["", "m3/h", "L/s", "kW", "°C", "m", "???"]),
        ),
        max_size=25,
    ).map(lambda cells: "\n".join(["sensor,observed_at,value,unit", *(",".join(row) for row in cells)]).encode()),
    st.lists(
        st.tuples(
            st.sampled_from(["A1", "A2", "", "A1"]),
            st.sampled_from(["open", "closed", "maybe", ""]),
            st.sampled_from(["2026-03-09T05:00:00Z", "never", "", "2026-03-10T02:00:00Z"]),
            st.sampled_from(["", "2026-03-09T04:00:00Z", "2026-03-09T14:00:00Z", "x"]),
            st.sampled_from(["0.5", "91", "", "abc"]),
            st.sampled_from(["0.5", "", "-500"]),
            st.sampled_from(["", "5", "9", "x", "3.5"]),
        ),
        max_size=15,
    ).map(lambda cells: "\n".join(["service_request_id,status,requested_datetime,closed_at,lat,lon,rating", *(",".join(row) for row in cells)]).encode()),
)  # fmt: skip


@settings(BOUNDED, max_examples=40)
@given(
    sent=st.lists(
        st.tuples(st.sampled_from(["network", "book", "bills", "open311_json", "push"]), DIRT), min_size=1, max_size=6
    )
)
def test_every_decoded_row_is_stored_known_or_set_aside(dirty: Line, sent: list[Payload]) -> None:
    line = dirty
    before = line.feeds.ledger()
    messages = [RawMessage(line.settings.feeds[feed], payload, END) for feed, payload in sent]
    receipts = flow.take(line, messages, END)
    for receipt in receipts:
        assert receipt.decoded == receipt.stored + receipt.duplicate + receipt.quarantined
        assert receipt.corrected <= receipt.stored
        assert all(detail and "Traceback" not in detail for _, _, detail in receipt.reasons)
    after = line.feeds.ledger()
    for name in ("decoded", "stored", "duplicate", "quarantined"):
        assert after[name] - before[name] == sum(getattr(receipt, name) for receipt in receipts)
    assert line.store.rows("readings").select("series", "observed_at").is_unique().all()


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    line = open_line(make(tmp_path_factory.mktemp("dirty") / "town"), END)
    yield line
    beat(line, END)
    assert not line.kpis.faults
    line.close()


def test_poison_payload_does_not_touch_the_others_of_its_batch(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = open_line(make(place / "town"), END)
    whole = validate.check

    def check(decoded, feed, *rest):
        if feed.name == "book":
            raise TypeError("a list is no text")
        return whole(decoded, feed, *rest)

    monkeypatch.setattr(validate, "check", check)
    feeds = line.settings.feeds
    poison, good = flow.take(
        line,
        [RawMessage(feeds["book"], book(complaints()), END), RawMessage(feeds["network"], csv_of(rows(1)), END)],
        END,
    )
    line.close()
    assert (poison.decoded, poison.quarantined) == (1, 1)
    assert "kept as it came" in (poison.refused_words or "")
    assert good.stored == 5 * 96


def test_nothing_is_kept_and_no_number_given_when_the_disk_refuses(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(place / "town")
    line = open_line(folder, END)

    def full(handle: int, frame: bytes) -> int:
        raise OSError(28, "no space left")

    with monkeypatch.context() as broken:
        broken.setattr("pipelines.engine.journal.os.write", full)
        with pytest.raises(OSError, match="no space"):
            send(line, "network", csv_of(rows(1)), END)
    assert readings(line) == []
    assert line.feeds.ledger()["decoded"] == 0
    assert send(line, "network", csv_of(rows(1)), END).stored == 5 * 96
    abandon(line)
    line = open_line(folder, END)
    assert len(readings(line)) == 5 * 96
    line.close()


def test_values_that_the_disk_refused_stand_on_the_board_and_are_kept_by_the_next_beat(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = open_line(make(place / "town"), END)
    send(line, "network", csv_of(rows(3)), END)

    def full(handle: int, frame: bytes) -> int:
        raise OSError(28, "no space left")

    with monkeypatch.context() as broken:
        broken.setattr("pipelines.engine.journal.os.write", full)
        board = flow.beat(line, END)
    assert board.state["kpis"], "the board went dark because the disk was full"
    assert history(line) == {}
    beat(line, END)
    assert len(history(line)) > 20
    line.close()


def test_bill_that_comes_late_touches_the_months_it_is_for(place: Path) -> None:
    line = open_line(make(place / "town"), END)
    beat(line, END)
    send(line, "bills", b"DMA,From,To,Billed m3\nD1,01/01/2026,31/01/2026,41280\n", END)
    low, high = line.drain_touched()["water_bills"]
    line.close()
    assert low <= datetime.fromisoformat("2026-01-01T00:00+05:30")
    assert high >= datetime.fromisoformat("2026-01-31T00:00+05:30")


def test_correction_touches_the_windows_the_row_has_left(place: Path) -> None:
    line = open_line(make(place / "town"), END)
    asked, first, second = (END - timedelta(days=n) for n in (9, 2, 5))
    for closed in (first, second):
        line.drain_touched()
        line_of = f"R1,closed,No water,WATER,Water works,{asked.isoformat()},{closed.isoformat()},W1,closed"
        send(line, "book", book([line_of]), END)
    low, high = line.drain_touched()["service_requests"]
    line.close()
    assert low == asked
    assert high >= first
