"""`app.py demo`: prepares the town when it is new, then runs board and simulator until it is stopped."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.demo import broker
from pipelines.demo.feeds import FEEDS
from pipelines.demo.sending import TOKEN
from pipelines.engine import tokens
from pipelines.engine.people import accounts
from pipelines.engine.supervise import Child, Supervisor

ROOT = Path(__file__).resolve().parents[2]
SEED = 7
SIMULATOR, GOOD_FOR = "simulator", timedelta(days=365)
OPERATOR = "operator"


def run(town: Path | None, host: str, port: int, clock: Callable[[], datetime]) -> int:
    """Start everything; without a town folder of its own the demo lives in a temporary one and leaves nothing."""
    folder = town or Path(tempfile.mkdtemp(prefix="townboard-demo-"))
    try:
        return _run(folder, host, port, clock)
    finally:
        if town is None:
            shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, host: str, port: int, clock: Callable[[], datetime]) -> int:
    simulator = free_port()
    base_url = f"http://127.0.0.1:{simulator}"
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    since = clock()
    print(
        f"Townboard demo. In about a minute, open http://{host}:{port}/ in a browser. Stop it with Ctrl-C.", flush=True
    )
    if (folder / "town.toml").exists():
        _move_simulator(folder / "town.toml", base_url)
    else:
        prepared = subprocess.run(
            [
                sys.executable,
                "-m",
                "pipelines.demo.prepare",
                "--town",
                folder,
                "--base-url",
                base_url,
                "--now",
                since.isoformat(),
            ],
            check=False,
            env=here,
        )
        if prepared.returncode:
            return prepared.returncode
    print(f"The board is at http://{host}:{port}/ (first incidents within two minutes).", flush=True)
    code = sign_in_code(folder / "store", since)
    print(f"To act as its operator (once): http://{host}:{port}/signin/code?code={code}", flush=True)
    print(f"To push rows of your own: python app.py --town {folder} token add NAME --scope ingest", flush=True)
    os.environ |= {"PYTHONPATH": str(ROOT), TOKEN: token(folder / "store", since)}
    extra = _delivery(folder)
    live = [
        sys.executable, "-m", "pipelines.demo", "--town", str(folder), "--app", f"http://{host}:{port}",
        "--port", str(simulator), "--seed", str(SEED), "--since", since.isoformat(),
        *(("--broker", str(extra[0])) if extra else ()),
    ]  # fmt: skip
    children = (Child("simulator", live), *((extra[1],) if extra else ()))
    return Supervisor(folder, host, port, extra=children).run()


def _delivery(folder: Path) -> tuple[int, Child] | None:
    """Port and process of the demo's broker, or one sentence that there is none."""
    program = broker.mosquitto()
    port = free_port() if program else None
    broker.deliver(folder / "town.toml", port)
    if program is None or port is None:
        print("There is no Mosquitto here (apt-get install mosquitto): what would come by MQTT is pushed by HTTP.")
        return None
    return port, broker.child(program, folder, port)


def token(store: Path, now: datetime) -> str:
    """A token for the simulator, as any sender has one; those of its earlier lives end."""
    path = tokens.path_of(store)
    for old in tokens.listed(path):
        if old.name.startswith(SIMULATOR):
            tokens.revoke(path, old.name, now)
    pushed = [name for name, feed in FEEDS.items() if feed["from"] == "http_push"]
    name = f"{SIMULATOR} {now:%Y-%m-%d %H:%M:%S.%f}"
    return tokens.add(path, name, ["ingest"], now, feeds=pushed, expires_at=now + GOOD_FOR)


def sign_in_code(store: Path, now: datetime) -> str:
    """A one-time code that signs in as the demo's operator without a password; anew at each start."""
    path = tokens.path_of(store)
    if OPERATOR in accounts.listed(path):
        return accounts.renew(path, OPERATOR, now, by="demo", enters=True)
    return accounts.add(path, OPERATOR, "operator", now, by="demo", enters=True)


def _move_simulator(path: Path, base_url: str) -> None:
    """A demo town that is started again finds its simulator at another port."""
    lines = path.read_text("utf-8").splitlines()
    moved = []
    for line in lines:
        if line.startswith('url = "http://127.0.0.1:'):
            rest = line.removeprefix('url = "http://127.0.0.1:').partition("/")[2]
            moved.append(f'url = "{base_url}/{rest}')
        else:
            moved.append(line)
    path.write_text("\n".join(moved) + "\n", "utf-8")


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
