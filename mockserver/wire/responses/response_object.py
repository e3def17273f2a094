"""The Response object: how every request field is echoed, normalised or dropped. Spec: O1, W9, W12, R1.54, F4–F7."""

# How it works. The Response to a request that says nothing is built once per model and copied; then each field
# that was sent puts its echo in its place. The keys of the copy are in the wire's order, so nothing is sorted per
# request.
#
# What must stay true: nobody changes what the copied dictionary holds (it is a shallow copy); a field that is
# echoed in another form than it was sent has a row in `_ECHOES`, and one without a row is not echoed at all
# (R1.54).

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from mockserver.wire.catalog import Model
from mockserver.wire.responses.tool_echo import LoadedTool, echo_tools, merge_loaded

Request = dict[str, Any]

TERMINAL = frozenset({"completed", "incomplete", "failed", "cancelled"})

# tier asked for → tier reported once completed (Spec: F1, W12)
_TIERS = {"auto": "default", "fast": "priority"}
# tiers that a Response says from the first event on (Spec: F1)
_TOLD_AT_ONCE = frozenset({"default", "flex"})

_NO_IMAGES = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "total_tokens": 0,
}


def response_object(
    request: Request,
    model: Model,
    *,
    identifier: str,
    created_at: int,
    stored: bool,
    conversation: str | None,
    loaded: Sequence[LoadedTool] = (),
) -> dict[str, Any]:
    """A Response without output and usage, with the keys of a JSON body in the wire's order. Spec: W9, W12.

    `loaded` are the tools that the effective input has loaded. Spec: F7.
    """
    response = _silent(model).copy()
    response["id"], response["created_at"], response["store"] = identifier, created_at, stored
    for name, value in request.items():
        if name in _ECHOES:
            response[name] = _ECHOES[name](value, model)
    if loaded:
        response["tools"] = echo_tools(merge_loaded(request.get("tools") or (), loaded, model))
    if conversation is None:
        del response["conversation"]
    else:
        response["conversation"] = {"id": conversation}
    if "prompt_cache_options" not in request:
        del response["prompt_cache_options"]
    if not _NEWEST.isdisjoint(request):
        response = with_fields(response, _newest(request))
    return response


@cache
def _silent(model: Model) -> dict[str, Any]:
    """The Response to a request that says nothing, to be copied; nobody changes what it holds. Spec: W12."""
    return {
        "id": "",
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "background": False,
        "billing": {"payer": "developer"},
        "completed_at": None,
        "conversation": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": model.id,
        "moderation": None,
        "output": [],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_options": None,
        "prompt_cache_retention": model.prompt_cache_retention,
        "reasoning": _reasoning({}, model),
        "safety_identifier": None,
        "service_tier": "auto",
        "store": True,
        "temperature": 1.0,
        "text": _text({}),
        "tool_choice": "auto",
        "tool_usage": _tool_usage(0),
        "tools": [],
        "top_logprobs": 0,
        "top_p": model.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


# request fields that add a key to the Response (Spec: O1, R15.4)
_NEWEST = frozenset({"access_programs", "image", "prompt", "prompt_cache_options"})


def _newest(request: Request) -> dict[str, Any]:
    """The keys that a Response has only because of what the newest clients may send.

    The mock compresses no context, so `auto` comes out as disabled; it keeps no cache that two prompts could be
    compared by, so the answer to a `comparison_response_id` is that the comparison is unavailable.
    """
    keys: dict[str, Any] = {}
    if "access_programs" in request:
        keys["access_programs"] = {"cyber": "standard", **_without_nulls(request["access_programs"])}
    if "image" in request:
        keys["image"] = image_options(request["image"])
    if "prompt" in request:
        keys["prompt"] = request["prompt"]
    if (request.get("prompt_cache_options") or {}).get("comparison_response_id") is not None:
        keys["prompt_cache_diagnostics"] = {"type": "unavailable"}
    return keys


def image_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options for images as they are in effect: nothing is compressed unless that is required."""
    asked = options.get("context_compression")
    return {"context_compression": "disabled" if asked in (None, "auto") else asked}


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in value.items() if one is not None}


# What of a Response may hold numbers that are not whole, unless a script says more than items.
with_numbers = itemgetter(
    "output",
    "text",
    "tools",
    "tool_choice",
    "moderation",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
)


def with_fields(response: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A Response with these fields, new ones in alphabetical position. Spec: W7."""
    entries: list[tuple[str, Any]] = list({**response, **fields}.items())
    head, tail = [one for one in entries if one[0] in _HEAD], [one for one in entries if one[0] in _TAIL]
    body = [one for one in entries if one[0] not in _HEAD and one[0] not in _TAIL]
    return dict(head + sorted(body, key=lambda one: one[0]) + tail)


_HEAD = ("id", "object", "created_at", "status")
_TAIL = ("user", "metadata")


def without_billing(response: dict[str, Any]) -> dict[str, Any]:
    """The form that events carry: only the body of a terminal response names who pays. Spec: W9."""
    bare = response.copy()
    bare.pop("billing", None)
    return bare


# The key of a turn's cues under which its Response's own are: what it was when it began and its end doesn't tell.
RESPONSE_CUE = "response"


def cues_of(request: Request) -> dict[str, dict[str, Any]]:
    """The cues of a request's Response: `default` is the end of `auto` too, so only the request tells. Spec: F1."""
    return {RESPONSE_CUE: {"service_tier": "default"}} if request.get("service_tier") == "default" else {}


def begun_cues(cues: Mapping[str, Any], kept: int) -> dict[str, Any]:
    """What is left of a turn's cues when only its first `kept` items are."""
    return {key: cue for key, cue in cues.items() if key == RESPONSE_CUE or int(key) < kept}


def in_progress_view(response: dict[str, Any], cues: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """The Response as its own `response.created` event showed it; `cues` are those of its turn. Spec: W18."""
    tier = response["service_tier"]
    known_later = {key: None for key in _KNOWN_LATER if response.get(key) is not None}
    return (
        without_billing(response)
        | known_later
        | {
            "status": "in_progress",
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "output": [],
            "service_tier": tier if tier == "flex" else "auto",
            "tool_usage": _tool_usage(0),
            "usage": None,
        }
        | dict((cues or {}).get(RESPONSE_CUE, {}))
    )


# what only a terminal Response says (Spec: O1, O5)
_KNOWN_LATER = ("input_transformations", "moderation", "prompt_cache_diagnostics")


def final_tier(asked: str | None) -> str:
    """The service tier of a completed response. Spec: F1, R1.54."""
    return _TIERS.get(asked or "auto", asked or "default")


def tool_usage(output: list[dict[str, Any]]) -> dict[str, Any]:
    """The counts of hosted tool use; `num_requests` counts searches. Spec: W12."""
    searches = 0
    for item in output:  # a loop, for most turns have one item
        searches += item["type"] == "web_search_call"
    return _tool_usage(searches)


@cache
def _tool_usage(searches: int) -> dict[str, Any]:
    return {"image_gen": _NO_IMAGES, "web_search": {"num_requests": searches}}


_MODERATED = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def _moderation(asked: dict[str, Any]) -> dict[str, Any]:
    """The verdicts on input and output: the mock flags nothing, so nothing is ever blocked. Spec: O5."""
    verdict = {
        "type": "moderation_result",
        "categories": dict.fromkeys(_MODERATED, False),
        "category_applied_input_types": {category: ["text"] for category in _MODERATED},
        "category_scores": dict.fromkeys(_MODERATED, 0.0),
        "flagged": False,
        "model": asked["model"],
    }
    return {"input": verdict, "output": verdict}


def _cache_options(options: dict[str, Any] | None) -> dict[str, Any]:
    sent = {key: value for key, value in (options or {}).items() if value is not None and key != "prewarm"}
    filled = {"mode": "implicit", "ttl": "30m", **sent}
    return {key: filled[key] for key in sorted(filled)}


def _reasoning(asked: dict[str, Any], model: Model) -> dict[str, Any]:
    if not model.reasoning:
        return {"context": None, "effort": None, "summary": None}
    context = asked.get("context")
    summary = asked.get("summary")
    return {
        "context": model.reasoning_context if context in (None, "auto") else context,
        "effort": asked.get("effort") or model.default_effort,
        "mode": asked.get("mode") or "standard",
        "summary": "detailed" if summary == "auto" else summary,
    }


def _text(asked: dict[str, Any]) -> dict[str, Any]:
    text_format = asked.get("format") or {"type": "text"}
    if text_format["type"] == "json_schema":
        text_format = {
            "type": "json_schema",
            "description": text_format.get("description"),
            "name": text_format["name"],
            "schema": {key: value for key, value in text_format["schema"].items() if key != "$schema"},
            "strict": bool(text_format.get("strict")),
        }
    return {"format": text_format, "verbosity": asked.get("verbosity") or "medium"}


def _verbatim(value: Any, model: Model) -> Any:
    return value


def _number(value: float, model: Model) -> float:
    return float(value)


# request field → how the Response echoes it (Spec: R1.54, F1, F4–F7); a field without a row is not echoed
_ECHOES: dict[str, Callable[[Any, Model], Any]] = {
    "background": _verbatim,
    "frequency_penalty": _number,
    "instructions": _verbatim,
    "max_output_tokens": _verbatim,
    "max_tool_calls": _verbatim,
    "metadata": _verbatim,
    "moderation": lambda value, model: _moderation(value),
    "parallel_tool_calls": _verbatim,
    "presence_penalty": _number,
    "previous_response_id": _verbatim,
    "prompt_cache_key": _verbatim,
    "prompt_cache_options": lambda value, model: _cache_options(value),
    "prompt_cache_retention": _verbatim,
    "reasoning": _reasoning,
    "safety_identifier": _verbatim,
    "service_tier": lambda value, model: value if value in _TOLD_AT_ONCE else "auto",
    "temperature": _number,
    "text": lambda value, model: _text(value),
    "tool_choice": _verbatim,
    "tools": lambda value, model: echo_tools(value),
    "top_logprobs": _verbatim,
    "top_p": _number,
    "truncation": _verbatim,
    "user": _verbatim,
}
