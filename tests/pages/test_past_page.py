"""Pages as known at an instant: what the board said then stands still; what was corrected since is told."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from components import glass
from components.address import View
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.small_town import NOON, beat, csv_of, make, open_line, send
from tests.pages.test_coverage_has_a_veto import Asked

KPIS = frozenset({"pressure_compliance"})
THEN, LATER = "2026-03-10T07:00:00Z", "2026-03-10T09:45:00Z"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Yesterday's pressures in North were 12 m; three hours after noon half of them turned out to be 3 m."""
    folder = make(tmp_path_factory.mktemp("past") / "town")
    line = open_line(folder, NOON, KPIS)
    times = [NOON - timedelta(hours=36) + timedelta(minutes=15 * n) for n in range(144)]
    send(line, "network", csv_of([(sensor, at, 12.0) for sensor in ("P1.p", "P2.p") for at in times]), NOON)
    beat(line, NOON)
    late = NOON + timedelta(hours=3)
    send(line, "network", csv_of([("P1.p", at, 3.0) for at in [*times[:48], *times[100:]]]), late)
    beat(line, late)
    line.close()
    yield Town(small_town.read(folder), lambda: NOON + timedelta(hours=4))


def figure(page: str) -> str:
    """The town's figure on its tile."""
    tile = next(part for part in page.split("<article")[1:] if 'data-kpi="pressure_compliance|town"' in part)
    return tile.split('data-f="value">')[1].split("<")[0]


def test_a_domain_page_and_the_overview_show_what_the_board_said_then(town: Town) -> None:
    addresses = [f"{page}?as_known_at={at}" for page in ("/water", "/") for at in (THEN, LATER)]
    then, later, overview_then, overview_later = (answer.text for answer in Asked(town)(*addresses))
    assert (figure(then), figure(overview_then)) == ("100.0", "100.0")
    assert figure(later) == figure(overview_later) != "100.0"
    assert 'data-past="2026-03-10T07:00:00+00:00"' in then
    assert "As known on 10 Mar 12:30 IST" in then.replace(" 2026", "")


def test_a_page_of_then_tells_what_was_corrected_since_and_leads_back_to_now(town: Town) -> None:
    then, later = (answer.text for answer in Asked(town)(f"/water?as_known_at={THEN}", f"/water?as_known_at={LATER}"))
    assert "Corrected since" in then and "was 100.0 %; corrected" in then
    assert "No published value was corrected." in later
    assert '<a href="?">Back to now</a>' in then


def test_the_page_of_today_lists_the_corrections_and_tells_them_on_the_tile(town: Town) -> None:
    (now,) = Asked(town)("/water")
    assert "was 100.0 %; corrected" in now.text
    assert "9 Mar corrected on 10 Mar, was 100.0 %" in now.text


def test_a_time_that_nobody_noted_is_answered_in_words(town: Town) -> None:
    (answer,) = Asked(town)("/water?as_known_at=2020-01-01T00:00:00Z")
    assert "The board is on record since 2026-03-10T06:30:00Z." in answer.text


def test_a_time_without_an_offset_is_the_towns_own(town: Town) -> None:
    glass.bind(town, "/")
    assert View.read({"as_known_at": "2026-03-10T12:30"}).as_known_at == NOON + timedelta(minutes=30)
    assert View.read({"as_known_at": "soon"}).as_known_at is None
