"""The interface of a model: `respond(prompt) -> Reply`."""

# What must stay true: a model reads only the part of a context that it needs (`newest_first` is lazy), so an echo
# costs the same at any depth; and it gets a seed, never a clock or chance, so that its reply depends on the
# prompt alone.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from mockserver.config.pacing import Pacing
from mockserver.wire.catalog import Model
from mockserver.wire.errors.api import APIError
from mockserver.wire.responses.resources import item_text

Item = dict[str, Any]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)
class Prompt:
    """All that a model may see for one turn.

    `request` is the judged body: what the caller sent, without explicit nulls; `input` is the list of this request's
    own items in stored form. `newest_first()` walks the resolved context (own input included) from its last item back
    to its first and is lazy. `item_count` counts that context, `turn` counts responses of this
    chain or conversation from 1, `seed` differs for every turn of a run and is the same in every run. `transport` is
    http, sse or websocket; `input_tokens` is the cost of the whole input.
    """

    request: Mapping[str, Any]
    model: Model
    input: tuple[Item, ...]
    newest_first: Callable[[], Iterable[Item]] = field(compare=False)
    item_count: int
    turn: int
    seed: str
    transport: str = "http"
    input_tokens: int = 0


class Reply(NamedTuple):
    """The model's reply: items in the wire's own shape, whose `id`, `status` and `call_id` may be missing.

    `reasoning_tokens` are the hidden tokens of reasoning items, `summary_tokens` those of each compaction item;
    `output_tokens` counts everything except the latter, None if it is not counted yet. `usage` overrides
    counted figures, partly or whole. At most one of `error` (the request fails with it, nothing is stored), `failed`
    (`{code, message}`: the turn starts and fails) and `incomplete` (the reason) is set. `model` overrides the echoed
    model name, `fields` replace members of the finished Response. `cues` is what the stream shows beyond the items,
    by output index as text: see `delivery.item_events`.
    """

    output: tuple[Item, ...] = ()
    reasoning_tokens: int = 0
    summary_tokens: int = 0
    output_tokens: int | None = None
    usage: Mapping[str, Any] = _NOTHING
    error: APIError | None = None
    failed: Mapping[str, Any] | None = None
    incomplete: str | None = None
    model: str | None = None
    pacing: Pacing | None = None
    fields: Mapping[str, Any] = _NOTHING
    cues: Mapping[str, dict[str, Any]] = _NOTHING


_MADE_BY_MODEL = ("reasoning", "compaction", "program")


def is_model_output(item: Item) -> bool:
    """Whether an item is an output of a model."""
    kind = item.get("type", "message")
    return item.get("role") == "assistant" if kind == "message" else kind.endswith("_call") or kind in _MADE_BY_MODEL


def input_text(prompt: Prompt) -> str:
    """The text of this request's user messages since the model last spoke in it, one line each.

    So a request that replays its whole history has the same input text as one that is chained to it.
    """
    own = prompt.input
    if len(own) == 1 and own[0].get("role") == "user":  # as nearly always
        return item_text(own[0])
    fresh = takewhile(lambda item: not is_model_output(item), reversed(own))
    return "\n".join(reversed([item_text(item) for item in fresh if item.get("role") == "user"]))


def context_text(prompt: Prompt) -> str:
    """The text of the whole context, oldest item first, one line each."""
    return "\n".join(reversed([text for item in prompt.newest_first() if (text := item_text(item))]))


class Respondent(Protocol):
    """Any object with this method is a model.

    It is asked once per turn, and while it answers a large body other calls of its project wait. With an attribute
    `may_be_asked_again` that is true they go on, and it is asked again if one of them has changed the project.
    Calls of other projects go on in either case, so several threads may ask a model at the same time.
    """

    def respond(self, prompt: Prompt) -> Reply:
        """The reply to a prompt; the same prompt always gets the same reply."""
        ...


Answering = Respondent | Callable[[Prompt], Reply]


class FunctionModel(NamedTuple):
    """A plain function as a model."""

    function: Callable[[Prompt], Reply]

    def respond(self, prompt: Prompt) -> Reply:
        return self.function(prompt)


def respondent(model: Answering) -> Respondent:
    """The model of a test: an object with `respond` is one already, a function is wrapped."""
    return model if hasattr(model, "respond") else FunctionModel(model)
