"""What strict mode asks of a JSON schema; the complaint's text follows `Invalid schema for … '<name>': `.

Spec: R10.2 (objects are closed, every property required), R10.4 (limits), R10.5 (keywords), E49, E50 (sentences).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MAX_PROPERTIES = 5000
MAX_LEVELS = 10
MAX_ENUM_VALUES = 1000
MAX_STRINGS = 120_000
LARGE_ENUM = 250
MAX_LARGE_ENUM = 15_000

# Keywords strict mode doesn't have. Spec: R10.5; those it leaves open are let through.
_FORBIDDEN = (
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "minProperties",
    "maxProperties",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
)

Context = tuple[str, ...]
Node = tuple[Context, int, dict[str, Any]]


def type_complaint(schema: dict[str, Any]) -> str | None:
    """Say that a root schema isn't an object's. Spec: E49."""
    kind = schema.get("type")
    if kind == "object":
        return None
    return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."


def strict_complaint(schema: dict[str, Any]) -> str | None:
    """Say what keeps a schema from being strict, the first thing from the outside in; None when nothing does."""
    complaint = type_complaint(schema)
    if complaint:
        return complaint
    if "anyOf" in schema:
        return _keyword_complaint((), "anyOf")
    nodes = list(_nodes(schema))
    for context, _, node in nodes:
        complaint = _node_complaint(context, node)
        if complaint:
            return complaint
    return _limit_complaint(nodes)


def _nodes(schema: dict[str, Any]) -> Iterator[Node]:
    """Every subschema with its context and level, parents before children."""
    waiting: list[tuple[Context, int, Any]] = [((), 1, schema)]
    while waiting:
        context, level, node = waiting.pop()
        if not isinstance(node, dict):
            continue
        yield context, level, node
        inner = [((*context, *steps), level + deeper, child) for steps, deeper, child in _children(node)]
        waiting.extend(reversed(inner))


def _children(node: dict[str, Any]) -> Iterator[tuple[Context, int, Any]]:
    """The subschemas of one node; a property is one level deeper."""
    for key, deeper in (("properties", 1), ("$defs", 0), ("definitions", 0)):
        members = node.get(key)
        for name, child in members.items() if isinstance(members, dict) else ():
            yield (key, name), deeper, child
    yield ("items",), 0, node.get("items")
    branches = node.get("anyOf")
    for index, child in enumerate(branches if isinstance(branches, list) else ()):
        yield ("anyOf", str(index)), 0, child


def _node_complaint(context: Context, node: dict[str, Any]) -> str | None:
    """Judge one subschema: closed, complete, without foreign keywords. Spec: R10.2, R10.5."""
    kinds = node.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in node:
        if node.get("additionalProperties") is not False:
            return f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
        properties, required = node.get("properties"), node.get("required")
        named = {key for key in required if isinstance(key, str)} if isinstance(required, list) else set()
        for key in properties if isinstance(properties, dict) else ():
            if key not in named:
                return (
                    f"In context={context}, 'required' is required to be supplied and to be an array including every "
                    f"key in properties. Missing '{key}'."
                )
    for keyword in _FORBIDDEN:
        if keyword in node:
            return _keyword_complaint(context, keyword)
    return None


def _keyword_complaint(context: Context, keyword: str) -> str:
    return f"In context={context}, '{keyword}' is not permitted."


def _limit_complaint(nodes: list[Node]) -> str | None:
    """Judge the sizes of the whole; the service's sentences are unknown, these are ours. Spec: R10.4."""
    properties = sum(len(node["properties"]) for _, _, node in nodes if isinstance(node.get("properties"), dict))
    enums = [node["enum"] for _, _, node in nodes if isinstance(node.get("enum"), list)]
    counts = (
        (properties, MAX_PROPERTIES, "object properties"),
        (max(level for _, level, node in nodes if "properties" in node or level == 1), MAX_LEVELS, "levels of nesting"),
        (sum(map(len, enums)), MAX_ENUM_VALUES, "enum values"),
        (sum(map(len, _names(nodes, enums))), MAX_STRINGS, "characters in property names, definitions and enum values"),
        *((_characters(enum), MAX_LARGE_ENUM, "characters in one enum") for enum in enums if len(enum) > LARGE_ENUM),
    )
    for count, most, what in counts:
        if count > most:
            return f"Expected at most {most} {what} in total within a schema, but got {count}."
    return None


def _names(nodes: list[Node], enums: list[list[Any]]) -> Iterator[str]:
    for _, _, node in nodes:
        for key in ("properties", "$defs", "definitions"):
            if isinstance(node.get(key), dict):
                yield from node[key]
        if isinstance(node.get("const"), str):
            yield node["const"]
    yield from (value for enum in enums for value in enum if isinstance(value, str))


def _characters(enum: list[Any]) -> int:
    return sum(len(value) for value in enum if isinstance(value, str))
