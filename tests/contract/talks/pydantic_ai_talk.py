"""A talk of pydantic-ai: `python pydantic_ai_talk.py`; `told.py` says what it is told."""

from __future__ import annotations

import asyncio

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModelSettings
from told import ASKED, RUN, look, tell


def get_weather(city: str) -> str:
    """Current weather of a city."""
    return look(city)


async def talk() -> None:
    """A run with a tool, a streamed one that goes on with its history, and the same in a chain."""
    noise = OpenAIResponsesModelSettings(openai_user=RUN)
    chained = OpenAIResponsesModelSettings(openai_user=RUN, openai_previous_response_id="auto")
    said = []
    for settings in (noise, chained):
        agent = Agent("openai-responses:gpt-5.5", tools=[get_weather], model_settings=settings)
        first = await agent.run(ASKED)
        async with agent.run_stream("Say that again.", message_history=first.all_messages()) as streamed:
            said += [first.output, await streamed.get_output()]
    tell(*said)


if __name__ == "__main__":
    asyncio.run(talk())
