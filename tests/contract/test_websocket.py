"""WebSocket mode with the real client: `client.responses.connect()`, sync and async, lanes, sessions, reconnection."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib.responses_websocket import (
    AsyncResponsesWebSocketSession,
    ResponsesWebSocketError,
    ResponsesWebSocketLimits,
    ResponsesWebSocketSession,
)
from openai.types.responses import ResponsesServerEvent
from pydantic import TypeAdapter

from tests.support.serving import KEY, PATIENCE_S, Served, serving
from tests.support.sockets import served

# what the client does with its WebSocket library, not what we do
pytestmark = pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")
MODEL = "gpt-5.6-terra"
LIMITS = ResponsesWebSocketLimits(
    max_lanes=33, max_events_per_lane=10_000, max_events=100_000, max_bytes_per_lane=10**7, max_bytes=10**8
)
EVENT: TypeAdapter[Any] = TypeAdapter(ResponsesServerEvent)
CALL = {"type": "function_call", "name": "f", "arguments": {}}
TOOLS: list[Any] = [
    {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
]
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


@pytest.fixture(scope="module")
def mock() -> Iterator[Served]:
    """The whole product, as users run it."""
    with serving() as served:
        yield served


@pytest.fixture
def client(mock: Served) -> OpenAI:
    """A client without proxies of this machine."""
    return OpenAI(base_url=mock.base_url, api_key=KEY)


def create(connection: Any, input: Any, **fields: Any) -> None:
    connection.response.create(model=MODEL, input=input, **fields)


def final(connection: Any, *, ends: tuple[str, ...] = TERMINAL) -> Any:
    """Read events up to a terminal one; each must be of its type, strictly."""
    for event in connection:
        EVENT.validate_python(event.model_dump(mode="json", exclude_unset=True))
        if event.type in ends:
            return event.response
    raise AssertionError("the connection ended")


def test_a_chain_of_unstored_turns(client: OpenAI) -> None:
    """Spec: R4.1, R4.3, R4.5, R4.6, X1, X2."""
    with client.responses.connect() as connection:
        create(connection, "one", store=False)
        first = final(connection)
        create(connection, "two", store=False, previous_response_id=first.id)
        second = final(connection)
        assert second.output_text == "Mock reply to: two [4 items in context]"
        create(connection, "again", previous_response_id=first.id)
        error = next(iter(connection))
        assert error.type == "error"
        assert (error.status, error.error.code) == (400, "previous_response_not_found"), "WE1"
        create(connection, "goes on")
        assert final(connection).status == "completed", "X11"


def test_errors_reach_handlers(client: OpenAI) -> None:
    """Spec: R4.13, R4.18, WE5."""
    with client.responses.connect() as connection:
        seen: list[Any] = []

        def note(event: Any) -> None:
            seen.append(event)
            connection.close()

        connection.on("error", note)
        create(connection, "x", temperature=7)
        connection.dispatch_events()
    assert seen[0].error.param == "temperature"
    assert seen[0].status == 400


def test_frames_before_the_connection_is_open_are_sent(client: OpenAI) -> None:
    manager = client.responses.connect()
    manager.send({"type": "response.create", "model": MODEL, "input": "early"})
    with manager as connection:
        assert final(connection).output_text.startswith("Mock reply to: early")


@pytest.mark.parametrize("options", [{}, {"compression": "deflate"}])
def test_asynchronously_with_and_without_compression(mock: Served, options: dict[str, Any]) -> None:
    """Spec: X1."""

    async def run() -> str:
        client = AsyncOpenAI(base_url=mock.base_url, api_key=KEY)
        async with client.responses.connect(websocket_connection_options=options) as connection:
            await connection.response.create(model=MODEL, input="hi", generate=False)
            warm = None
            async for event in connection:
                if event.type == "response.completed":
                    warm = event.response
                    break
            assert warm is not None
            assert warm.output == [], "R4.4"
            await connection.response.create(model=MODEL, input="go", previous_response_id=warm.id)
            async for event in connection:
                if event.type == "response.completed":
                    return event.response.output_text
        raise AssertionError

    assert asyncio.run(run()) == "Mock reply to: go [2 items in context]"


def test_a_session_of_lanes(client: OpenAI) -> None:
    """Spec: R4.9, R4.11, X9."""
    with client.responses.connect() as connection, ResponsesWebSocketSession(connection, limits=LIMITS) as session:
        main, fork = session.lane("main"), session.lane("fork")
        main.send({"type": "response.create", "model": MODEL, "input": "one", "stream_id": "main", "store": False})
        first = main.get_final_response(timeout=120)
        asked = {"type": "response.create", "model": MODEL, "store": False, "previous_response_id": first.id}
        fork.send({**asked, "input": "fork", "stream_id": "fork"})  # type: ignore[typeddict-item]
        while fork.recv(timeout=120).type != "response.in_progress":
            pass  # until then the parent is not captured, and the main lane must not move on
        main.send({**asked, "input": "main", "stream_id": "main"})  # type: ignore[typeddict-item]
        texts = [lane.get_final_response(timeout=120).output_text for lane in (main, fork)]
        assert texts == [f"Mock reply to: {name} [4 items in context]" for name in ("main", "fork")]
        main.send({"type": "response.create", "model": "none", "input": "x", "stream_id": "main"})
        with pytest.raises(ResponsesWebSocketError):
            main.get_final_response(timeout=120)


def test_an_asynchronous_session(mock: Served) -> None:
    """Spec: R4.9, X9."""

    async def run() -> list[str]:
        client = AsyncOpenAI(base_url=mock.base_url, api_key=KEY)
        async with (
            client.responses.connect() as connection,
            AsyncResponsesWebSocketSession(connection, limits=LIMITS) as session,
        ):
            lanes = {name: session.lane(name) for name in ("a", "b", "c")}
            for name, lane in lanes.items():
                await lane.send({"type": "response.create", "model": MODEL, "input": name, "stream_id": name})
            return [(await lane.get_final_response()).output_text for lane in lanes.values()]

    assert asyncio.run(run()) == [f"Mock reply to: {name} [1 items in context]" for name in "abc"]


def test_steering_with_required_input(mock: Served, client: OpenAI) -> None:
    """Spec: R4.16."""
    line = {"reply": {"output": [CALL]}, "pacing": {"first_token": 0.02, "tokens_per_second": 5}}
    mock.control("POST", "/script", {"lines": [line]})
    with client.responses.connect() as connection:
        connection.response.create(model="gpt-6-astra", input="work", tools=TOOLS, store=False)
        seen: dict[str, Any] = {}
        for event in connection:
            seen[event.type] = event
            if event.type == "response.output_item.added":
                connection.response.steer(
                    previous_response_id=seen["response.created"].response.id, input="and quickly"
                )
            elif event.type == "response.steer.pending":
                break
        assert "response.steer.accepted" in seen
        pending = seen["response.steer.pending"]
        assert pending.reason == "waiting_for_required_input"
        (stub,) = pending.required_input
        filled = {"type": stub.type, "call_id": stub.call_id, "output": "42"}
        parent = pending.steer.previous_response_id
        connection.response.create(model="gpt-6-astra", input=[filled], previous_response_id=parent, tools=TOOLS)
        assert final(connection).output_text == "Mock reply to: and quickly [4 items in context]"
        connection.response.steer(previous_response_id=parent, input="too late")
        failed = next(iter(connection))
        assert failed.type == "response.steer.failed"
        assert failed.error.code == "response_already_completed"
        EVENT.validate_python(failed.model_dump(mode="json", exclude_unset=True))


def test_recovery_after_a_restart() -> None:
    """Spec: R4.14, R4.19: 1012 is recovered from, a stored response is continued, an unstored one is gone."""
    events: list[Any] = []
    ended = threading.Event()

    def reconnecting(event: Any) -> None:
        events.append(event)
        ended.set()

    with served() as place:
        client = OpenAI(base_url=f"http://127.0.0.1:{place.port}/v1", api_key=KEY)
        connection = client.responses.connect(on_reconnecting=reconnecting, initial_delay=0.2).enter()
        create(connection, "one", store=False)
        first = final(connection)
        port = place.port
    with served(port=port):
        create_after(ended, connection, "two", previous_response_id=first.id)
        error = next(iter(connection))
        assert error.type == "error"
        assert error.error.code == "previous_response_not_found"
        create(connection, "three", previous_response_id=None)
        assert final(connection).output_text.startswith("Mock reply to: three")
        connection.close()
    assert [event.close_code for event in events] == [1012]


def create_after(ended: threading.Event, connection: Any, input: str, **fields: Any) -> None:
    """Send once the client has noticed that its connection ended; reading makes it connect again."""

    def later() -> None:
        assert ended.wait(PATIENCE_S)
        create(connection, input, **fields)

    threading.Thread(target=later, daemon=True).start()


OLD = Path(__file__).with_name("websocket_old.py")


def test_the_older_client(mock: Served, clients: Mapping[int, Path]) -> None:
    """Spec: X1: it offers compression, and its frames are read all the same."""
    done = subprocess.run(
        [str(clients[2]), str(OLD), mock.base_url], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "Mock reply to: two [3 items in context]"
