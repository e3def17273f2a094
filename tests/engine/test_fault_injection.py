"""Faults as they strike calls and turns of an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.core.records import Record
from mockserver.engine.engine import Engine
from mockserver.engine.fault_injection import call_info
from mockserver.faults.spec import CallInfo
from mockserver.journal.exchange import Call
from mockserver.store.memory import MemoryStore
from mockserver.wire.errors.api import MockError
from mockserver.wire.errors.scripted import MODEL
from tests.support.caller import PROJECT, Caller
from tests.support.driving import NOON, Driver, refused, summary


def test_a_list_is_set_whole_or_not_at_all() -> None:
    call = Caller()
    assert call.levers.set_faults(PROJECT, [{"do": "cut"}]) == {"faults": [{"do": "cut", "used": 0}]}
    with pytest.raises(MockError):
        call.levers.set_faults(PROJECT, [{"do": "stall"}, {"do": "explode"}])
    assert call.levers.faults(PROJECT) == {"faults": [{"do": "cut", "used": 0}]}
    assert call.levers.faults("other") == {"faults": []}
    call.levers.reset(PROJECT, ["faults"])
    assert call.levers.faults(PROJECT) == {"faults": []}


def test_an_error_at_the_edge_leaves_no_trace() -> None:
    call, calm = Caller(), Caller()
    call.levers.set_faults(PROJECT, [{"do": {"error": {"code": "server_is_overloaded"}}, "times": 2}])
    assert [call.create()["error"]["code"] for _ in range(2)] == ["server_is_overloaded"] * 2
    assert call.create() == calm.create()
    assert call.levers.faults(PROJECT)["faults"][0]["used"] == 2
    assert [one["faults"] for one in call.journal()] == [["error"], ["error"], []]


def test_a_fault_of_turns_lets_the_line_wait() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "still there"}})
    drive.engine.control.set_faults("p", [{"when": {"input_contains": "bad"}, "do": {"error": 503}, "times": 1}])
    assert refused(drive.create, "bad").status == 503
    assert drive.create("bad")["output"][0]["content"][0]["text"] == "still there"


def test_E60_a_parent_expires() -> None:
    drive = Driver()
    parent = drive.create()["id"]
    child = drive.create("x", previous_response_id=parent)["id"]
    drive.engine.control.set_faults("p", [{"do": "expire", "times": 1}])
    drive.create("no parent")
    error = refused(drive.create, "x", previous_response_id=parent)
    assert summary(error) == (
        400,
        f"Previous response with id '{parent}' not found.",
        "previous_response_id",
        "previous_response_not_found",
    )
    assert refused(drive.get, parent).status == 404
    assert refused(drive.create, "x", previous_response_id=parent).code == "previous_response_not_found"
    assert drive.create("x", previous_response_id=child)["status"] == "completed"


def test_E67_a_conversation_is_locked_by_the_clock() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    drive.engine.control.set_faults("p", [{"do": {"lock_conversation": 30}}])
    error = refused(drive.create, conversation=conversation)
    assert summary(error)[0::2] == (400, "conversation") and error.code == "conversation_locked"
    drive.advance(seconds=29)
    assert refused(drive.create, conversation=conversation).code == "conversation_locked"
    drive.advance(seconds=1)
    assert drive.create(conversation=conversation)["status"] == "completed"


def _strikes(call: Caller, project: str) -> bool:
    engine = call.app.engine
    struck = engine.fault_injector.strike_call(engine.journal.record(Call()), project)
    return struck is not None and struck.error is not None


def test_faults_travel_with_a_snapshot_and_go_on_where_they_were() -> None:
    call = Caller()
    call.levers.set_faults(PROJECT, [{"do": {"error": 500}, "when": {"probability": 0.5}}])

    def errors(project: str, count: int) -> list[bool]:
        return [_strikes(call, project) for _ in range(count)]

    errors(PROJECT, 5)
    call.levers.restore("fork", call.levers.snapshot(PROJECT))
    assert call.levers.snapshot("fork")["faults"] == call.levers.snapshot(PROJECT)["faults"]
    rest = errors("fork", 20)
    assert rest == errors(PROJECT, 20) and set(rest) == {True, False}


def test_a_snapshot_with_a_wrong_fault_is_refused() -> None:
    call = Caller()
    call.levers.set_faults(PROJECT, [{"do": "cut"}])
    document: dict[str, Any] = call.levers.snapshot(PROJECT)
    document["faults"]["000000"]["fault"]["do"] = "explode"
    with pytest.raises(MockError) as raised:
        call.levers.restore(PROJECT, document)
    assert raised.value.param == "faults.000000.fault.do.explode"


def test_W16_headers_tell_of_the_buckets() -> None:
    call = Caller()
    call.levers.set_faults(PROJECT, [{"do": {"rate_limit": {"requests_per_minute": 2, "tokens_per_minute": 600}}}])

    def limits(method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
        answer, headers = call.app.answer(Call(method, path, body))
        told = {name.decode(): value.decode() for name, value in headers}
        return answer.status, {name.removeprefix("x-ratelimit-"): value for name, value in told.items()}

    body = b'{"model":"gpt-4.1","input":"' + b"x" * 370 + b'"}'
    assert len(body) == 400
    status, said = limits("POST", "/v1/responses", body)
    assert status == 200
    assert (said["limit-requests"], said["remaining-requests"], said["reset-requests"]) == ("2", "1", "30s")
    assert (said["limit-tokens"], said["remaining-tokens"], said["reset-tokens"]) == ("600", "500", "10s")
    status, said = limits("GET", "/v1/models")
    assert (status, said["remaining-requests"], said["remaining-tokens"]) == (200, "1", "500")
    assert limits("POST", "/v1/responses", b"{")[0] == 400  # failed requests count as well
    status, said = limits("POST", "/v1/responses", body)
    assert (status, said["retry-after"], said["retry-after-ms"]) == (429, "30", "30000")
    assert (said["remaining-requests"], said["reset-requests"]) == ("0", "1m0s")
    call.levers.advance_clock(PROJECT, 30)
    assert limits("POST", "/v1/responses", body)[0] == 200


class CountingStore(MemoryStore):
    """A store that notes what was listed and how often somebody wanted to write."""

    def __init__(self) -> None:
        super().__init__()
        self.scans: list[str] = []
        self.transactions = 0

    def scan(self, project: str, kind: str, *args: Any, **options: Any) -> list[Record]:
        self.scans.append(kind)
        return super().scan(project, kind, *args, **options)

    def transaction(self, project: str) -> Any:
        self.transactions += 1
        return super().transaction(project)


def test_faults_that_do_not_act_cost_one_look_and_no_transaction() -> None:
    store, calm = CountingStore(), Driver()
    drive = Driver(Engine(Settings(clock=NOON), store=store))
    whens = [{"path": "/v1/models*"}, {"method": "DELETE"}, {"has_tool": "search"}, {"input_contains": "bad"}]
    drive.engine.control.set_faults("p", [{"when": when, "do": {"error": 500}} for when in whens])
    store.scans.clear()
    store.transactions = 0
    assert drive.create() == calm.create()
    assert (store.scans, store.transactions) == (["fault"], 1)
    assert [one["used"] for one in drive.engine.control.faults("p")["faults"]] == [0, 0, 0, 0]


def test_a_fault_that_another_process_used_up_does_not_strike_again(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path / 's.db'}"
    one, two = Driver(store=where), Driver(store=where)
    one.engine.control.set_faults("p", [{"when": {"input_contains": "bad"}, "do": {"error": 503}, "times": 1}])
    assert two.create("good")["status"] == "completed"
    assert refused(one.create, "bad").status == 503
    assert two.create("bad")["status"] == "completed"


@pytest.mark.parametrize(
    ("call", "info"),
    [
        (Call("GET", "/v1/models"), CallInfo("GET", "/v1/models", "http", 0, MODEL)),
        (Call("GET", "/v1/r", query=[("stream", "true")]), CallInfo("GET", "/v1/r", "sse", 0, MODEL)),
        (Call("POST", "/v1/r", b'{"model":"m"}'), CallInfo("POST", "/v1/r", "http", 13, "m")),
        (Call("POST", "/v1/r", b'{"stream":true}'), CallInfo("POST", "/v1/r", "sse", 15, MODEL)),
        (Call("POST", "/v1/r", b'{"model":1'), CallInfo("POST", "/v1/r", "http", 10, MODEL)),
        (Call("POST", "/v1/r", b"[]"), CallInfo("POST", "/v1/r", "http", 2, MODEL)),
        (Call("POST", "/v1/r", b"{}", transport="websocket"), CallInfo("POST", "/v1/r", "websocket", 2, MODEL)),
    ],
)
def test_a_call_is_read_before_it_is_judged(call: Call, info: CallInfo) -> None:
    assert call_info(call) == info
