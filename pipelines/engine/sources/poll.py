"""Polling over HTTP: conditional GET with time-outs, a size limit, and back-off with jitter."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx

from pipelines.engine.errors import SourceDown
from pipelines.engine.settings import Feed

LONGEST_PAUSE = timedelta(minutes=15)


class Poll:
    """One polled feed: `fetch` gives the payload, or None when the server says that nothing has changed."""

    def __init__(self, feed: Feed, cursor: dict[str, Any], chance: random.Random | None = None) -> None:
        self.feed = feed
        self.cursor = dict(cursor)
        self.failures = 0
        self.not_before: datetime | None = None
        self._where = _server(feed.url)
        self._chance = chance or random.Random()
        self._client = httpx.Client(
            timeout=httpx.Timeout(feed.timeout_s, connect=min(feed.timeout_s, 10.0)),
            follow_redirects=True,
            headers={"User-Agent": "Townboard", **feed.headers},
        )

    def waits(self, now: datetime) -> bool:
        """Whether the feed is in a pause after a failure."""
        return self.not_before is not None and now < self.not_before

    def fetch(self, now: datetime, clock: Callable[[], datetime]) -> bytes | None:
        """One call.

        Raises SourceDown in plain words when the answer is no payload.
        """
        try:
            payload = self._get(now, clock)
        except SourceDown:
            self._pause(now)
            raise
        except httpx.TimeoutException as error:
            self._pause(now)
            raise SourceDown(f"{self._where} did not answer within {self.feed.timeout_s:g} seconds.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._pause(now)
            raise SourceDown(f"{self._where} cannot be reached ({error or type(error).__name__}).") from error
        self.failures, self.not_before = 0, None
        return payload

    def _get(self, now: datetime, clock: Callable[[], datetime]) -> bytes | None:
        sent = {}
        if "etag" in self.cursor:
            sent["If-None-Match"] = self.cursor["etag"]
        if "last_modified" in self.cursor:
            sent["If-Modified-Since"] = self.cursor["last_modified"]
        with self._client.stream("GET", self._url(now), headers=sent) as answer:
            if answer.status_code == httpx.codes.NOT_MODIFIED:
                return None
            if answer.status_code != httpx.codes.OK:
                raise SourceDown(f"{self._where} answered {answer.status_code} {answer.reason_phrase} instead of data.")
            payload = self._body(answer, clock, clock())
            self._remember(answer)
            return payload

    def _body(self, answer: httpx.Response, clock: Callable[[], datetime], began: datetime) -> bytes:
        limit = int(self.feed.max_mb * 1e6)
        longest = timedelta(seconds=self.feed.timeout_s * 3)
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > limit:
                raise SourceDown(
                    f"{self._where} sent more than {self.feed.max_mb:g} MB; the rest was not read. "
                    "Raise max_mb if this is right."
                )
            if clock() - began > longest:
                raise SourceDown(f"{self._where} was still sending after {longest.total_seconds():g} seconds.")
        return bytes(body)

    def _remember(self, answer: httpx.Response) -> None:
        found = {"etag": answer.headers.get("etag"), "last_modified": answer.headers.get("last-modified")}
        self.cursor = {name: value for name, value in found.items() if value}

    def _url(self, now: datetime) -> str:
        """The address; `{since}` in it becomes the moment 90 days ago (Open311's own default span)."""
        since = (now - timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.feed.url.replace("{since}", since)

    def _pause(self, now: datetime) -> None:
        self.failures += 1
        pause = min(self.feed.every * 2 ** min(self.failures - 1, 6), max(LONGEST_PAUSE, self.feed.every))
        self.not_before = now + pause * self._chance.uniform(0.5, 1.0)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def _server(url: str) -> str:
    """Who was asked, for people to read: never the whole address, which may hold a password or a key."""
    try:
        return httpx.URL(url).netloc.decode() or "The address of this feed"
    except httpx.InvalidURL:
        return "The address of this feed"
