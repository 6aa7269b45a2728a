"""What was said at an instant can be asked for later: late batches heal the values, and the record replays exactly."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.engine import compaction, explaining, known
from pipelines.engine.asking import Misasked
from pipelines.engine.line import Line
from pipelines.engine.minutes import told
from pipelines.engine.town import Town
from tests.engine import small_town as town
from tests.engine.small_town import NOON, beat, csv_of, history, make, send

KPIS = frozenset({"pressure_compliance", "supply_per_head", "minimum_night_flow"})
SENSORS = ("D1.in", "P1.p", "P2.p", "T1.level", "T1.out")
START, END, STEP = NOON - timedelta(days=3), NOON, timedelta(hours=5, minutes=20)
Reading = tuple[str, datetime, float]
# What a person could have written down: when, the board, and the newest published value of each closed window.
Written = tuple[datetime, dict[str, Any], dict[tuple[str, str, datetime], float | None]]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


def measured(dice: random.Random) -> list[Reading]:
    """Quarter hours of every sensor from START to END."""
    times = [START + timedelta(minutes=15 * n) for n in range(int((END - START) / timedelta(minutes=15)))]
    return [(sensor, at, round(3 + dice.random(), 2)) for at in times for sensor in SENSORS]


def delayed(rows: list[Reading], dice: random.Random) -> list[tuple[datetime, Reading]]:
    """When each reading comes: most at once, some spells hours or days late."""
    spells: dict[tuple[str, int], timedelta] = {}
    found = []
    for row in rows:
        spell = (row[0], int((row[1] - START) / timedelta(hours=7)))
        late = spells.setdefault(spell, dice.choice([timedelta(0)] * 5 + [timedelta(hours=9), timedelta(hours=40)]))
        found.append((row[1] + late, row))
    return found


def values(line: Line) -> dict[tuple[str, str, datetime], float | None]:
    """(kpi, area, window) -> the newest published value, unknown ones too."""
    rows = line.store.rows("kpi_values").sort("revision")
    return {(r["kpi"], r["area"], r["window"]): r["value"] for r in rows.iter_rows(named=True)}


def lived(folder: Path, coming: list[tuple[datetime, Reading]], dice: random.Random) -> list[Written]:
    """The town's days with these arrivals, restarts and compactions among them; what was written down of it."""
    line, now, written = town.open_line(folder, START, KPIS), START, []
    while now < END:
        before, now = now, min(now + STEP + dice.choice([0, 0, 7]) * timedelta(minutes=1), END)
        due = [row for at, row in coming if before <= at < now or (now == END and at >= now)]
        dice.shuffle(due)
        for first in range(0, len(due), 60):
            send(line, "network", csv_of(due[first : first + 60]), now)
        written.append((now, beat(line, now)["kpis"], values(line)))
        event = dice.random()
        if event < 0.2:
            compaction.compact(line.settings.store, line.store.tables.values(), line.settings.zone)
            line.adopt(now)
        elif event < 0.4:
            line.close()
            line = town.open_line(folder, now, KPIS)
    line.close()
    return written


def same_board(asked: dict[str, dict[str, Any]], shown: dict[str, Any]) -> bool:
    """Whether a board says of each KPI and area what the other said: figure, state, window, reason."""
    return {key: told(row) for key, row in asked.items()} == {key: told(row) for key, row in shown.items()}


@pytest.mark.parametrize("seed", range(3))
def test_late_batches_in_any_order_heal_and_what_was_said_replays_exactly(place: Path, seed: int) -> None:
    dice = random.Random(seed)
    rows = measured(dice)
    lived(make(place / "orderly"), [(at, row) for row in rows for at in [row[1]]], random.Random(seed))
    written = lived(make(place / "late"), delayed(rows, dice), dice)
    histories = []
    for name in ("orderly", "late"):
        # A day later the last readings have been judged by their neighbours too.
        line = town.open_line(place / name, END, KPIS)
        beat(line, END + timedelta(days=1))
        histories.append(history(line))
        line.close()
    assert histories[0] == histories[1]
    assert line.store.rows("kpi_values")["revision"].max() > 1
    _replays(Town(town.read(place / "late"), lambda: END + timedelta(days=30)), written)


def _replays(asked: Town, written: list[Written]) -> None:
    """The town, asked a month later, says of each instant what was written down then, and of the time in between."""
    for (at, shown, closed), following in zip(written, [*written[1:], None], strict=True):
        until = at + timedelta(hours=1) if following is None else following[0]
        for then in (at, at + (until - at) / 2, until - timedelta(microseconds=1)):
            rows = {key: row for key, row in known.board(asked, then).items() if row["kpi"] in KPIS}
            assert same_board(rows, shown)
            found = {
                (kpi, row["area"], row["window"]): row["value"]
                for kpi in KPIS
                for row in asked.history(kpi, as_known_at=then).iter_rows(named=True)
            }
            assert found == closed


@pytest.fixture
def corrected(tmp_path: Path) -> Town:
    """A town in which half of the pressures of the ninth came on the tenth, three hours after noon."""
    line = town.open_line(make(tmp_path / "town"), START, KPIS)
    times = [NOON - timedelta(hours=35) + timedelta(minutes=15 * n) for n in range(90)]
    send(line, "network", csv_of([("P1.p", at, 12.0) for at in times]), NOON)
    beat(line, NOON)
    send(line, "network", csv_of([("P1.p", at, 3.0) for at in times[:45]]), NOON + timedelta(hours=3))
    beat(line, NOON + timedelta(hours=3))
    line.close()
    return Town(town.read(tmp_path / "town"), lambda: NOON + timedelta(hours=4))


def test_a_correction_is_told_once_on_the_board_and_in_the_list(corrected: Town) -> None:
    rows = corrected.corrections().filter(kpi="pressure_compliance", area="ward:W1")
    (notice,) = rows.to_dicts()
    assert (notice["before"], notice["after"], notice["before_status"], notice["after_status"]) == (
        100.0, 50.0, "good", "breach",
    )  # fmt: skip
    board = corrected.board()
    assert board is not None
    shown = board.state["kpis"]["pressure_compliance|ward:W1"]["corrected"]
    assert (shown["before"], shown["after"], shown["window_start"]) == (100.0, 50.0, "2026-03-08T18:30:00+00:00")


def test_an_explanation_tells_the_value_of_then_and_the_correction_only_once_it_was_told(corrected: Town) -> None:
    kpi, end = corrected.kpi("pressure_compliance"), datetime.fromisoformat("2026-03-09T18:30:00+00:00")
    before = explaining.explanation(corrected, kpi, "ward:W1", end, NOON + timedelta(hours=2))
    now = explaining.explanation(corrected, kpi, "ward:W1", end)
    assert (before["value"], len(before["revisions"]), before["corrections"]) == (100.0, 1, [])
    assert (now["value"], len(now["revisions"]), len(now["corrections"])) == (50.0, 2, 1)


def test_what_nobody_noted_is_refused_in_words(corrected: Town) -> None:
    with pytest.raises(Misasked, match="on record since 2026-03-10T06:30:00Z"):
        known.board(corrected, NOON - timedelta(days=1))


def test_the_board_is_known_over_a_time_in_which_nothing_ran(corrected: Town) -> None:
    last = corrected.board()
    assert last is not None
    assert same_board(known.board(corrected, NOON + timedelta(days=90)), last.state["kpis"])


def test_values_as_known_leave_by_the_export(corrected: Town) -> None:
    from pipelines.engine.asking import Span
    from pipelines.engine.extracts import extract

    def worth(at: datetime | None) -> list[float | None]:
        rows = pl.concat(list(extract(corrected, "kpis", Span(), "W1", at).frames()))
        return rows.filter(kpi="pressure_compliance", window=NOON - timedelta(hours=36))["value"].to_list()

    assert (worth(NOON + timedelta(hours=2)), worth(None)) == ([100.0], [50.0])
