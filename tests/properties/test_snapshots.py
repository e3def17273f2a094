"""Any program, a snapshot at any point, restored anywhere: what follows gives the same bytes. Spec: R15.6."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import Settings
from mockserver.delivery.events import Emit
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.store.sqlite import SQLiteStore
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.responses.encoding import json_body
from mockserver.wire.responses.event_list import sse
from tests.support.api import Api
from tests.support.driving import NOON
from tests.support.examples import examples

TEXTS = ("red", "grün ☃", "use the tool look", "word " * 1100)
MODELS = ("gpt-4.1", "gpt-5.2", "gpt-5.6-terra")
LINES: tuple[dict[str, Any], ...] = (
    {"reply": {"text": "one two three", "reasoning": "hm"}, "pacing": {"first_token": 5, "tokens_per_second": 1}},
    {"reply": {"text": "kept"}, "when": {"input_contains": "red"}, "times": 2},
    {"reply": {"failed": {"code": "server_error", "message": "m"}}, "pacing": {"first_token": 2}},
    {"reply": {"output": [{"type": "function_call", "name": "look", "arguments": {"at": 1e-7}}]}},
)
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "number"}}}}

few = st.integers(0, 5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), few, few, st.integers(0, 7), few, few, few),
        st.tuples(st.just("script"), few),
        st.tuples(st.sampled_from(["get", "replay", "delete", "cancel", "finish", "leave", "context", "inputs"]), few),
        st.tuples(st.sampled_from(["begin", "add", "list", "unlist", "forget", "relabel"]), few),
        st.tuples(st.just("advance"), st.sampled_from([1, 3, 600, 3600, 30 * 86_400])),
        st.tuples(st.sampled_from(["responses", "conversations", "clock"]), few),
    ),
    max_size=20,
)


class Program:
    """One project of an engine, and what a client of it knows: ids, by which later steps refer to things."""

    def __init__(self, engine: Engine, project: str, known: dict[str, list[str]] | None = None) -> None:
        self.engine, self.project = engine, project
        self.known = known or {"responses": ["resp_never"], "conversations": ["conv_never"], "items": ["msg_never"]}

    def fork(self, engine: Engine, project: str) -> Program:
        return Program(engine, project, {name: list(ids) for name, ids in self.known.items()})

    def run(self, steps: list[Any]) -> list[bytes]:
        return [self.step(*step) for step in steps]

    def step(self, verb: str, *with_: int) -> bytes:
        try:
            return getattr(self, verb)(*with_) or b""
        except (APIError, MockError) as error:
            return error.body()

    def snapshot(self) -> bytes:
        return json_body(self.engine.control.snapshot(self.project))

    def one(self, name: str, number: int) -> str:
        return self.known[name][-1 - number % len(self.known[name])]

    # --- steps, each returns all bytes that a client sees

    def create(self, text: int, model: int, how: int, parent: int, place: int, tool: int) -> bytes:
        body: dict[str, Any] = {"model": MODELS[model % 3], "input": TEXTS[text % 4], "stream": how % 2 == 1}
        body |= ({}, {"background": True}, {"store": False}, {"background": True, "store": False})[how // 2]
        if place == 0:
            body["previous_response_id"] = self.one("responses", parent)
        elif place == 1:
            body["conversation"] = self.one("conversations", parent)
        if tool == 0:
            body["tools"] = [TOOL]
        delivery = self.engine.create_response(self.project, json.dumps(body).encode())
        self.known["responses"].append(delivery.id)
        events = b"".join(sse(step.events) for step in delivery.steps if isinstance(step, Emit))
        return events + (delivery.body or b"") + repr(delivery.seconds).encode()

    def script(self, line: int) -> None:
        self.engine.control.enqueue(self.project, [LINES[line % 4]])

    def get(self, at: int) -> Any:
        return Api(self.engine).retrieve_response(self.project, self.one("responses", at))

    def replay(self, at: int) -> bytes:
        path, query = f"/v1/responses/{self.one('responses', at)}", [("stream", "true")]
        answer = self.engine.handle(Call("GET", path, b"", self.project, query))
        if answer.error is not None:
            raise answer.error
        steps = answer.player.steps if answer.player else [Emit(answer.events)]
        return b"".join(sse(step.events) if isinstance(step, Emit) else repr(step).encode() for step in steps)

    def delete(self, at: int) -> bytes:
        return Api(self.engine).delete_response(self.project, self.one("responses", at))

    def cancel(self, at: int) -> bytes:
        return Api(self.engine).cancel_response(self.project, self.one("responses", at))

    def finish(self, at: int) -> None:
        self.engine.finish(self.project, self.one("responses", at))

    def leave(self, at: int) -> None:
        self.engine.leave(self.project, self.one("responses", at))

    def context(self, at: int) -> bytes:
        return json_body(self.engine.control.context(self.project, self.one("responses", at)))

    def inputs(self, at: int) -> bytes:
        return Api(self.engine).list_input_items(self.project, self.one("responses", at))

    def begin(self, items: int) -> bytes:
        body = {"items": [{"role": "user", "content": TEXTS[n % 3]} for n in range(items)], "metadata": {"n": "1"}}
        made = Api(self.engine).create_conversation(self.project, json.dumps(body).encode())
        self.known["conversations"].append(json.loads(made)["id"])
        return made

    def add(self, at: int) -> bytes:
        body = json.dumps({"items": [{"role": "user", "content": TEXTS[at % 4]}]}).encode()
        made = Api(self.engine).create_items(self.project, self.one("conversations", at), body, ())
        self.known["items"] += [item["id"] for item in json.loads(made)["data"]]
        return made

    def list(self, at: int) -> bytes:
        return Api(self.engine).list_items(self.project, self.one("conversations", at))

    def unlist(self, at: int) -> bytes:
        conversation = self.one("conversations", at // 2)
        return Api(self.engine).delete_item(self.project, conversation, self.one("items", at % 2))

    def forget(self, at: int) -> bytes:
        return Api(self.engine).delete_conversation(self.project, self.one("conversations", at))

    def relabel(self, at: int) -> bytes:
        body = json.dumps({"metadata": {"colour": TEXTS[at % 2]}}).encode()
        return Api(self.engine).update_conversation(self.project, self.one("conversations", at), body)

    def advance(self, seconds: int) -> bytes:
        return json_body(self.engine.control.advance_clock(self.project, seconds))

    def responses(self, at: int) -> bytes:
        return json_body(self.engine.control.list_responses(self.project, limit=9, after=None))

    def conversations(self, at: int) -> bytes:
        return json_body(self.engine.control.list_conversations(self.project, limit=9, after=None))

    def clock(self, at: int) -> bytes:
        return json_body(self.engine.control.read_clock(self.project))


def settings_of(clock: float) -> Settings:
    return Settings(clock=clock, set=(("on_disconnect", "cancel"),))


def forks(program: Program) -> Iterator[Program]:
    """Other places to go on from the same state: another project, another engine, another store."""
    yield program.fork(program.engine, "another")
    other = Engine(settings_of(5.0))
    filled = program.fork(other, program.project)
    filled.run([("begin", 3), ("create", 0, 0, 0, 0, 2, 1), ("script", 0)])
    yield program.fork(other, program.project)
    shelved = Engine(settings_of(NOON), store=SQLiteStore(":memory:"))
    yield program.fork(shelved, "third")


@examples(200)
@given(STEPS, STEPS, st.booleans())
def test_what_follows_a_snapshot_gives_the_same_bytes_wherever_it_is_restored(
    before: list[Any], after: list[Any], on_sqlite: bool
) -> None:
    store = SQLiteStore(":memory:") if on_sqlite else None
    original = Program(Engine(settings_of(NOON), store=store), "p")
    original.run(before)
    taken = original.snapshot()
    document = json.loads(taken)
    assert document["others"] == []
    again = original.fork(original.engine, "p")
    places = list(forks(original))
    seen, end = original.run(after), original.snapshot()
    for place in [*places, again]:
        place.engine.control.restore(place.project, document)
        assert place.snapshot() == taken
        assert place.run(after) == seen
        assert place.snapshot() == end


@examples(60)
@given(STEPS)
def test_a_snapshot_changes_nothing(steps: list[Any]) -> None:
    watched, left_alone = (Program(Engine(settings_of(NOON)), "p") for _ in range(2))
    for step in steps:
        assert watched.snapshot() == watched.snapshot()
        assert watched.step(*step) == left_alone.step(*step)
    assert watched.snapshot() == left_alone.snapshot()
