"""What happened to alarms, in words: one line for each transition of the log."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from components import glass, wording
from components.address import ward_names
from components.tongue import N_, _, said
from pipelines.engine.alarms.record import PROCESS

HAPPENED = {
    "rise": N_("rang"),
    "return": N_("back to normal"),
    "acknowledge": N_("acknowledged"),
    "realarm": N_("called again"),
    "shelve": N_("shelved"),
    "unshelve": N_("taken from the shelf"),
    "suppress": N_("suppressed"),
    "release": N_("released"),
    "out-of-service": N_("taken out of service"),
    "return-to-service": N_("returned to service"),
    "assign": N_("assigned"),
}


def spoken(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Each transition with its words, in the order given."""
    names, zone = Names(), glass.town().zone
    return [_one(row, names, zone) for row in rows.iter_rows(named=True)]


def _one(row: Mapping[str, Any], names: "Names", zone: str) -> dict[str, Any]:
    title, place = names.of(row["alarm"], row["rule"])
    return {
        **row,
        "words": _(HAPPENED.get(row["event"], row["event"])),
        "by": "" if row["who"] == PROCESS else _(" by {who}", who=row["who"]),
        "title": title,
        "place": place,
        "clock": wording.clock(row["noted_at"], zone),
        "until_clock": wording.clock(row["until"], zone) if row["until"] else "",
    }


class Names:
    """Title and place of alarms, also of those that have left the list: by their rule and what they watch."""

    def __init__(self) -> None:
        town = glass.town()
        self._known = {row["id"]: row for row in glass.state()["alarms"]}
        self._rules = {rule.name: said(rule.title) for domain in town.domains for rule in domain.alarms}
        self._wards = ward_names()
        self._assets: dict[str, str] | None = None

    def of(self, alarm: str, rule: str | None) -> tuple[str, str]:
        """Title and place."""
        known = self._known.get(alarm)
        if known is not None:
            return said(known["title"]), known.get("asset_name") or ""
        name, _, thing = alarm.partition("|")
        title = self._rules.get(rule or name, (rule or name).replace("_", " ").capitalize())
        if thing.startswith(("town", "ward:")):
            return title, wording.area(thing, self._wards)
        return title, self._asset(thing.removeprefix("asset:"))

    def _asset(self, thing: str) -> str:
        """The name of an asset, or of the asset of a sensor."""
        if self._assets is None:
            town = glass.town()
            assets = town.assets().select("asset", "name")
            sensors = town.sensors().select("sensor", "asset").join(assets, on="asset", how="inner")
            self._assets = dict(assets.iter_rows()) | dict(sensors.select("sensor", "name").iter_rows())
        return self._assets.get(thing) or thing
