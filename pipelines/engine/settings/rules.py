"""Named rules: where sources disagree or countries differ, the values for a KPI that a town or its pack chooses."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.engine.model import DeclarationError, Domain, every
from pipelines.engine.settings.document import Document

# The first is the one of a town that names none: the catalogue's own choices.
PACKS = ("india", "metric", "us")
# Gases are reported at 20 C in the EU, at 25 C in India and the US.
GAS_TEMPERATURE_C = {"india": 25.0, "metric": 20.0, "us": 25.0}
# Where books are kept by the calendar year.
CALENDAR_YEARS = ("metric", "us")
RULE = "rule"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One source's way to judge a KPI: values for its target, limits and tunables; the packs that choose it."""

    kpi: str
    name: str
    values: Mapping[str, Any]
    packs: tuple[str, ...]
    source: str
    dated: str


@cache
def rules_in(path: Path) -> Mapping[str, Mapping[str, Rule]]:
    """The rules of a file by KPI and name.

    Shape: kpi, rule, key, value, packs (spaces between), source, dated; one row per value.
    """
    found: dict[str, dict[str, Rule]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            packs = tuple(row["packs"].split())
            if not set(packs) <= set(PACKS):
                raise DeclarationError(f"{path.name}: {row['rule']} names a pack that is none of {', '.join(PACKS)}")
            known = found.setdefault(row["kpi"], {}).get(row["rule"])
            values = {**(known.values if known else {}), row["key"]: _value(row["value"])}
            found[row["kpi"]][row["rule"]] = Rule(
                kpi=row["kpi"], name=row["rule"], values=values, packs=packs, source=row["source"], dated=row["dated"]
            )
    return found


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


def rules_of(domain: Domain) -> Mapping[str, Mapping[str, Rule]]:
    """The rules of a domain by KPI and name; none where it declares no file."""
    return rules_in(domain.rules) if domain.rules is not None else {}


def ruled(document: Document, domain: Domain, raw: Any, pack: str, chosen: dict[str, Rule]) -> dict[str, Any]:
    """The domain's section with the values of its rules under those that the town writes itself.

    `chosen` receives the rule in force of each KPI that has one: the town's, else its pack's.
    """
    known, own = rules_of(domain), dict(raw.get("kpis", {}))
    for kpi in {*known, *(name for name, part in own.items() if RULE in part)}:
        part = dict(own.get(kpi, {}))
        wanted, named = part.pop(RULE, None), known.get(kpi, {})
        rule = named.get(wanted) if wanted is not None else next((r for r in named.values() if pack in r.packs), None)
        if wanted is not None and rule is None:
            allowed = ", ".join(f'"{name}"' for name in named) or "none: this KPI has no named rules"
            document.wrong(
                f"{domain.name}.kpis.{kpi}", RULE, f"`rule = {wanted!r}` is unknown. Known for {kpi} are: {allowed}."
            )
        if rule is not None:
            chosen[kpi] = rule
            part = {**rule.values, **part}
        if part or kpi in own:
            own[kpi] = part
    return {**raw, "kpis": own}


def by_pack(domain: Domain, pack: str) -> Domain:
    """The domain with fiscal years where its country's books have them, else calendar years."""
    if pack not in CALENDAR_YEARS:
        return domain
    kpis = (replace(k, window=every("year")) if k.window.step == "fiscal_year" else k for k in domain.kpis)
    return replace(domain, kpis=tuple(kpis))
