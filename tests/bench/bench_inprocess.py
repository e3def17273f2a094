"""Turns per second of `mock.transport()` against the same mock over a socket, by bare httpx and by OpenAI's client.

Everything is measured in one process, in rounds that take turns; over a socket, client and server share its
interpreter, as they do in a test. Run with `pytest -m bench tests/bench/bench_inprocess.py -s`, or as a script.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import httpx2
import pytest
from openai import OpenAI

from mockserver import Mock
from tests.bench.bench_relay import ROUNDS

TURNS = 150  # in a round
ASKED: dict[str, Any] = {"model": "gpt-4.1", "input": "ping"}
STREAMED = {**ASKED, "input": " ".join(["word"] * 40), "stream": True}
WAYS = ("socket", "in process")


def by_httpx(mock: Mock, way: str, open: ExitStack) -> dict[str, Callable[[], Any]]:
    """Return what asks for a turn with httpx."""
    transport = mock.transport() if way == "in process" else None
    client = open.enter_context(httpx.Client(base_url=mock.base_url, transport=transport, trust_env=False))
    return {
        "httpx, JSON": lambda: client.post("/responses", json=ASKED).content,
        "httpx, SSE": lambda: client.post("/responses", json=STREAMED).content,
    }


def by_openai(mock: Mock, way: str, open: ExitStack) -> dict[str, Callable[[], Any]]:
    """Return what asks for a turn with OpenAI's client."""
    transport = mock.transport() if way == "in process" else None
    http = httpx2.Client(transport=transport, trust_env=False)
    client = open.enter_context(OpenAI(base_url=mock.base_url, api_key="any", http_client=http))
    return {
        "openai, JSON": lambda: client.responses.create(**ASKED),
        "openai, SSE": lambda: list(client.responses.create(**STREAMED)),
    }


def rate(ask: Callable[[], Any]) -> float:
    """Return how many turns a second are answered."""
    begun = time.perf_counter()
    for _ in range(TURNS):
        ask()
    return TURNS / (time.perf_counter() - begun)


def measured() -> dict[str, dict[str, list[float]]]:
    """Return turns per second by kind of turn and way, one figure a round."""
    with Mock() as one, Mock() as other, ExitStack() as open:
        mocks = dict(zip(WAYS, (one, other), strict=True))
        asks = {way: {**by_httpx(mock, way, open), **by_openai(mock, way, open)} for way, mock in mocks.items()}
        kinds = list(asks["socket"])
        found: dict[str, dict[str, list[float]]] = {kind: {way: [] for way in WAYS} for kind in kinds}
        for _ in range(ROUNDS + 1):  # the first one warms up
            for mock in mocks.values():
                mock.reset()
            for kind in kinds:
                for way in WAYS:
                    found[kind][way].append(rate(asks[way][kind]))
    return {kind: {way: rates[1:] for way, rates in ways.items()} for kind, ways in found.items()}


@pytest.mark.bench
def test_in_process_is_faster_than_a_socket() -> None:
    print()
    for kind, ways in measured().items():
        socket, inside = (statistics.median(ways[way]) for way in WAYS)
        print(f"{kind:14} socket {socket:6.0f}/s · in process {inside:6.0f}/s · ratio {inside / socket:.2f}")
        assert inside > socket, kind


if __name__ == "__main__":
    test_in_process_is_faster_than_a_socket()
