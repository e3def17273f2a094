"""An exchange in a line: who answered, what a refused turn was to continue, the same from its document."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.journal.exchange import Call, Exchange, describe_source, document_of
from mockserver.journal.summary import LONGEST_PARSED, summarize, summarize_document

LINE = {"place": "a.yaml:3", "reply": {"text": "x"}}


def exchange(body: bytes = b"", **fields: Any) -> Exchange:
    call = Call(fields.pop("method", "POST"), fields.pop("path", "/v1/responses"), body)
    return Exchange(call, "http", **{"at": 5.0, "ended": "delivered", "number": 3, **fields})


@pytest.mark.parametrize(
    ("line", "faults", "is_turn", "source"),
    [
        (LINE, ["delay"], True, "a.yaml:3"),
        (None, ["delay", "cut"], True, "fault delay, cut"),
        (None, [], True, "default model"),
        (None, [], False, None),
    ],
)
def test_who_answered(line: Any, faults: list[str], is_turn: bool, source: str | None) -> None:
    assert describe_source(line, faults, is_turn=is_turn) == source


SAW = {
    "model": "gpt-5.5",
    "status": "completed",
    "previous_response_id": "resp_0",
    "conversation": None,
    "store": True,
    "input_tokens": 9,
    "cached_tokens": 0,
    "output_tokens": 4,
}


@pytest.mark.parametrize(
    "one",
    [
        exchange(saw=SAW, response_id="resp_1", line=LINE),
        exchange(b'{"model":"m","previous_response_id":"resp_0"}', status=400, error={"code": "x", "type": "y"}),
        exchange(b"[]", status=400, error={"code": None, "type": "mock_error"}),
        exchange(method="GET", path="/v1/models", seconds=0.0123456),
    ],
)
def test_a_summary_is_the_same_from_the_document(one: Exchange) -> None:
    assert summarize(one) == summarize_document(3, document_of(one))


def test_what_a_turn_was_and_cost() -> None:
    one = summarize(exchange(saw=SAW, response_id="resp_1"))
    assert {name: one[name] for name in SAW if name != "status"} == {k: v for k, v in SAW.items() if k != "status"}
    assert (one["response_status"], one["status"], one["answered_by"]) == ("completed", 200, "default model")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"conversation":{"id":"conv_1"},"model":"m"}', ("m", None, "conv_1")),
        (b'{"conversation":"conv_1","previous_response_id":"resp_1"}', (None, "resp_1", "conv_1")),
        (b'{"conversation":[],"previous_response_id":7,"model":null}', (None, None, None)),
        (b'{"conversation":{},"model":"m"}', ("m", None, None)),
        (b"7", (None, None, None)),
        (b"{", (None, None, None)),
        (b'{"model":"m","input":"' + b"x" * LONGEST_PARSED + b'"}', (None, None, None)),
    ],
)
def test_what_a_refused_turn_was_to_continue(body: bytes, named: Any) -> None:
    one = summarize(exchange(body, status=400, error={"code": "c", "type": "t"}))
    assert (one["model"], one["previous_response_id"], one["conversation"]) == named
    assert one["error_code"] == "c"


def test_a_document_of_an_earlier_version_says_what_it_knows() -> None:
    old = {"model": "gpt-5.5", "input_tokens": 9}
    one = summarize_document(1, document_of(exchange(saw=old, response_id="resp_1")))
    assert (one["model"], one["input_tokens"], one["output_tokens"], one["store"]) == ("gpt-5.5", 9, None, None)
