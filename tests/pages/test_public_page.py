"""What residents read: small, whole without a script, kept by caches, in plain words, with nothing personal."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from components import glass, public, public_page, tongue
from components.asgi import squeezed
from components.static import VENDOR
from pipelines.engine.complaints import Standing
from pipelines.engine.town import Town
from tests.engine import api_town, small_town
from tests.glass.fake_domains import FIVE, WASTE
from tests.glass.fake_town import FakeTown
from tests.pages.conftest import Board
from tests.pages.test_pages import get

PATHS = ["/public", "/public?ward=W03", "/public/data", "/public/data?table=kpis", "/public/request"]
MOST_BYTES = 60_000
RECEIVED = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def test_every_public_page_is_whole_in_itself_and_under_sixty_kilobytes(town: FakeTown) -> None:
    for path, answer in zip(PATHS, get(town, *PATHS), strict=True):
        assert answer.status_code == 200, path
        assert len(answer.content) < MOST_BYTES, path
        assert "<script" not in answer.text and "onclick" not in answer.text, path
        fetched = re.findall(r'<(?:link|img|iframe|object|source|video)[^>]*(?:href|src)="([^"]*)"', answer.text)
        assert fetched == ["data:,"], path
        assert "url(" not in answer.text and "@import" not in answer.text, path


def test_the_town_with_all_its_domains_stays_under_sixty_kilobytes(tmp_path: Path) -> None:
    domains = '["transport", "water", "energy", "pollution", "grievances"]'
    folder = small_town.make(tmp_path / "town", api_town.TOML.format(zone=small_town.ZONE, domains=domains))
    found = Town(small_town.read(folder), lambda: api_town.NOW)
    glass.bind(found, "/")
    pages = [public_page.ward_page(""), public_page.ward_page("W1"), public_page.data_page("")]
    pages += [public_page.data_page(public_page.KPIS), *map(public_page.data_page, public_page._tables())]
    assert max(map(len, pages)) < MOST_BYTES
    assert len(pages) > 20
    # Over the wire, with the one font that a phone without Urdu or Hindi letters fetches.
    for code, font in {"ur": "arabic-400.woff2", "hi": "devanagari-400.woff2"}.items():
        tongue.speak(tongue.Tongue(code))
        try:
            page = public_page.ward_page("W1")
        finally:
            tongue.speak(tongue.ENGLISH)
        fetched = [VENDOR / font] if (VENDOR / font).exists() else []
        assert page.decode().count(font) == len(fetched)
        assert len(squeezed(page, b"br")) + sum(path.stat().st_size for path in fetched) < MOST_BYTES


def test_a_page_is_kept_by_caches_and_answered_304_while_nothing_changed(town: FakeTown) -> None:
    (first,) = get(town, "/public?ward=W03")
    assert first.headers["cache-control"] == "public, max-age=60"
    assert "set-cookie" not in first.headers
    (again,) = get(town, "/public?ward=W03", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


def test_a_crowd_costs_one_writing(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(public_page, "ward_page", lambda ward: written.append(ward) or b"<p>page</p>")  # type: ignore[func-returns-value]
    get(town, *["/public"] * 20, "/public?ward=W03", "/public?ward=nobody")
    assert written == ["", "W03"]


def test_a_page_is_written_anew_when_it_has_aged(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "FRESH_S", -1.0)

    async def visit() -> list[str]:
        async with Board(town) as client:
            first = (await client.get("/public")).text
            town.beat(1001, supply_per_head=99.0)
            return [first, (await client.get("/public")).text]

    before, after = asyncio.run(visit())
    assert 'data-f="value">99<' in after and 'data-f="value">99<' not in before


def line(text: str, kpi: str, area: str) -> str:
    found = re.search(rf'<li class="[^"]*"><p>(?:(?!</li>).)*data-kpi="{kpi}\|{area}".*?</li>', text, re.S)
    assert found, kpi
    return re.sub(r"<[^>]+>", "", found[0])


def test_a_ward_reads_its_own_figures_in_plain_words(town: FakeTown) -> None:
    state = town.state_at(1002)
    good = {"value": 141.0, "status": "good", "reason": None}
    state["kpis"]["supply_per_head|ward:W03"] |= good
    state["kpis"]["saidi|ward:W03"] |= {"value": 130.25, "status": "breach", "reason": None}
    state["kpis"]["backlog|ward:W03"] |= {"value": 155.0, "status": "watch", "reason": None}
    state["kpis"]["mean_speed|ward:W03"] |= {"value": 31.0, "status": "context", "reason": None}
    town.publish(state)
    (page,) = get(town, "/public?ward=W03")
    assert "<h1>Today in Station Road</h1>" in page.text
    assert "Water supplied per person: 141 L per person a day. This keeps the target of at least 135." in line(
        page.text, "supply_per_head", "ward:W03"
    )
    assert "130.3 min. This is over the target of at most 120." in line(page.text, "saidi", "ward:W03")
    assert "155 requests. This is just over the target of at most 150." in line(page.text, "backlog", "ward:W03")
    assert "Mean speed on main roads: 31.0 km/h." in line(page.text, "mean_speed", "ward:W03")


def test_what_is_unknown_or_old_is_said_to_be_and_never_claimed(town: FakeTown) -> None:
    state = town.state_at(1002)
    unknown = {"value": None, "status": "no data", "reason": "only 40% of what is expected has arrived; 75% is needed"}
    state["kpis"]["supply_per_head|ward:W03"] |= unknown
    as_of = (datetime.now(UTC) - timedelta(days=2, hours=1)).isoformat()
    state["kpis"]["peak_loading|ward:W03"] |= {"value": 70.0, "status": "stale", "as_of": as_of}
    town.publish(state)
    text = get(town, "/public?ward=W03")[0].text
    told = line(text, "supply_per_head", "ward:W03")
    assert "–, not known: only 40% of what is expected has arrived; 75% is needed." in told
    old = line(text, "peak_loading", "ward:W03")
    assert "70.0 % when it was last known, 2 days ago. No newer figure has come since." in old
    assert "target" not in told + old


def test_what_is_not_measured_by_ward_stands_for_the_whole_town_and_says_so() -> None:
    from dataclasses import replace

    whole = replace(FIVE[0], kpis=tuple(replace(kpi, levels=("town",)) for kpi in FIVE[0].kpis))
    town = FakeTown((whole, WASTE), water_points=5)
    town.beat(9)
    (page,) = get(town, "/public?ward=W02")
    assert "For the whole town: it is not measured by ward." in line(page.text, "service_delivered", "town")
    assert "whole town" not in line(page.text, "collected", "ward:W02")


def test_figures_that_are_no_longer_made_are_told_first(town: FakeTown) -> None:
    town.publish(town.state_at(1003, datetime.now(UTC) - timedelta(minutes=30)))
    assert "Newer ones are not being made at the moment" in get(town, "/public")[0].text


def test_a_town_without_figures_says_so() -> None:
    (page,) = get(FakeTown(water_points=5), "/public")
    assert page.status_code == 200 and "No figures have been published yet" in page.text


# where a complaint stands -------------------------------------------------------------------------------------------------


def standing(**more: Any) -> Standing:
    facts: dict[str, Any] = {"number": "R-17", "about": "Street light", "status": "open", "ward": "W02",
                             "received_at": RECEIVED, "promised_at": None, "ended_at": None}  # fmt: skip
    return Standing(**{**facts, **more})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "Request R-17 (Street light, Riverside) was received on 20 Nov 2026. It is open."),
        ({"promised_at": RECEIVED + timedelta(days=9)}, "It is promised to be settled by 29 Nov 2026."),
        ({"promised_at": RECEIVED + timedelta(days=1)}, "promised to be settled by 21 Nov 2026; that day is past."),
        ({"status": "closed", "ended_at": RECEIVED + timedelta(hours=14)}, "It was closed on 21 Nov 2026."),
        ({"status": "closed", "ward": None}, "Request R-17 (Street light) was received on 20 Nov 2026. It was closed."),
    ],
)
def test_where_a_request_stands_is_told_in_a_sentence(town: FakeTown, more: dict[str, Any], words: str) -> None:
    glass.bind(town, "/")  # type: ignore[arg-type]
    assert words in public_page.told(standing(**more), RECEIVED + timedelta(days=4))


def test_a_request_is_found_by_its_number_and_kept_by_no_cache(town: FakeTown) -> None:
    town.requests = {"R-17": standing()}
    found, missing = get(town, "/public/request?number=%20R-17%20", "/public/request?number=R-18%3Cb%3E")
    assert found.status_code == 200 and "Street light, Riverside" in found.text
    assert found.headers["cache-control"] == "no-store"
    assert missing.status_code == 404 and "There is no request with the number R-18&lt;b&gt;." in missing.text


def test_a_real_request_is_told_without_text_address_or_contact(tmp_path: Path) -> None:
    folder = small_town.make(
        tmp_path / "town", api_town.TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    )
    api_town.filled(folder).close()
    found = Town(small_town.read(folder), lambda: api_town.NOW)
    glass.bind(found, "/")
    table = next(t for t in found.tables if t.complaints)
    private = [c.name for c in table.columns if c.personal]
    rows = found._follow().rows(table.name)
    assert rows.height and private
    for row in rows.head(5).iter_rows(named=True):
        status, body = public_page.request_page(row["service_request_id"])
        text = body.decode()
        assert status == 200 and row["service_request_id"] in text
        for name in private:
            assert not row[name] or str(row[name]) not in text
        assert row["lat"] is None or str(row["lat"])[:6] not in text
    assert public_page.request_page("nobody-17")[0] == 404


# open data ----------------------------------------------------------------------------------------------------------------


def test_open_data_links_to_every_open_table_with_its_columns_and_to_no_guarded_one(town: FakeTown) -> None:
    every, bills = get(town, "/public/data", "/public/data?table=water_bills")
    assert 'href="/api/v1/tables/water_bills?format=csv"' in every.text
    assert (
        '<td><code>billed_m3</code></td><td>number</td><td>m^3</td><td lang="en" dir="ltr">volume billed</td>'
        in bills.text
    )


def test_links_of_public_pages_stay_under_the_prefix(town: FakeTown) -> None:
    for page in get(town, "/town/public", "/town/public/data", "/town/public/request", prefix="/town/"):
        links = re.findall(r'(?:href|action)="(/[^"]*)"', page.text)
        assert links and all(link.startswith("/town/") for link in links)
