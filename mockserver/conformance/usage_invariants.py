"""Rules that every usage obeys, on any server, unless a script says otherwise. Spec: O2, R8.6, T13."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def check_usage(usage: Mapping[str, Any]) -> None:
    """Check that a usage adds up; raises AssertionError."""
    read, written = usage["input_tokens"], usage["output_tokens"]
    assert usage["total_tokens"] == read + written, f"the total is not input and output: {usage} (O2)"
    reasoning = usage["output_tokens_details"]["reasoning_tokens"]
    assert 0 <= reasoning <= written, f"more reasoning than output: {usage} (R8.6)"
    details = usage["input_tokens_details"]
    cached = details["cached_tokens"] + details.get("cache_write_tokens", 0)
    assert 0 <= cached <= read, f"more tokens of the cache than input: {usage} (T13)"


def usages_of(body: Any, events: list[dict[str, Any]] | None = None) -> list[Mapping[str, Any]]:
    """The usages in an answer: those of a response or a compaction, of all responses that its events carry."""
    bodies = [body] if events is None else [event.get("response") for event in events]
    found = [one.get("usage") for one in bodies if isinstance(one, dict)]
    return [usage for usage in found if isinstance(usage, dict) and "total_tokens" in usage]
