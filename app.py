"""Townboard: one entry point. `python app.py --help` lists the commands."""

import argparse
import gc
import multiprocessing
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
# Seconds after which a thread that computes lets another one of its process go on.
SWITCH_S = 0.0001
Command = Callable[[argparse.Namespace], int]


def now() -> datetime:
    """The only place that reads the wall clock."""
    return datetime.now(UTC)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    from pipelines.engine import logs
    from pipelines.engine.commands import parser

    options = parser().parse_args(arguments)
    options.command = options.command or "serve"
    logs.configure("plain")
    return _ran(COMMANDS[options.command], options)


def _ran(work: Command, options: argparse.Namespace) -> int:
    """The exit status of a command; what hinders it is told in plain words."""
    from pipelines.engine.errors import SettingsError, StoreError

    try:
        return work(options)
    except SettingsError as error:
        print("Townboard cannot start; please mend:\n", file=sys.stderr)
        for mistake in error.mistakes:
            print(f"  {mistake}", file=sys.stderr)
        return 1
    except StoreError as error:
        print(f"Townboard cannot start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _settings(options: argparse.Namespace):
    from pipelines import available
    from pipelines.engine import logs, settings

    found = settings.load(options.town or ROOT / "data", available)
    logs.configure(found.log)
    return found


def serve(options: argparse.Namespace) -> int:
    """Start the line and the web process, watch both, stop cleanly."""
    from pipelines.engine.supervise import Supervisor

    town = options.town or ROOT / "data"
    if status := _apart(check, options):
        return status
    supervisor = Supervisor(town, options.host, options.port, options.prefix)
    print(f"Townboard is starting: http://{options.host}:{options.port}{options.prefix}", flush=True)
    return supervisor.run()


def _apart(work: Command, options: argparse.Namespace) -> int:
    """The exit status of a command in a process of its own, so that this one holds nothing of what it takes."""
    child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(_ran(work, options)))
    child.start()
    child.join()
    return child.exitcode or 0


def line(options: argparse.Namespace) -> int:
    """The line process."""
    # What a start makes stays: looking through it again and again for garbage would make the start longer.
    gc.disable()
    # Whoever waits to be answered is let in soon while a beat computes.
    sys.setswitchinterval(SWITCH_S)
    from pipelines import available
    from pipelines.engine import news, registers, upkeep_desk
    from pipelines.engine.garbage import keep_what_the_start_made
    from pipelines.engine.line import Line
    from pipelines.engine.people.desk import invite
    from pipelines.engine.service import Service
    from pipelines.engine.supervise import command

    settings = _settings(options)
    upkeep_desk.forward(settings, available, _registers, now())
    opened = Line(settings, registers.load(settings), now())
    news.begin(settings.store)
    service = Service(opened, now, command(settings.folder, "compact"))
    if not settings.demo and (words := invite(settings.store, now())):
        print(words, flush=True)
    keep_what_the_start_made()
    gc.enable()
    service.run()
    return 0


def web(options: argparse.Namespace) -> int:
    """The web process, or (pages) the one behind it that makes what takes time."""
    # Devices that wait to be answered are let in soon while a page is drawn or a table written.
    sys.setswitchinterval(SWITCH_S)
    gc.disable()
    import resource

    import uvicorn

    from components import slow_heads
    from components.behind import Behind, Crowd
    from components.served import Served
    from components.web import build
    from pipelines.engine import api, layout
    from pipelines.engine.api.access import loopback
    from pipelines.engine.line_client import private_socket, socket_path
    from pipelines.engine.supervise import crowd_mark
    from pipelines.engine.town import Town

    # Thousands of screens hold a connection each; what a login shell allows is 1,024.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    settings, is_behind = _settings(options), options.command == "pages"
    layout.readable(settings.store)
    local = loopback(options.host) and options.prefix.strip("/") == ""
    town, pages = Town(settings, now), socket_path(settings, "pages")
    behind = None if is_behind else Behind(pages, Crowd(crowd_mark(settings.store)))
    application = build(town, api.build(town, local=local), options.prefix, behind)
    sockets = [private_socket(pages)] if is_behind else None
    speaks = slow_heads.bounded(town.porter.access.connections_per_address)
    front = {"host": options.host, "port": options.port, "http": speaks, "server_header": False}
    told = {"forwarded_allow_ips": "*"} if is_behind else front
    quiet = {"access_log": False, "log_config": None, "timeout_graceful_shutdown": 2, "loop": "asyncio"}
    Served(uvicorn.Config(application, **told, **quiet)).run(sockets)
    return 0


def compact(options: argparse.Namespace) -> int:
    """Compaction, as the line's child."""
    from pipelines import available
    from pipelines.engine import compaction, layout
    from pipelines.engine.tables import ENGINE_TABLES

    settings = _settings(options)
    layout.require(settings.store)
    # Of every domain that is installed, also one that was switched off while its rows still stood in the journal.
    tables = (*ENGINE_TABLES, *(table for domain in available().values() for table in domain.tables))
    known = _registers(settings)
    compaction.compact(settings.store, tables, settings.zone, sensors=known and known.sensors)
    compaction.sweep(settings.store, now())
    if known:
        _for_analysts(settings, tables, known)
        _expectations(settings)
    return 0


def _expectations(settings) -> None:
    """What is usual in the hours to come, when it was last told long ago; here nobody waits for it."""
    from pipelines.engine import usual
    from pipelines.engine.errors import StoreError
    from pipelines.engine.town import Town

    try:
        usual.keep(Town(settings, now), now())
    except (StoreError, OSError) as error:
        print(f"What is usual stays as it was last told: {error}", file=sys.stderr)


def _registers(settings):
    """The town's registers; None while they hold mistakes: what landed is compacted all the same."""
    from pipelines.engine import registers
    from pipelines.engine.errors import SettingsError

    try:
        return registers.load(settings)
    except SettingsError as error:
        print(f"Worked without rollups by ward, and town.duckdb stays as it was: {error}", file=sys.stderr)
        return None


def _for_analysts(settings, tables, registers) -> None:
    """town.duckdb after a compaction; it is a convenience, so its failure is told and stops nothing."""
    from pipelines.engine import analysts
    from pipelines.engine.errors import StoreError

    try:
        analysts.build(settings.store, tables, registers, now())
    except StoreError as error:
        print(f"town.duckdb stays as it was: {error}", file=sys.stderr)


def check(options: argparse.Namespace) -> int:
    """Settings and registers read and checked."""
    from components.tongue import unspoken
    from pipelines.engine import registers

    settings = _settings(options)
    found = registers.load(settings)
    for words in (*found.shapes.faults, *unspoken(settings.languages)):
        print(f"Please look at: {words}")
    if options.command == "check":
        domains = ", ".join(domain.title for domain in settings.domains)
        print(
            f"{settings.name}: no mistakes found. {domains}; {len(settings.feeds)} feeds, "
            f"{found.sensors.height} sensors, {found.assets.height} assets, {found.wards.height} wards."
        )
    return 0


def import_files(options: argparse.Namespace) -> int:
    """Back-fill by hand."""
    from pipelines.engine.backfill import import_files as land

    return land(_settings(options), options.feed, options.files, now)


def requeue(options: argparse.Namespace) -> int:
    """Quarantined rows once more."""
    from pipelines.engine.asking import Misasked
    from pipelines.engine.requeue import requeue as again

    try:
        return again(_settings(options), options.feed, options.reason, options.since, now)
    except Misasked as mistake:
        print(mistake.words, file=sys.stderr)
        return 1


def token(options: argparse.Namespace) -> int:
    """Tokens of machines."""
    from pipelines.engine import token_desk
    from pipelines.engine.asking import Misasked

    settings = _settings(options)
    try:
        if options.action == "add":
            return token_desk.add(settings, options.name, options.scope, options.feed, options.expires, now())
        if options.action == "revoke":
            return token_desk.revoke(settings, options.name, now())
        return token_desk.show(settings, now())
    except Misasked as mistake:
        print(mistake.words, file=sys.stderr)
        return 1


def user(options: argparse.Namespace) -> int:
    """Accounts of people."""
    from pipelines.engine.asking import Misasked
    from pipelines.engine.people import desk

    try:
        return desk.run(_settings(options), vars(options), now())
    except Misasked as mistake:
        print(mistake.words, file=sys.stderr)
        return 1


def export(options: argparse.Namespace) -> int:
    """Write a table to a file."""
    from pipelines.engine.exports import Misasked, export_file
    from pipelines.engine.town import Town

    town = Town(_settings(options), now)
    try:
        rows = export_file(
            town, options.table, options.start, options.end, options.ward, options.form, options.output,
            options.as_known_at,
        )  # fmt: skip
    except Misasked as mistake:
        print(mistake.words, file=sys.stderr)
        return 1
    print(f"{rows} rows written to {options.output}.")
    return 0


def report(options: argparse.Namespace) -> int:
    """Write a report."""
    from components.reports import writing
    from pipelines.engine.asking import Misasked
    from pipelines.engine.town import Town

    try:
        print(writing.command(Town(_settings(options), now), vars(options)))
    except Misasked as mistake:
        print(mistake.words, file=sys.stderr)
        return 1
    return 0


def look_after(options: argparse.Namespace) -> int:
    """Backup, restore, doctor, upgrade, install."""
    from pipelines import available
    from pipelines.engine import upkeep_desk
    from pipelines.engine.upkeep_desk import Desk

    folder = options.town or ROOT / "data"
    return upkeep_desk.run(options, Desk(folder, now(), available, lambda: _settings(options), _registers, ROOT))


def demo(options: argparse.Namespace) -> int:
    """The demo town."""
    from pipelines.demo.run import run

    return run(options.town, options.host, options.port, now)


COMMANDS = {
    "serve": serve, "demo": demo, "web": web, "pages": web, "line": line, "compact": compact, "check": check,
    "requeue": requeue, "import": import_files, "export": export, "report": report, "token": token, "user": user,
    "backup": look_after, "restore": look_after, "upgrade": look_after, "install": look_after,
    "doctor": look_after,
}  # fmt: skip

if __name__ == "__main__":
    # Small frames by the thousand: a second thread costs more in hand-overs than it saves, and the box has two cores.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    # Grouping a thousand rows takes a quarter of the time when they are not dealt out to workers first.
    os.environ.setdefault("POLARS_NO_PARTITION", "1")
    sys.exit(main())
