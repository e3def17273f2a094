"""Fixed rules about judging requests, echoing them, and the shape of ids (R1.50–R1.61)."""

from __future__ import annotations

import re
from typing import Any

from mockserver.conformance import expected_errors
from mockserver.conformance.expected_errors import ExpectedError
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import (
    FORCED,
    NOWHERE,
    TOOL,
    Item,
    ServerUnderTest,
    call_of,
    output_for,
    user,
)

_PROMPT = {"id": "pmpt_" + "f" * 40}
_PARENT = f"resp_{NOWHERE}"
_CONVERSATION = f"conv_{NOWHERE[:48]}"

# bodies with two mistakes, and the one that is reported
_ORDER: tuple[tuple[Item, ExpectedError], ...] = (
    ({"input": "x", "bogus": 1}, expected_errors.missing("model")),
    ({"model": "gpt-4.1", "zzzzz": 1}, expected_errors.missing("input")),
    ({"model": "gpt-4.1", "input": 5, "zzzzz": 1}, expected_errors.unknown_parameter("zzzzz")),
    (
        {"model": "gpt-4.1", "input": 5, "temperature": "hot"},
        expected_errors.wrong_type("input", "one of a string or array of input items", "an integer"),
    ),
    (
        {"model": "gpt-4.1", "input": "x", "truncation": "no", "metadata": 5},
        expected_errors.wrong_type("metadata", "a metadata object", "an integer"),
    ),
    (
        {"model": "gpt-4.1", "input": "x", "store": "no", "max_output_tokens": 1},
        expected_errors.too_small("max_output_tokens", 16, 1),
    ),
    (
        {"model": "gpt-4.1", "input": "x", "previous_response_id": _PARENT, "truncation": "no"},
        expected_errors.not_one_of("truncation", "no", ("auto", "disabled")),
    ),
    (
        {"model": "gpt-4.1", "input": "x", "previous_response_id": _PARENT, "conversation": _CONVERSATION},
        expected_errors.parent_and_conversation(),
    ),
    (
        {"model": "gpt-4.1", "input": "x", "conversation": _CONVERSATION, "prompt": _PROMPT},
        expected_errors.no_conversation_to_continue(_CONVERSATION),
    ),
    (
        {"model": "gpt-4.1", "input": "x", "previous_response_id": _PARENT, "prompt": _PROMPT},
        expected_errors.no_prompt(_PROMPT["id"]),
    ),
    ({"model": "gpt-4.1", "input": [], "previous_response_id": _PARENT}, expected_errors.no_parent(_PARENT)),
    (
        {
            "model": "gpt-4.1",
            "input": [user("a"), {"type": "item_reference", "id": f"msg_{NOWHERE}"}],
            "previous_response_id": _PARENT,
        },
        expected_errors.no_parent(_PARENT),
    ),
)


@rule("R1.50")
def _the_order_of_judgement(s: ServerUnderTest) -> None:
    for body, error in _ORDER:
        model = {"model": s.model} if "model" in body else {}
        s.check_error(error, "POST", "/responses", {**body, **model})
    if s.mock:
        reasoner = {"model": "gpt-5.5", "temperature": 0.5}
        s.check_create_refused(expected_errors.no_parent(_PARENT), previous_response_id=_PARENT, **reasoner)
        s.check_create_refused(
            expected_errors.not_with_this_model("temperature"),
            [user("a"), output_for({"call_id": "call_x"})],
            **reasoner,
        )
        s.check_error(expected_errors.no_input(), "POST", "/responses", {"input": [], **reasoner})


@rule("R1.51")
def _the_envelope_of_errors(s: ServerUnderTest) -> None:
    calls: list[tuple[str, str, Any, int]] = [
        ("POST", "/responses", {"input": "x"}, 400),
        ("POST", "/responses", {"model": s.model, "input": "x", "previous_response_id": _PARENT}, 400),
        ("GET", f"/responses/{_PARENT}", None, 404),
        ("GET", f"/conversations/{_CONVERSATION}", None, 404),
    ]
    for method, path, body, status in calls:
        answer = s.call(method, path, body)
        name = f"{method} {path.split('_')[0]}"
        s.check_equal(f"status of {name}", answer.status, status)
        s.check_equal(
            f"members of {name}", list(answer.body) if isinstance(answer.body, dict) else answer.body, ["error"]
        )
        s.check_equal(f"members of the error of {name}", list(answer.error), ["message", "type", "param", "code"])
        s.check_equal(f"type of {name}", answer.error["type"], "invalid_request_error")


_KINDS = (
    "additional_tools agent_message apply_patch_call apply_patch_call_output code_interpreter_call compaction "
    "compaction_trigger computer_call computer_call_output custom_tool_call custom_tool_call_output file_search_call "
    "function_call function_call_output image_generation_call item_reference local_shell_call local_shell_call_output "
    "mcp_approval_request mcp_approval_response mcp_call mcp_list_tools message multi_agent_call "
    "multi_agent_call_output program program_output reasoning shell_call shell_call_output tool_search_call "
    "tool_search_output web_search_call"
).split()
_ROLES = ("assistant", "system", "developer", "user")
_TIERS = ("auto", "default", "fast", "flex", "priority")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_ANY_PART = (
    "input_text input_image input_audio output_text refusal input_file computer_screenshot summary_text "
    "encrypted_content"
).split()

# fields of a create call, and the sentence they are refused with
_STRINGS: tuple[tuple[Item, ExpectedError], ...] = (
    ({"bogus_key_of_mine": 1}, expected_errors.unknown_parameter("bogus_key_of_mine")),
    ({"temprature": 1}, expected_errors.unknown_parameter("temprature", " Did you mean 'temperature'?")),
    ({"text": {"zzz": 1}}, expected_errors.unknown_parameter("text.zzz")),
    ({"input": [user("a", bogus=1)]}, expected_errors.unknown_parameter("input[0].bogus")),
    ({"input": [{"role": "user"}]}, expected_errors.missing("input[0].content")),
    ({"input": [user("")], "tools": [{"type": "function"}]}, expected_errors.missing("tools[0].name")),
    ({"input": ["a"]}, expected_errors.wrong_type("input[0]", "an input item", "a string")),
    ({"input": ""}, expected_errors.no_input()),
    ({"input": []}, expected_errors.no_input()),
    ({"instructions": 5}, expected_errors.wrong_type("instructions", "a string", "an integer")),
    ({"store": "yes"}, expected_errors.wrong_type("store", "a boolean", "a string")),
    ({"tools": {}}, expected_errors.wrong_type("tools", "an array of tools", "an object")),
    (
        {"input": [{"role": "nobody", "content": "a"}]},
        expected_errors.not_one_of("input[0]", "nobody", _ROLES)._replace(row="E17"),
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "bogus"}]}]},
        expected_errors.not_one_of("input[0].content[0].type", "bogus", _ANY_PART)._replace(row="E18"),
    ),
    ({"truncation": "middle"}, expected_errors.not_one_of("truncation", "middle", ("auto", "disabled"))),
    ({"service_tier": "bogus"}, expected_errors.not_one_of("service_tier", "bogus", _TIERS)),
    ({"text": {"verbosity": "x"}}, expected_errors.not_one_of("text.verbosity", "x", ("low", "medium", "high"))),
    ({"reasoning": {"effort": "x"}}, expected_errors.not_one_of("reasoning.effort", "x", _EFFORTS)),
    ({"max_output_tokens": 15}, expected_errors.too_small("max_output_tokens", 16, 15)),
    ({"max_tool_calls": 0}, expected_errors.too_small("max_tool_calls", 1, 0)),
    ({"prompt_cache_key": "k" * 65}, expected_errors.too_long("prompt_cache_key", 64, 65)),
    ({"metadata": {f"k{number}": "v" for number in range(17)}}, expected_errors.too_many_pairs(17)),
    ({"tools": [{**TOOL, "name": f"t{number}"} for number in range(129)]}, expected_errors.too_many("tools", 128, 129)),
    ({"previous_response_id": "resp_a b"}, expected_errors.bad_id("previous_response_id", "resp_a b")),
    ({"model": "no-such-model"}, expected_errors.no_model("no-such-model")),
)


@rule("R1.52")
def _what_the_validator_says(s: ServerUnderTest) -> None:
    for fields, error in _STRINGS:
        s.check_error(error, "POST", "/responses", {"model": s.model, "input": "x", **fields})


@rule("R1.53")
def _keys_of_chat_completions(s: ServerUnderTest) -> None:
    for key, value in (("n", 1), ("stop", "x"), ("seed", 7), ("logprobs", True), ("max_tokens", 100)):
        answer = s.call("POST", "/responses", {"model": s.model, "input": "x", key: value})
        s.check_equal(f"status of {key}", answer.status, 400)
        code_and_param = (answer.error.get("code"), answer.error.get("param"))
        s.check_equal(f"code and param of {key}", code_and_param, ("unknown_parameter", key))
        says = f"Unknown parameter: '{key}'."
        s.check(f"the sentence of {key}", answer.error.get("message", "").startswith(says), answer.error)


_AS_SENT: Item = {
    "max_tool_calls": 3,
    "parallel_tool_calls": False,
    "truncation": "auto",
    "instructions": "Be brief.",
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "metadata": {"b": "1", "a": "2"},
    "max_output_tokens": 400,
    "tool_choice": "none",
    "temperature": 0.5,
    "top_p": 0.25,
}
# What a response echoes for members that the request left out, or sent as null: both mean the default.
_SILENT: Item = {
    "background": False,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "store": True,
    "truncation": "disabled",
    "instructions": None,
    "user": None,
    "safety_identifier": None,
    "prompt_cache_key": None,
    "metadata": {},
    "previous_response_id": None,
    "max_output_tokens": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "error": None,
    "incomplete_details": None,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
}


@rule("R1.54")
def _what_is_echoed(s: ServerUnderTest) -> None:
    plain = s.create()
    s.check_members("response to a silent request", plain, **_SILENT)
    s.check_members("response", s.create(**_AS_SENT), **_AS_SENT)
    nulls = s.create(**dict.fromkeys([*_AS_SENT, "tools", "store", "background", "text"]))
    s.check_members("response to a request full of nulls", nulls, **_SILENT)
    never = s.create(include=["message.output_text.logprobs"], context_management=None)
    for key in ("include", "stream", "stream_options", "context_management", "input"):
        s.check(f"{key} is never echoed", key not in never)
    streamed = s.stream(stream_options={"include_obfuscation": False})[-1]["response"]
    s.check("nor in streams", not {"stream", "stream_options", "input"} & streamed.keys())
    if s.mock:
        for sent, used in (("fast", "priority"), ("priority", "priority"), ("flex", "flex"), ("auto", "default")):
            s.check_equal(f"service_tier {sent}", s.create(service_tier=sent)["service_tier"], used)
        options = s.create(model="gpt-5.6-terra", prompt_cache_options={"ttl": "30m"})["prompt_cache_options"]
        s.check_equal("prompt_cache_options, filled", options, {"mode": "implicit", "ttl": "30m"})
        s.check_members("defaults of gpt-4.1", s.create(model="gpt-4.1"), temperature=1.0, top_p=1.0)
        s.check_members("defaults of gpt-5.4", s.create(model="gpt-5.4"), temperature=1.0, top_p=0.98)


@rule("R1.55")
def _which_items_are_accepted(s: ServerUnderTest) -> None:
    error = expected_errors.not_one_of("input[0]", "bogus", _KINDS)._replace(row="E16")
    s.check_create_refused(error, [{"type": "bogus"}])
    s.check_create_refused(error._replace(message=error.message.replace("'bogus'", "''")), [{"type": 5}])
    call = {"type": "function_call", "call_id": "call_x", "name": "lookup", "arguments": "{}"}
    response = s.create([user("a"), {"role": "system", "content": "b"}, call, output_for(call)])
    s.check_equal("status with the common items", response["status"], "completed")


# W1: the partition key comes first in ids of today, last in those of conversations.
_NEW = re.compile(r"[a-z]+_(0[0-9a-f]{15})0[01][0-9a-f]{8}[0-9a-f]{4}8[0-9a-f]{3}[89ab][0-9a-f]{15}")
_OLD = re.compile(r"conv_[0-9a-f]{8}[0-9a-f]{4}8[0-9a-f]{3}[89ab][0-9a-f]{15}(0[0-9a-f]{15})")


def _key(s: ServerUnderTest, id: str, form: re.Pattern[str] = _NEW) -> str:
    match = form.fullmatch(id)
    s.check(f"{id} has the form of an id", match)
    return match[1] if match else ""


@rule("R1.60")
def _one_partition_key(s: ServerUnderTest) -> None:
    first = s.create("one")
    second = s.chain(first, "two")
    listed = s.inputs(second) if s.has("input items") else []
    ids = [first["id"], second["id"], second["output"][-1]["id"], *(item["id"] for item in listed)]
    s.check_equal("partition keys of a chain", {_key(s, id) for id in ids}, {_key(s, first["id"])})
    talk = s.conversation(user("zero"))
    response = s.create("one", conversation=talk["id"])
    ids = [response["id"], *(item["id"] for item in s.items(talk))]
    s.check_equal("partition keys of a conversation", {_key(s, id) for id in ids}, {_key(s, talk["id"], _OLD)})
    replay = s.create([*first["output"], user("two")])
    s.check_equal("partition key of a response that replays items", _key(s, replay["id"]), _key(s, first["id"]))
    s.check("another chain has another", _key(s, s.create()["id"]) != _key(s, first["id"]))
    s.check_equal("created_at stands in the id", int(first["id"][23:31], 16), first["created_at"])


@rule("R1.61")
def _other_ids(s: ServerUnderTest) -> None:
    call = call_of(s.create("look it up", **FORCED))
    s.check("call_id is call_ and 24 letters or digits", re.fullmatch("call_[A-Za-z0-9]{24}", call["call_id"]), call)
    s.check("the id of a function_call begins with fc_", call["id"].startswith("fc_"), call)
    s.check("the id of a message begins with msg_", s.create()["output"][-1]["id"].startswith("msg_"))
