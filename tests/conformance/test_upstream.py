"""The mock behind a server: what its model saw is read off its journal, and its script is what the model says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mockserver.conformance.upstream import Upstream
from tests.support.serving import KEY, Served, serving


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


def test_the_newest_context_is_told_once(served: Served) -> None:
    upstream = Upstream(f"http://{KEY}@127.0.0.1:{served.port}/v1")
    upstream.newest_context()
    for text in ("one", "two"):
        served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": text, "instructions": "Be kind."})
    expected = {"echo": [{"type": "message", "role": "user", "text": "two"}], "instructions": "Be kind."}
    assert upstream.newest_context() == expected
    assert upstream.newest_context() is None
    served.request("GET", "/v1/models")
    assert upstream.newest_context() is None, "no turn"
    upstream.close()


def test_the_script_is_the_model_s(served: Served) -> None:
    upstream = Upstream(f"http://{KEY}@127.0.0.1:{served.port}")
    upstream.control("POST", "/script", {"lines": [{"reply": {"text": "scripted"}}]})
    told = served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "x"}).json
    assert told["output"][0]["content"][0]["text"] == "scripted"
    assert upstream.control("POST", "/reset", {"only": ["scenario"]}) is None
    upstream.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense"])
def test_an_upstream_that_does_not_answer_is_told(url: str) -> None:
    upstream = Upstream(url)
    assert upstream.key == "any"
    with pytest.raises(LookupError, match="GET /journal"):
        upstream.newest_context()
    upstream.close()


def test_an_upstream_that_refuses_is_told(served: Served) -> None:
    upstream = Upstream(f"http://{KEY}@127.0.0.1:{served.port}")
    with pytest.raises(LookupError, match="40"):
        upstream.control("POST", "/script", {"lines": 5})
    upstream.close()
