"""The pollution KPIs in DuckDB's SQL, over the rows as they came; written from the catalogue."""

import polars as pl

from pipelines.engine.model import INSTANT
from tests.oracles import readings
from tests.oracles.pollution import LIMITS, LITRES_A_MOLE, MASS, QUANTITY

TEXT, NUMBER = pl.String, pl.Float64
PARAMETERS = (
    "ph", "bod_mg_l", "cod_mg_l", "tss_mg_l", "total_nitrogen_mg_l", "total_phosphorus_mg_l", "faecal_coliform_mpn",
)  # fmt: skip
SCHEMAS = readings.SCHEMAS | {
    "effluent_samples": {"plant": TEXT, "sampled_at": INSTANT} | dict.fromkeys(PARAMETERS, NUMBER),
    "climate_activities": {"service": TEXT, "item": TEXT, "month_start": INSTANT, "amount": NUMBER},
    "register_noise_sites": {"asset": TEXT, "zone_class": TEXT},
    "register_effluent_plants": {"asset": TEXT, "consent": TEXT},
}


def _table(name: str) -> str:
    return f"read_csv('{LIMITS / name}.csv', all_varchar = true)"


NAMES = "CASE quantity " + " ".join(f"WHEN '{q}' THEN '{p}'" for p, q in QUANTITY.items()) + " END"
PPB = (
    "CASE quantity "
    + " ".join(f"WHEN '{QUANTITY[p]}' THEN {LITRES_A_MOLE / m!r}" for p, m in MASS.items())
    + " ELSE 1 END"
)


def _air(rollup: str, factor: str) -> str:
    """Valid means in whole millionths: 75 % of the readings, small negatives as 0."""
    return f"""SELECT asset, ward, observed_at, {NAMES} AS pollutant,
      round(CASE WHEN m >= 0 THEN m WHEN m >= -10 THEN 0 END * {factor} * 1e6)::BIGINT AS c
      FROM (SELECT asset, ward, observed_at, quantity, sum(total) / sum(n) AS m FROM {rollup}
            WHERE n >= 0.75 * expected AND quantity <> 'noise_dba' GROUP BY ALL) WHERE m >= -10"""


VIEWS = (
    readings.VIEWS
    + f"""
CREATE TABLE us_aqi AS SELECT pollutant, averaging, (low::DECIMAL(18, 6) * 1000000)::BIGINT AS low,
  (high::DECIMAL(18, 6) * 1000000)::BIGINT AS high, index_low::BIGINT AS index_low, index_high::BIGINT AS index_high,
  (truncate_to::DECIMAL(18, 6) * 1000000)::BIGINT AS step FROM {_table("us_aqi")};
CREATE TABLE india_naqi AS SELECT pollutant, (low::DECIMAL(18, 6) * 1000000)::BIGINT AS low,
  (high::DECIMAL(18, 6) * 1000000)::BIGINT AS high, index_low::BIGINT AS index_low, index_high::BIGINT AS index_high
  FROM {_table("india_naqi")};
CREATE TABLE european AS SELECT pollutant, up_to::BIGINT AS up_to FROM {_table("european_aqi")} WHERE up_to IS NOT NULL;
CREATE TABLE who AS SELECT pollutant, averaging, (at_most::DECIMAL(18, 6) * 1000000)::BIGINT AS most
  FROM {_table("who_guidelines")} WHERE goal = 'AQG';
CREATE TABLE effluent AS SELECT consent, parameter, at_least::DOUBLE AS at_least, at_most::DOUBLE AS at_most,
  below_only = 'yes' AS below_only FROM {_table("effluent")};
CREATE MACRO half_up(part, whole) AS (2 * part + whole) // (2 * whole);
CREATE MACRO us_index(p, a, c) AS (SELECT coalesce(
    max(CASE WHEN c // step * step BETWEEN low AND high
      THEN half_up((c // step * step - low) * (index_high - index_low), high - low) + index_low END),
    CASE WHEN max(c // step * step) > max(high) AND max(index_high) = 500 THEN 500 END)
  FROM us_aqi WHERE pollutant = p AND averaging = a);
CREATE MACRO india_index(p, c) AS (SELECT CASE WHEN c IS NULL THEN NULL ELSE coalesce(
    arg_min(half_up((c - low) * (index_high - index_low), high - low) + index_low, high) FILTER (c <= high), 500) END
  FROM india_naqi WHERE pollutant = p);
CREATE TABLE air AS {_air("hourly", "1")};
CREATE TABLE air_ppb AS {_air("hourly", PPB)};
CREATE TABLE air_days AS {_air("daily", "1")};
CREATE VIEW sound AS SELECT asset, ward, observed_at, every_s AS seconds, 10 ^ (value / 10) * every_s AS energy FROM good
  WHERE quantity = 'noise_dba';
CREATE VIEW microphones AS SELECT asset, count(*) AS microphones FROM sensors WHERE quantity = 'noise_dba' GROUP BY asset;
"""
)


def _averages(source: str, needed: int) -> str:
    """Per window and station: day mean, highest hour and highest 8-hour mean of each pollutant."""
    return f"""present AS (SELECT DISTINCT asset, observed_at FROM {source}),
      eights AS (SELECT p.asset, p.observed_at, a.pollutant, half_up(sum(a.c), count(*)) AS c FROM present p JOIN {source} a
        ON a.asset = p.asset AND a.observed_at > p.observed_at - INTERVAL 8 HOUR AND a.observed_at <= p.observed_at
        WHERE a.pollutant IN ('O3', 'CO') GROUP BY ALL HAVING count(*) >= 6),
      days AS (SELECT start, asset, pollutant, CASE WHEN count(*) >= {needed} THEN half_up(sum(c), count(*)) END AS day,
          CASE WHEN count(*) >= {needed} THEN max(c) END AS hour
        FROM {source} JOIN w ON observed_at >= start AND observed_at < stop GROUP BY ALL),
      peaks AS (SELECT start, asset, pollutant, max(c) AS eight FROM eights
        JOIN w ON observed_at >= start + INTERVAL 7 HOUR AND observed_at < stop GROUP BY ALL),
      averages AS (SELECT start, asset, pollutant, day, hour, eight FROM days FULL JOIN peaks USING (start, asset, pollutant))"""


def _over(values: str, across: str = "max(value)") -> str:
    """From stations (start, asset, value) to areas."""
    return f"""SELECT start, area, {across} AS value FROM (SELECT start, unnest(three(ward, asset)) AS area, value
      FROM {values} JOIN assets USING (asset) WHERE value IS NOT NULL) GROUP BY ALL"""


US = f"""WITH {_averages("(SELECT * FROM air_ppb WHERE pollutant NOT IN ('NH3', 'Pb'))", 18)},
  indexes AS (SELECT start, asset, CASE
      WHEN pollutant IN ('PM2.5', 'PM10') THEN us_index(pollutant, '24h', day)
      WHEN pollutant = 'O3' THEN greatest(us_index('O3', '8h', eight), us_index('O3', '1h', hour))
      WHEN pollutant = 'CO' THEN us_index('CO', '8h', eight)
      WHEN pollutant = 'NO2' THEN us_index('NO2', '1h', hour)
      WHEN hour >= 305000000 THEN coalesce(us_index('SO2', '24h', day), CASE WHEN day IS NOT NULL THEN 200 END)
      ELSE us_index('SO2', '1h', hour) END AS value FROM averages)
  {_over("(SELECT start, asset, max(value) AS value FROM indexes GROUP BY ALL)")}"""
INDIA = f"""WITH {_averages("air", 16)},
  indexes AS (SELECT start, asset, pollutant, CASE
      WHEN pollutant = 'O3' THEN india_index('O3', CASE WHEN eight > 208000000 AND hour IS NOT NULL THEN hour ELSE eight END)
      WHEN pollutant = 'CO' THEN india_index('CO', eight) ELSE india_index(pollutant, day) END AS value FROM averages),
  valid AS (SELECT start, asset, max(value) AS value FROM indexes GROUP BY ALL
    HAVING count(value) >= 3 AND count(value) FILTER (pollutant IN ('PM2.5', 'PM10')) >= 1)
  {_over("valid", "half_up(sum(value)::BIGINT, count(*))")}"""
CASTS = """hours AS (SELECT start, asset, pollutant, c / 1e6 AS c, (date_diff('minute', observed_at, stop) + 59) // 60 - 1 AS ago
    FROM air JOIN w ON observed_at >= start AND observed_at < stop WHERE pollutant IN ('PM2.5', 'PM10')),
  falls AS (SELECT start, asset, pollutant, CASE WHEN max(c) > 0 THEN greatest(min(c) / max(c), 0.5) ELSE 1 END AS v
    FROM hours GROUP BY ALL HAVING count(*) FILTER (ago < 3) >= 2),
  casts AS (SELECT start, asset, pollutant, sum(v ^ ago * c) / sum(v ^ ago) AS cast_ FROM hours
    JOIN falls USING (start, asset, pollutant) GROUP BY ALL)"""
EUROPE = f"""WITH levels AS (SELECT start, asset, 1 + (SELECT count(*) FROM european e
      WHERE e.pollutant = air.pollutant AND half_up(c, 1000000) > up_to) AS value
    FROM air JOIN w ON observed_at >= start AND observed_at < stop WHERE pollutant IN ('PM2.5', 'PM10', 'NO2', 'O3', 'SO2'))
  {_over("levels")}"""


def _sound(inside: str, at: str = "observed_at") -> str:
    return f"""(SELECT start, asset, sum(energy) AS energy, sum(seconds) AS covered, any_value(microphones) AS microphones
      FROM sound JOIN microphones USING (asset) JOIN w ON {at} >= start AND {at} < stop WHERE {inside} GROUP BY ALL)"""


LEVEL = "10 * log10(energy / covered)"
CLOCK = "hour(here(observed_at))"
LEQ = f"""WITH sites AS (SELECT s.start, asset, CASE WHEN covered >= 0.75 * epoch(as_of - s.start) * microphones
    THEN {LEVEL} END AS value FROM {_sound("true")} s JOIN w ON w.start = s.start) {_over("sites")}"""


def _part(name: str, inside: str, hours: int) -> str:
    begun = "timezone(zone(), date_trunc('hour', here(observed_at)))"
    return f"""{name} AS (SELECT start, asset, {LEVEL} AS v FROM {_sound(inside, begun)}
      WHERE covered >= 0.75 * {hours} * 3600 * microphones)"""


LDEN = f"""WITH {_part("d", f"{CLOCK} BETWEEN 7 AND 18", 12)}, {_part("e", f"{CLOCK} BETWEEN 19 AND 22", 4)},
  {_part("n", f"({CLOCK} >= 23 OR {CLOCK} < 7)", 8)},
  sites AS (SELECT start, asset, 10 * log10((12 * 10 ^ (d.v / 10) + 4 * 10 ^ ((e.v + 5) / 10) + 8 * 10 ^ ((n.v + 10) / 10)) / 24)
    AS value FROM d JOIN e USING (start, asset) JOIN n USING (start, asset)) {_over("sites")}"""


def _quiet(inside: str, hours: int, residential: int, silence: int) -> str:
    return f"""WITH sites AS (SELECT start, asset, CASE WHEN covered >= 0.75 * {hours} * 3600 * microphones
        THEN (round({LEVEL}, 6) <= CASE zone_class WHEN 'residential' THEN {residential} ELSE {silence} END)::INT END AS value
      FROM {_sound(inside)} JOIN register_noise_sites USING (asset)) {_over("sites", "avg(value)")}"""


NIGHT = f"""(({CLOCK} >= 22 AND here(observed_at)::DATE = here(start)::DATE)
  OR ({CLOCK} < 6 AND here(observed_at)::DATE = here(start)::DATE + 1))"""
EFFLUENT = f"""WITH newest AS (SELECT * FROM effluent_samples
    QUALIFY row_number() OVER (PARTITION BY plant, sampled_at ORDER BY came DESC) = 1),
  tests AS (SELECT plant, sampled_at, consent, e.parameter, at_least, at_most, below_only,
      CASE e.parameter {" ".join(f"WHEN '{p}' THEN {p}" for p in PARAMETERS)} END AS result
    FROM newest JOIN register_effluent_plants p ON p.asset = plant JOIN effluent e USING (consent)),
  judged AS (SELECT plant, sampled_at, CASE WHEN coalesce(bool_or(failed), false) THEN 0 WHEN count(failed) = 0
      OR coalesce(bool_or(parameter = 'bod_mg_l' AND result IS NULL), false) THEN NULL ELSE 1 END AS value
    FROM (SELECT *, CASE WHEN result IS NULL THEN NULL ELSE coalesce(result < at_least, false)
        OR coalesce(CASE WHEN below_only THEN result >= at_most ELSE result > at_most END, false) END AS failed FROM tests)
    GROUP BY ALL)
  {_over("(SELECT start, plant AS asset, value FROM judged JOIN w ON sampled_at >= start AND sampled_at < stop)", "avg(value)")}"""

QUERIES = {
    "us_aqi": US,
    "india_naqi": INDIA,
    "nowcast_pm25": f"WITH {CASTS} "
    + _over("(SELECT start, asset, cast_ AS value FROM casts WHERE pollutant = 'PM2.5')"),
    "nowcast_aqi": f"WITH {CASTS} "
    + _over("(SELECT start, asset, us_index(pollutant, '24h', round(cast_ * 1e6)::BIGINT) AS value FROM casts)"),
    "european_aqi": EUROPE,
    "who_exceedance_days": "WITH days AS (SELECT start, asset, pollutant, count(*) FILTER (c > most) AS value FROM air_days "
    "JOIN who USING (pollutant) JOIN w ON observed_at >= start AND observed_at < stop WHERE averaging = '24h' "
    "AND pollutant IN ('PM2.5', 'PM10', 'NO2', 'SO2', 'CO') GROUP BY ALL) " + _over("days"),
    "who_annual_ratio": "WITH days AS (SELECT start, asset, pollutant, avg(c) / any_value(most) AS value FROM air_days "
    "JOIN who USING (pollutant) JOIN w ON observed_at >= start AND observed_at < stop WHERE averaging = 'annual' "
    "AND pollutant IN ('PM2.5', 'PM10', 'NO2') GROUP BY start, as_of, asset, pollutant "
    "HAVING count(*) >= 0.75 * greatest(floor((floor(epoch(as_of - start) / 3600) + 1) / 24), 1)) " + _over("days"),
    "data_capture": """WITH each AS (SELECT w.start, s.asset, s.ward, floor(epoch(as_of - w.start) / 3600) AS due,
        least(count(h.n), floor(epoch(as_of - w.start) / 3600)) AS valid
      FROM sensors s CROSS JOIN w LEFT JOIN hourly h ON h.sensor = s.sensor AND h.observed_at >= w.start
        AND h.observed_at < stop AND h.n >= 0.75 * h.expected GROUP BY w.start, as_of, s.sensor, s.asset, s.ward)
      SELECT start, area, sum(valid) / sum(due) AS value FROM (SELECT *, unnest(three(ward, asset)) AS area FROM each)
      WHERE due > 0 GROUP BY ALL""",
    "noise_leq": LEQ,
    "noise_lden": LDEN,
    "noise_compliance_day": _quiet(f"{CLOCK} BETWEEN 6 AND 21", 16, 55, 50),
    "noise_compliance_night": _quiet(NIGHT, 8, 45, 40),
    "effluent_compliance": EFFLUENT,
    "ghg_emissions": """SELECT start, area, sum(tonnes) AS value FROM (
        SELECT start, unnest(['town', 'service:' || service]) AS area, amount * CASE item WHEN 'grid_kwh' THEN 0.710
          WHEN 'ch4_kg' THEN 28 WHEN 'n2o_kg' THEN 265 WHEN 'co2_kg' THEN 1 WHEN 'lpg_kg' THEN 2.983 END / 1000 AS tonnes
        FROM (SELECT * FROM climate_activities
              QUALIFY row_number() OVER (PARTITION BY service, item, month_start ORDER BY came DESC) = 1)
        JOIN w ON month_start >= start AND month_start < stop) GROUP BY ALL""",
}
