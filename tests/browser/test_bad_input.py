"""What a client, a model or a network can do to the page: hostile strings, size, a server that goes and comes back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest
from openai import OpenAI
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.desk import Desk
from tests.support.serving import ROOT, Served, serving

HTML = "<img src=x onerror=\"document.title='hit'\"></script><script>document.title='hit'</script><!--"
TURNED = "\u202egnp.exe\u202c \u2066left\u2069 \u0000\u0007\u001b[31m שלום مرحبا"
HOSTILE = f"{HTML} {TURNED}"
TABS = ("context", "request", "response", "events", "why", "diff")


def test_strings_of_clients_and_models_stay_text_everywhere(desk: Desk) -> None:
    tool = {"type": "function", "name": "f", "description": HOSTILE, "parameters": {"type": "object", HTML: {}}}
    desk.control(
        "PUT",
        "/scenario",
        {
            "lines": [
                {
                    "when": {"input_contains": "call"},
                    "reply": {"output": [{"type": "function_call", "name": "f", "arguments": {HTML: HOSTILE}}]},
                },
                {"when": {"input_contains": HTML}, "reply": {"text": HOSTILE, "reasoning": HOSTILE}},
                {"when": {"input_contains": "never", "metadata": {HTML: "x"}}, "reply": {"text": "never"}},
            ]
        },
    )
    first = desk.create(HOSTILE, instructions=HOSTILE, metadata={"note": HTML}, tools=[tool], model="gpt-5.5")
    desk.create("call", previous_response_id=first.id, tools=[tool], model="gpt-5.5")
    desk.create("nothing matches", previous_response_id=first.id, model="gpt-5.5")
    refused = desk.served.request("GET", "/v1/responses/" + "%3Cimg%20src=x%20onerror=alert(1)%3E", key=desk.key)
    assert refused.status == 404
    desk.control(
        "PUT",
        "/faults",
        {"faults": [{"when": {"path": f"/{HTML}"}, "do": {"error": {"status": 500, "message": HOSTILE}}}]},
    )
    desk.open()
    for index in range(4):
        desk.choose(index)
        for tab in TABS:
            desk.tab(tab)
            expect(desk.panel).not_to_contain_text("Reading…")
            desk.page.evaluate("document.querySelectorAll('#tab-panel .row')[1]?.click()")
    panel = desk.choose(0, "context")
    expect(panel.locator(".row", has_text="<img src=x").first).to_be_visible()
    # characters that turn the direction, and control characters, are written out
    expect(panel.locator(".row").nth(1)).to_contain_text("\\u202egnp.exe\\u202c")
    panel.locator(".row").nth(1).click()
    expect(panel.locator(".reader-text")).to_contain_text("␀␇␛[31m שלום")
    for view in ("charts", "levers", "reports"):
        desk.view(view)
    desk.card("Snapshots")
    assert desk.page.title() == "understudy"
    assert desk.page.locator("img, #page script, iframe").count() == 0


def test_100_kb_are_folded_and_10_000_items_are_rows_in_sight_only(desk: Desk) -> None:
    items: list[Any] = [{"role": "user", "content": f"item {number}"} for number in range(9_999)]
    desk.create([*items, {"role": "user", "content": "long " + "x" * 100_000}], model="gpt-4.1")
    desk.open()
    panel = desk.choose(0, "context")
    expect(panel.locator(".context-summary")).to_contain_text("10,000 own items")
    assert panel.locator(".row").count() < 60
    panel.locator(".list").press("End")
    row = panel.locator(".row[aria-selected=true]")
    expect(row).to_contain_text("long xxx")
    assert len(row.inner_text()) < 400
    text = panel.locator(".reader-text")
    assert len(text.inner_text()) <= 8_000
    panel.get_by_role("button", name="Show all 100,005 characters").click()
    assert len(text.inner_text()) == 100_005
    panel = desk.tab("request")
    assert panel.locator(".row").count() < 80
    # the journal keeps 256 KB of a body as text: one row, and the reader for who wants it
    expect(panel.locator(".row", has_text="body")).to_contain_text(re.compile(r"… \d{6} characters"))
    rows = "m.rowsOf({ input: Array(x).fill({ role: 'user' }) }, new Set()).length"
    assert desk.import_and("json_view.js", rows, 10_000) == 3, "a long list is closed at first"


def test_deep_json_is_drawn(desk: Desk) -> None:
    desk.create()
    desk.open()
    nest = "let v = 1; for (let i = 0; i < x; i += 1) v = [v]"
    rows = f"(() => {{ {nest}; return m.rowsOf(v, new Set()).length }})()"
    assert desk.import_and("json_view.js", rows, 5_000) < 20


def test_two_windows_on_two_projects_never_mix(served: Served, context: BrowserContext) -> None:
    desks = [Desk(served, context.new_page(), f"window {number}") for number in range(2)]
    for number, desk in enumerate(desks):
        desk.create(f"first of {number}")
        desk.open()
    for _ in range(3):
        desks[0].create("only for the first")
    desks[1].create("only for the second")
    expect(desks[0].rows()).to_have_count(4)
    expect(desks[1].rows()).to_have_count(2)
    expect(desks[1].choose(1, "context")).to_contain_text("only for the second")
    for desk in desks:
        desk.view("levers")
    desks[0].card("Clock").get_by_role("button", name="Advance").click()
    expect(desks[0].page.locator(".lever-said")).to_contain_text("4 expired")
    desks[1].view("trace")
    expect(desks[1].page.locator(".detail-facts")).to_contain_text("completed")
    # the other project can be chosen, and then it is that one alone
    desks[1].page.locator("#project").select_option(desks[0].project())
    expect(desks[1].rows()).to_have_count(4)
    assert desks[0].project() in desks[1].page.url


def _serve(port: int) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "mockserver", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert process.stdout is not None
    while "/_mock/" not in process.stdout.readline():
        assert process.poll() is None
    return process


def test_a_server_that_stops_and_comes_back(page: Page) -> None:
    with serving() as first:
        desk = Desk(first, page, "comes back")
        desk.create("before")
        desk.open()
        expect(desk.rows()).to_have_count(1)
        project, port = desk.project(), first.port
    expect(page.locator(".live")).to_have_text("reconnecting")
    expect(page.locator(".notices")).to_contain_text("was lost")
    process = _serve(port)
    try:
        # a store in memory: the project is gone, and the page says so
        expect(page.locator(".live")).to_have_text("waiting", timeout=15_000)
        expect(page.locator(".notices")).to_contain_text("project is gone")
        expect(desk.rows()).to_have_count(0)
        desk.create("after")
        expect(desk.rows()).to_have_count(1, timeout=15_000)
        expect(page.locator(".live")).to_have_text("live")
        assert desk.project() == project
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_an_unknown_project_waits_and_says_so(desk: Desk, page: Page) -> None:
    page.goto(f"{desk.served.origin}/_mock/?project=no-such-project")
    expect(page.locator(".live")).to_have_text("waiting")
    expect(page.locator("#project")).to_contain_text("no-such-project (gone)")
    expect(page.locator(".empty")).to_be_visible()


def test_the_empty_page_teaches_and_the_first_call_appears_by_itself(page: Page) -> None:
    with serving() as fresh:
        page.goto(fresh.origin + "/")
        expect(page).to_have_url(f"{fresh.origin}/_mock/")
        empty = page.locator(".empty")
        expect(empty).to_contain_text(f"export OPENAI_BASE_URL={fresh.origin}/v1")
        expect(empty).to_contain_text("curl")
        link = empty.get_by_role("link")
        assert page.request.get(f"{fresh.origin}/_mock/{link.get_attribute('href')}").ok
        OpenAI(base_url=fresh.base_url, api_key="any").responses.create(model="gpt-4.1", input="hello")
        expect(page.locator(".pane-list .row")).to_have_count(1)
        expect(empty).to_be_hidden()


def test_without_javascript_there_is_a_sentence(served: Served, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.origin}/_mock/")
    assert "This page needs JavaScript." in page.content()
    context.close()


def test_a_page_of_another_origin_reads_nothing(served: Served, chromium: Browser) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.route("http://evil.test/", lambda route: route.fulfill(content_type="text/html", body="<title>evil</title>"))
    page.goto("http://evil.test/")
    script = "(url) => fetch(url).then((answer) => answer.text(), (problem) => `refused: ${problem}`)"
    for path in ("/_mock/journal", "/_mock/events", "/_mock/viewer/main.js", "/_mock/"):
        assert page.evaluate(script, served.origin + path).startswith("refused"), path
    context.close()


def test_a_server_with_keys_asks_for_one(page: Page) -> None:
    with serving("--api-key", "sk-only-this-one-is-let-in") as locked:
        client = OpenAI(base_url=locked.base_url, api_key="sk-only-this-one-is-let-in")
        client.responses.create(model="gpt-4.1", input="hello")
        page.goto(f"{locked.origin}/_mock/")
        form = page.locator(".key-form")
        form.locator("input").fill("wrong")
        form.get_by_role("button").click()
        expect(form).to_be_visible()
        form.locator("input").fill("sk-only-this-one-is-let-in")
        form.get_by_role("button").click()
        expect(page.locator(".pane-list .row")).to_have_count(1)
        expect(page.locator(".live")).to_have_text("live")
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


ENDED = {"exchange": 2, "id": 2, "at": 7.5, "duration_ms": 1.2, "status": 200}
READ = {name: ENDED[name] for name in ("id", "at", "duration_ms", "status")}  # the same in the journal
BEGUN = {"exchange": 2, "id": None, "running": True}
OTHER = {"id": 1, "at": 7.0, "duration_ms": 1.2}


@pytest.mark.parametrize(
    ("known", "left"),
    [
        ([OTHER], [OTHER, ENDED]),
        ([OTHER, BEGUN], [OTHER, ENDED]),
        ([OTHER, READ], [OTHER, ENDED]),  # it was read before the event came
        ([OTHER, READ, BEGUN], [OTHER, ENDED]),
        ([OTHER, ENDED], [OTHER, ENDED]),
        ([OTHER, {**READ, "at": 1.0}], [ENDED]),  # another that had its id: the journal was emptied
        ([{**ENDED, "exchange": 1}, BEGUN], [ENDED]),
        ([{**ENDED, "id": 9}], [{**ENDED, "id": 9}, ENDED]),  # another that had its number: events began again
    ],
)
def test_an_exchange_has_one_row_whether_it_was_read_or_told(desk: Desk, known: list[Any], left: list[Any]) -> None:
    desk.create()
    desk.open()
    assert desk.import_and("exchanges.js", "m.withEnded(...x)", [known, ENDED]) == left


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ('id: 1\nevent: a\ndata: {"x":1}\n\n', [["a", {"x": 1}, "1"]]),
        (": comment\n\nevent: a\ndata: 2\n\n", [["a", 2, None]]),
        ("event: a\ndata: 1\n", []),
    ],
)
def test_events_are_parsed_wherever_they_are_cut(desk: Desk, sent: str, told: list[Any]) -> None:
    desk.create()
    desk.open()
    parse = (
        "(() => { const told = []; const feed = m.createParser((one) => told.push([one.type, one.data, one.id]));"
        " for (const piece of x) feed(piece); return told })()"
    )
    assert desk.import_and("api.js", parse, [sent]) == told
    assert desk.import_and("api.js", parse, list(sent)) == told
