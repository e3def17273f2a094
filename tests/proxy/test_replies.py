"""A recorded turn as the mock's model says it: drafts without ids, refusals, broken streams, sockets."""

from __future__ import annotations

import json
from typing import Any

from proxy.cassettes.interaction import Interaction, Piece, Request, Response
from proxy.cassettes.replies import reply_of

MESSAGE = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [], "phase": None}
DRAFT = {"type": "message", "role": "assistant", "content": []}
SSE = (("content-type", "text/event-stream"),)


def interaction(value: Any, status: int = 200, *headers: tuple[str, str]) -> Interaction:
    answer = Response(status, headers, (Piece(0, json.dumps(value).encode()),))
    return Interaction(1, 0, Request("POST", "/v1/responses"), answer)


def socket_turn(*events: dict[str, Any]) -> Interaction:
    pieces = tuple(Piece(0, json.dumps(event).encode()) for event in events)
    return Interaction(1, 0, Request("GET", "/v1/responses", socket=True), Response(101, (), pieces, streamed=True))


def test_a_turn_is_said_without_what_is_the_mocks_own() -> None:
    usage = {"output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 5}}
    recorded = interaction({"status": "completed", "output": [MESSAGE, "no item"], "usage": usage})
    reply = reply_of(recorded)
    assert reply is not None and reply.output == (DRAFT,)
    assert (reply.reasoning_tokens, reply.usage) == (5, usage)
    assert (reply.failed, reply.incomplete, reply.error) == (None, None, None)
    without = reply_of(recorded, usage=False)
    assert without is not None and (without.reasoning_tokens, without.usage) == (5, {})


def test_an_item_that_was_cut_keeps_its_status() -> None:
    details = {"reason": "max_output_tokens"}
    cut = {**MESSAGE, "status": "incomplete"}
    reply = reply_of(interaction({"status": "incomplete", "output": [cut], "incomplete_details": details}))
    assert reply is not None and reply.incomplete == "max_output_tokens"
    assert reply.output == ({**DRAFT, "status": "incomplete"},)


def test_a_turn_that_failed_says_why() -> None:
    error = {"code": "server_error", "message": "x"}
    reply = reply_of(interaction({"status": "failed", "output": [], "error": error}))
    assert reply is not None and reply.failed == error and reply.output == ()
    reply = reply_of(interaction({"status": "failed", "output": [], "error": "odd", "incomplete_details": "odd"}))
    assert reply is not None and reply.failed is None and reply.incomplete is None


def test_the_output_of_a_stream_is_found_in_its_events() -> None:
    """Where the last Response that it shows has none, as when it broke off."""
    events = [
        {"type": "response.created", "response": {"status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "item": {"type": "reasoning"}},
        {"type": "response.output_item.done", "item": MESSAGE},
    ]
    pieces = tuple(Piece(0, b"data: " + json.dumps(event).encode() + b"\n\n") for event in events)
    answer = Response(200, SSE, pieces, streamed=True, ended="cut")
    reply = reply_of(Interaction(1, 0, Request("POST", "/v1/responses"), answer))
    assert reply is not None and reply.output == (DRAFT,)


def test_a_refusal_is_the_recorded_error() -> None:
    error = {"message": "Slow down.", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}
    reply = reply_of(interaction({"error": error}, 429, ("retry-after", "7")))
    assert reply is not None and reply.error is not None and reply.output == ()
    said = reply.error
    assert (said.status, said.message, said.type, said.param, said.code) == (429, *error.values())
    assert said.headers["retry-after"] == "7"


def test_a_refusal_that_is_no_json_has_its_status() -> None:
    answer = Response(502, (), (Piece(0, b"<html>Bad gateway"),))
    reply = reply_of(Interaction(1, 0, Request("POST", "/v1/responses"), answer))
    assert reply is not None and reply.error is not None and reply.error.status == 502
    assert "retry-after" not in reply.error.headers


def test_a_refused_frame_is_the_error_of_its_status() -> None:
    error = {"code": "previous_response_not_found", "message": "gone", "type": "invalid_request_error"}
    reply = reply_of(socket_turn({"type": "error", "status": 404, "error": error}))
    assert reply is not None and reply.error is not None
    assert (reply.error.status, reply.error.code, reply.error.message) == (404, error["code"], "gone")
    reply = reply_of(socket_turn({"type": "error", "error": error}))
    assert reply is not None and reply.error is not None and reply.error.status == 400


def test_what_is_no_turn_has_no_reply() -> None:
    assert reply_of(interaction({"object": "list", "data": []})) is None
    assert reply_of(interaction([1])) is None
    assert reply_of(socket_turn({"type": "response.queued"})) is None
