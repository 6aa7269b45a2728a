"""The council's sentences: promises kept, wards that miss them, one ward against all; each made by rule from rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components import glass, kpi_tile, said, wording
from components.domain_page import headlines
from components.said import KEPT, MISSED, UNTOLD
from components.tongue import N_, _, current, n_
from pipelines.engine.composites import gap_of, sides, told
from pipelines.engine.model import Domain, Kpi

State = Mapping[str, Any]
Names = Mapping[str, str]
MOST_NAMED = 3
APART = N_(
    "{title}: {mine} in {ward}, {town} in the whole town. Best is {best} with {best_figure}, worst {worst} with "
    "{worst_figure}."
)
ALIKE = N_("{title}: {mine} in {ward}, {town} in the whole town. No ward differs from the others by more than chance.")
UNSURE = N_(
    "{title}: {mine} in {ward}, {town} in the whole town. How sure the wards' figures are is not known: no order."
)
WARDS_APART = N_("{title}: best is {best} with {best_figure}, worst {worst} with {worst_figure}.")
NOT_COMPARED = N_("{title}: not known in {ward}: {reason}. The whole town has {town}.")


def judged(domain: Domain) -> list[Kpi]:
    """The headline KPIs of a domain that have a target."""
    return [kpi for kpi in headlines(domain) if said.judged(kpi)]


def promises(state: State, domains: Sequence[Domain], area: str) -> list[dict[str, Any]]:
    """Every target with whether it is kept, those that are missed first."""
    town, rows = glass.town(), []
    for domain in domains:
        for kpi in judged(domain):
            shown = kpi_tile.area_for(kpi, area)
            row = kpi_tile.row_of(state, kpi, shown)
            rows.append({
                "domain": domain, "kpi": kpi, "row": row, "area": shown, "promise": said.promise(row),
                "figure": said.figure(kpi, row, shown), "time": said.time_of(row, town.zone, town.now()),
            })  # fmt: skip
    return sorted(rows, key=lambda one: (MISSED, UNTOLD, KEPT).index(one["promise"]))


def in_short(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many of the targets are kept, in a sentence."""
    found = [one["promise"] for one in rows]
    parts = [
        n_("{n} kept", "{n} kept", found.count(KEPT)),
        n_("{n} missed", "{n} missed", found.count(MISSED)),
    ]
    if UNTOLD in found:
        untold = found.count(UNTOLD)
        parts.append(
            n_("{n} that cannot be told for want of figures", "{n} that cannot be told for want of figures", untold)
        )
    told = _(", ").join(parts)
    return n_("Of {n} target: {told}.", "Of {n} targets: {told}.", len(found), told=told)


def wards_that_keep(state: State, kpi: Kpi, names: Names) -> str:
    """In how many wards the target is kept, and which miss it."""
    rows = {ward: kpi_tile.row_of(state, kpi, f"ward:{ward}") for ward in names}
    found = {ward: said.promise(row) for ward, row in rows.items()}
    kept, untold = (list(found.values()).count(name) for name in (KEPT, UNTOLD))
    missed = sorted((ward for ward in names if found[ward] == MISSED), key=lambda ward: _badness(kpi, rows[ward]))
    parts = [_kept(kpi, rows, kept, told=len(names) - untold)]
    if missed:
        parts.append(_("missed in {named}", named=_named([names[ward] for ward in missed])))
    if 0 < untold < len(names):
        parts.append(n_("{n} cannot be told", "{n} cannot be told", untold))
    return _("; ").join(parts) + _(".")


def _kept(kpi: Kpi, rows: Mapping[str, Mapping[str, Any]], kept: int, *, told: int) -> str:
    """In how many of the wards the target is kept; that it cannot be told when no ward has a figure to judge."""
    first = next(iter(rows.values()), None)
    aim = f"{wording.aim(first)} {wording.unit(kpi.unit)}".strip() if first else ""
    words = {"title": _(kpi.title), "aim": aim}
    if not told:
        return _(
            "{title}: it cannot be told whether any ward keeps the target of {aim}, for none has a figure to judge",
            **words,
        )
    if kept == len(rows):
        return n_(
            "{title}: the only ward keeps the target of {aim}",
            "{title}: all {n} wards keep the target of {aim}",
            kept, **words,
        )  # fmt: skip
    return n_(
        "{title}: {n} of {wards} wards keeps the target of {aim}",
        "{title}: {n} of {wards} wards keep the target of {aim}",
        kept, wards=wording.number(len(rows), 0), **words,
    )  # fmt: skip


def _badness(kpi: Kpi, row: Mapping[str, Any]) -> float:
    value = float(row["value"])
    return value if kpi.better == "higher" else -value


def _named(names: Sequence[str]) -> str:
    """Some names in a row: "Canal East, Old Fort and 3 more"."""
    tongue = current()
    shown = [tongue.apart(name) for name in (names if len(names) <= MOST_NAMED + 1 else names[:MOST_NAMED])]
    more = len(names) - len(shown)
    return tongue.listed([*shown, n_("{n} more", "{n} more", more)] if more else shown)


def compared(state: State, kpi: Kpi, names: Names, ward: str) -> Markup | None:
    """A ward against the town, the best and the worst; without a ward only these. None where nothing can be said.

    Best and worst are named only where wards differ by more than chance.
    """
    found = sides(glass.town(), state, kpi)
    gap, sure = gap_of(kpi, found), told(found)
    ends = {}
    if gap.worst and gap.best:
        apart = current().apart
        ends = {"best": apart(names[gap.best]), "best_figure": _figure(state, kpi, f"ward:{gap.best}"),
                "worst": apart(names[gap.worst]), "worst_figure": _figure(state, kpi, f"ward:{gap.worst}")}  # fmt: skip
    if not ward:
        return Markup(_(WARDS_APART)).format(title=_(kpi.title), **ends) if sure == "apart" and ends else None
    row = kpi_tile.row_of(state, kpi, f"ward:{ward}")
    words = {"title": _(kpi.title), "ward": current().apart(names[ward]), "town": _figure(state, kpi, "town")}
    if row["value"] is None:
        return Markup(_(NOT_COMPARED)).format(reason=wording.reason(row), **words)
    words["mine"] = _figure(state, kpi, f"ward:{ward}")
    if sure == "apart" and ends:
        return Markup(_(APART)).format(**words, **ends)
    return Markup(_(ALIKE if sure == "alike" else UNSURE)).format(**words)


def _figure(state: State, kpi: Kpi, area: str) -> Markup:
    row = kpi_tile.row_of(state, kpi, area)
    if row["value"] is None:
        return Markup(_("{figure} (not known)")).format(figure=said.figure(kpi, row, area))
    return said.figure(kpi, row, area)
