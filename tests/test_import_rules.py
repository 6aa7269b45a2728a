"""Who may import whom: app > pages > components > domains > engine; one home each for SQL, the schedule, Dash and the clock."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("pipelines", "components", "pages")
LAYERS = {"app": 4, "pages": 3, "components": 2, "pipelines": 1, "engine": 0}
VOCABULARY = (
    "pipelines.engine.model",
    "pipelines.engine.measures",
    "pipelines.engine.units",
    "pipelines.engine.decode",
    "pipelines.engine.picture",
)
NOT_DOMAINS = ("engine", "demo")
# What one module does for all: the package, and the only files that may import it.
HOMES = {
    "duckdb": (
        "pipelines/engine/analysts.py",
        "pipelines/engine/landing.py",
        "pipelines/engine/store.py",
    ),
    "sqlite3": (
        "pipelines/engine/filing/vault.py",
        "pipelines/engine/people/accounts.py",
        "pipelines/engine/people/audit.py",
        "pipelines/engine/people/second_factor.py",
        "pipelines/engine/people/sessions.py",
        "pipelines/engine/state.py",
        "pipelines/engine/state_alarms.py",
        "pipelines/engine/state_delivery.py",
        "pipelines/engine/state_file.py",
        "pipelines/engine/state_layouts.py",
        "pipelines/engine/tokens.py",
    ),
    "apscheduler": ("pipelines/engine/schedule.py",),
    "PIL": ("pipelines/engine/filing/redraw.py",),
    "pypdfium2": ("pipelines/engine/filing/redraw.py",),
    "python_multipart": ("pipelines/engine/filing/posted.py",),
    "paho": ("pipelines/engine/sources/mqtt_session.py", "pipelines/demo/sending.py"),
    "pyarrow": (
        "pipelines/engine/archive.py",
        "pipelines/engine/cold.py",
        "pipelines/engine/decode/plain_columns.py",
        "pipelines/engine/journal_frames.py",
    ),
}
# Ages on a page are worded against the clock of this moment; these few modules may look at it, no others.
LOOK_AT_THE_CLOCK = {
    "app.py", "components/address.py", "components/live.py", "components/shell.py", "components/wording.py", "pages/asset.py",
    "pages/exports.py", "pipelines/engine/spans.py",
}  # fmt: skip
CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
}


@dataclass(frozen=True)
class Module:
    """One source file: its place, its dotted name, and its tree."""

    path: str
    name: str
    tree: ast.Module

    @property
    def imports(self) -> Iterator[tuple[str, int]]:
        """(dotted name, line) of everything it imports; `from a import b` counts as a.b, relative ones resolved."""
        package = self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
                base = ".".join(filter(None, (above, node.module)))
                yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def module(path: Path, root: Path = ROOT) -> Module:
    relative = path.relative_to(root)
    name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
    return Module(relative.as_posix(), name, ast.parse(path.read_text("utf-8")))


MODULES = [module(path) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))] + [
    module(ROOT / "app.py")
]


def layer(name: str) -> int | None:
    """How high a module of ours stands; None for other people's."""
    parts = name.split(".")
    if parts[0] not in LAYERS or parts[0] == "engine":
        return None
    return LAYERS["engine"] if parts[:2] == ["pipelines", "engine"] else LAYERS[parts[0]]


def domain_of(name: str) -> str | None:
    """The domain that a dotted name belongs to."""
    parts = name.split(".")
    return parts[1] if parts[0] == "pipelines" and len(parts) > 1 and parts[1] not in NOT_DOMAINS else None


def upward(found: Module) -> list[str]:
    """Imports of a higher layer, of another domain, or of the engine's inside by a domain."""
    wrong, own, mine = [], layer(found.name), domain_of(found.name)
    domains = {domain_of(other.name) for other in MODULES} - {None}
    for name, line in found.imports:
        theirs, domain = layer(name), domain_of(name)
        where = f"{found.path}:{line} imports {name}"
        if theirs is not None and own is not None and theirs > own and "demo" not in found.path:
            wrong.append(where)
        elif mine and domain in domains and domain != mine:
            wrong.append(f"{where}: another domain")
        elif mine and theirs == 0 and not any(name == word or name.startswith(f"{word}.") for word in VOCABULARY):
            wrong.append(f"{where}: a domain knows only the vocabulary")
        elif own == 0 and domain in domains:
            wrong.append(f"{where}: the engine names no domain")
    return wrong


def misplaced(found: Module) -> list[str]:
    """Imports of a package outside its home, and of Dash below the glass."""
    wrong = []
    for name, line in found.imports:
        package = name.split(".")[0]
        if package in HOMES and found.path not in HOMES[package]:
            wrong.append(f"{found.path}:{line} imports {package}, which lives in {', '.join(HOMES[package])}")
        if package in ("dash", "dash_bootstrap_components", "plotly") and found.path.startswith("pipelines/"):
            wrong.append(f"{found.path}:{line} imports {package}; nothing in pipelines/ knows the glass")
    return wrong


def clocks(found: Module) -> list[str]:
    """Readings of the wall clock."""
    wrong = []
    for node in ast.walk(found.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            named = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if (named, node.func.attr) in CLOCKS:
                wrong.append(
                    f"{found.path}:{node.lineno} reads the wall clock ({named}.{node.func.attr}); `now` is an argument"
                )
    return wrong


def sql(found: Module) -> list[str]:
    """Texts that are statements in SQL."""
    words = ("SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "REPLACE INTO ", "UPDATE ")
    return [
        f"{found.path}:{node.lineno} holds SQL"
        for node in ast.walk(found.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lstrip().startswith(words)
    ]


@pytest.mark.parametrize("found", MODULES, ids=[found.path for found in MODULES])
def test_imports_go_one_way(found: Module) -> None:
    assert upward(found) == []
    assert misplaced(found) == []


def test_only_the_store_and_the_state_hold_sql() -> None:
    homes = (*HOMES["duckdb"], *HOMES["sqlite3"], "pipelines/engine/rolled.py")
    assert [line for found in MODULES if found.path not in homes for line in sql(found)] == []
    assert all(sql(found) for found in MODULES if found.path in homes)


def test_only_the_entry_point_the_demo_and_the_named_pages_read_the_wall_clock() -> None:
    others = [found for found in MODULES if found.path not in LOOK_AT_THE_CLOCK and "/demo/" not in found.path]
    assert [line for found in others for line in clocks(found)] == []
    assert clocks(module(ROOT / "app.py"))


def test_demo_is_known_to_the_entry_point_alone() -> None:
    users = {found.path for found in MODULES for name, _ in found.imports if name.startswith("pipelines.demo")}
    assert {path for path in users if not path.startswith("pipelines/demo/")} <= {"app.py"}


# the rules themselves can fail ------------------------------------------------------------------------------------


def written(tmp_path: Path, place: str, text: str) -> Module:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return module(path, tmp_path)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("pipelines/engine/x.py", "from pipelines.water import DOMAIN"),
        ("pipelines/engine/x.py", "import components.shell"),
        ("pipelines/water/x.py", "from pipelines.energy.formulas import loss"),
        ("pipelines/water/x.py", "from pipelines.engine.store import Store"),
        ("pipelines/water/x.py", "from pipelines.engine import flow"),
        ("pipelines/water/x.py", "from ..energy import kpis"),
        ("components/x.py", "import pages.overview"),
        ("pages/x.py", "def f():\n    import app"),
    ],
)
def test_rule_notices_an_import_against_the_direction(tmp_path: Path, place: str, text: str) -> None:
    assert upward(written(tmp_path, place, text))


def test_rules_notice_sql_clocks_and_strangers(tmp_path: Path) -> None:
    text = 'import duckdb, dash, time, datetime\nQ = f"SELECT {1}"\nR = "SELECT 1"\nnow = datetime.datetime.now()\nt = time.time()\n'
    found = written(tmp_path, "pipelines/engine/x.py", text)
    assert len(misplaced(found)) == 2
    assert len(clocks(found)) == 2
    assert sql(found)


# What a process need not hold: a megabyte or ten each, in processes that stay for years.
NOT_IN_WEB = ("zxcvbn", "xlsxwriter", "fastexcel", "pipelines.engine.line", "pipelines.engine.flow", "apscheduler")
NOT_IN_SUPERVISOR = ("polars", "numpy", "duckdb", "httpx", "dash")


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("components.web, pipelines.engine.api, pipelines.engine.town", NOT_IN_WEB),
        ("app, pipelines.engine.supervise, pipelines.engine.commands, pipelines.demo.run", NOT_IN_SUPERVISOR),
    ],
    ids=["web", "supervisor"],
)
def test_process_does_not_hold_what_it_never_uses(modules: str, absent: tuple[str, ...]) -> None:
    asked = f"import sys, {modules}; print([name for name in {absent!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
