"""Hand-over to a Prometheus Alertmanager (API v2) where a town has one: all alarms that stand, said again in time."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.engine.delivery.notice import Notice
from pipelines.engine.errors import SourceDown
from pipelines.engine.figures import spoken

PATH = "/api/v2/alerts"
# Prometheus says again each minute and lets an alert end after four: so does an Alertmanager that loses us.
SAY_AGAIN, ENDS_WITHOUT_US = timedelta(minutes=1), timedelta(minutes=4)
TIMEOUT_S = 10.0


def alerts(notices: Iterable[Notice], link: str, now: datetime) -> list[dict[str, Any]]:
    """The body of the call: an alert per alarm; shelved and suppressed ones are not handed over."""
    return [_alert(one, link, now) for one in notices if not one.muted]


def _alert(one: Notice, link: str, now: datetime) -> dict[str, Any]:
    labels = {name: value for name, value in one.labels.items() if name not in ("alarm", "priority")}
    annotations = {"summary": f"{one.title}, {one.where}", "description": one.instruction}
    if one.value is not None:
        annotations["value"] = spoken(one.value, one.decimals, one.unit)
    return {
        "labels": {"alertname": one.labels["alarm"], "severity": one.priority, **labels},
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": _instant(one.since),
        "endsAt": _instant(one.ended_at or now + ENDS_WITHOUT_US),
        **({"generatorURL": f"{link.rstrip('/')}/alarms"} if link else {}),
    }


class Alertmanager:
    """Says to one Alertmanager what stands: at once what changed, all of it each minute."""

    def __init__(self, url: str) -> None:
        import httpx

        self.url = url.rstrip("/")
        self._client = httpx.Client(timeout=TIMEOUT_S)
        self._said: Mapping[tuple[str, datetime], datetime | None] = {}
        self._said_at: datetime | None = None

    def say(self, notices: Iterable[Notice], link: str, now: datetime) -> int | None:
        """Hand over what is to be said now; gives how many alerts, None when there was nothing to say.

        Raises SourceDown in words; all is said again with the next call then.
        """
        import httpx

        known = {(one.id, one.since): one for one in notices if not one.muted}
        ends = {key: one.ended_at for key, one in known.items()}
        again = self._said_at is None or now - self._said_at >= SAY_AGAIN
        news = [one for key, one in known.items() if again or key not in self._said or self._said[key] != ends[key]]
        if not news:
            return None
        try:
            answer = self._client.post(f"{self.url}{PATH}", json=alerts(news, link, now))
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self._said_at = None
            raise SourceDown(
                f"the Alertmanager at {self.url} did not take the alarms ({type(error).__name__}). Check that it runs "
                "and the address in town.toml [delivery.alertmanager]; they are said again."
            ) from error
        self._said, self._said_at = ends, now if again else self._said_at
        return len(news)

    def close(self) -> None:
        """End the connections."""
        self._client.close()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
