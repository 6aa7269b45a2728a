"""What the town pays and gets: AT&C loss, street lights, customers without power now."""

import polars as pl
from polars import DataFrame as Frame

from pipelines.energy import formulas
from pipelines.energy.reliability import LEVELS, customers_served, interruption_rows
from pipelines.engine.measures import KEYS, by_area, in_windows


def customers_without_power(
    outages: Frame, feeders: Frame, feeder_wards: Frame, assets: Frame, windows: Frame
) -> Frame:
    """Customers who are out at `as_of`, planned outages included; 0 where everybody has power.

    Source: IEEE Std 1366, clause 3 (customers interrupted), as a state.
    """
    rows = interruption_rows(outages, assets, include_planned=True).join(windows, how="cross")
    begun = pl.col("started_at") <= pl.col("as_of")
    still = pl.col("restored_at").is_null() | (pl.col("restored_at") > pl.col("as_of"))
    out = by_area(rows.filter(begun & still), LEVELS).group_by(KEYS).agg(out=pl.col("customers").sum())
    areas = windows.select("window").join(customers_served(feeders, feeder_wards, assets), how="cross")
    counted = areas.join(out, on=KEYS, how="left")
    return counted.select(*KEYS, value=pl.col("out").fill_null(0).cast(pl.Float64))


def atc_loss(energy_accounts: Frame, assets: Frame, windows: Frame, *, cap_collection: bool = True) -> Frame:
    """Share of the energy put in that never became money; `detail` gives both efficiencies as they came.

    Collection above 100 % (arrears) counts as 100 % unless `cap_collection` is off.
    Source: AT&C methodology of the Ministry of Power, CEA, PFC and REC, with the movement of debtors.
    """
    placed = in_windows(energy_accounts, windows, "period_start").rename({"feeder": "asset"})
    rows = placed.join(assets.select("asset", "ward"), on="asset", how="left")
    money = ("billed_minor", "collected_minor", "debtors_opening_minor", "debtors_closing_minor")
    sums = by_area(rows, LEVELS).group_by(KEYS).agg(pl.col("input_kwh", "billed_kwh", *money).sum())
    collection = formulas.collection_efficiency(
        pl.col("collected_minor"),
        pl.col("billed_minor"),
        pl.col("debtors_opening_minor"),
        pl.col("debtors_closing_minor"),
    )
    sums = sums.with_columns(raw=collection)
    billed = formulas.billing_efficiency(pl.col("billed_kwh"), pl.col("input_kwh"))
    counted = formulas.capped(pl.col("raw")) if cap_collection else pl.col("raw")
    return sums.select(
        *KEYS,
        **formulas.unrealised(pl.col("input_kwh"), pl.col("billed_kwh"), counted),
        detail=pl.format("{} % billed, {} % collected", (billed * 100).round(1), (pl.col("raw") * 100).round(1)),
    )


def street_light_uptime(street_light_nights: Frame, windows: Frame) -> Frame:
    """Share of the lamp-hours due that were lit; dark hours by a power cut count as dark.

    Source: EESL street-light contracts (95 %).
    """
    rows = by_area(in_windows(street_light_nights, windows, "lit_at"), ("town", "ward"))
    parts = formulas.lit_lamp_hours(pl.col("lamps"), pl.col("burn_hours"), pl.col("outage_lamp_hours"))
    return rows.group_by(KEYS).agg(**{name: part.sum() for name, part in parts.items()}, n=pl.len().cast(pl.Int64))


def street_lights_lit(street_light_surveys: Frame, windows: Frame) -> Frame:
    """Share of the lamps that a night patrol found lit.

    Source: night-patrol method, ISO 37120 street lighting.
    """
    rows = by_area(in_windows(street_light_surveys, windows, "surveyed_at"), ("town", "ward"))
    lit = pl.col("lamps_lit").sum().cast(pl.Float64)
    return rows.group_by(KEYS).agg(numerator=lit, denominator=pl.col("lamps_surveyed").sum().cast(pl.Float64))
