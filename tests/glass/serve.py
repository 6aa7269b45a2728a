"""Serve the glass on a made-up town: `python -m tests.glass.serve 8050`, to look at the pages by eye."""

import asyncio
import sys
import time
from typing import Any

import uvicorn

from components.asgi import Receive, Scope, Send, answer
from components.web import build
from tests.glass.fake_town import FakeTown


async def plain_api(scope: Scope, receive: Receive, send: Send) -> None:
    """An API that answers its path: the glass only has to hand calls over."""
    await answer(scope, send, 200, scope["path"].encode(), [(b"content-type", b"text/plain")])


async def _beats(town: FakeTown) -> None:
    seq = int(time.time() * 10)
    while True:
        seq += 1
        town.beat(seq, on_time_performance=70 + seq % 9)
        await asyncio.sleep(2)


async def main(port: int) -> None:
    town = FakeTown()
    town.beat(int(time.time() * 10) - 1)
    app: Any = build(town, plain_api)  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    beats = asyncio.create_task(_beats(town))
    await server.serve()
    beats.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8050))
