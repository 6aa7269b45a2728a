"""Tokens: shown once, kept as hashes, durable before the command answers, ended within seconds."""

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipelines.engine import token_desk, tokens
from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError
from pipelines.engine.state import State
from pipelines.engine.tokens import Keyring, listed
from tests.engine import small_town
from tests.engine.api_town import TOML

NOW = small_town.NOON
DAY = timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tokens.path_of(tmp_path / "store")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "FRESH_S", -1.0)


def test_secret_is_256_random_bits_and_nowhere_on_disk(path: Path) -> None:
    secrets = {tokens.add(path, f"meter {n}", ["ingest"], NOW) for n in range(20)}
    assert len(secrets) == 20
    assert all(len(secret.removeprefix("townboard_")) == 43 for secret in secrets)  # 32 bytes in base64
    on_disk = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert not any(secret.encode() in on_disk for secret in secrets)


def test_token_is_found_by_its_secret_only(path: Path) -> None:
    secret = tokens.add(path, "scada", ["ingest"], NOW, feeds=["scada"], expires_at=NOW + DAY)
    ring = Keyring(path)
    found = ring.find(secret)
    assert found is not None
    assert (found.name, found.scopes, found.feeds, found.created_at) == ("scada", ("ingest",), ("scada",), NOW)
    assert ring.find(secret[:-1]) is None
    assert ring.find("") is None
    assert ring.find("\udc80") is None


@pytest.mark.parametrize(
    ("own", "may"),
    [
        ("ingest", {"ingest"}),
        ("read", {"read"}),
        ("operate", {"operate", "read"}),
        ("admin", {"admin", "operate", "read", "ingest"}),
    ],
)
def test_scopes_include_what_they_say(path: Path, own: str, may: set[str]) -> None:
    tokens.add(path, "one", [own], NOW)
    (token,) = listed(path)
    assert {scope for scope in tokens.SCOPES if token.may(scope)} == may


def test_token_ends_when_its_time_is_up_or_it_is_revoked(path: Path) -> None:
    tokens.add(path, "short", ["read"], NOW, expires_at=NOW + DAY)
    tokens.add(path, "long", ["read"], NOW)
    short, long = sorted(listed(path), key=lambda token: token.name, reverse=True)
    assert [short.state(NOW + DAY - timedelta(seconds=1)), short.state(NOW + DAY)] == ["in use", "expired"]
    tokens.revoke(path, "long", NOW)
    tokens.revoke(path, "long", NOW + DAY)
    assert long.state(NOW + 999 * DAY) == "in use"
    assert next(token for token in listed(path) if token.name == "long").revoked_at == NOW


def test_reader_knows_of_a_revoked_token_without_a_restart(path: Path) -> None:
    secret = tokens.add(path, "scada", ["ingest"], NOW)
    ring = Keyring(path)
    assert ring.find(secret).state(NOW) == "in use"  # type: ignore[union-attr]
    tokens.revoke(path, "scada", NOW)
    assert ring.find(secret).state(NOW) == "revoked"  # type: ignore[union-attr]


def test_reader_looks_again_after_a_second_and_not_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"s": 100.0}
    monkeypatch.setattr(tokens, "FRESH_S", 1.0)
    monkeypatch.setattr(tokens.time, "monotonic", lambda: clock["s"])
    ring = Keyring(path)
    assert not ring.closed
    tokens.add(path, "scada", ["ingest"], NOW)
    clock["s"] += 0.9
    assert not ring.closed
    clock["s"] += 0.2
    assert ring.closed


def test_door_stays_closed_after_the_last_token_is_revoked(path: Path) -> None:
    ring = Keyring(path)
    assert not ring.closed
    tokens.add(path, "dashboard", ["read"], NOW)
    assert not ring.closed
    tokens.add(path, "scada", ["ingest"], NOW)
    tokens.revoke(path, "scada", NOW)
    assert ring.closed


@pytest.mark.parametrize(
    ("name", "scopes", "words"),
    [
        ("", ["read"], "no name"),
        ("a\nb", ["read"], "no name"),
        ("a", ["write"], "no scope"),
        ("taken", ["read"], "taken-2"),
    ],
)
def test_mistakes_are_named(path: Path, name: str, scopes: list[str], words: str) -> None:
    tokens.add(path, "taken", ["read"], NOW)
    with pytest.raises(Misasked, match=words):
        tokens.add(path, name, scopes, NOW)
    assert len(listed(path)) == 1


def test_revoking_what_is_not_there_lists_what_is(path: Path) -> None:
    tokens.add(path, "scada", ["read"], NOW)
    with pytest.raises(Misasked, match="`scada`"):
        tokens.revoke(path, "scad", NOW)


def test_changes_are_synced_to_disk_before_they_are_answered(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    connect = sqlite3.connect

    def watched(*arguments: object, **more: object) -> sqlite3.Connection:
        class Watched(sqlite3.Connection):
            def __exit__(self, *error: object) -> None:  # type: ignore[override]
                mode = self.execute("PRAGMA journal_mode").fetchone()[0]
                seen.append((mode, self.execute("PRAGMA synchronous").fetchone()[0]))
                super().__exit__(*error)  # type: ignore[arg-type]

        return connect(*arguments, factory=Watched, **more)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(tokens.sqlite3, "connect", watched)
    tokens.add(path, "scada", ["ingest"], NOW)
    tokens.revoke(path, "scada", NOW)
    assert seen == [("wal", 2), ("wal", 2)]  # 2 = FULL: the log is fsynced in every commit


def test_refusing_disk_is_told_and_nothing_changes(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.mkdir()
    with pytest.raises(StoreError, match="Nothing was changed"):
        tokens.add(path, "scada", ["ingest"], NOW)


def test_unreadable_file_opens_nothing(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="cannot be read"):
        Keyring(path).find("townboard_x")


def test_garbled_entry_counts_as_revoked_and_keeps_the_door_closed(path: Path) -> None:
    secret = tokens.add(path, "scada", ["ingest"], NOW)
    with sqlite3.connect(path) as db:
        (facts,) = db.execute("SELECT facts FROM tokens").fetchone()
        db.execute("UPDATE tokens SET facts = ?", [facts.replace("ingest", "admins")])
    ring = Keyring(path)
    assert ring.find(secret) is None
    assert ring.closed
    assert listed(path)[0].state(NOW) == "revoked"


def test_state_before_tokens_has_none(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE cursors (feed TEXT PRIMARY KEY, cursor TEXT NOT NULL)")
    assert listed(path) == []


def test_tokens_are_made_while_the_line_uses_the_file(path: Path) -> None:
    state = State(path)
    tokens.add(path, "scada", ["ingest"], NOW)
    state.keep_cursor("feed", {"a": 1})
    tokens.note_use(path, "scada", NOW + DAY)
    assert listed(path)[0].used_at == NOW + DAY
    assert state.cursor("feed") == {"a": 1}
    state.close()


def test_command_shows_the_secret_once_and_the_list_never(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = small_town.read(
        small_town.make(tmp_path / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]'))
    )
    token_desk.show(settings, NOW)
    assert "app.py token add" in capsys.readouterr().out
    token_desk.add(settings, "scada", ["ingest"], ["scada"], "365d", NOW)
    secret = capsys.readouterr().out.strip()
    assert Keyring(tokens.path_of(settings.store)).find(secret) is not None
    token_desk.revoke(settings, "scada", NOW)
    token_desk.show(settings, datetime.fromisoformat("2026-03-11T00:00:00Z"))
    told = capsys.readouterr().out
    assert secret not in told
    assert told.splitlines()[-1].split() == [
        "scada", "ingest", "scada", "2026-03-10", "06:30Z", "2027-03-10", "06:30Z", "never", "revoked",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("feeds", "expires", "words"),
    [(["network"], None, "Nobody pushes"), (["scad"], None, "`scada`"), ([], "soon", "--expires"), ([], "9999999999d", "--expires")],
)  # fmt: skip
def test_command_refuses_what_would_not_work(tmp_path: Path, feeds: list[str], expires: str | None, words: str) -> None:
    settings = small_town.read(
        small_town.make(tmp_path / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]'))
    )
    with pytest.raises(Misasked, match=words):
        token_desk.add(settings, "scada", ["ingest"], feeds, expires, NOW)
    assert listed(tokens.path_of(settings.store)) == []


def test_demo_gives_its_simulator_a_token_and_ends_the_one_of_its_life_before(path: Path) -> None:
    from pipelines.demo.opening import token

    first, second = token(path.parent, NOW), token(path.parent, NOW + DAY)
    ring = Keyring(path)
    assert [ring.find(secret).state(NOW + DAY) for secret in (first, second)] == ["revoked", "in use"]  # type: ignore[union-attr]
    held = ring.find(second)
    assert held is not None
    assert (held.may("ingest"), held.may("read"), held.serves("water_telemetry"), held.serves("push")) == (
        True, False, True, False,
    )  # fmt: skip
