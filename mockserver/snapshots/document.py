"""A project's whole state as one JSON document, and back: the same records always give the same document.

A section per kind of record holds the records by id, in the store's order. A record whose readable form would not give
the same bytes back, and any kind without a section, goes to `others` unchanged. A document is validated as a whole,
shapes and references, before anything is written.
"""

# How it works. `document_of` sorts the records into sections by their kind, each shown by its row of
# `SECTIONS`. `restore` goes the other way in four steps, and nothing is written before the last has passed:
# upgrade to the current version, shapes (pydantic), references between records (`_misfits`), records.
#
# What must stay true:
# * Bytes in, bytes out: a record that its readable form would not give back goes to `others`, so restoring a
#   snapshot continues with the same ids, tokens and bodies.
# * Every mistake names the first wrong place as a path, because people edit these files by hand.
# * `mint` is the document's name for the project's id namespace; a stored word stays when names in the code
#   change.
# * A new `VERSION` needs one function in `UPGRADES`, from the version before it to itself.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import GenericAlias
from typing import Any

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from mockserver.core.records import Put
from mockserver.core.state import Clock, Project, Restored
from mockserver.snapshots import doubles, values
from mockserver.snapshots.records import SECTIONS, STRICT
from mockserver.snapshots.values import find_mistake, find_mistake_in_body, find_mistake_in_item
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import encode_compact
from mockserver.wire.responses.response_object import RESPONSE_CUE

MARK = "understudy_snapshot"
VERSION = 1
Document = dict[str, Any]
Upgrades = Mapping[int, Callable[[Document], Document]]

# version → what makes a document of that version one of the next; one small function per step
UPGRADES: Upgrades = {}


class Other(BaseModel):
    """Any record: its document as JSON (`doc`), or as text where that would not give the same bytes back."""

    model_config = STRICT
    kind: str
    id: str
    parent: str = ""
    order: int = 0
    doc: Any = None
    text: str | None = None

    def put(self) -> Put:
        """The change that stores it."""
        doc = encode_compact(self.doc) if self.text is None else self.text.encode()
        return Put(self.kind, self.id, doc, self.parent, self.order)


_SECTIONS: dict[str, Any] = {name: (GenericAlias(dict, (str, section.shape)), {}) for name, section in SECTIONS.items()}
_Shape = create_model(
    "Snapshot",
    __config__=STRICT,
    seed=(int, ...),
    mint=(str, ...),
    calls=(int, Field(ge=0)),
    clock=(Clock, ...),
    others=(list[Other], []),
    **_SECTIONS,
)


def document_of(records: Iterable[Put], project: Project, seed: int) -> Document:
    """The document of a project: all its records, and the project's own values."""
    shown: Document = {name: {} for name in SECTIONS}
    others = []
    for put in records:
        if put.kind == "project":
            continue
        name = _NAMES.get(put.kind)
        value = None if name is None else SECTIONS[name].shown(put)
        if name is None or _to_put(name, put.id, value) != put:
            others.append(_other(put))
        else:
            shown[name][put.id] = value
    clock = {"shift": project.clock.shift, "frozen": project.clock.frozen}
    head = {MARK: VERSION, "seed": seed, "mint": project.id_namespace, "calls": project.calls, "clock": clock}
    return {**head, **shown, "others": others}


_NAMES = {section.kind: name for name, section in SECTIONS.items()}


@cache
def _judge(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(SECTIONS[name].shape)


def _to_put(name: str, id: str, value: Any) -> Put:
    return SECTIONS[name].stored(id, _judge(name).validate_python(value))


def _other(put: Put) -> Document:
    where = {"kind": put.kind, "id": put.id, "parent": put.parent, "order": put.order}
    try:
        doc = orjson.loads(put.doc)
    except orjson.JSONDecodeError:
        return {**where, "text": put.doc.decode()}
    return {**where, "doc": doc} if encode_compact(doc) == put.doc else {**where, "text": put.doc.decode()}


def restore(document: Any, seed: int, upgrades: Upgrades = UPGRADES, version: int = VERSION) -> Restored:
    """Read a document; raises MockError whose `param` is the first wrong place.

    Refuses a document of a server with another seed: its ids would differ, and its sealed content could not be read.
    """
    current = upgrade(document, upgrades, version)
    try:
        orjson.dumps(current)
    except TypeError as error:  # deeper than anything that can be stored, or a number beyond 64 bits
        raise _wrong(MARK, f"the document can't be stored: {error}") from None
    try:
        shape: Any = _Shape.model_validate(current)
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(_path(first["loc"]), f"{first['msg'][0].lower()}{first['msg'][1:]}") from None
    if shape.seed != seed:
        raise _wrong("seed", f"the snapshot is of a server with seed {shape.seed}, this one has {seed}")
    for where, what in _misfits(shape):
        raise _wrong(where, what)
    records = [
        section.stored(id, value) for name, section in SECTIONS.items() for id, value in getattr(shape, name).items()
    ]
    own = Project(shape.clock, shape.calls, shape.mint, bool(shape.scenario))
    return Restored(own, [*records, *(record.put() for record in shape.others)])


def upgrade(document: Any, upgrades: Upgrades = UPGRADES, version: int = VERSION) -> Document:
    """Bring a document of this or an earlier version to the current one; the mark is removed."""
    if not isinstance(document, dict) or MARK not in document:
        raise _wrong(MARK, "a snapshot is a JSON object that says its version here")
    mark = document[MARK]
    if isinstance(mark, bool) or not isinstance(mark, int) or not (mark == version or mark in upgrades):
        raise _wrong(MARK, f"version {mark!r} is unknown; this server reads versions up to {version}")
    document = {key: value for key, value in document.items() if key != MARK}
    while mark != version:
        document, mark = upgrades[mark](document), mark + 1
    return document


def _wrong(where: str, what: str) -> MockError:
    return MockError(f"{where}: {what}.", param=where)


def _path(location: Iterable[int | str]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


# --- references: what names another record must find it ------------------------------------------------------------


def _misfits(shape: Any) -> Iterator[tuple[str, str]]:
    """Yield each place that contradicts the rest of the document, and why."""
    orders = [one.order for one in (*shape.responses.values(), *shape.conversations.values(), *shape.running.values())]
    if shape.calls <= max(orders, default=-1):
        yield "calls", f"must be above {max(orders)}, or ids would be given a second time"
    nodes = {**shape.nodes, **{record.id: None for record in shape.others if record.kind == "node"}}
    for id, node in shape.nodes.items():
        yield from _items(f"nodes.{id}", node)
    for id, record in shape.running.items():
        yield from _items(f"running.{id}.node", record.node)
        yield from _status(f"running.{id}.node", record.node)
        if record.body is None and record.background:
            yield f"running.{id}.body", "a response in the background has one"
        if record.body is not None:  # what is not stored may go back to what only a socket remembers
            yield from _check_reference(f"running.{id}.node.parent", record.node.parent, nodes)
            yield from _body(f"running.{id}.body", id, record.body)
    for id, record in shape.responses.items():
        yield from _check_reference(f"responses.{id}", id, nodes)
        yield from _status(f"nodes.{id}", nodes.get(id))
        yield from _body(f"responses.{id}.body", id, record.body)
    for id, record in shape.conversations.items():
        yield from _check_reference(f"conversations.{id}.head", record.head, nodes)
        yield from _check_reference(f"conversations.{id}.running", record.running, shape.running)
        yield from find_mistake(f"conversations.{id}.object", record.object, values.Conversation)
        if record.object["id"] != id:
            yield f"conversations.{id}.object", "is not the object of this conversation"
    for id, record in shape.entries.items():
        yield from _check_item_place(f"entries.{id}", id, record, nodes)
    for id, pointers in shape.items.items():
        for index, record in enumerate(pointers):
            yield from _check_item_place(f"items.{id}[{index}]", id, record, nodes)
    yield from _parents(shape.nodes, nodes)
    yield from doubles.misfits(shape)


def _check_reference(where: str, id: str | None, there: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if id is not None and id not in there:
        yield where, f"there is no '{id}'"


def _items(where: str, node: Any) -> Iterator[tuple[str, str]]:
    if not 0 <= node.own <= len(node.items):
        yield f"{where}.own", f"must be a number from 0 to {len(node.items)}"
    if node.status and node.status not in values.STATUSES:
        yield f"{where}.status", "must be a status of a response, or empty"
    for key in node.cues:
        if key != RESPONSE_CUE and not (key.isascii() and key.isdigit()):
            yield f"{where}.cues.{key}", f"must be the place of an item, or '{RESPONSE_CUE}'"
    for index, item in enumerate(node.items):
        yield from find_mistake_in_item(f"{where}.items[{index}]", item)


def _status(where: str, node: Any) -> Iterator[tuple[str, str]]:
    if node is not None and not node.status:
        yield f"{where}.status", "must be the status of its response"


def _body(where: str, id: str, body: Document) -> Iterator[tuple[str, str]]:
    yield from find_mistake_in_body(where, body)
    if body["id"] != id:
        yield f"{where}.id", f"must be '{id}'"


def _check_item_place(where: str, id: str, pointer: Any, nodes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _check_reference(f"{where}.node", pointer.node, nodes)
    node, item = nodes[pointer.node], id.rpartition("/")[2]
    if node is not None and not (0 <= pointer.place < len(node.items) and node.items[pointer.place]["id"] == item):
        yield f"{where}.place", f"item '{item}' is not there"


def _parents(known: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield nodes whose ancestry is broken or leads back to themselves."""
    sound: set[str] = set()
    for id, node in known.items():
        yield from _check_reference(f"nodes.{id}.parent", node.parent, nodes)
        trail: dict[str, None] = {}
        current: str | None = id
        while current is not None and current not in sound:
            if current in trail:
                yield f"nodes.{id}.parent", "a node can't be its own ancestor"
            trail[current] = None
            parent = nodes.get(current)
            current = None if parent is None else parent.parent
        sound.update(trail)
