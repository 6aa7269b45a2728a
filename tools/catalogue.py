"""Writes docs/catalogue.md and docs/settings.md from the declarations; `--check` says whether they are current."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pipelines
from pipelines.engine import settings
from pipelines.engine.composites import COMPOSITES
from pipelines.engine.decode import formats
from pipelines.engine.delivery.channels import KINDS
from pipelines.engine.delivery.notice import LABELS
from pipelines.engine.feeds import spoken
from pipelines.engine.model import PRIORITIES, RETENTION, AlarmRule, Domain, Kpi
from pipelines.engine.people.roles import LIMITED, MATRIX, ROLES
from pipelines.engine.picture import Picture
from pipelines.engine.registers import ENGINE_REFERENCES, OF_PEOPLE
from pipelines.engine.settings.delivery import ROUTE_KEYS
from pipelines.engine.tables import ENGINE_TABLES

ROOT = Path(__file__).resolve().parents[1]
HEAD = "<!-- Written by tools/catalogue.py from the declarations; do not edit. -->\n\n"


def catalogue() -> str:
    """Every domain with its KPIs, alarms, tables, quantities and registers."""
    parts = [HEAD + "# Catalogue\n\nWhat each domain computes, watches and stores.\n"]
    parts += [_domain(domain) for domain in pipelines.available().values()]
    parts.append(
        "## KPIs over KPIs\n\nMade of published values when asked for; never stored, so that a correction corrects "
        "them too.\n"
    )
    rows = [(one.title, f"`{one.id}`", one.catalogue, one.unit, f"{one.target:g}", one.standard) for one in COMPOSITES]
    parts.append(_rows(("KPI", "id", "catalogue", "unit", "target", "standard"), rows))
    parts += [f"**{one.title}** (`{one.id}`). {one.plain} {one.formula}\n" for one in COMPOSITES]
    parts.append("## The engine's own tables\n")
    own = (*ENGINE_REFERENCES, *OF_PEOPLE, *ENGINE_TABLES)
    parts += [_table(thing.name, thing.meaning, thing.columns) for thing in own]
    return "\n".join(parts)


def _domain(domain: Domain) -> str:
    parts = [f"## {domain.title}\n\n{domain.meaning}\n"]
    parts.append(
        _rows(("KPI", "id", "catalogue", "unit", "window", "target", "standard"), [_kpi(kpi) for kpi in domain.kpis])
    )
    parts += [f"**{kpi.title}** (`{kpi.id}`). {kpi.plain} {kpi.formula}{_tunables(kpi)}\n" for kpi in domain.kpis]
    if domain.pictures:
        heads = ("picture", "id", "form", "what it shows", "source")
        parts.append(_rows(heads, [_picture(picture) for picture in domain.pictures]))
    if domain.alarms:
        parts.append(
            _rows(("alarm", "watches", "limit", "priority", "what to do"), [_alarm(rule) for rule in domain.alarms])
        )
    if domain.quantities:
        rows = [(f"`{q.name}`", q.unit, _span(q.low, q.high), q.meaning) for q in domain.quantities]
        parts.append(_rows(("quantity", "unit", "possible", "meaning"), rows))
    parts += [_table(thing.name, thing.meaning, thing.columns) for thing in (*domain.tables, *domain.references)]
    return "\n".join(parts)


def _kpi(kpi: Kpi) -> tuple[str, ...]:
    window = (
        kpi.window.step.replace("_", " ")
        if kpi.window.kind == "calendar"
        else f"{kpi.window.hours} h, each {kpi.window.step}"
    )
    side = {"higher": "at least ", "lower": "at most ", "context": ""}[kpi.better]
    target = f"{side}{kpi.target:g}" if kpi.target is not None else "none"
    return (kpi.title, f"`{kpi.id}`", kpi.catalogue, kpi.unit, window, target, kpi.standard)


def _tunables(kpi: Kpi) -> str:
    found = ", ".join(f"`{name} = {value!r}`" for name, value in kpi.tunables.items())
    return f" A town may tune {found}." if found else ""


def _picture(picture: Picture) -> tuple[str, ...]:
    form = type(picture.form).__name__.lower()
    seen = f"{picture.plain} For people of the offices only." if picture.guarded else picture.plain
    return (picture.title, f"`{picture.id}`", form, seen, picture.source)


def _alarm(rule: AlarmRule) -> tuple[str, ...]:
    watched = f"`{rule.watches}`" + (f", `{rule.column}`" if rule.column else "")
    return (f"{rule.title} (`{rule.name}`)", watched, _limit(rule), rule.priority, rule.instruction)


def _limit(rule: AlarmRule) -> str:
    if rule.equals:
        return f"is {' or '.join(str(value) for value in rule.equals)}"
    sides = [f"{word} {limit:g}" for word, limit in (("below", rule.below), ("above", rule.above)) if limit is not None]
    what = {"value": "", "rate_per_hour": "change per hour ", "deviation": "outside what is usual by "}[rule.of]
    return what + " or ".join(sides)


def _table(name: str, meaning: str, columns: tuple) -> str:
    rows = [(f"`{c.name}`", c.kind, c.unit or "", c.meaning + (" Personal." if c.personal else "")) for c in columns]
    return f"### {name}\n\n{meaning}\n\n" + _rows(("column", "kind", "unit", "meaning"), rows)


def _span(low: float | None, high: float | None) -> str:
    return (
        f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}"
        if (low, high) != (None, None)
        else ""
    )


def _rows(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """What town.toml may hold."""
    head = (
        f"{HEAD}# Settings: town.toml\n\nA key that is not listed is refused at the start with the nearest that is. "
        'Durations are written like "30 s", "15 min", "1 h", "1 d".\n'
    )
    return "\n".join(
        [head, *_of_feeds(), *_of_domains(), *_of_delivery(), *_of_access(), *_of_filing(), *_of_keeping()]
    )


def _of_feeds() -> Iterator[str]:
    yield "## [town]\n\n" + _rows(("key", "meaning"), sorted(TOWN.items()))
    yield "## [feeds.NAME]\n\n" + _rows(("key", "meaning"), sorted(FEED.items()))
    yield "## [brokers.NAME]\n\n" + _rows(("key", "meaning"), sorted(BROKER.items()))
    yield f"Origins (`from`): {', '.join(settings.ORIGINS)}. Formats: {', '.join(formats())}.\n"
    yield "Ready-made feeds (`use`):\n"
    rows = [
        (f"`{d.name}.{s.name}`", s.format, spoken(s.every), s.meaning)
        for d in pipelines.available().values()
        for s in d.sources
    ]
    yield _rows(("use", "format", "every", "meaning"), rows)


def _of_domains() -> Iterator[str]:
    yield "## [DOMAIN]\n\n`owner`: the office that answers for its KPIs, as people know it.\n"
    yield (
        "## [DOMAIN.kpis.KPI]\n\n`target`, `watch`, `min_coverage`, `floor`, `tolerance` (by how much a published "
        "value may change before people are told), `owner`, and the KPI's own tunables (docs/catalogue.md).\n"
    )
    yield (
        "`rule` chooses a named rule where sources disagree or countries differ; what you write beside it goes before "
        "it. A table of limits of your own in `reference/` (docs/catalogue.md) replaces the shipped one.\n"
    )
    yield _rows(("KPI", "rule", "values", "packs", "source", "dated"), list(_rules()))
    yield (
        "## [DOMAIN.alarms.ALARM]\n\n`above` or `below`, `deadband`, `on_delay`, `off_delay`, `enabled`, "
        f"and `priority` ({', '.join(PRIORITIES)}).\n"
    )


def _of_delivery() -> Iterator[str]:
    yield (
        "## [delivery]\n\nWho is told of alarms. Below it stand [delivery.channels.NAME] (`kind` "
        f"{', '.join(KINDS)}; `url`, `url_file` or `folder`; of a spool `program`, of a gateway `body` and `accepts`), "
        "[delivery.receivers.NAME] (`roles` of rota.csv, `to` "
        'such as "sms:+911234567890"), [delivery.route] with [[delivery.route.routes]] below it (the words of '
        f"Alertmanager: {', '.join(f'`{key}`' for key in ROUTE_KEYS)}; labels {', '.join(LABELS)}), "
        "[delivery.ladders.NAME] (`matchers`, `steps`), [delivery.unattended] (`after`, `receiver`, `matchers`), "
        "[[delivery.quiet]] (`from`, `to`, `priorities`), "
        "[delivery.alive] (`receiver`, `every`) and [delivery.cap] (`sender`, `priorities`, `categories`).\n"
    )
    yield _rows(("key", "meaning"), sorted(DELIVERY.items()))


def _of_access() -> Iterator[str]:
    yield "## [access]\n\nHow people come in: [access](access.md).\n\n" + _rows(
        ("key", "meaning"), sorted(ACCESS.items())
    )
    yield "## [access.openid]\n\n" + _rows(("key", "meaning"), sorted(OPENID.items()))


def may() -> str:
    """What each role may do, as docs/access.md shows it."""
    heads = ("what", "visitor", *ROLES, "limited to wards")
    rows = []
    for one in MATRIX:
        open_to_all = one.right is None
        marks = ("yes" if open_to_all or one.right in rights else "" for rights in ROLES.values())
        limited = "as everybody" if open_to_all else "in its wards" if one.by_ward else LIMITED.get(one.words, "no")
        rows.append((one.words, "yes" if open_to_all else "", *marks, limited))
    return _rows(heads, rows)


def _of_keeping() -> Iterator[str]:
    yield "## [backup]\n\n" + _rows(("key", "meaning"), sorted(BACKUP.items()))
    yield (
        "## [exports.NAME]\n\nA table that is written into a folder each period, with its manifest beside it "
        "(docs/exports.md). NAME becomes part of the files' names.\n"
    )
    yield _rows(("key", "meaning"), sorted(EXPORT.items()))
    yield "## [reports.NAME]\n\nA report that is written each period as PDF, with its figures as CSV beside it.\n"
    yield _rows(("key", "meaning"), sorted(REPORT.items()))
    yield (
        "## [retention]\n\nHow long rows are kept, by class or for one table (docs/catalogue.md); "
        f'"{settings.FOR_EVER}" is allowed. Published values and the register of series always stay.\n'
    )
    rows = [(name, meaning, _kept(RETENTION[name])) for name, meaning in CLASSES.items()]
    yield _rows(("class", "rows", "kept unless told otherwise"), rows)


def _of_filing() -> Iterator[str]:
    yield (
        "## [filing]\n\nRequests that people file with the town itself (docs/open311.md): where a domain takes them "
        "and its list of services (`reference/services.csv`) is not empty.\n"
    )
    yield _rows(("key", "meaning"), sorted(FILING.items()))


def _rules() -> Iterator[tuple[str, ...]]:
    for domain in pipelines.available().values():
        for own in settings.rules_of(domain).values():
            for rule in own.values():
                values = ", ".join(f"`{key} = {_written(value)}`" for key, value in rule.values.items())
                yield f"`{rule.kpi}`", f"`{rule.name}`", values, " ".join(rule.packs), rule.source, rule.dated


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else f'"{value}"'


def _kept(span: timedelta | None) -> str:
    return spoken(span) if span else settings.FOR_EVER


DELIVERY = {
    "link": 'Address of the board that messages name, like "https://board.town.example".',
    "channels": "The ways out: mail and chat by apprise, webhooks, text messages by a spool folder or a gateway.",
    "receivers": "Who is told: roles of the rota, addresses that are always the same.",
    "route": "Which alarms go to which receiver, how they are put together, and how often they are said again.",
    "ladders": "Who is told next when nobody acknowledges in time.",
    "unattended": "Who is told of all that waits when nobody has acted for so long (unattended mode).",
    "quiet": "Hours in which alarms of little weight wait.",
    "alive": "Who waits for a sign of life, and raises the alarm when it stops (a dead man's switch).",
    "alertmanager": "Address of a Prometheus Alertmanager that is handed all alarms.",
    "cap": "What the public is warned of as CAP 1.2, below /cap/feed.xml.",
}
EXPORT = {
    "table": "A table of the data dictionary, `readings`, `kpis`, or a register.",
    "period": "day (unless told otherwise), week or month of the town's calendar: the last one that is over.",
    "format": "csv (unless told otherwise), parquet, xlsx, json or ndjson.",
    "ward": "Only rows of this ward.",
    "to": "Folder that it is written into; it must be there.",
    "keep": "How many periods stay there (days 31, weeks 26, months 24).",
    "tell": "Receiver of [delivery.receivers] who gets it by mail: attached up to 10 MB, else by name.",
}
REPORT = {
    "kind": "council (each month; unless told otherwise) or operations (each day).",
    "languages": "Languages of the report; all of [town] unless told otherwise.",
    "wards": "true: one for each ward besides that of the town.",
    "to": "Folder that it is written into; it must be there.",
    "keep": "How many periods stay there (days 31, months 24).",
    "tell": "Receiver of [delivery.receivers] who gets it by mail.",
}
ACCESS = {
    "second_factor_from": f"Least role that needs a second factor: {', '.join(ROLES)}. Without it nobody needs one.",
    "requests_per_minute": "How much one address may ask in a minute before it has to wait (1200).",
    "connections_per_address": "How many connections one address may hold at a time (512): seven for each browser. "
    "This computer, and proxies that the web process was told to believe, as many as they like.",
    "openid": "The town's own sign-in, where it has one: the section [access.openid].",
}
OPENID = {
    "issuer": "Its https address, as it calls itself (issuer).",
    "client_id": "What this board is called there.",
    "client_secret_file": "File beside town.toml that holds its secret; left out where there is none.",
    "title": "What people know it by; stands on the button.",
    "address": "The https address at which people open this board. There, ADDRESS/signin/openid/back is the way back.",
    "scopes": 'What is asked for (["openid", "profile"]); add what the groups need.',
    "name_claim": "What it calls people by (preferred_username); what stands behind an @ is left out.",
    "role_claim": "Where it tells their groups (groups).",
    "roles": "Below it [access.openid.roles]: group = role. Of several groups the one that may most counts.",
}
FILING = {
    "open": "false takes requests from the office and from Open311 clients with a token only (true).",
    "keep": 'How long after its closing what is personal of a request is kept ("1 year").',
    "per_hour": "How many forms one address may send in an hour (30).",
    "jurisdiction": "The jurisdiction_id of Open311; another one is then not found.",
    "contact": "Whom Open311's discovery and the form name for questions.",
}
BACKUP = {
    "to": "Folder on another disk that copies are written to; it must be there.",
    "every": 'How old the newest copy there may become ("1 day").',
    "keep": "How many of the newest copies stay there (7).",
    "weekly": "Beyond these, of how many weeks the last copy stays (4).",
    "monthly": "Beyond these, of how many months the last copy stays (12).",
    "second": 'A second place for the newest copy, read there again: a folder, "sftp://user@host/path", '
    '"ssh+rsync://user@host/path" or "rsync://host/module/path".',
    "key_file": "The SSH key for the second place, or the password file of an rsync server.",
}
CLASSES = {
    "readings": "Measured values, one by one.",
    "rollups": "Sums, extremes and counts by sensor or ward and local hour, day, month; how often values were read.",
    "events": "Rows of the domains' own tables.",
    "arrivals": "What came when, and what became of it.",
    "devices": "What devices and gateways said about themselves.",
    "corrections": "What rows said before they were corrected.",
    "board": "What the board said of each KPI and area, and when.",
    "quarantine": "Rows that were set aside, with their bytes.",
}
TOWN = {
    "name": "The town's name.",
    "timezone": 'Its time zone, like "Asia/Kolkata".',
    "languages": 'Languages of the pages, the first is the usual one, like ["en", "hi", "ur"]: those of locales/.',
    "domains": "The services that are switched on.",
    "certificate": "The certificate file of the proxy before Townboard; the doctor says when it ends.",
    "log": '"plain" logs in words, "json" a line of JSON each ("plain").',
    "open_wall": "true lets everybody look at /wall; else it takes a token or an account (false).",
    "demo": "true marks the pages as a demonstration.",
    "pack": "Country whose limits, years and gas temperature hold where you name none: india (unless told otherwise), "
    "metric or us.",
    "beat_s": "Seconds between two boards (2).",
    "gas_temperature_c": "Temperature at which ppb of a gas become a mass per volume (25; in the pack metric 20).",
    "future_tolerance_s": "How far a device's clock may run ahead before its rows are set aside (300).",
}
FEED = {
    "use": "A ready-made feed of a domain: gives format, mapping and pace.",
    "from": "Where payloads come from.",
    "url": "Address of a polled feed; {since} in it becomes the moment 90 days ago.",
    "every": "How often a payload should come.",
    "format": "How a payload is written.",
    "table": "Table that the rows are for (readings, or an event table).",
    "zone": "Time zone of times without one.",
    "mapping": "How columns are named in the payload: docs/mappings.md.",
    "headers": "HTTP headers to send when polling.",
    "timeout_s": "Seconds to wait for an answer (20).",
    "max_mb": "Largest payload that is read (64).",
    "title": "Name that people see.",
    "files": "Files of a replay, as a pattern below the town's folder.",
    "speed": "How much faster than recorded a replay runs (1).",
    "enabled": "false switches the feed off.",
    "broker": "The broker that an MQTT feed comes from; may be left out where there is one only.",
    "topic": 'Its topic, or a list of them; {name} is one level, {name...} the rest: "town/water/{asset}/{what}".',
}
BROKER = {
    "url": "Address of an MQTT broker: mqtts://host:8883, or mqtt://host:1883 without TLS.",
    "user": "Name to log in with.",
    "password": "Its password; better in a file or in the environment.",
    "password_file": "File that holds the password, below the town's folder or a whole path.",
    "password_env": "Environment variable that holds the password.",
    "ca_file": "Certificate of the authority that signed the broker's, where the computer does not know it.",
    "cert_file": "The town's own certificate, where the broker wants to see one (mutual TLS).",
    "key_file": "The key of that certificate; only the user that runs Townboard needs to read it.",
    "version": 'MQTT version: 5 (unless told otherwise) or "3.1.1".',
    "client_id": "Name of our session at the broker (townboard-TOWN-BROKER).",
    "keep": 'How long an MQTT 5 broker keeps what comes while we are away ("7 d").',
}
PAGES = {"catalogue.md": catalogue, "settings.md": reference}


def main() -> int:
    """Write the pages, or with --check compare them."""
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / "docs" / name, make()
        if "--check" in sys.argv:
            if not path.is_file() or path.read_text("utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, "utf-8")
    if stale:
        print(f"docs/{', docs/'.join(stale)} differ from the declarations. Run: python -m tools.catalogue")
    return len(stale)


if __name__ == "__main__":
    sys.exit(main())
