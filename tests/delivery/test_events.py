"""From a terminal response to its events and back: endings, errors, folds. Spec: S8, S9, S12, R6.2, R7.3."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.delivery.events import events_of, fold
from mockserver.wire.responses.events import Event
from tests.support.driving import Driver


@pytest.fixture(scope="module")
def final() -> dict[str, Any]:
    return Driver().create("hello")


def failed(final: dict[str, Any], code: str, **switches: str) -> list[Event]:
    """Return the stream of a response that failed before it said anything."""
    ended = {"status": "failed", "output": [], "usage": None, "completed_at": None}
    error = {"code": code, "message": "m"}
    return events_of({**final, **ended, "error": error}, list, obfuscate=False, **switches)  # type: ignore[arg-type]


def kinds(stream: list[Event]) -> list[str]:
    return [event["type"] for event in stream]


# Spec: S12.2; the types are those of E54 and E93 to E98
@pytest.mark.parametrize(
    ("code", "type", "param"),
    [
        ("insufficient_quota", "insufficient_quota", None),
        ("rate_limit_exceeded", "tokens", None),
        ("context_length_exceeded", "invalid_request_error", "input"),
        ("server_is_overloaded", "service_unavailable_error", None),
        ("server_error", "server_error", None),
        ("slow_down", "rate_limit_error", None),
        ("invalid_prompt", "invalid_request_error", None),
    ],
)
def test_S12_1_an_error_comes_before_the_failure(
    final: dict[str, Any], code: str, type: str, param: str | None
) -> None:
    stream = failed(final, code)
    assert kinds(stream) == ["response.created", "response.in_progress", "error", "response.failed"]
    error = {"type": type, "code": code, "message": "m", "param": param}
    assert stream[2] == {"type": "error", "error": error, "sequence_number": 2}
    assert list(stream[2]["error"]) == ["type", "code", "message", "param"]
    assert stream[3]["response"]["error"] == {"code": code, "message": "m"}, "S12.2"


def test_S12_a_flat_error_has_its_members_at_the_top(final: dict[str, Any]) -> None:
    error = failed(final, "slow_down", error_shape="flat")[2]
    assert error == {"type": "error", "code": "slow_down", "message": "m", "param": None, "sequence_number": 2}


@pytest.mark.parametrize(
    ("overflow", "ends"),
    [
        ("error_then_failed", ["error", "response.failed"]),
        ("error_only", ["error"]),
        ("failed_only", ["response.failed"]),
    ],
)
def test_R7_3_how_an_overflow_ends(final: dict[str, Any], overflow: str, ends: list[str]) -> None:
    opening = ["response.created", "response.in_progress"]
    assert kinds(failed(final, "context_length_exceeded", overflow=overflow)) == [*opening, *ends]
    assert kinds(failed(final, "server_error", overflow=overflow)) == [*opening, "error", "response.failed"], "S12.4"


def test_S12_5_a_cancelled_stream_ends_with_failed(final: dict[str, Any]) -> None:
    last = events_of({**final, "status": "cancelled"}, list, obfuscate=False)[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "cancelled")


def test_a_fold_without_what_has_only_begun() -> None:
    """Spec: R6.2: a poll finds the items that are done."""
    stream = Driver().stream("hello")
    begun = next(at for at, event in enumerate(stream) if event["type"] == "response.output_item.added") + 1
    assert [item["status"] for item in fold(stream[:begun])["output"]] == ["in_progress"]
    assert fold(stream[:begun], begun=False)["output"] == []
    assert fold(stream, begun=False) == fold(stream) == stream[-1]["response"]
