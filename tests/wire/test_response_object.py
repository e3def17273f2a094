"""The Response object: key order, defaults, normalisation. Spec: W8, W9, W10, W12, F4, F5, F7, R1.54."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire import catalog
from mockserver.wire.responses import response_object, tool_echo

W9 = """id object created_at status background billing completed_at conversation error frequency_penalty
incomplete_details instructions max_output_tokens max_tool_calls model moderation output parallel_tool_calls
presence_penalty previous_response_id prompt_cache_key prompt_cache_options prompt_cache_retention reasoning
safety_identifier service_tier store temperature text tool_choice tool_usage tools top_logprobs top_p truncation usage
user metadata""".split()


def made(model: str = "gpt-5.6-terra", conversation: str | None = None, **request: Any) -> dict[str, Any]:
    entry = catalog.resolve(model)
    assert entry is not None
    return response_object.response_object(
        request, entry, identifier="resp_1", created_at=5, stored=True, conversation=conversation
    )


def test_W9_key_order_with_everything() -> None:
    assert list(made(conversation="conv_1", prompt_cache_options={})) == W9


def test_W10_keys_that_are_missing_when_unused() -> None:
    silent = list(made())
    assert silent == [key for key in W9 if key not in ("conversation", "prompt_cache_options")]


def test_W9_billing_only_where_asked() -> None:
    assert made()["billing"] == {"payer": "developer"}
    assert list(response_object.without_billing(made())) == [key for key in made() if key != "billing"]


def test_W12_silence() -> None:
    response = made()
    nulls = """error incomplete_details instructions max_output_tokens max_tool_calls previous_response_id
    prompt_cache_key safety_identifier user moderation usage completed_at""".split()
    assert all(response[key] is None for key in nulls)
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "medium"}
    assert response["reasoning"] == {"context": "all_turns", "effort": "medium", "mode": "standard", "summary": None}
    assert (response["temperature"], response["top_p"], response["service_tier"]) == (1.0, 0.98, "auto")
    assert (response["tools"], response["tool_choice"], response["metadata"]) == ([], "auto", {})
    assert (response["parallel_tool_calls"], response["top_logprobs"], response["truncation"]) == (True, 0, "disabled")


def test_W12_a_model_without_reasoning() -> None:
    response = made("gpt-4.1")
    assert response["reasoning"] == {"context": None, "effort": None, "summary": None}
    assert response["top_p"] == 1.0


def test_F4_effective_reasoning() -> None:
    reasoning = made("gpt-5.2", reasoning={"effort": "high", "summary": "auto"})["reasoning"]
    assert reasoning == {"context": "current_turn", "effort": "high", "mode": "standard", "summary": "detailed"}


def test_F5_W8_json_schema_echo() -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "b": {"$schema": "x"}, "a": 2}
    sent = {"type": "json_schema", "strict": True, "name": "n", "schema": schema}
    text = made(text={"format": sent})["text"]
    assert list(text["format"]) == ["type", "description", "name", "schema", "strict"]
    assert text["format"]["description"] is None
    assert list(text["format"]["schema"].items()) == [("b", {"$schema": "x"}), ("a", 2)]
    assert text["verbosity"] == "medium"


def test_F7_function_without_strict_is_normalised() -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    assert tool_echo.echo_tool(tool) == {
        "type": "function",
        "description": None,
        "name": "f",
        "output_schema": None,
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False, "required": []},
        "strict": True,
    }
    assert list(tool_echo.echo_tool(tool)) == [
        "type",
        "description",
        "name",
        "output_schema",
        "parameters",
        "strict",
    ]
    assert list(tool_echo.echo_tool(tool)["parameters"]) == [
        "type",
        "properties",
        "additionalProperties",
        "required",
    ]


@pytest.mark.parametrize("strict", [True, False])
def test_F7_function_with_strict_is_left_alone(strict: bool) -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "string"}}}
    tool = {"type": "function", "name": "f", "parameters": parameters, "strict": strict}
    shown = tool_echo.echo_tool(tool)
    assert (shown["parameters"], shown["strict"]) == (parameters, strict)


@pytest.mark.parametrize("properties", [{"a": {"type": "object", "additionalProperties": True}}, 5, True, "ab", ["a"]])
def test_F7_a_schema_without_strict_form_is_not_strict(properties: Any) -> None:
    parameters = {"type": "object", "properties": properties}
    shown = tool_echo.echo_tool({"type": "function", "name": "f", "parameters": parameters})
    assert (shown["parameters"], shown["strict"]) == (parameters, False)


HOSTED = {
    "file_search": {
        "filters": None,
        "max_num_results": 20,
        "ranking_options": {"ranker": "auto", "score_threshold": 0.0},
    },
    "web_search": {
        "return_token_budget": "default",
        "search_content_types": ["text"],
        "search_context_size": "medium",
        "user_location": {"type": "approximate", "city": None, "country": "US", "region": None, "timezone": None},
    },
    "image_generation": {
        "background": "auto",
        "model": "gpt-image-1",
        "moderation": "auto",
        "n": 1,
        "output_compression": 100,
        "output_format": "png",
        "quality": "auto",
        "size": "auto",
    },
    "tool_search": {"description": None, "parameters": None},
}
HOSTED["web_search_preview"] = HOSTED["web_search_preview_2025_03_11"] = {
    "search_context_size": "medium",
    "user_location": {"type": "approximate", "city": None, "country": "US", "region": None, "timezone": None},
}


@pytest.mark.parametrize("kind", HOSTED)
def test_F7_hosted_tools(kind: str) -> None:
    assert tool_echo.echo_tool({"type": kind}) == {"type": kind, **HOSTED[kind]}


def test_F7_what_is_not_echoed() -> None:
    assert "external_web_access" not in tool_echo.echo_tool({"type": "web_search", "external_web_access": True})
    shown = tool_echo.echo_tool(
        {"type": "image_generation", "partial_images": 1, "input_fidelity": "low", "model": "m"}
    )
    assert "partial_images" not in shown
    assert "input_fidelity" not in shown
    assert shown["model"] == "m"


def test_F7_secrets_of_mcp_tools_are_hidden() -> None:
    shown = tool_echo.echo_tool(
        {
            "type": "mcp",
            "server_label": "s",
            "server_url": "https://example.com/secret/path",
            "authorization": "token",
            "headers": {"X-Key": "secret"},
        }
    )
    assert shown["authorization"] == "<redacted>"
    assert shown["headers"] == {"X-Key": "<redacted>"}
    assert shown["server_url"] == "https://example.com/<redacted>"
    for sent, url in (
        ("https://me:secret@example.com/path", "https://example.com/<redacted>"),
        ("https://me:se@cret@example.com", "https://example.com"),
        ("https://example.com?token=secret", "https://example.com/<redacted>"),
        ("https://example.com", "https://example.com"),
        ("me:secret@example.com", "example.com"),
    ):
        tool = {"type": "mcp", "server_label": "s", "server_url": sent}
        assert tool_echo.echo_tool(tool)["server_url"] == url


def test_F7_namespaces() -> None:
    inner = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    shown = tool_echo.echo_tool({"type": "namespace", "name": "n", "description": "d", "tools": [inner]})
    assert list(shown) == ["type", "description", "name", "tools"]
    assert shown["tools"][0]["strict"] is True


@pytest.mark.parametrize(
    ("asked", "tier"),
    [(None, "default"), ("auto", "default"), ("default", "default"), ("flex", "flex"), ("fast", "priority"),
     ("priority", "priority")],
)  # fmt: skip
def test_F1_service_tiers(asked: str | None, tier: str) -> None:
    assert response_object.final_tier(asked) == tier


def test_R1_54_prompt_cache_options_are_filled() -> None:
    assert made(prompt_cache_options={"ttl": "30m"})["prompt_cache_options"] == {"mode": "implicit", "ttl": "30m"}


def test_W18_begun_is_what_created_showed() -> None:
    final = made() | {
        "status": "completed",
        "completed_at": 6,
        "output": [{"id": "x"}],
        "usage": {},
        "service_tier": "default",
    }
    assert response_object.in_progress_view(final) == response_object.without_billing(made())
    assert list(response_object.in_progress_view(final)) == list(response_object.without_billing(made()))


def test_the_newest_keys_stand_in_alphabetical_place() -> None:
    keys = list(made(image={"context_compression": "auto"}, access_programs={"cyber": "standard"}))
    assert keys[:5] == ["id", "object", "created_at", "status", "access_programs"]
    assert keys[-2:] == ["user", "metadata"]
    assert keys[4:-2] == sorted(keys[4:-2])


def test_O5_moderation_flags_nothing_and_is_known_at_the_end() -> None:
    final = made(moderation={"model": "omni-moderation-latest", "policy": {"input": {"mode": "block"}}})
    verdicts = final["moderation"]
    assert list(verdicts) == ["input", "output"]
    for verdict in verdicts.values():
        assert list(verdict) == sorted(verdict, key=lambda key: (key != "type", key))
        assert (verdict["type"], verdict["model"], verdict["flagged"]) == (
            "moderation_result",
            "omni-moderation-latest",
            False,
        )
        assert verdict["categories"].keys() == verdict["category_scores"].keys()
    begun = response_object.in_progress_view(final)
    assert begun["moderation"] is None
    assert list(begun) == [key for key in final if key != "billing"]


def test_O1_a_comparison_of_prompts_is_unavailable() -> None:
    final = made(prompt_cache_options={"comparison_response_id": "resp_1", "prewarm": True})
    assert final["prompt_cache_diagnostics"] == {"type": "unavailable"}
    assert final["prompt_cache_options"] == {"comparison_response_id": "resp_1", "mode": "implicit", "ttl": "30m"}
    assert "prompt_cache_diagnostics" not in made(prompt_cache_options={"ttl": "30m"})
    assert response_object.in_progress_view(final)["prompt_cache_diagnostics"] is None


@pytest.mark.parametrize(("asked", "shown"), [("auto", "disabled"), ("enabled", "enabled"), ("disabled", "disabled")])
def test_O1_effective_compression_of_images(asked: str, shown: str) -> None:
    assert made(image={"context_compression": asked})["image"] == {"context_compression": shown}


def test_F7_members_of_members_are_filled_in() -> None:
    shown = tool_echo.echo_tool({"type": "web_search", "user_location": {"city": "Oslo", "timezone": None}})
    assert list(shown["user_location"].items()) == [
        ("type", "approximate"),
        ("city", "Oslo"),
        ("country", None),
        ("region", None),
        ("timezone", None),
    ]
    searched = {"type": "file_search", "vector_store_ids": ["vs_1"], "ranking_options": {"score_threshold": 0.5}}
    assert tool_echo.echo_tool(searched)["ranking_options"] == {"ranker": "auto", "score_threshold": 0.5}


@pytest.mark.parametrize(
    ("asked", "until", "then"),
    [
        ("flex", "flex", "flex"),
        ("priority", "auto", "priority"),
        ("fast", "auto", "priority"),
        ("scale", "auto", "scale"),
        ("auto", "auto", "default"),
        ("default", "default", "default"),
    ],
)
def test_F1_the_tier_until_the_end_and_then(asked: str, until: str, then: str) -> None:
    final = made(service_tier=asked) | {"status": "completed", "service_tier": response_object.final_tier(asked)}
    cues = response_object.cues_of({"service_tier": asked})
    assert (response_object.in_progress_view(final, cues)["service_tier"], final["service_tier"]) == (until, then)


def test_fields_of_a_script_are_laid_over_in_alphabetical_place() -> None:
    laid = response_object.with_fields(made(), {"input_transformations": [], "moderation": {"input": 1}})
    assert list(laid)[4:-2] == sorted(list(laid)[4:-2])
    assert (list(laid)[:4], list(laid)[-2:]) == (["id", "object", "created_at", "status"], ["user", "metadata"])
