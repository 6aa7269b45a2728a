"""The delivery desk: durable before it is sent, sent once, tried until it is taken; real mail, webhook and spool."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import time, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from pipelines.engine.delivery.channels import Channel, sender
from pipelines.engine.delivery.desk import Delivery
from pipelines.engine.delivery.ladder import Ladder, Step
from pipelines.engine.delivery.messages import Speaker
from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.plan import Plan, Quiet, Receiver
from pipelines.engine.delivery.rota import DAYS, Rota, Shift
from pipelines.engine.delivery.routes import Route
from pipelines.engine.errors import SourceDown
from pipelines.engine.state import State
from pipelines.engine.state_delivery import Post, read_newest
from tests.engine.broker import free_port
from tests.engine.delivery.notices import at, firing, over

SPEAKER = Speaker("Nadipur", "Asia/Kolkata", "")
ROUTE = Route(
    key="r", receiver="room", group_by=("domain",), group_wait=timedelta(0), group_interval=timedelta(minutes=5)
)
NOBODY = Rota((), frozenset(), {}, "Asia/Kolkata")


def plan(folder: Path, **more: Any) -> Plan:
    declared = {
        "root": ROUTE,
        "receivers": {
            "room": Receiver(name="room", to=(("sms", "+91555"),)),
            "boss": Receiver(name="boss", to=(("sms", "+91777"),)),
        },
        "channels": {"sms": Channel(name="sms", kind="sms_spool", folder=folder / "spool")},
    }
    return Plan(**{**declared, **more})


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Delivery]]:
    """Opens a desk on the same state again and again, as restarts do."""
    states: list[State] = []
    desks: list[Delivery] = []

    def desk(rota: Rota = NOBODY, **more: Any) -> Delivery:
        states.append(State(tmp_path / "state.sqlite"))
        desks.append(Delivery(plan(tmp_path, **more), rota, SPEAKER, Post(states[-1])))
        return desks[-1]

    yield desk
    for one in (*desks, *states):
        one.close()


def spooled(tmp_path: Path) -> list[str]:
    return sorted(path.read_text() for path in (tmp_path / "spool").glob("*.sms"))


def test_text_message_stands_whole_in_the_spool_folder(opened: Callable[..., Delivery], tmp_path: Path) -> None:
    desk = opened()
    assert desk.look([firing("P1")], at(1)) == 1
    assert desk.send(lambda: at(1)) == 1
    (text,) = spooled(tmp_path)
    assert text.startswith("To: 91555\nAlphabet: UTF-8\n\nNadipur: HIGH: Pressure is low, P1, W07. Open valve V-7.")
    assert desk.send(lambda: at(1)) is None
    assert [path.suffix for path in (tmp_path / "spool").iterdir()] == [".sms"]


def test_message_made_before_a_kill_is_sent_after_it_and_only_once(
    opened: Callable[..., Delivery], tmp_path: Path
) -> None:
    opened().look([firing("P1")], at(1))
    second = opened()
    assert second.look([firing("P1")], at(1.1)) == 0
    assert second.send(lambda: at(1.1)) == 1
    third = opened()
    assert third.look([firing("P1")], at(2)) == 0
    assert third.send(lambda: at(2)) is None
    assert len(spooled(tmp_path)) == 1


def test_message_sent_but_not_noted_before_a_kill_has_the_same_name_again(
    opened: Callable[..., Delivery], tmp_path: Path
) -> None:
    first = opened()
    first.look([firing("P1")], at(1))
    (letter,) = read_newest(tmp_path / "state.sqlite", 10)
    sender(first.plan.channels["sms"]).send(letter.parcel)
    assert opened().send(lambda: at(2)) == 1
    assert len(spooled(tmp_path)) == 1


def test_channel_that_refuses_is_tried_again_later_and_told_of(opened: Callable[..., Delivery], tmp_path: Path) -> None:
    desk = opened()
    desk.look([firing("P1")], at(0))
    (tmp_path / "spool").write_text("a file where the folder should be")
    assert desk.send(lambda: at(0)) == 0
    assert desk.send(lambda: at(0.01)) is None
    assert desk.troubles(at(1)) == {}
    assert "cannot be written" in desk.troubles(at(3))["sms"]
    (tmp_path / "spool").unlink()
    assert desk.send(lambda: at(10)) == 1
    assert desk.troubles(at(10)) == {}


def test_ladder_calls_the_next_one_once_per_step_and_again_for_a_new_occurrence(
    opened: Callable[..., Delivery], tmp_path: Path
) -> None:
    ladder = Ladder("urgent", (), (Step(timedelta(minutes=10), "boss"),))
    a = firing("P1")
    first = opened(ladders=(ladder,))
    for minute in (0, 5, 10, 11):
        first.look([a], at(minute))
    second = opened(ladders=(ladder,))
    second.look([a], at(12))
    receivers = [one.receiver for one in read_newest(tmp_path / "state.sqlite", 10)]
    assert sorted(receivers) == ["boss", "room"]
    second.look([replace(a, since=at(60), waits_since=at(60))], at(71))
    assert [one.receiver for one in read_newest(tmp_path / "state.sqlite", 10)].count("boss") == 2


FLOOD = "Alarm flood: 1000 alarms in ten minutes. Standing: 1 critical, 999 high."


def in_wards(number: int, since: float = 0, priority: str = "high") -> list[Notice]:
    """Alarms of as many places in fifty wards, each ward a group of its own."""
    found = [firing(f"P{place}", since, priority) for place in range(number)]
    return [replace(one, labels={**one.labels, "ward": f"W{place % 50:02}"}) for place, one in enumerate(found)]


def test_flood_of_a_thousand_alarms_is_one_summary_for_each_receiver_and_what_is_critical(
    opened: Callable[..., Delivery], tmp_path: Path
) -> None:
    desk = opened(root=replace(ROUTE, group_by=("ward",)))
    urgent = replace(firing("X", 0, "critical"), title="Feeder dead")
    many = [*in_wards(999), urgent]
    assert desk.look(many, at(0), FLOOD) == 2
    critical, summary = sorted(
        read_newest(tmp_path / "state.sqlite", 10), key=lambda one: one.facts["sent_for"] == "flood"
    )
    assert critical.subject == "Nadipur: CRITICAL: Feeder dead, X, W07 and 20 more"
    assert summary.subject == "Nadipur: ALARM FLOOD: 979 high; Pressure is low, P0, W07"
    assert FLOOD in summary.body and "And 969 more, all on the board." in summary.body
    assert len(summary.short) <= 160 and len(summary.facts["alarms"]) == 979


def test_flood_is_summed_up_every_five_minutes_and_when_it_is_over_and_nothing_is_lost(
    opened: Callable[..., Delivery], tmp_path: Path
) -> None:
    desk = opened(root=replace(ROUTE, group_by=("ward",)))
    waves = [in_wards(50), in_wards(100, 2)[50:], in_wards(150, 7)[100:]]
    made = {}
    for minute in (0, 2, 4, 5, 7, 8, 9, 10, 11, 15):
        known = [one for wave in waves for one in wave if one.since <= at(minute)]
        made[minute] = desk.look(known, at(minute), FLOOD if minute < 8 else "")
    assert made == {0: 1, 2: 0, 4: 0, 5: 1, 7: 0, 8: 0, 9: 0, 10: 1, 11: 0, 15: 0}
    first, second, last = reversed(read_newest(tmp_path / "state.sqlite", 10))
    assert "Alarm flood over: 150 high" in last.subject
    told = {alarm for one in (first, second, last) for alarm in one.facts["alarms"]}
    assert told == {one.id for wave in waves for one in wave}
    ended = [over(one, 30) for one in waves[0]]
    assert desk.look(ended, at(30)) == 50


def test_flood_that_nobody_answers_escalates_in_one_message(opened: Callable[..., Delivery], tmp_path: Path) -> None:
    ladder = Ladder("urgent", (), (Step(timedelta(minutes=10), "boss"),))
    desk = opened(ladders=(ladder,))
    many = in_wards(1000)
    for minute in (0, 10, 10.1, 11, 30):
        desk.look(many, at(minute))
    (letter,) = [one for one in read_newest(tmp_path / "state.sqlite", 10) if one.receiver == "boss"]
    assert letter.subject == "Nadipur: NOT ACKNOWLEDGED for 10 min: Pressure is low, P0, W07 and 999 more"


def test_what_one_minute_leaves_unanswered_is_told_together(opened: Callable[..., Delivery], tmp_path: Path) -> None:
    ladder = Ladder("urgent", (), (Step(timedelta(minutes=10), "boss"),))
    desk = opened(ladders=(ladder,))
    known = [firing("P1", 0), firing("P2", 0.2), firing("P3", 0.7)]
    for minute in (10, 10.3, 10.8, 11, 12):
        desk.look(known, at(minute))
    letters = [one for one in read_newest(tmp_path / "state.sqlite", 10) if one.receiver == "boss"]
    assert sorted(len(one.facts["alarms"]) for one in letters) == [1, 2]


def test_alarms_of_little_weight_wait_in_quiet_hours(opened: Callable[..., Delivery]) -> None:
    # Noon is 17:30 in Nadipur.
    desk = opened(quiet=(Quiet(begins=time(17), ends=time(18), priorities=("low",)),))
    known = [firing("P1", 0, "low"), firing("P2", 0, "high")]
    assert desk.look([known[0]], at(1)) == 0
    assert desk.look(known, at(7)) == 1
    assert desk.look(known, at(40)) == 1


def test_receiver_whom_nobody_has_is_a_trouble_in_words(opened: Callable[..., Delivery]) -> None:
    desk = opened(receivers={"room": Receiver(name="room", roles=("operator",))})
    assert desk.look([firing("P1")], at(1)) == 0
    assert "reference/rota.csv" in desk.troubles(at(1))["room"]


DAY = Shift("operator", "Asha", frozenset(DAYS), time(18), time(6))
# Noon is 17:30 in Nadipur: Asha comes on duty half an hour later.
ROTA = Rota((DAY,), frozenset(), {"Asha": (("sms", "+91111"),)}, "Asia/Kolkata")


def test_what_rang_while_nobody_was_on_duty_is_told_to_whoever_comes_and_once(
    opened: Callable[..., Delivery], tmp_path: Path
) -> None:
    desk = opened(rota=ROTA, receivers={"room": Receiver(name="room", roles=("operator",))})
    stays, passes = firing("P1"), firing("P2")
    assert desk.look([stays, passes], at(1)) == 0
    assert "reference/rota.csv" in desk.troubles(at(1))["room"]
    assert [desk.look([stays, over(passes, 10)], at(minute)) for minute in (20, 29)] == [0, 0]
    again = opened(rota=ROTA, receivers={"room": Receiver(name="room", roles=("operator",))})
    assert [again.look([stays, over(passes, 10)], at(minute)) for minute in (30, 31, 60)] == [1, 0, 0]
    (letter,) = read_newest(tmp_path / "state.sqlite", 10)
    assert (letter.address, letter.facts["alarms"], letter.facts["ended"]) == ("+91111", [stays.id], [])
    assert again.troubles(at(60)) == {}


def test_step_of_a_ladder_that_finds_nobody_is_taken_when_somebody_comes(
    opened: Callable[..., Delivery], tmp_path: Path
) -> None:
    ladder = Ladder("urgent", (), (Step(timedelta(minutes=10), "boss"),))
    people = {"room": Receiver(name="room", to=(("sms", "+91"),)), "boss": Receiver(name="boss", roles=("operator",))}
    desk = opened(rota=ROTA, receivers=people, ladders=(ladder,))
    for minute in (0, 10, 20, 30, 31):
        desk.look([firing("P1")], at(minute))
    assert [(one.receiver, one.address) for one in read_newest(tmp_path / "state.sqlite", 10)] == [
        ("boss", "+91111"), ("room", "+91"),
    ]  # fmt: skip


def test_flood_summary_waits_for_somebody_on_duty(opened: Callable[..., Delivery], tmp_path: Path) -> None:
    desk = opened(rota=ROTA, root=replace(ROUTE, group_by=("ward",)),
                  receivers={"room": Receiver(name="room", roles=("operator",))})  # fmt: skip
    many = in_wards(100)
    assert [desk.look(many, at(minute), FLOOD) for minute in (0, 10, 30, 31)] == [0, 0, 1, 0]
    (letter,) = read_newest(tmp_path / "state.sqlite", 10)
    assert len(letter.facts["alarms"]) == 100


def test_sign_of_life_waits_for_somebody_on_duty(opened: Callable[..., Delivery]) -> None:
    desk = opened(rota=ROTA, receivers={"room": Receiver(name="room", roles=("operator",))}, alive="room")
    assert [desk.sign_of_life(at(minute)) for minute in (0, 29, 30, 31, 35)] == [0, 0, 1, 0, 1]


def test_slow_channel_holds_up_no_other(opened: Callable[..., Delivery], tmp_path: Path, hook: HTTPServer) -> None:
    url = f"http://127.0.0.1:{hook.server_port}/"
    channels = {
        "sms": Channel(name="sms", kind="sms_spool", folder=tmp_path / "spool"),
        "hook": Channel(name="hook", kind="webhook", url=url),
    }
    desk = opened(channels=channels, receivers={"room": Receiver(name="room", to=(("hook", ""), ("sms", "+91")))})
    desk.look([firing("P1")], at(0))
    assert desk.waiting(at(0)) == {"sms", "hook"} and desk.channels == ["hook", "sms"]
    assert desk.send(lambda: at(0), "sms") == 1
    assert len(spooled(tmp_path)) == 1 and not hook.got  # type: ignore[attr-defined]
    assert desk.send(lambda: at(0), "hook") == 1


def test_messages_of_one_group_keep_their_order_though_many_hands_send(
    opened: Callable[..., Delivery], hook: HTTPServer
) -> None:
    channels = {"hook": Channel(name="hook", kind="webhook", url=f"http://127.0.0.1:{hook.server_port}/")}
    desk = opened(channels=channels, root=replace(ROUTE, group_by=("area",)),
                  receivers={"room": Receiver(name="room", to=(("hook", ""),))})  # fmt: skip
    many = [firing(f"P{number}") for number in range(30)]
    desk.look(many, at(0))
    desk.look([over(one, 6) for one in many], at(6))
    assert desk.send(lambda: at(6)) == 60
    told: dict[str, list[bool]] = {}
    for _, one in hook.got:  # type: ignore[attr-defined]
        told.setdefault((one["alarms"] or one["ended"])[0], []).append(bool(one["alarms"]))
    assert len(told) == 30 and set(map(tuple, told.values())) == {(True, False)}


def test_sign_of_life_goes_out_in_its_interval(opened: Callable[..., Delivery]) -> None:
    desk = opened(alive="room", alive_every=timedelta(minutes=5))
    assert [desk.sign_of_life(at(minute)) for minute in (0, 2, 5, 6, 10)] == [1, 0, 1, 0, 1]


def test_test_button_sends_at_once_or_says_why_not(opened: Callable[..., Delivery], tmp_path: Path) -> None:
    desk = opened()
    desk.test("sms", "+91999", at(0))
    assert "This is a test of the channel sms" in spooled(tmp_path)[0]
    (tmp_path / "spool" / "x").mkdir()
    (tmp_path / "taken").write_text("")
    bad = replace(desk.plan.channels["sms"], folder=tmp_path / "taken")
    with pytest.raises(SourceDown, match="Check that it is there"):
        sender(bad).send(read_newest(tmp_path / "state.sqlite", 1)[0].parcel)


class Webhook(BaseHTTPRequestHandler):
    """Takes what is posted; answers as it was told to."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.headers["Idempotency-Key"], json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def hook() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Webhook)
    server.got, server.status = [], 200  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_webhook_is_told_with_the_same_key_until_it_says_yes(opened: Callable[..., Delivery], hook: HTTPServer) -> None:
    url = f"http://127.0.0.1:{hook.server_port}/alarms"
    channels = {"hook": Channel(name="hook", kind="webhook", url=url)}
    desk = opened(channels=channels, receivers={"room": Receiver(name="room", to=(("hook", ""),))})
    hook.status = 503  # type: ignore[attr-defined]
    desk.look([firing("P1")], at(0))
    assert desk.send(lambda: at(0)) == 0
    hook.status = 202  # type: ignore[attr-defined]
    assert desk.send(lambda: at(1)) == 1
    (first, told), (second, _) = hook.got  # type: ignore[attr-defined]
    assert first == second
    assert told["alarms"] == ["pressure_low|P1"]
    assert told["subject"] == "Nadipur: HIGH: Pressure is low, P1, W07"


class Mailbox:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        self.mails.append(envelope)
        return "250 OK"


def test_mail_reaches_a_real_smtp_server(opened: Callable[..., Delivery]) -> None:
    box = Mailbox()
    control = Controller(box, hostname="127.0.0.1", port=free_port())
    control.start()
    try:
        port = control.port
        url = f"mailto://127.0.0.1:{port}?from=board@nadipur.example&to={{address}}&mode=insecure&format=text"
        channels = {"mail": Channel(name="mail", kind="apprise", url=url)}
        desk = opened(
            channels=channels, receivers={"room": Receiver(name="room", to=(("mail", "ops@nadipur.example"),))}
        )
        desk.look([firing("P1"), over(firing("P0"), 0)], at(0))
        assert desk.send(lambda: at(0)) == 1
    finally:
        control.stop()
    (mail,) = box.mails
    assert mail.rcpt_tos == ["ops@nadipur.example"]
    assert b"Pressure is low" in mail.content
