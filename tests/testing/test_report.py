"""The report of a failed test is enough to find a bug: eight bugs in small agents, and what is told of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import BadRequestError, OpenAI, RateLimitError

from mockserver import Mock, error, failed, function_call, incomplete, message, reasoning
from mockserver.testing import report
from mockserver.testing.report import ansi, format_complaint, format_traffic
from tests.docs.pages import blocks, section

TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
PARIS, ROME = function_call("get_weather", {"city": "Paris"}), function_call("get_weather", {"city": "Rome"})


class Agent:
    """An agent that answers tool calls and continues its chain; each bug is a subclass."""

    def __init__(self, client: OpenAI) -> None:
        self.client = client
        self.last: str | None = None

    def ask(self, text: str) -> str:
        turn = self.create(text)
        while calls := [item for item in turn.output if item.type == "function_call"]:
            turn = self.create(self.outputs(calls))
        return turn.output_text

    def create(self, input: Any) -> Any:
        sent = {"model": "gpt-5.5", "tools": [TOOL], "input": input, "previous_response_id": self.last}
        turn = self.client.responses.create(**sent)
        self.last = turn.id
        return turn

    def outputs(self, calls: list[Any]) -> list[Any]:
        return [{"type": "function_call_output", "call_id": one.call_id, "output": "18 degrees"} for one in calls]


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock(clock="2026-11-20T12:00:00Z") as mock:
        yield mock


@pytest.fixture
def client(mock: Mock) -> Iterator[OpenAI]:
    with OpenAI(http_client=httpx2.Client(transport=mock.transport()), api_key="any", max_retries=0) as client:
        yield client


def told(mock: Mock) -> list[str]:
    """The lines of the report, ids cut and the places in this file without their number."""
    text = re.sub(r"\b(resp|call|fc|msg|rs|conv)_[0-9A-Za-z]{20,}", r"\1_…", format_traffic(mock))
    return re.sub(r"tests/testing/test_report\.py:\d+", "HERE", text).splitlines()


def test_bug_1_one_of_two_parallel_calls_is_not_answered(mock: Mock, client: OpenAI) -> None:
    class Forgetful(Agent):
        def outputs(self, calls: list[Any]) -> list[Any]:
            return super().outputs(calls[:1])

    mock.reply([PARIS, ROME], "Both have 18 degrees.")
    with pytest.raises(BadRequestError):
        Forgetful(client).ask("weather in Paris and Rome?")
    assert told(mock) == [
        '#1 POST /v1/responses gpt-5.5 -> 200 resp_… get_weather({"city":"Paris"}) call_…, '
        'get_weather({"city":"Rome"}) call_… [queue, HERE]',
        '     sent tools=["get_weather"]; user: "weather in Paris and Rome?"',
        "#2 POST /v1/responses gpt-5.5 -> 400 No tool output found for function call call_….",
        '     sent previous_response_id="resp_…" (#1) tools=["get_weather"]; '
        'function_call_output get_weather({"city":"Paris"}) call_… "18 degrees"',
        '     get_weather({"city":"Rome"}) call_… came back from #1',
        "lines that were not used:",
        '  queue[0], HERE: {"reply":{"text":"Both have 18 degrees."}}',
        "mistakes of the client in terms of state:",
        "  dropped_tool_output (#2): The call call_… was left without its output.",
    ]


class Rooted(Agent):
    """An agent that always goes on from its first turn."""

    def create(self, input: Any) -> Any:
        root = self.last
        turn = super().create(input)
        self.last = root or turn.id  # always the first
        return turn


def test_bug_2_a_turn_continues_the_wrong_response(mock: Mock, client: OpenAI) -> None:
    mock.reply("Hello Ann.", "You like red.")
    mock.script([{"when": {"context_contains": "red", "turn": 3}, "reply": {"text": "Red, Ann."}}])
    agent = Rooted(client)
    answers = [agent.ask(text) for text in ("I am Ann", "I like it red", "what do I like?")]
    assert answers[2].startswith("Mock reply to")
    assert told(mock)[4:] == [
        '#3 POST /v1/responses gpt-5.5 -> 200 resp_… "Mock reply to: what do I like? [3 items in context]" '
        "[default model]",
        '     sent previous_response_id="resp_…" (#1) tools=["get_weather"]; user: "what do I like?"',
        "lines that were not used:",
        '  queue[0], HERE: {"when":{"context_contains":"red","turn":3},"reply":{"text":"Red, Ann."}}',
        '    nearest is #3: context_contains wants "red", found "I am Ann\\nHello Ann.\\nwhat do I like?" '
        "and turn wants 3, found 2",
    ]
    complaint = format_complaint(mock)
    assert complaint is not None and complaint.splitlines()[:2] == [
        "1 turn was answered by no line of this test:",
        '  #3 answered by the default model: user: "what do I like?"',
    ]
    mock.allow_default()
    assert str(format_complaint(mock)).startswith("1 line was queued for openai_mock and never used:")


def test_bug_3_history_is_sent_beside_the_parent(mock: Mock, client: OpenAI) -> None:
    class Repeating(Agent):
        said: tuple[Any, ...] = ()

        def create(self, input: Any) -> Any:
            self.said += ({"role": "user", "content": input},)
            turn = super().create(list(self.said))
            self.said += ({"role": "assistant", "content": turn.output_text},)
            return turn

    mock.reply("one", "two")
    agent = Repeating(client)
    agent.ask("first"), agent.ask("second")
    assert told(mock)[2:] == [
        '#2 POST /v1/responses gpt-5.5 -> 200 resp_… "two" [queue, HERE]',
        '     sent previous_response_id="resp_…" (#1) tools=["get_weather"]; user: "second" '
        "(after 1 user, 1 assistant)",
        "mistakes of the client in terms of state:",
        "  resent_history (#2): The input repeats 1 item that the chain of previous_response_id already holds; "
        "send only new items.",
        "  lost_phase (#2): The message msg_… was replayed without its phase, final_answer.",
    ]


def test_bug_4_an_output_names_its_call_by_the_id_of_the_item(mock: Mock, client: OpenAI) -> None:
    class Mistaken(Agent):
        def outputs(self, calls: list[Any]) -> list[Any]:
            return [{**output, "call_id": one.id} for output, one in zip(super().outputs(calls), calls, strict=True)]

    mock.reply(PARIS, "18 degrees.")
    with pytest.raises(BadRequestError):
        Mistaken(client).ask("weather in Paris?")
    assert told(mock)[2:5] == [
        "#2 POST /v1/responses gpt-5.5 -> 400 No tool call found for function call output with call_id fc_….",
        '     sent previous_response_id="resp_…" (#1) tools=["get_weather"]; function_call_output fc_… "18 degrees"',
        '     fc_… is the `id` of the item get_weather({"city":"Paris"}) call_…, which came back from #1; '
        "an output names its call by `call_id`: call_…",
    ]


def test_bug_5_an_agent_hides_that_its_thread_has_expired(mock: Mock, client: OpenAI) -> None:
    """Spec: R1.3."""

    class Hiding(Agent):
        def create(self, input: Any) -> Any:
            try:
                return super().create(input)
            except BadRequestError:
                self.last = None
                return super().create(input)

    mock.reply("Hello Ada.", "Your name is Ada.")
    agent = Hiding(client)
    agent.ask("my name is Ada")
    mock.clock.advance(days=35)
    agent.ask("what is my name?")
    assert told(mock)[2:] == [
        "#2 POST /v1/responses gpt-5.5 -> 400 previous_response_not_found: Previous response with id 'resp_…' "
        "not found.",
        '     sent previous_response_id="resp_…" (#1) tools=["get_weather"]; user: "what is my name?"',
        "     resp_… came back from #1 and has expired: it is 35 days old, and a response is kept for 30",
        '#3 POST /v1/responses gpt-5.5 -> 200 resp_… "Your name is Ada." [queue, HERE]',
        '     sent tools=["get_weather"]; user: "what is my name?"',
    ]


class Desk:
    """An agent that stores nothing and sends its whole history; each bug is a subclass."""

    def __init__(self, client: OpenAI) -> None:
        self.client, self.items = client, list[Any]()

    def ask(self, text: str) -> str:
        self.items.append({"role": "user", "content": text})
        while True:
            turn = self.create()
            self.items += [item.model_dump(exclude_none=True) for item in turn.output]
            calls = [item for item in turn.output if item.type == "function_call"]
            if not calls:
                return turn.output_text
            self.items += self.outputs(calls)

    def create(self) -> Any:
        return self.client.responses.create(model="gpt-5.4", input=self.items, store=False)

    def outputs(self, calls: list[Any]) -> list[Any]:
        told = [json.loads(call.arguments)["city"] for call in calls]
        return [
            {"type": "function_call_output", "call_id": call.call_id, "output": f"18 degrees in {city}"}
            for call, city in zip(calls, told, strict=True)
        ]


TIDES = function_call("get_tides", {"city": "Rome"})


def test_bug_6_a_history_is_cut_between_a_call_and_its_output(mock: Mock, client: OpenAI) -> None:
    class Trimming(Desk):
        def create(self) -> Any:
            self.items = self.items[-4:]
            return super().create()

    mock.reply([PARIS, TIDES], "Warm, and high tide.", "Later.")
    desk = Trimming(client)
    desk.ask("weather and tides?")
    with pytest.raises(BadRequestError):
        desk.ask("and tomorrow?")
    assert told(mock)[3:7] == [
        '     sent store=false; function_call_output get_weather({"city":"Paris"}) call_… "18 degrees in Paris", '
        'function_call_output get_tides({"city":"Rome"}) call_… "18 degrees in Rome" (after 2 function_call)',
        "#3 POST /v1/responses gpt-5.4 -> 400 No tool call found for function call output with call_id call_….",
        '     sent store=false; user: "and tomorrow?" (after 2 function_call_output, 1 assistant)',
        '     get_weather({"city":"Paris"}) call_… came back from #1; #2 sent it with its items, #3 does not',
    ]


def test_bug_7_two_outputs_are_swapped(mock: Mock, client: OpenAI) -> None:
    """The API can't know; the report shows which call each output is of."""

    class Swapping(Desk):
        def outputs(self, calls: list[Any]) -> list[Any]:
            one, other = super().outputs(calls)
            return [{**one, "output": other["output"]}, {**other, "output": one["output"]}]

    mock.reply([PARIS, TIDES], "Fine.")
    Swapping(client).ask("weather and tides?")
    assert told(mock)[3] == (
        '     sent store=false; function_call_output get_weather({"city":"Paris"}) call_… "18 degrees in Rome", '
        'function_call_output get_tides({"city":"Rome"}) call_… "18 degrees in Paris" (after 1 user, 2 function_call)'
    )


def test_bug_8_a_turn_goes_on_from_before_the_output(mock: Mock, client: OpenAI) -> None:
    mock.reply(PARIS, "18 degrees.", "Warm.")
    agent = Rooted(client)
    agent.ask("weather in Paris?")
    with pytest.raises(BadRequestError):
        agent.ask("and tomorrow?")
    why = '     get_weather({"city":"Paris"}) call_… came back from #1; its output was sent with #2, which '
    assert told(mock)[6] == f"{why}#3 does not go on from"


def test_an_output_that_was_refused_was_sent_all_the_same(mock: Mock, client: OpenAI) -> None:
    mock.reply(PARIS, error("rate_limit_exceeded"))
    first = client.responses.create(model="gpt-5.5", input="weather?", tools=[TOOL])
    output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "18"}  # type: ignore[union-attr]
    with pytest.raises(RateLimitError):
        client.responses.create(model="gpt-5.5", previous_response_id=first.id, input=[output])  # type: ignore[list-item]
    with pytest.raises(BadRequestError):
        client.responses.create(model="gpt-5.5", previous_response_id=first.id, input="and?")
    assert told(mock)[6].endswith("came back from #1; its output was sent with #2, which was refused")


def test_why_a_parent_is_not_found(mock: Mock, client: OpenAI) -> None:
    def why(parent: str) -> str:
        with pytest.raises(BadRequestError):
            client.responses.create(model="gpt-5.5", input="and?", previous_response_id=parent)
        return [line.strip() for line in told(mock) if line.startswith("     ") and "sent " not in line[:10]][-1]

    create = client.responses.create
    unstored = create(model="gpt-5.5", input="a", store=False)
    assert why(unstored.id) == "resp_… came back from #1, which sent store=false: it was never stored"
    deleted = create(model="gpt-5.5", input="b")
    client.responses.delete(deleted.id)
    assert why(deleted.id) == "resp_… came back from #3 and was deleted by #4"
    assert why("resp_elsewhere") == "no call before this one came back with resp_elsewhere"
    lost = create(model="gpt-5.5", input="c")
    mock.reset("state")
    assert why(lost.id) == "resp_… came back from #7", "the journal does not show why"


def test_calls_that_wait_in_the_items_of_the_same_request(mock: Mock, client: OpenAI) -> None:
    call = {"type": "function_call", "call_id": "call_a", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_b", "output": "x"}
    with pytest.raises(BadRequestError):
        client.responses.create(model="gpt-5.5", input=[call, output])  # type: ignore[list-item]
    assert told(mock)[2] == "     no call with call_b is known; outputs are due for call_a here"


def test_the_page_shows_the_report_as_it_is(mock: Mock, client: OpenAI) -> None:
    mock.reply(PARIS, "18 degrees.")
    first = client.responses.create(model="gpt-5.5", tools=[TOOL], input="weather in Paris?")
    with pytest.raises(BadRequestError):
        client.responses.create(model="gpt-5.5", previous_response_id=first.id, input="and tomorrow?")
    (shown,) = blocks(section("mockserver/testing/README.md", "A failed test"), "text")
    assert told(mock) == re.sub(r"test_weather\.py:\d+", "HERE", shown).splitlines()


def test_what_came_back_in_other_ways(mock: Mock, client: OpenAI) -> None:
    def ask(**more: Any) -> Any:
        return client.responses.create(**{"model": "gpt-5.5", "input": "hi", **more})

    mock.reply([reasoning("Hm."), message("yes")], failed(), incomplete("max_output_tokens", "half"))
    mock.reply(error("rate_limit_exceeded"), "gone")
    mock.faults.add("expire", previous_response_id=True)
    heads = 'gpt-5.5 -> 200 resp_… "yes" [queue, HERE]', "gpt-5.5 -> 200 resp_… failed [queue, HERE]"
    ask(store=False, stream=None), ask(), ask()
    with pytest.raises(Exception, match="429"):
        ask()
    first = ask()
    client.responses.delete(first.id)
    with pytest.raises(BadRequestError):
        ask(previous_response_id=ask(model="gpt-4.1").id)
    assert [line for line in told(mock) if line.startswith("#")] == [
        f"#1 POST /v1/responses {heads[0]}",
        f"#2 POST /v1/responses {heads[1]}",
        '#3 POST /v1/responses gpt-5.5 -> 200 resp_… incomplete (max_output_tokens): "half" [queue, HERE]',
        *[line for line in told(mock) if line.startswith("#4 POST /v1/responses gpt-5.5 -> 429 rate_limit_exceeded: ")],
        *[line for line in told(mock) if line.startswith("#5 POST /v1/responses gpt-5.5 -> 200 resp_… ")],
        "#6 DELETE /v1/responses/resp_… -> 200",
        "#7 POST /v1/responses gpt-4.1 -> 200 resp_… (what it said is gone) [default model]",
        *[line for line in told(mock) if line.startswith("#8") and line.endswith("[fault: expire]")],
    ]
    assert '     sent store=false; user: "hi"' in told(mock)


def test_long_bodies_are_shown_from_their_end(mock: Mock, client: OpenAI) -> None:
    long = "x" * 5000 + "the end"
    history: Any = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 8
    client.responses.create(model="gpt-4.1", input=[*history, {"role": "user", "content": long}], instructions=long)
    (sent,) = [line for line in told(mock) if line.startswith("     sent ")]
    assert sent.endswith('the end" (after 8 user, 8 assistant)') and len(sent) < 2300
    assert "instructions=" in sent


def test_calls_that_are_no_turns_and_bodies_that_are_no_json(mock: Mock, client: OpenAI) -> None:
    conversation = client.conversations.create(metadata={"a": "b"}, items=[{"role": "user", "content": "before"}])
    client.conversations.items.list(conversation.id)
    httpx2.Client(transport=mock.transport()).post("http://x/v1/responses", content=b"{no json")
    lines = told(mock)
    assert lines[:3] == [
        "#1 POST /v1/conversations -> 200",
        '     sent metadata={"a":"b"}; user: "before"',
        "#2 GET /v1/conversations/conv_…/items -> 200",
    ]
    assert (
        lines[3].startswith("#3 POST /v1/responses -> 400 invalid_json: Invalid body")
        and lines[4] == "     sent {no json"
    )


def test_outputs_without_a_call(mock: Mock, client: OpenAI) -> None:
    mock.reply(PARIS)
    first = client.responses.create(model="gpt-5.5", input="weather?", tools=[TOOL])
    stray: Any = [{"type": "function_call_output", "call_id": "call_other", "output": "1"}]
    with pytest.raises(BadRequestError):
        client.responses.create(model="gpt-5.5", input=stray, previous_response_id=first.id)
    with pytest.raises(BadRequestError):
        client.responses.create(model="gpt-5.5", input=stray)
    call: Any = {"type": "function_call", "call_id": "call_own", "name": "f", "arguments": "{}"}
    with pytest.raises(BadRequestError):
        client.responses.create(model="gpt-5.5", input=[call])
    lines = told(mock)
    assert "     no call with call_other is known; outputs are due for call_… here" in lines
    assert "     no call with call_other is known; no call waits for an output here" in lines
    assert "     f({}) call_own is among the items that this request sent" in lines


def test_no_calls_and_many(mock: Mock, client: OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(mock) == ["no calls"] and format_complaint(mock) is None
    for text in "abc":
        client.responses.create(model="gpt-4.1", input=text)
    monkeypatch.setattr(report, "MOST_CALLS", 2)
    monkeypatch.setattr(report, "MOST_LINES", 1)
    mock.reply("one", "two")
    mock.script([{"reply": {"text": "three"}, "times": 3}])
    lines = told(mock)
    assert lines[0] == "(1 earlier calls)" and lines[1].startswith("#2") and lines[-1] == "  and 2 more"


def test_why_a_line_was_not_used(mock: Mock, client: OpenAI) -> None:
    mock.play({"lines": [{"reply": {"text": "all"}}, {"when": {"input_contains": "b"}, "reply": {"text": "late"}}]})
    assert told(mock)[-1] == "    no turn was made"
    client.responses.create(model="gpt-4.1", input="abc")
    lines = told(mock)
    assert lines[0].endswith("[lines[0], HERE]")
    assert lines[-2:] == [
        '  lines[1], HERE: {"when":{"input_contains":"b"},"reply":{"text":"late"}}',
        "    it could answer #1, but lines[0], HERE did",
    ]


def test_colours_change_nothing_else(mock: Mock, client: OpenAI) -> None:
    client.responses.create(model="gpt-4.1", input="hi")
    coloured = format_traffic(mock, ansi)
    assert "\x1b[32m200\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == format_traffic(mock)


def test_a_block_that_fails_takes_its_traffic_with_it() -> None:
    with (
        pytest.raises(ValueError, match="mine") as caught,
        Mock() as mock,
        OpenAI(base_url=mock.base_url, api_key="a") as c,
    ):
        c.responses.create(model="gpt-4.1", input="hi")
        raise ValueError("mine")
    (note,) = caught.value.__notes__
    assert note.startswith("The mock's traffic:\n#1 POST /v1/responses gpt-4.1 -> 200 resp_")
