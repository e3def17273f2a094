"""The model catalogue: what differs from model to model, read once from `models.json`.

Adding a model is one entry in that file. Sources: state.md §7 (windows), wire.md W12 (defaults), W14 (names),
tokens.md T2, T8 (families).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

import orjson


@dataclass(frozen=True, slots=True, eq=False)  # one object per model, so that models are cheap keys of caches
class Model:
    """One model as the API echoes it.

    `id` is the resolved name; `family` the prompt markup (C chat, H harmony, Spec: T2); token counts in tokens;
    `created` in unix seconds; `efforts` in the service's order, empty for models that don't reason;
    `steering` whether a turn in progress takes new input (Spec: R4.16).
    """

    id: str
    aliases: tuple[str, ...]
    created: int
    owned_by: str
    family: Literal["C", "H"]
    context_window: int
    max_input_tokens: int
    max_output_tokens: int
    reasoning: bool
    efforts: tuple[str, ...]
    default_effort: str | None
    reasoning_context: str | None
    top_p: float
    prompt_cache_retention: str | None
    only_24h_cache: bool
    phase: bool
    verbosities: tuple[str, ...]
    rounds_reasoning: bool
    exact_cache: bool
    steering: bool


@cache
def _entries() -> tuple[Model, ...]:
    document = orjson.loads((files("mockserver.wire") / "models.json").read_bytes())
    defaults = document["defaults"]
    models = []
    for entry in document["models"]:
        merged = {**defaults[entry["like"]], **entry}
        del merged["like"]
        merged.setdefault("max_input_tokens", merged["context_window"])
        merged.setdefault("steering", False)
        for key in ("aliases", "efforts", "verbosities"):
            merged[key] = tuple(merged.get(key, ()))
        models.append(Model(**merged))
    return tuple(models)


@cache
def _by_name() -> dict[str, Model]:
    return {name: model for model in _entries() for name in (model.id, *model.aliases)}


@lru_cache(maxsize=1024)
def resolve(name: str) -> Model | None:
    """The model behind a name or alias, None when no such model exists. Spec: W14."""
    return _by_name().get(name)


# The model that others stand in for: the one of the newest family that its bare name means.
NEWEST = "gpt-5.6"


@cache
def stand_in(name: str) -> Model:
    """A model with a name nobody knows and all else of the newest family (switch `unknown_models`)."""
    return replace(_by_name()[NEWEST], id=name, aliases=())


def names() -> list[tuple[str, Model]]:
    """Every public name, aliases before the snapshot they stand for, in catalogue order."""
    return [(name, model) for model in _entries() for name in (*model.aliases, model.id)]
