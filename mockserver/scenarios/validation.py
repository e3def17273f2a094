"""Validating what a test author writes (scenarios, faults) and saying every mistake in it in one sentence each."""

# How it works: the documents are pydantic models. Pydantic says which of a model's rules a value breaks and at
# which location; this module follows that location through the model's core schema, a tree of plain
# dictionaries, to learn the path in the document and what is accepted there, and writes the sentence. So a
# model says a fact once, and the validator, the sentence and the JSON Schema read it from there.
#
# What must stay true:
# * Every mistake is reported, in the document's order, each once: a wrong member says nothing about its
#   neighbours.
# * A sentence names the path, the value and what is accepted, and the nearest match of a misspelt word.
# * A text with a template in it (`{{ turn }}`) may stand wherever a free text may, whatever its pattern or
#   length says, because nobody knows yet what it will be. It may not stand for one of a few words.
# * A model is compiled when the first document needs it: a server without scenarios and faults pays nothing.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, NoReturn, TypeVar

from mockserver.wire.errors.api import MockError
from mockserver.wire.requests.schema import CrossFieldError, Schema

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ValidationError

Location = tuple[str | int, ...]
T = TypeVar("T")

# A sentence stays one line: at most MANY choices are listed in it, or FEW known words after it.
MANY = 8
FEW = 24
_ANYTHING: Schema = {"type": "any"}
_OF_MEMBERS = ("missing", "extra_forbidden")
_OF_TAGS = ("union_tag_invalid", "union_tag_not_found")


# --- Words -----------------------------------------------------------------------------------------------------------


def has_template(value: Any) -> bool:
    """Whether a value is a text with a template in it."""
    return isinstance(value, str) and "{{" in value


def format_value(value: Any) -> str:
    """The value as an error message shows it."""
    kinds = {dict: "an object", list: "a list", bool: str(value).lower(), type(None): "null"}
    return kinds.get(type(value), repr(value)[:80])


def join_path(where: str, key: Any) -> str:
    """The path of a member below a path."""
    return f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key}" if where else str(key)


def suggest(word: Any, known: Iterable[str]) -> str:
    """A hint: the nearest known word, or all known words if they are few."""
    from difflib import get_close_matches

    known = list(known)
    # difflib's ratio of 0.6 takes a dropped, doubled or swapped letter, and `input_contain` for `input_contains`
    matches = get_close_matches(str(word), known, n=1)
    if matches:
        return f" Did you mean '{matches[0]}'?"
    return f" Known are: {', '.join(known)}." if known and len(known) <= FEW else ""


# --- Mistakes --------------------------------------------------------------------------------------------------------


class PathMistake(NamedTuple):
    """One mistake: its location in the document, as steps and as a path, and a sentence about it."""

    location: Location
    path: str
    message: str

    def error(self) -> MockError:
        """The error that a control call answers with."""
        return MockError(self.message, param=self.path)


def path_of(location: Location, where: str = "") -> str:
    """The location as a path that begins with `where`."""
    for step in location:
        where = join_path(where, step)
    return where


def in_order(mistakes: Iterable[PathMistake], value: Any) -> list[PathMistake]:
    """Sort mistakes by their place in the document; a missing member comes after those that are there."""

    def rank(mistake: PathMistake) -> list[int]:
        ranks, inner = [], value
        for step in mistake.location:
            keys = list(inner) if isinstance(inner, dict) else []
            ranks.append(step if isinstance(step, int) else keys.index(step) if step in keys else len(keys))
            try:
                inner = inner[step]
            except (LookupError, TypeError):
                inner = None
        return ranks

    return sorted(mistakes, key=rank)


# --- Validation ------------------------------------------------------------------------------------------------------


class DocumentValidator(Generic[T]):
    """A validator for one type of document; `load` returns the type when the first document comes."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        from pydantic import TypeAdapter

        return TypeAdapter(self._load())

    def validate(self, value: Any, where: str = "") -> T:
        """Validate a document; raises MockError for its first mistake, whose path begins with `where`."""
        from pydantic_core import ValidationError  # with pydantic, and not before

        try:
            return self._adapter.validate_python(value)
        except ValidationError as failure:
            self._refuse(failure, value, where)

    def find_mistakes(self, value: Any, where: str = "") -> list[PathMistake]:
        """Every mistake of a document, in its order."""
        from pydantic_core import ValidationError

        try:
            self._adapter.validate_python(value)
        except ValidationError as failure:
            return in_order(self._mistakes(failure, where), value)
        return []

    def _refuse(self, failure: ValidationError, value: Any, where: str) -> NoReturn:
        raise in_order(self._mistakes(failure, where), value)[0].error() from None

    def _mistakes(self, error: ValidationError, where: str) -> Iterator[PathMistake]:
        tree = _Tree(self._adapter.core_schema)
        for details in error.errors(include_url=False):
            kind, location = details["type"], details["loc"]
            if kind in _OF_MEMBERS:
                # The location ends with the member; the known members are in the schema of the object around it.
                steps, node = tree.follow(location[:-1])
                steps = (*steps, location[-1])
            else:
                steps, node = tree.follow(location)
                # The location ends with the union; the mistake is in the member that tells its branches apart.
                steps += _tag_of(node, details["input"]) if kind in _OF_TAGS else ()
            parent, path = path_of(steps[:-1], where), path_of(steps, where)
            key = steps[-1] if steps else ""
            failure = _Cause(path, parent, key, node, details["input"], details.get("ctx", {}))
            yield PathMistake(steps, path, _SENTENCES.get(kind, _say_accepted)(failure))


class _Tree:
    """A core schema, followed along pydantic's locations."""

    def __init__(self, schema: Any) -> None:
        self._named: dict[str, Schema] = {}
        if schema["type"] == "definitions":
            self._named = {definition["ref"]: definition for definition in schema["definitions"]}
            schema = schema["schema"]
        self._root = schema

    def follow(self, location: Location) -> tuple[Location, Schema]:
        """Follow a location; returns the path without the tags of unions, and the schema there."""
        steps: Location = ()
        schema = self._open(self._root)
        for step in location:
            # A rule between items names a member of an item without the item's tag, so a step may be no tag.
            if schema["type"] == "tagged-union" and step in schema["choices"]:
                schema = schema["choices"][step]
            else:
                steps = (*steps, step)
                schema = self._child(schema, step)
            schema = self._open(schema)
        return steps, schema

    def _open(self, schema: Schema) -> Schema:
        while True:
            if schema["type"] == "definition-ref":
                schema = self._named[schema["schema_ref"]]
            elif "schema" in schema:  # a validator, a default, "or null": no step of a location
                schema = schema["schema"]
            else:
                return schema

    @staticmethod
    def _child(schema: Schema, step: str | int) -> Schema:
        if "fields" in schema:
            return _members(schema).get(str(step), _ANYTHING)
        return schema.get("items_schema") or schema.get("values_schema") or _ANYTHING


def _members(schema: Schema) -> dict[str, Schema]:
    """The members of an object by their names in the document."""
    return {field.get("validation_alias", name): field for name, field in schema["fields"].items()}


# --- Sentences -------------------------------------------------------------------------------------------------------


class _Cause(NamedTuple):
    """What pydantic found at the path of a `key` in its `parent`: the expected `schema` and the actual `value`.

    `context` is pydantic's own.
    """

    path: str
    parent: str
    key: str | int
    schema: Schema
    value: Any
    context: Mapping[str, Any]


def _describe_schema(schema: Schema) -> str:
    """The words for what a schema accepts."""
    words = _ACCEPTED.get(schema["type"])
    return words(schema) if words else str(schema.get("metadata", {}).get("expected", "an object"))


def _range(kind: str) -> Callable[[Schema], str]:
    def words(schema: Schema) -> str:
        least, most = schema.get("ge"), schema.get("le")
        return kind + (f" from {least:g}" if least is not None else "") + (f" to {most:g}" if most is not None else "")

    return words


def _choices(schema: Schema) -> str:
    values = schema["expected"]
    if len(values) == 1:
        return repr(values[0])
    return f"one of {', '.join(values)}" if len(values) <= MANY else "known"


_ACCEPTED: Mapping[str, Callable[[Schema], str]] = {
    "str": lambda schema: "a text",
    "bool": lambda schema: "true or false",
    "int": _range("a whole number"),
    "float": _range("a number"),
    "literal": _choices,
    "list": lambda schema: "a list",
}


def _say_accepted(failure: _Cause) -> str:
    hint = ""
    if failure.schema["type"] == "literal" and len(failure.schema["expected"]) > MANY:
        hint = suggest(failure.value, failure.schema["expected"])
    return f"'{failure.path}' must be {_describe_schema(failure.schema)}, not {format_value(failure.value)}.{hint}"


def _say_unknown_key(failure: _Cause) -> str:
    return f"Unknown key '{failure.key}' in '{failure.parent}'.{suggest(failure.key, _members(failure.schema))}"


def _say_missing(failure: _Cause) -> str:
    return f"'{failure.parent}' has no {failure.key}."


def _say_tag(failure: _Cause) -> str:
    """A union by the kind of the value takes no such value; one by a member takes no such member."""
    key = _key_of(failure.schema)
    if key is None or not isinstance(failure.value, dict):
        return _say_accepted(failure)
    tag = failure.value.get(key)
    if tag is None:
        return _say_missing(failure)
    never = failure.schema.get("metadata", {}).get("never", {}).get(tag) if isinstance(tag, str) else None
    return never or f"Unknown {key} {format_value(tag)}.{suggest(tag, failure.schema['choices'])}"


def _key_of(schema: Schema) -> str | None:
    """The member that tells the branches of a union apart, None if the kind of the value does."""
    discriminator = schema["discriminator"]
    key = discriminator if isinstance(discriminator, str) else schema.get("metadata", {}).get("key")
    return key if isinstance(key, str) else None


def _tag_of(schema: Schema, value: Any) -> Location:
    key = _key_of(schema)
    return (key,) if key is not None and isinstance(value, dict) else ()


def _say_pattern(failure: _Cause) -> str:
    prefix = failure.schema.get("metadata", {}).get("prefix")
    begins = f"begin with '{prefix}' and " if prefix else ""
    return f"'{failure.path}' must {begins}have only letters, digits, _ and -, not {format_value(failure.value)}."


def _say_members(failure: _Cause) -> str:
    least, most = failure.schema.get("min_length", 0), failure.schema.get("max_length")
    bounds = f"from {least}" + (f" to {most}" if most is not None else "")
    return f"'{failure.path}' must have {bounds} members, not {len(failure.value)}."


def _say_rule(failure: _Cause) -> str:
    return f"'{failure.path}' {failure.context['words']}."


def _say_breach(failure: _Cause) -> str:
    """A rule of the API's own between members, in the API's own words."""
    error = failure.context["error"]
    return str(error.complain(failure.path)) if isinstance(error, CrossFieldError) else f"'{failure.path}': {error}."


_SENTENCES: Mapping[str, Callable[[_Cause], str]] = {
    "missing": _say_missing,
    "extra_forbidden": _say_unknown_key,
    "union_tag_invalid": _say_tag,
    "union_tag_not_found": _say_tag,
    "string_pattern_mismatch": _say_pattern,
    "string_too_long": lambda failure: (
        f"'{failure.path}' must have at most {failure.schema['max_length']} characters, "
        f"not {format_value(failure.value)}."
    ),
    "string_too_short": lambda failure: f"'{failure.path}' must not be empty, not {format_value(failure.value)}.",
    "too_long": _say_members,
    "too_short": _say_members,
    "expected": lambda failure: (
        f"'{failure.path}' must be {failure.context['words']}, not {format_value(failure.value)}."
    ),
    "rule": _say_rule,
    "value_error": _say_breach,
}
