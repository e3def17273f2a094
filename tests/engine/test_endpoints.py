"""The table of public routes. Spec: P1–P21, E99, E101."""

from __future__ import annotations

import pytest

from mockserver.engine.endpoints import Endpoint, Parts, Table, endpoints
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


TABLE = Table(endpoints(lambda at, parts, request: None))


def find(line: str) -> tuple[Endpoint, Parts]:
    method, _, path = line.partition(" ")
    return TABLE.find_endpoint(method, path)


@pytest.mark.parametrize(("line", "parts"), FOUND.items(), ids=list(FOUND))
def test_P1_to_P19_are_found(line: str, parts: dict[str, str]) -> None:
    endpoint, found = find(line)
    assert found == parts and endpoint.method == line.partition(" ")[0]


def test_every_endpoint_is_in_the_list_above() -> None:
    assert {id(find(line)[0]) for line in FOUND} == {id(row) for row in TABLE.rows}


def test_P21_the_literal_paths_come_before_ids() -> None:
    assert find("POST /v1/responses/compact")[0] is not find("POST /v1/responses/input_tokens")[0]
    assert refused(find, "GET /v1/responses/compact").status == 405


@pytest.mark.parametrize("line", ["GET /v1/nope", "POST /v1/conversations/conv_1/messages", "GET /v1/responses/"])
def test_E99_unknown_paths(line: str) -> None:
    assert summary(refused(find, line)) == (404, f"Invalid URL ({line})", None, None)


@pytest.mark.parametrize("line", ["GET /v1/responses", "PUT /v1/conversations/conv_1", "DELETE /v1/models"])
def test_E101_wrong_methods(line: str) -> None:
    assert summary(refused(find, line)) == (405, f"Invalid method for URL ({line})", None, None)
