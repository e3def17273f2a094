"""What a test author may write as a fault: `{when, at, do, times}`, as pydantic models.

They give the messages, and what a fault acts with after shorter spellings are written out: `do: cut` is
`do: {cut: null}`, `error: 503` is `error: {status: 503}`. A new kind of fault is one member of `Do`; if it is an effect
on the answer, nothing else in this room changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WrapValidator, model_validator

from mockserver.scenarios.document import Accepts, Count, Figure, ScriptObject, Text, optional, reject
from mockserver.scenarios.schema import ErrorReply, When
from mockserver.scenarios.validation import format_value

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
ABNORMAL = 1011  # what a server sends that met an unexpected condition (RFC 6455, 7.4.1)


def _check(holds: Callable[[Any], bool]) -> AfterValidator:
    """A condition on a value; the sentence about it comes from `Accepts`."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError
        return value

    return AfterValidator(check)


CallPath = Annotated[Text, _check(lambda path: path[:1] in ("/", "*")), Accepts("a path that begins with /")]
CallMethod = Annotated[Text, _check(lambda word: word.upper() in METHODS), Accepts("one of " + ", ".join(METHODS))]
Chance = Annotated[float, Strict(), Field(ge=0, le=1), Accepts("a number from 0 to 1")]


class FaultWhen(When):
    """Conditions on the call, and those on the turn, which are those of a scenario's line."""

    path: CallPath = optional("the call's path; * stands for any text")
    method: CallMethod = optional("the call's method")
    probability: Chance = optional("how often it acts where all else holds; drawn from the seed")


class Place(ScriptObject):
    """Where in an answer a fault acts."""

    event: Annotated[Text, Accepts("a type of event")] = optional("the type of event")
    count: Count = optional("which of these events, from 1")
    bytes: Figure = optional("after how many bytes")


def _no_value(value: Any) -> None:
    if value not in (None, True, {}):
        reject([((), f"takes no value, not {format_value(value)}; a place goes into 'at'")])


def _verbatim(value: Any, judge: Callable[[Any], Any]) -> Any:
    """Validate a number and return it as it is: pydantic would make 30 to 30.0, which is stored and shown."""
    judge(value)
    return value


def _may_close(code: int) -> bool:
    # RFC 6455, 7.4: 1004 is reserved, 1005 and 1006 are never sent; 3000 to 4999 are for libraries and applications
    return (1000 <= code <= 1014 or 3000 <= code <= 4999) and code not in (1004, 1005, 1006)


def _default_code(code: Any) -> Any:
    return ABNORMAL if code is None or code is True else code


def _spell_error(error: Any) -> Any:
    """An error that is written as its code or status as the object that it stands for."""
    if isinstance(error, str):
        return {"code": error}
    return {"status": error} if isinstance(error, int) and not isinstance(error, bool) and error >= 0 else error


def _spell_kind(do: Any) -> Any:
    return {do: None} if isinstance(do, str) else do


Nothing = Annotated[Any, AfterValidator(_no_value)]
Seconds = Annotated[float, Strict(), Field(ge=0, lt=1e9), Accepts("a number of seconds"), WrapValidator(_verbatim)]
CloseCode = Annotated[
    int, Strict(), _check(_may_close), BeforeValidator(_default_code), Accepts("a code that a close frame may have")
]


class RateLimit(ScriptObject):
    """Buckets that calls are counted in."""

    requests_per_minute: Count = optional("how many requests")
    tokens_per_minute: Count = optional("how many tokens, reckoned from the size of the body")

    @model_validator(mode="after")
    def _has_one(self) -> RateLimit:
        if not self.model_fields_set:
            reject([((), f"must have one of {', '.join(type(self).model_fields)}")])
        return self


class Do(ScriptObject):
    """What a fault does: exactly one of these, or its bare name."""

    error: Annotated[ErrorReply, BeforeValidator(_spell_error)] = optional("answers with an error")
    delay: Seconds = optional("waits so many seconds before the answer")
    cut: Nothing = optional("breaks the connection")
    stall: Nothing = optional("sends nothing more and keeps the connection open")
    malformed: Nothing = optional("breaks the JSON of an event or a body")
    drop_event: Nothing = optional("leaves an event out")
    rate_limit: RateLimit = optional("refuses what its buckets don't hold")
    lock_conversation: Seconds = optional("locks a conversation for so many seconds, once")
    expire: Nothing = optional("lets the parent of a turn be gone")
    close_socket: CloseCode = optional("closes a WebSocket with this code")

    @model_validator(mode="after")
    def _has_one(self) -> Do:
        if len(self.model_fields_set) != 1:
            reject([((), f"must have exactly one of {', '.join(KINDS)}")])
        return self


KINDS = tuple(Do.model_fields)
_PLACED = ("cut", "stall", "malformed", "drop_event", "close_socket")
_WHOLE_EVENTS = ("malformed", "drop_event")


class FaultDocument(ScriptObject):
    """One fault of a list; `used` is what a listing says, so that a list which is given back counts on."""

    do: Annotated[Do, BeforeValidator(_spell_kind)] = optional(f"one of {', '.join(KINDS)}")
    when: FaultWhen = optional("all of this must hold; without it the fault acts on every call")
    at: Place = optional("where in the answer; without it at the beginning")
    times: Count | None = optional("how often it acts; without it, without limit")
    used: Figure = optional("how often it has acted")

    @property
    def kind(self) -> str:
        """What it does."""
        return next(iter(self.do.model_fields_set))

    @model_validator(mode="after")
    def _does_something_somewhere(self) -> FaultDocument:
        if self.do is None:  # a required member could not say what it may be
            reject([(("do",), f"is missing; it is one of {', '.join(KINDS)}")])
        given = self.at.model_fields_set if self.at is not None else set()
        if given and self.kind not in _PLACED:
            reject([(("at",), f"has no meaning for {self.kind}")])
        if "bytes" in given and (len(given) > 1 or self.kind in _WHOLE_EVENTS):
            reject([(("at",), "must name an event or a count of bytes")])
        return self


FaultList = Annotated[list[FaultDocument], Strict()]
