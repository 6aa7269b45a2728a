"""`app.py demo`: prepares the town when it is new, then runs board and simulator until it is stopped."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pipelines.demo import broker
from pipelines.engine.supervise import Child, Supervisor

ROOT = Path(__file__).resolve().parents[2]
SEED = 7
# Where the simulator finds the token with which it pushes.
TOKEN = "TOWNBOARD_TOKEN"


def run(town: Path | None, host: str, port: int, clock: Callable[[], datetime]) -> int:
    """Start everything; without a town folder of its own the demo lives in a temporary one and leaves nothing."""
    folder = town or Path(tempfile.mkdtemp(prefix="townboard-demo-"))
    try:
        return _run(folder, host, port, clock())
    finally:
        if town is None:
            shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, host: str, port: int, since: datetime) -> int:
    simulator, program = free_port(), broker.mosquitto()
    broker_port = free_port() if program else None
    os.environ["PYTHONPATH"] = str(ROOT)
    print(
        f"Townboard demo. In about a minute, open http://{host}:{port}/ in a browser. Stop it with Ctrl-C.", flush=True
    )
    opened = subprocess.run(_opening(folder, simulator, since, broker_port), check=False, stdout=subprocess.PIPE)
    if opened.returncode:
        return opened.returncode
    keys = json.loads(opened.stdout)
    print(f"The board is at http://{host}:{port}/ (first incidents within two minutes).", flush=True)
    print(f"To act as its operator (once): http://{host}:{port}/signin/code?code={keys['code']}", flush=True)
    print(f"To push rows of your own: python app.py --town {folder} token add NAME --scope ingest", flush=True)
    if program is None:
        print("There is no Mosquitto here (apt-get install mosquitto): what would come by MQTT is pushed by HTTP.")
    os.environ[TOKEN] = keys["token"]
    live = [
        sys.executable, "-m", "pipelines.demo", "--town", str(folder), "--app", f"http://{host}:{port}",
        "--port", str(simulator), "--seed", str(SEED), "--since", since.isoformat(), *_at(broker_port),
    ]  # fmt: skip
    extra = (broker.child(program, folder, broker_port),) if program and broker_port else ()
    return Supervisor(folder, host, port, extra=(Child("simulator", live), *extra)).run()


def _opening(folder: Path, simulator: int, since: datetime, broker_port: int | None) -> list[str]:
    return [
        sys.executable, "-m", "pipelines.demo.opening", "--town", str(folder),
        "--base-url", f"http://127.0.0.1:{simulator}", "--now", since.isoformat(), "--seed", str(SEED),
        *_at(broker_port),
    ]  # fmt: skip


def _at(port: int | None) -> tuple[str, ...]:
    return () if port is None else ("--broker", str(port))


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
