"""Scripted lines as a client meets them: over HTTP, through the control API."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.patience import until
from tests.support.raw_http import exchange, request
from tests.support.serving import PATIENCE_S, Served, serving

OK: dict[str, Any] = {"model": "gpt-4.1", "input": "hello"}


@pytest.fixture(scope="module")
def mock() -> Iterator[Served]:
    with serving("--seed", "7") as served:
        yield served


@pytest.mark.parametrize("stream", [False, True])
def test_a_scripted_text_is_cut_at_max_output_tokens(mock: Served, stream: bool) -> None:
    """Spec: R7.5, R7.6."""
    mock.control("POST", "/script", {"lines": [{"reply": {"text": "one two three four five six " * 20}}]})
    turn = {**OK, "max_output_tokens": 16, "stream": stream}
    answer = exchange(mock.port, request("POST", "/v1/responses", turn))
    assert (b"event: response.incomplete\n" in answer.body) is stream
    (response, *_) = mock.control("GET", "/responses")["data"]
    assert response["status"] == "incomplete" and response["completed_at"] is None
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["usage"]["output_tokens"] <= 16
    assert response["output"][-1]["status"] == "incomplete"


@pytest.mark.parametrize("stream", [False, True])
def test_the_second_of_two_requests_at_once_is_refused(mock: Served, stream: bool) -> None:
    """Spec: R2.12."""
    conversation = mock.request("POST", "/v1/conversations", {}).json["id"]
    turn = {**OK, "conversation": conversation, "stream": stream}
    slow = {"when": {"input_equals": "slow"}, "reply": {"text": "done"}, "pacing": {"first_token": 1}}
    mock.control("POST", "/script", {"lines": [slow]})
    refusals: list[Any] = []

    def refused() -> bool:
        second = mock.request("POST", "/v1/responses", {**turn, "input": "quick"})
        if second.status == 400:
            refusals.append(second.json["error"]["code"])
        return bool(refusals)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(exchange, mock.port, request("POST", "/v1/responses", {**turn, "input": "slow"}))
        assert until(refused)
        assert first.result(PATIENCE_S).status == 200
    assert refusals == ["conversation_locked"]
    items = mock.request("GET", f"/v1/conversations/{conversation}/items?limit=2").json["data"]
    assert [item["content"][0]["text"] for item in items] == ["done", "slow"]
    assert mock.request("POST", "/v1/responses", turn).status == 200


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        ({"code": "rate_limit_exceeded"}, 429, None, "rate_limit_exceeded"),
        ({"code": "server_is_overloaded"}, 503, "service_unavailable_error", "server_is_overloaded"),
        ({"status": 418, "type": "teapot", "code": "short", "message": "Stout."}, 418, "teapot", "short"),
    ],
)
def test_a_scripted_error(mock: Served, error: dict[str, Any], status: int, kind: str | None, code: str) -> None:
    before = mock.control("GET", "/responses")
    mock.control("POST", "/script", {"lines": [{"reply": {"error": error}}]})
    answer = exchange(mock.port, request("POST", "/v1/responses", OK))
    found = answer.json["error"]
    assert (answer.status, found["code"]) == (status, code)
    assert kind is None or found["type"] == kind
    assert list(found) == ["message", "type", "param", "code"]
    assert mock.control("GET", "/responses") == before
    assert mock.request("POST", "/v1/responses", OK).status == 200


def test_a_bad_line_queues_none_of_its_call(mock: Served) -> None:
    lines = [{"reply": {"text": "never"}}, {"reply": {"text": "x", "bogus": 1}}]
    refused = mock.request("POST", "/_mock/script", {"lines": lines})
    assert refused.status == 400 and refused.json["error"]["type"] == "mock_error"
    answer = mock.request("POST", "/v1/responses", OK).json
    assert answer["output"][0]["content"][0]["text"] == "Mock reply to: hello [1 items in context]"


def test_lines_answer_in_order_and_as_often_as_they_say(mock: Served) -> None:
    lines = [{"reply": {"text": "twice"}, "times": 2}, {"reply": {"text": "once: {{ input_text }}"}}]
    assert mock.control("POST", "/script", {"lines": lines}) == {"queued": 2}
    said = [mock.request("POST", "/v1/responses", OK).json["output"][0]["content"][0]["text"] for _ in range(4)]
    assert said == ["twice", "twice", "once: hello", "Mock reply to: hello [1 items in context]"]


def test_a_reset_gives_the_same_ids_again(mock: Served) -> None:
    def ids() -> list[str]:
        mock.control("POST", "/reset", {}, key="again")
        mock.control("PUT", "/clock", {"now": "2026-11-20T12:00:00Z"}, key="again")
        return [mock.request("POST", "/v1/responses", OK, key="again").json["id"] for _ in range(3)]

    first = ids()
    assert len(set(first)) == 3 and ids() == first
