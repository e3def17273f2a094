"""The profile state: echoes may be missing, a refusal is a refusal, and what is forgotten still fails."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.conformance.drivers import Answer
from mockserver.conformance.leniency import ABSENT, is_absent, is_refusal, tolerate
from mockserver.conformance.registry import fixed_rules
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED, judge
from mockserver.conformance.server_under_test import ServerUnderTest
from mockserver.conformance.terms import CONTRACT, STATE, WIRE, NotObservable, Terms
from tests.support.foreign import Foreign

RULES = {id: rule for rule in fixed_rules() for id in rule.ids}
LENIENT, STRICT = Terms(STATE), Terms(CONTRACT)
ECHOED = ("store", "metadata", "instructions", "background", "conversation", "previous_response_id", "truncation")


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (Answer(400, {"error": {}}), True),
        (Answer(404, None), True),
        (Answer(422, "no"), True),
        (Answer(405, None), False),
        (Answer(401, None), False),
        (Answer(429, None), False),
        (Answer(500, None), False),
        (Answer(0, "no answer"), False),
        (Answer(200, {"status": "completed"}), False),
        (Answer(200, {"status": "failed"}), True),
        (Answer(200, "text"), False),
        (Answer(200, None, [{"type": "response.created"}, {"type": "response.failed"}]), True),
        (Answer(200, None, [{"type": "error"}]), True),
        (Answer(200, None, [{"type": "response.completed"}]), False),
    ],
)
def test_what_is_a_refusal(answer: Answer, refused: bool) -> None:
    assert is_refusal(answer) is refused


def test_a_missing_echo_reads_as_absent_and_all_else_is_missing() -> None:
    body = tolerate(Answer(200, {"id": "x", "nested": [{"a": 1}]})).body
    assert (
        is_absent(body["metadata"]) and is_absent(body["reasoning"]["effort"]) and is_absent(body["nested"][0]["store"])
    )
    assert repr(ABSENT) == "(not echoed)" and body["nested"] == [{"a": 1}]
    with pytest.raises(KeyError):
        body["output"]
    with pytest.raises(NotObservable):
        list(body["metadata"])


def without_echoes(server: Foreign) -> None:
    """Let the server leave out its echoes, and say all errors in its own words."""
    behind = server.behind.call

    def call(method: str, path: str, body: Any = None, **query: str) -> Answer:
        answer = behind(method, path, body, **query)
        if answer.status >= 400:
            return Answer(422, {"detail": "no"})
        strip = {name: value for name, value in answer.body.items() if name not in ECHOED} if answer.body else None
        return answer._replace(body=strip)

    server.behind.call = call  # type: ignore[method-assign]


@pytest.mark.parametrize("id", ["R1.1", "R1.20", "R1.21", "R1.24", "R1.28", "R1.33", "R2.8", "R2.16"])
def test_without_echoes_and_with_errors_of_its_own_a_server_keeps_state(id: str) -> None:
    with Foreign() as server:
        without_echoes(server)
        assert judge(RULES[id], server, terms=LENIENT)[1] == PASSED


def test_the_contract_wants_the_echoes() -> None:
    with Foreign() as server:
        without_echoes(server)
        assert judge(RULES["R1.24"], server, terms=STRICT).verdict == FAILED


def test_an_echo_that_is_wrong_is_held_against_a_server() -> None:
    with Foreign() as server:
        subject = ServerUnderTest(server, "gpt-4.1", LENIENT)
        subject.check_members("response", {"store": None}, store=True, metadata={})
        assert subject.claims == []
        with pytest.raises(AssertionError, match="expected true, found false"):
            subject.check_members("response", {"store": False}, store=True)
        with pytest.raises(AssertionError, match="no such member"):
            subject.check_members("response", {}, status="completed")


def test_a_parent_that_should_be_unknown_fails() -> None:
    def broken(method: str, path: str, body: Any) -> Answer | None:
        if path == "/responses" and (body.get("previous_response_id") or "").startswith("resp_ffff"):
            return Answer(200, {"id": "resp_1", "output": []})
        return None

    with Foreign(broken) as server:
        verdict = judge(RULES["R1.24"], server, terms=LENIENT)
    assert verdict.verdict == FAILED and "expected a refusal (E60)" in verdict.evidence


def test_what_a_server_lacks_is_not_observable() -> None:
    with Foreign() as server:
        verdict = judge(RULES["R1.12"], server, terms=Terms(STATE, frozenset({"delete"})))
        assert (verdict.verdict, verdict.lacks) == (NOT_OBSERVABLE, "delete")
        assert judge(RULES["R1.24"], server, terms=Terms(STATE, frozenset({"delete"}))).verdict == PASSED
        both = frozenset({"count", "echo model"})
        with Foreign(model="default") as mute:
            assert judge(RULES["R1.20"], mute, terms=Terms(STATE, both)).lacks == "echo model"


def test_what_the_rules_made_is_deleted() -> None:
    with Foreign() as server:
        judge(RULES["R2.8"], server, terms=LENIENT)
        made = [path for method, path in server.calls if method == "DELETE"]
        assert {path.split("/")[1] for path in made} == {"responses", "conversations"}
        judge(RULES["R2.8"], server, terms=Terms(STATE, frozenset({"delete"})))
        last = [path for method, path in server.calls if method == "DELETE"][len(made) :]
        assert {path.split("/")[1] for path in last} == {"conversations"}


def test_a_context_that_misses_an_ancestor_fails() -> None:
    def broken(method: str, path: str, body: Any) -> Answer | None:
        if path == "/responses" and isinstance(body, dict):
            body.pop("previous_response_id", None)
        return None

    with Foreign(broken) as server:
        verdict = judge(RULES["R1.20"], server, terms=LENIENT)
    assert verdict.verdict == FAILED and "the context that the model saw" in verdict.evidence


def test_instructions_that_live_on_fail() -> None:
    def broken(method: str, path: str, body: Any) -> Answer | None:
        if path == "/responses" and isinstance(body, dict) and body.get("previous_response_id"):
            body.setdefault("instructions", "Answer in verse, always, and at length.")
        return None

    with Foreign(broken) as server:
        verdict = judge(RULES["R1.21"], server, terms=LENIENT)
    assert verdict.verdict == FAILED and "found Answer in verse" in verdict.evidence


@pytest.mark.parametrize("profile", [STATE, WIRE, CONTRACT])
def test_the_mock_is_never_judged_leniently(profile: str) -> None:
    from mockserver.conformance.drivers import EngineDriver

    engine = EngineDriver()
    assert not ServerUnderTest(engine, "gpt-4.1", Terms(profile)).lenient
    engine.close()
