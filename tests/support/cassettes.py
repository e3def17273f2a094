"""A proxy that records from an upstream or replays what was recorded, in this process, on real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from mockserver.config.settings import Settings
from mockserver.transport.app import MockApp, create_app
from proxy.app import ProxyApp
from tests.support.raw_upstream import serving
from tests.support.stub_mock import StubMock

NOON = 1_795_176_000.0


@contextmanager
def proxying(**options: Any) -> Iterator[tuple[ProxyApp, str]]:
    """A proxy with these settings; yields the app and the base URL for clients."""
    settings = Settings(**options)
    app = ProxyApp(StubMock(), settings)
    with serving(app, settings) as port:
        yield app, f"http://127.0.0.1:{port}/v1"


@contextmanager
def mock_upstream(**options: Any) -> Iterator[tuple[MockApp, str]]:
    """A mock in the place of the real API; yields its app and its base URL."""
    settings = Settings(**{"clock": NOON, **options})
    app = create_app(settings)
    with serving(app, settings) as port:
        yield app, f"http://127.0.0.1:{port}/v1"


@contextmanager
def recording(path: Any, **options: Any) -> Iterator[str]:
    """A proxy that records a mock's answers; yields its base URL."""
    with ExitStack() as stack:
        _, upstream = stack.enter_context(mock_upstream(**options))
        _, url = stack.enter_context(proxying(mode="record", upstream=upstream, cassette=(str(path),)))
        yield url


@contextmanager
def replaying(*paths: Any, **options: Any) -> Iterator[str]:
    """A proxy that replays cassettes; yields its base URL."""
    with proxying(mode="replay", cassette=tuple(map(str, paths)), **options) as (_, url):
        yield url
