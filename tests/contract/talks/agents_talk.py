"""A talk of openai-agents: `python agents_talk.py`; `told.py` says what it is told."""

from __future__ import annotations

import asyncio
from typing import Any

from agents import Agent, ModelSettings, OpenAIConversationsSession, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from told import ASKED, RUN, THINKER, look, tell


@function_tool
def get_weather(city: str) -> str:
    """Current weather of a city."""
    return look(city)


def make_agent() -> Agent[Any]:
    """An agent with the tool."""
    settings = ModelSettings(metadata={"run": RUN})
    return Agent(
        name="Guide", instructions="You are a guide.", model=THINKER, tools=[get_weather], model_settings=settings
    )


async def talk() -> None:
    """Runs in a session that is a conversation, with a tool and streamed; then a chain without a session."""
    async with AsyncOpenAI(max_retries=0, timeout=30) as client:
        session = OpenAIConversationsSession(openai_client=client)
        guide = make_agent()
        first = await Runner.run(guide, ASKED, session=session)
        streamed = Runner.run_streamed(guide, "Say that again.", session=session)
        events = [
            event.data.type if event.type == "raw_response_event" else event.type
            async for event in streamed.stream_events()
        ]
        items = [item.get("type", "message") for item in await session.get_items()]
        await session.clear_session()
        chained = await Runner.run(make_agent(), ASKED)
        more = await Runner.run(make_agent(), "Thanks.", previous_response_id=chained.last_response_id)
    tell(first.final_output, streamed.final_output, events, items, chained.final_output, more.final_output)


if __name__ == "__main__":
    set_tracing_disabled(True)
    asyncio.run(talk())
