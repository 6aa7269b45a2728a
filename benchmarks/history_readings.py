"""The readings of the history benchmark: pressure points that report every quarter hour, and the town that has them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

WARDS = 20
A_DAY = 96
QUARTER = timedelta(minutes=15)
ZONE = "Asia/Kolkata"
# The first local day; all readings lie in the past of whoever runs this.
BEGIN = datetime(2025, 6, 30, 18, 30, tzinfo=UTC)
QUANTITY = "pressure_m"


def sensor(number: int) -> str:
    """The id of a sensor."""
    return f"P{number:05d}.p"


def ward(number: int) -> str:
    """The ward that a sensor stands in."""
    return f"W{number % WARDS + 1:02d}"


def days(sensors: int, count: int) -> Iterator[pl.DataFrame]:
    """The readings of each local day in turn, by time: series, sensor, ward, observed_at, value (in steps of 0.1 m)."""
    chance = np.random.default_rng(11)
    names = pl.DataFrame(
        {"sensor": [sensor(n) for n in range(sensors)], "ward": [ward(n) for n in range(sensors)]}
    ).with_row_index("series")
    level, curve = chance.integers(150, 450, sensors), 30 * np.sin(np.arange(A_DAY) / A_DAY * 2 * np.pi)
    for day in range(count):
        noise = chance.integers(-6, 7, (A_DAY, sensors)).cumsum(axis=0) * 0.5
        value = np.rint(level + curve[:, None] + noise) / 10
        at = pl.datetime_range(BEGIN, BEGIN + A_DAY * QUARTER, QUARTER, closed="left", time_unit="us", eager=True)
        rows = pl.DataFrame(
            {
                "series": np.tile(np.arange(sensors, dtype=np.int32), A_DAY),
                "observed_at": (at + timedelta(days=day)).gather(np.repeat(np.arange(A_DAY), sensors)),
                "value": value.ravel(),
            }
        )
        yield rows.join(names.cast({"series": pl.Int32}), on="series", maintain_order="left")


def end(count: int) -> datetime:
    """The first instant after the readings."""
    return BEGIN + timedelta(days=count)


def town(folder: Path, sensors: int) -> None:
    """A town of twenty wards that has the sensors."""
    reference = folder / "reference"
    reference.mkdir(parents=True)
    (folder / "town.toml").write_text(
        f'[town]\nname = "Benchmark"\ntimezone = "{ZONE}"\ndomains = ["water"]\n', "utf-8"
    )
    wards = [f"{ward(n)},Ward {n},1000,250\n" for n in range(WARDS)]
    (reference / "wards.csv").write_text("ward,name,population,households\n" + "".join(wards))
    assets = [f"P{n:05d},water,pressure_point,Point {n},{ward(n)},0.5,0.5,\n" for n in range(sensors)]
    (reference / "assets.csv").write_text("asset,domain,kind,name,ward,lat,lon,parent\n" + "".join(assets))
    rows = [f"{sensor(n)},P{n:05d},{QUANTITY},metre_head,15 min,,\n" for n in range(sensors)]
    (reference / "sensors.csv").write_text("sensor,asset,quantity,unit,every,low,high\n" + "".join(rows))
