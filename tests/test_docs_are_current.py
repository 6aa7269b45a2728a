"""Generated pages say what the declarations say; what the README names exists."""

import re
import subprocess
import sys

from tests.conftest import ROOT
from tools import catalogue


def test_generated_pages_are_current() -> None:
    for name, make in catalogue.PAGES.items():
        assert (ROOT / "docs" / name).read_text("utf-8") == make(), f"run: python -m tools.catalogue ({name})"


def test_settings_page_names_every_key() -> None:
    from pipelines.engine import settings
    from pipelines.engine.model import RETENTION

    assert set(catalogue.TOWN) == settings.TOWN_KEYS
    assert set(catalogue.FEED) == settings.FEED_KEYS
    assert set(catalogue.BACKUP) == settings.BACKUP_KEYS
    assert set(catalogue.EXPORT) == set(settings.EXPORT_KEYS)
    assert set(catalogue.REPORT) == set(settings.REPORT_KEYS)
    assert set(catalogue.ACCESS) == settings.ACCESS_KEYS
    assert set(catalogue.OPENID) == settings.OPENID_KEYS
    assert set(catalogue.DELIVERY) == set(settings.DELIVERY_KEYS)
    assert set(catalogue.CLASSES) == set(RETENTION) - set(settings.NEVER_DROPPED)


def test_table_of_who_may_what_is_the_declared_one() -> None:
    assert catalogue.may() in (ROOT / "docs" / "access.md").read_text("utf-8"), (
        "put in what tools.catalogue.may() gives"
    )


def test_every_dependency_has_a_reason() -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text("utf-8").splitlines():
            package = line.partition("==")[0]
            if line and not line.startswith(("#", "-")):
                assert "==" in line, f"{line} is not pinned"
                assert re.search(rf"\b{re.escape(package)}\b", reasons), (
                    f"docs/dependencies.md has no reason for {package}"
                )


def test_readme_names_only_what_exists() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(re.findall(r"make ([a-z-]+)", readme)) <= targets
    for path in re.findall(r"\]\(([a-zA-Z][^)#:]*)\)", readme):
        assert (ROOT / path).exists(), f"README.md links to {path}, which is not there"


def test_command_line_lists_the_commands_of_the_readme() -> None:
    told = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    readme = (ROOT / "README.md").read_text("utf-8")
    for command in re.findall(r"`python app.py ([a-z]+)", readme):
        assert command in told
