"""Faults as OpenAI's client meets them: for each kind and transport, what it raises and how often it tries."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from websockets.exceptions import InvalidStatus

from tests.support.patience import until
from tests.support.raw_http import connect, exchange, read_on, request
from tests.support.serving import KEY, Served, serving

# the client opens sockets in a way that newer versions of the library call legacy
pytestmark = pytest.mark.filterwarnings(r"ignore:connect\(\) must be used:DeprecationWarning")

ASKED: dict[str, Any] = {"model": "gpt-4.1", "input": "hi"}
OVERLOADED = {"error": {"code": "server_is_overloaded", "headers": {"retry-after-ms": "1"}}}
PATIENCE_OF_THE_CLIENT_S = 0.4


@pytest.fixture(scope="module")
def mock() -> Iterator[Served]:
    with serving("--seed", "7") as served:
        yield served


@pytest.fixture
def client(mock: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    """A client that retries twice, as it does by itself, and soon; its project is new."""
    mock.control("POST", "/reset", {})
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with OpenAI(base_url=mock.base_url, api_key=KEY, timeout=PATIENCE_OF_THE_CLIENT_S) as made:
        yield made
    mock.control("DELETE", "/faults")


def plain(client: OpenAI) -> str | None:
    return client.responses.create(**ASKED).status


def events(client: OpenAI) -> str:
    return [event.type for event in client.responses.create(**ASKED, stream=True)][-1]


def helper(client: OpenAI) -> str | None:
    with client.responses.stream(**ASKED) as stream:
        return stream.get_final_response().status


def socket(client: OpenAI) -> str:
    """Take a turn over a WebSocket; returns the last event, or `silence` when nothing ends it in time."""
    with client.responses.connect() as connection:
        connection.send({"type": "response.create", **ASKED})
        impatience = threading.Timer(PATIENCE_OF_THE_CLIENT_S * 2, connection.close)
        impatience.start()
        try:
            for event in connection:
                if event.type in ("response.completed", "error"):
                    return event.type
            return "silence"
        finally:
            impatience.cancel()


SSE = (events, helper)


def raised(call: Callable[[OpenAI], Any], client: OpenAI) -> str:
    """Return what a call gives, or the name of what it raises."""
    try:
        return str(call(client))
    except Exception as error:
        return type(error).__name__


def attempts(mock: Served) -> list[dict[str, Any]]:
    """Return the exchanges so far but handshakes."""
    return [one for one in mock.control("GET", "/journal")["data"] if one["status"] != 101]


def endings(mock: Served, count: int) -> list[str | None]:
    """Return how exchanges ended, once the server has noticed that the client is gone."""
    found: list[str | None] = []

    def ended() -> bool:
        found[:] = [one["ended"] for one in attempts(mock)]
        return len(found) == count and None not in found

    assert until(ended), found
    return found


AT_DELTA = {"event": "response.output_text.delta", "count": 2}
AT_CREATED = {"event": "response.created"}
AT_BYTE = {"bytes": 100}


@pytest.mark.parametrize(
    ("fault", "call", "outcome", "tries", "ended"),
    [
        ({"do": OVERLOADED}, plain, "InternalServerError", 3, "delivered"),
        ({"do": OVERLOADED}, events, "InternalServerError", 3, "delivered"),
        ({"do": OVERLOADED}, helper, "InternalServerError", 3, "delivered"),
        ({"do": OVERLOADED}, socket, "error", 1, "delivered"),
        ({"do": {"error": "invalid_prompt"}}, plain, "BadRequestError", 1, "delivered"),
        ({"do": {"error": "insufficient_quota"}, "when": {"stream": True}}, events, "RateLimitError", 3, "delivered"),
        ({"do": {"delay": 0.05}}, plain, "completed", 1, "delivered"),
        ({"do": {"delay": 0.05}}, events, "response.completed", 1, "delivered"),
        ({"do": {"delay": 0.05}}, socket, "response.completed", 1, "delivered"),
        ({"do": {"delay": 9}}, plain, "APITimeoutError", 3, "disconnected"),
        ({"do": {"delay": 9}}, events, "APITimeoutError", 3, "disconnected"),
        ({"do": {"delay": 9}}, socket, "silence", 1, "disconnected"),
        ({"do": "cut"}, plain, "APIConnectionError", 3, "cut"),
        ({"do": "cut", "at": AT_BYTE}, plain, "APIConnectionError", 3, "cut"),
        ({"do": "cut"}, events, "APIConnectionError", 1, "cut"),
        ({"do": "cut", "at": AT_DELTA}, events, "APIConnectionError", 1, "cut"),
        ({"do": "cut", "at": AT_DELTA}, helper, "APIConnectionError", 1, "cut"),
        ({"do": "cut", "at": AT_BYTE}, events, "APIConnectionError", 1, "cut"),
        ({"do": "cut"}, socket, "ConnectionClosedError", 1, "cut"),
        ({"do": "cut", "at": AT_DELTA}, socket, "ConnectionClosedError", 1, "cut"),
        ({"do": "stall"}, plain, "APITimeoutError", 3, "disconnected"),
        ({"do": "stall", "at": AT_BYTE}, plain, "APITimeoutError", 3, "disconnected"),
        ({"do": "stall"}, events, "APITimeoutError", 3, "disconnected"),
        ({"do": "stall", "at": AT_DELTA}, events, "APITimeoutError", 1, "disconnected"),
        ({"do": "stall", "at": AT_DELTA}, helper, "APITimeoutError", 1, "disconnected"),
        ({"do": "stall", "at": AT_DELTA}, socket, "silence", 1, "disconnected"),
        ({"do": "malformed"}, plain, "JSONDecodeError", 1, "delivered"),
        ({"do": "malformed", "at": AT_DELTA}, events, "JSONDecodeError", 1, "delivered"),
        ({"do": "malformed", "at": AT_DELTA}, helper, "JSONDecodeError", 1, "delivered"),
        ({"do": "malformed", "at": {"event": "response.completed"}}, socket, "JSONDecodeError", 1, "delivered"),
        ({"do": "drop_event"}, plain, "completed", 1, "delivered"),
        ({"do": "drop_event"}, helper, "RuntimeError", 1, "delivered"),
        ({"do": "drop_event", "at": {"event": "response.completed"}}, helper, "RuntimeError", 1, "delivered"),
        (
            {"do": "drop_event", "at": {"event": "response.completed"}},
            events,
            "response.output_item.done",
            1,
            "delivered",
        ),
        ({"do": "drop_event", "at": {"event": "response.completed"}}, socket, "silence", 1, "delivered"),
        ({"do": {"close_socket": 1011}, "at": AT_CREATED}, socket, "ConnectionClosedError", 1, "closed"),
        ({"do": {"close_socket": 4000}}, socket, "ConnectionClosedError", 1, "closed"),
        ({"do": {"close_socket": 1000}, "at": AT_CREATED}, socket, "silence", 1, "closed"),
        ({"do": {"close_socket": 1011}}, events, "response.completed", 1, "delivered"),
        ({"do": "expire"}, plain, "completed", 1, "delivered"),
        ({"do": {"lock_conversation": 9}}, plain, "completed", 1, "delivered"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else getattr(value, "__name__", None),
)
def test_the_client_reacts(
    mock: Served, client: OpenAI, fault: dict[str, Any], call: Any, outcome: str, tries: int, ended: str
) -> None:
    """Spec: C5, C6, R4.19."""
    mock.control("PUT", "/faults", {"faults": [fault]})
    assert raised(call, client) == outcome
    assert endings(mock, tries) == [ended] * tries


@pytest.mark.parametrize("call", [plain, events, helper])
def test_a_fault_that_is_over_is_survived_by_a_retry(mock: Served, client: OpenAI, call: Any) -> None:
    mock.control("PUT", "/faults", {"faults": [{"do": OVERLOADED, "times": 2}]})
    assert raised(call, client) in ("completed", "response.completed")
    assert [one["status"] for one in attempts(mock)] == [503, 503, 200]
    assert [one["headers"]["x-stainless-retry-count"] for one in attempts(mock)] == ["0", "1", "2"]
    (fault,) = mock.control("GET", "/faults")["faults"]
    assert fault["used"] == 2


@pytest.mark.parametrize("call", [plain, events])
def test_limits_of_rate(mock: Served, client: OpenAI, call: Any) -> None:
    """The second request waits for as long as it is told, and no retry is spent in vain. Spec: E94, W16, C6."""
    limited = [{"do": {"rate_limit": {"requests_per_minute": 600, "tokens_per_minute": 1200}}}]
    mock.control("PUT", "/faults", limited)
    with pytest.raises(openai.RateLimitError) as error:
        client.responses.create(model="gpt-4.1", input="x" * 6000)
    assert error.value.type == "tokens" and "Request too large for gpt-4.1" in error.value.message
    assert len(attempts(mock)) == 3  # the client can't know better
    mock.control("POST", "/reset", {})
    mock.control("PUT", "/faults", {"faults": [{"do": {"rate_limit": {"requests_per_minute": 1200}}}]})
    outcomes = [raised(call, client) for _ in range(3)]
    assert set(outcomes) <= {"completed", "response.completed"}
    answer = exchange(mock.port, request("GET", "/v1/models"))
    assert answer.header("x-ratelimit-limit-requests") == "1200"


def test_E94_word_for_word(mock: Served, client: OpenAI) -> None:
    mock.control("PUT", "/clock", {"now": "2026-11-20T12:00:00Z"})
    mock.control("PUT", "/faults", {"faults": [{"do": {"rate_limit": {"requests_per_minute": 3}}}]})
    strict = client.with_options(max_retries=0)
    for left in ("2", "1", "0"):
        raw = strict.responses.with_raw_response.create(**ASKED)
        assert raw.headers["x-ratelimit-remaining-requests"] == left
    with pytest.raises(openai.RateLimitError) as refused:
        strict.responses.create(**ASKED)
    error = refused.value
    assert error.body == {
        "message": "Rate limit reached for gpt-4.1 in organization org-understudy on requests per min (RPM): Limit 3, "
        "Used 3, Requested 1. Please try again in 20s. Visit https://platform.openai.com/account/rate-limits to learn "
        "more.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    headers = error.response.headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("20", "20000")
    assert (headers["x-ratelimit-remaining-requests"], headers["x-ratelimit-reset-requests"]) == ("0", "1m0s")
    mock.control("POST", "/clock/advance", {"seconds": 20})
    assert strict.responses.create(**ASKED).status == "completed"


def test_E94_over_a_socket(mock: Served, client: OpenAI) -> None:
    mock.control("PUT", "/clock", {"now": "2026-11-20T12:00:00Z"})
    mock.control("PUT", "/faults", {"faults": [{"do": {"rate_limit": {"requests_per_minute": 1}}}]})
    with client.responses.connect() as connection:
        seen = []
        for _ in range(2):
            connection.send({"type": "response.create", **ASKED})
            while (event := connection.recv()).type not in ("response.completed", "error"):
                pass
            seen.append(event)
    assert [event.type for event in seen] == ["response.completed", "error"]
    refusal: Any = seen[1]
    assert (refusal.status, refusal.error.code, refusal.error.type) == (429, "rate_limit_exceeded", "requests")
    assert refusal.error.headers["retry-after-ms"] == "60000"


def test_E60_an_expired_parent(mock: Served, client: OpenAI) -> None:
    parent = client.responses.create(**ASKED).id
    mock.control("PUT", "/faults", {"faults": [{"do": "expire", "times": 1}]})
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(**ASKED, previous_response_id=parent, stream=stream)
        assert refused.value.code == "previous_response_not_found"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(parent)
    assert len(attempts(mock)) == 4


def test_E60_over_a_socket_also_what_only_it_remembers(mock: Served, client: OpenAI) -> None:
    with client.responses.connect() as connection:

        def turn(**fields: Any) -> Any:
            connection.send({"type": "response.create", **ASKED, "store": False, **fields})
            while (event := connection.recv()).type not in ("response.completed", "error"):
                pass
            return event

        parent = turn().response.id
        mock.control("PUT", "/faults", {"faults": [{"do": "expire", "times": 1}]})
        for _ in range(2):
            assert turn(previous_response_id=parent).error.code == "previous_response_not_found"


def test_E67_a_locked_conversation(mock: Served, client: OpenAI) -> None:
    conversation = client.conversations.create().id
    mock.control("PUT", "/clock", {"now": "2026-11-20T12:00:00Z"})
    mock.control("PUT", "/faults", {"faults": [{"do": {"lock_conversation": 30}}]})
    before = len(attempts(mock))
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(**ASKED, conversation=conversation, stream=stream)
        assert refused.value.code == "conversation_locked"
    with client.responses.connect() as connection:
        connection.send({"type": "response.create", **ASKED, "conversation": conversation})
        refusal: Any = connection.recv()
        assert refusal.error.code == "conversation_locked"
    assert len(attempts(mock)) == before + 3  # none was tried again
    mock.control("POST", "/clock/advance", {"seconds": 30})
    assert client.responses.create(**ASKED, conversation=conversation).status == "completed"


def test_a_turn_that_was_cut_is_complete_on_the_server(mock: Served, client: OpenAI) -> None:
    """Spec: R9.20."""
    mock.control("PUT", "/faults", {"faults": [{"do": "cut", "at": AT_DELTA, "times": 1}]})
    assert raised(events, client) == "APIConnectionError"
    (one,) = attempts(mock)
    assert client.responses.retrieve(one["response_id"]).status == "completed"
    assert (one["ended"], one["faults"], one["events"]) == ("cut", ["cut"], 6)


def test_bytes_are_counted_exactly(mock: Served, client: OpenAI) -> None:
    mock.control("PUT", "/clock", {"now": "2026-11-20T12:00:00Z"})
    mock.control("POST", "/reset", {"only": ["state"]})
    whole = exchange(mock.port, request("POST", "/v1/responses", {**ASKED, "stream": True})).body
    for count in (1, 100, len(whole) - 1):
        mock.control("POST", "/reset", {"only": ["state"]})
        mock.control("PUT", "/faults", {"faults": [{"do": "cut", "at": {"bytes": count}}]})
        with connect(mock.port) as sock:
            sock.sendall(request("POST", "/v1/responses", {**ASKED, "stream": True}))
            chunks = read_on(sock).partition(b"\r\n\r\n")[2]
        body = b""
        while chunks:
            size, _, chunks = chunks.partition(b"\r\n")
            body, chunks = body + chunks[: int(size, 16)], chunks[int(size, 16) + 2 :]
        assert body == whole[:count]


def test_a_refused_handshake(mock: Served, client: OpenAI) -> None:
    """Only faults that name its method strike it. Spec: X1."""
    error = {"do": {"error": {"code": "rate_limit_exceeded"}}, "when": {"path": "/v1/responses", "method": "GET"}}
    mock.control("PUT", "/faults", {"faults": [error]})
    with pytest.raises(InvalidStatus) as refused, client.responses.connect():
        pass
    assert refused.value.response.status_code == 429
    one = mock.control("GET", "/journal")["data"][0]
    assert (one["transport"], one["method"], one["status"], one["faults"]) == ("websocket", "GET", 429, ["error"])


def test_a_lost_socket_is_opened_again(mock: Served, client: OpenAI) -> None:
    """Spec: R4.19."""
    mock.control("PUT", "/faults", {"faults": [{"do": "cut", "times": 1}]})
    codes: list[int] = []
    manager = client.responses.connect(on_reconnecting=lambda event: codes.append(event.close_code), initial_delay=0.01)
    with manager as connection:
        connection.send({"type": "response.create", **ASKED})
        impatience = threading.Timer(PATIENCE_OF_THE_CLIENT_S, lambda: connection.close())
        impatience.start()
        assert [event.type for event in connection] == []  # a frame is not sent again by itself
    handshakes = [one for one in mock.control("GET", "/journal")["data"] if one["status"] == 101]
    assert codes == [1006] and len(handshakes) == 2


def test_what_a_socket_asked_for_is_in_the_journal(mock: Served, client: OpenAI) -> None:
    assert raised(socket, client) == "response.completed"
    handshake, turn = mock.control("GET", "/journal?context=full")["data"]
    assert (handshake["method"], handshake["status"]) == ("GET", 101)
    assert (turn["method"], turn["path"], turn["transport"]) == ("POST", "/v1/responses", "websocket")
    assert turn["request"] == {"type": "response.create", **ASKED}
    assert turn["headers"]["authorization"] == "<redacted>"
    assert turn["context"]["items"][0]["content"][0]["text"] == "hi"
    assert turn["ended"] == "delivered" and turn["events"] > 5


def test_the_context_of_unstored_turns_of_a_socket(mock: Served, client: OpenAI) -> None:
    with client.responses.connect() as connection:
        parent = None
        for text in ("one", "two", "three"):
            frame = {"type": "response.create", "model": "gpt-4.1", "input": text, "store": False}
            connection.send({**frame, "previous_response_id": parent} if parent else frame)
            while (event := connection.recv()).type != "response.completed":
                pass
            parent = event.response.id
    one = mock.control("GET", f"/journal?response_id={parent}&context=full")["data"][0]
    texts = [item["content"][0]["text"] for item in one["context"]["items"] if item["role"] == "user"]
    assert texts == ["one", "two", "three"]
