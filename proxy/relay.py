"""Forwarding, byte for byte: nothing is decoded, buffered or followed, and a torn answer stays torn."""

# Wait for the first bytes of the request's body; send the request upstream, the rest of its body as it comes; send the
# head of the answer as soon as it is there and each chunk as it comes. Nobody holds a whole body, both directions run
# at the same time, and whoever is slow makes the other side wait (the transport stops reading at http1.HIGH_WATER).
#
# What must stay true:
# * A torn answer never ends cleanly for the client: once the head is sent, a failure raises Abort, and the server
#   breaks the connection without the last chunk. Otherwise half an answer would pass for a whole one (Spec: S10).
# * Before the head is sent, a failure is a value: the MockError that `__call__` returns, which app.py answers with.
# * A client that leaves ends the upstream's request at once, also while nothing is sent: a model's answer costs money.
#   ASGI tells of it by `receive()` alone, and only one reader can wait there. So while the body comes, its reader
#   notices; after that a task waits (`Client._watch`) and cancels the relay's own task.
# * `served` is set before the last bytes are sent: the server calls a complete answer a disconnect too, and the watcher
#   must not cancel a relay that is done.
# * Nothing is repeated here, the client does that; upstream.py says when it sends a request twice.
# * Only a cancellation that the watcher caused ends here; one from elsewhere (the server stops) is passed on.

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

import httpx
from starlette.types import Message, Receive, Scope, Send

from mockserver.config.settings import Settings
from mockserver.transport.abort import Abort
from mockserver.transport.http import REASON
from mockserver.wire.errors.api import MockError
from proxy import headers
from proxy.cassettes.content import is_event_stream
from proxy.tape import LIMIT
from proxy.target import CONNECT_S, Target, describe_failure, describe_request
from proxy.upstream import WholeBody

if TYPE_CHECKING:
    from proxy.recorder import Recorder
    from proxy.tape import Tape

log = logging.getLogger("understudy.proxy")

# what a transport may raise; a mistake of ours is none of these and becomes a 500 with a traceback
FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)


class ClientGone(Exception):
    """The client closed its connection."""


class Client:
    """The request's side of a relay: its body, and whether it is still there."""

    def __init__(self, receive: Receive, tape: Tape | None) -> None:
        self._receive = receive
        self.tape = tape
        self.task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False
        self.served = False
        # what came of it, and when: times of the process's own clock, 0.0 where that has not come
        self.status, self.streams = 0, False
        self.started, self.first_bytes = perf_counter(), 0.0

    async def body(self) -> httpx.AsyncByteStream:
        """Wait for the first bytes of the body and return it; raises ClientGone."""
        message = await self._next_message()
        # most bodies come in one message: then the transport writes head and body at once, without a task
        if message.get("more_body", False):
            return StreamedBody(self, message)
        self._watch()
        return WholeBody(message.get("body", b""))

    async def remaining_body(self, message: Message) -> AsyncIterator[bytes]:
        """Yield the body from this message on; raises ClientGone."""
        yield message.get("body", b"")
        while message.get("more_body", False):
            message = await self._next_message()
            yield message.get("body", b"")
        self._watch()

    def stop_watching(self) -> None:
        """Stop waiting for the client to leave."""
        self.served = True
        if self._watcher is not None:
            self._watcher.cancel()
        # the watcher's frames and the task's know this client: what knows each other waits for the garbage collector
        self._watcher = self.task = None

    async def _next_message(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if self.tape is not None and (body := message.get("body")):
            self.tape.sent.add(monotonic(), body)
        return message

    def _watch(self) -> None:
        """Cancel the relay as soon as the client leaves: it may be waiting for the upstream."""
        if not self.served:
            self._watcher = asyncio.get_running_loop().create_task(self._cancel_when_gone())

    async def _cancel_when_gone(self) -> None:
        try:
            await self._next_message()
        except ClientGone:
            if not self.served and self.task is not None:
                self.gone = True
                self.task.cancel()


OnEnd = Callable[[Scope, Client], None]


class StreamedBody(httpx.AsyncByteStream):
    """A request body that is still coming."""

    def __init__(self, client: Client, message: Message) -> None:
        self._client = client
        self._message = message

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._client.remaining_body(self._message)


class Relay:
    """Sends requests to one upstream and its answers back.

    `on_end` is told of each request that has ended; a recorder keeps what passed.
    """

    def __init__(
        self,
        settings: Settings,
        target: Target,
        transport: httpx.AsyncBaseTransport,
        on_end: OnEnd | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._on_end = on_end
        self._recorder = recorder
        self._target = target
        self._transport = transport
        timeout = settings.upstream_timeout
        self._timeout = {"connect": min(CONNECT_S, timeout), "read": timeout, "write": timeout, "pool": None}
        # making a URL takes httpx 17 µs, a tenth of a whole forwarded request; most targets come again
        self._url = lru_cache(maxsize=1024)(self._make_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> MockError | None:
        """Relay one request; returns the error to answer with when the upstream gave no answer."""
        tape = None if self._recorder is None else self._recorder.begin(scope)
        client = Client(receive, tape)
        try:
            response = await self._transport.handle_async_request(self._make_request(scope, await client.body()))
            try:
                return await self._answer(scope, response, client, send)
            finally:
                # closes the connection unless the answer is complete, so the upstream learns that nobody reads on
                await response.stream.aclose()  # type: ignore[union-attr]
        except ClientGone:
            return None
        except asyncio.CancelledError:
            # uncancel() == 0: nobody else wanted this task to end (asyncio counts who asked)
            if client.gone and client.task is not None and client.task.uncancel() == 0:
                return None
            raise
        except FAILURES as failure:
            error = self._target.report_failure(scope, failure)
            client.status = error.status
            return error
        finally:
            client.stop_watching()
            if self._on_end is not None:
                self._on_end(scope, client)
            if self._recorder is not None and tape is not None:
                self._recorder.keep_soon(tape)

    async def _answer(self, scope: Scope, response: httpx.Response, client: Client, send: Send) -> MockError | None:
        status = response.status_code
        # not a status of RFC 9110 §15; servers and clients do different things with them
        if not 200 <= status <= 599:
            return self._target.report_failure(scope, httpx.RemoteProtocolError(f"status {status}"))
        answer_headers = headers.for_client(response.headers.raw, status)
        client.status, client.first_bytes = status, perf_counter()
        if client.tape is not None:
            client.tape.status, client.tape.headers = status, answer_headers
        scope.get("state", {})[REASON] = response.extensions.get("reason_phrase")
        await send({"type": "http.response.start", "status": status, "headers": answer_headers})
        # an answer to HEAD announces the length that a GET would get
        length = None if scope["method"] == "HEAD" else headers.first(answer_headers, b"content-length")
        client.streams = length is None and is_event_stream(answer_headers)
        await self._pass_body(scope, response, client, send, -1 if length is None else int(length))
        return None

    async def _pass_body(self, scope: Scope, response: httpx.Response, client: Client, send: Send, length: int) -> None:
        """Send each chunk as it comes; `length` is -1 when only the end of the body tells it. Raises Abort."""
        count, tape = 0, client.tape
        chunks = None
        if tape is not None:  # what `Chunks.add` does, without a call for each chunk
            chunks = tape.chunks
            note_time, note_chunk = chunks.came.append, chunks.listed.append
        try:
            async for chunk in response.stream:  # type: ignore[union-attr]
                count += len(chunk)
                if chunks is not None:
                    note_time(monotonic())
                    note_chunk(chunk)
                    if count > LIMIT:
                        chunks.spill()
                # with a known length the last bytes end the answer: an ordinary JSON answer is two messages, not three
                client.served = count == length
                await send({"type": "http.response.body", "body": chunk, "more_body": not client.served})
            if count < length:
                raise httpx.RemoteProtocolError(f"{length} bytes were announced")
        except FAILURES as failure:
            request, what = describe_request(scope), describe_failure(failure)
            log.warning("upstream broke off after %d bytes: %s: %s", count, request, what)
            raise Abort from None
        if not client.served:
            client.served = True
            await send({"type": "http.response.body", "body": b""})
        if tape is not None:
            tape.complete = True

    def _make_request(self, scope: Scope, body: httpx.AsyncByteStream) -> httpx.Request:
        target = self._target.request_target(scope)
        return httpx.Request(
            scope["method"],
            self._url(target),
            headers=headers.for_upstream(scope["headers"], self._target.host, self._target.authorization),
            stream=body,
            extensions={"target": target, "timeout": self._timeout},
        )

    def _make_url(self, target: bytes) -> httpx.URL:
        try:
            return self._target.base.copy_with(raw_path=target)
        except httpx.InvalidURL:
            # httpx refuses some targets; the bytes in `extensions` go out, the URL only says whereto
            return self._target.base
