"""The energy KPIs in plain Python, written from the catalogue."""

import math
import statistics
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any

from tests.oracles.agreement import Dirty
from tests.oracles.plain import Row, Rows, Span, areas, divided, grouped, latest, local, mean, per_area, total
from tests.oracles.readings import good, hourly, sensors

Values = dict[str, float | None]
ALL = ("town", "ward", "asset")
SUSTAINED_MIN = 5.0


# --- reliability


def served(dirty: Dirty) -> dict[str, float]:
    """Customers of every area; a feeder that several wards share counts in each with its part."""
    homes = {one["asset"]: one["ward"] for one in dirty.register("assets")}
    found: dict[str, float] = {}
    split = {one["asset"] for one in dirty.register("feeder_wards")}
    for one in dirty.register("feeders"):
        wards = [] if one["asset"] in split else [f"ward:{homes[one['asset']]}"]
        for area in ["town", f"asset:{one['asset']}", *wards]:
            found[area] = found.get(area, 0.0) + one["customers_served"]
    for one in dirty.register("feeder_wards"):
        found[f"ward:{one['ward']}"] = found.get(f"ward:{one['ward']}", 0.0) + one["customers_served"]
    return found


def interruptions(dirty: Dirty) -> Rows:
    homes = {one["asset"]: one["ward"] for one in dirty.register("assets")}
    rows = latest(dirty.rows("outages"), "outage", "step")
    return [
        {**row, "asset": row["feeder"], "ward": row["ward"] or homes[row["feeder"]]}
        for row in rows if row["customers"] is not None
    ]  # fmt: skip


def begun(dirty: Dirty, span: Span) -> Rows:
    """Interruptions that began in the window, with their minutes so far."""
    found = []
    for row in interruptions(dirty):
        if not span.holds(row["started_at"]) or row["started_at"] >= span.as_of:
            continue
        back = row["restored_at"]
        running = back is None or (back > span.as_of and span.as_of < span.end)
        minutes = ((span.as_of if running else back) - row["started_at"]) / timedelta(minutes=1)
        found.append({**row, "minutes": minutes, "running": running})
    return found


def sustained_minutes(rows: Iterable[Row]) -> float:
    return math.fsum(row["customers"] * row["minutes"] for row in rows if row["minutes"] > SUSTAINED_MIN)


def hit(rows: Iterable[Row]) -> float:
    return sum(row["customers"] for row in rows if row["minutes"] > SUSTAINED_MIN)


def index(dirty: Dirty, span: Span, value: Callable[[Rows, float], float | None]) -> Values:
    parts = areas(begun(dirty, span), ALL)
    return {area: value(parts.get(area, []), customers) for area, customers in served(dirty).items()}


def saifi(dirty: Dirty, span: Span) -> Values:
    return index(dirty, span, lambda rows, customers: hit(rows) / customers)


def saidi(dirty: Dirty, span: Span) -> Values:
    return index(dirty, span, lambda rows, customers: sustained_minutes(rows) / customers)


def caidi(dirty: Dirty, span: Span) -> Values:
    return index(dirty, span, lambda rows, _: divided(sustained_minutes(rows), hit(rows)))


def asai(dirty: Dirty, span: Span) -> Values:
    minutes = span.seconds / 60
    return index(dirty, span, lambda rows, customers: 1 - sustained_minutes(rows) / (customers * minutes))


def maifi(dirty: Dirty, span: Span) -> Values:
    def momentary(rows: Rows, customers: float) -> float:
        short = [row for row in rows if row["minutes"] <= SUSTAINED_MIN and not row["running"]]
        return sum(row["customers"] for row in short) / customers

    return index(dirty, span, momentary)


def threshold(dirty: Dirty, span: Span) -> float | None:
    """T_MED of the five calendar years before, from interruptions that are over."""
    year = local(span.start, dirty.zone).year
    by_day: dict[date, float] = {}
    for row in interruptions(dirty):
        day = local(row["started_at"], dirty.zone).date()
        if row["restored_at"] is None or not year - 5 <= day.year < year:
            continue
        minutes = (row["restored_at"] - row["started_at"]) / timedelta(minutes=1)
        lost = row["customers"] * minutes if minutes > SUSTAINED_MIN else 0.0
        by_day[day] = by_day.get(day, 0.0) + lost / served(dirty)["town"]
    logs = [math.log(value) for value in by_day.values() if value > 0]
    return math.exp(statistics.fmean(logs) + 2.5 * statistics.stdev(logs)) if len(logs) > 1 else None


def t_med(dirty: Dirty, span: Span) -> Values:
    return {"town": threshold(dirty, span)}


def saidi_without_major_events(dirty: Dirty, span: Span) -> Values:
    limit, rows = threshold(dirty, span), begun(dirty, span)
    if limit is None:
        return {}
    by_day: dict[date, Rows] = {}
    for row in rows:
        by_day.setdefault(local(row["started_at"], dirty.zone).date(), []).append(row)
    town = served(dirty)["town"]
    calm = [row for own in by_day.values() if sustained_minutes(own) / town <= limit for row in own]
    parts = areas(calm, ALL)
    return {a: sustained_minutes(parts.get(a, [])) / customers for a, customers in served(dirty).items()}


def customers_without_power(dirty: Dirty, span: Span) -> Values:
    out = [
        row for row in interruptions(dirty)
        if row["started_at"] <= span.as_of and (row["restored_at"] is None or row["restored_at"] > span.as_of)
    ]  # fmt: skip
    parts = areas(out, ALL)
    return {area: total(parts.get(area, []), "customers") for area in served(dirty)}


# --- the network


def voltage_compliance(dirty: Dirty, span: Span) -> Values:
    assets = {one["asset"]: one for one in dirty.register("assets")}
    boxes = {one["asset"]: one for one in dirty.register("transformers")}

    def declared(asset: str, name: str, usual: float) -> float:
        own = (boxes.get(one, {}).get(name) for one in (asset, assets[asset]["parent"]))
        return next((value for value in own if value is not None), usual)

    intervals: dict[tuple[str, datetime], list[bool]] = {}
    for (asset, at), low, level in _ten_minutes(dirty, span):
        volts, tolerance = declared(asset, "declared_v", 230.0), declared(asset, "tolerance_pct", 10.0)
        if low < 0.1 * volts:
            continue
        ok = round(volts * (100 - tolerance) / 100, 6) <= round(level, 6) <= round(volts * (100 + tolerance) / 100, 6)
        intervals.setdefault((asset, at), []).append(ok)
    rows = [{"asset": a, "ward": assets[a]["ward"], "ok": all(phases)} for (a, _), phases in intervals.items()]
    return per_area(rows, ALL, lambda own: sum(row["ok"] for row in own) / len(own))


def _ten_minutes(dirty: Dirty, span: Span) -> Iterable[tuple[tuple[str, datetime], float, float]]:
    """Lowest and mean voltage of each phase and ten minutes; a slow sensor sends the means itself."""
    buckets: dict[tuple[str, str, datetime], list[float]] = {}
    for row in good(dirty, "voltage_v"):
        at = row["observed_at"] - timedelta(seconds=row["observed_at"].timestamp() % 600)
        if span.holds(at):
            buckets.setdefault((row["sensor"], row["asset"], at), []).append(row["value"])
    for (_, asset, at), values in buckets.items():
        yield (asset, at), min(values), math.fsum(values) / len(values)


def feeder_loss(dirty: Dirty, span: Span) -> Values:
    boxes = {one["asset"]: one["parent"] for one in dirty.register("assets") if one["kind"] == "transformer"}
    passed: dict[tuple[str, datetime], float] = {}
    for row in hourly(dirty, "feeder_export_kwh"):
        key = (row["asset"], row["observed_at"])
        passed[key] = passed.get(key, 0.0) + row["sum"]
    delivered: dict[tuple[str, datetime], tuple[float, float]] = {}
    for row in hourly(dirty, "transformer_energy_kwh"):
        key = (boxes[row["asset"]], row["observed_at"])
        energy, seen = delivered.get(key, (0.0, 0.0))
        delivered[key] = (energy + row["sum"], seen + min(1.0, row["n"] / row["expected"]))
    hours = []
    for row in hourly(dirty, "feeder_energy_kwh"):
        owned = sum(feeder == row["asset"] for feeder in boxes.values())
        if not span.holds(row["observed_at"]) or row["n"] < row["expected"] or not owned:
            continue
        key = (row["asset"], row["observed_at"])
        out, seen = delivered.get(key, (0.0, 0.0))
        hours.append({**row, "passed": passed.get(key, 0.0), "out": out, "seen": seen, "owned": owned})

    def loss(own: Rows) -> float | None:
        if total(own, "seen") / total(own, "owned") < 0.9:
            return None
        net = total(own, "sum") - total(own, "passed")
        return divided(net - total(own, "out"), net)

    return per_area(hours, ALL, loss)


def load_factor(dirty: Dirty, span: Span) -> Values:
    meters = [one for one in sensors(dirty) if one["quantity"] == "feeder_energy_kwh"]
    length = max(one["every_s"] for one in meters)
    whole: dict[tuple[str, datetime], Rows] = {}
    for row in good(dirty, "feeder_energy_kwh"):
        at = row["observed_at"] - timedelta(seconds=row["observed_at"].timestamp() % length)
        whole.setdefault((row["asset"], at), []).append(row)
    loads = [
        {"asset": asset, "ward": own[0]["ward"], "at": at, "kwh": total(own, "value")}
        for (asset, at), own in whole.items()
        if span.holds(at) and len(own) * own[0]["every_s"] >= length
    ]  # fmt: skip
    found: Values = {}
    for area, members in areas(meters, ALL).items():
        own = grouped((row for row in loads if row["asset"] in {one["asset"] for one in members}), "at")
        complete = [total(rows, "kwh") for rows in own.values() if len(rows) == len(members)]
        found[area] = divided(mean(complete), max(complete)) if complete else None
    return found


def _hour_means(dirty: Dirty, quantity: str, span: Span) -> dict[tuple[str, datetime], float]:
    rows = hourly(dirty, quantity)
    return {(r["asset"], r["observed_at"]): r["sum"] / r["n"] for r in rows if span.holds(r["observed_at"])}


def wards(dirty: Dirty) -> dict[str, Any]:
    return {one["asset"]: one["ward"] for one in dirty.register("assets")}


def power_factor(dirty: Dirty, span: Span) -> Values:
    active = _hour_means(dirty, "feeder_power_kw", span)
    reactive = _hour_means(dirty, "feeder_reactive_kvar", span)
    rows = [
        {"asset": a, "ward": wards(dirty)[a], "kwh": kw, "kvarh": abs(reactive[a, at])}
        for (a, at), kw in active.items() if (a, at) in reactive and kw > 0
    ]  # fmt: skip
    return per_area(
        rows, ALL, lambda own: divided(total(own, "kwh"), math.hypot(total(own, "kwh"), total(own, "kvarh")))
    )


def _lately(dirty: Dirty, quantity: str, span: Span, minutes: float) -> dict[str, Rows]:
    since = span.as_of - timedelta(minutes=minutes)
    return grouped((row for row in good(dirty, quantity) if since <= row["observed_at"] < span.as_of), "asset")


def _mean_lately(dirty: Dirty, quantity: str, span: Span) -> dict[str, float | None]:
    found = _lately(dirty, quantity, span, 15)
    return {asset: mean(row["value"] for row in own) for asset, own in found.items()}


def transformer_loading(dirty: Dirty, span: Span) -> Values:
    power, reactive = (_mean_lately(dirty, f"transformer_{q}", span) for q in ("power_kw", "reactive_kvar"))
    current, rows = _mean_lately(dirty, "transformer_current_a", span), []
    for one in dirty.register("transformers"):
        box, kva = one["asset"], None
        if box in power and box in reactive:
            kva = math.hypot(power[box] or 0.0, reactive[box] or 0.0)
        elif box in current:
            kva = math.sqrt(3) * math.sqrt(3) * one["declared_v"] * (current[box] or 0.0) / 1000
        if kva is not None:
            rows.append({"asset": box, "ward": wards(dirty)[box], "kva": kva, "rated": one["rated_kva"]})
    return per_area(rows, ALL, lambda own: total(own, "kva") / total(own, "rated"))


def hour_loads(dirty: Dirty, span: Span) -> Rows:
    power = _hour_means(dirty, "transformer_power_kw", span)
    reactive = _hour_means(dirty, "transformer_reactive_kvar", span)
    rated = {one["asset"]: one["rated_kva"] for one in dirty.register("transformers")}
    return [
        {"asset": a, "ward": wards(dirty)[a], "pct": 100 * math.hypot(kw, reactive[a, at]) / rated[a]}
        for (a, at), kw in power.items() if (a, at) in reactive
    ]  # fmt: skip


def overload_hours(dirty: Dirty, span: Span) -> Values:
    return per_area(hour_loads(dirty, span), ALL, lambda own: float(sum(row["pct"] > 100 for row in own)))


def peak_loading(dirty: Dirty, span: Span) -> Values:
    return per_area(hour_loads(dirty, span), ALL, lambda own: max(row["pct"] for row in own))


# --- microgrids


def site_hours(dirty: Dirty, span: Span, *quantities: str) -> Rows:
    """Hours of a site in which every quantity that it has a sensor for was measured; what it has none for is 0."""
    has = {(one["asset"], one["quantity"]) for one in sensors(dirty)}
    means = {name: _hour_means(dirty, name, span) for name in quantities}
    rows = []
    for asset, at in {key for own in means.values() for key in own}:
        row = {"asset": asset, "ward": wards(dirty)[asset]}
        for name in quantities:
            row[name] = means[name].get((asset, at), None if (asset, name) in has else 0.0)
        rows.append(row)
    return [row for row in rows if all(row[name] is not None for name in quantities)]


def self_sufficiency(dirty: Dirty, span: Span) -> Values:
    rows = site_hours(dirty, span, "load_power_kw", "grid_import_kw")
    return per_area(
        rows, ALL, lambda o: divided(total(o, "load_power_kw") - total(o, "grid_import_kw"), total(o, "load_power_kw"))
    )


def self_consumption(dirty: Dirty, span: Span) -> Values:
    rows = site_hours(dirty, span, "solar_power_kw", "grid_export_kw")
    return per_area(
        rows,
        ALL,
        lambda o: divided(total(o, "solar_power_kw") - total(o, "grid_export_kw"), total(o, "solar_power_kw")),
    )


def renewable_fraction(dirty: Dirty, span: Span) -> Values:
    rows = site_hours(dirty, span, "load_power_kw", "grid_import_kw", "diesel_power_kw")

    def green(own: Rows) -> float | None:
        load = total(own, "load_power_kw")
        return divided(load - total(own, "grid_import_kw") - total(own, "diesel_power_kw"), load)

    return per_area(rows, ALL, green)


def battery_autonomy(dirty: Dirty, span: Span) -> Values:
    charge, load = _lately(dirty, "battery_soc_pct", span, 15), _lately(dirty, "load_power_kw", span, 60)
    rows = []
    for one in dirty.register("microgrids"):
        site = one["asset"]
        if site not in charge or site not in load:
            continue
        kw = mean(row["value"] for row in load[site]) or 0.0
        left = (charge[site][-1]["value"] - one["soc_min_pct"]) / 100 * one["battery_kwh"] * one["discharge_efficiency"]
        if kw > 0:
            rows.append({"asset": site, "ward": wards(dirty)[site], "kwh": max(left, 0.0), "kw": kw})
    return per_area(rows, ALL, lambda own: total(own, "kwh") / total(own, "kw"))


def solar_performance_ratio(dirty: Dirty, span: Span) -> Values:
    solar, sun = (_hour_means(dirty, name, span) for name in ("solar_power_kw", "poa_irradiance_w_m2"))
    rated = {one["asset"]: one["solar_kwp"] for one in dirty.register("microgrids")}
    rows = [
        {"asset": a, "ward": wards(dirty)[a], "kwh": kwh, "due": rated[a] * sun[a, at] / 1000}
        for (a, at), kwh in solar.items() if sun.get((a, at), 0.0) >= 50
    ]  # fmt: skip
    return per_area(rows, ALL, lambda own: divided(total(own, "kwh"), total(own, "due")))


# --- money and lamps


def atc_loss(dirty: Dirty, span: Span) -> Values:
    rows = [
        {**row, "asset": row["feeder"], "ward": wards(dirty)[row["feeder"]]}
        for row in latest(dirty.rows("energy_accounts"), "feeder", "period_start") if span.holds(row["period_start"])
    ]  # fmt: skip

    def loss(own: Rows) -> float | None:
        received = (
            total(own, "collected_minor") + total(own, "debtors_opening_minor") - total(own, "debtors_closing_minor")
        )
        collected = divided(received, total(own, "billed_minor"))
        if collected is None:
            return None
        return divided(
            total(own, "input_kwh") - total(own, "billed_kwh") * min(collected, 1.0), total(own, "input_kwh")
        )

    return per_area(rows, ALL, loss)


def street_light_uptime(dirty: Dirty, span: Span) -> Values:
    rows = [row for row in latest(dirty.rows("street_light_nights"), "panel", "lit_at") if span.holds(row["lit_at"])]

    def lit(own: Rows) -> float | None:
        due = math.fsum(row["lamps"] * row["burn_hours"] for row in own)
        return divided(due - total(own, "outage_lamp_hours"), due)

    return per_area(rows, ("town", "ward"), lit)


def street_lights_lit(dirty: Dirty, span: Span) -> Values:
    rows = [
        r for r in latest(dirty.rows("street_light_surveys"), "ward", "surveyed_at") if span.holds(r["surveyed_at"])
    ]
    return per_area(rows, ("town", "ward"), lambda own: divided(total(own, "lamps_lit"), total(own, "lamps_surveyed")))


MONTH_AND_YEAR = {"saifi": saifi, "saidi": saidi, "caidi": caidi, "asai": asai, "maifi": maifi}
ORACLES: dict[str, Callable[[Dirty, Span], Values]] = {
    **MONTH_AND_YEAR,
    "atc_loss_year": atc_loss,
    **{f"{name}_year": oracle for name, oracle in MONTH_AND_YEAR.items()},
    **{
        oracle.__name__: oracle
        for oracle in (
            saidi_without_major_events, t_med, customers_without_power, voltage_compliance, feeder_loss, load_factor,
            power_factor, transformer_loading, peak_loading, overload_hours, self_sufficiency, self_consumption,
            renewable_fraction, battery_autonomy, solar_performance_ratio, atc_loss, street_light_uptime,
            street_lights_lit,
        )
    },
}  # fmt: skip
