"""Answers without a socket: one transport for the clients of httpx and httpx2, sync and async, streams in time.

A request is answered by the same call as one that came over a socket, with the same status, headers and bytes; only
what belongs to a connection (`transfer-encoding`) is not there. The library is that of the request.
"""

# How it works. A transport of httpx is an object with `handle_request` or `handle_async_request`; one of httpx2 is the
# same with other classes. OpenAI's client uses httpx up to 2.x and httpx2 from 3.x on, so either may be missing, and
# neither is imported here. The library of a request is found by its class; the class of bodies is built for it once.
#
# What must stay true:
# * The same bytes as over a socket: the answer comes from `MockApp.answer`, the body from `chunks`. A test that passes
#   in process must pass over HTTP.
# * Errors are those of the client's own library, raised where a socket would raise them: for a torn body while it is
#   read, for a timeout when the next bytes would come too late. The client's retries then work as over a socket.
# * A body that is closed before its end is a client that left. Spec: R9.20.
# * No event loop is asked for: a sync client sleeps, an async one sleeps with anyio, under asyncio or trio.

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

from mockserver.delivery.answer import Answer
from mockserver.delivery.events import Wait
from mockserver.journal.exchange import Call
from mockserver.transport.abort import Abort
from mockserver.transport.app import MockApp
from mockserver.transport.common_headers import date
from mockserver.transport.http import Chunk, chunks, query_pairs, whole_body, within
from mockserver.wire.errors.api import APIError, MockError


class InProcess:
    """What `httpx.Client`, `httpx.AsyncClient` and those of httpx2 take as their `transport`.

    Called with a request it is a side effect for mock routers such as respx.
    """

    def __init__(self, app: MockApp) -> None:
        self._app = app
        self._refusal: str | None = None

    def refuse(self, why: str) -> None:
        """Answer no more: whoever asks gets a MockError that says why."""
        self._refusal = why

    def handle_request(self, request: Any) -> Any:
        return self._answer(request, request.read())

    async def handle_async_request(self, request: Any) -> Any:
        return self._answer(request, await request.aread())

    def __call__(self, request: Any) -> Any:
        """Answer a request whose body was read; the response can be read by either kind of client."""
        return self._answer(request, request.read())

    def _answer(self, request: Any, body: bytes) -> Any:
        if self._refusal is not None:
            raise MockError(self._refusal)
        refused: APIError | None = None
        try:
            body = within(body, self._app.engine.settings.max_body_bytes)
        except APIError as error:
            body, refused = b"", error
        answer, headers = self._app.answer(_call(request, body), refused)
        library = _library(_kind(request))
        stream = _stream_class(library)(answer, request, library)
        dated = [(b"date", date(int(time.time()))), *headers]
        return library.Response(answer.status, headers=dated, stream=stream, request=request, extensions=_EXTENSIONS)

    def close(self) -> None:
        """Do nothing: the mock outlives its clients."""

    async def aclose(self) -> None:
        self.close()

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    async def __aenter__(self) -> InProcess:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.aclose()


# how h11 begins to say it, from which the libraries take their message over a socket
BROKEN_OFF = "peer closed connection without sending complete message body"
LONGEST_S = 1e6  # a stall is an infinite wait, which sleep() does not take
_EXTENSIONS = {"http_version": b"HTTP/1.1"}


class Delivery:
    """The body of an answer on its way; who closes it before its end has left, as one who closes a connection."""

    def __init__(self, answer: Answer, request: Any, library: ModuleType) -> None:
        self._answer, self._request, self._library = answer, request, library
        self._patience = (request.extensions.get("timeout") or {}).get("read")
        self._chunks = _chunks(answer, head=request.method == "HEAD")

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self._next()) is not None:
            if isinstance(chunk, Wait):
                time.sleep(self._cap(chunk.seconds))
                self._check(chunk.seconds)
            elif chunk.data:
                yield chunk.data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        import anyio  # which an async client has imported

        while (chunk := self._next()) is not None:
            if isinstance(chunk, Wait):
                await anyio.sleep(self._cap(chunk.seconds))
                self._check(chunk.seconds)
            elif chunk.data:
                yield chunk.data

    def _next(self) -> Chunk | Wait | None:
        """Return what comes next, None at the end; raises the client's own error where the connection breaks off."""
        try:
            return next(self._chunks, None)
        except Abort:
            raise self._library.RemoteProtocolError(BROKEN_OFF, request=self._request) from None
        except Exception:  # whatever has broken off, the exchange has an end
            self.close()
            raise

    def _cap(self, seconds: float) -> float:
        return min(seconds, LONGEST_S if self._patience is None else self._patience)

    def _check(self, seconds: float) -> None:
        """Raise the client's own timeout when it would not have waited so long for the next bytes."""
        if self._cap(seconds) < seconds:
            self.close()
            raise self._library.ReadTimeout("The read operation timed out", request=self._request)

    def close(self) -> None:
        """Leave, unless all of it has been read."""
        if self._answer.player is not None:
            self._answer.player.leave()

    async def aclose(self) -> None:
        self.close()


def _chunks(answer: Answer, *, head: bool) -> Iterator[Chunk | Wait]:
    if answer.player is None:
        return iter((Chunk(b"" if head else whole_body(answer), more=False),))
    return chunks(answer)


def _call(request: Any, body: bytes) -> Call:
    headers = {name.lower(): value for name, value in request.headers.raw}
    return Call(request.method, request.url.path, body, None, query_pairs(request.url.query), headers)


def _kind(request: object) -> type:
    return type(request)


@lru_cache(maxsize=64)
def _library(kind: type) -> ModuleType:
    """The library that a class of requests belongs to; a class derived from its own counts as well."""
    roots = (sys.modules[one.__module__.partition(".")[0]] for one in kind.__mro__)
    found = next((root for root in roots if hasattr(root, "SyncByteStream")), None)
    if found is None:
        raise TypeError(f"the mock's transport takes requests of httpx and httpx2, not of {kind.__module__}")
    return found


@lru_cache(maxsize=4)
def _stream_class(library: ModuleType) -> type:
    """The class of bodies that a library takes from its transports."""
    return type("Delivery", (Delivery, library.SyncByteStream, library.AsyncByteStream), {})
