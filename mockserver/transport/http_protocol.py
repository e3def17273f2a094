"""The server's side of an HTTP connection: uvicorn's, with a response's head and first bytes in one write."""

# uvicorn writes a head as soon as it has one, so an ordinary answer is two system calls and two packets, of which the
# first says nothing yet. Here the head waits for the first piece of the body, and for no longer than the event loop
# takes to come round: of a response whose body is still to come (a relayed stream), the head is not held back.

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_JOINED = 65_536  # bytes of body; a larger one is not copied only to have its head in front of it


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol over httptools, whose responses begin with one write."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not cycle.waiting_for_100_continue:  # else the first write is no head
            cycle.transport = HeadJoiner(cycle, self.transport, self.loop)  # type: ignore[assignment]
        super()._start_asgi_task(cycle, app)


class HeadJoiner:
    """Stands for the transport of one response until its head is written; has what the response uses of one."""

    __slots__ = ("_cycle", "_head", "_loop", "_transport", "is_closing")

    def __init__(
        self, cycle: RequestResponseCycle, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._cycle, self._transport, self._loop = cycle, transport, loop
        self._head: bytes | None = None
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Hold the head; write it together with what comes next."""
        if self._head is None:
            self._head = data
            self._loop.call_soon(self._flush)
        elif len(data) <= MOST_JOINED:
            self._cycle.transport = self._transport
            self._transport.write(self._head + data)
        else:
            self._flush()
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection behind what was written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        """Write the head if it still waits."""
        if self._cycle.transport is self and self._head is not None:
            self._cycle.transport = self._transport
            self._transport.write(self._head)
