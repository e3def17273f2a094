"""Where requests go upstream: the path below its base URL, its host, its key; and the error for one without answer."""

# A target is bytes that came (`raw_path`, `query_string`) and bytes that leave: `/v1` at its beginning is replaced by
# the path of the upstream's URL, nothing else changes. It is never decoded, normalised or quoted again: `%2F` is
# not `/`, and what `%zz` or `/a/../b` means is for the upstream to say. `/v1beta` is another path than `/v1/beta`, so
# only a whole segment is replaced; a path outside `/v1` goes out as it came.
#
# What must stay true:
# * No answer is told as 502, too late as 504, both with `x-should-retry: false`: SDKs would repeat a 5xx twice, and
#   whether the upstream has already done (and billed) the work is unknown.
# * Neither log nor error shows a query or a header: both may hold keys. The origin and the path are enough to find it.

from __future__ import annotations

import logging

import httpx
from starlette.types import Scope

from mockserver.config.settings import Settings
from mockserver.wire.errors.api import MockError

log = logging.getLogger("understudy.proxy")

API = b"/v1"
# A model may think for ten minutes (--upstream-timeout); a connection that takes longer than this will not come.
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

    def request_target(self, scope: Scope) -> bytes:
        """The request's target as it came, `/v1` replaced by the path of the upstream's URL."""
        path, query = scope["raw_path"], scope["query_string"]
        if path == API or path.startswith(API + b"/"):
            path = self._prefix + path[len(API) :] or b"/"
        return b"%b?%b" % (path, query) if query else path

    def report_failure(self, scope: Scope, failure: Exception) -> MockError:
        """Log that a request got no answer; returns the error for the client."""
        # httpx's timeouts are no TimeoutError; the WebSocket side raises Python's own
        slow = isinstance(failure, httpx.TimeoutException | TimeoutError)
        what = "did not answer in time" if slow else "gave no answer"
        origin = f"{self.base.scheme}://{self.host.decode('ascii')}"
        log.warning("upstream %s: %s: %s", what, describe_request(scope), describe_failure(failure))
        return MockError(f"The upstream {origin} {what}: {describe_failure(failure)}.", status=504 if slow else 502)


def describe_request(scope: Scope) -> str:
    """A request in one line of a log: without its query, which may hold secrets."""
    method = scope.get("method", "WebSocket")
    return f"{method} {scope['raw_path'].decode('latin-1')}"


def describe_failure(failure: Exception) -> str:
    """Return what went wrong in one line."""
    return f"{type(failure).__name__}: {failure}".replace("\n", " ")[:300].rstrip(". ")
