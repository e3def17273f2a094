"""The table of public routes. Spec: P1–P21, E99, E101."""

from __future__ import annotations

import pytest

from mockserver.engine import Engine
from mockserver.transport.http import Call
from mockserver.transport.routes import public_handler
from tests.support.driving import refused, summary

# method and path → named parts
FOUND = {
    "POST /v1/responses": {},
    "GET /v1/responses/resp_1": {"id": "resp_1"},
    "DELETE /v1/responses/resp_1": {"id": "resp_1"},
    "POST /v1/responses/resp_1/cancel": {"id": "resp_1"},
    "GET /v1/responses/resp_1/input_items": {"id": "resp_1"},
    "POST /v1/responses/input_tokens": {},
    "POST /v1/responses/compact": {},
    "POST /v1/conversations": {},
    "GET /v1/conversations/conv_1": {"id": "conv_1"},
    "POST /v1/conversations/conv_1": {"id": "conv_1"},
    "DELETE /v1/conversations/conv_1": {"id": "conv_1"},
    "POST /v1/conversations/conv_1/items": {"id": "conv_1"},
    "GET /v1/conversations/conv_1/items": {"id": "conv_1"},
    "GET /v1/conversations/conv_1/items/msg_1": {"id": "conv_1", "item": "msg_1"},
    "DELETE /v1/conversations/conv_1/items/msg_1": {"id": "conv_1", "item": "msg_1"},
    "GET /v1/models": {},
    "GET /v1/models/ft:gpt-4.1:org/team": {"id": "ft:gpt-4.1:org/team"},
    "DELETE /v1/models/gpt-4.1": {"id": "gpt-4.1"},
}


def call(line: str) -> Call:
    method, _, path = line.partition(" ")
    return Call(method, path, [], {})


@pytest.mark.parametrize(("line", "parts"), FOUND.items(), ids=list(FOUND))
def test_P1_to_P19_are_found(line: str, parts: dict[str, str]) -> None:
    _, found = public_handler(call(line))
    assert found == parts


def test_P21_the_literal_paths_come_before_ids() -> None:
    compact, _ = public_handler(call("POST /v1/responses/compact"))
    count, _ = public_handler(call("POST /v1/responses/input_tokens"))
    assert compact is not count
    error = refused(public_handler, call("GET /v1/responses/compact"))
    assert error.status == 405


@pytest.mark.parametrize("line", ["GET /v1/nope", "POST /v1/conversations/conv_1/messages", "GET /v1/responses/"])
def test_E99_unknown_paths(line: str) -> None:
    handler, parts = public_handler(call(line))
    assert parts == {}
    error = refused(handler, Engine(), call(line))
    assert summary(error) == (404, f"Invalid URL ({line})", None, None)


@pytest.mark.parametrize("line", ["GET /v1/responses", "PUT /v1/conversations/conv_1", "DELETE /v1/models"])
def test_E101_wrong_methods(line: str) -> None:
    error = refused(public_handler, call(line))
    assert summary(error) == (405, f"Invalid method for URL ({line})", None, None)
