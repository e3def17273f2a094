"""A talk of openai-python: `python openai_talk.py [--async]`; `told.py` says what it is told."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from typing import Any

from openai import AsyncOpenAI, OpenAI
from told import ASKED, CHAT, CITY, RUN, THINKER, WEATHER, look, tell


async def settled(result: Any) -> Any:
    """What a call of either client comes to."""
    return await result if inspect.isawaitable(result) else result


async def gather(many: Any) -> list[Any]:
    """All events of a stream."""
    return [one async for one in many] if hasattr(many, "__aiter__") else list(many)


async def loop_with_a_tool(client: Any) -> list[Any]:
    """A chain: a call, its output, a stream that goes on; then the chain is read and its last response deleted."""
    noise = {"metadata": {"run": RUN}, "safety_identifier": RUN, "prompt_cache_key": RUN}
    asked = {"model": THINKER, "tools": [WEATHER], **noise}
    first = await settled(client.responses.create(input=ASKED, **asked))
    (call,) = [item for item in first.output if item.type == "function_call"]
    output = {
        "type": "function_call_output",
        "call_id": call.call_id,
        "output": look(json.loads(call.arguments)["city"]),
    }
    second = await settled(client.responses.create(input=[output], previous_response_id=first.id, **asked))
    chained = {"previous_response_id": second.id, "stream": True}
    events = await gather(await settled(client.responses.create(input="And tomorrow?", **chained, **asked)))
    read = await settled(client.responses.retrieve(second.id))
    items = await settled(client.responses.input_items.list(second.id, order="asc"))
    await settled(client.responses.delete(events[-1].response.id))
    told = [second.output_text, events[-1].response.output_text, read.output_text]
    return [*told, [event.type for event in events], [item.type for item in items.data]]


async def talk_in_a_conversation(client: Any) -> list[Any]:
    """Two turns of a conversation and what is in it afterwards."""
    talk = await settled(client.conversations.create(metadata={"run": RUN}))
    asked = {"model": CHAT, "conversation": talk.id, "metadata": {"run": RUN}}
    first = await settled(client.responses.create(input=ASKED, **asked))
    second = await settled(client.responses.create(input="Say that again.", **asked))
    items = await settled(client.conversations.items.list(talk.id, order="asc"))
    await settled(client.conversations.delete(talk.id))
    return [first.output_text, second.output_text, [item.type for item in items.data]]


async def keep_a_history(client: Any) -> list[Any]:
    """A history that the client keeps, with sealed reasoning and a call whose id the client made up."""
    asked = {"model": THINKER, "store": False, "include": ["reasoning.encrypted_content"]}
    question = {"role": "user", "content": f"Think of {CITY}."}
    first = await settled(client.responses.create(input=[question], **asked))
    said = [item.model_dump(exclude_none=True, exclude={"id", "status"}) for item in first.output]
    call = {"type": "function_call", "call_id": f"call_{RUN}", "name": "get_weather", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": look(CITY)}
    second = await settled(client.responses.create(input=[question, *said, call, output], **asked))
    return [[item["type"] for item in said], first.output_text, second.output_text]


async def speak_over_a_socket(client: Any) -> list[Any]:
    """Two chained turns over a WebSocket."""
    manager = client.responses.connect()
    if hasattr(manager, "__aenter__"):
        async with manager as connection:
            return await take_turns(connection)
    with manager as connection:
        return await take_turns(connection)


async def take_turns(connection: Any) -> list[Any]:
    """The turns; each waits for the end of the one before it."""
    said, parent = [], None
    for text in (f"I am in {CITY}.", "Where am I?"):
        frame = {"type": "response.create", "model": CHAT, "input": text, "metadata": {"run": RUN}}
        await settled(connection.send(frame | ({"previous_response_id": parent} if parent else {})))
        event = await settled(connection.recv())
        while event.type != "response.completed":
            assert event.type != "error", event
            event = await settled(connection.recv())
        parent = event.response.id
        said.append(event.response.output[-1].content[0].text)
    return said


async def talk(client: Any) -> None:
    """All of it, one after the other."""
    parts = (loop_with_a_tool, talk_in_a_conversation, keep_a_history, speak_over_a_socket)
    tell(*[await part(client) for part in parts])
    await settled(client.close())


if __name__ == "__main__":
    kind: Any = AsyncOpenAI if "--async" in sys.argv else OpenAI
    asyncio.run(talk(kind(max_retries=0, timeout=30)))
