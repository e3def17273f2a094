"""What a test asks of the journal, and what it is told when an assertion fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest
from dirty_equals import HasLen, IsPartialDict, IsPositiveInt, IsStr
from openai import OpenAI

import mockserver
from mockserver import Mock, function_call
from mockserver.testing.journal import LONGEST

TOOL: Any = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock(clock="2026-11-20T12:00:00Z") as mock:
        yield mock


def ask(mock: Mock, input: Any = "hi", **more: Any) -> Any:
    with OpenAI(base_url=mock.base_url, api_key="any", max_retries=0) as client:
        answer = client.responses.create(model=more.pop("model", "gpt-5.5"), input=input, **more)
        return list(answer) if more.get("stream") else answer


def failure(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def test_an_exchange_tells_all_of_a_call(mock: Mock) -> None:
    mock.reply("scripted")
    response = ask(mock, "what?", store=False)
    one = mock.journal.last
    assert isinstance(one, mockserver.Exchange)
    assert one.request["store"] is False and one.request == {"model": "gpt-5.5", "input": "what?", "store": False}
    assert (one.id, one.method, one.path, one.status, one.error) == (1, "POST", "/v1/responses", 200, None)
    assert (one.response_id, one.transport, one.ended, one.model) == (response.id, "http", "delivered", "gpt-5.5")
    assert one.context is not None and one.context.texts == ["what?"]
    assert one.line == {"place": "queue", "reply": {"text": "scripted"}}
    assert one.at == 1_795_176_000.0 and one.seconds > 0 and one.headers["authorization"] == "<redacted>"
    assert (one.changes, one.faults, one.events, one.query) == ([], [], 0, "")
    assert repr(one) == "#1 POST /v1/responses → 200"


def test_a_journal_is_a_sequence_of_what_was_there_when_it_was_asked(mock: Mock) -> None:
    assert len(mock.journal) == 0 and not mock.journal.requests
    assert failure(lambda: mock.journal.last) == "no call was made"
    for text in ("one", "two", "three"):
        ask(mock, text)
    assert [one.request["input"] for one in mock.journal] == ["one", "two", "three"]
    assert mock.journal[0].request["input"] == "one" and len(mock.journal[1:]) == 2
    assert [one["input"] for one in mock.journal.requests] == ["one", "two", "three"]
    assert repr(mock.journal).startswith("[#1 POST")
    mock.journal.clear()
    assert len(mock.journal) == 0


def test_calls_are_found_by_what_they_are(mock: Mock) -> None:
    client = OpenAI(base_url=mock.base_url, api_key="any", max_retries=0)
    conversation = client.conversations.create()
    client.conversations.items.list(conversation.id)
    first = ask(mock, model="gpt-4.1")
    ask(mock, stream=True)
    with pytest.raises(Exception, match="not found"):
        ask(mock, previous_response_id="resp_none")
    journal = mock.journal
    assert [one.id for one in journal.filter(path="/v1/conversations*")] == [1, 2]
    assert [one.id for one in journal.filter(method="GET")] == [2]
    assert [one.id for one in journal.filter(model="gpt-4.1")] == [3]
    assert [one.id for one in journal.filter(response_id=first.id)] == [3]
    assert [one.id for one in journal.filter(status=400)] == [5]
    assert [one.id for one in journal.filter(transport="sse")] == [4]
    assert [one.id for one in journal.turns] == [3, 4, 5] and journal.turns.filter(status=200).last.id == 4
    assert journal.last.error is not None and journal.last.error["code"] == "previous_response_not_found"
    assert journal.last.context is None
    assert "#5 POST /v1/responses → 400 has no context" in failure(lambda: journal.turns.last.context)
    assert journal.turns[0].context.texts == [journal.turns[0].request["input"]]


def test_longer_journals_are_read_page_by_page(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mockserver.testing.journal.PAGE", 2)
    for number in range(5):
        ask(mock, str(number))
    assert [one.request["input"] for one in mock.journal] == list("01234")


CONDITIONS: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"model": "gpt-5.5"}, True),
    ({"model": "gpt-4.1"}, False),
    ({"store": False}, True),
    ({"store": 0}, False),
    ({"temperature": None}, True),
    ({"max_output_tokens": 64.0}, True),
    ({"metadata": None}, False),
    ({"metadata": {"colour": "red"}}, True),
    ({"metadata": {"colour": "red", "size": None}}, True),
    ({"metadata": {"size": ...}}, False),
    ({"metadata": ...}, True),
    ({"metadata": dict}, True),
    ({"metadata": list}, False),
    ({"input": re.compile("we.ther")}, False),
    ({"input": [{"role": "user", "content": re.compile("we.ther")}]}, True),
    ({"input": [{"role": "user"}, {"role": "user"}]}, False),
    ({"input": lambda items: len(items) == 1}, True),
    ({"tools": [{"name": "look"}]}, True),
    ({"tools": ()}, False),
    ({"metadata": ANY}, True),
    ({"metadata": {"size": ANY}}, False),
    ({"metadata": {"colour": IsStr(regex="r.d")}}, True),
    ({"metadata": {"colour": IsStr(regex="b.*")}}, False),
    ({"max_output_tokens": IsPositiveInt, "store": False}, True),
    ({"max_output_tokens": IsStr}, False),
    ({"input": HasLen(1)}, True),
    ({"metadata": IsPartialDict(a="b")}, True),
    ({"instructions": IsStr() | None}, True),
    ({"instructions": IsStr()}, False),
]


@pytest.mark.parametrize(("conditions", "hold"), CONDITIONS)
def test_conditions(mock: Mock, conditions: dict[str, Any], hold: bool) -> None:
    message: Any = [{"role": "user", "content": "the weather?"}]
    ask(mock, message, store=False, metadata={"colour": "red", "a": "b"}, tools=[TOOL], max_output_tokens=64)
    if hold:
        assert mock.journal.assert_sent(conditions).id == 1
        assert mock.journal.assert_sent(**conditions, times=1).id == 1
    else:
        assert "Nearest of 1: #1 POST /v1/responses → 200\n  " in failure(mock.journal.assert_sent, **conditions)


def test_a_failure_shows_the_nearest_call_and_what_differs(mock: Mock) -> None:
    ask(mock, "tell me a joke", store=True, metadata={"user": "ann"})
    ask(mock, "another", model="gpt-4.1")
    told = failure(
        mock.journal.assert_sent,
        model="gpt-5.5",
        store=False,
        input=re.compile("weather"),
        metadata={"user": "bob"},
        tools=len,
        include=[str],
    )
    assert told.splitlines() == [
        'No call was sent with model=\'gpt-5.5\', store=false, input=/weather/, metadata={"user":"bob"}, tools=len, '
        "include=[<class 'str'>]. Nearest of 2: #1 POST /v1/responses → 200",
        "  store: expected false, found true",
        "  input: expected /weather/, found 'tell me a joke'",
        "  metadata.user: expected 'bob', found 'ann'",
        "  tools: expected len, found nothing",
        "  include: expected [<class 'str'>], found nothing",
    ]


def test_long_values_and_many_differences_are_shortened(mock: Mock) -> None:
    assert failure(mock.journal.assert_sent, input="x").endswith("; no call was made.")
    ask(mock, "long " * 100)
    told = failure(mock.journal.assert_sent, {f"key{n}": n for n in range(1, 9)}, input="short")
    assert told.endswith("\n  and 4 more") and len(told.splitlines()) == 7
    told = failure(mock.journal.assert_sent, input="short")
    assert told.splitlines()[1].endswith("…") and len(told.splitlines()[1]) < LONGEST + 60


def test_times(mock: Mock) -> None:
    ask(mock, "one", store=False)
    ask(mock, "two", store=False)
    assert mock.journal.assert_sent(store=False, times=2).request["input"] == "two"
    mock.journal.assert_sent(store=True, times=0)
    told = failure(mock.journal.assert_sent, store=False, times=1)
    assert told.startswith('Expected 1 × store=false; 2 calls:\n  #1 POST /v1/responses → 200 \'{"model"')
    assert failure(mock.journal.assert_sent, store=True, times=1).startswith(
        "Expected 1 × store=true; no call. Nearest"
    )
    assert "Expected 0 × any body; 2 calls:" in failure(mock.journal.assert_sent, times=0)


def test_no_more_and_nothing(mock: Mock) -> None:
    mock.journal.assert_nothing_sent()
    mock.journal.assert_no_more()
    client = OpenAI(base_url=mock.base_url, api_key="any")
    response = ask(mock, "one")
    client.responses.retrieve(response.id)
    ask(mock, "two")
    client.responses.delete(response.id)
    mock.journal.assert_sent(input="one")
    told = failure(mock.journal.assert_no_more).splitlines()
    assert told[0] == "2 calls without an assertion:"
    assert told[1].startswith("  #3 POST /v1/responses → 200") and told[2].startswith("  #4 DELETE /v1/responses/resp_")
    mock.journal.turns.assert_sequence({"input": "one"}, {"input": "two"})
    mock.journal.turns.assert_no_more()
    mock.journal.filter(method="DELETE").assert_sent()
    mock.journal.assert_no_more()
    assert failure(mock.journal.assert_nothing_sent).startswith("Expected no call, found 4 calls:\n  #1 POST")
    mock.reset()
    mock.journal.assert_nothing_sent()
    ask(mock, "one")
    assert failure(mock.journal.assert_no_more).startswith("1 call without an assertion")


def test_long_lists_of_calls_are_cut(mock: Mock) -> None:
    for number in range(7):
        ask(mock, str(number))
    assert failure(mock.journal.assert_no_more).endswith("\n  and 2 more")


def test_sequences(mock: Mock) -> None:
    mock.reply(function_call("look", {}))
    ask(mock, "look!", tools=[TOOL])
    ask(mock, "between")
    ask(mock, "then", store=False)
    found = mock.journal.assert_sequence({"input": "look!", "tools": ...}, {"store": False})
    assert [one.id for one in found] == [1, 3]
    told = failure(mock.journal.assert_sequence, {"input": "between"}, {"input": "look!"})
    assert told.splitlines() == [
        "Step 2 of 2 after #2 POST /v1/responses → 200: No call was sent with input='look!'. "
        "Nearest of 1: #3 POST /v1/responses → 200",
        "  input: expected 'look!', found 'then'",
    ]
    assert failure(mock.journal.assert_sequence, {"input": "never"}).startswith("Step 1 of 1: No call was sent")


def test_what_is_no_json_meets_no_condition(mock: Mock) -> None:
    client = OpenAI(base_url=mock.base_url, api_key="any")
    client.models.list()
    assert mock.journal.last.request is None and mock.journal.last.model is None and mock.journal.requests == []
    assert "the body: expected a JSON object, found ''" in failure(mock.journal.assert_sent, model="gpt-5.5")
    assert mock.journal.assert_sent().path == "/v1/models"


def test_what_was_left_out_of_a_request_reads_as_none(mock: Mock) -> None:
    ask(mock, "what?")
    request = mock.journal.last.request
    assert request["store"] is None and "store" not in request and request == {"model": "gpt-5.5", "input": "what?"}
