"""Background responses by OpenAI's own client: cut and resumed at every event, polled, cancelled, deleted.

A response is begun at the first base URL and gone on with at the second, which may be another process over the same
store. `--begin` only begins one and prints its id, `--end ID` goes on with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import urllib.request
from typing import Any

import openai
from guide_calls import collected, refused, settled

MODEL = "gpt-4.1"
PACING = {"first_token": 0.02, "tokens_per_second": 200}
QUICK = {"reply": {"text": "one two three"}, "pacing": PACING, "times": 1000, "when": {"input_contains": "quick"}}
SLOW = {
    "reply": {"text": "one two three"},
    "pacing": {"first_token": 1.0, "tokens_per_second": 2},
    "times": 1000,
    "when": {"input_contains": "slow"},
}


class Place:
    """Where things are begun and where they go on."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    async def stream(self, input: str) -> Any:
        """Begin a response in the background, streamed."""
        return await settled(self.first.responses.create(model=MODEL, input=input, background=True, stream=True))

    async def begin(self, input: str, **fields: Any) -> Any:
        """Begin a response in the background."""
        return await settled(self.first.responses.create(model=MODEL, input=input, background=True, **fields))

    async def resumed(self, id: str, **query: Any) -> list[Any]:
        """Return the events of a stream that is resumed."""
        return await collected(await settled(self.second.responses.retrieve(id, stream=True, **query)))

    async def polled(self, id: str) -> list[Any]:
        """Poll to the end; returns all that was seen."""
        seen = [await settled(self.second.responses.retrieve(id))]
        while seen[-1].status in ("queued", "in_progress"):
            await asyncio.sleep(0.02)
            seen.append(await settled(self.second.responses.retrieve(id)))
        return seen


def told(events: list[Any]) -> list[str]:
    """Return events as JSON."""
    return [event.to_json() for event in events]


async def taken(stream: Any, number: int) -> list[Any]:
    """Read so many events, then cut the connection."""
    events: list[Any] = []
    if number and hasattr(stream, "__aiter__"):
        async for event in stream:
            events.append(event)
            if len(events) == number:
                break
    elif number:
        for event in stream:
            events.append(event)
            if len(events) == number:
                break
    await settled(stream.close())
    return events


async def cut_after_every_event(place: Place) -> None:
    """Spec: R6.7, R6.9, S11.1."""
    whole = await collected(await place.stream("quick"))
    types = [event.type for event in whole]
    assert types[:3] == ["response.created", "response.queued", "response.in_progress"], types
    assert types[-1] == "response.completed" and len(types) > 8, types
    for number in range(1, len(whole) + 1):
        before = await taken(await place.stream("quick"), number)
        id = before[0].response.id
        after = await place.resumed(id, starting_after=before[-1].sequence_number)
        again = await place.resumed(id)
        assert [event.type for event in again] == types, (number, [event.type for event in again])
        assert [event.sequence_number for event in again] == list(range(len(whole)))
        assert told(before) + told(after) == told(again), number
        final = again[-1].response
        assert final.to_json() == (await settled(place.second.responses.retrieve(id))).to_json().replace(
            '  "billing": {\n    "payer": "developer"\n  },\n', ""
        )
        assert await place.resumed(id, starting_after=len(whole) + 5) == []


async def resumed_by_the_helper(place: Place) -> None:
    """The helper replays from 0 and filters. Spec: S11.2."""
    before = await taken(await place.stream("quick"), 5)
    id = before[0].response.id
    async with _entered(place.second.responses.stream(response_id=id, starting_after=4)) as stream:
        events = await collected(stream)
        final = await settled(stream.get_final_response())
    assert [event.sequence_number for event in events][:2] == [5, 6], events[:2]
    assert final.output_text == "one two three"


class _entered:
    """Either kind of context manager, entered."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        enter = getattr(self._manager, "__aenter__", None) or self._manager.__enter__
        return await settled(enter())

    async def __aexit__(self, *error: Any) -> None:
        leave = getattr(self._manager, "__aexit__", None) or self._manager.__exit__
        await settled(leave(*error))


async def polled_to_the_end(place: Place) -> None:
    """Spec: R6.1, R6.2, R9.21, O6."""
    begun = await place.begin("slow")
    assert (begun.status, begun.output, begun.usage) == ("queued", [], None)
    seen = await place.polled(begun.id)
    statuses = list(dict.fromkeys(one.status for one in seen))
    assert statuses == ["queued", "in_progress", "completed"], statuses
    assert all(one.output == [] and one.usage is None for one in seen[:-1])
    assert seen[-1].output_text == "one two three" and seen[-1].usage.output_tokens > 0
    assert {one.id for one in seen} == {begun.id}
    child = await settled(place.first.responses.create(model=MODEL, input="next", previous_response_id=begun.id))
    assert child.output_text.endswith("[3 items in context]"), child.output_text


async def cancelled_twice(place: Place) -> None:
    """Spec: R6.3, R6.4, R6.5, E77, E78."""
    begun = await place.begin("slow")
    stopped = await settled(place.second.responses.cancel(begun.id))
    assert (stopped.status, stopped.output, stopped.usage) == ("cancelled", [], None)
    for client in (place.first, place.second):
        assert (await settled(client.responses.cancel(begun.id))).to_json() == stopped.to_json()
        assert (await settled(client.responses.retrieve(begun.id))).to_json() == stopped.to_json()
    (done,) = (await place.polled((await place.begin("quick")).id))[-1:]
    text = "Cannot cancel a completed response."
    await refused(openai.BadRequestError, lambda: place.second.responses.cancel(done.id), message=text)
    plain = await settled(place.first.responses.create(model=MODEL, input="x"))
    text = "Cannot cancel a synchronous response."
    await refused(openai.BadRequestError, lambda: place.second.responses.cancel(plain.id), message=text)


async def an_attached_stream_ends_when_it_is_cancelled(place: Place) -> None:
    """Spec: S12.5."""
    stream = await place.stream("slow")
    events: list[Any] = []

    async def note(event: Any) -> None:
        events.append(event)
        if len(events) == 1:
            await settled(place.second.responses.cancel(event.response.id))

    if hasattr(stream, "__aiter__"):
        async for event in stream:
            await note(event)
    else:
        for event in stream:
            await note(event)
    last = events[-1]
    assert (last.type, last.response.status) == ("response.failed", "cancelled"), last
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def deleted_in_flight(place: Place) -> None:
    """Spec: R1.13, R1.14, E81."""
    begun = await place.begin("slow")
    text = "Cannot delete an in-flight response."
    await refused(openai.BadRequestError, lambda: place.second.responses.delete(begun.id), message=text)
    await settled(place.second.responses.cancel(begun.id))
    await settled(place.second.responses.delete(begun.id))
    text = f"Response with id '{begun.id}' not found."
    for client in (place.first, place.second):
        await refused(openai.NotFoundError, lambda client=client: client.responses.retrieve(begun.id), message=text)
        await refused(openai.NotFoundError, lambda client=client: client.responses.delete(begun.id), message=text)


async def only_streams_can_be_streamed(place: Place) -> None:
    """Spec: R6.8, E80."""
    begun = await place.begin("slow")
    text = "This response cannot be streamed because it was not created with stream=true."
    call = lambda: place.second.responses.retrieve(begun.id, stream=True)  # noqa: E731
    await refused(openai.BadRequestError, call, message=text, param="stream")
    await settled(place.second.responses.cancel(begun.id))


async def a_conversation_is_written_at_the_end(place: Place) -> None:
    """Spec: R2.9, R2.12, R2.13, E67."""
    for stop in (True, False):
        made = await settled(place.first.conversations.create())
        begun = await place.begin("slow", conversation=made.id)
        text = "Another process is currently operating on this conversation. Please retry in a few seconds."
        for client in (place.second, place.first):
            await refused(
                openai.BadRequestError,
                lambda client=client, id=made.id: client.responses.create(model=MODEL, input="x", conversation=id),
                message=text,
                param="conversation",
                code="conversation_locked",
            )
        assert await collected(place.second.conversations.items.list(made.id)) == []
        if stop:
            await settled(place.second.responses.cancel(begun.id))
        else:
            await place.polled(begun.id)
        held = await collected(place.first.conversations.items.list(made.id))
        assert len(held) == (0 if stop else 2), held
        free = await settled(place.second.responses.create(model=MODEL, input="x", conversation=made.id))
        assert free.status == "completed"


EXAMPLES = (
    cut_after_every_event,
    resumed_by_the_helper,
    polled_to_the_end,
    cancelled_twice,
    an_attached_stream_ends_when_it_is_cancelled,
    deleted_in_flight,
    only_streams_can_be_streamed,
    a_conversation_is_written_at_the_end,
)


def script(origin: str, key: str, *lines: dict[str, Any]) -> None:
    """Say what the model answers."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(f"{origin}/_mock/script", json.dumps({"lines": lines}).encode(), headers)
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120).close()


async def run(options: argparse.Namespace) -> None:
    """Run what the options say."""
    kind = openai.AsyncOpenAI if options.asynchronous else openai.OpenAI
    clients = [kind(base_url=f"{origin}/v1", max_retries=0, timeout=120) for origin in options.origins]
    place = Place(clients[0], clients[-1])
    if options.end:
        await went_on(place, options.end, options.after)
    elif options.begin:
        script(options.origins[0], os.environ["OPENAI_API_KEY"], QUICK, SLOW)
        events = await taken(await place.stream("slow"), 2)
        print(events[0].response.id, events[-1].sequence_number)
    else:
        script(options.origins[0], os.environ["OPENAI_API_KEY"], QUICK, SLOW)
        for example in EXAMPLES:
            await example(place)
            print(f"ok      {example.__name__}", flush=True)
    print(f"done with openai {openai.VERSION}")


async def went_on(place: Place, id: str, after: int) -> None:
    """Finish what was begun elsewhere."""
    rest = await place.resumed(id, starting_after=after)
    assert [event.sequence_number for event in rest] == list(range(after + 1, after + 1 + len(rest))), rest
    assert rest[-1].type == "response.completed" and rest[-1].response.output_text == "one two three"
    assert (await place.polled(id))[-1].output_text == "one two three"


def main() -> None:
    """Run from a command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("origins", nargs="+", help="where to begin and, when given, where to go on")
    parser.add_argument("--async", dest="asynchronous", action="store_true", help="use the asynchronous client")
    parser.add_argument("--begin", action="store_true", help="begin one slow stream, cut it, print its id")
    parser.add_argument("--end", metavar="ID", help="go on with a stream and finish it")
    parser.add_argument("--after", type=int, default=-1, help="the number of the last event that was seen")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
