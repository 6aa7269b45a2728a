"""Copies of the town: which stay, and a second place that holds what was sent, by folder, rsync and SFTP."""

import getpass
import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine import archive, backup, copies, second_place, state_file
from pipelines.engine.errors import StoreError
from pipelines.engine.second_place import Folder, Rsync, Sftp
from pipelines.engine.settings import BackupPlan
from tests.engine.small_town import NOON, make, open_line
from tests.scenarios.test_processes import free_port

DAY = timedelta(days=1)
SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")
SSHD = Path("/usr/sbin/sshd")


def plan(tmp_path: Path, **more: object) -> BackupPlan:
    (tmp_path / "stick").mkdir(exist_ok=True)
    return BackupPlan(tmp_path / "stick", DAY, 3, **more)  # type: ignore[arg-type]


def town_of(tmp_path: Path) -> Path:
    """A town that has once been started."""
    town = make(tmp_path / "town")
    open_line(town, NOON, frozenset({"pressure_compliance"})).close()
    return town


def named(at: datetime) -> str:
    return f"{at:{copies.NAME}}"


def write(text: bytes):  # type: ignore[no-untyped-def]
    return lambda file: file.write_bytes(text) and None


# which stay ----------------------------------------------------------------------------------------------------------


def test_copies_of_days_weeks_and_months_stay_by_the_rule(tmp_path: Path) -> None:
    # A copy each day for a year: three days, then four ISO weeks and five months by their last copy.
    rule = plan(tmp_path, weekly=4, monthly=5)
    standing: dict[str, datetime] = {}
    for n in range(365):
        at = datetime(2025, 3, 11, 2, 0, tzinfo=UTC) + n * DAY
        standing[named(at)] = at
        standing = {name: standing[name] for name in copies.staying(standing, rule)}
    kept = sorted(f"{at:%m-%d}" for at in standing.values())
    # 2026-03-10 is a Tuesday; Sundays before it are 8 March, 1 March and 22 February.
    assert kept == sorted([
        "03-10", "03-09", "03-08",
        "03-01", "02-22",
        "02-28", "01-31", "12-31", "11-30",
    ])  # fmt: skip


@given(st.lists(st.integers(0, 900), min_size=1, unique=True), st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_newest_copy_always_stays_and_nothing_is_kept_beyond_the_rule(
    days: list[int], keep: int, weekly: int, monthly: int
) -> None:
    rule = BackupPlan(Path("/stick"), DAY, keep, weekly, monthly)
    standing = {named(NOON - n * DAY): NOON - n * DAY for n in days}
    kept = copies.staying(standing, rule)
    assert named(NOON - min(days) * DAY) in kept
    assert kept <= set(standing)
    assert min(keep, len(days)) <= len(kept) <= keep + weekly + monthly
    assert copies.staying({name: standing[name] for name in kept}, rule) == kept


# by the plan ---------------------------------------------------------------------------------------------------------


def test_copy_is_made_once_a_day_and_so_many_are_kept(tmp_path: Path) -> None:
    rule = plan(tmp_path)
    (rule.to / "letter.tar").write_bytes(b"mine")
    (rule.to / "town-2026-01-01-0000Z.tar.zst.part").write_bytes(b"half")
    made = [
        NOON + n * timedelta(hours=1)
        for n in range(24 * 5)
        if copies.run(rule, tmp_path, NOON + n * timedelta(hours=1), write(b"copy")).made
    ]
    assert made == [NOON + n * DAY for n in range(5)]
    assert sorted(path.name for path in rule.to.iterdir()) == [
        "letter.tar", "town-2026-03-12-0630Z.tar.zst", "town-2026-03-13-0630Z.tar.zst", "town-2026-03-14-0630Z.tar.zst"
    ]  # fmt: skip


def test_absent_disk_is_said_and_never_made(tmp_path: Path) -> None:
    rule = plan(tmp_path)
    rule.to.rmdir()
    with pytest.raises(StoreError, match=r"stick is not there.*Put in the disk"):
        copies.run(rule, tmp_path, NOON, lambda _: pytest.fail("no copy may be begun"))
    assert not rule.to.exists()


def test_failed_copy_leaves_the_older_ones_and_is_tried_again(tmp_path: Path) -> None:
    rule = plan(tmp_path)
    (rule.to / "town-2026-03-01-0000Z.tar.zst").write_bytes(b"copy")

    def full(_: Path) -> None:
        raise StoreError("the disk is full")

    assert copies.run(rule, tmp_path, NOON, full).faults == ("the disk is full",)
    assert copies.run(rule, tmp_path, NOON + timedelta(hours=1), write(b"copy")) == copies.Done(2, made=True)


def test_copy_from_a_clock_that_ran_ahead_keeps_no_newer_one_away(tmp_path: Path) -> None:
    rule = plan(tmp_path)
    (rule.to / "town-2031-03-10-0000Z.tar.zst").write_bytes(b"copy")
    assert copies.run(rule, tmp_path, NOON, write(b"copy")).standing == 2
    again = copies.run(rule, tmp_path, NOON + timedelta(hours=1), lambda _: pytest.fail("the last one is new enough"))
    assert not again.made


def test_second_place_gets_the_newest_copy_once_and_is_caught_up_with_when_it_was_away(tmp_path: Path) -> None:
    town = town_of(tmp_path)
    share = tmp_path / "share"
    rule = plan(tmp_path, second=str(share))
    first = copies.run(rule, town, NOON)
    assert (first.made, first.sent) == (True, False)
    assert "second place" in first.faults[0] and "mount the share" in first.faults[0]
    share.mkdir()
    second = copies.run(rule, town, NOON + timedelta(hours=1))
    assert (second.made, second.sent, second.faults) == (False, True, ())
    (copy,) = share.iterdir()
    assert copy.read_bytes() == (rule.to / copy.name).read_bytes()
    assert archive.read(copy).files > 3
    last = state_file.read_cursor(town / "store" / "state.sqlite", copies.SECOND)
    assert (last["file"], last["place"]) == (copy.name, str(share))
    assert not copies.run(rule, town, NOON + timedelta(hours=2)).sent


def test_copy_that_arrives_spoiled_gets_no_name_in_the_second_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = town_of(tmp_path)
    made = backup.make(town, tmp_path / named(NOON), NOON)
    share = tmp_path / "share"
    share.mkdir()

    def spoiling(source, target, length: int = 0) -> None:  # type: ignore[no-untyped-def]
        raw = bytearray(source.read())
        raw[len(raw) // 2] ^= 1
        target.write(raw)

    monkeypatch.setattr("shutil.copyfileobj", spoiling)
    with pytest.raises(StoreError, match="damaged"):
        Folder(share).put(made.file)
    assert list(share.iterdir()) == []


def test_backup_that_grows_old_is_said(tmp_path: Path) -> None:
    town = town_of(tmp_path)
    rule = plan(tmp_path)
    copies.run(rule, town, NOON)
    assert copies.late(rule, town / "store", NOON + 2 * DAY) == ""
    assert "The last verified copy in" in copies.late(rule, town / "store", NOON + 2 * DAY + timedelta(hours=1))


# other computers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """An rsync server of our own on this machine."""
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed")
    (tmp_path / "served").mkdir()
    port = free_port()
    config = tmp_path / "rsyncd.conf"
    config.write_text(
        f"use chroot = no\nuid = root\ngid = root\nlog file = {tmp_path}/rsyncd.log\n"
        f"[town]\npath = {tmp_path}/served\nread only = no\n"
    )
    command = ["rsync", "--daemon", "--no-detach", f"--port={port}", "--address=127.0.0.1", f"--config={config}"]
    server = subprocess.Popen(command)
    try:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield f"rsync://127.0.0.1:{port}/town"
    finally:
        server.terminate()
        server.wait(10)


def test_second_place_by_rsync_holds_what_was_sent_and_is_thinned(served: str, tmp_path: Path) -> None:
    town = town_of(tmp_path)
    there = tmp_path / "served"
    (there / "letter.txt").write_text("mine")
    rule = plan(tmp_path, second=served)
    for n in range(4):
        done = copies.run(rule, town, NOON + n * DAY)
        assert (done.made, done.sent, done.faults) == (True, True, ())
    assert sorted(path.name for path in there.iterdir()) == [
        "letter.txt", *(named(NOON + n * DAY) for n in (1, 2, 3))
    ]  # fmt: skip
    newest = named(NOON + 3 * DAY)
    assert (there / newest).read_bytes() == (rule.to / newest).read_bytes()


def test_server_that_is_away_is_told_in_words(tmp_path: Path) -> None:
    town = town_of(tmp_path)
    rule = plan(tmp_path, second=f"rsync://127.0.0.1:{free_port()}/town")
    (words,) = copies.run(rule, town, NOON).faults
    assert "did not take the copy" in words and "within the hour" in words


def test_rsync_over_ssh_asks_nobody_and_trusts_only_known_hosts(tmp_path: Path) -> None:
    place = second_place.place_of("ssh+rsync://clerk@nas.example:2222/backups", tmp_path / "key")
    assert isinstance(place, Rsync)
    assert place._target == "clerk@nas.example:/backups/"
    way = " ".join(place._options())
    assert "BatchMode=yes" in way and "StrictHostKeyChecking=yes" in way and "-p 2222" in way and "key" in way


@pytest.mark.skipif(not SFTP_SERVER.exists(), reason="the SFTP server is not installed")
def test_second_place_by_sftp_holds_what_was_sent_and_is_thinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, there = town_of(tmp_path), tmp_path / "there"
    there.mkdir()

    def local(address: str, key_file: Path | None = None) -> Sftp:
        # The client talks to a server of its own over a pipe: the protocol is whole, only SSH is left out.
        return Sftp(second_place.urlsplit(address), None, ("-D", str(SFTP_SERVER)))

    monkeypatch.setattr(copies, "place_of", local)
    rule = plan(tmp_path, second=f"sftp://nas.example{there}")
    for n in range(4):
        assert copies.run(rule, town, NOON + n * DAY).faults == ()
    assert sorted(path.name for path in there.iterdir()) == [named(NOON + n * DAY) for n in (1, 2, 3)]
    assert (there / named(NOON + 3 * DAY)).read_bytes() == (rule.to / named(NOON + 3 * DAY)).read_bytes()


@contextmanager
def sshd(folder: Path, port: int, most_bytes: int | None = None) -> Iterator[None]:
    """A real SSH server for whoever runs the tests; with `most_bytes` no file gets longer, and its session dies."""
    told = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": folder / "host", "PidFile": "none", "UsePAM": "no",
        "AuthorizedKeysFile": folder / "key.pub", "StrictModes": "no", "PasswordAuthentication": "no",
        "Subsystem": f"sftp {SFTP_SERVER}",
    }  # fmt: skip
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in told.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)

    def bounded() -> None:
        if most_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    command = [SSHD, "-D", "-f", folder / "sshd_config"]
    server = subprocess.Popen(command, preexec_fn=bounded, stderr=subprocess.PIPE, text=True)  # noqa: PLW1509
    try:
        assert server.stderr is not None
        until = time.monotonic() + 10
        while time.monotonic() < until and server.poll() is None:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        if server.poll() is not None:
            pytest.skip(f"the SSH server does not run here: {server.stderr.read()[-200:]}")
        yield
    finally:
        server.terminate()
        server.wait(10)
        if server.stderr is not None:
            server.stderr.close()


@pytest.mark.skipif(not SSHD.exists() or not shutil.which("rsync"), reason="no SSH server, or no rsync, is installed")
@pytest.mark.parametrize("scheme", ["sftp", "ssh+rsync"])
def test_copy_over_ssh_is_cut_off_taken_up_again_verified_and_restored_from(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, there, port = tmp_path / "ssh", tmp_path / "there", free_port()
    folder.mkdir()
    there.mkdir()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    known = ("-o", f"UserKnownHostsFile={folder / 'known'}", "-o", "GlobalKnownHostsFile=/dev/null")
    monkeypatch.setattr(second_place, "WAY", (*second_place.WAY, *known))
    monkeypatch.setattr(copies, "place_of", lambda address, key: place(address, key, known))
    town = town_of(tmp_path)
    address = f"{scheme}://{getpass.getuser()}@127.0.0.1:{port}{there}"
    rule = plan(tmp_path, second=address, key_file=folder / "key")
    with sshd(folder, port):
        (words,) = copies.run(rule, town, NOON).faults
        assert "Host key verification failed" in words and not any(there.iterdir())
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    copy = rule.to / named(NOON)
    with sshd(folder, port, copy.stat().st_size // 2):
        assert len(copies.run(rule, town, NOON + timedelta(hours=1)).faults) == 1
        assert copy.name not in {path.name for path in there.iterdir()}
    with sshd(folder, port):
        done = copies.run(rule, town, NOON + timedelta(hours=2))
        assert (done.made, done.sent, done.faults) == (False, True, ())
    assert (there / copy.name).read_bytes() == copy.read_bytes()
    backup.restore(there / copy.name, tmp_path / "again")
    assert (tmp_path / "again" / "town.toml").read_bytes() == (town / "town.toml").read_bytes()


def place(address: str, key: Path | None, known: tuple[str, ...]) -> second_place.Place:
    """The place behind an address, with hosts that are known to this test alone."""
    found = second_place.place_of(address, key)
    return Sftp(found.address, found.key_file, second_place.WAY) if isinstance(found, Sftp) else found
