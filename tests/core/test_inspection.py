"""What only the control API shows."""

from __future__ import annotations

import pytest

from mockserver.wire.errors.api import MockError
from tests.support.driving import Driver, refused, text_of


def test_the_context_that_a_model_saw() -> None:
    drive = Driver()
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    first = drive.create("u1")
    second = drive.create("u2", previous_response_id=first["id"], instructions="brief", tools=[tool])
    seen = drive.engine.control.context("p", second["id"])
    assert list(seen) == ["instructions", "items", "tokens", "dropped", "tools", "input_tokens"]
    assert seen["instructions"] == "brief"
    assert [text_of(item) for item in seen["items"]][::2] == ["u1", "u2"]
    assert len(seen["tokens"]) == len(seen["items"]) == 3
    assert (seen["dropped"], seen["tools"]) == ([], second["tools"])
    assert seen["input_tokens"] == second["usage"]["input_tokens"]


def test_items_cost_what_the_formulas_say() -> None:
    drive = Driver()
    made = drive.create("ping", instructions="x")
    [cost] = drive.engine.control.context("p", made["id"])["tokens"]
    assert cost == 1 + 4


def test_no_context_of_what_is_not_stored() -> None:
    drive = Driver()
    for id in ("resp_x", drive.create(store=False)["id"]):
        with pytest.raises(MockError) as caught:
            drive.engine.control.context("p", id)
        assert caught.value.status == 404


def test_responses_are_listed_newest_first_by_pages_and_filters() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    first, second = drive.create(), drive.create(model="gpt-5.2")
    third = drive.create(conversation=conversation)
    ids = lambda page: [one["id"] for one in page["data"]]  # noqa: E731
    listed = drive.engine.control.list_responses("p", limit=2, after=None)
    assert (ids(listed), listed["has_more"]) == ([third["id"], second["id"]], True)
    assert ids(drive.engine.control.list_responses("p", limit=2, after=second["id"])) == [first["id"]]
    assert ids(drive.engine.control.list_responses("p", limit=9, after=None, model=second["model"])) == [second["id"]]
    assert ids(drive.engine.control.list_responses("p", limit=9, after=None, model="gpt-5.2")) == [second["id"]]
    assert ids(drive.engine.control.list_responses("p", limit=9, after=None, conversation=conversation)) == [
        third["id"]
    ]
    assert ids(drive.engine.control.list_responses("p", limit=9, after=None, status="failed")) == []
    with pytest.raises(MockError):
        drive.engine.control.list_responses("p", limit=9, after="resp_x")
    drive.advance(days=30)
    assert drive.engine.control.list_responses("p", limit=9, after=None)["data"] == []


def test_conversations_are_listed_newest_first() -> None:
    drive = Driver()
    made = [drive.conversation(metadata={"n": str(n)}) for n in range(3)]
    assert drive.engine.control.list_conversations("p", limit=9, after=None)["data"] == made[::-1]
    assert drive.engine.control.list_conversations("p", limit=1, after=made[2]["id"])["data"] == [made[1]]


def test_the_context_of_a_response_whose_time_is_over_can_still_be_looked_at() -> None:
    drive = Driver()
    made = drive.create("old")
    drive.advance(days=31)
    assert refused(drive.get, made["id"]).status == 404
    assert drive.context(made["id"]) == ["old"]
