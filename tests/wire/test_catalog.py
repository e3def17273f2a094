"""The model catalogue: names, windows, defaults, dates, names nobody knows. Spec: W12, W14, W21, T2, T8."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from mockserver.wire import catalog
from mockserver.wire.catalog import Model

# W12, row by row: alias>id … | window, largest input, largest output | efforts, the default one with a star | top_p,
# context of reasoning, cache retention, shutdown date
W12 = """\
gpt-4o>gpt-4o-2024-08-06 gpt-4o-2024-11-20 gpt-4o-mini>gpt-4o-mini-2024-07-18 \\
  | 128000 - 16384 | - | 1.0 null in_memory 2027-01-14
gpt-4o-2024-05-13 | 128000 - 4096 | - | 1.0 null in_memory 2026-10-23
gpt-4o-search-preview>gpt-4o-search-preview-2025-03-11 \\
gpt-4o-mini-search-preview>gpt-4o-mini-search-preview-2025-03-11 \\
  | 128000 - 16384 | - | 1.0 null in_memory 2026-07-23
gpt-4.1>gpt-4.1-2025-04-14 gpt-4.1-mini>gpt-4.1-mini-2025-04-14 | 1047576 - 32768 | - | 1.0 null in_memory 2027-01-14
gpt-4.1-nano>gpt-4.1-nano-2025-04-14 | 1047576 - 32768 | - | 1.0 null in_memory 2026-10-23
gpt-audio>gpt-audio-2025-08-28 gpt-audio-mini>gpt-audio-mini-2025-12-15 \\
  | 128000 - 16384 | - | 1.0 null in_memory 2027-01-20
gpt-5-chat-latest | 128000 - 16384 | - | 1.0 null in_memory 2026-07-23
gpt-4-turbo>gpt-4-turbo-2024-04-09 | 128000 - 4096 | - | 1.0 null null 2026-10-23
gpt-4>gpt-4-0613 | 8192 - 4096 | - | 1.0 null null 2026-10-23
gpt-3.5-turbo>gpt-3.5-turbo-0125 | 16385 - 4096 | - | 1.0 null null 2026-10-23
o1>o1-2024-12-17 o3-mini>o3-mini-2025-01-31 o4-mini>o4-mini-2025-04-16 o1-pro>o1-pro-2025-03-19 \\
  | 200000 - 100000 | low medium* high | 1.0 current_turn in_memory 2026-10-23
o3>o3-2025-04-16 o3-pro>o3-pro-2025-06-10 | 200000 - 100000 | low medium* high | 1.0 current_turn in_memory 2026-12-11
o3-deep-research>o3-deep-research-2025-06-26 o4-mini-deep-research>o4-mini-deep-research-2025-06-26 \\
  | 200000 - 100000 | low medium* high | 1.0 current_turn in_memory 2026-07-23
codex-mini-latest | 200000 - 100000 | low medium* high | 1.0 current_turn in_memory 2026-02-12
o1-mini>o1-mini-2024-09-12 | 128000 - 65536 | medium* | 1.0 current_turn in_memory 2025-10-27
o1-preview>o1-preview-2024-09-12 | 128000 - 32768 | medium* | 1.0 current_turn in_memory 2025-07-28
computer-use-preview>computer-use-preview-2025-03-11 \\
  | 8192 - 1024 | low medium* high | 1.0 current_turn in_memory 2026-07-23
gpt-5>gpt-5-2025-08-07 gpt-5-mini>gpt-5-mini-2025-08-07 gpt-5-nano>gpt-5-nano-2025-08-07 \\
  | 400000 272000 128000 | minimal low medium* high | 1.0 current_turn in_memory 2026-12-11
gpt-5-codex | 400000 272000 128000 | minimal low medium* high | 1.0 current_turn in_memory 2026-07-23
gpt-5-pro>gpt-5-pro-2025-10-06 | 400000 - 272000 | high* | 1.0 current_turn in_memory 2026-12-11
gpt-5.1>gpt-5.1-2025-11-13 | 400000 272000 128000 | none* low medium high | 1.0 current_turn in_memory 2027-04-01
gpt-5.1-codex gpt-5.1-codex-mini | 400000 - 128000 | low medium* high | 1.0 current_turn in_memory 2026-07-23
gpt-5.1-codex-max | 400000 - 128000 | none* low medium high xhigh | 0.985 current_turn in_memory 2026-07-23
gpt-5.1-chat-latest | 128000 - 16384 | medium* | 1.0 current_turn in_memory 2026-07-23
gpt-5.2>gpt-5.2-2025-12-11 | 400000 272000 128000 | none* low medium high xhigh | 0.98 current_turn 24h null
gpt-5.2-pro>gpt-5.2-pro-2025-12-11 | 400000 272000 128000 | medium* high xhigh | 0.98 current_turn 24h null
gpt-5.2-codex | 400000 272000 128000 | none low medium* high xhigh | 0.98 current_turn 24h 2026-07-23
gpt-5.3-codex | 400000 272000 128000 | none low medium* high xhigh | 0.98 current_turn 24h 2027-04-01
gpt-5.2-chat-latest gpt-5.3-chat-latest | 128000 - 16384 | medium* | 0.98 current_turn 24h 2026-08-10
gpt-5.4>gpt-5.4-2026-03-05 | 1050000 - 128000 | none* low medium high xhigh | 0.98 current_turn 24h null
gpt-5.4-pro>gpt-5.4-pro-2026-03-05 | 1050000 - 128000 | medium* high xhigh | 0.98 current_turn 24h null
gpt-5.4-mini>gpt-5.4-mini-2026-03-17 \\
  | 400000 272000 128000 | none* low medium high xhigh | 0.98 current_turn in_memory null
gpt-5.4-nano>gpt-5.4-nano-2026-03-17 \\
  | 400000 272000 128000 | none* low medium high xhigh | 0.98 current_turn in_memory 2027-04-01
gpt-5.5>gpt-5.5-2026-04-23 | 1050000 - 128000 | none low medium* high xhigh | 0.98 current_turn 24h null
gpt-5.5-pro>gpt-5.5-pro-2026-04-23 | 1050000 - 128000 | medium* high xhigh | 0.98 current_turn 24h null
gpt-5.6>gpt-5.6-sol gpt-5.6-terra gpt-5.6-luna \\
  | 1050000 922000 128000 | none low medium* high xhigh max | 0.98 all_turns 24h null
gpt-6-sol gpt-6-luna gpt-6.1-terra | 1050000 922000 128000 | none low medium* high xhigh max | 0.98 all_turns 24h null
gpt-6-astra | 1050000 922000 128000 | low medium* high xhigh max | 0.98 all_turns 24h null
gpt-6.1-sol gpt-6-astra-law gpt-6-rosalind \\
  | 1050000 922000 128000 | low medium* high xhigh max | 0.98 all_turns 24h null
gpt-6.2-astra gpt-6.2-sol gpt-6.2-astra-law \\
  | 1050000 922000 128000 | low medium* high xhigh max | 0.98 all_turns 24h null
gpt-6-cyber gpt-daybreak-blue-latest | 1050000 922000 128000 | low medium* high xhigh max | 0.98 all_turns 24h null
gpt-5.6-cyber gpt-daybreak-red-latest | 400000 272000 128000 | low medium* high xhigh | 0.98 all_turns 24h null
chat-latest | 400000 - 128000 | medium* | 0.98 all_turns 24h null
"""


class Row(NamedTuple):
    """A row of W12, one for each of its models."""

    sent: str
    echoed: str
    figures: dict[str, Any]


def _rows() -> list[Row]:
    rows = []
    for line in W12.replace("\\\n", "").splitlines():
        names, tokens, efforts, rest = (part.strip() for part in line.split("|"))
        window, most_input, output = (None if text == "-" else int(text) for text in tokens.split())
        top_p, context, cache, date = (None if text == "null" else text for text in rest.split())
        words = [] if efforts == "-" else efforts.split()
        figures = {
            "context_window": window,
            "max_input_tokens": most_input or window,
            "max_output_tokens": output,
            "efforts": tuple(word.rstrip("*") for word in words),
            "default_effort": next((word.rstrip("*") for word in words if word.endswith("*")), None),
            "top_p": float(top_p or 0),
            "reasoning_context": context,
            "prompt_cache_retention": cache,
            "shutdown_date": date,
        }
        for name in names.split():
            sent, _, echoed = name.partition(">")
            rows.append(Row(sent, echoed or sent, figures))
    return rows


ROWS = _rows()


def known(name: str) -> Model:
    """A model of the catalogue."""
    model = catalog.resolve(name)
    assert model is not None
    return model


def ids(*prefixes: str) -> set[str]:
    """The ids of all models whose id begins in one of these ways."""
    return {model.id for _, model in catalog.names() if model.id.startswith(prefixes)}


def with_(attribute: str) -> set[str]:
    """The ids of all models that have something."""
    return {model.id for _, model in catalog.names() if getattr(model, attribute)}


@pytest.mark.parametrize("row", ROWS, ids=[row.sent for row in ROWS])
def test_W12_W14_every_row(row: Row) -> None:
    model = known(row.sent)
    assert known(row.echoed) is model
    assert model.id == model.row == row.echoed
    assert {key: getattr(model, key) for key in row.figures} == row.figures
    assert model.reasoning == bool(row.figures["efforts"])


def test_W12_there_are_104_names_each_once() -> None:
    listed = [name for name, _ in catalog.names()]
    rows = {name for row in ROWS for name in (row.sent, row.echoed)}
    assert len(listed) == len(set(listed)) == 104
    assert set(listed) == rows
    assert all(catalog.resolve(name) is model for name, model in catalog.names())


def test_T2_families() -> None:
    """H: whatever reasons, and gpt-5-chat-latest."""
    chat = {model.id for _, model in catalog.names() if model.family == "C"}
    assert chat == {row.echoed for row in ROWS if not row.figures["efforts"]} - {"gpt-5-chat-latest"}
    assert with_("cl100k") == {"gpt-4-turbo-2024-04-09", "gpt-4-0613", "gpt-3.5-turbo-0125"}, "T1"
    assert {"gpt-4-0613", "gpt-3.5-turbo-0125", "gpt-4o-2024-05-13"} <= chat


def test_W12_what_the_groups_say() -> None:
    newest = ids("gpt-5.6", "gpt-6", "gpt-daybreak", "chat-latest")
    o_series = ids("o1", "o3", "o4", "codex-mini", "computer-use")
    before_5_4 = ids("gpt-5-", "gpt-5.1", "gpt-5.2", "gpt-5.3") | ids("gpt-4", "gpt-3", "gpt-audio") | o_series
    assert with_("exact_cache") == newest
    assert with_("only_24h_cache") == newest | ids("gpt-5.5"), "E46"
    rounding = o_series | ids("gpt-5-2025", "gpt-5-mini", "gpt-5-nano", "gpt-5-codex", "gpt-5-pro")
    assert with_("rounds_reasoning") == rounding, "T8"
    assert with_("phase") == newest | {
        "gpt-5.3-codex",
        "gpt-5.4-2026-03-05",
        "gpt-5.4-mini-2026-03-17",
        "gpt-5.5-2026-04-23",
    }
    plain = {model.id for _, model in catalog.names() if model.verbosities == ("medium",)}
    assert plain == o_series | ids("gpt-4", "gpt-3", "gpt-audio", "gpt-5-chat")
    assert not before_5_4 & with_("exact_cache")


def test_capabilities_of_the_newest() -> None:
    """Spec: F8.9, R12.5, R1.46, R1.47, R15.3, R4.16."""
    six = ids("gpt-6") | {"gpt-daybreak-blue-latest"}
    assert with_("async_tools") == with_("configuration_update") == six
    two = {"gpt-6.2-astra", "gpt-6.2-sol", "gpt-6.2-astra-law"}
    assert with_("instructions_last") == with_("checks_prefix") == two
    assert {model.id for _, model in catalog.names()} - with_("flex") == two
    assert with_("steering") == {"gpt-6-astra", "gpt-6.2-astra"}


def test_entries_are_consistent() -> None:
    for _, model in catalog.names():
        assert model.default_effort is None or model.default_effort in model.efforts
        assert model.max_input_tokens <= model.context_window
        assert model.owned_by


@pytest.mark.parametrize("name", ["gpt-5.2-proo", "", "gpt-rosalind-research", "gpt-5.1-mini", "GPT-4o"])
def test_E11_unknown_names_resolve_to_nothing(name: str) -> None:
    assert catalog.resolve(name) is None
    assert catalog.find(name, "refuse") is None


# --- Fine-tunes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["gpt-3.5-turbo-0125", "gpt-4o-mini-2024-07-18", "gpt-4.1", "o4-mini-2025-04-16"])
def test_W14_a_fine_tune_has_the_row_of_its_base_and_echoes_itself(base: str) -> None:
    name = f"ft:{base}:acme:support:AbC123"
    model, like = known(name), known(base)
    assert (model.id, model.aliases) == (name, ())
    assert _figures(model) == _figures(like)
    assert name not in [listed for listed, _ in catalog.names()]
    assert known(f"ft:{base}:acme::AbC123").row == like.id, "a suffix may be empty"


@pytest.mark.parametrize(
    "name", ["ft:", "ft:gpt-4.1", "ft:gpt-4.1:org/team", "ft:gpt-4.1:acme:x", "ft:gpt-4.1:acme:x:", "ft:nope:a:b:c"]
)
def test_W14_other_names_with_ft_are_unknown(name: str) -> None:
    assert catalog.resolve(name) is None


def _figures(model: Model) -> dict[str, Any]:
    return {key: getattr(model, key) for key in Model.__slots__ if key not in ("id", "aliases")}


# --- Names nobody knows ----------------------------------------------------------------------------------------------

W21 = {
    "gpt-3.5-turbo-16k": "gpt-4o",
    "gpt-4-32k": "gpt-4o",
    "gpt-4.5-preview": "gpt-4o",
    "chatgpt-4o-latest": "gpt-4o",
    "o1-nano": "o3",
    "o3-high": "o3",
    "o4": "o3",
    "gpt-5-turbo": "gpt-5",
    "gpt-5": "gpt-5",
    "gpt-5.1-mini": "gpt-5.1",
    "gpt-5.2-proo": "gpt-5.2",
    "gpt-5.3": "gpt-5.2",
    "gpt-5.5-nano": "gpt-5.5",
    "gpt-5.6-nova": "gpt-5.6",
    "gpt-5.9": "gpt-5.6",
    "gpt-5.17-x": "gpt-5.6",
    "gpt-6": "gpt-6.2-astra",
    "gpt-6.3-sol": "gpt-6.2-astra",
    "gpt-7": "gpt-6.2-astra",
    "gpt-12-mini": "gpt-6.2-astra",
    "ft:gpt-4-32k:acme:x:1": "gpt-4o",
    "ft:gpt-5.3:acme::1": "gpt-5.2",
}


@pytest.mark.parametrize(("name", "like"), W21.items())
def test_W21_by_family(name: str, like: str) -> None:
    model = catalog.find(name, "by_family")
    assert model is not None
    if catalog.resolve(name) is not None:
        assert model is known(name), "what is known stays as it is"
        return
    assert (model.id, model.aliases, model.shutdown_date) == (name, (), None)
    assert {**_figures(model), "shutdown_date": 0} == {**_figures(known(like)), "shutdown_date": 0}


@pytest.mark.parametrize(
    "name", ["", "acme-9", "o2", "o5-mini", "gpt-rosalind-research", "gpt-2", "gpt", "ft:acme:a:b:c"]
)
def test_W21_other_names_belong_to_no_family(name: str) -> None:
    assert catalog.find(name, "by_family") is None


@pytest.mark.parametrize("name", ["acme-9", "gpt-5.3", "ft:acme:a:b:c"])
def test_W21_allow_gives_every_name_the_row_of_gpt_6_sol(name: str) -> None:
    model = catalog.find(name, "allow")
    assert model is not None
    assert (model.id, model.row, model.shutdown_date) == (name, "gpt-6-sol", None)
    assert catalog.find("", "allow") is None


# --- Dates -----------------------------------------------------------------------------------------------------------

MIDNIGHT = 1_792_713_600  # 2026-10-23T00:00:00Z


def test_P18_a_model_is_gone_from_its_date_on() -> None:
    model = known("gpt-4.1-nano")
    assert not catalog.is_shut_down(model, MIDNIGHT - 0.001)
    assert catalog.is_shut_down(model, MIDNIGHT)
    assert not catalog.is_shut_down(known("gpt-5.6"), MIDNIGHT * 9)
