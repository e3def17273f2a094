"""Fixed rules about `previous_response_id`: what a chain inherits, what can be continued (R1.20–R1.32, R1.45)."""

from __future__ import annotations

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import (
    DAY,
    FORCED,
    NOWHERE,
    SLOW_S,
    TOOL,
    ServerUnderTest,
    call_of,
    output_for,
    user,
)


@rule("R1.20")
def _the_context_is_every_ancestor_oldest_first(s: ServerUnderTest) -> None:
    first = s.create([user("one"), user("two")])
    second = s.chain(first, "three")
    third = s.chain(second, [user("four"), user("five")])
    s.check_context(third, "one", "two", *first["output"], "three", *second["output"], "four", "five")
    s.check_context(second, "one", "two", *first["output"], "three")


@rule("R1.21")
def _instructions_are_not_inherited(s: ServerUnderTest) -> None:
    ruled = {"type": "message", "role": "developer", "content": "Be kind."}
    first = s.create([ruled, user("one")], instructions="Answer in verse, always, and at length.")
    s.check_equal("instructions of the first turn", first["instructions"], "Answer in verse, always, and at length.")
    second = s.chain(first, "two")
    s.check_equal("instructions of the second turn", second["instructions"], None)
    s.check_context(second, ruled, "one", *first["output"], "two")
    s.check_instructions(second, None)
    if s.has("count"):
        # Instructions leave no item, so the token count shows on every server whether they were inherited.
        known = s.count(input=[ruled, user("one"), *first["output"], user("two")])
        what = "input tokens, the first turn's instructions not among them"
        s.check_equal(what, second["usage"]["input_tokens"], known)
    third = s.chain(second, "three", instructions="Short.")
    s.check_equal("instructions of the third turn", third["instructions"], "Short.")
    s.check_instructions(third, "Short.")


# Every member that a request can set, each with a value that is not its default: an inherited one would show.
_OWN = {
    "tools": [TOOL],
    "tool_choice": "none",
    "text": {"format": {"type": "json_object"}},
    "temperature": 0.5,
    "top_p": 0.5,
    "metadata": {"k": "v"},
    "max_output_tokens": 500,
    "max_tool_calls": 3,
    "parallel_tool_calls": False,
    "truncation": "auto",
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "p",
    "top_logprobs": 1,
}


@rule("R1.22")
def _nothing_else_is_inherited(s: ServerUnderTest) -> None:
    own = {**_OWN, "service_tier": "flex"} if s.mock else _OWN  # elsewhere not every model has this tier
    first = s.create("json please", **own)
    plain, second = s.create(), s.chain(first)
    for name in own:
        if s.lenient and name not in plain:
            continue
        s.check_equal(f"{name}, as if nothing came before", second.get(name), plain.get(name))
    s.check_equal("store", s.create(store=False, previous_response_id=first["id"])["store"], False)
    third = s.chain(first)
    s.check_equal("store", third["store"], True)
    s.get(third)
    if s.has("tools"):
        calling = s.create("look it up", **FORCED)
        answered = s.chain(calling, [output_for(call_of(calling))])
        calls = [item["name"] for item in answered["output"] if item["type"] == "function_call"]
        s.check_equal("calls of a turn that offers no tools, after one that forced a call", calls, [])


@rule("R1.23")
def _a_parent_excludes_a_conversation(s: ServerUnderTest) -> None:
    both = expected_errors.parent_and_conversation()
    s.check_create_refused(both, previous_response_id=f"resp_{NOWHERE}", conversation=f"conv_{NOWHERE}")
    response, talk = s.create(), s.conversation()
    s.check_create_refused(both, previous_response_id=response["id"], conversation=talk["id"])
    s.check_create_refused(both, previous_response_id=response["id"], conversation={"id": talk["id"]})
    s.check_equal("items of the conversation", s.items(talk), [])


@rule("R1.24")
def _a_parent_has_to_be_there(s: ServerUnderTest) -> None:
    lost = [f"resp_{NOWHERE}", s.create(store=False)["id"]]
    if s.has("delete"):
        deleted = s.create()
        s.delete(deleted)
        lost.append(deleted["id"])
    for id in lost:
        s.check_create_refused(expected_errors.no_parent(id), previous_response_id=id)
        s.check_create_refused(expected_errors.no_parent(id), previous_response_id=id, stream=True)
    if s.mock:
        s.freeze()
        old = s.create()
        s.advance(30 * DAY)
        s.check_create_refused(expected_errors.no_parent(old["id"]), previous_response_id=old["id"])


@rule("R1.25")
def _a_parent_is_named_by_a_string(s: ServerUnderTest) -> None:
    s.check_create_refused(
        expected_errors.wrong_type("previous_response_id", "a string", "an object"), previous_response_id={"id": "x"}
    )
    s.check_create_refused(
        expected_errors.wrong_type("previous_response_id", "a string", "an integer"), previous_response_id=7
    )
    s.check_members("response with a null parent", s.create(previous_response_id=None), previous_response_id=None)


@rule("R1.26")
def _only_the_immediate_parent_is_echoed(s: ServerUnderTest) -> None:
    talk = s.conversation() if s.has("conversations") else None
    first = s.create(**({"conversation": talk["id"]} if talk else {}))
    second = s.chain(first)
    third = s.chain(second)
    s.check_equal("parent of the first", first["previous_response_id"], None)
    s.check_equal("parent of the second", second["previous_response_id"], first["id"])
    s.check_equal("parent of the third", third["previous_response_id"], second["id"])
    if talk:
        s.check_members("the first response", first, conversation={"id": talk["id"]})
    for response in (second, third, s.get(third)):
        s.check("a chained response has no key conversation", "conversation" not in response)


# Nothing of the chain may reach the conversation, so its items are listed before and after.
@rule("R1.27")
def _chaining_out_of_a_conversation_adds_nothing_to_it(s: ServerUnderTest) -> None:
    talk = s.conversation(user("zero"))
    first = s.create("one", conversation=talk["id"])
    before = s.items(talk)
    s.check_equal("number of items", len(before), 3)
    second = s.chain(first, "two")
    s.check_context(second, "zero", "one", *first["output"], "two")
    s.check_equal("items afterwards", s.items(talk), before)


@rule("R1.28")
def _siblings_do_not_see_each_other(s: ServerUnderTest) -> None:
    root = s.create("root")
    left = s.chain(root, "a rather long left question, longer than the other")
    right = s.chain(root, "right")
    # Children of both branches too: a leak between siblings may only show one turn later.
    deeper = s.chain(right, "deeper")
    again = s.chain(left, "again")
    s.check_context(right, "root", *root["output"], "right")
    s.check_context(deeper, "root", *root["output"], "right", *right["output"], "deeper")
    s.check_context(left, "root", *root["output"], "a rather long left question, longer than the other")
    question = "a rather long left question, longer than the other"
    s.check_context(again, "root", *root["output"], question, *left["output"], "again")
    if not s.lenient:  # R1.26 judges it
        s.check_equal("parents", [sibling["previous_response_id"] for sibling in (left, right)], [root["id"]] * 2)


@rule("R1.29")
def _every_turn_pays_for_the_whole_chain(s: ServerUnderTest) -> None:
    history = [user("one two three")]
    turn = s.create(history[0]["content"])
    s.check_equal("input tokens of turn 1", turn["usage"]["input_tokens"], s.cost(history))
    for number in (2, 3):
        history += [*turn["output"], user(f"turn {number}")]
        turn = s.chain(turn, f"turn {number}")
        s.check_equal(f"input tokens of turn {number}", turn["usage"]["input_tokens"], s.cost(history))
    total = turn["usage"]["input_tokens"] + turn["usage"]["output_tokens"]
    s.check_equal("total tokens", turn["usage"]["total_tokens"], total)


@rule("R1.30", models=("gpt-4.1", "gpt-4o-mini"))
def _the_model_may_change(s: ServerUnderTest) -> None:
    first = s.create("one", model="gpt-4o-mini")
    second = s.chain(first, "two", model="gpt-4.1")
    if not s.lenient:
        s.check_equal("models", [first["model"], second["model"]], ["gpt-4o-mini-2024-07-18", "gpt-4.1-2025-04-14"])
    s.check_context(second, "one", *first["output"], "two")
    if s.mock:
        thought = s.create("one", model="gpt-5.4", reasoning={"effort": "medium"})
        message = (
            "Reasoning input items can only be provided to a reasoning or computer use model. "
            "Remove reasoning items from your input and try again."
        )
        error = expected_errors.ExpectedError("E55", 400, None, "input", message)
        s.check_create_refused(error, previous_response_id=thought["id"], model="gpt-4.1")
        later = s.chain(thought, "two", model="gpt-5.2")
        s.check_equal("status with another model that reasons", later["status"], "completed")
        # The reasoning is two turns away now; it is still in the context.
        s.check_create_refused(error, previous_response_id=later["id"], model="gpt-4.1")


# The mock loses the ancestor by age, a foreign server by deletion: its clock can't be moved.
@rule("R1.31")
def _a_lost_ancestor_does_not_break_a_chain(s: ServerUnderTest) -> None:
    if s.mock:
        s.freeze()
    first = s.create("one")
    if s.mock:
        s.advance(10 * DAY)
    second = s.chain(first, "two")
    if s.mock:
        s.advance(20 * DAY)
        s.check_error(expected_errors.no_response(first["id"]), "GET", f"/responses/{first['id']}")
    else:
        s.delete(first)
    third = s.chain(second, "three")
    s.check_context(third, "one", *first["output"], "two", *second["output"], "three")
    s.delete(second)
    s.check_create_refused(expected_errors.no_parent(second["id"]), previous_response_id=second["id"])
    s.check_context(
        s.chain(third, "four"), "one", *first["output"], "two", *second["output"], "three", *third["output"], "four"
    )


@rule("R1.32", needs=("script",))
def _what_status_a_parent_may_have(s: ServerUnderTest) -> None:
    s.script({"text": "cut", "incomplete": "max_output_tokens"})
    cut = s.create("one")
    s.check_equal("status", cut["status"], "incomplete")
    s.check_context(s.chain(cut, "two"), "one", *cut["output"], "two")
    s.script({"failed": {"code": "server_error", "message": "no"}})
    failed = s.create("one")
    s.check_failed(failed)
    s.check_create_refused(expected_errors.no_parent(failed["id"]), previous_response_id=failed["id"])
    if s.mock:
        _check_running_parents(s)


def _check_running_parents(s: ServerUnderTest) -> None:
    s.freeze()
    slow = s.slow("one")
    s.check_equal("status", s.get(slow)["status"], "queued")
    s.check_create_refused(expected_errors.no_parent(slow["id"]), previous_response_id=slow["id"])
    s.advance(SLOW_S + 0.5)
    s.check_equal("status", s.get(slow)["status"], "in_progress")
    s.check_create_refused(expected_errors.no_parent(slow["id"]), previous_response_id=slow["id"])
    s.finish()
    s.check_equal("status", s.chain(slow, "two")["status"], "completed")
    dropped = s.slow("one")
    s.call_ok("POST", f"/responses/{dropped['id']}/cancel")
    s.check_create_refused(expected_errors.no_parent(dropped["id"]), previous_response_id=dropped["id"])


@rule("R1.45")
def _a_prompt_is_looked_up_before_a_parent(s: ServerUnderTest) -> None:
    prompt = {"id": "pmpt_" + "f" * 40}
    s.check_create_refused(
        expected_errors.no_prompt(prompt["id"]), prompt=prompt, previous_response_id=f"resp_{NOWHERE}"
    )
