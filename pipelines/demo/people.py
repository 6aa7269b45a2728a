"""Residents and the town office: about thirty-five grievances a day, their promised dates, closings and ratings."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp
from random import Random
from typing import Any

from pipelines.demo.air import STATIONS
from pipelines.demo.calendar import DAY_S, day_date, day_number, day_start, is_festival, iso, weekday
from pipelines.demo.geography import point_in, wards
from pipelines.demo.incidents import Incident, World
from pipelines.demo.outages import FEEDERS
from pipelines.demo.services import CODES, HEAVY, SERVICES, WAVES, Service

HOUR_S = 3600.0
PER_DAY = 33.0
CHANNELS = ("app", "phone", "web", "counter")
BACK_DAYS = 75


@dataclass(frozen=True)
class Request:
    """One grievance with all that will happen to it; what has not happened yet at some instant is not told."""

    number: str
    service: Service
    ward: str
    lon: float
    lat: float
    words: str
    channel: str
    requested: float
    answered: float
    begun: float
    closed: float
    outcome: str
    reopened: float
    closed_again: float
    rating: int
    paused_h: float
    duplicate_of: str


def _hour(chance: Random) -> float:
    """Most write in the morning and in the evening."""
    return chance.triangular(6.0, 15.0, 9.5) if chance.random() < 0.6 else chance.triangular(14.0, 23.5, 19.0)


def _request(chance: Random, number: str, service: Service, ward: str, requested: float, *, seed: int) -> Request:
    """The whole life of a request, drawn when it is filed."""
    hours = service.limit_h * service.pace * exp(chance.gauss(-0.25, 0.75))
    answered = requested + HOUR_S * min(chance.expovariate(1 / 5.0) + 0.1, 0.5 * hours)
    roll = chance.random()
    outcome = "rejected" if roll < 0.02 else "withdrawn" if roll < 0.035 else "closed"
    closed = requested + HOUR_S * hours * (8.0 if chance.random() < 0.05 else 1.0)
    again = outcome == "closed" and chance.random() < 0.06
    reopened = closed + HOUR_S * chance.uniform(6.0, 200.0) if again else float("inf")
    happy = closed - requested <= service.limit_h * HOUR_S
    rating = chance.choices((1, 2, 3, 4, 5), (2, 3, 10, 40, 45) if happy else (25, 25, 22, 18, 10))[0]
    lon, lat = point_in(seed, ward, "grievance", chance.randrange(10_000))
    return Request(
        number,
        service,
        ward,
        lon,
        lat,
        chance.choice(service.words),
        chance.choice(CHANNELS),
        float(round(requested)),
        answered,
        answered + 0.2 * (closed - answered),
        closed,
        outcome,
        reopened,
        reopened + HOUR_S * hours * 0.7,
        rating if chance.random() < 0.42 else 0,
        chance.choice((0.0, 0.0, 0.0, 6.0, 20.0)),
        "",
    )


@lru_cache(maxsize=128)
def of_day(seed: int, day: int) -> tuple[Request, ...]:
    """The requests filed on this local day, in order."""
    chance = Random(f"people {seed} {day}")
    quiet = 0.6 if int(weekday(day)) == 6 or is_festival(day) else 1.0
    count = max(round(chance.gauss(PER_DAY * quiet * 1.06, 5.0)), 5)
    times = sorted(day_start(day) + HOUR_S * _hour(chance) for _ in range(count))
    areas = wards(seed)
    found: list[Request] = []
    for number, requested in enumerate(times, 1):
        ward = chance.choices(areas, [w.population for w in areas])[0].ward
        service = chance.choices(SERVICES, [s.weight * HEAVY.get((ward, s.code), 1.0) for s in SERVICES])[0]
        name = f"NDP-{day_date(day):%y%m%d}-{number:03d}"
        made = _request(chance, name, service, ward, requested, seed=seed)
        found.append(_repeat(chance, made, found))
    return tuple(found)


def _repeat(chance: Random, made: Request, earlier: list[Request]) -> Request:
    """Now and then a neighbour reports what is reported already."""
    same = [r for r in earlier if r.service == made.service and not r.duplicate_of]
    if not same or chance.random() > 0.11:
        return made
    first = same[-1]
    lon, lat = round(first.lon + chance.uniform(-4e-4, 4e-4), 6), round(first.lat + chance.uniform(-4e-4, 4e-4), 6)
    soon = min(first.closed, made.requested + 5 * HOUR_S)
    return replace(
        made,
        ward=first.ward,
        lon=lon,
        lat=lat,
        duplicate_of=first.number,
        outcome="duplicate",
        closed=max(soon, made.answered),
        reopened=float("inf"),
        closed_again=float("inf"),
        rating=0,
    )


def _stirred(seed: int, incident: Incident, number: int) -> tuple[Request, ...]:
    """The requests that an incident brings about."""
    code, rate, delay = WAVES[incident.kind]
    head, _, tail = incident.target.partition(":")
    chance = Random(f"stirred {seed} {incident.kind} {number}")
    found: list[Request] = []
    at = incident.start + delay * 60.0
    while (at := at + chance.expovariate(rate / 60.0)) < incident.end + 240.0:
        name = f"NDP-{day_date(int(day_number(at))):%y%m%d}-{int(incident.start) % DAY_S}{len(found) + 1:02d}"
        ward = chance.choice(_places(incident, head, tail))
        found.append(_request(chance, name, CODES[code or tail], ward, at, seed=seed))
    return tuple(found)


def _places(incident: Incident, head: str, tail: str) -> tuple[str, ...]:
    """The wards where an incident is felt."""
    if incident.kind == "burst_main":
        return (tail,)
    if incident.kind == "smoke":
        return tuple(s.ward for s in STATIONS if s.asset == head)
    if incident.kind == "feeder_trip":
        return next(f.wards for f in FEEDERS if f.asset == head)
    return (head,)


def filed(world: World, start: float, end: float) -> Iterator[Request]:
    """Requests filed in start <= t < end."""
    for day in range(int(day_number(start)), int(day_number(end)) + 1):
        yield from (r for r in of_day(world.seed, day) if start <= r.requested < end)
    for number, incident in enumerate(world.incidents):
        if incident.kind in WAVES and incident.start < end and incident.end + 300.0 > start:
            key = ("stirred", f"{number}")
            if key not in world.memory:
                world.memory[key] = _stirred(world.seed, incident, number)
            yield from (r for r in world.memory[key] if start <= r.requested < end)


def _state(request: Request, now: float) -> tuple[str, float]:
    """Where the office stands with it at `now`, and since when."""
    steps = [
        (request.requested, "received"),
        (request.answered, "acknowledged"),
        (request.answered + 0.4 * (request.begun - request.answered), "assigned"),
        (request.begun, "in_progress"),
        (request.closed, request.outcome),
        (request.reopened, "reopened"),
        (request.closed_again, "closed"),
    ]
    return max((at, -k, state) for k, (at, state) in enumerate(steps) if at <= now)[2], max(
        at for at, _ in steps if at <= now
    )


def as_open311(request: Request, now: float) -> dict[str, Any]:
    """The request as GeoReport v2 tells it at `now`, with the office's own words as extended attributes."""
    state, since = _state(request, now)
    settled = state in ("closed", "rejected", "withdrawn", "duplicate")
    reopened = request.reopened <= now
    last_closed = (
        request.closed_again if request.closed_again <= now else request.closed if request.closed <= now else None
    )
    extended = {
        "ward": request.ward,
        "state": state,
        "channel": request.channel,
        "first_response_at": iso(request.answered) if request.answered <= now else None,
        "closed_at": iso(last_closed) if settled and last_closed else None,
        "reopened_at": iso(request.reopened) if reopened else None,
        "reopen_count": int(reopened),
        "rating": request.rating if settled and request.rating else None,
        "paused_h": request.paused_h if settled else None,
        "duplicate_of": request.duplicate_of or None,
    }
    return {
        "service_request_id": request.number,
        "status": "closed" if settled else "open",
        "status_notes": state.replace("_", " "),
        "service_name": request.service.name,
        "service_code": request.service.code,
        "description": request.words,
        "agency_responsible": request.service.department,
        "requested_datetime": iso(request.requested),
        "updated_datetime": iso(since),
        "expected_datetime": iso(request.requested + request.service.limit_h * HOUR_S),
        "address": f"near house {1 + int(request.lat * 1e6) % 180}",
        "lat": request.lat,
        "long": request.lon,
        "extended_attributes": {k: v for k, v in extended.items() if v is not None},
    }


def changed_since(world: World, since: float, now: float) -> list[dict[str, Any]]:
    """Every request whose state changed in since < t <= now, as it stands at `now`; newest first."""
    dated = [(_state(r, now)[1], r) for r in filed(world, now - BACK_DAYS * DAY_S, now)]
    fresh = sorted((pair for pair in dated if pair[0] > since), key=lambda pair: -pair[0])
    return [as_open311(request, now) for _, request in fresh]


def history(world: World, now: float, days: int) -> Iterator[bytes]:
    """One list a day, as it stands at `now`: what was filed on it and the day before, as polls overlap.

    It reaches further back than the sensors' history, for the age of the backlog.
    """
    for back in range(max(days, BACK_DAYS), -1, -1):
        day = day_start(int(day_number(now)) - back)
        rows = [as_open311(r, now) for r in filed(world, day - DAY_S, min(day + DAY_S, now))]
        if rows:
            yield json.dumps(rows).encode()
