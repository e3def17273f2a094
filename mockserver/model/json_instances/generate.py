"""Deterministic instances of a JSON Schema: the same schema and seed always give the same value."""

# Values are readable rather than random. Everything structured outputs allow comes out valid (Spec: R10.5),
# keys in schema order (Spec: R10.6); of the rest of JSON Schema as much as a few tries can do, judged by
# `validity`.
#
# How it works: an `_InstanceGenerator` walks the schema once and makes a value. Each place draws from the seed
# and its own path, so a change at one place leaves the others as they were. References and `allOf` are merged
# before (`Schemas.plain`), so the walk never has to obey two schemas at once. What a walk can't foresee (`not`,
# `if`, a pattern beside a length) is left to chance: the whole value is judged, and other seeds are tried.
#
# It must end whatever the schema is, because schemas come from requests: `room` is the number of levels left,
# at first what the schema needs and a little more, unions take only branches that fit into it, and `values`
# bounds the width. A `Budget` bounds the work of all tries together.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from fractions import Fraction
from math import ceil, floor
from typing import Any

from mockserver.model.json_instances.budget import VALUE, Budget, BudgetSpent, too_much_work
from mockserver.model.json_instances.schemas import NEVER, Schemas
from mockserver.model.json_instances.strings import text
from mockserver.model.json_instances.validity import InstanceChecker
from mockserver.model.seeded_random import choose, draw

Schema = Mapping[str, Any]

_TRIES = 12  # walks; after the last one its value counts, valid or not, because a turn needs an answer
_DEEPEST = 64  # levels that a schema may need; strict ones have at most 10 (Spec: R10.4)
_SLACK = 3  # levels beyond those, so that what may be left out, such as the children of a tree, is seen
_MOST_ITEMS = 1000
_MANY_VALUES = 2000  # from here on nothing is added that need not be
_MOST_VALUES = 6_000  # more than a strict schema may have properties (Spec: R10.4)
_SPREAD = 20  # numbers stay within this many steps of their bound; a unique item has as many tries


def instance(schema: Any, seed: str, *, every_property: bool = False) -> Any:
    """A value valid for the schema; `every_property` adds optional properties. Spec: R10.5, R10.6."""
    budget = Budget()
    schemas = Schemas(schema, budget)
    judge = InstanceChecker(schemas)
    height = schemas.height(schema, _DEEPEST)
    room = _SLACK + (0 if height == NEVER else height)
    value: Any = None
    for number in range(_TRIES):
        maker = _InstanceGenerator(schemas, judge, budget, every_property=every_property)
        try:
            value = maker.value(schema, seed if not number else f"{seed}!{number}", "", room)
        except BudgetSpent:
            if number:
                break  # an earlier value counts, valid or not
            raise too_much_work() from None
        # A schema that fills the limit once would fill it twelve times.
        with suppress(BudgetSpent):
            if not judge.valid(value, schema) and maker.values <= _MOST_VALUES:
                continue
        break
    return value


class _InstanceGenerator:
    """Makes one value; `key` is the seed of a place, `name` its property, `room` the number of levels left.

    `values` counts the values made: a schema that contains itself several times grows exponentially.
    """

    def __init__(self, schemas: Schemas, judge: InstanceChecker, budget: Budget, *, every_property: bool) -> None:
        self._schemas = schemas
        self._budget = budget
        self._judge = judge
        self._every_property = every_property
        # By identity; the schema is kept beside its values, so that its identity can't be given to another.
        self._enums: dict[int, tuple[Schema, list[Any]]] = {}
        self.values = 0

    def value(self, schema: Any, key: str, name: str, room: int) -> Any:
        plain = self._schemas.plain(schema)
        if "const" in plain:
            return plain["const"]
        self.values += 1
        self._budget.spend(VALUE)
        if room <= 0 or self.values > _MOST_VALUES:
            return None
        if isinstance(plain.get("enum"), list) and plain["enum"]:
            return self._pick_enum(plain, key)
        for union in ("anyOf", "oneOf"):
            if isinstance(plain.get(union), list) and plain[union]:
                return self._one_of(plain, union, key, name, room)
        kind = self._kind(plain, key)
        if kind == "object":
            return self._object(plain, key, room)
        if kind == "array":
            return self._array(plain, key, name, room)
        return _scalar(kind, plain, key, name, self._budget)

    def _pick_enum(self, plain: Schema, key: str) -> Any:
        known = self._enums.get(id(plain))
        if known is None:
            known = self._enums[id(plain)] = plain, self._fitting(plain)
        return choose(key, known[1])

    def _fitting(self, plain: Schema) -> list[Any]:
        """The values of an enum that the keywords beside it allow."""
        values = plain["enum"][:_MOST_ITEMS]  # with all of them, each would be looked for among all
        beside = {word: value for word, value in plain.items() if word != "enum"}
        self._budget.spend(len(values) // VALUE)
        return [value for value in values if self._judge.valid(value, beside)] or values

    def _one_of(self, plain: Schema, union: str, key: str, name: str, room: int) -> Any:
        """Take a branch that ends within the room, seldom null, and merge it with the keywords beside the union."""
        rest = {word: value for word, value in plain.items() if word != union}
        heights = [self._schemas.height(branch, max(room, 1)) for branch in plain[union]]
        least = min(heights)
        fitting = [
            branch
            for branch, height in zip(plain[union], heights, strict=True)
            if height <= max(least, room - 1) and not self._schemas.conflicts(rest, branch)
        ] or plain[union]
        full = [branch for branch in fitting if self._schemas.plain(branch).get("type") != "null"]
        branch = choose(key, fitting if not full or draw(key + "?", 5) == 0 else full)
        if least == NEVER:
            room -= 1  # a union of itself ends too
        return self.value(self._schemas.merge([rest, branch]), key + "|", name, room)

    def _kind(self, plain: Schema, key: str) -> str:
        kind = plain.get("type")
        if isinstance(kind, list) and kind:
            full = [variant for variant in kind if variant != "null"]
            return str(choose(key, kind if not full or draw(key + "?", 5) == 0 else full))
        if isinstance(kind, str):
            return kind
        return next((implied for word, implied in _IMPLIED.items() if word in plain), "string")

    def _object(self, plain: Schema, key: str, room: int) -> dict[str, Any]:
        properties = _mapping(plain.get("properties"))
        names = self._choose_properties(plain, properties, room)
        schemas = {name: properties[name] for name in properties if name in names}
        for name in names:
            schemas.setdefault(name, self._schemas.other_property(plain, name))
        members = {name: self.value(schema, f"{key}/{name}", name, room - 1) for name, schema in schemas.items()}
        self._fill(members, plain, key, room)
        return members

    def _choose_properties(self, plain: Schema, properties: Schema, room: int) -> dict[str, None]:
        chosen = {name: None for name in plain.get("required") or () if isinstance(name, str)}
        wanted = max(_natural(plain.get("minProperties"), 0), len(properties) if self._every_property else 0)
        most = _natural(plain.get("maxProperties"), len(properties) + wanted)
        for name, schema in properties.items():
            fits = self.values < _MANY_VALUES and self._schemas.height(schema, max(room, 1)) < room
            if name not in chosen and len(chosen) < min(wanted, most) and fits:
                chosen[name] = None
        depends, waiting = _mapping(plain.get("dependentRequired")), list(chosen)
        for name in waiting:
            more = dict.fromkeys(also for also in depends.get(name, ()) if also not in chosen)
            chosen.update(more)
            waiting.extend(more)
        return chosen

    def _fill(self, members: dict[str, Any], plain: Schema, key: str, room: int) -> None:
        """Make up properties until there are `minProperties`."""
        least = min(_natural(plain.get("minProperties"), 0), _MOST_ITEMS)
        naming = {"type": "string", **_mapping(plain.get("propertyNames"))}
        for number in range(least * 8):
            if len(members) >= least:
                return
            name = text(naming, f"{key}+{number}", "", self._budget) if number % 8 else f"property_{number // 8 + 1}"
            if name not in members and self._judge.valid(name, naming):
                members[name] = self.value(self._schemas.other_property(plain, name), f"{key}/{name}", name, room - 1)

    def _array(self, plain: Schema, key: str, name: str, room: int) -> list[Any]:
        first = plain.get("prefixItems")
        if not isinstance(first, list):
            first = plain["items"] if isinstance(plain.get("items"), list) else []
        rest = plain.get("additionalItems" if isinstance(plain.get("items"), list) else "items", {})
        least = min(_natural(plain.get("minItems"), 0), _MOST_ITEMS)
        open_end = rest is not False and self.values < _MANY_VALUES and self._schemas.height(rest, max(room, 1)) < room
        wanted = max(least, len(first) + (1 + draw(key + "#", 2) if open_end and room > 1 else 0))
        wanted = min(wanted, _natural(plain.get("maxItems"), _MOST_ITEMS))
        items: list[Any] = []
        for number in range(wanted):
            schema = first[number] if number < len(first) else self._item(plain, rest, number - len(first))
            self._append(items, schema, f"{key}/{number}", name, room, plain.get("uniqueItems") is True)
        return items

    def _item(self, plain: Schema, rest: Any, number: int) -> Any:
        contained = number < _natural(plain.get("minContains"), 1) and isinstance(plain.get("contains"), Mapping)
        return self._schemas.merge([rest, plain["contains"]]) if contained else rest

    def _append(self, items: list[Any], schema: Any, key: str, name: str, room: int, unique: bool) -> None:
        for number in range(_SPREAD if unique else 1):
            value = self.value(schema, f"{key}~{number}" if number else key, name.removesuffix("s"), room - 1)
            if not unique or not self._judge.contains(value, items):
                items.append(value)
                return


_IMPLIED = {
    **dict.fromkeys(("properties", "required", "additionalProperties", "minProperties", "patternProperties"), "object"),
    **dict.fromkeys(("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"), "array"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number"),
}


def _mapping(value: Any) -> Schema:
    return value if isinstance(value, Mapping) else {}


def _natural(value: Any, default: int) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else default


def _scalar(kind: str, plain: Schema, key: str, name: str, budget: Budget) -> Any:
    if kind == "boolean":
        return draw(key, 2) == 1
    if kind == "null":
        return None
    if kind in ("integer", "number"):
        return _number(plain, key, kind)
    return text(plain, key, name, budget)


def _number(plain: Schema, key: str, kind: str) -> int | float:
    """A small number within the bounds, a multiple of `multipleOf`; whole numbers come first."""
    low, high = _limit(plain, "minimum", "exclusiveMinimum", max), _limit(plain, "maximum", "exclusiveMaximum", min)
    divisor = plain.get("multipleOf")
    multiple = Fraction(str(divisor)) if isinstance(divisor, int | float) and divisor > 0 else None
    steps = [multiple] if multiple and kind == "number" else []
    # Fractions, because 0.1 + 0.2 is no multiple of 0.1 in floats.
    whole = Fraction(multiple.numerator if multiple else 1)
    for step in (*_shuffle(steps, whole, key), Fraction(1, 10), Fraction(1, 1000), Fraction(1, 10**9)):
        number = _on_grid(plain, low, high, step, key)
        if number is not None and (number.denominator == 1 or kind == "number"):
            return int(number) if number.denominator == 1 else float(number)
    return float(low if low is not None else high or 0)


def _shuffle(steps: list[Fraction], whole: Fraction, key: str) -> Iterable[Fraction]:
    return (*steps, whole) if steps and draw(key + "w", 2) else (whole, *steps)


def _limit(plain: Schema, word: str, exclusive: str, tighter: Any) -> Fraction | None:
    bounds = [plain.get(word), plain.get(exclusive)]
    numbers = [
        Fraction(str(bound)) for bound in bounds if isinstance(bound, int | float) and not isinstance(bound, bool)
    ]
    return tighter(numbers) if numbers else None


def _on_grid(plain: Schema, low: Fraction | None, high: Fraction | None, step: Fraction, key: str) -> Fraction | None:
    """A multiple of `step` between the bounds, near the lower one or near zero; None when there is none."""
    first = (
        ceil(low / step) if low is not None else (1 if high is None or high >= step else floor(high / step) - _SPREAD)
    )
    last = floor(high / step) if high is not None else first + _SPREAD
    if low is not None and first * step == low and _excludes(plain, "exclusiveMinimum", low):
        first += 1
    if high is not None and last * step == high and _excludes(plain, "exclusiveMaximum", high):
        last -= 1
    if first > last:
        return None
    return (first + draw(key, min(last - first, _SPREAD) + 1)) * step


def _excludes(plain: Schema, exclusive: str, bound: Fraction) -> bool:
    value = plain.get(exclusive)
    if isinstance(value, bool):
        return value
    return isinstance(value, int | float) and Fraction(str(value)) == bound
