"""What goes wrong with a store: it can't be opened, or not be used now."""

from __future__ import annotations

from mockserver.wire.errors.api import MockError


class StoreError(Exception):
    """A store that can't be opened; the message says which and why."""


class StoreUnavailable(MockError):
    """A store that can't be read or written now. Nothing was changed, and the same call may succeed later."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=503)
        self.headers = {"x-should-retry": "true"}
