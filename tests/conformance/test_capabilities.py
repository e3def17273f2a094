"""What a server can't do at all is found out once: by routes that nobody serves, and by requests that are ignored."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.conformance import capabilities
from mockserver.conformance.capabilities import Probe, needed, terms_of
from mockserver.conformance.connections import Refused
from mockserver.conformance.drivers import NO_ANSWER, NOON, Answer, EngineDriver
from mockserver.conformance.terms import CAPABILITIES, STATE
from mockserver.engine.engine import Engine
from tests.support.foreign import Foreign

SOCKETS = ("websocket", "steering")
NO_ROUTE = Answer(404, {"detail": "Not Found"})


def lacks(broken: Callable[[str, str, Any], Answer | None] = lambda *call: None, model: str = "echo") -> dict[str, str]:
    """What a server lacks besides connections, which `Foreign` has none of."""
    with Foreign(broken, model=model) as server:
        return {name: why for name, why in Probe(server, "gpt-4.1").run().items() if name not in SOCKETS}


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
    assert terms.lacks == {"echo model", *SOCKETS} == why.keys()
    assert terms.lacks <= CAPABILITIES.keys()


class Elsewhere(EngineDriver):
    """The mock without its controls."""

    controls = False


def test_a_server_with_websockets_that_steers_lacks_neither() -> None:
    engine = Elsewhere(Engine(Settings(clock=NOON, model="echo")))
    assert Probe(engine, "gpt-4.1").run() == {}
    engine.close()


class Wire:
    """A socket that answers each frame with one of these, and with nothing once there are none."""

    handshake = None

    def __init__(self, *frames: dict[str, Any]) -> None:
        self.frames, self.closed = [*frames], False

    def send(self, frame: Any) -> None:
        """Take a frame."""

    def receive(self, seconds: float | None = None) -> dict[str, Any]:
        if not self.frames:
            raise AssertionError("no further frame")
        return self.frames.pop(0)

    def ping(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


END = {"type": "response.completed"}


@pytest.mark.parametrize(
    ("frames", "missing"),
    [
        ([], {"websocket": "no further frame", "steering": "no further frame"}),
        ([END], {"steering": "response.steer: no further frame"}),
        ([END, {"type": "error"}], {"steering": "response.steer answers error"}),
        ([END, {"type": "response.steer.failed"}], {}),
    ],
)
def test_a_handshake_alone_is_no_websocket_mode(
    frames: list[dict[str, Any]], missing: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(*frames)
    connections = SimpleNamespace(open_socket=lambda: wire)
    monkeypatch.setattr(capabilities, "connections_of", lambda driver: connections)
    with Foreign() as server:
        probe = Probe(server, "gpt-4.1")
        probe.expect_socket()
    assert (probe.lacks, wire.closed) == (missing, True)


def test_a_handshake_that_is_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise Refused("the handshake answers 403", 403)

    monkeypatch.setattr(capabilities, "connections_of", lambda driver: SimpleNamespace(open_socket=refuse))
    with Foreign() as server:
        probe = Probe(server, "gpt-4.1")
        probe.expect_socket()
    assert probe.lacks == dict.fromkeys(SOCKETS, "the handshake answers 403")


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
