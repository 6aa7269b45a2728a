"""uvicorn's server, which looks no more for garbage in what its start has made."""

import gc
import socket

import uvicorn

from pipelines.engine.garbage import keep_what_the_start_made


class Served(uvicorn.Server):
    """Serves; a look through all that Dash and the pages hold would keep every device waiting for an eighth second."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        keep_what_the_start_made()
        gc.enable()
