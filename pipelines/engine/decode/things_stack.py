"""Decoder of messages of The Things Stack v3 (MQTT and webhooks, JSON): uplinks, joins, downlinks and the rest."""

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
SERVER = "The Things Stack v3"
UPLINK = "uplink_message"
# What a message holds under its own name, and what we call it.
EVENTS = {
    UPLINK: "up", "join_accept": "join", "uplink_normalized": "normalized", "location_solved": "location",
    "service_data": "service_data", "downlink_ack": "ack", "downlink_nack": "nack", "downlink_sent": "sent",
    "downlink_failed": "failed", "downlink_queued": "queued", "downlink_queue_invalidated": "queue_invalidated",
}  # fmt: skip


def decode(payload: bytes, mapping: Mapping[str, Any], received_at: datetime) -> Decoded:
    """The readings of an uplink and one row of device_reports; other messages give only the latter.

    The uplink's time is that of the network server: it is there whatever the gateways' clocks say, and one for all
    of them. Raises Refused when the payload is no such message.
    """
    return alone(_say(payload, mapping, DevicePlan(mapping)), payload)


def _say(payload: bytes, mapping: Mapping[str, Any], plan: DevicePlan) -> Said:
    found = document(payload, SERVER)
    ids = table(found.get("end_device_ids"))
    device = text(ids.get("dev_eui")).lower() or text(ids.get("device_id"))
    if not device:
        words = f"This is no message of {SERVER}: `end_device_ids` is missing. Check the feed's format and the sender."
        raise Refused("not_this_format", words)
    key = next((name for name in EVENTS if isinstance(found.get(name), dict)), None)
    if key is None:
        raise Refused("not_this_format", f"This message of {SERVER} is none of {', '.join(EVENTS)}.")
    body = table(found[key])
    uplink = key == UPLINK
    at = required_time(body.get("received_at") or found.get("received_at"), "received_at")
    values = None if found.get("simulated") or not uplink else body.get("decoded_payload")
    return said(
        Event(
            device=device,
            event="simulated" if found.get("simulated") else EVENTS[key],
            report=_report(body) if uplink else f"{text(body.get('session_key_id'))}:{at.isoformat()}",
            at=at,
            fields={**_fields(ids, body, device), **mapping.get("fields", {})},
            health={"session": _session(body), **(_health(body) if uplink else {"words": _words(body)})},
            values=values,
            undecoded=uplink and bool(body.get("frm_payload")) and not isinstance(body.get("decoded_payload"), dict),
            unique=False,
        ),
        mapping,
        plan,
        payload,
    )


def _session(body: Mapping[str, Any]) -> str | None:
    return text(body.get("session_key_id")) or None


def _report(body: Mapping[str, Any]) -> str:
    """The same for every delivery of one uplink; retransmissions of a device keep their counter as well."""
    return f"{text(body.get('session_key_id'))}:{counter(body.get('f_cnt'))}"


def _fields(ids: Mapping[str, Any], body: Mapping[str, Any], device: str) -> dict[str, str]:
    return {
        "device": device,
        "device_name": text(ids.get("device_id")),
        "application": text(table(ids.get("application_ids")).get("application_id")),
        "profile": text(table(body.get("version_ids")).get("model_id")),
        "port": text(body.get("f_port", 0)),
    }


def _health(body: Mapping[str, Any]) -> dict[str, Any]:
    lora = table(table(table(body.get("settings")).get("data_rate")).get("lora"))
    battery = table(body.get("last_battery_percentage"))
    return {
        "frame_counter": counter(body.get("f_cnt")),
        "spreading_factor": counter(lora["spreading_factor"]) if "spreading_factor" in lora else None,
        "battery_pct": percent(battery.get("value")),
        **heard(body.get("rx_metadata"), _gateway),
    }


def _gateway(heard_by: Mapping[str, Any]) -> Any:
    """The gateway's id; a gateway of another network is named by the broker between them."""
    other = table(heard_by.get("packet_broker"))
    return other.get("forwarder_gateway_id") or table(heard_by.get("gateway_ids")).get("gateway_id")


def _words(body: Mapping[str, Any]) -> str | None:
    error = table(body.get("error"))
    return text(error.get("message_format")) or text(error.get("name")) or None


def _together(parts: Sequence[Part], mapping: Mapping[str, Any]) -> list[Together]:
    return together(_say, parts, mapping)


TOGETHER = {"things_stack": _together}
