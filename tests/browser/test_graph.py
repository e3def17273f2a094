"""The state graph: chains, forks, conversations, and what has become of responses."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk


def test_a_fork_is_walked_by_the_arrow_keys(desk: Desk) -> None:
    root = desk.create("root")
    first = desk.create("first branch", previous_response_id=root.id)
    second = desk.create("second branch", previous_response_id=root.id)
    desk.open()
    desk.choose(0)
    expect(desk.said).to_contain_text("2 branches")
    canvas = desk.page.locator("canvas")
    canvas.focus()
    for key, id in (("ArrowRight", first.id), ("ArrowDown", second.id), ("ArrowLeft", root.id)):
        canvas.press(key)
        expect(desk.said).to_contain_text(id)
    expect(desk.rows().nth(0)).to_have_attribute("aria-selected", "true")


def test_after_a_burst_only_what_is_new_is_read(desk: Desk) -> None:
    root = desk.create("root")
    desk.open()
    desk.choose(0)
    with desk.page.expect_response(lambda answer: f"graph?after={root.id}" in answer.url) as reading:
        child = desk.create("child", previous_response_id=root.id)
        desk.create("not kept", store=False)
    assert [node["id"] for node in reading.value.json()["responses"]] == [child.id, root.id]
    desk.choose(1)
    expect(desk.said).to_contain_text("turn 2")
    expect(desk.page.locator(".detail-facts")).to_contain_text("expires")
    desk.choose(2)
    expect(desk.said).to_contain_text("not stored")
    with desk.page.expect_response(lambda answer: answer.url.endswith("/graph")):
        desk.client.responses.delete(child.id)
    desk.choose(1)
    expect(desk.said).to_contain_text(re.compile("deleted|gone"))


def test_a_click_selects_a_node_and_shift_compares(desk: Desk) -> None:
    root = desk.create("root")
    child = desk.create("child", previous_response_id=root.id)
    desk.open()
    canvas = desk.page.locator("canvas")
    canvas.click(position={"x": 116, "y": 34})
    expect(desk.said).to_contain_text(root.id)
    canvas.click(position={"x": 116 + 64, "y": 34}, modifiers=["Shift"])
    expect(desk.panel.locator("select")).to_have_value(child.id)


def test_a_conversation_is_a_lane_and_a_deleted_response_stays_hollow(desk: Desk) -> None:
    conversation = desk.client.conversations.create()
    desk.create("one", conversation=conversation.id)
    second = desk.create("two", conversation=conversation.id)
    desk.client.responses.delete(second.id)
    desk.open()
    desk.choose(2)
    expect(desk.said).to_contain_text(conversation.id)
    expect(desk.said).to_contain_text(re.compile("turn 2.*(deleted|gone)"))
    expect(desk.page.locator(".detail-facts")).to_contain_text(re.compile("deleted|gone"))


def test_compaction_and_unstored_turns_have_marks(desk: Desk) -> None:
    first = desk.create("a long story")
    compacted = desk.client.responses.compact(model="gpt-4.1", previous_response_id=first.id)
    desk.create([{"type": "compaction", "encrypted_content": compacted.output[-1].encrypted_content}])
    desk.create("nothing kept", store=False)
    desk.open()
    desk.choose(2)
    expect(desk.said).to_contain_text("compacted")
    desk.choose(3)
    expect(desk.said).to_contain_text("not stored")


def test_a_running_response_ends_live(desk: Desk) -> None:
    line = {"reply": {"text": "slow " * 40}, "pacing": {"tokens_per_second": 1}}
    desk.control("POST", "/script", {"lines": [line]})
    made = desk.create("work", background=True)
    desk.open()
    desk.choose(0)
    expect(desk.said).to_contain_text(re.compile("running|in_progress|queued"))
    desk.control("POST", "/clock/advance", {"days": 1})
    expect(desk.said).to_contain_text("completed")
    expect(desk.tab("response").locator(".row", has_text="status").first).to_contain_text("completed")
    assert desk.client.responses.retrieve(made.id).status == "completed"


@pytest.mark.filterwarnings(
    r"ignore:connect\(\) must be used:DeprecationWarning"
)  # of websockets, for what openai does
def test_a_socket_s_turns_are_shown(desk: Desk) -> None:
    with desk.client.responses.connect() as connection:
        connection.response.create(model="gpt-4.1", input="over a socket", store=False)
        first = next(event.response for event in connection if event.type == "response.completed")
        connection.response.create(model="gpt-4.1", input="again", previous_response_id=first.id, store=False)
        next(event for event in connection if event.type == "response.completed")
    desk.open()
    expect(desk.rows("ws")).to_have_count(3)
    expect(desk.choose(2, "context")).to_contain_text("over a socket")
    expect(desk.said).to_contain_text("turn 2")
    desk.page.get_by_role("button", name="WS").click()
    expect(desk.rows("ws")).to_have_count(3)


LAYOUT = """(() => {
  const plan = m.layout(new Map(x.map((node) => [node.id, node])));
  return [...plan.places.values()].map((place) => [place.id, place.lane, place.x]).sort();
})()"""


def test_forks_begin_a_lane_below_and_cycles_end(desk: Desk) -> None:
    desk.create()
    desk.open()
    nodes = [
        {"id": id, "parent": parent} for id, parent in [("a", None), ("b", "a"), ("c", "a"), ("d", "b"), ("e", None)]
    ]
    places = desk.import_and("graph_layout.js", LAYOUT, nodes)
    # the newest root first; a's first child goes on in its lane
    assert places == [["a", 1, 0], ["b", 1, 1], ["c", 2, 1], ["d", 1, 2], ["e", 0, 0]]
    assert desk.import_and("graph_layout.js", LAYOUT, [{"id": "a", "parent": "a"}]) == [["a", 0, 0]]
    chain = [{"id": f"{n:05d}", "parent": f"{n - 1:05d}" if n else None} for n in range(20_000)]
    assert desk.import_and("graph_layout.js", LAYOUT, chain)[-1] == ["19999", 0, 19_999]
