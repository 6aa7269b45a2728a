"""Pictures: what a domain draws of its rows, in which form, and the words that go with it."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from pipelines.engine.declaring import require

if TYPE_CHECKING:
    from pipelines.engine.model import Column

# What a picture's function may ask for besides tables, quantities and registers.
GIVEN = ("now", "start", "zone", "area", "board", "history", "course", "steps", "feeds")
STATE = "state"
STATES = ("good", "watch", "breach", "late", "stale", "no data", "context")


class Amount(NamedTuple):
    """A value in a sentence, with its unit and decimals."""

    value: float | None
    unit: str = ""
    decimals: int = 1


Fact = str | int | float | date | datetime | timedelta | Amount | None


class Said(NamedTuple):
    """One sentence with {holes}, and what goes into them; the glass writes both in the reader's language.

    `many` is the sentence where `n` is not one.
    """

    words: str
    values: Mapping[str, Fact]
    many: str | None = None


def say(words: str, **values: Fact) -> Said:
    """A sentence that a picture tells; `words` is the message to translate, so write it out where it is said."""
    return Said(words, values)


def say_n(one: str, many: str, n: int, **values: Fact) -> Said:
    """A sentence in the form that its number asks for; both are messages to translate."""
    return Said(one, {"n": n, **values}, many)


class Form:
    """How rows are drawn: each text field names the column that plays that part."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The columns that the form draws."""
        values = (getattr(self, part.name) for part in fields(self))  # type: ignore[arg-type]
        return tuple(value for value in values if isinstance(value, str))


@dataclass(frozen=True, kw_only=True)
class Bars(Form):
    """A bar per row with its limit, in groups; `more` is a second figure beside the bar's own.

    All are drawn against `full`, else against the longest.
    """

    label: str
    value: str
    limit: str | None = None
    group: str | None = None
    more: str | None = None
    note: str | None = None
    full: float | None = None


@dataclass(frozen=True, kw_only=True)
class Lines(Form):
    """A small chart per lane, one below the other over the same time; rows with a `mark` are pointed at."""

    lane: str
    at: str
    value: str
    limit: str | None = None
    mark: str | None = None


@dataclass(frozen=True, kw_only=True)
class Strip(Form):
    """A band per lane over the same time, with a tick for each row: what bunches and where it is missing is seen."""

    lane: str
    at: str
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Flow(Form):
    """How much goes from where to where, from left to right."""

    source: str
    target: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Calendar(Form):
    """A cell per day, a column per week, a block per lane."""

    day: str
    value: str
    lane: str | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Matrix(Form):
    """A cell per row and column; both stand in the order of the rows."""

    row: str
    column: str
    value: str
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Funnel(Form):
    """Stages, each a part of the one before it."""

    stage: str
    value: str
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Marks(Form):
    """Marks on the town's map, as large as `size`, over the lines of the ground."""

    lat: str
    lon: str
    label: str
    size: str | None = None
    note: str | None = None


class Floor(NamedTuple):
    """Below so many `cases` (a column) the columns that `hide` are not told."""

    cases: str
    least: int
    hide: tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """What a picture's function hands back: its rows and what is known about them.

    `said` tells the numbers in sentences, and what is unknown and why. `as_of`: the newest data in the rows.
    `coverage`: the share of what was expected that came. `ground`: lines below marks (line, lat, lon, in order).
    """

    rows: pl.DataFrame
    said: tuple[Said, ...] = ()
    as_of: datetime | None = None
    coverage: float | None = None
    ground: pl.DataFrame | None = None


def within(rows: pl.DataFrame, area: str) -> pl.DataFrame:
    """The rows whose `ward` is that of the area; all for the town. What is said of rows is said of these."""
    return rows if area == "town" else rows.filter(pl.col("ward") == area.removeprefix("ward:"))


@cache
def _parameters(function: Callable[..., Drawn]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A declared picture: a pure function and all that people need to read what it draws.

    The function's name is the picture's id; its parameters name what it is handed: tables, quantities, rollups and
    registers as a KPI's; `board` (the KPIs of the domain as they stand); `history` (published values of the KPIs that
    `history` names, with the `state` and `target` they have today), `course` (those of `area` alone) and `steps`
    (their levels that changed and stayed); `feeds`; `now`, `start` (of the span looked at), `zone`, `area` (town, or
    the chosen ward).
    `columns`: what the rows hold, besides an optional `state` (STATES); their meaning is the heading of the table.
    `span`: how far back rows are read; `longest`: how far somebody may stretch it, None: it is about now.
    `every`: how often it is worth making anew; None: with each snapshot. `most`: so many rows at most.
    `words`: texts that stand in the rows and are no names, so that they can be translated.
    `guarded` pictures are for those who may read what is not public.
    """

    function: Callable[..., Drawn]
    title: str
    plain: str
    source: str
    form: Form
    columns: "tuple[Column, ...]"
    span: timedelta = timedelta(days=1)
    longest: timedelta | None = None
    every: timedelta | None = timedelta(seconds=30)
    history: tuple[str, ...] = ()
    floor: Floor | None = None
    words: tuple[str, ...] = ()
    most: int = 400
    guarded: bool = False

    def __post_init__(self) -> None:
        where, known = f"picture {self.id}", {*self.names, STATE}
        require(set(self.form.parts) <= known, f"{where}: its form draws columns that it does not name")
        require(self.plain.rstrip().endswith("."), f"{where}: what it shows is said in a sentence")
        require((self.function.__doc__ or "").strip(), f"{where}: the function has no docstring")
        hidden = (self.floor.cases, *self.floor.hide) if self.floor else ()
        require(set(hidden) <= known, f"{where}: its floor names unknown columns")
        require(0 < self.most <= 2000, f"{where}: between 1 and 2000 rows can be drawn")
        require(self.longest is None or self.longest >= self.span, f"{where}: its longest span is shorter than its own")

    @property
    def id(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the function is handed, in order."""
        return _parameters(self.function)

    @property
    def by_ward(self) -> bool:
        """Whether it shows something else when a ward is chosen."""
        return "area" in self.inputs or "ward" in self.names


def check(pictures: Iterable[Picture], readable: set[str], kpis: set[str], domain: str) -> None:
    """Nothing, when a domain's pictures read only what there is.

    Raises DeclarationError.
    """
    for picture in pictures:
        unknown = set(picture.inputs) - readable - {*GIVEN}
        require(not unknown, f"picture {picture.id} reads {sorted(unknown)}, which the domain {domain} does not have")
        strange = set(picture.history) - kpis
        require(not strange, f"picture {picture.id} wants the history of {sorted(strange)}, no KPIs of {domain}")
