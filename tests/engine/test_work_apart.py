"""Long work that keeps no other call of its project out: the same bytes, done again where another call came between.

Who comes between is decided by the work itself, which makes the other call on its first tries.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Thread
from typing import Any, cast

import pytest

from mockserver.config.pacing import Pacing
from mockserver.config.settings import Settings
from mockserver.core.records import Change, Put
from mockserver.engine.engine import Engine
from mockserver.engine.transactions import NOT_RECORDED, TRIES_APART, UnitOfWork
from mockserver.journal.exchange import Call
from mockserver.model.default_model import SeededModel
from mockserver.model.prompt import Prompt, Reply
from mockserver.store.connection_overlay import ConnectionRecords
from mockserver.store.sqlite import SQLiteStore
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import MockError
from tests.support.driving import MODEL, NOON, Driver
from tests.support.examples import first_of

LARGE = "pebble " * 10_000  # beyond the 64 KiB from which a body is answered in a thread


def is_store_locked(engine: Engine) -> bool:
    """Whether calls of other projects may have to wait too."""
    if isinstance(engine.store, SQLiteStore):
        return engine.store._lock.is_taken
    lock, free = cast(Any, engine.store.transaction("p")), []

    def look() -> None:
        free.append(lock.acquire(blocking=False))
        if free[0]:
            lock.release()

    thread = Thread(target=look)
    thread.start()
    thread.join()
    return not free[0]


def is_locked(engine: Engine) -> bool:
    """Whether other calls of the project have to wait."""
    return bool(engine._calls._reserved) or is_store_locked(engine)


class Work:
    """A piece of work that adds a use; on its first tries something else happens before it is done."""

    def __init__(self, engine: Engine, between: Callable[[], Any] | None = None, times: int = 0) -> None:
        self.engine, self.between, self.times = engine, between or self.write_another, times
        self.ordinals: list[int] = []
        self.locked: list[bool] = []

    def write_another(self) -> None:
        def note(at: UnitOfWork) -> tuple[None, list[Change]]:
            return None, [Put("use", "others", b"%d" % (int(at.state.get("use", "others") or b"0") + 1))]

        self.engine._calls.write("p", note)

    def __call__(self, at: UnitOfWork) -> tuple[tuple[int, str, bytes | None], list[Change]]:
        self.ordinals.append(at.ordinal)
        self.locked.append(is_locked(self.engine))
        others = at.state.get("use", "others")
        if len(self.ordinals) <= self.times:
            self.between()
        return (at.ordinal, at.id_generator.node(), others), [Put("use", "mine", others or b"none")]

    def do(self) -> Any:
        return self.engine._calls.write_apart("p", self, recorder=NOT_RECORDED)


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    store = "memory" if request.param == "memory" else f"sqlite:///{tmp_path}/s.db"
    engine = Engine(Settings(clock=NOON, store=store))
    yield engine
    engine.close()


def test_undisturbed_work_is_done_once_while_nobody_waits_and_gives_the_bytes_of_a_locked_one(engine: Engine) -> None:
    other = Engine(Settings(clock=NOON))
    for _ in range(3):
        work, same = Work(engine), Work(other)
        assert work.do() == other._calls.write("p", same)
        assert (work.locked, same.locked) == ([False], [True])
    assert engine.store.records("p") == other.store.records("p") != []


def test_turns_have_the_same_bytes_on_both_ways() -> None:
    def answers(*, apart: bool) -> Iterator[Any]:
        drive = Driver()

        def ask(path: str, body: Any, method: str = "POST") -> Any:
            answer = drive.engine.handle(Call(method, path, json.dumps(body).encode(), "p"), apart=apart)
            return answer.status, answer.body, answer.events

        conversation = drive.conversation()["id"]
        yield ask("/v1/responses", {"model": MODEL, "input": LARGE, "conversation": conversation})
        first = ask("/v1/responses", {"model": MODEL, "input": LARGE})
        yield first
        parent = json.loads(first[1])["id"]
        yield ask("/v1/responses", {"model": MODEL, "input": LARGE, "previous_response_id": parent, "stream": True})
        yield ask("/v1/responses", {"model": MODEL, "input": LARGE, "previous_response_id": "resp_none"})
        yield ask(f"/v1/conversations/{conversation}/items", {"items": [{"role": "user", "content": LARGE}]})
        yield ask(f"/v1/responses/{parent}", None, "DELETE")
        yield drive.engine.store.records("p")
        yield [
            {key: value for key, value in entry.items() if key != "duration_ms"}
            for entry in drive.engine.control.journal("p", limit=100)["data"]
        ]

    for apart, locked in zip(answers(apart=True), answers(apart=False), strict=True):
        assert apart == locked


@pytest.mark.parametrize("times", range(1, TRIES_APART))
def test_work_is_done_again_where_another_call_wrote_meanwhile(engine: Engine, times: int) -> None:
    work = Work(engine, times=times)
    assert work.do()[::2] == (times, b"%d" % times), "it read what the last of the others wrote, and has its number"
    assert (work.ordinals, work.locked) == ([*range(times + 1)], [False] * (times + 1))
    assert engine.store.get("p", "use", "mine") == b"%d" % times
    assert engine._calls.write("p", lambda at: (at.ordinal, [])) == times + 1, "what was given up has no number"


def test_after_so_many_tries_the_others_wait(engine: Engine) -> None:
    work = Work(engine, times=99)
    work.times = TRIES_APART
    assert work.do()[::2] == (TRIES_APART, b"%d" % TRIES_APART)
    assert work.locked == [False] * TRIES_APART + [True]


PENDING: dict[str, Callable[[Engine], Any]] = {
    "line": lambda engine: engine.control.enqueue("p", [{"reply": {"text": "once"}}]),
    "fault": lambda engine: engine.control.set_faults("p", [{"do": "cut"}]),
}


@pytest.mark.parametrize("pending", PENDING)
def test_what_counts_its_uses_is_asked_while_the_others_wait(engine: Engine, pending: str) -> None:
    PENDING[pending](engine)
    work, store_locked = Work(engine), list[bool]()
    work.times, work.between = 1, lambda: store_locked.append(is_store_locked(engine))
    work.do()
    assert work.locked == [True] and store_locked == [False], "those of other projects do not wait"
    assert not engine._calls._reserved and not is_store_locked(engine)


def test_a_fault_that_another_call_has_used_is_asked_again(engine: Engine) -> None:
    """Another process may use it, for which nobody here waits."""
    engine.control.set_faults("p", [{"do": {"error": 500}, "times": 2}])
    recorder = engine.journal.record(Call("GET", "/v1/models", project="p"))
    recorder.project = "p"
    work = Work(engine, lambda: engine.fault_injector.strike_call(recorder, "p"), times=1)
    work.do()
    assert work.ordinals == [0, 0] and work.locked == [True, True]
    assert engine.control.faults("p")["faults"][0]["used"] == 1


def test_a_call_that_a_fault_may_strike_waits_for_long_work(engine: Engine) -> None:
    engine.control.set_faults("p", [{"do": {"error": 500}}])
    order: list[str] = []
    call = Call("GET", "/v1/models", project="p")
    other = Thread(target=lambda: order.append(str(engine.handle(call, apart=True).status)))

    def work(at: UnitOfWork) -> tuple[None, list[Change]]:
        other.start()
        other.join(0.05)
        assert other.is_alive(), "it waits"
        order.append("work")
        return None, []

    engine._calls.write_apart("p", work, recorder=NOT_RECORDED)
    other.join()
    assert order == ["work", "500"]


def test_faults_of_a_turn_that_was_given_up_are_forgotten(engine: Engine) -> None:
    """Spec: R15.7. What struck at the edge stays: it has been counted."""
    rate = {"do": {"rate_limit": {"requests_per_minute": 9}}}
    engine.control.set_faults("p", [rate, {"do": "cut", "when": {"model": MODEL}, "times": 1}])
    work = Work(engine, times=1)

    def answer(at: UnitOfWork, *given: Any) -> Any:
        outcome = engine.pipeline.answer(at, *given)
        work(at)  # in which another process writes, the first time
        return outcome

    recorder = engine.journal.record(Call(body=b"{}", project="p"))
    recorder.project, recorder.apart = "p", True
    engine.strike(recorder)
    request = engine.pipeline.shape(engine.judge_frame({"type": "response.create", "model": MODEL, "input": "x"}))
    engine._calls.write_apart("p", answer, {}, request, recorder=recorder)
    assert len(work.ordinals) == 2 and recorder.exchange.faults == ["cut"] and len(recorder.effects) == 1
    assert [*recorder.buckets] == ["000000"]
    assert [fault["used"] for fault in engine.control.faults("p")["faults"]] == [0, 1]


def test_a_call_waits_for_long_work_that_has_waited_for_others(engine: Engine) -> None:
    order: list[str] = []

    def write() -> None:
        engine._calls.write("p", lambda at: (order.append("other"), []))

    def work(at: UnitOfWork) -> tuple[None, list[Change]]:
        if engine._calls._reserved and not order:
            order.append("work")
            other.start()
            other.join(0.05)
            assert other.is_alive(), "it waits"
        elif not order:
            Work(engine).write_another()
        return None, []

    other = Thread(target=write)
    engine._calls.write_apart("p", work, recorder=NOT_RECORDED)
    other.join()
    assert order == ["work", "other"]


class Counting:
    """A model whose answers depend on how often it was asked; something else happens meanwhile."""

    def __init__(self, between: Callable[[], Any]) -> None:
        self.answers, self.between = 0, between

    def respond(self, prompt: Prompt) -> Reply:
        self.answers += 1
        self.between()
        return SeededModel().respond(prompt)


LARGE_TURN = json.dumps({"model": MODEL, "input": LARGE}).encode()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_while_a_model_of_ones_own_answers_a_large_body_other_projects_are_served(tmp_path: Path, kind: str) -> None:
    def look() -> None:
        found.append((is_locked(engine), is_store_locked(engine)))

    found: list[tuple[bool, bool]] = []
    model = Counting(look)
    store = "memory" if kind == "memory" else f"sqlite:///{tmp_path}/s.db"
    engine = Engine(Settings(clock=NOON, store=store), model=model)
    assert engine.handle(Call(body=LARGE_TURN, project="p"), apart=True).status == 200
    assert model.answers == 1 and found == [(True, False)], "only calls of its project wait"
    engine.close()


def test_a_model_of_ones_own_is_asked_once_although_its_turn_is_worked_out_again() -> None:
    """Spec: R9.20. A turn in progress ends without a call, and the project is another one then."""

    def end_the_first() -> None:
        if running:
            drive.engine.finish("p", running.pop())

    running: list[str] = []
    model = Counting(end_the_first)
    drive = Driver(Engine(Settings(clock=NOON, pacing=Pacing(first_token_s=60)), model=model))
    first = drive.engine.create_response("p", b'{"model":"gpt-4.1","input":"a","stream":true}').id
    running.append(first)
    assert drive.engine.handle(Call(body=LARGE_TURN, project="p"), apart=True).status == 200
    assert drive.get(first)["status"] == "completed" and not running
    assert model.answers == 2, "once for each turn"


def test_a_model_of_ones_own_that_fails_is_asked_once() -> None:
    def fail() -> None:
        raise KeyError("a mistake of the test's author")

    model = Counting(fail)
    with pytest.raises(KeyError):
        Engine(Settings(clock=NOON), model=model).handle(Call(body=LARGE_TURN, project="p"), apart=True)
    assert model.answers == 1


def test_calls_of_another_project_do_not_count(engine: Engine) -> None:
    def note(at: UnitOfWork) -> tuple[None, list[Change]]:
        return None, [Put("use", "others", b"1")]

    def write_elsewhere() -> None:
        engine._calls.write("q", note)

    work = Work(engine, write_elsewhere, times=1)
    assert work.do()[::2] == (0, None) and len(work.ordinals) == 1


@pytest.mark.parametrize("forget", ["reset", "restore"])
def test_a_reset_of_another_project_does_not_count(engine: Engine, forget: str) -> None:
    elsewhere = engine.control.snapshot("q")
    forgets = {"reset": lambda: engine.control.reset("q"), "restore": lambda: engine.control.restore("q", elsewhere)}
    work = Work(engine, forgets[forget], times=1)
    work.do()
    assert work.ordinals == [0] and not engine._calls._eras


def test_a_reset_to_an_equal_project_counts(engine: Engine) -> None:
    engine.control.reset("p")
    work = Work(engine, lambda: engine.control.reset("p"), times=1)
    work.do()
    assert work.ordinals == [0, 0]


def test_a_turn_that_ended_meanwhile_counts() -> None:
    """Spec: R2.12: its items become a part of the conversation at its end."""
    drive = Driver()
    conversation = drive.conversation()["id"]
    drive.script({"reply": {"text": "slow"}, "pacing": {"first_token": 60}})
    body = {"model": MODEL, "input": "a", "stream": True, "conversation": conversation}
    delivery = drive.engine.create_response("p", json.dumps(body).encode())
    work = Work(drive.engine, lambda: drive.engine.finish("p", delivery.id), times=1)
    work.do()
    assert work.locked == [False, False] and len(set(work.ordinals)) == 1


@pytest.mark.parametrize("error", [errors.missing_bearer(), MockError("no", status=501)])
def test_the_same_errors_are_raised_and_nothing_is_written(engine: Engine, error: Exception) -> None:
    runs: list[bool] = []

    def refuse(at: UnitOfWork) -> Any:
        runs.append(is_locked(engine))
        raise error

    with pytest.raises(type(error)) as caught:
        engine._calls.write_apart("p", refuse, recorder=NOT_RECORDED)
    assert caught.value is error and runs == [False] and engine.store.records("p") == []


def test_an_error_holds_only_for_the_state_that_it_was_found_in(engine: Engine) -> None:
    runs: list[int] = []

    def refuse_first(at: UnitOfWork) -> Any:
        runs.append(at.ordinal)
        if len(runs) == 1:
            Work(engine).write_another()
            raise errors.missing_bearer()
        return "done", []

    assert engine._calls.write_apart("p", refuse_first, recorder=NOT_RECORDED) == "done" and runs == [0, 1]


def test_work_that_fails_is_tried_once_more_while_the_others_wait(engine: Engine) -> None:
    runs: list[bool] = []

    def fail(at: UnitOfWork) -> Any:
        runs.append(is_locked(engine))
        raise KeyError("what another call took away")

    with pytest.raises(KeyError):
        engine._calls.write_apart("p", fail, recorder=NOT_RECORDED)
    assert runs == [False, True]


# --- what the journal says --------------------------------------------------------------------------------------------


class Meddler:
    """A model during whose first answers something else happens."""

    may_be_asked_again = True

    def __init__(self, between: Callable[[], Any], times: int = 1) -> None:
        self.between, self.times, self.answers = between, times, 0

    def respond(self, prompt: Prompt) -> Reply:
        self.answers += 1
        if self.answers <= self.times:
            self.between()
        return SeededModel().respond(prompt)


def meddled(between: Callable[[Driver], Any], times: int = 1) -> tuple[Driver, Meddler]:
    drive: Driver
    model = Meddler(lambda: between(drive), times)
    drive = Driver(Engine(Settings(clock=NOON), model=model))
    return drive, model


def test_a_call_that_was_done_again_stands_in_the_journal_once() -> None:
    drive, model = meddled(lambda drive: drive.conversation(), TRIES_APART)
    answer = drive.engine.handle(Call("POST", "/v1/responses", b'{"model":"gpt-4.1","input":"x"}', "p"), apart=True)
    assert answer.status == 200 and model.answers == TRIES_APART + 1
    found = drive.engine.control.journal("p", limit=100)["data"]
    assert [entry["path"] for entry in found] == ["/v1/conversations"] * TRIES_APART + ["/v1/responses"]
    assert found[-1]["response_id"] == json.loads(answer.body)["id"]
    assert len(drive.engine.control.list_responses("p", limit=9, after=None)["data"]) == 1


def test_the_journal_says_nothing_of_a_turn_that_was_given_up() -> None:
    parents: list[str] = []
    drive, model = meddled(lambda drive: drive.delete(parents[0]), times=0)
    parents.append(drive.create()["id"])
    model.times = model.answers + 1
    body = json.dumps({"model": MODEL, "input": "x", "previous_response_id": parents[0]}).encode()
    answer = drive.engine.handle(Call("POST", "/v1/responses", body, "p"), apart=True)
    assert answer.status == 400 and model.answers == 2, "the turn was answered before what it goes on from was deleted"
    entry = drive.engine.control.journal("p", limit=100)["data"][-1]
    assert (entry["path"], entry["status"], entry["response_id"]) == ("/v1/responses", 400, None)


def test_the_journal_says_nothing_of_a_line_that_another_call_has_used(engine: Engine) -> None:
    recorder = engine.journal.record(Call(project="p"))
    work = Work(engine, times=1)

    def answer(at: UnitOfWork) -> Any:
        if not work.ordinals:
            at.recorder.add_line({"place": "lines[0]"}, 20)
        return work(at)

    engine._calls.write_apart("p", answer, recorder=recorder)
    assert len(work.ordinals) == 2 and recorder.exchange.line is None
    work.ordinals.clear()
    work.times = 0
    engine._calls.write_apart("p", answer, recorder=recorder)
    assert recorder.exchange.line == {"place": "lines[0]"}


# --- threads ----------------------------------------------------------------------------------------------------------

THREADS, TURNS = 4, 4


@pytest.fixture
def busy_interpreter() -> Iterator[None]:
    """An interpreter that turns to another thread all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("kind", first_of(["conversation", "previous_response_id"]))
def test_threads_on_one_project_lose_nothing(busy_interpreter: None, kind: str) -> None:
    drive = Driver()
    begin = Barrier(THREADS)

    def ask(method: str, path: str, body: Any = None) -> Any:
        answer = drive.engine.handle(Call(method, path, json.dumps(body).encode(), "p"), apart=True)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def talk(number: int) -> tuple[list[dict[str, Any]], str]:
        begin.wait()
        turns: list[dict[str, Any]] = []
        place = ask("POST", "/v1/conversations", {})["id"] if kind == "conversation" else None
        for turn in range(TURNS):
            body = {"model": MODEL, "input": f"{number}/{turn} {LARGE}", **({kind: place} if place else {})}
            turns.append(ask("POST", "/v1/responses", body))
            place = place if kind == "conversation" else turns[-1]["id"]
            assert ask("GET", f"/v1/responses/{turns[-1]['id']}/input_items")["data"]
        return turns, str(place)

    with ThreadPoolExecutor(THREADS) as threads:
        talks = list(threads.map(talk, range(THREADS)))
    responses = [turn for turns, _ in talks for turn in turns]
    ids = [one["id"] for response in responses for one in (response, *response["output"])]
    assert len(set(ids)) == len(ids) >= 2 * THREADS * TURNS
    for number, (turns, place) in enumerate(talks):
        if kind == "conversation":
            items = drive.items(place, limit="100", order="asc")["data"]
        else:
            items = drive.engine.control.context("p", place)["items"]
        assert [item["content"][0]["text"].split()[0] for item in items[::2]] == [f"{number}/{n}" for n in range(TURNS)]
        assert [item["id"] for item in items[1::2]] == [turn["output"][0]["id"] for turn in turns][: len(items) // 2]
        assert len(items) == 2 * TURNS - (kind != "conversation")
    written = THREADS * (TURNS + (kind == "conversation"))
    assert drive.engine._calls.write("p", lambda at: (at.ordinal, [])) == written, "each has a number of its own"
    found = drive.engine.control.journal("p", limit=1000)["data"]
    calls = written + THREADS * TURNS + (THREADS if kind == "conversation" else 0)  # those just listed too
    assert [entry["id"] for entry in found] == list(range(1, calls + 1))
    noted = [entry["response_id"] for entry in found if entry["path"] == "/v1/responses"]
    assert sorted(noted) == sorted(response["id"] for response in responses)


def test_a_socket_may_come_while_another_thread_looks_through_them(engine: Engine) -> None:
    """What is looked through must not change under the one who looks: deletions in threads do so."""
    calls, looked = engine._calls, []

    class Near(ConnectionRecords):
        def goes_on_from(self, node: str) -> bool:
            looked.append(node)
            come.append(Near())
            calls.sockets[id(come[-1])] = come[-1]
            return False

    come = [Near(), Near()]
    for near in come:
        calls.sockets[id(near)] = near
    assert not calls._goes_on_from("node") and looked == ["node", "node"]
