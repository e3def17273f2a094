"""Fixed rules about a request's own items: calls, outputs, references, ids, reasoning (R1.33–R1.44, R11.4, R11.5)."""

from __future__ import annotations

from typing import Any

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import (
    DAY,
    FORCED,
    NOWHERE,
    TOOL,
    Item,
    ServerUnderTest,
    call_of,
    output_for,
    texts_of,
    user,
)

EXACT = "gpt-5.2"  # a model that reasons, reports its reasoning exactly, and doesn't reread old reasoning
PREFIXED = "gpt-6.2-astra"  # a model that reads reasoning only after the history that it was thought after
_SEALED = {"include": ["reasoning.encrypted_content"]}


def _inline_call(call_id: str, kind: str = "function_call") -> Item:
    body = {"input": "x"} if kind == "custom_tool_call" else {"arguments": "{}"}
    return {"type": kind, "call_id": call_id, "name": "lookup", **body}


@rule("R1.33")
def _a_call_has_to_be_answered(s: ServerUnderTest) -> None:
    calling = s.create("look it up", **FORCED)
    call = call_of(calling)
    s.check_create_refused(expected_errors.no_tool_output(call["call_id"]), "well?", previous_response_id=calling["id"])
    s.check_create_refused(expected_errors.no_tool_output(call["call_id"]), [user("a"), *calling["output"], user("b")])
    s.check_create_refused(expected_errors.no_tool_output("call_x"), [user("a"), _inline_call("call_x")])
    s.check_create_refused(
        expected_errors.no_tool_output("call_y"), [user("a"), _inline_call("call_y", "custom_tool_call")]
    )
    both = [_inline_call("call_a"), _inline_call("call_b"), output_for({"call_id": "call_a"})]
    s.check_create_refused(expected_errors.no_tool_output("call_b"), [user("a"), *both])
    answered = s.chain(calling, [output_for(call)])
    s.check_equal("status with the output", answered["status"], "completed")
    s.check_context(answered, "look it up", *calling["output"], output_for(call))
    if answered["output"][-1]["type"] == "message":
        s.check_equal("status of a plain turn afterwards", s.chain(answered, "thanks")["status"], "completed")


@rule("R1.34", "R11.4")
def _an_output_needs_its_call(s: ServerUnderTest) -> None:
    stray = output_for({"call_id": "call_nobody"})
    plain, talk = s.create(), s.conversation()
    s.check_create_refused(expected_errors.no_tool_call("call_nobody"), [user("a"), stray])
    s.check_create_refused(expected_errors.no_tool_call("call_nobody"), [stray], previous_response_id=plain["id"])
    s.check_create_refused(expected_errors.no_tool_call("call_nobody"), [stray], conversation=talk["id"])
    s.check_equal("items of the conversation after the refusal", s.items(talk), [])
    # In another order than their calls: outputs pair by call_id, not by place.
    calls = [_inline_call("call_a"), _inline_call("call_b")]
    outputs = [output_for({"call_id": "call_b"}), output_for({"call_id": "call_a"})]
    done = s.create([user("a"), *calls, *outputs])
    s.check_equal("status with two outputs in another order than their calls", done["status"], "completed")
    if s.lenient:  # not every server has searches
        return
    search = {"type": "tool_search_call", "call_id": "call_c", "execution": "client", "arguments": {"goal": "x"}}
    found = s.create([user("a"), search, output_for(search)], model="gpt-5.6-terra")
    s.check_equal("status with an output for a search of the client", found["status"], "completed")


@rule("R1.35")
def _a_conversation_stays_stuck_on_a_call(s: ServerUnderTest) -> None:
    # The two ways out of a stuck conversation; each needs a conversation of its own.
    for supplied in (True, False):
        talk = s.conversation()
        calling = s.create("look it up", conversation=talk["id"], **FORCED)
        call = call_of(calling)
        before = s.items(talk)
        for _ in range(2):
            s.check_create_refused(expected_errors.no_tool_output(call["call_id"]), "well?", conversation=talk["id"])
        s.check_equal("items after the refusals", s.items(talk), before)
        if supplied:
            later = s.create([output_for(call)], conversation=talk["id"], tools=[TOOL])
        else:
            s.drop(talk, call)
            later = s.create("well?", conversation=talk["id"])
        s.check_equal("status once the call is answered or gone", later["status"], "completed")


@rule("R1.36")
def _no_item_stands_twice(s: ServerUnderTest) -> None:
    response = s.create("one")
    message = response["output"][-1]
    reference = {"type": "item_reference", "id": message["id"]}
    s.check_create_refused(expected_errors.twice(message["id"]), [reference, reference, user("a")])
    s.check_create_refused(
        expected_errors.twice(message["id"]), [reference, user("a")], previous_response_id=response["id"]
    )
    s.check_create_refused(
        expected_errors.twice(message["id"]), [message, user("a")], previous_response_id=response["id"]
    )
    s.check_create_refused(expected_errors.twice("msg_own"), [user("a", id="msg_own"), user("b", id="msg_own")])
    talk = s.conversation(user("a", id="msg_own"))
    s.check_create_refused(expected_errors.twice("msg_own"), [user("b", id="msg_own")], conversation=talk["id"])
    if s.mock:
        again, path = user("b", id="msg_own"), f"/conversations/{talk['id']}/items"
        s.check_error(expected_errors.twice("msg_own"), "POST", path, {"items": [again]})
        s.check_error(
            expected_errors.twice("msg_new"),
            "POST",
            path,
            {"items": [user("c", id="msg_new"), user("d", id="msg_new")]},
        )
        s.check_equal("items after the refusals", texts_of(s.items(talk)), ["a"])
    output = {**output_for({"call_id": "call_a"}), "id": "fc_own"}
    s.create([user("a"), _inline_call("call_a"), output, output])
    s.claims.append("tool outputs are exempt, they pair by call_id")


@rule("R1.37")
def _references_name_stored_items(s: ServerUnderTest) -> None:
    response, unstored = s.create("one"), s.create("one", store=False)
    message = response["output"][-1]
    reference = {"type": "item_reference", "id": message["id"]}
    s.check_context(s.create([reference, user("a")]), message, "a")
    s.check_context(s.create([{"id": message["id"]}, user("a")]), message, "a")
    s.check_context(s.create([message, user("a")]), message, "a")
    unknown = f"msg_{NOWHERE}"
    for id in (unknown, unstored["output"][-1]["id"]):
        nothing = {"type": "item_reference", "id": id}
        s.check_create_refused(expected_errors.no_item(id), [nothing, user("a")])
        s.check_create_refused(expected_errors.no_item_without_store(id), [nothing, user("a")], store=False)
    if s.mock:
        s.freeze()
        deleted, expired = s.create("two"), s.create("three")
        s.delete(deleted)
        s.advance(30 * DAY)
        # An item is as lost by age as by deletion, and by reference as with its content.
        for gone in (deleted, expired):
            id = gone["output"][-1]["id"]
            s.check_create_refused(expected_errors.no_item(id), [{"type": "item_reference", "id": id}, user("a")])
            s.check_create_refused(expected_errors.no_item(id), [*gone["output"], user("a")])
    lost = {**message, "id": unknown}
    s.check_create_refused(expected_errors.no_item(unknown), [lost, user("a")])
    s.check_create_refused(expected_errors.no_item_without_store(unknown), [lost, user("a")], store=False)


@rule("R1.38")
def _what_ids_clients_may_give(s: ServerUnderTest) -> None:
    s.check_create_refused(expected_errors.wrong_prefix("input[0].id", "rs_own", "msg"), [user("a", id="rs_own")])
    call = {**_inline_call("call_a"), "id": "msg_own"}
    s.check_create_refused(expected_errors.wrong_prefix("input[0].id", "msg_own", "fc"), [call, output_for(call)])
    s.check_create_refused(expected_errors.bad_id("input[0].id", "msg_ä b"), [user("a", id="msg_ä b")])
    longest = "msg_" + "a" * 60
    kept = s.create([user("a", id=longest)])
    s.check_equal("status with an id of 64 characters", kept["status"], "completed")
    if s.has("input items"):
        s.check_equal("an id of 64 characters is kept", s.inputs(kept)[0]["id"], longest)
    s.check_create_refused(expected_errors.too_long("input[0].id", 64, 65), [user("a", id=longest + "a")])
    s.check_create_refused(expected_errors.twice("msg_own"), [user("a", id="msg_own"), user("b", id="msg_own")])


@rule("R1.39", models=(EXACT,))
def _reasoning_may_stand_where_it_likes(s: ServerUnderTest) -> None:
    calling = s.create("look it up", model=EXACT, reasoning={"effort": "medium"}, **FORCED, **_SEALED)
    thought = [item for item in calling["output"] if item["type"] == "reasoning"]
    s.check("the model reasons first", thought, calling["output"])
    call = call_of(calling)
    alone = s.create([user("a"), *thought, user("b")], model=EXACT)
    s.check_equal("status of a history with stray reasoning", alone["status"], "completed")
    without = s.create([user("a"), call, output_for(call)], model=EXACT)
    s.check_equal("status of a history with its reasoning dropped", without["status"], "completed")


@rule("R1.40", "R11.5", models=(EXACT,))
def _reasoning_counts_behind_the_last_user_message_only(s: ServerUnderTest) -> None:
    calling = s.create("look it up", model=EXACT, reasoning={"effort": "medium"}, **FORCED, **_SEALED)
    thought = [item for item in calling["output"] if item["type"] == "reasoning"]
    tokens = calling["usage"]["output_tokens_details"]["reasoning_tokens"]
    s.check("the model reasons first", thought and tokens, calling["output"])
    call = call_of(calling)
    loop = [call, output_for(call)]
    fresh = s.cost(model=EXACT, input=[user("look it up"), *thought, *loop])
    dropped = s.cost(model=EXACT, input=[user("look it up"), *loop])
    s.check_equal("what reasoning in a tool loop costs", fresh - dropped, tokens + 2)
    # A user message ends the tool loop, so the same reasoning costs nothing from here on (R1.40).
    over = [user("and now?")]
    old = s.cost(model=EXACT, input=[user("look it up"), *thought, *loop, *over])
    none = s.cost(model=EXACT, input=[user("look it up"), *loop, *over])
    s.check_equal("what reasoning before the last user message costs", old - none, 0)
    chained = s.chain(calling, [output_for(call)], model=EXACT)
    s.check_equal("input tokens of the chained loop", chained["usage"]["input_tokens"], fresh)


def _thoughts(response: Item) -> list[Item]:
    return [item for item in response["output"] if item["type"] == "reasoning"]


@rule("R1.41", models=("gpt-5.4",))
def _when_reasoning_is_sealed(s: ServerUnderTest) -> None:
    thinking: dict[str, Any] = {"model": "gpt-5.4", "reasoning": {"effort": "medium"}}
    stateless, plain = s.create(store=False, **thinking), s.create(**thinking)
    included = s.create(**thinking, **_SEALED)
    s.check("the model reasons", all(map(_thoughts, (stateless, plain, included))))
    s.check(
        "encrypted_content when nothing is stored", all(item.get("encrypted_content") for item in _thoughts(stateless))
    )
    s.check("encrypted_content when included", all(item.get("encrypted_content") for item in _thoughts(included)))
    if s.mock:
        s.check("encrypted_content unasked", all(item.get("encrypted_content") for item in _thoughts(plain)))
        s.check("encrypted_content on GET", all(item.get("encrypted_content") for item in _thoughts(s.get(plain))))
        listed = [item for item in s.inputs(s.chain(plain, **thinking)) if item["type"] == "reasoning"]
        s.check("encrypted_content on lists", listed and all(item.get("encrypted_content") for item in listed))


@rule("R1.42", models=("gpt-5.4",))
def _sealed_reasoning_is_verified(s: ServerUnderTest) -> None:
    thinking: dict[str, Any] = {"model": "gpt-5.4", "reasoning": {"effort": "medium"}}
    response = s.create("one", store=False, **thinking, **_SEALED)
    thought = _thoughts(response)[0]
    rest = [item for item in response["output"] if item["type"] != "reasoning"]
    blob = thought["encrypted_content"]
    # Near the start, in the middle and in the signature at the end.
    for index in (10, len(blob) // 2, len(blob) - 6):
        broken = {
            **thought,
            "encrypted_content": blob[:index] + ("A" if blob[index] != "A" else "B") + blob[index + 1 :],
        }
        error = expected_errors.unverifiable(f"for item {thought['id']}")
        s.check_create_refused(error, [user("one"), broken, *rest, user("two")], store=False, **thinking)
    foreign = {**thought, "encrypted_content": "gAAAAABnothing"}
    s.check_create_refused(
        expected_errors.unverifiable(f"for item {thought['id']}"),
        [user("one"), foreign, *rest],
        store=False,
        **thinking,
    )
    edited = s.create([user("another question"), thought, *rest, user("two")], store=False, **thinking)
    s.check_equal("status with earlier history edited", edited["status"], "completed")
    if s.mock:
        recorded = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABrecorded"}
        s.script({"output": [recorded, {"type": "message", "text": "done"}]})
        scripted = s.create("one", store=False, **thinking)
        s.check_equal("a scripted blob", _thoughts(scripted)[0]["encrypted_content"], "gAAAAABrecorded")
        again = s.create([user("one"), *scripted["output"], user("two")], store=False, **thinking)
        s.check_equal("status with a scripted blob sent back", again["status"], "completed")


@rule("R1.46", models=(PREFIXED,))
def _reasoning_is_withheld_after_an_edit(s: ServerUnderTest) -> None:
    thinking: dict[str, Any] = {"model": PREFIXED, "reasoning": {"effort": "high"}, "store": False, **_SEALED}
    response = s.create("Is 91 a prime?", **thinking)
    s.check("the model reasons", _thoughts(response), response["output"])
    later = [*response["output"], user("And 97?")]
    appended = s.create([user("Is 91 a prime?"), *later], **thinking)
    s.check("no input_transformations after appended items", not appended.get("input_transformations"))
    edited = s.create([user("Is 93 a prime?"), *later], **thinking)
    s.check_equal("status after an edit", edited["status"], "completed")
    entries = edited.get("input_transformations") or []
    s.check_equal(
        "reasoning withheld after an edit",
        [(entry["id"], entry["type"], entry["action"]) for entry in entries],
        [(item["id"], "reasoning", "removed") for item in _thoughts(response)],
    )
    if s.mock:
        s.check_equal("reasons", {entry["reason"] for entry in entries}, {"prefix_mismatch"})
    chained = s.chain(s.create("Is 91 a prime?", **{**thinking, "store": True}), **thinking)
    s.check("no input_transformations in a chain", not chained.get("input_transformations"))


@rule("R1.43")
def _replaying_by_hand_equals_chaining(s: ServerUnderTest) -> None:
    history: list[Item] = [user("one")]
    turn = s.create("one")
    for text in ("two", "three"):
        history += [*turn["output"], user(text)]
        turn = s.chain(turn, text)
    replayed = s.create(history, store=False)
    if not s.lenient:
        s.check_equal("input tokens", replayed["usage"]["input_tokens"], turn["usage"]["input_tokens"])
    else:
        s.check_context(replayed, *history)
        s.check_context(turn, *history)
    stored = s.create(history)
    if s.mock:
        contexts = [
            s.driver.control("GET", f"/responses/{response['id']}/context")["items"] for response in (stored, turn)
        ]
        stories = [[(item["type"], item.get("role"), item.get("content")) for item in items] for items in contexts]
        s.check_equal("what the model saw", stories[0], stories[1])


_PARTS = (
    ("user", "output_text", ("input_text", "input_image", "input_file", "scoped_content", "input_audio")),
    ("system", "refusal", ("input_text", "input_image", "input_file", "scoped_content", "input_audio")),
    ("developer", "output_text", ("input_text", "input_image", "input_file", "scoped_content", "input_audio")),
    ("assistant", "input_text", ("output_text", "refusal")),
)


@rule("R1.44")
def _which_parts_a_role_may_have(s: ServerUnderTest) -> None:
    for role, kind, allowed in _PARTS:
        part = {"type": kind, "refusal" if kind == "refusal" else "text": "x"}
        item = {"type": "message", "role": role, "content": [part]}
        s.check_create_refused(expected_errors.not_one_of("input[0].content[0]", kind, allowed), [item])
    parts = [{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "no"}]
    response = s.create([{"type": "message", "role": "assistant", "content": parts}, user("a")])
    s.check_equal("status with output_text and refusal of the assistant", response["status"], "completed")
