"""No field is silently ignored: each field of a request is echoed, used or refused, each field of a response made.

For every field the mock is asked with it and without it; what differs says what became of it. Fields that rightly
change nothing are in `WITHOUT_EFFECT`, each with its reason, and are judged all the same: a wrong value is refused.
Run `python -m tests.wire.test_no_silent_field` for the table.
"""

from __future__ import annotations

import json
import re
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import pydantic
import pytest
from openai.types import conversations, responses
from openai.types.conversations import conversation_create_params, conversation_update_params, item_create_params
from openai.types.responses import input_token_count_params, response_compact_params, response_create_params
from openai.types.responses.response import Response

from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests.bodies import INCLUDE_VALUES
from tests.support.api import Api
from tests.support.driving import Driver
from tests.support.request_fields import Field, fields_of, hints
from tests.support.scripted_items import PNG, REPLIES

Look = Callable[[dict[str, Any]], dict[str, Any]]

MODELS = ("gpt-5.6-terra", "gpt-4.1")
PATTERN = re.compile(r'"(?:[a-z]+_(?!0{16})[0-9a-f]{48,50}|call_[A-Za-z0-9]{24}|gAAAAA[\w=-]+)"')


def masked(value: Any) -> Any:
    """Return a value without what is drawn anew for every object."""
    return json.loads(PATTERN.sub('"#"', json.dumps(value)))


def observe(body: dict[str, Any]) -> dict[str, Any]:
    """Return everything that can be seen of a request: its answer or error, its input as listed, what was stored."""
    drive = Driver()
    try:
        if body.get("stream"):
            events = drive.stream(**body)
            made = events[-1]["response"]
            seen: dict[str, Any] = {"response": made, "events": events}
        else:
            made = drive.create(**body)
            seen = {"response": made}
    except (APIError, MockError) as error:
        return {"error": str(error)}
    try:
        query = [("include[]", one) for one in INCLUDE_VALUES]
        seen["input"] = json.loads(Api(drive.engine).list_input_items(drive.project, made["id"], query))["data"]
    except APIError as error:
        seen["input"] = str(error)
    return masked(seen)


def count(body: dict[str, Any]) -> dict[str, Any]:
    """Return everything that can be seen of a count."""
    try:
        return {"response": Driver().count(**body)}
    except (APIError, MockError) as error:
        return {"error": str(error)}


def compact(body: dict[str, Any]) -> dict[str, Any]:
    """Return everything that can be seen of a compaction: the window, and what it costs to go on from it."""
    drive = Driver()
    try:
        made = json.loads(Api(drive.engine).compact_response(drive.project, json.dumps(body).encode()))
    except (APIError, MockError) as error:
        return {"error": str(error)}
    return masked({"response": made, "input": drive.count(input=made["output"])})


def _about_conversation(call: Callable[[Driver, str, bytes], Any]) -> Look:
    """Return how a call about a conversation is seen: what it answers, the conversation and its items after it."""

    def look(body: dict[str, Any]) -> dict[str, Any]:
        drive = Driver()
        id = drive.conversation()["id"]
        sent = json.dumps({key: value for key, value in body.items() if key != "model"}).encode()
        try:
            answer = json.loads(call(drive, id, sent))
        except (APIError, MockError) as error:
            return {"error": str(error)}
        id = answer["id"] if answer["object"] == "conversation" else id
        kept = json.loads(Api(drive.engine).retrieve_conversation(drive.project, id))
        return masked({"response": [answer, kept], "input": drive.items(id)["data"]})

    return look


def verdict(field: Field, look: Look) -> str:
    """Return what became of a field: echoed, used, required, refused or nothing."""
    found = set()
    for model in MODELS:
        having, lacking = look({"model": model, **field.having}), look({"model": model, **field.lacking})
        found.add(_difference(field, having, lacking))
    return next(one for one in ("echoed", "used", "required", "refused", "nothing") if one in found)


def _difference(field: Field, having: dict[str, Any], lacking: dict[str, Any]) -> str:
    if "error" in having:
        return "refused"
    if having == lacking:
        return "nothing"
    if "error" in lacking:
        return "required"
    name = field.path.rpartition(".")[2].partition("[")[0]
    told = [json.dumps(having.get(key)) for key in ("response", "input")]
    return "echoed" if any(f'"{name}"' in one for one in told) else "used"


DEEP = frozenset(
    """access_programs context_management conversation image input moderation prompt prompt_cache_options reasoning
    stream_options text tool_choice tools""".split()
)
BASE: dict[str, Any] = {"input": "hello json"}
ITEM = {"type": "message", "role": "user", "content": "hi"}

# request → its type, a request that is right, the fields that are entered, how it is seen
REQUESTS: dict[str, tuple[Any, dict[str, Any], frozenset[str], Look]] = {
    "create": (response_create_params.ResponseCreateParamsStreaming, BASE, DEEP, observe),
    "compact": (response_compact_params.ResponseCompactParams, BASE, frozenset({"image"}), compact),
    "count": (input_token_count_params.InputTokenCountParams, BASE, frozenset({"reasoning", "text"}), count),
    "conversation": (
        conversation_create_params.ConversationCreateParams,
        {},
        frozenset(),
        _about_conversation(lambda drive, id, body: Api(drive.engine).create_conversation(drive.project, body)),
    ),
    "conversation update": (
        conversation_update_params.ConversationUpdateParams,
        {"metadata": {}},
        frozenset(),
        _about_conversation(lambda drive, id, body: Api(drive.engine).update_conversation(drive.project, id, body)),
    ),
    "conversation items": (
        item_create_params.ItemCreateParams,
        {"items": [ITEM]},
        frozenset(),
        _about_conversation(lambda drive, id, body: Api(drive.engine).create_items(drive.project, id, body, ())),
    ),
}

_FREE = "costs no tokens"
# field → why it rightly changes nothing that can be seen; each is judged all the same
WITHOUT_EFFECT: dict[str, str] = {
    **{
        f"create input[message {name}].type": "a message may say so or not (F8.2)"
        for name in ("EasyInputMessageParam", "Message", "ResponseOutputMessageParam")
    },
    **{
        f"create moderation.policy{rest}": "the mock flags nothing, so no policy applies (O5)"
        for rest in ("", ".input", ".input.mode", ".output", ".output.mode")
    },
    "create background_options": "soonest is what happens anyway, and nothing is echoed (R6.13)",
    "create input[compaction_trigger].id": "the item is consumed (F8.10)",
    **{
        f"compact {name}": "the pass reads no prompt cache, and its answer has no such field (O7)"
        for name in ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "service_tier")
    },
    "create tools[web_search].external_web_access": "the service does not echo it (F7), and the mock searches nothing",
    **{
        f"create tools[{kind}].user_location[approximate].type": "there is one value, which is filled in (F7)"
        for kind in ("web_search", "web_search_preview")
    },
    "create tools[image_generation].input_fidelity": "the service does not echo it (F7), and the mock draws one image",
    "count parallel_tool_calls": _FREE,
    "count personality": _FREE,
    "count reasoning": _FREE,
    "count reasoning.context": "this context has no reasoning",
    "count reasoning.effort": _FREE,
    "count reasoning.mode": _FREE,
    "count reasoning.summary": _FREE,
    "count text": _FREE,
    "count text.format[json_schema].strict": _FREE,
    "count text.verbosity": _FREE,
    "count truncation": "this context fits",
}
# fields that go in the query, which `QUERIES` is about
_IN_QUERY = frozenset({"conversation items include"})


@cache
def fields() -> dict[str, Field]:
    """Return every field of every request, by the request's name and the field's path."""
    found = {
        f"{name} {one.path}": one
        for name, (params, base, deep, _) in REQUESTS.items()
        for one in fields_of(params, base, deep)
    }
    return {path: field for path, field in found.items() if path not in _IN_QUERY}


def look_of(path: str) -> Look:
    """Return how the request is seen that a path begins with."""
    return next(look for name, (_, _, _, look) in reversed(REQUESTS.items()) if path.startswith(f"{name} "))


@cache
def verdicts() -> dict[str, str]:
    """Return what became of every field, by path."""
    return {path: verdict(field, look_of(path)) for path, field in fields().items()}


def table() -> str:
    """Return the table of all fields."""
    lines = [f"{what:9} {path}  {WITHOUT_EFFECT.get(path, '')}".rstrip() for path, what in verdicts().items()]
    return "\n".join([*lines, f"{len(lines)} fields: {dict(Counter(verdicts().values()))}"])


@pytest.mark.slow
def test_no_field_of_a_request_is_silently_ignored() -> None:
    print(table())
    silent = {path for path, what in verdicts().items() if what == "nothing"}
    assert silent == set(WITHOUT_EFFECT)


def spoilt(value: Any, name: str) -> Any:
    """Return a request whose fields of a name hold what no field may hold."""
    if isinstance(value, dict):
        return {key: [["wrong"]] if key == name else spoilt(one, name) for key, one in value.items()}
    return [spoilt(one, name) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", WITHOUT_EFFECT)
def test_fields_without_effect_are_judged(path: str) -> None:
    field = fields()[path]
    name = field.path.rpartition(".")[2].partition("[")[0]
    body = {"model": MODELS[0], **field.having}
    assert "error" not in look_of(path)(body)
    assert "error" in look_of(path)(spoilt(body, name))


# --- what goes in the query ---------------------------------------------------------------------------------------

QUERIES: dict[Any, dict[str, str]] = {
    responses.InputItemListParams: {"after": "", "include": "", "limit": "1", "order": "asc"},
    conversations.ItemListParams: {"after": "", "include": "", "limit": "1", "order": "asc"},
    responses.ResponseRetrieveParams: {
        "include": "",
        "include_obfuscation": "false",
        "starting_after": "1",
        "stream": "true",
    },
    conversations.ItemCreateParams: {"include": "", "items": ""},
    conversations.ItemRetrieveParams: {"conversation_id": "", "include": ""},
}
IMAGES = [
    {"role": "user", "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]},
    {"role": "user", "content": "second"},
]
URL = "message.input_image.image_url"


def known_query(params: Any) -> set[str]:
    """Return the names that a type of query parameters has."""
    branches = typing.get_args(params) or (params,)
    return {name for one in branches for name in hints(one)}


@pytest.mark.parametrize("params", QUERIES, ids=lambda params: getattr(params, "__name__", "ResponseRetrieveParams"))
def test_every_query_parameter_is_here(params: Any) -> None:
    assert set(QUERIES[params]) == known_query(params)


@pytest.mark.parametrize("name", ["after", "include", "limit", "order"])
def test_query_of_lists(name: str) -> None:
    drive = Driver()
    made, conversation = drive.create(IMAGES), drive.conversation(items=IMAGES)["id"]
    for ask in (partial(drive.input_items, made["id"]), partial(drive.items, conversation)):
        plain = ask()
        values = {"after": plain["first_id"], "include": URL, "limit": "1", "order": "asc"}
        assert ask(**{"include[]" if name == "include" else name: values[name]}) != plain


def test_query_of_retrieval() -> None:
    drive = Driver()
    drive.script({"reply": REPLIES["file search"]})
    id = drive.create("hello")["id"]
    assert drive.get(id) != drive.get(id, "file_search_call.results")
    stream = drive.replay(id)
    assert stream[-1]["type"] == "response.completed"
    assert drive.replay(id, starting_after="1") == stream[2:]
    other = drive.create("hello")["id"]
    assert drive.replay(other, include_obfuscation="false") != drive.replay(other)


# --- the Response -------------------------------------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    "model": "gpt-5.6-terra",
    "input": "hello",
    "image": {"context_compression": "enabled"},
    "access_programs": {"cyber": "standard"},
    "moderation": {"model": "omni-moderation-latest"},
    "prompt_cache_options": {"comparison_response_id": "resp_1"},
    "reasoning": {"summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {}}}},
}
LAID_OVER = {
    "input_transformations": [{"id": "rs_1", "type": "reasoning", "action": "removed", "reason": "turn_boundary"}],
    "prompt": {"id": "pmpt_1", "version": "2", "variables": {"a": "b"}},
    "prompt_cache_diagnostics": {
        "type": "cache_miss",
        "cache_missed_tokens": 3,
        "reason": "input_changed",
        "comparison_reusable_tokens": 0,
    },
}
# what is never made, and why
NOT_MADE = {
    "error": dict.fromkeys(("misalignment", "param", "type"), "S12.2: a failed response has only code and message"),
    "reasoning": {"generate_summary": "E5: refused by the service, and never echoed"},
    "tool_usage.image_gen": dict.fromkeys(
        ("cached_tokens", "cached_tokens_details"), "W12: the service does not send them"
    ),
    "usage.input_tokens_details": {"cache_write_tokens_details": "O2: only when a cache is written with two lifetimes"},
    "moderation.input": dict.fromkeys(("code", "message"), "O5: only when moderation itself fails"),
    "moderation.output": dict.fromkeys(("code", "message"), "O5: only when moderation itself fails"),
}
# members that hold what a caller or a script said; items have tests of their own
_NOT_ENTERED = frozenset({"instructions", "metadata", "output", "prompt", "tools", "tool_choice"})


def responses_made() -> list[dict[str, Any]]:
    """Return responses that together have every field."""
    drive = Driver()
    drive.script(
        {"reply": {"text": "a", "response": LAID_OVER}},
        {"reply": REPLIES["failed"]},
        {"reply": REPLIES["incomplete"]},
    )
    plain = [drive.create("hello") for _ in range(3)]
    conversation = drive.conversation()["id"]
    return [*plain, drive.create(**EVERYTHING, conversation=conversation)]


def _models(annotation: Any) -> list[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    return [one for arg in typing.get_args(annotation) for one in _models(arg)]


def missing(model: type[pydantic.BaseModel], values: list[Any], path: str) -> Iterator[str]:
    """Yield the fields of a model that none of the values has."""
    for field, info in model.model_fields.items():
        name = info.alias or field
        place = f"{path}.{name}".lstrip(".")
        if name in NOT_MADE.get(path, {}):
            continue
        found = [value[name] for value in values if isinstance(value, dict) and name in value]
        if not found:
            yield place
        elif not path and name in _NOT_ENTERED:
            continue
        else:
            inner = [one for value in found for one in (value if isinstance(value, list) else [value])]
            for one in _models(info.annotation):
                yield from missing(one, inner, place)


def test_every_field_of_a_response_is_made() -> None:
    made = responses_made()
    assert list(missing(Response, made, "")) == []
    for one in made:
        Response.model_validate(one)


if __name__ == "__main__":
    print(table())
