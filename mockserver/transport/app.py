"""The mock's ASGI app: one call of the engine per request, errors as the API sends them, headers of every answer."""

from __future__ import annotations

import logging
import os
from hashlib import blake2b
from itertools import count
from threading import RLock

from starlette.types import Receive, Scope, Send

from mockserver.connections import Connection
from mockserver.engine import Engine
from mockserver.model import tokens
from mockserver.settings import SettingError, Settings
from mockserver.store.sqlite import StoreError
from mockserver.transport import limits
from mockserver.transport.control_api import control_handler
from mockserver.transport.guard import Refusal
from mockserver.transport.http import (
    Answer,
    Call,
    Disconnected,
    Headers,
    all_headers,
    error_answer,
    read_body,
    read_head,
    send_answer,
)
from mockserver.transport.routes import public_handler
from mockserver.transport.websocket import Socket
from mockserver.wire import errors, frames
from mockserver.wire.errors import APIError, MockError

log = logging.getLogger("understudy")

CONTROL_PREFIX = "/_mock/"
SOCKETS = "/v1/responses"


class MockApp:
    """An ASGI app over an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._served = count(1)
        self._lock = RLock()
        self._sockets: dict[str, set[Socket]] = {}
        # workers number their requests apart from each other
        self._worker = os.getpid() if engine.settings.workers > 1 else 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one WebSocket, or the life of the process."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._connect(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        tokens.load()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.engine.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a WebSocket in, or answer the upgrade with an error over HTTP. Spec: R4.1, X1, X2."""
        call = Call("GET", scope["path"], [], dict(scope["headers"]))
        await receive()
        try:
            if call.path != SOCKETS:
                raise errors.invalid_url(call.method, call.path)
            if self.engine.rules.websocket == "off":
                raise frames.switched_off()
            project = self.engine.project(call.header(b"authorization"), call.header(b"openai-project"))
            connection = Connection(self.engine, project)
        except (APIError, MockError) as error:
            await Refusal(error, self._headers(call, error))(scope, receive, send)
            return
        socket = Socket(connection, receive, send, shared=self.engine.settings.workers > 1)
        mine = self._sockets.setdefault(project, set())
        mine.add(socket)
        try:
            await socket.serve()
        finally:
            mine.discard(socket)
            if not mine:
                self._sockets.pop(project, None)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call, refusal = read_head(scope), None
        try:
            call.body = await read_body(receive, call.headers, self.engine.settings.max_body_bytes)
        except Disconnected:
            return
        except APIError as error:
            refusal = error
        answer, headers = self.answer(call, refusal)
        await send_answer(answer, headers, receive, send, head=call.method == "HEAD")

    def answer(self, call: Call, refusal: APIError | MockError | None = None) -> tuple[Answer, Headers]:
        """Return the answer to a call, or to one that was refused before it was read, and all headers of it.

        Nothing raises: what goes wrong is an answer. Any thread may call this.
        """
        control = call.path.startswith(CONTROL_PREFIX)
        with self._lock:
            answer, refusal = self._judged(call, refusal, control=control)
            common = [] if control else self._headers(call, refusal)
        if control:
            self.clock_moved(call.project)
        return answer, all_headers(answer, common)

    def _judged(
        self, call: Call, refusal: APIError | MockError | None, *, control: bool
    ) -> tuple[Answer, APIError | MockError | None]:
        if refusal is not None:
            return error_answer(refusal), refusal
        try:
            return self._answer(call, control=control), None
        except (APIError, MockError) as error:
            return error_answer(error), error
        except Exception:
            log.exception("a fault of the mock: %s %s", call.method, call.path)
            fault = MockError("The mock itself failed; its log has the traceback.", status=500)
            return error_answer(fault), fault

    def _answer(self, call: Call, *, control: bool) -> Answer:
        call.project = self.engine.project(call.header(b"authorization"), call.header(b"openai-project"))
        handler, call.parts = (control_handler if control else public_handler)(call)
        return handler(self.engine, call)

    def clock_moved(self, project: str) -> None:
        """Have the project's sockets look at its clock again; to be called where they are served."""
        for socket in self._sockets.get(project, ()):
            socket.clock_moved()

    def _headers(self, call: Call, refusal: APIError | MockError | None) -> Headers:
        """Return the headers of every answer of the public API. Spec: W15, W16."""
        name = f"{self.engine.settings.seed}/{self._worker}/{next(self._served)}".encode()
        headers = [(b"x-request-id", b"req_" + blake2b(name, digest_size=16).hexdigest().encode()), *_CONSTANT]
        headers.append(
            (b"openai-processing-ms", b"%d" % max(1, round(call.seconds * 1000))) if call.seconds else _AT_ONCE
        )
        size = len(call.body)
        headers += limits.of_request(call.model, size) if refusal is None else limits.of_error(refusal, size)
        return headers


_CONSTANT = ((b"openai-version", b"2020-10-01"), (b"openai-organization", b"understudy"))
_AT_ONCE = (b"openai-processing-ms", b"1")


def create_app(settings: Settings) -> MockApp:
    """Return the mock as an ASGI app; raises SettingError when the store can't be opened."""
    try:
        return MockApp(Engine(settings))
    except StoreError as error:
        raise SettingError(f"--store {settings.store}: {error}") from error
