"""The alarm console's view: what an address asks for, which alarms that shows, and each of them in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from components import glass, wording
from components.address import PERIODS, ward_names
from components.alarm_list import against, place, standing
from components.tongue import N_, _, said
from components.visitor import current
from pipelines.engine.model import PRIORITIES

SHOWN = {"": N_("Open"), "unacknowledged": N_("Not acknowledged"),
         "mine": N_("Mine"), "aside": N_("Put aside"), "all": N_("All"),
         "incidents": N_("Incidents"), "history": N_("What happened")}  # fmt: skip
ASIDE = ("shelved", "suppressed", "out_of_service")
WAITING = ("unacknowledged", "returned_unacknowledged", "latched_unacknowledged")
SOON = timedelta(minutes=15)
MOST_QUERY = 200


@dataclass(frozen=True)
class ConsoleView:
    """What somebody looks at: a group of alarms, narrowed by priority, service, ward and words; one of them opened."""

    show: str = ""
    priority: str = ""
    domain: str = ""
    ward: str = ""
    q: str = ""
    days: str = ""
    alarm: str = ""

    @classmethod
    def read(cls, query: str) -> "ConsoleView":
        """The view of a query; what nobody knows is left out, never refused."""
        found = {key: values[-1][:MOST_QUERY] for key, values in parse_qs(query).items()}
        allowed = {
            "show": SHOWN, "priority": PRIORITIES, "domain": [d.name for d in glass.town().domains] + ["feeds"],
            "ward": ward_names(), "days": PERIODS,
        }  # fmt: skip
        kept = {key: value for key, value in found.items() if key in cls.__dataclass_fields__}
        return cls(**{key: value for key, value in kept.items() if key not in allowed or value in allowed[key]})

    @property
    def query(self) -> dict[str, str]:
        """The view as an address has it."""
        return {name: value for name, value in vars(self).items() if value}

    @property
    def href(self) -> str:
        """The address of this view."""
        return glass.href("alarms", **self.query)

    def opening(self, alarm: str) -> "ConsoleView":
        """The same view with an alarm opened (or, without one, closed)."""
        return replace(self, alarm=alarm)

    def rows(self, alarms: Sequence[Mapping[str, Any]], me: str) -> list[Mapping[str, Any]]:
        """The alarms of this view, in the order of the board."""
        return [alarm for alarm in alarms if self._in_group(alarm, me) and self._wanted(alarm)]

    def _in_group(self, alarm: Mapping[str, Any], me: str) -> bool:
        state = alarm["state"]
        return {
            "unacknowledged": state in WAITING,
            "mine": bool(me) and alarm.get("owner") == me and state != "normal",
            "aside": state in ASIDE,
            "all": True,
        }.get(self.show, alarm["active"] or state == "returned_unacknowledged")

    def _wanted(self, alarm: Mapping[str, Any]) -> bool:
        narrowed = {"priority": self.priority, "domain": self.domain, "ward": self.ward}
        if any(value and alarm.get(name) != value for name, value in narrowed.items()):
            return False
        return not self.q or self.q.casefold() in searched(alarm)


def searched(alarm: Mapping[str, Any]) -> str:
    """What a search looks through."""
    ward = ward_names().get(alarm.get("ward") or "", "")
    parts = (alarm["title"], alarm.get("asset_name"), alarm.get("asset"), ward, alarm.get("owner"), alarm["id"])
    return " ".join(part for part in parts if part).casefold()


def in_words(alarm: Mapping[str, Any], view: ConsoleView) -> dict[str, Any]:
    """One alarm with its words, as the list and the opened panel show it."""
    zone, back = glass.town().zone, alarm.get("returned_at") if not alarm["active"] else None
    since = back or alarm["since"]
    at = wording.clock(since, zone)
    words = _("back to normal since {clock}, {age}") if back else _("since {clock}, {age}")
    before, _hole, after = words.replace("{clock}", at).partition("{age}")
    return {
        **alarm,
        "title": said(alarm["title"]),
        "instruction": said(alarm.get("instruction")),
        "cause_title": said(alarm.get("cause_title")),
        "href": view.opening(alarm["id"]).href,
        "asset_href": glass.href(f"asset/{alarm['asset']}") if alarm.get("asset") else "",
        "place": place(alarm),
        "since_words": _("back to normal since {clock}", clock=at) if back else _("since {clock}", clock=at),
        "since_before": before,
        "since_after": after,
        "since_at": since,
        "age": wording.age_of(since),
        "against": against(alarm),
        "standing": standing(alarm),
    }


def alarms() -> list[dict[str, Any]]:
    """The alarms of the board, with who did what where the one who looks may see it."""
    return glass.town().alarms.told(current().actor, glass.state()["alarms"])


def ending(alarms: Sequence[Mapping[str, Any]], now: datetime) -> list[Mapping[str, Any]]:
    """The shelvings that end soon, the next first."""
    shelved = [(wording.moment(a["until"]), a) for a in alarms if a["state"] == "shelved" and a.get("until")]
    soon = [(at, a) for at, a in shelved if at is not None and at - now <= SOON]
    return [alarm for _at, alarm in sorted(soon, key=lambda pair: (pair[0], pair[1]["id"]))]
