"""Calls of the mock's app as its transports make them, and what the journal says of them."""

from __future__ import annotations

import json
from typing import Any

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.transport.app import MockApp
from tests.support.driving import NOON

PROJECT = "default"


class Caller:
    """An app that is called without a socket."""

    def __init__(self, **settings: Any) -> None:
        self.app = MockApp(Engine(Settings(**{"clock": NOON, **settings})))
        self.levers = self.app.engine.control

    def __call__(self, method: str, path: str, body: Any = None, /, **query: str) -> Any:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer, _ = self.app.answer(Call(method, path, raw, None, list(query.items())))
        return answer if answer.streamed else json.loads(answer.body or b"null")

    def create(self, input: Any = "hello", **fields: Any) -> Any:
        return self("POST", "/v1/responses", {"model": "gpt-4.1", "input": input, **fields})

    def journal(self, **query: Any) -> list[dict[str, Any]]:
        return self.levers.journal(PROJECT, **query)["data"]

    def last(self, **query: Any) -> dict[str, Any]:
        return self.journal(limit=1000, **query)[-1]
