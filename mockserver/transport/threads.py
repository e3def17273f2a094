"""Threads for calls that may take long, so that others are answered meanwhile."""

# How it works. Most calls are answered on the event loop, in less time than it takes to wake a thread. One that may
# take long gets a thread, and while there is one in progress so does every other call, since it may have to wait for
# something that the long one holds.
#
# What must stay true:
# * Python runs one thread at a time and gives the next one its turn after 1 ms, so each long call in progress makes
#   others slower: no more than `MOST_LONG` are.
# * One caller never has all threads: calls of one project may have to wait for each other, those of others must not.

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

HEAVY = 65_536  # bytes of a body that may take long
SMALL = 16_384  # bytes of a body whose schemas take little time, if nothing in them makes much of little
MOST_THREADS, MOST_LONG = 16, 4
SWITCH_S = 0.001
# what lets a schema of a few bytes demand a large instance, or a long search
_LARGE_SCHEMAS = (b'"pattern', b'"$ref"', b'"minItems"', b'"minLength"', b'"minProperties"', b'"allOf"', b"\\u00")


def takes_long(body: bytes) -> bool:
    """Whether a body alone may take long to answer: it is large, or has a schema of which an instance may be."""
    if len(body) > HEAVY:
        return True
    if b'"schema"' not in body and b'"parameters"' not in body:
        return False
    return len(body) > SMALL or any(word in body for word in _LARGE_SCHEMAS)


class Threads:
    """The threads of one app, none of which is started before it is needed."""

    def __init__(self) -> None:
        self._long = ThreadPoolExecutor(MOST_LONG, "understudy_long")
        self._short = ThreadPoolExecutor(MOST_THREADS, "understudy")
        self._in_progress = 0
        self._places: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()
        self.knows_large = False  # whether something large may have been left behind, which small calls read

    @property
    def busy(self) -> bool:
        """Whether a long call is in progress."""
        return self._in_progress > 0

    async def run(self, work: Callable[[], T], *, long: bool, caller: Hashable = None) -> T:
        """Return what a piece of work returns; that of one caller waits where too much of it is in progress."""
        threads, most = (self._long, MOST_LONG // 2) if long else (self._short, MOST_THREADS // 2)
        places = self._places.get((long, caller))
        if places is None:
            places = self._places[long, caller] = asyncio.Semaphore(most)
        if long:
            self._in_progress += 1
        try:
            async with places:
                return await asyncio.get_running_loop().run_in_executor(threads, work)
        finally:
            if long:
                self._in_progress -= 1

    def share_fairly(self) -> None:
        """Have the interpreter's threads take turns sooner; for a process that serves and nothing else."""
        sys.setswitchinterval(SWITCH_S)
