"""Fixed rules about counting tokens, usage and the prompt cache (R8.1–R8.8)."""

from __future__ import annotations

import secrets
from typing import Any

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import NOWHERE, TOOL, Item, ServerUnderTest, text_of, user, words

EXACT = "gpt-5.6-terra"  # a model whose cache has exact boundaries
CHAT = "gpt-4.1"  # one whose cache rounds
LAST = "gpt-6.2-sol"  # one whose instructions come after the input
_FORMAT = {"format": {"type": "json_schema", "name": "out", "schema": TOOL["parameters"], "strict": True}}


@rule("R8.1")
def _counting_leaves_nothing_behind(s: ServerUnderTest) -> None:
    body = s.call_ok("POST", "/responses/input_tokens", {"model": s.model, "input": "ping"})
    if not s.lenient:
        s.check_equal("members", sorted(body), ["input_tokens", "object"])
        s.check_equal("object", body["object"], "response.input_tokens")
    s.check("a count", isinstance(body["input_tokens"], int) and body["input_tokens"] > 0, body)
    if s.has("conversations"):
        talk = s.conversation(user("a"))
        before = s.items(talk)
        s.count(input="more", conversation=talk["id"])
        s.check_equal("items of the conversation", s.items(talk), before)
    first = s.create("one")
    s.count(input="more", previous_response_id=first["id"])
    s.check_equal("input items of the response", len(s.inputs(first)), 1)
    if not s.lenient:
        s.count()
        s.claims.append("every field of the body is optional")


@rule("R8.2")
def _the_count_is_what_is_billed(s: ServerUnderTest) -> None:
    first, talk = s.create("one two three"), s.conversation(user("four five"), user("six"))
    cases: list[Item] = [
        {"input": "one two three"},
        {"input": [user("a"), {"role": "developer", "content": "b"}, {"role": "assistant", "content": "c"}]},
        {"input": "a", "instructions": "Answer briefly, please."},
        {"input": "a", "tools": [TOOL], "tool_choice": "none"},
        {"input": "a json", "text": _FORMAT},
        {"input": "and?", "previous_response_id": first["id"]},
        {"input": "and?", "conversation": talk["id"]},
    ]
    counts = [s.count(**case) for case in cases]
    for case, count in zip(cases, counts, strict=True):
        s.check_equal(f"input tokens of {sorted(case)}", s.create(**case)["usage"]["input_tokens"], count)
    s.check(
        "instructions, tools, formats and history all count", all(tokens > counts[0] for tokens in counts[2:]), counts
    )


@rule("R8.3")
def _counting_knows_the_same_exclusions(s: ServerUnderTest) -> None:
    path = "/responses/input_tokens"
    both = {"previous_response_id": f"resp_{NOWHERE}", "conversation": f"conv_{NOWHERE[:48]}"}
    s.check_error(expected_errors.parent_and_conversation(), "POST", path, {"model": s.model, "input": "a", **both})
    for name, error in (
        ("previous_response_id", expected_errors.no_parent(both["previous_response_id"])),
        ("conversation", expected_errors.no_conversation_to_continue(both["conversation"])),
    ):
        s.check_error(error, "POST", path, {"model": s.model, "input": "a", name: both[name]})


def _function(name: str, description: str = "", **properties: str) -> Item:
    schema = {name: {"type": kind} for name, kind in properties.items()}
    parameters = {"type": "object", "properties": schema, "required": list(schema), "additionalProperties": False}
    described = {"description": description} if description else {}
    return {"type": "function", "name": name, **described, "parameters": parameters, "strict": True}


# model, tools, what they cost together
# Figures, not formulas: the mock's own formula must not be what it is checked against (R8.4, T3 to T7).
_TOOL_COSTS: tuple[tuple[str, tuple[Item, ...], int], ...] = (
    ("gpt-5.4", (_function("dummy"),), 22),
    ("gpt-5.4", (_function("get_file"),), 23),
    ("gpt-5.4", (_function("get_mixed_content"),), 25),
    ("gpt-5.4", (_function("update_plan", plan="string"),), 29),
    ("gpt-5.4", (_function("get_weather", "Get weather for a city", city="string"),), 36),
    ("gpt-5.4", (_function("lookup_refund_policy", "Look up the refund policy for an order.", order_id="string"),), 42),
    ("gpt-4.1", (_function("get_user_country"),), 19),
    ("gpt-4.1", (_function("get_weather", city="string"),), 24),
    ("gpt-4.1", (_function("get_capital", country="string"),), 25),
)


def _price(s: ServerUnderTest, **fields: Any) -> int:
    """The input tokens of a request: as counted, or as billed where the server can't count."""
    return s.count(**fields) if s.has("count") else int(s.create(**fields)["usage"]["input_tokens"])


@rule("R8.4", models=("gpt-4.1", "gpt-5.4", EXACT))
def _what_requests_cost(s: ServerUnderTest) -> None:
    s.check_equal("ping on gpt-5.6-terra", _price(s, model=EXACT, input="ping"), 7)
    s.check_equal(
        "with instructions of 3 tokens", _price(s, model=EXACT, input="ping", instructions="Answer briefly."), 14
    )
    s.check_equal("ping on gpt-4.1", _price(s, model="gpt-4.1", input="ping"), 8)
    for model, tools, cost in _TOOL_COSTS:
        plain = _price(s, model=model, input="ping")
        names = ", ".join(tool["name"] for tool in tools)
        s.check_equal(
            f"cost of {names} on {model}", _price(s, model=model, input="ping", tools=list(tools)) - plain, cost
        )
    call = {
        "type": "function_call",
        "call_id": "call_x",
        "name": "get_capital",
        "arguments": '{"country":"PotatoLand"}',
    }
    output = {"type": "function_call_output", "call_id": "call_x", "output": "Potato City"}
    loop = _price(s, model="gpt-4.1", input=[user("ping"), call, output]) - _price(s, model="gpt-4.1", input="ping")
    s.check_equal("cost of a call without id and its output on gpt-4.1", loop, 27)


@rule("R8.5", models=("gpt-4.1",))
def _the_encoding_is_o200k(s: ServerUnderTest) -> None:
    texts = (
        ("tiktoken is great!", 6),
        ("antidisestablishmentarianism", 6),
        ("2 + 2 = 4", 7),
        ("お誕生日おめでとう", 8),
    )
    for text, tokens in texts:
        s.check_equal(f"tokens of {text}", _price(s, model="gpt-4.1", input=text), tokens + 7)


@rule("R8.6")
def _the_shape_of_usage(s: ServerUnderTest) -> None:
    usage = s.create()["usage"]
    members = ["input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens"]
    s.check_equal("members", sorted(usage), members)
    s.check_equal("total", usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
    s.check("cached_tokens", usage["input_tokens_details"]["cached_tokens"] <= usage["input_tokens"])
    s.check("cache_write_tokens", "cache_write_tokens" in usage["input_tokens_details"])
    s.check("reasoning is part of the output", _reasoning_tokens(usage) <= usage["output_tokens"], usage)
    if s.mock:
        thought = s.create(model="gpt-5.2", reasoning={"effort": "high"})
        s.check(
            "reasoning is part of the output",
            0 < _reasoning_tokens(thought["usage"]) < thought["usage"]["output_tokens"],
        )
        response = s.create()
        length = s.count(model=CHAT, input=text_of(response["output"][0])) - 7
        s.check_equal("output tokens of a text on gpt-4.1", response["usage"]["output_tokens"], length + 1)


def _reasoning_tokens(usage: Item) -> int:
    return int(usage["output_tokens_details"]["reasoning_tokens"])


_BITS = 32  # words that make a text new


def _new_text(s: ServerUnderTest, number: int) -> str:
    """A text of the given number of tokens; on a foreign server its beginning is random, for its cache is not empty."""
    if s.mock:
        return words(number)
    bits = secrets.randbits(_BITS)
    return "".join(" word" if bits >> place & 1 else " time" for place in range(_BITS)) + words(number - _BITS)


def _cache(s: ServerUnderTest, input: Any, **fields: Any) -> tuple[int, int]:
    details = s.create(input, **fields)["usage"]["input_tokens_details"]
    return details["cached_tokens"], details["cache_write_tokens"]


@rule("R8.7", needs=("model clock",), models=(CHAT, EXACT))
def _what_is_cached(s: ServerUnderTest) -> None:
    s.freeze()
    # Below and at 1,024, and around the next step of 128: the older models round down (T13).
    for tokens, cached in ((1023, 0), (1024, 1024), (1151, 1024), (1152, 1152)):
        text, key = _new_text(s, tokens - 7), f"p{tokens}"
        s.check_equal(f"{tokens} tokens on {CHAT}", _cache(s, text, model=CHAT, prompt_cache_key=key), (0, 0))
        again = _cache(s, text, model=CHAT, prompt_cache_key=key)
        s.check_equal(f"{tokens} tokens on {CHAT}, again", again, (cached, 0))
    # Newer models cache all but the last 3 tokens, and report what they write (T13).
    for tokens, covered in ((1023, 0), (1024, 1021), (1645, 1642)):
        text, key = _new_text(s, tokens - 6), f"q{tokens}"
        first = _cache(s, text, model=EXACT, prompt_cache_key=key)
        s.check_equal(f"{tokens} tokens on {EXACT}", first, (0, covered))
        again = _cache(s, text, model=EXACT, prompt_cache_key=key)
        s.check_equal(f"{tokens} tokens on {EXACT}, again", again, (covered, 0))
    text = _new_text(s, 2000)
    s.check_equal("another beginning", _cache(s, "x" + text, model=EXACT), (0, 2004))
    changed = _cache(s, "y" + text, model=EXACT)
    s.check_equal("a change at the start", changed, (0, 2004))


@rule("R1.47", needs=("model clock",), models=(LAST,))
def _instructions_come_last(s: ServerUnderTest) -> None:
    s.freeze()
    text, plain = _new_text(s, 2000), {"model": LAST, "prompt_cache_key": "last"}
    s.check_equal("first", _cache(s, text, instructions="Answer briefly.", **plain), (0, 2003))
    s.check_equal("other instructions", _cache(s, text, instructions="Be kind.", **plain), (2003, 0))
    s.check_equal("no instructions", _cache(s, text, **plain), (2003, 0))
    cost = s.cost(text, instructions="Answer briefly.", model=LAST) - s.cost(text, model=LAST)
    s.check_equal("tokens of instructions", cost, 7)


@rule("R8.8", needs=("model clock",), models=(CHAT, EXACT))
def _what_the_cache_goes_by(s: ServerUnderTest) -> None:
    s.freeze()
    text = _new_text(s, 2000)
    plain: Item = {"model": EXACT}
    s.check_equal("first", _cache(s, text, **plain), (0, 2003))
    # Members that are part of the rendered prefix, so that each of them misses the cache; below those that are
    # not.
    changes: list[Item] = [
        {"tools": [TOOL], "tool_choice": "none"},
        {"text": {"verbosity": "low"}},
        {"reasoning": {"effort": "low"}},
        {"prompt_cache_key": "mine"},
        {"model": "gpt-5.6-luna"},
    ]
    for change in changes:
        s.check_equal(f"cached with other {sorted(change)}", _cache(s, text, **{**plain, **change})[0], 0)
    for change in ({"metadata": {"k": "v"}}, {"max_output_tokens": 2500}, {"store": False}):
        s.check_equal(f"cached with other {sorted(change)}", _cache(s, text, **plain, **change), (2003, 0))
    s.advance(1799)
    s.check_equal("cached after 1799 seconds", _cache(s, text, **plain), (2003, 0))
    s.advance(1799)
    s.check_equal("cached again: use refreshes", _cache(s, text, **plain), (2003, 0))
    s.advance(1800)
    s.check_equal("cached after 1800 seconds", _cache(s, text, **plain), (0, 2003))
    if s.mock:
        s.check_equal("cached in another project", _cache(s.in_other_project(), text, **plain), (0, 2003))
    answer = s.call("POST", "/responses", {**plain, "input": "a", "prompt_cache_options": {"ttl": "24h"}})
    s.check_equal("another lifetime", (answer.status, answer.error.get("code")), (400, "invalid_value"))
