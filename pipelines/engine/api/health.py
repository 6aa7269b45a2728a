"""Liveness, and readiness with the reason in words."""

import errno
import os

from fastapi import APIRouter, Response

from pipelines.engine import disk
from pipelines.engine.api.access import Doorkeeper
from pipelines.engine.api.answers import answer
from pipelines.engine.api.problems import problem
from pipelines.engine.api.schemas import refusals
from pipelines.engine.errors import StoreError
from pipelines.engine.feeds import spoken
from pipelines.engine.line_client import told
from pipelines.engine.snapshot import Snapshot
from pipelines.engine.town import Town
from pipelines.engine.version import BUILD

OLDEST_S = 30.0
RETRY = {"Retry-After": "5"}


def age_s(town: Town, snapshot: Snapshot) -> float:
    """How old the newest board is."""
    return town.now().timestamp() - snapshot.built_us / 1_000_000


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """/healthz and /readyz."""
    router = APIRouter()

    @router.get("/healthz", summary="Whether this process answers")
    def healthz() -> Response:
        return answer({"alive": True, "build": BUILD})

    @router.get("/readyz", summary="Whether the board can be relied on", responses=refusals(503))
    def readyz() -> Response:
        words = _hindrance(town)
        if words:
            return problem(503, words, RETRY, ready=False)
        return answer({"ready": True, "reason": "The board is fresh and the store can be read.", "pushes": door.words})

    return router


def _hindrance(town: Town) -> str | None:
    """Why the board cannot be relied on."""
    snapshot = town.board()
    if snapshot is None:
        return "The board has never been published: the line has not run in this town. Start it: python app.py serve"
    age = age_s(town, snapshot)
    if age > OLDEST_S:
        from datetime import timedelta

        every = f"{town.settings.beat_s:g} seconds"
        return (
            f"The board was last published {spoken(timedelta(seconds=age))} ago (it should every {every}): "
            "the line does not run or hangs. Start it: python app.py serve"
        )
    try:
        town.rows("arrivals", town.now(), limit=1)
    except StoreError as error:
        return f"The store cannot be read: {error}"
    return _disk(town)


def _disk(town: Town) -> str | None:
    """Why nothing can be stored at the moment: what the disk says, and what it told the line last."""
    store = town.settings.store
    if os.statvfs(store).f_flag & os.ST_RDONLY:
        return f"Nothing can be stored: {disk.WORDS[errno.EROFS]}. Senders keep their rows meanwhile."
    line = told(town.settings)
    if line is not None and line["trouble"]:
        return f"Nothing can be stored: {line['trouble']}. Senders keep their rows meanwhile."
    if disk.room(store)[0] < disk.BALLAST_BYTES:
        return f"Nothing can be stored: {disk.WORDS[errno.ENOSPC]}. Senders keep their rows meanwhile."
    return None
