"""[DOMAIN.kpis.KPI] and [DOMAIN.alarms.ALARM] of town.toml -> the domain with the town's targets and limits in it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipelines.engine.model import PRIORITIES, AlarmRule, DeclarationError, Domain, Kpi
from pipelines.engine.settings.document import Document, choice, duration, number

KPI_KEYS = {"target", "watch", "min_coverage", "floor", "tolerance", "owner"}
DOMAIN_KEYS = {"kpis", "alarms", "owner"}
ALARM_KEYS = {"above", "below", "deadband", "on_delay", "off_delay", "priority", "enabled"}


def tuned(document: Document, domain: Domain, raw: Any, tuning: dict[str, dict[str, Any]]) -> Domain:
    """The domain with the town's targets, limits and switches in it."""
    for key in set(raw) - DOMAIN_KEYS:
        document.unknown(domain.name, key, DOMAIN_KEYS)
    owner = _owner(document, domain.name, raw) if "owner" in raw else ""
    kpis = _named(document, f"{domain.name}.kpis", raw.get("kpis", {}), {k.id: k for k in domain.kpis})
    alarms = _named(document, f"{domain.name}.alarms", raw.get("alarms", {}), {a.name: a for a in domain.alarms})
    return replace(
        domain,
        kpis=tuple(
            _tuned_kpi(document, domain.name, replace(k, owner=owner or k.owner), kpis.get(k.id, {}), tuning)
            for k in domain.kpis
        ),
        alarms=tuple(
            _tuned_alarm(document, domain.name, a, alarms.get(a.name, {}))
            for a in domain.alarms
            if alarms.get(a.name, {}).get("enabled", True)
        ),
    )


def _named(
    document: Document, section: str, raw: Mapping[str, Any], known: Mapping[str, Any]
) -> Mapping[str, Mapping[str, Any]]:
    for name in raw:
        if name not in known:
            document.unknown(f"{section}.{name}", name, known)
    return raw


def _tuned_kpi(
    document: Document, domain: str, kpi: Kpi, raw: Mapping[str, Any], tuning: dict[str, dict[str, Any]]
) -> Kpi:
    section = f"{domain}.kpis.{kpi.id}"
    changes: dict[str, Any] = {}
    for key, value in raw.items():
        if key == "owner":
            changes[key] = _owner(document, section, raw)
        elif key in KPI_KEYS:
            changes[key] = number(document, section, key, value)
            if key == "min_coverage" and not 0 <= changes[key] <= 1:
                document.wrong(
                    section, key, f"`{key} = {value!r}`: this is a share between 0 and 1, for example `{key} = 0.75`."
                )
            if key == "tolerance" and changes[key] < 0:
                document.wrong(
                    section, key, f"`{key} = {value!r}`: write by how much the value may change untold, 0 or more."
                )
        elif key in kpi.tunables:
            tuning.setdefault(kpi.id, {})[key] = _tunable(document, section, key, value, kpi.tunables[key])
        else:
            document.unknown(section, key, KPI_KEYS | set(kpi.tunables))
    return replace(kpi, **changes)


def _owner(document: Document, section: str, raw: Mapping[str, Any]) -> str:
    """Who answers for the values, as the town names the office or person."""
    owner = raw["owner"]
    if not isinstance(owner, str) or not owner.strip():
        document.wrong(section, "owner", 'name the office that answers, for example `owner = "Water department"`.')
        return ""
    return owner.strip()


def _tunable(document: Document, section: str, key: str, value: Any, default: Any) -> Any:
    if isinstance(default, int | float) and not isinstance(default, bool):
        return number(document, section, key, value)
    if type(value) is not type(default):
        document.wrong(section, key, f"`{key} = {value!r}` must be of the same kind as its default {default!r}.")
    return value


def _tuned_alarm(document: Document, domain: str, rule: AlarmRule, raw: Mapping[str, Any]) -> AlarmRule:
    section = f"{domain}.alarms.{rule.name}"
    changes: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in ALARM_KEYS:
            document.unknown(section, key, ALARM_KEYS)
        elif key in ("above", "below", "deadband"):
            if key != "deadband" and getattr(rule, key) is None:
                other = "below" if key == "above" else "above"
                document.wrong(section, key, f"this alarm rings {other} a limit; tune `{other}`.")
            else:
                changes[key] = number(document, section, key, value)
                if key == "deadband" and changes[key] < 0:
                    document.wrong(
                        section, key, f"`{key} = {value!r}`: write how far the value must come back, 0 or more."
                    )
        elif key in ("on_delay", "off_delay"):
            try:
                changes[key] = duration(value)
            except ValueError as error:
                document.wrong(section, key, f"`{key}`: {error}.")
        elif key == "priority":
            changes[key] = choice(document, section, raw, key, PRIORITIES, None)
    try:
        return replace(rule, **changes)
    except DeclarationError as error:
        key = next(iter(changes))
        document.wrong(section, key, f"`{key} = {raw[key]!r}` does not go with the rest of the alarm: {error}.")
        return rule
