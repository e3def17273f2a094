"""What is kept takes the room that it needs: no record and no entry of a journal is one of orjson's buffers of 4 KB."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from mockserver.config.settings import Settings
from mockserver.core.records import Change, Put
from mockserver.engine.engine import Engine
from tests.support.driving import NOON, Driver
from tests.support.sockets import Frames

LONG = "word " * 1200  # of a prompt that is cached
THOUGHT = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABqrecordedByTheService=="}
CALL = {"type": "function_call", "name": "f", "call_id": "c1", "arguments": {}}
TOOLS = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]


class Buffer(bytes):
    """What orjson hands out."""


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have orjson hand out what can be told from a copy of it."""
    encode = orjson.dumps
    monkeypatch.setattr(orjson, "dumps", lambda *given, **options: Buffer(encode(*given, **options)))


def watch(engine: Engine) -> dict[str, set[type]]:
    """The kinds of bytes that an engine's records are written as from now on, by the kind of record."""
    seen: dict[str, set[type]] = {}

    def note(project: str, changes: Iterable[Change] | None) -> Iterable[Change]:
        written = [*(changes or ())]
        for change in written:
            if isinstance(change, Put):
                seen.setdefault(change.kind, set()).add(type(change.doc))
        return written

    engine.store.watch(note)
    return seen


def talk(drive: Driver) -> None:
    """Turns of many kinds, so that records of nearly every kind are written."""
    first = drive.create(LONG)
    for _ in range(8):  # of a shape that gets a plan
        first = drive.create("and then?", previous_response_id=first["id"])
    fork = drive.create("or else?", previous_response_id=first["id"])
    drive.create([*first["output"], *fork["output"]])  # items of other nodes
    drive.create([{"type": "item_reference", "id": fork["output"][0]["id"]}])
    drive.delete(fork["id"])
    conversation = drive.conversation(items=[{"role": "user", "content": "hi"}])["id"]
    for _ in range(3):
        turn = drive.create("hello", conversation=conversation)
    added = drive.items(conversation, order="asc")["data"][0]["id"]
    drive.create(
        [{"type": "item_reference", "id": added}]
    )  # which a response holds too, when the conversation lets it go
    for item in (turn["output"][0]["id"], added):
        drive.call("DELETE", f"/v1/conversations/{conversation}/items/{item}")
    drive.create([{"role": "user", "content": LONG}] * 9, model="gpt-4", truncation="auto")
    drive.script({"reply": {"output": [THOUGHT, {"type": "message", "content": "done"}]}})
    drive.create("think", model="gpt-5.2")
    drive.create("later", background=True)
    drive.engine.control.set_faults("p", [{"do": {"error": "server_is_overloaded"}, "when": {"input_contains": "no"}}])
    drive.engine.control.advance_clock("p", 60)


def test_no_record_is_a_buffer() -> None:
    drive = Driver()
    kept = watch(drive.engine)
    talk(drive)
    assert {*"response node item entry conversation cache project blob dropped fault line".split()} <= kept.keys()
    assert {kind: types for kind, types in kept.items() if types != {bytes}} == {}


def test_no_entry_of_the_journal_is_a_buffer() -> None:
    engine = Engine(Settings(clock=NOON))
    drive = Driver(engine)
    talk(drive)
    for body in (
        {"input": "hi"},
        {"input": "hi"},
        {"input": "hi"},
        {"input": [{"role": "user", "content": "é"}], "tools": TOOLS},
    ):
        drive.answer("POST", "/v1/responses", {"model": "gpt-4.1", **body})
    frames = Frames(engine)
    frames.script({"reply": {"output": [CALL]}, "pacing": {"first_token": 1, "tokens_per_second": 1}})
    frames.send("work", model="gpt-6-astra", stream_id="a", tools=TOOLS)
    frames.step(frames.playing[0])
    frames({"type": "response.steer", "previous_response_id": frames.playing[0].turn.id, "input": "faster"})
    while frames.playing:
        frames.step(frames.playing[0])
    answers = engine.journal.answers("p")
    held: list[Any] = [part for one in answers for part in (one.call.body, one.body, *(frame for _, frame in one.sent))]
    assert any(one.body for one in answers) and any(one.sent for one in answers)
    assert {type(part) for part in held} == {bytes}
    exchanges = engine.journal._entries._journals["p"].exchanges  # type: ignore[union-attr]
    assert {type(one.call.body) for one in exchanges} == {bytes}
    assert all(type(piece) is bytes for one in exchanges for piece in one.document or ())
