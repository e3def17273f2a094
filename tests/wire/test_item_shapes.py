"""Every item type in `input` and in conversations: accepted, stored, listed as a resource, accepted again.

Spec: I3, F8, F3, O8, W7, R1.37.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.wire.requests.bodies import INCLUDE_VALUES
from mockserver.wire.requests.items import ITEM_TYPES
from mockserver.wire.responses.resources import STATUSLESS
from tests.support.api import Api
from tests.support.driving import Driver
from tests.support.item_inputs import INPUTS, TEXT_PART
from tests.support.scripted_items import DRAFTS, INCLUDE, REPLIES

TERRA = "gpt-5.6-terra"
MODEL: dict[str, Any] = {"model": TERRA}
UPDATABLE: dict[str, Any] = {"model": "gpt-6-sol"}  # `configuration_update` is refused before gpt-6 (E103)
HEAD = ("id", "type", "status")


SEALED = "compaction"  # only what the mock has sealed itself is accepted, so this type comes from a scripted turn
NEVER_KEPT = {"item_reference", "compaction_trigger"}


def test_every_type_is_here() -> None:
    beta = {"agent_message", "multi_agent_call", "multi_agent_call_output"}
    types = {item.get("type", "message") for items in INPUTS.values() for item in items}
    assert types | NEVER_KEPT | {SEALED} | beta == {*ITEM_TYPES, "configuration_update"}


def check_resource(item: dict[str, Any]) -> None:
    """A listed item has an id, a status where its type has one, and its keys in order. Spec: W7, endpoints §5.5."""
    keys = list(item)
    assert keys == [key for key in HEAD if key in item] + sorted(key for key in keys if key not in HEAD)
    assert item["id"]
    assert ("status" in item) == (item["type"] not in STATUSLESS), item
    for part in item.get("content") or ():
        assert next(iter(part)) == "type"
    for key in ("output", "outputs", "results", "actions"):
        for one in item[key] if isinstance(item.get(key), list) else ():
            assert list(one) == sorted(one, key=lambda name: (name != "type", name))


@pytest.mark.parametrize("name", INPUTS)
def test_I3_items_of_an_input_are_listed_as_resources(name: str) -> None:
    drive, model = Driver(), UPDATABLE if name == "configuration" else MODEL
    made = drive.create(INPUTS[name], include=list(INCLUDE), **model)
    listed = drive.input_items(made["id"], order="asc")["data"]
    assert [item["type"] for item in listed] == [item.get("type", "message") for item in INPUTS[name]]
    for item in listed:
        check_resource(item)
    full = drive.input_items(made["id"], order="asc", **{"include[]": "message.input_image.image_url"})["data"]
    assert drive.create(full, **model)["status"] == "completed"


@pytest.mark.parametrize("name", INPUTS)
def test_I3_items_of_a_conversation_are_the_same(name: str) -> None:
    drive, model = Driver(), UPDATABLE if name == "configuration" else MODEL
    conversation = drive.conversation(items=INPUTS[name])["id"]
    listed = drive.items(conversation, order="asc")["data"]
    assert [item["type"] for item in listed] == [item.get("type", "message") for item in INPUTS[name]]
    for item in listed:
        check_resource(item)
    other = drive.conversation()["id"]
    added = drive.add(other, *INPUTS[name])
    assert drive.items(other, order="asc")["data"] == added
    assert drive.create("go on", conversation=conversation, **model)["status"] == "completed"


@pytest.mark.parametrize("name", DRAFTS)
def test_F8_6_output_is_accepted_as_input(name: str) -> None:
    drive = Driver()
    drive.script({"reply": REPLIES[name]})
    first = drive.create("hello", include=list(INCLUDE), **MODEL)
    for item in first["output"]:
        check_resource(item)
    again = drive.create([{"role": "user", "content": "hello"}, *first["output"]], **MODEL)
    listed = drive.input_items(again["id"], order="asc")["data"]
    assert [item["id"] for item in listed[1:]] == [item["id"] for item in first["output"]]
    references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
    referred = drive.create(references, **MODEL)
    kept = drive.input_items(referred["id"], order="asc")["data"]
    assert [item["type"] for item in kept] == [item["type"] for item in first["output"]]
    assert drive.create("go on", previous_response_id=first["id"], **MODEL)["status"] == "completed"


O8 = {
    "code interpreter": ("code_interpreter_call", {"code", "outputs"}),
    "image that failed": ("image_generation_call", {"result"}),
    "shell": ("shell_call", {"environment"}),
    "tool search": ("tool_search_call", {"call_id", "execution"}),
}


@pytest.mark.parametrize("name", O8)
def test_O8_keys_that_are_always_there(name: str) -> None:
    drive = Driver()
    drive.script({"reply": {"output": DRAFTS[name]}})
    output = drive.create("hello", **MODEL)["output"]
    kind, keys = O8[name]
    [item] = [one for one in output if one["type"] == kind]
    assert keys <= item.keys()


def test_O8_inside_items() -> None:
    drive = Driver()
    drive.script({"reply": {"output": DRAFTS["shell"] + DRAFTS["computer"] + DRAFTS["tool search"]}})
    shell, output, computer, _, _, search = drive.create("hello", **MODEL)["output"]
    assert shell["action"] == {"commands": ["ls -l", "pwd"], "max_output_length": None, "timeout_ms": None}
    assert output["max_output_length"] is None
    assert list(output["output"][0]) == ["outcome", "stderr", "stdout"]
    assert computer["action"] == {"type": "double_click", "keys": None, "x": 1, "y": 2}
    assert search["tools"][0]["strict"] is None


# include value → the scripted items or input that hold it, and where it is found
PLACES: dict[str, tuple[str, Any]] = {
    "file_search_call.results": ("file search", lambda item: item["results"]),
    "web_search_call.action.sources": ("web search", lambda item: item["action"].get("sources")),
    "computer_call_output.output.image_url": ("computer", lambda item: item["output"]["image_url"]),
    "code_interpreter_call.outputs": ("code", lambda item: item["outputs"]),
    "message.input_image.image_url": ("parts", lambda item: item["content"][1]["image_url"]),
    "reasoning.encrypted_content": ("reasoning", lambda item: item.get("encrypted_content")),
    "message.output_text.logprobs": ("assistant's output", lambda item: item["content"][0]["logprobs"]),
    "web_search_call.results": ("web search", lambda item: item.get("results")),
}
LOGPROBS = [{"token": "hi", "bytes": [104, 105], "logprob": -0.5, "top_logprobs": []}]


def holding(name: str) -> tuple[list[dict[str, Any]], int]:
    """Items that hold what `name` includes, and the place of the one that does."""
    items = INPUTS[PLACES[name][0]]
    if name == "message.output_text.logprobs":
        items = [{**items[0], "content": [{**TEXT_PART, "logprobs": LOGPROBS}]}]
    return items, len(items) - 1


@pytest.mark.parametrize("name", sorted({*INCLUDE_VALUES} - {"web_search_call.results", "reasoning.encrypted_content"}))
def test_F3_include_decides_at_every_endpoint(name: str) -> None:
    look = PLACES[name][1]
    items, at = holding(name)
    drive = Driver()
    made = drive.create(items, **MODEL)
    asked = {"include[]": name}
    assert not look(drive.input_items(made["id"], order="asc")["data"][at])
    assert look(drive.input_items(made["id"], order="asc", **asked)["data"][at])
    conversation = drive.conversation(items=items)["id"]
    assert not look(drive.items(conversation, order="asc")["data"][at])
    listed = drive.items(conversation, order="asc", **asked)["data"][at]
    assert look(listed)
    retrieve = Api(drive.engine).retrieve_item
    assert not look(json.loads(retrieve("p", conversation, listed["id"], ())))
    assert look(json.loads(retrieve("p", conversation, listed["id"], [name])))
    body = json.dumps({"items": items}).encode()
    other = drive.conversation()["id"]
    assert not look(json.loads(Api(drive.engine).create_items("p", other, body, ()))["data"][at])
    other = drive.conversation()["id"]
    assert look(json.loads(Api(drive.engine).create_items("p", other, body, [name]))["data"][at])


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("file_search_call.results", "file search"),
        ("web_search_call.action.sources", "web search"),
        ("computer_call_output.output.image_url", "computer"),
        ("code_interpreter_call.outputs", "code interpreter"),
        ("reasoning.encrypted_content", "reasoning"),
    ],
)
def test_F3_include_at_create_and_retrieve(name: str, reply: str) -> None:
    look = PLACES[name][1]
    bare, full = (Driver(set=(("encrypted_content", "included"),)) for _ in range(2))  # Spec: R1.41
    for drive in (bare, full):
        drive.script({"reply": REPLIES[reply]})
    at = 1 if reply == "computer" else 0
    silent = bare.create("hello", **MODEL)
    assert not look(silent["output"][at])
    assert look(bare.get(silent["id"], name)["output"][at])
    asked = full.create("hello", include=[name], **MODEL)
    assert look(asked["output"][at])
    assert look(full.get(asked["id"])["output"][at]), "what was included at creation stays included"
