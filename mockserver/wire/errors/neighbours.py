"""Errors of the doubles of /v1/files, /v1/vector_stores and /v1/containers.

The contract ends before these APIs (Spec: P24), so the sentences are those of its own 404s (E64, E65) and of the API's
clients' logs; none of them was measured.
"""

from __future__ import annotations

from mockserver.wire.errors.api import APIError


def file_not_found(id: str, param: str | None = "id") -> APIError:
    """There is no such file, or it was deleted or has expired. Spec: P24."""
    return APIError(f"No such File object: {id}", status=404, param=param)


def object_not_found(kind: str, id: str) -> APIError:
    """There is no such vector store, container, or file of one. Spec: P24."""
    return APIError(f"{kind} with id '{id}' not found.", status=404)


def not_a_form(content_type: str) -> APIError:
    """A file is uploaded with another content type than multipart/form-data. Spec: E4, P24."""
    return APIError(
        f"Unsupported content type: '{content_type}'. This API method only accepts 'multipart/form-data' requests, "
        f"but you specified the header 'Content-Type: {content_type}'. Please try again with a supported content type.",
        code="unsupported_content_type",
    )


def malformed_form() -> APIError:
    """The body is no multipart form. Spec: E1, P24."""
    return APIError("Could not parse multipart form: a boundary, a part's name or the end is missing.")


def expired_container(id: str) -> APIError:
    """A container was not used for so long that what was in it is gone. Spec: P24."""
    return APIError(f"Container with id '{id}' is expired.", status=400)
