"""Faults: when each acts, and what it remembers."""

from __future__ import annotations

import json
from typing import Any

from mockserver.delivery.fault_effects import Effect
from mockserver.faults.apply import (
    FaultOutcome,
    ReadyFaults,
    ReadyTable,
    apply,
    read_faults,
    ready_faults,
    records,
    replace_all,
)
from mockserver.faults.spec import CallInfo, Fault, parse_faults
from mockserver.model.prompt import Prompt
from mockserver.scenarios.conditions import any_hold, compile_gate
from mockserver.store.memory import MemoryStore
from mockserver.store.view import view_project
from mockserver.wire.catalog import resolve

MODEL = resolve("gpt-4.1")
assert MODEL is not None


CREATE = CallInfo()


class Faulty:
    """A project with faults, and calls that they may strike."""

    def __init__(self, *faults: dict[str, Any], seed: int = 7) -> None:
        self.store, self.now, self.seed = MemoryStore(), 0.0, seed
        self.state = view_project(self.store, "p")
        self.store.apply("p", replace_all(self.state, parse_faults(list(faults))))

    def edge(self, call: CallInfo = CREATE) -> FaultOutcome:
        return self._noted(apply(read_faults(self.state), call, self.state, self.seed, self.now))

    def turn(self, call: CallInfo = CREATE, **request: Any) -> FaultOutcome:
        prompt = Prompt(request, MODEL, (), list, 1, 1, "seed", call.transport)
        return self._noted(apply(read_faults(self.state), call, self.state, self.seed, self.now, prompt))

    def _noted(self, struck: FaultOutcome) -> FaultOutcome:
        self.store.apply("p", struck.changes)
        return struck

    @property
    def used(self) -> list[int]:
        return [one.used for one in read_faults(self.state)]


def only(fault: dict[str, Any]) -> Fault:
    return parse_faults([fault])[0]


def test_faults_of_the_edge_and_of_turns() -> None:
    early = {"path": "/v1/*", "method": "post", "probability": 0.5}
    assert only({"do": "cut", "when": early}).before_admission
    assert not only({"do": "cut", "when": {**early, "model": "x"}}).before_admission
    assert not only({"do": "expire"}).before_admission and not only({"do": {"lock_conversation": 1}}).before_admission
    faulty = Faulty({"do": "cut", "when": {"model": "gpt-4.1"}}, {"do": "stall"})
    assert faulty.edge().effects == [Effect("stall")]
    assert faulty.turn(model="gpt-4.1").effects == [Effect("cut")]
    assert faulty.used == [1, 1]


def test_paths_and_methods() -> None:
    faulty = Faulty({"do": "cut", "when": {"path": "/v1/responses/*", "method": "GET"}})
    assert faulty.edge(CallInfo("GET", "/v1/responses/resp_1")).effects
    assert not faulty.edge(CallInfo("DELETE", "/v1/responses/resp_1")).effects
    assert not faulty.edge(CallInfo("GET", "/v1/responses")).effects


def test_times_and_the_first_error_ends_the_striking() -> None:
    faulty = Faulty({"do": {"delay": 1}, "times": 1}, {"do": {"error": 503}, "times": 2}, {"do": "cut"})
    first = faulty.edge()
    assert first.effects == [Effect("delay", 1)] and first.error is not None and first.error.status == 503
    assert faulty.edge().error is not None
    assert faulty.edge().effects == [Effect("cut")]
    assert faulty.used == [1, 2, 1]


def test_errors_are_made_for_the_model_of_the_call() -> None:
    error = Faulty({"do": {"error": "rate_limit_exceeded"}}).edge(CallInfo(model="gpt-5")).error
    assert error is not None and "Rate limit reached for gpt-5 in" in error.message
    kept = Faulty({"do": {"error": {"status": 500, "headers": {"retry-after-ms": "5"}}}}).edge().error
    assert kept is not None and kept.headers == {"retry-after-ms": "5"}


def test_probability_is_drawn_from_the_seed() -> None:
    def drawn(seed: int, chance: float) -> list[bool]:
        faulty = Faulty({"do": "cut", "when": {"probability": chance}}, seed=seed)
        return [bool(faulty.edge().effects) for _ in range(200)]

    assert drawn(1, 0.3) == drawn(1, 0.3) != drawn(2, 0.3)
    assert 30 < sum(drawn(1, 0.3)) < 90
    assert not any(drawn(1, 0)) and all(drawn(1, 1))


def test_two_faults_of_one_chance_draw_apart() -> None:
    fault = {"do": "cut", "when": {"probability": 0.5}}
    faulty = Faulty(fault, fault)
    assert {len(faulty.edge().effects) for _ in range(50)} == {0, 1, 2}


def test_what_does_not_apply_is_not_used() -> None:
    event = {"event": "a"}
    faulty = Faulty({"do": "drop_event"}, {"do": "close_socket"}, {"do": "cut", "at": event}, {"do": "expire"})
    assert not faulty.edge(CallInfo(transport="http")).effects
    assert [one.kind for one in faulty.edge(CallInfo(transport="sse")).effects] == ["drop_event", "cut"]
    assert [one.kind for one in faulty.edge(CallInfo(transport="websocket")).effects] == [
        "drop_event",
        "close_socket",
        "cut",
    ]
    assert faulty.turn().error is None
    assert faulty.used == [2, 1, 2, 0]


def test_E67_a_conversation_is_locked_once_until_the_clock_has_passed() -> None:
    faulty = Faulty({"do": {"lock_conversation": 30}})
    assert faulty.turn().error is None
    for now, locked in ((0, True), (29, True), (30, False), (31, False)):
        faulty.now = now
        error = faulty.turn(conversation="conv_1").error
        assert (error is not None and error.code == "conversation_locked") is locked
    error = faulty.turn(conversation={"id": "conv_2"}).error
    assert error is not None and faulty.used == [2]


def test_limits_count_what_a_model_works_for_and_show_on_all() -> None:
    faulty = Faulty({"do": {"rate_limit": {"requests_per_minute": 2}}})
    seen = faulty.edge(CallInfo("GET", "/v1/models")).buckets["000000"]["requests"]
    assert seen.remaining == 2
    assert faulty.edge().buckets["000000"]["requests"].remaining == 1
    assert faulty.edge().error is None
    assert faulty.edge().error is not None and faulty.used == [1]
    assert faulty.edge(CallInfo("GET", "/v1/models")).error is None
    faulty.now = 30
    assert faulty.edge().error is None


def test_limits_may_name_paths_and_end() -> None:
    faulty = Faulty({"do": {"rate_limit": {"requests_per_minute": 1}}, "when": {"path": "/v1/models"}, "times": 1})
    call = CallInfo("GET", "/v1/models")
    assert not faulty.edge().buckets
    assert [faulty.edge(call).error is None for _ in range(4)] == [True, False, True, True]


def test_limits_come_before_errors() -> None:
    """Failed requests count as well. Spec: R13.6."""
    faulty = Faulty({"do": {"error": 500}, "times": 1}, {"do": {"rate_limit": {"requests_per_minute": 1}}})
    errors = [faulty.edge().error for _ in range(2)]
    assert [error.status for error in errors if error] == [500, 429]


def test_records_stand_as_json_and_a_list_given_back_counts_on() -> None:
    faulty = Faulty({"do": "cut", "times": 3})
    faulty.edge()
    shown = [one.to_json() for one in read_faults(faulty.state)]
    assert shown == [{"do": "cut", "times": 3, "used": 1}]
    again = Faulty(*json.loads(json.dumps(shown)))
    assert again.used == [1]
    again.store.apply("p", replace_all(again.state, []))
    assert read_faults(again.state) == []


def test_what_others_write_into_the_store_is_seen() -> None:
    """Several processes may share a store: its documents are the truth, not what one of them remembers."""
    mine = Faulty({"do": "cut", "times": 2})
    mine.edge()
    other = Faulty()
    other.store = mine.store
    other.state = view_project(mine.store, "p")
    other.edge()
    assert mine.used == [2] and not mine.edge().effects


def test_a_fault_that_does_nothing_writes_nothing_and_what_is_read_is_never_changed() -> None:
    faulty = Faulty({"do": "cut", "when": {"path": "/v1/models"}}, {"do": "stall"})
    before = read_faults(faulty.state)
    assert [change.id for change in faulty.edge().changes] == ["000001"]
    assert [one.used for one in before] == [0, 0]
    before[0].to_json()["when"]["path"] = "/v1/responses"
    assert faulty.edge().kinds == ["stall"]


def test_a_long_record_is_read_like_a_short_one() -> None:
    faulty = Faulty({"do": {"lock_conversation": 30}})
    for number in range(200):
        assert faulty.turn(conversation=f"conv_{number:040}").error is not None
    assert faulty.used == [200] and faulty.turn(conversation=f"conv_{7:040}").error is not None
    assert faulty.used == [200]


def ready(faulty: Faulty, call: CallInfo) -> tuple[list[str], list[str]]:
    found = ready_faults(faulty.state, call.method, call.path)
    return [one.fault.kind for one in found.on_call], [one.fault.kind for one in found.on_turn]


def test_one_look_finds_what_may_act_on_a_call_and_on_its_turn() -> None:
    faulty = Faulty(
        {"do": "cut", "when": {"path": "/v1/models"}},
        {"do": "stall", "when": {"method": "POST"}, "times": 1},
        {"do": "expire"},
        {"do": "malformed", "when": {"model": "gpt-4.1", "path": "/v1/responses"}},
    )
    assert ready(faulty, CallInfo("GET", "/v1/models")) == (["cut"], ["expire"])
    assert ready(faulty, CREATE) == (["stall"], ["expire", "malformed"])
    faulty.edge()
    assert ready(faulty, CREATE) == ([], ["expire", "malformed"]), "what is used up may not act"


def test_what_is_ready_is_chosen_anew_once_a_fault_has_changed() -> None:
    faulty, table = Faulty({"do": "stall", "when": {"method": "POST"}, "times": 1}), ReadyTable()

    def find(path: str = CREATE.path) -> ReadyFaults:
        return table.find("p", faulty.state, "POST", path)

    first = find()
    assert find() is first is not find("/v1/other")
    other = Faulty()
    assert table.find("other", other.state, "POST", CREATE.path).on_call == ()
    assert find() is first
    faulty.edge()
    assert [len(first.on_call) - len(find().on_call), find() is find()] == [1, True], "it is used up"
    for number in range(300):  # many paths: what is kept ready is bounded
        find(f"/v1/{number}")
    assert find() is not first and len(table) <= 256


def test_a_long_fault_is_found_without_the_cache() -> None:
    faulty, table = Faulty({"do": "cut", "when": {"input_contains": "x" * 100_000}}), ReadyTable()
    assert ready(faulty, CREATE) == ([], ["cut"])
    assert table.find("p", faulty.state, "POST", CREATE.path).on_turn and len(table) == 0
    assert faulty.turn(model="gpt-4.1").effects == []


def test_a_turn_is_spared_where_no_condition_holds() -> None:
    faulty = Faulty({"do": "cut", "when": {"model": "gpt-5.5"}}, {"do": "cut", "when": {"store": False}})
    gate = ready_faults(faulty.state, "POST", "/v1/responses").gate

    def prompt(**request: Any) -> Prompt:
        assert MODEL is not None
        return Prompt(request, MODEL, (), list, 1, 1, "seed", "http")

    assert not any_hold(gate, prompt(model="gpt-4.1"))
    assert any_hold(gate, prompt(model="gpt-4.1", store=False))
    assert not any_hold(compile_gate(()), prompt(model="gpt-5.5"))


def test_E60_a_parent_that_is_not_there_expires_too() -> None:
    faulty = Faulty({"do": "expire", "times": 1})
    assert faulty.turn(model="gpt-4.1").error is None, "a turn without a parent has nothing to lose"
    struck = faulty.turn(model="gpt-4.1", previous_response_id="resp_1")
    assert struck.error is not None and struck.error.code == "previous_response_not_found"
    assert faulty.used == [1]


def test_what_is_kept_of_faults_can_be_put_back() -> None:
    faulty = Faulty({"do": "cut"}, {"do": "stall", "times": 2})
    faulty.edge()
    other = MemoryStore()
    other.apply("q", records(faulty.state))
    assert [one.to_json() for one in read_faults(view_project(other, "q"))] == [
        {"do": "cut", "used": 1},
        {"do": "stall", "times": 2, "used": 1},
    ]
