"""The journal as calls fill it: in batches, in a ring, with the context that the model saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mockserver.engine.journal_pages import BATCH, MOST_WAITING, lines_of
from mockserver.journal.exchange import Call, Exchange
from tests.support.caller import PROJECT, Caller
from tests.support.driving import NOON, text_of


def test_an_exchange_tells_all() -> None:
    call = Caller()
    call.levers.enqueue(PROJECT, [{"reply": {"text": "scripted"}}])
    response = call.create("what?", store=True)
    one = call.last(context="full")
    assert (one["id"], one["at"], one["transport"], one["status"]) == (1, NOON, "http", 200)
    assert one["request"] == {"model": "gpt-4.1", "input": "what?", "store": True} == json.loads(one["body"])
    assert one["response_id"] == response["id"] and one["line"] == {"place": "queue", "reply": {"text": "scripted"}}
    assert {(change["change"], change["kind"]) for change in one["changes"]} == {("put", "response"), ("put", "item")}
    assert one["ended"] == "delivered" and one["duration_ms"] > 0
    assert one["context"] == call.levers.context(PROJECT, response["id"])


def test_errors_and_other_calls_are_there_too() -> None:
    call = Caller()
    call("POST", "/v1/responses", b"{")
    call("GET", "/v1/responses/resp_nope", stream="true")
    call("GET", "/v1/models")
    call("GET", "/v1/models/a/../b")
    call("POST", "/v1/embeddings")  # Spec: P24
    errors = [(one["path"], one["status"], (one["error"] or {}).get("code"), one["query"]) for one in call.journal()]
    assert errors == [
        ("/v1/responses", 400, "invalid_json", ""),
        ("/v1/responses/resp_nope", 404, None, "stream=true"),
        ("/v1/models", 200, None, ""),
        ("/v1/models/a/../b", 404, "model_not_found", ""),
        ("/v1/embeddings", 501, None, ""),
    ]
    assert {one["at"] for one in call.journal()} == {NOON}


def test_the_lines_place_in_a_scenario() -> None:
    call = Caller()
    call.levers.set_scenario(
        PROJECT, {"lines": [{"when": {"model": "x"}, "reply": {"text": "a"}}, {"reply": {"text": "b"}}]}
    )
    call.create()
    assert call.last()["line"] == {"place": "lines[1]", "reply": {"text": "b"}}


@pytest.mark.parametrize("store", [True, False])
def test_contexts(store: bool) -> None:
    """Of unstored turns, deleted responses, conversations; None once the state is forgotten."""
    call = Caller()
    first = call.create("one")
    call.create("two", previous_response_id=first["id"], store=store, instructions="Be kind.")
    context = call.last(context="full")["context"]
    assert [text_of(item) for item in context["items"]] == ["one", text_of(first["output"][0]), "two"]
    assert context["instructions"] == "Be kind." and context["input_tokens"] > 0
    call("DELETE", f"/v1/responses/{first['id']}")
    first_one, second_one, _ = call.journal(context="full")
    # what only an unstored turn goes back to is gone with it: deleted texts stay nowhere
    assert second_one["context"] == (context if store else None)
    assert (first_one["context"] is not None) == store
    call.levers.reset(PROJECT, ["state"])
    assert call.journal(context="full")[1]["context"] is None


def test_the_context_of_a_turn_under_way() -> None:
    call = Caller()
    call.levers.enqueue(PROJECT, [{"reply": {"text": "slow"}, "pacing": {"first_token": 60}}])
    call.create("now", background=True)
    one = call.last(context="full")
    assert [text_of(item) for item in one["context"]["items"]] == ["now"]


def test_pages_and_filters() -> None:
    call = Caller()
    ids = [call.create(f"n{number}")["id"] for number in range(5)]
    call("GET", f"/v1/responses/{ids[0]}")
    page = call.levers.journal(PROJECT, limit=2)
    assert [one["id"] for one in page["data"]] == [1, 2] and page["has_more"]
    page = call.levers.journal(PROJECT, limit=4, after=2)
    assert [one["id"] for one in page["data"]] == [3, 4, 5, 6] and not page["has_more"]
    assert [one["id"] for one in call.journal(response_id=ids[2])] == [3]
    assert [one["method"] for one in call.journal(path="/v1/responses/*")] == ["GET"]
    assert len(call.journal(path="/v1/responses")) == 5


def test_the_oldest_are_forgotten() -> None:
    call = Caller(journal=3)
    for number in range(8):
        call.create(f"n{number}")
    assert [one["id"] for one in call.journal()] == [6, 7, 8]
    call.create("more")
    assert [one["id"] for one in call.journal()] == [7, 8, 9]
    for number in range(500):
        call("GET", f"/v1/models/{number}")
    assert [one["id"] for one in call.journal()] == [507, 508, 509]
    assert len(call.app.engine.store.records(f"{PROJECT}/journal")) <= 3


def test_no_journal_at_all() -> None:
    call = Caller(journal=0)
    call.create()
    assert call.journal() == []


def test_exchanges_are_written_in_batches_and_survive_the_process(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/state.db"
    call = Caller(store=where)
    written = call.app.engine.store.records
    for _ in range(BATCH - 1):
        call("GET", "/v1/models")
    assert written(f"{PROJECT}/journal") == []
    call("GET", "/v1/models")
    (page,) = written(f"{PROJECT}/journal")
    assert len(lines_of(page.doc)) == BATCH
    call("GET", "/v1/models")
    call.app.engine.close()
    assert len(Caller(store=where).journal(limit=1000)) == BATCH + 1


@pytest.mark.slow  # as many projects as may wait take 3 s
def test_what_waits_of_many_projects_is_written_before_it_is_much(tmp_path: Path) -> None:
    engine = Caller(store=f"sqlite:///{tmp_path}/state.db").app.engine
    for number in range(MOST_WAITING):
        engine.journal.note(f"p{number}", Exchange(Call(), "http", at=0.0))
    assert len(engine.store.records("p0/journal")) == 1 == len(list(engine.journal.read("p0", limit=1, after=None)))


def test_shared_stores_write_at_once(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/state.db"
    one, other = Caller(store=where, workers=2), Caller(store=where, workers=2)
    for call in (one, other, one):
        call("GET", "/v1/models")
    assert [exchange["id"] for exchange in other.journal()] == [1, 2, 3]


def test_an_exchange_that_was_read_under_way_is_written_again() -> None:
    call = Caller()
    call.levers.enqueue(PROJECT, [{"reply": {"text": "slow"}, "pacing": {"first_token": 60}}])
    answer = call.create(stream=True)
    assert (call.last()["ended"], call.last()["transport"]) == (None, "sse")
    call("GET", "/v1/models")
    assert [one["ended"] for one in call.journal()] == [None, "delivered"]
    answer.player.leave()
    call("GET", "/v1/models")
    assert [(one["id"], one["ended"]) for one in call.journal()] == [
        (1, "disconnected"),
        (2, "delivered"),
        (3, "delivered"),
    ]


def test_an_exchange_that_was_forgotten_under_way_stays_forgotten() -> None:
    call = Caller(journal=2)
    call.levers.enqueue(PROJECT, [{"reply": {"text": "slow"}, "pacing": {"first_token": 60}}])
    answer = call.create(stream=True)
    for _ in range(5):
        call("GET", "/v1/models")
        call.journal()
    answer.player.leave()
    assert [one["id"] for one in call.journal()] == [5, 6]


def test_resets_and_snapshots() -> None:
    call = Caller()
    call.create()
    snapshot = call.levers.snapshot(PROJECT)
    assert "exchange" not in json.dumps(snapshot)
    call.levers.reset(PROJECT, ["state", "scenario", "faults", "clock"])
    call.levers.restore(PROJECT, snapshot)
    assert len(call.journal()) == 1
    call.levers.reset(PROJECT, ["journal"])
    assert call.journal() == []
    call.create()
    assert call.last()["id"] == 1
    call.levers.reset(PROJECT)
    assert call.journal() == []


def test_no_byte_depends_on_the_journal() -> None:
    def told(**settings: Any) -> list[Any]:
        call = Caller(**settings)
        first = call.create("a")
        said: list[Any] = [first, call.create("b", previous_response_id=first["id"], store=False)]
        for _ in range(70):
            said.append(call.create("c", previous_response_id=first["id"]))
        return [*said, call.levers.snapshot(PROJECT)]

    assert told() == told(journal=0) == told(journal=2)


def test_secrets_are_never_stored(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    call = Caller(store=f"sqlite:///{file}")
    secrets = ["sk-proj-0123456789abcdef", "mcp-bearer-0123456", "header-secret-0123"]
    tool = {"type": "mcp", "server_label": "s", "server_url": "https://example.com", "authorization": secrets[1]}
    body = {
        "model": "gpt-4.1",
        "input": "x",
        "tools": [{**tool, "headers": {"X-Key": secrets[2]}}],
        "tool_choice": "none",
    }
    headers = {b"authorization": f"Bearer {secrets[0]}".encode()}
    for fields in ({}, {"store": False}, {"bogus": secrets[0]}):
        call.app.answer(Call(body=json.dumps({**body, **fields}).encode(), query=[("k", secrets[0])], headers=headers))
    project = call.app.engine.project(f"Bearer {secrets[0]}", None)
    journal = call.levers.journal(project)["data"]
    assert [one["status"] for one in journal] == [200, 200, 400]
    call.app.engine.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir()) + json.dumps(journal).encode()
    assert not [secret for secret in secrets if secret.encode() in kept]


def test_a_turn_that_no_line_answered_tells_which_came_nearest() -> None:
    call = Caller()
    call.create("before there is a line")
    lines = [{"when": {"input_contains": word, "turn": 1}, "reply": {"text": "x"}} for word in ("snow", "rain")]
    call.levers.set_scenario(PROJECT, {"lines": lines})
    call.create("hi")
    mismatch = {"key": "input_contains", "wants": '"snow"', "found": '"hi"'}
    near = {"place": "lines[0]", "spent": False, "keys": 2, "mismatches": [mismatch]}
    first, second = [one["near_misses"] for one in call.journal()]
    assert (first, second[0], len(second)) == ([], near, 2)
    call.create("rain")
    assert call.last()["near_misses"] == []


def test_near_misses_show_no_secrets() -> None:
    call = Caller()
    call.levers.enqueue(PROJECT, [{"when": {"input_contains": "x"}, "reply": {"text": "x"}}])
    call.create("sk-proj-0123456789abcdef0123456789abcdef")
    shown = call.last()["near_misses"]
    assert shown[0]["place"] == "queue[0]" and "0123456789" not in json.dumps(shown)
