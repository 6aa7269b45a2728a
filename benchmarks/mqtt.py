"""`python -m benchmarks.mqtt`: MQTT messages at QoS 1 from a real Mosquitto to durable, beside one who only counts.

One publisher writes ready-made packets to its socket, so that neither it nor a library is the limit. The same messages
go to Townboard (`app.py serve`: each a reading, acknowledged when it is durable) and to a plain paho subscriber that
only counts. Needs Mosquitto (Debian package mosquitto).
"""

import argparse
import contextlib
import http.client
import multiprocessing
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.ingest_readings import SENSORS, town
from benchmarks.machine import cpu_s, free_port
from tests.engine.broker import RADIO

ROOT = Path(__file__).resolve().parents[1]
MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
AIM = 5_000
PATIENCE_S = 120.0
# How often the board is asked; the last look may come so much late.
LOOK_S = 0.2
# So many messages of the publisher are on their way to the broker at once.
ON_THE_WAY = 1_000
CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04load"
PUBACK_BYTES = 4
STORED = re.compile(rb'^townboard_rows_total\{feed="radio",outcome="stored"\} (\d+)', re.MULTILINE)


@dataclass(frozen=True)
class Round:
    """What a subscriber did: messages a second until the last, and microseconds of CPU of its process for each."""

    messages_s: float
    cpu_us: float


@contextlib.contextmanager
def broker(folder: Path, in_flight: int) -> Iterator[int]:
    """The port of a Mosquitto that lets so many messages be on their way to a subscriber at once."""
    port = free_port()
    folder.mkdir()
    (folder / "conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages {in_flight}\n"
        f"user root\nlog_dest file {folder}/log\n"
    )
    assert MOSQUITTO
    process = subprocess.Popen([MOSQUITTO, "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def packets(count: int, begin: datetime) -> list[bytes]:
    """PUBLISH packets at QoS 1: every sensor in turn, a second later each time round."""
    found = []
    for number in range(count):
        at = begin + timedelta(seconds=number // SENSORS)
        topic = f"town/P{number % SENSORS:04d}/p".encode()
        payload = f'{{"at":"{at:%Y-%m-%dT%H:%M:%SZ}","value":{20 + number % 977 / 100:.2f}}}'.encode()
        rest = struct.pack(">H", len(topic)) + topic + struct.pack(">H", number % 65_000 + 1) + payload
        assert len(rest) < 128, "a longer packet needs two bytes for its length"
        found.append(bytes((0x32, len(rest))) + rest)
    return found


def publish(port: int, sent: Sequence[bytes], a_second: float) -> None:
    """Send the packets, at most so many a second, and return when the broker has them all."""
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(CONNECT)
        assert wire.recv(4)[3] == 0, "the broker refused the publisher"
        done, had, began = 0, 0, time.monotonic()
        while had < len(sent) * PUBACK_BYTES:
            due = min(int((time.monotonic() - began) * a_second) + 1, len(sent), had // PUBACK_BYTES + ON_THE_WAY)
            if done < due:
                wire.sendall(b"".join(sent[done:due]))
                done = due
            wire.settimeout(None if done == len(sent) or done == had // PUBACK_BYTES + ON_THE_WAY else 0.005)
            with contextlib.suppress(TimeoutError):
                had += len(wire.recv(1 << 16))
            wire.settimeout(None)


def count(port: int, messages: int, told: Connection) -> None:
    """A plain subscriber: tells when it listens, and when it has had all messages, with its CPU seconds between."""
    left = messages

    def heard(*_: object) -> None:
        nonlocal left
        left -= 1

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.on_message = heard
    client.on_subscribe = lambda *_: told.send("listening")
    client.connect("127.0.0.1", port)
    client.subscribe("town/#", qos=1)
    began = time.process_time()
    while left:
        client.loop(1.0)
    told.send(time.process_time() - began)


def plain(port: int, sent: Sequence[bytes], a_second: float) -> Round:
    """The messages to a subscriber that keeps nothing."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=count, args=(port, len(sent), there))
    process.start()
    assert here.recv() == "listening"
    began = time.monotonic()
    publish(port, sent, a_second)
    cpu = float(here.recv())
    lasted = time.monotonic() - began
    process.join(PATIENCE_S)
    return Round(len(sent) / lasted, cpu / len(sent) * 1e6)


def stored(port: int) -> int:
    """How many readings the board says it has stored of the feed; -1 while it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        found = STORED.search(connection.getresponse().read())
    except OSError:
        return -1
    finally:
        connection.close()
    return int(found[1]) if found else 0


def wait_for(port: int, number: int) -> None:
    """Return when the board has stored so many."""
    until = time.monotonic() + PATIENCE_S
    while (found := stored(port)) < number:
        assert time.monotonic() < until, f"{found:,} of {number:,} messages were stored"
        time.sleep(LOOK_S)


def ours(place: Path, broker_port: int, rounds: Sequence[Sequence[bytes]], a_second: float) -> list[Round]:
    """The same to the board: each message a reading that is durable before the broker hears of it."""
    town(place)
    with (place / "town.toml").open("a", encoding="utf-8") as file:
        file.write(RADIO.format(port=broker_port))
    port = free_port()
    command = [sys.executable, str(ROOT / "app.py"), "--town", str(place), "serve", "--port", str(port)]
    with (place / "log").open("wb") as log:
        board = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        # The first message says that the line listens: the broker forgets what nobody waits for.
        first = packets(1, datetime.now(UTC) - timedelta(days=1))
        until = time.monotonic() + PATIENCE_S
        while stored(port) < 1 and time.monotonic() < until:
            publish(broker_port, first, AIM)
            time.sleep(0.5)
        line, found, before = _line(board.pid), [], stored(port)
        for sent in rounds:
            cpu, began = cpu_s(line), time.monotonic()
            publish(broker_port, sent, a_second)
            wait_for(port, before + len(sent))
            found.append(Round(len(sent) / (time.monotonic() - began), (cpu_s(line) - cpu) / len(sent) * 1e6))
            before += len(sent)
    finally:
        board.send_signal(signal.SIGTERM)
        board.wait(PATIENCE_S)
    return found


def _line(board: int) -> int:
    """The process id of the line."""
    for pid in Path(f"/proc/{board}/task/{board}/children").read_text().split():
        if "line" in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            return int(pid)
    raise RuntimeError("the board has no line")


def main() -> None:
    """Both subscribers, round after round, then a table of medians with their spread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mqtt")
    parser.add_argument("--messages", type=int, default=50_000, help="messages of a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--a-second", type=float, default=1e9, help="at most so many (default: no limit)")
    parser.add_argument(
        "--in-flight", type=int, default=2000, help="max_inflight_messages of the broker (default: %(default)s)"
    )
    given = parser.parse_args()
    if not MOSQUITTO:
        sys.exit("There is no Mosquitto on this computer: sudo apt-get install mosquitto")
    begin = datetime.now(UTC) - timedelta(hours=12)
    sent = [packets(given.messages, begin + timedelta(hours=number)) for number in range(given.rounds)]
    with (
        tempfile.TemporaryDirectory(prefix="townboard-mqtt-", dir=os.environ.get("BENCH_FOLDER")) as folder,
        broker(Path(folder) / "broker", given.in_flight) as port,
    ):
        counted = [plain(port, one, given.a_second) for one in sent]
        kept = ours(Path(folder) / "town", port, sent, given.a_second)
    report(counted, kept, given)


def report(counted: Sequence[Round], kept: Sequence[Round], given: argparse.Namespace) -> None:
    """Medians (least to most); the last line is the ratio to the subscriber that keeps nothing, and to the aim."""
    print(
        f"\n{given.messages:,} messages at QoS 1 of {SENSORS:,} topics, {given.rounds} rounds, Mosquitto with "
        f"{given.in_flight:,} in flight, {os.cpu_count()} cores. Medians (least to most)."
    )
    for name, rounds in (("a subscriber that only counts (paho)", counted), ("Townboard, durable", kept)):
        rates, costs = ([getattr(one, field) for one in rounds] for field in ("messages_s", "cpu_us"))
        print(
            f"  {name:<38}{statistics.median(rates):>9,.0f} messages/s ({min(rates):,.0f} to {max(rates):,.0f})   "
            f"{statistics.median(costs):.0f} us CPU a message ({min(costs):.0f} to {max(costs):.0f})"
        )
    rate = statistics.median(one.messages_s for one in kept)
    share = rate / statistics.median(one.messages_s for one in counted)
    print(f"Townboard keeps {share:.2f} of what the other counts, {rate / AIM:.2f} of the aim of {AIM:,} a second")


if __name__ == "__main__":
    main()
