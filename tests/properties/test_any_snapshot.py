"""A snapshot is judged as deeply as a request: one with a wrong value somewhere is refused in words, or it works."""

from __future__ import annotations

import json
from functools import cache
from itertools import product
from typing import Any

import pytest

from mockserver.journal.exchange import Call
from tests.support.caller import PROJECT, Caller
from tests.support.examples import ALL, part_of
from tests.support.wrong_values import WRONG, mutate, places

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
MODEL = "gpt-5.2"
PARTS = 8  # that may run beside each other


@cache
def valid_text() -> str:
    """A snapshot with a chain, a conversation, calls, reasoning, a turn in progress, a script, faults."""
    call = Caller()
    conversation = call("POST", "/v1/conversations", {"items": [{"role": "user", "content": "hi"}]})["id"]
    first = call.create("one", model=MODEL, tools=[TOOL], tool_choice="required", metadata={"a": "b"})
    output = {"type": "function_call_output", "call_id": first["output"][-1]["call_id"], "output": "18"}
    call.create([output], model=MODEL, previous_response_id=first["id"], background=True)
    call.create("in", conversation=conversation, text={"format": {"type": "json_object"}}, instructions="json")
    slow = {"reply": {"text": "slow"}, "pacing": {"first_token": 60}}
    call.levers.enqueue(PROJECT, [slow, {"reply": {"text": "waits"}}])
    call.create("slow", background=True, model=MODEL)
    call.levers.set_faults(PROJECT, [{"do": {"delay": 0.0}, "when": {"model": "none"}}])
    return json.dumps(call.levers.snapshot(PROJECT))


@cache
def all_places() -> list[tuple[Any, ...]]:
    return list(places(json.loads(valid_text())))


def statuses_after(document: Any) -> set[tuple[str, int]]:
    """What the mock answers when it is given a snapshot and, if it takes it, when everything in it is used."""
    call = Caller()
    seen: set[tuple[str, int]] = set()

    def ask(method: str, path: str, body: Any = None, **query: str) -> Any:
        sent = b"" if body is None else json.dumps(body).encode()
        answer, _ = call.app.answer(Call(method, path, sent, None, list(query.items())))
        seen.add((f"{method} {path}", answer.status))
        return json.loads(answer.body) if answer.status == 200 and answer.body and not answer.streamed else {}

    ask("PUT", "/_mock/snapshot", document)
    if ("PUT /_mock/snapshot", 204) in seen:
        use(ask, call)
    return seen


def use(ask: Any, call: Caller) -> None:
    responses = [one["id"] for one in ask("GET", "/_mock/responses").get("data", [])]
    conversations = [one["id"] for one in ask("GET", "/_mock/conversations").get("data", [])]
    for id in responses:
        ask("GET", f"/v1/responses/{id}")
        ask("GET", f"/v1/responses/{id}", stream="true")
        ask("GET", f"/v1/responses/{id}", include="reasoning.encrypted_content")
        ask("GET", f"/v1/responses/{id}/input_items")
        ask("GET", f"/_mock/responses/{id}/context")
        ask("POST", "/v1/responses", {"model": MODEL, "input": "on", "previous_response_id": id})
        ask("POST", f"/v1/responses/{id}/cancel")
    for id in conversations:
        ask("GET", f"/v1/conversations/{id}")
        items = ask("GET", f"/v1/conversations/{id}/items").get("data", [])
        ask("POST", "/v1/responses", {"model": MODEL, "input": "on", "conversation": id})
        ask(
            "POST",
            "/v1/responses",
            {"model": "gpt-4.1", "input": [{"type": "item_reference", "id": one["id"]} for one in items]},
        )
        for one in items[:1]:
            ask("DELETE", f"/v1/conversations/{id}/items/{one['id']}")
        ask("POST", f"/v1/conversations/{id}", {"metadata": {"a": "c"}})
    ask("POST", "/v1/responses", {"model": "gpt-4.1", "input": "scripted"})
    ask("GET", "/_mock/snapshot")
    ask("GET", "/_mock/scenario")
    ask("GET", "/_mock/faults")
    ask("GET", "/_mock/verdict")
    ask("GET", "/_mock/journal", context="full")
    ask("POST", "/_mock/clock/advance", {"days": 40})
    for id in responses:
        ask("DELETE", f"/v1/responses/{id}")
    for id in conversations:
        ask("DELETE", f"/v1/conversations/{id}")


def test_the_valid_one_is_taken_and_works() -> None:
    seen = statuses_after(json.loads(valid_text()))
    assert ("PUT /_mock/snapshot", 204) in seen and {status for _, status in seen} <= {200, 204, 400, 404, 409}
    assert len(seen) > 30


@pytest.mark.parametrize("part", range(PARTS))
def test_one_wrong_value(part: int) -> None:
    """Each value in each place, with all examples; a part of them, always the same, without."""
    every = list(product(all_places(), (*WRONG, ...)))
    assert len(every) > 10_000
    faults = []
    for path, value in every[part :: PARTS * (ALL // part_of(ALL)) ** 2]:
        seen = statuses_after(mutate(json.loads(valid_text()), path, value))
        faults += [(path, value, one) for one in seen if one[1] >= 500]
    assert faults == []
