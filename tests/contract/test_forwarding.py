"""A forwarding instance is a wire: what comes through it is what the upstream sent, byte for byte and when it sent it.

Two mocks in the same state get the same requests, one directly, one through the proxy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.raw_http import Answer, chunked, connect, exchange, head, parse, read_on, request
from tests.support.serving import FROZEN, Served, serving

MODEL = "gpt-4.1"
HELLO = {"model": MODEL, "input": "héllo 🙂"}
STREAM = {**HELLO, "stream": True}
UNKNOWN = "resp_" + "0" * 50


@pytest.fixture(scope="module")
def direct() -> Iterator[Served]:
    """A mock that is asked directly."""
    with serving(*FROZEN) as served:
        yield served


@pytest.fixture(scope="module")
def behind() -> Iterator[Served]:
    """A mock that is asked through the proxy."""
    with serving(*FROZEN) as served:
        yield served


@pytest.fixture(scope="module")
def through(behind: Served) -> Iterator[Served]:
    """The proxy."""
    with serving("--upstream", behind.base_url) as served:
        yield served


@pytest.fixture(scope="module")
def upstream() -> Iterator[Served]:
    """A mock for the tests that need no twin."""
    with serving(*FROZEN) as served:
        yield served


@pytest.fixture(scope="module")
def proxy(upstream: Served) -> Iterator[Served]:
    """The proxy before it."""
    with serving("--upstream", upstream.base_url) as served:
        yield served


def both(direct: Served, through: Served, data: bytes) -> Answer:
    """Ask both ways and return the answer, which must be one and the same."""
    plain, relayed = exchange(direct.port, data), exchange(through.port, data)
    assert relayed.status == plain.status
    assert relayed.body == plain.body
    assert relayed.end_to_end == plain.end_to_end
    assert plain.header("x-understudy-source") == "mock"
    return plain


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("POST", "/v1/responses", HELLO), 200),
        (request("POST", "/v1/responses", STREAM), 200),
        (request("POST", "/v1/responses", {"model": "gpt-5.5", "input": "think", "stream": True}), 200),
        (request("POST", "/v1/responses", {**HELLO, "previous_response_id": UNKNOWN}), 400),
        (request("POST", "/v1/responses", {**STREAM, "previous_response_id": UNKNOWN}), 400),
        (request("POST", "/v1/responses", {**HELLO, "bogus": 1}), 400),
        (request("POST", "/v1/responses", b"{broken"), 400),
        (request("POST", "/v1/responses/input_tokens", HELLO), 200),
        (request("POST", "/v1/conversations", {"metadata": {"a": "ü"}}), 200),
        (chunked("POST", "/v1/responses", json.dumps(HELLO).encode(), 7), 200),
        (request("GET", "/v1/models"), 200),
        (request("GET", f"/v1/responses/{UNKNOWN}?include%5B%5D=reasoning.encrypted_content"), 404),
        (request("GET", "/v1/responses/a%2Fb"), 404),
        (request("DELETE", f"/v1/responses/{UNKNOWN}", None, "content-type: application/json"), 404),
        (request("PUT", "/v1/responses", HELLO), 405),
        (request("GET", "/v1/conversations"), 405),
        (request("GET", "/v1/nothing/here"), 501),
    ],
)
def test_same_bytes(direct: Served, through: Served, data: bytes, status: int) -> None:
    answer = both(direct, through, data)
    assert answer.status == status and answer.body


def test_same_bytes_in_a_chain_of_requests(direct: Served, through: Served) -> None:
    first = both(direct, through, request("POST", "/v1/responses", HELLO)).json["id"]
    made = both(direct, through, request("POST", "/v1/conversations", {"items": [{"role": "user", "content": "a"}]}))
    turn = {**STREAM, "conversation": made.json["id"]}
    for data in (
        request("POST", "/v1/responses", {**STREAM, "previous_response_id": first}),
        request("GET", f"/v1/responses/{first}"),
        request("GET", f"/v1/responses/{first}?stream=true&starting_after=2"),
        request("GET", f"/v1/responses/{first}/input_items?limit=1&order=asc"),
        request("POST", "/v1/responses", turn),
        request("GET", f"/v1/conversations/{made.json['id']}/items?limit=2"),
        request("DELETE", f"/v1/responses/{first}"),
    ):
        assert both(direct, through, data).status == 200
    assert both(direct, through, request("GET", f"/v1/responses/{first}")).status == 404


def test_the_forwarding_instance_keeps_nothing(proxy: Served, upstream: Served) -> None:
    answer = exchange(proxy.port, request("POST", "/v1/responses", HELLO))
    assert answer.header("x-understudy-source") == "mock", "of the upstream, which is a mock"
    assert upstream.control("GET", "/responses")["data"][0]["id"] == answer.json["id"]
    assert proxy.control("GET", "/responses")["data"] == []


def test_first_event_arrives_before_the_upstream_has_finished(upstream: Served, proxy: Served) -> None:
    text = " ".join(["word"] * 40)
    upstream.control(
        "POST",
        "/script",
        {"lines": [{"reply": {"text": text}, "pacing": {"first_token": 0, "tokens_per_second": 20}}]},
    )
    with connect(proxy.port) as sock:
        sock.sendall(request("POST", "/v1/responses", STREAM))
        begun = read_on(sock, until=b"event: response.created\n")
        found = re.search(rb'"id":"(resp_\w+)"', begun)
        assert found and b"response.completed" not in begun
        stored = f"/v1/responses/{found[1].decode()}"
        # a synchronous response can be retrieved once it is finished (spec R9.21), and the clock stands still
        assert upstream.request("GET", stored).status == 404, "the upstream finished before the first event arrived"
        answer = parse(begun + read_on(sock))
    assert upstream.request("GET", stored).json["output"][0]["content"][0]["text"] == text
    events = answer.body.decode().split("\n\n")
    assert events[-1] == "" and events[-2].startswith("event: response.completed\n")
    assert sum(event.startswith("event: response.output_text.delta\n") for event in events) == 40


def test_a_caller_who_leaves_does_not_stop_the_turn(upstream: Served, proxy: Served) -> None:
    upstream.control("POST", "/script", {"lines": [{"reply": {"text": "late"}, "pacing": {"first_token": 3600}}]})
    with connect(proxy.port) as sock:
        sock.sendall(request("POST", "/v1/responses", STREAM))
        read_on(sock, until=b"event: response.in_progress\n")
    assert exchange(proxy.port, request("GET", "/v1/models")).status == 200
    assert len(upstream.control("POST", "/clock/advance", {"seconds": 3600})["completed"]) == 1


def test_head_has_no_body(direct: Served, through: Served) -> None:
    for served in (direct, through):
        with connect(served.port) as sock:
            sock.sendall(head("HEAD", "/v1/models"))
            received = read_on(sock)
        assert received.startswith(b"HTTP/1.1 ") and received.endswith(b"\r\n\r\n")
