"""[delivery] of town.toml: channels, receivers, routes, ladders and quiet hours; every refusal in plain words."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

from pipelines.engine.delivery.cap import CATEGORIES, Warnings
from pipelines.engine.delivery.channels import ADDRESS, KINDS, PROGRAMS, Channel
from pipelines.engine.delivery.ladder import Ladder, Step, Unattended
from pipelines.engine.delivery.notice import LABELS
from pipelines.engine.delivery.plan import Plan, Quiet, Receiver
from pipelines.engine.delivery.routes import Matcher, Route
from pipelines.engine.model import PRIORITIES
from pipelines.engine.settings.document import Document, choice, duration

DELIVERY_KEYS = (
    "link", "channels", "receivers", "route", "ladders", "unattended", "quiet", "alive", "alertmanager", "cap",
)  # fmt: skip
CHANNEL_KEYS = ("kind", "url", "url_file", "folder", "program", "body", "accepts")
# What a text message cannot do without.
SMS_PLACES = ("{address}", "{text}")
RECEIVER_KEYS = ("roles", "to")
ROUTE_KEYS = (
    "receiver", "matchers", "group_by", "group_wait", "group_interval", "repeat_interval", "continue", "routes",
)  # fmt: skip
LADDER_KEYS = ("matchers", "steps")
QUIET_KEYS = ("from", "to", "priorities")
UNATTENDED_KEYS = ("after", "receiver", "matchers")
ALIVE_KEYS = ("receiver", "every")
CAP_KEYS = ("sender", "priorities", "categories")
STEP = 'write for example "10 min: supervisor"'


def read_delivery(document: Document, raw: Any, town: Path) -> Plan | None:
    """The plan of [delivery]; None where the town tells nobody."""
    if not raw:
        return None
    reading = _Reading(document, town)
    if not isinstance(raw, Mapping):
        document.wrong("", "delivery", "`delivery` is a section of its own; write [delivery] and its settings below.")
        return None
    reading.only("delivery", raw, DELIVERY_KEYS)
    channels = {name: reading.channel(name, one) for name, one in reading.tables("delivery", raw, "channels")}
    receivers = {
        name: reading.receiver(name, one, channels) for name, one in reading.tables("delivery", raw, "receivers")
    }
    if not receivers:
        document.wrong(
            "delivery", "receivers", "no receiver is declared, so nobody can be told. Write for example "
            '[delivery.receivers.control_room] and below it `roles = ["operator"]`.',
        )  # fmt: skip
        return None
    root = reading.route("delivery.route", raw.get("route", {}), None, receivers, "r")
    ladders = tuple(reading.ladder(name, one, receivers) for name, one in reading.tables("delivery", raw, "ladders"))
    alive = reading.section("delivery", raw, "alive", ALIVE_KEYS)
    return Plan(
        root=root, receivers=receivers, channels=channels, ladders=(*ladders, *reading.unattended(raw, receivers)),
        quiet=reading.quiet(raw.get("quiet", [])),
        alive=reading.receiver_of("delivery.alive", alive, "receiver", receivers) if alive else None,
        alive_every=reading.span("delivery.alive", alive, "every", timedelta(minutes=5)),
        link=str(raw.get("link", "")), alertmanager=str(raw.get("alertmanager", "")), warnings=reading.cap(raw),
    )  # fmt: skip


class _Reading:
    """Reads one [delivery]; what is wrong goes to the document, and a usable value is given all the same."""

    def __init__(self, document: Document, town: Path) -> None:
        self._document, self._town = document, town

    def only(self, section: str, raw: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
        for key in set(raw) - set(allowed):
            self._document.unknown(section, key, allowed)

    def tables(self, section: str, raw: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
        found = raw.get(key, {})
        if isinstance(found, Mapping) and all(isinstance(one, Mapping) for one in found.values()):
            return list(found.items())
        self._document.wrong(section, key, f"`{key}` holds sections of their own, for example [{section}.{key}.name].")
        return []

    def section(
        self, section: str, raw: Mapping[str, Any], key: str, allowed: tuple[str, ...]
    ) -> Mapping[str, Any]:  # fmt: skip
        found = raw.get(key, {})
        if not isinstance(found, Mapping):
            self._document.wrong(section, key, f"`{key}` is a section of its own: [{section}.{key}].")
            return {}
        self.only(f"{section}.{key}", found, allowed)
        return found

    def channel(self, name: str, raw: Mapping[str, Any]) -> Channel:
        section = f"delivery.channels.{name}"
        self.only(section, raw, CHANNEL_KEYS)
        kind = choice(self._document, section, raw, "kind", KINDS, None)
        folder = self._town / str(raw.get("folder", f"drop/{name}"))
        if kind == "sms_spool":
            program = choice(self._document, section, raw, "program", PROGRAMS, PROGRAMS[0])
            return Channel(name=name, kind=kind, folder=folder, program=program)
        if kind == "sms_gateway":
            return self._gateway(name, section, raw)
        return Channel(name=name, kind=kind, url=self._url(section, raw))

    def _gateway(self, name: str, section: str, raw: Mapping[str, Any]) -> Channel:
        url, body, accepts = self._url(section, raw), str(raw.get("body", "")), str(raw.get("accepts", ""))
        missing = [place for place in SMS_PLACES if place not in url + body]
        if url and missing:
            self._document.wrong(
                section, "url", f"`url` or `body` must say where {' and '.join(missing)} go, for example "
                '`url = "http://192.168.1.1/cgi-bin/sms_send?number={address}&text={text}"`.',
            )  # fmt: skip
        try:
            re.compile(accepts)
        except re.error as error:
            self._document.wrong(section, "accepts", f"`accepts`: {accepts!r} is no regular expression ({error}).")
            accepts = ""
        return Channel(name=name, kind="sms_gateway", url=url, body=body, accepts=accepts)

    def _url(self, section: str, raw: Mapping[str, Any]) -> str:
        if file := raw.get("url_file"):
            try:
                return (self._town / str(file)).read_text("utf-8").strip()
            except OSError as error:
                self._document.wrong(section, "url_file", f"`url_file`: {file} cannot be read ({error.strerror}).")
                return ""
        url = raw.get("url")
        if not isinstance(url, str) or "://" not in url:
            self._document.wrong(
                section, "url", 'give the address, for example `url = "mailtos://user:password@mail.example.org?to='
                f'{ADDRESS}"`, or better `url_file`, a file that only Townboard may read and that holds it.',
            )  # fmt: skip
            return ""
        return url

    def receiver(self, name: str, raw: Mapping[str, Any], channels: Mapping[str, Channel]) -> Receiver:
        section = f"delivery.receivers.{name}"
        self.only(section, raw, RECEIVER_KEYS)
        to = []
        for text in self.texts(section, raw, "to"):
            channel, _, address = text.partition(":")
            if channel not in channels:
                self._document.unknown(section, channel, channels, at="to")
            to.append((channel, address.strip()))
        roles = self.texts(section, raw, "roles")
        if not to and not roles:
            self._document.wrong(
                section, None, 'give `roles = ["operator"]` (of reference/rota.csv) or `to = ["sms:+911234567890"]`.'
            )
        return Receiver(name=name, roles=roles, to=tuple(to))

    def texts(self, section: str, raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
        found = raw.get(key, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            self._document.wrong(section, key, f'`{key}` is a list of texts, for example `{key} = ["operator"]`.')
            return ()
        return tuple(found)

    def receiver_of(
        self, section: str, raw: Mapping[str, Any], key: str, receivers: Mapping[str, Receiver], default: str = ""
    ) -> str:
        name = str(raw.get(key, default))
        if name not in receivers:
            self._document.unknown(section, name, receivers, at=key)
            return next(iter(receivers))
        return name

    def span(self, section: str, raw: Mapping[str, Any], key: str, default: timedelta) -> timedelta:
        try:
            # Alertmanager allows none at all: the first alarm of a group is told at once.
            return timedelta(0) if raw.get(key) == "0 s" else duration(raw[key]) if key in raw else default
        except ValueError as error:
            self._document.wrong(section, key, f"`{key}`: {error}.")
            return default

    def matchers(self, section: str, raw: Mapping[str, Any]) -> tuple[Matcher, ...]:
        found = []
        for text in self.texts(section, raw, "matchers"):
            try:
                found.append(Matcher.of(text))
            except ValueError as error:
                self._document.wrong(section, "matchers", f"`matchers`: {error}.")
        return tuple(found)

    def route(
        self, section: str, raw: Any, above: Route | None, receivers: Mapping[str, Receiver], key: str
    ) -> Route:  # fmt: skip
        """A route and those below it; what it does not say is as in the one above."""
        if not isinstance(raw, Mapping):
            self._document.wrong(section, None, "a route is a section with `receiver` and `matchers`.")
            raw = {}
        self.only(section, raw, ROUTE_KEYS)
        default = above or Route(key="", receiver=next(iter(receivers)))
        group_by = self.texts(section, raw, "group_by") if "group_by" in raw else default.group_by
        for label in group_by:
            if label not in LABELS:
                self._document.unknown(section, label, LABELS, at="group_by")
        if above is None and raw.get("matchers"):
            self._document.wrong(section, "matchers", "the first route takes every alarm; conditions stand below it.")
        own = Route(
            key=key,
            receiver=self.receiver_of(section, raw, "receiver", receivers, default.receiver),
            matchers=() if above is None else self.matchers(section, raw),
            group_by=tuple(label for label in group_by if label in LABELS),
            group_wait=self.span(section, raw, "group_wait", default.group_wait),
            group_interval=self.span(section, raw, "group_interval", default.group_interval),
            repeat_interval=self.span(section, raw, "repeat_interval", default.repeat_interval),
            continues=bool(raw.get("continue", False)),
        )
        return replace(own, routes=self._below(section, raw.get("routes", []), own, receivers))

    def _below(self, section: str, raw: Any, above: Route, receivers: Mapping[str, Receiver]) -> tuple[Route, ...]:
        if not isinstance(raw, list):
            self._document.wrong(section, "routes", f"write each route below as [[{section}.routes]].")
            return ()
        return tuple(
            self.route(f"{section}.routes", one, above, receivers, f"{above.key}.{number}")
            for number, one in enumerate(raw, 1)
        )

    def ladder(self, name: str, raw: Mapping[str, Any], receivers: Mapping[str, Receiver]) -> Ladder:
        section = f"delivery.ladders.{name}"
        self.only(section, raw, LADDER_KEYS)
        steps = []
        for text in self.texts(section, raw, "steps"):
            after, colon, receiver = text.partition(":")
            try:
                wait = duration(after)
            except ValueError as error:
                self._document.wrong(section, "steps", f"`steps`: {error}; {STEP}.")
                continue
            if not colon or receiver.strip() not in receivers:
                self._document.unknown(section, receiver.strip(), receivers, at="steps")
                continue
            steps.append(Step(wait, receiver.strip()))
        if not steps:
            self._document.wrong(section, "steps", f"a ladder needs steps; {STEP}.")
        return Ladder(name, self.matchers(section, raw), tuple(sorted(steps, key=lambda step: step.after)))

    def unattended(self, delivery: Mapping[str, Any], receivers: Mapping[str, Receiver]) -> tuple[Unattended, ...]:
        raw, section = self.section("delivery", delivery, "unattended", UNATTENDED_KEYS), "delivery.unattended"
        if not raw:
            return ()
        receiver = self.receiver_of(section, raw, "receiver", receivers)
        after = self.span(section, raw, "after", timedelta(minutes=30))
        return (Unattended(self.matchers(section, raw), Step(after, receiver)),)

    def quiet(self, raw: Any) -> tuple[Quiet, ...]:
        section = "delivery.quiet"
        if not isinstance(raw, list) or not all(isinstance(one, Mapping) for one in raw):
            self._document.wrong(section, None, "write each span of quiet hours as [[delivery.quiet]].")
            return ()
        return tuple(self._hours(section, one) for one in raw)

    def cap(self, delivery: Mapping[str, Any]) -> Warnings | None:
        raw, section = self.section("delivery", delivery, "cap", CAP_KEYS), "delivery.cap"
        if not raw:
            return None
        sender, categories = raw.get("sender"), raw.get("categories", {})
        if not isinstance(sender, str) or not sender.strip() or set(sender) & set(" ,<&"):
            self._document.wrong(section, "sender", 'name who warns, without spaces: `sender = "board@town.example"`.')
        if not isinstance(categories, Mapping) or not set(categories.values()) <= set(CATEGORIES):
            self._document.wrong(
                section, "categories", f"give each domain one of {', '.join(CATEGORIES)}, for example "
                '`categories = { pollution = "Env" }`.',
            )  # fmt: skip
            categories = {}
        priorities = self.priorities(section, raw) if "priorities" in raw else ("critical",)
        return Warnings(sender=str(sender), priorities=priorities, categories=dict(categories))

    def priorities(self, section: str, raw: Mapping[str, Any]) -> tuple[str, ...]:
        found = self.texts(section, raw, "priorities")
        for name in found:
            if name not in PRIORITIES:
                self._document.unknown(section, name, PRIORITIES, at="priorities")
        return found

    def _hours(self, section: str, raw: Mapping[str, Any]) -> Quiet:
        self.only(section, raw, QUIET_KEYS)
        return Quiet(
            begins=self._clock(section, raw, "from"),
            ends=self._clock(section, raw, "to"),
            priorities=self.priorities(section, raw),
        )

    def _clock(self, section: str, raw: Mapping[str, Any], key: str) -> time:
        try:
            return time.fromisoformat(str(raw[key]))
        except (KeyError, ValueError):
            self._document.wrong(section, key, f'`{key} = {raw.get(key)!r}` is no time; write for example "22:00".')
            return time(0)
