"""A fault acts on every way into the engine, and every way leaves an entry in the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mockserver import Mock
from mockserver.config.settings import Settings
from mockserver.conformance.drivers import NO_ANSWER, EngineDriver
from mockserver.delivery.events import Cut
from mockserver.engine.engine import Engine
from mockserver.websocket.playback import Playback
from mockserver.websocket.session import WebSocketSession
from mockserver.wire.errors.api import APIError
from tests.support.driving import NOON

BODY = b'{"model":"gpt-4.1","input":"hi","stream":true}'
CUT = [{"do": "cut", "at": {"event": "response.created"}}]


def plain(engine: Engine) -> bool:
    return engine.create_response("default", BODY).steps[-1] == Cut()


def driver(engine: Engine) -> bool:
    return EngineDriver(engine).call("POST", "/responses", {"model": "gpt-4.1", "input": "hi", "stream": True})[:2] == (
        NO_ANSWER,
        "the connection was broken off",
    )


def driver_socket(engine: Engine) -> bool:
    answer = EngineDriver(engine).create_over_socket({"model": "gpt-4.1", "input": "hi"})
    return [event["type"] for event in answer.events or ()] == ["response.created"]


def socket(engine: Engine) -> bool:
    connection = WebSocketSession(engine, "default")
    (playback,) = connection.receive(b'{"type":"response.create","model":"gpt-4.1","input":"hi"}')
    assert isinstance(playback, Playback)
    connection.advance(playback)
    return connection.advance(playback) == Cut()


WAYS: dict[str, Callable[[Engine], bool]] = {
    "create_response": plain,
    "EngineDriver": driver,
    "EngineDriver over a socket": driver_socket,
    "a socket's session": socket,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_cut_cuts(way: str) -> None:
    engine = Engine(Settings(clock=NOON))
    engine.control.set_faults("default", CUT)
    assert WAYS[way](engine)
    assert engine.control.faults("default")["faults"][0]["used"] == 1
    (exchange,) = engine.control.journal("default")["data"]
    assert exchange["faults"] == ["cut"] and exchange["path"] == "/v1/responses" and exchange["status"] == 200
    engine.control.set_faults("default", [])
    assert not WAYS[way](engine)


def test_a_cut_cuts_in_process() -> None:
    with Mock() as mock:
        mock.faults.set(CUT)
        client = httpx.Client(transport=mock.transport(), base_url="http://mock")
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/v1/responses", content=BODY)
        assert mock.journal.last.faults == ["cut"] and mock.journal.last.ended == "cut"


@pytest.mark.parametrize("do", ["error", "delay"])
def test_errors_and_delays_of_a_plain_call(do: str) -> None:
    engine = Engine(Settings(clock=NOON))
    value: Any = {"error": 503} if do == "error" else {"delay": 7}
    engine.control.set_faults("default", [{"do": value}])
    body = b'{"model":"gpt-4.1","input":"hi"}'
    if do == "error":
        with pytest.raises(APIError) as caught:
            engine.create_response("default", body)
        assert caught.value.status == 503
    else:
        assert engine.create_response("default", body).steps[0] == (7,)
    assert [one["faults"] for one in engine.control.journal("default")["data"]] == [[do]]
