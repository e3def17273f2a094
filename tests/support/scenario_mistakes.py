"""Mistakes that scenarios have: one row each, judged by the loader and, where it can say so, by the JSON Schema."""

from __future__ import annotations

from typing import Any, NamedTuple


class Wrong(NamedTuple):
    """A scenario, the path of its one mistake, words of the complaint, whether a schema can tell."""

    value: Any
    path: str
    words: str
    told: bool = True


def line(**members: Any) -> Any:
    """Return a scenario of one line."""
    return {"lines": [{"reply": {"text": "a"}, **members}]}


def reply(**members: Any) -> Any:
    """Return a scenario of one reply."""
    return {"lines": [{"reply": members}]}


def output(*items: Any, **members: Any) -> Any:
    """Return a scenario of one output."""
    return reply(output=list(items), **members)


def state(**members: Any) -> Any:
    """Return a scenario with given state."""
    return {"given": members, "lines": []}


CALL = {"type": "function_call", "name": "f", "call_id": "call_1"}
ANSWER = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
ITEM = "lines[0].reply.output[0]"

SHAPES = [
    Wrong([], "", "must be an object"),
    Wrong({}, "lines", "no lines"),
    Wrong({"lines": {}}, "lines", "must be a list"),
    Wrong({"lines": [], "lnes": []}, "lnes", "Did you mean 'lines'"),
    Wrong({"lines": [], "seed": "7"}, "seed", "whole number"),
    Wrong({"lines": [1]}, "lines[0]", "object"),
    Wrong({"lines": [{}]}, "lines[0].reply", "no reply"),
    Wrong(line(tims=1), "lines[0].tims", "Did you mean 'times'"),
    Wrong(line(times=0), "lines[0].times", "from 1"),
    Wrong(line(times=True), "lines[0].times", "whole number"),
    Wrong(line(pacing={"first_token": -1}), "lines[0].pacing.first_token", "from 0"),
    Wrong(line(pacing={"tokens": 1}), "lines[0].pacing.tokens", "tokens_per_second"),
    Wrong(line(when=None), "lines[0].when", "not null"),
    Wrong(line(when={"input_contain": "x"}), "lines[0].when.input_contain", "input_contains"),
    Wrong(line(when={"input_contains": 1}), "lines[0].when.input_contains", "a text"),
    Wrong(line(when={"input_matches": "("}), "lines[0].when.input_matches", "regular expression", told=False),
    Wrong(line(when={"turn": 0}), "lines[0].when.turn", "from 1"),
    Wrong(line(when={"store": "yes"}), "lines[0].when.store", "true or false"),
    Wrong(line(when={"conversation": 1}), "lines[0].when.conversation", "true, false or an id"),
    Wrong(line(when={"tool_output": {}}), "lines[0].when.tool_output", "name and/or"),
    Wrong(line(when={"last_item": "function_call_ouput"}), "lines[0].when.last_item", "function_call_output"),
    Wrong(line(when={"transport": "tcp"}), "lines[0].when.transport", "websocket"),
    Wrong(reply(), "lines[0].reply", "has none"),
    Wrong(reply(text="a", json=1), "lines[0].reply", "text and json"),
    Wrong(reply(failed={}, incomplete="content_filter"), "lines[0].reply", "failed and incomplete"),
    Wrong(reply(text=None), "lines[0].reply.text", "not null"),
    Wrong(reply(text="{{ nope }}"), "lines[0].reply.text", "Unknown template", told=False),
    Wrong(reply(error={}), "lines[0].reply.error", "code or a status"),
    Wrong(reply(error={"status": 200}), "lines[0].reply.error.status", "from 400 to 599"),
    Wrong(reply(error={"code": "rate_limited"}), "lines[0].reply.error.code", "Did you mean 'rate_limit_exceeded'?"),
    Wrong(reply(error={"code": "own", "status": 418}), "lines[0].reply.error.code", "needs status, type, message"),
    Wrong(reply(failed={"cod": "x"}), "lines[0].reply.failed.cod", "'code'"),
    Wrong(reply(incomplete="x"), "lines[0].reply.incomplete", "content_filter"),
    Wrong(reply(text="a", usage={"input_tokens": -1}), "lines[0].reply.usage.input_tokens", "from 0"),
    Wrong(reply(text="a", phase="final"), "lines[0].reply.phase", "final_answer"),
    Wrong(reply(text="a", response={"moderation": []}), "lines[0].reply.response.moderation", "an object"),
    Wrong(output({"type": "function_cal"}), f"{ITEM}.type", "function_call"),
    Wrong(output({"type": "item_reference", "id": "x"}), f"{ITEM}.type", "input item"),
    Wrong(output({"type": "configuration_update"}), f"{ITEM}.type", "input item"),
    Wrong(output({"type": "compaction_trigger"}), f"{ITEM}.type", "input item"),
    Wrong(output({"type": "function_call"}), f"{ITEM}.name", "no name"),
    Wrong(output({**CALL, "arguments": 1}), f"{ITEM}.arguments", "a text or an object"),
    Wrong(output({**CALL, "id": "msg_1"}), f"{ITEM}.id", "begin with 'fc'"),
    Wrong(output({**CALL, "status": "{{ turn }}"}), f"{ITEM}.status", "completed"),
    Wrong(line(when={"transport": "{{ turn }}"}), "lines[0].when.transport", "websocket"),
    Wrong(output({**CALL, "status": "done"}), f"{ITEM}.status", "completed"),
    Wrong(output({"type": "message"}), ITEM, "either text or content"),
    Wrong(output({"type": "message", "text": "a", "role": "user"}), f"{ITEM}.role", "assistant"),
    Wrong(output({"type": "message", "content": [{"type": "input_text"}]}), f"{ITEM}.content[0].type", "output_text"),
    Wrong(output({"type": "web_search_call", "action": {"type": "surf"}}), f"{ITEM}.action.type", "search"),
    Wrong(output({"type": "shell_call", "action": {"commands": "ls"}}), f"{ITEM}.action.commands", "a list"),
    Wrong(output({**CALL, "partial_images": []}), f"{ITEM}.partial_images", "Unknown key"),
    Wrong(output({"type": "compaction", "compacting": -1}), f"{ITEM}.compacting", "from 0"),
    Wrong(output({"type": "image_generation_call", "partial_images": [""] * 4}), f"{ITEM}.partial_images", "to 3"),
    Wrong(output({"text": "a", "audio_chunks": ["?"]}), f"{ITEM}.audio_chunks[0]", "base64", told=False),
    Wrong(output({"type": "reasoning", "content": ["a"], "encrypted_content": "b"}), ITEM, "", told=False),
]
SHAPES += [
    Wrong({"given": [], "lines": []}, "given", "an object"),
    Wrong(state(conversation=[]), "given.conversation", "Did you mean 'conversations'"),
    Wrong(state(conversations=[{"id": "x"}]), "given.conversations[0].id", "begin with 'conv_'"),
    Wrong(
        state(conversations=[{"items": [{"role": "user"}]}]), "given.conversations[0].items[0].content", "no content"
    ),
    Wrong(state(conversations=[{"metadata": {"a": 1}}]), "given.conversations[0].metadata.a", "a text"),
    Wrong(state(responses=[{"input": "a"}]), "given.responses[0].output", "no output"),
    Wrong(state(responses=[{"output": 1}]), "given.responses[0].output", "a text or a list of items"),
    Wrong(state(responses=[{"output": "a", "age": {"day": 1}}]), "given.responses[0].age.day", "Did you mean 'days'"),
    Wrong(state(responses=[{"output": [CALL, CALL]}]), "given.responses[0].output[1].call_id", "earlier", told=False),
]
SECOND = "lines[0].reply.output[1]"
GRAMMAR = [
    Wrong(reply(error={"status": 500}, reasoning="x"), "lines[0].reply.reasoning", "combined with error"),
    Wrong(reply(failed={}, usage={}), "lines[0].reply.usage", "no usage"),
    Wrong(output({"text": "a", "status": "incomplete"}), f"{ITEM}.status", "only where the reply says", told=False),
    Wrong(output({"text": "a", "id": "msg_1"}, {"text": "b", "id": "msg_1"}), f"{SECOND}.id", "earlier", told=False),
    Wrong(output(CALL, CALL), f"{SECOND}.call_id", "earlier call", told=False),
    Wrong(output(ANSWER, CALL), f"{ITEM}.call_id", "before the call", told=False),
    Wrong(output(CALL, ANSWER, ANSWER), "lines[0].reply.output[2].call_id", "answered before", told=False),
    Wrong(output(CALL, {**ANSWER, "type": "custom_tool_call_output"}), f"{SECOND}.call_id", "another type", told=False),
    Wrong(
        output(
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
            {"type": "mcp_approval_request", "id": "mcpr_1", "name": "t"},
        ),
        f"{ITEM}.approval_request_id",
        "before",
        told=False,
    ),
    Wrong(output({**CALL, "status": "in_progress"}), f"{ITEM}.status", "when the turn is", told=False),
    Wrong(output({**CALL, "status": "incomplete"}), f"{ITEM}.status", "only where the reply says", told=False),
    Wrong(output({"type": "tool_search_call", "call_id": "c"}), f"{ITEM}.call_id", "execution: client", told=False),
]
