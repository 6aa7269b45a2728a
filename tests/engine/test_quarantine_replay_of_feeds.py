"""Rows of GTFS-Realtime and Open311 feeds out of quarantine: what heals stands as if it had been taken in when it came."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines.engine.healing import Outcome, Wish, heal
from pipelines.engine.line import Line
from tests.engine import small_town
from tests.engine.decode.test_gtfs_realtime import CLOCK, NOW, bus, message, trip_update

TOWN = """[town]
name = "Testville"
timezone = "Asia/Kolkata"
domains = ["water", "transport", "grievances"]
{tuned}
[feeds.buses]
use = "transport.vehicle_positions"
from = "http_push"
[feeds.requests]
use = "grievances.{form}"
from = "http_push"
{zone}
"""
LATER = NOW + timedelta(hours=3)
LIVE = ("vehicle_positions", "trip_sightings", "trip_updates", "passages")


def opened(folder: Path, at: datetime, *, tuned: str = "", form: str = "open311_json", zone: str = "") -> Line:
    text = TOWN.format(tuned=tuned, form=form, zone=zone)
    if (folder / "town.toml").exists():
        (folder / "town.toml").write_text(text)
    else:
        small_town.make(folder, text)
    return small_town.open_line(folder, at, frozenset())


def kept(line: Line, *tables: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of these tables as its feed has said it."""
    found = {}
    for name in tables:
        columns = [column.name for column in line.store.tables[name].columns]
        found[name] = line.store.rows(name, columns=columns).sort(columns).to_dicts()
    return found


# live buses -----------------------------------------------------------------------------------------------------------


def late_and_early(entity: Any) -> None:
    """A bus whose clock is ten minutes ahead, and in the same entity its trip, which has no time of its own."""
    bus(age=-600)(entity)
    trip_update({"sequence": 3, "stop": "S3", "left": -30}, {"sequence": 4, "stop": "S4", "left": 1}, stamp=None)(
        entity
    )


def test_bus_with_a_fast_clock_heals_by_the_time_of_its_message_when_the_town_allows_for_it(tmp_path: Path) -> None:
    body = message(bus(), late_and_early)
    line = opened(tmp_path / "town", NOW)
    receipt = small_town.send(line, "buses", body, NOW)
    assert receipt.quarantined == 2, "the position and the sighting"
    before = kept(line, *LIVE)
    assert [row["stop"] for row in before["passages"]] == ["S3"], "the bus leaves S4 after the message's clock"
    line.close()

    line = opened(tmp_path / "town", LATER, tuned="future_tolerance_s = 900")
    outcome = heal(line, Wish(), lambda: LATER)
    assert outcome.healed == outcome.tried >= 1
    healed = kept(line, *LIVE)
    assert heal(line, Wish(), lambda: LATER) == Outcome()
    line.close()

    line = opened(tmp_path / "other", NOW, tuned="future_tolerance_s = 900")
    small_town.send(line, "buses", body, NOW)
    assert healed == kept(line, *LIVE)
    assert healed["trip_updates"] == before["trip_updates"]
    assert healed["passages"] == before["passages"]
    assert (len(healed["vehicle_positions"]), len(before["vehicle_positions"])) == (2, 1)
    line.close()


def test_trip_update_that_names_no_trip_waits_and_keeps_no_other_from_healing(tmp_path: Path) -> None:
    def nameless(entity: Any) -> None:
        entity.trip_update.trip.route_id = "19A"

    line = opened(tmp_path / "town", NOW)
    assert small_town.send(line, "buses", message(nameless, bus(age=-600)), NOW).quarantined == 3
    line.close()
    line = opened(tmp_path / "town", LATER, tuned="future_tolerance_s = 900")
    outcome = heal(line, Wish(), lambda: LATER)
    assert outcome.refused == {"no_trip_id": 1}
    assert outcome.healed == outcome.tried - 1
    (position,) = kept(line, "vehicle_positions")["vehicle_positions"]
    assert position["observed_at"] == datetime.fromtimestamp(CLOCK + 600, UTC)
    line.close()


# service requests -----------------------------------------------------------------------------------------------------

ASKED = NOW - timedelta(hours=5)


def as_json() -> bytes:
    return orjson.dumps([open311(1, f"{ASKED:%Y-%m-%dT%H:%M:%S}"), open311(2, f"{ASKED.isoformat()}"), "nothing"])


def open311(number: int, asked: str) -> dict[str, Any]:
    return {"service_request_id": f"R{number}", "status": "open", "service_code": "LEAK", "description": "Rohr \u00fcber Straße",
            "requested_datetime": asked}  # fmt: skip


def inside(prefix: str, number: int, asked: str) -> str:
    cells = "".join(f"<{prefix}{name}>{value}</{prefix}{name}>" for name, value in open311(number, asked).items())
    return f"<{prefix}request>{cells}</{prefix}request>"


def as_xml(head: str, prefix: str = "", namespace: str = "", codec: str = "utf-8") -> bytes:
    requests = inside(prefix, 1, f"{ASKED:%Y-%m-%dT%H:%M:%S}") + inside(prefix, 2, ASKED.isoformat())
    return f"{head}<{prefix}service_requests{namespace}>\n{requests}\n</{prefix}service_requests>".encode(codec)


def as_issues() -> bytes:
    def issue(number: int, asked: str) -> dict[str, Any]:
        return {"id": number, "status": "Open", "summary": "Leak", "created_at": asked, "lat": 0.5, "lng": 0.5}

    return orjson.dumps({"issues": [issue(1, f"{ASKED:%Y-%m-%dT%H:%M:%S}"), issue(2, ASKED.isoformat())]})


BODIES = {
    "json": ("open311_json", as_json()),
    "xml": ("open311_xml", as_xml('<?xml version="1.0" encoding="utf-8"?>')),
    "xml_without_a_head": ("open311_xml", as_xml("")),
    "xml_with_a_prefix": ("open311_xml", as_xml("", "o:", ' xmlns:o="http://example.org/a?b&amp;c" version="2"')),
    "xml_with_a_namespace": ("open311_xml", as_xml("", "", ' xmlns="http://example.org/open311"')),
    "xml_in_latin_1": ("open311_xml", as_xml('<?xml version="1.0" encoding="iso-8859-1"?>', codec="latin-1")),
    "xml_in_utf_16": ("open311_xml", as_xml('<?xml version="1.0" encoding="utf-16"?>', codec="utf-16")),
    "seeclickfix": ("seeclickfix", as_issues()),
}


@pytest.mark.parametrize("name", sorted(BODIES))
def test_requests_heal_when_the_zone_of_their_feed_is_mended(tmp_path: Path, name: str) -> None:
    form, body = BODIES[name]
    # By Honolulu's clock the request was made hours after it came.
    line = opened(tmp_path / "town", NOW, form=form, zone='zone = "Pacific/Honolulu"')
    receipt = small_town.send(line, "requests", body, NOW)
    assert (receipt.stored, receipt.quarantined) == (1, 2 if name == "json" else 1)
    originals = line.store.rows("quarantine", columns=["original"])["original"]
    assert all(original in body for original in originals)
    line.close()

    zone = 'zone = "UTC"'
    line = opened(tmp_path / "town", LATER, form=form, zone=zone)
    outcome = heal(line, Wish(), lambda: LATER)
    assert (outcome.healed, outcome.stored) == (1, 1)
    assert outcome.refused == ({"type": 1} if name == "json" else {})
    healed = kept(line, "service_requests")
    line.close()

    line = opened(tmp_path / "other", NOW, form=form, zone=zone)
    small_town.send(line, "requests", body, NOW)
    assert healed == kept(line, "service_requests")
    assert [row["requested_datetime"] for row in healed["service_requests"]] == [ASKED, ASKED]
    line.close()
