"""A journal as a history: calls, the contexts of turns, what items are apart from their ids."""

from __future__ import annotations

from typing import Any

from mockserver.core.state import Item
from mockserver.journal.history import by_user, content_of, texts_of
from tests.support.caller import PROJECT, Caller


def history_of(call: Caller) -> Any:
    *_, history = call.app.engine.journal.history(PROJECT)
    return history


def said(items: Any) -> list[str]:
    return [" ".join(texts_of(item)) for item in items]


def test_calls_and_their_contexts() -> None:
    call = Caller()
    first = call.create("one")
    call("GET", f"/v1/responses/{first['id']}")
    second = call.create("two", previous_response_id=first["id"], store=False)
    call.create("three", previous_response_id=second["id"])
    history = history_of(call)
    assert [one.id for one in history.calls] == [1, 2, 3, 4] and [one.id for one in history.turns] == [1, 3, 4]
    one, two, three = history.turns
    answer = "Mock reply to: one [1 items in context]"
    assert said(history.context(two)) == ["one", answer, "two"] and said(one.output) == [answer]
    assert [node.id for node in history.nodes_before(two)] == [first["id"]] == [two.parent]
    assert (three.status, three.error["code"], three.node) == (400, "previous_response_not_found", None)
    assert said(history.context(three))[:2] == ["one", answer]  # what it meant to go on from
    assert history.of_response[second["id"]] is two and history.node("resp_none") is None
    assert one.ended == "delivered" and one.seconds > 0 and 0 < one.began < two.began and not one.staged


def test_conversations_and_unfinished_turns() -> None:
    call = Caller()
    conversation = call("POST", "/v1/conversations", {"items": [{"role": "user", "content": "before"}]})["id"]
    call.levers.enqueue(PROJECT, [{"reply": {"text": "half", "incomplete": "content_filter"}}])
    call.create("one", conversation={"id": conversation})
    call.levers.enqueue(PROJECT, [{"reply": {"text": "slow"}, "pacing": {"first_token": 100}}])
    call.create("two", conversation=conversation, background=True)
    one, two = history_of(call).turns
    assert one.conversation == two.conversation == conversation and one.parent is None
    assert (one.incomplete, two.incomplete, one.staged) == ("content_filter", None, True)
    assert said(history_of(call).context(two)) == ["before", "one", "half", "two"] and said(two.output) == ["slow"]


def test_what_was_sent_is_taken_as_far_as_it_makes_sense() -> None:
    call = Caller()
    for body in (b"{", b"[]", {"input": 7}, {"input": [7, {"role": []}, {"role": "user", "content": "x"}]}):
        call("POST", "/v1/responses", body)
    items = [one.items for one in history_of(call).calls]
    assert items == [[], [], [], [{"role": "user", "content": "x", "type": "message"}]]


def test_an_exchange_says_nothing_of_the_process_to_readers() -> None:
    call = Caller()
    call.create()
    assert "began" not in call.last() and "saw" not in call.last()


def content(type: str, **more: Any) -> Any:
    item: Item = {"type": type, **more}
    return content_of(item)


def test_content_is_what_an_item_is_apart_from_its_id() -> None:
    text = {"type": "input_text", "text": "hi"}
    assert content("message", role="user", content="hi") == content("message", id="msg_1", role="user", content=[text])
    assert content("message", role="user", content="hi") != content("message", role="assistant", content="hi")
    refusal = [{"type": "refusal", "refusal": "no"}]
    assert content("message", role="assistant", content=refusal) == content("message", role="assistant", content="no")
    image = {"type": "input_image", "image_url": "data:,"}
    assert content("message", role="user", content=[image]) != content("message", role="user", content=[text])
    assert content("function_call", id="fc_1", call_id="call_1") == content("function_call", call_id="call_1")
    assert content("function_call", call_id="call_1") != content("function_call_output", call_id="call_1")
    assert content("reasoning", id="rs_1", summary=[]) == content("reasoning", id="rs_1", summary=[{}])
    assert content("item_reference", id="a") != content("item_reference", id="b")
    assert content("program", id="a", code="1") == content("program", code="1") != content("program", code="2")
    assert content("compaction_trigger") == content("compaction_trigger")


def test_what_users_say_may_be_said_twice() -> None:
    assert by_user({"type": "message", "role": "developer"}) and not by_user({"type": "message", "role": "assistant"})
    assert not by_user({"type": "function_call_output"})
