"""The second factor: RFC 6238's own numbers, set up step by step, never twice the same code, recovery, and by role."""

import re
import stat
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from pipelines.engine.asking import Misasked
from pipelines.engine.people import accounts, audit, sealing, second_factor, sessions
from pipelines.engine.people.factor_door import Entered, FactorDoor
from pipelines.engine.people.plan import Access
from pipelines.engine.people.roles import VISITOR
from pipelines.engine.people.second_factor import STEP_S, Factor
from tests.engine.people.doorstep import Doorstep

STEP = timedelta(seconds=STEP_S)
PEER = "10.0.0.1"
# RFC 6238, appendix B, SHA-1: the secret 12345678901234567890, time and the last six of its eight digits.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC = ((59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"))


@pytest.mark.parametrize(("seconds", "digits"), RFC)
def test_code_is_the_one_of_the_standard(seconds: int, digits: str) -> None:
    found = second_factor.step_of(Factor(secret=RFC_SECRET), digits, datetime.fromtimestamp(seconds, UTC))
    assert found == seconds // 30


def test_clock_of_the_phone_may_differ_by_one_step_and_no_more() -> None:
    factor = Factor(secret=RFC_SECRET)
    at, digits = 2_000_000_000, "279037"
    told = [second_factor.step_of(factor, digits, datetime.fromtimestamp(at + 30 * n, UTC)) for n in range(-2, 3)]
    assert told == [None, at // 30, at // 30, at // 30, None]


@pytest.mark.parametrize("typed", ["279 037", "२७९०३७", "۲۷۹۰۳۷", "٢٧٩-٠٣٧"])
def test_code_is_read_in_every_script_and_with_spaces(typed: str) -> None:
    at = datetime.fromtimestamp(2_000_000_000, UTC)
    assert second_factor.step_of(Factor(secret=RFC_SECRET), typed, at) is not None


@pytest.mark.parametrize("typed", ["", "27903", "2790377", "²79037", "x279037é" * 2, "279037 279037"])
def test_what_is_no_code_of_six_digits_opens_nothing(typed: str) -> None:
    at = datetime.fromtimestamp(2_000_000_000, UTC)
    assert second_factor.step_of(Factor(secret=RFC_SECRET), typed, at) is None


def test_square_holds_the_address_that_apps_read() -> None:
    text = second_factor.address(Factor(secret=RFC_SECRET), "asha", "Nadipur")
    parsed = pyotp.parse_uri(text)
    assert (parsed.secret, parsed.name, parsed.issuer) == (RFC_SECRET, "asha", "Townboard Nadipur")
    drawn = second_factor.square(text)
    assert drawn.startswith("<svg") and "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


def now_code(door: Doorstep, name: str = "asha") -> str:
    factor = second_factor.of(door.path, name)
    assert factor is not None
    return pyotp.TOTP(factor.secret).generate_otp(int(door.now.timestamp()) // STEP_S)


def set_up(door: Doorstep, secret: str, name: str = "asha") -> Entered:
    """The second factor set up by whoever has this session; a moment later."""
    desk, visit = FactorDoor(door.porter), door.visit(secret)
    door.wait_for(desk.begin(visit))
    entered = door.wait_for(desk.confirm(visit, now_code(door, name), peer=PEER, agent="test"))
    door.later(STEP)
    return entered  # type: ignore[no-any-return]


def pass_by(door: Doorstep, secret: str, typed: str) -> Entered:
    asked = FactorDoor(door.porter).pass_by(door.visit(secret), typed, peer=PEER, agent="test")
    return door.wait_for(asked)  # type: ignore[no-any-return]


def test_password_alone_opens_half_a_session_that_may_nothing(door: Doorstep) -> None:
    entered = set_up(door, door.add("asha", "operator"))
    assert door.visit(entered.secret).actor.name == "asha"
    half = door.sign_in("asha")
    visit = door.visit(half)
    assert visit.actor == VISITOR and visit.session is None and visit.half is not None
    whole = pass_by(door, half, now_code(door))
    assert door.visit(whole.secret).actor.name == "asha" and whole.secret != half
    assert door.visit(half).half is None


def test_half_a_session_ends_after_a_quarter_of_an_hour(door: Doorstep) -> None:
    set_up(door, door.add("asha", "operator"))
    half = door.sign_in("asha")
    door.later(sessions.HALF_OPEN)
    with pytest.raises(Misasked, match="time for the second step is over"):
        pass_by(door, half, now_code(door))


def test_code_works_once_also_in_another_browser_and_the_one_before_it_never_after(door: Doorstep) -> None:
    set_up(door, door.add("asha", "operator"))
    code = now_code(door)
    pass_by(door, door.sign_in("asha"), code)
    with pytest.raises(Misasked, match="used already"):
        pass_by(door, door.sign_in("asha"), code)
    early = code
    door.later(STEP)
    pass_by(door, door.sign_in("asha"), now_code(door))
    with pytest.raises(Misasked, match="used already"):
        pass_by(door, door.sign_in("asha"), early)


def test_wrong_codes_wait_as_wrong_passwords_do_and_the_right_password_does_not_reset_them(door: Doorstep) -> None:
    set_up(door, door.add("asha", "operator"))
    statuses = []
    for _ in range(accounts.FREE_TRIES):
        half = door.sign_in("asha")
        with pytest.raises(Misasked) as refused:
            pass_by(door, half, "000000" if now_code(door) != "000000" else "111111")
        statuses.append(refused.value.status)
    with pytest.raises(Misasked, match="Too many wrong"):
        door.sign_in("asha")
    assert statuses == [403] * accounts.FREE_TRIES
    did = [entry.did for entry in audit.entries(door.path)]
    assert did.count("wrong code of the second factor") == accounts.FREE_TRIES


def test_recovery_code_opens_once_and_tells_how_many_are_left(door: Doorstep) -> None:
    codes = set_up(door, door.add("asha", "operator")).codes
    assert len(set(codes)) == second_factor.RECOVERY_CODES and all(re.fullmatch(r"\w{5}-\w{5}", one) for one in codes)
    assert pass_by(door, door.sign_in("asha"), codes[0].lower()).left == second_factor.RECOVERY_CODES - 1
    with pytest.raises(Misasked, match="not right"):
        pass_by(door, door.sign_in("asha"), codes[0])
    assert all(code.replace("-", "").encode() not in door.path.read_bytes() for code in codes)


def test_role_that_needs_it_sets_it_up_before_anything_else(door: Doorstep) -> None:
    door.porter.access = Access(second_factor_from="operator")
    assert door.visit(door.add("looks", "council")).actor.name == "looks"
    half = door.add("asha", "operator")
    assert door.visit(half).actor == VISITOR and door.visit(half).half is not None
    entered = set_up(door, half)
    assert door.visit(entered.secret).actor.name == "asha"
    with pytest.raises(Misasked, match="needs a second factor"):
        door.wait_for(FactorDoor(door.porter).remove(door.visit(entered.secret), now_code(door), peer=PEER))


@pytest.mark.parametrize(
    ("least", "needing"),
    [(None, ""), ("operator", "operator clerk admin"), ("admin", "admin"), ("viewer", "viewer council operator clerk admin")],
)  # fmt: skip
def test_town_says_from_which_role_on_it_is_needed(least: str | None, needing: str) -> None:
    access = Access(second_factor_from=least)
    roles = ("viewer", "council", "operator", "clerk", "admin")
    assert [role for role in roles if access.needs_second_factor(role)] == needing.split()


def test_nobody_replaces_a_factor_in_use_without_a_code_of_it(door: Doorstep) -> None:
    entered = set_up(door, door.add("asha", "operator"))
    desk, visit = FactorDoor(door.porter), door.visit(entered.secret)
    with pytest.raises(Misasked, match="in use already"):
        door.wait_for(desk.begin(visit))
    with pytest.raises(Misasked, match="not right"):
        door.wait_for(desk.remove(visit, "000000" if now_code(door) != "000000" else "111111", peer=PEER))
    renewed = door.wait_for(desk.renew(visit, now_code(door), peer=PEER))
    assert set(renewed).isdisjoint(entered.codes)
    door.later(STEP)
    door.wait_for(desk.remove(visit, now_code(door), peer=PEER))
    assert door.visit(door.sign_in("asha")).actor.name == "asha"


def test_admin_takes_a_lost_factor_away_once_and_ends_what_was_open(door: Doorstep) -> None:
    entered = set_up(door, door.add("asha", "operator"))
    assert second_factor.having(door.path) == {"asha"}
    assert door.visit(entered.secret).actor.name == "asha"
    assert second_factor.remove(door.path, "asha", door.now, by="boss")
    assert second_factor.having(door.path) == set()
    assert not second_factor.remove(door.path, "asha", door.now, by="boss")
    door.porter.visitors.look_again()
    assert door.visit(entered.secret).actor == VISITOR
    told = [(entry.who, entry.did) for entry in audit.entries(door.path)]
    assert told[-2:] == [("boss", "second factor taken away"), ("boss", "session ended")]


def test_second_factor_set_up_or_taken_away_ends_the_other_sessions_of_its_person_alone(door: Doorstep) -> None:
    before, other = door.add("asha", "operator"), door.add("ravi", "operator")
    entered = set_up(door, door.sign_in("asha"))
    assert [door.visit(one).actor.name for one in (before, entered.secret, other)] == ["", "asha", "ravi"]
    second = pass_by(door, door.sign_in("asha"), now_code(door)).secret
    door.later(STEP)
    gone = FactorDoor(door.porter).remove(door.visit(second), now_code(door), peer=PEER)
    third = door.wait_for(gone)
    assert [door.visit(one).actor.name for one in (entered.secret, second, third, other)] == ["", "", "asha", "ravi"]


# sealed --------------------------------------------------------------------------------------------------------------


def test_secret_is_nowhere_beside_the_key_and_the_key_is_its_owners_alone(door: Doorstep) -> None:
    set_up(door, door.add("asha", "operator"))
    factor = second_factor.of(door.path, "asha")
    assert factor is not None and len(factor.secret) == 32
    files = [path for path in door.path.parent.iterdir() if path.is_file()]
    assert sealing.key_path(door.path) in files
    assert all(factor.secret.encode() not in path.read_bytes() for path in files)
    assert stat.S_IMODE(sealing.key_path(door.path).stat().st_mode) == 0o600
    assert factor.secret not in repr(factor) and factor.kept not in repr(factor)


def test_lost_key_leaves_recovery_codes_and_one_that_was_kept_apart_opens_beside_a_newer(door: Doorstep) -> None:
    codes = set_up(door, door.add("asha", "operator")).codes
    path, code = sealing.key_path(door.path), now_code(door)
    apart = path.read_text()
    path.unlink()
    assert not second_factor.opens(door.path, "asha")
    with pytest.raises(Misasked, match="not right"):
        pass_by(door, door.sign_in("asha"), code)
    assert door.visit(pass_by(door, door.sign_in("asha"), codes[0]).secret).actor.name == "asha"
    set_up(door, door.add("ravi", "operator"), "ravi")
    path.write_text(path.read_text() + apart)
    assert second_factor.opens(door.path, "asha") and second_factor.opens(door.path, "ravi")
    assert door.visit(pass_by(door, door.sign_in("asha"), now_code(door)).secret).actor.name == "asha"


def test_secret_of_one_account_does_not_serve_another(door: Doorstep) -> None:
    kept = sealing.seal(door.path, "asha", RFC_SECRET)
    assert sealing.unseal(door.path, "asha", kept) == RFC_SECRET
    assert sealing.unseal(door.path, "ravi", kept) is None
