"""Faults as they act: a fault that was parsed, a call as faults see it. What an author may write is in `schema.py`.

How it works: `parse_fault` validates a document by its model and makes a `Fault` of it, which has everything ready that
a call needs: its conditions as functions, the place in an answer, whether it acts early.

What must stay true:
* Mistakes are found when the list is set, never when a fault acts. A stored fault is valid, so it is parsed once by its
  document (`load_fault`), however many calls and processes read it.
* A fault whose `when` looks at the call only (path, method, probability) acts at the edge, as a gateway would, before
  the call is validated. All others act on a turn once it is admitted, before the model is asked; `before_admission`
  says which.
* The models are imported with the first fault: a server without faults does not pay for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from mockserver.delivery.fault_effects import At
from mockserver.scenarios.conditions import Tests, compile_when
from mockserver.scenarios.validation import DocumentValidator, format_value
from mockserver.wire.errors.api import MockError
from mockserver.wire.errors.scripted import MODEL

if TYPE_CHECKING:
    from mockserver.faults.schema import FaultDocument

TURNS = "/v1/responses"
MODEL_WORK = frozenset((TURNS, TURNS + "/compact"))  # what rate limits count unless they name a path or a method


class CallInfo(NamedTuple):
    """A call as faults see it: `transport` is `http`, or `sse` and `websocket` where it asks for a stream of events.

    `size` counts the bytes of its body.
    """

    method: str = "POST"
    path: str = TURNS
    transport: str = "http"
    size: int = 0
    model: str = MODEL


CallTest = Callable[[CallInfo], bool]


class Fault(NamedTuple):
    """One fault, parsed: `call_conditions` as written, both kinds as what decides them; `times` None is no limit."""

    source: Mapping[str, Any]
    kind: str
    value: Any
    at: At
    times: int | None
    method: str | None
    before_admission: bool  # whether it acts before the call is validated
    call_conditions: Mapping[str, Any]
    call_tests: tuple[CallTest, ...]
    turn_tests: Tests


def _path_test(pattern: str) -> CallTest:
    match = re.compile(translate(pattern)).match
    return lambda call: match(call.path) is not None


def _method_test(method: str) -> CallTest:
    wanted = method.upper()
    return lambda call: call.method == wanted


_CALL_TESTS: Mapping[str, Callable[[Any], CallTest]] = {"path": _path_test, "method": _method_test}
_CALL_CONDITIONS = ("path", "method", "probability")
_OF_TURNS = ("lock_conversation", "expire")
_LIMITS = {"requests_per_minute": "requests", "tokens_per_minute": "tokens"}


# The models are imported with the first fault: it takes 25 ms, which a server without faults need not pay.
def _load_fault() -> Any:
    from mockserver.faults.schema import FaultDocument

    return FaultDocument


def _load_faults() -> Any:
    from mockserver.faults.schema import FaultList

    return FaultList


_FAULT: DocumentValidator[FaultDocument] = DocumentValidator(_load_fault)
_FAULTS: DocumentValidator[list[FaultDocument]] = DocumentValidator(_load_faults)


def parse_faults(value: Any, where: str = "faults") -> list[Fault]:
    """The faults of a JSON list; raises MockError whose `param` is the path of the first mistake."""
    if not isinstance(value, list):
        raise MockError(f"'{where}' must be a list of faults, not {format_value(value)}.", param=where)
    documents = _FAULTS.validate(value, where)
    return [_fault(source, document) for source, document in zip(value, documents, strict=True)]


def parse_fault(value: Any, where: str) -> Fault:
    """One fault of a list; raises MockError."""
    return _fault(value, _FAULT.validate(value, where))


@lru_cache(maxsize=1024)
def load_fault(doc: bytes) -> Fault:
    """A fault that was validated before, from its JSON; the same fault is parsed once."""
    return parse_fault(orjson.loads(doc), "fault")


def _fault(source: Mapping[str, Any], document: FaultDocument) -> Fault:
    kind, when = document.kind, source.get("when", {})
    on_call = {key: asked for key, asked in when.items() if key in _CALL_CONDITIONS}
    on_turn = {key: asked for key, asked in when.items() if key not in _CALL_CONDITIONS}
    return Fault(
        source=source,
        kind=kind,
        value=_value(kind, document, source["do"]),
        at=At(**source.get("at", {})),
        times=document.times,
        method=on_call["method"].upper() if "method" in on_call else None,
        before_admission=not on_turn and kind not in _OF_TURNS,
        call_conditions=on_call,
        call_tests=tuple(_CALL_TESTS[key](asked) for key, asked in on_call.items() if key in _CALL_TESTS),
        turn_tests=compile_when(on_turn),
    )


def _value(kind: str, document: FaultDocument, do: Any) -> Any:
    """Return what a fault is told, in the shape that it acts with."""
    if kind == "rate_limit":
        # In the author's order, which the stored notes keep; pydantic's set of given members has none.
        return {_LIMITS[key]: capacity for key, capacity in do[kind].items()}
    told = getattr(document.do, kind)
    return told.model_dump(exclude_unset=True) if kind == "error" else told
