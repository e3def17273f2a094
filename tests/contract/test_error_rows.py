"""The same fixtures over a socket: what the table promises is what a client reads. Spec: errors §1."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from tests.error_rows import CLOCK, Answer, Case, cases, run
from tests.support.serving import PATIENCE_S, Served, serving


class OverSocket:
    """A mock in another process."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, abandon: bool) -> Answer:
        """Send one request; `abandon` goes away once the server has begun to work on it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._served.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, dict(headers))
            if abandon:
                self._wait_until_begun(headers)
                return Answer(0, {}, b"")
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): one for name, one in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def _wait_until_begun(self, headers: Mapping[str, str]) -> None:
        """Ask for the number of waiting lines until the line that the abandoned request uses up is gone."""
        for _ in range(1000):
            answer = self.ask("POST", "/_mock/script", headers, b'{"lines": []}', abandon=False)
            if json.loads(answer.body)["queued"] == 0:
                return
        raise AssertionError("the server has not begun")


@pytest.fixture(scope="module")
def servers() -> Iterator[Any]:
    """One server per set of options, started when a case first asks for it."""
    with ExitStack() as stack:
        running: dict[str, OverSocket] = {}

        def server(options: Mapping[str, Any]) -> OverSocket:
            name = json.dumps(options)
            if name not in running:
                given = [f"--{key.replace('_', '-')}={one}" for key, many in options.items() for one in many]
                running[name] = OverSocket(stack.enter_context(serving("--clock", CLOCK, *given)))
            return running[name]

        yield server


def rows() -> Iterator[Any]:
    """Yield all cases; all but the first of each row are slow, as are servers with options: the room has them all."""
    known: set[str] = set()
    for case in cases():
        if not case.waits_for:
            is_first = case.row not in known and not case.settings
            known.add(case.row)
            yield pytest.param(case, id=case.id, marks=() if is_first else pytest.mark.slow)


@pytest.mark.parametrize("case", [*rows()])
def test_row(servers: Any, case: Case) -> None:
    run(case, servers(case.settings))
