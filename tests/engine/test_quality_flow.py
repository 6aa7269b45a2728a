"""Quality through the line: the verdict is that of the series, whatever the order, doubling and delay of what came."""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import flow
from pipelines.engine.compaction import compact
from pipelines.engine.line import Line
from pipelines.engine.quality import checks
from pipelines.engine.quality.assessor import limits
from tests.engine.small_town import NOON, abandon, after, copied, csv_of, make, open_line, send

START = NOON - timedelta(hours=30)
NO_KPIS = frozenset({"pressure_compliance"})
SENSORS = (
    "sensor,asset,quantity,unit,every,low,high,stuck_after\n"
    "P1.p,P1,pressure_m,metre_head,15 min,,,2 h\n"
    "P2.p,P2,pressure_m,metre_head,15 min,,,2 h\n"
    "T1.level,T1,tank_level_m,m,15 min,0,10,2 h\n"
)
Row = tuple[str, datetime, float]
SPIKY = [("T1.level", after(NOON, -15 * n), 5.0 if n == 3 else 3.0 + n / 100) for n in range(8)]


def town(folder: Path) -> Path:
    made = make(folder)
    (made / "reference" / "sensors.csv").write_text(SENSORS, "utf-8")
    return made


def day() -> list[Row]:
    """Thirty hours of three sensors: one stuck for three hours, one with spikes, one whose second day is a copy."""
    rows: list[Row] = []
    for n in range(120):
        at = START + timedelta(minutes=15 * n)
        level = 3.0 + 0.01 * (n % 7)
        rows += [
            ("P1.p", at, 20.0 if 40 <= n < 53 else 20.0 + 0.1 * (n % 9)),
            ("P2.p", at, float((n % 96 * 37) % 101) / 4),
            ("T1.level", at, level + (2.5 if n in (30, 77) else 0.0)),
        ]
    return rows


ROWS = day()


def stored(line: Line) -> dict[tuple[str, datetime], tuple[float | None, int]]:
    names = {number: sensor for sensor, number in line.series.numbers.items()}
    rows = line.store.rows("readings", columns=["series", "observed_at", "value", "quality"])
    return {(names[series], at): (value, quality) for series, at, value, quality in rows.iter_rows()}


def counts(line: Line) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    for (sensor, _), (_, quality) in stored(line).items():
        found[sensor, quality] = found.get((sensor, quality), 0) + 1
    return {key: n for key, n in found.items() if key[1]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, datetime], tuple[float | None, int]]:
    line = open_line(town(tmp_path_factory.mktemp("plain") / "town"), NOON, NO_KPIS)
    send(line, "network", csv_of(ROWS), NOON)
    line.judge(NOON, all_due=True)
    found = stored(line)
    line.close()
    return found


def test_every_planted_fault_has_its_code_and_no_other_reading_has_one(
    undisturbed: dict[tuple[str, datetime], tuple[float | None, int]],
) -> None:
    def hit(sensor: str, code: int) -> set[int]:
        rows = {
            (at - START) // timedelta(minutes=15)
            for (s, at), (_, q) in undisturbed.items()
            if s == sensor and q == code
        }
        return rows

    assert hit("P1.p", 12) == set(range(41, 53))
    assert hit("T1.level", 11) == {30, 77}
    # The copy begins where the first day is known: 24 hours are 96 rows.
    assert hit("P2.p", 13) == set(range(96, 120))
    assert sum(q != 0 for _, q in undisturbed.values()) == 12 + 2 + 24
    assert all(value is not None for value, _ in undisturbed.values())


@settings(max_examples=6)
@given(st.data())
def test_verdict_is_the_same_in_any_order_with_any_doubles_and_delays(data: st.DataObject) -> None:
    want = plain()
    shuffled = data.draw(st.permutations(range(len(ROWS))))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(ROWS) - 1), min_size=1, max_size=6)))
    doubled = data.draw(st.lists(st.integers(0, len(ROWS) - 1), max_size=40))
    blocks = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(ROWS)], strict=True)]
    with TemporaryDirectory() as scratch:
        line = open_line(town(Path(scratch) / "town"), NOON, NO_KPIS)
        for number, block in enumerate(blocks):
            now = after(NOON, number)
            picked = [ROWS[i] for i in [*block, *doubled[: len(block)]]]
            if picked:
                send(line, "network", csv_of(picked), now)
            line.judge(now, all_due=data.draw(st.booleans()))
        line.judge(after(NOON, 60), all_due=True)
        assert stored(line) == want
        ledger = line.feeds.ledger()
        assert ledger["decoded"] == ledger["stored"] + ledger["duplicate"] + ledger["quarantined"]
        line.close()


KNOWN: dict[str, dict[tuple[str, datetime], tuple[float | None, int]]] = {}


def plain() -> dict[tuple[str, datetime], tuple[float | None, int]]:
    """What the undisturbed line has, computed by the pure function over each whole series."""
    if not KNOWN:
        with TemporaryDirectory() as scratch:
            line = open_line(town(Path(scratch) / "town"), NOON, NO_KPIS)
            numbers = {"P1.p": 0, "P2.p": 1, "T1.level": 2}
            rows = pl.DataFrame(
                [(numbers[s], at, v) for s, at, v in ROWS],
                schema={"series": pl.Int32, "observed_at": pl.Datetime("us", "UTC"), "value": pl.Float64},
                orient="row",
            ).sort("series", "observed_at")
            found = checks.codes(rows, limits(line.registers, numbers)[0])
            names = {number: sensor for sensor, number in numbers.items()}
            KNOWN["all"] = {(names[s], at): (v, code) for (s, at, v), code in zip(rows.iter_rows(), found, strict=True)}
            line.close()
    return KNOWN["all"]


def test_late_reading_between_takes_the_suspicion_back(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    flat = [("P1.p", after(NOON, -15 * n), 20.0) for n in range(12) if n != 6]
    send(line, "network", csv_of(flat), NOON)
    line.judge(NOON, all_due=True)
    assert counts(line) == {("P1.p", 12): 10}
    send(line, "network", csv_of([("P1.p", after(NOON, -90), 21.0)]), NOON)
    line.judge(NOON, all_due=True)
    # Five before and five after the other value: 75 minutes each are plausible.
    assert counts(line) == {}
    line.close()


def test_correction_of_a_suspect_value_is_judged_anew(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    send(line, "network", csv_of(SPIKY), NOON)
    line.judge(NOON, all_due=True)
    assert counts(line) == {("T1.level", 11): 1}
    receipt = send(line, "network", csv_of([("T1.level", after(NOON, -45), 3.03)]), NOON)
    assert (receipt.stored, receipt.corrected) == (1, 1)
    line.judge(NOON, all_due=True)
    assert counts(line) == {}
    line.close()


def test_suspect_reading_that_comes_again_is_a_duplicate_and_keeps_its_code_and_its_time(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    send(line, "network", csv_of(SPIKY), NOON)
    line.judge(after(NOON, 9), all_due=True)
    receipt = send(line, "network", csv_of(SPIKY), after(NOON, 10))
    assert (receipt.stored, receipt.duplicate) == (0, 8)
    assert counts(line) == {("T1.level", 11): 1}
    assert line.store.rows("readings")["received_at"].unique().to_list() == [NOON]
    line.close()


def test_judgement_waits_for_an_interval_of_readings_and_follows_with_the_beat(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    send(line, "network", csv_of(SPIKY), NOON)
    flow.beat(line, after(NOON, 1))
    assert counts(line) == {}
    flow.beat(line, after(NOON, 6))
    assert counts(line) == {("T1.level", 11): 1}
    line.close()


def test_judgement_waits_since_the_reading_came_however_often_the_line_is_killed(tmp_path: Path) -> None:
    folder = town(tmp_path / "town")
    line = open_line(folder, NOON, NO_KPIS)
    send(line, "network", csv_of(SPIKY), NOON)
    for minute in (2, 4):
        abandon(line)
        line = open_line(folder, after(NOON, minute), NO_KPIS)
        flow.beat(line, after(NOON, minute))
        assert counts(line) == {}
    flow.beat(line, after(NOON, 6))
    assert counts(line) == {("T1.level", 11): 1}
    line.close()


def test_judgement_does_not_wait_for_a_clock_that_was_put_back(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    send(line, "network", csv_of(SPIKY), NOON)
    flow.beat(line, after(NOON, -60))
    assert counts(line) == {("T1.level", 11): 1}
    line.close()


def test_judgement_that_a_kill_prevented_is_made_up_for(tmp_path: Path) -> None:
    folder = town(tmp_path / "town")
    line = open_line(folder, NOON, NO_KPIS)
    flow.beat(line, NOON)
    send(line, "network", csv_of(ROWS), NOON)
    flow.beat(line, NOON)
    abandon(line)
    line = open_line(folder, after(NOON, 1), NO_KPIS)
    line.judge(after(NOON, 1), all_due=True)
    assert stored(line) == plain()
    abandon(line)
    line = open_line(folder, after(NOON, 2), NO_KPIS)
    assert stored(line) == plain()
    line.close()


def test_codes_outlive_compaction_and_a_late_reading_reaches_what_was_compacted(tmp_path: Path) -> None:
    folder = town(tmp_path / "town")
    line = open_line(folder, NOON, NO_KPIS)
    kept = [row for row in ROWS if row != ROWS[3 * 46]]
    send(line, "network", csv_of(kept), NOON)
    line.judge(NOON, all_due=True)
    compact(line.settings.store, line.store.tables.values(), line.settings.zone)
    line.adopt(NOON)
    line.close()
    later = NOON + timedelta(days=6)
    line = open_line(copied(folder, tmp_path / "later"), later, NO_KPIS)
    send(line, "network", csv_of([ROWS[3 * 46]]), later)
    line.judge(later, all_due=True)
    assert stored(line) == plain()
    compact(line.settings.store, line.store.tables.values(), line.settings.zone)
    line.adopt(later)
    assert stored(line) == plain()
    line.close()


def test_reading_that_lands_while_it_is_judged_is_judged_again(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    send(line, "network", csv_of(SPIKY), NOON)
    line.tell_numbers()
    taken = line.quality.take(NOON, all_due=True)
    verdict = line.quality.judge(taken, NOON)
    assert sum(frame.height for frame in verdict.frames) == 1
    send(line, "network", csv_of([("T1.level", after(NOON, -45), 3.03)]), NOON)
    assert line.quality.confirm(verdict).is_empty()
    line.judge(NOON, all_due=True)
    assert counts(line) == {}
    line.close()
