"""Talks with an API whose turns take time: what a client sees of turns in progress, of limits and of compactions.

Each talk is a function of a `Caller`; together they show what programs of the state machine do not come by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from mockserver.conformance.drivers import Answer, EngineDriver
from mockserver.conformance.server_under_test import words
from mockserver.delivery.events import Wait
from mockserver.journal.exchange import Call
from mockserver.transport.http import chunks
from proxy.cassettes.interaction import event_data, split_events

CHAT, SMALL, WINDOW = "gpt-4.1", "gpt-4o-mini", 128_000
THINKING = {"model": "gpt-5.5", "reasoning": {"effort": "high"}}
FRAME = 7  # tokens that a request with one user message costs besides its text (Spec: T2)
DAY, ENDED = 86_400.0, 600.0  # seconds; after the latter each turn of these talks has ended
TTL = 30 * DAY
LONG = 400  # words of an answer that no limit of these talks lets through


class Caller:
    """A client of one project, and the time that passes between its calls."""

    def __init__(self, driver: EngineDriver, wait: Callable[[float], None]) -> None:
        self._driver = driver
        self.wait = wait

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call the API."""
        return self._driver.call(method, path, body, **query)

    def create(self, input: Any = "ping", **fields: Any) -> Any:
        """Create a response and, unless it is one in the background, wait until it has ended; returns its body."""
        answer = self.call("POST", "/responses", {"model": CHAT, "input": input, **fields})
        if not fields.get("background"):
            self.wait(ENDED)
        return answer.body if answer.events is None else answer.events[-1].get("response")

    def begin_stream(self) -> str:
        """Begin a streamed turn in the background without reading on; returns its id."""
        body = orjson.dumps({"model": CHAT, "input": "ping", "background": True, "stream": True})
        headers = {b"content-type": b"application/json"}
        answer = self._driver.engine.handle(Call("POST", "/v1/responses", body, self._driver.project, [], headers))
        first = next(chunk for chunk in chunks(answer) if not isinstance(chunk, Wait))
        event: dict[str, Any] = orjson.loads(event_data(split_events(first.data)[0]))
        id: str = event["response"]["id"]
        return id

    def get(self, id: str, **query: str) -> Any:
        """Retrieve a response."""
        return self.call("GET", f"/responses/{id}", None, **query).body

    def cancel(self, id: str) -> Any:
        """Cancel a response."""
        return self.call("POST", f"/responses/{id}/cancel").body


def cancel_twice(caller: Caller) -> None:
    """Cancel a turn that is queued, again, and look at it."""
    id = caller.create(background=True)["id"]
    caller.wait(1)
    caller.cancel(id)
    caller.cancel(id)
    caller.wait(ENDED)
    caller.get(id)


def cancel_with_output(caller: Caller) -> None:
    """Cancel a turn whose first item is done."""
    id = caller.create("Think hard.", background=True, **THINKING)["id"]
    for _ in range(200):
        caller.wait(0.5)
        if caller.get(id).get("output"):
            break
    caller.cancel(id)
    caller.get(id)


def cancel_too_late(caller: Caller) -> None:
    """Cancel a turn that is over."""
    id = caller.create(background=True)["id"]
    caller.get(id)
    caller.wait(ENDED)
    caller.get(id)
    caller.cancel(id)


def delete_in_flight(caller: Caller) -> None:
    """Delete a turn in progress, and once it is over."""
    id = caller.create(background=True)["id"]
    caller.wait(1)
    caller.call("DELETE", f"/responses/{id}")
    caller.get(id)
    caller.wait(ENDED)
    caller.get(id)
    caller.call("DELETE", f"/responses/{id}")


def talk_meanwhile(caller: Caller) -> None:
    """Look at a conversation in which a turn is in progress, and try to begin another."""
    conversation = caller.call("POST", "/conversations", {}).body["id"]
    id = caller.create(conversation=conversation, background=True)["id"]
    caller.wait(1)
    caller.call("GET", f"/conversations/{conversation}/items")
    caller.create("And I?", conversation=conversation, background=True)
    caller.get(id)
    caller.wait(ENDED)
    caller.get(id)
    caller.call("GET", f"/conversations/{conversation}/items")
    caller.create("Now?", conversation=conversation)
    caller.call("GET", f"/conversations/{conversation}/items")


def resume_while_running(caller: Caller) -> None:
    """Resume the stream of a turn that goes on, whose first reader has left."""
    id = caller.begin_stream()
    caller.wait(3)
    caller.get(id, stream="true", starting_after="3")


def stream_without_stream(caller: Caller) -> None:
    """Ask for the stream of a turn that was created without one, while it runs and afterwards."""
    id = caller.create(background=True)["id"]
    caller.wait(1)
    caller.get(id)
    caller.get(id, stream="true")
    caller.wait(ENDED)
    caller.get(id)
    caller.get(id, stream="true")


def cut_in_a_conversation(caller: Caller) -> None:
    """A turn that its limit cuts, and what the conversation holds then."""
    conversation = caller.call("POST", "/conversations", {}).body["id"]
    caller.create("Say " + words(LONG), conversation=conversation, max_output_tokens=16)
    caller.call("GET", f"/conversations/{conversation}/items")
    caller.create("Go on.", conversation=conversation)


def fail_in_a_conversation(caller: Caller) -> None:
    """A turn that fails once its stream has begun, what the conversation holds then, and a turn after it."""
    conversation = caller.call("POST", "/conversations", {}).body["id"]
    failed = caller.create(words(WINDOW + 200), model=SMALL, stream=True, conversation=conversation)
    caller.call("GET", f"/conversations/{conversation}/items")
    caller.create(previous_response_id=failed["id"])
    again = caller.create(words(WINDOW + 200), model=SMALL, stream=True)
    caller.create(previous_response_id=again["id"])


def delete_an_item(caller: Caller) -> None:
    """What responses saw of a conversation stays when one of its items is deleted."""
    conversation = caller.call("POST", "/conversations", {}).body["id"]
    first = caller.create("One.", conversation=conversation)["id"]
    second = caller.create("Two.", conversation=conversation)["id"]
    items = caller.call("GET", f"/conversations/{conversation}/items").body["data"]
    caller.call("DELETE", f"/conversations/{conversation}/items/{items[-1]['id']}")
    for id in (first, second):
        caller.call("GET", f"/responses/{id}/input_items")
    caller.create("Three.", previous_response_id=second)


def live_for_thirty_days(caller: Caller) -> None:
    """A response half a second before its end, and what outlives it in a conversation. Spec: R1.24, R2.5."""
    conversation = caller.call("POST", "/conversations", {}).body["id"]
    begun = caller.create("One.", conversation=conversation)
    caller.wait(TTL - 0.5 - ENDED)
    caller.get(begun["id"])
    caller.wait(DAY)
    caller.get(begun["id"])
    caller.create([{"type": "item_reference", "id": begun["output"][-1]["id"]}, {"role": "user", "content": "Two."}])


def compact_at_the_threshold(caller: Caller) -> None:
    """A context as long as the threshold is not compacted, one that is a token longer is."""
    over = {"context_management": [{"type": "compaction", "compact_threshold": 1000}]}
    for tokens in (1000, 1001):
        response = caller.create(words(tokens - FRAME), **over)
        caller.create("next", previous_response_id=response["id"])


def continue_a_compaction(caller: Caller) -> None:
    """Continue from the id of a compacted window, and go on with its items."""
    window = caller.call("POST", "/responses/compact", {"model": CHAT, "input": "Hello " + words(300)}).body
    caller.create("next", previous_response_id=window["id"])
    caller.get(window["id"])
    caller.create([*window["output"], {"role": "user", "content": "next"}])


TALKS: tuple[Callable[[Caller], None], ...] = (
    cancel_twice,
    cancel_with_output,
    cancel_too_late,
    delete_in_flight,
    talk_meanwhile,
    resume_while_running,
    stream_without_stream,
    cut_in_a_conversation,
    fail_in_a_conversation,
    delete_an_item,
    live_for_thirty_days,
    compact_at_the_threshold,
    continue_a_compaction,
)
