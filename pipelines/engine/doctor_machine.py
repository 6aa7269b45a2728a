"""What the doctor finds around the town: battery clock, peers' clocks, memory, port, certificates."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from cryptography import x509

from pipelines.engine.doctor_store import SOUND, Finding, Level
from pipelines.engine.errors import StoreError
from pipelines.engine.own_processes import running
from pipelines.engine.settings import Settings
from pipelines.engine.store import Store
from pipelines.engine.tables import ENGINE_TABLES

# A battery clock loses seconds a week; what is more would put the town into another time after a power cut.
APART = timedelta(minutes=2)
# So many devices that agree against us know better than we do.
FEWEST_PEERS, MOST_SHARE = 5, 0.5
LITTLE_MEMORY, FULL_MEMORY = 600 << 20, 250 << 20
SOON, TOO_SOON = timedelta(days=21), timedelta(days=3)
USUAL_PORT = 8050


@dataclass(frozen=True)
class Machine:
    """The computer, and where it tells of itself."""

    proc: Path = Path("/proc")
    rtc: Path = Path("/sys/class/rtc/rtc0/since_epoch")
    port: int = USUAL_PORT


def look_at_machine(
    machine: Machine, town: Path, settings: Settings | None, now: datetime, *, runs: bool
) -> Iterator[Finding]:
    """Everything around the town; `runs`: whether its line does."""
    yield from battery_clock(machine, now)
    yield from memory(machine, town)
    yield from port(machine, runs=runs)
    if settings is not None:
        yield from peers(settings, now)
        yield from certificates(settings, now)


def battery_clock(machine: Machine, now: datetime) -> Iterator[Finding]:
    """Whether the clock that outlasts a power cut says the same; needs no network."""
    try:
        told = datetime.fromtimestamp(int(machine.rtc.read_text()), UTC)
    except (OSError, ValueError):
        return
    if abs(told - now) > APART:
        yield Finding(
            Level.LOOK,
            "Battery clock",
            f"it says {told:%Y-%m-%d %H:%M} UTC, the computer {now:%Y-%m-%d %H:%M} UTC. After a power cut without a "
            "network the town would live in the wrong time: sudo hwclock --systohc, and a new battery when it happens "
            "again.",
        )
    else:
        yield Finding(SOUND, "Battery clock", "it says the same as the computer.")


def peers(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Whether devices with clocks of their own agree against ours: a check that needs no internet."""
    try:
        store = Store(settings.store, ENGINE_TABLES)
        store.open()
        rows = store.rows("sensor_clocks")
    except StoreError:
        return
    last = rows.sort("judged_at").unique("sensor", keep="last").drop_nulls("error_s")
    sides = {"ahead": last.filter(pl.col("error_s") > 0), "behind": last.filter(pl.col("error_s") < 0)}
    known = store.rows("series", columns=["sensor", "series", "registered_at"]).height
    for side, found in sides.items():
        if found.height >= FEWEST_PEERS and found.height > MOST_SHARE * known:
            off = timedelta(seconds=abs(float(found["error_s"].median() or 0.0)))  # type: ignore[arg-type]
            other = {"ahead": "behind", "behind": "ahead"}[side]
            yield Finding(
                Level.MEND,
                "Clock",
                f"{found.height} of {known} sensors are {side} of this computer, by {off.total_seconds() / 60:.0f} "
                f"minutes in the middle. They are hardly all wrong: this computer's clock is probably {other}. Set it.",
            )


def memory(machine: Machine, town: Path) -> Iterator[Finding]:
    """What is free, and what the town's processes use."""
    try:
        lines = (line.split() for line in (machine.proc / "meminfo").read_text().splitlines())
        told = {name.rstrip(":"): int(number) << 10 for name, number, *_ in lines}
        free, whole = told["MemAvailable"], told["MemTotal"]
    except (OSError, ValueError, KeyError):
        return
    own = [f"{one.name} {one.resident >> 20:,} MB" for one in running(town, machine.proc)]
    words = f"{free >> 20:,} MB of {whole >> 20:,} MB are free" + (f"; of ours: {', '.join(own)}." if own else ".")
    level = Level.MEND if free < FULL_MEMORY else Level.LOOK if free < LITTLE_MEMORY else SOUND
    advice = "" if level is SOUND else " Close other programs, or put in more; when it is used up, processes are ended."
    yield Finding(level, "Memory", words + advice)


def port(machine: Machine, *, runs: bool) -> Iterator[Finding]:
    """Whether the town answers at its port, or could."""
    with closing(socket.socket()) as probe:
        probe.settimeout(2)
        taken = probe.connect_ex(("127.0.0.1", machine.port)) == 0
    if taken and not runs:
        yield Finding(
            Level.LOOK,
            "Port",
            f"{machine.port} is taken by another program. Stop that one, or start on another: "
            f"python app.py serve --port {machine.port + 1}",
        )
    elif taken:
        yield Finding(SOUND, "Port", f"{machine.port} is answered.")
    elif not runs:
        yield Finding(SOUND, "Port", f"{machine.port} is free for the start.")


def certificates(settings: Settings, now: datetime) -> Iterator[Finding]:
    """When the certificates end that the settings name: the proxy's, and ours at brokers."""
    named = {"Certificate": settings.folder / settings.certificate} if settings.certificate else {}
    for name, broker in settings.brokers.items():
        named |= {f"Broker {name}, {key}": Path(file) for key, file in
                  (("ca_file", broker.ca_file), ("cert_file", broker.cert_file)) if file}  # fmt: skip
    for thing, file in named.items():
        try:
            ends = min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(file.read_bytes()))
        except (OSError, ValueError) as error:
            words = f"{file} cannot be read as a certificate ({error}). Check the path, and who may read it."
            yield Finding(Level.MEND, thing, words)
            continue
        yield _ending(thing, file, ends, now)


def _ending(thing: str, file: Path, ends: datetime, now: datetime) -> Finding:
    left = ends - now
    day = f"{ends:%Y-%m-%d}"
    if left < timedelta(0):
        return Finding(Level.MEND, thing, f"{file} ended on {day}: browsers and brokers refuse it. Put in a new one.")
    days = f"{left.days} day{'s' if left.days != 1 else ''}"
    if left < SOON:
        level = Level.MEND if left < TOO_SOON else Level.LOOK
        return Finding(
            level, thing, f"{file} ends on {day}, in {days}. Renew it; if that should go by itself, it failed."
        )
    return Finding(SOUND, thing, f"{file} is good until {day}.")
