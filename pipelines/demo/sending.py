"""How the live town delivers: pushes that are tried again, and files written beside and renamed."""

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from pipelines.demo.broker import TOPICS
from pipelines.demo.calendar import iso
from pipelines.demo.feeds import Reading
from pipelines.demo.run import TOKEN

AT_MOST = 400
WAITING = 2000
IN_FLIGHT = 100
BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 20.0)


class Pusher:
    """Posts batches of readings in order; keeps them while the app is down or says "not now"."""

    def __init__(self, app: str) -> None:
        self.url = app.rstrip("/") + "/api/v1/readings"
        self.queue: deque[tuple[str, bytes]] = deque(maxlen=WAITING)
        self.failed = 0
        self.sent = 0
        self.wake = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def push(self, feed: str, readings: Sequence[Reading]) -> None:
        """Queue readings, a few hundred a call."""
        for first in range(0, len(readings), AT_MOST):
            rows = [{"sensor": s, "observed_at": iso(at), "value": v} for s, at, v in readings[first : first + AT_MOST]]
            self.queue.append((feed, json.dumps({"readings": rows}).encode()))
        self.wake.set()

    def _work(self) -> None:
        while True:
            self.wake.wait()
            self.wake.clear()
            while self.queue:
                pause = self._post(*self.queue[0])
                if pause is None:
                    self.queue.popleft()
                else:
                    time.sleep(pause)

    def _post(self, feed: str, body: bytes) -> float | None:
        """Seconds to wait before the batch is tried again; None when it is done with."""
        headers = {"Content-Type": "application/json"}
        if os.environ.get(TOKEN):
            headers["Authorization"] = f"Bearer {os.environ[TOKEN]}"
        request = urllib.request.Request(f"{self.url}?feed={feed}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 429 or error.code >= 500:
                return self._later(error.headers.get("Retry-After"))
            print(f"{feed}: {error.code} {error.read(300).decode(errors='replace')}", file=sys.stderr)
        except OSError:
            return self._later(None)
        self.failed, self.sent = 0, self.sent + 1
        return None

    def _later(self, asked: str | None) -> float:
        pause = BACK_OFF_S[min(self.failed, len(BACK_OFF_S) - 1)]
        self.failed += 1
        return min(float(asked), 60.0) if asked and asked.isdigit() else pause


class Publisher:
    """Publishes readings at QoS 1, one message each; paho keeps them while the broker is away."""

    def __init__(self, port: int) -> None:
        self.client = Client(CallbackAPIVersion.VERSION2, "nadipur-devices", protocol=MQTTProtocolVersion.MQTTv5)
        self.client.max_queued_messages_set(WAITING * 10)
        self.client.max_inflight_messages_set(IN_FLIGHT)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()

    def push(self, feed: str, readings: Sequence[Reading]) -> None:
        """Publish readings under the feed's topic."""
        for sensor, at, value in readings:
            topic = TOPICS[feed].replace("{sensor}", sensor)
            self.client.publish(topic, json.dumps({"observed_at": iso(at), "value": value}), qos=1)


_numbers = count(1)


def drop(town: Path, feed: str, payload: bytes, now: float) -> Path:
    """Write the file whole into drop/FEED: first beside, under a name that is not picked up, then renamed."""
    folder = town / "drop" / feed
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{feed}-{iso(now).replace(':', '').replace('-', '')}-{next(_numbers):05d}.csv"
    beside = folder / f".{name}.part"
    beside.write_bytes(payload)
    beside.rename(folder / name)
    return folder / name
