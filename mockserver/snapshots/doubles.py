"""Files, vector stores and containers in a snapshot: their records as readable JSON, the bytes of files as base64."""

# Unlike other records these are judged as a whole here: their shapes are few and closed, and what the doubles answer is
# little more than what stands in them. All of them give the same bytes back, so none goes to `others`.

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from mockserver.core.records import Put
from mockserver.wire.responses.encoding import encode_compact

# Numbers of seconds and bytes: sums of them must stay within what JSON of 64 bits can say.
Number = Annotated[int, Field(ge=0, le=2**48)]


class Shape(BaseModel):
    """An object with these members and no others."""

    model_config = ConfigDict(extra="forbid")


class FileObject(Shape):
    """The object of an uploaded file."""

    id: str
    object: Literal["file"]
    created_at: Number
    status: Literal["uploaded", "processed", "error"]
    bytes: Number
    expires_at: Number | None
    filename: str
    purpose: str
    status_details: str | None


class File(Shape):
    """An uploaded file, and its place among the project's writes."""

    order: Number
    object: FileObject


class Content(Shape):
    """The bytes of a file."""

    order: Number
    base64: Base64Bytes


class StoreExpiry(Shape):
    """When a vector store expires."""

    anchor: Literal["last_active_at"]
    days: Annotated[int, Field(ge=1, le=365)]


class VectorStore(Shape):
    """A vector store, without what is counted when it is read."""

    id: str
    created_at: Number
    description: str | None
    expires_after: StoreExpiry | None
    last_active_at: Number
    name: str
    metadata: dict[str, str]
    order: Number


class AttachedObject(Shape):
    """The object of a vector store's file."""

    id: str
    object: Literal["vector_store.file"]
    created_at: Number
    status: Literal["completed", "in_progress", "cancelled", "failed"]
    attributes: dict[str, str | bool | int | float]
    chunking_strategy: dict[str, Any]
    last_error: dict[str, Any] | None
    usage_bytes: Number
    vector_store_id: str


class Attached(Shape):
    """A file of a vector store, and its place in it."""

    order: Number
    object: AttachedObject


class BatchRecord(Shape):
    """What is kept of a batch of files."""

    id: str
    created_at: Number
    vector_store_id: str
    file_ids: list[str]


class Batch(Shape):
    """A batch of files, and its place among the project's writes."""

    order: Number
    batch: BatchRecord


class ContainerExpiry(Shape):
    """When a container expires."""

    anchor: Literal["last_active_at"]
    minutes: Annotated[int, Field(ge=1, le=20)]


class Container(Shape):
    """A container."""

    id: str
    created_at: Number
    expires_after: ContainerExpiry
    last_active_at: Number
    memory_limit: Literal["1g", "4g", "16g", "64g"]
    name: str
    network_policy: dict[str, Any]
    order: Number


class ContainerFileObject(Shape):
    """The object of a container's file."""

    id: str
    object: Literal["container.file"]
    created_at: Number
    bytes: Number
    container_id: str
    path: str
    source: str


class ContainerFile(Shape):
    """A file of a container, and its place in it."""

    order: Number
    object: ContainerFileObject


KINDS = frozenset(("file", "content", "vector_store", "vector_store_file", "file_batch", "container", "container_file"))


def show(put: Put) -> Any:
    """A record whose document is all there is to it."""
    return orjson.loads(put.doc)


def show_object(put: Put) -> Any:
    """A record with a place of its own."""
    return {"order": put.order, "object": orjson.loads(put.doc)}


def show_batch(put: Put) -> Any:
    """A batch of files."""
    return {"order": put.order, "batch": orjson.loads(put.doc)}


def show_content(put: Put) -> Any:
    """The bytes of a file."""
    return {"order": put.order, "base64": b64encode(put.doc).decode()}


def store_file(id: str, one: File) -> Put:
    """The change that stores a file."""
    return Put("file", id, encode_compact(one.object.model_dump()), "", one.order)


def store_content(id: str, one: Content) -> Put:
    """The change that stores the bytes of a file."""
    return Put("content", id, one.base64, "", one.order)


def store_vector_store(id: str, one: VectorStore) -> Put:
    """The change that stores a vector store."""
    return Put("vector_store", id, encode_compact(one.model_dump()), "", one.order)


def store_attached(id: str, one: Attached) -> Put:
    """The change that stores a file of a vector store."""
    doc = encode_compact(one.object.model_dump())
    return Put("vector_store_file", id, doc, one.object.vector_store_id, one.order)


def store_batch(id: str, one: Batch) -> Put:
    """The change that stores a batch."""
    return Put("file_batch", id, encode_compact(one.batch.model_dump()), one.batch.vector_store_id, one.order)


def store_container(id: str, one: Container) -> Put:
    """The change that stores a container."""
    return Put("container", id, encode_compact(one.model_dump()), "", one.order)


def store_container_file(id: str, one: ContainerFile) -> Put:
    """The change that stores a file of a container."""
    doc = encode_compact(one.object.model_dump())
    return Put("container_file", id, doc, one.object.container_id, one.order)


def misfits(shape: Any) -> Iterator[tuple[str, str]]:
    """Yield each place that contradicts the rest of the document, and why."""
    held = {one.object.id for one in shape.container_files.values()}
    yield from _list_renamed("files", {id: one.object.id for id, one in shape.files.items()})
    yield from _list_renamed("vector_stores", {id: one.id for id, one in shape.vector_stores.items()})
    yield from _list_renamed("containers", {id: one.id for id, one in shape.containers.items()})
    attached = {id: (one.object.vector_store_id, one.object.id) for id, one in shape.vector_store_files.items()}
    yield from _below("vector_store_files", attached, shape.vector_stores)
    batches = {id: (one.batch.vector_store_id, one.batch.id) for id, one in shape.file_batches.items()}
    yield from _below("file_batches", batches, shape.vector_stores)
    files = {id: (one.object.container_id, one.object.id) for id, one in shape.container_files.items()}
    yield from _below("container_files", files, shape.containers)
    for id in shape.contents:
        if id not in shape.files and id not in held:
            yield f"contents.{id}", "is the content of no file"
    for number, record in enumerate(shape.others):
        if record.kind in KINDS:
            yield f"others[{number}].kind", f"'{record.kind}' has a section of its own"


def _list_renamed(section: str, ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, id in ids.items():
        if key != id:
            yield f"{section}.{key}", f"is not '{id}'"


def _below(section: str, names: Mapping[str, tuple[str, str]], parents: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, (parent, id) in names.items():
        if key != f"{parent}/{id}":
            yield f"{section}.{key}", f"is not '{parent}/{id}'"
        if parent not in parents:
            yield f"{section}.{key}", f"there is no '{parent}'"
