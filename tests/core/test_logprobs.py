"""Log probabilities: full precision in events, six decimals in items and bodies. Spec: S6.1, W6, W7."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.core.logprobs import precise_logprobs, round_logprobs, with_logprobs
from tests.support.driving import Driver

ASKED = {"model": "gpt-4.1", "include": ["message.output_text.logprobs"]}
PRECISE = -0.00007493430894101039  # as recorded in an event, and as -7.5e-05 in the item (2026-04)


def scripted(text: str, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}
    return {"reply": {"output": [{"type": "message", "content": [part]}]}}


def logprob(token: str, value: float) -> dict[str, Any]:
    return {"bytes": list(token.encode()), "logprob": value, "token": token}


CANDIDATES = [logprob("a", PRECISE), logprob("b", -9.501250267028809)]
SCRIPT = scripted("ab", [{**CANDIDATES[0], "top_logprobs": CANDIDATES}, {**CANDIDATES[1], "top_logprobs": []}])


def of_type(stream: list[dict[str, Any]], type: str) -> list[dict[str, Any]]:
    return [event for event in stream if event["type"] == f"response.{type}"]


@pytest.mark.parametrize("background", [False, True])
def test_S6_1_events_have_all_digits_and_items_six(background: bool) -> None:
    drive = Driver()
    drive.script(SCRIPT)
    stream = drive.stream("x", **ASKED, top_logprobs=2, background=background)
    values = [event["logprobs"][0]["logprob"] for event in of_type(stream, "output_text.delta")]
    assert values == [PRECISE, -9.501250267028809]
    (done,) = of_type(stream, "output_text.done")
    assert [one["logprob"] for one in done["logprobs"]] == values
    assert done["logprobs"][0]["top_logprobs"] == CANDIDATES
    (part,) = of_type(stream, "content_part.done")
    assert part["part"]["logprobs"] == []
    (item,) = of_type(stream, "output_item.done")
    shown = item["item"]["content"][0]["logprobs"]
    assert [one["logprob"] for one in shown] == [-7.5e-05, -9.50125]
    assert [one["logprob"] for one in shown[0]["top_logprobs"]] == [-7.5e-05, -9.50125]
    final = stream[-1]["response"]
    assert final["output"] == [item["item"]]
    assert drive.get(final["id"])["output"] == final["output"]
    assert drive.replay(final["id"]) == stream, "what is stored has all digits too"


def test_W6_a_body_writes_small_figures_with_an_exponent() -> None:
    drive = Driver()
    drive.script(SCRIPT)
    body = json.dumps({**ASKED, "input": "x"}).encode()
    answer = drive.engine.create_response("p", body).body
    assert answer is not None and b'"logprob": -7.5e-05' in answer


def test_S6_1_nobody_who_did_not_ask_sees_any() -> None:
    drive = Driver()
    drive.script(SCRIPT)
    stream = drive.stream("x", model="gpt-4.1")
    assert all(event["logprobs"] == [] for event in stream if "logprobs" in event)
    assert stream[-1]["response"]["output"][0]["content"][0]["logprobs"] == []
    assert [event["delta"] for event in of_type(stream, "output_text.delta")] == ["ab"]


@pytest.mark.parametrize("top", [0, 3])
def test_S6_1_made_up_figures_are_one_for_each_delta(top: int) -> None:
    stream = Driver().stream("hello there", **ASKED, top_logprobs=top)
    deltas = of_type(stream, "output_text.delta")
    assert all([one["token"] for one in event["logprobs"]] == [event["delta"]] for event in deltas)
    figures = [one for event in deltas for one in event["logprobs"]]
    assert all(len(one["top_logprobs"]) == top and one["logprob"] < 0 for one in figures)
    assert [list(one) for one in figures] == [["bytes", "logprob", "token", "top_logprobs"]] * len(figures)
    shown = stream[-1]["response"]["output"][0]["content"][0]["logprobs"]
    assert [one["logprob"] for one in shown] == [round(one["logprob"], 6) for one in figures]
    assert shown != figures, "some figure has more than six decimals"


def test_the_same_token_has_the_same_figure() -> None:
    message: dict[str, Any] = {"content": [{"type": "output_text", "text": "a b a", "logprobs": []}]}
    [part] = with_logprobs(message, 0, lambda text: text.split(" "))["content"]
    assert part["logprobs"][0] == part["logprobs"][2] != part["logprobs"][1]


def test_parts_without_log_probabilities_stay() -> None:
    refusal = {"type": "refusal", "refusal": "no"}
    text = {"type": "output_text", "text": "a", "logprobs": [{"token": "a", "logprob": -1, "top_logprobs": []}]}
    message = {"content": [refusal, text]}
    assert with_logprobs(message, 5, list) == message
    assert precise_logprobs(message) == [[], text["logprobs"]]
    assert round_logprobs(message) == message, "whole figures stay whole"
