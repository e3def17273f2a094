"""Errors as values: `APIError` is what a client of the real API sees, `MockError` is the test author's mistake.

Bytes of the envelope: two-space indent, the four keys message, type, param, code in this order, no final newline
(Spec: errors §1).
"""

from __future__ import annotations

from mockserver.wire.encoding import json_body


class APIError(Exception):
    """An error of the API, faithful to the byte; built only by the named constructors below.

    Attributes: `status` (HTTP status), `message`, `type`, `param`, `code` (JSON values), `headers` (extra headers).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.param = param
        self.code = code
        self.headers = headers or {}

    def body(self) -> bytes:
        """Return the envelope's bytes."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return json_body({"error": error})


class MockError(Exception):
    """A mistake of whoever drives the mock, never mistaken for OpenAI: `type` is always `mock_error`.

    It carries `x-should-retry: false`, so that no SDK retries what can't succeed.
    """

    def __init__(self, message: str, *, status: int = 400, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.headers = {"x-should-retry": "false"}

    def body(self) -> bytes:
        """Return the envelope's bytes."""
        return mock_error_body(self.message, self.param)


def mock_error_body(message: str, param: str | None = None, code: str | None = None) -> bytes:
    """Return the bytes of a `mock_error` envelope, shaped like an error of the API."""
    return json_body({"error": {"message": message, "type": "mock_error", "param": param, "code": code}})
