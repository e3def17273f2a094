"""The mock as a foreign server: the kit sees no control API of it, and a test may break its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockserver.config.settings import Settings
from mockserver.conformance.drivers import NOON, Answer, EngineDriver
from mockserver.engine.engine import Engine

Breaking = Callable[[str, str, Any], Answer | None]


class Foreign:
    """A driver whose server has no controls; `broken` may answer a call in the server's place."""

    controls = sockets = False

    def __init__(self, broken: Breaking = lambda method, path, body: None, *, model: str = "echo") -> None:
        self.behind = EngineDriver(Engine(Settings(clock=NOON, model=model)))
        self.broken = broken
        self.calls: list[tuple[str, str]] = []

    def __enter__(self) -> Foreign:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call the API."""
        self.calls.append((method, path))
        return self.broken(method, path, body) or self.behind.call(method, path, body, **query)

    def create_over_socket(self, body: Any) -> Answer:
        """Create a response over a WebSocket."""
        return self.behind.create_over_socket(body)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Refuse: a foreign server has no control API."""
        raise LookupError(f"{method} {path}")

    def new_project(self, name: str) -> Foreign:
        """The same, for it has no projects."""
        return self

    def close(self) -> None:
        """Close the engine."""
        self.behind.close()
