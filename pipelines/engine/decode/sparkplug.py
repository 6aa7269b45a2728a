"""Decoder of Sparkplug B messages: births name the metrics, data bring values by alias, deaths take a node offline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from pipelines.engine.decode.base import Decoded, Part, Refused, Together
from pipelines.engine.decode.device_mapping import MOST_VALUES, DevicePlan, Wanted, filled
from pipelines.engine.decode.device_rows import WHOLE, Said, alone, together
from pipelines.engine.decode.known import Birth, Known
from pipelines.engine.decode.sparkplug_payload import instant_of, parsed, text_of, value_of

FILLS = ("readings", "device_reports", "edge_states")
BIRTHS, DATA, DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")
SPOKEN_TO = ("NCMD", "DCMD", "STATE")
PARTS = ("group", "type", "node", "device")
NEVER = datetime.min.replace(tzinfo=UTC)
SEQ_WRAPS = 256
# What every node tells for the protocol's own sake.
OF_THE_PROTOCOL = ("Node Control/", "Device Control/", "Node Info/")
BD_SEQ = "bdSeq"
TEMPLATES = 4


@dataclass(frozen=True)
class Message:
    """One message: its place in the topic spBv1.0/group/type/node[/device], its content, when it came."""

    group: str
    kind: str
    node: str
    device: str
    content: Any
    received_at: datetime

    @property
    def edge_node(self) -> str:
        """group/node."""
        return f"{self.group}/{self.node}"

    @property
    def edge(self) -> str:
        """group/node or group/node/device."""
        return f"{self.edge_node}/{self.device}" if self.device else self.edge_node

    @property
    def at(self) -> datetime:
        """When it was sent, by the node's clock."""
        return instant_of(self.content.timestamp) or self.received_at

    @property
    def bd_seq(self) -> int | None:
        """The number of the birth that this birth or death belongs to."""
        for metric in self.content.metrics:
            if metric.name == BD_SEQ.encode():
                return int(metric.long_value if metric.HasField("long_value") else metric.int_value) % 2**63
        return None


@dataclass(frozen=True)
class Named:
    """One metric under its name, its data type known."""

    name: str
    kind: int
    metric: Any
    at: datetime


def decode(payload: bytes, mapping: Mapping[str, Any], received_at: datetime) -> Decoded:
    """Readings of births and data, one row of device_reports per message, one of edge_states per birth and death.

    Needs the parts of the topic as `fields` (group, type, node, device) and, for aliases, the births that `known` has.
    Raises Refused when the payload is none or the topic is missing.
    """
    fields = _topic(mapping)
    if fields["type"] in SPOKEN_TO:
        return Decoded({})
    message = _message(payload, fields, received_at)
    return alone(_said(message, mapping, DevicePlan(mapping), fields, payload), payload)


def _message(payload: bytes, fields: Mapping[str, str], received_at: datetime) -> Message:
    content = parsed(payload)
    if len(content.metrics) > MOST_VALUES:
        raise _too_many()
    return Message(fields["group"], fields["type"], fields["node"], fields.get("device", ""), content, received_at)


def _too_many() -> Refused:
    return Refused("too_large", f"The message has more than {MOST_VALUES} metrics. Let the node send fewer at once.")


def _said(
    message: Message, mapping: Mapping[str, Any], plan: DevicePlan, fields: Mapping[str, str], payload: bytes
) -> Said:
    found = Said()
    known: Known = mapping.get("known") or Known()
    if message.kind != "NDEATH":
        found.add("device_reports", _report(message, known, mapping))
    if message.kind in DEATHS:
        if _ends(message, known):
            found.add("edge_states", _state(message, "offline", message.received_at, mapping))
        return found
    birth = _born(message, known) if message.kind in BIRTHS else _birth_of(message, known)
    if message.kind in BIRTHS and birth:
        found.add("edge_states", _state(message, "online", birth.heard_at, mapping))
    metrics, unknown = _named(message, birth)
    _read(found, message, metrics, plan, fields, payload)
    if unknown:
        found.refuse("unknown_alias", _nameless(message, unknown), payload)
    return found


def _topic(mapping: Mapping[str, Any]) -> dict[str, str]:
    """The parts of the topic.

    Raises Refused when they are missing or name another kind of message.
    """
    fields = _place({name: str(value) for name, value in (mapping.get("fields") or {}).items()})
    if "STATE" in (fields.get("type"), fields.get("group")):
        return {**fields, "type": "STATE"}
    kinds = (*BIRTHS, *DATA, *DEATHS, *SPOKEN_TO)
    missing = [name for name in ("group", "type", "node") if not fields.get(name)]
    if missing or fields["type"] not in kinds or (fields["type"][0] == "D") != bool(fields.get("device")):
        raise Refused(
            "no_topic",
            "A Sparkplug B message is told by its topic spBv1.0/group/type/node/device, with a type of "
            f"{', '.join(kinds)}; this one came with {fields or 'none'}. Subscribe the feed to spBv1.0/#.",
        )
    return fields


def _place(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields with the parts of the whole topic under their names, where the town has not named them itself."""
    before, _, after = fields.get("topic", "").partition("spBv1.0/")
    parts = after.split("/") if before == "" else []
    return {**dict(zip(PARTS, parts, strict=False)), **fields}


def _birth_of(message: Message, known: Known) -> Birth | None:
    """The birth by which the message is read; a device's counts only after its node's (its aliases are new then)."""
    birth = known.birth(message.edge, message.at)
    node = known.birth(message.edge_node, message.at) if message.device else None
    return None if birth and node and birth.at < node.at <= message.at else birth


def _born(message: Message, known: Known) -> Birth:
    """What a birth says; the same birth delivered again was heard when it came first."""
    before = known.birth(message.edge, message.at)
    again = before is not None and before.at == message.at
    listed = _listed(message)
    names = {alias: name for alias, name, _ in listed if alias is not None}
    types = {name: kind for _, name, kind in listed}
    heard_at = before.heard_at if before and again else message.received_at
    return Birth(message.at, heard_at, message.bd_seq, names, types)


def _listed(message: Message) -> list[tuple[int | None, str, int]]:
    """A birth's metrics: alias, name, data type."""
    return [(m.alias if m.HasField("alias") else None, text_of(m.name), m.datatype) for m in message.content.metrics]


def _named(message: Message, birth: Birth | None) -> tuple[list[Named], list[int]]:
    """The message's metrics under their names, and the aliases that nobody has named."""
    found: list[Named] = []
    unknown: list[int] = []
    for metric in message.content.metrics:
        name = text_of(metric.name)
        if not name and metric.HasField("alias"):
            name = birth.names.get(metric.alias, "") if birth else ""
            if not name:
                unknown.append(metric.alias)
        if name:
            kind = metric.datatype or (birth.types.get(name, 0) if birth else 0)
            inside = _walked(Named(name, kind, metric, instant_of(metric.timestamp) or message.at))
            found += islice(inside, MOST_VALUES - len(found) + 1)
    if len(found) > MOST_VALUES:
        raise _too_many()
    return found, unknown


def _walked(one: Named, depth: int = 0) -> Iterator[Named]:
    """A metric, or those inside it where it is a template's instance."""
    template = one.metric.template_value
    if not one.metric.HasField("template_value"):
        yield one
    elif not template.is_definition and depth < TEMPLATES:
        for metric in template.metrics:
            at = instant_of(metric.timestamp) or one.at
            yield from _walked(Named(f"{one.name}/{text_of(metric.name)}", metric.datatype, metric, at), depth + 1)


def _read(
    found: Said,
    message: Message,
    metrics: list[Named],
    plan: DevicePlan,
    fields: Mapping[str, str],
    payload: bytes,
) -> None:
    for place, one in enumerate(metrics, start=WHOLE + 1):
        wanted, value = plan.wanted(one.name), value_of(one.metric, one.kind)
        if wanted is None or one.metric.is_transient or value is ...:
            continue
        if not wanted.named and (isinstance(value, str) or one.name.startswith((BD_SEQ, *OF_THE_PROTOCOL))):
            continue
        names = {"edge": message.edge, **fields, "column": one.name}
        try:
            number = plan.number(value, wanted)
        except (ValueError, OverflowError):
            found.refuse("unreadable_number", _no_number(one.name, value), payload, place)
            continue
        sensor = filled(wanted.sensor, names)
        if sensor is None:
            found.refuse("missing_sensor", _unfilled(wanted, names), payload, place)
        else:
            unit = filled(wanted.unit, names) if wanted.unit else None
            found.add("readings", {"sensor": sensor, "observed_at": one.at, "value": number, "unit": unit}, place)


def _no_number(name: str, value: Any) -> str:
    return f"the metric `{name}` is {str(value)[:60]!r}, which is no number. Say in the mapping what it means."


def _unfilled(wanted: Wanted, names: Mapping[str, str]) -> str:
    return f"the sensor's name {wanted.sensor!r} cannot be filled in: the topic gives only {', '.join(sorted(names))}."


def _ends(message: Message, known: Known) -> bool:
    """Whether a death tells something new.

    A node's was written when it connected: its number tells of which birth it is the end, and one that belongs to an
    earlier birth changes nothing.
    """
    birth = known.newest_birth(message.edge)
    if message.kind == "NDEATH" and birth and None not in (birth.bd_seq, message.bd_seq):
        return birth.bd_seq == message.bd_seq and not known.offline(message.edge, message.bd_seq)
    return not known.offline(message.edge, message.bd_seq)


def _state(message: Message, state: str, heard_at: datetime, mapping: Mapping[str, Any]) -> dict[str, Any]:
    born = state == "online"
    return {
        "edge": message.edge,
        "observed_at": heard_at,
        "state": state,
        "feed": mapping.get("feed"),
        "bd_seq": message.bd_seq,
        "born_at": message.at if born else None,
        "metrics": orjson.dumps(_listed(message)).decode() if born else None,
    }


def _report(message: Message, known: Known, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """That the node was heard, with its sequence number: gaps in it are lost messages (6.4.1, seq)."""
    node = known.birth(message.edge_node, message.at)
    bd_seq = message.bd_seq if message.kind == "NBIRTH" else node.bd_seq if node else None
    has_seq = message.content.HasField("seq")
    return {
        "device": message.edge_node,
        "observed_at": message.at,
        "event": message.kind,
        "report": f"{message.device}:{message.content.seq if has_seq else ''}",
        "feed": mapping.get("feed"),
        "session": None if bd_seq is None else str(bd_seq),
        "frame_counter": message.content.seq % SEQ_WRAPS if has_seq else None,
        "counter_wraps": SEQ_WRAPS,
    }


def _nameless(message: Message, unknown: list[int]) -> str:
    shown = ", ".join(map(str, unknown[:10])) + (" ..." if len(unknown) > 10 else "")
    return (
        f"{message.edge} sent values under the aliases {shown}, which no birth has named: it was online before "
        "Townboard listened. Let the node send its birth again (Node Control/Rebirth), then replay these messages."
    )


def _say(payload: bytes, mapping: Mapping[str, Any], plan: DevicePlan) -> Said | None:
    """Data with their own time; others need to know when they came."""
    fields = _topic(mapping)
    message = _message(payload, fields, NEVER)
    if message.kind not in DATA or instant_of(message.content.timestamp) is None:
        return None
    return _said(message, mapping, plan, fields, payload)


def _together(parts: Sequence[Part], mapping: Mapping[str, Any]) -> list[Together]:
    """Data up to the first message of another kind: what comes after a birth is to be read by it."""
    until = next((i for i, (_, fields) in enumerate(parts) if _place(fields).get("type") not in DATA), len(parts))
    return together(_say, parts[:until], mapping)


TOGETHER = {"sparkplug": _together}
