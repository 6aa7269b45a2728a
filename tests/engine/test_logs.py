"""The log: words for people, JSON for programs, how grave for systemd; repeats are counted and secrets hidden."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from pipelines.engine import logs
from pipelines.engine.logs import OFTEN, Repeats, configure, without_secrets


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


def said(form: str, environment: dict[str, str], *records: tuple[int, str]) -> list[str]:
    stream = io.StringIO()
    configure(form, stream, environment)
    for level, words in records:
        logging.getLogger("townboard").log(level, words)
    return stream.getvalue().splitlines()


def test_people_read_time_gravity_and_words() -> None:
    (line,) = said("plain", {}, (logging.WARNING, "the disk is nearly full"))
    assert line.endswith(" WARNING the disk is nearly full") and line[:2] == "20"


def test_systemd_is_told_how_grave_a_line_is_and_not_what_time_it_is() -> None:
    lines = said("plain", {"JOURNAL_STREAM": "8:1"}, (logging.WARNING, "one"), (logging.ERROR, "two\nlines"))
    assert lines == ["<4>one", "<3>two", "<3>lines"]


def test_programs_read_a_line_of_json_with_the_error_in_it() -> None:
    stream = io.StringIO()
    configure("json", stream, {})
    try:
        raise ValueError("no such ward: वार्ड")
    except ValueError:
        logging.getLogger("townboard.x").exception("job %s failed", "beat")
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["words"], told["source"]) == ("error", "job beat failed", "townboard.x")
    assert "ValueError: no such ward: वार्ड" in told["error"] and told["at"].endswith("+00:00")


def test_what_repeats_is_counted_and_told_when_it_comes_again() -> None:
    now = [100.0]
    repeats = Repeats(lambda: now[0])

    def say(feed: str) -> str | None:
        record = logging.LogRecord("townboard", logging.WARNING, "x.py", 1, "feed %s is down", (feed,), None)
        return record.getMessage() if repeats.filter(record) else None

    assert [say("a") for _ in range(OFTEN + 7)] == ["feed a is down"] * OFTEN + [None] * 7
    now[0] += logs.WINDOW_S
    assert say("b") == "feed b is down (and 7 times more before)"
    assert say("b") == "feed b is down"


def test_other_words_are_told_while_some_repeat() -> None:
    lines = said(
        "plain", {"JOURNAL_STREAM": "1"}, *[(logging.WARNING, "again")] * 50, (logging.WARNING, "something else")
    )
    assert lines == ["<4>again"] * OFTEN + ["<4>something else"]


SECRET = "s3cr3t-Xy9_~"


@pytest.mark.parametrize(
    "words",
    [
        f"mqtts://townboard:{SECRET}@broker.example:8883 refused",
        f"https://{SECRET}@hooks.example/x answered 500",
        f"GET /wall?token={SECRET}&lang=hi",
        f"Authorization: Bearer {SECRET}aaaa",
        f"{{'password': '{SECRET}', 'user': 'asha'}}",
        f'{{"client_secret":"{SECRET}"}}',
        f"cgi-bin/sms_send?username=U&password={SECRET}&number=1",
        f"Cookie: {SECRET}",
        f"signin/code?code={SECRET}",
        f"api_key={SECRET}",
        f"X-Auth-Token: {SECRET}",
    ],
)
def test_secrets_are_never_logged(words: str) -> None:
    assert SECRET not in without_secrets(words)
    assert logs.HIDDEN in without_secrets(words)
    for form in logs.FORMS:
        assert SECRET not in "\n".join(said(form, {}, (logging.WARNING, words)))


@pytest.mark.parametrize(
    "words",
    ["the feed water_levels is silent for 14 minutes", "https://gtfs.example/rt.pb answered 503: busy",
     "levels.csv, line 18: 4,300 % is above the possible 110 %", "the code of the device is unknown"],
)  # fmt: skip
def test_what_is_no_secret_stays_readable(words: str) -> None:
    assert without_secrets(words) == words
