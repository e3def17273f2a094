"""Prompts for tests of the model: a context of items, and what the request says besides."""

from __future__ import annotations

from typing import Any

from mockserver.model.prompt import Prompt
from mockserver.wire.catalog import resolve


def user(text: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def called(name: str) -> dict:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": "{}"}


def returned(text: str) -> dict:
    return {"type": "function_call_output", "call_id": "call_1", "output": text}


def prompt(*items: dict, model: str = "gpt-4.1", turn: int = 1, **request: Any) -> Prompt:
    """A prompt whose whole context stands in the request's own input."""
    found = resolve(model)
    assert found
    body = {"model": model, **request}
    return Prompt(body, found, items, lambda: reversed(items), len(items), turn, "s")


ASKED = (user("weather in Oslo?"), called("get_weather"), returned("18 degrees"))
