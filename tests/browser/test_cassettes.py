"""Modes with an upstream or a cassette: what is forwarded, recorded, replayed and missed, seen in the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError
from playwright.sync_api import Page, expect

from tests.browser.desk import Desk, violations
from tests.support.serving import Served, serving


@contextmanager
def recorder(cassette: Path) -> Iterator[Served]:
    """A server that records a mock's answers."""
    with (
        serving("--seed", "7") as upstream,
        serving("--mode", "record", "--upstream", upstream.base_url, "--cassette", str(cassette)) as server,
    ):
        yield server


@pytest.fixture
def talk(tmp_path: Path, page: Page) -> Path:
    """A cassette: a chain of three with a fork, and a turn of its own."""
    path = tmp_path / "talk.yaml"
    with recorder(path) as server:
        desk = Desk(server, page, "recorded")
        first = desk.create("What is a fox?")
        second = desk.create("And a hen?", previous_response_id=first.id)
        desk.create("And a goose?", previous_response_id=second.id)
        desk.create("And an owl?", previous_response_id=first.id)
        desk.create("Something else")
    return path


def open_page(desk: Desk) -> None:
    """Open the page, on whichever project comes."""
    desk.page.goto(f"{desk.served.origin}/_mock/")
    expect(desk.page.locator(".live")).to_have_text("live")


def records(desk: Desk, text: str | re.Pattern[str] = "") -> Any:
    """The interactions in sight that have a text."""
    return desk.page.locator("#view-cassette .records .row", has_text=text)


def test_a_miss_is_found_in_the_page_and_names_what_differs(talk: Path, page: Page) -> None:
    with serving("--mode", "replay", "--cassette", str(talk)) as server:
        desk = Desk(server, page, "replayed")
        first = desk.create("What is a fox?")
        with pytest.raises(APIStatusError):
            desk.create("And a duck?", previous_response_id=first.id)
        desk.open()
        expect(desk.rows("cassette #1")).to_have_count(1)
        page.get_by_role("button", name="misses").click()
        expect(desk.rows()).to_have_count(1)
        desk.rows("501").click()
        expect(desk.panel).to_contain_text('recorded "And a hen?", sent "And a duck?"')  # the tab Why opens by itself
        desk.view("cassette")
        miss = desk.card("Misses").locator(".finding")
        expect(miss).to_contain_text("'And a duck?'")
        expect(miss.locator(".mismatch").first).to_contain_text("context[2].content[0].text")
        expect(miss.locator(".mismatch").first).to_contain_text('recorded "And a hen?", sent "And a duck?"')
        miss.get_by_role("button", name="#2").first.click()
        expect(records(desk, "And a hen?")).to_have_attribute("aria-selected", "true")
        expect(desk.card("Cassette")).to_contain_text("4 not used, 1 miss")
        assert violations(page) == []


def test_recordings_stand_below_what_they_go_on_from_and_say_whether_they_were_used(talk: Path, page: Page) -> None:
    with serving("--mode", "replay", "--cassette", str(talk)) as server:
        desk = Desk(server, page, "replayed")
        desk.create("Something else")
        desk.open()
        desk.view("cassette")
        expect(records(desk)).to_have_count(5)
        numbers = [text.split()[0] for text in records(desk).locator(".method").all_inner_texts()]
        assert numbers == ["#1", "#2", "#3", "#4", "#5"]  # 4 is a fork of 1, after the branch of 2 and 3
        pads = records(desk).locator(".line-1 .json-pad").evaluate_all("pads => pads.map((pad) => pad.style.width)")
        assert pads == ["0px", "16px", "32px", "16px", "0px"]
        expect(records(desk, "Something else")).to_contain_text("used 1×")
        expect(records(desk, "not used")).to_have_count(4)
        desk.create("What is a fox?")  # while the page looks
        expect(records(desk, "not used")).to_have_count(3)


def test_a_replayed_answer_is_shown_in_the_tabs(talk: Path, page: Page) -> None:
    with serving("--mode", "replay", "--cassette", str(talk)) as server:
        desk = Desk(server, page, "replayed")
        first = desk.create("What is a fox?")
        desk.create("And a hen?", previous_response_id=first.id)
        desk.open()
        panel = desk.choose(0, "response")
        expect(panel.locator(".row", has_text="id:").first).to_contain_text(first.id)
        expect(desk.tab("context")).to_contain_text("answered elsewhere")
        expect(desk.tab("events")).to_contain_text("answered elsewhere")
        expect(desk.tab("why")).to_contain_text("cassette #1")
        expect(desk.tab("request").locator(".row", has_text="input")).to_contain_text("What is a fox?")
        page.locator("canvas").press("ArrowRight")  # the second is drawn after the first
        expect(desk.said).to_contain_text("turn 2")


def test_a_recording_is_listed_as_it_is_made(tmp_path: Path, page: Page) -> None:
    with recorder(tmp_path / "new.yaml") as server:
        desk = Desk(server, page, "recorded")
        open_page(desk)
        desk.view("cassette")
        expect(page.locator("#view-cassette")).to_contain_text("They are recorded.")
        desk.create("one")
        expect(records(desk, "'one'")).to_have_count(1)
        desk.create("two", stream=True).close()
        expect(records(desk, "'two'")).to_contain_text("sse")
        expect(desk.card("Cassette")).to_contain_text(re.compile("recorded: 2.*failures: 0"))
        desk.view("trace")
        expect(desk.rows("upstream, recorded")).to_have_count(2)


def test_forwarded_calls_are_listed_and_drawn_while_a_page_is_open(page: Page) -> None:
    with serving("--seed", "7") as upstream, serving("--upstream", upstream.base_url) as server:
        desk = Desk(server, page, "forwarded")
        open_page(desk)
        first = desk.create("one")
        expect(desk.rows("upstream")).to_have_count(1)
        desk.create("two", previous_response_id=first.id)
        with pytest.raises(APIStatusError):
            desk.create("three", previous_response_id="resp_nothing")
        expect(desk.rows("upstream")).to_have_count(2)
        expect(desk.rows("previous_response_not_found")).to_have_count(1)
        desk.choose(1)
        expect(desk.said).to_contain_text("turn 2")
        expect(page.locator(".detail-facts")).to_contain_text(f"{first.usage.output_tokens} out")


def test_a_drift_finding_and_its_exchange(page: Page) -> None:
    with (
        serving("--set", "delete_object=response.deleted") as upstream,
        serving("--mode", "shadow", "--upstream", upstream.base_url) as server,
    ):
        desk = Desk(server, page, "compared")
        open_page(desk)
        made = desk.create("one")
        desk.client.responses.delete(made.id)
        expect(desk.rows("upstream, compared")).to_have_count(2)
        desk.view("reports")
        finding = desk.card("Drift").locator(".finding").first
        expect(finding).to_contain_text("object")
        finding.locator("summary").click()
        expect(finding.locator(".json")).to_contain_text("response.deleted")


def test_a_server_without_a_cassette_says_how_to_have_one(desk: Desk) -> None:
    desk.create()
    desk.open()
    desk.view("cassette")
    expect(desk.page.locator("#view-cassette")).to_contain_text("--mode record --upstream URL --cassette FILE")


def test_the_journal_is_downloaded_and_answers_as_a_cassette(desk: Desk, page: Page, tmp_path: Path) -> None:
    first = desk.create("What is a fox?")
    second = desk.create("And a hen?", previous_response_id=first.id)
    streamed = [event.type for event in desk.create("streamed", stream=True)]
    desk.open()
    desk.view("levers")
    with page.expect_download() as downloading:
        desk.card("Journal").get_by_role("button", name="Download as a cassette").click()
    saved = tmp_path / "journal.yaml"
    downloading.value.save_as(saved)
    with serving("--mode", "replay", "--cassette", str(saved)) as replaying:
        other = Desk(replaying, page, "another key")
        again = other.create("What is a fox?")
        assert (again.id, again.output_text) == (first.id, first.output_text)
        assert other.create("And a hen?", previous_response_id=again.id).output_text == second.output_text
        assert [event.type for event in other.create("streamed", stream=True)] == streamed


TREE = "m.inTreeOrder(x).map((row) => [row.id, row.depth])"


def test_a_tree_without_parents_or_with_circles_has_every_row(desk: Desk) -> None:
    desk.create()
    desk.open()

    def row(id: int, made: str | None, parent: str | None, path: str = "/v1/responses") -> dict[str, Any]:
        return {"id": id, "made": made, "parent": parent, "path": path}

    circle = [row(1, "resp_a", "resp_b"), row(2, "resp_b", "resp_a"), row(3, "resp_a", "resp_a")]
    assert desk.import_and("cassette_view.js", TREE, circle) == [[1, 0], [2, 1], [3, 1]]
    read = [row(1, "conv_a", None), row(2, None, None, "/v1/conversations/conv_a/items"), row(3, "resp_a", "conv_a")]
    assert desk.import_and("cassette_view.js", TREE, read) == [[1, 0], [2, 1], [3, 1]]
    chain = [row(number, f"resp_{number}", f"resp_{number - 1}") for number in range(5_000)]
    assert desk.import_and("cassette_view.js", TREE, chain)[-1] == [4_999, 4_999]
