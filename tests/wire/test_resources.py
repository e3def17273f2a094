"""Items and envelopes as they go out. Spec: W7, F8, F3, P25, I8."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire.responses import resources
from mockserver.wire.responses.ids import IdGenerator


def id_generator() -> IdGenerator:
    return IdGenerator.at("k", 1_795_176_000.0).in_partition(None)


def stored(item: dict[str, Any]) -> dict[str, Any]:
    return resources.fill_item(item, id_generator())


# type → an item as sent, and the key order of the resource (Spec: W7)
ORDERS = {
    "message": ({"role": "assistant", "phase": "commentary", "content": "a"}, "id type status content phase role"),
    "reasoning": (
        {"summary": [], "encrypted_content": "x", "status": "completed"},
        "id type content encrypted_content summary",
    ),
    "function_call": (
        {"name": "n", "call_id": "c", "arguments": "{}", "namespace": "s"},
        "id type status arguments call_id name namespace",
    ),
    "web_search_call": ({"action": {"type": "search", "queries": []}}, "id type status action"),
    "file_search_call": ({"queries": []}, "id type status queries results"),
    "code_interpreter_call": ({"container_id": "cntr_1"}, "id type status code container_id outputs"),
    "mcp_list_tools": ({"server_label": "s", "tools": []}, "id type server_label tools"),
    "mcp_call": (
        {"server_label": "s", "name": "n", "arguments": "{}"},
        "id type status approval_request_id arguments error name output server_label",
    ),
    "mcp_approval_request": (
        {"server_label": "s", "name": "n", "arguments": ""},
        "id type arguments name server_label",
    ),
    "tool_search_call": ({"arguments": {}}, "id type status arguments call_id execution"),
    "shell_call": ({"action": {"commands": []}, "call_id": "c"}, "id type status action call_id environment"),
    "shell_call_output": ({"call_id": "c", "output": []}, "id type status call_id max_output_length output"),
    "local_shell_call": ({"action": {}, "call_id": "c"}, "id type status action call_id"),
    "compaction": ({"encrypted_content": "x"}, "id type encrypted_content"),
    "program": ({"call_id": "c", "code": "", "fingerprint": ""}, "id type call_id code fingerprint"),
    "program_output": ({"call_id": "c", "result": ""}, "id type status call_id result"),
}


@pytest.mark.parametrize("kind", ORDERS)
def test_W7_key_order(kind: str) -> None:
    sent, order = ORDERS[kind]
    assert list(stored({"type": kind, **sent})) == order.split()


def test_F8_1_text_is_one_user_message() -> None:
    [item] = resources.input_items("hi")
    assert stored(item) == {
        "id": stored(item)["id"],
        "type": "message",
        "status": "completed",
        "content": [{"type": "input_text", "text": "hi"}],
        "role": "user",
    }


def test_F8_2_missing_types_are_written_out() -> None:
    typed = resources.input_items([{"role": "user", "content": "a"}, {"id": "msg_1"}])
    assert [item["type"] for item in typed] == ["message", "item_reference"]


@pytest.mark.parametrize("role", ["user", "system", "developer"])
def test_F8_3_string_content_of_a_caller(role: str) -> None:
    content = stored({"type": "message", "role": role, "content": "a"})["content"]
    assert content == [{"type": "input_text", "text": "a"}]


def test_F8_3_and_4_assistant_content_is_output_text_in_full() -> None:
    full = [{"type": "output_text", "annotations": [], "logprobs": [], "text": "a"}]
    assert stored({"type": "message", "role": "assistant", "content": "a"})["content"] == full
    bare = stored({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]})
    assert bare["content"] == full
    assert list(bare["content"][0]) == ["type", "annotations", "logprobs", "text"]


@pytest.mark.parametrize("detail", [{}, {"detail": None}])
def test_F8_5_image_detail_defaults_to_auto(detail: dict[str, Any]) -> None:
    part = {"type": "input_image", "image_url": "data:x", **detail}
    assert stored({"type": "message", "role": "user", "content": [part]})["content"][0]["detail"] == "auto"


def test_F8_8_client_ids_are_kept_and_missing_ones_are_drawn() -> None:
    assert stored({"type": "message", "role": "user", "content": "a", "id": "msg_mine"})["id"] == "msg_mine"
    assert stored({"type": "message", "role": "user", "content": "a"})["id"].startswith("msg_0")


def test_F7_secrets_of_mcp_tools_are_not_stored() -> None:
    tool = {"type": "mcp", "server_label": "s", "server_url": "https://example.com/mcp", "authorization": "secret"}
    item = stored({"type": "additional_tools", "role": "developer", "tools": [tool]})
    assert "secret" not in str(item)
    assert item["tools"][0]["server_url"] == "https://example.com/<redacted>"


def test_output_items_get_call_ids_and_status() -> None:
    item = resources.output_item({"type": "function_call", "name": "f", "arguments": "{}"}, id_generator())[0]
    assert item["call_id"].startswith("call_")
    assert item["status"] == "completed"
    mine = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "mine"}
    kept, _ = resources.output_item(mine, id_generator())
    assert kept["call_id"] == "mine"


LOGPROB = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}
TEXT = {"type": "output_text", "annotations": [], "logprobs": [LOGPROB], "text": "a"}
# include value → an item in full, and the same item for a caller who did not ask (Spec: F3, I8)
INCLUDES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "reasoning.encrypted_content": (
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"type": "reasoning", "summary": []},
    ),
    "message.output_text.logprobs": (
        {"type": "message", "content": [TEXT]},
        {"type": "message", "content": [{**TEXT, "logprobs": []}]},
    ),
    "message.input_image.image_url": (
        {"type": "message", "content": [{"type": "input_image", "image_url": "u"}]},
        {"type": "message", "content": [{"type": "input_image", "image_url": None}]},
    ),
    "file_search_call.results": (
        {"type": "file_search_call", "results": [{"text": "t"}]},
        {"type": "file_search_call", "results": None},
    ),
    "web_search_call.action.sources": (
        {"type": "web_search_call", "action": {"type": "search", "sources": []}},
        {"type": "web_search_call", "action": {"type": "search"}},
    ),
    "code_interpreter_call.outputs": (
        {"type": "code_interpreter_call", "outputs": []},
        {"type": "code_interpreter_call", "outputs": None},
    ),
    "computer_call_output.output.image_url": (
        {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "u"}},
        {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": None}},
    ),
}


@pytest.mark.parametrize("name", INCLUDES)
def test_F3_include_decides_what_is_filled(name: str) -> None:
    full, bare = INCLUDES[name]
    assert resources.present(full, {name}) == full
    assert resources.present(full, set()) == bare


def test_P25_list_envelopes() -> None:
    assert resources.page([], has_more=False) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    listed = resources.page([{"id": "a"}, {"id": "b"}], has_more=True)
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a", "b", True)


def test_P12_and_W7_markers_and_conversations() -> None:
    assert list(resources.deletion_marker("x", "response")) == ["id", "object", "deleted"]
    assert resources.conversation("conv_1", 5, {}) == {
        "id": "conv_1",
        "object": "conversation",
        "created_at": 5,
        "metadata": {},
    }


def test_items_take_ids_in_their_order_and_hand_on_the_source_after_theirs() -> None:
    """Spec: W3: an item's id says nothing of what was asked for before it."""
    user = {"type": "message", "role": "user", "content": "a"}
    kept, rest = resources.fill_items([user, {**user, "id": "msg_own"}, user], id_generator())
    assert [item["id"] for item in kept] == [
        id_generator().item("message", 0),
        "msg_own",
        id_generator().item("message", 1),
    ]
    assert rest == id_generator().skip(2)
    call = {"type": "code_interpreter_call", "code": "1"}
    drafts = [call, {"type": "shell_call", "action": {"commands": []}}, {"type": "shell_call_output", "output": []}]
    items, rest = resources.output_items(drafts, id_generator())
    source = id_generator()
    assert [item["id"] for item in items] == [
        source.item("code_interpreter_call", 1),
        source.item("shell_call", 3),
        source.item("shell_call_output", 4),
    ]
    assert items[0]["container_id"] == source.container(0)
    assert items[1]["call_id"] == items[2]["call_id"] == source.call(2)
    assert rest == source.skip(5)
