"""Judging a value against its shape: pydantic says whether, this module says in the service's words what is wrong.

A valid value costs one call into the compiled validator. Only when that fails are pydantic's findings traced through
the shape, ranked in the service's order and the first one turned into an `APIError`. Within one object a missing
member comes before an unknown one, and that before a wrong one; else the order of the shape's fields and of the array
decides. Spec: errors §2, §3.
"""

# Why the first complaint, and how it is found. The service judges a body in an order of its own and reports one
# thing: what it finds first. Pydantic reports everything, in the order of the fields of its schema. So all
# findings are taken, each is followed through shape and value to where it is, and ranked step by step: what is
# missing before what is unknown before what is wrong, and among equals by the order of the fields in the shape,
# which is the order of judgement (errors §3). The smallest rank wins. This costs only bodies that are wrong;
# right ones pay pydantic's check alone.
#
# What must stay true:
# * Sentences are the service's to the byte, so no text of pydantic's ever gets out: each kind of finding has a
#   row in `_COMPLAINTS`, and a kind without a row is a KeyError.
# * A union reports findings of every branch. Only those of the branch that the value chose count; `choose` says
#   which.
# * The walk reads the same dictionaries that pydantic compiled: there is no second description of a shape.

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mockserver.wire.errors import api as errors
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.errors.api import APIError
from mockserver.wire.errors.text import Path, format_path
from mockserver.wire.requests.schema import Schema

if TYPE_CHECKING:
    from pydantic_core import ValidationError

_MISSING, _UNKNOWN, _WRONG = range(3)

_EXPECTED = {
    "str": "a string",
    "int": "an integer",
    "float": "a decimal",
    "bool": "a boolean",
    "typed-dict": "an object",
}


class Validator:
    """A shape, compiled once, for the first value: a server that starts has no use yet for most endpoints."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._validate: Callable[[Any], Any] = self._compile_and_validate

    def _compile_and_validate(self, value: Any) -> Any:
        # Pydantic's compiler alone: its models, which nothing here needs, take 40 ms to import. The compiler takes 15,
        # so it comes with the first value: a plain turn is judged without it.
        from pydantic_core import SchemaValidator

        self._validate = SchemaValidator(self._schema).validate_python
        return self._validate(value)

    def validate(self, value: Any) -> None:
        """Return quietly when the value has the shape, else raise the first complaint."""
        try:
            self._validate(value)
        except ValueError as failure:  # nothing but pydantic's own, whose name is not imported yet
            raise first_complaint(self._schema, value, cast("ValidationError", failure)) from None


class Violation(NamedTuple):
    """One finding: pydantic's `kind`, where, the schema there, the offending value, pydantic's context, its rank."""

    kind: str
    path: Path
    schema: Schema
    value: Any
    context: dict[str, Any]
    rank: tuple[tuple[int, int], ...]


def first_complaint(schema: Schema, value: Any, failure: ValidationError) -> APIError:
    """The error the service would have answered with."""
    findings = failure.errors(include_url=False, include_input=False)
    faults = [fault for place, finding in enumerate(findings) if (fault := trace(schema, value, finding, place))]
    fault = min(faults, key=lambda fault: fault.rank)
    return _COMPLAINTS[fault.kind](fault)


def trace(schema: Schema, value: Any, finding: Any, place: int) -> Violation | None:
    """Follow pydantic's location through shape and value; None when it is about a branch not taken.

    `place` is that of the finding among all of them, which for free keys is the order of the body.
    """
    kind, steps = finding["type"], list(finding["loc"])
    path: Path = ()
    rank: tuple[tuple[int, int], ...] = ()
    while True:
        while "schema" in schema:
            schema = schema["schema"]
        # a union's own label is the first step of pydantic's location, a tag the first of a tagged union
        if schema["type"] == "union":
            branches = {label: branch for branch, label in schema["choices"]}
            label = schema["metadata"]["choose"](value)
            if label not in branches:
                return Violation("wrong_type", path, schema, value, {}, rank)
            if steps.pop(0) != label:
                return None
            schema = branches[label]
            continue
        if not steps:
            return Violation(kind, path, schema, value, finding.get("ctx", {}), rank)
        step = steps.pop(0)
        if schema["type"] == "tagged-union":
            schema = schema["choices"][step]
            continue
        if steps == ["[key]"]:
            return Violation(f"key_{kind}", path, schema, step, finding["ctx"], rank)
        path, rank = (*path, step), (*rank, _rank(schema, value, step, place))
        if not steps and kind in ("missing", "extra_forbidden"):
            return Violation(kind, path, schema, None, {}, rank)
        schema, value = _step_into(schema, value, step)


def _rank(schema: Schema, value: Any, step: str | int, place: int) -> tuple[int, int]:
    """The place of one step among its siblings: the urgency of the finding, then the order of judgement."""
    if isinstance(step, int):
        return _WRONG, step
    fields = schema.get("fields")
    if fields is None:
        return _WRONG, place
    if step not in fields:
        return _UNKNOWN, place
    return _WRONG if step in value else _MISSING, list(fields).index(step)


def _step_into(schema: Schema, value: Any, step: str | int) -> tuple[Schema, Any]:
    if isinstance(step, int):
        return schema["items_schema"], value[step]
    if "fields" not in schema:
        return schema["values_schema"], value[step]
    return schema["fields"][step]["schema"], value[step]


# --- What each of pydantic's findings is called by the service ----------------------------------------------------


def _wrong_type(fault: Violation) -> APIError:
    metadata = fault.schema.get("metadata", {})
    expected = metadata.get("expected") or _EXPECTED[fault.schema["type"]]
    expected = metadata.get("expected_for", {}).get(type(fault.value), expected)
    # Spec: errors §2: a null in a top-level field is called an object.
    actual = "an object" if fault.value is None and len(fault.path) == 1 else None
    return errors.invalid_type(format_path(fault.path), expected, fault.value, actual=actual)


def _wrong_value(fault: Violation) -> APIError:
    if not isinstance(fault.value, str):
        return _wrong_type(fault)
    return errors.invalid_value(format_path(fault.path), fault.value, fault.schema["metadata"]["values"])


def _wrong_tag(fault: Violation) -> APIError:
    key, metadata = fault.schema["discriminator"], fault.schema["metadata"]
    tag, at_tag = fault.value.get(key), format_path((*fault.path, key))
    if isinstance(tag, str):
        if metadata["known"] and tag not in metadata["known"]:
            return errors.invalid_value(at_tag, tag, metadata["known"])
        return errors.invalid_value(format_path(fault.path) if metadata["whole"] else at_tag, tag, metadata["values"])
    if metadata["whole"] and not metadata["known"]:
        return errors.invalid_value(format_path(fault.path), "", metadata["values"])
    return errors.missing_parameter(at_tag) if key not in fault.value else errors.invalid_type(at_tag, "a string", tag)


def _wrong_pattern(fault: Violation) -> APIError:
    path, prefix = format_path(fault.path), fault.schema.get("metadata", {}).get("prefix")
    if prefix is None:
        return validation_errors.pattern_mismatch(path, fault.schema["pattern"])
    if not fault.value.startswith(prefix):
        return validation_errors.id_prefix(path, fault.value, prefix)
    return validation_errors.id_characters(path, fault.value)


def _limit(constructor: Callable[..., APIError], bound: str) -> Callable[[Violation], APIError]:
    kinds = {"int": "integer", "float": "decimal"}

    def complain(fault: Violation) -> APIError:
        schema = fault.schema
        return constructor(format_path(fault.path), kinds[schema["type"]], schema[bound], fault.value)

    return complain


def _too_long(fault: Violation) -> APIError:
    constructors = {"list": validation_errors.array_too_long, "dict": validation_errors.too_many_properties}
    return constructors[fault.schema["type"]](format_path(fault.path), fault.schema["max_length"], len(fault.value))


_COMPLAINTS: dict[str, Callable[[Violation], APIError]] = {
    "missing": lambda fault: errors.missing_parameter(format_path(fault.path)),
    "extra_forbidden": lambda fault: errors.unknown_parameter(format_path(fault.path)),
    "wrong_type": _wrong_type,
    "string_type": _wrong_type,
    "int_type": _wrong_type,
    "float_type": _wrong_type,
    "bool_type": _wrong_type,
    "list_type": _wrong_type,
    "dict_type": _wrong_type,
    "literal_error": _wrong_value,
    "union_tag_invalid": _wrong_tag,
    "union_tag_not_found": _wrong_tag,
    "string_too_long": lambda fault: validation_errors.string_too_long(
        format_path(fault.path), fault.schema["max_length"], len(fault.value)
    ),
    "string_too_short": lambda fault: validation_errors.empty_string(format_path(fault.path)),
    "string_pattern_mismatch": _wrong_pattern,
    "key_string_too_long": lambda fault: validation_errors.property_name_too_long(
        format_path(fault.path), fault.value, fault.schema["keys_schema"]["max_length"]
    ),
    "too_long": _too_long,
    "too_short": lambda fault: validation_errors.empty_array(format_path(fault.path)),
    "greater_than_equal": _limit(validation_errors.below_minimum, "ge"),
    "less_than_equal": _limit(validation_errors.above_maximum, "le"),
    "value_error": lambda fault: fault.context["error"].complain(format_path(fault.path)),
}
