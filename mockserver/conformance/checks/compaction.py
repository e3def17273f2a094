"""Fixed rules about compaction: in a response, by a trigger item, by its own endpoint (R5.1–R5.10, R2.21, R3.3b)."""

from __future__ import annotations

from typing import Any

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import (
    FORCED,
    Item,
    ServerUnderTest,
    call_of,
    output_for,
    texts_of,
    user,
    words,
)

CHAT = "gpt-4.1"
# Exact figures, because the threshold is exact (R5.2): 1,000 tokens do not compact, 1,001 do.
_FRAME = 7  # what a request with one user message costs besides its text, on gpt-4.1
_WINDOW = 128_000


def _over(threshold: int) -> Item:
    return {"context_management": [{"type": "compaction", "compact_threshold": threshold}], "model": CHAT}


def _compactions(output: list[Item]) -> list[Item]:
    return [item for item in output if item["type"] == "compaction"]


def _create_over_threshold(s: ServerUnderTest, **fields: Any) -> Item:
    """Create a response whose context is compacted, from an input of 2,000 tokens."""
    response = dict(s.create(words(2000), **_over(1000), **fields))
    s.check_equal("compaction items", len(_compactions(response["output"])), 1)
    return response


@rule("R5.1")
def _the_shape_of_context_management(s: ServerUnderTest) -> None:
    wrong = expected_errors.wrong_type("context_management", "an array of objects", "a string")
    s.check_create_refused(wrong, context_management="compaction")
    s.check_create_refused(
        expected_errors.wrong_type("context_management", "an array of objects", "an object"), context_management={}
    )
    response = s.create(**_over(1000))
    s.check_equal("status below the threshold", response["status"], "completed")
    s.check_equal("compaction items", _compactions(response["output"]), [])
    s.check("context_management is not echoed", "context_management" not in response)


@rule("R5.2", models=(CHAT,))
def _what_sets_it_off(s: ServerUnderTest) -> None:
    path = "context_management[0].compact_threshold"
    s.check_create_refused(expected_errors.too_small(path, 1000, 1), **_over(1))
    s.check_create_refused(expected_errors.too_small(path, 1000, 999), **_over(999))
    for tokens, expected in ((1000, 0), (1001, 1), (1500, 1)):
        response = s.create(words(tokens - _FRAME), **_over(1000))
        s.check_equal("input tokens", response["usage"]["input_tokens"], tokens)
        s.check_equal(f"compaction items at {tokens} of 1000 tokens", len(_compactions(response["output"])), expected)
    first = s.create(words(900), model=CHAT)
    chained = s.chain(first, words(900), **_over(1000))
    s.check_equal("compaction items of a chain over it", len(_compactions(chained["output"])), 1)


@rule("R5.3", models=(CHAT,))
def _the_same_response_goes_on(s: ServerUnderTest) -> None:
    if s.mock:
        s.script({"text": "one two three"})
    # The same text twice, so that what compacting costs is the difference of two usages.
    plain = s.create(words(2000), model=CHAT)
    if s.mock:
        s.script({"text": "one two three"})
    response = s.create(words(2000), **_over(1000))
    types = [item["type"] for item in response["output"]]
    s.check_equal("status", response["status"], "completed")
    s.check_equal("output", sorted(types), ["compaction", "message"])
    s.check_equal("input tokens, uncompacted", response["usage"]["input_tokens"], plain["usage"]["input_tokens"])
    s.check(
        "the pass is billed as output",
        response["usage"]["output_tokens"] > plain["usage"]["output_tokens"],
        response["usage"],
    )
    item = _compactions(response["output"])[0]
    s.check_equal("members of the item", sorted(item), ["encrypted_content", "id", "type"])
    s.check("its id begins with cmp_", item["id"].startswith("cmp_"), item["id"])
    if s.mock:
        s.check_equal("position, last by default", types, ["message", "compaction"])
        calling = s.create(words(2000), **_over(1000), **FORCED)
        call = call_of(calling)
        s.check_create_refused(
            expected_errors.no_tool_output(call["call_id"]), "next", previous_response_id=calling["id"], model=CHAT
        )
        answered = s.chain(calling, [output_for(call)], model=CHAT)
        s.check_equal("status once a call from before it is answered", answered["status"], "completed")
    _stream(s)


def _stream(s: ServerUnderTest) -> None:
    events = s.stream(words(2000), **_over(1000))
    about = [event for event in events if event.get("item", {}).get("type") == "compaction"]
    types = [event["type"] for event in about]
    s.check_equal("events of the item", types, ["response.output_item.added", "response.output_item.done"])
    sizes = [len(event["item"]["encrypted_content"]) for event in about]
    s.check("its content is shorter when it is added", sizes[0] < sizes[1], sizes)
    s.check_equal("what was done", about[1]["item"], _compactions(events[-1]["response"]["output"])[0])


@rule("R5.4", models=(CHAT,))
def _what_comes_before_is_neither_read_nor_billed(s: ServerUnderTest) -> None:
    if s.mock:
        s.script({"text": "one two three"})
    response = _create_over_threshold(s)
    # Billing is what shows on every server that earlier items are ignored; contexts can be read on the mock
    # alone.
    answer = response["output"]
    whole = s.count(model=CHAT, input=[user(words(2000)), *answer, user("next")])
    short = s.count(model=CHAT, input=[*_compactions(answer), user("next")])
    s.check_equal("cost with all that came before", whole, short)
    s.check("less than what was compacted", short < 2000, short)
    chained = s.chain(response, "next", model=CHAT)
    s.check_equal("input tokens of the chained turn", chained["usage"]["input_tokens"], short)
    replayed = s.create([user(words(2000)), *answer, user("next")], model=CHAT, store=False)
    s.check_equal("input tokens of the replayed turn", replayed["usage"]["input_tokens"], short)
    later = s.chain(chained, "and next", model=CHAT)
    known = s.count(model=CHAT, input=[*_compactions(answer), user("next"), *chained["output"], user("and next")])
    s.check_equal("input tokens of the turn after that", later["usage"]["input_tokens"], known)
    if s.mock:
        s.check_context(chained, *_compactions(answer), "next")
        s.script({"text": "{{ context_text }}"})
        # A template prints the context that the model reads, so the claim is not about the mock's own
        # records.
        read = texts_of(s.chain(response, "next", model=CHAT)["output"])[0]
        s.check(
            "the model reads no more than that", "next" in read and "word" not in read and "three" not in read, read
        )
        s.check_context(later, *_compactions(answer), "next", *chained["output"], "and next")
        hidden = response["usage"]["output_tokens"] - 4
        s.check_equal("cost of the item: the pass, and 80", short - s.count(model=CHAT, input="next"), hidden + 80)


@rule("R5.5", models=(CHAT,))
def _compaction_without_storage(s: ServerUnderTest) -> None:
    response = _create_over_threshold(s, store=False)
    s.check_error(expected_errors.no_response(response["id"]), "GET", f"/responses/{response['id']}")
    s.check_create_refused(expected_errors.no_parent(response["id"]), previous_response_id=response["id"], model=CHAT)
    replayed = s.create([*_compactions(response["output"]), user("next")], model=CHAT, store=False)
    s.check_equal("status of a turn that continues from the item", replayed["status"], "completed")


def _compact(s: ServerUnderTest, **body: Any) -> Item:
    return dict(s.call_ok("POST", "/responses/compact", {"model": CHAT, **body}))


@rule("R5.6", models=(CHAT, "gpt-4o-mini"))
def _compacting_is_stateless(s: ServerUnderTest) -> None:
    s.check_error(
        expected_errors.ExpectedError(
            "E8", 400, "missing_required_parameter", "model", "Missing required parameter: 'model'."
        ),
        "POST",
        "/responses/compact",
        {"input": "x"},
    )
    first, talk = s.create("one", model=CHAT), s.conversation(user("a"))
    done = _compact(s, input=[], previous_response_id=first["id"])
    s.check_error(expected_errors.no_response(done["id"]), "GET", f"/responses/{done['id']}")
    if s.has("input items"):
        s.check_equal("input items of the chain", texts_of(s.inputs(first)), ["one"])
    s.check_equal("items of a conversation", len(s.items(talk)), 1)
    over = {"model": "gpt-4o-mini", "input": words(_WINDOW + 200)}
    s.check_error(expected_errors.context_too_long()._replace(guessed=("param",)), "POST", "/responses/compact", over)


@rule("R5.7", models=(CHAT,))
def _what_compacting_returns(s: ServerUnderTest) -> None:
    first = s.create([user("one"), {"role": "developer", "content": "be kind"}, user("two")], model=CHAT)
    window = [user("one"), {"role": "developer", "content": "be kind"}, user("two"), *first["output"], user("three")]
    done = _compact(s, input="three", previous_response_id=first["id"])
    *messages, last = done["output"]
    s.check_equal("user messages, in order", texts_of(messages), ["one", "two", "three"])
    s.check_equal("roles", {item["role"] for item in messages}, {"user"})
    s.check_equal(
        "types, the compaction last", [item["type"] for item in done["output"]], ["message"] * 3 + ["compaction"]
    )
    if s.has("input items"):
        stored = [item["id"] for item in s.inputs(first)[::2]]
        s.check_equal("ids of what was stored", [item["id"] for item in messages[:2]], stored)
    again = _compact(s, input=[*done["output"], user("four")])
    s.check_equal("fed back", texts_of(again["output"])[:-1], ["one", "two", "three", "four"])
    s.check_equal("compaction items", len(_compactions(again["output"])), 1)
    following = s.create([*done["output"], user("next")], model=CHAT)
    if s.lenient:
        return
    s.check_members("result", done, object="response.compaction")
    s.check_equal("members", sorted(done), ["created_at", "id", "object", "output", "usage"])
    if s.mock:
        ids = [done["id"], last["id"], messages[2]["id"]]
        s.check_equal(
            "marks of ids that are new, for nothing is stored", [id.partition("_")[2][16:18] for id in ids], ["01"] * 3
        )
    usage = done["usage"]
    s.check_equal("total tokens", usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
    s.check_equal("input tokens: the window, and 93", usage["input_tokens"], s.cost(window, model=CHAT) + 93)
    # 80 tokens are the item's own frame in later turns, 93 those of the pass over the window (T10).
    cost = s.cost([last, user("next")], model=CHAT) - s.cost("next", model=CHAT)
    s.check_equal("what the item costs later: the pass, and 80", cost, usage["output_tokens"] + 80)
    known = s.cost([last, user("next")], model=CHAT)
    s.check_equal("input tokens after it", following["usage"]["input_tokens"], known)


@rule("R5.8", models=(CHAT,))
def _the_result_is_no_response(s: ServerUnderTest) -> None:
    done = _compact(s, input="one")
    s.check_error(expected_errors.no_response(done["id"]), "GET", f"/responses/{done['id']}")
    s.check_create_refused(expected_errors.no_parent(done["id"]), previous_response_id=done["id"], model=CHAT)
    s.check_error(expected_errors.no_response(done["id"]), "GET", f"/responses/{done['id']}/input_items")


@rule("R5.9", models=(CHAT,))
def _a_trigger_forces_it(s: ServerUnderTest) -> None:
    trigger = {"type": "compaction_trigger"}
    response = s.create([user("one"), trigger], model=CHAT)
    s.check_equal("compaction items", len(_compactions(response["output"])), 1)
    if s.has("input items"):
        s.check_equal("input items, the trigger not among them", texts_of(s.inputs(response)), ["one"])
    chained = s.chain(s.create("one", model=CHAT), [user("two"), trigger], model=CHAT)
    s.check_equal("compaction items of a chain", len(_compactions(chained["output"])), 1)
    if s.mock:
        s.check_equal("the whole output", [item["type"] for item in response["output"]], ["compaction"])
    early = s.call("POST", "/responses", {"model": CHAT, "input": [trigger, user("one")]})
    s.check_equal("status of a trigger that is not last", early.status, 400)
    if s.mock:
        update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
        body = {"model": "gpt-6-astra", "input": [user("one"), update]}
        window = s.call_ok("POST", "/responses/compact", body)["output"]
        s.check_equal("compaction items of a context with an update", len(_compactions(window)), 1)
        s.check_equal(
            "status with the update sent again", s.create([*window, update], model="gpt-6-astra")["status"], "completed"
        )
        automatic = {**body, **_over(1000), "model": "gpt-6-astra", "input": [user(words(2000)), update]}
        done = s.call_ok("POST", "/responses", automatic)
        s.check_equal("compaction items with context_management", len(_compactions(done["output"])), 1)


@rule("R5.10", models=(CHAT,))
def _its_content_is_verified(s: ServerUnderTest) -> None:
    item = _compact(s, input="one")["output"][-1]
    blob = item["encrypted_content"]
    s.check("its content looks sealed", blob.startswith("gAAAAAB"), blob[:12])
    s.check_equal("status with the item", s.create([item, user("next")], model=CHAT)["status"], "completed")
    # One character in the middle: a server that only checks the prefix accepts it.
    middle = len(blob) // 2
    for broken in (blob[:middle] + ("A" if blob[middle] != "A" else "B") + blob[middle + 1 :], "gAAAAABforeign"):
        error = expected_errors.unverifiable(f"for item {item['id']}")
        s.check_create_refused(error, [{**item, "encrypted_content": broken}, user("next")], model=CHAT)
        answer = s.call("POST", "/responses/compact", {"model": CHAT, "input": [{**item, "encrypted_content": broken}]})
        s.check_equal("what /compact says to it", answer.status, 400)


@rule("R2.21", models=(CHAT,))
def _in_a_conversation_it_is_an_item(s: ServerUnderTest) -> None:
    talk = s.conversation()
    response = _create_over_threshold(s, conversation=talk["id"])
    ids = [item["id"] for item in s.items(talk)]
    s.check_equal("items of the conversation", ids[1:], [item["id"] for item in response["output"]])
    later = s.create("next", conversation=talk["id"], model=CHAT)
    known = s.count(model=CHAT, input=[*_compactions(response["output"]), user("next")])
    s.check_equal("input tokens of the next turn", later["usage"]["input_tokens"], known)


@rule("R3.3b", models=(CHAT,))
def _stored_input_stays_as_it_was(s: ServerUnderTest) -> None:
    first = s.create("one", model=CHAT)
    second = s.chain(first, words(2000), **_over(1000))
    s.check_equal("compaction items", len(_compactions(second["output"])), 1)
    expected = ["one", *texts_of(first["output"]), words(2000)]
    s.check_equal("input items of the compacted turn", texts_of(s.inputs(second)), expected)
    third = s.chain(second, "next", model=CHAT)
    everything = [*expected, *texts_of(second["output"]), "next"]
    s.check_equal("input items of the next turn", texts_of(s.inputs(third)), everything)
