"""The engine: projects, determinism, durability, models."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.engine.journal_ring import PACKED_FROM
from mockserver.journal.exchange import Call
from mockserver.model.prompt import Prompt, Reply
from mockserver.store.memory import MemoryStore
from mockserver.store.sqlite import SQLiteStore
from mockserver.store.view import open_store
from mockserver.wire.errors.api import APIError
from tests.support.api import Api
from tests.support.driving import NOON, Driver, refused, text_of


def test_projects_are_keys_with_or_without_openai_project() -> None:
    engine = Engine()
    names = {
        engine.project(None, None),
        engine.project("Bearer a", None),
        engine.project("Bearer b", None),
        engine.project("Bearer a", "proj_1"),
        engine.project(None, "proj_1"),
    }
    assert len(names) == 5
    assert engine.project(None, None) == "default"
    assert engine.project("Bearer a", None) == engine.project("Bearer a", None)
    assert all("Bearer" not in name and name != "a" for name in names), "a key is never written down"


def test_E90_and_E91_only_given_keys_are_let_in() -> None:
    engine = Engine(Settings(api_key=("sk-right",)))
    assert engine.project("Bearer sk-right", None)
    missing = refused(engine.project, None, None)
    assert (missing.status, missing.message) == (401, "Missing bearer or basic authentication in header")
    wrong = refused(engine.project, "Bearer sk-wrongwrongwrong", None)
    assert (wrong.status, wrong.code) == (401, "invalid_api_key")
    assert wrong.message.startswith("Incorrect API key provided: sk-wrong")
    assert "sk-wrongwrongwrong" not in wrong.message


def program(drive: Driver) -> list[Any]:
    conversation = drive.conversation(items=[{"role": "user", "content": "hi"}])
    first = drive.create("u1", model="gpt-5.6-terra", store=False)
    second = drive.create("u2", conversation=conversation["id"])
    stream = drive.stream("u3", previous_response_id=second["id"])
    drive.advance(days=1)
    return [conversation, first, second, stream, drive.create("u4"), drive.items(conversation["id"])]


def test_R15_6_same_seed_clock_and_requests_same_bytes() -> None:
    assert json.dumps(program(Driver(seed=7))) == json.dumps(program(Driver(seed=7)))
    assert json.dumps(program(Driver(seed=7))) != json.dumps(program(Driver(seed=8)))


def test_both_stores_give_the_same_bytes() -> None:
    other = Driver(Engine(Settings(clock=NOON), store=SQLiteStore(":memory:")))
    assert json.dumps(program(Driver())) == json.dumps(program(other))


def test_everything_survives_a_restart_on_sqlite(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/state.db"
    drive = Driver(store=where)
    drive.script({"reply": {"text": "kept for later"}, "when": {"input_contains": "later"}})
    conversation = drive.conversation()["id"]
    first = drive.create("u1")
    inside = drive.create("u2", conversation=conversation)
    drive.advance(days=2)
    drive.engine.close()

    again = Driver(store=where)
    assert again.get(first["id"])["id"] == first["id"]
    assert again.context(again.create("u3", previous_response_id=first["id"])["id"])[0] == "u1"
    assert text_of(again.items(conversation, order="asc")["data"][0]) == "u2"
    assert again.get(inside["id"])["conversation"] == {"id": conversation}
    assert again.engine.control.read_clock("p")["now"] == NOON + 2 * 86_400
    assert text_of(again.create("later")["output"][0]) == "kept for later"
    again.engine.close()


def test_stores_are_opened_by_name(tmp_path: Path) -> None:
    assert isinstance(open_store("memory"), MemoryStore)
    opened = open_store(f"sqlite:///{tmp_path}/x.db")
    assert isinstance(opened, SQLiteStore)
    opened.close()


def test_any_object_that_responds_is_a_model() -> None:
    class Parrot:
        def respond(self, prompt: Prompt) -> Reply:
            text = f"{prompt.turn}/{prompt.item_count}/{[item['type'] for item in prompt.newest_first()]}"
            return Reply(output=({"type": "message", "content": [{"type": "output_text", "text": text}]},))

    drive = Driver(Engine(Settings(clock=NOON), model=Parrot()))
    first = drive.create("u1")
    assert text_of(first["output"][0]) == "1/1/['message']"
    second = drive.create("u2", previous_response_id=first["id"])
    assert text_of(second["output"][0]) == "2/3/['message', 'message', 'message']"


def test_models_come_from_the_catalogue() -> None:
    engine = Engine()
    listed = json.loads(Api(engine).list_models())
    assert listed["object"] == "list"
    known = {"id": "gpt-4.1", "object": "model", "created": 1_744_588_800, "owned_by": "system"}
    assert {**known, "shutdown_date": "2027-01-14"} in listed["data"]
    assert json.loads(Api(engine).retrieve_model("gpt-5.6"))["id"] == "gpt-5.6"
    with pytest.raises(APIError) as caught:
        Api(engine).retrieve_model("nope")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


def test_nothing_holds_the_body_of_a_refused_call() -> None:
    """A ring of an error and the frames that raised it kept 200 bodies of 1 MB, which took 400 MB."""
    engine, headers = Engine(Settings(clock=NOON)), {b"authorization": b"Bearer k"}
    body = b'{"model":"gpt-4.1","input":"x","top_p":"%b"}' % (b"x" * PACKED_FROM)
    call = Call("POST", "/v1/responses", body, headers=headers)
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(call.body)
        status = engine.handle(call).status
        after = sys.getrefcount(call.body)
    finally:
        gc.enable()
    assert (status, after) == (400, before)
