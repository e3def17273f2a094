"""The building blocks: what each accepts at its bounds, and nothing beyond."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire.errors.api import APIError
from mockserver.wire.requests import schema as fields
from mockserver.wire.requests.validation import Validator


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        pytest.param(fields.string(longest=2, shortest=1), ["a", "ab", "é!"], ["", "abc", 1, None], id="string"),
        pytest.param(fields.identifier("msg"), ["msg", "msg_a-1"], ["", "rs_1", "msg_ä", "m" * 65, 1], id="identifier"),
        pytest.param(fields.identifier(), ["x", "-_9"], ["", "a b", "a\n"], id="any-identifier"),
        pytest.param(fields.name(longest=2), ["a", "_-"], ["", "abc", "a.", "a\n"], id="name"),
        pytest.param(fields.integer(least=1, most=2), [1, 2], [0, 3, 1.0, "1", True], id="integer"),
        pytest.param(fields.decimal(least=0, most=1), [0, 0.5, 1], [-0.1, 1.1, "1", False], id="decimal"),
        pytest.param(fields.BOOLEAN, [True, False], [0, 1, "true", None], id="boolean"),
        pytest.param(fields.enum("a", also=("b",)), ["a", "b"], ["c", "", 1, None, [], {}], id="enum"),
        pytest.param(fields.strings(shortest=1, longest=2), [["a"]], [[], ["a"] * 3, [1], "a", {}], id="strings"),
        pytest.param(fields.mapping(fields.TEXT, most=1), [{}, {"a": "b"}], [{"a": 1}, {"a": "", "b": ""}], id="map"),
        pytest.param(fields.OBJECT, [{}, {"a": None}], [[], "x", None], id="object"),
        pytest.param(fields.nullable(fields.TEXT), ["", None], [1], id="nullable"),
        pytest.param(fields.shape({"a": fields.TEXT}, {"b": fields.TEXT}), [{"a": "", "b": None}], [{}], id="shape"),
        pytest.param(fields.opaque({"a": fields.TEXT}), [{"a": "", "z": 1}], [{"z": 1}], id="opaque"),
    ],
)
def test_bounds(schema: fields.Schema, good: list[Any], bad: list[Any]) -> None:
    judge = Validator(fields.shape({"value": schema})).validate
    for value in good:
        judge({"value": value})
    for value in bad:
        with pytest.raises(APIError):
            judge({"value": value})


def test_the_kind_of_a_value_names_the_branch() -> None:
    kinds = {fields.kind(value) for value in ("", [], {}, True, 1, 1.5)}
    assert kinds == {"string", "array", "object", "boolean", "number"}
    assert fields.kind(None) is None


def test_a_rule_between_members() -> None:
    def same(pair: dict[str, Any]) -> dict[str, Any]:
        if pair["a"] != pair["b"]:
            raise fields.CrossFieldError(lambda path: APIError(f"{path} differs", param=path))
        return pair

    pair = fields.with_check(fields.shape({"a": fields.TEXT, "b": fields.TEXT}), same)
    judge = Validator(fields.shape({"pairs": fields.array(pair)})).validate
    judge({"pairs": [{"a": "1", "b": "1"}]})
    with pytest.raises(APIError, match=r"pairs\[1\] differs"):
        judge({"pairs": [{"a": "1", "b": "1"}, {"a": "1", "b": "2"}]})
