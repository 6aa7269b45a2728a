"""Events of LoRaWAN network servers -> readings of the decoded object and one report about the device."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from pipelines.engine.decode.base import Refused
from pipelines.engine.decode.device_mapping import (
    MOST_VALUES,
    DevicePlan,
    Wanted,
    fields_of,
    filled,
    reads_as_number,
)  # fmt: skip
from pipelines.engine.decode.device_rows import WHOLE, Said
from pipelines.engine.decode.known import Known
from pipelines.engine.decode.text import refuse_other_files, unpack

MAX_MB = 4
COUNTERS_END = 2**32
# A confirmed frame is repeated up to 8 times, and at SF12 each takes some seconds (LoRaWAN 1.0.4, 4.3.1).
RESENT = timedelta(minutes=1)
FILLS = ("readings", "device_reports")


@dataclass(frozen=True)
class Event:
    """One event of a network server about one device.

    `fields`: what a sensor's name may be made of; `health`: further columns of device_reports; `values`: the decoded
    object, None where the server has decoded nothing; `undecoded`: there was something to decode; `unique`: no other
    frame ever has this report id.
    """

    device: str
    event: str
    report: str
    at: datetime
    fields: Mapping[str, str]
    health: Mapping[str, Any] = field(default_factory=dict)
    values: Any = None
    undecoded: bool = False
    unique: bool = True


@dataclass(frozen=True)
class Hearing:
    """How one gateway heard a frame."""

    rssi: float | None
    snr: float | None


def document(payload: bytes, server: str) -> dict[str, Any]:
    """The JSON object of one event.

    Raises Refused when the payload is none.
    """
    body = unpack(payload, MAX_MB)
    refuse_other_files(body, "json")
    try:
        found = orjson.loads(body)
    except ValueError as error:
        words = f"This is no JSON. Set the integration of {server} to JSON (not Protobuf), then send it again."
        raise Refused("not_this_format", words) from error
    if not isinstance(found, dict):
        raise Refused("not_this_format", f"One event of {server} is expected: a JSON object, not {_kind(found)}.")
    return found


def _kind(found: Any) -> str:
    return {list: "a list", str: "a text", type(None): "null", bool: "true or false"}.get(type(found), "a number")


def said(event: Event, mapping: Mapping[str, Any], plan: DevicePlan, payload: bytes) -> Said:
    """The rows of an event: its readings, its report, and what could not be read of it.

    The same report of the same device keeps the time by which it was first known, however often it comes.
    Raises Refused when the device's own time cannot be read.
    """
    found = Said()
    at = _first_known(event, mapping.get("known") or Known())
    values = _values(event.values)
    _read(found, event, plan, plan.own_time(values) or at, values, payload)
    if event.undecoded:
        found.refuse("no_decoded_object", _not_decoded(event), payload)
    told = {"device": event.device, "observed_at": at, "event": event.event, "report": event.report}
    battery = event.health.get("battery_pct")
    if battery is None:
        battery = _battery(values.get(plan.battery))
    found.add("device_reports", {**told, "feed": mapping.get("feed"), **event.health, "battery_pct": battery})
    return found


def _first_known(event: Event, known: Known) -> datetime:
    """When the report was first known to be heard; a counter that comes again after a restart is another report."""
    before = known.seen_at(event.device, event.event, event.report)
    return before if before and (event.unique or abs(event.at - before) <= RESENT) else event.at


def _values(found: Any) -> dict[str, Any]:
    if not isinstance(found, (dict, list)):
        return {}
    values: dict[str, Any] = {}
    for path, value in fields_of(found):
        values[path] = value
        if len(values) > MOST_VALUES:
            raise Refused("too_large", f"The decoded object has more than {MOST_VALUES} fields: no device's message.")
    return values


def _read(found: Said, event: Event, plan: DevicePlan, at: datetime, values: Mapping[str, Any], payload: bytes) -> None:
    for place, (path, value) in enumerate(values.items(), start=WHOLE + 1):
        wanted = plan.wanted(path)
        if wanted is None or not (reads_as_number(value) or wanted.named):
            continue
        fields = {**event.fields, "column": path}
        try:
            number = plan.number(value, wanted)
        except (ValueError, OverflowError):
            found.refuse("unreadable_number", _no_number(path, value), payload, place)
            continue
        sensor = filled(wanted.sensor, fields)
        if sensor is None:
            found.refuse("missing_sensor", _nameless(wanted, fields), payload, place)
        else:
            unit = filled(wanted.unit, fields) if wanted.unit else None
            found.add("readings", {"sensor": sensor, "observed_at": at, "value": number, "unit": unit}, place)


def _no_number(path: str, value: Any) -> str:
    return (
        f"`{path}` is {str(value)[:60]!r}: neither a number nor a word that the mapping knows. Add it there, for "
        f'example {path} = {{ map = {{ "{str(value)[:20]}" = 1 }} }}, or under `missing`.'
    )


def _nameless(wanted: Wanted, fields: Mapping[str, str]) -> str:
    has = ", ".join(sorted(name for name, value in fields.items() if value))
    return f"the sensor's name {wanted.sensor!r} cannot be filled in: this event has only {has}."


def _not_decoded(event: Event) -> str:
    return (
        f"The message of {event.device} came without a decoded object, only its raw bytes. Add the device's payload "
        "codec (formatter) in the network server: in its device profile or application. Later messages then arrive "
        "decoded; that the device was heard is kept."
    )


def _battery(value: Any) -> float | None:
    """A battery in percent: whole numbers up to 100. Volts (3.6) are none, nor are codes such as 255."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 100 and value == int(value)
    return float(value) if good else None


def percent(value: Any) -> float | None:
    """A share from 0 to 100 that the server itself gives; None for anything else."""
    number = finite(value)
    return number if number is not None and 0 <= number <= 100 else None


def finite(value: Any) -> float | None:
    """A number; None for anything else."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def counter(value: Any) -> int | None:
    """A frame counter; None for anything else. Left out means 0 in the servers' JSON."""
    if value is None:
        return 0
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < COUNTERS_END else None


def text(value: Any) -> str:
    """A short text or number as text; empty for anything else."""
    return str(value)[:200] if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def table(value: Any) -> Mapping[str, Any]:
    """An object's fields; none for anything else."""
    return value if isinstance(value, dict) else {}


def heard(gateways: Any, name: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
    """How many gateways heard a frame, and the link to the best: most signal over noise, then the strongest.

    `name` gives the gateway's id.
    """
    found = [one for one in gateways if isinstance(one, dict)] if isinstance(gateways, list) else []
    if not found:
        return {}
    # Numbers that are 0 are left out of the servers' JSON; a signal strength of 0 dBm is no measurement.
    heard_by = [Hearing(finite(one.get("rssi")), finite(one.get("snr", 0.0))) for one in found]
    best = max(heard_by, key=lambda one: (_or_worst(one.snr), _or_worst(one.rssi)))
    names = {text(name(one)).lower() or str(i) for i, one in enumerate(found)}
    return {"gateways": len(names), "rssi_dbm": best.rssi, "snr_db": best.snr if best.rssi is not None else None}


def _or_worst(value: float | None) -> float:
    return -math.inf if value is None else value


def instant(value: Any) -> datetime | None:
    """A time with its offset, in UTC; None when it is none."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def required_time(value: Any, where: str) -> datetime:
    """The time at which the network heard the device.

    Raises Refused when it is missing: the time we received it would differ each time it is delivered.
    """
    at = instant(value)
    if at is None:
        raise Refused("no_time", f"The event has no readable `{where}`: when the device was heard cannot be told.")
    return at
