"""What a server can't do at all is found out once: by routes that nobody serves, and by requests that are ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.conformance.capabilities import Probe, needed, terms_of
from mockserver.conformance.drivers import NO_ANSWER, NOON, Answer, EngineDriver
from mockserver.conformance.terms import CAPABILITIES, STATE
from mockserver.engine.engine import Engine
from tests.support.foreign import Foreign

NO_ROUTE = Answer(404, {"detail": "Not Found"})


def lacks(broken: Callable[[str, str, Any], Answer | None] = lambda *call: None, model: str = "echo") -> dict[str, str]:
    with Foreign(broken, model=model) as server:
        return dict(Probe(server, "gpt-4.1").run())


def test_a_server_that_can_do_everything_lacks_nothing() -> None:
    assert lacks() == {}


def test_a_model_that_is_no_echo_is_told() -> None:
    assert lacks(model="default").keys() == {"echo model"}


@pytest.mark.parametrize(
    ("capability", "method", "suffix"),
    [
        ("get", "GET", ""),
        ("delete", "DELETE", ""),
        ("input items", "GET", "/input_items"),
        ("count", "POST", "/input_tokens"),
        ("compact", "POST", "/compact"),
        ("conversations", "POST", "/conversations"),
    ],
)
@pytest.mark.parametrize("answer", [NO_ROUTE, Answer(405, None), Answer(501, None), Answer(NO_ANSWER, "broken off")])
def test_a_route_that_nobody_serves_is_a_capability_that_is_missing(
    capability: str, method: str, suffix: str, answer: Answer
) -> None:
    def broken(asked: str, path: str, body: Any) -> Answer | None:
        if path == "/responses/a/b/c/d":
            return NO_ROUTE
        last = "/" + path.rpartition("/")[2]
        bare = suffix == "" and path.startswith("/responses/resp_") and path.count("/") == 2
        return answer if asked == method and (bare or last == suffix) else None

    found = lacks(broken)
    assert found.keys() == {capability}
    assert "resp_" not in found[capability] and found[capability].startswith(f"{method} /")


def test_an_error_about_the_id_is_no_missing_route() -> None:
    def broken(asked: str, path: str, body: Any) -> Answer | None:
        about = Answer(404, {"error": {"message": "Response with id 'resp_x' not found."}})
        return about if asked == "GET" and path.startswith("/responses/resp_") else None

    assert lacks(broken) == {}


def test_what_is_ignored_is_missing() -> None:
    def broken(asked: str, path: str, body: Any) -> Answer | None:
        ignored = ("background", "context_management", "tools")
        if path != "/responses" or not any(name in body for name in ignored):
            return None
        return Answer(200, {"id": "resp_1", "status": "completed", "output": []})

    assert lacks(broken).keys() == {"background", "compaction", "tools"}


@pytest.mark.parametrize("answer", [Answer(200, "<html>"), Answer(500, {"error": {}}), Answer(200, {"id": 7})])
def test_a_server_that_makes_no_response_is_left_to_the_rules(answer: Answer) -> None:
    assert lacks(lambda *call: answer) == {}


def test_the_mock_lacks_nothing_and_is_not_asked() -> None:
    engine = EngineDriver(Engine(Settings(clock=NOON)))
    terms, why = terms_of(engine, "gpt-4.1", STATE)
    assert (terms.profile, terms.lacks, why) == (STATE, frozenset(), {})
    engine.close()


def test_the_terms_of_another_server_have_what_it_lacks() -> None:
    with Foreign(model="default") as server:
        terms, why = terms_of(server, "gpt-4.1", STATE)
    assert terms.lacks == {"echo model", "websocket"} == why.keys()
    assert terms.lacks <= CAPABILITIES.keys()


@pytest.mark.parametrize(
    ("method", "path", "body", "capability"),
    [
        ("POST", "/responses", {"input": "x"}, None),
        ("POST", "/responses", None, None),
        ("POST", "/responses", {"background": True}, "background"),
        ("POST", "/responses", {"conversation": "conv_1"}, "conversations"),
        ("POST", "/responses", {"context_management": [{}]}, "compaction"),
        ("POST", "/responses", {"tools": [{}], "tool_choice": "required"}, "tools"),
        ("POST", "/responses", {"tools": [{}], "tool_choice": "none"}, None),
        ("POST", "/responses/resp_1", {"metadata": {}}, None),
        ("POST", "/responses/resp_1/cancel", None, "background"),
        ("POST", "/responses/input_tokens", {}, "count"),
        ("POST", "/responses/compact", {}, "compact"),
        ("GET", "/responses/resp_1", None, "get"),
        ("DELETE", "/responses/resp_1", None, "delete"),
        ("GET", "/responses/resp_1/input_items", None, "input items"),
        ("GET", "/conversations/conv_1/items", None, "conversations"),
    ],
)
def test_what_a_call_needs(method: str, path: str, body: Any, capability: str | None) -> None:
    assert needed(method, path, body) == capability
