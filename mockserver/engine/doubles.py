"""The small doubles of /v1/files, /v1/vector_stores and /v1/containers as rows, so that set-up code of agents runs.

The table is made with the first call to one of these paths. Spec: P24.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from mockserver.core import containers, files, vector_stores
from mockserver.delivery.answer import Answer
from mockserver.engine.endpoints import Endpoint, Read, Table
from mockserver.wire.requests import bodies, query, uploads

BYTES = b"application/octet-stream"


def _body(read: Callable[..., dict[str, Any]]) -> Read:
    return partial(bodies.read_body, read)


def _nothing(call: Any, parts: Any, rules: Any) -> None:
    """Read a request that is all in its path."""


def _query(read: Callable[..., Any]) -> Read:
    return lambda call, parts, rules: read(call.query)


def _answer_with(content: bytes) -> Answer:
    """An answer that is the bytes of a file."""
    return Answer(content, content_type=BYTES)


_FILE = "/v1/files/{id}"
_STORE, _CONTAINER = "/v1/vector_stores/{id}", "/v1/containers/{id}"
_BATCH = _STORE + "/file_batches/{batch}"

_FILES = (
    Endpoint(
        "POST",
        "/v1/files",
        uploads.create_file,
        lambda at, parts, upload: files.create(at.state, upload, at.id_generator, at.now, at.ordinal),
        writes=True,
    ),
    Endpoint(
        "GET",
        "/v1/files",
        _query(uploads.list_files),
        lambda at, parts, asked: files.list_files(at.state, asked, at.now),
    ),
    Endpoint("GET", _FILE, _nothing, lambda at, parts, _: files.retrieve(at.state, parts["id"], at.now)),
    Endpoint("DELETE", _FILE, _nothing, lambda at, parts, _: files.delete(at.state, parts["id"], at.now), writes=True),
    Endpoint(
        "GET",
        _FILE + "/content",
        _nothing,
        lambda at, parts, _: _answer_with(files.read_content(at.state, parts["id"], at.now)),
    ),
)

_VECTOR_STORES = (
    Endpoint(
        "POST",
        "/v1/vector_stores",
        _body(uploads.create_vector_store),
        lambda at, parts, body: vector_stores.create(at.state, body, at.rules, at.id_generator, at.now, at.ordinal),
        writes=True,
    ),
    Endpoint(
        "GET",
        "/v1/vector_stores",
        _query(query.list_query),
        lambda at, parts, asked: vector_stores.list_stores(at.state, asked, at.now),
    ),
    Endpoint("GET", _STORE, _nothing, lambda at, parts, _: vector_stores.retrieve(at.state, parts["id"], at.now)),
    Endpoint(
        "POST",
        _STORE,
        _body(uploads.update_vector_store),
        lambda at, parts, body: vector_stores.update(at.state, parts["id"], body, at.now),
        writes=True,
    ),
    Endpoint("DELETE", _STORE, _nothing, lambda at, parts, _: vector_stores.delete(at.state, parts["id"]), writes=True),
    Endpoint(
        "POST",
        _STORE + "/files",
        _body(uploads.attach_file),
        lambda at, parts, body: vector_stores.attach(at.state, parts["id"], body, at.rules, at.now),
        writes=True,
    ),
    Endpoint(
        "GET",
        _STORE + "/files",
        _query(uploads.list_attached),
        lambda at, parts, asked: vector_stores.list_files(at.state, parts["id"], asked, at.now),
    ),
    Endpoint(
        "GET",
        _STORE + "/files/{file}",
        _nothing,
        lambda at, parts, _: vector_stores.retrieve_file(at.state, parts["id"], parts["file"], at.now),
    ),
    Endpoint(
        "POST",
        _STORE + "/files/{file}",
        _body(uploads.update_attached),
        lambda at, parts, body: vector_stores.update_file(at.state, parts["id"], parts["file"], body, at.now),
        writes=True,
    ),
    Endpoint(
        "DELETE",
        _STORE + "/files/{file}",
        _nothing,
        lambda at, parts, _: vector_stores.detach(at.state, parts["id"], parts["file"], at.now),
        writes=True,
    ),
    Endpoint(
        "GET",
        _STORE + "/files/{file}/content",
        _nothing,
        lambda at, parts, _: vector_stores.read_content(at.state, parts["id"], parts["file"], at.now),
    ),
    Endpoint(
        "POST",
        _STORE + "/file_batches",
        _body(uploads.create_batch),
        lambda at, parts, body: vector_stores.create_batch(
            at.state, parts["id"], body, at.rules, at.id_generator, at.now, at.ordinal
        ),
        writes=True,
    ),
    Endpoint(
        "GET",
        _BATCH,
        _nothing,
        lambda at, parts, _: vector_stores.retrieve_batch(at.state, parts["id"], parts["batch"], at.now),
    ),
    Endpoint(  # a batch is done from the start, so there is nothing to cancel
        "POST",
        _BATCH + "/cancel",
        _nothing,
        lambda at, parts, _: vector_stores.retrieve_batch(at.state, parts["id"], parts["batch"], at.now),
    ),
    Endpoint(
        "GET",
        _BATCH + "/files",
        _query(uploads.list_attached),
        lambda at, parts, asked: vector_stores.list_files(at.state, parts["id"], asked, at.now, parts["batch"]),
    ),
)

_CONTAINERS = (
    Endpoint(
        "POST",
        "/v1/containers",
        _body(uploads.create_container),
        lambda at, parts, body: containers.create(at.state, body, at.rules, at.id_generator, at.now, at.ordinal),
        writes=True,
    ),
    Endpoint(
        "GET",
        "/v1/containers",
        _query(uploads.list_containers),
        lambda at, parts, asked: containers.list_containers(at.state, asked, at.now),
    ),
    Endpoint("GET", _CONTAINER, _nothing, lambda at, parts, _: containers.retrieve(at.state, parts["id"], at.now)),
    Endpoint(
        "DELETE", _CONTAINER, _nothing, lambda at, parts, _: containers.delete(at.state, parts["id"]), writes=True
    ),
    Endpoint(
        "POST",
        _CONTAINER + "/files",
        uploads.create_container_file,
        lambda at, parts, given: containers.create_file(
            at.state, parts["id"], given, at.rules, at.id_generator, at.now
        ),
        writes=True,
    ),
    Endpoint(
        "GET",
        _CONTAINER + "/files",
        _query(query.list_query),
        lambda at, parts, asked: containers.list_files(at.state, parts["id"], asked, at.now),
    ),
    Endpoint(
        "GET",
        _CONTAINER + "/files/{file}",
        _nothing,
        lambda at, parts, _: containers.retrieve_file(at.state, parts["id"], parts["file"], at.now),
    ),
    Endpoint(
        "DELETE",
        _CONTAINER + "/files/{file}",
        _nothing,
        lambda at, parts, _: containers.delete_file(at.state, parts["id"], parts["file"], at.now),
        writes=True,
    ),
    Endpoint(
        "GET",
        _CONTAINER + "/files/{file}/content",
        _nothing,
        lambda at, parts, _: _answer_with(containers.read_content(at.state, parts["id"], parts["file"], at.now)),
    ),
)


def table() -> Table:
    """The rows of all doubles."""
    return Table((*_FILES, *_VECTOR_STORES, *_CONTAINERS))


def require_files(rows: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Rows that refuse a request with a file that nobody has uploaded (switch `unknown_file`)."""
    return tuple(row._replace(run=require_files_of(row.run)) if row.method == "POST" else row for row in rows)


def require_files_of(run: Callable[..., Any]) -> Callable[..., Any]:
    """A core function that first looks whether the files of its request were uploaded."""

    def check_and_run(at: Any, parts: Any, request: Any, *more: Any) -> Any:
        body = request[0] if isinstance(request, tuple) else request
        if isinstance(body, dict):
            files.check(at.state, files.files_in(body), at.rules, at.now)
        return run(at, parts, request, *more)

    return check_and_run
