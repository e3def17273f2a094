"""What stands inside the records of a snapshot: the values of responses and items that the mock reads again.

Members that only go back to a client may be anything; those that are read must have their type, as in a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

_OPEN = ConfigDict(extra="allow", strict=True)
JSON_OBJECT = dict[str, Any]


class Part(BaseModel):
    """A part of a message, of a reasoning summary or of an output."""

    model_config = _OPEN
    type: str
    text: str = ""
    refusal: str = ""
    image_url: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: str | None = None
    annotations: list[JSON_OBJECT] = []
    logprobs: list[JSON_OBJECT] | None = None


# type of a part → what a stream of its response reads of it; any other is streamed as a text
_TEXT = ("text", "annotations", "logprobs")
_STREAMED = {
    "refusal": ("refusal",),
    "summary_text": ("text",),
    "reasoning_text": ("text",),
}


class OutputPart(Part):
    """A part of what a response says, which is streamed from the snapshot."""

    @model_validator(mode="after")
    def has_what_is_streamed(self) -> OutputPart:
        """Refuse a part that a stream could not show."""
        missing = [name for name in _STREAMED.get(self.type, _TEXT) if name not in self.model_fields_set]
        if missing:
            raise ValueError(f"{self.type} needs {missing[0]}")
        return self


class Item(BaseModel):
    """Any item; what else its type has is not read."""

    model_config = _OPEN
    id: str
    type: str
    status: str | None = None
    role: str | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    encrypted_content: str | None = None
    content: str | list[Part] | None = None
    summary: list[Part] = []
    output: str | list[Part] | list[JSON_OBJECT] | JSON_OBJECT | None = None
    action: JSON_OBJECT | None = None
    actions: list[JSON_OBJECT] | None = None
    tools: list[JSON_OBJECT] | None = None


class Message(Item):
    role: str
    content: list[Part]


class Call(Item):
    call_id: str
    name: str
    arguments: str


class CustomCall(Item):
    call_id: str
    name: str
    input: str


class Output(Item):
    call_id: str
    output: str | list[Part]


class Reasoning(Item):
    summary: list[Part]
    content: list[Part] | None = None


class OutputMessage(Message):
    content: list[OutputPart]  # type: ignore[assignment]


class OutputReasoning(Reasoning):
    summary: list[OutputPart]  # type: ignore[assignment]
    content: list[OutputPart] | None = None  # type: ignore[assignment]


class Details(BaseModel):
    """Token counts of one side of the usage."""

    model_config = _OPEN
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Usage(BaseModel):
    model_config = _OPEN
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None


class Reason(BaseModel):
    model_config = _OPEN
    reason: str | None = None


class Failure(BaseModel):
    model_config = _OPEN
    code: str
    message: str


class Named(BaseModel):
    model_config = _OPEN
    id: str


class Tool(BaseModel):
    model_config = _OPEN
    type: str


class Format(BaseModel):
    model_config = _OPEN
    format: Tool | None = None
    verbosity: str | None = None


Status = Literal["completed", "failed", "in_progress", "cancelled", "queued", "incomplete"]
STATUSES = frozenset(get_args(Status))
Metadata = dict[str, str]


class Body(BaseModel):
    """A stored response."""

    model_config = _OPEN
    id: str
    created_at: int | float
    completed_at: int | float | None = None
    status: Status
    background: bool
    store: bool = True
    error: Failure | None
    incomplete_details: Reason | None
    instructions: str | list[JSON_OBJECT] | None
    model: str
    output: list[JSON_OBJECT]
    previous_response_id: str | None = None
    conversation: Named | None = None
    service_tier: str | None
    tools: list[Tool]
    text: Format | None = None
    reasoning: JSON_OBJECT | None = None
    usage: Usage | None
    metadata: Metadata | None = None
    max_output_tokens: int | None = None
    truncation: str | None = None


class Conversation(BaseModel):
    """The object of a conversation."""

    model_config = _OPEN
    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: Metadata = Field(max_length=16)


_BY_TYPE: dict[str, type[BaseModel]] = {
    "message": Message,
    "function_call": Call,
    "custom_tool_call": CustomCall,
    "function_call_output": Output,
    "custom_tool_call_output": Output,
    "reasoning": Reasoning,
}


_OF_OUTPUT: dict[str, type[BaseModel]] = {**_BY_TYPE, "message": OutputMessage, "reasoning": OutputReasoning}


@cache
def _adapter(shape: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


Mistake = tuple[str, str]  # where, and what is wrong there


def find_mistake(where: str, value: Any, shape: type[BaseModel]) -> Iterator[Mistake]:
    """Yield the first place of a value that does not have its shape."""
    try:
        _adapter(shape).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        yield f"{where}{steps}", f"{first['msg'][0].lower()}{first['msg'][1:]}"


def find_mistake_in_item(where: str, item: Any, shapes: Mapping[str, type[BaseModel]] = _BY_TYPE) -> Iterator[Mistake]:
    """Yield the first place of an item that is wrong for its type."""
    kind = item.get("type") if isinstance(item, dict) else None
    yield from find_mistake(where, item, shapes.get(kind, Item) if isinstance(kind, str) else Item)


def find_mistake_in_body(where: str, body: Any) -> Iterator[Mistake]:
    """Yield the first place of a response that is wrong, its output included."""
    yield from find_mistake(where, body, Body)
    for index, item in enumerate(body["output"] if isinstance(body.get("output"), list) else ()):
        yield from find_mistake_in_item(f"{where}.output[{index}]", item, _OF_OUTPUT)
