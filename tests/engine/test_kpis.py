"""Which KPIs a beat takes up: what fits, oldest first, and only windows that a row can have changed."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipelines.engine import compaction, retention
from pipelines.engine.works import Work, affordable
from tests.engine import small_town
from tests.engine.decode.test_gtfs_realtime import message
from tests.engine.small_town import NOON, beat, csv_of, send

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def costing(*seconds: float) -> list[Work]:
    """Works that cost so much each; nothing else of them matters here."""
    return [Work(None, "", frozenset(), cost_s=s) for s in seconds]  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "taken"), [(1.0, 3), (0.06, 2), (0.05, 2), (0.049, 1), (0.0, 1), (-1.0, 1)])
def test_a_beat_takes_as_many_as_fit_and_at_least_one(seconds: float, taken: int) -> None:
    works = costing(0.02, 0.03, 0.04)
    assert affordable(works, seconds) == works[:taken]


def test_what_costs_more_than_a_beat_has_keeps_no_cheap_one_from_its_turn_and_comes_when_it_is_first() -> None:
    cheap, dear, cheaper = costing(0.02, 2.0, 0.01)
    assert affordable([cheap, dear, cheaper], 0.05) == [cheap, cheaper]
    assert affordable([dear, cheap, cheaper], 0.05) == [dear]


def test_nothing_waits_for_nobody() -> None:
    assert affordable([], 1.0) == []


def test_a_reading_in_the_running_hour_makes_no_closed_window_due_and_a_late_one_does(tmp_path: Path) -> None:
    line = small_town.open_line(small_town.make(tmp_path / "town"), NOON, frozenset({"pressure_compliance"}))
    work = line.kpis.works["pressure_compliance"]
    send(line, "network", csv_of([("P1.p", NOON - timedelta(minutes=1), 9.0)]), NOON)
    beat(line, NOON)
    line.kpis.touch("pressure_m", NOON, NOON)
    assert work.open_from is not None
    assert work.fresh
    assert work.due == []
    line.kpis.touch("pressure_m", work.open_from - HOUR, work.open_from - HOUR)
    assert [low for low, _ in work.due] == [work.open_from - HOUR]
    line.close()


def test_a_kpi_that_hears_feeds_is_not_computed_for_the_arrivals_of_others(tmp_path: Path) -> None:
    text = small_town.TOWN.format(zone=small_town.ZONE, domains='["water", "grievances", "transport"]')
    text += '[feeds.shuttle]\nuse = "transport.vehicle_positions"\nfrom = "http_push"\n'
    line = small_town.open_line(small_town.make(tmp_path / "town", text), NOON, frozenset({"feed_age"}))
    work, at = line.kpis.works["feed_age"], NOON + timedelta(seconds=1)
    beat(line, NOON)
    send(line, "network", csv_of([("P1.p", NOON - timedelta(minutes=1), 9.0)]), at)
    for name, span in line.drain_touched().items():
        line.kpis.touch(name, *span)
    assert (work.fresh, work.due) == (False, [])
    send(line, "shuttle", message(clock=int(at.timestamp())), at)
    for name, span in line.drain_touched().items():
        line.kpis.touch(name, *span)
    assert work.fresh
    line.close()


def test_the_window_that_ran_becomes_due_when_it_ends(tmp_path: Path) -> None:
    line = small_town.open_line(small_town.make(tmp_path / "town"), NOON, frozenset({"pressure_compliance"}))
    send(line, "network", csv_of([("P1.p", NOON - timedelta(minutes=1), 9.0)]), NOON)
    beat(line, NOON)
    work = line.kpis.works["pressure_compliance"]
    ended = work.open_end
    assert ended is not None
    published = line.kpis.evaluate({}, ended + timedelta(seconds=1))
    assert ended in published["end"].to_list()
    line.close()


def test_every_kpi_is_computed_in_turn_when_beats_have_time_for_one_only(tmp_path: Path) -> None:
    line = small_town.open_line(small_town.make(tmp_path / "town"), NOON)
    works, at = list(line.kpis.works.values()), NOON
    line.kpis.evaluate({}, at)
    looks = {work.kpi.id: work.looks for work in works}
    for _ in works:
        at += timedelta(minutes=2)
        for work in works:
            work.fresh = True
        line.kpis.evaluate({}, at, 0.0)
    assert {work.kpi.id: work.looks - looks[work.kpi.id] for work in works} == dict.fromkeys(looks, 1)
    line.close()


def test_closed_windows_of_every_kpi_are_computed_in_turn_however_short_the_time(tmp_path: Path) -> None:
    names = frozenset({"pressure_compliance", "tank_autonomy"})
    line = small_town.open_line(small_town.make(tmp_path / "town"), NOON, names)
    line.kpis.evaluate({}, NOON)
    days, quarters = (line.kpis.works[name] for name in ("pressure_compliance", "tank_autonomy"))
    days.due, quarters.due = [(NOON - 5 * DAY, NOON - DAY)], [(NOON - HOUR, NOON)]
    for n in (1, 2):
        line.kpis.evaluate({}, NOON + timedelta(seconds=n), -1.0)
    assert days.due == [(NOON - 5 * DAY, days.due[0][1])]
    assert NOON - 3 * DAY < days.due[0][1] < NOON - DAY
    assert quarters.due[0][1] == NOON - timedelta(minutes=15)
    line.close()


def test_a_suspect_reading_is_kept_and_counts_in_no_kpi_before_and_after_compaction(tmp_path: Path) -> None:
    line = small_town.open_line(small_town.make(tmp_path / "town"), NOON, frozenset({"tank_autonomy"}))
    spike = NOON - timedelta(hours=30)
    times = [NOON - timedelta(minutes=15 * n) for n in range(192)]
    send(line, "network", csv_of([("T1.level", at, 9.0 if at == spike else 3 + at.hour / 100) for at in times]), NOON)
    line.judge(NOON, all_due=True)
    start = NOON - timedelta(days=2)

    def highest() -> tuple[object, object]:
        used, hours = (line.inputs.get(name, start, NOON) for name in ("tank_level_m", "tank_level_m_hourly"))
        return used["value"].max(), hours["max"].max()

    assert line.store.rows("readings", start, NOON)["value"].max() == 9.0
    assert highest() == pytest.approx((3.23, 3.23))
    compaction.compact(line.settings.store, line.store.tables.values(), line.settings.zone)
    line.adopt(NOON)
    line.inputs.forget({"readings": (start, NOON)})
    assert highest() == pytest.approx((3.23, 3.23))
    line.close()


def test_an_hour_whose_only_reading_turned_suspect_late_is_gone_before_it_is_compacted_again(tmp_path: Path) -> None:
    folder = small_town.make(tmp_path / "town")
    line = small_town.open_line(folder, NOON, frozenset({"tank_autonomy"}))
    # The third stands alone in its local hour, from 05:30 to 06:30 in UTC.
    times = [NOON - timedelta(minutes=minutes) for minutes in (80, 65, 30, -5, -20)]
    send(line, "network", csv_of([("T1.level", at, 3.0) for at in times]), NOON + HOUR)
    compaction.compact(line.settings.store, line.store.tables.values(), line.settings.zone)
    line.close()
    later = NOON + 6 * DAY
    line = small_town.open_line(folder, later, frozenset({"tank_autonomy"}))

    def counted() -> list[list[int]]:
        line.inputs.forget({"readings": (NOON - DAY, later)})
        found = (line.inputs.get(f"tank_level_m_{grain}", NOON - DAY, later) for grain in ("hourly", "daily"))
        return [rows["n"].to_list() for rows in found]

    assert counted() == [[2, 1, 2], [5]]
    send(line, "network", csv_of([("T1.level", times[2], 5.5)]), later)
    line.judge(later, all_due=True)
    assert counted() == [[2, 2], [4]]
    line.close()


def test_hours_that_no_feed_covered_have_no_count_of_complaints_and_covered_ones_have_zero(tmp_path: Path) -> None:
    line = small_town.open_line(small_town.make(tmp_path / "town"), NOON, frozenset({"requests_received"}))
    head = "service_request_id,status,requested_datetime,ward,service_code,service_name,state"
    asked = NOON - timedelta(hours=6)
    book = f"{head}\nR1,open,{asked.isoformat()},W1,LEAK,Leak,received\n".encode()
    # The book tells of all since its oldest entry; then nobody brings one for four hours.
    send(line, "book", book, NOON)
    later = NOON + timedelta(hours=5)
    send(line, "book", f"{head}\n".encode(), later)
    line.kpis.wake(NOON - timedelta(hours=9), later)
    beat(line, later)
    rows = line.store.rows("kpi_values").sort("revision").unique(["area", "window"], keep="last")
    south = rows.filter(area="ward:W2").select("window", "value", "reason")
    hours = {(at - NOON) // HOUR: (value, reason) for at, value, reason in south.iter_rows()}
    # The first book reaches back to its entry, the second one hour: when it was due nothing had come.
    covered = {-6, -5, -4, -3, -2, -1, 4}
    assert covered < hours.keys()
    assert hours == {hour: (0.0, None) if hour in covered else (None, "insufficient_data") for hour in hours}
    assert rows.filter(area="ward:W1", window=asked)["value"].to_list() == [1.0]
    line.close()


def test_age_of_the_live_buses_is_that_of_feeds_declared_so_whatever_their_names(tmp_path: Path) -> None:
    feeds = {"shuttle": "vehicle_positions", "notices": "service_alerts"}
    text = small_town.TOWN.format(zone=small_town.ZONE, domains='["water", "grievances", "transport"]')
    text += "".join(f'[feeds.{name}]\nuse = "transport.{use}"\nfrom = "http_push"\n' for name, use in feeds.items())
    line = small_town.open_line(small_town.make(tmp_path / "town", text), NOON, frozenset({"feed_age"}))
    for minutes, name in ((9, "notices"), (1, "shuttle")):
        sent_at = NOON - timedelta(minutes=minutes)
        send(line, name, message(clock=int(sent_at.timestamp())), sent_at)
    beat(line, NOON + timedelta(seconds=1))
    ages = line.kpis.works["feed_age"].current.select("area", "value")
    assert dict(ages.iter_rows()) == {"town": 61.0, "feed:shuttle": 61.0}
    line.close()


def test_late_row_for_a_day_that_retention_has_taken_revises_nothing_and_one_for_a_day_that_is_there_does(
    tmp_path: Path,
) -> None:
    kpis = frozenset({"pressure_compliance"})
    line = small_town.open_line(small_town.make(tmp_path / "town"), NOON, kpis)
    taken, there = NOON - timedelta(days=40), NOON - timedelta(days=20)
    for start in (taken, there):
        day = [start - timedelta(hours=12) + n * timedelta(minutes=15) for n in range(96)]
        send(line, "network", csv_of([(sensor, at, 20.0) for at in day for sensor in ("P1.p", "P2.p")]), NOON)
        line.kpis.wake(start - timedelta(days=2), start + timedelta(days=2))
        beat(line, NOON)
    store, tables = line.settings.store, line.store.tables.values()
    compaction.compact(store, tables, line.settings.zone)
    assert retention.run(store, {"readings": timedelta(days=31)}, NOON) == 192
    line.adopt(NOON)
    before = small_town.history(line)
    assert {kpi for kpi, _, at in before if abs(at - taken) < timedelta(days=1)} == kpis

    def revised_by(start: datetime) -> set[datetime]:
        """The windows that are revised when a tenth of the pressure is reported late for this day."""
        send(line, "network", csv_of([("P1.p", start - timedelta(minutes=1), 2.0)]), NOON)
        beat(line, NOON)
        after = small_town.history(line)
        return {key[2] for key in before if after[key] != before[key]}

    assert revised_by(taken) == set()
    compaction.compact(store, tables, line.settings.zone)
    line.adopt(NOON)
    line.kpis.wake(taken - timedelta(days=2), taken + timedelta(days=2))
    beat(line, NOON)
    assert small_town.history(line) == before, "nor when it is looked at once more"
    revised = revised_by(there)
    assert revised
    assert all(abs(at - there) < timedelta(days=2) for at in revised)
    assert compaction.manifests.read(store).let_go.keys() == {"readings"}
    line.close()
