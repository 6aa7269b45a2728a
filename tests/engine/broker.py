"""A real Mosquitto for tests: started on a free port with a config in the test's folder, stopped and started again."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
PATIENCE_S = 20.0
# What a town.toml says of a broker at this port, and of a feed whose sensors are named by their topics.
RADIO = """
[brokers.main]
url = "mqtt://127.0.0.1:{port}"

[feeds.radio]
from = "mqtt"
topic = "town/{{asset}}/{{what}}"
format = "json"
every = "1 min"

[feeds.radio.mapping]
time = "at"
sensor = "{{asset}}.{{what}}"
value = "value"
"""
needed = pytest.mark.skipif(
    MOSQUITTO is None, reason="there is no Mosquitto on this computer: sudo apt-get install mosquitto"
)


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds, words: str = "it") -> None:
    """Return when it holds; fail after a patience that only a broken run uses up."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, f"{words} did not come about within {PATIENCE_S:g} seconds"
        time.sleep(0.01)


class Broker:
    """One Mosquitto; what it holds back for a client outlives it."""

    def __init__(self, folder: Path, more: Sequence[str] = ("allow_anonymous true",)) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir(parents=True)
        lines = [
            f"listener {self.port} 127.0.0.1", *more, "persistence true", f"persistence_location {folder}/",
            "autosave_interval 1", "max_queued_messages 0", "max_inflight_messages 1000", "user root",
            f"log_dest file {folder}/log",
        ]  # fmt: skip
        (folder / "conf").write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert MOSQUITTO
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self.folder / "conf")], stderr=subprocess.DEVNULL)
        wait_until(self._open, "the broker's start")

    def stop(self) -> None:
        """Stop it as systemd does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
        self._process = None

    def _open(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Publish at QoS 1 and return when the broker has them all."""
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.max_inflight_messages_set(200)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        sent = [client.publish(topic, payload, qos=1) for topic, payload in messages]
        for one in sent:
            one.wait_for_publish(PATIENCE_S)
        client.disconnect()
        client.loop_stop()


def reading(at: datetime, value: float) -> bytes:
    """A device's message."""
    return json.dumps({"at": at.isoformat(), "value": value}).encode()
