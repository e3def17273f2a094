"""Faults: what a list of them may say, and how a mistake in it is told."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.faults.schema import KINDS, METHODS, FaultWhen
from mockserver.faults.spec import parse_faults
from mockserver.scenarios.conditions import CONDITIONS
from mockserver.wire.errors.api import MockError


def refusal(faults: Any) -> MockError:
    with pytest.raises(MockError) as raised:
        parse_faults(faults)
    return raised.value


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


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"do": {"error": 200}}, "'faults[0].do.error.status' must be a whole number from 400 to 599, not 200."),
        ({"do": {"error": []}}, "'faults[0].do.error' must be an object, not a list."),
        ({"do": {"delay": -1}}, "'faults[0].do.delay' must be a number of seconds, not -1."),
        ({"do": "close_socket", "times": "2"}, "'faults[0].times' must be a whole number from 1, not '2'."),
        ({"do": {"cut": 5}}, "'faults[0].do.cut' takes no value, not 5; a place goes into 'at'."),
        ({"do": "ct"}, "Unknown key 'ct' in 'faults[0].do'. Did you mean 'cut'?"),
        ({"do": "cut", "when": {"pth": "/"}}, "Unknown key 'pth' in 'faults[0].when'. Did you mean 'path'?"),
        ({"do": "cut", "when": {"path": "v1"}}, "'faults[0].when.path' must be a path that begins with /, not 'v1'."),
        (
            {"when": {"probability": 2}},
            "'faults[0].when.probability' must be a number from 0 to 1, not 2.",
        ),
        ({"do": {"delay": 1}, "at": {"count": 1}}, "'faults[0].at' has no meaning for delay."),
        ({"do": "stall", "at": {"event": 1}}, "'faults[0].at.event' must be a type of event, not 1."),
    ],
)
def test_a_mistake_says_what_is_accepted(fault: Any, message: str) -> None:
    assert refusal([fault]).message == message


def test_what_is_not_known_lists_what_is() -> None:
    assert refusal([{}]).message == f"'faults[0].do' is missing; it is one of {', '.join(KINDS)}."
    assert all(kind in refusal([{"do": "zzz"}]).message for kind in KINDS)
    assert all(kind in refusal([{"do": {"cut": None, "stall": None}}]).message for kind in KINDS)
    assert all(method in refusal([{"do": "cut", "when": {"method": "FETCH"}}]).message for method in METHODS)
    message = refusal([{"do": "cut", "when": {"zzz": 1}}]).message
    assert all(key in message for key in FaultWhen.model_fields)
    assert FaultWhen.model_fields.keys() == {*CONDITIONS, "path", "method", "probability"}
