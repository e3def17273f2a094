"""Serving an ASGI app: the bound socket, the banner, logging, a quick graceful end.

The socket is bound here and not by uvicorn: a port in use is one line that names `--port`, port 0 is known before the
banner is printed, and workers inherit one socket.
"""

# The order in which a server starts, and why:
# 1. The app is made: a mistake in a scenario or a store costs a line and no port.
# 2. The port is bound: then its number is known, also where 0 was asked for.
# 3. The server accepts. Only now the banner is printed: who reads it and connects is served.
# 4. A signal ends it. Idle connections are closed, a turn in progress gets `GRACE_S`, then it is cut: a paced stream
#    may go on for minutes, and whoever presses Ctrl-C means now.
#
# What must stay true: mistakes of the user are a `SettingError` of one line that names the option; standard output has
# the banner and nothing else, for scripts read it; keys are never printed.

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from threading import Thread
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from mockserver.config.settings import SettingError, Settings
from mockserver.engine.telemetry import AccessLine
from mockserver.transport.guard import WILDCARDS
from mockserver.transport.tokenizer_thread import prepare_tokenizer
from mockserver.version import __version__

GRACE_S = 1  # Ctrl-C ends also while a stream is open: it may be a paced one that would go on for minutes
KEEP_ALIVE_S = 75  # longer than clients keep idle connections, so that none is closed under a request
BACKLOG = 2048
# On POSIX it lets a restart have the port of a second ago; on Windows it would let two processes have one port.
REUSE = os.name == "posix"


def serve(settings: Settings, make_app: Callable[[Settings], ASGIApp]) -> int:
    """Serve the app of these settings until a signal; returns the exit status, raises SettingError.

    The app is made before the port is bound: a mistake in a scenario or a store is told first. With several workers it
    is made here only to tell it.
    """
    tokenizer = prepare_tokenizer() if settings.workers == 1 else None
    app = make_app(settings)
    listener = bind(settings.host, settings.port)
    if tokenizer is not None:
        return _serve_here(app, settings, listener, tokenizer)
    # A worker is a new process (spawn). The settings travel to it pickled, as the argument of `make_app`, and not by
    # the environment: there they would become text and be read a second time, and keys could be seen.
    return _serve_workers(partial(make_app, settings), settings, listener)


def bind(host: str, port: int) -> socket.socket:
    """A bound TCP socket; raises SettingError that names the option to change."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingError(f"--host {host!r} is not an address of this machine") from None
    # `localhost` is 127.0.0.1 and ::1; the banner and most clients mean the first
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        if REUSE:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # `::` means both families everywhere
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingError(_bind_complaint(error, host, port)) from None
    listener.set_inheritable(True)  # Python's sockets are not, and workers are new processes
    return listener


def _bind_complaint(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; choose another with --port (0 picks a free one)"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has; choose another with --port"
    return f"--host {host} --port {port} can't be listened on: {error.strerror}"


def banner(settings: Settings, port: int) -> str:
    """Return what is printed once the port is bound: version and mode, the exports, where to look, how to stop."""
    origin = _origin(settings, port)
    return (
        f"understudy {__version__} · mode {settings.default_mode}\n"
        f"export OPENAI_BASE_URL={origin}/v1\n"
        f"export OPENAI_API_KEY={_key_to_export(settings)}\n"
        f"{origin}/_mock/\n"
        "Press Ctrl-C to stop."
    )


def _origin(settings: Settings, port: int) -> str:
    host = "127.0.0.1" if settings.host in WILDCARDS else settings.host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _key_to_export(settings: Settings) -> str:
    # a placeholder where a real key is needed: terminals are recorded, and shells keep a history
    if settings.api_key:
        return "YOUR_UNDERSTUDY_API_KEY"
    return "YOUR_API_KEY" if settings.default_mode == "forward" and not settings.upstream_api_key else "any"


def _announce(settings: Settings, listener: socket.socket) -> None:
    if not _is_loopback(listener.getsockname()[0]):
        print(
            f"warning: {settings.host} can be reached from other machines; anyone there can use this server"
            + ("" if settings.api_key else ", since no --api-key is set"),
            file=sys.stderr,
            flush=True,
        )
    port = listener.getsockname()[1]
    print(banner(settings, port), flush=True)
    if settings.open:
        open_viewer(f"{_origin(settings, port)}/_mock/")


def open_viewer(url: str) -> None:
    """Open the viewer in the user's browser, in a thread: a browser in a terminal would hold up the server."""
    import webbrowser

    Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


class Server(uvicorn.Server):
    """uvicorn's server, which waits for a thread that prepares something and calls back when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], preparing: Thread | None = None) -> None:
        super().__init__(config)
        self._ready, self._preparing = ready, preparing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._preparing is not None:
            self._preparing.join()  # nobody waits for this loop yet
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            spare_the_collector()
            self._ready()
            # The first connection needs it. Whoever reads the banner takes as long to connect, in another process.
            import mockserver.transport.http_protocol  # noqa: F401


def spare_the_collector() -> None:
    """Keep the garbage collector off what lives as long as the process, and let it look less often at the rest.

    A turn leaves next to no cycles behind, but a dozen objects that the collector would walk, each in memory that is
    cold by then. Most of them are in the journal, and gone before 100,000 others have come: with 20,000 a turn cost a
    tenth more. If the collector was off until now, only modules were imported: 1000 dead objects are not worth a walk
    of 40 ms.
    """
    if gc.isenabled():
        gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(100_000, 10, 20)


def _serve_here(app: ASGIApp, settings: Settings, listener: socket.socket, tokenizer: Thread) -> int:
    server = Server(server_config(app, settings), lambda: _announce(settings, listener), tokenizer)

    def stop(*_: object) -> None:  # the server handles signals itself while it runs and repeats them at its end
        if not server.started:
            raise SystemExit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        server.run([listener])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _serve_workers(factory: Callable[[], ASGIApp], settings: Settings, listener: socket.socket) -> int:
    # what is not needed by one process
    import secrets
    import tempfile

    from mockserver.transport.worker_links import MeetingPoint
    from mockserver.transport.workers import Workers, make_in_worker

    # announced before a worker is there: a connection waits in the backlog until the first one accepts
    with tempfile.TemporaryDirectory(prefix="understudy-") as directory:
        place = MeetingPoint(directory, secrets.token_bytes(32))
        config = server_config(partial(make_in_worker, factory, place), settings, factory=True)
        _announce(settings, listener)
        print(f"{settings.workers} workers of process {os.getpid()}: end that one, and they end", flush=True)
        Workers(config, sockets=[listener]).run()
    return 0


def server_config(
    app: ASGIApp | Callable[[], ASGIApp], settings: Settings, *, factory: bool = False, guest: bool = False
) -> uvicorn.Config:
    """The server's configuration; with `factory` the app is what a function without arguments returns.

    A guest in somebody else's process sets up no logging, and the app's life is not the server's.
    """
    return uvicorn.Config(
        app,
        factory=factory,
        interface="asgi3",  # otherwise guessed by looking into the app
        workers=settings.workers,
        loop="auto",  # uvloop where it is installed, asyncio's own on Windows
        # uvicorn only calls these two, for each connection and each upgrade
        http=cast("type[asyncio.Protocol]", partial(open_http, head_timeout_s=settings.head_timeout)),
        ws=cast("type[asyncio.Protocol]", open_websocket),
        ws_max_size=settings.max_body_bytes,  # a frame is a body: one limit for both
        lifespan="off" if guest else "on",
        log_config=None if guest else log_config(settings),
        access_log=False,  # the journal has it, with the secrets removed; a line of a log would show queries
        # No header of the server's own: `Date` is the app's, so that a forwarded response keeps the only one it has,
        # and nobody must take this process for the API behind it.
        server_header=False,
        date_header=False,
        proxy_headers=False,  # X-Forwarded-* of whoever calls says nothing that this server may believe
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def open_http(*given: Any, **more: Any) -> asyncio.Protocol:
    """The protocol of an HTTP connection, imported with the server; its parser is in C, h11's is pure Python."""
    from mockserver.transport.http_protocol import HttpProtocol

    return HttpProtocol(*given, **more)


def open_websocket(**given: Any) -> asyncio.Protocol:
    """The protocol of a WebSocket, whose modules are imported with the first one: they take 10 ms.

    It is the one that waits for a slow reader, and refuses in the app's own words, from uvicorn 0.53 on.
    """
    from mockserver.transport.websocket_protocol import WebSocketProtocol

    return WebSocketProtocol(**given)


class TextLines(logging.Formatter):
    """Formats each record as one line: time, level, logger, message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The local time of a record; that of a second is written once."""
        return f"{_second(int(record.created))},{int(record.msecs):03d}"


@lru_cache(maxsize=1)  # a busy server tells a thousand requests in the same second
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


class JsonLines(logging.Formatter):
    """Formats each record as one JSON object: time, level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if isinstance(record.msg, AccessLine):
            line |= record.msg._asdict()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_config(settings: Settings) -> dict[str, Any]:
    """The configuration of `logging`: one handler on standard error; the server's chatter shows keys."""
    level = settings.log_level.upper()
    server_level = level if settings.log_level in ("error", "critical") else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"aborts": {"()": "mockserver.transport.abort.AbortFilter"}},
        "formatters": {
            "text": {"()": "mockserver.transport.serve.TextLines"},
            "json": {"()": "mockserver.transport.serve.JsonLines"},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": settings.log_format, "filters": ["aborts"]}
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "understudy": {"level": level},
            "uvicorn": {"level": server_level},
            # what it says of lost connections, calls say too, and only once each
            "psycopg.pool": {"level": "CRITICAL"},
        },
    }
