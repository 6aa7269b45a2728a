"""The web application on a made-up town, asked in-process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from pipelines.engine.people import passwords
from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.glass.serve import plain_api


class Lifespan:
    """An ASGI app started and stopped as a server does, on the running loop."""

    def __init__(self, app: Any) -> None:
        import asyncio

        self.app, self.said = app, asyncio.Queue()
        self.heard: Any = asyncio.Queue()
        self.task: Any = None

    async def start(self) -> dict[str, Any]:
        import asyncio

        self.task = asyncio.create_task(
            self.app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, self.said.get, self.heard.put)
        )
        await self.said.put({"type": "lifespan.startup"})
        return await self.heard.get()

    async def stop(self) -> None:
        await self.said.put({"type": "lifespan.shutdown"})
        await self.heard.get()
        await self.task


@pytest.fixture
def town() -> FakeTown:
    made = FakeTown(water_points=60)
    made.beat(1000)
    return made


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doorstep]:
    """Accounts of people, with hashes that cost nothing."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    made = Doorstep(tmp_path)
    yield made
    made.close()


class Board:
    """The board of a town at a prefix, asked over HTTP without a network."""

    def __init__(self, town: FakeTown, prefix: str = "/") -> None:
        from components.web import build

        self.app = build(town, plain_api, prefix)  # type: ignore[arg-type]

    async def __aenter__(self) -> httpx.AsyncClient:
        self.life = Lifespan(self.app)
        self.started = await self.life.start()
        transport = httpx.ASGITransport(app=self.app)  # type: ignore[arg-type]
        self.client = httpx.AsyncClient(transport=transport, base_url="http://board")
        return self.client

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        await self.life.stop()
