"""What models refuse: rows E40 to E51 against models of the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire.catalog import Model, resolve
from mockserver.wire.errors.api import APIError
from mockserver.wire.requests import model_support


def model(name: str) -> Model:
    found = resolve(name)
    assert found is not None
    return found


def complaint(name: str, request: dict[str, Any]) -> tuple[str | None, str | None, str]:
    with pytest.raises(APIError) as caught:
        model_support.check({"model": name, "input": "x", **request}, model(name))
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    return caught.value.param, caught.value.code, caught.value.message


def unsupported(name: str, code: str | None = None) -> tuple[str, str | None, str]:
    return name, code, f"Unsupported parameter: '{name}' is not supported with this model."


def long_window(value: str) -> tuple[str, str, str]:
    message = (
        f"Unsupported value: '{value}' is only supported with 'background' set to true, standard processing, "
        "and no streaming."
    )
    return "background_options.completion_window", "unsupported_value", message


NO_LOGPROBS = "logprobs are not supported with reasoning models."
LOGPROBS = ("unsupported_parameter", NO_LOGPROBS)
LONG = {"background_options": {"completion_window": "2h"}}
IN_BACKGROUND = {**LONG, "background": True}
REASONER, PLAIN = "gpt-5.6-terra", "gpt-4.1"
FUNCTION = {"type": "function", "name": "f"}
CLOSED = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}
OPEN = {"type": "object", "properties": {"x": {"type": "object", "properties": {}}}, "required": ["x"]}
FORMAT = {"type": "json_schema", "name": "answer", "strict": True}


def strict(parameters: Any) -> dict[str, Any]:
    return {"tools": [{"type": "web_search"}, {**FUNCTION, "strict": True, "parameters": parameters}]}


ROWS: list[tuple[str, str, dict[str, Any], tuple[str | None, str | None, str]]] = [
    ("E40-temperature", REASONER, {"temperature": 0.5}, unsupported("temperature")),
    ("E40-top_p", REASONER, {"top_p": 1}, unsupported("top_p")),
    ("E40-presence", REASONER, {"presence_penalty": 0}, unsupported("presence_penalty")),
    ("E40-frequency", REASONER, {"frequency_penalty": 0}, unsupported("frequency_penalty")),
    ("E40-first", REASONER, {"reasoning": {"effort": "minimal"}, "temperature": 2}, unsupported("temperature")),
    (
        "E41",
        PLAIN,
        {"reasoning": {"effort": "low"}},
        unsupported("reasoning.effort", "unsupported_parameter"),
    ),
    (
        "E42",
        REASONER,
        {"reasoning": {"effort": "minimal"}},
        (
            "reasoning.effort",
            "unsupported_value",
            "Unsupported value: 'minimal' is not supported with the 'gpt-5.6-terra' model. Supported values are: "
            "'none', 'low', 'medium', 'high', 'xhigh', and 'max'.",
        ),
    ),
    (
        "E43",
        PLAIN,
        {"text": {"verbosity": "low"}},
        (
            "text.verbosity",
            "unsupported_value",
            "Unsupported value: 'low' is not supported with the 'gpt-4.1' model. Supported values are: 'medium'.",
        ),
    ),
    (
        "E44-include",
        REASONER,
        {"include": ["message.output_text.logprobs"], "top_logprobs": 1},
        ("include", "unsupported_parameter", NO_LOGPROBS),
    ),
    ("E44-top", REASONER, {"top_logprobs": 1}, ("top_logprobs", "unsupported_parameter", NO_LOGPROBS)),
    ("E40-default-none", "gpt-5.2", {"reasoning": {"effort": "low"}, "top_p": 0.5}, unsupported("top_p")),
    ("E40-no-none", "o3", {"reasoning": {"effort": "none"}, "top_p": 0.5}, unsupported("top_p")),
    ("E44-effort", "gpt-5.2", {"reasoning": {"effort": "low"}, "top_logprobs": 1}, ("top_logprobs", *LOGPROBS)),
    ("E102", PLAIN, {"background_options": {"completion_window": "8h"}}, long_window("8h")),
    ("E102-scale", PLAIN, {**IN_BACKGROUND, "service_tier": "scale"}, long_window("2h")),
    ("E102-after-E40", REASONER, {**LONG, "temperature": 0.5}, unsupported("temperature")),
    ("E102-before-E42", REASONER, {**LONG, "reasoning": {"effort": "minimal"}}, long_window("2h")),
    (
        "E45",
        PLAIN,
        {"include": ["reasoning.encrypted_content"]},
        ("include", None, "Encrypted content is not supported with this model."),
    ),
    (
        "E46",
        REASONER,
        {"prompt_cache_retention": "in_memory"},
        (
            "prompt_cache_retention",
            "invalid_parameter",
            "This model is compatible only with 24h extended prompt caching",
        ),
    ),
    *(
        (
            f"E46-{name}",
            name,
            {"prompt_cache_retention": "in_memory"},
            (
                "prompt_cache_retention",
                "invalid_parameter",
                "This model is compatible only with 24h extended prompt caching",
            ),
        )
        for name in ("gpt-5.5", "gpt-5.5-pro", "gpt-6.2-sol", "chat-latest")
    ),
    *(
        (
            f"R15.3-{name}",
            name,
            {"service_tier": "flex"},
            (
                "service_tier",
                None,
                "Invalid service_tier argument: The requested service tier is not allowed for this project.",
            ),
        )
        for name in ("gpt-6.2-sol", "gpt-6.2-astra", "gpt-6.2-astra-law")
    ),
    (
        "E47-function",
        PLAIN,
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}},
        ("tool_choice", None, "Tool choice 'g' not found in 'tools' parameter."),
    ),
    (
        "E47-hosted",
        PLAIN,
        {"tool_choice": {"type": "file_search"}},
        ("tool_choice", None, "Tool choice 'file_search' not found in 'tools' parameter."),
    ),
    (
        "E47-allowed",
        PLAIN,
        {
            "tools": [FUNCTION],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [FUNCTION, {**FUNCTION, "name": "g"}]},
        },
        ("tool_choice", None, "Tool choice 'g' not found in 'tools' parameter."),
    ),
    (
        "E49-open",
        PLAIN,
        strict(OPEN),
        (
            "tools[1].parameters",
            "invalid_function_parameters",
            "Invalid schema for function 'f': In context=(), 'additionalProperties' is required to be supplied and "
            "to be false.",
        ),
    ),
    (
        "E49-type",
        PLAIN,
        {"tools": [{**FUNCTION, "strict": False, "parameters": {"properties": {}}}]},
        (
            "tools[0].parameters",
            "invalid_function_parameters",
            "Invalid schema for function 'f': schema must be a JSON Schema of 'type: \"object\"', "
            "got 'type: \"None\"'.",
        ),
    ),
    (
        "E50",
        PLAIN,
        {"text": {"format": {**FORMAT, "schema": {"type": "object"}}}},
        (
            "text.format.schema",
            "invalid_json_schema",
            "Invalid schema for response_format 'answer': In context=(), 'additionalProperties' is required to be "
            "supplied and to be false.",
        ),
    ),
]


@pytest.mark.parametrize(("name", "request_", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_row(name: str, request_: dict[str, Any], expected: tuple[str | None, str | None, str]) -> None:
    assert complaint(name, request_) == expected


NAMESPACE = {"type": "namespace", "name": "n", "description": "", "tools": [FUNCTION]}
LOADED = {"type": "additional_tools", "role": "developer", "tools": [FUNCTION]}


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        (REASONER, {"temperature": 1}),
        (REASONER, {"temperature": 1.0, "top_logprobs": 0, "include": []}),
        (REASONER, {"reasoning": {"effort": None}, "text": {"verbosity": "high", "format": None}}),
        (REASONER, {"include": ["reasoning.encrypted_content"], "prompt_cache_retention": "24h"}),
        (PLAIN, {"temperature": 0, "top_p": 0.1, "presence_penalty": 1, "top_logprobs": 5}),
        (PLAIN, {"include": ["message.output_text.logprobs"], "prompt_cache_retention": "in_memory"}),
        (PLAIN, {"reasoning": {"effort": None, "summary": "auto"}, "text": {"verbosity": "medium"}}),
        (REASONER, {"reasoning": {"effort": "none"}, "temperature": 0.2, "top_p": 1, "frequency_penalty": 1}),
        ("gpt-5.2", {"temperature": 0.2, "top_logprobs": 1, "include": ["message.output_text.logprobs"]}),
        (PLAIN, {"background_options": {"completion_window": "soonest"}, "stream": True, "service_tier": "flex"}),
        (PLAIN, {**IN_BACKGROUND, "service_tier": "default"}),
        (PLAIN, {"tool_choice": "required"}),
        (PLAIN, {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}}),
        (PLAIN, {"tools": [NAMESPACE], "tool_choice": {"type": "function", "name": "f"}}),
        (PLAIN, {"input": [LOADED], "tool_choice": {"type": "function", "name": "f"}}),
        (PLAIN, {"tools": [{"type": "mcp", "server_label": "s"}], "tool_choice": {"type": "mcp", "server_label": "s"}}),
        (PLAIN, {"tools": [{"type": "computer_use_preview"}], "tool_choice": {"type": "computer_use"}}),
        (PLAIN, {"tools": [{**FUNCTION, "parameters": OPEN}, {**FUNCTION, "parameters": OPEN, "strict": None}]}),
        (PLAIN, {"tools": [{**FUNCTION, "parameters": {}, "strict": False}, {**FUNCTION, "parameters": None}]}),
        (PLAIN, strict(CLOSED)),
        (PLAIN, {"text": {"format": {**FORMAT, "schema": CLOSED}}}),
        (PLAIN, {"text": {"format": {**FORMAT, "strict": None, "schema": {}}}}),
    ],
)
def test_accepted(name: str, request_: dict[str, Any]) -> None:
    model_support.check({"model": name, "input": "x", **request_}, model(name))


def test_E51_the_word_json() -> None:
    request = {"text": {"format": {"type": "json_object"}}}
    model_support.check_json_word(request, ["say", "some JSON please"])
    model_support.check_json_word({"text": {"format": {"type": "text"}}}, [])
    model_support.check_json_word({}, [])
    with pytest.raises(APIError) as caught:
        model_support.check_json_word(request, ["say something"])
    assert (caught.value.param, caught.value.code) == ("input", None)
    assert caught.value.message == (
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
    )


@pytest.mark.parametrize("name", ["gpt-5.4", "gpt-5.4-mini", "gpt-4o", "gpt-3.5-turbo"])
def test_E46_older_models_cache_in_memory_too(name: str) -> None:
    model_support.check({"model": name, "input": "x", "prompt_cache_retention": "in_memory"}, model(name))


@pytest.mark.parametrize(("name", "tier"), [("gpt-6.1-sol", "flex"), ("gpt-5.6", "flex"), ("gpt-6.2-sol", "priority")])
def test_R15_3_other_tiers_and_models_pass(name: str, tier: str) -> None:
    model_support.check({"model": name, "input": "x", "service_tier": tier}, model(name))
