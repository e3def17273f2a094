"""Faults: what a list of them may say."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.control.effects import At
from mockserver.faults.spec import Fault, known_fault, parse_faults
from mockserver.wire.encoding import stored_json
from mockserver.wire.errors import MockError


def refusal(faults: Any) -> MockError:
    with pytest.raises(MockError) as raised:
        parse_faults(faults)
    return raised.value


def only(fault: dict[str, Any]) -> Fault:
    return parse_faults([fault])[0]


@pytest.mark.parametrize(
    ("fault", "param"),
    [
        (3, ""),
        ({}, ".do"),
        ({"do": "explode"}, ".do.explode"),
        ({"do": {"cut": None, "stall": None}}, ".do"),
        ({"do": 1}, ".do"),
        ({"do": {"cut": 5}}, ".do.cut"),
        ({"do": {"delay": "x"}}, ".do.delay"),
        ({"do": "delay"}, ".do.delay"),
        ({"do": {"error": {"cod": "x"}}}, ".do.error.cod"),
        ({"do": {"error": {}}}, ".do.error"),
        ({"do": {"error": {"status": 200}}}, ".do.error.status"),
        ({"do": {"rate_limit": {}}}, ".do.rate_limit"),
        ({"do": {"rate_limit": {"requests_per_minute": 0}}}, ".do.rate_limit.requests_per_minute"),
        ({"do": {"rate_limit": {"requests": 1}}}, ".do.rate_limit.requests"),
        ({"do": {"close_socket": 1006}}, ".do.close_socket"),
        ({"do": {"close_socket": 99999}}, ".do.close_socket"),
        ({"do": "lock_conversation"}, ".do.lock_conversation"),
        ({"do": "cut", "times": 0}, ".times"),
        ({"do": "cut", "used": -1}, ".used"),
        ({"do": "cut", "tmes": 1}, ".tmes"),
        ({"do": "cut", "when": []}, ".when"),
        ({"do": "cut", "when": {"modl": "x"}}, ".when.modl"),
        ({"do": "cut", "when": {"model": 3}}, ".when.model"),
        ({"do": "cut", "when": {"path": "v1"}}, ".when.path"),
        ({"do": "cut", "when": {"method": "FETCH"}}, ".when.method"),
        ({"do": "cut", "when": {"probability": 1.5}}, ".when.probability"),
        ({"do": "cut", "at": {"byte": 1}}, ".at.byte"),
        ({"do": "cut", "at": {"bytes": -1}}, ".at.bytes"),
        ({"do": "cut", "at": {"bytes": 1, "event": "a"}}, ".at"),
        ({"do": "cut", "at": {"event": 1}}, ".at.event"),
        ({"do": "cut", "at": {"count": 0}}, ".at.count"),
        ({"do": "malformed", "at": {"bytes": 1}}, ".at"),
        ({"do": {"delay": 1}, "at": {"count": 1}}, ".at"),
    ],
)
def test_mistakes_name_their_place(fault: Any, param: str) -> None:
    error = refusal([{"do": "cut"}, fault])
    assert error.param == "faults[1]" + param
    assert error.param in error.message or not param or error.param.rpartition(".")[0] in error.message


def test_what_is_no_list_is_refused() -> None:
    assert refusal({"do": "cut"}).param == "faults"


def test_shorter_ways_to_say_it() -> None:
    assert only({"do": {"error": "server_error"}}).value == {"code": "server_error"}
    assert only({"do": {"error": 503}}).value == {"status": 503}
    assert only({"do": "close_socket"}).value == only({"do": {"close_socket": 1011}}).value == 1011
    assert only({"do": {"cut": True}}).kind == only({"do": "cut"}).kind == "cut"
    assert only({"do": "cut", "at": {"event": "a", "count": 2}}).at == At("a", 2)


def test_a_stored_fault_is_parsed_once() -> None:
    doc = stored_json({"do": "cut", "when": {"input_contains": "zebra"}})
    assert known_fault(doc) is known_fault(bytes(bytearray(doc)))
