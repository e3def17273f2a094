"""Answers without a socket: one transport for the clients of httpx and httpx2, sync and async, streams in time.

A request is answered by the same call as one that came over a socket, with the same status, headers and bytes; only
what belongs to a connection (`transfer-encoding`) is not there. The library is that of the request.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from itertools import chain
from types import ModuleType
from typing import Any

import anyio

from mockserver.transport.abort import Abort
from mockserver.transport.app import MockApp
from mockserver.transport.http import Answer, Call, Piece, pieces, query_pairs, within
from mockserver.transport.stamp import date
from mockserver.wire.errors import APIError, MockError


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
        """Answer a request of a sync client."""
        return self._answered(request, request.read())

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a request of an async client."""
        return self._answered(request, await request.aread())

    def __call__(self, request: Any) -> Any:
        """Answer a request whose body was read; the response can be read by either kind of client."""
        return self._answered(request, request.read())

    def _answered(self, request: Any, body: bytes) -> Any:
        if self._refusal is not None:
            raise MockError(self._refusal)
        call, refusal = _call(request), None
        try:
            call.body = within(body, self._app.engine.settings.max_body_bytes)
        except APIError as error:
            refusal = error
        answer, headers = self._app.answer(call, refusal)
        library = _library(_kind(request))
        stream = _stream_class(library)(answer, request, library)
        dated = [(b"date", date(int(time.time()))), *headers]
        return library.Response(answer.status, headers=dated, stream=stream, request=request, extensions=_EXTENSIONS)

    def close(self) -> None:
        """Do nothing: the mock outlives its clients."""

    async def aclose(self) -> None:
        """Do nothing: the mock outlives its clients."""

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    async def __aenter__(self) -> InProcess:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.aclose()


BROKEN_OFF = "peer closed connection without sending complete message body"
LONGEST_S = 1e6  # what nobody waits for
_EXTENSIONS = {"http_version": b"HTTP/1.1"}


class Delivery:
    """The body of an answer on its way; who closes it before its end has left, as one who closes a connection."""

    def __init__(self, answer: Answer, request: Any, library: ModuleType) -> None:
        self._answer, self._request, self._library = answer, request, library
        self._patience = (request.extensions.get("timeout") or {}).get("read")
        self._pieces = _body(answer, head=request.method == "HEAD")
        self._open = answer.later

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._next()) is not None:
            if isinstance(piece, Piece):
                yield piece.body
            else:
                time.sleep(self._wait(piece))
                self._check(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := self._next()) is not None:
            if isinstance(piece, Piece):
                yield piece.body
            else:
                await anyio.sleep(self._wait(piece))
                self._check(piece)

    def _next(self) -> Piece | float | None:
        """Return what comes next, None at the end; raises the client's own error where the connection breaks off."""
        try:
            piece = next(self._pieces, None)
        except Abort:
            self._open = False
            raise self._library.RemoteProtocolError(BROKEN_OFF, request=self._request) from None
        if isinstance(piece, Piece) and not piece.more:
            self._open = False
        return piece

    def _wait(self, seconds: float) -> float:
        return min(seconds, LONGEST_S if self._patience is None else self._patience)

    def _check(self, seconds: float) -> None:
        """Raise the client's own timeout when it would not have waited so long for the next bytes."""
        if self._wait(seconds) < seconds:
            self.close()
            raise self._library.ReadTimeout("The read operation timed out", request=self._request)

    def close(self) -> None:
        """Leave, unless all of it has been read."""
        if self._open:
            self._open = False
            self._answer.leave()

    async def aclose(self) -> None:
        """Leave, unless all of it has been read."""
        self.close()


def _body(answer: Answer, *, head: bool) -> Iterator[Piece | float]:
    if not answer.later:
        return iter((Piece(b"" if head else answer.body, more=False),))
    return chain((answer.delay,), pieces(answer)) if answer.delay else pieces(answer)


def _call(request: Any) -> Call:
    headers = {name.lower(): value for name, value in request.headers.raw}
    return Call(request.method, request.url.path, query_pairs(request.url.query), headers)


def _kind(request: object) -> type:
    return type(request)


@lru_cache(maxsize=64)
def _library(kind: type) -> ModuleType:
    """Return the library that a class of requests belongs to; a class derived from its own counts as well."""
    roots = (sys.modules[one.__module__.partition(".")[0]] for one in kind.__mro__)
    found = next((root for root in roots if hasattr(root, "SyncByteStream")), None)
    if found is None:
        raise TypeError(f"the mock's transport takes requests of httpx and httpx2, not of {kind.__module__}")
    return found


@lru_cache(maxsize=4)
def _stream_class(library: ModuleType) -> type:
    """Return the class of bodies that a library takes from its transports."""
    return type("Delivery", (Delivery, library.SyncByteStream, library.AsyncByteStream), {})
