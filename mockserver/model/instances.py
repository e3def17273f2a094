"""Values for schemas, by `json_instances`, which is loaded with the first: most first answers need none."""

from __future__ import annotations

from typing import Any


def instance(schema: Any, seed: str, *, every_property: bool = False) -> Any:
    """A value valid for the schema; `every_property` adds optional properties. Spec: R10.5, R10.6."""
    from mockserver.model.json_instances import generate

    return generate.instance(schema, seed, every_property=every_property)


def matching(pattern: str, key: str) -> str | None:
    """A text that matches a regular expression, None if this simple generator can't find one. Spec: R11.6."""
    from mockserver.model.json_instances import strings

    return strings.matching(pattern, key)
