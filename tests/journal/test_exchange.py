"""Documents of exchanges: what stands in them, what never does, how they are read again."""

from __future__ import annotations

import json
from typing import Any

from mockserver.core.records import Delete, Put
from mockserver.journal.exchange import Call, Exchange, document_of, to_public

KEY = "key-of-a-caller"


def exchange(**fields: Any) -> Exchange:
    headers = {b"authorization": f"Bearer {KEY}".encode(), b"accept": b"*/*"}
    call = Call(headers=headers, body=fields.pop("body", b'{"a" : 1}'))
    return Exchange(call, "http", **{"at": 5.0, **fields})


def test_a_document_and_back() -> None:
    one = exchange(status=400, error={"code": "x"}, seconds=0.0123456, events=3, ended="delivered", faults=["cut"])
    assert to_public(7, document_of(one)) == {
        "id": 7,
        "at": 5.0,
        "transport": "http",
        "method": "POST",
        "path": "/v1/responses",
        "query": "",
        "headers": {"authorization": "<redacted>", "accept": "*/*"},
        "body": '{"a" : 1}',
        "request": {"a": 1},
        "status": 400,
        "error": {"code": "x"},
        "response_id": None,
        "line": None,
        "near_misses": [],
        "faults": ["cut"],
        "changes": [],
        "events": 3,
        "ended": "delivered",
        "duration_ms": 12.346,
        "saw": None,
    }


def test_a_body_that_is_no_json_has_no_request() -> None:
    assert to_public(1, document_of(exchange(body=b"{")))["request"] is None


def test_changes_name_what_the_api_shows_each_once() -> None:
    changes = [
        Put("response", "resp_1", b""),
        Put("node", "resp_1", b""),
        Put("item", "msg_1", b""),
        Put("entry", "conv_1/msg_1", b""),
        Put("conversation", "conv_1", b""),
        Delete("entry", "conv_1/msg_2"),
        Put("project", "project", b""),
    ]
    assert json.loads(document_of(exchange(changes=changes)))["changes"] == [
        {"change": "put", "kind": "response", "id": "resp_1"},
        {"change": "put", "kind": "item", "id": "msg_1"},
        {"change": "put", "kind": "conversation", "id": "conv_1"},
        {"change": "delete", "kind": "item", "id": "msg_2"},
    ]


def test_the_callers_key_stands_nowhere() -> None:
    one = exchange(body=f'{{"input": "my key is {KEY}"}}'.encode(), line={"reply": {"text": f"{KEY} sk-12345678901"}})
    assert KEY.encode() not in document_of(one) and b"sk-123" not in document_of(one)
