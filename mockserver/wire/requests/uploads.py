"""Requests of the doubles of /v1/files, /v1/vector_stores and /v1/containers: their fields by the API's own types.

Spec: P24. Every field is used or echoed; what the doubles do not have is refused with 501.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from mockserver.config.switches import Switches
from mockserver.wire.errors import api as errors
from mockserver.wire.errors import neighbours
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.errors.api import MockError
from mockserver.wire.requests import bodies
from mockserver.wire.requests.bodies import Endpoint, Sent, UnknownKeys
from mockserver.wire.requests.multipart import KIND, Part, read_multipart
from mockserver.wire.requests.query import ListQuery, Pairs, list_query
from mockserver.wire.requests.schema import (
    TEXT,
    array,
    either,
    enum,
    integer,
    mapping,
    nullable,
    shape,
    string,
    strings,
    union_by_tag,
)
from mockserver.wire.requests.tools import METADATA

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
HOUR, MONTH = 3600, 2_592_000  # between which a file's life must lie, in seconds
MOST_FILES = 10_000  # in a page of files, and as many as are listed when no limit is given

_VALUE = either(
    "one of a string, number or boolean",
    string=string(longest=512),
    number={"type": "float", "strict": True},
    boolean={"type": "bool", "strict": True},
)
_ATTRIBUTES = mapping(_VALUE, longest_key=64, most=16)
_STATIC = shape(
    {"max_chunk_size_tokens": integer(least=100, most=4096), "chunk_overlap_tokens": integer(least=0, most=2048)}
)
_CHUNKING = union_by_tag(
    {"auto": shape({"type": enum("auto")}), "static": shape({"type": enum("static"), "static": _STATIC})}
)
_FILE_IDS = strings(longest=2000)
_EXPIRY = shape({"anchor": enum("last_active_at"), "days": integer(least=1, most=365)})
_CONTAINER_EXPIRY = shape({"anchor": enum("last_active_at"), "minutes": integer(least=1, most=20)})
_NETWORK = union_by_tag(
    {
        "disabled": shape({"type": enum("disabled")}),
        "allowlist": shape({"type": enum("allowlist"), "allowed_domains": strings(shortest=1)}),
    }
)
_ATTACHED = {"attributes": _ATTRIBUTES, "chunking_strategy": _CHUNKING}

_STORE = {"name": TEXT, "expires_after": _EXPIRY, "metadata": METADATA}
_CREATE_STORE = Endpoint({}, {**_STORE, "description": TEXT, "file_ids": _FILE_IDS, "chunking_strategy": _CHUNKING})
_UPDATE_STORE = Endpoint({}, _STORE, null_matters=("expires_after",))
_ATTACH = Endpoint({"file_id": TEXT}, _ATTACHED)
_UPDATE_ATTACHED = Endpoint({"attributes": nullable(_ATTRIBUTES)}, {})
_BATCH = Endpoint({}, {"file_ids": _FILE_IDS, "files": array(shape({"file_id": TEXT}, _ATTACHED)), **_ATTACHED})
_CREATE_CONTAINER = Endpoint(
    {"name": TEXT},
    {
        "expires_after": _CONTAINER_EXPIRY,
        "file_ids": _FILE_IDS,
        "memory_limit": enum("1g", "4g", "16g", "64g"),
        "network_policy": _NETWORK,
        "skills": array({"type": "any"}),
    },
)
_COPY_FILE = Endpoint({"file_id": TEXT}, {})


class Upload(NamedTuple):
    """A file that is uploaded; `purpose` is empty for a file of a container, `seconds` None where it never expires."""

    filename: str
    content: bytes
    purpose: str = ""
    seconds: int | None = None


def create_vector_store(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /vector_stores, which may be empty. Spec: P24."""
    return _CREATE_STORE.read(bodies.read_object(body) if body else {}, unknown_keys=unknown_keys)


def update_vector_store(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /vector_stores/{id}; null takes an expiry away. Spec: P24."""
    request = bodies.read_object(body)
    if request.get("expires_after", 0) is None:
        rest = {key: value for key, value in request.items() if key != "expires_after"}
        return {**_UPDATE_STORE.read(rest, unknown_keys=unknown_keys), "expires_after": None}
    return _UPDATE_STORE.read(request, unknown_keys=unknown_keys)


def attach_file(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /vector_stores/{id}/files. Spec: P24."""
    return _ATTACH.read(bodies.read_object(body), unknown_keys=unknown_keys)


def update_attached(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /vector_stores/{id}/files/{file_id}. Spec: P24."""
    return _UPDATE_ATTACHED.read(bodies.read_object(body), unknown_keys=unknown_keys)


def create_batch(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /vector_stores/{id}/file_batches: `file_ids`, or `files` with attributes. Spec: P24."""
    request = _BATCH.read(bodies.read_object(body), unknown_keys=unknown_keys)
    if "file_ids" not in request and "files" not in request:
        raise errors.missing_parameter("file_ids")
    return request


def create_container(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
    """Read the body of POST /containers. Spec: P24."""
    request = _CREATE_CONTAINER.read(bodies.read_object(body), unknown_keys=unknown_keys)
    if request.pop("skills", None):
        raise MockError("The mock's containers have no skills.", status=501, param="skills")
    return request


def list_files(pairs: Pairs) -> tuple[ListQuery, str | None]:
    """Read the parameters of GET /files: a page, and the purpose that is asked for. Spec: P24."""
    return list_query(pairs, most=MOST_FILES, default=MOST_FILES), _last(pairs, "purpose")


def list_containers(pairs: Pairs) -> tuple[ListQuery, str | None]:
    """Read the parameters of GET /containers: a page, and the name that is asked for. Spec: P24."""
    return list_query(pairs), _last(pairs, "name")


def list_attached(pairs: Pairs) -> tuple[ListQuery, str | None]:
    """Read the parameters of a list of a vector store's files: a page, and a status. Spec: P24."""
    status, statuses = _last(pairs, "filter"), ("in_progress", "completed", "failed", "cancelled")
    if status is not None and status not in statuses:
        raise errors.invalid_value("filter", status, statuses)
    return list_query(pairs), status


def _last(pairs: Pairs, name: str) -> str | None:
    return next((value for key, value in reversed(pairs) if key == name and value), None)


# --- forms -----------------------------------------------------------------------------------------------------------


def create_file(call: Sent, parts: object, rules: Switches) -> Upload:
    """Read the form of POST /files. Spec: P24."""
    form = _read_form(call)
    file = _file_of(form)
    fields = {part.name: part.text for part in form if part.filename is None}
    purpose = fields.get("purpose")
    if purpose is None:
        raise errors.missing_parameter("purpose")
    if purpose not in PURPOSES:
        raise errors.invalid_value("purpose", purpose, PURPOSES)
    known = ("purpose", "expires_after[anchor]", "expires_after[seconds]")
    for name in fields:
        if name not in known and rules.unknown_body_key == "refuse":
            raise errors.unknown_parameter(name)
    return Upload(file.filename or "", file.data, purpose, _seconds(fields))


def create_container_file(call: Sent, parts: object, rules: Switches) -> Upload | str:
    """Read the body of POST /containers/{id}/files: a form with a file, or the JSON of a `file_id`. Spec: P24."""
    if _content_type(call).partition(";")[0].strip().lower() == KIND:
        file = _file_of(_read_form(call))
        return Upload(file.filename or "", file.data)

    def read(body: bytes, *, unknown_keys: UnknownKeys = "refuse") -> dict[str, Any]:
        return _COPY_FILE.read(bodies.read_object(body), unknown_keys=unknown_keys)

    return str(bodies.read_body(read, call, parts, rules)["file_id"])


def _content_type(call: Sent) -> str:
    return call.headers.get(b"content-type", b"").decode("latin-1")


def _read_form(call: Sent) -> list[Part]:
    content_type = _content_type(call)
    if content_type.partition(";")[0].strip().lower() != KIND:
        raise neighbours.not_a_form(content_type)
    form = read_multipart(content_type, call.body)
    if form is None:
        raise neighbours.malformed_form()
    return form


def _file_of(form: Sequence[Part]) -> Part:
    file = next((part for part in form if part.name == "file"), None)
    if file is None:
        raise errors.missing_parameter("file")
    if file.filename is None:
        raise errors.invalid_type("file", "a file", file.text)
    return file


def _seconds(fields: dict[str, str]) -> int | None:
    """How long a file lives, None for ever; batch input lives 30 days unless the request says something else."""
    anchor, seconds = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return MONTH if fields.get("purpose") == "batch" else None
    if anchor is None:
        raise errors.missing_parameter("expires_after[anchor]")
    if anchor != "created_at":
        raise errors.invalid_value("expires_after[anchor]", anchor, ("created_at",))
    if seconds is None:
        raise errors.missing_parameter("expires_after[seconds]")
    if not re.fullmatch(r"-?[0-9]{1,15}", seconds):
        raise errors.invalid_type("expires_after[seconds]", "an integer", seconds)
    number = int(seconds)
    if number < HOUR:
        raise validation_errors.below_minimum("expires_after[seconds]", "integer", HOUR, number)
    if number > MONTH:
        raise validation_errors.above_maximum("expires_after[seconds]", "integer", MONTH, number)
    return number
