"""A trial notices what a server does wrong in one turn, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockserver.conformance.drivers import Answer, EngineDriver
from mockserver.conformance.machine.checked_client import CheckedClient, stage_of
from mockserver.conformance.machine.operations import Operations
from mockserver.conformance.machine.reference_model import item_of
from mockserver.conformance.machine.requests import RequestCase


class Changed(EngineDriver):
    """An engine whose created responses are changed on their way."""

    def __init__(self, change: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self.change = change

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        answer = super().call(method, path, body, **query)
        if (method, path, answer.status) == ("POST", "/responses", 200):
            self.change(answer.body)
        return answer

    def new_project(self, name: str) -> EngineDriver:
        return self


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "parent": lambda body: body.update(previous_response_id="resp_other"),
    "conversation": lambda body: body.update(conversation=None),
    "instructions": lambda body: body.update(instructions="Be kind."),
    "metadata": lambda body: body.update(metadata={"a": "b"}),
    "store": lambda body: body.update(store=False),
    "created_at": lambda body: body.update(created_at=body["created_at"] + 1),
    "status": lambda body: body.update(status="incomplete"),
    "total": lambda body: body["usage"].update(total_tokens=1),
    "input tokens": lambda body: body["usage"].update(input_tokens=1, total_tokens=1 + body["usage"]["output_tokens"]),
    "text": lambda body: body["output"][0]["content"][0].update(text="Mock reply to: red [9 items in context]"),
    "mark": lambda body: body.update(id=body["id"][:21] + "01" + body["id"][23:]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_answer_is_noticed(change: str) -> None:
    with pytest.raises(AssertionError):
        CheckedClient(stage_of(Changed(CHANGES[change]))).turn(RequestCase(counted=True))


def test_a_refusal_that_does_not_come_is_noticed() -> None:
    verbs = Operations(stage_of(EngineDriver()))
    verbs.reference.responses.clear()
    id = verbs.create(RequestCase())
    assert id is not None
    verbs.reference.responses[id].deleted = True
    with pytest.raises(AssertionError, match="E60"):
        verbs.chain(id, RequestCase())
    with pytest.raises(AssertionError, match="E75"):
        verbs.audit()


def test_items_are_known_by_what_they_say() -> None:
    part = {"type": "output_text", "text": "hi"}
    message = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [part, {"type": "refusal", "refusal": "no"}],
    }
    assert (item_of(message).text, item_of({"type": "reasoning", "id": "rs_1"}).id) == ("hino", "rs_1")


def _kept_by_both(verbs: Operations) -> None:
    """An item referred to in a second response, which is deleted: the first still holds it."""
    first = verbs.create(RequestCase())
    [item, *_] = verbs.list_input_items(first or "", None, None)
    second = verbs.refer(item, RequestCase())
    verbs.delete(second or "")
    verbs.refer(item, RequestCase())


def _failed_in_a_conversation(verbs: Operations) -> None:
    """An item of a turn that failed in a conversation, which never got it, and which is past its time."""
    talk = verbs.create_conversation((), {})
    failed = verbs.converse(talk, RequestCase(outcome="failed"))
    [item, *_] = verbs.list_input_items(failed or "", None, None)
    verbs.outlive(failed or "", 0)
    verbs.refer(item, RequestCase())


def _done_later(verbs: Operations) -> None:
    """A turn that takes 100 seconds."""
    verbs.background(RequestCase(), True)
    verbs.wait(100)


PROGRAMS = {"R1.37": _kept_by_both, "R2.10": _failed_in_a_conversation, "O1": _done_later}


@pytest.mark.parametrize("rule", PROGRAMS)
def test_programs_that_once_failed(rule: str) -> None:
    PROGRAMS[rule](Operations(stage_of(EngineDriver())))
