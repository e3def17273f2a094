"""openai-agents with its sessions, as a program: each example says what must be true of the server's state after it.

Run it as `python agents_sessions.py [--streamed] [--websocket] [--compaction]` with OPENAI_BASE_URL and OPENAI_API_KEY
for the client and UNDERSTUDY_CONTROL for the origin of the control API. It needs `openai-agents`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import traceback
from importlib.metadata import version
from typing import Any

import openai
from agents import OpenAIConversationsSession, OpenAIResponsesCompactionSession, RunConfig, Runner, SQLiteSession
from agents.models.openai_provider import OpenAIProvider
from agents.models.openai_responses import ResponsesWebSocketError
from agents_calls import THINKER, Tools, Way, agent, call, reached, refused
from guide_calls import Control, collected, said
from openai import AsyncOpenAI
from pydantic import BaseModel


async def listed(way: Way, conversation: str) -> list[str]:
    """Return the items of a conversation as the API lists them, oldest first."""
    return [said(item) for item in await collected(way.client.conversations.items.list(conversation, order="asc"))]


# --- the session that is a conversation -----------------------------------------------------------------------------


async def a_tool_over_two_turns(way: Way) -> None:
    """A call, its output and the answer are items of the conversation; the next turn sees them all."""
    session, tools = OpenAIConversationsSession(openai_client=way.client), Tools()
    guide = agent(tools=[tools.weather])
    way.script([call("get_weather", city="Paris")], "18 degrees.", "You asked about Paris.")
    first = await way.ask(guide, "What is the weather in Paris?", session=session)
    assert (first.final_output, tools.called) == ("18 degrees.", ["Paris"])
    turn = ["user: What is the weather in Paris?", "function_call: get_weather"]
    turn += ["function_call_output: 18 degrees in Paris", "assistant: 18 degrees."]
    assert await listed(way, session.session_id) == turn
    second = await way.ask(guide, "What did I ask?", session=session)
    seen = [*turn, "user: What did I ask?"]
    assert way.saw(second) == seen
    assert await listed(way, session.session_id) == [*seen, "assistant: You asked about Paris."]
    assert [said(item) for item in await session.get_items()] == [*seen, "assistant: You asked about Paris."]
    assert [said(item) for item in await session.get_items(limit=2)] == [
        *seen[-1:],
        "assistant: You asked about Paris.",
    ]
    if way.streamed:
        assert way.events[-2:] == ["response.completed", "run_item_stream_event"], way.events


async def calls_in_parallel(way: Way) -> None:
    """Two calls of one answer are both answered before the model goes on."""
    session, tools = OpenAIConversationsSession(openai_client=way.client), Tools()
    way.script([call("get_weather", city="Paris"), call("get_weather", city="Rome")], "Both are warm.")
    result = await way.ask(agent(tools=[tools.weather]), "Paris or Rome?", session=session)
    assert (result.final_output, sorted(tools.called)) == ("Both are warm.", ["Paris", "Rome"])
    kinds = [line.partition(":")[0] for line in await listed(way, session.session_id)]
    assert kinds == ["user", *["function_call"] * 2, *["function_call_output"] * 2, "assistant"]


async def thinking(way: Way) -> None:
    """Reasoning items go into the conversation before what they led to, and come back with the next turn."""
    session, tools = OpenAIConversationsSession(openai_client=way.client), Tools()
    guide = agent(model=THINKER, tools=[tools.weather], settings={"reasoning": {"effort": "low"}})
    thought: dict[str, Any] = {"type": "reasoning", "summary": []}
    way.script(
        [thought, call("get_weather", city="Paris")], [thought, {"type": "message", "text": "Warm."}], "Still warm."
    )
    await way.ask(guide, "Weather in Paris?", session=session)
    turn = ["user: Weather in Paris?", "reasoning", "function_call: get_weather"]
    turn += ["function_call_output: 18 degrees in Paris", "reasoning", "assistant: Warm."]
    assert await listed(way, session.session_id) == turn
    second = await way.ask(guide, "And now?", session=session)
    assert second.final_output == "Still warm."
    assert way.saw(second) == [*turn, "user: And now?"]


async def a_handoff(way: Way) -> None:
    """The agent that takes over answers the same conversation under instructions of its own."""
    session, tools = OpenAIConversationsSession(openai_client=way.client), Tools()
    expert = agent("Expert", tools=[tools.weather], handoff_description="Knows the weather.")
    triage = agent("Triage", handoffs=[expert])
    way.script([call("transfer_to_expert")], [call("get_weather", city="Oslo")], "Cold.", "Colder.")
    first = await way.ask(triage, "Weather in Oslo?", session=session)
    assert (first.last_agent.name, first.final_output, tools.called) == ("Expert", "Cold.", ["Oslo"])
    turn = ["user: Weather in Oslo?", "function_call: transfer_to_expert"]
    turn += ['function_call_output: {"assistant": "Expert"}', "function_call: get_weather"]
    turn += ["function_call_output: 18 degrees in Oslo", "assistant: Cold."]
    assert await listed(way, session.session_id) == turn
    contexts = [way.control("GET", f"/responses/{one.response_id}/context") for one in first.raw_responses]
    assert [one["instructions"] for one in contexts] == ["You are Triage.", "You are Expert.", "You are Expert."]
    assert [one["tools"][0]["name"] for one in contexts] == ["transfer_to_expert", "get_weather", "get_weather"]
    second = await way.ask(first.last_agent, "Tomorrow?", session=session)
    assert way.saw(second) == [*turn, "user: Tomorrow?"]


async def popped_items(way: Way) -> None:
    """What is popped is gone from the conversation and from what later turns see."""
    session = OpenAIConversationsSession(openai_client=way.client)
    way.script("One.", "Two.", "Three.")
    await way.ask(agent(), "first", session=session)
    await way.ask(agent(), "second", session=session)
    answer, question = await session.pop_item(), await session.pop_item()
    assert [said(answer), said(question)] == ["assistant: Two.", "user: second"]
    left = ["user: first", "assistant: One."]
    assert await listed(way, session.session_id) == left
    with refused(openai.NotFoundError):
        await way.client.conversations.items.retrieve(answer["id"], conversation_id=session.session_id)
    third = await way.ask(agent(), "third", session=session)
    assert way.saw(third) == [*left, "user: third"]
    for _ in range(4):
        assert await session.pop_item() is not None
    assert (await session.pop_item(), await session.get_items(), await listed(way, session.session_id)) == (
        None,
        [],
        [],
    )


async def a_popped_call(way: Way) -> None:
    """An answer whose call is taken away leaves a conversation that can still be gone on with."""
    session, tools = OpenAIConversationsSession(openai_client=way.client), Tools()
    guide = agent(tools=[tools.weather])
    way.script([call("get_weather", city="Paris")], "Warm.", [call("get_weather", city="Rome")], "Warmer.")
    await way.ask(guide, "Paris?", session=session)
    popped = [said(await session.pop_item()) for _ in range(2)]
    assert popped == ["assistant: Warm.", "function_call_output: 18 degrees in Paris"]
    assert said(await session.pop_item()) == "function_call: get_weather"
    result = await way.ask(guide, "Rome!", session=session)
    turn = ["user: Paris?", "user: Rome!", "function_call: get_weather", "function_call_output: 18 degrees in Rome"]
    assert result.final_output == "Warmer."
    assert await listed(way, session.session_id) == [*turn, "assistant: Warmer."]


async def a_cleared_session(way: Way) -> None:
    """Clearing deletes the conversation; the next run begins another, which knows nothing."""
    session = OpenAIConversationsSession(openai_client=way.client)
    way.script("One.", "Two.")
    await way.ask(agent(), "first", session=session)
    old = session.session_id
    await session.clear_session()
    with refused(openai.NotFoundError):
        await way.client.conversations.retrieve(old)
    with refused(openai.NotFoundError):
        await way.client.conversations.items.list(old)
    result = await way.ask(agent(), "second", session=session)
    assert session.session_id != old
    assert way.saw(result) == ["user: second"]
    assert await listed(way, session.session_id) == ["user: second", "assistant: Two."]


async def many_items(way: Way) -> None:
    """More items than one request takes and one page shows arrive in order, and all of them are seen."""
    session = OpenAIConversationsSession(openai_client=way.client)
    await session.add_items([{"role": "user", "content": f"line {number}"} for number in range(45)])
    lines = [f"user: line {number}" for number in range(45)]
    assert await listed(way, session.session_id) == lines
    assert [said(item) for item in await session.get_items()] == lines
    assert [said(item) for item in await session.get_items(limit=25)] == lines[-25:]
    result = await way.ask(agent(), "the last", session=session)
    assert way.saw(result) == [*lines, "user: the last"]
    assert result.final_output == "Mock reply to: the last [46 items in context]"


async def a_session_resumed(way: Way) -> None:
    """Another session object of the same conversation goes on where the first stopped."""
    first = OpenAIConversationsSession(openai_client=way.client)
    await way.ask(agent(), "remember blue", session=first)
    second = OpenAIConversationsSession(openai_client=way.client, conversation_id=first.session_id)
    result = await way.ask(agent(), "which colour?", session=second)
    assert way.saw(result)[::2] == ["user: remember blue", "user: which colour?"]
    assert await first.get_items() == await second.get_items()


async def sessions_side_by_side(way: Way) -> None:
    """Conversations that grow at the same time never mix."""
    sessions = [OpenAIConversationsSession(openai_client=way.client) for _ in range(5)]
    for turn in range(3):
        asked = (way.ask(agent(), f"{place}/{turn}", session=one) for place, one in enumerate(sessions))
        await asyncio.gather(*asked)
    for place, session in enumerate(sessions):
        lines = await listed(way, session.session_id)
        assert lines[::2] == [f"user: {place}/{turn}" for turn in range(3)]
        assert [line.endswith(f"[{n} items in context]") for n, line in zip((1, 3, 5), lines[1::2], strict=True)]


# --- state that the server manages ----------------------------------------------------------------------------------


async def a_conversation_of_the_server(way: Way) -> None:
    """With `conversation_id` only new items are sent, and the server appends input and output by itself."""
    made, tools = await way.client.conversations.create(), Tools()
    guide = agent(tools=[tools.weather])
    way.script([call("get_weather", city="Paris")], "Warm.", "Paris.")
    first = await way.ask(guide, "Weather in Paris?", conversation_id=made.id)
    second = await way.ask(guide, "Which city?", conversation_id=made.id)
    turn = ["user: Weather in Paris?", "function_call: get_weather"]
    turn += ["function_call_output: 18 degrees in Paris", "assistant: Warm.", "user: Which city?"]
    assert await listed(way, made.id) == [*turn, "assistant: Paris."]
    assert way.saw(second) == turn
    found = way.control("GET", f"/responses?conversation={made.id}")["data"]
    assert [one["id"] for one in found][::-1] == [
        one.response_id for result in (first, second) for one in result.raw_responses
    ]


async def a_chain_of_responses(way: Way) -> None:
    """With `previous_response_id` each request of a run chains to the one before."""
    tools = Tools()
    guide = agent(tools=[tools.weather])
    way.script([call("get_weather", city="Paris")], "Warm.", "Paris.")
    first = await way.ask(guide, "Weather in Paris?", auto_previous_response_id=True)
    second = await way.ask(guide, "Which city?", previous_response_id=first.last_response_id)
    ids = [one.response_id for result in (first, second) for one in result.raw_responses]
    stored = [await way.client.responses.retrieve(one) for one in ids]
    assert [one.previous_response_id for one in stored] == [None, *ids[:-1]]
    turn = ["user: Weather in Paris?", "function_call: get_weather"]
    turn += ["function_call_output: 18 degrees in Paris", "assistant: Warm.", "user: Which city?"]
    assert way.saw(second) == turn
    own = [said(item) for item in await collected(way.client.responses.input_items.list(ids[-1], order="asc"))]
    assert own == turn


async def a_locked_conversation(way: Way) -> None:
    """A conversation in which another response runs is waited for."""
    made = await way.client.conversations.create()
    way.control.script({"reply": {"text": "Slow."}, "pacing": {"first_token": 1.5}})
    slow = asyncio.create_task(way.client.responses.create(model="gpt-4.1", input="slow", conversation=made.id))
    while way.queued():
        await asyncio.sleep(0.01)
    with refused(openai.BadRequestError):
        await way.client.responses.create(model="gpt-4.1", input="refused", conversation=made.id)
    if way.transport == "websocket":  # the client takes only errors of HTTP for locks
        with refused(ResponsesWebSocketError):
            await way.ask(agent(), "refused", conversation_id=made.id)
        await slow
    result = await way.ask(agent(), "quick", conversation_id=made.id)
    await slow
    assert way.saw(result) == ["user: slow", "assistant: Slow.", "user: quick"]


async def a_chain_that_is_not_stored(way: Way) -> None:
    """What is not stored lives as long as its socket: it is chained to there, and nowhere else."""
    tools = Tools()
    guide = agent(tools=[tools.weather], settings={"store": False})
    if way.transport != "websocket":
        with refused(openai.BadRequestError):
            await way.ask(guide, "Call get_weather.", auto_previous_response_id=True)
        return
    way.script([call("get_weather", city="Paris")], "Warm.")
    first = await way.ask(guide, "Weather in Paris?", auto_previous_response_id=True)
    result = await way.ask(guide, "Go on.", previous_response_id=first.last_response_id)
    assert result.final_output == "Mock reply to: Go on. [5 items in context]"
    assert way.control.stored() == []
    async with reached(way.control, streamed=way.streamed, websocket=True) as elsewhere:
        with refused(ResponsesWebSocketError):
            await elsewhere.ask(guide, "Go on.", previous_response_id=result.last_response_id)


class Forecast(BaseModel):
    """What an agent with a typed output returns."""

    city: str
    degrees: int


async def a_typed_output(way: Way) -> None:
    """A structured output is a valid instance; its JSON is the text of the conversation's last item."""
    session = OpenAIConversationsSession(openai_client=way.client)
    result = await way.ask(agent(output_type=Forecast), "Forecast, please.", session=session)
    assert isinstance(result.final_output, Forecast)
    (*_, last) = await listed(way, session.session_id)
    assert Forecast.model_validate_json(last.removeprefix("assistant: ")) == result.final_output


# --- the session that compacts --------------------------------------------------------------------------------------


async def compacted(way: Way, mode: str, **settings: Any) -> None:
    """Talk until the session is compacted, look at what is left of it, and talk on."""
    seen: list[str] = []

    def due(context: dict[str, Any]) -> bool:
        seen.append(context["compaction_mode"])
        return len(context["compaction_candidate_items"]) >= 4

    session: Any = OpenAIResponsesCompactionSession(
        "any", SQLiteSession("any"), client=way.client, compaction_mode=mode, should_trigger_compaction=due
    )
    tools = Tools()
    guide = agent(tools=[tools.weather], settings=settings)
    way.script([call("get_weather", city="Paris")], "Warm.", "Indeed.", "On we go.")
    await way.ask(guide, "Weather in Paris?", session=session)
    assert [item.get("type", "message") for item in await session.get_items()] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]
    await way.ask(guide, "Sure?", session=session)
    items = await session.get_items()
    *users, last = items
    assert [said(item) for item in users] == ["user: Weather in Paris?", "user: Sure?"], items
    assert last["type"] == "compaction" and last["encrypted_content"], last
    assert set(seen) == {"input" if settings.get("store") is False else "previous_response_id"}
    result = await way.ask(guide, "Go on.", session=session)
    assert result.final_output == "On we go."
    kinds = [item.get("type", "message") for item in await session.get_items()]
    assert kinds == ["message", "message", "compaction", "message", "message"]
    if settings.get("store") is not False:
        saw = way.saw(result)
        assert saw[-1] == "user: Go on." and not any(line.startswith("function_call") for line in saw), saw


async def compaction_of_a_chain(way: Way) -> None:
    """Stored responses are compacted by the id of the last one."""
    await compacted(way, "auto")


async def compaction_of_items(way: Way) -> None:
    """Responses that are not stored are compacted from the session's items."""
    await compacted(way, "auto", store=False)


async def compaction_by_hand(way: Way) -> None:
    """A session is compacted when it is told to, again on top of the last compaction, and can be popped afterwards."""
    session: Any = OpenAIResponsesCompactionSession(
        "any", SQLiteSession("any"), client=way.client, should_trigger_compaction=lambda _: False
    )
    await way.ask(agent(), "one", session=session)
    await session.run_compaction({"force": True})
    assert [said(item).partition(":")[0] for item in await session.get_items()] == ["user", "compaction"]
    await way.ask(agent(), "two", session=session)
    await session.run_compaction({"force": True, "compaction_mode": "input"})
    lines = [said(item) for item in await session.get_items()]
    assert lines[:-1] == ["user: one", "user: two"] and lines[-1].startswith("compaction"), lines
    assert (await session.pop_item())["type"] == "compaction"
    await session.clear_session()
    assert await session.get_items() == []


CONVERSATIONS = (
    a_tool_over_two_turns,
    calls_in_parallel,
    thinking,
    a_handoff,
    popped_items,
    a_popped_call,
    a_cleared_session,
    many_items,
    a_session_resumed,
    sessions_side_by_side,
    a_conversation_of_the_server,
    a_chain_of_responses,
    a_locked_conversation,
    a_chain_that_is_not_stored,
    a_typed_output,
)
COMPACTIONS = (compaction_of_a_chain, compaction_of_items, compaction_by_hand)


# --- running them ---------------------------------------------------------------------------------------------------


def without_a_loop(control: Control) -> None:
    """The same session under `run_sync`, which brings an event loop of its own."""
    config = RunConfig(model_provider=OpenAIProvider(), tracing_disabled=True)
    session, tools = OpenAIConversationsSession(openai_client=AsyncOpenAI(max_retries=0, timeout=120)), Tools()
    guide = agent(tools=[tools.weather])
    replies: list[dict[str, Any]] = [
        {"output": [call("get_weather", city="Paris")]},
        {"text": "Warm."},
        {"text": "Yes."},
    ]
    control.script(*({"reply": one} for one in replies))
    first = Runner.run_sync(guide, "Weather in Paris?", session=session, run_config=config)
    second = Runner.run_sync(guide, "Sure?", session=session, run_config=config)
    assert (first.final_output, second.final_output, tools.called) == ("Warm.", "Yes.", ["Paris"])
    turn = ["user: Weather in Paris?", "function_call: get_weather", "function_call_output: 18 degrees in Paris"]
    context = control("GET", f"/responses/{second.last_response_id}/context")
    assert [said(item) for item in context["items"]] == [*turn, "assistant: Warm.", "user: Sure?"]
    with openai.OpenAI() as client:
        items = client.conversations.items.list(session.session_id, order="asc")
        assert [said(item) for item in items] == [*turn, "assistant: Warm.", "user: Sure?", "assistant: Yes."]


def run(options: argparse.Namespace) -> int:
    """Run the examples, each in an event loop of its own; returns how many failed."""
    control = Control(os.environ["UNDERSTUDY_CONTROL"], os.environ["OPENAI_API_KEY"], [])
    failures = 0

    async def one(example: Any) -> None:
        async with reached(control, streamed=options.streamed, websocket=options.websocket) as way:
            await example(way)
            assert way.queued() == 0, "not all scripted answers were asked for"

    chosen = COMPACTIONS if options.compaction else CONVERSATIONS
    for example in (*chosen, without_a_loop):
        control("POST", "/reset", {})
        try:
            if example is without_a_loop:
                without_a_loop(control)
            else:
                asyncio.run(one(example))
            print(f"ok      {example.__name__}", flush=True)
        except Exception:
            failures += 1
            print(f"FAILED  {example.__name__}\n{traceback.format_exc()}", flush=True)
    print(f"{len(chosen) + 1 - failures} of {len(chosen) + 1} hold with openai-agents {version('openai-agents')}")
    return failures


def main() -> None:
    """Run from a command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--streamed", action="store_true", help="run the agents streamed")
    parser.add_argument("--websocket", action="store_true", help="let the agents use a WebSocket")
    parser.add_argument("--compaction", action="store_true", help="the session that compacts, instead of conversations")
    raise SystemExit(min(run(parser.parse_args()), 1))


if __name__ == "__main__":
    main()
