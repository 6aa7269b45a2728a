"""The transport KPIs in plain Python, written from the catalogue."""

import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.oracles.agreement import Dirty
from tests.oracles.dirt import square
from tests.oracles.plain import (
    HOUR,
    Row,
    Rows,
    Span,
    areas,
    deviation,
    divided,
    grouped,
    latest,
    local,
    mean,
    per_area,
    percentile,
    shared,
    total,
)  # fmt: skip
from tests.oracles.readings import good, sensors
from tests.oracles.transport_data import MIDNIGHTS

Values = dict[str, float | None]
ROUTES = ("town", "route")
RANK = {"update": 0, "stopped_at": 1, "estimate": 2}
Key = tuple[str, str]


# --- the promise and what was seen


def calls(dirty: Dirty) -> Rows:
    """Every scheduled call of every service day with the instant it is due."""
    return dirty.kept("calls", lambda: _calls(dirty))


def _calls(dirty: Dirty) -> Rows:
    trips = {row["trip"]: row for row in dirty.rows("gtfs_trips")}
    times = grouped(dirty.rows("gtfs_stop_times"), "trip")
    found = []
    for day in dirty.rows("gtfs_service_days"):
        midnight = MIDNIGHTS[day["service_date"]]
        for trip, own in times.items():
            towards = trips[trip]["headsign"] if trips[trip]["direction"] is None else str(trips[trip]["direction"])
            last = max(row["stop_sequence"] for row in own)
            for row in own:
                ends = row["stop_sequence"] == last
                due = midnight + timedelta(seconds=row["arrival_s"] if ends else row["departure_s"])
                found.append({
                    **row, "day": day["service_date"], "route": trips[trip]["route"], "towards": towards, "last": ends,
                    "due": due,
                })  # fmt: skip
    return found


def runs(dirty: Dirty) -> Rows:
    """Every scheduled trip of every day: when it starts and ends."""
    midnight = MIDNIGHTS
    return dirty.kept("runs", lambda: [
        {
            **own[0], "starts": midnight[day] + timedelta(seconds=min(r["departure_s"] for r in own)),
            "ends": midnight[day] + timedelta(seconds=max(r["arrival_s"] for r in own)),
        }
        for (day, _), own in grouped(calls(dirty), "day", "trip").items()
    ])  # fmt: skip


def due_headways(dirty: Dirty) -> dict[tuple[str, str, int], Row]:
    """The calls that are no last ones, with the gap to the bus before at the same stop, route, direction and day."""

    def made() -> dict[tuple[str, str, int], Row]:
        found = {}
        places = grouped((row for row in calls(dirty) if not row["last"]), "day", "route", "towards", "stop")
        for own in places.values():
            ordered = sorted(own, key=lambda row: row["due"])
            for before, row in zip([None, *ordered], ordered, strict=False):
                gap = None if before is None else (row["due"] - before["due"]) / timedelta(minutes=1)
                found[row["day"], row["trip"], row["stop_sequence"]] = {**row, "gap": gap}
        return found

    return dirty.kept("due headways", made)


def passages(dirty: Dirty) -> Rows:
    """One per call: the best evidence; the sequence from the stop where the feed gave none."""

    def made() -> Rows:
        sequence = {(row["trip"], row["stop"]): row["stop_sequence"] for row in dirty.rows("gtfs_stop_times")}
        best: dict[tuple[str, str, str], dict[str, Any]] = {}
        for row in latest(dirty.rows("passages"), "service_date", "trip", "call", "basis"):
            known = row["stop_sequence"] or sequence.get((row["trip"], row["stop"]))
            key = (row["service_date"], row["trip"], row["call"])
            if key not in best or RANK[row["basis"]] < RANK[best[key]["basis"]]:
                best[key] = {**row, "stop_sequence": known}
        return list(best.values())

    return dirty.kept("passages", made)


def on_time_performance(dirty: Dirty, span: Span) -> Values:
    plan = {(row["day"], row["trip"], row["stop_sequence"]): row for row in calls(dirty) if row["timepoint"]}
    rows = []
    for row in passages(dirty):
        due = plan.get((row["service_date"], row["trip"], row["stop_sequence"]))
        if due is None or not span.holds(row["observed_at"]) or row["relationship"] not in (None, "SCHEDULED"):
            continue
        left = row["departed_at"] or row["arrived_at"] or row["observed_at"]
        actual = row["arrived_at"] if due["last"] else left
        late = None if actual is None else (actual - due["due"]).total_seconds()
        rows.append({"route": due["route"], "stop": due["stop"], "ok": None if late is None else -60 <= late <= 300})
    return per_area(rows, ("town", "route", "stop"), lambda own: shared(row["ok"] for row in own))


def signs(dirty: Dirty) -> list[tuple[Key, datetime]]:
    def made() -> list[tuple[Key, datetime]]:
        rows = [
            row
            for row in latest(dirty.rows("passages"), "service_date", "trip", "call", "basis")
            if row["basis"] != "estimate"
        ]
        rows += latest(dirty.rows("trip_sightings"), "service_date", "trip", "slot")
        return [((row["service_date"], row["trip"]), row["observed_at"]) for row in rows]

    return dirty.kept("signs", made)


def updates(dirty: Dirty) -> Rows:
    rows = dirty.kept("updates", lambda: latest(dirty.rows("trip_updates"), "service_date", "trip", "slot"))
    return list(rows)


def cancelled(dirty: Dirty) -> set[Key]:
    def made() -> set[Key]:
        newest = latest(sorted(updates(dirty), key=lambda row: row["observed_at"]), "service_date", "trip")
        return {(r["service_date"], r["trip"]) for r in newest if r["relationship"] in ("CANCELED", "DELETED")}

    return dirty.kept("cancelled", made)


def judged(dirty: Dirty, span: Span) -> tuple[Rows, bool]:
    """The trips due in the window (begun a quarter of an hour ago), and whether the feed watched over 95 % of them."""
    seen, times = {key for key, _ in signs(dirty)}, sorted(at for _, at in signs(dirty))
    rows = []
    for run in runs(dirty):
        due, key = run["starts"] + timedelta(minutes=15), (run["day"], run["trip"])
        if not span.holds(due) or due > span.as_of:
            continue
        off = key in cancelled(dirty)
        until = min(run["ends"], span.as_of)
        watched = any(run["starts"] <= at <= until for at in times)
        rows.append({**run, "off": off, "ran": key in seen and not off, "watched": watched})
    return rows, bool(rows) and 100 * sum(row["watched"] for row in rows) / len(rows) > 95


def service_delivered(dirty: Dirty, span: Span) -> Values:
    rows, watched = judged(dirty, span)
    known = [row for row in rows if row["ran"] or row["off"] or watched]
    return per_area(known, ROUTES, lambda own: sum(row["ran"] for row in own) / len(own))


def realtime_coverage(dirty: Dirty, span: Span) -> Values:
    rows = latest(dirty.rows("trip_sightings"), "service_date", "trip", "slot") + [
        r for r in updates(dirty) if r["stamped"]
    ]
    live = {(row["service_date"], row["trip"]) for row in rows if span.holds(row["observed_at"])}
    grace, found = timedelta(minutes=3), []
    for run in runs(dirty):
        key = (run["day"], run["trip"])
        if key not in cancelled(dirty) and run["starts"] + grace < span.as_of and run["ends"] - grace > span.start:
            found.append({**run, "live": key in live})
    return per_area(found, ROUTES, lambda own: shared(row["live"] for row in own))


def told(dirty: Dirty, run: Row) -> bool:
    for alert in latest(dirty.rows("service_alerts"), "alert", "part"):
        by_trip = alert["trip"] == run["trip"] and alert.get("service_date") in (None, run["day"])
        by_route = alert["trip"] is None and alert["route"] is not None and alert["route"] == run["route"]
        begun = alert["starts_at"] is None or alert["starts_at"] <= run["starts"]
        still = alert["ends_at"] is None or alert["ends_at"] > run["starts"]
        if alert["effect"] in ("NO_SERVICE", "REDUCED_SERVICE") and begun and still and (by_trip or by_route):
            return True
    return False


def cancellations_announced(dirty: Dirty, span: Span) -> Values:
    rows, watched = judged(dirty, span)
    away = [{**row, "told": row["off"] or told(dirty, row)} for row in rows if not row["ran"]]
    return per_area(away, ROUTES, lambda own: shared(row["told"] for row in own)) if watched else {}


# --- regularity


def headways(dirty: Dirty) -> Rows:
    """The gap to the bus before at each stop, and the one promised; none across a silence of the feed."""

    def made() -> Rows:
        promised, last = due_headways(dirty), {(r["trip"], r["stop_sequence"]) for r in calls(dirty) if r["last"]}
        places: dict[tuple[Any, ...], Rows] = {}
        for row in passages(dirty):
            due = promised.get((row["service_date"], row["trip"], row["stop_sequence"]))
            if (row["trip"], row["stop_sequence"]) in last:
                continue
            towards = due["towards"] if due else "" if row["direction"] is None else str(row["direction"])
            place = (
                row["service_date"],
                due["route"] if due else row["route"],
                towards,
                due["stop"] if due else row["stop"],
            )
            places.setdefault(place, []).append({**row, "gap": due["gap"] if due else None})
        silences, found = _silences(dirty), []
        for (_, route, towards, stop), own in places.items():
            ordered = sorted(own, key=lambda row: row["observed_at"])
            for before, row in pairwise(ordered):
                began, at = before["observed_at"], row["observed_at"]
                if before["trip"] == row["trip"] or any(began < until and since < at for since, until in silences):
                    continue
                found.append({
                    "route": route, "towards": towards, "stop": stop, "at": at, "gap": row["gap"],
                    "h": (at - began) / timedelta(minutes=1),
                })  # fmt: skip
        return found

    return dirty.kept("headways", made)


def _silences(dirty: Dirty) -> list[tuple[datetime, datetime]]:
    """Over ten minutes without a passage in town although five calls or more were due."""
    rows = latest(dirty.rows("passages"), "service_date", "trip", "call", "basis")
    times = sorted(row["observed_at"] for row in rows)
    due = [row["due"] for row in due_headways(dirty).values()]
    return [
        (since, until) for since, until in pairwise(times)
        if until - since > timedelta(minutes=10) and sum(since <= at < until for at in due) >= 5
    ]  # fmt: skip


def promised_in(dirty: Dirty, span: Span) -> Rows:
    return [
        r
        for r in due_headways(dirty).values()
        if span.holds(r["due"]) and r["due"] <= span.as_of and r["gap"] is not None
    ]


def headway_adherence(dirty: Dirty, span: Span) -> Values:
    rows = [row for row in headways(dirty) if span.holds(row["at"]) and row["gap"] is not None]
    stops = []
    for (route, _, _), own in grouped(rows, "route", "towards", "stop").items():
        if len(own) >= 5:
            spread = deviation([row["h"] - row["gap"] for row in own]) or 0.0
            stops.append({"route": route, "cvh": spread / (total(own, "gap") / len(own)), "n": len(own)})
    return per_area(stops, ROUTES, lambda own: math.fsum(r["cvh"] * r["n"] for r in own) / total(own, "n"))


def excess_waiting_time(dirty: Dirty, span: Span) -> Values:
    promised = promised_in(dirty, span)
    places = grouped(promised, "route", "towards", "stop")
    frequent = {place for place, own in places.items() if total(own, "gap") / len(own) <= 12}
    seen = [r for r in headways(dirty) if span.holds(r["at"]) and (r["route"], r["towards"], r["stop"]) in frequent]
    kept = [r for r in promised if (r["route"], r["towards"], r["stop"]) in frequent]
    actual = per_area(seen, ROUTES, lambda own: wait(row["h"] for row in own))
    due = per_area(kept, ROUTES, lambda own: wait(row["gap"] for row in own))
    return {
        area: waited - due[area] for area, waited in actual.items() if waited is not None and due.get(area) is not None
    }


def wait(gaps: Iterable[float]) -> float | None:
    known = list(gaps)
    return divided(math.fsum(gap * gap for gap in known), 2 * math.fsum(known))


def gaps(dirty: Dirty, span: Span, judge: Callable[[float, float], bool]) -> Values:
    rows = [row for row in headways(dirty) if span.holds(row["at"])]
    return per_area(
        rows, ROUTES, lambda own: shared(None if r["gap"] is None else judge(r["h"], r["gap"]) for r in own)
    )


def bunching_now(dirty: Dirty, span: Span) -> Values:
    delays: dict[Key, tuple[datetime, float]] = {}
    for row in updates(dirty):
        recent = span.as_of - timedelta(minutes=5) <= row["observed_at"] <= span.as_of
        if recent and row["delay_s"] is not None and row["relationship"] not in ("CANCELED", "DELETED"):
            key = (row["service_date"], row["trip"])
            delays[key] = max(
                delays.get(key, (row["observed_at"], row["delay_s"])), (row["observed_at"], row["delay_s"])
            )
    found = []
    for own in grouped(runs(dirty), "day", "route", "towards").values():
        ordered, before, earlier = sorted(own, key=lambda run: run["starts"]), None, None
        for run in ordered:
            scheduled = None if earlier is None else (run["starts"] - earlier) / timedelta(minutes=1)
            earlier, key = run["starts"], (run["day"], run["trip"])
            if key not in delays or run["starts"] > span.as_of or run["ends"] <= span.as_of - HOUR:
                continue
            late = timedelta(seconds=delays[key][1])
            if run["ends"] + late <= span.as_of:
                continue
            if before is not None:
                found.append(
                    {
                        "route": run["route"],
                        "h": (run["starts"] + late - before) / timedelta(minutes=1),
                        "gap": scheduled,
                    }
                )
            before = run["starts"] + late
    return per_area(found, ROUTES, lambda own: shared(row["h"] < 0.5 * row["gap"] for row in own))


# --- the feed itself


def arrivals(dirty: Dirty) -> Rows:
    return [row for row in dirty.rows("arrivals") if row["feed"] in ("positions", "trips")]


def feed_age(dirty: Dirty, span: Span) -> Values:
    newest: dict[str, datetime] = {}
    for row in arrivals(dirty):
        if row["outcome"] == "landed" and row["_received"] <= span.as_of:
            newest[row["feed"]] = max(newest.get(row["feed"], row["observed_at"]), row["observed_at"])
    rows = [{"feed": feed, "age": max((span.as_of - at).total_seconds(), 0.0)} for feed, at in newest.items()]
    return per_area(rows, ("town", "feed"), lambda own: max(row["age"] for row in own))


def invalid_responses(dirty: Dirty, span: Span) -> Values:
    rows = [row for row in arrivals(dirty) if span.holds(row["_received"])]
    return per_area(rows, ("town", "feed"), lambda own: shared(row["outcome"] != "landed" for row in own))


def fresh_vehicles(dirty: Dirty, span: Span) -> Values:
    fixes = latest(dirty.rows("vehicle_positions"), "vehicle", "observed_at")
    recent = [row for row in fixes if span.as_of - HOUR <= row["observed_at"] <= span.as_of]
    newest = latest(sorted(recent, key=lambda row: row["observed_at"]), "vehicle")
    on_trip = [row for row in newest if row["trip"] is not None]
    fresh = lambda row: row["stamped"] and (span.as_of - row["observed_at"]).total_seconds() <= 90  # noqa: E731
    return per_area(on_trip, ROUTES, lambda own: shared(map(fresh, own)))


# --- roads


def links(dirty: Dirty, rows: Iterable[Row]) -> Rows:
    """The rows on their road link, with what its register says."""
    known = {one["asset"]: one for one in dirty.register("road_links")}
    parents = {one["asset"]: one["parent"] for one in dirty.register("assets")}
    named = ((row, row["asset"] if row["asset"] in known else parents[row["asset"]]) for row in rows)
    return [{**row, **known[link]} for row, link in named if link in known]


def inside(dirty: Dirty, quantity: str, span: Span) -> Rows:
    return [row for row in good(dirty, quantity) if span.holds(row["observed_at"])]


def traffic_volume(dirty: Dirty, span: Span) -> Values:
    counts = grouped(inside(dirty, "traffic_count", span), "sensor")
    rows = []
    for one in sensors(dirty):
        if one["quantity"] == "traffic_count":
            own = counts.get(one["sensor"], [])
            rows.append({**one, "v": total(own, "value") if len(own) == 4 else None})
    whole = lambda own: None if any(row["v"] is None for row in own) else total(own, "v")  # noqa: E731
    return per_area(rows, ("town", "ward", "asset"), whole)


def peak_hour_factor(dirty: Dirty, span: Span) -> Values:
    found: Values = {}
    for asset, own in grouped(inside(dirty, "traffic_count", span), "asset").items():
        bins = {row["observed_at"]: row["value"] for row in own}
        hours = []
        for at in sorted(bins):
            four = [bins.get(at + timedelta(minutes=15 * n)) for n in range(4)]
            if None not in four:
                hours.append((sum(four), -at.timestamp(), max(four)))
        volume, _, largest = max(hours) if hours else (None, None, None)
        found[f"asset:{asset}"] = divided(volume, 4 * largest) if hours else None
    return found


def harmonic(rows: Rows) -> float | None:
    moving = [row["value"] for row in rows if row["value"] > 0]
    return divided(len(moving), math.fsum(1 / speed for speed in moving))


def space_mean_speed(dirty: Dirty, span: Span) -> Values:
    return per_area(links(dirty, inside(dirty, "traffic_speed_km_h", span)), ("town", "asset"), harmonic)


def speed_of_free_flow(dirty: Dirty, span: Span) -> Values:
    rows = []
    for asset, own in grouped(links(dirty, inside(dirty, "traffic_speed_km_h", span)), "asset").items():
        speed, length = harmonic(own), own[0]["length_km"] or 1.0
        if speed is not None:
            rows.append({"asset": asset, "free": length / own[0]["free_flow_km_h"], "now": length / speed})
    return per_area(rows, ("town", "asset"), lambda own: total(own, "free") / total(own, "now"))


def traffic_density(dirty: Dirty, span: Span) -> Values:
    found: Values = {}
    speeds = grouped(links(dirty, inside(dirty, "traffic_speed_km_h", span)), "asset")
    for asset, own in grouped(links(dirty, inside(dirty, "traffic_count", span)), "asset").items():
        flow = 4 * total(own, "value") / len({row["observed_at"] for row in own})
        found[f"asset:{asset}"] = divided(flow, harmonic(speeds.get(asset, [])))
    for asset, own in grouped(links(dirty, inside(dirty, "traffic_occupancy_pct", span)), "asset").items():
        length = (own[0]["vehicle_length_m"] or 4.5) + (own[0]["detector_length_m"] or 2.0)
        found[f"asset:{asset}"] = mean(10 * row["value"] / length for row in own)
    return found


def reliability(dirty: Dirty, span: Span, index: Callable[[list[float], float | None], float | None]) -> Values:
    peak = [
        r
        for r in inside(dirty, "travel_time_s", span)
        if local(r["observed_at"], dirty.zone).hour in (7, 8, 16, 17, 18)
    ]
    rows = []
    for asset, own in grouped(links(dirty, peak), "asset").items():
        free = divided(own[0]["length_km"], own[0]["free_flow_km_h"])
        value = index([row["value"] for row in own], None if free is None else 3600 * free)
        if len(own) >= 30 and value is not None:
            rows.append({"asset": asset, "index": value, "weight": None if free is None else 3600 * free})
    known = [row for row in rows if row["weight"] is not None]
    return per_area(
        known, ("town", "asset"), lambda own: math.fsum(r["index"] * r["weight"] for r in own) / total(own, "weight")
    )


def p95(times: list[float]) -> float:
    return percentile(times, 0.95) or 0.0


def congested_time(dirty: Dirty, span: Span) -> Values:
    day = [r for r in inside(dirty, "traffic_speed_km_h", span) if 6 <= local(r["observed_at"], dirty.zone).hour < 22]
    slow = lambda row: row["value"] < 0.9 * row["free_flow_km_h"]  # noqa: E731
    return per_area(links(dirty, day), ("town", "asset"), lambda own: shared(map(slow, own)))


def crashes(dirty: Dirty, span: Span) -> Rows:
    rows = latest(dirty.rows("crashes"), "crash")
    return [{**r, "ward": r["ward"] or square(r["lat"], r["lon"])} for r in rows if span.holds(r["crashed_at"])]


def road_deaths(dirty: Dirty, span: Span) -> Values:
    people = {f"ward:{one['ward']}": one["population"] for one in dirty.register("wards")}
    people["town"] = sum(people.values())
    return {
        a: divided(total(own, "deaths"), people[a]) for a, own in areas(crashes(dirty, span), ("town", "ward")).items()
    }


def crash_severity(dirty: Dirty, span: Span) -> Values:
    return per_area(crashes(dirty, span), ("town", "ward"), lambda own: total(own, "deaths") / len(own))


def average(times: list[float]) -> float:
    return math.fsum(times) / len(times)


ORACLES: dict[str, Callable[[Dirty, Span], Values]] = {
    "bunched_headways": lambda d, s: gaps(d, s, lambda h, gap: h < 0.25 * gap),
    "long_gaps": lambda d, s: gaps(d, s, lambda h, gap: h > 2 * gap > 0),
    "travel_time_index": lambda d, s: reliability(d, s, lambda t, free: divided(average(t), free)),
    "planning_time_index": lambda d, s: reliability(d, s, lambda t, free: divided(p95(t), free)),
    "buffer_index": lambda d, s: reliability(d, s, lambda t, _: divided(p95(t) - average(t), average(t))),
    **{
        oracle.__name__: oracle
        for oracle in (
            on_time_performance, service_delivered, realtime_coverage, cancellations_announced, headway_adherence,
            excess_waiting_time, bunching_now, feed_age, fresh_vehicles, invalid_responses, traffic_volume,
            peak_hour_factor, space_mean_speed, speed_of_free_flow, traffic_density, congested_time, road_deaths,
            crash_severity,
        )
    },
}  # fmt: skip
