"""Scripted lines: their conditions and their replies."""

# How it works: a line is `{when, reply, pacing, times}` (`schema`). `parse_lines` and `parse_scenario` validate
# what a test author sets; the document is stored as it was written, and a turn reads it back through
# `load_line` and `load_scenario`, which parse each document once. A line that answers fills its templates and
# becomes a `Reply`.
#
# What must stay true:
# * Mistakes are found when a line is set, never when it answers: nothing on the way of a turn validates.
# * The caches have the document as their key and a bound. Several processes may share a store, so what one of
#   them remembers under a name could be out of date; a document can't be.
# * A `Line` is shared through the cache, so nobody changes its `source`; `fill` builds new objects.
# * The same prompt and line always give the same reply: a line has no state, its use counts are the project's
#   records.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from mockserver.config.pacing import Pacing
from mockserver.model.default_model import default_text, reasoning_item, thinking_tokens
from mockserver.model.prompt import Item, Prompt, Reply
from mockserver.scenarios import conditions, templates
from mockserver.scenarios.items import cues, output_items
from mockserver.scenarios.validation import DocumentValidator, Location, PathMistake, in_order
from mockserver.wire.errors.api import MockError
from mockserver.wire.errors.scripted import from_script
from mockserver.wire.responses.encoding import encode_compact, json_compact
from mockserver.wire.responses.resources import assistant_message, text_part
from mockserver.wire.tokens import context as context_tokens
from mockserver.wire.tokens.tokenizer import count


class Line(NamedTuple):
    """One scripted answer; `source` is the author's JSON, `tests` is its compiled `when`, `times` None is no limit.

    `templated` says whether there may be a template in its reply, `size` how many bytes the JSON takes.
    """

    source: Mapping[str, Any]
    when: Mapping[str, Any]
    times: int | None
    pacing: Pacing | None
    tests: conditions.Tests
    templated: bool
    size: int

    def holds(self, prompt: Prompt, seen: conditions.Seen) -> bool:
        """Whether the line answers this prompt; a line without `when` answers all. See `conditions` for `seen`."""
        return conditions.hold(self.tests, prompt, seen)

    def reply(self, prompt: Prompt) -> Reply:
        """The reply to a prompt, templates filled."""
        script = self.source["reply"]
        if self.templated:
            script = templates.fill(script, prompt)
        if "error" in script:
            model = prompt.request.get("model") or prompt.model.id
            return Reply(error=from_script(script["error"], model), pacing=self.pacing)
        output = _reply_items(script, prompt)
        shown_only: dict[str, dict[str, Any]] = {}
        if "output" in script:  # only written-out items can have cues
            output, shown_only = cues(output)
        thoughts = script.get("reasoning")
        if thoughts is not None:
            output = [reasoning_item(thoughts), *output]
            # cues are stored by the index of their item, and the reasoning item now comes before all of them
            shown_only = {str(int(index) + 1): cue for index, cue in shown_only.items()}
        return Reply(
            output=tuple(output),
            reasoning_tokens=_hidden_tokens(output, script.get("usage") or {}, prompt),
            usage=script.get("usage") or {},
            failed={**_FAILURE, **script["failed"]} if "failed" in script else None,
            incomplete=script.get("incomplete"),
            model=script.get("model"),
            pacing=self.pacing,
            fields=script.get("response") or {},
            cues=shown_only,
        )

    def to_json(self) -> dict[str, Any]:
        """The line as its author wrote it."""
        return dict(self.source)


# orjson writes 254 levels at most. A line is stored inside other objects, and a snapshot puts more around it.
DEEPEST = 200


# The models are imported with the first document: it takes 25 ms, which a server without scenarios need not pay.
def _load_scenario() -> Any:
    from mockserver.scenarios.schema import ScenarioFile

    return ScenarioFile


def _load_lines() -> Any:
    from mockserver.scenarios.schema import Lines

    return Lines


def _load_given() -> Any:
    from mockserver.scenarios.given import GivenState

    return GivenState


_GIVEN: DocumentValidator[Any] = DocumentValidator(_load_given)
_SCENARIO: DocumentValidator[Any] = DocumentValidator(_load_scenario)
_LINES: DocumentValidator[Any] = DocumentValidator(_load_lines)
_FAILURE = {"code": "server_error", "message": "The server had an error while processing your request."}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario's lines, the seed it sets, and the state that it starts from."""

    lines: tuple[Line, ...] = ()
    seed: int | None = None
    given: Mapping[str, Any] = field(default_factory=dict)


def find_mistakes(value: Any) -> list[PathMistake]:
    """Every mistake in a scenario `{"seed": …, "lines": […]}`, in its order."""
    if _too_deep(value):
        return [PathMistake((), "", "A scenario can't be nested deeper than 200 levels.")]
    lines = value.get("lines") if isinstance(value, dict) else None
    mistakes = [*_SCENARIO.find_mistakes(value), *_template_mistakes(lines, ("lines",))]
    return in_order(mistakes, value)


def _too_deep(value: Any) -> bool:
    """Whether a value has more than 200 levels; deeper ones can't be stored inside other documents."""
    for _ in range(254 - DEEPEST):
        value = [value]
    try:
        encode_compact(value)
    except TypeError:
        return True
    return False


def _template_mistakes(lines: Any, location: Location, where: str = "") -> Iterator[PathMistake]:
    for number, line in enumerate(lines if isinstance(lines, list) else ()):
        if isinstance(line, dict) and not _is_verbatim(line.get("reply")):
            yield from templates.find_mistakes(line.get("reply"), (*location, number, "reply"), where)


def _is_verbatim(reply: Any) -> bool:
    return isinstance(reply, dict) and (reply.get("verbatim") is True or "http" in reply)


def parse_scenario(value: Any) -> Scenario:
    """Validate a scenario; raises MockError whose `param` is the path of the first mistake."""
    for mistake in find_mistakes(value):
        raise mistake.error()
    return _scenario(value)


def parse_given(value: Any, where: str = "given") -> None:
    """Validate given state; raises MockError whose `param` is the path of the first mistake."""
    if _too_deep(value):
        raise MockError(f"'{where}' can't be nested deeper than 200 levels.", param=where)
    _GIVEN.validate(value, where)


def parse_lines(value: Any, where: str = "lines") -> list[Line]:
    """Validate a JSON list of lines; raises MockError whose `param` is the path of the first mistake."""
    if _too_deep(value):
        raise MockError(f"'{where}' can't be nested deeper than 200 levels.", param=where)
    _LINES.validate(value, where)
    for mistake in _template_mistakes(value, (), where):
        raise mistake.error()
    return [_line(line) for line in value]


@lru_cache(maxsize=1024)
def load_line(doc: bytes) -> Line:
    """Load a validated line from its JSON; cached by its bytes."""
    return _line(orjson.loads(doc))


@lru_cache(maxsize=1024)
def load_entry(doc: bytes) -> Line:
    """Load the line of a queue entry from the entry's JSON; cached by its bytes."""
    return load_line(encode_compact(orjson.loads(doc)["line"]))


@lru_cache(maxsize=1024)
def validate_entry(doc: bytes) -> Line:
    """Return the line of an entry, validated, from its JSON; raises MockError. The same entry is parsed once."""
    parse_lines([orjson.loads(doc)["line"]])
    return load_entry(doc)


@lru_cache(maxsize=256)
def load_scenario(doc: bytes) -> Scenario:
    """Load a validated scenario from its JSON; cached by its bytes."""
    return _scenario(orjson.loads(doc))


def _scenario(value: Mapping[str, Any]) -> Scenario:
    return Scenario(tuple(_line(line) for line in value["lines"]), value.get("seed"), value.get("given") or {})


def _line(value: dict[str, Any]) -> Line:
    when = value.get("when") or {}
    tests = conditions.compile_when(when) if when else ()
    reply = value["reply"]
    written = encode_compact(value)
    templated = not _is_verbatim(reply) and b"{{" in written
    return Line(dict(value), when, value.get("times"), _pacing(value.get("pacing")), tests, templated, len(written))


def _pacing(value: Mapping[str, float] | None) -> Pacing | None:
    if value is None:
        return None
    return Pacing(float(value.get("first_token", 0)), float(value.get("tokens_per_second", 0)))


# --- What a reply says -------------------------------------------------------------------------------------------


def _reply_items(script: Mapping[str, Any], prompt: Prompt) -> list[Item]:
    phase = script.get("phase")
    if "output" in script:
        return output_items(script["output"], prompt, phase)
    if "refusal" in script:
        return [assistant_message(prompt.model, {"type": "refusal", "refusal": script["refusal"]}, phase=phase)]
    if "json" in script:
        return [assistant_message(prompt.model, text_part(json_compact(script["json"]).decode()), phase=phase)]
    if "text" in script:
        return [assistant_message(prompt.model, text_part(script["text"]), phase=phase)]
    return [assistant_message(prompt.model, text_part(default_text(prompt)), phase=phase)] if _unspoken(script) else []


def _unspoken(script: Mapping[str, Any]) -> bool:
    """Whether a reply that is cut short has no text of its own: it gets the default text, a failure gets none."""
    return script.get("incomplete") == "max_output_tokens"


def _hidden_tokens(output: list[Item], usage: Mapping[str, Any], prompt: Prompt) -> int:
    """The hidden tokens of all reasoning items: the scripted figure, else as long as their summaries. Spec: T8, T9."""
    scripted = (usage.get("output_tokens_details") or {}).get("reasoning_tokens")
    if scripted is None:
        thoughts = [item for item in output if item.get("type") == "reasoning"]
        return sum(thinking_tokens(prompt, "".join(part["text"] for part in item["summary"])) for item in thoughts)
    billed = usage.get("output_tokens")
    if billed is not None and prompt.model.rounds_reasoning:
        # reported in steps of 64, billed exactly (85 of 85 recordings): later turns pay the exact figure
        exact = int(billed) - context_tokens.output_tokens(output, 0, prompt.request, prompt.model, count)
        if 0 <= exact - scripted < context_tokens.ROUNDING:
            return exact
    return int(scripted)
