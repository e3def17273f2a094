"""Turns: the reference stream, endings, folds. Spec: S5, S8, S9, S12, W17, W18, R7.6."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mockserver.config.pacing import Pacing
from mockserver.core import encrypted_content, semantics
from mockserver.core.state import ContextHash, Node, Summary, read_node
from mockserver.core.turn import Turn
from mockserver.delivery.events import Emit, fold
from mockserver.model.prompt import Reply
from mockserver.wire.responses.event_list import sse
from mockserver.wire.tokens.context import Tally
from tests.support.driving import Driver

TERRA = "gpt-5.6-terra"
PING = {"model": TERRA, "max_output_tokens": 16}


def pong(drive: Driver, **fields: Any) -> Any:
    drive.script({"reply": {"text": "pong"}})
    return drive.stream("ping", **PING, **fields) if fields.get("stream") else drive.create("ping", **PING, **fields)


def test_W17_the_reference_body_has_2022_bytes_and_its_usage() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "pong"}})
    body = json.dumps({"model": TERRA, "input": "ping", "max_output_tokens": 16}).encode()
    answer = drive.engine.create_response("p", body).body
    assert answer is not None
    assert len(answer) == 2022
    usage = json.loads(answer)["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (7, 5, 12)


def test_W17_the_reference_stream_has_9_events_and_5521_bytes() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "pong"}})
    stream = drive.stream("ping", **PING)
    assert [event["type"].removeprefix("response.") for event in stream] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert len(sse(stream)) == 5521


def test_W18_created_is_the_terminal_response_before_it_happened() -> None:
    drive = Driver()
    stream = drive.stream("hello")
    created, final = stream[0]["response"], stream[-1]["response"]
    changed = {key for key in final if created[key] != final[key]}
    assert changed == {"status", "completed_at", "output", "service_tier", "usage"}
    assert (created["status"], created["service_tier"], created["usage"]) == ("in_progress", "auto", None)
    assert list(created) == list(final)
    assert "billing" not in created
    assert stream[1]["response"] == created


SCRIPTS: dict[str, dict[str, Any]] = {
    "text": {"text": "hello there"},
    "unicode": {"text": "日本語 und Größe 😀 ok"},
    "empty": {"text": ""},
    "refusal": {"refusal": "I can't help with that."},
    "reasoning": {"text": "a", "reasoning": "thinking about it"},
    "call": {"output": [{"type": "function_call", "name": "f", "arguments": {"city": "Paris"}}]},
    "two calls": {"output": [{"type": "function_call", "name": n, "arguments": "{}"} for n in "fg"]},
    "custom": {"output": [{"type": "custom_tool_call", "name": "f", "input": "free text"}]},
    "incomplete": {"incomplete": "content_filter", "text": "partly"},
    "failed": {"failed": {"code": "server_error", "message": "m"}},
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("model", ["gpt-4.1", TERRA])
def test_S9_the_terminal_response_is_the_fold_of_the_events_before_it(name: str, model: str) -> None:
    drive = Driver()
    drive.script({"reply": SCRIPTS[name]})
    stream = drive.stream("hello", model=model)
    final = stream[-1]["response"]
    assert fold(stream)["output"] == final["output"]
    assert fold(stream) == final
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    assert [event["type"] for event in stream][:2] == ["response.created", "response.in_progress"]
    terminal = {"response.completed", "response.incomplete", "response.failed"}
    assert [event["type"] in terminal for event in stream] == [False] * (len(stream) - 1) + [True]
    indices = [event["output_index"] for event in stream if event["type"] == "response.output_item.added"]
    assert indices == list(range(len(final["output"])))


@pytest.mark.parametrize("name", SCRIPTS)
def test_json_and_sse_are_two_encodings_of_the_same_turn(name: str) -> None:
    one, other = Driver(), Driver()
    one.script({"reply": SCRIPTS[name]})
    other.script({"reply": SCRIPTS[name]})
    body = one.create("hello")
    final = other.stream("hello")[-1]["response"]
    assert body.pop("billing") == {"payer": "developer"}
    assert body == final


@pytest.mark.parametrize("name", SCRIPTS)
def test_S9_the_terminal_response_equals_a_later_get(name: str) -> None:
    drive = Driver()
    drive.script({"reply": SCRIPTS[name]})
    stream = drive.stream("hello", model=TERRA)
    final = stream[-1]["response"]
    got = drive.get(final["id"])
    assert got.pop("billing") == {"payer": "developer"}
    assert got == final
    assert drive.replay(final["id"]) == stream


def test_S11_a_replay_goes_on_behind_starting_after() -> None:
    drive = Driver()
    stream = drive.stream("hello")
    id = stream[0]["response"]["id"]
    assert drive.replay(id, starting_after="3") == stream[4:]
    assert drive.replay(id, starting_after=str(len(stream))) == []
    bare = drive.replay(id, include_obfuscation="false")
    assert not any("obfuscation" in event for event in bare)
    assert len(bare) == len(stream)


def test_S6_obfuscation_can_be_switched_off() -> None:
    stream = Driver().stream("hello", stream_options={"include_obfuscation": False})
    assert not any("obfuscation" in event for event in stream)


def test_S8h_and_S12_a_failed_turn() -> None:
    drive = Driver()
    drive.script({"reply": {"failed": {"code": "insufficient_quota", "message": "spent"}}})
    stream = drive.stream("hello")
    assert [event["type"] for event in stream] == [
        "response.created",
        "response.in_progress",
        "error",
        "response.failed",
    ]
    error = stream[2]
    assert list(error) == ["type", "error", "sequence_number"]
    assert list(error["error"]) == ["type", "code", "message", "param"]
    assert error["error"]["type"] == "insufficient_quota"
    final = stream[3]["response"]
    assert final["error"] == {"code": "insufficient_quota", "message": "spent"}
    assert (final["status"], final["usage"], final["completed_at"], final["service_tier"]) == (
        "failed",
        None,
        None,
        "auto",
    )


def test_S8g_and_R7_6_max_output_tokens_cuts_the_turn_short() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "word " * 100}})
    stream = drive.stream("hello", max_output_tokens=20)
    final = stream[-1]["response"]
    assert stream[-1]["type"] == "response.incomplete"
    assert (final["status"], final["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert final["output"][-1]["status"] == "incomplete"
    assert final["completed_at"] is None
    assert 16 <= final["usage"]["output_tokens"] <= 20


def test_O2_usage_of_a_script_is_put_over_the_counted_one() -> None:
    drive = Driver()
    drive.script(
        {"reply": {"text": "a", "usage": {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 64}}}}
    )
    usage = drive.create("hello")["usage"]
    assert usage["input_tokens"] == 100
    assert usage["input_tokens_details"] == {"cache_write_tokens": 0, "cached_tokens": 64}
    assert usage["total_tokens"] == 100 + usage["output_tokens"]


def test_F3_log_probabilities_when_asked_for() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "hello there"}})
    fields: dict[str, Any] = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    [part] = drive.create("hello", **fields)["output"][0]["content"]
    assert "".join(one["token"] for one in part["logprobs"]) == "hello there"
    for one in part["logprobs"]:
        assert list(one) == ["bytes", "logprob", "token", "top_logprobs"]
        assert bytes(one["bytes"]).decode() == one["token"]
        assert len(one["top_logprobs"]) == 2
        assert -1 <= one["logprob"] <= 0


def test_R1_41_sealed_reasoning_always() -> None:
    """Spec: F3."""
    drive = Driver()
    stored = drive.create("u", model=TERRA)
    assert list(stored["output"][0]) == ["id", "type", "content", "encrypted_content", "summary"]
    assert drive.get(stored["id"]) == stored
    done = [event for event in drive.stream("u", model=TERRA) if event["type"] == "response.output_item.done"]
    assert done[0]["item"]["encrypted_content"].startswith("gAAAAAB")


def test_R1_41_sealed_reasoning_unasked_only_when_stateless_where_the_switch_says_so() -> None:
    drive = Driver(set=(("encrypted_content", "stateless_or_included"),))
    stored = drive.create("u", model=TERRA)
    assert "encrypted_content" not in stored["output"][0]
    assert drive.create("u", model=TERRA, store=False)["output"][0]["encrypted_content"].startswith("gAAAAAB")
    asked = drive.create("u", model=TERRA, include=["reasoning.encrypted_content"])
    assert list(asked["output"][0]) == ["id", "type", "content", "encrypted_content", "summary"]
    later = drive.get(stored["id"], "reasoning.encrypted_content")
    assert later["output"][0]["encrypted_content"].startswith("gAAAAAB")


def test_W1_ids_of_a_turn_share_a_partition_and_say_whether_they_are_stored() -> None:
    drive = Driver()
    first = drive.create("u")
    second = drive.create("v", previous_response_id=first["id"])
    keys = {one["id"].split("_")[1][:16] for one in (first, second, *first["output"], *second["output"])}
    assert len(keys) == 1
    assert re.fullmatch(r"resp_0[0-9a-f]{15}00[0-9a-f]{32}", first["id"])
    unstored = drive.create("w", store=False)
    assert all(one["id"].split("_")[1][16:18] == "01" for one in (unstored, *unstored["output"]))
    conversation = drive.conversation()["id"]
    inside = drive.create("x", conversation=conversation)
    assert inside["id"].split("_")[1][:16] == conversation[-16:]


def turn_of(**settings: Any) -> Turn:
    engine = Driver(**settings).engine
    return engine.create_response("p", b'{"model": "gpt-5.6", "input": "u"}').turn


VALUES = {
    "turn": lambda: turn_of(),
    "node": lambda: turn_of().node,
    "summary": lambda: turn_of().node.summary,
    "tally": lambda: turn_of().node.summary.tally,
    "trail": lambda: ContextHash("all_turns"),
    "reply": lambda: Reply(),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_not_changed_once_it_is_made(name: str) -> None:
    value = VALUES[name]()
    assert isinstance(value, Turn | Node | Summary | Tally | ContextHash | Reply)
    for field in (*value._fields, "another"):
        with pytest.raises(AttributeError):
            setattr(value, field, None)


def test_a_reply_with_no_figures_can_not_be_given_some_afterwards() -> None:
    for mapping in (Reply().usage, Reply().fields, Reply().cues):
        with pytest.raises(TypeError):
            mapping["a"] = 1  # type: ignore[index]


def test_O1_what_is_stored_and_sent_of_a_slow_turn_has_one_time() -> None:
    drive = Driver(pacing=Pacing(2.0, 0.0))
    delivery = drive.engine.create_response("p", b'{"model": "gpt-4.1", "input": "u", "stream": true}')
    sent = [event for step in delivery.steps if isinstance(step, Emit) for event in step.events][-1]["response"]
    drive.engine.finish("p", delivery.id)
    assert sent["completed_at"] == sent["created_at"] + 2 == delivery.turn.final["completed_at"]
    assert drive.get(delivery.id)["completed_at"] == sent["completed_at"]


@pytest.mark.parametrize("fields", [{}, {"context_management": [{"type": "compaction", "compact_threshold": 1000}]}])
def test_W2_nothing_is_unsealed_in_the_turn_that_sealed_it(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    drive = Driver()
    unsealed: list[str] = []
    plain = encrypted_content.decrypt

    def counted(blob: str, key: bytes) -> Any:
        unsealed.extend([blob] if blob else [])
        return plain(blob, key)

    monkeypatch.setattr(encrypted_content, "decrypt", counted)
    monkeypatch.setattr(semantics, "decrypt", counted)
    first = drive.create("word " * 2000, model="gpt-5.6", **fields)
    assert {item["type"] for item in first["output"]} == {"reasoning", "message", *(["compaction"] if fields else [])}
    assert unsealed == []
    node = read_node(drive.engine._calls.view("p"), first["id"])
    assert node is not None and node.summary.tally is not None
    hidden = sum(drive.engine.rules.count_hidden_tokens(item) for item in node.items if item["type"] == "reasoning")
    assert node.summary.tally.reasoning_now == (0 if fields else hidden + 2)


def test_W2_what_a_request_brings_sealed_is_unsealed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Driver()
    first = drive.create("u", model="gpt-5.6", include=["reasoning.encrypted_content"], store=False)
    unsealed: list[str] = []
    plain = encrypted_content.decrypt
    monkeypatch.setattr(encrypted_content, "decrypt", lambda blob, key: (unsealed.append(blob), plain(blob, key))[1])
    monkeypatch.setattr(semantics, "decrypt", lambda blob, key: (unsealed.append(blob), plain(blob, key))[1])
    history = [{"role": "user", "content": "u"}, *first["output"], {"role": "user", "content": "v"}]
    drive.create(history, model="gpt-5.6", store=False)
    assert unsealed == [first["output"][0]["encrypted_content"]]


# --- Items that are not complete ---------------------------------------------------------------------------------

LONG_CALL = {"type": "function_call", "name": "f", "arguments": {"text": "long " * 50}}
PROGRAM = {"type": "program", "call_id": "call_p", "code": "await tools.f({})", "fingerprint": "fp"}
CALLER = {"type": "program", "caller_id": "call_p"}
BY_PROGRAM = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1", "caller": CALLER}


@pytest.mark.parametrize("model", ["gpt-4.1", TERRA])
def test_R7_6_and_S8g_a_call_is_cut_in_its_arguments(model: str) -> None:
    drive = Driver()
    drive.script({"reply": {"output": [LONG_CALL]}})
    stream = drive.stream("x", model=model, max_output_tokens=30)
    final = stream[-1]["response"]
    [item] = final["output"]
    whole = json.dumps(LONG_CALL["arguments"], separators=(",", ":"))
    assert item["status"] == "incomplete" and whole.startswith(item["arguments"]) and 20 < len(item["arguments"]) < 250
    types = [event["type"].removeprefix("response.") for event in stream]
    assert types[-4:] == [
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "incomplete",
    ]
    assert "".join(event["delta"] for event in stream if event["type"].endswith(".delta")) == item["arguments"]
    assert stream[-3]["arguments"] == item["arguments"] and stream[-2]["item"] == item
    assert (final["status"], final["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert final["completed_at"] is None and final["usage"]["output_tokens"] == 30, "all that was paid for is there"
    assert drive.get(final["id"])["output"] == [item]
    assert drive.replay(final["id"]) == stream


@pytest.mark.parametrize("kind", ["text", "call"])
def test_R7_6_the_last_item_of_a_scripted_incomplete_turn_is_incomplete(kind: str) -> None:
    drive = Driver()
    items = [{"type": "message", "text": "so far"}, {"type": "function_call", "name": "f", "arguments": '{"a'}]
    drive.script({"reply": {"output": items[: 1 if kind == "text" else 2], "incomplete": "max_output_tokens"}})
    output = drive.create("x")["output"]
    assert [item["status"] for item in output] == [*["completed"] * (len(output) - 1), "incomplete"]


def test_I4_a_call_of_a_running_program_stays_in_progress() -> None:
    drive = Driver()
    drive.script({"reply": {"output": [PROGRAM, BY_PROGRAM, LONG_CALL]}})
    stream = drive.stream("x", model=TERRA)
    output = stream[-1]["response"]["output"]
    assert [item.get("status") for item in output] == [None, "in_progress", "completed"]
    done = [event["item"] for event in stream if event["type"] == "response.output_item.done"]
    assert done == output
    assert drive.get(stream[-1]["response"]["id"])["output"] == output


def test_I4_a_call_of_a_program_that_has_ended_is_completed() -> None:
    drive = Driver()
    ended = {"type": "program_output", "call_id": "call_p", "result": "1"}
    drive.script({"reply": {"output": [PROGRAM, BY_PROGRAM, ended]}})
    drive.script({"reply": {"output": [{**BY_PROGRAM, "caller": {"type": "direct"}}]}})
    assert [item.get("status") for item in drive.create("x", model=TERRA)["output"]] == [None, "completed", "completed"]
    assert [item["status"] for item in drive.create("x", model=TERRA)["output"]] == ["completed"]


@pytest.mark.parametrize(("mode", "status"), [("pro", "completed"), ("standard", "in_progress")])
def test_S8_a_message_of_pro_mode_is_complete_from_the_start(mode: str, status: str) -> None:
    drive = Driver()
    drive.script({"reply": {"text": "pong"}})
    stream = drive.stream("ping", model=TERRA, reasoning={"mode": mode})
    [added] = [event["item"] for event in stream if event["type"] == "response.output_item.added"]
    assert (added["status"], added["content"]) == (status, [])


def test_W1_a_container_of_the_shell_gets_an_id() -> None:
    drive = Driver()
    drive.script({"reply": {"output": [{"type": "shell_call", "action": {"commands": ["ls"]}}]}})
    tools = [{"type": "shell", "environment": {"type": "container_auto"}}]
    assert drive.create("x", model=TERRA)["output"][0]["environment"] is None
    forced = drive.create("x", model=TERRA, tools=tools, tool_choice={"type": "shell"})["output"]
    call, output = forced[-2:]
    assert call["environment"]["container_id"].startswith("cntr_") and output["call_id"] == call["call_id"]
    assert drive.create("go on", model=TERRA, previous_response_id=drive.create("x", model=TERRA)["id"])
