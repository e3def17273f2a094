"""What the examples of openai-agents are written with: one way to run an agent, plainly or streamed, and its tools."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from agents import Agent, ModelSettings, RunConfig, Runner, function_tool, responses_websocket_session
from agents.models.openai_provider import OpenAIProvider
from guide_calls import Control, said
from openai import AsyncOpenAI

CHAT = "gpt-4.1"
THINKER = "gpt-5.5"


class Way:
    """How this run reaches the server: over HTTP or a WebSocket, streamed or not; and the server behind it."""

    def __init__(self, client: AsyncOpenAI, control: Control, *, streamed: bool, websocket: Any = None) -> None:
        self.client = client
        self.control = control
        self.streamed = streamed
        self.transport = ("sse" if streamed else "http") if websocket is None else "websocket"
        self.events: list[str] = []
        self._websocket = websocket
        self._config = RunConfig(model_provider=OpenAIProvider(openai_client=client), tracing_disabled=True)

    async def ask(self, agent: Agent[Any], what: Any, **more: Any) -> Any:
        """Run an agent to its end and return the result; `events` holds the types of what was streamed."""
        runner = Runner if self._websocket is None else self._websocket
        if self._websocket is None:
            more["run_config"] = self._config
        if not self.streamed:
            return await runner.run(agent, what, **more)
        result = runner.run_streamed(agent, what, **more)
        self.events = [
            event.data.type if event.type == "raw_response_event" else event.type
            async for event in result.stream_events()
        ]
        return result

    def saw(self, result: Any) -> list[str]:
        """Return what the model saw at the last request of a run, one line per item."""
        return self.context(result.raw_responses[-1])[1]

    def context(self, response: Any) -> tuple[str, list[str]]:
        """Return the instructions and the items that the model saw for one response of a run."""
        seen = self.control("GET", f"/responses/{response.response_id}/context")
        return seen["instructions"], [said(item) for item in seen["items"]]

    def queued(self) -> int:
        """Return how many scripted answers were not asked for yet."""
        return self.control("POST", "/script", {"lines": []})["queued"]

    def script(self, *replies: Any) -> None:
        """Say what the model answers next, to requests that come the way they should: texts, or lists of items."""
        when = {"transport": self.transport}
        for one in replies:
            self.control.script({"when": when, "reply": {"text": one} if isinstance(one, str) else {"output": one}})


@asynccontextmanager
async def reached(control: Control, *, streamed: bool, websocket: bool) -> AsyncIterator[Way]:
    """Open a client, and a socket when one is wanted."""
    async with AsyncOpenAI(max_retries=0, timeout=120) as client:
        if not websocket:
            yield Way(client, control, streamed=streamed)
            return
        told = {"api_key": client.api_key, "base_url": os.environ["OPENAI_BASE_URL"]}
        async with responses_websocket_session(**told) as session:
            yield Way(client, control, streamed=streamed, websocket=session)


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """Return a scripted call of a function."""
    return {"type": "function_call", "name": name, "arguments": arguments}


class Tools:
    """Functions that the agents have; they remember how they were called."""

    def __init__(self) -> None:
        self.called: list[str] = []

        @function_tool
        def get_weather(city: str) -> str:
            """Current weather of a city."""
            self.called.append(city)
            return f"18 degrees in {city}"

        self.weather = get_weather


def agent(name: str = "Guide", model: str = CHAT, tools: Sequence[Any] = (), **more: Any) -> Agent[Any]:
    """Return an agent with instructions of its own."""
    settings = more.pop("settings", {})
    return Agent(
        name=name,
        instructions=f"You are {name}.",
        model=model,
        tools=list(tools),
        model_settings=ModelSettings(**settings),
        **more,
    )


@contextmanager
def refused(kind: type[Exception]) -> Iterator[None]:
    """Check that what is done raises this error."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")
