"""What the monthly books tell: homes connected, cost recovery and sewage."""

from typing import Any

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows
from pipelines.engine.model import Kpi, every
from pipelines.water.formulas import Parts, metered, part_of, sewage_generated
from pipelines.water.readings import complete, dated


def connection_coverage(
    water_connections: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame, zone: str
) -> pl.DataFrame:
    """Share of households with their own tap, per window and area.

    Source: SLB 2.1.1; ISO 37120:2014 21.1.
    """
    rows = in_windows(dated(water_connections, zone), windows, "at").join(wards.select("ward", "households"), on="ward")
    known = rows.drop_nulls(["households", "households_connected"])
    parts = part_of(pl.col("households_connected").sum(), pl.col("households").sum())
    return by_area(known, ("town", "ward")).group_by(KEYS).agg(**parts, **complete())


def metering_extent(water_connections: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Share of connections and public standposts with a working meter, per window and area.

    Source: SLB 2.1.3.
    """
    rows = in_windows(dated(water_connections, zone), windows, "at").drop_nulls(["functional_meters", "connections"])
    parts = metered(
        pl.col("functional_meters").sum(), pl.col("connections").sum(), pl.col("standposts").fill_null(0).sum()
    )
    return by_area(rows, ("town", "ward")).group_by(KEYS).agg(**parts, **complete())


def _town_share(books: pl.DataFrame, windows: pl.DataFrame, zone: str, parts: Parts) -> pl.DataFrame:
    """Share of one monthly amount in another, for the town; months in which either is missing do not count."""
    rows = in_windows(dated(books, zone), windows, "at").with_columns(**parts)
    known = rows.drop_nulls(["numerator", "denominator"])
    sums = (pl.col(name).sum() for name in ("numerator", "denominator"))
    return by_area(known, ("town",)).group_by(KEYS).agg(*sums, **complete())


def cost_recovery(water_accounts: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Operating revenue as a share of operating expense, per window, town.

    Source: SLB 2.1.8.
    """
    parts = part_of(pl.col("operating_revenue"), pl.col("operating_expense"))
    return _town_share(water_accounts, windows, zone, parts)


def collection_efficiency(water_accounts: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Share of what was billed for the period that was collected, arrears left out, per window, town.

    Source: SLB 2.1.9.
    """
    return _town_share(water_accounts, windows, zone, part_of(pl.col("current_collected"), pl.col("current_billed")))


def _generated(return_factor: float) -> pl.Expr:
    return sewage_generated(pl.col("supplied_m3"), pl.col("other_sources_m3").fill_null(0), pl.lit(return_factor))


def sewage_collected(
    sewage_accounts: pl.DataFrame, windows: pl.DataFrame, zone: str, *, return_factor: float = 0.8
) -> pl.DataFrame:
    """Share of the waste water generated that reached the plant, per window, town; above 100 % rain came in.

    Source: SLB 2.2.3.
    """
    return _town_share(sewage_accounts, windows, zone, part_of(pl.col("collected_m3"), _generated(return_factor)))


def sewage_capacity(
    sewage_accounts: pl.DataFrame, windows: pl.DataFrame, zone: str, *, return_factor: float = 0.8
) -> pl.DataFrame:
    """Treatment capacity as a share of the waste water generated, per window, town.

    Source: SLB 2.2.4.
    """
    return _town_share(sewage_accounts, windows, zone, part_of(pl.col("capacity_m3"), _generated(return_factor)))


def sewage_reused(sewage_accounts: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Share of the sewage received at the plant that was used again, per window, town.

    Source: SLB 2.2.6.
    """
    return _town_share(sewage_accounts, windows, zone, part_of(pl.col("reused_m3"), pl.col("collected_m3")))


def _books_kpi(**said: Any) -> Kpi:
    common: dict[str, Any] = {
        "unit": "percent",
        "scale": 100,
        "window": every("month"),
        "levels": ("town",),
        "better": "higher",
    }
    return Kpi(**(common | said))


KPIS = (
    _books_kpi(
        function=connection_coverage,
        catalogue="WA-13",
        title="Homes with a tap",
        plain="Share of households with their own water connection.",
        formula="100 x connected households / households",
        standard="MoUD Service Level Benchmarks 2.1.1; ISO 37120:2014 21.1",
        levels=("town", "ward"),
        target=100,
        watch=80,
    ),
    _books_kpi(
        function=metering_extent,
        catalogue="WA-13",
        title="Taps with a working meter",
        plain="Share of connections and public standposts with a meter that works.",
        formula="100 x functional meters / (connections + standposts)",
        standard="MoUD Service Level Benchmarks 2.1.3",
        levels=("town", "ward"),
        target=100,
        watch=80,
    ),
    _books_kpi(
        function=cost_recovery,
        catalogue="WA-14",
        title="Cost recovery",
        plain="How much of the running cost of water the water revenue pays, this year so far.",
        formula="100 x operating revenue / operating expense",
        standard="MoUD Service Level Benchmarks 2.1.8",
        window=every("fiscal_year"),
        target=100,
        watch=80,
    ),
    _books_kpi(
        function=collection_efficiency,
        catalogue="WA-14",
        title="Bills paid",
        plain="How much of the month's water bills was paid.",
        formula="100 x current revenue collected / current revenue billed, without arrears",
        standard="MoUD Service Level Benchmarks 2.1.9",
        target=90,
        watch=75,
    ),
    _books_kpi(
        function=sewage_collected,
        catalogue="WA-15",
        title="Sewage collected",
        plain="Share of the waste water that reaches the treatment plant.",
        formula="100 x collected / (0.8 x (supplied + other sources))",
        standard="MoUD Service Level Benchmarks 2.2.3",
        target=100,
        watch=70,
    ),
    _books_kpi(
        function=sewage_capacity,
        catalogue="WA-15",
        title="Treatment capacity",
        plain="How much of the waste water the treatment plant could take.",
        formula="100 x capacity / (0.8 x (supplied + other sources))",
        standard="MoUD Service Level Benchmarks 2.2.4",
        target=100,
        watch=70,
    ),
    _books_kpi(
        function=sewage_reused,
        catalogue="WA-15",
        title="Waste water reused",
        plain="Share of the waste water received that is used again.",
        formula="100 x reused / received at the plant",
        standard="MoUD Service Level Benchmarks 2.2.6",
        target=20,
        watch=10,
    ),
)
