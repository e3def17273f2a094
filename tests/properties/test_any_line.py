"""A wrong value anywhere in a scripted line or a fault is refused in words, or the calls it is for are answered."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import product
from typing import Any

import pytest

from mockserver.journal.exchange import Call
from mockserver.transport.abort import Abort
from tests.support.any_call import FAULTS, LINES
from tests.support.caller import Caller
from tests.support.examples import ALL, part_of
from tests.support.wrong_values import WRONG, mutate, places

EMBEDDINGS = {"path": "/v1/embeddings"}
HTTP: list[Any] = [
    {"when": EMBEDDINGS, "reply": {"http": {"status": 200, "json": {"a": 1}, "headers": {"x-a": "b"}}}},
    {"when": EMBEDDINGS, "reply": {"http": {"body": "x"}}},
]
DOCUMENTS = [
    *(("POST", "/_mock/script", "lines", line) for line in (*LINES, *HTTP)),
    *(("PUT", "/_mock/faults", "faults", fault) for fault in FAULTS),
]
CALLS = [
    ("/v1/responses", {"model": "gpt-4.1", "input": "x"}),
    ("/v1/responses", {"model": "gpt-4.1", "input": "x", "stream": True}),
    ("/v1/embeddings", {}),
]
PARTS = 8  # that may run beside each other


def ask(call: Caller, method: str, path: str, body: Any) -> Any:
    answer, _ = call.app.answer(Call(method, path, json.dumps(body).encode(), None, []))
    assert isinstance(answer.status, int)
    assert b"The mock itself failed" not in answer.body
    return answer


def use(method: str, path: str, member: str, document: Any) -> None:
    """Have a mock take it and, unless it is refused, answer calls."""
    call = Caller()
    if ask(call, method, path, {member: [document]}).status == 400:
        return
    for target, body in CALLS:
        with suppress(Abort):  # a fault that cuts
            ask(call, "POST", target, body)
    ask(call, "GET", "/_mock/scenario", None)
    ask(call, "GET", "/_mock/journal", None)


@pytest.mark.parametrize("part", range(PARTS))
def test_one_wrong_value(part: int) -> None:
    """Each value in each place, with all examples; a part of them, always the same, without."""
    every = [
        (*where, document, path, value)
        for *where, document in DOCUMENTS
        for path, value in product(places(document), (*WRONG, ...))
    ]
    assert len(every) > 10_000
    for *where, document, path, value in every[part :: PARTS * (ALL // part_of(ALL)) ** 2]:
        mutated = mutate(document, path, value)
        try:
            use(*where, mutated)
        except Exception as error:
            raise AssertionError(f"{path} of {document} as {value!r}") from error


def test_a_member_that_is_null_is_as_one_that_is_not_there() -> None:
    call = Caller()
    error = {"code": "rate_limit_exceeded", "status": None, "message": None, "type": None}
    ask(call, "POST", "/_mock/script", {"lines": [{"reply": {"error": error}, "times": None}]})
    answers = [ask(call, "POST", *CALLS[0]) for _ in range(2)]
    assert [answer.status for answer in answers] == [429, 200], "a queued line answers once"
    told = json.loads(answers[0].body)["error"]
    assert told["type"] == "tokens" and told["message"].startswith("Rate limit reached")
