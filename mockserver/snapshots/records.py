"""Each kind of record in a snapshot: readable JSON of a known shape, which gives the same bytes back.

The shapes are those of the core's own records, without the id (it is the key), and with JSON in place of JSON text.
"""

# Why shapes are made from the core's own records: a record that gets a field gets it in snapshots too, with its
# default for older documents. Why dataclasses in between: the records are tuples, and a tuple would be judged as
# a JSON array; a person who edits a snapshot wants names.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, field, fields, make_dataclass
from typing import Any, NamedTuple, get_type_hints

import orjson
from pydantic import BaseModel, ConfigDict, create_model

from mockserver.core.lifecycle import Running
from mockserver.core.records import Put
from mockserver.core.state import ContextHash, Conversation, Entry, Node, Summary, decode_node
from mockserver.snapshots import doubles
from mockserver.wire.responses.encoding import encode_compact, json_body
from mockserver.wire.tokens.context import Tally

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)  # JSON has no infinity: what is stored would be null
Body = dict[str, Any]


def _shape(record: type, without: Iterable[str], **more: Any) -> type[BaseModel]:
    """The shape of a record of the core: its fields and their defaults, without some and with `more`."""
    hints, defaults = get_type_hints(record), _defaults(record)
    known: dict[str, Any] = {
        name: (kind, defaults.get(name, ...)) for name, kind in hints.items() if name not in without
    }
    known |= {name: (kind, ...) for name, kind in more.items()}
    return create_model(record.__name__, __config__=STRICT, **known)


def _defaults(record: Any) -> dict[str, Any]:
    if hasattr(record, "_field_defaults"):
        return dict(record._field_defaults)
    return {member.name: member.default for member in fields(record) if member.default is not MISSING}


def _object(record: type, **instead: Any) -> Any:
    """The shape of a tuple of the core as a JSON object, some fields of another type."""
    kinds, defaults = {**get_type_hints(record), **instead}, _defaults(record)
    rows = [
        (name, kind, _optional(defaults[name])) if name in defaults else (name, kind) for name, kind in kinds.items()
    ]
    return make_dataclass(record.__name__, rows)


def _optional(default: Any) -> Any:
    return field(default_factory=default.copy) if isinstance(default, dict | list) else field(default=default)


SummaryShape = _object(Summary, tally=_object(Tally) | None, trail=_object(ContextHash) | None)
NodeShape = _shape(Node, {"id", "packed"}, summary=SummaryShape, items=list[dict[str, Any]])
RunningShape = _shape(Running, {"id", "node", "body"}, node=NodeShape, body=Body | None)


class ResponseShape(BaseModel):
    """A stored response: its body and its place among the project's writes."""

    model_config = STRICT
    order: int
    body: Body


class BlobShape(BaseModel):
    """What is known of encrypted content that came from a script, and its place among the project's."""

    model_config = STRICT
    order: int
    payload: dict[str, Any]


class LineShape(BaseModel):
    """A line in the queue, and its use count."""

    model_config = STRICT
    line: dict[str, Any]
    used: int


class ScenarioShape(BaseModel):
    """A project's own scenario."""

    model_config = STRICT
    seed: int | None
    lines: list[dict[str, Any]]
    given: dict[str, Any] | None = None


class FaultShape(BaseModel):
    """A fault in force, and its memory."""

    model_config = STRICT
    fault: dict[str, Any]
    used: int
    held: int
    notes: dict[str, Any]


class Pointer(NamedTuple):
    """Where an item is that can be referred to."""

    node: str
    place: int


class Cached(NamedTuple):
    """An entry of the prompt cache: how far it reaches in tokens, and times in unix seconds."""

    length: int
    written_at: float
    expires_at: float


class Section(NamedTuple):
    """A kind of record in a document: its shape, how it is shown, and how it is stored again under its id."""

    kind: str
    shape: Any
    shown: Callable[[Put], Any]
    stored: Callable[[str, Any], Put]


def _node_to_public(node: Node) -> Body:
    shown = {name: value for name, value in node._asdict().items() if name not in ("id", "packed")}
    summary, tally, trail = node.summary, node.summary.tally, node.summary.trail
    costs = {"tally": tally and tally._asdict(), "trail": trail and trail._asdict()}
    return {**shown, "summary": orjson.loads(orjson.dumps({**summary._asdict(), **costs})), "items": node.items}


def _node(id: str, shape: Any) -> Node:
    known = {name: value for name, value in shape if name not in ("items", "summary")}
    summary, tally, trail = shape.summary, shape.summary.tally, shape.summary.trail
    costs = {"tally": tally and Tally(**vars(tally)), "trail": trail and ContextHash(**vars(trail))}
    return Node(id=id, packed=shape.items, summary=Summary(**{**vars(summary), **costs}), **known)


def _running_to_public(put: Put) -> Body:
    running = orjson.loads(put.doc)
    shown = {key: value for key, value in running.items() if key not in ("id", "node", "body")}
    body = running["body"]
    return {**shown, "node": _node_to_public(decode_node(running["node"])), "body": body and orjson.loads(body)}


def _running(id: str, shape: Any) -> Put:
    known = {name: value for name, value in shape if name not in ("node", "body")}
    body = None if shape.body is None else json_body(shape.body).decode()
    return Running(id=id, node=_node(id, shape.node).doc().decode(), body=body, **known).put()


def _cache_record(key: str, entry: Cached) -> Put:
    return Put("cache", key, encode_compact(list(entry)), "", int(entry.expires_at))


SECTIONS: Mapping[str, Section] = {
    "conversations": Section(
        "conversation", Conversation, lambda put: orjson.loads(put.doc), lambda id, conversation: conversation.put()
    ),
    "entries": Section(
        "entry",
        Entry,
        lambda put: Entry(*orjson.loads(put.doc))._asdict(),
        lambda id, entry: entry.put(*id.rpartition("/")[::2]),
    ),
    "responses": Section(
        "response",
        ResponseShape,
        lambda put: {"order": put.order, "body": orjson.loads(put.doc)},
        lambda id, one: Put("response", id, json_body(one.body), "", one.order),
    ),
    "running": Section("running", RunningShape, _running_to_public, _running),
    "nodes": Section(
        "node",
        NodeShape,
        lambda put: _node_to_public(decode_node(put.doc)),
        lambda id, node: _node(id, node).put(),
    ),
    "items": Section(
        "item",
        list[Pointer],
        lambda put: [Pointer(*one)._asdict() for one in orjson.loads(put.doc)],
        lambda id, pointers: Put("item", id, encode_compact([list(one) for one in pointers])),
    ),
    "blobs": Section(
        "blob",
        BlobShape,
        lambda put: {"order": put.order, "payload": orjson.loads(put.doc)},
        lambda id, one: Put("blob", id, encode_compact(one.payload), "", one.order),
    ),
    "lines": Section(
        "line",
        LineShape,
        lambda put: orjson.loads(put.doc),
        lambda id, one: Put("line", id, encode_compact({"line": one.line, "used": one.used}), "", _number(id)),
    ),
    "scenario": Section(
        "scenario",
        ScenarioShape,
        lambda put: orjson.loads(put.doc),
        lambda id, one: Put("scenario", id, encode_compact(one.model_dump(exclude_unset=True))),
    ),
    "played": Section(
        "played",
        int,
        lambda put: orjson.loads(put.doc),
        lambda id, count: Put("played", id, b"%d" % count, "", _number(id)),
    ),
    "faults": Section(
        "fault",
        FaultShape,
        lambda put: orjson.loads(put.doc),
        lambda id, one: Put("fault", id, encode_compact(dict(one)), "", _number(id)),
    ),
    "cache": Section("cache", Cached, lambda put: Cached(*orjson.loads(put.doc))._asdict(), _cache_record),
    "dropped": Section(
        "dropped",
        list[int],
        lambda put: orjson.loads(put.doc),
        lambda id, places: Put("dropped", id, encode_compact(places)),
    ),
    "fleeting": Section(
        "fleeting",
        int,
        lambda put: orjson.loads(put.doc),
        lambda id, time: Put("fleeting", id, b"%d" % time, "", time),
    ),
    "uses": Section("use", int, lambda put: orjson.loads(put.doc), lambda id, time: Put("use", id, b"%d" % time)),
    "files": Section("file", doubles.File, doubles.show_object, doubles.store_file),
    "contents": Section("content", doubles.Content, doubles.show_content, doubles.store_content),
    "vector_stores": Section("vector_store", doubles.VectorStore, doubles.show, doubles.store_vector_store),
    "vector_store_files": Section("vector_store_file", doubles.Attached, doubles.show_object, doubles.store_attached),
    "file_batches": Section("file_batch", doubles.Batch, doubles.show_batch, doubles.store_batch),
    "containers": Section("container", doubles.Container, doubles.show, doubles.store_container),
    "container_files": Section(
        "container_file", doubles.ContainerFile, doubles.show_object, doubles.store_container_file
    ),
}


_MOST_DIGITS = 18  # what a store can order by


def _number(id: str) -> int:
    return int(id) if len(id) <= _MOST_DIGITS and id.isdecimal() else 0
