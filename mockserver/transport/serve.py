"""Running an ASGI app from a command line: options, the bound socket, the banner, logging, a quick graceful end."""

from __future__ import annotations

import argparse
import errno
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from mockserver import __version__
from mockserver.settings import SETTINGS, SettingError, Settings, add_options, environment_of, load
from mockserver.transport.guard import WILDCARDS

USAGE_ERROR = 2
GRACE_S = 1
KEEP_ALIVE_S = 75  # longer than clients keep idle connections, so that none is closed under a request
REUSE = os.name == "posix"


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        self.exit(USAGE_ERROR, f"{self.prog}: error: {message}\n")


@dataclass(frozen=True, slots=True)
class Program:
    """A command that serves: its name, what `--help` says, and the app it makes of the settings.

    `factory_name` names a function without arguments, such as `package.module:function`, that makes the same app in
    a worker process from the environment alone. `proxy` adds the settings of the proxy.
    """

    name: str
    description: str
    factory: Callable[[Settings], ASGIApp]
    factory_name: str
    proxy: bool
    epilog: str | None = None

    def run(self, argv: Sequence[str] | None = None) -> int:
        """Parse the command line and serve until a signal; returns the exit status."""
        try:
            options = vars(self.parser().parse_args(argv))
            settings = load(options, self.environment())
            app = self.factory(settings)
            listener = bind(settings.host, settings.port)
        except SystemExit as stop:
            return int(stop.code or 0)
        except SettingError as error:
            print(f"{self.name}: error: {error}", file=sys.stderr)
            return USAGE_ERROR
        if settings.workers == 1:
            return _serve(app, settings, listener)
        os.environ.update(environment_of(options))
        return _serve_workers(self.factory_name, settings, listener)

    def parser(self) -> Parser:
        """Return the command line's parser."""
        parser = Parser(prog=self.name, description=self.description, epilog=self.epilog, allow_abbrev=False)
        parser.add_argument("--version", action="version", version=f"understudy {__version__}")
        add_options(parser, proxy=self.proxy)
        return parser

    def environment(self) -> dict[str, str]:
        """Return the environment as far as it concerns this program."""
        hidden = {row.variable for row in SETTINGS if row.proxy_only and not self.proxy}
        return {name: value for name, value in os.environ.items() if name not in hidden}


def bind(host: str, port: int) -> socket.socket:
    """Return a bound TCP socket; raises SettingError that names the option to change."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingError(f"--host {host!r} is not an address of this machine") from None
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        if REUSE:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise SettingError(_bind_complaint(error, host, port)) from None
    listener.set_inheritable(True)
    return listener


def _bind_complaint(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; choose another with --port (0 picks a free one)"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has; choose another with --port"
    return f"--host {host} --port {port} can't be listened on: {error.strerror}"


def banner(settings: Settings, port: int) -> str:
    """Return what is printed once the port is bound: version and mode, the exports, the viewer's address."""
    host = "127.0.0.1" if settings.host in WILDCARDS else settings.host
    origin = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return (
        f"understudy {__version__} · mode {settings.default_mode}\n"
        f"export OPENAI_BASE_URL={origin}/v1\n"
        f"export OPENAI_API_KEY={_key_to_export(settings)}\n"
        f"{origin}/_mock/"
    )


def _key_to_export(settings: Settings) -> str:
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
    print(banner(settings, listener.getsockname()[1]), flush=True)


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


class Server(uvicorn.Server):
    """uvicorn's server, which calls back when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept."""
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            spare_the_collector()
            self._ready()


def spare_the_collector() -> None:
    """Keep the garbage collector off what lives as long as the process, and let it look less often at the rest.

    A turn leaves next to no cycles behind, but hundreds of objects that the default thresholds would have it walk.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _serve(app: ASGIApp, settings: Settings, listener: socket.socket) -> int:
    server = Server(server_config(app, settings), lambda: _announce(settings, listener))

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


def _serve_workers(factory_name: str, settings: Settings, listener: socket.socket) -> int:
    config = server_config(factory_name, settings)
    _announce(settings, listener)
    Multiprocess(config, sockets=[listener]).run()
    return 0


def server_config(app: ASGIApp | str, settings: Settings, *, guest: bool = False) -> uvicorn.Config:
    """Return the server's configuration; a name instead of an app is a factory for worker processes.

    A guest in somebody else's process sets up no logging, and the app's life is not the server's.
    The server adds no header of its own: `Date` is the app's, so that a forwarded response keeps only its own.
    """
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        interface="asgi3",
        workers=settings.workers,
        loop="auto",
        http="httptools",
        ws="websockets-sansio",  # which waits for a slow reader, and refuses in the app's own words, from 0.53 on
        ws_max_size=settings.max_body_bytes,
        lifespan="off" if guest else "on",
        log_config=None if guest else log_config(settings),
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


class JsonLines(logging.Formatter):
    """Formats each record as one JSON object: time, level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration of `logging`: one handler on standard error; the server's chatter shows keys."""
    level = settings.log_level.upper()
    server_level = level if settings.log_level in ("error", "critical") else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"aborts": {"()": "mockserver.transport.abort.AbortFilter"}},
        "formatters": {
            "text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
            "json": {"()": "mockserver.transport.serve.JsonLines"},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": settings.log_format, "filters": ["aborts"]}
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"understudy": {"level": level}, "uvicorn": {"level": server_level}},
    }
