"""Pictures as somebody looks at them: cut to ward and floor, kept as long as they stand, for those who may see them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from pipelines.engine.gallery import Gallery, Shown, span
from pipelines.engine.model import Column, DeclarationError, Domain
from pipelines.engine.people.roles import VISITOR, Forbidden, person
from pipelines.engine.picture import Bars, Drawn, Floor, Matrix, Picture, say

NOW = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)
COLUMNS = (
    Column(name="ward", meaning="Ward"),
    Column(name="cases", kind="integer", meaning="Cases"),
    Column(name="share_pct", kind="number", unit="percent", meaning="Share"),
)
ROWS = pl.DataFrame(
    {
        "ward": ["W1", "W1", "W2"],
        "cases": [25, 19, 20],
        "share_pct": [80.0, 10.0, 50.0],
        "state": ["good", "breach", "watch"],
    }
)


def shares(wards: pl.DataFrame) -> Drawn:
    """Shares of cases."""
    return Drawn(ROWS, (say("{n} wards", n=wards.height),))


def looked_at(area: str, start: datetime, now: datetime) -> Drawn:
    """What was asked for."""
    rows = pl.DataFrame({"ward": [area], "cases": [int((now - start) / timedelta(days=1))], "share_pct": [1.0]})
    return Drawn(rows)


def picture(function: Callable[..., Drawn] = shares, **more: Any) -> Picture:
    said: dict[str, Any] = {
        "title": "Shares", "plain": "Shares of cases.", "source": "house rule", "columns": COLUMNS,
        "form": Bars(label="ward", value="share_pct"),
    }  # fmt: skip
    return Picture(function=function, **(said | more))


class OneTown(SimpleNamespace):
    """A town with nothing but one domain, a board and a clock."""

    def __init__(self, *pictures: Picture) -> None:
        whole = Domain(name="waste", title="Waste", meaning="Bins and how they are emptied.", pictures=pictures)
        self.seq, self.at, self.zone, self.made = 1, NOW, "UTC", 0
        self.registers = SimpleNamespace(
            wards=pl.DataFrame({"ward": ["W1", "W2"]}), assets=None, sensors=None, references={}, quantities={}
        )
        self.domain = {"waste": whole}.__getitem__
        self.now = lambda: self.at
        self.board = lambda: SimpleNamespace(state={"seq": self.seq, "kpis": {}, "feeds": {}})

    def read(self) -> tuple[Any, Any]:
        self.made += 1
        return None, None


def looks(town: OneTown) -> Callable[..., Shown]:
    gallery = Gallery(town, town.read)  # type: ignore[arg-type]
    return lambda name="shares", **asked: gallery.show("waste", name, **asked)


def test_rows_of_another_ward_are_not_shown_when_one_is_chosen() -> None:
    show = looks(OneTown(picture()))
    assert show(ward="W2").rows["ward"].to_list() == ["W2"]
    assert show().rows.height == 3


def test_a_share_of_fewer_cases_than_the_floor_is_not_told() -> None:
    shown = looks(OneTown(picture(floor=Floor("cases", 20, ("share_pct",)))))()
    assert shown.rows["share_pct"].to_list() == [80.0, None, 50.0]
    assert shown.rows["state"].to_list() == ["good", None, "watch"]
    assert shown.rows["cases"].to_list() == [25, 19, 20]
    assert shown.hidden == 1


def test_rows_beyond_the_most_are_left_off_and_counted() -> None:
    shown = looks(OneTown(picture(most=2)))()
    assert (shown.rows.height, shown.left_off) == (2, 1)


def test_what_is_asked_for_reaches_the_function() -> None:
    show = looks(OneTown(picture(looked_at, span=timedelta(days=2), longest=timedelta(days=20))))
    assert show("looked_at", days=30).rows.row(0)[:2] == ("town", 20)
    assert show("looked_at").rows["cases"].to_list() == [2]


def test_span_is_that_of_the_picture_where_it_cannot_be_stretched() -> None:
    assert span(picture(span=timedelta(hours=3)), 30) == timedelta(hours=3)


@pytest.mark.parametrize(
    ("every", "seconds", "made"), [(None, 0, 2), (timedelta(seconds=30), 29, 1), (timedelta(seconds=30), 30, 2)]
)
def test_a_picture_is_made_anew_with_the_snapshot_or_when_it_is_worth_it(every: Any, seconds: int, made: int) -> None:
    town = OneTown(picture(every=every))
    show = looks(town)
    show()
    show()
    assert town.made == 1
    town.seq, town.at = 2, NOW + timedelta(seconds=seconds)
    show()
    assert town.made == made


def test_wards_share_a_picture_that_knows_none() -> None:
    plain = tuple(column for column in COLUMNS if column.name != "ward")
    town = OneTown(picture(columns=plain, form=Bars(label="cases", value="share_pct")))
    show = looks(town)
    assert show(ward="W1") is show(ward="W2")


def test_a_guarded_picture_is_for_those_who_may_read() -> None:
    show = looks(OneTown(picture(guarded=True)))
    assert show(actor=person("asha", "viewer")).rows.height == 3
    with pytest.raises(Forbidden):
        show(actor=VISITOR)


def test_a_picture_that_is_not_declared_is_no_picture() -> None:
    with pytest.raises(KeyError):
        looks(OneTown(picture()))("other")


def unread(bins: pl.DataFrame) -> Drawn:
    """Reads what there is not."""
    return Drawn(bins)


def wrongs() -> Iterator[tuple[str, Callable[[], object]]]:
    yield "draws columns", lambda: picture(form=Matrix(row="ward", column="day", value="share_pct"))
    yield "unknown columns", lambda: picture(floor=Floor("people", 20, ("share_pct",)))
    yield "in a sentence", lambda: picture(plain="Shares")
    yield "rows can be drawn", lambda: picture(most=0)
    yield "shorter than its own", lambda: picture(longest=timedelta(hours=1))
    yield "which the domain waste does not have", lambda: OneTown(picture(unread))
    yield "no KPIs of waste", lambda: OneTown(picture(history=("fill",)))
    yield "declared twice", lambda: OneTown(picture(), picture())


@pytest.mark.parametrize(("words", "declare"), [*wrongs()], ids=lambda part: part if isinstance(part, str) else "")
def test_a_mistake_in_a_declaration_is_named(words: str, declare: Callable[[], object]) -> None:
    with pytest.raises(DeclarationError, match=words):
        declare()
