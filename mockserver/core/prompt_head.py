"""The head of a prompt: what stands before its items, and whose entries of the cache it may use. Spec: R8.8."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from mockserver.wire.catalog import Model
from mockserver.wire.responses.encoding import json_compact


def head_of(request: Mapping[str, Any], model: Model) -> str:
    """The hash of what a prompt begins with, and of whose entries it may use. Spec: R8.8."""
    instructions = request.get("instructions")
    if _SHAPING.isdisjoint(request) and (instructions is None or len(instructions) <= _LONGEST):
        return _plain_head(model, instructions, request.get("prompt_cache_key"))
    return _head(request, model)


# What shapes a prompt's beginning besides the instructions.
_SHAPING = frozenset({"text", "reasoning", "tools", "parallel_tool_calls", "context_management", "prompt"})


_LONGEST = 4096  # characters of instructions that are remembered


@lru_cache(maxsize=1024)
def _plain_head(model: Model, instructions: str | None, cache_key: str | None) -> str:
    return _head({"instructions": instructions, "prompt_cache_key": cache_key}, model)


def _head(request: Mapping[str, Any], model: Model) -> str:
    text, reasoning = request.get("text") or {}, request.get("reasoning") or {}
    text_format = text.get("format") or {"type": "text"}
    read = [
        model.id,
        request.get("prompt_cache_key"),
        None if model.instructions_last else request.get("instructions"),
        request.get("tools") or [],
        request.get("parallel_tool_calls") is False,
        None if text_format["type"] == "text" else text_format,
        text.get("verbosity") or "medium",
        reasoning.get("effort") or model.default_effort,
        request.get("context_management"),
        request.get("prompt"),  # what the template says is not known, but that another one says something else
    ]
    return blake2b(json_compact(read), digest_size=16).hexdigest()
