"""A server in a thread of somebody else's process: a free port of 127.0.0.1, an event loop of its own, a quick end.

It sets up no logging, handles no signals and leaves the garbage collector alone.
"""

# How it works. uvicorn's `run()` is for a program: it ends by a signal, looks ten times a second whether it should, and
# waits for open requests. Here the loop is ours: start up, tell the constructor, wait for `stop`, close.
#
# What must stay true:
# * The constructor returns when connections are accepted, so the first request of a test can't come too early.
# * `stop` waits for no stream. Connections are aborted like those of clients that leave, and the app's tasks are given
#   the time to notice, for they write turns (Spec: R9.20); a thread that lives on would hold the port and the store.
# * The listener is bound by the caller's thread, so a port that can't be had is an exception where it can be caught.

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from threading import Event, Thread
from typing import TypeVar

from starlette.types import ASGIApp

from mockserver.config.settings import Settings
from mockserver.transport.abort import AbortFilter
from mockserver.transport.tokenizer_thread import prepare_tokenizer

T = TypeVar("T")

PATIENCE_S = 10.0  # far more than it takes to start or to end


class _OwnAborts(AbortFilter):
    """Keeps out of the host's log what uvicorn reports about aborts of one server; its host may run others."""

    def __init__(self, thread: str) -> None:
        super().__init__()
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is shown."""
        return record.threadName != self._thread or super().filter(record)


class ServerThread:
    """An app that is served until `stop`; `at_end` is awaited in its loop before that ends."""

    def __init__(self, app: ASGIApp, settings: Settings, at_end: Callable[[], Awaitable[None]] | None = None) -> None:
        tokenizer = prepare_tokenizer()
        # not with the module: a `Mock` that serves clients in process never gets here
        import uvicorn

        from mockserver.transport.serve import bind, server_config

        self._server = uvicorn.Server(server_config(app, settings, guest=True))
        self._at_end = at_end
        self._listener = bind("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        self._ready = Event()
        self._thread = Thread(target=self._run, name=f"understudy:{self.port}", daemon=True)
        self._filter = _OwnAborts(self._thread.name)
        logging.getLogger("uvicorn.error").addFilter(self._filter)
        self._thread.start()
        if not self._ready.wait(PATIENCE_S):
            raise RuntimeError("the mock's server did not start; an error of its thread says why")
        tokenizer.join()  # a request that came before would read the ranks a second time

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server, config = self._server, self._server.config
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup([self._listener])
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()  # after `_loop` and `_stopped`, which `stop` uses from another thread
        await self._stopped.wait()
        await self._end()

    async def _end(self) -> None:
        """Close the connections as clients do that leave, and wait until the app has noticed."""
        for listening in self._server.servers:
            listening.close()
        self._listener.close()
        state = self._server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # `connection_lost` is called in the next round of the loop, and tells the app's tasks
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=PATIENCE_S / 2)
        if self._at_end is not None:
            await self._at_end()

    def settle(self) -> None:
        """Wait until the server has done what it has at hand: what follows on bytes that a client has read already."""
        if not self._thread.is_alive():
            return
        done, loop = Event(), self._loop
        # two rounds: a step that goes on in the first may leave work for the second
        loop.call_soon_threadsafe(loop.call_soon, loop.call_soon, done.set)
        done.wait(PATIENCE_S)

    def stop(self) -> None:
        """Serve no longer; open connections are cut."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(PATIENCE_S)
        logging.getLogger("uvicorn.error").removeFilter(self._filter)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not there on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def ready_value(value: T) -> T:
    """A value, for what must be awaited and takes no time."""
    return value
