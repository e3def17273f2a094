"""What only the control API shows."""

from __future__ import annotations

import pytest

from mockserver.config.pacing import Pacing
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


def test_a_response_can_be_looked_at_while_it_runs_and_after_its_time() -> None:
    drive = Driver()
    made = drive.create("old")
    drive.advance(days=31)
    assert drive.engine.control.response("p", made["id"]) == made
    with pytest.raises(MockError) as caught:
        drive.engine.control.response("p", "resp_x")
    assert caught.value.status == 404


def test_S5_the_events_of_a_response_with_the_second_of_each() -> None:
    drive = Driver()
    made = drive.create("ping")
    at_once = drive.engine.control.response_events("p", made["id"])
    assert {*at_once["seconds"]} == {0.0}
    assert [at_once["events"][at]["type"] for at in (0, 1, -1)] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]
    paced = drive.engine.control.response_events("p", made["id"], 0.5, 10)
    assert paced["events"] == at_once["events"]
    types = [event["type"] for event in paced["events"]]
    first, second = [paced["seconds"][at] for at, type in enumerate(types) if type.endswith(".delta")][:2]
    # the first token after its delay and a tenth of a second, each other one a tenth later
    assert (paced["seconds"][0], first, second) == (0.0, 0.6, 0.7)


def test_R6_2_a_background_response_in_progress_as_a_poll_finds_it() -> None:
    drive = Driver(pacing=Pacing(1, 1))
    made = drive.create("ping", background=True)
    assert drive.engine.control.response("p", made["id"])["status"] == "queued"
    events = drive.engine.control.response_events("p", made["id"], 0, 0)
    assert events["seconds"][-1] > 1, "its own pacing counts"
    drive.advance(days=1)
    assert drive.engine.control.response("p", made["id"])["status"] == "completed"


def test_models_have_the_sizes_that_the_public_api_does_not_list() -> None:
    sizes = {model["id"]: model for model in Driver().engine.control.models()["data"]}
    assert sizes["gpt-4.1"] == {"id": "gpt-4.1", "context_window": 1_047_576, "max_output_tokens": 32_768}


def test_the_context_of_a_response_whose_time_is_over_can_still_be_looked_at() -> None:
    drive = Driver()
    made = drive.create("old")
    drive.advance(days=31)
    assert refused(drive.get, made["id"]).status == 404
    assert drive.context(made["id"]) == ["old"]
