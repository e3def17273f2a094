"""The echo model: it answers with the items that it was given, as text, so that a test sees what a model saw.

A server that stands between a test and its model decides what the model reads: the items of a chain, of a
conversation, instructions. Behind such a server this model makes that visible without any control of the model.
"""

# How it works. The answer is one line of JSON: `{"echo": [items, oldest first], "instructions": text or null}`. An
# item has its type, its role if it has one, and its text.
#
# What must stay true: the same context gets the same answer, arguments of calls too, whatever was asked before. And a
# text of more than `WHOLE` characters is shown by its hash: echoes are items of the next turn's context, and whole ones
# would double the context with each turn of a chain.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import orjson

from mockserver.model.default_model import respond_with
from mockserver.model.prompt import Prompt, Reply
from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.resources import item_text

WHOLE = 80  # characters of a text that are shown


class EchoModel:
    """A model that says what it read; it calls a tool only when it has to, and fills formats as the default one."""

    def respond(self, prompt: Prompt) -> Reply:
        """The reply: a forced tool call, else an instance of the format, else the context as text."""
        return respond_with(replace(prompt, seed="echo"), echo_text, may_call=False)


def echo_text(prompt: Prompt) -> str:
    """The context of a prompt as one line of JSON."""
    items = [show_item(item) for item in prompt.newest_first()]
    document = {"echo": items[::-1], "instructions": shown(prompt.request.get("instructions"))}
    return json_compact(document).decode()


def show_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as an echo shows it: its type, its role and its text."""
    entry = {"type": item.get("type") or "message", "role": item.get("role"), "text": shown(item_text(dict(item)))}
    return {name: value for name, value in entry.items() if value is not None}


def shown(text: Any) -> str | None:
    """A text as an echo shows it: whole, or its length and hash."""
    if not isinstance(text, str) or len(text) <= WHOLE:
        return text if isinstance(text, str) else None
    return f"{len(text)} characters {blake2b(text.encode(errors='replace'), digest_size=8).hexdigest()}"


def read_echo(text: str) -> dict[str, Any] | None:
    """The document of an echo, None if a text is none."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) and isinstance(document.get("echo"), list) else None
