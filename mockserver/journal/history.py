"""A journal as the history of a client: its calls, the turns among them, what each turn's context held before it."""

# How it works. The journal's documents become `Call`s, and each turn among them leads to its node in the
# project's records (or, for an unstored turn, to the node in the journal itself). Walking the parents of a node
# gives what the model saw before that turn.
#
# What must stay true:
# * A part that is lost (deleted, expired, fallen out of the ring) ends the walk early; it never raises. So a
#   check sees less than there was, and stays silent rather than wrong.
# * `content_of` is equal for the same thing sent twice, with or without an id: clients strip ids when they
#   replay.

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mockserver.core.state import Item, Node
from mockserver.journal.exchange import parse_body
from mockserver.wire.responses.encoding import encode_compact

TURNS = "/v1/responses"


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One exchange of a journal.

    `at` is the project's time and `began` that of the process, both in seconds, as is `seconds`, how long it took.
    `node` is what a turn added to its context, `incomplete` why it ended early, `withheld` the reasoning items that the
    model did not read because the history before them was edited. `staged` means that a scripted line or a fault made
    the answer.
    """

    id: int
    at: float
    began: float
    seconds: float
    transport: str
    method: str
    path: str
    body: str
    request: dict[str, Any]
    status: int
    error: dict[str, Any]
    staged: bool
    ended: str | None
    response_id: str | None = None
    incomplete: str | None = None
    withheld: tuple[str, ...] = ()
    node: Node | None = None

    @property
    def asks(self) -> bool:
        """Whether it requests a response."""
        return self.method == "POST" and self.path == TURNS

    @property
    def parent(self) -> str | None:
        """The response that it continues, if it names one."""
        named = self.request.get("previous_response_id")
        return named if isinstance(named, str) else None

    @property
    def conversation(self) -> str | None:
        """The conversation that it belongs to, if it names one."""
        named = self.request.get("conversation")
        named = named.get("id") if isinstance(named, dict) else named
        return named if isinstance(named, str) else None

    @property
    def items(self) -> list[Item]:
        """The items that it sends to a turn or a conversation, without values that are no items at all."""
        sent = self.request.get("input", self.request.get("items"))
        if isinstance(sent, str):
            return [{"type": "message", "role": "user", "content": sent}]
        items = sent if isinstance(sent, list) else []
        return [{**item, "type": item.get("type") or "message"} for item in items if _is_item(item)]

    @property
    def output(self) -> list[Item]:
        """The items that the model put out."""
        return [] if self.node is None else self.node.items[self.node.own :]


def _is_item(value: Any) -> bool:
    """Whether a value has the shape of an item; it may have been refused, so it can be anything."""
    names = ("type", "id", "role", "call_id", "encrypted_content")
    return isinstance(value, dict) and all(isinstance(value.get(name, ""), str | None) for name in names)


def call_of(id: int, document: Mapping[str, Any], node: Node | None) -> Call:
    """The call of an exchange's document; `node` is what it added to a context."""
    request = parse_body(document["body"])
    return Call(
        id=id,
        at=document["at"],
        began=document.get("began", 0.0),
        seconds=document["duration_ms"] / 1000,
        transport=document["transport"],
        method=document["method"],
        path=document["path"],
        body=document["body"],
        request=request if isinstance(request, dict) else {},
        status=document["status"],
        error=document["error"] or {},
        staged=bool(document["faults"]) or document["line"] is not None,
        ended=document["ended"],
        response_id=document["response_id"],
        incomplete=(document["saw"] or {}).get("incomplete"),
        withheld=tuple((document["saw"] or {}).get("withheld", ())),
        node=node,
    )


class Place:
    """A node in the tree of contexts: how far it is from its root, and which root that is.

    `skip` leads many steps back, so that an ancestor at any depth is found in few steps.
    """

    __slots__ = ("depth", "node", "parent", "root", "skip")

    def __init__(self, node: Node, parent: Place | None) -> None:
        self.node, self.parent = node, parent
        self.root: Place = self if parent is None else parent.root
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.skip: Place = self if parent is None else parent
        if parent is not None and parent.depth - parent.skip.depth == parent.skip.depth - parent.skip.skip.depth:
            self.skip = parent.skip.skip  # the lengths of skips are those of a skew-binary number

    def goes_back_to(self, other: Place) -> bool:
        """Whether another node is this one or one of its ancestors."""
        place = self
        while place.depth > other.depth and place.parent is not None:
            place = place.skip if place.skip.depth >= other.depth else place.parent
        return place is other


class History:
    """The calls of one project, oldest first; `node` finds a step of a context by its id."""

    def __init__(self, calls: Sequence[Call], node: Callable[[str], Node | None]) -> None:
        self.calls = calls
        self.turns = [call for call in calls if call.asks]
        self.of_response = {call.response_id: call for call in self.turns if call.response_id}
        self._node = node
        self._found: dict[str, Node | None] = {}
        self._places: dict[str, Place] = {}

    def node(self, id: str) -> Node | None:
        """The node of a context by its id, None if it is lost."""
        if id not in self._found:
            self._found[id] = self._node(id)
        return self._found[id]

    def nodes_before(self, call: Call) -> list[Node]:
        """The nodes of the context that a turn continued, or tried to, oldest first."""
        node_id = call.parent if call.node is None else call.node.parent
        steps: list[Node] = []
        while node_id is not None and (node := self.node(node_id)) is not None:
            steps.append(node)
            node_id = node.parent
        return steps[::-1]

    def place_before(self, call: Call) -> Place | None:
        """Where the context ends that a turn continued, or tried to; None where it continued nothing that is known."""
        node_id = call.parent if call.node is None else call.node.parent
        path: dict[str, Node] = {}  # a context that leads back to itself ends there
        while node_id is not None and node_id not in self._places and node_id not in path:
            node = self.node(node_id)
            if node is None:
                break
            path[node_id] = node
            node_id = node.parent
        place = self._places.get(node_id or "")
        for node in reversed(path.values()):
            place = self._places[node.id] = Place(node, place)
        return place

    def context(self, call: Call) -> Iterator[Item]:
        """Yield everything that the model saw in a turn, as far as it is known."""
        for node in self.nodes_before(call):
            yield from node.items
        if call.node is not None:
            yield from call.node.items[: call.node.own]


def texts_of(item: Item) -> tuple[str, ...]:
    """The texts of a message, part by part, in any form of its content."""
    content = item.get("content")
    if isinstance(content, str):
        return (content,)
    parts = content if isinstance(content, list) else []
    return tuple(_part(part) for part in parts)


def _part(part: Any) -> str:
    if isinstance(part, dict):
        text = part.get("text", part.get("refusal"))
        if isinstance(text, str):
            return text
    return _write(part)


def _write(value: Any) -> str:
    try:
        return encode_compact(value).decode()
    except (TypeError, ValueError):
        return "too deep"


def content_of(item: Item) -> Hashable:
    """The content of an item without its id and status: equal for the same thing said or done.

    Calls and outputs are identified by their `call_id`, items without content by their id.
    """
    kind = item["type"]
    if kind == "message":
        return kind, item.get("role"), texts_of(item)
    if isinstance(item.get("call_id"), str):
        return kind, item["call_id"]
    if kind == "reasoning" or kind == "item_reference" or set(item) <= {"type", "id", "status"}:
        return kind, item.get("id"), item.get("encrypted_content")
    bare = {key: value for key, value in item.items() if key not in ("id", "status") and value is not None}
    return kind, _write(bare)


def by_user(item: Item) -> bool:
    """Whether an item is a message of a user or developer, who may say the same thing twice."""
    return item["type"] == "message" and item.get("role") != "assistant"
