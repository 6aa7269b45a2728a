"""Attachments as they are kept: known by their content, within limits, drawn anew so that nothing is hidden in them."""

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.engine.filing.faults import Faulty

log = logging.getLogger("townboard")
MOST_FILES, MOST_BYTES = 3, 5 << 20
JPEG, PDF = "image/jpeg", "application/pdf"
ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 30.0


def is_taken(body: bytes) -> bool:
    """Whether the content begins as JPEG, PNG, WebP or PDF does; what the file is called counts for nothing."""
    webp = body.startswith(b"RIFF") and body[8:12] == b"WEBP"
    return webp or body.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"%PDF-"))


def redrawn(files: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """Media type and bytes of each attachment, drawn anew: no camera, place, script or second file is left in it.

    Raises Faulty: too many, too large, of another kind, not readable.
    """
    if len(files) > MOST_FILES:
        raise Faulty("picture", "too_many")
    for body in files:
        if len(body) > MOST_BYTES:
            raise Faulty("picture", "too_large")
        if not is_taken(body):
            raise Faulty("picture", "kind")
    return [(PDF if body.startswith(b"%PDF-") else JPEG, _drawn(body)) for body in files]


def _drawn(body: bytes) -> bytes:
    """What a child process makes of it: a picture that breaks its reader breaks nothing else."""
    command = [sys.executable, "-m", "pipelines.engine.filing.redraw"]
    try:
        done = subprocess.run(command, input=body, capture_output=True, cwd=ROOT, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Faulty("picture", "unreadable") from error
    if done.returncode or not done.stdout:
        log.info("an attachment could not be drawn: %s", done.stderr.decode("utf-8", "replace")[-200:])
        raise Faulty("picture", "unreadable")
    return done.stdout
