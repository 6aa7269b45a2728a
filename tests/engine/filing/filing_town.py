"""A small town that takes requests: a list of services, a line that answers, pictures with a secret in them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image

from pipelines.engine import api, tokens
from pipelines.engine.filing.desk import Desk
from pipelines.engine.filing.report import Report
from pipelines.engine.line import Line
from pipelines.engine.people.roles import person
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import Asker, answering

NOW = small_town.NOON
SERVICES = (
    "service_code,service_name,group,description,limit_h\n"
    "leak,Water leak,Water,A pipe or tap that leaks,24\n"
    "lamp,Street lamp,Streets,A lamp that does not burn,72\n"
    "other,Something else,Other,,\n"
)
OFFICE = person("omar", "operator")
# What must never leave without the right to see it.
PERSONAL = {
    "name": "Asha Verma", "phone": "98765 43210", "email": "asha@example.org", "place": "behind the blue gate, Mill Lane",
    "description": "My neighbour Mr Rao lets it run all night",
}  # fmt: skip
PLACE = 0.51237, 0.49876
PRIVATE = (*PERSONAL.values(), "0.51237", "0.49876")


def report(**more: Any) -> Report:
    """A report with everything personal in it."""
    facts: dict[str, Any] = {"service": "leak", **PERSONAL, "lat": PLACE[0], "lon": PLACE[1]}
    return Report(**{**facts, **more})


def photo(form: str = "JPEG", size: tuple[int, int] = (60, 40)) -> bytes:
    """A picture whose camera wrote down where it was taken."""
    made, out = Image.new("RGB", size, "red"), io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "taken at the blue gate"
    exif.get_ifd(0x8825)[1] = "N"
    made.save(out, form, exif=exif)
    return out.getvalue()


@dataclass
class FilingTown:
    """The town, its line and desk, somebody who asks, and a clock that tests move."""

    line: Line
    desk: Desk
    town: Town
    ask: Asker
    clock: dict[str, datetime] = field(default_factory=dict)
    board: Any = None

    def later(self, span: timedelta) -> None:
        self.clock["now"] += span

    def file(self, key: str = "", files: tuple[bytes, ...] = (), **more: Any) -> str:
        """The number of a report that was filed."""
        filed = self.town.filing.file(report(**more), key=key, files=files)
        return str(self.ask.wait_for(filed)["number"])

    def look(self) -> None:
        """Whoever reads sees what was written a moment ago."""
        self.town._followed = 0.0

    def token(self, name: str, *scopes: str) -> str:
        """The secret of a new token."""
        made = tokens.add(tokens.path_of(self.line.settings.store), name, list(scopes), NOW)
        self.town.now()
        return made


def make(folder: Path, more: str = "") -> Path:
    """The town's folder; `more` is written into its town.toml."""
    small_town.make(folder)
    (folder / "reference" / "services.csv").write_text(SERVICES, "utf-8")
    with (folder / "town.toml").open("a", encoding="utf-8") as file:
        file.write(more)
    return folder


@contextmanager
def opened(folder: Path) -> Iterator[FilingTown]:
    """The town of a folder, with its line answering."""
    clock = {"now": NOW}
    line = small_town.open_line(folder, NOW, frozenset())
    with answering(line, lambda: clock["now"]) as desk:
        assert desk is not None
        desk.resume()
        town = Town(line.settings, lambda: clock["now"])
        asker = Asker(api.build(town))
        yield FilingTown(line, desk, town, asker, clock=clock)
        asker.close(town)
    line.close()
