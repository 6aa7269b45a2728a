"""One connection to an MQTT broker, from CONNECT to its end; the only module that knows paho."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from pipelines.engine.disk import in_words
from pipelines.engine.flow import Receipt
from pipelines.engine.settings import Broker
from pipelines.engine.sources.mqtt_wire import Wire

log = logging.getLogger("townboard")
KEEPALIVE_S = 30
CONNECT_S = 10.0
LOOK_S = 0.25
# How long a stop waits for what is being written, so that the broker need not send it again.
FAREWELL_S = 1.5
# Messages that MQTT 5 lets be on their way at once: so much the broker sends before the first is durable.
MOST_UNACKNOWLEDGED = 2000
# How OpenSSL says that the other side refused our certificate, or that we showed none.
WANTS_A_CERTIFICATE = (
    "TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
)  # fmt: skip
Take = Callable[[str, bytes], list["Future[Receipt]"] | None]


class _Client(Client):
    """paho over a wire of large pieces; it asks its socket three times for each message, and sends each answer alone.

    `_create_socket` is paho's own place for sockets of another kind (it makes those of websockets there).
    """

    wire: Wire | None = None

    def _create_socket(self) -> Any:
        self.wire = Wire(super()._create_socket())
        return self.wire


class Session:
    """Serves one connection. Each has a client of its own: an answer to an old one can never reach a new one."""

    def __init__(
        self,
        broker: Broker,
        forgotten: Sequence[str],
        filters: Mapping[str, str],
        take: Take,
        refused: Callable[[str, str], None],
    ) -> None:
        self._broker, self._forgotten, self._filters = broker, forgotten, filters
        self._take, self._refused = take, refused
        self._read = self.acknowledged = 0
        self._open = 0
        self._lock = threading.Lock()
        # What is durable and not answered yet, in order; while some is, this session's own thread answers.
        self._durable: list[tuple[int, int]] = []
        self._answering = False
        self._fault = ""
        self._client = self._made()

    def _made(self) -> _Client:
        v5 = self._broker.version == "5"
        client = _Client(
            CallbackAPIVersion.VERSION2, self._broker.client_id, None if v5 else False, manual_ack=True,
            protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
        )  # fmt: skip
        client.connect_timeout = CONNECT_S
        client.on_connect, client.on_message = self._connected, self._message
        client.on_subscribe, client.on_disconnect = self._subscribed, self._disconnected
        # With this, paho only queues what other threads send: this thread alone writes to the socket.
        client.on_socket_register_write = lambda *_: None
        return client

    def run(self, ending: threading.Event) -> str:
        """Serve until the connection ends or is to be ended; why it ended, in words."""
        try:
            self._connect()
        except OSError as error:
            return _unreachable(self._broker, error)
        while not ending.is_set() and not self._fault:
            if self._loop() and not self._fault:
                self._fault = _ended(self._broker, self._client.wire)
        if ending.is_set():
            self._farewell()
        self._client.disconnect()
        self._client.loop_write()
        return self._fault

    def _connect(self) -> None:
        broker, client = self._broker, self._client
        if broker.user:
            client.username_pw_set(broker.user, broker.password())
        if broker.tls:
            client.tls_set_context(_tls(broker))
        if broker.version != "5":
            client.connect(broker.host, broker.port, KEEPALIVE_S)
            return
        wishes: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        wishes.SessionExpiryInterval = int(broker.keep.total_seconds())
        wishes.ReceiveMaximum = MOST_UNACKNOWLEDGED
        client.connect(broker.host, broker.port, KEEPALIVE_S, clean_start=False, properties=wishes)

    def _loop(self) -> MQTTErrorCode:
        """Wait a moment for something to do, then read what has come without waiting again, until some is durable."""
        rc, before = self._client.loop(LOOK_S), -1
        while not rc and self._read != before and not self._fault and not self._answering:
            before = self._read
            rc = self._client.loop_read()
        self._answer()
        self._wire(Wire.flush)
        return rc

    def _wire(self, work: Callable[[Wire], None]) -> bool:
        """Do something with the wire; whether there is one still."""
        wire = self._client.socket()
        if not isinstance(wire, Wire):
            return False
        try:
            work(wire)
        except OSError:
            self._fault = self._fault or _lost(self._broker)
            return False
        return True

    def _answer(self) -> None:
        """Answer what has become durable meanwhile: a batch of messages wakes this thread once."""
        while self._answering and not self._fault:
            with self._lock:
                durable, self._durable = self._durable, []
                self._answering = bool(durable)
            mids = [mid for mid, qos in durable if qos]
            if self._wire(partial(Wire.acknowledge, mids=mids)):
                self.acknowledged += len(durable)

    def _farewell(self) -> None:
        """Answer what is just being written."""
        until = time.monotonic() + FAREWELL_S
        while self._open and not self._fault and time.monotonic() < until:
            time.sleep(0.01)
        self._answer()
        self._client.loop_write()

    def _connected(self, client: Client, _: Any, flags: Any, reason: Any, __: Any) -> None:
        if reason.is_failure:
            self._fault = _turned_away(self._broker, str(reason))
            return
        log.info("broker %s: connected, session kept: %s", self._broker.name, bool(flags.session_present))
        if self._forgotten:
            client.unsubscribe(list(self._forgotten))
        if self._broker.version != "5":
            client.subscribe([(text, 1) for text in self._filters])
            return
        # What is retained comes once and not at every reconnect.
        once = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(text, once) for text in self._filters])

    def _subscribed(self, _: Client, __: Any, ___: int, reasons: Sequence[Any], ____: Any) -> None:
        for (text, written), reason in zip(self._filters.items(), reasons, strict=True):
            if reason.is_failure:
                self._refused(
                    text,
                    f"The broker {self._broker.shown} does not let the user {self._broker.user or '(none)'} read the "
                    f"topic {written} ({reason}). Ask whoever runs the broker to allow it.",
                )

    def _disconnected(self, _: Client, __: Any, flags: Any, reason: Any, ___: Any) -> None:
        if flags.is_disconnect_packet_from_server and not self._fault:
            more = ""
            if str(reason) == "Session taken over":
                own = self._broker.client_id
                more = f" Somebody else uses the client id {own}: give one of both another in town.toml."
            self._fault = f"The broker {self._broker.shown} ended the connection ({reason}).{more} It is tried again."

    def _message(self, client: Client, _: Any, message: MQTTMessage) -> None:
        """One message of the broker, taken before the next one is read."""
        self._read += 1
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        futures = self._take(topic, bytes(message.payload))
        if futures is None:
            # The line stops: the broker keeps this message and all behind it.
            self._fault = self._fault or "The line is being stopped."
        elif not futures:
            client.ack(message.mid, message.qos)
        else:
            with self._lock:
                self._open += 1
            # The last of the feeds that a message is for answers the broker; to take from a list is one step.
            others = [None] * (len(futures) - 1)
            for future in futures:
                future.add_done_callback(partial(self._settled, message.mid, message.qos, others))

    def _settled(self, mid: int, qos: int, others: list[None], future: "Future[Receipt]") -> None:
        """Rows are durable, or could not be kept: after the first that was not, this connection acknowledges nothing.

        A broker sends again only after a reconnect, and wants its answers in the order of its messages.
        """
        error = future.exception()
        if error is not None:
            words = in_words(error) if isinstance(error, OSError) else type(error).__name__
            self._fault = self._fault or f"What came could not be kept ({words}); the broker sends it again."
        if others and not self._fault:
            others.pop()
            return
        with self._lock:
            self._open -= 1
            first, self._answering = not self._answering, True
            if not first:
                self._durable.append((mid, qos))
            elif not self._fault:
                # This wakes the session's thread, which answers those that follow.
                self._client.ack(mid, qos)
                self.acknowledged += 1


def _tls(broker: Broker) -> ssl.SSLContext:
    """By whom the broker's certificate must be signed, and our own where it wants one.

    Raises OSError when a file cannot be read or holds something else.
    """
    context = ssl.create_default_context(cafile=broker.ca_file or None)
    if broker.cert_file:
        context.load_cert_chain(broker.cert_file, broker.key_file)
    return context


def _ended(broker: Broker, wire: Wire | None) -> str:
    """Why a connection ended that nobody ended: a broker that misses our certificate says so after its own words."""
    return _unreachable(broker, wire.broken) if wire and isinstance(wire.broken, ssl.SSLError) else _lost(broker)


def _lost(broker: Broker) -> str:
    """Why a connection ended that nobody ended."""
    return f"The connection to the broker {broker.shown} was lost. It is tried again."


def _unreachable(broker: Broker, error: OSError) -> str:
    """Why no connection came about."""
    where = f"The broker {broker.shown}"
    if isinstance(error, ssl.SSLCertVerificationError):
        by = f"the authority in {broker.ca_file}" if broker.ca_file else "an authority that this computer knows"
        return f"{where} shows a certificate that is not good: {error.verify_message}. It must be signed by {by}."
    if isinstance(error, ssl.SSLError) and error.reason in WANTS_A_CERTIFICATE:
        return (
            f"{where} wants to see a certificate that it trusts ({error.reason}). Have whoever runs it make one and "
            f"name it as cert_file and key_file in [brokers.{broker.name}] of town.toml."
        )
    if isinstance(error, ssl.SSLError):
        return f"{where} does not speak TLS as it should ({error.reason}). mqtts:// is for TLS, mqtt:// without."
    if isinstance(error, socket.gaierror):
        return f"{where} cannot be found: there is no computer called {broker.host}. Check the url and the network."
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {CONNECT_S:g} seconds. Is it switched on, and does the network reach it?"
    return f"{where} cannot be reached: {error.strerror or error}."


def _turned_away(broker: Broker, reason: str) -> str:
    """Why the broker did not let us in."""
    if reason in ("Bad user name or password", "Not authorized"):
        return (
            f"The broker {broker.shown} does not accept the user {broker.user or '(none)'} or its password ({reason}). "
            f"Correct user and password in [brokers.{broker.name}] of town.toml, or at the broker."
        )
    if reason == "Unsupported protocol version":
        return f'The broker {broker.shown} is an older one: write `version = "3.1.1"` in [brokers.{broker.name}].'
    return f"The broker {broker.shown} does not let us in: {reason}."
