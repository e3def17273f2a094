"""Canonical event orders of every item type. Spec: S8, S9, S14."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.delivery.item_events import STREAMERS, Cues, EventWriter, stream_item, stream_items
from mockserver.wire.responses.events import Event, Padding


def words(text: str) -> list[str]:
    """A tokenizer that is easy to follow: pieces end with a space."""
    return [word for word in text.replace(" ", " \0").split("\0") if word]


def events(item: dict[str, Any], *, padded: bool = True, cues: Cues | None = None) -> list[Event]:
    script = EventWriter(words, Padding("resp_1") if padded else None, cues)
    stream_item(script, item, 0)
    return script.events


def told(stream: list[Event]) -> list[str]:
    """The events between added and done, without the prefix that all have."""
    return [event["type"].removeprefix("response.") for event in stream[1:-1]]


def part(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text, **more}


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "content": [part("one two")],
    "phase": "final_answer",
    "role": "assistant",
}
REASONING = {"id": "rs_1", "type": "reasoning", "content": [], "encrypted_content": "x" * 80, "summary": []}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "arguments": '{"city": "Paris"}',
    "call_id": "call_1",
    "name": "f",
}
CUSTOM = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "status": "completed",
    "call_id": "call_1",
    "input": "a b",
    "name": "f",
}

# item → its events between output_item.added and output_item.done, without the prefix "response." (Spec: S8)
ORDERS: dict[str, tuple[dict[str, Any], str]] = {
    "message": (
        MESSAGE,
        "content_part.added output_text.delta output_text.delta output_text.done content_part.done",
    ),
    "refusal": (
        {**MESSAGE, "content": [{"type": "refusal", "refusal": "no way"}]},
        "content_part.added refusal.delta refusal.delta refusal.done content_part.done",
    ),
    "empty message": (MESSAGE | {"content": []}, ""),
    "message with empty text": (
        MESSAGE | {"content": [part("")]},
        "content_part.added output_text.done content_part.done",
    ),
    "reasoning": (REASONING, ""),
    "reasoning with summary": (
        {**REASONING, "summary": [{"type": "summary_text", "text": "a b"}]},
        "reasoning_summary_part.added reasoning_summary_text.delta reasoning_summary_text.delta "
        "reasoning_summary_text.done reasoning_summary_part.done",
    ),
    "reasoning with text": (
        {**REASONING, "content": [{"type": "reasoning_text", "text": "a"}]},
        "content_part.added reasoning_text.delta reasoning_text.done content_part.done",
    ),
    "function_call": (
        CALL,
        "function_call_arguments.delta function_call_arguments.delta function_call_arguments.done",
    ),
    "custom_tool_call": (
        CUSTOM,
        "custom_tool_call_input.delta custom_tool_call_input.delta custom_tool_call_input.done",
    ),
    "web_search_call": (
        {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}},
        "web_search_call.in_progress web_search_call.searching web_search_call.completed",
    ),
    "file_search_call": (
        {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": [], "results": None},
        "file_search_call.in_progress file_search_call.searching file_search_call.completed",
    ),
    "image_generation_call": (
        {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "AA=="},
        "image_generation_call.in_progress image_generation_call.generating image_generation_call.completed",
    ),
    "code_interpreter_call": (
        {
            "id": "ci_1",
            "type": "code_interpreter_call",
            "status": "completed",
            "code": "a b",
            "container_id": "cntr_1",
            "outputs": None,
        },
        "code_interpreter_call.in_progress code_interpreter_call_code.delta code_interpreter_call_code.delta "
        "code_interpreter_call_code.done code_interpreter_call.interpreting code_interpreter_call.completed",
    ),
    "mcp_list_tools": (
        {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "s", "tools": []},
        "mcp_list_tools.in_progress mcp_list_tools.completed",
    ),
    "mcp_call": (
        {
            "id": "mcp_1",
            "type": "mcp_call",
            "status": "completed",
            "arguments": "{} {}",
            "error": None,
            "name": "f",
            "output": "x",
            "server_label": "s",
        },
        "mcp_call.in_progress mcp_call_arguments.delta mcp_call_arguments.done mcp_call.completed",
    ),
    "mcp_call that failed": (
        {
            "id": "mcp_1",
            "type": "mcp_call",
            "status": "failed",
            "arguments": "{}",
            "error": {"type": "http_error"},
            "name": "f",
            "output": None,
            "server_label": "s",
        },
        "mcp_call.in_progress mcp_call_arguments.delta mcp_call_arguments.done mcp_call.failed",
    ),
    "tool_search_call": ({"id": "tsc_1", "type": "tool_search_call", "status": "completed", "arguments": {}}, ""),
    "local_shell_call": ({"id": "lsh_1", "type": "local_shell_call", "status": "completed", "action": {}}, ""),
    "mcp_list_tools that failed": (
        {"id": "mcpl_1", "type": "mcp_list_tools", "error": "unreachable", "server_label": "s", "tools": []},
        "mcp_list_tools.in_progress mcp_list_tools.failed",
    ),
    "web_search_call that failed": (
        {"id": "ws_1", "type": "web_search_call", "status": "failed", "action": {"type": "search"}},
        "web_search_call.in_progress web_search_call.searching",
    ),
    "computer_call": (
        {"id": "cu_1", "type": "computer_call", "status": "completed", "call_id": "call_1", "action": {"type": "wait"}},
        "",
    ),
    "tool_search_output": ({"id": "tso_1", "type": "tool_search_output", "status": "completed", "tools": []}, ""),
    "program": ({"id": "cm_1", "type": "program", "call_id": "call_1", "code": "1", "fingerprint": "f"}, ""),
    "program_output": ({"id": "cmo_1", "type": "program_output", "status": "completed", "result": "1"}, ""),
    "apply_patch_call": (
        {
            "id": "apc_1",
            "type": "apply_patch_call",
            "status": "completed",
            "call_id": "call_1",
            "operation": {"type": "update_file", "diff": "-a\n+b", "path": "x"},
        },
        "",
    ),
    "apply_patch_call (delete)": (
        {
            "id": "apc_1",
            "type": "apply_patch_call",
            "status": "completed",
            "call_id": "call_1",
            "operation": {"type": "delete_file", "path": "x"},
        },
        "",
    ),
    "compaction": ({"id": "cmp_1", "type": "compaction", "encrypted_content": "x" * 80}, ""),
    "shell_call": (
        {
            "id": "sh_1",
            "type": "shell_call",
            "status": "completed",
            "action": {"commands": ["ls -l", "pwd"], "max_output_length": None, "timeout_ms": None},
            "call_id": "call_1",
            "environment": None,
        },
        "shell_call_command.added shell_call_command.delta shell_call_command.delta shell_call_command.done "
        "shell_call_command.added shell_call_command.delta shell_call_command.done",
    ),
    "shell_call_output": (
        {
            "id": "sho_1",
            "type": "shell_call_output",
            "status": "completed",
            "call_id": "call_1",
            "output": [
                {"outcome": {"type": "exit", "exit_code": 0}, "stderr": "", "stdout": "a b"},
                {"outcome": {"type": "timeout"}, "stderr": "", "stdout": ""},
            ],
        },
        "shell_call_output_content.delta shell_call_output_content.done shell_call_output_content.done",
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_S8_canonical_order(name: str) -> None:
    item, between = ORDERS[name]
    types = [event["type"] for event in events(item)]
    expected = [f"response.{one}" for one in ("output_item.added", *between.split(), "output_item.done")]
    assert types == expected


@pytest.mark.parametrize("name", ORDERS)
def test_S9_invariants(name: str) -> None:
    item = ORDERS[name][0]
    stream = events(item)
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    assert stream[-1]["item"] == item
    added = stream[0]["item"]
    assert [added["id"], added["type"], added.get("call_id")] == [item["id"], item["type"], item.get("call_id")]
    unnamed = [event["type"] for event in stream[1:-1] if "item_id" not in event]
    assert all(type.startswith("response.shell_call_command.") for type in unnamed)
    assert all(event.get("item_id", item["id"]) == item["id"] for event in stream[1:-1])
    assert all(event["output_index"] == 0 for event in stream)


def test_every_streamer_has_an_order() -> None:
    assert set(STREAMERS) <= {item["type"] for item, _ in ORDERS.values()}


def test_S8a_what_a_message_looks_like_when_added() -> None:
    added = events(MESSAGE)[0]["item"]
    assert added == {**MESSAGE, "status": "in_progress", "content": []}
    assert list(added) == list(MESSAGE)
    opened = events(MESSAGE)[1]["part"]
    assert opened == {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}


def test_S8c_a_call_is_added_without_arguments() -> None:
    assert events(CALL)[0]["item"] == {**CALL, "status": "in_progress", "arguments": ""}
    assert events(CUSTOM)[0]["item"] == {**CUSTOM, "status": "in_progress", "input": ""}


def test_S9_deltas_add_up() -> None:
    stream = events(MESSAGE)
    assert "".join(event["delta"] for event in stream if event["type"].endswith(".delta")) == "one two"
    [done] = [event for event in stream if event["type"] == "response.output_text.done"]
    assert done["text"] == "one two"


PADDED = ["message", "reasoning with summary", "function_call", "code_interpreter_call", "mcp_call", "shell_call"]


@pytest.mark.parametrize("name", ORDERS)
def test_S6_which_deltas_are_padded(name: str) -> None:
    item = ORDERS[name][0]
    deltas = [event for event in events(item) if event["type"].endswith(".delta")]
    assert all(("obfuscation" in event) == (name in (*PADDED, "mcp_call that failed")) for event in deltas)
    assert all(
        (len(event["delta"]) + len(event["obfuscation"])) % 16 == 0 for event in deltas if "obfuscation" in event
    )
    assert not any("obfuscation" in event for event in events(item, padded=False))


URL = {"type": "url_citation", "title": "t", "url": "u"}
FILE = {"type": "file_citation", "file_id": "f", "filename": "n"}
CITATIONS: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    # a citation of a page arrives in one delta (S6.1) and is told directly behind it
    "page": ([{**URL, "start_index": 4, "end_index": 13}], ["one ", "two three", "+0", " ", "four"]),
    "page at the start": ([{**URL, "start_index": 0, "end_index": 3}], ["one", "+0", " ", "two ", "three ", "four"]),
    "file at an index": ([{**FILE, "index": 8}], ["one ", "two ", "+0", "three ", "four"]),
    "file within a token": ([{**FILE, "index": 9}], ["one ", "two ", "three ", "+0", "four"]),
    "file at the beginning": ([{**FILE, "index": 0}], ["one ", "+0", "two ", "three ", "four"]),
    "two at one place": ([{**FILE, "index": 4}, {**FILE, "index": 4}], ["one ", "+0", "+1", "two ", "three ", "four"]),
    "not in their order": (
        [{**FILE, "index": 18}, {**URL, "start_index": 0, "end_index": 7}],
        ["one two", " ", "three ", "four", "+0", "+1"],  # by index all the same: openai-node refuses one that skips
    ),
    "beyond the text": ([{**URL, "start_index": 0, "end_index": 99}], ["one two three four", "+0"]),
    "overlapping": (
        [{**URL, "start_index": 0, "end_index": 7}, {**URL, "start_index": 4, "end_index": 13}],
        ["one two", "+0", " ", "three ", "+1", "four"],
    ),
}


@pytest.mark.parametrize("name", CITATIONS)
def test_S8a_a_citation_is_told_directly_behind_the_delta_that_reaches_its_place(name: str) -> None:
    annotations, expected = CITATIONS[name]
    stream = events({**MESSAGE, "content": [part("one two three four", annotations=annotations)]})
    told = [event.get("delta", f"+{event.get('annotation_index')}") for event in stream[2:-3]]
    assert told == expected
    assert all(
        event["annotation"] == annotations[event["annotation_index"]] for event in stream if "annotation" in event
    )


def test_S6_1_one_log_probability_per_delta() -> None:
    logprobs = [{"token": "one "}, {"token": "two"}]
    stream = events({**MESSAGE, "content": [part("one two", logprobs=logprobs)]})
    assert [event["logprobs"] for event in stream if event["type"].endswith(".delta")] == [[one] for one in logprobs]


def test_S6_1_deltas_are_the_tokens_that_have_log_probabilities() -> None:
    logprobs = [{"token": "o"}, {"token": "ne t"}, {"token": "wo"}]
    stream = events({**MESSAGE, "content": [part("one two", logprobs=logprobs)]})
    deltas = [event for event in stream if event["type"].endswith(".delta")]
    assert [event["delta"] for event in deltas] == ["o", "ne t", "wo"]
    assert [event["logprobs"] for event in deltas] == [[one] for one in logprobs]
    others = [{"token": "something else"}]
    stream = events({**MESSAGE, "content": [part("one two", logprobs=others)]})
    assert [(event["delta"], event["logprobs"]) for event in stream[2:4]] == [("one ", []), ("two", [])]
    assert stream[4]["logprobs"] == others


def test_S6_1_log_probabilities_are_full_in_events_and_rounded_in_the_item() -> None:
    precise, rounded = {"token": "one", "logprob": -0.00007493430894101039}, {"token": "one", "logprob": -7.5e-05}
    item = {**MESSAGE, "content": [part("one", logprobs=[rounded]), part("none")]}
    stream = events(item, cues={"0": {"logprobs": [[precise], []]}})
    told = {event["type"].removeprefix("response."): event for event in stream[:5]}
    assert told["output_text.delta"]["logprobs"] == told["output_text.done"]["logprobs"] == [precise]
    assert told["content_part.added"]["part"]["logprobs"] == told["content_part.done"]["part"]["logprobs"] == []
    assert stream[-1]["item"] == item


# item → what its added event shows in another way than its done event (Spec: S8, the table of output_item.added)
ADDED: dict[str, dict[str, Any]] = {
    "message": {"status": "in_progress", "content": []},
    "function_call": {"status": "in_progress", "arguments": ""},
    "custom_tool_call": {"status": "in_progress", "input": ""},
    "tool_search_call": {"status": "in_progress", "arguments": {}},
    "tool_search_output": {"status": "in_progress"},
    "program_output": {"result": ""},
    "file_search_call": {"status": "in_progress", "queries": [], "results": None},
    "web_search_call": {"status": "in_progress"},
    "code_interpreter_call": {"status": "in_progress", "code": "", "outputs": []},
    "local_shell_call": {"status": "in_progress", "action": {"type": "exec", "command": [], "env": {}}},
    "image_generation_call": {"status": "in_progress"},
}
DONE: dict[str, dict[str, Any]] = {
    "tool_search_call": {"arguments": {"paths": ["crm"]}},
    "tool_search_output": {"tools": [{"type": "function", "name": "f"}]},
    "file_search_call": {"queries": ["q"], "results": [{"file_id": "f"}]},
    "code_interpreter_call": {"outputs": [{"type": "logs", "logs": "4"}]},
    "local_shell_call": {"action": {"type": "exec", "command": ["ls"], "env": {"A": "b"}, "user": "u"}},
    "image_generation_call": {"quality": "low", "size": "1024x1024", "revised_prompt": "p"},
}
HEADS_ONLY = ("web_search_call", "image_generation_call")


@pytest.mark.parametrize("name", ADDED)
def test_S8_what_an_item_looks_like_when_it_is_added(name: str) -> None:
    item = {**ORDERS[name][0], **DONE.get(name, {})}
    stream = events(item)
    begun = {key: item[key] for key in ("id", "type", "status")} if name in HEADS_ONLY else item
    assert stream[0]["item"] == {**begun, **ADDED[name]}
    assert stream[-1]["item"] == item


def test_S8_outputs_that_are_not_included_are_null_from_the_start() -> None:
    assert events(ORDERS["code_interpreter_call"][0])[0]["item"]["outputs"] is None


def test_S8_a_message_is_complete_from_the_start_in_pro_mode() -> None:
    script = EventWriter(words, None, message_status="completed")
    stream_item(script, MESSAGE, 0)
    assert script.events[0]["item"] == {**MESSAGE, "content": []}


def test_S8j_sealed_content_is_shorter_when_the_item_is_added() -> None:
    stream = events(REASONING)
    assert 0 < len(stream[0]["item"]["encrypted_content"]) < len(stream[-1]["item"]["encrypted_content"])


def test_S8j_a_compaction_says_that_it_goes_on() -> None:
    item = ORDERS["compaction"][0]
    stream = events(item, cues={"0": {"compacting": 2}})
    assert told(stream) == ["compaction.compacting"] * 2
    assert list(stream[1]) == ["type", "item_id", "output_index", "sequence_number"]
    assert 0 < len(stream[0]["item"]["encrypted_content"]) < len(item["encrypted_content"])


def test_S8_images_on_their_way() -> None:
    item = ORDERS["image_generation_call"][0] | {"output_format": "png", "size": "1024x1024"}
    stream = events(item, cues={"0": {"partial_images": ["QQ==", "Qg=="]}})
    assert told(stream) == [
        f"image_generation_call.{phase}"
        for phase in ("in_progress", "generating", "partial_image", "partial_image", "completed")
    ]
    assert stream[4] == {
        "type": "response.image_generation_call.partial_image",
        "item_id": "ig_1",
        "output_format": "png",
        "output_index": 0,
        "partial_image_b64": "Qg==",
        "partial_image_index": 1,
        "sequence_number": 4,
        "size": "1024x1024",
    }
    assert list(stream[4])[1:] == sorted(list(stream[4])[1:])


def test_S16_what_is_heard_of_a_message() -> None:
    stream = events(MESSAGE, cues={"0": {"audio_chunks": ["QQ==", "Qg=="], "audio_transcript": "one two"}})
    heard = [event for event in stream if ".audio." in event["type"]]
    assert [event["type"].removeprefix("response.audio.") for event in heard] == [
        "delta",
        "delta",
        "done",
        "transcript.delta",
        "transcript.delta",
        "transcript.done",
    ]
    assert [list(event) for event in heard[1:3]] == [["type", "delta", "sequence_number"], ["type", "sequence_number"]]
    assert stream[-1]["type"] == "response.output_item.done"


def test_S14_a_shell_command_arrives_in_pieces_without_item_id() -> None:
    stream = events(ORDERS["shell_call"][0])
    assert stream[0]["item"]["action"]["commands"] == []
    added, first = stream[1], stream[2]
    assert added == {
        "type": "response.shell_call_command.added",
        "command": "",
        "command_index": 0,
        "output_index": 0,
        "sequence_number": 1,
    }
    assert list(first) == ["type", "command_index", "delta", "obfuscation", "output_index", "sequence_number"]
    output = events(ORDERS["shell_call_output"][0])
    assert (output[1]["delta"], output[2]["command_index"]) == ({"stdout": "a b"}, 0)
    assert output[2]["output"] == [ORDERS["shell_call_output"][0]["output"][0]]


def test_S16_a_diff_is_never_streamed() -> None:
    item = ORDERS["apply_patch_call"][0]
    added, done = events(item)
    assert added["item"]["operation"] == {"type": "update_file", "diff": "", "path": "x"}
    assert done["item"] == item


def test_S9_only_listings_overlap_and_all_begin_first() -> None:
    listing = ORDERS["mcp_list_tools"][0]
    broken = {**ORDERS["mcp_list_tools that failed"][0], "id": "mcpl_2"}
    script = EventWriter(words, None)
    stream_items(script, [CUSTOM, listing, broken, MESSAGE])
    seen = [(event["output_index"], event["type"].removeprefix("response.")) for event in script.events]
    assert [one for one in seen if one[0] in (1, 2)] == [
        (1, "output_item.added"),
        (1, "mcp_list_tools.in_progress"),
        (2, "output_item.added"),
        (2, "mcp_list_tools.in_progress"),
        (1, "mcp_list_tools.completed"),
        (1, "output_item.done"),
        (2, "mcp_list_tools.failed"),
        (2, "output_item.done"),
    ]
    assert [index for index, _ in seen] == sorted(index for index, _ in seen if index < 1) + [
        index for index, _ in seen if index in (1, 2)
    ] + [3] * sum(index == 3 for index, _ in seen)
    assert "error" not in next(event for event in script.events if event["output_index"] == 2)["item"]
