"""MQTT against a real Mosquitto: nothing is acknowledged before it is durable, and what was not comes again."""

import errno
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipelines.engine import flow
from pipelines.engine.intake import Intake
from pipelines.engine.sources import mqtt
from pipelines.engine.sources.mqtt import Mqtt, brokers
from tests.engine import broker as mosquitto
from tests.engine import small_town
from tests.engine.broker import Broker, reading, wait_until
from tests.engine.small_town import NOON, after, make, readings

pytestmark = mosquitto.needed
TOWN = """[town]
name = "Testville"
timezone = "Asia/Kolkata"
domains = ["water"]

[brokers.main]
{broker}

[feeds.water]
from = "mqtt"
topic = {topic}
format = "json"
every = "15 min"
[feeds.water.mapping]
time = "at"
sensor = "{{asset}}.{{what}}"
value = "value"
"""
TOPIC = '"town/water/{asset}/{what}"'
VERSIONS = ["5", "3.1.1"]


class Running:
    """A line with its intake and its broker's source, as the service runs them."""

    def __init__(self, folder: Path) -> None:
        self.line = small_town.open_line(folder, NOON, frozenset())
        self.intake = Intake(self.line, lambda: NOON)
        self.intake.start()
        (self.source,) = brokers(self.line, self.intake, lambda: NOON)
        self.source.start()

    def stop(self) -> None:
        self.source.stop()
        self.intake.stop()
        self.line.close()

    def stored(self) -> int:
        """How many rows are durable and counted."""
        return self.line.feeds.states["water"].counts["stored"]

    def words(self) -> str:
        """What the feed says about its last failure."""
        return self.line.feeds.states["water"].last_fault


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other fast."""
    monkeypatch.setattr(mqtt, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(mqtt, "LONGEST_PAUSE_S", 0.2)


def town(tmp_path: Path, url: str, *, version: str = "5", topic: str = TOPIC, more: str = "") -> Path:
    text = TOWN.format(broker=f'url = "{url}"\nversion = "{version}"\n{more}', topic=topic)
    return make(tmp_path / "town", text)


def plain(broker: Broker) -> str:
    return f"mqtt://127.0.0.1:{broker.port}"


def at(number: int) -> datetime:
    return after(NOON, -number)


def sent(first: int, count: int, asset: str = "P1", what: str = "p") -> list[tuple[str, bytes]]:
    return [(f"town/water/{asset}/{what}", reading(at(n), n % 50)) for n in range(first, first + count)]


def expected(first: int, count: int) -> list[tuple[str, datetime, float | None]]:
    return sorted(("P1.p", at(n), float(n % 50)) for n in range(first, first + count))


def listens(running: Running, broker: Broker) -> None:
    """Wait until the subscription stands."""
    log = broker.folder / "log"
    wait_until(lambda: "town/water" in log.read_text() or running.words(), "the subscription")


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_land_once_with_the_fields_of_their_topic(tmp_path: Path, version: str) -> None:
    broker = Broker(tmp_path / "broker", ("allow_anonymous true", "log_type subscribe"))
    running = Running(town(tmp_path, plain(broker), version=version))
    listens(running, broker)
    broker.send([*sent(0, 300), *sent(0, 5, "T1", "level"), *sent(0, 3), ("town/water/P1/p", b"no JSON")])
    broker.send([("town/air/P1/p", b"{}")])
    wait_until(lambda: running.line.feeds.states["water"].counts["decoded"] == 309, "all rows")
    found = readings(running.line)
    counts = dict(running.line.feeds.states["water"].counts)
    kept = running.line.store.rows("quarantine")
    running.stop()
    broker.stop()
    assert [row for row in found if row[0] == "P1.p"] == expected(0, 300)
    assert [row for row in found if row[0] == "T1.level"] == sorted(("T1.level", at(n), float(n)) for n in range(5))
    assert (counts["stored"], counts["duplicate"], counts["quarantined"]) == (305, 3, 1)
    assert kept["original"].to_list() == [b"no JSON"]


@pytest.mark.parametrize("version", VERSIONS)
def test_message_that_cannot_be_kept_is_not_acknowledged_and_comes_again(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker(tmp_path / "broker", ("allow_anonymous true", "log_type subscribe"))
    running = Running(town(tmp_path, plain(broker), version=version))
    listens(running, broker)
    refused: list[int] = []
    whole = flow.keep_all

    def keep_all(line, opened, *more):
        if len(refused) < 3:
            refused.append(len(opened))
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(line, opened, *more)

    monkeypatch.setattr(flow, "keep_all", keep_all)
    broker.send(sent(0, 40))
    wait_until(lambda: running.stored() == 40, "every message")
    words = running.words()
    found = readings(running.line)
    running.stop()
    broker.stop()
    assert len(refused) == 3
    assert "could not be kept" in words
    assert found == expected(0, 40)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_sent_while_the_line_was_away_lands_after_its_start(tmp_path: Path, version: str) -> None:
    broker = Broker(tmp_path / "broker", ("allow_anonymous true", "log_type subscribe"))
    folder = town(tmp_path, plain(broker), version=version)
    running = Running(folder)
    listens(running, broker)
    broker.send(sent(0, 10))
    wait_until(lambda: running.stored() == 10)
    running.stop()
    broker.send(sent(10, 1500))
    broker.stop()
    broker.start()
    running = Running(folder)
    wait_until(lambda: running.stored() == 1510, "what the broker held back")
    duplicates = running.line.feeds.states["water"].counts["duplicate"]
    found = readings(running.line)
    running.stop()
    broker.stop()
    assert found == expected(0, 1510)
    assert duplicates == 0


def test_line_comes_back_by_itself_when_the_broker_does(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker", ("allow_anonymous true", "log_type subscribe"))
    running = Running(town(tmp_path, plain(broker)))
    listens(running, broker)
    broker.send(sent(0, 10))
    wait_until(lambda: running.stored() == 10)
    broker.stop()
    wait_until(lambda: "cannot be reached" in running.words(), "the sentence")
    broker.start()
    broker.send(sent(10, 10))
    wait_until(lambda: running.stored() == 20, "the messages after the restart")
    state = running.line.feeds.states["water"].state(NOON + timedelta(seconds=1))
    running.stop()
    broker.stop()
    assert state in ("live", "late")


def test_filter_of_earlier_settings_is_given_up(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker", ("allow_anonymous true", "log_type subscribe", "log_type unsubscribe"))
    folder = town(tmp_path, plain(broker), topic='["old/water/{asset}/{what}", "town/water/{asset}/{what}"]')
    running = Running(folder)
    listens(running, broker)
    running.stop()
    text = (folder / "town.toml").read_text()
    (folder / "town.toml").write_text(text.replace('"old/water/{asset}/{what}", ', ""))
    running = Running(folder)
    broker.send([*[("old" + topic[4:], body) for topic, body in sent(0, 3)], *sent(5, 1)])
    wait_until(lambda: running.stored() == 1)
    wait_until(lambda: "old/water/+/+" in (broker.folder / "log").read_text().split("town/water/+/+")[-2], "its end")
    running.stop()
    broker.stop()


# paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_tls_with_an_authority_of_the_town_and_a_password(tmp_path: Path) -> None:
    certificates(tmp_path)
    (tmp_path / "users").write_text("town:secret\n")
    subprocess.run(["mosquitto_passwd", "-U", str(tmp_path / "users")], check=True)
    (tmp_path / "users").chmod(0o644)
    secured = (
        f"password_file {tmp_path}/users", "allow_anonymous false", f"cafile {tmp_path}/ca.pem",
        f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.key", "log_type subscribe",
    )  # fmt: skip
    broker = Broker(tmp_path / "broker", secured)
    url = f"mqtts://localhost:{broker.port}"
    (tmp_path / "secret").write_text("secret\n")
    login = f'user = "town"\npassword_file = "{tmp_path}/secret"\nca_file = "{tmp_path}/ca.pem"'
    running = Running(town(tmp_path, url, more=login))
    listens(running, broker)
    assert running.words() == ""
    (tmp_path / "secret").write_text("wrong\n")
    running.stop()
    for number, (more, words) in enumerate(
        [
            (login, "does not accept the user town or its password"),
            (login.replace("ca_file", "#"), "shows a certificate that is not good"),
        ]
    ):
        running = Running(town(tmp_path / str(number), url, more=more))
        wait_until(running.words, "the sentence")
        assert words in running.words()
        assert "Traceback" not in running.words()
        running.stop()
    broker.stop()


def test_broker_that_wants_a_certificate_is_shown_the_towns_own(tmp_path: Path) -> None:
    certificates(tmp_path)
    secured = (
        f"cafile {tmp_path}/ca.pem", f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.key",
        "require_certificate true", "use_identity_as_username true", "allow_anonymous false", "log_type subscribe",
    )  # fmt: skip
    broker = Broker(tmp_path / "broker", secured)
    url, known = f"mqtts://localhost:{broker.port}", f'ca_file = "{tmp_path}/ca.pem"\n'
    own = f'{known}cert_file = "{tmp_path}/server.pem"\nkey_file = "{tmp_path}/server.key"'
    running = Running(town(tmp_path / "shown", url, more=own))
    listens(running, broker)
    assert running.words() == ""
    running.stop()
    running = Running(town(tmp_path / "not", url, more=known))
    wait_until(running.words, "the sentence")
    assert "wants to see a certificate" in running.words()
    running.stop()
    broker.stop()


def certificates(folder: Path) -> None:
    """An authority and a certificate for localhost signed by it."""
    run = lambda *words: subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)  # noqa: E731
    own = ("-newkey", "rsa:2048", "-nodes", "-sha256")
    run("req", "-x509", *own, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Testville",
        "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    run("req", *own, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
        "-sha256", "-extfile", "names", "-out", "server.pem")  # fmt: skip
    (folder / "server.key").chmod(0o644)


def test_note_that_the_disk_refuses_does_not_end_the_listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(tmp_path / "broker", ("allow_anonymous true", "log_type subscribe"))
    folder = town(tmp_path, plain(broker))
    monkeypatch.setattr(Mqtt, "_keep_cursor", lambda _: 1 // 0)
    running = Running(folder)
    listens(running, broker)
    broker.stop()
    wait_until(lambda: "ZeroDivisionError" in running.words(), "the sentence")
    broker.start()
    broker.send(sent(0, 3))
    wait_until(lambda: running.stored() == 3 or not running.source._thread.is_alive(), "the messages")
    stored = running.stored()
    running.stop()
    broker.stop()
    assert stored == 3


def test_pauses_grow_and_differ_from_town_to_town(tmp_path: Path) -> None:
    line = small_town.open_line(town(tmp_path, "mqtt://127.0.0.1:1"), NOON, frozenset())
    (source,) = brokers(line, Intake(line, lambda: NOON), lambda: NOON)
    pauses = [source._pause() for _ in range(12)]
    line.close()
    longest = [min(mqtt.FIRST_PAUSE_S * 2**n, mqtt.LONGEST_PAUSE_S) for n in range(12)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert len(set(pauses[-5:])) == 5
    assert isinstance(source, Mqtt)
