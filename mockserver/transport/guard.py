"""Who may come in: no web page may spend the user's key through this process or read its control API.

A browser names the page that sends a request (`Origin`, `Sec-Fetch-Site`), and a name that was rebound to a loopback
address is still in `Host`. No CORS header is ever sent.
"""

# A process on this machine that holds a key of the user's is in reach of every web page the user opens. Three ways lead
# here, and each is closed by what browsers send by themselves and pages can't forge:
# * A page posts to http://127.0.0.1: its `Origin` is foreign (RFC 6454 §7), or `Sec-Fetch-Site` says cross-site where
#   no Origin is sent. Without CORS headers it could not read the answer, but the money would be spent.
# * A page's own name is bound to 127.0.0.1 after it was loaded (DNS rebinding). To the browser that is the same origin,
#   so only `Host` shows it: it must be loopback, the bound name, or one that --allow-host lets in.
# * A page opens a WebSocket. These know no same-origin policy and no CORS; checking the Origin is the server's business
#   (RFC 6455 §10.2), and stricter than for requests, since the page reads all that comes.
#
# What must stay true:
# * The guard stands before everything else, also before authentication and the proxy.
# * A header that can't be read is refused, and of a header that is sent twice each is judged.
# * Clients that are no browsers send no `Origin` and are let in, as long as they name the host.

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.config.settings import Settings
from mockserver.transport.http import BY_NAME
from mockserver.wire.errors.api import APIError, MockError

Headers = Collection[tuple[bytes, bytes]]

WILDCARDS = frozenset(("0.0.0.0", "::"))
JSON = (b"content-type", b"application/json")


def host_allowlist(settings: Settings) -> frozenset[str]:
    """The host names let in besides loopback: the bound host and those of `--allow-host`, lower case."""
    names = [_host_name(name) for name in settings.allow_host]
    return frozenset(name for name in (*names, _host_name(settings.host)) if name and name not in WILDCARDS)


def refusal(headers: Headers, hosts: frozenset[str], by_name: Mapping[bytes, bytes] | None = None) -> MockError | None:
    """Return why a request with these headers is refused, or None; header names are lower case, as in ASGI."""
    said = by_name or dict(headers)
    # as nearly all: no browser's, and no name comes twice, of which each would have to be judged
    of_page = b"origin" in said or b"sec-fetch-site" in said
    if not of_page and len(said) == len(headers) and _is_allowed(said.get(b"host", b""), hosts):
        return None
    named = False  # a request of HTTP/1.0 may have no Host; one of HTTP/1.1 has one (RFC 9112 §3.2)
    for name, value in [header for header in headers if header[0] in _TELLING]:
        if name == b"host":
            named = True
            if not _is_allowed(value, hosts):
                return _forbidden("Host", value, "--allow-host NAME lets a name in")
        elif name == b"origin" and not _is_allowed_origin(value.decode("latin-1"), hosts):
            return _forbidden("Origin", value, "web pages of other hosts can't use this server")
        elif name == b"sec-fetch-site" and value.strip().lower() == b"cross-site":
            return _forbidden("Sec-Fetch-Site", value, "web pages of other hosts can't use this server")
    return None if named else _forbidden("Host", b"", "a request must name its host")


_TELLING = frozenset((b"host", b"origin", b"sec-fetch-site"))


def page_refusal(headers: Headers, pages: frozenset[str]) -> MockError | None:
    """Return why a web page may not open a WebSocket, or None: what a socket says can be read by whoever opened it.

    A page may use the server that it comes from; those of the host names `pages` are let in too.
    """
    own = {value for name, value in headers if name == b"host"}
    for name, value in headers:
        page = value.partition(b"://")[2]
        if name == b"origin" and page not in own and _host_name(page.decode("latin-1")) not in pages:
            return _forbidden("Origin", value, "web pages of other servers can't open a WebSocket")
    return None


def _forbidden(header: str, value: bytes, hint: str) -> MockError:
    shown = value.decode("latin-1")[:100]
    return MockError(f"Refused: {header} is {shown!r}; {hint}.", status=403, param=header)


def _is_allowed_origin(origin: str, hosts: frozenset[str]) -> bool:
    scheme, separator, host = origin.strip().partition("://")
    return bool(separator) and scheme.lower() in ("http", "https") and _is_allowed(host.encode("latin-1"), hosts)


# The same few hosts come with every request; the limit is for those who send a new one each time.
@lru_cache(maxsize=256)
def _is_allowed(host: bytes, hosts: frozenset[str]) -> bool:
    name = _host_name(host.decode("latin-1").strip())
    return name in hosts or _loopback(name)


def _host_name(host: str) -> str:
    """The name or address of `name:port`, lower case, without brackets; empty when it is malformed."""
    if host.count(":") > 1 and not host.startswith("["):  # an IPv6 address as users write it
        host = f"[{host}]"
    try:
        parts = urlsplit("//" + host)
        # urlsplit drops what follows a slash, drops tabs, and takes what stands before an @ for a user
        well_formed = parts.netloc == host and "@" not in host and (parts.port is None or parts.port >= 0)
    except ValueError:
        return ""
    return (parts.hostname or "").removesuffix(".") if well_formed else ""


def _loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class ErrorApp:
    """An ASGI app that answers a request, or a WebSocket handshake, with an error."""

    def __init__(self, error: APIError | MockError, headers: Headers = ()) -> None:
        self._error = error
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._error
        kind = "http.response"
        if scope["type"] == "websocket":
            if "websocket.http.response" not in scope.get("extensions", {}):
                # a close frame has room for 123 bytes of reason (RFC 6455 §5.5)
                return await send({"type": "websocket.close", "code": 1008, "reason": error.message[:120]})
            kind = "websocket.http.response"
        body = error.body()
        extra = [(name.encode(), value.encode()) for name, value in error.headers.items()]
        headers = [JSON, (b"content-length", b"%d" % len(body)), *extra, *self._headers]
        await send({"type": f"{kind}.start", "status": error.status, "headers": headers})
        return await send({"type": f"{kind}.body", "body": b"" if scope.get("method") == "HEAD" else body})


class Guard:
    """An ASGI app that lets in only what `refusal` has nothing against; the rest gets 403 `mock_error`."""

    def __init__(self, app: ASGIApp, settings: Settings, answer: Callable[[MockError], ASGIApp] = ErrorApp) -> None:
        self._app = app
        self._answer = answer
        self._hosts = host_allowlist(settings)
        self._pages = frozenset(_host_name(name) for name in settings.allow_host)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        error = None if scope["type"] == "lifespan" else refusal(scope["headers"], self._hosts, scope.get(BY_NAME))
        if error is None and scope["type"] == "websocket":
            error = page_refusal(scope["headers"], self._pages)
        app = self._app if error is None else self._answer(error)
        return app(scope, receive, send)
