"""HEAD for every GET address: the same status and headers, no body, and no work for one."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """Answers HEAD by asking for GET and hanging up after the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def headers_only(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
            elif message.get("more_body"):
                raise OSError("the asker wanted the headers only")

        asked = {**scope, "method": "GET", "only_head": True, "asgi": {**scope.get("asgi", {}), "spec_version": "2.4"}}
        try:
            await self.app(asked, receive, headers_only)
        except (ClientDisconnect, OSError):
            return
