"""Errors by name: each name gives its row, what a script says besides wins. Rows: fixtures/errors."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire.errors import scripted
from mockserver.wire.errors.scripted import from_script

INVALID = "invalid_request_error"


@pytest.mark.parametrize("code", scripted.BY_CODE)
def test_every_named_error_has_its_own_code(code: str) -> None:
    error = from_script({"code": code})
    assert error.code == code
    assert 400 <= error.status < 600
    assert error.message


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"code": "credit_balance_exhausted"}, (429, "insufficient_quota", None, "credit_balance_exhausted")),
        ({}, (500, "server_error", None, "server_error")),
        ({"status": 429}, (429, "tokens", None, "rate_limit_exceeded")),
        ({"status": 503}, (503, "service_unavailable_error", None, "server_is_overloaded")),
        ({"status": 418}, (418, INVALID, None, None)),
        ({"status": 599}, (599, "server_error", None, None)),
        ({"code": "bogus"}, (400, INVALID, None, "bogus")),
        ({"code": "bogus", "status": 502}, (502, "server_error", None, "bogus")),
        ({"code": "slow_down", "status": 503, "type": "t", "param": "p"}, (503, "t", "p", "slow_down")),
        ({"code": "conversation_locked", "param": None}, (400, INVALID, None, "conversation_locked")),
        ({"status": 500, "code": None}, (500, "server_error", None, None)),
    ],
)
def test_errors_by_script(spec: dict[str, Any], expected: tuple[int, str, str | None, str | None]) -> None:
    error = from_script(spec)
    assert (error.status, error.type, error.param, error.code) == expected
    assert error.message


def test_a_script_may_say_everything() -> None:
    error = from_script({"code": "server_error", "message": "boom", "headers": {"retry-after": "1"}})
    assert (error.message, error.headers) == ("boom", {"retry-after": "1"})
    assert from_script({"code": "server_error"}).headers == {}


@pytest.mark.parametrize("name", scripted.BY_NAME)
def test_a_name_of_ours_never_reaches_the_client_as_code(name: str) -> None:
    error = from_script({"code": name})
    assert name not in scripted.BY_CODE
    assert error.code != name
    assert 400 <= error.status < 500
    assert from_script({"code": name, "message": "m", "param": "p"}).code == error.code


def test_the_model_of_the_request_is_named() -> None:
    for name in ("rate_limit_exceeded", "requests_per_minute", "request_too_large", "hosted_tool_unsupported"):
        assert "gpt-4o-mini" in from_script({"code": name}, "gpt-4o-mini").message
