"""`Proxy`: the whole proxy inside a test: it records, replays, or answers itself, on a free port."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import replace
from typing import Any, Unpack

from mockserver.config.settings import from_python
from mockserver.engine.engine import DEFAULT_PROJECT
from mockserver.testing.mock import Mock
from mockserver.testing.options import File, MockOptions, ScenarioSource
from mockserver.transport.control_api import call_control
from mockserver.transport.server_thread import ServerThread, ready_value
from proxy.app import ProxyApp
from proxy.cassettes.file import save_text
from proxy.cassettes.matching import Miss
from proxy.mock import make_mock


class ProxyOptions(MockOptions, total=False):
    """Options of a `Proxy`, as on the command line but as Python values; those of a `Mock` are for its mock."""

    upstream: str | None
    upstream_api_key: str | None
    upstream_timeout: float | None
    cassette: File | Iterable[File] | None
    replay_speed: float | None
    match: str | Iterable[str] | None
    redact: str | Iterable[str] | None
    scenario: ScenarioSource | None


class Proxy:
    """A proxy; use it with `with`, `async with`, or call `close()`.

    `mode` is one of the command line's; without one it is `forward` with an upstream, else `replay` with a cassette,
    else `mock`. Environment variables are ignored. Raises SettingError for a cassette that can't be used.
    """

    def __init__(self, *, mode: str | None = None, **options: Unpack[ProxyOptions]) -> None:
        if mode is None and options.get("cassette") is not None and options.get("upstream") is None:
            mode = "replay"
        # a guest in a test's process tells nothing of requests: the test's report does
        settings = replace(from_python({**options, "mode": mode}, "Proxy"), log_level="warning")
        self.mode = settings.default_mode
        self._mock = make_mock(settings)
        self._app = ProxyApp(self._mock, settings)
        self._served: ServerThread | None = ServerThread(self._app, settings, self._app.close)
        self.url = f"http://127.0.0.1:{self._served.port}"

    @property
    def base_url(self) -> str:
        """The base URL for a client."""
        return f"{self.url}/v1"

    @property
    def misses(self) -> list[Miss]:
        """The requests that no recording answered, in order; `message` says what differs."""
        return [] if self._app.modes is None else self._app.modes.misses()

    @property
    def unused(self) -> list[str]:
        """The recordings that nobody asked for, in a line each."""
        return [] if self._app.modes is None else self._app.modes.unused()

    def drift(self) -> list[dict[str, Any]]:
        """What `/_mock/drift` says: where the mock would have answered differently."""
        self._settle()
        return [] if self._app.modes is None else self._app.modes.drift()

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the mock's control API below `/_mock`; returns its JSON, raises MockError when it refuses."""
        self._settle()
        return call_control(self._mock.engine, DEFAULT_PROJECT, method, path, body)

    def save_journal(self, path: File, *, redact: Iterable[str] = ()) -> int:
        """Write what the mock answered to a cassette; returns how many exchanges that are."""
        self._settle()
        return save_journal(self, path, redact=redact)

    def _settle(self) -> None:
        """A client has its answer a moment before that is noted, recorded and compared; a test can be that quick."""
        if self._served is not None:
            self._served.settle()

    def close(self) -> None:
        """Stop the server, write what is left; a second time does nothing."""
        served, self._served = self._served, None
        if served is not None:
            served.stop()
            self._mock.engine.close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def __aenter__(self) -> Awaitable[Proxy]:
        return ready_value(self)

    def __aexit__(self, *failure: object) -> Awaitable[None]:
        self.close()
        return ready_value(None)


def save_journal(mock: Mock | Proxy, path: File, *, redact: Iterable[str] = ()) -> int:
    """Write what a mock answered to a cassette, secrets hidden; returns how many exchanges that are.

    `redact` are regular expressions of what else must not be written. Raises CassetteError for a file that can't be
    written.
    """
    from proxy.journal_cassette import write_journal

    if isinstance(mock, Proxy):
        answers = mock._mock.engine.journal.answers(None)  # whatever keys its callers sent
    else:
        answers = mock._host.engine.journal.answers(mock._project)
    save_text(write_journal(answers, redact), path)
    return len(answers)
