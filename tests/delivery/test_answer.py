"""Answers as values."""

from __future__ import annotations

from mockserver.delivery.answer import error_answer
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError, MockError


def raised(error: APIError | MockError) -> APIError | MockError:
    try:
        try:
            raise ValueError("the cause")
        except ValueError:
            raise error from None
    except type(error) as caught:
        return caught


def test_an_error_as_an_answer_holds_no_frames() -> None:
    error = raised(errors.body_too_large(10))
    assert error.__traceback__ is not None and error.__context__ is not None
    answer = error_answer(error)
    assert (answer.status, answer.body, answer.error) == (413, error.body(), error)
    assert error.__traceback__ is None and error.__context__ is None


def test_an_error_s_own_headers_go_with_it() -> None:
    error = MockError("later", status=503)
    error.headers = {"x-should-retry": "true"}
    assert error_answer(error).headers == ((b"x-should-retry", b"true"),)
