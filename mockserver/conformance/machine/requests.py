"""The requests of the machine: every request it sends is one of these values, the plainest first.

Few words and few models, so that programs collide: the same text and the same id come back in places that must not
affect each other.
"""

# What must stay true: `ASKS` is sorted by complexity, so that index 0 is the plainest request and Hypothesis,
# whose `sampled_from` shrinks towards the start, ends there. Its length and order are part of every seeded
# walk: another request in between changes all programs of a seed.

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

from mockserver.conformance.machine.reference_model import Item

Json = dict[str, Any]

CHAT, ROUNDING, REASONING = "gpt-4.1", "gpt-5.2", "gpt-5.6-terra"
MODELS = (CHAT, REASONING, ROUNDING)  # one that does not reason, and two that count their thoughts in two ways
NO_REASONING = frozenset({CHAT})
TEXTS = ("red", "green", "blue")
TRANSPORTS = ("json", "sse", "websocket")  # how a turn is requested and answered
OUTCOMES = ("completed", "incomplete", "failed", "error")
SLOW_S = 100.0  # how long a slow background turn takes

TOOL: Json = {
    "type": "function",
    "name": "look_up",
    "description": "Looks a colour up.",
    "parameters": {
        "type": "object",
        "properties": {"colour": {"type": "string"}},
        "required": ["colour"],
        "additionalProperties": False,
    },
}
# No parallel calls, so that a forced turn has exactly one call to answer.
CALLING: Json = {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}

# outcome → the reply of the scripted line that brings it about, where the server takes scripts
REPLIES: Mapping[str, Json] = {
    "incomplete": {"text": "cut", "incomplete": "max_output_tokens"},
    "failed": {"failed": {"code": "server_error", "message": "It failed."}},
    "error": {"error": {"code": "server_is_overloaded"}},
}
SLOW_LINE: Json = {"reply": {"text": "at last"}, "pacing": {"first_token": SLOW_S}}


class RequestCase(NamedTuple):
    """A turn's request, apart from where it continues; `form` is one of `FORMS`."""

    text: str = "red"
    form: str = "text"
    model: str = CHAT
    store: bool | None = None
    transport: str = "json"
    instructions: str | None = None
    metadata: bool = False
    outcome: str = "completed"
    counted: bool = False

    def __repr__(self) -> str:
        pairs = zip(self._fields, self, _PLAIN, strict=True)
        return f"Ask({', '.join(f'{name}={value!r}' for name, value, plain in pairs if value != plain)})"

    @property
    def complexity(self) -> int:
        """How far it is from the plainest request: failing programs are shrunk towards that."""
        return sum(value != plain for value, plain in zip(self, _PLAIN, strict=True))

    def input_and_items(self) -> tuple[Any, list[Item]]:
        """The request's `input` (None: left out) and the items that it stands for."""
        return FORMS[self.form](self.text)


_PLAIN = tuple(RequestCase._field_defaults.values())


def user(text: str, id: str = "") -> Item:
    return Item("message", text, "user", id=id)


def _text(text: str) -> tuple[Any, list[Item]]:
    return text, [user(text)]


def _message(text: str) -> tuple[Any, list[Item]]:
    return [{"role": "user", "content": text}], [user(text)]


def _parts(text: str) -> tuple[Any, list[Item]]:
    parts = [{"type": "input_text", "text": part_text} for part_text in (text, " and more")]
    return [{"type": "message", "role": "user", "content": parts}], [user(text + " and more")]


def _developer(text: str) -> tuple[Any, list[Item]]:
    sent = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": text}]
    return sent, [Item("message", "Be brief.", "developer"), user(text)]


def _history(text: str) -> tuple[Any, list[Item]]:
    answer = {"role": "assistant", "content": [{"type": "output_text", "text": "Said before."}]}
    sent = [{"role": "user", "content": "Say it."}, answer, {"role": "user", "content": text}]
    return sent, [user("Say it."), Item("message", "Said before.", "assistant"), user(text)]


def _message_with_id(text: str) -> tuple[Any, list[Item]]:
    id = f"msg_own_{text}"  # one's own id, so the second time in one context is one too many (Spec: R1.36, R1.38)
    return [{"type": "message", "role": "user", "id": id, "content": text}], [user(text, id)]


def _nothing(text: str) -> tuple[Any, list[Item]]:
    return None, []


FORMS = {
    "text": _text,
    "message": _message,
    "parts": _parts,
    "developer": _developer,
    "history": _history,
    "named": _message_with_id,
    "nothing": _nothing,
}


def _asks() -> tuple[RequestCase, ...]:
    """Every request that a rule may draw: all plain combinations, and a few that do not end well."""
    plain = product(TEXTS, FORMS, MODELS, (None, True, False), TRANSPORTS, (None, "Be kind."), (False, True))
    cases = [RequestCase(*values)._replace(counted=index % 5 == 1) for index, values in enumerate(plain)]
    cases = [
        ask for index, ask in enumerate(cases) if ask.store is not False or index % 8 == 1
    ]  # nothing follows from these
    odd = product(OUTCOMES[1:], (CHAT, REASONING), (None, False), TRANSPORTS)
    cases += 4 * [
        RequestCase(model=model, store=store, transport=transport, outcome=outcome)
        for outcome, model, store, transport in odd
    ]
    return tuple(sorted(cases, key=lambda ask: ask.complexity))


ASKS = _asks()

# What is refused whatever there is, by what it adds to a good request → status, code. Spec: errors §4, §5.
INVALID_REQUESTS: tuple[tuple[Json, int, str | None], ...] = (
    ({"temperature": 9}, 400, "decimal_above_max_value"),
    ({"bogus": 1}, 400, "unknown_parameter"),
    ({"model": "gpt-none"}, 400, "model_not_found"),
    ({"input": 7}, 400, "invalid_type"),
    ({"input": [{"role": "nobody", "content": "x"}]}, 400, "invalid_value"),
    ({"include": ["nothing"]}, 400, "invalid_value"),
    ({"max_output_tokens": 1}, 400, "integer_below_min_value"),
    ({"metadata": {str(n): "v" for n in range(17)}}, 400, "object_above_max_properties"),
    ({"tool_choice": {"type": "function", "name": "none"}}, 400, None),
    ({"previous_response_id": "resp_unknown"}, 400, "previous_response_not_found"),
    ({"previous_response_id": "resp_unknown", "conversation": "conv_unknown"}, 400, "mutually_exclusive_parameters"),
    ({"conversation": "conv_unknown"}, 404, None),
)
