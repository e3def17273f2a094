"""A tester's desk: an agent's client with a key of its own, and the viewer open on that project."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from openai import OpenAI
from playwright.sync_api import Locator, Page, expect

from tests.support.serving import Served

MODEL = "gpt-4.1"


class Desk:
    """A project of a server: its client, its control calls, and a page that shows it."""

    def __init__(self, served: Served, page: Page, name: str) -> None:
        self.served, self.page = served, page
        self.key = f"sk-{sha256(name.encode()).hexdigest()[:24]}"
        self.client = OpenAI(base_url=served.base_url, api_key=self.key, max_retries=0)
        # one that is left to the garbage collector complains about its connections in some later test
        page.context.on("close", lambda _: self.client.close())
        self.clicks = 0

    def create(self, input: Any = "ping", **fields: Any) -> Any:
        """A turn of the client."""
        return self.client.responses.create(**{"model": MODEL, "input": input, **fields})

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A control call with the client's key."""
        return self.served.control(method, path, body, key=self.key)

    def project(self) -> str:
        """The name of the client's project."""
        shown = f"{self.key[:4]}…{self.key[-4:]}"
        return next(one["name"] for one in self.control("GET", "/projects")["data"] if one["key"] == shown)

    def open(self) -> None:
        """Open the viewer on this project."""
        self.page.goto(f"{self.served.origin}/_mock/?project={self.project()}")
        expect(self.page.locator(".live")).to_have_text("live")

    # --- what is seen ---------------------------------------------------------------------------------------------

    def rows(self, text: str | re.Pattern[str] = "") -> Locator:
        """The exchanges in sight that have a text."""
        return self.page.locator(".pane-list .row", has_text=text)

    @property
    def panel(self) -> Locator:
        """The detail that is open."""
        return self.page.locator("#tab-panel")

    @property
    def said(self) -> Locator:
        """What is said of the chosen response below the graph."""
        return self.page.locator(".graph-said")

    def click(self, selector: str | Locator) -> None:
        """Click, and count it."""
        self.clicks += 1
        (self.page.locator(selector) if isinstance(selector, str) else selector).click()

    def tab(self, name: str) -> Locator:
        """Open a tab of the detail."""
        self.click(f"#tab-{name}")
        return self.panel

    def view(self, name: str) -> None:
        """Open a view of the page."""
        self.click(f"#open-{name}")

    def choose(self, index: int, tab: str | None = None) -> Locator:
        """Choose the n-th exchange, from the oldest, and open a tab."""
        self.page.locator(".pane-list .list").evaluate("(list, top) => { list.scrollTop = top }", index * 46)
        self.click(self.page.locator(f".pane-list .row[aria-posinset='{index + 1}']"))
        return self.panel if tab is None else self.tab(tab)

    def card(self, title: str) -> Locator:
        """A lever, or a list of findings."""
        return self.page.locator(".card", has=self.page.get_by_role("heading", name=re.compile(f"^{title}")))

    def copied(self, label: str) -> str:
        """What a copy button copies."""
        self.panel.get_by_role("button", name=label).click()
        expect(self.panel.get_by_role("button", name="Copied").first).to_be_visible()
        return str(self.page.evaluate("navigator.clipboard.readText()"))

    def import_and(self, module: str, expression: str, argument: Any = None) -> Any:
        """Evaluate an expression over a module `m` of the page, with an argument `x`."""
        begin = f"const m = await import('/_mock/viewer/{module}'); const x = JSON.parse(text)"
        return self.page.evaluate(f"async (text) => {{ {begin}; return {expression} }}", json.dumps(argument))


def violations(page: Page) -> list[str]:
    """What axe-core finds on a page."""
    results = Axe().run(page)
    return [f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:120]}" for one in results.response["violations"]]
