"""How the alarm system does, as a table: ISA-18.2's measures of a shift and of thirty days, each against its aim."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from components import wording
from components.happened import Names
from components.tongue import N_, _

Judged = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """One line of the table: how it is worded, what is aimed at, and whether that is kept (None: nothing to judge)."""

    name: str
    aim: str
    source: str
    words: Callable[[Judged], str]
    kept: Callable[[Judged], bool | None] = lambda _judged: None


def table(shift: Judged, month: Judged, stale: int) -> list[dict[str, Any]]:
    """Rows: name, shift, month, aim, source, kept (judged over the thirty days, as the standard does)."""
    found = [
        {"name": _(one.name), "shift": one.words(shift), "month": one.words(month),
         "aim": _(one.aim), "source": _(one.source),
         "kept": one.kept(month)}
        for one in MEASURES
    ]  # fmt: skip
    standing = {"name": _("Standing for more than a day"), "shift": _("{n} now", n=stale), "month": "",
                "aim": _("fewer than 5"), "source": "ISA-18.2 16.4.7 (AL-05)", "kept": stale < 5}  # fmt: skip
    return [*found, standing]


def worst(month: Judged) -> list[dict[str, Any]]:
    """The alarms that ring most, by name, with their share; and whether they chatter."""
    names = Names()
    found = []
    for one in month["top"]:
        title, place = names.of(one["alarm"], None)
        found.append({**one, "title": title, "place": place, "chatters": one["alarm"] in month["chattering"]})
    return found


def _percent(value: float | None, decimals: int = 1) -> str:
    return wording.DASH if value is None else f"{wording.number(value, decimals)} %"


def _below(value: float | None, limit: float) -> bool | None:
    return None if value is None else value < limit


def _rate(one: Judged) -> str:
    return f"{wording.number(one['rate']['per_10min'], 2)} ({_(one['rate']['grade'])})"


def _flood(one: Judged) -> str:
    return f"{_percent(one['flood']['flood_pct'])}, {wording.count(one['flood']['floods'], 'flood')}"


def _mix(one: Judged) -> str:
    shares = [one["mix"][name] for name in ("low", "medium", "high")]
    return wording.DASH if None in shares else " / ".join(wording.number(share, 0) for share in shares)


def _waits(one: Judged) -> str:
    told = one["acknowledged"]
    if told["median_s"] is None:
        return wording.DASH
    return _("{half}; nine of ten within {most}", half=wording.age(told["median_s"]), most=wording.age(told["p90_s"]))


MEASURES = (
    Measure(N_("Alarms in ten minutes, for each operator"), N_("about 1, at most 2"), "ISA-18.2 16.4.2 (AL-01)", _rate,
            lambda one: one["rate"]["per_10min"] <= 2),
    Measure(N_("Ten-minute spans with more than ten"), N_("less than 1 %"), "ISA-18.2 16.4.3 (AL-02)",
            lambda one: _percent(one["peak"]["over10_pct"]), lambda one: _below(one["peak"]["over10_pct"], 1)),
    Measure(N_("Most in ten minutes"), N_("at most 10"), "ISA-18.2 16.4.3 (AL-02)", lambda one: str(one["peak"]["max"]),
            lambda one: one["peak"]["max"] <= 10),
    Measure(N_("Time in a flood"), N_("less than 1 %"), "ISA-18.2 16.4.4 (AL-03)", _flood,
            lambda one: _below(one["flood"]["flood_pct"], 1)),
    Measure(N_("Alarms that chatter (three times in a minute)"), N_("none"), "ISA-18.2 16.4.6 (AL-04)",
            lambda one: str(len(one["chattering"])), lambda one: not one["chattering"]),
    Measure(N_("Share of the ten that ring most"), N_("1 to 5 %, where there are 200 or more"),
            "ISA-18.2 16.4.5 (AL-06)", lambda one: _percent(one["top_share_pct"], 0)),
    Measure(N_("Low / medium / high, in percent"), "80 / 15 / 5", "ISA-18.2 16.4.8 (AL-07)", _mix,
            lambda one: one["mix"]["within_5pt"]),
    Measure(N_("Acknowledged after (half of them)"), "", N_("the log"), _waits),
)  # fmt: skip
