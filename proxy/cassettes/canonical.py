"""Items and requests in a form in which those that mean the same are equal."""

# A chain, a conversation and a history that the client keeps itself bring the same items to the model in different
# spellings: with ids or without, a text or a list of parts, defaults left out or filled in. The mock's own rules for
# stored items (`wire.responses.resources`) fill them in; then everything that differs from run to run is dropped or
# numbered. What these rules refuse (a recording may hold requests that the API refused) is compared as it was sent.

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from mockserver.wire.responses.ids import IdGenerator
from mockserver.wire.responses.resources import fill_item, input_items

Item = dict[str, Any]
Names = Mapping[str, int]

# what no request has in common with its repetition
_DROPPED = frozenset(
    # the last one is Codex's: it writes the number of its turn into the items that it sends back
    ("id", "status", "created_by", "obfuscation", "logprobs", "internal_chat_message_metadata_passthrough")
)
# ids that tie items together: the first of them that is seen is number 1
_TIES = frozenset(("call_id", "container_id", "approval_request_id", "caller_id"))
BLOB = "encrypted_content"

# Bodies of turns: fields that do not change what is asked.
IGNORED = frozenset(
    (
        "metadata",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "client_metadata",
        "stream_options",
        "stream_id",
    )
)
# What is asked by a body that leaves them out. Spec: F1, W9.
_DEFAULTS: Mapping[str, Any] = {
    "stream": False,
    "store": True,
    "background": False,
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "include": [],
    "service_tier": "auto",
    "temperature": 1,
    "top_p": 1,
    "instructions": None,
    "text": {"format": {"type": "text"}},
}
# The fields that say what the context is; it is compared itself.
CONTEXT_FIELDS = frozenset(("input", "previous_response_id", "conversation"))


def canonical_fields(body: Mapping[str, Any], ignored: frozenset[str]) -> dict[str, Any]:
    """The fields of a turn's body that a recording must have in common with it, defaults left out."""
    return {
        key: value
        for key, value in body.items()
        if key not in ignored
        and key not in CONTEXT_FIELDS
        and value is not None
        and not (key in _DEFAULTS and _DEFAULTS[key] == value)
    }


_UNNUMBERED = IdGenerator("", "")


def raw_items(value: Any) -> list[Any]:
    """The items of an `input`, whatever was sent there."""
    if value is None:
        return []
    try:
        return input_items(value)
    except (TypeError, AttributeError):
        return list(value) if isinstance(value, list) else [value]


def canonical_item(item: Any, names: dict[str, int], blob: Any) -> Any:
    """An item without what differs from run to run; `names` numbers its ties, `blob` is said of encrypted content."""
    if not isinstance(item, dict):
        return item
    kept = _strip(_fill(item), names, blob)
    id = item.get("id")
    if item.get("type") in _TIED_BY_ID and isinstance(id, str):
        kept["id"] = names.setdefault(id, len(names) + 1)
    return kept


# an approval answers a request by its id; the output of a local shell bears the id of its call
_TIED_BY_ID = frozenset(("mcp_approval_request", "local_shell_call_output"))


def _fill(item: Item) -> Item:
    try:
        return fill_item({**item, "id": "-"}, _UNNUMBERED)
    except Exception:  # a recorded request may have been refused by the API: any shape may come
        return item


def _strip(value: Any, names: dict[str, int], blob: Any) -> Any:
    if isinstance(value, list):
        return [_strip(member, names, blob) for member in value]
    if not isinstance(value, dict):
        return value
    kept: Item = {}
    for key, member in value.items():
        if member is None or key in _DROPPED:
            continue
        if key == BLOB:
            if blob is not None:
                kept[key] = blob
        elif isinstance(member, dict | list):
            kept[key] = member if key in _AS_SENT else _strip(member, names, blob)
        else:
            kept[key] = names.setdefault(member, len(names) + 1) if key in _TIES and isinstance(member, str) else member
    return kept


# what callers and models make up: keys in there are theirs
_AS_SENT = frozenset(("arguments", "parameters", "schema", "metadata", "input", "output_schema"))


def encode(value: Any) -> bytes:
    """One text for equal values, whatever the order of their keys."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return repr(value).encode()


def read_match(words: str | Iterable[str], ignored: frozenset[str] = IGNORED) -> frozenset[str]:
    """The ignored fields after `+metadata,-tools`: + compares a field, - ignores it; raises ValueError.

    `-/REGEX/` ignores text, wherever it stands, and is kept as `/REGEX/`.
    """
    for given in (words,) if isinstance(words, str) else words:
        if given.startswith("-/") and given.endswith("/"):
            ignored |= {given[1:]}
            continue
        for word in filter(None, (part.strip() for part in given.split(","))):
            field = word[1:]
            if word[0] not in "+-" or not field.isidentifier():
                raise ValueError(word)
            ignored = ignored - {field} if word[0] == "+" else ignored | {field}
    return ignored


def blanks_of(ignored: frozenset[str]) -> list[re.Pattern[str]]:
    """The texts that are ignored, as patterns."""
    return [re.compile(word[1:-1]) for word in sorted(ignored) if word.startswith("/")]


def ties_in(items: Iterable[Any]) -> list[str]:
    """The ids that tie items together, in the order in which they appear."""
    names: dict[str, int] = {}
    for item in items:
        canonical_item(item, names, None)
    return list(names)
