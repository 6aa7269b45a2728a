"""The transport KPIs in DuckDB's SQL, over the rows as they came; written from the catalogue."""

import polars as pl

from pipelines.engine.model import INSTANT
from tests.oracles import readings

TEXT, NUMBER, WHOLE = pl.String, pl.Float64, pl.Int64
RUN = {"service_date": TEXT, "trip": TEXT, "route": TEXT, "direction": WHOLE, "relationship": TEXT}
SCHEMAS = readings.SCHEMAS | {
    "gtfs_trips": {"trip": TEXT, "route": TEXT, "service": TEXT, "direction": WHOLE, "headsign": TEXT},
    "gtfs_stop_times": {
        "trip": TEXT, "stop_sequence": WHOLE, "stop": TEXT, "arrival_s": WHOLE, "departure_s": WHOLE, "timepoint": pl.Boolean,
    },
    "gtfs_service_days": {"service_date": TEXT, "service": TEXT},
    "passages": RUN | {
        "stop_sequence": WHOLE, "stop": TEXT, "call": TEXT, "basis": TEXT, "observed_at": INSTANT, "arrived_at": INSTANT,
        "departed_at": INSTANT,
    },
    "trip_sightings": RUN | {"slot": INSTANT, "observed_at": INSTANT},
    "trip_updates": RUN | {"slot": INSTANT, "observed_at": INSTANT, "stamped": pl.Boolean, "delay_s": NUMBER},
    "vehicle_positions": {"vehicle": TEXT, "observed_at": INSTANT, "stamped": pl.Boolean, "trip": TEXT, "route": TEXT},
    "service_alerts": {
        "alert": TEXT, "part": WHOLE, "starts_at": INSTANT, "ends_at": INSTANT, "effect": TEXT, "route": TEXT, "trip": TEXT,
        "service_date": TEXT,
    },
    "crashes": {"crash": TEXT, "crashed_at": INSTANT, "ward": TEXT, "lat": NUMBER, "lon": NUMBER, "deaths": NUMBER},
    "arrivals": {"feed": TEXT, "observed_at": INSTANT, "outcome": TEXT, "_received": INSTANT},
    "register_road_links": {
        "asset": TEXT, "length_km": NUMBER, "free_flow_km_h": NUMBER, "vehicle_length_m": NUMBER, "detector_length_m": NUMBER,
    },
}  # fmt: skip
VIEWS = (
    readings.VIEWS
    + """
CREATE MACRO noon_less_12(day) AS timezone(zone(), day::DATE + INTERVAL 12 HOUR) - INTERVAL 12 HOUR;
CREATE MACRO since(day, seconds) AS noon_less_12(day) + to_seconds(seconds);
CREATE MACRO mins(a, b) AS (epoch_us(b) - epoch_us(a)) / 60e6;
CREATE MACRO routes(route) AS list_filter(['town', 'route:' || route], lambda a: a IS NOT NULL);
CREATE TABLE calls AS SELECT service_date AS day, s.trip, stop_sequence, stop, route, timepoint, last,
    coalesce(direction::VARCHAR, headsign) AS towards, arrival_s, departure_s,
    since(service_date, CASE WHEN last THEN arrival_s ELSE departure_s END) AS due
  FROM (SELECT *, stop_sequence = max(stop_sequence) OVER (PARTITION BY trip) AS last FROM gtfs_stop_times) s
  JOIN gtfs_trips t ON t.trip = s.trip JOIN gtfs_service_days USING (service);
CREATE TABLE runs AS SELECT day, trip, route, towards, min(since(day, departure_s)) AS begun, max(since(day, arrival_s)) AS over
  FROM calls GROUP BY ALL;
CREATE TABLE headway_due AS SELECT *, mins(lag(due) OVER (PARTITION BY day, route, towards, stop ORDER BY due), due) AS gap
  FROM calls WHERE NOT last;
CREATE TABLE told_passages AS SELECT * FROM passages
  QUALIFY row_number() OVER (PARTITION BY service_date, trip, call, basis ORDER BY came DESC) = 1;
CREATE TABLE best AS SELECT * REPLACE (coalesce(p.stop_sequence, s.stop_sequence) AS stop_sequence) FROM (
    SELECT * FROM told_passages QUALIFY row_number() OVER (PARTITION BY service_date, trip, call
      ORDER BY CASE basis WHEN 'update' THEN 0 WHEN 'stopped_at' THEN 1 ELSE 2 END) = 1) p
  LEFT JOIN (SELECT trip AS t, stop AS at_stop, stop_sequence FROM gtfs_stop_times) s ON s.t = p.trip AND s.at_stop = p.stop;
CREATE TABLE sightings AS SELECT * FROM trip_sightings
  QUALIFY row_number() OVER (PARTITION BY service_date, trip, slot ORDER BY came DESC) = 1;
CREATE TABLE updates AS SELECT * FROM trip_updates
  QUALIFY row_number() OVER (PARTITION BY service_date, trip, slot ORDER BY came DESC) = 1;
CREATE TABLE signs AS SELECT service_date AS day, trip, observed_at FROM told_passages WHERE basis <> 'estimate'
  UNION ALL SELECT service_date, trip, observed_at FROM sightings;
CREATE TABLE off AS SELECT service_date AS day, trip FROM updates GROUP BY ALL
  HAVING arg_max(coalesce(relationship, ''), observed_at) IN ('CANCELED', 'DELETED');
CREATE TABLE silences AS SELECT * FROM (
    SELECT lag(observed_at) OVER (ORDER BY observed_at) AS since_at, observed_at AS until_at FROM told_passages)
  WHERE until_at - since_at > INTERVAL 10 MINUTE
    AND (SELECT count(*) FROM headway_due WHERE due >= since_at AND due < until_at) >= 5;
CREATE TABLE headways AS SELECT route, towards, stop, observed_at, h, gap FROM (
    SELECT *, mins(lag(observed_at) OVER place, observed_at) AS h, lag(observed_at) OVER place AS before,
      lag(trip) OVER place AS earlier FROM (
      SELECT p.service_date AS day, p.trip, observed_at, gap, coalesce(d.route, p.route) AS route,
        coalesce(d.towards, p.direction::VARCHAR, '') AS towards, coalesce(d.stop, p.stop) AS stop
      FROM best p LEFT JOIN headway_due d ON d.day = p.service_date AND d.trip = p.trip AND d.stop_sequence = p.stop_sequence
      WHERE NOT EXISTS (FROM calls c WHERE c.last AND c.trip = p.trip AND c.stop_sequence = p.stop_sequence))
    WINDOW place AS (PARTITION BY day, route, towards, stop ORDER BY observed_at)) x
  WHERE h IS NOT NULL AND trip <> earlier
    AND NOT EXISTS (FROM silences WHERE before < until_at AND since_at < observed_at);
CREATE VIEW on_links AS SELECT g.* EXCLUDE (asset), l.* FROM good g LEFT JOIN register_road_links own USING (asset)
  JOIN register_road_links l ON l.asset = coalesce(own.asset, g.parent);
CREATE MACRO square(lat, lon) AS CASE
  WHEN lat IS NULL OR lon IS NULL OR lat NOT BETWEEN 0 AND 1 THEN NULL
  WHEN lon > 1.4 AND lon < 1.6 AND lat > 0.4 AND lat < 0.6 THEN NULL
  WHEN lon < 1 THEN 'W1' WHEN lon < 2 THEN 'W2' WHEN lon < 3 THEN 'W3' END;
CREATE VIEW accidents AS SELECT * REPLACE (coalesce(ward, square(lat, lon)) AS ward) FROM crashes
  QUALIFY row_number() OVER (PARTITION BY crash ORDER BY came DESC) = 1;
"""
)


def _over(rows: str, value: str, areas: str = "routes(route)") -> str:
    return f"SELECT start, area, {value} AS value FROM (SELECT *, unnest({areas}) AS area FROM {rows}) GROUP BY ALL"


STOPS = "list_filter(['town', 'route:' || route, 'stop:' || stop], lambda a: a IS NOT NULL)"
LINKS = "['town', 'asset:' || asset]"
ON_TIME = f"""WITH seen AS (SELECT start, c.route, c.stop, epoch_us(CASE WHEN c.last THEN arrived_at
      ELSE coalesce(departed_at, arrived_at, observed_at) END) - epoch_us(due) AS late_us
    FROM best p JOIN calls c ON c.day = p.service_date AND c.trip = p.trip AND c.stop_sequence = p.stop_sequence AND timepoint
    JOIN w ON observed_at >= start AND observed_at < stop WHERE coalesce(relationship, 'SCHEDULED') = 'SCHEDULED')
  {_over("seen", "avg((late_us BETWEEN -60e6 AND 300e6)::INT)", STOPS)}""".replace(
    "observed_at < stop WHERE", "observed_at < w.stop WHERE"
)
JUDGED = """trips AS (SELECT start, r.*, o.trip IS NOT NULL AS off, o.trip IS NULL AND EXISTS (
        FROM signs s WHERE s.day = r.day AND s.trip = r.trip) AS ran,
      EXISTS (FROM signs s WHERE s.observed_at >= r.begun AND s.observed_at <= least(r.over, as_of)) AS watched
    FROM runs r JOIN w ON r.begun + INTERVAL 15 MINUTE >= start AND r.begun + INTERVAL 15 MINUTE < stop
      AND r.begun + INTERVAL 15 MINUTE <= as_of LEFT JOIN off o USING (day, trip)),
  watch AS (SELECT start, 100 * avg(watched::INT) > 95 AS watching FROM trips GROUP BY start)"""
COVERAGE = f"""WITH live AS (SELECT DISTINCT start, service_date AS day, trip FROM (
      SELECT service_date, trip, observed_at FROM sightings
      UNION ALL SELECT service_date, trip, observed_at FROM updates WHERE stamped)
    JOIN w ON observed_at >= start AND observed_at < stop),
  active AS (SELECT w.start, r.route, l.trip IS NOT NULL AS live FROM runs r JOIN w
      ON r.begun + INTERVAL 3 MINUTE < as_of AND r.over - INTERVAL 3 MINUTE > w.start
    LEFT JOIN live l ON l.start = w.start AND l.day = r.day AND l.trip = r.trip
    WHERE NOT EXISTS (FROM off o WHERE o.day = r.day AND o.trip = r.trip))
  {_over("active", "avg(live::INT)")}"""
ANNOUNCED = f"""WITH {JUDGED}, alerts AS (SELECT * FROM service_alerts
    QUALIFY row_number() OVER (PARTITION BY alert, part ORDER BY came DESC) = 1),
  away AS (SELECT t.start, t.route, off OR EXISTS (FROM alerts a WHERE effect IN ('NO_SERVICE', 'REDUCED_SERVICE')
      AND (a.starts_at IS NULL OR a.starts_at <= t.begun) AND (a.ends_at IS NULL OR a.ends_at > t.begun)
      AND ((a.trip = t.trip AND coalesce(a.service_date, t.day) = t.day) OR (a.trip IS NULL AND a.route = t.route))) AS told
    FROM trips t JOIN watch USING (start) WHERE watching AND NOT ran)
  {_over("away", "avg(told::INT)")}"""
SEEN = "(SELECT w.start, headways.* FROM headways JOIN w ON observed_at >= w.start AND observed_at < w.stop)"
PROMISED = """(SELECT w.start, route, towards, d.stop, gap FROM headway_due d JOIN w
  ON due >= w.start AND due < w.stop AND due <= as_of WHERE gap IS NOT NULL)"""
ADHERENCE = f"""WITH stops AS (SELECT start, route, towards, stop, stddev_samp(h - gap) / avg(gap) AS cvh, count(*) AS n
    FROM {SEEN} WHERE gap IS NOT NULL GROUP BY ALL HAVING count(*) >= 5)
  {_over("stops", "sum(cvh * n) / sum(n)")}"""
EXCESS = f"""WITH frequent AS (SELECT start, route, towards, stop FROM {PROMISED} GROUP BY ALL HAVING avg(gap) <= 12),
  waited AS ({_over(f"(SELECT * FROM {SEEN} SEMI JOIN frequent USING (start, route, towards, stop))", "sum(h * h) / (2 * sum(h))")}),
  due AS ({_over(f"(SELECT * FROM {PROMISED} SEMI JOIN frequent USING (start, route, towards, stop))", "sum(gap * gap) / (2 * sum(gap))")})
  SELECT start, area, waited.value - due.value AS value FROM waited JOIN due USING (start, area)"""
BUNCHING_NOW = f"""WITH delays AS (SELECT start, service_date AS day, trip, arg_max(delay_s, observed_at) AS delay FROM updates
    JOIN w ON observed_at >= as_of - INTERVAL 5 MINUTE AND observed_at <= as_of
    WHERE delay_s IS NOT NULL AND coalesce(relationship, '') NOT IN ('CANCELED', 'DELETED') GROUP BY ALL),
  spaced AS (SELECT *, mins(lag(begun) OVER (PARTITION BY day, route, towards ORDER BY begun), begun) AS gap FROM runs),
  running AS (SELECT w.start, s.*, s.begun + to_microseconds((delay * 1e6)::BIGINT) AS now_at FROM spaced s
    JOIN delays d USING (day, trip) JOIN w ON w.start = d.start
    WHERE s.begun <= as_of AND s.over > as_of - INTERVAL 1 HOUR AND s.over + to_microseconds((delay * 1e6)::BIGINT) > as_of),
  pairs AS (SELECT *, mins(lag(now_at) OVER (PARTITION BY start, day, route, towards ORDER BY begun), now_at) AS h FROM running)
  {_over("pairs", "avg((h < 0.5 * gap)::INT)")}"""
FEEDS = "['town', 'feed:' || feed]"
FRESH = f"""WITH recent AS (SELECT start, as_of, v.* FROM (SELECT * FROM vehicle_positions
      QUALIFY row_number() OVER (PARTITION BY vehicle, observed_at ORDER BY came DESC) = 1) v
    JOIN w ON observed_at >= as_of - INTERVAL 1 HOUR AND observed_at <= as_of),
  newest AS (SELECT * FROM recent QUALIFY row_number() OVER (PARTITION BY start, vehicle ORDER BY observed_at DESC) = 1)
  {_over("(SELECT * FROM newest WHERE trip IS NOT NULL)", "avg((stamped AND as_of - observed_at <= INTERVAL 90 SECOND)::INT)")}"""


def _road(quantity: str) -> str:
    return f"(SELECT start, on_links.* FROM on_links JOIN w ON observed_at >= start AND observed_at < stop WHERE quantity = '{quantity}')"


HARMONIC = "count(*) FILTER (value > 0) / nullif(sum(1 / nullif(value, 0)), 0)"
VOLUME = f"""WITH each AS (SELECT w.start, s.asset, s.ward, CASE WHEN count(g.value) = 4 THEN sum(g.value) END AS v
    FROM sensors s CROSS JOIN w LEFT JOIN good g ON g.sensor = s.sensor AND g.observed_at >= w.start AND g.observed_at < w.stop
    WHERE s.quantity = 'traffic_count' GROUP BY w.start, s.sensor, s.asset, s.ward)
  {_over("each", "CASE WHEN count(v) = count(*) THEN sum(v) END", "three(ward, asset)")}"""
PEAK = """WITH four AS (SELECT start, a.asset, a.observed_at, sum(b.value) AS volume, max(b.value) AS largest
    FROM good a JOIN w ON a.observed_at >= start AND a.observed_at < stop
    JOIN good b ON b.sensor = a.sensor AND b.observed_at >= a.observed_at AND b.observed_at < a.observed_at + INTERVAL 1 HOUR
      AND b.observed_at < stop
    WHERE a.quantity = 'traffic_count' GROUP BY ALL HAVING count(*) = 4),
  first AS (SELECT * FROM four QUALIFY row_number() OVER (PARTITION BY start, asset ORDER BY volume DESC, observed_at) = 1)
  SELECT start, 'asset:' || asset AS area, volume / nullif(4 * largest, 0) AS value FROM first"""
FREE_FLOW = f"""WITH speeds AS (SELECT start, asset, coalesce(length_km, 1) AS km, free_flow_km_h, {HARMONIC} AS v
    FROM {_road("traffic_speed_km_h")} GROUP BY start, asset, km, free_flow_km_h)
  {_over("(SELECT * FROM speeds WHERE v IS NOT NULL)", "sum(km / free_flow_km_h) / sum(km / v)", LINKS)}"""
DENSITY = f"""WITH direct AS (SELECT start, asset, avg(10 * value / (coalesce(vehicle_length_m, 4.5) + coalesce(detector_length_m, 2)))
      AS value FROM {_road("traffic_occupancy_pct")} GROUP BY ALL),
  flows AS (SELECT start, asset, 4 * sum(value) / count(DISTINCT observed_at) AS flow FROM {_road("traffic_count")} GROUP BY ALL),
  speeds AS (SELECT start, asset, {HARMONIC} AS v FROM {_road("traffic_speed_km_h")} GROUP BY ALL)
  SELECT start, 'asset:' || asset AS area, coalesce(direct.value, flow / v) AS value
  FROM direct FULL JOIN (SELECT start, asset, flow, v FROM flows JOIN speeds USING (start, asset)) USING (start, asset)"""


def _reliability(index: str) -> str:
    return f"""WITH links AS (SELECT start, asset, 3600 * length_km / free_flow_km_h AS free, avg(value) AS m,
        quantile_cont(value, 0.95) AS p95 FROM {_road("travel_time_s")}
      WHERE hour(here(observed_at)) IN (7, 8, 16, 17, 18) GROUP BY start, asset, free HAVING count(*) >= 30)
      {_over("(SELECT * FROM links WHERE free IS NOT NULL)", f"sum(({index}) * free) / sum(free)", LINKS)}"""


CRASHED = "(SELECT * FROM accidents JOIN w ON crashed_at >= start AND crashed_at < stop)"
QUERIES = {
    "on_time_performance": ON_TIME,
    "service_delivered": f"WITH {JUDGED} "
    + _over("(SELECT * FROM trips JOIN watch USING (start) WHERE ran OR off OR watching)", "avg(ran::INT)"),
    "realtime_coverage": COVERAGE,
    "cancellations_announced": ANNOUNCED,
    "headway_adherence": ADHERENCE,
    "excess_waiting_time": EXCESS,
    "bunched_headways": _over(SEEN, "avg((h < 0.25 * gap)::INT)"),
    "long_gaps": _over(SEEN, "avg((h > 2 * gap AND gap > 0)::INT)"),
    "bunching_now": BUNCHING_NOW,
    "feed_age": _over(
        """(SELECT start, feed, greatest(epoch(as_of - max(observed_at)), 0) AS age FROM arrivals JOIN w ON _received <= as_of
            WHERE outcome = 'landed' AND feed IN ('positions', 'trips') GROUP BY start, as_of, feed)""",
        "max(age)", FEEDS,
    ),
    "invalid_responses": _over(
        """(SELECT * FROM arrivals JOIN w ON _received >= start AND _received < stop WHERE feed IN ('positions', 'trips'))""",
        "avg((outcome <> 'landed')::INT)", FEEDS,
    ),
    "fresh_vehicles": FRESH,
    "traffic_volume": VOLUME,
    "peak_hour_factor": PEAK,
    "space_mean_speed": _over(_road("traffic_speed_km_h"), HARMONIC, LINKS),
    "speed_of_free_flow": FREE_FLOW,
    "traffic_density": DENSITY,
    "travel_time_index": _reliability("m / free"),
    "planning_time_index": _reliability("p95 / free"),
    "buffer_index": _reliability("(p95 - m) / m"),
    "congested_time": _over(
        f"(SELECT * FROM {_road('traffic_speed_km_h')} WHERE hour(here(observed_at)) BETWEEN 6 AND 21)",
        "avg((value < 0.9 * free_flow_km_h)::INT)", LINKS,
    ),
    "road_deaths": f"""WITH people AS (SELECT 'ward:' || ward AS area, population FROM register_wards
        UNION ALL SELECT 'town', sum(population) FROM register_wards),
      deaths AS ({_over(CRASHED, "sum(deaths)", "places(ward, NULL, NULL)")})
      SELECT start, area, value / nullif(population, 0) AS value FROM deaths JOIN people USING (area)""",
    "crash_severity": _over(CRASHED, "sum(deaths) / count(*)", "places(ward, NULL, NULL)"),
}  # fmt: skip
