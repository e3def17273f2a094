"""The table of operations: the arguments of each, and the ids that it produces for later ones.

The state machine and the random walk both read it.
"""

# Why a table: Hypothesis needs bundles and strategies, the random walk needs plain choices and ids. Both read
# the same rows, so a new operation is one row here and one method of `Operations`, and a failing program of
# either can be shrunk and printed by the other.
#
# What must stay true: the first choice of each argument is the plainest, because shrinking replaces arguments
# by it.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.conformance.machine.requests import ASKS, INVALID_REQUESTS, MODELS, SLOW_S

Json = dict[str, Any]


class IdFrom(NamedTuple):
    """An argument that is an id which an earlier operation produced; `consumed` ids can't be drawn again."""

    bundle: str
    consumed: bool = False


class Operation(NamedTuple):
    """One operation: its arguments (choices, or ids), the bundles that its result goes into, if it needs a clock.

    If `several`, it returns a list of ids. `lenient` operations are those of the profile `state`.
    """

    name: str
    arguments: Mapping[str, Sequence[Any] | IdFrom]
    into: tuple[str, ...] = ()
    needs_controls: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """The capabilities without which it is not tried."""
        return _NEEDS.get(self.name, ())

    @property
    def lenient(self) -> bool:
        """Whether it is about state, and not about what a validator says."""
        return self.name not in _STRICT

    @property
    def several(self) -> bool:
        """Whether the operation returns a list of ids."""
        return self.name == "fork" or "items" in self.into


_NEEDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("create_call", "chain_call"), ("tools",)),
    "converse_call": ("tools", "conversations"),
    **dict.fromkeys(("background", "background_after", "background_in", "cancel"), ("background",)),
    **dict.fromkeys(("list_input_items", "page_input_items"), ("input items",)),
    "create_conversation": ("conversations",),
    "retrieve": ("get",),
    "delete": ("delete",),
    "recount": ("count",),
}
_STRICT = frozenset({"refuse", "refuse_in"})

RESPONSES, CONVERSATIONS, ITEMS, CALLS = IdFrom("responses"), IdFrom("conversations"), IdFrom("items"), IdFrom("calls")
BUNDLES = ("responses", "conversations", "items", "calls")
_SLOW = (False, True)
_PAGE: Mapping[str, Sequence[Any]] = {"limit": (None, 1, 2, 3), "order": (None, "asc", "desc")}
_KINDS = (("user",), (), ("user", "assistant"), ("call", "output"), ("call",))
_METADATA: Sequence[Json] = ({}, {"colour": "red"}, {"size": "7", "": "x"})
_MADE = ("responses",)

OPERATIONS: tuple[Operation, ...] = (
    Operation("create", {"ask": ASKS}, _MADE),
    Operation("chain", {"parent": RESPONSES, "ask": ASKS}, _MADE),
    Operation("fork", {"parent": RESPONSES, "ask": ASKS}, _MADE),
    Operation("create_conversation", {"items": _KINDS, "metadata": _METADATA}, ("conversations",)),
    Operation("converse", {"conversation": CONVERSATIONS, "ask": ASKS}, _MADE),
    Operation("create_call", {"ask": ASKS}, ("responses", "calls")),
    Operation("chain_call", {"parent": RESPONSES, "ask": ASKS}, ("responses", "calls")),
    Operation("converse_call", {"conversation": CONVERSATIONS, "ask": ASKS}, ("responses", "calls")),
    Operation("answer_call", {"call": CALLS, "ask": ASKS}, _MADE),
    Operation("answer_elsewhere", {"parent": RESPONSES, "call": CALLS, "ask": ASKS}, _MADE),
    Operation("answer_in", {"conversation": CONVERSATIONS, "call": CALLS, "ask": ASKS}, _MADE),
    Operation("answer_nothing", {"ask": ASKS}, _MADE),
    Operation("refer", {"item": ITEMS, "ask": ASKS}, _MADE),
    Operation("refer_after", {"parent": RESPONSES, "item": ITEMS, "ask": ASKS}, _MADE),
    Operation("refer_in", {"conversation": CONVERSATIONS, "item": ITEMS, "ask": ASKS}, _MADE),
    Operation("refer_unknown", {"ask": ASKS}, _MADE),
    Operation("background", {"ask": ASKS, "slow": _SLOW}, _MADE),
    Operation("background_after", {"parent": RESPONSES, "ask": ASKS, "slow": _SLOW}, _MADE),
    Operation("background_in", {"conversation": CONVERSATIONS, "ask": ASKS, "slow": _SLOW}, _MADE),
    Operation("retrieve", {"id": RESPONSES}, ("items",)),
    Operation("lose", {"id": RESPONSES}),
    Operation("replay", {"id": RESPONSES, "after": (0, 1, 2, 5, 99)}, needs_controls=True),
    Operation("list_input_items", {"id": RESPONSES, **_PAGE}, ("items",)),
    Operation("page_input_items", {"id": RESPONSES, "item": ITEMS, **_PAGE}),
    Operation("delete", {"id": IdFrom("responses", consumed=True)}),
    Operation("cancel", {"id": RESPONSES}),
    Operation("recount", {"parent": RESPONSES, "model": MODELS}),
    Operation("refuse", {"bad": range(len(INVALID_REQUESTS))}),
    Operation("refuse_in", {"conversation": CONVERSATIONS, "bad": range(len(INVALID_REQUESTS))}),
    Operation("take_both", {"parent": RESPONSES, "conversation": CONVERSATIONS, "ask": ASKS}),
    Operation("trespass", {"id": RESPONSES}, needs_controls=True),
    Operation("trespass_in", {"conversation": CONVERSATIONS}, needs_controls=True),
    Operation("retrieve_conversation", {"conversation": CONVERSATIONS}),
    Operation("update_conversation", {"conversation": CONVERSATIONS, "metadata": _METADATA}),
    Operation("delete_conversation", {"conversation": IdFrom("conversations", consumed=True)}),
    Operation("add", {"conversation": CONVERSATIONS, "items": tuple(one for one in _KINDS if one)}, ("items",)),
    Operation("add_again", {"conversation": CONVERSATIONS, "item": ITEMS}),
    Operation("list_items", {"conversation": CONVERSATIONS, **_PAGE}, ("items",)),
    Operation("page_items", {"conversation": CONVERSATIONS, "item": ITEMS, **_PAGE}),
    Operation("retrieve_item", {"conversation": CONVERSATIONS, "item": ITEMS}),
    Operation("delete_item", {"conversation": CONVERSATIONS, "item": ITEMS}),
    Operation("wait", {"seconds": (1, 0.5, SLOW_S - 1, SLOW_S, 3600, SLOW_S, 86_400)}, needs_controls=True),
    Operation("move", {}, needs_controls=True),
    Operation("outlive", {"id": RESPONSES, "seconds": (0, 1)}, needs_controls=True),
)
