"""Where requests go upstream: the path below its base URL, its host, its key; and what is said when it is silent."""

from __future__ import annotations

import logging

import httpx
from starlette.types import Scope

from mockserver.settings import Settings
from mockserver.wire.errors import MockError

log = logging.getLogger("understudy.proxy")

API = b"/v1"
CONNECT_S = 10.0


class Target:
    """The upstream of these settings, which must have one."""

    def __init__(self, settings: Settings) -> None:
        if settings.upstream is None:
            raise ValueError("there is no upstream")
        self.base = httpx.URL(settings.upstream)
        self.host = self.base.netloc
        key = settings.upstream_api_key
        self.authorization = None if key is None else b"Bearer " + key.encode()
        self._prefix = self.base.raw_path.rstrip(b"/")

    def of(self, scope: Scope) -> bytes:
        """Return the request's target as it came, `/v1` replaced by the path of the upstream's URL."""
        path, query = scope["raw_path"], scope["query_string"]
        if path == API or path.startswith(API + b"/"):
            path = self._prefix + path[len(API) :] or b"/"
        return b"%b?%b" % (path, query) if query else path

    def unanswered(self, scope: Scope, failure: Exception) -> MockError:
        """Return the error for a request that got no answer, and log it."""
        slow = isinstance(failure, httpx.TimeoutException | TimeoutError)
        what = "did not answer in time" if slow else "gave no answer"
        origin = f"{self.base.scheme}://{self.host.decode('ascii')}"
        log.warning("upstream %s: %s: %s", what, line(scope), reason(failure))
        return MockError(f"The upstream {origin} {what}: {reason(failure)}.", status=504 if slow else 502)


def line(scope: Scope) -> str:
    """Return a request in one line of a log: without its query, which may hold secrets."""
    method = scope.get("method", "WebSocket")
    return f"{method} {scope['raw_path'].decode('latin-1')}"


def reason(failure: Exception) -> str:
    """Return what went wrong in one line."""
    return f"{type(failure).__name__}: {failure}".replace("\n", " ")[:300].rstrip(". ")
