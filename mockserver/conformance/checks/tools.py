"""Fixed rules about tools: choice, strictness, kinds of calls (R11.1–R11.10, R15.9)."""

from __future__ import annotations

from typing import Any

from mockserver.conformance import expected_errors
from mockserver.conformance.expected_errors import ExpectedError
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import TOOL, Item, ServerUnderTest, call_of, output_for, user

# A second tool: with one alone, choosing it would prove nothing.
_OTHER = {**TOOL, "name": "store", "description": "Stores something."}
_CHOICES = "one of an object or 'none', 'auto', or 'required'"


def _calls(response: Item) -> list[str]:
    return [item["name"] for item in response["output"] if item["type"].endswith("_call")]


@rule("R11.1")
def _choosing_a_tool(s: ServerUnderTest) -> None:
    tools = [TOOL, _OTHER]
    s.check_create_refused(
        expected_errors.not_one_of("tool_choice", "any", ("none", "auto", "required")), tools=tools, tool_choice="any"
    )
    s.check_create_refused(
        expected_errors.wrong_type("tool_choice", _CHOICES, "an integer"), tools=tools, tool_choice=5
    )
    s.check_create_refused(expected_errors.missing("tool_choice.name"), tools=tools, tool_choice={"type": "function"})
    absent = ExpectedError(
        "E47", 400, None, "tool_choice", "Tool choice 'nobody' not found in 'tools' parameter.", ("code",)
    )
    s.check_create_refused(absent, tools=tools, tool_choice={"type": "function", "name": "nobody"})
    for name in ("lookup", "store"):
        choice = {"type": "function", "name": name}
        response = s.create("Do it.", tools=tools, tool_choice=choice)
        s.check_equal(f"calls when {name} is forced", set(_calls(response)), {name})
        s.check_equal("tool_choice, echoed", response["tool_choice"], choice)
    s.check("required calls a tool", _calls(s.create("Do it.", tools=tools, tool_choice="required")))
    s.check_equal("calls with none", _calls(s.create("lookup store", tools=tools, tool_choice="none")), [])
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "store"}]}
    s.check_equal("calls of the allowed", set(_calls(s.create("Do it.", tools=tools, tool_choice=allowed))), {"store"})


@rule("R11.2")
def _strictness_of_tools(s: ServerUnderTest) -> None:
    # A schema that strict mode has to close: the echo then shows that it was made strict (R11.2).
    opened = {"type": "object", "properties": {"a": {"type": "string"}}}
    plain = {"type": "function", "name": "lookup", "parameters": opened}
    tool = s.create(tools=[plain], tool_choice="none")["tools"][0]
    s.check_members("a tool without strict", tool, strict=True, description=None)
    s.check_equal("its schema", tool["parameters"], {**opened, "additionalProperties": False, "required": ["a"]})
    s.check_equal("the order of its schema", list(tool["parameters"])[:2], ["type", "properties"])
    loose = s.create(tools=[{**plain, "strict": False}], tool_choice="none")["tools"][0]
    s.check_members("a tool that is not strict", loose, strict=False, parameters=opened)
    what = "In context=(), 'additionalProperties' is required to be supplied and to be false."
    message = f"Invalid schema for function 'lookup': {what}"
    error = ExpectedError("E49", 400, "invalid_function_parameters", "tools[0].parameters", message)
    s.check_create_refused(error, tools=[{**plain, "strict": True}])


@rule("R11.3")
def _one_call_at_a_time(s: ServerUnderTest) -> None:
    response = s.create("Look up a and b.", tools=[TOOL, _OTHER], tool_choice="required", parallel_tool_calls=False)
    s.check_equal("number of calls", len(_calls(response)), 1)
    s.check_equal("parallel_tool_calls", response["parallel_tool_calls"], False)


_GRAMMAR = {"type": "grammar", "syntax": "regex", "definition": "[a-c]{3}"}


@rule("R11.6")
def _custom_tools_take_text(s: ServerUnderTest) -> None:
    tool: Item = {"type": "custom", "name": "shout", "description": "Shouts."}
    choice = {"type": "custom", "name": "shout"}
    response = s.create("Shout.", tools=[tool], tool_choice=choice)
    call = next(item for item in response["output"] if item["type"] == "custom_tool_call")
    s.check_members("call", call, name="shout")
    s.check("its input is text", isinstance(call["input"], str) and call["call_id"], call)
    s.check_create_refused(expected_errors.no_tool_output(call["call_id"]), "next", previous_response_id=response["id"])
    output = {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "LOUD"}
    s.check_context(s.chain(response, [output]), "Shout.", *response["output"], output)
    shaped = s.create("Shout.", tools=[{**tool, "format": _GRAMMAR}], tool_choice=choice)
    s.check_equal("format, echoed", shaped["tools"][0]["format"], _GRAMMAR)


@rule("R11.7", needs=("script",))
def _calls_carry_their_namespace(s: ServerUnderTest) -> None:
    inner = {key: value for key, value in TOOL.items() if key != "strict"}
    space = {"type": "namespace", "name": "crm", "description": "d", "tools": [{**inner, "defer_loading": True}]}
    s.script({"output": [{"type": "function_call", "namespace": "crm", "name": "lookup", "arguments": {"key": "x"}}]})
    response = s.create("look it up", model="gpt-5.4", tools=[space, {"type": "tool_search"}])
    call = call_of(response)
    s.check_members("call", call, namespace="crm", name="lookup", arguments='{"key":"x"}')
    inside = response["tools"][-1]["tools"][0]  # namespaces come last (F7)
    s.check_members("the tool inside", inside, name="lookup", strict=True)
    later = s.chain(response, [output_for(call)], model="gpt-5.4")
    s.check_members("the call in the history", s.inputs(later)[1], namespace="crm", call_id=call["call_id"])
    if s.mock:  # a model of one's own may say more than this call
        brought = {"type": "additional_tools", "role": "developer", "tools": [TOOL]}
        for model, name in (("gpt-5.4", TOOL["name"]), ("gpt-5.6-terra", None)):
            chosen = {"type": "function", "name": TOOL["name"]}
            loaded = call_of(s.create([user("look it up"), brought], model=model, tool_choice=chosen))
            s.check_equal(f"namespace of a loaded tool on {model}", loaded.get("namespace"), name)


@rule("R11.8", needs=("script",))
def _tools_that_are_searched_for(s: ServerUnderTest) -> None:
    output = {"type": "tool_search_output", "execution": "server", "call_id": None, "tools": [TOOL]}
    search = {"type": "tool_search_call", "execution": "server", "call_id": None, "arguments": {"paths": ["lookup"]}}
    call = {"type": "function_call", "name": "lookup", "arguments": {"key": "x"}}
    s.script({"output": [search, output, call]})
    tools = [{**TOOL, "defer_loading": True}, {"type": "tool_search"}]
    hosted = s.create("look it up", model="gpt-5.4", tools=tools)
    types = [item["type"] for item in hosted["output"]]
    s.check_equal("output", types, ["tool_search_call", "tool_search_output", "function_call"])
    s.check_members(
        "hosted search", hosted["output"][0], execution="server", call_id=None, arguments={"paths": ["lookup"]}
    )
    done = s.chain(hosted, [output_for(call_of(hosted))], model="gpt-5.4")
    s.check_equal("status, for the search owes nothing", done["status"], "completed")
    s.script({"output": [{"type": "tool_search_call", "execution": "client", "arguments": {"goal": "x"}}]})
    searching = s.create("look it up", model="gpt-5.4", tools=[{"type": "tool_search", "execution": "client"}])
    mine = searching["output"][-1]
    s.check_members("search by the client", mine, type="tool_search_call", execution="client", arguments={"goal": "x"})
    s.check("it has a call_id", str(mine["call_id"]).startswith("call_"), mine)
    answer = {"type": "tool_search_output", "call_id": mine["call_id"], "execution": "client", "tools": [TOOL]}
    s.check_equal("status with its output", s.chain(searching, [answer], model="gpt-5.4")["status"], "completed")


@rule("R11.10")
def _choosing_none_saves_nothing(s: ServerUnderTest) -> None:
    plain = s.cost("x")
    auto = s.cost("x", tools=[TOOL])
    s.check("tools cost tokens", auto > plain, (plain, auto))
    none = s.cost("x", tools=[TOOL], tool_choice="none")
    s.check("tokens with tool_choice none: as many, or 1 more on chat models (T5)", none in (auto, auto + 1), none)
    response = s.create("x", tools=[TOOL], tool_choice="none")
    s.check_equal("input tokens with tool_choice none", response["usage"]["input_tokens"], none)
    s.check_equal("names of the tools", [tool["name"] for tool in response["tools"]], ["lookup"])


@rule("R11.11", models=("gpt-5.4",))
def _forced_tools_are_called(s: ServerUnderTest) -> None:
    for tool, kind in (({"type": "shell", "environment": {"type": "local"}}, "shell"), (_PATCH, "apply_patch")):
        for choice in ("required", {"type": kind}):
            response = s.create("Make a file.", model="gpt-5.4", tools=[tool], tool_choice=choice)
            types = [item["type"] for item in response["output"]]
            s.check(f"{kind} is called with {choice}", f"{kind}_call" in types, types)
            s.check("there is no message in its place", "message" not in types, types)


_PATCH: Item = {"type": "apply_patch"}


@rule("R15.9", needs=("mock",))
def _required_does_not_loop(s: ServerUnderTest) -> None:
    fields: dict[str, Any] = {"tools": [TOOL, _OTHER], "tool_choice": "required"}
    turn, called = s.create("Do something.", **fields), []
    # One turn more than there are tools: what follows when all were called is the rule (R15.9).
    for _ in range(3):
        call = call_of(turn)
        called.append(call["name"])
        turn = s.chain(turn, [output_for(call)], **fields)
    s.check_equal("what is called, one after the other", called, ["lookup", "store", "store"])
    again = s.create([*turn["output"], output_for(call_of(turn)), user("Once more.")], **fields)
    s.check_equal("what is called after a new user message", _calls(again), ["lookup"])
    plain = s.create("Say hello.", tools=[TOOL])
    s.check_equal("calls of an unrelated question", _calls(plain), [])
