"""town.toml -> Settings; every refusal names file, line, what was found and what is allowed."""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.engine.decode.clock import zone_names
from pipelines.engine.delivery.plan import Plan
from pipelines.engine.errors import SettingsError
from pipelines.engine.kinds import well_formed
from pipelines.engine.logs import FORMS
from pipelines.engine.model import Domain, Kpi
from pipelines.engine.people.plan import Access
from pipelines.engine.settings.access import ACCESS_KEYS, OPENID_KEYS, read_access
from pipelines.engine.settings.brokers import BROKER_KEYS, Broker, read_brokers
from pipelines.engine.settings.delivery import DELIVERY_KEYS, read_delivery
from pipelines.engine.settings.document import Document, choice, duration, shown_path
from pipelines.engine.settings.feeds import FEED_KEYS, ORIGINS, Feed, read_feeds
from pipelines.engine.settings.filing import FEED, FILING_KEYS, FilingPlan, filing_feed, read_filing
from pipelines.engine.settings.keeping import (
    BACKUP_KEYS,
    FOR_EVER,
    NEVER_DROPPED,
    BackupPlan,
    read_backup,
    read_retention,
)
from pipelines.engine.settings.outgoing import EXPORT_KEYS, REPORT_KEYS, Outgoing, read_outgoing
from pipelines.engine.settings.rules import GAS_TEMPERATURE_C, PACKS, Rule, by_pack, ruled, rules_of
from pipelines.engine.settings.tuning import ALARM_KEYS, KPI_KEYS, tuned
from pipelines.engine.tables import ENGINE_TABLES

__all__ = (
    "ACCESS_KEYS", "ALARM_KEYS", "BACKUP_KEYS", "BROKER_KEYS", "DELIVERY_KEYS", "EXPORT_KEYS", "FEED_KEYS",
    "FILING_KEYS", "FOR_EVER", "KPI_KEYS", "NEVER_DROPPED", "OPENID_KEYS", "ORIGINS", "REPORT_KEYS", "TOWN_KEYS",
    "BackupPlan", "Broker", "Feed", "Outgoing", "Settings", "duration", "load", "rules_of", "shown_path",
)  # fmt: skip
SECTIONS = ("town", "brokers", "feeds", "backup", "retention", "delivery", "exports", "reports", "access", "filing")
TOWN_KEYS = {
    "name", "timezone", "languages", "domains", "demo", "beat_s", "future_tolerance_s", "gas_temperature_c", "pack",
    "open_wall", "log", "certificate",
}  # fmt: skip


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
    brokers: Mapping[str, Broker] = field(default_factory=dict)
    backup: BackupPlan | None = None
    delivery: Plan | None = None
    outgoing: tuple[Outgoing, ...] = ()
    access: Access = field(default_factory=Access)
    filing: FilingPlan = field(default_factory=FilingPlan)
    retention: Mapping[str, timedelta] = field(default_factory=dict)
    demo: bool = False
    open_wall: bool = False
    # How each process logs (logs.FORMS).
    log: str = "plain"
    # The certificate of the proxy before us: the doctor says when it ends.
    certificate: str = ""
    beat_s: float = 2.0
    future_tolerance_s: float = 300.0
    gas_temperature_c: float = 25.0
    pack: str = PACKS[0]
    rules: Mapping[str, Rule] = field(default_factory=dict)

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


def load(folder: Path, available: Callable[[], Mapping[str, Domain]]) -> Settings:
    """The settings in folder/town.toml, with every mistake of the file named at once.

    `available` gives the domains that this installation has, by name.
    Raises SettingsError.
    """
    document, raw = _parsed(folder / "town.toml")
    town = _town(document, raw.get("town"), available())
    known = {domain.name: by_pack(domain, town["pack"]) for domain in town.pop("domains")}
    for section in raw:
        if section not in {*SECTIONS, "web", *known}:
            document.unknown("", section, {*SECTIONS, *known})
    brokers = read_brokers(document, raw.get("brokers", {}), folder, str(town["name"]))
    feeds = read_feeds(document, raw.get("feeds", {}), known, town["zone"], tuple(brokers))
    tuning: dict[str, dict[str, Any]] = {}
    rules: dict[str, Rule] = {}
    domains = tuple(
        tuned(document, domain, ruled(document, domain, raw.get(name, {}), town["pack"], rules), tuning)
        for name, domain in known.items()
    )
    backup = read_backup(document, raw.get("backup", {}), folder)
    delivery = read_delivery(document, raw.get("delivery", {}), folder)
    access = read_access(document, raw.get("access", {}), folder)
    if (filed := filing_feed(domains, feeds, town["zone"])) is not None:
        feeds.setdefault(FEED, filed)
    filing = read_filing(document, raw.get("filing", {}))
    tables = (*ENGINE_TABLES, *(table for domain in domains for table in domain.tables))
    retention = read_retention(document, raw.get("retention", {}), tables)
    outgoing = read_outgoing(
        document, raw, folder, tables=tables, receivers=delivery.receivers if delivery else (),
        languages=town["languages"],
    )  # fmt: skip
    if document.mistakes:
        raise SettingsError(document.mistakes)
    return Settings(
        folder=folder, domains=domains, feeds=feeds, brokers=brokers, tuning=tuning, backup=backup,
        delivery=delivery, outgoing=outgoing, access=access, filing=filing,
        retention=retention, rules=rules, **town,
    )  # fmt: skip


def _parsed(path: Path) -> tuple[Document, dict[str, Any]]:
    """The file and what it says.

    Raises SettingsError when it is not there or no TOML.
    """
    if not path.is_file():
        raise SettingsError([
            f"{shown_path(path)} is missing. Copy data/town.example.toml to that place and write your town's name, "
            "time zone and domains into it, or look at the demo town first: python app.py demo"
        ])  # fmt: skip
    try:
        document = Document(path)
        raw = tomllib.loads("\n".join(document.lines))
    except RecursionError as error:
        raise SettingsError(
            [f"{shown_path(path)}: brackets stand in brackets, hundreds deep. Take them out and start again."]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            [f"{shown_path(path)}: this is not readable as TOML: {error}. Mend that line and start again."]
        ) from error
    return document, well_formed(raw, document.wrong)


def _path(document: Document, raw: Mapping[str, Any], key: str) -> str:
    """A path as text, empty where none is named."""
    value = raw.get(key, "")
    if isinstance(value, str):
        return value
    document.wrong("town", key, f'`{key} = {value!r}`: name a file, for example `{key} = "/etc/ssl/fullchain.pem"`.')
    return ""


def _town(document: Document, raw: Any, available: Mapping[str, Domain]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise SettingsError([f"{document.shown}: the section [town] is missing. It holds name, timezone and domains."])
    for key in set(raw) - TOWN_KEYS:
        document.unknown("town", key, TOWN_KEYS)
    name = raw.get("name")
    if not isinstance(name, str) or not name.strip():
        document.wrong("town", "name", 'the town\'s name is missing; write for example `name = "Nadipur"`.')
    zone = raw.get("timezone")
    if zone not in zone_names():
        document.wrong(
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
            document.unknown("town", str(wanted), available, at="domains")
    if not domains:
        document.wrong("town", "domains", f"no domain is switched on; choose from {', '.join(sorted(available))}.")
    pack = choice(document, "town", raw, "pack", PACKS, PACKS[0])
    return {
        "name": name,
        "zone": ZoneInfo(zone).key,
        "languages": tuple(raw.get("languages", ("en",))),
        "domains": domains,
        "pack": pack,
        "demo": bool(raw.get("demo", False)),
        "open_wall": bool(raw.get("open_wall", False)),
        "certificate": _path(document, raw, "certificate"),
        "log": choice(document, "town", raw, "log", FORMS, FORMS[0]),
        **_numbers(document, raw, str(pack)),
    }


def _numbers(document: Document, raw: Mapping[str, Any], pack: str) -> dict[str, float]:
    found = {}
    for key, default in (
        ("beat_s", 2.0), ("future_tolerance_s", 300.0), ("gas_temperature_c", GAS_TEMPERATURE_C[pack]),
    ):  # fmt: skip
        value = raw.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
            document.wrong("town", key, f"`{key} = {value!r}` must be a number above 0.")
            value = default
        found[key] = float(value)
    return found
