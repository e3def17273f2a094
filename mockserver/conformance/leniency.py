"""What the profile `state` does not hold against a foreign server: echoes that it leaves out, how it refuses."""

# How it works. Answers of the server are wrapped, so that reading an echo that is missing gives `ABSENT`, and a claim
# about `ABSENT` claims nothing. All else that is missing is still an error.

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mockserver.conformance.drivers import Answer
from mockserver.conformance.terms import NotObservable

ECHOES = frozenset(
    "background background_options billing completed_at conversation error incomplete_details instructions "
    "max_output_tokens max_tool_calls metadata moderation parallel_tool_calls phase previous_response_id prompt "
    "prompt_cache_key reasoning safety_identifier service_tier status_details store temperature text tool_choice "
    "tools top_logprobs top_p truncation user".split()
)
_NO_REFUSALS = (401, 403, 405, 408, 429)  # the endpoint or the caller is refused, not the request
_FAILED = ("error", "response.failed")


class _Absent:
    """A member that is not there and need not be."""

    def __repr__(self) -> str:
        return "(not echoed)"

    def __getitem__(self, _: Any) -> _Absent:
        return self

    def __iter__(self) -> Iterator[Any]:
        raise NotObservable("an answer echoes too little")


ABSENT: Final = _Absent()


class _Tolerant(dict[str, Any]):
    """An object of an answer; an echo that is missing reads as ABSENT."""

    def __missing__(self, name: str) -> Any:
        if name in ECHOES:
            return ABSENT
        raise KeyError(name)


def is_absent(value: object) -> bool:
    """Whether a value is an echo that the server leaves out."""
    return value is ABSENT


def tolerate(answer: Answer) -> Answer:
    """The answer with objects that may lack echoes."""
    return answer._replace(body=_wrap(answer.body), events=_wrap(answer.events))


def _wrap(value: Any) -> Any:
    if isinstance(value, dict):
        return _Tolerant({name: _wrap(member) for name, member in value.items()})
    return [_wrap(member) for member in value] if isinstance(value, list) else value


def is_refusal(answer: Answer) -> bool:
    """Whether a request was refused: with a status of the 400s, or with a stream or a response that failed."""
    if 400 <= answer.status < 500:
        return answer.status not in _NO_REFUSALS
    if answer.status != 200:
        return False
    if answer.events is not None:
        return any(event.get("type") in _FAILED for event in answer.events)
    return isinstance(answer.body, dict) and answer.body.get("status") == "failed"
