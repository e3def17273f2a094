"""The fixed rules as a whole: complete, in the catalogue, able to fail, never in the way of the next."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.config.switches import parse_assignment
from mockserver.conformance.drivers import NOON, Answer, Driver, EngineDriver
from mockserver.conformance.registry import CONTROLS, Rule, fixed_rules, rule
from mockserver.conformance.rule_catalog import catalogue
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED, judge
from mockserver.engine.engine import Engine

RULES = {id: rule for rule in fixed_rules() for id in rule.ids}


def test_every_fixed_rule_is_in_the_catalogue_and_no_other_lacks_a_reason() -> None:
    entries = catalogue()
    assert set(RULES) <= set(entries)
    assert [id for id, entry in entries.items() if id not in RULES and not entry.why] == []
    assert [id for id in RULES if entries[id].why] == [], "a reason not to check what is checked"


# switch → the rules that its other value breaks: what a default decides is checked
BROKEN = [
    ("get_after_delete=400", "R1.12"),
    ("delete_object=response.deleted", "R1.11"),
    ("chain_onto=all", "R1.32"),
    ("chain_onto=completed", "R1.32"),
    ("deleted_ancestor=break", "R1.31"),
    ("input_items_scope=own", "R3.3"),
    ("input_items_order=asc", "R3.1"),
    ("conversation_write_on=all", "R2.10"),
    ("conversation_write_on=completed", "R2.10"),
    ("reasoning_pairing=strict", "R1.39"),
    ("encrypted_content=included", "R1.41"),
    ("encrypted_content=stateless_or_included", "R1.41"),
    ("stream_error_shape=flat", "R9.6"),
    ("stream_overflow=error_only", "R7.3"),
    ("stream_overflow=failed_only", "R7.3"),
    ("truncation_drop=middle", "R7.4"),
    ("store_false_conversation=read_only", "R2.18"),
    ("cancelled_output=kept", "R6.5"),
    ("unknown_item_status=400", "R1.37"),
    ("conversation_response_ttl=keep", "R1.9"),
    ("response_ttl_days=29", "R1.2"),
    ("response_ttl_days=31", "R1.2"),
    ("response_ttl_days=0", "R1.24"),
    ("expiry_boundary=exclusive", "R1.2"),
    ("ttl_from=last_use", "R1.3"),
    ("get_stream_finished=refuse", "R6.8"),
    ("metadata_update=merge", "R2.4"),
    ("unknown_body_key=ignore", "R1.53"),
    ("obfuscation=off", "R9.5"),
    ("background_store_false=refuse", "R6.6"),
    ("json_word=ignore", "R10.8"),
    ("stream_replay_window=10m", "R6.10"),
    ("compaction_shape=first", "R5.3"),
    ("id_prefix_code=invalid_id_prefix", "R1.38"),
    ("zdr=on", "R1.1"),
    ("unknown_models=allow", "R13.4"),
    ("unknown_models=by_family", "R13.4"),
    ("ws_cache=single", "R4.6"),
    ("ws_stream_field=refuse", "R4.2"),
    ("on_disconnect=cancel", "R9.20"),
    ("on_disconnect=cancel", "R2.11"),
]


@pytest.mark.parametrize(("switch", "id"), BROKEN, ids=[f"{switch}-{id}" for switch, id in BROKEN])
def test_the_other_value_of_a_switch_is_noticed(switch: str, id: str) -> None:
    engine = EngineDriver(Engine(Settings(clock=NOON, set=(parse_assignment(switch),))))
    verdict = judge(RULES[id], engine)
    assert verdict.verdict == FAILED, verdict
    assert "found" in verdict.evidence or "not so" in verdict.evidence, verdict
    engine.close()


class Fixed(EngineDriver):
    """A server that has one answer to everything."""

    def __init__(self, answer: Answer, *, controls: bool) -> None:
        self.answer, self.controls = answer, controls  # type: ignore[misc]

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        return self.answer

    def control(self, method: str, path: str, body: Any = None) -> Any:
        return {"items": [], "now": 0, "instructions": None, "switches": {}}

    def new_project(self, name: str) -> EngineDriver:
        return self


ANSWERS = [
    Answer(200, {}),
    Answer(200, {"id": "x", "object": "list", "data": [], "output": [], "status": "completed"}),
    Answer(200, None, []),
    Answer(200, "<html>"),
    Answer(200, ["what"]),
    Answer(400, {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}}),
    Answer(404, {"error": "not found"}),
    Answer(500, None),
    Answer(0, "ConnectError: refused"),
]


@pytest.mark.parametrize("controls", [True, False])
@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_any_server_gets_verdicts_and_a_silly_one_passes_nothing(answer: Answer, controls: bool) -> None:
    driver: Driver = Fixed(answer, controls=controls)
    for one in fixed_rules():
        verdict = judge(one, driver)
        assert verdict.verdict in (FAILED, NOT_OBSERVABLE), (one.id, verdict)
        assert verdict.evidence, one.id


def test_rules_that_need_the_mock_are_not_observable_elsewhere() -> None:
    class Elsewhere(EngineDriver):
        controls = False

        def control(self, method: str, path: str, body: Any = None) -> Any:
            raise LookupError("there is no control API")

        def new_project(self, name: str) -> EngineDriver:
            return self

    engine = Elsewhere()
    verdicts = {one.id: judge(one, engine) for one in fixed_rules()}
    assert {id: verdict for id, verdict in verdicts.items() if verdict.verdict == FAILED} == {}
    hidden = {id for id, verdict in verdicts.items() if verdict.verdict == NOT_OBSERVABLE}
    assert hidden == {one.id for one in fixed_rules() if CONTROLS.keys() & {*one.needs}}
    assert all(verdict.evidence.startswith(("needs", "is about")) for id, verdict in verdicts.items() if id in hidden)
    engine.close()


def test_declaring_rules() -> None:
    with pytest.raises(ValueError, match="unknown need 'telepathy'; known are clock"):
        rule("R0.1", needs=("telepathy",))

    @rule("R0.1", "R0.2", models=("no-such-model",))
    def check(subject: Any) -> None:
        raise AssertionError("not reached")

    declared = vars(check)["rule"]
    assert declared == Rule(("R0.1", "R0.2"), check, (), ("no-such-model",))
    verdict = judge(declared, EngineDriver())
    assert (verdict.verdict, verdict.evidence) == (NOT_OBSERVABLE, "the server does not offer no-such-model")


def test_one_rule_leaves_nothing_for_the_next() -> None:
    engine = EngineDriver()
    first = [judge(RULES[id], engine).verdict for id in ("R1.2", "R2.12", "R6.2", "R1.2")]
    assert first == [PASSED] * 4
