"""What the core reads and what it asks to be written: records, the read-only `State`, and `Change`s.

Records are bytes under (kind, id); those of one kind may hang below a `parent` in the order of a number. A response's
context is a `Node`: the items of one turn, a pointer to the node before it, and a summary of everything up to here, so
that a turn reads one node and not its ancestry. The record of a `Project` counts its calls and holds its `Clock`.
"""

# Why documents are bytes: a store keeps them, a turn hands most of them on unread, and a body that is stored as
# it was answered can be answered again without being rendered. Why a node is two lines: a turn that goes on from
# it needs the first only, which stays short however long the conversation gets.
#
# What must stay true:
# * `get` and `scan` never write; what is to be written is returned as changes, and the transaction applies them
#   last.
# * A record is not changed once it is made, so that the same value may be in a summary, a prompt and a store at
#   once.
# * Kinds that are only ever found by id are not listed, so that no store has to keep them in order.
# * The fields of Node, Summary, Tally and Trail stand in stored files in this order. New ones go to the end, with
#   a default; what older files lack is then read as that.

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import orjson

from mockserver.core.records import PROJECT_KEY, Change, Put, State, _new
from mockserver.wire.responses.encoding import encode_compact
from mockserver.wire.tokens.context import Tally

Item = dict[str, Any]


# The defaults of what is empty in nearly every record; nobody writes into what a record holds.
_NOTHING: dict[str, Any] = {}
_NONE: list[Any] = []

# where a prompt has an entry in the cache: a rolling hash, and if the caller asked for the entry, its tokens (else 0)
Mark = tuple[str, int]


class ContextHash(NamedTuple):
    """A long context in rolling hashes of what the model reads, and where its last entries in the prompt cache are.

    `reads` says which reasoning is read; if the next user message will take some away, `lasting` and `lasting_marks`
    are of what it leaves standing. Spec: T9, T13.
    """

    reads: str
    now: str = ""
    marks: list[Mark] = _NONE
    lasting: str | None = None
    lasting_marks: list[Mark] = _NONE

    @property
    def after_next_user_message(self) -> str:
        """The hash of what the next user message leaves standing."""
        return self.now if self.lasting is None else self.lasting


# Tuples, not frozen dataclasses: those take four times as long to build, and every turn builds two of each.
class Summary(NamedTuple):
    """What is known of a context without reading it: everything a next turn must check or count.

    `count` is the number of items that a model reads of it, `turn` that of the responses in it, `pending` maps a call
    id to the type of output that is still owed, `reasoned` says whether reasoning items are among those read, `tally`
    is the token cost under `cost_class`, `trail` what the prompt cache must know, once the context is long enough.
    `configuration` is what `configuration_update` items have changed so far, `orphaned` the call id of an output whose
    call was deleted. `prefix` is known where the last turn's model checks the origin of reasoning and read all of it: a
    hash of the context, and for which settings that holds (see `reasoning_origin`).
    """

    count: int = 0  # type: ignore[assignment]  # hides tuple.count, which nobody calls; snapshots have this name
    turn: int = 0
    pending: dict[str, str] = _NOTHING
    reasoned: bool = False
    configuration: dict[str, Any] | None = None
    orphaned: str | None = None
    cost_class: str = ""
    tally: Tally | None = None
    trail: ContextHash | None = None
    prefix: list[str] | None = None


class Node(NamedTuple):
    """One step of a context: the items of one turn (the first `own` are its input) after those of `parent`.

    A node of a response bears the response's id and status; a node of items added by hand has no status. `include` is
    what the response was created with, `streamed` whether as a stream, `cues` what a stream shows beyond its items. The
    items are `packed` (JSON) until somebody asks for them, for a turn that goes on from a node only reads its summary.
    """

    id: str
    parent: str | None
    packed: list[Item] | bytes
    own: int
    created_at: int
    summary: Summary
    partition: str = ""
    status: str = ""
    conversation: str | None = None
    deleted: bool = False
    include: list[str] = _NONE
    cues: dict[str, dict[str, Any]] = _NOTHING
    streamed: bool = False

    @property
    def items(self) -> list[Item]:
        """The items of this step; a packed node reads them anew each time."""
        packed = self.packed
        return cast(list[Item], orjson.loads(packed)) if isinstance(packed, bytes) else packed

    def put(self) -> Put:
        """The change that stores it: listed below its parent, which stays as long as another goes on from it."""
        return _new(Put, ("node", self.id, self.doc(), self.parent or "", 0))

    def doc(self) -> bytes:
        """The stored form: a line of everything but the items, a line of the items.

        Whoever goes on from a node reads its first line only, which does not grow with what was said.
        """
        # slices are plain tuples, which orjson writes and Python takes apart faster than named ones
        id, parent, packed, own, created_at, summary, *rest = self[:]
        tally, trail, prefix = summary[7:]
        known = summary[:7] if prefix is None else (*summary[:7], prefix)
        head = [id, parent, own, created_at, known, tally and tally[:], trail and trail[:], *rest]
        written = packed if isinstance(packed, bytes) else orjson.dumps(packed)
        return b"%b\n%b" % (orjson.dumps(head), written)


def read_node(state: State, id: str) -> Node | None:
    """A context node, None when there is none."""
    doc = state.get("node", id)
    return None if doc is None else decode_node(doc)


def read_head(state: State, id: str) -> Node | None:
    """A context node that a turn goes on from, None when there is none; its items are not to be read of it."""
    doc = state.get("node", id)
    return None if doc is None else decode_node(doc[: doc.index(b"\n")])


def decode_node(doc: bytes | str) -> Node:
    """The node that a document holds."""
    head, _, packed = (doc if isinstance(doc, bytes) else doc.encode()).partition(b"\n")
    id, parent, own, created_at, known, tally, trail, *rest = orjson.loads(head)
    prefix = known.pop() if len(known) > _SUMMARY_LENGTH - 3 else None
    if tally is not None:
        tally[3] = tuple([tuple(call) for call in tally[3]]) if tally[3] else ()
        known += (_new(Tally, tally), None if trail is None else ContextHash(*trail), prefix)
    # files of earlier versions know less of a summary and of a node: then the defaults of both stand in
    summary = _new(Summary, known) if len(known) == _SUMMARY_LENGTH else Summary(*known)
    if len(rest) == _NODE_LENGTH - 6:
        return _new(Node, (id, parent, packed, own, created_at, summary, *rest))
    return Node(id, parent, packed, own, created_at, summary, *rest)


_SUMMARY_LENGTH, _NODE_LENGTH = len(Summary._fields), len(Node._fields)


def read_summary(state: State, id: str | None) -> Summary:
    """The summary of the context that ends in a node; the empty one for no node."""
    node = read_node(state, id) if id else None
    return node.summary if node else Summary()


def nodes_back(state: State, id: str | None) -> Iterator[Node]:
    """Walk from a node to the beginning of its context, reading no more than is asked for."""
    while id is not None:
        node = read_node(state, id)
        if node is None:
            return
        yield node
        id = node.parent


def items_back(state: State, id: str | None) -> Iterator[Item]:
    """Walk the items of a context from the last to the first."""
    for node in nodes_back(state, id):
        yield from reversed(node.items)


def items_up_to(state: State, id: str | None) -> list[Item]:
    """The items of a context, oldest first. Spec: R1.20."""
    nodes = list(nodes_back(state, id))
    return [item for node in reversed(nodes) for item in node.items]


class Conversation(NamedTuple):
    """A conversation: its object, its place among the project's, the node its context ends in, the next item's number
    and the response that runs.
    """

    object: dict[str, Any]
    order: int
    head: str | None = None
    next: int = 0
    running: str | None = None

    @property
    def id(self) -> str:
        """The conversation's id."""
        return self.object["id"]

    def put(self) -> Put:
        """The change that stores it."""
        return self.end().put()

    def end(self) -> ConversationEnd:
        """The same for those who don't ask for its object."""
        object, order, head, next, running = self
        return ConversationEnd(object["id"], encode_compact(object), order, head, next, running)


def read_conversation(state: State, id: str) -> Conversation | None:
    """A conversation, None when there is none."""
    doc = state.get("conversation", id)
    return None if doc is None else _decode_conversation(doc)


def _decode_conversation(doc: bytes) -> Conversation:
    known = orjson.loads(doc)
    if len(known) < len(Conversation._fields):  # of an earlier version
        return Conversation(**known)
    return _new(Conversation, map(known.__getitem__, Conversation._fields))


class ConversationEnd(NamedTuple):
    """Where a conversation goes on, which is all that turns change of it: its object stays `packed` (JSON)."""

    id: str
    packed: bytes
    order: int
    head: str | None
    next: int
    running: str | None

    def put(self) -> Put:
        """The change that stores it."""
        id, packed, order, head, next, running = self
        values = packed, order, orjson.dumps(head), next, orjson.dumps(running)
        return _new(Put, ("conversation", id, _CONVERSATION % values, "", order))


_CONVERSATION = b'{"object":%b,"order":%d,"head":%b,"next":%d,"running":%b}'
_AFTER_OBJECT = ["order", "head", "next", "running"]


def read_conversation_end(state: State, id: str) -> ConversationEnd | None:
    """Where a conversation goes on, None when there is none."""
    doc = state.get("conversation", id)
    if doc is None:
        return None
    place = doc.rfind(b',"order":')  # what comes after it is no caller's
    if doc.startswith(b'{"object":') and place > 0:
        known = orjson.loads(b"{%b" % doc[place + 1 :])
        if list(known) == _AFTER_OBJECT:
            return _new(ConversationEnd, (id, doc[len(b'{"object":') : place], *known.values()))
    return _decode_conversation(doc).end()  # of an earlier version


class Entry(NamedTuple):
    """Where a conversation keeps one of its items: `place` among a node's items, `order` in the list."""

    node: str
    place: int
    order: int

    def put(self, conversation_id: str, item_id: str) -> Put:
        """The change that stores it."""
        node, place, order = self
        doc = f'["{node}",{place},{order}]'.encode()
        return _new(Put, ("entry", f"{conversation_id}/{item_id}", doc, conversation_id, order))


def entries_of(conversation_id: str, node_id: str, item_ids: Sequence[str], first: int) -> list[Change]:
    """The changes that have a conversation keep a node's items in this order, from number `first` on."""
    begin, prefix = f'["{node_id}",', f"{conversation_id}/"
    return [
        _new(Put, ("entry", prefix + item_id, f"{begin}{number - first},{number}]".encode(), conversation_id, number))
        for number, item_id in enumerate(item_ids, first)
    ]


def read_entry(state: State, conversation_id: str, item_id: str) -> Entry | None:
    """Return where a conversation keeps an item, None when it doesn't."""
    doc = state.get("entry", f"{conversation_id}/{item_id}")
    return None if doc is None else Entry(*orjson.loads(doc))


HOLDERS = 32  # the places of one item that are remembered


def item_pointers(node: Node) -> list[Change]:
    """The changes that let `item_reference` find a node's items, which no other node holds."""
    return point_to_items(node.id, [item["id"] for item in node.items])


def point_to_items(node_id: str, item_ids: Iterable[str]) -> list[Change]:
    """The same for items that are known by their ids, in their order."""
    place = f'[["{node_id}",'
    return [_new(Put, ("item", id, f"{place}{index}]]".encode(), "", 0)) for index, id in enumerate(item_ids)]


def shared_item_pointers(state: State, node: Node, again: Collection[str] | None) -> list[Change]:
    """The same where items with an id of `again` (None: any) may stand in other nodes too. Spec: R1.37."""
    pointers = item_pointers(node)
    if again is not None and not again:
        return pointers
    for index, item in enumerate(node.items):
        held = nodes_holding(state, item["id"]) if again is None or item["id"] in again else []
        if held:
            places = [place for place in held if place[0] != node.id]
            pointers[index] = Put("item", item["id"], encode_compact([*places, (node.id, index)][-HOLDERS:]))
    return pointers


def nodes_holding(state: State, item_id: str) -> list[tuple[str, int]]:
    """The nodes that hold an item, and its place in each, oldest first."""
    doc = state.get("item", item_id)
    return [] if doc is None else [(node, place) for node, place in orjson.loads(doc)]


# --- What a project keeps of itself -------------------------------------------------------------------------------
#
# Its clock, how many calls have written to it, and under which name its ids are drawn. The name travels with a
# snapshot, so a fork goes on with the ids that the original would have given.


class Clock(NamedTuple):
    """Seconds `shift` ahead of the system's clock, or frozen at `frozen` (unix seconds)."""

    shift: float = 0.0
    frozen: float | None = None

    @property
    def mode(self) -> str:
        """`system` for a clock that runs, `manual` for one that stands still."""
        return "system" if self.frozen is None else "manual"

    def reading(self, wall: float) -> float:
        """The time, in unix seconds, when the system's clock says `wall`."""
        return wall + self.shift if self.frozen is None else self.frozen

    def advance(self, seconds: float) -> Clock:
        """The clock moved forward; it goes on running or standing still as before."""
        if self.frozen is None:
            return self._replace(shift=self.shift + seconds)
        return self._replace(frozen=self.frozen + seconds)

    def freeze_at(self, now: float) -> Clock:
        """The clock standing still at a time."""
        return Clock(frozen=now)


class Project(NamedTuple):
    """A project's own record: `calls` numbers the next call that writes, `id_namespace` names the source of its ids.

    `scenario` says whether it has a scenario of its own in place of the server's.
    """

    clock: Clock
    calls: int
    id_namespace: str
    scenario: bool = False

    def put(self) -> Put:
        """The change that stores it."""
        lasting = _lasting_members(self.clock, self.id_namespace, self.scenario)
        return _new(Put, (*PROJECT_KEY, b'{"ordinal":%d,%b' % (self.calls, lasting), "", 0))


class Restored(NamedTuple):
    """What a snapshot becomes: what the project keeps of itself, and its records."""

    project: Project
    records: list[Put]


@lru_cache(maxsize=4096)
def _lasting_members(clock: Clock, id_namespace: str, scenario: bool) -> bytes:
    """The rest of a project's document, which is the same on nearly every call; a running clock has no time."""
    still = "null" if clock.frozen is None else repr(clock.frozen)
    more = ',"scenario":true' if scenario else ""
    name = orjson.dumps(id_namespace).decode()
    return f'"shift":{clock.shift!r},"frozen":{still},"mint":{name}{more}}}'.encode()


forget_documents = _lasting_members.cache_clear


def read_project(doc: bytes | None, name: str, frozen: float | None) -> Project:
    """A project's own record; a new one (None) has its own name and the settings' clock (`frozen` or not)."""
    if doc is None:
        return Project(Clock(frozen=frozen), 0, name)
    values = orjson.loads(doc)
    clock = Clock(values["shift"], values["frozen"])
    return Project(clock, values["ordinal"], values.get("mint", name), "scenario" in values)


def id_namespace(name: str, seed: int | None) -> str:
    """The name of a source of ids, with a seed of the project's own or without one."""
    own = name.partition("#")[0]
    return own if seed is None else f"{own}#{seed}"
