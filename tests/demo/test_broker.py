"""The demo's broker: town.toml takes the water telemetry from it where there is one, and by HTTP push where not."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pipelines
from pipelines.demo import broker, sending
from pipelines.demo.town import write_town
from pipelines.engine import settings
from tests.engine import broker as mosquitto

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def test_feed_moves_to_the_broker_and_back(tmp_path: Path) -> None:
    write_town(tmp_path / "town", now=NOW, base_url="http://127.0.0.1:1")
    path = tmp_path / "town" / "town.toml"
    pushed = path.read_text()
    broker.deliver(path, 18830)
    broker.deliver(path, 18831)
    town = settings.load(tmp_path / "town", pipelines.available)
    feed = town.feeds["water_telemetry"]
    assert (feed.origin, feed.broker, feed.topics) == ("mqtt", "main", ("nadipur/water/{sensor}",))
    assert (town.brokers["main"].host, town.brokers["main"].port) == ("127.0.0.1", 18831)
    broker.deliver(path, None)
    assert tomllib.loads(path.read_text()) == tomllib.loads(pushed)


@mosquitto.needed
def test_readings_are_published_one_message_each(tmp_path: Path) -> None:
    port = mosquitto.free_port()
    program = broker.mosquitto()
    assert program
    child = broker.child(program, tmp_path, port)
    child.start()
    heard: list[tuple[str, bytes]] = []
    publisher = sending.Publisher(port)
    publisher.client.on_message = lambda _, __, message: heard.append((message.topic, message.payload))
    subscribed: list[bool] = []
    publisher.client.on_subscribe = lambda *_: subscribed.append(True)
    mosquitto.wait_until(publisher.client.is_connected, "the connection")
    publisher.client.subscribe("nadipur/#", qos=1)
    mosquitto.wait_until(lambda: subscribed, "the subscription")
    publisher.push("water_telemetry", [("P-W02-PRES", 1_795_404_600.0, 21.5)])
    mosquitto.wait_until(lambda: heard, "the message")
    publisher.client.disconnect()
    publisher.client.loop_stop()
    assert child.process
    child.process.terminate()
    child.process.wait(10)
    assert heard == [("nadipur/water/P-W02-PRES", b'{"observed_at": "2026-11-23T03:30:00Z", "value": 21.5}')]
