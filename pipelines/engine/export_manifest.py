"""The manifest of an export: what it holds, of which moment, by which definitions, and the hash of its bytes."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.engine.forms import columns
from pipelines.engine.spans import Extract
from pipelines.engine.version import VERSION

if TYPE_CHECKING:
    from pipelines.engine.town import Town


def stamped(wanted: Extract, town: "Town", seq: int | None = None) -> Extract:
    """The extract, with what its manifest tells: the moment it is of (`seq`: the journal's frame), and definitions."""
    moment = {"as_of": town.now().replace(microsecond=0), **({"seq": seq} if seq is not None else {})}
    about = {"town": town.name, "definitions": town.definitions, "townboard": VERSION, **moment}
    return replace(wanted, about={**wanted.about, **about})


def facts(wanted: Extract) -> dict[str, Any]:
    """What is known before the rows are read."""
    asked = {"table": wanted.name, "from": wanted.span.start, "to": wanted.span.end, "ward": wanted.ward}
    return {**asked, **wanted.about, "columns": columns(wanted)}
