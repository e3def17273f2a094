"""The queue of scripted lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.scenarios.lines import Line, parse_lines
from mockserver.wire.errors.api import MockError
from tests.support.driving import Driver, refused, text_of


def said(drive: Driver, text: str = "hello") -> str:
    return text_of(drive.create(text)["output"][-1])


def test_lines_answer_in_order_then_the_default_model_does() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "one"}}, {"reply": {"text": "two"}})
    drive.script({"reply": {"text": "three"}})
    assert [said(drive) for _ in range(4)] == ["one", "two", "three", "Mock reply to: hello [1 items in context]"]


def test_a_line_may_serve_several_times() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "one"}, "times": 2}, {"reply": {"text": "two"}})
    assert [said(drive) for _ in range(3)] == ["one", "one", "two"]


def test_a_line_whose_condition_does_not_hold_waits() -> None:
    drive = Driver()
    drive.script({"when": {"input_contains": "weather"}, "reply": {"text": "sunny"}}, {"reply": {"text": "other"}})
    assert said(drive) == "other"
    assert said(drive, "the weather?") == "sunny"


def test_an_error_line_is_used_up_and_nothing_else_changes() -> None:
    drive, twin = Driver(), Driver()
    drive.script({"reply": {"error": {"code": "rate_limit_exceeded"}}})
    assert refused(drive.create).status == 429
    assert drive.create("a")["output"][0]["content"] == twin.create("a")["output"][0]["content"]
    assert len(drive.engine.control.list_responses("p", limit=10, after=None)["data"]) == 1


def test_the_queue_counts_what_waits() -> None:
    drive = Driver()
    assert drive.engine.control.enqueue("p", [{"reply": {"text": "a"}}]) == 1
    assert drive.engine.control.enqueue("p", [{"reply": {"text": "a"}}, {"reply": {"text": "b"}}]) == 3
    said(drive)
    assert drive.engine.control.enqueue("p", []) == 2


def test_a_bad_line_changes_nothing() -> None:
    drive = Driver()
    with pytest.raises(MockError) as caught:
        drive.engine.control.enqueue("p", [{"reply": {"text": "a"}}, {"reply": {"txt": "b"}}])
    assert caught.value.param == "lines[1].reply.txt"
    assert json.loads(caught.value.body())["error"]["type"] == "mock_error"
    assert said(drive).startswith("Mock reply")


def test_a_script_is_cut_to_the_cap() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "word " * 200}})
    assert drive.create("hello", max_output_tokens=16)["status"] == "incomplete"


def test_the_same_line_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drive, parsed = Driver(), list[object]()

    def count_parses(value: Any, where: str = "lines") -> list[Line]:
        parsed.append(value)
        return parse_lines(value, where)

    monkeypatch.setattr("mockserver.scenarios.lines.parse_lines", count_parses)
    line = {"reply": {"text": "only the queue's test says this"}}
    for _ in range(3):
        drive.script(line)
    assert parsed == [[line]]
    assert [said(drive) for _ in range(3)] == ["only the queue's test says this"] * 3


def test_a_line_is_not_valid_because_one_with_the_same_json_is() -> None:
    drive, items = Driver(), [{"type": "message", "text": "a"}]
    drive.script({"reply": {"output": items}})
    with pytest.raises(MockError, match=r"lines\[0\].reply.output' must be a list"):
        drive.script({"reply": {"output": tuple(items)}})
