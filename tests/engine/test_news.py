"""What is new: told once to each administrator after the change log has grown, and not to a new town."""

from pathlib import Path

from pipelines.engine import news
from pipelines.engine.news import Section
from pipelines.engine.state import State

OLD = "# Changelog\n\n## 0.1.0\n\n- Buses.\n- Water\n  and power.\n"
NEW = "# Changelog\n\n## 0.2.0\n\n- Air.\n\n## 0.1.0\n\n- Buses.\n- Noise.\n- Water\n  and power.\n"


def store(tmp_path: Path) -> Path:
    State(tmp_path / "state.sqlite").close()
    return tmp_path


def test_change_log_is_read_version_by_version() -> None:
    assert news.sections(OLD) == [Section("0.1.0", ("Buses.", "Water and power."))]


def test_new_town_is_told_nothing_and_an_upgraded_one_what_came_since(tmp_path: Path) -> None:
    folder = store(tmp_path)
    assert news.unseen(folder, "asha", OLD) == []
    news.begin(folder, OLD)
    assert news.unseen(folder, "asha", OLD) == []
    news.begin(folder, NEW)
    assert news.unseen(folder, "asha", NEW) == [Section("0.2.0", ("Air.",)), Section("0.1.0", ("Noise.",))]


def test_each_person_reads_it_once(tmp_path: Path) -> None:
    folder = store(tmp_path)
    news.begin(folder, OLD)
    news.read(folder, "asha", NEW)
    assert news.unseen(folder, "asha", NEW) == []
    assert news.unseen(folder, "ravi", NEW) != []


def test_the_change_log_that_is_shipped_can_be_read() -> None:
    found = news.sections(news.CHANGELOG.read_text("utf-8"))
    assert found[0].version.startswith("0.1.0")
    assert len(found[0].lines) > 20 and all(line.endswith((".", ")")) for line in found[0].lines)
