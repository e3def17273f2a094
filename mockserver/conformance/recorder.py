"""A driver that notes every call with its answer, so that a failure can be told again as a script."""

from __future__ import annotations

from typing import Any, NamedTuple

from mockserver.conformance.drivers import Answer, Driver


class Exchange(NamedTuple):
    """A call and its answer."""

    method: str
    path: str
    body: Any
    query: dict[str, str]
    answer: Answer


class Recorder:
    """Another driver, whose calls are noted in `calls`; drivers of its projects note theirs there as well.

    `whole` is False once something was done that no script tells: frames of a WebSocket, a model that was held.
    """

    def __init__(self, driver: Driver, calls: list[Exchange] | None = None) -> None:
        self.driver = driver
        self.calls: list[Exchange] = [] if calls is None else calls
        self.whole = True

    def begin(self) -> None:
        """Forget the calls before."""
        self.calls.clear()
        self.whole = True

    @property
    def controls(self) -> bool:
        """Whether the server is the mock."""
        return self.driver.controls

    @property
    def sockets(self) -> bool:
        """Whether responses can be created over WebSockets."""
        return self.driver.sockets

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call the API, and note it."""
        answer = self.driver.call(method, path, body, **query)
        self.calls.append(Exchange(method, path, body, query, answer))
        return answer

    def create_over_socket(self, body: Any) -> Answer:
        """Create a response over a WebSocket; it is noted as the POST that says the same."""
        answer = self.driver.create_over_socket(body)
        self.calls.append(Exchange("POST", "/responses", body, {}, answer))
        return answer

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the mock's control API, which no script tells."""
        return self.driver.control(method, path, body)

    def new_project(self, name: str) -> Recorder:
        """A driver for another project, whose calls are noted in the same list."""
        own = self.driver.new_project(name)
        return self if own is self.driver else Recorder(own, self.calls)

    def close(self) -> None:
        """Close the connections."""
        self.driver.close()
