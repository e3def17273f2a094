"""The table of verbs: what each may be called with, what it leaves for others to go on with.

The state machine and the walker are two readers of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.conformance.machine.requests import ASKS, BAD, MODELS, SLOW_S

Json = dict[str, Any]


class Of(NamedTuple):
    """An argument that is one of the ids which verbs left behind; it may be used up by that."""

    bundle: str
    consumed: bool = False


class Verb(NamedTuple):
    """A verb of the table: its arguments (choices, or ids), which bundles its result goes into, if it needs a clock.

    `several` verbs return a list of ids.
    """

    name: str
    arguments: Mapping[str, Sequence[Any] | Of]
    into: tuple[str, ...] = ()
    needs_controls: bool = False

    @property
    def several(self) -> bool:
        """Whether the verb returns a list of ids."""
        return self.name == "fork" or "items" in self.into


RESPONSES, CONVERSATIONS, ITEMS, CALLS = Of("responses"), Of("conversations"), Of("items"), Of("calls")
BUNDLES = ("responses", "conversations", "items", "calls")
_SLOW = (False, True)
_PAGE: Mapping[str, Sequence[Any]] = {"limit": (None, 1, 2, 3), "order": (None, "asc", "desc")}
_KINDS = (("user",), (), ("user", "assistant"), ("call", "output"), ("call",))
_METADATA: Sequence[Json] = ({}, {"colour": "red"}, {"size": "7", "": "x"})
_MADE = ("responses",)

VERBS: tuple[Verb, ...] = (
    Verb("create", {"ask": ASKS}, _MADE),
    Verb("chain", {"parent": RESPONSES, "ask": ASKS}, _MADE),
    Verb("fork", {"parent": RESPONSES, "ask": ASKS}, _MADE),
    Verb("create_conversation", {"items": _KINDS, "metadata": _METADATA}, ("conversations",)),
    Verb("converse", {"conversation": CONVERSATIONS, "ask": ASKS}, _MADE),
    Verb("create_call", {"ask": ASKS}, ("responses", "calls")),
    Verb("chain_call", {"parent": RESPONSES, "ask": ASKS}, ("responses", "calls")),
    Verb("converse_call", {"conversation": CONVERSATIONS, "ask": ASKS}, ("responses", "calls")),
    Verb("answer_call", {"call": CALLS, "ask": ASKS}, _MADE),
    Verb("answer_elsewhere", {"parent": RESPONSES, "call": CALLS, "ask": ASKS}, _MADE),
    Verb("answer_in", {"conversation": CONVERSATIONS, "call": CALLS, "ask": ASKS}, _MADE),
    Verb("answer_nothing", {"ask": ASKS}, _MADE),
    Verb("refer", {"item": ITEMS, "ask": ASKS}, _MADE),
    Verb("refer_after", {"parent": RESPONSES, "item": ITEMS, "ask": ASKS}, _MADE),
    Verb("refer_in", {"conversation": CONVERSATIONS, "item": ITEMS, "ask": ASKS}, _MADE),
    Verb("refer_unknown", {"ask": ASKS}, _MADE),
    Verb("background", {"ask": ASKS, "slow": _SLOW}, _MADE),
    Verb("background_after", {"parent": RESPONSES, "ask": ASKS, "slow": _SLOW}, _MADE),
    Verb("background_in", {"conversation": CONVERSATIONS, "ask": ASKS, "slow": _SLOW}, _MADE),
    Verb("retrieve", {"id": RESPONSES}, ("items",)),
    Verb("lose", {"id": RESPONSES}),
    Verb("replay", {"id": RESPONSES, "after": (0, 1, 2, 5, 99)}, needs_controls=True),
    Verb("list_input_items", {"id": RESPONSES, **_PAGE}, ("items",)),
    Verb("page_input_items", {"id": RESPONSES, "item": ITEMS, **_PAGE}),
    Verb("delete", {"id": Of("responses", consumed=True)}),
    Verb("cancel", {"id": RESPONSES}),
    Verb("recount", {"parent": RESPONSES, "model": MODELS}),
    Verb("refuse", {"bad": range(len(BAD))}),
    Verb("refuse_in", {"conversation": CONVERSATIONS, "bad": range(len(BAD))}),
    Verb("take_both", {"parent": RESPONSES, "conversation": CONVERSATIONS, "ask": ASKS}),
    Verb("trespass", {"id": RESPONSES}, needs_controls=True),
    Verb("trespass_in", {"conversation": CONVERSATIONS}, needs_controls=True),
    Verb("retrieve_conversation", {"conversation": CONVERSATIONS}),
    Verb("update_conversation", {"conversation": CONVERSATIONS, "metadata": _METADATA}),
    Verb("delete_conversation", {"conversation": Of("conversations", consumed=True)}),
    Verb("add", {"conversation": CONVERSATIONS, "items": tuple(one for one in _KINDS if one)}, ("items",)),
    Verb("add_again", {"conversation": CONVERSATIONS, "item": ITEMS}),
    Verb("list_items", {"conversation": CONVERSATIONS, **_PAGE}, ("items",)),
    Verb("page_items", {"conversation": CONVERSATIONS, "item": ITEMS, **_PAGE}),
    Verb("retrieve_item", {"conversation": CONVERSATIONS, "item": ITEMS}),
    Verb("delete_item", {"conversation": CONVERSATIONS, "item": ITEMS}),
    Verb("wait", {"seconds": (1, 0.5, SLOW_S - 1, SLOW_S, 3600, SLOW_S, 86_400)}, needs_controls=True),
    Verb("move", {}, needs_controls=True),
    Verb("outlive", {"id": RESPONSES, "seconds": (0, 1)}, needs_controls=True),
)
