"""Where a request goes upstream, and what is said when nothing comes back."""

from __future__ import annotations

import logging

import httpx
import pytest

from mockserver.config.settings import Settings
from proxy.target import Target, describe_failure, describe_request


def scope(path: str, query: str = "", **more: str) -> dict[str, object]:
    """A request's scope."""
    return {"raw_path": path.encode(), "query_string": query.encode(), **more}


@pytest.mark.parametrize(
    ("base", "asked", "target"),
    [
        ("http://up.test/v1", scope("/v1/responses", "a=%2F&b"), b"/v1/responses?a=%2F&b"),
        ("http://up.test/v1/", scope("/v1/responses"), b"/v1/responses"),
        ("http://up.test/openai/v9", scope("/v1/a;b%2Fc"), b"/openai/v9/a;b%2Fc"),
        ("http://up.test/openai/v9", scope("/v1beta"), b"/v1beta"),
        ("http://up.test", scope("/v1"), b"/"),
    ],
)
def test_target(base: str, asked: dict[str, object], target: bytes) -> None:
    assert Target(Settings(upstream=base)).request_target(asked) == target


def test_host_and_key() -> None:
    target = Target(Settings(upstream="https://up.test:8443/v1", upstream_api_key="sk-real"))
    assert (target.host, target.authorization) == (b"up.test:8443", b"Bearer sk-real")
    assert Target(Settings(upstream="https://up.test/v1")).authorization is None
    with pytest.raises(ValueError):
        Target(Settings())


def test_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    target = Target(Settings(upstream="https://up.test/v1"))
    with caplog.at_level(logging.WARNING):
        broken = target.report_failure(scope("/v1/x", "key=sk-1", method="GET"), httpx.ConnectError("a\nb."))
        slow = target.report_failure(scope("/v1/x", "key=sk-1"), TimeoutError())
    assert (broken.status, slow.status) == (502, 504)
    assert broken.message == "The upstream https://up.test gave no answer: ConnectError: a b."
    assert "GET /v1/x" in caplog.messages[0] and "WebSocket /v1/x" in caplog.messages[1] and "sk-" not in caplog.text


def test_descriptions_are_one_line_without_the_query() -> None:
    assert describe_request(scope("/v1/x", "secret")) == "WebSocket /v1/x"
    assert len(describe_failure(ValueError("x" * 999))) == 300
