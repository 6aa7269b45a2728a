"""What is logged, for people or for programs: one line each, repeats counted instead of told, secrets left out."""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

FORMS = ("plain", "json")
# The same words so often within a minute are told; further ones are counted.
OFTEN, WINDOW_S, MOST_KNOWN = 5, 60.0, 1000
# sd-daemon(3): systemd's journal reads how grave a line is from its beginning.
GRAVITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
HIDDEN, OURS = "[hidden]", "townboard"
SECRETS = (
    # What stands in addresses before the host: user and password.
    (re.compile(r"(\w+://)[^/\s@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)\b(bearer|basic|token)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (
        re.compile(r"(?i)((?:[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|apikey|cookie|authorization)"
                   r"|\b(?:pass|pwd|code|session|form_token))[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;)}]+"),
        rf"\1{HIDDEN}",
    ),
)  # fmt: skip


def configure(form: str, stream: TextIO | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Log in this form from now on, in this process."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(AsJson() if form == "json" else AsWords(to_journal="JOURNAL_STREAM" in environment))
    handler.addFilter(Repeats())
    handler.set_name(OURS)
    root = logging.getLogger()
    for before in [one for one in root.handlers if one.get_name() == OURS]:
        root.removeHandler(before)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    # The scheduler would warn of every run it skips while the one before still works; that is what it is for.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def without_secrets(words: str) -> str:
    """The words with what looks like a secret hidden: passwords in addresses, tokens, keys, cookies, codes."""
    for pattern, instead in SECRETS:
        words = pattern.sub(instead, words)
    return words


class AsWords(logging.Formatter):
    """A line for people; to systemd's journal without the time, which it knows, and with how grave it is."""

    def __init__(self, *, to_journal: bool) -> None:
        super().__init__("%(message)s" if to_journal else "%(asctime)s %(levelname)s %(message)s")
        self._to_journal = to_journal

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the lines of an error behind it."""
        words = without_secrets(super().format(record))
        mark = f"<{GRAVITY.get(record.levelno, 4)}>" if self._to_journal else ""
        return "\n".join(mark + line for line in words.splitlines()) if mark else words


class AsJson(logging.Formatter):
    """A line of JSON for programs that gather logs."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; an error's own lines are one text in it."""
        told = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "words": without_secrets(record.getMessage()),
            "source": record.name,
            "process": record.process,
        }
        if record.exc_info:
            told["error"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)


@dataclass
class _Said:
    since: float
    times: int = 0


class Repeats(logging.Filter):
    """Lets the same words through a few times a minute; the first line of the next minute says how often it was."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, int, str], _Said] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is told; `record` may be given a count of those that were not."""
        now, key = self._clock(), (record.name, record.levelno, str(record.msg))
        said = self._said.get(key)
        if said is None or now - said.since >= WINDOW_S:
            left_out = max(0, said.times - OFTEN) if said else 0
            if len(self._said) >= MOST_KNOWN:
                self._said.clear()
            self._said[key] = _Said(now, 1)
            if left_out:
                record.msg, record.args = f"{record.getMessage()} (and {left_out} times more before)", ()
            return True
        said.times += 1
        return said.times <= OFTEN
