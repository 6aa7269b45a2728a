"""The command line: every command with its arguments. It imports nothing that the supervisor would have to carry."""

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """The whole command line; `command` says which one was asked for, `serve` where none was."""
    whole = argparse.ArgumentParser(prog="app.py", description="Townboard, the operations board of a small town.")
    whole.add_argument("--town", type=Path, default=None, metavar="DIR", help="the town's folder (default: data/)")
    whole.set_defaults(command="serve", host="127.0.0.1", port=8050, prefix="/")
    commands = whole.add_subparsers(metavar="COMMAND", dest="command")
    _processes(commands)
    _rows(commands)
    _keys(commands)
    _upkeep(commands)
    return whole


def _add(commands: Commands, name: str, words: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=words, description=words)


def _processes(commands: Commands) -> None:
    for name, words in (
        ("serve", "run everything: sources, scheduled pipelines, web (the default)"),
        ("demo", "run everything for a simulated small town, to look at"),
        ("web", "run only the web process"),
        ("pages", "run only the process that makes pages and tables for the web process"),
    ):
        _listening(_add(commands, name, words))
    _add(commands, "line", "run only the line (sources and pipelines)")
    _add(commands, "compact", "move the journal into Parquet now (the line does it by itself)")
    _add(commands, "check", "read every setting and register and name every mistake; starts nothing")


def _listening(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument("--port", type=int, default=8050, help="port to listen on (default: %(default)s)")
    command.add_argument("--prefix", default="/", help="path under a reverse proxy, for example /town/")


def _rows(commands: Commands) -> None:
    words = "take quarantined rows in once more, after a mapping or register was mended"
    requeuing = _add(commands, "requeue", words)
    requeuing.add_argument("feed", nargs="?", help="only rows of this feed")
    requeuing.add_argument("--reason", help="only rows that were refused for this short reason")
    requeuing.add_argument("--since", help="only rows that came from then on, for example 2026-11-23T00:00:00Z")
    importing = _add(commands, "import", "land files by hand through a feed, as if they had come by it")
    importing.add_argument("feed")
    importing.add_argument("files", nargs="+", type=Path)
    exporting = _add(commands, "export", "write a table to a file")
    exporting.add_argument("table")
    exporting.add_argument("--from", dest="start")
    exporting.add_argument("--to", dest="end")
    exporting.add_argument("--ward")
    exporting.add_argument("--as-known-at", metavar="TIME", help="KPI values as they were published by this time")
    exporting.add_argument("--format", dest="form", default="csv", choices=["csv", "parquet", "xlsx", "json", "ndjson"])
    exporting.add_argument("-o", "--output", type=Path, required=True)
    reporting = _add(commands, "report", "write a report as PDF, with its figures as CSV beside it")
    reporting.add_argument("kind", choices=["council", "operations"])
    words = "2026-10 (council), 2026-11-22 (operations); the last if none"
    reporting.add_argument("--of", metavar="PERIOD", help=words)
    reporting.add_argument("--language", action="append", default=[], help="may be repeated (default: the town's)")
    reporting.add_argument("--ward", help="of this ward instead of the town")
    reporting.add_argument("--wards", action="store_true", help="besides, one for each ward")
    reporting.add_argument("-o", "--output", type=Path, required=True)


def _keys(commands: Commands) -> None:
    _token_commands(_add(commands, "token", "make, list and revoke the tokens of machines"))
    _user_commands(_add(commands, "user", "make, list and end the accounts of people"))


def _upkeep(commands: Commands) -> None:
    backing = _add(commands, "backup", "write the whole town into one archive, also while it runs")
    words = "town-2026-11-23.tar, or .tar.zst to have it smaller; without it, what [backup] of town.toml says"
    backing.add_argument("file", type=Path, nargs="?", help=words)
    restoring = _add(commands, "restore", "make the town of a backup in a new or empty folder")
    restoring.add_argument("file", type=Path)
    words = "bring the store of an earlier version to this one's layout, after a backup"
    upgrading = _add(commands, "upgrade", words)
    upgrading.add_argument("--check", action="store_true", help="only say what would be done")
    upgrading.add_argument("--keep", type=Path, metavar="FOLDER", help="where the backup from before goes")
    servicing = _add(commands, "install", "make Townboard a service of this computer (systemd); says each step")
    _listening(servicing)
    servicing.add_argument("--user", default="townboard", help="who runs it (default: %(default)s)")
    servicing.add_argument("--print", action="store_true", dest="show", help="print the unit and change nothing")
    servicing.add_argument("--remove", action="store_true", help="take the service away; the town stays")
    asking = _add(commands, "doctor", "is this installation sound? reads every file, plain words; starts nothing")
    asking.add_argument("--port", type=int, default=8050, help="the port of the board (default: %(default)s)")


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
