"""The stateless loop of the reasoning guide under OpenAI's client: blobs of a script go out, come back, are paid for.

Spec: R1.42, R1.5, T8, T9, T11.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from openai import OpenAI

from mockserver import Mock, compaction, function_call, message, reasoning
from mockserver.wire.tokens.tokenizer import count

MODEL = "gpt-5.2"  # reports its reasoning exactly and rereads that of the current turn only
TOOL: Any = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}
SEALED: Any = ["reasoning.encrypted_content"]


def adds_up(usage: Any) -> bool:
    """Spec: O2."""
    hidden = usage.output_tokens_details.reasoning_tokens
    return usage.total_tokens == usage.input_tokens + usage.output_tokens and 0 < hidden <= usage.output_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_R1_42_three_turns_without_a_store(stream: bool) -> None:
    with Mock(seed=1) as mock, OpenAI(base_url=mock.base_url, api_key="any", max_retries=0) as client:
        mock.reply([reasoning("Look here.", encrypted_content="gAAAAABone"), function_call("look", call_id="call_1")])
        mock.reply([reasoning("And there.", encrypted_content="gAAAAABtwo"), function_call("look", call_id="call_2")])
        mock.reply([reasoning("Enough.", encrypted_content="gAAAAABthree"), message("18 degrees")])
        history: list[Any] = [{"role": "user", "content": "How warm is it?"}]
        turns: list[Any] = []
        for _ in range(3):
            turn: Any = client.responses.create(
                model=MODEL,
                input=history,
                tools=[TOOL],
                store=False,
                include=SEALED,
                reasoning={"effort": "high", "summary": "auto"},
                stream=stream,
            )
            if stream:
                *_, last = turn
                turn = last.response
            turns.append(turn)
            history += turn.output
            history += [
                {"type": "function_call_output", "call_id": item.call_id, "output": "18"}
                for item in turn.output
                if item.type == "function_call"
            ]
        assert turns[-1].output_text == "18 degrees"
        sent = [item.encrypted_content for item in history if getattr(item, "type", "") == "reasoning"]
        assert sent == ["gAAAAABone", "gAAAAABtwo", "gAAAAABthree"]
        assert all(adds_up(turn.usage) for turn in turns)
        # T11, H family: input(n+1) = input(n) + output_tokens(n) + n(".look") + n("18") + 9
        steps = [later.usage.input_tokens - sooner.usage.input_tokens for sooner, later in pairwise(turns)]
        assert steps == [turn.usage.output_tokens + count(".look") + count("18") + 9 for turn in turns[:2]]


def test_R1_42_a_scripted_compaction_item_begins_the_next_window() -> None:
    """Spec: R5.4."""
    with Mock(seed=1) as mock, OpenAI(base_url=mock.base_url, api_key="any", max_retries=0) as client:
        mock.reply([compaction(encrypted_content="gAAAAABcompacted"), message("short")])
        first = client.responses.create(model=MODEL, input="a long story", store=False)
        again: Any = [*first.output, {"role": "user", "content": "and then?"}]
        second = client.responses.create(model=MODEL, input=again, store=False)
        assert second.status == "completed"
