"""OpenAI's WebSocket mode, in our own words, as a program: each example says what must be true after it.

Run it as `python socket_guide.py [--async] [--cut]` with OPENAI_BASE_URL and OPENAI_API_KEY for the client and
UNDERSTUDY_CONTROL for the origin of the control API. It needs `openai`, 2 or 3, with its extra for WebSockets.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import os
import traceback
import urllib.request
from contextlib import asynccontextmanager
from typing import Any

import openai
from guide_calls import Control, entered, said, settled

CHAT = "gpt-4.1"
ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


class Wire:
    """A connection of the client, and a short way to take turns on it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def send(self, frame: dict[str, Any]) -> None:
        """Send a frame."""
        await settled(self.connection.send(frame))

    async def create(self, what: Any, **fields: Any) -> None:
        """Ask for a response."""
        await self.send({"type": "response.create", "model": CHAT, "input": what, **fields})

    async def next(self) -> Any:
        """Return the next event."""
        return await settled(self.connection.recv())

    async def until(self, *types: str) -> list[Any]:
        """Return the events up to and with the first of these types."""
        seen = [await self.next()]
        while seen[-1].type not in types:
            seen.append(await self.next())
        return seen

    async def turn(self, what: Any, **fields: Any) -> Any:
        """Take a turn and return its response."""
        await self.create(what, **fields)
        last = (await self.until(*ENDS))[-1]
        assert last.type != "error", last
        return last.response

    async def refusal(self, what: Any = "x", **fields: Any) -> tuple[int, str | None, str | None]:
        """Return status, code and param of a turn that is refused."""
        await self.create(what, **fields)
        event = (await self.next()).to_dict()  # openai 2 has no type for it
        assert event["type"] == "error", event
        return event["status"], event["error"]["code"], event["error"]["param"]


@asynccontextmanager
async def opened(client: Any) -> Any:
    """Open a connection."""
    async with entered(client.responses.connect()) as connection:
        yield Wire(connection)


MISSING = (400, "previous_response_not_found", "previous_response_id")


async def a_stored_chain(client: Any, control: Control) -> None:
    """What is stored can be chained to from anywhere: the same socket, another one, HTTP."""
    async with opened(client) as wire:
        first = await wire.turn("one", store=True)
        second = await wire.turn("two", previous_response_id=first.id)
    async with opened(client) as wire:
        third = await wire.turn("three", previous_response_id=second.id)
    last = await settled(client.responses.create(model=CHAT, input="four", previous_response_id=third.id))
    assert control.saw(last)[::2] == ["user: one", "user: two", "user: three", "user: four"]
    stored = await settled(client.responses.retrieve(third.id))
    assert stored.output == third.output and stored.previous_response_id == second.id


async def an_unstored_chain(client: Any, control: Control) -> None:
    """What is not stored lives on its socket, and only the latest of a lane does."""
    async with opened(client) as wire:
        first = await wire.turn("one", store=False)
        second = await wire.turn("two", store=False, previous_response_id=first.id)
        assert second.output_text.endswith("[3 items in context]")
        assert await wire.refusal(previous_response_id=first.id, store=False) == MISSING
        third = await wire.turn("three", store=False)
        async with opened(client) as other:
            assert await other.refusal(previous_response_id=third.id, store=False) == MISSING
            assert (await other.turn("still open", store=False)).status == "completed"
    assert control.stored() == []


async def a_warm_up(client: Any, control: Control) -> None:
    """A warm-up has no output and can be chained to."""
    async with opened(client) as wire:
        warm = await wire.turn("the rules", store=False, generate=False)
        assert warm.output == []
        turn = await wire.turn("go", store=False, previous_response_id=warm.id)
        assert turn.output_text == "Mock reply to: go [2 items in context]"


async def a_tool_loop(client: Any, control: Control) -> None:
    """Only the output of a tool is sent back."""
    control.script(
        {"reply": {"output": [{"type": "function_call", "name": "get_weather", "arguments": {"city": "Rome"}}]}}
    )
    async with opened(client) as wire:
        first = await wire.turn("weather?", store=False, tools=[WEATHER])
        (call,) = first.output
        assert await wire.refusal(previous_response_id=first.id, store=False) == (400, None, "input")
        assert await wire.refusal(previous_response_id=first.id, store=False) == MISSING, "a failed turn evicts"
        again = [
            call.model_dump(exclude_none=True),
            {"type": "function_call_output", "call_id": call.call_id, "output": "18"},
        ]
        second = await wire.turn(again, store=False, tools=[WEATHER])
        assert second.output_text.endswith("[2 items in context]")
    assert control.stored() == []


async def lanes(client: Any, control: Control) -> None:
    """Lanes have parents of their own; forks may take another lane's."""
    async with opened(client) as wire:
        for lane in ("a", "b"):
            await wire.create(f"in {lane}", store=False, stream_id=lane)
        ends: dict[str, Any] = {}
        while len(ends) < 2:
            event = await wire.next()
            assert event.stream_id in ("a", "b")
            if event.type == "response.completed":
                ends[event.stream_id] = event.response
        fork = await wire.turn("fork", store=False, stream_id="b", previous_response_id=ends["a"].id)
        assert fork.output_text.endswith("[3 items in context]")
        await wire.create("plain", store=False)
        assert not any("stream_id" in event.to_dict() for event in await wire.until(*ENDS))
        assert await wire.refusal(stream_id="no/lane") == (400, "invalid_stream_id", "stream_id")
        for number in range(30):
            await wire.turn("x", store=False, stream_id=f"lane-{number}", generate=False)
        assert await wire.refusal(stream_id="one-too-many") == (400, "websocket_stream_limit_reached", "stream_id")


async def refusals(client: Any, control: Control) -> None:
    """Whatever is wrong with a frame, the socket stays open."""
    async with opened(client) as wire:
        assert await wire.refusal(model="nonsense") == (400, "model_not_found", "model")
        assert (await wire.refusal(bogus=1))[1:] == ("unknown_parameter", "bogus")
        assert (await wire.refusal(background=True))[0] == 400
        await wire.send({"type": "nonsense"})
        assert (await wire.next()).status == 400
        control.script({"reply": {"error": {"code": "server_is_overloaded"}}})
        assert (await wire.refusal())[1] == "server_is_overloaded"
        control.script({"reply": {"failed": {"code": "server_error", "message": "no"}}})
        await wire.create("fails")
        assert [event.type for event in await wire.until("response.failed")][-2:] == ["error", "response.failed"]
        assert (await wire.turn("still open")).status == "completed"


async def a_conversation(client: Any, control: Control) -> None:
    """Turns of a socket and of HTTP share a conversation."""
    made = await settled(client.conversations.create())
    async with opened(client) as wire:
        await wire.turn("one", conversation=made.id)
        last = await wire.turn("two", conversation={"id": made.id})
    over_http = await settled(client.responses.create(model=CHAT, input="three", conversation=made.id))
    assert control.saw(over_http)[::2] == ["user: one", "user: two", "user: three"]
    assert last.conversation.id == made.id


async def a_compaction(client: Any, control: Control) -> None:
    """A context over the threshold is compacted in its stream; the chain goes on from there."""
    rule = [{"type": "compaction", "compact_threshold": 1000}]
    async with opened(client) as wire:
        first = await wire.turn("word " * 1500, store=False, context_management=rule)
        assert [item.type for item in first.output] == ["message", "compaction"]
        second = await wire.turn("next", store=False, previous_response_id=first.id)
        assert second.usage.input_tokens < 1000


async def many_kinds_of_items(client: Any, control: Control) -> None:
    """Reasoning, texts beyond ASCII, structured output, refusals: as over HTTP."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    text = {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}}
    async with opened(client) as wire:
        thought = await wire.turn("think", model="gpt-5.5", reasoning={"effort": "low", "summary": "auto"}, store=False)
        assert [item.type for item in thought.output] == ["reasoning", "message"]
        assert (await wire.turn("héllo 🙂 \u2028")).output_text.startswith("Mock reply to: héllo 🙂")
        assert (await wire.turn("a number", text=text)).output_text.startswith('{"n":')
        control.script({"reply": {"refusal": "I can't."}})
        assert said((await wire.turn("bad")).output[0]) == "assistant: I can't."
        control.script({"reply": {"text": "Long."}})
        assert (await wire.turn("long " * 50_000)).output_text == "Long."


async def the_end_of_an_hour(client: Any, control: Control) -> None:
    """After sixty minutes the server says so and closes."""
    async with opened(client) as wire:
        await wire.turn("one")
        control.advance(seconds=3601)
        event = (await wire.next()).to_dict()
        assert (event["type"], event["error"]["code"]) == ("error", "websocket_connection_limit_reached")
        try:
            await wire.next()
        except Exception as error:
            assert "1000" in str(error), error
        else:
            raise AssertionError("still open")


async def a_cut(client: Any, control: Control) -> None:
    """A connection that breaks off is made anew; what was stored can be chained to there. Spec: R4.14, R4.19."""
    attempts: list[int] = []
    async with opened(client) as wire:
        first = await wire.turn("one", store=True)
    frame = {"type": "response.create", "model": CHAT, "input": "two", "previous_response_id": first.id}

    def reconnecting(event: Any) -> None:
        attempts.append(event.close_code)
        sent = wire.connection.send(frame)
        if inspect.isawaitable(sent):
            tasks.append(asyncio.ensure_future(sent))

    tasks: list[Any] = []
    async with entered(client.responses.connect(on_reconnecting=reconnecting, initial_delay=0.05)) as connection:
        wire = Wire(connection)
        await wire.turn("alone", store=False)
        urllib.request.urlopen(os.environ["UNDERSTUDY_CUT"], timeout=120).close()
        events = connection.__aiter__() if hasattr(connection, "__aiter__") else iter(connection)
        while True:
            event = await events.__anext__() if hasattr(events, "__anext__") else next(events)
            if event.type in ENDS:
                break
    assert attempts == [1006], attempts
    assert control.saw(event.response) == [
        "user: one",
        "assistant: Mock reply to: one [1 items in context]",
        "user: two",
    ]


EXAMPLES = (
    a_stored_chain,
    an_unstored_chain,
    a_warm_up,
    a_tool_loop,
    lanes,
    refusals,
    a_conversation,
    a_compaction,
    many_kinds_of_items,
    the_end_of_an_hour,
)


async def run(examples: Any, *, asynchronous: bool) -> int:
    """Run examples; returns how many failed."""
    client: Any = (openai.AsyncOpenAI if asynchronous else openai.OpenAI)(max_retries=0, timeout=120)
    control = Control(os.environ["UNDERSTUDY_CONTROL"], client.api_key, [])
    failures = 0
    for example in examples:
        control("POST", "/reset", {})
        try:
            await example(client, control)
            print(f"ok      {example.__name__}", flush=True)
        except Exception:
            failures += 1
            print(f"FAILED  {example.__name__}\n{traceback.format_exc()}", flush=True)
    await settled(client.close())
    print(f"{len(examples) - failures} of {len(examples)} hold with openai {openai.VERSION}")
    return failures


def main() -> None:
    """Run from a command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--async", dest="asynchronous", action="store_true", help="use the asynchronous client")
    parser.add_argument("--cut", action="store_true", help="only what follows a cut, which UNDERSTUDY_CUT makes")
    options = parser.parse_args()
    examples = (a_cut,) if options.cut else EXAMPLES
    raise SystemExit(min(asyncio.run(run(examples, asynchronous=options.asynchronous)), 1))


if __name__ == "__main__":
    main()
