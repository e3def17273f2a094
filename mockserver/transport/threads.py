"""Threads for calls that may take long, so that others are answered meanwhile."""

# How it works. Most calls are answered on the event loop, in less time than it takes to wake a thread. One that may
# take long gets a thread, and while there is one in progress so does every other call of the same project, which may
# have to wait for it. Those of other projects stay on the loop: beside a thread that is busy, each step from thread to
# thread waits for the interpreter's lock again.
#
# What must stay true:
# * Python runs one thread at a time and gives the next one its turn after 1 ms, so each long call in progress makes
#   others slower: no more than `MOST_LONG` are.
# * One project never has all threads: its calls may have to wait for each other, those of others must not. So of its
#   long calls one that writes and one that reads are in progress: two would only take turns, each with its memory.

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")
Kind = Literal["write", "read", "short"]  # the first two may take long

MOST_THREADS, MOST_LONG = 16, 4
SWITCH_S = 0.001


class Threads:
    """The threads of one app, none of which is started before it is needed."""

    def __init__(self) -> None:
        self._long = ThreadPoolExecutor(MOST_LONG, "understudy_long")
        self._short = ThreadPoolExecutor(MOST_THREADS, "understudy")
        self.in_progress: Counter[Hashable] = Counter()  # project → its long calls
        self._places: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()
        self.knows_large = False  # whether something large may have been left behind, which small calls read

    async def run(self, work: Callable[[], T], kind: Kind, project: Hashable = None) -> T:
        """Return what a piece of work returns; that of one project waits where too much of its kind is in progress."""
        long = kind != "short"
        places = self._places.get((kind, project))
        if places is None:
            places = self._places[kind, project] = asyncio.Semaphore(1 if long else MOST_THREADS // 2)
        threads = self._long if long else self._short
        if long:
            self.in_progress[project] += 1
        try:
            async with places:
                return await asyncio.get_running_loop().run_in_executor(threads, work)
        finally:
            if long:
                self.in_progress[project] -= 1
                if not self.in_progress[project]:
                    del self.in_progress[project]

    def submit(self, work: Callable[[], object]) -> None:
        """Have something done at some time, for which nobody waits."""
        self._short.submit(work)

    def share_fairly(self) -> None:
        """Have the interpreter's threads take turns sooner; for a process that serves and nothing else."""
        sys.setswitchinterval(SWITCH_S)
