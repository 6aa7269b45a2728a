"""Somebody at the door of a made-up town's board."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from pipelines.engine.people.saved_views import SavedViews
from pipelines.engine.people.shift import ShiftLog
from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.pages.conftest import Board

Client = httpx.AsyncClient


def at(town: FakeTown, door: Doorstep, does: Callable[[Client], Awaitable[Any]], prefix: str = "/") -> Any:
    """What somebody finds at the board of this town, with these people's accounts."""
    town.porter = door.porter
    town.shift = ShiftLog(door.path, door.line)  # type: ignore[arg-type]
    town.views = SavedViews(door.path, door.line)  # type: ignore[arg-type]

    async def visit() -> Any:
        async with Board(town, prefix) as client:
            door.porter._turn = asyncio.Lock()
            client.headers["origin"] = "http://board"
            return await does(client)

    return asyncio.run(visit())


def token_in(page: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page) or re.search(r'value="([^"]+)"[^>]*>Sign out', page)
    assert found, "no form token on the page"
    return found[1]
