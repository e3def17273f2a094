"""The model catalogue: names, windows, defaults. Spec: W12, W14, R7."""

from __future__ import annotations

import pytest

from mockserver.wire import catalog

W14 = {
    "computer-use-preview": "computer-use-preview-2025-03-11",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-5-pro": "gpt-5-pro-2025-10-06",
    "gpt-5.1": "gpt-5.1-2025-11-13",
    "gpt-5.2": "gpt-5.2-2025-12-11",
    "gpt-5.4": "gpt-5.4-2026-03-05",
    "gpt-5.4-mini": "gpt-5.4-mini-2026-03-17",
    "gpt-5.5": "gpt-5.5-2026-04-23",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
    "gpt-5.6": "gpt-5.6-sol",
    "gpt-5.6-terra": "gpt-5.6-terra",
    "gpt-5.3-codex": "gpt-5.3-codex",
    "gpt-6-astra": "gpt-6-astra",
    "gpt-4.1-2025-04-14": "gpt-4.1-2025-04-14",
}


@pytest.mark.parametrize(("sent", "echoed"), W14.items())
def test_W14_aliases(sent: str, echoed: str) -> None:
    model = catalog.resolve(sent)
    assert model is not None
    assert model.id == echoed


def test_unknown_names_resolve_to_nothing() -> None:
    assert catalog.resolve("gpt-5.2-proo") is None
    assert catalog.resolve("") is None


# model → context window, output cap, top_p, effort, context of reasoning, cache retention (Spec: W12, R7)
W12 = {
    "gpt-4o": (128_000, 16_384, 1.0, None, None, "in_memory"),
    "gpt-4.1-nano": (1_047_576, 32_768, 1.0, None, None, "in_memory"),
    "o3": (200_000, 100_000, 1.0, "medium", "current_turn", "in_memory"),
    "gpt-5-mini": (400_000, 128_000, 1.0, "medium", "current_turn", "in_memory"),
    "gpt-5-pro": (400_000, 128_000, 1.0, "high", "current_turn", "in_memory"),
    "gpt-5.2": (400_000, 128_000, 0.98, "none", "current_turn", "24h"),
    "gpt-5.4": (1_050_000, 128_000, 0.98, "none", "current_turn", "24h"),
    "gpt-5.5": (1_050_000, 128_000, 0.98, "medium", "current_turn", "24h"),
    "gpt-5.6-luna": (1_050_000, 128_000, 0.98, "medium", "all_turns", "24h"),
    "gpt-6-sol": (1_050_000, 128_000, 0.98, "medium", "all_turns", "24h"),
}


@pytest.mark.parametrize("name", W12)
def test_W12_defaults_and_windows(name: str) -> None:
    model = catalog.resolve(name)
    assert model is not None
    assert W12[name] == (
        model.context_window,
        model.max_output_tokens,
        model.top_p,
        model.default_effort,
        model.reasoning_context,
        model.prompt_cache_retention,
    )


def test_every_name_is_listed_once_and_resolves() -> None:
    listed = [name for name, _ in catalog.names()]
    assert len(listed) == len(set(listed))
    assert all(catalog.resolve(name) is model for name, model in catalog.names())


def test_entries_are_consistent() -> None:
    for _, model in catalog.names():
        assert model.reasoning == bool(model.efforts) or model.id.startswith("computer-use")
        assert model.family == ("H" if model.reasoning else "C")
        assert model.default_effort is None or model.default_effort in model.efforts
        assert model.max_input_tokens <= model.context_window
