"""The verdict on deliberately wrong clients, and the silence about right ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import APIStatusError, OpenAI

from mockserver import Mock, error, function_call, incomplete, message
from mockserver.journal.client_findings import BACKOFF_S, CHECKS

TOOL: Any = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}

MUCH_LATER_S = 1e9  # on the process's own clock


class Client:
    """OpenAI's client, and how often it was refused."""

    def __init__(self, mock: Mock) -> None:
        self.mock, self.api = mock, OpenAI(base_url=mock.base_url, api_key="any", max_retries=0)

    def ask(self, input: Any = "hi", **more: Any) -> Any:
        return self.api.responses.create(model=more.pop("model", "gpt-5.5"), input=input, **more)

    def refused(self, input: Any = "hi", **more: Any) -> APIStatusError:
        with pytest.raises(APIStatusError) as caught:
            self.ask(input, **more)
        return caught.value

    def call(self, input: Any = "look!", **more: Any) -> Any:
        self.mock.reply([function_call("look", {})])
        return self.ask(input, tools=[TOOL], **more)


@pytest.fixture
def client() -> Iterator[Client]:
    with Mock(seed=3) as mock:
        client = Client(mock)
        yield client
        client.api.close()


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text, **more}


def dumped(response: Any) -> list[Any]:
    return [item.model_dump(exclude_none=True) for item in response.output]


def call_id(response: Any) -> str:
    return str(next(item.call_id for item in response.output if item.type == "function_call"))


def answer(response: Any, said: str = "18") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id(response), "output": said}


def rules(client: Client) -> list[str]:
    return [one.rule for one in client.mock.verdict()]


# --- wrong clients: rule → what one does; returns the exchanges that show it and the items that it is about

Wrong = Callable[[Client], tuple[list[int], list[str]]]


def resends_all(client: Client) -> tuple[list[int], list[str]]:
    first = client.ask("one")
    second = client.ask([user("one"), message_of(first), user("two")], previous_response_id=first.id)
    assert second.status == "completed"
    return [2], [item["id"] for item in client.mock.context(second.id).items[:3] if item["type"] != "reasoning"][1:2]


def message_of(response: Any) -> dict[str, Any]:
    """What a client makes of an answer that keeps its words and its phase alone."""
    phase = next((item.phase for item in response.output if item.type == "message"), None)
    return {"role": "assistant", "content": response.output_text, **({"phase": phase} if phase else {})}


def resends_what_it_said(client: Client) -> tuple[list[int], list[str]]:
    first = client.ask("one")
    second = client.ask("two", previous_response_id=first.id)
    third = client.ask([user("one"), user("two"), user("three")], previous_response_id=second.id)
    items = client.mock.context(third.id).items
    return [3], [one["id"] for one in items if one.get("role") == "user"][:2]


def resends_in_a_conversation(client: Client) -> tuple[list[int], list[str]]:
    conversation = client.api.conversations.create()
    first = client.call(conversation=conversation.id)
    client.ask([answer(first)], conversation=conversation.id)
    client.ask([answer(first), user("and now?")], conversation=conversation.id)
    output = client.mock.journal.last.context
    assert output is not None
    return [4], [next(one["id"] for one in output.items if one["type"] == "function_call_output")]


def resends_the_only_thing_it_said(client: Client) -> tuple[list[int], list[str]]:
    """The commonest way to keep a history twice. Spec: R1.20."""
    first = client.ask("one")
    second = client.ask([user("one"), user("two")], previous_response_id=first.id)
    return [2], [client.mock.context(second.id).items[0]["id"]]


def resends_the_question_with_the_output(client: Client) -> tuple[list[int], list[str]]:
    """What is still to be sent is emptied when the user is answered, not when a response has come. Spec: R1.20."""
    first = client.ask("one")
    second = client.call([user("look!")], previous_response_id=first.id)
    third = client.ask([user("look!"), answer(second)], previous_response_id=second.id)
    said = [item["id"] for item in client.mock.context(third.id).items if item.get("role") == "user"]
    return [3], [said[1]]


def edits_what_was_thought_about(client: Client) -> tuple[list[int], list[str]]:
    """Spec: R1.46."""
    first = client.ask([user("one")], model="gpt-6.2-sol", store=False)
    second = client.ask([user("ine"), *dumped(first), user("two")], model="gpt-6.2-sol", store=False)
    assert second.input_transformations[0].reason == "prefix_mismatch"
    return [2], [first.output[0].id]


def retries_what_is_wrong(client: Client) -> tuple[list[int], list[str]]:
    for _ in range(3):
        client.refused(temperature=9)
    return [1, 2, 3], []


def retries_a_scripted_refusal(client: Client) -> tuple[list[int], list[str]]:
    client.mock.reply(error("invalid_prompt"))
    client.refused("flagged")
    client.ask("flagged")
    return [1, 2], []


def retries_without_credit(client: Client) -> tuple[list[int], list[str]]:
    client.mock.reply(error("credit_balance_exhausted"), error("credit_balance_exhausted"))
    for _ in range(2):
        client.refused()
    return [1, 2], []


def leaves_a_call_unanswered(client: Client) -> tuple[list[int], list[str]]:
    first = client.call()
    client.refused("never mind", previous_response_id=first.id)
    return [2], [call_id(first)]


def replays_without_the_call(client: Client) -> tuple[list[int], list[str]]:
    first = client.call([user("look!")], store=False)
    client.ask([user("look!"), user("well?")], store=False)
    return [1, 2], [call_id(first)]


def replays_without_a_phase(client: Client) -> tuple[list[int], list[str]]:
    client.mock.reply(message("hello", phase="final_answer"))
    first = client.ask("one", store=False)
    client.ask([user("one"), {"role": "assistant", "content": "hello"}, user("two")], store=False)
    return [2], [next(item.id for item in first.output if item.type == "message")]


def replays_an_item_without_its_phase(client: Client) -> tuple[list[int], list[str]]:
    first = client.ask("one")
    output = [{key: value for key, value in item.items() if key != "phase"} for item in dumped(first)]
    for text in ("two", "three"):
        client.ask([user("one"), *output, user(text)])
    return [2, 3], [next(item.id for item in first.output if item.type == "message")]


def chains_on_what_is_not_stored(client: Client) -> tuple[list[int], list[str]]:
    first = client.ask(store=False)
    client.refused("more", previous_response_id=first.id)
    return [1, 2], [first.id]


def names_what_is_not_stored(client: Client) -> tuple[list[int], list[str]]:
    first = client.ask(store=False)
    id = first.output[-1].id
    client.refused([{"type": "item_reference", "id": id}, user("more")])
    return [2], [id]


def chains_on_a_part(client: Client) -> tuple[list[int], list[str]]:
    client.mock.reply(incomplete("max_output_tokens", "once upon a"))
    first = client.ask("a story")
    client.ask("translate the story", previous_response_id=first.id)
    return [1, 2], [first.id]


def replays_a_part_as_whole(client: Client) -> tuple[list[int], list[str]]:
    client.mock.reply(incomplete("max_output_tokens", "once upon a"))
    first = client.ask("a story", store=False)
    output = [{**item, "status": "completed"} if item["type"] == "message" else item for item in dumped(first)]
    client.ask([user("a story"), *output, user("continue")], store=False)
    return [1, 2], [first.id]


def replays_words_of_a_part(client: Client) -> tuple[list[int], list[str]]:
    client.mock.reply(incomplete("max_output_tokens", "once upon a"))
    first = client.ask("a story", model="gpt-4.1", store=False)
    said = {"role": "assistant", "content": "once upon a"}
    client.ask([user("a story"), said, user("a poem")], model="gpt-4.1", store=False)
    return [1, 2], [first.id]


def answers_half_a_call(client: Client) -> tuple[list[int], list[str]]:
    call = {**function_call("look", {}), "status": "incomplete"}
    client.mock.script([{"reply": {"output": [call], "incomplete": "max_output_tokens"}}])
    first = client.ask("look!", tools=[TOOL])
    client.ask([answer(first), user("continue")], previous_response_id=first.id)
    return [1, 2], [first.id]


def sends_an_id_twice(client: Client) -> tuple[list[int], list[str]]:
    client.refused([user("one", id="msg_mine"), user("two", id="msg_mine")])
    return [1], ["msg_mine"]


def gives_an_id_to_two(client: Client) -> tuple[list[int], list[str]]:
    client.ask([user("one", id="msg_mine")])
    client.ask([user("two", id="msg_mine")])
    return [1, 2], ["msg_mine"]


def asks_a_locked_conversation_at_once(client: Client) -> tuple[list[int], list[str]]:
    id = locked(client)
    for _ in range(2):
        client.refused("me too", conversation=id)
    return [3, 4], [id]


def locked(client: Client) -> str:
    """Return a conversation in which a turn runs in the background."""
    conversation = client.api.conversations.create()
    client.mock.script([{"reply": {"text": "slow"}, "pacing": {"first_token": 100}}])
    client.ask("slow", conversation=conversation.id, background=True)
    return conversation.id


WRONG: list[tuple[str, Wrong]] = [
    ("resent_history", resends_all),
    ("resent_history", resends_what_it_said),
    ("resent_history", resends_the_only_thing_it_said),
    ("resent_history", resends_the_question_with_the_output),
    ("resent_history", resends_in_a_conversation),
    ("retried_refusal", retries_what_is_wrong),
    ("retried_refusal", retries_a_scripted_refusal),
    ("retried_refusal", retries_without_credit),
    ("dropped_tool_output", leaves_a_call_unanswered),
    ("dropped_tool_output", replays_without_the_call),
    ("lost_phase", replays_without_a_phase),
    ("lost_phase", replays_an_item_without_its_phase),
    ("edited_prefix", edits_what_was_thought_about),
    ("chained_on_unstored", chains_on_what_is_not_stored),
    ("used_unstored_item", names_what_is_not_stored),
    ("ignored_incomplete", chains_on_a_part),
    ("ignored_incomplete", replays_a_part_as_whole),
    ("ignored_incomplete", replays_words_of_a_part),
    ("ignored_incomplete", answers_half_a_call),
    ("reused_item_id", sends_an_id_twice),
    ("reused_item_id", gives_an_id_to_two),
    ("no_backoff", asks_a_locked_conversation_at_once),
]


def test_every_rule_has_a_wrong_client() -> None:
    assert {rule for rule, _ in WRONG} == set(CHECKS)


@pytest.mark.parametrize(("rule", "wrong"), WRONG, ids=[wrong.__name__ for _, wrong in WRONG])
def test_a_wrong_client_is_told_of_its_one_mistake(client: Client, rule: str, wrong: Wrong) -> None:
    exchanges, items = wrong(client)
    (finding,) = client.mock.verdict()
    assert (finding.rule, list(finding.exchanges), list(finding.items)) == (rule, exchanges, items), finding
    assert finding.sentence.endswith(".") and repr(finding).startswith(f"{rule} (#{exchanges[0]}")
    shown = client.mock.control("GET", "/verdict")["findings"]
    assert shown == [{"rule": rule, "sentence": finding.sentence, "exchanges": exchanges, "items": items}]


def test_a_resent_item_by_its_id_is_told_under_both_rules(client: Client) -> None:
    first = client.ask("one")
    client.refused([*dumped(first), user("two")], previous_response_id=first.id)
    assert rules(client) == ["resent_history", "reused_item_id"]


# --- right clients


def chains(client: Client) -> None:
    first = client.call("yes")
    second = client.ask([answer(first)], previous_response_id=first.id)
    third = client.ask("yes", previous_response_id=second.id)
    client.ask("yes", previous_response_id=third.id)
    client.ask([user("yes"), user("no")], previous_response_id=third.id)
    fourth = client.call("look again!", previous_response_id=third.id)
    client.ask([user("yes"), answer(fourth)], previous_response_id=fourth.id)
    fifth = client.call("yes", previous_response_id=third.id)
    client.ask([answer(fifth), user("yes")], previous_response_id=fifth.id)


def replays(client: Client) -> None:
    for store in (True, False):
        history: list[Any] = [user("look!")]
        first = client.call(history, store=store, include=["reasoning.encrypted_content"])
        history += [*dumped(first), answer(first)]
        second = client.ask(history, store=store, tools=[TOOL], include=["reasoning.encrypted_content"])
        history += [*dumped(second), user("and?")]
        client.ask(history, store=store, include=["reasoning.encrypted_content"])


def changes_what_the_newest_models_may_not_see(client: Client) -> None:
    """Appended items, another effort, fewer turns of reasoning. Spec: R1.46."""
    first = client.ask([user("one")], model="gpt-6.2-sol", store=False)
    history = [user("one"), *dumped(first), user("two")]
    client.ask(history, model="gpt-6.2-sol", store=False, instructions="Be brief.")
    client.ask(history, model="gpt-6.2-sol", store=False, reasoning={"context": "current_turn"})


def replays_words(client: Client) -> None:
    first = client.ask("one", store=False)
    client.ask([user("one"), message_of(first), user("two")], store=False)
    old = client.ask("one", model="gpt-4.1", store=False)
    client.ask([user("one"), {"role": "assistant", "content": old.output_text}, user("two")], model="gpt-4.1")


def converses(client: Client) -> None:
    conversation = client.api.conversations.create(items=[user("yes")])  # type: ignore[list-item]
    first = client.call("yes", conversation=conversation.id)
    client.ask([answer(first)], conversation=conversation.id)
    client.ask("yes", conversation=conversation.id)
    client.api.conversations.items.list(conversation.id)


def mends_what_was_refused(client: Client) -> None:
    conversation = client.api.conversations.create()
    first = client.call(conversation=conversation.id)
    client.mock.reply("done")
    client.refused("well?", conversation=conversation.id)
    (item,) = client.api.conversations.items.create(conversation.id, items=[answer(first)]).data  # type: ignore[list-item]
    assert item.type == "function_call_output"
    client.ask("well?", conversation=conversation.id)


def retries_what_may_pass(client: Client) -> None:
    for code in ("rate_limit_exceeded", "server_is_overloaded"):
        client.mock.reply(error(code))
        client.refused(code)
        client.ask(code)
    client.refused(temperature=9)
    client.ask(model="gpt-4.1", temperature=1)


def asks_the_same_again(client: Client) -> None:
    client.call([user("one")], store=False)
    client.ask([user("one")], store=False)  # another try
    history = [user("one"), message_of(client.ask([user("one")], store=False)), user("two")]
    client.ask(history, store=False)


def tells_two_stories_that_begin_alike(client: Client) -> None:
    first = client.ask([user("hi")], store=False)
    client.call([user("hi")], store=False)
    client.ask([user("hi"), message_of(first), user("more")], store=False)


def asks_for_the_rest(client: Client) -> None:
    for store in (True, False):
        client.mock.reply(incomplete("max_output_tokens", "once upon a"))
        first = client.ask("a story", store=store)
        if store:
            client.ask("Please continue.", previous_response_id=first.id)
        history = [user("a story"), *dumped(first), user("go on")]
        rest = client.ask(history, store=store)
        client.ask([*history, *dumped(rest), user("translate it")], store=store)
    client.mock.reply(incomplete("max_output_tokens", "once upon a"))
    client.ask("a story")
    client.ask("a story", max_output_tokens=10_000)


def goes_on_after_a_filter(client: Client) -> None:
    client.mock.reply(incomplete("content_filter", "well,"))
    first = client.ask("a story")
    client.ask("another one", previous_response_id=first.id)


def waits_for_a_lock(client: Client) -> None:
    client.mock.clock.freeze()
    id = locked(client)
    client.refused("me too", conversation=id)
    client.mock.clock.advance(seconds=BACKOFF_S)
    client.refused("me too", conversation=id)
    client.mock.clock.advance(seconds=100)
    client.ask("me too", conversation=id)


def waits_really(client: Client) -> None:
    client.mock.clock.freeze()
    id = locked(client)
    client.refused("me too", conversation=id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mockserver.engine.journal_store.perf_counter", lambda: MUCH_LATER_S)
        client.refused("me too", conversation=id)


def keeps_its_ids(client: Client) -> None:
    client.ask([user("one", id="msg_mine")], store=False)
    client.ask([user("one", id="msg_mine"), user("two", id="msg_other")], store=False)


def polls_until_its_parent_is_done(client: Client) -> None:
    client.mock.script([{"reply": {"text": "slow"}, "pacing": {"first_token": 100}}])
    first = client.ask("slow", background=True)
    client.refused("next", previous_response_id=first.id)
    client.mock.clock.advance(seconds=101)
    client.ask("next", previous_response_id=first.id)


def goes_on_over_a_socket(client: Client) -> None:
    def turn(socket: Any, **body: Any) -> Any:
        socket.response.create(model="gpt-5.5", store=False, **body)
        return next(event for event in socket if event.type in ("response.completed", "error"))

    with client.api.responses.connect() as socket:
        first = turn(socket, input="one").response
        second = turn(socket, input="two", previous_response_id=first.id).response
    with client.api.responses.connect() as socket:  # the socket was lost, and what it remembered
        assert turn(socket, input="three", previous_response_id=second.id).type == "error"
        turn(socket, input=[user("one"), *dumped(first), user("two"), *dumped(second), user("three")])


def is_cut_off(client: Client) -> None:
    conversation = client.api.conversations.create()
    first = client.call(conversation=conversation.id)
    client.mock.control("PUT", "/faults", [{"do": "cut", "at": {"event": "response.in_progress"}, "times": 1}])
    for _ in range(2):
        try:
            list(client.ask([answer(first)], conversation=conversation.id, stream=True))
        except Exception:
            continue
        break


RIGHT = [
    chains,
    replays,
    replays_words,
    changes_what_the_newest_models_may_not_see,
    converses,
    retries_what_may_pass,
    asks_the_same_again,
    tells_two_stories_that_begin_alike,
    asks_for_the_rest,
    goes_on_after_a_filter,
    waits_for_a_lock,
    waits_really,
    keeps_its_ids,
    polls_until_its_parent_is_done,
    goes_on_over_a_socket,
    is_cut_off,
]


@pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")  # of websockets, for what the client does
@pytest.mark.parametrize("right", RIGHT, ids=[right.__name__ for right in RIGHT])
def test_a_right_client_hears_nothing(client: Client, right: Callable[[Client], None]) -> None:
    right(client)
    assert client.mock.verdict() == []


BODIES = [
    {"model": "gpt-4.1", "input": [{"role": [], "content": "x"}]},
    {"model": "gpt-4.1", "input": [{"type": "message", "id": {}, "role": "user", "content": "x"}, 7, None]},
    {"model": "gpt-4.1", "input": [{"type": [], "call_id": [1]}], "previous_response_id": ["x"]},
    {"model": "gpt-4.1", "input": {"a": 1}, "conversation": 7},
    {"model": "gpt-4.1", "input": [{"role": "assistant", "content": 7}], "conversation": {"id": 7}},
    [1, 2],
    None,
]


def test_whatever_is_sent_is_judged(client: Client) -> None:
    first = client.ask("hi")
    for body in BODIES:
        chained = {**body, "previous_response_id": first.id} if isinstance(body, dict) else body
        for one in (body, chained):
            with pytest.raises(APIStatusError):
                client.api.post("/responses", cast_to=object, body=one)
            with pytest.raises(APIStatusError):
                client.api.post("/conversations", cast_to=object, body={"items": json.dumps(one)})
    assert set(rules(client)) <= {"retried_refusal"}


def test_a_request_that_can_be_answered_meanwhile_may_be_sent_again(client: Client) -> None:
    mends_what_was_refused(client)
    assert rules(client) == ["dropped_tool_output"]


def test_a_journal_that_was_cleared_has_nothing_to_tell(client: Client) -> None:
    retries_what_is_wrong(client)
    client.mock.journal.clear()
    assert client.mock.verdict() == []
