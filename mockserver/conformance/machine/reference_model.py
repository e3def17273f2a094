"""The documented semantics of state, written as simply as possible: the oracle of the state machine.

It copies contexts instead of sharing them, ignores speed, and imports nothing of the mock. A context is a tuple of
item ids. Spec: R1.1–R1.37, R2.1–R2.18, R3.3, R6.1–R6.6.
"""

# How it works. The checked client asks the reference before each request (`judge`) and reports to it what the
# server answered (`finish`, `append`). So the reference never predicts ids or texts: it learns them, and
# predicts which errors come, which context a turn sees, and what can still be read.
#
# What must stay true:
# * Nothing of the mock's own core is imported or copied: an oracle that shares a mistake with what it judges is
#   blind.
# * The first error counts, so the checks in `judge` stand in the order of the API (errors §3).
# * Where the rules are silent (may a deleted item still be referred to?), the item goes to `unsure`, and no
#   operation uses it any more.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any, NamedTuple

THIRTY_DAYS = 30 * 86_400
TEN_MINUTES = 600
CHAINABLE = ("completed", "incomplete")
RUNNING = ("queued", "in_progress")

# rule → status, message with the id it names as {}, param, code. Spec: errors §4–6.
REFUSALS: Mapping[str, tuple[int, str, str | None, str | None]] = {
    "E9": (400, "Missing required parameter: 'input'.", "input", "missing_required_parameter"),
    "E37": (
        400,
        "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'.",
        None,
        "mutually_exclusive_parameters",
    ),
    "E55": (
        400,
        "Reasoning input items can only be provided to a reasoning or computer use model. "
        "Remove reasoning items from your input and try again.",
        "input",
        None,
    ),
    "E60": (
        400,
        "Previous response with id '{}' not found.",
        "previous_response_id",
        "previous_response_not_found",
    ),
    "E63": (404, "Conversation with id '{}' not found.", None, None),
    "E64": (404, "Conversation with id '{}' not found.", None, None),
    "E65": (404, "Item with id '{}' not found in conversation.", None, None),
    "E67": (
        400,
        "Another process is currently operating on this conversation. Please retry in a few seconds.",
        "conversation",
        "conversation_locked",
    ),
    "E68": (404, "Item with id '{}' not found.", "input", None),
    "E69": (
        404,
        "Item with id '{}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input.",
        "input",
        None,
    ),
    "E70": (
        400,
        "Duplicate item found with id {}. Remove duplicate items from your input and try again.",
        "input",
        None,
    ),
    "E71": (400, "No tool output found for function call {}.", "input", None),
    "E72": (400, "No tool call found for function call output with call_id {}.", "input", None),
    "E75": (404, "Response with id '{}' not found.", None, None),
    "E76": (400, "Cannot cancel a synchronous response.", None, None),
    "E77": (400, "Cannot cancel a {} response.", None, None),
    "E80": (
        400,
        "This response cannot be streamed because it was not created with stream=true.",
        "stream",
        None,
    ),
    "E81": (400, "Cannot delete an in-flight response.", None, None),
}


class PredictedError(NamedTuple):
    """An error that must come: its row of the error table and the id that it names."""

    rule: str
    names: str = ""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return REFUSALS[self.rule][0]

    @property
    def code(self) -> str | None:
        """The error's code, None where it has none."""
        return REFUSALS[self.rule][3]

    @property
    def error(self) -> dict[str, Any]:
        """The whole error object."""
        _, message, param, code = REFUSALS[self.rule]
        return {"message": message.format(self.names), "type": "invalid_request_error", "param": param, "code": code}


class Item(NamedTuple):
    """An item by what matters of it; `id` is empty as long as the server has not named it."""

    type: str
    text: str = ""
    role: str = ""
    call_id: str = ""
    id: str = ""
    reference: bool = False

    @property
    def is_service_made(self) -> bool:
        """Whether only the service hands out ids for it, so that an unknown one is refused. Spec: R1.37."""
        return self.reference or self.type in ("function_call", "reasoning") or self.role == "assistant"


@dataclass
class Response:
    """A response: its request, its parent, what the model saw, its output, whether it can be read."""

    id: str
    parent: str | None
    conversation: str | None
    created_at: int
    stored: bool
    status: str
    instructions: str | None = None
    background: bool = False
    streamed: bool = False
    before: tuple[str, ...] = ()
    own: list[Item] = field(default_factory=list)
    output: list[Item] = field(default_factory=list)
    ends_at: float = 0.0
    deleted: bool = False
    body: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] | None = None

    @property
    def saw(self) -> tuple[str, ...]:
        """The context that the model saw."""
        return (*self.before, *(item.id for item in self.own))

    @property
    def context_after(self) -> tuple[str, ...]:
        """The context of a turn that continues it. Spec: R1.20."""
        return (*self.saw, *(item.id for item in self.output))

    @property
    def running(self) -> bool:
        """Whether it is still in progress in the background."""
        return self.status in RUNNING

    @property
    def readable(self) -> bool:
        """Whether it can be read at all, if only for a while. Spec: R1.4, R6.6."""
        return self.stored or self.background

    @property
    def gone_at(self) -> float:
        """The time from which on it can't be read any more. Spec: R1.2, R6.6."""
        if self.stored:
            return self.created_at + THIRTY_DAYS
        return inf if self.running else ceil(self.ends_at) + TEN_MINUTES


@dataclass
class Conversation:
    """A conversation: its items in order, its metadata, the response that runs in it."""

    id: str
    items: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    running: str | None = None
    deleted: bool = False


@dataclass
class Reference:
    """Everything that a project should store."""

    now: float = 0.0
    responses: dict[str, Response] = field(default_factory=dict)
    conversations: dict[str, Conversation] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    holders: dict[str, list[str]] = field(default_factory=dict)  # item → responses that brought it, "" for ever
    unsure: set[str] = field(default_factory=set)  # items whose fate the rules leave open

    # --- queries

    def alive(self, id: str) -> bool:
        """Whether a response can be retrieved. Spec: R1.2, R1.4, R1.12, R6.6, R9.21."""
        response = self.responses[id]
        return response.readable and not response.deleted and self.now < response.gone_at

    def findable(self, id: str) -> bool:
        """Whether an item can be referred to: in a conversation for ever, else with its response. Spec: R1.37, R2.5."""
        return any(holder == "" or self.alive(holder) for holder in self.holders.get(id, ()))

    def expiring(self, seconds: float) -> list[str]:
        """The ids of responses that expire within `seconds`: stored ones, oldest first, then others as they go.

        Spec: R1.2, R1.3, R6.6.
        """
        later = self.now + seconds
        gone = [response for id, response in self.responses.items() if self.alive(id) and later >= response.gone_at]
        others = sorted((one for one in gone if not one.stored), key=lambda response: (response.gone_at, response.id))
        return [response.id for response in (*(one for one in gone if one.stored), *others)]

    def ending(self, seconds: float) -> list[Response]:
        """The turns that end within `seconds`, in the order of their ends."""
        ends = [
            response
            for response in self.responses.values()
            if response.running and response.ends_at <= self.now + seconds
        ]
        return sorted(ends, key=lambda response: response.ends_at)

    def context(self, parent: str | None, conversation: str | None) -> tuple[str, ...]:
        """The context that the next turn sees before its own input. Spec: R1.20, R2.8."""
        if parent is not None:
            return self.responses[parent].context_after
        return tuple(self.conversations[conversation].items) if conversation is not None else ()

    # --- errors

    def judge(
        self,
        own: list[Item],
        *,
        parent: str | None = None,
        conversation: str | None = None,
        store: bool | None = None,
        reasons: bool = True,
    ) -> PredictedError | None:
        """Predict the first error of a turn, None if it must be answered. Spec: errors §3."""
        missing = self.missing(own, parent, conversation)
        if missing is not None:
            return missing
        before = self.context(parent, conversation)
        wrong = self.lookup(own, before, store) or self.pairing(own, before)
        if wrong is not None:
            return wrong
        if not reasons and any(item.type == "reasoning" for item in (*map(self.items.__getitem__, before), *own)):
            return PredictedError("E55")
        if conversation is not None and self.conversations[conversation].running is not None:
            return PredictedError("E67")
        return None

    def missing(self, own: list[Item], parent: str | None, conversation: str | None) -> PredictedError | None:
        """Predict the error of a turn that lacks a start. Spec: E9, E37, E63, E60, R1.23, R1.24, R1.32, R2.7."""
        if not own and parent is None and conversation is None:
            return PredictedError("E9")
        if parent is not None and conversation is not None:
            return PredictedError("E37")
        if conversation is not None and self.conversations[conversation].deleted:
            return PredictedError("E63", conversation)
        if parent is not None:
            before = self.responses[parent]
            if not (before.stored and self.alive(parent) and before.status in CHAINABLE):
                return PredictedError("E60", parent)
        return None

    def lookup(self, own: list[Item], before: Iterable[str], store: bool | None = None) -> PredictedError | None:
        """Judge the ids that a turn's own items bear: each known, none twice. Spec: R1.36, R1.37."""
        for item in own:
            if item.id and item.is_service_made and not self.findable(item.id):
                return PredictedError("E69" if store is False else "E68", item.id)
        # Tool outputs are exempt: they pair by call_id (R1.36).
        known = {id for id in before if self.items[id].type != "function_call_output"}
        for item in own:
            if item.id and item.type != "function_call_output":
                if item.id in known:
                    return PredictedError("E70", item.id)
                known.add(item.id)
        return None

    def pairing(self, own: list[Item], before: Iterable[str]) -> PredictedError | None:
        """Judge calls and outputs: each output has its call before it, each call its output. Spec: R1.33–R1.35."""
        calls: set[str] = set()
        owed: dict[str, None] = {}
        for item in (*map(self.items.__getitem__, before), *own):
            if item.type == "function_call":
                calls.add(item.call_id)
                owed[item.call_id] = None
            elif item.type == "function_call_output":
                if item.call_id not in calls:
                    return PredictedError("E72", item.call_id)
                owed.pop(item.call_id, None)
        return PredictedError("E71", next(iter(owed))) if owed else None

    # --- recording

    def know(self, item: Item, holder: str) -> None:
        """Record an item and its holder: a response, or a conversation (the empty string)."""
        self.items[item.id] = item._replace(reference=False)
        self.holders.setdefault(item.id, []).append(holder)

    def finish(self, response: Response) -> None:
        """Note a turn that has ended: its items, also in its conversation, which is free again. Spec: R2.8–R2.13."""
        if response.readable:
            lasting = response.stored or (response.conversation is not None and response.status in CHAINABLE)
            for item in (*response.own, *response.output):
                if not lasting and item.id not in self.holders:
                    self.unsure.add(item.id)  # whether it can be referred to for a while, no rule says
                self.know(item, response.id)
        conversation = self.conversations[response.conversation] if response.conversation else None
        if conversation is None:
            return
        if conversation.running == response.id:
            conversation.running = None
        if response.status in CHAINABLE and not conversation.deleted:
            self.append(conversation, [*response.own, *response.output])

    def append(self, conversation: Conversation, items: list[Item]) -> None:
        """Record items at the end of a conversation."""
        for item in items:
            self.know(item, "")
            conversation.items.append(item.id)


def item_of(item: dict[str, Any]) -> Item:
    """The part of an item that the reference compares."""
    match item["type"]:
        case "message":
            text = "".join([part.get("text") or part.get("refusal") or "" for part in item["content"]])
            return Item("message", text, item["role"], id=item["id"])
        case "function_call":
            return Item("function_call", item["arguments"], call_id=item["call_id"], id=item["id"])
        case "function_call_output":
            return Item("function_call_output", item["output"], call_id=item["call_id"], id=item["id"])
        case kind:
            return Item(kind, id=item["id"])


def without_billing(body: dict[str, Any]) -> dict[str, Any]:
    """The response without `billing`, which only JSON bodies have. Spec: W9."""
    return {key: value for key, value in body.items() if key != "billing"}
