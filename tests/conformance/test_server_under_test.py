"""The subject of the rules: claims say what was expected and found; calls that fail say what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.conformance import expected_errors
from mockserver.conformance.drivers import EngineDriver
from mockserver.conformance.server_under_test import NotObservable, ServerUnderTest, call_of, short, text_of, user


@pytest.fixture
def s() -> ServerUnderTest:
    return ServerUnderTest(EngineDriver(), "gpt-4.1")


def said(check: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        check(*args, **kwargs)
    return str(caught.value)


def test_claims(s: ServerUnderTest) -> None:
    s.check_equal("a", 1, 1)
    s.check("b", [0])
    s.check_members("c", {"d": None, "e": 2}, d=None)
    assert s.claims == ["a: 1", "b", "c.d: null"]
    assert said(s.check_equal, "a", 1, 2) == "a: expected 2, found 1"
    assert said(s.check, "b", [], found={"x": 1}) == 'not so: b; found {"x":1}'
    assert said(s.check_members, "c", {}, d=None) == "c.d: expected null, found (no such member)"


def test_calls_that_should_have_worked(s: ServerUnderTest) -> None:
    message = said(s.create, max_output_tokens=1)
    assert message.startswith('POST /responses {"model":"gpt-4.1","input":"ping","max_output_tokens":1}: expected 200')
    assert "found 400" in message and "integer below minimum value" in message
    assert "limit=0" in said(s.call_ok, "GET", "/conversations/conv_x/items", limit="0")
    assert "did not answer with events" in said(ServerUnderTest.stream, Deaf(EngineDriver(), "gpt-4.1"))


class Deaf(ServerUnderTest):
    """A server that does not stream."""

    def create(self, input: Any = "ping", **fields: Any) -> Any:
        return {"id": "resp_1"}


def test_refusals_are_compared_member_by_member(s: ServerUnderTest) -> None:
    error = expected_errors.too_small("max_output_tokens", 16, 1)
    s.check_create_refused(error, max_output_tokens=1)
    assert "found 200" in said(s.check_create_refused, error)
    assert "E24 has code 'other'" in said(s.check_create_refused, error._replace(code="other"), max_output_tokens=1)
    assert "E24 has message" in said(
        s.check_create_refused, error._replace(message="other", guessed=("message",)), max_output_tokens=1
    )


def test_guesses_are_not_asked_of_other_servers() -> None:
    driver = EngineDriver()
    driver.controls = False
    foreign = ServerUnderTest(driver, "gpt-4.1")
    error = expected_errors.too_small("max_output_tokens", 16, 1)
    foreign.check_create_refused(error._replace(message="other", guessed=("message",)), max_output_tokens=1)
    assert "E24 has code" in said(foreign.check_create_refused, error._replace(code="other"), max_output_tokens=1)


def test_what_the_model_saw(s: ServerUnderTest) -> None:
    first = s.create("one")
    second = s.chain(first, "two")
    s.check_context(second, "one", *first["output"], "two")
    assert "the context that the model saw" in said(s.check_context, second, "two")
    s.driver.controls = False  # type: ignore[misc]
    s.check_context(second, "one", *first["output"], "two")
    assert "the same items replayed" in said(s.check_context, second, "two")


def test_servers_without_counting(s: ServerUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "call", lambda *args, **kwargs: EngineDriver().call("GET", "/responses/a/b"))
    assert "expected 200, found 404" in said(s.count, input="x")
    s.driver.controls = False  # type: ignore[misc]
    with pytest.raises(NotObservable, match="input_tokens"):
        s.count(input="x")


def test_texts() -> None:
    assert text_of(user("a")) == "a"
    assert text_of({"type": "message", "content": [{"text": "a"}, {"refusal": "b"}, {"image_url": "c"}]}) == "ab"
    assert [text_of({"type": "x", **one}) for one in ({"output": "o"}, {"name": "n"}, {})] == ["o", "n", "x"]
    assert short("x" * 500) == "x" * 159 + "…"
    assert "holds no function_call" in said(call_of, {"output": []})
