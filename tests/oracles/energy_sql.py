"""The energy KPIs in DuckDB's SQL, over the rows as they came; written from the catalogue."""

import polars as pl

from pipelines.engine.model import INSTANT
from tests.oracles import readings

TEXT, NUMBER = pl.String, pl.Float64
SCHEMAS = readings.SCHEMAS | {
    "outages": {
        "outage": TEXT, "step": pl.Int64, "feeder": TEXT, "ward": TEXT, "started_at": INSTANT, "restored_at": INSTANT,
        "customers": pl.Int64,
    },
    "energy_accounts": {"feeder": TEXT, "period_start": INSTANT}
    | dict.fromkeys(
        ("input_kwh", "billed_kwh", "billed_minor", "collected_minor", "debtors_opening_minor", "debtors_closing_minor"),
        NUMBER,
    ),
    "street_light_nights": {
        "panel": TEXT, "ward": TEXT, "lit_at": INSTANT, "lamps": NUMBER, "burn_hours": NUMBER, "outage_lamp_hours": NUMBER,
    },
    "street_light_surveys": {"ward": TEXT, "surveyed_at": INSTANT, "lamps_surveyed": NUMBER, "lamps_lit": NUMBER},
    "register_feeders": {"asset": TEXT, "customers_served": NUMBER},
    "register_feeder_wards": {"asset": TEXT, "ward": TEXT, "customers_served": NUMBER},
    "register_transformers": {"asset": TEXT, "rated_kva": NUMBER, "declared_v": NUMBER, "tolerance_pct": NUMBER},
    "register_microgrids": {
        "asset": TEXT, "battery_kwh": NUMBER, "soc_min_pct": NUMBER, "discharge_efficiency": NUMBER, "solar_kwp": NUMBER,
    },
}  # fmt: skip
VIEWS = (
    readings.VIEWS
    + """
CREATE VIEW served AS SELECT area, sum(n) AS served FROM (
  SELECT 'town' AS area, customers_served AS n FROM register_feeders
  UNION ALL SELECT 'asset:' || asset, customers_served FROM register_feeders
  UNION ALL SELECT 'ward:' || ward, customers_served FROM register_feeder_wards
  UNION ALL SELECT 'ward:' || ward, customers_served FROM register_feeders JOIN assets USING (asset)
    WHERE asset NOT IN (SELECT asset FROM register_feeder_wards)) GROUP BY area;
CREATE VIEW interruptions AS SELECT o.* EXCLUDE (ward, feeder), feeder AS asset, coalesce(o.ward, a.ward) AS ward
  FROM (SELECT * FROM outages QUALIFY row_number() OVER (PARTITION BY outage, step ORDER BY came DESC) = 1) o
  LEFT JOIN assets a ON a.asset = feeder WHERE customers IS NOT NULL;
CREATE MACRO minutes(a, b) AS (epoch_us(b) - epoch_us(a)) / 60e6;
"""
)
BEGUN = """begun AS (SELECT *, minutes(started_at, CASE WHEN running THEN as_of ELSE restored_at END) AS m
  FROM (SELECT *, restored_at IS NULL OR (restored_at > as_of AND as_of < stop) AS running
        FROM interruptions JOIN w ON started_at >= start AND started_at < stop AND started_at < as_of))"""
SUMS = f"""{BEGUN}, sums AS (
  SELECT start, area, coalesce(sum(customers) FILTER (m > 5), 0) AS ci,
    coalesce(sum(customers * m) FILTER (m > 5), 0) AS cmi,
    coalesce(sum(customers) FILTER (m <= 5 AND NOT running), 0) AS mci
  FROM (SELECT *, unnest(three(ward, asset)) AS area FROM begun) GROUP BY ALL),
  every AS (SELECT w.start, minutes(w.start, as_of) AS length, served.area, served, coalesce(ci, 0) AS ci,
    coalesce(cmi, 0) AS cmi, coalesce(mci, 0) AS mci
  FROM w CROSS JOIN served LEFT JOIN sums ON sums.start = w.start AND sums.area = served.area)"""
TOWN = "(SELECT sum(customers_served) FROM register_feeders)"
LIMITS = f"""limits AS (SELECT start, exp(avg(ln(saidi)) + 2.5 * stddev_samp(ln(saidi))) AS t_med FROM w JOIN (
    SELECT here(started_at)::DATE AS day, sum(CASE WHEN minutes(started_at, restored_at) > 5
      THEN customers * minutes(started_at, restored_at) ELSE 0 END) / {TOWN} AS saidi
    FROM interruptions WHERE restored_at IS NOT NULL GROUP BY ALL)
  ON saidi > 0 AND year(day) < year(here(start)) AND year(day) >= year(here(start)) - 5 GROUP BY start)"""


def _index(value: str) -> str:
    return f"WITH {SUMS} SELECT start, area, {value} AS value FROM every"


def _means(quantity: str) -> str:
    """Mean of each asset and hour that lies in a window."""
    return f"""(SELECT start, asset, ward, observed_at, total / n AS v FROM hourly JOIN w
      ON observed_at >= start AND observed_at < stop WHERE quantity = '{quantity}')"""


def _lately(quantity: str, minutes: int, value: str) -> str:
    """A value of each asset's readings in the last minutes."""
    return f"""(SELECT start, asset, any_value(ward) AS ward, {value} AS v FROM good JOIN w
      ON observed_at >= as_of - INTERVAL {minutes} MINUTE AND observed_at < as_of WHERE quantity = '{quantity}'
      GROUP BY start, asset)"""


def _over_areas(rows: str, value: str, areas: str = "three(ward, asset)") -> str:
    return f"SELECT start, area, {value} AS value FROM (SELECT *, unnest({areas}) AS area FROM {rows}) GROUP BY ALL"


def _site_hours(*quantities: str) -> str:
    """One row per site and hour with a column for each quantity; 0 where the site has no sensor of it."""
    columns = ", ".join(
        f"CASE WHEN asset IN (SELECT asset FROM sensors WHERE quantity = '{q}') THEN max(v) FILTER (quantity = '{q}') "
        f"ELSE 0 END AS {q}"
        for q in quantities
    )
    names = ", ".join(f"'{q}'" for q in quantities)
    known = " AND ".join(f"{q} IS NOT NULL" for q in quantities)
    return f"""(SELECT * FROM (SELECT start, asset, ward, observed_at, {columns} FROM (
      SELECT start, asset, ward, observed_at, quantity, total / n AS v FROM hourly JOIN w
      ON observed_at >= start AND observed_at < stop WHERE quantity IN ({names})) GROUP BY start, asset, ward, observed_at)
      WHERE {known})"""


LOADS = f"""(SELECT p.start, p.asset, p.ward, 100 * sqrt(p.v ^ 2 + q.v ^ 2) / rated_kva AS pct
  FROM {_means("transformer_power_kw")} p JOIN {_means("transformer_reactive_kvar")} q
  ON p.start = q.start AND p.asset = q.asset AND p.observed_at = q.observed_at
  JOIN register_transformers t ON t.asset = p.asset)"""
VOLTAGE = f"""WITH phases AS (
    SELECT sensor, asset, ward, time_bucket(INTERVAL 10 MINUTE, observed_at) AS slot, avg(value) AS v, min(value) AS low
    FROM good WHERE quantity = 'voltage_v' GROUP BY ALL),
  promised AS (SELECT a.asset, coalesce(o.declared_v, p.declared_v, 230) AS volts,
      coalesce(o.tolerance_pct, p.tolerance_pct, 10) AS tolerance FROM assets a
    LEFT JOIN register_transformers o ON o.asset = a.asset LEFT JOIN register_transformers p ON p.asset = a.parent),
  intervals AS (SELECT asset, ward, slot, bool_and(round(v, 6) BETWEEN round(volts * (100 - tolerance) / 100, 6)
      AND round(volts * (100 + tolerance) / 100, 6)) AS ok
    FROM phases JOIN promised USING (asset) WHERE low >= volts / 10 GROUP BY ALL)
  {_over_areas("(SELECT * FROM intervals JOIN w ON slot >= start AND slot < stop)", "avg(ok::INT)")}"""
FEEDER_LOSS = f"""WITH owned AS (SELECT parent AS asset, count(*) AS boxes FROM assets WHERE kind = 'transformer' GROUP BY ALL),
  passed AS (SELECT asset, observed_at, sum(total) AS passed FROM hourly WHERE quantity = 'feeder_export_kwh' GROUP BY ALL),
  delivered AS (SELECT parent AS asset, observed_at, sum(total) AS out, sum(least(1, n / expected)) AS seen
    FROM hourly WHERE quantity = 'transformer_energy_kwh' GROUP BY ALL),
  hours AS (SELECT h.start, h.asset, h.ward, h.total AS sent, coalesce(passed, 0) AS passed, coalesce(out, 0) AS out,
      coalesce(seen, 0) AS seen, boxes
    FROM (SELECT * FROM hourly JOIN w ON observed_at >= start AND observed_at < stop
          WHERE quantity = 'feeder_energy_kwh' AND n >= expected) h
    JOIN owned USING (asset) LEFT JOIN passed USING (asset, observed_at) LEFT JOIN delivered USING (asset, observed_at))
  {
    _over_areas(
        "hours",
        '''CASE WHEN sum(seen) / sum(boxes) >= 0.9
    THEN (sum(sent) - sum(passed) - sum(out)) / nullif(sum(sent) - sum(passed), 0) END''',
    )
}"""
LOAD_FACTOR = """WITH meters AS (SELECT * FROM sensors WHERE quantity = 'feeder_energy_kwh'),
  slots AS (SELECT asset, ward, to_timestamp(floor(epoch(observed_at) / 1800) * 1800) AS slot, sum(value) AS kwh
    FROM good WHERE quantity = 'feeder_energy_kwh' GROUP BY asset, ward, every_s, slot HAVING count(*) * every_s >= 1800),
  members AS (SELECT area, count(DISTINCT asset) AS feeders
    FROM (SELECT asset, unnest(three(ward, asset)) AS area FROM meters) GROUP BY area),
  together AS (SELECT start, area, slot, sum(kwh) AS kwh, count(*) AS told
    FROM (SELECT *, unnest(three(ward, asset)) AS area FROM slots JOIN w ON slot >= start AND slot < stop) GROUP BY ALL)
  SELECT start, area, avg(kwh) / nullif(max(kwh), 0) AS value FROM together JOIN members USING (area)
  WHERE told >= feeders GROUP BY ALL"""
LOADING = f"""WITH boxes AS (SELECT w.start, t.asset, a.ward, rated_kva, coalesce(sqrt(p.v ^ 2 + q.v ^ 2),
      sqrt(3) * sqrt(3) * declared_v * c.v / 1000) AS kva
    FROM w CROSS JOIN register_transformers t JOIN assets a USING (asset)
    LEFT JOIN {_lately("transformer_power_kw", 15, "avg(value)")} p ON p.start = w.start AND p.asset = t.asset
    LEFT JOIN {_lately("transformer_reactive_kvar", 15, "avg(value)")} q ON q.start = w.start AND q.asset = t.asset
    LEFT JOIN {_lately("transformer_current_a", 15, "avg(value)")} c ON c.start = w.start AND c.asset = t.asset)
  {_over_areas("(SELECT * FROM boxes WHERE kva IS NOT NULL)", "sum(kva) / sum(rated_kva)")}"""
POWER_FACTOR = f"""WITH hours AS (SELECT p.start, p.asset, p.ward, p.v AS kwh, abs(q.v) AS kvarh
    FROM {_means("feeder_power_kw")} p JOIN {_means("feeder_reactive_kvar")} q
    ON p.start = q.start AND p.asset = q.asset AND p.observed_at = q.observed_at WHERE p.v > 0)
  {_over_areas("hours", "sum(kwh) / sqrt(sum(kwh) ^ 2 + sum(kvarh) ^ 2)")}"""
BATTERY = f"""WITH sites AS (SELECT c.start, m.asset, c.ward, l.v AS kw, greatest(0, (c.v - soc_min_pct) / 100 * battery_kwh
      * discharge_efficiency) AS kwh
    FROM register_microgrids m JOIN {_lately("battery_soc_pct", 15, "arg_max(value, observed_at)")} c USING (asset)
    JOIN {_lately("load_power_kw", 60, "avg(value)")} l ON l.start = c.start AND l.asset = c.asset WHERE l.v > 0)
  {_over_areas("sites", "sum(kwh) / sum(kw)")}"""
SOLAR = f"""WITH hours AS (SELECT s.start, s.asset, s.ward, s.v AS kwh, solar_kwp * p.v / 1000 AS due
    FROM {_means("solar_power_kw")} s JOIN {_means("poa_irradiance_w_m2")} p
    ON s.start = p.start AND s.asset = p.asset AND s.observed_at = p.observed_at
    JOIN register_microgrids m ON m.asset = s.asset WHERE p.v >= 50)
  {_over_areas("hours", "sum(kwh) / nullif(sum(due), 0)")}"""
ATC = f"""WITH books AS (SELECT start, b.feeder AS asset, a.ward, b.* EXCLUDE (feeder) FROM (
      SELECT * FROM energy_accounts QUALIFY row_number() OVER (PARTITION BY feeder, period_start ORDER BY came DESC) = 1) b
    JOIN assets a ON a.asset = feeder JOIN w ON period_start >= start AND period_start < stop),
  sums AS ({
    _over_areas(
        "books",
        '''{'sent': sum(input_kwh), 'billed': coalesce(sum(billed_kwh), 0), 'collected':
      (sum(collected_minor) + coalesce(sum(debtors_opening_minor), 0) - coalesce(sum(debtors_closing_minor), 0))
      / nullif(sum(billed_minor), 0)}''',
    )
})
  SELECT start, area, (value.sent - value.billed * least(value.collected, 1)) / nullif(value.sent, 0) AS value FROM sums"""
LAMPS = _over_areas(
    """(SELECT * FROM (SELECT * FROM street_light_nights
         QUALIFY row_number() OVER (PARTITION BY panel, lit_at ORDER BY came DESC) = 1)
        JOIN w ON lit_at >= start AND lit_at < stop)""",
    "(sum(lamps * burn_hours) - sum(outage_lamp_hours)) / nullif(sum(lamps * burn_hours), 0)", "places(ward, NULL, NULL)",
)  # fmt: skip
SURVEYED = _over_areas(
    """(SELECT * FROM (SELECT * FROM street_light_surveys
         QUALIFY row_number() OVER (PARTITION BY ward, surveyed_at ORDER BY came DESC) = 1)
        JOIN w ON surveyed_at >= start AND surveyed_at < stop)""",
    "sum(lamps_lit) / nullif(sum(lamps_surveyed), 0)", "places(ward, NULL, NULL)",
)  # fmt: skip

INDICES = {
    "saifi": _index("ci / served"), "saidi": _index("cmi / served"), "caidi": _index("cmi / nullif(ci, 0)"),
    "asai": _index("1 - cmi / (served * length)"), "maifi": _index("mci / served"),
}  # fmt: skip
QUERIES = {
    **INDICES,
    **{f"{name}_year": query for name, query in INDICES.items()},
    "t_med": f"WITH {LIMITS} SELECT start, 'town' AS area, t_med AS value FROM limits",
    "saidi_without_major_events": f"""WITH {BEGUN}, {LIMITS},
      days AS (SELECT start, here(started_at)::DATE AS day,
          coalesce(sum(customers * m) FILTER (m > 5), 0) / {TOWN} > t_med AS major
        FROM begun JOIN limits USING (start) GROUP BY start, day, t_med),
      calm AS (SELECT start, area, sum(customers * m) FILTER (m > 5) AS cmi FROM (
          SELECT b.start, unnest(three(ward, asset)) AS area, customers, m FROM begun b
          JOIN days d ON d.start = b.start AND d.day = here(started_at)::DATE AND NOT major) GROUP BY ALL)
      SELECT limits.start, served.area, coalesce(cmi, 0) / served AS value FROM limits CROSS JOIN served
      LEFT JOIN calm ON calm.start = limits.start AND calm.area = served.area WHERE t_med IS NOT NULL""",
    "customers_without_power": """WITH away AS (SELECT start, unnest(three(ward, asset)) AS area, customers
        FROM interruptions JOIN w ON started_at <= as_of AND (restored_at IS NULL OR restored_at > as_of))
      SELECT w.start, served.area, coalesce(sum(customers), 0) AS value FROM w CROSS JOIN served
      LEFT JOIN away ON away.start = w.start AND away.area = served.area GROUP BY ALL""",
    "voltage_compliance": VOLTAGE,
    "feeder_loss": FEEDER_LOSS,
    "load_factor": LOAD_FACTOR,
    "power_factor": POWER_FACTOR,
    "transformer_loading": LOADING,
    "peak_loading": _over_areas(LOADS, "max(pct)"),
    "overload_hours": _over_areas(LOADS, "count(*) FILTER (pct > 100)"),
    "self_sufficiency": _over_areas(
        _site_hours("load_power_kw", "grid_import_kw"),
        "(sum(load_power_kw) - sum(grid_import_kw)) / nullif(sum(load_power_kw), 0)",
    ),
    "self_consumption": _over_areas(
        _site_hours("solar_power_kw", "grid_export_kw"),
        "(sum(solar_power_kw) - sum(grid_export_kw)) / nullif(sum(solar_power_kw), 0)",
    ),
    "renewable_fraction": _over_areas(
        _site_hours("load_power_kw", "grid_import_kw", "diesel_power_kw"),
        "(sum(load_power_kw) - sum(grid_import_kw) - sum(diesel_power_kw)) / nullif(sum(load_power_kw), 0)",
    ),
    "battery_autonomy": BATTERY,
    "solar_performance_ratio": SOLAR,
    "atc_loss": ATC,
    "atc_loss_year": ATC,
    "street_light_uptime": LAMPS,
    "street_lights_lit": SURVEYED,
}
