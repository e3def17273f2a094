"""A session that repeats the steps of recorded turns knows what one knows that works them out anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from proxy.cassettes.interaction import Cassette, Interaction, Piece, Request, Response
from proxy.cassettes.ledger import Context, Key
from proxy.cassettes.matching import Library, Miss, Recorded, Session
from tests.support.examples import part_of

JSON = (("content-type", "application/json"),)
STATUSES = ("completed", "completed", "completed", "incomplete", "failed", "in_progress")
WORDS = ("a", "b", "who am I?")


class Programme:
    """Requests and answers at random, a few of which use the same ids, words, items and sealed contents."""

    def __init__(self, seed: int) -> None:
        self.random, self.responses, self.conversations, self.items = Random(seed), ["resp_x"], ["conv_x"], ["msg_x"]

    def interactions(self, count: int) -> Iterator[Interaction]:
        for number in range(1, count + 1):
            method, path, body, answer = self.random.choice((self.turn, self.turn, self.turn, self.other))(number)
            sent = b"" if body is None else json.dumps(body).encode()
            status = 200 if self.random.random() < 0.95 else 404
            socket = path == "/v1/responses" and self.random.random() < 0.1
            if socket:
                kind = self.random.choice(("response.create", "response.create", "response.odd"))
                sent = json.dumps({"type": kind, **body}).encode()
            request = Request(method, path, "", (), sent, socket)
            pieces = (Piece(0.1, json.dumps(answer).encode()),)
            yield Interaction(number, 0.0, request, Response(status, JSON, pieces))

    def turn(self, number: int) -> tuple[str, str, Any, Any]:
        body: dict[str, Any] = {"model": "gpt-5.5", "input": self.input()}
        parent = self.random.choice((None, "previous_response_id", "conversation"))
        if parent is not None:
            body[parent] = self.random.choice(self.responses if parent[0] == "p" else self.conversations)
        id = self.random.choice([f"resp_{number}"] * 9 + self.responses)
        ids = [*[f"msg_{number}"] * 9, *self.items]
        output = [self.item(self.random.choice(ids)) for _ in range(self.random.randrange(3))]
        self.responses.append(id)
        self.items += [item["id"] for item in output]
        status = self.random.choice(STATUSES)
        return "POST", "/v1/responses", body, {"id": id, "object": "response", "status": status, "output": output}

    def input(self) -> Any:
        if self.random.random() < 0.4:
            return self.random.choice(WORDS)
        return [self.item(self.random.choice(self.items)) for _ in range(self.random.randrange(3))]

    def item(self, id: str) -> dict[str, Any]:
        word, call = self.random.choice(WORDS), self.random.choice(("call_1", "call_2", "call_3"))
        return self.random.choice(
            [
                {"id": id, "type": "message", "role": "user", "content": word},
                {"id": id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": word}]},
                {"id": id, "type": "function_call", "call_id": call, "name": "f", "arguments": "{}"},
                {"id": id, "type": "function_call_output", "call_id": call, "output": word},
                {"id": id, "type": "item_reference"},
                {"id": id, "type": "reasoning", "summary": [], "encrypted_content": f"sealed {word}"},
            ]
        )

    def other(self, number: int) -> tuple[str, str, Any, Any]:
        response, conversation = self.random.choice(self.responses), self.random.choice(self.conversations)
        kind = self.random.randrange(5)
        if kind == 0:
            self.conversations.append(f"conv_{number}")
            return "POST", "/v1/conversations", {}, {"id": f"conv_{number}", "object": "conversation"}
        if kind == 1:
            output = [self.item(self.random.choice(self.items))]
            answer = {"id": response, "object": "response", "status": "completed", "output": output}
            return "GET", f"/v1/responses/{response}", None, answer
        items = [self.item(f"msg_{number}")]
        if kind == 2:
            path = f"/v1/conversations/{conversation}/items"
            return "POST", path, {"items": items}, {"object": "list", "data": items}
        if kind == 3:
            path = f"/v1/conversations/{conversation}/items/{self.random.choice(self.items)}"
            return "DELETE", path, None, {"id": conversation, "object": "conversation"}
        return "DELETE", f"/v1/conversations/{conversation}", None, {"id": conversation, "deleted": True}


def describe_context(context: Context) -> Any:
    return [(one.digest, one.items, one.raw, one.count, dict(one.names)) for one in context.steps()]


def describe_key(key: Key) -> Any:
    return key.endpoint, key.loaded_fields(), key.digest, None if key.context is None else describe_context(key.context)


def describe(session: Session) -> Any:
    ledger = session.ledger
    tables = [ledger.responses, ledger.conversations, ledger._inputs]
    contexts = [{id: describe_context(context) for id, context in table.items()} for table in tables]
    return contexts, ledger._items, ledger._blobs, ledger.origins, session.used


def tell(found: Recorded | Miss) -> Any:
    return found.place if isinstance(found, Recorded) else (found.message, describe_key(found.key))


@pytest.mark.parametrize("seed", range(part_of(300)))
def test_a_session_knows_the_same_whether_it_repeats_steps_or_not(seed: int) -> None:
    random = Random(seed)
    cassette = Cassette("x", interactions=tuple(Programme(seed).interactions(30)))
    options = frozenset(("metadata", "/a/")) if random.random() < 0.2 else frozenset(("metadata",))
    one, other = Library([cassette], options), Library([cassette], options)
    other._by_bytes.clear()
    for recorded in other.recorded:
        recorded.step = None
    asked = [interaction.request for interaction in cassette.interactions]
    if random.random() < 0.6:
        asked = random.choices(asked, k=40)
    strict = random.random() < 0.2
    sessions, others = Session(one, strict), Session(other, strict)
    for request in asked:
        assert tell(sessions.find(request)) == tell(others.find(request))
        assert describe(sessions) == describe(others)


def test_most_turns_have_a_step() -> None:
    """Else the law above says nothing."""
    libraries = [Library([Cassette("x", interactions=tuple(Programme(seed).interactions(30)))]) for seed in range(20)]
    steps = [recorded.step for library in libraries for recorded in library.recorded]
    assert len([step for step in steps if step is not None]) > len(steps) // 8
    assert any(step and step.conversation for step in steps) and any(step and step.parent for step in steps)
