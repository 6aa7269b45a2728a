"""Where the rows behind a KPI value can be read: each input with its feeds and the export with the very filter."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pipelines.engine.feeds import of_tables
from pipelines.engine.model import GRAINS, Kpi

if TYPE_CHECKING:
    from pipelines.engine.town import Town

REGISTERS = ("windows", "zone", "wards", "assets", "sensors", "arrivals")


def quantity_of(name: str, quantities: Iterable[str]) -> str | None:
    """The quantity whose readings or rollups this input is; None for other inputs."""
    base, _, grain = name.rpartition("_")
    stem = base if grain in GRAINS and base in quantities else name
    return stem if stem in quantities else None


def rows_behind(town: "Town", kpi: Kpi, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the function reads: name, kind, feeds that fill it, `rows` (from the explanation's address), `export`.

    `body` has domain, area, window_start and window_end.
    """
    domain = town.domain(body["domain"])
    filled = of_tables(town.settings.feeds.values())
    quantities, tables = {q.name for q in domain.quantities}, {t.name: t for t in domain.tables}
    measuring = {name for name in filled.get("readings", ()) if domain.name in town.settings.feeds[name].domains}
    asked, found = _asked(kpi, body), []
    for name in kpi.inputs:
        quantity = quantity_of(name, quantities)
        if quantity is not None:
            query = {"quantity": quantity, **asked, **_place(body["area"])}
            found.append(_input(name, "quantity", measuring, "readings", query))
        elif name in tables:
            ward = _ward(body["area"]) if "ward" in tables[name].schema else {}
            query = {**(asked if tables[name].time else {}), **ward}
            found.append(_input(name, "table", filled.get(name, ()), f"tables/{name}", query))
        elif name not in REGISTERS or name in ("wards", "assets", "sensors", "arrivals"):
            found.append(_input(name, "register" if name != "arrivals" else "table", (), f"tables/{name}", {}))
    return found


def _ward(area: str) -> dict[str, str]:
    return {"ward": area.removeprefix("ward:")} if area.startswith("ward:") else {}


def _place(area: str) -> dict[str, str]:
    """The sensors of an area, as the address of readings takes it."""
    return {"area": area} if area.startswith("asset:") else _ward(area)


def _input(name: str, kind: str, feeds: Iterable[str], path: str, query: Mapping[str, str]) -> dict[str, Any]:
    export = f"{path}?{urlencode(query)}".rstrip("?")
    return {"name": name, "kind": kind, "feeds": sorted(feeds), "rows": f"../../{export}", "export": export}


def _asked(kpi: Kpi, body: Mapping[str, Any]) -> dict[str, str]:
    start, end = body["window_start"], body["window_end"]
    if start is None or end is None:
        return {}
    first = {} if kpi.lookback is None else {"from": (start - kpi.lookback).strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {**first, "to": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
