"""Which headers pass from one side to the other: all but those that belong to a single connection (RFC 9110 §7.6.1)."""

from __future__ import annotations

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
    )
)
FRAMING = frozenset((b"content-length",))  # whatever `Connection` says, a body keeps its length
OURS = frozenset((b"x-understudy-mode",))
CHUNKED = (b"transfer-encoding", b"chunked")


def for_upstream(headers: Iterable[tuple[bytes, bytes]], host: bytes, authorization: bytes | None) -> Headers:
    """Return the request's headers for the upstream, in order, with its `Host` and, if given, its `Authorization`.

    A body that came in chunks leaves in chunks; everything else is kept as sent.
    """
    headers = list(headers)
    dropped = _single_connection(headers)
    replaced = {b"host": host} if authorization is None else {b"host": host, b"authorization": authorization}
    sent: Headers = []
    missing = dict(replaced)
    chunked = False
    for name, value in headers:
        key = name.lower()
        if key in replaced:
            if key in missing:
                sent.append((name, missing.pop(key)))
        elif key == b"transfer-encoding":
            chunked = True
        elif key not in dropped and key not in OURS:
            sent.append((name, value))
    sent.extend(missing.items())
    return [*sent, CHUNKED] if chunked else sent


def for_client(headers: Iterable[tuple[bytes, bytes]], status: int) -> Headers:
    """Return the response's headers for the client, in order; its framing is the server's own.

    A 204 or 304 has no body, so the length that some servers send with it is dropped too.
    """
    headers = list(headers)
    dropped = _single_connection(headers)
    if status in (204, 304):
        dropped = dropped | {b"content-length"}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def first(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    """Return the value of the first header of that (lower case) name."""
    return next((value for name, value in headers if name.lower() == wanted), None)


def _single_connection(headers: Headers) -> frozenset[bytes]:
    named = [value for name, value in headers if name.lower() == b"connection"]
    if not named:
        return HOP_BY_HOP
    tokens = {token.strip().lower() for value in named for token in value.split(b",")}
    return HOP_BY_HOP | (tokens - FRAMING)
