"""Townboard: one entry point. `python app.py --help` lists the commands."""

import argparse
import gc
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
# Seconds after which a thread that computes lets another one of its process go on.
SWITCH_S = 0.0001


def now() -> datetime:
    """The only place that reads the wall clock."""
    return datetime.now(UTC)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    from pipelines.engine import logs
    from pipelines.engine.errors import SettingsError, StoreError

    options = _parser().parse_args(arguments)
    logs.configure("plain")
    try:
        return options.run(options) or 0
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


def _parser() -> argparse.ArgumentParser:
    from pipelines.engine import upkeep_desk

    parser = argparse.ArgumentParser(prog="app.py", description="Townboard, the operations board of a small town.")
    parser.add_argument("--town", type=Path, default=None, metavar="DIR", help="the town's folder (default: data/)")
    parser.set_defaults(run=serve, host="127.0.0.1", port=8050, prefix="/")
    commands = parser.add_subparsers(metavar="COMMAND")

    def add(name: str, run: object, words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=words)
        command.set_defaults(run=run, command=name)
        return command

    for name, run, words in (
        ("serve", serve, "run everything: sources, scheduled pipelines, web (the default)"),
        ("demo", demo, "run everything for a simulated small town, to look at"),
        ("web", web, "run only the web process"),
        ("pages", web, "run only the process that makes pages and tables for the web process"),
    ):
        command = add(name, run, words)
        command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        command.add_argument("--port", type=int, default=8050, help="port to listen on (default: %(default)s)")
        command.add_argument("--prefix", default="/", help="path under a reverse proxy, for example /town/")
    add("line", line, "run only the line (sources and pipelines)")
    add("compact", compact, "move the journal into Parquet now (the line does it by itself)")
    add("check", check, "read every setting and register and name every mistake; starts nothing")
    requeuing = add("requeue", requeue, "take quarantined rows in once more, after a mapping or register was mended")
    requeuing.add_argument("feed", nargs="?", help="only rows of this feed")
    requeuing.add_argument("--reason", help="only rows that were refused for this short reason")
    requeuing.add_argument("--since", help="only rows that came from then on, for example 2026-11-23T00:00:00Z")
    _token_commands(add("token", token, "make, list and revoke the tokens of machines"))
    _user_commands(add("user", user, "make, list and end the accounts of people"))
    importing = add("import", import_files, "land files by hand through a feed, as if they had come by it")
    importing.add_argument("feed")
    importing.add_argument("files", nargs="+", type=Path)
    upkeep_desk.declare(add, look_after)
    exporting = add("export", export, "write a table to a file")
    exporting.add_argument("table")
    exporting.add_argument("--from", dest="start")
    exporting.add_argument("--to", dest="end")
    exporting.add_argument("--ward")
    exporting.add_argument("--as-known-at", metavar="TIME", help="KPI values as they were published by this time")
    exporting.add_argument("--format", dest="form", default="csv", choices=["csv", "parquet", "xlsx", "json", "ndjson"])
    exporting.add_argument("-o", "--output", type=Path, required=True)
    reporting = add("report", report, "write a report as PDF, with its figures as CSV beside it")
    reporting.add_argument("kind", choices=["council", "operations"])
    reporting.add_argument(
        "--of", metavar="PERIOD", help="2026-10 (council), 2026-11-22 (operations); the last if none"
    )
    reporting.add_argument("--language", action="append", default=[], help="may be repeated (default: the town's)")
    reporting.add_argument("--ward", help="of this ward instead of the town")
    reporting.add_argument("--wards", action="store_true", help="besides, one for each ward")
    reporting.add_argument("-o", "--output", type=Path, required=True)
    return parser


def _token_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    making = commands.add_parser("add", help="make a token; it is shown once")
    making.add_argument("name", help="which device or program it is for")
    scopes = ("ingest", "read", "operate", "admin", "wall")
    making.add_argument("--scope", action="append", choices=scopes, required=True, help="what for; may be repeated")
    making.add_argument("--feed", action="append", default=[], help="only this feed; may be repeated")
    making.add_argument(
        "--expires", metavar="TIME", help="how long it is good, for example 365d (default: no end; wall: a year)"
    )
    commands.add_parser("list", help="every token that was ever made")
    commands.add_parser("revoke", help="end a token").add_argument("name")


def _user_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    roles = ("viewer", "council", "operator", "clerk", "admin")
    making = commands.add_parser("add", help="make an account; its one-time code is shown once")
    making.add_argument("name", help="small letters, digits and . _ -")
    making.add_argument("--role", choices=roles, required=True)
    making.add_argument("--ward", action="append", default=[], help="only this ward; may be repeated (default: all)")
    commands.add_parser("list", help="every account")
    for action, words in (
        ("disable", "end an account and its sessions; what it did stays on record"),
        ("enable", "open a disabled account again, or one that waits after wrong passwords"),
        ("code", "a new one-time code, when a password was forgotten"),
        ("second-factor", "take the second factor away, when a phone was lost; sessions end"),
    ):
        commands.add_parser(action, help=words).add_argument("name")
    changing = commands.add_parser("role", help="give an account another role")
    changing.add_argument("name")
    changing.add_argument("role", choices=roles)
    limiting = commands.add_parser("wards", help="limit an account to wards; without --ward the whole town again")
    limiting.add_argument("name")
    limiting.add_argument("--ward", action="append", default=[], help="only this ward; may be repeated")
    listing = commands.add_parser("sessions", help="who is signed in, where and since when")
    listing.add_argument("name", nargs="?", help="only of this account")
    ending = commands.add_parser("end", help="end the sessions of an account")
    ending.add_argument("name")
    ending.add_argument("--session", help="only this one, as `user sessions` lists it")
    commands.add_parser("audit", help="the audit log as CSV, and whether it fits together")


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
    check(options)
    supervisor = Supervisor(town, options.host, options.port, options.prefix)
    print(f"Townboard is starting: http://{options.host}:{options.port}{options.prefix}", flush=True)
    return supervisor.run()


def line(options: argparse.Namespace) -> int:
    """The line process."""
    # What a start makes stays: looking through it again and again for garbage would make the start longer.
    gc.disable()
    # Whoever waits to be answered is let in soon while a beat computes.
    sys.setswitchinterval(SWITCH_S)
    from pipelines import available
    from pipelines.engine import registers, upkeep_desk
    from pipelines.engine.line import Line
    from pipelines.engine.people.desk import invite
    from pipelines.engine.service import Service, keep_what_the_start_made
    from pipelines.engine.upkeep import command

    settings = _settings(options)
    upkeep_desk.forward(settings, available, _registers(settings), now())
    opened = Line(settings, registers.load(settings), now())
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
    import uvicorn

    from components.behind import Behind, Crowd
    from components.slow_heads import PatientProtocol
    from components.web import build
    from pipelines.engine import api, layout
    from pipelines.engine.api.access import loopback
    from pipelines.engine.local import private_socket, socket_path
    from pipelines.engine.supervise import crowd_mark
    from pipelines.engine.town import Town

    settings, is_behind = _settings(options), options.command == "pages"
    layout.refuse(settings.store)
    local = loopback(options.host) and options.prefix.strip("/") == ""
    town, pages = Town(settings, now), socket_path(settings, "pages")
    behind = None if is_behind else Behind(pages, Crowd(crowd_mark(settings.store)))
    application = build(town, api.build(town, local=local), options.prefix, behind)
    sockets = [private_socket(pages)] if is_behind else None
    front = {"host": options.host, "port": options.port, "http": PatientProtocol, "server_header": False}
    told = {"forwarded_allow_ips": "*"} if is_behind else front
    quiet = {"access_log": False, "log_config": None, "timeout_graceful_shutdown": 2, "loop": "asyncio"}
    uvicorn.Server(uvicorn.Config(application, **told, **quiet)).run(sockets)
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
    if options.run is check:
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


if __name__ == "__main__":
    # Small frames by the thousand: a second thread costs more in hand-overs than it saves, and the box has two cores.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    # Grouping a thousand rows takes a quarter of the time when they are not dealt out to workers first.
    os.environ.setdefault("POLARS_NO_PARTITION", "1")
    sys.exit(main())
