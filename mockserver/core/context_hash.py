"""A long context as the model reads it, in rolling hashes: two contexts with the same hash are the same to the model.

Ids and statuses are not read, so a replayed history and a chain leave the same trail. Spec: R8.8, T9, T11.
"""

# How it works. `now` is the hash of everything a model reads, in order: each item is rendered to the bytes that
# matter and hashed together with the hash before it. Two contexts with the same hash are the same prompt.
#
# Reasoning makes it hard. Most models read the reasoning since the last user message and forget it with the next
# one (T9). So when reasoning comes in, a second hash is begun (`lasting`) that goes on without it; the next user
# message makes that one the only one. Models that read all turns never need it.
#
# What must stay true:
# * What the model doesn't read isn't hashed: ids, statuses, call ids, who created an item. Otherwise a replayed
#   history would miss the cache that its own chain filled.
# * Each role and each kind of item opens with bytes of its own, so that no two different items read alike.
# * A trail is a value: going on with it makes a new one, because a stored summary and the prompt that continues
#   it hold the same trail at the same time.
# * The stored hashes are 16 bytes in hex, and are part of database files: another rendering is another version of
#   them.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from mockserver.core.records import _new
from mockserver.core.state import ContextHash, Item
from mockserver.wire.responses.encoding import json_compact

_UNREAD = frozenset({"id", "status", "call_id", "created_by"})
_READ = {
    "function_call": ("type", "name", "namespace", "arguments"),
    "custom_tool_call": ("type", "name", "namespace", "input"),
    "reasoning": ("type", "encrypted_content", "summary"),
}
# item type → where its parts are
CONTENT = {"message": "content", "function_call_output": "output", "custom_tool_call_output": "output"}

_TEXTS = frozenset({"input_text", "output_text"})
_ROLES = ("user", "assistant", "system", "developer", "unknown", "critic", "discriminator", "tool")
_OPENINGS = {(role, aside): f"{role} {aside}\n".encode() for role in _ROLES for aside in (False, True)}
_TEXT_OPENINGS = {role: _OPENINGS[role, False].decode() for role in _ROLES}


def extend_all(trail: ContextHash, items: Iterable[Item]) -> ContextHash:
    """The trail of a context that goes on with items."""
    for item in items:
        trail = extend(trail, item)
    return trail


def extend(trail: ContextHash, item: Item) -> ContextHash:
    """The trail of a context that goes on with an item. Spec: T9."""
    reads, now, marks, lasting, lasting_marks = trail
    read, kind = render_item(item), item["type"]
    if kind == "message" and lasting is None:  # as nearly always
        return _new(ContextHash, (reads, roll(now, read), marks, None, lasting_marks))
    if kind == "compaction":  # nothing before it is read any more (Spec: R5.4)
        now, marks, lasting, lasting_marks = "", [], None, []
    if kind == "reasoning" and reads != "all_turns":
        if lasting is None:
            lasting, lasting_marks = now, marks
    elif lasting is not None:
        if item.get("role") == "user":
            now, marks, lasting, lasting_marks = lasting, lasting_marks, None, []
        else:
            lasting = roll(lasting, read)
    return _new(ContextHash, (reads, roll(now, read), marks, lasting, lasting_marks))


def extend_by_text(trail: ContextHash, role: str, text: str, before: str | None = None) -> ContextHash:
    """The same with a message that is one text of a user or an answer, and no commentary.

    It stands after what is hashed as `before`, where that is more than the trail's own: one text more, say.
    """
    reads, now, marks, lasting, lasting_marks = trail
    if lasting is not None:
        return extend(trail, {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]})
    return _new(ContextHash, (reads, roll_text(before or now, role, text), marks, None, lasting_marks))


def roll_text(before: str, role: str, text: str) -> str:
    """The hash of a context that goes on with a message that is one text."""
    return blake2b((before + _TEXT_OPENINGS[role] + text).encode(), digest_size=16).hexdigest()


def roll(before: str, read: bytes) -> str:
    """The hash of a context that goes on with what is read."""
    return blake2b(before.encode() + read, digest_size=16).hexdigest()


def render_item(item: Item, parts: int | None = None) -> bytes:
    """Return what the model reads of an item, or of its first parts."""
    kind = item["type"]
    if kind == "message":
        content = item["content"]
        if len(content) == 1 and parts is None and content[0]["type"] in _TEXTS:
            return _OPENINGS[item["role"], item.get("phase") == "commentary"] + content[0]["text"].encode()
        return opening(item) + b"".join([_part(part) for part in content[:parts]])
    if kind in CONTENT:
        content = item.get(CONTENT[kind])
        read = b"".join(map(_part, content[:parts])) if isinstance(content, list) else _text(content)
        return opening(item) + read
    keys = _READ.get(kind)
    if keys is not None:
        return json_compact([item.get(key) for key in keys])
    return json_compact([[key, value] for key, value in item.items() if key not in _UNREAD])


def opening(item: Item) -> bytes:
    """Return what is read of an item before its content."""
    if item["type"] == "message":
        return _OPENINGS[item["role"], item.get("phase") == "commentary"]
    return f"{item['type']}\n".encode()


def only_text(item: Item) -> str | None:
    """The text of a message that holds nothing else, else None."""
    if item["type"] != "message":
        return None
    texts = [part.get("text") for part in item["content"]]
    return None if None in texts else "".join(texts)


def _part(part: Mapping[str, Any]) -> bytes:
    text = part.get("refusal" if part["type"] == "refusal" else "text")
    if isinstance(text, str):
        return text.encode()
    return b"\0" + json_compact([[key, value] for key, value in part.items() if key != "prompt_cache_breakpoint"])


def _text(text: str | None) -> bytes:
    return (text or "").encode()
