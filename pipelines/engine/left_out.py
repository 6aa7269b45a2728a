"""What a KPI value leaves out, and why: readings that are suspect or unusable, and rows that were set aside."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import polars as pl

from pipelines.engine.model import Kpi
from pipelines.engine.people.roles import ITSELF
from pipelines.engine.rows_behind import quantity_of
from pipelines.engine.tables import GOOD, QUALITY, SUSPECT

if TYPE_CHECKING:
    from pipelines.engine.town import Town

# Rows set aside are counted for windows up to this long; a longer one names the address that lists them.
LONGEST_COUNTED = timedelta(days=32)
# As many readings are looked through one by one; where more are expected, their export names their quality.
MOST_READINGS = 300_000
UNUSABLE = "measured but without a usable value"


def of_area(sensors: pl.DataFrame, area: str) -> pl.DataFrame:
    """The sensors that belong to an area: the town, a ward, an asset with all that are part of it.

    Shape: sensors has asset, ward, parent.
    """
    level, _, name = area.partition(":")
    if level == "ward":
        return sensors.filter(pl.col("ward") == name)
    if level == "asset":
        return sensors.filter((pl.col("asset") == name) | (pl.col("parent") == name))
    return sensors


def readings_left_out(town: "Town", kpi: Kpi, body: Mapping[str, Any]) -> dict[str, Any]:
    """Readings of the value's sensors and window that count in no KPI, by the reason: counted, by_reason."""
    start, end = body["window_start"], body["window_end"]
    quantities = {q.name for q in town.domain(body["domain"]).quantities}
    wanted = {q for name in kpi.inputs if (q := quantity_of(name, quantities))}
    sensors = of_area(town.sensors(body["domain"]).filter(pl.col("quantity").is_in(wanted)), body["area"])
    if not wanted or start is None or end is None:
        return {"counted": not wanted, "by_reason": []}
    expected = (sensors["every_s"] ** -1).sum() * (end - start).total_seconds()
    if expected > MOST_READINGS:
        return {"counted": False, "by_reason": []}
    rows = town.readings(sensors["sensor"].to_list(), start, end)
    left = rows.filter((pl.col("quality") >= SUSPECT) | pl.col("value").is_null())
    counts = left.join(sensors.select("sensor", "quantity"), on="sensor").group_by("quantity", "quality").len("rows")
    told = [
        {
            "quantity": quantity,
            "quality": quality,
            "words": QUALITY[quality] if quality != GOOD else UNUSABLE,
            "rows": n,
        }
        for quantity, quality, n in counts.sort("quantity", "quality").iter_rows()
    ]
    return {"counted": True, "by_reason": told}


def set_aside(town: "Town", body: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of these feeds that came in this window and could not be taken in."""
    feeds = sorted({feed for source in body["inputs"] for feed in source["feeds"]})
    start, end = body["window_start"], body["window_end"]
    links = [f"../../quarantine?{urlencode({'feed': feed})}" for feed in feeds]
    if start is None or end is None or end - start > LONGEST_COUNTED:
        return {"counted": False, "by_reason": [], "rows": links}
    rows = town.rows("quarantine", start, end, actor=ITSELF).filter(pl.col("feed").is_in(feeds))
    counts = rows.group_by("feed", "reason").agg(rows=pl.len()).sort("feed", "reason")
    return {"counted": True, "by_reason": counts.to_dicts(), "rows": links}
