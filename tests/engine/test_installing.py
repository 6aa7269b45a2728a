"""The service of a computer: what is written, what systemd says of it, what it is told, and the container's steps."""

import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from pipelines.engine import installing
from pipelines.engine.errors import StoreError
from pipelines.engine.heralding import STALE_S, Herald, notify
from pipelines.engine.installing import Service
from tests.conftest import ROOT
from tests.engine import small_town

RUNNING = ROOT / "docs" / "running"
SERVICE = Service(Path("/srv/town"), Path("/opt/townboard"), Path("/opt/townboard/.venv/bin/python"))


def done(service: Service, root: Path) -> tuple[list[str], list[list[str]], bool]:
    said: list[str] = []
    ran: list[list[str]] = []
    changed = installing.install(service, said.append, lambda command: ran.append(list(command)), root)
    return said, ran, changed


def test_service_is_installed_once_and_each_step_is_said(tmp_path: Path) -> None:
    said, ran, changed = done(SERVICE, tmp_path)
    assert changed
    assert [" ".join(command) for command in ran] == [
        f"systemd-sysusers {tmp_path}/etc/sysusers.d/townboard.conf", "chown -R townboard:townboard /srv/town",
        "systemctl daemon-reload", "systemctl enable --now townboard.service", "systemctl restart townboard.service",
    ]  # fmt: skip
    assert all(" ".join(command) in said for command in ran)
    assert (tmp_path / installing.USERS).read_text() == 'u townboard - "Townboard" /srv/town\n'
    _, again, changed = done(SERVICE, tmp_path)
    assert not changed
    assert [" ".join(command) for command in again] == ["systemctl enable --now townboard.service"]


def test_service_is_taken_away_and_the_town_stays(tmp_path: Path) -> None:
    done(SERVICE, tmp_path)
    ran: list[str] = []
    assert installing.remove(lambda _: None, lambda command: ran.append(" ".join(command)), tmp_path)
    assert ran == ["systemctl disable --now townboard.service", "systemctl daemon-reload"]
    assert not (tmp_path / installing.UNIT).exists()
    said: list[str] = []
    assert not installing.remove(said.append, lambda _: pytest.fail("nothing was installed"), tmp_path)
    assert "nothing was to do" in said[0]


def test_unit_may_write_to_what_the_settings_name_and_nowhere_else(tmp_path: Path) -> None:
    more = '[backup]\nto = "/media/usb 1"\nsecond = "/mnt/share"\n'
    folder = small_town.make(
        tmp_path / "town", small_town.TOWN.format(zone="UTC", domains='["water", "grievances"]') + more
    )
    writes = installing.writes_of(small_town.read(folder))
    unit = Service(folder, ROOT, Path("/usr/bin/python3"), writes=writes).unit()
    assert re.findall(r"^ReadWritePaths=(.*)$", unit, re.M) == [str(folder), '-"/media/usb 1"', "-/mnt/share"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_unit_is_understood_by_systemd_and_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "townboard.service"
    here = Service(tmp_path, ROOT, Path("/usr/bin/python3"), user="root", prefix="/town/")
    unit.write_text(here.unit())
    found = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr.strip()) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert rated.returncode == 0, rated.stdout[-400:]


def test_command_that_is_not_here_says_what_to_do_instead() -> None:
    with pytest.raises(StoreError, match=r"docs/running/compose\.yaml"):
        installing.commands(["no-such-systemctl", "enable"])


# what systemd is told ------------------------------------------------------------------------------------------------


class Systemd:
    """The socket that systemd listens on, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.setblocking(False)
        self.now = 1_000_000.0
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "30000000"}

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


def test_systemd_is_told_ready_when_the_board_is_out_and_then_that_all_is_well_until_the_line_hangs(
    tmp_path: Path,
) -> None:
    import os

    systemd, board, door = Systemd(tmp_path), tmp_path / "board", socket.socket()
    door.bind(("127.0.0.1", 0))
    board.write_text("of the life before")
    os.utime(board, (systemd.now - 5, systemd.now - 5))
    herald = Herald(board, door.getsockname(), systemd.environment, lambda: systemd.now)

    def look(seconds: float) -> list[str]:
        systemd.now += seconds
        herald.look()
        return systemd.heard()

    assert look(2) == []
    os.utime(board, (systemd.now, systemd.now))
    assert look(2) == []
    door.listen()
    (ready,) = look(2)
    assert ready.startswith("READY=1\nSTATUS=")
    os.utime(board, (systemd.now, systemd.now))
    assert [look(1) for _ in range(9)] == [[]] * 9
    assert look(1) == ["WATCHDOG=1"]
    (words,) = look(STALE_S + 1)
    assert words == "STATUS=The line gives no new board for 71 seconds; systemd will start everything anew."
    herald.stopping()
    assert systemd.heard() == ["STOPPING=1"]
    door.close()
    systemd.socket.close()


def test_nothing_is_told_where_no_systemd_listens(tmp_path: Path) -> None:
    assert not notify("READY=1", {})
    assert not notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})


# the container -------------------------------------------------------------------------------------------------------


def steps() -> list[tuple[str, str]]:
    """The container file as instruction and rest, lines put together."""
    text = re.sub(r"\\\n\s*", " ", (RUNNING / "Containerfile").read_text())
    lines = (line.strip() for line in text.splitlines())
    return [tuple(line.split(maxsplit=1)) for line in lines if line and not line.startswith("#")]  # type: ignore[misc]


def test_container_file_has_no_fault_that_a_linter_knows() -> None:
    linter = ROOT / ".venv" / "bin" / "hadolint"
    if not linter.exists():
        pytest.skip("hadolint is not installed")
    found = subprocess.run([linter, RUNNING / "Containerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_what_the_container_copies_is_all_that_the_program_needs(tmp_path: Path) -> None:
    for instruction, rest in steps():
        if instruction == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                place = tmp_path / target / (source if (ROOT / source).is_file() else "")
                (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, place)
    town = small_town.make(tmp_path / "town")
    python = ROOT / ".venv" / "bin" / "python"
    entry = next(rest for instruction, rest in steps() if instruction == "ENTRYPOINT")
    assert entry == '["tini", "--", "python", "app.py", "--town", "/town"]'
    checked = subprocess.run(
        [python, "app.py", "--town", town, "check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "no mistakes found" in checked.stdout


def test_compose_file_gives_the_board_to_the_proxy_alone() -> None:
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((RUNNING / "compose.yaml").read_text())["services"]
    board, proxy = services["board"], services["proxy"]
    assert "ports" not in board and board["read_only"] and board["cap_drop"] == ["ALL"]
    assert (ROOT / "docs" / "running" / board["build"]["context"] / board["build"]["dockerfile"]).resolve().is_file()
    assert proxy["ports"] == ["80:80", "443:443"]
    assert "{$BOARD:" in (RUNNING / "Caddyfile").read_text() and proxy["environment"]["BOARD"] == "board:8050"
