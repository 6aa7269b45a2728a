"""A sheet of SVG that is as wide as its place: positions across are per cent, heights and letters are pixels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from components import wording
from components.tongue import _, current, said
from pipelines.engine.gallery import Shown
from pipelines.engine.model import Column
from pipelines.engine.picture import STATE

LONGEST_LABEL = 42
# From here on decimals tell nothing that people read.
MANY = 100
PLAIN = {"good", "context", "no data"}
Row = Mapping[str, Any]


@dataclass
class Sheet:
    """Parts of a drawing from top to bottom.

    `timed`: time runs from left to right in every language; other drawings are mirrored where people read from the
    right, and labels always begin where they begin to read.
    """

    timed: bool = False
    parts: list[str] = field(default_factory=list)

    @property
    def turned(self) -> bool:
        """Whether people read from the right."""
        return current().direction == "rtl"

    def rect(
        self, x: float, y: float, size: tuple[float, float], look: str, *, state: str = "", hint: str = ""
    ) -> None:
        """A box of so much per cent across and pixels down."""
        across, down = size
        left = 100 - x - across if self.turned and not self.timed else x
        told = f"<title>{escape(hint)}</title>" if hint else ""
        kind = f' data-state="{state}"' if state else ""
        self.parts.append(
            f'<rect class="{look}"{kind} x="{left:.2f}%" y="{y:.1f}" width="{max(across, 0):.2f}%" height="{down:.1f}">'
            f"{told}</rect>"
        )

    def text(self, x: float, y: float, words: str, look: str, *, anchor: str = "start") -> None:
        """Letters; at the start of a line they begin, at its end they end."""
        left = 100 - x if self.turned and not self.timed else x
        self.parts.append(_text(left, y, words, look, anchor))

    def label(self, y: float, words: str, look: str = "d-label", *, end: bool = False) -> None:
        """Letters at the start (or the end) of the line, whichever way time runs."""
        at_right = end != self.turned
        way = "d-rtl" if self.turned else ""
        anchor = "end" if end else "start"
        self.parts.append(_text(100.0 if at_right else 0.0, y, words, f"{look} {way}".strip(), anchor))

    def rule(self, x: float, y: tuple[float, float], look: str) -> None:
        """An upright line from one height to another."""
        left = 100 - x if self.turned and not self.timed else x
        self.parts.append(f'<line class="{look}" x1="{left:.2f}%" x2="{left:.2f}%" y1="{y[0]:.1f}" y2="{y[1]:.1f}"/>')

    def level(self, y: float, look: str) -> None:
        """A line all the way across."""
        self.parts.append(f'<line class="{look}" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')

    def stretched(self, y: float, down: float, body: str) -> None:
        """Paths in a box of 1000 across and so many pixels down, stretched to the width."""
        turn = ' transform="translate(1000 0) scale(-1 1)"' if self.turned and not self.timed else ""
        self.parts.append(
            f'<svg x="0" y="{y:.1f}" width="100%" height="{down:.1f}" viewBox="0 0 1000 {down:.1f}" '
            f'preserveAspectRatio="none"><g{turn}>{body}</g></svg>'
        )

    def svg(self, height: float) -> str:
        """The whole drawing."""
        return (
            f'<svg class="d-sheet{" d-timed" if self.timed else ""}" width="100%" height="{height:.0f}" '
            f'aria-hidden="true">{"".join(self.parts)}</svg>'
        )


def _text(x: float, y: float, words: str, look: str, anchor: str) -> str:
    return f'<text class="{look}" x="{x:.2f}%" y="{y:.1f}" text-anchor="{anchor}">{escape(words, quote=False)}</text>'


def column(shown: Shown, name: str) -> Column:
    """The declaration of a column of a picture."""
    return next(one for one in shown.picture.columns if one.name == name)


def short(words: object, most: int = LONGEST_LABEL) -> str:
    """What is written beside a drawing, in the reader's language and not longer than fits."""
    text = spoken(str(words))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def spoken(text: str) -> str:
    """A text of a row as people say it: a reason by its sentence, all else in the reader's language."""
    return _(wording.REASONS[text]) if text in wording.REASONS else said(text)


def decimals_of(declared: Column, value: float | None) -> int:
    """With how many decimals a value of a column is written; the file has all of them."""
    size = abs(value or 0.0)
    if declared.kind == "integer" or size >= MANY:
        return 0
    return 2 if 0 < size < 1 else 1


def figure(value: float | None, declared: Column) -> str:
    """A value of a column with its unit; a dash alone for what is unknown."""
    unit = declared.unit or ""
    return wording.DASH if value is None else wording.with_unit(value, decimals_of(declared, value), unit)


def span_of(values: Iterable[float | None]) -> tuple[float, float]:
    """The lowest and highest of what is known, with zero."""
    known = [float(value) for value in values if value is not None]
    low, high = min([*known, 0.0]), max([*known, 0.0])
    return (low, high) if high > low else (low, low + 1.0)


def legend(shown: Shown, limit: str | None, form: str) -> str:
    """What the looks of a drawing of this form mean: the states that are not plain, and the line of the limit."""
    states = set(shown.rows[STATE].drop_nulls()) - PLAIN if STATE in shown.rows.columns else set()
    parts = [
        f'<li><span class="swatch" data-state="{one}"></span>{escape(wording.state(one))}</li>'
        for one in wording.SEVERITY
        if one in states
    ]
    if limit and shown.rows[limit].count():
        parts.append(f'<li><span class="d-limit-sign"></span>{escape(_(column(shown, limit).meaning))}</li>')
    return f'<ul class="legend d-legend d-of-{form}">{"".join(parts)}</ul>' if parts else ""


def state_of(row: Row) -> str:
    """The state of a row; plain where it has none."""
    return str(row.get("state") or "context")
