"""Messages that no page holds: the words of the declarations, and sentences that the line makes from parts."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pipelines
from components import wording
from components.asset_table import kind_words, quantity
from components.catalogues import HOLE, LIVE
from pipelines.engine.alarms import lifecycle
from pipelines.engine.filing.report import in_words
from pipelines.engine.model import PRIORITIES, Domain
from pipelines.engine.people.roles import ROLES
from pipelines.engine.picture import Picture

ROOT = Path(__file__).resolve().parent.parent
# Modules of the line whose sentences stand on pages: those of the snapshot, and the others.
SPEAKING_LIVE = ("feeds.py", "publisher.py", "alarms/flood.py", "alarms/naming.py", "quality/silence.py")
REFUSING = (
    "alarms/desk.py", "filing/faults.py", "filing/posted.py", "filing/room.py",
    "people/account_room.py", "people/accounts.py", "people/audit.py", "people/factor_door.py",
    "people/openid.py", "people/passwords.py", "people/porter.py", "people/roles.py", "people/saved_views.py",
    "people/second_factor.py", "people/wall_door.py",
)  # fmt: skip
SPEAKING = ("running_down.py", "usual.py", "left_out.py")
EMPLOYERS = ("service.py", "upkeep.py", "delivery/jobs.py", "filing/jobs.py", "outgoing.py")
# Kinds of assets that towns commonly register; any other is shown as the register has it.
KINDS = (
    "air_station", "dma", "effluent_plant", "feeder", "lighting_panel", "microgrid", "noise_site", "pressure_point",
    "pump", "reservoir", "road_link", "street_light", "tank", "traffic_counter", "transformer", "valve",
    "voltage_point", "water_meter",
)  # fmt: skip
FEWEST_WORDS = 2
# A whole sentence, and no query or example in JSON.
REFUSAL = re.compile(r"[A-Z][a-z]*,? [^\"=]* [^\"=]*[.?]")
# Durations that the line writes from parts.
DURATIONS = tuple((f"{{n}} {unit}", f"{{n}} {unit}s") for unit in ("second", "minute", "hour", "day"))


def every() -> Iterator[tuple[str | tuple[str, str], str]]:
    """Message and place of all of them."""
    yield from ((text, f"{LIVE}durations") for text in DURATIONS)
    for name in PRIORITIES:
        yield from ((text, f"{LIVE}priorities") for text in (name, name.capitalize()))
    yield from ((lifecycle.words(state), f"{LIVE}states") for state in lifecycle.State)
    yield from ((role, "pipelines/roles") for role in ROLES)
    yield from ((kind_words(kind), "pipelines/kinds") for kind in KINDS)
    for name in EMPLOYERS:
        yield from ((text, f"{LIVE}jobs") for text in _jobs(ROOT / "pipelines" / "engine" / name))
    for domain in pipelines.available().values():
        yield from ((text, place) for text, place in _declared(domain))
    for name in REFUSING:
        whole = (text for text in sentences(ROOT / "pipelines" / "engine" / name) if REFUSAL.fullmatch(text))
        yield from ((text, f"pipelines/{name}") for text in whole)
    for names, mark in ((SPEAKING_LIVE, LIVE), (SPEAKING, "pipelines/")):
        for name in names:
            yield from ((text, f"{mark}{name}") for text in sentences(ROOT / "pipelines" / "engine" / name))


def _declared(domain: Domain) -> Iterator[tuple[str | tuple[str, str], str]]:
    place = f"pipelines/{domain.name}"
    yield from ((text, place) for text in (domain.title, domain.meaning))
    for table in (table for table in domain.tables if table.complaints):
        yield from ((one.meaning.rstrip("."), f"{place}/requests") for one in table.columns if one.kind == "instant")
    for kpi in domain.kpis:
        yield from ((text, f"{place}/kpis") for text in (kpi.title, kpi.plain))
        yield _unit(kpi.unit), f"{place}/units"
        levels = [level for level in kpi.levels if level not in ("town", "ward", "asset")]
        # A name like "Route {key}", no sentence that the line makes: a title may begin with the same words.
        yield from ((level.capitalize() + " {key}", f"levels/{domain.name}") for level in levels)
    for filing in (table.filing for table in domain.tables if table.filing):
        yield from ((in_words(state), f"{place}/states") for state in filing.states)
    for picture in domain.pictures:
        yield from ((text, f"{place}/pictures") for text in _drawn(picture))
    for rule in domain.alarms:
        yield from ((text, f"{LIVE}{domain.name}") for text in (rule.title, rule.instruction))
    for measured in domain.quantities:
        yield quantity(measured.name, measured.unit), f"{place}/quantities"
        yield _unit(measured.unit), f"{place}/units"


def _drawn(picture: Picture) -> Iterator[str | tuple[str, str]]:
    """What a picture says: its titles and headings, the texts in its rows, its sentences."""
    yield from (picture.title, picture.plain, *picture.words)
    yield from (text for one in picture.columns for text in (one.meaning, _unit(one.unit or "")))
    for node in ast.walk(ast.parse(Path(inspect.getfile(picture.function)).read_text("utf-8"))):
        said = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and said == "say" and node.args:
            yield _text(node.args[0])
        elif isinstance(node, ast.Call) and said == "say_n":
            yield _text(node.args[0]), _text(node.args[1])


def _jobs(path: Path) -> Iterator[str]:
    """Names of jobs and what they are for."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Job" and len(node.args) > 2:
            name = _text(node.args[0])
            yield from (text for text in (name.capitalize(), _text(node.args[2])) if len(HOLE.sub("", text)) > 1)


def _unit(name: str) -> str:
    """The unit in English, when it is a word."""
    text = wording.unit(name)
    return text if " " in text or text in wording.UNITS.values() else ""


def sentences(path: Path) -> Iterator[str]:
    """The texts of a module that people read, with a numbered hole for each value that is put in."""
    tree = ast.parse(path.read_text("utf-8"))
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in documents or id(node) in inner:
            continue
        text = _text(node)
        # A parameter of a query stands behind a dollar.
        if len(HOLE.sub("", text).split()) >= FEWEST_WORDS and "$" not in text:
            yield text


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return ""
    holes = iter(range(len(node.values)))
    parts = [str(p.value) if isinstance(p, ast.Constant) else f"{{{next(holes)}}}" for p in node.values]
    return "".join(parts)
