"""What is new, as an administrator sees it once after an upgrade; and the backups on the page Feeds."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.engine import backup, news, state_file
from pipelines.engine.settings import BackupPlan
from pipelines.engine.state import State
from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.pages.people import Client, at, token_in
from tests.pages.test_pages import get


def test_administrator_is_led_to_what_is_new_until_it_was_read(
    town: FakeTown, door: Doorstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.settings.store = door.path.parent
    monkeypatch.setattr(news, "CHANGELOG", door.path.parent / "CHANGELOG.md")
    news.CHANGELOG.write_text("## 0.1.0\n\n- Buses.\n")
    news.begin(town.settings.store)
    news.CHANGELOG.write_text("## 0.2.0\n\n- <Air>.\n\n## 0.1.0\n\n- Buses.\n")
    asha, ravi = door.add("asha", "admin"), door.add("ravi", "operator")

    async def does(client: Client) -> None:
        for secret, led in ((asha, True), (ravi, False), ("", False)):
            headers = {"cookie": f"{door.porter.cookie}={secret}"}
            assert ('id="shell-news"' in (await client.get("water", headers=headers)).text
                    or 'href="/news"' in (await client.get("water", headers=headers)).text) == led  # fmt: skip
        client.cookies.set(door.porter.cookie, asha)
        page = (await client.get("news")).text
        assert "&lt;Air&gt;." in page and "Buses." not in page
        answer = await client.post("news", data={"form_token": token_in(page)})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert 'href="/news"' not in (await client.get("water")).text
        assert "Nothing is new." in (await client.get("news")).text

    at(town, door, does)


def test_feeds_tell_the_last_verified_copy_and_only_its_keepers_where_it_is(town: FakeTown, tmp_path: Path) -> None:
    State(tmp_path / "state.sqlite").close()
    made = {"at": "2026-03-10T06:30:00+00:00", "file": "/media/usb/town.tar.zst", "files": 9, "bytes": 12_300_000}
    state_file.keep_cursor(tmp_path / "state.sqlite", backup.LAST, made)
    town.settings.store = tmp_path
    town.settings.backup = BackupPlan(Path("/media/usb"), timedelta(days=1), 7, second="sftp://nas/b")
    page = get(town, "/feeds")[0].text
    assert "The last verified copy is from" in page and "12.3 MB" in page
    assert "Second place: <b>No verified copy stands here yet.</b>" in page
    assert "/media/usb" not in page and "sftp://nas" not in page
