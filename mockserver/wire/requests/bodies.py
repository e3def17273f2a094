"""What comes in: each function takes a request body's bytes and returns what the caller sent, or raises `APIError`.

The order of judgement is the service's (Spec: errors §3): the body, `model`, a missing `input`, unknown keys, then
types and bounds field by field. What needs state or the model catalogue is judged later, by others.
Explicit nulls of optional top-level fields mean "not sent" and are dropped, as are the keys every client may send
without meaning anything by them; nothing else is changed.
"""

# Why shapes are pydantic core schemas and not models: a model would build an object for each part of a body, and
# nobody needs one. The compiled validator only says yes or no, in a microsecond or two, and the caller's own
# dictionaries are kept as they came: what is echoed is what was sent.
#
# What must stay true: the order of the entries of `_CREATE` is the order in which fields are complained about. It
# was measured with pairs of wrong fields; do not sort it.

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Literal, Protocol

import orjson

from mockserver.config.switches import Switches
from mockserver.wire.errors import api as errors
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.errors.text import suggestions
from mockserver.wire.requests.items import INPUT, item_list
from mockserver.wire.requests.parts import PROMPT_VARIABLES
from mockserver.wire.requests.schema import (
    BOOLEAN,
    ID_LENGTH,
    LONG_TEXT,
    TEXT,
    Fields,
    array,
    decimal,
    either,
    enum,
    identifier,
    integer,
    shape,
    string,
)
from mockserver.wire.requests.tools import EFFORT, METADATA, TEXT_CONFIG, TOOL_CHOICE, TOOL_LIST
from mockserver.wire.requests.validation import Validator

MAX_DEPTH = 200
MOST_VALUES = 500_000  # of a body
HEAVY = 65_536  # bytes of a body that may take long
SMALL = 16_384  # bytes of a body whose schemas take little time, if nothing in them makes much of little
# what lets a schema of a few bytes demand a large instance, or a long search
_LARGE_SCHEMAS = (b'"pattern', b'"$ref"', b'"minItems"', b'"minLength"', b'"minProperties"', b'"allOf"', b"\\u00")

# What becomes of top-level keys nobody knows: the values of switch `unknown_body_key`.
UnknownKeys = Literal["refuse", "ignore"]

# Sent by real clients, known to nobody: accepted and dropped. Spec: F1, C2.
TOLERATED = frozenset({"client_metadata", "verbosity"})

# Chat Completions names and where they went. Spec: E7.
MOVED = {"messages": "input", "response_format": "text.format"}

# With one of these, `input` may be absent. Spec: errors §3.
STATE_KEYS = ("previous_response_id", "prompt", "conversation")

INCLUDE_VALUES = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)
_INCLUDE = enum(*INCLUDE_VALUES)
INCLUDE = array(_INCLUDE, expected=f"an array of {_INCLUDE['metadata']['expected']}")

_MODERATION_MODE = shape({}, {"mode": enum("score", "block")})
_CACHE_TTL = enum("30m", also=("12h",))
_PENALTY = decimal(least=-2, most=2)
_PARENT = identifier("resp")
_REASONING = shape(
    {},
    {
        "effort": EFFORT,
        "summary": enum("concise", "detailed", "auto"),
        "context": enum("auto", "current_turn", "all_turns"),
        "mode": TEXT,
    },
)
_CONVERSATION = either("one of a string or object", string=TEXT, object=shape({"id": TEXT}))
_RETENTION = enum("in_memory", "24h")
_TRUNCATION = enum("auto", "disabled")
_IMAGE = shape({}, {"context_compression": enum("auto", "enabled", "disabled")})

# In the order of judgement (errors §3, step 5); what was never measured comes last.
_CREATE: Fields = {
    "input": INPUT,
    "previous_response_id": _PARENT,
    "prompt": shape({"id": TEXT}, {"version": TEXT, "variables": PROMPT_VARIABLES}),
    "moderation": shape(
        {"model": TEXT}, {"policy": shape({}, {"input": _MODERATION_MODE, "output": _MODERATION_MODE})}
    ),
    "include": INCLUDE,
    "tools": TOOL_LIST,
    "tool_choice": TOOL_CHOICE,
    "metadata": METADATA,
    "text": TEXT_CONFIG,
    "temperature": decimal(least=0, most=2),
    "top_p": decimal(least=0, most=1),
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "parallel_tool_calls": BOOLEAN,
    "stream": BOOLEAN,
    "stream_options": shape({}, {"include_obfuscation": BOOLEAN}),
    "background": BOOLEAN,
    "background_options": shape({}, {"completion_window": enum("soonest", "2h", "8h"), "continuation_id": TEXT}),
    "max_output_tokens": integer(least=16),
    "max_tool_calls": integer(least=1),
    "reasoning": _REASONING,
    "user": TEXT,
    "safety_identifier": string(longest=128),
    "prompt_cache_options": shape(
        {},
        {
            "mode": enum("implicit", "explicit"),
            "ttl": _CACHE_TTL,
            "comparison_response_id": TEXT,
            "prewarm": BOOLEAN,
        },
    ),
    "prompt_cache_key": string(longest=ID_LENGTH),
    "prompt_cache_retention": _RETENTION,
    "truncation": _TRUNCATION,
    "instructions": string(longest=LONG_TEXT),
    "store": BOOLEAN,
    "service_tier": enum("auto", "default", "fast", "flex", "priority", also=("scale", "ultrafast")),
    "top_logprobs": integer(least=0, most=20),
    "context_management": array(
        shape({"type": enum("compaction")}, {"compact_threshold": integer(least=1000)}), shortest=1
    ),
    "conversation": _CONVERSATION,
    "image": _IMAGE,
    "access_programs": shape({}, {"cyber": enum("standard", "daybreak_blue", "daybreak_red")}),
}
_COUNT: Fields = {
    "model": TEXT,
    "input": INPUT,
    **{key: _CREATE[key] for key in ("previous_response_id", "tools", "tool_choice", "text", "parallel_tool_calls")},
    **{key: _CREATE[key] for key in ("reasoning", "truncation", "instructions", "conversation")},
    "personality": string(longest=ID_LENGTH),
}
_COMPACT: Fields = {
    "input": INPUT,
    "previous_response_id": _PARENT,
    "prompt_cache_options": shape({}, {"mode": enum("implicit", "explicit"), "ttl": enum("30m")}),
    "prompt_cache_key": _CREATE["prompt_cache_key"],
    "prompt_cache_retention": _RETENTION,
    "instructions": _CREATE["instructions"],
    "service_tier": enum("auto", "default", "fast", "flex", "priority"),
    "image": _IMAGE,
}
_MODEL: Fields = {"model": TEXT}
_ITEMS = item_list(longest=20, without=("item_reference", "compaction_trigger"))


# What most bodies consist of: texts, each of a length at most, and flags. What is not right here is not yet wrong:
# pydantic judges then, so no complaint begins in these tables.
_PLAIN_TEXTS: Mapping[str, float] = {
    "model": math.inf,
    "input": LONG_TEXT,
    "previous_response_id": ID_LENGTH,  # and of these letters: `is_response_id`
    "conversation": math.inf,
    "instructions": LONG_TEXT,
}
_PLAIN_FLAGS = frozenset(("stream", "store", "background"))


def is_response_id(value: Any) -> bool:
    """Whether a value is an id of a response like ours; False for some that may be one too."""
    if type(value) is not str or len(value) > ID_LENGTH:
        return False
    # an identifier of Python's is letters, digits and underscores, and costs half of what a pattern does
    return value.startswith("resp") and value.isascii() and value.isidentifier()


class Endpoint:
    """One request body: its required and optional top-level fields, in the order of judgement.

    `moved` are the keys of older APIs and where they went, `null_matters` the optional fields where null isn't absence.
    """

    def __init__(
        self,
        required: Fields,
        optional: Fields,
        *,
        moved: Mapping[str, str] | None = None,
        null_matters: Iterable[str] = (),
    ) -> None:
        self.known = frozenset((*required, *optional))
        self._required = required
        self.nullable = frozenset(optional).difference(null_matters)
        self._moved = moved or {}
        # Nulls of optional fields are gone before pydantic looks, so `nullable` would only cost time.
        self._validator = Validator(_flat(required, optional))
        self._texts = {key: longest for key, longest in _PLAIN_TEXTS.items() if key in self.known}
        self._flags = _PLAIN_FLAGS & self.known

    def read(self, body: dict[str, Any], *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
        """The request without its nulls, tolerated keys and, if they are ignored, unknown ones."""
        if not self._required and self.is_plain(body):
            return body
        request = body
        ignored = body.keys() - self.known if unknown_keys == "ignore" else ()
        if None in body.values() or not TOLERATED.isdisjoint(body) or ignored:
            dropped = TOLERATED.union(ignored)
            request = {
                key: value
                for key, value in body.items()
                if key not in dropped and not (value is None and key in self.nullable)
            }
        for key in self._required:
            if key not in request:
                raise errors.missing_parameter(key)
        if not request.keys() <= self.known:
            raise self._unknown(request)
        if request is body or not self.is_plain(request):
            self._validator.validate(request)
        return request

    def is_plain(self, body: dict[str, Any]) -> bool:
        """Whether a body has only plain fields, and all are right, as most: pydantic would take four times as long."""
        texts, flags = self._texts, self._flags
        for key, value in body.items():
            if key in texts:
                if type(value) is not str or len(value) > texts[key]:
                    return False
            elif key not in flags or not (value is True or value is False):
                return False
        return "previous_response_id" not in body or is_response_id(body["previous_response_id"])

    def _unknown(self, request: dict[str, Any]) -> APIError:
        """The complaint about the first unknown top-level key. Spec: E5-E7."""
        key = next(key for key in request if key not in self.known)
        if key in self._moved:
            return errors.moved_parameter(key, self._moved[key])
        return errors.unknown_parameter(key, suggestions(key, self.known.difference(request)))


def _flat(required: Fields, optional: Fields) -> dict[str, Any]:
    fields = {
        key: {"type": "typed-dict-field", "schema": field, "required": key in required}
        for key, field in {**required, **optional}.items()
    }
    return {"type": "typed-dict", "fields": fields, "extra_behavior": "forbid", "strict": True}


_CREATE_RESPONSE = Endpoint({}, {**_MODEL, **_CREATE}, moved=MOVED, null_matters=("model", "input"))
_FRAME = Endpoint({}, {**_MODEL, **_CREATE, "generate": BOOLEAN}, moved=MOVED, null_matters=("model", "input"))
_COUNT_TOKENS = Endpoint({}, _COUNT)
_COMPACT_RESPONSE = Endpoint(_MODEL, _COMPACT)
_CREATE_CONVERSATION = Endpoint({}, {"items": _ITEMS, "metadata": METADATA})
_UPDATE_CONVERSATION = Endpoint({}, {"metadata": METADATA})
_CREATE_ITEMS = Endpoint({"items": _ITEMS}, {})


def takes_long(body: bytes) -> bool:
    """Whether a body alone may take long to answer: it is large, or has a schema of which an instance may be."""
    if len(body) > HEAVY:
        return True
    if b'"schema"' not in body and b'"parameters"' not in body:
        return False
    return len(body) > SMALL or any(word in body for word in _LARGE_SCHEMAS)


def judge(read: Callable[..., dict[str, Any]], body: Any, rules: Switches) -> dict[str, Any]:
    """A body as it was judged. Spec: E5 (switch `unknown_body_key`), E34 (switch `id_prefix_code`)."""
    try:
        return read(body, unknown_keys=rules.unknown_body_key)
    except APIError as error:
        if error.code_switch is not None:
            error.code = getattr(rules, error.code_switch)
        raise


class Sent(Protocol):
    """A request as far as its body is read here."""

    @property
    def headers(self) -> Mapping[bytes, bytes]: ...
    @property
    def body(self) -> bytes: ...


def read_body(read: Callable[..., dict[str, Any]], call: Sent, parts: object, rules: Switches) -> dict[str, Any]:
    """The judged body of a call: an endpoint's reader, once `read` is filled in. Spec: E4, E5, E34."""
    _check_type(call)
    return judge(read, call.body, rules)


def read_unjudged(call: Sent) -> dict[str, Any]:
    """The object that a call sends, for `judge_response`. Spec: E1, E3, E4."""
    _check_type(call)
    return read_object(call.body)


def _check_type(call: Sent) -> None:
    content_type = call.headers.get(b"content-type", _JSON)
    if content_type != _JSON:  # nearly every client sends just this
        check_content_type(content_type.decode("latin-1"))


_JSON = b"application/json"


def check_content_type(value: str | None) -> None:
    """Accept JSON with any parameters, and no header at all. Spec: E4."""
    if value is not None and value.partition(";")[0].strip().lower() != "application/json":
        raise errors.unsupported_content_type(value)


def read_json(body: bytes) -> Any:
    """The value of a JSON body nested at most 200 levels deep. Spec: E1, E3.

    Raises MockError 413 for one of more than `MOST_VALUES` values.
    """
    if len(body) > MOST_VALUES and _has_too_many_values(body):
        raise MockError(
            f"The body has more than {MOST_VALUES:,} JSON values. The mock reads no more: others would have to wait.",
            status=413,
        )
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _unreadable(body) from None
    if len(body) > MAX_DEPTH and body.count(b"[") + body.count(b"{") > MAX_DEPTH and _too_deep(value):
        raise errors.invalid_json()
    return value


def _has_too_many_values(body: bytes) -> bool:
    """Whether a body holds too many values, each of which follows a comma or a bracket outside of a text.

    The parser lets no other thread go on until it is done; a text takes it next to no time, a million values half a
    second and hundreds of megabytes.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) <= MOST_VALUES:
        return False  # with those in texts, and nearly always
    signs = (match for match in _SIGN.finditer(body) if match[0][0] != _QUOTE)
    return next(islice(signs, MOST_VALUES, None), None) is not None


_SIGN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*+"?|[,\[{]', re.DOTALL)
_QUOTE = ord('"')


def _unreadable(body: bytes) -> APIError:
    try:
        body.decode()
    except UnicodeDecodeError:
        return errors.invalid_unicode()
    return errors.invalid_json()


def _too_deep(value: Any) -> bool:
    """Whether a value has more than 200 levels: the encoder, which stops at 254, finds out fastest."""
    for _ in range(254 - MAX_DEPTH):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError:
        return True
    return False


def read_object(body: bytes) -> dict[str, Any]:
    """The object of a JSON body. Spec: E1, E3; other JSON has a template of E10."""
    value = read_json(body)
    if not isinstance(value, dict):
        raise validation_errors.body_not_object(value)
    return value


def create_response(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /responses. Spec: F1, errors §3 steps 1 to 5 (switch `unknown_body_key`)."""
    return judge_response(read_object(body), unknown_keys=unknown_keys)


def judge_response(body: dict[str, Any], *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Judge the already parsed body of POST /responses. Spec: F1."""
    if "model" in body and "input" in body and _CREATE_RESPONSE.is_plain(body):
        return body  # as most: nothing is left to be judged
    _check_model_and_input(body)
    request = _CREATE_RESPONSE.read(body, unknown_keys=unknown_keys)
    if "stream_options" in request and not request.get("stream"):
        raise validation_errors.stream_options_without_stream()
    return request


def without_nulls(body: dict[str, Any]) -> dict[str, Any]:
    """A body of POST /responses without the nulls that mean "not sent", which is judged as with them."""
    nullable = _CREATE_RESPONSE.nullable
    return {key: value for key, value in body.items() if not (value is None and key in nullable)}


def create_frame(frame: dict[str, Any], *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Judge a `response.create` frame: a POST body plus `generate`, without what only streams need. Spec: R4.1, R4.2.

    `type`, `stream_id`, `stream` and `stream_options` are dropped: the connection has dealt with them.
    """
    _check_model_and_input(frame)
    request = frame.copy()
    for key in _OF_THE_CONNECTION:
        request.pop(key, None)
    return _FRAME.read(request, unknown_keys=unknown_keys)


_OF_THE_CONNECTION = ("type", "stream_id", "stream", "stream_options")


def _check_model_and_input(body: dict[str, Any]) -> None:
    """Complain about `model` and a missing `input` first; a prompt may bring both. Spec: E7-E10, errors §3, R15.4."""
    if "model" not in body and body.get("prompt") is None:
        raise errors.missing_parameter("model")
    model = body.get("model", "")
    if not isinstance(model, str):
        raise errors.invalid_type("model", "a string", model, actual="an object" if model is None else None)
    if "input" in body or any(body.get(key) is not None for key in STATE_KEYS):
        return
    if "messages" in body:
        raise errors.moved_parameter("messages", MOVED["messages"])
    raise errors.missing_parameter("input")


def count_input_tokens(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /responses/input_tokens. Spec: F9."""
    return _COUNT_TOKENS.read(read_object(body), unknown_keys=unknown_keys)


def compact(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /responses/compact. Spec: F10."""
    return _COMPACT_RESPONSE.read(read_object(body), unknown_keys=unknown_keys)


def create_conversation(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /conversations, which may be empty. Spec: P9, R2.2."""
    return _CREATE_CONVERSATION.read(read_object(body) if body else {}, unknown_keys=unknown_keys)


def update_conversation(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /conversations/{id}; `metadata` has to be there and may be null. Spec: P11."""
    request = read_object(body)
    if "metadata" not in request:
        raise errors.missing_parameter("metadata")
    return {"metadata": None, **_UPDATE_CONVERSATION.read(request, unknown_keys=unknown_keys)}


def create_items(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /conversations/{id}/items. Spec: P13, R2.3."""
    return _CREATE_ITEMS.read(read_object(body), unknown_keys=unknown_keys)
