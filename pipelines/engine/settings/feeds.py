"""[feeds.NAME] of town.toml -> Feed: where payloads come from, how they are read, how often they should come."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pipelines.engine.decode import formats
from pipelines.engine.decode.clock import zone_known, zone_names
from pipelines.engine.decode.device_mapping import FORMATS as DEVICES
from pipelines.engine.decode.device_mapping import check_devices
from pipelines.engine.decode.table_mapping import FORMATS as MAPPED
from pipelines.engine.decode.table_mapping import check_mapping
from pipelines.engine.model import Domain, Source
from pipelines.engine.settings.document import Document, choice, duration
from pipelines.engine.settings.topics import topic_of

ORIGINS = ("poll", "drop_folder", "http_push", "mqtt", "replay")
FEED_KEYS = {
    "use", "from", "url", "every", "format", "table", "zone", "mapping", "headers", "timeout_s", "max_mb", "title",
    "files", "speed", "enabled", "broker", "topic",
}  # fmt: skip
# Payloads of these formats say how things stand at one instant; all others say what happened since the last one.
MOMENTARY = ("gtfs_realtime",)


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One feed of the town: where payloads come from, how they are read, and how often they should come."""

    name: str
    title: str
    origin: str
    meaning: str = ""
    format: str
    table: str
    every: timedelta
    zone: str
    domains: tuple[str, ...] = ()
    url: str = ""
    mapping: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 20.0
    max_mb: float = 64.0
    files: str = ""
    speed: float = 1.0
    broker: str = ""
    topics: tuple[str, ...] = ()
    declared: bool = True
    zone_assumed: bool = False

    @property
    def momentary(self) -> bool:
        """Whether a payload says how things stand at one instant."""
        return self.format in MOMENTARY


def spoken_name(name: str) -> str:
    """A name from the settings as people read it: bus_positions -> Bus positions."""
    return name.replace("_", " ").capitalize()


def read_feeds(
    document: Document, raw: Any, domains: Mapping[str, Domain], zone: str, brokers: tuple[str, ...] = ()
) -> dict[str, Feed]:
    sources = {f"{d.name}.{s.name}": (d, s) for d in domains.values() for s in d.sources}
    tables = {t.name: d for d in domains.values() for t in d.tables}
    feeds = {}
    for name, entry in raw.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            document.wrong(f"feeds.{name}", None, "a feed's name is small letters, digits and _.")
        elif entry.get("enabled", True):
            feeds[name] = _feed(document, name, entry, sources, tables, zone)
            if feeds[name].origin == "mqtt":
                feeds[name] = replace(feeds[name], **_subscription(document, f"feeds.{name}", entry, brokers))
    used = {entry.get("use") for entry in raw.values() if isinstance(entry, dict)}
    for full, (domain, source) in sources.items():
        if full not in used and source.name not in feeds:
            feeds[source.name] = _of_source(source, domain, zone)
    feeds.setdefault("push", _push_feed(tuple(domains), zone))
    for name, feed in feeds.items():
        _check_mapping(document, name, feed, tables)
    return feeds


def _check_mapping(document: Document, name: str, feed: Feed, tables: Mapping[str, Domain]) -> None:
    if feed.format in DEVICES:
        for words in check_devices(feed.mapping):
            document.wrong(f"feeds.{name}.mapping", None, words)
    if feed.format not in MAPPED or not feed.mapping:
        return
    columns = {"sensor": "text", "observed_at": "instant", "value": "number", "unit": "text"}
    if feed.table in tables:
        table = next(t for t in tables[feed.table].tables if t.name == feed.table)
        columns = {column.name: column.kind for column in table.columns}
    about = {**feed.mapping, "format": feed.format, "table": feed.table, "zone": feed.zone, "feed": feed.name}
    for words in check_mapping(about, columns):
        document.wrong(f"feeds.{name}.mapping", None, words)


def _of_source(source: Source, domain: Domain, zone: str) -> Feed:
    """The feed that a declared source is, where the town says nothing: whole files dropped into its folder."""
    return Feed(
        name=source.name,
        title=spoken_name(source.name),
        meaning=source.meaning,
        origin="drop_folder",
        format=source.format,
        table=str(source.mapping.get("table", "readings")),
        every=source.every,
        zone=zone,
        domains=(domain.name,),
        mapping=source.mapping,
        declared=False,
        zone_assumed=True,
    )


def _push_feed(domains: tuple[str, ...], zone: str) -> Feed:
    """The feed behind HTTP pushes that name none: readings and event rows in the dictionary's own columns."""
    return Feed(
        name="push",
        title="HTTP push",
        origin="http_push",
        format="json",
        table="readings",
        every=timedelta(hours=1),
        zone=zone,
        domains=domains,
        declared=False,
        zone_assumed=True,
    )


def _feed(
    document: Document,
    name: str,
    raw: Mapping[str, Any],
    sources: Mapping[str, tuple[Domain, Source]],
    tables: Mapping[str, Domain],
    zone: str,
) -> Feed:
    section = f"feeds.{name}"
    for key in set(raw) - FEED_KEYS:
        document.unknown(section, key, FEED_KEYS)
    base = _ready_made(document, section, raw, sources, zone)
    values: dict[str, Any] = {"name": name, "declared": True, "title": raw.get("title", spoken_name(name))}
    values["origin"] = choice(document, section, raw, "from", ORIGINS, "drop_folder")
    if base is None or "format" in raw:
        values["format"] = choice(document, section, raw, "format", formats(), None)
    values["zone"] = raw.get("zone", zone)
    values["zone_assumed"] = "zone" not in raw
    if not _zone_known(values["zone"], values.get("format", base.format if base else "")):
        document.wrong(section, "zone", f'{values["zone"]!r} is no time zone; write one like "Europe/Rome".')
    if "every" in raw or base is None:
        values["every"] = _pace(document, section, raw)
    if values["origin"] == "poll" and not str(raw.get("url", "")).startswith(("http://", "https://")):
        document.wrong(
            section, "url", 'a polled feed needs an address, for example `url = "https://example.org/feed.pb"`.'
        )
    table = raw.get("table", base.table if base else "readings")
    if table != "readings" and table not in tables:
        document.unknown(section, str(table), {"readings", *tables}, at="table")
    values["table"] = table
    if base is None and table in tables:
        values["domains"] = (tables[table].name,)
    values["mapping"] = {**(base.mapping if base else {}), **raw.get("mapping", {})}
    values |= {key: raw[key] for key in ("url", "headers", "timeout_s", "max_mb", "files", "speed") if key in raw}
    return replace(base, **values) if base else Feed(**values)


def _subscription(document: Document, section: str, raw: Mapping[str, Any], brokers: tuple[str, ...]) -> dict[str, Any]:
    """The broker and the topics of an MQTT feed."""
    broker = raw.get("broker", brokers[0] if len(brokers) == 1 else "")
    if broker not in brokers:
        known = f"Known are: {', '.join(brokers)}." if brokers else "None is set up: write [brokers.main] with its url."
        document.wrong(section, "broker", f"`broker` names the broker that the feed comes from. {known}")
    written = raw.get("topic", [])
    topics = (written,) if isinstance(written, str) else tuple(written)
    if not topics:
        document.wrong(
            section, "topic", 'an MQTT feed needs a topic, for example `topic = "town/water/{asset}/{quantity}"`.'
        )
    for text in topics:
        try:
            topic_of(text)
        except ValueError as error:
            document.wrong(section, "topic", f"`topic = {text!r}`: {error}.")
    return {"broker": broker, "topics": topics}


def _ready_made(
    document: Document, section: str, raw: Mapping[str, Any], sources: Mapping[str, tuple[Domain, Source]], zone: str
) -> Feed | None:
    """The feed that `use` names, before the town's own settings."""
    if "use" not in raw:
        return None
    if raw["use"] in sources:
        domain, source = sources[raw["use"]]
        return _of_source(source, domain, zone)
    document.unknown(section, str(raw["use"]), sources, at="use")
    return None


def _pace(document: Document, section: str, raw: Mapping[str, Any]) -> timedelta:
    try:
        return duration(raw.get("every", "1 h"))
    except ValueError as error:
        document.wrong(section, "every", f"`every`: {error}.")
        return timedelta(hours=1)


def _zone_known(zone: Any, form: str) -> bool:
    """Whether times can be read by this zone; files of a mapped format may also keep a fixed offset all year."""
    return zone in zone_names() or (form in MAPPED and isinstance(zone, str) and zone_known(zone))
