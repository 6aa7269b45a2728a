"""Large exports: all of one moment, gone on with from any byte, with a manifest that holds against them."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.engine import compaction, depot, forms
from pipelines.engine.api import answers, standing
from pipelines.engine.depot import FAILED, READY, Depot
from pipelines.engine.model import Column
from pipelines.engine.people.roles import person
from pipelines.engine.spans import Extract, of_frame
from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, Asker, asked, filled, readings

READINGS = "/api/v1/readings"
NUMBERS = (Column(name="n", kind="integer", meaning="A number."),)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Asker, Any]]:
    """A line, and somebody who asks a town to whom a hundred rows are many."""
    monkeypatch.setattr(answers, "AT_ONCE", 100)
    text = TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    line = filled(small_town.make(tmp_path / "town", text))
    with asked(tmp_path / "town") as (asker, town):
        yield line, asker, town
    line.close()


def corrected(line: Any) -> None:
    """The first reading says something else, one more has come, and all is compacted; what was replaced is deleted."""
    rows = [("P1.p", readings()[0][1], 55.5), ("P2.p", NOW - timedelta(minutes=1), 7.25)]
    small_town.send(line, "network", small_town.csv_of(rows), NOW)
    compaction.compact(line.settings.store, line.store.tables.values(), line.settings.zone)
    line.adopt(NOW)
    compaction.sweep(line.settings.store, NOW + timedelta(days=36_500))


def test_a_moment_is_read_as_it_was_while_rows_are_corrected_compacted_and_swept(large: Any) -> None:
    line, _, town = large
    sensors = ["P1.p", "P2.p"]
    before = town.readings(sensors, NOW - timedelta(days=9), NOW)
    with town.pinned() as seq:
        corrected(line)
        assert seq == line.store.seq - 1 or seq < line.store.seq
        assert town.readings(sensors, NOW - timedelta(days=9), NOW).equals(before)
    town._followed = 0.0
    after = town.readings(sensors, NOW - timedelta(days=9), NOW)
    assert after.height == before.height + 1
    assert after.filter(sensor="P1.p")["value"][0] == 55.5
    assert list(town.depot.place().iterdir()) == []


def test_a_broken_download_goes_on_with_the_same_bytes_though_the_store_has_changed(large: Any) -> None:
    line, asker, _ = large
    whole = asker.get(READINGS)
    assert whole.headers["accept-ranges"] == "bytes"
    corrected(line)
    had = whole.content[:5_001]
    headers = {"Range": f"bytes={len(had)}-", "If-Range": whole.headers["etag"]}
    rest = asker("GET", READINGS, headers=headers)
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes 5001-{len(whole.content) - 1}/{len(whole.content)}"
    assert had + rest.content == whole.content
    assert asker.get(READINGS).content != whole.content
    again = asker("GET", whole.headers["content-location"], headers={"Range": "bytes=0-9"})
    assert (again.status_code, again.content) == (206, whole.content[:10])
    last = asker("GET", whole.headers["content-location"], headers={"Range": "bytes=-7"})
    assert last.content == whole.content[-7:]


def test_what_is_no_more_or_another_export_is_given_whole(large: Any) -> None:
    _, asker, town = large
    first = asker.get(READINGS)
    for mark, address in (('"export-000"', READINGS), (first.headers["etag"], f"{READINGS}?sensor=P1.p")):
        answer = asker("GET", address, headers={"Range": "bytes=100-", "If-Range": mark})
        assert answer.status_code == 200
        assert answer.content.startswith(b"sensor,")
    place = first.headers["content-location"]
    beyond = asker("GET", place, headers={"Range": "bytes=99999999-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(first.content)}")
    town.depot.find(place.rpartition("/")[2]).path.unlink()
    assert asker.get(place).status_code == 404


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "parquet", "xlsx"])
def test_the_manifest_holds_against_the_bytes(large: Any, form: str) -> None:
    _, asker, town = large
    told = asker.get(READINGS, format=form, manifest="1").json()
    made = asker.get(told["href"])
    assert hashlib.sha256(made.content).hexdigest() == told["sha256"]
    assert (len(made.content), int(made.headers["x-row-count"])) == (told["bytes"], told["rows"])
    assert told["rows"] == len(asker.get(READINGS, format="csv").content.splitlines()) - 1
    assert (told["definitions"], told["as_of"], told["state"]) == (town.definitions, "2026-03-10T06:30:00Z", READY)
    assert told["seq"] > 0
    assert asker.get(f"{told['href']}/manifest").json() == told


def test_an_answer_tells_its_bytes_by_the_bom_that_was_asked_for(large: Any) -> None:
    _, asker, _ = large
    plain, marked = (asker.get(READINGS, bom=bom).content for bom in "01")
    assert marked == b"\xef\xbb\xbf" + plain


def test_a_small_answer_tells_its_hash_and_gives_parts_and_nothing_twice(large: Any) -> None:
    _, asker, town = large
    address = "/api/v1/tables/service_requests"
    whole = asker.get(address)
    assert whole.headers["repr-digest"].startswith("sha-256=:")
    assert whole.headers["x-definitions"] == town.definitions
    tag = whole.headers["etag"]
    assert asker("GET", address, headers={"If-None-Match": tag}).status_code == 304
    part = asker("GET", address, headers={"Range": "bytes=10-19", "If-Range": tag})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    stale = asker("GET", address, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    assert stale.content == whole.content


def test_what_somebody_may_read_is_fetched_by_nobody_else(large: Any) -> None:
    _, asker, _ = large
    mine = asker.get("/api/v1/tables/quarantine", manifest="1").json()["href"]
    assert asker.get(mine).status_code == 200
    for place in (mine, f"{mine}/manifest"):
        assert asker("GET", place, headers={"Authorization": ""}).status_code in (401, 404)
    public = asker("GET", f"{READINGS}?manifest=1", headers={"Authorization": ""}).json()["href"]
    assert asker("GET", public, headers={"Authorization": ""}).status_code == 200


def numbers(read: Any) -> Extract:
    return Extract(name="numbers", columns=NUMBERS, read=read)


def depot_of(folder: Path) -> Depot:
    return Depot(folder / "exports", lambda: NOW)


def ended(making: Any) -> Any:
    patience = threading.Event()
    while making.state == depot.RUNNING:
        patience.wait(0.005)
    return making


def writes(text: bytes) -> depot.Write:
    def work(making: Any, wanted: Any) -> None:
        making.path.write_bytes(text)
        making.size = len(text)

    return work


def test_an_export_that_breaks_off_says_so_and_is_not_taken_for_whole(tmp_path: Path) -> None:
    def broken(making: Any, wanted: Any) -> None:
        raise OSError(28, "No space left on device")

    made = ended(depot_of(tmp_path).make(of_frame("n", pl.DataFrame({"n": [1]}), NUMBERS), "csv", broken))
    assert made.state == FAILED
    assert "Ask for it once more" in made.shown()["words"]


def test_an_export_outlives_the_process_that_made_it(tmp_path: Path) -> None:
    made = ended(
        depot_of(tmp_path).make(of_frame("n", pl.DataFrame(), NUMBERS), "csv", writes(b"n\r\n1\r\n"), owner="asha")
    )
    found = depot_of(tmp_path).find(made.id)
    assert found is not None
    assert (found.state, found.owner, found.size, found.shown()) == (READY, "asha", 6, made.shown())
    assert depot_of(tmp_path).find("../../town") is None


def test_an_export_is_followed_from_another_process_and_dead_when_its_maker_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slowly(making: Any, wanted: Any) -> None:
        making.facts = {"table": "n"}
        making.note()
        assert go_on.wait(10)
        making.path.write_bytes(b"rows")
        making.size = 4

    made = depot_of(tmp_path).make(of_frame("n", pl.DataFrame(), NUMBERS), "csv", slowly, asked="/n?")
    patience = threading.Event()
    seen = depot_of(tmp_path).find(made.id)
    while seen is None or not seen.facts:
        patience.wait(0.005)
        seen = depot_of(tmp_path).find(made.id)
    assert (seen.state, seen.form, seen.asked) == (depot.RUNNING, "csv", "/n?")
    late = Depot(tmp_path / "exports", lambda: datetime.now(UTC) + timedelta(minutes=4)).find(made.id)
    assert late is not None and late.state == FAILED
    go_on.set()
    while seen.look() == depot.RUNNING:
        patience.wait(0.005)
    assert (seen.state, seen.size) == (READY, 4)


def test_whoever_does_not_wait_is_told_how_far_it_is(large: Any) -> None:
    _, asker, _ = large
    address = f"{READINGS}?manifest=1&format=xlsx"
    told = asker("GET", address, headers={"Prefer": "wait=0"})
    assert told.status_code in (200, 202)
    if told.status_code == 202:
        assert told.headers["location"] == f"{told.json()['href']}/manifest"
    assert asker("GET", address).json()["state"] == READY


def test_exports_go_when_they_are_old_and_the_oldest_when_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = depot_of(tmp_path)
    made = [ended(kept.make(of_frame("n", pl.DataFrame(), NUMBERS), "csv", writes(b"0123456789"))) for _ in range(4)]
    for hours, one in zip((1, 3, 2, 7), made, strict=True):
        at = (NOW - timedelta(hours=hours)).timestamp()
        os.utime(one.path, (at, at))
    left = tmp_path / "exports" / "pinned-killed"
    left.mkdir()
    long_ago = (NOW - timedelta(hours=9)).timestamp()
    os.utime(left, (long_ago, long_ago))
    monkeypatch.setattr(depot, "MOST_BYTES", 25)
    kept.sweep()
    assert not left.exists()
    assert [kept.find(one.id) is not None for one in made] == [True, False, True, False]
    assert len(list((tmp_path / "exports").iterdir())) == 4


def test_a_disk_without_room_and_an_export_without_end_are_given_in_passing(
    large: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, asker, _ = large
    kept = asker.get(READINGS)
    for limit in (("SPARE_BYTES", 1 << 60), ("MOST_ROWS", 1)):
        with monkeypatch.context() as patched:
            patched.setattr(depot, *limit)
            passing = asker.get(READINGS)
        assert passing.headers["accept-ranges"] == "none"
        assert passing.content == kept.content


def test_an_export_leaves_while_it_grows(tmp_path: Path) -> None:
    """The first block is there while the second one is not written yet."""
    import asyncio

    go_on = threading.Event()

    def slowly(making: Any, wanted: Any) -> None:
        with making.path.open("wb") as file:
            counting = depot.Counting(file, making)
            counting.writelines([b"first"])
            assert go_on.wait(10)
            counting.writelines([b"second"])

    making = depot_of(tmp_path).make(of_frame("n", pl.DataFrame(), NUMBERS), "csv", slowly)

    async def read() -> list[bytes]:
        found = []
        async for block in standing.blocks(making, 0, None):
            found.append(block)
            go_on.set()
        return found

    assert asyncio.run(read()) == [b"first", b"second"]


def test_definitions_change_with_a_limit_and_not_with_the_hour(tmp_path: Path) -> None:
    text = TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    from pipelines.engine.town import Town

    towns = [
        Town(small_town.read(small_town.make(tmp_path / name, toml)), clock)
        for name, toml, clock in (
            ("a", text, lambda: NOW), ("b", text, lambda: NOW + timedelta(days=9)),
            ("c", text.replace("minimum_m = 12", "minimum_m = 13"), lambda: NOW),
        )
    ]  # fmt: skip
    first, later, other = (town.definitions for town in towns)
    assert first == later != other
    assert json.dumps(first).isascii() and len(first) == 10
    assert person("asha", "viewer").signature == "asha"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is told by Linux only")
@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_memory_stays_flat_however_many_rows_leave(tmp_path: Path, form: str) -> None:
    """Rows of forty frames at once would be 70 MB and more as text; benchmarks/exports.py does it with a million."""
    frame = pl.DataFrame({"n": pl.int_range(20_000, eager=True) * 1_000_003_333_333})

    def growth(frames: int) -> int:
        status = Path("/proc/self/status")
        Path("/proc/self/clear_refs").write_text("5")
        before = peak(status.read_text("utf-8"))
        wanted = of_frame("n", frame, NUMBERS)
        rows = iter([frame] * frames)
        if form in forms.WRITERS:
            assert forms.WRITERS[form](wanted, rows, tmp_path / "rows") == frames * frame.height
        else:
            with (tmp_path / "rows").open("wb") as file:
                file.writelines(forms.streamed(wanted, rows, form))
        return peak(status.read_text("utf-8")) - before

    growth(2)
    assert growth(40) - growth(2) < 24_000


def peak(status: str) -> int:
    """The most memory the process has held since it was last asked to begin anew, in kB."""
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
