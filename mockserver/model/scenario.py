"""Scripted lines: when they answer and what they say.

A line is `{when, reply, pacing, times}`; `reply` has one form of `_FORMS`, or a text or output cut short by `failed` or
`incomplete`, and beside it what `_BESIDE` lists. Mistakes are found when a line is read, never when it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mockserver.model import conditions, templates
from mockserver.model.conditions import known_keys, shown
from mockserver.model.prompt import Item, Prompt, Reply
from mockserver.model.scenario_items import check_items, cues, output_items
from mockserver.model.seeded import default_text, message_item, reasoning_item, text_part, thinking_tokens
from mockserver.settings import Pacing
from mockserver.wire.encoding import json_compact
from mockserver.wire.errors import MockError
from mockserver.wire.named_errors import from_script

REASONS = ("max_output_tokens", "content_filter")
PHASES = ("commentary", "final_answer")
_LINE = ("when", "reply", "pacing", "times")
_ERROR = ("code", "status", "type", "message", "param", "headers")
_PACING = ("first_token", "tokens_per_second")
_USAGE: Mapping[str, tuple[str, ...]] = {
    "input_tokens": (),
    "input_tokens_details": ("cache_write_tokens", "cached_tokens"),
    "output_tokens": (),
    "output_tokens_details": ("reasoning_tokens",),
    "total_tokens": (),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One scripted answer; `source` is the JSON it was read from, `times` None means without limit."""

    source: Mapping[str, Any]
    when: Mapping[str, Any]
    times: int | None
    pacing: Pacing | None

    def holds(self, prompt: Prompt) -> bool:
        """Whether the line answers this prompt; a line without `when` answers all."""
        return conditions.hold(self.when, prompt)

    def reply(self, prompt: Prompt) -> Reply:
        """Return what the line says to this prompt, its templates filled."""
        script = templates.fill(self.source["reply"], prompt)
        if "error" in script:
            model = prompt.request.get("model") or prompt.model.id
            return Reply(error=from_script(script["error"], model), pacing=self.pacing)
        output, shown_only = cues(_said(script, prompt))
        thoughts = script.get("reasoning")
        if thoughts is not None:
            output = [reasoning_item(thoughts), *output]
            shown_only = {str(int(index) + 1): cue for index, cue in shown_only.items()}
        return Reply(
            output=tuple(output),
            reasoning_tokens=_thinking_tokens(output, prompt),
            usage=script.get("usage") or {},
            failed={**_FAILURE, **script["failed"]} if "failed" in script else None,
            incomplete=script.get("incomplete"),
            model=script.get("model"),
            pacing=self.pacing,
            fields=script.get("response") or {},
            cues=shown_only,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON the line was read from."""
        return dict(self.source)


_FAILURE = {"code": "server_error", "message": "The server had an error while processing your request."}


def parse_lines(value: Any, where: str = "lines") -> list[Line]:
    """Return the lines of a JSON list; raises MockError whose `param` is the path of the first mistake."""
    if not isinstance(value, list):
        raise MockError(f"'{where}' must be a list of lines, not {shown(value)}.", param=where)
    return [_line(one, f"{where}[{number}]") for number, one in enumerate(value)]


def _line(value: Any, where: str) -> Line:
    known_keys(value, _LINE, where)
    if "reply" not in value:
        raise MockError(f"'{where}' has no reply.", param=f"{where}.reply")
    when = conditions.check(value.get("when", {}), f"{where}.when")
    _check_reply(value["reply"], f"{where}.reply")
    times = value.get("times")
    if times is not None and not (_whole(times) and times > 0):
        raise MockError(f"'{where}.times' must be a whole number from 1, not {shown(times)}.", param=f"{where}.times")
    return Line(dict(value), when, times, _pacing(value.get("pacing"), f"{where}.pacing"))


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _pacing(value: Any, where: str) -> Pacing | None:
    if value is None:
        return None
    known_keys(value, _PACING, where)
    for key, one in value.items():
        if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one < 1e9:
            raise MockError(f"'{where}.{key}' must be a number from 0, not {shown(one)}.", param=f"{where}.{key}")
    return Pacing(float(value.get("first_token", 0)), float(value.get("tokens_per_second", 0)))


# --- What a reply may hold ---------------------------------------------------------------------------------------


def _check_text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise MockError(f"'{where}' must be a text, not {shown(value)}.", param=where)


def _check_any(value: Any, where: str) -> None:
    """A `json` reply is any value."""


def _check_error(value: Any, where: str) -> None:
    known_keys(value, _ERROR, where)
    status, headers = value.get("status"), value.get("headers") or {}
    if status is not None and not (_whole(status) and 400 <= status <= 599):
        raise MockError(f"'{where}.status' must be from 400 to 599, not {shown(status)}.", param=f"{where}.status")
    for key in ("code", "type", "message", "param"):
        if value.get(key) is not None:
            _check_text(value[key], f"{where}.{key}")
    if not isinstance(headers, dict) or not all(isinstance(one, str) for one in headers.values()):
        raise MockError(f"'{where}.headers' must be an object of texts.", param=f"{where}.headers")
    if status is None and value.get("code") is None:
        raise MockError(f"'{where}' needs a code or a status.", param=where)
    from_script(value)


def _check_failed(value: Any, where: str) -> None:
    known_keys(value, ("code", "message"), where)
    for key, one in value.items():
        _check_text(one, f"{where}.{key}")


def _check_choice(*choices: str) -> Callable[[Any, str], None]:
    def check(value: Any, where: str) -> None:
        if value not in choices:
            raise MockError(f"'{where}' must be one of {', '.join(choices)}, not {shown(value)}.", param=where)

    return check


def _check_usage(value: Any, where: str) -> None:
    known_keys(value, _USAGE, where)
    for key, one in value.items():
        if _USAGE[key]:
            known_keys(one, _USAGE[key], f"{where}.{key}")
        for name, figure in one.items() if _USAGE[key] else [("", one)]:
            place = f"{where}.{key}" + (f".{name}" if name else "")
            if not _whole(figure):
                raise MockError(f"'{place}' must be a whole number from 0, not {shown(figure)}.", param=place)


_RESPONSE: Mapping[str, tuple[type, ...]] = {
    "input_transformations": (list,),
    "moderation": (dict,),
    "prompt": (dict,),
    "prompt_cache_diagnostics": (dict,),
    "tool_usage": (dict,),
}


def _check_response(value: Any, where: str) -> None:
    """Judge what is laid over the finished Response: what only a real backend finds out. Spec: O1."""
    known_keys(value, _RESPONSE, where)
    for key, one in value.items():
        if not isinstance(one, _RESPONSE[key]):
            kind = "a list" if list in _RESPONSE[key] else "an object"
            raise MockError(f"'{where}.{key}' must be {kind}, not {shown(one)}.", param=f"{where}.{key}")


_FORMS: Mapping[str, Callable[[Any, str], None]] = {
    "text": _check_text,
    "output": check_items,
    "refusal": _check_text,
    "json": _check_any,
    "error": _check_error,
    "failed": _check_failed,
    "incomplete": _check_choice(*REASONS),
}
_BESIDE: Mapping[str, Callable[[Any, str], None]] = {
    "reasoning": _check_text,
    "usage": _check_usage,
    "phase": _check_choice(*PHASES),
    "model": _check_text,
    "response": _check_response,
}
_CUT_SHORT = ("failed", "incomplete")
_BEFORE_THE_CUT = ("text", "output")


def _check_reply(value: Any, where: str) -> None:
    known_keys(value, {**_FORMS, **_BESIDE}, where)
    forms = [key for key in value if key in _FORMS]
    cut_short = len(forms) == 2 and {*forms} & {*_CUT_SHORT} and {*forms} & {*_BEFORE_THE_CUT}
    if len(forms) != 1 and not cut_short:
        found = f"has {' and '.join(forms)}" if forms else "has none"
        raise MockError(f"'{where}' must have one of {', '.join(_FORMS)}; it {found}.", param=where)
    for key, one in value.items():
        (_FORMS.get(key) or _BESIDE[key])(one, f"{where}.{key}")
    templates.check(value, where)


# --- What a reply says -------------------------------------------------------------------------------------------


def _said(script: Mapping[str, Any], prompt: Prompt) -> list[Item]:
    phase = script.get("phase")
    if "output" in script:
        return output_items(script["output"], prompt, phase)
    if "refusal" in script:
        return [message_item(prompt, {"type": "refusal", "refusal": script["refusal"]}, phase=phase)]
    if "json" in script:
        return [message_item(prompt, text_part(json_compact(script["json"]).decode()), phase=phase)]
    if "text" in script:
        return [message_item(prompt, text_part(script["text"]), phase=phase)]
    return [message_item(prompt, text_part(default_text(prompt)), phase=phase)] if _unspoken(script) else []


def _unspoken(script: Mapping[str, Any]) -> bool:
    """An answer that only says that it is cut short still has some text; a failure has none."""
    return script.get("incomplete") == "max_output_tokens"


def _thinking_tokens(output: list[Item], prompt: Prompt) -> int:
    """Return the hidden tokens of all reasoning items, as long as their summaries. Spec: T8."""
    thoughts = [item for item in output if item.get("type") == "reasoning"]
    return sum(thinking_tokens(prompt, "".join(part["text"] for part in item["summary"])) for item in thoughts)
