"""MQTT: one session per broker that outlives the connection; a message is acknowledged when its rows are durable."""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime

from pipelines.engine.disk import in_words
from pipelines.engine.flow import RawMessage, Receipt
from pipelines.engine.intake import Busy, Intake
from pipelines.engine.line import Line
from pipelines.engine.settings import Broker, Feed
from pipelines.engine.settings.topics import Topic, topic_of
from pipelines.engine.sources.mqtt_session import Session

log = logging.getLogger("townboard")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 120.0
BUSY_S = 0.05
# Topics that were taken apart once; a town has some thousands.
MOST_TOPICS = 50_000
Wanted = Sequence[tuple[Feed, Mapping[str, str]]]


class Mqtt:
    """One broker with the feeds that come from it. Everything happens in a thread of its own."""

    def __init__(self, broker: Broker, feeds: Sequence[Feed], intake: Intake, clock: Callable[[], datetime]) -> None:
        self.broker, self.feeds = broker, tuple(feeds)
        self._intake, self._line, self._clock = intake, intake.line, clock
        self._topics = [(feed, topic_of(text)) for feed in feeds for text in feed.topics]
        # The moment of arrival is told only to those who ask: it differs when a message is delivered twice.
        self._stamped = {feed.name for feed in feeds if "received_at" in repr(feed.mapping)}
        self._known: dict[str, Wanted] = {}
        self._failures = 0
        self._chance = random.Random()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"mqtt {broker.name}", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; what was not acknowledged yet is sent again after the next start."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3)

    def _work(self) -> None:
        while not self._ending.is_set():
            try:
                words = self._session()
            except Exception as error:
                # A disk that refuses a note must not end the listening for good.
                log.exception("broker %s: the session broke", self.broker.name)
                words = f"The session broke ({type(error).__name__}); it is tried again."
            if words and not self._ending.is_set():
                self._tell(self.feeds, words)
                self._ending.wait(self._pause())

    def _session(self) -> str:
        """One connection from its beginning to its end; why it ended, in words."""
        session = Session(self.broker, self._cursor(), self._filters, self._take, self._refused)
        words = session.run(self._ending)
        if session.acknowledged:
            self._failures = 0
        self._keep_cursor()
        return words

    def _pause(self) -> float:
        """Seconds until the next attempt: twice as many after each failure, and not the same for all towns."""
        self._failures += 1
        longest = min(FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE_S)
        return longest * self._chance.uniform(0.5, 1.0)

    @property
    def _filters(self) -> dict[str, str]:
        """The broker's filters, each with the topic as the town wrote it."""
        return {topic.filter: topic.text for _, topic in self._topics}

    def _cursor(self) -> list[str]:
        """The filters of earlier settings, which the broker still remembers."""
        kept = self._line.state.cursor(f"mqtt {self.broker.name}")
        return [text for text in kept.get("filters", []) if text not in self._filters]

    def _keep_cursor(self) -> None:
        self._line.state.keep_cursor(f"mqtt {self.broker.name}", {"filters": sorted(self._filters)})

    def _tell(self, feeds: Sequence[Feed], words: str) -> None:
        """Show a failure on the feeds; when not even that can be written, the log has it."""
        log.warning("broker %s: %s", self.broker.name, words)
        try:
            for feed in feeds:
                self._line.failed(feed, self._clock(), words)
        except OSError as error:
            log.warning("this could not be put on record: %s", in_words(error))

    def _refused(self, text: str, words: str) -> None:
        self._tell([feed for feed, topic in self._topics if topic.filter == text], words)

    def _take(self, topic: str, payload: bytes) -> list["Future[Receipt]"] | None:
        """Hand a message to the line, for each feed that wants it; None when the line is stopped before it took it."""
        now = self._clock()
        futures = []
        for feed, beside in self._wanted(topic):
            fields = {**beside, "received_at": now.isoformat()} if feed.name in self._stamped else beside
            future = self._submit(RawMessage(feed, payload, now, fields=fields))
            if future is None:
                return None
            futures.append(future)
        return futures

    def _submit(self, message: RawMessage) -> "Future[Receipt] | None":
        """Queue a message. While the line is busy nothing more is read, so the broker holds back what follows."""
        while not self._ending.is_set():
            try:
                return self._intake.submit(message)
            except Busy:
                self._ending.wait(BUSY_S)
        return None

    def _wanted(self, topic: str) -> Wanted:
        """The feeds that a topic is for, with its fields."""
        known = self._known.get(topic)
        if known is None:
            if len(self._known) >= MOST_TOPICS:
                self._known.clear()
            known = self._known[topic] = _matching(self._topics, topic)
        return known


def _matching(topics: Sequence[tuple[Feed, Topic]], topic: str) -> Wanted:
    found: dict[str, tuple[Feed, Mapping[str, str]]] = {}
    for feed, one in topics:
        fields = one.fields(topic)
        if fields is not None:
            found.setdefault(feed.name, (feed, fields))
    return tuple(found.values())


def brokers(line: Line, intake: Intake, clock: Callable[[], datetime]) -> list[Mqtt]:
    """One source for each broker that a feed comes from."""
    feeds = [feed for feed in line.settings.feeds.values() if feed.origin == "mqtt"]
    return [
        Mqtt(broker, own, intake, clock)
        for name, broker in line.settings.brokers.items()
        if (own := [feed for feed in feeds if feed.broker == name])
    ]
