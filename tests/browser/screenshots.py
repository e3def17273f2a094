"""The pictures of the viewer in the README, from real traffic: `python -m tests.browser.screenshots`.

With a folder, pictures of other views are written there, in both schemes and narrow: to be looked at, not to be kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from openai import APIStatusError
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.browser.desk import Desk
from tests.support.serving import ROOT, Served, serving

PLACE = ROOT / "fixtures" / "viewer"
MODEL = "gpt-5.5"
RULES = "You are a travel assistant. Be brief. " + " ".join(
    f"Rule {number}: name the source of every price, opening hour and timetable that you give." for number in range(80)
)
TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SCENARIO = {
    "lines": [
        {
            "when": {"input_contains": "weather", "has_tool": "get_weather"},
            "reply": {"output": [{"type": "function_call", "name": "get_weather", "arguments": {"city": "Paris"}}]},
        },
        {
            "when": {"last_item": "function_call_output"},
            "reply": {
                "text": "It is 18 degrees in Paris, with a light wind from the west. Take a scarf for the evening."
            },
            "pacing": {"first_token": 0.05, "tokens_per_second": 120},
        },
        {
            "when": {"input_contains": "museum"},
            "reply": {"text": "The Louvre is open until 21:00 on Wednesdays and Fridays."},
        },
        {"when": {"input_contains": "London", "turn": 1}, "reply": {"text": "London has rain."}},
    ]
}


def travel(desk: Desk) -> None:
    """An agent's day: a chain with a tool, forks, a conversation, a compaction, and three mistakes."""

    def turn(input: Any, parent: Any = None, **fields: Any) -> Any:
        if parent is not None:
            fields["previous_response_id"] = parent.id
        return desk.create(input, **{"model": MODEL, "instructions": RULES, "tools": [TOOL], **fields})

    def refused(input: Any, parent: Any) -> None:
        try:
            turn(input, parent)
        except APIStatusError:
            return
        raise AssertionError("it was answered")

    old = turn("Where was I last month?")
    desk.control("POST", "/clock/advance", {"days": 31})
    desk.control("PUT", "/scenario", SCENARIO)
    first = turn("What is the weather in Paris?")
    call = next(item for item in first.output if item.type == "function_call")
    done = {"type": "function_call_output", "call_id": call.call_id, "output": '{"celsius": 18, "wind": "W 2"}'}
    second = [*turn([done], first, stream=True)][-1].response
    refused("And in Lyon?", first)  # leaves the call without its output
    last = second
    for question in (
        "And tomorrow?",
        "Is a museum open late?",
        "How do I get there from Gare du Nord?",
        "Book a table.",
    ):
        last = turn(question, last)
    fork = turn("What about London instead?", second)
    turn("And Rome?", fork, store=False)
    turn("Summarise this for my boss.", second)
    refused("Hello again!", old)
    conversation = desk.client.conversations.create()
    for question in ("I want to travel in May. Where to?", "How far is it by train?"):
        turn(question, conversation=conversation.id)
    gone = turn("Forget that.", conversation=conversation.id)
    desk.client.responses.delete(gone.id)
    compacted = desk.client.responses.compact(model=MODEL, previous_response_id=last.id)
    blob = {"type": "compaction", "encrypted_content": compacted.output[-1].encrypted_content}
    turn([blob, {"role": "user", "content": "Where were we?"}])
    slow = {"reply": {"text": "slow " * 400}, "pacing": {"tokens_per_second": 1}}
    desk.control("POST", "/script", {"lines": [slow]})
    turn("Plan all of it.", background=True)
    history: list[Any] = [{"role": "user", "content": "A short story about a fox."}]
    story = turn(history)
    history += [{"role": "assistant", "content": story.output_text}, {"role": "user", "content": "And a hen?"}]
    turn(history, story)


def take(page: Page, name: str, place: Path = PLACE) -> None:
    """Write a picture, once what is seen is still."""
    page.wait_for_timeout(700)
    page.screenshot(path=place / f"{name}.png")


def main(folder: str | None = None) -> None:
    """Make all pictures, or those of other views."""
    PLACE.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)

        def open_page(**given: Any) -> Page:
            return browser.new_context(reduced_motion="reduce", **given).new_page()

        if folder is None:
            with serving("--seed", "7") as served:
                pictures(served, open_page)
        else:
            take_views(Path(folder), open_page)
        browser.close()


def take_views(folder: Path, open_page: Any) -> None:
    """A cassette that is replayed, with misses: the list, why, the cassette; in both schemes and narrow."""
    folder.mkdir(exist_ok=True)
    cassette = str(folder / "talk.yaml")
    Path(cassette).unlink(missing_ok=True)
    with (
        serving("--seed", "7") as upstream,
        serving("--mode", "record", "--upstream", upstream.base_url, "--cassette", cassette) as recorder,
    ):
        converse(Desk(recorder, open_page(), "views"))
    with serving("--mode", "replay", "--cassette", cassette) as replaying:
        desk = Desk(replaying, open_page(), "views")
        first = desk.create("What is the weather in Paris?", instructions=RULES, model=MODEL)
        desk.create("And tomorrow?", previous_response_id=first.id, instructions=RULES, model=MODEL)
        for question in ("And the day after tomorrow?", "Is a museum open late on Mondays?"):
            try:
                desk.create(question, previous_response_id=first.id, instructions=RULES, model=MODEL)
            except APIStatusError:
                continue
            raise AssertionError("it was answered")
        for scheme in ("light", "dark"):
            for width in (1280, 400):
                page = open_page(viewport={"width": width, "height": 760}, color_scheme=scheme)
                take_replay(Desk(replaying, page, "views"), f"{scheme}-{width}", folder)
    print("\n".join(sorted(path.name for path in folder.iterdir())))


def take_replay(desk: Desk, name: str, folder: Path) -> None:
    """The views of one page."""
    desk.open()
    desk.rows("miss").first.click()
    if desk.page.locator("[data-pane=detail]").is_visible():
        take(desk.page, f"list-{name}", folder)
        desk.page.locator("[data-pane=detail]").click()
    take(desk.page, f"why-{name}", folder)
    desk.view("cassette")
    expect(desk.page.locator(".records .row").first).to_be_visible()
    take(desk.page, f"cassette-{name}", folder)


def converse(desk: Desk) -> None:
    """What the cassette holds: a chain with forks, a conversation, a stream, a refusal."""

    def turn(input: Any, parent: Any = None, **fields: Any) -> Any:
        if parent is not None:
            fields["previous_response_id"] = parent.id
        return desk.create(input, **{"model": MODEL, "instructions": RULES, **fields})

    first = turn("What is the weather in Paris?")
    second = turn("And tomorrow?", first)
    turn("Is a museum open late?", second)
    [*turn("How do I get there from Gare du Nord?", second, stream=True)]
    turn("What about London instead?", first)
    conversation = desk.client.conversations.create()
    for question in ("I want to travel in May. Where to?", "How far is it by train?"):
        turn(question, conversation=conversation.id)
    desk.client.responses.retrieve(first.id)
    try:
        desk.create("Hello again!", previous_response_id="resp_" + "0" * 50)
    except APIStatusError:
        return
    raise AssertionError("it was answered")


def pictures(served: Served, open_page: Any) -> None:
    """The three pictures of the README."""
    desk = Desk(served, open_page(viewport={"width": 1280, "height": 760}), "travel")
    travel(desk)
    desk.open()
    desk.page.locator("#filter").fill("Gare")
    desk.page.locator("#filter").fill("")
    desk.choose(7, "context")
    expect(desk.panel).to_contain_text("cached")
    take(desk.page, "context")
    dark = Desk(served, open_page(viewport={"width": 1280, "height": 760}, color_scheme="dark"), "travel")
    dark.open()
    dark.rows("dropped tool output").first.click()
    dark.tab("why")
    take(dark.page, "why-dark")
    narrow = Desk(served, open_page(viewport={"width": 400, "height": 760}, color_scheme="dark"), "travel")
    narrow.open()
    narrow.page.locator("[data-pane=graph]").click()
    take(narrow.page, "narrow")
    print("\n".join(f"{path.name} {path.stat().st_size // 1024} KB" for path in sorted(Path(PLACE).iterdir())))


if __name__ == "__main__":
    main(*sys.argv[1:])
