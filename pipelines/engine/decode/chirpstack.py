"""Decoder of ChirpStack v4 events (MQTT and HTTP integration, JSON): uplinks, joins, status, logs and the rest."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pipelines.engine.decode.base import Decoded, Part, Refused, Together
from pipelines.engine.decode.device_mapping import DevicePlan
from pipelines.engine.decode.device_rows import Said, alone, together
from pipelines.engine.decode.lorawan import (
    FILLS,
    Event,
    counter,
    document,
    heard,
    percent,
    required_time,
    said,
    table,
    text,
)  # fmt: skip

__all__ = ["FILLS", "TOGETHER", "decode"]
SERVER = "ChirpStack v4"
EVENTS = ("up", "join", "status", "ack", "txack", "log", "location", "integration")
# Fields that only one kind of event has, in the order in which they tell: the body need not say its kind itself.
MARKS = (
    ("log", "code"), ("txack", "downlinkId"), ("ack", "queueItemId"), ("status", "margin"), ("status", "batteryLevel"),
    ("status", "batteryLevelUnavailable"), ("integration", "integrationName"), ("up", "rxInfo"), ("up", "data"),
    ("up", "fPort"), ("up", "dr"), ("location", "location"), ("join", "devAddr"),
)  # fmt: skip


def decode(payload: bytes, mapping: Mapping[str, Any], received_at: datetime) -> Decoded:
    """The readings of an uplink and one row of device_reports; other events give only the latter.

    Raises Refused when the payload is no such event.
    """
    return alone(_say(payload, mapping, DevicePlan(mapping)), payload)


def _say(payload: bytes, mapping: Mapping[str, Any], plan: DevicePlan) -> Said:
    found = document(payload, SERVER)
    info = table(found.get("deviceInfo"))
    device = text(info.get("devEui")).lower()
    if not device:
        raise _stranger(found)
    kind = _kind(found, mapping.get("fields", {}))
    at = required_time(found.get("time"), "time")
    report = text(found.get("deduplicationId") or found.get("downlinkId")) or at.isoformat()
    health = {"session": text(found.get("devAddr")).lower() or None, **HEALTH.get(kind, _none)(found)}
    fields = {**_fields(found, info, device), **mapping.get("fields", {})}
    return said(
        Event(
            device=device,
            event=kind,
            report=report,
            at=at,
            fields=fields,
            health=health,
            values=found.get("object") if kind == "up" else None,
            undecoded=kind == "up" and bool(found.get("data")) and not _decoded(found),
        ),
        mapping,
        plan,
        payload,
    )


def _stranger(found: Mapping[str, Any]) -> Refused:
    if "devEUI" in found and "applicationID" in found:
        words = "This event is of ChirpStack 3, whose form is another. Upgrade the server to ChirpStack 4."
    else:
        words = f"This is no event of {SERVER}: `deviceInfo.devEui` is missing. Check the feed's format and the sender."
    return Refused("not_this_format", words)


def _kind(found: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    said = fields.get("event")
    if said in EVENTS:
        return str(said)
    for kind, mark in MARKS:
        if mark in found:
            return kind
    raise Refused("not_this_format", f"This event of {SERVER} is none of {', '.join(EVENTS)}.")


def _decoded(found: Mapping[str, Any]) -> bool:
    return isinstance(found.get("object"), dict) and bool(found["object"])


def _fields(found: Mapping[str, Any], info: Mapping[str, Any], device: str) -> dict[str, str]:
    tags = {f"tags.{name}": text(value) for name, value in table(info.get("tags")).items()}
    return tags | {
        "device": device,
        "device_name": text(info.get("deviceName")),
        "application": text(info.get("applicationName")),
        "profile": text(info.get("deviceProfileName")),
        "port": text(found.get("fPort", 0)),
    }


def _none(found: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _up(found: Mapping[str, Any]) -> dict[str, Any]:
    lora = table(table(table(found.get("txInfo")).get("modulation")).get("lora"))
    return {
        "frame_counter": counter(found.get("fCnt")),
        "spreading_factor": counter(lora["spreadingFactor"]) if "spreadingFactor" in lora else None,
        **heard(found.get("rxInfo"), lambda gateway: gateway.get("gatewayId")),
    }


def _status(found: Mapping[str, Any]) -> dict[str, Any]:
    """A device on mains, or one that cannot measure it, has no battery level."""
    if found.get("externalPowerSource") or found.get("batteryLevelUnavailable"):
        return {}
    return {"battery_pct": percent(found.get("batteryLevel", 0.0))}


def _log(found: Mapping[str, Any]) -> dict[str, Any]:
    words = [text(found.get(name)) for name in ("level", "code", "description")]
    return {"words": " ".join(filter(None, words))}


HEALTH = {"up": _up, "status": _status, "log": _log}


def _together(parts: Sequence[Part], mapping: Mapping[str, Any]) -> list[Together]:
    return together(_say, parts, mapping)


TOGETHER = {"chirpstack": _together}
