"""town.toml -> Settings; every refusal names file, line, what was found and what is allowed."""

import difflib
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pipelines.engine.decode import formats
from pipelines.engine.decode.clock import zone_known
from pipelines.engine.decode.table_mapping import FORMATS as MAPPED
from pipelines.engine.decode.table_mapping import check_mapping
from pipelines.engine.errors import SettingsError
from pipelines.engine.kinds import well_formed
from pipelines.engine.model import PRIORITIES, AlarmRule, Domain, Kpi, Source

ORIGINS = ("poll", "drop_folder", "http_push", "replay")
TOWN_KEYS = {"name", "timezone", "languages", "domains", "demo", "beat_s", "future_tolerance_s", "gas_temperature_c"}
FEED_KEYS = {
    "use", "from", "url", "every", "format", "table", "zone", "mapping", "headers", "timeout_s", "max_mb", "title",
    "files", "speed", "enabled",
}  # fmt: skip
KPI_KEYS = {"target", "watch", "min_coverage", "floor"}
ALARM_KEYS = {"above", "below", "deadband", "on_delay", "off_delay", "priority", "enabled"}
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*\Z")
# Payloads of these formats say how things stand at one instant; all others say what happened since the last one.
MOMENTARY = ("gtfs_realtime",)
RETENTION = {"readings": timedelta(days=1100), "quarantine": timedelta(days=90), "arrivals": timedelta(days=400)}


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
    declared: bool = True
    zone_assumed: bool = False

    @property
    def momentary(self) -> bool:
        """Whether a payload says how things stand at one instant."""
        return self.format in MOMENTARY


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a town has decided, checked."""

    folder: Path
    name: str
    zone: str
    languages: tuple[str, ...]
    domains: tuple[Domain, ...]
    feeds: Mapping[str, Feed]
    tuning: Mapping[str, Mapping[str, Any]]
    demo: bool = False
    beat_s: float = 2.0
    future_tolerance_s: float = 300.0
    gas_temperature_c: float = 25.0

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return self.folder / "store"

    @property
    def drop(self) -> Path:
        """The folder of the drop folders."""
        return self.folder / "drop"

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        """The KPIs of all domains that are on, as tuned."""
        return tuple(kpi for domain in self.domains for kpi in domain.kpis)

    def domain_of(self, kpi_id: str) -> str:
        """The domain that declares this KPI."""
        return next(d.name for d in self.domains if any(k.id == kpi_id for k in d.kpis))


class _Reading:
    """One town.toml while it is read: collects mistakes with the line they stand on."""

    def __init__(self, path: Path) -> None:
        self.shown = _shown(path)
        self.lines = path.read_text("utf-8-sig").splitlines()
        self.mistakes: list[str] = []

    def line(self, section: str, key: str | None) -> int:
        """The line of a key in a section, or of the section, or 1."""
        start = 0
        if section:
            header = re.compile(rf"\s*\[\s*{re.escape(section)}\s*\]")
            start = next((n for n, text in enumerate(self.lines, 1) if header.match(text)), 0)
        if key is None:
            return max(start, 1)
        for number, text in enumerate(self.lines[start:], start + 1):
            if text.lstrip().startswith("[") and number > start + 1:
                break
            if re.match(rf'\s*"?{re.escape(key)}"?\s*=', text):
                return number
        below = re.compile(rf"\s*\[\s*{re.escape(f'{section}.{key}' if section else key)}\s*[.\]]")
        return next((n for n, text in enumerate(self.lines, 1) if below.match(text)), max(start, 1))

    def wrong(self, section: str, key: str | None, words: str) -> None:
        """Note a mistake."""
        place = f"[{section}]: " if section else ""
        self.mistakes.append(f"{self.shown}, line {self.line(section, key)}, {place}{words}")

    def unknown(self, section: str, key: str, allowed: Iterable[str], at: str | None = None) -> None:
        """Note a name that nobody knows, with what exists; `at` is the setting that it is the value of."""
        names = sorted(allowed)
        near = difflib.get_close_matches(key, names, 1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        self.wrong(section, at or key, f"`{key}` is not known here.{hint} Known are: {', '.join(names)}.")


def spoken_name(name: str) -> str:
    """A name from the settings as people read it: bus_positions -> Bus positions."""
    return name.replace("_", " ").capitalize()


def _shown(path: Path) -> str:
    """The path as the clerk knows it: relative to where the command was given, when that is shorter."""
    try:
        return os.path.relpath(path) if not os.path.relpath(path).startswith("..") else str(path)
    except ValueError:
        return str(path)


def duration(value: Any) -> timedelta:
    """A duration from text such as "30 s", "15 min", "1 h", "1 d".

    Raises ValueError with what is allowed.
    """
    match = DURATION.match(value) if isinstance(value, str) else None
    if not match or float(match[1]) <= 0:
        raise ValueError(f'{value!r} is no duration; write a number and s, min, h or d, for example "15 min"')
    return timedelta(seconds=float(match[1]) * UNITS[match[2]])


def load(folder: Path, available: Callable[[], Mapping[str, Domain]]) -> Settings:
    """The settings in folder/town.toml, with every mistake of the file named at once.

    `available` gives the domains that this installation has, by name.
    Raises SettingsError.
    """
    path = folder / "town.toml"
    if not path.is_file():
        raise SettingsError([
            f"{_shown(path)} is missing. Copy data/town.example.toml to that place and write your town's name, "
            "time zone and domains into it, or look at the demo town first: python app.py demo"
        ])  # fmt: skip
    try:
        reading = _Reading(path)
        raw = tomllib.loads("\n".join(reading.lines))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            [f"{_shown(path)}: this is not readable as TOML: {error}. Mend that line and start again."]
        ) from error
    raw = well_formed(raw, reading.wrong)
    town = _town(reading, raw.get("town"), available())
    known = {domain.name: domain for domain in town.pop("domains")}
    for section in raw:
        if section not in {"town", "feeds", "web", *known}:
            reading.unknown("", section, {"town", "feeds", *known})
    feeds = _feeds(reading, raw.get("feeds", {}), known, town["zone"])
    tuning: dict[str, dict[str, Any]] = {}
    domains = tuple(_tuned(reading, domain, raw.get(name, {}), tuning) for name, domain in known.items())
    if reading.mistakes:
        raise SettingsError(reading.mistakes)
    return Settings(folder=folder, domains=domains, feeds=feeds, tuning=tuning, **town)


def _town(reading: _Reading, raw: Any, available: Mapping[str, Domain]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise SettingsError([f"{reading.shown}: the section [town] is missing. It holds name, timezone and domains."])
    for key in set(raw) - TOWN_KEYS:
        reading.unknown("town", key, TOWN_KEYS)
    name = raw.get("name")
    if not isinstance(name, str) or not name.strip():
        reading.wrong("town", "name", 'the town\'s name is missing; write for example `name = "Nadipur"`.')
    zone = raw.get("timezone")
    if zone not in available_timezones():
        reading.wrong(
            "town",
            "timezone",
            f'`timezone = {zone!r}` is no time zone; write one like "Asia/Kolkata" or "Europe/Rome".',
        )
        zone = "UTC"
    domains = []
    for wanted in raw.get("domains", []):
        if wanted in available:
            domains.append(available[wanted])
        else:
            reading.unknown("town", str(wanted), available, at="domains")
    if not domains:
        reading.wrong("town", "domains", f"no domain is switched on; choose from {', '.join(sorted(available))}.")
    numbers = {}
    for key, default in (("beat_s", 2.0), ("future_tolerance_s", 300.0), ("gas_temperature_c", 25.0)):
        value = raw.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
            reading.wrong("town", key, f"`{key} = {value!r}` must be a number above 0.")
            value = default
        numbers[key] = float(value)
    return {
        "name": name,
        "zone": ZoneInfo(zone).key,
        "languages": tuple(raw.get("languages", ("en",))),
        "domains": domains,
        "demo": bool(raw.get("demo", False)),
        **numbers,
    }


def _feeds(reading: _Reading, raw: Any, domains: Mapping[str, Domain], zone: str) -> dict[str, Feed]:
    sources = {f"{d.name}.{s.name}": (d, s) for d in domains.values() for s in d.sources}
    tables = {t.name: d for d in domains.values() for t in d.tables}
    feeds = {}
    for name, entry in raw.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            reading.wrong(f"feeds.{name}", None, "a feed's name is small letters, digits and _.")
        elif entry.get("enabled", True):
            feeds[name] = _feed(reading, name, entry, sources, tables, zone)
    used = {entry.get("use") for entry in raw.values() if isinstance(entry, dict)}
    for full, (domain, source) in sources.items():
        if full not in used and source.name not in feeds:
            feeds[source.name] = _of_source(source, domain, zone)
    feeds.setdefault("push", _push_feed(tuple(domains), zone))
    for name, feed in feeds.items():
        _check_mapping(reading, name, feed, tables)
    return feeds


def _check_mapping(reading: _Reading, name: str, feed: Feed, tables: Mapping[str, Domain]) -> None:
    if feed.format not in MAPPED or not feed.mapping:
        return
    columns = {"sensor": "text", "observed_at": "instant", "value": "number", "unit": "text"}
    if feed.table in tables:
        table = next(t for t in tables[feed.table].tables if t.name == feed.table)
        columns = {column.name: column.kind for column in table.columns}
    about = {**feed.mapping, "format": feed.format, "table": feed.table, "zone": feed.zone, "feed": feed.name}
    for words in check_mapping(about, columns):
        reading.wrong(f"feeds.{name}.mapping", None, words)


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
    reading: _Reading,
    name: str,
    raw: Mapping[str, Any],
    sources: Mapping[str, tuple[Domain, Source]],
    tables: Mapping[str, Domain],
    zone: str,
) -> Feed:
    section = f"feeds.{name}"
    for key in set(raw) - FEED_KEYS:
        reading.unknown(section, key, FEED_KEYS)
    base = None
    if "use" in raw:
        if raw["use"] in sources:
            domain, source = sources[raw["use"]]
            base = _of_source(source, domain, zone)
        else:
            reading.unknown(section, str(raw["use"]), sources, at="use")
    values: dict[str, Any] = {"name": name, "declared": True, "title": raw.get("title", spoken_name(name))}
    values["origin"] = _choice(reading, section, raw, "from", ORIGINS, "drop_folder")
    if base is None or "format" in raw:
        values["format"] = _choice(reading, section, raw, "format", formats(), None)
    values["zone"] = raw.get("zone", zone)
    values["zone_assumed"] = "zone" not in raw
    if not _zone_known(values["zone"], values.get("format", base.format if base else "")):
        reading.wrong(section, "zone", f'{values["zone"]!r} is no time zone; write one like "Europe/Rome".')
    if "every" in raw or base is None:
        try:
            values["every"] = duration(raw.get("every", "1 h"))
        except ValueError as error:
            reading.wrong(section, "every", f"`every`: {error}.")
            values["every"] = timedelta(hours=1)
    if values["origin"] == "poll" and not str(raw.get("url", "")).startswith(("http://", "https://")):
        reading.wrong(
            section, "url", 'a polled feed needs an address, for example `url = "https://example.org/feed.pb"`.'
        )
    table = raw.get("table", base.table if base else "readings")
    if table != "readings" and table not in tables:
        reading.unknown(section, str(table), {"readings", *tables}, at="table")
    values["table"] = table
    if base is None and table in tables:
        values["domains"] = (tables[table].name,)
    values["mapping"] = {**(base.mapping if base else {}), **raw.get("mapping", {})}
    for key in ("url", "headers", "timeout_s", "max_mb", "files", "speed"):
        if key in raw:
            values[key] = raw[key]
    return replace(base, **values) if base else Feed(**values)


def _zone_known(zone: Any, form: str) -> bool:
    """Whether times can be read by this zone; files of a mapped format may also keep a fixed offset all year."""
    return zone in available_timezones() or (form in MAPPED and isinstance(zone, str) and zone_known(zone))


def _choice(
    reading: _Reading, section: str, raw: Mapping[str, Any], key: str, allowed: Iterable[str], default: str | None
) -> str:
    value = raw.get(key, default)
    if value not in tuple(allowed):
        reading.wrong(section, key, f"`{key} = {value!r}`: choose one of {', '.join(allowed)}.")
        return default or next(iter(allowed))
    return value


def _tuned(reading: _Reading, domain: Domain, raw: Any, tuning: dict[str, dict[str, Any]]) -> Domain:
    """The domain with the town's targets, limits and switches in it."""
    for key in set(raw) - {"kpis", "alarms"}:
        reading.unknown(domain.name, key, {"kpis", "alarms"})
    kpis = _named(reading, f"{domain.name}.kpis", raw.get("kpis", {}), {k.id: k for k in domain.kpis})
    alarms = _named(reading, f"{domain.name}.alarms", raw.get("alarms", {}), {a.name: a for a in domain.alarms})
    return replace(
        domain,
        kpis=tuple(_tuned_kpi(reading, domain.name, k, kpis.get(k.id, {}), tuning) for k in domain.kpis),
        alarms=tuple(
            _tuned_alarm(reading, domain.name, a, alarms.get(a.name, {}))
            for a in domain.alarms
            if alarms.get(a.name, {}).get("enabled", True)
        ),
    )


def _named(
    reading: _Reading, section: str, raw: Mapping[str, Any], known: Mapping[str, Any]
) -> Mapping[str, Mapping[str, Any]]:
    for name in raw:
        if name not in known:
            reading.unknown(f"{section}.{name}", name, known)
    return raw


def _number(reading: _Reading, section: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        reading.wrong(
            section,
            key,
            f"`{key} = {value!r}` is not a number. Write it without a sign or unit, for example `{key} = 40`.",
        )
        return 0.0
    return float(value)


def _tuned_kpi(
    reading: _Reading, domain: str, kpi: Kpi, raw: Mapping[str, Any], tuning: dict[str, dict[str, Any]]
) -> Kpi:
    section, changes = f"{domain}.kpis.{kpi.id}", {}
    for key, value in raw.items():
        if key in KPI_KEYS:
            changes[key] = _number(reading, section, key, value)
            if key == "min_coverage" and not 0 <= changes[key] <= 1:
                reading.wrong(
                    section, key, f"`{key} = {value!r}`: this is a share between 0 and 1, for example `{key} = 0.75`."
                )
        elif key in kpi.tunables:
            default = kpi.tunables[key]
            if isinstance(default, int | float) and not isinstance(default, bool):
                value = _number(reading, section, key, value)
            elif type(value) is not type(default):
                reading.wrong(section, key, f"`{key} = {value!r}` must be of the same kind as its default {default!r}.")
            tuning.setdefault(kpi.id, {})[key] = value
        else:
            reading.unknown(section, key, KPI_KEYS | set(kpi.tunables))
    return replace(kpi, **changes)


def _tuned_alarm(reading: _Reading, domain: str, rule: AlarmRule, raw: Mapping[str, Any]) -> AlarmRule:
    section, changes = f"{domain}.alarms.{rule.name}", {}
    for key, value in raw.items():
        if key not in ALARM_KEYS:
            reading.unknown(section, key, ALARM_KEYS)
        elif key in ("above", "below", "deadband"):
            if getattr(rule, key) is None:
                other = "below" if key == "above" else "above"
                reading.wrong(section, key, f"this alarm rings {other} a limit; tune `{other}`.")
            else:
                changes[key] = _number(reading, section, key, value)
                if key == "deadband" and changes[key] < 0:
                    reading.wrong(
                        section, key, f"`{key} = {value!r}`: write how far the value must come back, 0 or more."
                    )
        elif key in ("on_delay", "off_delay"):
            try:
                changes[key] = duration(value)
            except ValueError as error:
                reading.wrong(section, key, f"`{key}`: {error}.")
        elif key == "priority":
            changes[key] = _choice(reading, section, raw, key, PRIORITIES, None)
    return replace(rule, **changes)
