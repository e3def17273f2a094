"""What is left of a reply that is longer than its limit. Spec: R7.1, R7.5-R7.8, S8 g, T8."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.model.default_model import SeededModel
from mockserver.model.output_limit import mark_cut, truncate_to_limit
from mockserver.model.prompt import Prompt, Reply
from mockserver.wire.responses.resources import assistant_message, text_part
from mockserver.wire.tokens.context import output_tokens
from mockserver.wire.tokens.tokenizer import count, pieces
from tests.support.prompts import called, prompt, user

REASONING = {"type": "reasoning", "summary": []}
CALL = {"type": "function_call", "name": "f", "arguments": json.dumps({"a": "long " * 50})}
CUSTOM = {"type": "custom_tool_call", "name": "f", "input": "long " * 50}


def limited(most: int, model: str = "gpt-4.1", **request: Any) -> Prompt:
    return prompt(user("x"), model=model, max_output_tokens=most, **request)


def cut(asked: Prompt, *items: dict[str, Any], **reply: Any) -> Reply:
    return truncate_to_limit(Reply(output=items, **reply), asked, count)


def message(asked: Prompt, text: str, **part: Any) -> dict[str, Any]:
    return assistant_message(asked.model, {**text_part(text), **part})


def total(reply: Reply, of: Prompt) -> int:
    return output_tokens(reply.output, reply.reasoning_tokens, of.request, of.model, count)


@pytest.mark.parametrize("name", ["gpt-4.1", "gpt-5", "gpt-5.6-terra", "o3-mini"])
@pytest.mark.parametrize("most", [16, 17, 20, 50, 100, 1000])
def test_R7_6_the_cap_holds(name: str, most: int) -> None:
    asked = prompt(user("word 字 🙂 " * 200), model=name, max_output_tokens=most)
    reply = SeededModel().respond(asked)
    assert total(reply, asked) <= most
    assert (reply.incomplete == "max_output_tokens") is (most < 1000)
    if reply.incomplete and reply.output:
        assert reply.output[-1]["status"] == "incomplete"
        assert total(reply, asked) >= most - 4


@pytest.mark.parametrize("call", [CALL, CUSTOM], ids=lambda call: str(call["type"]))
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.6-terra"])
def test_R7_6_a_call_is_cut_in_its_arguments(call: dict[str, Any], model: str) -> None:
    asked = limited(20, model)
    reply = cut(asked, call)
    key = "arguments" if "arguments" in call else "input"
    [item] = reply.output
    assert item == {**call, "status": "incomplete", key: item[key]}
    assert item[key] and call[key].startswith(item[key]) and item[key] != call[key]
    longer = {**item, key: call[key][: len(item[key])] + pieces(call[key][len(item[key]) :])[0]}
    assert total(reply, asked) <= 20 < total(reply._replace(output=(longer,)), asked), "one token more does not fit"
    assert reply.incomplete == "max_output_tokens"


def test_R7_6_a_call_is_cut_behind_what_fits() -> None:
    asked = limited(40, "gpt-5.6-terra")
    reply = cut(asked, REASONING, CALL, reasoning_tokens=10)
    assert [item["type"] for item in reply.output] == ["reasoning", "function_call"] and reply.reasoning_tokens == 10
    assert [item.get("status") for item in reply.output] == [None, "incomplete"]
    first = {**CALL, "arguments": "{}"}
    several = cut(limited(40), first, CALL)
    assert [item.get("status") for item in several.output] == [None, "incomplete"] and several.output[0] == first


def test_R7_6_what_can_not_begin_is_not_made_and_leaves_the_rest_complete() -> None:
    asked = limited(16, "gpt-5.6-terra")
    thinking = cut(asked, REASONING, CALL, reasoning_tokens=64)
    assert [item["type"] for item in thinking.output] == ["reasoning"] and thinking.reasoning_tokens == 14
    short, search = message(asked, "ok then"), {"type": "web_search_call", "action": {"query": "long " * 50}}
    reply = cut(asked, short, search)
    assert [item["type"] for item in reply.output] == ["message"] and reply.output[0]["status"] == "completed"
    assert mark_cut(reply.output) == reply.output
    named = {**CALL, "name": "a_name_of_so_many_tokens_that_nothing_of_the_call_can_be_said_before_the_limit"}
    assert cut(asked, named).output == ()


def test_T8_a_text_of_exactly_the_limit_is_kept_whole() -> None:
    asked = limited(16)
    exactly = " word" * 16
    reply = cut(asked, message(asked, exactly))
    assert count(exactly) == 16
    assert reply.output[0]["content"][0]["text"] == exactly and reply.output[0]["status"] == "incomplete"
    assert reply.incomplete == "max_output_tokens"


def test_T8_models_that_round_report_nothing_when_they_are_cut_while_they_think() -> None:
    asked = limited(100, "gpt-5")
    reply = cut(asked, REASONING, message(asked, "never said"), reasoning_tokens=128)
    assert (reply.output, reply.reasoning_tokens, reply.output_tokens) == ((REASONING,), 0, 0)
    assert reply.incomplete == "max_output_tokens"


def test_a_short_reply_stays_as_it_is() -> None:
    asked = limited(16, "gpt-5.6-terra")
    short = Reply(output=(message(asked, "ok"),))
    assert truncate_to_limit(short, asked, count).output == short.output
    assert short.output_tokens is None, "the reply that was given stays as it was"


def test_log_probabilities_and_citations_end_with_the_text() -> None:
    asked = limited(17)
    text = " word" * 40
    near = {"type": "url_citation", "start_index": 0, "end_index": 5, "title": "t", "url": "u"}
    far = {"type": "file_citation", "index": 190, "file_id": "f", "filename": "n"}
    logprobs = [{"token": token, "logprob": -0.1, "bytes": []} for token in pieces(text)]
    part = cut(asked, message(asked, text, annotations=[near, far], logprobs=logprobs)).output[0]["content"][0]
    assert part["annotations"] == [near]
    assert "".join(one["token"] for one in part["logprobs"]) == part["text"] != text


def test_R7_6_later_parts_of_a_message_fall_away() -> None:
    asked = limited(20)
    parts = [text_part(" word" * 10), text_part(" word" * 50), text_part(" never")]
    [item] = cut(asked, assistant_message(asked.model, *parts)).output
    assert [len(pieces(part["text"])) for part in item["content"]] == [10, 10]


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_R7_6_a_script_that_says_incomplete_has_cut_its_last_item(reason: str) -> None:
    asked = limited(1000)
    text, call = message(asked, "so far"), called("f")
    assert [item.get("status") for item in cut(asked, text, call, incomplete=reason).output] == [None, "incomplete"]
    said = {**call, "status": "completed"}
    assert cut(asked, text, said, incomplete=reason).output == (text, said), "who says it himself knows it"
    thought = cut(asked, text, REASONING, incomplete=reason)
    assert [item.get("status") for item in thought.output] == [None, None], "what was cut has no status"
    compacted = cut(asked, text, {"type": "compaction"}, incomplete=reason)
    assert [item.get("status") for item in compacted.output] == ["incomplete", None]


def test_R7_8_hosted_calls_beyond_max_tool_calls_are_not_made_and_cues_follow() -> None:
    search, mine = {"type": "web_search_call"}, called("f")
    reply = Reply(
        output=(search, mine, search, assistant_message(prompt(user("x")).model, text_part("ok"))), cues={"3": {"a": 1}}
    )
    cut = truncate_to_limit(reply, prompt(user("x"), max_tool_calls=1), count)
    assert [item["type"] for item in cut.output] == ["web_search_call", "function_call", "message"]
    assert cut.cues == {"2": {"a": 1}}
    assert truncate_to_limit(reply, prompt(user("x"), max_tool_calls=2), count).output == reply.output


def test_R7_1_the_window_caps_what_is_left_of_it() -> None:
    asked = prompt(user("hi"), model="gpt-4o-mini")
    asked.input_tokens = 128_000 - 20
    long = Reply(output=(assistant_message(asked.model, text_part(" word" * 30)),))
    cut = truncate_to_limit(long, asked, count)
    assert cut.incomplete == "max_output_tokens"
    assert output_tokens(list(cut.output), 0, asked.request, asked.model, count) == 20
