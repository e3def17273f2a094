"""`Mock` in a test, with the real client."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from websockets.sync.client import connect

import mockserver
from mockserver import Mock, MockError, error, function_call, message, reasoning
from mockserver.testing.embedded_server import Host
from tests.support.driving import NOON

WEATHER: Any = [
    {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
]


OPEN: list[OpenAI] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close the clients of a test."""
    yield
    while OPEN:
        OPEN.pop().close()


def client_of(mock: Mock, key: str = "any") -> OpenAI:
    OPEN.append(OpenAI(base_url=mock.base_url, api_key=key, max_retries=0))
    return OPEN[-1]


def text_of(client: OpenAI, input: str = "hi", **more: Any) -> str:
    return client.responses.create(model="gpt-4.1", input=input, **more).output_text


def test_queued_turns_contexts_and_the_clock() -> None:
    with Mock() as mock:
        client = client_of(mock)
        mock.reply(function_call("get_weather", {"city": "Paris"}), "18 degrees.")
        first = client.responses.create(model="gpt-5.5", input="weather in Paris?", tools=WEATHER)
        (call,) = [item for item in first.output if item.type == "function_call"]
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
        output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "18"}]
        second = client.responses.create(model="gpt-5.5", input=output, previous_response_id=first.id, tools=WEATHER)
        assert second.output_text == "18 degrees."
        context = mock.context(second.id)
        assert context.texts == ["weather in Paris?", '{"city":"Paris"}', "18"]
        assert len(context.tokens) == len(context.items) == 3 and context.dropped == []
        assert context.input_tokens == second.usage.input_tokens if second.usage else False
        assert context.tools[0]["name"] == "get_weather" and context.instructions is None
        assert [one["id"] for one in mock.responses()] == [second.id, first.id]
        assert mock.clock.advance(days=31).expired == [first.id, second.id]
        assert mock.responses() == []


def test_all_that_a_turn_can_be() -> None:
    with Mock() as mock:
        client = client_of(mock)
        mock.reply("text", message("item"), [reasoning("hm"), "list"], {"text": "reply", "reasoning": "hm"})
        mock.reply(error("rate_limit_exceeded"))
        assert len(mock.queued) == 5
        assert [text_of(client) for _ in range(4)] == ["text", "item", "list", "reply"]
        with pytest.raises(openai.RateLimitError):
            text_of(client)
        assert mock.queued == []


def test_mistakes_are_found_when_they_are_queued() -> None:
    with Mock() as mock:
        with pytest.raises(MockError, match="nmae"):
            mock.reply("fine", {"type": "function_call", "nmae": "f"})
        assert mock.queued == []
        with pytest.raises(MockError, match="resp_none"):
            mock.context("resp_none")


def test_two_at_once_do_not_meet() -> None:
    with Mock(clock=NOON) as one, Mock(clock=NOON) as other:
        one.reply("mine")
        assert text_of(client_of(other)) == "Mock reply to: hi [1 items in context]"
        assert text_of(client_of(one)) == "mine"
        assert one.base_url != other.base_url


def test_any_key_will_do() -> None:
    with Mock() as mock:
        mock.reply("one", "two")
        assert text_of(client_of(mock, "sk-a")) == "one"
        assert text_of(client_of(mock, "sk-b")) == "two"
        assert len(mock.responses(model="gpt-4.1", status="completed")) == 2


def test_snapshots_and_resets() -> None:
    with Mock(clock=NOON) as mock:
        client = client_of(mock)
        first = client.responses.create(model="gpt-4.1", input="hi")
        conversation = client.conversations.create()
        snapshot = mock.snapshot()
        second = client.responses.create(model="gpt-4.1", input="more", previous_response_id=first.id)
        mock.restore(snapshot)
        assert [one["id"] for one in mock.responses()] == [first.id]
        assert [one["id"] for one in mock.conversations()] == [conversation.id]
        again = client.responses.create(model="gpt-4.1", input="more", previous_response_id=first.id)
        assert again.id == second.id
        mock.reply("left")
        mock.reset("scenario")
        assert mock.queued == [] and len(mock.responses()) == 2
        mock.reset()
        assert mock.responses() == []
        assert client.responses.create(model="gpt-4.1", input="hi").id == first.id


def test_more_responses_than_a_page_has() -> None:
    with Mock(clock=NOON) as mock:
        engine = mock._host.engine
        for number in range(1003):
            engine.create_response("default", b'{"model":"gpt-4.1","input":"%d"}' % number)
        assert len({one["id"] for one in mock.responses()}) == 1003


def test_scenarios(tmp_path: Path) -> None:
    lines = {"lines": [{"when": {"input_contains": "x"}, "reply": {"text": "found"}}]}
    file = tmp_path / "scenario.yaml"
    file.write_text("lines:\n  - when: {input_contains: x}\n    reply: {text: found}\n")
    for scenario in (lines, file, str(file), [file]):
        with Mock(scenario=scenario) as mock:
            assert [text_of(client_of(mock), input) for input in ("x", "x")] == ["found", "found"]
    with Mock() as mock:
        mock.play(file)
        assert text_of(client_of(mock), "x") == "found"
        file.write_text("lines:\n  - wenn: {}\n    reply: {text: found}\n")
        with pytest.raises(MockError, match=r"scenario.yaml:2: .*wenn"):
            mock.play(file)
        with pytest.raises(MockError, match="can't be read"):
            mock.play(tmp_path / "none.yaml")
    with Mock(scenario=lines, strict=True) as mock, pytest.raises(openai.APIStatusError, match="strict"):
        text_of(client_of(mock), "y")


def test_a_model_that_is_a_function() -> None:
    with Mock(model=lambda prompt: f"turn {prompt.turn}") as mock:
        assert text_of(client_of(mock)) == "turn 1"


def test_in_async_code() -> None:
    async def ask() -> str:
        async with Mock() as mock:
            client = openai.AsyncOpenAI(base_url=mock.base_url, api_key="any")
            mock.reply("async")
            answer = await client.responses.create(model="gpt-4.1", input="hi")
            await client.close()
        with pytest.raises(MockError):
            mock.reply("late")
        return answer.output_text

    assert asyncio.run(ask()) == "async"


def test_using_it_after_its_end() -> None:
    with Mock() as mock:
        pass
    for use in (lambda: mock.base_url, lambda: mock.reply("x"), lambda: mock.clock.now, mock.snapshot):
        with pytest.raises(MockError, match="closed"):
            use()


def test_sockets_notice_a_clock_that_a_test_moves() -> None:
    with Mock() as mock, connect(f"{mock.base_url.replace('http', 'ws')}/responses", proxy=None) as wire:
        mock.clock.advance(minutes=61)
        assert json.loads(wire.recv(timeout=10))["error"]["code"] == "websocket_connection_limit_reached"


def test_views_on_one_host() -> None:
    host = Host({"clock": NOON})
    with Mock.tenant(host, "one") as one, Mock.tenant(host, "other") as other:
        one.reply("for one")
        other.reply("for other")
        assert text_of(client_of(other, "one")) == "for one"
        assert text_of(client_of(one, "other")) == "for other"
        assert len(one.responses()) == len(other.responses()) == 1
    assert one.queued == other.queued == []
    host.close()


def test_many_threads_at_once() -> None:
    turns = 40

    def chain(mock: Mock, number: int) -> list[str]:
        url, transport = (mock.url, None) if number % 2 else ("http://mock", mock.transport())
        texts, last = [], None
        with httpx.Client(base_url=url, transport=transport, trust_env=False) as client:
            for turn in range(turns):
                body = {"model": "gpt-4.1", "input": f"{number}/{turn}", "previous_response_id": last, "stream": False}
                answer = client.post("/v1/responses", json=body).json()
                last = answer["id"]
                texts.append(answer["output"][0]["content"][0]["text"])
                mock.clock.advance(seconds=1)
                assert mock.context(last).texts[-1] == f"{number}/{turn}"
        return texts

    with Mock(clock=NOON) as mock, ThreadPoolExecutor(8) as pool:
        for number, texts in enumerate(pool.map(chain, [mock] * 8, range(8))):
            said = [f"Mock reply to: {number}/{turn} [{2 * turn + 1} items in context]" for turn in range(turns)]
            assert texts == said
        assert len(mock.responses()) == 8 * turns


def test_no_server_runs_until_somebody_asks_for_it() -> None:
    with Mock() as mock:
        mock.reply("x")
        mock.transport()
        assert not [one for one in threading.enumerate() if one.name.startswith("understudy")]
        assert mock.base_url
        assert [one for one in threading.enumerate() if one.name.startswith("understudy")]
    assert not [one for one in threading.enumerate() if one.name.startswith("understudy")]


def test_the_first_mock_loads_what_its_first_turn_needs() -> None:
    program = """
import sys
from urllib.request import Request, urlopen

from mockserver import Mock

def loaded(*names):
    return {name for name in sys.modules if any(f"{name}.".startswith(f"{part}.") for part in names)}

later = (
    "anyio httpx jsonschema mockserver.core.graph mockserver.core.steering mockserver.engine.journal_pages"
    " mockserver.engine.journal_reading mockserver.faults.schema mockserver.journal.client_findings"
    " mockserver.journal.history mockserver.scenarios.schema mockserver.snapshots mockserver.store.sqlite"
    " mockserver.testing.report mockserver.transport.control_api mockserver.transport.metrics"
    " mockserver.transport.viewer mockserver.transport.waiting mockserver.transport.websocket mockserver.websocket"
    " openai pydantic pydantic_core pytest sqlite3 tiktoken websockets yaml"
).split()
with Mock() as mock:
    assert not loaded("httptools", "uvicorn", "uvloop", *later)
    turn = Request(f"{mock.base_url}/responses", b'{"model": "gpt-4.1", "input": "hello"}')
    turn.add_header("Authorization", "Bearer any")
    turn.add_header("Content-Type", "application/json")
    assert b"Mock reply to: hello" in urlopen(turn).read()
    assert loaded("uvicorn") and not loaded(*later), loaded(*later)
    mock.reply("scripted")
    assert mock.verdict() == [] and loaded("pydantic", "mockserver.journal.client_findings")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_names_are_loaded_when_they_are_asked_for() -> None:
    program = (
        "import sys, mockserver; before = {*sys.modules}; assert 'mockserver.engine.engine' not in before, before;"
        "assert 'typing' in before; mockserver.message('x'); assert 'mockserver.engine.engine' not in sys.modules;"
        "assert 'pydantic' not in sys.modules; mockserver.Mock; assert 'mockserver.engine.engine' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
    assert {*mockserver.__all__} <= {*dir(mockserver)}
    for name in mockserver.__all__:
        assert getattr(mockserver, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        mockserver.nothing  # noqa: B018
