"""Valid requests of every endpoint and every control call, and mutations of them, for property tests and attacks.

A mutation is drawn from a `random.Random`, so a seed is a whole attack and can be run again. What is replaced is
replaced by another JSON type: that is what found most of what was ever answered with 500.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from random import Random
from typing import Any, NamedTuple

from tests.support.item_inputs import INPUTS
from tests.support.request_examples import FULL_REQUEST as FULL
from tests.support.request_examples import ITEM_EXAMPLES as ITEMS
from tests.support.request_examples import PART_EXAMPLES as PARTS
from tests.support.request_examples import TOOL_EXAMPLES as TOOLS
from tests.support.scripted_items import DRAFTS, REPLIES

Json = Any

USER = {"role": "user", "content": "hello"}
CALLS = [
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "u"}]},
]
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "enum": ["x"]}, "b": {"type": ["object", "null"], "properties": {}}},
    "required": ["a", "b"],
    "additionalProperties": False,
    "$defs": {"d": {"anyOf": [{"$ref": "#"}, {"type": "array", "items": {"type": "integer", "minimum": 1}}]}},
}
FUNCTION = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}

# Requests that are answered, or would be if they named things that exist: what mutations start from.
_CHAT = {
    "model": "gpt-4.1",
    "input": [USER, *CALLS],
    "tools": [FUNCTION],
    "temperature": 0.5,
    "include": ["message.output_text.logprobs"],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
}
_REASONING = {
    "model": "gpt-5.6-terra",
    "input": "hello",
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}, "verbosity": "low"},
    "prompt_cache_options": {"ttl": "30m"},
    "stream": True,
}
CREATES: list[dict[str, Json]] = [
    _CHAT,
    _REASONING,
    FULL,
    {"model": "gpt-5.6-terra", "input": "more", "previous_response_id": "{response}"},
    {"model": "gpt-4.1", "input": "more", "conversation": {"id": "{conversation}"}, "store": False},
    {"model": "gpt-4.1", "input": [{"type": "item_reference", "id": "{item}"}]},
    *({"model": "gpt-5.6-terra", "input": [USER, item]} for item in ITEMS),
    *({"model": "gpt-5.6-terra", "input": "x", "tools": [tool]} for tool in TOOLS),
    *({"model": "gpt-4.1", "input": [{"role": role, "content": [part]}]} for role, part in PARTS),
]
_COUNTED = ("model", "input", "previous_response_id", "conversation", "tools", "tool_choice", "text", "reasoning")
BODIES: Mapping[str, list[dict[str, Json]]] = {
    "/v1/responses": CREATES,
    "/v1/responses/input_tokens": [{key: one[key] for key in _COUNTED if key in one} for one in CREATES],
    "/v1/responses/compact": [{"model": "gpt-4.1", "input": [USER, *CALLS], "instructions": "x"}],
    "/v1/conversations": [{"items": [item], "metadata": {"k": "v"}} for item in ITEMS],
    "/v1/conversations/{conversation}": [{"metadata": {"k": "v"}}],
    "/v1/conversations/{conversation}/items": [{"items": [USER, item]} for item in ITEMS],
}
GETS = (
    "/v1/responses/{response}",
    "/v1/responses/{response}/input_items",
    "/v1/conversations/{conversation}",
    "/v1/conversations/{conversation}/items",
    "/v1/conversations/{conversation}/items/{item}",
    "/v1/models",
    "/v1/models/gpt-4.1",
)

# More that only these mutations start from: choices of tools, and items that stand together.
_CHOICES: list[Json] = [
    "required",
    {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]},
    {"type": "function", "name": "f"},
    {"type": "mcp", "server_label": "s", "name": "t"},
    {"type": "web_search"},
    {"type": "custom", "name": "c"},
    {"type": "apply_patch"},
]
_TOOLS = [FUNCTION, *(tool for tool in TOOLS if tool["type"] != "function")]
_MORE_CREATES = [
    *({"model": "gpt-5.6-terra", "input": "x", "tools": _TOOLS, "tool_choice": choice} for choice in _CHOICES),
    *({"model": "gpt-5.6-terra", "input": [USER, *items]} for items in INPUTS.values()),
    {"model": "gpt-5.6-terra", "input": [USER, {"type": "tool_search_call", "call_id": "t", "arguments": {}}]},
    {
        "model": "gpt-5.4",
        "input": [
            USER,
            {"type": "tool_search_call", "call_id": "t", "arguments": {"goal": "x"}, "execution": "client"},
            {"type": "tool_search_output", "call_id": "t", "execution": "client", "tools": [FUNCTION]},
        ],
    },
    {"model": "gpt-4.1", "input": "x", "background": True, "stream": True},
    {"model": "gpt-5.6-terra", "input": "word " * 1100, "prompt_cache_key": "k", "prompt_cache_retention": "24h"},
]
LINES: list[Json] = [
    {"reply": {"text": "one", "reasoning": "hm"}, "pacing": {"first_token": 1, "tokens_per_second": 9}},
    {
        "reply": {"text": "two {{ turn }}"},
        "times": 2,
        "when": {
            "input_contains": "x",
            "input_matches": "^x",
            "model": "gpt-4.1",
            "turn": 1,
            "store": True,
            "conversation": False,
        },
    },
    {
        "reply": {
            "error": {"status": 429, "code": "rate_limit_exceeded", "message": "m", "headers": {"retry-after": "1"}}
        }
    },
    *({"reply": reply} for reply in REPLIES.values()),
]
FAULTS: list[Json] = [
    {"when": {"path": "/v1/responses", "method": "POST", "probability": 0.5}, "do": {"error": 503}, "times": 1},
    {"when": {"input_contains": "x", "turn": 2}, "at": {"event": "response.created", "count": 1}, "do": "cut"},
    {"at": {"bytes": 10}, "do": {"delay": 1}},
    {"do": {"error": {"status": 500, "code": "server_error", "message": "m"}}, "when": {"model": "gpt-4.1"}},
]
_GIVEN: list[Json] = [
    {"conversations": [{"id": "conv_a", "items": list(items), "metadata": {"k": "v"}}]} for items in INPUTS.values()
]
_GIVEN += [
    {"responses": [{"id": "resp_a", "input": "x", "output": list(drafts), "model": "gpt-4.1"}]}
    for drafts in DRAFTS.values()
]
CONTROL_BODIES: Mapping[tuple[str, str], list[Json]] = {
    ("POST", "/_mock/reset"): [{"only": ["state", "scenario", "faults", "journal", "clock"]}, {}],
    ("PUT", "/_mock/clock"): [
        {"now": 1_795_176_000},
        {"now": "2026-11-20T12:00:00Z", "mode": "manual"},
        {"mode": "system"},
    ],
    ("POST", "/_mock/clock/advance"): [{"seconds": 1.5, "days": 2}, {"days": 40}],
    ("POST", "/_mock/script"): [{"lines": [line]} for line in LINES],
    ("PUT", "/_mock/scenario"): [{"seed": 7, "lines": LINES[:4], "given": _GIVEN[0]}, {"lines": []}],
    ("PUT", "/_mock/given"): _GIVEN,
    ("POST", "/_mock/given"): _GIVEN,
    ("PUT", "/_mock/faults"): [{"faults": FAULTS}, FAULTS, []],
    ("PUT", "/_mock/snapshot"): [],  # taken from the mock itself
}
CONTROL_GETS = (
    "/_mock/health",
    "/_mock/clock",
    "/_mock/scenario",
    "/_mock/snapshot",
    "/_mock/responses?limit=3&status=completed&model=gpt-4.1&after={response}",
    "/_mock/responses/{response}/context",
    "/_mock/conversations?limit=3&after={conversation}",
    "/_mock/faults",
    "/_mock/journal?limit=1000&context=full&path=/v1/responses",
    "/_mock/journal?limit=3&after=2&context=reference&response_id={response}",
    "/_mock/journal?view=summary&limit=1&after=1",
    "/_mock/journal.cassette",
    "/_mock/graph",
    "/_mock/projects",
    "/_mock/models",
    "/_mock/metrics",
    "/_mock/drift",
    "/_mock/cassette?limit=3&after=1&used=true",
    "/_mock/cassette/misses?limit=3&after=1",
    "/_mock/verdict",
)
_FRAMES: list[Json] = [
    *({"type": "response.create", **body} for body in CREATES[:4]),
    {"type": "response.create", "model": "gpt-4.1", "input": "x", "stream_id": "a", "generate": False},
    {"type": "response.steer", "previous_response_id": "{response}", "input": [{"role": "user", "content": "x"}]},
    {"type": "response.inject", "response_id": "{response}", "input": [USER]},
]
_QUERIES = (
    "limit=1&order=asc&after={item}&before={item}&include[]=reasoning.encrypted_content",
    "stream=true&starting_after=3&include_obfuscation=false",
    "include=message.output_text.logprobs&limit=100",
    "",
)


class Request(NamedTuple):
    """A call as it is sent; a frame has the method `FRAME`."""

    method: str
    target: str
    body: bytes = b""


FRAME = "FRAME"


def fill(value: Json, names: Mapping[str, str]) -> Json:
    """A value with the names of what there is in place of `{response}`, `{conversation}`, `{item}`."""
    if isinstance(value, str):
        return names.get(value[1:-1], value) if value[:1] == "{" else value
    if isinstance(value, list):
        return [fill(one, names) for one in value]
    return {key: fill(one, names) for key, one in value.items()} if isinstance(value, dict) else value


def _fill_path(path: str, names: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: names[match[1]], path)


# --- Values ---------------------------------------------------------------------------------------------------------


def _deep(kind: str, levels: int, leaf: Json) -> Json:
    value = leaf
    for _ in range(levels):
        value = [value] if kind == "list" else {"type": value} if kind == "type" else {"a": value}
    return value


_TEXTS = (
    *("", "x", "user", "null", "{}", "\x00", "ü☃😀", "\ud83d", "x" * 70, "../..", "%s{0}", "0", "-1", "1e999", "#"),
    *("2026-11-20T12:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "data:image/png;base64,AA=="),
    *("data:,", "(", "resp_1"),
)
_NUMBERS = (0, 1, -1, 16, 255, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 1e300, -0.0, 1e-7, 1.5)
# one of each JSON type, and what looks like another one
_VALUES: tuple[Callable[[Random], Json], ...] = (
    lambda random: None,
    lambda random: random.choice((True, False)),
    lambda random: random.choice(_NUMBERS),
    lambda random: random.choice(_TEXTS),
    lambda random: random.choice(_TEXTS),
    lambda random: [],
    lambda random: {},
    lambda random: [random.choice((None, {}, [], "x", 1))],
    lambda random: {random.choice(("type", "id", "text", "", "a", "call_id")): random.choice((None, {}, [], "x", 1))},
    lambda random: _deep(random.choice(("list", "object", "type")), random.choice((5, 90, 150, 190, 400)), "x"),
)


def draw_value(random: Random) -> Json:
    """A value of any JSON type."""
    return random.choice(_VALUES)(random)


def places(value: Json) -> Iterator[tuple[Any, Any]]:
    """Each container inside a value with each of its keys."""
    todo = [value]
    while todo:
        holder = todo.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            yield holder, key
            todo.append(holder[key])


def mutate(random: Random, value: Json, others: list[Json]) -> Json:
    """A copy of a value with one to three places changed: replaced, removed, doubled, renamed, added, swapped."""
    root = [deepcopy(value)]
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        holder, key = random.choice(list(places(root)))
        change = random.choice(_CHANGES)
        change(random, holder, key, others)
        if not root:
            root.append(draw_value(random))
    return root[0]


def _replace(random: Random, holder: Any, key: Any, others: list[Json]) -> None:
    holder[key] = draw_value(random)


def _remove(random: Random, holder: Any, key: Any, others: list[Json]) -> None:
    del holder[key]


def _double(random: Random, holder: Any, key: Any, others: list[Json]) -> None:
    if isinstance(holder, list):
        holder += [holder[key]] * random.choice((1, 2, 40))
    else:
        holder[key] = [holder[key], holder[key]]


def _rename(random: Random, holder: Any, key: Any, others: list[Json]) -> None:
    if isinstance(holder, dict):
        holder[random.choice((*_TEXTS[:8], "type", "id", "call_id", "content"))] = holder.pop(key)
    else:
        holder.insert(key, draw_value(random))


def _swap(random: Random, holder: Any, key: Any, others: list[Json]) -> None:
    found = list(places(deepcopy(random.choice(others))))
    if found:
        other, there = random.choice(found)
        holder[key] = other[there]


_CHANGES = (_replace, _replace, _replace, _replace, _remove, _remove, _double, _rename, _swap)


def encode(random: Random, value: Json) -> bytes:
    """JSON text; now and then with a member twice, cut off, or with a byte that is none of JSON's."""
    text = json.dumps(value, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    how = random.random()
    if how < 0.03 and b'": ' in text:
        at = random.choice([found.start() for found in re.finditer(rb'"[a-z_]+": ', text)] or [0])
        member = re.match(rb'"[a-z_]+": ', text[at:])
        return text[:at] + (member[0] + b"null, " if member else b"") + text[at:]
    if how < 0.05:
        return text[: random.randrange(len(text) + 1)]
    if how < 0.07:
        at = random.randrange(len(text) + 1)
        return text[:at] + bytes([random.randrange(256)]) + text[at:]
    return text


# --- Calls ----------------------------------------------------------------------------------------------------------

_POSTS: Mapping[str, list[Json]] = {**BODIES, "/v1/responses": [*CREATES, *_MORE_CREATES]}
_ROWS: list[tuple[str, str, list[Json]]] = [
    *(("POST", path, bodies) for path, bodies in _POSTS.items()),
    ("POST", "/v1/responses", _POSTS["/v1/responses"]),  # twice: most of what there is to get wrong is there
    *((method, path, bodies) for (method, path), bodies in CONTROL_BODIES.items()),
    (FRAME, "/v1/responses", _FRAMES),
]


def draw_request(random: Random, names: Mapping[str, str], snapshot: Json) -> Request:
    """A mutated request of any endpoint or control call; `names` are ids that exist, a `snapshot` is the mock's own."""
    how = random.random()
    if how < 0.06:
        path, _, query = random.choice(CONTROL_GETS).partition("?")
        return Request("GET", _fill_path(f"{path}?{_mutate_query(random, query)}", names))
    if how < 0.12:
        path, query = random.choice(GETS), random.choice(_QUERIES)
        target = _fill_path(f"{path}?{_mutate_query(random, query)}", {**names, random.choice(list(names)): "x"})
        return Request(random.choice(("GET", "GET", "DELETE")), target)
    if how < 0.14:
        return Request("POST", _fill_path("/v1/responses/{response}/cancel", names))
    method, path, bodies = random.choice(_ROWS)
    body = snapshot if path == "/_mock/snapshot" else random.choice(bodies)
    mutated = mutate(random, fill(body, names), bodies or [snapshot])
    return Request(method, _fill_path(path, names), encode(random, mutated))


def _mutate_query(random: Random, query: str) -> str:
    pairs = query.split("&")
    at = random.randrange(len(pairs))
    name = pairs[at].partition("=")[0]
    values = ("", "1", "0", "-1", "9" * 50, "%00", "%ff", "x", "true", "１", "{item}", "asc", "%", "1.5")
    pairs[at] = f"{name}={random.choice(values)}" if random.random() < 0.8 else random.choice(("", "&", "=", name * 2))
    return "&".join(pairs)
