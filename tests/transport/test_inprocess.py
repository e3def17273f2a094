"""Answers without a socket: the same as over one, for httpx and httpx2, sync and async, in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import httpx2
import openai
import pytest
import respx

from mockserver import Mock, MockError, error
from tests.support import virtual_time
from tests.support.driving import NOON

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
URL = "https://api.openai.com/v1"
HI = {"model": "gpt-4.1", "input": "hi"}
SLOW = {"reply": {"text": "one two three"}, "pacing": {"first_token": 0.1, "tokens_per_second": 20}}


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock(clock=NOON) as mock:
        yield mock


CALLS = [
    ("POST", "/v1/responses", HI),
    ("POST", "/v1/responses", {**HI, "stream": True}),
    ("POST", "/v1/responses", {"model": "nope", "input": "hi"}),
    ("POST", "/v1/responses", b"{"),
    ("POST", "/v1/responses", b"x" * 1001),
    ("POST", "/v1/conversations", {"metadata": {"a": "1"}}),
    ("GET", "/v1/responses/resp_1?include[]=reasoning.encrypted_content", None),
    ("GET", "/v1/models", None),
    ("HEAD", "/v1/models", None),
    ("GET", "/v1/na%20me", None),
    ("GET", "/_mock/clock", None),
]


def answers(client: Any) -> list[tuple[int, list[tuple[bytes, bytes]], bytes]]:
    """What a client gets, without the headers of the connection and the time of day."""
    found = []
    for method, path, body in CALLS:
        sent = {"content": body} if isinstance(body, bytes | None) else {"json": body}
        answer = client.request(method, path, **sent)
        headers = [pair for pair in answer.headers.raw if pair[0] not in (b"date", b"transfer-encoding")]
        found.append((answer.status_code, headers, answer.content))
        assert "date" in answer.headers
    return found


@LIBRARIES
def test_the_same_status_headers_and_bytes_as_over_a_socket(library: ModuleType) -> None:
    def asked(**how: Any) -> list[Any]:
        with Mock(clock=NOON, max_body_bytes=1000) as mock:
            url = mock.url if not how else "http://127.0.0.1"
            transport = {"transport": mock.transport()} if how else {"trust_env": False}
            with library.Client(base_url=url, **transport) as client:
                return answers(client)

    assert asked() == asked(inprocess=True)


@LIBRARIES
def test_the_same_to_an_async_client(library: ModuleType) -> None:
    async def ask(mock: Mock) -> list[tuple[int, bytes]]:
        async with library.AsyncClient(base_url=URL, transport=mock.transport()) as client:
            sent = [await client.post("/responses", json={**HI, "stream": stream}) for stream in (False, True)]
            return [(answer.status_code, answer.content) for answer in sent]

    def ask_at_once(mock: Mock) -> list[tuple[int, bytes]]:
        with library.Client(base_url=URL, transport=mock.transport()) as client:
            sent = [client.post("/responses", json={**HI, "stream": stream}) for stream in (False, True)]
            return [(answer.status_code, answer.content) for answer in sent]

    with Mock(clock=NOON) as one, Mock(clock=NOON) as other:
        assert asyncio.run(ask(one)) == ask_at_once(other)


def test_the_sdk_with_no_socket(mock: Mock) -> None:
    client = openai.OpenAI(api_key="any", http_client=httpx2.Client(transport=mock.transport()))
    first = client.responses.create(**HI)
    assert client.responses.retrieve(first.id).output_text == "Mock reply to: hi [1 items in context]"
    with client.responses.stream(**HI, previous_response_id=first.id) as stream:
        assert stream.get_final_response().output_text == "Mock reply to: hi [3 items in context]"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_none")


def test_the_async_sdk_with_no_socket(mock: Mock) -> None:
    async def ask() -> list[str]:
        client = openai.AsyncOpenAI(api_key="any", http_client=httpx2.AsyncClient(transport=mock.transport()))
        stream = await client.responses.create(**HI, stream=True)
        return [event.type async for event in stream]

    types = asyncio.run(ask())
    assert (types[0], types[-1]) == ("response.created", "response.completed")


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The seconds for which the transport has slept; it does not really."""
    found: list[Any] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: found.append(round(seconds, 3)))
    return found


def kinds(lines: Iterator[str]) -> list[str]:
    """Types of events."""
    return [line.removeprefix("event: ") for line in lines if line.startswith("event")]


@LIBRARIES
def test_paced_streams_arrive_in_time(library: ModuleType, mock: Mock, waited: list[Any]) -> None:
    mock.script([SLOW])
    with (
        library.Client(base_url=URL, transport=mock.transport()) as client,
        client.stream("POST", "/responses", json={**HI, "stream": True}) as answer,
    ):
        for line in answer.iter_lines():
            if line.startswith("event"):
                waited.append(line.removeprefix("event: "))
    delta = "response.output_text.delta"
    assert [one for one in waited if one == delta or isinstance(one, float)] == [0.1] + [0.05, delta] * 3
    assert waited[0] == "response.created" and waited[-1] == "response.completed"
    assert [one["status"] for one in mock.responses()] == ["completed"]


def test_paced_streams_let_other_tasks_run(mock: Mock) -> None:
    mock.script([{**SLOW, "pacing": {"first_token": 0.5}}] * 2)

    async def ask(client: httpx.AsyncClient) -> float:
        await client.post("/responses", json={**HI, "stream": True})
        return asyncio.get_running_loop().time()

    async def both() -> list[float]:
        async with httpx.AsyncClient(base_url=URL, transport=mock.transport()) as client:
            return await asyncio.gather(ask(client), ask(client))

    assert virtual_time.run(both()) == [pytest.approx(0.5, abs=0.001)] * 2


@pytest.mark.parametrize(("switch", "status"), [("continue", "completed"), ("cancel", "cancelled")])
def test_closing_early_is_leaving(switch: str, status: str) -> None:
    with (
        Mock(set={"on_disconnect": switch}, clock=NOON) as mock,
        httpx.Client(base_url=URL, transport=mock.transport()) as client,
    ):
        mock.script([SLOW])
        with client.stream("POST", "/responses", json={**HI, "stream": True}) as answer:
            next(line for line in answer.iter_lines() if line.startswith("data"))
        assert mock.clock.advance(minutes=1).completed == [one["id"] for one in mock.responses(status="completed")]
        assert [one["status"] for one in mock.responses()] == [status]


@LIBRARIES
def test_waiting_longer_than_the_client_would(library: ModuleType, mock: Mock, waited: list[Any]) -> None:
    mock.script([{**SLOW, "pacing": {"first_token": 30}}, {**SLOW, "pacing": {"first_token": 30}}])
    with library.Client(base_url=URL, transport=mock.transport(), timeout=0.05) as client:
        for stream in (False, True):
            with pytest.raises(library.ReadTimeout):
                client.post("/responses", json={**HI, "stream": stream})
    assert waited == [0.05, 0.05]


STALL = {"do": "stall", "at": {"event": "response.output_text.delta"}}
FAULTS = [
    {"do": "cut", "at": {"event": "response.output_text.delta"}},
    {"do": "cut", "at": {"bytes": 10}},
]


@LIBRARIES
def test_connections_that_a_fault_breaks_off(library: ModuleType, mock: Mock, waited: list[Any]) -> None:
    client = library.Client(base_url=URL, transport=mock.transport())
    control = library.Client(base_url="http://mock/_mock", transport=mock.transport())
    for number, fault in enumerate(FAULTS):
        assert control.put("/faults", json=[fault]).status_code == 200
        with pytest.raises(library.RemoteProtocolError):
            client.post("/responses", json={**HI, "stream": not number})
    control.put("/faults", json=[STALL]).raise_for_status()
    with pytest.raises(library.ReadTimeout):
        client.post("/responses", json={**HI, "stream": True}, timeout=0.05)
    control.put("/faults", json=[{"do": {"delay": 0.1}}]).raise_for_status()
    assert client.post("/responses", json=HI).status_code == 200
    assert waited == [0.05, 0.1]
    ended = [one["ended"] for one in control.get("/journal").json()["data"]]
    assert sorted(ended) == sorted(["cut", "cut", "disconnected", "delivered"])


def test_requests_of_other_libraries_are_refused(mock: Mock) -> None:
    class Request:
        method, headers, content, extensions = "GET", httpx.Headers(), b"", {}
        url = httpx.URL(URL)

        def read(self) -> bytes:
            return b""

    with pytest.raises(TypeError, match="httpx and httpx2"):
        mock.transport().handle_request(Request())


def test_a_class_derived_from_a_library_s_request(mock: Mock) -> None:
    class Request(httpx.Request):
        pass

    answer = mock.transport().handle_request(Request("GET", f"{URL}/models"))
    assert isinstance(answer, httpx.Response) and answer.read()


@respx.mock
def test_a_router_of_respx(mock: Mock) -> None:
    respx.route(host="api.openai.com").mock(side_effect=mock.respx)
    mock.reply("one", error("rate_limit_exceeded"))
    with httpx.Client() as client:
        assert client.post(f"{URL}/responses", json=HI).json()["output"][0]["content"][0]["text"] == "one"
        assert client.post(f"{URL}/responses", json=HI).status_code == 429
        with client.stream("POST", f"{URL}/responses", json={**HI, "stream": True}) as answer:
            assert kinds(answer.iter_lines())[-1] == "response.completed"

    async def ask() -> list[int]:
        async with httpx.AsyncClient() as client:
            answers = [await client.post(f"{URL}/responses", json={**HI, "stream": one}) for one in (True, False)]
            return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [200, 200]


def test_a_closed_mock_answers_no_more() -> None:
    with Mock() as mock:
        transport = mock.transport()
    with httpx.Client(transport=transport) as client, pytest.raises(MockError, match="closed"):
        client.get(f"{URL}/models")
