"""The water KPIs in plain Python, written from the catalogue."""

import math
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracles.agreement import Dirty
from tests.oracles.plain import (
    DAY,
    HOUR,
    Row,
    Rows,
    Span,
    divided,
    grouped,
    latest,
    local,
    mean,
    per_area,
    shared,
    total,
)
from tests.oracles.readings import daily, good, hourly, sensors

Values = dict[str, float | None]
ALL = ("town", "ward", "asset")


def dma_of(dirty: Dirty) -> dict[str, str]:
    """The district metered area that an asset belongs to; itself where it has none."""
    every = {one["asset"]: one for one in dirty.register("assets")}
    dmas = {name for name, one in every.items() if one["kind"] == "dma"}
    return {name: one["parent"] if one["parent"] in dmas else name for name, one in every.items()}


def at_dma(dirty: Dirty, rows: Iterable[Row]) -> Rows:
    own = dma_of(dirty)
    return [{**row, "asset": own[row["asset"]]} for row in rows]


def in_served_areas(dirty: Dirty, rows: Iterable[Row], *amounts: str) -> dict[str, Rows]:
    """Rows of metered areas by town, asset and the wards served, to which the amounts fall in equal parts."""
    wards: dict[str, set[Any]] = {}
    for one in dirty.register("assets"):
        area = one["asset"] if one["kind"] == "dma" else one["parent"]
        if area and one["ward"]:
            wards.setdefault(area, set()).add(one["ward"])
    found: dict[str, Rows] = {}
    for row in rows:
        found.setdefault("town", []).append(dict(row))
        found.setdefault(f"asset:{row['asset']}", []).append(dict(row))
        parts = wards[row["asset"]]
        for ward in parts:
            found.setdefault(f"ward:{ward}", []).append({**row, **{n: row[n] / len(parts) for n in amounts}})
    return found


# --- volumes


def volumes(dirty: Dirty) -> Rows:
    """Water into each area per local day: mean flow times the hours of that day; only with all inlets."""
    inlets = grouped((one for one in sensors(dirty) if one["quantity"] == "inflow_m3_h"), "asset")
    days = grouped(
        (row for row in daily(dirty, "inflow_m3_h") if row["n"] >= 0.75 * row["expected"]), "asset", "observed_at"
    )
    found = []
    for (asset, at), own in days.items():
        begin = local(at, dirty.zone)
        following = datetime.combine(begin.date() + DAY, begin.time(), ZoneInfo(dirty.zone))
        hours = (following.astimezone(at.tzinfo) - at) / HOUR
        if len(own) == len(inlets[asset]):
            found.append(
                {"asset": asset, "at": at, "day": begin.date(), "m3": math.fsum(r["sum"] / r["n"] * hours for r in own)}
            )
    return found


def supply_per_head(dirty: Dirty, span: Span) -> Values:
    people = {one["asset"]: one for one in dirty.register("dmas") if one["population_served"]}
    rows = [
        {**row, "people": people[row["asset"]]["population_served"], "bulk": people[row["asset"]]["bulk_non_domestic_m3_day"] or 0.0}
        for row in volumes(dirty) if row["asset"] in people and span.holds(row["at"])
    ]  # fmt: skip
    parts = in_served_areas(dirty, rows, "m3", "people", "bulk")
    return {
        a: divided(1000 * (total(own, "m3") - total(own, "bulk")), total(own, "people")) for a, own in parts.items()
    }


def billed(dirty: Dirty) -> dict[tuple[str, date], float]:
    """Bills spread evenly over their days."""
    found: dict[tuple[str, date], float] = {}
    for row in latest(dirty.rows("water_bills"), "dma", "period_start"):
        first, last = date.fromisoformat(row["period_start"]), date.fromisoformat(row["period_end"])
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        for day in days if row["billed_m3"] is not None else []:
            found[row["dma"], day] = found.get((row["dma"], day), 0.0) + row["billed_m3"] / len(days)
    return found


def _unbilled(dirty: Dirty, start: datetime, end: datetime) -> Values:
    bills = dirty.kept("billed", lambda: billed(dirty))
    rows = [
        {**row, "billed": bills[row["asset"], row["day"]]}
        for row in volumes(dirty) if start <= row["at"] < end and (row["asset"], row["day"]) in bills
    ]  # fmt: skip
    parts = in_served_areas(dirty, rows, "m3", "billed")
    return {a: divided(total(own, "m3") - total(own, "billed"), total(own, "m3")) for a, own in parts.items()}


def non_revenue_water(dirty: Dirty, span: Span) -> Values:
    return _unbilled(dirty, span.start, span.end)


def year_before(dirty: Dirty, span: Span) -> datetime:
    """The start of the twelve months that end with this month."""
    first = local(span.start, dirty.zone)
    month = first.month - 11
    return first.replace(year=first.year - (month < 1), month=month + 12 * (month < 1)).astimezone(span.start.tzinfo)


def non_revenue_water_year(dirty: Dirty, span: Span) -> Values:
    return _unbilled(dirty, year_before(dirty, span), span.end)


# --- the network


def pressures(dirty: Dirty, span: Span) -> Rows:
    owed = {one["asset"]: one for one in dirty.register("dmas")}
    rows = at_dma(dirty, (row for row in good(dirty, "pressure_m") if span.holds(row["observed_at"])))
    return [
        {**row, "ok": row["value"] >= (owed[row["asset"]]["minimum_pressure_m"] or 7.0), "connections": owed[row["asset"]]["connections"]}
        for row in rows
    ]  # fmt: skip


def pressure_compliance(dirty: Dirty, span: Span) -> Values:
    return per_area(pressures(dirty, span), ALL, lambda own: shared(row["ok"] for row in own if row["value"] >= -10))


def supply_continuity(dirty: Dirty, span: Span) -> Values:
    points = grouped(pressures(dirty, span), "sensor")
    worst: dict[tuple[str, str], tuple[float, float]] = {}
    for own in points.values():
        if len(own) < 0.75 * (span.seconds // own[0]["every_s"]):
            continue
        key, hours = (own[0]["asset"], own[0]["ward"]), 24 * sum(row["ok"] for row in own) / len(own)
        worst[key] = (min(hours, worst.get(key, (hours, 0.0))[0]), own[0]["connections"])
    registered = at_dma(dirty, (one for one in sensors(dirty) if one["quantity"] == "pressure_m"))
    zones = {asset: len({one["ward"] for one in own}) for asset, own in grouped(registered, "asset").items()}
    rows = [
        {"asset": asset, "ward": ward, "hours": hours, "weight": connections / zones[asset]}
        for (asset, ward), (hours, connections) in worst.items()
    ]
    weighed = lambda own: divided(math.fsum(r["hours"] * r["weight"] for r in own), total(own, "weight"))  # noqa: E731
    return per_area(rows, ALL, weighed)


def chlorine_compliance(dirty: Dirty, span: Span) -> Values:
    rows = at_dma(dirty, (row for row in good(dirty, "chlorine_mg_l") if span.holds(row["observed_at"])))
    return per_area(rows, ALL, lambda own: shared(0.2 <= row["value"] <= 1.0 for row in own))


def tank_autonomy(dirty: Dirty, span: Span) -> Values:
    since = span.end - HOUR
    lately = {
        name: grouped((r for r in good(dirty, name) if since <= r["observed_at"] < span.end), "asset")
        for name in ("tank_level_m", "tank_outflow_m3_h", "tank_inflow_m3_h")
    }
    found: Values = {}
    for one in dirty.register("tanks"):
        levels = lately["tank_level_m"].get(one["asset"])
        if not levels:
            continue
        first, last = levels[0], levels[-1]
        surface = math.pi / 4 * one["diameter_m"] ** 2
        hours = (last["observed_at"] - first["observed_at"]) / HOUR
        out, into = (_flow(lately[name].get(one["asset"])) for name in ("tank_outflow_m3_h", "tank_inflow_m3_h"))
        fall = surface * (first["value"] - last["value"]) / hours if hours else None
        net = out - into if out is not None and into is not None else fall
        stale = last["observed_at"] < span.start - timedelta(minutes=15)
        if net is not None:
            left = surface * max(last["value"] - (one["dead_level_m"] or 0.0), 0.0)
            found[f"asset:{one['asset']}"] = left / net if net > 0 and not stale else None
    known = [value for value in found.values() if value is not None]
    return {**found, "town": min(known) if known else None}


def _flow(rows: Rows | None) -> float | None:
    """The mean of the hour, from the means of five minutes; pipes added up."""
    if not rows:
        return None
    pipes: dict[str, dict[float, list[float]]] = {}
    for row in rows:
        pipes.setdefault(row["sensor"], {}).setdefault(row["observed_at"].timestamp() // 300, []).append(row["value"])
    return math.fsum(mean(mean(own) or 0.0 for own in spells.values()) or 0.0 for spells in pipes.values())


# --- nights


def nights(dirty: Dirty, span: Span) -> Rows:
    """The night of a day in each area: its lowest rolling hour, and the factor from night to day."""
    inlets = grouped((one for one in sensors(dirty) if one["quantity"] == "inflow_m3_h"), "asset")
    found = []
    for one in dirty.register("dmas"):
        lowest = _lowest(dirty, span, inlets[one["asset"]])
        if lowest is None:
            continue
        off, factor = _day_shape(dirty, span, one)
        running = off < 2 and lowest > 0
        found.append({**one, "lowest": lowest if running else None, "factor": factor})
    return found


def _lowest(dirty: Dirty, span: Span, inlets: Rows) -> float | None:
    every = max(one["every_s"] for one in inlets)
    slots: dict[float, dict[str, list[float]]] = {}
    for row in good(dirty, "inflow_m3_h"):
        if (
            row["asset"] == inlets[0]["asset"]
            and span.holds(row["observed_at"])
            and 2 <= local(row["observed_at"], dirty.zone).hour < 4
        ):
            slot = row["observed_at"].timestamp() // every * every
            slots.setdefault(slot, {}).setdefault(row["sensor"], []).append(row["value"])
    flows = {s: math.fsum(mean(v) or 0.0 for v in own.values()) for s, own in slots.items() if len(own) == len(inlets)}
    if not flows:
        return None
    over, found = max(flows) + every, []
    for slot in flows:
        hour = [flow for other, flow in flows.items() if slot <= other < slot + 3600]
        if slot + 3600 <= over and len(hour) * every >= 0.75 * 3600:
            found.append(mean(hour) or 0.0)
    return min(found) if found else None


def _day_shape(dirty: Dirty, span: Span, dma: Row) -> tuple[int, float]:
    """Hours without pressure in the 24 up to the night's end, and the sum of (pressure / night pressure) ** n1."""
    over = span.end - 20 * HOUR
    rows = [
        {**row, "mean": row["sum"] / row["n"]}
        for row in at_dma(dirty, hourly(dirty, "pressure_m"))
        if row["asset"] == dma["asset"] and over - DAY <= row["observed_at"] < over
    ]
    hours = {
        at: (mean(r["mean"] for r in own) or 0.0, max(r["mean"] for r in own))
        for at, own in grouped(rows, "observed_at").items()
    }
    off = sum(highest < 1.0 for _, highest in hours.values())
    at_night = mean(level for at, (level, _) in hours.items() if 2 <= local(at, dirty.zone).hour < 4)
    if len(hours) < 18 or not at_night or at_night <= 0:
        return off, 24.0
    power = dma["n1"] if dma["n1"] is not None else 1.0
    return off, 24 * (mean((max(level, 0.0) / at_night) ** power for level, _ in hours.values()) or 0.0)


def minimum_night_flow(dirty: Dirty, span: Span) -> Values:
    return {f"asset:{one['asset']}": one["lowest"] for one in nights(dirty, span)}


def night_flow_over_baseline(dirty: Dirty, span: Span) -> Values:
    usual = [one for one in nights(dirty, span) if one["baseline_night_m3_h"]]
    return {f"asset:{one['asset']}": divided(one["lowest"], one["baseline_night_m3_h"]) for one in usual}


def night_leakage(dirty: Dirty, span: Span) -> Values:
    found: Values = {}
    for one in nights(dirty, span):
        use = one["population_served"] * 0.06 * 10 / 1000 + (one["non_domestic_night_m3_h"] or 0.0)
        found[f"asset:{one['asset']}"] = None if one["lowest"] is None else (one["lowest"] - use) * one["factor"]
    known = [value for value in found.values() if value is not None]
    return {**found, "town": math.fsum(known) if known else None}


# --- meters, samples, pumps


def meters(dirty: Dirty, span: Span) -> Rows:
    came: dict[str, int] = {}
    for row in daily(dirty, "consumption_l"):
        if span.holds(row["observed_at"]):
            came[row["sensor"]] = came.get(row["sensor"], 0) + row["n"]
    registered = at_dma(dirty, (one for one in sensors(dirty) if one["quantity"] == "consumption_l"))
    due = [{**one, "due": span.seconds // one["every_s"]} for one in registered if span.seconds // one["every_s"] > 0]
    return [{**one, "reads": min(came.get(one["sensor"], 0), one["due"])} for one in due] if came else []


def meter_read_success(dirty: Dirty, span: Span) -> Values:
    return per_area(meters(dirty, span), ALL, lambda own: shared(row["reads"] > 0 for row in own))


def meter_interval_success(dirty: Dirty, span: Span) -> Values:
    return per_area(meters(dirty, span), ALL, lambda own: divided(total(own, "reads"), total(own, "due")))


def samples(dirty: Dirty, span: Span) -> Rows:
    rows = latest(dirty.rows("water_samples"), "sample")
    return [{**row, "asset": row["dma"]} for row in rows if span.holds(row["sampled_at"])]


TESTS: dict[str, Callable[[float], bool]] = {
    "turbidity_ntu": lambda v: v <= 1, "ph": lambda v: 6.5 <= v <= 8.5, "tds_mg_l": lambda v: v <= 500,
    "free_chlorine_mg_l": lambda v: v >= 0.2, "e_coli_100ml": lambda v: v <= 0,
}  # fmt: skip


def passes(row: Row) -> bool | None:
    judged = [test(row[name]) for name, test in TESTS.items() if row[name] is not None]
    return all(judged) if judged else None


def cloudy(dirty: Dirty, span: Span, limit: float) -> Values:
    clear = lambda row: None if row["turbidity_ntu"] is None else row["turbidity_ntu"] <= limit  # noqa: E731
    return per_area(samples(dirty, span), ALL, lambda own: shared(map(clear, own)))


def e_coli_found(dirty: Dirty, span: Span) -> Values:
    rows = [row for row in samples(dirty, span) if row["e_coli_100ml"] is not None]
    return per_area(rows, ALL, lambda own: float(sum(row["e_coli_100ml"] > 0 for row in own)))


def pumped(dirty: Dirty, span: Span) -> Rows:
    """Hours with whole energy and volume and any head, in which water was lifted."""

    def whole(quantity: str) -> dict[Any, Rows]:
        return grouped((r for r in hourly(dirty, quantity) if r["n"] >= r["expected"]), "asset", "observed_at")

    energy, volume = whole("pump_energy_kwh"), whole("pump_volume_m3")
    head = grouped(hourly(dirty, "pump_head_m"), "asset", "observed_at")
    rows = []
    for key, own in energy.items():
        if span.holds(key[1]) and key in volume and key in head:
            lift = total(head[key], "sum") / total(head[key], "n")
            rows.append({**own[0], "kwh": total(own, "sum"), "m3": total(volume[key], "sum"), "head": lift})
    return [row for row in rows if row["m3"] > 0 and row["head"] > 0]


def pump(dirty: Dirty, span: Span, part: Callable[[Row], float], whole: Callable[[Row], float]) -> Values:
    return per_area(
        pumped(dirty, span), ALL, lambda own: divided(math.fsum(map(part, own)), math.fsum(map(whole, own)))
    )


# --- the books


def noon(dirty: Dirty, day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(dirty.zone))


def book(dirty: Dirty, table: str, span: Span, *key: str, start: datetime | None = None) -> Rows:
    rows = latest(dirty.rows(table), *key)
    return [row for row in rows if (start or span.start) <= noon(dirty, row["month"]) < span.end]


def audits(dirty: Dirty, span: Span) -> Rows:
    found = []
    for row in book(dirty, "water_audits", span, "dma", "month", start=year_before(dirty, span)):
        n = {name: value or 0.0 for name, value in row.items() if name.endswith(("_m3", "_pct"))}
        if row["system_input_m3"] is None:
            continue
        error = n["under_registration_pct"] / 100
        paper = n["unauthorised_m3"] + n["billed_metered_m3"] * error / (1 - error) + n["data_errors_m3"]
        allowed = math.fsum(n[k] for k in n if k.startswith(("billed", "unbilled")))
        lost = n["system_input_m3"] - allowed
        found.append({**row, "asset": row["dma"], "lost": lost, "paper": paper, "real": lost - paper})
    return found


def losses(dirty: Dirty, span: Span, part: str) -> Values:
    parts = in_served_areas(dirty, audits(dirty, span), part, "system_input_m3")
    shares = {area: divided(total(own, part), total(own, "system_input_m3")) for area, own in parts.items()}
    return {area: share if share is not None and share >= 0 else None for area, share in shares.items()}


def infrastructure_leakage_index(dirty: Dirty, span: Span) -> Values:
    known = {
        one["asset"]: one for one in dirty.register("dmas")
        if None not in (one["mains_km"], one["connections"], one["average_pressure_m"])
    }  # fmt: skip
    lost = unavoidable = 0.0
    used = []
    for asset, own in grouped((row for row in audits(dirty, span) if row["dma"] in known), "dma").items():
        one = known[asset]
        days = sum(_days_in_month(row["month"]) for row in own)
        lost += 1000 * total(own, "real") / days
        least = 18 * one["mains_km"] + 0.8 * one["connections"] + 25 * (one["private_pipe_km"] or 0.0)
        unavoidable += least * one["average_pressure_m"]
        used.append(one)
    if not used:
        return {}
    mains, connections = total(used, "mains_km"), total(used, "connections")
    pressure = math.fsum(one["average_pressure_m"] * one["connections"] for one in used) / connections
    valid = connections + 20 * mains >= 3000 and connections >= 20 * mains and pressure >= 25
    return {"town": lost / unavoidable if valid else None}


def _days_in_month(month: str) -> int:
    first = date.fromisoformat(month)
    return ((first.replace(day=28) + timedelta(days=4)).replace(day=1) - first).days


def connection_coverage(dirty: Dirty, span: Span) -> Values:
    homes = {one["ward"]: one["households"] for one in dirty.register("wards")}
    rows = [
        {**row, "homes": homes[row["ward"]]} for row in book(dirty, "water_connections", span, "ward", "month")
        if row["households_connected"] is not None
    ]  # fmt: skip
    return per_area(
        rows, ("town", "ward"), lambda own: divided(total(own, "households_connected"), total(own, "homes"))
    )


def metering_extent(dirty: Dirty, span: Span) -> Values:
    rows = [
        row for row in book(dirty, "water_connections", span, "ward", "month")
        if row["functional_meters"] is not None and row["connections"] is not None
    ]  # fmt: skip
    return per_area(
        rows, ("town", "ward"),
        lambda own: divided(total(own, "functional_meters"), total(own, "connections") + total(own, "standposts")),
    )  # fmt: skip


def town_share(dirty: Dirty, span: Span, table: str, part: str, whole: Callable[[Row], float | None]) -> Values:
    rows = [(row[part], whole(row)) for row in book(dirty, table, span, "month")]
    known = [(p, w) for p, w in rows if p is not None and w is not None]
    return {"town": divided(math.fsum(p for p, _ in known), math.fsum(w for _, w in known)) if known else None}


def generated(row: Row) -> float:
    return 0.8 * (row["supplied_m3"] + (row["other_sources_m3"] or 0.0))


ORACLES: dict[str, Callable[[Dirty, Span], Values]] = {
    "supply_per_head": supply_per_head,
    "non_revenue_water": non_revenue_water,
    "non_revenue_water_year": non_revenue_water_year,
    "pressure_compliance": pressure_compliance,
    "supply_continuity": supply_continuity,
    "chlorine_compliance": chlorine_compliance,
    "tank_autonomy": tank_autonomy,
    "minimum_night_flow": minimum_night_flow,
    "night_flow_over_baseline": night_flow_over_baseline,
    "night_leakage": night_leakage,
    "meter_read_success": meter_read_success,
    "meter_interval_success": meter_interval_success,
    "water_quality": lambda d, s: per_area(samples(d, s), ALL, lambda own: shared(map(passes, own))),
    "turbidity_acceptable": lambda d, s: cloudy(d, s, 1.0),
    "turbidity_permissible": lambda d, s: cloudy(d, s, 5.0),
    "e_coli_found": e_coli_found,
    "pump_specific_energy": lambda d, s: pump(d, s, lambda r: r["kwh"], lambda r: r["m3"] * r["head"] / 100),
    "pump_energy_per_volume": lambda d, s: pump(d, s, lambda r: r["kwh"], lambda r: r["m3"]),
    "pump_efficiency": lambda d, s: pump(d, s, lambda r: 9.81 * r["m3"] * r["head"] / 3600, lambda r: r["kwh"]),
    "water_losses": lambda d, s: losses(d, s, "lost"),
    "apparent_losses": lambda d, s: losses(d, s, "paper"),
    "real_losses": lambda d, s: losses(d, s, "real"),
    "infrastructure_leakage_index": infrastructure_leakage_index,
    "connection_coverage": connection_coverage,
    "metering_extent": metering_extent,
    "cost_recovery": lambda d, s: town_share(
        d, s, "water_accounts", "operating_revenue", lambda r: r["operating_expense"]
    ),
    "collection_efficiency": lambda d, s: town_share(
        d, s, "water_accounts", "current_collected", lambda r: r["current_billed"]
    ),
    "sewage_collected": lambda d, s: town_share(d, s, "sewage_accounts", "collected_m3", generated),
    "sewage_capacity": lambda d, s: town_share(d, s, "sewage_accounts", "capacity_m3", generated),
    "sewage_reused": lambda d, s: town_share(d, s, "sewage_accounts", "reused_m3", lambda r: r["collected_m3"]),
}
