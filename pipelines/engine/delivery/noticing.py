"""What delivery is told of the alarms of a town."""

from collections.abc import Mapping

from pipelines.engine.alarms.lifecycle import ASIDE, WAITS_FOR_A_PERSON, State
from pipelines.engine.alarms.record import Alarm
from pipelines.engine.alarms.suppression import consequences
from pipelines.engine.alarms.watch import Alarms
from pipelines.engine.delivery.notice import Notice


def notices(alarms: Alarms) -> list[Notice]:
    """Every alarm that stands or lately stood, with how many it explains."""
    with alarms.lock:
        known, tells = list(alarms.book.alarms.values()), alarms.tells
    explained = consequences(known)
    wards = alarms.names.wards
    return [notice(alarm, wards, len(explained.get(alarm.id, ())), tells.get(alarm.rule, "")) for alarm in known]


def notice(alarm: Alarm, wards: Mapping[str, str], consequences: int = 0, tell: str = "") -> Notice:
    """What delivery knows of an alarm; what it explains is told as a count, `tell` is whom its rule names.

    `wards`: the name of every ward.
    """
    known = {
        "alarm": alarm.rule,
        "domain": alarm.domain,
        "priority": alarm.priority,
        "area": alarm.area,
        "ward": alarm.ward,
        "asset": alarm.asset,
        "tell": tell,
    }
    ward = wards.get(alarm.ward or "", alarm.ward)
    place = alarm.asset_name or alarm.asset or (ward if alarm.ward else alarm.area.partition(":")[2]) or alarm.area
    over = alarm.state in (State.NORMAL, State.RETURNED)
    return Notice(
        id=alarm.id,
        labels={name: value for name, value in known.items() if value},
        title=alarm.title,
        where=f"{place}, {ward}" if ward and ward != place else place,
        since=alarm.since,
        waits_since=(alarm.standing.since or alarm.since) if alarm.state in WAITS_FOR_A_PERSON and not over else None,
        ended_at=(alarm.returned_at or alarm.standing.since or alarm.since) if over else None,
        muted=alarm.state in ASIDE,
        acknowledged=alarm.state in (State.ACKNOWLEDGED, State.LATCHED),
        value=alarm.value,
        limit=alarm.limit,
        unit=alarm.unit,
        decimals=alarm.decimals,
        instruction=alarm.instruction,
        consequences=consequences,
        owner=alarm.owner,
        done_at=alarm.done_at,
    )
