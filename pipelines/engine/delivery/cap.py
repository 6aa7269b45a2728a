"""Urgent alarms as CAP 1.2: one message each, and an Atom feed of those that stand, for anybody who relays warnings."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree import ElementTree as Tree

from pipelines.engine.delivery.notice import Notice

CAP = "urn:oasis:names:tc:emergency:cap:1.2"
ATOM = "http://www.w3.org/2005/Atom"
CATEGORIES = (
    "Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other",
)  # fmt: skip
SEVERITY: Mapping[str, str] = {"critical": "Severe", "high": "Moderate", "medium": "Minor", "low": "Minor"}
URGENCY: Mapping[str, str] = {"critical": "Immediate", "high": "Expected", "medium": "Future", "low": "Future"}


@dataclass(frozen=True, kw_only=True)
class Warnings:
    """What a town publishes as CAP: under whose name, which priorities, and in which category each domain falls."""

    sender: str
    priorities: tuple[str, ...] = ("critical",)
    categories: Mapping[str, str] = field(default_factory=dict)

    def published(self, notices: Iterable[Notice]) -> list[Notice]:
        """The alarms that the public is warned of, those that ended lately among them; the newest first."""
        told = [one for one in notices if one.priority in self.priorities and not one.muted]
        return sorted(told, key=lambda one: (one.ended_at or one.since, one.id), reverse=True)


def identifier(notice: Notice) -> str:
    """The CAP identifier of an alarm's occurrence; it has no spaces, commas, < or &."""
    name = f"{notice.id}|{notice.since.isoformat()}"
    return hashlib.sha256(name.encode()).hexdigest()[:20]


def message(warnings: Warnings, notice: Notice, town: str, link: str) -> bytes:
    """The CAP message of an alarm: an Alert while it stands, its Cancel when it is over.

    Source: OASIS CAP 1.2, section 3.2.
    """
    alert = Tree.Element("alert", xmlns=CAP)
    over = notice.ended_at is not None
    own, sent = identifier(notice), _instant(notice.ended_at or notice.since)
    parts = [
        ("identifier", f"{own}-end" if over else own), ("sender", warnings.sender), ("sent", sent),
        ("status", "Actual"), ("msgType", "Cancel" if over else "Alert"), ("scope", "Public"),
    ]  # fmt: skip
    if over:
        parts.append(("references", f"{warnings.sender},{own},{_instant(notice.since)}"))
    _add(alert, parts)
    info = Tree.SubElement(alert, "info")
    parts = [
        ("language", "en"), ("category", warnings.categories.get(notice.labels.get("domain", ""), "Infra")),
        ("event", notice.title), ("urgency", "Past" if over else URGENCY[notice.priority]),
        ("severity", SEVERITY[notice.priority]), ("certainty", "Observed"), ("onset", _instant(notice.since)),
        ("senderName", town), ("headline", f"{notice.title}, {notice.where}{' is over' if over else ''}"),
    ]  # fmt: skip
    if link:
        parts.append(("web", f"{link.rstrip('/')}/public"))
    _add(info, parts)
    area = Tree.SubElement(info, "area")
    _add(area, [("areaDesc", f"{notice.labels['ward']}, {town}" if "ward" in notice.labels else town)])
    return _bytes(alert)


def feed(warnings: Warnings, notices: Iterable[Notice], town: str, base: str, now: datetime) -> bytes:
    """The Atom feed of all messages; `base` is the address below which each one stands."""
    root = Tree.Element("feed", xmlns=ATOM)
    shown = warnings.published(notices)
    newest = max((one.ended_at or one.since for one in shown), default=now)
    _add(root, [("id", f"{base}feed.xml"), ("title", f"Warnings of {town}"), ("updated", _instant(newest))])
    _add(Tree.SubElement(root, "author"), [("name", town)])
    for one in shown:
        entry, address = Tree.SubElement(root, "entry"), f"{base}{identifier(one)}.xml"
        title = f"{one.title}, {one.where}{' is over' if one.ended_at else ''}"
        _add(entry, [("id", address), ("title", title), ("updated", _instant(one.ended_at or one.since))])
        Tree.SubElement(entry, "link", href=address, type="application/cap+xml")
    return _bytes(root)


def _add(parent: Tree.Element, parts: Iterable[tuple[str, str]]) -> None:
    for name, text in parts:
        Tree.SubElement(parent, name).text = text


def _instant(at: datetime) -> str:
    """As CAP wants it: whole seconds, UTC written as -00:00."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}-00:00"


def _bytes(root: Tree.Element) -> bytes:
    return Tree.tostring(root, encoding="utf-8", xml_declaration=True)
