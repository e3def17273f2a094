"""Threads in which calls wait for a store on another machine, so that the event loop never does."""

# Why one call of a caller at a time: the store lets only one call of a project go on, on all machines. Without the
# queue here, a caller who sends many calls at once would fill all threads with calls that wait for each other, and
# the calls of others would wait behind them.

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

MOST_CALLS = 16  # at once; the store has a connection for each
MOST_LOOKS = 4  # of the control API, which must answer while all the others wait for a store that is gone


class WaitingThreads:
    """Runs what may wait: in the order in which it came, for each caller."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        self._calls = ThreadPoolExecutor(MOST_CALLS, "understudy-store")  # starts a thread only when it is needed
        self._looks = ThreadPoolExecutor(MOST_LOOKS, "understudy-control")

    async def run(self, caller: Hashable, work: Callable[..., T], *given: Any) -> T:
        """Return what `work` returns, after what the same caller asked for before."""
        turn = self._turns.get(caller)
        if turn is None:
            turn = self._turns[caller] = asyncio.Lock()
        async with turn:
            return await asyncio.get_running_loop().run_in_executor(self._calls, partial(work, *given))

    async def look(self, work: Callable[..., T], *given: Any) -> T:
        """Return what a control call returns; it waits for no call of the API."""
        return await asyncio.get_running_loop().run_in_executor(self._looks, partial(work, *given))
