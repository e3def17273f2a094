"""The levers: each of them, and what it does to the client and to the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from openai import APIStatusError, RateLimitError
from playwright.sync_api import expect

from tests.browser.desk import Desk
from tests.support.serving import serving


def test_the_clock_is_advanced_and_says_what_expired(desk: Desk) -> None:
    made = desk.create("soon gone")
    desk.open()
    desk.choose(0)
    desk.view("levers")
    card = desk.card("Clock")
    desk.click(card.get_by_role("button", name="Advance"))  # 31 days, which is more than the 30 that a response lives
    expect(desk.page.locator(".lever-said")).to_contain_text("1 expired")
    expect(card.locator(".changes")).to_contain_text(made.id[-6:])
    desk.view("trace")
    expect(desk.said).to_contain_text("expired")
    with pytest.raises(APIStatusError):
        desk.client.responses.retrieve(made.id)
    expect(desk.tab("context")).to_contain_text("soon gone")


def test_the_clock_is_frozen_and_let_run(desk: Desk) -> None:
    desk.create()
    desk.open()
    desk.view("levers")
    card = desk.card("Clock")
    card.get_by_label("Freeze at").fill("2030-01-01T00:00:00Z")
    card.get_by_role("button", name="Freeze").click()
    expect(card.locator(".big")).to_have_text("2030-01-01 00:00:00 UTC · frozen")
    expect(desk.page.locator(".head .clock")).to_contain_text("frozen")
    assert desk.control("GET", "/clock")["mode"] == "manual"
    card.get_by_label("Freeze at").fill("tomorrow")
    card.get_by_role("button", name="Freeze").click()
    expect(desk.page.locator(".lever-said")).to_contain_text("takes unix seconds from 0 to 4294967295, or an ISO time")
    card.get_by_role("button", name="Let it run").click()
    expect(card.locator(".big")).to_contain_text("running")


def test_a_queued_reply_answers_the_next_turn(desk: Desk) -> None:
    desk.create()
    desk.open()
    desk.view("levers")
    card = desk.card("Queue a reply")
    card.get_by_label("Text").fill("18 degrees, <b>sunny</b>.")
    card.get_by_role("button", name="Queue").click()
    expect(card.locator(".rule")).to_contain_text("18 degrees, <b>sunny</b>.")
    assert desk.create().output_text == "18 degrees, <b>sunny</b>."
    expect(card.locator(".rule")).to_have_count(0)
    card.get_by_label("The next turn").select_option("call")
    card.get_by_label("Text").fill("{")
    card.get_by_role("button", name="Queue").click()
    expect(desk.page.locator(".lever-said")).to_contain_text("is not JSON")
    card.get_by_label("Text").fill('{"name": "f", "arguments": {"a": 1}}')
    card.get_by_role("button", name="Queue").click()
    expect(card.locator(".rule")).to_have_count(1)
    assert desk.create(tools=[{"type": "function", "name": "f", "parameters": {}}]).output[0].arguments == '{"a":1}'


def test_a_fault_is_set_struck_and_removed(desk: Desk) -> None:
    desk.create()
    desk.open()
    desk.view("levers")
    card = desk.card("Faults")
    card.get_by_role("button", name="Add").click()
    expect(card.locator(".rule")).to_contain_text("rate_limit_exceeded")
    with pytest.raises(RateLimitError):
        desk.create()
    expect(card.locator(".rule")).to_contain_text("struck 1×")
    card.get_by_role("button", name="Remove", exact=True).click()
    expect(card.locator(".rule")).to_have_count(0)
    assert desk.control("GET", "/faults") == {"faults": []}
    card.get_by_label("Rule").fill('{"do": "explode"}')
    card.get_by_role("button", name="Add").click()
    expect(desk.page.locator(".lever-said")).to_contain_text("explode")


def test_every_preset_of_a_fault_is_valid(desk: Desk) -> None:
    desk.create()
    desk.open()
    desk.view("levers")
    card = desk.card("Faults")
    names = card.get_by_label("Kind").locator("option").all_inner_texts()
    for name in names:
        card.get_by_label("Kind").select_option(name)
        card.get_by_role("button", name="Add").click()
        expect(card.locator(".rule")).to_have_count(names.index(name) + 1)
    card.get_by_role("button", name="Remove all").click()
    expect(card.locator(".rule")).to_have_count(0)


def test_snapshots_are_taken_compared_saved_and_restored(desk: Desk, tmp_path: Path) -> None:
    first = desk.create("kept")
    desk.open()
    desk.view("levers")
    card = desk.card("Snapshots")
    card.get_by_label("Name").fill("before <i>it</i>")
    card.get_by_role("button", name="Take").click()
    expect(card.locator(".rule")).to_contain_text("before <i>it</i>")
    second = desk.create("later")
    card.get_by_role("button", name="Diff").click()
    expect(card.locator(".json")).to_contain_text(second.id)
    expect(card.locator(".json")).not_to_contain_text(first.id)
    with desk.page.expect_download() as saved:
        card.get_by_role("button", name="Save").click()
    path = tmp_path / "saved.json"
    saved.value.save_as(path)
    assert first.id in json.loads(path.read_text())["responses"]
    card.get_by_role("button", name="Restore").click()
    expect(desk.page.locator(".lever-said")).to_contain_text("Restored")
    with pytest.raises(APIStatusError):
        desk.client.responses.retrieve(second.id)
    card.locator("input[type=file]").set_input_files(path)
    expect(card.locator(".rule", has_text="saved.json")).to_be_visible()


def test_reset_forgets_and_the_page_follows(desk: Desk) -> None:
    desk.create()
    desk.open()
    expect(desk.rows()).to_have_count(1)
    desk.view("levers")
    desk.card("Reset").get_by_role("button", name="Reset").click()
    expect(desk.page.locator(".lever-said")).to_contain_text("Forgotten")
    desk.view("trace")
    expect(desk.rows()).to_have_count(0)
    expect(desk.page.locator(".empty")).to_be_visible()
    desk.create("again")
    expect(desk.rows()).to_have_count(1)


def test_reset_of_a_part(desk: Desk) -> None:
    made = desk.create()
    desk.open()
    desk.view("levers")
    card = desk.card("Reset")
    for part in ("state", "scenario", "faults", "clock"):
        card.get_by_label(part).uncheck()
    card.get_by_role("button", name="Reset").click()
    expect(desk.page.locator(".lever-said")).to_contain_text("Forgotten")
    assert desk.control("GET", "/journal")["data"] == []
    assert desk.client.responses.retrieve(made.id).id == made.id


def test_charts_draw_a_chain_the_models_and_durations(desk: Desk) -> None:
    first = desk.create("one")
    desk.create("two", previous_response_id=first.id)
    desk.create("other", model="gpt-5.5", stream=True).close()
    desk.open()
    desk.choose(1)
    desk.view("charts")
    charts = desk.page.locator("#view-charts")
    expect(charts.locator(".bar")).to_have_count(2)
    expect(charts).to_contain_text("1,047,576 tokens of the window")
    expect(charts.locator("tbody tr")).to_have_count(2)
    expect(charts.locator(".dot")).to_have_count(3)
    charts.locator(".bar").first.click()
    expect(desk.said).to_contain_text(first.id)


def test_findings_lead_to_their_exchange(desk: Desk) -> None:
    unstored = desk.create("forget this", store=False)
    with pytest.raises(APIStatusError):
        desk.create(previous_response_id=unstored.id)
    desk.create("later")
    desk.open()
    findings = desk.control("GET", "/verdict")["findings"]
    desk.view("reports")
    card = desk.card("Verdict")
    expect(card.locator(".finding")).to_have_count(len(findings))
    assert findings
    card.get_by_role("button", name="exchange 2").first.click()
    expect(desk.page.locator(".detail-facts")).to_contain_text("exchange 2")
    expect(desk.tab("why")).to_contain_text("previous_response_not_found")


def test_drift_of_a_shadow_is_listed_and_forgotten(page, request: pytest.FixtureRequest) -> None:
    with (
        serving("--set", "delete_object=response.deleted") as upstream,
        serving("--mode", "shadow", "--upstream", upstream.base_url) as shadow,
    ):
        desk = Desk(shadow, page, request.node.name)
        made = desk.create()
        desk.client.responses.delete(made.id)
        page.goto(f"{shadow.origin}/_mock/")
        desk.view("reports")
        card = desk.card("Drift")
        expect(card.locator(".finding").first).to_contain_text(re.compile("DELETE|delete"))
        card.locator("summary").first.click()
        expect(card.locator(".json").first).to_contain_text("response.deleted")
        card.get_by_role("button", name="Forget them").click()
        expect(card.locator(".finding")).to_have_count(0)


def test_a_strict_miss_says_which_line_was_near(page, request: pytest.FixtureRequest) -> None:
    with serving("--strict") as strict:
        desk = Desk(strict, page, request.node.name)
        line = {"when": {"input_contains": "weather", "model": "gpt-4.1"}, "reply": {"text": "sunny"}}
        desk.control("PUT", "/scenario", {"lines": [line]})
        with pytest.raises(APIStatusError):
            desk.create("time in Paris?")
        desk.open()
        panel = desk.choose(0)
        expect(desk.page.locator("#tab-why")).to_have_attribute("aria-selected", "true")  # an error opens it by itself
        expect(panel).to_contain_text("No scenario line answers this request")
        expect(panel).to_contain_text("lines[0]")
        expect(panel).to_contain_text("input_contains")
