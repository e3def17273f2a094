"""Giving an upstream back what it has forgotten: which answers say so, and what is sent instead."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.cassettes.interaction import Interaction, Piece, Request, Response
from proxy.cassettes.ledger import EMPTY, Ledger
from proxy.rehydration import is_forgotten, items_of, with_items

CHAINED = {"input": "Hi", "previous_response_id": "resp_1"}
HELD = {"input": "Hi", "conversation": {"id": "conv_1"}}


def error(code: str | None, message: str = "x") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "request_body", "forgotten"),
    [
        (400, error("previous_response_not_found"), CHAINED, True),
        (404, error("conversation_not_found"), HELD, True),
        (404, error(None, "Conversation with id 'conv_1' not found."), HELD, True),
        (404, error(None, "Previous response resp_1 is gone."), CHAINED, True),
        (404, error("model_not_found", "The model does not exist."), CHAINED, False),
        (404, error(None, "Not found."), {"input": "Hi"}, False),
        (400, error(None, "resp_1 is odd."), CHAINED, False),
        (500, error("not_found"), CHAINED, False),
        (200, error("not_found"), CHAINED, False),
        (404, b"<html>resp_1 not found", CHAINED, False),
        (404, b"[]", CHAINED, False),
        (404, b'{"error": "resp_1"}', CHAINED, False),
    ],
)
def test_which_answers_say_that_a_parent_is_gone(
    status: int, body: bytes, request_body: dict[str, Any], forgotten: bool
) -> None:
    """Spec: R1.24, R2.7."""
    assert is_forgotten(status, body, request_body) is forgotten


MESSAGE = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [], "phase": None}
SEALED = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA", "status": "completed"}


def test_items_are_sent_as_a_client_may_send_them() -> None:
    """Without ids, which are somebody else's, but where an item is known by its own."""
    approval = {"id": "mcpr_1", "type": "mcp_approval_request", "name": "f", "arguments": "{}", "server_label": "x"}
    shell = {"id": "call_1", "type": "local_shell_call_output", "output": "ok", "status": "completed"}
    untyped = {"id": "msg_2", "role": "user", "content": "Hi", "created_by": "me"}
    context = Ledger().extend(EMPTY, [MESSAGE, SEALED, approval, shell, untyped])
    assert items_of(context) == [
        {"type": "message", "role": "assistant", "content": []},
        {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
        approval,
        {"id": "call_1", "type": "local_shell_call_output", "output": "ok"},
        {"role": "user", "content": "Hi"},
    ]


def test_what_nobody_can_show_is_not_sent() -> None:
    bare = {"id": "rs_2", "type": "reasoning", "summary": []}
    unknown = [{"type": "unknown_response", "name": "resp_x"}, {"type": "unread_output"}, "no item"]
    assert items_of(Ledger().extend(EMPTY, [bare, *unknown])) == []


def test_a_turn_is_sent_with_the_items_of_its_parent() -> None:
    ledger = Ledger()
    answer = {"id": "resp_1", "object": "response", "status": "completed", "output": [MESSAGE]}
    asked = Request("POST", "/v1/responses", body=json.dumps({"input": "Hello"}).encode())
    ledger.note(Interaction(1, 0, asked, Response(200, (), (Piece(0, json.dumps(answer).encode()),))))
    body = {"model": "gpt-5.5", **CHAINED}
    user = {"type": "message", "role": "user"}
    assert with_items(body, ledger) == {
        "model": "gpt-5.5",
        "input": [
            {**user, "content": "Hello"},
            {"type": "message", "role": "assistant", "content": []},
            {**user, "content": "Hi"},
        ],
    }
    assert body["previous_response_id"] == "resp_1"  # what the client sent is left as it is


@pytest.mark.parametrize("parent", ["resp_x", None, 3])
def test_a_turn_whose_parent_nobody_knows_is_left(parent: Any) -> None:
    assert with_items({"input": "Hi", "previous_response_id": parent}, Ledger()) is None
