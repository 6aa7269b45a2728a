"""Who is expected and says nothing: each sensor of the register against its patience, and what explains its silence."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.feeds import spoken
from pipelines.engine.judge import STALE_INTERVALS
from pipelines.engine.model import INSTANT
from pipelines.engine.registers import Registers
from pipelines.engine.settings import Feed
from pipelines.engine.store import Store

REPORTING, SILENT, EXCUSED, UNKNOWN, WAITING = "reporting", "silent", "excused", "unknown", "waiting"
# Causes, the strongest first. What a person declared ends an alarm; the others only keep a new one from ringing.
OUT_OF_SERVICE, DOWN, FEED, DEPENDS = "out_of_service", "down", "feed", "depends"
# Downs that never ended are looked for this far back, and this often.
LONGEST_DOWN, LOOK_AGAIN = timedelta(days=31), timedelta(seconds=30)
CAUSES = pl.Schema({"sensor": pl.String(), "cause": pl.String()})
NO_SENSORS = {"sensors": 0, "sensors_reporting": 0, "sensors_silent": 0, "sensors_excused": 0}
HEARD = pl.Schema({"sensor": pl.String(), "last_at": INSTANT})


def states(expected: pl.DataFrame, newest: pl.DataFrame, causes: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Each sensor's state: reporting, silent, excused (a known cause), unknown (not listened for long enough), waiting.

    Shape: `expected` with state, last_at and cause added; it has sensor, feed, patience_s and quiet_since (since when
    something could have come); newest has HEARD, causes CAUSES.
    """
    joined = expected.join(newest, on="sensor", how="left").join(causes, on="sensor", how="left")
    at, patience = pl.lit(now, INSTANT), pl.duration(milliseconds=(pl.col("patience_s") * 1000).cast(pl.Int64))
    overdue = at - pl.max_horizontal("last_at", "quiet_since") > patience
    state = (
        pl.when(at - pl.col("last_at") <= patience)
        .then(pl.lit(REPORTING))
        .when(pl.col("cause").is_not_null())
        .then(pl.lit(EXCUSED))
        .when(pl.col("last_at").is_null() & pl.col("feed").is_null())
        .then(pl.lit(WAITING))
        .when(overdue)
        .then(pl.lit(SILENT))
        .otherwise(pl.lit(UNKNOWN))
    )
    return joined.with_columns(state=state)


def explained(found: pl.DataFrame, relies: pl.DataFrame) -> pl.DataFrame:
    """The same with the silence of what depends on an asset that is silent as a whole excused by it."""
    mute = found.group_by("asset").agg((pl.col("state") == SILENT).all()).filter("state").select(on="asset")
    blamed = relies.filter("firmly").join(mute, on="on", how="semi")["asset"].unique()
    hit = (pl.col("state") == SILENT) & pl.col("asset").is_in(blamed.implode())
    return found.with_columns(
        state=pl.when(hit).then(pl.lit(EXCUSED)).otherwise("state"),
        cause=pl.when(hit).then(pl.lit(DEPENDS)).otherwise("cause"),
    )


def by_feed(found: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Feed -> sensors it should bring, those that report, those that are silent, those whose silence has a cause."""
    is_so = {name: (pl.col("state") == name).sum() for name in (REPORTING, SILENT, EXCUSED)}
    mute = (pl.col("cause") == FEED) & (pl.col("state") == EXCUSED)
    counted = (
        found.filter(pl.col("feed").is_not_null())
        .group_by("feed")
        .agg(
            sensors=pl.len(),
            sensors_reporting=is_so[REPORTING],
            sensors_silent=is_so[SILENT] + mute.sum(),
            sensors_excused=is_so[EXCUSED] - mute.sum(),
        )
    )
    return {row.pop("feed"): row for row in counted.iter_rows(named=True)}


def by_asset(found: pl.DataFrame, ringing: Collection[str], now: datetime) -> pl.DataFrame:
    """Each asset of which something is silent, and of those that ring already whether they are well again.

    Shape: asset, domain, feed, down, title, words; down is null where nobody can tell.
    """
    struck = found.filter(pl.col("state") == SILENT)["asset"].unique()
    found = found.filter(pl.col("asset").is_in([*struck, *ringing]))
    well = (pl.col("state") == REPORTING) | (pl.col("cause") == OUT_OF_SERVICE).fill_null(value=False)
    mute = pl.col("state") == SILENT
    assets = (
        found.filter(pl.col("state") != WAITING)
        .group_by("asset", maintain_order=True)
        .agg(
            pl.col("domain", "feed").first(),
            down=pl.when(mute.any()).then(True).when(well.all()).then(False),
            of=pl.len(),
            silent=pl.col("sensor").filter(mute),
            last_at=pl.col("last_at").filter(mute).min(),
            every_s=pl.col("every_s").filter(mute).min(),
        )
    )
    told = [(_title(row), _words(row, now)) if row["down"] else ("", "") for row in assets.iter_rows(named=True)]
    named = pl.DataFrame(told, schema={"title": pl.String, "words": pl.String}, orient="row")
    return pl.concat([assets.select("asset", "domain", "feed", "down"), named], how="horizontal")


def _title(row: Mapping[str, Any]) -> str:
    silent = row["silent"]
    if row["of"] == 1 or len(silent) == 1:
        return f"No readings from {silent[0]}"
    return f"No readings from {len(silent)} of {row['of']} sensors"


def _words(row: Mapping[str, Any], now: datetime) -> str:
    every = spoken(timedelta(seconds=row["every_s"]))
    age = f"nothing for {spoken(now - row['last_at'])}" if row["last_at"] else "nothing lately"
    return (
        f"{', '.join(row['silent'][:5])}: {age}; a reading should come every {every}, and the feed does come. "
        "Look at the device, its battery and its link. Meant to be silent? Write it into out_of_service.csv."
    )


class Silence:
    """Remembers who brings which sensor, and since when something could have come from each."""

    def __init__(
        self, registers: Registers, feeds: Mapping[str, Feed], carriers: Mapping[str, str], now: datetime
    ) -> None:
        self._registers, self._feeds = registers, feeds
        declared = dict(registers.sensors.select("sensor", "feed").drop_nulls().iter_rows())
        self._declared = declared
        self.carriers = {s: f for s, f in carriers.items() if f in feeds} | declared
        self.learned = False
        self._names = registers.sensors["sensor"]
        # Which sensors, by their place in the register, are known to come by a feed.
        self._brought: dict[str, NDArray[np.bool_]] = {}
        self._expected = self._with_feeds().with_columns(quiet_since=pl.lit(now, INSTANT))
        self._down: frozenset[str] = frozenset()
        self._looked_at: datetime | None = None
        self.counts: dict[str, dict[str, int]] = {}
        self.found = self._expected.clear()

    def heard(self, feed: str, places: NDArray[np.int32]) -> None:
        """Note by which feed the sensors at these places of the register come."""
        brought = self._brought.setdefault(feed, np.zeros(len(self._names), np.bool_))
        unheard = np.unique(places[~brought[places]])
        if not unheard.size:
            return
        for others in self._brought.values():
            others[unheard] = False
        brought[unheard] = True
        names = self._names.gather(unheard)
        fresh = {s: feed for s in names if self.carriers.get(s) != feed and s not in self._declared}
        if fresh:
            self.carriers |= fresh
            self.learned = True

    def look(
        self,
        newest: pl.DataFrame,
        feeds: Mapping[str, Mapping[str, Any]],
        down: Callable[[], Iterable[str]],
        ringing: Collection[str],
        now: datetime,
    ) -> pl.DataFrame:
        """What is to be said of each asset now (shape: by_asset); counts per feed are in `counts`.

        Shape: newest has HEARD; feeds as on the snapshot; `down` gives the assets that are without service; `ringing`
        are those whose alarm is on the list.
        """
        learned, self.learned = self.learned, False
        if learned:
            self._expected = self._with_feeds().join(self._expected.select("sensor", "quiet_since"), on="sensor")
        if self._looked_at is None or now - self._looked_at >= LOOK_AGAIN:
            self._down, self._looked_at = frozenset(down()), now
        found = states(self._expected, newest, self._causes(feeds, now), now)
        self.found = explained(found, self._registers.relies)
        excused = self.found["state"] == EXCUSED
        self._expected = self._expected.with_columns(
            quiet_since=pl.when(excused).then(pl.lit(now, INSTANT)).otherwise("quiet_since")
        )
        self.counts = by_feed(self.found)
        return by_asset(self.found, ringing, now)

    def counted(self, feed: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """A feed's row of the snapshot with the counts of its sensors, and the silent ones in its words."""
        counts = self.counts.get(feed, NO_SENSORS)
        words, silent, excused = row["words"], counts["sensors_silent"], counts["sensors_excused"]
        if silent:
            words = f"{words} {silent} of {counts['sensors']} sensors say nothing."
        if excused:
            words = f"{words} {excused} are expected to be silent (out of service, power cut, gateway)."
        return {**row, **counts, "words": words}

    def _with_feeds(self) -> pl.DataFrame:
        """The register with the feed of each sensor: declared, learned, or that of most of its quantity."""
        measured = self._registers.sensors.filter(pl.col("register").is_null())
        sensors = measured.select("sensor", "asset", "domain", "quantity", "every_s", "silent_after_s")
        named = sensors.with_columns(
            feed=pl.col("sensor").replace_strict(self.carriers, default=None, return_dtype=pl.String)
        )
        usual = named.drop_nulls("feed").group_by("quantity").agg(_usual=pl.col("feed").mode().sort().first())
        every = {name: f.every.total_seconds() if f.declared else 0.0 for name, f in self._feeds.items()}
        pace = pl.col("feed").replace_strict(every, default=0.0, return_dtype=pl.Float64)
        patience = STALE_INTERVALS * pl.max_horizontal("every_s", pace) + pace
        return (
            named.join(usual, on="quantity", how="left", maintain_order="left")
            .with_columns(feed=pl.coalesce("feed", "_usual"))
            .with_columns(patience_s=pl.coalesce("silent_after_s", patience))
            .drop("_usual", "silent_after_s")
        )

    def _causes(self, feeds: Mapping[str, Mapping[str, Any]], now: datetime) -> pl.DataFrame:
        """What explains the silence of whom, the strongest cause of each."""
        absent = self._registers.references["out_of_service"].filter(
            (pl.col("from") <= now) & (pl.col("to").is_null() | (pl.col("to") > now))
        )
        things = absent["thing"]
        mute = [name for name, feed in feeds.items() if feed["declared"] and feed["state"] in ("silent", "failing")]
        parts = [
            self._sensors_of(things).with_columns(cause=pl.lit(OUT_OF_SERVICE)),
            self._sensors_of(pl.Series(list(self._down), dtype=pl.String)).with_columns(cause=pl.lit(DOWN)),
            self._expected.filter(pl.col("feed").is_in(mute)).select("sensor", cause=pl.lit(FEED)),
        ]
        return pl.concat([part.cast(CAUSES) for part in parts]).unique("sensor", keep="first", maintain_order=True)

    def _sensors_of(self, things: pl.Series) -> pl.DataFrame:
        """The sensors among some sensors and assets, with those of whatever belongs to or depends on the assets."""
        relies, sensors = self._registers.relies, self._expected
        below = relies.filter(pl.col("on").is_in(things.implode()))["asset"]
        assets = pl.concat([things.rename("asset"), below])
        hit = pl.col("asset").is_in(assets.implode()) | pl.col("sensor").is_in(things.implode())
        return sensors.filter(hit).select("sensor")


def down_now(store: Store, now: datetime) -> Iterable[str]:
    """The assets that some table of outages calls without service at this moment."""
    for table in store.tables.values():
        if table.downs:
            asset, start, end = table.downs
            where = f'"{asset}" IS NOT NULL AND "{start}" <= $now AND ("{end}" IS NULL OR "{end}" > $now)'
            rows = store.rows(table.name, now - LONGEST_DOWN, None, where, {"now": now}, columns=[asset])
            yield from rows[asset].unique()
