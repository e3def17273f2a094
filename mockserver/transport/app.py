"""The mock's ASGI app: one call of the engine per request, errors as the API sends them, headers of every answer."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import blake2b
from itertools import count
from threading import RLock, Thread

from starlette.types import Receive, Scope, Send

from mockserver.connections import Connection
from mockserver.control.journal import DELIVERED, telling
from mockserver.engine import Engine
from mockserver.model import tokens
from mockserver.settings import SettingError, Settings
from mockserver.store.sqlite import StoreError
from mockserver.transport import limits
from mockserver.transport.accounts import called, recorded
from mockserver.transport.control_api import control_handler
from mockserver.transport.damage import damaged
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
LOAD_AFTER_S = 0.05  # building the encoding holds the interpreter's lock: let a client that waits have its answer first


class MockApp:
    """An ASGI app over an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._served = count(1)
        self._lock = RLock()
        self._loop: asyncio.AbstractEventLoop
        self._sockets: dict[str, set[Socket]] = {}
        # workers number their requests apart from each other
        self._names = f"{engine.settings.seed}/{os.getpid() if engine.settings.workers > 1 else 0}".encode()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, one WebSocket, or the life of the process."""
        if scope["type"] == "http":
            return self._serve(scope, receive, send)
        if scope["type"] == "lifespan":
            return self._live(receive, send)
        return self._connect(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        tokens.prepare()
        await send({"type": "lifespan.startup.complete"})
        asyncio.get_running_loop().call_later(LOAD_AFTER_S, Thread(target=tokens.load, daemon=True).start)
        await receive()
        self.engine.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a WebSocket in, or answer the upgrade with an error over HTTP. Spec: R4.1, X1, X2."""
        call = Call("GET", scope["path"], [], dict(scope["headers"]))
        account = self.engine.logbook.account(call)
        call.transport, project = "websocket", ""
        await receive()
        try:
            if call.path != SOCKETS:
                raise errors.invalid_url(call.method, call.path)
            if self.engine.rules.websocket == "off":
                raise frames.switched_off()
            project = self.engine.project(call.header(b"authorization"), call.header(b"openai-project"))
            self.engine.hazards.strike_call(project, call, partial(called, call), named="GET")
            connection = Connection(self.engine, project, call.headers)
            account.exchange.ended = DELIVERED
            account.answered(project, 101)
        except (APIError, MockError) as error:
            account.exchange.ended = DELIVERED
            account.answered(project, error.status, error)
            await Refusal(error, self._headers(call, error))(scope, receive, send)
            return
        self._loop = asyncio.get_running_loop()
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
        if call.path.startswith(CONTROL_PREFIX):
            with self._lock:
                answer, _ = self._judged(call, refusal, self._control)
            self.clock_moved(call.project)
            return answer, all_headers(answer, [])
        with self._lock:
            account = self.engine.logbook.account(call)
            answer, refusal = telling(call, self._judged, call, refusal, self._public)
            answer = recorded(damaged(answer, call.effects), account)
            account.answered(call.project, answer.status, refusal)
            headers = self._headers(call, refusal)
            if refusal is not None and UNKNOWN in answer.body:
                answer.body = answer.body.replace(UNKNOWN, headers[0][1])
            return answer, all_headers(answer, headers)

    def controlled(self, call: Call) -> Answer:
        """Return the answer to a control call whose project is known; raises MockError. Any thread may call this."""
        with self._lock:
            answer = self._control(call)
        self.clock_moved(call.project)
        return answer

    def _judged(
        self, call: Call, refusal: APIError | MockError | None, handle: Callable[[Call], Answer]
    ) -> tuple[Answer, APIError | MockError | None]:
        try:
            call.project = self.engine.project(call.header(b"authorization"), call.header(b"openai-project"))
            if refusal is None:
                return handle(call), None
            return error_answer(refusal), refusal
        except (APIError, MockError) as error:
            return error_answer(error), error
        except Exception:
            log.exception("a fault of the mock: %s %s", call.method, call.path)
            fault = MockError("The mock itself failed; its log has the traceback.", status=500)
            return error_answer(fault), fault

    def _control(self, call: Call) -> Answer:
        handler, call.parts = control_handler(call)
        return handler(self.engine, call)

    def _public(self, call: Call) -> Answer:
        self.engine.hazards.strike_call(call.project, call, partial(called, call))
        handler, call.parts = public_handler(call)
        return handler(self.engine, call)

    def clock_moved(self, project: str) -> None:
        """Have the project's sockets look at its clock again."""
        for socket in tuple(self._sockets.get(project, ())):
            self._loop.call_soon_threadsafe(socket.clock_moved)

    def _headers(self, call: Call, refusal: APIError | MockError | None) -> Headers:
        """Return the headers of every answer of the public API. Spec: W15, W16."""
        name = b"%b/%d" % (self._names, next(self._served))
        headers = [(b"x-request-id", b"req_" + blake2b(name, digest_size=16).hexdigest().encode()), *_CONSTANT]
        headers.append((b"openai-processing-ms", b"%d" % max(1, round(call.lead * 1000))) if call.lead else _AT_ONCE)
        size = len(call.body)
        limited = limits.of_request(call.model, size) if refusal is None else limits.of_error(refusal, size)
        buckets = call.buckets
        headers += limits.with_buckets(limited, buckets.values()) if buckets else limited
        return headers


UNKNOWN = errors.UNKNOWN_REQUEST.encode()
_CONSTANT = ((b"openai-version", b"2020-10-01"), (b"openai-organization", b"understudy"))
_AT_ONCE = (b"openai-processing-ms", b"1")


def create_app(settings: Settings) -> MockApp:
    """Return the mock as an ASGI app; raises SettingError when the store can't be opened."""
    try:
        return MockApp(Engine(settings))
    except StoreError as error:
        raise SettingError(f"--store {settings.store}: {error}") from error
