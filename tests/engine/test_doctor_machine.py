"""The doctor and the computer: battery clock, peers without internet, memory, port, certificates, second place."""

import os
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines import available
from pipelines.engine import backup, copies, doctor, doctor_machine, layout
from pipelines.engine.doctor_machine import Machine
from pipelines.engine.doctor_store import Finding, Level
from pipelines.engine.journal import Entry
from pipelines.engine.layout import LAYOUT, Stand
from pipelines.engine.tables import ENGINE_TABLES
from tests.engine.small_town import NOON, TOWN, make, open_line, read

KPIS = frozenset({"pressure_compliance"})
CLOCKS = next(table for table in ENGINE_TABLES if table.name == "sensor_clocks")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A computer of its own, with a battery clock and two gigabytes free."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\nHugePages_Total: 0\n")
    (tmp_path / "rtc").write_text(f"{int(NOON.timestamp())}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    return Machine(tmp_path / "proc", tmp_path / "rtc", free)


def town(tmp_path: Path, more: str = "") -> Path:
    return make(
        tmp_path / "town",
        TOWN.format(zone="UTC", domains='["water", "grievances"]').replace('"Testville"', f'"Testville"\n{more}'),
    )


def only(found: list[Finding] | object) -> Finding:
    (one,) = list(found)  # type: ignore[call-overload]
    return one


def test_sound_computer_is_said_to_be_so(tmp_path: Path, machine: Machine) -> None:
    found = doctor.examine(town(tmp_path), NOON, available, lambda: True, machine)
    told = {one.thing: one for one in found}
    assert {told[name].level for name in ("Battery clock", "Memory", "Port")} == {Level.SOUND}
    assert told["Memory"].words == "2,048 MB of 4,096 MB are free."


def test_battery_clock_that_differs_is_told_without_any_network(machine: Machine) -> None:
    machine.rtc.write_text(str(int((NOON - timedelta(days=900)).timestamp())))
    one = only(doctor_machine.battery_clock(machine, NOON))
    assert one.level is Level.LOOK and "hwclock --systohc" in one.words
    machine.rtc.unlink()
    assert list(doctor_machine.battery_clock(machine, NOON)) == []


def test_memory_of_the_town_that_runs_is_named_and_no_other(machine: Machine) -> None:
    for pid, words in (
        (7, "python3 app.py --town /srv/a line"),
        (8, "python3 app.py --town /srv/b line"),
        (9, "python3 app.py --town /srv/a doctor"),
        (10, "timeout 9 python3 app.py --town /srv/a line"),
    ):
        (machine.proc / str(pid)).mkdir()
        (machine.proc / str(pid) / "cmdline").write_bytes(words.replace(" ", "\0").encode() + b"\0")
        (machine.proc / str(pid) / "stat").write_text(f"{pid} (python3) S 1 {' '.join(['0'] * 19)} 25600 0")  # fmt: skip
    assert "; of ours: line 100 MB." in only(doctor_machine.memory(machine, Path("/srv/a"))).words


@pytest.mark.parametrize(("mb", "level"), [(200, Level.MEND), (500, Level.LOOK), (900, Level.SOUND)])
def test_memory_that_runs_out_is_told_before_it_has(machine: Machine, mb: int, level: Level) -> None:
    (machine.proc / "meminfo").write_text(f"MemTotal: 4194304 kB\nMemAvailable: {mb * 1024} kB\n")
    assert only(doctor_machine.memory(machine, machine.proc)).level is level


def test_port_that_another_program_has_is_told(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", machine.port)):
        taken = only(doctor_machine.port(machine, runs=False))
        assert taken.level is Level.LOOK and "taken by another program" in taken.words
        assert only(doctor_machine.port(machine, runs=True)).level is Level.SOUND
    assert "free for the start" in only(doctor_machine.port(machine, runs=False)).words


@pytest.mark.parametrize(("errors", "side"), [([600.0] * 6, "behind"), ([-600.0] * 6, "ahead")])
def test_devices_that_agree_against_us_mean_that_our_clock_is_wrong(
    tmp_path: Path, errors: list[float], side: str
) -> None:
    folder = town(tmp_path)
    line = open_line(folder, NOON, KPIS)
    series = pl.DataFrame({"sensor": [f"S{n}" for n in range(8)], "series": range(1, 9)}).with_columns(
        pl.col("series").cast(pl.Int32), registered_at=pl.lit(NOON)
    )
    rows = pl.DataFrame(
        {"sensor": [f"S{n}" for n in range(6)], "judged_at": [NOON] * 6, "feed": ["network"] * 6,
         "state": ["ahead" if error > 0 else "behind" for error in errors], "error_s": errors,
         "drift_s_per_day": [None] * 6}, schema=CLOCKS.schema,
    )  # fmt: skip
    with line.writing:
        line.journal.append([Entry("series", series, {"received_s": NOON.timestamp()}),
                             Entry("sensor_clocks", rows, {"received_s": NOON.timestamp()})])  # fmt: skip
    line.close()
    one = only(doctor_machine.peers(read(folder), NOON))
    assert one.level is Level.MEND
    assert "6 of 8 sensors" in one.words and "by 10 minutes" in one.words and f"probably {side}" in one.words


def test_some_devices_that_are_off_say_nothing_of_our_clock(tmp_path: Path) -> None:
    folder = town(tmp_path)
    open_line(folder, NOON, KPIS).close()
    assert list(doctor_machine.peers(read(folder), NOON)) == []


@pytest.mark.parametrize(
    ("days", "level", "words"), [(100, Level.SOUND, "is good until"), (10, Level.LOOK, "Renew it"), (1, Level.MEND, "in 1 day"),
                                 (-2, Level.MEND, "refuse it")],
)  # fmt: skip
def test_certificate_that_ends_is_told_in_time(tmp_path: Path, days: int, level: Level, words: str) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "200", "-subj", "/CN=board", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "board.pem"]  # fmt: skip
    subprocess.run(made, check=True, capture_output=True)
    settings = read(town(tmp_path, f'certificate = "{tmp_path}/board.pem"'))
    one = only(doctor_machine.certificates(settings, datetime.now(UTC) + timedelta(days=200 - days, hours=-1)))
    assert (one.thing, one.level) == ("Certificate", level)
    assert words in one.words


def test_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "board.pem").write_text("no certificate")
    settings = read(town(tmp_path, f'certificate = "{tmp_path}/board.pem"'))
    assert only(doctor_machine.certificates(settings, NOON)).level is Level.MEND


def test_store_of_a_newer_layout_and_a_second_place_that_got_nothing_are_to_mend(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    folder = town(tmp_path)
    (folder / "town.toml").write_text(
        (folder / "town.toml").read_text() + f'[backup]\nto = "{stick}"\nsecond = "{stick}2"\n'
    )
    open_line(folder, NOON, KPIS).close()
    backup.make(folder, stick / "town-2026-03-10-0630Z.tar.zst", NOON)
    told = {one.thing: one for one in doctor.examine(folder, NOON, available, lambda: True)}
    assert "nothing was brought" in told["Backup, second place"].words
    (tmp_path / "stick2").mkdir()
    copies.run(read(folder).backup, folder, NOON)  # type: ignore[arg-type]
    os.utime(folder / "store" / "journal", (NOON.timestamp(), NOON.timestamp()))
    layout.write(folder / "store", Stand(LAYOUT + 1, "9.0.0"))
    told = {one.thing: one for one in doctor.examine(folder, NOON, available, lambda: True)}
    assert told["Backup, second place"].level is Level.SOUND
    assert told["Layout"].level is Level.MEND and "newer Townboard" in told["Layout"].words
