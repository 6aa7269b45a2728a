"""The filters that live in a page's address: ward, KPI and period. They survive moving between pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from components import glass
from components.props import props
from components.tongue import N_, _

PERIODS = {"": N_("Usual period"), "1": N_("24 hours"), "7": N_("7 days"), "30": N_("30 days"), "365": N_("One year")}
FITTING_DAYS = {"quarter_hour": 2, "hour": 3, "day": 30, "week": 180, "month": 3650, "year": 3650, "fiscal_year": 3650}
KEPT = ("ward", "days", "as_known_at")


@dataclass(frozen=True)
class View:
    """What a person chose to look at."""

    ward: str | None = None
    kpi: str | None = None
    days: int | None = None
    as_known_at: datetime | None = None

    @classmethod
    def read(cls, query: Mapping[str, Any]) -> "View":
        """The view that an address asks for; what nobody knows is left out, never refused."""
        wards = set(glass.town().wards()["ward"].to_list())
        ward, days, at = _one(query, "ward"), _one(query, "days"), _then(_one(query, "as_known_at"))
        period = int(days) if days in PERIODS and days else None
        return cls(ward if ward in wards else None, _one(query, "kpi"), period, at)

    @property
    def kept(self) -> dict[str, Any]:
        """The part of the view that goes along to other pages."""
        then = self.as_known_at.isoformat().replace("+00:00", "Z") if self.as_known_at else None
        return {"ward": self.ward, "days": self.days, "as_known_at": then}

    @property
    def area(self) -> str:
        """The area that the chosen ward stands for; the town when none is chosen."""
        return f"ward:{self.ward}" if self.ward else "town"

    def span(self, step: str) -> tuple[datetime, datetime]:
        """From when to when a KPI with windows of this step is drawn."""
        now = datetime.now(UTC)
        return now - timedelta(days=self.days or FITTING_DAYS.get(step, 30)), now


def _one(query: Mapping[str, Any], name: str) -> str | None:
    value = query.get(name)
    return str(value[0] if isinstance(value, list) else value) if value else None


def _then(text: str | None) -> datetime | None:
    """The instant that an address asks about; without an offset it is the town's own time."""
    try:
        at = datetime.fromisoformat(text.replace(" ", "+")) if text else None
        return at and (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(glass.town().zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def ward_names() -> dict[str, str]:
    """Ward id -> name, in the order of the register."""
    wards = glass.town().wards()
    return dict(zip(wards["ward"].to_list(), wards["name"].to_list(), strict=True))


def filters(view: View, kpis: Mapping[str, str] | None = None) -> html.Form:
    """The form that changes the address: works by itself without scripts, at once with them."""
    fields = [
        _choice("ward", _("Ward"), {"": _("Whole town"), **ward_names()}, view.ward),
        _choice("days", _("Period"), PERIODS, view.days),
    ]
    if kpis:
        fields.append(_choice("kpi", _("On the map"), kpis, view.kpi))
    button = html.Button(_("Show"), type="submit", className="btn btn-sm btn-quiet only-without-script")
    return html.Form(
        [*fields, button], method="get", className="filters", role="search", **props({"aria-label": _("Filters")})
    )


def _choice(name: str, label: str, options: Mapping[str, str], chosen: object) -> html.Label:
    wanted = "" if chosen is None else str(chosen)
    rows = [html.Option(_(text), value=key, selected=key == wanted) for key, text in options.items()]
    select = html.Select(rows, name=name, className="form-select form-select-sm", **props({"data-filter": name}))
    return html.Label([html.Span(label), select])
