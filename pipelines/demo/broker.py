"""The demo's own MQTT broker, where this computer has Mosquitto: its settings, and the feeds that come by it."""

import re
import shutil
from pathlib import Path

from pipelines.engine.supervise import Child

# Feed: its topic. A message is one reading, {"observed_at", "value"}; the sensor stands in the topic.
TOPICS = {"water_telemetry": "nadipur/water/{sensor}"}
PLACES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
PUSHED = 'from = "http_push"\n'
SECTION = re.compile(r"\n\[brokers\.main\]\n[^\[]*")


def mosquitto() -> str | None:
    """The program, if it is there."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=PLACES)


def child(program: str, folder: Path, port: int) -> Child:
    """The broker on a port of this computer alone; what it has not delivered is kept in the town's folder."""
    place = folder / "broker"
    place.mkdir(exist_ok=True)
    lines = [
        f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence true", f"persistence_location {place}/",
        "max_queued_messages 0", "log_type error", "log_type warning",
    ]  # fmt: skip
    path = place / "mosquitto.conf"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    # Started by root, Mosquitto would write as a user of its own, who may not write here.
    if place.owner() == "root":
        path.write_text(path.read_text("utf-8") + "user root\n", "utf-8")
    return Child("broker", [program, "-c", str(path)])


def deliver(path: Path, port: int | None) -> None:
    """Have town.toml take the feeds of TOPICS from the broker at this port; without one, by HTTP push."""
    text = SECTION.sub("", path.read_text("utf-8"))
    for feed, topic in TOPICS.items():
        by_mqtt = f'from = "mqtt"\nbroker = "main"\ntopic = "{topic}"\n'
        head, mark, rest = text.partition(f"[feeds.{feed}]\n")
        own, cut, others = rest.partition("\n[")
        own = own.replace(by_mqtt, PUSHED).replace('format = "json"', 'format = "csv"')
        if port is not None:
            own = own.replace(PUSHED, by_mqtt).replace('format = "csv"', 'format = "json"')
        text = head + mark + own + cut + others
    if port is not None:
        text += f'\n[brokers.main]\nurl = "mqtt://127.0.0.1:{port}"\n'
    path.write_text(text, "utf-8")
