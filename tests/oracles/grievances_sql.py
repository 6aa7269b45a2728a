"""The grievance KPIs in DuckDB's SQL, over the rows as they came; written from the catalogue."""

import polars as pl

from pipelines.engine.model import INSTANT
from tests.oracles.grievances_data import SCHEMA_AT, SCHEMA_TEXT

SCHEMAS = {
    "service_requests": dict.fromkeys(SCHEMA_TEXT, pl.String)
    | dict.fromkeys(SCHEMA_AT, INSTANT)
    | {"rating": pl.Int64, "paused_h": pl.Float64, "lat": pl.Float64, "lon": pl.Float64},
    "register_wards": {"ward": pl.String, "population": pl.Float64},
    "register_services": {"service_code": pl.String, "limit_h": pl.Float64, "within_24h": pl.String},
}
VIEWS = """
CREATE MACRO square(lat, lon) AS CASE
  WHEN lat IS NULL OR lon IS NULL OR lat NOT BETWEEN 0 AND 1 THEN NULL
  WHEN lon > 1.4 AND lon < 1.6 AND lat > 0.4 AND lat < 0.6 THEN NULL
  WHEN lon < 1 THEN 'W1' WHEN lon < 2 THEN 'W2' WHEN lon < 3 THEN 'W3' END;
CREATE MACRO hours(a, b) AS epoch_us(b) / 3600e6 - epoch_us(a) / 3600e6;
CREATE MACRO days(a, b) AS (epoch_us(b) - epoch_us(a)) / 86400e6;
CREATE MACRO town_ward(ward) AS list_filter(['town', 'ward:' || ward], lambda a: a IS NOT NULL);
CREATE MACRO places(ward, more, other) AS
  list_filter(['town', 'ward:' || ward, more, other], lambda a: a IS NOT NULL);
CREATE VIEW requests AS
  SELECT * REPLACE (coalesce(ward, square(lat, lon)) AS ward), coalesce(service_code, service_name) AS service,
    agency_responsible AS department, CASE WHEN status = 'closed' THEN closed_at END AS settled
  FROM (SELECT * FROM service_requests
        QUALIFY row_number() OVER (PARTITION BY service_request_id ORDER BY updated_datetime DESC, came DESC) = 1);
CREATE VIEW office AS
  SELECT r.*, coalesce(expected_datetime, requested_datetime + to_microseconds((limit_h * 3600e6)::BIGINT)) AS promised
  FROM requests r LEFT JOIN register_services s ON r.service_code = s.service_code
  WHERE coalesce(state, '') NOT IN ('duplicate', 'withdrawn') AND duplicate_of IS NULL
    AND NOT (status = 'closed' AND closed_at IS NULL);
CREATE VIEW spells AS
  SELECT *, requested_datetime AS begun, CASE WHEN back THEN closed_at ELSE settled END AS ended, false AS again
  FROM (SELECT *, status = 'open' AND coalesce(reopened_at > closed_at, false) AS back FROM office)
  UNION ALL
  SELECT *, reopened_at, settled, true
  FROM (SELECT *, status = 'open' AND coalesce(reopened_at > closed_at, false) AS back FROM office) WHERE back;
CREATE VIEW everywhere AS
  SELECT 'town' AS area UNION SELECT 'ward:' || ward FROM register_wards
  UNION SELECT 'service:' || service FROM office WHERE service IS NOT NULL
  UNION SELECT 'department:' || department FROM office WHERE department IS NOT NULL;
"""
ENDS = """ends AS (SELECT start, upto FROM (SELECT start, least(as_of, stop - INTERVAL 1 MICROSECOND) AS upto FROM w)
  WHERE upto >= (SELECT min(requested_datetime) FROM office))"""


def _share(source: str, at: str, areas: str, judge: str) -> str:
    """The share of rows for which `judge` holds; nulls leave."""
    return f"""SELECT start, area, avg(good) AS value
      FROM (SELECT start, unnest({areas}) AS area, ({judge})::INT AS good
            FROM {source} JOIN w ON {at} >= start AND {at} < stop) GROUP BY ALL"""


def _quantile(part: float, value: str, source: str, at: str, areas: str) -> str:
    return f"""SELECT start, area, quantile_cont(v, {part}) AS value
      FROM (SELECT start, unnest({areas}) AS area, {value} AS v
            FROM {source} JOIN w ON {at} >= start AND {at} < stop) GROUP BY ALL"""


ALL = "places(ward, 'service:' || service, 'department:' || department)"
SERVICE = "places(ward, 'service:' || service, NULL)"
DEPARTMENT = "places(ward, 'department:' || department, NULL)"
ONLY_DEPARTMENT = "list_filter(['town', 'department:' || department], lambda a: a IS NOT NULL)"
CHANNEL = "places(ward, 'channel:' || channel, NULL)"
ANSWERED = """(SELECT *, CASE WHEN first_response_at >= requested_datetime
  THEN (epoch_us(first_response_at) - epoch_us(requested_datetime)) / 3600e6 END AS answer_h FROM office)"""
# Unanswered: a miss once it is too late, or once its window is over.
MISSED = "CASE WHEN as_of >= stop OR as_of - requested_datetime > INTERVAL {h} HOUR THEN false END"


def _sla(pause: str) -> str:
    due = f"(promised + to_microseconds(({pause})::BIGINT))"
    judge = f"CASE WHEN settled <= as_of THEN settled <= {due} WHEN {due} < as_of THEN false END"
    return _share("office", due, ALL, judge)


def _open(condition: str) -> str:
    return f"""WITH {ENDS},
      held AS (SELECT start, unnest({ALL}) AS area FROM spells JOIN ends
               ON begun <= upto AND (ended IS NULL OR ended > upto) WHERE {condition})
      SELECT ends.start, everywhere.area, count(held.area) AS value FROM ends CROSS JOIN everywhere
      LEFT JOIN held ON held.start = ends.start AND held.area = everywhere.area GROUP BY ALL"""


AGE = "days(requested_datetime, upto)"
BACKLOG = f"""({_open("true")}) UNION ALL (
  WITH {ENDS}, buckets AS (SELECT * FROM (VALUES ('age:le7', -1, 7), ('age:d8_21', 7, 21), ('age:d22_30', 21, 30),
    ('age:gt30', 30, 1e9)) AS b(area, low, high)),
  held AS (SELECT start, {AGE} AS age FROM spells JOIN ends ON begun <= upto AND (ended IS NULL OR ended > upto))
  SELECT ends.start, area, count(age) AS value FROM ends CROSS JOIN buckets
  LEFT JOIN held ON held.start = ends.start AND age > low AND age <= high GROUP BY ALL)"""
LOADS = f"""{ENDS},
  moves AS (
    SELECT w.start, unnest({DEPARTMENT}) AS area, 1 AS received, 0 AS closed, 0 AS opened FROM office
      JOIN w ON requested_datetime >= w.start AND requested_datetime < stop
    UNION ALL SELECT w.start, unnest({DEPARTMENT}), 0, 1, 0 FROM spells JOIN w ON ended >= w.start AND ended < stop
    UNION ALL SELECT w.start, unnest({DEPARTMENT}), 0, 0, 1 FROM spells
      JOIN w ON begun < w.start AND (ended IS NULL OR ended >= w.start)),
  loads AS (SELECT ends.start, area, sum(received) AS received, sum(closed) AS closed, sum(opened) AS opened
    FROM moves JOIN ends ON ends.start = moves.start GROUP BY ALL)"""
RECEIVED = """received AS (
  SELECT w.start, a.area, count(r.area) AS n
  FROM (SELECT * FROM w WHERE least(as_of, stop - INTERVAL 1 MICROSECOND)
          >= (SELECT min(requested_datetime) FROM requests)) w
  CROSS JOIN (SELECT 'town' AS area UNION SELECT 'ward:' || ward FROM register_wards
              UNION SELECT 'service:' || service FROM requests WHERE service IS NOT NULL) a
  LEFT JOIN (SELECT requested_datetime AS asked, unnest(places(ward, 'service:' || service, NULL)) AS area FROM requests) r
    ON r.area = a.area AND r.asked >= w.start AND r.asked < w.stop
  GROUP BY ALL)"""
PEOPLE = """people AS (SELECT 'ward:' || ward AS area, population FROM register_wards
  UNION ALL SELECT 'town', sum(population) FROM register_wards)"""
REPEATS = """SELECT DISTINCT l.service_request_id FROM requests l JOIN requests e ON l.service = e.service
  AND (e.requested_datetime < l.requested_datetime
       OR (e.requested_datetime = l.requested_datetime AND e.service_request_id < l.service_request_id))
  AND l.requested_datetime - e.requested_datetime <= INTERVAL 72 HOUR
  AND (e.settled IS NULL OR e.settled > l.requested_datetime)
  AND 2 * 6371008.8 * asin(sqrt(sin(radians(l.lat - e.lat) / 2) ^ 2
    + cos(radians(l.lat)) * cos(radians(e.lat)) * sin(radians(l.lon - e.lon) / 2) ^ 2)) <= 100"""

QUERIES = {
    "sla_compliance": _sla("coalesce(paused_h, 0) * 3600e6"),
    "sla_compliance_gross": _sla("0"),
    "median_days_to_resolve": _quantile(0.5, "days(requested_datetime, settled)", "office", "settled", SERVICE),
    "p90_days_to_resolve": _quantile(0.9, "days(requested_datetime, settled)", "office", "settled", SERVICE),
    "km_median_days": f"""WITH cohort AS (
        SELECT start, unnest({SERVICE}) AS area, coalesce(settled <= as_of, false) AS over,
          days(requested_datetime, CASE WHEN settled <= as_of THEN settled ELSE as_of END) AS d
        FROM office JOIN w ON requested_datetime >= start AND requested_datetime < stop),
      steps AS (SELECT start, area, d, sum(over::INT) AS ended,
          sum(count(*)) OVER (PARTITION BY start, area ORDER BY d DESC) AS at_risk FROM cohort GROUP BY start, area, d),
      alive AS (SELECT *, product(1 - ended / at_risk) OVER (PARTITION BY start, area ORDER BY d) AS s FROM steps)
      SELECT start, area, min(d) FILTER (s <= 0.5 + 1e-9) AS value FROM alive GROUP BY ALL""",
    "reopen_rate": _share(
        "(SELECT * FROM office WHERE status = 'closed' OR coalesce(reopened_at >= closed_at, false))", "closed_at",
        DEPARTMENT, "coalesce(days(closed_at, reopened_at) <= 30, false)",
    ),
    "cpgrams_compliance": _share(
        "(SELECT * FROM office WHERE appealed_at IS NULL OR appeal_closed_at IS NOT NULL)", "settled", ONLY_DEPARTMENT,
        """days(requested_datetime, settled)
           <= CASE WHEN here(requested_datetime)::DATE >= DATE '2024-08-23' THEN 21 ELSE 30 END""",
    ),
    "appeals_in_time": _share("office", "appeal_closed_at", ONLY_DEPARTMENT, "days(appealed_at, appeal_closed_at) <= 30"),
    "redressal_within_24h": _share(
        "(SELECT o.* FROM office o JOIN register_services s ON o.service_code = s.service_code WHERE within_24h = 'yes')",
        "requested_datetime", SERVICE,
        "CASE WHEN settled IS NOT NULL THEN days(requested_datetime, settled) <= 1 ELSE " + MISSED.format(h=24) + " END",
    ),
    "backlog": BACKLOG,
    "backlog_over_30_days": _open(f"{AGE} > 30"),
    "overdue": _open("promised + to_microseconds((coalesce(paused_h, 0) * 3600e6)::BIGINT) < upto"),
    "backlog_median_age_days": f"""WITH {ENDS} SELECT start, area, median(age) AS value FROM (
        SELECT start, unnest({DEPARTMENT}) AS area, {AGE} AS age
        FROM spells JOIN ends ON begun <= upto AND (ended IS NULL OR ended > upto)) GROUP BY ALL""",
    "clearance_rate": f"WITH {LOADS} SELECT start, area, closed / nullif(received, 0) AS value FROM loads",
    "disposal_rate": f"WITH {LOADS} SELECT start, area, closed / nullif(opened + received, 0) AS value FROM loads",
    "requests_received": f"WITH {RECEIVED} SELECT start, area, n AS value FROM received",
    "median_first_response": _quantile(0.5, "answer_h", ANSWERED, "requested_datetime", CHANNEL),
    "p90_first_response": _quantile(0.9, "answer_h", ANSWERED, "requested_datetime", CHANNEL),
    "first_response_within_target": _share(
        ANSWERED, "requested_datetime", CHANNEL,
        "CASE WHEN answer_h IS NOT NULL THEN answer_h <= 24 ELSE " + MISSED.format(h=24) + " END",
    ),
    "no_response_share": _share(ANSWERED, "requested_datetime", CHANNEL, "answer_h IS NULL"),
    "duplicate_share": _share(
        "requests", "requested_datetime", SERVICE,
        f"""coalesce(state = 'duplicate', false) OR duplicate_of IS NOT NULL
            OR service_request_id IN ({REPEATS})""",
    ),
    "satisfaction": _share("office", "settled", DEPARTMENT, "rating >= 4"),
    "mean_rating": f"""SELECT start, area, avg(rating) AS value
      FROM (SELECT start, unnest({DEPARTMENT}) AS area, rating
            FROM office JOIN w ON settled >= start AND settled < stop) GROUP BY ALL""",
    "rating_response_rate": _share("office", "settled", DEPARTMENT, "rating IS NOT NULL"),
    "complaints_per_1000": f"""WITH {RECEIVED}, {PEOPLE} SELECT start, area, n / population AS value
      FROM received JOIN people USING (area) WHERE population >= 1000""",
    "ward_complaint_ratio": f"""WITH {RECEIVED}, {PEOPLE}
      SELECT start, 'town' AS area, max(n / population) / nullif(min(n / population), 0) AS value
      FROM received JOIN people USING (area) WHERE population >= 1000 AND area <> 'town' GROUP BY ALL""",
    "open311_gaps": f"""SELECT start, area, count(*) FILTER (gap) AS value
      FROM (SELECT start, unnest({ONLY_DEPARTMENT}) AS area, service_code IS NULL OR service_name IS NULL
              OR (address IS NULL AND (lat IS NULL OR lon IS NULL)) OR (status = 'closed' AND closed_at IS NULL) AS gap
            FROM requests JOIN w ON requested_datetime >= start AND requested_datetime < stop) GROUP BY ALL""",
}  # fmt: skip
