"""What the machine may ask: the plainest first, written as it is read."""

from __future__ import annotations

import pytest

from mockserver.conformance.drivers import EngineDriver
from mockserver.conformance.machine.requests import ASKS, FORMS, INVALID_REQUESTS, OUTCOMES, TRANSPORTS, RequestCase


def test_the_plainest_come_first() -> None:
    assert ASKS[0] == RequestCase()
    assert [ask.complexity for ask in ASKS] == sorted(ask.complexity for ask in ASKS)
    assert {ask.transport for ask in ASKS} == set(TRANSPORTS)
    assert {ask.outcome for ask in ASKS} == set(OUTCOMES)


def test_an_ask_is_written_as_python() -> None:
    assert repr(RequestCase()) == "Ask()"
    assert all(eval(repr(ask), {"Ask": RequestCase}) == ask for ask in ASKS[::50])


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_answered(form: str) -> None:
    sent, own = RequestCase(form=form).input_and_items()
    body = {"model": "gpt-4.1", "input": sent} if sent is not None else {"model": "gpt-4.1"}
    assert EngineDriver().call("POST", "/responses", body).status == (200 if own else 400)


@pytest.mark.parametrize("at", range(len(INVALID_REQUESTS)))
def test_what_is_bad_is_refused(at: int) -> None:
    change, status, code = INVALID_REQUESTS[at]
    answer = EngineDriver().call("POST", "/responses", {"model": "gpt-4.1", "input": "red", **change})
    assert (answer.status, answer.error["code"]) == (status, code)
