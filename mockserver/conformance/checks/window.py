"""Fixed rules about the context window, truncation and limits on output (R7.1–R7.8)."""

from __future__ import annotations

from typing import Any

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import Item, ServerUnderTest, text_of, texts_of, user, words
from mockserver.delivery.events import fold

# A small window, because these rules have to fill it, and a foreign server bills every token.
MINI = "gpt-4o-mini"  # a window of 128,000 tokens, and no more than 16,384 of them output
WINDOW = 128_000
_FRAME = 7  # what a request with one user message costs besides its text
_COUNTING = "Count from 1 to 300 in words, and don't stop before the end."


def _long(s: ServerUnderTest) -> None:
    """Make the next answer long; the prompt asks other servers for a long one."""
    if s.mock:
        s.script({"text": words(400)})


@rule("R7.1", needs=("script",), models=(MINI,))
def _input_and_output_share_the_window(s: ServerUnderTest) -> None:
    s.script({"text": words(400)})
    response = s.create(words(WINDOW - 100 - _FRAME), model=MINI)
    s.check_equal("input tokens", response["usage"]["input_tokens"], WINDOW - 100)
    s.check_members("response", response, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    s.check("input and output fit into the window", response["usage"]["total_tokens"] <= WINDOW, response["usage"])


@rule("R7.2", models=(MINI,))
def _more_than_the_window_is_refused(s: ServerUnderTest) -> None:
    ways: list[Item] = [{}, {"truncation": "disabled"}, {"background": True}]
    for fields in ways if s.has("background") else ways[:2]:
        s.check_create_refused(expected_errors.context_too_long(), words(WINDOW + 200), model=MINI, **fields)
    response = s.create(words(WINDOW // 2), model=MINI)
    s.check_create_refused(
        expected_errors.context_too_long(), words(WINDOW // 2), model=MINI, previous_response_id=response["id"]
    )
    if s.mock:
        s.check_create_refused(expected_errors.context_too_long(), words(WINDOW + 1 - _FRAME), model=MINI)
        full = s.create(words(WINDOW - _FRAME), model=MINI)
        s.check_equal("input tokens that fill the window", full["usage"]["input_tokens"], WINDOW)
    fits = s.create([user(words(WINDOW - 2_000)), user("so?")], model=MINI)
    s.check_equal("status with less", fits["status"], "completed")


@rule("R7.3", models=(MINI,))
def _a_stream_over_the_window_fails(s: ServerUnderTest) -> None:
    events = s.stream(words(WINDOW + 200), model=MINI)
    types = [event["type"] for event in events]
    s.check_equal("events", types, ["response.created", "response.in_progress", "error", "response.failed"])
    error = expected_errors.context_too_long()
    expected = {"type": "invalid_request_error", "code": error.code, "message": error.message, "param": error.param}
    s.check_equal("error event", events[2].get("error"), expected)
    s.check_equal("its number", events[2]["sequence_number"], 2)
    s.check_equal("code of the failed response", events[3]["response"]["error"]["code"], error.code)
    s.check_members("failed response", events[3]["response"], status="failed", output=[], usage=None)


@rule("R7.4", models=(MINI,))
def _truncation_drops_from_the_beginning(s: ServerUnderTest) -> None:
    history = [
        user("oldest" + words(60_000)),
        user("older" + words(50_000)),
        user("old" + words(40_000)),
        user("newest"),
    ]
    response = s.create(history, model=MINI, truncation="auto")
    s.check_equal("status", response["status"], "completed")
    s.check("input fits the window", response["usage"]["input_tokens"] <= WINDOW, response["usage"])
    s.check_context(response, *history[1:])
    if s.has("input items"):
        s.check_equal("input items that are kept", texts_of(s.inputs(response)), texts_of(history))
    if s.mock:
        # To the token: dropping one item more or less than needed would show in input_tokens.
        exact = [user("old" + words(99)), user("a" + words(126_999)), user("b" + words(WINDOW - 127_000 - 12))]
        full = s.create(exact, model=MINI, truncation="auto")
        s.check_equal("input tokens when the rest fits exactly", full["usage"]["input_tokens"], WINDOW)
        s.check_context(full, *exact[1:])
    chained = s.chain(response, "next", model=MINI, truncation="auto")
    s.check_context(chained, *history[1:], *response["output"], "next")
    if s.has("input items"):
        s.check_equal("input items of the next", len(s.inputs(chained)), 6)
    s.check_create_refused(expected_errors.context_too_long(), "next", model=MINI, previous_response_id=response["id"])


@rule("R7.5")
def _output_is_capped(s: ServerUnderTest) -> None:
    s.check_create_refused(expected_errors.too_small("max_output_tokens", 16, 15), max_output_tokens=15)
    # 16 is the smallest cap. A foreign model's answer is surely longer than that, but not surely longer than 40.
    for most in (16, 40):
        _long(s)
        response = s.create(_COUNTING, max_output_tokens=most)
        s.check(f"at most {most} output tokens", response["usage"]["output_tokens"] <= most, response["usage"])
        s.check_equal("max_output_tokens", response["max_output_tokens"], most)
        if s.mock or most == 16:
            s.check_equal(f"status of an answer longer than {most} tokens", response["status"], "incomplete")
    if s.mock:
        s.script({"text": words(400)})
        response = s.create("think", model="gpt-5.2", reasoning={"effort": "medium"}, max_output_tokens=600)
        s.check("reasoning counts", response["usage"]["output_tokens"] <= 600, response["usage"])
        s.script({"text": words(39)})
        s.check_equal("status within the cap", s.create(max_output_tokens=40)["status"], "completed")


@rule("R7.6")
def _reaching_the_cap_is_incomplete(s: ServerUnderTest) -> None:
    _long(s)
    response = s.create(_COUNTING, max_output_tokens=16)
    s.check_members(
        "response", response, status="incomplete", incomplete_details={"reason": "max_output_tokens"}, error=None
    )
    s.check("completed_at is not set", response.get("completed_at") is None)
    s.check("usage is set", response["usage"])
    messages = [item for item in response["output"] if item["type"] == "message"]
    s.check(
        "the last message is incomplete", all(message["status"] == "incomplete" for message in messages[-1:]), messages
    )
    s.check_equal("status on GET", s.get(response)["status"], "incomplete")
    _long(s)
    events = s.stream(_COUNTING, max_output_tokens=16)
    types = [event["type"] for event in events]
    s.check_equal("last event", types[-1], "response.incomplete")
    s.check("no response.completed", "response.completed" not in types)
    done = fold(events, begun=False)["output"]
    s.check_equal("items of the stream", done, events[-1]["response"]["output"])
    s.check_equal(
        "status of its last item", [item["status"] for item in done if item["type"] == "message"], ["incomplete"]
    )
    if s.mock:
        s.check_equal("text that is left, with no end token (T8)", text_of(messages[-1]), words(16))
    _check_cut_call(s)


def _check_cut_call(s: ServerUnderTest) -> None:
    """Check a call whose arguments do not fit; a model may say something else than is hoped for."""
    text = {"type": "object", "properties": {"text": {"type": "string", "minLength": 400}}, "required": ["text"]}
    tool: dict[str, Any] = {"type": "function", "name": "write", "parameters": text, "strict": False}
    if s.mock:
        s.script({"output": [{"type": "function_call", "name": "write", "arguments": {"text": words(100)}}]})
    events = s.stream(
        "Write a hundred words.", tools=[tool], tool_choice={"type": "function", "name": "write"}, max_output_tokens=30
    )
    done = [event for event in events if event["type"] == "response.output_item.done"]
    for event in done:
        if event["item"]["type"] == "function_call":
            s.check_equal("status of a call that was cut", event["item"]["status"], "incomplete")
            arguments = [one["arguments"] for one in events if one["type"].endswith("call_arguments.done")]
            s.check_equal("arguments of a call that was cut", arguments, [event["item"]["arguments"]])
    s.check_equal("last event", events[-1]["type"], "response.incomplete")


@rule("R7.7")
def _a_cap_above_the_models_own(s: ServerUnderTest) -> None:
    response = s.create(max_output_tokens=10_000_000)
    s.check_equal("status", response["status"], "completed")
    s.check("there is an answer", response["output"])


def _searches(response: Item) -> int:
    return sum(item["type"] == "web_search_call" for item in response["output"])


@rule("R7.8")
def _built_in_calls_are_limited(s: ServerUnderTest) -> None:
    search = {"type": "web_search_call", "action": {"type": "search", "query": "x"}}
    if s.mock:
        s.script({"output": [search, search, search, {"type": "message", "text": "found"}]})
    prompt = "Search the web for five different things, one search each, then answer."
    response = s.create(prompt, tools=[{"type": "web_search"}], max_tool_calls=1)
    s.check_equal("max_tool_calls", response["max_tool_calls"], 1)
    s.check("at most one search", _searches(response) <= 1, response["output"])
