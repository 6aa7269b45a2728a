"""Exports and reports that are written by themselves: each period once, by a niced child, and told of by mail."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pipelines.engine.calendar import last_whole
from pipelines.engine.delivery.desk import Delivery
from pipelines.engine.delivery.messages import Message
from pipelines.engine.errors import SourceDown
from pipelines.engine.exports import MANIFEST
from pipelines.engine.line import Line
from pipelines.engine.schedule import Job
from pipelines.engine.settings.outgoing import Outgoing
from pipelines.engine.supervise import beside, command

# What is late is in by then, for the most part; what comes later is among the corrections of the next report.
SETTLES = timedelta(hours=2)
LOOK_EVERY = timedelta(minutes=30)
LONGEST_S = 3600
# Mail servers take about so much; of larger files the mail says where they lie.
MOST_ATTACHED = 10 << 20
# How many letters of a subject a text message takes.
SHORT = 160

Run = Callable[[Sequence[str]], None]


def jobs(line: Line, clock: Callable[[], datetime], desk: Delivery | None) -> list[Job]:
    """A job for each export and report that the town has declared."""

    def work(plan: Outgoing) -> Callable[[], int | None]:
        return lambda: Writing(line, plan, desk, child(line.settings.folder)).due(clock())

    return [
        Job(f"{shown_kind(plan)} {plan.name}", LOOK_EVERY, _why(plan), work(plan), timedelta(minutes=3))
        for plan in line.settings.outgoing
    ]


def shown_kind(plan: Outgoing) -> str:
    """export or report."""
    return "export" if plan.kind == "export" else "report"


def _why(plan: Outgoing) -> str:
    what = plan.table if plan.kind == "export" else f"the {plan.kind} report"
    return f"write {what} of each {plan.period} to {plan.to}"


def child(folder: Path) -> Run:
    """How a command of ours is run beside the line: it may use time that the line must not."""

    def run(arguments: Sequence[str]) -> None:
        done = beside([*command(folder, arguments[0]), *arguments[1:]], LONGEST_S)
        if done.returncode:
            raise SourceDown(done.stderr.strip()[-500:] or f"{arguments[0]} ended with {done.returncode}.")

    return run


class Writing:
    """One export or report at one look."""

    def __init__(self, line: Line, plan: Outgoing, desk: Delivery | None, run: Run) -> None:
        self._line, self._plan, self._desk, self._run = line, plan, desk, run
        self._key = f"outgoing {plan.name}"

    def due(self, now: datetime) -> int | None:
        """Write the last whole period unless that is done; gives the number of files, None when nothing was due.

        Raises SourceDown when the folder is absent or the child failed; it is tried again with the next look.
        """
        zone = self._line.settings.zone
        start, end = last_whole(self._plan.period, now - SETTLES, zone)
        if self._line.state.cursor(self._key).get("until") == end.isoformat():
            return None
        if not self._plan.to.is_dir():
            raise SourceDown(f"{self._plan.to} is not there, so nothing was written. Make the folder, or name another.")
        label = self._label(start)
        for arguments in self._arguments(start, end, label):
            self._run(arguments)
        files = self._files(label)
        self._tell(files, label, now)
        self._line.state.keep_cursor(self._key, {"until": end.isoformat()})
        self._rotate()
        return len(files)

    def _label(self, start: datetime) -> str:
        here = start.astimezone(ZoneInfo(self._line.settings.zone))
        return f"{here:%Y-%m}" if self._plan.period == "month" else f"{here:%Y-%m-%d}"

    def _arguments(self, start: datetime, end: datetime, label: str) -> list[list[str]]:
        plan, stem = self._plan, f"{self._plan.name}_{label}"
        if plan.kind == "export":
            ward = ["--ward", plan.ward] if plan.ward else []
            span = ["--from", f"{start:%Y-%m-%dT%H:%M:%SZ}", "--to", f"{end:%Y-%m-%dT%H:%M:%SZ}"]
            place = ["--format", plan.form, "-o", str(plan.to / f"{stem}.{plan.form}")]
            return [["export", plan.table, *span, *ward, *place]]
        wards = ["--wards"] if plan.wards else []
        spoken = [word for code in plan.languages for word in ("--language", code)]
        return [["report", plan.kind, "--of", label, *spoken, *wards, "-o", str(plan.to / f"{stem}.pdf")]]

    def _files(self, label: str) -> list[Path]:
        """What was written for a period."""
        return sorted(path for path in self._plan.to.glob(f"{self._plan.name}_{label}*") if path.is_file())

    def _tell(self, files: Sequence[Path], label: str, now: datetime) -> None:
        if not self._plan.tell or self._desk is None:
            return
        attached = [path for path in files if not path.name.endswith(MANIFEST)]
        small = sum(path.stat().st_size for path in attached) <= MOST_ATTACHED
        lines = [f"{path.name} ({path.stat().st_size / 1e6:,.1f} MB)" for path in attached]
        place = "They are attached." if small else "They are too large for a mail."
        town = self._line.settings.name
        subject = f"{town}: {self._plan.name.replace('_', ' ')}, {label}"
        body = "\n".join([f"Townboard has written into {self._plan.to}:", "", *lines, "", place])
        message = Message(subject, body, subject[:SHORT])
        self._desk.hand_out(self._plan.tell, message, [str(path) for path in attached] if small else [], now)

    def _rotate(self) -> None:
        """Let go of the oldest periods beyond `keep`."""
        own = re.compile(rf"{self._plan.name}_(\d{{4}}-\d\d(?:-\d\d)?)\b")
        found: dict[str, list[Path]] = {}
        for path in self._plan.to.iterdir():
            if (match := own.match(path.name)) and path.is_file():
                found.setdefault(match[1], []).append(path)
        for label in sorted(found)[: -self._plan.keep]:
            for path in found[label]:
                path.unlink(missing_ok=True)
