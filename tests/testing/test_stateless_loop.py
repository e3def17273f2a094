"""A tool loop that the client keeps by itself, with sealed reasoning that a script brings along, under the real client.

Spec: R1.41, R1.42, T7, T8, T9, T11.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from mockserver import Mock, compaction, function_call, message, reasoning
from mockserver.wire.tokens.tokenizer import count

MODEL = "gpt-5.2"  # reports its reasoning exactly, and reads only that of the current turn
ASKED = {"type": "message", "role": "user", "content": "What do the two shelves hold?"}
TOOL = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {"shelf": {"type": "string"}}},
    "strict": False,
}
# what each turn of the loop thinks: its blob, and how many tokens are hidden in it
THOUGHTS = (("gAAAAABqfirstThought==", 70), ("gAAAAABqsecondThought==", 133), ("gAAAAABqthirdThought==", 9))
ARGUMENTS = ('{"shelf":"left"}', '{"shelf":"right"}')
FOUND = ("three red books", "a clock that has stopped")
SAID = "Books on the left, a clock on the right."


def think(turn: int, *items: Any, **reply: Any) -> dict[str, Any]:
    """A line whose reasoning is sealed in a blob of its own."""
    blob, tokens = THOUGHTS[turn]
    hidden = {"output_tokens_details": {"reasoning_tokens": tokens}}
    return {"reply": {"output": [reasoning(encrypted_content=blob), *items], "usage": hidden, **reply}}


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock() as mock:
        mock.script(
            [
                *(think(turn, function_call("look", ARGUMENTS[turn], call_id=f"call_{turn}")) for turn in (0, 1)),
                think(2, {"type": "message", "text": SAID}),
                {"reply": {"text": "You are welcome."}},
            ]
        )
        yield mock


@pytest.fixture(params=["whole", "streamed"])
def ask(request: pytest.FixtureRequest, mock: Mock) -> Iterator[Any]:
    """Ask with the whole history, keep nothing on the server."""
    with openai.OpenAI(
        base_url=mock.base_url, api_key="any", max_retries=0, _strict_response_validation=True
    ) as client:

        def ask(history: list[Any]) -> Response:
            asked: dict[str, Any] = {
                "model": MODEL,
                "input": history,
                "tools": [TOOL],
                "reasoning": {"effort": "high"},
                "store": False,
                "include": ["reasoning.encrypted_content"],
            }
            if request.param == "whole":
                return client.responses.create(**asked)
            with client.responses.stream(**asked) as stream:
                return stream.get_final_response()

        yield ask


def run_loop(ask: Any) -> tuple[list[Any], list[Response]]:
    """Answer each call of the model, until it makes none; the history at the end, and the three responses."""
    history: list[Any] = [ASKED]
    responses = []
    for turn in range(3):
        responses.append(ask(history))
        history += [item.model_dump(exclude_none=True) for item in responses[-1].output]
        if turn < 2:
            history.append({"type": "function_call_output", "call_id": f"call_{turn}", "output": FOUND[turn]})
    return history, responses


def usage(response: Response) -> Any:
    assert response.usage is not None
    return response.usage


def test_R1_42_each_blob_comes_out_as_scripted_and_is_taken_back(ask: Any, mock: Mock) -> None:
    history, responses = run_loop(ask)
    assert [response.output[0].encrypted_content for response in responses] == [blob for blob, _ in THOUGHTS]  # type: ignore[union-attr]
    assert [response.output[1].type for response in responses] == ["function_call", "function_call", "message"]
    assert responses[2].output_text == SAID and not any(one.model_dump()["store"] for one in responses)
    sent = [one["encrypted_content"] for one in mock.journal[-1].request["input"] if one["type"] == "reasoning"]
    assert sent == [blob for blob, _ in THOUGHTS[:2]]
    assert ask([*history, {"role": "user", "content": "Thanks!"}]).output_text == "You are welcome."


def test_T8_hidden_tokens_are_part_of_the_output_and_of_the_total(ask: Any) -> None:
    _, responses = run_loop(ask)
    for response, (_, hidden) in zip(responses, THOUGHTS, strict=True):
        assert usage(response).output_tokens_details.reasoning_tokens == hidden
        assert usage(response).total_tokens == usage(response).input_tokens + usage(response).output_tokens
    made = [usage(response).output_tokens for response in responses]
    name = count(".look")
    assert made[:2] == [11 + name + count(ARGUMENTS[turn]) + 2 + THOUGHTS[turn][1] for turn in (0, 1)]
    assert made[2] == count(SAID) + THOUGHTS[2][1] + 6


def test_T9_T11_later_turns_pay_for_what_was_thought_in_the_loop(ask: Any) -> None:
    history, responses = run_loop(ask)
    for turn in (0, 1):
        before, after = usage(responses[turn]), usage(responses[turn + 1])
        answered = count(".look") + count(FOUND[turn]) + 9
        assert after.input_tokens == before.input_tokens + before.output_tokens + answered
    asked = {"role": "user", "content": "Thanks!"}
    later = usage(ask([*history, asked])).input_tokens
    unsealed = [item for item in history if item["type"] != "reasoning"]
    assert later == usage(ask([*unsealed, asked])).input_tokens, "a new question ends the turn: it reads no old thought"


def test_E57_a_blob_that_nobody_handed_out_is_refused(ask: Any) -> None:
    history, _ = run_loop(ask)
    history[1] = {**history[1], "encrypted_content": THOUGHTS[0][0].replace("f", "g")}
    with pytest.raises(openai.BadRequestError) as caught:
        ask(history)
    assert caught.value.code == "invalid_encrypted_content"


def test_R1_42_a_scripted_compaction_item_begins_the_next_window() -> None:
    """Spec: R5.4."""
    with Mock(seed=1) as mock, openai.OpenAI(base_url=mock.base_url, api_key="any", max_retries=0) as client:
        mock.reply([compaction(encrypted_content="gAAAAABcompacted"), message("short")])
        first = client.responses.create(model=MODEL, input="a long story", store=False)
        again: Any = [*first.output, {"role": "user", "content": "and then?"}]
        second = client.responses.create(model=MODEL, input=again, store=False)
        assert second.status == "completed"
