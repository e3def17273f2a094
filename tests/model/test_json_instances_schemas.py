"""Schemas made plain."""

from __future__ import annotations

from mockserver.model.json_instances.budget import Budget
from mockserver.model.json_instances.schemas import NEVER, Schemas, matches, sound


def test_references_and_all_of_are_merged() -> None:
    root = {
        "$defs": {"a/b": {"type": "number", "minimum": 2}},
        "allOf": [{"$ref": "#/$defs/a~1b"}, {"type": "integer", "minimum": 5}],
        "maximum": 9,
    }
    plain = Schemas(root).plain(root)
    assert (plain["type"], plain["minimum"], plain["maximum"]) == ("integer", 5, 9)


def test_properties_of_both_sides_are_asked_for() -> None:
    one = {"properties": {"a": {"minLength": 1}}, "required": ["a"], "multipleOf": 4}
    two = {"properties": {"a": {"maxLength": 2}, "b": {}}, "required": ["b", "a"], "multipleOf": 6}
    schemas = Schemas({})
    merged = schemas.merge([one, two])
    assert merged["required"] == ["a", "b"] and merged["multipleOf"] == 12
    assert schemas.plain(merged["properties"]["a"]) == {"minLength": 1, "maxLength": 2}


def test_heights() -> None:
    ends = {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
    tree = {"type": "object", "properties": {"next": ends}, "required": ["next"]}
    assert Schemas(tree).height(tree, 10) == 2
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert Schemas(endless).height(endless, 10) == NEVER


def test_nonsense_is_dropped() -> None:
    assert sound({"type": 5, "required": "a", "minimum": 1}) == {"minimum": 1}
    assert matches("(", "anything", Budget())
