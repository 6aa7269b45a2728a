"""What somebody files is durable and counted, its number cannot be guessed, and nothing personal is in the journal."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.asking import Misasked
from pipelines.engine.filing import numbers, vault
from pipelines.engine.filing.faults import FAULTS, Faulty
from pipelines.engine.filing.jobs import jobs
from pipelines.engine.people import audit
from pipelines.engine.people.roles import VISITOR, Forbidden, person
from pipelines.engine.tokens import path_of
from tests.engine import small_town
from tests.engine.filing import filing_town
from tests.engine.filing.filing_town import NOW, PERSONAL, PRIVATE, FilingTown, photo, report

CLERK, OPERATOR, VIEWER = person("mira", "clerk"), person("omar", "operator"), person("vik", "viewer")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilingTown]:
    with filing_town.opened(filing_town.make(tmp_path_factory.mktemp("filing") / "town")) as found:
        yield found


@pytest.fixture
def filing(opened: FilingTown) -> FilingTown:
    """The town at NOW, with all that tests before have filed in it."""
    opened.clock["now"] = NOW
    return opened


def cases(filing: FilingTown) -> int:
    return len(vault.cases(filing.line.settings.store))


def row(filing: FilingTown, number: str) -> dict[str, object]:
    where = '"service_request_id" = $n'
    return filing.line.store.rows("service_requests", where=where, params={"n": number}).row(0, named=True)


def test_a_filed_report_is_a_row_of_the_domain_and_its_words_are_in_the_vault_alone(filing: FilingTown) -> None:
    number = filing.file()
    found = row(filing, number)
    assert (found["status"], found["state"], found["service_name"], found["channel"]) == (
        "open",
        "received",
        "Water leak",
        "web",
    )
    assert (found["ward"], found["lat"], found["lon"]) == ("W1", 0.512, 0.499)
    assert found["requested_datetime"] == NOW and found["expected_datetime"] == NOW + timedelta(hours=24)
    assert [found[name] for name in ("description", "address", "media_url")] == [None] * 3
    kept = vault.case(filing.line.settings.store, number)
    assert kept is not None and kept.landed and kept.personal == {**PERSONAL, "lat": 0.51237, "lon": 0.49876}


def test_nothing_personal_is_in_any_file_but_the_vault(filing: FilingTown) -> None:
    filing.file(files=(photo(),))
    store = filing.line.settings.store
    vaulted = {path for path in store.rglob("*") if path.name.startswith(vault.NAME)}
    assert any(PERSONAL["name"].encode() in path.read_bytes() for path in vaulted)
    for path in (path for path in store.rglob("*") if path.is_file() and path not in vaulted):
        assert not [text for text in PRIVATE if text.encode() in path.read_bytes()], path


def test_the_vault_is_for_the_user_who_runs_the_town_alone(filing: FilingTown) -> None:
    filing.file(files=(photo(),))
    store = filing.line.settings.store
    files = [*store.glob(f"{vault.NAME}*"), *vault.folder_of(store).iterdir()]
    assert len(files) >= 2 and {path.stat().st_mode & 0o077 for path in files} == {0}
    assert vault.folder_of(store).stat().st_mode & 0o077 == 0


def test_the_same_key_files_once_however_often_it_comes(filing: FilingTown) -> None:
    before = filing.line.store.rows("service_requests").height
    made = [filing.ask.wait_for(filing.town.filing.file(report(), key="k1")) for _ in range(3)]
    assert len({one["number"] for one in made}) == 1 and [one["again"] for one in made] == [False, True, True]
    assert filing.file(key="k2") != made[0]["number"]
    assert filing.line.store.rows("service_requests").height == before + 2


def test_what_a_crash_left_in_the_vault_alone_lands_with_the_next_start(tmp_path: Path) -> None:
    folder = filing_town.make(tmp_path / "town")
    with filing_town.opened(folder) as filing:
        store, known = filing.line.settings.store, row(filing, filing.file())
        told = {name: value for name, value in known.items() if name not in ("received_at", "requested_datetime")}
        left = {**told, "service_request_id": "LEFT", "requested_datetime": NOW.isoformat()}
        left = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in left.items()}
        vault.put(store, "LEFT", NOW, left, personal={"name": "Asha"}, pictures=())
    with filing_town.opened(folder) as filing:
        assert row(filing, "LEFT")["status"] == "open"
        assert vault.cases(store, "landed = 0") == []


def test_a_full_disk_files_nothing_and_leaves_nothing(filing: FilingTown, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "no space")

    store = filing.line.settings.store
    before, pictures = cases(filing), {*vault.folder_of(store).iterdir()}
    monkeypatch.setattr(filing.line.journal, "append", full)
    with pytest.raises(Misasked) as refused:
        filing.file(key="full", files=(photo(),))
    assert refused.value.status == 503 and "full" in refused.value.words
    assert cases(filing) == before and {*vault.folder_of(store).iterdir()} == pictures
    monkeypatch.undo()
    assert filing.file(key="full")


WRONG = {
    ("service", "missing"): {"service": ""}, ("service", "unknown"): {"service": "tea"},
    ("place", "missing"): {"lat": None, "lon": None, "place": ""}, ("place", "outside"): {"lat": 40.0, "lon": 40.0},
    ("place", "position"): {"lat": None}, ("place", "too_long"): {"place": "x" * 201},
    ("ward", "unknown"): {"ward": "W9"}, ("description", "too_long"): {"description": "x" * 4001},
    ("name", "too_long"): {"name": "x" * 101}, ("media_url", "too_long"): {"media_url": "x" * 501},
    ("email", "form"): {"email": "asha"}, ("phone", "form"): {"phone": "12345"},
    ("received", "future"): {"received_at": NOW + timedelta(hours=1)}, ("join", "unknown"): {"joins": "nobody"},
}  # fmt: skip


@pytest.mark.parametrize(("fault", "more"), WRONG.items(), ids=["-".join(fault) for fault in WRONG])
def test_each_field_that_is_not_right_is_named(
    filing: FilingTown, fault: tuple[str, str], more: dict[str, object]
) -> None:
    before = cases(filing)
    with pytest.raises(Faulty) as refused:
        filing.file(**more)
    assert (refused.value.field, refused.value.fault) == fault and refused.value.words == FAULTS[fault]
    assert cases(filing) == before


def test_a_position_in_the_words_of_the_place_is_found(filing: FilingTown) -> None:
    number = filing.file(lat=None, lon=None, place="by the well 0.51237, 1.49876")
    assert (row(filing, number)["ward"], row(filing, number)["lat"]) == ("W2", 0.512)


@pytest.mark.parametrize("phone", ["९८७६५ ४३२१०", "٩٨٧٦٥٤٣٢١٠", "+91 98765-43210"])
def test_phone_numbers_are_taken_in_any_digits(filing: FilingTown, phone: str) -> None:
    kept = vault.case(filing.line.settings.store, filing.file(phone=phone))
    assert kept is not None and kept.personal["phone"] == phone


# others nearby


def test_whoever_reports_the_same_close_by_is_told_how_many_have(filing: FilingTown) -> None:
    here = {"service": "lamp", "lat": 0.31237, "lon": 1.2}
    first = filing.file(**here)
    filing.later(timedelta(days=1))
    filing.file(**{**here, "lat": 0.31337})
    filing.file(**{**here, "lat": 0.33})
    filing.file(**{**here, "service": "leak"})
    filing.look()
    near = filing.town.filing.alike(filing.town.filing.check(report(**here)))
    assert near is not None and (near.people, near.number, near.by_ward) == (2, first, False)
    by_ward = filing.town.filing.alike(filing.town.filing.check(report(service="lamp", lat=None, lon=None, ward="W2")))
    assert by_ward is not None and (by_ward.people, by_ward.by_ward) == (3, True)
    assert filing.town.filing.alike(report(service="other")) is None
    assert filing.town.filing.alike(report(lat=None, lon=None)) is None
    filing.later(timedelta(days=8))
    assert filing.town.filing.alike(filing.town.filing.check(report(**here))) is None


def test_who_joins_has_a_number_that_follows_the_first(filing: FilingTown) -> None:
    here = {"lat": 0.71, "lon": 0.2}
    first = filing.file(**here)
    joined = filing.file(**here, joins=first)
    found = row(filing, joined)
    assert (found["state"], found["status"], found["duplicate_of"], found["closed_at"]) == (
        "duplicate",
        "closed",
        first,
        NOW,
    )
    filing.look()
    near = filing.town.filing.alike(filing.town.filing.check(report(**here)))
    assert near is not None and (near.people, near.number) == (2, first)
    told = filing.town.complaint(joined)
    assert told is not None and told.joins == first
    with pytest.raises(Faulty, match="no longer open"):
        filing.file(joins=joined)


# what the office does


def act(filing: FilingTown, number: str, state: str, notes: str = "", agency: str = "") -> dict[str, object]:
    filing.later(timedelta(hours=1))
    filing.ask.wait_for(filing.town.filing.change(number, OPERATOR, state=state, notes=notes, agency=agency))
    return row(filing, number)


def test_the_office_brings_a_request_through_its_states(filing: FilingTown) -> None:
    number = filing.file()
    seen = act(filing, number, "acknowledged", "We look at it tomorrow", "Water works")
    assert (seen["status"], seen["first_response_at"]) == ("open", NOW + timedelta(hours=1))
    assert (seen["status_notes"], seen["agency_responsible"]) == ("We look at it tomorrow", "Water works")
    done = act(filing, number, "closed", "Mended")
    assert (done["status"], done["closed_at"], done["agency_responsible"]) == ("closed", NOW + timedelta(hours=2), None)
    back = act(filing, number, "in_progress")
    assert (back["state"], back["status"], back["reopen_count"]) == ("reopened", "open", 1)
    assert (back["reopened_at"], back["closed_at"]) == (NOW + timedelta(hours=3), NOW + timedelta(hours=2))
    assert back["first_response_at"] == NOW + timedelta(hours=1)
    log = audit.entries(path_of(filing.line.settings.store))
    assert [entry.did for entry in log if number in entry.facts] == ["request: changed"] * 3
    assert not audit.tampering(log)


def test_an_answer_with_a_phone_number_in_it_is_not_published(filing: FilingTown) -> None:
    number = filing.file()
    with pytest.raises(Faulty, match="The answer is public"):
        act(filing, number, "acknowledged", "Call Mr Rao 98765 43210")
    with pytest.raises(Faulty, match="Choose the state"):
        act(filing, number, "lost")
    with pytest.raises(Faulty, match="No request"):
        act(filing, "nobody", "closed")


def test_two_changes_in_one_second_are_told_apart(filing: FilingTown) -> None:
    number = filing.file()
    for state in ("acknowledged", "closed"):
        filing.ask.wait_for(filing.town.filing.change(number, OPERATOR, state=state, notes="", agency=""))
    assert row(filing, number)["state"] == "closed"


def test_what_comes_by_phone_keeps_its_time_its_way_and_who_wrote_it_down(filing: FilingTown) -> None:
    wanted = report(channel="phone", received_at=NOW - timedelta(hours=5))
    made = filing.ask.wait_for(filing.town.filing.enter(wanted, OPERATOR, key="e1"))
    found = row(filing, made["number"])
    assert (found["channel"], found["requested_datetime"]) == ("phone", NOW - timedelta(hours=5))
    kept = vault.case(filing.line.settings.store, made["number"])
    assert kept is not None and kept.entered_by == "omar"


def test_what_is_personal_is_seen_and_forgotten_with_the_right_only(filing: FilingTown) -> None:
    number = filing.file(files=(photo(),))
    room = filing.town.filing
    for actor in (VISITOR, VIEWER):
        for ask in (lambda a: room.case(number, a), room.cases, lambda a: room.picture(number, "x", a)):
            with pytest.raises(Forbidden):
                ask(actor)
        for act_on in (
            room.change(number, actor, state="closed", notes="", agency=""),
            room.enter(report(), actor, key=""),
        ):
            with pytest.raises(Forbidden):
                filing.ask.wait_for(act_on)
    for actor in (VISITOR, VIEWER, OPERATOR):
        with pytest.raises(Forbidden):
            filing.ask.wait_for(room.erase(number, actor))
    filing.look()
    found = room.case(number, OPERATOR)
    assert found is not None and found[0].personal["name"] == "Asha Verma" and found[1]["status"] == "open"
    assert number in [one.number for one in room.cases(OPERATOR)]
    assert room.case("nobody", OPERATOR) is None


# numbers and keys

SECRET = b"s" * 32


@given(st.text())
def test_a_number_is_the_same_for_a_key_and_read_back_however_it_is_typed(key: str) -> None:
    number = numbers.number(SECRET, key)
    assert number == numbers.number(SECRET, key) != numbers.number(b"t" * 32, key)
    assert numbers.tidy(number) == number
    assert numbers.tidy(f" {number.lower().replace('-', ' ')} ") == number
    assert numbers.tidy(number.replace("0", "O").replace("1", "l")) == number
    assert numbers.tidy(number.translate(str.maketrans("0123456789", "०१२३४५६७८९"))) == number


@given(st.text(min_size=1), st.integers(0, 11), st.sampled_from(numbers.ALPHABET))
def test_a_number_with_one_wrong_letter_is_known_to_be_none(key: str, place: int, letter: str) -> None:
    plain = numbers.number(SECRET, key).replace("-", "")
    wrong = plain[:place] + letter + plain[place + 1 :]
    alike = place < 11 and {letter, plain[place]} in ({"0", "Z"}, {letter})
    assert alike or wrong == plain or numbers.tidy(wrong) is None


@given(st.text())
def test_any_text_may_come_as_a_number_or_key(text: str) -> None:
    numbers.tidy(text)
    assert numbers.read(SECRET, text).sound is False
    assert numbers.read(SECRET, text).outdated(NOW)


def test_a_form_is_neither_taken_at_once_nor_for_ever() -> None:
    key = numbers.read(SECRET, numbers.issue(SECRET, NOW))
    assert key.sound and key.hurried(NOW + timedelta(seconds=2)) and not key.outdated(NOW)
    assert not key.hurried(NOW + timedelta(seconds=3)) and not key.outdated(NOW + timedelta(hours=12))
    assert key.outdated(NOW + timedelta(hours=12, seconds=1))
    assert numbers.read(b"t" * 32, key.text).outdated(NOW)


def test_a_town_without_such_a_domain_takes_no_requests(tmp_path: Path) -> None:
    folder = small_town.make(tmp_path / "town", domains=("water",), text=None)
    settings = (folder / "town.toml").read_text("utf-8").split("[feeds.book]")[0]
    (folder / "town.toml").write_text(settings, "utf-8")
    assert "filing" not in small_town.read(folder).feeds


# the feed and its jobs


def test_where_nothing_else_brings_requests_it_is_said_that_nobody_filed(tmp_path: Path) -> None:
    folder = filing_town.make(tmp_path / "town")
    toml = folder / "town.toml"
    assert small_town.read(folder).feeds["filing"].every == timedelta(minutes=1)
    toml.write_text(
        toml.read_text("utf-8").replace('\n[feeds.book]\nuse = "grievances.complaint_book"\nevery = "1 h"', ""), "utf-8"
    )
    assert small_town.read(folder).feeds["filing"].every == timedelta(minutes=15)
    with filing_town.opened(folder) as filing:
        found = {job.name: job for job in jobs(filing.desk, filing.line, lambda: filing.clock["now"])}
        assert found["requests"].work() is None and found["quiet hours"].work() is None
        last = filing.line.store.rows("arrivals").row(-1, named=True)
        assert (last["feed"], last["outcome"], last["decoded"]) == ("filing", "landed", 0)


def test_jobs_beside_another_feed_say_nothing_of_quiet_hours(filing: FilingTown) -> None:
    assert [job.name for job in jobs(filing.desk, filing.line, lambda: NOW)] == ["requests"]
