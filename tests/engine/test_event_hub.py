"""Live events: what is told to whom, what a slow or a returning listener gets, that nobody costs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.delivery.events import Body, Wait
from mockserver.delivery.player import KEEP_ALIVE
from mockserver.engine import event_hub, journal_store
from mockserver.engine.engine import Engine
from mockserver.engine.event_hub import HELLO, LOOK_S, SILENCE_S, EventStream
from mockserver.journal.exchange import Call
from mockserver.model.prompt import Prompt, Reply
from mockserver.store.failures import StoreUnavailable
from mockserver.transport.app import MockApp
from mockserver.wire.errors.api import APIError, MockError
from tests.support.driving import NOON, Driver
from tests.support.sockets import Frames

SLOW = {"reply": {"text": "one two three"}, "pacing": {"first_token": 10, "tokens_per_second": 1}}


def read(stream: EventStream) -> list[tuple[str, Any]]:
    """The names and data of all events that a listener has not been sent yet."""
    sent = b""
    while isinstance(step := stream.next(), Body):
        sent += step.data
    events = [block for block in sent.decode().split("\n\n") if block and not block.startswith(":")]
    parsed = [dict(line.split(": ", 1) for line in block.splitlines()) for block in events]
    return [(event["event"], json.loads(event["data"])) for event in parsed]


def names(stream: EventStream) -> list[str]:
    return [name for name, _ in read(stream)]


def last_id(stream: EventStream) -> str:
    """The id of the last event that waits for a listener."""
    step = stream.next()
    assert isinstance(step, Body)
    return next(line[4:] for line in reversed(step.data.decode().splitlines()) if line.startswith("id: "))


@pytest.fixture
def drive() -> Driver:
    return Driver()


def test_nobody_is_told_of_anything_until_somebody_listens(drive: Driver) -> None:
    drive.create()
    assert not drive.engine.events.is_on
    stream = drive.engine.control.listen()
    assert read(stream) == []
    drive.create()
    assert names(stream) == ["exchange.began", "state", "exchange.ended"]


def test_a_turn_is_told_of_when_it_begins_when_it_is_written_and_when_it_ends(drive: Driver) -> None:
    first = drive.create()["id"]
    stream = drive.engine.control.listen("p")
    made = drive.create(previous_response_id=first)
    began, state, ended = [data for _, data in read(stream)]
    call = {"at": NOON, "transport": "http", "method": "POST", "path": "/v1/responses"}
    assert began == {"project": "p", "exchange": 1, **call}
    created = {"change": "created", "kind": "response", "id": made["id"]}
    assert state == {"project": "p", "cleared": False, "changes": [created], "more": 0}
    assert ended.pop("duration_ms") > 0
    usage = made["usage"]
    assert ended == {
        "project": "p",
        "exchange": 1,
        "id": 2,
        **call,
        "model": made["model"],
        "status": 200,
        "error_code": None,
        "input_tokens": usage["input_tokens"],
        "cached_tokens": usage["input_tokens_details"]["cached_tokens"],
        "output_tokens": usage["output_tokens"],
        "answered_by": "default model",
        "faults": [],
        "response_id": made["id"],
        "response_status": "completed",
        "previous_response_id": first,
        "conversation": None,
        "store": True,
        "events": 0,
        "ended": "delivered",
    }


def test_the_summary_of_an_event_is_that_of_the_journal(drive: Driver) -> None:
    stream = drive.engine.control.listen("p")
    drive.script({"reply": {"text": "scripted"}})
    conversation = drive.conversation()["id"]
    drive.create(conversation=conversation, store=False)
    drive.stream("x" * 40_000)
    for body in ({"previous_response_id": "resp_x"}, {"conversation": {"id": "conv_x"}}, {"input": 5}, b"{", {}):
        with pytest.raises((APIError, MockError)):
            drive.call("POST", "/v1/responses", body if isinstance(body, bytes) else {"model": "gpt-4.1", **body})
    told = [data for name, data in read(stream) if name == "exchange.ended"]
    for data in told:
        del data["project"], data["exchange"]
    listed = [one for one in drive.engine.control.read_journal("p", limit=100, view="summary") if one is not None]
    assert told == listed and len(told) == 8


def test_refused_turns_say_what_they_were_to_continue(drive: Driver) -> None:
    stream = drive.engine.control.listen("p")
    with pytest.raises(APIError):
        drive.create(previous_response_id="resp_x")
    *_, (_, ended) = read(stream)
    assert (ended["status"], ended["error_code"]) == (400, "previous_response_not_found")
    assert (ended["previous_response_id"], ended["model"], ended["answered_by"]) == ("resp_x", "gpt-4.1", None)


def test_a_turn_that_takes_time_runs_until_the_clock_has_passed_its_end(drive: Driver) -> None:
    drive.script(SLOW)
    stream = drive.engine.control.listen("p")
    id = drive.create(background=True)["id"]
    changes = [data["changes"] for name, data in read(stream) if name == "state"]
    assert changes == [[{"change": "created", "kind": "running", "id": id}]]
    drive.advance(seconds=60)
    (_, state), (name, clock) = read(stream)
    assert state["changes"] == [
        {"change": "deleted", "kind": "running", "id": id},
        {"change": "created", "kind": "response", "id": id},
    ]
    moved = {"now": NOON + 60, "mode": "manual", "expired": [], "completed": [id]}
    assert (name, clock) == ("clock", {"project": "p", **moved})


def test_the_clock_tells_what_expired(drive: Driver) -> None:
    id = drive.create()["id"]
    stream = drive.engine.control.listen("p")
    drive.advance(days=31)
    drive.engine.control.set_clock("p", None)
    (_, moved), (_, freed) = read(stream)
    assert (moved["expired"], freed["mode"], freed["expired"]) == ([id], "system", [])


def test_deletions_resets_and_conversations(drive: Driver) -> None:
    stream = drive.engine.control.listen("p")
    id, conversation = drive.create()["id"], drive.conversation()["id"]
    drive.delete(id)
    drive.create(conversation=conversation)
    changes = [one for name, data in read(stream) if name == "state" for one in data["changes"]]
    assert [(one["change"], one["kind"]) for one in changes] == [
        ("created", "response"),
        ("created", "conversation"),
        ("deleted", "response"),
        ("created", "response"),
        ("updated", "conversation"),
    ]
    drive.engine.control.reset("p")
    (name, data), (second, _) = read(stream)
    assert (name, data, second) == ("state", {"project": "p", "cleared": True, "changes": [], "more": 0}, "clock")


def test_of_many_changes_the_first_are_listed_and_the_others_counted(drive: Driver) -> None:
    stream = drive.engine.control.listen("p")
    given = {"responses": [{"input": "a", "output": "b"} for _ in range(130)]}
    drive.engine.control.give("p", given)
    [(_, data)] = read(stream)
    assert (len(data["changes"]), data["more"]) == (100, 30)


def test_projects_are_told_apart(drive: Driver) -> None:
    other = Driver(drive.engine, "q")
    other.create()
    everybody, mine = drive.engine.control.listen(), drive.engine.control.listen("q")
    drive.create()
    other.create()
    assert [data["project"] for _, data in read(everybody)] == ["p"] * 3 + ["q"] * 3
    assert [data["project"] for _, data in read(mine)] == ["q"] * 3


def test_a_store_of_its_own_tells_the_same_with_the_journals_numbers(tmp_path: Any) -> None:
    drive = Driver(store=f"sqlite:///{tmp_path}/s.db")
    stream = drive.engine.control.listen()
    drive.create()
    drive.create()
    assert [data.get("id") for name, data in read(stream) if name == "exchange.ended"] == [1, 2]
    drive.engine.control.reset("p")
    assert [data["project"] for _, data in read(stream)] == ["p", "p"]  # of the journal's own records nobody is told
    drive.engine.close()


def test_without_a_journal_an_exchange_has_no_number() -> None:
    drive = Driver(journal=0)
    stream = drive.engine.control.listen()
    drive.create()
    *_, (_, ended) = read(stream)
    assert ended["id"] is None and ended["status"] == 200


def test_a_listener_that_comes_back_gets_what_it_missed(drive: Driver) -> None:
    drive.create()
    stream, other = drive.engine.control.listen("p"), drive.engine.control.listen()
    drive.create()
    id = last_id(stream)
    stream.leave()
    drive.create()
    again = drive.engine.control.listen("p", id)
    assert names(again) == ["exchange.began", "state", "exchange.ended"]
    assert names(other) == ["exchange.began", "state", "exchange.ended"] * 2


def test_also_when_nobody_listened_meanwhile(drive: Driver) -> None:
    stream = drive.engine.control.listen()
    drive.create()
    id = last_id(stream)
    stream.leave()
    drive.create()
    assert names(drive.engine.control.listen(None, id)) == ["exchange.began", "state", "exchange.ended"]


def test_after_a_while_without_listeners_nothing_is_kept(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = drive.engine.control.listen()
    drive.create()
    id = last_id(stream)
    stream.leave()
    monkeypatch.setattr(event_hub, "RESUME_S", -1.0)
    monkeypatch.setattr(event_hub, "LOOK_EVERY", 2)
    drive.create()
    assert not drive.engine.events.is_on
    again = drive.engine.control.listen(None, id)
    drive.create()
    assert read(again)[0] == ("lost", {"count": None})


@pytest.mark.parametrize("id", ["x", "1-1", "-1", "abc-", "{run}-99", "{run}--1"])
def test_an_id_that_nobody_knows_is_answered_by_a_loss_of_unknown_size(drive: Driver, id: str) -> None:
    stream = drive.engine.control.listen()
    drive.create()
    run = last_id(stream).partition("-")[0]
    assert read(drive.engine.control.listen(None, id.format(run=run))) == [("lost", {"count": None})]


def test_who_reads_too_slowly_loses_the_oldest_and_is_told_how_many(
    drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "MOST_EVENTS", 4)
    other = Driver(drive.engine, "q")
    other.create()
    everybody, mine = drive.engine.control.listen(), drive.engine.control.listen("q")
    other.create()
    assert len(read(everybody)) == 3
    for _ in range(3):
        drive.create()
    lost, *found = read(everybody)
    assert (lost, len(found)) == (("lost", {"count": 5}), 4)
    assert read(mine) == [("lost", {"count": 3})]  # those of others are no loss
    assert read(everybody) == read(mine) == []


def test_the_row_of_events_is_bounded_in_bytes(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "MOST_BYTES", 300)
    stream = drive.engine.control.listen()
    drive.create()
    assert len(read(stream)) == 1  # the loss: no exchange.ended is that short


def test_events_say_what_was_so_when_they_happened(drive: Driver) -> None:
    stream = drive.engine.control.listen("p")
    id = drive.create()["id"]
    drive.advance(days=1)
    drive.delete(id)
    drive.engine.control.clear_journal("p")
    told = [(name, data.get("at", data.get("now")), data.get("id")) for name, data in read(stream)]
    later = NOON + 86_400
    assert told == [
        ("exchange.began", NOON, None),
        ("state", None, None),
        ("exchange.ended", NOON, 1),
        ("clock", later, None),
        ("exchange.began", later, None),
        ("state", None, None),
        ("exchange.ended", later, 2),
    ]


def test_what_waits_to_be_encoded_is_bounded_while_nobody_looks(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "LOOK_EVERY", 4)
    stream = drive.engine.control.listen("p")
    for _ in range(3):
        drive.create()
        assert len(drive.engine.events._waiting) < 4
    assert len(read(stream)) == 9


def test_what_waits_to_be_encoded_holds_no_long_body(drive: Driver) -> None:
    stream = drive.engine.control.listen("p")
    drive.create("x" * 40_000)
    drive.create("short")
    held = [values for name, _, values, _, _ in drive.engine.events._waiting if name == b"exchange.ended"]
    assert [type(values) for values in held] == [bytes, tuple] and len(held[0]) < 1000
    ended = [data for name, data in read(stream) if name == "exchange.ended"]
    assert [data["id"] for data in ended] == [1, 2] and ended[0]["input_tokens"] > 1000


def test_what_looks_like_a_key_is_not_shown(drive: Driver) -> None:
    stream = drive.engine.control.listen()
    with pytest.raises(APIError):
        drive.get("sk-proj-0123456789abcdef0123456789abcdef")
    told = json.dumps(read(stream))
    assert "/v1/responses/" in told and "0123456789" not in told


def test_a_listener_begins_with_a_comment_and_has_one_in_each_silence(drive: Driver) -> None:
    stream = drive.engine.control.listen()
    assert stream.next() == Body(HELLO)
    steps = [stream.next() for _ in range(int(SILENCE_S / LOOK_S) + 2)]
    assert steps.count(KEEP_ALIVE) == 1 and steps.count(Wait(LOOK_S)) == len(steps) - 1
    assert not stream.instant


def test_a_stream_ends_when_its_server_does(drive: Driver) -> None:
    stream = drive.engine.control.listen()
    stream.is_stopping = lambda: True
    assert stream.next() is None and stream.ended
    stream.leave()


def test_a_listener_that_was_dropped_without_a_word_is_none(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = drive.engine.control.listen()
    del stream
    monkeypatch.setattr(event_hub, "RESUME_S", -1.0)
    monkeypatch.setattr(event_hub, "LOOK_EVERY", 2)
    drive.create()
    assert not drive.engine.events.is_on


def test_a_project_that_begins_with_given_state_can_be_listened_to(tmp_path: Any) -> None:
    file = tmp_path / "given.yaml"
    file.write_text("given: {responses: [{id: resp_given, input: a, output: b}]}\nlines: []\n")
    drive = Driver(Engine(Settings(clock=NOON, scenario=(str(file),))))
    stream = drive.engine.control.listen()
    drive.create(previous_response_id="resp_given")
    changed = [one["id"] for name, data in read(stream) if name == "state" for one in data["changes"]]
    assert "resp_given" in changed


def test_a_worker_hears_what_happens_in_another_process_and_tells_it_once(drive: Driver) -> None:
    """Both ways at once: what came from the other worker does not go back."""
    here, there = drive.engine.events, Driver().engine.events
    heard: list[bool] = []
    there.on_heard = lambda: heard.append(True)
    told = here.listen_as_worker()
    listener, back = there.listen(), there.listen_as_worker()
    assert heard == [True] and there.is_heard and not here.is_heard and here.is_on
    drive.create()
    step = told.next()
    assert isinstance(step, Body)
    for block in step.data.split(b"\n\n"):
        there.relay(block)
    there.relay(b": keep-alive")
    assert names(listener) == ["exchange.began", "state", "exchange.ended"]
    assert names(back) == []


# --- the end of every exchange ----------------------------------------------------------------------------------------


class Failing:
    """A model with a fault of its own."""

    def respond(self, prompt: Prompt) -> Reply:
        raise RuntimeError("deliberate")


def endings(stream: EventStream) -> list[tuple[int, int, str]]:
    """The number, status and end of each exchange whose end was told; each that began has one."""
    told = read(stream)
    began = [data["exchange"] for name, data in told if name == "exchange.began"]
    ended = [data for name, data in told if name == "exchange.ended"]
    assert sorted(began) == sorted(data["exchange"] for data in ended)
    return [(data["exchange"], data["status"], data["ended"]) for data in ended]


CREATE = b'{"model":"gpt-4.1","input":"x"}'
# way in → a call that fails
FAILING: dict[str, Callable[[Engine], Any]] = {
    "http": lambda engine: engine.handle(Call(body=CREATE, project="p")),
    "a thread": lambda engine: engine.handle(Call(body=CREATE, project="p"), apart=True),
    "engine": lambda engine: engine.create_response("p", CREATE),
}


@pytest.mark.parametrize("way", FAILING)
def test_a_call_in_which_the_mock_fails_ends_as_a_500(way: str) -> None:
    engine = Engine(Settings(clock=NOON), model=Failing())
    stream = engine.control.listen("p")
    with pytest.raises(RuntimeError, match="deliberate"):
        FAILING[way](engine)
    assert endings(stream) == [(1, 500, "delivered")]
    (entry,) = engine.control.journal("p", limit=9)["data"]
    assert (entry["status"], entry["error"]["type"], entry["changes"]) == (500, "mock_error", [])


def test_the_app_answers_such_a_call_once_and_records_it_once(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(Settings(clock=NOON), model=Failing())
    stream = engine.control.listen()
    answer, _ = MockApp(engine).answer(Call(body=CREATE))
    assert answer.status == 500 and "deliberate" in caplog.text
    assert endings(stream) == [(1, 500, "delivered")]
    (entry,) = engine.control.journal("default", limit=9)["data"]
    assert {"error": entry["error"]} == json.loads(answer.body)


def test_a_turn_on_a_socket_in_which_the_mock_fails_ends_too(caplog: pytest.LogCaptureFixture) -> None:
    frames = Frames(Engine(Settings(clock=NOON), model=Failing()))
    stream = frames.engine.control.listen()
    assert frames.create()["status"] == 500
    assert endings(stream) == [(1, 500, "delivered")]


def test_frames_that_still_wait_when_their_client_leaves_have_an_end() -> None:
    """Spec: R4.9: a busy lane queues."""
    frames = Frames()
    stream = frames.engine.control.listen()
    frames.script(SLOW)
    assert frames.send("slow") == frames.send("waits") == []
    frames.connection.leave()
    assert [(number, how) for number, _, how in endings(stream)] == [(1, "disconnected"), (2, "disconnected")]


def test_a_call_that_the_store_refuses_ends_although_the_journal_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    drive = Driver()
    stream = drive.engine.control.listen("p")

    def refuse(*given: Any) -> Any:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(drive.engine.store, "transaction", refuse)
    monkeypatch.setattr(drive.engine.journal._entries, "add", refuse)
    with pytest.raises(StoreUnavailable):
        drive.create()
    assert endings(stream) == [(1, 503, "delivered")] and "the journal can't be written" in caplog.text


def test_an_exchange_of_which_nothing_can_be_read_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*given: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr(journal_store, "summarize", fail)
    drive = Driver()
    stream = drive.engine.control.listen("p")
    drive.create()
    assert endings(stream) == [(1, 200, "delivered")]
