"""What the model is given and what it gives back: `respond(prompt) -> Reply`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mockserver.settings import Pacing
from mockserver.wire.catalog import Model
from mockserver.wire.errors import APIError

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a model may look at for one turn.

    `request` is the judged body: what the caller sent, without explicit nulls; `input` is the list of this request's
    own items in stored form. `newest_first()` walks the resolved context (own input included) from its last item back
    to its first and reads no more than is asked for. `item_count` counts that context, `turn` counts responses of this
    chain or conversation from 1, `seed` differs for every turn of a run and is the same in every run. `transport` is
    http, sse or websocket.
    """

    request: Mapping[str, Any]
    model: Model
    input: tuple[Item, ...]
    newest_first: Callable[[], Iterable[Item]]
    item_count: int
    turn: int
    seed: str
    transport: str = "http"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says: items in the wire's own shape, whose `id`, `status` and `call_id` may be missing.

    `reasoning_tokens` are the hidden tokens behind a reasoning item. `usage` overrides counted figures, partly or
    whole. At most one of `error` (the request fails with it, nothing is stored), `failed` (`{code, message}`: the turn
    starts and fails) and `incomplete` (the reason) is set. `model` overrides the echoed model name.
    """

    output: tuple[Item, ...] = ()
    reasoning_tokens: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)
    error: APIError | None = None
    failed: Mapping[str, Any] | None = None
    incomplete: str | None = None
    model: str | None = None
    pacing: Pacing | None = None


class Respondent(Protocol):
    """Any object with this method is a model."""

    def respond(self, prompt: Prompt) -> Reply:
        """Return the reply to a prompt; the same prompt always gets the same reply."""
        ...
