"""Which requests repeat an earlier one nearby: found by place and time in one join, never pair by pair."""

import polars as pl

from pipelines.grievances.formulas import haversine_m, hours_between, repeats

# a cell of latitude is a little more than 100 m high and a slot is 72 h long, so a repeat lies in its
# original's cell and slot, or in the next ones
CELL_DEGREES = 0.001
SLOT_H = 72


def repeated(requests: pl.DataFrame) -> pl.Series:
    """Numbers of the requests that repeat an earlier one; `requests` as from `named`."""
    placed = _placed(requests)
    earlier = placed.select(pl.all().name.prefix("earlier_"))
    pairs = placed.join(_neighbours(earlier), on=["service", "cell", "slot"])
    id_, asked = pl.col("service_request_id"), pl.col("requested_datetime")
    first = (pl.col("earlier_asked") < asked) | ((pl.col("earlier_asked") == asked) & (pl.col("earlier_id") < id_))
    still_open = (pl.col("earlier_until") > asked).fill_null(True)
    metres = haversine_m(pl.col("earlier_lat"), pl.col("earlier_lon"), pl.col("lat"), pl.col("lon"))
    apart = hours_between(pl.col("earlier_asked"), asked)
    return pairs.filter(first & repeats(metres, apart, pl.lit(True), still_open))["service_request_id"].unique()


def _placed(requests: pl.DataFrame) -> pl.DataFrame:
    """Requests with a service and a position (0, 0 is none), with their cell and slot."""
    somewhere = (pl.col("lat") != 0) | (pl.col("lon") != 0)
    columns = ("service_request_id", "requested_datetime", "settled_at", "service", "lat", "lon")
    return requests.filter(somewhere & pl.col("service").is_not_null() & pl.col("lon").is_not_null()).select(
        *columns,
        cell=(pl.col("lat") / CELL_DEGREES).floor().cast(pl.Int32),
        slot=(pl.col("requested_datetime").dt.epoch("s") // (SLOT_H * 3600)).cast(pl.Int32),
    )


def _neighbours(earlier: pl.DataFrame) -> pl.DataFrame:
    """Each earlier request in its own cell and slot and in the next ones, where its repeats may lie."""
    around = pl.DataFrame(
        {"up": [-1, 0, 1, -1, 0, 1], "later": [0, 0, 0, 1, 1, 1]}, schema={"up": pl.Int32, "later": pl.Int32}
    )
    return earlier.join(around, how="cross").select(
        service="earlier_service",
        cell=pl.col("earlier_cell") + pl.col("up"),
        slot=pl.col("earlier_slot") + pl.col("later"),
        earlier_id="earlier_service_request_id",
        earlier_asked="earlier_requested_datetime",
        earlier_until="earlier_settled_at",
        earlier_lat="earlier_lat",
        earlier_lon="earlier_lon",
    )
