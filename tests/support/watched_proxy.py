"""A proxy with the real mock behind it, whose journal, counts and control calls a test looks at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.sync.client import connect

from mockserver.config.settings import Settings
from mockserver.engine.event_hub import EventStream
from mockserver.transport.app import create_app
from mockserver.transport.control_api import call_control
from proxy.app import ProxyApp
from tests.support.patience import until
from tests.support.raw_upstream import serving

KEY = "sk-caller-1234567890abcdef"


class Watched:
    """A proxy with the real mock behind it, a client of it, and what its control API says."""

    def __init__(self, settings: Settings, port: int, engine: Any) -> None:
        self.engine, self.url = engine, f"http://127.0.0.1:{port}/v1"
        self.client = httpx.Client(base_url=self.url, trust_env=False, headers={"authorization": f"Bearer {KEY}"})
        self.project = engine.project(f"Bearer {KEY}", None) if not settings.api_key else ""

    def turn(self, text: str = "ping", **fields: Any) -> httpx.Response:
        return self.client.post("/responses", json={"model": "gpt-4.1", "input": text, **fields})

    def listen(self) -> EventStream:
        return self.engine.control.listen()

    def control(self, path: str) -> Any:
        return call_control(self.engine, self.project, "GET", path)

    def listed(self, count: int) -> list[dict[str, Any]]:
        """The summaries of the journal, once there are so many: a call is entered after its last byte has left."""
        assert until(lambda: len(self.control("/journal?view=summary")["data"]) >= count)
        listed: list[dict[str, Any]] = self.control("/journal?view=summary")["data"]
        assert len(listed) == count
        return listed

    def requests(self) -> dict[tuple[str, ...], int]:
        """How many calls were counted, by status and answerer."""
        call_control(self.engine, "", "GET", "/metrics")
        counted: dict[tuple[str, ...], int] = {}
        for (_, _, *labels), count in self.engine.journal.metrics.requests.items():
            counted[*labels,] = counted.get((*labels,), 0) + count
        return counted


@contextmanager
def watched(**options: Any) -> Iterator[Watched]:
    settings = Settings(**{"log_level": "warning", **options})
    mock = create_app(settings)
    with serving(ProxyApp(mock, settings), settings) as port:
        one = Watched(settings, port, mock.engine)
        with one.client:
            yield one


def ask_over_socket(proxy: Watched, *texts: str, lanes: bool = False) -> list[str]:
    """The types of the frames that end these turns."""
    ends: list[str] = []
    headers = {"authorization": f"Bearer {KEY}"}
    with connect(f"{proxy.url.replace('http', 'ws', 1)}/responses", additional_headers=headers, proxy=None) as socket:
        for number, text in enumerate(texts):
            lane = {"stream_id": f"lane{number}"} if lanes else {}
            frame = {"type": "response.create", "model": "gpt-4.1", "input": text, **lane}
            socket.send(json.dumps(frame))
        while len(ends) < len(texts):
            kind = json.loads(socket.recv(20))["type"]
            ends += [kind] if kind in ("response.completed", "error") else []
    return ends
