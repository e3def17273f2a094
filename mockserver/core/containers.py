"""Containers and the files in them: what set-up code makes before code runs in one; nothing runs. Spec: P24."""

# What must stay true: a container that was not written to for so many minutes is expired. Its object can still be read,
# its files are gone. Reading is no activity, as reading never changes anything here.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mockserver.core import files
from mockserver.core.pagination import page_of_objects
from mockserver.core.records import Change, Delete, Put, State
from mockserver.core.semantics import Semantics
from mockserver.wire.errors import neighbours
from mockserver.wire.errors.api import APIError
from mockserver.wire.requests.query import ListQuery
from mockserver.wire.requests.uploads import Upload
from mockserver.wire.responses import resources
from mockserver.wire.responses.encoding import encode_compact
from mockserver.wire.responses.ids import IdGenerator

Body = dict[str, Any]
DEFAULT_EXPIRY = {"anchor": "last_active_at", "minutes": 20}
FOLDER = "/mnt/data"  # where a container's files are


def container_not_found(id: str) -> APIError:
    """There is no such container. Spec: P24."""
    return neighbours.object_not_found("Container", id)


def file_not_found(id: str) -> APIError:
    """There is no such file in the container. Spec: P24."""
    return neighbours.object_not_found("Container file", id)


def create(
    state: State, request: Body, rules: Semantics, ids: IdGenerator, now: float, order: int
) -> tuple[Body, list[Change]]:
    """Create a container, with copies of uploaded files if the request names any. Spec: P24, W2."""
    named = request.get("file_ids") or []
    files.check(state, [(f"file_ids[{number}]", file) for number, file in enumerate(named)], rules, now)
    container = {
        "id": ids.in_partition(ids.new_partition(1)).container(),
        "created_at": int(now),
        "expires_after": request.get("expires_after") or DEFAULT_EXPIRY,
        "last_active_at": int(now),
        "memory_limit": request.get("memory_limit") or "1g",
        "name": request["name"],
        "network_policy": request.get("network_policy") or {"type": "disabled"},
        "order": order,
    }
    changes: list[Change] = [_put(container)]
    for number, file in enumerate(named):
        _, puts = _copy(state, container["id"], file, ids.plain("cfile", number + 2), now, number)
        changes += puts
    return _to_public(container, now), changes


def _put(container: Mapping[str, Any]) -> Put:
    return Put("container", container["id"], encode_compact(container), "", container["order"])


def _is_expired(container: Mapping[str, Any], now: float) -> bool:
    return bool(now >= container["last_active_at"] + container["expires_after"]["minutes"] * 60)


def _to_public(container: Mapping[str, Any], now: float) -> Body:
    return {
        "id": container["id"],
        "object": "container",
        "created_at": container["created_at"],
        "status": "expired" if _is_expired(container, now) else "running",
        "expires_after": container["expires_after"],
        "last_active_at": container["last_active_at"],
        "memory_limit": container["memory_limit"],
        "name": container["name"],
        "network_policy": container["network_policy"],
    }


def _read(state: State, id: str) -> Body:
    doc = state.get("container", id)
    if doc is None:
        raise container_not_found(id)
    container: Body = orjson.loads(doc)
    return container


def _read_running(state: State, id: str, now: float) -> Body:
    container = _read(state, id)
    if _is_expired(container, now):
        raise neighbours.expired_container(id)
    return container


def retrieve(state: State, id: str, now: float) -> Body:
    """A container's object; raises 404. Spec: P24."""
    return _to_public(_read(state, id), now)


def list_containers(state: State, asked: tuple[ListQuery, str | None], now: float) -> Body:
    """A page of the containers, or of those with a name, newest first unless asked otherwise. Spec: P24, P25."""
    query, name = asked
    containers = [orjson.loads(record.doc) for record in state.scan("container")]
    shown = [_to_public(container, now) for container in containers if name in (None, container["name"])]
    return page_of_objects(shown, query, container_not_found)


def delete(state: State, id: str) -> tuple[Body, list[Change]]:
    """Delete a container and its files. Spec: P24."""
    _read(state, id)
    changes: list[Change] = [Delete("container", id)]
    for record in state.scan("container_file", id):
        changes += [Delete("container_file", record.id), Delete("content", record.id.rpartition("/")[2])]
    return resources.deletion_marker(id, "container.deleted"), changes


# --- files of a container --------------------------------------------------------------------------------------------


def _copy(state: State, id: str, file_id: str, own_id: str, now: float, order: int) -> tuple[Body, list[Change]]:
    """A copy of an uploaded file; of one that nobody has uploaded it is empty and has the id as its name."""
    file = files.find(state, file_id, now)
    name, content = (file_id, b"") if file is None else (file["filename"], state.get("content", file_id) or b"")
    return _file(id, own_id, name, content, now, order)


def _file(id: str, own_id: str, name: str, content: bytes, now: float, order: int) -> tuple[Body, list[Change]]:
    file = {
        "id": own_id,
        "object": "container.file",
        "created_at": int(now),
        "bytes": len(content),
        "container_id": id,
        "path": f"{FOLDER}/{name}",
        "source": "user",
    }
    put = Put("container_file", f"{id}/{own_id}", encode_compact(file), id, order)
    return file, [put, Put("content", own_id, content, "", order)]


def create_file(
    state: State, id: str, given: Upload | str, rules: Semantics, ids: IdGenerator, now: float
) -> tuple[Body, list[Change]]:
    """Put a file into a container: one that comes with the request, or a copy of an uploaded one. Spec: P24."""
    container = _read_running(state, id, now)
    last = state.scan("container_file", id, descending=True, limit=1)
    order = last[0].order + 1 if last else 0
    own_id = ids.plain("cfile")
    if isinstance(given, str):
        files.check(state, [("file_id", given)], rules, now)
        file, puts = _copy(state, id, given, own_id, now, order)
    else:
        file, puts = _file(id, own_id, given.filename, given.content, now, order)
    return file, [*puts, _put({**container, "last_active_at": int(now)})]


def retrieve_file(state: State, id: str, file_id: str, now: float) -> Body:
    """A file of a container; raises 404, and 400 for an expired container. Spec: P24."""
    _read_running(state, id, now)
    doc = state.get("container_file", f"{id}/{file_id}")
    if doc is None:
        raise file_not_found(file_id)
    file: Body = orjson.loads(doc)
    return file


def read_content(state: State, id: str, file_id: str, now: float) -> bytes:
    """The bytes of a container's file. Spec: P24."""
    retrieve_file(state, id, file_id, now)
    return state.get("content", file_id) or b""


def list_files(state: State, id: str, query: ListQuery, now: float) -> Body:
    """A page of a container's files. Spec: P24, P25."""
    _read_running(state, id, now)
    held = [orjson.loads(record.doc) for record in state.scan("container_file", id)]
    return page_of_objects(held, query, file_not_found)


def delete_file(state: State, id: str, file_id: str, now: float) -> tuple[Body, list[Change]]:
    """Delete a file of a container. Spec: P24."""
    retrieve_file(state, id, file_id, now)
    marker = resources.deletion_marker(file_id, "container.file.deleted")
    return marker, [Delete("container_file", f"{id}/{file_id}"), Delete("content", file_id)]
