"""The verdict on real clients: the guide's examples and openai-agents do nothing wrong but what they do on purpose."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from mockserver import Finding, Mock
from mockserver.transport.control_api import CONTROL
from tests.support.client_programs import agents_options, run_agents
from tests.support.examples import first_of

HERE = Path(__file__).parent

# example → what it does wrong, to be refused
ON_PURPOSE = {"function_loop": {"dropped_tool_output"}}


@pytest.fixture
def guide() -> Iterator[Any]:
    """The guide's examples, which are a program of their own elsewhere."""
    before = set(sys.modules)
    sys.path.insert(0, str(HERE))
    yield importlib.import_module("guide")
    sys.path.remove(str(HERE))
    for name in {name for name in sys.modules if name.startswith("guide")} - before:
        del sys.modules[name]


@pytest.mark.parametrize("kind", first_of([openai.OpenAI, openai.AsyncOpenAI]))
def test_the_guide(guide: Any, kind: Any) -> None:
    for example in guide.EXAMPLES:
        with Mock() as mock:
            asyncio.run(done(guide, example, kind, mock))
            assert len(mock.journal) > 1
            assert {one.rule for one in mock.verdict()} == ON_PURPOSE.get(example.__name__, set()), example.__name__


async def done(guide: Any, example: Any, kind: Any, mock: Mock) -> None:
    exchanges: list[dict[str, Any]] = []
    transport = guide.recording_transport(exchanges, asynchronous=kind is openai.AsyncOpenAI)
    http = openai.DefaultHttpxClient if kind is openai.OpenAI else openai.DefaultAsyncHttpxClient
    client = kind(base_url=mock.base_url, api_key="any", max_retries=0, http_client=http(transport=transport))
    await example(client, guide.Control(mock.url, "any", exchanges))
    await guide.settled(client.close())


@pytest.mark.parametrize("more", [(), ("--compaction",)], ids=["conversations", "compaction"])
@pytest.mark.parametrize(("run", "transport"), [("plain", "http"), ("streamed", "websocket")])
def test_openai_agents(
    agents_python: Path, run: str, transport: str, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Mock() as mock:
        found = verdicts_at_each_reset(mock, monkeypatch)
        run_agents(agents_python, mock.base_url, mock.url, *agents_options(run, transport), *more, key="any")
        assert len(found) > 3
        wrong = {one.rule for findings in (*found, mock.verdict()) for one in findings}
        assert wrong <= ({"chained_on_unstored"} if transport == "http" else set()), found  # one example does that


def verdicts_at_each_reset(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> list[list[Finding]]:
    """Have the verdict noted whenever a program is about to reset the mock."""
    found: list[list[Finding]] = []
    rows, _ = CONTROL.find("/_mock/reset") or ({}, {})
    row = rows["POST"]

    def note_and_reset(*arguments: Any) -> None:
        found.append(mock.verdict())
        row.run(*arguments)

    monkeypatch.setitem(rows, "POST", row._replace(run=note_and_reset))
    return found


@pytest.mark.slow  # histories that are long enough to tell take 5 s
def test_judging_is_linear_in_what_was_sent() -> None:
    assert calls_to_judge(100) < 5 * calls_to_judge(50)  # every other turn sends all before it: four times as much


def calls_to_judge(length: int) -> int:
    """Return how many calls judging a journal of this many turns of either kind takes."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    with Mock() as mock, openai.OpenAI(base_url=mock.base_url, api_key="any") as client:
        parent: str | None = None
        history: list[Any] = []
        for number in range(length):
            parent = client.responses.create(model="gpt-4.1", input=f"say {number}", previous_response_id=parent).id
            history.append({"role": "user", "content": str(number)})
            client.responses.create(model="gpt-4.1", input=history, store=False)
        sys.setprofile(note)
        found = mock.verdict()
        sys.setprofile(None)
    assert found == [] and count > length
    return count
