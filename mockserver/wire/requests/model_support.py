"""What a model can't do: the complaints that need the model catalogue. Spec: errors §3 step 8, errors §5.

Whether the model exists (E11) is for the caller to say; what hosted tools a model is offered with (E48) is in no
catalogue and never complained about here.
"""

# Why these checks come after state and lineage (errors §3 step 8): a request with an unknown parent and a
# parameter that the model doesn't take is told about the parent. The order of the rules in `check` is measured
# too: temperature comes before everything else of its kind.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mockserver.wire.catalog import Model
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.requests.strict_schema import strict_complaint, type_complaint

Request = Mapping[str, Any]

# Refused by a model that reasons, whatever their value; `temperature: 1` alone passes. Spec: E40.
_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_SENT_SAMPLING = frozenset(_SAMPLING)

# Longer than soonest, and only for requests that can wait so long. Spec: E102, R6.13.
_LONG_WINDOWS = ("2h", "8h")
_STANDARD_TIERS = ("auto", "default")

# What every model takes, whatever its value: most requests hold nothing else.
ANY_MODEL = frozenset(
    {"model", "input", "instructions", "previous_response_id", "conversation", "store", "stream", "metadata", "user"}
)


def check(request: Request, model: Model, configuration: Mapping[str, Any] | None = None) -> None:
    """Raise the first complaint about what the model doesn't support. Spec: E40-E47, E49, E50, E102.

    `configuration` is what the context before the request has set, the tools that it has loaded among it.
    """
    if request.keys() <= ANY_MODEL:
        return
    for rule in (
        _sampling,
        _logprobs,
        _completion_window,
        _effort,
        _verbosity,
        _check_encrypted_content,
        _cache,
        _check_service_tier,
        _functions,
        _format,
    ):
        rule(request, model)
    _choice(request, (configuration or {}).get("tools", ()))


def check_configuration(request: Request, model: Model, configuration: Mapping[str, Any] | None) -> None:
    """Raise E103 where a `configuration_update` item may not be, in the input or in the context before it.

    Spec: E103, R12.5. `configuration` is what that context has set.
    """
    own = request.get("input")
    updated = configuration is not None and not _UPDATED.isdisjoint(configuration)
    if not updated and not (isinstance(own, list) and any(item.get("type") == "configuration_update" for item in own)):
        return
    if (request.get("reasoning") or {}).get("mode") == "pro":
        raise validation_errors.configuration_unsupported("pro or tournament models")
    if not model.configuration_update:
        raise validation_errors.configuration_unsupported("this model")


_UPDATED = frozenset({"reasoning", "text"})


def check_json_word(request: Request, texts: Iterable[str]) -> None:
    """JSON mode needs the word json, in any case, in the texts of the input messages. Spec: R10.8, E51."""
    text_format = (request.get("text") or {}).get("format") or {}
    if text_format.get("type") == "json_object" and not any("json" in text.lower() for text in texts):
        raise validation_errors.json_word_missing()


def _is_reasoning(request: Request, model: Model) -> bool:
    """Whether the effort in effect, the one sent or else the model's own, lets the model reason. Spec: E40.

    A model that can't help reasoning does so whatever was sent: E42 tells about that later.
    """
    effort = (request.get("reasoning") or {}).get("effort") or model.default_effort
    return model.reasoning and not (effort == "none" and "none" in model.efforts)


def _sampling(request: Request, model: Model) -> None:
    if _SENT_SAMPLING.isdisjoint(request) or not _is_reasoning(request, model):
        return
    for name in _SAMPLING:
        if name in request and not (name == "temperature" and request[name] == 1):
            raise validation_errors.unsupported_parameter(name)


def _logprobs(request: Request, model: Model) -> None:
    """Nothing is asked for by `top_logprobs: 0`. Spec: E44."""
    included = "message.output_text.logprobs" in request.get("include", ())
    if (included or request.get("top_logprobs")) and _is_reasoning(request, model):
        raise validation_errors.logprobs_unsupported("include" if included else "top_logprobs")


def _completion_window(request: Request, model: Model) -> None:
    """A long window is for the background, at standard processing, without a stream. Spec: E102, R4.2."""
    window = (request.get("background_options") or {}).get("completion_window")
    if window not in _LONG_WINDOWS:
        return
    standard = request.get("service_tier", "auto") in _STANDARD_TIERS
    if not request.get("background") or request.get("stream") or not standard:
        raise validation_errors.completion_window_unsupported(window)


def _effort(request: Request, model: Model) -> None:
    """A null effort asks for nothing. Spec: E41, E42."""
    effort = (request.get("reasoning") or {}).get("effort")
    if effort is None:
        return
    if not model.reasoning:
        raise validation_errors.unsupported_parameter("reasoning.effort", code="unsupported_parameter")
    if effort not in model.efforts:
        raise validation_errors.unsupported_value("reasoning.effort", effort, _name(request, model), model.efforts)


def _verbosity(request: Request, model: Model) -> None:
    verbosity = (request.get("text") or {}).get("verbosity")
    if verbosity is not None and verbosity not in model.verbosities:
        raise validation_errors.unsupported_value("text.verbosity", verbosity, _name(request, model), model.verbosities)


def _name(request: Request, model: Model) -> str:
    """The model as the caller calls it."""
    return request.get("model") or model.id


def _check_encrypted_content(request: Request, model: Model) -> None:
    if not model.reasoning and "reasoning.encrypted_content" in request.get("include", ()):
        raise validation_errors.encrypted_content_unsupported()


def _cache(request: Request, model: Model) -> None:
    if model.only_24h_cache and request.get("prompt_cache_retention") == "in_memory":
        raise validation_errors.only_24h_cache()


def _check_service_tier(request: Request, model: Model) -> None:
    """No flex on gpt-6.2, in the sentence of any tier that is not allowed. Spec: R13.3, R15.3."""
    if request.get("service_tier") == "flex" and not model.flex:
        raise validation_errors.service_tier_not_allowed()


def _functions(request: Request, model: Model) -> None:
    """Parameters have to be an object; those of an explicitly strict function a strict one. Spec: E49, R11.2."""
    for index, tool in enumerate(request.get("tools", ())):
        if tool["type"] != "function" or tool.get("parameters") is None:
            continue
        strict = tool.get("strict") is True
        schema = tool["parameters"]
        complaint = strict_complaint(schema) if strict else type_complaint(schema) if schema else None
        if complaint:
            raise validation_errors.invalid_function_schema(f"tools[{index}].parameters", tool["name"], complaint)


def _format(request: Request, model: Model) -> None:
    """The schema of a strict text format has to be a strict one. Spec: E50, R10.2."""
    text_format = (request.get("text") or {}).get("format") or {}
    if text_format.get("type") == "json_schema" and text_format.get("strict") is True:
        complaint = strict_complaint(text_format["schema"])
        if complaint:
            raise validation_errors.invalid_format_schema(text_format["name"], complaint)


def _choice(request: Request, loaded: Iterable[Sequence[Any]]) -> None:
    """A forced tool has to be among the tools, those that the context has loaded included. Spec: E47."""
    chosen = request.get("tool_choice")
    if not isinstance(chosen, dict):
        return
    offered = {name for tool in _available_tools(request, loaded) for name in _tool_names(tool)}
    for choice in chosen["tools"] if chosen["type"] == "allowed_tools" else [chosen]:
        name = _choice_name(choice)
        if name is not None and name not in offered:
            raise validation_errors.tool_choice_not_found(name)


def _available_tools(request: Request, loaded: Iterable[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    yield from request.get("tools", ())
    yield from (tool for _, tool in loaded)
    items = request.get("input", ())
    for item in items if isinstance(items, list) else ():
        if item.get("type") in ("additional_tools", "tool_search_output"):
            yield from item["tools"]


def _tool_names(tool: dict[str, Any]) -> Iterator[str]:
    """By what names a tool can be chosen: its own, its server's, its type, those of its inner tools."""
    kind = tool["type"]
    yield tool.get("name") or tool.get("server_label") or _FAMILIES.get(kind, kind)
    for inner in tool.get("tools", ()) if kind == "namespace" else ():
        yield inner["name"]


# Dated or older names of one and the same hosted tool.
_FAMILIES = {
    "web_search_2025_08_26": "web_search",
    "web_search_preview_2025_03_11": "web_search_preview",
    "computer_use_preview": "computer",
    "computer_use": "computer",
}


def _choice_name(choice: dict[str, Any]) -> str | None:
    kind = choice.get("type")
    if not isinstance(kind, str):  # `allowed_tools.tools` are free objects, in the client's types too
        return None
    keys = {"function": "name", "custom": "name", "namespace": "name", "mcp": "server_label"}
    name = choice.get(keys[kind]) if kind in keys else _FAMILIES.get(kind, kind)
    return name if isinstance(name, str) else None
