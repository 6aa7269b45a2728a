"""Devices that speak MQTT over a real Mosquitto, which is stopped and started again meanwhile."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.engine.broker import MOSQUITTO, Broker, reading
from tests.torture.ledger import Ledger
from tests.torture.senders import Meter, Sender
from tests.torture.town import Row

FEED = "radio"
PATIENCE_S = 5.0


def broker(folder: Path) -> Broker | None:
    """A Mosquitto of the town's own; None where there is none on this machine."""
    return Broker(folder) if MOSQUITTO else None


class Radio(Sender):
    """Publishes readings at QoS 1; what counts as acknowledged is what the broker has taken over.

    `heard`: whether the town has its session there already; until then the broker forgets what nobody waits for.
    """

    def __init__(
        self, meter: Meter, broker: Broker, heard: Callable[[], bool], ledger: Ledger, chance: random.Random
    ) -> None:
        super().__init__("mqtt", ledger, chance)
        self._meter, self._broker, self._heard = meter, broker, heard
        self._session = False

    def turn(self) -> None:
        """Some messages, each again until the broker has it."""
        rows = self._meter.next(self.chance.choice([1, 5, 40]))
        self.ledger.sending(rows)
        while rows:
            had = self._session
            taken = self._published(rows)
            if had:
                self.ledger.acknowledged(taken, self.name)
                rows = [row for row in rows if row not in taken]
            self._session = had or self._heard()
            if rows and self.ending.wait(0.3):
                return

    def _published(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that the broker has acknowledged."""
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        try:
            client.connect("127.0.0.1", self._broker.port)
        except OSError:
            self.ledger.count("broker not reached")
            return []
        client.loop_start()
        sent = [(row, client.publish(_topic(row), reading(row[1], row[2]), qos=1)) for row in rows]
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not all(_has_it(info) for _, info in sent):
            time.sleep(0.02)
        taken = [row for row, info in sent if _has_it(info)]
        client.disconnect()
        client.loop_stop()
        # A broker that was killed meanwhile took no leave: paho waits for it with the connection open.
        if (left := client.socket()) is not None:
            left.close()
        return taken


def _has_it(info: MQTTMessageInfo) -> bool:
    """Whether the broker has acknowledged a message; one that went away before it could be sent has not."""
    try:
        return info.is_published()
    except (RuntimeError, ValueError):
        return False


def _topic(row: Row) -> str:
    asset, _, what = row[0].partition(".")
    return f"town/{asset}/{what}"
