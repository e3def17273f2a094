"""What running an app from the command line consists of; whole processes are in `test_proxy_cli`."""

from __future__ import annotations

import errno
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from mockserver.config.settings import SettingError, Settings
from mockserver.transport import serve as serving
from mockserver.transport import workers
from mockserver.transport.serve import JsonLines, _announce, banner, bind, log_config, serve, server_config
from tests.support.patience import until


def test_bind_picks_a_free_port() -> None:
    with bind("127.0.0.1", 0) as first, bind("localhost", 0) as second:
        assert 0 < first.getsockname()[1] != second.getsockname()[1] > 0


def test_bind_says_what_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingError, match=r"in use.*--port"):
        bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(SettingError, match="--host"):
        bind("no-such-host.invalid", 0)


@pytest.mark.parametrize(
    ("number", "complaint"),
    [
        (errno.EACCES, "port 80 needs more rights than this user has; choose another with --port"),
        (errno.EADDRNOTAVAIL, "--host 127.0.0.1 --port 80 can't be listened on: Cannot assign requested address"),
    ],
)
def test_bind_names_the_option_for_what_the_system_refuses(
    monkeypatch: pytest.MonkeyPatch, number: int, complaint: str
) -> None:
    class Refused(socket.socket):
        def bind(self, address: Any) -> None:
            raise OSError(number, "Cannot assign requested address")

    monkeypatch.setattr(serving.socket, "socket", Refused)
    with pytest.raises(SettingError) as caught:
        bind("127.0.0.1", 80)
    assert str(caught.value) == complaint


def test_bind_prefers_IPv4_and_leaves_it_to_others_where_a_host_is_IPv6(monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[Any] = []

    class Noted(socket.socket):
        def setsockopt(self, *option: Any) -> None:
            options.append(option)

        def bind(self, address: Any) -> None:
            options.append(address)

        def listen(self, backlog: int = 0) -> None: ...

    found = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in ADDRESSES]
    monkeypatch.setattr(serving.socket, "socket", Noted)
    monkeypatch.setattr(serving.socket, "getaddrinfo", lambda *_, **__: found)
    with bind("both", 0) as listener:
        assert (listener.family, options[-1]) == (socket.AF_INET, ("127.0.0.1", 0))
    del found[1]
    with bind("six", 0) as listener:
        assert listener.family == socket.AF_INET6
        assert options[-2:] == [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0), ("::1", 0, 0, 0)]


ADDRESSES = [(socket.AF_INET6, ("::1", 0, 0, 0)), (socket.AF_INET, ("127.0.0.1", 0))]


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("box.test", "box.test")])
def test_banner_names_an_address_that_works(host: str, shown: str) -> None:
    lines = banner(Settings(host=host), 99).split("\n")
    assert lines[1:] == [
        f"export OPENAI_BASE_URL=http://{shown}:99/v1",
        "export OPENAI_API_KEY=any",
        f"http://{shown}:99/_mock/",
        "Press Ctrl-C to stop.",
    ]


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"api_key": ("secret",)}, "YOUR_UNDERSTUDY_API_KEY"),
        ({"mode": "forward"}, "YOUR_API_KEY"),
        ({"mode": "forward", "upstream_api_key": "secret"}, "any"),
    ],
)
def test_banner_says_which_key_and_never_shows_one(settings: dict[str, Any], key: str) -> None:
    text = banner(Settings(**settings), 99)
    assert f"export OPENAI_API_KEY={key}\n" in text and "secret" not in text


def test_server_adds_no_header_of_its_own() -> None:
    config = server_config(lambda: None, Settings(), factory=True)  # type: ignore[arg-type, return-value]
    assert not config.server_header and not config.date_header and not config.access_log and config.factory


def test_log_config() -> None:
    config = log_config(Settings(log_level="debug", log_format="json"))
    assert config["loggers"]["understudy"]["level"] == "DEBUG"
    assert config["loggers"]["uvicorn"]["level"] == "WARNING", "below it, a socket's headers and frames are shown"
    assert log_config(Settings())["loggers"]["uvicorn"]["level"] == "WARNING"


def test_json_lines() -> None:
    try:
        raise ValueError("oh")
    except ValueError:
        info = sys.exc_info()
    line = json.loads(JsonLines().format(logging.LogRecord("a", logging.INFO, "", 1, "say %s", ("é\n",), info)))
    assert (line["logger"], line["level"], line["message"]) == ("a", "info", "say é\n")
    assert line["traceback"].endswith("ValueError: oh")


# --- A server from its start to its end ------------------------------------------------------------------------------


@pytest.fixture
def process() -> Iterator[None]:
    """Give back what a server changes in its process: signal handlers, loggers, the garbage collector."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    loggers = {name: logging.getLogger(name) for name in (None, "understudy", "uvicorn")}
    before = {name: (logger.level, list(logger.handlers)) for name, logger in loggers.items()}
    threshold = gc.get_threshold()
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for name, (level, own) in before.items():
        loggers[name].level, loggers[name].handlers = level, own
    gc.unfreeze()
    gc.set_threshold(*threshold)


class Lived:
    """An app that raises a signal when it is about to start, or once it serves; and keeps what it was told."""

    def __init__(self, number: signal.Signals, *, starts: bool = True) -> None:
        self.number, self.starts = number, starts
        self.heard: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        self.heard.append((await receive())["type"])
        os.kill(os.getpid(), self.number)
        await send({"type": "lifespan.startup.complete" if self.starts else "lifespan.startup.failed"})
        if self.starts:
            self.heard.append((await receive())["type"])
            await send({"type": "lifespan.shutdown.complete"})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("process")
def test_a_signal_while_it_starts_ends_it_in_order(capsys: pytest.CaptureFixture[str], number: signal.Signals) -> None:
    app = Lived(number)
    assert serve(Settings(port=0), lambda _: app) == 0  # type: ignore[arg-type, return-value]
    assert app.heard == ["lifespan.startup", "lifespan.shutdown"]
    assert capsys.readouterr().out == "", "what never served announces no address"


@pytest.mark.usefixtures("process")
def test_an_app_that_can_not_start_is_a_status_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with bind("127.0.0.1", 0) as listener:
        monkeypatch.setattr(serving, "bind", lambda *_: listener)
        assert serve(Settings(), lambda _: Lived(signal.SIGTERM, starts=False)) == 3  # type: ignore[arg-type, return-value]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("process")
def test_a_signal_before_the_server_runs_ends_the_process_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    with bind("127.0.0.1", 0) as listener:
        monkeypatch.setattr(serving, "bind", lambda *_: listener)
        monkeypatch.setattr(serving.Server, "run", lambda *_: signal.raise_signal(signal.SIGTERM))
        assert serve(Settings(), lambda _: Lived(signal.SIGTERM)) == 0  # type: ignore[arg-type, return-value]


@pytest.mark.usefixtures("process")
def test_it_announces_its_address_once_it_serves_and_warns_who_can_reach_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def spare() -> None:
        os.kill(os.getpid(), signal.SIGTERM)  # it serves now

    class Quiet(Lived):
        def __init__(self) -> None:
            super().__init__(signal.SIGTERM)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    monkeypatch.setattr(serving, "spare_the_collector", spare)
    for settings, warning in (
        (Settings(port=0), ""),
        (Settings(port=0, host="0.0.0.0"), "; anyone there can use this server, since no --api-key is set\n"),
        (Settings(port=0, host="0.0.0.0", api_key=("k",)), "; anyone there can use this server\n"),
    ):
        assert serve(settings, lambda _: Quiet()) == 0  # type: ignore[arg-type, return-value]
        said = capsys.readouterr()
        assert said.out.startswith("understudy ") and "export OPENAI_BASE_URL=http://127.0.0.1:" in said.out
        assert said.err.endswith(warning) and bool(said.err) is bool(warning)


@pytest.mark.usefixtures("process")
def test_the_collector_looks_away_from_what_stays() -> None:
    frozen = gc.get_freeze_count()
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        serving.spare_the_collector()
        assert gc.isenabled() and gc.get_threshold() == (100_000, 10, 20)
    assert gc.get_freeze_count() > frozen


def test_workers_get_the_settings_pickled_and_the_bound_socket(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Any] = []

    class Supervisor:
        def __init__(self, config: Any, sockets: list[socket.socket]) -> None:
            self.config, self.sockets = config, sockets

        def run(self) -> None:
            port = self.sockets[0].getsockname()[1]
            factory, place = self.config.app.args  # of a function that ends the worker with its parent
            assert os.stat(place.directory).st_mode & 0o077 == 0 and len(place.key) == 32
            started.append((factory.args, self.config.workers, self.config.factory, port))
            self.sockets[0].close()

    monkeypatch.setattr(workers, "Workers", Supervisor)
    monkeypatch.setattr(serving, "log_config", lambda settings: None)
    made: list[Settings] = []
    settings = Settings(port=0, workers=2)
    assert serve(settings, lambda told: made.append(told)) == 0  # type: ignore[arg-type, return-value, func-returns-value]
    ((arguments, number, factory, port),) = started
    assert (arguments, number, factory) == ((settings,), 2, True)
    assert made == [settings], "once in this process too, for its mistakes to be told"
    assert f":{port}/v1" in capsys.readouterr().out


@pytest.mark.parametrize("open_it", [True, False])
def test_the_viewer_is_opened_on_demand(monkeypatch: pytest.MonkeyPatch, open_it: bool) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with closing(bind("127.0.0.1", 0)) as listener:
        _announce(Settings(open=open_it), listener)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/_mock/"
    if open_it:
        assert until(lambda: opened)
    assert opened == [address] * open_it
