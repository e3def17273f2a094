"""State, in the examples of the guide: what a caller does, and what must be true afterwards."""

from __future__ import annotations

from typing import Any

import openai
from guide_calls import Control, collected, entered, own_output, refused, said, settled

CHAT = "gpt-4.1"
THINKER = "gpt-5.5"


async def history_kept_by_the_caller(client: Any, control: Control) -> None:
    """Send the whole exchange every time."""
    knock = [
        {"role": "user", "content": "knock knock."},
        {"role": "assistant", "content": "Who's there?"},
        {"role": "user", "content": "Orange."},
    ]
    response = await settled(client.responses.create(model=CHAT, input=knock))
    assert response.output_text == "Mock reply to: Orange. [3 items in context]"
    assert control.saw(response) == ["user: knock knock.", "assistant: Who's there?", "user: Orange."]

    history: list[Any] = [{"role": "user", "content": "tell me a joke"}]
    first = await settled(client.responses.create(model=CHAT, input=history, store=False))
    history += [{"role": one.role, "content": one.content} for one in first.output if one.type == "message"]
    history.append({"role": "user", "content": "tell me another"})
    second = await settled(client.responses.create(model=CHAT, input=history))
    assert control.saw(second) == ["user: tell me a joke", *own_output(first), "user: tell me another"]
    assert first.id not in control.stored() and second.id in control.stored()
    assert first.previous_response_id is second.previous_response_id is None


async def reasoning_kept_by_the_caller(client: Any, control: Control) -> None:
    """Keep nothing on the server, hand the sealed reasoning back."""
    sealed: dict[str, Any] = {"model": THINKER, "include": ["reasoning.encrypted_content"]}
    context: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
    first = await settled(client.responses.create(input=context, store=False, **sealed))
    assert [item.type for item in first.output] == ["reasoning", "message"] and first.store is False
    assert first.output[0].encrypted_content and first.usage.output_tokens_details.reasoning_tokens > 0
    for call in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        gone = f"Response with id '{first.id}' not found."
        await refused(openai.NotFoundError, lambda call=call: call(first.id), message=gone)

    context += first.output
    context.append({"role": "user", "content": "And its population?"})
    second = await settled(client.responses.create(input=context, **sealed))
    replayed = ["user: What is the capital of France?", *own_output(first)]
    assert control.saw(second) == [*replayed, "user: And its population?"]

    context[1] = {**first.output[0].model_dump(), "encrypted_content": "gAAAAABtampered"}
    await refused(
        openai.BadRequestError,
        lambda: client.responses.create(input=context, **sealed),
        message=f"The encrypted content for item {first.output[0].id} could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
        code="invalid_encrypted_content",
    )


async def conversation(client: Any, control: Control) -> None:
    """Let a conversation keep the exchange."""
    made = await settled(client.conversations.create(metadata={"topic": "demo"}))
    assert made.metadata == {"topic": "demo"}
    first = await settled(client.responses.create(model=CHAT, input="What are the 5 Ds?", conversation=made.id))
    again = {"model": CHAT, "input": "And who said so?", "conversation": {"id": made.id}}
    second = await settled(client.responses.create(**again))
    assert first.conversation.id == second.conversation.id == made.id
    assert control.saw(first) == ["user: What are the 5 Ds?"]
    assert control.saw(second) == [*control.saw(first), *own_output(first), "user: And who said so?"]
    items = await collected(client.conversations.items.list(made.id, order="asc"))
    assert [said(item) for item in items] == [*control.saw(second), *own_output(second)]
    assert all(item.status == "completed" for item in items) and items[1].id == first.output[0].id

    aside = {"model": CHAT, "input": "An aside.", "previous_response_id": second.id}
    chained = await settled(client.responses.create(**aside))
    assert chained.conversation is None and len(control.saw(chained)) == 5
    assert len(await collected(client.conversations.items.list(made.id))) == 4, "a chained turn adds nothing"
    unstored = await settled(client.responses.create(**again, store=False))
    items = await collected(client.conversations.items.list(made.id, order="asc"))
    assert len(items) == 6 and unstored.id not in control.stored()


async def chain(client: Any, control: Control) -> None:
    """Name the response before."""
    joke = await settled(client.responses.create(model=CHAT, input="tell me a joke", instructions="Be brief."))
    why = {"model": CHAT, "previous_response_id": joke.id}
    second = await settled(
        client.responses.create(**why, input=[{"role": "user", "content": "explain why this is funny."}])
    )
    assert second.previous_response_id == joke.id and second.instructions is None
    assert control.saw(second) == ["user: tell me a joke", *own_output(joke), "user: explain why this is funny."]
    assert second.usage.input_tokens > joke.usage.input_tokens

    fork = await settled(client.responses.create(**why, input="another branch"))
    assert control.saw(fork) == ["user: tell me a joke", *own_output(joke), "user: another branch"]
    assert joke.id.split("_")[1][:16] == second.id.split("_")[1][:16] == fork.id.split("_")[1][:16]
    assert second.output_text == "Mock reply to: explain why this is funny. [3 items in context]"


async def raw_stream(client: Any, control: Control) -> None:
    """Read the events as they come."""
    asked = {"model": THINKER, "input": "Say it slowly.", "reasoning": {"summary": "auto"}, "stream": True}
    events = await collected(await settled(client.responses.create(**asked)))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-1] == "response.completed" and kinds.count("response.completed") == 1
    final = events[-1].response
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == final.output_text == "Mock reply to: Say it slowly. [1 items in context]"
    done = [event.item.model_dump() for event in events if event.type == "response.output_item.done"]
    assert done == [item.model_dump() for item in final.output]
    stored = await settled(client.responses.retrieve(final.id))
    assert stored.model_dump(exclude={"billing"}) == final.model_dump(exclude={"billing"})
    assert control.saw(final) == ["user: Say it slowly."]


async def stream_helper(client: Any, control: Control) -> None:
    """Let the client put the events together."""
    made = await settled(client.conversations.create())
    async with entered(client.responses.stream(model=CHAT, input="Stream to me.", conversation=made.id)) as stream:
        events = await collected(stream)
        final = await settled(stream.get_final_response())
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert deltas[-1].snapshot == final.output_text == "Mock reply to: Stream to me. [1 items in context]"
    assert final.conversation.id == made.id
    items = await collected(client.conversations.items.list(made.id, order="asc"))
    assert [said(item) for item in items] == ["user: Stream to me.", *own_output(final)]


async def retrieve_and_resume(client: Any, control: Control) -> None:
    """Come back to a response, and to the middle of its stream."""
    made = await settled(client.responses.create(model=CHAT, input="Keep this.", metadata={"k": "v"}))
    again = await settled(client.responses.retrieve(made.id))
    assert again.model_dump() == made.model_dump() and again.metadata == {"k": "v"}
    whole = await collected(await settled(client.responses.retrieve(made.id, stream=True)))
    rest = await collected(await settled(client.responses.retrieve(made.id, stream=True, starting_after=3)))
    assert [event.sequence_number for event in whole] == list(range(len(whole)))
    assert [event.model_dump() for event in rest] == [event.model_dump() for event in whole[4:]]
    async with entered(client.responses.stream(response_id=made.id, starting_after=3)) as stream:
        events = await collected(stream)
        final = await settled(stream.get_final_response())
    assert [event.sequence_number for event in events] == [event.sequence_number for event in rest]
    assert final.output_text == made.output_text and control.stored()[0] == made.id


async def delete(client: Any, control: Control) -> None:
    """Delete a response: what was built on it stands."""
    first = await settled(client.responses.create(model=CHAT, input="one"))
    second = await settled(client.responses.create(model=CHAT, input="two", previous_response_id=first.id))
    await settled(client.responses.delete(first.id))
    gone = f"Response with id '{first.id}' not found."
    for call in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        await refused(openai.NotFoundError, lambda call=call: call(first.id), message=gone)
    await refused(
        openai.BadRequestError,
        lambda: client.responses.create(model=CHAT, input="two", previous_response_id=first.id),
        message=f"Previous response with id '{first.id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
    third = await settled(client.responses.create(model=CHAT, input="three", previous_response_id=second.id))
    expected = ["user: one", *own_output(first), "user: two", *own_output(second), "user: three"]
    assert control.saw(third) == expected and first.id not in control.stored()


async def input_items(client: Any, control: Control) -> None:
    """List what a response was made of, over several pages."""
    many = [{"role": "user", "content": f"line {number}"} for number in range(22)]
    first = await settled(client.responses.create(model=CHAT, input=many))
    second = await settled(client.responses.create(model=CHAT, input="last", previous_response_id=first.id))
    newest_first = [f"user: line {number}" for number in reversed(range(22))]
    page = await settled(client.responses.input_items.list(first.id))
    assert [said(item) for item in page.data] == newest_first[:20] and page.has_more is True
    assert [said(item) for item in await collected(client.responses.input_items.list(first.id))] == newest_first
    listed = await collected(client.responses.input_items.list(second.id, order="asc", limit=7))
    assert [said(item) for item in listed] == [*newest_first[::-1], *own_output(first), "user: last"]
    assert [said(item) for item in listed] == control.saw(second)
    assert len({item.id for item in listed}) == 24
    after = await settled(client.responses.input_items.list(second.id, order="asc", after=listed[21].id))
    assert [item.id for item in after.data] == [listed[22].id, listed[23].id] and after.has_more is False


async def conversation_items(client: Any, control: Control) -> None:
    """Add to a conversation by hand, read it, take from it."""
    lines = [{"type": "message", "role": "user", "content": f"line {number}"} for number in range(25)]
    made = await settled(client.conversations.create(items=lines[:5]))
    added = await settled(client.conversations.items.create(made.id, items=lines[5:]))
    assert [said(item) for item in added.data] == [f"user: line {number}" for number in range(5, 25)]
    page = await settled(client.conversations.items.list(made.id))
    assert len(page.data) == 20 and page.has_more and page.data[0].id == added.data[-1].id
    listed = await collected(client.conversations.items.list(made.id, order="asc", limit=10))
    assert [said(item) for item in listed] == [f"user: line {number}" for number in range(25)]
    one = await settled(client.conversations.items.retrieve(listed[3].id, conversation_id=made.id))
    assert one.model_dump() == listed[3].model_dump()

    kept = await settled(client.conversations.items.delete(one.id, conversation_id=made.id))
    assert kept.id == made.id and kept.object == "conversation"
    await refused(
        openai.NotFoundError,
        lambda: client.conversations.items.retrieve(one.id, conversation_id=made.id),
        message=f"Item with id '{one.id}' not found in conversation.",
    )
    response = await settled(client.responses.create(model=CHAT, input="Go on.", conversation=made.id))
    assert "user: line 3" not in control.saw(response) and len(control.saw(response)) == 25


async def conversation_object(client: Any, control: Control) -> None:
    """Change what is noted about a conversation, then end it; its items outlive it."""
    made = await settled(client.conversations.create(metadata={"a": "1"}))
    turn = await settled(client.responses.create(model=CHAT, input="remember me", conversation=made.id))
    changed = await settled(client.conversations.update(made.id, metadata={"b": "2"}))
    found = await settled(client.conversations.retrieve(made.id))
    assert found.metadata == changed.metadata == {"b": "2"} and found.created_at == made.created_at
    assert control("GET", "/conversations")["data"][0]["id"] == made.id
    ended = await settled(client.conversations.delete(made.id))
    assert (ended.id, ended.deleted, ended.object) == (made.id, True, "conversation.deleted")
    gone = f"Conversation with id '{made.id}' not found."
    for call in (
        lambda: client.conversations.retrieve(made.id),
        lambda: client.conversations.delete(made.id),
        lambda: client.conversations.update(made.id, metadata={}),
        lambda: client.conversations.items.list(made.id),
        lambda: client.responses.create(model=CHAT, input="hello?", conversation=made.id),
    ):
        await refused(openai.NotFoundError, call, message=gone)
    reference = {"type": "item_reference", "id": turn.output[0].id}
    later = await settled(client.responses.create(model=CHAT, input=[reference, {"role": "user", "content": "and?"}]))
    assert control.saw(later) == [*own_output(turn), "user: and?"]
    assert made.id not in [one["id"] for one in control("GET", "/conversations")["data"]]


async def cut_short(client: Any, control: Control) -> None:
    """Set a limit: the answer is incomplete, and the exchange goes on from what there is."""
    made = await settled(client.conversations.create())
    question = "one two three four five six " * 20
    limited = {"model": CHAT, "input": question, "conversation": made.id, "max_output_tokens": 16}
    first = await settled(client.responses.create(**limited))
    assert (first.status, first.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert first.usage.output_tokens <= 16 and first.output[0].status == "incomplete"
    second = await settled(client.responses.create(model=CHAT, input="Go on.", conversation=made.id))
    assert control.saw(second) == [f"user: {question}", *own_output(first), "user: Go on."]


async def failed_turn(client: Any, control: Control) -> None:
    """A turn that fails leaves the conversation as it was."""
    made = await settled(client.conversations.create())
    control.script({"reply": {"failed": {"code": "server_error", "message": "Out of luck."}}})
    failed = await settled(client.responses.create(model=CHAT, input="Try.", conversation=made.id))
    assert (failed.status, failed.error.code, failed.error.message) == ("failed", "server_error", "Out of luck.")
    assert failed.output == [] and await collected(client.conversations.items.list(made.id)) == []
    await refused(
        openai.BadRequestError,
        lambda: client.responses.create(model=CHAT, input="And now?", previous_response_id=failed.id),
        message=f"Previous response with id '{failed.id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


async def models(client: Any, control: Control) -> None:
    """Look at what there is."""
    names = [model.id for model in await collected(client.models.list())]
    assert CHAT in names and THINKER in names
    assert (await settled(client.models.retrieve(CHAT))).id == CHAT
    await refused(
        openai.NotFoundError,
        lambda: client.models.retrieve("gpt-none"),
        message="The model `gpt-none` does not exist or you do not have access to it.",
        code="model_not_found",
    )


async def mistakes(client: Any, control: Control) -> None:
    """Say precisely what is wrong, and change nothing."""
    before = control.stored()
    made = await settled(client.conversations.create())
    unknown = "resp_" + "0" * 50
    no_parent = {
        "message": f"Previous response with id '{unknown}' not found.",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"previous_response_id": unknown}, no_parent),
        ({"previous_response_id": unknown, "stream": True}, no_parent),
        (
            {"extra_body": {"bogus": 1}},
            {"message": "Unknown parameter: 'bogus'.", "param": "bogus", "code": "unknown_parameter"},
        ),
        (
            {"model": "gpt-none"},
            {
                "message": "The requested model 'gpt-none' does not exist.",
                "param": "model",
                "code": "model_not_found",
            },
        ),
        (
            {"max_output_tokens": 1},
            {
                "message": "Invalid 'max_output_tokens': integer below minimum value. "
                "Expected a value >= 16, but got 1 instead.",
                "param": "max_output_tokens",
                "code": "integer_below_min_value",
            },
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "call_1", "output": "x"}]},
            {"message": "No tool call found for function call output with call_id call_1.", "param": "input"},
        ),
        (
            {"conversation": made.id, "previous_response_id": unknown},
            {
                "message": "Mutually exclusive parameters: ''. "
                "Ensure you are only providing one of: 'pre..._id' or 'conversation'.",
                "code": "mutually_exclusive_parameters",
            },
        ),
    ]
    for change, expected in cases:
        request = {"model": CHAT, "input": "hello", **change}
        await refused(openai.BadRequestError, lambda request=request: client.responses.create(**request), **expected)
    await refused(
        openai.NotFoundError,
        lambda: client.responses.create(model=CHAT, input=[{"type": "item_reference", "id": "msg_none"}]),
        message="Item with id 'msg_none' not found.",
        param="input",
    )
    assert control.stored() == before


async def busy_conversation(client: Any, control: Control) -> None:
    """Let a turn take its time: nobody else gets in, and leaving it does not stop it."""
    made = await settled(client.conversations.create())
    asked = {"model": CHAT, "conversation": made.id}
    control.script({"reply": {"text": "slowly"}, "pacing": {"first_token": 600}})
    stream = await settled(client.responses.create(**asked, input="first", stream=True))
    locked = {
        "message": "Another process is currently operating on this conversation. Please retry in a few seconds.",
        "param": "conversation",
        "code": "conversation_locked",
    }
    await refused(openai.BadRequestError, lambda: client.responses.create(**asked, input="second"), **locked)
    await settled(stream.close())
    await refused(openai.BadRequestError, lambda: client.responses.create(**asked, input="third"), **locked)
    assert await collected(client.conversations.items.list(made.id)) == [], "all of a turn is written at its end"
    (finished,) = control.advance(seconds=601)["completed"]
    items = await collected(client.conversations.items.list(made.id, order="asc"))
    assert [said(item) for item in items] == ["user: first", "assistant: slowly"]
    assert (await settled(client.responses.retrieve(finished))).output_text == "slowly"
    fourth = await settled(client.responses.create(**asked, input="fourth"))
    assert control.saw(fourth) == ["user: first", "assistant: slowly", "user: fourth"]


async def thirty_days(client: Any, control: Control) -> None:
    """Wait: responses expire, what a conversation holds does not."""
    made = await settled(client.conversations.create())
    held = await settled(client.responses.create(model=CHAT, input="hold this", conversation=made.id))
    old = await settled(client.responses.create(model=CHAT, input="old"))
    assert control.advance(days=29)["expired"] == []
    child = await settled(client.responses.create(model=CHAT, input="child", previous_response_id=old.id))
    expired = control.advance(days=1, seconds=60)["expired"]
    assert held.id in expired and old.id in expired and child.id not in expired
    assert control.stored() == [child.id], "everything else is older than 30 days"
    for gone in (held, old):
        message = f"Response with id '{gone.id}' not found."
        await refused(openai.NotFoundError, lambda gone=gone: client.responses.retrieve(gone.id), message=message)
        await refused(
            openai.BadRequestError,
            lambda gone=gone: client.responses.create(model=CHAT, input="?", previous_response_id=gone.id),
            message=f"Previous response with id '{gone.id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    items = await collected(client.conversations.items.list(made.id, order="asc"))
    assert [said(item) for item in items] == ["user: hold this", *own_output(held)]
    later = await settled(client.responses.create(model=CHAT, input="still there?", conversation=made.id))
    assert control.saw(later) == ["user: hold this", *own_output(held), "user: still there?"]
    grandchild = await settled(client.responses.create(model=CHAT, input="go on", previous_response_id=child.id))
    assert control.saw(grandchild)[:2] == ["user: old", *own_output(old)], "only the direct parent must be alive"


STATE = (
    history_kept_by_the_caller,
    reasoning_kept_by_the_caller,
    conversation,
    chain,
    raw_stream,
    stream_helper,
    retrieve_and_resume,
    delete,
    input_items,
    conversation_items,
    conversation_object,
    cut_short,
    failed_turn,
    models,
    mistakes,
    busy_conversation,
    thirty_days,  # last: it moves the clock past everything before it
)
