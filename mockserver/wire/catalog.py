"""The model catalogue: what differs from model to model, read once from `models.json`.

Adding a model is one entry in that file. Sources: wire.md W12 (figures, dates), W14 (names), W21 (unknown names),
tokens.md T2, T8 (families).
"""

# How it works. `resolve` knows the names of the catalogue and the fine-tunes of its models; `find` gives a row to other
# names too, where the switch `unknown_models` says so.
#
# What must stay true: a model that borrows a row has its own `id`, which is what is echoed, and the `row` of the
# entry. Figures are looked up by `row`, never by `id`, or a fine-tune would be counted as a model nobody knows.

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, lru_cache, wraps
from pathlib import Path
from typing import Literal, TypeVar

import orjson

T = TypeVar("T")


# one object per model, so that models are cheap keys of caches
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Model:
    """One model as the API echoes it.

    `id` is the resolved name, `row` that of the entry whose figures it has; `family` the prompt markup (C chat,
    H harmony, Spec: T2); token counts in tokens; `created` in unix seconds; `efforts` in the service's order, empty for
    models that don't reason; `cl100k` whether texts are counted in the older encoding (T1); `shutdown_date` as
    YYYY-MM-DD (P18). Capabilities: `steering` (R4.16), `async_tools` (F8.9), `configuration_update` (R12.5),
    `instructions_last` (R1.47), `checks_prefix` (R1.46), `flex` (R15.3).
    """

    id: str
    row: str
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
    cl100k: bool = False
    shutdown_date: str | None = None
    steering: bool = False
    async_tools: bool = False
    configuration_update: bool = False
    instructions_last: bool = False
    checks_prefix: bool = False
    flex: bool = True


@cache
def _entries() -> tuple[Model, ...]:
    document = orjson.loads(Path(__file__).with_name("models.json").read_bytes())
    defaults = document["defaults"]
    models = []
    for entry in document["models"]:
        merged = {**defaults[entry["like"]], **entry}
        del merged["like"]
        merged["row"] = merged["id"]
        merged.setdefault("max_input_tokens", merged["context_window"])
        for key in ("aliases", "efforts", "verbosities"):
            merged[key] = tuple(merged.get(key, ()))
        models.append(Model(**merged))
    return tuple(models)


LONGEST_NAME = 256  # characters; what is found under a longer name is not remembered, for names come from clients


def _remember(look_up: Callable[[str], T]) -> Callable[[str], T]:
    """Remember what a look-up has found under short names."""
    kept = lru_cache(maxsize=1024)(look_up)

    @wraps(look_up)
    def find_once(name: str) -> T:
        return kept(name) if len(name) <= LONGEST_NAME else look_up(name)

    return find_once


@cache
def _by_name() -> dict[str, Model]:
    return {name: model for model in _entries() for name in (model.id, *model.aliases)}


@_remember
def resolve(name: str) -> Model | None:
    """The model behind a name, an alias or a fine-tune's name, None when no such model exists. Spec: W14."""
    model = _by_name().get(name)
    if model is None and (base := _base_of_fine_tune(name)):
        known = _by_name().get(base)
        return known and replace(known, id=name, aliases=())
    return model


def names() -> list[tuple[str, Model]]:
    """Every public name, aliases before the snapshot they stand for, in catalogue order."""
    return [(name, model) for model in _entries() for name in (*model.aliases, model.id)]


def is_shut_down(model: Model, now: float) -> bool:
    """Whether a model's last day is over, at a time in unix seconds: it is gone from its date on, in UTC. Spec: P18."""
    return model.shutdown_date is not None and now >= _midnight(model.shutdown_date)


@cache
def _midnight(date: str) -> float:
    return datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()


# --- Names that are not in the catalogue ------------------------------------------------------------------------------

# The model of a request that needn't name one: a count of tokens, a turn by a prompt template.
UNNAMED = "gpt-5.6"
_ANY_NAME = "gpt-6-sol"  # whose row every unknown name has, with `unknown_models=allow` (Spec: W21)
_NEWEST = "gpt-6.2-astra"
_FAMILIES = (  # the first pattern that a name begins with decides (Spec: W21)
    (re.compile(r"gpt-3\.5|gpt-4|chatgpt-"), "gpt-4o"),
    (re.compile(r"o[134](?!\d)"), "o3"),
    (re.compile(r"gpt-(?:[6-9]|[1-9]\d)(?!\d)"), _NEWEST),
)
_GPT_5 = re.compile(r"gpt-5(?:\.(\d+))?(?!\d)")


def find(name: str, unknown_models: str) -> Model | None:
    """The model behind a name, also behind one that nobody knows as the switch has it. Spec: W14, W21."""
    model = resolve(name)
    if model is not None or not name or unknown_models == "refuse":
        return model
    return stand_in(name) if unknown_models == "allow" else family_member(name)


@_remember
def stand_in(name: str) -> Model:
    """A model with a name nobody knows and a known row; it is never shut down. Spec: W21."""
    return _borrow(name, _ANY_NAME)


@_remember
def family_member(name: str) -> Model | None:
    """A model with a name nobody knows and the row of the family that it looks like, None for none. Spec: W21."""
    base = _base_of_fine_tune(name) or name
    if match := _GPT_5.match(base):
        return _borrow(name, _plain_gpt_5(int(match[1] or 0)))
    row = next((row for pattern, row in _FAMILIES if pattern.match(base)), None)
    return None if row is None else _borrow(name, row)


def _borrow(name: str, row: str) -> Model:
    return replace(_by_name()[row], id=name, aliases=(), shutdown_date=None)


def _plain_gpt_5(minor: int) -> str:
    """The plain model of version 5.`minor`, or of the next lower version that has one."""
    versions = (f"gpt-5.{number}" for number in range(min(minor, 9), 0, -1))
    return next((version for version in versions if version in _by_name()), "gpt-5")


def _base_of_fine_tune(name: str) -> str | None:
    """The base in `ft:<base>:<organisation>:<suffix>:<id>`, whose suffix may be empty; None for other names."""
    kind, *parts = name.split(":")
    return parts[0] if kind == "ft" and len(parts) >= 4 and parts[1] and parts[3] else None
