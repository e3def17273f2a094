"""What two snapshots differ in."""

from __future__ import annotations

from typing import Any

from mockserver.snapshots.diff import LONGEST, differences, format_differences
from tests.support.api import Api
from tests.support.driving import Driver


def shown(driver: Driver) -> dict[str, Any]:
    return driver.engine.control.snapshot(driver.project)


def test_equal_ones_have_none() -> None:
    driver = Driver()
    driver.create("hi")
    assert differences(shown(driver), shown(driver)) == []
    assert format_differences([]) == "no differences"


def test_a_turn_adds_records_and_counts_a_call() -> None:
    driver = Driver()
    before = shown(driver)
    response = driver.create("hi")
    found = differences(before, shown(driver))
    assert [(one.how, one.section, one.path) for one in found if one.section in ("calls", "responses", "nodes")] == [
        ("changed", "calls", "calls"),
        ("added", "responses", f"responses.{response['id']}"),
        ("added", "nodes", f"nodes.{response['id']}"),
    ]
    (added,) = [one for one in found if one.section == "responses"]
    assert added.before is None and added.after["body"] == response and added.id == response["id"]
    back = differences(shown(driver), before)
    assert {one.how for one in back if one.section == "responses"} == {"removed"} and len(back) == len(found)


def test_what_changed_within_a_record_is_told_by_its_path() -> None:
    driver = Driver()
    conversation = driver.conversation(metadata={"colour": "red"})["id"]
    before = shown(driver)
    Api(driver.engine).update_conversation(
        driver.project, conversation, b'{"metadata": {"colour": "blue", "size": "1"}}'
    )
    found = [one for one in differences(before, shown(driver)) if one.section == "conversations"]
    at = f"conversations.{conversation}.object.metadata"
    assert list(map(str, found)) == [f'~ {at}.colour: "red" → "blue"', f'+ {at}.size: "1"']


def test_lists_types_and_other_records() -> None:
    other = {"kind": "odd", "id": "a", "doc": [1, 2]}
    before = {"seed": 1, "others": [other, {"kind": "odd", "id": "b"}], "nodes": {"n": {"items": [1, 2]}}}
    after = {"seed": 1.0, "others": [{**other, "doc": [1, 3, 4]}], "nodes": {"n": {"items": [1]}}}
    assert list(map(str, differences(before, after))) == [
        "~ seed: 1 → 1.0",
        "~ others.odd/a.doc[1]: 2 → 3",
        "+ others.odd/a.doc[2]: 4",
        '- others.odd/b: {"kind":"odd","id":"b"}',
        "- nodes.n.items[1]: 2",
    ]
    assert list(map(str, differences({"others": 1}, {"others": []}))) == ["~ others: 1 → []"]


def test_as_text_each_section_has_its_head_and_values_are_short() -> None:
    text = format_differences(
        differences({"calls": 1, "nodes": {"a": "x" * 200, "b": 1}}, {"calls": 2, "nodes": {"c": 3}})
    )
    head, calls, nodes, a, b, c, end = text.splitlines()
    assert (head, calls, nodes) == ("calls", "  ~ calls: 1 → 2", "nodes")
    assert a.startswith('  - nodes.a: "xxx') and a.endswith("…") and len(a) <= LONGEST + 20
    assert (b, c, end) == ("  - nodes.b: 1", "  + nodes.c: 3", "1 added, 2 removed, 1 changed")
