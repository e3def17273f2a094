"""The building blocks of what a test author writes: `ScriptObject`, the types of its members, rules between them."""

# What is `optional` may be left out but not null, unless its type says so: pydantic does not validate a
# default, and `model_fields_set` says what was given. So a null that stands for nothing by mistake is reported.
#
# Types are strict one by one. Pydantic's strict mode for a whole model would ask for instances of the models
# inside it, where a document has plain objects.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from mockserver.scenarios.validation import Location


class ScriptObject(BaseModel):
    """An object that a test author writes: an unknown key is a mistake, and null does not mean left out.

    It is compiled when the first document is validated, so that a server without scenarios and faults pays nothing.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)


def optional(description: str, *, alias: str | None = None) -> Any:
    """A member that may be left out; the description is what an editor shows."""
    return Field(None, alias=alias, description=description)


class Accepts(NamedTuple):
    """An annotation: the sentence about any wrong value says that it must be `words`."""

    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return core_schema.custom_error_schema(
            handler(source),
            custom_error_type="expected",
            custom_error_message="{words}",
            custom_error_context={"words": self.words},
        )


class Labelled(NamedTuple):
    """An annotation of a union by kind: the sentence about a value of no such kind says that it must be `words`.

    Unlike with `Accepts`, what is wrong inside a branch keeps a sentence of its own.
    """

    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        schema = handler(source)
        return {**schema, "metadata": {**schema.get("metadata", {}), "expected": self.words}}


class Shaped(NamedTuple):
    """An annotation: the value has a shape of the wire."""

    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return dict(self.schema)


class OneOf(NamedTuple):
    """An annotation: a text that is one of a few words."""

    words: Iterable[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return core_schema.literal_schema(list(self.words))


# bool is a subclass of int in Python, and "1" is not 1: what JSON tells apart, strict types keep apart.
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Figure = Annotated[int, Strict(), Field(ge=0)]
Object = Annotated[dict[Text, Any], Strict()]
TextMap = Annotated[dict[Text, Text], Strict()]
AnyList = Annotated[list[Any], Strict()]
FlagOrId = Annotated[Flag | Text, Accepts("true, false or an id")]


def reject(mistakes: Iterable[tuple[Location, str]]) -> None:
    """Fail a pydantic validator with each `(location, what is wrong there)`, if there are any.

    An error raised in the validator itself could report only one mistake, at one place.
    """
    details = [
        InitErrorDetails(type=PydanticCustomError("rule", "{words}", {"words": words}), loc=location, input=None)
        for location, words in mistakes
    ]
    if details:
        raise ValidationError.from_exception_data("rule", details)
