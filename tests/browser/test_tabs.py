"""Each tab of the detail, with real traffic of the openai client."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openai import APIStatusError
from playwright.sync_api import expect

from tests.browser.desk import Desk

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def call_then_answer(desk: Desk) -> tuple[Any, Any]:
    line = {"reply": {"output": [{"type": "function_call", "name": "get_weather", "arguments": {"city": "Paris"}}]}}
    desk.control("POST", "/script", {"lines": [line, {"reply": {"text": "18 degrees."}}]})
    first = desk.create("weather in Paris?", tools=[WEATHER], instructions="Be brief.")
    output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "18 C"}
    return first, desk.create([output], previous_response_id=first.id, tools=[WEATHER])


def test_context_shows_what_the_model_saw_and_where_it_came_from(desk: Desk) -> None:
    _, second = call_then_answer(desk)
    desk.open()
    panel = desk.choose(1, "context")
    rows = panel.locator(".row")
    expect(rows).to_have_count(4)
    texts = [" ".join(text.split()) for text in rows.all_inner_texts()]
    assert "weather in Paris?" in texts[1] and "inherited" in texts[1]
    assert 'get_weather({"city":"Paris"})' in texts[2] and "inherited" in texts[2]
    assert "18 C" in texts[3] and "own" in texts[3]
    expect(panel.locator(".context-summary")).to_contain_text(f"{second.usage.input_tokens} tokens in")
    expect(panel.locator(".context-summary")).to_contain_text("2 inherited, 1 own")
    rows.nth(3).click()
    expect(panel.locator(".reader-text")).to_have_text("18 C")


def test_context_shades_what_came_from_the_cache(desk: Desk) -> None:
    rules = " ".join(f"Rule {number}: name your source." for number in range(400))
    first = desk.create("one", instructions=rules)
    second = desk.create("two", instructions=rules, previous_response_id=first.id)
    assert second.usage.input_tokens_details.cached_tokens > 1024, "the mock caches prefixes from 1024 tokens on"
    desk.open()
    panel = desk.choose(1, "context")
    expect(panel.locator(".context-summary")).to_contain_text(
        f"{second.usage.input_tokens_details.cached_tokens:,} cached"
    )


def test_context_lists_what_truncation_kept_from_the_model(desk: Desk) -> None:
    words = "word " * 60_000
    first = desk.create(words, model="gpt-4o")
    second = desk.create(words, model="gpt-4o", previous_response_id=first.id, truncation="auto")
    third = desk.create(words, model="gpt-4o", previous_response_id=second.id, truncation="auto")
    dropped = desk.control("GET", f"/responses/{third.id}/context")["dropped"]
    assert dropped
    desk.open()
    panel = desk.choose(2, "context")
    expect(panel.locator(".context-row.dropped")).to_have_count(len(dropped))
    expect(panel.locator(".context-summary")).to_contain_text(f"{len(dropped)} not seen")
    expect(desk.said).to_contain_text(f"{len(dropped)} items dropped")


def test_request_and_response_as_json_that_folds(desk: Desk) -> None:
    made = desk.create("fold me", metadata={"case": "json"})
    desk.open()
    panel = desk.choose(0, "request")
    expect(panel.locator(".row", has_text="input")).to_contain_text('"fold me"')
    panel.locator(".row", has_text="metadata").click()
    expect(panel.locator(".row", has_text="case")).to_have_count(0)
    panel.locator(".row", has_text="metadata").click()
    expect(panel.locator(".row", has_text="case")).to_contain_text('"json"')
    panel = desk.tab("response")
    expect(panel.locator(".row", has_text="id:").first).to_contain_text(made.id)
    expect(panel.locator(".row", has_text="status").first).to_contain_text("completed")


def test_an_exchange_is_copied_as_curl_python_and_a_scenario_line(desk: Desk) -> None:
    _, second = call_then_answer(desk)
    desk.open()
    desk.choose(0, "request")
    expect(desk.panel.locator(".row").first).to_be_visible()
    curl = desk.copied("Copy as curl")
    assert curl.startswith(f"curl '{desk.served.base_url}/responses'") and "$OPENAI_API_KEY" in curl
    assert "get_weather" in curl and desk.key not in curl
    python = desk.copied("Copy as Python")
    compile(python, "copied", "exec")
    assert 'instructions="Be brief."' in python and "client.responses.create(" in python
    desk.choose(1, "response")
    expect(desk.panel.locator(".row", has_text=second.id).first).to_be_visible()
    line = desk.tab("request") and desk.copied("Copy as scenario line")
    assert '"18 degrees."' in line and line.startswith("- when: ")


def test_a_copied_scenario_line_answers_the_same(desk: Desk) -> None:
    import yaml

    call_then_answer(desk)
    desk.open()
    desk.choose(0, "response")
    expect(desk.panel.locator(".row", has_text="get_weather").first).to_be_visible()
    desk.tab("request")
    [line] = yaml.safe_load(desk.copied("Copy as scenario line"))
    desk.control("PUT", "/scenario", {"lines": [line]})
    assert desk.create("weather in Paris?").output[0].arguments == '{"city":"Paris"}'


def test_events_on_an_axis_with_the_text_as_it_grows(desk: Desk) -> None:
    line = {"reply": {"text": "one two three four"}, "pacing": {"first_token": 0.1, "tokens_per_second": 50}}
    desk.control("POST", "/script", {"lines": [line]})
    events = [*desk.create("count", stream=True)]
    desk.open()
    panel = desk.choose(0, "events")
    expect(panel.locator(".scrub output")).to_contain_text(f"{len(events)} of {len(events)}")
    expect(panel.locator(".grown")).to_have_text("one two three four")
    delta = panel.locator(".row", has_text="output_text.delta").nth(1)
    expect(delta.locator(".event-gap")).to_have_text("+20 ms")  # 50 tokens a second
    delta.click()
    expect(panel.locator(".grown")).to_have_text("one two")
    expect(panel.locator("svg")).to_have_attribute("aria-label", re.compile(rf"{len(events)} events in \d+ ms"))


def test_why_names_the_line_that_answered(desk: Desk) -> None:
    desk.control("PUT", "/scenario", {"lines": [{"when": {"input_contains": "ping"}, "reply": {"text": "pong"}}]})
    desk.create("ping")
    desk.create("something else")
    desk.open()
    panel = desk.choose(0, "why")
    expect(panel.locator(".place").first).to_have_text("lines[0]")
    expect(panel.locator(".row", has_text="input_contains")).to_contain_text('"ping"')
    panel = desk.choose(1)
    expect(panel).to_contain_text("The default model: no line matched.")
    expect(panel.locator(".misses")).to_contain_text("lines[0]")
    expect(panel.locator(".mismatch")).to_contain_text("input_contains wants")


def test_why_tells_which_fault_struck(desk: Desk) -> None:
    desk.control("PUT", "/faults", {"faults": [{"when": {"path": "/v1/responses"}, "do": {"error": 500}, "times": 1}]})
    with pytest.raises(APIStatusError):
        desk.create()
    desk.open()
    expect(desk.rows("fault")).to_have_count(1)
    panel = desk.choose(0, "why")
    expect(panel).to_contain_text("Faults that struck")
    expect(panel).to_contain_text("error")


def test_why_tells_what_the_client_did_wrong(desk: Desk) -> None:
    history: list[Any] = [{"role": "user", "content": "Tell me about foxes"}]
    first = desk.create(history)
    history += [{"role": "assistant", "content": first.output_text}, {"role": "user", "content": "And about hens?"}]
    desk.create(history, previous_response_id=first.id)
    desk.open()
    expect(desk.page.locator("#open-reports .badge")).to_have_text(re.compile(r"\d"))
    expect(desk.rows("resent history")).to_have_count(1)
    expect(desk.choose(1, "why")).to_contain_text("already holds; send only new items.")


def test_diff_puts_two_contexts_side_by_side(desk: Desk) -> None:
    root = desk.create("shared beginning")
    left = desk.create("left branch", previous_response_id=root.id)
    desk.create("right branch", previous_response_id=root.id)
    desk.open()
    panel = desk.choose(2, "diff")
    expect(panel.locator(".count").first).to_contain_text("1 in both, 0 only there, 2 only here")  # against the parent
    panel.locator("select").select_option(left.id)
    expect(panel.locator(".diff-row.gone")).to_contain_text("left branch")
    expect(panel.locator(".diff-row.added")).to_contain_text("right branch")
    expect(panel.locator(".diff-row.same")).to_have_count(2)


def test_a_turn_that_was_not_stored_shows_its_context_all_the_same(desk: Desk) -> None:
    desk.create("keep nothing", store=False)
    desk.open()
    expect(desk.choose(0, "context")).to_contain_text("keep nothing")
    expect(desk.tab("events")).to_contain_text("was not stored")
    expect(desk.tab("response")).to_contain_text("was not stored")
