"""A lock that threads get in turn, and what is begun and ended with it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, get_ident


class FairLock:
    """A lock that threads get in turn; the one that has it may take it again."""

    def __init__(self) -> None:
        self._next, self._lock = Lock(), Lock()
        self._owner = self._depth = 0

    def __enter__(self) -> None:
        me = get_ident()
        if self._owner != me:
            with self._next:  # whoever waits for the lock holds this: who has just had it comes after them
                self._lock.acquire()
            self._owner = me
        self._depth += 1

    def __exit__(self, *failure: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = 0
            self._lock.release()

    @property
    def is_taken(self) -> bool:
        """Whether some thread has it."""
        return self._depth > 0


class LockedWork:
    """What is begun and ended with a lock, once at a time; `end` is told how it went.

    One object serves all transactions of a store: a generator of `contextlib` takes twice as long.
    """

    def __init__(self, lock: FairLock, begin: Callable[[], None], end: Callable[[BaseException | None], None]) -> None:
        self._lock, self._begin, self._end = lock, begin, end

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            self._begin()
        except BaseException:
            self._lock.__exit__()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self._end(error)
        finally:
            self._lock.__exit__()
