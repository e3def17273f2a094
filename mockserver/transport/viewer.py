"""The viewer's files under `/_mock/`, with headers that let the page do nothing but read and call this server.

`/_mock/` is the page for a browser and a text for others, `/_mock/viewer/…` are its files, `/_mock/README.md` is the
documentation that its empty state leads to.
"""

# How it works. Starlette's StaticFiles does the work (types, ETag, 304, HEAD, no way out of the folder); it is made
# with the first request for a file, because its module costs 10 ms of a start that most servers never need.
#
# What must stay true:
# * The page needs no key: the files are the same for everybody. What it reads needs one, where the server has keys.
# * Nothing is loaded from elsewhere and nothing inline runs, so a string that a client or a model has said can't act:
#   scripts and styles come from this server, and `require-trusted-types-for` refuses every assignment of HTML.
# * Whoever is no browser gets what it got before: the text of `welcome`.

from __future__ import annotations

from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

if TYPE_CHECKING:
    from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).resolve().parent.parent / "viewer"
README = FOLDER.parent / "README.md"
PAGE = "/_mock/"
FILES = "/_mock/viewer/"
MANUAL = "/_mock/README.md"
METHODS = frozenset(("GET", "HEAD"))
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),  # asked about each time, answered by 304: an upgrade is seen at once
)


class Viewer:
    """An ASGI app of the viewer's files; `covers` says which requests are its own."""

    @cached_property
    def _files(self) -> StaticFiles:
        from starlette.staticfiles import StaticFiles

        return StaticFiles(directory=FOLDER)

    @cached_property
    def _preloads(self) -> tuple[bytes, bytes]:
        """All modules, for a browser to fetch at once: they import each other three deep, a round trip each time."""
        names = sorted(path.name for path in FOLDER.glob("*.js"))
        return b"link", ", ".join(f"<viewer/{name}>; rel=modulepreload" for name in names).encode()

    @staticmethod
    def covers(scope: Scope) -> bool:
        """Whether a request is for the page or a file of it; a client that takes no HTML gets no page."""
        path = scope["path"]
        if scope["method"] not in METHODS:
            return False
        if path in ("/", "/_mock", PAGE):
            return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
        return bool(path.startswith(FILES) or path == MANUAL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that `covers` holds for: a redirect to the page, the page, or a file."""
        path = scope["path"]
        if path in ("/", "/_mock"):
            await _redirect(send)
            return
        if path == MANUAL:
            await _send_manual(scope, receive, _with_headers(send))
            return
        name = "index.html" if path == PAGE else path.removeprefix(FILES)
        if name.endswith((".py", ".pyc")):
            name = "-"  # a package's own files are no part of the page
        inner = {**scope, "path": f"/{name}", "root_path": ""}
        headers = (*HEADERS, self._preloads) if path == PAGE else HEADERS
        await _answer_file(self._files, inner, receive, _with_headers(send, headers))


async def _answer_file(files: StaticFiles, scope: Scope, receive: Receive, send: Send) -> None:
    """Have a file answered; StaticFiles raises what it can't answer, for a router that is not here."""
    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse

    try:
        await files(scope, receive, send)
    except HTTPException as error:
        await PlainTextResponse(error.detail, error.status_code)(scope, receive, send)


async def _redirect(send: Send) -> None:
    headers = [(b"location", PAGE.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": HTTPStatus.TEMPORARY_REDIRECT, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_manual(scope: Scope, receive: Receive, send: Send) -> None:
    from starlette.responses import FileResponse

    await FileResponse(README, media_type="text/plain; charset=utf-8")(scope, receive, send)


def _with_headers(send: Send, headers: tuple[tuple[bytes, bytes], ...] = HEADERS) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return send_with_headers
