"""Threads in which calls wait for a store on another machine, so that the event loop never does."""

# Why one call of a caller at a time: the store lets only one call of a project go on, on all machines. Without the
# queues here, a caller who sends many calls at once would fill all threads with calls that wait for each other, and
# the calls of others would wait behind them.
#
# Why the thread takes the caller's next call by itself: if the loop had to hand it out, a caller with many calls would
# wait twice for each of them, until the loop has noticed that the one is done and until a thread has noticed the next.

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

MOST_CALLS = 16  # at once; the store has a connection for each
MOST_LOOKS = 4  # of the control API, which must answer while all the others wait for a store that is gone
IN_A_ROW = 16  # calls of one caller, while others may wait for a thread


class _Work(NamedTuple):
    """Something to do, and who waits for what comes of it."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    work: Callable[[], Any]

    def perform(self) -> None:
        """Do it, unless nobody waits any more."""
        if self.future.cancelled():
            return
        try:
            result = self.work()
        except BaseException as error:
            self._hand_over(self.future.set_exception, error)
        else:
            self._hand_over(self.future.set_result, result)

    def _hand_over(self, put: Callable[[Any], None], outcome: Any) -> None:
        def put_if_awaited() -> None:
            if not self.future.done():
                put(outcome)

        with suppress(RuntimeError):  # the loop is closed: the server has ended
            self.loop.call_soon_threadsafe(put_if_awaited)


class WaitingThreads:
    """Runs what may wait: in the order in which it came, for each caller."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[_Work]] = {}  # of callers that have a thread, or will have one
        self._lock = Lock()
        self._calls = ThreadPoolExecutor(MOST_CALLS, "understudy-store")  # starts a thread only when it is needed
        self._looks = ThreadPoolExecutor(MOST_LOOKS, "understudy-control")

    async def run(self, caller: Hashable, work: Callable[..., T], *given: Any) -> T:
        """Return what `work` returns, after what the same caller asked for before."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        item = _Work(loop, future, partial(work, *given))
        with self._lock:
            queue = self._queues.get(caller)
            if queue is not None:
                queue.append(item)
            else:
                self._queues[caller] = deque((item,))
        if queue is None:
            self._calls.submit(self._work_off, caller)
        return await future

    def _work_off(self, caller: Hashable) -> None:
        """Do what a caller waits for; after a while others come first."""
        for _ in range(IN_A_ROW):
            with self._lock:
                queue = self._queues[caller]
                if not queue:
                    del self._queues[caller]
                    return
                item = queue.popleft()
            item.perform()
        self._calls.submit(self._work_off, caller)

    async def look(self, work: Callable[..., T], *given: Any) -> T:
        """Return what a control call returns; it waits for no call of the API."""
        return await asyncio.get_running_loop().run_in_executor(self._looks, partial(work, *given))
