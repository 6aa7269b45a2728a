"""The water KPIs in DuckDB's SQL, over the rows as they came; written from the catalogue."""

import polars as pl

from tests.oracles import readings

TEXT, NUMBER, DAY = pl.String, pl.Float64, pl.String


def _numbers(*names: str) -> dict[str, type[pl.DataType]]:
    return dict.fromkeys(names, NUMBER)


SCHEMAS = readings.SCHEMAS | {
    "register_dmas": {"asset": TEXT} | _numbers(
        "population_served", "connections", "minimum_pressure_m", "baseline_night_m3_h", "non_domestic_night_m3_h", "n1",
        "bulk_non_domestic_m3_day", "mains_km", "private_pipe_km", "average_pressure_m",
    ),
    "register_tanks": {"asset": TEXT} | _numbers("diameter_m", "dead_level_m"),
    "water_bills": {"dma": TEXT, "period_start": DAY, "period_end": DAY, "billed_m3": NUMBER},
    "water_audits": {"dma": TEXT, "month": DAY} | _numbers(
        "system_input_m3", "billed_metered_m3", "billed_unmetered_m3", "unbilled_metered_m3", "unbilled_unmetered_m3",
        "unauthorised_m3", "under_registration_pct", "data_errors_m3",
    ),
    "water_samples": {"sample": TEXT, "sampled_at": readings.INSTANT, "dma": TEXT, "ward": TEXT} | _numbers(
        "turbidity_ntu", "ph", "tds_mg_l", "free_chlorine_mg_l", "e_coli_100ml",
    ),
    "water_connections": {"ward": TEXT, "month": DAY} | _numbers(
        "households_connected", "connections", "standposts", "functional_meters",
    ),
    "water_accounts": {"month": DAY} | _numbers(
        "operating_revenue", "operating_expense", "current_billed", "current_collected",
    ),
    "sewage_accounts": {"month": DAY} | _numbers(
        "supplied_m3", "other_sources_m3", "collected_m3", "capacity_m3", "reused_m3",
    ),
}  # fmt: skip
VIEWS = (
    readings.VIEWS
    + """
CREATE VIEW belongs AS SELECT a.asset, coalesce(d.asset, a.asset) AS dma, a.ward FROM assets a
  LEFT JOIN (SELECT asset FROM assets WHERE kind = 'dma') d ON d.asset = a.parent;
CREATE VIEW wards_served AS SELECT dma, ward, count(*) OVER (PARTITION BY dma) AS parts FROM (
  SELECT DISTINCT dma, b.ward FROM belongs b JOIN assets a ON a.asset = b.dma WHERE a.kind = 'dma' AND b.ward IS NOT NULL);
CREATE VIEW areas_of AS SELECT asset AS dma, 'town' AS area, 1 AS parts FROM assets WHERE kind = 'dma'
  UNION ALL SELECT asset, 'asset:' || asset, 1 FROM assets WHERE kind = 'dma'
  UNION ALL SELECT dma, 'ward:' || ward, parts FROM wards_served;
CREATE VIEW inlets AS SELECT asset AS dma, count(*) AS inlets, max(every_s) AS every_s FROM sensors
  WHERE quantity = 'inflow_m3_h' GROUP BY asset;
CREATE VIEW volumes AS SELECT asset AS dma, observed_at AS begun, here(observed_at)::DATE AS day,
  sum(total / n * epoch(timezone(zone(), here(observed_at) + INTERVAL 1 DAY) - observed_at) / 3600) AS m3
  FROM daily JOIN inlets ON dma = asset WHERE quantity = 'inflow_m3_h' AND n >= 0.75 * expected
  GROUP BY asset, observed_at, inlets HAVING count(*) = inlets;
CREATE VIEW billed AS SELECT dma, day, sum(share) AS billed FROM (
  SELECT dma, billed_m3 / (period_end::DATE - period_start::DATE + 1) AS share,
    unnest(generate_series(period_start::DATE, period_end::DATE, INTERVAL 1 DAY))::DATE AS day
  FROM (SELECT * FROM water_bills QUALIFY row_number() OVER (PARTITION BY dma, period_start ORDER BY came DESC) = 1)
  WHERE billed_m3 IS NOT NULL) GROUP BY ALL;
CREATE MACRO noon(month) AS timezone(zone(), month::DATE + INTERVAL 12 HOUR);
CREATE MACRO year_before(start) AS timezone(zone(), here(start) - INTERVAL 11 MONTH);
CREATE VIEW audits AS SELECT dma, month, noon(month) AS placed, system_input_m3 AS input, input - allowed AS lost, paper,
    input - allowed - paper AS real FROM (
  SELECT *, coalesce(billed_metered_m3, 0) + coalesce(billed_unmetered_m3, 0) + coalesce(unbilled_metered_m3, 0)
      + coalesce(unbilled_unmetered_m3, 0) AS allowed,
    coalesce(unauthorised_m3, 0) + coalesce(data_errors_m3, 0)
      + coalesce(billed_metered_m3, 0) * (e / (1 - e)) AS paper
  FROM (SELECT *, coalesce(under_registration_pct, 0) / 100 AS e FROM water_audits
        QUALIFY row_number() OVER (PARTITION BY dma, month ORDER BY came DESC) = 1)) WHERE system_input_m3 IS NOT NULL;
CREATE VIEW samples AS SELECT * EXCLUDE (dma), dma AS asset FROM water_samples
  QUALIFY row_number() OVER (PARTITION BY sample ORDER BY came DESC) = 1;
"""
)


def _over_areas(rows: str, value: str, areas: str = "three(ward, asset)") -> str:
    return f"SELECT start, area, {value} AS value FROM (SELECT *, unnest({areas}) AS area FROM {rows}) GROUP BY ALL"


def _unbilled(since: str) -> str:
    return f"""SELECT start, area, (sum(m3 / parts) - sum(billed / parts)) / nullif(sum(m3 / parts), 0) AS value
      FROM volumes JOIN billed USING (dma, day) JOIN areas_of USING (dma) JOIN w ON begun >= {since} AND begun < stop
      GROUP BY ALL"""


PRESSURES = """(SELECT start, as_of, sensor, d.asset AS asset, b.ward, every_s, connections, value,
    value >= coalesce(minimum_pressure_m, 7) AS ok
  FROM good JOIN belongs b USING (asset) JOIN register_dmas d ON d.asset = b.dma
  JOIN w ON observed_at >= start AND observed_at < stop WHERE quantity = 'pressure_m')"""
CONTINUITY = f"""WITH points AS (SELECT start, asset, ward, connections, 24 * avg(ok::INT) AS hours FROM {PRESSURES}
    GROUP BY start, as_of, asset, ward, sensor, every_s, connections
    HAVING count(*) >= 0.75 * floor(epoch(as_of - start) / every_s)),
  zones AS (SELECT b.dma AS asset, count(DISTINCT b.ward) AS zones FROM sensors JOIN belongs b USING (asset)
    WHERE quantity = 'pressure_m' GROUP BY ALL),
  worst AS (SELECT start, asset, ward, min(hours) AS hours, any_value(connections / zones) AS weight
    FROM points JOIN zones USING (asset) GROUP BY start, asset, ward)
  {_over_areas("worst", "sum(hours * weight) / sum(weight)")}"""
CHLORINE = _over_areas(
    """(SELECT start, b.dma AS asset, b.ward, value FROM good JOIN belongs b USING (asset)
        JOIN w ON observed_at >= start AND observed_at < stop WHERE quantity = 'chlorine_mg_l')""",
    "avg((value BETWEEN 0.2 AND 1.0)::INT)",
)


def _flow(quantity: str) -> str:
    return f"""(SELECT start, asset, sum(v) AS v FROM (SELECT start, asset, sensor, avg(v) AS v FROM (
        SELECT start, asset, sensor, time_bucket(INTERVAL 5 MINUTE, observed_at) AS spell, avg(value) AS v
        FROM good JOIN w ON observed_at >= stop - INTERVAL 1 HOUR AND observed_at < stop WHERE quantity = '{quantity}'
        GROUP BY ALL) GROUP BY ALL) GROUP BY ALL)"""


TANKS = f"""WITH levels AS (SELECT start, asset, arg_max(value, observed_at) AS last, arg_min(value, observed_at) AS first,
      max(observed_at) AS seen, epoch(max(observed_at) - min(observed_at)) / 3600 AS hours
    FROM good JOIN w ON observed_at >= stop - INTERVAL 1 HOUR AND observed_at < stop WHERE quantity = 'tank_level_m'
    GROUP BY ALL),
  nets AS (SELECT l.start, l.asset, l.seen, pi() / 4 * diameter_m ^ 2 AS surface,
      greatest(last - coalesce(dead_level_m, 0), 0) AS depth,
      coalesce(o.v - i.v, pi() / 4 * diameter_m ^ 2 * (first - last) / nullif(hours, 0)) AS net
    FROM levels l JOIN register_tanks t USING (asset)
    LEFT JOIN {_flow("tank_outflow_m3_h")} o ON o.start = l.start AND o.asset = l.asset
    LEFT JOIN {_flow("tank_inflow_m3_h")} i ON i.start = l.start AND i.asset = l.asset),
  left_h AS (SELECT start, asset, CASE WHEN net > 0 AND seen >= start - INTERVAL 15 MINUTE
      THEN surface * depth / net END AS value FROM nets WHERE net IS NOT NULL)
  SELECT start, 'asset:' || asset AS area, value FROM left_h
  UNION ALL SELECT start, 'town', min(value) FROM left_h GROUP BY start"""
NIGHTS = """slots AS (SELECT start, dma, slot, every_s, sum(v) AS flow FROM (
      SELECT start, dma, sensor, inlets, i.every_s, floor(epoch(observed_at) / i.every_s) * i.every_s AS slot,
        avg(value) AS v
      FROM good g JOIN inlets i ON i.dma = g.asset JOIN w ON observed_at >= start AND observed_at < stop
      WHERE quantity = 'inflow_m3_h' AND hour(here(observed_at)) IN (2, 3) GROUP BY ALL)
    GROUP BY start, dma, slot, every_s, inlets HAVING count(*) = inlets),
  ended AS (SELECT start, dma, max(slot) + max(every_s) AS over FROM slots GROUP BY ALL),
  hours AS (SELECT a.start, a.dma, a.slot, avg(b.flow) AS flow FROM slots a JOIN ended e ON e.start = a.start AND e.dma = a.dma
    JOIN slots b ON b.start = a.start AND b.dma = a.dma AND b.slot >= a.slot AND b.slot < a.slot + 3600
    WHERE a.slot + 3600 <= over GROUP BY a.start, a.dma, a.slot, a.every_s HAVING count(*) * a.every_s >= 2700),
  lowest AS (SELECT start, dma, min(flow) AS lowest FROM hours GROUP BY ALL),
  pressed AS (SELECT start, dma, observed_at, avg(total / n) AS m, max(total / n) AS highest
    FROM hourly JOIN belongs USING (asset) JOIN w
      ON observed_at >= stop - INTERVAL 44 HOUR AND observed_at < stop - INTERVAL 20 HOUR
    WHERE quantity = 'pressure_m' GROUP BY ALL),
  at_night AS (SELECT start, dma, avg(m) FILTER (hour(here(observed_at)) IN (2, 3)) AS night_m, count(*) AS known,
      count(*) FILTER (highest < 1) AS off FROM pressed GROUP BY ALL),
  shapes AS (SELECT start, dma, any_value(off) AS off, CASE WHEN any_value(known) >= 18 AND any_value(night_m) > 0
      THEN 24 * avg((greatest(m, 0) / night_m) ^ coalesce(n1, 1)) ELSE 24 END AS factor
    FROM pressed JOIN at_night USING (start, dma) JOIN register_dmas d ON d.asset = dma GROUP BY ALL),
  nights AS (SELECT l.start, d.*, CASE WHEN coalesce(off, 0) < 2 AND lowest > 0 THEN lowest END AS lowest,
      coalesce(factor, 24) AS factor
    FROM lowest l JOIN register_dmas d ON d.asset = l.dma LEFT JOIN shapes s ON s.start = l.start AND s.dma = l.dma)"""
LEAKS = f"""WITH {NIGHTS}, leaks AS (SELECT start, asset, (lowest - population_served * 0.06 * 10 / 1000
    - coalesce(non_domestic_night_m3_h, 0)) * factor AS leak FROM nights WHERE population_served IS NOT NULL)
  {_over_areas("(SELECT *, NULL AS ward FROM leaks)", "sum(leak)")}"""
METERS = """(SELECT w.start, b.dma AS asset, b.ward, floor(epoch(as_of - w.start) / every_s) AS due,
    least(coalesce(reads, 0), floor(epoch(as_of - w.start) / every_s)) AS reads
  FROM sensors s JOIN belongs b USING (asset) CROSS JOIN w
  LEFT JOIN (SELECT start, sensor, sum(n) AS reads FROM daily JOIN w ON observed_at >= start AND observed_at < stop
             WHERE quantity = 'consumption_l' GROUP BY ALL) r ON r.start = w.start AND r.sensor = s.sensor
  WHERE quantity = 'consumption_l' AND epoch(as_of - w.start) >= every_s
  QUALIFY max(reads) OVER (PARTITION BY w.start) IS NOT NULL)"""
SAMPLED = "(SELECT * FROM samples JOIN w ON sampled_at >= start AND sampled_at < stop)"
# least() leaves nulls out: false when any test failed, null when none was made.
PASSES = """least((turbidity_ntu <= 1)::INT, (ph BETWEEN 6.5 AND 8.5)::INT, (tds_mg_l <= 500)::INT,
  (free_chlorine_mg_l >= 0.2)::INT, (e_coli_100ml <= 0)::INT)"""
PUMPED = """(SELECT e.start, e.asset, e.ward, kwh, m3, head FROM
    (SELECT start, asset, ward, observed_at, sum(total) AS kwh FROM hourly JOIN w ON observed_at >= start AND observed_at < stop
     WHERE quantity = 'pump_energy_kwh' AND n >= expected GROUP BY ALL) e
  JOIN (SELECT asset, observed_at, sum(total) AS m3 FROM hourly WHERE quantity = 'pump_volume_m3' AND n >= expected
        GROUP BY ALL) v ON v.asset = e.asset AND v.observed_at = e.observed_at
  JOIN (SELECT asset, observed_at, sum(total) / sum(n) AS head FROM hourly WHERE quantity = 'pump_head_m' GROUP BY ALL) h
    ON h.asset = e.asset AND h.observed_at = e.observed_at WHERE m3 > 0 AND head > 0)"""


def _losses(part: str) -> str:
    return f"""SELECT start, area, CASE WHEN value >= 0 THEN value END AS value FROM (
      SELECT start, area, sum({part} / parts) / nullif(sum(input / parts), 0) AS value FROM audits
      JOIN areas_of USING (dma) JOIN w ON placed >= year_before(start) AND placed < stop GROUP BY ALL)"""


ILI = """WITH each AS (SELECT start, dma, sum(real) AS real, sum(day(last_day(month::DATE))) AS days
    FROM audits JOIN w ON placed >= year_before(start) AND placed < stop GROUP BY ALL)
  SELECT start, 'town' AS area, CASE WHEN sum(connections) + 20 * sum(mains_km) >= 3000
      AND sum(connections) >= 20 * sum(mains_km)
      AND sum(average_pressure_m * connections) / sum(connections) >= 25
    THEN sum(1000 * real / days) / sum((18 * mains_km + 0.8 * connections + 25 * coalesce(private_pipe_km, 0))
      * average_pressure_m) END AS value
  FROM each JOIN register_dmas d ON d.asset = dma
  WHERE mains_km IS NOT NULL AND connections IS NOT NULL AND average_pressure_m IS NOT NULL GROUP BY start"""


def _book(table: str, key: str) -> str:
    return f"""(SELECT * FROM (SELECT * FROM {table} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY came DESC) = 1)
      JOIN w ON noon(month) >= start AND noon(month) < stop)"""


def _town_share(table: str, part: str, whole: str) -> str:
    known = f"({part}) IS NOT NULL AND ({whole}) IS NOT NULL"
    return f"""SELECT start, 'town' AS area, sum({part}) / nullif(sum({whole}), 0) AS value
      FROM {_book(table, "month")} WHERE {known} GROUP BY start"""


GENERATED = "0.8 * (supplied_m3 + coalesce(other_sources_m3, 0))"
QUERIES = {
    "supply_per_head": """SELECT start, area, 1000 * (sum(m3 / parts) - sum(coalesce(bulk_non_domestic_m3_day, 0) / parts))
        / nullif(sum(population_served / parts), 0) AS value
      FROM volumes JOIN register_dmas d ON d.asset = dma JOIN areas_of USING (dma) JOIN w ON begun >= start AND begun < stop
      WHERE population_served > 0 GROUP BY ALL""",
    "non_revenue_water": _unbilled("start"),
    "non_revenue_water_year": _unbilled("year_before(start)"),
    "pressure_compliance": _over_areas(PRESSURES, "avg(ok::INT) FILTER (value >= -10)"),
    "supply_continuity": CONTINUITY,
    "chlorine_compliance": CHLORINE,
    "tank_autonomy": TANKS,
    "minimum_night_flow": f"WITH {NIGHTS} SELECT start, 'asset:' || asset AS area, lowest AS value FROM nights",
    "night_flow_over_baseline": f"""WITH {NIGHTS} SELECT start, 'asset:' || asset AS area,
      lowest / baseline_night_m3_h AS value FROM nights WHERE baseline_night_m3_h > 0""",
    "night_leakage": LEAKS,
    "meter_read_success": _over_areas(METERS, "avg((reads > 0)::INT)"),
    "meter_interval_success": _over_areas(METERS, "sum(reads) / sum(due)"),
    "water_quality": _over_areas(SAMPLED, f"avg({PASSES})"),
    "turbidity_acceptable": _over_areas(SAMPLED, "avg((turbidity_ntu <= 1)::INT)"),
    "turbidity_permissible": _over_areas(SAMPLED, "avg((turbidity_ntu <= 5)::INT)"),
    "e_coli_found": _over_areas(
        f"(SELECT * FROM {SAMPLED} WHERE e_coli_100ml IS NOT NULL)", "count(*) FILTER (e_coli_100ml > 0)"
    ),
    "pump_specific_energy": _over_areas(PUMPED, "sum(kwh) / sum(m3 * head / 100)"),
    "pump_energy_per_volume": _over_areas(PUMPED, "sum(kwh) / sum(m3)"),
    "pump_efficiency": _over_areas(PUMPED, "sum(9.81 * m3 * head / 3600) / nullif(sum(kwh), 0)"),
    "water_losses": _losses("lost"),
    "apparent_losses": _losses("paper"),
    "real_losses": _losses("real"),
    "infrastructure_leakage_index": ILI,
    "connection_coverage": _over_areas(
        f"""(SELECT c.*, r.households FROM {_book("water_connections", "ward, month")} c JOIN register_wards r USING (ward)
            WHERE households_connected IS NOT NULL)""",
        "sum(households_connected) / nullif(sum(households), 0)", "places(ward, NULL, NULL)",
    ),
    "metering_extent": _over_areas(
        f"""(SELECT * FROM {_book("water_connections", "ward, month")}
            WHERE functional_meters IS NOT NULL AND connections IS NOT NULL)""",
        "sum(functional_meters) / nullif(sum(connections) + coalesce(sum(standposts), 0), 0)", "places(ward, NULL, NULL)",
    ),
    "cost_recovery": _town_share("water_accounts", "operating_revenue", "operating_expense"),
    "collection_efficiency": _town_share("water_accounts", "current_collected", "current_billed"),
    "sewage_collected": _town_share("sewage_accounts", "collected_m3", GENERATED),
    "sewage_capacity": _town_share("sewage_accounts", "capacity_m3", GENERATED),
    "sewage_reused": _town_share("sewage_accounts", "reused_m3", "collected_m3"),
}  # fmt: skip
