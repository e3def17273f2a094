"""Each verb does what a client would do, on our own server and on one without controls."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.conformance.drivers import EngineDriver
from mockserver.conformance.machine.checked_client import stage_of
from mockserver.conformance.machine.operations import Operations
from mockserver.conformance.machine.reference_model import THIRTY_DAYS
from mockserver.conformance.machine.requests import REASONING, RequestCase


class Foreign(EngineDriver):
    """An engine as a server that is not ours: no clock, no script, no projects."""

    controls = False

    def control(self, method: str, path: str, body: Any = None) -> Any:
        raise LookupError(path)

    def new_project(self, name: str) -> EngineDriver:
        return self


@pytest.fixture(params=[EngineDriver, Foreign])
def verbs(request: pytest.FixtureRequest) -> Operations:
    return Operations(stage_of(request.param()))


def made(id: str | None) -> str:
    assert id is not None
    return id


def test_a_chain_with_a_call(verbs: Operations) -> None:
    call = made(verbs.create_call(RequestCase(text="green", model=REASONING)))
    assert verbs.chain(call, RequestCase(model=REASONING)) is None  # E71
    answered = made(verbs.answer_call(call, RequestCase(model=REASONING, transport="sse")))
    assert [item.type for item in verbs.reference.responses[answered].own] == ["function_call_output"]
    assert verbs.chain(answered, RequestCase()) is None  # E55
    assert len(verbs.fork(answered, RequestCase(model=REASONING))) == 2
    verbs.recount(answered, REASONING)
    verbs.delete(answered)
    verbs.audit()


def test_a_conversation(verbs: Operations) -> None:
    talk = verbs.create_conversation(("user", "assistant"), {"colour": "red"})
    response = made(verbs.converse(talk, RequestCase(store=False)))
    assert verbs.reference.conversations[talk].items[2:] == [
        item.id for one in (verbs.reference.responses[response],) for item in (*one.own, *one.output)
    ]
    newest, oldest = verbs.list_items(talk, None, None)
    verbs.delete_item(talk, oldest)
    verbs.page_items(talk, newest, 1, "desc")
    verbs.add(talk, ("call",))
    assert verbs.converse(talk, RequestCase()) is None  # E71
    verbs.update_conversation(talk, {})
    verbs.delete_conversation(talk)
    verbs.audit()


def test_in_the_background(verbs: Operations) -> None:
    talk = verbs.create_conversation((), {})
    slow = made(verbs.background_in(talk, RequestCase(metadata=True), True))
    assert verbs.reference.responses[slow].running is verbs.controls
    verbs.cancel(slow)
    verbs.cancel(slow)
    verbs.converse(talk, RequestCase())
    verbs.audit()


def test_an_agents_response_is_adopted(verbs: Operations) -> None:
    first = made(verbs.create(RequestCase()))
    body = {"model": REASONING, "input": "its own words", "previous_response_id": first, "instructions": "Be kind."}
    second = verbs.driver.call("POST", "/responses", body).body["id"]
    assert verbs.adopt(second) == second
    assert [item.text for item in verbs.reference.responses[second].own] == ["its own words"]
    verbs.chain(second, RequestCase(model=REASONING))
    verbs.audit()


def test_time_and_places() -> None:
    verbs = Operations(stage_of(EngineDriver()))
    first = made(verbs.create(RequestCase(transport="sse")))
    verbs.replay(first, 2)
    verbs.trespass(first)
    verbs.move()
    verbs.wait(THIRTY_DAYS - 1)
    second = made(verbs.chain(first, RequestCase()))
    verbs.outlive(first, 0)
    assert not verbs.reference.alive(first)
    assert verbs.reference.alive(second)
    verbs.move()
    verbs.audit()


@pytest.mark.parametrize("server", [EngineDriver, Foreign])
def test_nothing_is_left_behind(server: type[EngineDriver]) -> None:
    driver = server()
    verbs = Operations(stage_of(driver))
    talk, response = verbs.create_conversation(("user",), {}), made(verbs.create(RequestCase()))
    verbs.close()
    assert verbs.driver.call("GET", f"/conversations/{talk}").status == 404
    assert verbs.driver.call("GET", f"/responses/{response}").status == 404
