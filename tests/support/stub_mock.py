"""An app in the mock's place, for tests of what stands before it."""

from __future__ import annotations


class StubMock:
    """An app in the mock's place; it answers everything and remembers its life."""

    def __init__(self) -> None:
        self.life: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                self.life.append((await receive())["type"])
                await send({"type": f"lifespan.{kind}.complete"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": "mock"})
            await send({"type": "websocket.close"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
            await send({"type": "http.response.body", "body": b"mock"})
