"""The invariant of every usage: what it refuses, where it is found. Spec: O2, R8.6, T13."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.conformance.drivers import Answer
from mockserver.conformance.server_under_test import ServerUnderTest
from mockserver.conformance.usage_invariants import check_usage, usages_of


def usage(read: int = 10, written: int = 5, *, total: int = 15, thought: int = 0, cached: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": total,
    }


@pytest.mark.parametrize("right", [usage(), usage(thought=5, cached=10)])
def test_a_usage_that_adds_up(right: dict[str, Any]) -> None:
    check_usage(right)


WRONG = {
    "total": usage(total=16),
    "reasoning": usage(thought=6),
    "negative": usage(thought=-1),
    "cache": usage(cached=11),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_one_that_does_not(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match=str(wrong["total_tokens"])):
        check_usage(wrong)


def test_where_usages_are() -> None:
    assert usages_of({"usage": usage()}) == [usage()]
    assert usages_of({"usage": None}) == usages_of([]) == usages_of(None) == []
    events = [{"response": {"usage": None}}, {"delta": "x"}, {"response": {"usage": usage()}}]
    assert usages_of(None, events) == [usage()]


class Careless:
    """A server whose sums are wrong, which a script may want."""

    controls = True

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        return Answer(200, {"object": "response", "usage": usage(total=1)})

    def control(self, method: str, path: str, body: Any = None) -> Any:
        return {}


def test_every_answer_of_the_server_under_test_is_checked() -> None:
    server: Any = Careless()
    with pytest.raises(AssertionError, match="O2"):
        ServerUnderTest(server, "gpt-4.1").create()


@pytest.mark.parametrize("reply", [{"usage": {"total_tokens": 1}}, {"response": {"usage": None}}])
def test_except_those_that_a_script_made(reply: dict[str, Any]) -> None:
    server: Any = Careless()
    subject = ServerUnderTest(server, "gpt-4.1")
    subject.script(reply)
    assert subject.create()["usage"]["total_tokens"] == 1
