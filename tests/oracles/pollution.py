"""The pollution KPIs in plain Python, written from the catalogue; concentrations as whole millionths."""

import csv
import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pipelines
from tests.oracles.agreement import Dirty
from tests.oracles.plain import DAY, HOUR, Row, Rows, Span, areas, divided, grouped, latest, local, per_area, total
from tests.oracles.readings import daily, good, hourly, sensors

Values = dict[str, float | None]
ALL = ("town", "ward", "asset")
LIMITS = Path(pipelines.__file__).parent / "pollution" / "limits"
MILLION = 1_000_000
QUANTITY = {
    "PM2.5": "pm25_ug_m3", "PM10": "pm10_ug_m3", "NO2": "no2_ug_m3", "O3": "o3_ug_m3", "SO2": "so2_ug_m3",
    "CO": "co_mg_m3", "NH3": "nh3_ug_m3", "Pb": "pb_ug_m3",
}  # fmt: skip
MASS = {"O3": 47.9982, "SO2": 64.0638, "NO2": 46.0055, "CO": 28.0101}
LITRES_A_MOLE = 22.414 * (25 + 273.15) / 273.15
Means = dict[str, dict[tuple[str, datetime], int]]


@cache
def table(name: str) -> list[dict[str, str]]:
    """A limit table; data that all three read."""
    with (LIMITS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def whole(text: str | float) -> int:
    return round(float(text) * MILLION)


def half_up(part: int, of: int) -> int:
    return (2 * part + of) // (2 * of)


def wards(dirty: Dirty) -> dict[str, Any]:
    return {one["asset"]: one["ward"] for one in dirty.register("assets")}


def means(dirty: Dirty, rolled: Callable[[Dirty, str], Rows], *, ppb: bool = False) -> Means:
    """Mean of each pollutant, station and step with 75 % of its readings, instruments by their readings."""
    return dirty.kept(f"means {rolled.__name__} {ppb}", lambda: {p: _means(dirty, rolled, p, ppb) for p in QUANTITY})


def _means(
    dirty: Dirty, rolled: Callable[[Dirty, str], Rows], pollutant: str, ppb: bool
) -> dict[tuple[str, datetime], int]:
    rows = [row for row in rolled(dirty, QUANTITY[pollutant]) if row["n"] >= 0.75 * row["expected"]]
    factor = LITRES_A_MOLE / MASS[pollutant] if ppb and pollutant in MASS else 1.0
    found = {}
    for key, own in grouped(rows, "asset", "observed_at").items():
        level = total(own, "sum") / total(own, "n")
        if level >= -10:
            found[key] = round(max(level, 0.0) * factor * MILLION)
    return found


class Station:
    """What a station measured in a window: valid hours of each pollutant."""

    def __init__(self, found: Means, station: str, span: Span) -> None:
        self.start = span.start
        self.hours = {
            p: {at: c for (asset, at), c in own.items() if asset == station and span.holds(at)}
            for p, own in found.items()
        }

    def day(self, pollutant: str, needed: int) -> int | None:
        values = list(self.hours[pollutant].values())
        return half_up(sum(values), len(values)) if len(values) >= needed else None

    def highest(self, pollutant: str, needed: int) -> int | None:
        values = list(self.hours[pollutant].values())
        return max(values) if len(values) >= needed else None

    def eight(self, pollutant: str, stations_hours: Iterable[datetime]) -> int | None:
        """The highest 8-hour mean with 6 valid hours that lies inside the window."""
        own, found = self.hours[pollutant], []
        for at in stations_hours:
            if at >= self.start + 7 * HOUR:
                values = [c for other, c in own.items() if at - 8 * HOUR < other <= at]
                if len(values) >= 6:
                    found.append(half_up(sum(values), len(values)))
        return max(found) if found else None


def stations(dirty: Dirty, found: Means, span: Span) -> dict[str, tuple[Station, set[datetime]]]:
    """Stations with any hour in the window, and the hours in which they measured anything."""
    seen: dict[str, set[datetime]] = {}
    for own in found.values():
        for asset, at in own:
            if span.holds(at):
                seen.setdefault(asset, set()).add(at)
    return {asset: (Station(found, asset, span), hours) for asset, hours in seen.items()}


def over(dirty: Dirty, values: dict[str, float | None], across: Callable[[list[float]], float | None]) -> Values:
    rows = [{"asset": asset, "ward": wards(dirty)[asset], "v": v} for asset, v in values.items() if v is not None]
    return per_area(rows, ALL, lambda own: across([row["v"] for row in own]))


# --- the indexes


def us_index(pollutant: str, averaging: str, c: int | None) -> int | None:
    pieces = [row for row in table("us_aqi") if (row["pollutant"], row["averaging"]) == (pollutant, averaging)]
    if c is None:
        return None
    step = whole(pieces[0]["truncate_to"])
    cut = max(c, 0) // step * step
    for row in pieces:
        low, high = whole(row["low"]), whole(row["high"])
        if low <= cut <= high:
            return half_up((cut - low) * (int(row["index_high"]) - int(row["index_low"])), high - low) + int(
                row["index_low"]
            )
    beyond = cut > whole(pieces[-1]["high"]) and pieces[-1]["index_high"] == "500"
    return 500 if beyond else None


def highest(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def us_aqi(dirty: Dirty, span: Span) -> Values:
    found = {p: own for p, own in means(dirty, hourly, ppb=True).items() if p not in ("NH3", "Pb")}
    values: dict[str, float | None] = {}
    for asset, (own, hours) in stations(dirty, found, span).items():
        one_h, day = own.highest("SO2", 18), own.day("SO2", 18)
        so2 = us_index("SO2", "1h", one_h)
        if one_h is not None and one_h >= 305 * MILLION:
            so2 = us_index("SO2", "24h", day)
            so2 = 200 if so2 is None and day is not None else so2
        values[asset] = highest([
            us_index("PM2.5", "24h", own.day("PM2.5", 18)), us_index("PM10", "24h", own.day("PM10", 18)),
            us_index("O3", "8h", own.eight("O3", hours)), us_index("O3", "1h", own.highest("O3", 18)),
            us_index("CO", "8h", own.eight("CO", hours)), so2, us_index("NO2", "1h", own.highest("NO2", 18)),
        ])  # fmt: skip
    return over(dirty, values, max)


def india_index(pollutant: str, c: int | None) -> int | None:
    if c is None:
        return None
    for row in table("india_naqi"):
        low, high = whole(row["low"]), whole(row["high"])
        if row["pollutant"] == pollutant and max(c, 0) <= high:
            return half_up((max(c, 0) - low) * (int(row["index_high"]) - int(row["index_low"])), high - low) + int(
                row["index_low"]
            )
    return 500


def india_naqi(dirty: Dirty, span: Span) -> Values:
    values: dict[str, float | None] = {}
    for asset, (own, hours) in stations(dirty, means(dirty, hourly), span).items():
        ozone, one_h = own.eight("O3", hours), own.highest("O3", 16)
        if ozone is not None and ozone > 208 * MILLION and one_h is not None:
            ozone = one_h
        taken = {p: own.day(p, 16) for p in ("PM2.5", "PM10", "NO2", "SO2", "NH3", "Pb")}
        taken |= {"O3": ozone, "CO": own.eight("CO", hours)}
        indexes = {p: india_index(p, c) for p, c in taken.items()}
        enough = sum(index is not None for index in indexes.values()) >= 3
        particles = indexes["PM2.5"] is not None or indexes["PM10"] is not None
        values[asset] = highest(indexes.values()) if enough and particles else None
    return over(dirty, values, lambda own: half_up(int(sum(own)), len(own)))


def nowcast(dirty: Dirty, pollutant: str, station: str, span: Span) -> float | None:
    found: dict[int, float] = {}
    for (asset, at), c in means(dirty, hourly)[pollutant].items():
        if asset == station and span.holds(at):
            minutes = (span.end - at) // timedelta(minutes=1)
            found[(minutes + 59) // 60 - 1] = c / MILLION
    if sum(ago in found for ago in range(3)) < 2:
        return None
    top = max(found.values())
    weight = max(min(found.values()) / top, 0.5) if top else 1.0
    return math.fsum(weight**ago * c for ago, c in found.items()) / math.fsum(weight**ago for ago in found)


def nowcast_pm25(dirty: Dirty, span: Span) -> Values:
    every = {asset for asset, _ in means(dirty, hourly)["PM2.5"]}
    return over(dirty, {asset: nowcast(dirty, "PM2.5", asset, span) for asset in every}, max)


def nowcast_aqi(dirty: Dirty, span: Span) -> Values:
    def index(asset: str) -> float | None:
        casts = {p: nowcast(dirty, p, asset, span) for p in ("PM2.5", "PM10")}
        return highest(us_index(p, "24h", None if c is None else round(c * MILLION)) for p, c in casts.items())

    return over(dirty, {asset: index(asset) for asset in wards(dirty)}, max)


def european_level(pollutant: str, c: int) -> int:
    ends = [int(row["up_to"]) for row in table("european_aqi") if row["pollutant"] == pollutant and row["up_to"]]
    return 1 + sum(half_up(c, MILLION) > end for end in ends)


def european_aqi(dirty: Dirty, span: Span) -> Values:
    found = means(dirty, hourly)
    values: dict[str, float | None] = {}
    for pollutant in ("PM2.5", "PM10", "NO2", "O3", "SO2"):
        for (asset, at), c in found[pollutant].items():
            if span.holds(at):
                values[asset] = highest([values.get(asset), european_level(pollutant, c)])
    return over(dirty, values, max)


# --- WHO


def goal(pollutant: str, averaging: str) -> int:
    own = [
        r
        for r in table("who_guidelines")
        if (r["pollutant"], r["averaging"], r["goal"]) == (pollutant, averaging, "AQG")
    ]
    return whole(own[0]["at_most"])


def by_station(dirty: Dirty, span: Span, *pollutants: str) -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, list[int]]] = {}
    for pollutant in pollutants:
        for (asset, at), c in means(dirty, daily)[pollutant].items():
            if span.holds(at):
                found.setdefault(asset, {}).setdefault(pollutant, []).append(c)
    return found


def who_exceedance_days(dirty: Dirty, span: Span) -> Values:
    def days(own: dict[str, list[int]]) -> float | None:
        return highest(sum(c > goal(p, "24h") for c in values) for p, values in own.items())

    found = by_station(dirty, span, "PM2.5", "PM10", "NO2", "SO2", "CO")
    return over(dirty, {asset: days(own) for asset, own in found.items()}, max)


def who_annual_ratio(dirty: Dirty, span: Span) -> Values:
    elapsed = max((int(span.seconds // 3600) + 1) // 24, 1)

    def ratio(own: dict[str, list[int]]) -> float | None:
        return highest(
            sum(values) / len(values) / goal(p, "annual") for p, values in own.items() if len(values) >= 0.75 * elapsed
        )

    found = by_station(dirty, span, "PM2.5", "PM10", "NO2")
    return over(dirty, {asset: ratio(own) for asset, own in found.items()}, max)


def data_capture(dirty: Dirty, span: Span) -> Values:
    elapsed = int(span.seconds // 3600)
    rows = []
    for one in sensors(dirty):
        hours = [
            r for r in hourly(dirty, one["quantity"]) if r["sensor"] == one["sensor"] and span.holds(r["observed_at"])
        ]
        valid = sum(row["n"] >= 0.75 * row["expected"] for row in hours)
        if elapsed > 0:
            rows.append({**one, "valid": min(valid, elapsed), "due": elapsed})
    return per_area(rows, ALL, lambda own: divided(total(own, "valid"), total(own, "due")))


# --- noise


def level(energy: float, seconds: float) -> float | None:
    return 10 * math.log10(energy / seconds) if energy > 0 and seconds > 0 else None


def sound(dirty: Dirty, inside: Callable[[datetime], bool]) -> dict[str, tuple[float, float]]:
    """Energy times seconds, and the seconds covered, of each site."""
    found: dict[str, tuple[float, float]] = {}
    for asset, own in grouped((r for r in good(dirty, "noise_dba") if inside(r["observed_at"])), "asset").items():
        energy = math.fsum(10 ** (row["value"] / 10) * row["every_s"] for row in own)
        found[asset] = (energy, total(own, "every_s"))
    return found


def microphones(dirty: Dirty) -> dict[str, int]:
    return {
        a: len(own) for a, own in grouped((o for o in sensors(dirty) if o["quantity"] == "noise_dba"), "asset").items()
    }


def captured(dirty: Dirty, found: dict[str, tuple[float, float]], seconds: float) -> dict[str, float | None]:
    number = microphones(dirty)
    return {a: level(e, s) if s >= 0.75 * seconds * number[a] else None for a, (e, s) in found.items()}


def noise_leq(dirty: Dirty, span: Span) -> Values:
    return over(dirty, captured(dirty, sound(dirty, span.holds), span.seconds), max)


def noise_lden(dirty: Dirty, span: Span) -> Values:
    def in_part(first: int, last: int) -> Callable[[datetime], bool]:
        def inside(at: datetime) -> bool:
            clock = local(at, dirty.zone)
            # The hour decides, whole: it belongs to the window when it begins in it.
            begun = clock.replace(minute=0, second=0, microsecond=0)
            during = first <= clock.hour < last if first < last else clock.hour >= first or clock.hour < last
            return during and span.start <= begun < span.end

        return inside

    parts = [(7, 19, 12, 0), (19, 23, 4, 5), (23, 7, 8, 10)]
    levels = [captured(dirty, sound(dirty, in_part(a, b)), hours * 3600) for a, b, hours, _ in parts]
    values: dict[str, float | None] = {}
    for asset in microphones(dirty):
        own = [found.get(asset) for found in levels]
        known = [v for v in own if v is not None]
        if len(known) == 3:
            energy = math.fsum(h * 10 ** ((v + p) / 10) for v, (_, _, h, p) in zip(known, parts, strict=True))
            values[asset] = 10 * math.log10(energy / 24)
    return over(dirty, values, max)


def quiet(dirty: Dirty, inside: Callable[[datetime], bool], hours: int, limits: dict[str, float]) -> Values:
    classes = {one["asset"]: one["zone_class"] for one in dirty.register("noise_sites")}
    found = captured(dirty, sound(dirty, inside), hours * 3600)
    values: dict[str, float | None] = {
        a: None if v is None else float(round(v, 6) <= limits[classes[a]]) for a, v in found.items() if a in classes
    }
    return over(dirty, values, lambda own: sum(own) / len(own))


def noise_compliance_day(dirty: Dirty, span: Span) -> Values:
    limits = {"residential": 55.0, "silence": 50.0}
    return quiet(dirty, lambda at: span.holds(at) and 6 <= local(at, dirty.zone).hour < 22, 16, limits)


def noise_compliance_night(dirty: Dirty, span: Span) -> Values:
    evening = local(span.start, dirty.zone).date()

    def inside(at: datetime) -> bool:
        clock = local(at, dirty.zone)
        late = clock.hour >= 22 and clock.date() == evening
        return span.holds(at) and (late or (clock.hour < 6 and clock.date() == evening + DAY))

    return quiet(dirty, inside, 8, {"residential": 45.0, "silence": 40.0})


# --- water and climate


def judged(sample: Row, consent: str) -> bool | None:
    """False when a tested parameter fails; null while the five-day BOD waits, or nothing was tested."""
    tested, waits = [], False
    for row in table("effluent"):
        if row["consent"] != consent:
            continue
        value = sample.get(row["parameter"])
        if value is None:
            waits |= row["parameter"] == "bod_mg_l"
            continue
        low_ok = not row["at_least"] or value >= float(row["at_least"])
        top = float(row["at_most"]) if row["at_most"] else math.inf
        tested.append(low_ok and (value < top if row["below_only"] == "yes" else value <= top))
    if not all(tested):
        return False
    return None if waits or not tested else True


def effluent_compliance(dirty: Dirty, span: Span) -> Values:
    consents = {one["asset"]: one["consent"] for one in dirty.register("effluent_plants")}
    rows = [
        {"asset": s["plant"], "ward": wards(dirty)[s["plant"]], "ok": judged(s, consents[s["plant"]])}
        for s in latest(dirty.rows("effluent_samples"), "plant", "sampled_at") if span.holds(s["sampled_at"])
    ]  # fmt: skip
    known = [row for row in rows if row["ok"] is not None]
    return per_area(known, ALL, lambda own: sum(row["ok"] for row in own) / len(own))


def ghg_emissions(dirty: Dirty, span: Span) -> Values:
    kg = {"grid_kwh": 0.710, "ch4_kg": 28.0, "n2o_kg": 265.0, "co2_kg": 1.0, "lpg_kg": 2.983}
    rows = latest(dirty.rows("climate_activities"), "service", "item", "month_start")
    parts = areas([row for row in rows if span.holds(row["month_start"])], ("town", "service"))
    return {a: math.fsum(row["amount"] * kg[row["item"]] for row in own) / 1000 for a, own in parts.items()}


ORACLES: dict[str, Callable[[Dirty, Span], Values]] = {
    oracle.__name__: oracle
    for oracle in (
        india_naqi, us_aqi, nowcast_pm25, nowcast_aqi, european_aqi, who_exceedance_days, who_annual_ratio, noise_leq,
        noise_lden, noise_compliance_day, noise_compliance_night, effluent_compliance, ghg_emissions, data_capture,
    )
}  # fmt: skip
