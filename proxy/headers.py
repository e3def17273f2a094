"""Which headers pass from one side to the other: all except those of a single connection (RFC 9110 §7.6.1)."""

# Headers travel as a list of pairs of bytes from end to end. A dict would lose what clients and servers can see: order,
# repeated names (Set-Cookie), the case of a response's names, bytes above 127. (The case of a request's names is lost
# before us: ASGI servers send them in lower case.)
#
# What must stay true:
# * What we don't know passes. An allow list would break the next header that OpenAI or an SDK adds.
# * A header is replaced at its place, never appended, so the upstream sees the order that the client chose.
# * The caller's key never leaves beside the one that replaces it: of several Authorization headers one is left.
# * Each side frames its own bodies: transfer-encoding is not passed, but "came in chunks" becomes "leaves in chunks",
#   because the length of such a body is unknown until its end. Content-Length passes whatever Connection says:
#   without it the rest of a body would be read as the next request.

from __future__ import annotations

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

# RFC 9110 §7.6.1, and what older software still sends: Proxy-Connection, Keep-Alive, and "Trailers", which is how
# RFC 2616 §13.5.1 spelled Trailer. Proxy-Authorization is for a proxy, and we are the last one that could be meant.
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
OURS = frozenset((b"x-understudy-mode",))  # an order to us; the upstream would not know it
CHUNKED = (b"transfer-encoding", b"chunked")


def for_upstream(headers: Iterable[tuple[bytes, bytes]], host: bytes, authorization: bytes | None) -> Headers:
    """The request's headers for the upstream, in order, with its `Host` and, if given, its `Authorization`.

    A body that came in chunks leaves in chunks; everything else is kept as sent.
    """
    headers = list(headers)
    dropped = _hop_by_hop_names(headers)
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
    """The response's headers for the client, in order; its framing is the server's own.

    A 204 or 304 has no body, so the length that some servers send with it is dropped too.
    """
    headers = list(headers)
    dropped = _hop_by_hop_names(headers)
    # uvicorn counts the body against this length, whatever the status, and closes the connection when it is short
    if status in (204, 304):
        dropped = dropped | {b"content-length"}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def first(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    """The value of the first header of that (lower case) name."""
    return next((value for name, value in headers if name.lower() == wanted), None)


def _hop_by_hop_names(headers: Headers) -> frozenset[bytes]:
    named = [value for name, value in headers if name.lower() == b"connection"]
    if not named:
        return HOP_BY_HOP
    # `Connection` names further headers that are for this connection alone
    tokens = {token.strip().lower() for value in named for token in value.split(b",")}
    return HOP_BY_HOP | (tokens - FRAMING)
