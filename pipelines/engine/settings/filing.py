"""[filing] of town.toml: whether residents may file requests here, how often, and how long what is personal is kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pipelines.engine.decode import fills
from pipelines.engine.model import Domain
from pipelines.engine.settings.document import Document, duration
from pipelines.engine.settings.feeds import Feed

FILING_KEYS = {"open", "keep", "per_hour", "jurisdiction", "contact"}
FEED = "filing"
# A law may ask for less than this; a reopened case still needs to know whom to call.
SHORTEST = timedelta(days=1)
# Nobody tells us that nothing was filed: where requests come by no other feed, we say so ourselves this often.
SOLE_EVERY, BESIDE_EVERY = timedelta(minutes=15), timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class FilingPlan:
    """What a town decided: `open` to residents, personal data kept for `keep` after closing, posts by an address."""

    open: bool = True
    keep: timedelta = timedelta(days=366)
    per_hour: int = 30
    jurisdiction: str = ""
    contact: str = ""


def read_filing(document: Document, raw: Mapping[str, Any]) -> FilingPlan:
    """The plan of [filing]."""
    for key in set(raw) - FILING_KEYS:
        document.unknown("filing", key, FILING_KEYS)
    usual = FilingPlan()
    return FilingPlan(
        open=_open(document, raw.get("open", usual.open)),
        keep=_keep(document, raw["keep"]) if "keep" in raw else usual.keep,
        per_hour=_per_hour(document, raw.get("per_hour", usual.per_hour)),
        jurisdiction=_text(document, raw, "jurisdiction", "nadipur.example"),
        contact=_text(document, raw, "contact", "Town office, Fort Road; help@nadipur.example"),
    )


def filing_feed(domains: Iterable[Domain], feeds: Mapping[str, Feed], zone: str) -> Feed | None:
    """The feed of what is filed with the town itself; None where no domain takes requests."""
    for domain in domains:
        for table in (table for table in domain.tables if table.filing is not None):
            others = [f for f in feeds.values() if f.declared and table.name in fills(f.format, f.table)]
            return Feed(
                name=FEED, title="Filed here", origin="filing", format="json", table=table.name,
                every=BESIDE_EVERY if others else SOLE_EVERY, zone=zone, domains=(domain.name,),
                mapping={"records": "rows"}, declared=False,
            )  # fmt: skip
    return None


def _open(document: Document, value: Any) -> bool:
    if not isinstance(value, bool):
        document.wrong("filing", "open", f"`open = {value!r}` must be true or false, without quotes.")
        return False
    return value


def _keep(document: Document, value: Any) -> timedelta:
    try:
        span = duration(value)
    except ValueError as error:
        document.wrong("filing", "keep", f"`keep`: {error}.")
        return SHORTEST
    if span < SHORTEST:
        document.wrong("filing", "keep", f'`keep = "{value}"`: keep at least 1 d.')
    return span


def _per_hour(document: Document, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        document.wrong("filing", "per_hour", f"`per_hour = {value!r}` must be a whole number above 0.")
        return 1
    return value


def _text(document: Document, raw: Mapping[str, Any], key: str, example: str) -> str:
    value = raw.get(key, "")
    if not isinstance(value, str):
        document.wrong("filing", key, f'`{key} = {value!r}`: write text, for example `{key} = "{example}"`.')
        return ""
    return value.strip()
