"""Compaction, all three kinds: what a context begins with afterwards, what it costs, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.core.encrypted_content import decrypt
from mockserver.wire.responses.ids import is_marked_unstored, partition_of
from mockserver.wire.tokens.tokenizer import count
from tests.support.api import Api
from tests.support.driving import MODEL, NOON, Driver, refused, summary, text_of

LONG = "a long story about the sea, " * 200  # well over 1000 tokens
COMPACT = [{"type": "compaction", "compact_threshold": 1000}]
TRIGGER = {"type": "compaction_trigger"}
THINKER = "gpt-5.6-terra"
FRAME = 4  # tokens around a message (T3)
PRIMING = {"C": 3, "H": 2}
ITEM = 80  # tokens of a compaction item beside its summary (T10)


def compact(drive: Driver, **body: Any) -> dict[str, Any]:
    return json.loads(Api(drive.engine).compact_response(drive.project, json.dumps({"model": MODEL, **body}).encode()))


def types(response: dict[str, Any]) -> list[str]:
    return [item["type"] for item in response["output"]]


def hidden(drive: Driver, item: dict[str, Any]) -> int:
    return decrypt(item["encrypted_content"], drive.engine.rules.key)["tokens"]


# --- by threshold --------------------------------------------------------------------------------------------------


def test_R5_2_a_longer_input_than_the_threshold_compacts_and_one_as_long_does_not() -> None:
    drive = Driver()
    tokens = drive.count(input=LONG)
    at = drive.create(LONG, context_management=[{"type": "compaction", "compact_threshold": tokens}])
    over = drive.create(LONG, context_management=[{"type": "compaction", "compact_threshold": tokens - 1}])
    assert (types(at), types(over)) == (["message"], ["message", "compaction"])
    assert at["usage"]["input_tokens"] == over["usage"]["input_tokens"] == tokens


def test_R5_1_without_a_threshold_only_a_full_window_compacts() -> None:
    assert types(Driver().create(LONG, context_management=[{"type": "compaction"}])) == ["message"]


def test_T10_the_pass_is_billed_as_output_and_the_summary_as_input_of_later_turns() -> None:
    drive = Driver()
    plain = drive.create(LONG)
    turn = drive.create(LONG, context_management=COMPACT)
    passed = hidden(drive, turn["output"][-1])
    # the two answers are the same text, so what is left of the output is the pass
    assert text_of(turn["output"][0]) == text_of(plain["output"][0])
    assert turn["usage"]["output_tokens"] == plain["usage"]["output_tokens"] + passed
    later = drive.create("next", previous_response_id=turn["id"])
    assert later["usage"]["input_tokens"] == PRIMING["C"] + passed + ITEM + count("next") + FRAME
    assert drive.count(input="next", previous_response_id=turn["id"]) == later["usage"]["input_tokens"]


def test_R5_4_what_stands_before_the_last_compaction_is_not_read() -> None:
    drive = Driver()
    turn = drive.create(LONG, context_management=COMPACT)
    later = drive.create("next", previous_response_id=turn["id"])
    assert text_of(later["output"][0]) == "Mock reply to: next [2 items in context]"
    seen = drive.engine.control.context("p", later["id"])
    assert [item["type"] for item in seen["items"]] == ["compaction", "message"]
    assert len(seen["dropped"]) == 2
    third = drive.create("more", previous_response_id=later["id"])
    assert text_of(third["output"][0]) == "Mock reply to: more [4 items in context]"


def test_R5_4_a_stateless_client_may_drop_what_stands_before_or_not() -> None:
    drive = Driver()
    turn = drive.create(LONG, context_management=COMPACT, store=False)
    ask = {"role": "user", "content": "next"}
    everything = [{"role": "user", "content": LONG}, *turn["output"], ask]
    kept = drive.create(everything, store=False)
    dropped = drive.create([turn["output"][-1], ask], store=False)
    assert kept["usage"]["input_tokens"] == dropped["usage"]["input_tokens"]
    assert text_of(kept["output"][0]) == text_of(dropped["output"][0]) == "Mock reply to: next [2 items in context]"


def test_R5_3_compaction_shape() -> None:
    found = {
        shape: types(Driver(set=(("compaction_shape", shape),)).create(LONG, context_management=COMPACT))
        for shape in ("last", "first", "first_and_last")
    }
    assert found == {
        "last": ["message", "compaction"],
        "first": ["compaction", "message"],
        "first_and_last": ["compaction", "message", "compaction"],
    }


def test_R5_3_an_answer_behind_the_compaction_item_is_read_later() -> None:
    drive = Driver(set=(("compaction_shape", "first"),))
    turn = drive.create(LONG, context_management=COMPACT)
    later = drive.create("next", previous_response_id=turn["id"])
    assert [item["type"] for item in drive.engine.control.context("p", later["id"])["items"]] == [
        "compaction",
        "message",
        "message",
    ]


def test_R3_3b_stored_input_is_not_rewritten() -> None:
    drive = Driver()
    turn = drive.create(LONG, context_management=COMPACT)
    later = drive.create("next", previous_response_id=turn["id"])
    listed = drive.input_items(later["id"], order="asc")["data"]
    assert [item["type"] for item in listed] == ["message", "message", "compaction", "message"]
    assert text_of(listed[0]) == LONG


def test_S8j_a_stream_shows_the_compaction_item_begin_and_end() -> None:
    events = Driver().stream(LONG, context_management=COMPACT)
    shown = [(event["type"], event["item"]["type"]) for event in events if "item" in event]
    assert shown[-2:] == [("response.output_item.added", "compaction"), ("response.output_item.done", "compaction")]
    added, done = [event["item"] for event in events if event.get("item", {}).get("type") == "compaction"]
    assert added["id"] == done["id"] and list(done) == ["id", "type", "encrypted_content"]
    assert events[-1]["response"]["output"][-1] == done


def test_a_scripted_compaction_item_is_the_only_one() -> None:
    drive = Driver()
    drive.script({"reply": {"output": [{"type": "compaction"}, {"type": "message", "text": "done"}]}})
    turn = drive.create(LONG, context_management=COMPACT)
    assert types(turn) == ["compaction", "message"]
    assert hidden(drive, turn["output"][0]) > 0


def test_a_failed_turn_does_not_compact() -> None:
    drive = Driver()
    drive.script({"reply": {"failed": {"code": "server_error", "message": "no"}}})
    assert drive.create(LONG, context_management=COMPACT)["output"] == []


def test_a_compacted_conversation_goes_on_from_its_compaction_item() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    drive.create(LONG, conversation=id, context_management=COMPACT)
    later = drive.create("next", conversation=id)
    assert text_of(later["output"][0]) == "Mock reply to: next [2 items in context]"
    listed = drive.items(id, order="asc")["data"]
    assert [item["type"] for item in listed] == ["message", "message", "compaction", "message", "message"]
    Api(drive.engine).delete_item("p", id, listed[2]["id"])
    assert drive.create("last", conversation=id)["usage"]["input_tokens"] > 1000


def test_an_output_may_answer_a_call_that_was_compacted_away() -> None:
    drive = Driver()
    drive.script({"reply": {"output": [{"type": "function_call", "name": "f", "arguments": {}, "call_id": "call_1"}]}})
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]
    turn = drive.create(LONG, context_management=COMPACT, tools=tools)
    assert types(turn) == ["function_call", "compaction"]
    output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    assert drive.create([output], previous_response_id=turn["id"])["status"] == "completed"
    assert drive.create([turn["output"][1], output])["status"] == "completed"
    unanswered = refused(drive.create, [turn["output"][1], {"role": "user", "content": "?"}])
    assert summary(unanswered) == (400, "No tool output found for function call call_1.", "input", None)


def test_a_chat_model_may_go_on_once_reasoning_is_compacted_away() -> None:
    drive = Driver()
    turn = drive.create(LONG, model=THINKER, context_management=COMPACT)
    assert types(turn) == ["reasoning", "message", "compaction"]
    assert drive.create("next", previous_response_id=turn["id"], model=MODEL)["status"] == "completed"


def test_prompt_cache_begins_anew_at_a_compaction_item() -> None:
    drive = Driver(set=(("compaction_shape", "first"),))
    turn = drive.create(LONG, model="gpt-5.6-terra", context_management=COMPACT)
    ask = {"model": "gpt-5.6-terra", "input": LONG, "previous_response_id": turn["id"]}
    first, again = drive.create(**ask), drive.create(**ask)
    sizes = [one["usage"]["input_tokens_details"] for one in (first, again)]
    tokens = first["usage"]["input_tokens"]
    assert sizes == [
        {"cache_write_tokens": tokens - 3, "cached_tokens": 0},
        {"cache_write_tokens": 0, "cached_tokens": tokens - 3},
    ]
    replayed = drive.create([*turn["output"], {"role": "user", "content": LONG}], model="gpt-5.6-terra")
    assert replayed["usage"]["input_tokens_details"]["cached_tokens"] == tokens - 3


# --- by a trigger item ---------------------------------------------------------------------------------------------


def test_R5_9_a_trigger_yields_one_compaction_item_and_asks_no_model() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "for the next turn"}})
    first = drive.create([{"role": "user", "content": "short"}, TRIGGER])
    assert types(first) == ["compaction"]
    assert first["usage"]["output_tokens"] == hidden(drive, first["output"][0])
    assert first["usage"]["input_tokens"] == drive.count(input="short")
    assert text_of(drive.create("go on", previous_response_id=first["id"])["output"][0]) == "for the next turn"


def test_F8_10_a_trigger_is_consumed() -> None:
    drive = Driver()
    made = drive.create([{"role": "user", "content": "short"}, TRIGGER])
    assert [item["type"] for item in drive.input_items(made["id"])["data"]] == ["message"]
    alone = drive.create([TRIGGER], previous_response_id=made["id"])
    assert types(alone) == ["compaction"] and drive.count(input=[TRIGGER], previous_response_id=made["id"]) > 0


def test_a_line_that_names_the_trigger_answers_it() -> None:
    drive = Driver()
    drive.script(
        {"when": {"last_item": "compaction_trigger"}, "reply": {"text": "summed up"}}, {"reply": {"text": "other"}}
    )
    assert types(drive.create([{"role": "user", "content": "u"}, TRIGGER])) == ["message", "compaction"]


def test_I4_a_trigger_stands_last() -> None:
    error = refused(Driver().create, [TRIGGER, {"role": "user", "content": "u"}])
    assert (error.status, error.param) == (400, "input[0]")


# --- POST /responses/compact ---------------------------------------------------------------------------------------


def test_O7_user_messages_verbatim_then_one_compaction_item() -> None:
    drive = Driver()
    first = drive.create("one")
    second = drive.create(
        [{"role": "system", "content": "s"}, {"role": "user", "content": "two"}], previous_response_id=first["id"]
    )
    made = compact(drive, previous_response_id=second["id"], input=[{"role": "user", "content": "three"}])
    assert list(made) == ["id", "object", "created_at", "output", "usage"]
    assert (made["object"], made["created_at"]) == ("response.compaction", int(NOON))
    assert [(item.get("role"), item["type"]) for item in made["output"]] == [("user", "message")] * 3 + [
        (None, "compaction")
    ]
    assert [text_of(item) for item in made["output"][:3]] == ["one", "two", "three"]
    stored = [item for item in drive.input_items(second["id"], order="asc")["data"] if item.get("role") == "user"]
    assert made["output"][:2] == stored


def test_W1_nothing_of_a_compaction_is_persisted() -> None:
    drive = Driver()
    first = drive.create("one")
    made = compact(drive, previous_response_id=first["id"], input="two")
    new = [made["id"], made["output"][1]["id"], made["output"][2]["id"]]
    assert [is_marked_unstored(id) for id in new] == [True] * 3
    assert {partition_of(id) for id in new} == {partition_of(first["id"])}
    assert refused(drive.get, made["id"]).status == 404
    assert refused(drive.create, previous_response_id=made["id"]).code == "previous_response_not_found"


def test_T10_compact_usage() -> None:
    """With instructions, which are deprecated and still taken. Spec: T10, F10."""
    drive = Driver()
    first = drive.create("one")
    made = compact(drive, previous_response_id=first["id"], instructions="be brief")
    window = (
        PRIMING["C"] + count("be brief") + FRAME + count("one") + FRAME + count(text_of(first["output"][0])) + FRAME
    )
    passed = hidden(drive, made["output"][-1])
    assert made["usage"]["input_tokens"] == window + 93
    assert (made["usage"]["output_tokens"], made["usage"]["total_tokens"]) == (passed, window + 93 + passed)
    later = drive.create([*made["output"], {"role": "user", "content": "next"}])
    assert later["usage"]["input_tokens"] == PRIMING["C"] + passed + ITEM + count("next") + FRAME
    again = compact(drive, input=[*made["output"], {"role": "user", "content": "next"}])
    assert again["usage"]["input_tokens"] == PRIMING["C"] + count("next") + FRAME + 93  # an earlier one counts nothing
    assert [item["type"] for item in again["output"]] == ["message", "message", "compaction"]


def test_R5_6_what_a_compact_call_needs() -> None:
    drive = Driver()
    assert refused(compact, drive).code == "missing_required_parameter"
    assert refused(compact, drive, input="x", model="gpt-nothing").code == "model_not_found"
    assert refused(compact, drive, previous_response_id="resp_none").code == "previous_response_not_found"
    assert refused(compact, drive, input="word " * 1_100_000).code == "context_length_exceeded"


def test_R5_6_a_compact_call_leaves_the_chain_as_it_is() -> None:
    drive = Driver()
    first = drive.create("one")
    compact(drive, previous_response_id=first["id"], input=[])
    assert (
        drive.count(input="two", previous_response_id=first["id"])
        == drive.create("two", previous_response_id=first["id"])["usage"]["input_tokens"]
    )
    assert len(drive.engine.control.list_responses("p", limit=9, after=None)["data"]) == 2


def test_R5_10_blobs_are_signed() -> None:
    drive = Driver()
    item = compact(drive, input="one")["output"][-1]
    blob = item["encrypted_content"]
    tampered = {**item, "encrypted_content": blob[:40] + ("A" if blob[40] != "A" else "B") + blob[41:]}
    assert refused(drive.create, [tampered]).code == "invalid_encrypted_content"
    assert refused(Driver(seed=99).create, [item]).code == "invalid_encrypted_content"
    elsewhere = Driver(project="another")
    assert elsewhere.create([item, {"role": "user", "content": "u"}])["status"] == "completed"


CONFIGURING = {
    "type": "configuration_update",
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {}}}},
}
GPT_6 = {"model": "gpt-6-astra"}


def is_configured(response: dict[str, Any]) -> bool:
    """Whether an answer has the format of the update, which the request itself doesn't ask for."""
    assert response["text"]["format"] == {"type": "text"}  # Spec: R12.5
    return any(item["type"] == "message" and text_of(item) == "{}" for item in response["output"])


def configured(drive: Driver) -> str:
    """A response whose context has an update; returns its id."""
    first = drive.create([{"role": "user", "content": "u"}, CONFIGURING], **GPT_6)
    assert is_configured(first)
    return first["id"]


@pytest.mark.parametrize("how", ["threshold", "trigger"])
def test_R5_9_an_update_stays_in_force_after_a_compaction(how: str) -> None:
    drive = Driver()
    chained = {**GPT_6, "previous_response_id": configured(drive)}
    if how == "threshold":
        compacted = drive.create(LONG, context_management=COMPACT, **chained)
    else:
        compacted = drive.create([TRIGGER], **chained)
    assert compacted["output"][-1]["type"] == "compaction"
    assert is_configured(drive.create("next", **GPT_6, previous_response_id=compacted["id"]))
    stateless = [compacted["output"][-1], {"role": "user", "content": "next"}]
    again = drive.create(stateless, store=False, **GPT_6)
    assert is_configured(again)
    # what is compacted once more still brings it along, and a later update counts more
    more = drive.create([*stateless, TRIGGER], **GPT_6)["output"][-1]
    assert is_configured(drive.create([more, {"role": "user", "content": "next"}], **GPT_6))
    plain = {"type": "configuration_update", "text": {"format": {"type": "text"}}}
    assert not is_configured(drive.create([more, plain, {"role": "user", "content": "next"}], **GPT_6))


def test_R5_9_after_a_compact_call_the_client_sends_it_again() -> None:
    drive = Driver()
    window = compact(drive, **GPT_6, previous_response_id=configured(drive))["output"]
    assert not is_configured(drive.create([*window, {"role": "user", "content": "next"}], **GPT_6))
    assert is_configured(drive.create([*window, CONFIGURING, {"role": "user", "content": "next"}], **GPT_6))


def test_R7_4_an_update_stays_in_force_after_a_truncation() -> None:
    drive = Driver()
    chained = {**GPT_6, "previous_response_id": configured(drive)}
    assert is_configured(drive.create("word " * 921_960, truncation="auto", **chained))


def test_R5_9_loaded_tools_stay_in_force_after_a_compaction() -> None:
    drive = Driver()
    tool = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}
    brought = {"type": "additional_tools", "role": "developer", "tools": [tool]}
    first = drive.create([brought, {"role": "user", "content": "u"}], model="gpt-5.6-terra")
    compacted = drive.create([TRIGGER], model="gpt-5.6-terra", previous_response_id=first["id"])
    again = drive.create([compacted["output"][-1], {"role": "user", "content": "x"}], model="gpt-5.6-terra")
    for response in (first, compacted, again):
        assert [tool["name"] for tool in response["tools"]] == ["look_up"]
    window = compact(drive, model="gpt-5.6-terra", previous_response_id=first["id"])["output"]
    assert drive.create([*window, {"role": "user", "content": "x"}], model="gpt-5.6-terra")["tools"] == []
