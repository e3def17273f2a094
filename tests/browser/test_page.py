"""The page as a whole: the keyboard, the filter, accessibility in both schemes and both widths, speed, planted bugs."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from openai import APIStatusError
from playwright.sync_api import Browser, Page, expect

from tests.browser.desk import Desk, violations
from tests.support.serving import Served, serving


def fill(desk: Desk) -> None:
    """A little of everything."""
    first = desk.create("one", instructions="Be brief.", model="gpt-5.5")
    second = desk.create("two", previous_response_id=first.id, model="gpt-5.5")
    desk.create("fork", previous_response_id=first.id, model="gpt-5.5", store=False)
    [*desk.create("streamed", stream=True)]
    with pytest.raises(APIStatusError):
        desk.create(model="gpt-nothing")
    desk.create(
        [{"role": "user", "content": "two"}, {"role": "user", "content": "x"}],
        previous_response_id=second.id,
        model="gpt-5.5",
    )
    desk.control("PUT", "/faults", {"faults": [{"when": {"path": "/nowhere"}, "do": {"delay": 1}}]})
    desk.control("POST", "/script", {"lines": [{"when": {"turn": 99}, "reply": {"text": "never"}}]})


def test_the_keyboard_does_everything(desk: Desk) -> None:
    made = [desk.create(f"turn {number}") for number in range(4)]
    desk.open()
    expect(desk.rows()).to_have_count(4)  # keys move over rows that are there
    press = desk.page.keyboard.press
    press("/")
    expect(desk.page.locator("#filter")).to_be_focused()
    press("ArrowDown")
    press("ArrowDown")
    press("ArrowDown")
    expect(desk.page.locator(".detail-title")).to_contain_text(made[1].id)
    press("ArrowUp")
    expect(desk.page.locator(".detail-title")).to_contain_text(made[0].id)
    press("End")
    expect(desk.page.locator(".detail-title")).to_contain_text(made[3].id)
    press("Enter")
    expect(desk.page.locator("#tab-context")).to_be_focused()
    press("ArrowRight")
    expect(desk.page.locator("#tab-request")).to_have_attribute("aria-selected", "true")
    for digit, name in enumerate(("context", "request", "response", "events", "why", "diff"), 1):
        press(str(digit))
        expect(desk.page.locator(f"#tab-{name}")).to_have_attribute("aria-selected", "true")


def test_the_filter_finds_by_text_field_and_chain(desk: Desk) -> None:
    first = desk.create("one")
    desk.create("two", previous_response_id=first.id)
    desk.create("other", model="gpt-5.5")
    with pytest.raises(APIStatusError):
        desk.create(model="gpt-nothing")
    desk.open()
    box = desk.page.locator("#filter")
    for text, count in (
        ("status:4xx", 1),
        ("status:200", 3),
        ("-status:200", 1),
        ("model:gpt-5.5", 1),
        ("POST responses", 4),
        (f"chain:{first.id[-8:]}", 2),
        ("by:default over:http", 3),
        (first.id, 2),
        ("nothing has this", 0),
    ):
        box.fill(text)
        expect(desk.rows()).to_have_count(count)
    expect(desk.page.locator(".list-empty")).to_have_text("No exchange matches the filter.")
    box.fill("")
    desk.page.get_by_role("button", name="4xx").click()
    expect(desk.rows()).to_have_count(1)
    expect(desk.page.get_by_role("button", name="4xx")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing(served: Served, chromium: Browser, scheme: Any, width: int) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    desk = Desk(served, context.new_page(), f"axe {scheme} {width}")
    fill(desk)
    desk.open()
    expect(desk.rows().first).to_be_visible()
    found = {}
    desk.choose(1)
    for tab in ("context", "request", "response", "events", "why", "diff"):
        desk.page.evaluate("(id) => document.getElementById(id).click()", f"tab-{tab}")
        expect(desk.panel).not_to_contain_text("Reading…")
        found[tab] = violations(desk.page)
    for pane in ("list", "graph") if width == 400 else ():
        desk.page.locator(f"[data-pane={pane}]").click()
        found[pane] = violations(desk.page)
    for view in ("charts", "levers", "reports", "cassette"):
        desk.view(view)
        expect(desk.page.locator(f"#view-{view}")).not_to_contain_text("Reading…")
        found[view] = violations(desk.page)
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    context.close()
    assert not {place: wrong for place, wrong in found.items() if wrong}


FRAMES = """(steps) => new Promise((done) => {
  const list = document.querySelector('.pane-list .list'), canvas = document.querySelector('canvas');
  const frames = []; let last = performance.now(), at = 0;
  function step(now) {
    frames.push(now - last); last = now;
    if (at++ >= steps) return done(frames.slice(2));
    list.scrollTop = (at * 997) % list.scrollHeight;
    const way = { deltaX: at % 60 < 30 ? 220 : -220, deltaY: at % 40 < 20 ? 180 : -180 };
    const turn = { ...way, bubbles: true, cancelable: true };
    canvas.dispatchEvent(new WheelEvent('wheel', at % 10 ? turn : { ...turn, ctrlKey: true }));
    requestAnimationFrame(step);
  }
  requestAnimationFrame(step);
})"""

# when the list has two exchanges
WATCH = """() => { window.seen = new Promise((done) => new MutationObserver(() => {
  if (document.querySelector('.pane-list .count').textContent === '2') done(Date.now());
}).observe(document.querySelector('.pane-list'), { subtree: true, childList: true, characterData: true })) }"""

# when a turn was answered
TURN = """async ([url, key]) => {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` };
  const answer = await fetch(url, { method: 'POST', headers, body: '{"model": "gpt-4.1", "input": "live"}' });
  await answer.json();
  return Date.now();
}"""

# tasks of the page that took longer than 50 ms
TASKS = """window.tasks = [];
new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((task) => task.duration)))
  .observe({ type: 'longtask', buffered: true });"""

PAINTED = """new Promise((done) => {
  const look = () => document.querySelector('.pane-list .row') && !document.querySelector('.graph').hidden
    && document.querySelector('.pane-list .count').textContent >= 1
    ? done(performance.now()) : requestAnimationFrame(look);
  look();
})"""


def test_5000_responses_are_drawn_at_once_and_scroll_smoothly(page: Page) -> None:
    """Prints what was measured in the browser; asserts counts alone, for a busy machine is slower."""
    with serving("--journal", "6000") as large:
        desk = Desk(large, page, "five thousand")
        given: list[dict[str, Any]] = []
        for number in range(5_000):
            parent = f"resp_{number - 1:050d}" if number % 50 else None
            item = {"id": f"resp_{number:050d}", "input": [{"role": "user", "content": f"turn {number}"}]}
            given.append({**item, "output": [], **({"previous_response_id": parent} if parent else {})})
        desk.control("PUT", "/given", {"responses": given})
        desk.create("and one more")
        page.add_init_script(TASKS)
        page.goto(f"{large.origin}/_mock/?project={desk.project()}")
        painted = page.evaluate(PAINTED)
        loading = page.evaluate("window.tasks")
        expect(page.locator("#project")).to_contain_text("5,001 responses")
        assert page.evaluate("document.querySelectorAll('.row').length") < 80
        frames = page.evaluate(FRAMES, 240)
        assert len(frames) >= 200
        page.evaluate(WATCH)
        ended = page.evaluate(TURN, [f"{large.base_url}/responses", desk.key])
        shown = page.evaluate("window.seen")
        ordered = sorted(frames)
        print(
            f"\nfirst paint with 5,001 responses {painted:.0f} ms, its longest task {max(loading, default=0):.0f} ms; "
            f"live update {max(0, shown - ended)} ms after the answer; "
            f"frames: median {ordered[len(ordered) // 2]:.1f}, 99th {ordered[int(len(ordered) * 0.99)]:.1f}, "
            f"longest {ordered[-1]:.1f} ms, {sum(frame > 50 for frame in frames)} of {len(frames)} over 50 ms"
        )


def test_three_planted_bugs_are_found_in_the_viewer_alone(served: Served, page: Page) -> None:
    """An agent with three bugs; how many clicks each takes is counted, the seconds are printed."""
    tool = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}
    desk = Desk(served, page, "three bugs")
    for number in range(20):
        desk.create(f"a turn without a mistake {number}")
    history: list[Any] = [{"role": "user", "content": "What is a fox?"}]
    first = desk.create(history)
    history += [{"role": "assistant", "content": first.output_text}, {"role": "user", "content": "And a hen?"}]
    desk.create(history, previous_response_id=first.id)  # resent history
    call = desk.create("look it up", tools=[tool], tool_choice="required")
    with pytest.raises(APIStatusError):
        desk.create("and now?", previous_response_id=call.id, tools=[tool])  # lost tool output
    old = desk.create("a month ago")
    desk.control("POST", "/clock/advance", {"days": 31})
    with pytest.raises(APIStatusError):
        desk.create("hello again", previous_response_id=old.id)  # parent expired
    desk.open()
    expect(desk.page.locator("#open-reports .badge")).to_be_visible()
    found: dict[str, tuple[int, float]] = {}

    def bug(name: str) -> None:
        found[name] = (desk.clicks, page.evaluate("performance.now()"))

    bug("start")
    desk.click(page.get_by_role("button", name="mistakes"))
    desk.click(desk.rows("resent history"))
    expect(desk.tab("why")).to_contain_text("already holds; send only new items.")
    bug("resent history")
    desk.click(desk.rows("dropped tool output"))
    expect(desk.panel).to_contain_text(re.compile("No tool output found|without its output"))
    bug("lost tool output")
    desk.click(page.get_by_role("button", name="mistakes"))
    desk.click(page.get_by_role("button", name="4xx"))
    desk.click(desk.rows("previous_response_not_found"))
    expect(desk.panel).to_contain_text("previous_response_not_found")
    desk.click(desk.panel.get_by_role("button", name="parent"))
    expect(desk.said).to_contain_text(re.compile(f"{old.id}.*expired"))
    bug("parent expired")
    steps = [*found.items()]
    for (_, before), (name, after) in pairwise(steps):
        print(f"{name}: {after[0] - before[0]} clicks, {(after[1] - before[1]) / 1000:.1f} s")
    assert desk.clicks <= 10
