"""Marks: what stands in a plain turn for all that differs from turn to turn, while templates are made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mockserver.core.state import ContextHash, Item, Node
from mockserver.wire.responses.encoding import json_body, json_compact
from mockserver.wire.responses.text_template import TextTemplate
from mockserver.wire.tokens.context import Tally

# Stand in for what differs while a template is made: each text as JSON, of which a template has another name where
# turns give it as JSON; ids and numbers as they are.
TEXTS = {
    key: f"understudy\x1a{key}"
    for key in ("id", "item", "asked", "partition", "text", "sent", "parent", "head", "chat")
}
_MARKED_TRAIL = "understudy\x1atrail"
_TRAIL = json_compact(ContextHash(_MARKED_TRAIL)[:]).decode()
NUMBERS = {
    key: 8_610_203_040_000 + place
    for place, key in enumerate(
        ("created", "input", "written", "cached", "output", "total", "count", "turn", "tally", "n0", "n1", "n2", "n3")
    )
}
_AS_JSON = {"sent": "sent_text", "parent": "after", "head": "node", "chat": "in_chat", "trail": "trail"}
_IN_BODY = {"id": 1, "item": 1, "text": 1, "parent": 1, "chat": 1, "created": 2}
_IN_BODY |= dict.fromkeys(("input", "written", "cached", "output", "total"), 1)


def is_marked_once(body: bytes, final: Mapping[str, Any]) -> bool:
    """Whether a body has each mark in its places, and nowhere else."""
    places = _IN_BODY | {"chat": int("conversation" in final)}
    marks = {**{key: json_body(text) for key, text in TEXTS.items()}, **{k: b"%d" % n for k, n in NUMBERS.items()}}
    return all(body.count(mark) == places.get(key, 0) for key, mark in marks.items())


_MARKS = {json_body(value).decode(): key for key, value in (*TEXTS.items(), *NUMBERS.items())} | {_TRAIL: "trail"}
_split_at_marks = re.compile(f"({'|'.join(map(re.escape, _MARKS))})").split


def to_template(marked: bytes, text: str = "written_text") -> TextTemplate:
    """JSON with gaps in place of marks; `text` is the name of the answer's text as it stands there."""
    as_json = {
        "text": text,
        "sent": "sent_text",
        "parent": "after",
        "head": "node",
        "chat": "in_chat",
        "trail": "trail",
    }
    pieces, names = [""], list[str]()
    for place, part in enumerate(_split_at_marks(marked.decode())):
        if place % 2 == 0:
            pieces[-1] += part
            continue
        key = _MARKS[part]
        quote = "" if key in NUMBERS or key in as_json else '"'
        pieces[-1] += quote
        pieces.append(quote)
        names.append(as_json.get(key, key))
    return TextTemplate(pieces, names)


def mark_node(node: Node, items: list[Item]) -> Node:
    """A node like that of a plain turn, with marks and these items."""
    tally = Tally(NUMBERS["tally"], answered=bool(node.summary.tally and node.summary.tally.answered))
    return node._replace(
        id=TEXTS["id"],
        parent=TEXTS["head"],
        packed=items,
        created_at=NUMBERS["created"],
        summary=node.summary._replace(
            count=NUMBERS["count"], turn=NUMBERS["turn"], tally=tally, trail=ContextHash(_MARKED_TRAIL)
        ),
        partition=TEXTS["partition"],
        conversation=TEXTS["chat"],
    )
