"""Files that a client has uploaded: stored with their bytes, listed, read, deleted, gone when they expire. Spec: P24.

Also here: which file ids a request names, and whether they are refused where no such file was uploaded (switch
`unknown_file`).
"""

# What must stay true: an object and its bytes are two records, so that a list reads no bytes. An expired file is
# invisible at once; the next upload takes it away.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from mockserver.core.pagination import page_of_objects
from mockserver.core.records import Change, Delete, Put, State
from mockserver.core.semantics import Semantics
from mockserver.wire.errors import neighbours
from mockserver.wire.requests.query import ListQuery
from mockserver.wire.requests.uploads import Upload
from mockserver.wire.responses import resources
from mockserver.wire.responses.encoding import encode_compact
from mockserver.wire.responses.ids import IdGenerator

Body = dict[str, Any]

MOST_AT_ONCE = 256  # expired files that one upload takes away


def create(state: State, upload: Upload, ids: IdGenerator, now: float, order: int) -> tuple[Body, list[Change]]:
    """Store a file; returns its object. Spec: P24, W2."""
    created_at = int(now)
    id = ids.file()
    file: Body = {
        "id": id,
        "object": "file",
        "created_at": created_at,
        "status": "processed",
        "bytes": len(upload.content),
        "expires_at": None if upload.seconds is None else created_at + upload.seconds,
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status_details": None,
    }
    puts = Put("file", id, encode_compact(file), "", order), Put("content", id, upload.content, "", order)
    return file, [*_drop_expired(state, now), *puts]


def _drop_expired(state: State, now: float) -> Iterator[Change]:
    gone = [file for file in _all(state) if _is_expired(file, now)]
    for file in gone[:MOST_AT_ONCE]:
        yield from _delete(state, file["id"])


def _all(state: State) -> list[Body]:
    return [orjson.loads(record.doc) for record in state.scan("file")]


def _is_expired(file: Mapping[str, Any], now: float) -> bool:
    return file["expires_at"] is not None and now >= file["expires_at"]


def find(state: State, id: str, now: float) -> Body | None:
    """A file's object, None when there is none or its time is over."""
    doc = state.get("file", id)
    file = None if doc is None else orjson.loads(doc)
    return None if file is None or _is_expired(file, now) else file


def retrieve(state: State, id: str, now: float) -> Body:
    """A file's object; raises 404. Spec: P24."""
    file = find(state, id, now)
    if file is None:
        raise neighbours.file_not_found(id)
    return file


def read_content(state: State, id: str, now: float) -> bytes:
    """A file's bytes; raises 404. Spec: P24."""
    retrieve(state, id, now)
    return state.get("content", id) or b""


def list_files(state: State, asked: tuple[ListQuery, str | None], now: float) -> Body:
    """A page of the files, or of those with a purpose, newest first unless asked otherwise. Spec: P24, P25."""
    query, purpose = asked
    files = [file for file in _all(state) if not _is_expired(file, now) and purpose in (None, file["purpose"])]
    return page_of_objects(files, query, neighbours.file_not_found)


def delete(state: State, id: str, now: float) -> tuple[Body, list[Change]]:
    """Delete a file, and take it out of all vector stores. Spec: P24."""
    retrieve(state, id, now)
    return resources.deletion_marker(id, "file"), list(_delete(state, id))


def _delete(state: State, id: str) -> Iterator[Change]:
    yield from (Delete("file", id), Delete("content", id))
    for store in state.scan("vector_store"):
        attached = f"{store.id}/{id}"
        if state.get("vector_store_file", attached) is not None:
            yield Delete("vector_store_file", attached)


# --- files that are named ----------------------------------------------------------------------------------------


def check(state: State, named: Iterable[tuple[str, str]], rules: Semantics, now: float) -> None:
    """Refuse the first of the files, each with the path where it is named, that was never uploaded.

    Only with `unknown_file=refuse`: by default a test may name files that it never made. Spec: P24.
    """
    if rules.unknown_file == "refuse":
        for path, id in named:
            if find(state, id, now) is None:
                raise neighbours.file_not_found(id, path)


def files_in(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path and id of each file that the input, the items or the tools of a request name."""
    for key in ("input", "items", "tools"):
        yield from _walk(request.get(key), key)


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{number}]")
    elif isinstance(value, dict):
        # what a file search has found, and what a text cites, was named before by somebody else
        if value.get("type") in ("file_search_call", "output_text"):
            return
        for key, inner in value.items():
            if key == "file_id" and isinstance(inner, str):
                yield f"{path}.{key}", inner
            elif key == "file_ids" and isinstance(inner, list):
                yield from ((f"{path}.{key}[{number}]", id) for number, id in enumerate(inner) if isinstance(id, str))
            elif key not in _FREE:
                yield from _walk(inner, f"{path}.{key}")


_FREE = frozenset(("arguments", "parameters", "metadata", "filters"))  # members whose keys are the caller's own
