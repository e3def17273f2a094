"""Errors of files, vector stores and containers: the envelopes that a client reads. Spec: P24."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.wire.errors import neighbours
from mockserver.wire.errors.api import APIError


def envelope(error: APIError) -> dict[str, Any]:
    """The error of a body, without its type, which all of them share."""
    body = json.loads(error.body())
    assert list(body) == ["error"] and body["error"].pop("type") == "invalid_request_error"
    return body["error"]


def test_there_is_no_such_file() -> None:
    error = neighbours.file_not_found("file-1")
    assert error.status == 404
    assert envelope(error) == {"message": "No such File object: file-1", "param": "id", "code": None}
    assert neighbours.file_not_found("file-1", None).param is None
    assert neighbours.file_not_found("file-1", "file_id").param == "file_id"


@pytest.mark.parametrize("kind", ["Vector store", "Container", "File"])
def test_a_missing_object_is_told_as_a_conversation_is(kind: str) -> None:  # Spec: E64
    error = neighbours.object_not_found(kind, "x_1")
    assert error.status == 404
    assert envelope(error) == {"message": f"{kind} with id 'x_1' not found.", "param": None, "code": None}


def test_a_form_is_asked_for_as_json_is() -> None:  # Spec: E4
    error = neighbours.not_a_form("text/plain")
    assert error.status == 400
    assert envelope(error) == {
        "message": "Unsupported content type: 'text/plain'. This API method only accepts 'multipart/form-data' "
        "requests, but you specified the header 'Content-Type: text/plain'. "
        "Please try again with a supported content type.",
        "param": None,
        "code": "unsupported_content_type",
    }


def test_a_malformed_form_says_what_may_be_missing() -> None:
    error = neighbours.malformed_form()
    assert error.status == 400
    message = "Could not parse multipart form: a boundary, a part's name or the end is missing."
    assert envelope(error) == {"message": message, "param": None, "code": None}


def test_an_expired_container_is_named() -> None:
    error = neighbours.expired_container("cntr_1")
    assert error.status == 400
    assert envelope(error) == {"message": "Container with id 'cntr_1' is expired.", "param": None, "code": None}
