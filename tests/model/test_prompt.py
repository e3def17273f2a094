"""What a model reads out of its prompt."""

from __future__ import annotations

from mockserver.model.default_model import last_user_text
from mockserver.model.prompt import context_text, input_text
from mockserver.wire.responses.resources import item_text
from tests.support.prompts import ASKED, called, prompt, returned, user


def test_texts_of_items() -> None:
    image = {"type": "input_image", "image_url": "data:,x"}
    parts = [{"type": "input_text", "text": "a"}, image, {"type": "refusal", "refusal": "b"}]
    assert item_text({"type": "message", "role": "user", "content": parts}) == "ab"
    assert item_text(called("f")) == "{}"
    assert item_text(returned("18")) == "18"
    assert item_text({"type": "web_search_call", "action": {"type": "search", "query": "x"}}).count("x") == 1
    assert item_text({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}) == "hm"


def test_last_user_text_reads_the_whole_context_and_input_text_what_is_new() -> None:
    assert last_user_text(prompt(*ASKED)) == "weather in Oslo?" and input_text(prompt(*ASKED)) == ""
    assert input_text(prompt(*ASKED, user("a"), user("b"))) == "a\nb"
    assert last_user_text(prompt()) == input_text(prompt()) == context_text(prompt()) == ""


def test_context_text_is_in_order() -> None:
    assert context_text(prompt(*ASKED)) == "weather in Oslo?\n{}\n18 degrees"
