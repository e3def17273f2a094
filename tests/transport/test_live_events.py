"""Live events of a served process: they come while they happen, and a server that stops ends them properly."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

import httpx
import pytest

from mockserver import Mock
from tests.support.examples import first_of
from tests.support.patience import PATIENCE_S
from tests.support.serving import FROZEN, Served, serving

PING = {"model": "gpt-4.1", "input": "ping"}


def names(lines: Iterator[str], count: int) -> list[str]:
    """The names of the next events."""
    return list(islice((line[7:] for line in lines if line.startswith("event: ")), count))


def listening(served: Served) -> AbstractContextManager[httpx.Response]:
    return httpx.stream("GET", f"{served.origin}/_mock/events", timeout=PATIENCE_S)


@pytest.mark.parametrize("workers", first_of([(), ("--workers", "2")]))
def test_a_server_that_stops_ends_the_stream(workers: Any, tmp_path: Any) -> None:
    store = ("--store", f"sqlite:///{tmp_path}/s.db") if workers else ()
    with (
        serving(*FROZEN, *workers, *store) as served,
        listening(served) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == ": understudy"
        stopping = threading.Thread(target=served.stop)
        stopping.start()
        assert list(lines) == [""]  # a body that was cut would raise
        stopping.join()
        assert "Cancel" not in served.logged()


def test_what_happens_is_told_while_it_happens() -> None:
    with serving(*FROZEN) as served, listening(served) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": understudy"
        assert create(served) == 200
        assert names(lines, 3) == ["exchange.began", "state", "exchange.ended"]
        served.control("POST", "/clock/advance", {"seconds": 1})
        assert names(lines, 1) == ["clock"]


def create(served: Served) -> int:
    return served.request("POST", "/v1/responses", PING).status


def test_a_mock_in_a_test_stops_while_somebody_listens() -> None:
    with Mock() as mock:
        client = httpx.Client(base_url=mock.url)
        stream = client.send(client.build_request("GET", "/_mock/events"), stream=True)
        lines = stream.iter_lines()
        assert next(lines) == ": understudy"
    with pytest.raises(httpx.TransportError):  # like every other connection to it
        list(lines)
    client.close()
