"""What the packages are known for, and the bill of what runs."""

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import audit, sbom


def program(folder: Path, stdout: str, stderr: str = "", status: int = 0) -> Path:
    made = folder / "pip-audit"
    for name, text in (("out", stdout), ("err", stderr)):
        (folder / name).write_text(text)
    made.write_text(f"#!/bin/sh\ncat {folder}/out; cat {folder}/err >&2; exit {status}\n")
    made.chmod(0o755)
    return made


def report(*vulns: dict[str, object]) -> str:
    return json.dumps({"dependencies": [{"name": "leftpad", "version": "1.0", "vulns": list(vulns)}], "fixes": []})


def test_audit_passes_when_nothing_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(program(tmp_path, report())) == 0
    assert capsys.readouterr().out == "Weaknesses of packages: 0 known in 1 packages.\n"


def test_audit_fails_and_names_each_weakness_with_what_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = ({"id": "CVE-1", "fix_versions": ["1.1"]}, {"id": "CVE-2", "fix_versions": []})
    assert audit.main(program(tmp_path, report(*faults), status=1)) == 1
    told = capsys.readouterr().out
    assert "leftpad 1.0: CVE-1, mended in 1.1" in told and "leftpad 1.0: CVE-2, not mended yet" in told


def test_audit_is_skipped_in_words_where_nobody_can_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    down = program(tmp_path, "", "Traceback\nrequests.exceptions.ConnectionError: no route", 1)
    assert audit.main(down) == 0
    assert "skipped, nobody could be asked (requests.exceptions.ConnectionError: no route)" in capsys.readouterr().out
    assert audit.main(tmp_path / "nowhere") == 0
    assert "skipped" in capsys.readouterr().out


def test_what_runs_is_what_is_named_with_all_it_needs_and_no_tool_of_the_tests() -> None:
    wanted = sbom.named((ROOT / "requirements.txt").read_text("utf-8"))
    names = sbom.needed(wanted)
    # Of fastapi, of httpx, of argon2-cffi: named by nobody here.
    assert {"starlette", "httpcore", "argon2-cffi-bindings", *wanted} <= names
    assert {"pytest", "ruff", "playwright", "pip-audit", "cyclonedx-bom"}.isdisjoint(names)


def test_bill_holds_these_packages_and_what_hangs_on_what() -> None:
    def part(name: str) -> dict[str, str]:
        return {"bom-ref": f"{name}==1", "name": name, "version": "1"}

    found = {
        "bomFormat": "CycloneDX", "metadata": {"component": {"bom-ref": "root", "name": "townboard"}},
        "components": [part("Fast_API"), part("starlette"), part("pytest")],
        "dependencies": [{"ref": "root"}, {"ref": "Fast_API==1", "dependsOn": ["starlette==1", "pytest==1"]},
                         {"ref": "starlette==1"}, {"ref": "pytest==1"}],
    }  # fmt: skip
    bill = sbom.reached(found, {"fast-api", "starlette"}, {"fast-api"})
    assert [one["name"] for one in bill["components"]] == ["Fast_API", "starlette"]
    assert bill["dependencies"] == [
        {"ref": "root", "dependsOn": ["Fast_API==1"]}, {"ref": "Fast_API==1", "dependsOn": ["starlette==1"]},
        {"ref": "starlette==1", "dependsOn": []},
    ]  # fmt: skip
