"""`app.py install`: Townboard as a service of this computer; every step is said, and done only where it is not yet."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.errors import StoreError
from pipelines.engine.settings import Settings

UNIT, USERS = Path("etc/systemd/system/townboard.service"), Path("etc/sysusers.d/townboard.conf")
Say = Callable[[str], None]
Run = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Service:
    """What the unit is made of."""

    town: Path
    program: Path
    python: Path
    user: str = "townboard"
    host: str = "127.0.0.1"
    port: int = 8050
    prefix: str = "/"
    # Folders beside the town's own that it writes to: copies, spools of text messages.
    writes: tuple[Path, ...] = ()

    def unit(self) -> str:
        """The unit file."""
        home = "read-only" if _at_home(self.program, self.python, self.town) else "yes"
        return TEMPLATE.format(
            town=_word(self.town), program=_word(self.program), python=_word(self.python), user=self.user,
            host=self.host, port=self.port, prefix=self.prefix, home=home,
            writes="".join(f"\nReadWritePaths=-{_word(folder)}" for folder in self.writes),
        )  # fmt: skip

    def users(self) -> str:
        """The user that it runs as, for systemd-sysusers."""
        return f'u {self.user} - "Townboard" {self.town}\n'


def writes_of(settings: Settings) -> tuple[Path, ...]:
    """Folders outside the town's own that it writes to by its settings."""
    found: list[Path] = []
    if settings.backup is not None:
        found.append(settings.backup.to)
        if settings.backup.second and settings.backup.second.startswith("/"):
            found.append(Path(settings.backup.second))
    if settings.delivery is not None:
        folders = (getattr(channel, "folder", None) for channel in settings.delivery.channels.values())
        found += [Path(folder) for folder in folders if folder]
    own = settings.folder.resolve()
    return tuple(dict.fromkeys(path for path in found if own not in (path.resolve(), *path.resolve().parents)))


def install(service: Service, say: Say, run: Run, root: Path = Path("/")) -> bool:
    """Write what is not written yet and start the service; whether anything was to do.

    Raises StoreError: not allowed, or a command failed.
    """
    changed = [_write(root / USERS, service.users(), say), _write(root / UNIT, service.unit(), say)]
    if any(changed):
        _do(["systemd-sysusers", str(root / USERS)], say, run)
        _do(["chown", "-R", f"{service.user}:{service.user}", str(service.town)], say, run)
        _do(["systemctl", "daemon-reload"], say, run)
    _do(["systemctl", "enable", "--now", "townboard.service"], say, run)
    if any(changed):
        _do(["systemctl", "restart", "townboard.service"], say, run)
    say(f"Townboard runs as a service at http://{service.host}:{service.port}{service.prefix}. Its words: journalctl "
        "-u townboard")  # fmt: skip
    return any(changed)


def remove(say: Say, run: Run, root: Path = Path("/")) -> bool:
    """Stop the service and take its files away; the town, its data and its user stay. Whether it was installed."""
    standing = [path for path in (root / UNIT, root / USERS) if path.exists()]
    if not standing:
        say("Townboard is not installed as a service here; nothing was to do.")
        return False
    _do(["systemctl", "disable", "--now", "townboard.service"], say, run)
    for path in standing:
        path.unlink()
        say(f"{path}: deleted")
    _do(["systemctl", "daemon-reload"], say, run)
    say("The town's folder and the user townboard stay as they are.")
    return True


def commands(command: Sequence[str]) -> None:
    """Run one.

    Raises StoreError with its last words.
    """
    if shutil.which(command[0]) is None:
        raise StoreError(
            f"{command[0]} is not here: this computer does not run systemd. Use docs/running/compose.yaml."
        )
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise StoreError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()[-300:]}")


def _do(command: Sequence[str], say: Say, run: Run) -> None:
    say(" ".join(command))
    run(command)


def _write(path: Path, text: str, say: Say) -> bool:
    """Whether the file was written; one that says the same already is left alone."""
    try:
        if path.is_file() and path.read_text("utf-8") == text:
            say(f"{path}: stands already")
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except PermissionError as error:
        raise StoreError(f"{path} cannot be written by this user. Give the command as root: sudo ...") from error
    say(f"{path}: written")
    return True


def _at_home(*paths: Path) -> bool:
    homes = (Path("/home"), Path("/root"), Path("/run/user"))
    return any(home in path.parents for path in paths for home in homes)


def _word(path: Path) -> str:
    """A path as systemd reads one word: percent and quotes escaped, in quotes where it holds a space."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if any(c.isspace() for c in text) else text


TEMPLATE = """# Written by `app.py install`; changes of your own belong into `systemctl edit townboard`.
[Unit]
Description=Townboard, the operations board of a town
Wants=network-online.target
After=network-online.target time-sync.target
RequiresMountsFor={town}
# It is tried for ever: a disk may come back, a clerk mends town.toml.
StartLimitIntervalSec=0

[Service]
Type=notify
User={user}
Group={user}
WorkingDirectory={program}
ExecStart={python} {program}/app.py --town {town} serve --host {host} --port {port} --prefix {prefix}
Restart=always
RestartSec=5
# The supervisor says that all is well as long as boards are published; a line that hangs is started anew.
WatchdogSec=120
# A store of an earlier version is brought forward at the start, after a backup.
TimeoutStartSec=1h
TimeoutStopSec=20
KillMode=mixed
SyslogIdentifier=townboard
UMask=0027

# The rest of the computer does not suffer when something is wrong here; one process that grew is started again.
MemoryHigh=1600M
MemoryMax=2G
OOMPolicy=continue
TasksMax=512
LimitNOFILE=65536

# It may write to its own folder and to what town.toml names, and nowhere else.
ProtectSystem=strict
ReadWritePaths={town}{writes}
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""
