"""The documents of a scenario as pydantic models: a file, its lines, what a line replies."""

# The validator, the messages of `understudy scenario check` and the JSON Schema for editors all come from these
# models; the descriptions are what an editor shows. Items of an output are in `item_shapes`, rules between them
# in `item_rules`, conditions in `conditions`.
#
# They are imported when the first document is validated: to make these classes takes longer than all else that
# a server without scenarios does for them.
#
# A validated document is not kept: lines are stored and answered as the plain objects that the author wrote, so
# that a snapshot gives them back byte for byte.

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, Strict, WithJsonSchema, model_validator

from mockserver.scenarios.document import (
    AnyList,
    Count,
    Figure,
    Flag,
    FlagOrId,
    Object,
    OneOf,
    ScriptObject,
    Text,
    TextMap,
    Whole,
    optional,
    reject,
)
from mockserver.scenarios.given import GivenState
from mockserver.scenarios.item_rules import output_mistakes, reply_mistakes
from mockserver.scenarios.item_shapes import OutputItem
from mockserver.scenarios.validation import format_value, suggest
from mockserver.wire.errors.scripted import KNOWN
from mockserver.wire.requests.items import ITEMS

REASONS = ("max_output_tokens", "content_filter", "max_messages", "steered")  # Spec: O4
PHASES = ("commentary", "final_answer")
TRANSPORTS = ("http", "sse", "websocket")
FORMATS = ("text", "json_object", "json_schema")


# --- Conditions --------------------------------------------------------------------------------------------------


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        reject([((), f"must be a regular expression ({error}), not {format_value(pattern)}")])
    return pattern


class ToolOutput(ScriptObject):
    """A tool's output that the model has not answered yet."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    name: Text = optional("the tool's name")
    contains: Text = optional("a part of the output's text")

    @model_validator(mode="after")
    def _has_one(self) -> ToolOutput:
        if not self.model_fields_set:
            reject([((), "must say a name and/or what the output contains")])
        return self


RegularExpression = Annotated[
    Text, AfterValidator(_check_pattern), WithJsonSchema({"type": "string", "format": "regex"})
]


class When(ScriptObject):
    """Conditions on a prompt; all given ones must hold."""

    model: Text = optional("the model's name, or the name that it is an alias of")
    input_contains: Text = optional("a part of what the user said since the model last spoke")
    input_matches: RegularExpression = optional("a regular expression found in what the user said since then")
    input_equals: Text = optional("all that the user said since then")
    instructions_contains: Text = optional("a part of the instructions")
    context_contains: Text = optional("a part of what the model sees, except instructions")
    last_item: Annotated[str, OneOf(ITEMS)] = optional("the type of the last item that the model sees")
    tool_output: ToolOutput = optional("an output that the model has not answered yet")
    has_tool: Text = optional("a tool of the request: its name, its server's label or its type")
    turn: Count = optional("which turn of the chain or conversation it is, from 1")
    previous_response_id: FlagOrId = optional("whether there is one, or which")
    conversation: FlagOrId = optional("whether there is one, or which")
    prompt: FlagOrId = optional("whether there is a prompt template, or which")
    store: Flag = optional("whether the response is stored")
    stream: Flag = optional("whether the response is streamed")
    transport: Annotated[str, OneOf(TRANSPORTS)] = optional("how the answer travels")
    format: Annotated[str, OneOf(FORMATS)] = optional("the type of text.format")
    metadata: Object = optional("entries of the request's metadata")


# --- Replies -----------------------------------------------------------------------------------------------------


def _given(*keys: str) -> dict[str, Any]:
    """What JSON Schema says of members that are there and not null."""
    return {"required": list(keys), "properties": {key: {"not": {"type": "null"}} for key in keys}}


# What an error of the author's own must say, since nothing is known of it.
_WRITTEN_OUT = ("status", "type", "message")
_ERROR_RULES: dict[str, Any] = {
    "anyOf": [_given("code"), _given("status")],
    "if": {"required": ["code"], "properties": {"code": {"type": "string", "not": {"enum": sorted(KNOWN)}}}},
    "then": _given(*_WRITTEN_OUT),
}


class ErrorReply(ScriptObject):
    """The HTTP error of a request that fails."""

    model_config = ConfigDict(json_schema_extra=_ERROR_RULES)

    code: Text | None = optional("a code or name of the API; any other one needs status, type and message")
    status: Annotated[int, Strict(), Field(ge=400, le=599)] | None = optional("the HTTP status")
    type: Text | None = optional("in place of the type that belongs to the code or status")
    message: Text | None = optional("in place of the message that belongs to it")
    param: Text | None = optional("in place of the param that belongs to it")
    headers: TextMap | None = optional("headers of the answer")

    @model_validator(mode="after")
    def _is_known(self) -> ErrorReply:
        if self.code is None and self.status is None:
            reject([((), "needs a code or a status")])
        if self.code not in KNOWN and self.code is not None and not self._is_written_out():
            hint = suggest(self.code, sorted(KNOWN))
            own = f"a code of your own needs {', '.join(_WRITTEN_OUT)} too"
            reject([(("code",), f"is no error code of the API: {format_value(self.code)};{hint or ''} {own}")])
        return self

    def _is_written_out(self) -> bool:
        return all(getattr(self, key) is not None for key in _WRITTEN_OUT)


class FailedReply(ScriptObject):
    """The error of a turn that starts and fails."""

    code: Text = optional("server_error, when it is left out")
    message: Text = optional("what went wrong")
    # what a real failure may say besides (Spec: O3)
    param: Text | None = optional("the member that it is about")
    type: Text | None = optional("the type of the error")
    misalignment: Object | None = optional("what a check of the model's conduct found")


class CacheWriteDetails(ScriptObject):
    """Figures of the tokens written to the prompt cache. Spec: O2."""

    ttl_12h_tokens: Figure = optional("tokens kept for 12 hours")
    ttl_30m_tokens: Figure = optional("tokens kept for 30 minutes")


class InputDetails(ScriptObject):
    """Figures of the input's tokens."""

    cache_write_tokens: Figure = optional("tokens written to the prompt cache")
    cached_tokens: Figure = optional("tokens read from the prompt cache")
    cache_write_tokens_details: CacheWriteDetails = optional("of the tokens written to the prompt cache")


class OutputDetails(ScriptObject):
    """Figures of the output's tokens."""

    reasoning_tokens: Figure = optional("tokens of reasoning")


class Usage(ScriptObject):
    """Figures in place of the counted ones."""

    input_tokens: Figure = optional("tokens of the input")
    input_tokens_details: InputDetails = optional("of the input's tokens")
    output_tokens: Figure = optional("tokens of the output")
    output_tokens_details: OutputDetails = optional("of the output's tokens")
    total_tokens: Figure = optional("all tokens")


_ECHO = "in place of what the mock echoes"


class ResponseMembers(ScriptObject):
    """Members that replace those of the finished Response, where a recording or a real backend differs. Spec: O1."""

    input_transformations: AnyList | None = optional("how the service changed the input")
    moderation: Object | None = optional("what moderation found")
    prompt: Object | None = optional("the prompt template in the answer")
    prompt_cache_diagnostics: Object | None = optional("why the prompt cache was missed")
    tool_usage: Object | None = optional("what the tools of the service used")
    # what the mock echoes from the request, with the defaults of the model
    access_programs: Any = optional(_ECHO)
    billing: Object = optional("who pays")
    frequency_penalty: Any = optional(_ECHO)
    image: Any = optional(_ECHO)
    instructions: Any = optional(_ECHO)
    max_output_tokens: Any = optional(_ECHO)
    max_tool_calls: Any = optional(_ECHO)
    metadata: Object = optional(_ECHO)
    parallel_tool_calls: Flag = optional(_ECHO)
    presence_penalty: Any = optional(_ECHO)
    prompt_cache_key: Any = optional(_ECHO)
    prompt_cache_options: Any = optional(_ECHO)
    prompt_cache_retention: Any = optional(_ECHO)
    reasoning: Object = optional(_ECHO)
    safety_identifier: Any = optional(_ECHO)
    service_tier: Text = optional("the tier that served the request")
    temperature: Any = optional(_ECHO)
    text: Object = optional(_ECHO)
    tool_choice: Any = optional(_ECHO)
    tools: AnyList = optional(_ECHO)
    top_logprobs: Any = optional(_ECHO)
    top_p: Any = optional(_ECHO)
    truncation: Any = optional(_ECHO)
    user: Any = optional(_ECHO)


def _check_output(items: list[Any]) -> list[Any]:
    reject(output_mistakes(items))
    return items


Output = Annotated[list[OutputItem], Strict(), AfterValidator(_check_output)]

FORMS = ("text", "output", "refusal", "json", "error", "failed", "incomplete")
# forms that may be combined: an answer, or its beginning, that is cut short
TOGETHER = tuple((before, cut) for before in ("text", "output") for cut in ("failed", "incomplete"))


def _only(*forms: str) -> dict[str, Any]:
    others: list[Any] = [{"required": [key]} for key in FORMS if key not in forms]
    return {"required": list(forms), "not": {"anyOf": others}}


_ONE_FORM: dict[str, Any] = {
    "oneOf": [*(_only(form) for form in FORMS), *(_only(*pair) for pair in TOGETHER)],
    "if": {"required": ["error"]},
    "then": {"maxProperties": 1},
    "dependentSchemas": {"failed": {"not": {"required": ["usage"]}}},
}


class ReplyScript(ScriptObject):
    """A line's reply: one of text, output, refusal, json, error, failed, incomplete, and details about it."""

    model_config = ConfigDict(json_schema_extra=_ONE_FORM)

    text: Text = optional("what the model says")
    output: Output = optional("output items in the wire's own shape")
    refusal: Text = optional("a refusal")
    # "json" is a method of pydantic's models, so the member needs another name here
    value: Any = optional("a value for structured output", alias="json")
    error: ErrorReply = optional("the request fails with this HTTP error")
    failed: FailedReply = optional("the turn starts and fails")
    incomplete: Annotated[str, OneOf(REASONS)] = optional("the turn is cut short, for this reason")
    reasoning: Text = optional("the summary of a reasoning item that stands first")
    usage: Usage = optional("figures in place of counted ones")
    phase: Annotated[str, OneOf(PHASES)] = optional("the phase of messages that say none")
    model: Text = optional("the model's name as the response gives it")
    response: ResponseMembers = optional("members laid over the finished Response")
    verbatim: Flag = optional("true: {{ }} in its texts is text, no template")

    @model_validator(mode="after")
    def _has_one_form(self) -> ReplyScript:
        given = {"json" if name == "value" else name for name in self.model_fields_set}
        forms = [key for key in FORMS if key in given]
        if len(forms) != 1 and tuple(forms) not in TOGETHER:
            problem = f"has {' and '.join(forms)}" if forms else "has none"
            reject([((), f"must have one of {', '.join(FORMS)}; it {problem}")])
        if self.output or not given.isdisjoint(("error", "failed")):  # a line of text, as most are, breaks no rule
            reject(reply_mistakes(given, self.output or []))
        return self


# --- Lines -------------------------------------------------------------------------------------------------------

# about 30 years; infinity could not be stored
Pace = Annotated[float, Strict(), Field(ge=0, le=1e9)]


class PacingScript(ScriptObject):
    """How fast the answer is streamed."""

    first_token: Pace = optional("seconds until the first token")
    tokens_per_second: Pace = optional("0 sends all at once")


class LineScript(ScriptObject):
    """One line: when it answers, and what it replies."""

    reply: ReplyScript = Field(description="what the line answers")
    when: When = optional("all of this must hold; without it the line answers every request")
    pacing: PacingScript | None = optional("how fast it is streamed, in place of the server's pacing")
    times: Count | None = optional("how often the line answers; without it, without limit")


Lines = Annotated[list[LineScript], Strict()]


class ScenarioFile(ScriptObject):
    """A scenario file: scripted replies to requests."""

    lines: Lines = Field(description="the first line whose `when` holds answers")
    seed: Whole = optional("the run's seed, unless the server is given one")
    given: GivenState = optional("conversations and stored responses that are there before the first request")
    editor_schema: Text = optional("for editors only", alias="$schema")
    about: Text = optional("for readers only, where a file can't have comments")
