"""The feed that a push by HTTP comes by, where the sender chooses format and table."""

from dataclasses import replace
from typing import Any

from pipelines.engine.settings import Feed


def pushed(feed: Feed, form: str, table: str) -> Feed:
    """The feed as a push of this format into this table: its own mapping, or columns named as in the dictionary."""
    if feed.origin == "http_push" and feed.mapping and feed.format == form:
        return feed
    mapping: dict[str, Any] = {}
    if form == "json":
        mapping["records"] = "readings" if table == "readings" else "rows"
    return replace(feed, format=form, table=table, mapping=mapping, zone="" if feed.zone_assumed else feed.zone)
