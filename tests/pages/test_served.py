"""The web process while it serves: what its start has made is no longer looked through."""

import asyncio
import gc

import uvicorn

from components.asgi import Receive, Scope, Send, answer
from components.served import Served
from pipelines.engine.garbage import GARBAGE_AFTER


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(scope, send, 200, b"hello", [])


def test_web_process_does_not_look_for_garbage_in_what_its_start_made() -> None:
    async def run() -> tuple[int, int, bool]:
        served = Served(uvicorn.Config(hello, port=0, lifespan="off", log_config=None))
        served.config.load()
        served.lifespan = served.config.lifespan_class(served.config)
        await served.startup()
        found = gc.get_freeze_count(), gc.get_threshold()[0], gc.isenabled()
        await served.shutdown()
        return found

    usual = gc.get_threshold()
    gc.disable()
    try:
        kept, after, is_looked_for = asyncio.run(run())
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
        gc.enable()
    assert kept > len(gc.get_objects()) / 2
    assert (after, is_looked_for) == (GARBAGE_AFTER, True)
