"""Registers through the line: consumption and events are those of the whole register, in whatever order it came."""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import flow
from pipelines.engine.line import Line
from tests.engine.small_town import NOON, abandon, after, csv_of, make, open_line, send

NO_KPIS = frozenset({"pressure_compliance"})
SENSORS = (
    "sensor,asset,quantity,unit,every,register,modulus\n"
    "P1.reg,P1,meter_register_m3,m^3,1 h,,10000\n"
    "P1.use,P1,consumption_l,L,1 h,P1.reg,\n"
)
START = NOON.replace(minute=0) - timedelta(hours=30)
# A rollover at hour 5, a gap from 9 to 14, a reset at hour 20, a dropout at hour 24.
VALUES: dict[int, float] = {
    **{n: 9995.0 + n for n in range(5)}, **{n: n - 5.0 for n in range(5, 10)}, **{n: n - 5.0 for n in range(14, 20)},
    **{n: (n - 20) * 2.0 for n in range(20, 28)}, 24: 0.5,
}  # fmt: skip
ROWS = [("P1.reg", START + timedelta(hours=n), value) for n, value in sorted(VALUES.items())]
Books = tuple[dict[int, tuple[float | None, int]], list[tuple[int, str]]]


def town(folder: Path) -> Path:
    made = make(folder)
    (made / "reference" / "sensors.csv").write_text(SENSORS, "utf-8")
    return made


def hour(at: datetime) -> int:
    return (at - START) // timedelta(hours=1)


def books(line: Line) -> Books:
    """Litres and quality of each hour, and the events that stand."""
    use = line.series.numbers.get("P1.use", -1)
    rows = line.store.rows(
        "readings", where="series = $s", params={"s": use}, columns=["observed_at", "value", "quality"]
    )
    events = line.store.rows("meter_events", columns=["at", "event"])
    used = {hour(at): (value if value is None else round(value, 6), quality) for at, value, quality in rows.iter_rows()}
    return used, sorted((hour(at), event) for at, event in events.iter_rows() if event != "withdrawn")


def expected() -> Books:
    """By hand: a cubic metre an hour until the reset, two from then on; 14 - 9 = 5 hours are a gap of five."""
    used: dict[int, tuple[float | None, int]] = {n: (1000.0, 2 if 9 <= n < 14 else 0) for n in range(19)}
    # At the reset the register shows 0: nothing is known of that hour but that.
    used |= {19: (0.0, 2)} | dict.fromkeys(range(20, 27), (2000.0, 0))
    return used, [(5, "rollover"), (20, "reset"), (24, "dropout")]


def test_books_of_a_meter_hold_rollover_gap_reset_and_dropout(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    send(line, "network", csv_of(ROWS), NOON)
    flow.beat(line, after(NOON, 6))
    assert books(line) == expected()
    feed = flow.beat(line, after(NOON, 12)).state["feeds"]["network"]
    # Nobody waits for the computed sensor: it comes with its register.
    assert feed["sensors"] == 1
    line.close()


@settings(max_examples=4)
@given(st.data())
def test_books_are_the_same_in_any_order_with_doubles_and_a_kill(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(ROWS))))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(ROWS) - 1), min_size=1, max_size=4)))
    with TemporaryDirectory() as scratch:
        folder = town(Path(scratch) / "town")
        line = open_line(folder, NOON, NO_KPIS)
        for number, (a, b) in enumerate(zip([0, *cuts], [*cuts, len(ROWS)], strict=True)):
            picked = [ROWS[i] for i in [*order[a:b], *order[:a:3]]]
            if picked:
                send(line, "network", csv_of(picked), after(NOON, number))
            line.judge(after(NOON, number), all_due=data.draw(st.booleans()))
        if data.draw(st.booleans()):
            abandon(line)
            line = open_line(folder, after(NOON, 20), NO_KPIS)
        line.judge(after(NOON, 30), all_due=True)
        assert books(line) == expected()
        line.close()


def test_late_register_reading_takes_the_estimate_out_of_the_books(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    send(line, "network", csv_of(ROWS), NOON)
    line.judge(NOON, all_due=True)
    send(line, "network", csv_of([("P1.reg", START + timedelta(hours=12), 7.5)]), NOON)
    line.judge(NOON, all_due=True)
    used, _ = books(line)
    # From hour 9 to 12 it counted from 4 to 7.5, from 12 to 14 from 7.5 to 9: both within three intervals.
    assert [used[n] for n in (9, 11)] == [(pytest.approx(3500 / 3), 0)] * 2
    assert used[13] == (750.0, 0)
    line.close()
