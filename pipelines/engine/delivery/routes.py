"""Which receivers an alarm goes to: a tree of routes with matchers, in the words and by the rules of Alertmanager."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pipelines.engine.delivery.notice import LABELS

MATCHER = re.compile(r'\s*(\w+)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*\Z')
# Alertmanager's own defaults.
GROUP_WAIT, GROUP_INTERVAL, REPEAT_INTERVAL = timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=4)


@dataclass(frozen=True)
class Matcher:
    """One condition on a label: `priority="critical"`, `ward=~"W0[1-3]"`, `!=`, `!~`; an absent label is empty."""

    label: str
    sign: str
    value: str

    @classmethod
    def of(cls, text: str) -> "Matcher":
        """The matcher of its text.

        Raises ValueError with what is allowed.
        """
        found = MATCHER.match(text)
        if not found:
            raise ValueError(f'{text!r} is no condition; write for example priority="critical" or ward=~"W0[1-3]"')
        label, sign, value = found.groups()
        if label not in LABELS:
            raise ValueError(f"{text!r} asks for {label!r}; an alarm has {', '.join(LABELS)}")
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{text!r}: {value!r} is no regular expression ({error})") from error
        return cls(label, sign, value)

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether an alarm with these labels is meant."""
        own = labels.get(self.label, "")
        same = bool(re.fullmatch(self.value, own)) if "~" in self.sign else own == self.value
        return same != self.sign.startswith("!")


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where alarms that match go, and how they are put together; `continues` lets those beside it match too.

    `key` names its place in the tree; it is what deliveries are remembered by.
    """

    key: str
    receiver: str
    matchers: tuple[Matcher, ...] = ()
    group_by: tuple[str, ...] = ("domain",)
    group_wait: timedelta = GROUP_WAIT
    group_interval: timedelta = GROUP_INTERVAL
    repeat_interval: timedelta = REPEAT_INTERVAL
    continues: bool = False
    routes: Sequence["Route"] = ()

    def found(self, labels: Mapping[str, str]) -> Iterator["Route"]:
        """The routes an alarm takes: of each branch the deepest that matches, the first one unless it continues."""
        if not all(matcher.holds(labels) for matcher in self.matchers):
            return
        below = False
        for route in self.routes:
            reached = list(route.found(labels))
            yield from reached
            below = below or bool(reached)
            if reached and not route.continues:
                break
        if not below:
            yield self

    def group(self, labels: Mapping[str, str]) -> str:
        """The group of an alarm on this route."""
        return "|".join([self.key, *(f"{name}={labels.get(name, '')}" for name in self.group_by)])

    def walk(self) -> Iterator["Route"]:
        """This route and all below it."""
        yield self
        for route in self.routes:
            yield from route.walk()


def direct(root: Route, receivers: Iterable[str]) -> dict[str, Route]:
    """Receiver -> the route to it for alarms that name it (label tell), with waits and groups of the first route."""
    return {name: replace(root, key=f"tell.{name}", receiver=name, routes=()) for name in receivers}
