"""The prompt cache by the figures: boundaries, rounding, keys, lifetimes, what a turn reads and writes.

Spec: T13, R8.7, R8.8.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import Settings
from mockserver.core import prompt_cache, text_prompts
from mockserver.core.state import decode_node
from mockserver.engine.engine import Engine
from mockserver.store.memory import MemoryStore
from mockserver.store.sqlite import SQLiteStore
from tests.support.driving import NOON, Driver
from tests.support.examples import examples

TERRA, OLD, NEWER = "gpt-5.6-terra", "gpt-4.1", "gpt-5.4"


def words(number: int) -> str:
    """A text of so many tokens."""
    return " word" * number


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def part(text: str, *, marked: bool = False) -> dict[str, Any]:
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}} if marked else {}
    return {"type": "input_text", "text": text, **mark}


class Cached(Driver):
    """A driver whose model says "pong"; each call returns (input, cached, written)."""

    last: dict[str, Any]

    def ask(self, input: Any, model: str = TERRA, **fields: Any) -> tuple[int, int, int]:
        if "reply" not in fields:
            self.script({"reply": {"text": "pong"}})
        else:
            self.script({"reply": fields.pop("reply")})
        self.last = self.create(input, model=model, **fields)
        usage = self.last["usage"]
        details = usage["input_tokens_details"]
        return usage["input_tokens"], details["cached_tokens"], details["cache_write_tokens"]


# --- models with exact boundaries ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tokens", "covered"), [(1034, 1031), (1645, 1642), (1024, 1021)])
def test_T13_an_entry_covers_all_but_three_tokens(tokens: int, covered: int) -> None:
    drive = Cached()
    text = words(tokens - 6)
    assert drive.ask(text) == (tokens, 0, covered)
    assert drive.ask(text) == (tokens, covered, 0)
    assert drive.ask(text) == (tokens, covered, 0)


@pytest.mark.parametrize("chained", [True, False])
def test_T13_an_appended_turn_writes_its_new_tokens(chained: bool) -> None:
    drive = Cached()
    text = words(1630)
    assert drive.ask(text) == (1636, 0, 1633)
    first = drive.last
    if chained:
        assert drive.ask("ping", previous_response_id=first["id"]) == (1648, 1633, 12)
    else:
        assert drive.ask([user(text), *first["output"], user("ping")]) == (1648, 1633, 12)


LAST = "gpt-6.2-sol"  # whose instructions come after the input
BRIEF, KIND = "Answer briefly.", "Be kind to all, always."  # 3 and 7 tokens, and 4 for the frame


@pytest.mark.parametrize("fields", [{}, {"text": {"verbosity": "low"}}])
def test_R1_47_T13_instructions_of_the_newest_models_are_never_cached(fields: dict[str, Any]) -> None:
    drive = Cached()
    text = words(1500)
    assert drive.ask(text, LAST, instructions=BRIEF, **fields) == (1513, 0, 1503)
    assert drive.ask(text, LAST, instructions=BRIEF, **fields) == (1513, 1503, 0)
    assert drive.ask(text, LAST, instructions=KIND, **fields) == (1517, 1503, 0), "others find the same entry"
    assert drive.ask(text, LAST, **fields) == (1506, 1503, 0), "and so does none"
    old = {"model": TERRA, "instructions": BRIEF, **fields}
    assert drive.ask(text, **old)[1:] == (0, 1510)
    assert drive.ask(text, **{**old, "instructions": KIND})[1:] == (0, 1514), "before gpt-6.2 they come first"


@pytest.mark.parametrize("chained", [True, False])
def test_R1_47_T13_an_appended_turn_finds_what_came_before_its_instructions(chained: bool) -> None:
    drive = Cached()
    text = words(1630)
    assert drive.ask(text, LAST, instructions=BRIEF) == (1643, 0, 1633)
    first, fields = drive.last, {"instructions": KIND}
    if chained:
        assert drive.ask("ping", LAST, previous_response_id=first["id"], **fields) == (1659, 1633, 12)
    else:
        assert drive.ask([user(text), *first["output"], user("ping")], LAST, **fields) == (1659, 1633, 12)


def test_R1_47_T13_only_what_stands_before_the_instructions_is_long_enough() -> None:
    drive = Cached()
    for tokens, covered in ((1017, 0), (1018, 1021)):
        assert drive.ask(words(tokens), LAST, instructions=words(200))[1:] == (0, covered)


def test_R1_47_T13_breakpoints_stand_where_they_stood() -> None:
    marked = [{"role": "user", "content": [part(words(1100), marked=True), part(words(50))]}]
    lengths = []
    for fields in ({}, {"instructions": BRIEF}):
        drive = Cached()
        explicit = {"prompt_cache_options": {"mode": "explicit"}, **fields}
        lengths.append(drive.ask(marked, LAST, **explicit)[2])
        assert drive.ask(marked, LAST, **explicit)[1] == lengths[-1]
    assert lengths[0] == lengths[1] > 1100


def test_T13_nothing_below_1024() -> None:
    drive = Cached()
    for model, frame in ((TERRA, 6), (OLD, 7)):
        for _ in range(2):
            assert drive.ask(words(1023 - frame), model) == (1023, 0, 0)


def test_T13_a_change_at_the_start_or_at_the_end_of_the_last_content() -> None:
    drive = Cached()
    drive.ask(words(2000))
    assert drive.ask("x" + words(2000))[1] == 0
    assert drive.ask(words(2000) + " more") == (2007, 0, 2004)


def test_T13_an_explicit_breakpoint_covers_up_to_the_end_of_its_part() -> None:
    drive = Cached()
    explicit = {"prompt_cache_options": {"mode": "explicit"}}
    question = [part(words(4009), marked=True), part(" one two three four five")]
    asked = [{"role": "user", "content": question}]
    assert drive.ask(asked, **explicit) == (4020, 0, 4012)
    assert drive.ask(asked, **explicit) == (4020, 4012, 0)
    other = [{"role": "user", "content": [question[0], part(" six seven")]}]
    assert drive.ask(other, **explicit) == (4017, 4012, 0)
    assert drive.ask(other) == (4017, 4012, 2), "an implicit entry goes on from there"
    unmarked = [{"role": "user", "content": [part(words(4009))]}]
    assert Cached().ask(unmarked, **explicit) == (4015, 0, 0), "nothing is asked for"


def test_T13_breakpoints_of_earlier_turns_are_found_again() -> None:
    explicit = {"prompt_cache_options": {"mode": "explicit"}}
    marked = {"role": "developer", "content": [part(words(1200), marked=True)]}
    chain, replay = Cached(), Cached()
    assert chain.ask([marked, user("a")], **explicit) == (1211, 0, 1203)
    assert replay.ask([marked, user("a")], **explicit) == (1211, 0, 1203)
    items = [marked, user("a")]
    for _ in range(3):
        for drive in (chain, replay):
            drive.advance(seconds=1801)
        items += [*replay.last["output"], user("b")]
        first = chain.ask([user("b")], previous_response_id=chain.last["id"], **explicit)
        assert first == replay.ask(items, **explicit)
        assert first[1:] == (0, 1203)
        parent = chain.last["previous_response_id"]
        assert chain.ask([user("b")], previous_response_id=parent, **explicit)[1:] == (1203, 0)
        assert replay.ask(items, **explicit)[1:] == (1203, 0)


def test_T13_short_breakpoints_are_not_kept() -> None:
    asked = [{"role": "user", "content": [part(words(1000), marked=True), part(words(500))]}]
    assert Cached().ask(asked, prompt_cache_options={"mode": "explicit"}) == (1506, 0, 0)


# --- models that round -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [OLD, "gpt-4o", "gpt-5", NEWER, "o3"])
@pytest.mark.parametrize(
    ("tokens", "cached"), [(1024, 1024), (1151, 1024), (1152, 1152), (2006, 1920), (2048, 2048), (4100, 4096)]
)
def test_T13_older_models_round_down_to_128(model: str, tokens: int, cached: int) -> None:
    drive = Cached()
    text = words(tokens - (7 if model in (OLD, "gpt-4o") else 6))
    assert drive.ask(text, model) == (tokens, 0, 0)
    assert drive.ask(text, model) == (tokens, cached, 0)


def test_T13_the_matching_prefix_may_end_inside_a_text() -> None:
    drive = Cached()
    drive.ask(words(3000), OLD)
    same = words(1500) + " other" * 1500
    assert drive.ask(same, OLD) == (3007, 1408, 0), "1503 tokens are the same"
    assert drive.ask(same, OLD) == (3007, 2944, 0)
    assert drive.ask("x" + words(3000), OLD)[1] == 0


def test_T13_a_shared_beginning_of_items_or_instructions() -> None:
    drive = Cached()
    system = {"role": "system", "content": words(1400)}
    drive.ask([system, user("a")], OLD)
    assert drive.ask([system, user("something else")], OLD)[1] == 1280
    assert drive.ask([user("b")], OLD, instructions=words(1400))[1] == 0
    assert drive.ask([user("c")], OLD, instructions=words(1400))[1] == 1280
    assert drive.ask([user("c")], OLD, instructions="x" + words(1400))[1] == 0


@pytest.mark.parametrize("model", [OLD, NEWER])
def test_T13_older_models_match_their_chains(model: str) -> None:
    drive = Cached()
    drive.ask(words(1500), model)
    parent, before = drive.last["id"], drive.last["usage"]["input_tokens"]
    tokens, cached, _ = drive.ask("ping", model, previous_response_id=parent)
    assert cached == before // 128 * 128
    assert drive.ask(words(200), model, previous_response_id=drive.last["id"])[1] == tokens // 128 * 128


# --- keys and lifetimes ----------------------------------------------------------------------------------------------

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("model", [TERRA, NEWER])
@pytest.mark.parametrize(
    "changed",
    [
        {"instructions": "Be brief."},
        {"tools": [TOOL]},
        {"parallel_tool_calls": False},
        {"text": {"format": SCHEMA}},
        {"text": {"verbosity": "low"}},
        {"reasoning": {"effort": "low"}},
        {"prompt_cache_key": "k"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_R8_8_what_the_key_holds(changed: dict[str, Any], model: str) -> None:
    drive = Cached()
    drive.ask(words(1500), model)
    assert drive.ask(words(1500), model, **changed)[1] == 0
    assert drive.ask(words(1500), model, **changed)[1] > 1400
    assert drive.ask(words(1500), model)[1] > 1400


def test_R8_8_another_template_is_another_beginning() -> None:
    drive = Cached()
    drive.engine.control.set_scenario("p", {"lines": [{"when": {"prompt": True}, "reply": {"text": "pong"}}]})
    drive.ask(words(1500))
    for template in ({"id": "pmpt_1"}, {"id": "pmpt_2"}, {"id": "pmpt_2", "variables": {"a": "b"}}):
        assert drive.ask(words(1500), prompt=template)[1] == 0
        assert drive.ask(words(1500), prompt=template)[1] == 1503


def test_R8_8_what_the_key_does_not_hold() -> None:
    drive = Cached()
    drive.ask(words(1500))
    for other in (
        {"metadata": {"a": "b"}},
        {"store": False},
        {"reasoning": {"effort": "medium"}},
        {"text": {"format": {"type": "text"}, "verbosity": "medium"}},
        {"tools": [], "parallel_tool_calls": True, "max_output_tokens": 100, "truncation": "auto"},
    ):
        assert drive.ask(words(1500), **other) == (1506, 1503, 0), other


def test_R8_8_models_and_projects_share_nothing() -> None:
    drive = Cached()
    drive.ask(words(1500))
    assert drive.ask(words(1500), "gpt-5.6-sol")[1] == 0
    assert Cached(drive.engine, project="q").ask(words(1500))[1] == 0
    assert drive.ask(words(1500))[1] == 1503


@pytest.mark.parametrize(
    ("model", "fields", "idle"),
    [
        (TERRA, {}, 1800),
        (TERRA, {"prompt_cache_options": {"ttl": "30m"}}, 1800),
        (OLD, {}, 600),
        ("gpt-4.1", {"prompt_cache_retention": "24h"}, 86_400),
        (NEWER, {}, 86_400),
    ],
)
def test_R8_8_lifetimes(model: str, fields: dict[str, Any], idle: int) -> None:
    drive = Cached()
    drive.ask(words(1500), model, **fields)
    drive.advance(seconds=idle - 1)
    assert drive.ask(words(1500), model, **fields)[1] > 1400
    again = Cached()
    again.ask(words(1500), model, **fields)
    again.advance(seconds=idle)
    assert again.ask(words(1500), model, **fields)[1] == 0
    assert again.ask(words(1500), model, **fields)[1] > 1400, "it was written anew"


def test_R8_8_use_prolongs_a_life_within_limits() -> None:
    for model, step, uses in ((TERRA, 1799, 10), (OLD, 599, 6), (NEWER, 50_000, 1)):
        drive = Cached()
        drive.ask(words(1500), model)
        for _ in range(uses):
            drive.advance(seconds=step)
            assert drive.ask(words(1500), model)[1] > 1400, model
        drive.advance(seconds=step)
        assert (drive.ask(words(1500), model)[1] > 1400) is (model == TERRA), model


def test_expired_entries_are_swept_away() -> None:
    drive = Cached()
    for number in range(100):
        drive.ask(f"{number}" + words(1100))
    drive.advance(seconds=1800)
    drive.advance(seconds=1)
    for number in range(100):
        drive.ask(f"again {number}" + words(1100))
    assert len(drive.engine.store.scan("p", "cache")) < 150


# --- how many entries there are --------------------------------------------------------------------------------------


def test_items_that_end_in_one_block_have_hardly_more_than_one_entry() -> None:
    """Spec: T13. The figures are rounded down to 128 tokens, so others would say the same."""
    drive = Cached()
    items = [user(f"item {number}") for number in range(2000)]
    tokens, cached, _ = drive.ask(items, OLD)
    assert cached == 0 and entries(drive) <= 2 * (tokens // 128 + 1), (
        "one more where a block begins inside the last 3 tokens"
    )
    for length in (150, 151, 152, 1000, 1999):
        again, cached, _ = drive.ask([*items[:length], user("other")], OLD)
        known = drive.count(input=items[:length])  # with what comes after the last item: a few tokens
        assert cached in (known // 128 * 128, (known - 3) // 128 * 128) and again - cached < 160


# an item: what it says, and who says it
ITEMS = st.tuples(st.integers(0, 2), st.sampled_from([1, 3, 30, 90, 130, 300]), st.booleans())


# a prompt: its items, where it goes on (None: anew, else an earlier turn), and the seconds after it
PROMPTS = st.lists(
    st.tuples(
        st.lists(ITEMS, min_size=1, max_size=12),
        st.none() | st.integers(0, 5),
        st.sampled_from([0, 0.4, 30]),  # no life ends
    ),
    min_size=2,
    max_size=5,
)


def ask_both(one: Cached, other: Cached, sent: Any, parent: str | None) -> str:
    """Ask the same of both, of the other one with an entry at every end; returns the id of the turn."""
    figures = one.ask(sent, OLD, previous_response_id=parent)
    with pytest.MonkeyPatch.context() as patch:
        for module in (prompt_cache, text_prompts):
            patch.setattr(module, "says_the_same", lambda covered, end: False)
        assert other.ask(sent, OLD, previous_response_id=parent) == figures
    return str(one.last["id"])


@examples(300)
@given(PROMPTS, st.integers(1000, 1100))
def test_fewer_entries_say_the_same(
    prompts: list[tuple[list[tuple[int, int, bool]], int | None, float]], first: int
) -> None:
    """As an entry at the end of every item, whatever prompts have in common, chained or not. Spec: T13."""
    one, other, turns = Cached(), Cached(), [None]
    for prompt, place, seconds in prompts:
        parent = None if place is None else turns[place % len(turns)]
        items = [] if parent else [user(words(first))]
        for kind, length, answers in prompt:
            items.append({"role": "assistant" if answers else "user", "content": f"{kind}{words(length)}"})
        sent = items[0]["content"] if len(items) == 1 and not answers else items  # a text may be answered by a plan
        turns.append(ask_both(one, other, sent, parent))
        for drive in (one, other):
            drive.advance(seconds=seconds)
    assert entries(one) <= entries(other)


@examples(100)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1, 3, 90, 130, 300])), min_size=4, max_size=12))
def test_fewer_entries_say_the_same_of_texts(program: list[tuple[int, int]]) -> None:
    """The same of turns that a plan answers, which fork and go on. Spec: T13."""
    one, other = Cached(), Cached()
    for drive in (one, other):
        for number in range(3):
            drive.ask(f"{number}", OLD)
        drive.ask(words(1000), OLD)
    turns = [one.last["id"]]
    for place, length in program:
        sent, parent = words(length), turns[place % len(turns)]
        turns.append(ask_both(one, other, sent, parent))
    assert entries(one) <= entries(other)


@pytest.mark.parametrize("as_text", [True, False])
def test_R8_8_short_turns_keep_a_chain_known_beyond_the_longest_life_of_an_entry(as_text: bool) -> None:
    drive = Cached()
    drive.ask(words(1100), OLD)
    for _ in range(60):  # nine hours, at most sixty tokens of them in one hour
        drive.advance(seconds=540)
        sent = "ping" if as_text else [user("ping")]
        tokens, cached, _ = drive.ask(sent, OLD, previous_response_id=drive.last["id"])
        assert tokens - cached < 128 + 20


# --- what leaves no trace, and what does -----------------------------------------------------------------------------


def entries(drive: Driver) -> int:
    return len(drive.engine.store.scan(drive.project, "cache"))


def test_counting_and_failing_write_nothing() -> None:
    drive = Cached()
    assert drive.count(model=TERRA, input=words(1500)) == 1506
    drive.script({"reply": {"error": {"code": "server_error"}}})
    with pytest.raises(Exception, match="An error occurred"):
        drive.create(words(1500), model=TERRA)
    drive.script({"reply": {"failed": {"code": "server_error", "message": "m"}}})
    drive.create(words(1500), model=TERRA)
    assert entries(drive) == 0
    assert drive.ask(words(1500)) == (1506, 0, 1503)
    assert drive.count(model=TERRA, input=words(1500)) == 1506


def test_unstored_and_streamed_and_slow_turns_are_cached_too() -> None:
    drive = Cached()
    drive.ask(words(1500), store=False)
    drive.script({"reply": {"text": "pong"}, "pacing": {"first_token": 5}})
    final = drive.stream(words(1500), model=TERRA)[-1]["response"]
    assert final["usage"]["input_tokens_details"] == {"cache_write_tokens": 0, "cached_tokens": 1503}


def test_a_scripted_usage_wins() -> None:
    reply = {"text": "a", "usage": {"input_tokens_details": {"cached_tokens": 64}}}
    assert Cached().ask(words(1500), reply=reply) == (1506, 64, 1503)


def test_T9_reasoning_that_is_gone_breaks_the_prefix() -> None:
    for model, reads_all in ((TERRA, True), (NEWER, False)):
        drive = Cached()
        call = {"output": [{"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}]}
        drive.ask(words(1500), model, tools=[TOOL], reply={**call, "reasoning": words(300)})
        first = drive.last["usage"]["input_tokens"]
        output = {"type": "function_call_output", "call_id": "c", "output": words(300)}
        drive.ask([output], model, tools=[TOOL], previous_response_id=drive.last["id"])
        looped, cached, _ = drive.ask([user("and?")], model, tools=[TOOL], previous_response_id=drive.last["id"])
        assert (cached > first + 500) is reads_all, (looped, cached)
        assert cached >= 1408


def test_a_conversation_is_the_same_prompt() -> None:
    drive = Cached()
    drive.ask(words(1630))
    id = drive.conversation(items=[user(words(1630))])["id"]
    assert drive.ask([{"role": "assistant", "content": "pong"}, user("ping")], conversation=id) == (1648, 1633, 12)
    assert drive.ask([user("ping")], conversation=id)[1] == 1645


def test_dropped_items_make_another_prompt() -> None:
    drive = Cached()
    big = [user(words(100_000)) for _ in range(2)]
    fields: dict[str, Any] = {"truncation": "auto"}
    model = "gpt-4o"
    for _ in range(2):
        tokens, cached, _ = drive.ask([*big, user("ping")], model, **fields)
        assert tokens < 128_000
    assert cached == tokens // 128 * 128


class Counting(MemoryStore):
    """A store that counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        self.seen["get", kind] += 1
        return super().get(project, kind, id)

    def scan(self, project: str, kind: str, *args: Any, **kwargs: Any) -> Any:
        self.seen["scan", kind] += 1
        return super().scan(project, kind, *args, **kwargs)

    def apply(self, project: str, changes: Any) -> None:
        changes = list(changes)
        self.seen.update((type(change).__name__, change.kind) for change in changes)
        super().apply(project, changes)


def test_small_turns_do_no_more_than_without_a_cache() -> None:
    store = Counting()
    drive = Cached(Engine(Settings(clock=NOON), store=store))
    drive.ask("ping")
    drive.ask("ping", previous_response_id=drive.last["id"])
    assert not [one for one in store.seen if one[1] == "cache"]
    node = store.get("p", "node", drive.last["id"])
    assert node is not None
    assert decode_node(node).summary.trail is None


@pytest.mark.parametrize("model", [TERRA, NEWER, OLD])
def test_a_chain_of_200_turns_costs_the_same_at_every_depth(model: str) -> None:
    store = Counting()
    drive = Cached(Engine(Settings(clock=NOON), store=store))
    drive.ask(words(5000), model)
    costs, sizes = [], []
    for _ in range(200):
        store.seen.clear()
        drive.advance(seconds=1)
        store.seen.clear()
        drive.ask("ping", model, previous_response_id=drive.last["id"])
        costs.append({one: count for one, count in store.seen.items() if one[0] != "scan"})
        sizes.append(len(store.get("p", "node", drive.last["id"]) or b""))
    early, late = ([sum(one.values()) for one in some] for some in (costs[3:100], costs[100:]))
    assert (max(early), min(early)) == (max(late), min(late))
    assert max(late) - min(late) <= 5, "an entry in three places, and two more where a block begins"
    assert max(one["get", "cache"] for one in costs[3:]) <= 5
    assert max(sizes) - min(sizes[40:]) < 60, "by then three entries are remembered"


def test_both_stores_say_the_same() -> None:
    def program(drive: Cached) -> list[Any]:
        seen = []
        for model in (TERRA, OLD):
            seen.append(drive.ask(words(1500), model))
            parent = drive.last["id"]
            seen += [drive.ask("ping", model, previous_response_id=parent) for _ in range(2)]
            drive.advance(seconds=700)
            seen.append(drive.ask("ping", model, previous_response_id=parent))
        return seen

    other = Cached(Engine(Settings(clock=NOON), store=SQLiteStore(":memory:")))
    assert program(Cached()) == program(other)


# --- properties ------------------------------------------------------------------------------------------------------

TURNS = st.lists(st.integers(1, 400), min_size=1, max_size=6)


@examples(60)
@given(st.sampled_from([TERRA, LAST, OLD, NEWER, "o3"]), st.integers(900, 1200), TURNS, st.booleans())
def test_chains_are_replays_and_never_forget(model: str, start: int, turns: list[int], thinks: bool) -> None:
    reply = {"text": "pong", **({"reasoning": words(90)} if thinks and model != OLD else {})}
    chain, replay = Cached(), Cached()
    told = chain.ask(words(start), model, reply=dict(reply))
    assert told == replay.ask(words(start), model, reply=dict(reply))
    items: list[Any] = [user(words(start))]
    before = 0
    for number in turns:
        parent = chain.last["id"]
        items += [*replay.last["output"], user(words(number))]
        told = chain.ask(words(number), model, previous_response_id=parent, reply=dict(reply))
        assert told == replay.ask(items, model, reply=dict(reply))
        tokens, cached, written = told
        assert before <= cached <= tokens
        assert cached + written <= tokens
        assert model in (TERRA, LAST) or cached % 128 == 0
        before = cached
        again = chain.ask(words(number), model, previous_response_id=parent, reply=dict(reply))
        assert again[1] >= cached and again[2] == 0
        if tokens >= 1024:
            assert again[1] == (tokens - 3 if model in (TERRA, LAST) else tokens // 128 * 128)


@examples(60)
@given(
    st.sampled_from([TERRA, OLD, "gpt-5"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 900)), min_size=1, max_size=8),
)
def test_any_program_of_prompts_stays_within_its_input(model: str, program: list[tuple[int, int]]) -> None:
    drive = Cached()
    for number, seconds in program:
        tokens, cached, written = drive.ask(words(1 + number), model)
        assert 0 <= cached <= tokens and 0 <= written <= tokens - cached
        drive.advance(seconds=seconds)
