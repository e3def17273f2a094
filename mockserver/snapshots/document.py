"""A project's whole state as one JSON document, and back: the same records always give the same document.

A section per kind of record holds them by id, in the store's order. A record whose bytes its readable form would not
give back, and any kind that has no section, stands among the `others` as it is. A document is judged as a whole, shapes
and references, before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import GenericAlias
from typing import Any

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from mockserver.core.project import Clock, Project, Restored
from mockserver.core.records import Put
from mockserver.snapshots.records import SECTIONS, STRICT
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import encode_compact

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
        """Return the change that stores it."""
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
    """Return the document of a project: all its records, and what it keeps of itself."""
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
    """Return what a document holds; raises MockError whose `param` is the first place where it is wrong.

    A document of a server with another seed is refused: other ids would follow, and what it sealed could not be read.
    """
    current = upgrade(document, upgrades, version)
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
    return Restored(own, [*records, *(one.put() for one in shape.others)])


def upgrade(document: Any, upgrades: Upgrades = UPGRADES, version: int = VERSION) -> Document:
    """Return a document of the current version, without its mark, from one of this or an earlier version."""
    if not isinstance(document, dict) or MARK not in document:
        raise _wrong(MARK, "a snapshot is a JSON object that says its version here")
    found = document[MARK]
    if isinstance(found, bool) or not isinstance(found, int) or not (found == version or found in upgrades):
        raise _wrong(MARK, f"version {found!r} is unknown; this server reads versions up to {version}")
    document = {key: value for key, value in document.items() if key != MARK}
    while found != version:
        document, found = upgrades[found](document), found + 1
    return document


def _wrong(where: str, what: str) -> MockError:
    return MockError(f"{where}: {what}.", param=where)


def _path(location: Iterable[int | str]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


# --- references: what names another record must find it ------------------------------------------------------------

# what a stored body must have, for the mock reads it
_BODY = frozenset(
    "id created_at status background error incomplete_details instructions model output".split()
    + "service_tier tools usage".split()
)


def _misfits(shape: Any) -> Iterator[tuple[str, str]]:
    """Yield each place that does not fit the rest of its document, and what is wrong there."""
    nodes = {**shape.nodes, **{one.id: None for one in shape.others if one.kind == "node"}}
    for id, node in shape.nodes.items():
        yield from _items(f"nodes.{id}", node)
    for id, one in shape.running.items():
        yield from _items(f"running.{id}.node", one.node)
        if one.body is not None:  # what is not stored may go back to what only a socket remembers
            yield from _check_reference(f"running.{id}.node.parent", one.node.parent, nodes)
            yield from _body(f"running.{id}.body", id, one.body)
    for id, one in shape.responses.items():
        yield from _check_reference(f"responses.{id}", id, nodes)
        yield from _body(f"responses.{id}.body", id, one.body)
    for id, one in shape.conversations.items():
        yield from _check_reference(f"conversations.{id}.head", one.head, nodes)
        yield from _check_reference(f"conversations.{id}.running", one.running, shape.running)
        if one.object.get("id") != id or {"object", "created_at", "metadata"} - one.object.keys():
            yield f"conversations.{id}.object", "is not the conversation that it stands for"
    for id, one in shape.entries.items():
        yield from _check_item_place(f"entries.{id}", id, one, nodes)
    for id, pointers in shape.items.items():
        for at, one in enumerate(pointers):
            yield from _check_item_place(f"items.{id}[{at}]", id, one, nodes)
    yield from _parents(shape.nodes, nodes)


def _check_reference(where: str, id: str | None, there: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if id is not None and id not in there:
        yield where, f"there is no '{id}'"


def _items(where: str, node: Any) -> Iterator[tuple[str, str]]:
    if not 0 <= node.own <= len(node.items):
        yield f"{where}.own", f"must be a number from 0 to {len(node.items)}"
    for at, item in enumerate(node.items):
        if not isinstance(item.get("id"), str) or not isinstance(item.get("type"), str):
            yield f"{where}.items[{at}]", "an item has an id and a type"


def _body(where: str, id: str, body: Document) -> Iterator[tuple[str, str]]:
    for key in sorted(_BODY - body.keys()):
        yield f"{where}.{key}", "is missing"
    if body["id"] != id:
        yield f"{where}.id", f"must be '{id}'"


def _check_item_place(where: str, id: str, one: Any, nodes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _check_reference(f"{where}.node", one.node, nodes)
    node, item = nodes[one.node], id.rpartition("/")[2]
    if node is not None and not (0 <= one.place < len(node.items) and node.items[one.place]["id"] == item):
        yield f"{where}.place", f"item '{item}' is not there"


def _parents(known: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield nodes whose ancestry leads nowhere, or back to themselves."""
    sound: set[str] = set()
    for id, node in known.items():
        yield from _check_reference(f"nodes.{id}.parent", node.parent, nodes)
        trail: dict[str, None] = {}
        at: str | None = id
        while at is not None and at not in sound:
            if at in trail:
                yield f"nodes.{id}.parent", "a node can't be its own ancestor"
            trail[at] = None
            parent = nodes.get(at)
            at = None if parent is None else parent.parent
        sound.update(trail)
