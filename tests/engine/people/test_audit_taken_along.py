"""The audit log taken along: as a file at the machine, over the API by an admin, checked by somebody without us."""

import csv
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
from pipelines import available
from pipelines.engine import doctor, tokens
from pipelines.engine.people import accounts, audit
from tests.engine import api_town, small_town
from tests.engine.api_town import NOW, Asker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = small_town.make(tmp_path / "town")
    path = tokens.path_of(made / "store")
    accounts.add(path, "asha", "operator", NOW, by="console root")
    accounts.set_role(path, "asha", "viewer", NOW, by="boss")
    tokens.add(path, "scada", ["ingest"], NOW, by="boss")
    tokens.revoke(path, "scada", NOW, by="boss")
    audit.noted(path, NOW, "asha", "shift note", {"words": '=HYPERLINK("x")'})
    return made


DID = ["account added", "role changed", "token made", "token revoked", "shift note"]


def chained(rows: list[dict[str, str]]) -> bool:
    """Whether the rows of a file fit together, by the rule that its column `hash` states and nothing of ours."""
    before = "0" * 64
    for row in rows:
        told = json.dumps(
            [before, int(row["seq"]), row["at"], row["who"], row["did"], row["facts"]], ensure_ascii=False
        )
        if hashlib.sha256(told.encode()).hexdigest() != row["hash"]:
            return False
        before = row["hash"]
    return True


def test_file_made_at_the_machine_can_be_checked_without_us(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "audit.csv"
    assert app.main(["--town", str(folder), "export", "audit", "-o", str(made)]) == 0
    with made.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["did"] for row in rows] == DID
    assert chained(rows)
    assert not chained([{**row, "who": row["who"].replace("boss", "nobody")} for row in rows])


@pytest.fixture
def asked(folder: Path) -> Iterator[tuple[Asker, dict[str, str]]]:
    secret = tokens.add(tokens.path_of(folder / "store"), "auditor", ["admin"], NOW)
    with api_town.asked(folder, known=False) as (ask, _town):
        yield ask, {"Authorization": f"Bearer {secret}"}


def test_admin_reads_it_over_the_api_by_time_and_page(asked: tuple[Asker, dict[str, str]]) -> None:
    ask, admin = asked
    whole = ask("GET", "/api/v1/audit", headers=admin).json()
    assert [row["did"] for row in whole["audit"]] == [*DID, "token made"]
    assert chained(whole["audit"])
    page = ask("GET", "/api/v1/audit?limit=2", headers=admin).json()
    assert page["count"] == 2 and page["next"]
    later = NOW.replace(year=NOW.year + 1).isoformat().replace("+00:00", "Z")
    assert ask("GET", f"/api/v1/audit?from={later}", headers=admin).json()["audit"] == []


def test_changed_entry_is_told_with_what_it_says_by_api_and_doctor(
    asked: tuple[Asker, dict[str, str]], folder: Path
) -> None:
    ask, admin = asked
    sound = ask("GET", "/api/v1/audit/check", headers=admin).json()
    assert sound["sound"] and sound["entries"] == len(DID) + 1 and sound["last_hash"] in sound["words"]
    with sqlite3.connect(tokens.path_of(folder / "store")) as db:
        db.execute("UPDATE audit SET who = 'nobody' WHERE did = 'role changed'")
    told = ask("GET", "/api/v1/audit/check", headers=admin).json()
    assert not told["sound"]
    for words in (told["words"], doctor.report(doctor.examine(folder, NOW, available))[0]):
        assert "Entry 2 of the audit log was changed after it was written" in words
        assert 'nobody: role changed {"before": "operator", "name": "asha", "role": "viewer"}' in words


@pytest.mark.parametrize(
    "path",
    ["/api/v1/exports/..%2f..%2fstate.sqlite", "/api/v1/exports/../../store/state.sqlite", "/api/v1/tables/..%2fstate.sqlite",
     "/api/v1/tables/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/api/v1/quarantine/..%2f..%2fstate/original", "/cap/..%2f..%2ftown.toml"],
)  # fmt: skip
def test_no_path_of_the_api_leads_to_a_file(asked: tuple[Asker, dict[str, str]], path: str) -> None:
    ask, admin = asked
    told = ask("GET", path, headers=admin)
    assert told.status_code in (404, 422), told.text
    assert "SQLite" not in told.text and "root:" not in told.text and "[town]" not in told.text
