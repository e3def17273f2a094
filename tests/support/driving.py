"""Driving an engine in a test: plain dicts in and out, one project, a clock that stands still."""

from __future__ import annotations

import json
from typing import Any

from mockserver.config.settings import Settings
from mockserver.conformance.usage_invariants import check_usage, usages_of
from mockserver.delivery.answer import Answer
from mockserver.delivery.events import Emit, events_in
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.wire.errors.api import APIError
from mockserver.wire.responses.events import Event

NOON = 1_795_176_000.0  # 2026-11-20T12:00:00Z
MODEL = "gpt-4.1"
CHAT = "gpt-4.1-2025-04-14"


class Driver:
    """One project of an engine."""

    def __init__(self, engine: Engine | None = None, project: str = "p", **settings: Any) -> None:
        self.engine = engine or Engine(Settings(**{"clock": NOON, **settings}))
        self.project = project
        self.adds_up = True  # what a test scripts need not

    def checked(self, usages: list[Any]) -> None:
        """Check an invariant of every answer. Spec: O2, R8.6."""
        for usage in usages if self.adds_up else ():
            check_usage(usage)

    def script(self, *lines: dict[str, Any]) -> None:
        self.adds_up &= not any({"usage", "response"} & line["reply"].keys() for line in lines if "reply" in line)
        self.engine.control.enqueue(self.project, list(lines))

    def create(self, input: Any = "hello", **fields: Any) -> dict[str, Any]:
        body = {"model": MODEL, "input": input, **fields}
        delivery = self.engine.create_response(self.project, json.dumps(body).encode())
        assert delivery.body is not None
        if delivery.running and delivery.steps:
            self.engine.finish(self.project, delivery.id)
        response: dict[str, Any] = json.loads(delivery.body)
        self.checked(usages_of(response))
        return response

    def stream(self, input: Any = "hello", **fields: Any) -> list[Event]:
        body = {"model": MODEL, "input": input, "stream": True, **fields}
        delivery = self.engine.create_response(self.project, json.dumps(body).encode())
        events = [event for step in delivery.steps if isinstance(step, Emit) for event in step.events]
        self.checked(usages_of(None, events))
        return events

    def answer(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Return what a call is answered; raises the error that answers it."""
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.engine.handle(Call(method, path, sent, self.project, list(query.items())))
        if answer.error is not None:
            raise answer.error
        return answer

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """Return the JSON that a call is answered with; raises the error that answers it."""
        return json.loads(self.answer(method, path, body, **query).body)

    def get(self, id: str, *include: str) -> dict[str, Any]:
        call = Call("GET", f"/v1/responses/{id}", b"", self.project, [("include[]", one) for one in include])
        answer = self.engine.handle(call)
        if answer.error is not None:
            raise answer.error
        return json.loads(answer.body)

    def replay(self, id: str, **query: str) -> list[Event]:
        answer = self.answer("GET", f"/v1/responses/{id}", stream="true", **query)
        return events_in(answer.player.steps) if answer.player else list(answer.events or ())

    def delete(self, id: str) -> dict[str, Any]:
        return self.call("DELETE", f"/v1/responses/{id}")

    def input_items(self, id: str, **query: str) -> dict[str, Any]:
        return self.call("GET", f"/v1/responses/{id}/input_items", **query)

    def count(self, **body: Any) -> int:
        return self.call("POST", "/v1/responses/input_tokens", {"model": MODEL, **body})["input_tokens"]

    def conversation(self, **body: Any) -> dict[str, Any]:
        return self.call("POST", "/v1/conversations", body)

    def items(self, id: str, **query: str) -> dict[str, Any]:
        return self.call("GET", f"/v1/conversations/{id}/items", **query)

    def add(self, id: str, *items: Any) -> list[dict[str, Any]]:
        return self.call("POST", f"/v1/conversations/{id}/items", {"items": items})["data"]

    def context(self, id: str) -> list[str]:
        return [text_of(item) for item in self.engine.control.context(self.project, id)["items"]]

    def advance(self, **how: float) -> dict[str, Any]:
        seconds = how.get("seconds", 0) + how.get("days", 0) * 86_400
        return self.engine.control.advance_clock(self.project, seconds)


def text_of(item: dict[str, Any]) -> str:
    """Return what an item says, whatever it is."""
    match item["type"]:
        case "message":
            return "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])
        case "function_call_output" | "custom_tool_call_output":
            return str(item["output"])
        case "function_call" | "custom_tool_call":
            return item["name"]
        case _:
            return str(item["type"])


def refused(call: Any, *args: Any, **kwargs: Any) -> APIError:
    """Return the error that a call raises."""
    try:
        result = call(*args, **kwargs)
    except APIError as error:
        return error
    raise AssertionError(f"not refused: {result}")


def summary(error: APIError) -> tuple[int, str, str | None, str | None]:
    """Return what a client can tell of an error besides its type."""
    return error.status, error.message, error.param, error.code
