"""Vector stores and the files in them: what set-up code makes before it searches them; nothing is searched. Spec: P24.

A file is in a store at once: its status is `completed` from the start.
"""

# What must stay true: counts, sizes and the status of a store are worked out when it is read, from the records below
# it and the clock, so that they can't disagree with them. Reading is no activity: only writes extend a store's life.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from mockserver.core import files
from mockserver.core.pagination import page_of_objects
from mockserver.core.records import Change, Delete, Put, State
from mockserver.core.semantics import Semantics
from mockserver.wire.errors import neighbours
from mockserver.wire.errors.api import APIError
from mockserver.wire.requests.query import ListQuery
from mockserver.wire.responses import resources
from mockserver.wire.responses.encoding import encode_compact
from mockserver.wire.responses.ids import IdGenerator

Body = dict[str, Any]
DAY = 86_400
DEFAULT_CHUNKING = {"type": "static", "static": {"chunk_overlap_tokens": 400, "max_chunk_size_tokens": 800}}
_STATUSES = ("cancelled", "completed", "failed", "in_progress")


def store_not_found(id: str) -> APIError:
    """There is no such vector store. Spec: P24."""
    return neighbours.object_not_found("Vector store", id)


def file_not_found(id: str) -> APIError:
    """There is no such file in the vector store. Spec: P24."""
    return neighbours.object_not_found("Vector store file", id)


def create(
    state: State, request: Body, rules: Semantics, ids: IdGenerator, now: float, order: int
) -> tuple[Body, list[Change]]:
    """Create a vector store, with files if the request names any. Spec: P24, W1."""
    created_at = int(now)
    id = ids.plain("vs")
    store = {
        "id": id,
        "created_at": created_at,
        "description": request.get("description"),
        "expires_after": request.get("expires_after"),
        "last_active_at": created_at,
        "name": request.get("name") or "",
        "metadata": request.get("metadata") or {},
        "order": order,
    }
    named = request.get("file_ids") or []
    files.check(state, [(f"file_ids[{number}]", file) for number, file in enumerate(named)], rules, now)
    wanted = [{**request, "file_id": file} for file in dict.fromkeys(named)]
    attached = [_attach(state, id, one, now) for one in wanted]
    puts = [_put_file(file, number) for number, file in enumerate(attached)]
    return _to_public(store, attached, now), [_put(store), *puts]


def _put(store: Mapping[str, Any]) -> Put:
    return Put("vector_store", store["id"], encode_compact(store), "", store["order"])


def _put_file(file: Body, order: int) -> Put:
    return Put("vector_store_file", f"{file['vector_store_id']}/{file['id']}", encode_compact(file), _of(file), order)


def _of(file: Mapping[str, Any]) -> str:
    return str(file["vector_store_id"])


def _read(state: State, id: str) -> Body:
    doc = state.get("vector_store", id)
    if doc is None:
        raise store_not_found(id)
    store: Body = orjson.loads(doc)
    return store


def _read_open(state: State, id: str, now: float) -> Body:
    """A store that can still be changed: the files of an expired one are gone for good."""
    store = _read(state, id)
    if _is_expired(store, now):
        raise store_not_found(id)
    return store


def _files_of(state: State, id: str) -> list[Body]:
    return [orjson.loads(record.doc) for record in state.scan("vector_store_file", id)]


def _expires_at(store: Mapping[str, Any]) -> int | None:
    expiry = store["expires_after"]
    return None if expiry is None else store["last_active_at"] + expiry["days"] * DAY


def _is_expired(store: Mapping[str, Any], now: float) -> bool:
    expires_at = _expires_at(store)
    return expires_at is not None and now >= expires_at


def _to_public(store: Mapping[str, Any], attached: Iterable[Body], now: float) -> Body:
    attached = [] if _is_expired(store, now) else list(attached)
    return {
        "id": store["id"],
        "object": "vector_store",
        "created_at": store["created_at"],
        "status": "expired" if _is_expired(store, now) else "completed",
        "description": store["description"],
        "expires_after": store["expires_after"],
        "expires_at": _expires_at(store),
        "file_counts": _counts(attached),
        "last_active_at": store["last_active_at"],
        "name": store["name"],
        "usage_bytes": sum(file["usage_bytes"] for file in attached),
        "metadata": store["metadata"],
    }


def _counts(attached: Iterable[Body]) -> dict[str, int]:
    statuses = [file["status"] for file in attached]
    return {**{status: statuses.count(status) for status in _STATUSES}, "total": len(statuses)}


def retrieve(state: State, id: str, now: float) -> Body:
    """A vector store's object; raises 404. Spec: P24."""
    return _to_public(_read(state, id), _files_of(state, id), now)


def list_stores(state: State, query: ListQuery, now: float) -> Body:
    """A page of the vector stores, newest first unless asked otherwise. Spec: P24, P25."""
    stores = [orjson.loads(record.doc) for record in state.scan("vector_store")]
    page = page_of_objects(stores, query, store_not_found)
    page["data"] = [_to_public(store, _files_of(state, store["id"]), now) for store in page["data"]]
    return page


def update(state: State, id: str, request: Body, now: float) -> tuple[Body, list[Change]]:
    """Change a vector store's name, metadata or expiry. Spec: P24."""
    store = {**_read_open(state, id, now), **request, "last_active_at": int(now)}
    return _to_public(store, _files_of(state, id), now), [_put(store)]


def delete(state: State, id: str) -> tuple[Body, list[Change]]:
    """Delete a vector store; the files themselves stay. Spec: P24."""
    _read(state, id)
    below = [Delete(kind, record.id) for kind in ("vector_store_file", "file_batch") for record in state.scan(kind, id)]
    return resources.deletion_marker(id, "vector_store.deleted"), [Delete("vector_store", id), *below]


# --- files of a store ------------------------------------------------------------------------------------------------


def _attach(state: State, id: str, request: Mapping[str, Any], now: float) -> Body:
    file = files.find(state, request["file_id"], now)
    chunking = request.get("chunking_strategy") or {"type": "auto"}
    return {
        "id": request["file_id"],
        "object": "vector_store.file",
        "created_at": int(now),
        "status": "completed",
        "attributes": request.get("attributes") or {},
        "chunking_strategy": DEFAULT_CHUNKING if chunking["type"] == "auto" else chunking,
        "last_error": None,
        "usage_bytes": 0 if file is None else file["bytes"],
        "vector_store_id": id,
    }


def _attach_all(state: State, store: Body, wanted: Iterable[Body], now: float) -> tuple[list[Body], list[Change]]:
    id = store["id"]
    last = state.scan("vector_store_file", id, descending=True, limit=1)
    first = last[0].order + 1 if last else 0
    attached = [_attach(state, id, request, now) for request in wanted]
    puts = [_put_file(file, order) for order, file in enumerate(attached, first)]
    return attached, [*puts, _put({**store, "last_active_at": int(now)})]


def attach(state: State, id: str, request: Body, rules: Semantics, now: float) -> tuple[Body, list[Change]]:
    """Put a file into a vector store. Spec: P24."""
    store = _read_open(state, id, now)
    files.check(state, [("file_id", request["file_id"])], rules, now)
    (file,), changes = _attach_all(state, store, [request], now)
    return file, changes


def retrieve_file(state: State, id: str, file_id: str, now: float) -> Body:
    """A file of a vector store; raises 404. Spec: P24."""
    _read_open(state, id, now)
    doc = state.get("vector_store_file", f"{id}/{file_id}")
    if doc is None:
        raise file_not_found(file_id)
    file: Body = orjson.loads(doc)
    return file


def update_file(state: State, id: str, file_id: str, request: Body, now: float) -> tuple[Body, list[Change]]:
    """Replace the attributes of a vector store's file. Spec: P24."""
    file = {**retrieve_file(state, id, file_id, now), "attributes": request["attributes"] or {}}
    order = next(record.order for record in state.scan("vector_store_file", id) if record.id == f"{id}/{file_id}")
    return file, [_put_file(file, order)]


def list_files(
    state: State, id: str, asked: tuple[ListQuery, str | None], now: float, batch_id: str | None = None
) -> Body:
    """A page of a vector store's files of a status, or of those that came with a batch. Spec: P24, P25."""
    query, status = asked
    _read_open(state, id, now)
    wanted = None if batch_id is None else _read_batch(state, id, batch_id)["file_ids"]
    attached = [
        file
        for file in _files_of(state, id)
        if status in (None, file["status"]) and (wanted is None or file["id"] in wanted)
    ]
    return page_of_objects(attached, query, file_not_found)


def read_content(state: State, id: str, file_id: str, now: float) -> Body:
    """The text of a vector store's file, in one part. Spec: P24."""
    retrieve_file(state, id, file_id, now)
    text = (state.get("content", file_id) or b"").decode(errors="replace")
    parts = [{"type": "text", "text": text}]
    return {"object": "vector_store.file_content.page", "data": parts, "has_more": False, "next_page": None}


def detach(state: State, id: str, file_id: str, now: float) -> tuple[Body, list[Change]]:
    """Take a file out of a vector store; the file itself stays. Spec: P24."""
    retrieve_file(state, id, file_id, now)
    marker = resources.deletion_marker(file_id, "vector_store.file.deleted")
    return marker, [Delete("vector_store_file", f"{id}/{file_id}")]


# --- batches ---------------------------------------------------------------------------------------------------------


def create_batch(
    state: State, id: str, request: Body, rules: Semantics, ids: IdGenerator, now: float, order: int
) -> tuple[Body, list[Change]]:
    """Put several files into a vector store, each with attributes of its own or all with the same. Spec: P24."""
    store = _read_open(state, id, now)
    named = [(f"file_ids[{number}]", file, request) for number, file in enumerate(request.get("file_ids") or [])]
    own = enumerate(request.get("files") or [])
    named += [(f"files[{number}].file_id", file["file_id"], {**request, **file}) for number, file in own]
    files.check(state, [(path, file) for path, file, _ in named], rules, now)
    wanted = {file: {**how, "file_id": file} for _, file, how in named}
    _, changes = _attach_all(state, store, wanted.values(), now)
    batch = {"id": ids.plain("vsfb"), "created_at": int(now), "vector_store_id": id, "file_ids": list(wanted)}
    put = Put("file_batch", f"{id}/{batch['id']}", encode_compact(batch), id, order)
    return _batch_to_public(batch), [*changes, put]


def _read_batch(state: State, id: str, batch_id: str) -> Body:
    doc = state.get("file_batch", f"{id}/{batch_id}")
    if doc is None:
        raise neighbours.object_not_found("Vector store file batch", batch_id)
    batch: Body = orjson.loads(doc)
    return batch


def _batch_to_public(batch: Mapping[str, Any]) -> Body:
    count = len(batch["file_ids"])
    return {
        "id": batch["id"],
        "object": "vector_store.files_batch",
        "created_at": batch["created_at"],
        "status": "completed",
        "file_counts": {"cancelled": 0, "completed": count, "failed": 0, "in_progress": 0, "total": count},
        "vector_store_id": batch["vector_store_id"],
    }


def retrieve_batch(state: State, id: str, batch_id: str, now: float) -> Body:
    """A batch of files, which is done from the start. Spec: P24."""
    _read_open(state, id, now)
    return _batch_to_public(_read_batch(state, id, batch_id))
