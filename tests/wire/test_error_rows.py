"""Every row of the error table that can occur, to the byte; which of two faults is named. Spec: errors §1, §3–§7."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from tests import error_rows
from tests.error_rows import LEFT_OUT, ROWS, Case, InProcess, cases, filled, fixtures, passes, run, verdicts

ASSERTED = [case for case in cases() if not case.waits_for]


@pytest.mark.parametrize("case", ASSERTED, ids=lambda case: case.id)
def test_row(case: Case) -> None:
    run(case, InProcess(case.settings))


def test_every_row_has_a_fixture_or_a_reason() -> None:
    shown = [fixture["row"] for fixture in fixtures()]
    assert len(shown) == len(set(shown))
    assert {*shown}.isdisjoint(LEFT_OUT) and {*shown, *LEFT_OUT} == {*ROWS}


def test_the_count_of_rows(capsys: pytest.CaptureFixture[str]) -> None:
    found = list(verdicts())
    assert [one.row for one in found] == list(ROWS)
    assert not [one for one in found if one.failing]
    open_rows = {one.row for one in found if not one.passed}
    waiting = {case.row for case in cases() if case.waits_for}
    assert open_rows <= {*LEFT_OUT} | waiting
    error_rows.main(found)
    assert f"{len(ROWS) - len(open_rows)} of {len(ROWS)} rows have a passing fixture" in capsys.readouterr().out


@pytest.mark.parametrize("fixture", fixtures(), ids=lambda fixture: fixture["row"])
def test_a_fixture_says_what_it_is(fixture: dict[str, Any]) -> None:
    assert list(fixture) == ["row", "trigger", "source", "confidence", "cases"]
    assert re.match("[ABC]", fixture["confidence"])
    names = [case["name"] for case in fixture["cases"]]
    assert names and len(names) == len(set(names)) and all(re.fullmatch("[a-z0-9-]+", name) for name in names)
    allowed = {"name", "settings", "setup", "request", "expected", "waits_for"}
    assert all(case.keys() <= allowed and {"name", "request", "expected"} <= case.keys() for case in fixture["cases"])


@pytest.mark.parametrize(
    "change",
    [
        {"status": 401},
        {"error": {"message": "x", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}},
        {"error": {"message": "The requested model '' does not exist.", "type": "t", "param": "model", "code": None}},
        {"headers": {"retry-after": "1"}},
    ],
)
def test_a_wrong_fixture_does_not_pass(change: dict[str, Any]) -> None:
    case = next(case for case in ASSERTED if case.id == "E11-empty")
    expected = {**case.document["expected"], **change}
    assert passes(case)
    assert not passes(Case(case.row, case.name, {**case.document, "expected": expected}))


# --- Which of two faults is named. Spec: errors §3 ----------------------------------------------------------------

TERRA: dict[str, Any] = {"model": "gpt-5.6-terra", "input": "hello"}
NO_RESPONSE = "resp_" + "0" * 50
DROP = object()

# Step 5, in the fixed order: a fault of type, value or bound per field.
FIELDS: dict[str, Any] = {
    "input": 5,
    "previous_response_id": 5,
    "prompt": 5,
    "moderation": 5,
    "include": ["bogus"],
    "tools": 5,
    "tool_choice": "bogus",
    "metadata": 5,
    "text": 5,
    "temperature": 9,
    "top_p": 9,
    "presence_penalty": 9,
    "frequency_penalty": 9,
    "parallel_tool_calls": 5,
    "stream": 5,
    "stream_options": 5,
    "background": 5,
    "background_options": 5,
    "max_output_tokens": 1,
    "max_tool_calls": 0,
    "reasoning": 5,
    "user": 5,
    "safety_identifier": 5,
    "prompt_cache_options": 5,
    "prompt_cache_key": 5,
    "prompt_cache_retention": 5,
    "truncation": "bogus",
    "instructions": 5,
    "store": 5,
    "service_tier": "bogus",
    "top_logprobs": 99,
    "context_management": 5,
}


def named(body: dict[str, Any], asker: InProcess | None = None) -> dict[str, Any]:
    """Return the error that a body is answered with."""
    sent = json.dumps({key: value for key, value in body.items() if value is not DROP}).encode()
    answer = (asker or InProcess({})).ask("POST", "/v1/responses", {}, sent, abandon=False)
    assert 400 <= answer.status < 500, answer
    return json.loads(answer.body)["error"]


def both(earlier: dict[str, Any], later: dict[str, Any]) -> list[dict[str, Any]]:
    """Return bodies with two faults, the members of either first."""
    return [
        {**TERRA, **earlier, **later},
        {**later, **TERRA, **later, **earlier},
        {**later, **earlier, **TERRA, **later, **earlier},
    ]


def test_a_field_is_judged_before_those_behind_it() -> None:
    asker = InProcess({})
    alone = {field: named({**TERRA, field: fault}, asker) for field, fault in FIELDS.items()}
    for field, error in alone.items():
        assert error["param"].partition("[")[0] == field
    for earlier, later in itertools.combinations(FIELDS, 2):
        for body in both({earlier: FIELDS[earlier]}, {later: FIELDS[later]}):
            assert named(body, asker) == alone[earlier], (earlier, later)


OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
REFERENCE = {"type": "item_reference", "id": "msg_nope"}
SAME = {"type": "message", "role": "user", "content": "x", "id": "msg_1"}
UNREADABLE = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABforeign1234"}

# Steps 2 to 9: a fault per step, or per part of a step; `None` where a step names no order inside it.
STEPS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "model missing": ({"model": DROP}, "missing_required_parameter", "model"),
    "input missing": ({"input": DROP}, "missing_required_parameter", "input"),
    "unknown key": ({"bogus": 1}, "unknown_parameter", "bogus"),
    "type": ({"truncation": 5}, "invalid_type", "truncation"),
    "type, last field": ({"context_management": 5}, "invalid_type", "context_management"),
    "exclusive": (
        {"conversation": "conv_nope", "previous_response_id": NO_RESPONSE},
        "mutually_exclusive_parameters",
        None,
    ),
    "conversation": ({"conversation": "conv_nope"}, "Conversation with id 'conv_nope' not found.", None),
    "prompt": ({"prompt": {"id": "pmpt_1"}}, "Prompt with id 'pmpt_1' not found.", None),
    "parent": ({"previous_response_id": NO_RESPONSE}, "previous_response_not_found", "previous_response_id"),
    "input empty": ({"input": ""}, "One of", None),
    "model unknown": ({"model": "gpt-9"}, "model_not_found", "model"),
    "temperature": ({"temperature": 0.5}, "Unsupported parameter: 'temperature'", "temperature"),
    "top_p": ({"top_p": 0.5}, "Unsupported parameter: 'top_p'", "top_p"),
    "presence_penalty": ({"presence_penalty": 1}, "Unsupported parameter: 'presence", "presence_penalty"),
    "frequency_penalty": ({"frequency_penalty": 1}, "Unsupported parameter: 'frequency", "frequency_penalty"),
    "include": ({"include": ["message.output_text.logprobs"]}, "logprobs are not supported", "include"),
    "top_logprobs": ({"top_logprobs": 1}, "logprobs are not supported", "top_logprobs"),
    "long window": (
        {"background_options": {"completion_window": "2h"}},
        "Unsupported value: '2h'",
        "background_options.completion_window",
    ),
    "update": (
        {"input": [{"role": "user", "content": "x"}, {"type": "configuration_update"}]},
        "The 'configuration_update' item type",
        "input",
    ),
    "item unknown": ({"input": [REFERENCE]}, "Item with id 'msg_nope' not found.", "input"),
    "item twice": ({"input": [SAME, SAME]}, "Duplicate item found", "input"),
    "pairing": ({"input": [OUTPUT]}, "No tool call found", "input"),
    "sealed": ({"input": [UNREADABLE]}, "invalid_encrypted_content", None),
}
# A request can't show both: one fault takes away what the other needs.
APART = [
    {"model missing", "model unknown"},
    *({"input missing", step} for step in ("exclusive", "conversation", "prompt", "parent")),
    *({"input empty", step} for step in ("conversation", "prompt", "parent", "exclusive")),
    {"model missing", "prompt"},  # a prompt may bring its model
    {"exclusive", "conversation"},
    {"conversation", "parent"},
    {"exclusive", "parent"},
]
OVER_INPUT = ("input missing", "input empty", "update", "item unknown", "item twice", "pairing", "sealed")


PAIRS = [
    pair
    for pair in itertools.combinations(STEPS, 2)
    if {*pair} not in APART and not (pair[0] in OVER_INPUT and pair[1] in OVER_INPUT)
]


@pytest.mark.parametrize(("earlier", "later"), PAIRS)
def test_a_step_comes_before_those_behind_it(earlier: str, later: str) -> None:
    fault, sign, param = STEPS[earlier]
    for body in both(fault, STEPS[later][0]):
        body |= {key: value for key, value in fault.items() if value is DROP}
        error = named(body)
        assert sign == error["code"] or error["message"].startswith(sign), error
        assert error["param"] == param


def test_state_comes_before_an_empty_input() -> None:
    for state in ("conversation", "prompt", "parent"):
        fault, sign, _ = STEPS[state]
        error = named({**TERRA, "input": "", **fault})
        assert sign == error["code"] or error["message"].startswith(sign)
    error = named({"model": "gpt-5.6-terra", **STEPS["parent"][0]})
    assert error["code"] == "previous_response_not_found"


def test_items_come_before_the_lock_and_the_lock_before_the_window() -> None:
    locked = next(case for case in ASSERTED if case.id == "E67-running").document
    small = "computer-use-preview"  # the smallest window there is
    for fault, sign in (
        ([OUTPUT], "No tool call found"),
        ([REFERENCE], "Item with id"),
        ([SAME, SAME], "Duplicate"),
        ("red " * 20_000, "Another process"),
    ):
        asker = InProcess({})
        made: dict[str, Any] = {}
        for step in locked["setup"]:
            sent = json.dumps(filled(step["body"], made)).encode()
            answer = asker.ask("POST", step["path"], {}, sent, abandon=step.get("abandon", False))
            if "as" in step:
                made[step["as"]] = json.loads(answer.body)
        error = named({"model": small, "input": fault, "conversation": made["c"]["id"]}, asker)
        assert error["message"].startswith(sign)
    assert named({"model": small, "input": "red " * 20_000})["code"] == "context_length_exceeded"


def test_the_window_comes_before_what_generation_says() -> None:
    asker = InProcess({})
    lines = {"lines": [{"reply": {"error": {"code": "slow_down"}}}]}
    asker.ask("POST", "/_mock/script", {}, json.dumps(lines).encode(), abandon=False)
    assert (
        named({"model": "computer-use-preview", "input": "red " * 20_000}, asker)["code"] == "context_length_exceeded"
    )
    assert named(TERRA, asker)["code"] == "slow_down"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": [5, {"type": "bogus"}]}, "input[0]"),
        ({"input": [{"role": "user"}, 5]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}, 5]}]}, "input[0].content[0].text"),
        ({"tools": [{"type": "function"}, 5]}, "tools[0].name"),
        ({"text": {"verbosity": "x", "format": {"type": "x"}}}, "text.format.type"),
        ({"metadata": {"b": 5, "a": 5}}, "metadata.b"),
        ({"zzz": 1, "yyy": 1}, "zzz"),
        ({"reasoning": {"summary": "x", "effort": "x"}}, "reasoning.effort"),
        ({"prompt": {"variables": {"v": 5}, "id": 5}}, "prompt.id"),
    ],
)
def test_what_stands_first_is_named_first(body: dict[str, Any], param: str) -> None:
    assert named({**TERRA, **body})["param"] == param


def test_a_body_is_parsed_before_anything_else() -> None:
    answer = InProcess({}).ask("POST", "/v1/responses", {}, b'{"bogus":1,"truncation":5', abandon=False)
    assert json.loads(answer.body)["error"]["code"] == "invalid_json"


def test_authentication_and_routing_come_before_the_body() -> None:
    asker = InProcess({"api_key": ["right"]})
    assert asker.ask("POST", "/v1/responses", {}, b"{", abandon=False).status == 401
    assert asker.ask("POST", "/v1/responses/x/bogus", {}, b"{", abandon=False).status == 401
    key = {"authorization": "Bearer right"}
    assert asker.ask("POST", "/v1/responses/x/bogus", key, b"{", abandon=False).status == 404
    assert asker.ask("PUT", "/v1/responses", key, b"{", abandon=False).status == 405
    assert asker.ask("POST", "/v1/responses", key, b"{", abandon=False).status == 400
