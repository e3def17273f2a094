"""What another than the mock has answered: kept in bounds while it passes, read when somebody looks."""

from __future__ import annotations

import gzip
import json
from typing import Any

import orjson
import pytest

from mockserver.journal.exchange import Call, Exchange, document_of, read_relayed, to_public
from mockserver.journal.relayed import MOST_BYTES, RelayedAnswer, error_in, outcome_of
from mockserver.journal.summary import summarize, summarize_document

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-4.1",
    "status": "completed",
    "previous_response_id": "resp_0",
    "conversation": {"id": "conv_1"},
    "usage": {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3},
}


def answer_with(*pieces: bytes, **headers: str) -> RelayedAnswer:
    answer = RelayedAnswer("upstream", 0.0)
    answer.headers = [(name.encode().replace(b"_", b"-"), value.encode()) for name, value in headers.items()]
    for piece in pieces:
        answer.add(piece)
    return answer


def exchange_of(answer: RelayedAnswer, status: int = 200, path: str = "/v1/responses") -> Exchange:
    exchange = Exchange.begin(Call("POST", path, b'{"model": "asked"}'), 1.0)
    exchange.relayed, exchange.status, exchange.ended = answer, status, "delivered"
    return exchange


def test_a_body_and_the_end_of_a_stream_say_what_came_of_a_turn() -> None:
    body = json.dumps(RESPONSE).encode()
    event = b"event: response.completed\r\ndata: " + json.dumps({"response": RESPONSE}).encode() + b"\r\n\r\n"
    frame = json.dumps({"type": "response.completed", "response": RESPONSE}).encode()
    for answer in (
        answer_with(body[:40], body[40:], content_type="application/json"),
        answer_with(b"data: {}\r\n\r\n", event, b"data: [DONE]\n\n", Content_Type="text/event-stream; charset=utf-8"),
        answer_with(frame),
    ):
        one = summarize(exchange_of(answer))
        assert (one["response_id"], one["model"], one["response_status"]) == ("resp_1", "gpt-4.1", "completed")
        assert (one["input_tokens"], one["cached_tokens"], one["output_tokens"]) == (7, 2, 3)
        assert (one["previous_response_id"], one["conversation"], one["store"]) == ("resp_0", "conv_1", True)
        assert one["answered_by"] == "upstream"


def test_a_summary_is_the_same_from_the_document() -> None:
    exchange = exchange_of(answer_with(json.dumps(RESPONSE).encode()))
    assert summarize_document(4, document_of(exchange)) == {**summarize(exchange), "id": 4}


def test_the_document_shows_the_answer_and_hides_secrets() -> None:
    shown = to_public(1, document_of(exchange_of(answer_with(b'{"echo": "sk-proj-0123456789abcdef0123"}'))))
    assert shown["answered_by"] == "upstream" and "sk-proj-0123456789abcdef0123" not in shown["answer"]
    assert "outcome" not in shown and list(shown)[-2:] == ["answered_by", "answer"]


def test_an_error_is_told_as_the_api_tells_its_own() -> None:
    error = {"message": "no", "type": "invalid_request_error", "param": None, "code": "c"}
    exchange = exchange_of(answer_with(json.dumps({"error": {**error, "more": 1}}).encode()), 400)
    read_relayed(exchange)
    read_relayed(exchange)  # once is enough
    assert (exchange.error, exchange.outcome, exchange.response_id) == (error, {}, None)
    assert error_in({"error": "no object"}) is None
    assert summarize(exchange)["model"] == "asked", "what the request was to be"


@pytest.mark.parametrize(
    "resource",
    [{}, {"object": "list"}, {"object": "response", "usage": 7, "conversation": 7, "id": 7, "store": False}],
)
def test_what_has_another_shape_says_nothing(resource: dict[str, Any]) -> None:
    assert not any(outcome_of(resource).values())


def test_only_turns_have_an_outcome() -> None:
    exchange = exchange_of(answer_with(json.dumps(RESPONSE).encode()), path="/v1/responses/compact")
    assert summarize(exchange)["response_id"] is None


def test_a_compressed_answer_is_read() -> None:
    body = gzip.compress(orjson.dumps({"id": "resp_1"}))
    assert answer_with(body, content_encoding="gzip").read_resource() == {"id": "resp_1"}
    assert answer_with(body, content_encoding="br").read_resource() == {}
    assert answer_with(b"no gzip", content_encoding="gzip").read_resource() == {}
    assert answer_with(b"[1]", content_encoding="identity").read_resource() == {}


def test_of_a_long_answer_the_end_is_kept_and_of_a_long_request_the_beginning() -> None:
    answer = answer_with(b"x", content_type="text/event-stream")
    for number in range(100):
        answer.add(b"data: {}\n\n" * 1000)
        answer.add_sent(b"%04d" % number * 2500)
    answer.add(b'event: response.completed\ndata: {"response": {"id": "resp_1"}}\n\n')
    assert answer.read_resource() == {"id": "resp_1"} and not answer.is_whole
    assert sum(map(len, answer.pieces)) == answer.size <= MOST_BYTES
    sent = answer.sent_body()
    assert len(sent) <= MOST_BYTES and sent.startswith(b"00000000")
    assert sent.endswith("… [cut, 1000000 bytes in all]".encode())
    answer.headers = [(b"content-encoding", b"gzip")]
    assert answer.read_body() == b"", "its beginning is lost"


@pytest.mark.parametrize(
    ("answerer", "number", "said"),
    [
        ("cassette", 3, "cassette #3"),
        ("cassette", None, "cassette miss"),
        ("auto", 3, "cassette #3"),
        ("auto", None, "upstream, recorded"),
        ("shadow", None, "upstream, compared"),
        ("upstream", None, "upstream"),
    ],
)
def test_who_answered(answerer: str, number: int | None, said: str) -> None:
    answer = RelayedAnswer(answerer, 0.0)
    answer.note_recording(number)
    assert answer.answered_by == said
