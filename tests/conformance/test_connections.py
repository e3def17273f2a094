"""Connections that a rule holds: they show the same in process and over a network, and all their ends are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from mockserver.conformance import held_turns
from mockserver.conformance.connections import Connections, Refused, connections_of, read_until
from mockserver.conformance.drivers import EngineDriver, HTTPDriver
from mockserver.conformance.recorder import Recorder
from mockserver.conformance.registry import UPSTREAM, Rule, fixed_rules
from mockserver.conformance.runner import PASSED, judge
from mockserver.conformance.server_under_test import NotObservable, ServerUnderTest
from mockserver.conformance.socket_under_test import open_socket
from mockserver.conformance.terms import CONTRACT, STATE, Terms
from mockserver.conformance.upstream import Upstream
from tests.support.foreign import Foreign
from tests.support.serving import KEY, Served, serving

ASK: dict[str, Any] = {"model": "gpt-4.1", "input": "ping"}
CREATE = {**ASK, "type": "response.create"}
STREAM = {**ASK, "stream": True}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--model", "echo") as running:
        yield running


def opened(driver: Any) -> Connections:
    connections = connections_of(driver)
    assert connections is not None
    return connections


@pytest.fixture(params=["engine", "network"])
def connections(request: pytest.FixtureRequest, served: Served) -> Iterator[Connections]:
    driver = EngineDriver() if request.param == "engine" else HTTPDriver(served.base_url, KEY)
    yield opened(Recorder(driver))
    driver.close()


def test_frames_of_a_socket(connections: Connections) -> None:
    socket = connections.open_socket()
    socket.send(CREATE)
    frames = read_until(socket.receive, lambda found: found[-1]["type"] == "response.completed")
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    socket.send("{not json")
    assert socket.receive()["type"] == "error"
    assert socket.ping()
    with pytest.raises(AssertionError, match="no further frame"):
        socket.receive(0.01)
    socket.close()


def test_events_of_a_stream(connections: Connections) -> None:
    stream = connections.open_stream(STREAM)
    begun = read_until(stream.read, lambda found: len(found) == 2)
    assert [event["type"] for event in begun] == ["response.created", "response.in_progress"]
    with pytest.raises(AssertionError, match=r"it ends after .*'response.completed'"):
        read_until(stream.read, lambda found: False)
    stream.drop()
    refused = connections.open_stream({**STREAM, "max_output_tokens": 1})
    with pytest.raises(AssertionError, match="no stream but 400"):
        refused.read()
    refused.drop()


def test_bytes_are_those_of_a_network(served: Served) -> None:
    driver = HTTPDriver(served.base_url, KEY)
    answer = opened(driver).fetch("POST", "/responses", ASK)
    assert (answer.status, answer.body[:1]) == (200, b"{")
    assert answer.headers["content-type"] == "application/json"
    driver.close()
    with pytest.raises(NotImplementedError):
        opened(EngineDriver()).fetch("GET", "/models")


def test_a_server_that_is_not_there() -> None:
    nowhere = opened(HTTPDriver("http://127.0.0.1:9/v1", timeout_s=2))
    with pytest.raises(Refused, match="the handshake fails: Connect") as caught:
        nowhere.open_socket()
    assert caught.value.status == 0
    for call in (lambda: nowhere.fetch("GET", "/models"), lambda: nowhere.open_stream(STREAM)):
        with pytest.raises(AssertionError, match="ConnectError"):
            call()


def test_a_handshake_that_is_refused(served: Served) -> None:
    driver = HTTPDriver(served.base_url, KEY)
    with pytest.raises(Refused, match="the handshake answers 404") as caught:
        opened(driver).open_socket(path="/responses/a/b")
    assert caught.value.status == 404
    s = ServerUnderTest(driver, "gpt-4.1")
    with pytest.raises(AssertionError, match="the handshake answers 404"):
        open_socket(s, path="/responses/a/b")
    driver.close()


@contextmanager
def answering(*frames: str, close: bool = False) -> Iterator[ServerUnderTest]:
    """A foreign server that answers each frame with these, and may close then."""

    def talk(socket: ServerConnection) -> None:
        for _ in socket:
            for frame in frames:
                socket.send(frame)
            if close:
                return

    with serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        driver = HTTPDriver(f"http://127.0.0.1:{server.socket.getsockname()[1]}", timeout_s=30)
        yield ServerUnderTest(driver, "gpt-4.1", Terms(STATE))
        driver.close()
        server.shutdown()
        thread.join()


def test_frames_that_are_no_objects_and_a_socket_that_closes() -> None:
    with answering("[]", "nonsense", close=True) as s:
        socket = open_socket(s)
        socket.send()
        assert [socket.wire.receive()["type"] for _ in range(2)] == ["unreadable"] * 2
        with pytest.raises(AssertionError, match="no further frame: ConnectionClosed"):
            socket.wire.receive()
        with pytest.raises(AssertionError, match="the socket is closed"):
            socket.send()
        s.clean_up()


def test_a_turn_that_ends_with_an_error_alone() -> None:
    with answering('{"type":"response.created"}', '{"type":"error"}', close=True) as s:
        socket = open_socket(s)
        socket.send()
        assert [frame["type"] for frame in socket.read_turn()] == ["response.created", "error"]
        s.clean_up()


def test_a_turn_that_fails_is_not_a_response() -> None:
    with answering('{"type":"error","status":500}') as s:
        with pytest.raises(AssertionError, match="expected a response, found"):
            open_socket(s).create()
        s.clean_up()


def test_a_driver_without_connections_shows_nothing() -> None:
    with Foreign() as server, pytest.raises(NotObservable, match="needs connections"):
        _ = ServerUnderTest(server, "gpt-4.1").connections


def test_what_a_server_lacks_is_not_sent_over_a_socket(served: Served) -> None:
    driver = HTTPDriver(served.base_url, KEY)
    s = ServerUnderTest(driver, "gpt-4.1", Terms(lacks=frozenset({"conversations"})))
    with pytest.raises(NotObservable, match="no conversations"):
        open_socket(s).send(conversation="conv_1")
    s.clean_up()
    driver.close()


def test_a_recorder_knows_what_no_script_tells(served: Served) -> None:
    recorder = Recorder(HTTPDriver(served.base_url, KEY))
    s = ServerUnderTest(recorder, "gpt-4.1")
    s.create()
    assert recorder.whole
    s.connections.open_socket().close()
    assert not recorder.whole
    recorder.begin()
    assert (recorder.whole, recorder.calls) == (True, [])
    recorder.close()


def test_a_look_for_a_model_is_no_call_of_the_rule() -> None:
    recorder = Recorder(EngineDriver())
    compacted = next(rule for rule in fixed_rules() if rule.id == "R5.8")
    assert compacted.models and judge(compacted, recorder).verdict == PASSED
    assert recorder.calls[0].path == "/responses/compact"
    recorder.close()


def test_waiting_for_what_never_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_turns, "PATIENCE_S", 0.1)
    with pytest.raises(AssertionError, match=r"not so within 0\.1 seconds: it rains"):
        held_turns.poll("it rains", lambda: False)


# --- a foreign server whose model is a mock of ours -------------------------------------------------------------------


class Abroad(HTTPDriver):
    """The mock as a server of others, which shows no controls and has one project."""

    def _has_controls(self) -> bool:
        return False


HELD = [
    rule
    for rule in fixed_rules()
    if ({*UPSTREAM, "websocket"} & {*rule.needs} or rule.id == "R6.7") and "clock" not in rule.needs
]
COUNTED = [rule for rule in fixed_rules() if {*rule.ids} & {"R1.29", "R1.40", "R8.4", "R8.5", "R11.10", "R12.6"}]


@pytest.fixture(scope="module")
def abroad(served: Served) -> Iterator[Callable[..., Any]]:
    upstream = Upstream(f"http://{KEY}-abroad@127.0.0.1:{served.port}")
    driver = Abroad(served.base_url, f"{KEY}-abroad")

    def run(rule: Rule, profile: str, *lacks: str) -> Any:
        return judge(rule, driver, terms=Terms(profile, frozenset(lacks), upstream))

    yield run
    driver.close()
    upstream.close()


@pytest.mark.parametrize("profile", [STATE, CONTRACT])
@pytest.mark.parametrize("rule", HELD, ids=lambda rule: rule.id)
def test_the_model_of_a_foreign_server_is_held(rule: Rule, profile: str, abroad: Callable[..., Any]) -> None:
    verdict = abroad(rule, profile)
    assert verdict.verdict == PASSED, f"{rule.id}: {verdict.evidence}"


@pytest.mark.parametrize("rule", COUNTED, ids=lambda rule: rule.id)
def test_what_a_server_does_not_count_its_model_counts(rule: Rule, abroad: Callable[..., Any]) -> None:
    verdict = abroad(rule, CONTRACT, "count")
    assert verdict.verdict == PASSED, f"{rule.id}: {verdict.evidence}"


def test_an_upstream_that_can_not_count_is_told(served: Served) -> None:
    upstream = Upstream(f"http://{KEY}@127.0.0.1:{served.port}")
    with pytest.raises(LookupError, match="counting: 400"):
        upstream.count({"input": 5})
    with Foreign() as server:
        s = ServerUnderTest(server, "gpt-4.1", Terms(lacks=frozenset({"count"}), upstream=upstream))
        with pytest.raises(NotObservable, match="can't count these items: counting: 4"):
            s.cost([{"type": "item_reference", "id": "msg_unknown"}])
    upstream.close()
